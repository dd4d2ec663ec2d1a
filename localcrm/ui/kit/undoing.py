"""Undo of a whole action: first what will go back, then the deed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from nicegui import context, ui

from localcrm.domain.admin.undo import Preview, Since, Step, preview_undo
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.query import titles
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.history import word
from localcrm.ui.kit.values import near_moment
from localcrm.ui.operations import run_service, run_verb

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.ui.sessions import Session

#: Records that are told one by one; of more only the number.
MOST_TOLD = 50
#: What becomes of a record, in words.
WHAT: Mapping[str, str] = {
    "back": N_("goes back to what it was"),
    "bin": N_("goes to the recycle bin"),
    "restore": N_("comes back from the recycle bin"),
    "remove": N_("is taken out again"),
    "line": N_("comes back"),
}


@dataclass(frozen=True, slots=True)
class _Told:
    """A step in words: kind, title, what becomes of it, and its fields with what they are now and will be."""

    kind: str
    title: str
    what: str
    values: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class _Plan:
    who: str
    at: str
    steps: list[_Told]
    more: int
    refused: list[str]


async def undo_dialog(session: Session, change: int) -> bool:
    """Show what an undo takes back and do it when asked to; returns whether it was done."""
    with context.client.content:  # what opened it may be drawn anew meanwhile
        return await _ask(session, change)


async def _ask(session: Session, change: int) -> bool:
    outcome = await run_service(session, lambda: _plan(session, change))
    if not outcome.ok:
        return False
    plan: _Plan = outcome.value
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("undo"):
        ui.label(_heading(plan)).classes("lc-dialog-title")
        ui.label(_("Done by {who}, {at}.").format(who=plan.who, at=plan.at)).classes("lc-muted")
        if plan.refused:
            with ui.element("div").classes("lc-notice lc-warn").props('role="alert"'):
                ui.icon("error_outline")
                with ui.element("div").classes("grow"):
                    for reason in plan.refused:
                        ui.label(reason)
        if plan.steps:
            ui.label(_("Without that, the rest can be undone:") if plan.refused else _("What goes back:")).classes("lc-muted")
        with ui.element("div").classes("lc-scroll"):
            for step in plan.steps:
                _draw(step)
            if plan.more:
                ui.label(_("… and {count} more records").format(count=f"{plan.more:,}")).classes("lc-muted")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel") if plan.steps else _("Close"), on_click=lambda: dialog.submit(False)).props("flat no-caps").classes(
                "lc-btn"
            )
            if plan.steps:
                sure = ui.button(_("Undo the rest") if plan.refused else _("Undo"), on_click=lambda: dialog.submit(True))
                sure.props("unelevated no-caps data-commit data-act=undo-yes").classes("lc-pri")
                if not plan.refused:
                    sure.props("autofocus")
    if not await answer_of(dialog):
        return False
    wish = {"change": change} | ({"rest": True} if plan.refused else {})
    return (await run_verb(session, "admin.undo_action", wish, done=_("Taken back"))).ok


def _heading(plan: _Plan) -> str:
    if not plan.refused:
        return _("Undo this action?")
    return _("This cannot be undone as a whole") if plan.steps else _("This cannot be undone")


def _draw(step: _Told) -> None:
    text = _("{kind} {what}") if step.title == step.kind else _("{kind} “{title}” {what}")
    ui.label(text.format(kind=step.kind, title=step.title, what=step.what)).classes("lc-sub").style("margin-top: 8px")
    if not step.values:
        return
    with ui.element("table").classes("lc-table"):
        with ui.element("tr"):
            for head in (_("Field"), _("Now"), _("After the undo")):
                with ui.element("th"):
                    ui.label(head)
        for field, now, back in step.values:
            with ui.element("tr"):
                for text, style in ((field, ""), (now, "lc-muted"), (back, "")):
                    with ui.element("td"):
                        ui.label(text).classes(style)


def _plan(session: Session, change: int) -> _Plan:
    found = preview_undo(session.store, session.actor, change=change)
    with session.store.read() as connection:
        user = found.action.user_id
        who = titles(connection, entity_type("user"), [user]).get(user, "") if user else ""
        steps = [_told(connection, step) for step in found.steps[:MOST_TOLD]]
        refused = [_reason(connection, found, one) for one in found.since] or [found.refused]
    at = near_moment(datetime.fromisoformat(found.action.at))
    return _Plan(who or _("the program"), at, steps, max(0, len(found.steps) - MOST_TOLD), refused if found.refused else [])


def _reason(connection: Connection, found: Preview, one: Since) -> str:
    """What somebody changed after the action; the record is named where there are several."""
    field = entity_type(one.entity).fields[one.field]
    label = field.label if len({other.title for other in found.since}) == 1 else f"{one.title} · {field.label}"
    who = titles(connection, entity_type("user"), [one.user_id]).get(one.user_id, "") if one.user_id else ""
    text = _("{label} was changed to {value} afterwards ({who}).")
    return text.format(label=label, value=word(connection, field, one.now), who=f"{one.node} {who or _('the program')}")


def _told(connection: Connection, step: Step) -> _Told:
    kind = entity_type(step.entity)
    values = [
        (kind.fields[key].label, word(connection, kind.fields[key], now), word(connection, kind.fields[key], back))
        for key, now, back in step.values
    ]
    return _Told(kind.label, step.title, gettext(WHAT[step.what]), values)
