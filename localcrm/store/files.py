"""Writing files so that a crash, a full disk or a pulled stick leaves the old file or the new one, never half of one."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import N_

if TYPE_CHECKING:
    from collections.abc import Iterator


def write_file_atomically(path: Path, data: bytes, *, private: bool = False) -> None:
    """Replace ``path`` by ``data``; a private file can be read by its owner only."""
    with open_atomically(path, private=private) as file:
        file.write(data)


@contextmanager
def open_atomically(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path`` when the block ends well, and disappears when it does not."""
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if not private and os.name == "posix":
            temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says while something is written into one of our errors, named after ``path``."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            "cannot_write_file",
            N_("“{name}” could not be written ({reason}). Nothing was left half done."),
            name=path.name,
            reason=error.strerror or type(error).__name__,
        ) from error


def _umask() -> int:
    """The process's umask; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power loss; systems without folder handles do so by themselves."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network and stick file systems cannot do this; the file itself is complete by now.
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
