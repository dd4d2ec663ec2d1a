"""What one person may see of one kind of record: which rows, and which fields of them.

Rights are worked out above (``domain.policy``); here they become part of a query, so that lists, pickers, search,
exports and counts cannot differ in what they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType, Field

#: A field's text keeps its beginning and end when at least so many characters between them are covered.
_SHOWN_FIRST, _SHOWN_LAST, _COVERED = 3, 2, 3


class Masked(str):
    """What stands in the place of a value that may not be read."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Among:
    """Rows whose field (or whose own "id") is one of these ids."""

    field: str
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class With:
    """Rows that point to a row which may be seen: contacts with their customer, lines with their order."""

    field: str
    view: View


@dataclass(frozen=True, slots=True)
class About:
    """Rows that name another record by ``entity`` and ``record``, and perhaps its ``field``: seen where that record and that field are."""

    views: tuple[View, ...]
    by_field: bool


@dataclass(frozen=True, slots=True)
class Within:
    """Rows that name none but these records in a field (or are themselves one of them): an empty field names none."""

    field: str
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Both:
    """Rows that two views of their kind show: those one may see, and of them those one may do something with or is limited to."""

    views: tuple[View, View]


#: What a row may fit.
Part = Among | With | About | Within | Both


@dataclass(frozen=True, slots=True)
class View:
    """Rows that fit any of ``rows`` (None: every row), without the ``hidden`` fields and with the ``masked`` ones covered."""

    entity: EntityType
    rows: tuple[Part, ...] | None = None
    hidden: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()

    def shows(self, field: str) -> bool:
        """Whether the field's values may be read as they are: only then may a list be sorted, filtered or searched by them."""
        return field not in self.hidden and field not in self.masked

    def of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record as it may be seen. Keys that are no fields (id, version, what is derived) stay."""
        if not self.hidden and not self.masked:
            return dict(record)
        return {
            key: mask(self.entity.fields[key], value) if key in self.masked else value
            for key, value in record.items()
            if key not in self.hidden
        }

    def condition(self, table: str, *, finds: bool = False) -> tuple[str, list[Any]]:
        """SQL for the rows, over a table or alias of this kind, and its parameters.

        Without ``finds`` it asks each row that a query comes upon in a way of its own: a known one, or the next of a sorted
        list. With it, it holds for live rows only and lets their indexes find them: right where few fit, or all are counted.
        """
        if self.rows is None:
            return "1", []
        parts: list[str] = []
        params: list[Any] = []
        for part in self.rows:
            sql, values = _found(part, table) if finds else _asked(part, table)
            parts.append(sql)
            params += values
        return f"({' OR '.join(parts) or '0'})", params


def mask(field: Field, value: Any) -> Any:
    """A value that shows only that there is one; of a long text, such as a telephone number, its beginning and end.

    Choices, dates and numbers written as text show nothing of themselves: there are too few of them not to be guessed.
    """
    if value is None or value == "":
        return value
    written = field.kind in {"text", "longtext"} and not field.options
    if written and len(value) >= _SHOWN_FIRST + _COVERED + _SHOWN_LAST:
        return Masked(f"{value[:_SHOWN_FIRST]}****{value[-_SHOWN_LAST:]}")
    return Masked("****")


def _asked(part: Part, table: str) -> tuple[str, list[Any]]:
    if isinstance(part, Both):
        return _both(part, table, finds=False)
    if isinstance(part, About):
        return _about(part, table)
    if isinstance(part, Among):
        # The plus keeps SQLite from gathering all these rows by their index, where it is to read in the order of a list.
        return _one_of(f'+{table}."{part.field}"', part.ids)
    if isinstance(part, Within):
        sql, params = _one_of(f'+{table}."{part.field}"', part.ids)
        return f'({table}."{part.field}" IS NULL OR {sql})', params
    if part.view.rows is None:
        return "1", []
    key = part.view.entity.key
    inner, params = part.view.condition(f'"{key}"')
    return f'EXISTS (SELECT 1 FROM "{key}" WHERE "{key}".id = {table}."{part.field}" AND {inner})', params


def _found(part: Part, table: str) -> tuple[str, list[Any]]:
    if isinstance(part, Both):
        return _both(part, table, finds=True)
    # Indexes hold live rows: that they are must be said beside each column, or a union of two indexes is not thought of.
    if isinstance(part, Among):
        sql, params = _one_of(f'{table}."{part.field}"', part.ids)
        return f"({table}.deleted = 0 AND {sql})", params
    if isinstance(part, (About, Within)) or part.view.rows is None:
        return _asked(part, table)
    key = part.view.entity.key
    live, params = part.view.condition(f'"{key}"', finds=True)
    gone, more = part.view.condition(f'"{key}"')
    # What belongs to a deleted record is seen like that record.
    above = f'SELECT id FROM "{key}" WHERE deleted = 0 AND {live} UNION ALL SELECT id FROM "{key}" WHERE deleted = 1 AND {gone}'
    return f'({table}.deleted = 0 AND {table}."{part.field}" IN ({above}))', [*params, *more]


def _one_of(column: str, ids: frozenset[str]) -> tuple[str, list[Any]]:
    if not ids:
        return "0", []
    many = "= ?" if len(ids) == 1 else f"IN ({','.join('?' * len(ids))})"
    return f"{column} {many}", [bytes.fromhex(identity) for identity in sorted(ids)]


def _both(part: Both, table: str, *, finds: bool) -> tuple[str, list[Any]]:
    (one, params), (other, more) = (view.condition(table, finds=finds) for view in part.views)
    return f"({one} AND {other})", [*params, *more]


def _about(part: About, table: str) -> tuple[str, list[Any]]:
    parts: list[str] = []
    params: list[Any] = []
    for view in part.views:
        key = view.entity.key
        sql, values = f"{table}.entity = ?", [key]
        covered = sorted(view.hidden | view.masked)
        if covered and part.by_field:
            sql += f" AND ({table}.field IS NULL OR {table}.field NOT IN ({','.join('?' * len(covered))}))"
            values += covered
        if view.rows is not None:
            inner, more = view.condition(f'"{key}"')
            sql += f' AND EXISTS (SELECT 1 FROM "{key}" WHERE "{key}".id = unhex({table}.record) AND {inner})'
            values += more
        parts.append(f"({sql})")
        params += values
    return f"({' OR '.join(parts) or '0'})", params
