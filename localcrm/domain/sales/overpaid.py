"""Orders for which more came in than their total: two places received, or set off, the same debt apart. Nothing of it is lost; a person decides."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.reminders import MOST, Ask, Reminding
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.sales.entities import SalesOrder
from localcrm.kernel.i18n import N_, gettext

_ORDER, _RECEIPT, _CUSTOMER = SalesOrder.entity_type, Receipt.entity_type, Customer.entity_type
#: Of the receipts those that came last: what arrived late is among them, whatever its date.
_LOOKED_AT = 2000


def remind(ask: Ask) -> Iterator[Reminding]:
    """Orders of the user's own that were paid more than once, until the money went back or was entered otherwise."""
    orders = ask.view(_ORDER, "customer_id", "gross", "owner_id", "number")
    receipts = ask.view(_RECEIPT, "order_id", "amount")
    if orders is None or receipts is None:
        return
    customers = ask.view(_CUSTOMER, "name")
    condition, params = orders.condition("o")
    rows = ask.connection.all(
        f"""SELECT o.id, o.number, o.gross, t.total, c.name, o.posted_at FROM
            (SELECT DISTINCT order_id FROM (SELECT order_id FROM receipt WHERE deleted = 0 ORDER BY rid DESC LIMIT {_LOOKED_AT})) r
            CROSS JOIN sales_order o ON o.id = r.order_id CROSS JOIN order_received t ON t.order_id = o.id JOIN customer c ON c.id = o.customer_id
            WHERE o.owner_id = ? AND o.gross > 0 AND t.total > o.gross AND o.deleted = 0 AND {condition} LIMIT {MOST}""",
        [ask.user, *params],
    )
    money = _ORDER.fields["gross"]
    for identity, number, gross, total, name, posted in rows:
        more = money.load(total - gross)
        at = dt.datetime.fromtimestamp((posted or 0) / 1000, tz=dt.UTC)
        yield Reminding(
            key=f"overpaid:{identity.hex()}:{total}",
            kind="overpaid",
            due=at,
            at=at,
            title=name if customers is not None else "",
            text=gettext(N_("{number}: {amount} more than its total was received")).format(number=number, amount=f"{more:,.2f}"),
            record=(_ORDER.key, identity.hex()),
        )
