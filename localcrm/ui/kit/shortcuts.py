"""The sheet of keys: what every key does, as this user presses it."""

from __future__ import annotations

from collections.abc import Iterable

from nicegui import ui

from localcrm.domain.options.shortcuts import FIXED, SHORTCUTS
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.ui.finding import OPTIONS_PATH
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.look import own_key


def sheet_key() -> None:
    """A hidden button that "?" presses on every page."""
    with ui.element("div").classes("lc-unseen").props("aria-hidden=true"):
        ui.button(on_click=show_sheet).props("data-key=? tabindex=-1")


async def show_sheet() -> None:
    """Open the sheet."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("shortcuts"):
        ui.label(_("Keys")).classes("lc-dialog-title")
        with ui.element("div").classes("lc-keys"):
            _rows((own_key(key), label) for key, label in SHORTCUTS.items())
            _rows(FIXED.items())
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Choose other keys…"), on_click=lambda: ui.navigate.to(f"{OPTIONS_PATH}?at=keys")).props("flat no-caps").classes(
                "lc-btn"
            ).mark("choose-keys")
            ui.button(_("Close"), on_click=dialog.close).props("unelevated no-caps autofocus").classes("lc-pri")
    await answer_of(dialog)


def _rows(rows: Iterable[tuple[str, str]]) -> None:
    with ui.element("div"):
        for key, label in rows:
            with ui.element("div").classes("lc-line"):
                ui.label(gettext(label)).classes("grow")
                ui.label(key).classes("lc-kbd")
