"""What waits for somebody's approval, what he submitted himself, and what he decided."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.approvals.documents import DOCUMENTS
from localcrm.domain.approvals.entities import Decision
from localcrm.domain.approvals.inbox import Entry, inbox, waiting_count
from localcrm.domain.approvals.rules import State
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import entity as entity_type
from localcrm.ui.endpoints import record_path
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.approval import TONES, approve_dialog, joined, reject_dialog, withdraw_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.menu import Action, action_button, action_keys, context_menu
from localcrm.ui.kit.places import place_of
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import exact, near_moment
from localcrm.ui.operations import run_service, toast
from localcrm.ui.registry import Badge, Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

BOXES = {"waiting": N_("Waiting for me"), "mine": N_("Submitted by me"), "decided": N_("Decided by me")}
EMPTY = {
    "waiting": N_("Nothing waits for you."),
    "mine": N_("You have not submitted anything yet. An order that needs an approval says so on its page."),
    "decided": N_("You have not decided anything yet."),
}


async def approvals(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; ?box= says which list."""
    await Inbox(session, parameters.get("box", "")).build()


class Inbox:
    """One open page."""

    def __init__(self, session: Session, box: str) -> None:
        self.session = session
        self.box = box if box in BOXES else "waiting"
        self.chips: dict[str, ui.button] = {}
        self.entries: list[Entry] = []
        self.rows: list[ui.element] = []
        self.at = 0

    async def build(self) -> None:
        """Boxes above, the list below."""
        with page_frame(self.session, title=_("Approvals"), active="approvals"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            actions = self._actions()
            with page_head(_("Approvals")):
                with ui.element("div").classes("lc-quick").mark("boxes"):
                    for box, label in BOXES.items():
                        chip = ui.button(on_click=partial(self._choose, box)).props("flat dense no-caps").classes("lc-chip")
                        with chip.mark(f"box-{box}"):
                            ui.label(_(label))
                        self.chips[box] = chip
                ui.space()
                action_button(actions)
            with ui.element("div").classes("lc-card lc-scroll lc-fill") as self.card:
                self.list = ui.element("div").mark("entries")
                context_menu(actions)
            action_keys([*actions, *self._moves()])
        await self.draw()
        self.session.subscribe({"approval_request", "approval_step", *DOCUMENTS}, lambda _changes: self.draw())

    def _read(self) -> tuple[list[Entry], int]:
        self.session.check()  # what he sees because it waits for him may be newer than what the session knows
        with self.session.store.read() as connection:
            entries = inbox(connection, self.session.actor, box=self.box)
            waiting = entries if self.box == "waiting" else inbox(connection, self.session.actor, box="waiting")
        return entries, len(waiting)

    async def draw(self) -> None:
        """Read and show; the chosen line stays chosen."""
        outcome = await run_service(self.session, self._read)
        if not outcome.ok:
            return
        chosen = self.entry.request.record["id"] if self.entry else None
        self.entries, waiting = outcome.value
        self.at = place_of([one.request.record["id"] for one in self.entries], chosen, self.at)
        for box, chip in self.chips.items():
            chip.classes(add="lc-acc" if box == self.box else "", remove="" if box == self.box else "lc-acc")
        self.chips["waiting"].clear()
        with self.chips["waiting"]:
            ui.label(_(BOXES["waiting"]))
            if waiting:
                ui.label(str(waiting)).classes("lc-count").mark("waiting-count")
        self.list.clear()
        self.rows = []
        with self.list:
            self._draw_list()

    def _draw_list(self) -> None:
        if not self.entries:
            with ui.element("div").classes("lc-empty"):
                ui.label(_(EMPTY[self.box]))
            return
        with ui.element("table").classes("lc-table"):
            heads(_("Document"), (_("Flow"), "lc-hide-phone"), (_("Submitted by"), "lc-hide-phone"), (_("State"), self._state_class), "")
            for place, entry in enumerate(self.entries):
                self._draw_row(place, entry)

    def _draw_row(self, place: int, entry: Entry) -> None:
        record, names, state = entry.request.record, entry.names, entry.request.state
        row = ui.element("tr").classes("lc-hover" + (" lc-on" if place == self.at else "")).mark(f"entry-{place}")
        row.on("click", partial(self._mark, place)).on("contextmenu", partial(self._mark, place)).on("dblclick", self.open)
        self.rows.append(row)
        with row:
            with ui.element("td"):
                ui.label(entry.title or _("no longer to be seen")).classes("lc-strong" if entry.title else "lc-muted")
                told = f"{entity_type(record['entity']).label} · {near_moment(record['submitted_at'])}"
                ui.label(told).classes("lc-small-text lc-muted").tooltip(exact(record["submitted_at"]) or "")
                if record["comment"]:
                    ui.label(f"“{record['comment']}”").classes("lc-small-text")
            cell(record["flow"], "lc-hide-phone")
            cell(names.get(record["author_id"], ""), "lc-hide-phone")
            with ui.element("td").classes(self._state_class):
                with ui.element("div").classes("lc-row"):
                    if entry.decision is not None:
                        own = Decision(entry.decision["decision"])
                        _chip(_("I: {decision}").format(decision=gettext(own.label)), TONES[State(own)])
                    _chip(gettext(state.label), TONES[state])
                ui.label(_told(entry)).classes("lc-small-text lc-muted")
            with ui.element("td").classes("lc-num"):
                if self.box == "waiting":
                    with ui.element("div").classes("lc-row").style("justify-content:flex-end"):
                        reject = ui.button(_("Reject…"), on_click=partial(self._at, place, self.reject)).props(
                            "flat dense no-caps color=negative"
                        )
                        reject.mark(f"reject-{place}")
                        approve = ui.button(_("Approve…"), on_click=partial(self._at, place, self.approve)).props("flat dense no-caps")
                        approve.mark(f"approve-{place}")

    @property
    def _state_class(self) -> str:
        """What waits for one is all in the same state: on a phone the buttons have its place."""
        return "lc-hide-phone" if self.box == "waiting" else ""

    # which line ------------------------------------------------------------------------------------------------------

    @property
    def entry(self) -> Entry | None:
        """The chosen line."""
        return self.entries[self.at] if 0 <= self.at < len(self.entries) else None

    def _mark(self, place: int) -> None:
        self.at = place
        for number, row in enumerate(self.rows):
            row.classes(add="lc-on" if number == place else "", remove="" if number == place else "lc-on")

    async def _at(self, place: int, act: Callable[[], Awaitable[None]]) -> None:
        self._mark(place)
        await act()

    def _step(self, way: int) -> None:
        if self.rows:
            self._mark((self.at + way) % len(self.rows))

    def _moves(self) -> list[Action]:
        return [
            Action("down", "", lambda: self._step(1), "arrowdown", listed=False),
            Action("up", "", lambda: self._step(-1), "arrowup", listed=False),
        ]

    async def _choose(self, box: str) -> None:
        self.box, self.at = box, 0
        await self.draw()

    # what is done ----------------------------------------------------------------------------------------------------

    def _actions(self) -> list[Action]:
        return [
            Action("open", _("Open record"), self.open, "enter"),
            Action("approve", _("Approve…"), self.approve, "a", divided=True),
            Action("reject", _("Reject…"), self.reject, "x", danger=True),
            Action("withdraw", _("Withdraw"), self.withdraw, "w", divided=True),
        ]

    async def open(self, _event: Any = None) -> None:
        """Go to the document."""
        if self.entry is None:
            return
        if not self.entry.title:
            toast(_("You saw this only while it waited for you."))
            return
        record = self.entry.request.record
        ui.navigate.to(record_path(record["entity"], record["record"]))

    async def approve(self) -> None:
        """Approve the chosen one."""
        await self._decide(approve_dialog)

    async def reject(self) -> None:
        """Reject it."""
        await self._decide(reject_dialog)

    async def withdraw(self) -> None:
        """Take back what one submitted."""
        await self._decide(withdraw_dialog)

    async def _decide(self, dialog: Callable[[Session, str], Awaitable[bool]]) -> None:
        if self.entry is None:
            return
        await dialog(self.session, self.entry.request.record["id"])
        with self.card:
            await self.draw()


def _chip(text: str, tone: str) -> None:
    ui.label(text).classes("lc-chip").props(f"data-tone={tone or 'plain'}")


def _told(entry: Entry) -> str:
    """Who is asked, or who had the last word."""
    request, names = entry.request, entry.names
    if request.state == State.WAITING:
        return _("waits for {names}").format(names=joined([names[user] for user in entry.asked if user in names]))
    last = request.decisions[-1]
    return " · ".join(part for part in (names.get(last["user_id"]), near_moment(last["decided_at"]), last["comment"]) if part)


def _waiting(session: Session) -> int:
    with session.store.read() as connection:
        return waiting_count(connection, session.actor)


#: What decides whom a document waits for: requests, decisions, and who is who.
_DECIDING = frozenset({"approval_request", "approval_step", "user", "user_role", "role", "department"})
register(
    Screen(
        "approvals",
        "/approvals",
        N_("Approvals"),
        "task_alt",
        None,
        approvals,
        "trade",
        60,
        badge=Badge(_waiting, _DECIDING, N_("{count} documents wait for your approval")),
    )
)
