"""What a branch holds: everything, or of orders, movements and money, or of customers too, only its own (field ``holds`` of the branch).

Declarations name the ways by which a record belongs to a branch (``EntityType.scope``); a record is in a branch's scope when one of them
leads there. What is seen and changed with a customer goes where that one goes (``EntityType.root``). Customers of no branch, and those in a
pool, are everybody's; which others a branch holds beyond its own is written down (``sync.grants``). What tells of a record that work done apart
met (``Conflict``) goes where the record goes, and to those whose value is concerned or who settled it.

Scope is asked of head office's rows as they stand; nothing about it is kept. What enters or leaves a branch's scope follows from the
changes of the log that alter a way. What enters comes whole, with every change there was, whatever had been sent before; what leaves is
taken away. Both may be said again at any time: what has arrived is known, and what is gone stays gone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from localcrm.domain.admin.entities import Branch, BranchHolds
from localcrm.domain.crm.entities import Customer, CustomerBranch
from localcrm.kernel.schema import EntityType, Kind, entities, entity as entity_type, root_of
from localcrm.store import changelog, digests, past, search
from localcrm.store.ddl import GONE, INSERT, UPDATE
from localcrm.store.forget import forget_changes
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.node import branch_id, leaves_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

#: Rows named in one statement.
_AT_ONCE = 500
#: Meta key of a branch: the place in head office's log up to which it has heard of its scope.
_HEARD = "scope_heard"
#: Meta key of a branch: the place up to which it has heard all of it.
TOLD = "scope_told"
_HOLDS = Branch.entity_type.fields["holds"]
_BRANCH, CUSTOMER, GRANT = Branch.entity_type, Customer.entity_type, CustomerBranch.entity_type


@dataclass(frozen=True, slots=True)
class Scope:
    """What one branch holds, as head office sees it."""

    node_no: int
    branch_id: bytes
    holds: BranchHolds

    @property
    def limited(self) -> bool:
        """Whether it holds only its own; otherwise everything is in its scope."""
        return self.holds != BranchHolds.ALL

    def leaves_out(self, entity: EntityType) -> bool:
        """Whether records of a kind can be outside of it."""
        return leaves_out(self.holds, entity)


@dataclass(slots=True)
class Moves:
    """What entered and what left a scope."""

    at: int
    """The newest number of head office's log when it looked."""
    since: int
    """After which number it looked for changes."""
    into: list[int] = field(default_factory=list)
    """Numbers of earlier changes of the records that entered, in the order of head office's log."""
    out: dict[EntityType, list[bytes]] = field(default_factory=dict)
    """Records that left, by kind."""


def scope_of(store: Store, connection: Connection, node_no: int, code: str) -> Scope:
    """What a branch holds today."""
    identity = bytes.fromhex(branch_id(store.node.company_id, code))
    holds = connection.value("SELECT holds FROM branch WHERE id = ?", (identity,))
    return Scope(node_no, identity, BranchHolds(holds or BranchHolds.ALL))


def digests_of(connection: Connection, scope: Scope, tables: dict[str, str]) -> dict[str, str]:
    """Of the digests of all tables those of what is in a scope; looks at every row of the limited kinds unless nothing has changed there."""
    if not scope.limited:
        return tables
    kinds = limited_kinds(scope)
    asked = {key: tables[key] for kind in kinds for key in (kind.key, *(target.key for target in _targets(kind)))}
    known = (scope.branch_id, tables[GRANT.key], *sorted(asked.items()))
    if known not in _digests:
        if len(_digests) >= _KEPT:
            _digests.clear()
        _digests[known] = {kind.key: digests.table_digest(connection, kind, condition(kind, scope, "r")) for kind in kinds}
    return tables | _digests[known]


#: Digests of scopes by branch and the digests of whole tables that they follow from, a few hundred at most.
_digests: dict[tuple[Any, ...], dict[str, str]] = {}
_KEPT = 300


def goes_with_customers(entity: EntityType) -> bool:
    """Whether it is the customer, or hangs on one: is seen and changed with it, and belongs to no branch by itself."""
    return root_of(entity) is CUSTOMER


def ways_of(entity: EntityType) -> tuple[str, ...]:
    """References by which a record belongs to a branch."""
    above = entity.under or entity.seen_with
    return entity.scope or ((above,) if above and root_of(entity) else ())


