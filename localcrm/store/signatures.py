"""Checking what a node has signed with its key (Ed25519)."""

from __future__ import annotations


def has_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of a public key has signed the message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
