"""A branch moves to a new computer: one file under a passphrase that carries identity and data; the old folder is used no more.

The folder is closed first: its origin is taken away, so nothing can be saved or sent from then on, and what the file holds is all there
is. On the new computer the branch goes on as the same node, in the same epoch: no number changes its form. A backup of the closed
folder does not, it becomes a node of its own epoch like any other backup; two computers that both go on from one file are recognised
like any two copies of a folder.

::

    "LCM1" | u32 head_len | head (msgpack) | chunk i: u32 len | ChaCha20Poly1305(K, nonce = 7 zero bytes | u32 i | u8 last, aad = SHA256(all before))

Inside is a backup. ``K`` is new for every file and lies in the head, wrapped by the passphrase.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
from msgspec import Meta, Struct

from localcrm.domain import policy
from localcrm.kernel.errors import InvalidInput, NotFound, Refused
from localcrm.kernel.i18n import N_
from localcrm.store import eventlog
from localcrm.store.backup import backup, restore
from localcrm.store.files import open_atomically, write_file_atomically, writing
from localcrm.store.folder import DATABASE
from localcrm.store.keys import lock_with_passphrase, open_with_passphrase
from localcrm.store.migrate import set_meta
from localcrm.store.node import CONTINUES, MOVED, load_node, require_here, save_node

if TYPE_CHECKING:
    from localcrm.domain.policy import Actor
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

_MAGIC = b"LCM1"
_MAX_HEAD = 16 << 10
_CHUNK, _TAG = 1 << 20, 16
#: What a folder begins with in which a file is unpacked.
_SCRATCH = ".localcrm-move-"


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=1, le=1)]
    code: Annotated[str, Meta(max_length=16)]
    token: Annotated[str, Meta(min_length=32, max_length=32)]
    """As in the folder that it comes from."""
    key: Annotated[bytes, Meta(max_length=1_024)]


# the old computer --------------------------------------------------------------------------------------------------------


def move(store: Store, actor: Actor, path: Path, passphrase: str) -> dict[str, Any]:
    """Close this folder and write the file with which the branch goes on elsewhere; {"file", "bytes", "code"}.

    Where the file cannot be written the folder goes on as before. Raises Refused("not_branch"), StoreError("moved_away", "passphrase_empty",
    "cannot_write_file", "backup_not_verified"), NotFound("no_such_folder").
    """
    policy.require(actor, "settings.manage")
    with store.read() as connection:
        require_here(connection)
    node, token = store.node, secrets.token_hex(16)
    if node.is_office or not node.enrolled:
        raise Refused(
            "not_branch", N_("Only a branch is moved in this way. For head office make a backup and restore it on the new computer.")
        )
    if not path.parent.is_dir():
        raise NotFound("no_such_folder", N_("There is no folder “{name}”."), name=str(path.parent))
    key = secrets.token_bytes(32)
    head = msgspec.msgpack.encode(_Head(1, node.code, token, lock_with_passphrase(key, passphrase)))
    with store.housekeeping() as connection:
        eventlog.append(
            connection, at=store.clock.now_ms(), kind="moved_away", user_id=actor.user_id, detail=node.code, sign=store.sign_log
        )
        set_meta(connection, MOVED, token)
        connection.execute("UPDATE sync_ctx SET origin = NULL")
    try:
        with writing(path), tempfile.TemporaryDirectory(dir=store.folder, prefix=".move-") as scratch:
            archive = Path(scratch) / "archive"
            backup(store, archive)
            with archive.open("rb") as source, open_atomically(path, private=True) as target:
                _seal(source, target, head, key)
    except BaseException:
        with store.housekeeping() as connection:
            _go_on(connection)
        raise
    return {"file": str(path), "bytes": path.stat().st_size, "code": node.code}


def take_back(store: Store) -> dict[str, Any]:
    """Go on in a folder that was moved, because its file was never used; {"code", "moved"}, which is False where it was not."""
    was_moved = bool(store.meta(MOVED))
    if was_moved:
        with store.housekeeping() as connection:
            _go_on(connection)
            eventlog.append(connection, at=store.clock.now_ms(), kind="move_taken_back", detail=store.node.code, sign=store.sign_log)
    return {"code": store.node.code, "moved": was_moved}


def _go_on(connection: Connection) -> None:
    connection.execute("DELETE FROM meta WHERE key = ?", (MOVED,))
    save_node(connection, load_node(connection))


# the new computer --------------------------------------------------------------------------------------------------------


def arrive(path: Path, into: Path, passphrase: str, *, beside: bool = False) -> dict[str, Any]:
    """Unpack the file of a moved branch into a new folder, in which it goes on as the same node; {"folder", "code"}.

    ``beside``: the folder is that of a running program, which keeps files of its own there and has no data yet.

    Raises NotFound("no_such_file"), InvalidInput("bad_move_file", "bad_backup"), StoreError("wrong_passphrase", "folder_not_empty", "cannot_write_file").
    """
    if not path.is_file():
        raise NotFound("no_such_file", N_("There is no file “{name}”."), name=path.name)
    into = into.absolute()
    home = into if beside else next(parent for parent in into.parents if parent.is_dir())
    if beside:
        for left in home.glob(f"{_SCRATCH}*"):  # of a try that a power cut ended; the keys lie in it
            shutil.rmtree(left, ignore_errors=True)
    with writing(into), tempfile.TemporaryDirectory(dir=home, prefix=_SCRATCH) as scratch:
        archive = Path(scratch) / "archive"
        with path.open("rb") as source, archive.open("wb") as target:
            head = _open(source, target, passphrase)
        folder = Path(scratch) / "folder" if beside else into
        restore(archive, folder)
        write_file_atomically(folder / CONTINUES, head.token.encode(), private=True)
        if beside:  # the database last: with it the folder is set up
            for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == DATABASE):
                _put(entry, into / entry.name)
    return {"folder": str(into), "code": head.code}


def _put(entry: Path, target: Path) -> None:
    """Move a file or folder into its place; what is there, of a folder that is not set up, goes, unless nothing comes to replace it."""
    if target.is_dir():
        if entry.is_dir() and not any(entry.iterdir()):
            return
        shutil.rmtree(target)
    entry.replace(target)


# the file ----------------------------------------------------------------------------------------------------------------


def _seal(source: IO[bytes], target: IO[bytes], head: bytes, key: bytes) -> None:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    cipher, start = ChaCha20Poly1305(key), _MAGIC + len(head).to_bytes(4) + head
    target.write(start)
    label, index, chunk = sha256(start).digest(), 0, source.read(_CHUNK)
    while chunk:
        following = source.read(_CHUNK)
        sealed = cipher.encrypt(_nonce(index, not following), chunk, label)
        target.write(len(sealed).to_bytes(4) + sealed)
        index, chunk = index + 1, following


def _open(source: IO[bytes], target: IO[bytes], passphrase: str) -> _Head:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    start = source.read(8)
    length = int.from_bytes(start[4:])
    if start[:4] != _MAGIC or length > _MAX_HEAD:
        _refuse()
    start += source.read(length)
    try:
        head = msgspec.msgpack.decode(start[8:], type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _refuse(error)
    cipher, label, index = ChaCha20Poly1305(open_with_passphrase(head.key, passphrase)), sha256(start).digest(), 0
    size = source.read(4)
    while size:
        if not _TAG < int.from_bytes(size) <= _CHUNK + _TAG:
            _refuse()
        sealed, size = source.read(int.from_bytes(size)), source.read(4)
        try:
            target.write(cipher.decrypt(_nonce(index, not size), sealed, label))
        except InvalidTag as error:
            _refuse(error)
        index += 1
    if not index:
        _refuse()
    return head


def _nonce(index: int, last: bool) -> bytes:
    return bytes(7) + index.to_bytes(4) + bytes([last])


def _refuse(cause: BaseException | None = None) -> NoReturn:
    raise InvalidInput("bad_move_file", N_("This is not the file of a moved branch, or it is damaged. Nothing was unpacked.")) from cause
