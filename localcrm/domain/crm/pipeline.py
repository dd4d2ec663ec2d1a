"""What the board and the funnel show: sums by stage, the cards of a column, how far deals came and why they ended.

Everything is asked of the database by index and carries what the actor may see; amounts are left out where they may not be read.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import DealState, Opportunity, Phase, Stage, StageChange
from localcrm.domain.crm.pipeline_rules import FunnelStep, chance, days_since, funnel, is_stuck, weighted
from localcrm.domain.crm.stage_sets import owners_by_set, stages_of
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import is_id
from localcrm.kernel.money import MONEY_SCALE, from_scaled
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.query import Record, records_by_id, titles
from localcrm.store.view import View

OPPORTUNITY, STAGE, CHANGE = Opportunity.entity_type, Stage.entity_type, StageChange.entity_type
#: Cards of a column that are drawn at first, and with each wish for more.
CARDS = 40
#: How long what was won stands on the board while nobody makes a project of it.
WON_SHOWN = datetime.timedelta(days=30)
#: Columns that are no stages: cards in none of this phase's stages, and what was won and waits for its project.
NOWHERE, WON = "none", "won"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which cards a board shows: of a phase, perhaps only somebody's or a branch's.

    ``department_id``: of those who go through its stages; None: through the company's. Who those are ``_of_set`` fills in.
    """

    phase: Phase = Phase.OPPORTUNITY
    owner_id: str | None = None
    branch_id: str | None = None
    department_id: str | None = None
    only_of: tuple[str, ...] | None = None
    not_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One opportunity on the board; ``days`` in its stage, ``stuck``: for too long."""

    id: str
    title: str
    customer: str
    owner: str
    amount: Decimal | None
    percent: int
    days: int
    stuck: bool
    next_step: str
    next_on: datetime.date | None
    expected_on: datetime.date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A stage with its first cards; ``percent`` is shown beside its name. Sums are over all of them, None where amounts may not be read."""

    key: str
    name: str
    percent: int | None
    chance: int = 0
    stuck_days: int
    checklist: bool
    count: int = 0
    amount: Decimal | None = None
    weighted: Decimal | None = None
    cards: list[Card] = field(default_factory=list)


def board(
    connection: Connection, actor: Actor, wanted: Filter, now: datetime.datetime, *, more: Mapping[str, int] | None = None
) -> list[Column]:
    """The columns of a phase from left to right; ``more``: how many cards of a column are wanted, by its key."""
    view = _view(actor)
    stages, wanted = stages_of(connection, wanted.phase, wanted.department_id), _of_set(connection, wanted)
    today = now.astimezone().date()
    sums = _sums(connection, view, wanted, today)
    columns = [
        Column(
            key=stage["id"],
            name=stage["name"],
            percent=stage["probability"] if wanted.phase is Phase.OPPORTUNITY else None,
            chance=stage["probability"],
            stuck_days=stage["stuck_days"],
            checklist=bool(stage["checklist"]),
            **sums.get(stage["id"], {}),
        )
        for stage in stages
    ]
    if NOWHERE in sums:
        columns.insert(0, Column(key=NOWHERE, name="", percent=None, stuck_days=0, checklist=False, **sums[NOWHERE]))
    if wanted.phase is Phase.OPPORTUNITY:
        columns.append(Column(key=WON, name="", percent=None, stuck_days=0, checklist=False, **sums.get(WON, {})))
    limits = {column.key: (more or {}).get(column.key, CARDS) for column in columns}
    ids = _first_ids(connection, view, wanted, today, max(limits.values(), default=CARDS))
    shown = {key: ids.get(key, [])[:limit] for key, limit in limits.items()}
    since = entered(connection, [identity for each in shown.values() for identity in each]) if policy.seen(actor, CHANGE) else {}
    _fill(connection, view, columns, shown, since, now)
    return columns


def _of_set(connection: Connection, wanted: Filter) -> Filter:
    """The filter with whose opportunities go through the stages that are wanted."""
    sets = owners_by_set(connection, wanted.phase)
    if wanted.department_id:
        return replace(wanted, only_of=tuple(sets.get(wanted.department_id, ())))
    return replace(wanted, not_of=tuple(user for users in sets.values() for user in users))


