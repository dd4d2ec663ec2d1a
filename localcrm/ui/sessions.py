"""Who looks at the screens: one Session per signed-in browser, shared by its pages, checked again every few seconds."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, cast

from localcrm.domain.options.company import company_number
from localcrm.domain.options.shortcuts import read_shortcuts
from localcrm.domain.options.table import roams
from localcrm.domain.people import arrival as arrivals, idle, preferences, sessions
from localcrm.domain.people.arrival import Arrival
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor, may, require_admin, seen_changes
from localcrm.kernel.errors import Refused, SessionLocked, SignInNeeded
from localcrm.kernel.i18n import N_, current_language
from localcrm.store.changelog import head
from localcrm.store.store import Store
from localcrm.ui.kit.look import PLACES, Look

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator

    from nicegui.client import Client

    from localcrm.kernel.ports import Changes
    from localcrm.ui.program import ChangeHandler, Program

#: A revoked session or a right taken away bites after this time at the latest.
CHECK_SECONDS = 3.0
#: What falls due with time alone may be seen so much later, by whoever comes back to a page.
KEPT_SECONDS = 45.0
T = TypeVar("T")


@dataclass(eq=False)
class Session:
    """A signed-in browser. ``store`` and ``actor`` are what screens need; ``actor`` raises SignInNeeded once the
    session ended, SessionLocked while it is locked.
    """

    program: Program
    token: str
    key: str
    _actor: Actor
    preferences: dict[str, str] = field(default_factory=dict)
    #: How values and keys are drawn for this user.
    look: Look = field(default_factory=Look)
    #: What the user should hear on the first page; None once he has.
    arrival: Arrival | None = None
    pages: set[Client] = field(default_factory=set)
    ended: bool = False
    #: Nothing is answered until the same user gives the password.
    locked: bool = False
    #: Whom an administrator looks as: an actor who changes nothing.
    looking_as: Actor | None = None
    _checked: float = field(default_factory=time.monotonic)
    #: Readings of the options begin in this order; one that began before another was taken over says nothing new any more.
    _readings: Iterator[int] = field(default_factory=count, repr=False)
    _taken: int = -1
    #: What was read of the data file: its state then, when, and what was found.
    _read: dict[Hashable, tuple[int, float, Any]] = field(default_factory=dict, repr=False)
    _taking: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def store(self) -> Store:
        """The open store."""
        assert self.program.store is not None
        return self.program.store

    @property
    def actor(self) -> Actor:
        """Who acts, with the rights of the moment."""
        if not self.ended and self.needs_check:
            self.check()
        if self.ended:
            raise SignInNeeded(
                "session_ended", N_("You have been signed out. Please sign in again; what you typed is still on the screen.")
            )
        if self.locked:
            raise SessionLocked
        return self.looking_as or self._actor

    @property
    def user_id(self) -> str:
        """Id of the user who signed in."""
        return self._actor.user_id or ""

    @property
    def user_name(self) -> str:
        """Name of the user who signed in."""
        return self._actor.name

    def remembered(self, key: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` finds in the data file. While nothing is written, it is not read again for KEPT_SECONDS: who comes back to a page does
        not wait for the same once more. Call it in a worker thread, and only where what time alone changes may be seen a little later.
        """
        key = (key, self.actor.user_id, current_language())
        with self.store.read() as connection:
            state = head(connection)
        kept = self._read.get(key)
        if kept and kept[0] == state and time.monotonic() - kept[1] < KEPT_SECONDS:
            return cast("T", kept[2])
        found = read()
        self._read[key] = state, time.monotonic(), found
        return found

    @property
    def needs_check(self) -> bool:
        """Whether the data file should be asked again."""
        return time.monotonic() - self._checked > CHECK_SECONDS

    def look_again(self) -> None:
        """The data file is asked with the next step, however lately it was."""
        self._checked = -CHECK_SECONDS

    def check(self) -> bool:
        """Ask the data file whether the session still lives and what its user may do; returns whether it lives."""
        found = sessions.find_session(self.store, self.token)
        actor = actor_by_id(self.store, self.user_id) if found else None
        self.locked = found is not None and found.locked
        self._checked = time.monotonic()
        if actor is None:
            self.ended = True
        else:
            self._actor = actor
            self.take_options()
            self.looking_as = self._as_seen(self.looking_as.user_id) if self.looking_as else None
        return not self.ended

    def look_as(self, user_id: str | None) -> None:
        """From now on see what a user sees, and change nothing; None ends it. Asks the data file. Raises Forbidden, Refused."""
        require_admin(self._actor)
        seen = self._as_seen(user_id)
        if user_id is not None and seen is None:
            raise Refused("sees_nothing", N_("This user cannot sign in: disabled, or without any rights."))
        self.looking_as = seen
        if seen is not None:
            sessions.log_event(self.store, "look_as", user_id=self.user_id, detail=seen.login)

    def _as_seen(self, user_id: str | None) -> Actor | None:
        """A user as an administrator sees him; nobody as soon as either of them may not any more."""
        seen = actor_by_id(self.store, user_id) if user_id and self._actor.is_admin else None
        return replace(seen, watched_by=self._actor.name) if seen else None

    def may(self, permission: str) -> bool:
        """Whether the user has a permission; screens hide what services would refuse."""
        return may(self.actor, permission)

    def take_arrival(self) -> Arrival | None:
        """What to say on this page: the last sign-in once, what is alarming until ``note_told``."""
        if self.looking_as:
            return None
        arrival = self.arrival
        if arrival is not None and not arrival.is_alarming:
            self.arrival = None
        return arrival

    def note_told(self) -> None:
        """The user has read it. Writes the data file: call it in a worker thread."""
        self.arrival = None
        arrivals.note_told(self.store, self.key)

    # preferences -------------------------------------------------------------------------------------------------

    @property
    def language(self) -> str:
        """Language the user reads."""
        return self.setting("language")

    @property
    def dark(self) -> bool | None:
        """Whether the user likes it dark; None: like the system."""
        return {"light": False, "dark": True}.get(self.setting("theme"))

    def setting(self, key: str, default: str = "") -> str:
        """A preference of the user."""
        return self.preferences.get(key, default)

    def save_setting(self, key: str, value: str | None) -> None:
        """Keep a preference of the user; None forgets it. Writes the data file: call it in a worker thread."""
        preferences.save_preference(self.store, self.user_id, key, value)
        if roams(key):
            self.take_options()
            return
        with self._taking:
            self._taken = next(self._readings)
            self.preferences.pop(key, None)
            if value is not None:
                self.preferences[key] = value

    def take_options(self) -> None:
        """Read anew what holds for the user, in the same objects: pages that are open draw with them. Asks the data file."""
        began = next(self._readings)
        found = preferences.preferences(self.store, self.user_id)
        with self.store.read() as connection:
            places = {kind: company_number(connection, self.store.node, key) for kind, key in PLACES.items()}
        with self._taking:  # never while the file is asked: who waits here may hold the last of its readers
            if began < self._taken:
                return
            self._taken = began
            for key in [key for key in self.preferences if roams(key) and key not in found]:
                del self.preferences[key]
            self.preferences.update(found)
            self.look.dates = self.setting("dates")
            self.look.places = places
            self.look.keys = read_shortcuts(self.setting("keys"))

    # changes -----------------------------------------------------------------------------------------------------

    def subscribe(self, entities: Collection[str], handler: ChangeHandler) -> None:
        """Call ``handler(changes)`` in the page of the moment when something changed that the user may see.

        Of kinds of which he sees only some records he hears that there was a change, not where. While the session is locked he hears
        nothing, and all of it afterwards.
        """

        def heard(changes: Changes) -> Awaitable[None] | None:
            told = seen_changes(self.looking_as or self._actor, changes)
            return handler(told) if not told.ids.keys().isdisjoint(entities) else None

        self.program.subscribe(entities, heard, held=lambda: self.locked)

    # pages -------------------------------------------------------------------------------------------------------

    def show_lock(self) -> None:
        """Every open page of this session shows the lock, or what was behind it; call it on the loop."""
        for client in list(self.pages):
            if not client.is_deleted:
                client.run_javascript("localcrm.lock()" if self.locked else "localcrm.unlock()")

    def send_to_login(self) -> None:
        """Every open page of this session goes to the sign-in page; call it on the loop."""
        self.ended = True
        for client in list(self.pages):
            if not client.is_deleted:
                client.run_javascript("localcrm.mayLeave = true; location.replace('/login')")


