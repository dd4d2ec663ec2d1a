"""Finding where two nodes differ though nothing is under way, and mending it: tables, then runs of rows, then rows.

The branch compares tables (``exchange``), and tells what it has of those that differ: a hash per run of rows, or per row where there are few.
Head office narrows that down to rows and sends those as they should be with every change of them, or asks the branch for those it lacks
itself. Each step travels with the next exchange, over the network within the same run. At most PER_EXCHANGE rows are mended at once.

Head office is right, as far as its rows are what its own log says. Where its rows were changed past the log, what a branch has is taken if
it hashes to what head office had kept. A row that is lost there is taken from the branch that made it; what head office has never admitted
goes by the rules of any other change. No row is touched that has changes the other side does not know: unsent work stays as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from localcrm.domain.admin.conflicts import as_text
from localcrm.domain.admin.entities import Conflict, ConflictKind
from localcrm.domain.people import signing
from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import EntityType, Kind, Stored, entities, entity_by_no
from localcrm.store import changelog, digests, eventlog, past, search
from localcrm.store.ddl import DELETED_NO, GONE, INSERT, UPDATE
from localcrm.store.digests import Range
from localcrm.store.migrate import get_meta
from localcrm.store.node import OFFICE_NO, branch_id, origin_of
from localcrm.store.uow import own_section
from localcrm.sync import codec
from localcrm.sync.columns import rules_of
from localcrm.sync.extract import everything_of
from localcrm.sync.faults import Faults
from localcrm.sync.known import Known, Sender
from localcrm.sync.messages import BucketHashes, Mended, Message, Narrow, Note, RowHashes, Rows, Wanted, WholeRow, decode, encode
from localcrm.sync.scope import condition, scope_of

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store
    from localcrm.sync.codec import Batch
    from localcrm.sync.exchange import Outcome, Peer

    #: A change: node number, epoch, number.
    Identity = tuple[int, int, int]
    Values = dict[int, Stored]
    #: A row by its id: before and after.
    _Mended = tuple[bytes, Values | None, Values | None]

#: Rows that one exchange mends or asks for, ranges it narrows a table down to, and rows of a table that are told by their hash.
PER_EXCHANGE, MOST_RANGES, MOST_HASHES = 300, 200, 20_000
#: Questions that one exchange answers or keeps, and how long they are together.
MOST_QUESTIONS, MOST_KEPT = 250, 64 << 20
#: A table with at most so many rows is told row by row at once.
FEW_ROWS = 1_000
MOST_TABLES = 10
#: What was mended is told in portions.
MOST_NOTES = 500
#: Meta key of a branch: the tables in which it differed from head office at the last comparison; empty for none.
DIFFERS = "digest.differs"

_CONFLICT = Conflict.entity_type
_BOOKS = frozenset({Kind.LEDGER, Kind.DOCUMENT, Kind.LINE})
#: Kinds of rows in the system log, for books and for all else.
_SAID = {True: "books_mended", False: "data_mended"}


@dataclass(slots=True)
class Budget:
    """What head office does for one exchange, whatever it is asked."""

    questions: int = MOST_QUESTIONS
    rows: int = PER_EXCHANGE
    hashes: int = 3 * MOST_HASHES


# what the other side said -----------------------------------------------------------------------------------------------


def forget(store: Store, node_no: int) -> None:
    """What the other side said last is overtaken: it speaks again."""
    if _remembered(store, node_no):
        with store.housekeeping() as connection:
            connection.execute("DELETE FROM sync_repair WHERE node_no = ?", (node_no,))


def _remember(store: Store, node_no: int, message: Message) -> None:
    """Keep what the other side said until this one speaks, within limits: what is left out is found again."""
    data = encode(message)
    with store.housekeeping() as connection:
        count, size = connection.one(
            "SELECT count(*), coalesce(sum(length(message)), 0) FROM sync_repair WHERE node_no = ?", (node_no,)
        ) or (0, 0)
        if count < MOST_QUESTIONS and size + len(data) <= MOST_KEPT:
            connection.execute("INSERT INTO sync_repair(node_no, message) VALUES (?, ?)", (node_no, data))


def _remembered(store: Store, node_no: int) -> list[Message]:
    with store.read() as connection:
        rows = connection.all("SELECT message FROM sync_repair WHERE node_no = ? ORDER BY id", (node_no,))
    return [decode(row[0]) for row in rows]


# a branch ------------------------------------------------------------------------------------------------------------------


def said(store: Store) -> list[Message]:
    """What a branch has to say so that a difference is found and mended: answers, or else what it has of the tables that differ."""
    found = [answer for message in _remembered(store, OFFICE_NO) for answer in _branch_answers(store, message)]
    with store.read() as connection:
        if not found:
            found = list(_tables(connection))
        notes = [
            msgspec.msgpack.decode(row[0], type=Note)
            for row in connection.all(
                "SELECT note FROM sync_mended m WHERE NOT EXISTS (SELECT 1 FROM conflict c WHERE c.id = m.id) LIMIT 1000"
            )
        ]
    return [*found, Mended(notes)] if notes else found


def hear_office(store: Store, message: Narrow | Wanted | Rows, outcome: Outcome) -> None:
    """A branch takes rows as head office has them, and keeps questions until it speaks."""
    if isinstance(message, Rows):
        outcome.mended += _take_from_office(store, message)
    else:
        _remember(store, OFFICE_NO, message)


def _tables(connection: Connection) -> Iterator[Message]:
    """What a branch has of the tables that differed."""
    differing = set(str(get_meta(connection, DIFFERS) or "").split(","))
    chosen = [entity for entity in entities() if entity.key in differing][:MOST_TABLES]
    state = digests.state(connection) if chosen else None
    for entity in chosen:
        assert state is not None
        if connection.value(f'SELECT count(*) FROM (SELECT 1 FROM "{entity.key}" LIMIT {FEW_ROWS + 1})') <= FEW_ROWS:
            yield _row_hashes(connection, entity, Range())
        else:
            buckets = [(first, one.digest) for first, one in state.buckets(connection, entity).items() if one.digest]
            yield BucketHashes(entity.no, digests.columns(entity), _cursor(connection), buckets)


def _branch_answers(store: Store, message: Message) -> Iterator[Message]:
    """Answers to one question of head office."""
    entity = entity_by_no(message.table) if isinstance(message, Narrow | Wanted) else None
    if entity is None:
        return
    if isinstance(message, Wanted):
        _drop_strays(store, entity, message.ids[:PER_EXCHANGE])
    with store.read() as connection:
        if isinstance(message, Narrow):
            left = MOST_HASHES
            for start, end in message.ranges[:MOST_RANGES]:
                told = _row_hashes(connection, entity, Range(start, end), left)
                left -= len(told.rows)
                yield told
                if left <= 0:
                    return
        elif isinstance(message, Wanted):
            ids = [pk for pk in message.ids[:PER_EXCHANGE] if not _is_unsent(store, connection, entity, pk)]
            if ids:
                yield _rows(connection, entity, ids)


def _row_hashes(connection: Connection, entity: EntityType, part: Range, most: int = MOST_HASHES) -> RowHashes:
    rows = digests.row_hashes(connection, entity, part, most)
    if len(rows) == most:  # there may be more, of which nothing is said
        part = Range(part.start, _next(rows[-1][0]))
    return RowHashes(entity.no, digests.columns(entity), _cursor(connection), part.start, part.end, rows)


def _next(pk: bytes) -> bytes | None:
    number = int.from_bytes(pk) + 1
    return number.to_bytes(16) if number < 1 << 128 else None


def _cursor(connection: Connection) -> int:
    return int(connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = ?", (OFFICE_NO,)) or 0)


def _is_unsent(store: Store, connection: Connection, entity: EntityType, pk: bytes) -> bool:
    """Whether a row has changes that head office has not acknowledged: they go their normal way."""
    acked = {
        int.from_bytes(epoch): upto
        for epoch, upto in connection.all("SELECT epoch, acked_oseq FROM sync_origin WHERE node_no = ?", (store.node.node_no,))
    }
    here = _changes_here(connection, entity, pk)
    return any(node == store.node.node_no and number > acked.get(epoch, 0) for node, epoch, number in here)


def _take_from_office(store: Store, message: Rows) -> int:
    """Make rows what head office says they are; returns how many were different."""
    entity, batch, given = _read(message)
    if entity is None:
        return 0
    known = _identities(batch)
    notes: list[_Mended] = []
    with store.merging() as connection:
        for pk, values in given.items():
            before = _values(connection, entity, pk)
            if before == values or not _changes_here(connection, entity, pk) <= known[pk]:
                continue
            if values is None and entity.kind is not Kind.LINE:  # nothing else is ever removed
                continue
            _complete_log(connection, entity, pk, batch)
            _write(connection, entity, pk, values)
            notes.append((pk, before, values))
        if notes and signing.concerns({entity.no}):
            signing.take_over(store, connection)
        _note(store, connection, entity, notes)
    _announce(store, entity, notes)
    return len(notes)


def _drop_strays(store: Store, entity: EntityType, pks: list[bytes]) -> None:
    """Remove rows that no log knows, where it is proven that they were not there before."""
    for pk in pks:
        with store.read() as connection:
            row = _values(connection, entity, pk)
            is_stray = row is not None and not _changes_here(connection, entity, pk) and digests.is_in_doubt(connection, entity, pk)
        if is_stray:
            with store.merging() as connection, _tried(connection) as undo:
                _write(connection, entity, pk, None)
                if digests.is_proven(connection, entity, [pk]):
                    _note(store, connection, entity, [(pk, row, None)])
                else:
                    undo()


def _note(store: Store, connection: Connection, entity: EntityType, mended: list[_Mended]) -> None:
    """Write down at a branch what was mended: in its system log, and for head office, which tells everybody."""
    for pk, before, after in mended:
        for no, lost in _differences(entity, before, after):
            note = Note(bytes.fromhex(new_id()), entity.no, pk, no, lost)
            connection.execute("INSERT INTO sync_mended(id, note) VALUES (?, ?)", (note.id, msgspec.msgpack.encode(note)))
        _log(store, connection, entity, pk, before, after)
    connection.execute("DELETE FROM sync_mended WHERE id IN (SELECT id FROM conflict)")


# head office ---------------------------------------------------------------------------------------------------------------


def hear_branch(store: Store, peer: Peer, message: BucketHashes | RowHashes | Rows | Mended) -> Iterator[Message]:
    """Head office takes what it lacks, and says where its data differ; what came in a file is answered by the next file."""
    peer.budget.questions -= 1
    if peer.budget.questions < 0:
        return
    if isinstance(message, Rows):
        peer.outcome.mended += _take_from_branch(store, peer, message)
    elif isinstance(message, Mended):
        _note_mended(store, peer, message)
    elif peer.by_file:
        _remember(store, peer.node_no, message)
    else:
        yield from _office_answers(store, peer, message)


def answers(store: Store, peer: Peer) -> Iterator[Message]:
    """Answers to what a branch said in its last file."""
    for message in _remembered(store, peer.node_no):
        yield from _office_answers(store, peer, message)


def _office_answers(store: Store, peer: Peer, message: Message) -> Iterator[Message]:
    if not isinstance(message, BucketHashes | RowHashes):
        return
    entity = digests.table_of(message.table, message.columns)
    if entity is None:  # another version of the program: its digests are over other columns
        return
    state = digests.current(store)
    with store.read() as connection:
        holds = scope_of(store, connection, peer.node_no, peer.code)
        inside = condition(entity, holds, "r")
    if isinstance(message, BucketHashes):
        with store.read() as connection:
            if holds.leaves_out(entity):
                mine = digests.bucket_hashes(connection, entity, inside)
            else:
                mine = {first: one.digest for first, one in state.buckets(connection, entity).items() if one.digest}
        found = _differing(mine, dict(message.buckets))
        if found:
            yield Narrow(entity.no, found[:MOST_RANGES])
        return
    wrong, wanted, by_log = _sort_out(store, peer, entity, message, inside)
    if by_log:
        _mend_by_log(store, entity, by_log)
    with store.read() as connection:
        if wrong:
            yield _rows(connection, entity, wrong)
    if wanted:
        yield Wanted(entity.no, wanted)


def _differing(mine: Mapping[bytes, bytes], theirs: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes | None]]:
    """Ranges of ids in which two tables differ, adjacent ones as one."""
    firsts = sorted({*mine, *theirs})
    found: list[tuple[bytes, bytes | None]] = []
    for first, end in zip(firsts, [*firsts[1:], None], strict=True):
        if mine.get(first) != theirs.get(first):
            if found and found[-1][1] == first:
                found[-1] = (found[-1][0], end)
            else:
                found.append((first, end))
    return found


def _sort_out(
    store: Store, peer: Peer, entity: EntityType, message: RowHashes, inside: str
) -> tuple[list[bytes], list[bytes], dict[bytes, Values]]:
    """Rows to be sent, rows to be asked for, and rows here that are not what the log says, with what it says."""
    wrong: list[bytes] = []
    wanted: list[bytes] = []
    by_log: dict[bytes, Values] = {}
    part, theirs = Range(message.start, message.end), dict(message.rows)
    with store.read() as connection:
        most = min(MOST_HASHES, peer.budget.hashes)
        mine = dict(digests.row_hashes(connection, entity, part, most, inside))
        peer.budget.hashes -= len(mine)
        if len(mine) == most:
            part = Range(part.start, _next(max(mine)) if mine else part.start)
        for pk in sorted({*mine, *theirs}):
            if mine.get(pk) == theirs.get(pk) or not part.holds(pk):
                continue
            logged = list(changelog.changes_of(connection, entity, [pk]))
            newest, op = (logged[-1].lseq, logged[-1].op) if logged else (0, None)
            if newest > message.hseq or _is_kept_out(connection, entity, pk):
                continue  # the branch has not heard of it yet, or said something that was not taken over: no defect
            if peer.budget.rows <= 0:
                break
            peer.budget.rows -= 1
            if digests.is_in_doubt(connection, entity, pk) or (pk not in mine and op != GONE):
                wanted.append(pk)
                continue
            row, says = _values(connection, entity, pk), _said_by_log(connection, entity, pk)
            if row is not None and any(row.get(no) != value for no, value in says.items()):
                by_log[pk] = says
            wrong.append(pk)
    return wrong, wanted, by_log


def _is_kept_out(connection: Connection, entity: EntityType, pk: bytes) -> bool:
    return connection.one("SELECT 1 FROM sync_quarantine WHERE tbl = ? AND pk = ?", (entity.no, pk)) is not None


def _said_by_log(connection: Connection, entity: EntityType, pk: bytes) -> Values:
    """The columns of a row that were ever changed, as the log leaves them."""
    says: Values = {}
    names = _origins(connection)
    updates = [change for change in changelog.changes_of(connection, entity, [pk]) if change.op == UPDATE]
    for change in sorted(updates, key=lambda change: (change.tx.eff_hlc, *names[change.tx.origin], change.oseq)):
        diff = changelog.parse_diff(entity, change.diff or "{}")
        says.update({no: new for no, (_old, new) in diff.items() if no == DELETED_NO or no in entity.by_no})
    return says


def follow_log(connection: Connection, entity: EntityType, pks: Iterable[bytes]) -> None:
    """Let rows be what the log says of them, after it has come to say something else."""
    for pk in pks:
        before = _values(connection, entity, pk)
        if before is not None and before != (after := {**before, **_said_by_log(connection, entity, pk)}):
            _write(connection, entity, pk, after)


def _origins(connection: Connection) -> dict[int, tuple[int, int]]:
    """Node and epoch of each origin."""
    rows = connection.all("SELECT origin, node_no, epoch FROM sync_origin")
    return {origin: (node_no, int.from_bytes(epoch)) for origin, node_no, epoch in rows}


def _mend_by_log(store: Store, entity: EntityType, said: Mapping[bytes, Values]) -> None:
    """Write back what head office's own log says of its rows."""
    with store.merging() as connection:
        mended: list[_Mended] = []
        for pk, says in said.items():
            before = _values(connection, entity, pk)
            if before is not None:
                after = {**before, **says}
                _write(connection, entity, pk, after)
                mended.append((pk, before, after))
        _tell(store, connection, entity, mended, lost_node=store.node.code, kept_node=store.node.code)
    _announce(store, entity, mended)


