"""The bundle with a snapshot over the network: head office keeps it ready, the branch fetches it in pieces and goes on where it stopped.

The bundle is the same signed and sealed file that a stick would carry, made for one branch. A piece that is lost is asked for again; a
branch that comes back after days goes on with the bundle it began, or with a new one where that is no longer kept.
"""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.store.files import writing
from localcrm.store.migrate import fingerprint
from localcrm.sync.messages import Fetch, Fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from localcrm.sync.messages import Message

#: Bytes of one piece, and pieces of one answer.
PIECE, PIECES = 1 << 20, 4
#: A bundle this old is not begun any more; who has begun it may finish.
FRESH_SECONDS = 24 * 3600
#: What nobody has come for goes after this time.
KEPT_SECONDS = 30 * 24 * 3600
_making = threading.Lock()


# head office -------------------------------------------------------------------------------------------------------------


def pieces(folder: Path, node_no: int, wanted: Fetch, make: Callable[[Path], None]) -> Iterator[Fetched]:
    """The next pieces of a branch's bundle; ``make`` writes one where none is ready, which may take longer than the branch waits."""
    path, at = _ready(folder, node_no, wanted.name), wanted.at
    if path is None:
        with _making:  # who waited finds what was made meanwhile
            path, at = _fresh(folder, node_no) or _made(folder, node_no, make), 0
    size, name = path.stat().st_size, bytes.fromhex(path.name.rsplit("-", 1)[1])
    at = min(at, size - 1)  # to one that has everything it is said that this is all
    with path.open("rb") as file:
        file.seek(at)
        for _number in range(PIECES):
            if data := file.read(PIECE):
                yield Fetched(name, size, at, data)
                at += len(data)


def forget(folder: Path, node_no: int) -> None:
    """The branch has what it needs."""
    for path in folder.glob(f"{node_no}-*"):
        path.unlink(missing_ok=True)


def _ready(folder: Path, node_no: int, name: bytes) -> Path | None:
    """The bundle of this name, unless records have other fields by now."""
    return next(iter(folder.glob(f"{node_no}-{fingerprint()[:8]}-{name.hex()}")), None) if name else None


def _fresh(folder: Path, node_no: int) -> Path | None:
    found = folder.glob(f"{node_no}-{fingerprint()[:8]}-*")
    return next((path for path in found if time.time() - path.stat().st_mtime < FRESH_SECONDS), None)


def _made(folder: Path, node_no: int, make: Callable[[Path], None]) -> Path:
    with writing(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        forget(folder, node_no)
        for path in folder.iterdir():
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink(missing_ok=True)
    path = folder / f"{node_no}-{fingerprint()[:8]}-{secrets.token_hex(16)}"
    make(path)
    return path


# a branch ----------------------------------------------------------------------------------------------------------------


class Incoming:
    """The bundle that is on its way to this folder; ``path`` is where it lies once it is whole, ``came`` whether the last answer had pieces."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path: Path | None = None
        self.came = False

    def wanted(self) -> Fetch:
        """What to ask for next."""
        part = self._part()
        return Fetch(b"", 0) if part is None else Fetch(bytes.fromhex(part.stem.rsplit("-", 1)[1]), part.stat().st_size)

    def take_out(self, messages: Iterable[Message]) -> Iterator[Message]:
        """The messages without the pieces, which are kept."""
        self.came = False
        for message in messages:
            if isinstance(message, Fetched):
                self._take(message)
                self.came = True
            else:
                yield message

    def throw_away(self) -> None:
        """It was used, or cannot be."""
        self.path = None
        for path in self._folder.glob(".fetched-*.part"):
            path.unlink(missing_ok=True)

    def _part(self) -> Path | None:
        return next(iter(self._folder.glob(".fetched-*.part")), None)

    def _take(self, piece: Fetched) -> None:
        path = self._folder / f".fetched-{piece.name.hex()}.part"
        if self._part() not in {None, path}:
            self.throw_away()
        with writing(path), path.open("ab") as file:
            if file.tell() == piece.at:
                file.write(piece.data)
            if file.tell() == piece.size:
                self.path = path