def limited_kinds(*scopes: Scope) -> list[EntityType]:
    """Kinds of records that one of the scopes can leave out, those first that others belong with, last what is about any of them."""
    kinds = (kind for kind in entities() if any(scope.leaves_out(kind) for scope in scopes))
    return sorted(kinds, key=lambda kind: (kind.about, _depth(kind), kind.no))


def _depth(entity: EntityType) -> int:
    return max((1 + _depth(target) for target in _targets(entity)), default=0)


def condition(entity: EntityType, scope: Scope, alias: str) -> str:
    """SQL that is true for the rows of a table that are in a scope; for whole tables."""
    return f"({_ways(entity, scope, alias, whole=True)})" if scope.leaves_out(entity) else "1"


def _ways(entity: EntityType, scope: Scope, alias: str, *, whole: bool = False) -> str:
    """``whole``: what is in the scope is gathered once, not asked for row by row."""
    if entity.about:
        return _ways_about(scope, alias)
    own = f"x'{scope.branch_id.hex()}'"
    ways = []
    for number, key in enumerate(ways_of(entity)):
        target, other = _target(entity, key), f"{alias}{number}"
        if target is _BRANCH:
            ways.append(f'{alias}."{key}" = {own}')
            continue
        # What belongs to no branch is everybody's.
        leads = f"({_ways(target, scope, other, whole=whole)})" if ways_of(target) else f"coalesce({other}.branch_id = {own}, 1)"
        if whole:
            ways.append(f'{alias}."{key}" IN (SELECT {other}.id FROM "{target.key}" {other} WHERE {leads})')
        else:
            ways.append(f'EXISTS (SELECT 1 FROM "{target.key}" {other} WHERE {other}.id = {alias}."{key}" AND {leads})')
    if entity is CUSTOMER:
        # Row by row the customer's few grants are looked through, not the branch's many.
        given = f"SELECT customer_id FROM {GRANT.key} WHERE {'' if whole else '+'}branch_id = {own} AND deleted = 0"
        ways += [f"{alias}.pool_id IS NOT NULL", f"{alias}.id IN ({given})" if whole else f"EXISTS ({given} AND customer_id = {alias}.id)"]
    if root_of(entity):
        ways += [f'{alias}."{key}" IS NULL' for key in ways_of(entity)]
    return " OR ".join(ways)


def _ways_about(scope: Scope, alias: str, *, is_nested: bool = False) -> str:
    """Of a conflict: the record is here, or the other one of two; a value of the branch is concerned, or it settled this. What tells of a conflict
    itself, mended for instance, goes where that one goes.
    """
    other, told = f"{alias}0", ""
    for kind in limited_kinds(scope):
        if not (kind.about and is_nested):
            named = f"{other}.id IN (unhex({alias}.record), unhex({alias}.other))"
            leads = _ways_about(scope, other, is_nested=True) if kind.about else _ways(kind, scope, other)
            told += f""" WHEN '{kind.key}' THEN EXISTS (SELECT 1 FROM "{kind.key}" {other} WHERE {named} AND ({leads}))"""
    there = f"CASE {alias}.entity{told} ELSE 1 END" if told else "1"
    settled = f"instr(char(10) || {alias}.resolved_nodes || char(10), char(10) || code || char(10))"
    concerned = (
        f"SELECT 1 FROM sync_origin WHERE node_no = {scope.node_no} AND (code IN ({alias}.kept_node, {alias}.lost_node) OR {settled})"
    )
    return f"{there} OR EXISTS ({concerned})"


def _targets(entity: EntityType) -> list[EntityType]:
    """Kinds whose records lead its own to a branch; of what is about any kind, none by itself."""
    return [] if entity.about else [_target(entity, key) for key in ways_of(entity)]


def _target(entity: EntityType, key: str) -> EntityType:
    return entity_type(entity.fields[key].f.ref or "")


def outside(connection: Connection, scope: Scope, entity: EntityType, ids: Iterable[bytes]) -> set[bytes]:
    """Which of these records are not in the scope."""
    return _not_its_own(connection, scope, entity, list(ids)) if scope.leaves_out(entity) else set()


