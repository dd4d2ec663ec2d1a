"""What the columns of a table take from elsewhere: asked once for all values of a group of changes, or of one change by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

from localcrm.kernel.money import MAX_SCALED
from localcrm.kernel.schema import EntityType, Field, Kind, Stored
from localcrm.store.ddl import DELETED_NO, GONE, INSERT, UPDATE

if TYPE_CHECKING:
    from localcrm.sync.codec import Group


@dataclass(frozen=True, slots=True)
class Rules:
    """What the merge asks of every change of a table, by wire number."""

    types: dict[int, frozenset[type]]
    closer: dict[int, Callable[[Stored], bool]]  # beyond the type; empty values are always well
    required: tuple[int, ...]
    office_only: dict[int, Stored]  # with the default that anybody may write
    watched: frozenset[int]
    loud: frozenset[int]  # whose change means something beyond its row
    refs: dict[int, str]  # to other records than the parent: their kind
    defaults: dict[int, Stored]  # of a whole row, in the order in which it is written
    places: dict[int, int]  # of each column in that order

    def fits(self, no: int, column: Sequence[Stored]) -> bool:
        """Whether every one of these values is one the column can hold."""
        return self.types[no].issuperset(map(type, column)) and (no not in self.closer or all(map(self.closer[no], set(column))))


_TYPES: dict[str, type] = {"TEXT": str, "INTEGER": int, "BLOB": bytes}


def rules_of(entity: EntityType) -> Rules:
    """The rules of a table, as this data file has its fields."""
    columns = entity.by_no
    types = {no: _types(column) for no, column in columns.items()}
    watched = frozenset(no for no, column in columns.items() if column.f.merge == "always_show")
    defaults = {**{column.no: column.store(column.default) for column in entity.fields.values()}, DELETED_NO: 0}
    closer = {no: check for no, column in columns.items() if (check := _closer(column))}
    return Rules(
        types={DELETED_NO: frozenset({int}), **types},
        closer={DELETED_NO: lambda value: value in {0, 1}, **closer},
        required=tuple(no for no, column in columns.items() if column.required and not column.custom),
        office_only={no: column.store(column.default) for no, column in columns.items() if column.f.merge == "hub"},
        watched=watched,
        loud=watched | {DELETED_NO} | ({entity.fields["status"].no} if entity.kind is Kind.DOCUMENT else set()),
        refs={column.no: column.f.ref or "" for column in entity.refs if column.key != entity.parent},
        defaults=defaults,
        places={no: place for place, no in enumerate(defaults)},
    )


def is_sound(group: Group, entity: EntityType, rules: Rules) -> bool:
    """Whether nothing is wrong with any change of a group that could be told without its row."""
    if group.op not in {INSERT, UPDATE, GONE} or not rules.types.keys() >= set(group.columns):
        return False
    if group.op != UPDATE and DELETED_NO in group.columns:
        return False
    if group.op == INSERT and not set(rules.required) <= set(group.columns):
        return False
    if (group.op == GONE and entity.kind is not Kind.LINE) or (group.op == UPDATE and entity.kind is Kind.LEDGER):
        return False
    return all(rules.fits(no, column) for side in (group.old, group.new) if side for no, column in zip(group.columns, side, strict=True))


def stored_rows(columns: dict[int, Sequence[Stored]], size: int, rules: Rules) -> list[tuple[Stored, ...]]:
    """Whole rows, in the order in which they are written, with defaults for what is not given."""
    return list(zip(*(columns.get(no) or repeat(default, size) for no, default in rules.defaults.items()), strict=True))


def _types(column: Field) -> frozenset[type]:
    """Types a column takes; the declaration's own bounds are the author's business."""
    may_be_empty = column.custom is not None or (not column.required and column.default is None)
    return frozenset({_TYPES[column.sql_type], *([type(None)] if may_be_empty else [])})


def _closer(column: Field) -> Callable[[Stored], bool] | None:
    """What the column's kind asks beyond its type."""
    if column.kind == "ref":
        return lambda value: value is None or (isinstance(value, bytes) and len(value) == 16)
    if column.kind == "choice" and not column.custom:  # its own options may not have arrived yet
        choices = column.choices or {}
        return lambda value: value is None or value in choices
    if column.kind in {"date", "datetime", "boolean"}:
        return lambda value: value is None or _loads(column, value)
    if column.scale:  # what no form takes would overflow the sums, and stop whoever adds to them next
        return lambda value: value is None or (isinstance(value, int) and -MAX_SCALED <= value <= MAX_SCALED)
    return None


def _loads(column: Field, value: Stored) -> bool:
    """Whether a value of the right type means something: a date that exists, a moment within the calendar, yes or no."""
    try:
        return column.store(column.load(value)) == value
    except (ValueError, OverflowError, OSError):
        return False
