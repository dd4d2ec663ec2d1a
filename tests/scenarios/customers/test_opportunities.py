"""A deal from the first word to the end of its aftercare, at one desk and at two branches apart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.crm.deal_sheet import deal_sheet
from localcrm.domain.crm.entities import Phase
from localcrm.domain.crm.pipeline import NOWHERE, WON, Column, Filter, board, overview
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.jobs.scheduler import run_job
from localcrm.jobs.work import JOBS
from localcrm.kernel.errors import Forbidden, InvalidInput, NotFound, Refused
from tests.factories import FIRST_DAY, Company, Installation, copy_company

TODAY = FIRST_DAY
OPEN = "negotiating"


def prepare(company: Company) -> None:
    """Stages and one customer, known everywhere."""
    company.hq.run("crm.add_standard_stages")
    company.hq.new("customer", name="绍兴恒远纺织品有限公司")
    company.exchange()


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    opened = copy_company(tmp_path, name="opportunities", prepare=prepare)
    yield opened
    opened.close()


@pytest.fixture
def office(company: Company) -> Installation:
    return company.hq


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Head office for all tests that look at their own deal only."""
    opened = copy_company(tmp_path_factory.mktemp("desk"), name="opportunities", prepare=prepare)
    yield opened.hq
    opened.close()


def customer(node: Installation) -> str:
    return str(node.value("SELECT lower(hex(id)) FROM customer"))


def deal(node: Installation, title: str = "雪纺春季单", amount: str = "80000", **values: Any) -> str:
    return node.new("opportunity", title=title, customer_id=customer(node), amount=amount, **values)


def stages(node: Installation, phase: str = "opportunity") -> list[str]:
    return [row[0] for row in node.rows("SELECT lower(hex(id)) FROM stage WHERE phase = ? ORDER BY position", phase)]


def stage_name(node: Installation, identity: str) -> str:
    return str(node.value("SELECT name FROM stage WHERE id = ?", bytes.fromhex(node.get("opportunity", identity)["stage_id"])))


def columns(node: Installation, actor: Actor | None = None, phase: str = "opportunity", **wanted: Any) -> dict[str, Column]:
    with node.store.read() as connection:
        found = board(connection, actor or node.actor, Filter(phase=Phase(phase), **wanted), dt.datetime.now(dt.UTC))
    return {column.key: column for column in found}


def way(node: Installation, identity: str) -> list[tuple[Any, ...]]:
    """The ledger of a deal: to which stage, outcome, remark."""
    return node.rows(
        """SELECT s.position, c.state, c.remark FROM opportunity_stage_change c LEFT JOIN stage s ON s.id = c.to_stage_id
           WHERE c.opportunity_id = ? ORDER BY c.at, c.rid""",
        bytes.fromhex(identity),
    )


# one desk -----------------------------------------------------------------------------------------------------------


def test_a_new_deal_gets_number_owner_and_the_first_stage(desk: Installation) -> None:
    found = desk.get("opportunity", deal(desk))
    assert found["number"].startswith("OP-HQ-")
    assert found["owner_id"] == desk.actor.user_id
    assert (found["phase"], found["state"], found["stage_id"]) == ("opportunity", OPEN, stages(desk)[0])
    assert way(desk, found["id"]) == [(10, OPEN, None)]


def test_stage_and_outcome_are_not_typed_into_the_form(desk: Installation) -> None:
    identity = deal(desk)
    for values in ({"stage_id": stages(desk)[3]}, {"state": "won"}, {"phase": "project"}):
        with pytest.raises(InvalidInput, match=r"."):
            desk.set("opportunity", identity, **values)
    assert way(desk, identity) == [(10, OPEN, None)]


def test_going_on_past_an_open_checklist_is_refused_with_the_items_and_done_with_a_reason(desk: Installation) -> None:
    identity = deal(desk)
    first, second, third = stages(desk)[:3]
    with pytest.raises(Refused) as refused:
        desk.run("crm.move_opportunity", opportunity_id=identity, stage_id=second)
    assert refused.value.code == "checklist_open"
    (item,) = str(refused.value.params["items"]).split("; ")
    desk.run("crm.tick_item", opportunity_id=identity, item=item)
    desk.run("crm.move_opportunity", opportunity_id=identity, stage_id=second)
    desk.run("crm.move_opportunity", opportunity_id=identity, stage_id=third, remark="客户急着要")
    desk.run("crm.move_opportunity", opportunity_id=identity, stage_id=first)  # back is always possible
    assert way(desk, identity) == [(10, OPEN, None), (20, OPEN, None), (30, OPEN, "客户急着要"), (10, OPEN, None)]


