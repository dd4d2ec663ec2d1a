"""What a branch holds: everything, or of orders, movements and money only its own (field ``holds`` of the branch).

Declarations name the ways by which a record belongs to a branch (``EntityType.scope``). A record is in a branch's scope when one of them
leads there, when it is about a record that is, or when the branch once changed it: nobody is made to forget what he wrote himself.

Scope is asked of head office's rows as they stand; nothing about it is kept. What enters or leaves a branch's scope follows from the
changes of the log that alter a way. What enters comes whole, with every change there was, whatever had been sent before; what leaves is
taken away. Both may be said again at any time: what has arrived is known, and what is gone stays gone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcrm.domain.admin.entities import Branch, BranchHolds
from localcrm.kernel.schema import EntityType, Kind, entities
from localcrm.store import changelog, search
from localcrm.store.ddl import GONE, UPDATE
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.node import branch_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

#: Rows named in one statement.
_AT_ONCE = 500
#: Meta key of a branch: the place in head office's log up to which it has heard of its scope.
HEARD = "scope_heard"
_BRANCH = Branch.entity_type


@dataclass(frozen=True, slots=True)
class Scope:
    """What one branch holds, as head office sees it."""

    node_no: int
    branch_id: bytes
    limited: bool
    """Whether it holds only its own; otherwise everything is in its scope."""


@dataclass(slots=True)
class Moves:
    """What entered and what left a scope."""

    at: int
    """The newest number of head office's log when it looked."""
    into: list[int] = field(default_factory=list)
    """Numbers of all changes of the records that entered, in the order of head office's log."""
    out: dict[EntityType, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """Records that left, by kind."""


def scope_of(store: Store, connection: Connection, node_no: int, code: str) -> Scope:
    """What a branch holds today."""
    identity = bytes.fromhex(branch_id(store.node.company_id, code))
    holds = connection.value('SELECT holds FROM "branch" WHERE id = ?', (identity,))
    return Scope(node_no, identity, limited=holds == BranchHolds.OWN)


def limited_kinds() -> list[EntityType]:
    """Kinds of records that a scope can leave out, those first that others belong with."""
    named = [kind for kind in entities() if kind.scope]
    return sorted(named, key=lambda kind: (kind.kind is not Kind.DOCUMENT, kind.no)) + [kind for kind in entities() if kind.about]


def condition(entity: EntityType, scope: Scope, alias: str) -> str:
    """SQL that is true for the rows of a scope."""
    if not scope.limited or not (entity.scope or entity.about):
        return "1"
    return f"({_ways(entity, scope, alias)} OR {_made_there(entity, scope, alias)})"


def _ways(entity: EntityType, scope: Scope, alias: str) -> str:
    if entity.about:
        abouts = [
            f"{alias}.entity = '{kind.key}' AND EXISTS (SELECT 1 FROM \"{kind.key}\" {alias}r WHERE {alias}r.id = unhex({alias}.record) "
            f"AND NOT {condition(kind, scope, alias + 'r')})"
            for kind in entities()
            if kind.scope
        ]
        return f"NOT ({' OR '.join(abouts)})" if abouts else "1"
    own = f"x'{scope.branch_id.hex()}'"
    ways = []
    for number, key in enumerate(entity.scope):
        target = next(kind for kind in entities() if kind.key == entity.fields[key].f.ref)
        if target is _BRANCH:
            ways.append(f'{alias}."{key}" = {own}')
        else:
            other = f"{alias}{number}"
            # What belongs to no branch is everybody's.
            leads = condition(target, scope, other) if target.scope else f"coalesce({other}.branch_id = {own}, 1)"
            ways.append(f'EXISTS (SELECT 1 FROM "{target.key}" {other} WHERE {other}.id = {alias}."{key}" AND {leads})')
    return " OR ".join(ways)


def _made_there(entity: EntityType, scope: Scope, alias: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM sync_log {alias}l JOIN sync_tx {alias}t ON {alias}t.tx = {alias}l.tx "
        f"JOIN sync_origin {alias}o ON {alias}o.origin = {alias}t.origin "
        f"WHERE {alias}l.tbl = {entity.no} AND {alias}l.pk = {alias}.id AND {alias}o.node_no = {scope.node_no})"
    )


def outside(connection: Connection, scope: Scope, entity: EntityType, ids: Iterable[bytes]) -> set[bytes]:
    """Which of these records are not in the scope; a removed line goes with its document."""
    wanted = list(ids)
    if not scope.limited or not (entity.scope or entity.about):
        return set()
    found: set[bytes] = set()
    for portion in _portions(wanted):
        marks = _marks(portion)
        there: dict[bytes, int] = dict(
            connection.all(f'SELECT r.id, {condition(entity, scope, "r")} FROM "{entity.key}" r WHERE r.id IN ({marks})', portion)
        )
        found.update(pk for pk, inside in there.items() if not inside)
        removed = _parents_of_removed(connection, entity, [pk for pk in portion if pk not in there])
        if removed:
            parent = next(kind for kind in entities() if kind.key == entity.fields[entity.parent or ""].f.ref)
            beyond = outside(connection, scope, parent, set(removed.values()))
            found.update(pk for pk, document in removed.items() if document in beyond)
    return found


def _parents_of_removed(connection: Connection, entity: EntityType, ids: Sequence[bytes]) -> dict[bytes, bytes]:
    if entity.kind is not Kind.LINE or not ids:
        return {}
    parent = entity.fields[entity.parent or ""].no
    logged = connection.all(
        f"SELECT pk, diff FROM sync_log INDEXED BY sync_log_row WHERE tbl = ? AND pk IN ({_marks(ids)}) AND op = ?", (entity.no, *ids, GONE)
    )
    return {pk: document for pk, diff in logged if isinstance(document := changelog.parse_row(entity, diff).get(parent), bytes)}


# what entered and what left ------------------------------------------------------------------------------------------------


def moves(connection: Connection, scope: Scope, after: int) -> Moves:
    """What has entered or left the scope by the changes of head office's log after a number."""
    found = Moves(changelog.head(connection))
    for entity, ids in _touched(connection, scope, after).items():
        for portion in _portions(sorted(ids)):
            beyond = outside(connection, scope, entity, portion)
            made = _made_by(connection, entity, portion, scope.node_no)
            found.out[entity] += beyond
            entered = [pk for pk in portion if pk not in beyond and pk not in made]
            logged = f"SELECT lseq FROM sync_log INDEXED BY sync_log_row WHERE tbl = ? AND pk IN ({_marks(entered)})"
            found.into += [row[0] for row in connection.all(logged, (entity.no, *entered))]
    found.into.sort()
    return found


def _touched(connection: Connection, scope: Scope, after: int) -> dict[EntityType, set[bytes]]:
    """Records whose ways, or those of what they belong with, changed after a number."""
    touched: dict[EntityType, set[bytes]] = defaultdict(set)
    watched = {_BRANCH: {"holds"}}
    for kind in entities():
        for key in kind.scope:
            target = next(other for other in entities() if other.key == kind.fields[key].f.ref)
            watched.setdefault(kind, set()).add(key)
            if target is not _BRANCH and not target.scope:
                watched.setdefault(target, set()).add("branch_id")
    for entity, keys in watched.items():
        numbers = {entity.fields[key].no for key in keys}
        for pk, diff in connection.all("SELECT pk, diff FROM sync_log WHERE lseq > ? AND tbl = ? AND op = ?", (after, entity.no, UPDATE)):
            if not numbers.isdisjoint(changelog.parse_diff(entity, diff)):
                touched[entity].add(pk)
    everything = scope.branch_id in touched.pop(_BRANCH, ())
    for kind in limited_kinds():
        touched[kind] |= _all(connection, kind) if everything else _belonging(connection, kind, touched)
    return {kind: ids for kind, ids in touched.items() if ids and (kind.scope or kind.about)}


def _all(connection: Connection, kind: EntityType) -> set[bytes]:
    live = connection.all(f'SELECT id FROM "{kind.key}"')
    removed = connection.all("SELECT pk FROM sync_log WHERE tbl = ? AND op = ?", (kind.no, GONE)) if kind.kind is Kind.LINE else []
    return {row[0] for row in (*live, *removed)}


def _belonging(connection: Connection, kind: EntityType, touched: dict[EntityType, set[bytes]]) -> set[bytes]:
    """Records of a kind that name one of those touched."""
    found: set[bytes] = set()
    for other, ids in list(touched.items()):
        for portion in _portions(sorted(ids)):
            if kind.about:
                rows = connection.all(
                    f'SELECT id FROM "{kind.key}" WHERE entity = ? AND record IN ({_marks(portion)})',
                    (other.key, *(pk.hex() for pk in portion)),
                )
                found.update(row[0] for row in rows)
            for key in kind.scope:
                if kind.fields[key].f.ref == other.key:
                    found.update(
                        row[0] for row in connection.all(f'SELECT id FROM "{kind.key}" WHERE "{key}" IN ({_marks(portion)})', portion)
                    )
            if kind.kind is Kind.LINE and kind.fields[kind.parent or ""].f.ref == other.key:
                column = kind.fields[kind.parent or ""].no
                found.update(
                    row[0]
                    for row in connection.all(
                        f"SELECT pk FROM sync_log WHERE tbl = ? AND op = ? AND json_extract(diff, '$.\"{column}\"') IN ({_marks(portion)})",
                        (kind.no, GONE, *(pk.hex() for pk in portion)),
                    )
                )
    return found


# a branch ------------------------------------------------------------------------------------------------------------------


def is_news(connection: Connection, at: int) -> bool:
    """Whether what head office says of the scope is not older than what it said last; if so, it is noted.

    A file may be read again long after, or two in the wrong order.
    """
    if at < int(get_meta(connection, HEARD) or 0):
        return False
    set_meta(connection, HEARD, at)
    return True


def take_out(store: Store, entity: EntityType, ids: Sequence[bytes], *, at: int) -> int:
    """A branch forgets records that left its scope, and all that its log says of them; returns how many were here."""
    count = 0
    if not (entity.scope or entity.about):  # everybody holds these
        return 0
    with store.merging() as connection:
        if not is_news(connection, at):
            return 0
        for portion in _portions(ids):
            own = _made_by(connection, entity, portion, store.node.node_no)
            count += _forget(connection, entity, [pk for pk in portion if pk not in own])
    return count


def _made_by(connection: Connection, entity: EntityType, ids: Sequence[bytes], node_no: int) -> set[bytes]:
    rows = connection.all(
        f"""SELECT DISTINCT l.pk FROM sync_log l INDEXED BY sync_log_row JOIN sync_tx t ON t.tx = l.tx
            JOIN sync_origin o ON o.origin = t.origin WHERE l.tbl = ? AND l.pk IN ({_marks(ids)}) AND o.node_no = ?""",
        (entity.no, *ids, node_no),
    )
    return {row[0] for row in rows}


def _forget(connection: Connection, entity: EntityType, ids: Sequence[bytes]) -> int:
    if not ids:
        return 0
    marks = _marks(ids)
    rids = [row[0] for row in connection.all(f'SELECT rid FROM "{entity.key}" WHERE id IN ({marks})', ids)]
    search.forget(connection, entity, rids)
    connection.execute(f'DELETE FROM "{entity.key}" WHERE id IN ({marks})', ids)
    logged = connection.all(f"SELECT lseq, tx FROM sync_log INDEXED BY sync_log_row WHERE tbl = ? AND pk IN ({marks})", (entity.no, *ids))
    connection.executemany("DELETE FROM sync_log WHERE lseq = ?", [(lseq,) for lseq, _tx in logged])
    connection.execute(f"DELETE FROM sync_quarantine WHERE tbl = ? AND pk IN ({marks})", (entity.no, *ids))
    for tx in {tx for _lseq, tx in logged}:
        _cut(connection, tx)
    return len(rids)


def _cut(connection: Connection, tx: int) -> None:
    """A transaction of which parts were forgotten is as many as there are runs left: what is missing counts as never heard."""
    origin, first_oseq, first_lseq, *rest = connection.one(
        "SELECT origin, first_oseq, first_lseq, hlc, eff_hlc, actor FROM sync_tx WHERE tx = ?", (tx,)
    ) or (0, 0, 0)
    connection.execute("DELETE FROM sync_tx WHERE tx = ?", (tx,))
    left = [row[0] for row in connection.all("SELECT lseq FROM sync_log WHERE lseq >= ? AND tx = ? ORDER BY lseq", (first_lseq, tx))]
    for number, run in enumerate(_runs(left)):
        fresh = tx if not number else int(connection.value("SELECT max(tx) FROM sync_tx")) + 1
        connection.execute(
            "INSERT INTO sync_tx(tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (fresh, origin, first_oseq + run[0] - first_lseq, len(run), run[0], *rest),
        )
        if number:
            connection.execute("UPDATE sync_log SET tx = ? WHERE lseq >= ? AND lseq <= ?", (fresh, run[0], run[-1]))


def _runs(numbers: Sequence[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _portions(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]


def _marks(ids: Sequence[bytes]) -> str:
    return ",".join("?" * len(ids))
