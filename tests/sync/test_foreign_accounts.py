"""Whoever holds the key of a branch does not thereby become somebody else at head office; people of a branch look after their own accounts."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.domain.people.passwords import password_hash
from localcrm.domain.people.services import authenticate
from localcrm.kernel.errors import AppError, Refused
from localcrm.kernel.schema import entity
from localcrm.sync import resets
from localcrm.sync.codec import INSERT, UPDATE, Change
from tests.factories import PASSWORD, Company, Installation
from tests.sync.scoping import forged

USER = entity("user")
THEIRS = "Feindes-Hand-7"


@pytest.fixture(scope="module")
def hashed() -> str:
    return password_hash(THEIRS)


@pytest.fixture
def people(company: Company, hq: Installation, one: Installation, two: Installation) -> dict[str, str]:
    """A user of head office, one of each branch by head office's word, and one whom each branch has added; all may sign in."""
    places = {"office": None, "placed1": one.store.node.branch_id, "placed2": two.store.node.branch_id}
    made = {login: hq.new("user", login=login, name=login, password=PASSWORD, role="staff", branch_id=at) for login, at in places.items()}
    made |= {f"added{code}": node.new("user", login=f"added{code}", name="新") for code, node in company.branches.items()}
    company.exchange()
    for code in company.branches:
        hq.set("user", made[f"added{code}"], role="staff", password=PASSWORD)
    company.exchange()
    return {**made, "admin": hq.actor.user_id or ""}


def say(company: Company, *changes: Change) -> list[str]:
    """Head office hears these of the first branch; returns why something was kept out. The second branch hears of it too."""
    reasons = forged(company, *changes)
    company.down("BR02")
    return reasons


def change(user: str, **columns: tuple[Any, Any]) -> Change:
    return Change(USER.no, UPDATE, bytes.fromhex(user), [(USER.fields[key].no, *values) for key, values in columns.items()], None)


def can_sign_in(node: Installation, login: str, password: str) -> bool:
    try:
        return authenticate(node.store, login, password) is not None
    except AppError:
        return False


@pytest.mark.parametrize("whose", ["admin", "office", "placed2", "addedBR02"])
def test_nobody_signs_in_at_head_office_with_a_password_that_a_branch_made_up(
    company: Company, people: dict[str, str], hashed: str, whose: str
) -> None:
    user = people[whose]
    before = company.hq.value("SELECT password FROM user WHERE id = ?", bytes.fromhex(user))
    assert say(company, change(user, password=(before, hashed))) == ["foreign_account"]
    for node in (company.hq, company.branches["BR02"]):
        assert not can_sign_in(node, whose, THEIRS)
    (told,) = company.hq.conflicts(kind="quarantined")
    assert (told["entity"], told["record"], told["lost"]) == ("user", user, "foreign_account")


@pytest.mark.parametrize(
    "columns", [{"login": ("office", "nobody")}, {"active": (1, 0)}, {"phone": (None, "1"), "active": (1, 0)}, {"deleted": (0, 1)}]
)
def test_a_branch_locks_nobody_out_elsewhere(company: Company, people: dict[str, str], columns: dict[str, tuple[Any, Any]]) -> None:
    values = [(0 if key == "deleted" else USER.fields[key].no, *pair) for key, pair in columns.items()]
    assert say(company, Change(USER.no, UPDATE, bytes.fromhex(people["office"]), values, None)) == ["foreign_account"]
    assert can_sign_in(company.hq, "office", PASSWORD)


def test_nobody_is_crowded_out_by_others_of_his_login(company: Company, hq: Installation) -> None:
    given = [(USER.fields["login"].no, "admin"), (USER.fields["name"].no, "x")]
    assert say(company, *(Change(USER.no, INSERT, n.to_bytes(16), given, None) for n in range(12))) == []
    assert can_sign_in(hq, "admin", PASSWORD)


def test_who_was_sent_away_is_not_let_in_again(company: Company, hq: Installation, people: dict[str, str]) -> None:
    hq.set("user", people["office"], active=False)
    assert say(company, change(people["office"], active=(0, 1))) == ["foreign_account"]
    assert not can_sign_in(hq, "office", PASSWORD)


def test_what_everybody_may_write_of_a_user_still_arrives(
    company: Company, hq: Installation, one: Installation, people: dict[str, str]
) -> None:
    one.set("user", people["office"], phone="138")
    company.exchange()
    assert hq.get("user", people["office"])["phone"] == "138"


