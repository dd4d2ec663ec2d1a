"""Pure rules of approvals: which flow fits, who is asked, what the decisions come to.

A plan is a row of seats. A step that one of several people may take is one seat for all of them; a step that all must
take is a seat for each. So the outcome needs no more than: which seats were approved, and was anything rejected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from localcrm.domain.approvals.entities import Decision
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.ids import parse_id
from localcrm.kernel.money import parse_decimal
from localcrm.kernel.schema import Choice

MOST_STEPS, MOST_CONDITIONS = 20, 20
#: Seat of a decision that is about the whole request.
WHOLE = -1


# what a flow says ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a document tells about itself for conditions; ``ref`` names the kind of record its value is the id of."""

    key: str
    label: str
    kind: Literal["money", "rate", "choice", "ref", "boolean"]
    options: Mapping[str, str] = field(default_factory=dict)
    ref: str = ""

    @property
    def operators(self) -> tuple[str, ...]:
        """Comparisons that mean something for it."""
        return ("at_least", "less") if self.kind in {"money", "rate"} else ("is",) if self.kind == "boolean" else ("is", "is_not")


class Comparison(Choice):
    """How a fact is compared."""

    AT_LEAST = "at_least", N_("is at least")
    LESS = "less", N_("is less than")
    IS = "is", N_("is")
    IS_NOT = "is_not", N_("is not")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: decimals as plain text, ids and choices as they are, yes and no as a truth value."""

    fact: str
    op: str
    value: str | bool

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether a document fits. What this program does not know of yet fits, so that rather too much is asked than too little."""
        if self.fact not in facts or self.op not in set(Comparison):
            return True
        now = facts[self.fact]
        if self.op == Comparison.IS_NOT:
            return bool(now != self.value)
        if now is None:
            return False
        if self.op == Comparison.IS:
            return bool(now == self.value)
        bound = Decimal(str(self.value))
        return bool(now >= bound) if self.op == Comparison.AT_LEAST else bool(now < bound)


class Who(Choice):
    """Whom a step asks."""

    USER = "user", N_("a certain person")
    ROLE = "role", N_("whoever has a role")
    SUPERIOR = "superior", N_("superior of the author")
    MANAGER = "manager", N_("manager of the author's department")


