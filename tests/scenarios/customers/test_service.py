"""A service desk at work: tickets with promises that run out, parts under warranty and not, and two branches at one ticket."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.sales.deal_money import deal_money
from localcrm.domain.sales.timeline import customer_timeline
from localcrm.domain.service.desk import Wanted, clocks_of, ticket_sheet, undone
from localcrm.domain.service.rules import Clocks
from localcrm.domain.service.tickets import TICKET
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import Forbidden, InvalidInput, NotFound, Refused
from localcrm.store.query import Condition, ListQuery, select
from tests.factories import Company, HandClock, Installation, copy_company

#: Monday morning when the desk opens; hours are 9 to 12 and 13:30 to 18.
MONDAY = dt.datetime(2026, 11, 23, 9).astimezone()
MINUTE = dt.timedelta(minutes=1)


def prepare(company: Company) -> None:
    """A customer with a machine under warranty and one whose warranty has ended; needles in stock at each branch."""
    office = company.hq
    mill = office.new("customer", name="绍兴恒远纺织品有限公司")
    machine = office.new("product", code="M-1", name="绣花机", price="28000", stocked=False)
    needle = office.new("product", code="N-1", name="机针", price="12.5", unit="盒")
    office.new("product", code="S-1", name="维修服务", price="0", stocked=False)
    office.new(
        "installed_product", customer_id=mill, product_id=machine, serial="SN-0001", sold_on="2026-03-01", warranty_until="2027-03-01"
    )
    office.new(
        "installed_product", customer_id=mill, product_id=machine, serial="SN-OLD", sold_on="2020-03-01", warranty_until="2022-03-01"
    )
    supplier = office.new("supplier", name="宁波机针厂")
    office.new("supplier_price", supplier_id=supplier, product_id=needle, price="4")
    company.exchange()
    for node in company.nodes:
        house = node.new("warehouse", code=f"W-{node.code}", name=f"{node.code}仓库")
        node.new("stock_move", product_id=needle, warehouse_id=house, quantity="100", type="opening")
    company.exchange()


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    opened = copy_company(tmp_path, name="service", prepare=prepare)
    clock_of(opened.hq).ms = round(MONDAY.timestamp() * 1000)
    yield opened
    opened.close()


@pytest.fixture
def desk(company: Company) -> Installation:
    return company.hq


@pytest.fixture
def branch(company: Company) -> Installation:
    return company.branches["BR01"]


@pytest.fixture
def clock(company: Company) -> HandClock:
    return clock_of(company.hq)


def clock_of(node: Installation) -> HandClock:
    assert isinstance(node.clock, HandClock)
    return node.clock


def known(node: Installation, kind: str, **equal: str) -> str:
    """The id of the record of a kind with this value."""
    ((key, value),) = equal.items()
    return str(node.value(f'SELECT lower(hex(id)) FROM "{kind}" WHERE "{key}" = ?', value))


def ticket(node: Installation, title: str = "断线", **values: Any) -> str:
    return node.new("ticket", **{"title": title, "customer_id": known(node, "customer", name="绍兴恒远纺织品有限公司"), **values})


def run(node: Installation, verb: str, identity: str, actor: Actor | None = None, **parameters: Any) -> Any:
    return verbs.run(node.store, actor or node.actor, f"service.{verb}", {"ticket_id": identity, **parameters})


def clocks(node: Installation, identity: str) -> Clocks:
    with node.store.read() as connection:
        rows = select(connection, ListQuery(TICKET, where=(Condition("id", "=", identity),), limit=1)).rows
        return clocks_of(connection, rows, moment(node.store.clock))[identity]


def events(node: Installation, identity: str) -> list[tuple[str, str, str | None]]:
    rows = node.rows("SELECT kind, state, text FROM ticket_event WHERE ticket_id = ? ORDER BY at, id", bytes.fromhex(identity))
    return [(kind, state, text) for kind, state, text in rows]


def stock(node: Installation) -> int:
    """Needles on hand in this node's warehouse."""
    house = known(node, "warehouse", code=f"W-{node.code}")
    return int(node.value("SELECT sum(total) FROM stock_on_hand WHERE warehouse_id = ?", bytes.fromhex(house))) // 10_000


