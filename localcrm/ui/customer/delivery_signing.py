"""A dialog: the receiver of a delivery signs on the screen, with a finger on a telephone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.sales.entities import Delivery
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.view import Masked
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import load_typed
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.operations import run_service, run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

DELIVERY = Delivery.entity_type


async def sign(session: Session, delivery: str) -> str | None:
    """Let the receiver sign; the id of the delivery, if he did."""
    outcome = await run_service(session, lambda: load_typed(session, DELIVERY, delivery))
    if not outcome.ok:
        return None
    record, label = outcome.value, DELIVERY.fields["received_by"].label
    with page_dialog().props("persistent") as dialog, ui.card().classes("lc-dialog lc-signing").mark("sign"):
        ui.label(_("Sign for the delivery")).classes("lc-dialog-title")
        ui.label(
            _("With this signature the goods of {number} are received, complete and undamaged.").format(number=record.get("number") or "")
        ).classes("lc-muted")
        problem = Problem()
        with ui.element("div").classes("lc-field"):
            ui.label(label).classes("lc-label lc-required")
            known = record.get("received_by")
            who = ui.input(value="" if isinstance(known, Masked) else known or "").mark("received-by")
            who.props(f"outlined dense hide-bottom-space maxlength=200 aria-label={quoted(label)}")
        with ui.element("div").classes("lc-field"):
            ui.label(_("Signature")).classes("lc-label lc-required")
            canvas = ui.element("canvas").classes("lc-draw").mark("draw").props(f'aria-label="{_("Sign here")}"')
        place = f"getHtmlElement({canvas.id})"

        async def save() -> None:
            name = f"{who.value or ''} {record.get('number') or ''}.png".strip()
            sent = await ui.run_javascript(f"return await localcrm.drawn({place}, {json.dumps(name)})", timeout=60)
            if not sent or "error" in sent:
                missing = InvalidInput("no_signature", N_("Nothing has been drawn yet."))
                problem.refuse(InvalidInput("upload_failed", N_("{reason}"), reason=str(sent["error"])[:300]) if sent else missing)
                return
            parameters = {"delivery_id": delivery, "signature": str(sent.get("line", "")), "received_by": who.value or ""}
            if (await run_verb(session, "sales.sign_delivery", parameters, done=_("Noted: signed for"), on_error=problem.refuse)).ok:
                dialog.submit(True)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Clear"), on_click=lambda: ui.run_javascript(f"{place}?.clear()")).props("flat no-caps").classes("lc-btn").mark(
                "clear"
            )
            ui.space()
            ui.button(_("Cancel"), on_click=lambda: dialog.submit(False)).props("flat no-caps").classes("lc-btn")
            ui.button(_("Save"), on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
    dialog.on("show", lambda: ui.run_javascript(f"localcrm.draw({place})"))
    return delivery if await answer_of(dialog) else None