def test_a_tick_taken_away_opens_the_item_again_and_only_items_of_the_stage_count(desk: Installation) -> None:
    identity = deal(desk)
    items = desk.run(
        "crm.tick_item",
        opportunity_id=identity,
        item=str(desk.value("SELECT checklist FROM stage WHERE position = 10 AND phase = 'opportunity'")),
    )
    assert list(items["items"].values()) == [True]
    assert list(desk.run("crm.tick_item", opportunity_id=identity, item=next(iter(items["items"])), done=False)["items"].values()) == [
        False
    ]
    with pytest.raises(Refused, match=r"."):
        desk.run("crm.tick_item", opportunity_id=identity, item="别的事")


def test_an_outcome_needs_a_reason_and_is_not_decided_twice(desk: Installation) -> None:
    identity = deal(desk)
    with pytest.raises(InvalidInput) as missing:
        desk.run("crm.lose", opportunity_id=identity, reason="  ")
    assert missing.value.field == "reason"
    desk.run("crm.lose", opportunity_id=identity, reason="dear", remark="比对手贵两成")
    for verb, parameters in (("crm.win", {"reason": "price"}), ("crm.move_opportunity", {"stage_id": stages(desk)[2]})):
        with pytest.raises(Refused) as decided:
            desk.run(verb, opportunity_id=identity, **parameters)
        assert decided.value.code == "decided"
    desk.run("crm.reopen", opportunity_id=identity)
    found = desk.get("opportunity", identity)
    assert (found["state"], found["reason"], found["decided_on"]) == (OPEN, None, None)
    assert [state for _stage, state, _remark in way(desk, identity)] == [OPEN, "lost", OPEN]


def test_one_card_walks_from_deal_to_project_to_aftercare_without_being_typed_again(office: Installation) -> None:
    identity = deal(office)
    with pytest.raises(Refused):
        office.run("crm.start_project", opportunity_id=identity)
    office.run("crm.win", opportunity_id=identity, reason="price")
    office.run("crm.start_project", opportunity_id=identity)
    office.new("project_task", opportunity_id=identity, title="上门量尺寸", cost="1200", due_on=str(TODAY))
    with pytest.raises(Refused):
        office.run("crm.reopen", opportunity_id=identity)
    office.run(
        "crm.start_aftercare", opportunity_id=identity, plan={"title": "季度保养", "every": 3, "unit": "month", "starts_on": str(TODAY)}
    )
    found = office.get("opportunity", identity)
    assert (found["phase"], found["state"], found["amount"], found["stage_id"]) == (
        "aftercare",
        "won",
        "80000.00",
        stages(office, "aftercare")[0],
    )
    office.run("crm.close_aftercare", opportunity_id=identity)
    assert office.get("opportunity", identity)["state"] == "closed"
    assert columns(office, phase="aftercare")[stages(office, "aftercare")[0]].count == 0
    office.run("crm.reopen", opportunity_id=identity)
    assert columns(office, phase="aftercare")[stages(office, "aftercare")[0]].count == 1


def test_the_board_sums_and_weighs_its_columns(office: Installation) -> None:
    first, second = stages(office)[:2]
    deal(office, amount="1000")
    deal(office, amount="500", probability=50)
    moved = deal(office, amount="200")
    office.run("crm.move_opportunity", opportunity_id=moved, stage_id=second, remark="跳过")
    won = deal(office, amount="70")
    office.run("crm.win", opportunity_id=won, reason="price")
    office.run("crm.lose", opportunity_id=deal(office, amount="9999"), reason="dear")
    found = columns(office)
    told = {key: (column.count, str(column.amount), str(column.weighted)) for key, column in found.items() if column.count}
    assert told == {first: (2, "1500.00", "350.00"), second: (1, "200.00", "60.00"), WON: (1, "70.00", "70.00")}
    assert list(found) == [*stages(office), WON]
    assert [card.percent for card in found[first].cards] == [50, 10]


