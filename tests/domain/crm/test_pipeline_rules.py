"""What deals are worth, how long they stay, how many come through, when a visit is due."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given, strategies as st

from localcrm.domain.crm.entities import Interval
from localcrm.domain.crm.pipeline_rules import Stay, chance, checklist, days_since, funnel, is_stuck, stays, visit, visit_after, weighted

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "own", "of_stage", "percent"),
    [
        ("negotiating", None, 30, 30),
        ("negotiating", 0, 30, 0),
        ("negotiating", None, None, 0),
        ("won", 5, 30, 100),
        ("closed", None, 0, 100),
        ("lost", 90, 30, 0),
    ],
)
def test_the_outcome_counts_before_what_was_said_and_that_before_the_stage(
    state: str, own: int | None, of_stage: int | None, percent: int
) -> None:
    assert chance(state, own, of_stage) == percent


def test_a_weighted_amount_is_whole_cents() -> None:
    assert [str(weighted(Decimal(amount), percent)) for amount, percent in (("0.05", 30), ("100.00", 33), ("99999999.99", 50))] == [
        "0.02",
        "33.00",
        "50000000.00",
    ]


def test_days_are_whole_and_never_negative() -> None:
    assert [days_since(NOON - timedelta(hours=hours), NOON) for hours in (23, 24, 47, -50)] == [0, 1, 1, 0]
    assert days_since(None, NOON) == 0
    assert [is_stuck(days, 7) for days in (6, 7)] == [False, True]
    assert not is_stuck(9999, 0)


def test_a_checklist_has_each_line_once() -> None:
    assert checklist(" 寄样 \n\n报价\r\n寄样\n" + "长" * 300) == ["寄样", "报价", "长" * 200]
    assert checklist(None) == []


def test_stays_follow_each_other_whatever_order_the_branches_told_them_in() -> None:
    day = timedelta(days=1)
    told = [(NOON + 3 * day, "b"), (NOON, "a"), (NOON + 4 * day, "b"), (NOON + 5 * day, "a")]
    assert stays(told, NOON + 7 * day) == [
        Stay("a", NOON, NOON + 3 * day, 3),
        Stay("b", NOON + 3 * day, NOON + 5 * day, 2),
        Stay("a", NOON + 5 * day, None, 2),
    ]
    assert stays([], NOON) == []


def test_a_funnel_counts_who_came_at_least_so_far() -> None:
    steps = funnel(["a", "b", "c"], {"a": 6, "b": 1, "c": 1, "gone": 9})
    assert [(step.stage, step.count, step.of_all, step.of_previous) for step in steps] == [
        ("a", 8, 100, 100),
        ("b", 2, 25, 25),
        ("c", 1, 13, 50),
    ]
    assert funnel([], {"a": 1}) == []
    assert [step.of_all for step in funnel(["a", "b"], {})] == [0, 0]


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 10**6)))
def test_a_funnel_never_widens(furthest: dict[str, int]) -> None:
    counts = [step.count for step in funnel("abcd", furthest)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == sum(furthest.values())


def test_the_last_of_the_month_stays_the_last() -> None:
    first = date(2028, 1, 31)
    assert [visit(first, 1, Interval.MONTH, turn) for turn in range(4)] == [
        date(2028, 1, 31),
        date(2028, 2, 29),
        date(2028, 3, 31),
        date(2028, 4, 30),
    ]
    assert visit(date(2028, 2, 29), 1, Interval.YEAR, 1) == date(2029, 2, 28)
    assert visit(date(2028, 2, 29), 1, Interval.YEAR, 4) == date(2032, 2, 29)
    assert visit(first, 2, Interval.WEEK, 1) == date(2028, 2, 14)


DAYS = st.dates(date(2015, 1, 1), date(2035, 1, 1))


@given(DAYS, st.integers(1, 100), st.sampled_from(list(Interval)), DAYS)
def test_the_next_visit_is_the_first_one_later(starts_on: date, every: int, unit: Interval, day: date) -> None:
    found = visit_after(starts_on, every, unit, day)
    assert found is not None
    turn = next(turn for turn in count() if visit(starts_on, every, unit, turn) >= found)
    assert visit(starts_on, every, unit, turn) == found > day
    assert turn == 0 or visit(starts_on, every, unit, turn - 1) <= day


def test_a_visit_that_nobody_alive_will_see_is_none() -> None:
    assert visit_after(date(2026, 1, 1), 1000, Interval.YEAR, date(2026, 1, 1)) is None
