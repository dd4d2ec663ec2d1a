"""Customer satisfaction, and how often the same thing breaks again: by product, by engineer, by month, of the tickets somebody sees."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.people.entities import User
from localcrm.domain.policy import Actor
from localcrm.domain.service.entities import TicketState, TicketType
from localcrm.domain.service.tickets import TICKET
from localcrm.domain.verbs import Verb
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.query import titles
from localcrm.store.uow import UnitOfWork

#: Kinds of tickets that say something is wrong with a product.
FAULTS = (TicketType.REPAIR, TicketType.COMPLAINT, TicketType.RETURN)
#: What broke again within so many days was not mended.
AGAIN_DAYS = 90
#: Groups that are told; those with the most tickets.
MOST = 200
_NEEDED = ("product_id", "assignee_id", "serial", "opened_at", "type", "state", "satisfaction")
#: By what tickets are counted: SQL over the ticket ``t``, and whose names the groups have.
_BY = {
    "product": ("t.product_id", Product.entity_type),
    "engineer": ("t.assignee_id", User.entity_type),
    "month": ("strftime('%Y-%m', t.opened_at / 1000, 'unixepoch', 'localtime')", None),
}
_DAY_MS = 86_400_000


def satisfaction(
    uow: UnitOfWork, actor: Actor, *, by: Literal["product", "engineer", "month"] = "product", days: int = 365
) -> dict[str, Any]:
    """Tickets of so many days that were closed, by product, by who was responsible, or by the month they were reported in.

    Returns {"rows": [row], "all": row}; a row is {"key" (None: without one), "name", "closed", "asked" (those whose customer said how content he is),
    "stars" (average, None without any), "low" (with one or two stars), "faults", "again" (faults after which the same serial number came back
    within ``AGAIN_DAYS`` days)}. Products and engineers with the most tickets first, the newest month first; merged tickets count once.
    """
    if by not in _BY or not 1 <= days <= 3660:
        raise InvalidInput("bad_span", N_("Ask for 1 to 3660 days."), field="days")
    view = policy.view(actor, TICKET)
    if not all(view.shows(key) for key in _NEEDED):
        return {"rows": [], "all": _row(None, None, (0, 0, None, 0, 0, 0))}
    key, kind = _BY[by]
    (seen, params), (seen_again, params_again) = view.condition("t"), view.condition("r")
    since = round((moment(uow.store.clock) - dt.timedelta(days=days)).timestamp() * 1000)
    faults = ", ".join(f"'{one.value}'" for one in FAULTS)
    again = f"""EXISTS (SELECT 1 FROM ticket r WHERE r.serial = t.serial AND r.deleted = 0 AND r.id <> t.id AND r.opened_at > t.opened_at
        AND r.opened_at <= t.opened_at + {AGAIN_DAYS * _DAY_MS} AND r.type IN ({faults}) AND r.state <> '{TicketState.MERGED}' AND {seen_again})"""
    found = uow.connection.all(
        f"""SELECT k, count(*), count(stars), sum(stars), coalesce(sum(stars <= 2), 0), sum(fault), sum(again) FROM (
            SELECT {key} AS k, CAST(t.satisfaction AS INTEGER) AS stars, t.type IN ({faults}) AS fault,
                t.type IN ({faults}) AND t.serial IS NOT NULL AND {again} AS again
            FROM ticket t WHERE t.deleted = 0 AND t.opened_at >= ? AND t.state = '{TicketState.CLOSED}' AND {seen}
        ) GROUP BY k ORDER BY {"k DESC" if by == "month" else "count(*) DESC, k"}""",
        [*params_again, since, *params],
    )
    sums = [sum(row[place] or 0 for row in found) for place in range(1, 7)]
    shown = found[:MOST]
    told = policy.seen(actor, kind) if kind is not None else None
    ids = [row[0].hex() for row in shown if row[0]] if kind is not None else []
    names = titles(uow.connection, kind, ids) if kind is not None and told is not None and told.shows(kind.title_field) else {}
    rows = []
    for value, *figures in shown:
        group = value.hex() if isinstance(value, bytes) else value
        rows.append(_row(group, names.get(group) if kind is not None else group, figures))
    return {"rows": rows, "all": _row(None, None, sums)}


def _row(key: str | None, name: str | None, figures: Any) -> dict[str, Any]:
    closed, asked, stars, low, faults, again = figures
    average = round(stars / asked, 2) if asked else None
    return {
        "key": key, "name": name, "closed": closed, "asked": asked, "stars": average, "low": low or 0, "faults": faults or 0, "again": again or 0,
    }  # fmt: skip


VERBS = (Verb(satisfaction, N_("Customer satisfaction"), "ticket.read"),)
