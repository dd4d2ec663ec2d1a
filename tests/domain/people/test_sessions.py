"""Sessions: a token that expires twice, can be revoked, and cannot be guessed quickly."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from localcrm.domain.people import services, sessions
from localcrm.domain.people.preferences import preferences, save_preference
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import InvalidInput, SignInNeeded
from localcrm.store.store import Store
from tests.domain.conftest import PASSWORD


class StandingClock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.now

    def go_on(self, *, seconds: float = 0, hours: float = 0) -> None:
        self.now += int((seconds + hours * 3600) * 1000)


@pytest.fixture
def clock(store: Store) -> StandingClock:
    store.clock = StandingClock()
    return store.clock


def sign_in(store: Store, password: str = PASSWORD, login: str = "admin", **more: str) -> str:
    return sessions.sign_in(store, login=login, password=password, **more)[1]


def code_of(store: Store, password: str, login: str = "admin") -> str:
    with pytest.raises(SignInNeeded) as caught:
        sign_in(store, password, login)
    return caught.value.code


def test_a_token_finds_its_session_and_the_file_holds_no_token(store: Store, clock: StandingClock, admin: Actor) -> None:
    token = sign_in(store, client="Chrome · Windows")
    found = sessions.find_session(store, token)
    assert found is not None
    assert (found.user_id, found.client, found.key) == (admin.user_id, "Chrome · Windows", sessions.session_key(token))
    store_bytes = b"".join(path.read_bytes() for path in Path(store.folder).glob("localcrm.db*"))
    assert token.encode() not in store_bytes


def test_an_unknown_token_finds_nothing(store: Store, clock: StandingClock, admin: Actor) -> None:
    assert [sessions.find_session(store, token) for token in ("", "x" * 43, "\ud800", "a b;c")] == [None] * 4


def test_a_session_ends_twelve_hours_after_it_was_last_used(store: Store, clock: StandingClock, admin: Actor) -> None:
    token = sign_in(store)
    clock.go_on(hours=11)
    assert sessions.find_session(store, token)  # and is used by that
    clock.go_on(hours=11)
    assert sessions.find_session(store, token)
    clock.go_on(hours=12.1)
    assert sessions.find_session(store, token) is None


def test_a_session_ends_after_fourteen_days_however_much_it_is_used(store: Store, clock: StandingClock, admin: Actor) -> None:
    token = sign_in(store)
    for _half_day in range(27):
        clock.go_on(hours=12)
        assert sessions.find_session(store, token)
    clock.go_on(hours=12.1)
    assert sessions.find_session(store, token) is None


def test_signing_in_again_ends_the_session_it_replaces(store: Store, clock: StandingClock, admin: Actor) -> None:
    first = sign_in(store)
    second = sign_in(store, replaces=first)
    assert sessions.find_session(store, first) is None
    assert sessions.find_session(store, second)


def test_other_browsers_are_signed_out_together(store: Store, clock: StandingClock, admin: Actor) -> None:
    tokens = [sign_in(store) for _ in range(3)]
    keys = [sessions.session_key(token) for token in tokens]
    assert sorted(sessions.close_sessions_of(store, admin.user_id, keep=keys[0])) == sorted(keys[1:])
    assert [session.key for session in sessions.sessions_of(store, admin.user_id)] == [keys[0]]


def test_wrong_passwords_make_the_next_try_wait_longer_each_time(store: Store, clock: StandingClock, admin: Actor) -> None:
    assert [code_of(store, "wrong") for _ in range(3)] == ["bad_credentials"] * 3
    waits = []
    for _ in range(4):
        waits.append(sessions.seconds_to_wait(store, "admin"))
        assert code_of(store, PASSWORD) == "too_many_tries"  # the right one is not even looked at
        clock.go_on(seconds=waits[-1])
        assert code_of(store, "wrong") == "bad_credentials"
    assert waits == [1, 2, 4, 8]
    clock.go_on(seconds=sessions.seconds_to_wait(store, "admin"))
    assert sign_in(store)


def test_guessing_at_one_login_does_not_lock_another_out(store: Store, clock: StandingClock, admin: Actor) -> None:
    for _ in range(5):
        clock.go_on(seconds=sessions.seconds_to_wait(store, "nobody"))
        code_of(store, "wrong", "nobody")
    assert sessions.seconds_to_wait(store, "nobody") > 0
    assert sign_in(store)


def test_guessing_at_many_logins_slows_everybody_down(store: Store, clock: StandingClock, admin: Actor) -> None:
    for number in range(sessions.FREE_TRIES_IN_ALL):
        code_of(store, "wrong", f"user{number}")
    assert sessions.seconds_to_wait(store, "admin") == 1


def test_a_quarter_of_an_hour_forgives(store: Store, clock: StandingClock, admin: Actor) -> None:
    for _ in range(3):
        code_of(store, "wrong")
    clock.go_on(hours=0.26)
    assert sessions.seconds_to_wait(store, "admin") == 0


BESIDE = """
import sys
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from localcrm.domain import subjects
from localcrm.domain.people import services, sessions
from localcrm.kernel.errors import AppError
from localcrm.store.store import open_store
try:
    sessions.sign_in(open_store(Path(sys.argv[1])), login="admin", password="another guess")
except AppError as error:
    print(error.code)
"""


def test_another_program_on_the_same_folder_cannot_guess_beside_the_brake(
    store: Store, monkeypatch: pytest.MonkeyPatch, admin: Actor
) -> None:
    assert [code_of(store, "wrong") for _ in range(2)] == ["bad_credentials"] * 2  # the next wrong one is the last without waiting
    matches, others = services.password_matches, []

    def meanwhile(password: str, kept: str) -> bool:
        """While this guess is looked at, another program makes one too."""
        others.append(subprocess.Popen([sys.executable, "-c", BESIDE, str(store.folder)], stdout=subprocess.PIPE, text=True))
        with suppress(subprocess.TimeoutExpired):
            others[0].wait(timeout=3)
        return matches(password, kept)

    monkeypatch.setattr(services, "password_matches", meanwhile)
    assert code_of(store, "wrong") == "bad_credentials"
    assert others[0].communicate(timeout=20)[0] == "too_many_tries\n"


def test_every_try_is_noted(store: Store, clock: StandingClock, admin: Actor) -> None:
    code_of(store, "wrong", " ADMIN ")
    sign_in(store, client="Firefox")
    with store.read() as connection:
        rows = connection.all("SELECT kind, user_id, detail FROM event_log ORDER BY id")
    assert rows == [("sign_in_failed", None, "admin"), ("sign_in", bytes.fromhex(admin.user_id), "Firefox")]


def test_preferences_belong_to_their_user(store: Store, admin: Actor) -> None:
    standard = preferences(store, "0" * 32)
    save_preference(store, admin.user_id, "theme", "dark")
    save_preference(store, admin.user_id, "language", "en")
    save_preference(store, admin.user_id, "language", None)
    save_preference(store, admin.user_id, "customers:tab", "orders")
    save_preference(store, admin.user_id, "draft:customer:new", "…")
    save_preference(store, admin.user_id, "draft:customer:new", None)
    assert preferences(store, admin.user_id) == {**standard, "theme": "dark", "customers:tab": "orders"}
    assert preferences(store, "0" * 32) == standard


def test_a_preference_without_end_is_refused(store: Store, admin: Actor) -> None:
    with pytest.raises(InvalidInput):
        save_preference(store, admin.user_id, "draft", "x" * 60_000)
