"""Records that were merged into another one of their kind: one record in several rows, of which one lives.

What may be written again names the live one since the merge. What is never written again (posted documents, movements, logs) goes on naming
the row it was about; whoever asks for the record asks for all its rows (``ids_of``; lists do so by themselves, see ``store.query``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection


def ids_of(connection: Connection, entity: EntityType, identity: str) -> list[str]:
    """The id of a record and those of all that were merged into it, itself first."""
    return [identity, *(one for one, into in merged_into(connection, entity, [identity]).items() if into == identity)]


def one_of(connection: Connection, entity: EntityType, identity: str) -> tuple[str, list[bytes]]:
    """SQL behind a column that names a record, for all its rows ("IN (?, ?)"), and its parameters."""
    ids = [bytes.fromhex(one) for one in ids_of(connection, entity, identity)]
    return f"IN ({', '.join('?' * len(ids))})", ids


def merged_into(connection: Connection, entity: EntityType, ids: Iterable[str]) -> dict[str, str]:
    """What was merged into these records, at one or more removes: id of the row → id of the record."""
    found: dict[str, str] = {}
    frontier = {one: one for one in ids}
    while entity.merged and frontier:
        marks = ",".join("?" * len(frontier))
        rows = connection.all(
            f'SELECT id, "{entity.merged}" FROM "{entity.key}" WHERE "{entity.merged}" IN ({marks})',
            [bytes.fromhex(one) for one in frontier],
        )
        frontier = {row.hex(): frontier[into.hex()] for row, into in rows if row.hex() not in found and row.hex() not in frontier}
        found.update(frontier)
    return found


def survivor(connection: Connection, entity: EntityType, identity: str) -> str:
    """The record that a row has become; itself where it was never merged, and where rows were merged in a circle."""
    seen = [identity]
    while True:
        into = connection.value(f'SELECT "{entity.merged}" FROM "{entity.key}" WHERE id = ?', (bytes.fromhex(seen[-1]),))
        if into is None:
            return seen[-1]
        if into.hex() in seen:
            return identity
        seen.append(into.hex())
