"""Days and times as people type them: 2026-11-23 · 11-23 · 1123 · +3 (days from today), each with 15:00 behind where a time belongs."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.kernel.i18n import gettext as _
from localcrm.ui.kit.props import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = re.compile(r"(?:(\d{4})[-/.]?)?(\d{1,2})[-/.](\d{1,2})|(?:(\d{4}))?(\d{2})(\d{2})")
#: Time of a day that was typed without one.
MORNING = time(9)


def parse_day(text: str, today: date) -> date | None:
    """The day that was typed; None when it is none."""
    text = text.strip()
    if re.fullmatch(r"[+-]\d{1,4}", text):
        return today + timedelta(days=int(text))
    found = _DAY.fullmatch(text)
    if found is None:
        return None
    year, month, day = found.group(1) or found.group(4), found.group(2) or found.group(5), found.group(3) or found.group(6)
    try:
        return date(int(year or today.year), int(month), int(day))
    except ValueError:
        return None


def parse_moment(text: str, now: datetime) -> datetime | None:
    """The moment that was typed, on the clock on the wall; None when it is none."""
    day_text, _space, time_text = text.strip().replace("T", " ").partition(" ")
    day = parse_day(day_text, now.date())
    if day is None:
        return None
    try:
        at = time.fromisoformat(time_text.strip().zfill(5)) if time_text.strip() else MORNING
    except ValueError:
        return None
    return datetime.combine(day, at).astimezone()


def moment_input(label: str, *, with_time: bool, on_change: Callable[..., Any]) -> ui.input:
    """A text field with a calendar behind its icon."""
    field = ui.input(on_change=on_change, placeholder=_("e.g. {example}").format(example="2026-01-31 15:00" if with_time else "2026-01-31"))
    field.props(f"outlined dense hide-bottom-space autocomplete=off aria-label={quoted(label)}")
    with field.add_slot("append"):
        icon = ui.icon("event").props("size=16px").classes("cursor-pointer")
    with field, ui.menu().props("no-parent-event no-focus") as calendar:
        days = ui.date().props("minimal flat")

    def chosen(event: Any) -> None:
        old = (field.value or "").partition(" ")[2]
        if event.value:
            field.set_value(f"{event.value} {old or MORNING.strftime('%H:%M')}" if with_time else event.value)
            calendar.close()

    days.on_value_change(chosen)
    icon.on("click", partial(calendar.open))
    return field
