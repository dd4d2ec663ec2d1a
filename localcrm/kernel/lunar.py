"""The Chinese lunar calendar from 1900 to 2100, from a table: which months are long, and which one is doubled.

The table follows GB/T 33661-2017 (new moons by the clock of Beijing). It was compared day by day with two programs that compute the moons,
sxtwl and lunar_python; they differ in one month only, of 2057, whose new moon falls within seconds of midnight.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

FIRST_YEAR, LAST_YEAR = 1900, 2100
#: New Year's Day of 1900.
_BEGIN = dt.date(1900, 1, 31)
#: Per year: bit n is set when its (n + 1)th month, a leap month counted, has 30 days; above bit 13 the number of the doubled month, or 0.
# fmt: off
_YEARS = (
    0x116d2, 0x00752, 0x00ea5, 0x0b64a, 0x0064b, 0x00a9b, 0x09556, 0x0056a, 0x00b59, 0x05752, 0x00752, 0x0db25,
    0x00b25, 0x00a4b, 0x0b4ab, 0x002ad, 0x0056b, 0x04b69, 0x00da9, 0x0fd92, 0x00e92, 0x00d25, 0x0ba4d, 0x00a56,
    0x002b6, 0x095b5, 0x006d4, 0x00ea9, 0x05e92, 0x00e92, 0x0cd26, 0x0052b, 0x00a57, 0x0b2b6, 0x00b5a, 0x006d4,
    0x06ec9, 0x00749, 0x0f693, 0x00a93, 0x0052b, 0x0ca5b, 0x00aad, 0x0056a, 0x09b55, 0x00ba4, 0x00b49, 0x05a93,
    0x00a95, 0x0f52d, 0x00536, 0x00aad, 0x0b5aa, 0x005b2, 0x00da5, 0x07d4a, 0x00d4a, 0x10a95, 0x00a97, 0x00556,
    0x0cab5, 0x00ad5, 0x006d2, 0x08ea5, 0x00ea5, 0x0064a, 0x06c97, 0x00a9b, 0x0f55a, 0x0056a, 0x00b69, 0x0b752,
    0x00b52, 0x00b25, 0x0964b, 0x00a4b, 0x114ab, 0x002ad, 0x0056d, 0x0cb69, 0x00da9, 0x00d92, 0x09d25, 0x00d25,
    0x15a4d, 0x00a56, 0x002b6, 0x0c5b5, 0x006d5, 0x00ea9, 0x0be92, 0x00e92, 0x00d26, 0x06a56, 0x00a57, 0x114d6,
    0x0035a, 0x006d5, 0x0b6c9, 0x00749, 0x00693, 0x0952b, 0x0052b, 0x00a5b, 0x0555a, 0x0056a, 0x0fb55, 0x00ba4,
    0x00b49, 0x0ba93, 0x00a95, 0x0052d, 0x08aad, 0x00ab5, 0x135aa, 0x005d2, 0x00da5, 0x0dd4a, 0x00d4a, 0x00c95,
    0x0952e, 0x00556, 0x00ab5, 0x055b2, 0x006d2, 0x0cea5, 0x00725, 0x0064b, 0x0ac97, 0x00cab, 0x0055a, 0x06ad6,
    0x00b69, 0x17752, 0x00b52, 0x00b25, 0x0da4b, 0x00a4b, 0x004ab, 0x0a55b, 0x005ad, 0x00b6a, 0x05b52, 0x00d92,
    0x0fd25, 0x00d25, 0x00a55, 0x0b4ad, 0x004b6, 0x005b5, 0x06daa, 0x00ec9, 0x11e92, 0x00e92, 0x00d26, 0x0ca56,
    0x00a57, 0x00556, 0x086d5, 0x00755, 0x00749, 0x06e93, 0x00693, 0x0f52b, 0x0052b, 0x00a5b, 0x0b55a, 0x0056a,
    0x00b65, 0x0974a, 0x00b4a, 0x11a95, 0x00a95, 0x0052d, 0x0caad, 0x00ab5, 0x005aa, 0x08ba5, 0x00da5, 0x00d4a,
    0x07c95, 0x00c96, 0x0f94e, 0x00556, 0x00ab5, 0x0b5b2, 0x006d2, 0x00ea5, 0x08e4a, 0x0068b, 0x10c97, 0x004ab,
    0x0055b, 0x0cad6, 0x00b6a, 0x00752, 0x09725, 0x00b45, 0x00a8b, 0x0549b, 0x004ab,
)
# fmt: on


class LunarDay(NamedTuple):
    """A day of a lunar year; ``leap``: of the second of two months with one number."""

    month: int
    day: int
    leap: bool = False


class _Month(NamedTuple):
    month: int
    leap: bool
    begin: dt.date
    days: int


def lunar_day(day: dt.date) -> LunarDay | None:
    """The lunar day of a date; None outside the years of the table."""
    months = _months()
    if not _BEGIN <= day < months[-1].begin + dt.timedelta(months[-1].days):
        return None
    found = months[bisect_right(months, day, key=lambda month: month.begin) - 1]
    return LunarDay(found.month, (day - found.begin).days + 1, found.leap)


def kept_on(day: dt.date) -> set[LunarDay]:
    """The lunar days whose yearly return is kept on a date: the day itself, and those that its year does not have.

    The 30th of a short month is kept on its last day, a day of a doubled month in a year that does not double it in the plain month.
    """
    found = lunar_day(day)
    if found is None:
        return set()
    kept = {found}
    tomorrow = lunar_day(day + dt.timedelta(1))
    if found.day == 29 and (tomorrow is None or tomorrow.day == 1):
        kept.add(found._replace(day=30))
    if not found.leap and not _is_doubled(day, found.month):
        kept |= {one._replace(leap=True) for one in kept}
    return kept


def _is_doubled(day: dt.date, month: int) -> bool:
    """Whether a month that a date lies in has a second one after it."""
    months = _months()
    place = bisect_right(months, day, key=lambda one: one.begin)
    return place < len(months) and months[place].month == month


@cache
def _months() -> list[_Month]:
    return list(_walk())


def _walk() -> Iterator[_Month]:
    begin = _BEGIN
    for bits in _YEARS:
        doubled = bits >> 13
        numbers = [(month, False) for month in range(1, 13)]
        if doubled:
            numbers.insert(doubled, (doubled, True))
        for place, (month, leap) in enumerate(numbers):
            days = 29 + (bits >> place & 1)
            yield _Month(month, leap, begin, days)
            begin += dt.timedelta(days)
