"""The card of a call: comes up on every open page of the right user within a second, with the customer at a glance."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from nicegui import background_tasks, context, ui

from localcrm.domain.calls import services
from localcrm.domain.calls.entities import CallState, Direction
from localcrm.domain.crm.entities import Customer
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import gettext as _
from localcrm.ui.calls.deeds import CallAction, Card, link, offered
from localcrm.ui.calls.words import shown_number
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import near_moment, show, show_kind

if TYPE_CHECKING:
    from nicegui.client import Client

    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type
#: Cards that stand on a page at once.
MOST_CARDS = 3
#: While cards stand there they are looked at again after so long.
LOOK_SECONDS = 20.0
#: Whose changes a card shows; of all of them that there was one is told, and only what concerns the user is read.
SHOWN = frozenset({"call", "call_party", "user"})


class Switchboard:
    """The calls of one session, for all its pages."""

    def __init__(self, session: Session) -> None:
        self._session = ref(session)
        self.pages: dict[Client, Callable[[], None]] = {}
        self.cards: list[Card] = []
        #: Closed on these pages: the call goes on.
        self.closed: set[str] = set()
        self._running: asyncio.Task[None] | None = None
        self._again = False
        self._later: asyncio.TimerHandle | None = None

    @property
    def shown(self) -> list[Card]:
        """What stands on the pages, the newest call first."""
        return [card for card in self.cards if card.id not in self.closed]

    def join(self, client: Client, draw: Callable[[], None]) -> None:
        """Draw on this page too, until it is gone."""
        here = contextvars.copy_context()  # in the language of the page, whoever looks
        self.pages[client] = lambda: here.run(draw)
        client.on_delete(lambda: self.pages.pop(client, None))
        draw()
        self.changed()

    def changed(self, _changes: Any = None) -> None:
        """Something was written that a card may show: look, and once more if it is written again meanwhile."""
        if self._running is not None and not self._running.done():
            self._again = True
        else:
            self._running = background_tasks.create(self._look(), name="calls")

    def close(self, call: str) -> None:
        """Take a card away on the pages of this session."""
        self.closed.add(call)
        self.draw()

    def draw(self) -> None:
        """On every page."""
        for client, draw in list(self.pages.items()):
            if not client.is_deleted:
                draw()

    async def _look(self) -> None:
        self._again = True
        while self._again:
            self._again = False
            session = self._session()
            if session is None or session.locked or session.looking_as is not None or session.program.stopping:
                return
            try:
                found = await asyncio.to_thread(_read, session)
            except AppError:  # signed out, locked, or a file that cannot be read just now: the next change tells
                return
            del session
            if found != self.cards:
                self.cards = found
                self.closed &= {card.id for card in found}
                self.draw()
        if self._later is not None:
            self._later.cancel()
        # Time alone takes away what has ended, and what nobody tells the end of.
        self._later = asyncio.get_running_loop().call_later(LOOK_SECONDS, self.changed) if self.cards and self.pages else None


def _read(session: Session) -> list[Card]:
    store, actor = session.store, session.actor
    with store.read() as connection:
        found = []
        for call in services.on_screen(connection, store.node, actor, moment(store.clock)):
            told = services.card(connection, store.node, actor, call)
            found.append(Card(told["call"], tuple(told["parties"]), told["linked"], live=True))
    return found


_boards: WeakKeyDictionary[Session, Switchboard] = WeakKeyDictionary()


def board_of(session: Session) -> Switchboard:
    """The calls of a session."""
    return _boards.setdefault(session, Switchboard(session))


def corner(session: Session) -> None:
    """The place of the cards on the page of the moment; the frame calls this."""
    if session.looking_as is not None or not session.may("call.read"):
        return
    box = ui.element("div").classes("lc-calls").props('role="region" aria-live="assertive"')
    dialogs = ui.element("div")  # what is asked stays while the cards are drawn anew
    board, client = board_of(session), context.client

    def draw() -> None:
        if box.is_deleted:
            return
        box.clear()
        with box:
            for place, card in enumerate(board.shown[:MOST_CARDS]):
                _draw(session, board, card, dialogs, newest=place == 0)

    ui.timer(0, lambda: board.join(client, draw), once=True)
    session.program.subscribe(SHOWN, board.changed, held=lambda: session.locked)


def _draw(session: Session, board: Switchboard, card: Card, dialogs: ui.element, *, newest: bool) -> None:
    call = card.call
    with ui.element("section").classes("lc-call").props(f"data-state={call['state']} data-call={card.id}"):
        with ui.element("div").classes("lc-row lc-call-head"):
            ui.icon("phone_callback" if call["direction"] == Direction.IN else "phone_forwarded").classes("lc-call-icon")
            with ui.element("div").classes("grow lc-cut"):
                ui.label(_head(call)).classes("lc-small-text lc-muted lc-cut")
                ui.label(shown_number(call["number"])).classes("lc-call-number")
            ui.button(icon="close", on_click=partial(board.close, card.id)).props(
                f'flat dense round size=sm data-act=close-call aria-label="{_("Close")}"'
            )
        for party in card.parties:
            draw_party(party, choose=choosing(session, card, party, dialogs))
        if not card.parties:
            ui.label(_("Nobody with this number.")).classes("lc-muted lc-call-party")
        with ui.element("div").classes("lc-row lc-call-buttons"):
            for action in offered(session, card):
                _button(session, card, action, dialogs, keyed=newest)


def _head(call: Mapping[str, Any]) -> str:
    if call["state"] in {CallState.TALKING, CallState.ANSWERED}:
        state = _("On the line") if call["state"] == CallState.TALKING else _("Call ended")
    else:
        state = _("Incoming call") if call["direction"] == Direction.IN else _("Outgoing call")
    line = _("line {line}").format(line=call["line"]) if call["line"] else ""
    return " · ".join(filter(None, [state, line, near_moment(call["rang_at"])]))


def _button(session: Session, card: Card, action: CallAction, dialogs: ui.element, *, keyed: bool) -> None:
    async def run() -> None:
        with dialogs:
            await action.run(session, card)

    key = f" data-key={action.key}" if keyed and action.key else ""
    look = "unelevated" if action.id == "take" else "flat"
    with ui.button(on_click=run).props(f"{look} no-caps dense icon={action.icon} data-act=call-{action.id}{key}") as button:
        button.classes("lc-pri" if action.id == "take" else "")
        ui.label(action.label)
        if keyed and action.key:
            ui.label(own_key(action.key)).classes("lc-kbd q-ml-xs lc-wide-only")


def choosing(session: Session, card: Card, party: Mapping[str, Any], dialogs: ui.element) -> Callable[[], Any] | None:
    """What says that it is this one, of several."""
    if party["kind"] != "customer" or party.get("masked") or party.get("id") == card.linked or not session.may("call.update"):
        return None

    async def chosen() -> None:
        with dialogs:
            await link(session, card, party["id"], party.get("contact_id"))

    return chosen


def draw_party(party: Mapping[str, Any], *, choose: Callable[[], Any] | None = None) -> None:
    """Whom it may be, as far as the user may know. ``choose``: says that it is this one."""
    with ui.element("div").classes("lc-call-party").props(f"data-kind={party['kind']} data-masked={int(bool(party.get('masked')))}"):
        if party.get("masked"):
            ui.label(_("A customer of a colleague")).classes("lc-strong")
            ui.label(_whose(party)).classes("lc-small-text")
            return
        with ui.element("div").classes("lc-row"):
            place = f"/customers/{party['id']}" if party["kind"] == "customer" else f"/suppliers?open={party['id']}"
            with ui.element("a").props(f"href={quoted(place)}").classes("lc-strong lc-cut grow"):
                ui.label(str(party["name"] or "—")).classes("lc-cut")
            if party.get("level"):
                ui.label(show(CUSTOMER.fields["level"], party["level"]) or "").classes("lc-chip").props("data-tone=good")
            if party["kind"] == "supplier":
                ui.label(_("Supplier")).classes("lc-chip")
            if choose is not None:
                ui.button(_("It is this one"), on_click=choose).props("flat dense no-caps size=sm data-act=call-link")
        who = " · ".join(str(part) for part in (party.get("contact"), party.get("contact_title")) if part)
        if who:
            ui.label(who).classes("lc-cut")
        if party["owner"] and not party.get("mine"):
            ui.label(_whose(party)).classes("lc-small-text" + ("" if party.get("foreign") else " lc-muted"))
        facts = [
            (_("Unpaid"), show_kind("money", party.get("unpaid")) if Decimal(party.get("unpaid") or 0) else None),
            (_("Next contact"), _moment(party.get("next_contact"))),
            (_("Latest"), _latest(party)),
        ]
        for label, text in facts:
            if text:
                with ui.element("div").classes("lc-call-fact"):
                    ui.label(label).classes("lc-muted")
                    ui.label(text).classes("lc-cut")


def _moment(value: datetime | str | None) -> str | None:
    """As the record has it, or as a verb tells it."""
    return show_kind("datetime", datetime.fromisoformat(value) if isinstance(value, str) else value)


def _latest(party: Mapping[str, Any]) -> str | None:
    text = str(party.get("last_content") or "").split("\n")[0]
    return " ".join(filter(None, [_moment(party.get("last_at")), text])) or None


def _whose(party: Mapping[str, Any]) -> str:
    """Whom to call about a customer."""
    parts = [party["owner"] or _("nobody's so far"), party.get("branch") if party.get("foreign") else None]
    if party.get("extension"):
        parts.append(_("extension {extension}").format(extension=party["extension"]))
    return _("Salesperson: {who}").format(who=" · ".join(filter(None, parts)))
