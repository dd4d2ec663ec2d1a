"""Small questions."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from localcrm.kernel.i18n import gettext as _


async def confirm(question: str, *, detail: str = "", yes: str = "", danger: bool = False) -> bool:
    """Ask before something is done; Enter says yes, Esc no."""
    with ui.dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("confirm"):
        ui.label(question).classes("lc-dialog-title")
        if detail:
            ui.label(detail).classes("lc-muted")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=lambda: dialog.submit(False)).props("flat no-caps").classes("lc-btn")
            sure = (
                ui.button(yes or _("Yes"), on_click=lambda: dialog.submit(True))
                .props("unelevated no-caps autofocus")
                .classes("lc-pri")
                .mark("yes")
            )
            if danger:
                sure.props("color=negative").classes(remove="lc-pri")
    return bool(await answer_of(dialog))


async def answer_of(dialog: ui.dialog) -> Any:
    """What a dialog was closed with; the dialog goes. When the page went first, so does whoever waits for the answer."""
    answer = await dialog
    if dialog.is_deleted or dialog.client.is_deleted:
        raise asyncio.CancelledError
    dialog.delete()
    return answer
