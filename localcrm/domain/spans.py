"""Spans of days: told from today on ("this month", "the last 7 days"; what is saved in such words is true again tomorrow), and in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType

#: Longest count of days that means anything.
MOST_DAYS = 3660
#: First day and the day after the last; None where there is none.
Bounds = tuple[date | None, date | None]


def _month(today: date, ahead: int) -> Bounds:
    months = today.year * 12 + today.month - 1 + ahead
    first, following = (date(month // 12, month % 12 + 1, 1) for month in (months, months + 1))
    return first, following


def _week(today: date, ahead: int) -> Bounds:
    monday = today - timedelta(days=today.weekday()) + timedelta(weeks=ahead)
    return monday, monday + timedelta(weeks=1)


def _days(today: date, first: int | None, after: int | None) -> Bounds:
    return tuple(None if days is None else today + timedelta(days=days) for days in (first, after))  # type: ignore[return-value]


#: What a span is called and what it comes to for (today, number of days); names with "{days}" take the number.
SPANS: Mapping[str, tuple[str, Callable[[date, int], Bounds]]] = {
    "today": (N_("today"), lambda today, _n: _days(today, 0, 1)),
    "yesterday": (N_("yesterday"), lambda today, _n: _days(today, -1, 0)),
    "tomorrow": (N_("tomorrow"), lambda today, _n: _days(today, 1, 2)),
    "last": (N_("in the last {days} days"), lambda today, days: _days(today, 1 - days, 1)),
    "next": (N_("in the next {days} days"), lambda today, days: _days(today, 0, days)),
    "before": (N_("more than {days} days ago"), lambda today, days: _days(today, None, -days)),
    "until": (N_("within {days} days or overdue"), lambda today, days: _days(today, None, days)),
    "this_week": (N_("this week"), lambda today, _n: _week(today, 0)),
    "last_week": (N_("last week"), lambda today, _n: _week(today, -1)),
    "this_month": (N_("this month"), lambda today, _n: _month(today, 0)),
    "last_month": (N_("last month"), lambda today, _n: _month(today, -1)),
    "next_month": (N_("next month"), lambda today, _n: _month(today, 1)),
    "this_year": (N_("this year"), lambda today, _n: (date(today.year, 1, 1), date(today.year + 1, 1, 1))),
}


def takes_days(span: str) -> bool:
    """Whether a span is counted in days."""
    return "{days}" in SPANS[span][0]


def bounds(span: str, days: int, today: date) -> Bounds:
    """First day of a span and the day after its last; raises InvalidInput for an unknown span or a number of days that means nothing."""
    if span not in SPANS or (takes_days(span) and not 1 <= days <= MOST_DAYS):
        raise InvalidInput("bad_span", N_("A time span cannot be understood. Write a number of days from 1 to {most}."), most=MOST_DAYS)
    return SPANS[span][1](today, days)


def day_starts(day: date) -> datetime:
    """Midnight on the clock on the wall."""
    return datetime.combine(day, time()).astimezone()


def check_span(kind: EntityType, values: Mapping[str, Any], first: str, last: str) -> None:
    """Refuse a last day before the first one; either may be open. Raises InvalidInput("end_before_start")."""
    if values[first] and values[last] and values[last] < values[first]:
        before, after = kind.fields[last].label, kind.fields[first].label
        raise InvalidInput("end_before_start", N_("“{last}” must not be before “{first}”."), last=before, first=after, field=last)
