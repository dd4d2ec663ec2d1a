"""Where a form or a dialog says what was refused: in its own place, until the next try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.kernel.errors import AppError

if TYPE_CHECKING:
    from localcrm.ui.kit.form import Form


class Problem(ui.label):
    """A notice that is not seen while there is nothing to say."""

    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        """Says beside its fields what concerns one of them."""
        self.classes("lc-notice").props('role="alert"').set_visibility(False)

    def tell(self, text: str) -> None:
        """Say it."""
        self.set_text(text)
        self.set_visibility(True)

    def hide(self) -> None:
        """Before the next try."""
        self.set_visibility(False)

    def refuse(self, error: AppError) -> bool:
        """Say why something was not done; as ``on_error`` of a verb: it has been told."""
        if self.form is None or not self.form.show_error(error):
            self.tell(error.message)
        return True
