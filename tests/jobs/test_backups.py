"""Backups obey what is set for them: how many are kept, when they are made, where the copies go; and one is tried before it is needed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from localcrm.app import create_folder, open_folder
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.domain.roles import BasicRole
from localcrm.domain.verbs import run
from localcrm.jobs import backups, settings
from localcrm.jobs.backups import all_backups, copies_folder, try_restore
from localcrm.jobs.scheduler import JobRun, next_run, run_job, run_now, upcoming
from localcrm.jobs.settings import DEFAULTS, BackupSettings, backup_settings, change_backup_settings
from localcrm.jobs.work import JOBS
from localcrm.kernel.errors import Forbidden, InvalidInput, NotFound
from localcrm.store import changelog
from localcrm.store.backup import backup, restore
from localcrm.store.store import Store

NOON = datetime(2026, 11, 23, 12).astimezone()
DAY = timedelta(days=1)
BACKUP = JOBS[0]
STAFF = Actor("ab" * 16, "lin", "林晓", BasicRole.STAFF)


class FakeClock:
    def __init__(self) -> None:
        self.now = NOON

    def now_ms(self) -> int:
        return int(self.now.timestamp() * 1000)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    made = create_folder(tmp_path / "hq", role="office", code="HQ", name="总部", password="secret-123").application
    made.store.clock = clock
    yield made.store
    made.close()


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


def no_keys() -> Any:
    raise AssertionError("a backup needs no keys")


def choose(store: Store, *, at: str = "", keep: str = "7", second: object = "") -> BackupSettings:
    return change_backup_settings(store, SYSTEM, at=at, keep=keep, second=str(second))


def back_up(store: Store, clock: FakeClock, *, days: int = 1) -> JobRun:
    for _day in range(days):
        clock.now += DAY
        done = run_job(store, no_keys, BACKUP)
    return done


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def events(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        return connection.all("SELECT kind, detail FROM event_log WHERE kind IN ('setting', 'backup_tested') ORDER BY id")  # type: ignore[return-value]


# what is set ---------------------------------------------------------------------------------------------------------


def test_nothing_set_is_as_it_always_was(store):
    assert backup_settings(store) == DEFAULTS == BackupSettings(at=None, keep=7, second=None, apart=False)


def test_what_is_set_is_kept_and_every_difference_is_written_down(store, stick):
    choose(store, keep="14", second=stick)
    assert choose(store, at="9:05", keep="14", second=stick) == BackupSettings(time(9, 5), 14, stick)
    assert backup_settings(store) == BackupSettings(time(9, 5), 14, stick)
    choose(store, at="09:05", keep="14")
    assert events(store) == [
        ("setting", "backup.keep: 7 → 14"),
        ("setting", f"backup.second: — → {stick}"),
        ("setting", "backup.at: — → 09:05"),
        ("setting", f"backup.second: {stick} → —"),
    ]


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        ({"keep": "1"}, "bad_keep", "keep"),
        ({"keep": "366"}, "bad_keep", "keep"),
        ({"keep": "-3"}, "bad_keep", "keep"),
        ({"keep": "7.5"}, "bad_keep", "keep"),
        ({"keep": "many"}, "bad_keep", "keep"),
        ({"keep": ""}, "bad_keep", "keep"),
        ({"at": "24:00"}, "bad_time", "at"),
        ({"at": "12:60"}, "bad_time", "at"),
        ({"at": "noon"}, "bad_time", "at"),
        ({"second": "backups"}, "bad_second_place", "second"),
        ({"second": "/there/is/no/such/folder"}, "bad_second_place", "second"),
        ({"second": "/" + "x" * 300}, "bad_second_place", "second"),
        ({"second": "/tmp/\0"}, "bad_second_place", "second"),
        ({"second": "/proc/self"}, "bad_second_place", "second"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(store, bad, code, field):
    with pytest.raises(InvalidInput) as refused:
        choose(store, **bad)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert refused.value.message
    assert backup_settings(store) == DEFAULTS
    assert events(store) == []


def test_a_second_place_inside_the_data_folder_is_refused_by_whatever_way(store, tmp_path):
    (tmp_path / "link").symlink_to(store.folder)
    for place in (store.folder, store.folder / "backups", tmp_path / "link", store.folder / "keys" / ".." / "blobs"):
        with pytest.raises(InvalidInput) as refused:
            choose(store, second=place)
        assert refused.value.code == "bad_second_place"


def test_a_file_is_no_second_place(store, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput):
        choose(store, second=tmp_path / "file")


def test_the_rest_can_be_changed_while_the_stick_is_out(store, stick):
    choose(store, second=stick)
    stick.rmdir()
    assert choose(store, keep="3", second=stick).keep == 3


def test_only_who_has_the_right_changes_settings_tries_or_runs(store, stick):
    with pytest.raises(Forbidden):
        change_backup_settings(store, STAFF, at="", keep="7", second="")
    with pytest.raises(Forbidden):
        try_restore(store, STAFF, stick)
    with pytest.raises(Forbidden):
        run_now(store, no_keys, STAFF, BACKUP)
    assert names(backups.home(store)) == []


# keeping ---------------------------------------------------------------------------------------------------------------


def test_as_many_as_set_are_kept(store, clock):
    choose(store, keep="3")
    back_up(store, clock, days=5)
    assert [(file.made, file.sound, file.is_copy) for file in all_backups(store)] == [
        (NOON.astimezone(UTC) + days * DAY, True, False) for days in (5, 4, 3)
    ]
    choose(store, keep="2")
    back_up(store, clock)
    assert len(backups.backups(store)) == 2


def test_only_files_that_the_job_named_are_cleared_away(store, clock):
    mine = {"before-the-fair.localcrm-backup", "HQ-20261399-999999.localcrm-backup", "note.txt"}
    for name in mine:
        (store.folder / "backups" / name).write_bytes(b"precious")
    choose(store, keep="2")
    back_up(store, clock, days=4)
    assert len(backups.backups(store)) == 2
    assert mine < set(names(store.folder / "backups"))


def test_a_damaged_backup_is_said_to_be_damaged(store, clock):
    back_up(store, clock, days=2)
    newest = backups.backups(store)[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    assert [file.sound for file in all_backups(store)] == [False, True]


# the second place --------------------------------------------------------------------------------------------------------


def test_every_backup_goes_to_the_second_place_too_and_as_many_are_kept_there(store, clock, stick, tmp_path):
    back_up(store, clock)
    choose(store, keep="2", second=stick)
    assert back_up(store, clock).error is None
    copies = copies_folder(store, stick)
    assert names(copies) == names(backups.home(store))
    assert len(names(copies)) == 2
    back_up(store, clock, days=3)
    assert names(copies) == names(backups.home(store))
    assert [(file.sound, file.is_copy) for file in all_backups(store)] == [(True, False), (True, True)] * 2
    restore(copies / names(copies)[-1], tmp_path / "restored")


def test_without_the_stick_the_backup_is_good_says_so_and_the_copies_follow(store, clock, stick):
    choose(store, second=stick)
    drawer = stick.rename(stick.with_name("drawer"))
    done = back_up(store, clock, days=2)
    assert done.ended_well
    assert done.error == f"备份已做好，完好可用，但第二位置的副本不全。找不到“{stick}”。请接上硬盘或 U 盘，下次备份时补上副本。"
    assert [file.sound for file in all_backups(store)] == [True, True]
    assert upcoming(store, BACKUP) == clock.now + DAY  # not tried again every quarter of an hour

    drawer.rename(stick)
    assert back_up(store, clock).error is None
    assert len(names(copies_folder(store, stick))) == 3


def test_the_empty_folder_a_pulled_stick_leaves_behind_is_not_filled(store, clock, stick, monkeypatch):
    monkeypatch.setattr(settings, "same_disk", lambda _one, _other: False)
    assert choose(store, second=stick).apart
    monkeypatch.setattr(backups, "same_disk", lambda _one, _other: True)
    assert back_up(store, clock).error
    assert names(stick) == []


def test_a_copy_that_cannot_be_read_back_is_thrown_away(store, clock, stick, monkeypatch):
    choose(store, second=stick)
    true_copy = shutil.copyfileobj

    def flips_a_bit(source, target, length):
        true_copy(source, target, length)
        target.seek(1000)
        target.write(b"\xff\x00")

    monkeypatch.setattr("localcrm.store.backup.shutil.copyfileobj", flips_a_bit)
    done = back_up(store, clock)
    assert done.ended_well
    assert done.error
    assert names(copies_folder(store, stick)) == []


def test_a_full_stick_leaves_the_backup_good(store, clock, stick, monkeypatch):
    choose(store, second=stick)

    def full(_source, _target, _length):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("localcrm.store.backup.shutil.copyfileobj", full)
    done = back_up(store, clock)
    assert done.ended_well
    assert "No space left on device" in (done.error or "")
    assert names(copies_folder(store, stick)) == []


def test_an_old_backup_that_cannot_be_removed_is_said_and_the_new_one_counts(store, clock, monkeypatch):
    choose(store, keep="2")
    back_up(store, clock, days=2)
    oldest = backups.backups(store)[-1]

    true_unlink = Path.unlink

    def refuse(path, **options):
        if path == oldest:
            raise OSError(13, "Permission denied")
        true_unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    done = back_up(store, clock)
    assert done.ended_well
    assert done.error == f"旧备份“{oldest.name}”删不掉（Permission denied）。请检查磁盘能否写入。"
    assert len(backups.backups(store)) == 3


def test_a_restored_folder_clears_nothing_of_the_original_away(store, clock, stick, tmp_path):
    choose(store, keep="2", second=stick)
    back_up(store, clock, days=2)
    before = names(copies_folder(store, stick))
    restore(backups.backups(store)[0], tmp_path / "again")
    again = open_folder(tmp_path / "again").store
    again.clock = clock
    back_up(again, clock, days=3)
    assert names(copies_folder(store, stick)) == before
    assert len(names(copies_folder(again, stick))) == 2
    again.close()


# when --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "due"),
    [
        (NOON - timedelta(hours=1), NOON + timedelta(hours=10, minutes=30)),  # done this morning: tonight
        (NOON - DAY, NOON - timedelta(hours=13, minutes=30)),  # missed last night: at once
        (NOON + 400 * DAY, NOON + timedelta(hours=10, minutes=30)),  # the clock was set back
    ],
)
def test_a_time_of_day_is_the_next_one_after_the_last_success(last, due):
    assert next_run(BACKUP, JobRun(last_ok=last), now=NOON, at=time(22, 30)) == max(NOON, due)


def test_a_failure_is_tried_again_after_a_quarter_of_an_hour_whatever_the_time_of_day():
    failed = JobRun(last_start=NOON, last_ok=NOON - DAY, error="…")
    assert next_run(BACKUP, failed, now=NOON, at=time(11)) == NOON + timedelta(minutes=15)


def test_the_next_run_follows_the_settings_of_the_moment(store, clock):
    run_job(store, no_keys, BACKUP)
    assert upcoming(store, BACKUP) == NOON + DAY
    choose(store, at="22:30")
    assert upcoming(store, BACKUP) == NOON + timedelta(hours=10, minutes=30)


# trying ------------------------------------------------------------------------------------------------------------------


def test_a_tried_restore_says_what_is_there_and_leaves_nothing_behind(store, clock):
    for name in ("甲", "乙"):
        run(store, SYSTEM, "records.create_record", {"entity": "customer", "values": {"name": name}})
    back_up(store, clock)
    before, node = names(backups.home(store)), store.node
    found = try_restore(store, SYSTEM, backups.backups(store)[0])
    assert (found.rows["customer"], found.rows["user"], found.problems) == (2, 1, [])
    assert names(backups.home(store)) == before
    assert store.node == node
    assert events(store) == [("backup_tested", f"{before[0]}: 0 problems")]


def test_a_tried_restore_of_a_protected_folder_needs_no_passphrase(tmp_path):
    made = create_folder(tmp_path / "p", role="office", code="HQ", name="总部", password="secret-123", passphrase="open sesame").application
    run_job(made.store, no_keys, BACKUP)
    assert try_restore(made.store, SYSTEM, backups.backups(made.store)[0]).problems == []
    made.close()


def test_a_tried_restore_names_what_is_wrong_in_the_data(store, clock):
    run(store, SYSTEM, "records.create_record", {"entity": "customer", "values": {"name": "甲"}})
    with store.housekeeping() as connection:
        connection.execute("DELETE FROM sync_log")
    back_up(store, clock)
    assert try_restore(store, SYSTEM, backups.backups(store)[0]).problems


def test_a_damaged_backup_is_refused_and_leaves_nothing_behind(store, clock):
    back_up(store, clock)
    newest = backups.backups(store)[0]
    data = bytearray(newest.read_bytes())
    data[5000] ^= 255
    newest.write_bytes(data)
    with pytest.raises(InvalidInput) as refused:
        try_restore(store, SYSTEM, newest)
    assert refused.value.code == "bad_backup"
    assert names(backups.home(store)) == [newest.name]
    assert events(store) == [("backup_tested", f"{newest.name}: bad_backup")]


def test_only_backups_of_the_list_are_tried(store, tmp_path):
    backup(store, tmp_path / "elsewhere")
    with pytest.raises(NotFound):
        try_restore(store, SYSTEM, tmp_path / "elsewhere")


def test_settings_are_no_change_of_the_company_s_data(store):
    with store.read() as connection:
        before = changelog.head(connection)
    choose(store, keep="3")
    with store.read() as connection:
        assert changelog.head(connection) == before
