"""The jobs themselves: what is done, how often, and whether it is wanted on this node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta
from typing import TYPE_CHECKING

from localcrm.jobs import backups, settings
from localcrm.kernel.i18n import N_, gettext

if TYPE_CHECKING:
    from localcrm.store.store import Store
    from localcrm.sync.identity import NodeKeys

KeysOf = Callable[[], "NodeKeys"]


@dataclass(frozen=True, slots=True)
class Job:
    """One repeated task; ``run`` returns what could not be done of it although it succeeded.

    ``wanted`` and ``at``, the time of day where there is one, are asked anew every time: settings may change while the program runs.
    """

    name: str
    label_msgid: str
    every: timedelta
    run: Callable[[Store, KeysOf], str | None]
    wanted: Callable[[Store], bool]
    permission: str = settings.PERMISSION
    at: Callable[[Store], time | None] = lambda _store: None

    @property
    def label(self) -> str:
        """Name in the language of the moment."""
        return gettext(self.label_msgid)


def make_exchange(store: Store, keys: KeysOf) -> None:
    """One exchange with head office over HTTP."""
    from localcrm.sync import node_sync

    node_sync.run(store, keys())


def has_office_address(store: Store) -> bool:
    """Whether this is a branch that knows where head office answers."""
    from localcrm.sync import node_sync

    return not store.node.is_office and store.node.enrolled and bool(node_sync.status(store)["url"])


def sweep_files(store: Store, _keys: KeysOf) -> None:
    """Remove files that were erased, or added to a form that nobody saved."""
    from localcrm.store import blobs

    blobs.sweep(store)


#: A program that is closed waits for the job that runs; a log of years is condensed over some days.
_MOST_S = 20


def compact_log(store: Store, _keys: KeysOf) -> None:
    """Move what everybody has and nobody asks for from the change log into its past."""
    from localcrm.sync import compaction

    compaction.compact(store, most_s=_MOST_S)


def index_rest(store: Store, _keys: KeysOf) -> None:
    """Index what came with an exchange that was cut off."""
    from localcrm.store import search_follows

    search_follows.follow(store)


def has_unindexed(store: Store) -> bool:
    """Whether something that has come is not found yet."""
    from localcrm.store import search

    with store.read() as connection:
        return search.is_behind(connection)


def knows_more(store: Store) -> bool:
    """Whether something kept aside may be understood by now."""
    from localcrm.sync import drain

    return drain.is_wanted(store)


def apply_held(store: Store, _keys: KeysOf) -> None:
    """Apply what was kept aside until this program knew it."""
    from localcrm.sync import drain

    drain.carry_out(store)


def look_through(store: Store, _keys: KeysOf) -> str | None:
    """Compare every row with the digest kept of it: what was changed outside the program shows, and the next exchange mends it."""
    from localcrm.store import digests

    found = digests.current(store, look=None).altered
    if not found:
        return None
    kinds = ", ".join(kind.label for kind in found)
    return gettext(N_("Records were changed outside the program: {kinds}. The next exchange mends what it can.")).format(kinds=kinds)


def write_visits(store: Store, _keys: KeysOf) -> None:
    """Make activity records of the maintenance visits that are due."""
    from localcrm.domain import verbs
    from localcrm.domain.policy import SYSTEM

    verbs.run(store, SYSTEM, "crm.write_visits", {})


def has_visits_due(store: Store) -> bool:
    """Whether a maintenance plan of this branch waits."""
    from localcrm.domain.crm.maintenance import due_plans

    if not store.node.enrolled:
        return False
    with store.read() as connection:
        return bool(due_plans(connection, store.node.branch_id, store.today))


def reclaim_customers(store: Store, _keys: KeysOf) -> None:
    """Customers that nobody looks after go to a pool."""
    from localcrm.domain.crm import reclaim

    reclaim.run(store)


def reclaims(store: Store) -> bool:
    """Whether there are rules for that."""
    from localcrm.domain.crm import reclaim

    return reclaim.is_wanted(store)


def note_branch_stock(store: Store, _keys: KeysOf) -> None:
    """Note what lies at branches, for those that do not hold the others' movements."""
    from localcrm.domain.stock import elsewhere

    elsewhere.note(store)


def tells_branch_stock(store: Store) -> bool:
    """Whether some branch needs it."""
    from localcrm.domain.stock import elsewhere

    return elsewhere.is_wanted(store)


#: Before anybody comes to work.
_NIGHT = time(3)
BACKUP = "backup"
JOBS = (
    Job(
        BACKUP,
        N_("Daily backup"),
        timedelta(days=1),
        lambda store, _keys: backups.make_backup(store),
        lambda store: store.node.enrolled,
        at=lambda store: settings.backup_settings(store).at,
    ),
    Job("exchange", N_("Exchange with head office"), timedelta(minutes=15), make_exchange, has_office_address, "sync.manage"),
    Job("files", N_("Tidying up attached files"), timedelta(days=1), sweep_files, lambda store: store.node.enrolled),
    Job("compact", N_("Condensing the change log"), timedelta(days=1), compact_log, lambda store: store.node.enrolled),
    Job("held", N_("Applying changes that were kept aside"), timedelta(minutes=1), apply_held, knows_more, "sync.manage"),
    Job("index", N_("Making what came with an exchange searchable"), timedelta(minutes=1), index_rest, has_unindexed),
    Job("reclaim", N_("Reclaiming customers"), timedelta(days=1), reclaim_customers, reclaims, at=lambda _store: _NIGHT),
    Job(
        "branch_stock",
        N_("Noting the stock of branches"),
        timedelta(days=1),
        note_branch_stock,
        tells_branch_stock,
        at=lambda _store: _NIGHT,
    ),
    Job("digests", N_("Looking through all data"), timedelta(days=1), look_through, lambda store: store.node.enrolled),
    Job("visits", N_("Writing down maintenance visits"), timedelta(hours=1), write_visits, has_visits_due),
)
