"""Clocks of tickets in words: how much working time is left, and in which colour."""

from __future__ import annotations

import datetime as dt

from localcrm.domain.service.entities import TicketState
from localcrm.domain.service.rules import Clock, Clocks
from localcrm.kernel.i18n import gettext as _
from localcrm.ui.kit.values import near_moment


def span(time: dt.timedelta) -> str:
    """A length of working time, without its sign: "26 h", "2 h 15 min", "40 min"."""
    hours, minutes = divmod(abs(time) // dt.timedelta(minutes=1), 60)
    if hours >= 10 or (hours and not minutes):
        return _("{hours} h").format(hours=hours)
    return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes) if hours else _("{minutes} min").format(minutes=minutes)


def left(clock: Clock) -> str:
    """How a promise stands."""
    if clock.kept is not None:
        return _("Kept") if clock.kept else _("{span} late").format(span=span(clock.left))
    if clock.left < dt.timedelta():
        return _("{span} overdue").format(span=span(clock.left))
    return _("{span} left").format(span=span(clock.left))


def due(clock: Clock) -> str:
    """When a promise that is open runs out."""
    if clock.kept is not None:
        return ""
    return _("The clock stands still") if clock.due is None or clock.stands else _("due {moment}").format(moment=near_moment(clock.due))


def glance(clocks: Clocks | None, state: str) -> tuple[str, str]:
    """What a list or a card says of a ticket in a word or two, and its colour."""
    if clocks is None or state == TicketState.MERGED:
        return "", ""
    if state == TicketState.CLOSED:
        return (_("Solved in time"), "good") if clocks.solve.kept else (_("Solved late"), "bad")
    if state == TicketState.WAITING:
        return _("stands still"), "bad" if clocks.colour == "bad" else ""
    clock = clocks.next
    text = left(clock)
    if clock is clocks.answer and clock.left >= dt.timedelta():
        text = _("answer: {left}").format(left=text)
    return text, clocks.colour