@pytest.mark.parametrize("whose", ["placed1", "addedBR01"])
def test_a_password_changed_at_the_own_branch_arrives_everywhere(
    company: Company, hq: Installation, one: Installation, people: dict[str, str], whose: str
) -> None:
    one.run("people.set_password", login=whose, password=THEIRS)
    one.set("user", people[whose], login=f"{whose}x")
    company.exchange()
    assert all(can_sign_in(node, f"{whose}x", THEIRS) for node in company.nodes)
    one.set("user", people[whose], active=False)
    one.delete("user", people[whose])
    company.exchange()
    assert not any(can_sign_in(node, f"{whose}x", THEIRS) for node in company.nodes)
    assert len(company.digests) == 1
    assert hq.value("SELECT count(*) FROM sync_quarantine") == 0


def test_a_user_whom_a_branch_adds_and_changes_at_once(company: Company, hq: Installation, one: Installation) -> None:
    user = one.new("user", login="neu", name="新", password=PASSWORD)
    one.run("people.set_password", login="neu", password=THEIRS)
    company.exchange()
    hq.set("user", user, role="staff")
    assert can_sign_in(hq, "neu", THEIRS)


@pytest.mark.parametrize("becomes", ["admin", "elsewhere"])
def test_head_offices_word_ends_what_a_branch_may(
    company: Company, hq: Installation, two: Installation, people: dict[str, str], hashed: str, becomes: str
) -> None:
    user = people["addedBR01"]
    hq.set("user", user, **({"role": "admin"} if becomes == "admin" else {"branch_id": two.store.node.branch_id}))
    assert say(company, change(user, password=(None, hashed))) == ["foreign_account"]
    assert not can_sign_in(hq, "addedBR01", THEIRS)


def test_people_are_told_before_they_change_what_would_not_arrive(
    company: Company, hq: Installation, one: Installation, people: dict[str, str]
) -> None:
    def refused(verb: str, **parameters: Any) -> str:
        with pytest.raises(Refused) as found:
            one.run(verb, **parameters)
        return found.value.code

    office = people["office"]
    assert refused("people.set_password", login="office", password=THEIRS) == "account_elsewhere"
    assert refused("people.set_password", login="admin", password=THEIRS, old_password=PASSWORD) == "account_elsewhere"
    assert refused("records.update_record", entity="user", id=office, values={"active": False}) == "account_elsewhere"
    assert refused("records.delete_record", entity="user", id=office) == "account_elsewhere"
    hq.delete("user", office)
    company.exchange()
    assert refused("records.undelete_record", entity="user", id=office) == "account_elsewhere"
    hq.undelete("user", office)
    hq.set("user", office, branch_id=one.store.node.branch_id)
    company.exchange()
    one.run("people.set_password", login="office", password=THEIRS)
    company.exchange()
    assert can_sign_in(hq, "office", THEIRS)


def test_an_answered_reset_lets_one_password_in_and_nothing_more(
    company: Company, hq: Installation, one: Installation, people: dict[str, str], hashed: str
) -> None:
    user = people["office"]
    before = hq.value("SELECT password FROM user WHERE id = ?", bytes.fromhex(user))

    def answered(login: str, node: Installation) -> str:
        return resets.answer(hq.store, hq.keys, hq.actor, code=resets.ask(node.store, login=login)).code

    answered("office", company.branches["BR02"])
    assert say(company, change(user, password=(before, hashed))) == ["foreign_account"]  # that was another branch
    answer = answered("office", one)
    assert say(company, change(user, password=(before, hashed), login=("office", "x"))) == ["foreign_account"] * 2
    resets.reset_password(one.store, login="office", answer=answer, password=THEIRS)
    (own,) = one.rows("SELECT password FROM user WHERE login = 'office'")
    assert say(company, change(user, password=(before, *own))) == ["foreign_account"] * 2
    assert can_sign_in(hq, "office", THEIRS)
    assert say(company, change(user, password=(*own, before))) == ["foreign_account"] * 3
    answered("admin", one)
    held = hq.value("SELECT password FROM user WHERE login = 'admin'")
    assert say(company, change(people["admin"], password=(held, hashed))) == ["foreign_account"] * 4
    assert can_sign_in(hq, "admin", PASSWORD)
