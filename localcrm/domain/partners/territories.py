"""Whose area a company lies in: told where a partner registers one, or is named for a customer, outside his own area or in that of another.

An area holds those written below it (``domain/areas``). Of several areas that hold a company the narrowest counts: a province may be one
partner's and a city in it another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.areas import canonical
from localcrm.domain.options.company import today
from localcrm.domain.partners.entities import Partner
from localcrm.domain.policy import Actor
from localcrm.kernel.ids import is_id
from localcrm.store.query import load_record, record_columns
from localcrm.store.uow import UnitOfWork

PARTNER = Partner.entity_type
#: Where a company lies that a partner is named for: beyond his area, in somebody else's.
OUTSIDE, HELD = "outside", "held"
#: Characters of an area that are looked at.
_LONGEST = 200


def conflicts(uow: UnitOfWork, actor: Actor, partner_id: str | None, area: str | None) -> list[dict[str, Any]]:
    """What stands against a partner dealing with a company of an area: [{"territory": "outside" | "held", "area", "partner"}].

    outside: the area is his own · held: it is that of ``partner``, whose name is empty for an actor who may not see it. Nothing is told of a
    partner whom the actor does not see.
    """
    seen = policy.seen(actor, PARTNER)
    if not partner_id or not is_id(partner_id) or not area or seen is None or not seen.shows("area"):
        return []
    if not policy.visible(uow.connection, actor, PARTNER, partner_id):
        return []
    wanted, day = canonical(area[:_LONGEST]), today()
    parts = wanted.split("/")
    holding = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    rows = uow.connection.all(
        f"""SELECT {record_columns(PARTNER)} FROM partner WHERE deleted = 0 AND area IN ({",".join("?" * len(holding))})
            AND (starts_on IS NULL OR starts_on <= ?) AND (ends_on IS NULL OR ends_on >= ?) ORDER BY length(area) DESC, id""",
        [*holding, day.isoformat(), day.isoformat()],
    )
    found = [load_record(PARTNER, row) for row in rows]
    nearest = [one for one in found if one["area"] == found[0]["area"]]
    if any(one["id"] == partner_id for one in nearest):
        return []
    own = uow.find(PARTNER, partner_id)
    told = []
    if own is not None and own["area"] and own["area"] not in holding:
        told.append({"territory": OUTSIDE, "area": own["area"], "partner": ""})
    for other in nearest:
        known = seen.shows("name") and policy.visible(uow.connection, actor, PARTNER, other["id"])
        told.append({"territory": HELD, "area": other["area"], "partner": other["name"] if known else ""})
    return told


def told_of_customer(uow: UnitOfWork, actor: Actor, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same while a customer is typed, in the shape of ``crm.alike.advise_customer``."""
    found = conflicts(uow, actor, values.get("partner_id"), values.get("area"))
    return [{**one, "owner": None, "branch": None, "reasons": ["partner_id"]} for one in found]
