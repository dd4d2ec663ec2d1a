"""A spreadsheet of customers with the people there: one row for each person, his company once more in each."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcrm.channels.columns import recognise_columns
from localcrm.channels.tables import read_table
from localcrm.domain.import_columns import columns_of
from localcrm.domain.importing import PORTION, ImportResult, import_rows
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.schema import entity
from tests.factories import Installation

SHEET = """客户名称,电话,地址,联系人,职务,手机,生日
杭州星辰贸易有限公司,0571-88880001,杭州市西湖区,王芳,采购经理,13800000001,1985-03-08
杭州星辰贸易有限公司,0571-88880001,杭州市西湖区,李雷,财务,13800000002,
宁波远洋五金厂,0574-66660002,宁波市北仑区,,,,
苏州瑞丰机械有限公司,0512-55550003,苏州市,赵敏,总经理,13800000003,三月八日
"""


def bring(node: Installation, sheet: str, folder: Path, *, actor: Actor | None = None, dry_run: bool = False) -> ImportResult:
    """The file as the wizard brings it in: columns recognised, customers known by their name."""
    path = folder / "customers.csv"
    path.write_text(sheet, encoding="gb18030")
    table = read_table(path)
    columns = recognise_columns(table.headers, entity("customer"))
    rows = ((number, table.wanted(cells, columns)) for number, cells in table)
    return import_rows(node.store, actor or node.actor, entity="customer", rows=rows, update_on="name", dry_run=dry_run)


def counts(result: ImportResult) -> tuple[int, int, int, int]:
    return result.created, result.updated, result.skipped, result.failed


def people(node: Installation) -> list[tuple[str, str, str | None]]:
    """Customer, person, telephone number."""
    return node.rows("SELECT c.name, p.name, p.phone FROM contact p JOIN customer c ON c.id = p.customer_id ORDER BY p.rid")


def test_the_columns_of_a_salesmans_sheet_are_understood():
    headers = ["客户名称", "联系人", "职务", "手机", "电话", "联系人微信", "地址", "随便"]
    kind = entity("customer")
    told = {headers[index]: key for index, key in recognise_columns(headers, kind).items()}
    assert told == {
        "客户名称": "name",
        "联系人": "contact.name",
        "职务": "contact.title",
        "手机": "contact.phone",
        "电话": "phone",
        "联系人微信": "contact.wechat",
        "地址": "address",
    }
    assert {"contact.name", "contact.birthday"} <= {column.key for column in columns_of(kind)}
    assert "contact.customer_id" not in {column.key for column in columns_of(kind)}
    # Where nothing names a person, what looks like his is left alone.
    assert "职务" not in {["客户名称", "职务"][index] for index in recognise_columns(["客户名称", "职务"], kind)}


def test_customers_and_people_come_from_one_sheet(hq, tmp_path):
    result = bring(hq, SHEET, tmp_path)
    assert counts(result) == (2, 1, 0, 1)
    assert [(error["row"], error["field"], error["code"]) for error in result.errors] == [(5, "contact.birthday", "bad_date")]
    assert people(hq) == [("杭州星辰贸易有限公司", "王芳", "13800000001"), ("杭州星辰贸易有限公司", "李雷", "13800000002")]
    # The company of the row that was refused was not kept without its person, and took no number.
    assert [row[0] for row in hq.rows("SELECT name FROM customer ORDER BY rid")] == ["杭州星辰贸易有限公司", "宁波远洋五金厂"]
    mended = bring(hq, SHEET.replace("三月八日", "1990-03-08"), tmp_path)
    assert counts(mended) == (1, 0, 3, 0)
    assert hq.value("SELECT number FROM customer WHERE name = ?", "苏州瑞丰机械有限公司") == "C-HQ-000003"


def test_the_same_sheet_again_changes_nothing(hq, tmp_path):
    bring(hq, SHEET.replace("三月八日", ""), tmp_path)
    log = hq.value("SELECT max(lseq) FROM sync_log")
    again = bring(hq, SHEET.replace("三月八日", ""), tmp_path)
    assert counts(again) == (0, 0, 4, 0)
    assert hq.value("SELECT max(lseq) FROM sync_log") == log


def test_a_changed_number_of_a_person_is_a_change_and_another_person_is_added(hq, tmp_path):
    bring(hq, SHEET, tmp_path)
    result = bring(hq, SHEET.replace("13800000002", "13900000002").replace("宁波市北仑区,,", "宁波市北仑区,周平,"), tmp_path)
    assert counts(result) == (0, 2, 1, 1)
    assert people(hq)[1:] == [("杭州星辰贸易有限公司", "李雷", "13900000002"), ("宁波远洋五金厂", "周平", None)]


def test_two_people_of_one_name_are_not_guessed_between(hq, tmp_path):
    bring(hq, SHEET, tmp_path)
    customer = hq.value("SELECT lower(hex(id)) FROM customer WHERE name LIKE '杭州%'")
    hq.new("contact", customer_id=customer, name="王芳")
    result = bring(hq, SHEET, tmp_path)
    assert [(error["row"], error["code"], error["field"]) for error in result.errors] == [
        (2, "ambiguous_match", "contact.name"),
        (5, "bad_date", "contact.birthday"),
    ]


def test_a_person_without_a_name_is_refused_with_his_company(hq, tmp_path):
    result = bring(hq, "客户名称,联系人,手机\n甲公司,,13800000009\n乙公司,丙,13800000008\n", tmp_path)
    assert [(error["row"], error["field"], error["code"]) for error in result.errors] == [(2, "contact.name", "required")]
    assert hq.value("SELECT count(*) FROM customer") == 1


@pytest.mark.parametrize("rows_between", [0, PORTION])
def test_trying_tells_the_same_and_leaves_nothing(hq, tmp_path, rows_between):
    head, *body = SHEET.splitlines(keepends=True)
    filler = "".join(f"路过{number},,,,,,\n" for number in range(rows_between))
    sheet = "".join([head, body[0], filler, *body[1:]])
    tried = bring(hq, sheet, tmp_path, dry_run=True)
    assert hq.value("SELECT count(*) FROM customer") == hq.value("SELECT count(*) FROM contact") == 0
    done = bring(hq, sheet, tmp_path)
    assert counts(tried) == counts(done) == (2 + rows_between, 1, 0, 1)
    assert tried.errors == done.errors


def test_who_may_bring_customers_but_no_people_is_told_so(hq, tmp_path):
    user = hq.new("user", login="mei", name="梅", role="none")
    hq.run("people.set_rights", login="mei", entity="customer", actions=["read", "create", "update", "import"], scope="all")
    hq.run("people.set_rights", login="mei", entity="contact", actions=["read"], scope="all")
    clerk = actor_by_id(hq.store, user)
    result = bring(hq, SHEET, tmp_path, actor=clerk)
    assert [error["code"] for error in result.errors] == ["forbidden", "forbidden", "forbidden"]
    assert hq.rows("SELECT name FROM customer") == [("宁波远洋五金厂",)]  # the one whose row names nobody
    assert hq.value("SELECT count(*) FROM contact") == 0


def test_what_one_branch_brought_in_is_what_head_office_gets(company, hq, tmp_path):
    one = company.branches["BR01"]
    bring(one, SHEET, tmp_path)
    company.exchange()
    company.exchange()
    assert people(hq) == people(one)
    assert len(company.digests) == 1
