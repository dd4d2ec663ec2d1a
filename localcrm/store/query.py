"""Typed list queries: what may be filtered and sorted is what the declaration names, nothing else reaches SQL.

Pages follow a cursor (the last row's sort value and row number), so the thousandth page costs what the first does.
Totals are counted only up to TOTAL_CAP. Rights become part of the same query through ``restrict``: rows that may not
be seen are never read, fields that may not be are left out of every record and can neither sort nor filter.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import is_id
from localcrm.kernel.schema import EntityType, Field, Stored, clean_text, entity as entity_type
from localcrm.store import merged, search
from localcrm.store.ddl import empty
from localcrm.store.tree import All, Among, Asker, Either, Listed, Node, Not, Term, compiled, figure
from localcrm.store.view import Masked, View, With

if TYPE_CHECKING:
    from localcrm.store.connection import Connection

TOTAL_CAP = 10_000
MAX_LIMIT = 1000
#: Longest text that "contains" and "starts" look for.
LONGEST_PART = 1000

#: A record as the rest of the house sees it: "id", "deleted", "version" and one Python value per field.
Record = dict[str, Any]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains", "starts", "in", "any", "among", "blank", "filled", "yearly"]
_COMPARE = {"=": "IS", "!=": "IS NOT", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: ``value`` is text as typed, or a typed value, or a list of them for "in".

    "among" asks whether a reference or one of the further references of the record to the same kind is this one,
    "yearly" whether a day has its anniversary on one of these ("11-23").
    """

    field: str
    op: Operator
    value: Any = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the stored sort value and the row number."""

    value: Stored
    rid: int


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list shows. ``sort`` is a field, "-" before it for descending; "" for newest first.

    ``exact`` counts every row and follows a search beyond its first hits, for commands and exports that may take longer.
    ``restrict`` is what the asker may see, ``among`` what of other kinds, which ``tree`` may ask about; None only for the program's own work.
    """

    entity: EntityType
    where: tuple[Condition, ...] = ()
    search: str = ""
    sort: str = ""
    limit: int = 50
    offset: int = 0
    after: Cursor | None = None
    deleted: bool = False
    restrict: View | None = None
    exact: bool = False
    tree: Node | None = None
    among: Among | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page: rows, how many there are in all (unless exact, at most TOTAL_CAP + 1 is counted), and where to go on."""

    rows: list[Record]
    total: int
    next: Cursor | None

    @property
    def capped(self) -> bool:
        """Whether there are more rows than were counted."""
        return self.total > TOTAL_CAP


def record_columns(entity: EntityType) -> str:
    """Columns of a record in the order ``load_record`` expects."""
    return f"id, deleted, version, {entity.shape.named}"


def load_record(entity: EntityType, row: Sequence[Any]) -> Record:
    """A record from a row of ``record_columns``."""
    record: Record = {"id": row[0].hex(), "deleted": bool(row[1]), "version": row[2]}
    for field, value in zip(entity.fields.values(), row[3:], strict=True):
        record[field.key] = field.load(value)
    return record


def record_json(entity: EntityType, record: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON form of a record: id, then every readable field it holds."""
    return {"id": record["id"], **{field.key: field.to_json(record[field.key]) for field in entity.readable if field.key in record}}


def select(connection: Connection, query: ListQuery, *, count: bool = True) -> Page:
    """One page of a list; without ``count`` its total is only the number of its rows."""
    entity = query.entity
    query = _with_merged(connection, query)
    limit = max(0, min(query.limit, MAX_LIMIT))
    view = query.restrict or View(entity)
    rids = search.find_rows(connection, view, query.search, limit=None if query.exact else MAX_LIMIT) if query.search.strip() else None
    conditions, params = asking = _conditions(query, rids)
    total = 0
    if count:
        finding = _conditions(query, rids, finds=True) if rids is None and _found_by_index(connection, query) else asking
        total = _count(connection, entity, *finding, exact=query.exact)
        if total <= TOTAL_CAP:
            # So few are gathered and sorted sooner than come upon among all others in the order of the list; many the other way round.
            conditions, params = finding
    sort, descending = _sort(query)
    rows = _rows(connection, query, sort, descending, conditions, params, limit)
    records = [view.of(load_record(entity, row[2:])) for row in rows]
    total = total if count else len(rows)
    following = Cursor(rows[-1][1], rows[-1][0]) if len(rows) == limit and rows else None
    return Page(records, total, following)


