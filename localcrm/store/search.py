"""The search index: finds a record by any run of characters, by pinyin, or by the last digits of a number.

Text is indexed as pairs of neighbouring characters, so that any run of two or more characters is a phrase of pairs and
a rare run is found as fast as a common one. Pinyin initials are indexed as pairs too, in every reading of a polyphone,
syllables one by one. Numbers are indexed backwards, so that last digits are a prefix. The index keeps no text of its
own (contentless); hits are rows of the entity tables. Pairs and syllables say nothing about their order, so longer
pinyin is compared with the rows themselves. Hits come newest first and are ranked only among the first CANDIDATES,
never over all.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from operator import add, itemgetter
from typing import TYPE_CHECKING, Any

from localcrm.kernel.schema import EntityType, Field, Stored, entities
from localcrm.store import marks, pinyin
from localcrm.store.ddl import ROW_BITS, doc_id
from localcrm.store.view import View

if TYPE_CHECKING:
    from localcrm.store.connection import Connection

CANDIDATES = 200
#: Facts of the file while the index follows what came (see ``search_follows``): number of the first change in the log that it may not know, and
#: of the first document that was not gone through since a snapshot came; 0 for none.
FIRST_CHANGE, FIRST_ROW = "search.log", "search.rows"
#: Hits that must be compared with their rows stop at CANDIDATES, or when this many times as many were looked at.
LOOKED_AT = 5
#: Digits at the end of a number that a person may type.
MIN_TAIL = 4
_MAX_TEXT = 2000
#: Of texts with so many characters to be read aloud each pair and syllable is indexed once; in a name few come again, and to look costs more.
_REPEATS = 100
#: From how many pieces of one size on the index joins them; what FTS5 does where nobody says otherwise.
_AUTOMERGE = 4
#: Pages that are joined after each transaction of a merge, up to so many times as long as there are more pieces than this: with 16 of one size
#: FTS5 joins them all at once.
_JOINED, _JOINED_AT_MOST, _PIECES = 96, 4, 16
_LETTERS = string.ascii_lowercase + string.digits
_RUN = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d+")


def normalise(text: str) -> str:
    """Full width to half width, capitals to small letters."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def runs(text: str) -> list[str]:
    """Runs of letters, digits and ideographs; everything else separates."""
    return _RUN.findall(normalise(text))


def _is_long_number(run: str) -> bool:
    return len(run) > MIN_TAIL and run.isdecimal()


def _digits(text: str) -> str:
    return text if text.isdecimal() else "".join(_DIGITS.findall(text))


# indexing ----------------------------------------------------------------------------------------------------------


#: The texts of a row's searched fields; and what is indexed for them: text, initials, syllables, tails of numbers.
Texts = tuple[str, ...]
Indexed = tuple[str, str, str, str]


def index_text(values: Texts) -> Indexed:
    """What is indexed for the searched values of one row."""
    text: list[str] = []
    chinese: list[str] = []
    spoken = paired = ""
    for run in runs("\0".join([value[:_MAX_TEXT] for value in values])):
        if len(run) > MIN_TAIL and run.isdecimal():
            text.append(run)
            continue
        if run in paired:
            continue  # a short name is usually part of the name: its pairs are there already
        paired = f"{paired} {run}"
        pairs = _pairs(len(run))(run) if len(run) > 1 else (run,)
        text += pairs
        if not run.isascii() and pinyin.holds_chinese(run):
            chinese += pairs
            spoken += run
    if len(spoken) > _REPEATS:
        chinese, spoken = list(dict.fromkeys(chinese)), "".join(dict.fromkeys(spoken))
    initials = " ".join(map(pinyin.WRITTEN.__getitem__, chinese))
    syllables = " ".join(map(pinyin.READ.__getitem__, spoken))
    numbers = [_digits(value[:200]) for value in values if not value.isalpha()]
    tails = [number[::-1] for number in numbers if len(number) >= MIN_TAIL]
    return " ".join(text), initials, syllables, " ".join(tails)


@lru_cache(maxsize=64)
def _pairs(length: int) -> Callable[[str], tuple[str, ...]]:
    """Cuts a run of this length, 2 or more, into its pairs and its last character."""
    return itemgetter(*(slice(place, place + 2) for place in range(length)))


def searched_texts(values: Iterable[Stored]) -> Texts:
    """Values of a row's searched fields as ``index_text`` takes them."""
    return tuple([str(value) for value in values if value is not None])


