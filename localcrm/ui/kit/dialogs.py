"""Small questions."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping
from typing import Any

from nicegui import context, ui

from localcrm.kernel.i18n import gettext as _


def page_dialog() -> ui.dialog:
    """A dialog of the whole page: it stays, with what is being typed, when what it was opened from is drawn anew or goes."""
    with context.client.content:
        return ui.dialog()


async def confirm(question: str, *, detail: str = "", yes: str = "", danger: bool = False) -> bool:
    """Ask before something is done; Enter says yes, Esc no."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("confirm"):
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


async def ticked_in(
    mark: str, title: str, names: Mapping[str, str], held: Container[str] = (), *, none: str, hint: str = ""
) -> list[str] | None:
    """A dialog with a box for each name, those held ticked, ``none`` where there is no name; the keys ticked at last, None if cancelled."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark(f"{mark}-dialog"):
        ui.label(title).classes("lc-dialog-title")
        if hint:
            ui.label(hint).classes("lc-muted")
        if not names:
            ui.label(none).classes("lc-muted")
        boxes = {key: ui.checkbox(name, value=key in held).props("dense").mark(f"{mark}-{name}") for key, name in names.items()}
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Save"), on_click=lambda: dialog.submit(True)).props("unelevated no-caps data-commit").classes("lc-pri").mark(
                "save"
            )
    if not await answer_of(dialog):
        return None
    return [key for key, box in boxes.items() if box.value]
