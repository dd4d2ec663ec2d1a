"""What people are to each other: told under the contacts of a customer, and of one person in a dialog of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.entities import Contact, Tie
from localcrm.domain.crm.ties import Told, ties_of
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import load_typed
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.operations import run_service, run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CONTACT = Contact.entity_type


def tie_rows(session: Session, told: Sequence[Told], *, named: bool, changed: Callable[[], Awaitable[None]]) -> None:
    """Relations as rows of a table; ``named``: with the person they are told of. ``changed`` draws anew what was taken away."""

    async def end(tie: str) -> None:
        if (await run_verb(session, "crm.unrelate", {"tie_id": tie}, done=_("Relation taken away"))).ok:
            await changed()

    with ui.element("table").classes("lc-table").mark("ties").props("data-act=ties"):
        for row in told:
            with ui.element("tr"):
                if named:
                    with ui.element("td"):
                        ui.label(row.name).classes("lc-strong").style("white-space:nowrap")
                with ui.element("td"):
                    ui.label(row.words).classes("lc-chip").style("width:fit-content")
                with ui.element("td"):
                    with ui.element("a").props(f'href="/customers?open={row.customer}&tab=contact"'):
                        ui.label(row.other_name)
                    ui.label(" · ".join(filter(None, [row.customer_name, row.note]))).classes("lc-muted lc-small-text")
                with ui.element("td").classes("lc-num"):
                    if session.may("contact.update"):
                        button = ui.button(icon="close", on_click=partial(end, row.id)).props(
                            f'flat dense round size=sm aria-label="{_("Take away")}" data-act=unrelate'
                        )
                        button.mark("unrelate")


async def ties_dialog(session: Session, contact: str) -> None:
    """All relations of a person, with a line to add one."""

    def read() -> tuple[str, list[Told]]:
        name = str(load_typed(session, CONTACT, contact)["name"])
        with session.store.read() as connection:
            return name, ties_of(connection, session.actor, contact=contact)

    outcome = await run_service(session, read)
    if not outcome.ok:
        return
    name, told = outcome.value
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("ties-dialog").props("data-act=ties-dialog"):
        ui.label(_("Relations of {name}").format(name=name)).classes("lc-dialog-title")
        problem = Problem()
        box = ui.element("div").classes("lc-scroll")

        def draw(rows: Sequence[Told]) -> None:
            box.clear()
            with box:
                if rows:
                    tie_rows(session, rows, named=False, changed=again)
                else:
                    ui.label(_("No relation is known yet.")).classes("lc-muted")

        async def again() -> None:
            found = await run_service(session, read)
            if found.ok and not box.is_deleted:
                draw(found.value[1])

        draw(told)
        if session.may("contact.update"):
            _adding(session, contact, problem, again)
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Close"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
    await answer_of(dialog)


def _adding(session: Session, contact: str, problem: Problem, again: Callable[[], Awaitable[None]]) -> None:
    """What another person is to this one: chosen, and added."""
    select = "outlined dense options-dense hide-bottom-space"
    with ui.element("div").classes("lc-form lc-two"):
        with ui.element("div").classes("lc-field"):
            ui.label(_("Relation")).classes("lc-label")
            kind = ui.select({tie.value: gettext(tie.label) for tie in Tie}, value=Tie.FORMER_COLLEAGUE.value)
            kind.props(f'{select} aria-label="{_("Relation")}" data-act=tie-kind').mark("tie-kind")
        with ui.element("div").classes("lc-field").props("data-field=contact"):
            ui.label(_("Other person")).classes("lc-label")
            other = picker(session, "contact", None, lambda _id: None, create=False, label=_("Other person"))
        with ui.element("div").classes("lc-field"):
            ui.label(_("Note")).classes("lc-label")
            note = ui.input().props(f'outlined dense hide-bottom-space aria-label="{_("Note")}"').mark("tie-note")

    async def add() -> None:
        problem.hide()
        if not other.value:
            problem.tell(_("Choose the other person."))
            return
        given = {"one": contact, "contact": other.value, "kind": kind.value, "note": str(note.value or "")}
        if (await run_verb(session, "crm.relate", given, on_error=problem.refuse)).ok:
            other.set_value(None)
            note.set_value("")
            await again()

    with ui.element("div").classes("lc-row"):
        ui.space()
        ui.button(_("Add"), on_click=add).props("unelevated no-caps data-act=relate").classes("lc-pri").mark("relate")
