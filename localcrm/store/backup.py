"""Backup and restore: one file that holds database, keys and attachments, read back before it counts as made.

The archive is a zip without compression, so nothing in it can unpack to more than the file itself holds. The copy of the database is
marked as a copy: the node that opens it first starts a new epoch, so a restored branch never gives out a number or sequence twice.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import struct
import tempfile
import time
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import msgspec
from msgspec import Struct

from localcrm import __version__
from localcrm.kernel.clock import now_utc, to_iso
from localcrm.kernel.errors import AppError, InvalidInput, NotFound, StoreError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entities
from localcrm.store import changelog, eventlog
from localcrm.store.connection import Connection
from localcrm.store.files import open_atomically, writing
from localcrm.store.folder import DATABASE
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.node import CATCHING_UP, CONTINUES, MOVED, load_node, save_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from localcrm.store.store import Store

_MANIFEST = "manifest.json"
_MAX_MANIFEST = 64 << 20
_MEMBER = re.compile(r"localcrm\.db|keys/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}|blobs/[0-9a-f]{64}", re.ASCII)
_BLOCK = 1 << 20
#: What the zip reader raises for files that are no zip, cut off or altered.
_ZIP_FAULTS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, KeyError, struct.error)


class _Member(Struct, frozen=True, forbid_unknown_fields=True):
    bytes: int
    sha256: str


class _Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup says about itself; ``rows`` and ``head`` are compared with the copy when it is read back."""

    format: int
    program: str
    made_at: str
    code: str
    head: int
    rows: dict[str, int]
    files: dict[str, _Member]


# --- making one -------------------------------------------------------------------------------------------------------


