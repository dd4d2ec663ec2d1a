"""What commands, screens and the scheduler call: enrol, exchange by file or over HTTP, and how things stand."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.admin.entities import Branch, BranchHolds
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.kernel.clock import to_iso
from localcrm.kernel.errors import AppError, ExchangeError, NotFound, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entity, entity_by_no
from localcrm.kernel.spoken import write_words
from localcrm.store import changelog, digests, eventlog, witness
from localcrm.store.migrate import SCHEMA_VERSION, get_meta
from localcrm.store.node import OFFICE_NO, branch_id, require_here
from localcrm.store.query import Condition, ListQuery, every, record_json
from localcrm.sync import (
    attachments,
    brake,
    compaction,
    drain,
    enrol,
    exchange,
    fetching,
    http,
    messages,
    parts,
    pins,
    recovery,
    repair,
    rotation,
    snapshot,
)
from localcrm.sync.bundle import BundleFacts, Kind, Recipient, read_bundle, write_bundle
from localcrm.sync.identity import NodeKeys, NodePublic
from localcrm.sync.messages import Message, Welcome
from localcrm.sync.scope import digests_of, scope_of

if TYPE_CHECKING:
    from localcrm.store.store import Store
    from localcrm.sync.bundle import Opened

_REPLY = b"LCY1"
_MAX_REPLY_HEAD = 1 << 20
_NOT_UNDERSTOOD = N_("The exchange contains a message that cannot be understood. Nothing of it was applied.")


# enrolment ----------------------------------------------------------------------------------------------------------


def invite(store: Store, keys: NodeKeys, actor: Actor, *, code: str) -> bytes:
    """An invite file for a branch."""
    return enrol.invite(store, keys, actor, code=code).file


def join(store: Store, keys: NodeKeys, data: bytes, *, url: str | None = None) -> bytes | None:
    """A branch reads an invite (returns its request) or the reply of head office (returns None: it is enrolled)."""
    if is_reply(data):
        _take_reply(store, keys, data)
        return None
    if data[:4] == b"LCA1":
        enrol.finish_join(store, keys, data)
        return None
    return enrol.ask_to_join(store, keys, data, url=url)


def approve(store: Store, keys: NodeKeys, actor: Actor, data: bytes) -> bytes:
    """Let a branch in; the reply holds the approval and, sealed, everything the branch should know."""
    return reply(store, keys, *enrol.approve(store, keys, actor, data))


def reply(store: Store, keys: NodeKeys, approval: bytes, node_no: int) -> bytes:
    """An approval with, sealed behind it, everything the branch should know."""
    peer = _peer(store, "node_no", node_no)
    with tempfile.TemporaryFile() as file:
        _write_down(store, keys, peer, file)
        file.seek(0)
        return _REPLY + len(approval).to_bytes(4) + approval + file.read()


def is_reply(data: bytes) -> bool:
    """Whether this has the form of a reply to a request."""
    return data[:4] == _REPLY


def _take_reply(store: Store, keys: NodeKeys, data: bytes) -> exchange.Outcome:
    size = int.from_bytes(data[4:8])
    if len(data) < 8 or size > _MAX_REPLY_HEAD or len(data) < 8 + size:
        raise ExchangeError(
            "bad_approval", N_("This is not the approval for this branch, or it is damaged. Ask head office to send it again.")
        )
    if not store.node.enrolled:
        enrol.finish_join(store, keys, data[8 : 8 + size])
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "reply"
        bundle.write_bytes(data[8 + size :])
        return _read(store, keys, bundle)


# by file ------------------------------------------------------------------------------------------------------------


def split(store: Store, keys: NodeKeys, path: Path, *, for_code: str | None, part_bytes: int) -> list[Path]:
    """An exchange file that ``pack`` has written, in parts of at most so many bytes of its contents (see ``parts``)."""
    to_no = _peer(store, "code", for_code.upper()).node_no if for_code else OFFICE_NO
    return parts.split(store, keys, path, to_no=to_no, part_bytes=part_bytes)


def pack(store: Store, keys: NodeKeys, path: Path, *, for_code: str | None = None) -> dict[str, int]:
    """Write the exchange file: a branch for head office, head office for the branch it names."""
    if store.node.is_office:
        if not for_code:
            raise Refused("which_branch", N_("Say which branch the file is for: --for BR01."))
        peer = _peer(store, "code", for_code.upper())
        recovery.require_decided(store)
        drain.carry_out(store)
        with _fresh(path):
            written = _write_down(store, keys, peer, path)
        _note(store, peer.code, sent=peer.outcome.sent)
        return {"changes": peer.outcome.sent, "bytes": written}
    _must_be_enrolled(store)
    counted = 0

    def said() -> Iterator[Message]:
        nonlocal counted
        yield exchange.hello(store)
        yield from (gift for _place, gift in recovery.give_backs(store))
        for push in exchange.pushes(store):
            counted += exchange.count_changes(push)
            yield push
        yield from repair.said(store)
        yield attachments.lacking(store)
        yield from attachments.pieces(store, OFFICE_NO, attachments.PER_FILE)

    with _fresh(path):
        written = _write(store, keys, path, "up", said(), _office(store))
    _note(store, _office(store).code, sent=counted)
    return {"changes": counted, "bytes": written}


def unpack(store: Store, keys: NodeKeys, path: Path) -> dict[str, Any]:
    """Read an exchange file, or the reply that ends an enrolment; returns what was done."""
    return unpack_all(store, keys, [path])


def unpack_all(store: Store, keys: NodeKeys, paths: Sequence[Path]) -> dict[str, Any]:
    """Read exchange files, parts of some, or all that lie in a folder, in any order; returns what was done, and as "refused" what was not read.

    "refused": [{"file", "code", "message"}], also of sets of parts of which some are missing. Raises what the first was refused for where
    nothing at all was read, NotFound(no_exchange_files) for a folder without any.
    """
    total, refused, incomplete, done = exchange.Outcome(), list[tuple[Path, AppError]](), dict[Path, tuple[Path, parts.Arrived]](), False
    for path in parts.files_in(paths, (b"BSB1", parts.MAGIC, _REPLY)):
        try:
            outcome = _unpack_one(store, keys, path)
        except AppError as error:
            refused.append((path, error))
            continue
        if isinstance(outcome, parts.Arrived):
            incomplete[outcome.place] = path, outcome
        else:
            total.join(outcome)
            done = True
    refused += [(path, parts.missing_parts(arrived)) for path, arrived in incomplete.values() if arrived.place.exists()]
    if not done:
        if refused:
            raise refused[0][1]
        raise NotFound("no_exchange_files", N_("There is no exchange file in this folder."))
    told = [{"file": path.name, "code": error.code, "message": error.message} for path, error in refused]
    return total.as_dict() | ({"refused": told} if told else {})


def _unpack_one(store: Store, keys: NodeKeys, path: Path) -> exchange.Outcome | parts.Arrived:
    """What reading a file did, or which parts are still missing."""
    with _readable(path) as file:
        start = file.read(4)
    if start in {_REPLY, b"LCA1"}:
        return _take_reply(store, keys, path.read_bytes())
    _must_be_enrolled(store)
    if not parts.is_part(start):
        return _read(store, keys, path)
    arrived = parts.take(store, keys, path)
    if arrived.missing:
        return arrived
    with tempfile.TemporaryDirectory(dir=store.folder) as folder:
        parts.joined(arrived, Path(folder) / "whole")
        outcome = _read(store, keys, Path(folder) / "whole")
    parts.forget(arrived)
    return outcome


def _read(store: Store, keys: NodeKeys, path: Path) -> exchange.Outcome:
    with _open(store, keys, path) as opened:
        said = map(messages.decode, opened)
        if not store.node.is_office:
            outcome = exchange.Outcome()
            exchange.hear_office(store, said, outcome)
            _note(store, _office(store).code, received=outcome.received)
            return outcome
        peer = _peer(store, "node_no", opened.facts.sender_no)
        peer.by_file, peer.keys = True, opened.sender
        for _answer in exchange.hear_branch(store, peer, said):
            pass
        _note(store, peer.code, received=peer.outcome.received)
        return peer.outcome


def _open(store: Store, keys: NodeKeys, path: Path, *, require_calm: Callable[[], None] = lambda: None) -> Opened:
    speaker = rotation.Speaker(store, keys, require_calm=require_calm)
    opened = read_bundle(
        path,
        my_keys=keys,
        my_node_no=store.node.node_no,
        company_id=store.node.company_id,
        older_keys=keys.older,
        sender_public=speaker.known,
        introduced=speaker.introduced,
        proven=speaker.proven,
        scratch=store.folder,
    )
    try:
        rotation.note_used(store, keys, opened.facts.sender_no, opened.sealed_to)
    except BaseException:
        opened.__exit__(None, None, None)
        raise
    return opened


def _write_down(store: Store, keys: NodeKeys, peer: exchange.Peer, target: Path | IO[bytes]) -> int:
    if not recovery.is_unheard(store, peer.node_no):
        peer.action = snapshot.action_for(store, peer.node_no, peer.recv_hseq)

    def said() -> Iterator[Message]:
        answers = list(repair.answers(store, peer))  # what is written down of them goes down too
        yield exchange.welcome(store, peer)
        yield exchange.ack(store, peer)
        if recovery.is_unheard(store, peer.node_no):
            return
        yield from answers
        cursor = peer.recv_hseq
        if peer.action == snapshot.ACTION:
            for message in snapshot.messages_of(store):
                cursor = message.hseq if isinstance(message, messages.Snapshot) else cursor
                yield message
        yield from exchange.downs(store, peer, cursor)
        yield from attachments.pieces(store, peer.node_no, attachments.PER_FILE, since=peer.recv_hseq)
        yield attachments.lacking(store)

    return _write(store, keys, target, "snapshot" if peer.action == snapshot.ACTION else "down", said(), peer)


def _write(store: Store, keys: NodeKeys, target: Path | IO[bytes], kind: Kind, said: Iterable[Message], to: exchange.Peer) -> int:
    public = rotation.sealed_for(store, to.node_no)
    if public is None:
        raise NotFound("unknown_branch", N_("There is no branch “{code}”."), code=to.code)
    facts = BundleFacts(
        hub_id=store.node.company_id,
        kind=kind,
        sender_no=store.node.node_no,
        sender_epoch=int.from_bytes(store.node.epoch),
        schema_ver=SCHEMA_VERSION,
        from_seq=to.recv_hseq if kind == "down" else 0,
    )
    # A branch that was put back to an earlier state has the keys it has just spoken with, and perhaps no later ones.
    recipients = [Recipient(to.node_no, to.keys or public)]
    introduced = rotation.introductions(store, to.node_no)
    return write_bundle(target, map(messages.encode, said), facts=facts, keys=keys, recipients=recipients, introductions=introduced).size


# over HTTP ----------------------------------------------------------------------------------------------------------


def run(store: Store, keys: NodeKeys, *, url: str | None = None) -> dict[str, Any]:
    """A branch exchanges with head office over HTTP until nothing is missing on either side."""
    if store.node.is_office:
        raise Refused("not_branch", N_("Head office waits for its branches; run this at a branch."))
    _must_be_enrolled(store)
    address = url or _office_url(store)
    outcome, office = exchange.Outcome(), _office(store)
    # Files come last: as long as head office lacks some that are here, or its answers bring what was not here before.
    sent, lacked, lacking, pieces = set[attachments.Place](), list[messages.Lacking](), attachments.lacking(store), list[messages.Piece]()
    finished = fetches = by_log = False
    given = -1  # each portion is given back once in a run: some of it head office asks for until everybody has come
    incoming, differences = fetching.Incoming(store.folder), list[list[Message]]()
    while not finished:
        given, gift = next(recovery.give_backs(store, given), (given, None))
        push = gift or next(exchange.pushes(store), None)
        hello = exchange.hello(store, by_log=by_log)
        said: list[Message]
        if push is not None:
            outcome.sent += exchange.count_changes(push)
            said = [hello, push]
        elif fetches:
            said = [hello, incoming.wanted()]
        else:
            differences.append(repair.said(store))
            said = [hello, *differences[-1], messages.Pull(hello.recv_hseq), *pieces, lacking]
            sent.update((piece.hash, piece.at) for piece in pieces)
            pieces = []
        with tempfile.TemporaryDirectory(dir=store.folder) as folder:
            request, answer = Path(folder) / "request", Path(folder) / "answer"
            sealed_to = rotation.sealed_for(store, OFFICE_NO)
            _write(store, keys, request, "up", said, office)
            pins.post(store, keys, address, request, answer)
            with _open(store, keys, answer) as opened:
                heard = exchange.hear_office(store, incoming.take_out(map(messages.decode, opened)), outcome)
        if incoming.path is not None:
            _take_snapshot(store, keys, incoming, outcome)
            fetches, by_log = False, True  # once in a run: what head office was told meanwhile comes change by change
            continue
        if push is None and not by_log and heard is not None and heard.action == snapshot.ACTION:
            if fetches and not incoming.came:
                raise ExchangeError("bad_message", _NOT_UNDERSTOOD)
            fetches = True
            continue
        fetches = False
        is_same = hello.hub_epoch in {0, heard.hub_epoch if heard else 0}  # else it was restored: what it lacks is known only now
        given = given if is_same else -1
        is_same = is_same and rotation.sealed_for(store, OFFICE_NO) == sealed_to  # else it has new keys, and hears at once that we know
        if push is None and _caught_up(store, heard) and is_same:
            lacked.append(lacking)
            lacking, pieces = attachments.lacking(store), list(attachments.pieces(store, OFFICE_NO, attachments.PER_ROUND, but=sent))
            knows = heard is not None and hello.recv_hseq >= heard.head_hseq  # head office, what has arrived here
            finished = knows and not pieces and (not lacking.files or lacking in lacked) and repair.said(store) in [[], *differences]
    incoming.throw_away()
    if outcome.sent or outcome.received:
        _note(store, office.code, sent=outcome.sent, received=outcome.received)
    return outcome.as_dict()


def _take_snapshot(store: Store, keys: NodeKeys, incoming: fetching.Incoming, outcome: exchange.Outcome) -> None:
    """Let the snapshot that has arrived take its place; where it is refused that is noted, and nothing has changed."""
    assert incoming.path is not None
    try:
        with _open(store, keys, incoming.path) as opened:
            exchange.hear_office(store, map(messages.decode, opened), outcome)
    except ExchangeError as error:
        store.log("bootstrap_refused", detail=error.message)
    incoming.throw_away()


def answer_bundle(store: Store, keys: NodeKeys, request: Path, answer: Path, *, require_calm: Callable[[], None] = lambda: None) -> None:
    """Head office answers one request of a branch: a bundle in, a bundle out. ``require_calm``: see ``rotation.Speaker``."""
    if not store.node.is_office:
        raise Refused("not_office", N_("Only head office can do this."))
    with _open(store, keys, request, require_calm=require_calm) as opened:
        peer = _peer(store, "node_no", opened.facts.sender_no)
        ready = store.folder / "snapshots"
        peer.fetch = lambda wanted: fetching.pieces(ready, peer.node_no, wanted, partial(_write_snapshot, store, keys, peer))
        peer.keys = opened.sender
        answers = list(exchange.hear_branch(store, peer, map(messages.decode, opened)))
    if peer.action != snapshot.ACTION:
        fetching.forget(ready, peer.node_no)
    _write(store, keys, answer, "down", answers, peer)
    if peer.outcome.sent or peer.outcome.received:
        _note(store, peer.code, sent=peer.outcome.sent, received=peer.outcome.received)


def _write_snapshot(store: Store, keys: NodeKeys, peer: exchange.Peer, path: Path) -> None:
    _write(store, keys, path, "snapshot", snapshot.messages_of(store), peer)


def _caught_up(store: Store, heard: Welcome | None) -> bool:
    if heard is None:
        raise ExchangeError("bad_message", _NOT_UNDERSTOOD)
    with store.read() as connection:
        cursor = connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = ?", (OFFICE_NO,)) or 0
    return cursor >= heard.head_hseq


# how things stand -----------------------------------------------------------------------------------------------------


def status(store: Store) -> dict[str, Any]:
    """Role, code, changes waiting to be sent, last exchange, and at head office every branch with what it last said of itself.

    ``knows_keys``: whether the other side has followed a change of our keys; ``renew_keys``, ``asked_fingerprint``: see ``rotation``.
    ``holds``: what this node holds; ``left``: the customers that left it last, {"count", "at"}, or None.
    ``clock_ms``: by how much the clock of a branch is ahead of ours (negative: behind), None where only old files came from it.
    """
    node = store.node
    with store.read() as connection:
        waiting = connection.value("SELECT coalesce(sum(have_oseq - acked_oseq), 0) FROM sync_origin WHERE node_no = ?", (node.node_no,))
        last = connection.value("SELECT max(last_ok) FROM sync_peer")
        differs = get_meta(connection, "digest.differs")
        holds = connection.value("SELECT holds FROM branch WHERE node_no = ?", (node.node_no,))
        left = str(get_meta(connection, exchange.LEFT) or "").split()
        branches = _branches(connection) if node.is_office else []
        invites = _invites(connection, store.clock.now_ms()) if node.is_office else []
        url, knows_keys = connection.one("SELECT url, used_key IS NULL FROM sync_peer WHERE node_no = ?", (OFFICE_NO,)) or (None, True)
    return {
        "role": node.role,
        "code": node.code,
        "name": node.name,
        "enrolled": node.enrolled,
        "waiting": sum(b["waiting"] for b in branches if b["state"] == "active")
        if node.is_office
        else int(waiting)
        if node.enrolled
        else 0,
        "last_ok": _iso(last),
        "digest": "differs" if differs else "equal" if differs == "" else "unknown",
        "clock_suspect": store.clock_suspect,
        "restored": node.is_office and recovery.is_wanted(store),
        "url": url,
        "holds": holds or BranchHolds.ALL.value,
        "left": {"count": int(left[0]), "at": _iso(int(left[1]))} if left else None,
        "knows_keys": bool(knows_keys),
        "branches": branches,
        "invites": invites,
    }


def _invites(connection: Any, now_ms: int) -> list[dict[str, Any]]:
    """Branches that were invited and not let in yet, as long as they may ask; ``asked``: one has, over the network, and waits."""
    rows = connection.all(
        "SELECT code, expires, request IS NOT NULL FROM sync_invite WHERE used = 0 AND expires > ? ORDER BY code", (now_ms,)
    )
    return [{"code": code, "until": _iso(expires), "asked": bool(asked)} for code, expires, asked in rows]


def _branches(connection: Any) -> list[dict[str, Any]]:
    head = changelog.head(connection)
    rows = connection.all(
        """SELECT p.node_no, p.code, p.name, recv_hseq, last_ok, state, coalesce(b.holds, 'all'), coalesce(w.lost, 0), program, schema_ver,
                  clock_ms, by_file, renew, asked_key, used_key IS NULL, sign_key, box_key
           FROM sync_peer p LEFT JOIN log_witness w ON w.node_no = p.node_no LEFT JOIN branch b ON b.node_no = p.node_no ORDER BY p.code"""
    )
    return [
        {
            "code": code,
            "name": name,
            "last_ok": _iso(last_ok),
            "waiting": int(
                connection.value(
                    """SELECT coalesce(sum(t.count), 0) FROM sync_tx t JOIN sync_origin o ON o.origin = t.origin
                       WHERE t.first_lseq > ? AND t.first_lseq <= ? AND o.node_no <> ?""",
                    (recv, head, node_no),
                )
            )
            + compaction.waiting_in_past(connection, recv, node_no),
            "stale": state == "active" and compaction.is_stale(connection, recv),
            "state": state,
            "holds": holds,
            "log_missing": missing,
            "held_back": brake.held_back(connection, node_no),
            "program": program,
            "schema_ver": schema_ver,
            "clock_ms": clock_ms,
            "by_file": None if by_file is None else bool(by_file),
            "fingerprint": NodePublic(*keys).fingerprint if keys[0] and keys[1] else "",
            "fingerprint_words": write_words(NodePublic(*keys).spoken_fingerprint) if keys[0] and keys[1] else "",
            "renew_keys": bool(renew),
            "asked_fingerprint": asked.fingerprint if (asked := rotation.asked_keys(asked_key)) else "",
            "asked_words": write_words(asked.spoken_fingerprint) if asked else "",
            "knows_keys": bool(knows_keys),
        }
        for (
            node_no,
            code,
            name,
            recv,
            last_ok,
            state,
            holds,
            missing,
            program,
            schema_ver,
            clock_ms,
            by_file,
            renew,
            asked_key,
            knows_keys,
            *keys,
        ) in rows
    ]


def waiting_kinds(store: Store, code: str) -> dict[str, int]:
    """At head office: the changes that wait for a branch, by kind of record, most first."""
    peer = _peer(store, "code", code)
    with store.read() as connection:
        rows = connection.all(
            """SELECT l.tbl, count(*) FROM sync_log l JOIN sync_tx t ON t.tx = l.tx JOIN sync_origin o ON o.origin = t.origin
               WHERE l.lseq > ? AND o.node_no <> ? GROUP BY l.tbl""",
            (peer.recv_hseq, peer.node_no),
        )
        counts: Counter[int] = Counter(dict(rows))
        counts.update(compaction.kinds_in_past(connection, peer.recv_hseq, peer.node_no))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {kind.key: count for table, count in ordered if (kind := entity_by_no(table)) is not None}


def digest(store: Store, *, for_code: str | None = None) -> dict[str, Any]:
    """One hash per table, from the data; at head office also of what a branch should hold."""
    other = for_code.upper() if for_code and store.node.is_office and for_code.upper() != store.node.code else None
    peer = _peer(store, "code", other) if other else None
    with store.read() as connection:
        holds = scope_of(store, connection, peer.node_no, peer.code) if peer else None
        tables = digests.full(connection) if holds is None else digests_of(connection, holds, digests.full(connection))
    return {"digest": digests.whole(tables), "tables": tables}


def conflicts(store: Store, actor: Actor = SYSTEM, *, state: str | None = None) -> dict[str, Any]:
    """Everything the merges found that a person should see, newest first."""
    kind = entity("conflict")
    where = (Condition("state", "=", state),) if state else ()
    query = ListQuery(kind, where=where, exact=True, restrict=policy.view(actor, kind))
    names = ("id", "kind", "entity", "record", "field", "base", "kept", "lost", "kept_by", "lost_by", "kept_at", "lost_at", "state")
    with store.read() as connection:
        found = [record_json(kind, record) for page in every(connection, query) for record in page.rows]
    return {"total": len(found), "rows": [{name: row[name] for name in names if name in row} for row in found]}


# parts ----------------------------------------------------------------------------------------------------------------


def _note(store: Store, code: str, **counts: int) -> None:
    """What went to and came from the other side goes into the system log; what the clock does with nothing to say does not."""
    store.log("exchange", detail=" ".join([code, *(f"{name}={count}" for name, count in counts.items())]))


def _peer(store: Store, column: str, value: str | int) -> exchange.Peer:
    with store.read() as connection:
        row = connection.one(f"SELECT node_no, code, recv_hseq, epoch FROM sync_peer WHERE {column} = ?", (value,))
    if row is None:
        raise NotFound("unknown_branch", N_("There is no branch “{code}”."), code=str(value)[:40])
    return exchange.Peer(row[0], row[1], row[2], row[3] or b"")


def _office(store: Store) -> exchange.Peer:
    return _peer(store, "node_no", OFFICE_NO)


def _office_url(store: Store) -> str:
    with store.read() as connection:
        url = connection.value("SELECT url FROM sync_peer WHERE node_no = ?", (OFFICE_NO,))
    if not url:
        raise Refused("no_office_address", N_("The address of head office is not known here. Enter it, or exchange by file."))
    return str(url)


def set_office_url(store: Store, actor: Actor, url: str | None) -> None:
    """Remember where head office answers; raises InvalidInput(bad_address)."""
    policy.require(actor, "sync.manage")
    address = http.check_url(url or "") or None
    with store.housekeeping() as connection:
        connection.execute("UPDATE sync_peer SET url = ? WHERE node_no = ?", (address, OFFICE_NO))


def close_branch(store: Store, actor: Actor, code: str) -> dict[str, Any]:
    """A branch is heard no more and gets nothing more, neither over the network nor by file; what it has, it keeps.

    Returns {"code", "state"}; raises Refused at a branch, NotFound for an unknown code.
    """
    return _set_state(store, actor, code, "closed", "branch_closed")


def reopen_branch(store: Store, actor: Actor, code: str) -> dict[str, Any]:
    """Hear a branch again that was closed by mistake; returns {"code", "state"}."""
    return _set_state(store, actor, code, "active", "branch_reopened")


def set_holds(store: Store, actor: Actor, code: str, holds: BranchHolds) -> dict[str, Any]:
    """What a branch holds from its next exchange on (see ``scope``); returns {"code", "holds"}."""
    policy.require(actor, "sync.manage")
    if not store.node.is_office:
        raise Refused("not_office", N_("Only head office can do this."))
    peer = _peer(store, "code", code.strip().upper())
    with store.unit_of_work(actor.user_id) as uow:
        uow.update(Branch.entity_type, branch_id(store.node.company_id, peer.code), {"holds": holds})
    return {"code": peer.code, "holds": str(holds)}


def _set_state(store: Store, actor: Actor, code: str, state: str, event: str) -> dict[str, Any]:
    policy.require(actor, "sync.manage")
    if not store.node.is_office:
        raise Refused("not_office", N_("Only head office can do this."))
    peer = _peer(store, "code", code.strip().upper())
    with store.housekeeping() as connection:
        connection.execute("UPDATE sync_peer SET state = ? WHERE node_no = ?", (state, peer.node_no))
        eventlog.append(connection, at=store.clock.now_ms(), kind=event, user_id=actor.user_id, detail=peer.code, sign=store.sign_log)
    return {"code": peer.code, "state": state}


def allow_deletions(store: Store, actor: Actor, code: str) -> dict[str, Any]:
    """Take in what a branch deletes in the next 24 hours, however much it is (see ``brake``); returns {"code", "count"}."""
    policy.require(actor, "sync.manage")
    peer = _peer(store, "code", code.strip().upper())
    with store.housekeeping() as connection:
        asked = brake.held_back(connection, peer.node_no)
        brake.release(connection, peer.node_no, until_ms=store.clock.now_ms() + brake.ALLOWED_MS)
        detail = f"{peer.code} {asked['entity']} {asked['count']}" if asked else peer.code
        eventlog.append(
            connection, at=store.clock.now_ms(), kind="brake_released", user_id=actor.user_id, detail=detail, sign=store.sign_log
        )
    return {"code": peer.code, "count": asked["count"] if asked else 0}


def take_back(store: Store, actor: Actor) -> dict[str, Any]:
    """A restored head office takes back from the branches what was done after its backup; returns {"code", "days"}, how long it does so."""
    policy.require(actor, "sync.manage")
    with store.read() as connection:
        if not store.node.is_office or not recovery.past_lives(connection):
            raise Refused("not_restored", N_("This head office was not restored from a backup; nothing is missing here."))
    with store.housekeeping() as connection:
        recovery.open_up(store, connection, user_id=actor.user_id)
    return {"code": store.node.code, "days": recovery.OPEN_MS // 86_400_000}


def acknowledge_log(store: Store, actor: Actor, code: str) -> None:
    """Head office has looked into the system log of a branch that became shorter; it is not pointed out any more."""
    policy.require(actor, "sync.manage")
    peer = _peer(store, "code", code)
    with store.housekeeping() as connection:
        witness.acknowledge(connection, peer.node_no)


def _must_be_enrolled(store: Store) -> None:
    with store.read() as connection:
        require_here(connection)
    if not store.node.enrolled:
        raise Refused("not_enrolled", N_("This branch is not enrolled yet. Finish “sync join” with the reply of head office first."))


@contextmanager
def _readable(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise NotFound("no_file", N_("The file “{path}” cannot be read."), path=str(path)) from error


@contextmanager
def _fresh(path: Path) -> Iterator[None]:
    """A refused command leaves no file behind; the writer itself replaces the target only at the end."""
    existed = path.exists()
    try:
        yield
    except AppError:
        if not existed:
            path.unlink(missing_ok=True)
        raise


def _iso(moment_ms: int | None) -> str | None:
    from datetime import UTC, datetime

    return None if moment_ms is None else to_iso(datetime.fromtimestamp(moment_ms / 1000, tz=UTC))