def _view(actor: Actor) -> View:
    """What the actor sees of opportunities; raises Refused where that is not the stage they are in, which every column would tell."""
    view = policy.view(actor, OPPORTUNITY)
    if not all(view.shows(key) for key in ("phase", "stage_id", "state")):
        raise Refused("stages_hidden", N_("Your rights do not show in which stage opportunities are. Look at the list instead."))
    return view


def _condition(view: View, wanted: Filter, today: datetime.date) -> tuple[str, list[Any]]:
    """Which rows of ``opportunity`` (called o) are on the board."""
    if wanted.phase is Phase.OPPORTUNITY:
        # By two indexes of live rows, which must be named beside each column; the pluses keep SQLite from going through all deals there
        # ever were by that of their phase.
        recent = "(o.deleted = 0 AND +o.state = 'won' AND o.decided_on >= ?)"
        going_on = f"((o.deleted = 0 AND o.state = 'negotiating') OR {recent}) AND +o.phase = ?"
        values: list[Any] = [(today - WON_SHOWN).isoformat(), wanted.phase.value]
    else:
        going_on, values = "+o.state IN ('negotiating', 'won') AND o.phase = ?", [wanted.phase.value]
    narrowed, more = _narrowed(view, wanted)
    return f"o.deleted = 0 AND {going_on} AND {narrowed}", [*values, *more]


def _narrowed(view: View, wanted: Filter) -> tuple[str, list[Any]]:
    """What may be seen, of the owner and the branch that are wanted."""
    sql, values = view.condition("o")
    parts, params = [sql], list(values)
    for key, value in (("owner_id", wanted.owner_id), ("branch_id", wanted.branch_id)):
        if value and view.shows(key):
            parts.append(f"o.{key} = ?")
            params.append(bytes.fromhex(value))
    if view.shows("owner_id"):
        listed = "(SELECT unhex(value) FROM json_each(?))"
        if wanted.only_of is not None:
            parts.append(f"+o.owner_id IN {listed}")
            params.append(json.dumps(wanted.only_of))
        if wanted.not_of:
            parts.append(f"(o.owner_id IS NULL OR +o.owner_id NOT IN {listed})")
            params.append(json.dumps(wanted.not_of))
    return " AND ".join(parts), params


def _column_of(wanted: Filter) -> str:
    """The key of the column a row stands in, as SQL; stages of another phase or department, or none, are ``NOWHERE``."""
    place = f"coalesce(nullif(lower(hex(s.id)), ''), '{NOWHERE}')"  # the hex of nothing is an empty text
    return f"CASE WHEN o.state = 'won' THEN '{WON}' ELSE {place} END" if wanted.phase is Phase.OPPORTUNITY else place


def _joined(wanted: Filter) -> str:
    whose = f"IS x'{wanted.department_id}'" if wanted.department_id and is_id(wanted.department_id) else "IS NULL"
    return (
        f"opportunity o LEFT JOIN stage s ON s.id = o.stage_id AND s.deleted = 0 AND s.phase = '{wanted.phase.value}' "
        f"AND s.department_id {whose}"
    )


#: How likely a row is, in percent; the same as ``pipeline_rules.chance``, for sums.
_PERCENT = "CASE WHEN o.state IN ('won', 'closed') THEN 100 WHEN o.state = 'lost' THEN 0 ELSE coalesce(o.probability, s.probability, 0) END"


def _sums(connection: Connection, view: View, wanted: Filter, today: datetime.date) -> dict[str, dict[str, Any]]:
    """count, amount and weighted amount by column."""
    condition, params = _condition(view, wanted, today)
    rows = connection.all(
        f"""SELECT {_column_of(wanted)} AS place, {_PERCENT} AS percent, count(*), sum(o.amount)
            FROM {_joined(wanted)} WHERE {condition} GROUP BY 1, 2""",
        params,
    )
    return _added_up(view, rows)


def _added_up(view: View, rows: Sequence[tuple[Any, ...]]) -> dict[str, dict[str, Any]]:
    """count, amount and weighted amount by the first column of (key, percent, count, amount); None for what may not be read."""
    told = view.shows("amount")
    guessed = told and view.shows("probability")
    found: dict[str, dict[str, Any]] = {}
    for key, percent, count, stored in rows:
        amount = from_scaled(stored, MONEY_SCALE)
        sums = found.setdefault(key, {"count": 0, "amount": Decimal(0) if told else None, "weighted": Decimal(0) if guessed else None})
        sums["count"] += count
        if told:
            sums["amount"] += amount
        if guessed:
            sums["weighted"] += weighted(amount, percent)
    return found


