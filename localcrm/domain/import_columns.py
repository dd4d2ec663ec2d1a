"""What the columns of a table can fill: the fields of a kind of record, and those of one record under it that a row may bring along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localcrm.domain.typed import in_every_language
from localcrm.kernel.schema import EntityType, Field, entity as entity_type

#: Kind of record → the kind of which each row may bring one along: with a customer a person there. Filled by the table of subjects.
ALONG: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Column:
    """Something that a column of a table can fill. The key of what is brought along has a dot: ``contact.phone``."""

    field: Field
    along: EntityType | None = None

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
    return [*map(Column, importable_fields(kind)), *beside]


def column_of(kind: EntityType, key: str) -> Column:
    """The column with this key; raises NotFound("unknown_field")."""
    first, _dot, rest = key.partition(".")
    along = brought_along(kind)
    if along is not None and along.key == first and rest != along.under:
        return Column(along.field(rest), along)
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


def split_row(cells: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The filled cells of a row: of the record itself, and of what it brings along."""
    own: dict[str, str] = {}
    beside: dict[str, str] = {}
    for key, text in cells.items():
        if stripped := text.strip():
            first, dot, rest = key.partition(".")
            if dot:
                beside[rest] = stripped
            else:
                own[first] = stripped
    return own, beside
