"""One call as a whole: what became of it, whose it was, and what can be done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.calls import services
from localcrm.domain.calls.entities import Call, CallState
from localcrm.domain.records import no_such_record
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.store.query import Condition, ListQuery, select
from localcrm.ui.calls.card import SHOWN, choosing, draw_party
from localcrm.ui.calls.deeds import CallAction, Card, offered, settle
from localcrm.ui.calls.words import shown_length, shown_number
from localcrm.ui.kit.detail import facts, ref_names
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.operations import run_service

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CALL = Call.entity_type
_FACTS = ("rang_at", "direction", "state", "line", "user_id", "answered_at", "ended_at", "source", "recording", "handled")


def read_card(session: Session, identity: str) -> Card:
    """A call that the user may see, with whom it may be; raises NotFound, InvalidInput."""
    store, actor = session.store, session.actor
    with store.read() as connection:
        query = ListQuery(CALL, where=(Condition("id", "=", parse_id(identity)),), limit=1, restrict=policy.view(actor, CALL))
        found = select(connection, query, count=False).rows
        if not found:
            raise no_such_record(CALL)
        told = services.card(connection, store.node, actor, found[0])
    return Card(told["call"], tuple(told["parties"]), told["linked"])


async def call_dialog(session: Session, identity: str) -> None:
    """Show a call until it is closed; it looks again when something of it changes."""
    dialogs = ui.element("div")  # what is asked stays while the sheet is drawn anew
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("call-sheet"):
        with ui.element("div").classes("lc-row"):
            title = ui.label(CALL.label).classes("lc-dialog-title grow lc-cut")
            ui.button(icon="close", on_click=dialog.close).props(f'flat dense round size=sm aria-label="{_("Close")}"')
        box = ui.element("div").classes("lc-col").style("flex:none")

    def read() -> tuple[Card, dict[str, dict[str, str]]]:
        card = read_card(session, identity)
        return card, ref_names(session, CALL, dict(card.call))

    async def draw(_changes: Any = None) -> None:
        if box.is_deleted:
            return
        outcome = await run_service(session, read)
        if not outcome.ok or box.is_deleted:
            return
        card, names = outcome.value
        title.set_text(shown_number(card.call.get("number")))
        box.clear()
        with box:
            for party in card.parties:
                draw_party(party, choose=choosing(session, card, party, dialogs))
            length = shown_length(card.call.get("seconds"))
            shown = [CALL.fields[key] for key in _FACTS if key in card.call and card.call[key] is not None]
            facts(CALL, dict(card.call), names, shown, [(_("Length"), length)] if length else [])
            with ui.element("div").classes("lc-row lc-call-buttons"):
                for action in [*offered(session, card), *_settling(session, card)]:
                    button = ui.button(action.label, on_click=partial(_run, session, card, action, dialogs))
                    button.props(f"flat no-caps dense icon={action.icon} data-act=sheet-{action.id}")

    dialog.open()
    session.program.subscribe(SHOWN, draw, held=lambda: session.locked)
    await draw()
    await answer_of(dialog)
    dialogs.delete()


def _settling(session: Session, card: Card) -> list[CallAction]:
    if card.call["state"] != CallState.MISSED or not session.may("call.update") or session.looking_as is not None:
        return []
    msgid = N_("Let it wait again") if card.call["handled"] else N_("Called back: done")
    return [CallAction(id="settle", label_msgid=msgid, icon="task_alt", run=settle)]


async def _run(session: Session, card: Card, action: CallAction, dialogs: ui.element) -> None:
    with dialogs:
        await action.run(session, card)