def staff(node: Installation, login: str, **values: Any) -> Actor:
    actor = actor_by_id(node.store, node.new("user", login=login, name=login, password="Haus-und-Hof-42", role="staff", **values))
    assert actor is not None
    return actor


def told(node: Installation, actor: Actor) -> list[tuple[str, str]]:
    rows = verbs.run(node.store, actor, "crm.list_reminders", {"days": 0})["rows"]
    return [(row["kind"], row["ticket"]) for row in rows if row["ticket"]]


# one desk ---------------------------------------------------------------------------------------------------------------


def test_a_ticket_from_the_call_to_the_second_question(desk: Installation, clock: HandClock) -> None:
    identity = ticket(desk, priority="high", serial="SN-0001")
    entered = desk.get("ticket", identity)
    assert entered["number"].startswith("TK-HQ-")
    assert (entered["state"], entered["assignee_id"], entered["warranty_until"]) == ("new", None, "2027-03-01")
    assert entered["product_id"] == known(desk, "product", code="M-1"), "the serial number says which product it is"
    clock.forward(minutes=30)
    assert run(desk, "take_up", identity)["assignee_id"] == desk.actor.user_id, "it was nobody's"
    run(desk, "answer", identity, text="请把线张力调小试试", wait=True)
    clock.forward(days=1)  # the customer tries
    run(desk, "resume", identity, text="还是断")
    run(desk, "add_remark", identity, text="上门换针杆", kind="visit")
    with pytest.raises(InvalidInput) as missing:
        run(desk, "close_ticket", identity, solution="  ")
    assert (missing.value.code, missing.value.params["field"]) == ("required", "solution")
    closed = run(desk, "close_ticket", identity, solution="针杆弯了，已更换")
    assert (closed["state"], closed["solution"]) == ("closed", "针杆弯了，已更换")
    assert closed["revisit_on"] == "2026-12-01", "seven days after the 24th"
    stand = clocks(desk, identity)
    assert (stand.answer.kept, stand.solve.kept) == (True, True)
    assert stand.solve.left == 480 * MINUTE - 30 * MINUTE, "the day of waiting does not count"
    assert [kind for kind, _state, _text in events(desk, identity)] == ["opened", "taken", "waiting", "resumed", "visit", "closed"]
    clock.forward(days=7)
    assert told(desk, desk.actor) == [("revisit", identity)]
    with pytest.raises(InvalidInput, match="满意"):
        run(desk, "record_revisit", identity, result="很好", satisfaction=6)
    asked = run(desk, "record_revisit", identity, result="很好", satisfaction=5)
    assert (asked["satisfaction"], asked["revisit_result"], asked["state"]) == ("5", "很好", "closed")
    assert told(desk, desk.actor) == []


def test_what_is_closed_can_be_taken_up_again_and_nothing_else_is_done_with_it(desk: Installation, clock: HandClock) -> None:
    identity = ticket(desk)
    run(desk, "close_ticket", identity, solution="已解决")
    for verb, more in (("take_up", {}), ("answer", {"text": "?"}), ("close_ticket", {"solution": "?"}), ("resume", {})):
        with pytest.raises(Refused, match="已关闭"):
            run(desk, verb, identity, **more)
    clock.forward(days=2)
    again = run(desk, "record_revisit", identity, result="又断线了", reopen=True)
    assert (again["state"], again["revisit_on"]) == ("working", None)
    assert clocks(desk, identity).solve.left == 1440 * MINUTE, "the days it was closed do not count"
    with pytest.raises(InvalidInput, match="系统维护"):
        desk.set("ticket", identity, state="closed")


