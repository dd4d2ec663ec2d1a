"""Chips above a list that narrow it to a query of the program, to one's own records, or to both; links begin with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.conditions import PRESETS, QUESTIONS, Asking, is_askable
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.kernel.schema import EntityType

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

MINE = {"ask": "mine"}


class Presets:
    """The chips of one list, and what they narrow it to now. Only what the user may ask is offered."""

    def __init__(self, session: Session, kind: EntityType, parameters: Mapping[str, str]) -> None:
        asking = Asking(session.actor)
        self.trees = {key: one.tree for key, one in PRESETS.get(kind.key, {}).items() if is_askable(kind, one.tree, asking)}
        self.labels = {key: gettext(PRESETS[kind.key][key].label) for key in self.trees}
        self.by_owner = "mine" in QUESTIONS.get(kind.key, {}) and is_askable(kind, MINE, asking)
        self.key = parameters.get("query", "") if parameters.get("query") in self.trees else ""
        self.mine = bool(parameters.get("mine")) and self.by_owner
        self.chips: dict[str, ui.button] = {}

    @property
    def tree(self) -> dict[str, Any] | None:
        """The conditions of the list; None: all of it."""
        parts = [*([MINE] if self.mine else []), *([self.trees[self.key]] if self.key else [])]
        return {"all": parts} if parts else None

    def draw(self, changed: Callable[[], None], *, everything: bool = True) -> None:
        """The chips, in the element of the moment. ``everything``: with one that takes all narrowing away, and one for one's own records;
        where there are other chips beside them that one is there only if the page began with it.
        """
        if everything:
            self._chip("", _("All"), partial(self.choose, "", changed))
        for key, label in self.labels.items():
            self._chip(key, label, partial(self.choose, key, changed))
        if self.mine or (everything and self.by_owner):
            self._chip("mine", _("Mine"), partial(self._switch, changed))
        self.show()

    def choose(self, key: str, changed: Callable[[], None]) -> None:
        """Narrow to one of them; the same once more takes it away."""
        self.take("" if key == self.key else key)
        changed()

    def take(self, key: str) -> None:
        """Be narrowed to one of them, or to none ("")."""
        self.key = key
        self.show()

    def _switch(self, changed: Callable[[], None]) -> None:
        self.mine = not self.mine
        self.show()
        changed()

    def _chip(self, key: str, label: str, run: Callable[[], None]) -> None:
        self.chips[key] = ui.button(label, on_click=run).props("flat dense no-caps").classes("lc-chip").mark(f"show-{key or 'all'}")

    def show(self) -> None:
        """Mark the chips that hold."""
        for key, chip in self.chips.items():
            on = self.mine if key == "mine" else key == self.key
            chip.classes(add="lc-acc" if on else "", remove="" if on else "lc-acc")
            chip.props(f"aria-pressed={'true' if on else 'false'}")
