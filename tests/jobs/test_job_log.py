"""A task by the clock is noted in the system log when it begins to fail and when it works again, not at every try."""

from __future__ import annotations

from datetime import timedelta

from localcrm.jobs.scheduler import run_job
from localcrm.jobs.work import Job
from localcrm.kernel.errors import Refused
from localcrm.store import eventlog
from tests.factories import HandClock, company


def test_only_a_change_of_how_it_goes_is_noted():
    reasons = iter(("", "", "Disk full.", "Disk full.", "No disk.", "", ""))

    def work(_store, _keys):
        if reason := next(reasons):
            raise Refused("test", reason)

    with company(branches=0) as made:
        store = made.hq.store
        store.clock = clock = HandClock()
        for _run in range(7):
            clock.forward(minutes=15)
            run_job(store, lambda: None, Job("test", "Test", timedelta(hours=1), work, lambda _store: True))
        with store.read() as connection:
            found = [(event.kind, event.detail) for event in reversed(eventlog.rows(connection))]
    assert found == [("job_done", "test"), ("job_failed", "test: Disk full."), ("job_failed", "test: No disk."), ("job_done", "test")]


def test_an_exchange_is_noted_on_both_sides_with_what_travelled():
    with company(branches=1) as made:
        made.branches["BR01"].new("customer", name="甲")
        before = {node.code: node.value("SELECT count(*) FROM event_log") for node in made.nodes}
        made.exchange("BR01")
        for node, expected in zip(made.nodes, (["BR01 received=1", "BR01 sent=0"], ["HQ sent=1", "HQ received=0"]), strict=True):
            found = node.rows("SELECT detail FROM event_log WHERE id > ? AND kind = 'exchange' ORDER BY id", before[node.code])
            assert [detail for (detail,) in found] == expected
