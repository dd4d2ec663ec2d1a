"""What tells of a record that work done apart met goes to the branches that hold the record, and to nobody else."""

from __future__ import annotations

import pytest

from localcrm.kernel.errors import Refused
from localcrm.kernel.schema import entity
from localcrm.store.node import branch_id
from localcrm.sync.codec import UPDATE, Change
from tests.factories import Company, Installation
from tests.sync.scoping import agree, forged, narrow

CONFLICT = entity("conflict")


def apart(company: Company, first: Installation, second: Installation, kind: str, identity: str, field: str = "remark") -> None:
    """Two places write one field apart; head office notes it."""
    first.set(kind, identity, **{field: f"{field} 甲"})
    second.set(kind, identity, **{field: f"{field} 乙"})
    agree(company)
    agree(company)


def note(hq: Installation, kind: str, record: str, other: str | None = None) -> str:
    """Head office notes something about a document, which only its branch writes."""
    values = {"kind": "duplicate" if other else "watched", "entity": kind, "record": record, "other": other, "kept": "1", "lost": "1"}
    with hq.store.unit_of_work(None) as uow:
        return uow.insert(CONFLICT, CONFLICT.validate(values))


def told(node: Installation) -> list[str]:
    return [row["record"] for row in node.conflicts()]


def test_a_branch_is_not_told_what_others_wrote_about_a_customer_that_it_does_not_hold(company, hq, one, two):
    narrow(company, "BR01", "own_customers")
    mine, theirs = one.new("customer", name="甲公司"), two.new("customer", name="乙公司")
    contact = two.new("contact", customer_id=theirs, name="钱七")
    agree(company)
    apart(company, hq, one, "customer", mine)
    apart(company, hq, two, "customer", theirs)
    apart(company, hq, two, "contact", contact)
    assert told(one) == [mine]
    assert told(two) == told(hq) == [mine, theirs, contact]
    assert one.value("SELECT count(*) FROM sync_log WHERE tbl = ?", CONFLICT.no) == 1


def test_it_comes_and_goes_with_the_record(company, hq, one, two):
    narrow(company, "BR01", "own_customers")
    here, there = (branch_id(hq.store.node.company_id, code) for code in ("BR01", "BR02"))
    customer = two.new("customer", name="乙公司")
    agree(company)
    apart(company, hq, two, "customer", customer)
    hq.set("customer", customer, branch_id=here)
    agree(company)
    assert told(one) == [customer]
    hq.set("customer", customer, branch_id=there)
    agree(company)
    assert told(one) == []
    assert told(hq) == [customer]


def test_a_branch_keeps_what_it_settled_whoever_settled_it_too(company, hq, one, two):
    customer = two.new("customer", name="乙公司")
    company.exchange()
    apart(company, hq, two, "customer", customer)
    (conflict,) = one.conflicts()
    for node in (one, two):
        node.run("admin.resolve_conflict", id=conflict["id"], keep="kept")
    narrow(company, "BR01", "own_customers")
    agree(company)
    agree(company)
    assert hq.get("conflict", conflict["id"])["resolved_nodes"] == "BR01\nBR02"
    assert told(one) == [customer]
    assert one.value("SELECT count(*) FROM customer WHERE id = ?", bytes.fromhex(customer)) == 0


def test_a_branch_keeps_what_it_let_wait_again_and_others_settle_it(company, hq, one, two):
    customer = two.new("customer", name="乙公司")
    company.exchange()
    apart(company, hq, two, "customer", customer)
    (conflict,) = one.conflicts()
    hq.run("admin.resolve_conflict", id=conflict["id"], keep="kept")
    company.exchange()
    one.run("admin.reopen_conflict", id=conflict["id"])
    narrow(company, "BR01", "own_customers")
    agree(company)
    agree(company)
    assert hq.get("conflict", conflict["id"])["resolved_nodes"] == "BR01\nHQ"
    assert (told(one), one.get("conflict", conflict["id"])["state"]) == ([customer], "open")
    hq.run("admin.resolve_conflict", id=conflict["id"], keep="kept")
    agree(company)
    with pytest.raises(Refused) as refused:
        one.run("admin.reopen_conflict", id=conflict["id"])
    assert refused.value.code == "not_held_here"


