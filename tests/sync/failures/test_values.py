"""Values arrive as they were entered, under the column they were entered in, and none goes under unseen."""

from __future__ import annotations

import random
from typing import Annotated

import pytest

from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import F, Text, entity
from localcrm.store import check
from localcrm.store.ddl import column_type, table_sql
from localcrm.sync import node_sync
from localcrm.sync.codec import INSERT, Batch, Change, Tx
from localcrm.sync.merge import admit
from tests.factories import Company, HandClock, Installation
from tests.store.test_migrate import contact_with

CUSTOMER = entity("customer")


def test_failure_19_every_overwritten_value_is_in_the_inbox_with_both_authors(
    company: Company, hq: Installation, clocks: dict[str, HandClock], customer: str
) -> None:
    for minute, (code, branch) in enumerate(company.branches.items()):
        clocks[code].forward(minutes=minute)
        branch.set("customer", customer, phone=f"1{code}", address=f"路{code}")
    company.exchange()
    assert {node.get("customer", customer)["phone"] for node in company.nodes} == {"1BR03"}
    kept, lost = set(), set()
    for row in hq.rows("SELECT field, base, kept, kept_node, kept_by, lost, lost_node, lost_by FROM conflict WHERE kind = 'overwritten'"):
        field, base, kept_value, kept_node, kept_by, lost_value, lost_node, lost_by = row
        assert base == {"phone": "1", "address": "上海"}[field]
        assert kept_value.endswith(kept_node)
        assert lost_value.endswith(lost_node)
        assert kept_by == lost_by == bytes.fromhex(hq.actor.user_id or "")
        kept.add((field, kept_value))
        lost.add((field, lost_value))
    assert lost == {("phone", "1BR01"), ("phone", "1BR02"), ("address", "路BR01"), ("address", "路BR02")}
    assert {("phone", "1BR03"), ("address", "路BR03")} <= kept


def test_failure_20_an_older_branch_keeps_out_what_a_newer_head_office_says_beyond_it(company: Company, hq: Installation) -> None:
    contact = hq.new("contact", customer_id=hq.new("customer", name="甲"), name="王", phone="1")
    company.exchange()
    with contact_with(nickname=(Annotated[Text | None, F(20, "Nickname")], None)) as kind:
        hq.restart()
        with hq.store.unit_of_work(None) as uow:
            uow.update(kind, contact, {"nickname": "小王"})
            uow.update(kind, contact, {"phone": "2"})
        node_sync.pack(hq.store, hq.keys, company.folder / "down", for_code="BR01")
    one = company.branches["BR01"]
    done = node_sync.unpack(one.store, one.keys, company.folder / "down")
    assert (done["applied"], done["quarantined"]) == (1, 1)
    assert one.get("contact", contact)["phone"] == "2"
    assert one.rows("SELECT reason FROM sync_quarantine") == [("unknown_column",)]


def test_failure_21_no_change_is_skipped_in_silence_for_want_of_a_table_or_a_column(company: Company, hq: Installation) -> None:
    """Of three changes one fits: one is applied, two are kept with a reason and shown, three are accounted for."""
    number, epoch, have = hq.rows("SELECT node_no, epoch, have_oseq FROM sync_origin WHERE code = 'BR01'")[0]
    changes = [
        Change(60_000, INSERT, b"1" * 16, [(1, "x")], None),
        Change(CUSTOMER.no, INSERT, b"2" * 16, [(2, "乙"), (30_000, "x")], None),
        Change(CUSTOMER.no, INSERT, b"3" * 16, [(2, "丙")], None),
    ]
    batch = Batch([(number, int.from_bytes(epoch))], [Tx(0, have + 1, 3, 1, 1, None, 0)], changes)
    report = admit(hq.store, batch, sender_no=number, sender_code="BR01")
    assert (report.applied, report.quarantined) == (1, 2)
    assert hq.rows("SELECT reason FROM sync_quarantine ORDER BY oseq") == [("unknown_table",), ("unknown_column",)]
    assert sorted(row["lost"] for row in hq.conflicts(kind="quarantined")) == ["unknown_column", "unknown_table"]