def _first_ids(connection: Connection, view: View, wanted: Filter, today: datetime.date, most: int) -> dict[str, list[str]]:
    """Ids of the first cards by column: what is due next comes first, then the newest."""
    condition, params = _condition(view, wanted, today)
    order = "o.next_on IS NULL, o.next_on, o.rid DESC" if view.shows("next_on") else "o.rid DESC"
    rows = connection.all(
        f"""SELECT place, id FROM (
              SELECT {_column_of(wanted)} AS place, o.id AS id, row_number() OVER (PARTITION BY {_column_of(wanted)} ORDER BY {order}) AS turn
              FROM {_joined(wanted)} WHERE {condition})
            WHERE turn <= ? ORDER BY place, turn""",
        [*params, most],
    )
    found: dict[str, list[str]] = {}
    for place, pk in rows:
        found.setdefault(place, []).append(pk.hex())
    return found


def _fill(
    connection: Connection,
    view: View,
    columns: Sequence[Column],
    ids: Mapping[str, Sequence[str]],
    since: Mapping[str, datetime.datetime],
    now: datetime.datetime,
) -> None:
    """Put the cards into their columns."""
    wanted = [identity for each in ids.values() for identity in each]
    records = {record["id"]: view.of(record) for record in _by_hundreds(connection, wanted)}
    names = {
        key: titles(connection, _target(key), [record[key] for record in records.values() if record.get(key)])
        for key in ("customer_id", "owner_id")
    }
    for column in columns:
        for identity in ids.get(column.key, ()):
            column.cards.append(_card(records[identity], names, since.get(identity), column, now))


def _by_hundreds(connection: Connection, ids: Sequence[str]) -> Iterator[Record]:
    """Records by id, however many."""
    for start in range(0, len(ids), 500):
        yield from records_by_id(connection, OPPORTUNITY, ids[start : start + 500])


def _target(key: str) -> EntityType:
    return entity_type(OPPORTUNITY.fields[key].f.ref or "")


def _card(
    record: Record, names: Mapping[str, Mapping[str, str]], since: datetime.datetime | None, column: Column, now: datetime.datetime
) -> Card:
    days = days_since(since, now)
    amount, state = record.get("amount"), record.get("state", DealState.OPEN)
    return Card(
        id=record["id"],
        title=str(record.get("title") or record.get("number") or "…"),
        customer=names["customer_id"].get(record.get("customer_id", ""), ""),
        owner=names["owner_id"].get(record.get("owner_id") or "", ""),
        amount=amount if isinstance(amount, Decimal) else None,
        percent=chance(state, _plain(record.get("probability")), column.chance),
        days=days,
        stuck=is_stuck(days, column.stuck_days),
        next_step=str(record.get("next_step") or ""),
        next_on=_plain(record.get("next_on")),
        expected_on=_plain(record.get("expected_on")),
    )


def _plain(value: Any) -> Any:
    """A value that was not masked."""
    return None if isinstance(value, str) else value


def entered(connection: Connection, ids: Sequence[str]) -> dict[str, datetime.datetime]:
    """Since when opportunities are where they are: their last change of stage that led there."""
    # The pluses: of all indexes only that of the opportunity names few rows.
    rows = connection.all(
        """SELECT o.id, (SELECT max(c.at) FROM opportunity_stage_change c
                         WHERE c.opportunity_id = o.id AND c.deleted = 0 AND +c.to_stage_id IS o.stage_id
                         AND +c.phase = o.phase AND +c.from_stage_id IS NOT c.to_stage_id)
           FROM json_each(?) wanted CROSS JOIN opportunity o ON o.id = unhex(wanted.value)""",
        (json.dumps(list(ids)),),
    )
    return {pk.hex(): CHANGE.fields["at"].load(at) for pk, at in rows if at is not None}


# the way of all -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How many deals ended for a reason; ``amount`` None where it may not be read."""

    won: bool
    reason: str
    count: int
    amount: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What is expected in a month ("" without a date) of what is being negotiated."""

    month: str
    count: int
    amount: Decimal | None
    weighted: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How far the deals that moved since a day came, how long they took on average (days by stage), why they ended, what is expected."""

    stages: dict[str, str]
    steps: list[FunnelStep]
    days: dict[str, float]
    ended: list[Ended]
    months: list[Month]


