"""Choosing a record: type (pinyin works), arrows, Enter; or make a new one without leaving the form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from nicegui import events, ui
from nicegui.element import Element

from localcrm.domain import policy
from localcrm.domain.areas import canonical
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import entity as entity_type
from localcrm.ui.endpoints import record_title

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


class Picker(Element, component="../static/picker.js"):
    """The widget; ``value`` is the id of the chosen record or None, ``title`` what it is called."""

    def __init__(
        self, session: Session, entity: str, *, label: str = "", where: Mapping[str, str] | None = None, clearable: bool = True
    ) -> None:
        super().__init__()
        self.session, self.entity = session, entity
        self.value: str | None = None
        self.title = ""
        self._changed: list[Callable[[str | None], Any]] = []
        self._props.update(
            source=f"/api/pick/{entity}",
            label=label or entity_type(entity).label,
            where=dict(where or {}),
            clearable=clearable,
            creatable=False,
            words={"loading": _("Loading…"), "nothing": _("Nothing found"), "create": _("New “{text}”")},
        )
        self.on("pick", self._picked)

    def on_change(self, callback: Callable[[str | None], Any]) -> Self:
        """Call back with the id whenever the choice changed by hand."""
        self._changed.append(callback)
        return self

    def set_value(self, value: str | None, title: str | None = None) -> None:
        """Show a record; its title is looked up when it is not given."""
        self.value = value
        self.title = title if title is not None else record_title(self.session, self.entity, value)
        self._props.update(value=value or "", title=self.title)
        self.update()

    def set_where(self, where: Mapping[str, str]) -> None:
        """Offer only records whose fields have these values."""
        self._props["where"] = dict(where)
        self.update()

    def set_error(self, message: str) -> None:
        """Mark the field; the sentence itself stands in the form."""
        self._props["error"] = message
        self.update()

    def set_enabled(self, enabled: bool) -> None:
        """Whether it may be changed."""
        self._props["disabled"] = not enabled
        self.update()

    def allow_create(self, start: Callable[[str], Any]) -> None:
        """Offer a new record for what was typed; ``start`` gets the text."""
        self._props["creatable"] = True
        self.on("create", lambda event: start(str(event.args["text"])))

    def focus(self) -> None:
        """Put the cursor into it; nothing where it is gone by now."""
        if not self.is_deleted:
            self.run_method("focus")

    async def _picked(self, event: events.GenericEventArguments) -> None:
        self.value = event.args["id"] or None
        self.title = str(event.args["title"])
        self._props.update(value=self.value or "", title=self.title)
        for callback in self._changed:
            result = callback(self.value)
            if asyncio.iscoroutine(result):
                await result


class AreaPicker(Picker):
    """An area of the country, found as it is typed; ``value`` is its name. Another text can be taken as it is."""

    def __init__(self, session: Session, *, label: str, clearable: bool = True) -> None:
        super().__init__(session, "", label=label, clearable=clearable)
        self._props.update(source="/api/areas", words={**self._props["words"], "create": _("Use “{text}”")})
        self.allow_create(self._take)

    def set_value(self, value: str | None, title: str | None = None) -> None:  # noqa: ARG002 -- it is its own title
        """Show an area."""
        super().set_value(value, value or "")

    def _take(self, text: str) -> None:
        self.set_value(canonical(text))
        for callback in self._changed:
            callback(self.value)


def picker(
    session: Session,
    entity: str,
    value: str | None,
    on_change: Callable[[str | None], Any],
    *,
    title: str | None = None,
    create: bool = True,
    where: Mapping[str, str] | None = None,
    label: str = "",
    clearable: bool = True,
) -> Picker:
    """A picker with what is chosen now; ``create`` offers quick-create to those who may."""
    found = Picker(session, entity, label=label, where=where, clearable=clearable)
    found.set_value(value, title)
    found.on_change(on_change)
    kind = entity_type(entity)
    if create and policy.written_by_hand(kind) and session.may(f"{entity}.create"):

        async def start(text: str) -> None:
            from localcrm.ui.kit.form import edit_dialog

            made = await edit_dialog(session, kind, preset={kind.title_field: text, **(where or {})}, quick=True)
            if made:
                found.set_value(made["id"], str(made.get(kind.title_field) or text))
                for callback in found._changed:  # noqa: SLF001 -- the same module
                    result = callback(made["id"])
                    if asyncio.iscoroutine(result):
                        await result
            ui.timer(0.05, found.focus, once=True)

        found.allow_create(start)
    return found
