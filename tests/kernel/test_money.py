"""Rounding rules R1–R3, against the cases that have cost others a cent."""

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.money import (
    LineAmounts,
    UnitRatio,
    capital_amount,
    from_scaled,
    line_amounts,
    parse_decimal,
    split_gross,
    spread,
    to_scaled,
)

D = Decimal
amounts = st.decimals(min_value=D("-9999999"), max_value=D("9999999"), places=2)
quantities = st.decimals(min_value=D("-9999"), max_value=D("9999"), places=4)
prices = st.decimals(min_value=D(0), max_value=D("9999"), places=6)
rates = st.sampled_from([D(0), D("0.01"), D("0.03"), D("0.06"), D("0.09"), D("0.13"), D("0.21")])
discounts = st.decimals(min_value=D(0), max_value=D(1), places=4)


def test_inclusive_price_adds_up() -> None:
    assert split_gross(D("100.00"), D("0.13")) == LineAmounts(D("88.50"), D("11.50"), D("100.00"))


def test_two_inclusive_lines_add_up_in_every_column() -> None:
    line = line_amounts(D(1), D("379.00"), discount=D(1), tax_rate=D("0.21"), tax_included=True)
    assert line + line == LineAmounts(D("626.44"), D("131.56"), D("758.00"))


def test_twenty_lines_and_ten_lines_add_up_to_the_price() -> None:
    eight_hundred = line_amounts(D(20), D(800), discount=D(1), tax_rate=D("0.07"), tax_included=True)
    thousand = line_amounts(D(10), D(1000), discount=D(1), tax_rate=D("0.07"), tax_included=True)
    assert (eight_hundred.net, thousand.net) == (D("14953.27"), D("9345.79"))
    assert (eight_hundred + thousand).tax == D("1700.94")
    assert (eight_hundred + thousand).gross == D("26000.00")


def test_exclusive_tax_is_rounded_per_line() -> None:
    lines = [line_amounts(D(1), D(p), discount=D(1), tax_rate=D("0.20"), tax_included=False) for p in ("299.33", "179.33", "99.34")]
    assert sum(line.tax for line in lines) == D("115.61")


def test_full_discount_is_all_zero() -> None:
    assert line_amounts(D(1), D(1300), discount=D(0), tax_rate=D("0.13"), tax_included=True) == LineAmounts(D("0.00"), D("0.00"), D("0.00"))


def test_half_a_cent_is_rounded_up() -> None:
    assert line_amounts(D(1), D("0.005"), discount=D(1), tax_rate=D(0), tax_included=False).gross == D("0.01")


def test_ten_off_three_equal_lines() -> None:
    assert spread(D("10.00"), [D(1), D(1), D(1)]) == [D("3.34"), D("3.33"), D("3.33")]


@given(quantities, prices, discounts, rates, st.booleans())
def test_net_and_tax_make_gross(quantity: Decimal, price: Decimal, discount: Decimal, rate: Decimal, tax_included: bool) -> None:
    line = line_amounts(quantity, price, discount=discount, tax_rate=rate, tax_included=tax_included)
    assert line.net + line.tax == line.gross


@given(quantities, prices, discounts, rates, st.booleans())
def test_a_reversed_line_is_exactly_the_opposite(
    quantity: Decimal, price: Decimal, discount: Decimal, rate: Decimal, tax_included: bool
) -> None:
    line = line_amounts(quantity, price, discount=discount, tax_rate=rate, tax_included=tax_included)
    opposite = line_amounts(-quantity, price, discount=discount, tax_rate=rate, tax_included=tax_included)
    assert (line + opposite).gross == 0
    assert (line + opposite).net == 0


@given(amounts, st.lists(st.decimals(min_value=0, max_value=10_000, places=2), min_size=1, max_size=30))
def test_spreading_loses_nothing_and_is_fair_to_a_cent(total: Decimal, weights: list[Decimal]) -> None:
    parts = spread(total, weights)
    assert sum(parts) == total
    whole = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        exact = total * weight / whole if whole else total / len(weights)
        assert abs(part - exact) < D("0.010001")


@given(st.integers(min_value=-(10**15), max_value=10**15), st.integers(min_value=0, max_value=6))
def test_stored_integers_come_back_exactly(units: int, scale: int) -> None:
    assert to_scaled(from_scaled(units, scale), scale) == units


@pytest.mark.parametrize(
    ("typed", "number"),
    [("1,234.5", "1234.5"), ("１２３", "123"), ("13%", "0.13"), ("−5", "-5"), ("¥ 9.80", "9.80"), ("-0", "0"), (7, "7"), (0.1, "0.1")],
)
def test_numbers_as_people_type_them(typed: object, number: str) -> None:
    assert parse_decimal(typed) == D(number)


@pytest.mark.parametrize("typed", ["一百", "", "1.2.3", "NaN", "Infinity", True, "１e"])
def test_what_is_not_a_number_is_refused(typed: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_decimal(typed)
    assert refused.value.code == "bad_number"


def test_digits_that_would_be_lost_are_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        to_scaled(D("1.005"), 2)
    assert refused.value.code == "too_many_decimals"
    with pytest.raises(InvalidInput) as refused:
        to_scaled(D("1e30"), 2)
    assert refused.value.code == "number_too_large"


def test_one_box_of_nine_pieces_leaves_nothing_over() -> None:
    box = UnitRatio(9)
    assert box.to_base(D(1)) - 9 == 0
    assert box.from_base(D(9)) == 1
    assert box.from_base(D(1)) * 9 == 1


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("19208.00", "壹万玖仟贰佰零捌元整"),
        ("0.00", "零元整"),
        ("0.05", "伍分"),
        ("10.50", "壹拾元伍角整"),
        ("1001.01", "壹仟零壹元零壹分"),
        ("100000001.23", "壹亿零壹元贰角叁分"),
        ("10010.00", "壹万零壹拾元整"),
        ("-3.20", "负叁元贰角整"),
    ],
)
def test_amounts_in_capitals(amount: str, text: str) -> None:
    assert capital_amount(D(amount)) == text
