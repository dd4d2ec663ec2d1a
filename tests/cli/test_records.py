"""Records from the command line: shapes of the answers, and what is refused."""

from __future__ import annotations

import json

from tests.cli.conftest import PASSWORD

RECORD = "id number name short_name level phone address credit_limit owner_id branch_id source tax_no remark".split()


def test_entities_describe_every_field(office) -> None:
    document = office.json("entities")
    keys = [entity["key"] for entity in document["entities"]]
    assert {"user", "customer", "contact", "activity", "product", "warehouse", "stock_move", "sales_order", "sales_order_line"} <= set(keys)
    assert office.json("entities", "customer") == {"entities": [e for e in document["entities"] if e["key"] == "customer"]}
    customer = {field["key"]: field for field in document["entities"][keys.index("customer")]["fields"]}
    assert customer["name"] == {"key": "name", "label": "Customer name", "type": "text", "required": True, "ref": None}
    assert customer["owner_id"] == {"key": "owner_id", "label": "Salesperson", "type": "ref", "required": False, "ref": "user"}
    assert [key for key, field in customer.items() if field["required"]] == ["name"]


def test_entities_and_verbs_need_neither_folder_nor_user(tmp_path, office) -> None:
    office.folder = tmp_path / "nothing here"
    assert office.json("entities")["entities"]
    post = next(verb for verb in office.json("verbs", "sales")["verbs"] if verb["name"] == "sales.post_order")
    assert post == {"name": "sales.post_order", "label": "Post a sales order", "params": {"order_id": "str"}}
    assert not office.folder.exists()


def test_a_record_is_added_changed_and_read(office) -> None:
    made = office.as_admin("new", "customer", "name=甲公司", "phone=13800001111", "remark=a=b", "credit_limit=5,000")
    assert list(made)[: len(RECORD)] == RECORD  # what scripts rely on comes first, in this order
    assert (made["name"], made["remark"], made["credit_limit"], made["number"]) == ("甲公司", "a=b", "5000.00", "C-HQ-000001")
    changed = office.as_admin("set", "customer", made["id"], "phone=", "level=deal")
    assert (changed["phone"], changed["level"], changed["remark"]) == (None, "deal", "a=b")
    assert office.as_admin("get", "customer", made["id"]) == changed


def test_a_list_is_filtered_sorted_and_counted(office) -> None:
    for name, level in (("甲", "deal"), ("乙", "deal"), ("丙", "prospect")):
        office.as_admin("new", "customer", f"name={name}", f"level={level}")
    everything = office.as_admin("list", "customer")
    assert (everything["total"], [row["name"] for row in everything["rows"]]) == (3, ["丙", "乙", "甲"])
    deals = office.as_admin("list", "customer", "--where", "level=deal", "--sort", "-number", "--limit", "1")
    assert (deals["total"], [row["name"] for row in deals["rows"]]) == (2, ["乙"])
    assert [row["name"] for row in office.as_admin("list", "customer", "--sort", "number", "--offset", "1")["rows"]] == ["乙", "丙"]
    assert office.as_admin("list", "customer", "--where", "level=deal", "--where", "name=甲")["total"] == 1
    assert office.as_admin("list", "customer", "--search", "丙")["total"] == 1


def test_delete_and_undelete(office) -> None:
    identity = office.as_admin("new", "customer", "name=甲")["id"]
    assert office.as_admin("delete", "customer", identity) == {"id": identity}
    assert office.as_admin("list", "customer") == {"total": 0, "rows": []}
    assert [row["id"] for row in office.as_admin("list", "customer", "--deleted")["rows"]] == [identity]
    assert office.as_admin("undelete", "customer", identity) == {"id": identity}
    assert office.as_admin("list", "customer")["total"] == 1


def test_history_names_users_and_shows_old_and_new(office) -> None:
    identity = office.as_admin("new", "customer", "name=甲", "phone=1")["id"]
    office.as_admin("set", "customer", identity, "phone=2")
    rows = office.as_admin("history", "customer", identity)["rows"]
    assert list(rows[0]) == ["at", "user", "node", "field", "old", "new", "change"]
    newest = {key: value for key, value in rows[0].items() if key not in {"at", "change"}}
    assert newest == {"user": "admin", "node": "HQ", "field": "phone", "old": "1", "new": "2"}
    assert rows[0]["at"].endswith("Z")


def test_search_finds_by_the_last_digits(office) -> None:
    made = office.as_admin("new", "customer", "name=瑞祥纺织", "phone=13800004321")
    found = office.as_admin("search", "4321")
    assert found == {"rows": [{"entity": "customer", "id": made["id"], "title": "瑞祥纺织", "match": "13800004321"}]}