def _take_from_branch(store: Store, peer: Peer, message: Rows) -> int:
    """Take rows that head office asked for, as far as that is proven or allowed; returns how many. The rest is an alarm."""
    entity, batch, given = _read(message)
    if entity is None:
        return 0
    known = _identities(batch)
    digests.current(store)
    mended: list[_Mended] = []
    with store.merging() as connection:
        left = [pk for pk, values in given.items() if _values(connection, entity, pk) != values]
        for part in list(digests.ranges(connection, entity, left)):
            pks = [pk for pk in left if part.holds(pk) and _changes_here(connection, entity, pk) <= known[pk]]
            if pks and digests.is_in_doubt(connection, entity, pks[0]):
                proven = _prove(connection, entity, {pk: given[pk] for pk in pks})
                mended += proven
                left = [pk for pk in left if not (proven and part.holds(pk))]  # what else differs there is the branch's fault
        for pk in list(left):
            values = given[pk]
            taken = None if values is None else _allowed(store, connection, peer, entity, pk, values, batch)
            if taken is not None:
                _complete_log(connection, entity, pk, batch)
                _write(connection, entity, pk, taken)
                mended.append((pk, None, taken))
                left.remove(pk)
        if mended and signing.concerns({entity.no}):
            signing.take_over(store, connection)
        _tell(store, connection, entity, mended, lost_node=store.node.code, kept_node=peer.code)
        _alarm(store, connection, peer, entity, left)
    _announce(store, entity, mended)
    return len(mended)


