"""What a node does of its own once work from elsewhere has arrived: each subject follows up its kinds of records.

It happens in the transaction of the merge, so what arrived and what follows from it are there together or not at all. A follow-up must
come to an end with whatever arrives: what it raised would stop the exchange for good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.ddl import UPDATE
from localcrm.store.migrate import get_meta
from localcrm.store.node import CATCHING_UP
from localcrm.store.uow import UnitOfWork, own_section

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store


class Follower(NamedTuple):
    """What is done with the ids of rows that arrived, in the order they did, and the one field whose changes alone count, if not all do."""

    act: Callable[[UnitOfWork, Sequence[str]], None]
    field: str = ""


#: By kind of record (see ``subjects``).
FOLLOWERS: dict[str, Follower] = {}


def follow(store: Store, connection: Connection, before: int) -> None:
    """Follow up what the log holds after number ``before``; nothing while a restored node has not heard yet what it did itself."""
    if get_meta(connection, CATCHING_UP):
        return
    arrived = {key: _arrived(connection, entity_type(key), before) for key in FOLLOWERS}
    if not any(arrived.values()):
        return
    with own_section(store, connection, actor=None) as uow:
        for key, ids in arrived.items():
            if ids:
                FOLLOWERS[key].act(uow, ids)


def _arrived(connection: Connection, kind: EntityType, before: int) -> list[str]:
    condition, params = "1", list[Any]()
    if field := FOLLOWERS[kind.key].field:
        condition, params = "op = ? AND instr(diff, ?)", [UPDATE, f'"{kind.fields[field].no}":']
    rows = connection.all(
        f"SELECT pk FROM sync_log WHERE lseq > ? AND tbl = ? AND pk IS NOT NULL AND {condition} ORDER BY lseq", (before, kind.no, *params)
    )
    return list(dict.fromkeys(pk.hex() for (pk,) in rows))
