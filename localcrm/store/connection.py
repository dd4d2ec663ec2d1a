"""Connections to the data file, and the one border where the driver's errors become ours.

SQLCipher's driver everywhere, key optional, so that every platform runs one known SQLite. Its exceptions are not
those of the standard module; nothing outside this file sees them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from itertools import chain
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, NoReturn

from sqlcipher3 import dbapi2 as driver

from localcrm.kernel.errors import AppError, InvalidInput, Refused, StoreError
from localcrm.kernel.i18n import N_

#: A command beside a running program waits this long for its turn to write.
LOCK_WAIT_MS = 5000
READERS = 6
#: Prepared statements that a connection keeps. The driver gives up the one used least, which in a full cache is always the newest: from
#: then on it prepares every new statement anew each time, which made saving twice as slow. So there is room, and a worn connection goes.
STATEMENTS = 2_000

#: Kilobytes of the file that a connection keeps at hand. Whoever writes goes to a table, its indexes, the log, and the log's index, each at
#: another place: from 100,000 records on, with as little as a reader has, a change took a tenth longer.
CACHE_KB, WRITER_CACHE_KB = 32_000, 64_000

Row = tuple[Any, ...]

#: What the generated triggers say when they refuse a statement.
TRIGGER_REFUSALS: dict[str, tuple[type[AppError], str]] = {
    "no_unit_of_work": (StoreError, N_("The data file was about to be changed outside a unit of work. Nothing was changed.")),
    "ledger_row": (Refused, N_("A posted movement is never changed. Enter a correcting movement instead.")),
    "posted_document": (Refused, N_("A posted document is never changed. Reverse it instead.")),
    "key_changed": (StoreError, N_("The id of a record can never change. Nothing was changed.")),
    "id_reused": (StoreError, N_("The id of a removed record was used again. Nothing was changed.")),
    "event_row": (StoreError, N_("The system log can only be added to. Nothing was changed.")),
    "physical_delete": (StoreError, N_("Records are never removed from the file, only marked as deleted. Nothing was changed.")),
}
_MESSAGES: tuple[tuple[str, str, str], ...] = (
    ("database is locked", "busy", N_("Another program is writing to the data file. Nothing was changed; please try again.")),
    ("file is not a database", "wrong_key", N_("The data file cannot be read: wrong passphrase, or not a data file of this program.")),
    ("database or disk is full", "disk_full", N_("The disk is full. Nothing was changed; free some space and try again.")),
    ("attempt to write a readonly", "read_only", N_("The data file is read-only. Nothing was changed; check the folder's permissions.")),
    ("unable to open", "cannot_open", N_("The data file cannot be opened. Check that the folder exists and may be written.")),
    ("disk i/o error", "disk_error", N_("The disk reports an error. Nothing was changed; check the disk and keep your backups safe.")),
    ("malformed", "damaged", N_("The data file is damaged. Nothing was changed; restore the last backup.")),
)


#: What the driver raises; the last two before it asks SQLite at all.
_FAULTS = (driver.Error, OverflowError, UnicodeEncodeError)


def raise_mapped(error: Exception) -> NoReturn:
    """Turn an error of the driver into one of ours."""
    if isinstance(error, OverflowError):
        raise InvalidInput("number_too_large", N_("A number is too large. Nothing was changed.")) from error
    if isinstance(error, UnicodeEncodeError):
        raise InvalidInput("bad_text", N_("A text contains characters that cannot be stored. Nothing was changed.")) from error
    message = str(error)
    if message.startswith("LC:"):
        kind, text = TRIGGER_REFUSALS[message[3:]]
        raise kind(message[3:], text) from None
    for part, code, text in _MESSAGES:
        if part in message.lower():
            raise StoreError(code, text) from error
    raise StoreError("store", N_("The data file refused: {detail}"), detail=message[:200]) from error


class Connection:
    """One connection, autocommit unless a transaction is begun by hand; every driver error comes out mapped."""

    def __init__(
        self,
        path: Path,
        *,
        key: bytes | None,
        read_only: bool = False,
        scratch: bool = False,
        cache_kb: int = CACHE_KB,
        today: Callable[[], date] = date.today,
    ) -> None:
        """``scratch``: the file is this program's alone and need not outlive it · ``today``: says which day it is."""
        self._statements: set[str] = set()
        self._today = today
        #: Whether what the open transaction writes is indexed once the search index follows the log (see ``search_follows``).
        self.index_follows = False
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        try:
            self._raw = driver.connect(uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS)
            if key is not None:
                self._raw.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
            self._raw.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_MS}")
            self._raw.execute("SELECT count(*) FROM sqlite_master")
            if scratch:
                self._raw.execute("PRAGMA journal_mode = OFF")
                self._raw.execute("PRAGMA synchronous = OFF")
            elif not read_only:
                self._raw.execute("PRAGMA journal_mode = WAL")
                # What is said to be saved, or acknowledged to the other side, must outlive a power cut: one wait for the disk per commit.
                self._raw.execute("PRAGMA synchronous = FULL")
                # Merges and imports commit some thousand pages at a time; copying them back once per commit costs a tenth.
                self._raw.execute("PRAGMA wal_autocheckpoint = 4000")
                # After one large transaction the journal gives its room back.
                self._raw.execute(f"PRAGMA journal_size_limit = {64 << 20}")
            # What is deleted or moved leaves no trace in pages that are written anyway; the others are written over when somebody's data
            # are erased (``erase.scrub``).
            self._raw.execute("PRAGMA secure_delete = FAST")
            self._raw.execute("PRAGMA recursive_triggers = ON")
            self._raw.execute("PRAGMA trusted_schema = OFF")
            self._raw.execute(f"PRAGMA cache_size = -{cache_kb}")
            self._raw.execute("PRAGMA temp_store = MEMORY")
        except _FAULTS as error:
            raise_mapped(error)

    @property
    def today(self) -> date:
        """The day it is where the program runs, by the clock of the data file."""
        return self._today()

    @property
    def is_worn(self) -> bool:
        """Whether it has run so many different statements that it prepares further ones anew each time."""
        return len(self._statements) >= STATEMENTS

    def _run(self, sql: str, params: Sequence[Any]) -> Any:
        self._statements.add(sql)
        return self._raw.execute(sql, params)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Run one statement; returns the driver's cursor (``rowcount``, ``lastrowid``)."""
        try:
            return self._run(sql, params)
        except _FAULTS as error:
            raise_mapped(error)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for many rows; returns how many rows it touched."""
        try:
            self._statements.add(sql)
            return int(self._raw.executemany(sql, rows).rowcount)
        except _FAULTS as error:
            raise_mapped(error)

    def write_rows(self, sql: str, rows: Sequence[Sequence[Any]], *, at_once: int) -> None:
        """Run a statement for many rows of one length, so many at a time; ``{rows}`` in it stands for them, their values are ``column1`` …

        Of a table with triggers SQLite copies every page that a statement is about to change, and makes room for the triggers: a third of
        what ``executemany`` costs, which does it for each row. Triggers fire for every row all the same. What is left over goes one by one.
        """
        whole = len(rows) - len(rows) % at_once
        if whole:
            marks = f"({', '.join('?' * len(rows[0]))})"
            portion = sql.replace("{rows}", f"VALUES {', '.join([marks] * at_once)}")
            for place in range(0, whole, at_once):
                self.execute(portion, tuple(chain.from_iterable(rows[place : place + at_once])))
        if whole < len(rows):
            self.executemany(sql.replace("{rows}", f"VALUES ({', '.join('?' * len(rows[0]))})"), rows[whole:])

    def script(self, statements: Iterable[str]) -> None:
        """Run statements one by one (no implicit commit, unlike the driver's own script call)."""
        for statement in statements:
            self.execute(statement)

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        try:
            return self._run(sql, params).fetchall()  # type: ignore[no-any-return]
        except _FAULTS as error:
            raise_mapped(error)

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        try:
            return self._run(sql, params).fetchone()  # type: ignore[no-any-return]
        except _FAULTS as error:
            raise_mapped(error)

    def value(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, params)
        return None if row is None else row[0]

    def stream(self, sql: str, params: Sequence[Any] = (), *, size: int = 1000) -> Iterator[Row]:
        """Rows of a large query, fetched in portions."""
        try:
            cursor = self._run(sql, params)
            while rows := cursor.fetchmany(size):
                yield from rows
        except _FAULTS as error:
            raise_mapped(error)

    def attach(self, path: Path, name: str) -> None:
        """Open another file beside this one, without encryption, under a schema name of ours; not inside a transaction.

        It is opened for writing even where it is only read: of a file opened for reading SQLite passes over the CHECKs, and then copies
        its tables value by value. Whoever attaches it runs ``DETACH DATABASE`` afterwards.
        """
        try:
            self._raw.execute(f"ATTACH DATABASE ? AS {name} KEY ''", (path.absolute().as_uri(),))
        except _FAULTS as error:
            raise_mapped(error)

    def backup_to(self, other: Connection) -> None:
        """Copy the whole file online, page by page, while others read and write."""
        try:
            self._raw.backup(other._raw, pages=2000, sleep=0.005)
        except _FAULTS as error:
            raise_mapped(error)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self._raw.in_transaction)

    @property
    def raw(self) -> Any:
        """The driver's connection, for sqlite-utils and the driver's own tools."""
        return self._raw

    def close(self) -> None:
        """Close; a transaction still open is rolled back."""
        self._raw.close()


class Pool:
    """Readers that never wait for the writer (WAL); each block sees one consistent state of the file."""

    def __init__(self, path: Path, key: bytes | None, today: Callable[[], date]) -> None:
        self._path, self._key, self._today = path, key, today
        self._idle: LifoQueue[Connection] = LifoQueue()
        self._slots = threading.Semaphore(READERS)
        self._held = threading.local()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction. One inside another of the same thread takes no place of its own: threads that hold one and wait for one more
        would wait for each other for ever.
        """
        depth: int = getattr(self._held, "depth", 0)
        with self._slots if depth == 0 else nullcontext():
            self._held.depth = depth + 1
            try:
                with self._reader() as connection:
                    yield connection
            finally:
                self._held.depth = depth

    @contextmanager
    def _reader(self) -> Iterator[Connection]:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = Connection(self._path, key=self._key, today=self._today)
            connection.execute("PRAGMA query_only = ON")
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if connection.is_worn:
                connection.close()
            else:
                self._idle.put(connection)

    def close(self) -> None:
        """Close the idle readers."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return
