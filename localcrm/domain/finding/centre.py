"""What the search centre shows: records of every kind, and attached files, by what was typed.

Every kind that declares searched fields is covered, through what the actor may see of it (``store.search``): what is hidden is neither found
nor shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from localcrm.domain import policy
from localcrm.domain.finding.highlight import Span, spans
from localcrm.domain.finding.indexed import NamedFile, find_files, find_phones
from localcrm.domain.finding.narrowing import Narrowing, narrowed
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import NotFound
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import EntityType, Field, Kind, entities, entity as entity_type
from localcrm.store import search, touched
from localcrm.store.connection import Connection
from localcrm.store.kinds import has_more, kinds_with_hits
from localcrm.store.query import Condition, ListQuery, Record, load_record, record_columns, select
from localcrm.store.view import Masked, View

#: Stands for attached files where a kind of record is named.
FILES = "file"
#: Of a kind no more than these are told apart; hits beyond them are older.
MOST = search.CANDIDATES
#: Records shown of each kind beside others, and of one kind alone.
FEW, MANY = 5, 100
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Match:
    """A field that answers the question, with its text and the places in it."""

    field: Field
    text: str
    places: list[Span]


@dataclass(frozen=True, slots=True)
class Found:
    """One record that answers, as the actor may see it; ``file``: the attached file that does."""

    kind: EntityType
    record: Record
    matches: list[Match]
    file: NamedFile | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """hits: the best of each kind, or of the kind asked for · counts: hits by kind, the kind with the best first · capped: kinds of which there
    may be more than were looked at · sole: number of the hit that is meant, where only one answers, or only one exactly.
    """

    hits: list[Found] = field(default_factory=list)
    counts: Mapping[str, int] = field(default_factory=dict)
    capped: frozenset[str] = frozenset()
    sole: int | None = None


def look_up(
    connection: Connection, actor: Actor, text: str, narrowing: Narrowing | None = None, *, kind: str = "", now_ms: int = 0
) -> Answer:
    """Everything the actor may see that answers a text; ``kind``: show only this one of them (a key, or FILES)."""
    narrowing = narrowing or Narrowing()
    if search.question(text) is None:
        return Answer()
    views = {view.entity.key: view for view in narrowed(connection, actor, narrowing)}
    ids, capped = _hits(connection, views, text)
    files = find_files(connection, text, among=views.values(), limit=MOST)
    if len(files) >= MOST:
        capped.add(FILES)
    if narrowing.days:
        since = now_ms - narrowing.days * _DAY_MS
        ids = {key: _lately(connection, key, found, since) for key, found in ids.items()}
        named = {key: set(_lately(connection, key, [one.id for one in files if one.entity == key], since)) for key in views}
        files = [one for one in files if one.id in named[one.entity]]
    counts = {key: len(ids[key]) for key in sorted(ids, key=_is_set_up) if ids[key]} | ({FILES: len(files)} if files else {})
    most = MANY if kind else FEW
    hits: list[Found] = []
    for key in counts:
        if kind in {"", key}:
            hits += (
                _files_shown(connection, views, files[:most], text)
                if key == FILES
                else _shown(connection, views[key], ids[key][:most], text)
            )
    return Answer(hits, counts, frozenset(capped), _sole(hits, sum(counts.values()), text))


def _hits(connection: Connection, views: Mapping[str, View], text: str) -> tuple[dict[str, list[str]], set[str]]:
    """Ids of the records that answer by kind, the kind with the best first; and the kinds of which there may be more."""
    ids: dict[str, list[str]] = defaultdict(list)
    answering = kinds_with_hits(connection, text)
    asked = [view for view in views.values() if view.entity.no in answering]
    for hit in search.find(connection, text, among=asked, limit=len(asked) * MOST):
        ids[hit.entity].append(hit.id)
    capped = set[str]()
    for key, view in views.items():
        more, is_cut = _older(connection, view, text) if view in asked else ([], False)
        more += find_phones(connection, text, view, limit=MOST)
        if more:
            ids[key] = list(dict.fromkeys([*ids[key], *more]))[:MOST]
        if is_cut or len(ids.get(key, ())) >= MOST:
            capped.add(key)
    return ids, capped


def _older(connection: Connection, view: View, text: str) -> tuple[list[str], bool]:
    """Hits by pinyin that stand behind the newest rows that might be some, and whether even older rows were not looked at."""
    question = search.question(text)
    if question is None or question.exact or not has_more(connection, view.entity, text, MOST):
        return [], False
    rids = search.find_rows(connection, view, text, limit=MOST) or []
    marks = ",".join("?" * len(rids))
    found: dict[int, str] = {
        rid: identity.hex() for rid, identity in connection.all(f'SELECT rid, id FROM "{view.entity.key}" WHERE rid IN ({marks})', rids)
    }
    return [found[rid] for rid in rids if rid in found], has_more(connection, view.entity, text, MOST * search.LOOKED_AT)


def _is_set_up(kind: str) -> bool:
    """Whether a kind is how the company is set up rather than what it does: such hits come behind the others."""
    return entity_type(kind).kind is Kind.HUB or entity_type(kind).owner == "id"


def _lately(connection: Connection, kind: str, ids: Sequence[str], since_ms: int) -> list[str]:
    changed = touched.changed_since(connection, entity_type(kind), ids, since_ms)
    return [one for one in ids if one in changed]


def _shown(connection: Connection, view: View, ids: Sequence[str], text: str) -> Iterator[Found]:
    records = _records(connection, view, ids)
    for record in (records[one] for one in ids if one in records):
        yield Found(view.entity, record, list(_matches(view, record, text)))


def _files_shown(connection: Connection, views: Mapping[str, View], files: Sequence[NamedFile], text: str) -> Iterator[Found]:
    records = {
        (key, identity): record
        for key in {one.entity for one in files}
        for identity, record in _records(connection, views[key], [one.id for one in files if one.entity == key]).items()
    }
    for one in files:
        record, kind = records.get((one.entity, one.id)), entity_type(one.entity)
        if record is not None:
            yield Found(kind, record, [Match(kind.fields[one.field], one.file.name, spans(one.file.name, text))], one)


def _records(connection: Connection, view: View, ids: Sequence[str]) -> dict[str, Record]:
    condition, params = view.condition(f'"{view.entity.key}"')
    sql = f'SELECT {record_columns(view.entity)} FROM "{view.entity.key}" WHERE id IN ({",".join("?" * len(ids))}) AND {condition}'
    rows = connection.all(sql, [*map(bytes.fromhex, ids), *params])
    return {row[0].hex(): view.of(load_record(view.entity, row)) for row in rows}


def _matches(view: View, record: Record, text: str) -> Iterator[Match]:
    for one in view.entity.searched:
        value = record.get(one.key)
        if value is not None and view.shows(one.key) and not isinstance(value, Masked):
            places = spans(str(value), text)
            if places:
                yield Match(one, str(value), places)


def _sole(hits: Sequence[Found], count: int, text: str) -> int | None:
    if count == 1 and hits:
        return 0
    wanted = "".join(search.runs(text))
    exact = [
        number
        for number, hit in enumerate(hits)
        if any("".join(search.runs(line)) == wanted for match in hit.matches for line in match.text[:1000].splitlines())
    ]
    return exact[0] if len(exact) == 1 else None


# preview -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Below:
    """What hangs on a record: the first of its kind, and how many there are."""

    kind: EntityType
    rows: list[Record]
    total: int


@dataclass(frozen=True, slots=True)
class Preview:
    """A record as the actor may see it, and what is seen with it."""

    kind: EntityType
    record: Record
    below: list[Below]


def preview(connection: Connection, actor: Actor, kind: EntityType, identity: str, *, each: int = 3) -> Preview:
    """One record with the first few of everything under it; raises Forbidden, NotFound."""
    view = policy.view(actor, kind)
    rows = select(connection, ListQuery(kind, where=(Condition("id", "=", parse_id(identity)),), limit=1, restrict=view), count=False).rows
    if not rows:
        raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=kind.label)
    return Preview(kind, rows[0], list(_below(connection, actor, kind, identity, each)))


def _below(connection: Connection, actor: Actor, kind: EntityType, identity: str, each: int) -> Iterator[Below]:
    for other in entities():
        under = other.under
        if under is None or other.fields[under].f.ref != kind.key:
            continue
        view = policy.seen(actor, other)
        if view is None or not view.shows(under):
            continue
        page = select(connection, ListQuery(other, where=(Condition(under, "=", identity),), limit=each, restrict=view))
        if page.rows:
            yield Below(other, page.rows, page.total)
