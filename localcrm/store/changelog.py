"""The change log: what it holds, and reading it. It is the data history, the audit of every change and the exchange.

Written by the capture triggers (own changes) and by the merge (received ones); no policy here. Its older part lies in ``store.past``; what is
read here is read from both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from localcrm.kernel.clock import stamp_time, to_iso
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import EntityType, Stored, entity_by_no
from localcrm.store import past
from localcrm.store.ddl import DELETED_NO, GONE, INSERT, UPDATE, VOID
from localcrm.store.past import Booked, Logged

if TYPE_CHECKING:
    from localcrm.store.connection import Connection

_read = msgspec.json.Decoder().decode
_read_pairs = msgspec.json.Decoder(dict[int, tuple[Any, Any]]).decode
_encoder = msgspec.json.Encoder()
_write = _encoder.encode
#: A transaction that touched more rows than this announces "many" instead of their ids.
MANY = 1000
#: Log rows looked at for one event.
_LOOKED_AT = 20_000


def parse_diff(entity: EntityType, diff: str) -> dict[int, tuple[Stored, Stored]]:
    """An update's changed columns: wire number → (old, new) in stored form."""
    return read_diff(diff, entity.ids)


def read_diff(diff: str, ids: frozenset[int]) -> dict[int, tuple[Stored, Stored]]:
    """The same for whoever reads many of one kind: ``ids`` are the numbers of its columns that hold an id."""
    found = _read_pairs(diff)
    for no in ids.intersection(found):
        old, new = found[no]
        found[no] = (_identity(old), _identity(new))
    return found


def parse_row(entity: EntityType, diff: str) -> dict[int, Stored]:
    """A removed row's columns: wire number → value in stored form."""
    ids = entity.ids
    return {(number := int(no)): _identity(value) if number in ids else value for no, value in _read(diff).items()}


