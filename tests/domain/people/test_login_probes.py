"""What somebody tries who has no password: guess ten thousand times, learn who exists, use an old or a foreign token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.people import passwords, services, sessions
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import SignInNeeded
from localcrm.store.store import Store
from tests.domain.conftest import PASSWORD
from tests.domain.people.test_sessions import StandingClock

Do = Callable[..., Any]


@pytest.fixture
def clock(store: Store) -> StandingClock:
    store.clock = StandingClock()
    return store.clock


@pytest.fixture
def derivations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stored form of every hash that a password was compared with: each is one Argon2id derivation."""
    compared: list[str] = []

    def counted(password: str, stored: str) -> bool:
        compared.append(stored)
        return passwords.password_matches(password, stored)

    monkeypatch.setattr(services, "password_matches", counted)
    return compared


def outcome(store: Store, login: str, password: str) -> str:
    try:
        sessions.sign_in(store, login=login, password=password)
    except SignInNeeded as error:
        return error.code
    return "in"


def test_an_unknown_login_costs_as_many_derivations_as_a_wrong_password(store: Store, new: Do, derivations: list[str]) -> None:
    """Counted, not timed; and every hash compared with asks for the same work."""
    new("user", login="gone", name="离职", password=PASSWORD, role="staff", active=False)
    new("user", login="blank", name="没有密码", role="staff")
    new("user", login="none", name="没有权限", password=PASSWORD)
    costs = {}
    for login in ("admin", "nobody at all", "gone", "blank", "none"):
        derivations.clear()
        assert outcome(store, login, "Guess-Guess-1") == "bad_credentials"
        costs[login] = [stored.split("$")[1:4] for stored in derivations]
    assert [len(cost) for cost in costs.values()] == [1] * 5
    assert len({str(cost) for cost in costs.values()}) == 1


def test_ten_thousand_wrong_passwords_are_mostly_not_even_looked_at(
    store: Store, admin: Actor, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []

    def at_test_cost(password: str, stored: str) -> bool:
        looked_at.append(password)
        return password == PASSWORD and "$" in stored

    monkeypatch.setattr(services, "password_matches", at_test_cost)
    told: Counter[str] = Counter()
    for number in range(10_000):
        told[outcome(store, "admin", f"Guess-{number}")] += 1
        clock.go_on(seconds=1)
    assert set(told) == {"bad_credentials", "too_many_tries"}
    assert told["bad_credentials"] == len(looked_at) < 250  # in nearly three hours
    clock.go_on(seconds=61)
    assert outcome(store, "admin", PASSWORD) == "in"  # whom it was aimed at waits a minute at most, and is never locked out


def test_a_token_given_by_somebody_else_opens_nothing(store: Store, admin: Actor, clock: StandingClock) -> None:
    """Fixation: what the browser carried before signing in is worth nothing after it."""
    planted = "x" * 43
    _actor, token = sessions.sign_in(store, login="admin", password=PASSWORD, replaces=planted)
    assert token != planted
    assert sessions.find_session(store, planted) is None
    assert sessions.find_session(store, token) is not None


def test_a_token_is_worth_nothing_after_signing_out(store: Store, admin: Actor, clock: StandingClock) -> None:
    _actor, token = sessions.sign_in(store, login="admin", password=PASSWORD)
    sessions.close_session(store, sessions.session_key(token))
    assert sessions.find_session(store, token) is None


def test_a_right_taken_away_is_gone_with_the_next_look(store: Store, do: Do, new: Do, admin: Actor) -> None:
    user = new("user", login="mei", name="何小梅", password=PASSWORD)
    do("people.set_rights", login="mei", entity="customer", actions=["read", "create"], scope="all")
    actor = actor_by_id(store, user["id"])
    assert actor is not None
    verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "甲"}})
    do("people.set_rights", login="mei", entity="customer", actions=[])
    assert actor_by_id(store, user["id"]) is None