def index_rows(connection: Connection, entity: EntityType, rids: Iterable[int], *, fresh: bool = False) -> None:
    """Index rows as they stand in their table, with what they are known by; ``fresh`` when none of them was indexed before."""
    if entity.searched:
        ordered = sorted(rids)
        marks.renew(connection, entity, ordered, fresh=fresh)
        index_texts(connection, entity, ordered, fresh=fresh)


def index_logged(connection: Connection, entity: EntityType, rids: Iterable[int], *, fresh: bool = False) -> None:
    """The same for rows whose change is in the log: in a merge what they are known by, their text once the index follows the log."""
    if connection.index_follows:
        marks.renew(connection, entity, sorted(rids), fresh=fresh)
    else:
        index_rows(connection, entity, rids, fresh=fresh)


def index_texts(connection: Connection, entity: EntityType, rids: Sequence[int], *, fresh: bool = False) -> None:
    """Index the text of rows, numbers in rising order: the index starts a new piece whenever one is lower than the one before, and after
    every other statement that might fail half-way.
    """
    live = {row[0]: searched_texts(row[2:]) for row in _rows(connection, entity, rids)}
    if not fresh:
        _take_out(connection, entity, [rid for rid in rids if rid not in live])
    connection.executemany(
        f"{'INSERT' if fresh else 'REPLACE'} INTO search(rowid, text, pinyin, full, tail) VALUES (?, ?, ?, ?, ?)",
        [(doc_id(entity, rid), *index_text(texts)) for rid, texts in live.items()],
    )


def forget(connection: Connection, entity: EntityType, rids: Iterable[int]) -> None:
    """Take rows out of the index that are about to leave their table."""
    if entity.searched:
        leaving = sorted(rids)
        marks.forget(connection, entity, leaving)
        _take_out(connection, entity, leaving)


def _take_out(connection: Connection, entity: EntityType, rids: Sequence[int]) -> None:
    connection.executemany("DELETE FROM search WHERE rowid = ?", [(doc_id(entity, rid),) for rid in rids])


@contextmanager
def joining(connection: Connection) -> Iterator[None]:
    """Within a transaction that indexes much: the index joins its pieces a few at a time, at the end.

    By itself it does so in bursts of some hundred pages, for which whoever saves would have to wait.
    """
    _set(connection, "automerge", 0)
    yield
    _set(connection, "automerge", _AUTOMERGE)
    for _turn in range(_JOINED_AT_MOST):
        _set(connection, "merge", _JOINED)
        if _pieces(connection) <= _PIECES:
            break


def _pieces(connection: Connection) -> int:
    """Of how many pieces the index is made; of each only the first entry is looked at."""
    return int(
        connection.value(
            """WITH RECURSIVE piece(id) AS (SELECT min(segid) FROM search_idx
                   UNION ALL SELECT (SELECT min(segid) FROM search_idx WHERE segid > id) FROM piece WHERE id IS NOT NULL)
               SELECT count(id) FROM piece"""
        )
    )


def _set(connection: Connection, what: str, value: int) -> None:
    """Tell the index something: https://sqlite.org/fts5.html, section 6."""
    connection.execute("INSERT INTO search(search, rank) VALUES (?, ?)", (what, value))


def _rows(
    connection: Connection, entity: EntityType, rids: Sequence[int], fields: Sequence[Field] | None = None
) -> Iterator[tuple[Any, ...]]:
    """Live rows in the order of their numbers: row number, id, searched values (or those of ``fields``)."""
    columns = ", ".join(f'"{field.key}"' for field in (entity.searched if fields is None else fields)) or "NULL"
    for start in range(0, len(rids), 500):
        portion: list[int | None] = [*rids[start : start + 500]]
        portion += [None] * (-len(portion) % 20)  # few different statements, so that one is prepared already
        marks = ",".join("?" * len(portion))
        yield from connection.all(f'SELECT rid, id, {columns} FROM "{entity.key}" WHERE rid IN ({marks}) AND deleted = 0', portion)


# asking ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """What a person typed: its full-text expression, and whether each hit must still be compared with its row."""

    expression: str
    runs: tuple[str, ...]
    tail: str | None
    exact: bool

    def answered_by(self, values: Iterable[Any]) -> bool:
        """Whether the searched values of a row answer it: every run by its text or its pinyin, or all of it as last digits."""
        texts = [str(value) for value in values if value is not None]
        if self.tail and any(_digits(text[:200]).endswith(self.tail) for text in texts):
            return True
        whole = normalise(" ".join([text[:_MAX_TEXT] for text in texts]))
        spoken = [run for run in _RUN.findall(whole) if not run.isascii()]
        return all(wanted in whole or (wanted.isascii() and any(_sounds(run, wanted) for run in spoken)) for wanted in self.runs)


