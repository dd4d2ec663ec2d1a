"""What was put out of use: it stays in everything that names it, and nothing new is begun with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.uow import UnitOfWork


def check_in_use(
    uow: UnitOfWork, actor: Actor, kind: EntityType, new: Mapping[str, Any], old: Mapping[str, Any] | None, *keys: str
) -> None:
    """Refuse a reference in one of these fields that was not there before and names what is out of use; what the actor may not see is not named."""
    for key in keys:
        if new[key] is None or (old is not None and old[key] == new[key]):
            continue
        named = entity_type(kind.fields[key].f.ref or "")
        record = uow.find(named, new[key])
        if record is not None and not record["active"]:
            seen = policy.visible(uow.connection, actor, named, new[key]) and policy.view(actor, named).shows(named.title_field)
            title = record[named.title_field] if seen else "…"
            raise InvalidInput("not_in_use", N_("“{name}” is no longer in use. Choose another one."), name=title, field=key)
