"""A verb is one user action: a function of (unit of work, actor, *, …) with a label and a permission.

Every subject lists its verbs in a table; screens, the command line and scripts run them through ``run``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError, validate_call

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

#: A parameter that names a record; anything else is refused before the verb runs.
RecordId = Annotated[str, AfterValidator(parse_id)]


@dataclass(frozen=True)
class Verb:
    """One user action. ``permission`` is checked before it runs; None when the function checks by entity itself.

    ``record`` names the parameter that says which record is meant; the permission must reach that one.
    """

    function: Callable[..., Any]
    label_msgid: str
    permission: str | None = None
    record: str | None = None

    @property
    def name(self) -> str:
        """``<domain package>.<function>``, as scripts write it."""
        package = self.function.__module__.removeprefix("localcrm.domain.").split(".")[0]
        return f"{package}.{self.function.__name__}"

    @property
    def label(self) -> str:
        """Label in the language of the moment."""
        return gettext(self.label_msgid)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Names and types of the parameters as scripts write them, ids as text; a trailing "?" marks an optional one."""
        signature = inspect.signature(self.function)
        return {
            name: f"{parameter.annotation.replace('RecordId', 'str')}{'' if parameter.default is inspect.Parameter.empty else '?'}"
            for name, parameter in list(signature.parameters.items())[2:]
        }

    @cached_property
    def _checked(self) -> Callable[..., Any]:
        return validate_call(config=ConfigDict(arbitrary_types_allowed=True))(self.function)

    def __call__(self, /, *args: Any, **parameters: Any) -> Any:
        """Run with parameters as they came from outside; raises InvalidInput for wrong ones."""
        try:
            return self._checked(*args, **parameters)
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join(str(part) for part in fault["loc"])
            raise InvalidInput(
                "bad_parameter", N_("Parameter “{name}” of {verb}: {detail}"), name=name, verb=self.name, detail=fault["msg"]
            ) from None


VERBS: dict[str, Verb] = {}


def verb(name: str) -> Verb:
    """A verb by name; raises NotFound."""
    try:
        return VERBS[name]
    except KeyError:
        raise NotFound("unknown_verb", N_("There is no action called “{name}”."), name=name[:60]) from None


@dataclass(frozen=True, slots=True)
class Done:
    """What a verb returned, in JSON form, and the first row of the change log it wrote (None: it changed nothing)."""

    value: Any
    change: int | None


def run(store: Store, actor: Actor, name: str, parameters: Mapping[str, Any]) -> Any:
    """One user action in one unit of work; returns what the verb returns, in JSON form."""
    return act(store, actor, name, parameters).value


def act(store: Store, actor: Actor, name: str, parameters: Mapping[str, Any]) -> Done:
    """The same, for whoever may want to take it back."""
    action = _permitted(actor, name)
    with store.unit_of_work(actor.user_id) as uow:
        result = _perform(uow, actor, action, parameters)
    return Done(to_json(result), uow.first_change)


def try_out(store: Store, actor: Actor, name: str, parameters: Mapping[str, Any]) -> None:
    """Raise what a user action would raise; nothing is changed."""
    action = _permitted(actor, name)
    with suppress(_OnlyTried), store.unit_of_work(actor.user_id) as uow:
        _perform(uow, actor, action, parameters)
        raise _OnlyTried


class _OnlyTried(Exception):
    """Ends a trial, which leaves nothing behind."""


def _permitted(actor: Actor, name: str) -> Verb:
    action = verb(name)
    policy.require_acting(actor)
    if action.permission:
        policy.require(actor, action.permission)
    return action


def _perform(uow: UnitOfWork, actor: Actor, action: Verb, parameters: Mapping[str, Any]) -> Any:
    _require_record(uow, actor, action, parameters)
    return action(uow, actor, **parameters)


def _require_record(uow: UnitOfWork, actor: Actor, action: Verb, parameters: Mapping[str, Any]) -> None:
    identity = parameters.get(action.record or "")
    if action.permission and isinstance(identity, str):  # anything else is refused by the verb itself
        entity, name = action.permission.split(".")
        policy.require_record(uow.connection, actor, entity_type(entity), parse_id(identity), name)


_anything: TypeAdapter[Any] = TypeAdapter(Any)


def to_json(value: Any) -> Any:
    """JSON form of what a verb returns: decimals as strings, times as ISO 8601."""
    return _anything.dump_python(value, mode="json")
