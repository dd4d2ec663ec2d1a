"""Tickets on a board, those first that run out first, and as a list of all there ever were."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain.service.desk import MOST, Line, Wanted, undone
from localcrm.domain.service.entities import TicketState, TicketType
from localcrm.domain.service.rules import UNDONE
from localcrm.domain.service.tickets import TICKET
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.store.query import Record
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, action_button, action_keys, context_menu
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import show
from localcrm.ui.kit.views import view_links as views_of_records
from localcrm.ui.operations import run_service, show_failure
from localcrm.ui.registry import Badge, Screen, register
from localcrm.ui.screens.records import copy_title, delete_with_undo, history_dialog
from localcrm.ui.service import calls, deeds, words  # noqa: F401 -- a call offers a ticket
from localcrm.ui.service.sheet import SHOWS

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

PATH = "/tickets"
#: The chip of tickets whose customers are to be asked again.
AGAIN = "again"
#: Cards of a column that are shown, until somebody asks for more.
CARDS = 40
Handler = Callable[[Record], Awaitable[Any]]


async def open_ticket(identity: str) -> None:
    """Go to the page of a ticket."""
    ui.navigate.to(f"{PATH}/{identity}")


def ticket_actions(session: Session, chosen: Callable[[], str | None]) -> list[Action]:
    """What can be done with the ticket under the cursor of a board or a list."""
    may = session.may

    def on(deed: Handler) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if identity := chosen():
                outcome = await run_service(session, lambda: load_typed(session, TICKET, identity))
                if outcome.ok:
                    await deed(outcome.value)

        return run

    change = may("ticket.update")
    wanted = [
        (True, Action("open", _("Open record"), on(lambda ticket: open_ticket(ticket["id"])), "enter")),
        (change, Action("take", _("Take up"), on(lambda ticket: deeds.step(session, "take_up", ticket["id"], done=_("Taken up"))), "t")),
        (change, Action("close", _("Close…"), on(partial(deeds.close, session)), "x")),
        (may("ticket.transfer"), Action("assign", _("Pass on…"), on(partial(deeds.hand_over, session)), "o")),
        (change, Action("merge", _("Merge with another…"), on(partial(deeds.merge, session)), "m")),
        (change, Action("edit", _("Edit"), on(lambda ticket: edit_dialog(session, TICKET, identity=ticket["id"])), "e")),
        (True, Action("history", _("History"), on(lambda ticket: history_dialog(session, TICKET, ticket["id"])), "h", divided=True)),
        (True, Action("copy", _("Copy name"), on(lambda ticket: copy_title(session, TICKET, ticket["id"])), "c")),
        (
            may("ticket.delete"),
            Action("delete", _("Delete"), on(lambda ticket: delete_with_undo(session, TICKET, ticket["id"])), "delete", danger=True),
        ),
    ]
    return [action for shown, action in wanted if shown]


def view_links(active: str) -> None:
    """Board and list of the same tickets, what keeps coming back, and how content customers are."""
    views = {"board": (_("Board"), PATH), "list": (_("As a list"), f"{PATH}/list"), "faults": (_("Repeats"), f"{PATH}/faults")}
    views["satisfaction"] = (_("Satisfaction"), f"{PATH}/satisfaction")
    views_of_records(views, active)


def new_button(session: Session) -> None:
    """The button for a new ticket, where the user may."""
    if session.may("ticket.create"):
        with ui.button(on_click=partial(start, session)).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
            ui.label(_("＋ New ticket"))
            ui.label(own_key("n")).classes("lc-kbd")


async def start(session: Session, **preset: Any) -> None:
    """Enter a ticket and go on with it."""
    if identity := await deeds.new_ticket(session, **preset):
        await open_ticket(identity)


def head_assets() -> None:
    """Style sheets and scripts of the board."""
    sheets = "".join(f'<link rel="stylesheet" href="{asset(name)}">' for name in ("pages.css", "board.css", "service.css"))
    ui.add_head_html(sheets + f'<script src="{asset("board.js")}" defer></script>')


# the board -----------------------------------------------------------------------------------------------------------


async def tickets(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen."""
    await _Board(session, parameters).build()