def check(query: ListQuery) -> None:
    """Raise InvalidInput where the query asks for what may not be asked, without reading anything."""
    _conditions(query, None)
    _sort(query)


def _with_merged(connection: Connection, query: ListQuery) -> ListQuery:
    """Who asks for what refers to a record asks also for what refers to those that were merged into it."""
    tree = query.tree and _looked_up(connection, query.tree)
    return replace(query, where=tuple(_also_merged(connection, query.entity, condition) for condition in query.where), tree=tree)


def _looked_up(connection: Connection, node: Node) -> Node:
    """A tree with the rows that are listed elsewhere instead of where they are listed."""
    match node:
        case All(parts):
            return All(tuple(_looked_up(connection, part) for part in parts))
        case Either(parts):
            return Either(tuple(_looked_up(connection, part) for part in parts))
        case Not(part):
            return Not(_looked_up(connection, part))
        case Listed(ids):
            return Condition("id", "in", list(ids(connection))[:TOTAL_CAP])
    return node


def _also_merged(connection: Connection, entity: EntityType, condition: Condition) -> Condition:
    field = entity.fields.get(condition.field)
    if field is None or not field.f.ref or field.key == entity.merged or condition.op not in {"=", "among", "in"}:
        return condition
    kind = entity_type(field.f.ref)
    asked = condition.value if condition.op == "in" else [condition.value]
    ids = [one.lower() for one in asked if isinstance(one, str) and is_id(one.lower())]
    more = merged.merged_into(connection, kind, ids) if kind.merged and len(ids) <= MAX_LIMIT else {}
    if not more:
        return condition
    return replace(condition, op="in" if condition.op == "=" else condition.op, value=[*asked, *more])


def _count(connection: Connection, entity: EntityType, conditions: str, params: list[Any], *, exact: bool = False) -> int:
    cap = "" if exact else f" LIMIT {TOTAL_CAP + 1}"
    return int(connection.value(f'SELECT count(*) FROM (SELECT 1 FROM "{entity.key}" WHERE {conditions}{cap})', params))


def _found_by_index(connection: Connection, query: ListQuery) -> bool:
    """Whether what may be seen is better found than asked row by row: not in the bin, and not below a great many other records."""
    view = query.restrict
    if query.deleted or view is None or view.rows is None:
        return False
    above = [part.view for part in view.rows if isinstance(part, With) and part.view.rows is not None]
    return all(_count(connection, one.entity, *one.condition(f'"{one.entity.key}"', finds=True)) <= TOTAL_CAP for one in above)


def _rows(
    connection: Connection, query: ListQuery, sort: Field | None, descending: bool, conditions: str, params: list[Any], limit: int
) -> list[tuple[Any, ...]]:
    key = f'"{sort.key}"' if sort else "NULL"
    base = f'SELECT rid, {key}, {record_columns(query.entity)} FROM "{query.entity.key}" WHERE {conditions}'
    way, beyond = ("DESC", "<") if descending else ("ASC", ">")
    order = f" ORDER BY {key} {way}, rid {way}" if sort else f" ORDER BY rid {way}"
    if query.after is None:
        return connection.all(f"{base}{order} LIMIT {limit} OFFSET ?", [*params, max(0, query.offset)])
    after = query.after
    if sort is None:
        return connection.all(f"{base} AND rid {beyond} ?{order} LIMIT {limit}", [*params, after.rid])
    # Empty values sort before all others; a row-value comparison would drop them, so the two parts are read in turn.
    empty, filled = f"{base} AND {key} IS NULL", f"{base} AND {key} IS NOT NULL"
    if after.value is None:
        steps: list[tuple[str, list[Any]]] = [(f"{empty} AND rid {beyond} ?", [after.rid])] + ([] if descending else [(filled, [])])
    else:
        steps = [(f"{filled} AND ({key}, rid) {beyond} (?, ?)", [after.value, after.rid])] + ([(empty, [])] if descending else [])
    rows: list[tuple[Any, ...]] = []
    for statement, extra in steps:
        if len(rows) < limit:
            rows += connection.all(f"{statement}{order} LIMIT {limit - len(rows)}", [*params, *extra])
    return rows


