"""A restore that is only tried: into a folder that vanishes, with the whole check of the data in between."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from localcrm.kernel.errors import StoreError
from localcrm.kernel.schema import entities
from localcrm.store.backup import restore
from localcrm.store.check import check
from localcrm.store.files import writing
from localcrm.store.store import Store, open_store


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a backup would bring back: living rows by kind of record, and what the check found wrong, in sentences."""

    rows: dict[str, int]
    problems: list[str]


def rehearse(path: Path, *, scratch: Path, key: bytes | None) -> Rehearsal:
    """Restore ``path`` inside ``scratch``, examine the data, remove them; raises what ``restore`` raises."""
    with writing(path), tempfile.TemporaryDirectory(dir=scratch, prefix=".localcrm-test-") as folder:
        into = Path(folder) / "restored"
        restore(path, into)
        # Not settled as a node of its own: nothing in it is ever written or sent.
        store = open_store(into, key=key)
        try:
            return Rehearsal(_rows(store), _problems(store))
        finally:
            store.close()


def _rows(store: Store) -> dict[str, int]:
    with store.read() as connection:
        return {kind.key: int(connection.value(f'SELECT count(*) FROM "{kind.key}" WHERE deleted = 0')) for kind in entities()}


def _problems(store: Store) -> list[str]:
    try:
        return [str(problem["message"]) for problem in check(store)["problems"]]
    except StoreError as error:
        if error.code != "damaged":
            raise
        return [error.message]
