"""Whose a customer is, and what hangs on that: what keeps it with its salesperson, what goes along, who else sees it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain import policy, verbs
from localcrm.domain.conditions import Asking, tree_query
from localcrm.domain.crm import custody, custody_rules, reclaim
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.people.shared_with import shares_of
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, Forbidden
from localcrm.kernel.schema import entity
from localcrm.store.query import ListQuery, select
from tests.scenarios.customers.test_pools import Day, custody_moment, refused, working_day


@pytest.fixture
def day() -> Iterator[Day]:
    """Head office alone."""
    yield from working_day(branches=0)


@pytest.fixture
def apart() -> Iterator[Day]:
    """Head office and two branches."""
    yield from working_day(branches=2)


# what goes along ---------------------------------------------------------------------------------------------------------------


def own_only(day: Day, *logins: str) -> None:
    """People who see and hand over only what is their own."""
    role = day.hq.new("role", name="业务员")
    for kind in ("customer", "opportunity", "quote", "contract", "ticket", "sales_order"):
        for action in ("read", "create", "update", "transfer"):
            day.hq.run("people.set_role_right", role_id=role, entity=kind, action=action, scope="own")
    for login in logins:
        day.hq.run("people.set_roles", login=login, roles=[role])


#: Titles of what ``filled`` makes.
EVERYTHING = {"一期", "二期", "面料", "年度", "断线", "别人的"}


def filled(day: Day, owner: str) -> tuple[str, dict[str, str]]:
    """A customer with something of every kind under way, and what is done with."""
    user = day.users[owner]
    customer = day.hq.new("customer", name="恒远纺织", owner_id=user)
    made = {
        "opportunity": day.hq.new("opportunity", customer_id=customer, title="二期", owner_id=user),
        "lost": day.hq.new("opportunity", customer_id=customer, title="一期", owner_id=user),
        "quote": day.hq.new("quote", customer_id=customer, title="面料", status="sent", owner_id=user),
        "contract": day.hq.new("contract", customer_id=customer, title="年度", status="signed", ends_on="2099-12-31", owner_id=user),
        "ticket": day.hq.new("ticket", customer_id=customer, title="断线", assignee_id=user),
        "colleague": day.hq.new("quote", customer_id=customer, title="别人的", status="sent", owner_id=day.users["zhou"]),
    }
    day.hq.run("crm.lose", opportunity_id=made["lost"], reason="dear")
    return customer, made


def titles_seen(day: Day, who: str) -> set[str]:
    """Titles of EVERYTHING of some kinds that somebody sees."""
    actor, found = actor_by_id(day.hq.store, day.users[who]), set()
    assert actor is not None
    with day.hq.store.read() as connection:
        for kind in ("opportunity", "quote", "contract", "ticket"):
            rows = select(connection, ListQuery(entity(kind), restrict=policy.view(actor, entity(kind)))).rows
            found |= {row["title"] for row in rows}
    return found


def test_open_work_goes_along_with_its_customer_and_the_link_says_so(day: Day) -> None:
    customer, made = filled(day, "chen")
    own_only(day, "chen", "lin")
    assert titles_seen(day, "lin") == set()
    with day.hq.store.read() as connection:
        told = custody.goes_along(connection, actor_by_id(day.hq.store, day.users["chen"]), day.hq.store.node, [customer])
    assert told == {"opportunity": 1, "quote": 1, "contract": 1, "ticket": 1}
    done = verbs.act(day.hq.store, day.hq.actor, "crm.hand_over", {"customers": [customer], "to": day.users["lin"]})
    assert done.value == {"moved": 1, "along": told, "left": {}}
    assert titles_seen(day, "lin") == EVERYTHING  # the customer is hers
    assert titles_seen(day, "chen") == {"一期"}  # what was over keeps who did it
    with day.hq.store.read() as connection:
        (link,) = custody.chain(connection, day.hq.actor, customer)
    assert (custody_rules.along_of(link), link["fault"]) == (told, False)
    assert custody_rules.faults([{**link, "along": "opportunity:9"}])  # what it says of that is sealed too
    day.hq.run("admin.undo_action", change=done.change)
    assert titles_seen(day, "lin") == set()
    assert day.hq.get("quote", made["colleague"])["owner_id"] == day.users["zhou"]


def test_only_what_was_ticked_goes_along_and_only_with_the_right_to_hand_it_over(day: Day) -> None:
    customer, made = filled(day, "chen")
    own_only(day, "chen")
    with refused("bad_kind"):
        day.do(day.hq, "chen", "hand_over", customers=[customer], to=day.users["lin"], along=["delivery"])
    role = day.hq.rows("SELECT lower(hex(id)) FROM role WHERE name = '业务员'")[0][0]
    day.hq.run("people.set_role_right", role_id=role, entity="contract", action="transfer", scope="none")
    with pytest.raises(Forbidden):
        day.do(day.hq, "chen", "hand_over", customers=[customer], to=day.users["lin"], along=["contract"])
    day.do(day.hq, "chen", "hand_over", customers=[customer], to=day.users["lin"], along=["opportunity"])
    owners = {key: day.hq.get("opportunity" if key == "lost" else key, made[key]) for key in ("opportunity", "lost", "quote", "contract")}
    assert {key: row["owner_id"] == day.users["lin"] for key, row in owners.items()} == {
        "opportunity": True, "lost": False, "quote": False, "contract": False,
    }  # fmt: skip


def test_what_was_sold_is_credited_to_whoever_had_the_customer_then(day: Day) -> None:
    customer = day.hq.new("customer", name="甲", owner_id=day.users["chen"])
    product = day.hq.new("product", code="P1", name="雪纺", price="10.00")
    day.hq.new("warehouse", code="W1", name="总仓")
    first, second = (day.hq.order(customer, product, quantity="10") for _n in range(2))
    for order in (first, second):
        post(day, order, days=-1)
    day.do(day.hq, "admin", "hand_over", customers=[customer], to=day.users["lin"])
    post(day, day.hq.order(customer, product, quantity="3"), days=1)
    day.hq.run("sales.reverse_order", order_id=second)  # takes back what chen is credited with
    day.hq.order(customer, product)  # a draft counts for nobody
    with day.hq.store.read() as connection:
        sold = custody.sold_under(connection, day.hq.actor, customer)
    assert [(one.user, one.orders, one.gross) for one in sold] == [
        (day.users["chen"], 2, Decimal("100.00")),
        (day.users["lin"], 1, Decimal("30.00")),
    ]


def post(day: Day, order: str, *, days: int) -> None:
    """Post an order so many days from the present."""
    on = custody_moment(day.hq.store).astimezone().date() + timedelta(days=days)
    day.hq.set("sales_order", order, date=on.isoformat())
    day.hq.run("sales.post_order", order_id=order)


# who else sees it ---------------------------------------------------------------------------------------------------------------


def test_a_shared_customer_is_shared_with_what_belongs_to_it_unless_something_is_left_out(day: Day) -> None:
    customer, made = filled(day, "chen")
    own_only(day, "chen", "lin")
    share = {"entity": "customer", "id": customer, "user_id": day.users["lin"], "reason": "一起跟"}
    day.hq.run("people.share_record", **share)
    assert titles_seen(day, "lin") == EVERYTHING
    with pytest.raises(Forbidden):
        change(day, "lin", "opportunity", made["opportunity"], title="改了")
    day.hq.run("people.share_record", **share, level="write", without=["contract", "quote"])
    assert titles_seen(day, "lin") == EVERYTHING - {"面料", "年度", "别人的"}
    change(day, "lin", "opportunity", made["opportunity"], title="改了")
    with pytest.raises(AppError):
        change(day, "lin", "quote", made["quote"], title="改了")
    assert day.hq.rows('SELECT "without", reason FROM share') == [("contract quote", "一起跟")]
    day.hq.run("people.unshare", share_id=day.hq.value("SELECT lower(hex(id)) FROM share"))
    assert titles_seen(day, "lin") == set()


def test_the_owner_of_a_customer_sees_what_others_create_there_and_changes_it_not(day: Day) -> None:
    _customer, made = filled(day, "chen")
    elsewhere = day.hq.new("customer", name="别家", owner_id=day.users["lin"])
    day.hq.new("quote", customer_id=elsewhere, title="别家的", owner_id=day.users["zhou"])
    own_only(day, "chen")
    assert titles_seen(day, "chen") == EVERYTHING
    with pytest.raises(Forbidden):
        change(day, "chen", "quote", made["colleague"], title="改了")


def test_a_customer_is_not_shared_with_whoever_it_belongs_to(day: Day) -> None:
    customer = day.hq.new("customer", name="甲", owner_id=day.users["chen"])
    with refused("holder_shared"):
        day.hq.run("people.share_record", entity="customer", id=customer, user_id=day.users["chen"])


def test_who_asks_for_a_customer_of_a_pool_reads_the_customer_meanwhile_and_no_more(apart: Day) -> None:
    apart.pool()
    (customer,) = apart.in_pool("甲")
    apart.hq.new("quote", customer_id=customer, title="老报价", owner_id=apart.users["chen"])
    apart.company.exchange()
    apart.do(apart.two, "wu", "pick", customers=[customer])
    wu = actor_by_id(apart.two.store, apart.users["wu"])
    assert wu is not None and wu.rights is not None
    assert (wu.rights.shared, wu.rights.along) == ({("customer", "read"): frozenset({customer})}, {})


def test_who_shall_only_follow_up_adds_contacts_and_activity_records_and_changes_nothing_else(day: Day) -> None:
    customer = day.hq.new("customer", name="甲", owner_id=day.users["chen"])
    others = day.hq.new("activity", customer_id=customer, content="老的")
    own_only(day, "lin")
    role = day.hq.value("SELECT lower(hex(id)) FROM role WHERE name = '业务员'")
    for kind in ("activity", "contact"):
        for action in ("read", "create", "update"):
            day.hq.run("people.set_role_right", role_id=role, entity=kind, action=action, scope="all")
    day.hq.run("people.share_record", entity="customer", id=customer, user_id=day.users["lin"], level="follow")
    mine = create(day, "lin", "activity", customer_id=customer, content="问过了")
    create(day, "lin", "contact", customer_id=customer, name="周工")
    change(day, "lin", "activity", mine, content="问过了，要样布")
    for kind, identity, values in (("activity", others, {"content": "改"}), ("customer", customer, {"phone": "1"})):
        with pytest.raises(AppError):
            change(day, "lin", kind, identity, **values)
    day.hq.run("people.share_record", entity="customer", id=customer, user_id=day.users["lin"], level="read")
    with pytest.raises(AppError):
        create(day, "lin", "contact", customer_id=customer, name="李工")


def test_nobody_shares_more_than_he_may_do_himself(day: Day) -> None:
    own_only(day, "chen")
    role = day.hq.value("SELECT lower(hex(id)) FROM role WHERE name = '业务员'")
    day.hq.run("people.set_role_right", role_id=role, entity="customer", action="share", scope="all")
    day.hq.run("people.set_role_right", role_id=role, entity="customer", action="read", scope="all")
    customer = day.hq.new("customer", name="甲", owner_id=day.users["zhou"])
    share = {"entity": "customer", "id": customer, "user_id": day.users["lin"]}
    with pytest.raises(Forbidden):
        run(day, "chen", "people.share_record", **share, level="write")
    run(day, "chen", "people.share_record", **share)
    assert asked(day, "chen", "shared_by_me") == asked(day, "lin", "shared_to_me") == ["甲"]
    assert asked(day, "lin", "shared_by_me") == []
    with day.hq.store.read() as connection:
        (told,) = shares_of(connection, day.hq.store.node, day.hq.actor, entity("customer"), customer, today=date(2026, 11, 20))
    assert told.by == "chen" and abs(told.since - now_utc()) < timedelta(minutes=5)


def asked(day: Day, who: str, question: str) -> list[str]:
    """Names of the customers that a question finds for somebody."""
    actor = actor_by_id(day.hq.store, day.users[who])
    assert actor is not None
    with day.hq.store.read() as connection:
        asking = Asking(actor, custody_moment(day.hq.store).astimezone())
        rows = select(connection, tree_query(entity("customer"), {"ask": question}, asking)).rows
    return [row["name"] for row in rows]


def create(day: Day, who: str, kind: str, **values: Any) -> str:
    return str(run(day, who, "records.create_record", entity=kind, values=values)["id"])


def change(day: Day, who: str, kind: str, identity: str, **values: Any) -> None:
    run(day, who, "records.update_record", entity=kind, id=identity, values=values)


def run(day: Day, who: str, verb: str, **parameters: Any) -> Any:
    actor = actor_by_id(day.hq.store, day.users[who])
    assert actor is not None
    return verbs.run(day.hq.store, actor, verb, parameters)


# many at once ----------------------------------------------------------------------------------------------------------------


def test_many_are_picked_at_once_all_or_none(apart: Day) -> None:
    apart.pool(picks_per_day=2)
    three = apart.in_pool("甲", "乙", "丙")
    with refused("pick_day_full"):
        apart.do(apart.hq, "chen", "pick", customers=three)
    assert {apart.owner(apart.hq, one) for one in three} == {None}
    assert apart.do(apart.hq, "chen", "pick", customers=three[:2]) == {"granted": 2, "asked": 0}
    with refused("choose_customers"):
        apart.do(apart.hq, "chen", "pick", customers=[])
    assert apart.do(apart.two, "wu", "pick", customers=three[1:]) == {"granted": 0, "asked": 2}
    apart.company.exchange()
    assert sorted(outcome for _title, outcome, _winner in apart.claims(apart.two, "wu") if outcome) == ["granted", "taken"]


def test_customers_of_a_pool_are_given_out_by_rules_in_turn_within_limits_and_not_to_who_is_away(day: Day) -> None:
    pool = day.pool(barred_days=30)
    lin, wu, zhou = (day.users[who] for who in ("lin", "wu", "zhou"))
    day.hq.new("allot_rule", name="华东", pool_id=pool, position=1, area="浙江省", members=f"{lin} {wu}")
    day.hq.new("allot_rule", name="其余", pool_id=pool, position=2, members=f"{zhou} {wu}", held_most=1)
    names = ("绍兴一", "绍兴二", "绍兴三", "上海", "北京", "广州")
    made = dict(zip(names, day.in_pool(*names), strict=True))
    for name in names[:3]:
        day.hq.set("customer", made[name], area="浙江省/绍兴市")
    given_up = day.hq.new("customer", name="绍兴四", area="浙江省", owner_id=lin)
    day.do(day.hq, "lin", "release", customers=[given_up], reason="跟不动")
    told = day.do(day.hq, "admin", "allot_preview", pool_id=pool)
    assert [(row["name"], row["to_name"], row["rule"]) for row in told["rows"]] == [
        ("绍兴一", "lin", "华东"), ("绍兴二", "wu", "华东"), ("绍兴三", "lin", "华东"), ("上海", "zhou", "其余"),
        ("绍兴四", "wu", "华东"),
    ]  # fmt: skip
    assert told["left"] == 2  # zhou has one, and wu more than one
    day.hq.set("pool", pool, away=wu, held_most=20)
    own_only(day, "chen")
    with pytest.raises(Forbidden):
        day.do(day.hq, "chen", "allot", pool_id=pool)
    done = verbs.act(day.hq.store, day.hq.actor, "crm.allot", {"pool_id": pool})
    assert done.value == {"moved": 4, "left": 3, "by": {lin: 3, zhou: 1}}  # the fourth of Shaoxing lin has only just given up
    assert day.chain(day.hq, made["绍兴二"])[-1] == ("assign", None, "lin")
    day.hq.run("admin.undo_action", change=done.change)
    assert day.hq.value("SELECT count(*) FROM customer WHERE pool_id IS NOT NULL") == 7
    with refused("members_needed"):
        day.hq.new("allot_rule", name="没人", pool_id=pool)


# what keeps a customer from being reclaimed -----------------------------------------------------------------------------------


def test_an_open_opportunity_or_a_running_contract_keeps_a_customer_with_its_salesperson(day: Day) -> None:
    pool = day.pool()
    day.hq.new("reclaim_rule", name="三十天", pool_id=pool, days=30)
    made = {
        name: day.hq.new("customer", name=name, owner_id=day.users["chen"]) for name in ("没事", "商机", "丢单", "合同", "旧合同", "报价")
    }
    day.hq.new("opportunity", customer_id=made["商机"], title="二期")
    lost = day.hq.new("opportunity", customer_id=made["丢单"], title="一期")
    day.hq.run("crm.lose", opportunity_id=lost, reason="dear")
    running = {"status": "signed", "starts_on": "2026-01-01", "amount": "100"}
    day.hq.new("contract", customer_id=made["合同"], title="年度", ends_on="2099-12-31", **running)
    day.hq.new("contract", customer_id=made["旧合同"], title="去年", ends_on="2026-02-01", **running)
    day.hq.new("quote", customer_id=made["报价"], title="面料")
    day.hq.clock.forward(days=31)  # type: ignore[attr-defined]
    assert reclaim.run(day.hq.store) == 4
    assert {name for name, one in made.items() if day.owner(day.hq, one)} == {"商机", "合同"}


def test_the_salesperson_is_reminded_of_what_goes_back_to_the_pool_soon_until_he_has_cared_for_it(day: Day) -> None:
    pool = day.pool()
    day.hq.new("reclaim_rule", name="三十天", pool_id=pool, days=30, remind_days=7)
    customer = day.hq.new("customer", name="甲", owner_id=day.users["chen"])
    day.hq.new("customer", name="乙", owner_id=day.users["lin"])
    assert (reminded(day, "chen"), asked(day, "chen", "near_pool")) == ([], [])
    day.hq.clock.forward(days=24)  # type: ignore[attr-defined]
    assert reminded(day, "chen") == [("甲", "公海", customer)]
    assert asked(day, "chen", "near_pool") == ["甲"]
    day.hq.new("activity", customer_id=customer, content="去过了", at=custody_moment(day.hq.store).isoformat())
    assert (reminded(day, "chen"), asked(day, "chen", "near_pool")) == ([], [])
    day.hq.clock.forward(days=24)  # type: ignore[attr-defined]
    (key,) = (row["key"] for row in run(day, "chen", "crm.list_reminders", days=0)["rows"] if row["kind"] == "reclaim")
    run(day, "chen", "crm.settle_reminders", keys=[key])
    assert reminded(day, "chen") == []
    assert asked(day, "chen", "near_pool") == ["甲"]  # the query tells of it all the same


def reminded(day: Day, who: str) -> list[tuple[str, str, str]]:
    """Customers that somebody is reminded of because they go to a pool, with the pool."""
    rows = run(day, who, "crm.list_reminders", days=0)["rows"]
    return [(row["title"], row["text"], row["customer"]) for row in rows if row["kind"] == "reclaim"]


def test_rules_ask_for_opportunities_deals_and_contracts_too_one_of_them_or_all(day: Day) -> None:
    pool = day.pool()
    rule = day.hq.new("reclaim_rule", name="两年", pool_id=pool, days=0, deal_days=60, contract_days=30, spare_open=False)
    names = ("没成交", "刚签", "到期", "执行中")
    made = {name: day.hq.new("customer", name=name, owner_id=day.users["chen"]) for name in names}
    today = custody_moment(day.hq.store).astimezone().date()
    for name, signed, ends in (("刚签", 20, -300), ("到期", 20, -25), ("执行中", -300, -300)):
        dates = {"signed_on": (today + timedelta(days=signed)).isoformat(), "ends_on": (today - timedelta(days=ends)).isoformat()}
        day.hq.new("contract", customer_id=made[name], title=name, status="signed", **dates)
    assert due(day) == {"没成交": 60, "刚签": 80, "到期": 80, "执行中": 60}  # an end that has not come counts for nothing
    day.hq.clock.forward(days=40)  # type: ignore[attr-defined]
    assert due(day) == {"没成交": 20, "刚签": 40, "到期": 15, "执行中": 20}
    day.hq.set("reclaim_rule", rule, together="all")
    assert due(day) == {"到期": 40}
    day.hq.set("reclaim_rule", rule, contract_days="", deal_days="", opportunity_days=10)
    won = day.hq.new("opportunity", customer_id=made["刚签"], title="二期")
    lost = day.hq.new("opportunity", customer_id=made["到期"], title="一期")
    day.hq.run("crm.lose", opportunity_id=lost, reason="dear")
    told = due(day)
    assert set(told) == {"没成交", "到期", "执行中"}
    assert (told["没成交"], day.hq.get("opportunity", won)["state"]) == (-30, "negotiating")
    with refused("rule_asks_nothing"):
        day.hq.set("reclaim_rule", rule, opportunity_days="")


def due(day: Day) -> dict[str, int]:
    """In how many days customers go to a pool."""
    return {row["name"]: row["days"] for row in day.do(day.hq, "admin", "reclaim_preview", within_days=1000)["rows"]}
