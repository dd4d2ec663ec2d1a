"""What one person may see of one kind of record: which rows, and which fields of them.

Rights are worked out above (``domain.policy``); here they become part of a query, so that lists, pickers, search,
exports and counts cannot differ in what they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType

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
    """Rows that name another record by ``entity``, ``record`` and ``field``: seen where that record and that field are."""

    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Rows that fit any of ``rows`` (None: every row), without the ``hidden`` fields and with the ``masked`` ones covered."""

    entity: EntityType
    rows: tuple[Among | With | About, ...] | None = None
    hidden: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()

    def shows(self, field: str) -> bool:
        """Whether the field's values may be read as they are: only then may a list be sorted, filtered or searched by them."""
        return field not in self.hidden and field not in self.masked

    def of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record as it may be seen. Keys that are no fields (id, version, what is derived) stay."""
        if not self.hidden and not self.masked:
            return dict(record)
        return {key: mask(value) if key in self.masked else value for key, value in record.items() if key not in self.hidden}

    def condition(self, table: str) -> tuple[str, list[Any]]:
        """SQL for the rows, over a table or alias of this kind, and its parameters."""
        if self.rows is None:
            return "1", []
        parts: list[str] = []
        params: list[Any] = []
        for part in self.rows:
            sql, values = _part(part, table)
            parts.append(sql)
            params += values
        return f"({' OR '.join(parts) or '0'})", params


def mask(value: Any) -> Any:
    """A value that shows only that there is one; of a long text, such as a telephone number, its beginning and end."""
    if value is None or value == "":
        return value
    if isinstance(value, str) and len(value) >= _SHOWN_FIRST + _COVERED + _SHOWN_LAST:
        return Masked(f"{value[:_SHOWN_FIRST]}****{value[-_SHOWN_LAST:]}")
    return Masked("****")


def _part(part: Among | With | About, table: str) -> tuple[str, list[Any]]:
    if isinstance(part, Among):
        ids = [bytes.fromhex(identity) for identity in sorted(part.ids)]
        if not ids:
            return "0", []
        many = "= ?" if len(ids) == 1 else f"IN ({','.join('?' * len(ids))})"
        return f'{table}."{part.field}" {many}', list(ids)
    if isinstance(part, With):
        if part.view.rows is None:
            return "1", []
        key = part.view.entity.key
        inner, params = part.view.condition(f'"{key}"')
        return f'{table}."{part.field}" IN (SELECT id FROM "{key}" WHERE {inner})', params
    return _about(part, table)


def _about(part: About, table: str) -> tuple[str, list[Any]]:
    parts: list[str] = []
    params: list[Any] = []
    for view in part.views:
        key = view.entity.key
        sql, values = f"{table}.entity = ?", [key]
        covered = sorted(view.hidden | view.masked)
        if covered:
            sql += f" AND ({table}.field IS NULL OR {table}.field NOT IN ({','.join('?' * len(covered))}))"
            values += covered
        if view.rows is not None:
            inner, more = view.condition(f'"{key}"')
            sql += f' AND unhex({table}.record) IN (SELECT id FROM "{key}" WHERE {inner})'
            values += more
        parts.append(f"({sql})")
        params += values
    return f"({' OR '.join(parts) or '0'})", params
