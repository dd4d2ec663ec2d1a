"""Small questions."""

from __future__ import annotations

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
            sure = ui.button(yes or _("Yes"), on_click=lambda: dialog.submit(True)).props("unelevated no-caps autofocus").classes("lc-pri").mark("yes")
            if danger:
                sure.props("color=negative").classes(remove="lc-pri")
    answer = await dialog
    dialog.delete()
    return bool(answer)
