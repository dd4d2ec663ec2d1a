"""The system log: what happened besides changes of data, in rows that can be added but not changed without it being seen.

Each row holds SHA-256 of the hash before it and of what it says; a head of one row holds count and newest hash, and how far
this node's key has signed. What a stranger alters, removes or cuts off no longer fits; who rewrites everything after his
change cannot sign it. Signing is deterministic (Ed25519), so whoever signs can also tell its own signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.store.signatures import has_signed

if TYPE_CHECKING:
    from localcrm.store.connection import Connection

#: Signs a message with the node's key; gives b"" where the key cannot be read.
Sign = Callable[[bytes], bytes]

_START = bytes(32)
#: Longer details are cut: the log is read by people.
MAX_DETAIL = 500
#: Texts as bytes: one that is no UTF-8 any more is to be named, not to stop the reader.
_COLUMNS = "id, at, CAST(kind AS BLOB), user_id, CAST(detail AS BLOB)"


class Event(NamedTuple):
    """One row: ``at`` in Unix milliseconds, ``user_id`` in hex, None for the program itself."""

    id: int
    at: int
    kind: str
    user_id: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are asked for; None or "" asks for nothing in particular. ``since`` ≤ at < ``until``."""

    kind: str | None = None
    user_id: str | None = None
    since: int | None = None
    until: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What does not fit: rows ``first`` to ``last``, and the time the first says of itself where it is there."""

    code: str
    first: int = 0
    last: int = 0
    at: int | None = None


class Signed(NamedTuple):
    """A point of the log as its node has signed it: the number of a row, its hash, the signature."""

    number: int
    hash: bytes
    signature: bytes


class Start(NamedTuple):
    """Where the log begins since older rows were removed: the number and hash of the last of those, when and by whom, signed."""

    number: int = 0
    hash: bytes = _START
    at: int = 0
    user_id: bytes | None = None
    signature: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Head:
    count: int
    hash: bytes
    signed: int
    signature: bytes | None


# writing ------------------------------------------------------------------------------------------------------------


def append(connection: Connection, *, at: int, kind: str, user_id: str | None = None, detail: str = "", sign: Sign | None = None) -> None:
    """Add a row inside the transaction of the moment, and sign the new head where a signer is at hand."""
    head = _head(connection) or _Head(*_last(connection), 0, None)
    # What cannot be stored as text must not keep anything from being noted.
    row = (head.count + 1, at, kind, bytes.fromhex(user_id) if user_id else None, detail[:MAX_DETAIL].encode("utf-8", "replace").decode())
    digest = _hash(head.hash, row)
    connection.execute("INSERT INTO event_log(id, at, kind, user_id, detail, hash) VALUES (?, ?, ?, ?, ?, ?)", (*row, digest))
    signed, signature = head.signed, head.signature
    if sign is not None and (head.count == 0 or _is_own(connection, head, sign)):
        signed, signature = row[0], sign(_message(row[0], digest))
    connection.execute("UPDATE event_head SET count = ?, hash = ?, signed = ?, signature = ?", (row[0], digest, signed, signature))


def chain_old_rows(connection: Connection, table: str) -> None:
    """Take over the rows of a table without hashes, in their order; the head is left unsigned."""
    previous, count = _START, 0
    for row in connection.all(f'SELECT {_COLUMNS} FROM "{table}" ORDER BY id'):
        count += 1
        _id, at, kind, user, detail = _plain(row)
        digest = _hash(previous, (count, at, kind, user, detail))
        connection.execute(
            "INSERT INTO event_log(id, at, kind, user_id, detail, hash) VALUES (?, ?, ?, ?, ?, ?)", (count, at, kind, user, detail, digest)
        )
        previous = digest
    connection.execute("UPDATE event_head SET count = ?, hash = ?", (count, previous))


def sign_head(connection: Connection, sign: Sign) -> None:
    """Sign what is there, whatever it is: only for rows that this very transaction has chained."""
    head = _head(connection)
    if head is not None and head.count:
        connection.execute("UPDATE event_head SET signed = count, signature = ?", (sign(_message(head.count, head.hash)),))


def change_keys(connection: Connection, is_ours: Callable[[bytes, bytes], bool], sign: Sign) -> None:
    """Sign head and beginning with new keys, as far as ``is_ours`` (message, signature) says that the former ones had signed them."""
    head, start = _head(connection), _start(connection)
    message = None if head is None else _signed_message(connection, head)
    if head is not None and message is not None and head.signature and is_ours(message, head.signature):
        connection.execute("UPDATE event_head SET signature = ?", (sign(message),))
    if start.signature and is_ours(_start_message(start), start.signature):
        connection.execute("UPDATE event_start SET signature = ?", (sign(_start_message(start)),))


def _is_own(connection: Connection, head: _Head, sign: Sign) -> bool:
    """Whether the last signature is this node's: what somebody else wrote anew is never signed as if it were ours."""
    message = _signed_message(connection, head)
    return bool(head.signature) and message is not None and sign(message) == head.signature


