"""While a customer is typed: who is there already, under the field that says so, and one question before a likely second one is saved."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from localcrm.domain.crm.entities import Customer
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import gettext as _
from localcrm.store.marks import marked
from localcrm.ui.endpoints import record_path
from localcrm.ui.kit.dialogs import answer_of
from localcrm.ui.kit.form import ADVISERS, Form
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type
#: Nobody is asked while somebody types on.
_PAUSE = 0.4


class Adviser:
    """Watches one open form."""

    def __init__(self, session: Session, form: Form, identity: str | None) -> None:
        self.session, self.form, self.identity = session, form, identity
        self.keys = [field.key for field in marked(CUSTOMER) if field.key in form.inputs]
        self.asked = self._typed()
        self.found: list[dict[str, Any]] = []
        self.agreed: set[str] = set()
        self._waiting: asyncio.Task[None] | None = None
        self.places: dict[str, ui.element] = {}
        for key in self.keys:
            with form.inputs[key].box:
                self.places[key] = ui.element("div").classes("lc-alike").props(f'role="status" data-alike={key}')
            form.inputs[key].changed.append(self._changed)

    def _typed(self) -> dict[str, str | None]:
        return {key: self.form.inputs[key].value for key in self.keys}

    def _changed(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = background_tasks.create(self._later(), name="look for customers like this")

    async def _later(self) -> None:
        await asyncio.sleep(_PAUSE)
        if not self.form.box.is_deleted:
            with self.form.box:
                await self._ask()

    async def _ask(self) -> None:
        """Look once for what is typed now, unless that was asked already; what cannot be asked is no reason not to go on."""
        typed = self._typed()
        if typed == self.asked:
            return
        self.asked = typed
        news = {key: value for key, value in typed.items() if value and value != self.form.loaded.get(key)}
        outcome = (
            await run_verb(self.session, "crm.find_alike", {"values": news, "id": self.identity}, on_error=_pass_over) if news else None
        )
        if typed != self.asked or self.form.box.is_deleted:
            return  # somebody typed on meanwhile
        self.found = outcome.value["rows"] if outcome and outcome.ok else []
        braked = bool(outcome and outcome.ok and outcome.value["braked"])
        for key, place in self.places.items():
            place.clear()
            with place:
                for row in self.found:
                    if row["reasons"][0] == key:
                        _draw(row)
        if braked:
            with self.places[next(key for key in self.keys if news.get(key))]:
                ui.label(_("You were told of many customers of others within an hour; no more are shown. Ask an administrator.")).classes(
                    "lc-alike-row"
                )

    async def may_save(self) -> bool:
        """Whether to save: asked once about those who look like the one typed."""
        if self._waiting is not None:
            self._waiting.cancel()
        await self._ask()
        new = {_key(row) for row in self.found} - self.agreed
        if not new or not await _sure(self.found, is_new=self.identity is None):
            return not new
        self.agreed |= new
        return True


def _pass_over(_error: AppError) -> bool:
    return True


def _key(row: Mapping[str, Any]) -> str:
    return str(row.get("id") or (row["owner"], row["branch"], *row["reasons"]))


def _draw(row: Mapping[str, Any]) -> None:
    with ui.element("div").classes("lc-alike-row").props("data-masked" if row.get("masked") else "data-hit"):
        ui.icon("person_search").props("size=16px")
        if row.get("masked"):
            ui.label(_words(row))
        else:
            ui.link(_words(row), record_path("customer", row["id"]), new_tab=True)


def _words(row: Mapping[str, Any]) -> str:
    whose = " · ".join(str(part) for part in (row["owner"], row["branch"]) if part)
    if row.get("masked"):
        return _("Exists already, with {whose}").format(whose=whose) if whose else _("Exists already")
    return " · ".join(str(part) for part in (row.get("number"), row.get("name"), row.get("phone"), whose) if part)


async def _sure(rows: list[dict[str, Any]], *, is_new: bool) -> bool:
    with ui.dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("alike-dialog"):
        ui.label(_("This customer may be there already")).classes("lc-dialog-title")
        ui.label(_("Alike by {fields}:").format(fields=_fields(rows))).classes("lc-muted")
        for row in rows:
            _draw(row)
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Go on editing"), on_click=lambda: dialog.submit(False)).props("flat no-caps autofocus").classes("lc-btn")
            label = _("Save as a new customer") if is_new else _("Save anyway")
            ui.button(label, on_click=lambda: dialog.submit(True)).props("unelevated no-caps data-act=save-anyway").classes("lc-pri")
    return bool(await answer_of(dialog))


def _fields(rows: list[dict[str, Any]]) -> str:
    keys = dict.fromkeys(key for row in rows for key in row["reasons"])
    return _(", ").join(CUSTOMER.fields[key].label for key in keys)


def advise(session: Session, form: Form, identity: str | None) -> Adviser | None:
    """For whoever may add customers."""
    return Adviser(session, form, identity) if session.may("customer.create") else None


ADVISERS[CUSTOMER.key] = advise
