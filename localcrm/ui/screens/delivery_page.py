"""The page of one delivery: the note that goes along with the goods, as it is printed and sent, and what can be done with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from localcrm.domain.admin.pictures import Picture
from localcrm.domain.crm.entities import Customer
from localcrm.domain.sales.delivery_note import Note, note_of
from localcrm.domain.sales.entities import Delivery, DeliveryLine, DeliveryStatus
from localcrm.domain.sales.signing import signature_of, signer_of
from localcrm.kernel.attachments import read_attachments
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.ui.frame import page_head
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.menu import Action, action_button, action_keys
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.qr import qr_address
from localcrm.ui.kit.reaching import EMAIL, reach
from localcrm.ui.kit.values import exact, show, tone
from localcrm.ui.operations import toast
from localcrm.ui.record_page import RecordPage
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import Further, history_dialog
from localcrm.ui.screens.sales_papers import DELIVERY_ACTIONS

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER, DELIVERY, LINE = Customer.entity_type, Delivery.entity_type, DeliveryLine.entity_type
_SHOWN = frozenset({"delivery", "delivery_line", "customer", "product"})
#: What the head of the note says, in the order of the paper; what is empty is left out.
_FACTS = ("order_id", "returns_id", "replaces_id", "date", "carrier", "tracking_no", "parcels", "owner_id", "branch_id")
#: What has a button of its own beside the menu.
_BUTTONS = ("goods", "sign")
#: In which states something is no use any more, by action.
_DONE: Mapping[str, frozenset[str]] = {
    "shipped": frozenset({DeliveryStatus.SHIPPED, DeliveryStatus.RECEIVED, DeliveryStatus.RETURNED}),
    "received": frozenset({DeliveryStatus.RECEIVED, DeliveryStatus.RETURNED}),
    "sign": frozenset({DeliveryStatus.RETURNED}),
    "back": frozenset({DeliveryStatus.PACKED, DeliveryStatus.RETURNED}),
}


async def delivery_page(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the page."""
    await _Page(session, parameters["id"]).build()


