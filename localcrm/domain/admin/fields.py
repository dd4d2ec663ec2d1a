"""The company's own fields, options and names: verbs that define them. What they come to: ``kernel.custom``.

Head office defines for the whole company, a branch for itself. What somebody else defined is not changed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from localcrm.domain import policy, records
from localcrm.domain.admin.entities import CustomFieldRecord, FieldName, FieldOption
from localcrm.domain.policy import Actor
from localcrm.domain.typed import in_every_language
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.custom import (
    BECOMES,
    LISTS,
    MOST_OF_BRANCH,
    MOST_OF_KIND,
    NUMBERED,
    PER_NODE,
    Definition,
    FieldType,
    annotation,
    first_number,
    is_extensible,
    is_length,
    lists_options,
    may_become,
    read_value,
    types_for,
)
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import LANGUAGES, N_, gettext, use_language
from localcrm.kernel.schema import EntityType, Field, Kind, clean_text, entity as entity_type, split_choices
from localcrm.store.query import Record, record_json
from localcrm.store.uow import UnitOfWork

_FIELD, _OPTION, _NAME = CustomFieldRecord.entity_type, FieldOption.entity_type, FieldName.entity_type
_LAST_PLACE = 10**6
#: Values shown where a field cannot be made unique.
_EXAMPLES = 3


class OptionGiven(BaseModel):
    """One entry of a list as a screen or a script gives it; without ``value`` a new one."""

    model_config = ConfigDict(extra="forbid")
    label: str
    value: str | None = None
    retired: bool = False


# fields --------------------------------------------------------------------------------------------------------------


def add_field(
    uow: UnitOfWork,
    actor: Actor,
    *,
    entity: str,
    label: str,
    type: FieldType,
    options: Sequence[str] = (),
    required: bool = False,
    unique: bool = False,
    preset: str | None = None,
    least: str | None = None,
    most: str | None = None,
    hint: str | None = None,
    section: str | None = None,
    searched: bool = False,
    listed: bool = False,
) -> dict[str, Any]:
    """Add a field to a kind of record, for the company or, at a branch, for that branch; returns it with its ``key``."""
    kind = _extensible(entity)
    known = uow.where(_FIELD, entity=entity)
    own = [row for row in known if row["branch_id"] == _home(uow)]
    if len(known) >= MOST_OF_KIND or (_home(uow) and len(own) >= MOST_OF_BRANCH):
        raise Refused("too_many_fields", N_("No more fields can be added here."))
    values = _FIELD.validate(
        {
            "entity": entity,
            "number": _next_number(uow),
            "label": label,
            "type": type,
            "required": required,
            "unique": unique,
            "preset": preset,
            "least": least,
            "most": most,
            "hint": hint,
            "section": _section(kind, section),
            "position": min(max((row["position"] for row in known), default=0), _LAST_PLACE) + 1,
            "searched": searched,
            "listed": listed,
            "branch_id": _home(uow),
        }
    )
    listing = [OptionGiven(label=text) for text in options]
    _check_definition(kind, values, listing)
    identity = uow.insert(_FIELD, values)
    uow.store.reshape()
    if values["type"] in LISTS:
        set_options(uow, actor, entity=entity, field=f"x{values['number']}", options=listing)
    return _shown(actor, uow.get(_FIELD, identity))


def change_field(
    uow: UnitOfWork,
    actor: Actor,
    *,
    id: RecordId,
    label: str | None = None,
    type: FieldType | None = None,
    required: bool | None = None,
    unique: bool | None = None,
    preset: str | None = None,
    least: str | None = None,
    most: str | None = None,
    hint: str | None = None,
    section: str | None = None,
    position: int | None = None,
    searched: bool | None = None,
    listed: bool | None = None,
    retired: bool | None = None,
) -> dict[str, Any]:
    """Change a field of the company; what is not given stays, "" empties a text. A type changes only where nothing is lost."""
    current = uow.get(_FIELD, id)
    _require_own(uow, current)
    kind = entity_type(current["entity"])
    given = {
        "label": label,
        "type": type,
        "required": required,
        "unique": unique,
        "preset": preset,
        "least": least,
        "most": most,
        "hint": hint,
        "section": None if section is None else _section(kind, section) or "",
        "position": position,
        "searched": searched,
        "listed": listed,
        "retired": retired,
    }
    changes = {key: (value or None) if value == "" and key != "label" else value for key, value in given.items() if value is not None}
    values = _FIELD.validate({**{key: current[key] for key in _FIELD.fields}, **changes})
    if not may_become(current["type"], values["type"]):
        raise Refused(
            "type_loses",
            N_("“{label}” cannot become “{type}”: values would be lost. Add a new field instead."),
            label=current["label"],
            type=gettext(FieldType(values["type"]).label),
        )
    _check_definition(kind, values, None, identity=id)
    if values["unique"] and not current["unique"]:
        _check_repeats(uow, kind, f"x{current['number']}", values["label"])
    uow.update(_FIELD, id, values)
    return _shown(actor, uow.get(_FIELD, id))


def promote_field(uow: UnitOfWork, actor: Actor, *, id: RecordId) -> dict[str, Any]:
    """Make a branch's own field one of the whole company, with its options; head office only."""
    field = uow.get(_FIELD, id)
    _require_office(uow)
    uow.update(_FIELD, id, {"branch_id": None})
    for option in uow.where(_OPTION, entity=field["entity"], field=f"x{field['number']}"):
        uow.update(_OPTION, option["id"], {"branch_id": None})
    return _shown(actor, uow.get(_FIELD, id))


