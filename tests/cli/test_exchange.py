"""A branch joins, both work apart and exchange by file: everything by commands."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.cli.conftest import PASSWORD, Terminal

COUNTS = {"sent", "received", "applied", "duplicate", "conflicts", "quarantined"}


@pytest.fixture
def branch(office, tmp_path) -> Terminal:
    terminal = Terminal(tmp_path / "br01")
    terminal.json("init", "--role", "branch", "--code", "BR01", "--name", "义乌")
    invite, request, reply = (str(tmp_path / name) for name in ("invite", "request", "reply"))
    office.as_admin("sync", "invite", "BR01", "-o", invite)
    assert terminal.json("sync", "join", invite, "-o", request) == {"enrolled": False, "file": request}
    office.as_admin("sync", "approve", request, "-o", reply)
    assert terminal.json("sync", "join", reply) == {"enrolled": True, "file": None}
    return terminal


@pytest.fixture(params=["serve-hub", "the running program"])
def hub(office, request, server_environment) -> Iterator[str]:
    """Address at which head office answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve-hub"] if request.param == "serve-hub" else ["--no-browser"]
    command = [sys.executable, "-m", "localcrm", *words, "--port", str(port), "--data", str(office.folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=server_environment)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def exchange(office: Terminal, branch: Terminal) -> list[dict[str, int]]:
    stick = str(office.folder.parent / "stick")
    done = []
    for sender, receiver, words in ((branch, office, ()), (office, branch, ("--for", "BR01"))):
        assert set(sender.json("sync", "pack", *words, "-o", stick)) == {"changes", "bytes"}
        done.append(receiver.json("sync", "unpack", stick))
        assert set(done[-1]) == COUNTS
    return done


def test_work_done_apart_is_merged_and_shown(office, branch) -> None:
    identity = branch.as_admin("new", "customer", "name=甲公司", "phone=1")["id"]
    exchange(office, branch)
    branch.as_admin("set", "customer", identity, "phone=2")
    office.as_admin("set", "customer", identity, "phone=3")
    exchange(office, branch)
    assert office.json("sync", "digest", "--for", "BR01") == branch.json("sync", "digest")
    found = branch.json("sync", "conflicts")
    assert found == office.json("sync", "conflicts")
    (row,) = found["rows"]
    assert list(row) == "id kind entity record field base kept lost kept_by lost_by kept_at lost_at state".split()
    assert (row["kind"], row["record"], row["field"], row["base"], row["kept"], row["lost"]) == (
        "overwritten",
        identity,
        "phone",
        "1",
        "3",
        "2",
    )
    assert office.as_admin("sync", "resolve", row["id"], "--keep", "lost")["state"] == "resolved"
    assert office.as_admin("get", "customer", identity)["phone"] == "2"


def test_a_quiet_exchange_applies_nothing(office, branch) -> None:
    branch.as_admin("new", "customer", "name=甲公司")
    exchange(office, branch)
    exchange(office, branch)
    assert [done["applied"] for done in exchange(office, branch)] == [0, 0]


def test_status_tells_what_waits(office, branch) -> None:
    branch.as_admin("new", "customer", "name=甲公司")
    status = branch.json("sync", "status")
    assert {"role": "branch", "code": "BR01", "waiting": 1, "branches": []}.items() <= status.items()
    assert [entry["code"] for entry in office.json("sync", "status")["branches"]] == ["BR01"]


def test_a_young_log_stays_as_it_is(office, branch) -> None:
    office.as_admin("new", "customer", "name=甲公司")
    exchange(office, branch)
    for node in (office, branch):
        assert node.json("sync", "compact") == {"moved": 0, "horizon": 0}
        assert node.json("check")["ok"]


def test_a_restored_branch_goes_on_under_a_new_epoch(office, branch, tmp_path) -> None:
    branch.as_admin("new", "customer", "name=甲")
    branch.json("backup", "-o", str(tmp_path / "b"))
    branch.as_admin("new", "customer", "name=乙")
    exchange(office, branch)
    again = Terminal(tmp_path / "again")
    again.json("restore", str(tmp_path / "b"), "--into", str(again.folder))
    assert re.fullmatch(r"C-BR01B[A-Z]{3}-000001", again.as_admin("new", "customer", "name=丙")["number"])
    exchange(office, again)
    exchange(office, again)
    assert office.json("sync", "digest", "--for", "BR01") == again.json("sync", "digest")
    assert sorted(row["name"] for row in again.as_admin("list", "customer")["rows"]) == sorted(["甲", "乙", "丙"])


def test_what_is_refused_changes_nothing(office, branch, tmp_path) -> None:
    output = str(tmp_path / "out")
    assert office.refused("sync", "invite", "BR02", "-o", output) == "sign_in_needed"
    assert office.refused("sync", "invite", "BR01", "-o", output, "--as", "admin") == "branch_exists"
    assert office.refused("sync", "pack", "-o", output) == "which_branch"
    assert office.refused("sync", "pack", "--for", "BR09", "-o", output) == "unknown_branch"
    assert branch.refused("sync", "run") == "no_office_address"
    assert office.refused("serve-hub", "--data", str(branch.folder)) == "not_office"
    (tmp_path / "garbage").write_bytes(b"garbage" * 100)
    assert office.refused("sync", "unpack", str(tmp_path / "garbage")) == "not_a_bundle"
    assert office.refused("sync", "unpack", str(tmp_path / "none")) == "no_such_file"
    assert (
        office.refused("sync", "approve", str(tmp_path / "request"), "-o", str(tmp_path / "no" / "reply"), "--as", "admin")
        == "no_such_folder"
    )
    assert office.refused("sync", "approve", str(tmp_path / "request"), "-o", output, "--as", "admin") == "bad_request"
    assert not (tmp_path / "out").exists()


def test_files_of_joining_lie_beside_each_other_unless_told(office, tmp_path) -> None:
    branch = Terminal(tmp_path / "br02")
    branch.json("init", "--role", "branch", "--code", "BR02", "--name", "广州")
    office.as_admin("sync", "invite", "BR02", "-o", str(tmp_path / "br02.invite"))
    assert branch.json("sync", "join", str(tmp_path / "br02.invite"))["file"] == str(tmp_path / "br02.request")
    assert office.as_admin("sync", "approve", str(tmp_path / "br02.request"))["file"] == str(tmp_path / "br02.reply")
    assert branch.json("sync", "unpack", str(tmp_path / "br02.reply"))["quarantined"] == 0
    assert branch.as_admin("list", "user")["total"] == 1


def test_an_exchange_over_http(office, branch, hub) -> None:
    branch.as_admin("new", "customer", "name=甲公司")
    assert branch.json("sync", "join", str(office.folder.parent / "reply"), "--url", hub)["enrolled"]
    done = branch.json("sync", "run")
    assert (set(done), done["sent"]) == (COUNTS, 1)
    assert branch.json("sync", "run")["applied"] == 0
    assert office.json("sync", "digest", "--for", "BR01") == branch.json("sync", "digest")
    assert office.refused("sync", "run") == "not_branch"


def test_staff_may_not_manage_the_exchange(office, branch, tmp_path) -> None:
    office.as_admin("new", "user", "login=bob", "name=Bob", f"password={PASSWORD}", "role=staff")
    assert office.refused("sync", "invite", "BR02", "-o", str(tmp_path / "i"), "--as", "bob") == "forbidden"
    assert office.refused("sync", "pack", "--for", "BR01", "-o", str(tmp_path / "p"), "--as", "bob") == "forbidden"


@pytest.mark.parametrize("name", ["localcrm.db", "localcrm.db-wal", "keys/node.bin"])
def test_an_exchange_file_never_takes_the_place_of_the_data(office, branch, name) -> None:
    for words in (["sync", "pack", "--for", "BR01"], ["sync", "invite", "BR02", "--as", "admin"]):
        assert office.refused(*words, "-o", str(office.folder / name)) == "bad_target"
    assert office.json("check") == {"ok": True, "problems": []}


def test_a_branch_moves_to_a_new_computer(office, branch, tmp_path) -> None:
    file, new = tmp_path / "moved", Terminal(tmp_path / "new")
    move = ("move", "-o", str(file), "--passphrase-stdin")
    assert branch.refused(*move, stdin="\nabc\n") == "weak_password"
    assert branch.json(*move, stdin="\nKarton-im-Haus-7\n")["code"] == "BR01"
    assert branch.refused("check") == "moved_away"
    arrive = ("arrive", str(file), "--into", str(new.folder), "--passphrase-stdin")
    assert new.refused(*arrive, stdin="falsch\n") == "wrong_passphrase"
    assert new.json(*arrive, stdin="Karton-im-Haus-7\n") == {"folder": str(new.folder), "code": "BR01"}
    assert new.as_admin("new", "customer", "name=新电脑")["number"] == "C-BR01-000001"
    assert new.json("check") == {"ok": True, "problems": []}
    assert office.refused(*move[:2], str(tmp_path / "hq"), move[3], stdin="\nKarton-im-Haus-7\n") == "not_branch"


def test_a_move_is_taken_back(branch, tmp_path) -> None:
    branch.json("move", "-o", str(tmp_path / "moved"), "--passphrase-stdin", stdin="\nKarton-im-Haus-7\n")
    assert branch.json("move", "--take-back") == {"code": "BR01", "moved": True}
    assert branch.as_admin("new", "customer", "name=原来的电脑")["number"] == "C-BR01-000001"
    assert branch.refused("move") == "required"


def test_keys_are_changed_and_the_others_follow(office, branch, tmp_path) -> None:
    stick = str(tmp_path / "late")
    branch.as_admin("new", "customer", "name=甲公司")
    branch.json("sync", "pack", "-o", stick)
    for node in (office, branch):
        done = node.as_admin("sync", "rotate-keys")
        assert set(done) == {"code", "fingerprint", "signed"}
        assert done["signed"] is True
        assert len(done["fingerprint"].split()) == 6
    assert office.json("sync", "unpack", stick)["applied"] == 1
    exchange(office, branch)
    exchange(office, branch)
    assert office.json("sync", "digest") == branch.json("sync", "digest")
    assert office.json("check")["problems"] == branch.json("check")["problems"] == []
    (known,) = office.json("sync", "status")["branches"]
    assert (known["fingerprint"], known["knows_keys"]) == (done["fingerprint"], True)
    assert office.refused("sync", "rotate-keys", "--lost", "--as", "admin") == "keys_lost_at_office"


def test_stolen_keys_are_revoked_and_new_ones_compared(office, branch, tmp_path) -> None:
    stick = str(tmp_path / "stick")
    branch.json("sync", "pack", "-o", stick)
    assert office.as_admin("sync", "revoke-keys", "br01") == {"code": "BR01"}
    assert office.refused("sync", "unpack", stick) == "renew_keys"
    (branch.folder / "keys" / "node.bin").unlink()
    digits = branch.as_admin("sync", "rotate-keys", "--lost")["fingerprint"]
    branch.json("sync", "pack", "-o", stick)
    assert office.refused("sync", "unpack", stick) == "keys_wait"
    assert office.refused("sync", "approve-keys", "BR01", "--fingerprint", "1 2 3", "--as", "admin") == "other_keys_wait"
    assert office.as_admin("sync", "approve-keys", "BR01", "--fingerprint", digits)["fingerprint"] == digits
    exchange(office, branch)
    assert branch.json("check")["problems"] == []


def test_a_branch_joins_by_words_over_the_network(office, tmp_path, hub) -> None:
    branch = Terminal(tmp_path / "br01")
    branch.json("init", "--role", "branch", "--code", "BR01", "--name", "义乌")
    assert branch.refused("sync", "join") == "no_invite"
    told = office.as_admin("sync", "invite", "BR01", "-o", str(tmp_path / "invite"), "--url", hub)
    assert len(told["words"].split()) == 11
    asked = branch.json("sync", "join", "--words", told["words"], "--url", told["url"])
    assert asked["enrolled"] is False
    assert office.refused("sync", "approve-join", "BR01", "--fingerprint", "1", "--as", "admin") == "other_request_waits"
    assert office.as_admin("sync", "approve-join", "br01", "--fingerprint", asked["fingerprint"]) == {"code": "BR01"}
    assert branch.json("sync", "join")["enrolled"] is True
    assert set(branch.json("sync", "run")) == COUNTS
    assert office.json("sync", "digest") == branch.json("sync", "digest")


def test_a_file_that_is_small_enough_stays_whole_and_a_folder_is_read(office, branch, tmp_path) -> None:
    branch.as_admin("new", "customer", "name=甲公司")
    mail = tmp_path / "mail"
    mail.mkdir()
    whole = branch.json("sync", "pack", "-o", str(mail / "file"), "--part-mb", "5")
    assert whole["files"] == [str(mail / "file")]
    assert office.json("sync", "unpack", str(mail))["applied"] == 1
    assert office.json("sync", "unpack", str(mail / "file"), str(mail / "file"))["duplicate"] == 2
    (mail / "file").unlink()
    assert office.refused("sync", "unpack", str(mail)) == "no_exchange_files"


def test_head_office_decides_what_a_branch_holds(office, branch, tmp_path) -> None:
    assert office.as_admin("sync", "holds", "br01", "own") == {"code": "BR01", "holds": "own"}
    exchange(office, branch)
    (known,) = office.json("sync", "status")["branches"]
    assert known["holds"] == "own"
    assert office.json("sync", "digest", "--for", "BR01") == branch.json("sync", "digest")
    assert branch.refused("sync", "holds", "BR01", "all", "--as", "admin") == "not_office"
    assert office.as_admin("sync", "holds", "br01", "own_customers")["holds"] == "own_customers"
