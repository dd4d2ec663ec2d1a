"""Shortening the system log: by an administrator, never the last year."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.policy import Actor
from localcrm.domain.roles import BasicRole
from localcrm.kernel.errors import AppError
from localcrm.store import eventlog
from localcrm.store.store import Store

Do = Callable[..., Any]


def at_noon(days_ago: int) -> int:
    return int(datetime.combine(date.today() - timedelta(days=days_ago), time(12)).astimezone().timestamp() * 1000)


@pytest.fixture
def log(store: Store) -> Store:
    """A row four hundred, three hundred and ninety-nine, and ten days old."""
    with store.housekeeping() as connection:
        for days in (400, 399, 10):
            eventlog.append(connection, at=at_noon(days), kind="sign_in", detail=f"{days}")
    return store


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(AppError) as refused:
        call()
    return refused.value.code


def test_rows_before_a_day_go_and_who_did_it_is_noted(log: Store, do: Do, admin: Actor) -> None:
    before = date.today() - timedelta(days=399)
    assert do("admin.shorten_log", before=before.isoformat()) == {"removed": 1}
    with log.read() as connection:
        newest, *rest = eventlog.rows(connection)
        assert list(eventlog.verify(connection, None)) == []
    assert (newest.kind, newest.user_id, newest.detail) == ("log_shortened", admin.user_id, "1 1")
    assert [event.detail for event in rest] == ["10", "399"]


def test_the_last_year_stays(log: Store, do: Do) -> None:
    young = (date.today() - timedelta(days=364)).isoformat()
    assert code_of(lambda: do("admin.shorten_log", before=young)) == "log_too_young"
    assert code_of(lambda: do("admin.shorten_log", before="yesterday")) == "bad_date"
    assert do("admin.shorten_log", before="0001-01-01") == {"removed": 0}


def test_only_who_manages_settings_shortens_the_log(log: Store) -> None:
    clerk = Actor("0a" * 16, "lin", "林", BasicRole.STAFF)
    assert code_of(lambda: verbs.run(log, clerk, "admin.shorten_log", {"before": "2020-01-01"})) == "forbidden"
