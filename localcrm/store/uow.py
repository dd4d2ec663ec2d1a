"""The unit of work: the only way anything is written.

Row, change record, search rows and derived totals are one transaction. After the commit, and only then, a ``Changes``
event tells every open screen. A verb gets a UnitOfWork, reads and writes through it, and returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from localcrm.kernel.clock import next_stamp
from localcrm.kernel.errors import NotFound, Refused, StaleRecord
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import new_id
from localcrm.store import changelog, eventlog, search
from localcrm.store.node import is_catching_up, require_here
from localcrm.store.query import Record, load_record, record_columns
from localcrm.store.shapes import SHAPING

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection
    from localcrm.store.node import Node
    from localcrm.store.store import Store


#: Called before the first write to a kind of record in a section; what it returns is done last, in the same transaction.
Watch = Callable[["UnitOfWork"], Callable[[], None]]


def _reshape(uow: UnitOfWork) -> Callable[[], None]:
    """Definitions of fields become fields."""
    return uow.store.reshape


#: Who watches a kind of record, by its key.
WATCHES: dict[str, Watch] = dict.fromkeys(SHAPING, _reshape)


class UnitOfWork:
    """Reads and writes of one user action; made by ``Store.unit_of_work``."""

    def __init__(self, store: Store, connection: Connection, *, actor: str | None) -> None:
        self.store = store
        self.connection = connection
        self.actor = actor
        #: Once the section has ended: the first row of the change log that it wrote; None where it changed nothing.
        self.first_change: int | None = None
        self._indexed: dict[EntityType, dict[int, bool]] = {}  # rid → whether it is new
        self._watched: dict[Watch, Callable[[], None]] = {}

    @property
    def node(self) -> Node:
        """The node that writes."""
        return self.store.node

    @property
    def today(self) -> date:
        """The day it is where the program runs, by the clock of the data file."""
        return self.store.today

    # reading -----------------------------------------------------------------------------------------------------

    def get(self, entity: EntityType, identity: str, *, deleted: bool = False) -> Record:
        """A live record (or, when asked, a deleted one too); raises NotFound."""
        record = self.find(entity, identity, deleted=deleted)
        if record is None:
            raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=entity.label)
        return record

    def find(self, entity: EntityType, identity: str, *, deleted: bool = False) -> Record | None:
        """A record, or None."""
        row = self.connection.one(
            f'SELECT {record_columns(entity)} FROM "{entity.key}" WHERE id = ?{"" if deleted else " AND deleted = 0"}',
            (bytes.fromhex(identity),),
        )
        return load_record(entity, row) if row else None

    def exists(self, entity: EntityType, identity: str) -> bool:
        """Whether there is such a live record."""
        return bool(self.connection.one(f'SELECT 1 FROM "{entity.key}" WHERE id = ? AND deleted = 0', (bytes.fromhex(identity),)))

    def where(self, entity: EntityType, /, **equal: Any) -> list[Record]:
        """Live records whose fields equal the given values, oldest first."""
        fields = [entity.field(key) for key in equal]
        conditions = " AND ".join([f'"{field.key}" IS ?' for field in fields] + ["deleted = 0"])
        params = [field.store(equal[field.key]) for field in fields]
        rows = self.connection.all(f'SELECT {record_columns(entity)} FROM "{entity.key}" WHERE {conditions} ORDER BY rid', params)
        return [load_record(entity, row) for row in rows]

    # writing -----------------------------------------------------------------------------------------------------

    def insert(self, entity: EntityType, values: Mapping[str, Any], *, identity: str | None = None) -> str:
        """Add one row of checked values; returns its id."""
        identity = identity or new_id()
        self.insert_many(entity, [{**values, "id": identity}])
        return identity

    def insert_many(self, entity: EntityType, rows: Iterable[Mapping[str, Any]]) -> int:
        """Add rows of checked values, each with its ``id``; returns how many."""
        self._watch(entity)
        fields = list(entity.fields.values())
        names = ", ".join(f'"{field.key}"' for field in fields)
        first = int(self.connection.value(f'SELECT coalesce(max(rid), 0) FROM "{entity.key}"')) + 1
        stored: list[tuple[Any, ...]] = [
            (first + n, bytes.fromhex(row["id"]), *(field.store(row.get(field.key, field.default)) for field in fields))
            for n, row in enumerate(rows)
        ]
        self.connection.executemany(f'INSERT INTO "{entity.key}"(rid, id, {names}) VALUES (?, ?{", ?" * len(fields)})', stored)
        self._indexed.setdefault(entity, {}).update((row[0], True) for row in stored)
        return len(stored)

    def update(self, entity: EntityType, identity: str, values: Mapping[str, Any], *, version: int | None = None) -> bool:
        """Change columns of one row; with ``version`` refuses a stale save. Returns whether anything was different."""
        current = self.get(entity, identity, deleted=True)
        changed = {key: value for key, value in values.items() if current[key] != value}
        if version is not None and current["version"] != version:
            shown = [(key, value, current[key]) for key, value in changed.items() if not entity.field(key).secret]
            raise StaleRecord(title=str(current[entity.title_field] or ""), differences=shown)
        if not changed:
            return False
        self._write(entity, identity, {key: entity.field(key).store(value) for key, value in changed.items()})
        if any(entity.field(key).secret for key in changed):  # the history of the record does not show secrets
            self.log("password_set", str(current[entity.title_field] or ""))
        return True

    def may_have_gone_on(self, entity: EntityType, identity: str) -> bool:
        """Whether a row is older than the backup this node was restored from, and others, who may know more of it, were not heard since."""
        if not is_catching_up(self.connection, self.store.clock.now_ms()):
            return False
        first = next(changelog.changes_of(self.connection, entity, [bytes.fromhex(identity)]), None)
        return first is None or first.tx.origin != self.connection.value("SELECT origin FROM sync_ctx")

    def touch(self, entity: EntityType, identity: str) -> None:
        """Make a save that began before now stale, though no column of the row changes: a part of the record did."""
        self._write(entity, identity, {})

    def set_deleted(self, entity: EntityType, identity: str, *, deleted: bool) -> None:
        """Set the register of one row."""
        self._write(entity, identity, {"deleted": int(deleted)})

    def remove(self, entity: EntityType, identity: str) -> None:
        """Remove a row physically; the store allows it for lines of drafts only."""
        self._watch(entity)
        self.connection.execute(f'DELETE FROM "{entity.key}" WHERE id = ?', (bytes.fromhex(identity),))

    def _watch(self, entity: EntityType) -> None:
        watch = WATCHES.get(entity.key)
        if watch is not None and watch not in self._watched:
            self._watched[watch] = watch(self)

    def log(self, kind: str, detail: str = "") -> None:
        """Note in the system log what goes with this change, or with none of a record."""
        store = self.store
        eventlog.append(self.connection, at=store.clock.now_ms(), kind=kind, user_id=self.actor, detail=detail, sign=store.sign_log)

    def _write(self, entity: EntityType, identity: str, stored: Mapping[str, Any]) -> None:
        self._watch(entity)
        assignments = "".join(f'"{key}" = ?, ' for key in stored)
        key = bytes.fromhex(identity)
        self.connection.execute(f'UPDATE "{entity.key}" SET {assignments}version = version + 1 WHERE id = ?', (*stored.values(), key))
        if "deleted" in stored or any(field.key in stored for field in entity.searched):
            rid = self.connection.value(f'SELECT rid FROM "{entity.key}" WHERE id = ?', (key,))
            self._indexed.setdefault(entity, {}).setdefault(rid, False)

    # numbers -----------------------------------------------------------------------------------------------------

    def next_number(self, series: str, period: str) -> int:
        """The next number of a gapless series: taken in this transaction, given back if it fails."""
        return int(
            self.connection.value(
                "INSERT INTO number_series(series, period, last) VALUES (?, ?, 1) "
                "ON CONFLICT(series, period) DO UPDATE SET last = last + 1 RETURNING last",
                (series, period),
            )
        )

    def _finish(self) -> None:
        """The section's own last step."""
        for last_step in list(self._watched.values()):
            last_step()
        self._flush_search()

    def _flush_search(self) -> None:
        for entity, rids in self._indexed.items():
            search.index_logged(self.connection, entity, [rid for rid, fresh in rids.items() if fresh], fresh=True)
            search.index_logged(self.connection, entity, [rid for rid, fresh in rids.items() if not fresh])
        self._indexed.clear()


