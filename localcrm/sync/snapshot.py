"""All of head office's data as one file, for a branch that would otherwise be told years of changes one by one.

Head office writes rows, change log and history of one moment into a plain SQLite file, which travels inside a signed and sealed bundle
like everything else (``write``, ``messages_of``). The branch takes it because head office signed it, and looks at it all the same: it
holds exactly the tables that this program would have made, their rows are sound, and their digests are those that head office names
(``take_in``, ``install``). Then the rows take the place of those here, in one transaction of the data file itself: what is not sent yet is merged
on top, and what belongs to this node alone (sessions, series, settings, the system log, keys) is never touched.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.domain.admin.entities import BranchHolds
from localcrm.domain.people import signing
from localcrm.kernel.errors import ExchangeError, StoreError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Shapes, entities, shaped
from localcrm.store import blobs, changelog, ddl, digests, erase, eventlog, past, search_follows
from localcrm.store.connection import Connection
from localcrm.store.files import writing
from localcrm.store.migrate import SCHEMA_VERSION, get_meta, set_meta
from localcrm.store.node import OFFICE_NO, origin_of, require_here
from localcrm.store.shapes import SHAPING, read_shapes
from localcrm.sync import codec, recovery
from localcrm.sync.extract import own_changes
from localcrm.sync.merge import Report, carry_over
from localcrm.sync.messages import Message, Snapshot, SnapshotPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from localcrm.store.connection import Row
    from localcrm.store.store import Store
    from localcrm.sync.exchange import Outcome
    from localcrm.sync.messages import Hello

#: What a branch says in ``Hello.caps`` when its program can take a snapshot.
CAPABILITY = "snapshot"
#: ``Welcome.action``: take a snapshot, the log is not told.
ACTION = "bootstrap"
#: It pays from so many missing changes on, when they are at least this part of the log: taking it costs a third of being told the whole log,
#: and nearly twice the bytes (``bench/snapshot.py``); what a few thousand changes cost nobody notices.
LEAST_CHANGES, LEAST_PART = 20_000, 0.5
PIECE = 1 << 20
#: What travels besides the tables of entities; everything else in the file belongs to one node.
LOG = ("sync_origin", "sync_tx", "sync_log", *past.TABLES)
#: Seconds after which nobody can be at work on an opened file any more.
_LEFT_BEHIND = 3600
_MAGIC = b"SQLite format 3\0"


# head office: is it time, and writing one --------------------------------------------------------------------------------


def note_capabilities(connection: Connection, hello: Hello) -> None:
    """Remember whether a branch can take a snapshot, for files that are made while it says nothing."""
    known, told = get_meta(connection, f"caps.{hello.node_no}"), " ".join(hello.caps)
    if known != told:
        set_meta(connection, f"caps.{hello.node_no}", told)


def action_for(store: Store, node_no: int, cursor: int) -> str:
    """What ``Welcome`` tells a branch that has received up to ``cursor``: ACTION where a snapshot pays and the branch can take it.

    Not while head office takes back what branches still have: a snapshot would lack it.
    """
    with store.read() as connection:
        caps = get_meta(connection, f"caps.{node_no}")
        schema = connection.value("SELECT schema_ver FROM sync_peer WHERE node_no = ?", (node_no,))
        # One that was never heard has just been set up, with the program of today.
        able = (caps is None or CAPABILITY in str(caps).split()) and schema in {None, SCHEMA_VERSION}
        # A branch that holds only its own is told the few changes of the log that concern it.
        limited = connection.one("SELECT 1 FROM branch WHERE node_no = ? AND holds <> ?", (node_no, BranchHolds.ALL)) is not None
        if not able or limited or not pays(connection, cursor):
            return "ok"
    return "ok" if recovery.is_open(store) or recovery.is_wanted(store) else ACTION


def pays(connection: Connection, cursor: int) -> bool:
    """Whether a snapshot costs less than the changes after a place of the log, of which a part may have left it."""
    head = changelog.head(connection)
    return head - cursor >= max(LEAST_CHANGES, LEAST_PART * head)


def write(store: Store, path: Path) -> Snapshot:
    """Write the data of this moment, and nothing that belongs to this node alone, to a new file; says what is in it."""
    source = Connection(store.path, key=store.key)
    try:
        source.attach(path, "snapshot")
        source.script(("PRAGMA snapshot.journal_mode = OFF", "PRAGMA snapshot.synchronous = OFF", "BEGIN"))
        with shaped(read_shapes(source)):
            for name, statement in _tables().items():
                source.execute(statement.replace("CREATE TABLE ", "CREATE TABLE snapshot.", 1))
                if name != "meta":
                    _copy(source, name, "main", "snapshot")
            source.executemany(
                "INSERT INTO snapshot.meta SELECT key, value FROM main.meta WHERE key = ?", [(key,) for key in _SAID_OF_OFFICE]
            )
            told = Snapshot(changelog.head(source), 0, digests.full(source))
        source.execute("COMMIT")
        source.execute("DETACH DATABASE snapshot")
    finally:
        source.close()
    return Snapshot(told.hseq, path.stat().st_size, told.tables)


#: Facts about head office that say what the file is and how its fields are to be read; no other fact of ``meta`` travels.
_SAID_OF_OFFICE = ("schema_version", "node.company_id", "node.role", "node.code")


def messages_of(store: Store) -> Iterator[Message]:
    """A snapshot of this moment as messages."""
    with _scratch(store) as folder:
        path = folder / "data"
        yield write(store, path)
        with path.open("rb") as file:
            while data := file.read(PIECE):
                yield SnapshotPart(data)


@contextmanager
def _scratch(store: Store) -> Iterator[Path]:
    """A place for the opened file, which is nobody's after this block; what a killed program left there goes too."""
    for left in store.folder.glob(".snapshot-*"):
        if time.time() - left.stat().st_mtime > _LEFT_BEHIND:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=store.folder, prefix=".snapshot-") as folder:
        yield Path(folder)


