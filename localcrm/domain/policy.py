"""Who may do what: permissions are keys with labels, derived from the declarations; an unknown key is an error.

Until the rights windows exist a user has one of two roles: an administrator may do everything, staff everything
except users, branches and settings. Services check here; screens only hide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from localcrm.domain.roles import Role
from localcrm.kernel.errors import Forbidden
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, Kind, entities
from localcrm.store.query import Condition

ACTIONS = ("read", "create", "update", "delete", "import", "export")
#: Permissions that no entity carries.
OTHER_PERMISSIONS = ("sales_order.post", "sales_order.reverse", "sync.manage", "settings.manage", "conflict.resolve")
#: What staff may not do: entity keys and single permissions.
_ADMIN_ONLY = frozenset({"user", "branch", "sync", "settings"})
_STAFF_READS = frozenset({"user.read", "branch.read"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts: a signed-in user, or the program itself on behalf of whoever may read the data folder."""

    user_id: str | None
    login: str
    name: str
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return self.role == Role.ADMIN


#: The program itself: scheduled work, set-up, and commands of whoever may read the data folder.
SYSTEM = Actor(user_id=None, login="", name="", role=Role.ADMIN)


@cache
def permissions() -> frozenset[str]:
    """Every permission there is."""
    return frozenset(f"{entity.key}.{action}" for entity in entities() for action in ACTIONS) | frozenset(OTHER_PERMISSIONS)


def may(actor: Actor, permission: str) -> bool:
    """Whether the actor has a permission; an unknown key raises LookupError."""
    if permission not in permissions():
        raise LookupError(f"unknown permission {permission}")
    if actor.role == Role.ADMIN:
        return True
    if actor.role == Role.STAFF:
        return permission in _STAFF_READS or permission.split(".", maxsplit=1)[0] not in _ADMIN_ONLY
    return False


def require(actor: Actor, permission: str) -> None:
    """Raise Forbidden unless the actor has the permission."""
    if not may(actor, permission):
        raise Forbidden("forbidden", N_("You have no right to do this ({permission}). Ask an administrator."), permission=permission)


def restrict(actor: Actor, entity: EntityType) -> tuple[Condition, ...]:
    """Conditions every list of this actor carries; raises Forbidden without the right to read at all."""
    require(actor, f"{entity.key}.read")
    return ()


def readable_entities(actor: Actor) -> list[EntityType]:
    """Kinds of records the actor may see."""
    return [entity for entity in entities() if may(actor, f"{entity.key}.read")]


def written_by_hand(entity: EntityType) -> bool:
    """Whether people create records of this kind directly, rather than a verb or the merge."""
    return entity.kind not in {Kind.HUB, Kind.STATE}
