"""What quotes, contracts and deliveries have in common: one customer in all they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, entity
from localcrm.store.uow import UnitOfWork


def check_same_customer(uow: UnitOfWork, kind: EntityType, values: Mapping[str, Any], *keys: str) -> None:
    """Refuse references to records of another customer. Raises InvalidInput("another_customer")."""
    for key in keys:
        other = uow.find(entity(kind.fields[key].f.ref or ""), values[key]) if values[key] else None
        if other is not None and other["customer_id"] != values["customer_id"]:
            raise InvalidInput("another_customer", N_("{label} belongs to another customer."), label=kind.fields[key].label, field=key)
