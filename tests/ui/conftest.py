"""A running program without a network: the real store, sessions and guard around an application."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import subjects, verbs
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.people.sessions import sign_in
from localcrm.domain.policy import Actor
from localcrm.store.node import OFFICE_NO, Node, save_node
from localcrm.store.store import Store, create_store
from localcrm.ui.guard import Guard
from localcrm.ui.program import Program

assert subjects.SUBJECTS
PASSWORD = "Correct-Horse-7"
PORT = 8460
HOST = f"127.0.0.1:{PORT}"
COOKIE = "localcrm_test"


@dataclass
class Office:
    """Head office with its administrator, and a program on it."""

    store: Store
    admin: Actor
    program: Program

    def new(self, entity: str, **values: Any) -> dict[str, Any]:
        return verbs.run(self.store, self.admin, "records.create_record", {"entity": entity, "values": values})

    def run(self, verb: str, **parameters: Any) -> Any:
        """One user action of the administrator."""
        return verbs.run(self.store, self.admin, verb, parameters)

    def token(self, login: str = "admin") -> str:
        return sign_in(self.store, login=login, password=PASSWORD)[1]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    store = create_store(tmp_path / "hq")
    with store.housekeeping() as connection:
        save_node(connection, Node(secrets.token_bytes(16), "HQ", "总部", "office", OFFICE_NO, secrets.token_bytes(8), 0))
    admin = set_up_office(store, login="admin", name="王芳", password=PASSWORD)
    program = Program(tmp_path / "hq", PORT)
    program.adopt(store)
    yield Office(store, admin, program)
    store.close()


def guarded(office: Office, app: Any) -> Guard:
    return Guard(app, office.program, office.program.sessions, cookie=COOKIE)
