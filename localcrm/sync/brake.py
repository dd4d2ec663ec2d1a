"""The brake of head office: more deletions at once than anybody means by accident are not taken in before a person has allowed them.

Deleted records are kept and can be restored, but thousands of them are a mess in everybody's lists first. The exchange stops before the
batch; the branch keeps its work and sends it again, so nothing is lost by waiting.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, entity_by_no
from localcrm.store import eventlog
from localcrm.store.ddl import DELETED_NO, UPDATE
from localcrm.store.migrate import get_meta, set_meta
from localcrm.sync.codec import Changes

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store
    from localcrm.sync.codec import Batch

#: Deletions of one kind in one batch: so many are always too many; so many are, if they are a fifth of all there are.
ALWAYS, OF_MANY, SHARE = 1_000, 50, 5
#: How long what was allowed holds: an exchange by stick takes a while.
ALLOWED_MS = 24 * 3600 * 1000


def hold_back(store: Store, batch: Batch, *, node_no: int, code: str) -> None:
    """Raise ExchangeError("many_deletions") for a batch that deletes too much at once, unless that was allowed; notes what was asked for."""
    counts = _deletions(batch)
    with store.read() as connection:
        waits = get_meta(connection, f"brake:{node_no}") is not None
        if not (counts or waits) or _is_known(connection, batch):
            return
        too_many = next(((entity, count) for entity, count in counts.items() if _is_too_many(connection, entity, count)), None)
        is_allowed = int(get_meta(connection, f"brake_off:{node_no}") or 0) > store.clock.now_ms()
    if too_many is None or is_allowed:
        if waits:  # the branch took its deletions back
            with store.housekeeping() as connection:
                _forget(connection, node_no)
        return
    entity, count = too_many
    with store.housekeeping() as connection:
        if not waits:
            now, detail = store.clock.now_ms(), f"{code} {entity.key} {count}"
            eventlog.append(connection, at=now, kind="brake", detail=detail, sign=store.sign_log)
        set_meta(connection, f"brake:{node_no}", json.dumps({"entity": entity.key, "count": count}))
    raise ExchangeError(
        "many_deletions",
        N_(
            "Branch {code} deletes {count} records of the kind “{entity}” at once. Nothing of that was taken in: head office must allow it first (Merging, at the branch). The branch keeps its work and sends it again."
        ),
        code=code,
        count=count,
        entity=entity.label,
    )


def held_back(connection: Connection, node_no: int) -> dict[str, Any] | None:
    """What a branch wants to delete and nobody has allowed: {"entity", "count"}; None if nothing waits."""
    text = get_meta(connection, f"brake:{node_no}")
    return json.loads(str(text)) if text else None


def release(connection: Connection, node_no: int, *, until_ms: int) -> None:
    """Take in what the branch deletes, up to a moment."""
    set_meta(connection, f"brake_off:{node_no}", until_ms)
    _forget(connection, node_no)


def _forget(connection: Connection, node_no: int) -> None:
    connection.execute("DELETE FROM meta WHERE key = ?", (f"brake:{node_no}",))


def _deletions(batch: Batch) -> dict[EntityType, int]:
    """How many records of each kind a batch leaves in the recycle bin, where there are enough to look closer."""
    changes = Changes.of(batch.changes)
    registers = {
        number: group.new[group.columns.index(DELETED_NO)]
        for number, group in enumerate(changes.groups)
        if group.op == UPDATE and DELETED_NO in group.columns
    }
    if sum(map(len, registers.values())) < OF_MANY:
        return {}
    last: dict[tuple[int, bytes], object] = {}
    for index, number in enumerate(changes.order):
        if number in registers:
            last[changes.groups[number].table, changes.pks[index]] = registers[number][changes.places[index]]
    counts = Counter(table for (table, _pk), deleted in last.items() if deleted == 1)
    return {entity: count for table, count in counts.items() if count >= OF_MANY and (entity := entity_by_no(table)) is not None}


def _is_too_many(connection: Connection, entity: EntityType, count: int) -> bool:
    live = int(connection.value(f'SELECT count(*) FROM "{entity.key}" WHERE deleted = 0'))
    return count > ALWAYS or count * SHARE > live


def _is_known(connection: Connection, batch: Batch) -> bool:
    """Whether all of it has arrived before."""
    have = {
        (node_no, int.from_bytes(epoch)): oseq
        for node_no, epoch, oseq in connection.all("SELECT node_no, epoch, have_oseq FROM sync_origin")
    }
    return all(have.get(batch.origins[tx.origin], 0) >= tx.first_oseq + tx.count - 1 for tx in batch.txs)
