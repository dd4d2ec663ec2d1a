"""The exchange file: one signed and sealed bundle, safe to carry on a stick or to send by e-mail.

::

    "BSB1" | u32 header_len | header (msgpack)
    chunk i: u32 len | ChaCha20Poly1305(K, nonce = 7 zero bytes | u32 i | u8 last, aad = SHA256(header) | u32 i)
    trailer: u32 n_chunks | SHA256(every byte before it) | Ed25519 signature over ("BSB1-sig" | that hash)

Numbers are big-endian. The chunks hold one zstd frame of messages, each ``u32 len | bytes``; a length of zero ends them. The first
message is the manifest; the others are what the caller gave, usually one batch or one protocol message each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from localcrm.sync.identity import NodeKeys, NodePublic

Kind = Literal["up", "down", "ack", "snapshot", "enrol", "keys"]


class Recipient(NamedTuple):
    """Somebody who shall be able to open the bundle."""

    node_no: int
    public: NodePublic


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """What the caller says about a bundle when writing it and learns when reading it; stands unencrypted in the header."""

    hub_id: bytes
    """Id of the company, 16 bytes."""
    kind: Kind
    sender_no: int
    sender_epoch: int
    schema_ver: int
    from_seq: int = 0
    to_seq: int = 0
    chain_prev: bytes = b""
    chain: bytes = b""
    created_hlc: int = 0


class Written(NamedTuple):
    """What became of ``write_bundle``."""

    bundle_id: bytes
    size: int
    sha256: bytes
    messages: int


@dataclass(slots=True)
class Opened:
    """A bundle whose signature has passed: use as a context manager, iterate over it for the messages."""

    bundle_id: bytes
    facts: BundleFacts
    sha256: bytes

    def __iter__(self) -> Iterator[bytes]:
        """The messages, one after the other, each at most MAX_MESSAGE bytes; ExchangeError where they are malformed."""
        raise NotImplementedError


def write_bundle(
    path: Path, messages: Iterable[bytes], *, facts: BundleFacts, keys: NodeKeys, recipients: Sequence[Recipient], chunk_size: int = 65536
) -> Written:
    """Write the messages for the recipients; the file appears whole or not at all, also when ``messages`` raises."""
    raise NotImplementedError


def read_bundle(
    path: Path,
    *,
    my_keys: NodeKeys,
    my_node_no: int,
    company_id: bytes,
    sender_public: Callable[[int, bytes], NodePublic | None],
    older_keys: Sequence[NodeKeys] = (),
    max_bytes: int = 2 << 30,
    max_plain: int = 8 << 30,
    scratch: Path | None = None,
) -> Opened:
    """Check everything, then open. ``sender_public(node_no, key_id)`` gives the sender's keys, None for an unknown node, or raises.

    Raises ExchangeError: not_a_bundle, bundle_truncated, bundle_altered, bundle_other_company, bundle_not_for_us,
    bundle_unknown_sender, bundle_too_large, bundle_newer_protocol.
    """
    raise NotImplementedError
