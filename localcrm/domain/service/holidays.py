"""Public holidays of China, as far as they were announced: a plain dated list, from which head office takes its calendar.

2026: Notice of the General Office of the State Council of 4 November 2025 on the arrangement of some holidays in 2026.
2027: which weekends are worked had not been announced when this was written. What is known is the law: the days of the Regulation on
Public Holidays as amended from 1 January 2025, with the lunar ones by the calendar (GB/T 33661-2017). Head office adds the rest when the
notice is out, usually in November of the year before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from localcrm.kernel.i18n import N_

NEW_YEAR, SPRING, QINGMING = N_("New Year's Day"), N_("Spring Festival"), N_("Qingming Festival")
LABOUR, DRAGON_BOAT = N_("Labour Day"), N_("Dragon Boat Festival")
MID_AUTUMN, NATIONAL = N_("Mid-Autumn Festival"), N_("National Day")


@dataclass(frozen=True, slots=True)
class _Holiday:
    """Free from one day to another, and the days at weekends that are worked for it."""

    name: str
    first: str
    last: str
    worked: tuple[str, ...] = ()


#: year → its holidays.
HOLIDAYS: Mapping[int, tuple[_Holiday, ...]] = {
    2026: (
        _Holiday(NEW_YEAR, "2026-01-01", "2026-01-03", ("2026-01-04",)),
        _Holiday(SPRING, "2026-02-15", "2026-02-23", ("2026-02-14", "2026-02-28")),
        _Holiday(QINGMING, "2026-04-04", "2026-04-06"),
        _Holiday(LABOUR, "2026-05-01", "2026-05-05", ("2026-05-09",)),
        _Holiday(DRAGON_BOAT, "2026-06-19", "2026-06-21"),
        _Holiday(MID_AUTUMN, "2026-09-25", "2026-09-27"),
        _Holiday(NATIONAL, "2026-10-01", "2026-10-07", ("2026-09-20", "2026-10-10")),
    ),
    2027: (
        _Holiday(NEW_YEAR, "2027-01-01", "2027-01-01"),
        _Holiday(SPRING, "2027-02-05", "2027-02-08"),
        _Holiday(QINGMING, "2027-04-05", "2027-04-05"),
        _Holiday(LABOUR, "2027-05-01", "2027-05-02"),
        _Holiday(DRAGON_BOAT, "2027-06-09", "2027-06-09"),
        _Holiday(MID_AUTUMN, "2027-09-15", "2027-09-15"),
        _Holiday(NATIONAL, "2027-10-01", "2027-10-03"),
    ),
}
#: Years of which only the days by law are known here, not the weekends that are worked.
BY_LAW_ALONE = frozenset({2027})


def days_of(year: int) -> Iterator[tuple[dt.date, bool, str]]:
    """Single days of a year that differ from the week: (day, whether it is worked, msgid of the holiday); none for a year that is not known."""
    for holiday in HOLIDAYS.get(year, ()):
        day, last = dt.date.fromisoformat(holiday.first), dt.date.fromisoformat(holiday.last)
        while day <= last:
            yield day, False, holiday.name
            day += dt.timedelta(days=1)
        for text in holiday.worked:
            yield dt.date.fromisoformat(text), True, holiday.name
