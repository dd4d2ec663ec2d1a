"""Two customers become one: side by side, with a choice per field; and what to do where a customer cannot be deleted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field as data_field
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.merging import BOTH, KEPT, MERGED, can_join, choices_for, joined, usual_choice
from localcrm.domain.records import used_by
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import Field
from localcrm.store.merged import survivor
from localcrm.store.query import Record, ref_titles
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import load_typed
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import show
from localcrm.ui.operations import run_service, run_verb, show_failure
from localcrm.ui.screens.records import delete_with_undo

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type


@dataclass
class _Sides:
    """Both customers as the user may see them, what uses each, and what is chosen so far: field → place 0 or 1, or "both"."""

    records: list[Record]
    names: dict[str, dict[str, str]]
    used: list[str]
    fields: list[Field]
    stays: int = 0
    chosen: dict[str, int | str] = data_field(default_factory=dict)

    def text(self, field: Field, place: int) -> str | None:
        """A value in words."""
        return show(field, self.records[place].get(field.key), self.names.get(field.key))

    def title(self, place: int) -> str:
        """Number and name."""
        record = self.records[place]
        return " · ".join(str(record[key]) for key in ("number", "name") if record.get(key))

    def differing(self) -> list[Field]:
        """Fields in which there is something to choose."""
        one, other = self.records
        return [field for field in self.fields if field.key in one and one[field.key] != other[field.key]]

    def choose_usual(self, stays: int) -> None:
        """Which of them stays, and what is chosen where nobody has chosen."""
        self.stays, self.chosen = stays, {}
        kept, merged = self.records[stays], self.records[1 - stays]
        for field in self.differing():
            choice = usual_choice(field, kept[field.key], merged[field.key])
            self.chosen[field.key] = BOTH if choice == BOTH else stays if choice == KEPT else 1 - stays

    @property
    def parameters(self) -> dict[str, Any]:
        """As the verb takes it."""
        choices = {key: BOTH if place == BOTH else KEPT if place == self.stays else MERGED for key, place in self.chosen.items()}
        return {"kept": self.records[self.stays]["id"], "merged": self.records[1 - self.stays]["id"], "choices": choices}


async def merge_dialog(session: Session, one: str, other: str) -> str:
    """Let the user choose what stays of two customers, and merge them; returns the id of the one that stayed, "" where nothing was done."""
    outcome = await run_service(session, lambda: _load(session, [one, other]))
    if not outcome.ok:
        return ""
    with context.client.content:  # what opened it may be drawn anew meanwhile
        return await _Dialog(session, outcome.value).answer()


def _load(session: Session, ids: list[str]) -> _Sides:
    records = [load_typed(session, CUSTOMER, identity) for identity in ids]
    with session.store.read() as connection:
        names = ref_titles(connection, CUSTOMER, records)
        used = [used_by(connection, session.actor, CUSTOMER, identity) for identity in ids]
    sides = _Sides(records, names, used, choices_for(session.actor))
    sides.choose_usual(0)
    return sides


class _Dialog:
    def __init__(self, session: Session, sides: _Sides) -> None:
        self.session, self.sides = session, sides
        ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
        with (
            page_dialog().props("persistent no-route-dismiss") as self.dialog,
            ui.card().classes("lc-dialog lc-wide").mark("merge-dialog") as card,
        ):
            ui.label(_("Merge two customers")).classes("lc-dialog-title")
            ui.label(
                _(
                    "Choose which one stays, and what it says. Contacts, records and drafts go over to it; posted documents keep the name they were printed with and count for it. The number of the other one still finds it."
                )
            ).classes("lc-muted")
            self.problem = Problem()
            self.body = ui.element("div").classes("lc-scroll lc-merge").mark("merge-fields")
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=lambda: self.dialog.submit("")).props("flat no-caps").classes("lc-btn").mark("cancel")
                with ui.button(on_click=self.merge).props("unelevated no-caps data-commit data-act=merge-now").classes("lc-pri"):
                    ui.label(_("Merge"))
                    ui.label("Ctrl ⏎").classes("lc-kbd")
        card.on("keydown.esc.stop", lambda: self.dialog.submit(""))
        self.draw()

    async def answer(self) -> str:
        """Id of the customer that stayed, "" for none."""
        return str(await answer_of(self.dialog) or "")

    def draw(self) -> None:
        """Heads and every field that differs."""
        self.body.clear()
        with self.body:
            with ui.element("div").classes("lc-merge-row lc-merge-heads"):
                ui.label(_("Which one stays")).classes("lc-label")
                for place in (0, 1):
                    self._head(place)
            for field in self.sides.differing():
                self._field(field)
            if not self.sides.differing():
                ui.label(_("Both say the same in every field.")).classes("lc-muted lc-pad")

    def _head(self, place: int) -> None:
        stays = place == self.sides.stays
        with self._pick(stays, partial(self._stay, place), f"stays-{place}"):
            ui.label(self.sides.title(place)).classes("lc-strong")
            used = self.sides.used[place]
            ui.label(_("in use: {users}").format(users=used) if used else _("nothing refers to it")).classes("lc-small-text lc-muted")
            ui.label(_("stays") if stays else _("goes")).classes("lc-chip").props(f"data-tone={'good' if stays else 'warn'}")

    def _field(self, field: Field) -> None:
        chosen = self.sides.chosen[field.key]
        with ui.element("div").classes("lc-merge-row").props(f"data-field={field.key}"):
            ui.label(field.label).classes("lc-label")
            for place in (0, 1):
                with self._pick(chosen in {place, BOTH}, partial(self._choose, field, place), f"take-{field.key}-{place}"):
                    text = self.sides.text(field, place)
                    ui.label(text or _("(empty)")).classes("" if text else "lc-muted")
            values = [record[field.key] for record in self.sides.records]
            if can_join(field) and None not in values and joined(field, *values) != values[self.sides.stays]:
                both = ui.button(_("Both"), on_click=partial(self._choose, field, BOTH)).props(
                    f"flat dense no-caps data-act=both-{field.key}"
                )
                both.classes("lc-chip" + (" lc-acc" if chosen == BOTH else ""))

    def _pick(self, on: bool, handler: Any, mark: str) -> ui.element:
        button = ui.element("button").classes("lc-value lc-merge-pick" + (" lc-kept" if on else ""))
        button.props(f'type="button" aria-pressed={"true" if on else "false"} data-act={mark}')
        return button.on("click", handler)

    def _stay(self, place: int) -> None:
        self.sides.choose_usual(place)
        self.draw()

    def _choose(self, field: Field, choice: int | str) -> None:
        self.sides.chosen[field.key] = choice
        self.draw()

    async def merge(self) -> None:
        """Do it; the dialog stays open where it is refused."""
        self.problem.hide()
        done = _("Merged into “{name}”").format(name=self.sides.title(self.sides.stays))
        if (await run_verb(self.session, "crm.merge_customers", self.sides.parameters, done=done, on_error=self.problem.refuse)).ok:
            self.dialog.submit(self.sides.parameters["kept"])


def living(session: Session, identity: str | None) -> str | None:
    """The customer an address names, or what it was merged into: old links and printed documents lead there."""
    if identity is None or re.fullmatch(r"[0-9a-f]{32}", identity, re.ASCII) is None:
        return identity
    with session.store.read() as connection:
        return survivor(connection, CUSTOMER, identity)


async def merge_with_dialog(session: Session, identity: str) -> str:
    """Ask for the other customer, then the rest; returns what ``merge_dialog`` does."""
    other: dict[str, str | None] = {"id": None}
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("merge-with"):
        ui.label(_("Merge with which customer?")).classes("lc-dialog-title")
        with ui.element("div").props("data-field=merge-with"):
            picker(session, "customer", None, lambda chosen: other.update(id=chosen), create=False, label=_("Customer")).focus()
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=lambda: dialog.submit(False)).props("flat no-caps").classes("lc-btn")
            ui.button(_("Compare…"), on_click=lambda: dialog.submit(True)).props("unelevated no-caps data-commit data-act=compare").classes(
                "lc-pri"
            )
    if not await answer_of(dialog) or other["id"] is None:
        return ""
    return await merge_dialog(session, identity, str(other["id"]))


async def delete_customer(session: Session, identity: str) -> bool:
    """Delete with the way back; where it is still in use, say by what and offer to merge it; returns whether it is gone."""
    refused: list[AppError] = []

    def note(error: AppError) -> bool:
        if error.code == "referenced" and (session.may("customer.merge") or _may_stop(session)):
            refused.append(error)
        else:
            show_failure(error)
        return True

    if await delete_with_undo(session, CUSTOMER, identity, on_error=note):
        return True
    return bool(refused) and await _in_use_dialog(session, identity, refused[0].message)


def _may_stop(session: Session) -> bool:
    return policy.may_write(session.actor, CUSTOMER, CUSTOMER.fields["inactive"]) and session.may("customer.update")


async def _in_use_dialog(session: Session, identity: str, message: str) -> bool:
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("in-use"):
        ui.label(_("This customer is still in use")).classes("lc-dialog-title")
        ui.label(message)
        ui.label(
            _(
                "If it was entered twice, merge it into the other one. If nothing new is to be done with it, mark it as no longer dealt with."
            )
        ).classes("lc-muted")
        with ui.element("div").classes("lc-dialog-buttons").style("flex-wrap:wrap"):
            ui.button(_("Cancel"), on_click=lambda: dialog.submit("")).props("flat no-caps").classes("lc-btn")
            if _may_stop(session):
                ui.button(_("No longer dealt with"), on_click=lambda: dialog.submit("stop")).props(
                    "unelevated no-caps data-act=stop"
                ).classes("lc-btn")
            if session.may("customer.merge"):
                merge = ui.button(_("Merge into another…"), on_click=lambda: dialog.submit("merge"))
                merge.props("unelevated no-caps data-act=merge").classes("lc-pri")
    match await answer_of(dialog):
        case "merge":
            return await merge_with_dialog(session, identity) not in {"", identity}
        case "stop":
            wish = {"entity": "customer", "id": identity, "values": {"inactive": True}}
            await run_verb(session, "records.update_record", wish, done=_("Marked as no longer dealt with"))
    return False
