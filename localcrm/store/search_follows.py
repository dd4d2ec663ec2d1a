"""What came with an exchange is found a moment later: a merge indexes nothing, the search index follows the log behind it, in short turns.

So a merge holds up whoever saves for less, and a record that came and was changed five times is indexed once. What is saved here is indexed
with the save, as ever. How far the index has come is a fact of the file: a program that was killed goes on from there.
A snapshot brings rows of which no change may be left in the log; all of them are gone through then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from localcrm.kernel.schema import EntityType, entities
from localcrm.store import changelog, marks, search
from localcrm.store.ddl import DELETED_NO, INSERT, ROW_BITS, UPDATE, doc_id
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.turns import Pace

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

#: Number of the first change in the log that the index may not know, 0 where it knows all.
_LOG = "search.log"
#: Number of the first document that was not gone through since a snapshot came, 0 where all were.
_ROWS = "search.rows"
#: Changes that are read at a time: what they did to a record is indexed once.
_READ = 100_000


@contextmanager
def leaving_to_log(connection: Connection) -> Iterator[None]:
    """In a merge: what is written with an entry in the log is indexed later."""
    if not get_meta(connection, _LOG):
        set_meta(connection, _LOG, changelog.head(connection) + 1)
    connection.index_follows = True
    try:
        yield
    finally:
        connection.index_follows = False


def begin_anew(connection: Connection) -> None:
    """Every table has come anew: nothing is indexed yet."""
    search.forget_all(connection)
    marks.rebuild(connection)
    set_meta(connection, _ROWS, 1)
    set_meta(connection, _LOG, 0)


def is_behind(connection: Connection) -> bool:
    """Whether something that has come is not found yet."""
    return bool(get_meta(connection, _LOG) or get_meta(connection, _ROWS))


def first_awaited(connection: Connection) -> int | None:
    """Number of the first change of the log that must stay there because the index has yet to follow it."""
    return int(get_meta(connection, _LOG) or 0) or None


def follow(store: Store) -> None:
    """Index what is not indexed yet; others save in between. Interrupted, it goes on from there the next time."""
    pace = Pace()
    _go_through_rows(store, pace)
    while True:
        with store.read() as connection:
            first, head = first_awaited(connection), changelog.head(connection)
            if first is None:
                return
            upto = min(head, first + _READ - 1)
            touched = [(entity, rows) for entity in entities() if (rows := _touched(connection, entity, first, upto))]
        for entity, rows in touched:
            done = 0
            while portion := [rid for rid, _pk in rows[done : done + pace.size]]:
                _index(store, entity, portion, pace)
                done += len(portion)
        with store.housekeeping() as connection:
            set_meta(connection, _LOG, 0 if changelog.head(connection) == upto else upto + 1)
        for entity, rows in touched:  # a list that shows what a search finds looks again
            store.announce_rows(entity.key, [pk.hex() for _rid, pk in rows] if len(rows) <= changelog.MANY else None)


def _touched(connection: Connection, entity: EntityType, first: int, upto: int) -> list[tuple[int, bytes]]:
    """Row number, rising, and id of rows that are there and of which a part of the log changed what is searched."""
    if not entity.searched:
        return []
    shown = [f'"{no}":' for no in (DELETED_NO, *(field.no for field in entity.searched))]
    says = " OR ".join(["instr(diff, ?)"] * len(shown))
    rows: list[tuple[int, bytes]] = connection.all(
        f"""SELECT rid, id FROM "{entity.key}" WHERE id IN (SELECT pk FROM sync_log NOT INDEXED
                WHERE lseq BETWEEN ? AND ? AND tbl = ? AND (op = ? OR op = ? AND ({says}))) ORDER BY rid""",
        (first, upto, entity.no, INSERT, UPDATE, *shown),
    )
    return rows


def _go_through_rows(store: Store, pace: Pace) -> None:
    """What a snapshot brought, from the first document to the last one."""
    while True:
        with store.read() as connection:
            place = int(get_meta(connection, _ROWS) or 0)
            if not place:
                return
            found = next(_rows_from(connection, place, pace.size), None)
        if found is None:
            with store.housekeeping() as connection:
                set_meta(connection, _ROWS, 0)
        else:
            _index(store, *found, pace, done=True)


def _rows_from(connection: Connection, place: int, most: int) -> Iterator[tuple[EntityType, list[int]]]:
    """The live rows of each kind whose documents have this number or a later one, of each the first so many."""
    for entity in sorted(entities(), key=lambda entity: entity.no):
        if entity.searched and entity.no >= place >> ROW_BITS:
            rows = connection.all(
                f'SELECT rid FROM "{entity.key}" WHERE deleted = 0 AND rid >= ? ORDER BY rid LIMIT ?', (place - doc_id(entity, 0), most)
            )
            if rows:
                yield entity, [row[0] for row in rows]


def _index(store: Store, entity: EntityType, rids: list[int], pace: Pace, *, done: bool = False) -> None:
    """One turn: rows as they stand now, whoever changed them meanwhile; ``done``: all documents up to the last of them are."""
    with store.housekeeping() as connection, search.joining(connection):
        begun = pace.now()
        search.index_texts(connection, entity, rids)
        if done:
            set_meta(connection, _ROWS, doc_id(entity, rids[-1]) + 1)
        pace.took(len(rids), pace.now() - begun)