class _Board:
    """The state of one open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.wanted = Wanted(assignee_id=session.actor.user_id if parameters.get("mine") else None)
        self.chosen: str | None = None
        self.more: dict[str, int] = {}
        self.turn = 0

    async def build(self) -> None:
        """Skeleton, then the cards."""
        session = self.session
        with page_frame(session, title=_("Tickets"), active="tickets"):
            head_assets()
            actions = ticket_actions(session, lambda: self.chosen)
            with page_head(_("Tickets")):
                with ui.element("div").classes("lc-board-filter"):
                    types = {"": _("All types"), **{one.value: show(TICKET.fields["type"], one.value) or "" for one in TicketType}}
                    ui.select(types, value="", on_change=self._by_type).props(
                        f'outlined dense options-dense aria-label="{_("Type")}"'
                    ).mark("by-type")
                for kind, label, value, chosen in (
                    ("user", _("All assignees"), self.wanted.assignee_id, self._by_user),
                    ("branch", _("All branches"), None, self._by_branch),
                ):
                    if session.may(f"{kind}.read"):
                        with ui.element("div").classes("lc-board-filter").mark(f"by-{kind}"):
                            picker(session, kind, value, chosen, create=False, label=label).props["placeholder"] = label
                ui.space()
                with ui.element("div").classes("lc-row"):
                    view_links("board")
                    action_button(actions)
                    new_button(session)
            self.partly = ui.label(_("The {count} oldest are shown. All of them are in the list.").format(count=f"{MOST:,}"))
            self.partly.classes("lc-notice lc-info").set_visibility(False)
            with ui.element("div").classes("lc-board-box"):
                self.box = ui.element("div").classes("lc-board").props(f'aria-label="{_("Board")}"').mark("board")
                context_menu(actions)
            action_keys(actions)
        ui.on("board", self._heard)
        ui.timer(0.02, self.draw, once=True)
        ui.timer(60, self.draw)  # time runs
        session.subscribe(SHOWS, lambda _changes: self.draw())

    async def draw(self) -> None:
        """Read the board and show it; a newer wish wins."""
        self.turn += 1
        turn, wanted = self.turn, self.wanted

        def read() -> list[Line]:
            with self.session.store.read() as connection:
                return undone(connection, self.session.actor, wanted, now_utc())

        outcome = await run_service(self.session, read)
        if outcome.ok and turn == self.turn:
            self.partly.set_visibility(len(outcome.value) >= MOST)
            data = json.dumps(self._shown(outcome.value), ensure_ascii=False)
            ui.run_javascript(f"localcrm.board.show({json.dumps(f'c{self.box.id}')}, {data})")

    def _shown(self, lines: Sequence[Line]) -> dict[str, Any]:
        columns = [self._column(state, [line for line in lines if line.record["state"] == state]) for state in UNDONE]
        done: dict[str, Any] = {"key": TicketState.CLOSED.value, "name": _("Closed"), "slim": True, "count": 0, "cards": []}
        columns.append({**done, "drop": True, "hint": _("Drop solved tickets here")})
        return {"columns": columns, "movable": self.session.may("ticket.update")}

    def _column(self, state: TicketState, lines: Sequence[Line]) -> dict[str, Any]:
        most = self.more.get(state.value, CARDS)
        left = len(lines) - most
        return {
            "key": state.value,
            "name": show(TICKET.fields["state"], state.value),
            "count": len(lines),
            "drop": state is not TicketState.OPEN,
            "hint": _("Nothing here"),
            "more": _("{count} more").format(count=f"{left:,}") if left > 0 else "",
            "cards": [_card(line) for line in lines[:most]],
        }

    async def _heard(self, event: events.GenericEventArguments) -> None:
        try:
            await self._do(*(event.args.get(key) for key in ("kind", "card", "column")))
        except InvalidInput as error:  # what a browser says need not be an id
            show_failure(error)

    async def _do(self, kind: object, card: object, column: object) -> None:
        if kind == "choose":
            self.chosen = str(card) if card else None
        elif kind == "open" and card:
            await open_ticket(parse_id(str(card)))
        elif kind == "more" and column:
            self.more[str(column)] = self.more.get(str(column), CARDS) + CARDS
            await self.draw()
        elif kind == "move" and card and column:
            await self._move(parse_id(str(card)), str(column))

    async def _move(self, card: str, column: str) -> None:
        """What a card means in the column it was dropped into."""
        outcome = await run_service(self.session, lambda: load_typed(self.session, TICKET, card))
        if not outcome.ok:
            return
        ticket = outcome.value
        if column == TicketState.CLOSED:
            await deeds.close(self.session, ticket)
        elif column == TicketState.WAITING:
            await deeds.wait(self.session, ticket)
        elif ticket.get("state") == TicketState.WAITING:
            await deeds.step(self.session, "resume", card, done=_("The clock runs again"))
        else:
            await deeds.step(self.session, "take_up", card, done=_("Taken up"))

    async def _by_user(self, identity: str | None) -> None:
        self.wanted = replace(self.wanted, assignee_id=identity)
        await self.draw()

    async def _by_branch(self, identity: str | None) -> None:
        self.wanted = replace(self.wanted, branch_id=identity)
        await self.draw()

    async def _by_type(self, event: Any) -> None:
        self.wanted = replace(self.wanted, type=event.value or None)
        await self.draw()


def _card(line: Line) -> dict[str, Any]:
    record, (text, tone) = line.record, words.glance(line.clocks, str(line.record["state"]))
    return {
        "id": record["id"],
        "title": str(record.get("title") or record.get("number") or ""),
        "customer": line.names.get("customer_id", ""),
        "owner": line.names.get("assignee_id") or (_("nobody yet") if "assignee_id" in record else ""),
        "amount": "",
        "percent": " · ".join(
            filter(None, (show(TICKET.fields["type"], record.get("type")), show(TICKET.fields["priority"], record.get("priority"))))
        ),
        "days": text,
        "daysTip": words.due(line.clocks.next) if line.clocks else "",
        "tone": tone,
        "next": str(record.get("number") or ""),
        "late": False,
    }


# the list ------------------------------------------------------------------------------------------------------------


def ticket_list(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the list of all tickets; ``again``: those whose customers are to be asked again, ``mine``: one's own."""
    _List(session, parameters).build()


