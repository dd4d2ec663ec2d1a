"""What the user is reminded of: what is due, and what comes up in the days ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.reminders import Reminding, reminders, sources
from localcrm.kernel.clock import moment
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.reminders import HEADS, ICONS, answers, bell_of, remind_dialog, when
from localcrm.ui.kit.values import exact
from localcrm.ui.operations import run_service
from localcrm.ui.registry import Badge, Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Days ahead that are shown.
DAYS = 7


async def my_reminders(session: Session, _parameters: Mapping[str, str]) -> None:
    """Build the screen."""
    shown: list[object] = []

    async def draw(_changes: object = None) -> None:
        outcome = await run_service(session, lambda: _read(session, DAYS))
        if not outcome.ok:
            return
        due, ahead = outcome.value
        told = [[(one, when(one)) for one in found] for found in (due, ahead)]
        if told == shown:  # a button that is about to be clicked stays
            return
        shown[:] = told
        content.clear()
        with content:
            _list(session, _("Due"), due, _("Nothing is due."), mark="due")
            _list(session, _("In the next {days} days").format(days=DAYS), ahead, _("Nothing comes up."), mark="ahead")

    async def new() -> None:
        await remind_dialog(session)

    with page_frame(session, title=_("Reminders"), active="reminders"):
        with page_head(_("Reminders")):
            ui.space()
            if not session.looking_as:
                with ui.button(on_click=new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
                    ui.label(_("＋ New reminder"))
                    ui.label(own_key("n")).classes("lc-kbd")
        content = ui.element("div").classes("lc-col lc-scroll lc-fill")
        session.program.subscribe(sources(), draw, held=lambda: session.locked)
        ui.timer(30, draw)  # what falls due moves up by itself
    await draw()


def _read(session: Session, days: int) -> tuple[list[Reminding], list[Reminding]]:
    now = moment(session.store.clock)
    with session.store.read() as connection:
        found = reminders(connection, session.store.node, session.actor, now=now, ahead=timedelta(days=days))
    return [one for one in found if one.due <= now][::-1], [one for one in found if one.due > now]


def _list(session: Session, head: str, found: Sequence[Reminding], empty: str, *, mark: str) -> None:
    with ui.element("div").classes("lc-card lc-reminder-list").props(f"data-list={mark}"):
        with ui.element("div").classes("lc-row lc-reminder-head"):
            ui.label(head).classes("lc-sub grow")
            if found:
                ui.label(str(len(found))).classes("lc-count")
        if not found:
            ui.label(empty).classes("lc-empty lc-muted")
        for one in found:
            with ui.element("div").classes("lc-reminder-line").props(f"data-kind={one.kind}"):
                ui.icon(ICONS[one.kind]).classes("lc-reminder-icon")
                with ui.element("div").classes("lc-reminder-text grow"):
                    ui.label(f"{_(HEADS[one.kind])} · {when(one)}").classes("lc-small-text lc-muted").tooltip(exact(one.at) or "")
                    ui.label(one.title or _("(not to be seen)")).classes("lc-strong")
                    if one.text:
                        ui.label(one.text).classes("lc-muted")
                if not session.looking_as:
                    answers(session, one)


def _count(session: Session) -> int:
    """What the bell of the session knows; it tells the page itself when that changes: time alone changes it, too."""
    return len(bell_of(session).due)


register(
    Screen(
        "reminders",
        "/reminders",
        N_("Reminders"),
        "notifications",
        None,
        my_reminders,
        "customers",
        50,
        badge=Badge(_count, frozenset(), N_("{count} reminders are due")),
    )
)
