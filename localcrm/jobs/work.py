"""The jobs themselves: what is done, how often, and whether it is wanted on this node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.kernel.i18n import N_, gettext

if TYPE_CHECKING:
    from localcrm.store.store import Store
    from localcrm.sync.identity import NodeKeys

KeysOf = Callable[[], "NodeKeys"]

BACKUPS_KEPT = 7
_SUFFIX = ".localcrm-backup"


@dataclass(frozen=True, slots=True)
class Job:
    """One repeated task. ``wanted`` is asked before every run: settings may change while the program runs."""

    name: str
    label_msgid: str
    every: timedelta
    run: Callable[[Store, KeysOf], None]
    wanted: Callable[[Store], bool]

    @property
    def label(self) -> str:
        """Name in the language of the moment."""
        return gettext(self.label_msgid)


def make_backup(store: Store, keys: KeysOf) -> None:  # noqa: ARG001 -- every job gets the same
    """A verified backup in the folder's ``backups``; when it is there, all but the newest BACKUPS_KEPT go."""
    from localcrm.store.backup import backup

    moment = datetime.fromtimestamp(store.clock.now_ms() / 1000, tz=UTC)
    folder = store.folder / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    backup(store, folder / f"{store.node.code}-{moment:%Y%m%d-%H%M%S}{_SUFFIX}")
    for old in backups(store)[BACKUPS_KEPT:]:
        old.unlink(missing_ok=True)


def backups(store: Store) -> list[Path]:
    """Backups that were made by themselves, newest first; their names hold the time in UTC."""
    return sorted((store.folder / "backups").glob(f"*{_SUFFIX}"), key=lambda path: path.name.rsplit("-", 3)[1:], reverse=True)


def make_exchange(store: Store, keys: KeysOf) -> None:
    """One exchange with head office over HTTP."""
    from localcrm.sync import node_sync

    node_sync.run(store, keys())


def has_office_address(store: Store) -> bool:
    """Whether this is a branch that knows where head office answers."""
    from localcrm.sync import node_sync

    return not store.node.is_office and store.node.enrolled and bool(node_sync.status(store)["url"])


BACKUP = "backup"
JOBS = (
    Job(BACKUP, N_("Daily backup"), timedelta(days=1), make_backup, lambda store: store.node.enrolled),
    Job("exchange", N_("Exchange with head office"), timedelta(minutes=15), make_exchange, has_office_address),
)