def test_promises_are_head_offices_and_a_swapped_workday_counts(
    desk: Installation, branch: Installation, company: Company, clock: HandClock
) -> None:
    assert desk.run("service.add_public_holidays", year=2026) == {"added": 39}
    assert desk.run("service.add_public_holidays", year=2026) == {"added": 0}
    with pytest.raises(InvalidInput, match="2031"):
        desk.run("service.add_public_holidays", year=2031)
    desk.run("service.set_service_hours", week={"6": "9:00-12:00"})
    desk.run("service.set_service_level", priority="usual", answer=30, solve=60, warn=20, superior="soon")
    with pytest.raises(InvalidInput, match="解决"):
        desk.run("service.set_service_level", priority="usual", answer=30, solve=20, warn=20, superior="soon")
    with pytest.raises(Refused, match="总部"):
        branch.run("service.set_service_level", priority="usual", answer=30, solve=60, warn=20, superior="soon")
    company.exchange()
    clock.ms = round(dt.datetime(2026, 12, 5, 8).astimezone().timestamp() * 1000)  # a Saturday morning
    identity = ticket(branch)
    assert clocks(branch, identity).solve.due == dt.datetime(2026, 12, 5, 10).astimezone()
    clock.forward(minutes=131)
    company.exchange()
    assert {clocks(node, identity).colour for node in company.nodes} == {"bad"}
    with desk.store.read() as connection:
        (line,) = undone(connection, desk.actor, Wanted(), moment(desk.store.clock))
    assert line.record["id"] == identity


def test_the_superior_hears_of_what_is_overdue_and_the_clerk_of_what_is_due_soon(desk: Installation, clock: HandClock) -> None:
    boss = staff(desk, "boss")
    clerk, other = staff(desk, "clerk", superior_id=boss.user_id), staff(desk, "other")
    identity = ticket(desk, assignee_id=clerk.user_id)  # answer within 4 hours, due soon 2 hours before
    assert (told(desk, clerk), told(desk, boss)) == ([], [])
    clock.forward(minutes=240)  # 13:00, three working hours gone
    assert (told(desk, clerk), told(desk, boss)) == ([("ticket", identity)], [])
    clock.forward(minutes=120)  # 15:00: four and a half
    assert (told(desk, clerk), told(desk, boss), told(desk, other)) == ([("ticket", identity)] * 2, [("ticket", identity)], [])
    run(desk, "answer", identity, clerk, text="明天上门")
    assert (told(desk, clerk), told(desk, boss)) == ([], []), "the answer is given; the solution has time"
    run(desk, "assign", identity, text="请接手", user_id=other.user_id)
    clock.forward(days=7)
    assert [len(told(desk, one)) for one in (clerk, boss, other)] == [0, 0, 2]