def _prove(connection: Connection, entity: EntityType, given: Mapping[bytes, Values | None]) -> list[_Mended]:
    """Write rows, and leave them written if their run is then what it was before somebody changed it past the log.

    All of them or, since others may be wrong at the branch, one of them.
    """
    for pks in (list(given), *([pk] for pk in given if len(given) > 1)):
        mended = []
        with _tried(connection) as undo:
            for pk in pks:
                mended.append((pk, _values(connection, entity, pk), given[pk]))
                _write(connection, entity, pk, given[pk])
            if digests.is_proven(connection, entity, pks):
                return mended
            undo()
    return []


def _allowed(
    store: Store, connection: Connection, peer: Peer, entity: EntityType, pk: bytes, values: Values, batch: Batch
) -> Values | None:
    """A lost row as it may be taken from a branch: its own, as far as the log here does not say otherwise; None where it may not."""
    if _values(connection, entity, pk) is not None:
        return None
    known, here = _identities(batch)[pk], _changes_here(connection, entity, pk)
    logged = list(changelog.changes_of(connection, entity, [pk]))
    if logged:
        maker = _origins(connection)[logged[0].tx.origin][0]
        is_own = logged[0].op == INSERT and logged[-1].op != GONE and maker == peer.node_no and here == known
        return {**values, **_said_by_log(connection, entity, pk)} if is_own else None
    have = {
        (node, int.from_bytes(epoch)): upto for node, epoch, upto in connection.all("SELECT node_no, epoch, have_oseq FROM sync_origin")
    }
    if not known or any(node != peer.node_no or number > have.get((node, epoch), 0) for node, epoch, number in known):
        return None
    if any(_is_taken(connection, identity) for identity in known):
        return None
    sender = Sender(peer.node_no, peer.code, bytes.fromhex(branch_id(store.node.company_id, peer.code)))
    return None if Faults(Known(connection, sender)).of_whole_row(entity, pk, values) else values


