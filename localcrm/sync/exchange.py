"""The exchange itself, once for both transports: what each side says, and what it does with what it hears.

Up first, then down, then digests. Everything is idempotent by (origin, number) and by head office's cursor, and every
message is merged in whole transactions, so an exchange may end anywhere and simply goes on next time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NoReturn

import msgspec

import localcrm
from localcrm.domain.crm import merging
from localcrm.domain.people import signing
from localcrm.kernel.errors import ExchangeError, StoreError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entity_by_no
from localcrm.store import changelog, digests, eventlog, past, search_follows, witness
from localcrm.store.migrate import SCHEMA_VERSION, get_meta, set_meta
from localcrm.store.node import CATCHING_UP, OFFICE_NO, origin_of, stamp_of
from localcrm.store.signatures import sign_keys
from localcrm.store.witness import Witness
from localcrm.sync import attachments, brake, codec, drain, grants, pins, recovery, repair, rotation, scope, snapshot, stamps
from localcrm.sync.extract import PORTION, changes_for, of_numbers, own_changes
from localcrm.sync.merge import Report, admit, apply, move_in
from localcrm.sync.messages import (
    Ack,
    BucketHashes,
    Changes,
    Digests,
    Evict,
    Fetch,
    Fetched,
    GiveBack,
    Hello,
    Lacking,
    Mended,
    Message,
    MoveIn,
    Narrow,
    Piece,
    Pull,
    Push,
    RowHashes,
    Rows,
    Wanted,
    Welcome,
)

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store
    from localcrm.sync.identity import NodePublic

#: Meta key of head office, by branch: the epochs that its present one names as its own.
_EPOCHS = "epochs_known.{}"
#: Meta key of a branch: how many customers left it with the last exchange after which some did, and when (milliseconds).
LEFT = "customers_left"


@dataclass(slots=True)
class Outcome:
    """What one exchange did here; the names are those of the command line."""

    sent: int = 0
    received: int = 0
    applied: int = 0
    duplicate: int = 0
    conflicts: int = 0
    quarantined: int = 0
    files: int = 0
    """Pieces of attached files that arrived."""
    mended: int = 0
    """Rows that were not what they should be, and are now."""
    left: int = 0
    """Customers that this branch does not hold any more; they are at head office."""
    digest: str = "unknown"
    """"equal", "differs", or "unknown" while something is still on the way."""

    def add(self, report: Report) -> None:
        """Count what a merge did."""
        for part in fields(report):
            setattr(self, part.name, getattr(self, part.name) + getattr(report, part.name))

    def join(self, other: Outcome) -> None:
        """Count what another exchange did; of two comparisons the later one says how things stand."""
        for part in fields(self):
            if part.name != "digest":
                setattr(self, part.name, getattr(self, part.name) + getattr(other, part.name))
        self.digest = other.digest

    def as_dict(self) -> dict[str, int | str]:
        """For JSON."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


# the branch ---------------------------------------------------------------------------------------------------------


def hello(store: Store, *, by_log: bool = False) -> Hello:
    """How far this branch has come; ``by_log``: it takes no snapshot, only changes one by one."""
    node = store.node
    with store.read() as connection:
        heads = connection.all("SELECT epoch, have_oseq FROM sync_origin WHERE node_no = ?", (node.node_no,))
        cursor = connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = ?", (OFFICE_NO,)) or 0
        told = int(get_meta(connection, scope.TOLD) or 0)
        hub_epoch = connection.value("SELECT hub_epoch FROM sync_peer WHERE node_no = ?", (OFFICE_NO,))
        lives, lost = recovery.lives_known(connection), recovery.lost(connection, node.node_no)
        began = recovery.began_known(connection)
        certified = rotation.certified_at(connection)
        log = eventlog.signed_head(connection) or eventlog.Signed(0, b"", b"")
    return Hello(
        node_no=node.node_no,
        epoch=int.from_bytes(node.epoch),
        heads=[(int.from_bytes(epoch), head) for epoch, head in heads],
        recv_hseq=cursor,
        wall_ms=max(0, store.clock.now_ms()),
        schema_ver=SCHEMA_VERSION,
        program=localcrm.__version__,
        log_head=log.hash,
        caps=[] if by_log else [snapshot.CAPABILITY],
        log_count=log.number,
        log_signature=log.signature,
        hub_epoch=int.from_bytes(hub_epoch or b""),
        hub_lives=lives,
        certified=certified,
        scope_told=told,
        lost=lost,
        hub_began=began,
    )


