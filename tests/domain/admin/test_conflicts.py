"""Settling what a merge found."""

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain.admin.entities import Conflict
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
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
