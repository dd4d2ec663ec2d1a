"""The exchange file: one signed and sealed bundle, safe to carry on a stick or to send by e-mail.

::

    "BSB1" | u32 header_len | header (msgpack)
    chunk i: u32 len | ChaCha20Poly1305(K, nonce = 7 zero bytes | u32 i | u8 last, aad = SHA256(header) | u32 i)
    trailer: u32 n_chunks | SHA256(every byte before it) | Ed25519 signature over ("BSB1-sig" | that hash)

Numbers are big-endian. The chunks hold one zstd frame of messages, each ``u32 len | bytes``; a length of zero ends them. The first
message is the manifest, which repeats what the header says about sender and recipients; the others are the caller's, usually one batch
or one protocol message each. ``K`` is new for every bundle and wrapped for each recipient, so counting nonces never repeat.

Reading asks in this order: is it small enough, is it our company's and not our own, do we know the sender, is it for us, does the signature over the whole file
fit, does every chunk open. Only then is anything unpacked.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal, NamedTuple, NoReturn, Self

import msgspec
from msgspec import Meta, Struct

from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_
from localcrm.store.files import open_atomically
from localcrm.sync.codec import LEVEL, MAX_WINDOW
from localcrm.sync.identity import Id, Key, NodeKeys, NodeNo, NodePublic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

PROTOCOL = 1
CHUNK = 64 << 10
MAX_HEADER = 256 << 10
MAX_FILE = 2 << 30
MAX_PLAIN = 8 << 30
MAX_MESSAGE = 64 << 20
MAX_INTRODUCTIONS = 64
#: More than this of an opened bundle waits in a private temporary file instead of in memory.
_IN_MEMORY = 8 << 20
_TRAILER = 4 + 32 + 64
_TAG = 16

Kind = Literal["up", "down", "ack", "snapshot", "enrol", "keys"]
_KeyId = Annotated[bytes, Meta(min_length=8, max_length=8)]
_Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Chain = Annotated[bytes, Meta(max_length=64)]


class Recipient(NamedTuple):
    """Somebody who shall be able to open the bundle."""

    node_no: int
    public: NodePublic


class BundleFacts(Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """What the caller says about a bundle when writing it and learns when reading it; stands unencrypted in the header."""

    hub_id: Id
    """Id of the company."""
    kind: Kind
    sender_no: NodeNo
    sender_epoch: Annotated[int, Meta(ge=0)]
    schema_ver: Annotated[int, Meta(ge=0, le=2**31)]
    from_seq: _Seq = 0
    to_seq: _Seq = 0
    chain_prev: _Chain = b""
    chain: _Chain = b""
    created_hlc: _Seq = 0


class Written(NamedTuple):
    """What became of ``write_bundle``."""

    bundle_id: bytes
    """16 random bytes."""
    size: int
    """Length of the file."""
    sha256: bytes
    """The hash in the trailer, which the signature is over."""
    messages: int
    """How many of the caller's messages are inside."""


class Opened:
    """A bundle whose every check has passed. Use as a context manager; iterate over it once for the messages."""

    def __init__(self, header: _Header, sender: NodePublic, sealed_to: bytes, digest: bytes, plain: IO[bytes], max_plain: int) -> None:
        self.bundle_id = header.bundle_id
        self.sender = sender
        """The keys that signed it."""
        self.sealed_to = sealed_to
        """The id of the keys of ours that it was sealed to."""
        self.facts = header.facts
        self.sha256 = digest
        self._plain = plain
        self._messages = _read_messages(plain, max_plain)
        if next(self._messages, b"") != _manifest(header):
            _refuse("bundle_altered")

    def __iter__(self) -> Iterator[bytes]:
        """The messages in order, each at most MAX_MESSAGE bytes; ExchangeError ``bad_message`` or ``bundle_too_large``."""
        return self._messages

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._plain.close()