def _not_its_own(connection: Connection, scope: Scope, entity: EntityType, ids: Sequence[bytes]) -> set[bytes]:
    """Which of these records no way leads to the branch; a removed line goes with its document."""
    found: set[bytes] = set()
    for portion in portions(ids):
        sql = f'SELECT r.id, {_ways(entity, scope, "r")} FROM "{entity.key}" r WHERE r.id IN ({_marks(portion)})'
        there: dict[bytes, int | None] = dict(connection.all(sql, portion))
        found.update(pk for pk, inside in there.items() if not inside)
        removed = _parents_of_removed(connection, entity, [pk for pk in portion if pk not in there])
        if removed:
            beyond = _not_its_own(connection, scope, _target(entity, entity.parent or ""), sorted(set(removed.values())))
            found.update(pk for pk, document in removed.items() if document in beyond)
    return found


def _parents_of_removed(connection: Connection, entity: EntityType, ids: Sequence[bytes]) -> dict[bytes, bytes]:
    if entity.kind is not Kind.LINE or not ids:
        return {}
    removals = (change for change in changelog.changes_of(connection, entity, ids) if change.op == GONE)
    return {change.pk: parent for change in removals if change.pk and (parent := _removed_from(entity, change.diff))}


def _removed_from(entity: EntityType, diff: str | None) -> bytes | None:
    parent = changelog.parse_row(entity, diff or "{}").get(entity.fields[entity.parent or ""].no)
    return parent if isinstance(parent, bytes) else None


# what entered and what left ------------------------------------------------------------------------------------------------


def moves(connection: Connection, scope: Scope, told: int, cursor: int) -> Moves:
    """What has entered or left the scope by changes of head office's log that a branch was not told of; of what entered, what the log
    tells no more.

    ``told``: the number up to which it was told, if it was · ``cursor``: up to which it has the log; at 0 it has nothing that could leave,
    and is sent everything that is in its scope now.
    """
    head = changelog.head(connection)
    found = Moves(head, max(cursor, told) if told <= head else cursor)
    for kind, ids in _touched(connection, scope, found.since).items() if cursor else ():
        beyond = outside(connection, scope, kind, ids)
        if beyond:
            found.out[kind] = sorted(beyond)
        for portion in portions(sorted(ids - beyond)):
            found.into += [change.lseq for change in changelog.changes_of(connection, kind, portion) if change.lseq <= cursor]
    found.into.sort()
    return found


def _touched(connection: Connection, scope: Scope, after: int) -> dict[EntityType, set[bytes]]:
    """Records whose ways, or those of what they belong with, changed after a number; of a switch, those that no way leads to the branch."""
    before = held_before(connection, scope, after)
    if not (scope.limited or before):  # who holds everything is concerned by the switch alone
        return {}
    earlier = [replace(scope, holds=holds) for holds in before]
    kinds = limited_kinds(scope, *earlier)
    watched: dict[EntityType, set[int]] = defaultdict(set)
    for kind in kinds:
        if kind.about:
            watched[kind] = {kind.fields["resolved_nodes"].no}
            continue
        for key in ways_of(kind):
            watched[kind].add(kind.fields[key].no)
            if (target := _target(kind, key)) is not _BRANCH and not ways_of(target):
                watched[target].add(target.fields["branch_id"].no)
    if CUSTOMER in kinds:
        watched[CUSTOMER].add(CUSTOMER.fields["pool_id"].no)
    touched = changed(connection, watched, after)
    if CUSTOMER in kinds:
        touched[CUSTOMER] |= _given(connection, after)
    for kind in kinds:
        touched[kind] |= _telling_of(connection, kind, touched, after) if kind.about else _belonging(connection, kind, touched)
        if before:  # what is about others is led by what those are limited by: other kinds before and after
            for one in (scope, *earlier) if kind.about else (scope,):
                touched[kind] |= _not_its_own(connection, one, kind, _all(connection, kind))
    return {kind: ids for kind, ids in touched.items() if ids and ways_of(kind)}


def held_before(connection: Connection, scope: Scope, after: int) -> set[BranchHolds]:
    """What head office had a branch hold before it decided anew after a number of its log; empty where it did not."""
    found: set[BranchHolds] = set()
    for change in changelog.changes_of(connection, _BRANCH, [scope.branch_id]):
        if change.op == UPDATE and change.lseq > after:
            old, _new = changelog.parse_diff(_BRANCH, change.diff or "{}").get(_HOLDS.no, (None, None))
            found |= {BranchHolds(str(old))} if old else set()
    return found