def test_failure_22_columns_in_another_order_receive_the_same_values(company: Company, hq: Installation, one: Installation) -> None:
    """The receiver's table was made by another version: the same columns, shuffled."""
    columns = list(CUSTOMER.fields.values())
    random.Random(22).shuffle(columns)
    declared = ", ".join(f'"{field.key}" {column_type(field)}' for field in columns)
    head, rest = table_sql(CUSTOMER).split("CHECK(length(id) = 16), ", 1)
    shuffled = f"{head}CHECK(length(id) = 16), {declared}, {rest[rest.index('deleted INTEGER') :]}"
    with hq.store.merging() as connection:
        kept = connection.all("SELECT sql FROM sqlite_master WHERE tbl_name = 'customer' AND type IN ('index', 'trigger') AND sql NOT NULL")
        connection.execute("DROP TABLE customer")
        connection.execute(shuffled)
        connection.script(sql for (sql,) in kept)
    customer = one.new("customer", name="甲公司", phone="13800000001", address="上海", remark="备注", short_name="甲")
    one.set("customer", customer, phone="2", address="北京")
    company.exchange()
    assert len(company.digests) == 1
    shown = hq.get("customer", customer)
    assert [shown[key] for key in ("name", "phone", "address", "remark", "short_name")] == ["甲公司", "2", "北京", "备注", "甲"]
    hq.set("customer", customer, phone="3")
    company.exchange()
    assert one.get("customer", customer)["phone"] == "3"
    assert check.check(hq.store)["problems"] == []


def test_failure_28_two_branches_that_take_one_key_stop_nobody(company: Company, one: Installation, two: Installation) -> None:
    """Both records live; and two that swap their keys do."""
    mine, yours = one.new("product", code="P1", name="布", price="9"), two.new("product", code="P1", name="线", price="8")
    company.exchange()
    assert len(company.digests) == 1
    assert {node.value("SELECT count(*) FROM product WHERE code = 'P1' AND deleted = 0") for node in company.nodes} == {2}
    two.set("product", yours, code="P2")
    company.exchange()
    one.set("product", mine, code="P3")
    one.set("product", yours, code="P1")
    one.set("product", mine, code="P2")
    company.exchange()
    assert len(company.digests) == 1
    assert {tuple(node.get("product", identity)["code"] for identity in (mine, yours)) for node in company.nodes} == {("P2", "P1")}


def test_failure_30_the_first_records_of_two_branches_are_two(company: Company, one: Installation, two: Installation) -> None:
    made = [node.new("warehouse", code=node.code, name="仓") for node in (one, two)]
    assert one.rows("SELECT rid FROM warehouse") == two.rows("SELECT rid FROM warehouse") == [(1,)]
    company.exchange()
    for node in company.nodes:
        assert {row[0].hex() for row in node.rows("SELECT id FROM warehouse")} == set(made)


def test_failure_46_a_text_arrives_bit_for_bit(company: Company, one: Installation) -> None:
    texts = ["𝄞🙂", "e\u0301 é", "\u2028\u2029", "a\r\nb\tc", "\ufeff\u200b", "０１２", "'\"\\", "-0.0", "9007199254740993", "长" * 5_000]
    customers = [one.new("customer", name="甲") for _text in texts]
    with one.store.unit_of_work(one.actor.user_id) as uow:
        for customer, text in zip(customers, texts, strict=True):
            uow.update(CUSTOMER, customer, {"remark": text})
    company.exchange()
    for node in company.nodes:
        assert [blob for (blob,) in node.rows("SELECT CAST(remark AS BLOB) FROM customer ORDER BY id")] == [text.encode() for text in texts]


def test_failure_46_an_amount_arrives_to_the_last_cent(company: Company, one: Installation) -> None:
    """Money is whole numbers everywhere; no column of a record can hold a float."""
    limits = ["0.01", "-0.01", "0.10", "12345678901.99", "0.00"]
    customers = [one.new("customer", name="甲", credit_limit=limit) for limit in limits]
    company.exchange()
    for node in company.nodes:
        assert [node.get("customer", customer)["credit_limit"] for customer in customers] == limits
        assert node.rows("SELECT DISTINCT typeof(credit_limit) FROM customer") == [("integer",)]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_failure_46_what_cannot_travel_cannot_be_entered(one: Installation, text: str) -> None:
    with pytest.raises(AppError):
        one.new("customer", name="甲", remark=text)