class _List:
    """One open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.where: list[tuple[str, str, Any]] = [("assignee_id", "=", session.actor.user_id)] if parameters.get("mine") else []
        self.begin = AGAIN if parameters.get("again") else ""
        self.chips: dict[str, ui.button] = {}

    def build(self) -> None:
        """List first; its filters above it."""
        session = self.session
        with page_frame(session, title=_("Tickets"), active="tickets"):
            head_assets()
            actions = ticket_actions(session, lambda: self.grid.chosen)
            with page_head(_("Tickets")):
                tools = ui.element("div").classes("lc-row")
                with ui.element("div").classes("lc-quick").mark("filters"):
                    for key, label in (
                        ("", _("All")),
                        ("undone", _("Not done with")),
                        (AGAIN, _("To ask again")),
                        (TicketState.CLOSED.value, show(TICKET.fields["state"], TicketState.CLOSED.value) or ""),
                    ):
                        chip = ui.button(label, on_click=partial(self._narrow, key)).props("flat dense no-caps").classes("lc-chip")
                        self.chips[key] = chip.mark(f"show-{key or 'all'}")
                ui.space()
                with ui.element("div").classes("lc-row"):
                    view_links("list")
                    right = ui.element("div").classes("lc-row")
                    new_button(session)
            self.grid = RecordGrid(session, TICKET, actions=actions, on_open=open_ticket, where=self._asked(self.begin), empty=self._empty)
            with tools:
                self.grid.search_box(_("Subject, number, serial number, pinyin"))
                self.grid.total()
            with right:
                action_button(actions)
                self.grid.tools()
        self._mark(self.begin)

    def _empty(self) -> None:
        ui.label(_("No tickets here."))
        if self.session.may("ticket.create"):
            ui.button(_("＋ New ticket"), on_click=partial(start, self.session)).props("unelevated no-caps").classes("lc-btn")

    def _narrow(self, key: str) -> None:
        self.grid.where = self._asked(key)
        self.grid.requery()
        self._mark(key)

    def _asked(self, key: str) -> list[tuple[str, str, Any]]:
        """The conditions that a chip stands for."""
        today = now_utc().astimezone().date().isoformat()
        chips: dict[str, list[tuple[str, str, Any]]] = {
            "": [],
            "undone": [("state", "in", [state.value for state in UNDONE])],
            AGAIN: [("state", "=", TicketState.CLOSED.value), ("revisit_on", "<=", today), ("revisit_result", "blank", None)],
        }
        return [*self.where, *chips.get(key, [("state", "=", key)])]

    def _mark(self, chosen: str) -> None:
        for key, chip in self.chips.items():
            chip.classes(add="lc-acc" if key == chosen else "", remove="" if key == chosen else "lc-acc")


def _overdue(session: Session) -> int:
    """Tickets of one's own that are overdue."""
    with session.store.read() as connection:
        found = undone(connection, session.actor, Wanted(assignee_id=session.actor.user_id), now_utc())
    return sum(
        1 for line in found if line.clocks is not None and line.record["state"] != TicketState.WAITING and line.clocks.colour == "bad"
    )


register(
    Screen(
        "tickets",
        PATH,
        N_("Tickets"),
        "confirmation_number",
        "ticket.read",
        tickets,
        "service",
        10,
        badge=Badge(_overdue, frozenset({"ticket", "ticket_event"}), N_("{count} of your tickets are overdue")),
    ),
    Screen("ticket_list", f"{PATH}/list", N_("List of tickets"), "list", "ticket.read", ticket_list, None, lists="ticket"),
)
