"""Checking what a node has signed with its key (Ed25519)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcrm.store.connection import Connection


def has_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of a public key has signed the message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class SignKey(NamedTuple):
    """A public key of a node, and up to when it was that."""

    key: bytes
    until: int
    """By the clock of its owner, Unix milliseconds; of the present key the end of all times."""
    learned: int
    """The same by our clock: when we heard of the next one."""
    policy: int
    """Of head office: the last version of rights that it signed."""


def sign_keys(connection: Connection, node_no: int) -> Iterator[SignKey]:
    """The keys a node of the other side signs and signed with, the present one first; not those that were revoked."""
    for (key,) in connection.all("SELECT sign_key FROM sync_peer WHERE node_no = ?", (node_no,)):
        yield SignKey(key or b"", _END, _END, _END)
    for row in connection.all(
        "SELECT sign_key, changed, learned, policy FROM former_key WHERE node_no = ? AND revoked = 0 ORDER BY rowid DESC", (node_no,)
    ):
        yield SignKey(*row)


_END = 2**63 - 1