def _sort(query: ListQuery) -> tuple[Field | None, bool]:
    wish = query.sort or query.entity.order_by or ""
    if not wish:
        return None, True
    field = query.entity.field(wish.removeprefix("-"))
    if field.secret or not _shows(query, field):
        if not query.sort:
            return None, True
        raise InvalidInput("bad_sort", N_("Lists cannot be sorted by “{field}”."), field=field.key)
    return field, wish.startswith("-")


def _conditions(query: ListQuery, rids: list[int] | None, *, finds: bool = False) -> tuple[str, list[Any]]:
    parts: list[str] = [f"deleted = {int(query.deleted)}"]
    params: list[Any] = []
    for condition in query.where:
        if condition.field == "id":
            parts.append("id = ?")
            params.append(bytes.fromhex(condition.value))
            continue
        field = query.entity.field(condition.field)
        if not _shows(query, field):
            raise _no_filter(field)
        sql, values = _among(query, field, condition) if condition.op == "among" else _condition(field, condition)
        parts.append(sql)
        params += values
    if query.restrict is not None and query.restrict.rows is not None:
        sql, values = query.restrict.condition(f'"{query.entity.key}"', finds=finds)
        parts.append(sql)
        params += values
    if query.tree is not None:
        among = query.among or (_nothing if query.restrict is not None else None)
        sql, values = compiled(query.tree, Asker(query.restrict or View(query.entity), among, _leaf))
        parts.append(sql)
        params += values
    if rids is not None:
        parts.append("rid IN (SELECT value FROM json_each(?))")
        params.append(json.dumps(rids))
    return " AND ".join(parts), params


def _nothing(_kind: EntityType) -> None:
    """Of other kinds, what somebody sees whose rights to them are not told."""


def _leaf(view: View, condition: Condition) -> tuple[str, list[Any]]:
    """One field of a tree."""
    if condition.field == "id":
        ids = [condition.value] if condition.op == "=" else list(condition.value or ())
        return f'"{view.entity.key}".id IN ({",".join("?" * len(ids))})', [bytes.fromhex(one) for one in ids]
    field = view.entity.field(condition.field)
    if not view.shows(field.key):
        raise _no_filter(field)
    return _condition(field, condition)


def _shows(query: ListQuery, field: Field) -> bool:
    return query.restrict is None or query.restrict.shows(field.key)


def _no_filter(field: Field) -> InvalidInput:
    return InvalidInput("bad_filter", N_("Lists cannot be filtered by “{field}”."), field=field.key)


def _among(query: ListQuery, field: Field, condition: Condition) -> tuple[str, list[Any]]:
    lists = [other for other in query.entity.fields.values() if other.f.refs and other.f.refs == field.f.ref and _shows(query, other)]
    asked = condition.value if isinstance(condition.value, list) else [condition.value]
    sql, values = _condition(field, Condition(field.key, "in", asked) if len(asked) > 1 else Condition(field.key, "=", asked[0]))
    wanted = [value.hex() for value in values if isinstance(value, bytes)]
    also = "".join(f' OR instr("{other.key}", ?) > 0' for other in lists for _one in wanted)
    return f"({sql}{also})", [*values, *(one for _other in lists for one in wanted)]


