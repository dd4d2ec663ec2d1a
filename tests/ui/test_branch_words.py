"""What is said of a branch at head office."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from localcrm.kernel.i18n import use_language
from localcrm.ui.kit import syncstate
from localcrm.ui.screens.sync_centre import _branch_state, kept_here

HEARD = {"state": "active", "last_ok": "2026-11-20T12:00:00Z", "stale": False, "waiting": 0}


@pytest.mark.parametrize(("count", "told"), [(0, ""), (1, "1 change waiting"), (1_200, "1,200 changes waiting")])
def test_what_waits_to_be_sent_in_words(count: int, told: str) -> None:
    with use_language("en"):
        text, _tone = syncstate.words(syncstate.SyncState(peers=1, waiting=count, last=datetime.now(UTC), patience=7))
    assert text.partition(" · ")[2] == told


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, ("up to date", "good")),
        ({"waiting": 5}, ("changes wait for it", "warn")),
        ({"waiting": 5, "stale": True}, ("silent for very long", "warn")),
        ({"waiting": 5, "stale": True, "last_ok": None}, ("not heard of yet", "warn")),
        ({"waiting": 5, "state": "closed"}, ("closed", "bad")),
    ],
)
def test_the_state_of_a_branch_in_words(told: dict[str, object], words: tuple[str, str]) -> None:
    with use_language("en"):
        assert _branch_state(HEARD | told) == words


@pytest.mark.parametrize(("holds", "said"), [("all", 0), ("own", 1), ("own_customers", 2)])
def test_customers_that_came_back_are_not_said_to_be_elsewhere(holds: str, said: int) -> None:
    assert len(kept_here({"holds": holds, "left": {"count": 124, "at": "2026-11-20T12:00:00Z"}})) == said
