"""An exchange file in parts that fit into e-mails.

::

    "BSP1" | u32 header_len | header (msgpack) | Ed25519 signature over ("BSP1-sig" | SHA256(every byte before)) | u32 number | data

All parts of a file have the same header, which names the SHA-256 of each part's data: each is proven by itself, and belongs to no other file.
Parts that have arrived are kept in ``DIR/parts`` until all are there, in whatever order and however many at once; then they are the file again,
which is proven and read like any other.
"""

from __future__ import annotations

import os
import shutil
import time
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NoReturn

import msgspec
from msgspec import Meta, Struct

from localcrm.kernel.errors import ExchangeError, InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.files import open_atomically, writing
from localcrm.sync import rotation
from localcrm.sync.bundle import MAX_FILE, MAX_INTRODUCTIONS, OWN
from localcrm.sync.identity import Id, NodeKeys, NodeNo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localcrm.store.store import Store

MAGIC = b"BSP1"
MAX_PARTS = 2_000
#: Parts whose others never came are thrown away after so long, and beyond so many files the oldest.
KEEP_SECONDS, KEEP_FILES = 60 * 24 * 3600, 20
_MAX_HEADER = 256 << 10
_BLOCK = 1 << 20

_Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]


class _Header(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    company_id: Id
    sender_no: NodeNo
    sender_key: Annotated[bytes, Meta(min_length=8, max_length=8)]
    size: Annotated[int, Meta(ge=1, le=MAX_FILE)]
    """Of the whole file."""
    hashes: Annotated[list[_Hash], Meta(min_length=2, max_length=MAX_PARTS)]
    introductions: Annotated[list[Annotated[bytes, Meta(max_length=1_024)]], Meta(max_length=MAX_INTRODUCTIONS)]


class Arrived(Struct, frozen=True):
    """A set of which a part is here now: where it is kept, and the numbers of the parts that are still missing, from 1."""

    place: Path
    count: int
    missing: list[int]


# writing ----------------------------------------------------------------------------------------------------------------------


def split(store: Store, keys: NodeKeys, path: Path, *, to_no: int, part_bytes: int) -> list[Path]:
    """The parts of an exchange file, each a file of at most ``part_bytes``, in its place; [path] where it is small enough.

    Raises InvalidInput(parts_too_small), StoreError(cannot_write_file); then the file is as it was and no part is left.
    """
    size = path.stat().st_size
    if size <= part_bytes:
        return [path]
    introductions = rotation.introductions(store, to_no)
    # What stands before the data: a hash for each part, the way to our keys, and the rest.
    data_bytes = part_bytes - 40 * (2 * size // max(part_bytes, 1) + 1) - sum(len(document) + 5 for document in introductions) - 512
    if data_bytes < 1 or 2 * data_bytes < part_bytes or -(-size // data_bytes) > MAX_PARTS:
        raise InvalidInput("parts_too_small", N_("In such small parts it would be too many files. Choose larger ones."))
    count = -(-size // data_bytes)
    with path.open("rb") as file:
        hashes = [sha256(file.read(data_bytes)).digest() for _number in range(count)]
    header = _Header(store.node.company_id, store.node.node_no, keys.public.key_id, size, hashes, introductions)
    body = msgspec.msgpack.encode(header)
    head = MAGIC + len(body).to_bytes(4) + body
    head += keys.sign(b"BSP1-sig" + sha256(head).digest())
    made: list[Path] = []
    try:
        with path.open("rb") as file:
            for number in range(count):
                part = path.with_name(f"{path.stem}.{number + 1}-{count}{path.suffix}")
                with writing(part), open_atomically(part) as target:
                    made.append(part)
                    target.write(head + number.to_bytes(4))
                    target.write(file.read(data_bytes))
    except BaseException:
        for part in made:
            part.unlink(missing_ok=True)
        raise
    path.unlink()
    return made


# reading ----------------------------------------------------------------------------------------------------------------------


def is_part(start: bytes) -> bool:
    """Whether a file that begins so is a part."""
    return start[:4] == MAGIC


def take(store: Store, keys: NodeKeys, path: Path) -> Arrived:
    """Prove a part and keep it; raises ExchangeError: part_altered, bundle_other_company, bundle_unknown_sender … as for a whole file."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE + _MAX_HEADER:
                _refuse()
            head, header = _read_header(file)
            _prove(store, keys, head, header)
            number = int.from_bytes(file.read(4))
            if number >= len(header.hashes) or _hash(file) != header.hashes[number]:
                _refuse()
            place = _sweep(store.folder / "parts", sha256(head).hexdigest()[:32])
            with writing(path), open_atomically(place / str(number), private=True) as kept:
                file.seek(len(head) + 4)
                shutil.copyfileobj(file, kept, _BLOCK)
    except OSError as error:
        raise ExchangeError(
            "bundle_unreadable",
            N_("The exchange file {place} cannot be read ({reason}). Nothing was changed; check the stick and try again."),
            place=str(path),
            reason=error.strerror or "",
        ) from error
    missing = [number + 1 for number in range(len(header.hashes)) if not (place / str(number)).is_file()]
    return Arrived(place, len(header.hashes), missing)


def joined(arrived: Arrived, target: Path) -> None:
    """Write the whole file, once nothing is missing."""
    with target.open("wb") as file:
        for number in range(arrived.count):
            with (arrived.place / str(number)).open("rb") as part:
                shutil.copyfileobj(part, file, _BLOCK)


def forget(arrived: Arrived) -> None:
    """The file has been read."""
    shutil.rmtree(arrived.place, ignore_errors=True)


def missing_parts(arrived: Arrived) -> ExchangeError:
    """What is said while parts are missing."""
    return ExchangeError(
        "parts_missing",
        N_("{have} of {count} parts are here; number {missing} is still missing. Read the rest too, in any order."),
        have=arrived.count - len(arrived.missing),
        count=arrived.count,
        missing=", ".join(map(str, arrived.missing[:20])) + ("…" if len(arrived.missing) > 20 else ""),
    )


def files_in(paths: Sequence[Path], starts: Sequence[bytes]) -> Iterator[Path]:
    """The files named, and of each folder those that begin like an exchange file, by name."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for entry in sorted(path.iterdir()):
            if entry.is_file():
                with entry.open("rb") as file:
                    if file.read(4) in starts:
                        yield entry


def _read_header(file: IO[bytes]) -> tuple[bytes, _Header]:
    """All bytes before the number, and what they say."""
    start = file.read(8)
    length = int.from_bytes(start[4:])
    if len(start) < 8 or start[:4] != MAGIC or length > _MAX_HEADER:
        _refuse()
    body, signature = file.read(length), file.read(64)
    try:
        header = msgspec.msgpack.decode(body, type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _refuse(error)
    return start + body + signature, header


def _prove(store: Store, keys: NodeKeys, head: bytes, header: _Header) -> None:
    if header.company_id != store.node.company_id:
        raise ExchangeError("bundle_other_company", N_("This exchange file belongs to another company. Nothing was changed."))
    if header.sender_no == store.node.node_no:
        raise ExchangeError("bundle_own", OWN)
    # Who has new keys is followed when the whole file is read; here it is enough that the way to them is sound.
    sender = rotation.Speaker(store, keys).introduced(header.sender_no, header.sender_key, header.introductions)
    if sender is None or sender.key_id != header.sender_key:
        raise ExchangeError(
            "bundle_unknown_sender",
            N_("The sender of this exchange file is not known here. Nothing was changed; exchange with head office first."),
        )
    if not sender.has_signed(b"BSP1-sig" + sha256(head[:-64]).digest(), head[-64:]):
        _refuse()


def _hash(file: IO[bytes]) -> bytes:
    digest = sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.digest()


def _sweep(folder: Path, name: str) -> Path:
    """The place of a set, made if absent; what has waited too long goes."""
    folder.mkdir(mode=0o700, exist_ok=True)
    others = sorted((entry for entry in folder.iterdir() if entry.name != name), key=lambda entry: entry.stat().st_mtime)
    for entry in others:
        if entry.stat().st_mtime < time.time() - KEEP_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)
    for entry in others[: max(0, len(others) - KEEP_FILES + 1)]:
        shutil.rmtree(entry, ignore_errors=True)
    (folder / name).mkdir(mode=0o700, exist_ok=True)
    return folder / name


def _refuse(cause: BaseException | None = None) -> NoReturn:
    raise ExchangeError(
        "part_altered",
        N_("This part of an exchange file is damaged or was altered. Nothing was changed; ask for this part to be sent again."),
    ) from cause
