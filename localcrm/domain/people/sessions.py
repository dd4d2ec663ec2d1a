"""Sessions of signed-in users: a random token in the browser, only its hash in the data file.

A token names nobody and expires twice: IDLE after it was last used, and as many days after it was made as the company says. Wrong passwords make the
next try wait, per login and for all together, so that guessing gets slower and a forgotten password does not lock anybody out.
Times are milliseconds of the store's clock.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from localcrm.domain.options.company import company_number
from localcrm.domain.people.services import authenticate
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError, SignInNeeded, StoreError
from localcrm.kernel.i18n import N_
from localcrm.store import eventlog
from localcrm.store.connection import Connection
from localcrm.store.store import Store

IDLE_MS = 12 * 3600 * 1000
_DAY_MS = 24 * 3600 * 1000
#: ``seen`` is written at most this often.
TOUCH_MS = 60 * 1000
#: Wrong passwords are remembered this long.
WINDOW_MS = 15 * 60 * 1000
#: Wrong passwords that cost no waiting for all logins together; for one login the company says how many.
FREE_TRIES_IN_ALL = 20
LONGEST_WAIT_MS = 60 * 1000
#: What the system log calls a wrong guess at somebody's password, recovery code or answer of head office; they all count together.
WRONG_GUESSES = ("sign_in_failed", "reset_failed")


@dataclass(frozen=True, slots=True)
class UserSession:
    """One browser somebody signed in with. ``key`` names it (hex of the token's hash) and opens nothing."""

    key: str
    user_id: str
    created: int
    seen: int
    expires: int
    client: str
    locked: bool = False


def sign_in(store: Store, *, login: str, password: str, client: str = "", replaces: str | None = None) -> tuple[Actor, str]:
    """Check a password and open a session; returns who it is and the new token. The session ``replaces`` ends.

    Raises SignInNeeded: bad_credentials, no_rights, or too_many_tries while a wait is running (the password is not even looked at).
    """
    with one_guess(store, login):
        actor = authenticate(store, login, password)
    if replaces:
        close_session(store, session_key(replaces))
    token = open_session(store, actor, client=client)
    log_event(store, "sign_in", user_id=actor.user_id, detail=client)
    return actor, token


@contextmanager
def one_guess(store: Store, login: str, kind: str = "sign_in_failed") -> Iterator[None]:
    """Look at one guess at a secret of a login; what the block raises is noted as a wrong one. Raises SignInNeeded too_many_tries while a wait runs.

    Counting, looking and noting are one write transaction: guesses beside each other, also in another program on the folder,
    would all see the same count. So the block reads only.
    """
    wrong: AppError | None = None
    with store.housekeeping() as connection:
        if wait := _seconds_to_wait(store, connection, login, WRONG_GUESSES):
            raise SignInNeeded("too_many_tries", N_("Too many wrong passwords. Try again in {seconds} seconds."), seconds=wait)
        try:
            yield
        except AppError as error:
            wrong = error
            # Who has the right password and no rights has not guessed: it is not counted for his login.
            detail = login.strip()[:100] if error.code == "no_rights" else login_key(login)
            eventlog.append(connection, at=store.clock.now_ms(), kind=kind, detail=detail, sign=store.sign_log)
    if wrong is not None:
        raise wrong


def open_session(store: Store, actor: Actor, *, client: str = "") -> str:
    """A new session of a user; returns its token, which is kept nowhere here."""
    token, now = secrets.token_urlsafe(32), store.clock.now_ms()
    days = session_days(store)
    with store.housekeeping() as connection:
        connection.execute("DELETE FROM session WHERE expires < ? OR seen < ?", (now, now - IDLE_MS))
        connection.execute(
            "INSERT INTO session(token_hash, user_id, created, seen, used, expires, client) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (bytes.fromhex(session_key(token)), bytes.fromhex(actor.user_id or ""), now, now, now, now + days * _DAY_MS, client[:200]),
        )
    return token


def session_days(store: Store) -> int:
    """How many days after signing in a browser is asked for the password again."""
    with store.read() as connection:
        return company_number(connection, store.node, "session_days")


def find_session(store: Store, token: str) -> UserSession | None:
    """The living session of a token; notes that it was used."""
    now = store.clock.now_ms()
    with store.read() as connection:
        row = connection.one(f"SELECT {_COLUMNS} FROM session WHERE token_hash = ?", (bytes.fromhex(session_key(token)),))
    if row is None or row[4] < now or row[3] < now - IDLE_MS:
        return None
    session = _session(row)
    if session.seen < now - TOUCH_MS:
        with suppress(StoreError), store.housekeeping() as connection:  # a busy file is no reason to sign somebody out
            connection.execute("UPDATE session SET seen = ? WHERE token_hash = ?", (now, row[0]))
    return session


def sessions_of(store: Store, user_id: str) -> list[UserSession]:
    """Living sessions of a user, last used first."""
    now = store.clock.now_ms()
    with store.read() as connection:
        rows = connection.all(
            f"SELECT {_COLUMNS} FROM session WHERE user_id = ? AND expires >= ? AND seen >= ? ORDER BY seen DESC",
            (bytes.fromhex(user_id), now, now - IDLE_MS),
        )
    return [_session(row) for row in rows]


def close_session(store: Store, key: str) -> None:
    """End one session."""
    with store.housekeeping() as connection:
        connection.execute("DELETE FROM session WHERE token_hash = ?", (bytes.fromhex(key),))


def close_sessions_of(store: Store, user_id: str, *, keep: str | None = None) -> list[str]:
    """End the sessions of a user, except the one named ``keep``; returns the keys of those that ended."""
    ended = [session.key for session in sessions_of(store, user_id) if session.key != keep]
    with store.housekeeping() as connection:
        connection.executemany("DELETE FROM session WHERE token_hash = ?", [(bytes.fromhex(key),) for key in ended])
    return ended


def session_key(token: str) -> str:
    """What names the session of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def seconds_to_wait(store: Store, login: str, kinds: Collection[str] = WRONG_GUESSES) -> int:
    """How long the next try must wait: doubling with every wrong password beyond the free ones."""
    with store.read() as connection:
        return _seconds_to_wait(store, connection, login, kinds)


def brake(store: Store, connection: Connection, login: str, kind: str) -> None:
    """Inside a transaction that writes: count something that nobody may do without end. Raises SignInNeeded too_many_tries."""
    if wait := _seconds_to_wait(store, connection, login, (kind,)):
        raise SignInNeeded("too_many_tries", N_("Too many tries. Try again in {seconds} seconds."), seconds=wait)
    eventlog.append(connection, at=store.clock.now_ms(), kind=kind, detail=login_key(login), sign=store.sign_log)


def _seconds_to_wait(store: Store, connection: Connection, login: str, kinds: Collection[str]) -> int:
    now, key = store.clock.now_ms(), login_key(login)
    newest = int(connection.value("SELECT coalesce(max(id), 0) FROM event_log"))
    rows = connection.all(
        f"SELECT at, detail FROM event_log WHERE id > ? AND kind IN ({', '.join('?' * len(kinds))}) AND at > ? ORDER BY id",
        (newest - 2000, *kinds, now - WINDOW_MS),
    )
    free = company_number(connection, store.node, "free_tries")
    own = [at for at, detail in rows if detail == key]
    ready = max(_ready_at(own, free), _ready_at([at for at, _ in rows], FREE_TRIES_IN_ALL))
    return max(0, -(-(ready - now) // 1000))


def _ready_at(tries: list[int], free: int) -> int:
    beyond = len(tries) - free
    return 0 if beyond < 0 or not tries else int(tries[-1] + min(1000 * 2 ** min(beyond, 10), LONGEST_WAIT_MS))


def login_key(login: str) -> str:
    """A login as typed, in the form failures are counted by."""
    return login.strip().casefold()[:100].encode("utf-8", "replace").decode()


def log_event(store: Store, kind: str, *, user_id: str | None = None, detail: str = "") -> None:
    """Note something that is not a change of data: sign-in, export, print."""
    store.log(kind, user_id=user_id, detail=detail)


_COLUMNS = "token_hash, user_id, created, seen, expires, client, locked"


def _session(row: tuple[bytes, bytes, int, int, int, str | None, int]) -> UserSession:
    key, user, created, seen, expires, client, locked = row
    return UserSession(key.hex(), user.hex(), created, seen, expires, client or "", bool(locked))