def pushes(store: Store) -> Iterator[Push]:
    """Every portion of own changes that head office has not acknowledged yet, oldest first."""
    with store.read() as connection:
        origins = connection.all(
            "SELECT origin, acked_oseq FROM sync_origin WHERE node_no = ? AND have_oseq > acked_oseq ORDER BY epoch_index",
            (store.node.node_no,),
        )
    for origin, acked in origins:
        position, more = acked, True
        while more:
            with store.read() as connection:
                portion = own_changes(connection, origin, position)
            if portion.upto == position:
                break
            yield Push(codec.encode_batch(portion.batch))
            position, more = portion.upto, portion.more


def count_changes(push: Push | GiveBack) -> int:
    """How many changes a portion carries."""
    return len(codec.decode_batch(push.batch).changes)


def hear_office(store: Store, messages: Iterable[Message], outcome: Outcome) -> Welcome | None:
    """A branch takes in what head office says; returns its Welcome."""
    welcome, said, is_for_us = None, Ack([]), True
    drain.carry_out(store)
    for message in snapshot.take_in(store, messages, outcome):
        if isinstance(message, Welcome):
            welcome = message
            _meet_office(store, welcome)
            stamps.hear(store, welcome.stamps, is_open=bool(welcome.have))
            pins.keep(store, welcome.tls_pin, welcome.tls_since, is_news=welcome.head_hseq > _received(store))
            repair.forget(store, OFFICE_NO)
            _take_witness(store, welcome)
        elif isinstance(message, Ack):
            _take_ack(store, said := message)
            is_for_us = _is_for_us(store, message)
        elif not is_for_us and isinstance(message, Changes | MoveIn | Evict):
            raise ExchangeError(
                "before_restore",
                N_(
                    "Head office made this file for this branch as it was before it was restored from a backup; what the branch itself did after the backup is not in it. Make a file for head office first; its answer brings everything back."
                ),
            )
        elif isinstance(message, Changes):
            batch = codec.decode_batch(message.batch)
            outcome.received += len(batch.changes)
            before = _open_conflicts(store)
            outcome.add(apply(store, batch, from_hseq=message.from_hseq, to_hseq=message.to_hseq, scope_at=message.scope_at))
            drain.carry_out(store)
            outcome.conflicts += max(0, _open_conflicts(store) - before)
        elif isinstance(message, MoveIn):
            outcome.received += len((batch := codec.decode_batch(message.batch)).changes)
            outcome.add(move_in(store, batch, at=message.at))
        elif isinstance(message, Evict):
            if (kind := entity_by_no(message.table)) is not None:
                gone = scope.take_out(store, kind, message.ids, at=message.at)
                outcome.left += gone if kind is merging.CUSTOMER else 0
        elif isinstance(message, Digests):
            outcome.digest = _compare(store, message, said)
            if store.meta(CATCHING_UP):  # digests come behind everything else
                with store.housekeeping() as connection:
                    set_meta(connection, CATCHING_UP, 0)
        elif isinstance(message, Narrow | Wanted | Rows):
            repair.hear_office(store, message, outcome)
        elif isinstance(message, Piece):
            outcome.files += attachments.take(store, message)
        elif isinstance(message, Lacking):
            attachments.hear_lacking(store, OFFICE_NO, message)
    if welcome is not None:
        with store.housekeeping() as connection:
            connection.execute("UPDATE sync_peer SET last_ok = ? WHERE node_no = ?", (store.clock.now_ms(), OFFICE_NO))
            if outcome.left:
                set_meta(connection, LEFT, f"{outcome.left} {store.clock.now_ms()}")
        signing.examine(store)
        merging.follow_drafts(store)
    _index(store)
    return welcome


def _index(store: Store) -> None:
    """What was merged counts whether or not it can be indexed now: a job tries that again every minute, and says why not."""
    with suppress(StoreError):
        search_follows.follow(store)


