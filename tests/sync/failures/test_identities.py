"""Folders restored, copied, mixed up: a node is known for what it is, and nothing it was told is saved goes under."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from localcrm.app import create_folder, open_folder
from localcrm.kernel.errors import AppError
from localcrm.store.backup import backup, restore, settle_copy
from localcrm.sync import node_sync
from tests.factories import Company, HandClock, Installation


def copied(node: Installation, folder: Path) -> Installation:
    """The folder copied by hand, as it is now."""
    node.store.close()
    shutil.copytree(node.folder, folder)
    node.restart()
    return Installation(folder, node.code, node.keys, node.actor, node.clock)


def restored(node: Installation, archive: Path, folder: Path) -> Installation:
    """The node as its backup was, in a new folder and under a new epoch."""
    restore(archive, folder)
    again = Installation(folder, node.code, node.keys, node.actor, node.clock)
    assert settle_copy(again.store)
    return again


def state(node: Installation) -> tuple[object, ...]:
    """Data, log and cursors."""
    return (
        node.digest,
        node.rows("SELECT * FROM sync_log"),
        node.rows("SELECT origin, have_oseq, acked_oseq FROM sync_origin"),
        node.rows("SELECT node_no, recv_hseq, hub_epoch FROM sync_peer"),
    )


def refusal(company: Company, code: str, *, way: str) -> str:
    """The code with which an exchange is refused."""
    with pytest.raises(AppError) as refused:
        (company.up if way == "up" else company.down)(code)
    return refused.value.code


def late_file(company: Company, folder: Path) -> tuple[Installation, Path]:
    """A branch restored twice from one backup, whose head office knows the third epoch; and a file of the second that nobody has read."""
    backup(company.branches["BR01"].store, folder / "backup.zip")
    for number in range(2):
        node = company.branches["BR01"]
        node.new("customer", name=f"客户{number}")
        node_sync.pack(node.store, node.keys, folder / "late")
        node.store.close()
        company.branches["BR01"] = restored(node, folder / "backup.zip", folder / f"again{number}")
    company.exchange("BR01")
    return company.branches["BR01"], folder / "late"


def test_failure_05_a_late_file_of_the_epoch_between_brings_its_work_to_the_restored_branch(
    company: Company, hq: Installation, tmp_path: Path
) -> None:
    """It does not know of the newest epoch, nor that of it: head office answers whichever has spoken last, and loses nothing of either."""
    again, late = late_file(company, tmp_path)
    assert node_sync.unpack(hq.store, hq.keys, late)["applied"] == 1
    company.exchange("BR01")
    assert again.rows("SELECT name FROM customer") == [("客户1",)]
    assert again.digest == hq.digest
    assert not again.value("SELECT count(*) FROM event_log WHERE kind LIKE '%mended'")
    assert node_sync.unpack(hq.store, hq.keys, late)["applied"] == 0
    again.new("customer", name="后来")
    company.exchange("BR01")
    assert again.digest == hq.digest


def test_failure_05_a_file_made_for_another_epoch_of_the_branch_is_refused(company: Company, hq: Installation, tmp_path: Path) -> None:
    """What that epoch made itself is not in it."""
    again, late = late_file(company, tmp_path)
    node_sync.unpack(hq.store, hq.keys, late)
    before = state(again)
    assert refusal(company, "BR01", way="down") == "before_restore"
    assert state(again) == before
    company.exchange("BR01")
    assert again.rows("SELECT name FROM customer") == [("客户1",)]


def test_failure_31_two_epochs_that_know_nothing_of_each_other_never_give_one_number(
    company: Company, hq: Installation, tmp_path: Path
) -> None:
    """Restored twice from one backup on one day: a file of the epoch between turns up when the newest one has given out its own."""
    product, house = hq.new("product", code="P", name="布", price="9"), hq.new("warehouse", code="W", name="仓")
    company.exchange("BR01")
    backup(company.branches["BR01"].store, tmp_path / "backup.zip")
    for number in range(3):
        company.branches["BR01"].store.close()
        node = company.branches["BR01"] = restored(company.branches["BR01"], tmp_path / "backup.zip", tmp_path / f"again{number}")
        node.new("customer", name=f"客户{number}")
        order = node.order(node.new("customer", name="甲公司"), product)
        node.set("sales_order", order, warehouse_id=house)
        node.run("sales.post_order", order_id=order)
        company.up("BR01")
    company.exchange("BR01")
    for kind, count in (("customer", 6), ("sales_order", 3)):
        numbers = [number for (number,) in hq.rows(f"SELECT number FROM {kind}")]
        assert len(set(numbers)) == len(numbers) == count
        assert {number.split("-")[1][:5] for number in numbers} == {"BR01B"}
    assert node.digest == hq.digest


@pytest.mark.parametrize("lost", range(1, 4))
def test_failure_06_a_restored_head_office_gets_back_what_its_backup_lacks(
    company: Company, hq: Installation, one: Installation, tmp_path: Path, lost: int
) -> None:
    """Whatever part of the branch's work the backup lacks: nothing is exchanged over the hole before somebody says so, then all comes back."""
    for number in range(4):
        if number == 4 - lost:
            backup(hq.store, tmp_path / "backup.zip")
        one.new("customer", name=f"客户{number}")
        company.exchange("BR01")
    hq.store.close()
    company.hq = restored(hq, tmp_path / "backup.zip", tmp_path / "again")
    one.new("customer", name="后来")
    before, office = state(one), company.hq.digest
    assert refusal(company, "BR01", way="up") == "office_restored"
    assert refusal(company, "BR01", way="down") == "office_restored"
    assert state(one) == before
    assert company.hq.digest == office
    node_sync.take_back(company.hq.store, company.hq.actor)
    company.down("BR01")
    company.exchange("BR01", "BR01")
    assert company.hq.digest == one.digest
    assert company.hq.value("SELECT count(*) FROM customer") == 5


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("theirs", [1, 3])
def test_failure_07_of_two_copies_that_both_went_on_the_second_is_recognised(
    company: Company, hq: Installation, one: Installation, clocks: dict[str, HandClock], tmp_path: Path, way: str, theirs: int
) -> None:
    """Both gave out the same numbers for different work: head office has those of the first and takes no others for them."""
    copy = copied(one, tmp_path / "copy")
    for number in range(2):
        one.new("customer", name=f"正本{number}")
    company.exchange("BR01")
    clocks["BR01"].forward(minutes=1)
    for number in range(theirs):
        copy.new("customer", name=f"副本{number}")
    company.branches["BR01"] = copy
    before, office = state(copy), hq.digest
    assert refusal(company, "BR01", way=way) == "copied_folder"
    assert state(copy) == before
    assert hq.digest == office
    company.branches["BR01"] = one
    company.exchange("BR01")
    assert hq.digest == one.digest


