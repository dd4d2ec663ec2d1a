"""How customers are counted beside their list: by any choice field or by how long ago they were last in contact, within it by another, with a sum;
private or for everybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from localcrm.domain import conditions, policy
from localcrm.domain.conditions import Asking
from localcrm.domain.crm.entities import Activity, Customer, Grouping, ShownTo
from localcrm.domain.crm.queries import changeable, is_changeable, require_somebody, save_shown, shown_rows
from localcrm.domain.policy import Actor
from localcrm.domain.spans import day_starts
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.money import MONEY_SCALE, from_scaled
from localcrm.kernel.schema import Field, split_choices
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import group_counts, grouped
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import View

_KIND, _CUSTOMER, _ACTIVITY = Grouping.entity_type, Customer.entity_type, Activity.entity_type
#: What everybody has who keeps no groupings of his own.
STANDARD = ("level", "contact_age", "owner_id", "branch_id", "tags")
#: The one grouping by no field: days since the newest activity record, as groups up to so many days; beyond, and without any.
AGE = "contact_age"
AGE_LABEL = N_("Days since contact")
AGES: Mapping[str, tuple[str, int]] = {
    "7": (N_("0–7 days"), 7),
    "15": (N_("8–15 days"), 15),
    "30": (N_("16–30 days"), 30),
    "90": (N_("31–90 days"), 90),
    "more": (N_("more than 90 days"), 0),
    "never": (N_("never contacted"), 0),
}


@dataclass(frozen=True, slots=True)
class Block:
    """A grouping as one person has it: ``id`` "" for one that the program brings along; ``own``: he may change it."""

    id: str
    first: str
    second: str | None = None
    measure: str | None = None
    shown_to: str = ShownTo.PRIVATE.value
    own: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """One value of a field: how many customers have it, the sum over them, and the groups within it."""

    value: Any
    count: int
    total: Decimal | None
    within: Sequence[Group] = ()


def group_fields(actor: Actor) -> list[Field]:
    """Fields that customers can be grouped by: those of few values that the actor may read."""
    seen = policy.view(actor, _CUSTOMER)
    return [field for field in _CUSTOMER.readable if seen.shows(field.key) and field.is_used and _has_few_values(field)]


def dimensions(actor: Actor) -> dict[str, str]:
    """By what customers can be grouped, and what it is called."""
    found = {field.key: field.label for field in group_fields(actor)}
    activities = policy.seen(actor, _ACTIVITY)
    if activities is not None and activities.shows("at") and activities.shows("customer_id"):
        found[AGE] = gettext(AGE_LABEL)
    return found


def age_tree(age: str) -> dict[str, Any]:
    """The conditions that narrow a list to one group of AGES; raises InvalidInput for an unknown one."""
    if age not in AGES:
        raise InvalidInput("bad_grouping", N_("Customers cannot be grouped by “{field}”."), field=age[:60])
    never: dict[str, Any] = {"ask": "never_contacted"}
    if age == "never":
        return never
    ages = list(AGES)
    below = AGES[ages[ages.index(age) - 1]][1] if age != "7" else 0
    parts: list[dict[str, Any]] = [{"not": never}] if age == "more" else [_within(AGES[age][1])]
    return {"all": [*parts, *([{"not": _within(below)}] if below else [])]}


def _within(days: int) -> dict[str, Any]:
    """In contact so many days ago at most: today is none."""
    return {"ask": "contacted", "days": days + 1}


def _age_sql(today: date, newest: str) -> str:
    """SQL of the group that a moment in Unix milliseconds belongs to; NULL stays it."""
    since = {age: round(day_starts(today - timedelta(days=days)).timestamp() * 1000) for age, (_label, days) in AGES.items() if days}
    cases = " ".join(f"WHEN {newest} >= {moment} THEN '{age}'" for age, moment in since.items())
    return f"CASE {cases} WHEN {newest} IS NOT NULL THEN 'more' END"


def _by_age(connection: Connection, view: View, today: date) -> list[tuple[tuple[Any, ...], int, int]]:
    """Customers by age alone. Where every one may be seen the kept newest moments are counted, less those in the recycle bin: no customer is read."""
    counted, age = "SELECT {age}, count(*) FROM activity_newest {more} GROUP BY 1", _age_sql(today, "total")
    found = Counter[str](dict(connection.all(counted.format(age=age, more=""))))
    found.subtract(
        dict(connection.all(counted.format(age=age, more="JOIN customer ON customer.id = customer_id AND customer.deleted = 1")))
    )
    live = sum(count for _level, count in group_counts(connection, view, "level"))
    found["never"] = live - sum(found.values())
    return [((age,), count, 0) for age, count in found.items() if count > 0]


def _has_few_values(field: Field) -> bool:
    listed = bool(field.options) and field.kind != "choices"
    return (
        listed
        or field.f.widget == "tags"
        or field.kind == "boolean"
        or field.f.widget == "area"
        or field.f.ref in {"user", "branch", "partner", "department"}
    )


def blocks(connection: Connection, actor: Actor, node: Node) -> list[Block]:
    """The groupings somebody has: those of the program and for everybody, then his own; of fields he may read."""
    fields = dimensions(actor)
    own_lists = [field.key for field in _CUSTOMER.columns if field.custom and field.kind == "choice"]
    found = [Block("", key) for key in (*STANDARD, *own_lists)]
    kept = shown_rows(connection, actor, _KIND)
    found += [
        Block(row["id"], row["first"], row["second"], row["measure"], row["shown_to"], is_changeable(row, actor, node)) for row in kept
    ]
    return [one for one in found if one.first in fields and (one.second is None or one.second in fields)]


def groups(connection: Connection, actor: Actor, block: Block, *, today: date | None = None) -> list[Group]:
    """Counts and sums of the customers that the actor sees, the most numerous first; those by age in their order."""
    seen, among, today = policy.view(actor, _CUSTOMER), partial(policy.seen, actor), today or connection.today
    keys = [block.first, *([block.second] if block.second else [])]
    measure = conditions.MEASURES[_CUSTOMER.key].get(block.measure or "")
    terms = measure.terms(Asking(actor)) if measure else ()
    newest = f"(SELECT {_age_sql(today, 'n.total')} FROM activity_newest n WHERE n.customer_id = customer.id)"
    made = {AGE: f"coalesce({newest}, 'never')"} if AGE in keys else None
    try:
        if keys == [AGE] and not terms and seen.rows is None and seen.shows("level"):
            rows = _by_age(connection, seen, today)
        else:
            rows = grouped(connection, seen, keys, terms, among, made)
    except AppError:  # the sum is made of what he may not see
        rows, measure = grouped(connection, seen, keys, (), among, made), None
    sums: dict[tuple[Any, ...], tuple[int, int]] = {}
    for values, count, total in rows:
        firsts, *within = (_held(key, value) for key, value in zip(keys, values, strict=True))
        # Of several tags a customer is in each group of one, and in the group around it once.
        for place in [(first, *more) for first in firsts for more in ((), *((one,) for one in (within[0] if within else ())))]:
            known = sums.get(place, (0, 0))
            sums[place] = known[0] + count, known[1] + total
    ordered = sorted(sums.items(), key=lambda one: (_rank(keys[len(one[0]) - 1], one[0][-1]), -one[1][0]))
    inside: dict[Any, list[Group]] = {}
    for place, (count, total) in ordered:
        if len(place) > 1:
            inside.setdefault(place[0], []).append(Group(place[1], count, _money(total) if measure else None))
    return [
        Group(place[0], count, _money(total) if measure else None, inside.get(place[0], ()))
        for place, (count, total) in ordered
        if len(place) == 1
    ]


def _rank(key: str, value: Any) -> int:
    """What stands before what, whatever the numbers: ages in their order; who has no tag, which is no group, last."""
    if key == AGE:
        return list(AGES).index(value)
    return int(value is None and _CUSTOMER.fields[key].f.widget == "tags")


def _held(key: str, value: Any) -> Sequence[Any]:
    """The groups of a field that a value belongs to."""
    return split_choices(value) or [None] if value and key != AGE and _CUSTOMER.fields[key].f.widget == "tags" else [value]


def _money(total: int) -> Decimal:
    return from_scaled(total, MONEY_SCALE)


def save_grouping(
    uow: UnitOfWork,
    actor: Actor,
    *,
    first: str,
    second: str | None = None,
    measure: str | None = None,
    shown_to: str = ShownTo.PRIVATE.value,
    grouping_id: RecordId | None = None,
) -> dict[str, Any]:
    """Keep a grouping of customers, or change one; returns it."""
    require_somebody(actor)
    fields = dimensions(actor)
    for key in (first, second):
        if key and key not in fields:
            raise InvalidInput("bad_grouping", N_("Customers cannot be grouped by “{field}”."), field=key[:60])
    if first == second:
        raise InvalidInput("same_twice", N_("Choose two different fields."), field="second")
    if measure and measure not in conditions.MEASURES[_CUSTOMER.key]:
        raise InvalidInput("bad_measure", N_("This sum is not known here."), field="measure")
    values = {"entity": _CUSTOMER.key, "first": first, "second": second or None, "measure": measure or None, "shown_to": shown_to}
    return save_shown(uow, actor, _KIND, values, grouping_id)


def delete_grouping(uow: UnitOfWork, actor: Actor, *, grouping_id: RecordId) -> dict[str, str]:
    """Throw a grouping away; it can be taken back like any deletion."""
    require_somebody(actor)
    changeable(uow, actor, _KIND, grouping_id)
    uow.set_deleted(_KIND, grouping_id, deleted=True)
    return {"id": grouping_id}


VERBS = (Verb(save_grouping, N_("Keep a grouping")), Verb(delete_grouping, N_("Delete a grouping")))
