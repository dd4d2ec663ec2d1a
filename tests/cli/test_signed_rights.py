"""What “check” says of rights that were changed past the program, and how they are put right."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from tests.cli.conftest import Terminal


def by_hand(office: Terminal, statement: str) -> None:
    """Change the data file with a tool for SQLite, its triggers off meanwhile."""
    with closing(sqlite3.connect(office.folder / "localcrm.db")) as raw:
        triggers = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for order in (*(f'DROP TRIGGER "{name}"' for name, _sql in triggers), statement, *(sql for _name, sql in triggers)):
            raw.execute(order)
        raw.commit()


def codes(office: Terminal, *words: str) -> list[str]:
    return [problem["code"] for problem in json.loads(office.run("check", *words, "--json").stdout)["problems"]]


def test_check_names_rights_changed_by_hand_and_puts_them_back(office: Terminal) -> None:
    office.as_admin("new", "user", "login=mei", "name=何小梅", f"password={office.password}")
    assert codes(office) == []
    by_hand(office, "UPDATE \"user\" SET role = 'admin' WHERE login = 'mei'")
    assert codes(office) == ["policy_altered"]
    assert office.refused("list", "customer", "--as", "mei") == "no_rights"
    assert codes(office, "--repair") == []
    assert office.refused("list", "customer", "--as", "mei") == "no_rights"


def test_an_administrator_signs_what_was_changed_by_hand(office: Terminal) -> None:
    office.as_admin("new", "user", "login=mei", "name=何小梅", f"password={office.password}")
    by_hand(office, "UPDATE \"user\" SET role = 'staff' WHERE login = 'mei'")
    assert office.as_admin("do", "people.sign_rights") == {"number": 2}
    assert codes(office) == []
    assert office.json("list", "customer", "--as", "mei")["total"] == 0
