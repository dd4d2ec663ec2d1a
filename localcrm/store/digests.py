"""Digests of the data: one hash per table, over hashes of small runs of its rows, brought up to date from the change log.

A table is cut into buckets by its ids themselves: about one id in 32 begins one, so every node cuts alike without asking. A bucket's digest is
a hash of its rows (id, register, columns in the order of their wire numbers), the table's digest a hash of its buckets. Nothing is kept while data are
written: the log says which rows have changed since, and their buckets are computed anew when somebody asks. What changes past the log is
found by looking through the buckets in turn, a few with each exchange and all of them at night; then the digest a bucket had before
is kept beside the new one (``was``), because it proves what the rows were.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from localcrm.kernel.schema import EntityType, entities, entity_by_no
from localcrm.store import changelog, eventlog, past
from localcrm.store.ddl import VOID
from localcrm.store.migrate import get_meta, set_meta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from localcrm.kernel.schema import Shape
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

#: Buckets looked through with each exchange, beside those that changed: about 3,000 rows.
LOOK = 100
#: An id begins a bucket when these bits of its last byte, which is random, are zero.
_CUT = 0x1F
_SIZE = 16
_NOTHING = b""
#: Meta keys: the place in the log up to which digests are kept, and where looking through goes on.
_UPTO, _LOOKED = "digest.upto", "digest.looked"
#: Meta key: how often digests were kept. What is put right past the log does not move their place in it.
_TIMES = "digest.times"

_encode = msgspec.msgpack.Encoder().encode


class Bucket(NamedTuple):
    """``digest``: of the rows as they are, empty where there are none. ``was``: before somebody changed them past the log."""

    digest: bytes
    was: bytes | None = None


#: By the id that begins each; the rows before the first such id are the bucket b"".
Buckets = dict[bytes, Bucket]


class Range(NamedTuple):
    """Ids from ``start`` on and before ``end``; None for no end."""

    start: bytes = b""
    end: bytes | None = None

    def holds(self, pk: bytes) -> bool:
        """Whether an id lies in it."""
        return self.start <= pk and (self.end is None or pk < self.end)


@dataclass(slots=True)
class State:
    """Digests at one place of the log, and what has to be written down so that they need not be computed again."""

    upto: int
    since: tuple[int | None, int]
    """The place up to which digests were kept before, and how often they had been."""
    tables: dict[str, str]
    """Hash per table by entity key."""
    altered: list[EntityType] = field(default_factory=list)
    """Tables in which rows were newly found changed past the log."""
    fresh: list[tuple[EntityType, Range, Buckets]] = field(default_factory=list)
    looked: str = ""
    marks: int = 0

    def buckets(self, connection: Connection, entity: EntityType, within: Range = Range()) -> Buckets:  # noqa: B008 -- a tuple
        """The buckets of a table that begin in a range, in order."""
        found = _kept(connection, entity, within)
        for other, part, buckets in self.fresh:
            if other is entity:
                found = {first: bucket for first, bucket in found.items() if not part.holds(first)}
                found.update((first, bucket) for first, bucket in buckets.items() if within.holds(first))
        return dict(sorted(found.items()))


# asking --------------------------------------------------------------------------------------------------------------------


def whole(tables: dict[str, str]) -> str:
    """One hash of all tables."""
    return blake2b(_encode(sorted(tables.items())), digest_size=_SIZE).hexdigest()


def full(connection: Connection) -> dict[str, str]:
    """Hash of every table by entity key, computed from every row."""
    return {entity.key: table_digest(connection, entity) for entity in entities()}


def table_digest(connection: Connection, entity: EntityType, inside: str = "1") -> str:
    """Hash of one table, computed from every row; ``inside``: SQL for the rows ``r`` that count."""
    return _root(entity, [_text(bucket_hashes(connection, entity, inside).items())])


def bucket_hashes(connection: Connection, entity: EntityType, inside: str = "1") -> dict[bytes, bytes]:
    """Hash of each bucket of a table, computed from every row that counts."""
    return _computed(connection, entity, Range(), inside)


def current(store: Store, *, look: int | None = LOOK) -> State:
    """Digests as of this moment, written down; ``look``: how many buckets are looked through besides, None for all of them."""
    with store.read() as connection:
        found = state(connection, look=look)
    keep(store, found)
    return found


def state(connection: Connection, *, look: int | None = LOOK) -> State:
    """``current`` of one state of the file; pass it to ``keep`` once the block that reads is left."""
    since, times, upto = get_meta(connection, _UPTO), int(get_meta(connection, _TIMES) or 0), changelog.head(connection)
    known: dict[int, tuple[bytes, str]] = {}
    if isinstance(since, int) and past.horizon(connection) <= since <= upto:  # else what has changed since is no longer in the log
        known = {no: (columns, root) for no, columns, root in connection.all("SELECT tbl, columns, root FROM sync_digest_table")}
    marks = connection.all("SELECT id, tbl, pk FROM sync_digest_mark")
    found = State(
        upto,
        (since if isinstance(since, int) else None, times),
        {},
        looked=str(get_meta(connection, _LOOKED) or ""),
        marks=max(marks, default=(0,))[0],
    )
    changed: dict[int, set[bytes]] = defaultdict(set)
    if known:
        for no, pk in connection.stream("SELECT tbl, pk FROM sync_log WHERE lseq > ? AND op <> ?", (since, VOID)):
            changed[no].add(pk)
    for _id, no, pk in marks:
        changed[no].add(pk)
    anew = []
    for entity in entities():
        if known.get(entity.no, (b"", ""))[0] != _columns(entity):
            anew.append(entity)
            found.fresh.append((entity, Range(), _as_buckets(_computed(connection, entity, Range()))))
        else:
            for part in ranges(connection, entity, changed.get(entity.no, ())):
                found.fresh.append((entity, part, _as_buckets(_computed(connection, entity, part))))
    _look_through(connection, found, look, without=anew)
    touched = {entity for entity, _part, _buckets in found.fresh}
    for entity in entities():
        if entity in touched:
            found.tables[entity.key] = _root(entity, _texts(connection, entity, found))
        else:
            found.tables[entity.key] = known[entity.no][1]
    return found


def keep(store: Store, found: State) -> None:
    """Write down what was computed, unless somebody else has been faster; what was altered goes into the system log."""
    with store.read() as connection:
        if found.since[0] == found.upto and not found.fresh and not found.marks and found.looked == (get_meta(connection, _LOOKED) or ""):
            return
    with store.housekeeping() as connection:
        times = int(get_meta(connection, _TIMES) or 0)
        if (get_meta(connection, _UPTO), times) != found.since:
            return
        set_meta(connection, _TIMES, times + 1)
        for entity, part, buckets in found.fresh:
            connection.execute(f"DELETE FROM sync_digest WHERE tbl = ? AND {_within(part)}", (entity.no, *_bounds(part)))
            rows = [(entity.no, first, bucket.digest, bucket.was) for first, bucket in buckets.items()]
            connection.executemany("INSERT INTO sync_digest(tbl, first, digest, was) VALUES (?, ?, ?, ?)", rows)
        roots = [(entity.no, _columns(entity), found.tables[entity.key]) for entity in {entity for entity, _part, _buckets in found.fresh}]
        connection.executemany("INSERT OR REPLACE INTO sync_digest_table(tbl, columns, root) VALUES (?, ?, ?)", roots)
        connection.execute("DELETE FROM sync_digest_mark WHERE id <= ?", (found.marks,))
        set_meta(connection, _UPTO, found.upto)
        set_meta(connection, _LOOKED, found.looked)
        if found.altered:
            detail = ",".join(entity.key for entity in found.altered)
            eventlog.append(connection, at=store.clock.now_ms(), kind="data_altered", detail=detail, sign=store.sign_log)


def mark(connection: Connection, entity: EntityType, pk: bytes) -> None:
    """Say that the program itself changed a row without a log entry, inside the transaction that did."""
    connection.execute("INSERT INTO sync_digest_mark(tbl, pk) VALUES (?, ?)", (entity.no, pk))


def begin_anew(connection: Connection) -> None:
    """Say that every table was replaced, inside the transaction that did."""
    for table in ("sync_digest", "sync_digest_table", "sync_digest_mark"):
        connection.execute(f"DELETE FROM {table}")
    set_meta(connection, _UPTO, 0)
    set_meta(connection, _TIMES, int(get_meta(connection, _TIMES) or 0) + 1)


def altered(connection: Connection) -> dict[EntityType, int]:
    """By table: runs of rows that are not as the program wrote them, of those whose digests were ever kept. Looks at every row."""
    found = state(connection, look=None)
    counts = {entity: sum(one.was is not None for one in found.buckets(connection, entity).values()) for entity in entities()}
    return {entity: count for entity, count in counts.items() if count}


def is_in_doubt(connection: Connection, entity: EntityType, pk: bytes) -> bool:
    """Whether a row belongs to a run that was changed past the log; as of the last ``keep``."""
    part = next(ranges(connection, entity, (pk,)))
    return any(bucket.was is not None for bucket in _kept(connection, entity, part).values())


def is_proven(connection: Connection, entity: EntityType, pks: Iterable[bytes]) -> bool:
    """Whether the runs around these rows are, as they stand now, what they were before somebody changed them past the log."""
    for part in ranges(connection, entity, pks):
        kept = _kept(connection, entity, part)
        before = {first: one.digest if one.was is None else one.was for first, one in kept.items()}
        if _computed(connection, entity, part) != {first: digest for first, digest in before.items() if digest != _NOTHING}:
            return False
    return True


def ranges(connection: Connection, entity: EntityType, pks: Iterable[bytes]) -> Iterator[Range]:
    """The buckets, as they were kept, in which these rows lie: each a range from one id that is still there to another."""
    last: Range | None = None
    for pk in sorted(pks):
        if last is None or not last.holds(pk):
            last = Range(_begin(connection, entity, pk), _end(connection, entity, pk))
            yield last


def row_hashes(connection: Connection, entity: EntityType, part: Range, most: int, inside: str = "1") -> list[tuple[bytes, bytes]]:
    """Id and hash of each row in a range that counts, in order, at most so many."""
    rows = connection.stream(f"{_select(entity)} WHERE {_within(part, 'id')} AND {inside} ORDER BY id LIMIT ?", (*_bounds(part), most))
    return [(row[0], _hash(row)) for row in rows]


def columns(entity: EntityType) -> list[int]:
    """The wire numbers of the columns that a digest of this table is over; digests over others say nothing."""
    return sorted(entity.by_no)


# computing -----------------------------------------------------------------------------------------------------------------


def _select(entity: EntityType) -> str:
    return _select_of(entity, entity.shape)


@lru_cache(maxsize=1000)  # an exchange asks for every table again and again; several files of one process may shape it differently
def _select_of(entity: EntityType, _shape: Shape) -> str:
    """Id and content of rows: how many bytes each value has, then the values. SQLite puts that together faster than the driver hands over values,
    and a text that is damaged stops nobody.
    """
    names = ["deleted", *(f'"{entity.by_no[no].key}"' for no in columns(entity))]
    sizes = ", ".join(f"coalesce(octet_length({name}), '-')" for name in names)
    return f"SELECT id, CAST(concat_ws(',', {sizes}, concat({', '.join(names)})) AS BLOB) FROM \"{entity.key}\" r"


def _columns(entity: EntityType) -> bytes:
    return _encode([entity.no, columns(entity)])


def _within(part: Range, column: str = "first") -> str:
    return f"{column} >= ?" if part.end is None else f"{column} >= ? AND {column} < ?"


def _bounds(part: Range) -> tuple[bytes, ...]:
    return (part.start,) if part.end is None else part  # type: ignore[return-value]  # both are bytes then


def _computed(connection: Connection, entity: EntityType, part: Range, inside: str = "1") -> dict[bytes, bytes]:
    """Digests of the buckets of a range, from its rows; the range must begin where a bucket does."""
    found: dict[bytes, bytes] = {}
    first, contents = part.start, list[bytes]()
    for pk, content in connection.stream(f"{_select(entity)} WHERE {_within(part, 'id')} AND {inside} ORDER BY id", _bounds(part)):
        if not pk[-1] & _CUT:
            if contents:
                found[first] = _hash(contents)
                contents.clear()
            first = pk
        contents += pk, content
    if contents:
        found[first] = _hash(contents)
    return found


def _hash(contents: Iterable[bytes]) -> bytes:
    return blake2b(b"".join(contents), digest_size=_SIZE).digest()


def _as_buckets(digests: dict[bytes, bytes]) -> Buckets:
    return {first: Bucket(digest) for first, digest in digests.items()}


def _root(entity: EntityType, texts: Iterable[str]) -> str:
    return blake2b(_columns(entity) + "".join(texts).encode(), digest_size=_SIZE).hexdigest()


def _text(buckets: Iterable[tuple[bytes, bytes]]) -> str:
    """What a table's digest is a hash of; all but the first bucket say equally much, so it can be read in one way only."""
    return "".join((first + digest).hex() for first, digest in buckets if digest != _NOTHING)


