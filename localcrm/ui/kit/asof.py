"""A record as it stood at a moment: what it said, what says something else now, and the way back to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.domain.admin.asof import Stood, read_as_of
from localcrm.domain.records import read_history
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.history import word
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.moments import moment_input, parse_moment
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import NUMBERS
from localcrm.ui.operations import run_service, run_verb

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.ui.sessions import Session

#: Columns of a line, beside what has become of it since.
MOST_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class _Field:
    key: str
    label: str
    then: str
    now: str
    changed: bool
    restorable: bool


@dataclass(frozen=True, slots=True)
class _Lines:
    label: str
    heads: list[tuple[str, bool]]  # with whether it is a number
    rows: list[tuple[list[str], str]]  # with what has become of the line since


@dataclass(frozen=True, slots=True)
class _Page:
    """All of it in words; ``state`` "" where the record was in use."""

    title: str
    state: str
    fields: list[_Field]
    lines: list[_Lines]
    may_restore: bool
    is_there: bool


async def as_of_dialog(session: Session, entity: EntityType, identity: str) -> bool:
    """Look at a record as it stood; returns whether anything was put back."""
    outcome = await run_service(session, lambda: _moments(session, entity, identity))
    if not outcome.ok:
        return False
    with context.client.content:  # what opened it may be drawn anew meanwhile
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-wide"):
            look = _Look(session, entity, identity, outcome.value, dialog.submit)
            await look.show()
        return bool(await answer_of(dialog))


class _Look:
    """The open dialog."""

    def __init__(
        self, session: Session, entity: EntityType, identity: str, moments: Sequence[datetime], leave: Callable[[Any], None]
    ) -> None:
        self.session, self.entity, self.identity, self.moments, self.leave = session, entity, identity, moments, leave
        self.at = moments[-2] if len(moments) > 1 else (moments or [datetime.now(UTC)])[-1]
        self.title = ui.label().classes("lc-dialog-title lc-cut")
        with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
            self.back = self._step_button("chevron_left", _("The change before"), -1)
            self.field = moment_input(_("Moment"), with_time=True, on_change=self._typed).props("debounce=400 data-act=as-of-moment")
            self.forward = self._step_button("chevron_right", _("The change after"), 1)
            self.state = ui.label().classes("lc-chip")
        self.problem = ui.label(_("This is no moment: write 2026-01-31 15:00.")).classes("lc-field-error").props('role="alert"')
        self.body = ui.element("div").classes("lc-scroll")
        with ui.element("div").classes("lc-dialog-buttons"):
            self.whole = ui.button(_("Put all of this back"), on_click=self._restore_all).props("flat no-caps").classes("lc-btn")
            self.whole.props("data-act=restore-all")
            ui.space()
            ui.button(_("Close"), on_click=lambda: leave(False)).props("unelevated no-caps").classes("lc-pri")

    def _step_button(self, icon: str, label: str, way: int) -> ui.button:
        button = ui.button(icon=icon, on_click=partial(self._step, way)).props(
            f"flat dense round aria-label={quoted(label)} data-act=as-of-{icon}"
        )
        button.tooltip(label)
        return button

    async def _step(self, way: int) -> None:
        there = [one for one in self.moments if (one < self.at if way < 0 else one > self.at)]
        if there:
            self.at = there[-1] if way < 0 else there[0]
            await self.show()

    async def _typed(self, event: Any) -> None:
        text = str(event.value or "").strip()
        if text == _text(self.at):
            return
        moment = parse_moment(text, datetime.now().astimezone())
        self.problem.set_visibility(moment is None)
        if moment is not None:
            self.at = moment.astimezone(UTC)
            await self.show(typed=True)

    async def show(self, *, typed: bool = False) -> None:
        """Read and draw the record as of the moment that is chosen."""
        outcome = await run_service(self.session, lambda: _page(self.session, self.entity, self.identity, self.at))
        if not outcome.ok or self.body.is_deleted:
            return
        page: _Page = outcome.value
        self.problem.set_visibility(False)
        self.title.set_text(_("“{title}” as it was").format(title=page.title))
        if not typed:
            self.field.set_value(_text(self.at))
        self.back.set_enabled(any(one < self.at for one in self.moments))
        self.forward.set_enabled(any(one > self.at for one in self.moments))
        self.state.set_text(page.state)
        self.state.set_visibility(bool(page.state))
        self.whole.set_visibility(page.may_restore)
        self.body.clear()
        with self.body:
            if page.is_there:
                self._draw(page)
            else:
                ui.label(_("At that moment the record was not there yet.")).classes("lc-empty")

    def _draw(self, page: _Page) -> None:
        with ui.element("table").classes("lc-table"):
            heads(_("Field"), _("Then"), _("Now"))
            for one in page.fields:
                with ui.element("tr").props(f"data-field={one.key}"):
                    cell(one.label, "lc-label lc-keep-all")
                    with ui.element("td"):
                        ui.label(one.then).classes("lc-chip lc-acc" if one.changed else "")
                        if one.restorable:
                            button = ui.button(icon="undo", on_click=partial(self._restore, one)).props("flat dense round size=sm")
                            button.props(f'aria-label="{_("Put it back")}"').tooltip(_("Put “{value}” back").format(value=one.then))
                    cell(one.now if one.changed else "", "lc-muted")
        for group in page.lines:
            ui.label(group.label).classes("lc-sub")
            with ui.element("table").classes("lc-table").props("data-lines"):
                heads(*((head, "lc-num" if number else "") for head, number in group.heads), "")
                for texts, became in group.rows:
                    with ui.element("tr"):
                        for text, (_head, number) in zip(texts, group.heads, strict=True):
                            cell(text, "lc-num" if number else "")
                        with ui.element("td"):
                            if became:
                                ui.label(became).classes("lc-chip lc-acc")

    async def _restore(self, one: _Field) -> None:
        await self._run([one.key], _("{field}: “{value}” is back").format(field=one.label, value=one.then))

    async def _restore_all(self) -> None:
        question = _("Put everything back to {moment}?").format(moment=_text(self.at))
        detail = _("Whatever was changed since is changed back, as far as you may change it. It stays in the history and can be undone.")
        if await confirm(question, detail=detail, yes=_("Put it back")):
            await self._run(None, _("It is as it was"))

    async def _run(self, fields: list[str] | None, done: str) -> None:
        wish = {"entity": self.entity.key, "id": self.identity, "moment": self.at.isoformat(), "fields": fields}
        if (await run_verb(self.session, "admin.restore_as_of", wish, done=done)).ok:
            self.leave(True)


def _text(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _moments(session: Session, entity: EntityType, identity: str) -> list[datetime]:
    """When the record changed, the oldest first."""
    with session.store.read() as connection:
        rows = read_history(connection, session.actor, entity=entity.key, id=identity)
    return sorted({datetime.fromisoformat(row.at) for row in rows})


def _page(session: Session, entity: EntityType, identity: str, moment: datetime) -> _Page:
    with session.store.read() as connection:
        found = read_as_of(connection, session.actor, entity=entity.key, id=identity, moment=moment)
        stood = found.record
        any_title = stood.now or stood.then
        title = str((any_title.values.get(entity.title_field) if any_title else "") or entity.label)
        if stood.then is None:
            return _Page(title, "", [], [], may_restore=False, is_there=False)
        state = (
            _("It was in the recycle bin")
            if stood.then.deleted
            else _("It is in the recycle bin now")
            if "deleted" in stood.changed
            else ""
        )
        lines = [_group(connection, entity_type(key), group) for key, group in found.lines.items() if group]
        return _Page(title, state, list(_fields(connection, entity, stood)), lines, found.may_restore, is_there=True)


def _fields(connection: Connection, entity: EntityType, stood: Stood) -> list[_Field]:
    """Fields that say something, then or now."""
    assert stood.then is not None
    told = []
    for field in entity.readable:
        if field.key not in stood.then.values:
            continue
        then, now = stood.then.values[field.key], stood.now.values.get(field.key) if stood.now else None
        if (then is None or then == "") and (now is None or now == ""):
            continue
        told.append(
            _Field(
                field.key,
                field.label,
                word(connection, field, then),
                word(connection, field, now),
                changed=field.key in stood.changed,
                restorable=field.key in stood.restorable,
            )
        )
    return told


def _group(connection: Connection, kind: EntityType, group: Sequence[Stood]) -> _Lines:
    seen = {key for one in group for state in (one.then, one.now) if state for key in state.values}
    columns = [field for field in kind.columns if field.key in seen and field.key != kind.order_by][:MOST_COLUMNS]
    rows = []
    for one in group:
        state = one.then or one.now
        if state is None:
            continue
        became = (
            _("added since") if one.then is None else _("removed since") if one.now is None else _("changed since") if one.changed else ""
        )
        rows.append(([word(connection, field, state.values.get(field.key)) for field in columns], became))
    return _Lines(kind.label, [(field.label, field.kind in NUMBERS) for field in columns], rows)