def overview(connection: Connection, actor: Actor, wanted: Filter, *, since: datetime.date) -> Overview:
    """Everything the funnel page shows."""
    view = _view(actor)
    stages, wanted = stages_of(connection, Phase.OPPORTUNITY, wanted.department_id), _of_set(connection, wanted)
    order = [stage["id"] for stage in stages]
    moved = policy.seen(actor, CHANGE)
    return Overview(
        stages={stage["id"]: stage["name"] for stage in stages},
        steps=funnel([*order, WON], _furthest(connection, view, wanted, order, since)) if moved else [],
        days=_average_days(connection, view, wanted, since) if moved else {},
        ended=_ended(connection, view, wanted, since),
        months=_months(connection, view, wanted),
    )


def _moment(day: datetime.date) -> int:
    return int(datetime.datetime.combine(day, datetime.time()).astimezone().timestamp() * 1000)


def _furthest(connection: Connection, view: View, wanted: Filter, order: Sequence[str], since: datetime.date) -> dict[str, int]:
    """How many deals came no further than each stage, or were won."""
    narrowed, params = _narrowed(view, wanted)
    rows = connection.all(
        f"""SELECT place, count(*) FROM (
              SELECT max(CASE WHEN c.state IN ('won', 'closed') THEN ? ELSE coalesce(known.key, -1) END) AS place
              FROM opportunity_stage_change c CROSS JOIN opportunity o ON o.id = c.opportunity_id AND o.deleted = 0
              LEFT JOIN json_each(?) known ON unhex(known.value) = c.to_stage_id
              WHERE c.deleted = 0 AND c.at >= ? AND {narrowed} GROUP BY c.opportunity_id)
            WHERE place >= 0 GROUP BY 1""",
        [len(order), json.dumps(list(order)), _moment(since), *params],
    )
    return {[*order, WON][place]: count for place, count in rows}


def _average_days(connection: Connection, view: View, wanted: Filter, since: datetime.date) -> dict[str, float]:
    """Days that deals were in a stage before they left it, on average."""
    narrowed, params = _narrowed(view, wanted)
    rows = connection.all(
        f"""SELECT stage, avg(until - at) FROM (
              SELECT c.to_stage_id AS stage, c.at, c.state, lead(c.at) OVER (PARTITION BY c.opportunity_id ORDER BY c.at, c.rid) AS until
              FROM opportunity_stage_change c CROSS JOIN opportunity o ON o.id = c.opportunity_id AND o.deleted = 0
              WHERE c.deleted = 0 AND c.at >= ? AND {narrowed})
            WHERE until IS NOT NULL AND stage IS NOT NULL AND state = 'negotiating' GROUP BY 1""",
        [_moment(since), *params],
    )
    return {stage.hex(): round(duration / 86_400_000, 1) for stage, duration in rows}


def _ended(connection: Connection, view: View, wanted: Filter, since: datetime.date) -> list[Ended]:
    """Reasons with their numbers, the most frequent first."""
    if not all(view.shows(key) for key in ("state", "reason", "decided_on")):
        return []
    narrowed, params = _narrowed(view, wanted)
    rows = connection.all(
        f"""SELECT o.state <> 'lost', o.reason, count(*), sum(o.amount) FROM opportunity o
            WHERE o.deleted = 0 AND o.decided_on >= ? AND +o.state IN ('won', 'closed', 'lost') AND {narrowed}
            GROUP BY 1, 2 ORDER BY 3 DESC, 2""",
        [since.isoformat(), *params],
    )
    told = view.shows("amount")
    return [
        Ended(won=bool(won), reason=reason or "", count=count, amount=from_scaled(amount, MONEY_SCALE) if told else None)
        for won, reason, count, amount in rows
    ]


def _months(connection: Connection, view: View, wanted: Filter) -> list[Month]:
    """What is expected, month by month; what has no date last."""
    if not view.shows("expected_on"):
        return []
    narrowed, params = _narrowed(view, wanted)
    rows = connection.all(
        f"""SELECT coalesce(substr(o.expected_on, 1, 7), ''), {_PERCENT} AS percent, count(*), sum(o.amount)
            FROM opportunity o LEFT JOIN stage s ON s.id = o.stage_id
            WHERE o.deleted = 0 AND o.state = 'negotiating' AND {narrowed} GROUP BY 1, 2""",
        params,
    )
    sums = _added_up(view, rows)
    return [Month(month=month, **sums[month]) for month in sorted(sums, key=lambda month: (not month, month))]