def _texts(connection: Connection, entity: EntityType, found: State) -> Iterator[str]:
    """The same of a whole table, in parts: what was just computed, and between that what is kept, which SQLite writes faster than Python."""
    parts = [(part, buckets) for other, part, buckets in found.fresh if other is entity]
    seams = sorted({Range().start, *(part.start for part, _b in parts), *(part.end for part, _b in parts if part.end is not None)})
    for start, end in zip(seams, [*seams[1:], None], strict=True):
        piece = Range(start, end)
        fresh = next((buckets for part, buckets in reversed(parts) if part.holds(start)), None)
        if fresh is not None:
            yield _text(sorted((first, one.digest) for first, one in fresh.items() if piece.holds(first)))
        else:
            yield str(
                connection.value(
                    f"""SELECT coalesce(group_concat(lower(hex(first) || hex(digest)), ''), '') FROM (
                        SELECT first, digest FROM sync_digest WHERE tbl = ? AND digest <> x'' AND {_within(piece)} ORDER BY first)""",
                    (entity.no, *_bounds(piece)),
                )
            )


def _kept(connection: Connection, entity: EntityType, part: Range) -> Buckets:
    rows = connection.all(
        f"SELECT first, digest, was FROM sync_digest WHERE tbl = ? AND {_within(part)} ORDER BY first", (entity.no, *_bounds(part))
    )
    return {first: Bucket(digest, was) for first, digest, was in rows}


