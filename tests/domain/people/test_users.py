"""Signing in, passwords, and the last administrator."""

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain.people.services import authenticate
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError, SignInNeeded, StaleRecord
from localcrm.kernel.schema import entity
from localcrm.store import changelog
from localcrm.store.store import Store
from tests.domain.conftest import PASSWORD

Do = Callable[..., Any]


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(AppError) as refused:
        call()
    return refused.value.code


def test_sign_in_tells_nothing_about_what_was_wrong(store: Store, admin: Actor) -> None:
    assert authenticate(store, "admin", PASSWORD).user_id == admin.user_id
    assert (
        code_of(lambda: authenticate(store, "admin", "wrong"))
        == code_of(lambda: authenticate(store, "nobody", PASSWORD))
        == "bad_credentials"
    )
    assert code_of(lambda: authenticate(store, "admin", "")) == "bad_credentials"


def test_a_user_without_a_role_cannot_sign_in(store: Store, new: Do) -> None:
    new("user", login="lin", name="林晓", password="Branch-Office-1")
    with pytest.raises(SignInNeeded) as refused:
        authenticate(store, "lin", "Branch-Office-1")
    assert refused.value.code == "no_rights"


@pytest.mark.parametrize("password", ["1234567", "aaaaaaaaaa", "abababab"])
def test_weak_passwords_are_refused(new: Do, password: str) -> None:
    assert code_of(lambda: new("user", login="lin", name="林晓", password=password)) == "weak_password"


def test_the_password_is_hashed_and_never_shown(store: Store, new: Do) -> None:
    user = new("user", login="lin", name="林晓", password="Branch-Office-1")
    assert "password" not in user or user["password"] != "Branch-Office-1"
    with store.read() as connection:
        stored = connection.value('SELECT password FROM "user" WHERE login = ?', ("lin",))
        told = [row for row in changelog.history(connection, entity("user"), user["id"]) if row.field == "password"]
    assert stored.startswith("$argon2id$")
    assert [(row.old, row.new) for row in told] in ([], [(None, None)])


def test_logins_are_unique(new: Do) -> None:
    assert code_of(lambda: new("user", login="admin", name="另一个")) == "login_taken"


def test_the_last_administrator_stays(do: Do, new: Do, admin: Actor) -> None:
    def change(**values: str) -> Any:
        return do("records.update_record", entity="user", id=admin.user_id, values=values)

    assert code_of(lambda: change(role="staff")) == "last_admin"
    assert code_of(lambda: change(active="false")) == "last_admin"
    assert code_of(lambda: do("records.delete_record", entity="user", id=admin.user_id)) == "last_admin"
    new("user", login="second", name="第二位", role="admin", password="Second-Admin-2")
    assert change(role="staff")["role"] == "staff"


def test_staff_may_work_but_not_manage_users(store: Store, new: Do) -> None:
    from localcrm.domain import verbs

    new("user", login="lin", name="林晓", password="Branch-Office-1", role="staff")
    staff = authenticate(store, "lin", "Branch-Office-1")
    made = verbs.run(store, staff, "records.create_record", {"entity": "customer", "values": {"name": "甲"}})
    assert made["owner_id"] == staff.user_id
    assert (
        code_of(lambda: verbs.run(store, staff, "records.create_record", {"entity": "user", "values": {"login": "x", "name": "x"}}))
        == "forbidden"
    )


def test_a_password_is_changed_with_the_old_one(store: Store, do: Do, admin: Actor) -> None:
    assert code_of(lambda: do("people.set_password", login="admin", password="New-Password-9", old_password="wrong")) == "wrong_password"
    do("people.set_password", login="admin", password="New-Password-9", old_password=PASSWORD)
    assert authenticate(store, "admin", "New-Password-9").user_id == admin.user_id


def test_a_password_is_taken_exactly_as_typed(store: Store, new: Do) -> None:
    new("user", login="li", name="李", role="staff", password="  Spaces both ends 1 ")
    assert authenticate(store, "li", "  Spaces both ends 1 ").login == "li"
    assert code_of(lambda: authenticate(store, "li", "Spaces both ends 1")) == "bad_credentials"


def test_a_stale_save_shows_no_hash(do: Do, new: Do) -> None:
    user = new("user", login="li", name="李")
    values = {"password": "Something-new-1", "name": "李明"}
    with pytest.raises(StaleRecord) as refused:
        do("records.update_record", entity="user", id=user["id"], values=values, version=user["version"] + 1)
    assert refused.value.differences == [("name", "李明", "李")]


def test_two_people_given_one_login_apart_both_sign_in(store: Store, new: Do) -> None:
    for name, login in (("李明", "li"), ("李红", "other")):
        new("user", login=login, name=name, role="staff", password=f"Passwort-{name}")
    with store.unit_of_work(None) as uow:  # as a merge brings it
        uow.connection.execute("UPDATE user SET login = 'li' WHERE login = 'other'")
    assert [authenticate(store, "li", f"Passwort-{name}").name for name in ("李明", "李红")] == ["李明", "李红"]