def _condition(field: Field, condition: Condition) -> tuple[str, list[Any]]:
    column = f'"{field.key}"'
    if field.secret:
        raise _no_filter(field)
    match condition.op:
        case "blank":
            return f"{column} IS NULL", []
        case "filled":
            return f"{column} IS NOT NULL", []
        case "in":
            values = [stored_value(field, value) for value in condition.value]
            return f"{column} IN ({','.join('?' * len(values))})", values
        case "yearly" if field.kind == "date":
            return f"substr({column}, 6) IN ({','.join('?' * len(condition.value))})", list(condition.value)
        case "any":  # of the values that a field of several choices holds
            held = f"char(10) || {column} || char(10)"
            parts = [f"instr({held}, char(10) || ? || char(10)) > 0"] * len(condition.value)
            return f"({' OR '.join(parts) or '0'})", [_plain_text(field, value) for value in condition.value]
        case "contains" | "starts":
            text = _plain_text(field, condition.value).replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
            return rf"{column} LIKE ? ESCAPE '\'", [f"%{text}%" if condition.op == "contains" else f"{text}%"]
    if condition.op not in _COMPARE:
        raise _no_filter(field)
    return f"{column} {_COMPARE[condition.op]} ?", [stored_value(field, condition.value)]


def _plain_text(field: Field, value: Any) -> str:
    if len(str(value)) > LONGEST_PART:  # SQLite refuses patterns of 50,000 bytes
        raise _not_understood(field, value)
    try:
        return clean_text(str(value))
    except ValueError:
        raise _not_understood(field, value) from None


def _not_understood(field: Field, value: Any) -> InvalidInput:
    shown = str(value)[:60].encode("utf-8", "replace").decode()
    return InvalidInput("bad_value", N_("{label}: “{value}” cannot be understood."), label=field.label, value=shown)


def stored_value(field: Field, value: Any) -> Stored:
    """The stored form of a filter value, which may be text as typed; raises InvalidInput."""
    if value is None or value == "":
        return None
    adapter = _adapter(field)
    try:
        return field.store(adapter.validate_python(value))
    except ValueError:
        raise _not_understood(field, value) from None


def _adapter(field: Field) -> Any:
    """Checks one value as the field's declaration would, without its bounds on a whole record."""
    from pydantic import TypeAdapter

    from localcrm.kernel import schema

    types: dict[str, Any] = {
        "ref": schema.Id,
        "money": schema.Money,
        "quantity": schema.Quantity,
        "price": schema.Price,
        "rate": schema.Rate,
        "date": datetime.date,
        "datetime": schema.Moment,
        "boolean": bool,
        "integer": int,
    }
    if field.kind not in _ADAPTERS:
        _ADAPTERS[field.kind] = TypeAdapter(types.get(field.kind, schema.LongText))
    return _ADAPTERS[field.kind]


_ADAPTERS: dict[str, Any] = {}


def records_by_id(connection: Connection, entity: EntityType, ids: Sequence[str]) -> list[Record]:
    """Records by id, whole, deleted ones too: for the program's own working out, never for a screen."""
    marks = ",".join("?" * len(ids))
    rows = connection.all(f'SELECT {record_columns(entity)} FROM "{entity.key}" WHERE id IN ({marks})', [bytes.fromhex(i) for i in ids])
    return [load_record(entity, row) for row in rows]


def titles(connection: Connection, entity: EntityType, ids: Sequence[str]) -> dict[str, str]:
    """Titles of records by id, deleted ones too: old documents still name their customer."""
    result: dict[str, str] = {}
    # A list of ids may hold anything that another node has sent.
    unique = [identity for identity in dict.fromkeys(ids) if not isinstance(identity, Masked) and is_id(identity)]
    for start in range(0, len(unique), 500):
        portion = [bytes.fromhex(i) for i in unique[start : start + 500]]
        marks = ",".join("?" * len(portion))
        rows = connection.all(f'SELECT id, "{entity.title_field}" FROM "{entity.key}" WHERE id IN ({marks})', portion)
        result.update((row[0].hex(), str(row[1] or "")) for row in rows)
    return result


