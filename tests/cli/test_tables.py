"""Import and export from the command line."""

from __future__ import annotations

import json

from openpyxl import load_workbook


def test_a_gbk_file_is_imported_with_its_bad_rows_set_aside(office, tmp_path) -> None:
    file, errors = tmp_path / "客户.csv", tmp_path / "errors.csv"
    text = "客户名称,电话,级别,业务员\n甲公司,13800001111,成交客户,admin\n乙公司,1.38E+10,,\n,139,,\n丙公司,13700002222,Prospect,nobody\n"
    file.write_bytes(text.encode("gbk"))
    words = (
        "import",
        "customer",
        str(file),
        "--map",
        "客户名称=name",
        "--map",
        "电话=phone",
        "--map",
        "级别=level",
        "--map",
        "业务员=owner_id",
    )
    tried = office.as_admin(*words, "--dry-run")
    assert office.as_admin("list", "customer")["total"] == 0
    done = office.as_admin(*words, "--errors", str(errors))
    assert done == tried
    assert {key: done[key] for key in ("created", "updated", "skipped", "failed")} == {
        "created": 1,
        "updated": 0,
        "skipped": 0,
        "failed": 3,
    }
    assert [(error["row"], error["field"], error["code"]) for error in done["errors"]] == [
        (3, "phone", "lost_digits"),
        (4, "name", "required"),
        (5, "owner_id", "no_such_record"),
    ]
    assert [set(error) for error in done["errors"]] == [{"row", "field", "code", "message"}] * 3
    assert [line.split(",")[-4] for line in errors.read_text("utf-8-sig").splitlines()] == ["客户名称", "乙公司", "", "丙公司"]
    (made,) = office.as_admin("list", "customer")["rows"]
    assert (made["name"], made["phone"], made["level"], made["number"]) == ("甲公司", "13800001111", "deal", "C-HQ-000001")


def test_columns_are_recognised_without_a_map(office, tmp_path) -> None:
    (tmp_path / "p.csv").write_text(
        "Product code,Product name,List price,Kept in stock\nA1,雪纺,9.8,yes\nS1,运费,10,no\n", encoding="utf-8"
    )
    assert office.as_admin("import", "product", str(tmp_path / "p.csv"))["created"] == 2
    rows = office.as_admin("list", "product", "--sort", "code")["rows"]
    assert [(row["code"], row["price"], row["stocked"]) for row in rows] == [("A1", "9.8", True), ("S1", "10", False)]


def test_importing_again_changes_only_what_differs(office, tmp_path) -> None:
    file = tmp_path / "c.csv"
    file.write_text("name,phone\n甲,1\n乙,2\n", encoding="utf-8")
    words = ("import", "customer", str(file), "--map", "name=name", "--map", "phone=phone", "--update-on", "name")
    counts = lambda document: [document[key] for key in ("created", "updated", "skipped", "failed")]
    assert counts(office.as_admin(*words)) == [2, 0, 0, 0]
    assert counts(office.as_admin(*words)) == [0, 0, 2, 0]
    file.write_text("name,phone\n甲,1\n乙,3\n丙,4\n", encoding="utf-8")
    assert counts(office.as_admin(*words)) == [1, 1, 1, 0]
    assert office.as_admin("list", "customer")["total"] == 3


def test_an_export_comes_back_as_it_was(office, tmp_path) -> None:
    office.as_admin("new", "customer", "name==1+1", "level=deal", "phone=013800001111", "remark=第一行\n第二行", "credit_limit=20")
    office.as_admin("new", "customer", "name=乙,“丙”", "phone=+86 571 8888", "address=-")
    before = office.as_admin("list", "customer")["rows"]
    for suffix in ("csv", "xlsx"):
        file = tmp_path / f"c.{suffix}"
        assert office.as_admin("export", "customer", "-o", str(file)) == {"file": str(file), "rows": 2}
        again = office.as_admin("import", "customer", str(file), "--update-on", "number")
        assert again == {"created": 0, "updated": 0, "skipped": 2, "failed": 0, "errors": [], "warnings": []}
    assert office.as_admin("list", "customer")["rows"] == before
    headers = [cell.value for cell in next(load_workbook(tmp_path / "c.xlsx").active.iter_rows(max_row=1))]
    assert headers[:4] == ["Customer no.", "Customer name", "Short name", "Level"]


def test_jsonl_is_exact(office, tmp_path) -> None:
    made = office.as_admin("new", "customer", "name==1+1")
    office.as_admin("export", "customer", "-o", str(tmp_path / "c.jsonl"))
    assert json.loads((tmp_path / "c.jsonl").read_text("utf-8")) == made


def test_refused_commands_write_no_file(office, tmp_path) -> None:
    assert office.refused("export", "customer", "-o", str(tmp_path / "c.doc"), "--as", "admin") == "unknown_format"
    assert office.refused("export", "customer", "-o", str(tmp_path / "c.csv")) == "sign_in_needed"
    assert office.refused("export", "customer", "-o", str(tmp_path / "no" / "c.csv"), "--as", "admin") == "no_such_folder"
    (tmp_path / "c.txt").write_text("a,b\n1,2\n")
    assert office.refused("import", "customer", str(tmp_path / "c.txt"), "--as", "admin") == "no_column_recognised"
    assert office.refused("import", "customer", str(tmp_path / "c.txt"), "--map", "x=name", "--as", "admin") == "unknown_column"
    assert office.refused("import", "customer", str(tmp_path / "c.txt"), "--map", "a=x", "--as", "admin") == "unknown_field"
    assert office.refused("import", "branch", str(tmp_path / "c.txt"), "--map", "a=name", "--as", "admin") == "not_by_hand"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["c.txt", "hq"]
