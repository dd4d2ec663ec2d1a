"""The demo company: believable, merged, and the same for the same seed."""

from __future__ import annotations

import pytest

from tests.cli.conftest import PASSWORD, Terminal


@pytest.fixture(scope="module")
def company(tmp_path_factory) -> Terminal:
    terminal = Terminal(tmp_path_factory.mktemp("demo"))
    terminal.json("demo", "--branches", "2", "--customers", "40")
    return terminal


def node(company: Terminal, name: str) -> Terminal:
    return Terminal(company.folder / name)


def test_every_branch_holds_what_head_office_holds(company) -> None:
    office = node(company, "hq")
    for code in ("BR01", "BR02"):
        assert office.json("sync", "digest", "--for", code) == node(company, code.lower()).json("sync", "digest")


def test_every_node_is_whole(company) -> None:
    for name in ("hq", "br01", "br02"):
        assert node(company, name).json("check") == {"ok": True, "problems": []}


def test_it_shows_work_done_apart(company) -> None:
    kinds = {row["kind"] for row in node(company, "br02").json("sync", "conflicts")["rows"]}
    assert {"overwritten", "deleted_edited"} <= kinds
    office = node(company, "hq")
    assert office.as_admin("list", "customer")["total"] == 40
    assert office.as_admin("list", "customer", "--deleted")["total"] == 1
    orders = office.as_admin("list", "sales_order")["rows"]
    assert {"draft", "posted"} == {order["status"] for order in orders}
    assert {"reversed", "reversal"} <= {order["state"] for order in orders}
    assert {order["number"].split("-")[1] for order in orders if order["number"]} == {"HQ", "BR01", "BR02"}


def test_the_seed_fixes_names_and_amounts_but_no_identity(company, tmp_path) -> None:
    other = Terminal(tmp_path)
    other.json("demo", "--branches", "2", "--customers", "40")
    other.json("demo", "--branches", "0", "--customers", "3", "--seed", "2", "--data", str(tmp_path / "second"))

    def facts(terminal: Terminal, path: str) -> list[tuple[str, ...]]:
        rows = node(terminal, path).as_admin("list", "customer", "--sort", "number")["rows"]
        orders = node(terminal, path).as_admin("list", "sales_order", "--sort", "gross")["rows"]
        return [(row["name"], row["phone"]) for row in rows] + [(row["gross"],) for row in orders]

    assert facts(company, "hq") == facts(other, "hq")
    one, two = (node(each, "hq").as_admin("list", "customer")["rows"] for each in (company, other))
    assert not {row["id"] for row in one} & {row["id"] for row in two}


def test_a_password_is_made_up_when_none_is_given(tmp_path) -> None:
    made = Terminal(tmp_path).json("demo", "--branches", "0", "--customers", "1", LOCALCRM_PASSWORD="")
    assert Terminal(tmp_path / "hq", made["password"]).as_admin("list", "user")["total"] == 4


def test_nothing_is_overwritten(company) -> None:
    assert company.refused("demo", "--branches", "1") == "already_set_up"
    assert node(company, "hq").as_admin("list", "user")["total"] == 8
    assert node(company, "br01").json("list", "user", "--as", "wanghaiyan", LOCALCRM_PASSWORD=PASSWORD)["total"] == 8