def test_failure_07_two_copies_whose_clock_is_slow_are_told_apart(
    company: Company, hq: Installation, one: Installation, clocks: dict[str, HandClock], tmp_path: Path
) -> None:
    """Both clocks only tick on from the last stamp that was there when the folder was copied, and both do one thing."""
    clocks["BR01"].forward(days=-1)
    copy = copied(one, tmp_path / "copy")
    one.new("customer", name="正本")
    company.exchange("BR01")
    copy.new("customer", name="副本")
    company.branches["BR01"] = copy
    assert refusal(company, "BR01", way="up") == "copied_folder"
    assert hq.value("SELECT count(*) FROM customer") == 1


def test_failure_08_a_node_keeps_its_identity_over_fifty_starts(tmp_path: Path) -> None:
    made = create_folder(tmp_path / "hq", role="office", code="HQ", name="总部", password="Correct-Horse-7").application
    first = (made.store.node, made.keys)
    made.close()
    for _start in range(50):
        again = open_folder(tmp_path / "hq")
        assert (again.store.node, again.keys) == first
        again.close()


def test_failure_40_an_almost_empty_head_office_wipes_nothing(
    company: Company, hq: Installation, one: Installation, tmp_path: Path
) -> None:
    """Head office's disk was lost and somebody goes on with the backup of the first day."""
    backup(hq.store, tmp_path / "first-day.zip")
    customer = hq.new("customer", name="甲公司")
    company.exchange()
    hq.store.close()
    company.hq = restored(hq, tmp_path / "first-day.zip", tmp_path / "again")
    before = state(one)
    assert refusal(company, "BR01", way="down") == "office_restored"
    assert refusal(company, "BR01", way="up") == "office_restored"
    assert state(one) == before
    assert one.get("customer", customer)["name"] == "甲公司"


