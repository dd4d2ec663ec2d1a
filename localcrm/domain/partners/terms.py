"""What partners that buy from us themselves were promised: prices of their level, and the agreed share of the list price where there is none."""

from __future__ import annotations

from localcrm.domain import policy
from localcrm.domain.options.company import today
from localcrm.domain.partners.entities import Partner
from localcrm.domain.policy import Actor
from localcrm.domain.sales.level_prices import Terms
from localcrm.store.connection import Connection

PARTNER = Partner.entity_type


def terms_of(connection: Connection, actor: Actor, customer_id: str) -> Terms | None:
    """Those of the partner who is this customer, while his agreement runs and as far as the actor may see it; None for any other customer."""
    seen = policy.seen(actor, PARTNER)
    if seen is None or not seen.shows("customer_id"):
        return None
    condition, params = seen.condition("p")
    day = today().isoformat()
    row = connection.one(
        f"""SELECT p.level, p.discount FROM partner p WHERE p.customer_id = ? AND p.deleted = 0 AND {condition}
            AND (p.starts_on IS NULL OR p.starts_on <= ?) AND (p.ends_on IS NULL OR p.ends_on >= ?) ORDER BY p.id LIMIT 1""",
        (bytes.fromhex(customer_id), *params, day, day),
    )
    if row is None:
        return None
    level, discount = (
        PARTNER.fields[key].load(value) if seen.shows(key) else None for key, value in zip(("level", "discount"), row, strict=True)
    )
    return Terms(level, discount or None)
