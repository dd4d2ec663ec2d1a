"""Conditions as a tree: and, or, not, and what other records say of a row; compiled into the one query of a list.

A related condition reads only what the asker may see: of records he may see, by fields he may read. Whatever else
is asked for is refused, so that nothing can be guessed from which rows a list holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.view import View, With

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType, Field
    from localcrm.store.connection import Connection
    from localcrm.store.query import Condition

Sql: TypeAlias = "tuple[str, list[Any]]"
Comparison = Literal["=", "!=", "<", "<=", ">", ">="]
#: What an asker may see of a kind; None where that is nothing.
Among: TypeAlias = "Callable[[EntityType], View | None]"
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; without parts it always does."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One part holds at least; without parts none does."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold, or says nothing of the row."""

    part: Node


@dataclass(frozen=True, slots=True)
class Made:
    """The record was entered between two moments, the second not included: its id tells."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """There is a record of ``kind`` that names the row in its field ``by`` and fits ``where``.

    ``few``: not many fit of all there are, and an index finds them; for whoever sees every row they are gathered once instead of looked
    for with each. Only of kinds that name the record that is left once two were merged.
    """

    kind: EntityType
    by: str
    where: Node | None = None
    few: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """The row is one of those that ``ids`` names, asked when the list is read: for what no field says, and few rows fit."""

    ids: Callable[[Connection], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Planned:
    """The newest record of ``kind`` with a moment in ``due`` fits ``where``, and nothing newer was entered since that day began.

    ``at``: when something happened · ``offset_ms``: what the clock on the wall is ahead of UTC, for a day begins at home.
    """

    kind: EntityType
    by: str
    at: str
    due: str
    where: Node
    offset_ms: int


@dataclass(frozen=True, slots=True)
class Term:
    """The number of related records that fit ``where``, or the sum of a ``field`` of theirs, ``times`` 1 or −1."""

    kind: EntityType
    by: str
    field: str | None = None
    where: Node | None = None
    times: int = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """The sum of the terms compares so to a value, in stored form: scaled as the fields are."""

    terms: tuple[Term, ...]
    op: Comparison
    value: int


#: What a list may be narrowed by.
Node: TypeAlias = "All | Either | Not | Made | Related | Listed | Planned | Figure | Condition"


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose question it is: ``view`` of the kind at hand, ``among`` for the others (None: may see all), ``leaf``: SQL for one field."""

    view: View
    among: Among | None
    leaf: Callable[[View, Condition], Sql]


def compiled(node: Node, asker: Asker) -> Sql:
    """A condition over the table of ``asker.view.entity`` and its parameters; raises InvalidInput for what may not be asked."""
    match node:
        case All(parts):
            return _joined(parts, asker, " AND ", "1")
        case Either(parts):
            return _joined(parts, asker, " OR ", "0")
        case Not(part):
            sql, params = compiled(part, asker)
            return f"NOT coalesce(({sql}), 0)", params
        case Made(since, until):
            own = f'"{asker.view.entity.key}".id'
            bounds = [_first_id(moment) for moment in (since, until) if moment is not None]
            return f"({own} >= ?{f' AND {own} < ?' if until is not None else ''})", bounds
        case Related(few=True) if asker.view.rows is None:
            source, params = _source(node, asker, gathered=True)
            return f'"{asker.view.entity.key}".id IN (SELECT "{node.kind.key}"."{node.by}" FROM {source})', params
        case Related():
            source, params = _source(node, asker)
            if not asker.view.entity.merged:
                return f"EXISTS (SELECT 1 FROM {source})", params
            before, more = _source(node, asker, merged=True)
            return f"(EXISTS (SELECT 1 FROM {source}) OR ({_took_over(asker)} AND EXISTS (SELECT 1 FROM {before})))", [*params, *more]
        case Listed():  # a list that is read has its ids instead
            return "0", []
        case Planned():
            return _planned(node, asker)
        case Figure(terms, op, value):
            sql, params = figure(terms, asker)
            return f"{sql} {op} ?", [*params, value]
    return asker.leaf(asker.view, node)


def figure(terms: Sequence[Term], asker: Asker) -> Sql:
    """The sum of the terms for each row, in stored form."""
    found = [_term(term, asker) for term in terms]
    return f"({' + '.join(sql for sql, _values in found) or '0'})", [value for _sql, values in found for value in values]


def _joined(parts: Sequence[Node], asker: Asker, word: str, nothing: str) -> Sql:
    found = [compiled(part, asker) for part in parts]
    return f"({word.join(sql for sql, _values in found) or nothing})", [value for _sql, values in found for value in values]


def _first_id(moment: datetime) -> bytes:
    """No id made before that moment is as great (``kernel.ids``)."""
    return int(moment.timestamp() * 1000).to_bytes(6) + b"\x70" + bytes(9)