def merge_fields(uow: UnitOfWork, actor: Actor, *, keep: RecordId, drop: RecordId) -> dict[str, int]:
    """Two fields that mean the same become one: values move where ``keep`` has none, then ``drop`` is retired; head office only.

    Returns how many values were ``copied``, and how many records say something else in both (``different``): those keep both,
    the dropped one in the retired field.
    """
    _require_office(uow)
    kept, dropped = uow.get(_FIELD, keep), uow.get(_FIELD, drop)
    kind = entity_type(kept["entity"])
    fitting = {FieldType(kept["type"])} | {one for one, more in BECOMES.items() if FieldType(kept["type"]) in more}
    if keep == drop or kept["entity"] != dropped["entity"] or dropped["type"] not in fitting:
        raise Refused("fields_differ", N_("Only two fields of one kind of record that hold the same kind of value can become one."))
    into, out = f"x{kept['number']}", f"x{dropped['number']}"
    found = _with_value(uow, kind, out)
    _check_not_posted(uow, kind, [record for record in found if record[into] is None], dropped["label"])
    if FieldType(kept["type"]) in LISTS:
        _take_over_options(uow, kept, out, into)
        uow.store.reshape()
    copied, different = 0, 0
    for record in found:
        if record[into] is None:
            copied += uow.update(kind, record["id"], {into: record[out]})
        elif record[into] != record[out]:
            different += 1
    promote_field(uow, actor, id=keep)
    uow.update(_FIELD, drop, {"retired": True})
    return {"copied": copied, "different": different}


# options -------------------------------------------------------------------------------------------------------------


def set_options(uow: UnitOfWork, actor: Actor, *, entity: str, field: str, options: Sequence[OptionGiven]) -> list[dict[str, Any]]:
    """Set an option list, in this order. An option that records use is not taken away but retired; returns the list."""
    kind = entity_type(entity)
    column = kind.field(field)
    if not lists_options(column):
        raise Refused("no_option_list", N_("“{label}” has no list of options."), label=column.label)
    home, known = _home(uow), {row["value"]: row for row in uow.where(_OPTION, entity=entity, field=field)}
    wanted: dict[str, dict[str, Any]] = {}
    for place, option in enumerate(options):
        value = _option_text(option.value or option.label)
        if value in wanted:
            raise InvalidInput("option_twice", N_("The option “{label}” is in the list twice."), label=value)
        wanted[value] = {"label": _option_text(option.label), "position": place, "retired": option.retired}
    declared = {} if column.custom else kind.declared.fields[field].options
    for value, row in known.items():
        if value not in wanted:
            _require_own(uow, row)
            _check_unused(uow, kind, column, row)
            uow.set_deleted(_OPTION, row["id"], deleted=True)
    for value, entry in wanted.items():
        present = known.get(value)
        if present is not None:
            if any(present[key] != entry[key] for key in entry):
                _require_own(uow, present)
                uow.update(_OPTION, present["id"], entry)
        elif value not in declared or entry["retired"] or entry["label"] not in in_every_language(declared[value]):
            uow.insert(_OPTION, _OPTION.validate({"entity": entity, "field": field, "value": value, "branch_id": home, **entry}))
    uow.store.reshape()
    rows = sorted(uow.where(_OPTION, entity=entity, field=field), key=lambda row: row["position"])
    return [record_json(_OPTION, policy.shown(actor, _OPTION, row)) for row in rows]


# names ---------------------------------------------------------------------------------------------------------------


