"""A salesperson asks the list of customers: whom to call, who owes, whom nobody has called; and sees no more than he may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import conditions
from localcrm.domain.conditions import Asking, is_askable, tree_query
from localcrm.domain.crm.groups import Block, groups
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.spans import bounds
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.schema import entity
from localcrm.store.query import select
from tests.factories import Installation, copy_company

CUSTOMER = entity("customer")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Installation]:
    """Head office of a company without branches."""
    company = copy_company(tmp_path, branches=1)
    company.hq.clock.ms = int(now_utc().timestamp() * 1000)
    yield company.hq
    company.close()


def asked(node: Installation, tree: Any, actor: Actor | None = None, now: datetime | None = None) -> set[str]:
    """Names of the customers that fit."""
    asking = Asking(actor or node.actor, (now or now_utc()).astimezone())
    with node.store.read() as connection:
        return {row["name"] for row in select(connection, tree_query(CUSTOMER, tree, asking)).rows}


def preset(key: str) -> Any:
    return conditions.PRESETS["customer"][key].tree


def ago(**span: float) -> str:
    return (now_utc() - timedelta(**span)).isoformat()


def planned(node: Installation, *customers: str) -> list[bool]:
    """Whether the list shows a next contact beside each of them."""
    with node.store.read() as connection:
        found = customer_glances(connection, node.actor, customers)
    return [found[one].next_contact is not None for one in customers]


def customer(node: Installation, name: str, **values: Any) -> str:
    return node.new("customer", name=name, **values)


def spoke(node: Installation, whom: str, at: str, **values: Any) -> str:
    return node.new("activity", customer_id=whom, at=at, content="电话", **values)


def sold(node: Installation, whom: str, price: str) -> str:
    """A posted order of one service; returns its id."""
    service = node.new("product", code=f"FW-{price}", name="裁剪服务", price=price, stocked="false")
    order = node.order(whom, service)
    node.run("sales.post_order", order_id=order)
    return order


def hired(node: Installation, login: str, **hidden: str) -> Actor:
    """Somebody with rights to his own customers and orders, fields hidden as named by kind."""
    user = node.new("user", login=login, name=login)
    for kind, scope in (("customer", "own"), ("contact", "all"), ("activity", "all"), ("sales_order", "own"), ("receipt", "all")):
        node.run("people.set_rights", login=login, entity=kind, actions=["read"], scope=scope)
    for kind, field in hidden.items():
        node.run("people.set_field_rule", login=login, entity=kind, field=field, rule="hidden")
    actor = actor_by_id(node.store, user)
    assert actor is not None
    return actor


def test_fields_join_by_and_or_and_not(office: Installation) -> None:
    customer(office, "柯桥金龙布业", level="deal", area="柯桥")
    customer(office, "绍兴恒远纺织品", level="deal", area="越城")
    customer(office, "萧山创新染整", level="prospect", area="萧山")
    deal, keqiao = {"field": "level", "op": "=", "value": "deal"}, {"field": "area", "op": "=", "value": "柯桥"}
    assert asked(office, {"all": [deal, keqiao]}) == {"柯桥金龙布业"}
    assert asked(office, {"any": [{"not": deal}, keqiao]}) == {"柯桥金龙布业", "萧山创新染整"}
    assert asked(office, {"all": [{"field": "name", "op": "contains", "value": "纺织"}]}) == {"绍兴恒远纺织品"}
    assert asked(office, {"any": []}) == set()


def test_whom_to_call_is_told_by_the_newest_plan_until_somebody_calls(office: Installation) -> None:
    late, today, later, done, moved = (customer(office, name) for name in ("过期", "今天", "以后", "已联系", "改期"))
    noon = datetime.now().astimezone().replace(hour=12, minute=0, second=0, microsecond=0)

    def at(days: float) -> str:
        return (noon + timedelta(days=days)).astimezone(UTC).isoformat()

    spoke(office, late, at(-9), next_at=at(-2))
    spoke(office, today, at(-9), next_at=at(0))
    spoke(office, later, at(-9), next_at=at(5))
    spoke(office, done, at(-9), next_at=at(-2))
    spoke(office, done, at(-1))
    spoke(office, moved, at(-9), next_at=at(-3))
    spoke(office, moved, at(-4), next_at=at(6))
    assert asked(office, preset("to_contact"), now=noon) == {"过期", "今天"}
    assert asked(office, preset("overdue"), now=noon) == {"过期"}
    assert asked(office, preset("due_today"), now=noon) == {"今天"}
    assert asked(office, {"ask": "to_contact", "days": 7}, now=noon) == {"过期", "今天", "以后", "改期"}
    spoke(office, late, at(-5))  # before the day of the plan: it still stands
    assert asked(office, preset("overdue"), now=noon) == {"过期"}
    assert planned(office, late, today, later, done, moved) == [True, True, True, False, True]  # the column of the list says the same
    spoke(office, late, ago(minutes=1))
    assert asked(office, preset("overdue"), now=noon) == set()
    assert planned(office, late) == [False]


def test_who_was_called_and_who_was_not(office: Installation) -> None:
    week, month, never = (customer(office, name) for name in ("上周", "上月", "从未"))
    spoke(office, week, ago(days=5))
    spoke(office, month, ago(days=40))
    gone = spoke(office, never, ago(days=1))
    office.delete("activity", gone)
    assert asked(office, preset("contacted_7")) == {"上周"}
    assert asked(office, preset("contacted_3")) == set()
    assert asked(office, {"ask": "no_activity", "days": 30}) == {"上月", "从未"}
    assert asked(office, preset("never_contacted")) == {"从未"}
    assert asked(office, preset("dormant")) == set()  # all of them were entered just now
    assert asked(office, preset("dormant"), now=now_utc() + timedelta(days=31)) == {"上周", "上月", "从未"}
    assert asked(office, preset("new")) == {"上周", "上月", "从未"}
    assert asked(office, preset("new"), now=now_utc() + timedelta(days=8)) == set()


def test_what_customers_bought_and_owe(office: Installation) -> None:
    big, small, none = (customer(office, name) for name in ("大客户", "小客户", "无单"))
    orders = {sold(office, big, amount): amount for amount in ("5000", "800.50")}
    sold(office, small, "99")
    office.order(none, office.new("product", code="X", name="未过账", price="10000", stocked="false"))
    assert asked(office, {"ask": "sold", "days": 30, "op": ">", "amount": "5,800"}) == {"大客户"}
    assert asked(office, {"ask": "sold", "days": 30, "op": "=", "amount": "5800.50"}) == {"大客户"}
    assert asked(office, {"ask": "orders", "days": 30, "op": "=", "number": 0}) == {"无单"}
    assert asked(office, preset("owing")) == {"大客户", "小客户"}
    for order, amount in orders.items():
        office.run("finance.receive_payment", order_id=order, amount=amount)
    assert asked(office, preset("owing")) == {"小客户"}
    assert asked(office, {"ask": "no_order", "days": 30}) == {"无单"}


def test_what_was_sold_to_a_customer_that_was_merged_away_counts_for_the_one_that_is_left(office: Installation) -> None:
    kept, away, long_gone = (customer(office, name, level="deal") for name in ("留下的", "并入的", "早先并入的"))
    customer(office, "没有买过的", level="deal")
    for whom, price in ((kept, "100"), (away, "20"), (long_gone, "3")):
        sold(office, whom, price)
    office.run("crm.merge_customers", kept=away, merged=long_gone)
    office.run("crm.merge_customers", kept=kept, merged=away)
    assert office.value("SELECT count(DISTINCT customer_id) FROM sales_order") == 3  # posted orders go on naming whom they were sold to
    assert asked(office, {"ask": "sold", "days": 30, "op": "=", "amount": "123"}) == {"留下的"}
    assert (
        asked(office, {"ask": "owes", "op": ">", "amount": "122"}) == asked(office, {"ask": "orders", "op": ">", "number": 2}) == {"留下的"}
    )
    assert asked(office, {"ask": "no_order"}) == {"没有买过的"}
    with office.store.read() as connection:
        (group,) = groups(connection, office.actor, Block("", "level", None, "sold"))
    assert (group.count, group.total) == (2, Decimal(123))
    lin = hired(office, "lin")
    office.set("customer", kept, owner_id=lin.user_id)
    seen = {"ask": "sold", "days": 30, "op": "=", "amount": "100"}
    assert asked(office, seen, lin) == {"留下的"}  # in his list of orders the others are not either: they name customers of somebody else


def test_contacts_are_counted_and_their_birthdays_kept(office: Installation) -> None:
    soon, leap, alone = (customer(office, name) for name in ("生日", "闰日", "无联系人"))
    office.new("contact", customer_id=soon, name="李娟", birthday="1985-01-03")
    office.new("contact", customer_id=leap, name="王建国", birthday="1988-02-29")
    assert asked(office, {"ask": "contacts", "op": "=", "number": 0}) == {"无联系人"}
    assert asked(office, preset("birthday"), now=datetime(2026, 12, 29, 8, tzinfo=UTC)) == {"生日"}  # over the end of the year
    assert asked(office, preset("birthday"), now=datetime(2027, 2, 25, 8, tzinfo=UTC)) == {"闰日"}
    assert asked(office, preset("birthday"), now=datetime(2027, 3, 2, 8, tzinfo=UTC)) == set()
    assert alone


def test_everybody_asks_only_about_what_he_sees(office: Installation) -> None:
    lin, shen = hired(office, "lin"), hired(office, "shen", activity="next_at", sales_order="gross", customer="phone")
    own = customer(office, "林的客户", owner_id=lin.user_id, phone="13857599812")
    lent = customer(office, "借给林的", phone="13900000000")
    other = customer(office, "沈的客户", owner_id=shen.user_id, phone="13811112222")
    for price, one in enumerate((own, lent, other), start=100):
        spoke(office, one, ago(days=9), next_at=ago(days=2))
        sold(office, one, str(price))
    office.run("people.share_record", entity="customer", id=lent, user_id=lin.user_id, without=["sales_order"])
    lin = actor_by_id(office.store, str(lin.user_id)) or lin
    assert asked(office, preset("overdue"), lin) == {"林的客户", "借给林的"}
    assert asked(office, preset("mine"), lin) == {"林的客户", "借给林的"}
    assert asked(office, preset("mine"), shen) == {"沈的客户"}
    # The orders of the one he was lent were not shared along: of what he sees that customer bought nothing.
    assert asked(office, {"ask": "orders", "days": 30, "op": "=", "number": 0}, lin) == {"借给林的"}
    assert asked(office, {"field": "owner_id", "op": "=", "value": "me"}, lin) == {"林的客户"}
    # What is hidden cannot be probed, however the question is dressed.
    for tree in (
        preset("overdue"),
        preset("owing"),
        {"ask": "sold", "days": 30, "op": ">", "amount": "1"},
        {"not": {"any": [{"field": "phone", "op": "starts", "value": "138"}]}},
    ):
        assert not is_askable(CUSTOMER, tree, Asking(shen))
        with pytest.raises(InvalidInput):
            asked(office, tree, shen)
    assert asked(office, preset("contacted_30"), shen) == {"沈的客户"}
    user = office.new("user", login="he", name="何")
    office.run("people.set_rights", login="he", entity="customer", actions=["read"], scope="all")
    he = actor_by_id(office.store, user)
    assert he is not None
    assert not is_askable(CUSTOMER, preset("never_contacted"), Asking(he))  # he may not see activity records at all
    assert is_askable(CUSTOMER, preset("new"), Asking(he))


NONSENSE: tuple[Any, ...] = (
    None,
    [],
    "all",
    {"all": {}},
    {"all": [], "any": []},
    {"ask": "everything"},
    {"ask": "contacted", "days": 0},
    {"ask": "contacted", "days": "7"},
    {"ask": "contacted", "days": 7, "more": 1},
    {"ask": "sold", "op": "or 1=1", "days": 7, "amount": "1"},
    {"ask": "sold", "op": ">", "days": 7, "amount": "1e400"},
    {"field": "level", "op": "; drop table customer", "value": "x"},
    {"field": 'level" or 1=1 --', "op": "=", "value": "x"},
    {"field": "level", "op": "in", "value": ["x"] * 999},
    {"field": "owner_id", "op": "=", "value": "nobody"},
    {"field": "name", "op": "within", "span": "today"},
    {"field": "credit_days", "op": ">", "value": 10**30},
    {"field": "credit_days", "op": ">", "value": "9" * 30},
    {"field": "credit_limit", "op": ">", "value": "9" * 30},
    {"ask": "sold", "op": ">", "days": 7, "amount": "9" * 30},
    {"field": "name", "op": "yearly", "value": ["11-11"]},
    {"not": {"not": {"not": {"not": {"not": {"not": {"all": []}}}}}}},
    {"all": [{"all": []}] * 99},
)


def test_nonsense_is_refused(office: Installation) -> None:
    for tree in NONSENSE:
        with pytest.raises(AppError):
            asked(office, tree)


def test_days_are_told_from_today() -> None:
    friday = date(2026, 11, 20)
    assert bounds("last", 7, friday) == (date(2026, 11, 14), date(2026, 11, 21))
    assert bounds("next", 3, friday) == (friday, date(2026, 11, 23))
    assert bounds("this_week", 0, friday) == (date(2026, 11, 16), date(2026, 11, 23))
    assert bounds("last_month", 0, date(2027, 1, 31)) == (date(2026, 12, 1), date(2027, 1, 1))
    assert bounds("next_month", 0, date(2026, 12, 31)) == (date(2027, 1, 1), date(2027, 2, 1))
    assert bounds("before", 30, friday) == (None, date(2026, 10, 21))


def test_who_else_a_customer_is_and_who_is_nobodys(office: Installation) -> None:
    both, free, pooled = customer(office, "又买又卖"), customer(office, "没人管", owner_id=""), customer(office, "公海里", owner_id="")
    customer(office, "普通客户")
    office.new("supplier", name="又买又卖", customer_id=both)
    office.new("partner", name="又买又卖", customer_id=both)
    pool = office.new("pool", name="公海")
    office.run("crm.release", customers=[pooled], pool_id=pool, reason="无人")
    assert asked(office, {"ask": "also_supplier"}) == asked(office, {"ask": "also_partner"}) == {"又买又卖"}
    assert asked(office, preset("nobodys")) == {"没人管"} and free
    lin = hired(office, "lin")
    assert not is_askable(CUSTOMER, {"ask": "also_supplier"}, Asking(lin))