def _tables() -> dict[str, str]:
    """Every table of a snapshot, as it is made, by name."""
    system = {name: statement for name in ("meta", *LOG) for statement in _made_by(name) if statement.startswith("CREATE TABLE")}
    return system | {entity.key: ddl.table_sql(entity) for entity in entities()}


def _made_by(name: str) -> list[str]:
    """The statements that make a system table and its indexes."""
    return [one for one in ddl.SYSTEM_TABLES if one.startswith(f"CREATE TABLE {name}(") or f" ON {name}(" in one]


def _copy(connection: Connection, name: str, source: str, target: str) -> None:
    """Fill an empty table; where both have their columns in one order, SQLite copies page by page instead of value by value."""
    wanted = _columns(connection, name, target)
    columns = ", ".join(f'"{column}"' for column in wanted)
    chosen = "*" if wanted == _columns(connection, name, source) else columns
    connection.execute(f'INSERT INTO {target}."{name}"{"" if chosen == "*" else f"({columns})"} SELECT {chosen} FROM {source}."{name}"')


def _columns(connection: Connection, table: str, schema: str) -> list[str]:
    return [row[1] for row in connection.all(f'PRAGMA {schema}.table_info("{table}")')]


# a branch: receiving one ------------------------------------------------------------------------------------------------


def take_in(store: Store, messages: Iterable[Message], outcome: Outcome) -> Iterator[Message]:
    """The messages without those that make up a snapshot, which takes its place here as soon as it is whole."""
    said = iter(messages)
    for message in said:
        if isinstance(message, Snapshot):
            came = _receive(store, message, said)
            outcome.received += came
            outcome.applied += came
        elif not isinstance(message, SnapshotPart):
            yield message


