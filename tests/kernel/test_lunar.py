"""The lunar calendar, against days that everybody can look up."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest

from localcrm.kernel.lunar import LunarDay, kept_on, lunar_day


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("1900-01-31", LunarDay(1, 1)),
        ("1949-10-01", LunarDay(8, 10)),
        ("1978-09-17", LunarDay(8, 15)),  # Mid-Autumn by the clock of Beijing; Hong Kong kept it a day earlier
        ("2000-02-05", LunarDay(1, 1)),
        ("2008-08-08", LunarDay(7, 8)),
        ("2020-05-23", LunarDay(4, 1, leap=True)),
        ("2023-04-19", LunarDay(2, 29, leap=True)),
        ("2026-02-17", LunarDay(1, 1)),
        ("2026-09-25", LunarDay(8, 15)),
        ("2033-12-22", LunarDay(11, 1, leap=True)),  # the year in which tables of older programs are wrong
        ("2034-02-19", LunarDay(1, 1)),
        ("2100-12-31", LunarDay(12, 1)),
        ("2101-01-28", LunarDay(12, 29)),
    ],
)
def test_days_that_are_known(day: str, expected: LunarDay) -> None:
    assert lunar_day(dt.date.fromisoformat(day)) == expected


@pytest.mark.parametrize("day", ["1900-01-30", "2101-01-29", "1899-01-01"])
def test_nothing_is_invented_beyond_the_table(day: str) -> None:
    assert lunar_day(dt.date.fromisoformat(day)) is None
    assert kept_on(dt.date.fromisoformat(day)) == set()


def test_months_have_29_or_30_days_and_follow_each_other_to_the_end() -> None:
    day, before = dt.date(2000, 2, 6), LunarDay(1, 1)
    while (found := lunar_day(day)) is not None:
        if found.day == 1:
            assert before.day in {29, 30}
            assert found.month == before.month % 12 + 1 or (found.leap and found.month == before.month)
        else:
            assert found == before._replace(day=before.day + 1)
        day, before = day + dt.timedelta(1), found
    assert day == dt.date(2101, 1, 29)


@pytest.mark.parametrize("born", [LunarDay(8, 15), LunarDay(12, 30), LunarDay(4, 8, leap=True), LunarDay(2, 30, leap=True), LunarDay(1, 1)])
def test_a_birthday_is_kept_once_in_every_lunar_year(born: LunarDay) -> None:
    first, years = dt.date(2025, 1, 29), 20  # from New Year's Day on
    kept = [day for n in range(365 * years) if born in kept_on(day := first + dt.timedelta(n))]
    assert len(kept) in {years - 1, years}
    assert all(320 < (later - earlier).days < 420 for earlier, later in pairwise(kept))


def test_a_doubled_month_is_kept_where_it_exists() -> None:
    born = LunarDay(6, 8, leap=True)
    kept = [day for n in range(365) if born in kept_on(day := dt.date(2025, 1, 29) + dt.timedelta(n))]
    assert kept == [dt.date(2025, 8, 1)]  # 2025 doubles the sixth month
    kept = [day for n in range(365) if born in kept_on(day := dt.date(2026, 2, 17) + dt.timedelta(n))]
    assert kept == [dt.date(2026, 7, 21)]  # 2026 does not