class Sessions:
    """The living sessions of this process by token."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: dict[str, Session] = {}

    def known(self, token: str) -> Session | None:
        """A session that was checked a moment ago, without asking the data file."""
        session = self._known.get(token)
        return session if session and not session.ended and not session.needs_check else None

    def resolve(self, token: str) -> Session | None:
        """The living session of a token; asks the data file."""
        store = self.program.store
        if store is None:
            return None
        session = self._known.get(token)
        if session is None:
            found = sessions.find_session(store, token)
            actor = actor_by_id(store, found.user_id) if found else None
            if found is None or actor is None:
                return None
            session = Session(self.program, token, found.key, actor, arrival=arrivals.untold(store, found), locked=found.locked)
            session.take_options()
            session = self._known.setdefault(token, session)
        elif session.needs_check:
            session.check()
        if session.ended:
            self._known.pop(token, None)
            return None
        return session

    def look_again(self) -> None:
        """Options or rights were set, here or elsewhere: every session reads them with its next step."""
        for session in self._known.values():
            session.look_again()

    def end(self, keys: list[str]) -> None:
        """Sessions that were closed: their pages go to the sign-in page; call it on the loop."""
        for session in [session for session in self._known.values() if session.key in keys]:
            self._known.pop(session.token, None)
            session.send_to_login()

    async def lock_idle(self) -> None:
        """Lock what nobody used for too long; call it on the loop."""
        store = self.program.store
        if store is not None:
            self.lock(await asyncio.to_thread(idle.lock_idle, store))

    def lock(self, keys: list[str]) -> None:
        """Sessions that were locked: their pages show it; call it on the loop."""
        for session in [session for session in self._known.values() if session.key in keys]:
            session.locked = True
            session.show_lock()