def write_bundle(
    target: Path | IO[bytes],
    messages: Iterable[bytes],
    *,
    facts: BundleFacts,
    keys: NodeKeys,
    recipients: Sequence[Recipient],
    introductions: Sequence[bytes] = (),
    chunk_size: int = CHUNK,
) -> Written:
    """Write the messages for the recipients. A path's file appears whole or not at all, also when ``messages`` raises.

    ``introductions`` lead a recipient who knows only former keys of ours to the present ones (``identity.make_succession``).
    Raises ExchangeError ``bundle_not_written`` when the disk or stick does not take it.
    """
    if not isinstance(target, Path):
        return _write(target, messages, facts, keys, recipients, introductions, chunk_size)
    try:
        with open_atomically(target) as file:
            return _write(file, messages, facts, keys, recipients, introductions, chunk_size)
    except OSError as error:
        raise ExchangeError("bundle_not_written", _TEXTS["bundle_not_written"], place=str(target), reason=error.strerror or "") from error


def read_bundle(
    path: Path,
    *,
    my_keys: NodeKeys,
    my_node_no: int,
    company_id: bytes,
    sender_public: Callable[[int, bytes], NodePublic | None],
    older_keys: Sequence[NodeKeys] = (),
    introduced: Callable[[int, bytes, Sequence[bytes]], NodePublic | None] | None = None,
    proven: Callable[[NodePublic], None] | None = None,
    max_bytes: int = MAX_FILE,
    max_plain: int = MAX_PLAIN,
    scratch: Path | None = None,
) -> Opened:
    """Check everything, then open.

    ``sender_public(node_no, key_id)`` gives the sender's keys, None for a node or key it does not know, or raises ExchangeError of its
    own for a revoked one; ``introduced`` is asked instead where the bundle brings introductions. ``proven`` is told the sender's keys once
    their signature over the whole file fits and it is sealed to us, before anything is opened, and may raise too. ``older_keys`` still open what was in the post
    when we changed ours. ``scratch`` is where a large opened bundle waits, nameless.

    Raises ExchangeError: not_a_bundle, bundle_truncated, bundle_altered, bundle_other_company, bundle_own, bundle_not_for_us, bundle_other_keys,
    bundle_unknown_sender, bundle_too_large, bundle_newer_protocol, bundle_unreadable.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                _refuse_size(max_bytes)
            head, header = _read_header(file, size)
            if header.facts.hub_id != company_id:
                _refuse("bundle_other_company")
            if header.facts.sender_no == my_node_no:
                _refuse("bundle_own")
            if introduced is not None and header.introductions:
                sender = introduced(header.facts.sender_no, header.sender_key, header.introductions)
            else:
                sender = sender_public(header.facts.sender_no, header.sender_key)
            if sender is None or sender.key_id != header.sender_key:
                _refuse("bundle_unknown_sender")
            mine, sealed = _find_recipient(header, my_node_no, (my_keys, *older_keys))
            digest = _verify(file, size, head, header, sender)
            key = _unwrap_key(sealed, mine, header, sender)  # who cannot seal to us is nobody whose keys are looked at
            if proven is not None:
                proven(sender)
            plain = _decrypt(file, size, head, header, key, digest, scratch)
    except OSError as error:
        raise ExchangeError("bundle_unreadable", _TEXTS["bundle_unreadable"], place=str(path), reason=error.strerror or "") from error
    try:
        return Opened(header, sender, sealed.key_id, digest, plain, max_plain)
    except ExchangeError:
        plain.close()
        raise


# --- header ---------------------------------------------------------------------------------------------------------


class _Sealed(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The bundle's key, wrapped for one recipient."""

    node_no: NodeNo
    key_id: _KeyId
    ephemeral: Key
    wrapped: Annotated[bytes, Meta(min_length=48, max_length=48)]


