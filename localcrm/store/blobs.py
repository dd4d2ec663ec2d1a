"""Contents of attached files: ``blobs/<SHA-256>`` in the data folder, sealed where the folder has a key.

What is there never changes, so equal contents lie there once. A table ``blob`` says of each: ``here``; ``new``, here, and head office
has not said yet that it has it; ``missing``, named by a record and not here yet; ``erased``, never to come back. Which contents
records name is read from the change log, so whatever way a record came, its files are asked for.

Sealed: 16 random bytes, then the content in parts of PART bytes, each by ChaCha20-Poly1305 under a key that follows from the folder's
key, the hash and those bytes; the nonce counts the parts and marks the last one (the STREAM construction). So a content that arrives in
pieces is sealed piece by piece, and never lies there open.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.kernel.attachments import MAX_SIZE, Attachment, clean_name, read_attachments
from localcrm.kernel.errors import InvalidInput, NotFound, StoreError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entities
from localcrm.store import changelog
from localcrm.store.files import open_atomically, writing
from localcrm.store.keys import derived_key
from localcrm.store.migrate import get_meta, set_meta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

    from localcrm.kernel.schema import EntityType, Field
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

PART = 64 * 1024
#: Contents travel in pieces of this many bytes; a whole number of parts.
PIECE = 16 * PART
_SALT, _TAG = 16, 16
#: Bytes of contents that a data folder takes from people; what an exchange brings is never refused.
QUOTA = 20 << 30
#: A file that was added to a form and named by no record since is thrown away after this time.
KEEP_UNUSED_MS = 7 * 24 * 3600 * 1000
#: Meta key: up to where the change log was read for files that records name.
_SEEN = "blobs_seen"


@dataclass(frozen=True, slots=True)
class Missing:
    """A content that is named and not here: hash (32 bytes), size, and how many bytes of it have come so far."""

    hash: bytes
    size: int
    have: int


# adding and reading ------------------------------------------------------------------------------------------------------


def add(store: Store, name: str, data: bytes) -> Attachment:
    """Keep a file that somebody attaches; raises InvalidInput("file_too_large", "file_empty"),
    StoreError("quota_reached", "cannot_write_file").
    """
    name = clean_name(name)
    if len(data) > MAX_SIZE:
        raise InvalidInput(
            "file_too_large", N_("“{name}” is larger than {limit} MB and was not attached."), name=name, limit=MAX_SIZE >> 20
        )
    if not data:
        raise InvalidInput("file_empty", N_("“{name}” is empty and was not attached."), name=name)
    with store.read() as connection:
        held = int(connection.value("SELECT coalesce(sum(size), 0) FROM blob WHERE state IN ('here', 'new')"))
    if held + len(data) > QUOTA:
        raise StoreError(
            "quota_reached",
            N_("Attached files already take {held} GB, the most there may be. “{name}” was not attached."),
            held=held >> 30,
            name=name,
        )
    found = hashlib.sha256(data)
    path = _path(store, found.digest())
    with writing(path):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with open_atomically(path, private=True) as file:
            _write_parts(store, file, found.digest(), data, at=0, size=len(data))
    state = "here" if store.node.is_office else "new"
    with store.housekeeping() as connection:
        connection.execute(
            """INSERT INTO blob(hash, size, state, at) VALUES (?, ?, ?, ?)
               ON CONFLICT(hash) DO UPDATE SET size = excluded.size, state = excluded.state, at = excluded.at
               WHERE state NOT IN ('here', 'new')""",
            (found.digest(), len(data), state, store.clock.now_ms()),
        )
    return Attachment(found.hexdigest(), len(data), name)


def read(store: Store, digest: bytes, *, at: int = 0, upto: int | None = None) -> Iterator[bytes]:
    """The content, or its bytes from ``at`` to before ``upto``, in parts; raises NotFound("file_not_here") before the first one,
    StoreError("file_damaged") at a part that was altered.
    """
    with store.read() as connection:
        row = connection.one("SELECT size FROM blob WHERE hash = ? AND state IN ('here', 'new')", (digest,))
    if row is None or not _path(store, digest).is_file():
        raise NotFound("file_not_here", N_("This file has not arrived here yet. It comes with one of the next exchanges."))
    end = row[0] if upto is None else min(row[0], upto)
    return _between(_read_parts(store, _path(store, digest), digest, size=row[0], at=at // PART * PART, upto=end), at % PART, end - at)


def _between(parts: Iterator[bytes], skipped: int, length: int) -> Iterator[bytes]:
    """So many bytes of what comes in parts, after the first few."""
    for part in parts:
        wanted = part[skipped : skipped + length]
        skipped, length = 0, length - len(wanted)
        yield wanted


def piece(store: Store, digest: bytes, size: int, at: int) -> bytes:
    """PIECE bytes of a content from ``at`` on, fewer at its end; b"" where it cannot be read."""
    try:
        return b"".join(_read_parts(store, _path(store, digest), digest, size=size, at=at, upto=at + PIECE))
    except (OSError, StoreError):
        return b""


def are_here(connection: Connection, files: Iterable[Attachment]) -> list[Attachment]:
    """Those of the files whose content is here with the size that is said of it."""
    known = "SELECT 1 FROM blob WHERE hash = ? AND size = ? AND state IN ('here', 'new')"
    return [file for file in files if connection.one(known, (bytes.fromhex(file.hash), file.size))]


# arriving ----------------------------------------------------------------------------------------------------------------


def take_piece(store: Store, digest: bytes, at: int, data: bytes) -> bool:
    """Add a piece to a content that is missing; whether it fits to what came before. What does not is passed over: it is asked for again.

    The whole is hashed when it is complete; one that is not what was named is thrown away.
    """
    with store.read() as connection:
        size = connection.value("SELECT size FROM blob WHERE hash = ? AND state = 'missing'", (digest,))
    partial = _partial(store, digest)
    if size is None or at != _have(store, digest) or not data or len(data) != min(PIECE, size - at):
        return False
    with writing(_path(store, digest)):
        partial.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600), "r+b") as file:
            file.truncate(_place(store, at) if at else 0)
            _write_parts(store, file, digest, data, at=at, size=size)
            file.flush()
            os.fsync(file.fileno())
    if at + len(data) == size:
        _finish(store, digest, size)
    return True


def _finish(store: Store, digest: bytes, size: int) -> None:
    partial = _partial(store, digest)
    if not _is_whole(store, partial, digest, size):
        partial.unlink(missing_ok=True)
        return
    with writing(_path(store, digest)):
        partial.replace(_path(store, digest))
    with store.housekeeping() as connection:
        connection.execute("UPDATE blob SET state = 'here' WHERE hash = ?", (digest,))


def missing(store: Store, limit: int) -> list[Missing]:
    """Contents that records name and that are not here, smallest first: texts open before films have arrived."""
    with store.read() as connection:
        rows = connection.all("SELECT hash, size FROM blob WHERE state = 'missing' ORDER BY size, hash LIMIT ?", (limit,))
    return [Missing(digest, size, _have(store, digest)) for digest, size in rows]


def note_named(store: Store) -> None:
    """Take down which contents records name, from what the change log says since last time."""
    with store.read() as connection:
        since, upto = int(get_meta(connection, _SEEN) or 0), changelog.head(connection)
        if since == upto:
            return
        found = named_since(connection, since)
    with store.housekeeping() as connection:
        rows = [(bytes.fromhex(file.hash), file.size, store.clock.now_ms()) for file in found]
        connection.executemany(
            """INSERT INTO blob(hash, size, state, at) VALUES (?, ?, 'missing', ?)
               ON CONFLICT(hash) DO UPDATE SET state = 'missing' WHERE state = 'erased'""",
            rows,
        )
        connection.executemany("UPDATE blob SET named = 1 WHERE hash = ?", [(row[0],) for row in rows])
        set_meta(connection, _SEEN, upto)


def look_again(connection: Connection) -> None:
    """Another log took the place of the one here: which contents records name is taken down anew."""
    set_meta(connection, _SEEN, 0)


def file_fields(entity: EntityType) -> list[Field]:
    """The fields of an entity that name files."""
    return [field for field in entity.fields.values() if field.kind == "files"]


def named_since(connection: Connection, since: int, *, but_by: int = -1) -> list[Attachment]:
    """Files named by records that changed after this place of the change log, other than by a node."""
    found: list[Attachment] = []
    # Of what has left the log it is not looked up who changed it: sent in vain is better than not sent.
    changed = """SELECT l.pk FROM sync_log l JOIN sync_tx t ON t.tx = l.tx JOIN sync_origin o ON o.origin = t.origin
        WHERE l.lseq > ? AND l.tbl = ? AND o.node_no <> ? UNION SELECT pk FROM sync_past_row WHERE newest > ? AND tbl = ?"""
    for entity in entities():
        names = ", ".join(f'"{field.key}"' for field in file_fields(entity))
        if names:
            rows = connection.all(
                f'SELECT {names} FROM "{entity.key}" WHERE id IN ({changed})', (since, entity.no, but_by, since, entity.no)
            )
            found += [file for row in rows for text in row for file in read_attachments(text)]
    return found


# leaving -----------------------------------------------------------------------------------------------------------------


def forget(connection: Connection, files: Iterable[Attachment]) -> None:
    """Inside the open transaction: contents that no record names any more are never shown, sent or asked for again."""
    for file in files:
        named = (
            connection.one(f'SELECT 1 FROM "{entity.key}" WHERE instr("{field.key}", ?) > 0 LIMIT 1', (file.hash,))
            for entity in entities()
            for field in file_fields(entity)
        )
        if not any(named):
            connection.execute(
                """INSERT INTO blob(hash, size, state, at) VALUES (?, ?, 'erased', 0)
                   ON CONFLICT(hash) DO UPDATE SET state = 'erased'""",
                (bytes.fromhex(file.hash), file.size),
            )


def sweep(store: Store) -> int:
    """Remove contents that were erased, and those that no record ever named; returns how many files went."""
    note_named(store)
    with store.housekeeping() as connection:
        connection.execute(
            "UPDATE blob SET state = 'erased' WHERE named = 0 AND state IN ('here', 'new') AND at < ?",
            (store.clock.now_ms() - KEEP_UNUSED_MS,),
        )
        gone = [row[0] for row in connection.all("SELECT hash FROM blob WHERE state = 'erased'")]
    removed = 0
    for digest in gone:
        for path in (_path(store, digest), _partial(store, digest)):
            with suppress(OSError):
                if path.exists():
                    path.unlink()
                    removed += 1
    return removed


def problems(store: Store) -> Iterator[str]:
    """Hashes of contents that should be here and are not, or are not what they were."""
    with store.read() as connection:
        rows = connection.all("SELECT hash, size FROM blob WHERE state IN ('here', 'new') ORDER BY hash")
    for digest, size in rows:
        if not is_sound(store, digest, size):
            yield digest.hex()


def is_sound(store: Store, digest: bytes, size: int) -> bool:
    """Whether a content is here and what its name says; reads all of it."""
    return _is_whole(store, _path(store, digest), digest, size)


# on the disk -------------------------------------------------------------------------------------------------------------


def _path(store: Store, digest: bytes) -> Path:
    return store.folder / "blobs" / digest.hex()


def _partial(store: Store, digest: bytes) -> Path:
    return store.folder / "blobs" / "arriving" / digest.hex()


def _have(store: Store, digest: bytes) -> int:
    """Bytes of whole pieces that have arrived; a torn end of the last one does not count."""
    try:
        length = _partial(store, digest).stat().st_size
    except OSError:
        return 0
    piece_length = PIECE if store.key is None else PIECE // PART * (PART + _TAG)
    return max(0, length - _place(store, 0)) // piece_length * PIECE


def _place(store: Store, at: int) -> int:
    """Where the part that begins with this byte of the content lies in its file."""
    return at if store.key is None else _SALT + at // PART * (PART + _TAG)


def _is_whole(store: Store, path: Path, digest: bytes, size: int) -> bool:
    found = hashlib.sha256()
    try:
        for part in _read_parts(store, path, digest, size=size):
            found.update(part)
    except (OSError, StoreError):
        return False
    return found.digest() == digest


def _write_parts(store: Store, file: IO[bytes], digest: bytes, data: bytes, *, at: int, size: int) -> None:
    """Write parts from byte ``at`` of a content on."""
    if store.key is None:
        file.seek(at)
        file.write(data)
        return
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    file.seek(0)
    salt = file.read(_SALT) if at else os.urandom(_SALT)
    if not at:
        file.write(salt)
    file.seek(_place(store, at))
    cipher = ChaCha20Poly1305(_key(store.key, digest, salt))
    for start in range(0, len(data), PART):
        last = at + start + PART >= size
        file.write(cipher.encrypt(_nonce((at + start) // PART, last=last), data[start : start + PART], None))


def _read_parts(store: Store, path: Path, digest: bytes, *, size: int, at: int = 0, upto: int | None = None) -> Iterator[bytes]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    with path.open("rb") as file:
        cipher = None if store.key is None else ChaCha20Poly1305(_key(store.key, digest, file.read(_SALT)))
        file.seek(_place(store, at))
        for start in range(at, size if upto is None else min(size, upto), PART):
            length = min(PART, size - start)
            part = file.read(length if cipher is None else length + _TAG)
            try:
                yield part if cipher is None else cipher.decrypt(_nonce(start // PART, last=start + PART >= size), part, None)
            except InvalidTag:
                raise StoreError("file_damaged", N_("This file was damaged or altered on the disk. Restore it from a backup.")) from None


def _key(raw_key: bytes, digest: bytes, salt: bytes) -> bytes:
    return derived_key(raw_key, f"blob {digest.hex()} {salt.hex()}")


def _nonce(index: int, *, last: bool) -> bytes:
    return bytes(7) + index.to_bytes(4) + bytes([last])
