"""Rules that fields of the company put on a record beyond their type: what it starts with, what may not repeat, what is no longer offered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain.typed import in_words
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, Field, split_choices
from localcrm.store.uow import UnitOfWork


def starting_values(uow: UnitOfWork, kind: EntityType, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a new record gets where nothing was given: presets, and the next serial numbers."""
    values: dict[str, Any] = {}
    for field in kind.fields.values():
        if field.custom is None or not field.is_used or field.key in given:
            continue
        if not field.f.editable:
            number = uow.next_number(f"{kind.key}.{field.key}", "")
            values[field.key] = f"{uow.node.number_code}-{number:04d}"
        elif field.custom.preset is not None:
            values[field.key] = field.custom.preset
    return values


def check(uow: UnitOfWork, kind: EntityType, new: Mapping[str, Any], old: Mapping[str, Any] | None, *, identity: str = "") -> None:
    """Refuse what another record has where none may, and options that are retired; what stays as it was stays well."""
    check_offered(kind, new, old)
    for field in kind.fields.values():
        value = new[field.key]
        if field.custom is None or not field.custom.unique or value is None or (old is not None and old[field.key] == value):
            continue
        if _is_taken(uow, kind, field, value, identity):
            raise InvalidInput(
                "not_unique",
                N_("{label}: another record has “{value}” already, perhaps one in the recycle bin."),
                label=field.label,
                value=str(value)[:60],
                field=field.key,
            )


def check_offered(kind: EntityType, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    """Refuse options that are retired, unless the record has them already."""
    for field in kind.fields.values():
        value = new[field.key]
        if value is None or not field.withdrawn:
            continue
        before = "" if old is None else str(old.get(field.key) or "")
        if field.withdrawn.intersection(_choices(field, value)) - set(_choices(field, before)):
            raise InvalidInput(
                "option_retired",
                N_("{label}: “{value}” is no longer offered."),
                label=field.label,
                value=in_words(field, value),
                field=field.key,
            )


def check_complete(kind: EntityType, record: Mapping[str, Any], *, row: int | None = None) -> None:
    """Refuse to post a document that lacks what the company wants to be filled in, in its head or in a ``row``, counted from 1."""
    for field in kind.fields.values():
        if field.custom and field.custom.to_post and record[field.key] is None:
            text = N_("{label} is required.") if row is None else N_("Row {row}: {label} is required.")
            raise InvalidInput("required", text, label=field.label, field=field.key, row=row)


def _choices(field: Field, value: Any) -> list[str]:
    if not field.withdrawn:
        return []
    return split_choices(value) if field.kind == "choices" else [str(value)]


def _is_taken(uow: UnitOfWork, kind: EntityType, field: Field, value: Any, identity: str) -> bool:
    statement = f'SELECT 1 FROM "{kind.key}" WHERE "{field.key}" = ? AND id <> ? LIMIT 1'
    return uow.connection.one(statement, (field.store(value), bytes.fromhex(identity))) is not None
