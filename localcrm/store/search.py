"""The search index: finds a record by any run of characters, by pinyin, or by the last digits of a number.

Text is indexed as pairs of neighbouring characters, so that any run of two or more characters is a phrase of pairs and
a rare run is found as fast as a common one. Pinyin initials are indexed the same way. Numbers are indexed backwards,
so that last digits are a prefix. The index keeps no text of its own (contentless); hits are rows of the entity tables.
Hits come newest first and are ranked only among the first CANDIDATES, never over all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from localcrm.kernel.schema import EntityType, entities
from localcrm.store import pinyin

if TYPE_CHECKING:
    from localcrm.store.connection import Connection

CANDIDATES = 200
#: Digits at the end of a number that a person may type.
MIN_TAIL = 4
_KIND_BITS = 8
_LONG_DIGITS = re.compile(r"\d{5,}")


def doc_id(entity: EntityType, rid: int) -> int:
    """Index number of a row: its row number and its entity in one integer."""
    return rid << _KIND_BITS | entity.no


def normalise(text: str) -> str:
    """Full width to half width, capitals to small letters."""
    return unicodedata.normalize("NFKC", text).casefold()


@lru_cache(maxsize=4096)
def runs(text: str) -> tuple[str, ...]:
    """Runs of letters, digits and ideographs; everything else separates."""
    return tuple("".join(c if c.isalnum() else " " for c in normalise(text)).split())


def pairs(run: str) -> str:
    """A run as overlapping pairs, ended by its last character: 有限公 → "有限 限公 公"."""
    return " ".join([run[i : i + 2] for i in range(len(run) - 1)] + [run[-1]])


def index_text(values: Iterable[str]) -> tuple[str, str, str, str]:
    """What is indexed for the searched values of one row: text, initials, syllables, tails of numbers."""
    text, initial, full, tails = [], [], [], []
    for value in values:
        for run in runs(value[:2000]):
            text.append(run if _LONG_DIGITS.fullmatch(run) else pairs(run))
            if any(pinyin.is_chinese(c) for c in run):
                initial += [pairs(spelling) for spelling in pinyin.initial_spellings(run)]
                full += [" ".join(spelling) for spelling in pinyin.syllable_spellings(run)]
        digits = "".join(c for c in value[:200] if c.isdigit())
        if len(digits) >= MIN_TAIL:
            tails.append(digits[::-1])
    return " ".join(text), " | ".join(initial), " | ".join(full), " ".join(tails)


def index_rows(connection: Connection, entity: EntityType, rids: Sequence[int], *, fresh: bool = False) -> None:
    """Index rows as they stand in their table; ``fresh`` when none of them was indexed before."""
    if not entity.searched:
        return
    columns = ", ".join(f'"{field.key}"' for field in entity.searched)
    kind = f"k{entity.no}"
    for start in range(0, len(rids), 500):
        portion = rids[start : start + 500]
        if not fresh:
            connection.executemany("DELETE FROM search WHERE rowid = ?", [(doc_id(entity, rid),) for rid in portion])
        marks = ",".join("?" * len(portion))
        rows = connection.all(f'SELECT rid, {columns} FROM "{entity.key}" WHERE rid IN ({marks}) AND deleted = 0', portion)
        connection.executemany(
            "INSERT INTO search(rowid, text, pinyin, full, tail, kind) VALUES (?, ?, ?, ?, ?, ?)",
            [(doc_id(entity, row[0]), *index_text(str(v) for v in row[1:] if v is not None), kind) for row in rows],
        )


def match_expression(text: str, entity: EntityType | None = None) -> str | None:
    """The full-text query for what a person typed; None when nothing searchable was typed."""
    digits = "".join(c for c in normalise(text) if c.isdigit())
    parts = [part for run in runs(text)[:8] if (part := _run_expression(run[:60]))]
    if not parts:
        return None
    expression = " AND ".join(f"({part})" for part in parts)
    if len(digits) >= MIN_TAIL and not any(c.isalpha() for c in text):
        expression = f"({expression}) OR (tail : {digits[::-1][:40]}*)"
    return f"({expression}) AND (kind : k{entity.no})" if entity else expression


def _run_expression(run: str) -> str:
    if _LONG_DIGITS.fullmatch(run):
        return f"text : {run}*"
    ways = [f"text : {_phrase(run)}"]
    if run.isascii():
        ways.append(f"pinyin : {_phrase(run)}")
        if len(run) > 1 and run.isalpha():
            ways += [
                f'full : "{" ".join(way[:-1])}" + {way[-1]}*' if way[:-1] else f"full : {way[-1]}*" for way in pinyin.split_syllables(run)
            ]
    return " OR ".join(ways)


def _phrase(run: str) -> str:
    if len(run) == 1:
        return f'"{run}" *'
    return '"' + " ".join(run[i : i + 2] for i in range(len(run) - 1)) + '"'


def find_rows(connection: Connection, entity: EntityType, text: str, limit: int = CANDIDATES) -> list[int] | None:
    """Row numbers of an entity's live hits, newest first; None when nothing searchable was typed."""
    expression = match_expression(text, entity)
    if expression is None:
        return None
    found = connection.all("SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT ?", (expression, limit))
    return [row[0] >> _KIND_BITS for row in found]


