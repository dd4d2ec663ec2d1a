"""Pure rules of opportunities: what they are worth, how long they have been where they are, how many come through, when a visit is due."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from localcrm.domain.crm.entities import DealState, Interval
from localcrm.kernel.money import MONEY_SCALE, round_to
from localcrm.kernel.schema import LAST_YEAR

#: A checklist has no more items; longer texts are no lists.
MOST_ITEMS = 50


def chance(state: str, own: int | None, of_stage: int | None) -> int:
    """How likely a deal is, in percent: what came of it, else what was said of it alone, else what its stage says."""
    if state in {DealState.WON, DealState.CLOSED}:
        return 100
    if state == DealState.LOST:
        return 0
    return own if own is not None else of_stage or 0


def weighted(amount: Decimal, percent: int) -> Decimal:
    """What of an amount may be counted on."""
    return round_to(amount * percent / 100, MONEY_SCALE)


def days_since(since: datetime | None, now: datetime) -> int:
    """Whole days that have passed; 0 for what is yet to come, as a wrong clock may say."""
    return max(0, (now - since).days) if since else 0


def is_stuck(days: int, limit: int) -> bool:
    """Whether it has been in its stage for too long; a limit of 0 means never."""
    return 0 < limit <= days


def checklist(text: str | None) -> list[str]:
    """Items of a stage's checklist: its lines, each once, cut to what a tick can name."""
    lines = [line.strip()[:200].strip() for line in (text or "").splitlines()]
    return list(dict.fromkeys(line for line in lines if line))[:MOST_ITEMS]


# from changes of stage ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a deal was in a stage; ``until`` None: it is there now."""

    stage: str | None
    since: datetime
    until: datetime | None
    days: int


def stays(changes: Sequence[tuple[datetime, str | None]], now: datetime) -> list[Stay]:
    """Stages one after the other, from (when, to which stage) in any order; moves to where it was already are no new stay."""
    steps: list[tuple[datetime, str | None]] = []
    for at, stage in sorted(changes, key=lambda change: change[0]):
        if not steps or steps[-1][1] != stage:
            steps.append((at, stage))
    ends = [*(at for at, _stage in steps[1:]), None][: len(steps)]
    return [Stay(stage, at, end, days_since(at, end or now)) for (at, stage), end in zip(steps, ends, strict=True)]


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """How many deals came at least as far as a stage: of all, and of those that came to the stage before it, in whole percent."""

    stage: str
    count: int
    of_all: int
    of_previous: int


def funnel(order: Sequence[str], furthest: Mapping[str, int]) -> list[FunnelStep]:
    """The stages in their order, from how many deals came no further than each."""
    counts = [sum(furthest.get(stage, 0) for stage in order[place:]) for place in range(len(order))]
    before = [counts[0], *counts] if counts else []
    return [
        FunnelStep(stage, count, _share(count, counts[0]), _share(count, previous))
        for stage, count, previous in zip(order, counts, before, strict=False)
    ]


def _share(part: int, whole: int) -> int:
    return (200 * part + whole) // (2 * whole) if whole else 0


# visits -----------------------------------------------------------------------------------------------------------------


def visit(starts_on: date, every: int, unit: str, turn: int) -> date:
    """The day of a visit, the first being turn 0. Months are counted from the first: the 31st stays the last day of the month."""
    if unit in {Interval.DAY, Interval.WEEK}:
        return starts_on + timedelta(days=every * turn * (7 if unit == Interval.WEEK else 1))
    months = starts_on.month - 1 + every * turn * (12 if unit == Interval.YEAR else 1)
    year, month = starts_on.year + months // 12, months % 12 + 1
    return date(year, month, min(starts_on.day, monthrange(year, month)[1]))


def visit_after(starts_on: date, every: int, unit: str, day: date) -> date | None:
    """The first visit later than a day; None where nobody alive will make it."""
    turn = 0
    while (found := visit(starts_on, every, unit, turn)) <= day:
        turn += 1
    return found if found.year <= LAST_YEAR else None
