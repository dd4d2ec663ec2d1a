"""The administrator of an office without anybody above it forgot the password: a printed code, good once; and what is told afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.people import arrival, recovery, services, sessions
from localcrm.domain.people.arrival import Arrival, Reset
from localcrm.domain.policy import Actor
from localcrm.domain.roles import BasicRole
from localcrm.kernel.codes import new_recovery_code
from localcrm.kernel.errors import AppError
from localcrm.store.store import Store
from tests.domain.conftest import PASSWORD
from tests.domain.people.test_sessions import StandingClock

NEW = "Brand-New-Word-9"


@pytest.fixture
def clock(store: Store) -> StandingClock:
    store.clock = StandingClock()
    return store.clock


@pytest.fixture
def code(store: Store, admin: Actor) -> str:
    return recovery.first_code(store, admin.user_id or "")


def refused(work: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(AppError) as caught:
        work(*args, **options)
    return caught.value.code


def told(store: Store, password: str) -> Arrival:
    token = sessions.sign_in(store, login="admin", password=password)[1]
    session = sessions.find_session(store, token)
    assert session is not None
    return arrival.arrival(store, session)


def test_the_code_sets_a_password_once_and_gives_the_next_code(store: Store, code: str) -> None:
    token = sessions.sign_in(store, login="admin", password=PASSWORD)[1]
    following = recovery.recover(store, login="admin", code=code.lower().replace(" ", "-"), password=NEW)
    assert sessions.sign_in(store, login="admin", password=NEW)[0].name == "王芳"
    assert sessions.find_session(store, token) is None
    assert refused(recovery.recover, store, login="admin", code=code, password="Third-Word-10") == "wrong_recovery_code"
    assert recovery.recover(store, login="admin", code=following, password="Third-Word-10") not in {code, following}


def test_only_a_hash_of_the_code_is_kept(store: Store, code: str) -> None:
    with store.read() as connection:
        (kept,) = connection.all("SELECT code_hash FROM password_recovery")
    assert code.replace(" ", "").encode() not in kept[0]
    assert len(kept[0]) == 32


def test_what_is_wrong_is_refused_and_nothing_is_used_up(store: Store, code: str, new: Any, clock: StandingClock) -> None:
    new("user", login="lin", name="林晓", password=PASSWORD, role="staff")
    wrongs = [("admin", new_recovery_code()), ("lin", code), ("nobody", code)]
    assert {refused(recovery.recover, store, login=login, code=typed, password=NEW) for login, typed in wrongs} == {"wrong_recovery_code"}
    assert refused(recovery.recover, store, login="admin", code=code[:-1] + "?", password=NEW) == "recovery_code_mistyped"
    assert refused(recovery.recover, store, login="admin", code=code, password="aaaaaaaa") == "weak_password"
    recovery.recover(store, login="admin", code=code, password=NEW)


def test_guesses_are_braked(store: Store, code: str, clock: StandingClock) -> None:
    for _ in range(3):
        assert refused(recovery.recover, store, login="admin", code=new_recovery_code(), password=NEW) == "wrong_recovery_code"
    assert refused(recovery.recover, store, login="admin", code=code, password=NEW) == "too_many_tries"
    clock.go_on(seconds=61)
    recovery.recover(store, login="admin", code=code, password=NEW)


def test_a_wrong_guess_costs_no_derivation(store: Store, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a login that exists nor for one that does not, so that the time tells nothing."""
    derived: list[str] = []
    monkeypatch.setattr(recovery, "password_hash", derived.append)
    monkeypatch.setattr(services, "password_matches", lambda *given: derived.append(str(given)))
    for login in ("admin", "nobody"):
        refused(recovery.recover, store, login=login, code=new_recovery_code(), password=NEW)
    assert derived == []


def test_who_was_disabled_stays_out(store: Store, admin: Actor, code: str, new: Any, do: Any) -> None:
    new("user", login="second", name="副总", password=PASSWORD, role="admin")
    do("records.update_record", entity="user", id=admin.user_id, values={"active": False})
    assert refused(recovery.recover, store, login="admin", code=code, password=NEW) == "user_disabled"


