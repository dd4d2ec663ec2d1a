"""What users have chosen and takes effect wherever they sign in.

It is kept in a row per user, key and node, written at that node alone: rows never meet in a merge, so nothing is overwritten
and nobody has to settle anything. Of several rows for one key the one set last holds, in the order of ``set_at``, which is
later than everything its author had seen even where a clock is wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from localcrm.domain.options.company import office_value, usable
from localcrm.domain.options.entities import UserOption
from localcrm.domain.options.table import option
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


def personal_value(connection: Connection, user_id: str, key: str) -> str:
    """What holds of one option for a user: his own choice, else what holds for everybody."""
    one = option(key)
    return usable(one, own_choices(connection, user_id).get(key)) or office_value(connection, one)


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
