"""While a customer is typed: who is there already, under the field that says so, and one question before a likely second one is saved.

The phones of a contact are watched in the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from localcrm.domain.crm.alike import ASKED_ALONG
from localcrm.domain.crm.entities import Contact, Customer
from localcrm.domain.partners.territories import OUTSIDE
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import gettext as _
from localcrm.store.marks import marked
from localcrm.ui.endpoints import record_path
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import ADVISERS, Form
from localcrm.ui.kit.values import near_day
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER, CONTACT = Customer.entity_type, Contact.entity_type
#: Nobody is asked while somebody types on.
_PAUSE = 0.4


class Adviser:
    """Watches one open form."""

    #: What is asked while one types.
    verb = "crm.advise_customer"

    def __init__(self, session: Session, form: Form, identity: str | None) -> None:
        self.session, self.form, self.identity = session, form, identity
        along = ASKED_ALONG if form.entity is CUSTOMER and all(key in form.inputs for key in ASKED_ALONG) else ()
        self.keys = [*(field.key for field in marked(form.entity) if field.key in form.inputs), *along]
        self.asked = {key: form.loaded.get(key) for key in self.keys}  # a draft that was taken up again is asked about
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

    def more(self) -> dict[str, Any]:
        """What the verb is to know beside the values."""
        return {}

    async def sure(self) -> bool:
        """The question before one is saved who looks like those found."""
        title = _("This customer may be there already")
        if all("territory" in row for row in self.found):
            return await _sure(_("This is not the partner's area"), self.form, self.found, _("Save anyway"))
        return await _sure(title, self.form, self.found, _("Save as a new customer") if self.identity is None else _("Save anyway"))

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
        parameters = {"values": news, "id": self.identity, **self.more()}
        outcome = await run_verb(self.session, self.verb, parameters, on_error=_pass_over) if news else None
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
        if not new or not await self.sure():
            return not new
        self.agreed |= new
        return True


def _pass_over(_error: AppError) -> bool:
    return True


def _key(row: Mapping[str, Any]) -> str:
    return str(row.get("id") or (row["owner"], row["branch"], row.get("territory"), row.get("partner"), row.get("area"), *row["reasons"]))


def _draw(row: Mapping[str, Any]) -> None:
    with ui.element("div").classes("lc-alike-row").props("data-masked" if row.get("masked") else "data-hit"):
        ui.icon("person_search").props("size=16px")
        if row.get("masked") or "until" in row or "territory" in row:
            ui.label(_words(row))
        else:
            ui.link(_words(row), record_path("customer", row["id"]), new_tab=True)


def territory_words(row: Mapping[str, Any]) -> str:
    """What stands against a partner by his area, or that of another."""
    if row["territory"] == OUTSIDE:
        return _("Outside the partner's area ({area})").format(area=row["area"])
    return _("In the area of {partner} ({area})").format(partner=row["partner"] or _("another partner"), area=row["area"])


def _words(row: Mapping[str, Any]) -> str:
    if "territory" in row:
        return territory_words(row)
    whose = " · ".join(str(part) for part in (row["owner"], row["branch"]) if part)
    if "until" in row:
        words = {
            "partner": row.get("partner") or _("a partner"),
            "until": near_day(date.fromisoformat(row["until"])),
            "whose": whose or "—",
        }
        return _("Registered by {partner} until {until}, looked after by {whose}").format(**words)
    if row.get("masked"):
        return _("Exists already, with {whose}").format(whose=whose) if whose else _("Exists already")
    people = _(", ").join(row.get("contacts", ()))
    return " · ".join(str(part) for part in (row.get("number"), row.get("name"), people or row.get("phone"), whose) if part)


async def _sure(title: str, form: Form, rows: list[dict[str, Any]], yes: str) -> bool:
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("alike-dialog"):
        ui.label(title).classes("lc-dialog-title")
        if fields := _fields(form, rows):
            ui.label(_("Alike by {fields}:").format(fields=fields)).classes("lc-muted")
        for row in rows:
            _draw(row)
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Go on editing"), on_click=lambda: dialog.submit(False)).props("flat no-caps autofocus").classes("lc-btn")
            ui.button(yes, on_click=lambda: dialog.submit(True)).props("unelevated no-caps data-act=save-anyway").classes("lc-pri")
    return bool(await answer_of(dialog))


def _fields(form: Form, rows: list[dict[str, Any]]) -> str:
    keys = dict.fromkeys(key for row in rows if "territory" not in row for key in row["reasons"])
    return _(", ").join(form.entity.fields[key].label for key in keys)


class PhoneAdviser(Adviser):
    """Watches the phones of a contact: two people may share one, so this only tells and asks once."""

    verb = "crm.find_same_phone"

    def more(self) -> dict[str, Any]:
        """The customer he is at."""
        return {"customer_id": self.form.values().get("customer_id")}

    async def sure(self) -> bool:
        """The question before a phone is saved that is somebody's already."""
        return await _sure(_("This phone is somebody's already"), self.form, self.found, _("Save anyway"))


def advise(session: Session, form: Form, identity: str | None) -> Adviser | None:
    """For whoever may add customers."""
    return Adviser(session, form, identity) if session.may("customer.create") else None


def advise_contact(session: Session, form: Form, identity: str | None) -> Adviser | None:
    """For whoever may add contacts."""
    return PhoneAdviser(session, form, identity) if session.may("contact.create") else None


ADVISERS[CUSTOMER.key] = advise
ADVISERS[CONTACT.key] = advise_contact
