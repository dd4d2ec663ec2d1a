"""Convergence, proven from the data themselves: one hash per table, computed from rows, never adopted from a peer."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from localcrm.kernel.schema import EntityType, entities
from localcrm.sync.scope import Scope, condition

if TYPE_CHECKING:
    from localcrm.store.connection import Connection


def table_digest(connection: Connection, entity: EntityType, scope: Scope | None = None) -> str:
    """Hash of every row of a table, or of those in a scope: id, register and columns by wire number, in the order of ids."""
    fields = sorted(entity.fields.values(), key=lambda field: field.no)
    columns = ", ".join(f'"{field.key}"' for field in fields)
    digest = blake2b(msgspec.msgpack.encode([entity.no, [field.no for field in fields]]), digest_size=16)
    encode = msgspec.msgpack.Encoder().encode
    inside = condition(entity, scope, "r") if scope else "1"
    for row in connection.stream(f'SELECT id, deleted, {columns} FROM "{entity.key}" r WHERE {inside} ORDER BY id'):
        digest.update(encode(row))
    return digest.hexdigest()


def digests(connection: Connection, scope: Scope | None = None) -> dict[str, str]:
    """Hash of every table, or of what is in a scope, by entity key."""
    return {entity.key: table_digest(connection, entity, scope) for entity in entities()}


def whole(tables: dict[str, str]) -> str:
    """One hash of all tables."""
    return blake2b(msgspec.msgpack.encode(sorted(tables.items())), digest_size=16).hexdigest()
