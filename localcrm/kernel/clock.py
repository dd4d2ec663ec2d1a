"""Hybrid logical clock: orders changes made apart, survives wrong wall clocks, never goes back.

A stamp is a 64-bit integer: 48 bits of Unix milliseconds, 16 bits of counter (Kulkarni et al., "Logical Physical
Clocks", 2014). It only orders; whether two changes were concurrent is told by the ``prev`` links of the change log.

Skew policy: business is never blocked. A wall clock before the build date, or more than 366 days ahead of the last
stamp, is ignored and flagged; the clock then just ticks. Stamps from the future are lowered by head office when it
admits them (``sync.admit``), never refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

#: No node can have written anything before this program existed.
BUILD_DATE_MS = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)
MAX_JUMP_MS = 366 * 24 * 3600 * 1000
#: Head office re-stamps what is further ahead of its own wall clock than this.
ADMISSION_TOLERANCE_MS = 10 * 60 * 1000
#: The widest step of a clock that ticks: a sixteenth of a millisecond.
MAX_STEP = 1 << 12


class WallClock(Protocol):
    """Where the time of day comes from; tests put their own in."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Tick:
    """A new stamp, and whether the wall clock had to be ignored to make it."""

    stamp: int
    suspect: bool


def next_stamp(last: int, wall_ms: int, step: int = 1) -> Tick:
    """The stamp after ``last`` at wall time ``wall_ms``; where the wall clock does not decide, ``step`` (at most MAX_STEP) after it."""
    last_ms = last >> 16
    suspect = wall_ms < BUILD_DATE_MS or (last_ms >= BUILD_DATE_MS and wall_ms - last_ms > MAX_JUMP_MS)
    if suspect:
        return Tick(max(last, BUILD_DATE_MS << 16) + step, suspect=True)
    return Tick(max(last + step, wall_ms << 16), suspect=False)


def is_from_future(stamp: int, wall_ms: int) -> bool:
    """Whether head office must re-stamp a change that carries this stamp."""
    return (stamp >> 16) > wall_ms + ADMISSION_TOLERANCE_MS


def stamp_time(stamp: int) -> datetime:
    """The moment a stamp stands for, in UTC."""
    return datetime.fromtimestamp((stamp >> 16) / 1000, tz=UTC)


def to_iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and a Z, the form of every time in JSON and in the data file."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_utc() -> datetime:
    """The present moment in UTC, to the millisecond."""
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, tz=UTC)


def moment(clock: WallClock) -> datetime:
    """What a wall clock shows, in UTC."""
    return datetime.fromtimestamp(clock.now_ms() / 1000, tz=UTC)