def shorten(connection: Connection, *, before: int, at: int, user_id: str | None, sign: Sign | None) -> int:
    """Remove the rows before the first one that is of ``before`` or later; returns how many.

    What is left of them is a signed beginning from which the chain goes on. Raises Refused("log_not_whole") where something does not fit,
    so that nobody removes the trace of what he did to the log.
    """
    head, start = _head(connection), _start(connection)
    forged = head is not None and bool(sign and head.signature) and not (sign and _is_own(connection, head, sign))
    if head is None or forged or next(verify(connection, None), None) is not None:
        raise Refused(
            "log_not_whole", N_("The system log is not whole, so nothing of it was removed. Look at what “localcrm check” says first.")
        )
    first = connection.value("SELECT min(id) FROM event_log WHERE at >= ?", (before,))
    last = head.count if first is None else first - 1
    if last <= start.number:
        return 0
    begun = Start(
        last, connection.value("SELECT hash FROM event_log WHERE id = ?", (last,)), at, bytes.fromhex(user_id) if user_id else None
    )
    begun = begun._replace(signature=sign(_start_message(begun)) if sign else None)
    connection.execute("INSERT OR REPLACE INTO event_start(id, number, hash, at, user_id, signature) VALUES (1, ?, ?, ?, ?, ?)", begun)
    connection.execute("DELETE FROM event_log WHERE id <= ?", (last,))
    append(connection, at=at, kind="log_shortened", user_id=user_id, detail=f"{start.number + 1} {last}", sign=sign)
    return last - start.number


# reading ------------------------------------------------------------------------------------------------------------


def rows(connection: Connection, wanted: Wanted = Wanted(), *, before: int | None = None, limit: int = 200) -> list[Event]:
    """Rows newest first, at most ``limit``, older than the row ``before``."""
    conditions: list[tuple[str, Any]] = [
        ("id < ?", before),
        ("kind = ?", wanted.kind or None),
        ("user_id = ?", bytes.fromhex(wanted.user_id) if wanted.user_id else None),
        ("at >= ?", wanted.since),
        ("at < ?", wanted.until),
        ("instr(lower(detail), lower(?)) > 0", wanted.text.strip() or None),
    ]
    used = [(condition, value) for condition, value in conditions if value is not None]
    where = " AND ".join(condition for condition, _value in used) or "1"
    found = connection.all(
        f"SELECT {_COLUMNS} FROM event_log WHERE {where} ORDER BY id DESC LIMIT ?", [*(value for _condition, value in used), limit]
    )
    return [Event(number, at, kind, user.hex() if user else None, detail or "") for number, at, kind, user, detail in map(_plain, found)]


def users(connection: Connection) -> list[str]:
    """Ids of those the log names, in hex."""
    return [user.hex() for (user,) in connection.all("SELECT DISTINCT user_id FROM event_log WHERE user_id IS NOT NULL")]


def count_before(connection: Connection, before: int) -> int:
    """How many rows ``shorten`` would remove."""
    first = connection.value("SELECT min(id) FROM event_log WHERE at >= ?", (before,))
    return int(connection.value("SELECT count(*) FROM event_log WHERE id < coalesce(?, id + 1)", (first,)))


def signed_head(connection: Connection) -> Signed | None:
    """The newest point of the log that is signed; what was added without the key comes after it."""
    head = _head(connection)
    digest = None if head is None else hash_at(connection, head.signed)
    return None if head is None or digest is None or not head.signature else Signed(head.signed, digest, head.signature)


