"""The keys of a data folder, in ``DIR/keys``: the database's key behind a passphrase, and secrets that lie in files.

The database is encrypted with random bytes, not with the passphrase: opening it costs no key derivation per connection, and changing the
passphrase rewrites one small file. Those bytes are wrapped twice, by the passphrase and by a recovery code that is shown once.
"""

from __future__ import annotations

import os
import secrets
import unicodedata
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from localcrm.kernel.codes import new_recovery_code, read_recovery_code
from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import N_
from localcrm.store.files import write_file_atomically

if TYPE_CHECKING:
    from pathlib import Path
    from typing import NoReturn

_MAX_FILE = 16_384


class _Slot(Struct, frozen=True, forbid_unknown_fields=True):
    """The database's key, wrapped by one secret. The costs have a ceiling, so that no file can ask for all memory."""

    salt: Annotated[bytes, Meta(min_length=16, max_length=64)]
    wrapped: Annotated[bytes, Meta(min_length=60, max_length=60)]
    """Nonce of 12 bytes, key of 32, tag of 16."""
    memory_kib: Annotated[int, Meta(ge=1_024, le=524_288)] = 65_536
    passes: Annotated[int, Meta(ge=1, le=16)] = 3
    lanes: Annotated[int, Meta(ge=1, le=16)] = 4


class _KeyFile(Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=1, le=1)]
    check: Annotated[bytes, Meta(min_length=8, max_length=8)]
    """Start of a hash of the key, so that no wrong key is ever wrapped in its place."""
    passphrase: _Slot
    recovery: _Slot


def create_folder_key(folder: Path, passphrase: str) -> tuple[bytes, str]:
    """Give a new folder a passphrase: the database's key (32 bytes), and the recovery code to print once.

    Raises StoreError ``key_exists`` when the folder has a key already, ``passphrase_empty`` for an empty one.
    """
    path = _path(folder)
    if path.exists():
        raise StoreError("key_exists", N_("This folder has a passphrase already. Use “change passphrase”."))
    raw_key, code = secrets.token_bytes(32), new_recovery_code()
    _write(folder, _KeyFile(1, _check_of(raw_key), _wrap(raw_key, _from_passphrase(passphrase)), _wrap(raw_key, _from_code(code))))
    return raw_key, code


def is_protected(folder: Path) -> bool:
    """Whether the folder opens only with a passphrase."""
    return _path(folder).exists()


def unlock(folder: Path, *, passphrase: str | None = None, recovery_code: str | None = None) -> bytes | None:
    """The database's key; None for a folder without a passphrase.

    Raises StoreError: passphrase_needed, wrong_passphrase, wrong_recovery_code, recovery_code_mistyped, bad_key_file.
    """
    if not is_protected(folder):
        return None
    file = _read(folder)
    if passphrase is not None:
        return _unwrap(file.passphrase, _from_passphrase(passphrase)) or _refuse_passphrase()
    if recovery_code is not None:
        return _unwrap(file.recovery, _from_code(recovery_code)) or _refuse_code()
    raise StoreError("passphrase_needed", N_("This data folder is protected by a passphrase. Enter it to open the folder."))


def change_passphrase(folder: Path, raw_key: bytes, new_passphrase: str) -> None:
    """A new passphrase for the same key; the recovery code stays good. StoreError ``wrong_key`` when it is not this folder's key."""
    file = _read(folder)
    if file.check != _check_of(raw_key):
        raise StoreError("wrong_key", N_("This key belongs to another data folder. The passphrase was not changed."))
    _write(folder, msgspec.structs.replace(file, passphrase=_wrap(raw_key, _from_passphrase(new_passphrase))))


def lock_with_passphrase(raw_key: bytes, passphrase: str) -> bytes:
    """A key of 32 bytes, wrapped for whoever knows the passphrase; StoreError ``passphrase_empty``."""
    return msgspec.msgpack.encode(_wrap(raw_key, _from_passphrase(passphrase)))


def open_with_passphrase(data: bytes, passphrase: str) -> bytes:
    """The key that was wrapped; StoreError ``wrong_passphrase``, ``passphrase_empty`` or ``bad_key_file``."""
    try:
        slot = msgspec.msgpack.decode(data, type=_Slot)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError("bad_key_file", _BAD_KEY_FILE) from error
    return _unwrap(slot, _from_passphrase(passphrase)) or _refuse_passphrase()


def prepare_key_folder(folder: Path) -> Path:
    """The folder's place for keys, made if absent, open to its owner only."""
    keys = folder / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        keys.chmod(0o700)
    return keys


