"""Where the keys of this node lie: ``DIR/keys/node.bin``, the present pair and those it had before, wrapped as one secret.

The data file says which pair is the present one, so a change of keys is one transaction: the new pair is in the file before, unused,
and counts from the commit on. Every program on the folder asks the data file, so one that runs along follows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import N_
from localcrm.store.files import write_file_atomically
from localcrm.store.keys import prepare_key_folder, unwrap_secret, wrap_secret
from localcrm.store.migrate import get_meta, set_meta
from localcrm.sync.identity import NodeKeys

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

#: Meta key: the id of the present pair, from the set-up on; absent only in a folder from before that was said, where the first one is it.
PRESENT = "node.key"
#: How long what was sealed to a former pair can still be opened here.
OPENS_MS = 400 * 24 * 3600 * 1000
_PURPOSE = "node keys"


def write_pairs(folder: Path, folder_key: bytes | None, pairs: Sequence[NodeKeys]) -> None:
    """Replace the file; the first pair is that of the set-up."""
    prepare_key_folder(folder)
    write_file_atomically(_path(folder), wrap_secret(folder_key, b"".join(pair.to_bytes() for pair in pairs), _PURPOSE), private=True)


def read_pairs(folder: Path, folder_key: bytes | None) -> list[NodeKeys]:
    """Every pair in the file, oldest first, at least one; StoreError ``no_node_keys``, ``bad_key_file``."""
    try:
        wrapped = _path(folder).read_bytes()
    except OSError as error:
        raise StoreError("no_node_keys", _MISSING) from error
    secret = unwrap_secret(folder_key, wrapped, _PURPOSE)
    return [NodeKeys.from_bytes(secret[start : start + 64]) for start in range(0, max(len(secret), 1), 64)]


def read_keys(store: Store) -> NodeKeys:
    """The present keys of this node, with the former ones that still open what is in the post; StoreError as ``read_pairs``."""
    with store.read() as connection:
        present, former = get_meta(connection, PRESENT), former_ids(connection, store.node.node_no, store.clock.now_ms())
    return choose(read_pairs(store.folder, store.key), present, former)


def name_present(connection: Connection, key_id: bytes) -> None:
    """Say which pair is the present one, where that has not been said yet."""
    if get_meta(connection, PRESENT) is None:
        set_meta(connection, PRESENT, key_id)


def name_first(store: Store) -> None:
    """The same in a folder from before it was said: it is the first one. Nothing where the file cannot be read."""
    if store.meta(PRESENT) is None:
        with suppress(StoreError):
            first = read_pairs(store.folder, store.key)[0]
            with store.housekeeping() as connection:
                name_present(connection, first.public.key_id)


def choose(pairs: Sequence[NodeKeys], present: object, former: Sequence[bytes] = ()) -> NodeKeys:
    """The pair that counts, and behind it those named by ``former``; StoreError ``no_node_keys`` where it is not in the file."""
    chosen = pairs[0] if present is None else next((pair for pair in pairs if pair.public.key_id == present), None)
    if chosen is None:
        raise StoreError("no_node_keys", _MISSING)
    return replace(chosen, older=tuple(pair for pair in pairs if pair.public.key_id in former))


def former_ids(connection: Connection, node_no: int, now_ms: int) -> list[bytes]:
    """Ids of this node's former pairs that still open something."""
    rows = connection.all("SELECT key_id FROM former_key WHERE node_no = ? AND learned > ?", (node_no, now_ms - OPENS_MS))
    return [row[0] for row in rows]


class LogSigner:
    """Signs the system log with the present keys. Where they cannot be read the signature is empty, and what happens is noted all the same."""

    def __init__(self, folder: Path, folder_key: bytes | None) -> None:
        self._folder, self._folder_key = folder, folder_key
        #: Set once the data file is open; a file that is still being brought up to date has no second pair.
        self.store: Store | None = None
        self._known: tuple[object, NodeKeys] | None = None

    def __call__(self, message: bytes) -> bytes:
        """64 bytes, or none."""
        with suppress(StoreError):
            present = None if self.store is None else self.store.meta(PRESENT)
            if self._known is None or self._known[0] != present:
                self._known = present, choose(read_pairs(self._folder, self._folder_key), present)
            return self._known[1].sign(message)
        return b""


def _path(folder: Path) -> Path:
    return folder / "keys" / "node.bin"


_MISSING = N_("This folder has no keys to speak with. Restore the folder “keys” from a backup.")
