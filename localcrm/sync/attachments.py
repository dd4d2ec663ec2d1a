"""Contents of attached files in an exchange: what each side lacks, and pieces of what the other one has; last of all, and resumable.

A side says what it lacks and how far it has got; the other sends the next pieces, as many as there is room for. Whatever is lost on
the way is simply still lacking the next time. A branch sends new files unasked, so that one stick is enough; that head office has
them it hears from what head office lacks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcrm.store import blobs
from localcrm.store.node import OFFICE_NO
from localcrm.sync.messages import Lacking, Piece

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from localcrm.store.store import Store

#: Bytes of contents in one request or answer over the network, and in one file that is carried.
PER_ROUND, PER_FILE = 4 * blobs.PIECE, 256 * blobs.PIECE
#: Contents that one message asks for.
_MOST = 2_000

#: Piece of a content: its hash and the byte it begins with.
Place = tuple[bytes, int]


def lacking(store: Store) -> Lacking:
    """What is named here and not here."""
    blobs.note_named(store)
    found = blobs.missing(store, _MOST + 1)
    return Lacking([(one.hash, one.have) for one in found[:_MOST]], complete=len(found) <= _MOST)


def hear_lacking(store: Store, node_no: int, message: Lacking) -> None:
    """Remember what the other side lacks, instead of what it lacked before; a branch learns from it what head office has."""
    with store.housekeeping() as connection:
        connection.execute("DELETE FROM blob_lacking WHERE node_no = ?", (node_no,))
        rows = [(node_no, digest, have) for digest, have in message.files]
        connection.executemany("INSERT OR REPLACE INTO blob_lacking(node_no, hash, have) VALUES (?, ?, ?)", rows)
        waiting = "SELECT 1 FROM sync_origin WHERE node_no = ? AND have_oseq > acked_oseq"
        if node_no == OFFICE_NO and message.complete and not connection.one(waiting, (store.node.node_no,)):
            # Head office knows every record that names files, so what it does not lack it has.
            connection.execute(
                """UPDATE blob SET state = 'here' WHERE state = 'new' AND named = 1
                   AND hash NOT IN (SELECT hash FROM blob_lacking WHERE node_no = ?)""",
                (node_no,),
            )


def pieces(store: Store, node_no: int, room: int, *, since: int | None = None, but: Container[Place] = ()) -> Iterator[Piece]:
    """The next pieces for another side, smallest contents first: of what it lacks, of what is new here, and of what others named
    ``since`` this place of the change log, up to which it knows everything. Pieces sent before are left out.
    """
    with store.read() as connection:
        found = () if since is None else blobs.named_since(connection, since, but_by=node_no)
        wanted = connection.all(
            """SELECT b.hash, b.size, coalesce(l.have, 0) FROM blob b LEFT JOIN blob_lacking l ON l.hash = b.hash AND l.node_no = ?
               WHERE b.state = 'new' AND b.named = 1
               OR b.state IN ('here', 'new') AND (l.hash IS NOT NULL OR b.hash IN (SELECT unhex(value) FROM json_each(?)))
               ORDER BY b.size, b.hash""",
            (node_no, json.dumps([file.hash for file in found])),
        )
    for digest, size, have in wanted:
        for at in range(have, size, blobs.PIECE):
            if room <= 0:
                return
            if (digest, at) in but:
                continue
            if at == 0 and not blobs.is_sound(store, digest, size):  # who gets it would throw it away, and ask again
                break
            data = blobs.piece(store, digest, size, at)
            if not data:  # it is gone from the disk, which ``check`` tells
                break
            yield Piece(digest, at, data)
            room -= len(data)


def take(store: Store, message: Piece) -> bool:
    """Keep a piece; whether it was one that is lacking here."""
    blobs.note_named(store)
    return blobs.take_piece(store, message.hash, message.at, message.data)
