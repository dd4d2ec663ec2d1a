"""Which kinds of records the search index names at all for a question: many are asked for everywhere, few answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.store import search
from localcrm.store.ddl import ROW_BITS, doc_id

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection


def kinds_with_hits(connection: Connection, text: str) -> set[int]:
    """Numbers of kinds some row of which may answer, whoever may see it; the others need not be asked.

    Opening a question costs the same whether it has hits or not, so it is opened once for each kind that has some, not for each there is.
    """
    asked = search.question(text)
    found: set[int] = set()
    below: int | None = None if asked else 0
    while below != 0:
        limit = "" if below is None else f"AND rowid < {below}"
        newest = connection.value(f"SELECT rowid FROM search WHERE search MATCH ? {limit} ORDER BY rowid DESC LIMIT 1", (asked.expression,))  # type: ignore[union-attr]
        if newest is None:
            break
        found.add(newest >> ROW_BITS)
        below = (newest >> ROW_BITS) << ROW_BITS
    return found


def has_more(connection: Connection, entity: EntityType, text: str, count: int) -> bool:
    """Whether more rows of a kind than so many may answer, whoever may see them."""
    asked = search.question(text)
    if asked is None:
        return False
    found = connection.value(
        "SELECT count(*) FROM (SELECT 1 FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?)",
        (asked.expression, doc_id(entity, 0), doc_id(entity, (1 << ROW_BITS) - 1), count + 1),
    )
    return int(found) > count
