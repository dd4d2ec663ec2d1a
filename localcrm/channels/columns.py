"""Which columns of a table mean what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.channels.tables import guess_mapping, is_personal
from localcrm.domain.import_columns import BESIDE, Beside, brought_along, importable_fields, kind_spellings, spellings
from localcrm.domain.typed import in_every_language

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localcrm.kernel.schema import EntityType, Field


def recognise_columns(headers: Sequence[str], kind: EntityType) -> dict[int, str]:
    """Column index → key (``import_columns``), for the headers that can only mean one thing.

    What the kind itself has no field for may belong to the record that a row brings along, where a column names that one.
    """
    fields = [(field.key, spellings(field)) for field in importable_fields(kind)]
    found = guess_mapping(headers, fields)
    along = brought_along(kind)
    if along and (named := _title([header for header in headers if header not in found], along)):
        found = guess_mapping([header for header in headers if header not in named and not is_personal(header)], fields) | named
        found |= _others([header for header in headers if header not in found], along)
    if beside := BESIDE.get(kind.key):
        found |= guess_mapping([header for header in headers if header not in found], [*_beside(beside)])
    return {headers.index(header): key for header, key in found.items()}


def _beside(beside: Beside) -> Iterator[tuple[str, list[str]]]:
    """Only headers that name it: an amount may be anything."""
    for key, field in beside.fields.items():
        named = [
            f"{before}{between}{label}"
            for before in in_every_language(beside.label_msgid)
            for between in ("", " ", "·", " · ")
            for label in spellings(field)
        ]
        yield f"{beside.key}.{key}", named


def _title(headers: Sequence[str], kind: EntityType) -> dict[str, str]:
    """The header that names the record brought along, with its key; words that others use for it would take too much."""
    title = kind.fields[kind.title_field]
    return guess_mapping(headers, [(f"{kind.key}.{title.key}", [*kind_spellings(kind), *_spelt_with(kind, title)])])


def _others(headers: Sequence[str], kind: EntityType) -> dict[str, str]:
    """What else a table says of it."""
    fields = [field for field in importable_fields(kind) if field.key not in {kind.title_field, kind.under}]
    guessed = guess_mapping(headers, [(field.key, _spelt_with(kind, field)) for field in fields])
    return {header: f"{kind.key}.{key}" for header, key in guessed.items()}


def _spelt_with(kind: EntityType, field: Field) -> list[str]:
    """The label of a field, and with the kind of record before it, in every language."""
    return [*(f"{before}{label}" for before in kind_spellings(kind) for label in spellings(field)), *spellings(field)]
