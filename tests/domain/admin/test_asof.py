"""A record as it stood at a moment: what it said, what has changed since, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from localcrm.domain.admin import asof
from localcrm.domain.admin.asof import AsOf, Stood, parse_when
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store import asof as stored
from tests import factories
from tests.factories import Company, HandClock, Installation

FIELDS = ("name", "phone", "level", "credit_limit", "remark")


def tick(node: Installation) -> datetime:
    """The moment that is now over."""
    clock = node.store.clock
    assert isinstance(clock, HandClock)
    clock.forward(minutes=1)
    return datetime.fromtimestamp(clock.ms / 1000 - 30, tz=UTC)


def as_of(node: Installation, kind: str, identity: str, moment: datetime, actor: Actor | None = None) -> AsOf:
    with node.store.read() as connection:
        return asof.read_as_of(connection, actor or node.actor, entity=kind, id=identity, moment=moment)


def then(stood: Stood) -> dict[str, Any]:
    assert stood.then is not None
    return dict(stood.then.values)


def test_a_record_as_it_stood_before_it_was_there_after_and_in_the_bin(hq: Installation) -> None:
    before = tick(hq)
    customer = hq.new("customer", name="甲", phone="1")
    first = tick(hq)
    hq.set("customer", customer, phone="2", credit_limit="3.5")
    second = tick(hq)
    hq.delete("customer", customer)
    third = tick(hq)
    hq.undelete("customer", customer)
    assert as_of(hq, "customer", customer, before).record.then is None
    old = as_of(hq, "customer", customer, first).record
    assert (then(old)["phone"], then(old)["credit_limit"], old.changed) == ("1", "0.00", {"phone", "credit_limit"})
    assert as_of(hq, "customer", customer, second).record.changed == frozenset()
    binned = as_of(hq, "customer", customer, third).record
    assert (binned.then and binned.then.deleted, binned.changed) == (True, {"deleted"})


def test_an_order_as_of_a_moment_has_the_lines_of_then(hq: Installation) -> None:
    customer = hq.new("customer", name="甲")
    one, two, three = (hq.new("product", code=code, name=code, price="2", tax_rate="0.13") for code in "ABC")
    order = hq.order(customer, one, two)
    first = tick(hq)
    lines = hq.run("sales.order_with_lines", order_id=order)["lines"]
    hq.run(
        "sales.save_order",
        order_id=order,
        header={},
        lines=[{"id": lines[1]["id"], "quantity": "5"}, {"product_id": three, "quantity": "1"}],
    )
    second = tick(hq)
    hq.run("sales.save_order", order_id=order, header={"remark": "急"}, lines=[])
    old, new = as_of(hq, "sales_order", order, first), as_of(hq, "sales_order", order, second)

    def told(found: AsOf) -> list[tuple[str, str]]:
        return [
            (line.then.values["product_id"], line.then.values["quantity"])
            for line in found.lines["sales_order_line"]
            if line.then is not None
        ]

    assert (told(old), told(new)) == ([(one, "1"), (two, "1")], [(two, "5"), (three, "1")])
    assert (then(old.record)["gross"], then(new.record)["gross"]) == ("4.00", "12.00")
    hq.run("admin.restore_as_of", entity="sales_order", id=order, moment=first.isoformat())
    again = hq.run("sales.order_with_lines", order_id=order)
    assert [(line["product_id"], line["quantity"]) for line in again["lines"]] == [(one, "1"), (two, "1")]
    assert (again["gross"], again["remark"]) == ("4.00", None)


def test_one_field_goes_back_or_all_of_them(hq: Installation) -> None:
    customer = hq.new("customer", name="甲", phone="1")
    first = tick(hq)
    hq.set("customer", customer, phone="2", remark="熟客", name="乙")
    hq.run("admin.restore_as_of", entity="customer", id=customer, moment=first.isoformat(), fields=["phone"])
    assert [hq.get("customer", customer)[key] for key in ("phone", "remark", "name")] == ["1", "熟客", "乙"]
    tick(hq)
    hq.delete("customer", customer)
    hq.run("admin.restore_as_of", entity="customer", id=customer, moment=first.isoformat())
    assert [hq.get("customer", customer)[key] for key in ("phone", "remark", "name")] == ["1", None, "甲"]
    assert not hq.is_deleted("customer", customer)


def test_what_is_not_to_be_put_back_is_refused(hq: Installation) -> None:
    customer, product = hq.new("customer", name="甲"), hq.new("product", code="A", name="布", price="1")
    before = tick(hq)
    order = hq.order(customer, product)
    draft = tick(hq)
    warehouse = hq.new("warehouse", code="W", name="仓")
    hq.run("sales.save_order", order_id=order, header={"warehouse_id": warehouse}, lines=[{"product_id": product, "quantity": "2"}])
    hq.run("sales.post_order", order_id=order)
    posted = as_of(hq, "sales_order", order, draft)
    assert (posted.record.restorable, posted.may_restore) == (frozenset(), False)
    for moment, fields in ((draft, None), (draft, ["warehouse_id"]), (before, None)):
        with pytest.raises(AppError) as refused:
            hq.run("admin.restore_as_of", entity="sales_order", id=order, moment=moment.isoformat(), fields=fields)
        assert refused.value.code == "not_in_history"


def test_what_may_not_be_seen_now_may_not_be_seen_as_it_was(hq: Installation) -> None:
    user = hq.new("user", login="lin", name="林", password=factories.PASSWORD, role="none")
    hq.run("people.set_rights", login="lin", entity="customer", actions=["read", "update"], scope="own")
    for key, rule in (("phone", "masked"), ("credit_limit", "hidden")):
        hq.run("people.set_field_rule", login="lin", entity="customer", field=key, rule=rule)
    mine = hq.new("customer", name="甲", phone="13800001111", credit_limit="5", owner_id=user)
    other = hq.new("customer", name="乙")
    first = tick(hq)
    hq.set("customer", mine, phone="13900002222", credit_limit="6", name="丙")
    lin = actor_by_id(hq.store, user)
    assert lin is not None
    old = as_of(hq, "customer", mine, first, lin).record
    assert then(old)["name"] == "甲" and "credit_limit" not in then(old) and str(then(old)["phone"]) == "138****11"
    assert (old.changed, old.restorable) == ({"name", "phone"}, {"name"})
    with pytest.raises(AppError) as refused:
        as_of(hq, "customer", other, first, lin)
    assert refused.value.code == "not_found"


def test_a_secret_is_in_no_moment(hq: Installation) -> None:
    user = hq.new("user", login="wang", name="王", password="Ein-Geheimnis-9")
    first = tick(hq)
    hq.run("people.set_password", login="wang", password="Ein-anderes-9")
    found = as_of(hq, "user", user, first).record
    assert "password" not in then(found) and found.changed == frozenset()


def test_fields_of_the_company_have_their_past_too(hq: Installation) -> None:
    key = hq.run("admin.add_field", entity="customer", label="色号", type="text")["key"]
    customer = hq.new("customer", name="甲", **{key: "藏青"})
    first = tick(hq)
    hq.set("customer", customer, **{key: "米白"})
    found = as_of(hq, "customer", customer, first).record
    assert (then(found)[key], found.changed) == ("藏青", {key})


@pytest.mark.parametrize("text", ["", "yesterday", "0209-01-01", "2026-13-01", "9999-12-31", "9999-12-31T23:59:59+00:00", "1e9", "\ud800"])
def test_a_moment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(AppError) as refused:
        parse_when(text)
    assert refused.value.code == "bad_moment"


def test_a_day_is_its_end() -> None:
    assert parse_when("2026-11-20").astimezone().strftime("%F %T") == "2026-11-20 23:59:59"
    assert parse_when("2026-11-20 15:00+00:00") == datetime(2026, 11, 20, 15, tzinfo=UTC)


# any history ---------------------------------------------------------------------------------------------------------------

_step = st.tuples(
    st.integers(0, 2), st.sampled_from(FIELDS), st.sampled_from(["1", "2", "3"]), st.sampled_from(["set", "set", "set", "bin", "both"])
)


@settings(max_examples=25)
@given(st.lists(_step, min_size=1, max_size=14))
def test_as_of_any_moment_equals_a_copy_kept_then(office: Company, steps: list[tuple[int, str, str, str]]) -> None:
    """Random changes, also to the bin and back, and two values at once; a copy is kept after each."""
    hq = office.hq
    customers = [hq.new("customer", name="甲") for _n in range(3)]
    copies: list[tuple[datetime, dict[str, Any]]] = []
    kind = entity("customer")

    def keep() -> None:
        moment = tick(hq)
        with hq.store.read() as connection:
            copies.append((moment, {one: stored.record_today(connection, kind, one) for one in customers}))

    keep()
    for index, key, value, what in steps:
        one = customers[index]
        if what == "bin":
            (hq.undelete if hq.is_deleted("customer", one) else hq.delete)("customer", one)
        elif not hq.is_deleted("customer", one):
            hq.set("customer", one, **{key: {"level": "deal" if value == "1" else "prospect"}.get(key, value)})
            if what == "both":
                hq.set("customer", one, name=f"{value}甲", phone=value)
        keep()
    with hq.store.read() as connection:
        for moment, kept in copies:
            assert {one: stored.record_as_of(connection, kind, one, moment) for one in customers} == kept


@pytest.fixture(scope="module")
def office() -> Iterator[Company]:
    with factories.company(branches=1) as made:
        yield made
