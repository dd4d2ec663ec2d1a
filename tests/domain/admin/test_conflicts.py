"""Settling what a merge found."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localcrm
from localcrm.domain import verbs
from localcrm.domain.admin import conflicts, reasons
from localcrm.domain.admin.entities import Conflict
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.store import Store

Do = Callable[..., Any]


@pytest.fixture
def found(store: Store) -> Callable[..., str]:
    """A conflict as head office would have noted it."""

    def note(**values: Any) -> str:
        with store.unit_of_work(None) as uow:
            return uow.insert(Conflict.entity_type, Conflict.entity_type.validate(values))

    return note


def test_a_password_is_never_written_into_a_conflict(do: Do, found: Callable[..., str], admin: Actor, store: Store) -> None:
    conflict = found(kind="overwritten", entity="user", record=admin.user_id, field="password")
    for keep in ("lost", "value=Tell-nobody-1"):
        with pytest.raises(AppError) as refused:
            do("admin.resolve_conflict", id=conflict, keep=keep)
        assert refused.value.code == "secret_field"
    assert do("admin.resolve_conflict", id=conflict, keep="kept")["state"] == "resolved"


def test_a_change_of_a_table_nobody_here_knows_can_be_settled(do: Do, found: Callable[..., str]) -> None:
    conflict = found(kind="quarantined", entity="999", record="0" * 32, lost="unknown_table")
    assert do("admin.resolve_conflict", id=conflict, keep="kept")["state"] == "resolved"


def test_a_settled_conflict_is_not_edited_by_hand(do: Do, found: Callable[..., str]) -> None:
    conflict = found(kind="overwritten", entity="customer", record="0" * 32, field="name", kept="新", lost="旧")
    do("admin.resolve_conflict", id=conflict, keep="kept")
    for values in ({"state": ""}, {"lost": ""}, {"state": "open"}):
        with pytest.raises(AppError) as refused:
            do("records.update_record", entity="conflict", id=conflict, values=values)
        assert refused.value.code == "not_editable"


@pytest.fixture
def overwritten(new: Do, found: Callable[..., str]) -> tuple[str, str]:
    """A customer whose telephone number two places changed; the customer and the conflict."""
    customer = new("customer", name="甲", phone="222")["id"]
    conflict = found(kind="overwritten", entity="customer", record=customer, field="phone", base="1", kept="222", lost="111")
    return customer, conflict


def phone(store: Store, customer: str) -> Any:
    with store.read() as connection:
        return connection.value("SELECT phone FROM customer WHERE id = ?", (bytes.fromhex(customer),))


def item(store: Store, actor: Actor, conflict: str) -> conflicts.Item:
    with store.read() as connection:
        (found,) = (one for one in conflicts.find_items(connection, actor)[1] if one.id == conflict)
    return found


def test_a_value_that_changed_since_is_not_overwritten_unseen(do: Do, overwritten: tuple[str, str], admin: Actor, store: Store) -> None:
    customer, conflict = overwritten
    assert not item(store, admin, conflict).changed_since
    do("records.update_record", entity="customer", id=customer, values={"phone": "333"})
    assert (item(store, admin, conflict).now, item(store, admin, conflict).changed_since) == ("333", True)
    with pytest.raises(AppError) as refused:
        do("admin.resolve_conflict", id=conflict, keep="lost", present="222")
    assert refused.value.code == "changed_meanwhile"
    assert phone(store, customer) == "333"
    do("admin.resolve_conflict", id=conflict, keep="lost", present="333")  # who has seen it may
    assert phone(store, customer) == "111"


def test_what_was_settled_is_undone_by_deciding_again(do: Do, overwritten: tuple[str, str], admin: Actor, store: Store) -> None:
    customer, conflict = overwritten
    with pytest.raises(AppError) as refused:
        do("admin.decide_again", id=conflict, keep="kept")
    assert refused.value.code == "not_settled"
    do("admin.resolve_conflict", id=conflict, keep="lost")
    done = do("admin.decide_again", id=conflict, keep="value=222", present="111")
    assert (phone(store, customer), done["state"], done["resolution"], done["resolved_by"]) == (
        "222",
        "resolved",
        "value=222",
        admin.user_id,
    )


def test_a_settled_one_waits_again_with_the_value_before(do: Do, overwritten: tuple[str, str], admin: Actor, store: Store) -> None:
    customer, conflict = overwritten
    with pytest.raises(AppError) as refused:
        do("admin.reopen_conflict", id=conflict)
    assert refused.value.code == "not_settled"
    do("admin.resolve_conflict", id=conflict, keep="lost")
    with pytest.raises(AppError) as refused:
        do("admin.reopen_conflict", id=conflict, put_back="222", present="333")
    assert refused.value.code == "changed_meanwhile"
    assert (item(store, admin, conflict).can_reopen, phone(store, customer)) == (True, "111")
    done = do("admin.reopen_conflict", id=conflict, put_back="222", present="111")
    assert (done["state"], done["resolution"], done["resolved_by"], done["resolved_at"]) == ("open", None, None, None)
    assert (item(store, admin, conflict).can_reopen, phone(store, customer)) == (False, "222")
    do("admin.resolve_conflict", id=conflict, keep="kept")
    do("admin.reopen_conflict", id=conflict)  # what was left as it was has nothing to put back
    assert (item(store, admin, conflict).is_open, phone(store, customer)) == (True, "222")


def test_what_the_program_settled_by_itself_does_not_wait_again(do: Do, found: Callable[..., str]) -> None:
    conflict = found(kind="quarantined", entity="999", record="0" * 32, state="resolved", resolution="applied")
    with pytest.raises(AppError) as refused:
        do("admin.reopen_conflict", id=conflict)
    assert refused.value.code == "applied_since"


def test_who_may_not_settle_it_does_not_reopen_it(store: Store, do: Do, new: Do, overwritten: tuple[str, str]) -> None:
    _customer, conflict = overwritten
    do("admin.resolve_conflict", id=conflict, keep="kept")
    user = new("user", login="wu", name="吴敏")
    do("people.set_rights", login="wu", entity="customer", actions=["read", "update"], scope="own")
    do("people.set_rights", login="wu", entity="conflict", actions=["read", "resolve"], scope="all")
    clerk = actor_by_id(store, user["id"])
    assert clerk is not None
    with pytest.raises(AppError) as refused:
        verbs.run(store, clerk, "admin.reopen_conflict", {"id": conflict})
    assert refused.value.code == "not_found"
    assert verbs.run(store, clerk, "admin.reopen_conflicts", {"choices": [{"id": conflict}]})["reopened"] == []


def test_of_many_the_refused_ones_stay_open(do: Do, found: Callable[..., str], overwritten: tuple[str, str], store: Store) -> None:
    customer, conflict = overwritten
    nameless = found(kind="overwritten", entity="customer", record=customer, field="name", kept="甲", lost=None)
    done = do("admin.settle_conflicts", choices=[{"id": nameless, "keep": "lost"}, {"id": conflict, "keep": "lost"}])
    assert (done["settled"], [(one["id"], one["code"]) for one in done["left"]]) == ([conflict], [(nameless, "required")])
    assert phone(store, customer) == "111"
    with store.read() as connection:
        assert dict(connection.all("SELECT field, state FROM conflict")) == {"name": "open", "phone": "resolved"}


def test_counts_tell_only_what_may_be_seen(
    store: Store, do: Do, new: Do, found: Callable[..., str], overwritten: tuple[str, str], admin: Actor
) -> None:
    found(
        kind="overwritten",
        entity="product",
        record=new("product", code="P", name="布")["id"],
        field="name",
        kept_node="BR01",
        lost_node="HQ",
    )
    user = new("user", login="wu", name="吴敏")
    for kind in ("customer", "conflict"):
        do("people.set_rights", login="wu", entity=kind, actions=["read"], scope="all")
    clerk = actor_by_id(store, user["id"])
    assert clerk is not None
    with store.read() as connection:
        assert (conflicts.count_open(connection, admin), conflicts.count_open(connection, clerk)) == (2, 1)
        assert (conflicts.open_by_branch(connection, admin), conflicts.open_by_branch(connection, clerk)) == ({"BR01": 1, "HQ": 1}, {})


def test_who_may_not_settle_settles_none_of_many(store: Store, do: Do, new: Do, overwritten: tuple[str, str]) -> None:
    customer, conflict = overwritten
    user = new("user", login="wu", name="吴敏")
    do("people.set_rights", login="wu", entity="customer", actions=["read", "update"], scope="own")
    do("people.set_rights", login="wu", entity="conflict", actions=["read", "resolve"], scope="all")
    clerk = actor_by_id(store, user["id"])
    assert clerk is not None
    done = verbs.run(store, clerk, "admin.settle_conflicts", {"choices": [{"id": conflict, "keep": "lost"}]})
    assert (done["settled"], [one["code"] for one in done["left"]]) == ([], ["not_found"])  # the customer is somebody else's
    assert phone(store, customer) == "222"


def test_every_reason_of_the_merge_is_told_in_words() -> None:
    root = Path(localcrm.__file__).parent
    source = "".join(path.read_text() for path in (*(root / "sync").glob("*.py"), root / "domain/approvals/rules.py"))
    said = set(re.findall(r'(?:return|else) "([a-z]+_[a-z_]+)"', source) + re.findall(r'"([a-z]+_[a-z_]+)" if ', source))
    assert {"not_owner", "posted_document", "not_decider"} <= said
    assert said - reasons.REASONS.keys() == set()


def test_restoring_settles_what_is_open_about_the_deletion_where_one_may(
    do: Do, new: Do, found: Callable[..., str], admin: Actor, store: Store
) -> None:
    customer = new("customer", name="甲")["id"]
    do("records.delete_record", entity="customer", id=customer)
    conflict = found(kind="deleted_edited", entity="customer", record=customer, field="deleted", kept="true", lost="false")
    found(kind="overwritten", entity="customer", record=customer, field="phone", kept="1", lost="2")
    user = new("user", login="wu", name="吴敏")
    do("people.set_rights", login="wu", entity="customer", actions=["read", "update"], scope="all")
    do("people.set_rights", login="wu", entity="conflict", actions=["read"], scope="all")
    clerk = actor_by_id(store, user["id"])
    assert clerk is not None
    kind = entity("customer")
    with store.read() as connection:
        settled = [conflicts.settled_by_restoring(connection, who, kind, customer) for who in (admin, clerk)]
    assert settled == [[conflict], []]
    do("admin.resolve_conflict", id=conflict, keep="value=false")
    with store.read() as connection:
        assert connection.value("SELECT deleted FROM customer") == 0
        assert conflicts.settled_by_restoring(connection, admin, kind, customer) == []