class Rule(Choice):
    """How many of those asked must agree."""

    ONE = "one", N_("one of them")
    ALL = "all", N_("all of them")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``id`` of the person or role, ``level`` of the superior (1: the author's own)."""

    who: Who
    id: str = ""
    level: int = 1
    rule: Rule = Rule.ONE


def read_conditions(text: str | None, facts: Sequence[Fact]) -> list[Condition]:
    """Conditions as a flow keeps them; raises InvalidInput for what cannot be meant."""
    known = {fact.key: fact for fact in facts}
    found = []
    for item in _items(text, "conditions", MOST_CONDITIONS):
        fact = known.get(str(item.get("fact")))
        if fact is None or item.get("op") not in fact.operators:
            raise _unclear("conditions")
        found.append(Condition(fact.key, str(item["op"]), _condition_value(fact, item.get("value"))))
    return found


def fits(text: str | None, facts: Mapping[str, Any]) -> bool:
    """Whether all conditions of a flow hold, as head office saved them."""
    return all(
        Condition(str(item["fact"]), str(item["op"]), item["value"]).holds(facts) for item in _items(text, "conditions", MOST_CONDITIONS)
    )


def _condition_value(fact: Fact, value: Any) -> str | bool:
    if fact.kind == "boolean":
        if not isinstance(value, bool):
            raise _unclear("conditions")
        return value
    text = str(value if value is not None else "").strip()
    if not text:
        raise InvalidInput("condition_value", N_("Enter what “{label}” is compared with."), label=gettext(fact.label), field="conditions")
    if fact.kind in {"money", "rate"}:
        return f"{parse_decimal(text):f}"
    if fact.kind == "ref":
        return parse_id(text)
    return text


def read_steps(text: str | None) -> list[Step]:
    """Steps as a flow keeps them; raises InvalidInput for what cannot be meant."""
    found = []
    for item in _items(text, "steps", MOST_STEPS):
        who, rule, level = item.get("who"), item.get("rule", Rule.ONE.value), item.get("level", 1)
        if who not in set(Who) or rule not in set(Rule) or isinstance(level, bool) or not isinstance(level, int) or not 1 <= level <= 9:
            raise _unclear("steps")
        named = who in {Who.USER, Who.ROLE}
        if named and not item.get("id"):
            raise InvalidInput("step_whom", N_("Choose whom each step asks."), field="steps")
        found.append(Step(Who(str(who)), parse_id(str(item["id"])) if named else "", level, Rule(str(rule))))
    if not found:
        raise InvalidInput("no_steps", N_("A flow needs at least one step."), field="steps")
    return found


def _items(text: str | None, field: str, most: int) -> list[Mapping[str, Any]]:
    try:
        items = json.loads(text or "[]")
    except (ValueError, TypeError, RecursionError):
        raise _unclear(field) from None
    if not isinstance(items, list) or len(items) > most or not all(isinstance(item, dict) for item in items):
        raise _unclear(field)
    return items


def _unclear(field: str) -> InvalidInput:
    return InvalidInput("bad_flow", N_("The conditions or steps of this flow cannot be understood. Nothing was saved."), field=field)


def written(parts: Iterable[Condition | Step]) -> str:
    """Conditions or steps as a flow keeps them."""
    return json.dumps([{name: getattr(part, name) for name in part.__slots__} for part in parts], ensure_ascii=False)


# who is asked --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """A user as far as it matters here. ``here``: may sign in, and has not left."""

    superior: str | None = None
    department: str | None = None
    branch: str | None = None
    is_admin: bool = False
    here: bool = True


@dataclass(frozen=True, slots=True)
class Company:
    """Who is who. ``departments``: id → (manager, higher department) · ``able``: whether somebody may look at such documents at all."""

    people: Mapping[str, Person]
    departments: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    roles: Mapping[str, Collection[str]] = field(default_factory=dict)
    office: str | None = None
    able: Callable[[str], bool] = lambda _user: True

    def can_decide(self, user: str, barred: Collection[str]) -> bool:
        """Whether somebody can be asked: there, able, and not about a document of his own."""
        return user not in barred and user in self.people and self.people[user].here and self.able(user)

    def above(self, user: str) -> Iterator[str]:
        """Superiors from the next one up, each once: work done apart may have closed a circle."""
        passed = {user}
        while (person := self.people.get(user)) and person.superior and person.superior not in passed:
            user = person.superior
            passed.add(user)
            yield user

    def administrators(self) -> list[str]:
        """Administrators of head office."""
        return sorted(user for user, person in self.people.items() if person.is_admin and person.branch in {None, self.office})


@dataclass(frozen=True, slots=True)
class Seat:
    """A place that one of ``users`` fills, in the step with this number (from 1)."""

    step: int
    users: tuple[str, ...]


def seats(steps: Sequence[Step], *, author: str, barred: Collection[str], company: Company) -> list[Seat]:
    """The plan of a document of this author; a seat without users is one that nobody can take. Nobody is asked twice."""
    plan: list[Seat] = []
    for number, step in enumerate(steps, start=1):
        users = _asked(step, author, barred, company)
        places = [(user,) for user in users] if step.rule == Rule.ALL and users else [tuple(users)]
        plan += [Seat(number, place) for place in places if len(place) != 1 or all(seat.users != place for seat in plan)]
    return plan


def _asked(step: Step, author: str, barred: Collection[str], company: Company) -> list[str]:
    wished = _wished(step, author, company)
    return [user for user in wished if company.can_decide(user, barred)] or _instead(wished, author, barred, company)


def _wished(step: Step, author: str, company: Company) -> list[str]:
    if step.who == Who.USER:
        return [step.id]
    if step.who == Who.ROLE:
        return sorted(company.roles.get(step.id, ()))
    if step.who == Who.SUPERIOR:
        chain = list(company.above(author))
        return chain[step.level - 1 : step.level] or chain[-1:]  # who has fewer superiors is judged by the highest of them
    department, passed = company.people[author].department if author in company.people else None, set[str]()
    while department and department in company.departments and department not in passed:
        passed.add(department)
        manager, higher = company.departments[department]
        if manager and manager != author:
            return [manager]
        department = higher
    return []


def _instead(wished: Sequence[str], author: str, barred: Collection[str], company: Company) -> list[str]:
    """Who decides where nobody wished for can: the next superior of one of them, or of the author, else head office's administrators."""
    for user in (*wished, author):
        found = next((one for one in company.above(user) if company.can_decide(one, barred)), None)
        if found:
            return [found]
    return [user for user in company.administrators() if company.can_decide(user, barred)]


def sitting(seat: Seat, *, author: str, barred: Collection[str], company: Company) -> list[str]:
    """Who may fill a seat today: those of the plan who are still there, else whoever stands in for them."""
    return [user for user in seat.users if company.can_decide(user, barred)] or _instead(seat.users, author, barred, company)


def write_plan(plan: Iterable[Seat]) -> str:
    """A plan as a request keeps it."""
    return json.dumps([{"step": seat.step, "users": list(seat.users)} for seat in plan])


def read_plan(text: str) -> list[Seat]:
    """A plan from a request; one that makes no sense has no seats, and is never approved."""
    try:
        return [Seat(int(item["step"]), tuple(parse_id(user) for user in item["users"])) for item in json.loads(text)]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, InvalidInput):
        return []


