"""One declaration per entity: a pydantic model whose fields each carry one small ``F``; everything else is derived.

Type, required, default and bounds come from pydantic and are never repeated. ``F`` adds what pydantic does not know:
the number a field has on the wire, its label, what it refers to, where it shows. Tables, triggers, forms, lists,
pickers, import templates, search rows, permissions and the exchange read the ``EntityType`` made from it.

Numbers of entities and fields are for ever, as in protocol buffers: a rename keeps the number, a dropped field's
number is never given again, so renames and column order cannot scramble an exchange between program versions.
"""

from __future__ import annotations

import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field as dataclass_field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError
from pydantic_core import PydanticUndefined

from localcrm.kernel.attachments import check_attachments
from localcrm.kernel.clock import to_iso
from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import N_, current_language, gettext
from localcrm.kernel.ids import parse_id
from localcrm.kernel.money import MONEY_SCALE, PRICE_SCALE, QUANTITY_SCALE, RATE_SCALE, from_scaled, parse_decimal, to_scaled

# Plug-ins for pydantic of whatever is installed beside the program are nothing to it; looking for them is 10 ms of every start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

Merge = Literal["lww", "home", "hub", "always_show", "set"]
#: What a value makes its record known by (see ``kernel.likeness``).
Mark = Literal["name", "phone", "code"]
Stored = int | str | bytes | None
#: Days outside these years are slips of the finger.
FIRST_YEAR, LAST_YEAR = 1900, 2200
_Date = typing.TypeVar("_Date", bound=date)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Marks a ``Decimal`` that is stored as an integer with ``scale`` decimal places."""

    kind: str
    scale: int


@dataclass(frozen=True, slots=True)
class F:
    """What a field says beyond its type.

    no: number on the wire, for ever · label: English msgid · ref: key of the entity an id points to · refs: the same
    for a text of ids with blanks between · column: place in
    the default list · index: lists may be sorted by it quickly · search: weight in the search index · widget: how a
    form shows it when the type does not tell · section: form section · perm: permission key that guards it ·
    merge: rule of the exchange ("set": what each place added and took away counts, see ``domain.sets``) · options: suggested values with their labels · editable: False for what only verbs write · fixed: what a branch has once said of it stays, whoever changed the file ·
    mark: values that are written differently and mean the same are found as one; of searched fields only · like: the field whose rule for
    a role holds for this one too, as it tells the same.
    """

    no: int
    label: str
    ref: str | None = None
    refs: str | None = None
    column: int | None = None
    index: bool = False
    search: int | None = None
    widget: str | None = None
    section: str | None = None
    perm: str | None = None
    merge: Merge = "lww"
    options: Mapping[str, str] | None = None
    editable: bool = True
    fixed: bool = False
    mark: Mark | None = None
    like: str | None = None


class Kind(StrEnum):
    """How a table behaves when work done apart is merged (sync.md §3.4)."""

    MASTER = "master"  # per-column last writer
    HUB = "hub"  # head office writes, branches only read
    STATE = "state"  # head office begins one; what verbs write into it anywhere merges like any column
    LEDGER = "ledger"  # insert only
    DOCUMENT = "document"  # drafts per column, posted rows never change
    LINE = "line"  # rows of a document, follow its state; removable while it is a draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A derived table kept by triggers: per value of ``by`` the sum of ``field`` (or the number of live rows); ``newest``: its greatest value.

    Of a newest one ``by`` is one reference, which an index of the entity begins with, ``field`` after it.
    """

    name: str
    by: tuple[str, ...]
    field: str | None = None
    newest: bool = False


def clean_text(value: str) -> str:
    """Refuse what no data file, printer or spreadsheet can hold: NUL and lone surrogates."""
    if "\x00" in value:
        raise ValueError("nul")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("surrogate") from None
    return value


def _blank_to_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _decimal(scale: int) -> Callable[[object], Decimal]:
    def parse(value: object) -> Decimal:
        try:
            number = parse_decimal(value)
            return from_scaled(to_scaled(number, scale), scale)
        except InvalidInput as error:
            raise ValueError(f"app:{error.code}") from None

    return parse


def _check_id(value: str) -> str:
    try:
        return parse_id(value)
    except InvalidInput:
        raise ValueError("app:bad_id") from None


def _parse_moment(value: object) -> object:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, datetime):
        try:
            return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
        except OverflowError:
            raise ValueError("app:bad_date") from None
    return value