def _given(connection: Connection, after: int) -> set[bytes]:
    """Customers that branches were given, or that were taken from them, after a number."""
    return named(connection, GRANT, "customer_id", changelog.touched(connection, after, [GRANT])[GRANT])


def named(connection: Connection, kind: EntityType, key: str, ids: Iterable[bytes]) -> set[bytes]:
    """What some records name by a reference."""
    found: set[bytes] = set()
    for portion in portions(sorted(ids)):
        rows = connection.all(f'SELECT DISTINCT "{key}" FROM "{kind.key}" WHERE id IN ({_marks(portion)})', portion)
        found.update(row[0] for row in rows if row[0] is not None)
    return found


def naming_one_of(connection: Connection, kind: EntityType, key: str, targets: set[bytes]) -> set[bytes]:
    """Records that name one of the targets by a reference, those in the bin too."""
    found: set[bytes] = set()
    listed = json.dumps([pk.hex() for pk in targets])
    # The index of a reference knows live rows only, the one of the bin all others.
    sql = f'SELECT id FROM "{kind.key}" WHERE deleted = {{}} AND "{key}" IN (SELECT unhex(value) FROM json_each(?))'
    for deleted in (0, 1) if targets else ():
        found.update(row[0] for row in connection.all(sql.format(deleted), (listed,)))
    return found


def changed(connection: Connection, watched: dict[EntityType, set[int]], after: int) -> dict[EntityType, set[bytes]]:
    """Records of which one of the named columns changed after a number."""
    kinds = {kind.no: kind for kind in watched}
    found: dict[EntityType, set[bytes]] = defaultdict(set)
    older = (
        (change.table, change.pk, change.diff) for change in past.changes(connection, after, tables=kinds.keys()) if change.op == UPDATE
    )
    marks = ",".join(map(str, kinds))
    younger = connection.stream(f"SELECT tbl, pk, diff FROM sync_log WHERE lseq > ? AND +tbl IN ({marks}) AND op = {UPDATE}", (after,))
    for table, pk, diff in chain(older, younger):
        kind = kinds.get(table)
        if kind and pk and not watched[kind].isdisjoint(changelog.parse_diff(kind, diff or "{}")):
            found[kind].add(pk)
    return found


def _all(connection: Connection, kind: EntityType) -> list[bytes]:
    """Every record of a kind, removed lines too."""
    return [row[0] for row in connection.all(f'SELECT id FROM "{kind.key}"')] + [pk for pk, _parent in _removals(connection, kind)]


def _removals(connection: Connection, kind: EntityType) -> Iterator[tuple[bytes, bytes | None]]:
    """Removed lines, with the document they were removed from."""
    if kind.kind is not Kind.LINE:
        return
    for change in past.changes(connection, tables=frozenset({kind.no})):
        if change.op == GONE and change.pk:
            yield change.pk, _removed_from(kind, change.diff)
    for pk, diff in connection.all("SELECT pk, diff FROM sync_log WHERE tbl = ? AND op = ?", (kind.no, GONE)):
        yield pk, _removed_from(kind, diff)


def _telling_of(connection: Connection, about: EntityType, touched: dict[EntityType, set[bytes]], after: int) -> set[bytes]:
    """What is about one of those touched, about a line that was removed after a number, or about a record that arrived after it though a change of it
    had been kept aside; and what is about that.
    """
    found = _arrived_after_all(connection, about, after)
    records = {pk for ids in touched.values() for pk in ids} | _removed(connection, after) | found
    while records:
        listed = json.dumps([pk.hex() for pk in records])
        records = set()
        for key in ("record", "other"):
            sql = f'SELECT id FROM "{about.key}" WHERE deleted = 0 AND "{key}" IN (SELECT value FROM json_each(?))'
            records |= {row[0] for row in connection.all(sql, (listed,))} - found
        found |= records
    return found


def _arrived_after_all(connection: Connection, about: EntityType, after: int) -> set[bytes]:
    """What tells of changes that were kept aside, of records that were made after a number: until then they were not there."""
    numbers = {kind.key: kind.no for kind in entities()}
    made = f"SELECT 1 FROM sync_log INDEXED BY sync_log_row WHERE tbl = ? AND pk = unhex(?) AND op = {INSERT} AND lseq > ?"
    held = connection.all(f"SELECT id, entity, record FROM \"{about.key}\" WHERE kind = 'quarantined' AND deleted = 0")
    return {pk for pk, entity, record in held if entity in numbers and connection.one(made, (numbers[entity], record, after))}


