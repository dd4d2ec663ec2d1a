"""Passwords of users: stored as Argon2id hashes in the usual text form, compared in constant time."""

from __future__ import annotations

import os
import re
import unicodedata

#: What a stored hash may ask of us; one from a hostile exchange could otherwise take all memory at sign-in.
_MAX_MEMORY_KIB, _MAX_PASSES, _MAX_LANES = 262_144, 10, 8
_FORM = re.compile(r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}", re.ASCII)


def password_hash(password: str) -> str:
    """A new hash with a fresh salt, about 100 characters, such as ``$argon2id$v=19$m=19456,t=2,p=1$…$…``."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    return Argon2id(salt=os.urandom(16), length=32, iterations=2, lanes=1, memory_cost=19_456).derive_phc_encoded(_bytes(password))


def password_matches(password: str, stored: str) -> bool:
    """Whether this is the password behind a stored hash; a stored value that is no hash matches nothing."""
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    form = _FORM.fullmatch(stored)
    if form is None:
        return False
    memory, passes, lanes = map(int, form.groups())
    if memory > _MAX_MEMORY_KIB or passes > _MAX_PASSES or lanes > _MAX_LANES:
        return False
    try:
        Argon2id.verify_phc_encoded(_bytes(password), stored)
    except (InvalidKey, ValueError):
        return False
    return True


def _bytes(password: str) -> bytes:
    """The same bytes from every keyboard and system, whichever way it composes accents."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
