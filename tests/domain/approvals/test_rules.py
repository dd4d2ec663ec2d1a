"""Who is asked, and what their decisions come to."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal

import pytest

from localcrm.domain.approvals import rules
from localcrm.domain.approvals.rules import Company, Person, Rule, Seat, State, Step, Who
from localcrm.domain.sales.approval import FACTS
from localcrm.kernel.errors import InvalidInput

AUTHOR, LEAD, BOSS, OFFICE, OTHER = (character * 32 for character in "abcde")
SALES, ALL = "1" * 32, "2" * 32
ROLE = "9" * 32


def company(**changed: Person) -> Company:
    """林 works for 张 who works for 王; somebody administers head office."""
    people = {
        AUTHOR: Person(superior=LEAD, department=SALES),
        LEAD: Person(superior=BOSS, department=SALES),
        BOSS: Person(),
        OFFICE: Person(is_admin=True),
        OTHER: Person(department=ALL),
    }
    people |= {{"author": AUTHOR, "lead": LEAD, "boss": BOSS, "office": OFFICE, "other": OTHER}[name]: one for name, one in changed.items()}
    return Company(people, {SALES: (LEAD, ALL), ALL: (BOSS, None)}, {ROLE: {LEAD, OTHER}}, office=None)


def asked(*steps: Step, author: str = AUTHOR, among: Company | None = None) -> list[tuple[int, tuple[str, ...]]]:
    plan = rules.seats(steps, author=author, barred={author}, company=among or company())
    return [(seat.step, seat.users) for seat in plan]


def test_each_step_asks_whom_it_names() -> None:
    steps = (Step(Who.SUPERIOR), Step(Who.SUPERIOR, level=2), Step(Who.USER, OTHER))
    assert asked(*steps) == [(1, (LEAD,)), (2, (BOSS,)), (3, (OTHER,))]
    assert asked(Step(Who.MANAGER)) == [(1, (LEAD,))]
    assert asked(Step(Who.ROLE, ROLE)) == [(1, (LEAD, OTHER))]
    assert asked(Step(Who.ROLE, ROLE, rule=Rule.ALL)) == [(1, (LEAD,)), (1, (OTHER,))]


def test_nobody_approves_his_own_document() -> None:
    assert asked(Step(Who.USER, AUTHOR)) == [(1, (LEAD,))]
    assert asked(Step(Who.MANAGER), author=LEAD) == [(1, (BOSS,))]  # the manager's own goes to the department above
    assert asked(Step(Who.ROLE, ROLE), author=LEAD) == [(1, (OTHER,))]
    assert asked(Step(Who.USER, OFFICE), author=OFFICE) == [(1, ())]  # an administrator alone: nobody is left


def test_whoever_is_not_there_is_stood_in_for_by_the_next_superior_else_head_office() -> None:
    assert asked(Step(Who.SUPERIOR), among=company(lead=Person(superior=BOSS, here=False))) == [(1, (BOSS,))]
    assert asked(Step(Who.USER, LEAD), author=OTHER, among=company(lead=Person(superior=BOSS, here=False))) == [(1, (BOSS,))]
    assert asked(Step(Who.SUPERIOR), author=BOSS) == [(1, (OFFICE,))]  # nobody above him
    assert asked(Step(Who.ROLE, "8" * 32)) == [(1, (LEAD,))]  # nobody has the role
    gone = company(lead=Person(here=False), office=Person(is_admin=True, here=False))
    assert asked(Step(Who.SUPERIOR), among=gone) == [(1, ())]


def test_a_circle_of_superiors_is_walked_once() -> None:
    circle = company(boss=Person(superior=AUTHOR))
    assert asked(Step(Who.SUPERIOR, level=9), among=circle) == [(1, (BOSS,))]
    assert asked(Step(Who.USER, AUTHOR), author=AUTHOR, among=company(author=Person(superior=AUTHOR))) == [(1, (OFFICE,))]


def test_nobody_is_asked_twice_and_a_short_chain_ends_with_its_highest() -> None:
    assert asked(Step(Who.SUPERIOR), Step(Who.SUPERIOR, level=2), author=LEAD) == [(1, (BOSS,))]


def test_those_who_may_not_look_at_such_documents_are_passed_over() -> None:
    among = company()
    blind = Company(among.people, among.departments, among.roles, None, able=lambda user: user != LEAD)
    assert asked(Step(Who.SUPERIOR), among=blind) == [(1, (BOSS,))]


# outcome -----------------------------------------------------------------------------------------------------------------

PLAN = [Seat(1, (LEAD, OTHER)), Seat(2, (BOSS,)), Seat(2, (OFFICE,))]


def test_steps_come_one_after_the_other() -> None:
    assert rules.open_seats(PLAN, []) == [0]
    assert rules.open_seats(PLAN, [(0, "approved")]) == [1, 2]
    assert rules.open_seats(PLAN, [(0, "approved"), (2, "approved")]) == [1]
    assert rules.state(PLAN, [(0, "approved"), (2, "approved")]) == State.WAITING
    assert rules.state(PLAN, [(0, "approved"), (2, "approved"), (1, "approved")]) == State.APPROVED
    assert rules.open_seats(PLAN, [(0, "rejected")]) == []


def test_decisions_made_apart_come_to_the_same_in_any_order() -> None:
    apart = [(0, "approved"), (0, "rejected"), (-1, "withdrawn")]
    for order in itertools.permutations(apart):
        assert rules.state(PLAN[:1], order) == State.REJECTED
    assert rules.state(PLAN[:1], [(0, "approved"), (-1, "withdrawn")]) == State.WITHDRAWN
    assert rules.state(PLAN[:1], [(0, "approved"), (0, "approved")]) == State.APPROVED


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "[1]", '[{"step": 1}]', '[{"step": 1, "users": ["x"]}]', "null", "[]"])
def test_a_plan_that_makes_no_sense_is_never_approved(text: str) -> None:
    assert rules.read_plan(text) == []
    assert rules.state([], [(0, "approved")]) == State.WAITING


def test_a_plan_goes_on_at_the_step_that_rejected_as_long_as_it_asks_the_same() -> None:
    rejected = [(0, "approved"), (2, "rejected")]
    assert rules.carried_on(PLAN, PLAN, rejected) == PLAN[1:]
    other = [Seat(1, (LEAD,)), *PLAN[1:]]
    assert rules.carried_on(other, PLAN, rejected) == other
    assert rules.carried_on(PLAN, PLAN[1:], [(1, "rejected")]) == PLAN[1:]  # rejected there a second time


# conditions --------------------------------------------------------------------------------------------------------------

ORDER = {"amount": Decimal("10000.00"), "discount": Decimal("0.9500"), "level": "deal", "branch": SALES, "over_limit": True}


@pytest.mark.parametrize(
    ("fact", "op", "value", "holds"),
    [
        ("amount", "at_least", "10,000", True),
        ("amount", "at_least", "10000.01", False),
        ("discount", "less", "0.96", True),
        ("discount", "less", "0.95", False),
        ("level", "is", "deal", True),
        ("level", "is_not", "deal", False),
        ("branch", "is", SALES, True),
        ("over_limit", "is", False, False),
    ],
)
def test_a_condition_compares_one_fact(fact: str, op: str, value: object, holds: bool) -> None:
    text = rules.written(rules.read_conditions(json.dumps([{"fact": fact, "op": op, "value": value}]), FACTS))
    assert rules.fits(text, ORDER) is holds


def test_what_is_not_known_yet_asks_rather_too_much() -> None:
    assert rules.fits(None, ORDER)
    assert rules.fits('[{"fact": "margin", "op": "less", "value": "0.1"}]', ORDER)
    assert not rules.fits('[{"fact": "discount", "op": "less", "value": "1"}]', {"discount": None})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        "5",
        '[{"fact": "margin", "op": "is", "value": "1"}]',
        '[{"fact": "amount", "op": "is", "value": "1"}]',
        '[{"fact": "amount", "op": "at_least", "value": ""}]',
        '[{"fact": "amount", "op": "at_least", "value": "viel"}]',
        '[{"fact": "branch", "op": "is", "value": "x"}]',
        '[{"fact": "over_limit", "op": "is", "value": "yes"}]',
        json.dumps([{"fact": "amount", "op": "at_least", "value": "1"}] * 21),
    ],
)
def test_conditions_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        rules.read_conditions(text, FACTS)


@pytest.mark.parametrize(
    "text",
    ["[]", '["x"]', '[{"who": "god"}]', '[{"who": "user"}]', '[{"who": "superior", "level": 0}]', '[{"who": "superior", "rule": "most"}]'],
)
def test_steps_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        rules.read_steps(text)


# what head office takes over -----------------------------------------------------------------------------------------------


def test_a_decision_is_taken_over_from_whoever_was_asked_where_he_decides() -> None:
    request = {
        "author_id": AUTHOR,
        "owner_id": AUTHOR,
        "branch_id": SALES,
        "plan": rules.write_plan([Seat(1, (LEAD,)), Seat(2, (AUTHOR,))]),
    }
    among = company(boss=Person(branch=ALL), other=Person(branch=SALES))

    def fault(user: str, decision: str = "approved", seat: int = 0, author: str | None = None) -> str | None:
        made = {"user_id": user, "decision": decision, "seat": seat}
        return rules.decision_fault(request, made, author=author or user, branch=SALES, company=among)

    assert fault(LEAD) is None
    assert fault(LEAD, author=OTHER) == "not_decider"  # in another's name
    assert fault(OTHER) == "not_decider"  # was not asked
    assert fault(AUTHOR, seat=1) == "not_decider"  # his own, though the plan says so
    assert fault(LEAD, seat=7) == "not_decider"
    assert fault(AUTHOR, "withdrawn", -1) is None
    assert fault(LEAD, "withdrawn", -1) == "not_decider"
    request["branch_id"], among.people[AUTHOR] = ALL, Person(branch=ALL)
    assert fault(AUTHOR, "withdrawn", -1) == "not_decider"  # another branch speaks in the name of its author
    request["branch_id"], among.people[AUTHOR] = SALES, Person(branch=SALES)
    request["plan"] = rules.write_plan([Seat(1, (BOSS,))])
    assert fault(BOSS) == "not_decider"  # belongs to another branch, and decides there
    among = company(lead=Person(superior=OTHER, here=False))
    request["plan"] = rules.write_plan([Seat(1, (LEAD,))])
    assert (fault(LEAD), fault(OTHER), fault(BOSS)) == (None, None, "not_decider")
