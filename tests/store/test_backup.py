"""A backup is one file, read back before it counts; a restore is whole or not there."""

from __future__ import annotations

import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest

from localcrm.app import Application, create_folder, open_folder
from localcrm.domain.policy import SYSTEM
from localcrm.domain.verbs import run
from localcrm.kernel.errors import AppError, InvalidInput, NotFound, StoreError
from localcrm.kernel.schema import Entity, F, Kind, Name, scratch_registry
from localcrm.store.backup import backup, restore, settle_copy

PASSWORD = "Correct-Horse-7"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Application]:
    application = create_folder(tmp_path / "hq", role="office", code="HQ", name="总部", password=PASSWORD).application
    (application.store.folder / "blobs" / ("a" * 64)).write_bytes(b"a picture")
    yield application
    application.close()


def add(application: Application, name: str) -> str:
    return str(run(application.store, SYSTEM, "records.create_record", {"entity": "customer", "values": {"name": name}})["number"])


def names(application: Application) -> list[str]:
    with application.store.read() as connection:
        return [row[0] for row in connection.all("SELECT name FROM customer ORDER BY rid")]


def test_everything_comes_back(office, tmp_path) -> None:
    add(office, "甲")
    made = backup(office.store, tmp_path / "b")
    assert made == {"file": str(tmp_path / "b"), "bytes": (tmp_path / "b").stat().st_size, "verified": True}
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    restored = restore(tmp_path / "b", tmp_path / "deep" / "new")
    assert restored["files"] == 3
    copy = open_folder(tmp_path / "deep" / "new")
    assert names(copy) == ["甲"]
    assert copy.keys == office.keys
    assert (copy.store.folder / "blobs" / ("a" * 64)).read_bytes() == b"a picture"
    assert oct((tmp_path / "deep" / "new").stat().st_mode & 0o777) == "0o700"
    copy.close()


def test_a_restored_folder_is_a_node_of_its_own_epoch_once(office, tmp_path) -> None:
    backup(office.store, tmp_path / "b")
    restore(tmp_path / "b", tmp_path / "new")
    copy = open_folder(tmp_path / "new")
    before, after = office.store.node, copy.store.node
    assert (after.company_id, after.node_no, after.epoch_index) == (before.company_id, before.node_no, before.epoch_index + 1)
    assert after.epoch != before.epoch
    assert add(copy, "乙") == f"C-{after.number_code}-000001"
    assert after.number_code.startswith("HQB")
    assert settle_copy(copy.store) is False
    copy.close()
    again = open_folder(tmp_path / "new")
    assert again.store.node == after
    again.close()
    assert office.store.node == before
    assert settle_copy(office.store) is False


def test_two_restores_of_one_backup_are_two_nodes(office, tmp_path) -> None:
    backup(office.store, tmp_path / "b")
    epochs = set()
    for name in ("one", "two"):
        restore(tmp_path / "b", tmp_path / name)
        copy = open_folder(tmp_path / name)
        epochs.add(copy.store.node.epoch)
        copy.close()
    assert len(epochs) == 2


def test_a_folder_with_a_passphrase_keeps_it(tmp_path) -> None:
    made = create_folder(tmp_path / "hq", role="office", code="HQ", name="总部", password=PASSWORD, passphrase="open sesame")
    add(made.application, "杭州西湖茶叶有限公司")
    backup(made.application.store, tmp_path / "b")
    made.application.close()
    assert "杭州西湖茶叶有限公司".encode() not in (tmp_path / "b").read_bytes()
    restore(tmp_path / "b", tmp_path / "new")
    with pytest.raises(StoreError) as refused:
        open_folder(tmp_path / "new")
    assert refused.value.code == "passphrase_needed"
    copy = open_folder(tmp_path / "new", recovery_code=made.recovery_code)
    assert names(copy) == ["杭州西湖茶叶有限公司"]
    assert copy.store.node.epoch_index == 1
    copy.close()


def test_a_backup_while_others_write_is_one_moment(office, tmp_path) -> None:
    def write() -> None:
        for number in range(40):
            add(office, f"客户{number}")

    writing = threading.Thread(target=write)
    writing.start()
    backup(office.store, tmp_path / "b")
    writing.join()
    restore(tmp_path / "b", tmp_path / "new")
    copy = open_folder(tmp_path / "new")
    found = names(copy)
    assert found == [f"客户{number}" for number in range(len(found))]
    copy.close()


def test_an_older_backup_stays_when_a_new_one_cannot_be_made(office, tmp_path) -> None:
    backup(office.store, tmp_path / "b")
    before = (tmp_path / "b").read_bytes()
    blob = office.store.folder / "blobs" / ("b" * 64)
    blob.symlink_to("/proc/self/mem")  # a file that reports its size and then cannot be read
    with pytest.raises(StoreError) as refused:
        backup(office.store, tmp_path / "b")
    assert refused.value.code == "cannot_write_file"
    assert (tmp_path / "b").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "hq"]


