"""The versions of a quote: all that replaced each other, the first one first, and in what they differ."""

from __future__ import annotations

from dataclasses import dataclass

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.domain.records import no_such_record
from localcrm.domain.sales.entities import Quote
from localcrm.kernel.schema import Field
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, ref_titles, select

_QUOTE = Quote.entity_type
#: More versions than anybody lays beside each other.
MOST = 20
#: What makes a version another quote by itself says nothing of what was offered.
_APART = frozenset({"replaces_id", "version_no", "number", "status"})


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions in their order, the fields that are not the same in all of them, and the names of what they refer to: field → id → name."""

    rows: list[Record]
    fields: list[Field]
    names: dict[str, dict[str, str]]

    def changed(self, field: Field, place: int) -> bool:
        """Whether a field differs from the version before."""
        return place > 0 and self.rows[place].get(field.key) != self.rows[place - 1].get(field.key)


def versions_of(connection: Connection, actor: Actor, quote_id: str) -> Versions:
    """The versions around a quote, as far as the actor may see them; raises NotFound where he may not see that one."""
    seen = policy.view(actor, _QUOTE)

    def found(field: str, value: str) -> Record | None:
        rows = select(connection, ListQuery(_QUOTE, where=(Condition(field, "=", value),), limit=1, restrict=seen), count=False).rows
        return rows[0] if rows else None

    quote = found("id", quote_id)
    if quote is None:
        raise no_such_record(_QUOTE)
    rows = [quote]
    known = {quote["id"]}
    while seen.shows("replaces_id") and len(rows) < MOST and (before := rows[0]["replaces_id"]) and (row := found("id", before)):
        if row["id"] in known:  # replaced in a circle, by branches apart
            break
        known.add(row["id"])
        rows.insert(0, row)
    while seen.shows("replaces_id") and len(rows) < MOST and (row := found("replaces_id", rows[-1]["id"])):
        if row["id"] in known:
            break
        known.add(row["id"])
        rows.append(row)
    fields = [field for field in _QUOTE.readable if field.key not in _APART and len({str(row.get(field.key)) for row in rows}) > 1]
    return Versions(rows, fields, ref_titles(connection, _QUOTE, rows))
