"""What can be done with a call, from its card, from the log and from a customer's tab. ``ACTIONS`` is the table; later subjects add to ``FURTHER``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.calls.entities import Call, CallState, Direction
from localcrm.domain.crm.entities import Activity, Customer
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.ui.calls.words import shown_number
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.operations import run_service, run_verb, toast

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CALL, CUSTOMER, ACTIVITY = Call.entity_type, Customer.entity_type, Activity.entity_type


@dataclass(frozen=True, slots=True)
class Card:
    """A call as it stands on a screen: the record, whom it may be (``calls.matching.parties``), and the customer it is said to be."""

    call: Mapping[str, Any]
    parties: tuple[Mapping[str, Any], ...] = ()
    linked: str | None = None
    live: bool = False
    """Whether it is the card of a call that came up, which goes when it is done."""

    @property
    def id(self) -> str:
        """Of the call."""
        return str(self.call["id"])

    @property
    def contact(self) -> str | None:
        """Id of the contact who calls, where it is known."""
        return next((party.get("contact_id") for party in self.parties if party.get("id") == self.linked), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAction:
    """One of them. shown: whether this user is offered it for this call · key: presses it on the newest card."""

    id: str
    label_msgid: str
    icon: str
    run: Callable[[Session, Card], Awaitable[None]]
    shown: Callable[[Session, Card], bool] = lambda _session, _card: True
    key: str = ""

    @property
    def label(self) -> str:
        """Name in the language of the moment."""
        return gettext(self.label_msgid)


async def take(session: Session, card: Card) -> None:
    """The call is mine."""
    await run_verb(session, "calls.take_call", {"id": card.id})


async def end(session: Session, card: Card) -> None:
    """It is over."""
    await run_verb(session, "calls.end_call", {"id": card.id})


async def done(session: Session, card: Card) -> None:
    """Nothing is to be written down: the card goes."""
    await run_verb(session, "calls.settle_calls", {"ids": [card.id]})


async def new_customer(session: Session, card: Card) -> None:
    """Enter whoever calls as a customer."""
    saved = await edit_dialog(session, CUSTOMER, preset={"phone": shown_number(card.call["number"])} if card.call["number"] else {})
    if saved:
        await run_verb(session, "calls.link_call", {"id": card.id, "customer": saved["id"]})


async def new_activity(session: Session, card: Card) -> None:
    """The whole form of an activity record."""
    preset = {"customer_id": card.linked, "contact_id": card.contact, "type": "call"}
    if await edit_dialog(session, ACTIVITY, preset={key: value for key, value in preset.items() if value}):
        await run_verb(session, "calls.settle_calls", {"ids": [card.id]})


async def note(session: Session, card: Card) -> None:
    """A line on what was said."""
    with page_dialog().props("persistent no-route-dismiss") as dialog, ui.card().classes("lc-dialog lc-narrow").mark("call-note"):
        ui.label(_("Note to the call")).classes("lc-dialog-title")
        party = next((one for one in card.parties if one.get("id") == card.linked), {})
        ui.label(" · ".join(filter(None, [party.get("name"), party.get("contact"), shown_number(card.call["number"])]))).classes("lc-muted")
        text = ui.textarea(placeholder=_("What was said")).props("outlined autogrow autofocus hide-bottom-space data-act=call-note")
        text.props(f'aria-label="{_("What was said")}"')
        problem = Problem()

        async def save() -> None:
            outcome = await run_verb(
                session,
                "calls.note_call",
                {"id": card.id, "text": str(text.value or "")},
                done=_("Activity recorded"),
                on_error=problem.refuse,
            )
            if outcome.ok:
                dialog.submit(True)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Save"), on_click=save).props("unelevated no-caps data-commit data-act=save-call-note").classes("lc-pri")
    dialog.open()
    await answer_of(dialog)


async def choose(session: Session, card: Card) -> None:
    """Say which customer it was."""
    chosen: str | None = card.linked

    def picked(value: str | None) -> None:
        nonlocal chosen
        chosen = value

    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("call-choose"):
        ui.label(_("Whose call was it?")).classes("lc-dialog-title")
        ui.label(shown_number(card.call["number"])).classes("lc-muted")
        with ui.element("div").classes("lc-field"):
            ui.label(CUSTOMER.label).classes("lc-label")
            chooser = picker(session, "customer", None, picked, create=False)
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Save"), on_click=lambda: dialog.submit(True)).props("unelevated no-caps data-commit").classes("lc-pri")
    ui.timer(0.2, chooser.focus, once=True)
    dialog.open()
    if await answer_of(dialog):
        await link(session, card, chosen)


async def link(session: Session, card: Card, customer: str | None, contact: str | None = None) -> None:
    """It was this customer."""
    await run_verb(session, "calls.link_call", {"id": card.id, "customer": customer, "contact": contact})


async def settle(session: Session, card: Card) -> None:
    """A missed call was seen to, or it waits again."""
    handled = not card.call["handled"]
    done = _("Done: it is no longer among the missed calls") if handled else _("It is among the missed calls again")
    await run_verb(session, "calls.settle_calls", {"ids": [card.id], "handled": handled}, done=done)


def _may_work(session: Session, _card: Card) -> bool:
    return session.may("call.update") and session.looking_as is None


ACTIONS: list[CallAction] = [
    CallAction(
        id="take",
        label_msgid=N_("I have it"),
        icon="call",
        run=take,
        key="f2",
        shown=lambda session, card: _may_work(session, card) and card.call["state"] == CallState.RINGING,
    ),
    CallAction(
        id="note",
        label_msgid=N_("Note…"),
        icon="edit_note",
        run=note,
        key="f4",
        shown=lambda session, card: _may_work(session, card) and bool(card.linked) and session.may("activity.create"),
    ),
    CallAction(
        id="activity",
        label_msgid=N_("New activity"),
        icon="forum",
        run=new_activity,
        key="f9",
        shown=lambda session, card: _may_work(session, card) and bool(card.linked) and session.may("activity.create"),
    ),
    CallAction(
        id="customer",
        label_msgid=N_("New customer"),
        icon="person_add",
        run=new_customer,
        key="f8",
        shown=lambda session, card: _may_work(session, card) and not card.linked and session.may("customer.create"),
    ),
    CallAction(
        id="choose",
        label_msgid=N_("Another customer…"),
        icon="search",
        run=choose,
        shown=lambda session, card: _may_work(session, card) and session.may("customer.read"),
    ),
    CallAction(
        id="end",
        label_msgid=N_("Hang up"),
        icon="call_end",
        run=end,
        shown=lambda session, card: _may_work(session, card) and card.call["state"] == CallState.TALKING,
    ),
    CallAction(
        id="done",
        label_msgid=N_("Done"),
        icon="task_alt",
        run=done,
        shown=lambda session, card: _may_work(session, card) and card.live and card.call["state"] == CallState.ANSWERED,
    ),
]
#: What subjects above this one offer beside a call, such as a service ticket of the customer who calls (``card.linked``).
FURTHER: list[CallAction] = []


def offered(session: Session, card: Card) -> list[CallAction]:
    """What this user may do with a call."""
    return [action for action in (*ACTIONS, *FURTHER) if action.shown(session, card)]


async def by_hand(session: Session) -> None:
    """“I am on a call”: the number is typed and looked for, then the call runs."""
    with page_dialog().props("no-route-dismiss") as dialog, ui.card().classes("lc-dialog lc-narrow").mark("by-hand"):
        ui.label(_("I am on a call")).classes("lc-dialog-title")
        with ui.element("div").classes("lc-field"):
            ui.label(CALL.fields["number"].label).classes("lc-label")
            number = ui.input().props("outlined dense hide-bottom-space autofocus inputmode=tel data-act=number autocomplete=off")
            number.props(f"aria-label={quoted(CALL.fields['number'].label)}")
        way = ui.toggle({one.value: gettext(one.label) for one in Direction}, value=Direction.IN.value)
        way.props("no-caps unelevated dense padding='2px 14px'").classes("lc-choices")
        problem = Problem()
        found = ui.element("div").classes("lc-col").mark("found")

        async def look() -> None:
            from localcrm.ui.calls.card import draw_party

            outcome = await run_verb(session, "calls.who_is", {"number": str(number.value or "")}, on_error=problem.refuse)
            if not outcome.ok:
                return
            problem.hide()
            found.clear()
            with found:
                for party in outcome.value["rows"]:
                    draw_party(party)
                if not outcome.value["rows"]:
                    ui.label(_("Nobody with this number.")).classes("lc-muted")
                if outcome.value["braked"]:
                    ui.label(_("There are others you may not see; ask again in an hour.")).classes("lc-muted lc-small-text")

        async def start() -> None:
            values = {"number": str(number.value or ""), "direction": way.value}
            outcome = await run_verb(session, "calls.start_call", values, on_error=problem.refuse)
            if outcome.ok:
                dialog.submit(True)

        number.on("keydown.enter", look)
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Whose number is it?"), on_click=look).props("unelevated no-caps data-act=who-is").classes("lc-btn")
            ui.button(_("The call runs"), on_click=start).props("unelevated no-caps data-commit data-act=start-call").classes("lc-pri")
    dialog.open()
    await answer_of(dialog)


async def extension_dialog(session: Session) -> None:
    """Which lines are one's own."""

    def own() -> str:
        from localcrm.domain.people.entities import User
        from localcrm.store.query import records_by_id

        with session.store.read() as connection:
            return str(records_by_id(connection, User.entity_type, [session.user_id])[0]["extension"] or "")

    outcome = await run_service(session, own)
    if not outcome.ok:
        return
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("extension-dialog"):
        ui.label(_("My extension")).classes("lc-dialog-title")
        ui.label(_("Calls of these lines come up on your screen alone. Several with blanks between them; empty: none.")).classes("lc-muted")
        field = ui.input(value=outcome.value).props("outlined dense hide-bottom-space autofocus autocomplete=off data-act=extension")
        field.props(f'aria-label="{_("My extension")}"')

        async def save() -> None:
            outcome = await run_verb(session, "calls.set_extension", {"extension": str(field.value or "")})
            if outcome.ok:
                dialog.submit(True)
                toast(_("Settings saved"))

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Save"), on_click=save).props("unelevated no-caps data-commit data-act=save-extension").classes("lc-pri")
    dialog.open()
    await answer_of(dialog)
