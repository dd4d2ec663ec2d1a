"""Fields that a company adds to its records, options it adds to lists, names it gives: from plain definitions to shapes.

Definitions are data of the company and travel like all others (``domain.admin``). What they say becomes fields like the
declared ones, so a field of the company works wherever a declared one does. Their wire numbers start at FIRST_NUMBER.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field as Bounds, StringConstraints, TypeAdapter, ValidationError, create_model
from pydantic_core import PydanticKnownError

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import (
    Attachments,
    Choice,
    CustomField,
    Day,
    EntityType,
    F,
    Field,
    Id,
    Kind,
    LongText,
    Moment,
    Money,
    Quantity,
    Shape,
    Shapes,
    Text,
    entities,
    split_choices,
)

FIRST_NUMBER, LAST_NUMBER = 1000, 2**40
#: Numbers that one node may give in one of its epochs; epochs that are told apart.
PER_NODE, _EPOCH_BITS = 1000, 6
#: Fields of one kind that one branch, and all together, may add: a table takes 2,000 columns, a condition 1,000 parts.
MOST_OF_BRANCH, MOST_OF_KIND = 100, 400
#: Whole numbers that a spreadsheet keeps exactly.
_MAX_WHOLE = 2**53
_LENGTH = re.compile(r"\d{1,6}", re.ASCII)


class FieldType(Choice):
    """What a field of the company holds."""

    TEXT = "text", N_("Text")
    LONGTEXT = "longtext", N_("Long text")
    INTEGER = "integer", N_("Whole number")
    NUMBER = "number", N_("Number with decimals")
    MONEY = "money", N_("Amount of money")
    DATE = "date", N_("Date")
    DATETIME = "datetime", N_("Date and time")
    BOOLEAN = "boolean", N_("Yes or no")
    CHOICE = "choice", N_("One of a list")
    CHOICES = "choices", N_("Several of a list")
    USER = "user", N_("Person")
    DEPARTMENT = "department", N_("Department")
    SERIAL = "serial", N_("Serial number given by the program")
    ATTACHMENT = "attachment", N_("Attached files")
    AREA = "area", N_("Area (province, city, district)")


#: Types with a list of options, with a smallest and largest value, with a greatest length.
LISTS = frozenset({FieldType.CHOICE, FieldType.CHOICES})
NUMBERED = frozenset({FieldType.INTEGER, FieldType.NUMBER, FieldType.MONEY, FieldType.DATE, FieldType.DATETIME})
WRITTEN = frozenset({FieldType.TEXT, FieldType.LONGTEXT})
#: Types that a new record cannot begin with a value of; types whose values cannot be forbidden to repeat.
WITHOUT_PRESET = frozenset({FieldType.SERIAL, FieldType.USER, FieldType.DEPARTMENT, FieldType.ATTACHMENT, *LISTS})
WITHOUT_UNIQUE = frozenset({FieldType.BOOLEAN, FieldType.ATTACHMENT, *LISTS})
#: Types whose values the search index holds.
SEARCHABLE = frozenset({FieldType.TEXT, FieldType.LONGTEXT, FieldType.CHOICE, FieldType.CHOICES, FieldType.SERIAL, FieldType.AREA})
#: What a type may become without losing anything: the stored form stays the same.
BECOMES: Mapping[FieldType, tuple[FieldType, ...]] = {
    FieldType.TEXT: (FieldType.LONGTEXT, FieldType.AREA),
    FieldType.AREA: (FieldType.TEXT,),
    FieldType.CHOICE: (FieldType.CHOICES, FieldType.TEXT),
    FieldType.SERIAL: (FieldType.TEXT,),
}

_KINDS: Mapping[FieldType, tuple[str, Any]] = {
    FieldType.TEXT: ("text", Text),
    FieldType.LONGTEXT: ("longtext", LongText),
    FieldType.INTEGER: ("integer", Annotated[int, Bounds(ge=-_MAX_WHOLE, le=_MAX_WHOLE)]),
    FieldType.NUMBER: ("quantity", Quantity),
    FieldType.MONEY: ("money", Money),
    FieldType.DATE: ("date", Day),
    FieldType.DATETIME: ("datetime", Moment),
    FieldType.BOOLEAN: ("boolean", bool),
    FieldType.CHOICE: ("choice", Text),
    FieldType.CHOICES: ("choices", LongText),
    FieldType.USER: ("ref", Id),
    FieldType.DEPARTMENT: ("ref", Id),
    FieldType.SERIAL: ("text", Text),
    FieldType.ATTACHMENT: ("files", Attachments),
    FieldType.AREA: ("text", Text),
}
_SCALES = {"quantity": 4, "money": 2}
#: Kinds of records that are drafts at first: what is required of them is asked for when they are posted.
_DRAFTED = frozenset({Kind.DOCUMENT, Kind.LINE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One field of the company as its record says; bounds and preset as typed."""

    id: str
    entity: str
    number: int
    label: str
    type: FieldType
    required: bool = False
    unique: bool = False
    preset: str | None = None
    least: str | None = None
    most: str | None = None
    hint: str | None = None
    section: str | None = None
    position: int = 0
    searched: bool = False
    listed: bool = False
    retired: bool = False
    branch_id: str | None = None

    @property
    def key(self) -> str:
        """Key of the field and name of its column."""
        return f"x{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One entry of an option list, of a company's field or of a declared one that offers values."""

    id: str
    entity: str
    field: str
    value: str
    label: str
    position: int = 0
    retired: bool = False
    branch_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenName:
    """What the company calls a field, or with ``field`` "" the records themselves, in one language."""

    entity: str
    field: str
    language: str
    text: str