def _is_taken(connection: Connection, identity: Identity) -> bool:
    """Whether the log has something under a number."""
    slot = _slot(connection, identity)
    if slot is None or slot[1] <= past.horizon(connection):
        return slot is not None
    return connection.one("SELECT 1 FROM sync_log WHERE lseq = ?", (slot[1],)) is not None


def _note_mended(store: Store, peer: Peer, message: Mended) -> None:
    """Make records of what a branch mended, once each."""
    with store.merging() as connection:
        fresh = [note for note in message.notes[:MOST_NOTES] if connection.one("SELECT 1 FROM conflict WHERE id = ?", (note.id,)) is None]
        told = []
        for note in fresh:
            entity = entity_by_no(note.table)
            column = None if entity is None or note.field is None else entity.by_no.get(note.field)
            if entity is None or (column is None and note.field not in {None, DELETED_NO}):
                continue
            row = _values(connection, entity, note.record) or {}
            kept = None if note.field is None else _text(entity, note.field, row.get(note.field))
            lost = None if column is not None and column.secret else note.lost
            told.append((note.id.hex(), _about(entity, note.record, note.field, kept, lost, store.node.code, peer.code)))
            detail = f"{peer.code} {_place(entity, note.record, [note.field])}"
            eventlog.append(connection, at=store.clock.now_ms(), kind=_kind(entity, row), detail=detail, sign=store.sign_log)
        _insert(store, connection, told)


