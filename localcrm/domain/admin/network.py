"""Whether colleagues on the local network are let in: a setting of this machine, not of the company, so it lies in ``meta``."""

from __future__ import annotations

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import Verb
from localcrm.kernel.i18n import N_
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

_ON, _PORT = "lan.on", "lan.port"


def switch_lan(uow: UnitOfWork, actor: Actor, *, on: bool) -> dict[str, bool]:
    """Let colleagues on this network in, or nobody any more; a running program follows within a second. Returns {on}."""
    policy.require_admin(actor)
    before = bool(get_meta(uow.connection, _ON))
    if before != on:
        set_meta(uow.connection, _ON, int(on))
        uow.log("setting", f"lan: {_word(before)} → {_word(on)}")
    return {"on": on}


def lan_is_on(store: Store) -> bool:
    """Whether the program serves the local network."""
    return bool(store.meta(_ON))


def lan_port(store: Store) -> int | None:
    """The port it was served on last, so that addresses people noted stay good."""
    port = store.meta(_PORT)
    return int(port) if port else None


def remember_lan_port(store: Store, port: int) -> None:
    """Serve on this port next time too."""
    with store.housekeeping() as connection:
        set_meta(connection, _PORT, port)


def _word(on: bool) -> str:
    return "on" if on else "off"


VERBS = (Verb(switch_lan, N_("Let colleagues on this network in")),)