def rename(uow: UnitOfWork, actor: Actor, *, entity: str, text: str, language: str, field: str = "") -> dict[str, Any]:
    """Call a field, or with no field the kind of record, otherwise in one language; "" takes the name back."""
    kind = entity_type(entity)
    if language not in LANGUAGES:
        raise InvalidInput("bad_language", N_("There is no language “{language}”."), language=language[:20])
    column = kind.field(field) if field else None
    text, home = text.strip(), _home(uow)
    if column is not None and text:
        _check_label(kind, text, but=column.key, language=language)
    known = next((row for row in uow.where(_NAME, entity=entity, field=field or None, language=language, branch_id=home)), None)
    values = _NAME.validate({"entity": entity, "field": field or None, "language": language, "text": text or None, "branch_id": home})
    if known is None:
        identity = uow.insert(_NAME, values)
    else:
        identity = known["id"]
        uow.update(_NAME, identity, {"text": values["text"]})
    return record_json(_NAME, policy.shown(actor, _NAME, uow.get(_NAME, identity)))


# what may not be -----------------------------------------------------------------------------------------------------


def _extensible(entity: str) -> EntityType:
    kind = entity_type(entity)
    if not is_extensible(kind):
        raise Refused("not_extensible", N_("Records of the kind “{entity}” cannot be given more fields."), entity=kind.label)
    return kind


def _home(uow: UnitOfWork) -> str | None:
    return None if uow.node.is_office else uow.node.branch_id


def _require_own(uow: UnitOfWork, row: Record) -> None:
    """Head office changes everything, a branch what it defined for itself."""
    if not uow.node.is_office and row["branch_id"] != uow.node.branch_id:
        raise Refused("office_only", N_("{label} is set by head office. Nothing was changed."), label=row["label"])


def _require_office(uow: UnitOfWork) -> None:
    if not uow.node.is_office:
        raise Refused("office_only", N_("{label} is set by head office. Nothing was changed."), label=_FIELD.label)


def _next_number(uow: UnitOfWork) -> int:
    """A wire number that no other node, and no other epoch of this one, can give."""
    first = first_number(uow.node.node_no, uow.node.epoch_index)
    last = uow.connection.value('SELECT max(number) FROM "custom_field" WHERE number BETWEEN ? AND ?', (first, first + PER_NODE - 1))
    number = first if last is None else int(last) + 1
    if number >= first + PER_NODE:
        raise Refused("too_many_fields", N_("No more fields can be added here."))
    return number


def _check_definition(kind: EntityType, values: Record, options: Sequence[OptionGiven] | None, *, identity: str = "") -> None:
    """The parts of a definition fit each other."""
    definition = Definition(
        **{key: values[key] for key in Definition.__slots__ if key in values and key != "type"}, id=identity, type=FieldType(values["type"])
    )
    _check_label(kind, values["label"], but=definition.key)
    if definition.type not in types_for(kind):
        raise InvalidInput(
            "bad_type",
            N_("“{entity}” has no fields of the type “{type}”."),
            entity=kind.label,
            type=gettext(definition.type.label),
            field="type",
        )
    if kind.kind is Kind.LINE:
        _check_of_line(values)
    if options is not None and definition.type in LISTS and not options:
        raise InvalidInput("no_options", N_("“{label}” needs at least one option."), label=values["label"], field="options")
    bounds = {name: values[name] for name in ("least", "most") if values[name]}
    plain = annotation(Definition(id="", entity="", number=0, label="", type=definition.type))
    for name, text in bounds.items():
        fits = is_length(text) if definition.type not in NUMBERED and name == "most" else read_value(plain, text) is not None
        if not fits or (definition.type not in NUMBERED and name == "least"):
            raise InvalidInput("bad_bound", N_("“{value}” cannot be a bound of this field."), value=text[:60], field=name)
    if definition.type in NUMBERED and len(bounds) == 2 and read_value(plain, bounds["least"]) > read_value(plain, bounds["most"]):
        raise InvalidInput("bounds_crossed", N_("The smallest value is greater than the largest one."), field="least")
    if values["unique"] and definition.type == FieldType.ATTACHMENT:
        raise InvalidInput("bad_unique", N_("Files cannot be forbidden to repeat."), field="unique")
    if values["preset"] and definition.type not in LISTS and read_value(annotation(definition), values["preset"]) is None:
        raise InvalidInput("bad_preset", N_("“{value}” cannot be a value of this field."), value=values["preset"][:60], field="preset")


def _check_of_line(values: Record) -> None:
    """What means nothing on a line of a document."""
    if values["unique"]:
        raise Refused(
            "unique_on_lines",
            N_(
                "“{label}” cannot be unique on a line: a copied document, a reversal and goods that are sold again rightly "
                "have the same value once more."
            ),
            label=values["label"],
        )
    if values["searched"]:
        raise Refused("searched_on_lines", N_("“{label}” cannot be searched: lines are found with their document."), label=values["label"])


