"""How long an unused screen may stay open: a personal choice on this node, within what head office says for all branches.

``idle`` does the locking.
"""

from __future__ import annotations

from localcrm.domain import policy
from localcrm.domain.people.entities import AccessPolicy
from localcrm.domain.people.preferences import save_preference
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

#: Minutes without use that a user may choose; OFF never locks.
OFF = 0
CHOICES = (5, 15, 30, 60, OFF)
DEFAULT_MINUTES = 30
#: Preference of a user.
KEY = "idle_minutes"
_POLICY = AccessPolicy.entity_type


def set_access_policy(uow: UnitOfWork, actor: Actor, *, longest_idle: int) -> dict[str, int]:
    """How many minutes an unused screen may stay open at most, for the whole company; OFF: as each user likes. Returns {longest_idle}."""
    policy.require_admin(actor)
    if not uow.node.is_office:
        raise Refused("office_only", N_("{label} is set by head office. Nothing was changed."), label=_POLICY.label)
    _check_choice(longest_idle)
    existing = uow.where(_POLICY)
    if existing:
        uow.update(_POLICY, existing[0]["id"], {"longest_idle": longest_idle})
    else:
        uow.insert(_POLICY, _POLICY.validate({"longest_idle": longest_idle}))
    return {"longest_idle": longest_idle}


def longest_idle(store: Store) -> int:
    """Minutes that head office allows at most; OFF for no limit."""
    with store.read() as connection:
        return read_longest(connection)


def allowed_choices(store: Store) -> list[int]:
    """What a user may choose here."""
    longest = longest_idle(store)
    return [minutes for minutes in CHOICES if _capped(minutes, longest) == minutes]


def idle_minutes(store: Store, user_id: str) -> int:
    """After how many minutes the screens of a user lock; OFF for never."""
    with store.read() as connection:
        wish = connection.value("SELECT value FROM user_setting WHERE user_id = ? AND key = ?", (bytes.fromhex(user_id), KEY))
        return effective_minutes(wish, read_longest(connection))


def choose_idle_minutes(store: Store, user_id: str, minutes: int) -> None:
    """A user's own choice; raises InvalidInput(bad_idle), Refused(idle_too_long)."""
    _check_choice(minutes)
    if minutes not in allowed_choices(store):
        raise Refused("idle_too_long", N_("Head office does not allow a screen to stay open that long. Nothing was changed."))
    save_preference(store, user_id, KEY, str(minutes))


def _check_choice(minutes: int) -> None:
    if minutes not in CHOICES:
        raise InvalidInput("bad_idle", N_("Choose one of: {choices} minutes."), choices=", ".join(map(str, CHOICES)), field="longest_idle")


def read_longest(connection: Connection) -> int:
    """Minutes that head office allows at most, inside a read of the moment."""
    found = connection.value("SELECT longest_idle FROM access_policy WHERE deleted = 0 ORDER BY rid LIMIT 1")
    return int(_POLICY.fields["longest_idle"].default if found is None else found)


def effective_minutes(wish: str | None, longest: int) -> int:
    """What a stored wish comes to."""
    return _capped(int(wish) if wish and wish.isdecimal() and int(wish) in CHOICES else DEFAULT_MINUTES, longest)


def _capped(minutes: int, longest: int) -> int:
    """The choice, or what head office allows of it."""
    return minutes if longest == OFF else longest if minutes == OFF else min(minutes, longest)


VERBS = (Verb(set_access_policy, N_("Set how long an unused screen may stay open")),)