def _received(store: Store) -> int:
    with store.read() as connection:
        return int(connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = ?", (OFFICE_NO,)) or 0)


def _meet_office(store: Store, welcome: Welcome) -> None:
    if welcome.company_id != store.node.company_id:
        raise ExchangeError("wrong_company", N_("This file belongs to another company. Nothing was changed."))
    with store.housekeeping() as connection:
        known = connection.value("SELECT hub_epoch FROM sync_peer WHERE node_no = ?", (OFFICE_NO,))
        recovery.agree(store, connection, welcome, known)
        if welcome.certificate:
            rotation.take_certificate(store, connection, welcome.certificate)


def _take_witness(store: Store, welcome: Welcome) -> None:
    """Keep head office's countersignature over our system log, and note what it says is missing in it."""
    fresh = Witness(welcome.log_count, welcome.log_head, welcome.log_at, welcome.log_signature)
    with store.housekeeping() as connection:
        if fresh.signature:
            witness.receive(connection, store.node, fresh)
        if welcome.log_missing:
            now, detail = store.clock.now_ms(), f"{store.node.code} {welcome.log_missing}"
            eventlog.append(connection, at=now, kind="log_shorter", detail=detail, sign=store.sign_log)


def _take_ack(store: Store, ack: Ack) -> None:
    """Note what head office has, and take over the stamps it admitted our changes with."""
    node_no = store.node.node_no
    with store.housekeeping() as connection:
        for epoch, number, stamp in ack.newest:
            origin, head = connection.one(
                "SELECT origin, have_oseq FROM sync_origin WHERE node_no = ? AND epoch = ?", (node_no, epoch.to_bytes(8))
            ) or (0, 0)
            if 0 < number <= head and stamp_of(connection, origin, number) not in {stamp, None}:
                _refuse_copy()
        for epoch, have in ack.have:
            head = connection.value("SELECT have_oseq FROM sync_origin WHERE node_no = ? AND epoch = ?", (node_no, epoch.to_bytes(8)))
            if head is not None and have > head and epoch.to_bytes(8) == store.node.epoch:
                _refuse_copy()
            connection.execute(
                "UPDATE sync_origin SET acked_oseq = max(acked_oseq, min(have_oseq, ?)) WHERE node_no = ? AND epoch = ?",
                (have, node_no, epoch.to_bytes(8)),
            )
        for epoch, first_oseq, stamp in ack.restamps:
            connection.execute(
                """UPDATE sync_tx SET eff_hlc = ?1 WHERE first_oseq = ?2 AND (eff_hlc = hlc OR eff_hlc > ?1)
                   AND origin = (SELECT origin FROM sync_origin WHERE node_no = ?3 AND epoch = ?4)""",
                (stamp, first_oseq, node_no, epoch.to_bytes(8)),
            )
        if ack.restamps:
            newest = "SELECT max(eff_hlc) FROM sync_tx"
            connection.execute(f"UPDATE sync_ctx SET last_hlc = max(({newest}), ?)", (past.newest_stamp(connection),))


def _has_all(store: Store, connection: Connection, said: Ack) -> bool:
    """Whether head office had everything of this branch when it said so."""
    had = {epoch.to_bytes(8): number for epoch, number in said.have}
    own = connection.all("SELECT epoch, have_oseq FROM sync_origin WHERE node_no = ?", (store.node.node_no,))
    return all(number <= had.get(epoch, 0) for epoch, number in own)


def _is_for_us(store: Store, ack: Ack) -> bool:
    """Whether head office speaks to this branch as it is now: to another epoch of it, it does not send what that had made itself."""
    return ack.epoch == int.from_bytes(store.node.epoch) or (ack.epoch == 0 and store.node.epoch_index == 0)


def _refuse_copy() -> NoReturn:
    raise ExchangeError(
        "copied_folder",
        N_(
            "Head office has changes of this branch that are not here: this folder is an old or copied one. Nothing was exchanged; restore it with “localcrm restore”."
        ),
    )


def _open_conflicts(store: Store) -> int:
    with store.read() as connection:
        return int(connection.value("SELECT count(*) FROM conflict WHERE state = 'open'"))


def _compare(store: Store, theirs: Digests, said: Ack) -> str:
    """Compare data, not promises; a difference is noted and shown, never papered over.

    ``said``: what head office had of this branch when it looked. A file may be read again long after: more has arrived there since, or the
    branch holds something else.
    """
    with store.read() as connection:
        cursor = connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = ?", (OFFICE_NO,))
        outdated = theirs.scope_at and scope.is_outdated(connection, theirs.scope_at)
        if cursor != theirs.hseq or outdated or not _has_all(store, connection, said):
            return "unknown"
        mine = digests.state(connection)
        known = get_meta(connection, repair.DIFFERS)
    digests.keep(store, mine)
    different = ",".join(sorted(key for key in {*mine.tables, *theirs.tables} if mine.tables.get(key) != theirs.tables.get(key)))
    if different != known:
        with store.housekeeping() as connection:
            set_meta(connection, repair.DIFFERS, different)
            if different:
                eventlog.append(connection, at=store.clock.now_ms(), kind="digest_differs", detail=different, sign=store.sign_log)
    return "differs" if different else "equal"


# head office --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Peer:
    """A branch as head office knows it."""

    node_no: int
    code: str
    recv_hseq: int
    epoch: bytes = b""
    acknowledged: int = 0
    settled: int = -1
    """Where head office's log ended when nothing was due to the branch any more (``grants``)."""
    """How far its last acknowledgement covers head office's log; nothing later may go down after it."""
    log_missing: int = 0
    """Rows that its system log lacks since the exchange before."""
    by_file: bool = False
    """Whether what it says was written some time ago, so that its clock then says little about its clock now."""
    action: str = "ok"
    """What Welcome tells it to do."""
    fetch: Callable[[Fetch], Iterator[Fetched]] | None = None
    """Gives the next pieces of the bundle with a snapshot; None where nobody waits for an answer."""
    keys: NodePublic | None = None
    """With which it has just spoken; None where head office speaks first."""
    certified: int = 0
    """When the certificate it has was issued, as it says; 0 where it has not said so."""
    older_restamps: list[tuple[int, int, int]] | None = None
    """Stamps of its work that were lowered, of what has left the log."""
    scope_told: int = 0
    """Up to which number of the log it says it has been told what entered and left its scope."""
    budget: repair.Budget = field(default_factory=repair.Budget)
    """What is left to do for finding and mending differences."""
    outcome: Outcome = field(default_factory=Outcome)


def hear_branch(store: Store, peer: Peer, messages: Iterable[Message]) -> Iterator[Message]:
    """Head office takes in what a branch says and answers; answers come as the work is done."""
    drain.carry_out(store)
    for message in messages:
        if isinstance(message, Hello):
            place = recovery.meet(store, message, by_file=peer.by_file)
            _meet(store, peer, message if place is None else msgspec.structs.replace(message, recv_hseq=place))
            peer.action = snapshot.action_for(store, peer.node_no, peer.recv_hseq)
            repair.forget(store, peer.node_no)
            yield welcome(store, peer)
            yield ack(store, peer)
            if place is not None:
                return  # what else it says was meant for head office as it was; it speaks again once it knows
        elif isinstance(message, GiveBack):
            peer.outcome.add(recovery.hear(store, message))
            yield welcome(store, peer)
            yield ack(store, peer)
        elif isinstance(message, Push):
            batch = codec.decode_batch(message.batch)
            peer.outcome.received += len(batch.changes)
            brake.hold_back(store, batch, node_no=peer.node_no, code=peer.code)
            peer.outcome.add(admit(store, batch, sender_no=peer.node_no, sender_code=peer.code))
            drain.carry_out(store)
            yield ack(store, peer)
        elif isinstance(message, Fetch) and peer.action == snapshot.ACTION:
            yield from peer.fetch(message) if peer.fetch else ()
        elif isinstance(message, BucketHashes | RowHashes | Rows | Mended):
            yield from repair.hear_branch(store, peer, message)
            yield ack(store, peer)  # what is written down of it may go down at once
        elif isinstance(message, Pull) and peer.action != snapshot.ACTION:
            recovery.note_come(store, peer.node_no)
            yield from downs(store, peer, message.recv_hseq, portions=1)
        elif isinstance(message, Piece):
            peer.outcome.files += attachments.take(store, message)
        elif isinstance(message, Lacking):
            attachments.hear_lacking(store, peer.node_no, message)
            if not peer.by_file:  # else there is nobody to answer
                yield from attachments.pieces(store, peer.node_no, attachments.PER_ROUND)
                yield attachments.lacking(store)
    if peer.by_file:
        recovery.note_come(store, peer.node_no)
    _index(store)


def _meet(store: Store, peer: Peer, message: Hello) -> None:
    if message.node_no != peer.node_no:
        raise ExchangeError("not_sender", N_("The exchange contains changes in another branch's name. Nothing of it was applied."))
    epoch, peer.certified, peer.scope_told = message.epoch.to_bytes(8), message.certified, message.scope_told
    is_other = epoch != peer.epoch
    with store.housekeeping() as connection:
        known = _epochs_known(connection, peer.node_no)
        if is_other and message.epoch in known:
            return  # an old file, written before the branch was restored
        # Of two that do not know of each other (the branch was restored twice from one backup) none is known to be the later one: each is
        # answered when it speaks, and a file made for the one is refused by the other (``_is_for_us``).
        peer.epoch = epoch
        heard = {number for number, _head in message.heads}
        set_meta(connection, _EPOCHS.format(peer.node_no), json.dumps(sorted(heard if is_other else heard | known)))
        for number in heard:
            origin_of(connection, peer.node_no, number.to_bytes(8), peer.code)
        if message.recv_hseq > changelog.head(connection):
            raise ExchangeError(
                "ahead_of_office",
                N_(
                    "This branch has received more than head office has: head office was restored from an older backup. Nothing was exchanged."
                ),
            )
        # A restored branch is back where its backup was and must hear everything since again.
        peer.recv_hseq = message.recv_hseq if is_other else max(peer.recv_hseq, message.recv_hseq)
        connection.execute(
            "UPDATE sync_peer SET recv_hseq = ?, last_ok = ?, epoch = ? WHERE node_no = ?",
            (peer.recv_hseq, store.clock.now_ms(), peer.epoch, peer.node_no),
        )
        _note_facts(store, connection, peer, message)
        recovery.note_lost(store, connection, message)
        snapshot.note_capabilities(connection, message)
        _witness(store, connection, peer, message)


def _note_facts(store: Store, connection: Connection, peer: Peer, message: Hello) -> None:
    """What the branch says of itself. A file from the future tells that its clock is ahead; one from the past tells nothing."""
    off = message.wall_ms - store.clock.now_ms()
    connection.execute(
        "UPDATE sync_peer SET program = ?, schema_ver = ?, by_file = ?, clock_ms = coalesce(?, clock_ms) WHERE node_no = ?",
        (message.program or None, message.schema_ver, int(peer.by_file), off if off > 0 or not peer.by_file else None, peer.node_no),
    )


def _witness(store: Store, connection: Connection, peer: Peer, message: Hello) -> None:
    """Countersign the branch's system log; that it has become shorter is noted here and told to the branch."""
    if store.sign_log is None:
        return
    now = store.clock.now_ms()
    missing = witness.countersign(
        connection,
        store.node,
        eventlog.Signed(message.log_count, message.log_head, message.log_signature) if message.log_signature else None,
        node_no=peer.node_no,
        public_key=peer.keys.sign_key if peer.keys else next(sign_keys(connection, peer.node_no)).key,
        told=message.wall_ms,
        at=max(0, now),
        sign=store.sign_log,
    )
    peer.log_missing = missing or 0
    if missing:
        eventlog.append(connection, at=now, kind="log_shorter", detail=f"{peer.code} {missing}", sign=store.sign_log)


def _epochs_known(connection: Connection, node_no: int) -> set[int]:
    """Epochs of a branch that its present one knows: it comes after them."""
    return set(json.loads(str(get_meta(connection, _EPOCHS.format(node_no)) or "[]")))


def welcome(store: Store, peer: Peer) -> Welcome:
    """Who head office is, and how far it has countersigned the branch's system log."""
    pin, since = pins.served(store)
    with store.read() as connection:
        head = changelog.head(connection)
        point = witness.known(connection, peer.node_no) or Witness(0, b"", 0, b"")
        lives, have, counting = recovery.past_lives(connection), recovery.heads(connection), stamps.that_count(connection)
        certificate = rotation.newer_certificate(connection, peer.node_no, than=peer.certified)
        began = recovery.began(connection)
    return Welcome(
        company_id=store.node.company_id,
        hub_epoch=int.from_bytes(store.node.epoch),
        head_hseq=head,
        wall_ms=max(0, store.clock.now_ms()),
        schema_ver=SCHEMA_VERSION,
        action=peer.action,
        log_count=point.number,
        log_head=point.hash,
        log_at=point.at,
        log_signature=point.signature,
        log_missing=peer.log_missing,
        past_lives=lives,
        have=have if recovery.is_open(store) else [],
        stamps=counting if recovery.is_open(store) else [],
        certificate=certificate,
        tls_pin=pin,
        tls_since=since,
        hub_began=began,
    )


def ack(store: Store, peer: Peer) -> Ack:
    """What head office has of a branch, and every stamp it lowered since the branch's cursor."""
    _give_due(store, peer)
    with store.read() as connection:
        peer.acknowledged = changelog.head(connection)
        origins = connection.all("SELECT origin, epoch, have_oseq FROM sync_origin WHERE node_no = ?", (peer.node_no,))
        restamps = [
            (int.from_bytes(epoch), first, stamp)
            for origin, epoch, _have in origins
            for first, stamp in connection.all(
                "SELECT first_oseq, eff_hlc FROM sync_tx WHERE origin = ? AND eff_hlc <> hlc AND first_lseq > ?", (origin, peer.recv_hseq)
            )
        ]
        if peer.older_restamps is None:  # once: nothing new comes before its cursor
            peer.older_restamps = [
                (int.from_bytes(epoch), tx.first_oseq, tx.eff_hlc)
                for origin, epoch, _have in origins
                for tx in past.transactions_of(connection, origin, after_lseq=peer.recv_hseq)
                if tx.eff_hlc != tx.hlc
            ]
        restamps += peer.older_restamps
        arrived = recovery.arrived(connection, peer.node_no)
        newest = [
            (int.from_bytes(epoch), have, stamp)
            for origin, epoch, have in origins
            if (stamp := stamp_of(connection, origin, have)) is not None
        ]
    return Ack(have=arrived, restamps=restamps, newest=newest, epoch=int.from_bytes(peer.epoch))


def _give_due(store: Store, peer: Peer) -> None:
    """What the branch must hold beyond its own is written down before it is told anything, so that it hears of it now."""
    while True:
        with store.read() as connection:
            holds = scope.scope_of(store, connection, peer.node_no, peer.code)
            due = grants.due(store, connection, holds, peer.scope_told, peer.recv_hseq)
            peer.settled = changelog.head(connection)
        if not due:
            return
        grants.write(store, holds, due)


def downs(store: Store, peer: Peer, cursor: int, *, portions: int | None = None) -> Iterator[Message]:
    """Portions of the log after a cursor, as far as the last acknowledgement, and digests when that is its end."""
    sent, told = 0, peer.scope_told
    while True:
        with store.read() as connection:
            holds = scope.scope_of(store, connection, peer.node_no, peer.code)
            is_settled = peer.settled == changelog.head(connection)
            due = grants.NOTHING if is_settled else grants.due(store, connection, holds, told, cursor)
            moved = scope.moves(connection, holds, told, cursor)
            portion = changes_for(connection, holds, peer.epoch, cursor, upto=peer.acknowledged)
            state = digests.state(connection) if portion.upto >= changelog.head(connection) else None
            tables = scope.digests_of(connection, holds, state.tables) if state is not None else {}
        if due:  # by what happened since the acknowledgement
            grants.write(store, holds, due)
            continue
        yield from _moves(store, peer, moved)
        told = moved.at
        if portion.upto > cursor:
            peer.outcome.sent += len(portion.batch.changes)
            yield Changes(cursor, portion.upto, codec.encode_batch(portion.batch), told)
            cursor, sent = portion.upto, sent + 1
        if state is not None:
            digests.keep(store, state)
            yield Digests(cursor, tables, told)
            return
        if not portion.more or (portions is not None and sent >= portions):
            return


def _moves(store: Store, peer: Peer, moved: scope.Moves) -> Iterator[Message]:
    """What left and what entered a branch's scope; said before the changes that build on it."""
    for entity, ids in moved.out.items():
        for start in range(0, len(ids), _EVICTED):
            yield Evict(moved.at, entity.no, ids[start : start + _EVICTED])
    for start in range(0, len(moved.into), PORTION):
        with store.read() as connection:
            batch = of_numbers(connection, moved.into[start : start + PORTION])
        peer.outcome.sent += len(batch.changes)
        yield MoveIn(moved.at, codec.encode_batch(batch))


#: Records named in one message.
_EVICTED = 50_000
