"""What partners bring in and are given for it: worked out of posted orders, receipts and settlements whenever it is asked, kept nowhere."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.partners.entities import Partner, RebateBasis, RebateSettlement, RebateTier
from localcrm.domain.partners.rules import first_day, months_until, rebate, tiers_of
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import Delivery, DeliveryLine, SalesOrder, SalesOrderLine
from localcrm.kernel.money import MONEY_SCALE, round_to
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import Record, load_record, record_columns

PARTNER, TIER, SETTLED = Partner.entity_type, RebateTier.entity_type, RebateSettlement.entity_type
_CUSTOMER, _ORDER, _RECEIPT = Customer.entity_type, SalesOrder.entity_type, Receipt.entity_type
_DELIVERY, _SENT, _LINE = Delivery.entity_type, DeliveryLine.entity_type, SalesOrderLine.entity_type
_MONEY = _ORDER.fields["gross"]
#: What each figure is made of.
_NEEDS: tuple[tuple[EntityType, tuple[str, ...]], ...] = (
    (_CUSTOMER, ("partner_id",)),
    (_ORDER, ("customer_id", "status", "date", "gross")),
    (_RECEIPT, ("customer_id", "date", "amount")),
)
_NOTHING = Decimal("0.00")


@dataclass(slots=True)
class Sums:
    """What customers of a partner ordered, were sent and paid."""

    ordered: Decimal = _NOTHING
    received: Decimal = _NOTHING
    shipped: Decimal = _NOTHING

    def on(self, basis: str) -> Decimal:
        """What counts on the basis of a rebate."""
        return {RebateBasis.ORDERED: self.ordered, RebateBasis.SHIPPED: self.shipped}.get(RebateBasis(basis), self.received)


@dataclass(frozen=True, slots=True)
class Accrued:
    """The rebate of a partner for a month. percent: as a share of one · open: what is still to be given; less than nothing where too much was."""

    partner_id: str
    month: str
    basis: Decimal
    percent: Decimal
    amount: Decimal
    settled: Decimal

    @property
    def open(self) -> Decimal:
        """What is still to be given."""
        return self.amount - self.settled


@dataclass(frozen=True, slots=True)
class Ranked:
    """A partner among the others, by what his customers ordered."""

    partner_id: str
    customers: int
    sums: Sums


def sees_rebates(actor: Actor) -> bool:
    """Whether he may read what rebates are made of, and what was given."""
    needs: tuple[tuple[EntityType, tuple[str, ...]], ...] = (
        (PARTNER, ("level", "rebate_on")),
        (TIER, ("level", "partner_id", "from_amount", "percent")),
        (SETTLED, ("partner_id", "month", "amount")),
    )
    views = [(policy.seen(actor, kind), fields) for kind, fields in needs]
    return all(seen is not None and all(map(seen.shows, fields)) for seen, fields in views)


def sees_all(actor: Actor) -> bool:
    """Whether his figures are those of the company: he sees every order and receipt, and what they come to."""
    for kind, fields in _NEEDS:
        seen = policy.seen(actor, kind)
        if seen is None or seen.rows is not None or not all(map(seen.shows, fields)):
            return False
    return True


def sees_shipped(actor: Actor) -> bool:
    """Whether he sees every delivery, its goods, and what lines of orders come to."""
    needs: tuple[tuple[EntityType, tuple[str, ...]], ...] = (
        (_DELIVERY, ("order_id", "status", "date", "returns_id")),
        (_SENT, ("product_id", "quantity")),
        (_LINE, ("product_id", "quantity", "gross")),
    )
    views = [(policy.seen(actor, kind), fields) for kind, fields in needs]
    return all(seen is not None and seen.rows is None and all(map(seen.shows, fields)) for seen, fields in views)


def partners(connection: Connection, actor: Actor) -> dict[str, Record]:
    """Every partner the actor sees, by id; whole, for it is reckoned with what may be hidden from him."""
    seen = policy.seen(actor, PARTNER)
    if seen is None:
        return {}
    condition, params = seen.condition("partner")
    rows = connection.all(f"SELECT {record_columns(PARTNER)} FROM partner WHERE deleted = 0 AND {condition}", params)
    return {one["id"]: one for one in (load_record(PARTNER, row) for row in rows)}


def names(connection: Connection, actor: Actor) -> dict[str, str]:
    """What the partners the actor sees are called, as he may see it."""
    seen = policy.seen(actor, PARTNER)
    known = partners(connection, actor)
    return {identity: str(seen.of(one).get("name") or "") for identity, one in known.items()} if seen is not None else {}


def by_month(connection: Connection, actor: Actor, months: Sequence[str], partner: str | None = None) -> dict[tuple[str, str], Sums]:
    """What customers of partners ordered and paid in each of these months, as far as the actor sees orders and receipts: by (partner, month)."""
    customers = policy.seen(actor, _CUSTOMER)
    found: dict[tuple[str, str], Sums] = defaultdict(Sums)
    if customers is None or not customers.shows("partner_id") or not months:
        return found
    condition, params = customers.condition("c")
    of = "c.partner_id IS NOT NULL" if partner is None else "c.partner_id = ?"
    given = [*([] if partner is None else [bytes.fromhex(partner)]), *params]
    # What was merged into a customer goes on naming the row it was about.
    members = f"""WITH RECURSIVE member(partner, id) AS (
        SELECT c.partner_id, c.id FROM customer c INDEXED BY customer__partner_id WHERE c.deleted = 0 AND {of} AND {condition}
        UNION SELECT member.partner, m.id FROM member CROSS JOIN customer m INDEXED BY customer__merged_into_id ON m.merged_into_id = member.id)"""
    span = [f"{min(months)}-01", f"{max(months)}-32"]
    orders, receipts = policy.seen(actor, _ORDER), policy.seen(actor, _RECEIPT)
    if orders is not None and all(map(orders.shows, _NEEDS[1][1])):
        condition, more = orders.condition("o")
        sql = f"""{members} SELECT member.partner, substr(o.date, 1, 7), sum(o.gross)
            FROM member CROSS JOIN sales_order o INDEXED BY sales_order__customer_id ON o.customer_id = member.id
            WHERE o.deleted = 0 AND +o.status = 'posted' AND o.opening = 0 AND o.date BETWEEN ? AND ? AND {condition} GROUP BY 1, 2"""
        for who, month, amount in connection.all(sql, [*given, *span, *more]):
            found[who.hex(), month].ordered = _MONEY.load(amount)
        if sees_shipped(actor):
            _add_shipped(connection, found, members, [*given, *more], condition, months)
    if receipts is not None and all(map(receipts.shows, _NEEDS[2][1])):
        condition, more = receipts.condition("r")
        sql = f"""{members} SELECT member.partner, substr(r.date, 1, 7), sum(r.amount)
            FROM member CROSS JOIN receipt r INDEXED BY receipt__customer_id ON r.customer_id = member.id
            WHERE r.deleted = 0 AND r.date BETWEEN ? AND ? AND r.method <> 'rebate' AND {condition} GROUP BY 1, 2"""
        for who, month, amount in connection.all(sql, [*given, *span, *more]):
            found[who.hex(), month].received = _MONEY.load(amount)
    return found


def _add_shipped(
    connection: Connection, found: dict[tuple[str, str], Sums], members: str, params: Sequence[Any], condition: str, months: Sequence[str]
) -> None:
    """Add what deliveries of posted orders brought, each product at what it comes to in its order, and take off what came back, each by its own day.

    What goes in exchange counts like what went first, and all of it together never as more than was ordered.
    """
    sent = connection.all(
        f"""{members}, paid AS (SELECT member.partner, o.id FROM member
                CROSS JOIN sales_order o INDEXED BY sales_order__customer_id ON o.customer_id = member.id
                WHERE o.deleted = 0 AND +o.status = 'posted' AND o.reverses_id IS NULL AND o.opening = 0 AND {condition}
                AND NOT EXISTS (SELECT 1 FROM sales_order r WHERE r.reverses_id = o.id AND r.deleted = 0)),
            sent AS (SELECT p.partner, substr(d.date, 1, 7) AS month, p.id AS order_id, s.product_id,
                    sum(CASE WHEN d.returns_id IS NULL THEN s.quantity ELSE -s.quantity END) AS quantity
                FROM paid p CROSS JOIN delivery d INDEXED BY delivery__order_id ON d.order_id = p.id
                LEFT JOIN delivery first ON first.id = d.returns_id CROSS JOIN delivery_line s ON s.delivery_id = d.id
                WHERE d.deleted = 0 AND s.deleted = 0 AND d.date <= ? AND coalesce(first.deleted, 0) = 0
                AND coalesce(first.status, d.status) IN ('shipped', 'received') GROUP BY 1, 2, 3, 4)
            SELECT sent.partner, sent.month, sent.order_id, sent.product_id, sent.quantity, sum(l.quantity), sum(l.gross) FROM sent
                CROSS JOIN sales_order_line l ON l.order_id = sent.order_id AND +l.product_id = sent.product_id
                WHERE l.deleted = 0 GROUP BY sent.partner, sent.month, sent.order_id, sent.product_id ORDER BY sent.month""",
        [*params, f"{max(months)}-32"],
    )
    so_far: dict[tuple[bytes, bytes], int] = defaultdict(int)
    for who, month, order, product, quantity, ordered, gross in sent:
        before = so_far[order, product]
        so_far[order, product] = after = before + quantity
        if month >= min(months) and (change := _worth(gross, after, ordered) - _worth(gross, before, ordered)):
            found[who.hex(), month].shipped += change
    back = connection.all(
        f"""{members} SELECT member.partner, substr(o.date, 1, 7), sum(o.gross)
            FROM member CROSS JOIN sales_order o INDEXED BY sales_order__customer_id ON o.customer_id = member.id
            WHERE o.deleted = 0 AND +o.status = 'posted' AND o.reverses_id IS NULL AND o.opening = 0 AND o.gross < 0 AND {condition}
            AND NOT EXISTS (SELECT 1 FROM sales_order r WHERE r.reverses_id = o.id AND r.deleted = 0) AND o.date BETWEEN ? AND ? GROUP BY 1, 2""",
        [*params, f"{min(months)}-01", f"{max(months)}-32"],
    )
    for who, month, amount in back:
        found[who.hex(), month].shipped += _MONEY.load(amount)


def _worth(gross: int, quantity: int, ordered: int) -> Decimal:
    """What so much of an ordered product comes to: nothing where none is there, never more than all of it (stored units)."""
    share = Decimal(min(max(quantity, 0), ordered)) / ordered if ordered > 0 else Decimal(0)
    return round_to(_MONEY.load(gross) * share, MONEY_SCALE)


def accrued(connection: Connection, actor: Actor, months: Sequence[str], partner: str | None = None) -> list[Accrued]:
    """Rebates of the partners the actor sees for these months, where there was anything: by month, newest first, then the highest."""
    known = partners(connection, actor)
    tiers = _live(connection, TIER)
    sums = by_month(connection, actor, months, partner)
    settled = _settled(connection, actor, months)
    rows = []
    for who, month in sums.keys() | settled.keys():
        one, start = known.get(who), first_day(month)
        if one is None or start is None or (partner is not None and who != partner):
            continue
        if one["rebate_on"] == RebateBasis.SHIPPED and not sees_shipped(actor):
            continue
        both = sums.get((who, month), Sums())
        basis = both.on(one["rebate_on"])
        due = rebate(tiers_of(tiers, one, start), basis)
        rows.append(Accrued(who, month, basis, due.percent, due.amount, settled.get((who, month), _NOTHING)))
    rows.sort(key=lambda row: (-row.amount, row.partner_id))
    return sorted(rows, key=lambda row: row.month, reverse=True)


def ranking(connection: Connection, actor: Actor, day: dt.date) -> list[Ranked]:
    """The partners the actor sees by what their customers ordered in the last twelve months, that of the day among them."""
    totals: dict[str, Sums] = defaultdict(Sums)
    for (who, _month), sums in by_month(connection, actor, months_until(day, 12)).items():
        totals[who].ordered += sums.ordered
        totals[who].received += sums.received
    counts = _customers(connection, actor)
    rows = [Ranked(who, counts.get(who, 0), totals[who]) for who in partners(connection, actor)]
    return sorted(rows, key=lambda row: (-row.sums.ordered, -row.sums.received, -row.customers, row.partner_id))


def _customers(connection: Connection, actor: Actor) -> dict[str, int]:
    seen = policy.seen(actor, _CUSTOMER)
    if seen is None or not seen.shows("partner_id"):
        return {}
    condition, params = seen.condition("c")
    rows = connection.all(
        f"""SELECT c.partner_id, count(*) FROM customer c INDEXED BY customer__partner_id
            WHERE c.deleted = 0 AND c.partner_id IS NOT NULL AND {condition} GROUP BY 1""",
        params,
    )
    return {who.hex(): count for who, count in rows}


def _settled(connection: Connection, actor: Actor, months: Sequence[str]) -> dict[tuple[str, str], Decimal]:
    """What was given for these months by (partner, month), whoever entered it; nothing for somebody who may not read it."""
    seen = policy.seen(actor, SETTLED)
    if seen is None or not all(map(seen.shows, ("partner_id", "month", "amount"))) or not months:
        return {}
    condition, params = seen.condition("s")
    rows = connection.all(
        f"""SELECT s.partner_id, s.month, sum(s.amount) FROM rebate_settlement s INDEXED BY rebate_settlement__month
            WHERE s.deleted = 0 AND s.month BETWEEN ? AND ? AND {condition} GROUP BY 1, 2""",
        [min(months), max(months), *params],
    )
    return {(who.hex(), month): _MONEY.load(amount) for who, month, amount in rows}


def _live(connection: Connection, kind: EntityType) -> list[Record]:
    """Every record of a short list; a rule reads all of it, whoever asks."""
    return [load_record(kind, row) for row in connection.all(f'SELECT {record_columns(kind)} FROM "{kind.key}" WHERE deleted = 0')]
