"""How far head office has countersigned the system log of a branch, and what that tells.

A branch says at each exchange how long its log is, what it ends with, and signs that; head office keeps it and signs it too. What is cut
off, rewritten or put back to an earlier state before that point is noticed: at the branch by its own copy, at head office by the next exchange.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from localcrm.kernel.i18n import N_
from localcrm.store import eventlog
from localcrm.store.eventlog import Fault, Signed
from localcrm.store.migrate import get_meta
from localcrm.store.node import OFFICE_NO, load_node
from localcrm.store.signatures import has_signed, sign_keys

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.node import Node


class Witness(NamedTuple):
    """A point of a branch's log with head office's signature, and when that was given (Unix milliseconds)."""

    number: int
    hash: bytes
    at: int
    signature: bytes


def _message(company_id: bytes, node_no: int, point: Witness) -> bytes:
    return b"localcrm log witness\0" + company_id + node_no.to_bytes(2) + point.number.to_bytes(8) + point.hash + point.at.to_bytes(8)


def known(connection: Connection, node_no: int) -> Witness | None:
    """The last countersignature over the log of a node."""
    row = connection.one("SELECT number, hash, at, signature FROM log_witness WHERE node_no = ?", (node_no,))
    return None if row is None else Witness(*row)


# head office --------------------------------------------------------------------------------------------------------


def countersign(
    connection: Connection, node: Node, point: Signed | None, *, node_no: int, public_key: bytes, told: int, at: int, sign: eventlog.Sign
) -> int | None:
    """Take in what a branch says of its log and sign it; returns how many rows are missing since last time, 0 for none.

    ``told``: the branch's clock when it said so; what it said before the last time is an old file and tells nothing (None). A point without
    the branch's signature counts as a log without rows and is not signed.
    """
    if point is not None and not eventlog.is_signed_by(public_key, point):
        point = None
    row = connection.one("SELECT number, hash, told, lost FROM log_witness WHERE node_no = ?", (node_no,))
    before, digest, last_told, lost = row or (0, b"", 0, 0)
    if told < last_told:
        return None
    told = min(told, at)  # a clock set ahead once must not make all that is said later look old
    now = point.number if point else 0
    missing = before - now if now < before else before if point and now == before and point.hash != digest else 0
    if point is None:
        is_new = missing and missing != lost
        connection.execute("UPDATE log_witness SET lost = ?, told = ? WHERE node_no = ?", (missing or lost, told, node_no))
        return missing if is_new else 0
    if (point.number, point.hash) == (before, digest):
        return 0
    fresh = Witness(point.number, point.hash, at, b"")
    signature = sign(_message(node.company_id, node_no, fresh))
    if signature:
        connection.execute(
            "INSERT OR REPLACE INTO log_witness(node_no, number, hash, at, signature, told, lost) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (node_no, point.number, point.hash, at, signature, told, missing or lost),
        )
    return missing


def acknowledge(connection: Connection, node_no: int) -> None:
    """Somebody has seen that rows are missing; the system log keeps it."""
    connection.execute("UPDATE log_witness SET lost = 0 WHERE node_no = ?", (node_no,))


# the branch -----------------------------------------------------------------------------------------------------------


def receive(connection: Connection, node: Node, fresh: Witness) -> None:
    """A branch keeps a newer countersignature, if it is head office's."""
    kept = known(connection, node.node_no)
    if (kept is None or fresh.at >= kept.at) and _is_genuine(connection, node, fresh):
        connection.execute(
            "INSERT OR REPLACE INTO log_witness(node_no, number, hash, at, signature) VALUES (?, ?, ?, ?, ?)", (node.node_no, *fresh)
        )


def faults(connection: Connection) -> Iterator[Fault]:
    """What does not fit the last countersignature here: event_countersignature (not genuine), event_rolled_back (rows missing), event_rewritten."""
    kept = _kept(connection)
    if kept is None:
        return
    begins, ends = eventlog.length(connection)
    if not _is_genuine(connection, load_node(connection), kept):
        yield Fault("event_countersignature", at=kept.at)
    elif kept.number > ends:
        yield Fault("event_rolled_back", ends + 1, kept.number, kept.at)
    elif kept.number >= begins and eventlog.hash_at(connection, kept.number) != kept.hash:
        yield Fault("event_rewritten", 1, kept.number, kept.at)


def blind_spot(connection: Connection) -> tuple[str, int, int]:
    """What no look at this file can tell: an msgid, and the number of the row and the time it names."""
    kept = _kept(connection)
    if kept is not None:
        return _SINCE, kept.number, kept.at
    return _OFFICE if get_meta(connection, "node.role") == "office" else _NEVER, 0, 0


def _kept(connection: Connection) -> Witness | None:
    """At a branch the countersignature over its own log."""
    if get_meta(connection, "node.role") != "branch":
        return None
    return known(connection, load_node(connection).node_no)


_SINCE = N_(
    "Head office countersigned the log up to row {count}, on {time}. Rows after that may have been cut off, or the whole data file "
    "put back to a state after that; that is noticed only at the next exchange."
)
_NEVER = N_(
    "A data file that was put back to an earlier state as a whole, log and all, looks in order here; "
    "that is noticed only once head office has countersigned the log at an exchange."
)
_OFFICE = N_(
    "A data file that was put back to an earlier state as a whole, log and all, looks in order here: nobody countersigns the log of head office. "
    "Keep its backups where nobody changes them."
)


def _is_genuine(connection: Connection, node: Node, point: Witness) -> bool:
    message = _message(node.company_id, node.node_no, point)
    return any(point.at <= known.until and has_signed(known.key, message, point.signature) for known in sign_keys(connection, OFFICE_NO))
