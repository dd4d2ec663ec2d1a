"""Fields of the company in the head of an order and in its lines: which ones its user has, how the form shows them and reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.importing import look_up
from localcrm.domain.roles import FieldRule
from localcrm.domain.typed import read_text
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.kernel.schema import EntityType, Field, entity as entity_type, split_choices
from localcrm.store.connection import Connection
from localcrm.store.query import Record, titles
from localcrm.store.view import Masked
from localcrm.ui.kit.form import editing_text
from localcrm.ui.kit.moments import parse_day, parse_moment
from localcrm.ui.kit.values import NUMBERS, in_chinese, show

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: How a kind of field is entered, as the script in the browser knows it; others are simply typed.
_INPUTS = {"ref": "ref", "boolean": "boolean", "choice": "list", "choices": "many", "longtext": "note"}
#: Kinds that people type otherwise than a list shows them.
_MOMENTS = frozenset({"date", "datetime"})


def own_fields(session: Session, kind: EntityType) -> list[Field]:
    """Fields of the company that are in use and may be seen."""
    rules = policy.field_rules(session.actor, kind)
    return [field for field in kind.fields.values() if field.custom and field.is_used and rules.get(field.key) != FieldRule.HIDDEN]


def entered_fields(session: Session, kind: EntityType) -> list[Field]:
    """Of these the ones that the user may fill in."""
    return [field for field in own_fields(session, kind) if field.f.editable and policy.may_write(session.actor, kind, field)]


def own_inputs(session: Session, kind: EntityType, connection: Connection) -> list[dict[str, Any]]:
    """What the browser needs to draw them; ``preset`` is what a new line starts with, ``preset_id`` whom it names."""
    fields, entered = own_fields(session, kind), {field.key for field in entered_fields(session, kind)}
    names = own_names(connection, fields, [{field.key: field.initial for field in fields}])
    return [
        {
            "key": field.key,
            "label": field.label,
            "kind": _INPUTS.get(field.kind, "text"),
            "type": field.kind,
            "entity": field.f.ref,
            "options": [_("Yes"), _("No")] if field.kind == "boolean" else [gettext(label) for label in field.offered.values()],
            "hint": field.custom.hint if field.custom else "",
            "required": field.custom is not None and field.custom.to_post,
            "fixed": field.key not in entered,
            "number": field.kind in NUMBERS,
            "preset": own_text(field, field.initial, names.get(field.key)),
            "preset_id": field.initial if field.kind == "ref" else None,
        }
        for field in fields
    ]


def between() -> str:
    """What stands between several choices: a comma could be part of one."""
    return "、" if in_chinese() else "; "


def own_names(connection: Connection, fields: Sequence[Field], records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """What the records' own fields refer to: field key → id → title."""
    return {
        field.key: titles(connection, entity_type(field.f.ref), [value for record in records if (value := record.get(field.key))])
        for field in fields
        if field.f.ref
    }


def own_text(field: Field, value: Any, names: Mapping[str, str] | None = None) -> str:
    """A value in words that are understood when they are typed."""
    if field.kind == "choices" and value and not isinstance(value, Masked):
        return between().join(gettext(field.options.get(one, one)) for one in split_choices(value))
    return editing_text(field, value) if field.kind in _MOMENTS else show(field, value, names) or ""


def own_texts(fields: Sequence[Field], line: Mapping[str, Any], names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What a row of the form shows of its own fields; ``refs`` are the ids behind the names in it."""
    return {
        **{field.key: own_text(field, line.get(field.key), names.get(field.key)) for field in fields},
        "refs": {field.key: line[field.key] for field in fields if field.kind == "ref" and line.get(field.key)},
    }


def read_own(connection: Connection, session: Session, field: Field, row: Mapping[str, Any]) -> Any:
    """The value that stands in a row of the form: chosen or typed, a day as "+3" or "12-10" too; raises InvalidInput."""
    text = str(row.get(field.key) or "").strip()
    if not text:
        return None
    now = datetime.now().astimezone()
    if field.kind == "ref":
        chosen = (row.get("refs") or {}).get(field.key)
        return read_text(field, str(chosen)) if chosen else look_up(connection, session.actor, field, text)
    if field.kind == "date":
        return parse_day(text, now.date()) or read_text(field, text)
    if field.kind == "datetime":
        return parse_moment(text, now) or read_text(field, text)
    return read_text(field, text)


def own_values(session: Session, kind: EntityType, record: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a head as the form takes them: ids, yes or no, else text as one types it; of those that stay as they are only the text."""
    entered = {field.key for field in entered_fields(session, kind)}
    return {
        field.key: value if value is None or (field.kind in {"ref", "boolean"} and field.key in entered) else own_text(field, value)
        for field in own_fields(session, kind)
        for value in (record.get(field.key),)
    }


def without_fixed(session: Session, kind: EntityType, row: Mapping[str, Any]) -> Record:
    """A row for a new line like another one: without what only the program gives, and what the user may not enter."""
    kept = {field.key for field in entered_fields(session, kind)}
    fixed = {field.key for field in own_fields(session, kind)} - kept
    refs = {key: value for key, value in (row.get("refs") or {}).items() if key in kept}
    return {**{key: value for key, value in row.items() if key not in fixed}, "refs": refs}