def _in_living_memory(value: _Date) -> _Date:
    """Refuse the year 0209: a digit was lost, and a number or a calendar made from it would be nonsense."""
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError("app:bad_date")
    return value


def split_choices(text: str) -> list[str]:
    """The values that a field of several choices holds, or that were written in one line."""
    return [part.strip() for part in _BETWEEN_CHOICES.split(text) if part.strip()]


def as_set(values: Iterable[str]) -> dict[str, str]:
    """Values of which it does not matter how they are written, each once as it was written first."""
    found: dict[str, str] = {}
    for value in values:
        found.setdefault(normalize("NFKC", value).casefold(), value)
    return found


def write_set(found: Mapping[str, str], between: str = "\n") -> str:
    """The text of a field that holds them: the same for the same values, wherever they were put together."""
    return between.join(found[key] for key in sorted(found))


def _check_tags(text: str) -> str:
    found = as_set(split_choices(text))
    if len(found) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in found.values()):
        raise ValueError("app:bad_tags")
    return write_set(found)


Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(clean_text)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(clean_text)]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100_000), AfterValidator(clean_text)]
Attachments = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000), AfterValidator(check_attachments)]
Tags = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000), AfterValidator(clean_text), AfterValidator(_check_tags)]
Id = Annotated[str, AfterValidator(_check_id)]
Money = Annotated[Decimal, BeforeValidator(_decimal(MONEY_SCALE)), Scaled(kind="money", scale=MONEY_SCALE)]
Quantity = Annotated[Decimal, BeforeValidator(_decimal(QUANTITY_SCALE)), Scaled(kind="quantity", scale=QUANTITY_SCALE)]
Price = Annotated[Decimal, BeforeValidator(_decimal(PRICE_SCALE)), Scaled(kind="price", scale=PRICE_SCALE)]
Rate = Annotated[Decimal, BeforeValidator(_decimal(RATE_SCALE)), Scaled(kind="rate", scale=RATE_SCALE)]
Day = Annotated[date, AfterValidator(_in_living_memory)]
Moment = Annotated[datetime, BeforeValidator(_parse_moment), AfterValidator(_in_living_memory)]


