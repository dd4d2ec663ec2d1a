"""Conditions as people save and share them: a small tree of plain data, read with the rights and the day of whoever asks.

``{"all": [...]}``, ``{"any": [...]}``, ``{"not": …}``, a field ``{"field": "level", "op": "=", "value": "deal"}``, a question
that the program knows how to answer ``{"ask": "no_activity", "days": 30}``. Nothing of who asked is in it: "mine" and "today"
are whose and when it is read. It comes from browsers, files and other branches: everything in it is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.domain.spans import MOST_DAYS, bounds, day_starts
from localcrm.domain.typed import read_text
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.money import MONEY_SCALE, parse_decimal, to_scaled
from localcrm.kernel.schema import EntityType, Field
from localcrm.store.query import Condition, ListQuery, check
from localcrm.store.tree import All, Comparison, Either, Node, Not, Term

#: A tree beyond this is no question of a person.
DEEPEST, MOST_PARTS, MOST_VALUES = 6, 60, 200
#: What a figure may be compared by.
COMPARISONS: Mapping[Comparison, str] = {
    ">": N_("more than"),
    ">=": N_("at least"),
    "=": N_("exactly"),
    "<=": N_("at most"),
    "<": N_("less than"),
}
#: Operators of a field by its kind, in the order they are offered; "me" stands for the user who asks.
TEXT_OPERATORS = ("contains", "starts", "=", "filled", "blank")
OPERATORS: Mapping[str, tuple[str, ...]] = {
    "text": TEXT_OPERATORS,
    "longtext": TEXT_OPERATORS,
    "choice": ("=", "!=", "filled", "blank"),
    "choices": ("any", "filled", "blank"),
    "ref": ("=", "!=", "filled", "blank"),
    "boolean": ("=",),
    "date": ("within", ">=", "<=", "filled", "blank"),
    "datetime": ("within", ">=", "<=", "filled", "blank"),
    "files": ("filled", "blank"),
    **dict.fromkeys(("integer", "money", "quantity", "price", "rate"), (">=", "<=", "=", ">", "<", "filled", "blank")),
}


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and when: ``now`` on the clock on the wall."""

    actor: Actor
    now: datetime = field(default_factory=lambda: now_utc().astimezone())

    @property
    def today(self) -> date:
        """The day of it."""
        return self.now.date()

    @property
    def offset_ms(self) -> int:
        """What the clock on the wall is ahead of UTC."""
        offset = self.now.utcoffset()
        return int(offset.total_seconds() * 1000) if offset else 0

    def shared(self, kind: EntityType) -> frozenset[str]:
        """Records of a kind that were shared with whoever asks."""
        return frozenset() if self.actor.rights is None else self.actor.rights.shared.get((kind.key, "read"), frozenset())


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a question is asked with: ``kind`` days, span, op, number or money; ``preset``: what it begins with."""

    key: str
    kind: str
    preset: Any


@dataclass(frozen=True, slots=True)
class Question:
    """Something about a record that no field of it says. ``label`` with the parameters in braces; ``node`` answers it."""

    key: str
    label: str
    node: Callable[[Asking, Mapping[str, Any]], Node]
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """A query that the program brings along."""

    key: str
    label: str
    tree: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measure:
    """A sum of money over records beside their number."""

    key: str
    label: str
    terms: Callable[[Asking], tuple[Term, ...]]


#: Questions, presets and sums by kind of record and key, in the order they are offered; ``subjects`` fills them.
QUESTIONS: dict[str, dict[str, Question]] = {}
PRESETS: dict[str, dict[str, Preset]] = {}
MEASURES: dict[str, dict[str, Measure]] = {}


def add_questions(kind: EntityType, questions: Iterable[Question], presets: Iterable[Preset], measures: Iterable[Measure] = ()) -> None:
    """Let lists of a kind be asked these."""
    MEASURES.setdefault(kind.key, {}).update((one.key, one) for one in measures)
    QUESTIONS.setdefault(kind.key, {}).update((one.key, one) for one in questions)
    PRESETS.setdefault(kind.key, {}).update((one.key, one) for one in presets)


def mine_by(field: str) -> Question:
    """Whether a record is of whoever asks, by a field of it that names a user."""

    def mine(asking: Asking, _given: Mapping[str, Any]) -> Node:
        return Condition(field, "=", asking.actor.user_id)

    return Question("mine", N_("Mine"), mine)


def read_tree(kind: EntityType, data: Any, asking: Asking) -> Node:
    """The conditions of plain data; raises InvalidInput("bad_query") for what is none."""
    return _Reader(kind, asking).read(data, DEEPEST)


def tree_query(kind: EntityType, data: Any, asking: Asking, **more: Any) -> ListQuery:
    """A list narrowed by plain data, with the rights of whoever asks; ``more`` as for ListQuery."""
    seen = {"restrict": policy.view(asking.actor, kind), "among": partial(policy.seen, asking.actor)}
    return ListQuery(kind, tree=read_tree(kind, data, asking), **{**seen, **more})


def is_askable(kind: EntityType, data: Any, asking: Asking) -> bool:
    """Whether whoever asks may ask this: he sees the fields and records it is about."""
    try:
        check(tree_query(kind, data, asking))
    except AppError:
        return False
    return True


def within(key: str, is_day: bool, span: str, days: int, asking: Asking) -> Node:
    """That a day, or a moment, lies in a span told from today."""
    low, high = bounds(span, days, asking.today)
    found = [(">=", low), ("<", high)]
    return All(tuple(Condition(key, op, day if is_day else day_starts(day)) for op, day in found if day is not None))  # type: ignore[arg-type]


def plain_condition(part: Sequence[Any]) -> Condition:
    """One (field, operator, value) of a list's own filters; raises InvalidInput."""
    match list(part):
        case [str(key), "in" | "any" as op, list(values)] if key != "id" and all(isinstance(one, str) for one in values):
            return Condition(key, op, values)
        case [str(key), str(op), str() | int() | None as value] if key != "id" and op not in {"in", "any", "yearly"} and _fits(value):
            return Condition(key, op, value)  # type: ignore[arg-type]
    raise bad_query()