def test_a_verb_is_run_with_json(office) -> None:
    made = office.as_admin("do", "records.create_record", "--args", '{"entity": "customer", "values": {"name": "甲"}}')
    assert made["name"] == "甲"
    assert office.refused("do", "sales.post_order", "--args", "[1]", "--as", "admin") == "bad_args"
    assert office.refused("do", "sales.post_order", "--as", "admin") == "bad_parameter"
    assert office.refused("do", "sales.fly", "--as", "admin") == "unknown_verb"


def test_refusals_have_codes(office) -> None:
    assert office.refused("list", "customer") == "sign_in_needed"
    assert office.refused("list", "customer", "--as", "admin", LOCALCRM_PASSWORD="wrong-one") == "bad_credentials"
    assert office.refused("list", "customer", "--as", "nobody") == "bad_credentials"
    assert office.refused("list", "unicorn", "--as", "admin") == "unknown_entity"
    assert office.refused("list", "customer", "--where", "hair=red", "--as", "admin") == "unknown_field"
    assert office.refused("new", "customer", "phone=1", "--as", "admin") == "required"
    assert office.refused("get", "customer", "xyz", "--as", "admin") == "bad_id"
    assert office.refused("get", "customer", "0" * 32, "--as", "admin") == "not_found"
    assert office.refused("new", "customer", "name=a\x00b", "--as", "admin") == "bad_text"
    assert office.refused("new", "user", "login=b", "name=b", "password=short", "--as", "admin") == "weak_password"


def test_wrong_usage_is_exit_2_with_one_sentence(office) -> None:
    plain = office.run("new", "customer", "nonsense", "--as", "admin")
    assert (plain.exit_code, plain.stdout, plain.stderr) == (2, "", "“nonsense” is not of the form field=value. (usage)\n")
    for words in (["list"], ["list", "customer", "--limit", "x"], ["fly"], ["init"], ["get", "customer", "--what"]):
        result = office.run(*words, "--json")
        assert (result.exit_code, result.stdout) == (2, ""), words
        assert json.loads(result.stderr)["code"] == "usage"


def test_rights_are_those_of_the_user(office) -> None:
    office.as_admin("new", "user", "login=bob", "name=Bob", "password=longer-word", "role=staff")
    office.password = "longer-word"
    assert office.json("list", "customer", "--as", "bob") == {"total": 0, "rows": []}
    assert office.refused("new", "user", "login=x", "name=X", "--as", "bob") == "forbidden"
    assert office.refused("backup", "-o", str(office.folder.parent / "b"), "--as", "bob") == "forbidden"
    assert not (office.folder.parent / "b").exists()


def test_a_password_is_never_shown(office, tmp_path) -> None:
    shown = [
        office.as_admin("new", "user", "login=bob", "name=Bob", "password=longer-word"),
        office.as_admin(
            "do", "records.create_record", "--args", '{"entity":"user","values":{"login":"c","name":"C","password":"longer-word"}}'
        ),
        office.as_admin("list", "user"),
        office.as_admin("search", "Bob"),
    ]
    bob = shown[0]["id"]
    shown += [office.as_admin("set", "user", bob, "password=another-word"), office.as_admin("get", "user", bob)]
    shown += [office.as_admin("history", "user", bob)]
    text = json.dumps(shown)
    for suffix in ("csv", "jsonl", "xlsx"):
        office.as_admin("export", "user", "-o", str(tmp_path / f"users.{suffix}"))
        text += (tmp_path / f"users.{suffix}").read_bytes().decode("latin-1")
    assert "longer-word" not in text
    assert "another-word" not in text
    assert "argon2" not in text
    assert office.refused("list", "user", "--where", "password=x", "--as", "admin") == "bad_filter"


def test_people_get_tables_with_names_for_ids(office) -> None:
    office.as_admin("new", "customer", "name=甲公司", "level=deal")
    lines = office.run("list", "customer", "--as", "admin").stdout.splitlines()
    assert lines[0].split()[:3] == ["id", "Customer", "name"]
    assert lines[2].split()[1:4] == ["甲公司", "Deal", "customer"]
    assert "admin" in lines[2]
    assert lines[3] == "1 of 1"


def test_the_password_comes_from_stdin(office) -> None:
    assert office.run("list", "customer", "--as", "admin", "--password-stdin", stdin=f"{PASSWORD}\n", LOCALCRM_PASSWORD="").exit_code == 0
    assert office.refused("list", "customer", "--as", "admin", "--password-stdin", stdin="wrong\n") == "bad_credentials"
