"""A script that a page is sent asks whether its element is still there: what is drawn anew meanwhile, and sent with it, has taken it away."""

from __future__ import annotations

import re

from tests.architecture.source import PACKAGE, ROOT

UNASKED = re.compile(r"getHtmlElement\([^()]*\)\.")


def test_a_script_does_not_count_on_its_element() -> None:
    screens = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted((PACKAGE / "ui").rglob("*.py"))}
    assert [name for name, text in screens.items() if UNASKED.search(text)] == []
