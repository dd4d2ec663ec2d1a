"""The store of one data folder: one writer, a pool of readers, and an event after every commit.

Folder: ``localcrm.db`` (with its WAL files), ``keys/`` (node keys, wrapped database key), ``blobs/`` (attachments),
``backups/``. A store is cheap to open; whatever the file needs to be brought to today's declarations is done at open.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.kernel.clock import MAX_STEP, SystemClock, WallClock, next_stamp
from localcrm.kernel.errors import NotFound, StoreError
from localcrm.kernel.i18n import N_
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import Shapes, entities, shape_by_default, shaped, use_shapes
from localcrm.store import changelog, eventlog, search_follows, shapes as file_shapes
from localcrm.store.connection import WRITER_CACHE_KB, Connection, Pool
from localcrm.store.folder import DATABASE
from localcrm.store.migrate import check_version, get_meta, is_current, migrate, shapes_version
from localcrm.store.node import Node, load_node, require_here
from localcrm.store.turns import Pace, Turns
from localcrm.store.uow import UnitOfWork, own_section, transaction

if TYPE_CHECKING:
    from localcrm.kernel.ports import Listener


class Store:
    """An open data folder."""

    def __init__(
        self, folder: Path, *, key: bytes | None = None, clock: WallClock | None = None, sign_log: eventlog.Sign | None = None
    ) -> None:
        self.folder = folder
        self.path = folder / DATABASE
        self.key = key
        self.clock: WallClock = clock or SystemClock()
        #: How far stamps go ahead where the clock is behind: two copies of a folder are told apart by their stamps, also if both only tick.
        self.step = 1 + secrets.randbelow(MAX_STEP)
        #: Signs the head of the system log with the node's key; None where nobody has the key at hand.
        self.sign_log = sign_log
        self._node: Node | None = None
        self._listeners: list[Listener] = []
        self._write_lock = Turns()
        #: How much of what was received is merged in one transaction.
        self.pace = Pace()
        #: The fields of this file. Inside every block that reads or writes, entities have these.
        self.shapes: Shapes = {}
        self._reshaped: Shapes | None = None
        self._sets_default = False
        self._writer = self._open_writer()
        try:
            self._open_shapes(sign_log)
        except BaseException:
            self._writer.close()
            raise
        self._pool = Pool(self.path, key, self._day)
        self._seen = changelog.head(self._writer)
        self._data_version: int | None = self._writer.value("PRAGMA data_version")

    def _open_shapes(self, sign_log: eventlog.Sign | None) -> None:
        """Read the fields of the file, and bring it up to date with them; again where another program was at it meanwhile."""
        while True:
            check_version(self._writer)
            self._shapes_version = shapes_version(self._writer)
            self.shapes = file_shapes.read_shapes(self._writer)
            with shaped(self.shapes):
                if is_current(self._writer):
                    return
                migrate(self._writer, sign_log, shapes=self._shapes_version)

    # reading -----------------------------------------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent state of the file; never waits for a writer."""
        with shaped(self.shapes), self._pool.read() as connection:
            yield connection

    def meta(self, key: str) -> str | int | bytes | None:
        """A fact about this node."""
        with self.read() as connection:
            return get_meta(connection, key)

    @property
    def node(self) -> Node:
        """Who this folder is; raises StoreError before set-up."""
        if self._node is None:
            with self.read() as connection:
                self._node = load_node(connection)
        return self._node

    @property
    def clock_suspect(self) -> bool:
        """Whether the wall clock cannot be right: before this program was built, or far ahead of all that was ever changed."""
        with self.read() as connection:
            return next_stamp(int(connection.value("SELECT last_hlc FROM sync_ctx")), self.clock.now_ms()).suspect

    def forget_node(self) -> None:
        """Read the identity again next time: it was just changed."""
        self._node = None

    # writing -----------------------------------------------------------------------------------------------------

    @contextmanager
    def unit_of_work(self, actor: str | None) -> Iterator[UnitOfWork]:
        """Write as somebody; commits at the end of the block, rolls back on any error, then raises the event."""
        with self._announced(remote=False), self._writing() as connection, own_section(self, connection, actor=actor) as uow:
            yield uow

    @contextmanager
    def merging(self) -> Iterator[Connection]:
        """A transaction in which received changes are applied: capture is off, the merge writes the log itself.

        Raises StoreError("moved_away") where the folder was moved while an exchange was running.
        """
        with self._announced(remote=True), self._writing() as connection:
            require_here(connection)
            connection.execute("UPDATE sync_ctx SET applying = 1")
            with search_follows.leaving_to_log(connection):
                yield connection
            connection.execute("UPDATE sync_ctx SET applying = 0")

    @property
    def today(self) -> date:
        """The day it is where the program runs, by the clock of the data file."""
        return self._day()

    def _day(self) -> date:
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, tz=UTC).astimezone().date()

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the transaction that is open to end."""
        return self._write_lock.is_awaited

    @contextmanager
    def replacing(self, path: Path) -> Iterator[Connection]:
        """A transaction in which everything is made anew from another file, attached as ``source``; capture is off, every screen looks again."""
        with self._write_lock:
            self._renew_worn_writer()
            writer = self._writer
            writer.attach(path, "source")
            try:
                with self._writing() as connection:
                    connection.execute("UPDATE sync_ctx SET applying = 1")
                    yield connection
                    connection.execute("UPDATE sync_ctx SET applying = 0")
            finally:
                writer.execute("DETACH DATABASE source")
            self._seen = changelog.head(writer)
        changes = Changes(dict.fromkeys((entity.key for entity in entities()), None), remote=True)
        for listener in list(self._listeners):
            listener(changes)

    @contextmanager
    def housekeeping(self) -> Iterator[Connection]:
        """A transaction over tables that are never captured (sessions, settings, peers, series)."""
        with self._writing() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction of the one writer, with the fields of the file; what the block makes of them counts once it is committed."""
        with self._write_lock:
            self._renew_worn_writer()
            try:
                with transaction(self._writer):
                    self._look_at_shapes()
                    with shaped(self.shapes):
                        yield self._writer
                if self._reshaped is not None:
                    self._take_shapes(self._reshaped, shapes_version(self._writer))
            finally:
                self._reshaped = None

    def _open_writer(self) -> Connection:
        return Connection(self.path, key=self.key, cache_kb=WRITER_CACHE_KB, today=self._day)

    def _renew_worn_writer(self) -> None:
        """Between two transactions; whether other programs wrote meanwhile the new connection cannot tell, so it is asked next time."""
        if self._writer.is_worn and not self._writer.in_transaction:
            worn, self._writer = self._writer, self._open_writer()
            self._data_version = None
            worn.close()

    def reshape(self) -> None:
        """Inside a block that writes: make of the definitions just written the fields of the rest of the block."""
        self._reshaped = file_shapes.reshape(self._writer)
        use_shapes(self._reshaped)

    def set_default_shapes(self) -> None:
        """This program serves one folder: its fields count outside of every block too, now and whenever they change."""
        self._sets_default = True
        shape_by_default(self.shapes)

    def _take_shapes(self, shapes: Shapes, version: int) -> None:
        self.shapes, self._shapes_version = shapes, version
        if self._sets_default:
            shape_by_default(shapes)

    def _look_at_shapes(self) -> None:
        """Another program may have changed the definitions."""
        version = int(get_meta(self._writer, "shapes") or 0)
        if version != self._shapes_version:
            self._take_shapes(file_shapes.read_shapes(self._writer), version)

    def log(self, kind: str, *, user_id: str | None = None, detail: str = "") -> None:
        """Note in the system log what is not a change of data, in a transaction of its own."""
        with self.housekeeping() as connection:
            eventlog.append(connection, at=self.clock.now_ms(), kind=kind, user_id=user_id, detail=detail, sign=self.sign_log)

    # events ------------------------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with every ``Changes`` from now on, on the thread that committed."""
        self._listeners.append(listener)

    def announce(self, *, remote: bool) -> Changes | None:
        """Raise the event for everything logged since the last one."""
        with self._write_lock:
            changes = self._news(remote=remote)
        self._tell(changes)
        return changes

    @contextmanager
    def _announced(self, *, remote: bool) -> Iterator[None]:
        """Raise the event for what the block commits. What there is to tell is read before the turn is given up: whoever saves would wait
        for a second turn otherwise, behind a whole step of a merge.
        """
        with self._write_lock:
            yield
            changes = self._news(remote=remote)
        self._tell(changes)

    def _news(self, *, remote: bool) -> Changes | None:
        newest, changes = changelog.head(self._writer), None
        if newest != self._seen and self._listeners:
            changes = changelog.changes_since(self._writer, self._seen, newest, remote=remote)
        self._seen = newest
        return changes

    def _tell(self, changes: Changes | None) -> None:
        if changes is not None:
            for listener in list(self._listeners):
                listener(changes)

    def announce_rows(self, ids: Mapping[str, frozenset[str] | None]) -> None:
        """Raise the event for rows of some kinds (None: any of the kind) of which something else than the log says that they have changed."""
        self._tell(Changes(ids, {}, remote=True))

    def notice_other_programs(self) -> Changes | None:
        """Raise the event for what another program wrote to the same file; cheap when there is nothing."""
        with self._write_lock:
            version = self._writer.value("PRAGMA data_version")
            if version == self._data_version:
                return None
            self._data_version = version
            self._look_at_shapes()
        return self.announce(remote=True)

    def close(self) -> None:
        """Close every connection."""
        if self._sets_default:
            shape_by_default({})
        self._pool.close()
        with self._write_lock:
            self._writer.close()


