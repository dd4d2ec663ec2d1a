"""When records last changed, read from the change log and its past."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection

_AT_ONCE = 500


def changed_since(connection: Connection, entity: EntityType, ids: Sequence[str], since_ms: int) -> set[str]:
    """Those of these records (hex ids) whose newest change, wherever it was made, is not older than a moment (Unix milliseconds).

    Of a change that has moved into the past only its chunk's newest moment is asked for, which is later by at most the time of some
    hundred changes.
    """
    found: set[str] = set()
    for start in range(0, len(ids), _AT_ONCE):
        portion = [bytes.fromhex(one) for one in ids[start : start + _AT_ONCE]]
        marks = ",".join("?" * len(portion))
        lately = f"""SELECT DISTINCT l.pk FROM sync_log l JOIN sync_tx t ON t.tx = l.tx
            WHERE l.tbl = ? AND l.pk IN ({marks}) AND t.hlc >= ?"""
        before = f"""SELECT r.pk FROM sync_past_row r WHERE r.tbl = ? AND r.pk IN ({marks})
            AND (SELECT p.newest_hlc FROM sync_past p WHERE p.upto >= r.newest ORDER BY p.upto LIMIT 1) >= ?"""
        for sql in (lately, before):
            found.update(row[0].hex() for row in connection.all(sql, [entity.no, *portion, since_ms << 16]))
    return found