def _tell(store: Store, connection: Connection, entity: EntityType, mended: list[_Mended], *, lost_node: str, kept_node: str) -> None:
    """Write down at head office what was mended there: records for everybody, and its system log."""
    told = []
    for pk, before, after in mended:
        for no, lost in _differences(entity, before, after):
            kept = None if no is None or after is None else _text(entity, no, after[no])
            told.append((new_id(), _about(entity, pk, no, kept, lost, kept_node, lost_node)))
        _log(store, connection, entity, pk, before, after)
    _insert(store, connection, told)


def _alarm(store: Store, connection: Connection, peer: Peer, entity: EntityType, pks: list[bytes]) -> None:
    """Say once of each row, as it stands, that it cannot be mended."""
    told = []
    for pk in pks:
        row = msgspec.msgpack.encode([entity.no, pk, peer.node_no, _values(connection, entity, pk)])
        identity = blake2b(row, digest_size=16).digest()
        if connection.one("SELECT 1 FROM conflict WHERE id = ?", (identity,)) is None:
            told.append((identity.hex(), _about(entity, pk, None, None, None, None, peer.code)))
            detail = f"{peer.code} {entity.key} {pk.hex()}"
            eventlog.append(connection, at=store.clock.now_ms(), kind="not_mended", detail=detail, sign=store.sign_log)
    _insert(store, connection, told)