# what the decisions come to --------------------------------------------------------------------------------------------


class State(Choice):
    """What became of a request."""

    WAITING = "waiting", N_("Waiting for approval")
    APPROVED = "approved", N_("Approved")
    REJECTED = "rejected", N_("Rejected")
    WITHDRAWN = "withdrawn", N_("Withdrawn")


def state(plan: Sequence[Seat], decisions: Iterable[tuple[int, str]]) -> State:
    """The same for the same (seat, decision) pairs in any order: a rejection outweighs a withdrawal, and that an approval."""
    made = set(decisions)
    said = {decision for _seat, decision in made}
    if Decision.REJECTED in said:
        return State.REJECTED
    if Decision.WITHDRAWN in said:
        return State.WITHDRAWN
    filled = {seat for seat, decision in made if decision == Decision.APPROVED}
    return State.APPROVED if plan and filled.issuperset(range(len(plan))) else State.WAITING


def open_seats(plan: Sequence[Seat], decisions: Iterable[tuple[int, str]]) -> list[int]:
    """Seats of the step whose turn it is that nobody has filled; none once the request is settled."""
    made = list(decisions)
    if state(plan, made) != State.WAITING:
        return []
    filled = {seat for seat, decision in made if decision == Decision.APPROVED}
    empty = [number for number in range(len(plan)) if number not in filled]
    return [number for number in empty if plan[number].step == plan[empty[0]].step]


def carried_on(plan: Sequence[Seat], before: Sequence[Seat], decisions: Iterable[tuple[int, str]]) -> list[Seat]:
    """What of a plan is still to be asked when it starts at the step that rejected; all of it where other people would be asked now."""
    rejecting = [before[seat].step for seat, decision in decisions if decision == Decision.REJECTED and 0 <= seat < len(before)]
    first = min(rejecting, default=1)
    earlier, was_asked = ([seat for seat in one if seat.step < first] for one in (plan, before))
    # What an earlier request had left out already was approved before it.
    left_out = min((seat.step for seat in before), default=1)
    same = [seat for seat in earlier if seat.step >= left_out] == was_asked
    return [seat for seat in plan if seat.step >= first] if same else list(plan)


def decision_fault(
    request: Mapping[str, Any], decision: Mapping[str, Any], *, author: str | None, branch: str, company: Company
) -> str | None:
    """Why head office does not take a decision over from a branch; ``author`` is who the change says made it."""
    user, plan, seat = decision["user_id"], read_plan(str(request["plan"])), decision["seat"]
    if decision["decision"] == Decision.WITHDRAWN:
        may = {request["author_id"]} if branch == request["branch_id"] or decides_at(user, branch, company) else set()
    elif 0 <= seat < len(plan) and decides_at(user, branch, company):
        barred = {request["author_id"], request["owner_id"]}
        may = {*plan[seat].users, *sitting(plan[seat], author=request["author_id"], barred=barred, company=company)} - barred
    else:
        may = set()
    return None if user == author and user in may else "not_decider"


def decides_at(user: str, branch: str, company: Company) -> bool:
    """Whether somebody decides at this branch: who belongs to one decides there; who belongs to none, wherever he signs in."""
    return user in company.people and company.people[user].branch in {None, branch}
