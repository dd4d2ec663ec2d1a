"""A data folder behind a passphrase: opened by it or by the recovery code, by nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from localcrm.kernel.codes import new_recovery_code
from localcrm.kernel.errors import StoreError
from localcrm.store.files import open_atomically, write_file_atomically
from localcrm.store.keys import change_passphrase, create_folder_key, unlock, unwrap_secret, wrap_secret


def refusal(work: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(StoreError) as caught:
        work(*args, **options)
    return caught.value.code


def test_passphrase_and_recovery_code_give_the_same_key(tmp_path: Path) -> None:
    raw_key, code = create_folder_key(tmp_path, "春眠不觉晓 42")
    assert len(raw_key) == 32
    assert [len(group) for group in code.split(" ")] == [4] * 8
    assert unlock(tmp_path, passphrase="春眠不觉晓 42") == raw_key
    assert unlock(tmp_path, recovery_code=code.lower().replace("0", "o").replace("1", "l").replace(" ", "-")) == raw_key
    assert refusal(unlock, tmp_path, passphrase="春眠不觉晓 43") == "wrong_passphrase"
    assert refusal(unlock, tmp_path) == "passphrase_needed"
    assert refusal(create_folder_key, tmp_path, "again") == "key_exists"


def test_a_folder_without_a_passphrase_has_no_key(tmp_path: Path) -> None:
    assert unlock(tmp_path) is None
    assert unlock(tmp_path, passphrase="any") is None
    assert refusal(create_folder_key, tmp_path, "") == "passphrase_empty"


def test_a_new_passphrase_replaces_the_old_one_and_keeps_the_recovery_code(tmp_path: Path) -> None:
    raw_key, code = create_folder_key(tmp_path, "old")
    change_passphrase(tmp_path, raw_key, "new")
    assert unlock(tmp_path, passphrase="new") == unlock(tmp_path, recovery_code=code) == raw_key
    assert refusal(unlock, tmp_path, passphrase="old") == "wrong_passphrase"
    assert refusal(change_passphrase, tmp_path, bytes(32), "new") == "wrong_key"


def test_an_accent_typed_in_two_ways_is_one_passphrase(tmp_path: Path) -> None:
    raw_key, _ = create_folder_key(tmp_path, "caf\u00e9")
    assert unlock(tmp_path, passphrase="cafe\u0301") == raw_key


def test_the_recovery_code_of_another_folder_is_told_from_a_mistyped_one(tmp_path: Path) -> None:
    create_folder_key(tmp_path, "x")
    assert refusal(unlock, tmp_path, recovery_code=new_recovery_code()) == "wrong_recovery_code"
    for mistyped in ("", "ABCD", "U" * 32, "0" * 31 + "1", "0" * 33):
        assert refusal(unlock, tmp_path, recovery_code=mistyped) == "recovery_code_mistyped"


def test_a_damaged_or_hostile_key_file_is_refused_at_once(tmp_path: Path) -> None:
    create_folder_key(tmp_path, "x")
    path = tmp_path / "keys" / "database.json"
    good = json.loads(path.read_text())
    greedy = [
        {"memory_kib": 100_000_000},
        {"passes": 10**9},
        {"lanes": 0},
        {"memory_kib": -1},
        {"salt": ""},
        {"extra": 1},
        {"wrapped": "AAAA"},
    ]
    for change in greedy:
        path.write_text(json.dumps(good | {"passphrase": good["passphrase"] | change}))
        assert refusal(unlock, tmp_path, passphrase="x") == "bad_key_file"
    for text in ("", "{}", "[" * 100_000, "null", json.dumps(good)[:-1], json.dumps(good | {"version": 2})):
        path.write_text(text)
        assert refusal(unlock, tmp_path, passphrase="x") == "bad_key_file"


def test_a_secret_is_plain_without_a_folder_key_and_sealed_with_one() -> None:
    key = bytes(range(32))
    sealed, plain = wrap_secret(key, b"node keys", "node"), wrap_secret(None, b"node keys", "node")
    assert plain == b"LCS1\0node keys"
    assert b"node keys" not in sealed
    assert unwrap_secret(None, plain, "node") == unwrap_secret(key, sealed, "node") == b"node keys"
    assert refusal(unwrap_secret, None, sealed, "node") == "passphrase_needed"
    assert refusal(unwrap_secret, key, plain, "node") == "bad_key_file"
    assert refusal(unwrap_secret, key, sealed, "mail password") == "bad_key_file"
    assert refusal(unwrap_secret, bytes(32), sealed, "node") == "bad_key_file"


@given(secret=st.binary(max_size=80), place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_sealed_secret_comes_back_and_none_altered(secret: bytes, place: int, bit: int) -> None:
    data = bytearray(wrap_secret(bytes(32), secret, "x"))
    assert unwrap_secret(bytes(32), bytes(data), "x") == secret
    data[place % len(data)] ^= 1 << bit
    assert refusal(unwrap_secret, bytes(32), bytes(data), "x") == "bad_key_file"
    assert refusal(unwrap_secret, bytes(32), bytes(data[: place % len(data)]), "x") == "bad_key_file"


@pytest.mark.skipif(os.name != "posix", reason="modes are a posix matter")
def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    create_folder_key(tmp_path, "x")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / "database.json").stat().st_mode & 0o777 == 0o600


def write_half_and_fail(path: Path) -> None:
    with open_atomically(path) as file:
        file.write(b"half")
        raise LookupError


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_file_atomically(path, b"old")
    with pytest.raises(LookupError):
        write_half_and_fail(path)
    assert path.read_bytes() == b"old"
    write_file_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
