"""Pure rules of sales orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import MONEY_SCALE, PRICE_SCALE, ZERO_AMOUNTS, LineAmounts, line_amounts, round_to, to_scaled


def amounts_of_line(line: Mapping[str, Any], *, tax_included: bool) -> LineAmounts:
    """Rule R2 for one line of typed values; raises InvalidInput("amount_too_large")."""
    found = line_amounts(line["quantity"], line["price"], discount=line["discount"], tax_rate=line["tax_rate"], tax_included=tax_included)
    return fitting(found, N_("Quantity × price comes to {amount}, more than the program keeps. Check both."), field="price")


def fitting(amounts: LineAmounts, text: str = N_("The lines come to {amount}, more than the program keeps."), **params: Any) -> LineAmounts:
    """Amounts that can be kept, as they are; raises InvalidInput("amount_too_large") for others."""
    try:
        to_scaled(amounts.gross, MONEY_SCALE)
    except InvalidInput:
        raise InvalidInput("amount_too_large", text, amount=f"{amounts.gross:,.2f}", **params) from None
    return amounts


def price_for(amount: Decimal, *, quantity: Decimal, discount: Decimal) -> Decimal:
    """The unit price at which a line comes to an amount, as its prices are (with tax or without).

    Raises InvalidInput("no_price_for_amount") without quantity or with everything taken off, and where no unit price comes to it.
    """
    pieces = Fraction(quantity) * Fraction(discount)
    if not pieces:
        raise InvalidInput(
            "no_price_for_amount", N_("An amount gives no unit price while the quantity is zero or everything is taken off."), field="price"
        )
    price = round_to(Fraction(amount) / pieces, PRICE_SCALE)
    if round_to(Fraction(price) * pieces, MONEY_SCALE) != amount:
        raise InvalidInput(
            "no_price_for_amount",
            N_("No unit price of {scale} decimals comes to {amount}."),
            scale=PRICE_SCALE,
            amount=f"{amount:,.2f}",
            field="price",
        )
    return price


def totals(lines: Iterable[Mapping[str, Any]]) -> LineAmounts:
    """Rule R3: the document's amounts are the sums of its stored lines; raises InvalidInput("amount_too_large")."""
    return fitting(sum((LineAmounts(line["net"], line["tax"], line["gross"]) for line in lines), ZERO_AMOUNTS))


def delivery_state(ordered: Iterable[tuple[Decimal, Decimal]]) -> str:
    """Tell "none", "part" or "all" of (ordered, delivered) pairs; over-delivery counts as all."""
    pairs = [(abs(quantity), abs(delivered)) for quantity, delivered in ordered if quantity]
    if not pairs or all(not delivered for _quantity, delivered in pairs):
        return "none"
    return "all" if all(delivered >= quantity for quantity, delivered in pairs) else "part"


def payment_state(gross: Decimal, received: Decimal) -> str:
    """Tell "none", "part" or "all" of an order's total received, or "more" where two places received the same apart."""
    if not received:
        return "all" if not gross else "none"
    if abs(received) > abs(gross):
        return "more"
    return "all" if abs(received) >= abs(gross) else "part"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a customer buys, in days: the mean time between the days he bought on, and the time since the last of them."""

    every: int
    since: int


def rhythm(days: Sequence[date], today: date) -> Rhythm | None:
    """Of the days on which he bought, in any order; three make a rhythm, fewer say nothing."""
    if len(days) < 3:
        return None
    first, last = min(days), max(days)
    return Rhythm(every=round((last - first).days / (len(days) - 1)), since=(today - last).days)