def rows_expression(entity: EntityType, text: str) -> tuple[str, str] | None:
    """A condition on an entity's ``rid`` that holds for every hit, with its parameter; None when nothing searchable was typed."""
    expression = match_expression(text, entity)
    return None if expression is None else (f"rid IN (SELECT rowid >> {_KIND_BITS} FROM search WHERE search MATCH ?)", expression)


@dataclass(frozen=True, slots=True)
class Hit:
    """One record found: ``match`` is the value of the field that answers the query best."""

    entity: str
    id: str
    title: str
    match: str


def find(connection: Connection, text: str, *, among: Sequence[EntityType] | None = None, limit: int = 20) -> list[Hit]:
    """Records of any kind, exact and leading matches first within the newest CANDIDATES."""
    expression = match_expression(text)
    if expression is None:
        return []
    allowed = {entity.no: entity for entity in (among if among is not None else entities()) if entity.searched}
    found = connection.all("SELECT rowid FROM search WHERE search MATCH ? ORDER BY rowid DESC LIMIT ?", (expression, CANDIDATES))
    by_entity: dict[int, list[int]] = {}
    for (doc,) in found:
        by_entity.setdefault(doc & (1 << _KIND_BITS) - 1, []).append(doc >> _KIND_BITS)
    hits = [hit for no, rids in by_entity.items() if no in allowed for hit in _hits(connection, allowed[no], rids, text)]
    hits.sort(key=lambda scored: scored[0])
    return [hit for _score, hit in hits[:limit]]


def _hits(connection: Connection, entity: EntityType, rids: list[int], text: str) -> Iterator[tuple[int, Hit]]:
    columns = ", ".join(f'"{field.key}"' for field in entity.searched)
    marks = ",".join("?" * len(rids))
    rows = connection.all(
        f'SELECT id, "{entity.title_field}", {columns} FROM "{entity.key}" WHERE rid IN ({marks}) AND deleted = 0 ORDER BY rid DESC', rids
    )
    query = normalise(text).strip()
    for identity, title, *values in rows:
        scored = [(_score(query, str(value)), str(value)) for value in values if value is not None]
        score, match = min(scored) if scored else (9, "")
        yield score, Hit(entity.key, identity.hex(), "" if title is None else str(title), match)


def _score(query: str, value: str) -> int:
    text = normalise(value)
    digits = "".join(c for c in query if c.isdigit())
    if text == query:
        return 0
    if text.startswith(query):
        return 1
    if query in text:
        return 2
    if len(digits) >= MIN_TAIL and "".join(c for c in text if c.isdigit()).endswith(digits):
        return 3
    spelled = ["".join(pinyin.initials(c)[0] for c in text if c.isalnum())] if query.isascii() and not text.isascii() else []
    if any(s.startswith(query) for s in spelled):
        return 4
    return 5 if any(query in s for s in spelled) else 6


def reindex(connection: Connection) -> None:
    """Build the whole index anew from the tables."""
    connection.execute("INSERT INTO search(search) VALUES ('delete-all')")
    for entity in entities():
        if entity.searched:
            rids = [row[0] for row in connection.all(f'SELECT rid FROM "{entity.key}" WHERE deleted = 0 ORDER BY rid')]
            index_rows(connection, entity, rids, fresh=True)