def _sounds(run: str, wanted: str) -> bool:
    return pinyin.written_by_initials(run, wanted) or (
        wanted.isalpha() and bool(pinyin.split_syllables(wanted)) and pinyin.read_aloud(run, wanted)
    )


@lru_cache(maxsize=256)
def question(text: str) -> Question | None:
    """The query for what a person typed; None when nothing searchable was typed."""
    wanted = tuple(run[:60] for run in runs(text)[:8])
    if not wanted:
        return None
    parts = [_run_expression(run) for run in wanted]
    expression = " AND ".join(f"({part})" for part, _exact in parts)
    digits = _digits(normalise(text))[:40]
    tail = digits if len(digits) >= MIN_TAIL and not any(c.isalpha() for c in text) else None
    if tail:
        expression = f"({expression}) OR (tail : {tail[::-1]}*)"
    return Question(expression, wanted, tail, all(exact for _part, exact in parts))


def _run_expression(run: str) -> tuple[str, bool]:
    """The expression for one run, and whether its hits are certain."""
    if _is_long_number(run):
        return f"text : ({run}* OR {_phrase(run)})", True
    text = f"text : {_phrase(run)}"
    if not run.isascii() or run.isdecimal():
        return text, True
    if len(run) == 1:
        # Named one by one: a prefix would be gathered from the whole index before the first hit is known.
        return f"{{text pinyin}} : ({' OR '.join([run, *(run + second for second in _LETTERS)])})", True
    ways = pinyin.split_syllables(run) if run.isalpha() else []
    spoken = [f"(full : ({' AND '.join([*way[:-1], _begun(way[-1])])}))" for way in ways]
    initials = f"(pinyin : ({' AND '.join(map(add, run, run[1:]))}))"
    return " OR ".join([text, initials, *spoken]), len(run) == 2 and all(len(way) == 1 for way in ways)


def _begun(letters: str) -> str:
    return f"({' OR '.join(pinyin.syllables_with(letters))})"


def _phrase(run: str) -> str:
    if len(run) == 1:
        return f'"{run}" *'
    return '"' + " ".join(map(add, run, run[1:])) + '"'


def find_rows(connection: Connection, view: View, text: str, limit: int | None = CANDIDATES) -> list[int] | None:
    """Row numbers of the live hits that may be seen, newest first, all of them without ``limit``; None when nothing searchable was typed."""
    asked = question(text)
    if asked is None:
        return None
    if _is_certain(connection, view, asked):
        return _candidates(connection, view, asked, limit)
    found: list[int] = []
    below, looked = (1 << ROW_BITS), 0
    limit = None if limit is None else min(limit, CANDIDATES)
    portion = limit or 1000
    while limit is None or (len(found) < limit and looked < limit * LOOKED_AT):
        rids = _candidates(connection, view, asked, portion, below=below)
        answers = {row[0] for row in _rows(connection, view.entity, rids, _searched(view)) if asked.answered_by(row[2:])}
        found += [rid for rid in rids if rid in answers]
        if len(rids) < portion:
            break
        below, looked = rids[-1], looked + portion
    return found[:limit]


def _candidates(connection: Connection, view: View, asked: Question, limit: int | None, *, below: int = 1 << ROW_BITS) -> list[int]:
    """Row numbers the index names, newest first. Rows that may not be seen do not count towards the limit."""
    low = doc_id(view.entity, 0)
    source, condition, params = "search", "1", list[Any]()
    if view.rows is not None:
        condition, params = view.condition("seen")
        source = f'search CROSS JOIN "{view.entity.key}" AS seen ON seen.rid = search.rowid - {low}'
    found = connection.all(
        f"SELECT search.rowid FROM {source} WHERE search MATCH ? AND search.rowid BETWEEN ? AND ? AND {condition} "
        "ORDER BY search.rowid DESC LIMIT ?",
        [asked.expression, low, low + below - 1, *params, -1 if limit is None else limit],
    )
    return [row[0] - low for row in found]


def _searched(view: View) -> tuple[Field, ...]:
    """Fields whose text may answer a question: what is hidden does not even confirm a guess."""
    return tuple(field for field in view.entity.searched if view.shows(field.key))