def _check_label(kind: EntityType, text: str, *, but: str, language: str = "") -> None:
    """No two fields of a kind are called alike where both are seen."""
    wanted = text.strip().casefold()
    for code in [language] if language else LANGUAGES:
        with use_language(code):
            taken = next((one for one in kind.fields.values() if one.key != but and one.is_used and one.label.casefold() == wanted), None)
        if taken is not None:
            raise InvalidInput(
                "label_taken", N_("“{entity}” already has a field called “{label}”."), entity=kind.label, label=text, field="label"
            )


def _check_repeats(uow: UnitOfWork, kind: EntityType, key: str, label: str) -> None:
    repeated = uow.connection.all(
        f'SELECT "{key}" FROM "{kind.key}" WHERE "{key}" IS NOT NULL GROUP BY "{key}" HAVING count(*) > 1 LIMIT {_EXAMPLES}'
    )
    if repeated:
        column = kind.field(key)
        listed = gettext(N_(", ")).join(str(column.show(row[0])) for row in repeated)
        raise Refused(
            "repeats_already",
            N_("“{label}” cannot be made unique: several records have the same value already, such as {values}."),
            label=label,
            values=listed,
        )


def _check_unused(uow: UnitOfWork, kind: EntityType, column: Field, row: Record) -> None:
    among = f'instr(char(10) || "{column.key}" || char(10), char(10) || ? || char(10)) > 0'
    used = among if column.kind == "choices" else f'"{column.key}" = ?'
    count = int(uow.connection.value(f'SELECT count(*) FROM "{kind.key}" WHERE {used}', (row["value"],)))
    if count:
        raise Refused(
            "option_in_use",
            N_(
                "The option “{label}” is used by {count} records and was not removed. Retire it: old records keep it, new ones cannot choose it."
            ),
            label=row["label"],
            count=count,
        )


def _option_text(text: str) -> str:
    try:
        text = clean_text(text).strip()
    except ValueError:
        text = ""
    if not text or len(text) > 200 or len(split_choices(text)) != 1:
        raise InvalidInput(
            "bad_option",
            N_("“{text}” cannot be an option: it is empty, too long, or holds a separator (; 、 or a new line)."),
            text=text[:60],
        )
    return text


# helpers -------------------------------------------------------------------------------------------------------------


def _section(kind: EntityType, text: str | None) -> str | None:
    """A section as typed; one that the form has already is taken for that one, in whatever language it was typed."""
    wanted = (text or "").strip()
    known = {field.f.section for field in kind.fields.values() if field.f.section}
    return next((section for section in known if wanted in in_every_language(section)), wanted or None)


def _take_over_options(uow: UnitOfWork, kept: Record, out: str, into: str) -> None:
    known = {row["value"] for row in uow.where(_OPTION, entity=kept["entity"], field=into)}
    for option in uow.where(_OPTION, entity=kept["entity"], field=out):
        if option["value"] not in known:
            place = len(known)
            known.add(option["value"])
            row = {key: option[key] for key in ("entity", "value", "label", "retired")}
            uow.insert(_OPTION, _OPTION.validate({**row, "field": into, "position": place}))


def _with_value(uow: UnitOfWork, kind: EntityType, key: str) -> list[Record]:
    ids = uow.connection.all(f'SELECT id FROM "{kind.key}" WHERE "{key}" IS NOT NULL AND deleted = 0')
    return [uow.get(kind, row[0].hex()) for row in ids]


def _check_not_posted(uow: UnitOfWork, kind: EntityType, rows: Sequence[Record], label: str) -> None:
    """What is posted never changes, not even from one field into another."""
    if kind.kind not in {Kind.DOCUMENT, Kind.LINE}:
        return
    document = entity_type(kind.fields[kind.parent].f.ref or "") if kind.parent else kind
    own = [row[kind.parent] if kind.parent else row["id"] for row in rows]
    count = sum(uow.get(document, identity, deleted=True)["status"] == "posted" for identity in own)
    if count:
        raise Refused(
            "posted_have_it",
            N_(
                "{count} posted records have “{label}”, and what is posted never changes. Nothing was changed; keep both fields, or retire one."
            ),
            count=count,
            label=label,
        )


def _shown(actor: Actor, record: Record) -> dict[str, Any]:
    return {**record_json(_FIELD, policy.shown(actor, _FIELD, record)), "key": f"x{record['number']}"}


VERBS = (
    Verb(add_field, N_("Add a field"), "settings.manage"),
    Verb(change_field, N_("Change a field"), "settings.manage"),
    Verb(promote_field, N_("Make a branch's field one of the company"), "settings.manage"),
    Verb(merge_fields, N_("Make one field of two"), "settings.manage"),
    Verb(set_options, N_("Set an option list"), "settings.manage"),
    Verb(rename, N_("Rename a field or a kind of record"), "settings.manage"),
)
BEHAVIOURS: dict[str, records.Behaviour] = {}
