"""Everything about one opportunity on one sheet, as the actor may see it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import OpportunityLine, Phase, ProjectTask, ServicePlan, StageTick
from localcrm.domain.crm.opportunities import CHANGE, OPPORTUNITY
from localcrm.domain.crm.pipeline import entered
from localcrm.domain.crm.pipeline_rules import chance, checklist, days_since, is_stuck, stays, weighted
from localcrm.domain.crm.stage_sets import set_of, stages_of
from localcrm.domain.policy import Actor
from localcrm.domain.records import no_such_record
from localcrm.kernel.money import MONEY_SCALE, round_to
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, ref_titles, select

LINE, TASK, PLAN, TICK = (kind.entity_type for kind in (OpportunityLine, ProjectTask, ServicePlan, StageTick))
#: Rows of each kind that a sheet shows.
MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A record under the opportunity with the names of what it refers to: field → id → title."""

    record: Record
    names: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One step of the history: who moved it when, from and to which stage, what came of it, for how many days it stayed (None: not a stay)."""

    row: Row
    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """``items``: the checklist of its stage with what is done; sums are None where they may not be read; ``None`` lists may not be seen."""

    record: Record
    names: dict[str, dict[str, str]]
    stages: list[Record]
    items: dict[str, bool]
    days: int
    stuck: bool
    percent: int
    weighted: Decimal | None
    lines: list[Row] | None
    line_sum: Decimal | None
    tasks: list[Row] | None
    plans: list[Row] | None
    way: list[Way] | None


def deal_sheet(connection: Connection, actor: Actor, identity: str, now: datetime.datetime) -> Sheet:
    """The sheet of an opportunity; raises NotFound where it may not be seen."""
    view = policy.view(actor, OPPORTUNITY)
    found = select(connection, ListQuery(OPPORTUNITY, where=(Condition("id", "=", identity),), limit=1, restrict=view), count=False).rows
    if not found:
        raise no_such_record(OPPORTUNITY)
    record = found[0]
    phase = Phase(record.get("phase", Phase.OPPORTUNITY))
    owner = connection.value("SELECT owner_id FROM opportunity WHERE id = ?", (bytes.fromhex(identity),))
    stages = stages_of(connection, phase, set_of(connection, phase, owner.hex() if owner else None))
    stage = next((one for one in stages if one["id"] == record.get("stage_id")), None)
    since = entered(connection, [identity]).get(identity) if policy.seen(actor, CHANGE) else None
    days = days_since(since, now)
    amount, own = record.get("amount"), record.get("probability")
    percent = chance(str(record.get("state", "")), own if isinstance(own, int) else None, stage["probability"] if stage else None)
    lines, tasks, plans, ticks, changes = (_under(connection, actor, kind, identity) for kind in (LINE, TASK, PLAN, TICK, CHANGE))
    done = {row.record["item"] for row in ticks or [] if stage and row.record["stage_id"] == stage["id"]}
    return Sheet(
        record=record,
        names=ref_titles(connection, OPPORTUNITY, [record]),
        stages=stages,
        items={item: item in done for item in checklist(stage["checklist"])} if stage and ticks is not None else {},
        days=days,
        stuck=bool(stage and is_stuck(days, stage["stuck_days"])),
        percent=percent,
        weighted=weighted(amount, percent) if isinstance(amount, Decimal) and view.shows("probability") else None,
        lines=lines,
        line_sum=_sum(lines, "quantity", "price"),
        tasks=tasks,
        plans=plans,
        way=None if changes is None else _way(changes, now),
    )


def _under(connection: Connection, actor: Actor, kind: EntityType, identity: str) -> list[Row] | None:
    seen = policy.seen(actor, kind)
    if seen is None or not seen.shows("opportunity_id"):
        return None
    query = ListQuery(kind, where=(Condition("opportunity_id", "=", identity),), limit=MOST, restrict=seen)
    rows = select(connection, query, count=False).rows
    names = ref_titles(connection, kind, rows)
    return [Row(record=row, names=names) for row in rows]


def _sum(rows: Sequence[Row] | None, *factors: str) -> Decimal | None:
    """The sum over all rows of the product of some fields; None where one of them may not be read."""
    if rows is None:
        return None
    total = Decimal(0)
    for row in rows:
        product = Decimal(1)
        for key in factors:
            value = row.record.get(key, "")
            if isinstance(value, str):  # hidden or masked
                return None
            product *= value or 0
        total += round_to(product, MONEY_SCALE)
    return total


def _way(changes: Sequence[Row], now: datetime.datetime) -> list[Way]:
    """The newest first."""
    known = [row for row in changes if isinstance(row.record.get("at"), datetime.datetime)]
    told: list[tuple[datetime.datetime, Any]] = [(row.record["at"], row.record.get("to_stage_id")) for row in known]
    days = {(stay.since, stay.stage): stay.days for stay in stays(told, now)}
    ways = [Way(row=row, days=days.get(step)) for row, step in zip(known, told, strict=True)]
    return sorted(ways, key=lambda way: way.row.record["at"], reverse=True)