def first_number(node_no: int, epoch_index: int) -> int:
    """The first of the PER_NODE numbers that a node may give in one of its epochs; no other node gives them."""
    return FIRST_NUMBER + (node_no << _EPOCH_BITS | epoch_index % (1 << _EPOCH_BITS)) * PER_NODE


def node_of(number: int) -> int:
    """The node whose number it is."""
    return (number - FIRST_NUMBER) // PER_NODE >> _EPOCH_BITS


def may_become(before: str, after: str) -> bool:
    """Whether a type may become another one without losing anything."""
    return before == after or any(before == one and after in others for one, others in BECOMES.items())


def is_extensible(entity: EntityType) -> bool:
    """Whether a company may add fields: to master data, documents and their lines that people enter."""
    return entity.by_hand and not entity.about and entity.kind in {Kind.MASTER, *_DRAFTED} and entity.key != "user"


def types_for(entity: EntityType) -> list[FieldType]:
    """Types that a field of such records may have: files are attached to master data, which stays open, not to documents, which are sealed."""
    return [one for one in FieldType if one != FieldType.ATTACHMENT or entity.kind is Kind.MASTER]


def lists_options(field: Field) -> bool:
    """Whether the company decides what a field offers: an open list, or a list of its own."""
    return bool(field.f.options) or (field.custom is not None and field.kind in {"choice", "choices"})


def shapes(definitions: Iterable[Definition], options: Iterable[Option], names: Iterable[GivenName], *, here: str | None = None) -> Shapes:
    """The shape of every entity that differs from its declaration.

    ``here``: the branch whose own fields are shown; None shows those of all. Definitions that claim a declared number, or one
    that another definition has, are passed over; the company's count before a branch's, then the one with the smaller id, so that all
    nodes agree. So it is with two entries for one value of a list.
    """
    numbered: dict[tuple[str, int], Definition] = {}
    for definition in sorted(definitions, key=_companys_first):
        if FIRST_NUMBER < definition.number <= LAST_NUMBER:
            numbered.setdefault((definition.entity, definition.number), definition)
    added = _grouped(_as_shown(definition, here) for definition in numbered.values())
    listed: dict[tuple[str, str, str], Option] = {}
    for option in sorted(options, key=_companys_first):
        listed.setdefault((option.entity, option.field, option.value), option)
    offered, called = _grouped(listed.values()), _grouped(names)
    return {
        entity.key: _shape(entity, fields, offered.get(entity.key, []), called.get(entity.key, []))
        for entity in entities()
        if (fields := added.get(entity.key, []) if is_extensible(entity) else []) or entity.key in {*offered, *called}
    }


def _companys_first(one: Definition | Option) -> tuple[bool, str]:
    return one.branch_id is not None, one.id


def _as_shown(definition: Definition, here: str | None) -> Definition:
    """A field of another branch has its column here, and is shown no more than a retired one."""
    return definition if here is None or definition.branch_id in {None, here} else replace(definition, retired=True)


