"""What the two sides say to each other: the same messages in a file and over HTTP, each inside a signed, sealed bundle.

A branch speaks first. Up: Hello, then GiveBack for what a restored head office lacks, then Push for every portion of its own changes, then Pull. Down: Welcome, Ack, then
Changes for every portion of the head office's log, then Digests once nothing is missing. Where digests differ the branch
says BucketHashes or RowHashes before it pulls; head office answers with Narrow, Rows or Wanted (see ``repair``). Behind all that, in both directions,
pieces of attached files, and Lacking: what each side still wants of them. Where Welcome says ``bootstrap`` the log is not told: the branch
fetches a bundle with a Snapshot in pieces, or finds it in the file. Places kept for later
messages: ``caps`` in Hello (schema drift), ``action`` in Welcome (new_epoch, upgrade, revoked).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_

Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Epoch = Annotated[int, Meta(ge=0)]
#: (epoch, number) pairs.
Numbers = Annotated[list[tuple[Epoch, Seq]], Meta(max_length=10_000)]
PROTOCOL = 1


class Hello(Struct, frozen=True, tag="hello", forbid_unknown_fields=False):
    """Who a branch is and how far it has come."""

    node_no: int
    epoch: Epoch
    heads: Numbers
    """Newest own change per epoch, all epochs of this node."""
    recv_hseq: Seq
    wall_ms: Seq
    schema_ver: int
    program: Annotated[str, Meta(max_length=40)] = ""
    log_head: Annotated[bytes, Meta(max_length=64)] = b""
    caps: Annotated[list[Annotated[str, Meta(max_length=40)]], Meta(max_length=100)] = []
    log_count: Seq = 0
    """How many rows the system log has that ``log_head``, their newest hash, stands for."""
    log_signature: Annotated[bytes, Meta(max_length=64)] = b""
    hub_epoch: Epoch = 0
    """The epoch of head office that it knows; 0 before it has heard of one."""
    hub_lives: Annotated[list[tuple[Epoch, Seq]], Meta(max_length=1_000)] = []
    """Former epochs that it knew, oldest first, each up to which number of that log."""
    certified: Seq = 0
    """When the certificate it has was issued."""
    scope_told: Seq = 0
    """Up to which number of head office's log it has been told what entered and left its scope."""
    lost: Annotated[list[tuple[Epoch, Seq, Seq]], Meta(max_length=100_000)] = []
    """While head office takes work back: own work that is lost here too (epoch, from one number to another)."""
    hub_began: Seq = 0
    """When the epoch of head office that it knows began, as that one said."""


class Push(Struct, frozen=True, tag="push"):
    """A portion of the branch's own changes, as ``codec`` encodes a batch."""

    batch: Annotated[bytes, Meta(max_length=64 << 20)]


class GiveBack(Struct, frozen=True, tag="give_back"):
    """What a branch has and a restored head office lacks, whoever made it; as ``codec`` encodes a batch."""

    batch: Annotated[bytes, Meta(max_length=64 << 20)]


class Pull(Struct, frozen=True, tag="pull"):
    """Please send what comes after ``recv_hseq``."""

    recv_hseq: Seq


class Welcome(Struct, frozen=True, tag="welcome", forbid_unknown_fields=False):
    """Which head office answers."""

    company_id: Annotated[bytes, Meta(max_length=16)]
    hub_epoch: Epoch
    head_hseq: Seq
    wall_ms: Seq
    schema_ver: int
    reply_to: Annotated[bytes, Meta(max_length=16)] = b""
    action: Annotated[str, Meta(max_length=40)] = "ok"
    log_count: Seq = 0
    """How far head office has countersigned the branch's system log: rows, newest hash, when, signature."""
    log_head: Annotated[bytes, Meta(max_length=64)] = b""
    log_at: Seq = 0
    log_signature: Annotated[bytes, Meta(max_length=64)] = b""
    log_missing: Seq = 0
    """Rows it lacks that were there at an earlier exchange, as this one found."""
    past_lives: Annotated[list[tuple[Epoch, Seq]], Meta(max_length=1_000)] = []
    """Former epochs of head office, oldest first, each with the number of its log at which the next one began: it was restored then."""
    have: Annotated[list[tuple[int, Epoch, Seq]], Meta(max_length=100_000)] = []
    """While it takes work back: how much it has of everybody's without a hole (node, epoch, number)."""
    stamps: Annotated[list[tuple[int, Epoch, Seq, Seq, Seq]], Meta(max_length=100_000)] = []
    """While it takes work back: stamps that count of what was admitted twice (node, epoch, first number, how many, stamp)."""
    certificate: Annotated[bytes, Meta(max_length=4_096)] = b""
    """Of the branch, where head office has issued a newer one than it said it has."""
    tls_pin: Annotated[bytes, Meta(max_length=32)] = b""
    """SHA-256 of the public key that head office serves HTTPS with; nothing where it has no certificate of its own."""
    tls_since: Seq = 0
    """Since when it does; see ``pins.served``."""
    hub_began: Seq = 0
    """When this epoch began: of two restored from the same backup the later one is head office. 0 for the first."""


