"""Reminders on the screen: cards that come up on every open page within a second of falling due, and the dialog to set one.

A session has one bell for all its pages. It knows when the next reminder falls due and looks at the clock on the wall twice a second,
so that a computer that slept tells at once what it missed; it reads the data file only when something is due or was changed.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from nicegui import background_tasks, context, ui

from localcrm.domain.crm.entities import Reminder
from localcrm.domain.crm.reminders import Reminding, reminders, sources
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, current_language, gettext as _, use_language
from localcrm.ui.endpoints import record_path
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import Form
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import exact, near_day, near_moment
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from nicegui.client import Client

    from localcrm.ui.sessions import Session

REMINDER = Reminder.entity_type
ICONS: Mapping[str, str] = {
    "next": "phone_callback",
    "birthday": "cake",
    "dormant": "bedtime",
    "warranty": "verified_user",
    "consumable": "autorenew",
    "quote": "request_page",
    "contract": "history_edu",
    "certificate": "workspace_premium",
    "reclaim": "waves",
    "task": "task_alt",
    "step": "redo",
    "registration": "how_to_reg",
    "outrun": "person_off",
    "mention": "alternate_email",
    "own": "notifications",
    "ticket": "confirmation_number",
    "revisit": "support_agent",
    "claim": "pan_tool",
    "hands": "swap_horiz",
    "overpaid": "balance",
    "limit": "credit_card_off",
    "stopped": "block",
    "recalled": "undo",
    "short": "production_quantity_limits",
    "locks": "lock",
}
#: What stands above each kind.
HEADS: Mapping[str, str] = {
    "next": N_("Time to get in touch"),
    "birthday": N_("Birthday"),
    "dormant": N_("Not in contact for a while"),
    "warranty": N_("Warranty ends"),
    "consumable": N_("Consumable due"),
    "quote": N_("Quote expires"),
    "contract": N_("Contract ends"),
    "certificate": N_("A supplier's certificate runs out"),
    "reclaim": N_("Goes back to a pool soon"),
    "task": N_("Task due"),
    "step": N_("Next step due"),
    "registration": N_("A partner's registration runs out"),
    "outrun": N_("Another partner was first"),
    "mention": N_("You were named"),
    "own": N_("Reminder"),
    "ticket": N_("Ticket due"),
    "revisit": N_("Ask the customer again"),
    "claim": N_("Answer to your request"),
    "hands": N_("Changed hands"),
    "overpaid": N_("Paid more than its total"),
    "limit": N_("Above the credit limit together"),
    "stopped": N_("Sold to a customer no longer dealt with"),
    "recalled": N_("Goods for a reversed order"),
    "short": N_("Below zero together"),
    "locks": N_("Too many locked customers"),
}
#: Cards that stand on a page at once; the others are counted.
MOST_CARDS = 2
_TICK = 0.5
#: The bell knows what falls due so far ahead, and looks again sooner than that.
_AHEAD, _AGAIN = timedelta(minutes=10), 300.0


class Bell:
    """What one session is reminded of just now."""

    def __init__(self, session: Session) -> None:
        self._session = ref(session)
        self.pages: dict[Client, Callable[[], None]] = {}
        self.due: list[Reminding] = []
        #: Closed without an answer: not shown again on the pages of this session.
        self.closed: set[str] = set()
        self._next: datetime | None = None
        self._looked, self._rest, self._changed = 0.0, 0.0, True
        self._running: asyncio.Task[None] | None = None
        self._language = current_language()

    @property
    def session(self) -> Session | None:
        """Whose bell it is; None once nothing else knows that session any more."""
        return self._session()

    @property
    def cards(self) -> list[Reminding]:
        """What stands on the pages, the latest first."""
        return [one for one in reversed(self.due) if one.key not in self.closed]

    def join(self, client: Client, draw: Callable[[], None]) -> None:
        """Draw on this page too, until it is gone."""
        here = contextvars.copy_context()  # in the language of the page, whoever looks
        if current_language() != self._language:
            self._language, self._changed = current_language(), True
        self.pages[client] = lambda: here.run(draw)
        client.on_delete(lambda: self.pages.pop(client, None))
        if self._running is None or self._running.done():
            self._changed = True
            self._running = background_tasks.create(self._run(), name="reminders")
        else:
            draw()

    def changed(self, _changes: Any = None) -> None:
        """Something was written that a reminder may follow from."""
        self._changed = True

    def close(self, key: str) -> None:
        """Take a card away; it stays in the list of reminders."""
        self.closed.add(key)
        self._draw()

    async def _run(self) -> None:
        while self.pages:
            if self._is_time():
                await self.look()
            await asyncio.sleep(_TICK)

    def _is_time(self) -> bool:
        session = self.session
        if session is None or session.locked or session.looking_as is not None or session.program.stopping:
            return False
        if self._next is not None and self._next <= moment(session.store.clock):
            return True
        waited = time.monotonic() - self._looked
        return waited > self._rest if self._changed else waited > _AGAIN

    async def look(self) -> None:
        """Read what is due and show it where it differs."""
        began, self._changed = time.monotonic(), False
        try:
            due, self._next = await asyncio.to_thread(self._read)
        except AppError:  # signed out, locked, or a file that cannot be read just now: the next look tells
            due, self._next = self.due, None
        self._looked = time.monotonic()
        self._rest = max(_TICK, 10 * (self._looked - began))  # while many records are written it must not read all the time
        if due != self.due:  # what is said of the same occasion may be another thing by now
            self.due = due
            self._draw()

    def _read(self) -> tuple[list[Reminding], datetime | None]:
        session = self.session
        if session is None:
            return [], None
        now = moment(session.store.clock)
        with use_language(self._language), session.store.read() as connection:
            found = reminders(connection, session.store.node, session.actor, now=now, ahead=_AHEAD)
        later = [one.due for one in found if one.due > now]
        return [one for one in found if one.due <= now], min(later, default=None)

    def _draw(self) -> None:
        for client, draw in list(self.pages.items()):
            if not client.is_deleted:
                draw()


_bells: WeakKeyDictionary[Session, Bell] = WeakKeyDictionary()


def bell_of(session: Session) -> Bell:
    """The bell of a session."""
    return _bells.setdefault(session, Bell(session))


def corner(session: Session, count: Callable[[int], None], *, cards: bool = True) -> None:
    """The place of the cards on the page of the moment; the frame calls this.

    count: is told how many reminders are due · cards: False on the page that lists them anyway.
    """
    if session.looking_as is not None:
        return
    box = ui.element("div").classes("lc-reminders").props('role="region" aria-live="polite"')
    bell, client = bell_of(session), context.client

    def draw() -> None:
        if box.is_deleted:
            return
        count(len(bell.due))
        if not cards:
            return
        box.clear()
        with box:
            for place, one in enumerate(bell.cards[:MOST_CARDS]):
                _card(session, bell, one, first=place == 0)
            _more(len(bell.cards) - MOST_CARDS, _("and {count} more"), "lc-as-cards")
            _more(len(bell.cards) - 1, "+{count}", "lc-as-line")  # where one alone has room

    ui.timer(0, lambda: bell.join(client, draw), once=True)
    # Of these kinds not everybody may see records; that there was a change is told all the same, and only one's own is read.
    session.program.subscribe(sources(), bell.changed, held=lambda: session.locked)


def _more(count: int, text: str, classes: str) -> None:
    """The way to those that have no card here."""
    if count > 0:
        with ui.element("a").props('href="/reminders"').classes(f"lc-reminder-more {classes}"):
            ui.label(text.format(count=count))


def _card(session: Session, bell: Bell, one: Reminding, *, first: bool) -> None:
    with ui.element("div").classes("lc-reminder").props(f"data-kind={one.kind}"):
        ui.icon(ICONS[one.kind]).classes("lc-reminder-icon")
        with ui.element("div").classes("lc-reminder-text"):
            with ui.element("div").classes("lc-row lc-reminder-when"):
                ui.label(f"{_(HEADS[one.kind])} · {when(one)}").classes("lc-small-text lc-muted grow lc-cut").tooltip(exact(one.at) or "")
                ui.button(icon="close", on_click=partial(bell.close, one.key)).props(
                    f'flat dense round size=sm data-act=close-reminder aria-label="{_("Close")}"'
                )
            with ui.element("a").classes("lc-strong lc-reminder-title") as title:
                ui.label(one.title or _("(not to be seen)"))
            if path := place_of(one):
                title.props(f"href={quoted(path)}")
            if one.text:
                ui.label(one.text).classes("lc-reminder-more-text")
            answers(session, one, first=first)


def answers(session: Session, one: Reminding, *, first: bool = False) -> None:
    """The buttons beside a reminder: done, later, and the way to what it is about. ``first``: keys press them."""
    with ui.element("div").classes("lc-row lc-reminder-buttons"):
        done = ui.button(on_click=partial(settle, session, one)).props(
            "unelevated no-caps dense data-act=settle" + (" data-key=d" if first else "")
        )
        with done.classes("lc-btn"):
            ui.label(_("Done"))
            if first:
                ui.label(own_key("d")).classes("lc-kbd q-ml-sm lc-wide-only")
        with ui.button().props("flat no-caps dense icon-right=expand_more data-act=later"):
            ui.label(_("Later"))
            with ui.menu().classes("lc-menu"):
                for label, minutes in waits():
                    ui.menu_item(label, on_click=partial(put_off, session, one, minutes))
        if first:  # a button that only the key presses
            with ui.element("div").classes("lc-unseen").props("aria-hidden=true"):
                ui.button(on_click=partial(put_off, session, one, 10)).props("data-key=z tabindex=-1")
        if path := place_of(one):
            ui.button(_("Show it"), on_click=partial(ui.navigate.to, path)).props("flat no-caps dense data-act=open-reminder")


def waits() -> list[tuple[str, int]]:
    """How long a reminder can be put off by a click: label and minutes."""
    now = datetime.now().astimezone()
    tomorrow = (now + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
    return [(_("In 10 minutes"), 10), (_("In an hour"), 60), (_("Tomorrow at 9"), max(61, round((tomorrow - now).total_seconds() / 60)))]


def when(one: Reminding) -> str:
    """The time a reminder is about, in words; a birthday is a whole day."""
    return (
        near_day(one.at.astimezone().date())
        if one.kind
        in {
            "birthday",
            "dormant",
            "reclaim",
            "warranty",
            "consumable",
            "quote",
            "contract",
            "certificate",
            "task",
            "step",
            "registration",
            "revisit",
            "locks",
        }
        else near_moment(one.at)
    )


#: Tab of the customer in which stands what a reminder is about.
_TABS = {
    "claim": "overview",
    "hands": "owners",
    "warranty": "products",
    "consumable": "products",
    "quote": "quotes",
    "contract": "contracts",
}


def place_of(one: Reminding) -> str:
    """Address of what a reminder is about; "" where there is none."""
    if one.activity:
        return f"/activities/{one.activity}"
    if one.ticket:
        return f"/tickets/{one.ticket}"
    if one.record:
        return record_path(*one.record)
    if one.kind == "claim" and not one.customer:
        return "/pools?box=claims"
    if one.kind == "locks":
        return "/customers"
    tab = _TABS.get(one.kind)
    return f"/customers?open={one.customer}{f'&tab={tab}' if tab else ''}" if one.customer else ""


async def settle(session: Session, one: Reminding) -> None:
    """Be done with it, here and everywhere."""
    outcome = await run_verb(session, "crm.settle_reminders", {"keys": [one.key]})
    if outcome.ok:
        await bell_of(session).look()


async def put_off(session: Session, one: Reminding, minutes: int) -> None:
    """Have it come up again later."""
    outcome = await run_verb(session, "crm.put_off_reminders", {"keys": [one.key], "minutes": minutes})
    if outcome.ok:
        bell_of(session).closed.discard(one.key)
        await bell_of(session).look()


async def remind_dialog(session: Session, *, customer: str | None = None) -> bool:
    """Ask of what and when to remind, perhaps about a customer; whether a reminder was set."""
    fields = [REMINDER.fields[key] for key in ("text", "at", "customer_id")]
    fields = fields if session.may("customer.read") else fields[:2]
    with page_dialog().props("persistent no-route-dismiss") as dialog, ui.card().classes("lc-dialog lc-narrow") as card:
        ui.label(_("Set a reminder")).classes("lc-dialog-title")
        form = Form(session, REMINDER, fields=fields, preset={"customer_id": customer} if customer else {})

        async def save() -> None:
            form.clear_errors()
            typed = form.values()
            values = {"at": typed["at"] or "", "text": typed["text"] or "", "customer": typed.get("customer_id")}
            with dialog:
                outcome = await run_verb(session, "crm.set_reminder", values, done=_("Reminder set"), on_error=form.show_error)
            if outcome.ok:
                dialog.submit(True)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Save"), on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
    card.on("keydown.esc.stop", dialog.close)
    dialog.open()
    form.focus_first_empty()
    return bool(await answer_of(dialog))
