"""How this node makes its backups: when, how many, and where a second copy goes.

Settings of this machine, not of the company: they lie in ``meta``, which never travels.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.domain import policy
from localcrm.domain.people.sessions import log_event
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.migrate import get_meta, set_meta

if TYPE_CHECKING:
    from localcrm.domain.policy import Actor
    from localcrm.store.store import Store

PERMISSION = "settings.manage"
#: With one backup alone, a mistake that is noticed a day late is in it too.
FEWEST, MOST = 2, 365
_LONGEST_PATH = 200
_TIME = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """``at`` None: as soon as a day has passed. ``apart``: the second place was on another disk than the data when it was chosen."""

    at: time | None = None
    keep: int = 7
    second: Path | None = None
    apart: bool = False


DEFAULTS = BackupSettings()


def backup_settings(store: Store) -> BackupSettings:
    """What is set on this node."""
    with store.read() as connection:
        at, keep, second, apart = (get_meta(connection, f"backup.{key}") for key in ("at", "keep", "second", "apart"))
    return BackupSettings(
        time.fromisoformat(str(at)) if at else DEFAULTS.at,
        int(keep) if keep else DEFAULTS.keep,
        Path(str(second)) if second else DEFAULTS.second,
        bool(apart),
    )


def change_backup_settings(store: Store, actor: Actor, *, at: str, keep: str, second: str) -> BackupSettings:
    """Set all three as a person types them, an empty text for none; what differs is written down in the event log.

    Raises Forbidden, InvalidInput (bad_time, bad_keep, bad_second_place); nothing is changed then.
    """
    policy.require(actor, PERMISSION)
    old = backup_settings(store)
    # A stick that is out just now must not keep anybody from changing the rest.
    place = old.second if second.strip() == str(old.second or "") else _checked_place(store, second.strip())
    apart = old.apart if place == old.second else place is not None and not same_disk(place, store.folder)
    new = BackupSettings(_checked_time(at.strip()), _checked_count(keep.strip()), place, apart)
    before, after = _texts(old), _texts(new)
    different = [key for key in after if after[key] != before[key]]
    with store.housekeeping() as connection:
        for key in different:
            set_meta(connection, f"backup.{key}", after[key])
        set_meta(connection, "backup.apart", int(new.apart))
    for key in different:
        log_event(store, "setting", user_id=actor.user_id, detail=f"backup.{key}: {before[key] or '—'} → {after[key] or '—'}")
    return new


def same_disk(one: Path, other: Path) -> bool:
    """Whether two folders lie on one disk."""
    return one.stat().st_dev == other.stat().st_dev


def _texts(settings: BackupSettings) -> dict[str, str]:
    return {"at": settings.at.isoformat("minutes") if settings.at else "", "keep": str(settings.keep), "second": str(settings.second or "")}


def _checked_time(text: str) -> time | None:
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise InvalidInput(
            "bad_time", N_("“{text}” is no time of day. Enter it like 22:30. Nothing was changed."), text=text[:20], field="at"
        )
    return time(int(found[1]), int(found[2]))


def _checked_count(text: str) -> int:
    if not (text.isdecimal() and len(text) <= 6 and FEWEST <= int(text) <= MOST):
        raise InvalidInput(
            "bad_keep",
            N_("The number of backups to keep must be between {fewest} and {most}. Nothing was changed."),
            fewest=FEWEST,
            most=MOST,
            field="keep",
        )
    return int(text)


def _checked_place(store: Store, text: str) -> Path | None:
    if not text:
        return None
    place = Path(text).expanduser()
    if len(text) > _LONGEST_PATH or not place.is_absolute():
        _refuse_place(N_("“{place}” is not the whole path of a folder, such as E:\\backup or /media/stick. Nothing was changed."), text)
    try:
        place = place.resolve()
        if not place.is_dir():
            _refuse_place(N_("There is no folder “{place}”. Plug the disk in or make the folder first. Nothing was changed."), text)
        if place.is_relative_to(store.folder.resolve()):
            _refuse_place(
                N_("“{place}” is inside the data folder: a copy there is lost with it. Choose another disk. Nothing was changed."), text
            )
        with tempfile.TemporaryFile(dir=place):
            pass
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "bad_second_place",
            N_("Nothing can be written to “{place}”. Choose another folder; nothing was changed."),
            place=text,
            field="second",
        ) from error
    return place


def _refuse_place(sentence: str, text: str) -> None:
    raise InvalidInput("bad_second_place", sentence, place=text[:_LONGEST_PATH], field="second")
