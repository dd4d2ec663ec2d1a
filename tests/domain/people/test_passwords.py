"""Passwords are stored as hashes that only the right password matches."""

from __future__ import annotations

import pytest

from localcrm.domain.people.passwords import password_hash, password_matches


def test_only_the_right_password_matches() -> None:
    stored = password_hash("春天 spring")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert password_matches("春天 spring", stored)
    assert not password_matches("春天 Spring", stored)
    assert not password_matches("", stored)


def test_two_hashes_of_one_password_differ() -> None:
    assert password_hash("x") != password_hash("x")


def test_an_accent_typed_in_two_ways_is_one_password() -> None:
    assert password_matches("cafe\u0301", password_hash("caf\u00e9"))


SALT, HASH = "c29tZXNhbHRzb21lc2FsdA", "A" * 43


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "secret",
        "$argon2id$",
        f"$argon2id$v=19$m=9999999,t=2,p=1${SALT}${HASH}",
        f"$argon2id$v=19$m=19456,t=99,p=1${SALT}${HASH}",
        f"$argon2id$v=19$m=19456,t=2,p=99${SALT}${HASH}",
        f"$argon2id$v=19$m=0,t=0,p=0${SALT}${HASH}",
        f"$argon2id$v=19$m=7,t=1,p=1${SALT}${HASH}",
        f"$argon2i$v=19$m=19456,t=2,p=1${SALT}${HASH}",
        f"$argon2id$v=19$m=19456,t=2,p=1${SALT}${HASH}\n",
        f"$argon2id$v=19$m=19456,t=2,p=1${SALT}$" + "A" * 44,
        "$argon2id$v=19$m=19456,t=2,p=1$" + "A" * 45 + "$" + "A" * 45,
    ],
)
def test_a_stored_value_that_is_no_usable_hash_matches_nothing(stored: str) -> None:
    assert not password_matches("secret", stored)
