"""The certificate with which this node serves its network: made here, kept in ``DIR/keys``, known by its fingerprint.

Nobody above vouches for it, so people compare the fingerprint once. The key stays the same; the certificate is made anew before it
runs out and when the computer has an address or a name it does not list yet. Where the folder has a passphrase the key lies encrypted.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from localcrm.store.files import write_file_atomically
from localcrm.store.keys import derived_key, prepare_key_folder

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

#: Browsers refuse certificates that are good for longer.
LIFE = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
#: A laptop that wanders keeps the addresses it had, so that coming back needs no new certificate.
_MOST_NAMES = 30
_SLACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TlsCertificate:
    """Where certificate and key lie, and what people compare: SHA-256 of the certificate in pairs of hex digits."""

    file: Path
    key_file: Path
    key_password: str | None
    fingerprint: str
    until: datetime


def tls_certificate(folder: Path, raw_key: bytes | None, names: Sequence[str], *, now: datetime) -> TlsCertificate:
    """The certificate for these addresses and names; made, or made anew, when the one there does not do."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    keys = prepare_key_folder(folder)
    file, key_file = keys / "lan.crt", keys / "lan.key"
    password = None if raw_key is None else derived_key(raw_key, "lan key").hex()
    key = _read_key(key_file, password)
    certificate = None if key is None else _read(file, key)
    if key is None:
        key = _new_key(key_file, password)
    if certificate is None or not set(names) <= set(_names(certificate)) or certificate.not_valid_after_utc - now < RENEW_BEFORE:
        listed = [*names, *(name for name in (_names(certificate) if certificate else ()) if name not in names)][:_MOST_NAMES]
        certificate = _issue(key, listed, now)
        write_file_atomically(file, certificate.public_bytes(Encoding.PEM))
    fingerprint = certificate.fingerprint(SHA256()).hex(":").upper()
    return TlsCertificate(file, key_file, password, fingerprint, certificate.not_valid_after_utc)


def served_pin(folder: Path) -> bytes | None:
    """SHA-256 of the public key of the certificate there, which stays the same when the certificate is renewed; None where there is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        public = x509.load_pem_x509_certificate((folder / "keys" / "lan.crt").read_bytes()).public_key()
    except (OSError, ValueError):
        return None
    return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def forget_key(folder: Path) -> None:
    """The next certificate has another key; who serves with this one makes it within a minute."""
    for name in ("lan.key", "lan.crt"):
        (folder / "keys" / name).unlink(missing_ok=True)


def _issue(key: EllipticCurvePrivateKey, names: Iterable[str], now: datetime) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localcrm")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(os.urandom(16)) >> 1)
        .not_valid_before(now - _SLACK)
        .not_valid_after(now - _SLACK + LIFE)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509

    listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in listed]


def _read(file: Path, key: EllipticCurvePrivateKey) -> x509.Certificate | None:
    """The certificate there, if it is one for this key."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        return certificate if certificate.public_key() == key.public_key() and _names(certificate) else None
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None


def _read_key(file: Path, password: str | None) -> EllipticCurvePrivateKey | None:
    """The key there; None where there is none that can be used, also one that lies open in a folder with a passphrase."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(file.read_bytes(), password.encode() if password else None)
    except (OSError, ValueError, TypeError):
        return None
    return key if isinstance(key, EllipticCurvePrivateKey) else None


def _new_key(file: Path, password: str | None) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(SECP256R1())
    wrapping = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    write_file_atomically(file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, wrapping), private=True)
    return key
