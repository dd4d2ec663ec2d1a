"""Whose a customer is, and what hangs on that: what keeps it with its salesperson, what goes along, who else sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcrm.domain import policy, verbs
from localcrm.domain.crm import custody, custody_rules, reclaim
from localcrm.domain.people.services import actor_by_id
from localcrm.kernel.errors import Forbidden
from localcrm.kernel.schema import entity
from localcrm.store.query import ListQuery, select
from tests.scenarios.customers.test_pools import Day, refused, working_day


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
    """Titles of everything of some kinds that somebody sees."""
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
    assert titles_seen(day, "lin") == {"二期", "面料", "年度", "断线"}
    assert titles_seen(day, "chen") == {"一期"}  # what was over keeps who did it
    with day.hq.store.read() as connection:
        (link,) = custody.chain(connection, day.hq.actor, customer)
    assert (custody_rules.along_of(link), link["fault"]) == (told, False)
    assert custody_rules.faults([{**link, "along": "opportunity:9"}])  # what it says of that is sealed too
    day.hq.run("admin.undo_action", change=done.change)
    assert titles_seen(day, "chen") == {"一期", "二期", "面料", "年度", "断线"}
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
