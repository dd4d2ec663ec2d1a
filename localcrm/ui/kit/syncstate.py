"""The state of merging, always in the bar: when, and how much waits to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.options.company import company_number
from localcrm.jobs.scheduler import last_run
from localcrm.jobs.work import BACKUP
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import gettext as _
from localcrm.store.store import Store
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import ago
from localcrm.ui.operations import apart

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: A backup older than this asks for attention.
OLD_BACKUP_SECONDS = 3 * 86400
REFRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SyncState:
    """peers: how many others there are · waiting: changes of ours that the least advanced of them lacks · last: newest contact ·
    patience: after so many days without contact the state asks for attention.
    """

    peers: int
    waiting: int
    last: datetime | None
    patience: int


def clock_warning(store: Store) -> str:
    """What to say where the clock of this computer cannot be right; "" where it may be."""
    if not store.clock_suspect:
        return ""
    moment = datetime.fromtimestamp(store.clock.now_ms() / 1000, tz=UTC).astimezone()
    return _(
        "The clock of this computer says {moment}, which cannot be right. New documents would get that date: please set the clock. What you change keeps its order all the same."
    ).format(moment=f"{moment:%Y-%m-%d %H:%M}")


def sync_state(store: Store) -> SyncState:
    """What the exchange knows of itself."""
    from localcrm.sync.node_sync import status

    known = status(store)
    peers = len(known["branches"]) if store.node.is_office else 1
    last = datetime.fromisoformat(known["last_ok"]) if known["last_ok"] else None
    with store.read() as connection:
        patience = company_number(connection, store.node, "exchange_days")
    return SyncState(peers, int(known["waiting"]), last, patience)


def company_name(store: Store) -> str:
    """What stands first in the bar: the name of head office."""
    from localcrm.store.node import OFFICE_NO

    node = store.node
    if node.is_office:
        return node.name
    with store.read() as connection:
        name = connection.value("SELECT name FROM branch WHERE node_no = ? AND deleted = 0", (OFFICE_NO,))
    return str(name or node.name)


def chip(session: Session) -> None:
    """The chip in the bar; renews itself. A phone shows only how many changes wait."""
    with ui.element("div").classes("lc-chip lc-sync").mark("sync-state") as box:
        whole = ui.label().classes("lc-hide-phone")
        short = ui.label().classes("lc-phone-only")

    def say(state: SyncState) -> None:
        text, tone = words(state)
        whole.set_text(text)
        short.set_text(f"⇅ {state.waiting:,}" if state.waiting else "⇅")
        short.props(f"title={quoted(text)}")
        box.classes(remove="lc-good lc-warn", add=tone)
        box.set_visibility(bool(text))

    async def renew() -> None:
        state = await apart(sync_state, session.store)
        if not box.is_deleted:
            say(state)

    say(sync_state(session.store))
    ui.timer(REFRESH_SECONDS, renew)
    session.subscribe({"customer", "contact", "activity", "sales_order", "product", "stock_move", "receipt"}, lambda _changes: renew())


def standing(store: Store) -> list[tuple[str, str]]:
    """What to know before anybody types: text and colour of the merge, and of the last backup."""
    run = last_run(store, BACKUP)
    if run.last_ok is None:
        backup = _("no backup yet"), "lc-warn"
    else:
        old = (now_utc() - run.last_ok).total_seconds() > OLD_BACKUP_SECONDS
        backup = _("backup {ago}").format(ago=ago(run.last_ok, now_utc())), "lc-warn" if old else "lc-good"
    return [(text, tone) for text, tone in (words(sync_state(store)), backup) if text]


def words(state: SyncState) -> tuple[str, str]:
    """Text and colour; nothing where there is nobody to merge with."""
    if not state.peers:
        return "", ""
    now = now_utc()
    waiting = ""
    if state.waiting:
        waiting = _("1 change waiting") if state.waiting == 1 else _("{count} changes waiting").format(count=f"{state.waiting:,}")
    if state.last is None:
        return " · ".join(filter(None, [_("not merged yet"), waiting])), "lc-warn"
    merged = _("merged {ago}").format(ago=ago(state.last, now))
    old = (now - state.last).total_seconds() > state.patience * 86400
    return " · ".join(filter(None, [f"⇅ {merged}", waiting])), "lc-warn" if old else "lc-good"
