"""The backups of this node: made, copied to the second place, listed, and tried out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.domain import policy
from localcrm.domain.people.sessions import log_event
from localcrm.jobs.settings import PERMISSION, BackupSettings, backup_settings, same_disk
from localcrm.kernel.errors import AppError, NotFound, StoreError
from localcrm.kernel.i18n import N_, gettext

if TYPE_CHECKING:
    from localcrm.domain.policy import Actor
    from localcrm.store.rehearsal import Rehearsal
    from localcrm.store.store import Store

#: Only what is named like this was made by the job, and only that is ever cleared away.
_NAME = re.compile(r"[A-Z0-9]{1,12}-(\d{8}-\d{6})\.localcrm-backup", re.ASCII)


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One backup in one place; ``sound``: it still is what was read back when it was made, by its table of contents and its length."""

    path: Path
    made: datetime
    bytes: int
    sound: bool
    is_copy: bool


# making --------------------------------------------------------------------------------------------------------------


def make_backup(store: Store) -> str | None:
    """A verified backup, and a verified copy of every one kept in the second place; returns what could not be done after the backup.

    Older ones go when the new one is there, never before.
    """
    from localcrm.store.backup import backup

    settings = backup_settings(store)
    moment = datetime.fromtimestamp(store.clock.now_ms() / 1000, tz=UTC)
    folder = home(store)
    folder.mkdir(mode=0o700, exist_ok=True)
    backup(store, folder / f"{store.node.code}-{moment:%Y%m%d-%H%M%S}.localcrm-backup")
    left_out = []
    try:
        _copy_all(store, settings)
    except AppError as error:
        text = N_("The backup was made and is good, but the copies in the second place are not complete. {reason}")
        left_out.append(gettext(text).format(reason=error.message))
    try:
        _clear(folder, settings.keep)
    except AppError as error:
        left_out.append(error.message)
    return " ".join(left_out) or None


def _copy_all(store: Store, settings: BackupSettings) -> None:
    """Bring the second place up to date, newest first: what it missed while it was away follows."""
    from localcrm.store.backup import copy_backup, is_whole

    if settings.second is None:
        return
    if not is_reachable(store, settings):
        raise StoreError(
            "second_place_away",
            N_("“{place}” cannot be reached. Plug the disk in; the copies follow with the next backup."),
            place=str(settings.second),
        )
    target = copies_folder(store, settings.second)
    for path in filter(is_whole, backups(store)[: settings.keep]):
        copy_backup(path, target / path.name)
        _clear(target, settings.keep)


def _clear(folder: Path, keep: int) -> None:
    for old in _found_in(folder)[keep:]:
        try:
            old.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                "cannot_remove_backup",
                N_("The old backup “{name}” cannot be removed ({reason}). Check that the disk may be written."),
                name=old.name,
                reason=error.strerror or type(error).__name__,
            ) from error


# places --------------------------------------------------------------------------------------------------------------


def home(store: Store) -> Path:
    """Where backups are made."""
    return store.folder / "backups"


def copies_folder(store: Store, second: Path) -> Path:
    """The node's own folder in the second place: branches that share a disk, or a restored copy, never clear away each other's backups."""
    return second / f"{store.node.number_code}-{store.node.epoch.hex()[:6]}"


def is_reachable(store: Store, settings: BackupSettings) -> bool:
    """Whether the second place is there; the empty folder that a stick leaves behind when it is pulled out is not it."""
    if settings.second is None:
        return False
    try:
        return settings.second.is_dir() and not (settings.apart and same_disk(settings.second, store.folder))
    except OSError:
        return False


def backups(store: Store) -> list[Path]:
    """Backups that were made by themselves, newest first; their names hold the time in UTC."""
    return _found_in(home(store))


def _found_in(folder: Path) -> list[Path]:
    try:
        made = {path: moment for path in folder.iterdir() if (moment := _made(path))}
    except OSError:  # not made yet, or just pulled out
        return []
    return sorted(made, key=lambda path: made[path], reverse=True)


def _made(path: Path) -> datetime | None:
    """When a backup of ours was made, by its name; None for any other file."""
    named = _NAME.fullmatch(path.name)
    try:
        return datetime.strptime(named[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC) if named else None
    except ValueError:
        return None


# looking at them -----------------------------------------------------------------------------------------------------


def all_backups(store: Store) -> list[BackupFile]:
    """Backups here and in the second place, newest first."""
    settings = backup_settings(store)
    found = [_look(path, is_copy=False) for path in backups(store)]
    if settings.second is not None and is_reachable(store, settings):
        found += [_look(path, is_copy=True) for path in _found_in(copies_folder(store, settings.second))]
    return sorted((file for file in found if file), key=lambda file: (file.made, not file.is_copy), reverse=True)


def _look(path: Path, *, is_copy: bool) -> BackupFile | None:
    made = _made(path)
    try:
        stat = path.stat()
        return BackupFile(path, made, stat.st_size, _is_whole(path, stat.st_size, stat.st_mtime_ns), is_copy) if made else None
    except OSError:  # cleared away or pulled out meanwhile
        return None


@lru_cache(maxsize=1024)
def _is_whole(path: Path, _size: int, _changed: int) -> bool:
    """The same file is not opened again for every look at the list: there may be hundreds, on a slow stick."""
    from localcrm.store.backup import is_whole

    return is_whole(path)


def try_restore(store: Store, actor: Actor, path: Path) -> Rehearsal:
    """Restore one of these backups into a folder that vanishes, and examine it there. Raises NotFound, InvalidInput("bad_backup")."""
    from localcrm.store.rehearsal import rehearse

    policy.require(actor, PERMISSION)
    if path not in {file.path for file in all_backups(store)}:
        raise NotFound("no_such_file", N_("There is no file “{name}”."), name=path.name)
    try:
        found = rehearse(path, scratch=home(store), key=store.key)
    except AppError as error:
        log_event(store, "backup_tested", user_id=actor.user_id, detail=f"{path.name}: {error.code}")
        raise
    log_event(store, "backup_tested", user_id=actor.user_id, detail=f"{path.name}: {len(found.problems)} problems")
    return found
