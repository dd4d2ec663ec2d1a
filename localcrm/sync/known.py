"""What one merge knows, for its three parts: the way through a batch (``merge``), what may not be applied (``faults``), what was
concurrent (``conflicts``).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcrm.kernel.schema import EntityType, Kind, Stored, entities
from localcrm.sync.columns import Rules, rules_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localcrm.store.connection import Connection
    from localcrm.sync.codec import Group


@dataclass(frozen=True, slots=True)
class Sender:
    """The branch whose changes head office is admitting."""

    node_no: int
    code: str
    branch_id: bytes
    orphaned: set[tuple[str, bytes]] = field(default_factory=set)
    """Deleted parents of live records, kind and id, of which people were told already."""


@dataclass(slots=True)
class Row:
    """What the merge knows of one row: its newest change, and what this batch does to it."""

    newest: int
    origin: int
    """Of the newest change: local number."""
    oseq: int
    chain: bool = True
    """Whether every change of the row was made by somebody who had seen the one before it in this log."""
    new: tuple[Stored, ...] | None = None
    """The whole row, as this batch adds it."""
    changed: dict[int, Stored] | None = None
    """What changes of this batch make of a row, also of a new one."""
    gone: bool = False


@dataclass(slots=True)
class Work:
    """One group of the batch: what can be said of all its changes at once, and their values as the tables take them."""

    group: Group
    entity: EntityType
    rows: dict[bytes, Row]
    """Rows of the table."""
    sound: bool
    """Whether every change may be made as far as its table, columns and values tell."""
    free: bool
    """Whether nobody owns what the changes touch."""
    quiet: bool
    """Whether updates that simply apply have no consequence beyond their row."""
    refs: list[tuple[str, Sequence[Stored]]]
    """References to other records than the parent: entity, one value per change."""
    stored: list[tuple[Stored, ...]]
    """INSERT: whole rows."""
    values: list[tuple[Stored, ...]]
    """UPDATE: the new values."""
    diffs: list[str]
    """UPDATE: as the log keeps them."""


class Known:
    """Who sends, the rules of the tables, and the rows as the batch has left them so far."""

    def __init__(self, connection: Connection, sender: Sender | None) -> None:
        self.connection = connection
        self.sender = sender
        """None where a branch applies what head office has admitted."""
        self.rows: dict[int, dict[bytes, Row]] = defaultdict(dict)
        """By table number and id: every row the batch names that was there before or has come with it."""
        self.documents: dict[bytes, tuple[str, bytes | None] | None] = {}
        """Status and owning branch; ask ``document``."""
        self._rules: dict[int, Rules] = {}
        self._codes: dict[int, str] = {}

    def rules(self, entity: EntityType) -> Rules:
        """The rules of a table, as they were when the batch began."""
        if entity.no not in self._rules:
            self._rules[entity.no] = rules_of(entity)
        return self._rules[entity.no]

    def now(self, entity: EntityType, pk: bytes, no: int) -> Stored:
        """A column of a row; None for a row that does not exist."""
        row = self.rows[entity.no].get(pk)
        if row is not None and row.changed and no in row.changed:
            return row.changed[no]
        if row is not None and row.new is not None:
            return row.new[self.rules(entity).places[no]]
        found: Stored = self.connection.value(f'SELECT "{entity.by_no[no].key}" FROM "{entity.key}" WHERE id = ?', (pk,))
        return found

    def whole(self, entity: EntityType, pk: bytes) -> dict[int, Stored]:
        """Every column of a row that is not empty."""
        values = {no: self.now(entity, pk, no) for no in entity.by_no}
        return {no: value for no, value in values.items() if value is not None}

    def document(self, pk: bytes) -> tuple[str, bytes | None] | None:
        """Status and owning branch of a document that has lines; None for one that does not exist."""
        if pk not in self.documents:
            self.documents[pk] = None
            for kind in {line.fields[line.parent or ""].f.ref for line in entities() if line.kind is Kind.LINE}:
                found = self.connection.one(f'SELECT status, branch_id FROM "{kind}" WHERE id = ?', (pk,))
                if found:
                    self.documents[pk] = (found[0], found[1])
        return self.documents[pk]

    def code(self, node_no: int) -> str:
        """What people call a node, as it was when first asked."""
        if node_no not in self._codes:
            found = self.connection.value("SELECT code FROM branch WHERE node_no = ?", (node_no,)) or self.connection.value(
                "SELECT code FROM sync_peer WHERE node_no = ?", (node_no,)
            )
            self._codes[node_no] = str(found or f"#{node_no}")
        return self._codes[node_no]


def column_no(entity: EntityType, key: str) -> int:
    """The wire number of a column."""
    return entity.fields[key].no