def test_a_deal_is_stuck_after_the_days_its_stage_allows(office: Installation) -> None:
    deal(office)
    with office.store.read() as connection:
        later = board(connection, office.actor, Filter(), dt.datetime.now(dt.UTC) + dt.timedelta(days=14))
        sooner = board(connection, office.actor, Filter(), dt.datetime.now(dt.UTC) + dt.timedelta(days=13))
    assert [(card.days, card.stuck) for card in (*later[0].cards, *sooner[0].cards)] == [(14, True), (13, False)]


def test_cards_of_a_stage_that_was_deleted_are_still_on_the_board(company: Company) -> None:
    identity = deal(company.branches["BR01"])
    gone = stages(company.hq)[0]
    company.hq.delete("stage", gone)
    company.exchange("BR01")
    for node in (company.hq, company.branches["BR01"]):
        assert [card.id for column in columns(node).values() for card in column.cards] == [identity]
    company.hq.run("crm.move_opportunity", opportunity_id=identity, stage_id=stages(company.hq)[1])
    assert NOWHERE not in columns(company.hq)


def test_the_funnel_counts_how_far_deals_came_and_why_they_ended(office: Installation) -> None:
    _first, second, third = stages(office)[:3]
    deal(office, expected_on="2026-12-20", amount="100")
    for stage in (second, third):
        identity = deal(office, amount="50")
        office.run("crm.move_opportunity", opportunity_id=identity, stage_id=stage, remark="快")
    office.run("crm.move_opportunity", opportunity_id=identity, stage_id=second)  # back again: it had come further
    office.run("crm.win", opportunity_id=identity, reason="price")
    office.run("crm.lose", opportunity_id=deal(office, amount="30"), reason="dear")
    with office.store.read() as connection:
        found = overview(connection, office.actor, Filter(), since=TODAY - dt.timedelta(days=30))
        nothing = overview(connection, office.actor, Filter(), since=dt.date.today() + dt.timedelta(days=2))
    assert [(step.count, step.of_all) for step in found.steps] == [(4, 100), (2, 50), (1, 25), (1, 25), (1, 25), (1, 25)]
    assert {(one.won, one.reason, one.count, str(one.amount)) for one in found.ended} == {
        (True, "price", 1, "50.00"),
        (False, "dear", 1, "30.00"),
    }
    assert [(one.month, one.count, str(one.weighted)) for one in found.months] == [("2026-12", 1, "10.00"), ("", 1, "15.00")]
    assert [step.count for step in nothing.steps] == [0] * 6
    assert nothing.ended == []


def test_a_contact_of_another_customer_is_refused(desk: Installation) -> None:
    other = desk.new("customer", name="别的公司")
    contact = desk.new("contact", customer_id=other, name="李娟")
    with pytest.raises(InvalidInput) as refused:
        deal(desk, contact_id=contact)
    assert refused.value.code == "not_of_customer"


@pytest.mark.parametrize("amount", ["-1", "1e12", "一百"])
def test_amounts_that_are_none_are_refused(desk: Installation, amount: str) -> None:
    with pytest.raises(InvalidInput):
        deal(desk, amount=amount)


def test_a_line_takes_name_and_price_from_its_product(desk: Installation) -> None:
    product = desk.new("product", code="XF75", name="75D雪纺", price="9.8")
    line = desk.get("opportunity_line", desk.new("opportunity_line", opportunity_id=deal(desk), product_id=product, quantity="300"))
    assert (line["description"], line["price"]) == ("75D雪纺", "9.8")


# rights -------------------------------------------------------------------------------------------------------------


def seller(desk: Installation, login: str, **rules: str) -> Actor:
    user = desk.new("user", login=login, name=login)
    desk.run("people.set_rights", login=login, entity="opportunity", actions=["read", "update"], scope={"read": "own", "update": "own"})
    for field, rule in rules.items():
        desk.run("people.set_field_rule", login=login, entity="opportunity", field=field, rule=rule)
    found = actor_by_id(desk.store, user)
    assert found is not None
    return found


