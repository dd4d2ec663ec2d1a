"""What the program does by itself: when it is due, what is made up, what is kept when it fails."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from localcrm.app import create_folder
from localcrm.jobs import backups, scheduler
from localcrm.jobs.scheduler import JobRun, last_run, next_run, run_job
from localcrm.jobs.work import JOBS, Job
from localcrm.kernel.errors import Refused
from localcrm.kernel.schema import entity
from localcrm.store import past
from localcrm.store.backup import restore
from localcrm.store.changelog import all_changes
from localcrm.store.store import Store
from tests.factories import enrol

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class FakeClock:
    def __init__(self) -> None:
        self.now = NOON

    def now_ms(self) -> int:
        return int(self.now.timestamp() * 1000)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Store:
    made = create_folder(tmp_path / "hq", role="office", code="HQ", name="总部", password="secret-123").application
    made.store.clock = clock
    return made.store


def no_keys() -> None:
    raise AssertionError("a backup needs no keys")


def job(run, *, every=DAY, wanted=lambda _store: True) -> Job:
    return Job("test", "Test", every, run, wanted)


BACKUP, EXCHANGE, FILES, COMPACT, HELD, _RECLAIM, LOOK, *_OTHERS = JOBS


def test_a_job_that_never_ran_is_due_at_once():
    assert next_run(BACKUP, JobRun(), now=NOON) == NOON


def test_a_job_is_due_one_interval_after_it_succeeded():
    assert next_run(BACKUP, JobRun(last_ok=NOON - timedelta(hours=3)), now=NOON) == NOON + timedelta(hours=21)


def test_runs_missed_while_the_machine_was_off_are_made_up_once_soon_after_the_start():
    ten_days_off = JobRun(last_ok=NOON - 10 * DAY)
    assert next_run(BACKUP, ten_days_off, now=NOON) == NOON
    made_up = JobRun(last_ok=NOON + timedelta(seconds=30))
    assert next_run(BACKUP, made_up, now=NOON + timedelta(seconds=30)) == NOON + timedelta(seconds=30) + DAY


def test_a_failed_run_does_not_count_as_done_and_waits_before_the_next_try():
    failed = JobRun(last_start=NOON, last_ok=NOON - DAY, error="…")
    assert next_run(BACKUP, failed, now=NOON) == NOON + scheduler.RETRY


def test_a_clock_that_was_set_back_does_not_put_a_run_off_for_longer_than_one_interval():
    assert next_run(BACKUP, JobRun(last_ok=NOON + 400 * DAY), now=NOON) == NOON + DAY


def test_a_run_writes_down_when_it_was_done(store, clock):
    assert last_run(store, "test") == JobRun()
    assert run_job(store, no_keys, job(lambda _store, _keys: None)) == JobRun(NOON, NOON, None)
    clock.now = NOON + DAY
    run_job(store, no_keys, job(lambda _store, _keys: None))
    assert last_run(store, "test").last_ok == NOON + DAY


def test_a_failure_keeps_the_last_success_and_its_sentence_until_the_next_success(store, clock):
    def fail(_store, _keys):
        raise Refused("test", "The disk is full.")

    run_job(store, no_keys, job(lambda _store, _keys: None))
    clock.now = NOON + DAY
    assert run_job(store, no_keys, job(fail)) == JobRun(NOON + DAY, NOON, "The disk is full.")
    assert run_job(store, no_keys, job(lambda _store, _keys: None)).error is None


def test_a_job_that_is_not_wanted_leaves_no_trace(store):
    assert run_job(store, no_keys, job(no_keys, wanted=lambda _store: False)) == JobRun()


def test_head_office_backs_up_and_exchanges_with_nobody(store):
    assert [job.name for job in JOBS if job.wanted(store)] == ["backup", "files", "compact", "digests"]


def test_what_is_older_than_a_month_leaves_the_change_log_by_itself(store, clock):
    for name in "甲乙":
        with store.unit_of_work(None) as uow:
            uow.insert(entity("customer"), {"name": name})
    assert run_job(store, no_keys, COMPACT).error is None
    with store.read() as connection:
        assert past.horizon(connection) == 0
        before = list(all_changes(connection))
    clock.now += 400 * DAY
    assert run_job(store, no_keys, COMPACT).ended_well
    with store.read() as connection:
        newest = connection.value("SELECT first_lseq FROM sync_tx")
        assert past.horizon(connection) == newest - 1 > 0
        assert list(all_changes(connection)) == before


def test_a_branch_that_waits_for_its_approval_does_nothing_by_itself(tmp_path):
    branch = create_folder(tmp_path / "br01", role="branch", code="BR01", name="杭州").application
    assert [job.name for job in JOBS if job.wanted(branch.store)] == []


def test_an_exchange_is_wanted_once_the_address_of_head_office_is_known(tmp_path, store):
    from localcrm.app import open_folder
    from localcrm.domain.policy import SYSTEM
    from localcrm.sync import node_sync

    office = open_folder(store.folder)
    branch = create_folder(tmp_path / "br01", role="branch", code="BR01", name="杭州").application
    enrol((branch.store, branch.keys), (office.store, office.keys), SYSTEM)
    assert not EXCHANGE.wanted(branch.store)
    node_sync.set_office_url(branch.store, SYSTEM, "http://127.0.0.1:9")
    assert EXCHANGE.wanted(branch.store)
    run = run_job(branch.store, lambda: branch.keys, EXCHANGE)  # nobody listens there
    assert run.last_ok is None
    assert run.error


def test_backups_are_verified_and_the_last_seven_are_kept(store, clock, tmp_path):
    for _day in range(9):
        run_job(store, no_keys, BACKUP)
        clock.now += DAY
    names = [path.name for path in backups.backups(store)]
    assert names == [
        f"HQ-202611{day}-120000.localcrm-backup" if day <= 30 else f"HQ-202612{day - 30:02}-120000.localcrm-backup"
        for day in range(31, 24, -1)
    ]
    restore(backups.backups(store)[0], tmp_path / "restored")


def test_files_of_other_people_in_the_folder_of_backups_are_left_alone(store, clock):
    mine = store.folder / "backups" / "before-the-fair.zip"
    mine.write_bytes(b"precious")
    for _day in range(9):
        run_job(store, no_keys, BACKUP)
        clock.now += DAY
    assert mine.read_bytes() == b"precious"


def test_the_running_scheduler_runs_what_is_due_and_stops(store):
    ran = threading.Event()
    stop = scheduler.start(store, no_keys, jobs=[job(lambda _store, _keys: ran.set())], after_start=timedelta(0))
    assert ran.wait(10)
    stop()
    assert last_run(store, "test").last_ok == NOON


def test_the_running_scheduler_leaves_alone_what_is_not_due(store):
    run_job(store, no_keys, job(lambda _store, _keys: None))
    stop = scheduler.start(store, no_keys, jobs=[job(no_keys)], after_start=timedelta(0))
    stop()
    assert last_run(store, "test") == JobRun(NOON, NOON, None)


def test_the_running_scheduler_does_not_ask_over_and_over_for_what_is_not_wanted(store):
    asked = []
    stop = scheduler.start(store, no_keys, jobs=[job(no_keys, wanted=asked.append)], after_start=timedelta(0))
    time.sleep(0.5)
    stop()
    assert len(asked) == 1


def test_the_running_scheduler_notices_what_is_set_while_it_runs(store, clock, monkeypatch):
    monkeypatch.setattr(scheduler, "LOOK", timedelta(seconds=0.05))
    ran, wish = threading.Event(), {"at": None}
    test = replace(job(lambda _store, _keys: ran.set()), at=lambda _store: wish["at"])
    run_job(store, no_keys, job(lambda _store, _keys: None))
    stop = scheduler.start(store, no_keys, jobs=[test])
    assert not ran.wait(0.3)
    clock.now += timedelta(hours=2)
    wish["at"] = (NOON + timedelta(hours=1)).astimezone().time()
    assert ran.wait(10)
    stop()
