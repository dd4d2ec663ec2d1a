"""The certificate of a node: made once, renewed in time, listing what the computer is called, its key for nobody else."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from localcrm.store.tls import RENEW_BEFORE, TlsCertificate, tls_certificate

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = ("192.168.1.5", "hq-pc", "hq-pc.local")


def certificate(folder: Path, *names: str, days: float = 0, key: bytes | None = None) -> TlsCertificate:
    return tls_certificate(folder, key, names or NAMES, now=NOW + timedelta(days=days))


def listed(made: TlsCertificate) -> list[str]:
    read = x509.load_pem_x509_certificate(made.file.read_bytes())
    return [str(name.value) for name in read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value]


def test_it_is_made_once(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    assert listed(made) == list(NAMES)
    assert certificate(tmp_path, days=300) == made
    assert len(made.fingerprint) == 32 * 3 - 1
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.file, made.key_file)


@pytest.mark.skipif(os.name != "posix", reason="modes are a posix matter")
def test_its_key_is_for_the_owner_only(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    assert made.key_file.stat().st_mode & 0o777 == 0o600
    assert made.key_file.parent == tmp_path / "keys"
    assert made.key_file.parent.stat().st_mode & 0o777 == 0o700


def test_it_is_renewed_before_it_runs_out_with_the_same_key(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    key = made.key_file.read_bytes()
    late = (made.until - NOW - RENEW_BEFORE) / timedelta(days=1)
    assert certificate(tmp_path, days=late - 0.1) == made
    renewed = certificate(tmp_path, days=late + 0.1)
    assert renewed.fingerprint != made.fingerprint
    assert renewed.until - made.until > timedelta(days=300)
    assert renewed.key_file.read_bytes() == key


def test_a_new_address_is_added_and_an_old_one_kept(tmp_path: Path) -> None:
    certificate(tmp_path)
    moved = certificate(tmp_path, "10.0.0.7", "hq-pc")
    assert listed(moved) == ["10.0.0.7", "hq-pc", "192.168.1.5", "hq-pc.local"]
    assert certificate(tmp_path) == moved  # back in the old place


def test_in_a_folder_with_a_passphrase_the_key_lies_encrypted(tmp_path: Path) -> None:
    open_ = certificate(tmp_path)
    sealed = certificate(tmp_path, key=b"k" * 32)
    assert sealed.fingerprint != open_.fingerprint  # a key that lay open there is not taken
    data = sealed.key_file.read_bytes()
    assert b"ENCRYPTED" in data
    with pytest.raises(TypeError):
        load_pem_private_key(data, None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sealed.file, sealed.key_file, sealed.key_password)
    assert certificate(tmp_path, key=b"k" * 32) == sealed


@pytest.mark.parametrize("name", ["lan.crt", "lan.key"])
def test_what_is_damaged_is_made_anew(tmp_path: Path, name: str) -> None:
    made = certificate(tmp_path)
    (tmp_path / "keys" / name).write_bytes(b"-----BEGIN NOTHING-----")
    assert certificate(tmp_path).fingerprint != made.fingerprint