class _Header(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    proto: Annotated[int, Meta(ge=1, le=65_535)]
    bundle_id: Id
    sender_key: _KeyId
    chunk_size: Annotated[int, Meta(ge=1_024, le=1 << 20)]
    facts: BundleFacts
    recipients: Annotated[list[_Sealed], Meta(min_length=1, max_length=1_024)]
    introductions: Annotated[list[Annotated[bytes, Meta(max_length=1_024)]], Meta(max_length=MAX_INTRODUCTIONS)] = []


class _HeaderStart(Struct, frozen=True, array_like=True):
    """All that a newer version promises to keep."""

    proto: Annotated[int, Meta(ge=1, le=65_535)]


class _Manifest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the header says, said again inside the seal: a header cannot be put before somebody else's chunks."""

    bundle_id: bytes
    sender_key: bytes
    facts: BundleFacts
    recipients: list[tuple[int, bytes]]


def _manifest(header: _Header) -> bytes:
    recipients = [(sealed.node_no, sealed.key_id) for sealed in header.recipients]
    return msgspec.msgpack.encode(_Manifest(header.bundle_id, header.sender_key, header.facts, recipients))


def _read_header(file: IO[bytes], size: int) -> tuple[bytes, _Header]:
    """All bytes up to the first chunk, and what they say."""
    start = file.read(8)
    if start[:4] != b"BSB1"[: len(start)]:
        _refuse("not_a_bundle")
    if len(start) < 8:
        _refuse("bundle_truncated")
    length = int.from_bytes(start[4:])
    if length > MAX_HEADER:
        _refuse("bundle_altered")
    if 8 + length + 4 + _TAG + _TRAILER > size:
        _refuse("bundle_truncated")
    body = file.read(length)
    try:
        if msgspec.msgpack.decode(body, type=_HeaderStart).proto > PROTOCOL:
            _refuse("bundle_newer_protocol")
        return start + body, msgspec.msgpack.decode(body, type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _refuse("bundle_altered", error)


def _find_recipient(header: _Header, node_no: int, keys: Sequence[NodeKeys]) -> tuple[NodeKeys, _Sealed]:
    ours = {mine.public.key_id: mine for mine in keys}
    found = next((sealed for sealed in header.recipients if sealed.node_no == node_no and sealed.key_id in ours), None)
    if found:
        return ours[found.key_id], found
    is_for_us = any(sealed.node_no == node_no for sealed in header.recipients)
    return _refuse(("bundle_not_for_us", "bundle_other_keys")[is_for_us])


# --- keys -----------------------------------------------------------------------------------------------------------


def _wrap_key(key: bytes, to: Recipient, *, bundle_id: bytes, sender_no: int, sender_key: bytes) -> _Sealed:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    once = NodeKeys.generate()
    sealed = _Sealed(to.node_no, to.public.key_id, once.public.box_key, bytes(48))
    wrapping = _wrapping_key(once.agree(to.public.box_key), sealed, bundle_id=bundle_id, sender_no=sender_no, sender_key=sender_key)
    # The wrapping key seals this one message only, so its nonce may be zero.
    return msgspec.structs.replace(sealed, wrapped=ChaCha20Poly1305(wrapping).encrypt(bytes(12), key, None))


def _unwrap_key(sealed: _Sealed, mine: NodeKeys, header: _Header, sender: NodePublic) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    try:
        shared = mine.agree(sealed.ephemeral)
        wrapping = _wrapping_key(shared, sealed, bundle_id=header.bundle_id, sender_no=header.facts.sender_no, sender_key=sender.key_id)
        return ChaCha20Poly1305(wrapping).decrypt(bytes(12), sealed.wrapped, None)
    except (InvalidTag, ValueError) as error:
        _refuse("bundle_altered", error)


def _wrapping_key(shared: bytes, sealed: _Sealed, *, bundle_id: bytes, sender_no: int, sender_key: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = b"BSB1-key" + sender_no.to_bytes(2) + sealed.node_no.to_bytes(2) + sender_key + sealed.key_id + sealed.ephemeral
    return HKDF(SHA256(), 32, salt=bundle_id, info=info).derive(shared)


# --- writing --------------------------------------------------------------------------------------------------------


def _write(
    file: IO[bytes],
    messages: Iterable[bytes],
    facts: BundleFacts,
    keys: NodeKeys,
    recipients: Sequence[Recipient],
    introductions: Sequence[bytes],
    chunk_size: int,
) -> Written:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    key = os.urandom(32)
    header = _make_header(key, facts, keys, recipients, introductions, chunk_size)
    body = msgspec.msgpack.encode(header)
    # What we write passes the gate that the receiver holds it to.
    msgspec.msgpack.decode(body, type=_Header)
    head = b"BSB1" + len(body).to_bytes(4) + body
    cipher, label, digest, size, count = ChaCha20Poly1305(key), sha256(head).digest(), sha256(), 0, _Counted(messages)

    def put(data: bytes) -> None:
        nonlocal size
        file.write(data)
        digest.update(data)
        size += len(data)

    put(head)
    index = -1
    for index, (chunk, last) in enumerate(_cut(_compress(_manifest(header), count), chunk_size)):
        sealed = cipher.encrypt(_nonce(index, last), chunk, label + index.to_bytes(4))
        put(len(sealed).to_bytes(4) + sealed)
    put((index + 1).to_bytes(4))
    whole = digest.digest()
    put(whole + keys.sign(b"BSB1-sig" + whole))
    return Written(header.bundle_id, size, whole, count.seen)


def _make_header(
    key: bytes, facts: BundleFacts, keys: NodeKeys, recipients: Sequence[Recipient], introductions: Sequence[bytes], chunk_size: int
) -> _Header:
    bundle_id, sender_key = os.urandom(16), keys.public.key_id
    sealed = [_wrap_key(key, to, bundle_id=bundle_id, sender_no=facts.sender_no, sender_key=sender_key) for to in recipients]
    return _Header(PROTOCOL, bundle_id, sender_key, chunk_size, facts, sealed, list(introductions[-MAX_INTRODUCTIONS:]))


class _Counted:
    """Messages, counted as they pass."""

    def __init__(self, messages: Iterable[bytes]) -> None:
        self._messages = messages
        self.seen = 0

    def __iter__(self) -> Iterator[bytes]:
        for message in self._messages:
            if not 0 < len(message) <= MAX_MESSAGE:
                raise ValueError(len(message))
            self.seen += 1
            yield message


def _compress(manifest: bytes, messages: Iterable[bytes]) -> Iterator[bytes]:
    """The messages as pieces of one zstd frame."""
    import zstandard

    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
    yield compressor.compress(len(manifest).to_bytes(4) + manifest)
    for message in messages:
        yield compressor.compress(len(message).to_bytes(4))
        yield compressor.compress(message)
    yield compressor.compress(bytes(4))
    yield compressor.flush()


def _cut(pieces: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in chunks of one size; the last, which may be shorter, is marked."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) > size:
            yield bytes(waiting[:size]), False
            del waiting[:size]
    yield bytes(waiting), True


def _nonce(index: int, last: bool) -> bytes:
    return bytes(7) + index.to_bytes(4) + bytes([last])


# --- reading --------------------------------------------------------------------------------------------------------


class _Chunk(NamedTuple):
    sealed: bytes
    last: bool


def _walk(file: IO[bytes], size: int, head: bytes, chunk_size: int) -> Iterator[_Chunk | bytes]:
    """Every chunk, still sealed, and at the end the trailer's hash and signature (96 bytes), once the hash has been compared."""
    digest = sha256(head)
    file.seek(len(head))
    remaining, count = size - len(head), 0
    while remaining > _TRAILER:
        length = file.read(4)
        remaining -= 4 + int.from_bytes(length)
        if remaining < _TRAILER:
            _refuse("bundle_truncated")
        last = remaining == _TRAILER
        if not _TAG <= int.from_bytes(length) <= chunk_size + _TAG or (not last and int.from_bytes(length) != chunk_size + _TAG):
            _refuse("bundle_altered")
        sealed = file.read(int.from_bytes(length))
        digest.update(length + sealed)
        count += 1
        yield _Chunk(sealed, last)
    trailer = file.read(_TRAILER)
    digest.update(trailer[:4])
    if int.from_bytes(trailer[:4]) != count or trailer[4:36] != digest.digest():
        _refuse("bundle_altered")
    yield trailer[4:]


def _verify(file: IO[bytes], size: int, head: bytes, header: _Header, sender: NodePublic) -> bytes:
    """The trailer's hash, once it fits the file and the signature fits it."""
    trailer = b""
    for part in _walk(file, size, head, header.chunk_size):
        if isinstance(part, bytes):
            trailer = part
    if not sender.has_signed(b"BSB1-sig" + trailer[:32], trailer[32:]):
        _refuse("bundle_altered")
    return trailer[:32]


def _decrypt(file: IO[bytes], size: int, head: bytes, header: _Header, key: bytes, digest: bytes, scratch: Path | None) -> IO[bytes]:
    """The compressed messages in a private temporary file.

    The file is hashed a second time: on a stick or a share it may have been exchanged since the signature was checked.
    """
    plain = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=None if scratch is None else str(scratch))  # noqa: SIM115 -- Opened closes it
    try:
        for part in _open_chunks(_walk(file, size, head, header.chunk_size), key, head, digest):
            plain.write(part)
    except BaseException:
        plain.close()
        raise
    plain.seek(0)
    return plain


def _open_chunks(parts: Iterator[_Chunk | bytes], key: bytes, head: bytes, digest: bytes) -> Iterator[bytes]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    cipher, label = ChaCha20Poly1305(key), sha256(head).digest()
    for index, part in enumerate(parts):
        if isinstance(part, bytes):
            if part[:32] != digest:
                _refuse("bundle_altered")
            return
        try:
            yield cipher.decrypt(_nonce(index, part.last), part.sealed, label + index.to_bytes(4))
        except InvalidTag as error:
            _refuse("bundle_altered", error)


def _read_messages(plain: IO[bytes], max_plain: int) -> Iterator[bytes]:
    """The messages, unpacked as they are asked for."""
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(plain)
    total = 0

    def take(length: int) -> bytes:
        nonlocal total
        total += length
        if total > max_plain:
            _refuse_size(max_plain)
        data = reader.read(length)
        return data if len(data) == length else _refuse("bad_message")

    try:
        while length := int.from_bytes(take(4)):
            yield take(length) if length <= MAX_MESSAGE else _refuse("bad_message")
        # Reading on to the very end lets zstd compare its checksum.
        if reader.read(1):
            _refuse("bad_message")
    except zstandard.ZstdError as error:
        _refuse("bad_message", error)


# --- refusing -------------------------------------------------------------------------------------------------------

OWN = N_("This file was made here, for the other side to read. Nothing was changed; choose the file that the other side made.")
_TEXTS = {
    "not_a_bundle": N_("This is not an exchange file. Choose the file that the other side made; its name ends in .localcrm-exchange."),
    "bundle_truncated": N_("The exchange file is cut short: it was not copied to its end. Nothing was changed; copy it again."),
    "bundle_altered": N_("The exchange file is damaged or was altered. Nothing was changed; ask for it to be sent again."),
    "bundle_other_company": N_("This exchange file belongs to another company. Nothing was changed."),
    "bundle_own": OWN,
    "bundle_not_for_us": N_(
        "This exchange file is addressed to somebody else. Nothing was changed; give it to the branch it was made for."
    ),
    "bundle_other_keys": N_(
        "This exchange file is sealed to keys of this place that are not here. Nothing was changed; have it made again, or restore the folder “keys” from the newest backup."
    ),
    "bundle_unknown_sender": N_(
        "The sender of this exchange file is not known here. Nothing was changed; exchange with head office first."
    ),
    "bundle_too_large": N_("The exchange file holds more than the permitted {limit} MB and was refused. Nothing more of it was applied."),
    "bundle_newer_protocol": N_(
        "This exchange file was made by a newer version of the program. Nothing was changed; update this computer first."
    ),
    "bundle_unreadable": N_("The exchange file {place} cannot be read ({reason}). Nothing was changed; check the stick and try again."),
    "bundle_not_written": N_(
        "The exchange file {place} cannot be written ({reason}). No file was left; check that there is room and try again."
    ),
    "bad_message": N_(
        "A message inside the exchange file is malformed. It was not applied; report this to whoever looks after the program."
    ),
}


def _refuse(code: str, cause: BaseException | None = None) -> NoReturn:
    raise ExchangeError(code, _TEXTS[code]) from cause


def _refuse_size(limit: int) -> NoReturn:
    raise ExchangeError("bundle_too_large", _TEXTS["bundle_too_large"], limit=limit >> 20)