def test_others_deals_are_neither_counted_nor_moved(office: Installation) -> None:
    lin = seller(office, "lin")
    deal(office, amount="700")
    mine = deal(office, amount="5", owner_id=lin.user_id)
    other = deal(office, amount="90")
    column = columns(office, lin)[stages(office)[0]]
    assert (column.count, str(column.amount), [card.id for card in column.cards]) == (1, "5.00", [mine])
    with pytest.raises(NotFound):
        verbs.run(office.store, lin, "crm.lose", {"opportunity_id": other, "reason": "dear"})
    with pytest.raises(Forbidden):
        verbs.run(office.store, lin, "crm.add_standard_stages", {})


def test_who_may_not_read_amounts_sees_no_sums(office: Installation) -> None:
    lin = seller(office, "lin", amount="hidden")
    deal(office, owner_id=lin.user_id, expected_on="2026-12-20")
    column = columns(office, lin)[stages(office)[0]]
    assert (column.count, column.amount, column.weighted, column.cards[0].amount) == (1, None, None, None)
    with office.store.read() as connection:
        assert [month.amount for month in overview(connection, lin, Filter(), since=TODAY).months] == [None]


def test_who_may_not_see_the_stage_gets_no_board_that_would_tell_it(office: Installation) -> None:
    lin = seller(office, "lin", stage_id="hidden")
    deal(office, owner_id=lin.user_id)
    with pytest.raises(Refused) as refused:
        columns(office, lin)
    assert refused.value.code == "stages_hidden"
    with office.store.read() as connection, pytest.raises(Refused):
        overview(connection, lin, Filter(), since=TODAY)


def test_days_in_a_stage_are_not_told_to_who_may_not_read_the_moves(office: Installation) -> None:
    lin = seller(office, "lin")
    deal(office, owner_id=lin.user_id)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=20)
    with office.store.read() as connection:
        days = [board(connection, who, Filter(), later)[0].cards[0].days for who in (office.actor, lin)]
    assert days == [20, 0]


# two branches -------------------------------------------------------------------------------------------------------


def test_two_branches_work_on_the_same_cards_apart(company: Company) -> None:
    """Moved to two stages: the later one stands, the inbox asks once. Ticked apart: all ticks count. Won here and moved there: both."""
    one, two = company.branches["BR01"], company.branches["BR02"]
    moved, ticked, won = (deal(one, title) for title in ("窗帘", "面料", "床品"))
    one.run("crm.move_opportunity", opportunity_id=ticked, stage_id=stages(one)[2], remark="直接报价")
    company.exchange("BR01", "BR02")
    one.run("crm.move_opportunity", opportunity_id=moved, stage_id=stages(one)[1], remark="打过电话")
    one.run("crm.win", opportunity_id=won, reason="quality")
    two.clock.forward(minutes=5)  # type: ignore[attr-defined]
    two.run("crm.move_opportunity", opportunity_id=moved, stage_id=stages(two)[2], remark="寄了样品")
    two.run("crm.move_opportunity", opportunity_id=won, stage_id=stages(two)[1], remark="客户已确认需求")
    items = str(one.value("SELECT checklist FROM stage WHERE id = ?", bytes.fromhex(stages(one)[2]))).splitlines()
    for node, item in zip((one, two), items, strict=True):
        node.run("crm.tick_item", opportunity_id=ticked, item=item)
    company.exchange("BR01", "BR02", "BR01")
    assert len(company.digests) == 1
    assert [(row["field"], row["record"]) for row in company.hq.conflicts()] == [("stage_id", moved)]
    for node in company.nodes:
        assert node.get("opportunity", moved)["stage_id"] == stages(node)[2]
        assert {remark for _stage, _state, remark in way(node, moved)} == {None, "打过电话", "寄了样品"}
        found = node.get("opportunity", won)
        assert (found["state"], found["reason"], found["stage_id"]) == ("won", "quality", stages(node)[1])
    company.hq.run("crm.move_opportunity", opportunity_id=ticked, stage_id=stages(company.hq)[3])  # nothing is open any more


