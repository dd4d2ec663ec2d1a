"""With whom a record is shared, and whether it is known yet where that matters: a share, or its end, takes effect there and not before."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from localcrm.domain import policy
from localcrm.domain.people.entities import Share, User
from localcrm.domain.policy import Actor
from localcrm.kernel.ids import made_at
from localcrm.kernel.schema import EntityType, entities, entity as entity_type
from localcrm.store.changelog import history
from localcrm.store.connection import Connection
from localcrm.store.node import OFFICE_NO, Node
from localcrm.store.query import Record, load_record, record_columns, titles

_SHARE, _USER = Share.entity_type, User.entity_type
_TARGETS = ("user_id", "department_id", "branch_id")
#: Shares of one record that are told of.
MOST = 200
#: So long one that ended is still listed; a request for a customer, which its maker shared with himself, is not.
ENDED_LATELY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class SharedWith:
    """One share of a record, ``by`` whom and ``since`` when it is known to be. ``ended``: ended, ``ended_at`` and ``ended_by`` ("" for the program), ``over``: its last day has passed.

    ``waits_for``: the branch that has not heard of this share, or of its end, yet ("" where everybody concerned has, or where
    that is not known here) · ``last_heard``: when that branch exchanged last.
    """

    share: Record
    name: str
    ended: bool
    over: bool
    waits_for: str = ""
    last_heard: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str = ""
    by: str = ""

    @property
    def since(self) -> datetime:
        """When it was shared: its id tells."""
        return made_at(self.share["id"])


def shares_of(connection: Connection, node: Node, actor: Actor, kind: EntityType, identity: str, *, today: date) -> list[SharedWith]:
    """The shares of a record the actor sees, and those that ended lately or have not reached everybody yet; the newest first."""
    policy.require_record(connection, actor, kind, identity, "read")
    policy.require(actor, "share.read")
    rows = connection.all(
        f"SELECT {record_columns(_SHARE)} FROM share WHERE record = ? AND entity = ? ORDER BY deleted, rid DESC LIMIT {MOST}",
        (identity, kind.key),
    )
    found, sharers = [], dict[str, str]()
    for share in (load_record(_SHARE, row) for row in rows):
        name = _name(connection, share)
        if not name:
            continue
        if share["shared_by"] and share["shared_by"] not in sharers:
            sharers |= titles(connection, _USER, [share["shared_by"]])
        by = sharers.get(share["shared_by"], "")
        branch, heard = _waiting(connection, node, share)
        over = share["until"] is not None and share["until"] < today
        if not share["deleted"]:
            found.append(SharedWith(share, name, ended=False, over=over, waits_for=branch, last_heard=heard, by=by))
            continue
        at, ended_by = _ended(connection, share["id"])
        is_news = at is not None and at.astimezone().date() >= today - ENDED_LATELY and share["shared_by"] != share["user_id"]
        if branch or is_news:
            found.append(SharedWith(share, name, True, over, branch, heard, at, ended_by, by))
    return found


def _ended(connection: Connection, identity: str) -> tuple[datetime | None, str]:
    """When a share ended and who ended it; "" for the program."""
    row = next((row for row in history(connection, _SHARE, identity) if row.field == "deleted" and row.new), None)
    if row is None:
        return None, ""
    return datetime.fromisoformat(row.at), titles(connection, _USER, [row.user_id]).get(row.user_id, "") if row.user_id else ""


def shared_names(connection: Connection, kind: EntityType, identity: str) -> list[str]:
    """With whom a record is shared."""
    rows = connection.all(
        f"SELECT {record_columns(_SHARE)} FROM share WHERE record = ? AND entity = ? AND deleted = 0 ORDER BY rid LIMIT {MOST}",
        (identity, kind.key),
    )
    return [name for share in (load_record(_SHARE, row) for row in rows) if (name := _name(connection, share))]


def share_of(connection: Connection, identity: str) -> tuple[EntityType, str, str] | None:
    """What a share shares with whom, ended or not: kind of record, record, name; None for one that is not known here."""
    row = connection.one(f"SELECT {record_columns(_SHARE)} FROM share WHERE id = ?", (bytes.fromhex(identity),))
    share = load_record(_SHARE, row) if row else None
    kind = next((kind for kind in entities() if share and kind.key == share["entity"]), None)
    return (kind, share["record"], _name(connection, share) or "…") if kind and share else None


def _name(connection: Connection, share: Record) -> str:
    key = next((key for key in _TARGETS if share[key]), None)
    return titles(connection, entity_type(_SHARE.fields[key].f.ref or ""), [share[key]]).get(share[key], "…") if key else ""


def still_shared(connection: Connection, kind: EntityType, ids: Iterable[bytes]) -> set[bytes]:
    """Those of these records that somebody shares with somebody else."""
    listed = json.dumps([pk.hex() for pk in ids])
    rows = connection.all(
        "SELECT DISTINCT record FROM share WHERE deleted = 0 AND (user_id IS NULL OR shared_by IS NOT user_id) AND entity = ? AND record IN (SELECT value FROM json_each(?))",
        (kind.key, listed),
    )
    return {bytes.fromhex(record) for (record,) in rows}


def shared_by(connection: Connection, actor: Actor, kind: EntityType, today: date) -> list[str]:
    """Ids of the records of a kind that somebody has shared with others, and that are still shared."""
    rows = connection.all(
        "SELECT DISTINCT record FROM share WHERE shared_by = ? AND entity = ? AND deleted = 0 AND (until IS NULL OR until >= ?) AND user_id IS NOT ?1",
        (bytes.fromhex(actor.user_id or ""), kind.key, today.isoformat()),
    )
    return [record for (record,) in rows]


def _waiting(connection: Connection, node: Node, share: Record) -> tuple[str, datetime | None]:
    """The branch of whom a record is shared with, where it has not heard the latest about that yet, and when it exchanged last."""
    branch = share["branch_id"]
    if share["user_id"]:
        row = connection.value('SELECT branch_id FROM "user" WHERE id = ?', (bytes.fromhex(share["user_id"]),))
        branch = row.hex() if row else None
    if branch is None or branch == node.branch_id:
        return "", None
    place = connection.one("SELECT name, node_no FROM branch WHERE id = ?", (bytes.fromhex(branch),))
    newest = connection.value("SELECT max(lseq) FROM sync_log WHERE tbl = ? AND pk = ?", (_SHARE.no, bytes.fromhex(share["id"])))
    if place is None or newest is None:  # what left the log everybody has heard
        return "", None
    if node.is_office:
        peer = connection.one("SELECT recv_hseq, last_ok FROM sync_peer WHERE node_no = ?", (place[1],))
        if peer is None or peer[0] >= newest:
            return "", None
        return str(place[0]), datetime.fromtimestamp(peer[1] / 1000, tz=UTC) if peer[1] else None
    # A branch knows what head office has heard from it, and of other branches nothing.
    sent = connection.value(
        """SELECT t.first_oseq + ?1 - t.first_lseq <= o.acked_oseq OR o.node_no <> ?2 FROM sync_tx t JOIN sync_origin o USING (origin)
           WHERE t.first_lseq <= ?1 ORDER BY t.first_lseq DESC LIMIT 1""",
        (newest, node.node_no),
    )
    if sent and place[1] == OFFICE_NO:
        return "", None
    last = connection.value("SELECT last_ok FROM sync_peer WHERE node_no = ?", (OFFICE_NO,))
    return ("", None) if sent else (str(place[0]), datetime.fromtimestamp(last / 1000, tz=UTC) if last else None)
