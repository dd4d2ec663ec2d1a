"""The versions of a quote: all that replaced each other, the first one first, and in what they and their lines differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.domain.records import no_such_record
from localcrm.domain.sales.entities import Quote, QuoteLine
from localcrm.kernel.schema import Field
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, every, ref_titles, select

_QUOTE, _LINE = Quote.entity_type, QuoteLine.entity_type
#: More versions than anybody lays beside each other.
MOST = 20
#: What makes a version another quote by itself says nothing of what was offered.
_APART = frozenset({"replaces_id", "version_no", "number", "status"})
#: What of a line was offered.
_OFFERED = ("description", "quantity", "unit", "price", "discount", "tax_rate", "remark")


@dataclass(frozen=True, slots=True)
class LineDiffers:
    """A product that is not offered alike in all versions: its line in each, None where there is none."""

    product: str
    cells: Sequence[Record | None]

    def changed(self, place: int) -> bool:
        """Whether the line differs from the version before."""
        return place > 0 and _offer(self.cells[place]) != _offer(self.cells[place - 1])


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions in their order, the fields that are not the same in all of them, and the names of what they refer to: field → id → name."""

    rows: list[Record]
    fields: list[Field]
    names: dict[str, dict[str, str]]
    lines: list[LineDiffers]

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
    return Versions(rows, fields, ref_titles(connection, _QUOTE, rows), _lines(connection, actor, rows))


def _lines(connection: Connection, actor: Actor, quotes: Sequence[Record]) -> list[LineDiffers]:
    """Lines that differ, as far as the actor may see them: the first of a product beside the first of it, the second beside the second."""
    seen = policy.seen(actor, _LINE)
    if seen is None or not all(map(seen.shows, ("quote_id", "product_id"))):
        return []
    found: dict[tuple[str, int], list[Record | None]] = {}
    names: dict[str, str] = {}
    for place, quote in enumerate(quotes):
        query = ListQuery(
            _LINE, where=(Condition("quote_id", "=", quote["id"]),), sort="position" if seen.shows("position") else "", restrict=seen
        )
        lines = [line for page in every(connection, query) for line in page.rows]
        names |= ref_titles(connection, _LINE, lines).get("product_id", {})
        counted: dict[str, int] = {}
        for line in lines:
            nth = counted[line["product_id"]] = counted.get(line["product_id"], 0) + 1
            found.setdefault((line["product_id"], nth), [None] * len(quotes))[place] = line
    differing = [LineDiffers(names.get(product, ""), cells) for (product, _nth), cells in found.items()]
    return [one for one in differing if any(one.changed(place) for place in range(len(quotes)))]


def _offer(line: Record | None) -> tuple[str, ...] | None:
    return None if line is None else tuple(str(line.get(key)) for key in _OFFERED)
