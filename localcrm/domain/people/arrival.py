"""What somebody should hear when he comes in: his last sign-in, wrong tries since, and that somebody else has set his password.

Sign-ins, tries and resets are read from the system log of this node; who has set the password that holds, at whatever node, from
the history of the user. So nothing has to be kept for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from localcrm.domain.people.entities import User
from localcrm.domain.people.sessions import WRONG_GUESSES, UserSession, login_key
from localcrm.store.changelog import history
from localcrm.store.connection import Connection
from localcrm.store.query import titles
from localcrm.store.store import Store

_USER = User.entity_type


@dataclass(frozen=True, slots=True)
class Reset:
    """When a password was set without the old one; ``by`` answered at head office or set it, "" for the recovery code."""

    at: int
    by: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """``last``: the sign-in before this one, None for the first · ``given``: who has set the password that holds, where it was somebody
    else than the user, until he chooses one himself. Times in Unix milliseconds.
    """

    last: int | None
    failed: int
    resets: tuple[Reset, ...] = ()
    given: Reset | None = None

    @property
    def is_alarming(self) -> bool:
        """Whether the user should rather look twice."""
        return bool(self.failed or self.resets or self.given)


def arrival(store: Store, session: UserSession) -> Arrival:
    """What happened between the last sign-in of the session's user and the one that began it."""
    user = bytes.fromhex(session.user_id)
    with store.read() as connection:
        own, before = _sign_ins(connection, user, session.created)
        login = connection.value('SELECT login FROM "user" WHERE id = ?', (user,)) or ""
        since = before[0] if before else 0
        failed = connection.value(
            f"SELECT count(*) FROM event_log WHERE id > ? AND id < ? AND detail = ? AND kind IN ({', '.join('?' * len(WRONG_GUESSES))})",
            (since, own, login_key(login), *WRONG_GUESSES),
        )
        resets = connection.all(
            "SELECT at, detail FROM event_log WHERE id > ? AND id < ? AND user_id = ? AND kind IN ('password_reset', 'password_recovered') "
            "ORDER BY id",
            (since, own, user),
        )
        given = _given_password(connection, session.user_id)
    return Arrival(before[1] if before else None, int(failed), tuple(Reset(at, by or "") for at, by in resets), given)


def _given_password(connection: Connection, user_id: str) -> Reset | None:
    """Who has set the password that holds, where it was another user: the newest change of it, else whoever added the user."""
    changes = history(connection, _USER, user_id)
    newest = next((change for change in changes if change.field == "password" or change.first), None)
    if newest is None or newest.user_id in {None, user_id}:
        return None
    name = titles(connection, _USER, [newest.user_id or ""]).get(newest.user_id or "", "")
    return Reset(round(datetime.fromisoformat(newest.at).timestamp() * 1000), name)


def untold(store: Store, session: UserSession) -> Arrival | None:
    """What the user of a session has not heard yet; what is not alarming is told by being asked for."""
    with store.read() as connection:
        if connection.value("SELECT told FROM session WHERE token_hash = ?", (bytes.fromhex(session.key),)):
            return None
    found = arrival(store, session)
    if not found.is_alarming:
        note_told(store, session.key)
    return found if found.is_alarming or found.last is not None else None


def note_told(store: Store, key: str) -> None:
    """The user has read it; other pages of the session need not say it again."""
    with store.housekeeping() as connection:
        connection.execute("UPDATE session SET told = 1 WHERE token_hash = ?", (bytes.fromhex(key),))


def _sign_ins(connection: Connection, user: bytes, created: int) -> tuple[int, tuple[int, int] | None]:
    """Row of the sign-in that began a session, and (row, time) of the one before it."""
    newest = int(connection.value("SELECT coalesce(max(id), 0) FROM event_log"))
    own = (
        connection.value("SELECT min(id) FROM event_log WHERE user_id = ? AND kind = 'sign_in' AND at >= ?", (user, created)) or newest + 1
    )
    before = connection.one(
        "SELECT id, at FROM event_log WHERE id < ? AND user_id = ? AND kind = 'sign_in' ORDER BY id DESC LIMIT 1", (own, user)
    )
    return int(own), before
