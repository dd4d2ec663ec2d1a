"""What head office promises: service levels, working hours, the work calendar. Where it has set nothing, what is usual holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.service.entities import CalendarDay, DayKind, Priority, ServiceLevel, Told, WorkHours
from localcrm.domain.service.holidays import HOLIDAYS, days_of
from localcrm.domain.service.rules import USUAL, USUAL_WEEK, Promise, read_hours, write_hours
from localcrm.domain.service.worktime import Span, WorkCalendar
from localcrm.domain.verbs import Verb
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

LEVEL, HOURS, DAY = ServiceLevel.entity_type, WorkHours.entity_type, CalendarDay.entity_type
#: Kinds of records that clocks follow from, beside the tickets'.
SETTINGS = frozenset({LEVEL.key, HOURS.key, DAY.key})


def promises(connection: Connection) -> dict[str, Promise]:
    """What is promised, by priority; should a priority stand there twice, the older row holds."""
    rows = connection.all("SELECT priority, answer, solve, warn, superior FROM service_level WHERE deleted = 0 ORDER BY id DESC")
    return {**USUAL, **{priority: Promise(answer, solve, warn, Told(superior)) for priority, answer, solve, warn, superior in rows}}


def week_of(connection: Connection) -> Mapping[int, Sequence[Span]]:
    """Working hours by weekday, Monday being 0."""
    rows = connection.all("SELECT weekday, hours FROM work_hours WHERE deleted = 0 ORDER BY id DESC")
    return {int(weekday) - 1: _spans(int(weekday) - 1, hours) for weekday, hours in rows} if rows else USUAL_WEEK


def _spans(weekday: int, hours: str | None) -> Sequence[Span]:
    """Kept hours; what another version wrote and this one cannot read stops no clock: the usual hours hold."""
    try:
        return read_hours(hours)
    except InvalidInput:
        return USUAL_WEEK.get(weekday, ())


def work_calendar(connection: Connection) -> WorkCalendar:
    """The calendar by which clocks run here."""
    rows = connection.all("SELECT day, kind FROM calendar_day WHERE deleted = 0 ORDER BY id DESC")
    return WorkCalendar(week_of(connection), {dt.date.fromisoformat(day): kind == DayKind.WORKED for day, kind in rows})


def set_service_hours(uow: UnitOfWork, actor: Actor, *, week: dict[str, str]) -> dict[str, Any]:
    """Set the working hours of weekdays ("1" is Monday), as "09:00-12:00 13:30-18:00", "" for none; returns {"week": all of them}.

    The first time also those that are not named are written down as they held.
    """
    policy.require(actor, "work_hours.update")
    records.require_here(uow, HOURS)
    there = {row["weekday"]: row for row in uow.where(HOURS)}
    held = {str(day + 1): write_hours(spans) for day, spans in week_of(uow.connection).items()}
    for weekday in map(str, range(1, 8)):
        hours = write_hours(read_hours(week[weekday])) if weekday in week else held.get(weekday)
        if weekday not in there:
            uow.insert(HOURS, HOURS.validate({"weekday": weekday, "hours": hours}))
        elif there[weekday]["hours"] != hours:
            uow.update(HOURS, there[weekday]["id"], {"hours": hours})
    if unknown := week.keys() - set(map(str, range(1, 8))):
        raise InvalidInput("bad_weekday", N_("“{day}” is no weekday: 1 is Monday, 7 is Sunday."), day=min(unknown)[:20], field="week")
    return {"week": {row["weekday"]: row["hours"] or "" for row in uow.where(HOURS)}}


def set_service_level(uow: UnitOfWork, actor: Actor, *, priority: str, answer: int, solve: int, warn: int, superior: str) -> dict[str, Any]:
    """Set what is promised for tickets of a priority, in minutes of working time; returns the level."""
    policy.require(actor, "service_level.update")
    records.require_here(uow, LEVEL)
    values = LEVEL.validate({"priority": priority, "answer": answer, "solve": solve, "warn": warn, "superior": superior})
    _check_level(values)
    there = uow.where(LEVEL, priority=values["priority"])
    if there:
        uow.update(LEVEL, there[0]["id"], values)
    else:
        uow.insert(LEVEL, values)
    return {**values}


def add_public_holidays(uow: UnitOfWork, actor: Actor, *, year: int) -> dict[str, int]:
    """Put the public holidays of a year, as far as they are known here, into the work calendar; days that stand there stay. Returns {"added"}."""
    policy.require(actor, "calendar_day.create")
    records.require_here(uow, DAY)
    if year not in HOLIDAYS:
        raise InvalidInput(
            "holidays_unknown",
            N_("The public holidays of {year} are not known to this version. Enter them day by day."),
            year=year,
            field="year",
        )
    there = {row["day"] for row in uow.where(DAY)}
    found = [(day, worked, name) for day, worked, name in days_of(year) if day not in there]
    for day, worked, name in found:
        uow.insert(DAY, DAY.validate({"day": day, "kind": DayKind.WORKED if worked else DayKind.FREE, "name": gettext(name)}))
    return {"added": len(found)}


def prepare_hours(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """Hours are kept in one spelling."""
    return {**values, "hours": write_hours(read_hours(str(values["hours"])))} if values.get("hours") else values


def check_hours(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A weekday stands once."""
    _check_once(uow, new, old, HOURS, "weekday")


def check_level(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A priority stands once, and nothing is solved before it is answered."""
    _check_once(uow, new, old, LEVEL, "priority")
    _check_level(new)


def check_day(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A day stands once."""
    _check_once(uow, new, old, DAY, "day")


def _check_level(values: Mapping[str, Any]) -> None:
    if values["solve"] < values["answer"]:
        raise InvalidInput("solved_too_soon", N_("The time for the solution must be at least that for the first answer."), field="solve")


def _check_once(uow: UnitOfWork, new: Mapping[str, Any], old: Record | None, entity: EntityType, key: str) -> None:
    field = entity.fields[key]
    if any(other["id"] != (old or {}).get("id") for other in uow.where(entity, **{key: new[key]})):
        name = gettext(field.choices[str(new[key])]) if field.choices else str(new[key])
        raise InvalidInput("in_list_already", N_("“{name}” is in the list already."), name=name, field=key)


#: Priorities in their order.
PRIORITIES = tuple(Priority)
BEHAVIOURS = {
    "service_level": Behaviour(check=check_level, distinct=("priority",)),
    "work_hours": Behaviour(prepare=prepare_hours, check=check_hours, distinct=("weekday",)),
    "calendar_day": Behaviour(check=check_day, distinct=("day",)),
}
VERBS = (
    Verb(set_service_hours, N_("Set the working hours"), "work_hours.update"),
    Verb(set_service_level, N_("Set what is promised"), "service_level.update"),
    Verb(add_public_holidays, N_("Add the public holidays of a year"), "calendar_day.create"),
)
