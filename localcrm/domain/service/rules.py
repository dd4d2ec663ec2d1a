"""Pure rules of service: which way a ticket can go, when its clock stands still, who bears the parts."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localcrm.domain.service.entities import EventKind, Priority, TicketState, Told
from localcrm.domain.service.worktime import Pause, Span, WorkCalendar, deadline, merged_spans, worked
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import MONEY_SCALE, round_to

#: States in which nobody can be late.
STANDING = frozenset({TicketState.WAITING, TicketState.CLOSED, TicketState.MERGED})
#: States of tickets that somebody has to do something about.
RUNNING = (TicketState.OPEN, TicketState.WORKING)
#: States of tickets that are not done with.
UNDONE = (*RUNNING, TicketState.WAITING)
#: What counts as a first answer: whoever waits for the customer has asked him something.
_ANSWERS = frozenset({EventKind.ANSWER, EventKind.VISIT, EventKind.WAITING, EventKind.CLOSED})
_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*[-~]\s*(\d{1,2}):(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised for a priority, in working minutes; ``superior``: when the superior hears of it."""

    answer: int
    solve: int
    warn: int
    superior: Told


#: What holds while head office has set nothing.
USUAL: Mapping[str, Promise] = {
    Priority.URGENT: Promise(60, 240, 30, Told.SOON),
    Priority.HIGH: Promise(120, 480, 60, Told.SOON),
    Priority.USUAL: Promise(240, 1440, 120, Told.LATE),
    Priority.LOW: Promise(480, 2400, 240, Told.NEVER),
}
_OFFICE: tuple[Span, ...] = ((9 * 60, 12 * 60), (13 * 60 + 30, 18 * 60))
USUAL_WEEK: Mapping[int, tuple[Span, ...]] = dict.fromkeys(range(5), _OFFICE)


def read_hours(text: str | None) -> tuple[Span, ...]:
    """Minutes of the day of "09:00-12:00 13:30-18:00", however wide the signs are; raises InvalidInput("bad_hours")."""
    plain = unicodedata.normalize("NFKC", text or "")
    spans = []
    for found in _SPAN.finditer(plain):
        h1, m1, h2, m2 = map(int, found.groups())
        if m1 < 60 and m2 < 60 and h1 * 60 + m1 < h2 * 60 + m2 <= 1440:
            spans.append((h1 * 60 + m1, h2 * 60 + m2))
            plain = plain.replace(found.group(), " ", 1)
    if plain.strip(" ,;"):
        raise InvalidInput(
            "bad_hours",
            N_("“{text}” are no working hours. Write them like 09:00-12:00 13:30-18:00."),
            text=plain.strip()[:60],
            field="hours",
        )
    return merged_spans(spans)


def write_hours(spans: Iterable[Span]) -> str | None:
    """The same as text; None for none."""
    return " ".join(f"{b // 60:02}:{b % 60:02}-{e // 60:02}:{e % 60:02}" for b, e in spans) or None


def pauses(events: Sequence[Mapping[str, Any]], state: str) -> list[Pause]:
    """When the clock of a ticket stood still, of its events (``at``, ``state``) in order of time.

    ``state`` is what the ticket says of itself. Where branches changed it apart and a person settled that, it need not be what the last
    event says; the ticket's word counts for the end.
    """
    found: list[Pause] = []
    since: dt.datetime | None = None
    for event in events:
        stands = event["state"] in STANDING
        if stands and since is None:
            since = event["at"]
        elif not stands and since is not None:
            found.append((since, event["at"]))
            since = None
    if since is None and state in STANDING and events:
        since = events[-1]["at"]
    return [*found, (since, None)] if since is not None and state in STANDING else found


@dataclass(frozen=True, slots=True)
class Clock:
    """One promise of a ticket. due: when it runs out, None while it stands still · left: working time left, below zero when it is late ·
    kept: whether it was kept in the end, None while it is open · stands: the customer's turn.
    """

    due: dt.datetime | None
    left: dt.timedelta
    kept: bool | None = None
    stands: bool = False

    def colour(self, warn: int) -> str:
        """Colour of the promise: "bad" when late, "warn" when due soon, "good" otherwise; "" where nothing is to be done."""
        if self.kept is not None:
            return "" if self.kept else "bad"
        if self.left < dt.timedelta():
            return "bad"
        if self.stands:
            return ""
        return "warn" if self.left <= dt.timedelta(minutes=warn) else "good"


def clock(
    calendar: WorkCalendar, opened: dt.datetime, minutes: int, stood: Sequence[Pause], now: dt.datetime, done: dt.datetime | None
) -> Clock:
    """How a promise of so many working minutes stands; ``done``: when it was fulfilled."""
    allowance = dt.timedelta(minutes=minutes)
    left = allowance - worked(calendar, opened, done or now, stood)
    stands = done is None and bool(stood) and stood[-1][1] is None
    return Clock(
        due=deadline(calendar, opened, allowance, stood), left=left, kept=None if done is None else left >= dt.timedelta(), stands=stands
    )


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both promises of a ticket, and how it was promised."""

    answer: Clock
    solve: Clock
    promise: Promise

    @property
    def next(self) -> Clock:
        """The one that has to be seen to next."""
        return self.answer if self.answer.kept is None and self.answer.left <= self.solve.left else self.solve

    @property
    def colour(self) -> str:
        """The colour of that one."""
        return self.next.colour(self.promise.warn)


def clocks(
    calendar: WorkCalendar, promise: Promise, ticket: Mapping[str, Any], events: Sequence[Mapping[str, Any]], now: dt.datetime
) -> Clocks:
    """How a ticket (``opened_at``, ``state``) stands, of its events (``at``, ``kind``, ``state``) in order of time.

    What was answered counts however the ticket went on; a ticket that was closed and taken up again runs on from where it stood.
    """
    opened, state = ticket["opened_at"], ticket["state"]
    stood = pauses(events, state)
    answered = next((event["at"] for event in events if event["kind"] in _ANSWERS), None)
    ended = stood[-1][0] if state in {TicketState.CLOSED, TicketState.MERGED} and stood else None
    return Clocks(
        clock(calendar, opened, promise.answer, stood, now, answered or ended),
        clock(calendar, opened, promise.solve, stood, now, ended),
        promise,
    )


def is_covered(warranty_until: dt.date | None, day: dt.date) -> bool:
    """Whether we answer for a product on a day; a warranty nobody knows of is none."""
    return warranty_until is not None and warranty_until >= day


def amount_of(quantity: Decimal, price: Decimal | None) -> Decimal:
    """What so many pieces come to."""
    return round_to(quantity * (price or Decimal(0)), MONEY_SCALE)


def fill_answer(text: str, values: Mapping[str, str]) -> str:
    """A ready answer with what stands for the ticket's own filled in; braces that mean nothing stay."""
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    return text