def _receive(store: Store, told: Snapshot, said: Iterator[Message]) -> int:
    """Put the file together and install it; returns how many changes of head office's log it stands for."""
    with store.read() as connection:
        cursor = int(connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = ?", (OFFICE_NO,)) or 0)
    if told.hseq <= cursor:
        return 0  # an old file; its parts are passed over
    with writing(store.path), _scratch(store) as folder:
        path, left = folder / "data", told.size
        with path.open("wb") as file:
            while left > 0:
                part = next(said, None)
                if not isinstance(part, SnapshotPart) or len(part.data) > left:
                    raise _error("snapshot_damaged", "size")
                file.write(part.data)
                left -= len(part.data)
        install(store, path, told)
    return told.hseq - cursor


def install(store: Store, path: Path, told: Snapshot) -> Report:
    """Let a snapshot take the place of the data here, in one transaction; says what was merged on top of it.

    Raises ExchangeError: snapshot_damaged, snapshot_other_version, snapshot_differs, snapshot_lacks, snapshot_own_work; StoreError("moved_away")
    where the folder was moved meanwhile. Nothing is changed then.
    """
    shapes = examine(path, told)
    with store.replacing(path) as connection:
        require_here(connection)
        _refuse_losses(store, connection)
        erased = _carry_out_erasures(store, connection)
        unsent = _unsent(store, connection)
        came = told.hseq - int(connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = ?", (OFFICE_NO,)))
        epochs = connection.all("SELECT epoch, epoch_index, code FROM sync_origin WHERE node_no = ?", (store.node.node_no,))
        with shaped(shapes):
            _replace_tables(connection)
        _settle(store, connection, told, epochs)
        store.reshape()  # the fields as they count here, and with them indexes, totals and triggers
        search_follows.begin_anew(connection)
        report = _merge_on_top(store, connection, unsent)
        if erased:
            erase.scrub(connection)
        signing.take_over(store, connection)
        eventlog.append(connection, at=store.clock.now_ms(), kind="bootstrap", detail=f"received={came}", sign=store.sign_log)
    return report


def examine(path: Path, told: Snapshot) -> Shapes:
    """Whether a file is what head office says it is, before anything of it is copied; returns the fields that it defines.

    Raises ExchangeError: snapshot_damaged, snapshot_other_version, snapshot_differs.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise _error("snapshot_damaged", "header")
        source = Connection(path, key=None, scratch=True)  # for writing: else CHECKs are passed over
        try:
            return _examine(source, told)
        finally:
            source.close()
    except StoreError as error:
        raise _error("snapshot_damaged", error.message) from error


def _examine(source: Connection, told: Snapshot) -> Shapes:
    """Nothing is read from a table before it is known to be one that this program would have made."""
    present = {}
    for kind, name, sql in source.all("SELECT type, name, sql FROM sqlite_master"):
        if kind == "table" and str(sql).startswith("CREATE TABLE "):
            present[name] = sql
        elif (kind, sql) != ("index", None):  # the index of a UNIQUE column is part of its table
            raise _error("snapshot_damaged", f"{kind} {name}")
    with shaped({}):
        _require_declared(present, ("meta", *LOG, *SHAPING))
    shapes = read_shapes(source)
    with shaped(shapes):
        _require_declared(present, {*present, *_tables()})
        fault = source.value("PRAGMA integrity_check(1)")
        if fault != "ok":
            raise _error("snapshot_damaged", fault)
        if changelog.head(source) > told.hseq:
            raise _error("snapshot_damaged", "sync_log")
        if digests.full(source) != told.tables:
            raise _error("snapshot_differs")
    return shapes


def _require_declared(present: Mapping[str, str], names: Iterable[str]) -> None:
    declared = _tables()
    for name in names:
        if present.get(name) != declared.get(name):
            raise _error("snapshot_other_version", name)


# a branch: what is here and not there ------------------------------------------------------------------------------------


def _refuse_losses(store: Store, connection: Connection) -> None:
    """Work of others that is here and not in the snapshot exists only here: head office was restored, and shall be given it back first."""
    lost = connection.value(
        """SELECT o.code FROM main.sync_origin o LEFT JOIN source.sync_origin s ON s.node_no = o.node_no AND s.epoch = o.epoch
           WHERE o.node_no <> ? AND o.have_oseq > coalesce(s.have_oseq, 0)""",
        (store.node.node_no,),
    )
    if lost is not None:
        raise _error("snapshot_lacks", lost)


def _carry_out_erasures(store: Store, connection: Connection) -> bool:
    """Orders to erase that come with the snapshot: what they are about is overwritten here too, attached files and forms included. Returns
    whether there are some.
    """
    erased = False
    known = {entity.key: entity for entity in entities()}
    for subject, record in connection.all(
        "SELECT subject, record_id FROM source.erasure WHERE id NOT IN (SELECT id FROM main.erasure) ORDER BY id"
    ):
        if subject in known:
            erase.carry_out(connection, known[subject], bytes.fromhex(record))
            erased = True
            detail = f"{subject} {record}"
            eventlog.append(connection, at=store.clock.now_ms(), kind="erased", detail=detail, sign=store.sign_log)
    return erased


def _unsent(store: Store, connection: Connection) -> list[bytes]:
    """What this node did and the snapshot does not hold, of each of its epochs in their order, as encoded batches."""
    found = []
    for origin, after in connection.all(
        """SELECT o.origin, coalesce(s.have_oseq, 0) FROM main.sync_origin o
           LEFT JOIN source.sync_origin s ON s.node_no = o.node_no AND s.epoch = o.epoch WHERE o.node_no = ? ORDER BY o.epoch_index""",
        (store.node.node_no,),
    ):
        position, more = int(after), True
        while more:
            portion = own_changes(connection, origin, position)
            if portion.batch.txs:
                found.append(codec.encode_batch(portion.batch))
            more, position = portion.more and portion.upto > position, portion.upto
    return found


# a branch: taking its place ----------------------------------------------------------------------------------------------


def _replace_tables(connection: Connection) -> None:
    """Every table of the snapshot is made anew, as declared, and filled; indexes of entities and all triggers are left to ``bring``."""
    for (name,) in connection.all("SELECT name FROM main.sqlite_master WHERE type = 'trigger'"):
        connection.execute(f'DROP TRIGGER "{name}"')
    for name, statement in _tables().items():
        if name != "meta":
            connection.execute(f'DROP TABLE main."{name}"')
            connection.execute(statement)
            _copy(connection, name, "source", "main")
    connection.script(statement for name in LOG for statement in _made_by(name) if not statement.startswith("CREATE TABLE"))
    set_meta(connection, "ddl", "")


def _settle(store: Store, connection: Connection, told: Snapshot, epochs: Sequence[Row]) -> None:
    """What this node knows about itself in terms of the log that it has now; ``epochs``: its own, each (epoch, index, code)."""
    node = store.node
    connection.execute("UPDATE sync_origin SET acked_oseq = CASE node_no WHEN ? THEN have_oseq ELSE 0 END", (node.node_no,))
    for epoch, index, code in epochs:
        origin = origin_of(connection, node.node_no, epoch, code, index)
        connection.execute("UPDATE sync_origin SET epoch_index = ? WHERE origin = ?", (index, origin))
    connection.execute("UPDATE sync_ctx SET origin = ?", (origin_of(connection, node.node_no, node.epoch, node.code, node.epoch_index),))
    connection.execute("UPDATE sync_peer SET recv_hseq = ? WHERE node_no = ?", (told.hseq, OFFICE_NO))
    # What was kept out here is in the snapshot as head office took it; the numbers below are those of the log before.
    connection.execute("DELETE FROM sync_quarantine")
    blobs.look_again(connection)
    digests.begin_anew(connection)
    recovery.forget(connection)


def _merge_on_top(store: Store, connection: Connection, unsent: list[bytes]) -> Report:
    """What was not sent yet is merged as if it came back from head office, and waits to be sent as before."""
    before, report = changelog.head(connection), Report()
    for data in unsent:
        report.add(carry_over(store, connection, codec.decode_batch(data)))
    if report.quarantined:
        raise _error("snapshot_own_work", report.quarantined)
    erase.carry_out_since(store, connection, before)
    connection.execute(
        """UPDATE sync_ctx SET last_hlc = max((SELECT coalesce(max(eff_hlc), last_hlc) FROM sync_tx), ?),
           next_oseq = (SELECT have_oseq + 1 FROM sync_origin o WHERE o.origin = sync_ctx.origin)""",
        (past.newest_stamp(connection),),
    )
    return report


_TEXTS = {
    "snapshot_damaged": N_(
        "The copy of head office's data is not one that this program makes, or it is damaged ({detail}). Nothing was changed; exchange again, or ask head office for a new file."
    ),
    "snapshot_other_version": N_(
        "Head office's copy of its data is of another version of the program ({detail}). Nothing was changed; install the same version here and at head office, then exchange again."
    ),
    "snapshot_differs": N_(
        "The copy of head office's data does not hold what head office says it holds. Nothing was changed; head office should run “localcrm check”."
    ),
    "snapshot_lacks": N_(
        "The copy of head office's data lacks work of {detail} that is here. Nothing was changed; exchange in the ordinary way first, so that head office gets it back."
    ),
    "snapshot_own_work": N_(
        "{detail} changes that were made here and not sent yet do not fit the copy of head office's data. Nothing was changed; send them to head office first."
    ),
}


def _error(code: str, detail: object = "") -> ExchangeError:
    return ExchangeError(code, _TEXTS[code], detail=str(detail)[:120])