def _about(
    entity: EntityType, pk: bytes, no: int | None, kept: str | None, lost: str | None, kept_node: str | None, lost_node: str
) -> dict[str, Any]:
    """A record of what was mended; ``kept_node`` None for what was not."""
    key = None if no is None else "deleted" if no == DELETED_NO else entity.by_no[no].key
    return _CONFLICT.validate(
        {
            "kind": ConflictKind.DIGEST,
            "entity": entity.key,
            "record": pk.hex(),
            "field": key,
            "kept": kept,
            "lost": lost,
            "kept_node": kept_node,
            "lost_node": lost_node,
        }
    )


def _insert(store: Store, connection: Connection, told: list[tuple[str, dict[str, Any]]]) -> None:
    if told:
        with own_section(store, connection, actor=None) as uow:
            for identity, values in told:
                uow.insert(_CONFLICT, values, identity=identity)


# rows ----------------------------------------------------------------------------------------------------------------------


def _rows(connection: Connection, entity: EntityType, pks: list[bytes]) -> Rows:
    """Rows as they are here."""
    rows = []
    for pk in pks:
        values = _values(connection, entity, pk)
        if values is None:
            rows.append(WholeRow(pk, None))
        else:
            plain = [(no, value) for no, value in values.items() if not isinstance(value, bytes)]
            rows.append(WholeRow(pk, plain, [(no, value) for no, value in values.items() if isinstance(value, bytes)]))
    return Rows(entity.no, digests.columns(entity), rows, codec.encode_batch(everything_of(connection, entity, pks)))


