"""What users have chosen and takes effect wherever they sign in.

It is kept in a row per user, key and node, written at that node alone: rows never meet in a merge, so nothing is overwritten
and nobody has to settle anything. Of several rows for one key the one set last holds, in the order of ``set_at``, which is
later than everything its author had seen even where a clock is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from localcrm.domain.options.company import office_value, usable
from localcrm.domain.options.entities import UserOption
from localcrm.domain.options.table import FREE, Level, option, options, roams
from localcrm.store.connection import Connection
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_KIND = UserOption.entity_type


def own_choices(connection: Connection, user_id: str) -> dict[str, str]:
    """What a user has chosen himself and roams with him, by key."""
    rows = connection.all(
        "SELECT key, value FROM user_option WHERE user_id = ? AND deleted = 0 ORDER BY set_at, id", (bytes.fromhex(user_id),)
    )
    newest: dict[str, str | None] = dict(rows)
    return {key: value for key, value in newest.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Default:
    """What holds for a user who has chosen nothing; ``role``: name of the role it comes from, "" where it holds for everybody."""

    value: str
    role: str = ""


def defaults(connection: Connection, user_id: str) -> dict[str, Default]:
    """By key what holds for a user who has chosen nothing: what his roles say, else head office, else what is built in.

    Of several roles the one whose name stands first in the list of roles. Every option has one, columns only where a role says something.
    """
    found = {one.key: Default(office_value(connection, one)) for one in options(Level.PERSONAL)}
    return found | _said_by_roles(connection, user_id)


def _said_by_roles(connection: Connection, user_id: str) -> dict[str, Default]:
    rows = connection.all(
        """SELECT o.key, o.value, r.name FROM user_role u JOIN role r ON r.id = u.role_id AND r.deleted = 0 AND r.user_id IS NULL
           JOIN role_option o ON o.role_id = r.id AND o.deleted = 0
           WHERE u.user_id = ? AND u.deleted = 0 AND o.value IS NOT NULL ORDER BY r.name DESC, r.id DESC""",
        (bytes.fromhex(user_id),),
    )
    return {key: Default(value, role) for key, value, role in rows if can_roam(key, value)}


def can_roam(key: str, value: str) -> bool:
    """Whether this program can do anything with what roams with a user; another version may have written it."""
    return roams(key) and (key.startswith(FREE) or usable(option(key), value) is not None)


def personal_value(connection: Connection, user_id: str, key: str) -> str:
    """What holds of one option for a user: his own choice, else the default."""
    one = option(key)
    own, said = usable(one, own_choices(connection, user_id).get(key)), _said_by_roles(connection, user_id).get(key)
    if own is not None:
        return own
    return said.value if said else office_value(connection, one)


def choose(uow: UnitOfWork, user_id: str, key: str, value: str | None) -> None:
    """Keep what roams, from now on and at every node; None: he has no choice of his own any more."""
    known = uow.where(_KIND, user_id=user_id, key=key)
    newest = max(known, key=_order, default=None)
    if (newest["value"] if newest else None) == value:
        return
    set_at = next_moment(uow, newest["set_at"] if newest else None)
    own = max((row for row in known if row["node"] == uow.node.code), key=_order, default=None)
    if own is None:
        uow.insert(_KIND, _KIND.validate({"user_id": user_id, "key": key, "value": value, "node": uow.node.code, "set_at": set_at}))
    else:
        uow.update(_KIND, own["id"], {"value": value, "set_at": set_at})


def next_moment(uow: UnitOfWork, last: datetime | None) -> datetime:
    """Now, or just after ``last`` where this clock is behind the one that wrote it."""
    now = datetime.fromtimestamp(uow.store.clock.now_ms() / 1000, tz=UTC)
    return now if last is None else max(now, last + timedelta(milliseconds=1))


def _order(row: Record) -> tuple[datetime, str]:
    return row["set_at"], row["id"]