def test_what_is_told_of_another_branchs_order_is_not_told_to_a_branch_with_its_own(company, hq, one, two):
    product = hq.new("product", code="P1", name="坯布", unit="米", price="9.00")
    customer = hq.new("customer", name="甲公司")
    company.exchange()
    mine, theirs = one.order(customer, product), two.order(customer, product)
    narrow(company, "BR01", "own")
    agree(company)
    for kind, record, other in (
        ("sales_order", mine, None),
        ("sales_order", theirs, None),
        ("sales_order", theirs, mine),
        ("customer", customer, None),
    ):
        note(hq, kind, record, other)
    agree(company)
    assert told(one) == [mine, theirs, customer]  # his order says the same as that of another branch
    assert told(two) == told(hq) == [mine, theirs, theirs, customer]
    narrow(company, "BR01", "all")
    agree(company)
    assert sorted(told(one)) == sorted(told(hq))


def test_a_line_that_was_removed_takes_what_was_told_of_it_along(company, hq, one, two):
    product = hq.new("product", code="P1", name="坯布", unit="米", price="9.00")
    customer = hq.new("customer", name="甲公司")
    for code in ("BR01", "BR02"):
        narrow(company, code, "own")
    agree(company)
    order = one.order(customer, product)
    agree(company)
    line = one.value("SELECT id FROM sales_order_line").hex()
    note(hq, "sales_order_line", line)
    agree(company)
    assert (told(one), told(two)) == ([line], [])
    one.run("sales.save_order", order_id=order, header={"customer_id": customer}, lines=[])
    agree(company)
    assert (told(one), told(two), told(hq)) == ([], [], [line])


def test_a_tampered_program_settles_nothing_that_it_was_never_told(company, hq, one, two):
    narrow(company, "BR01", "own_customers")
    customer = two.new("customer", name="乙公司")
    agree(company)
    apart(company, hq, two, "customer", customer)
    (conflict,) = hq.conflicts()
    settling = Change(CONFLICT.no, UPDATE, bytes.fromhex(conflict["id"]), [(CONFLICT.fields["state"].no, "open", "resolved")], None)
    assert forged(company, settling) == ["not_owner"]
    assert hq.get("conflict", conflict["id"])["state"] == "open"


def test_of_two_records_that_say_the_same_a_branch_settles_the_one_that_it_holds(company, hq, one, two):
    narrow(company, "BR01", "own_customers")
    mine, theirs = one.new("customer", name="甲公司"), two.new("customer", name="乙公司")
    agree(company)
    conflict = note(hq, "customer", theirs, mine)
    agree(company)
    assert told(one) == [theirs]
    with pytest.raises(Refused) as refused:
        one.run("admin.resolve_conflict", id=conflict, keep="kept")
    assert refused.value.code == "not_held_here"


def test_what_tells_of_a_conflict_goes_with_that_one(company, hq, one, two):
    """A row that was damaged at the other branch was mended, and its texts told to everybody."""
    narrow(company, "BR01", "own_customers")
    customer = two.new("customer", name="乙公司")
    agree(company)
    apart(company, hq, two, "customer", customer)
    (conflict,) = hq.conflicts()
    note(hq, "conflict", conflict["id"])
    agree(company)
    assert told(one) == []
    assert sorted(told(two)) == sorted([customer, conflict["id"]])
    hq.set("customer", customer, branch_id=branch_id(hq.store.node.company_id, "BR01"))
    agree(company)
    assert sorted(told(one)) == sorted([customer, conflict["id"]])


def test_what_was_kept_aside_and_arrives_after_all_brings_what_was_told_of_it(company, hq, one, two):
    narrow(company, "BR01", "own_customers")
    customer = one.new("customer", name="甲公司")
    agree(company)
    later = "01a2" + "0" * 28
    with hq.store.unit_of_work(None) as uow:
        values = {"kind": "quarantined", "entity": "contact", "record": later, "lost": "unknown_column", "lost_node": "BR02"}
        uow.insert(CONFLICT, CONFLICT.validate(values))
    agree(company)
    assert (told(one), told(two)) == ([], [later])
    with hq.store.unit_of_work(hq.actor.user_id) as uow:
        contact = entity("contact")
        uow.insert(contact, contact.validate({"customer_id": customer, "name": "王五"}), identity=later)
    agree(company)
    assert told(one) == [later]