def is_signed_by(public_key: bytes, point: Signed) -> bool:
    """Whether a point of a log is signed by the node with this key."""
    return has_signed(public_key, _message(point.number, point.hash), point.signature)


def hash_at(connection: Connection, number: int) -> bytes | None:
    """The hash of a row; None where it is not there, or not any more."""
    start = _start(connection)
    found: bytes | None = start.hash if number == start.number else connection.value("SELECT hash FROM event_log WHERE id = ?", (number,))
    return found


def length(connection: Connection) -> tuple[int, int]:
    """Up to which row the log was removed, and the number of its newest row."""
    start = _start(connection)
    return start.number, int(connection.value("SELECT max(id) FROM event_log") or start.number)


# proving ------------------------------------------------------------------------------------------------------------


def verify(connection: Connection, public_key: bytes | None) -> Iterator[Fault]:
    """What is wrong with the log; nothing when all fits. Without the node's public key signatures are not looked at.

    Codes: event_missing (a gap), event_altered, event_cut (rows missing at the end), event_added (rows after the head),
    event_head (no head), event_signature, event_start (a beginning that is not signed).
    """
    start = _start(connection)
    if public_key is not None and start.number and not has_signed(public_key, _start_message(start), start.signature or b""):
        yield Fault("event_start", 1, start.number)
    number, previous, altered, at = start.number, start.hash, 0, 0
    for *row, digest in connection.stream(f"SELECT {_COLUMNS}, hash FROM event_log WHERE id > ? ORDER BY id", (number,)):
        fields = _plain(row)
        if fields[0] > number + 1:  # whether the row after a gap fits cannot be told: what it continues is gone
            yield Fault("event_missing", number + 1, fields[0] - 1)
        elif _hash(previous, fields) != digest:
            altered = fields[0]
            yield Fault("event_altered", altered, altered, fields[1])
        number, at, previous = fields[0], fields[1], digest
    head = _head(connection)
    if head is None:
        yield Fault("event_head")
        return
    if head.count > number:
        yield Fault("event_cut", number + 1, head.count)
    elif head.count < number:
        yield Fault("event_added", head.count + 1, number)
    elif head.hash != previous and altered != number:
        yield Fault("event_altered", number, number, at)
    if public_key is not None and head.count and not _is_signed(connection, head, public_key):
        yield Fault("event_signature")


def _is_signed(connection: Connection, head: _Head, public_key: bytes) -> bool:
    message = _signed_message(connection, head)
    return message is not None and bool(head.signature) and has_signed(public_key, message, head.signature or b"")


# parts --------------------------------------------------------------------------------------------------------------


def _head(connection: Connection) -> _Head | None:
    row = connection.one("SELECT count, hash, signed, signature FROM event_head")
    return _Head(*row) if row else None


def _last(connection: Connection) -> tuple[int, bytes]:
    return connection.one("SELECT id, hash FROM event_log ORDER BY id DESC LIMIT 1") or _start(connection)[:2]


def _start(connection: Connection) -> Start:
    return Start(*connection.one("SELECT number, hash, at, user_id, signature FROM event_start") or ())


def _start_message(start: Start) -> bytes:
    return b"localcrm log start\0" + start.number.to_bytes(8) + start.hash + start.at.to_bytes(8) + (start.user_id or b"")


def _signed_message(connection: Connection, head: _Head) -> bytes | None:
    """What the last signature is over: rows that were added without the key come after it."""
    digest = head.hash if head.signed == head.count else hash_at(connection, head.signed)
    return None if digest is None else _message(head.signed, digest)


def _message(count: int, digest: bytes) -> bytes:
    return b"localcrm log\0" + count.to_bytes(8) + digest


def _hash(previous: bytes, row: tuple[Any, ...]) -> bytes:
    return sha256(previous + msgspec.msgpack.encode(row)).digest()


def _plain(row: Any) -> tuple[int, int, str, bytes | None, str | None]:
    number, at, kind, user, detail = row
    return number, at, kind.decode("utf-8", "replace"), user, None if detail is None else detail.decode("utf-8", "replace")
