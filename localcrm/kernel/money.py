"""Exact money, quantities and ratios, and the rounding rules R1–R3.

Amounts are whole minor units (分), quantities 4 and prices 6 decimal places, tax rates and discounts 4; all are
``Decimal`` in Python and scaled integers in the data file. Binary floats are refused.

R2, price without tax: net = round(quantity × price × discount), tax = round(net × rate), gross = net + tax.
R2, price with tax:    gross = round(quantity × price × discount), net = round(gross / (1 + rate)), tax = gross − net.
R3: totals are sums of stored lines; an amount spread over lines is spread by largest remainder and loses nothing.
Rounding is half up (四舍五入), as on Chinese VAT invoices.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_

if TYPE_CHECKING:
    from collections.abc import Sequence

MONEY_SCALE = 2
QUANTITY_SCALE = 4
PRICE_SCALE = 6
RATE_SCALE = 4
#: Largest scaled integer kept: well inside 64 bits, so that sums of many rows fit too.
MAX_SCALED = 10**15
#: Nothing with more zeros than this is a number of the business; computing with it would take minutes.
_MAX_ZEROS = 100

_FULL_WIDTH = str.maketrans("０１２３４５６７８９．，－＋％", "0123456789.,-+%")


def parse_decimal(value: object) -> Decimal:
    """Read a number as people type it: 1,234.5 · １２３ · 13% · −5. Raises InvalidInput("bad_number")."""
    if isinstance(value, bool | float):
        # A float has already lost the exact value; 0.1 + 0.2 must never reach the books.
        value = repr(value) if isinstance(value, float) else "?"
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, Decimal):
        number = value
    else:
        text = str(value).strip().translate(_FULL_WIDTH).replace(",", "").replace("−", "-").replace("¥", "").replace("￥", "").strip()
        percent = text.endswith("%")
        try:
            number = Decimal(text.removesuffix("%").strip())
        except InvalidOperation:
            raise InvalidInput("bad_number", N_("“{value}” is not a number."), value=str(value)[:60]) from None
        if percent and _is_sane(number):
            number = number / 100
    if not _is_sane(number):
        raise InvalidInput("bad_number", N_("“{value}” is not a number."), value=str(value)[:60])
    return number or abs(number)


def _is_sane(number: Decimal) -> bool:
    return number.is_finite() and abs(number.adjusted()) <= _MAX_ZEROS


def to_scaled(value: Decimal, scale: int) -> int:
    """The integer stored for a decimal; raises InvalidInput when digits would be lost or the value is too large."""
    with localcontext() as context:
        context.prec = 60
        scaled = value.scaleb(scale)
        if scaled != scaled.to_integral_value():
            raise InvalidInput(
                "too_many_decimals", N_("“{value}” has more than {scale} decimal places."), value=str(value)[:60], scale=scale
            )
        whole = int(scaled)
    if abs(whole) > MAX_SCALED:
        raise InvalidInput("number_too_large", N_("“{value}” is too large."), value=str(value)[:60])
    return whole


def from_scaled(value: int, scale: int) -> Decimal:
    """The decimal a stored integer stands for, with exactly ``scale`` places."""
    return Decimal(value).scaleb(-scale) if value else Decimal(0).scaleb(-scale)


def round_to(value: Decimal | Fraction, scale: int) -> Decimal:
    """Round half up to ``scale`` places; exact for fractions too."""
    if isinstance(value, Fraction):
        shifted = value * 10**scale
        whole = (2 * abs(shifted.numerator) + shifted.denominator) // (2 * shifted.denominator)
        return from_scaled(whole if shifted >= 0 else -whole, scale)
    with localcontext() as context:
        context.prec = 60
        return value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class LineAmounts:
    """What one document line comes to; net + tax == gross always."""

    net: Decimal
    tax: Decimal
    gross: Decimal

    def __add__(self, other: LineAmounts) -> LineAmounts:
        return LineAmounts(self.net + other.net, self.tax + other.tax, self.gross + other.gross)


ZERO_AMOUNTS = LineAmounts(Decimal("0.00"), Decimal("0.00"), Decimal("0.00"))


def line_amounts(quantity: Decimal, price: Decimal, *, discount: Decimal, tax_rate: Decimal, tax_included: bool) -> LineAmounts:
    """Rule R2 for one line. ``discount`` is the part that is paid (0.95 = 95 折), ``tax_rate`` 0.13 = 13 %."""
    with localcontext() as context:
        context.prec = 60
        amount = round_to(quantity * price * discount, MONEY_SCALE)
        if tax_included:
            return split_gross(amount, tax_rate)
        tax = round_to(amount * tax_rate, MONEY_SCALE)
        return LineAmounts(amount, tax, amount + tax)


def split_gross(gross: Decimal, tax_rate: Decimal) -> LineAmounts:
    """Split an amount that includes tax; the tax is the rest, so that both parts add up."""
    net = round_to(Fraction(gross) / (1 + Fraction(tax_rate)), MONEY_SCALE)
    return LineAmounts(net, gross - net, gross)


def spread(total: Decimal, weights: Sequence[Decimal], scale: int = MONEY_SCALE) -> list[Decimal]:
    """Rule R3: divide ``total`` in proportion to ``weights`` by largest remainder; the parts sum to it exactly.

    With all weights zero the parts are as equal as possible. Earlier lines win ties.
    """
    if not weights:
        raise InvalidInput("nothing_to_spread_over", N_("There is no line to spread the amount over."))
    if any(weight < 0 for weight in weights):
        raise InvalidInput("negative_weight", N_("An amount cannot be spread over negative lines."))
    units = to_scaled(total, scale)
    whole = sum((Fraction(weight) for weight in weights), Fraction(0))
    shares = [abs(units) * (Fraction(weight) / whole if whole else Fraction(1, len(weights))) for weight in weights]
    parts = [share.numerator // share.denominator for share in shares]
    missing = abs(units) - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda i: (parts[i] - shares[i], i))
    for i in by_remainder[:missing]:
        parts[i] += 1
    sign = -1 if units < 0 else 1
    return [from_scaled(sign * part, scale) for part in parts]


@dataclass(frozen=True, slots=True)
class UnitRatio:
    """How many base units one unit holds, as an exact ratio (1 箱 = 9 个 is 9/1), rule R11."""

    numerator: int
    denominator: int = 1

    def __post_init__(self) -> None:
        if self.numerator <= 0 or self.denominator <= 0:
            raise InvalidInput("bad_ratio", N_("A unit ratio must be greater than zero."))

    def to_base(self, quantity: Decimal) -> Fraction:
        """The exact number of base units."""
        return Fraction(quantity) * self.numerator / self.denominator

    def from_base(self, base: Fraction | Decimal) -> Fraction:
        """The exact number of these units in a number of base units."""
        return Fraction(base) * self.denominator / self.numerator


_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_GROUPS = ("", "万", "亿", "万亿")


def capital_amount(amount: Decimal) -> str:
    """The amount in Chinese capitals as on receipts (中国人民银行《正确填写票据和结算凭证的基本规定》)."""
    units = to_scaled(round_to(amount, MONEY_SCALE), MONEY_SCALE)
    sign, units = ("负", -units) if units < 0 else ("", units)
    yuan, jiao, fen = units // 100, units // 10 % 10, units % 10
    text = _capital_integer(yuan) + "元" if yuan else ""
    if not jiao and not fen:
        return sign + (text or "零元") + "整"
    if jiao:
        text += _DIGITS[jiao] + "角"
    elif yuan:
        text += "零"
    text += _DIGITS[fen] + "分" if fen else "整"
    return sign + text


def _capital_integer(number: int) -> str:
    groups: list[int] = []
    while number:
        number, rest = divmod(number, 10_000)
        groups.append(rest)
    text, gap = "", False
    for index in reversed(range(len(groups))):
        group = groups[index]
        if not group:
            gap = bool(text)
            continue
        if text and (gap or group < 1000):
            text += "零"
        gap = False
        text += _capital_group(group) + _GROUPS[index]
    return text


def _capital_group(group: int) -> str:
    text, gap = "", False
    for place in reversed(range(4)):
        digit = group // 10**place % 10
        if digit:
            text += ("零" if gap and text else "") + _DIGITS[digit] + _PLACES[place]
            gap = False
        else:
            gap = True
    return text