def open_store(folder: Path, *, key: bytes | None = None, clock: WallClock | None = None, sign_log: eventlog.Sign | None = None) -> Store:
    """Open an existing data folder; raises NotFound when there is none."""
    if not (folder / DATABASE).exists():
        raise NotFound(
            "no_data_folder", N_("There is no data in “{folder}” yet. Set it up first with “localcrm init”."), folder=str(folder)
        )
    return Store(folder, key=key, clock=clock, sign_log=sign_log)


def create_store(folder: Path, *, key: bytes | None = None, clock: WallClock | None = None) -> Store:
    """Create a data folder, readable by its owner only; raises StoreError when there is one already."""
    if (folder / DATABASE).exists():
        raise StoreError("already_set_up", N_("“{folder}” is already set up. Nothing was changed."), folder=str(folder))
    make_folder(folder)
    return Store(folder, key=key, clock=clock)


def make_folder(folder: Path) -> None:
    """Create a data folder with its sub-folders, owner only where the system knows such a thing."""
    try:
        for path in (folder, folder / "keys", folder / "blobs", folder / "backups"):
            path.mkdir(parents=True, exist_ok=True)
            with suppress(PermissionError, NotImplementedError):
                path.chmod(0o700)
    except OSError as error:
        raise StoreError("cannot_open", N_("The data file cannot be opened. Check that the folder exists and may be written.")) from error