class Choice(StrEnum):
    """A closed list of values, each with an English msgid: ``DRAFT = "draft", N_("Draft")``."""

    label: str

    def __new__(cls, value: str, label: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        return member


#: Signs that separate several choices where they are written in one line.
_BETWEEN_CHOICES = re.compile(r"[\n;\uff1b\u3001]+")
#: Tags of one record, and characters of one of them.
MOST_TAGS, LONGEST_TAG = 30, 40
#: Kinds of fields whose values are texts as they stand.
_TEXTS = frozenset({"text", "longtext", "choice", "choices", "files"})


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of an entity, as everything derived sees it."""

    key: str
    f: F
    kind: str  # text longtext integer boolean money quantity price rate date datetime ref choice choices files
    required: bool
    default: Any
    scale: int
    choices: Mapping[str, str] | None
    names: Mapping[str, str] = dataclass_field(default_factory=dict)
    """What the company calls it, by language; elsewhere its label counts."""
    withdrawn: frozenset[str] = frozenset()
    """Values of a list that old records may have and new ones may not."""
    custom: CustomField | None = None
    """The definition of a field that a company added; None for a declared one."""

    @property
    def no(self) -> int:
        """Number on the wire."""
        return self.f.no

    @property
    def label(self) -> str:
        """Label in the language of the moment."""
        return self.names.get(current_language()) or gettext(self.f.label)

    @property
    def secret(self) -> bool:
        """Write-only: never in list, get, history, export, conflicts."""
        return self.f.widget == "password"

    @property
    def options(self) -> Mapping[str, str]:
        """Values with their msgids: the closed choices or the suggestions."""
        return self.choices or self.f.options or {}

    @property
    def offered(self) -> Mapping[str, str]:
        """Of these, the ones that may still be chosen."""
        return {value: label for value, label in self.options.items() if value not in self.withdrawn}

    @property
    def between(self) -> str:
        """What stands between several values in one text: ids have no spaces, words may."""
        return " " if self.f.refs else "\n"

    @property
    def is_used(self) -> bool:
        """Whether forms and lists have it here: not retired, and not another branch's own."""
        return self.custom is None or not self.custom.retired

    @property
    def initial(self) -> Any:
        """What a new record starts with."""
        return self.custom.preset if self.custom else self.default

    @property
    def sql_type(self) -> str:
        """Column type in a STRICT table."""
        if self.kind == "ref":
            return "BLOB"
        return "TEXT" if self.kind in {*_TEXTS, "date"} else "INTEGER"

    def store(self, value: Any) -> Stored:
        """The stored form of a Python value that pydantic has checked."""
        if value is None:
            return None
        match self.kind:
            case "ref":
                return bytes.fromhex(value)
            case "date":
                return typing.cast("date", value).isoformat()
            case "datetime":
                milliseconds: float = value.timestamp() * 1000
                return round(milliseconds)
            case "boolean" | "integer":
                return int(value)
        if self.kind in _TEXTS:
            return str(value)
        return to_scaled(value, self.scale)

    def load(self, value: Any) -> Any:
        """The Python value of a stored form."""
        if value is None or self.kind == "integer" or self.kind in _TEXTS:
            return value
        match self.kind:
            case "ref":
                return typing.cast("bytes", value).hex()
            case "date":
                return date.fromisoformat(str(value))
            case "datetime":
                return datetime.fromtimestamp(int(value) / 1000, tz=UTC)
            case "boolean":
                return bool(value)
        return from_scaled(int(value), self.scale)

    def to_json(self, value: Any) -> None | bool | int | str:
        """JSON form: decimals as strings, times as ISO 8601 in UTC."""
        if isinstance(value, Decimal):
            return plain_decimal(value, minimum=self.scale if self.kind == "money" else 0)
        if isinstance(value, datetime):
            return to_iso(value)
        if isinstance(value, date):
            return value.isoformat()
        return typing.cast("None | bool | int | str", value)

    def show(self, stored: Stored) -> None | bool | int | str:
        """JSON form of a stored value; a secret shows nothing."""
        return None if self.secret else self.to_json(self.load(stored))


def plain_decimal(value: Decimal, *, minimum: int = 0) -> str:
    """A decimal without exponent or needless zeros, with at least ``minimum`` places."""
    text = f"{value:f}"
    whole, _, places = text.partition(".")
    places = places.rstrip("0").ljust(minimum, "0")
    return f"{whole}.{places}" if places else whole


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomField:
    """What a company says of a field of its own beyond what every field has (see ``kernel.custom``)."""

    id: str
    unique: bool = False
    to_post: bool = False  # a document is not posted without it, or a line of it; a draft may wait for it
    preset: Any = None  # value that a new record starts with, typed; the table has no default, so that data files agree
    hint: str = ""
    retired: bool = False
    branch_id: str | None = None  # the branch that has it for itself; None for one of the whole company


@dataclass(frozen=True, eq=False)
class Shape:
    """The fields of an entity as one data file has them: the declared ones, and those its company added."""

    fields: Mapping[str, Field]
    model: type[Entity]
    names: Mapping[str, str] = dataclass_field(default_factory=dict)
    """What the company calls such a record, by language."""

    @cached_property
    def by_no(self) -> Mapping[int, Field]:
        """Fields by wire number."""
        return {field.no: field for field in self.fields.values()}

    @cached_property
    def named(self) -> str:
        """The columns of all fields as statements name them."""
        return ", ".join(f'"{key}"' for key in self.fields)

    @cached_property
    def readable(self) -> tuple[Field, ...]:
        """Fields that may be shown at all."""
        return tuple(field for field in self.fields.values() if not field.secret)

    @cached_property
    def searched(self) -> tuple[Field, ...]:
        """Fields in the search index, heaviest first."""
        return tuple(sorted((f for f in self.fields.values() if f.f.search), key=lambda f: -(f.f.search or 0)))

    @cached_property
    def columns(self) -> tuple[Field, ...]:
        """Fields of the default list, in order."""
        return tuple(sorted((f for f in self.readable if f.f.column), key=lambda f: f.f.column or 0))

    @cached_property
    def refs(self) -> tuple[Field, ...]:
        """Fields that point to other records."""
        return tuple(field for field in self.fields.values() if field.f.ref)

    @cached_property
    def ids(self) -> frozenset[int]:
        """Wire numbers of the fields that hold an id."""
        return frozenset(field.no for field in self.fields.values() if field.kind == "ref")


#: Shapes by entity key, for the entities that differ from their declaration.
Shapes = Mapping[str, Shape]
_here: ContextVar[Shapes | None] = ContextVar("shapes", default=None)
_elsewhere: Shapes = {}


@contextmanager
def shaped(shapes: Shapes) -> Iterator[None]:
    """Inside this block entities have the fields that a data file gives them."""
    before = _here.get()
    _here.set(shapes)
    try:
        yield
    finally:
        _here.set(before)  # no token: a generator may end in another context than it began in


def use_shapes(shapes: Shapes) -> None:
    """From now on, to the end of the ``shaped`` block around: the file's definitions changed in its midst."""
    _here.set(shapes)


def shape_by_default(shapes: Shapes) -> None:
    """A program that serves one data file: outside of every block its shapes count."""
    global _elsewhere
    _elsewhere = shapes


@dataclass(frozen=True, eq=False)
class EntityType:
    """Everything the rest of the house knows about one entity.

    Its fields, and what is derived from them, are those of the data file at hand (``shaped``).
    """

    key: str
    no: int
    label_msgid: str
    kind: Kind
    declared: Shape
    title_field: str
    parent: str | None = None  # lines, of documents or of master data: the field that holds the id of what they are lines of
    owner: str | None = None  # the field that names the user it belongs to; "id" for users themselves
    under: str | None = None  # the reference it is seen and changed with; LINE: its parent
    seen_with: str | None = None  # the reference it is seen with beside whose it is: by whoever that one belongs to, or is shared with
    home: str | None = None  # the branch that alone writes it, beside head office; empty: head office only
    by_hand: bool = True  # False for what only verbs and the merge write
    scope: tuple[
        str, ...
    ] = ()  # references by which it belongs to a branch that may hold only its own (``sync.scope``); empty: everybody's
    root: bool = False  # what is seen and changed with it goes to the branches that it goes to
    about: bool = False  # its fields ``entity`` and ``record`` (and ``field``) name another record, with which it is seen
    series: str | None = None  # prefix of the numbers its ``number`` field gets
    order_by: str | None = None  # default list order: a field, "-" for descending
    indexes: tuple[tuple[str, ...], ...] = ()  # of several fields together, beside those that single fields ask for
    totals: tuple[Total, ...] = ()
    merged: str | None = None  # the reference that a record which was merged into another of its kind has to that one; it lies in the bin

    @property
    def shape(self) -> Shape:
        """Its fields in the data file at hand."""
        here = _here.get()
        return (_elsewhere if here is None else here).get(self.key, self.declared)

    @property
    def label(self) -> str:
        """Name of the entity in the language of the moment."""
        return self.shape.names.get(current_language()) or gettext(self.label_msgid)

    @property
    def model(self) -> type[Entity]:
        """The pydantic model that checks a record."""
        return self.shape.model

    @property
    def fields(self) -> Mapping[str, Field]:
        """Fields by key, in the order of forms."""
        return self.shape.fields

    @property
    def by_no(self) -> Mapping[int, Field]:
        """Fields by wire number."""
        return self.shape.by_no

    @property
    def readable(self) -> tuple[Field, ...]:
        """Fields that may be shown at all."""
        return self.shape.readable

    @property
    def searched(self) -> tuple[Field, ...]:
        """Fields in the search index, heaviest first."""
        return self.shape.searched

    @property
    def columns(self) -> tuple[Field, ...]:
        """Fields of the default list, in order."""
        return self.shape.columns

    @property
    def refs(self) -> tuple[Field, ...]:
        """Fields that point to other records."""
        return self.shape.refs

    @property
    def ids(self) -> frozenset[int]:
        """Wire numbers of the fields that hold an id."""
        return self.shape.ids

    def field(self, key: str) -> Field:
        """A field by key; raises NotFound."""
        try:
            return self.fields[key]
        except KeyError:
            raise NotFound("unknown_field", N_("“{entity}” has no field “{field}”."), entity=self.key, field=key[:60]) from None

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Check a whole record; returns typed values for every field, raises InvalidInput for the first fault."""
        try:
            record = self.model.model_validate(values)
        except ValidationError as error:
            raise input_error(self, error) from None
        return {key: getattr(record, key) for key in self.fields}

    def faults(self, values: Mapping[str, Any]) -> dict[str, InvalidInput]:
        """Every fault of a record by field, for a form that shows them beside the fields."""
        try:
            self.model.model_validate(values)
        except ValidationError as error:
            return {str(fault["loc"][0]) if fault["loc"] else "": _fault(self, fault) for fault in reversed(error.errors())}
        return {}


class Entity(BaseModel):
    """Base of every declaration. A subclass names its key, number, label, kind and title field as class keywords."""

    # a validator is built with its first record: a command that only describes needs none of the eighty-odd
    model_config = ConfigDict(extra="forbid", validate_default=False, defer_build=True)
    if TYPE_CHECKING:  # pydantic would read the text of the annotation again for every subclass
        entity_type: ClassVar[EntityType]

    def __init_subclass__(cls, **_keywords: Any) -> None:
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(cls, **words: Any) -> None:
        if words:  # the model of a data file with fields of its own adds to a declaration and is none
            cls.entity_type = _entity_type(cls, **words)
            _register(cls.entity_type)


def _entity_type(
    model: type[Entity],
    *,
    key: str,
    no: int,
    label: str,
    kind: Kind,
    title_field: str,
    parent: str | None = None,
    owner: str | None = None,
    under: str | None = None,
    seen_with: str | None = None,
    home: str | None = None,
    by_hand: bool = True,
    scope: tuple[str, ...] = (),
    root: bool = False,
    about: bool = False,
    series: str | None = None,
    order_by: str | None = None,
    indexes: tuple[tuple[str, ...], ...] = (),
    totals: tuple[Total, ...] = (),
    merged: str | None = None,
) -> EntityType:
    return EntityType(
        key=key,
        no=no,
        label_msgid=label,
        kind=kind,
        declared=Shape({name: _field(name, info) for name, info in model.model_fields.items()}, model),
        title_field=title_field,
        parent=parent,
        owner=owner,
        under=under or parent,
        seen_with=seen_with,
        home=home,
        by_hand=by_hand,
        scope=scope,
        root=root,
        about=about,
        series=series,
        order_by=order_by,
        indexes=indexes,
        totals=totals,
        merged=merged,
    )


def _field(key: str, info: Any) -> Field:
    f = next((m for m in info.metadata if isinstance(m, F)), None)
    if f is None:
        raise TypeError(f"field {key} lacks its F(...)")
    scaled = next((m for m in info.metadata if isinstance(m, Scaled)), None)
    base, scaled_inside = _base_type(info.annotation)
    scaled = scaled or scaled_inside
    default = None if info.default is PydanticUndefined else info.default
    choices = {str(member.value): member.label for member in base} if issubclass(base, Choice) else None
    kind = _kind(base, f, scaled)
    return Field(key, f, kind, info.is_required(), default, scaled.scale if scaled else 0, choices)


def _base_type(annotation: Any) -> tuple[type, Scaled | None]:
    scaled = None
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    if typing.get_origin(annotation) is Annotated:
        scaled = next((m for m in annotation.__metadata__ if isinstance(m, Scaled)), None)
        annotation = annotation.__origin__
    return annotation, scaled


def _kind(base: type, f: F, scaled: Scaled | None) -> str:
    if f.ref:
        return "ref"
    if scaled:
        return scaled.kind
    if issubclass(base, Choice):
        return "choice"
    for python_type, kind in ((bool, "boolean"), (int, "integer"), (datetime, "datetime"), (date, "date")):
        if issubclass(base, python_type):
            return kind
    if base is not str:
        raise TypeError(f"{base} cannot be stored; floats and free objects are banned")
    if f.widget == "files":
        return "files"
    if f.widget == "tags":
        return "choices"
    return "longtext" if f.widget in {"longtext", "picture"} else "text"


_registry: dict[str, EntityType] = {}
_numbered: dict[int, EntityType] = {}


def _register(entity: EntityType) -> None:
    other = _registry.get(entity.key) or _numbered.get(entity.no)
    if other is not None:
        raise TypeError(f"entity {entity.key} (no. {entity.no}) clashes with {other.key} (no. {other.no})")
    fields = entity.declared.fields
    if entity.title_field not in fields:
        raise TypeError(f"{entity.key}: title field {entity.title_field} does not exist")
    if len(entity.declared.by_no) != len(fields):
        raise TypeError(f"{entity.key}: a field number is used twice")
    _registry[entity.key] = _numbered[entity.no] = entity


def entities() -> list[EntityType]:
    """Every declared entity, in the order of their numbers."""
    return sorted(_registry.values(), key=lambda entity: entity.no)


def root_of(entity: EntityType) -> EntityType | None:
    """The kind whose records take those of this one along to branches: itself, or that of what it is seen and changed with; None where it
    belongs to branches by itself, or is everybody's.
    """
    above = entity.under or entity.seen_with
    if entity.root or entity.scope or above is None:
        return entity if entity.root else None
    return root_of(_registry[entity.fields[above].f.ref or ""])


def entity(key: str) -> EntityType:
    """An entity by key; raises NotFound."""
    try:
        return _registry[key]
    except KeyError:
        raise NotFound("unknown_entity", N_("There is no kind of record called “{entity}”."), entity=key[:60]) from None


def entity_by_no(no: int) -> EntityType | None:
    """An entity by wire number; None if this program does not know it (yet)."""
    return _numbered.get(no)


@contextmanager
def scratch_registry() -> Iterator[None]:
    """Let a test declare entities that vanish afterwards."""
    saved = dict(_registry)
    try:
        yield
    finally:
        _registry.clear()
        _registry.update(saved)
        _numbered.clear()
        _numbered.update({entity.no: entity for entity in saved.values()})


_BAD_VALUE = ("bad_value", N_("{label}: “{value}” cannot be understood."))
_DATE_VALUE = ("bad_date", N_("{label}: “{value}” is not a date (write 2026-11-23)."))
_FAULTS: dict[str, tuple[str, str]] = {
    "missing": ("required", N_("{label} is required.")),
    "string_too_short": ("required", N_("{label} is required.")),
    "string_too_long": ("too_long", N_("{label} is too long (at most {max_length} characters).")),
    "extra_forbidden": ("unknown_field", N_("“{entity}” has no field “{field}”.")),
    "nul": ("bad_text", N_("{label} contains characters that cannot be stored.")),
    "surrogate": ("bad_text", N_("{label} contains characters that cannot be stored.")),
    "string_unicode": ("bad_text", N_("{label} contains characters that cannot be stored.")),
    "enum": ("bad_choice", N_("{label}: “{value}” is not one of the choices.")),
    "app:bad_number": ("bad_number", N_("{label}: “{value}” is not a number.")),
    "app:too_many_decimals": ("too_many_decimals", N_("{label}: “{value}” has too many decimal places.")),
    "app:number_too_large": ("number_too_large", N_("{label}: “{value}” is too large.")),
    "app:bad_date": _DATE_VALUE,
    "app:bad_choice": ("bad_choice", N_("{label}: “{value}” is not one of the choices.")),
    "app:bad_attachment": ("bad_attachment", N_("{label}: this does not name attached files. Add a file with the button instead.")),
    "app:bad_tags": ("bad_tags", N_("{label}: at most 30 tags, of at most 40 characters each.")),
    "app:too_many_files": ("too_many_files", N_("{label}: too many files. Pack some of them into one.")),
    "app:bad_id": ("bad_id", N_("{label}: “{value}” is not a record id.")),
    "greater_than": ("too_small", N_("{label} must be greater than {gt}.")),
    "greater_than_equal": ("too_small", N_("{label} must be at least {ge}.")),
    "less_than_equal": ("too_large", N_("{label} must be at most {le}.")),
}


def input_error(entity: EntityType, error: ValidationError) -> InvalidInput:
    """The first fault of a pydantic error as one of ours."""
    return _fault(entity, error.errors()[0])


def _fault(entity: EntityType, fault: Any) -> InvalidInput:
    key = str(fault["loc"][0]) if fault["loc"] else ""
    field = entity.fields.get(key)
    kind = fault["type"]
    if kind == "value_error":
        kind = str(fault.get("ctx", {}).get("error", ""))
    if fault["input"] is None and field is not None and field.required:
        kind = "missing"
    code, text = _FAULTS.get(kind, _DATE_VALUE if "date" in fault["type"] else _BAD_VALUE)
    value = "" if field is not None and field.secret else str(fault["input"])[:60]
    value = value.encode("utf-8", "replace").decode()
    context = {k: v for k, v in (fault.get("ctx") or {}).items() if k in {"max_length", "gt", "ge", "le"}}
    return InvalidInput(code, text, label=field.label if field else key, value=value, entity=entity.key, field=key, **context)
