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

#: Changes that are read at a time: what they did to a record is indexed once.
_READ = 100_000


@contextmanager
def leaving_to_log(connection: Connection) -> Iterator[None]:
    """In a merge: what is written with an entry in the log is indexed later."""
    first = changelog.head(connection) + 1
    connection.index_follows = True
    try:
        yield
    finally:
        connection.index_follows = False
    mark = first_awaited(connection)
    if changelog.head(connection) >= first and (mark is None or mark > first):
        set_meta(connection, search.FIRST_CHANGE, first)


def begin_anew(connection: Connection) -> None:
    """Every table has come anew: nothing is indexed yet."""
    search.forget_all(connection)
    marks.rebuild(connection)
    set_meta(connection, search.FIRST_ROW, 1)
    set_meta(connection, search.FIRST_CHANGE, 0)


def first_awaited(connection: Connection) -> int | None:
    """Number of the first change of the log that must stay there because the index has yet to follow it."""
    return _mark(connection, search.FIRST_CHANGE) or None


def follow(store: Store) -> None:
    """Index what is not indexed yet; others save in between. Interrupted, it goes on from there the next time.

    Whoever looks at what a search finds hears of it when it is done.
    """
    pace = Pace()
    ids: dict[str, frozenset[str] | None] = {}
    if _go_through_rows(store, pace):
        ids = {entity.key: None for entity in entities() if entity.searched}
    while True:
        with store.read() as connection:
            first, head = first_awaited(connection), changelog.head(connection)
            if first is None:
                break
            upto = min(head, first + _READ - 1)
            touched = [(entity, rows) for entity in entities() if (rows := _touched(connection, entity, first, upto))]
        for entity, rows in touched:
            done = 0
            while portion := [rid for rid, _pk in rows[done : done + pace.size]]:
                _index(store, entity, portion, pace)
                done += len(portion)
            known = ids.get(entity.key, frozenset())
            ids[entity.key] = None if known is None or len(rows) > changelog.MANY else known | {pk.hex() for _rid, pk in rows}
        with store.housekeeping() as connection:
            if first_awaited(connection) == first:  # else a snapshot has come, or an older mark was found
                set_meta(connection, search.FIRST_CHANGE, 0 if changelog.head(connection) == upto else upto + 1)
    if ids:  # also lists of which nothing has changed say no more that something is missing
        store.announce_rows({entity.key: frozenset() for entity in entities() if entity.searched} | ids)


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


def _go_through_rows(store: Store, pace: Pace) -> bool:
    """What a snapshot brought, from the first document to the last one; returns whether there was something."""
    done = False
    while True:
        with store.read() as connection:
            place = _mark(connection, search.FIRST_ROW)
            if not place:
                return done
            found = next(_rows_from(connection, place, pace.size), None)
        done = True
        if found is not None:
            _index(store, *found, pace, place=place)
        else:
            with store.housekeeping() as connection:
                if _mark(connection, search.FIRST_ROW) == place:
                    set_meta(connection, search.FIRST_ROW, 0)


def _rows_from(connection: Connection, place: int, most: int) -> Iterator[tuple[EntityType, list[int]]]:
    """The live rows of each kind whose documents have this number or a later one, of each the first so many."""
    for entity in sorted(entities(), key=lambda entity: entity.no):
        if entity.searched and entity.no >= place >> ROW_BITS:
            rows = connection.all(
                f'SELECT rid FROM "{entity.key}" WHERE deleted = 0 AND rid >= ? ORDER BY rid LIMIT ?', (place - doc_id(entity, 0), most)
            )
            if rows:
                yield entity, [row[0] for row in rows]


def _index(store: Store, entity: EntityType, rids: list[int], pace: Pace, *, place: int = 0) -> None:
    """One turn: rows as they stand now, whoever changed them meanwhile; ``place``: they are the next ones after it, unless it has moved."""
    with store.housekeeping() as connection, search.joining(connection):
        begun = pace.now()
        search.index_texts(connection, entity, rids)
        if place and _mark(connection, search.FIRST_ROW) == place:
            set_meta(connection, search.FIRST_ROW, doc_id(entity, rids[-1]) + 1)
        pace.took(len(rids), pace.now() - begun)


def _mark(connection: Connection, key: str) -> int:
    return int(get_meta(connection, key) or 0)
