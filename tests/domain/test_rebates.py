"""Rebates: tiers, rounding, and that nothing depends on the order in which tiers were entered."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, strategies as st

from localcrm.domain.partners.rules import first_day, month_of, months_until, rebate, tiers_of

MONTH = dt.date(2026, 11, 1)


def tier(from_amount: str, percent: str, **further: object) -> dict[str, object]:
    usual = {"partner_id": None, "level": "core", "starts_on": None, "ends_on": None}
    return {**usual, "from_amount": Decimal(from_amount), "percent": Decimal(percent), **further}


def test_the_highest_tier_reached_gives_its_share_of_the_whole_amount():
    scale = [tier("100000", "0.03"), tier("10000", "0.01"), tier("50000", "0.02")]
    sums = {
        "9999.99": "0.00",
        "10000": "100.00",
        "49999.99": "500.00",
        "50000": "1000.00",
        "100000.50": "3000.02",
        "0": "0.00",
        "-80": "0.00",
    }
    assert {basis: str(rebate(scale, Decimal(basis)).amount) for basis in sums} == sums


def test_half_a_fen_is_rounded_up():
    assert rebate([tier("0", "0.05")], Decimal("0.10")).amount == Decimal("0.01")
    assert rebate([tier("0", "0.05")], Decimal("0.09")).amount == Decimal("0.00")


def test_own_tiers_take_the_place_of_those_of_the_level_and_end_with_their_months():
    own = tier("0", "0.05", partner_id="p", level=None, ends_on=dt.date(2026, 10, 31))
    common, other = tier("0", "0.02"), tier("0", "0.09", level="general")
    partner = {"id": "p", "level": "core"}
    assert tiers_of([common, own, other], partner, dt.date(2026, 10, 1)) == [own]
    assert tiers_of([common, own, other], partner, MONTH) == [common]
    assert tiers_of([common, own, other], {"id": "q", "level": None}, MONTH) == []


money = st.decimals(min_value=-10_000_000, max_value=10_000_000, places=2)
tiers = st.lists(
    st.builds(
        lambda start, share: {"from_amount": start, "percent": share},
        st.decimals(min_value=0, max_value=10_000_000, places=2),
        st.decimals(min_value=0, max_value=1, places=4),
    ),
    max_size=6,
)


@given(tiers, money, st.randoms(use_true_random=False))
def test_a_rebate_is_exact_to_half_a_fen_and_the_same_in_any_order(scale, basis, chance):
    due = rebate(scale, basis)
    shuffled = list(scale)
    chance.shuffle(shuffled)
    assert rebate(shuffled, basis) == due
    assert due.amount.as_tuple().exponent == -2
    assert abs(Fraction(due.amount) - Fraction(max(basis, Decimal(0))) * Fraction(due.percent)) <= Fraction(1, 200)
    reached = [one for one in scale if one["from_amount"] <= basis] if basis > 0 else []
    assert due.percent == max(((one["from_amount"], one["percent"]) for one in reached), default=(0, Decimal(0)))[1]
    assert 0 <= due.amount <= max(basis, Decimal(0))


@given(st.dates(min_value=dt.date(1900, 12, 1), max_value=dt.date(2200, 1, 1)), st.integers(1, 40))
def test_months_follow_each_other_without_a_gap(day, count):
    months = months_until(day, count)
    assert months[0] == month_of(day)
    assert len(set(months)) == count
    for newer, older in pairwise(months):
        start = first_day(newer)
        assert start is not None and month_of(start - dt.timedelta(days=1)) == older


def test_what_is_no_month_is_none():
    assert [first_day(text) for text in ("2026-13", "2026-1", "0000-01", "２０２６-01", "", "2026-11-01")] == [None] * 6
