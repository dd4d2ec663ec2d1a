"""Orders for which more came in, or went back, than is due: two places received, paid back or set off the same apart, or one reversed what the other
received. Nothing of it is lost; a person decides.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.reminders import MOST, Ask, Reminding
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.roles import BasicRole
from localcrm.domain.sales.entities import SalesOrder
from localcrm.kernel.i18n import N_, gettext

_ORDER, _RECEIPT, _CUSTOMER = SalesOrder.entity_type, Receipt.entity_type, Customer.entity_type
#: Of the receipts those that came last: what arrived late is among them, whatever its date.
LOOKED_AT = 2000
#: Whose matter an order is: its salesperson's, else that of the customer; nobody's where both have left.
WHOSE = """(SELECT u.id FROM user u WHERE u.id IN ({order}.owner_id, c.owner_id) AND u.active = 1 AND u.deleted = 0
            ORDER BY u.id = {order}.owner_id DESC LIMIT 1)"""
#: Whether it is the user's, or nobody's and he an administrator, with ``him``.
IS_HIS = "(whose = ? OR whose IS NULL AND ?)"
#: An order with its reversal, as what may be received for it is counted too (``finance.services``).
_GROSS = """o.gross + coalesce((SELECT sum(x.gross) FROM sales_order x WHERE x.reverses_id = o.id AND +x.status = 'posted' AND x.deleted = 0), 0)"""
_RECEIVED = """coalesce((SELECT sum(t.total) FROM order_received t
               WHERE t.order_id IN (SELECT o.id UNION ALL SELECT x.id FROM sales_order x WHERE x.reverses_id = o.id AND x.deleted = 0)), 0)"""


def remind(ask: Ask) -> Iterator[Reminding]:
    """Orders of the user's own, or of nobody who is still here for an administrator, until the money went back or was entered otherwise."""
    orders = ask.view(_ORDER, "customer_id", "gross", "owner_id", "number")
    receipts = ask.view(_RECEIPT, "order_id", "amount")
    if orders is None or receipts is None:
        return
    customers = ask.view(_CUSTOMER, "name")
    condition, params = orders.condition("o")
    is_seen, customer_params = customers.condition("c") if customers is not None else ("0", [])
    rows = ask.connection.all(
        f"""WITH looked_at AS MATERIALIZED (SELECT o.id, o.number, o.gross, {_GROSS} AS due, {_RECEIVED} AS received, CASE WHEN {is_seen} THEN c.name ELSE '' END AS name, o.posted_at, {WHOSE.format(order="o")} AS whose FROM
            (SELECT DISTINCT coalesce(n.reverses_id, n.id) AS id FROM
             (SELECT DISTINCT order_id FROM (SELECT order_id FROM receipt WHERE deleted = 0 ORDER BY rid DESC LIMIT {LOOKED_AT})) r
             CROSS JOIN sales_order n ON n.id = r.order_id) looked
            CROSS JOIN sales_order o ON o.id = looked.id JOIN customer c ON c.id = o.customer_id
            WHERE o.deleted = 0 AND {condition})
            SELECT * FROM looked_at WHERE (received > max(0, due) OR received < min(0, due)) AND {IS_HIS} LIMIT {MOST}""",
        [*customer_params, *params, *him(ask)],
    )
    for identity, number, gross, due, received, name, posted, _whose in rows:
        at = from_ms(posted)
        yield Reminding(
            key=f"overpaid:{identity.hex()}:{received}",
            kind="overpaid",
            due=at,
            at=at,
            title=name,
            text=_text(str(number), *map(_ORDER.fields["gross"].load, (gross, due, received))),
            record=(_ORDER.key, identity.hex()),
        )


def him(ask: Ask) -> tuple[bytes, bool]:
    """Whom ``IS_HIS`` is about."""
    return ask.user, ask.actor.role == BasicRole.ADMIN


def from_ms(stored: int | None) -> dt.datetime:
    """When an order was posted."""
    return dt.datetime.fromtimestamp((stored or 0) / 1000, tz=dt.UTC)


def _text(number: str, gross: Decimal, due: Decimal, received: Decimal) -> str:
    more = f"{abs(received - (max if received > 0 else min)(Decimal(0), due)):,.2f}"
    if received < 0:
        return gettext(N_("{number}: {amount} more than was due was paid back")).format(number=number, amount=more)
    if gross > 0 and due == 0:
        text = N_("{number} was reversed, and {amount} is still received for it: pay it back, or enter it for another order")
        return gettext(text).format(number=number, amount=more)
    return gettext(N_("{number}: {amount} more than its total was received")).format(number=number, amount=more)
