"""Certificates of suppliers that are about to run out: their buyers ask for new ones in time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from localcrm.domain.crm.reminders import MOST, Ask, Reminding, morning
from localcrm.domain.options.company import company_number
from localcrm.domain.purchase.entities import Supplier, SupplierCertificate

_SUPPLIER, _CERTIFICATE = Supplier.entity_type, SupplierCertificate.entity_type
#: So long after it ran out one is still told of.
_PAST = dt.timedelta(days=7)


def certificates(ask: Ask) -> Iterator[Reminding]:
    """Certificates of suppliers whose buyer the user is that run out within some days, or just did."""
    days = company_number(ask.connection, ask.node, "certificate_days")
    suppliers, seen = ask.view(_SUPPLIER, "buyer_id"), ask.view(_CERTIFICATE, "supplier_id", "name", "expires_on")
    if not days or suppliers is None or seen is None:
        return
    first, last = (ask.now - _PAST).astimezone().date(), ask.until.astimezone().date() + dt.timedelta(days=days)
    condition, params = seen.condition("c")
    rows = ask.connection.all(
        f"""SELECT c.id, c.expires_on, c.name, supplier.id, supplier.name FROM supplier_certificate c INDEXED BY supplier_certificate__expires_on
            CROSS JOIN supplier ON supplier.id = c.supplier_id
            WHERE c.deleted = 0 AND c.expires_on >= ? AND c.expires_on <= ? AND supplier.deleted = 0 AND supplier.buyer_id = ? AND {condition}
            ORDER BY c.expires_on LIMIT {MOST}""",
        [first.isoformat(), last.isoformat(), ask.user, *params],
    )
    for identity, day_text, name, supplier, title in rows:
        day = dt.date.fromisoformat(day_text)
        if (due := morning(day - dt.timedelta(days=days))) <= ask.until:
            yield Reminding(
                key=f"certificate:{identity.hex()}:{day_text}",
                kind="certificate",
                due=due,
                at=morning(day),
                title=title if suppliers.shows("name") else "",
                text=name,
                record=(_SUPPLIER.key, supplier.hex()),
            )
