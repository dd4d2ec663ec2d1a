"""Runs the jobs at their times while the program runs, and remembers when each was last done.

Nothing about the future is stored: the next run of every job follows from ``job_run`` and the settings, and is worked out anew
every minute, so that whatever was set or done meanwhile, by a screen or another program, counts. One that was missed while the
machine was off is made up once, soon after the start; one that failed is tried again sooner than its turn.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from localcrm.domain import policy
from localcrm.jobs.work import JOBS, Job, KeysOf
from localcrm.kernel.errors import AppError

if TYPE_CHECKING:
    from localcrm.domain.policy import Actor
    from localcrm.store.store import Store

#: The program answers its first page before it starts working by itself.
AFTER_START = timedelta(seconds=20)
RETRY = timedelta(minutes=15)
#: The longest the scheduler sleeps before it works out anew what is due.
LOOK = timedelta(minutes=1)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobRun:
    """How a job last went; ``error`` is the sentence of the last run when it failed, or when part of it could not be done."""

    last_start: datetime | None = None
    last_ok: datetime | None = None
    error: str | None = None

    @property
    def ended_well(self) -> bool:
        """Whether the last run succeeded, be it in part."""
        return self.last_ok is not None and (self.last_start is None or self.last_ok >= self.last_start)


def start(store: Store, keys: KeysOf, *, jobs: Sequence[Job] = JOBS, after_start: timedelta = AFTER_START) -> Callable[[], None]:
    """Run the jobs of this folder from now on; returns what stops them, after the one that runs has ended."""
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.date import DateTrigger

    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(1)},
        # A laptop that slept makes up one run, however many it missed.
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )

    def plan(job: Job, put_off: timedelta = LOOK) -> None:
        wait = LOOK
        # A data file that cannot be read just now is looked at again a minute later.
        with suppress(AppError):
            # The store's clock says what is due, the machine's when to wake.
            wait = min(LOOK, upcoming(store, job) - _now(store))
        if wait <= timedelta(0):  # due, but the program has only just started, or the job is not wanted
            wait = put_off
        scheduler.add_job(turn, DateTrigger(datetime.now(UTC) + wait), args=[job], id=job.name, replace_existing=True)

    def turn(job: Job) -> None:
        with working:
            if stopping.is_set():
                return
            try:
                if upcoming(store, job) <= _now(store):
                    run_job(store, keys, job)
            finally:
                plan(job)

    def stop() -> None:
        stopping.set()
        # shutdown() calls itself stopped before it has the lock, and the thread that is just handing out a job would then
        # not find it any more: pause first, and let a question that needs the lock wait until that thread is through.
        scheduler.pause()
        scheduler.get_jobs()
        # Waiting inside shutdown() would hold the lock that planning the next run needs.
        scheduler.shutdown(wait=False)
        with working:
            pass

    working, stopping = threading.Lock(), threading.Event()
    for job in jobs:
        plan(job, after_start)
    scheduler.start()
    return stop


def upcoming(store: Store, job: Job) -> datetime:
    """When a job runs next by itself; now: within the minute."""
    return next_run(job, last_run(store, job.name), now=_now(store), at=job.at(store))


def next_run(job: Job, run: JobRun, *, now: datetime, at: time | None = None) -> datetime:
    """When a job is due: one interval, or at the time of day ``at``, after it last succeeded, and a while after it last failed."""
    due = now
    if run.last_ok is not None:
        # A clock that was set back would otherwise put the next run off for as long.
        since = min(run.last_ok, now)
        due = since + job.every if at is None else _next_time(since, at)
    if run.last_start is not None and not run.ended_well:
        due = max(due, min(run.last_start, now) + min(RETRY, job.every))
    return max(now, due)


def run_now(store: Store, keys: KeysOf, actor: Actor, job: Job) -> JobRun:
    """Do a job because somebody says so; raises Forbidden without the right to it."""
    policy.require(actor, job.permission)
    return run_job(store, keys, job)


def run_job(store: Store, keys: KeysOf, job: Job) -> JobRun:
    """Do a job now, if it is wanted, and write down how it went; a failure of ours is written down, not raised."""
    if not job.wanted(store):
        return last_run(store, job.name)
    before = last_run(store, job.name)
    _note(store, job.name, "last_start", store.clock.now_ms())
    try:
        left_out = job.run(store, keys)
    except AppError as error:
        log.warning("job %s: %s %s %s", job.name, error.code, error.message, error.detail)
        _note(store, job.name, "last_error", error.message)
        if error.message != before.error:  # the system log says when it began, not every try since
            store.log("job_failed", detail=" ".join(filter(None, [f"{job.name}: {error.message}", error.detail])))
    else:
        _note(store, job.name, "last_ok", store.clock.now_ms())
        _note(store, job.name, "last_error", left_out)
        if not before.ended_well:
            store.log("job_done", detail=job.name)
    return last_run(store, job.name)


def last_run(store: Store, name: str) -> JobRun:
    """What is written down about a job."""
    with store.read() as connection:
        row = connection.one("SELECT last_start, last_ok, last_error FROM job_run WHERE job = ?", (name,))
    return JobRun(_moment(row[0]), _moment(row[1]), row[2]) if row else JobRun()


def _note(store: Store, name: str, column: str, value: int | str | None) -> None:
    with store.housekeeping() as connection:
        connection.execute(
            f"INSERT INTO job_run(job, {column}) VALUES (?, ?) ON CONFLICT(job) DO UPDATE SET {column} = excluded.{column}", (name, value)
        )


def _next_time(after: datetime, at: time) -> datetime:
    """The next time it is ``at`` on the clock on the wall."""
    day = after.astimezone().date()
    today = datetime.combine(day, at).astimezone()
    return today if today > after else datetime.combine(day + timedelta(days=1), at).astimezone()


def _now(store: Store) -> datetime:
    return datetime.fromtimestamp(store.clock.now_ms() / 1000, tz=UTC)


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