def test_a_stage_is_set_by_head_office_alone(company: Company) -> None:
    branch = company.branches["BR01"]
    with pytest.raises(Refused) as refused:
        branch.set("stage", stages(branch)[0], name="初次接触")
    assert refused.value.code == "office_only"
    with pytest.raises(Refused):
        branch.run("crm.add_standard_stages")


def test_a_stage_in_use_stays_in_its_phase_and_the_usual_ones_come_once(desk: Installation) -> None:
    deal(desk)
    assert desk.run("crm.add_standard_stages") == {"added": 0}
    with pytest.raises(Refused) as refused:
        desk.set("stage", stages(desk)[0], phase="project")
    assert refused.value.code == "stage_in_use"
    with pytest.raises(InvalidInput):
        desk.new("stage", name=stage_name(desk, deal(desk)), phase="opportunity")


# visits -------------------------------------------------------------------------------------------------------------


def looked_after(node: Installation, **plan: Any) -> tuple[str, str]:
    identity = deal(node)
    node.run("crm.win", opportunity_id=identity, reason="price")
    values = {"title": "季度保养", "every": 3, "unit": "month", **plan}
    node.run("crm.start_aftercare", opportunity_id=identity, plan=values)
    return identity, str(node.value("SELECT lower(hex(id)) FROM service_plan"))


def test_the_branch_that_serves_writes_the_visit_down_once(company: Company) -> None:
    """The branch that sold and the one that serves are two."""
    one, two = company.branches["BR01"], company.branches["BR02"]
    identity, plan = looked_after(one, starts_on=str(TODAY + dt.timedelta(days=3)), branch_id=two.store.node.branch_id)
    company.exchange("BR01", "BR02")
    assert [node.run("crm.write_visits")["visits"] for node in company.nodes] == [0, 0, 1]
    assert two.run("crm.write_visits") == {"visits": 0}
    company.exchange("BR02")
    ((kind, content, next_at),) = company.hq.rows("SELECT type, content, next_at FROM activity")
    assert (kind, one.get("opportunity", identity)["number"] in content) == ("visit", True)
    assert dt.datetime.fromtimestamp(next_at / 1000).date() == TODAY + dt.timedelta(days=3)
    assert dt.date.fromisoformat(company.hq.get("service_plan", plan)["next_on"]) > TODAY + dt.timedelta(days=80)


def test_the_program_writes_visits_down_by_itself_while_it_runs(office: Installation) -> None:
    (job,) = (job for job in JOBS if job.name == "visits")
    assert not job.wanted(office.store)
    looked_after(office, starts_on=str(TODAY))
    assert job.wanted(office.store)
    assert run_job(office.store, lambda: office.keys, job).ended_well
    assert office.value("SELECT count(*) FROM activity") == 1
    assert not job.wanted(office.store)


def test_visits_missed_while_nobody_was_there_come_to_one(office: Installation) -> None:
    _identity, plan = looked_after(office, starts_on=str(TODAY - dt.timedelta(days=400)), every=1, unit="month")
    assert office.run("crm.write_visits") == {"visits": 1}
    assert office.run("crm.write_visits")["visits"] in {0, 1}  # the next one may be due within the days ahead already
    assert dt.date.fromisoformat(office.get("service_plan", plan)["next_on"]) > TODAY


@pytest.mark.parametrize(
    "plan",
    [
        {"starts_on": str(TODAY - dt.timedelta(days=9)), "next_on": str(TODAY), "until": str(TODAY - dt.timedelta(days=1))},
        {"active": False},
        {"starts_on": str(TODAY + dt.timedelta(days=60))},
    ],
)
def test_no_visit_of_a_plan_that_has_ended_or_is_not_due(office: Installation, plan: dict[str, Any]) -> None:
    looked_after(office, **({"starts_on": str(TODAY)} | plan))
    assert office.run("crm.write_visits") == {"visits": 0}