def _removed(connection: Connection, after: int) -> set[bytes]:
    """Lines that were removed after a number."""
    lines = {kind.no for kind in entities() if kind.kind is Kind.LINE}
    older = {change.pk for change in past.changes(connection, after, tables=lines) if change.op == GONE}
    marks = ",".join(map(str, lines))
    younger = connection.stream(f"SELECT pk FROM sync_log WHERE lseq > ? AND +tbl IN ({marks}) AND op = {GONE}", (after,))
    return {pk for pk in (*older, *(pk for (pk,) in younger)) if pk}


def _belonging(connection: Connection, kind: EntityType, touched: dict[EntityType, set[bytes]]) -> set[bytes]:
    """Records of a kind that name one of those touched."""
    found: set[bytes] = set()
    for key in ways_of(kind):
        named = touched.get(_target(kind, key)) or set()
        found |= naming_one_of(connection, kind, key, named)
        if named and key == kind.parent:
            found.update(pk for pk, document in _removals(connection, kind) if document in named)
    return found


# a branch ------------------------------------------------------------------------------------------------------------------


def is_news(connection: Connection, at: int) -> bool:
    """Whether what head office says of the scope is not older than what it said last; if so, it is noted.

    A file may be read again long after, or two in the wrong order.
    """
    if at < int(get_meta(connection, _HEARD) or 0):
        return False
    set_meta(connection, _HEARD, at)
    return True


def is_outdated(connection: Connection, at: int) -> bool:
    """Whether what is said follows a scope that head office has said something newer of since."""
    return at < max(int(get_meta(connection, key) or 0) for key in (_HEARD, TOLD))


def is_told_anew(connection: Connection, at: int) -> bool:
    """Whether what is said follows a scope as it was at a number of head office's log that is not older than the one heard of last."""
    return at > 0 and at >= int(get_meta(connection, TOLD) or 0)


def note_told(connection: Connection, at: int) -> None:
    """All that head office had to say of the scope up to a number of its log has arrived."""
    if at > int(get_meta(connection, TOLD) or 0):
        set_meta(connection, TOLD, at)


def forget_told(connection: Connection) -> None:
    """Head office counts otherwise now: it was restored."""
    set_meta(connection, _HEARD, 0)
    set_meta(connection, TOLD, 0)


def take_out(store: Store, entity: EntityType, ids: Sequence[bytes], *, at: int) -> int:
    """A branch forgets records that left its scope, and all that its log says of them; returns how many were here and not in the bin.

    What it wrote itself it keeps, whatever head office says: its own numbers must stay its own.
    """
    count = 0
    if not ways_of(entity):  # everybody holds these
        return 0
    for portion in portions(ids):  # each by itself, so that people can save in between
        with store.merging() as connection:
            if not is_news(connection, at):
                break
            own = {row[0] for row in connection.all("SELECT origin FROM sync_origin WHERE node_no = ?", (store.node.node_no,))}
            mine = {change.pk for change in changelog.changes_of(connection, entity, portion) if change.tx.origin in own}
            gone = _forget(connection, entity, [pk for pk in portion if pk not in mine])
        if gone:
            store.announce_rows({entity.key: frozenset(pk.hex() for pk in gone)})
            count += sum(gone.values())
    return count


def _forget(connection: Connection, entity: EntityType, ids: Sequence[bytes]) -> dict[bytes, bool]:
    """Of rows that were here, whether they were live."""
    here = connection.all(f'SELECT rid, id, deleted FROM "{entity.key}" WHERE id IN ({_marks(ids)})', ids)
    search.forget(connection, entity, [row[0] for row in here])
    for _rid, pk, _deleted in here:
        digests.mark(connection, entity, pk)
    connection.execute(f'DELETE FROM "{entity.key}" WHERE id IN ({_marks(ids)})', ids)
    forget_changes(connection, entity, ids)
    return {pk: not deleted for _rid, pk, deleted in here}


def portions(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """As many as one statement names."""
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


def _marks(ids: Sequence[bytes]) -> str:
    return ",".join("?" * len(ids))
