"""A forgotten password by script: asked at a branch, answered at head office, used at the branch; and the recovery code of an office."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import PASSWORD, Terminal

NEW = "Brand-New-Word-9"


@pytest.fixture
def branch(office: Terminal, tmp_path: Path) -> Terminal:
    """A branch that knows the users of head office."""
    made = Terminal(tmp_path / "br01")
    made.json("init", "--role", "branch", "--code", "BR01", "--name", "分店")
    office.as_admin("new", "user", "login=lin", "name=林晓", f"password={PASSWORD}", "role=staff")
    invite, request, reply = (str(tmp_path / name) for name in ("invite", "request", "reply"))
    office.as_admin("sync", "invite", "BR01", "-o", invite)
    made.json("sync", "join", invite, "-o", request)
    office.as_admin("sync", "approve", request, "-o", reply)
    made.json("sync", "join", reply)
    return made


def test_a_reset_from_branch_to_head_office_and_back(office: Terminal, branch: Terminal, tmp_path: Path) -> None:
    question = branch.json("reset", "ask", "lin")["question"]
    assert office.as_admin("reset", "answer", question, "--look") == {"branch": "BR01", "login": "lin", "name": "林晓"}
    answered = office.as_admin("reset", "answer", question)
    assert answered["until"].endswith("Z")
    file = tmp_path / "answer.txt"
    file.write_text(answered["answer"], encoding="utf-8")
    assert branch.json("reset", "use", "lin", "--file", str(file), LOCALCRM_PASSWORD=NEW)["changed"]
    assert branch.json("list", "customer", "--as", "lin", LOCALCRM_PASSWORD=NEW)["total"] == 0
    assert branch.refused("reset", "use", "lin", answered["answer"], LOCALCRM_PASSWORD="Third-Word-10") == "reset_used"


def test_what_is_missing_is_wrong_usage(branch: Terminal) -> None:
    result = branch.run("reset", "use", "lin")
    assert (result.exit_code, result.stdout) == (2, "")
    assert branch.refused("reset", "use", "lin", "--file", str(branch.folder / "none")) == "no_file"
    assert branch.refused("reset", "recover", "admin", "0" * 32, LOCALCRM_PASSWORD=NEW) == "ask_head_office"


def test_an_office_recovers_itself(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "hq")
    code = terminal.json("init", "--role", "office", "--code", "HQ", "--name", "总部")["admin_recovery_code"]
    following = terminal.json("reset", "recover", "admin", code, LOCALCRM_PASSWORD=NEW)["admin_recovery_code"]
    assert terminal.json("list", "user", "--as", "admin", LOCALCRM_PASSWORD=NEW)["total"] == 1
    assert terminal.refused("reset", "recover", "admin", code, LOCALCRM_PASSWORD="Third-Word-10") == "wrong_recovery_code"
    newest = terminal.json("reset", "new-code", "--as", "admin", LOCALCRM_PASSWORD=NEW)["admin_recovery_code"]
    assert terminal.refused("reset", "recover", "admin", following, LOCALCRM_PASSWORD="Third-Word-10") == "wrong_recovery_code"
    assert terminal.json("reset", "recover", "admin", newest, LOCALCRM_PASSWORD="Third-Word-10")["changed"]
    assert terminal.refused("reset", "ask", "admin") == "own_office"


def test_the_code_is_printed_for_people_too(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "hq")
    printed = terminal.run("init", "--role", "office", "--code", "HQ", "--name", "总部").stdout.splitlines()
    assert len(printed[-1].split()) == 8
    with pytest.raises(json.JSONDecodeError):
        json.loads(printed[0])