def test_parts_under_warranty_are_our_expense_and_others_are_asked_for(desk: Installation) -> None:
    needle, before = known(desk, "product", code="N-1"), stock(desk)
    ours = ticket(desk, serial="SN-0001")
    part = run(desk, "use_part", ours, product_id=needle, quantity="2")
    assert (part["covered"], part["amount"], part["cost"]) == (True, "0.00", "8.00")
    expense = desk.get("expense", part["expense_id"])
    assert (expense["type"], expense["amount"], expense["opportunity_id"]) == ("warranty", "8.00", None)
    mill = known(desk, "customer", name="绍兴恒远纺织品有限公司")
    deal = desk.new("opportunity", title="绣花机八台", customer_id=mill, amount="1000")
    desk.set("ticket", ours, opportunity_id=deal)  # what was spent goes along, and what is spent from now on counts at once
    run(desk, "use_part", ours, product_id=needle, quantity="1")
    with desk.store.read() as connection:
        assert deal_money(connection, desk.actor, deal).cost == 12
    flow = {
        "name": "费用",
        "entity": "expense",
        "conditions": "[]",
        "steps": json.dumps([{"who": "user", "id": desk.new("user", login="zong", name="总", role="staff")}]),
    }
    desk.run("records.create_record", entity="approval_flow", values=flow)
    desk.run("approvals.submit", entity="expense", id=part["expense_id"])
    desk.set("ticket", ours, opportunity_id="")  # what somebody is asked about stays as it is
    assert desk.get("expense", part["expense_id"])["opportunity_id"] == deal
    desk.set("ticket", ours, opportunity_id=deal)
    assert desk.get("ticket", desk.new("ticket", title="再看一次", opportunity_id=deal))["customer_id"] == mill
    with pytest.raises(InvalidInput) as refused:
        desk.new("ticket", title="别家的", customer_id=desk.new("customer", name="别家"), opportunity_id=deal)
    assert refused.value.code == "another_customer"
    theirs = ticket(desk, serial="SN-OLD", fee="100")
    charged = run(desk, "use_part", theirs, product_id=needle, quantity="3")
    assert (charged["covered"], charged["amount"], charged["expense_id"]) == (False, "37.50", None)
    assert stock(desk) == before - 6
    with pytest.raises(Refused, match="保修"):
        verbs.run(desk.store, desk.actor, "service.bill_ticket", {"ticket_id": ours, "product_id": known(desk, "product", code="S-1")})
    with pytest.raises(InvalidInput, match="库存"):
        verbs.run(desk.store, desk.actor, "service.bill_ticket", {"ticket_id": theirs, "product_id": needle})
    order = desk.run("service.bill_ticket", ticket_id=theirs, product_id=known(desk, "product", code="S-1"))
    assert order["gross"] == "137.50"
    desk.run("sales.post_order", order_id=order["id"])
    assert stock(desk) == before - 6, "the parts had left already"
    with pytest.raises(Refused, match="SO-HQ"):
        desk.run("service.bill_ticket", ticket_id=theirs, product_id=known(desk, "product", code="S-1"))


def test_a_part_put_back_returns_to_stock_and_takes_its_expense_along(desk: Installation, branch: Installation, company: Company) -> None:
    identity, before = ticket(desk, serial="SN-0001"), stock(desk)
    part = run(desk, "use_part", identity, product_id=known(desk, "product", code="N-1"), quantity="2")
    with pytest.raises(Refused, match="领用过配件"):
        desk.delete("ticket", identity)
    company.exchange()
    with pytest.raises(Refused, match="另一个分支"):
        branch.run("service.take_part_back", part_id=part["id"])
    back = desk.run("service.take_part_back", part_id=part["id"])
    assert (back["quantity"], back["cost"], back["reverses_id"]) == ("-2", "-8.00", part["id"])
    desk.delete("ticket", identity)
    assert stock(desk) == before
    assert desk.is_deleted("expense", part["expense_id"])
    for again in (part["id"], back["id"]):
        with pytest.raises(Refused, match="已经退回"):
            desk.run("service.take_part_back", part_id=again)
    assert desk.rows("SELECT quantity FROM stock_move WHERE remark = ? ORDER BY rid", desk.get("ticket", identity)["number"]) == [
        (-20_000,),
        (20_000,),
    ]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"quantity": "0"}, "not_positive"),
        ({"quantity": "-1"}, "not_positive"),
        ({"quantity": "1e12"}, "number_too_large"),
        ({"quantity": "一百"}, "bad_number"),
        ({"quantity": "1", "price": "-0.01"}, "too_small"),
        ({"quantity": "100000"}, "not_enough_stock"),
    ],
)
def test_nonsense_about_parts_moves_nothing(desk: Installation, parameters: dict[str, str], code: str) -> None:
    desk.run("options.set_company_option", key="negative_stock", value="block")
    identity, before = ticket(desk, serial="SN-OLD"), stock(desk)
    with pytest.raises((InvalidInput, Refused)) as refused:
        run(desk, "use_part", identity, product_id=known(desk, "product", code="N-1"), **parameters)
    assert (refused.value.code, stock(desk)) == (code, before)
    assert desk.value("SELECT count(*) FROM ticket_part") == 0