def _fits(value: Any) -> bool:
    """Whether a whole number is none that no data file can hold."""
    try:
        return -(2**63) <= int(value) < 2**63
    except (TypeError, ValueError):
        return True


def bad_query() -> InvalidInput:
    """What is no condition."""
    return InvalidInput("bad_query", N_("These conditions cannot be understood. Another version of the program may have made them."))


class _Reader:
    def __init__(self, kind: EntityType, asking: Asking) -> None:
        self.kind, self.asking = kind, asking
        self.parts = 0

    def read(self, data: Any, depth: int) -> Node:
        self.parts += 1
        if not isinstance(data, Mapping) or not depth or self.parts > MOST_PARTS:
            raise bad_query()
        match dict(data):
            case {"all": list(parts), **rest} if not rest:
                return All(tuple(self.read(part, depth - 1) for part in parts))
            case {"any": list(parts), **rest} if not rest:
                return Either(tuple(self.read(part, depth - 1) for part in parts))
            case {"not": part, **rest} if not rest:
                return Not(self.read(part, depth - 1))
            case {"ask": str(key), **given}:
                return self._question(key, given)
            case {"field": str(key), "op": str(op), **given}:
                return self._field(self.kind.field(key), op, given)
        raise bad_query()

    def _question(self, key: str, given: Mapping[str, Any]) -> Node:
        question = QUESTIONS.get(self.kind.key, {}).get(key)
        if question is None or not given.keys() <= {parameter.key for parameter in question.parameters}:
            raise bad_query()
        return question.node(self.asking, {one.key: read_parameter(one, given.get(one.key, one.preset)) for one in question.parameters})

    def _field(self, column: Field, op: str, given: Mapping[str, Any]) -> Node:
        value = given.get("value")
        if column.kind == "integer" and not _fits(value):
            raise bad_query()
        match op:
            case "within" if column.kind in {"date", "datetime"}:
                return within(column.key, column.kind == "date", *_span(given), self.asking)
            case "=" | "!=" if value == "me" and column.f.ref == "user":
                return Condition(column.key, op, self.asking.actor.user_id)
            case "in" | "any" if isinstance(value, list) and len(value) <= MOST_VALUES and all(isinstance(one, str) for one in value):
                return Condition(column.key, op, [_typed(column, one) for one in value])
            case "blank" | "filled":
                return Condition(column.key, op)
            case "contains" | "starts" if isinstance(value, str):
                return Condition(column.key, op, value)
            case "=" | "!=" | "<" | "<=" | ">" | ">=" if isinstance(value, str | int):
                return self._compared(column, op, value)
        raise bad_query()

    def _compared(self, column: Field, op: Comparison, value: str | int) -> Node:
        day = _day(value) if column.kind == "datetime" and isinstance(value, str) else None
        if day is not None:  # the whole day is meant
            ends = op in {"<=", ">"}
            return Condition(column.key, {"<=": "<", ">": ">="}.get(op, op), day_starts(day + timedelta(days=1) if ends else day))  # type: ignore[arg-type]
        return Condition(column.key, op, _typed(column, value))


def _typed(column: Field, value: Any) -> Any:
    return read_text(column, value.strip()) if isinstance(value, str) else value


def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _span(given: Mapping[str, Any]) -> tuple[str, int]:
    span, days = given.get("span"), given.get("days", 0)
    if not isinstance(span, str) or not isinstance(days, int):
        raise bad_query()
    return span, days


def read_parameter(parameter: Parameter, value: Any) -> Any:
    """The typed value of a question's parameter: money in its stored form; raises InvalidInput."""
    match parameter.kind:
        case "days" | "number" if isinstance(value, int) and not isinstance(value, bool):
            if (1 if parameter.kind == "days" else 0) <= value <= MOST_DAYS:
                return value
            raise InvalidInput("bad_span", N_("A number from 1 to {most} is needed here."), most=MOST_DAYS)
        case "op" if value in COMPARISONS:
            return value
        case "money" if isinstance(value, str | int):
            return to_scaled(parse_decimal(value), MONEY_SCALE)
    raise bad_query()


def question_words(question: Question, given: Mapping[str, Any]) -> str:
    """A question as a sentence, with what it is asked with."""
    shown = {one.key: given.get(one.key, one.preset) for one in question.parameters}
    words = {key: gettext(COMPARISONS[value]) if value in COMPARISONS else value for key, value in shown.items()}
    return gettext(question.label).format(**words)