def _read(message: Rows) -> tuple[EntityType | None, Batch, dict[bytes, Values | None]]:
    """Table, changes and rows of a message; no table where it is of another version. Raises ExchangeError for what is no row of the table."""
    batch = codec.decode_batch(message.batch)
    entity = digests.table_of(message.table, message.columns)
    given: dict[bytes, Values | None] = {}
    if entity is None:
        return None, batch, given
    rules = rules_of(entity)
    for row in message.rows:
        values: Values | None = None if row.plain is None else {**dict(row.plain), **dict(row.binary)}
        if values is not None and (
            values.keys() != rules.types.keys() or any(type(value) not in rules.types[no] for no, value in values.items())
        ):
            _refuse()
        if values is None or all(rules.fits(no, [value]) for no, value in values.items()):  # else it may be of a newer program
            given[row.id] = values
    return entity, batch, given


def _refuse() -> NoReturn:
    raise ExchangeError("bad_message", N_("The exchange contains a message that cannot be understood. Nothing of it was applied."))


def _values(connection: Connection, entity: EntityType, pk: bytes) -> Values | None:
    """A row by wire numbers, the register as 0; None where there is none. A text that is damaged does not keep it from being mended."""
    fields = list(entity.fields.values())
    names = "".join(f', CAST("{field.key}" AS BLOB)' if field.sql_type == "TEXT" else f', "{field.key}"' for field in fields)
    row = connection.one(f'SELECT deleted{names} FROM "{entity.key}" WHERE id = ?', (pk,))
    if row is None:
        return None
    values = [
        value.decode(errors="replace") if field.sql_type == "TEXT" and value is not None else value
        for field, value in zip(fields, row[1:], strict=True)
    ]
    return {DELETED_NO: row[0], **dict(zip((field.no for field in fields), values, strict=True))}


def _write(connection: Connection, entity: EntityType, pk: bytes, values: Values | None) -> None:
    """Make a row what it should be, past the log but with all that is derived from it."""
    digests.mark(connection, entity, pk)
    rid = connection.value(f'SELECT rid FROM "{entity.key}" WHERE id = ?', (pk,))
    if values is None:
        connection.execute(f'DELETE FROM "{entity.key}" WHERE id = ?', (pk,))
    else:
        named = {"deleted" if no == DELETED_NO else entity.by_no[no].key: value for no, value in values.items()}
        if rid is None:
            rid = search.lost_row(connection, entity)
            columns, marks = ", ".join(f'"{key}"' for key in named), ", ?" * len(named)
            done = connection.execute(f'INSERT INTO "{entity.key}"(rid, id, {columns}) VALUES (?, ?{marks})', (rid, pk, *named.values()))
            rid = done.lastrowid
        else:
            assigned = ", ".join(f'"{key}" = ?' for key in named)
            connection.execute(f'UPDATE "{entity.key}" SET {assigned}, version = version + 1 WHERE rid = ?', (*named.values(), rid))
    if rid is not None:
        search.index_rows(connection, entity, [rid])


def _announce(store: Store, entity: EntityType, mended: list[_Mended]) -> None:
    """Open screens look again."""
    if mended:
        store.announce_rows({entity.key: frozenset(pk.hex() for pk, _before, _after in mended)})


@contextmanager
def _tried(connection: Connection) -> Iterator[Callable[[], None]]:
    """A part of a transaction that may be taken back by itself: call what the block gets."""
    connection.execute("SAVEPOINT repair")
    try:
        yield lambda: connection.execute("ROLLBACK TO repair")
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE repair")


# changes -------------------------------------------------------------------------------------------------------------------


def _identities(batch: Batch) -> defaultdict[bytes, set[Identity]]:
    """By row the changes that a batch holds."""
    found: defaultdict[bytes, set[Identity]] = defaultdict(set)
    for identity, _tx, change in _each(batch):
        found[change.pk].add(identity)
    return found


def _each(batch: Batch) -> Iterator[tuple[Identity, codec.Tx, codec.Change]]:
    place = 0
    for tx in batch.txs:
        node_no, epoch = batch.origins[tx.origin]
        for number in range(tx.first_oseq, tx.first_oseq + tx.count):
            yield (node_no, epoch, number), tx, batch.changes[place]
            place += 1


def _changes_here(connection: Connection, entity: EntityType, pk: bytes) -> set[Identity]:
    """The changes of a row that are in the log here."""
    names = _origins(connection)
    return {(*names[change.tx.origin], change.oseq) for change in changelog.changes_of(connection, entity, [pk])}