def test_two_tickets_about_one_thing_become_one_and_both_numbers_are_found(desk: Installation) -> None:
    kept, other = ticket(desk, "断线", fee="20"), ticket(desk, "又断线了", fee="30")
    stranger = ticket(desk, "另一家的", customer_id=desk.new("customer", name="另一家"))
    run(desk, "use_part", other, product_id=known(desk, "product", code="N-1"))
    for wrong, code in ((kept, "same_ticket"), (stranger, "other_customer")):
        with pytest.raises((InvalidInput, Refused)) as refused:
            run(desk, "merge_tickets", kept, other_id=wrong)
        assert refused.value.code == code
    run(desk, "merge_tickets", kept, other_id=other)
    with desk.store.read() as connection:
        sheet = ticket_sheet(connection, desk.actor, kept, moment(desk.store.clock))
        found = select(connection, ListQuery(TICKET, search=desk.get("ticket", other)["number"])).rows
    assert str(sheet.charge) == "62.50", "fees of both, and the part of the other"
    assert [row.record["id"] for row in sheet.merged] == [other] == [row["id"] for row in found]
    assert [row.record["kind"] for row in sheet.events if row.record["ticket_id"] == other] == ["opened", "merged"]
    with pytest.raises(Refused, match="已合并"):
        run(desk, "answer", other, text="?")
    assert run(desk, "split_ticket", other)["state"] == "working"


def test_what_keeps_coming_back_is_named_with_its_tickets(desk: Installation, clock: HandClock) -> None:
    for day in range(3):
        ticket(desk, f"断线{day}", serial="SN-0001", type="repair" if day else "complaint")
        clock.forward(days=10)
    ticket(desk, "怎么保养", serial="SN-0001", type="enquiry")
    ticket(desk, "断线", serial="SN-OLD")
    rows = desk.run("service.repeated_faults", days=90, least=3)["rows"]
    assert [(row["serial"], row["product"], row["tickets"]) for row in rows] == [(None, "绣花机", 4), ("SN-0001", "绣花机", 3)]
    assert len(rows[1]["numbers"]) == 3
    assert desk.run("service.repeated_faults", days=25, least=4)["rows"] == [], "the first was 30 days ago"
    with pytest.raises(InvalidInput, match=r"."):
        desk.run("service.repeated_faults", days=0)


def test_how_content_customers_are_and_what_broke_again(desk: Installation, clock: HandClock) -> None:
    clerk = staff(desk, "clerk")
    found = [ticket(desk, "断线", serial="SN-0001", type="repair")]
    clock.forward(minutes=5)
    found.append(ticket(desk, "又断线", serial="SN-0001", type="repair"))
    for one, stars in zip(found, (2, None), strict=True):
        run(desk, "assign", one, user_id=clerk.user_id)
        run(desk, "close_ticket", one, solution="换针", **({"satisfaction": stars} if stars else {}))
    clock.forward(days=40)
    third = ticket(desk, "第三次", serial="SN-0001", type="complaint")
    run(desk, "close_ticket", third, solution="换头", satisfaction=5)
    asked = ticket(desk, "怎么保养", type="enquiry")
    run(desk, "close_ticket", asked, solution="看说明", satisfaction=4)
    ticket(desk, "没关的", serial="SN-OLD")
    whole = {"key": None, "name": None, "closed": 4, "asked": 3, "stars": 3.67, "low": 1, "faults": 3, "again": 2}
    for by, told in (
        ("product", [("绣花机", 3, 2, 3.5, 1, 3, 2), (None, 1, 1, 4.0, 0, 0, 0)]),
        ("engineer", [("clerk", 2, 1, 2.0, 1, 2, 2), ("管理员", 2, 2, 4.5, 0, 1, 0)]),
        ("month", [("2027-01", 2, 2, 4.5, 0, 1, 0), ("2026-11", 2, 1, 2.0, 1, 2, 2)]),
    ):
        answer = desk.run("service.satisfaction", by=by, days=365)
        keys = ("name", "closed", "asked", "stars", "low", "faults", "again")
        assert sorted((tuple(row[key] for key in keys) for row in answer["rows"]), key=str) == sorted(told, key=str), by
        assert answer["all"] == whole
    assert [row["closed"] for row in desk.run("service.satisfaction", by="month", days=10)["rows"]] == [2]
    desk.run("people.set_rights", login="clerk", entity="ticket", actions=["read"], scope="own")
    limited = actor_by_id(desk.store, str(clerk.user_id))
    assert limited is not None
    own = verbs.run(desk.store, limited, "service.satisfaction", {"by": "engineer"})["all"]
    assert (own["closed"], own["again"]) == (2, 1)  # that it came back a third time stands on a ticket he does not see
    for wrong in ({"days": 0}, {"by": "secret"}):
        with pytest.raises(InvalidInput, match=r"."):
            desk.run("service.satisfaction", **wrong)
    with desk.store.read() as connection:
        customer = known(desk, "customer", name="绍兴恒远纺织品有限公司")
        assert {event.kind.key for event in customer_timeline(connection, desk.actor, customer)} == {"ticket"}


