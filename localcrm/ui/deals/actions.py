"""Actions of a chosen opportunity, the same on the board and in the list: by right-click, in the menu, by key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.crm.entities import DealState
from localcrm.domain.crm.opportunities import OPPORTUNITY
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.store.query import Record
from localcrm.ui.deals import deeds
from localcrm.ui.deals.papers import CONTRACT, ORDER, QUOTE, Part, addable, new_paper
from localcrm.ui.deals.sheet import DealSheet, steps_of
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.menu import Action
from localcrm.ui.kit.sharing import share_dialog
from localcrm.ui.operations import run_service
from localcrm.ui.screens.records import delete_with_undo, history_dialog, who_sees_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


def deal_actions(session: Session, sheet: DealSheet, chosen: Callable[[], str | None], stages: Sequence[Record] = ()) -> list[Action]:
    """What can be done with the opportunity that ``chosen`` names; ``stages``: those it may be moved to by the menu."""

    def with_it(function: Callable[[str], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            identity = chosen()
            if identity:
                await function(identity)

        return run

    def move_to(stage_id: str) -> Callable[[str], Awaitable[Any]]:
        return lambda identity: deeds.move(session, identity, stage_id)

    may = session.may
    changes = may("opportunity.update")
    listed: list[tuple[bool, Action]] = [
        (True, Action("open", _("Open record"), with_it(sheet.open), "enter")),
        (changes, Action("edit", _("Edit"), with_it(lambda identity: edit_dialog(session, OPPORTUNITY, identity=identity)), "e")),
        (changes, Action("next", _("What becomes of it…"), with_it(partial(_next_dialog, session)), "w")),
        *(
            (changes, Action(f"to-{place}", _("→ {stage}").format(stage=stage["name"]), with_it(move_to(stage["id"])), divided=not place))
            for place, stage in enumerate(stages)
        ),
        (True, Action("history", _("History"), with_it(partial(history_dialog, session, OPPORTUNITY)), "h", divided=True)),
        (may("opportunity.share"), Action("share", _("Share…"), with_it(partial(share_dialog, session, OPPORTUNITY)))),
        (session.actor.is_admin, Action("who-sees", _("Who sees this?"), with_it(partial(who_sees_dialog, session, OPPORTUNITY)))),
        (
            may("opportunity.delete"),
            Action("delete", _("Delete"), with_it(partial(delete_with_undo, session, OPPORTUNITY)), "delete", danger=True),
        ),
    ]
    return [action for shown, action in listed if shown]


async def _paper(record: Record, part: Part, session: Session, _identity: str) -> None:
    await new_paper(session, record, part)


async def _next_dialog(session: Session, identity: str) -> None:
    """Won, lost, project, aftercare, a quote, a contract or an order: what is possible now."""
    outcome = await run_service(session, lambda: load_typed(session, OPPORTUNITY, identity))
    if not outcome.ok:
        return
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("next"):
        ui.label(str(outcome.value.get("title") or "")).classes("lc-dialog-title lc-cut")
        for key, label, deed, primary in reversed(steps_of(outcome.value)):
            button = ui.button(label, on_click=partial(dialog.submit, deed)).props("unelevated no-caps").mark(f"do-{key}")
            button.classes("lc-pri" if primary else "lc-btn").style("justify-content:flex-start")
        for part in addable(session, QUOTE, CONTRACT, ORDER) if outcome.value.get("state") in {DealState.OPEN, DealState.WON} else ():
            button = ui.button(gettext(part.new), on_click=partial(dialog.submit, partial(_paper, outcome.value, part)))
            button.props("unelevated no-caps").classes("lc-btn").style("justify-content:flex-start").mark(f"new-{part.kind.key}")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
    deed = await answer_of(dialog)
    if deed is not None:
        await deed(session, identity)