def _slot(connection: Connection, identity: Identity) -> tuple[int, int] | None:
    """Transaction and log number that belong to a change; None where its transaction never came or is lost."""
    node_no, epoch, number = identity
    origin = connection.value("SELECT origin FROM sync_origin WHERE node_no = ? AND epoch = ?", (node_no, epoch.to_bytes(8)))
    tx = None if origin is None else changelog.transaction_of(connection, origin, number)
    return None if tx is None else (tx.tx, tx.first_lseq + number - tx.first_oseq)


def _complete_log(connection: Connection, entity: EntityType, pk: bytes, batch: Batch) -> None:
    """Put changes of a row back into the log that are missing there: in their place, or at the end where that is lost too."""
    for identity, tx, change in _each(batch):
        if change.pk != pk or change.table != entity.no or _is_taken(connection, identity):
            continue
        slot = _slot(connection, identity)
        if slot is None:
            node_no, epoch, number = identity
            origin = origin_of(connection, node_no, epoch.to_bytes(8), Known(connection, None).code(node_no))
            slot = (int(connection.value("SELECT coalesce(max(tx), 0) FROM sync_tx")) + 1, changelog.head(connection) + 1)
            connection.execute(
                "INSERT INTO sync_tx(tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor) VALUES (?, ?, ?, 1, ?, ?, ?, ?)",
                (slot[0], origin, number, slot[1], tx.hlc, tx.eff_hlc, tx.actor),
            )
            connection.execute("UPDATE sync_origin SET have_oseq = max(have_oseq, ?) WHERE origin = ?", (number, origin))
        previous = _slot(connection, (*batch.origins[change.prev[0]], change.prev[1])) if change.prev else None
        diff = None
        if change.op == UPDATE:
            diff = changelog.write_diff({no: (old, new) for no, old, new in change.values})
        elif change.op == GONE:
            diff = changelog.write_row(dict(change.values))
        connection.execute(
            "INSERT INTO sync_log(lseq, tx, tbl, op, pk, diff, prev) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (slot[1], slot[0], change.table, change.op, pk, diff, previous[1] if previous and previous[1] < slot[1] else None),
        )


# in words -----------------------------------------------------------------------------------------------------------------


def _differences(entity: EntityType, before: Values | None, after: Values | None) -> list[tuple[int | None, str | None]]:
    """The columns in which two states of a row differ, each with the text of what was there; None for a row that was or is not there."""
    if before is None or after is None:
        return [(None, None)]
    return [(no, _text(entity, no, before[no])) for no in after if before[no] != after[no]]


def _text(entity: EntityType, no: int, value: Stored) -> str | None:
    """A value as conflicts keep it, also one that somebody has made nonsense of."""
    if no == DELETED_NO:
        return json.dumps(bool(value))
    column = entity.by_no[no]
    try:
        return as_text(column, value)
    except (ValueError, OverflowError, OSError, TypeError, AttributeError, ArithmeticError):
        return None if column.secret else str(value)[:1000]


def _log(store: Store, connection: Connection, entity: EntityType, pk: bytes, before: Values | None, after: Values | None) -> None:
    """Note in the system log of this node which row was mended, and in what."""
    detail = _place(entity, pk, [no for no, _text in _differences(entity, before, after)])
    kind = _kind(entity, after or before or {})
    eventlog.append(connection, at=store.clock.now_ms(), kind=kind, detail=detail, sign=store.sign_log)


def _kind(entity: EntityType, row: Values) -> str:
    """What is posted or booked is said apart."""
    is_draft = entity.kind is Kind.DOCUMENT and row.get(entity.fields["status"].no) == "draft"
    return _SAID[entity.kind in _BOOKS and not is_draft]


def _place(entity: EntityType, pk: bytes, numbers: Iterable[int | None]) -> str:
    keys = ["deleted" if no == DELETED_NO else entity.by_no[no].key for no in numbers if no is not None]
    return " ".join([entity.key, pk.hex(), *([",".join(keys)] if keys else [])])