def _identity(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def write_diff(changes: Mapping[int, tuple[Stored, Stored]]) -> str:
    """The stored form of an update's changed columns."""
    return _write({str(no): (_plain(old), _plain(new)) for no, (old, new) in changes.items()}).decode()


def write_diffs(numbers: Sequence[int], old: Sequence[Sequence[Stored]], new: Sequence[Sequence[Stored]]) -> list[str]:
    """``write_diff`` for many updates of the same columns, which are given side by side; at least one column."""
    pairs = [zip(_plain_column(before), _plain_column(after), strict=True) for before, after in zip(old, new, strict=True)]
    keys = list(map(str, numbers))
    # One call for all: a text of JSON holds no line break, so the lines are the texts.
    return _encoder.encode_lines([dict(zip(keys, row, strict=True)) for row in zip(*pairs, strict=True)]).decode().split("\n")[:-1]


def write_row(values: Mapping[int, Stored]) -> str:
    """The stored form of a removed row."""
    return _write({str(no): _plain(value) for no, value in values.items()}).decode()


def _plain(value: Stored) -> int | str | None:
    return value.hex() if isinstance(value, bytes) else value


def _plain_column(values: Sequence[Stored]) -> Iterable[int | str | None]:
    return map(_plain, values) if bytes in set(map(type, values)) else values  # type: ignore[return-value]  # no bytes among them


def changes_of(connection: Connection, entity: EntityType, ids: Sequence[bytes]) -> Iterator[Logged]:
    """Every change of some records known here with its transaction, however old, in the order of this log."""
    yield from past.changes_of(connection, entity.no, ids)
    for start in range(0, len(ids), 500):
        portion = ids[start : start + 500]
        rows = connection.all(
            f"""SELECT l.lseq, l.tbl, l.op, l.pk, l.diff, l.prev, t.tx, t.origin, t.first_oseq, t.count, t.first_lseq, t.hlc, t.eff_hlc, t.actor
                FROM sync_log l INDEXED BY sync_log_row JOIN sync_tx t ON t.tx = l.tx
                WHERE l.tbl = ? AND l.pk IN ({",".join("?" * len(portion))}) ORDER BY l.lseq""",
            (entity.no, *portion),
        )
        yield from map(_change, rows)


def all_changes(connection: Connection, after: int = 0, upto: int | None = None) -> Iterator[Logged]:
    """Every change known here with a number after the first and up to the second one, in the order of this log."""
    yield from past.changes(connection, after, upto)
    rows = connection.stream(
        """SELECT l.lseq, l.tbl, l.op, l.pk, l.diff, l.prev, t.tx, t.origin, t.first_oseq, t.count, t.first_lseq, t.hlc, t.eff_hlc, t.actor
           FROM sync_log l JOIN sync_tx t ON t.tx = l.tx WHERE l.lseq > ? AND l.lseq <= coalesce(?, l.lseq) ORDER BY l.lseq""",
        (after, upto),
    )
    yield from map(_change, rows)


def touched(
    connection: Connection, after: int, kinds: Iterable[EntityType], *, origins: Sequence[int] | None = None
) -> dict[EntityType, set[bytes]]:
    """Records of some kinds that were made or changed after a number, by anybody or by some origins."""
    numbers = {kind.no: kind for kind in kinds}
    found: dict[EntityType, set[bytes]] = {kind: set() for kind in numbers.values()}
    for change in past.changes(connection, after, tables=numbers.keys()):
        if change.pk and change.op != VOID and (origins is None or change.tx.origin in origins):
            found[numbers[change.table]].add(change.pk)
    source = "sync_log l"
    if origins is not None:
        source = f"""sync_tx t CROSS JOIN sync_log l ON t.origin IN ({",".join(map(str, origins))}) AND t.first_lseq + t.count > {after}
                     AND l.lseq BETWEEN t.first_lseq AND t.first_lseq + t.count - 1"""
    tables = ",".join(map(str, numbers))
    for table, pk in connection.stream(
        f"SELECT tbl, pk FROM {source} WHERE l.lseq > ? AND +tbl IN ({tables}) AND op <> {VOID} AND pk IS NOT NULL", (after,)
    ):
        found[numbers[table]].add(pk)
    return found


def _change(row: tuple[Any, ...]) -> Logged:
    lseq, table, op, pk, diff, prev, *tx = row
    return Logged(lseq, table, op, pk, diff, prev, Booked(*tx))


def head(connection: Connection) -> int:
    """Number of the newest log row, 0 for an empty log."""
    return int(connection.value("SELECT max(lseq) FROM sync_log") or 0)


def transaction_of(connection: Connection, origin: int, oseq: int) -> Booked | None:
    """The transaction that holds a change of an origin, wherever it is kept; None for a change that never came."""
    found = connection.one(
        """SELECT tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor FROM sync_tx
           WHERE origin = ? AND first_oseq <= ? ORDER BY first_oseq DESC LIMIT 1""",
        (origin, oseq),
    )
    live = Booked(*found) if found else None
    return live if live and oseq < live.first_oseq + live.size else past.transaction_of(connection, origin, oseq)


def changes_since(connection: Connection, lseq: int, upto: int, *, remote: bool) -> Changes:
    """What the log rows after ``lseq`` up to ``upto`` touched, as one event."""
    ids: dict[str, frozenset[str] | None] = {}
    touched: dict[str, frozenset[str]] = {}
    rows = connection.all(
        "SELECT tbl, pk, op, diff FROM sync_log WHERE lseq > ? AND lseq <= ? AND op <> ? ORDER BY tbl LIMIT ?",
        (lseq, upto, VOID, _LOOKED_AT),
    )
    if len(rows) == _LOOKED_AT:  # kinds of records beyond them changed too
        beyond = connection.all("SELECT DISTINCT tbl FROM sync_log WHERE lseq > ? AND lseq <= ? AND op <> ?", (lseq, upto, VOID))
        ids = {entity.key: None for (no,) in beyond if (entity := entity_by_no(no))}
    for no, group in groupby(rows, key=lambda row: row[0]):
        entity = entity_by_no(no)
        if entity is None:
            continue
        members = list(group)
        seen = frozenset(row[1].hex() for row in members[: MANY + 1])
        ids.setdefault(entity.key, seen if len(seen) <= MANY else None)
        numbers = {int(n) for row in members[:MANY] if row[2] == UPDATE for n in _read(row[3])}
        touched[entity.key] = frozenset(entity.by_no[n].key for n in numbers if n in entity.by_no)
    for order in ids.get("erasure") or ():  # what an order to erase overwrote is logged nowhere, but shown somewhere
        for subject, record in connection.all("SELECT subject, record_id FROM erasure WHERE id = ?", (bytes.fromhex(order),)):
            known = ids.get(subject, frozenset())
            ids[subject] = None if known is None else known | {record}
    return Changes(ids, touched, remote)


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One value that changed, ``first`` when the record began with it; ``field`` is "deleted" for the register."""

    at: str
    user_id: str | None
    node: str
    field: str
    old: Any
    new: Any
    lseq: int
    first: bool = False
    stamp: int = 0
    """What orders changes made apart: later stamps win."""
    gone: bool = False
    """Whether the whole line was removed with it."""


def history(connection: Connection, entity: EntityType, identity: str) -> list[HistoryRow]:
    """Every change of a record known here, newest first, values in JSON form; secrets show nothing.

    What was done apart stands in the order in which changes win, the same at every node: the first line of a field is the one in force.
    """
    key = bytes.fromhex(identity)
    nodes = {row[0]: row[1:] for row in connection.all("SELECT origin, code, node_no, epoch FROM sync_origin")}
    first = first_values(connection, entity, [key]).get(key, {})

    def place(change: Logged) -> tuple[bool, int, int, bytes, int]:
        _code, node_no, epoch = nodes[change.tx.origin]
        return change.op != INSERT, change.tx.eff_hlc, node_no, epoch, change.oseq

    changes = sorted(changes_of(connection, entity, [key]), key=place, reverse=True)
    return [entry for change in changes for entry in _history_rows(entity, change, nodes[change.tx.origin][0], first)]


def _history_rows(entity: EntityType, change: Logged, code: str, first: Mapping[int, Stored]) -> Iterator[HistoryRow]:
    lseq, op, diff, actor = change.lseq, change.op, change.diff or "{}", change.tx.actor
    at, user = to_iso(stamp_time(change.tx.eff_hlc)), actor.hex() if actor else None
    if op == UPDATE:
        for no, (old, new) in parse_diff(entity, diff).items():
            if no == DELETED_NO:
                yield HistoryRow(at, user, code, "deleted", bool(old), bool(new), lseq, stamp=change.tx.eff_hlc)
            elif no in entity.by_no:
                field = entity.by_no[no]
                yield HistoryRow(at, user, code, field.key, field.show(old), field.show(new), lseq, stamp=change.tx.eff_hlc)
    elif op in {INSERT, GONE}:
        values = first if op == INSERT else parse_row(entity, diff)
        for no, value in values.items():
            column = entity.by_no.get(no)  # None for a field that was dropped since
            if column is not None and value is not None and not column.secret:
                old, new = (None, column.show(value)) if op == INSERT else (column.show(value), None)
                yield HistoryRow(at, user, code, column.key, old, new, lseq, first=op == INSERT, stamp=change.tx.eff_hlc, gone=op == GONE)


def first_values(connection: Connection, entity: EntityType, ids: Iterable[bytes]) -> dict[bytes, dict[int, Stored]]:
    """The values rows were inserted with: today's values with every logged change undone.

    The first change of a column saw the inserted value, because nobody can have changed it before; so its old value is
    the inserted one, whatever order later changes arrived in. Rows removed since come from their removal entry.
    """
    wanted = list(ids)
    columns = ", ".join(f'"{field.key}"' for field in entity.fields.values())
    numbers = [field.no for field in entity.fields.values()]
    fields, of_ids = entity.by_no, entity.ids
    result: dict[bytes, dict[int, Stored]] = {}
    for portion in _portions(wanted):
        marks = ",".join("?" * len(portion))
        for row in connection.all(f'SELECT id, {columns} FROM "{entity.key}" WHERE id IN ({marks})', portion):
            result[row[0]] = dict(zip(numbers, row[1:], strict=True))
        logged: list[Any] = [(c.pk, c.op, c.diff) for c in past.changes_of(connection, entity.no, portion) if c.op in {UPDATE, GONE}]
        logged += connection.all(
            f"SELECT pk, op, diff FROM sync_log INDEXED BY sync_log_row WHERE tbl = ? AND pk IN ({marks}) AND op IN ({UPDATE}, {GONE}) ORDER BY lseq",
            (entity.no, *portion),
        )
        gone = {pk: parse_row(entity, diff) for pk, op, diff in logged if op == GONE}
        result.update(gone)
        for pk, op, diff in reversed(logged):
            if op == UPDATE and (values := result.get(pk)) is not None:
                for no, (old, _new) in read_diff(diff, of_ids).items():
                    if no in fields:
                        values[no] = old
    return result


def _portions(items: list[bytes], size: int = 500) -> Iterator[list[bytes]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def once_lines_of(connection: Connection, line: EntityType, document: str) -> set[str]:
    """Ids of lines that are, or ever were, lines of a document: also those removed since, or taken to another document."""
    found = connection.all(f'SELECT id FROM "{line.key}" WHERE "{line.parent}" = ?', (bytes.fromhex(document),))
    # Whatever took a line away says in words whose it was; few entries do, and their order is nobody's.
    found += connection.all(
        f"SELECT DISTINCT pk FROM sync_log NOT INDEXED WHERE tbl = ? AND op IN ({UPDATE}, {GONE}) AND instr(diff, ?) > 0",
        (line.no, document),
    )
    older = past.changes(connection, tables=frozenset({line.no}))
    found += [(change.pk,) for change in older if change.pk and change.op in {UPDATE, GONE} and document in (change.diff or "")]
    return {pk.hex() for (pk,) in found}


# whole actions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody did in one go, one transaction: the log rows from ``first`` on, ``count`` of them, made at a node."""

    first: int
    count: int
    at: str
    user_id: str | None
    node: str
    node_no: int


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the log. ``diff``: an update's (old, new) by column; a removed line's (value, None); nothing for a new row.

    ``entity`` is None where this program does not know the table, or the change was kept out.
    """

    entity: EntityType | None
    identity: str
    op: int
    diff: Mapping[int, tuple[Stored, Stored]]


def action_of(connection: Connection, lseq: int) -> Action | None:
    """The action that a change of the history belongs to; None once its log rows lie in the history only, and for a number that is none."""
    if not 0 < lseq < 1 << 63:
        return None
    row = connection.one(
        """SELECT t.first_lseq, t.count, t.eff_hlc, t.actor, o.code, o.node_no FROM sync_log l JOIN sync_tx t ON t.tx = l.tx
           JOIN sync_origin o ON o.origin = t.origin WHERE l.lseq = ?""",
        (lseq,),
    )
    if row is None:
        return None
    first, count, hlc, actor, code, node_no = row
    return Action(first, count, to_iso(stamp_time(hlc)), actor.hex() if actor else None, code, node_no)


def action_changes(connection: Connection, action: Action, most: int | None = None) -> list[Change]:
    """What an action did, in its order; ``most``: only so much of it."""
    count = action.count if most is None else min(action.count, most)
    rows = connection.all(
        "SELECT tbl, pk, op, diff FROM sync_log WHERE lseq >= ? AND lseq < ? ORDER BY lseq", (action.first, action.first + count)
    )
    return [_action_change(*row) for row in rows]


def _action_change(table: int, pk: bytes | None, op: int, diff: str | None) -> Change:
    entity = entity_by_no(table)
    if entity is None or op == VOID or pk is None:
        return Change(None, "", op, {})
    if op == UPDATE:
        return Change(entity, pk.hex(), op, parse_diff(entity, diff or "{}"))
    if op == GONE:
        return Change(entity, pk.hex(), op, {no: (value, None) for no, value in parse_row(entity, diff or "{}").items()})
    return Change(entity, pk.hex(), op, {})