def test_a_ticket_knows_its_customers_people_and_no_future(desk: Installation) -> None:
    stranger = desk.new("contact", customer_id=desk.new("customer", name="另一家"), name="王五")
    for values, code in (
        ({"contact_id": stranger}, "not_of_customer"),
        ({"opened_at": "2026-11-24T09:00:00Z"}, "reported_later"),
        ({"opened_at": "0209-11-24T09:00:00Z"}, "bad_date"),
        ({"fee": "-1"}, "too_small"),
        ({"title": " "}, "required"),
        ({"priority": "sofort"}, "bad_choice"),
        ({"solution": "已解决"}, "not_editable"),
    ):
        with pytest.raises(InvalidInput) as refused:
            ticket(desk, **values)
        assert refused.value.code == code
    assert desk.get("ticket", ticket(desk, "=cmd|'/c calc'!A1 😀𠮷"))["title"] == "=cmd|'/c calc'!A1 😀𠮷"


def test_who_sees_only_his_own_tickets_learns_nothing_of_others(desk: Installation) -> None:
    clerk = staff(desk, "clerk")
    desk.run("people.set_rights", login="clerk", entity="ticket", actions=["read", "create", "update"], scope="own")
    found = actor_by_id(desk.store, str(clerk.user_id))
    assert found is not None
    foreign = ticket(desk, serial="SN-0001")
    for verb, more in (
        ("take_up", {}),
        ("close_ticket", {"solution": "x"}),
        ("use_part", {"product_id": known(desk, "product", code="N-1")}),
    ):
        with pytest.raises(NotFound):
            run(desk, verb, foreign, found, **more)
    own = verbs.run(
        desk.store,
        found,
        "records.create_record",
        {"entity": "ticket", "values": {"title": "咨询", "customer_id": known(desk, "customer", name="绍兴恒远纺织品有限公司")}},
    )["id"]
    with pytest.raises(NotFound):
        run(desk, "merge_tickets", own, found, other_id=foreign)
    with pytest.raises(Forbidden):
        run(desk, "assign", own, found, user_id=desk.actor.user_id)
    with desk.store.read() as connection:
        assert [line.record["id"] for line in undone(connection, found, Wanted(), moment(desk.store.clock))] == [own]
    assert verbs.run(desk.store, found, "service.repeated_faults", {"days": 90, "least": 2})["rows"] == []


# two branches at one ticket ------------------------------------------------------------------------------------------------


