"""Where records name another one, by whatever kind of field, and letting them name one record instead of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from localcrm.kernel.schema import EntityType, Field, Kind, entities, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.uow import UnitOfWork


@dataclass(frozen=True, slots=True)
class Naming:
    """A field by which records of a kind name records of ``target``: a reference, a list of ids, or beside ``entity`` the id as text."""

    kind: EntityType
    field: Field
    target: EntityType

    @property
    def is_about(self) -> bool:
        """Whether it is the ``record`` of a kind whose records are about others."""
        return self.field.kind != "ref" and not self.field.f.refs

    @property
    def stays(self) -> bool:
        """Whether what is written there once stays as it is for ever, or follows by itself (``sync.grants``)."""
        return self.kind.kind in {Kind.LEDGER, Kind.STATE} or (self.kind.kind is Kind.HUB and not self.kind.by_hand)

    @property
    def others(self) -> tuple[Field, ...]:
        """Other references of the same record to the same kind of record."""
        return tuple(one for one in self.kind.refs if one.f.ref == self.target.key and one is not self.field)

    def found(self, identity: str) -> tuple[str, list[Any]]:
        """SQL for rows that name a record, and its parameters."""
        if self.field.kind == "ref":
            return f'"{self.field.key}" = ?', [bytes.fromhex(identity)]
        if self.field.f.refs:
            return f'instr("{self.field.key}", ?) > 0', [identity]
        return f'entity = ? AND "{self.field.key}" = ?', [self.target.key, identity]


def namings(target: EntityType) -> Iterator[Naming]:
    """Every field by which any kind of record may name one of this kind; what the company added too."""
    for kind in entities():
        for field in kind.fields.values():
            if target.key in {field.f.ref, field.f.refs} or (kind.about and field.key == "record"):
                yield Naming(kind, field, target)


def can_be_moved(kind: EntityType, no: int) -> bool:
    """Whether a column names records of a kind in which one may be merged into another, in records that are written more than once."""
    field = kind.by_no.get(no)
    if field is None or kind.kind is not Kind.MASTER:
        return False
    target = field.f.ref or field.f.refs
    return bool(entity_type(target).merged) if target else kind.about and field.key == "record"


def rename(uow: UnitOfWork, target: EntityType, old: str, new: str) -> int:
    """Let every record that may be written here name ``new`` instead of ``old``; returns how many did.

    Left as they are: movements, posted documents, drafts and other records of another branch, and at a branch what head office sets. A
    record that would name ``new`` twice says what it said: there is nothing between a record and itself.
    """
    return sum(_rename(uow, naming, old, new) for naming in namings(target) if not naming.stays)


def named_by_drafts(connection: Connection, node: Node, target: EntityType) -> set[str]:
    """Of records that were merged into others those which drafts of this node still name, by reference."""
    found: set[str] = set()
    for naming in namings(target):
        kind, field = naming.kind, naming.field
        if kind.kind in {Kind.DOCUMENT, Kind.LINE} and field.kind == "ref":
            writable, owner = _writable(node, kind, field)
            rows = connection.all(
                f'SELECT DISTINCT t.id FROM "{kind.key}" JOIN "{target.key}" t ON t.id = "{field.key}" '
                f'WHERE "{kind.key}".deleted = 0 AND t."{target.merged}" IS NOT NULL AND {writable}',
                owner,
            )
            found.update(row[0].hex() for row in rows)
    return found


def _rename(uow: UnitOfWork, naming: Naming, old: str, new: str) -> int:
    kind, field = naming.kind, naming.field
    writable, owner = _writable(uow.node, kind, field)
    if writable is None:
        return 0
    condition, params = naming.found(old)
    columns = ", ".join(f'"{one.key}"' for one in (field, *naming.others))
    found: list[tuple[Any, ...]] = []
    for deleted in (0, 1):  # an index holds either the live rows or the bin
        found += uow.connection.all(
            f'SELECT id, {columns} FROM "{kind.key}" WHERE deleted = {deleted} AND {condition} AND {writable}', [*params, *owner]
        )
    count = 0
    for pk, value, *others in found:
        if bytes.fromhex(new) not in {*others, pk}:
            count += uow.update(kind, pk.hex(), {field.key: _with(field, value, old, new)})
    return count


def _with(field: Field, value: Any, old: str, new: str) -> str:
    if not field.f.refs:
        return new
    return " ".join(dict.fromkeys(new if one == old else one for one in str(value).split()))


def _writable(node: Node, kind: EntityType, field: Field) -> tuple[str | None, Sequence[Any]]:
    """SQL for the rows of a kind that this node may write, None for no row."""
    here = bytes.fromhex(node.branch_id)
    if kind.kind is Kind.DOCUMENT:
        return f'"{kind.key}".status = \'draft\' AND "{kind.key}".branch_id IS ?', [here]
    if kind.kind is Kind.LINE:
        parent = kind.fields[str(kind.parent)]
        draft = f"SELECT id FROM \"{parent.f.ref}\" WHERE status = 'draft' AND branch_id IS ?"
        return f'"{kind.key}"."{parent.key}" IN ({draft})', [here]
    if node.is_office:
        return "1", []
    if kind.kind is Kind.HUB or field.f.merge == "hub":
        return None, []
    return (f'"{kind.home}" IS ?', [here]) if kind.home else ("1", [])
