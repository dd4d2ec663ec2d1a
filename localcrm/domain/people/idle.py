"""A screen nobody uses locks: the session lives, but answers nothing until the same user gives the password again."""

from __future__ import annotations

from localcrm.domain.options.company import company_number
from localcrm.domain.options.personal import personal_value
from localcrm.domain.people.passwords import password_matches
from localcrm.domain.people.sessions import UserSession, one_guess
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.store import Store

_MINUTE = 60_000
_LOCK_UNUSED = "UPDATE session SET locked = 1 WHERE token_hash = ? AND used = ?"


def note_use(store: Store, key: str) -> None:
    """Somebody used the screen; a locked session stays locked."""
    with store.housekeeping() as connection:
        connection.execute("UPDATE session SET used = ? WHERE token_hash = ? AND locked = 0", (store.clock.now_ms(), bytes.fromhex(key)))


def lock(store: Store, key: str) -> None:
    """Lock a session at once."""
    with store.housekeeping() as connection:
        connection.execute("UPDATE session SET locked = 1 WHERE token_hash = ?", (bytes.fromhex(key),))


def lock_idle(store: Store) -> list[str]:
    """Lock every session that was not used for as long as its user chose; returns the keys of those."""
    now = store.clock.now_ms()
    with store.read() as connection:
        longest = company_number(connection, store.node, "longest_idle")
        rows = connection.all("SELECT token_hash, user_id, used FROM session WHERE locked = 0 AND expires >= ?", (now,))
        idle = [
            (key, used)
            for key, user, used in rows
            if (minutes := _minutes(connection, user.hex(), longest)) and used + minutes * _MINUTE < now
        ]
    if not idle:
        return []
    with store.housekeeping() as connection:  # one that was used since the look stays open
        return [key.hex() for key, used in idle if connection.execute(_LOCK_UNUSED, (key, used)).rowcount]


def _minutes(connection: Connection, user_id: str, longest: int) -> int:
    """How long the screens of a user stay open without use; 0 for ever."""
    return min(filter(None, (int(personal_value(connection, user_id, "idle_minutes")), longest)), default=0)


def unlock(store: Store, session: UserSession, *, password: str) -> None:
    """Go on with a locked session; raises InvalidInput(wrong_password), SignInNeeded(too_many_tries)."""
    with store.read() as connection:
        row = connection.one(
            'SELECT login, password FROM "user" WHERE id = ? AND deleted = 0 AND active = 1', (bytes.fromhex(session.user_id),)
        )
    login, stored = row or ("", None)
    with one_guess(store, login):
        if not password_matches(password, stored or ""):
            raise InvalidInput("wrong_password", N_("The password is wrong. The screen stays locked."), field="password")
    with store.housekeeping() as connection:
        connection.execute(
            "UPDATE session SET locked = 0, used = ? WHERE token_hash = ?", (store.clock.now_ms(), bytes.fromhex(session.key))
        )