class _Page(RecordPage[tuple[Note, Picture | None]]):
    """One open page."""

    active, mark, looks = "delivery", "delivery-note", "lc-note"
    kind = "delivery"
    title_msgid = DELIVERY.label_msgid
    missing_msgid = N_("This delivery does not exist, was deleted, or is not yours to see.")
    shows = _SHOWN

    def read(self) -> tuple[Note, Picture | None]:
        with self.session.store.read() as connection:
            note = note_of(connection, self.session.actor, self.identity)
        return note, signature_of(self.session.store, note.delivery)

    def draw_head(self, found: tuple[Note, Picture | None]) -> None:
        self.note = found[0]
        self.identity = self.note.delivery["id"]
        with ui.element("div").classes("lc-no-print"):
            self._tools()

    def draw_body(self, found: tuple[Note, Picture | None]) -> None:
        draw_note(*found)

    # what can be done ----------------------------------------------------------------------------------------------------

    def _tools(self) -> None:
        actions = self._actions()
        with page_head(DELIVERY.label):
            status = DELIVERY.fields["status"]
            if text := show(status, self.note.delivery.get("status")):
                ui.label(text).classes("lc-chip").props(f"data-tone={tone(status, self.note.delivery['status']) or 'plain'}").mark("status")
            for other in self.note.beside:
                with ui.element("a").props(f'href="/deliveries/{other["id"]}"').classes("lc-chip").mark("beside"):
                    ui.label(f"{_beside(self.note, other)} {other.get('number') or ''}".strip())
            ui.space()
            with ui.element("div").classes("lc-row lc-page-tools"):
                ui.button(_("To the list"), on_click=lambda: ui.navigate.to("/records/delivery")).props("unelevated no-caps").classes(
                    "lc-btn"
                )
                action_button(actions)
                for one in (one for one in self._offered() if one.id in _BUTTONS):
                    ui.button(gettext(one.label_msgid), on_click=partial(self._do, one)).props("unelevated no-caps").classes("lc-btn").mark(
                        f"do-{one.id}"
                    )
                ui.button(_("Print"), on_click=lambda: ui.run_javascript("window.print()")).props("unelevated no-caps").classes(
                    "lc-pri"
                ).mark("print")
        action_keys(actions)

    def _actions(self) -> list[Action]:
        may = self.session.may
        wanted = [
            (may("delivery.update"), Action("edit", _("Edit"), self._edit, "e")),
            *(
                (True, Action(one.id, gettext(one.label_msgid), partial(self._do, one)))
                for one in self._offered()
                if one.id not in _BUTTONS
            ),
            (may("contact.read"), Action("write", _("Write an e-mail…"), self._write, divided=True)),
            (True, Action("text", _("Copy as text"), self._copy, "c")),
            (True, Action("history", _("History"), self._history, "h", divided=True)),
        ]
        return [action for shown, action in wanted if shown]

    def _offered(self) -> list[Further]:
        """What is done with deliveries in their list too, as far as it is of use to this one."""
        status = self.note.delivery.get("status")
        offered = [one for one in DELIVERY_ACTIONS if one.id != "note" and self.session.may(one.permission)]
        return [one for one in offered if status not in _DONE.get(one.id, frozenset())]

    async def _do(self, action: Further) -> None:
        with self.aside:
            await action.run(self.session, self.identity)

    async def _edit(self) -> None:
        with self.aside:
            await edit_dialog(self.session, DELIVERY, identity=self.identity)

    async def _history(self) -> None:
        with self.aside:
            await history_dialog(self.session, DELIVERY, self.identity)

    async def _write(self) -> None:
        customer, title = self.note.delivery.get("customer_id"), f"{_title(self.note)} {self.note.delivery.get('number') or ''}".strip()
        letter = f"?subject={quote(title)}&body={quote(note_text(self.note).replace(chr(10), chr(13) + chr(10)))}"
        with self.aside:
            await reach(self.session, CUSTOMER, str(customer), EMAIL, letter=letter)

    def _copy(self) -> None:
        ui.run_javascript(f"navigator.clipboard && navigator.clipboard.writeText({json.dumps(note_text(self.note))})")
        toast(_("Copied"))


def _beside(note: Note, other: Mapping[str, Any]) -> str:
    """What another delivery is to this one."""
    if other["id"] == note.delivery.get("returns_id"):
        return DELIVERY.fields["returns_id"].label
    if other["id"] == note.delivery.get("replaces_id"):
        return DELIVERY.fields["replaces_id"].label
    return _("Came back") if other.get("returns_id") == note.delivery["id"] else _("Goes in exchange")


# the paper ---------------------------------------------------------------------------------------------------------------


def draw_note(note: Note, signature: Picture | None) -> None:
    """The note as it is printed: who sends it, to whom, its goods, and room for signatures."""
    delivery = note.delivery
    with ui.element("div").classes("lc-note-head"):
        with ui.element("div"):
            ui.label(note.company).classes("lc-strong")
            ui.label(_title(note)).classes("lc-note-title")
            ui.label(_told(note, "number")).classes("lc-note-number")
        if number := _told(note, "number"):
            ui.element("img").props(f"src={quoted(qr_address(number))} alt={quoted(number)}").classes("lc-note-code")
    with ui.element("div").classes("lc-note-facts"):
        _fact(
            _("From customer") if note.delivery.get("returns_id") else _("Receiver"),
            " · ".join(filter(None, (_told(note, "customer_id"), note.phone))),
            _told(note, "address"),
            wide=True,
        )
        for key in _FACTS:
            if text := _told(note, key):
                _fact(_label(note, key), text)
    if note.lines:
        _goods(note)
    elif content := _told(note, "content"):
        ui.label(content)
    if remark := _told(note, "remark"):
        _fact(DELIVERY.fields["remark"].label, remark)
    with ui.element("div").classes("lc-note-signs"):
        for label, text in (
            (_("Handed over by"), ""),
            (_("Received by"), signer_of(delivery) or _told(note, "received_by")),
            (_("Received on"), _told(note, "received_on")),
        ):
            with ui.element("div"):
                ui.label(label).classes("lc-label")
                with ui.element("div").classes("lc-note-line"):
                    if signature and label == _("Received by"):
                        told = f"data:{signature.media_type};base64,{signature.text}"
                        ui.element("img").props(f'src={quoted(told)} alt="{_("Signature")}"').classes("lc-note-signature").mark("signature")
                    ui.label(text)
    if files := read_attachments(delivery.get("signature")):
        signed = _("Signed on the screen {time}").format(time=_told(note, "signed_at"))
        late = "" if signature else f" · {_('The picture comes with one of the next exchanges.')}"
        ui.label(f"{signed} · SHA-256 {files[-1].hash[:16]}…{late}").classes("lc-muted lc-small-text")
    elif not delivery.get("returns_id"):
        ui.label(_("Please check the goods on arrival and send one signed copy back.")).classes("lc-muted lc-small-text")


