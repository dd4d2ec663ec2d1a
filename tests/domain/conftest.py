"""A small company in a real data folder, and one way to act in it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import subjects, verbs
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.policy import Actor
from localcrm.store.node import OFFICE_NO, Node, save_node
from localcrm.store.store import Store, create_store

assert subjects.SUBJECTS
PASSWORD = "Correct-Horse-7"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Head office of a company that has just been set up."""
    opened = create_store(tmp_path / "hq")
    node = Node(secrets.token_bytes(16), "HQ", "总部", "office", OFFICE_NO, secrets.token_bytes(8), 0)
    with opened.housekeeping() as connection:
        save_node(connection, node)
    yield opened
    opened.close()


@pytest.fixture
def admin(store: Store) -> Actor:
    """The administrator."""
    return set_up_office(store, login="admin", name="王芳", password=PASSWORD)


@pytest.fixture
def do(store: Store, admin: Actor) -> Callable[..., Any]:
    """Run a verb as the administrator: ``do("sales.post_order", order_id=…)``."""
    return lambda verb, **parameters: verbs.run(store, admin, verb, parameters)


@pytest.fixture
def new(do: Callable[..., Any]) -> Callable[..., Any]:
    """Add a record: ``new("customer", name="…")``."""
    return lambda entity, **values: do("records.create_record", entity=entity, values=values)
