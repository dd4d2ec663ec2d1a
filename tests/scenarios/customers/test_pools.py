"""Whose a customer is, through a working day at head office and two branches: handed over, released, picked, asked for, reclaimed, merged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.crm import custody, custody_rules, pool_admins, pools, reclaim
from localcrm.domain.crm.reminders import reminders
from localcrm.domain.importing import import_rows
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.people.shared_with import shares_of
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError, Forbidden
from localcrm.kernel.schema import entity
from localcrm.store.query import records_by_id
from localcrm.store.store import Store
from localcrm.ui.kit.columns import row_json
from tests.factories import Company, Installation, copy_company, fast_folder
from tests.scenarios.customers.test_traps import code as fault_of

PEOPLE = {"chen": None, "lin": "BR01", "zhou": "BR02", "wu": "BR02"}


def fill(company: Company) -> None:
    """Four salespeople, two of them at the second branch, and everybody knows everybody."""
    with company.hq.store.read() as connection:
        branches = {code: pk.hex() for code, pk in connection.all("SELECT code, id FROM branch")}
    for login, branch in PEOPLE.items():
        company.hq.new("user", login=login, name=login, role="staff", branch_id=branches.get(branch or ""))
    company.exchange()


@dataclass
class Day:
    """The company, and whoever acts in it by name."""

    company: Company

    def __post_init__(self) -> None:
        self.hq = self.company.hq
        self.one, self.two = self.company.branches.get("BR01", self.hq), self.company.branches.get("BR02", self.hq)
        self.users = dict(self.hq.rows("SELECT login, lower(hex(id)) FROM user"))

    def do(self, where: Installation, who: str, verb: str, **parameters: Any) -> Any:
        actor = actor_by_id(where.store, self.users[who])
        assert actor is not None
        return verbs.run(where.store, actor, f"crm.{verb}", parameters)

    def pool(self, **values: Any) -> str:
        """A pool that everybody knows."""
        made = self.hq.new("pool", **{"name": "公海", **values})
        self.tell()
        return made

    def tell(self) -> None:
        """What head office has to say reaches every branch."""
        for code in self.company.branches:
            self.company.down(code)

    def in_pool(self, *names: str, pool: str | None = None) -> list[str]:
        """Customers that lie in the pool, and everybody knows it."""
        made = [self.hq.new("customer", name=name, phone="0575-84123367") for name in names]
        self.do(self.hq, "admin", "release", customers=made, reason="无人跟进", pool_id=pool)
        self.tell()
        return made

    def owner(self, where: Installation, customer: str) -> str | None:
        owner = where.get("customer", customer)["owner_id"]
        return next((login for login, identity in self.users.items() if identity == owner), None)

    def chain(self, where: Installation, customer: str) -> list[tuple[str, str | None, str | None]]:
        """(kind, from, to) of each link, the first first; every link must fit the one before."""
        names = {identity: login for login, identity in self.users.items()}
        with where.store.read() as connection:
            told = custody.chain(connection, where.actor, customer)
        assert not any(link["fault"] for link in told)
        return [(link["kind"], names.get(link["from_id"]), names.get(link["to_id"])) for link in reversed(told)]

    def claims(self, where: Installation, who: str) -> list[tuple[str, str | None, str]]:
        actor = actor_by_id(where.store, self.users[who])
        assert actor is not None
        with where.store.read() as connection, where.store.unit_of_work(None) as uow:
            return [(one["title"], one["outcome"], one["winner"]) for one in pools.my_claims(connection, actor, custody.moment(uow))]


@pytest.fixture
def day() -> Iterator[Day]:
    """Head office alone, for what happens at one place."""
    yield from working_day(branches=0)


@pytest.fixture
def apart() -> Iterator[Day]:
    """Head office and two branches."""
    yield from working_day(branches=2)


def working_day(branches: int) -> Iterator[Day]:
    folder = fast_folder()
    company = copy_company(folder, branches=branches, name="pools", prepare=fill)
    yield Day(company)
    company.close()
    shutil.rmtree(folder)


def refused(code: str) -> Any:
    """The refusal of this code."""
    return pytest.raises(AppError, check=lambda error: error.code == code)


# handing over ---------------------------------------------------------------------------------------------------------------


def test_a_customer_is_handed_over_with_its_drafts_and_the_former_salesperson_still_reads_it(apart: Day) -> None:
    customer = apart.hq.new("customer", name="恒远纺织", owner_id=apart.users["chen"])
    product = apart.hq.new("product", code="P1", name="雪纺", price="9.80")
    draft = apart.hq.order(customer, product)
    apart.hq.set("sales_order", draft, owner_id=apart.users["chen"])
    done = apart.do(apart.hq, "chen", "hand_over", customers=[customer], to=apart.users["lin"], keep="read", reason="休产假")
    assert done == {"moved": 1, "along": {"sales_order": 1}, "left": {}}
    assert apart.owner(apart.hq, customer) == "lin"
    assert apart.hq.get("sales_order", draft)["owner_id"] == apart.users["lin"]
    assert apart.hq.rows("SELECT level, hex(user_id) FROM share WHERE deleted = 0") == [("read", apart.users["chen"].upper())]
    apart.company.exchange()
    assert apart.chain(apart.one, customer) == [("hand_over", "chen", "lin")]
    branch = apart.hq.value("SELECT lower(hex(id)) FROM branch WHERE code = 'BR01'")
    assert apart.one.get("customer", customer)["branch_id"] == branch  # its home moved along


def test_a_customer_is_in_the_department_of_whoever_has_it_also_when_it_was_given_away_apart(apart: Day) -> None:
    east, west = (apart.hq.new("department", name=name) for name in ("华东部", "西部"))
    for login, department in (("chen", east), ("lin", east), ("zhou", west)):
        apart.hq.run("records.update_record", entity="user", id=apart.users[login], values={"department_id": department})
    customer = apart.hq.new("customer", name="恒远纺织", owner_id=apart.users["chen"], place="120.58，30.01")
    typed = apart.hq.new("customer", name="手工写的", owner_id=apart.users["chen"], department_id=west)
    assert [apart.hq.get("customer", one)["department_id"] for one in (customer, typed)] == [east, west]
    assert apart.hq.get("customer", customer)["place"] == "30.01, 120.58"
    with refused("bad_place"):
        apart.hq.set("customer", customer, place="柯桥")
    apart.tell()
    apart.hq.run("records.update_record", entity="user", id=apart.users["chen"], values={"department_id": west})
    assert apart.hq.get("customer", customer)["department_id"] == east  # what he did there stays there
    apart.do(apart.hq, "admin", "hand_over", customers=[customer], to=apart.users["lin"])
    apart.hq.clock.forward(minutes=1)  # type: ignore[attr-defined]
    apart.do(apart.two, "admin", "hand_over", customers=[customer], to=apart.users["zhou"])
    apart.hq.clock.forward(minutes=1)  # type: ignore[attr-defined]
    apart.company.exchange("BR02", "BR02", "BR01")
    assert {(apart.owner(node, customer), node.get("customer", customer)["department_id"]) for node in apart.company.nodes} == {
        ("zhou", west)
    }
    assert [row["field"] for row in apart.hq.conflicts(record=customer)] == ["owner_id"]  # one event, one conflict
    apart.pool()
    apart.do(apart.hq, "admin", "release", customers=[customer], reason="停产")
    assert apart.hq.get("customer", customer)["department_id"] == west


def test_a_batch_goes_whole_or_not_at_all(day: Day) -> None:
    day.pool(held_most=2)
    mine = [day.hq.new("customer", name=f"客户{n}", owner_id=day.users["chen"]) for n in range(2)]
    third = day.hq.new("customer", name="客户3", owner_id=day.users["lin"])
    with refused("too_many_customers"):
        day.do(day.hq, "admin", "hand_over", customers=[*mine, third], to=day.users["zhou"])
    assert {day.owner(day.hq, one) for one in mine} == {"chen"}
    assert day.do(day.hq, "admin", "hand_over", customers=mine, to=day.users["zhou"])["moved"] == 2


def test_a_hand_over_is_taken_back_within_a_day_as_a_whole(day: Day) -> None:
    first, second = (day.hq.new("customer", name=name, owner_id=day.users["chen"], level="deal") for name in ("甲", "乙"))
    day.do(day.hq, "admin", "lock", customer_id=first)
    actor = day.hq.actor
    done = verbs.act(
        day.hq.store, actor, "crm.hand_over", {"customers": [first, second], "to": day.users["lin"], "keep": "write", "reason": "错了"}
    )
    day.hq.run("admin.undo_action", change=done.change)
    assert (day.owner(day.hq, first), day.owner(day.hq, second)) == ("chen", "chen")
    assert day.hq.get("customer", first)["locked"] is True
    assert day.hq.value("SELECT count(*) FROM share WHERE deleted = 0") == 0
    assert day.chain(day.hq, first) == [("hand_over", "chen", "lin"), ("undone", "lin", "chen")]


def test_what_was_done_with_the_customer_since_or_two_days_ago_is_not_taken_back(day: Day) -> None:
    customer = day.hq.new("customer", name="甲", owner_id=day.users["chen"])
    to_lin = {"customers": [customer], "to": day.users["lin"]}
    done = verbs.act(day.hq.store, day.hq.actor, "crm.hand_over", to_lin)
    day.do(day.hq, "admin", "hand_over", customers=[customer], to=day.users["wu"])
    with refused("changed_since"):
        day.hq.run("admin.undo_action", change=done.change)
    again = verbs.act(day.hq.store, day.hq.actor, "crm.hand_over", to_lin)
    day.hq.clock.forward(days=2)  # type: ignore[attr-defined]
    with refused("too_late_to_take_back"):
        day.hq.run("admin.undo_action", change=again.change)
    assert day.owner(day.hq, customer) == "lin"


def test_trap_38_who_had_the_customer_in_the_middle_of_the_month_is_known_afterwards(day: Day) -> None:
    customer = day.hq.new("customer", name="甲", owner_id=day.users["chen"])
    sold = custody_moment(day.hq.store)
    day.hq.clock.forward(days=10)  # type: ignore[attr-defined]
    day.do(day.hq, "admin", "hand_over", customers=[customer], to=day.users["lin"])
    day.hq.clock.forward(days=5)  # type: ignore[attr-defined]
    paid = custody_moment(day.hq.store)
    with day.hq.store.read() as connection:
        assert custody.owner_at(connection, customer, sold) == day.users["chen"]
        assert custody.owner_at(connection, customer, paid) == day.users["lin"]


def test_the_salesperson_changed_in_the_form_or_with_all_work_leaves_a_link_too(day: Day) -> None:
    customer = day.hq.new("customer", name="甲", owner_id=day.users["chen"])
    day.hq.set("customer", customer, owner_id=day.users["lin"], phone="13800000000")
    day.hq.run("people.hand_over", login="lin", to="wu", disable=True)
    assert day.chain(day.hq, customer) == [("hand_over", "chen", "lin"), ("left", "lin", "wu")]
    with refused("user_disabled"):
        day.do(day.hq, "admin", "hand_over", customers=[customer], to=day.users["lin"])


def test_an_altered_link_shows(day: Day) -> None:
    customer = day.hq.new("customer", name="甲", owner_id=day.users["chen"])
    day.do(day.hq, "admin", "hand_over", customers=[customer], to=day.users["lin"])
    day.do(day.hq, "admin", "hand_over", customers=[customer], to=day.users["wu"])
    with day.hq.store.read() as connection:
        links = custody.links_of(connection, customer)
    assert custody_rules.faults(links) == []
    assert custody_rules.faults([{**links[0], "to_id": day.users["zhou"]}, links[1]]) == [{**links[0], "to_id": day.users["zhou"]}]
    assert custody_rules.faults(links[1:]) == links[1:]  # the first was left out


def test_only_who_may_hands_over_and_only_what_his_right_reaches(day: Day) -> None:
    role = day.hq.new("role", name="业务员")
    for action in ("read", "transfer"):
        day.hq.run("people.set_role_right", role_id=role, entity="customer", action=action, scope="own")
    day.hq.run("people.set_roles", login="chen", roles=[role])
    mine, other = (day.hq.new("customer", name=who, owner_id=day.users[who]) for who in ("chen", "lin"))
    with pytest.raises(AppError):
        day.do(day.hq, "chen", "hand_over", customers=[other], to=day.users["wu"])
    with pytest.raises(Forbidden):
        day.do(day.hq, "chen", "release", customers=[mine], reason="x")
    with pytest.raises(Forbidden):
        day.do(day.hq, "chen", "pick", customers=[mine])
    day.do(day.hq, "chen", "hand_over", customers=[mine], to=day.users["wu"])
    with pytest.raises(AppError):
        day.do(day.hq, "chen", "hand_over", customers=[mine], to=day.users["chen"])  # it is not his any more


# pools ----------------------------------------------------------------------------------------------------------------------


def test_released_and_picked_at_the_home_of_the_pool(day: Day) -> None:
    day.pool(protect_days=15)
    customer = day.hq.new("customer", name="盛宏袜业", owner_id=day.users["chen"])
    day.do(day.hq, "chen", "lock", customer_id=customer)
    with refused("locked_customer"):
        day.do(day.hq, "chen", "release", customers=[customer], reason="没有需求")
    day.do(day.hq, "chen", "unlock", customer_id=customer)
    with refused("reason_needed"):
        day.do(day.hq, "chen", "release", customers=[customer], reason=" ")
    day.do(day.hq, "chen", "release", customers=[customer], reason="没有需求")
    lying = day.hq.get("customer", customer)
    assert (lying["owner_id"], lying["previous_owner_id"]) == (None, day.users["chen"])
    assert day.do(day.hq, "lin", "pick", customers=[customer]) == {"granted": 1, "asked": 0}
    picked = day.hq.get("customer", customer)
    until = custody_moment(day.hq.store).astimezone().date() + timedelta(days=15)
    assert (picked["pool_id"], picked["protected_until"]) == (None, until.isoformat())
    assert day.chain(day.hq, customer) == [("release", "chen", None), ("pick", None, "lin")]


def test_trap_39_of_two_who_pick_at_once_one_has_it_and_the_other_is_told(day: Day) -> None:
    day.pool()
    (customer,) = day.in_pool("盛宏袜业")
    day.do(day.hq, "chen", "pick", customers=[customer])
    with refused("pick_taken") as told:
        day.do(day.hq, "lin", "pick", customers=[customer])
    assert "chen" in str(told.value)


def test_trap_39_one_left_in_the_quota(day: Day) -> None:
    day.pool(picks_per_day=1)
    first, second = day.in_pool("甲", "乙")
    day.do(day.hq, "chen", "pick", customers=[first])
    with refused("pick_day_full"):
        day.do(day.hq, "chen", "pick", customers=[second])
    day.hq.clock.forward(days=1)  # type: ignore[attr-defined]
    day.do(day.hq, "chen", "pick", customers=[second])


def test_what_is_new_in_a_pool_is_not_picked_at_once(day: Day) -> None:
    day.pool(fresh_days=3)
    (lying,) = day.in_pool("刚放进来的")
    day.hq.clock.forward(days=2)  # type: ignore[attr-defined]
    with refused("pick_fresh"):
        day.do(day.hq, "chen", "pick", customers=[lying])
    day.hq.clock.forward(days=1)  # type: ignore[attr-defined]
    day.do(day.hq, "chen", "pick", customers=[lying])


def test_trap_39_neither_form_nor_import_nor_hand_over_gets_round_the_cap(day: Day) -> None:
    day.pool(held_most=1, deals_free=True)
    day.hq.new("customer", name="成交的不算", owner_id=day.users["chen"], level="deal")
    day.hq.new("customer", name="第一个", owner_id=day.users["chen"])
    (lying,) = day.in_pool("第二个")
    with refused("pick_full"):
        day.do(day.hq, "chen", "pick", customers=[lying])
    with refused("too_many_customers"):
        day.hq.new("customer", name="第三个", owner_id=day.users["chen"])
    other = day.hq.new("customer", name="第四个", owner_id=day.users["lin"])
    with refused("too_many_customers"):
        day.hq.set("customer", other, owner_id=day.users["chen"])
    with refused("too_many_customers"):
        day.do(day.hq, "lin", "hand_over", customers=[other], to=day.users["chen"])
    chen = actor_by_id(day.hq.store, day.users["chen"])
    assert chen is not None
    result = import_rows(day.hq.store, chen, entity="customer", rows=[(2, {"name": "导入的"})])
    assert (result.created, [fault["code"] for fault in result.errors]) == (0, ["too_many_customers"])


def test_who_gave_a_customer_up_may_not_have_it_back_at_once_nor_through_a_colleague(day: Day) -> None:
    day.pool(barred_days=30)
    role = day.hq.new("role", name="业务员")
    for action in ("read", "transfer", "pick", "release"):
        day.hq.run("people.set_role_right", role_id=role, entity="customer", action=action, scope="all")
    for login in ("chen", "lin"):
        day.hq.run("people.set_roles", login=login, roles=[role])
    customer = day.hq.new("customer", name="甲", owner_id=day.users["chen"])
    day.do(day.hq, "chen", "release", customers=[customer], reason="刷业绩")
    with refused("pick_barred"):
        day.do(day.hq, "chen", "pick", customers=[customer])
    day.do(day.hq, "lin", "pick", customers=[customer])
    with refused("barred"):
        day.do(day.hq, "lin", "hand_over", customers=[customer], to=day.users["chen"])
    day.hq.clock.forward(days=31)  # type: ignore[attr-defined]
    day.do(day.hq, "lin", "hand_over", customers=[customer], to=day.users["chen"])


def test_what_lies_in_a_pool_is_not_taken_by_the_form_without_the_right_to_assign(apart: Day) -> None:
    apart.pool()
    (customer,) = apart.in_pool("甲")
    role = apart.hq.new("role", name="业务员")
    for action in ("read", "update", "transfer"):
        apart.hq.run("people.set_role_right", role_id=role, entity="customer", action=action, scope="all")
    apart.hq.run("people.set_roles", login="chen", roles=[role])
    chen = actor_by_id(apart.hq.store, apart.users["chen"])
    assert chen is not None
    take = {"entity": "customer", "id": customer, "values": {"owner_id": apart.users["chen"]}}
    with pytest.raises(Forbidden):
        verbs.run(apart.hq.store, chen, "records.update_record", take)
    with refused("not_editable"):
        verbs.run(apart.hq.store, chen, "records.update_record", {**take, "values": {"pool_id": ""}})
    with refused("pool_elsewhere"):
        apart.one.set("customer", customer, owner_id=apart.users["lin"])
    apart.hq.set("customer", customer, owner_id=apart.users["chen"])  # an administrator assigns it by the form
    assert apart.chain(apart.hq, customer)[-1] == ("assign", None, "chen")


def test_a_protected_customer_is_not_entered_a_second_time_by_a_colleague(day: Day) -> None:
    """Whoever may assign customers can; so can everybody once the days are over."""
    pool = day.pool(protect_days=10)
    (made,) = day.in_pool("绍兴宏达有限公司", pool=pool)
    day.hq.run("people.set_rights", login="lin", entity="customer", actions=["read", "create", "import"], scope="own")
    lin = actor_by_id(day.hq.store, day.users["lin"])
    assert lin is not None

    def again(name: str) -> str:
        return str(verbs.run(day.hq.store, lin, "records.create_record", {"entity": "customer", "values": {"name": name}})["id"])

    assert again("（绍兴）宏达")  # nobody's yet
    day.do(day.hq, "chen", "pick", customers=[made])
    assert fault_of(again, "绍兴宏达") == "protected_customer"
    assert import_rows(day.hq.store, lin, entity="customer", rows=[(1, {"name": "绍兴 宏达"})]).failed == 1
    other = again("绍兴宏达二厂")
    assert day.hq.new("customer", name="绍兴宏达")
    day.hq.set("customer", made, phone="0575-84123367")
    day.hq.run("people.set_rights", login="lin", entity="customer", actions=["read", "create", "import", "update"], scope="all")
    lin = actor_by_id(day.hq.store, day.users["lin"])
    assert lin is not None

    def change(customer: str, **values: str) -> Any:
        given = {"entity": "customer", "id": customer, "values": values}
        return verbs.run(day.hq.store, lin, "records.update_record", given)

    for disguise in ({"name": "绍兴宏达有限公司"}, {"phone": "057584123367"}):  # nor by way of another name
        assert fault_of(change, other, **disguise) == "protected_customer"
    assert change(other, remark="二厂") and change(made, name="绍兴宏达集团")  # what it says already, and the protected one itself
    change(made, name="绍兴宏达有限公司")
    day.hq.clock.forward(days=11)  # type: ignore[attr-defined]
    assert again("绍兴宏达")


def test_a_pool_shows_what_it_is_said_to_show_and_only_to_its_members(day: Day) -> None:
    pool = day.pool(members=day.users["lin"], shown="name area phone", mask_phone=True)
    day.in_pool("盛宏袜业")
    lin, chen = (actor_by_id(day.hq.store, day.users[who]) for who in ("lin", "chen"))
    assert lin is not None
    assert chen is not None
    now = custody_moment(day.hq.store)
    with day.hq.store.read() as connection:
        (row,) = pools.pool_page(connection, lin, pool, now=now).rows
        assert row["phone"] == "057****67"
        assert "remark" not in row
        assert pools.pool_page(connection, lin, pool, now=now, search="84123367").rows == []  # nor is it found by what is covered
        assert pools.pools_for(connection, chen) == []
        with refused("no_member"):
            pools.pool_page(connection, chen, pool, now=now)
    with refused("pick_no_member"):
        day.do(day.hq, "chen", "pick", customers=[row["id"]])


def test_a_pool_with_customers_or_a_rule_stays_open(apart: Day) -> None:
    pool = apart.pool()
    (customer,) = apart.in_pool("甲")
    apart.pool(name="第二公海")
    with refused("pool_not_empty"):
        apart.hq.set("pool", pool, active=False)
    apart.do(apart.hq, "lin", "pick", customers=[customer])
    rule = apart.hq.new("reclaim_rule", name="30 天", pool_id=pool, days=30)
    with refused("pool_in_use"):
        apart.hq.set("pool", pool, active=False)
    apart.hq.set("reclaim_rule", rule, active=False)
    apart.hq.set("pool", pool, active=False)
    with refused("pool_closed"):
        apart.hq.set("reclaim_rule", rule, active=True)
    with refused("office_only"):
        apart.one.new("pool", name="自己的公海")


# requests of branches ---------------------------------------------------------------------------------------------------------


def test_a_pick_at_a_branch_is_a_request_and_the_first_to_arrive_has_it(apart: Day) -> None:
    apart.pool()
    (customer,) = apart.in_pool("盛宏袜业")
    assert apart.do(apart.one, "lin", "pick", customers=[customer]) == {"granted": 0, "asked": 1}
    assert apart.do(apart.two, "zhou", "pick", customers=[customer]) == {"granted": 0, "asked": 1}
    assert apart.owner(apart.one, customer) is None  # it holds nothing by itself
    with refused("asked_already"):
        apart.do(apart.two, "wu", "pick", customers=[customer])
    apart.company.exchange("BR02", "BR01", "BR02")
    assert {apart.owner(node, customer) for node in apart.company.nodes} == {"zhou"}
    assert apart.claims(apart.two, "zhou") == [("盛宏袜业", "granted", "zhou")]
    assert apart.claims(apart.one, "lin") == [("盛宏袜业", "taken", "zhou")]
    assert apart.hq.value("SELECT count(*) FROM share WHERE deleted = 0") == 0
    assert apart.chain(apart.one, customer)[-1] == ("pick", None, "zhou")
    assert apart.hq.conflicts() == []
    assert len(apart.company.digests) == 1


def test_a_request_that_comes_too_late_lapses(apart: Day) -> None:
    apart.pool(claim_days=3)
    (customer,) = apart.in_pool("甲")
    apart.do(apart.one, "lin", "pick", customers=[customer])
    apart.hq.clock.forward(days=4)  # type: ignore[attr-defined]
    assert apart.claims(apart.one, "lin") == [("甲", "lapsed", "")]
    apart.company.exchange("BR01")
    assert apart.owner(apart.hq, customer) is None
    assert apart.claims(apart.one, "lin") == [("甲", "lapsed", "")]


def test_limits_hold_for_requests_of_two_branches_together(apart: Day) -> None:
    apart.pool(picks_per_day=1)
    first, second = apart.in_pool("甲", "乙")
    apart.do(apart.one, "lin", "pick", customers=[first])
    apart.do(apart.two, "lin", "pick", customers=[second])  # the same person, seen by neither
    apart.company.exchange("BR01", "BR02")
    assert (apart.owner(apart.hq, first), apart.owner(apart.hq, second)) == ("lin", None)
    assert ("乙", "day_full", "") in apart.claims(apart.two, "lin")


def test_a_pool_whose_home_is_a_branch_is_given_out_there(apart: Day) -> None:
    branch = apart.hq.value("SELECT lower(hex(id)) FROM branch WHERE code = 'BR01'")
    pool = apart.pool(home_id=branch)
    first, second = apart.in_pool("甲", "乙")
    assert apart.do(apart.one, "lin", "pick", customers=[first]) == {"granted": 1, "asked": 0}
    assert apart.do(apart.two, "zhou", "pick", customers=[first]) == {"granted": 0, "asked": 1}
    assert apart.do(apart.hq, "chen", "pick", customers=[second]) == {"granted": 0, "asked": 1}
    apart.company.exchange("BR02", "BR01", "BR01", "BR02")
    assert {apart.owner(node, first) for node in apart.company.nodes} == {"lin"}
    assert apart.owner(apart.two, second) == "chen"
    assert apart.claims(apart.two, "zhou") == [("甲", "taken", "lin")]
    assert len(apart.company.digests) == 1
    apart.do(apart.hq, "admin", "release", customers=[second], reason="x", pool_id=pool)
    apart.company.down("BR02")
    apart.do(apart.two, "zhou", "pick", customers=[second])
    apart.company.up("BR02")
    apart.hq.set("pool", pool, home_id="")  # the branch does not answer any more
    assert apart.owner(apart.hq, second) == "zhou"


def test_an_answer_from_a_branch_that_is_not_the_home_says_nothing(apart: Day) -> None:
    from localcrm.domain.crm.entities import ClaimAnswer

    apart.pool()
    (customer,) = apart.in_pool("甲")
    apart.do(apart.two, "zhou", "pick", customers=[customer])
    apart.company.exchange("BR02", "BR01")
    (late,) = apart.in_pool("乙")
    apart.two.clock.forward(minutes=1)  # type: ignore[attr-defined]
    apart.do(apart.two, "wu", "pick", customers=[late])
    with apart.two.store.unit_of_work(None) as uow:
        claim = uow.connection.value("SELECT lower(hex(id)) FROM pool_claim WHERE title = '乙'")
        forged = {"claim_id": claim, "outcome": "granted", "winner_id": apart.users["wu"], "at": custody.moment(uow), "customer_id": late}
        uow.insert(ClaimAnswer.entity_type, ClaimAnswer.entity_type.validate({**forged, "branch_id": uow.node.branch_id}))
    assert apart.claims(apart.two, "wu") == [("乙", None, "")]


def test_whatever_a_branch_says_of_requests_and_links_the_exchange_goes_on(apart: Day) -> None:
    pool = apart.pool()
    (customer,) = apart.in_pool("甲")
    claim, change = entity("pool_claim"), entity("owner_change")
    nobody, moments = "ab" * 16, (datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 12, 31, tzinfo=UTC))
    with apart.two.store.unit_of_work(None) as uow:
        here = uow.node.branch_id
        for which in ({}, {"customer_id": nobody}, {"pool_id": nobody}, {"user_id": nobody}, {"home_id": nobody}):
            for at in moments:
                values = {"customer_id": customer, "title": "x", "pool_id": pool, "user_id": apart.users["wu"], "at": at, "expires_at": at}
                uow.insert(claim, claim.validate({**values, "branch_id": here, **which}))
        for number, ends in enumerate(
            ({}, {"previous": "1"}, {"previous": "0"}, {"customer_id": nobody}, {"to_id": nobody, "beside": "0 1 2"})
        ):
            values = {"customer_id": customer, "kind": "pick", "at": moments[number % 2], "branch_id": here, "digest": str(number)}
            uow.insert(change, change.validate({**values, **ends}))
    apart.company.exchange()
    assert len(apart.company.digests) == 1
    with apart.hq.store.read() as connection:
        told = custody.chain(connection, apart.hq.actor, customer)
    assert sum(link["fault"] for link in told) == 4
    assert [link["kind"] for link in told if not link["fault"]] == ["pick", "release"]  # none of them is taken for a link of the chain
    assert apart.owner(apart.hq, customer) == "wu"  # whose request was one
    apart.do(apart.hq, "chen", "pick", customers=[apart.in_pool("乙")[0]])


# apart ----------------------------------------------------------------------------------------------------------------------


def test_handed_over_at_one_branch_and_released_at_another_comes_to_one_state_and_one_chain(apart: Day) -> None:
    apart.pool()
    customer = apart.hq.new("customer", name="甲", owner_id=apart.users["chen"])
    apart.company.exchange()
    apart.do(apart.two, "chen", "release", customers=[customer], reason="没有需求")
    apart.one.clock.forward(minutes=5)  # type: ignore[attr-defined]
    apart.do(apart.one, "admin", "hand_over", customers=[customer], to=apart.users["lin"])
    apart.company.exchange()
    for node in apart.company.nodes:
        row = node.get("customer", customer)
        assert (apart.owner(node, customer), row["pool_id"], row["released_at"]) == ("lin", None, None)
        assert [kind for kind, _from, _to in apart.chain(node, customer)] == ["release", "hand_over", "settled"]
    assert len(apart.company.digests) == 1
    assert [row["field"] for row in apart.hq.conflicts(record=customer, field="owner_id")] == ["owner_id"]  # and a person hears of it
    with apart.hq.store.read() as connection:
        assert len(custody_rules.heads(custody.links_of(connection, customer))) == 1


def test_a_share_says_which_branch_has_not_heard_of_it_or_of_its_end(apart: Day) -> None:
    customer = apart.hq.new("customer", name="甲")

    def told(where: Installation) -> list[tuple[str, bool, str]]:
        with where.store.read() as connection:
            found = shares_of(connection, where.store.node, where.actor, entity("customer"), customer, today=date(2026, 11, 20))
        return [(one.name, one.ended, one.waits_for) for one in found]

    share = apart.hq.run("people.share_record", entity="customer", id=customer, user_id=apart.users["lin"])["id"]
    branch = apart.hq.value("SELECT name FROM branch WHERE code = 'BR01'")
    assert told(apart.hq) == [("lin", False, branch)]
    apart.company.exchange("BR01", "BR01")
    assert told(apart.hq) == told(apart.one) == [("lin", False, "")]
    apart.hq.run("people.unshare", share_id=share)
    assert told(apart.hq) == [("lin", True, branch)]
    assert told(apart.one) == [("lin", False, "")]  # and so it is still seen there
    apart.company.exchange("BR01", "BR01")
    assert told(apart.hq) == told(apart.one) == [("lin", True, "")]  # it is told for some days that it ended
    apart.company.exchange("BR02")
    apart.two.run("people.share_record", entity="customer", id=customer, user_id=apart.users["lin"])
    assert told(apart.two)[0] == ("lin", False, branch)


# who looks after a pool, and how far things go ---------------------------------------------------------------------------------


def test_who_looks_after_a_pool_moves_gives_out_and_takes_back_there_and_nowhere_else(day: Day) -> None:
    role = day.hq.new("role", name="业务员")
    for action in ("read", "update", "pick"):
        day.hq.run("people.set_role_right", role_id=role, entity="customer", action=action, scope="own")
    for login in ("chen", "lin", "zhou"):
        day.hq.run("people.set_roles", login=login, roles=[role])
    mine = day.pool(name="华东公海", members=day.users["lin"], admins=day.users["chen"])
    other = day.pool(name="西部公海", members=day.users["zhou"])
    first, second = day.in_pool("盛宏袜业", "恒远纺织", pool=mine)
    (third,) = day.in_pool("春晖针织", pool=other)
    with refused("not_of_pool"):  # he gives out among those the pool is for
        day.do(day.hq, "chen", "assign", customers=[first], to=day.users["zhou"])
    assert day.do(day.hq, "chen", "assign", customers=[first], to=day.users["lin"]) == {"moved": 1}
    for who in ("chen", "lin"):  # neither he elsewhere, nor somebody else here
        with pytest.raises(AppError):
            day.do(day.hq, who, "assign", customers=[third if who == "chen" else second], to=day.users["lin"])
    chen = actor_by_id(day.hq.store, day.users["chen"])
    assert chen is not None
    with day.hq.store.read() as connection:
        told = pool_admins.given_out(connection, chen, day.hq.get("pool", mine))
        assert [(row["id"], row["owner"]) for row in told] == [(first, "lin")]
    with pytest.raises(AppError):
        day.do(day.hq, "chen", "release", customers=[first], reason="没有跟进", pool_id=other)  # back into his own pool alone
    day.do(day.hq, "chen", "release", customers=[first], reason="没有跟进", pool_id=mine)
    done = verbs.act(day.hq.store, chen, "crm.release", {"customers": [first], "reason": "在西部", "pool_id": other})
    assert day.hq.get("customer", first)["pool_id"] == other
    assert [link[0] for link in day.chain(day.hq, first)] == ["release", "assign", "release", "moved"]
    with pytest.raises(AppError):
        day.do(day.hq, "chen", "release", customers=[first], reason="又要回来", pool_id=mine)  # it lies in another one now
    day.hq.run("admin.undo_action", change=done.change)
    assert day.hq.get("customer", first)["pool_id"] == mine
    assert day.chain(day.hq, first)[-1] == ("undone", None, None)


def test_a_pool_that_counts_looks_opens_so_often_a_day(day: Day) -> None:
    pool = day.pool(looks_per_day=2, admins=day.users["chen"])
    (customer,) = day.in_pool("盛宏袜业")
    lin, chen = (actor_by_id(day.hq.store, day.users[who]) for who in ("lin", "chen"))
    assert lin is not None
    assert chen is not None

    def seen(actor: Actor) -> list[str]:
        now = custody_moment(day.hq.store)
        with day.hq.store.read() as connection:
            return [row["id"] for row in pools.pool_page(connection, actor, pool, now=now).rows]

    with refused("not_looked"):
        seen(lin)
    assert [day.do(day.hq, "lin", "look_into_pool", pool_id=pool)["left"] for _time in range(2)] == [1, 0]
    with refused("looked_enough"):
        day.do(day.hq, "lin", "look_into_pool", pool_id=pool)
    assert seen(lin) == seen(chen) == [customer]  # what is open stays open; who looks after it is not counted
    day.hq.clock.forward(days=1)  # type: ignore[attr-defined]
    with refused("not_looked"):
        seen(lin)
    assert day.do(day.hq, "lin", "look_into_pool", pool_id=pool) == {"left": 1}


def test_locked_apart_beyond_what_is_allowed_and_put_into_a_pool_that_was_closed_meanwhile(apart: Day) -> None:
    first, last = apart.pool(name="公海"), apart.pool(name="第二公海")
    names = ("总部锁", "分部锁", "成交", "第三个")
    made = {name: apart.hq.new("customer", name=name, owner_id=apart.users["lin"]) for name in names}
    apart.hq.set("customer", made["成交"], level="deal")
    lying = apart.hq.new("customer", name="放入已停用的", owner_id=apart.users["chen"])
    apart.hq.run("options.set_company_option", key="locked_most", value="1")
    apart.tell()
    apart.do(apart.hq, "admin", "lock", customer_id=made["总部锁"])
    apart.do(apart.hq, "admin", "lock", customer_id=made["成交"])  # which does not count
    with refused("too_many_locked"):
        apart.do(apart.hq, "admin", "lock", customer_id=made["第三个"])
    apart.do(apart.one, "lin", "lock", customer_id=made["分部锁"])  # the branch has not heard of the other one
    apart.do(apart.one, "admin", "release", customers=[lying], reason="停产", pool_id=last)
    apart.hq.set("pool", last, active=False)
    with refused("last_pool"):
        apart.hq.set("pool", first, active=False)
    with refused("last_pool"):
        apart.hq.run("records.delete_record", entity="pool", id=first)
    apart.company.exchange("BR01", "BR01", "BR02")
    for node in apart.company.nodes:
        assert node.get("customer", lying)["pool_id"] == first
        assert apart.chain(node, lying)[-1] == ("moved", None, None)
    assert len(apart.company.digests) == 1
    assert apart.one.conflicts() == []
    lin = actor_by_id(apart.one.store, apart.users["lin"])
    assert lin is not None

    def told() -> list[str]:
        now = custody_moment(apart.one.store) + timedelta(days=1)
        with apart.one.store.read() as connection:
            return [one.text for one in reminders(connection, apart.one.store.node, lin, now=now) if one.kind == "locks"]

    assert ["2" in text and "1" in text for text in told()] == [True]  # both stand; he says which one stays
    apart.do(apart.one, "lin", "unlock", customer_id=made["分部锁"])
    assert told() == []


# reclaiming -----------------------------------------------------------------------------------------------------------------


def test_what_nobody_looks_after_goes_to_the_pool_and_what_is_spared_stays(day: Day) -> None:
    pool = day.pool()
    day.hq.new("reclaim_rule", name="三十天", pool_id=pool, days=30, remind_days=7)
    day.hq.new("reclaim_rule", name="意向客户", pool_id=pool, days=15, level="prospect")
    names = ("没人管", "意向", "成交", "锁定", "有订单", "联系过")
    made = {name: day.hq.new("customer", name=name, owner_id=day.users["chen"]) for name in names}
    day.hq.set("customer", made["意向"], level="prospect")
    day.hq.set("customer", made["成交"], level="deal")
    day.do(day.hq, "chen", "lock", customer_id=made["锁定"])
    day.hq.order(made["有订单"], day.hq.new("product", code="P1", name="雪纺", price="9.80"))
    day.hq.clock.forward(days=20)  # type: ignore[attr-defined]
    day.hq.new("activity", customer_id=made["联系过"], content="打了电话", at=custody_moment(day.hq.store).isoformat())
    assert [row["name"] for row in day.do(day.hq, "chen", "reclaim_preview")["rows"]] == ["意向"]
    soon = day.do(day.hq, "chen", "reclaim_preview", within_days=15)["rows"]
    assert [(row["name"], row["days"]) for row in soon] == [("没人管", 10), ("意向", -5)]
    assert reclaim.run(day.hq.store) == 1
    day.hq.clock.forward(days=11)  # type: ignore[attr-defined]
    with day.hq.store.read() as connection:
        near = [due.customer for due in reclaim.due_of_owner(connection, custody_moment(day.hq.store), day.users["chen"]) if due.is_near]
    assert near == [made["没人管"]]
    assert reclaim.run(day.hq.store) == 1
    assert reclaim.run(day.hq.store) == 0
    assert {name for name, one in made.items() if day.owner(day.hq, one) is None} == {"没人管", "意向"}
    assert day.chain(day.hq, made["没人管"]) == [("reclaim", "chen", None)]


def test_every_rule_of_a_level_counts_and_protection_that_runs_out_is_a_reason(day: Day) -> None:
    pool = day.pool()
    day.hq.new("reclaim_rule", name="三十天", pool_id=pool, days=30)
    day.hq.new("reclaim_rule", name="保护到期", pool_id=pool, days=0, after_protection=True)
    assert fault_of(day.hq.new, "reclaim_rule", name="空", pool_id=pool, days=0) == "rule_asks_nothing"
    made = {name: day.hq.new("customer", name=name, owner_id=day.users["chen"]) for name in ("没人管", "受保护")}
    until = custody_moment(day.hq.store).astimezone().date() + timedelta(days=9)
    with day.hq.store.unit_of_work(None) as uow:
        uow.update(entity("customer"), made["受保护"], {"protected_until": until})
    with day.hq.store.read() as connection:
        found = reclaim.due_of(connection, custody_moment(day.hq.store), list(made.values()))
    assert {name: (found[one].days, found[one].rule["name"]) for name, one in made.items()} == {
        "没人管": (30, "三十天"),
        "受保护": (10, "保护到期"),
    }

    def told() -> str | None:
        """What the list says of the protected one to somebody who may read all it follows from, but for what is hidden from him."""
        lin = actor_by_id(day.hq.store, day.users["lin"])
        assert lin is not None
        with day.hq.store.read() as connection:
            records = records_by_id(connection, entity("customer"), [made["受保护"]])
            return row_json(connection, lin, entity("customer"), records, {})[0].get("reclaimed_in")

    for kind in ("customer", "activity", "opportunity", "contract", "sales_order", "receipt"):
        day.hq.run("people.set_rights", login="lin", entity=kind, actions=["read"], scope="all")
    assert told()
    for kind, field in (("customer", "protected_until"), ("activity", "at"), ("receipt", "amount")):
        rule = {"login": "lin", "entity": kind, "field": field}
        day.hq.run("people.set_field_rule", **rule, rule="hidden")
        assert told() is None
        day.hq.run("people.set_field_rule", **rule, rule="editable")


def test_a_rule_switched_on_again_counts_from_then_and_a_branch_that_is_cut_off_keeps_its_own(apart: Day) -> None:
    pool = apart.pool()
    rule = apart.hq.new("reclaim_rule", name="三十天", pool_id=pool, days=30)
    apart.company.exchange()
    here = apart.hq.new("customer", name="总部的", owner_id=apart.users["chen"])
    there = apart.one.new("customer", name="分部的", owner_id=apart.users["lin"])
    apart.company.exchange()
    apart.hq.clock.forward(days=40)  # type: ignore[attr-defined]
    apart.one.new(
        "activity", customer_id=there, content="一直在跟", at=custody_moment(apart.one.store).isoformat()
    )  # head office has not heard
    apart.hq.set("reclaim_rule", rule, active=False)
    apart.hq.set("reclaim_rule", rule, active=True)
    assert reclaim.run(apart.hq.store) == 0
    apart.hq.clock.forward(days=31)  # type: ignore[attr-defined]
    assert reclaim.run(apart.hq.store) == 1
    assert (apart.owner(apart.hq, here), apart.owner(apart.hq, there)) == (None, "lin")


# small helps ----------------------------------------------------------------------------------------------------------------


def custody_moment(store: Store) -> Any:
    with store.unit_of_work(None) as uow:
        return custody.moment(uow)
