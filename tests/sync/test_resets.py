"""A clerk at a branch without a network has forgotten the password: a code is read out, head office signs, the answer works once, there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from localcrm.domain.people import sessions
from localcrm.kernel.codes import read_code, write_code
from localcrm.kernel.errors import AppError
from localcrm.store import eventlog
from localcrm.store.eventlog import Wanted
from localcrm.sync import resets
from localcrm.sync.identity import NodeKeys
from tests import factories
from tests.factories import Company, HandClock, Installation

NEW = "Brand-New-Word-9"


@pytest.fixture
def clocks() -> dict[str, HandClock]:
    return {code: HandClock() for code in ("HQ", "BR01", "BR02")}


@pytest.fixture
def company(clocks: dict[str, HandClock]) -> Iterator[Company]:
    """Head office and two branches that know 林晓."""
    with factories.company(clocks=dict(clocks)) as made:
        made.hq.new("user", login="lin", name="林晓", password=factories.PASSWORD, role="staff")
        made.exchange()
        yield made


@pytest.fixture
def branch(company: Company) -> Installation:
    return company.branches["BR01"]


def answer_of(company: Company, question: str) -> str:
    return resets.answer(company.hq.store, company.hq.keys, company.hq.actor, code=question).code


def refused(work: Callable[..., Any], *args: Any, **options: Any) -> str:
    with pytest.raises(AppError) as caught:
        work(*args, **options)
    assert caught.value.message
    return caught.value.code


def use(node: Installation, answer: str, *, login: str = "lin", password: str = NEW) -> None:
    resets.reset_password(node.store, login=login, answer=answer, password=password)


def test_head_office_sees_who_asks_and_the_answer_sets_the_password(company: Company, branch: Installation) -> None:
    token = sessions.sign_in(branch.store, login="lin", password=factories.PASSWORD)[1]
    question = resets.ask(branch.store, login="lin")
    assert [len(group) for group in question.split(" ")] == [5] * 5

    seen = resets.look_at_question(company.hq.store, company.hq.actor, question.lower().replace(" ", ""))
    assert (seen.name, seen.login, seen.branch, seen.counter) == ("林晓", "lin", "BR01", 1)
    answer = answer_of(company, question)
    assert len(answer.split("\n")) == 5

    use(branch, answer.lower().replace("\n", "-"))
    actor, _token = sessions.sign_in(branch.store, login="lin", password=NEW)
    assert actor.name == "林晓"
    assert sessions.find_session(branch.store, token) is None  # whoever was signed in with the old one is out
    company.exchange()
    assert sessions.sign_in(company.hq.store, login="lin", password=NEW)[0].name == "林晓"  # and it is the password everywhere


def test_both_sides_note_it(company: Company, branch: Installation) -> None:
    use(branch, answer_of(company, resets.ask(branch.store, login="lin")))
    with branch.store.read() as connection:
        assert [(event.detail, event.user_id) for event in eventlog.rows(connection, Wanted(kind="password_reset"))] == [
            (company.hq.actor.name, branch.value("SELECT id FROM user WHERE login = 'lin'").hex())
        ]
    with company.hq.store.read() as connection:
        (event,) = eventlog.rows(connection, Wanted(kind="reset_answered"))
    assert (event.detail, event.user_id) == ("BR01: 林晓 (lin)", company.hq.actor.user_id)


def test_an_answer_works_once(company: Company, branch: Installation) -> None:
    answer = answer_of(company, resets.ask(branch.store, login="lin"))
    use(branch, answer)
    assert refused(use, branch, answer, password="Another-Word-10") == "reset_used"
    sessions.sign_in(branch.store, login="lin", password=NEW)


def test_two_answers_to_one_question_are_still_one_reset(company: Company, branch: Installation, clocks: dict[str, HandClock]) -> None:
    question = resets.ask(branch.store, login="lin")
    first = answer_of(company, question)
    clocks["HQ"].forward(minutes=5)
    second = answer_of(company, question)
    assert first != second
    use(branch, first)
    assert refused(use, branch, second) == "reset_used"


def test_an_answer_is_good_for_a_day(company: Company, branch: Installation, clocks: dict[str, HandClock]) -> None:
    answer = answer_of(company, resets.ask(branch.store, login="lin"))
    clocks["BR01"].forward(days=1, minutes=1)
    assert refused(use, branch, answer) == "reset_expired"


def test_an_answer_works_at_its_branch_and_for_its_user_only(company: Company, branch: Installation) -> None:
    other = company.branches["BR02"]
    resets.ask(other.store, login="lin")
    answer = answer_of(company, resets.ask(branch.store, login="lin"))
    assert refused(use, other, answer) == "reset_other_branch"
    assert refused(use, branch, answer, login="admin") == "reset_wrong"
    assert refused(use, branch, answer, login="nobody at all") == "reset_wrong"
    renamed = bytearray(read_code(answer, 75) or b"")
    renamed[1] += 1  # made to look as if it were for the other branch
    assert refused(use, other, write_code(bytes(renamed))) == "reset_wrong"


@pytest.mark.parametrize("place", [2, 6, 7, 10, 11, 40, 74])
def test_an_altered_answer_is_refused(company: Company, branch: Installation, place: int) -> None:
    """Who answered, until when, and the signature: with the check characters made to fit."""
    altered = bytearray(read_code(answer_of(company, resets.ask(branch.store, login="lin")), 75) or b"")
    altered[place] ^= 1
    assert refused(use, branch, write_code(bytes(altered))) == "reset_wrong"


def test_a_stranger_cannot_answer(company: Company, branch: Installation) -> None:
    question = resets.ask(branch.store, login="lin")
    forged = resets.answer(company.hq.store, NodeKeys.generate(), company.hq.actor, code=question).code
    assert refused(use, branch, forged) == "reset_wrong"
    own = resets.answer(company.hq.store, branch.keys, company.hq.actor, code=question).code
    assert refused(use, branch, own) == "reset_wrong"


def test_a_disabled_user_gets_no_answer_and_can_use_none(company: Company, branch: Installation) -> None:
    question = resets.ask(branch.store, login="lin")
    answer = answer_of(company, question)
    company.hq.set("user", branch.value("SELECT id FROM user WHERE login = 'lin'").hex(), active=False)
    assert refused(answer_of, company, resets.ask(branch.store, login="lin")) == "user_disabled"
    company.exchange()
    assert refused(use, branch, answer) == "user_disabled"
    assert branch.value("SELECT count(*) FROM password_reset WHERE used IS NOT NULL") == 0


def test_a_weak_password_uses_nothing_up(company: Company, branch: Installation) -> None:
    answer = answer_of(company, resets.ask(branch.store, login="lin"))
    assert refused(use, branch, answer, password="aaaaaaaa") == "weak_password"
    use(branch, answer)


def test_a_restored_branch_takes_no_answer_from_before(company: Company, branch: Installation) -> None:
    answer = answer_of(company, resets.ask(branch.store, login="lin"))
    with branch.store.housekeeping() as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'node.epoch'", (b"another!",))
    branch.store.forget_node()
    assert refused(use, branch, answer) == "reset_wrong"


def test_who_exists_is_told_to_nobody(company: Company, branch: Installation) -> None:
    """A question for nobody looks like any other; wrong answers are refused alike; only head office is told."""
    question = resets.ask(branch.store, login="nobody at all")
    assert [len(group) for group in question.split(" ")] == [5] * 5
    assert refused(resets.look_at_question, company.hq.store, company.hq.actor, question) == "unknown_asker"
    answer = answer_of(company, resets.ask(branch.store, login="lin"))
    assert {refused(use, branch, answer, login=login) for login in ("nobody at all", "admin")} == {"reset_wrong"}


def test_tries_are_braked_together_with_wrong_passwords(company: Company, branch: Installation, clocks: dict[str, HandClock]) -> None:
    answer = answer_of(company, resets.ask(branch.store, login="lin"))
    assert refused(sessions.sign_in, branch.store, login="lin", password="guess") == "bad_credentials"
    told = [refused(use, branch, typed) for typed in ("", "0" * 125)]
    assert told == ["reset_mistyped", "reset_mistyped"]
    assert refused(use, branch, answer) == "too_many_tries"  # not even the right one is looked at
    assert refused(sessions.sign_in, branch.store, login="lin", password=factories.PASSWORD) == "too_many_tries"
    clocks["BR01"].forward(minutes=1)
    use(branch, answer)


def test_asking_without_end_is_braked_and_kept_short(company: Company, branch: Installation, clocks: dict[str, HandClock]) -> None:
    for _ in range(3):
        resets.ask(branch.store, login="lin")
    assert refused(resets.ask, branch.store, login="lin") == "too_many_tries"
    sessions.sign_in(branch.store, login="lin", password=factories.PASSWORD)  # who knows the password is not kept out by it
    for number in range(220):
        clocks["BR01"].forward(minutes=20)
        resets.ask(branch.store, login=f"login {number}")
    assert branch.value("SELECT count(*) FROM password_reset") == 200


def test_many_who_ask_at_once_are_braked_as_if_they_asked_in_turn(branch: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    together, urandom = threading.Barrier(8), os.urandom
    monkeypatch.setattr(resets.os, "urandom", lambda size: time.sleep(0.05) or urandom(size))  # all are under way at once

    def ask(_number: int) -> str:
        together.wait()
        try:
            return resets.ask(branch.store, login="lin") and "asked"
        except AppError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        told = sorted(pool.map(ask, range(8)))
    assert told == ["asked"] * 3 + ["too_many_tries"] * 5


def test_head_office_answers_only_to_open_branches_and_only_its_administrators(company: Company, branch: Installation) -> None:
    question = resets.ask(branch.store, login="lin")
    assert refused(resets.look_at_question, company.hq.store, company.hq.actor, question[:-1] + "?") == "question_mistyped"
    assert refused(resets.look_at_question, branch.store, branch.actor, question) == "not_office"
    lin = sessions.sign_in(company.hq.store, login="lin", password=factories.PASSWORD)[0]
    assert refused(resets.answer, company.hq.store, company.hq.keys, lin, code=question) == "admin_only"
    with company.hq.store.housekeeping() as connection:
        connection.execute("UPDATE sync_peer SET state = 'closed' WHERE code = 'BR01'")
    assert refused(answer_of, company, question) == "branch_closed"
    assert refused(resets.ask, company.hq.store, login="lin") == "own_office"
