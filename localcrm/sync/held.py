"""What is kept aside: how it is written down, and which of it is tried again once this program or this file knows more (``drain``).

Tried again is what was not understood, and what belongs to a record that was itself not understood. Nothing else is: who may write
what does not become otherwise with a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from localcrm.kernel.schema import entity_by_no
from localcrm.store.ddl import DELETED_NO, GONE, INSERT, UPDATE
from localcrm.sync.codec import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localcrm.store.connection import Connection

#: Belongs to a record that is kept aside.
FOLLOWS = "follows_held"
#: Reasons that may pass by themselves.
AWAITING = ("unknown_table", "unknown_column", "unknown_op", FOLLOWS)
_LACKS_RECORD = frozenset({"unknown_row", "unknown_parent"})
AWAITED = f"reason IN {AWAITING}"


@dataclass(frozen=True, slots=True)
class Held:
    """A change that is kept aside."""

    origin: int
    """Local number."""
    oseq: int
    reason: str
    change: Change
    """Without a predecessor, which has no place in a batch here."""
    prev: tuple[int, int, int] | None
    """The predecessor: node, epoch, oseq."""

    @property
    def is_understood(self) -> bool:
        """Whether table, kind of change and columns are known by now."""
        entity = entity_by_no(self.change.table)
        if entity is None or self.change.op not in {INSERT, UPDATE, GONE}:
            return False
        return {value[0] for value in self.change.values} <= {DELETED_NO, *entity.by_no}


def write_raw(change: Change, origins: Sequence[tuple[int, int]]) -> bytes:
    """A change of a batch with these origins, as it is kept aside."""
    prev = (*origins[change.prev[0]], change.prev[1]) if change.prev else None
    return msgspec.msgpack.encode([change.table, change.op, change.pk, change.values, prev])


def find(connection: Connection, origin: int, oseq: int) -> Held | None:
    """What is kept aside under a number; None where nothing is."""
    row = connection.one("SELECT reason, raw FROM sync_quarantine WHERE origin = ? AND oseq = ?", (origin, oseq))
    if row is None:
        return None
    table, op, pk, values, *more = msgspec.msgpack.decode(row[1])
    prev = tuple(more[0]) if more and more[0] else None  # older programs kept none
    return Held(origin, oseq, row[0], Change(table, op, pk, [tuple(value) for value in values], None), prev)


class Awaited:
    """Records that something is awaited for: what belongs to one is kept aside for that, whatever else it lacks."""

    def __init__(self, connection: Connection | None = None) -> None:
        """Begin with what is kept aside in a data file, or with nothing."""
        self._connection = connection

    @cached_property
    def _ids(self) -> set[bytes]:
        return {row[0] for row in self._connection.all(f"SELECT pk FROM sync_quarantine WHERE {AWAITED}")} if self._connection else set()

    def add(self, pk: bytes) -> None:
        """A change of this record is kept aside as not understood."""
        self._ids.add(pk)

    def why(self, change: Change, reason: str) -> str:
        """The reason to tell for a change that may not be applied; to be asked in the order of changes."""
        if reason in _LACKS_RECORD and not self._ids.isdisjoint(_named(change)):
            reason = FOLLOWS
        if reason in AWAITING:
            self.add(change.pk)
        return reason


def _named(change: Change) -> Iterable[Any]:
    """The record a change is about, and those it refers to."""
    return {change.pk, *(value[-1] for value in change.values if isinstance(value[-1], bytes))}