@pytest.fixture
def crowd(company: Company, one: Installation) -> list[str]:
    """Sixty customers that everybody has, and that a branch then deletes by mistake."""
    made = [one.new("customer", name=f"客户{n}") for n in range(60)]
    company.exchange()
    for customer in made:
        one.delete("customer", customer)
    return made


def test_failure_40_a_great_many_deletions_wait_until_head_office_allows_them(
    company: Company, hq: Installation, one: Installation, crowd: list[str]
) -> None:
    one.set("customer", one.new("customer", name="新客户"), phone="1")
    for _again in range(2):
        assert refusal(company, "BR01", way="up") == "many_deletions"
    assert hq.value("SELECT count(*) FROM customer WHERE deleted = 0") == 60
    (branch,) = [row for row in node_sync.status(hq.store)["branches"] if row["code"] == "BR01"]
    assert branch["held_back"] == {"entity": "customer", "count": 60}
    assert hq.value("SELECT count(*) FROM event_log WHERE kind = 'brake'") == 1

    assert node_sync.allow_deletions(hq.store, hq.actor, "BR01") == {"code": "BR01", "count": 60}
    company.exchange()
    assert hq.value("SELECT count(*) FROM customer WHERE deleted = 0") == 1
    assert len(company.digests) == 1
    (branch,) = [row for row in node_sync.status(hq.store)["branches"] if row["code"] == "BR01"]
    assert branch["held_back"] is None


def test_failure_40_a_branch_that_takes_its_deletions_back_needs_nobodys_leave(
    company: Company, hq: Installation, one: Installation, crowd: list[str]
) -> None:
    assert refusal(company, "BR01", way="up") == "many_deletions"
    for customer in crowd:
        one.undelete("customer", customer)
    company.exchange()
    assert all(row["held_back"] is None for row in node_sync.status(hq.store)["branches"])
    assert hq.value("SELECT count(*) FROM customer WHERE deleted = 0") == 60
    assert len(company.digests) == 1


def test_failure_43_journals_left_behind_by_another_file_are_not_mixed_into_a_restored_one(
    company: Company, one: Installation, customer: str, tmp_path: Path
) -> None:
    """A restore goes into an empty folder only, and what it puts there is one file without journals."""
    backup(one.store, tmp_path / "backup.zip")
    one.new("customer", name="后来")
    for suffix in ("-wal", "-shm"):
        (tmp_path / "full").mkdir(exist_ok=True)
        shutil.copy(f"{one.store.path}{suffix}", tmp_path / "full" / f"localcrm.db{suffix}")
    with pytest.raises(AppError) as refused:
        restore(tmp_path / "backup.zip", tmp_path / "full")
    assert refused.value.code == "folder_not_empty"
    restore(tmp_path / "backup.zip", tmp_path / "empty")
    assert {entry.name for entry in (tmp_path / "empty").iterdir() if entry.is_file()} == {"localcrm.db"}
    again = Installation(tmp_path / "empty", one.code, one.keys, one.actor, one.clock)
    assert again.value("PRAGMA integrity_check") == "ok"
    assert again.get("customer", customer)["name"] == "甲公司"
    again.store.close()
