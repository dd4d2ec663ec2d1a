"""Contents of attached files on the disk: kept once, sealed where the folder has a key, found damaged, arriving in pieces."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcrm.kernel.errors import AppError
from localcrm.store import blobs, check
from localcrm.store.store import Store, create_store
from tests import factories
from tests.factories import HandClock, Installation

TEXT = "甲方：绍兴恒远纺织品有限公司\n".encode() * 20_000  # nine parts and a bit


@pytest.fixture
def hq() -> Iterator[Installation]:
    with factories.company(branches=1) as company:
        yield company.hq


@pytest.fixture(params=[None, os.urandom(32)], ids=["open", "sealed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    found = create_store(tmp_path / "data", key=request.param)
    with found.housekeeping() as connection:
        connection.execute("INSERT INTO meta VALUES ('is_test', 1)")
    yield found
    found.close()


def content(store: Store, hash: str) -> bytes:
    return b"".join(blobs.read(store, bytes.fromhex(hash)))


def as_office(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Office:
        is_office = True

    monkeypatch.setattr(Store, "node", Office())


def test_what_goes_in_comes_out_and_lies_there_once(store, monkeypatch):
    as_office(store, monkeypatch)
    file = blobs.add(store, "合同.txt", TEXT)
    again = blobs.add(store, "副本.txt", TEXT)
    assert (file.hash, file.size, again.hash) == (again.hash, len(TEXT), file.hash)
    assert content(store, file.hash) == TEXT
    assert [path.name for path in (store.folder / "blobs").iterdir()] == [file.hash]
    on_disk = (store.folder / "blobs" / file.hash).read_bytes()
    assert (TEXT[:300] in on_disk) == (store.key is None)


def test_a_changed_byte_is_found(store, monkeypatch):
    as_office(store, monkeypatch)
    file = blobs.add(store, "合同.txt", TEXT)
    assert list(blobs.problems(store)) == []
    path = store.folder / "blobs" / file.hash
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert list(blobs.problems(store)) == [file.hash]
    if store.key is not None:
        with pytest.raises(AppError) as refused:
            content(store, file.hash)
        assert refused.value.code == "file_damaged"
    path.unlink()
    assert list(blobs.problems(store)) == [file.hash]


@pytest.mark.parametrize(("data", "code"), [(b"", "file_empty"), (b"x" * (blobs.MAX_SIZE + 1), "file_too_large")])
def test_empty_and_huge_files_are_refused(hq, data, code):
    with pytest.raises(AppError) as refused:
        blobs.add(hq.store, "x.bin", data)
    assert refused.value.code == code
    assert list((hq.folder / "blobs").iterdir()) == []


def test_no_more_is_taken_than_the_folder_may_hold(hq, monkeypatch):
    monkeypatch.setattr(blobs, "QUOTA", 10)
    blobs.add(hq.store, "a.txt", b"12345678")
    with pytest.raises(AppError) as refused:
        blobs.add(hq.store, "b.txt", b"abc")
    assert refused.value.code == "quota_reached"


def test_a_content_arrives_piece_by_piece_in_order_only(store, tmp_path):
    data = os.urandom(blobs.PIECE * 2 + 70_000)
    digest, first, second, last = named(store, data), data[: blobs.PIECE], data[blobs.PIECE : 2 * blobs.PIECE], data[2 * blobs.PIECE :]
    assert blobs.missing(store, 9) == [blobs.Missing(digest, len(data), 0)]
    assert not blobs.take_piece(store, digest, blobs.PIECE, second)  # not its turn
    assert blobs.take_piece(store, digest, 0, first)
    assert not blobs.take_piece(store, digest, 0, first)
    assert not blobs.take_piece(store, digest, blobs.PIECE, second[:-1])  # no whole piece
    assert not blobs.take_piece(store, digest, blobs.PIECE, second + last)  # more than a piece
    assert blobs.missing(store, 9) == [blobs.Missing(digest, len(data), blobs.PIECE)]
    tear(store, digest)  # the machine died while writing
    assert blobs.take_piece(store, digest, blobs.PIECE, second)
    if store.key is not None:
        assert second[:64] not in (store.folder / "blobs" / "arriving" / digest.hex()).read_bytes()
    assert blobs.take_piece(store, digest, 2 * blobs.PIECE, last)
    assert blobs.missing(store, 9) == []
    assert content(store, digest.hex()) == data
    assert list((store.folder / "blobs" / "arriving").iterdir()) == []


def test_a_content_that_is_not_what_was_named_is_thrown_away_and_asked_for_again(store):
    data = os.urandom(1000)
    digest = named(store, data)
    assert blobs.take_piece(store, digest, 0, bytes(1000))
    assert blobs.missing(store, 9) == [blobs.Missing(digest, 1000, 0)]
    assert blobs.take_piece(store, digest, 0, data)
    assert content(store, digest.hex()) == data


def test_nobody_sends_what_was_not_asked_for(store):
    assert not blobs.take_piece(store, bytes(32), 0, b"hello")
    assert not (store.folder / "blobs" / "arriving").exists()


def test_what_no_record_names_goes_after_a_week(store, monkeypatch):
    as_office(store, monkeypatch)
    store.clock = clock = HandClock()
    file = blobs.add(store, "vergessen.txt", b"never saved")
    clock.forward(days=6)
    assert blobs.sweep(store) == 0
    assert content(store, file.hash) == b"never saved"
    clock.forward(days=2)
    assert blobs.sweep(store) == 1
    with pytest.raises(AppError) as refused:
        content(store, file.hash)
    assert refused.value.code == "file_not_here"
    assert not (store.folder / "blobs" / file.hash).exists()
    assert blobs.sweep(store) == 0


def test_the_doctor_names_a_damaged_file(hq):
    file = blobs.add(hq.store, "合同.txt", TEXT)
    (hq.folder / "blobs" / file.hash).write_bytes(b"anything")
    found = check.check(hq.store)
    assert [problem["code"] for problem in found["problems"]] == ["file_damaged"]
    assert file.hash[:12] in found["problems"][0]["message"]


def named(store: Store, data: bytes) -> bytes:
    """As if a record had named it that came with an exchange."""
    digest = hashlib.sha256(data).digest()
    with store.housekeeping() as connection:
        connection.execute("INSERT INTO blob(hash, size, state, named, at) VALUES (?, ?, 'missing', 1, 0)", (digest, len(data)))
    return digest


def tear(store: Store, digest: bytes) -> None:
    with (store.folder / "blobs" / "arriving" / digest.hex()).open("ab") as file:
        file.write(b"half a piece")