def test_where_a_backup_cannot_go(office, tmp_path) -> None:
    with pytest.raises(NotFound):
        backup(office.store, tmp_path / "no" / "b")
    for target in (office.store.path, office.store.folder / "keys" / "node.bin", tmp_path):
        with pytest.raises(InvalidInput) as refused:
            backup(office.store, target)
        assert refused.value.code == "bad_target"


# bad files -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("good")
    application = create_folder(folder / "hq", role="office", code="HQ", name="总部", password=PASSWORD).application
    backup(application.store, folder / "b")
    application.close()
    return (folder / "b").read_bytes()


def refuse(tmp_path: Path, data: bytes) -> str:
    """The code a restore is refused with; it must leave nothing behind."""
    (tmp_path / "b").write_bytes(data)
    with pytest.raises(AppError) as refused:
        restore(tmp_path / "b", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    return refused.value.code


def test_truncated_at_any_place(good, tmp_path) -> None:
    for size in (0, 1, 100, len(good) // 2, len(good) - 30, len(good) - 1):
        assert refuse(tmp_path, good[:size]) == "bad_backup"


def test_one_altered_byte(good, tmp_path) -> None:
    inside = [
        good.index(b"SQLite format 3") + 20_000,
        good.index(b"SQLite format 3") + 200,
        good.index(b"LCS1") + 10,
        good.index(b'"sha256"') + 15,
    ]
    for place in inside:
        assert refuse(tmp_path, good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]) == "bad_backup"


def rebuilt(good: bytes, tmp_path: Path, change) -> bytes:
    """The same archive with its members changed: ``change(members)`` gets name → bytes."""
    source, target = tmp_path / "source.zip", tmp_path / "target.zip"
    source.write_bytes(good)
    with zipfile.ZipFile(source) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    options = change(members) or {}
    with zipfile.ZipFile(target, "w", options.get("compression", zipfile.ZIP_STORED)) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        for name in options.get("twice", ()):
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(name, members[name])
    data = target.read_bytes()
    source.unlink()
    target.unlink()
    return data


def with_member(name: str, data: bytes, *, listed: bool = True):
    def change(members: dict[str, bytes]) -> None:
        from hashlib import sha256

        members[name] = data
        if listed:
            manifest = json.loads(members["manifest.json"])
            manifest["files"][name] = {"bytes": len(data), "sha256": sha256(data).hexdigest()}
            members["manifest.json"] = json.dumps(manifest).encode()

    return change


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "keys/../../evil", "keys/..", "blobs/short", "C:\\evil", "keys/a/b", "other.txt", "keys/."]
)
def test_members_that_would_land_elsewhere(good, tmp_path, name) -> None:
    assert refuse(tmp_path, rebuilt(good, tmp_path, with_member(name, b"x"))) == "bad_backup"


def test_archives_that_are_not_as_we_write_them(good, tmp_path) -> None:
    changes = [
        with_member("keys/extra", b"x", listed=False),
        lambda members: members.pop("manifest.json") and None,
        lambda members: members.pop("localcrm.db") and None,
        lambda members: members.update({"manifest.json": b"[" * 100_000}),
        lambda members: members.update({"manifest.json": b"{}"}),
        lambda members: {"compression": zipfile.ZIP_DEFLATED},
        lambda members: {"twice": ["keys/node.bin"]},
        with_member("localcrm.db", b"this is a letter, not a database"),
    ]
    for change in changes:
        assert refuse(tmp_path, rebuilt(good, tmp_path, change)) == "bad_backup"


def test_where_a_restore_cannot_go(good, tmp_path) -> None:
    (tmp_path / "b").write_bytes(good)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("dear")
    for target in (tmp_path / "full", tmp_path / "b"):
        with pytest.raises(StoreError) as refused:
            restore(tmp_path / "b", target)
        assert refused.value.code == "folder_not_empty"
    (tmp_path / "empty").mkdir()
    restore(tmp_path / "b", tmp_path / "empty")
    assert (tmp_path / "empty" / "localcrm.db").exists()
    shutil.rmtree(tmp_path / "empty")


def test_a_backup_of_an_older_program_is_restored(office, tmp_path) -> None:
    add(office, "甲")
    backup(office.store, tmp_path / "b")
    with scratch_registry():

        class Later(Entity, key="later", no=9000, label="Later", kind=Kind.MASTER, title_field="name"):
            """What the newer program has besides."""

            name: Annotated[Name, F(1, "Name")]

        restore(tmp_path / "b", tmp_path / "new")
        copy = open_folder(tmp_path / "new")
        assert names(copy) == ["甲"]
        copy.close()


@pytest.mark.parametrize("name", ["localcrm.db", "localcrm.db-wal", "localcrm.db-shm", "keys/node.bin", "keys/new", "blobs/new"])
def test_a_backup_never_takes_the_place_of_what_the_folder_lives_by(office, name) -> None:
    with pytest.raises(InvalidInput) as refused:
        backup(office.store, office.store.folder / name)
    assert refused.value.code == "bad_target"