def ref_titles(connection: Connection, entity: EntityType, records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """For every field of references the titles of what the records point to: field key → id → title."""
    found = {
        field.key: titles(connection, entity_type(field.f.ref or ""), [r[field.key] for r in records if r.get(field.key)])
        for field in entity.refs
    }
    for field in entity.fields.values():
        if field.f.refs:
            lists = [value for r in records if (value := r.get(field.key)) and not isinstance(value, Masked)]
            found[field.key] = titles(connection, entity_type(field.f.refs), [one for value in lists for one in value.split()])
    return found


def every(connection: Connection, query: ListQuery) -> Iterator[Page]:
    """Every page of a list, from the query's offset to its end, in the query's order; at least one. The first knows the total."""
    page = select(connection, replace(query, limit=MAX_LIMIT))
    yield page
    while page.next is not None:
        page = select(connection, replace(query, limit=MAX_LIMIT, after=page.next), count=False)
        yield page


def group_counts(connection: Connection, view: View, field: str) -> list[tuple[Any, int]]:
    """How many live records that may be seen have each value of a field; nothing for a field that may not.

    From the maintained table where one is declared and every row may be seen.
    """
    entity, column = view.entity, view.entity.field(field)
    if not view.shows(field):
        return []
    total = next((t for t in entity.totals if t.by == (field,) and t.field is None), None)
    condition, params = view.condition(f'"{entity.key}"', finds=True)
    source = (
        f'SELECT nullif("{field}", {empty(entity, field)}), total FROM "{total.name}" WHERE total > 0'
        if total and view.rows is None
        else f'SELECT "{field}", count(*) AS total FROM "{entity.key}" WHERE deleted = 0 AND {condition} GROUP BY "{field}"'
    )
    return [(column.load(value), count) for value, count in connection.all(f"{source} ORDER BY total DESC LIMIT 500", params)]


def grouped(
    connection: Connection,
    view: View,
    fields: Sequence[str],
    terms: Sequence[Term] = (),
    among: Among | None = None,
    made: Mapping[str, str] | None = None,
) -> list[tuple[tuple[Any, ...], int, int]]:
    """By the values of some fields: how many live records may be seen, and the sum of the terms over them, in stored form.

    ``made``: SQL over the table for keys among ``fields`` that are none of its fields; whoever gives it knows that it may be seen.
    The most numerous first, at most MAX_LIMIT. Raises InvalidInput where a field or what the terms are made of may not be seen.
    """
    entity, made = view.entity, made or {}
    columns = [None if key in made else entity.field(key) for key in fields]
    for column in columns:
        if column is not None and (column.secret or not view.shows(column.key)):
            raise _no_filter(column)
    if len(columns) == 1 and not terms and not made:
        return [((value,), count, 0) for value, count in group_counts(connection, view, fields[0])]
    amount, values = figure(terms, Asker(view, among, _leaf))
    condition, params = view.condition(f'"{entity.key}"', finds=True)
    names = ", ".join(f'"{key}"' for key in fields)
    given = ", ".join(f'{made[key]} AS "{key}"' if key in made else f'"{key}"' for key in fields)
    places = ", ".join(str(place) for place in range(1, len(columns) + 1))
    rows = connection.all(
        f"""SELECT {names}, count(*), sum(amount) FROM (SELECT {given}, {amount} AS amount FROM "{entity.key}" WHERE deleted = 0 AND {condition})
            GROUP BY {places} ORDER BY count(*) DESC LIMIT {MAX_LIMIT}""",
        [*values, *params],
    )
    return [(tuple(c.load(v) if c else v for c, v in zip(columns, row, strict=False)), row[-2], row[-1]) for row in rows]


def with_more(query: ListQuery, *conditions: Condition) -> ListQuery:
    """The same query, narrowed."""
    return replace(query, where=(*query.where, *conditions))
