"""A branch moves to a new computer with everything it is and has; the old folder goes no further, and nothing can be done twice."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from localcrm import app
from localcrm.kernel.errors import AppError, InvalidInput, StoreError
from localcrm.store import check
from localcrm.store.backup import backup, restore, settle_copy
from localcrm.sync import keyring, moving, node_sync, snapshot
from tests.factories import Company, Installation

WORDS = "Karton-im-neuen-Haus-7"


@pytest.fixture
def file(company: Company, one: Installation) -> Path:
    """The branch, with work that nobody has seen, moved into this file."""
    path = company.folder / "moved"
    one.new("customer", name="未发送的客户")
    moving.move(one.store, one.actor, path, WORDS)
    return path


def arrived(company: Company, file: Path, name: str = "new") -> Installation:
    """The branch on its new computer."""
    old = company.branches["BR01"]
    moving.arrive(file, company.folder / name, WORDS)
    new = Installation(company.folder / name, old.code, old.keys, old.actor, old.clock)
    assert settle_copy(new.store)
    return new


def refused(node: Installation) -> set[str]:
    """With what codes a folder refuses to save, to send and to receive."""
    found = set()
    for work in (
        lambda: node.new("customer", name="x"),
        lambda: node_sync.pack(node.store, node.keys, node.folder / "file"),
        lambda: node_sync.run(node.store, node.keys, url="http://nobody"),
        lambda: node_sync.unpack(node.store, node.keys, node.folder / "keys"),
    ):
        with pytest.raises(AppError) as error:
            work()
        found.add(error.value.code)
    return found


def test_the_branch_goes_on_as_the_same_node_with_all_its_work(company: Company, one: Installation, file: Path) -> None:
    number = one.store.node.number_code
    new = arrived(company, file)
    assert new.store.node == one.store.node
    assert new.store.node.number_code == number
    new.new("customer", name="搬家之后")
    company.branches["BR01"] = new
    company.exchange()
    assert {row[0] for row in company.hq.rows("SELECT name FROM customer")} >= {"未发送的客户", "搬家之后"}
    assert len(company.digests) == 1
    for node in company.nodes:
        assert check.check(node.store)["problems"] == []
    assert new.value("SELECT count(*) FROM event_log WHERE kind = 'moved_away'") == 1
    one.store.close()


def test_the_old_folder_refuses_to_go_on(one: Installation, file: Path) -> None:
    before = one.digest
    assert refused(one) - {"no_exchange_files"} == {"moved_away"}
    assert one.digest == before
    one.restart()
    assert refused(one) - {"no_exchange_files"} == {"moved_away"}
    with pytest.raises(StoreError) as error:
        app.open_folder(one.folder)
    assert error.value.code == "moved_away"
    with pytest.raises(StoreError):
        moving.move(one.store, one.actor, one.folder / "again", WORDS)


def test_an_exchange_that_runs_on_while_the_folder_is_closed_does_not_open_it_again(company: Company, one: Installation) -> None:
    company.hq.new("customer", name="总部的客户")
    told = snapshot.write(company.hq.store, company.folder / "snapshot")
    moving.move(one.store, one.actor, company.folder / "moved", WORDS)
    before = one.digest

    def merged() -> None:
        with one.store.merging():
            pass

    for work in (lambda: snapshot.install(one.store, company.folder / "snapshot", told), merged):
        with pytest.raises(StoreError) as error:
            work()
        assert error.value.code == "moved_away"
    assert refused(one) - {"no_exchange_files"} == {"moved_away"}
    assert one.digest == before
    # Nor does anything else that gives the folder its origin back.
    with one.store.housekeeping() as connection:
        connection.execute("UPDATE sync_ctx SET origin = (SELECT origin FROM sync_origin WHERE node_no = 2)")
    assert refused(one) - {"no_exchange_files"} == {"moved_away"}


def test_a_move_is_taken_back_where_the_file_was_never_used(company: Company, one: Installation, file: Path) -> None:
    assert app.take_back_move(one.folder) == {"code": "BR01", "moved": True}
    assert app.take_back_move(one.folder) == {"code": "BR01", "moved": False}
    one.restart()
    one.new("customer", name="还在这里")
    company.exchange()
    assert len(company.digests) == 1
    assert check.check(one.store)["problems"] == []


@pytest.mark.parametrize("last", ["blobs", "keys"])
def test_a_power_cut_while_the_branch_arrives_does_not_block_the_next_try(
    company: Company, one: Installation, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    keyring.write_pairs(one.folder, None, [one.keys])
    moving.move(one.store, one.actor, company.folder / "file", WORDS)
    into, real = company.folder / "new", Path.replace
    (into / "backups").mkdir(parents=True)
    (into / "backups" / "kept").write_text("x")

    def cut(path: Path, target: Path) -> Path:
        done = real(path, target)
        if path.name == last:
            raise SystemExit
        return done

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", cut)
        patched.setattr(app, "_nothing_left_on_failure", lambda _folder: nullcontext())  # nobody tidies up
        patched.setattr(tempfile.TemporaryDirectory, "cleanup", lambda _self: None)
        with pytest.raises(SystemExit):
            app.arrive_in(into, company.folder / "file", WORDS)
    assert (into / last).exists()
    assert not (into / "localcrm.db").exists()
    app.arrive_in(into, company.folder / "file", WORDS).close()
    assert (into / "backups" / "kept").read_text() == "x"
    assert not list(into.glob(".localcrm-*"))  # an unpacked file holds keys


def test_used_on_two_computers_the_second_is_recognised(company: Company, file: Path) -> None:
    first, second = arrived(company, file, "a"), arrived(company, file, "b")
    first.new("customer", name="第一台")
    second.clock.forward(minutes=1)  # type: ignore[attr-defined]
    second.new("customer", name="第二台")
    company.branches["BR01"].store.close()
    company.branches["BR01"] = first
    company.exchange()
    company.branches["BR01"] = second
    with pytest.raises(AppError) as error:
        company.exchange("BR01")
    assert error.value.code == "copied_folder"
    assert company.hq.rows("SELECT 1 FROM customer WHERE name = '第二台'") == []
    first.store.close()


def test_a_backup_of_the_old_folder_is_a_backup_like_any_other(company: Company, one: Installation, file: Path) -> None:
    """It becomes a node of an epoch of its own, so it cannot be taken for the one that was moved."""
    backup(one.store, company.folder / "backup")
    restore(company.folder / "backup", company.folder / "restored")
    again = Installation(company.folder / "restored", one.code, one.keys, one.actor, one.clock)
    assert settle_copy(again.store)
    assert again.store.node.epoch != one.store.node.epoch
    again.new("customer", name="恢复的")
    again.store.close()


def test_a_file_that_cannot_be_written_closes_nothing(company: Company, one: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "_seal", lambda *_arguments: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError) as error:
        moving.move(one.store, one.actor, company.folder / "moved", WORDS)
    assert error.value.code == "cannot_write_file"
    assert not (company.folder / "moved").exists()
    assert not list(one.folder.glob(".move-*"))
    one.new("customer", name="照常")
    company.exchange()
    assert len(company.digests) == 1


def test_head_office_is_not_moved_like_this(company: Company) -> None:
    with pytest.raises(AppError) as error:
        moving.move(company.hq.store, company.hq.actor, company.folder / "moved", WORDS)
    assert error.value.code == "not_branch"
    company.hq.new("customer", name="照常")


def test_nothing_can_be_read_in_the_file_without_the_passphrase(company: Company, one: Installation, file: Path) -> None:
    content = file.read_bytes()
    assert b"SQLite format" not in content
    assert (one.folder / "keys" / "node.bin").exists() is False or (one.folder / "keys" / "node.bin").read_bytes() not in content
    with pytest.raises(StoreError) as error:
        moving.arrive(file, company.folder / "new", "falsch")
    assert error.value.code == "wrong_passphrase"
    assert not (company.folder / "new").exists()


def test_a_damaged_file_is_refused_and_leaves_nothing(company: Company, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = file.read_bytes()
    monkeypatch.setattr(moving, "open_with_passphrase", _once(moving.open_with_passphrase))  # stretching takes its time
    places = [0, 3, 5, 9, 40, 200, 400, len(whole) // 3, len(whole) // 2, len(whole) - 20, len(whole) - 1]
    damaged = [whole[:place] for place in places] + [
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in places if not 9 <= place < 400
    ]
    for number, data in enumerate([*damaged, whole + b"x", b""]):
        bad = company.folder / f"bad{number}"
        bad.write_bytes(data)
        with pytest.raises((InvalidInput, StoreError)) as error:
            moving.arrive(bad, company.folder / "new", WORDS)
        assert error.value.code == "bad_move_file", number
        assert not (company.folder / "new").exists()
    assert not list(company.folder.glob(".localcrm-*"))


def _once(real: object) -> object:
    """The key of the one true head; any other head has no key."""
    known: dict[bytes, bytes] = {}

    def opened(data: bytes, passphrase: str) -> bytes:
        if data not in known:
            known[data] = real(data, passphrase)  # type: ignore[operator]
        return known[data]

    return opened
