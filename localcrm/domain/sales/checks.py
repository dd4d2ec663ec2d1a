"""What quotes, contracts and deliveries have in common: days in order, and one customer in all they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, entity
from localcrm.store.uow import UnitOfWork


def check_span(kind: EntityType, values: Mapping[str, Any], first: str, last: str) -> None:
    """Refuse a last day before the first one; either may be open. Raises InvalidInput("end_before_start")."""
    if values[first] and values[last] and values[last] < values[first]:
        before, after = kind.fields[last].label, kind.fields[first].label
        raise InvalidInput("end_before_start", N_("“{last}” must not be before “{first}”."), last=before, first=after, field=last)


def check_same_customer(uow: UnitOfWork, kind: EntityType, values: Mapping[str, Any], *keys: str) -> None:
    """Refuse references to records of another customer. Raises InvalidInput("another_customer")."""
    for key in keys:
        other = uow.find(entity(kind.fields[key].f.ref or ""), values[key]) if values[key] else None
        if other is not None and other["customer_id"] != values["customer_id"]:
            raise InvalidInput("another_customer", N_("{label} belongs to another customer."), label=kind.fields[key].label, field=key)
