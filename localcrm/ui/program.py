"""The running program as its screens see it: the open store, who listens to changes, whose pages are open.

One per process. The store is None until the folder is set up.
"""

from __future__ import annotations

import asyncio
import contextvars
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from localcrm.domain.people import idle
from localcrm.domain.people.signing import SIGNED
from localcrm.kernel.errors import StoreError
from localcrm.kernel.ports import Changes
from localcrm.store.store import Store
from localcrm.ui.lan import Lan
from localcrm.ui.sessions import Sessions

if TYPE_CHECKING:
    from nicegui.client import Client

    from localcrm.sync.identity import NodeKeys

#: Changes that arrive within this time are told to a screen together.
GATHER_SECONDS = 0.1
#: What sessions keep in memory: what they draw with, and what their users may do.
IN_SESSIONS = frozenset({"user_option", "company_option", "role_option", "branch_option", "share", *(kind.key for kind in SIGNED)})
#: What a locked session has missed is told at most this long after it was unlocked.
HELD_SECONDS = 1.0
#: As long a menu that is left open keeps what happened elsewhere from its page.
MENU_SECONDS = 60.0

ChangeHandler = Callable[[Changes], Awaitable[None] | None]
#: (company or branch name, code, login, name of the user, password) → the open store of the new folder, the administrator's recovery code.
CreateFolder = Callable[..., tuple[Store, str]]
#: (passphrase, None), or (new passphrase, recovery code) → the open store of the protected folder.
#: (name, code) → the open store of a new folder for a branch, which nobody has let in yet.
CreateBranch = Callable[[str, str], Store]
#: (file of a moved branch, its passphrase) → the open store of the folder in which it goes on.
Arrive = Callable[[Path, str], Store]
UnlockFolder = Callable[[str, str | None], Store]


@dataclass(eq=False)
class Subscription:
    """One screen that wants to hear of some entities."""

    client: Client
    entities: frozenset[str]
    handler: ChangeHandler
    context: contextvars.Context
    #: Whether to tell it later: its session is locked.
    held: Callable[[], bool]
    waiting: Changes | None = None


@dataclass(eq=False)
class Program:
    """What all screens share."""

    folder: Path
    port: int
    #: Where the browser here reaches it.
    host: str = "127.0.0.1"
    store: Store | None = None
    create_folder: CreateFolder | None = None
    create_branch: CreateBranch | None = None
    arrive: Arrive | None = None
    #: Set where the folder is protected and nobody has given the passphrase yet.
    unlock_folder: UnlockFolder | None = None
    #: The node's own keys, for screens that write or read exchange files.
    keys: Callable[[], NodeKeys] | None = None
    #: Opens the first page, until there is somebody to sign in: only whoever started the program knows it.
    entry_token: str | None = None
    loop: asyncio.AbstractEventLoop | None = None
    #: Told to end: requests still under way are cut off.
    stopping: bool = False
    sessions: Sessions = field(init=False)
    lan: Lan = field(init=False)
    _subscriptions: set[Subscription] = field(default_factory=set)
    _menus: WeakKeyDictionary[Client, float] = field(default_factory=WeakKeyDictionary)
    """Pages with an open menu, and since when."""
    _on_open: list[Callable[[Store], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self)
        self.lan = Lan(self)

    @property
    def log_key(self) -> bytes | None:
        """The public key that the head of the system log must be signed with; None where the keys cannot be read."""
        with suppress(StoreError):
            return self.keys().public.sign_key if self.keys else None
        return None

    @property
    def entry_path(self) -> str:
        """Where a visitor goes while nobody can sign in: to let the branch join, to unlock the folder, or to set it up."""
        if self.store is not None:
            return "/join"
        return "/unlock" if self.unlock_folder else "/setup"

    @property
    def needs_token(self) -> bool:
        """Whether nobody can sign in yet: without a store, or at a branch that no head office has let in."""
        return self.store is None or not self.store.node.enrolled

    def end_sessions(self, keys: list[str]) -> None:
        """Sessions were closed in the data file: their open pages go to the sign-in page."""
        self.sessions.end(keys)

    def adopt(self, store: Store) -> None:
        """Take the open store of this folder: at start, or when the first run has made it."""
        idle.lock_idle(store)  # a browser that kept its cookie over night must not see anything first
        self.store = store
        if self.needs_token:
            self.entry_token = secrets.token_urlsafe(24)
        store.set_default_shapes()
        store.listen(self._heard)
        for callback in self._on_open:
            callback(store)

    def when_open(self, callback: Callable[[Store], None]) -> None:
        """Call back once the store is open, at once if it is."""
        self._on_open.append(callback)
        if self.store is not None:
            callback(self.store)

    # changes -----------------------------------------------------------------------------------------------------

    def subscribe(self, entities: Collection[str], handler: ChangeHandler, *, held: Callable[[], bool] = lambda: False) -> None:
        """Call ``handler(changes)`` in the page of the moment whenever one of the entities changed, until the page is gone.

        While ``held()`` the changes are gathered and told afterwards.
        """
        from nicegui import context

        subscription = Subscription(context.client, frozenset(entities), handler, contextvars.copy_context(), held)
        self._subscriptions.add(subscription)
        subscription.client.on_delete(lambda: self._subscriptions.discard(subscription))

    def note_menu(self, client: Client, *, is_open: bool) -> None:
        """A menu was opened or closed on a page. It would go with what is drawn anew: the page hears of changes when it is closed."""
        if is_open:
            self._menus[client] = time.monotonic()
        elif self._menus.pop(client, None) is not None:
            for subscription in [one for one in self._subscriptions if one.client is client and one.waiting is not None]:
                self._deliver(subscription)

    def _has_menu(self, client: Client) -> bool:
        return time.monotonic() - self._menus.get(client, -MENU_SECONDS) < MENU_SECONDS

    def _heard(self, changes: Changes) -> None:
        """On the thread that committed: hand the event to the loop, without waiting."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._tell, changes)

    def _tell(self, changes: Changes) -> None:
        if not IN_SESSIONS.isdisjoint(changes.ids):
            self.sessions.look_again()
        for subscription in self._subscriptions:
            if subscription.entities.isdisjoint(changes.ids):
                continue
            if subscription.waiting is None:
                assert self.loop is not None
                self.loop.call_later(GATHER_SECONDS, self._deliver, subscription, context=subscription.context)
            subscription.waiting = join_changes(subscription.waiting, changes)

    def _deliver(self, subscription: Subscription) -> None:
        from nicegui import background_tasks

        if subscription in self._subscriptions and (subscription.held() or self._has_menu(subscription.client)):
            assert self.loop is not None
            self.loop.call_later(HELD_SECONDS, self._deliver, subscription, context=subscription.context)
            return
        changes, subscription.waiting = subscription.waiting, None
        if changes is not None and subscription in self._subscriptions:
            background_tasks.create(_call(subscription, changes), name="tell a screen")


async def _call(subscription: Subscription, changes: Changes) -> None:
    if subscription.client.is_deleted:
        return
    with subscription.client:
        result = subscription.handler(changes)
        if result is not None:
            await result


def join_changes(first: Changes | None, second: Changes) -> Changes:
    """Two events as one."""
    if first is None:
        return second
    ids: dict[str, frozenset[str] | None] = dict(first.ids)
    for entity, new in second.ids.items():
        old = ids.get(entity, frozenset())
        ids[entity] = None if old is None or new is None else old | new
    fields: dict[str, frozenset[str]] = dict(first.fields)
    for entity, names in second.fields.items():
        fields[entity] = fields.get(entity, frozenset()) | names
    return Changes(ids, fields, first.remote or second.remote)