@contextmanager
def own_section(store: Store, connection: Connection, *, actor: str | None) -> Iterator[UnitOfWork]:
    """Changes of this node inside an open transaction, also that of a merge: gives the triggers what they need, then books the transaction.

    A section that changed nothing leaves no trace.
    """
    require_here(connection)
    last, origin, oseq, applying = connection.one("SELECT last_hlc, origin, next_oseq, applying FROM sync_ctx") or (0, None, 1, 0)
    if origin is None:
        raise Refused("not_enrolled", N_("This branch is not enrolled yet. Finish “sync join” with the reply of head office first."))
    tick = next_stamp(last, store.clock.now_ms(), store.step)
    tx = int(connection.value("SELECT coalesce(max(tx), 0) FROM sync_tx")) + 1
    first = int(connection.value("SELECT coalesce(max(lseq), 0) FROM sync_log")) + 1
    connection.execute("UPDATE sync_ctx SET tx = ?, applying = 0", (tx,))
    uow = UnitOfWork(store, connection, actor=actor)
    yield uow
    uow._finish()  # noqa: SLF001 -- the section's own last step
    count = int(connection.value("SELECT coalesce(max(lseq), 0) FROM sync_log")) + 1 - first
    if count:
        uow.first_change = first
        connection.execute(
            "INSERT INTO sync_tx(tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (tx, origin, oseq, count, first, tick.stamp, tick.stamp, bytes.fromhex(actor) if actor else None),
        )
        connection.execute("UPDATE sync_ctx SET last_hlc = ?, next_oseq = ?", (tick.stamp, oseq + count))
        connection.execute("UPDATE sync_origin SET have_oseq = ? WHERE origin = ?", (oseq + count - 1, origin))
    connection.execute("UPDATE sync_ctx SET tx = NULL, applying = ?", (applying,))  # in the midst of a merge, the merge goes on


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Begin at once, commit at the end of the block, roll back on any error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
