"""Pure rules of telephone calls: which lines are whose, who called whom, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from localcrm.domain.calls.entities import CallState, Direction
from localcrm.kernel.phones import SHORTEST, read_phone

#: A call that nobody says anything of any more: it rang for so long, or was talked for so long.
LONGEST_RINGING, LONGEST_TALK = timedelta(minutes=3), timedelta(hours=12)
_BETWEEN_LINES = re.compile(r"[\s,;|\u3001\uff0c\uff1b]+")
#: What telephone systems say instead of a number that is withheld.
_WITHHELD = frozenset({"anonymous", "unknown", "private", "withheld", "restricted", "unavailable", "o", "p"})


@dataclass(frozen=True, slots=True)
class Heard:
    """Of a call: who called, whose number that is seen from here, and which of our lines it was."""

    direction: Direction
    number: str | None
    line: str | None


def plain_line(text: str) -> str:
    """An extension or number of ours as lines are compared: digits as they are dialled, else the name of the line."""
    bare = text.strip()
    phone = read_phone(bare)
    if phone is not None and len(phone.digits) >= SHORTEST:
        return phone.dialled
    return bare.casefold()[:60]


def plain_lines(text: str | None) -> list[str]:
    """Every extension of a field; several have blanks or commas between them."""
    return list(dict.fromkeys(plain_line(part) for part in _BETWEEN_LINES.split(text or "") if part.strip()))


def caller_number(text: str) -> str | None:
    """The number a caller shows, as it is kept; None where it is withheld. What is no number is kept as it was told, short."""
    bare = text.strip()
    if not bare or bare.casefold() in _WITHHELD:
        return None
    phone = read_phone(bare)
    return phone.dialled if phone is not None else bare[:60]


def heard(caller: str, called: str, own: Collection[str], *, direction: Direction | None = None) -> Heard | None:
    """What a call between two numbers is to us, ``own`` being our lines (``plain_line``); None where both are ours.

    A source that knows the direction says it; one of our own numbers is nobody's call to us.
    """
    from_us, to_us = plain_line(caller) in own, plain_line(called) in own
    if from_us and (to_us or direction is Direction.IN):
        return None
    is_out = direction is Direction.OUT or (direction is None and from_us)
    line, other = (caller, called) if is_out else (called, caller)
    return Heard(Direction.OUT if is_out else Direction.IN, caller_number(other), plain_line(line)[:60] or None)


def seconds_between(answered: datetime | None, ended: datetime) -> int:
    """How long was talked, in whole seconds; a clock that was set back makes nothing less than none."""
    return max(0, round((ended - answered).total_seconds())) if answered else 0


def ended_as(state: str, direction: str, *, answered: bool) -> CallState:
    """What a call comes to when it ends. Nobody misses a call of his own."""
    if answered or state == CallState.TALKING or direction == Direction.OUT:
        return CallState.ANSWERED
    return CallState.MISSED