def test_an_administrator_gets_a_new_code_for_his_password(store: Store, admin: Actor, code: str) -> None:
    assert refused(recovery.renew_code, store, admin, password="a guess") == "bad_credentials"
    following = recovery.renew_code(store, admin, password=PASSWORD)
    assert refused(recovery.recover, store, login="admin", code=code, password=NEW) == "wrong_recovery_code"
    recovery.recover(store, login="admin", code=following, password=NEW)


def test_what_is_quiet_is_told_once_and_what_is_alarming_until_it_was_read(store: Store, code: str, clock: StandingClock) -> None:
    def session(password: str) -> sessions.UserSession:
        clock.go_on(seconds=60)
        found = sessions.find_session(store, sessions.sign_in(store, login="admin", password=password)[1])
        assert found is not None
        return found

    assert arrival.untold(store, session(PASSWORD)) is None  # the first time there is nothing to say
    second = session(PASSWORD)
    assert arrival.untold(store, second) is not None
    assert arrival.untold(store, second) is None
    recovery.recover(store, login="admin", code=code, password=NEW)
    third = session(NEW)
    assert arrival.untold(store, third) == arrival.untold(store, third) is not None
    arrival.note_told(store, third.key)
    assert arrival.untold(store, third) is None


def test_a_password_somebody_else_has_set_is_told_until_one_is_chosen(store: Store, new: Any, do: Any, clock: StandingClock) -> None:
    lin = new("user", login="lin", name="林晓", password=PASSWORD, role="staff")

    def given(password: str) -> Reset | None:
        clock.go_on(seconds=60)
        session = sessions.find_session(store, sessions.sign_in(store, login="lin", password=password)[1])
        assert session is not None
        return arrival.arrival(store, session).given

    first = given(PASSWORD)
    assert first is not None
    assert first.by == "王芳"
    own = Actor(lin["id"], "lin", "林晓", BasicRole.STAFF)
    verbs.run(store, own, "people.set_password", {"login": "lin", "password": NEW, "old_password": PASSWORD})
    assert given(NEW) is None
    do("records.update_record", entity="user", id=lin["id"], values={"phone": "1380575"})
    assert given(NEW) is None
    do("records.update_record", entity="user", id=lin["id"], values={"password": PASSWORD})
    assert [given(PASSWORD) is not None for _sign_in in range(2)] == [True, True]


def test_only_administrators_have_one(store: Store, new: Any) -> None:
    new("user", login="lin", name="林晓", password=PASSWORD, role="staff")
    lin = sessions.sign_in(store, login="lin", password=PASSWORD)[0]
    assert refused(recovery.renew_code, store, lin, password=PASSWORD) == "admin_only"


def test_the_next_sign_in_tells_of_tries_and_of_the_reset(store: Store, code: str, clock: StandingClock) -> None:
    first = clock.now
    assert told(store, PASSWORD) == Arrival(None, 0)
    for seconds in (60, 60, 60):
        clock.go_on(seconds=seconds)
        assert refused(sessions.sign_in, store, login="ADMIN", password="guess") == "bad_credentials"
    refused(sessions.sign_in, store, login="somebody else", password="guess")
    clock.go_on(hours=1)
    refused(recovery.recover, store, login="admin", code=new_recovery_code(), password=NEW)
    clock.go_on(hours=1)
    assert told(store, PASSWORD) == Arrival(first, 4)  # a wrong code is a try too
    second = clock.now
    clock.go_on(hours=1)
    recovery.recover(store, login="admin", code=code, password=NEW)
    at = clock.now
    clock.go_on(hours=1)
    after = told(store, NEW)
    assert after == Arrival(second, 0, (Reset(at, ""),))
    assert after.is_alarming
    clock.go_on(hours=1)
    assert not told(store, NEW).is_alarming
