"""The log as people read it: the history of a record, and what a row was at first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from localcrm.kernel.schema import entity
from localcrm.store import changelog
from tests import factories
from tests.factories import Installation

CUSTOMER, USER, LINE = entity("customer"), entity("user"), entity("sales_order_line")


@pytest.fixture
def hq() -> Iterator[Installation]:
    with factories.company(branches=1) as company:
        yield company.hq


def history(node: Installation, kind: str, identity: str) -> list[tuple[object, ...]]:
    with node.store.read() as connection:
        return [(row.node, row.field, row.old, row.new) for row in changelog.history(connection, entity(kind), identity)]


def first(node: Installation, kind: str, identity: str) -> dict[str, object]:
    made, key = entity(kind), bytes.fromhex(identity)
    with node.store.read() as connection:
        values = changelog.first_values(connection, made, [key])[key]
    return {made.by_no[no].key: value for no, value in values.items() if value is not None}


def test_a_history_tells_every_change_newest_first(hq):
    customer = hq.new("customer", name="甲", phone="1")
    hq.set("customer", customer, phone="2", credit_limit="3.50")
    hq.delete("customer", customer)
    hq.undelete("customer", customer)
    told = history(hq, "customer", customer)
    assert told[:4] == [
        ("HQ", "deleted", True, False),
        ("HQ", "deleted", False, True),
        ("HQ", "phone", "1", "2"),
        ("HQ", "credit_limit", "0.00", "3.50"),
    ]
    assert {("HQ", "name", None, "甲"), ("HQ", "phone", None, "1")} <= set(told[4:])


def test_a_history_says_who_and_when(hq):
    customer = hq.new("customer", name="甲")
    with hq.store.read() as connection:
        rows = changelog.history(connection, CUSTOMER, customer)
    assert {row.user_id for row in rows} == {hq.actor.user_id}
    assert {row.at for row in rows} == {"2026-11-20T12:00:00.000Z"}


def test_a_history_never_shows_a_secret(hq):
    user = hq.new("user", login="wang", name="王", password="Ein-Geheimnis-9")
    hq.run("people.set_password", login="wang", password="Noch-Ein-Geheimnis-9")
    told = history(hq, "user", user)
    assert "argon2" not in str(told)
    assert told[0] == ("HQ", "password", None, None)


def test_a_history_holds_what_lost_too():
    with factories.company() as company:
        customer = company.hq.new("customer", name="甲", phone="1")
        company.exchange()
        one, two = company.branches.values()
        one.set("customer", customer, phone="11")
        two.set("customer", customer, phone="22")
        company.exchange()
        told = [history(node, "customer", customer) for node in company.nodes]
        assert [set(rows[:2]) for rows in told] == [{("BR01", "phone", "1", "11"), ("BR02", "phone", "1", "22")}] * 3


def test_first_values_are_those_of_the_beginning(hq):
    customer = hq.new("customer", name="甲", phone="1", owner_id=None)
    before = first(hq, "customer", customer)
    for text in ("2", "3", None):
        hq.set("customer", customer, phone=text, name=f"甲{text}", owner_id=hq.actor.user_id)
    assert first(hq, "customer", customer) == before
    assert (before["name"], before["phone"], "owner_id" in before) == ("甲", "1", False)


def test_first_values_of_a_line_that_went_come_from_its_removal(hq):
    order = hq.order(hq.new("customer", name="甲"), hq.new("product", code="P", name="布", price="9"))
    line = hq.run("sales.order_with_lines", order_id=order)["lines"][0]["id"]
    before = first(hq, "sales_order_line", line)
    hq.run("sales.save_order", order_id=order, header={}, lines=[{"id": line, "quantity": "7", "remark": "x"}])
    hq.run("sales.save_order", order_id=order, header={}, lines=[])
    assert first(hq, "sales_order_line", line) == before


def test_first_values_do_not_depend_on_who_changed_the_record_since():
    with factories.company() as company:
        customer = company.hq.new("customer", name="甲", phone="1")
        before = first(company.hq, "customer", customer)
        company.exchange()
        for node in company.nodes:
            node.set("customer", customer, phone=node.code, address=node.code)
            node.set("customer", customer, phone=f"{node.code}-2")
        company.exchange()
        assert [first(node, "customer", customer) for node in company.nodes] == [before] * 3


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"))


@given(st.dictionaries(st.sampled_from([f.no for f in CUSTOMER.fields.values() if f.kind != "ref"]), st.tuples(VALUES, VALUES)))
def test_a_diff_is_read_as_it_was_written(pairs):
    assert changelog.parse_diff(CUSTOMER, changelog.write_diff(pairs)) == pairs


@given(st.dictionaries(st.sampled_from([f.no for f in LINE.fields.values() if f.kind != "ref"]), VALUES))
def test_a_removed_row_is_read_as_it_was_written(row):
    assert changelog.parse_row(LINE, changelog.write_row(row)) == row


def test_many_changes_are_announced_without_naming_each(hq):
    heard = []
    hq.store.listen(heard.append)
    with hq.store.unit_of_work(None) as uow:
        uow.insert_many(CUSTOMER, [CUSTOMER.validate({"name": f"客户{n}"}) | {"id": f"{n:032x}"} for n in range(changelog.MANY + 1)])
    assert heard[0].ids == {"customer": None}
    assert heard[0].touches("customer", "0" * 32)
