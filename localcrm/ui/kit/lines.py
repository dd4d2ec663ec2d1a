"""Plain tables that a screen draws line by line: heads and cells."""

from __future__ import annotations

from nicegui import ui

from localcrm.ui.kit.props import quoted


def heads(*heads: str | tuple[str, str]) -> None:
    """The line of heads; a pair is a text with its classes."""
    with ui.element("tr"):
        for head in heads:
            text, classes = head if isinstance(head, tuple) else (head, "")
            with ui.element("th").classes(classes):
                ui.label(text)


def cell(text: str, classes: str = "", *, tip: str | None = None, label: str = "") -> None:
    """One cell of text; ``tip`` is what a shortened text stands for, ``label`` what stands before it on a telephone (tables of ``lc-rows``)."""
    with ui.element("td").classes(classes).props(f"data-label={quoted(label)}" if label else ""):
        shown = ui.label(text)
        if tip:
            shown.tooltip(tip)
