"""The files of a customer: those attached to him, and to whatever names him."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.kernel.schema import EntityType, Field, entities
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select

#: Records of one kind that are looked through, the newest.
MOST = 100


@dataclass(frozen=True, slots=True)
class Attached:
    """A record with the files in one field of it, in the form the field holds."""

    kind: EntityType
    field: Field
    record: Record

    @property
    def files(self) -> str:
        """What the field holds (see ``kernel.attachments``)."""
        return str(self.record[self.field.key])


def customer_files(connection: Connection, actor: Actor, customer_id: str) -> list[Attached]:
    """All files of a customer that the actor may see: his own first, then kind by kind, the newest of each first."""
    found = []
    for kind, key in _kinds():
        seen = policy.seen(actor, kind)
        if seen is None or not seen.shows(key):
            continue
        for field in kind.fields.values():
            if field.kind == "files" and seen.shows(field.key):
                where = (Condition(key, "=", customer_id), Condition(field.key, "filled"))
                rows = select(connection, ListQuery(kind, where=where, limit=MOST, restrict=seen), count=False).rows
                found += [Attached(kind, field, row) for row in rows]
    return found


def _kinds() -> Iterator[tuple[EntityType, str]]:
    """Kinds of records that are a customer's, with the field that says whose."""
    for kind in entities():
        if kind.key == "customer":
            yield kind, "id"
    for kind in entities():
        if "customer_id" in kind.fields and any(field.kind == "files" for field in kind.fields.values()):
            yield kind, "customer_id"
