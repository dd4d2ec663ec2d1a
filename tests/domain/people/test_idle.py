"""A screen nobody uses locks after the time its user chose, within what head office allows, and opens with his password alone."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.domain.options.company import company_number
from localcrm.domain.people import idle, sessions
from localcrm.domain.people.sessions import UserSession
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.store.store import Store
from tests import factories
from tests.domain.conftest import PASSWORD
from tests.domain.people.test_sessions import StandingClock


@pytest.fixture
def clock(store: Store) -> StandingClock:
    store.clock = StandingClock()
    return store.clock


@pytest.fixture
def token(store: Store, admin: Actor, clock: StandingClock) -> str:
    return sessions.sign_in(store, login="admin", password=PASSWORD)[1]


def session(store: Store, token: str) -> UserSession:
    found = sessions.find_session(store, token)
    assert found is not None
    return found


def refused(work: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(AppError) as caught:
        work(*args, **options)
    return caught.value.code


def test_a_session_locks_half_an_hour_after_it_was_last_used(store: Store, token: str, clock: StandingClock) -> None:
    clock.go_on(seconds=20 * 60)
    idle.note_use(store, session(store, token).key)
    clock.go_on(seconds=30 * 60)
    assert idle.lock_idle(store) == []
    assert not session(store, token).locked
    clock.go_on(seconds=1)
    assert idle.lock_idle(store) == [session(store, token).key]
    assert session(store, token).locked
    assert idle.lock_idle(store) == []


def test_looking_at_the_session_is_no_use(store: Store, token: str, clock: StandingClock) -> None:
    """Open pages ask now and then by themselves."""
    for _ in range(31):
        clock.go_on(seconds=60)
        session(store, token)
    assert len(idle.lock_idle(store)) == 1


def test_only_the_password_of_the_same_user_unlocks(store: Store, token: str, clock: StandingClock, new: Any) -> None:
    new("user", login="second", name="副总", password="Other-Horse-8", role="admin")
    key = session(store, token).key
    idle.lock(store, key)
    idle.note_use(store, key)
    assert session(store, token).locked  # a late report of use does not open it
    assert refused(idle.unlock, store, session(store, token), password="Other-Horse-8") == "wrong_password"
    idle.unlock(store, session(store, token), password=PASSWORD)
    assert not session(store, token).locked
    assert idle.lock_idle(store) == []  # the time begins anew


def test_guesses_at_the_lock_are_braked_like_any_other(store: Store, token: str, clock: StandingClock) -> None:
    idle.lock(store, session(store, token).key)
    for _ in range(3):
        assert refused(idle.unlock, store, session(store, token), password="guess") == "wrong_password"
    assert refused(idle.unlock, store, session(store, token), password=PASSWORD) == "too_many_tries"
    clock.go_on(seconds=61)
    idle.unlock(store, session(store, token), password=PASSWORD)


def test_a_user_chooses_and_the_company_has_the_last_word(store: Store, admin: Actor, token: str, clock: StandingClock, do: Any) -> None:
    do("options.set_option", key="idle_minutes", value="60")
    do("options.set_company_option", key="longest_idle", value="15")
    clock.go_on(seconds=15 * 60 + 1)
    assert idle.lock_idle(store) == [session(store, token).key]
    assert refused(do, "options.set_option", key="idle_minutes", value="7") == "bad_option_value"


def test_who_chose_never_stays_open(store: Store, admin: Actor, token: str, clock: StandingClock, do: Any) -> None:
    do("options.set_option", key="idle_minutes", value="0")
    clock.go_on(seconds=59 * 60)
    assert idle.lock_idle(store) == []
    do("options.set_company_option", key="longest_idle", value="0")
    clock.go_on(hours=5)
    assert idle.lock_idle(store) == []


def test_head_office_says_it_for_its_branches() -> None:
    with factories.company(branches=1) as company:
        company.hq.run("options.set_company_option", key="longest_idle", value="5", fixed=True)
        company.exchange()
        branch = company.branches["BR01"]
        with branch.store.read() as connection:
            assert company_number(connection, branch.store.node, "longest_idle") == 5
        assert refused(branch.run, "options.set_company_option", key="longest_idle", value="60") == "fixed_by_office"
