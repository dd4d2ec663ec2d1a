"""What partners are to bring in, and how much of it they have: worked out whenever it is asked, as rebates are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.partners.entities import PartnerTarget, RebateBasis
from localcrm.domain.partners.figures import PARTNER, Sums, by_month, partners, sees_all, sees_shipped
from localcrm.domain.partners.rules import months_of, percent_of, period_of, periods_at
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, load_record, record_columns
from localcrm.store.uow import UnitOfWork

TARGET = PartnerTarget.entity_type
_NOTHING = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Reached:
    """A target of a partner and what came in for it."""

    id: str
    partner_id: str
    period: str
    target: Decimal
    reached: Decimal

    @property
    def percent(self) -> Decimal:
        """What was reached, in percent with one place."""
        return percent_of(self.reached, self.target)


def prepare_target(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A year or a quarter is written in one way."""
    period = period_of(str(values["period"])) if values.get("period") else None
    return {**values, "period": period} if period else values


def check_target(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """It is of a year or a quarter, and there is one for it."""
    if not months_of(new["period"]):
        raise InvalidInput("bad_period", N_("Write a year as 2026 or a quarter as 2026-Q3."), field="period")
    same = uow.where(TARGET, partner_id=new["partner_id"], period=new["period"])
    if any(one["id"] != (old or {}).get("id") for one in same):
        raise InvalidInput(
            "target_there_already", N_("This partner already has a target for {period}."), period=new["period"], field="period"
        )


def reached(connection: Connection, actor: Actor, *, partner: str | None = None, periods: Sequence[str] | None = None) -> list[Reached]:
    """Targets that the actor sees, of one partner or of some periods, the newest first; of those that stand twice both."""
    seen = policy.seen(actor, TARGET)
    if seen is None or not all(map(seen.shows, ("partner_id", "period", "amount"))):
        return []
    condition, params = seen.condition("t")
    asked, given = ["t.deleted = 0", condition], list(params)
    if partner is not None:
        asked, given = [*asked, "t.partner_id = ?"], [*given, bytes.fromhex(partner)]
    if periods is not None:
        asked, given = [*asked, f"t.period IN ({','.join('?' * len(periods))})"], [*given, *periods]
    columns = ", ".join(f"t.{column.strip()}" for column in record_columns(TARGET).split(","))
    rows = [
        load_record(TARGET, row)
        for row in connection.all(f"SELECT {columns} FROM partner_target t WHERE {' AND '.join(asked)} ORDER BY t.period DESC, t.id", given)
    ]
    months = sorted({month for row in rows for month in months_of(row["period"])})
    sums, known = by_month(connection, actor, months, partner), partners(connection, actor)
    return [
        Reached(row["id"], row["partner_id"], row["period"], row["amount"], _came_in(sums, known[row["partner_id"]], row["period"]))
        for row in rows
        if row["partner_id"] in known and (known[row["partner_id"]]["rebate_on"] != RebateBasis.SHIPPED or sees_shipped(actor))
    ]


def _came_in(sums: dict[tuple[str, str], Sums], partner: Record, period: str) -> Decimal:
    found = [sums[partner["id"], month] for month in months_of(period) if (partner["id"], month) in sums]
    return sum((one.on(partner["rebate_on"]) for one in found), _NOTHING)


def at_present(connection: Connection, actor: Actor, day: dt.date) -> dict[str, Reached]:
    """By partner the target of the quarter of a day, or that of its year where the quarter has none."""
    quarter, year = periods_at(day)
    found = {one.partner_id: one for one in reached(connection, actor, periods=[year])}
    return found | {one.partner_id: one for one in reached(connection, actor, periods=[quarter])}


def derive_partner(connection: Connection, actor: Actor, records: list[Record]) -> list[dict[str, Any]]:
    """Beside partners in a list, for whoever sees all that it is made of: the target of today and how much of it is reached."""
    if not sees_all(actor) or not policy.view(actor, PARTNER).shows("rebate_on"):
        return [{} for _record in records]
    found = at_present(connection, actor, connection.today)
    return [
        {"target": TARGET.fields["amount"].to_json(one.target), "reached_percent": int(one.percent)}
        if (one := found.get(record["id"]))
        else {}
        for record in records
    ]


BEHAVIOURS = {"partner_target": Behaviour(prepare=prepare_target, check=check_target, distinct=("period",))}