def _is_certain(connection: Connection, view: View, asked: Question) -> bool:
    """Whether what the index names answers the question, and need not be compared with its row."""
    return asked.exact and len(_searched(view)) == len(view.entity.searched) and not is_behind(connection)


def is_behind(connection: Connection) -> bool:
    """Whether something that has come is not found yet, or by words that it no longer says."""
    return bool(connection.value("SELECT EXISTS (SELECT 1 FROM meta WHERE key IN (?, ?) AND value <> 0)", (FIRST_CHANGE, FIRST_ROW)))


@dataclass(frozen=True, slots=True)
class Hit:
    """One record found: ``match`` is the value of the field that answers the query best."""

    entity: str
    id: str
    title: str
    match: str


def find(connection: Connection, text: str, *, among: Sequence[View] | None = None, limit: int = 20) -> list[Hit]:
    """Records of any kind (or of those ``among``), exact and leading matches first within the newest CANDIDATES of each kind."""
    asked = question(text)
    if asked is None:
        return []
    wanted = normalise(text).strip()
    hits = [
        hit
        for view in (among if among is not None else map(View, entities()))
        if _searched(view)
        for hit in _hits(connection, view, asked, wanted)
    ]
    hits.sort(key=lambda scored: scored[0])
    return [hit for _score, hit in hits[:limit]]


def _hits(connection: Connection, view: View, asked: Question, wanted: str) -> Iterator[tuple[int, Hit]]:
    entity, fields = view.entity, _searched(view)
    place = next((n for n, field in enumerate(fields) if field.key == entity.title_field), None)
    rows = list(_rows(connection, entity, _candidates(connection, view, asked, CANDIDATES), fields))
    is_certain = _is_certain(connection, view, asked)
    for _rid, identity, *values in reversed(rows):
        if is_certain or asked.answered_by(values):
            title = values[place] if place is not None else _title(connection, entity, identity)
            score, match = min(((_score(wanted, str(value)), str(value)) for value in values if value is not None), default=(9, ""))
            yield score, Hit(entity.key, identity.hex(), str(title or ""), match)


def _title(connection: Connection, entity: EntityType, identity: bytes) -> Any:
    return connection.value(f'SELECT "{entity.title_field}" FROM "{entity.key}" WHERE id = ?', (identity,))


def _score(query: str, value: str) -> int:
    text = normalise(value)
    digits = _digits(query)
    if text == query:
        return 0
    if text.startswith(query):
        return 1
    if query in text:
        return 2
    if len(digits) >= MIN_TAIL and _digits(text).endswith(digits):
        return 3
    spelled = ["".join(pinyin.initials(c)[0] for c in text if c.isalnum())] if query.isascii() and not text.isascii() else []
    if any(s.startswith(query) for s in spelled):
        return 4
    return 5 if any(query in s for s in spelled) else 6


def count_rows(connection: Connection, entity: EntityType) -> int:
    """How many rows of an entity are indexed."""
    return int(
        connection.value(
            "SELECT count(*) FROM search WHERE rowid BETWEEN ? AND ?", (doc_id(entity, 0), doc_id(entity, (1 << ROW_BITS) - 1))
        )
    )


def lost_row(connection: Connection, entity: EntityType) -> int | None:
    """Number of a row that is indexed and not there, so that the row can be put back under it; None where there is none."""
    if not entity.searched:
        return None
    found = connection.value(
        f'SELECT rowid FROM search s WHERE rowid BETWEEN ? AND ? AND NOT EXISTS (SELECT 1 FROM "{entity.key}" WHERE rid = s.rowid - ?) LIMIT 1',
        (doc_id(entity, 0), doc_id(entity, (1 << ROW_BITS) - 1), doc_id(entity, 0)),
    )
    return None if found is None else int(found) - doc_id(entity, 0)


def reindex(connection: Connection) -> None:
    """Build the whole index anew from the tables."""
    forget_all(connection)
    marks.forget_all(connection)
    for entity in entities():
        if entity.searched:
            rids = [row[0] for row in connection.all(f'SELECT rid FROM "{entity.key}" WHERE deleted = 0 ORDER BY rid')]
            index_rows(connection, entity, rids, fresh=True)


def forget_all(connection: Connection) -> None:
    """Before all is indexed anew."""
    connection.execute("INSERT INTO search(search) VALUES ('delete-all')")
