"""The page of one ticket: what happened at left with the box to answer, how it stands, parts and facts at right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.service.desk import Row, Sheet, ticket_sheet
from localcrm.domain.service.entities import EventKind, TicketState
from localcrm.domain.service.parts import PART
from localcrm.domain.service.rules import UNDONE, Clock, fill_answer
from localcrm.domain.service.tickets import EVENT, TICKET
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import gettext as _
from localcrm.store.query import Record
from localcrm.ui.frame import page_head
from localcrm.ui.kit.detail import facts
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, action_button, action_keys
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import exact, near_moment, show, show_kind, tone
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.screens.records import delete_with_undo, history_dialog
from localcrm.ui.service import deeds, words

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Kinds of records whose changes draw the page anew.
SHOWS = frozenset({"ticket", "ticket_event", "ticket_part", "service_level", "work_hours", "calendar_day", "canned_answer"})
ICONS = {
    EventKind.OPENED: "flag",
    EventKind.TAKEN: "play_arrow",
    EventKind.ASSIGNED: "person",
    EventKind.PRIORITY: "priority_high",
    EventKind.REMARK: "sticky_note_2",
    EventKind.ANSWER: "reply",
    EventKind.VISIT: "home_repair_service",
    EventKind.WAITING: "hourglass_empty",
    EventKind.RESUMED: "mark_chat_read",
    EventKind.CLOSED: "check_circle",
    EventKind.REOPENED: "replay",
    EventKind.REVISIT: "support_agent",
    EventKind.MERGED: "merge",
    EventKind.SPLIT: "call_split",
}
_FACTS = ("customer_id", "contact_id", "product_id", "serial", "warranty_until", "type", "channel", "branch_id", "opened_at")
_LATER = ("solution", "satisfaction", "revisit_on", "revisit_result", "order_id", "files")


class TicketPage:
    """One open page; it reads and draws itself anew, what is being typed stays."""

    def __init__(self, session: Session, identity: str) -> None:
        self.session, self.identity = session, identity
        self.record: Record = {}
        self.drawn: dict[int, str] = {}
        self.may_change = session.may("ticket.update")
        self.turn = 0

    async def build(self) -> None:
        """Frame first; what is in it comes as it is read."""
        with page_head(TICKET.label) as self.head:
            self.title: Any = next(iter(self.head))
            self.chips = ui.element("div").classes("lc-row lc-wrap-row")
            ui.space()
            self.tools = ui.element("div").classes("lc-row lc-ticket-tools")
        with ui.element("div").classes("lc-ticket").mark("ticket"):
            with ui.element("div").classes("lc-col lc-ticket-main"):
                self.asked = ui.element("div").classes("lc-card lc-pad")
                if self.may_change:
                    self._reply_box()
                self.way = ui.element("div").classes("lc-card lc-ticket-way").mark("way")
            with ui.element("div").classes("lc-col"):
                self.clocks = ui.element("div").classes("lc-card lc-pad lc-ticket-clocks").mark("clocks")
                self.side = ui.element("div").classes("lc-col")
        await self.draw()
        self.session.subscribe(SHOWS, lambda _changes: self.draw())
        ui.timer(30, self.draw)  # time runs

    def _read(self) -> Sheet:
        with self.session.store.read() as connection:
            return ticket_sheet(connection, self.session.actor, self.identity, now_utc())

    async def draw(self) -> None:
        """Read and show what is different; a newer wish wins."""
        self.turn += 1
        turn = self.turn
        outcome = await run_service(self.session, self._read, on_error=lambda _error: True)
        if turn != self.turn or self.head.is_deleted:
            return
        if not outcome.ok:
            self._gone()
            return
        sheet: Sheet = outcome.value
        self.record = record = sheet.line.record
        names = sheet.line.names
        glance = words.glance(sheet.line.clocks, str(record.get("state")))
        stand = sheet.line.clocks and [
            (one, words.left(one), words.due(one)) for one in (sheet.line.clocks.answer, sheet.line.clocks.solve)
        ]
        parts: tuple[tuple[ui.element, Callable[[Sheet], None], Any], ...] = (
            (self.chips, self._chips, (record, glance)),
            (self.tools, self._tools, record.get("state")),
            (self.asked, self._asked, (record, names)),
            (self.way, self._way, (sheet.events, sheet.merged)),
            (self.clocks, self._clocks, stand and [said for _clock, *said in stand]),
            (self.side, self._side, (record, names, sheet.parts, sheet.merged, sheet.charge)),
            *([(self.answers, self._ready_answers, (sheet.answers, record, names))] if self.may_change else []),
        )
        for box, fill, told in parts:  # a menu that is open, and what is marked to be copied, stay where nothing changed
            if self.drawn.get(box.id) != (now := repr(told)):
                self.drawn[box.id] = now
                box.clear()
                with box:
                    fill(sheet)

    def _gone(self) -> None:
        self.chips.clear()
        with self.chips:
            ui.label(_("This ticket does not exist, was deleted, or is not yours to see.")).classes("lc-muted")
        for box in (self.tools, self.asked, self.way, self.clocks, self.side, *([self.reply] if self.may_change else [])):
            box.set_visibility(False)

    # head --------------------------------------------------------------------------------------------------------------

    def _chips(self, sheet: Sheet) -> None:
        record, (text, shade) = self.record, words.glance(sheet.line.clocks, str(self.record.get("state")))
        self.title.set_text(str(record.get("title") or record.get("number") or TICKET.label))
        ui.label(str(record.get("number") or "")).classes("lc-muted").mark("number")
        told = (
            (show(TICKET.fields["state"], record.get("state")), "acc"),
            (show(TICKET.fields["priority"], record.get("priority")), tone(TICKET.fields["priority"], record.get("priority"))),
            (text, shade),
        )
        for value, colour in told:
            if value:
                ui.label(value).classes("lc-chip").props(f"data-tone={colour or 'plain'}")

    def _tools(self, _sheet: Sheet) -> None:
        actions = self._actions()
        action_button(actions)
        self._next_step()
        action_keys(actions)

    def _next_step(self) -> None:
        """The button for what usually comes next."""
        state = self.record.get("state")
        if not self.may_change:
            return
        label, run, key = {
            TicketState.OPEN.value: (_("Take up"), self._take_up, "t"),
            TicketState.WAITING.value: (_("Customer has answered"), self._resume, "t"),
            TicketState.WORKING.value: (_("Close…"), self._close, "x"),
            TicketState.CLOSED.value: (_("Ask again…"), self._revisit, "v"),
        }.get(str(state), ("", None, ""))
        if run is not None:
            with ui.button(on_click=run).props("unelevated no-caps").classes("lc-pri").mark("next-step"):
                ui.label(label)
                ui.label(own_key(key)).classes("lc-kbd")

    def _actions(self) -> list[Action]:
        state, may = self.record.get("state"), self.session.may
        undone, closed = state in {one.value for one in UNDONE}, state == TicketState.CLOSED
        change = self.may_change
        wanted = [
            (change and state == TicketState.OPEN, Action("take", _("Take up"), self._take_up, "t")),
            (change and state == TicketState.WAITING, Action("resume", _("Customer has answered"), self._resume, "t")),
            (change and undone, Action("close", _("Close…"), self._close, "x")),
            (change and undone, Action("part", _("Use a part…"), self._part, "u")),
            (may("ticket.transfer") and undone, Action("assign", _("Pass on…"), self._hand_over, "o")),
            (change and undone, Action("merge", _("Merge with another…"), self._merge, "m")),
            (change and closed, Action("revisit", _("Ask again…"), self._revisit, "v")),
            (change and closed, Action("reopen", _("Take up again"), self._reopen, "r")),
            (change and state == TicketState.MERGED, Action("split", _("Take apart again"), self._split)),
            (change and may("sales_order.create") and state != TicketState.MERGED, Action("bill", _("Bill…"), self._bill, "b")),
            (change, Action("edit", _("Edit"), self._edit, "e", divided=True)),
            (True, Action("history", _("History"), self._history, "h")),
            (may("ticket.delete"), Action("delete", _("Delete"), self._delete, "delete", danger=True)),
        ]
        return [action for shown, action in wanted if shown]

    async def _take_up(self) -> None:
        await deeds.step(self.session, "take_up", self.identity, done=_("Taken up"))

    async def _resume(self) -> None:
        await deeds.step(self.session, "resume", self.identity, done=_("The clock runs again"))

    async def _reopen(self) -> None:
        await deeds.step(self.session, "reopen_ticket", self.identity, done=_("Taken up again"))

    async def _split(self) -> None:
        await deeds.step(self.session, "split_ticket", self.identity, done=_("Taken apart again"))

    async def _close(self) -> None:
        await deeds.close(self.session, self.record)

    async def _revisit(self) -> None:
        await deeds.revisit(self.session, self.record)

    async def _part(self) -> None:
        await deeds.use_part(self.session, self.record)

    async def _hand_over(self) -> None:
        await deeds.hand_over(self.session, self.record)

    async def _merge(self) -> None:
        await deeds.merge(self.session, self.record)

    async def _bill(self) -> None:
        await deeds.bill(self.session, self.record)

    async def _edit(self) -> None:
        await edit_dialog(self.session, TICKET, identity=self.identity)

    async def _history(self) -> None:
        await history_dialog(self.session, TICKET, self.identity)

    async def _delete(self) -> None:
        await delete_with_undo(self.session, TICKET, self.identity)

    # what was asked, and the answer ---------------------------------------------------------------------------------------

    def _asked(self, sheet: Sheet) -> None:
        customer = sheet.line.names.get("customer_id", "")
        with ui.element("div").classes("lc-row"):
            ui.label(TICKET.fields["text"].label).classes("lc-label grow")
            if self.session.may("customer.read") and self.record.get("customer_id"):
                ui.link(customer, f"/customers?open={self.record['customer_id']}").classes("lc-link").mark("to-customer")
        ui.label(str(self.record.get("text") or "—")).style("white-space:pre-wrap;overflow-wrap:anywhere")
        if self.record.get("merged_into"):
            with ui.element("div").classes("lc-notice lc-info"):
                ui.label(_("This ticket goes on in another one.")).classes("grow")
                ui.link(_("Go there"), f"/tickets/{self.record['merged_into']}").classes("lc-link").mark("to-merged")

    def _reply_box(self) -> None:
        with ui.element("div").classes("lc-card lc-pad lc-no-print").mark("reply") as self.reply:
            self.entry = ui.textarea(placeholder=_("What the customer is told, or a note for colleagues")).props(
                f"outlined dense autogrow rows=2 hide-bottom-space data-reply aria-label={quoted(EVENT.fields['text'].label)}"
            )
            self.entry.mark("say")
            self.problem = ui.label().classes("lc-field-error").props('role="alert"')
            with ui.element("div").classes("lc-row lc-wrap-row"):
                self.answers = ui.button(_("Ready answers")).props("flat no-caps dense icon-right=expand_more").mark("ready")
                ui.space()
                for act, label, verb, more in (
                    ("note", _("Internal remark"), "add_remark", {}),
                    ("visit", _("Visit at the customer's"), "add_remark", {"kind": EventKind.VISIT.value}),
                ):
                    ui.button(label, on_click=partial(self._say, verb, more)).props(f"flat no-caps data-act={act}").classes("lc-btn")
                self.to_customer = ui.element("div").classes("lc-row")
                with self.to_customer:
                    ui.button(_("Answer and wait"), on_click=partial(self._say, "answer", {"wait": True})).props(
                        "unelevated no-caps data-act=answer-wait"
                    ).classes("lc-btn").tooltip(_("It is the customer's turn; the clock stands still"))
                    ui.button(_("Answer"), on_click=partial(self._say, "answer", {})).props(
                        "unelevated no-caps data-commit data-act=answer"
                    ).classes("lc-pri").tooltip(_("Ctrl+Enter"))

    def _ready_answers(self, sheet: Sheet) -> None:
        """Only what may be said now is offered."""
        self.to_customer.set_visibility(self.record.get("state") in {one.value for one in UNDONE})
        fitting = [one for one in sheet.answers if one.get("type") in {None, self.record.get("type")}]
        self.answers.set_visibility(bool(fitting))
        names = sheet.line.names
        own = {
            "customer": names.get("customer_id", ""),
            "contact": names.get("contact_id", ""),
            "number": str(self.record.get("number") or ""),
        }
        with ui.menu().classes("lc-menu"):
            for one in fitting:
                ui.menu_item(str(one.get("title")), on_click=partial(self._insert, fill_answer(str(one.get("text") or ""), own))).mark(
                    "ready-answer"
                )

    def _insert(self, text: str) -> None:
        before = str(self.entry.value or "").rstrip()
        self.entry.set_value(f"{before}\n{text}" if before else text)
        self.entry.run_method("focus")

    async def _say(self, verb: str, more: dict[str, Any]) -> None:
        text = str(self.entry.value or "").strip()
        if not text:
            self.entry.run_method("focus")
            return

        def refused(error: Any) -> bool:
            self.problem.set_text(error.message)
            return True

        self.problem.set_text("")
        parameters = {"ticket_id": self.identity, "text": text, **more}
        outcome = await run_verb(self.session, f"service.{verb}", parameters, done=_("Saved"), on_error=refused)
        if outcome.ok:
            self.entry.set_value("")

    # what happened ---------------------------------------------------------------------------------------------------------

    def _way(self, sheet: Sheet) -> None:
        ui.label(_("What happened")).classes("lc-sub lc-card-title")
        others = {row.record["id"]: str(row.record.get("number") or "") for row in sheet.merged}
        with ui.element("div").classes("lc-timeline"):
            for row in reversed(sheet.events):
                self._event(row, others)

    def _event(self, row: Row, others: dict[str, str]) -> None:
        event, names = row.record, row.names
        kind = EventKind(event["kind"]) if event.get("kind") in set(EventKind) else EventKind.REMARK
        told = kind in {EventKind.ANSWER, EventKind.WAITING, EventKind.CLOSED}
        with ui.element("div").classes("lc-timeline-row" + (" lc-ticket-told" if told else "")).props(f"data-event={kind.value}"):
            ui.icon(ICONS[kind])
            with ui.element("div").classes("lc-timeline-text grow"):
                about = others.get(str(event.get("ticket_id")))
                parts = [
                    show(EVENT.fields["kind"], event.get("kind")),
                    names.get("user_id") if kind is EventKind.ASSIGNED else None,
                    names.get("by_id"),
                    near_moment(event["at"]) if event.get("at") else None,
                    names.get("branch_id") if event.get("branch_id") != self.record.get("branch_id") else None,
                    about,
                ]
                ui.label(" · ".join(part for part in parts if part)).classes("lc-small-text lc-muted").tooltip(exact(event.get("at")) or "")
                if event.get("other_id") and kind in {EventKind.MERGED, EventKind.SPLIT}:
                    ui.link(names.get("other_id") or "…", f"/tickets/{event['other_id']}").classes("lc-link")
                if event.get("text"):
                    ui.label(str(event["text"])).style("white-space:pre-wrap")

    # beside ----------------------------------------------------------------------------------------------------------------

    def _side(self, sheet: Sheet) -> None:
        with ui.element("div").classes("lc-card"):
            names = {key: {str(self.record.get(key)): name} for key, name in sheet.line.names.items()}
            later = [key for key in _LATER if self.record.get(key) is not None]
            facts(TICKET, self.record, names, [TICKET.fields[key] for key in ("assignee_id", *_FACTS, *later)])
            if self.record.get("order_id") and self.session.may("sales_order.read"):
                ui.link(_("To the order"), f"/orders/{self.record['order_id']}").classes("lc-link lc-card-title")
        self._parts(sheet)
        if sheet.merged:
            with ui.element("div").classes("lc-card lc-pad").mark("merged"):
                ui.label(_("Merged into this one")).classes("lc-sub")
                for row in sheet.merged:
                    text = " · ".join(filter(None, (row.record.get("number"), str(row.record.get("title") or ""))))
                    ui.link(text, f"/tickets/{row.record['id']}").classes("lc-link")

    def _clocks(self, sheet: Sheet) -> None:
        self.clocks.set_visibility(sheet.line.clocks is not None)
        if sheet.line.clocks is not None:
            warn = sheet.line.clocks.promise.warn
            for label, clock in ((_("First answer"), sheet.line.clocks.answer), (_("Solution"), sheet.line.clocks.solve)):
                self._clock(label, clock, warn)

    def _clock(self, label: str, clock: Clock, warn: int) -> None:
        shade = clock.colour(warn) or ("good" if clock.kept else "plain")
        with ui.element("div").classes("lc-row"):
            ui.label(label).classes("grow")
            ui.label(words.due(clock)).classes("lc-small-text lc-muted").tooltip(exact(clock.due) or "")
            ui.label(words.left(clock)).classes("lc-chip").props(f"data-tone={shade}")

    def _parts(self, sheet: Sheet) -> None:
        if not sheet.parts and not sheet.charge:
            return
        known = [key for key in ("product_id", "quantity", "cost", "amount") if any(key in row.record for row in sheet.parts)]
        with ui.element("div").classes("lc-card").style("overflow-x:auto").mark("parts"):
            ui.label(_("Parts and fee")).classes("lc-sub lc-card-title")
            if sheet.parts:
                with ui.element("table").classes("lc-table"):
                    heads(*(((PART.fields[key].label, "lc-num") if key != "product_id" else PART.fields[key].label) for key in known), "")
                    for row in sheet.parts:
                        self._part_row(row, known, sheet.taken_back)
            fee = self.record.get("fee")
            for label, value in ((TICKET.fields["fee"].label, fee), (_("Asked of the customer"), sheet.charge)):
                if value:
                    with ui.element("div").classes("lc-row").style("padding:6px 14px"):
                        ui.label(label).classes("grow lc-muted")
                        ui.label(show_kind("money", value) or "").classes("lc-strong")

    def _part_row(self, row: Row, known: Sequence[str], taken_back: frozenset[str]) -> None:
        part = row.record
        with ui.element("tr").props("data-part"):
            for key in known:
                text = show(PART.fields[key], part.get(key), {str(part.get(key)): row.names.get(key, "")})
                if key == "amount" and part.get("covered"):
                    text = _("warranty")
                cell(text or "—", "" if key == "product_id" else "lc-num")
            with ui.element("td").classes("lc-num"):
                here = part.get("branch_id") == self.session.store.node.branch_id
                if part.get("reverses_id"):
                    ui.label(_("put back")).classes("lc-muted lc-small-text")
                elif part["id"] not in taken_back and here and self.may_change:
                    ui.button(icon="undo", on_click=partial(self._put_back, part["id"])).props(
                        f'flat dense round size=sm data-act=put-back aria-label="{_("Put back into stock")}"'
                    ).tooltip(_("Put back into stock"))

    async def _put_back(self, identity: str) -> None:
        await run_verb(self.session, "service.take_part_back", {"part_id": identity}, done=_("Put back into stock"))
