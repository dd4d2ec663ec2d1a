"""Links between several looks at the same records."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui import ui

from localcrm.ui.kit.props import quoted


def view_links(views: Mapping[str, tuple[str, str]], active: str) -> None:
    """``views``: id → (label, path); the one that is open is told apart."""
    with ui.element("nav").classes("lc-phases").mark("views"):
        for key, (label, path) in views.items():
            link = ui.element("a").props(f"href={quoted(path)}").mark(f"view-{key}")
            if key == active:
                link.props('aria-current="page"')
            with link:
                ui.label(label)