def _begin(connection: Connection, entity: EntityType, pk: bytes) -> bytes:
    if not pk:  # the first bucket of a table begins before every id
        return pk
    kept = connection.stream("SELECT first FROM sync_digest WHERE tbl = ? AND first <= ? ORDER BY first DESC", (entity.no, pk), size=4)
    return next((first for (first,) in kept if _is_there(connection, entity, first)), b"")


def _end(connection: Connection, entity: EntityType, pk: bytes) -> bytes | None:
    kept = connection.stream("SELECT first FROM sync_digest WHERE tbl = ? AND first > ? ORDER BY first", (entity.no, pk), size=4)
    return next((first for (first,) in kept if _is_there(connection, entity, first)), None)


def _is_there(connection: Connection, entity: EntityType, pk: bytes) -> bool:
    return connection.one(f'SELECT 1 FROM "{entity.key}" WHERE id = ?', (pk,)) is not None


# looking through -------------------------------------------------------------------------------------------------------------


def _look_through(connection: Connection, found: State, most: int | None, *, without: list[EntityType]) -> None:
    """Compare buckets with what was kept of them, from where the last look ended, all round if there are not too many."""
    no, _colon, after = found.looked.partition(":")
    place = int(no or 0)
    order = sorted(entities(), key=lambda entity: (entity.no < place, entity.no))
    parts = [(entity, bytes.fromhex(after) if entity.no == place else b"") for entity in order]
    if parts and parts[0][1]:
        parts.append((parts[0][0], b""))  # what lies before the place
    left = most
    kept = {
        no for (no,) in connection.all("SELECT tbl FROM sync_digest_table t WHERE EXISTS (SELECT 1 FROM sync_digest WHERE tbl = t.tbl)")
    }
    for entity, begin in parts:
        if entity in without:
            continue
        firsts, end = list[tuple[bytes]](), None
        if entity.no in kept:
            limit = -1 if left is None else left + 1
            firsts = connection.all(
                "SELECT first FROM sync_digest WHERE tbl = ? AND first >= ? ORDER BY first LIMIT ?", (entity.no, begin, limit)
            )
            end = None if left is None or len(firsts) <= left else _end(connection, entity, firsts[left - 1][0])
        if entity.no in kept or connection.one(f'SELECT 1 FROM "{entity.key}" LIMIT 1'):  # most tables of a small company are empty
            _compare(connection, found, entity, Range(_begin(connection, entity, begin), end))
        if left is not None:
            left -= min(left, max(1, len(firsts)))
            if not left:
                found.looked = f"{entity.no}:{end.hex()}" if end is not None else f"{entity.no + 1}:"
                return
    found.looked = ""


def _compare(connection: Connection, found: State, entity: EntityType, part: Range) -> None:
    kept, now = found.buckets(connection, entity, part), _computed(connection, entity, part)
    result: Buckets = {}
    differs = False
    for first in {*kept, *now}:
        before, digest = kept.get(first, Bucket(_NOTHING)), now.get(first, _NOTHING)
        if before.digest == digest:
            result[first] = before
            continue
        was = before.digest if before.was is None else before.was
        differs = differs or digest != was  # who puts back what was there has altered nothing
        if digest != was:
            result[first] = Bucket(digest, was)
        elif digest != _NOTHING:
            result[first] = Bucket(digest)
    if result != kept:
        found.fresh.append((entity, part, result))
    if differs and entity not in found.altered:
        found.altered.append(entity)


def table_of(no: int, numbers: list[int]) -> EntityType | None:
    """The table of a wire number, if its columns are these; None where another version of the program speaks of it."""
    entity = entity_by_no(no)
    return entity if entity is not None and columns(entity) == numbers else None