def _took_over(asker: Asker) -> str:
    """Whether others were merged into the row at hand: of few rows that is so, and which those are is asked once."""
    entity = asker.view.entity
    return f'"{entity.key}".id IN (SELECT k."{entity.merged}" FROM "{entity.key}" k WHERE k."{entity.merged}" IS NOT NULL)'


def _merged_rows(entity: EntityType) -> str:
    """Ids of the rows that were merged into the row at hand, at one or more removes: posted documents go on naming them."""
    return (
        f'(WITH RECURSIVE was(id) AS (SELECT m.id FROM "{entity.key}" m WHERE m."{entity.merged}" = "{entity.key}".id '
        f'UNION SELECT n.id FROM "{entity.key}" n JOIN was ON n."{entity.merged}" = was.id) SELECT was.id FROM was)'
    )


def _source(node: Related | Term | Planned, asker: Asker, *, gathered: bool = False, merged: bool = False) -> Sql:
    """FROM and WHERE for the live records that a condition is about: those of the row at hand, ``merged`` of the rows that were merged into it,
    or ``gathered`` those of all rows.
    """
    inside = _inside(node.kind, asker)
    _shown(inside.view, node.by)
    table = f'"{node.kind.key}"'
    params: list[Any] = []
    whose = f"IN {_merged_rows(asker.view.entity)}" if merged else f'= "{asker.view.entity.key}".id'
    parts = [f"{table}.deleted = 0"] if gathered else [f'{table}."{node.by}" {whose}', f"{table}.deleted = 0"]
    if merged or not _seen_with(inside.view, node.by, asker.view):
        sql, params = inside.view.condition(table)
        parts.append(sql)
    if node.where is not None and not isinstance(node, Planned):
        sql, values = compiled(node.where, inside)
        parts.append(sql)
        params = [*params, *values]
    if gathered:
        return f"{table} WHERE {' AND '.join(parts)}", params
    return f"{table} INDEXED BY {_index(node.kind, node.by)} WHERE {' AND '.join(parts)}", params


def _index(kind: EntityType, by: str) -> str:
    """What finds the few records of one row: left to itself SQLite may read every posted order for each customer."""
    keys = next((keys for keys in kind.indexes if keys[0] == by), (by,))
    return f'"{kind.key}__{"__".join(keys)}"'


def _seen_with(view: View, by: str, above: View) -> bool:
    """Whether whoever sees the row above sees all of these: then nothing needs asking again."""
    return view.rows is None or (above.rows is not None and view.rows == (With(by, above),))


def _inside(kind: EntityType, asker: Asker) -> Asker:
    view = View(kind) if asker.among is None else asker.among(kind)
    if view is None or kind is asker.view.entity:
        raise InvalidInput("bad_filter", N_("Lists cannot be filtered by “{field}”."), field=kind.label)
    return Asker(view, asker.among, asker.leaf)


def _shown(view: View, key: str) -> Field:
    field = view.entity.field(key)
    if field.secret or not view.shows(key):
        raise InvalidInput("bad_filter", N_("Lists cannot be filtered by “{field}”."), field=field.label)
    return field


def _term(term: Term, asker: Asker) -> Sql:
    source, params = _source(term, asker)
    what = "count(*)"
    if term.field is not None:
        what = f'coalesce(sum("{_shown(_inside(term.kind, asker).view, term.field).key}"), 0)'
    if not asker.view.entity.merged:
        return f"{term.times} * (SELECT {what} FROM {source})", params
    before, more = _source(term, asker, merged=True)
    taken_over = f"CASE WHEN {_took_over(asker)} THEN (SELECT {what} FROM {before}) ELSE 0 END"
    return f"{term.times} * ((SELECT {what} FROM {source}) + {taken_over})", [*params, *more]


def _planned(node: Planned, asker: Asker) -> Sql:
    inside = _inside(node.kind, asker)
    at, due = (_shown(inside.view, key).key for key in (node.at, node.due))
    source, params = _source(node, asker)
    test, values = compiled(node.where, inside)
    table = f'"{node.kind.key}"'
    # Of the day on which it falls due, what was entered before the plan itself does not settle it.
    day = f'{table}."{due}" - ({table}."{due}" + {int(node.offset_ms)}) % {_DAY_MS}'
    later = f'SELECT 1 FROM {table} newer WHERE newer."{node.by}" = "{asker.view.entity.key}".id AND newer.deleted = 0'
    settled = f'EXISTS ({later} AND newer."{at}" > max({table}."{at}", {day} - 1))'
    newest = f'{source} AND {table}."{due}" IS NOT NULL ORDER BY {table}."{at}" DESC LIMIT 1'
    return f"coalesce((SELECT ({test}) AND NOT {settled} FROM {newest}), 0)", [*values, *params]
