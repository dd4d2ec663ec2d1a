"""What records that belong to a customer have in common: one customer in all they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import EntityType, entity
from localcrm.store.uow import UnitOfWork


def check_same_customer(uow: UnitOfWork, kind: EntityType, values: Mapping[str, Any], *keys: str) -> None:
    """Refuse references to records of another customer. Raises InvalidInput("another_customer")."""
    for key in keys:
        other = named(uow, kind, values, key)
        if other is not None and other["customer_id"] != values["customer_id"]:
            raise InvalidInput("another_customer", N_("{label} belongs to another customer."), label=kind.fields[key].label, field=key)


def named(uow: UnitOfWork, kind: EntityType, values: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    """The record that a reference names, where it is there."""
    return uow.find(entity(kind.fields[key].f.ref or ""), values[key]) if isinstance(values.get(key), str) and values[key] else None


def filled_from(uow: UnitOfWork, actor: Actor, kind: EntityType, values: Mapping[str, Any], key: str, *keys: str) -> dict[str, Any]:
    """Values with what they leave out taken over from the record that ``key`` names, as far as the actor may read it there."""
    other = entity(kind.fields[key].f.ref or "")
    above, seen = named(uow, kind, values, key), policy.seen(actor, other)
    if above is None or seen is None or not policy.visible(uow.connection, actor, other, above["id"]):
        return dict(values)
    wanted = [one for one in keys if seen.shows(one) and values.get(one) in (None, "") and above[one] is not None]
    return {**values, **{one: above[one] for one in wanted}}


def checked_list(uow: UnitOfWork, kind: str, ids: str) -> str:
    """Ids of records of a kind, each once; raises NotFound or InvalidInput for one that there is not."""
    found = dict.fromkeys(ids.split())
    for identity in found:
        uow.get(entity(kind), parse_id(identity))
    return " ".join(found)