def _grouped(items: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(item.entity, []).append(item)
    return found


def _shape(entity: EntityType, added: list[Definition], offered: list[Option], called: list[GivenName]) -> Shape:
    lists: dict[str, list[Option]] = {}
    for option in sorted(offered, key=lambda one: one.position):
        declared = entity.declared.fields.get(option.field)
        if option.branch_id is None or declared is None or option.value not in declared.options:  # those are the company's to name
            lists.setdefault(option.field, []).append(option)
    names: dict[str, dict[str, str]] = {}
    for name in called:
        names.setdefault(name.field, {})[name.language] = name.text
    fields = {
        key: replace(
            field, f=_with_options(field.f, lists.get(key, [])), names=names.get(key, {}), withdrawn=_withdrawn(lists.get(key, []))
        )
        for key, field in entity.declared.fields.items()
    }
    more: dict[str, Any] = {}
    for definition in sorted(added, key=lambda one: (one.position, one.number)):
        listed = lists.get(definition.key, [])
        annotation = _annotation(definition, listed)
        field = fields[definition.key] = _field(entity, definition, annotation, listed, names.get(definition.key, {}))
        more[definition.key] = (annotation, ...) if field.required else (annotation | None, None)
    model = entity.declared.model
    return Shape(fields, create_model(model.__name__, __base__=model, **more) if more else model, names.get("", {}))


def _with_options(f: F, listed: list[Option]) -> F:
    """A declared list of values, as the company names and adds to them."""
    return replace(f, options={**f.options, **{option.value: option.label for option in listed}}) if listed and f.options else f


def _withdrawn(listed: list[Option]) -> frozenset[str]:
    return frozenset(option.value for option in listed if option.retired)


def _field(entity: EntityType, definition: Definition, annotation: Any, listed: list[Option], names: Mapping[str, str]) -> Field:
    kind, _annotated = _KINDS[definition.type]
    is_ref, is_line = kind == "ref", entity.kind is Kind.LINE
    unique = definition.unique and not is_line  # lines repeat, and are found with their document
    f = F(
        definition.number,
        definition.label,
        ref=definition.type.value if is_ref else None,
        column=FIRST_NUMBER + definition.position if (definition.listed or is_line) and not definition.retired else None,
        index=kind not in {"longtext", "files"} and (definition.listed or unique),
        search=2 if definition.searched and definition.type in SEARCHABLE and not is_line else None,
        widget="longtext" if kind == "longtext" else "area" if definition.type == FieldType.AREA else None,
        section=definition.section or None,
        editable=definition.type != FieldType.SERIAL,
    )
    wanted, is_drafted = definition.required and not definition.retired, entity.kind in _DRAFTED
    own = CustomField(
        id=definition.id,
        unique=unique,
        to_post=wanted and is_drafted,
        preset=read_value(annotation, definition.preset),
        hint=definition.hint or "",
        retired=definition.retired,
        branch_id=definition.branch_id,
    )
    choices = {option.value: option.label for option in listed} if definition.type in LISTS else None
    return Field(definition.key, f, kind, wanted and not is_drafted, None, _SCALES.get(kind, 0), choices, names, _withdrawn(listed), own)


def read_value(annotation: Any, text: str | None) -> Any:
    """A typed value from text; None for an empty text and for one that does not fit (any more)."""
    if text is None or not text.strip():
        return None
    try:
        return TypeAdapter(annotation).validate_python(text)
    except ValidationError:
        return None


def annotation(definition: Definition, options: Iterable[Option] = ()) -> Any:
    """The type that checks one value of the field."""
    return _annotation(definition, list(options))


def _annotation(definition: Definition, listed: list[Option]) -> Any:
    found = _KINDS[definition.type][1]
    if definition.type in WRITTEN and definition.required:
        found = Annotated[found, StringConstraints(min_length=1)]
    if definition.type in WRITTEN and is_length(definition.most or ""):
        found = Annotated[found, StringConstraints(max_length=int(definition.most or 0))]
    if definition.type in NUMBERED:
        least, most = read_value(found, definition.least), read_value(found, definition.most)
        found = Annotated[found, AfterValidator(lambda value: _within(definition, least, most, value))]
    if definition.type in LISTS:
        values = frozenset(option.value for option in listed)
        found = Annotated[found, AfterValidator(lambda text: _among(values, text))]
    if definition.type == FieldType.CHOICES:
        order = [option.value for option in listed]
        found = Annotated[found, BeforeValidator(lambda value: _in_order(order, value))]
    return found


def is_length(text: str) -> bool:
    """Whether a text says a greatest length; a definition from elsewhere may say anything."""
    return _LENGTH.fullmatch(text) is not None


def _in_order(order: list[str], value: object) -> object:
    """Values in the order of the list, so that the same choices are the same text wherever they were made."""
    if isinstance(value, str):
        value = split_choices(value)
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        return value
    return "\n".join(sorted(dict.fromkeys(value), key=lambda part: (order.index(part) if part in order else len(order), part)))


def _within(definition: Definition, least: Any, most: Any, value: Any) -> Any:
    """Refuse a value beyond the bounds, and name these as they were typed: 1, not Decimal('1.0000')."""
    if least is not None and value < least:
        raise PydanticKnownError("greater_than_equal", {"ge": definition.least or ""})
    if most is not None and value > most:
        raise PydanticKnownError("less_than_equal", {"le": definition.most or ""})
    return value


def _among(values: frozenset[str], text: str) -> str:
    if not values.issuperset(split_choices(text) if "\n" in text else [text]):
        raise ValueError("app:bad_choice")
    return text