def test_a_visit_offline_and_a_remark_at_the_desk_come_together(
    company: Company, desk: Installation, branch: Installation, clock: HandClock
) -> None:
    identity = ticket(desk, serial="SN-0001")
    company.exchange()
    clock.forward(minutes=30)
    run(branch, "add_remark", identity, text="到现场，换机针", kind="visit")  # the engineer's laptop is a branch
    run(branch, "use_part", identity, product_id=known(branch, "product", code="N-1"))
    clock.forward(minutes=30)
    run(desk, "add_remark", identity, text="客户又来电催")
    clock.forward(minutes=300)
    run(branch, "close_ticket", identity, solution="换机针")
    company.exchange()
    assert len(company.digests) == 1
    assert not desk.conflicts()
    for node in company.nodes:
        assert [kind for kind, _state, _text in events(node, identity)] == ["opened", "visit", "remark", "closed"]
        assert node.get("ticket", identity)["state"] == "closed"
        assert clocks(node, identity).answer.kept is True, "the visit was the answer"
    assert (stock(branch), stock(desk)) == (99, 100)


def test_closed_here_and_waiting_there_is_one_question_and_nothing_said_is_lost(
    company: Company, desk: Installation, branch: Installation, clock: HandClock
) -> None:
    identity = ticket(desk)
    company.exchange()
    run(branch, "close_ticket", identity, solution="换机针")
    clock.forward(minutes=5)
    run(desk, "answer", identity, text="请寄回机针", wait=True)
    clock.forward(minutes=5)
    company.exchange()
    assert len(company.digests) == 1
    (conflict,) = desk.conflicts(state="open")
    assert (conflict["entity"], conflict["field"]) == ("ticket", "state")
    for node in company.nodes:
        found = node.get("ticket", identity)
        assert (found["state"], found["solution"]) == ("waiting", "换机针"), "the later state holds; the solution was written once"
        assert [kind for kind, _state, _text in events(node, identity)] == ["opened", "closed", "waiting"]
        assert clocks(node, identity).solve.left == 1440 * MINUTE, "it has stood still since it was closed"


def test_both_close_it_and_head_office_asks_about_the_solution_alone(
    company: Company, desk: Installation, branch: Installation, clock: HandClock
) -> None:
    identity = ticket(desk)
    company.exchange()
    run(branch, "close_ticket", identity, solution="换机针")
    clock.forward(minutes=5)
    run(desk, "close_ticket", identity, solution="调张力")
    company.exchange()
    assert [row["field"] for row in desk.conflicts(state="open")] == ["solution"]
    assert [text for _kind, _state, text in events(branch, identity)] == [None, "换机针", "调张力"]
    assert len(company.digests) == 1


def test_merged_into_each_other_apart_the_older_one_goes_on(
    company: Company, desk: Installation, branch: Installation, clock: HandClock
) -> None:
    older, newer = ticket(desk, "断线"), ticket(desk, "又断线了")
    company.exchange()
    run(branch, "merge_tickets", older, other_id=newer)
    clock.forward(minutes=5)
    run(desk, "merge_tickets", newer, other_id=older)
    company.exchange()
    company.exchange()
    assert len(company.digests) == 1
    for node in company.nodes:
        assert (node.get("ticket", older)["state"], node.get("ticket", older)["merged_into"]) == ("working", None)
        assert (node.get("ticket", newer)["state"], node.get("ticket", newer)["merged_into"]) == ("merged", older)
    with pytest.raises(Refused, match="已合并"):
        run(branch, "answer", newer, text="?")


def test_handed_to_two_people_apart_the_later_holds_and_both_are_noted(
    company: Company, desk: Installation, branch: Installation, clock: HandClock
) -> None:
    one, two = staff(desk, "one"), staff(desk, "two")
    identity = ticket(desk)
    company.exchange()
    run(branch, "assign", identity, user_id=one.user_id)
    clock.forward(minutes=5)
    run(desk, "assign", identity, user_id=two.user_id)
    company.exchange()
    assert {node.get("ticket", identity)["assignee_id"] for node in company.nodes} == {two.user_id}
    handed = [row[0].hex() for row in branch.rows("SELECT user_id FROM ticket_event WHERE kind = 'assigned' ORDER BY at")]
    assert handed == [one.user_id, two.user_id]
