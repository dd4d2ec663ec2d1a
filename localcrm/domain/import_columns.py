"""What the columns of a table can fill: the fields of a kind of record, those of one record under it that a row may bring along, and what a
verb makes of some cells beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcrm.domain.typed import in_every_language
from localcrm.kernel.errors import NotFound
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, Field, entity as entity_type

if TYPE_CHECKING:
    from localcrm.store.uow import UnitOfWork

#: Kind of record → the kind of which each row may bring one along: with a customer a person there. Filled by the table of subjects.
ALONG: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Beside:
    """What a row may bring along that is no record to be entered: with a customer what he owed before."""

    key: str
    label_msgid: str
    fields: Mapping[str, Field]
    permission: str
    check: Callable[[Mapping[str, Any]], object]
    """Raises where values cannot be right; all that a dry run can tell of a record that it did not keep."""
    write: Callable[[UnitOfWork, Any, str, Mapping[str, Any]], str]
    """With the actor, the id of the row's record and the values that are given; says "created" or "skipped"."""

    @property
    def label(self) -> str:
        """As people read it."""
        return gettext(self.label_msgid)

    def field(self, key: str) -> Field:
        """One of its fields; raises NotFound("unknown_field")."""
        if key not in self.fields:
            raise NotFound("unknown_field", N_("“{entity}” has no field “{field}”."), entity=self.label, field=key[:60])
        return self.fields[key]


#: Kind of record → what else its rows may bring along. Filled by the table of subjects.
BESIDE: dict[str, Beside] = {}


@dataclass(frozen=True, slots=True)
class Column:
    """Something that a column of a table can fill. The key of what is brought along has a dot: ``contact.phone``."""

    field: Field
    along: EntityType | Beside | None = None

    @property
    def key(self) -> str:
        """As rows name it."""
        return f"{self.along.key}.{self.field.key}" if self.along else self.field.key

    @property
    def label(self) -> str:
        """As people read it."""
        return f"{self.along.label} · {self.field.label}" if self.along else self.field.label

    @property
    def required(self) -> bool:
        """Whether no row can do without it."""
        return self.field.required and self.along is None


def brought_along(kind: EntityType) -> EntityType | None:
    """The kind of record that a row of this kind may bring along."""
    return entity_type(ALONG[kind.key]) if kind.key in ALONG else None


def columns_of(kind: EntityType) -> list[Column]:
    """All that a column of a table can fill."""
    along = brought_along(kind)
    beside = [Column(field, along) for field in importable_fields(along) if field.key != along.under] if along else []
    further = BESIDE.get(kind.key)
    more = [Column(field, further) for field in further.fields.values()] if further else []
    return [*map(Column, importable_fields(kind)), *beside, *more]


def column_of(kind: EntityType, key: str) -> Column:
    """The column with this key; raises NotFound("unknown_field")."""
    first, _dot, rest = key.partition(".")
    along, further = brought_along(kind), BESIDE.get(kind.key)
    if along is not None and along.key == first and rest != along.under:
        return Column(along.field(rest), along)
    if further is not None and further.key == first:
        return Column(further.field(rest), further)
    return Column(kind.field(key))


def importable_fields(kind: EntityType) -> list[Field]:
    """Fields that a column of a table can fill: what people enter, except files."""
    return [field for field in kind.fields.values() if field.f.editable and field.is_used and field.kind != "files"]


def spellings(field: Field) -> list[str]:
    """The label of a field in every language, for recognising columns."""
    return list(dict.fromkeys([*field.names.values(), *in_every_language(field.f.label)]))


def kind_spellings(kind: EntityType) -> list[str]:
    """The label of a kind of record in every language."""
    return list(dict.fromkeys([*kind.shape.names.values(), *in_every_language(kind.label_msgid)]))


def split_row(cells: Mapping[str, str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The filled cells of a row: of the record itself, and of what it brings along, each by its key."""
    own: dict[str, str] = {}
    beside: dict[str, dict[str, str]] = {}
    for key, text in cells.items():
        if stripped := text.strip():
            first, dot, rest = key.partition(".")
            if dot:
                beside.setdefault(first, {})[rest] = stripped
            else:
                own[first] = stripped
    return own, beside