def backup(store: Store, path: Path) -> dict[str, Any]:
    """Copy the folder while it is in use, read the copy back, then put it at ``path``; {"file", "bytes", "verified"}.

    Raises NotFound("no_such_folder"), StoreError("cannot_write_file", "backup_not_verified").
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise NotFound("no_such_folder", N_("There is no folder “{name}”."), name=str(path.parent))
    if path.is_dir() or is_ours(store, path.resolve()):
        raise InvalidInput("bad_target", N_("“{name}” cannot be the backup file. Choose the name of a new file."), name=path.name)
    with writing(path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".localcrm-backup-") as scratch:
        head, rows = _copy_database(store, Path(scratch) / DATABASE)
        with open_atomically(path, private=True) as file:
            _write_archive(file, store, Path(scratch) / DATABASE, head, rows)
            file.flush()
            (Path(scratch) / DATABASE).unlink()
            _verify(file, Path(scratch), store.key)
    store.log("backup", detail=path.name)
    return {"file": str(path), "bytes": path.stat().st_size, "verified": True}


def copy_backup(path: Path, target: Path) -> None:
    """Copy a finished backup and read the copy back before it takes its place; nothing where it is already.

    Raises StoreError("cannot_write_file", "backup_not_verified").
    """
    with writing(target):
        target.parent.mkdir(mode=0o700, exist_ok=True)
        if is_whole(target):
            return
        with open_atomically(target, private=True) as file, path.open("rb") as source:
            shutil.copyfileobj(source, file, _BLOCK)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            source.seek(0)
            if file_digest(file, "sha256").digest() != file_digest(source, "sha256").digest():  # type: ignore[arg-type]
                raise StoreError("backup_not_verified", _NOT_VERIFIED)


def is_whole(path: Path) -> bool:
    """Whether a file is a backup of its full length, by its table of contents; its contents are read by ``restore`` only."""
    try:
        with _reading(path) as archive:
            _read_manifest(archive)
    except (AppError, OSError):
        return False
    return True


def is_ours(store: Store, path: Path) -> bool:
    """Whether this is a file the folder lives by: the database with its journals, a key, an attachment."""
    folder = store.folder.resolve()
    return (path.parent == folder and path.name.startswith(DATABASE)) or path.parent in {folder / "keys", folder / "blobs"}


def _copy_database(store: Store, target: Path) -> tuple[int, dict[str, int]]:
    copy = Connection(target, key=store.key)
    try:
        with store.read() as source:
            source.backup_to(copy)
        set_meta(copy, "is_copy", 1)
        head, rows = changelog.head(copy), _row_counts(copy, [entity.key for entity in entities()])
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()
    return head, rows


def _row_counts(connection: Connection, tables: Iterable[str]) -> dict[str, int]:
    """Rows of those of the tables that are there: a backup may be of an older program, or a newer one."""
    present = {name for (name,) in connection.all("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%\"%'")}
    return {name: int(connection.value(f'SELECT count(*) FROM "{name}"')) for name in tables if name in present}


def _write_archive(file: IO[bytes], store: Store, database: Path, head: int, rows: dict[str, int]) -> None:
    files: dict[str, _Member] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, source in _sources(store.folder, database):
            files[name] = _store_member(archive, name, source)
        manifest = _Manifest(1, __version__, to_iso(now_utc()), store.node.code, head, rows, files)
        archive.writestr(_info(_MANIFEST), msgspec.json.format(msgspec.json.encode(manifest)))


def _sources(folder: Path, database: Path) -> Iterator[tuple[str, Path]]:
    yield DATABASE, database
    for part in ("keys", "blobs"):
        for entry in sorted((folder / part).glob("*")):
            if entry.is_file() and _MEMBER.fullmatch(f"{part}/{entry.name}"):
                yield f"{part}/{entry.name}", entry


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=time.localtime()[:6])
    info.external_attr = 0o600 << 16
    return info


def _store_member(archive: zipfile.ZipFile, name: str, source: Path) -> _Member:
    digest, size = sha256(), 0
    with source.open("rb") as reading, archive.open(_info(name), "w", force_zip64=True) as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            size += len(block)
            writing.write(block)
    return _Member(size, digest.hexdigest())


def _verify(file: IO[bytes], scratch: Path, key: bytes | None) -> None:
    """Read the written archive back as a restore would, and open the database in it."""
    try:
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            manifest = _read_manifest(archive)
            for name, member in manifest.files.items():
                _extract(archive, name, member, scratch / DATABASE if name == DATABASE else None)
        _check_database(scratch / DATABASE, key, manifest)
    except (*_ZIP_FAULTS, AppError) as error:
        raise StoreError("backup_not_verified", _NOT_VERIFIED) from error


def _check_database(database: Path, key: bytes | None, manifest: _Manifest) -> None:
    copy = Connection(database, key=key)
    try:
        sound = copy.value("PRAGMA integrity_check(1)") == "ok"
        if not sound or changelog.head(copy) != manifest.head or _row_counts(copy, manifest.rows) != manifest.rows:
            _refuse()
        # Leave one plain file: no journal beside it that could be lost on the way into place.
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()


# --- restoring --------------------------------------------------------------------------------------------------------


def restore(path: Path, into: Path) -> dict[str, Any]:
    """Unpack a backup into a new folder, which appears only when everything fits; {"folder", "files", "bytes"}.

    Raises NotFound("no_such_file"), InvalidInput("bad_backup"), StoreError("folder_not_empty", "cannot_write_file").
    """
    path, into = Path(path), Path(into).absolute()
    if not path.is_file():
        raise NotFound("no_such_file", N_("There is no file “{name}”."), name=path.name)
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise StoreError(
            "folder_not_empty", N_("“{folder}” already holds something. Choose a new folder; nothing was changed."), folder=str(into)
        )
    with _reading(path) as archive:
        manifest = _read_manifest(archive)
        home = next(parent for parent in into.parents if parent.is_dir())
        with writing(into):
            staging = Path(tempfile.mkdtemp(dir=home, prefix=".localcrm-restore-"))
            try:
                _fill(staging, archive, manifest)
                into.parent.mkdir(parents=True, exist_ok=True)
                if into.exists():
                    into.rmdir()
                staging.rename(into)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    return {"folder": str(into), "files": len(manifest.files), "bytes": sum(member.bytes for member in manifest.files.values())}


def settle_copy(store: Store) -> bool:
    """Make a restored folder a node of its own epoch, once; returns whether it was a copy. Sign-ins of the original end."""
    if not store.meta("is_copy"):
        return False
    with store.housekeeping() as connection:
        if not get_meta(connection, "is_copy"):  # another program was first
            return False
        node = load_node(connection)
        moved = get_meta(connection, MOVED)
        connection.execute("DELETE FROM meta WHERE key = ?", (MOVED,))
        if moved and (store.folder / CONTINUES).exists() and (store.folder / CONTINUES).read_text() == moved:
            save_node(connection, node)  # the folder that it comes from is used no more, so it is the same node
        elif node.enrolled:
            if node.is_office:  # branches must learn up to where its log is the one they know
                lives = json.loads(str(get_meta(connection, "past_lives") or "[]"))
                set_meta(connection, "past_lives", json.dumps([*lives, (node.epoch.hex(), changelog.head(connection))]))
                set_meta(connection, "epoch_began", max(store.clock.now_ms(), int(get_meta(connection, "epoch_began") or 0) + 1))
                set_meta(connection, "taking_back_until", 0)
                peers = [row[0] for row in connection.all("SELECT node_no FROM sync_peer WHERE state = 'active'")]
                set_meta(connection, CATCHING_UP, json.dumps({"for": peers, "until": None}))
            else:
                set_meta(connection, CATCHING_UP, 1)
            save_node(connection, replace(node, epoch=secrets.token_bytes(8), epoch_index=node.epoch_index + 1))
        connection.execute("DELETE FROM session")
        (store.folder / CONTINUES).unlink(missing_ok=True)
        eventlog.append(connection, at=store.clock.now_ms(), kind="restore", detail=node.code, sign=store.sign_log)
        set_meta(connection, "is_copy", 0)
    store.forget_node()
    return True


def _fill(folder: Path, archive: zipfile.ZipFile, manifest: _Manifest) -> None:
    for part in ("keys", "blobs", "backups"):
        (folder / part).mkdir(mode=0o700)
    for name, member in manifest.files.items():
        _extract(archive, name, member, folder / name)
    if "keys/database.json" not in manifest.files:  # else only the passphrase can open it; its bytes are as they were written
        _check_database(folder / DATABASE, None, manifest)


def _extract(archive: zipfile.ZipFile, name: str, member: _Member, target: Path | None) -> None:
    digest = sha256()
    with archive.open(name) as reading, _private_file(target) as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            if writing:
                writing.write(block)
    if digest.hexdigest() != member.sha256:
        _refuse()


@contextmanager
def _private_file(target: Path | None) -> Iterator[IO[bytes] | None]:
    if target is None:
        yield None
        return
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _read_manifest(archive: zipfile.ZipFile) -> _Manifest:
    """The manifest, once it is known that the archive holds exactly what it names and nothing larger than itself."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) != len(names) or names.count(_MANIFEST) != 1 or archive.getinfo(_MANIFEST).file_size > _MAX_MANIFEST:
        _refuse()
    if any(info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1 for info in infos):
        _refuse()
    try:
        manifest = msgspec.json.decode(archive.read(_MANIFEST), type=_Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("bad_backup", _BAD_BACKUP) from error
    sizes = {info.filename: info.file_size for info in infos if info.filename != _MANIFEST}
    if manifest.format != 1 or DATABASE not in sizes or sizes != {name: member.bytes for name, member in manifest.files.items()}:
        _refuse()
    if not all(_MEMBER.fullmatch(name) for name in sizes) or sum(sizes.values()) > _size_of(archive):
        _refuse()
    return manifest


def _size_of(archive: zipfile.ZipFile) -> int:
    file = archive.fp
    if file is None:
        return 0
    return file.seek(0, os.SEEK_END)


@contextmanager
def _reading(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (*_ZIP_FAULTS, StoreError) as error:
        # What the database in it says about itself (damaged, not a database) means the same to whoever restores.
        if isinstance(error, StoreError) and error.code not in {"damaged", "wrong_key", "store"}:
            raise
        raise InvalidInput("bad_backup", _BAD_BACKUP) from error


_NOT_VERIFIED = N_("The backup could not be read back and was thrown away. Check the disk and try again.")
_BAD_BACKUP = N_("This is not a backup of this program, or it is damaged. Nothing was restored; try an older backup.")


def _refuse() -> NoReturn:
    raise InvalidInput("bad_backup", _BAD_BACKUP)