class Ack(Struct, frozen=True, tag="ack"):
    """How much of the branch's work head office has, per epoch, and what became of it.

    ``restamps``: (epoch, first number of a transaction, stamp it was admitted with), all since the branch's cursor.
    ``newest``: (epoch, number of the newest change, stamp that its author gave it): by it a copied folder knows that it is one.
    ``epoch``: for which of the branch's epochs what follows is made, namely without that one's own work; 0 before head office heard of one.
    """

    have: Numbers
    restamps: Annotated[list[tuple[Epoch, Seq, Seq]], Meta(max_length=1_000_000)] = []
    applied: Seq = 0
    duplicate: Seq = 0
    conflicts: Seq = 0
    quarantined: Seq = 0
    newest: Annotated[list[tuple[Epoch, Seq, Seq]], Meta(max_length=10_000)] = []
    epoch: Epoch = 0


class Changes(Struct, frozen=True, tag="changes"):
    """A portion of head office's log: everything for this branch with numbers after ``from_hseq`` up to ``to_hseq``."""

    from_hseq: Seq
    to_hseq: Seq
    batch: Annotated[bytes, Meta(max_length=64 << 20)]
    scope_at: Seq = 0
    """Up to which number of head office's log what entered and left the branch's scope was told before."""


class MoveIn(Struct, frozen=True, tag="move_in"):
    """Records that entered the branch's scope, with every change there was of them up to its cursor; as ``codec`` encodes a batch.

    ``at``: the number that head office's log ended with when it looked; what is told later counts, in whatever order files are read.
    """

    at: Seq
    batch: Annotated[bytes, Meta(max_length=64 << 20)]


class Evict(Struct, frozen=True, tag="evict"):
    """Records of one kind, by its number, that left the branch's scope: not deleted, but no longer held there; ``at`` as in MoveIn."""

    at: Seq
    table: Annotated[int, Meta(ge=0, le=2**31)]
    ids: Annotated[list[Annotated[bytes, Meta(min_length=16, max_length=16)]], Meta(max_length=100_000)]


class Digests(Struct, frozen=True, tag="digests"):
    """Hash per table of head office's data at ``hseq``."""

    hseq: Seq
    tables: Annotated[dict[Annotated[str, Meta(max_length=60)], Annotated[str, Meta(max_length=64)]], Meta(max_length=1000)]
    scope_at: Seq = 0
    """The number that head office's log ended with when it looked what the branch holds; 0 where it does not say."""


class Lacking(Struct, frozen=True, tag="lacking"):
    """Contents of attached files that a side does not have: (SHA-256, bytes it has of it), smallest first."""

    files: Annotated[list[tuple[Annotated[bytes, Meta(min_length=32, max_length=32)], Seq]], Meta(max_length=10_000)]
    complete: bool = True
    """Whether it lacks nothing else."""


class Piece(Struct, frozen=True, tag="piece"):
    """A part of a content of ``size`` bytes, from byte ``at`` on."""

    hash: Annotated[bytes, Meta(min_length=32, max_length=32)]
    at: Seq
    data: Annotated[bytes, Meta(max_length=1 << 20)]


class Snapshot(Struct, frozen=True, tag="snapshot"):
    """All of head office's data up to ``hseq`` follow as one SQLite file of ``size`` bytes; ``tables``: a hash per table."""

    hseq: Seq
    size: Annotated[int, Meta(ge=1, le=8 << 30)]
    tables: Annotated[dict[Annotated[str, Meta(max_length=60)], Annotated[str, Meta(max_length=64)]], Meta(max_length=1000)]