def _label(note: Note, key: str) -> str:
    """What a field is called; of goods that came back not as of goods that went."""
    other = {"date": _("Came back on"), "owner_id": _("Taken back by"), "customer_id": _("From customer")}
    return other.get(key, DELIVERY.fields[key].label) if note.delivery.get("returns_id") else DELIVERY.fields[key].label


def _title(note: Note) -> str:
    return _("Return note") if note.delivery.get("returns_id") else _("Delivery note")


def _goods(note: Note) -> None:
    fields = LINE.fields
    with ui.element("div").classes("lc-scroll"), ui.element("table").classes("lc-table lc-note-goods"):
        with_batch = [fields["batch"].label] if any(line.get("batch") for line in note.lines) else []
        heads("#", fields["product_id"].label, (fields["quantity"].label, "lc-num"), _("Unit"), *with_batch, fields["serials"].label)
        for place, line in enumerate(note.lines, start=1):
            with ui.element("tr"):
                cell(str(place), "lc-muted")
                cell(" ".join(filter(None, (str(line["code"]), str(line.get("description") or "")))))
                cell(_of(line, "quantity"), "lc-num")
                cell(str(line["unit"]))
                if with_batch:
                    cell(_of(line, "batch"))
                cell(", ".join(_of(line, "serials").split()), "lc-wrap")


def _fact(label: str, *texts: str, wide: bool = False) -> None:
    with ui.element("div").classes("lc-whole" if wide else ""):
        ui.label(label).classes("lc-label")
        for text in filter(None, texts):
            ui.label(text).classes("lc-wrap")


def _told(note: Note, key: str) -> str:
    """A field of the delivery in words, days in full; "" where it is empty, or not to be seen."""
    value = note.delivery.get(key)
    return (exact(value) or show(DELIVERY.fields[key], value, note.names.get(key)) or "") if value is not None else ""


def _of(line: Mapping[str, Any], key: str) -> str:
    return show(LINE.fields[key], line.get(key)) or ""


def note_text(note: Note) -> str:
    """The note as plain text, for a message."""
    head = [f"{_title(note)} {_told(note, 'number')}".strip(), note.company]
    facts = [f"{_label(note, key)}: {text}" for key in ("customer_id", "address", *_FACTS[:6]) if (text := _told(note, key))]
    goods = [
        f"{place}. {line.get('description') or ''} × {_of(line, 'quantity')} {line['unit']}".rstrip()
        + (f" ({', '.join(serials)})" if (serials := _of(line, "serials").split()) else "")
        for place, line in enumerate(note.lines, start=1)
    ] or [_told(note, "content")]
    return "\n".join(filter(None, [*head, *facts, *goods]))


register(Screen("delivery_page", "/deliveries/{id}", N_("Delivery"), "local_shipping", "delivery.read", delivery_page, None))
