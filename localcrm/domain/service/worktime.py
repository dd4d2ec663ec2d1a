"""Working time: how much of it lies between two moments, and when so much of it will have passed. Pure.

Everything is said on the clock on the wall of a zone. Spans of a day are minutes since midnight, up to 1440. Pauses are spans of time
in which a clock stands still; the last may have no end yet.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

#: Minutes of a day: (from, until).
Span = tuple[int, int]
#: From when until when a clock stands still; None: until something happens.
Pause = tuple[dt.datetime, dt.datetime | None]
#: A calendar that has no working day in so many days has none at all.
_LOOK_AHEAD = 400
_NONE, _DAY = dt.timedelta(), dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """When work is done. week: spans by weekday (Monday is 0) · days: single days that are worked (True) or free (False) whatever the week says ·
    zone: whose clock on the wall counts; None for that of this computer.
    """

    week: Mapping[int, Sequence[Span]]
    days: Mapping[dt.date, bool] = field(default_factory=dict)
    zone: dt.tzinfo | None = None
    _pieces: dict[dt.date, list[tuple[dt.datetime, dt.datetime]]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def spans(self, day: dt.date) -> Sequence[Span]:
        """Working minutes of a day. A day that is worked although the week says free has the hours of the first working day of the week."""
        usual = self.week.get(day.weekday(), ())
        worked = self.days.get(day)
        if worked is False:
            return ()
        if worked and not usual:
            return next((spans for _weekday, spans in sorted(self.week.items()) if spans), ())
        return usual

    def moment(self, day: dt.date, minute: int) -> dt.datetime:
        """A minute of a day as a moment."""
        wall = dt.datetime.combine(day, dt.time()) + dt.timedelta(minutes=minute)
        return wall.replace(tzinfo=self.zone) if self.zone is not None else wall.astimezone()

    def pieces(self, day: dt.date) -> Sequence[tuple[dt.datetime, dt.datetime]]:
        """The working hours of a day as moments; worked out once, for many tickets ask for the same days."""
        found = self._pieces.get(day)
        if found is None:
            found = self._pieces[day] = [(self.moment(day, first), self.moment(day, until)) for first, until in self.spans(day)]
        return found

    def day_of(self, moment: dt.datetime) -> dt.date:
        """The day a moment is on."""
        return moment.astimezone(self.zone).date()


def merged_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans of a day in order, those that touch or overlap as one, empty ones left out."""
    found: list[Span] = []
    for begin, end in sorted((max(begin, 0), min(end, 1440)) for begin, end in spans):
        if begin >= end:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return tuple(found)


def worked(calendar: WorkCalendar, start: dt.datetime, end: dt.datetime, pauses: Sequence[Pause] = ()) -> dt.timedelta:
    """Working time from ``start`` to ``end`` without what lies in pauses; nothing where the end is before the start."""
    return sum((b - a for a, b in _running(calendar, start, end, pauses)), _NONE)


def deadline(calendar: WorkCalendar, start: dt.datetime, allowance: dt.timedelta, pauses: Sequence[Pause] = ()) -> dt.datetime | None:
    """When so much working time will have passed since ``start``; None while the clock stands still before that, or where nobody ever works.

    It is always a moment at which work is done: eight hours from nine to five end at five, not at nine the next day.
    """
    stands_from = pauses[-1][0] if pauses and pauses[-1][1] is None else None
    left = allowance
    for begin, stop in _running(calendar, start, stands_from, pauses):
        if stop - begin >= left:
            return begin + left
        left -= stop - begin
    return None


def _running(
    calendar: WorkCalendar, start: dt.datetime, end: dt.datetime | None, pauses: Sequence[Pause]
) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """The pieces of time in which the clock runs, in order; without an end as long as there is work."""
    for begin, stop in _working(calendar, start, end):
        yield from _without(begin, stop, pauses)


def _working(calendar: WorkCalendar, start: dt.datetime, end: dt.datetime | None) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    day, last, idle = calendar.day_of(start), None if end is None else calendar.day_of(end), 0
    while idle < _LOOK_AHEAD and (last is None or day <= last):
        pieces = calendar.pieces(day)
        idle = 0 if pieces else idle + 1
        for first, until in pieces:
            begin, stop = max(first, start), until if end is None else min(until, end)
            if begin < stop:
                yield begin, stop
        day += _DAY


def _without(begin: dt.datetime, stop: dt.datetime, pauses: Sequence[Pause]) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """A piece of time without what lies in pauses, which are in order."""
    for paused, resumed in pauses:
        if paused >= stop:
            break
        if resumed is not None and resumed <= begin:
            continue
        if paused > begin:
            yield begin, paused
        if resumed is None or resumed >= stop:
            return
        begin = max(begin, resumed)
    yield begin, stop