# --- secrets in files -----------------------------------------------------------------------------------------------
# "LCS1" | 0 | secret                               without a folder key
# "LCS1" | 1 | nonce (12) | sealed secret and tag   with one

_PLAIN, _SEALED = b"LCS1\x00", b"LCS1\x01"


def wrap_secret(raw_key: bytes | None, secret: bytes, purpose: str) -> bytes:
    """The bytes to store for a secret; sealed when the folder has a key. ``purpose`` names it, such as "node keys"."""
    if raw_key is None:
        return _PLAIN + secret
    return _SEALED + _seal(derived_key(raw_key, purpose), secret, _SEALED + purpose.encode())


def unwrap_secret(raw_key: bytes | None, data: bytes, purpose: str) -> bytes:
    """The secret that ``wrap_secret`` was given; StoreError ``bad_key_file`` or ``passphrase_needed``.

    A folder with a key takes no plain secret: it could have been put there by anybody.
    """
    if raw_key is None:
        if data.startswith(_SEALED):
            raise StoreError("passphrase_needed", N_("This data folder is protected by a passphrase. Enter it to open the folder."))
        return data[5:] if data.startswith(_PLAIN) else _refuse_file()
    if not data.startswith(_SEALED):
        _refuse_file()
    secret = _unseal(derived_key(raw_key, purpose), data[5:], _SEALED + purpose.encode())
    return _refuse_file() if secret is None else secret


def derived_key(raw_key: bytes, purpose: str) -> bytes:
    """32 bytes that follow from the folder's key, others for every purpose."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=None, info=b"localcrm secret\0" + purpose.encode()).derive(raw_key)


def _seal(key: bytes, secret: bytes, label: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    nonce = os.urandom(12)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, secret, label)


def _unseal(key: bytes, data: bytes, label: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    if len(data) < 28:
        return None
    try:
        return ChaCha20Poly1305(key).decrypt(data[:12], data[12:], label)
    except InvalidTag:
        return None


# --- passphrase and recovery code -----------------------------------------------------------------------------------


def _from_passphrase(passphrase: str) -> bytes:
    """Bytes of a passphrase, the same from every keyboard and system."""
    if not passphrase:
        raise StoreError("passphrase_empty", N_("The passphrase is empty. Choose one of several words."))
    return unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")


def _from_code(code: str) -> bytes:
    """The code as it was printed, without spaces, however it was typed; StoreError ``recovery_code_mistyped``."""
    text = read_recovery_code(code)
    if text is None:
        raise StoreError(
            "recovery_code_mistyped",
            N_("The recovery code is mistyped: it has eight groups of four characters. Check it and type it again."),
        )
    return text.encode()


def _wrap(raw_key: bytes, secret: bytes) -> _Slot:
    slot = _Slot(salt=os.urandom(16), wrapped=bytes(60))
    return msgspec.structs.replace(slot, wrapped=_seal(_stretched(slot, secret), raw_key, b"localcrm database key"))


def _unwrap(slot: _Slot, secret: bytes) -> bytes | None:
    return _unseal(_stretched(slot, secret), slot.wrapped, b"localcrm database key")


def _stretched(slot: _Slot, secret: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    return Argon2id(salt=slot.salt, length=32, iterations=slot.passes, lanes=slot.lanes, memory_cost=slot.memory_kib).derive(secret)


# --- the file -------------------------------------------------------------------------------------------------------


def _path(folder: Path) -> Path:
    return folder / "keys" / "database.json"


def _check_of(raw_key: bytes) -> bytes:
    return sha256(b"localcrm key check\0" + raw_key).digest()[:8]


def _write(folder: Path, file: _KeyFile) -> None:
    prepare_key_folder(folder)
    write_file_atomically(_path(folder), msgspec.json.format(msgspec.json.encode(file)) + b"\n", private=True)


def _read(folder: Path) -> _KeyFile:
    try:
        with _path(folder).open("rb") as source:
            return msgspec.json.decode(source.read(_MAX_FILE), type=_KeyFile)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError("bad_key_file", _BAD_KEY_FILE) from error


_BAD_KEY_FILE = N_("The key file is damaged. Restore the folder “keys” from a backup.")


def _refuse_file() -> NoReturn:
    raise StoreError("bad_key_file", _BAD_KEY_FILE)


def _refuse_passphrase() -> NoReturn:
    raise StoreError("wrong_passphrase", N_("The passphrase is wrong. Check capital letters and the keyboard, and try again."))


def _refuse_code() -> NoReturn:
    raise StoreError("wrong_recovery_code", N_("This is not the recovery code of this data folder. Look for the sheet printed with it."))