class SnapshotPart(Struct, frozen=True, tag="snapshot_part"):
    """The next bytes of that file."""

    data: Annotated[bytes, Meta(min_length=1, max_length=1 << 20)]


class Fetch(Struct, frozen=True, tag="fetch"):
    """Please send the bundle with a snapshot from byte ``at`` on; ``name``: the one of which so much is here, empty at first."""

    name: Annotated[bytes, Meta(max_length=16)]
    at: Seq


class Fetched(Struct, frozen=True, tag="fetched"):
    """Bytes of the bundle ``name`` of ``size`` bytes, from byte ``at`` on; another name than was asked for begins anew."""

    name: Annotated[bytes, Meta(min_length=16, max_length=16)]
    size: Annotated[int, Meta(ge=1, le=2 << 30)]
    at: Seq
    data: Annotated[bytes, Meta(min_length=1, max_length=1 << 20)]


Id16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
#: Where a run of rows begins or ends: an id, or nothing for the beginning.
Place = Annotated[bytes, Meta(max_length=16)]
Columns = Annotated[list[int], Meta(max_length=2_000)]


class BucketHashes(Struct, frozen=True, tag="bucket_hashes"):
    """What a branch that has heard everything up to ``hseq`` has of a table: a hash per run of rows, over these columns."""

    table: int
    columns: Columns
    hseq: Seq
    buckets: Annotated[list[tuple[Place, Id16]], Meta(max_length=500_000)]


class RowHashes(Struct, frozen=True, tag="row_hashes"):
    """The same of a range of ids, row by row: (id, hash)."""

    table: int
    columns: Columns
    hseq: Seq
    start: Place
    end: Place | None
    rows: Annotated[list[tuple[Id16, Id16]], Meta(max_length=20_000)]


class Narrow(Struct, frozen=True, tag="narrow"):
    """In these ranges of ids the two sides differ: tell them row by row."""

    table: int
    ranges: Annotated[list[tuple[Place, Place | None]], Meta(max_length=1_000)]


class Wanted(Struct, frozen=True, tag="wanted"):
    """Head office lacks these rows, or does not trust its own: send yours."""

    table: int
    ids: Annotated[list[Id16], Meta(max_length=1_000)]


class WholeRow(Struct, frozen=True, array_like=True):
    """A row: every column, the register as number 0, bytes apart from everything else; None where there is no such row."""

    id: Id16
    plain: Annotated[list[tuple[int, None | int | str]], Meta(max_length=2_000)] | None
    binary: Annotated[list[tuple[int, bytes]], Meta(max_length=2_000)] = []


class Rows(Struct, frozen=True, tag="rows"):
    """Rows as the sender has them, with every change of them that it knows, as ``codec`` encodes a batch."""

    table: int
    columns: Columns
    rows: Annotated[list[WholeRow], Meta(max_length=1_000)]
    batch: Annotated[bytes, Meta(max_length=64 << 20)]


class Note(Struct, frozen=True, array_like=True):
    """What a branch mended: ``id`` for the record head office makes of it; ``field`` None for a whole row; what had stood there, as text."""

    id: Id16
    table: int
    record: Id16
    field: int | None
    lost: Annotated[str, Meta(max_length=100_000)] | None


class Mended(Struct, frozen=True, tag="mended"):
    """What a branch mended of what head office sent, until it has heard that head office knows."""

    notes: Annotated[list[Note], Meta(max_length=1_000)]


Message = (
    Hello
    | Push
    | GiveBack
    | Pull
    | Welcome
    | Ack
    | MoveIn
    | Evict
    | Changes
    | Digests
    | Lacking
    | Piece
    | Snapshot
    | SnapshotPart
    | Fetch
    | Fetched
    | BucketHashes
    | RowHashes
    | Narrow
    | Wanted
    | Rows
    | Mended
)

_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """A message as bytes."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes) -> Message:
    """A message from bytes; raises ExchangeError."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ExchangeError(
            "bad_message", N_("The exchange contains a message that cannot be understood. Nothing of it was applied.")
        ) from error
