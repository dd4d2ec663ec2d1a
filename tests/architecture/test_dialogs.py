"""A dialog belongs to the page: one made where it was opened from would go when that is drawn anew, with what is being typed."""

from __future__ import annotations

from tests.architecture.source import PACKAGE, ROOT

MAKES_THEM = "localcrm/ui/kit/dialogs.py"


def test_every_dialog_is_made_for_the_page() -> None:
    makers = [
        path.relative_to(ROOT).as_posix() for path in sorted((PACKAGE / "ui").rglob("*.py")) if "ui.dialog(" in path.read_text("utf-8")
    ]
    assert makers == [MAKES_THEM]
