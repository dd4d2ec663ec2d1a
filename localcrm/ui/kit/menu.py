"""Actions of a row, said once: by right-click, in the visible menu, and by key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nicegui import context, ui

from localcrm.kernel.i18n import gettext as _
from localcrm.ui.kit.look import own_key


@dataclass(frozen=True, slots=True)
class Action:
    """``run`` acts on the chosen row. ``key`` is printed beside the label and works while nothing is being typed."""

    id: str
    label: str
    run: Callable[[], Awaitable[Any] | Any]
    key: str = ""
    danger: bool = False
    divided: bool = False  # a line above it
    listed: bool = True  # False for a second key of a listed action


def afterwards(draw: Callable[[], None]) -> None:
    """Make what nobody sees at first, such as what is in a menu, once the page is there: nobody waits for it."""
    if context.client.has_socket_connection:
        draw()
    else:
        ui.timer(0, draw, once=True)


def menu_items(actions: Sequence[Action], *, mark: str) -> None:
    """The entries of a menu."""
    for action in actions:
        if not action.listed:
            continue
        if action.divided:
            ui.separator()
        with ui.menu_item(on_click=action.run).mark(f"{mark}-{action.id}").classes("lc-bad-text" if action.danger else ""):
            ui.label(action.label)
            if action.key:
                ui.label(own_key(action.key)).classes("lc-kbd")


def context_menu(actions: Sequence[Action]) -> None:
    """The menu of a right-click inside the element of the moment."""
    with ui.context_menu().classes("lc-menu"):
        afterwards(partial(menu_items, actions, mark="menu"))


def action_button(actions: Sequence[Action]) -> None:
    """The same as a visible menu, for touch and for those who look for it."""
    button = ui.button(_("Actions")).props("unelevated no-caps icon-right=expand_more data-act=actions").classes("lc-btn").mark("actions")
    with button, ui.menu().classes("lc-menu").props("auto-close"):
        afterwards(partial(menu_items, actions, mark="action"))


def action_keys(actions: Sequence[Action]) -> None:
    """Hidden buttons that the keys press (see localcrm.js)."""
    with ui.element("div").style("position:absolute;width:1px;height:1px;overflow:hidden;opacity:0").props("aria-hidden=true"):
        for action in actions:
            if action.key:
                ui.button(on_click=action.run).props(f"data-key={action.key} tabindex=-1").mark(f"key-{action.id}")
