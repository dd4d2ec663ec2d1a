"""What head office promises customers: hours per priority, working hours, the work calendar; and the answers that are given often."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.domain import policy
from localcrm.domain.service.entities import DayKind, Priority, Told, Weekday
from localcrm.domain.service.holidays import BY_LAW_ALONE, HOLIDAYS
from localcrm.domain.service.promises import DAY, HOURS, LEVEL, PRIORITIES, SETTINGS, promises, week_of
from localcrm.domain.service.rules import Promise, write_hours
from localcrm.domain.service.tickets import CANNED
from localcrm.domain.service.worktime import Span
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.store.query import ListQuery, Record, select
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import show
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import delete_with_undo, list_screen
from localcrm.ui.service import words

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


@dataclass(frozen=True, slots=True)
class _Found:
    promises: Mapping[str, Promise]
    week: Mapping[int, Sequence[Span]]
    days: Sequence[Record]
    answers: Sequence[Record]


async def service_settings(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Settings(session).build()


class _Settings:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        here = session.store.node.is_office
        self.may_level, self.may_hours, self.may_days = (here and session.may(f"{kind.key}.update") for kind in (LEVEL, HOURS, DAY))
        self.year = dt.date.today().year

    async def build(self) -> None:
        """A card each."""
        title = _("Service promises")
        with page_frame(self.session, title=title, active="service_settings"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}"><link rel="stylesheet" href="{asset("service.css")}">')
            with page_head(title):
                if not self.session.store.node.is_office:
                    ui.label(_("Head office keeps these lists.")).classes("lc-muted")
            self.cards = ui.element("div").classes("lc-col").style("max-width:1100px;width:100%;flex:none").mark("promises")
        await self.draw()
        self.session.subscribe(SETTINGS | {CANNED.key}, lambda _changes: self.draw())

    def _read(self) -> _Found:
        def rows(kind: Any, sort: str) -> list[Record]:
            seen = policy.seen(self.session.actor, kind)
            if seen is None:
                return []
            return select(connection, ListQuery(kind, sort=sort if seen.shows(sort) else "", limit=1000, restrict=seen), count=False).rows

        with self.session.store.read() as connection:
            return _Found(promises(connection), week_of(connection), rows(DAY, "day"), rows(CANNED, "title"))

    async def draw(self, _event: object = None) -> None:
        """Read and show."""
        outcome = await run_service(self.session, self._read)
        if not outcome.ok or self.cards.is_deleted:
            return
        self.cards.clear()
        with self.cards:
            self._levels(outcome.value.promises)
            self._week(outcome.value.week)
            self._calendar(outcome.value.days)
            if self.session.may("canned_answer.read"):
                self._answers(outcome.value.answers)

    # promises ----------------------------------------------------------------------------------------------------------

    def _levels(self, found: Mapping[str, Promise]) -> None:
        with ui.element("div").classes("lc-card lc-pad").style("flex:none").mark("levels"):
            ui.label(_("What is promised")).classes("lc-sub")
            ui.label(_("Working time from the report of a ticket on; while it waits for the customer no clock runs.")).classes("lc-muted")
            with ui.element("div").style("overflow-x:auto"), ui.element("table").classes("lc-table"):
                names = (_("First answer within"), _("Solution within"), _("Due soon before"))
                styles = ("lc-num", "lc-num", "lc-num lc-hide-phone")
                heads(
                    LEVEL.fields["priority"].label, *zip(names, styles, strict=True), (LEVEL.fields["superior"].label, "lc-hide-phone"), ""
                )
                for priority in PRIORITIES:
                    promise = found[priority]
                    with ui.element("tr").props(f"data-level={priority.value}"):
                        cell(gettext(priority.label), "lc-strong")
                        for minutes, style in zip((promise.answer, promise.solve, promise.warn), styles, strict=True):
                            cell(words.span(dt.timedelta(minutes=minutes)), style)
                        cell(gettext(promise.superior.label), "lc-hide-phone")
                        with ui.element("td").classes("lc-num"):
                            if self.may_level:
                                ui.button(icon="edit", on_click=partial(self._edit_level, priority, promise)).props(
                                    f'flat dense round size=sm aria-label="{_("Edit")}" data-act=edit-level'
                                )

    async def _edit_level(self, priority: Priority, promise: Promise) -> None:
        with context.client.content:
            with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("level"):
                ui.label(_("Promise: {priority}").format(priority=gettext(priority.label))).classes("lc-dialog-title")
                inputs: dict[str, Any] = {}
                with ui.element("div").classes("lc-form lc-two"):
                    for key, value in (("answer", promise.answer), ("solve", promise.solve), ("warn", promise.warn)):
                        with ui.element("div").classes("lc-field"):
                            ui.label(LEVEL.fields[key].label).classes("lc-label")
                            inputs[key] = ui.input(value=str(value)).props("outlined dense hide-bottom-space inputmode=numeric").mark(key)
                    with ui.element("div").classes("lc-field"):
                        ui.label(LEVEL.fields["superior"].label).classes("lc-label")
                        whens = {one.value: gettext(one.label) for one in Told}
                        inputs["superior"] = ui.select(whens, value=promise.superior.value).props(
                            "outlined dense options-dense hide-bottom-space"
                        )
                problem = ui.label().classes("lc-field-error").props('role="alert"')

                async def save() -> None:
                    wish = {"priority": priority.value, **{key: one.value for key, one in inputs.items()}}
                    if await self._tell(problem, "service.set_service_level", wish):
                        dialog.submit(True)

                _buttons(dialog, save)
            await answer_of(dialog)

    # working hours ---------------------------------------------------------------------------------------------------------

    def _week(self, week: Mapping[int, Sequence[Span]]) -> None:
        with ui.element("div").classes("lc-card lc-pad").style("flex:none").mark("week"):
            with ui.element("div").classes("lc-row"):
                ui.label(_("Working hours")).classes("lc-sub grow")
                if self.may_hours:
                    ui.button(_("Edit"), on_click=partial(self._edit_week, week)).props("unelevated no-caps data-act=edit-week").classes(
                        "lc-btn"
                    )
            with ui.element("div").classes("lc-week").style("align-self:start"):
                for number, day in enumerate(Weekday):
                    ui.label(gettext(day.label))
                    hours = write_hours(week.get(number, ()))
                    ui.label(hours or _("Day off")).classes("" if hours else "lc-muted")

    async def _edit_week(self, week: Mapping[int, Sequence[Span]]) -> None:
        with context.client.content:
            with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("week-dialog"):
                ui.label(_("Working hours")).classes("lc-dialog-title")
                ui.label(_("As 09:00-12:00 13:30-18:00; empty for a day on which nobody works.")).classes("lc-muted")
                boxes: dict[str, ui.input] = {}
                with ui.element("div").classes("lc-week lc-form").style("grid-template-columns:auto minmax(0,1fr)"):
                    for number, day in enumerate(Weekday):
                        ui.label(gettext(day.label))
                        box = ui.input(value=write_hours(week.get(number, ())) or "")
                        boxes[day.value] = box.props(f"outlined dense hide-bottom-space aria-label={quoted(gettext(day.label))}").mark(
                            f"hours-{day.value}"
                        )
                problem = ui.label().classes("lc-field-error").props('role="alert"')

                async def save() -> None:
                    wish = {"week": {day: str(box.value or "") for day, box in boxes.items()}}
                    if await self._tell(problem, "service.set_service_hours", wish):
                        dialog.submit(True)

                _buttons(dialog, save)
            await answer_of(dialog)

    # calendar ----------------------------------------------------------------------------------------------------------------

    def _calendar(self, days: Sequence[Record]) -> None:
        years = sorted({row["day"].year for row in days} | set(HOLIDAYS) | {self.year})
        shown = [row for row in days if row["day"].year == self.year]
        with ui.element("div").classes("lc-card lc-pad").style("flex:none").mark("calendar"):
            with ui.element("div").classes("lc-row lc-wrap-row"):
                ui.label(_("Work calendar")).classes("lc-sub")
                ui.select({year: str(year) for year in years}, value=self.year, on_change=self._choose_year).props(
                    f'outlined dense options-dense aria-label="{_("Year")}"'
                ).mark("year")
                ui.space()
                if self.may_days:
                    if self.year in HOLIDAYS:
                        label = _("Add the public holidays of {year}").format(year=self.year)
                        ui.button(label, on_click=self._add_holidays).props("unelevated no-caps data-act=add-holidays").classes("lc-btn")
                    ui.button(_("＋ Day"), on_click=self._add_day).props("unelevated no-caps data-act=add-day").classes("lc-btn")
            ui.label(_("Days off, and weekends that are worked for them, whatever the working hours say.")).classes("lc-muted")
            if self.year in BY_LAW_ALONE:
                ui.label(
                    _(
                        "Of {year} this version knows the days by law alone. Which weekends are worked was not announced yet; enter them once it is."
                    ).format(year=self.year)
                ).classes("lc-notice lc-info").mark("by-law")
            if not shown:
                ui.label(_("No days of this year are entered; the week alone counts.")).classes("lc-muted")
            with ui.element("div").classes("lc-calendar-days"):
                for row in shown:
                    self._day(row)

    def _day(self, row: Record) -> None:
        worked = row["kind"] == DayKind.WORKED
        weekday = gettext(tuple(Weekday)[row["day"].weekday()].label)
        with ui.element("div").classes("lc-calendar-day").props("data-day"):
            ui.label(f"{row['day']:%m-%d}").classes("lc-strong").tooltip(weekday)
            ui.label(str(row["name"])).classes("grow lc-cut").tooltip(weekday)
            ui.label(_("worked") if worked else _("off")).classes("lc-chip").props(f"data-tone={'warn' if worked else 'good'}")
            if self.may_days:
                ui.button(icon="edit", on_click=partial(self._edit_day, row["id"])).props(
                    f'flat dense round size=sm aria-label="{_("Edit")}"'
                )
                ui.button(icon="delete", on_click=partial(self._delete_day, row["id"])).props(
                    f'flat dense round size=sm aria-label="{_("Delete")}"'
                )

    async def _choose_year(self, event: Any) -> None:
        self.year = int(event.value)
        await self.draw()

    async def _add_holidays(self) -> None:
        await run_verb(self.session, "service.add_public_holidays", {"year": self.year}, done=_("The days are in the calendar"))

    async def _add_day(self) -> None:
        with context.client.content:
            await edit_dialog(self.session, DAY)

    async def _edit_day(self, identity: str) -> None:
        with context.client.content:
            await edit_dialog(self.session, DAY, identity=identity)

    async def _delete_day(self, identity: str) -> None:
        with context.client.content:
            await delete_with_undo(self.session, DAY, identity)

    # ready answers -----------------------------------------------------------------------------------------------------------

    def _answers(self, rows: Sequence[Record]) -> None:
        may_add, may_change, may_delete = (self.session.may(f"canned_answer.{action}") for action in ("create", "update", "delete"))
        with ui.element("div").classes("lc-card lc-pad").style("flex:none").mark("answers"):
            with ui.element("div").classes("lc-row"):
                ui.label(_("Ready answers")).classes("lc-sub grow")
                if may_add:
                    ui.button(_("＋ Ready answer"), on_click=partial(self._edit_answer, None)).props(
                        "unelevated no-caps data-act=add-answer"
                    ).classes("lc-btn")
            ui.label(_("{customer}, {contact} and {number} stand for those of the ticket.")).classes("lc-muted")
            if not rows:
                ui.label(_("None yet.")).classes("lc-muted")
                return
            with ui.element("div").style("overflow-x:auto"), ui.element("table").classes("lc-table"):
                heads(CANNED.fields["title"].label, CANNED.fields["text"].label, (CANNED.fields["type"].label, "lc-hide-phone"), "")
                for row in rows:
                    with ui.element("tr"):
                        cell(str(row.get("title") or "—"), "lc-strong")
                        cell(str(row.get("text") or "—"))
                        cell(show(CANNED.fields["type"], row.get("type")) or _("all"), "lc-hide-phone")
                        with ui.element("td").classes("lc-num").style("white-space:nowrap"):
                            if may_change:
                                ui.button(icon="edit", on_click=partial(self._edit_answer, row["id"])).props(
                                    f'flat dense round size=sm aria-label="{_("Edit")}"'
                                )
                            if may_delete:
                                ui.button(icon="delete", on_click=partial(self._delete_answer, row["id"])).props(
                                    f'flat dense round size=sm aria-label="{_("Delete")}"'
                                )

    async def _edit_answer(self, identity: str | None) -> None:
        with context.client.content:
            await edit_dialog(self.session, CANNED, identity=identity)

    async def _delete_answer(self, identity: str) -> None:
        with context.client.content:
            await delete_with_undo(self.session, CANNED, identity)

    async def _tell(self, problem: ui.label, verb: str, wish: Mapping[str, Any]) -> bool:
        """Run a verb whose refusal stands in its dialog; whether it was done."""

        def refused(error: AppError) -> bool:
            problem.set_text(error.message)
            return True

        problem.set_text("")
        return (await run_verb(self.session, verb, wish, done=_("Saved"), on_error=refused)).ok


def _buttons(dialog: ui.dialog, save: Any) -> None:
    with ui.element("div").classes("lc-dialog-buttons"):
        ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
        ui.button(_("Save"), on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")


register(
    Screen(
        "service_settings", "/settings/service", N_("Service promises"), "schedule", "service_level.read", service_settings, "settings", 42
    ),
    Screen(
        "canned_answer",
        "/records/canned_answer",
        N_("Ready answers"),
        "quickreply",
        "canned_answer.read",
        list_screen("canned_answer", "service_settings"),
        None,
        lists="canned_answer",
    ),
)