def test_a_plan_that_ends_before_its_first_visit_is_refused(office: Installation) -> None:
    """Trap 40: end before start, typed, left to today, and by a change of one of the two."""
    identity, plan = looked_after(office, starts_on=str(TODAY), until=str(TODAY))
    yesterday = str(TODAY - dt.timedelta(days=1))
    for values in ({"starts_on": str(TODAY), "until": yesterday}, {"until": yesterday}):
        with pytest.raises(InvalidInput) as refused:
            office.new("service_plan", opportunity_id=identity, title="年度保养", **values)
        assert (refused.value.code, refused.value.params["field"]) == ("end_before_start", "until")
    for changed in ({"until": yesterday}, {"starts_on": str(TODAY + dt.timedelta(days=1))}):
        with pytest.raises(InvalidInput) as refused:
            office.set("service_plan", plan, **changed)
        assert refused.value.code == "end_before_start"
    assert office.value("SELECT count(*) FROM service_plan") == 1


def test_no_visit_after_the_aftercare_was_closed(office: Installation) -> None:
    identity, _plan = looked_after(office, starts_on=str(TODAY))
    office.run("crm.close_aftercare", opportunity_id=identity)
    assert office.run("crm.write_visits") == {"visits": 0}


# a department with stages of its own -------------------------------------------------------------------------------------------


def test_a_department_goes_through_stages_of_its_own_and_one_without_through_those_above(company: Company) -> None:
    office = company.hq
    west = office.new("department", name="西部")
    south = office.new("department", name="西南组", parent_id=west)
    people = {login: office.new("user", login=login, name=login, department_id=place) for login, place in (("lin", south), ("wu", None))}
    ours = stages(office)
    assert office.run("crm.copy_stages", department=west, phase="opportunity") == {"added": len(ours)}
    theirs = [one for one in stages(office) if one not in ours]
    office.set("stage", theirs[0], name="拜访", probability=20, checklist="样卡已留")
    with pytest.raises(Refused, match="已有"):
        office.run("crm.copy_stages", department=west, phase="opportunity")
    with pytest.raises(InvalidInput, match="拜访"):
        office.new("stage", name="拜访", phase="opportunity", department_id=west)
    of_lin, of_wu, of_nobody = (
        deal(office, title, owner_id=owner) for title, owner in (("甲", people["lin"]), ("乙", people["wu"]), ("丙", None))
    )
    assert [office.get("opportunity", one)["stage_id"] for one in (of_lin, of_wu)] == [theirs[0], ours[0]]
    assert list(columns(office, department_id=west)) == [*theirs, WON]
    assert [card.title for card in columns(office, department_id=west)[theirs[0]].cards] == ["甲"]
    assert {card.title for card in columns(office)[ours[0]].cards} == {"乙", "丙"}
    assert columns(office, department_id=west)[theirs[0]].weighted == columns(office, department_id=west)[theirs[0]].amount / 5  # type: ignore[operator]
    with pytest.raises(Refused, match="其他部门"):
        office.run("crm.move_opportunity", opportunity_id=of_lin, stage_id=ours[1], remark="x")
    with pytest.raises(Refused, match="样卡已留"):
        office.run("crm.move_opportunity", opportunity_id=of_lin, stage_id=theirs[1])
    office.run("crm.move_opportunity", opportunity_id=of_lin, stage_id=theirs[1], remark="先报价")
    office.run("crm.start_project", opportunity_id=won(office, of_wu))
    with office.store.read() as connection:
        found = overview(connection, office.actor, Filter(department_id=west), since=TODAY - dt.timedelta(days=30))
        assert [(found.stages.get(step.stage), step.count) for step in found.steps][:2] == [("拜访", 1), (stage_name(office, of_lin), 1)]
        assert overview(connection, office.actor, Filter(), since=TODAY - dt.timedelta(days=30)).steps[0].count == 2
        assert [one["id"] for one in deal_sheet(connection, office.actor, of_lin, dt.datetime.now(dt.UTC)).stages] == theirs
    office.set("opportunity", of_lin, owner_id=people["wu"])  # handed to somebody who goes through the company's
    assert columns(office, department_id=west)[theirs[1]].count == 0
    assert [card.title for card in columns(office)[NOWHERE].cards] == ["甲"]
    office.run("crm.move_opportunity", opportunity_id=of_lin, stage_id=ours[2])
    company.exchange()
    assert columns(company.branches["BR01"])[ours[2]].count == 1
    assert of_nobody


def won(node: Installation, identity: str) -> str:
    node.run("crm.win", opportunity_id=identity, reason="price")
    return identity
