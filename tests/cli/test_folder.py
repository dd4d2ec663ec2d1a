"""Setting up, backing up, restoring and checking from the command line."""

from __future__ import annotations

import re

from tests.cli.conftest import PASSWORD, Terminal


def test_an_office_is_set_up_once(tmp_path) -> None:
    terminal = Terminal(tmp_path / "hq")
    words = ("init", "--role", "office", "--code", "hq", "--name", "总部")
    made = terminal.json(*words, "--admin", "boss")
    assert len(made.pop("admin_recovery_code").split()) == 8
    assert made == {"role": "office", "code": "HQ", "name": "总部", "data": str(terminal.folder), "admin": "boss"}
    assert terminal.json("list", "user", "--as", "boss")["total"] == 1
    assert terminal.refused(*words) == "already_set_up"
    assert oct(terminal.folder.stat().st_mode & 0o777) == "0o700"
    assert oct((terminal.folder / "keys" / "node.bin").stat().st_mode & 0o777) == "0o600"


def test_a_refused_set_up_leaves_nothing(tmp_path) -> None:
    terminal = Terminal(tmp_path / "hq")
    assert terminal.refused("init", "--role", "office", "--code", "HQ", "--name", "n", LOCALCRM_PASSWORD="") == "password_needed"
    assert terminal.refused("init", "--role", "office", "--code", "HQ", "--name", "n", LOCALCRM_PASSWORD="aaaaaaaaaa") == "weak_password"
    assert terminal.refused("demo", LOCALCRM_PASSWORD="short") == "weak_password"
    assert terminal.refused("init", "--role", "office", "--code", "H-Q", "--name", "n") == "bad_code"
    assert terminal.refused("init", "--role", "branch", "--code", "HQ", "--name", " ") == "required"
    assert not terminal.folder.exists()


def test_a_branch_has_no_users_until_it_is_let_in(tmp_path) -> None:
    terminal = Terminal(tmp_path / "b")
    assert terminal.json("init", "--role", "branch", "--code", "BR01", "--name", "分店")["role"] == "branch"
    assert terminal.refused("list", "customer", "--as", "admin") == "bad_credentials"


def test_a_folder_with_a_passphrase(tmp_path) -> None:
    terminal = Terminal(tmp_path / "hq")
    both = f"open sesame\n{PASSWORD}\n"
    stdin = ("--passphrase-stdin", "--password-stdin")
    made = terminal.json("init", "--role", "office", "--code", "HQ", "--name", "总部", *stdin, stdin=both, LOCALCRM_PASSWORD="")
    assert len(made["recovery_code"].split()) == 8
    assert b"SQLite format 3" not in (terminal.folder / "localcrm.db").read_bytes()[:100]
    assert terminal.json("list", "user", "--as", "admin", *stdin, stdin=both)["total"] == 1
    assert terminal.json("check", LOCALCRM_PASSPHRASE="open sesame") == {"ok": True, "problems": []}
    assert terminal.refused("check") == "passphrase_needed"
    assert terminal.refused("check", "--passphrase-stdin", stdin="guess\n") == "wrong_passphrase"


def test_a_forgotten_passphrase_is_replaced_with_the_recovery_code(tmp_path) -> None:
    terminal = Terminal(tmp_path / "hq")
    both = ("--passphrase-stdin", "--password-stdin")
    made = terminal.json("init", "--role", "office", "--code", "HQ", "--name", "总部", *both, stdin=f"forgotten\n{PASSWORD}\n")
    change = ("passphrase", "--passphrase-stdin")
    typed = made["recovery_code"].lower().replace(" ", "-")
    assert terminal.refused(*change, "--recovery-code", stdin=f"{typed[:-1]}?\nCorrect-Horse-8\n") == "recovery_code_mistyped"
    assert terminal.refused(*change, "--recovery-code", stdin=f"{typed}\nabc\n") == "weak_password"
    assert terminal.json(*change, "--recovery-code", stdin=f"{typed}\nCorrect-Horse-8\n")["changed"]
    assert terminal.refused("check", LOCALCRM_PASSPHRASE="forgotten") == "wrong_passphrase"
    assert terminal.json(*change, stdin="Correct-Horse-8\nCorrect-Horse-9\n")["changed"]
    assert terminal.json("check", LOCALCRM_PASSPHRASE="Correct-Horse-9")["ok"]
    assert terminal.json(*change, "--recovery-code", stdin=f"{typed}\nCorrect-Horse-7\n")["changed"]  # the code stays good


def test_a_folder_without_a_passphrase_says_so(office) -> None:
    assert office.refused("passphrase", "--passphrase-stdin", stdin="a\nCorrect-Horse-8\n") == "no_passphrase"


def test_backup_and_restore(office, tmp_path) -> None:
    office.as_admin("new", "customer", "name=甲")
    file = tmp_path / "a.backup"
    made = office.json("backup", "-o", str(file))
    assert made == {"file": str(file), "bytes": file.stat().st_size, "verified": True}
    restored = Terminal(tmp_path / "again")
    assert restored.json("restore", str(file), "--into", str(restored.folder))["folder"] == str(restored.folder)
    assert restored.as_admin("list", "customer")["total"] == 1
    # A copy never gives out a number of the original again: its second epoch has letters.
    assert re.fullmatch("C-HQB[A-Z]{3}-000001", restored.as_admin("new", "customer", "name=乙")["number"])
    assert office.as_admin("new", "customer", "name=乙")["number"] == "C-HQ-000002"
    assert restored.json("check") == {"ok": True, "problems": []}
    assert restored.refused("restore", str(file), "--into", str(restored.folder)) == "folder_not_empty"


def test_restore_refuses_what_is_no_backup(office, tmp_path) -> None:
    for name, data in (("empty", b""), ("text", b"hello"), ("zip", b"PK\x05\x06" + bytes(18))):
        (tmp_path / name).write_bytes(data)
        assert office.refused("restore", str(tmp_path / name), "--into", str(tmp_path / "new")) == "bad_backup"
    assert office.refused("restore", str(tmp_path / "none"), "--into", str(tmp_path / "new")) == "no_such_file"
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_not_there(tmp_path) -> None:
    assert Terminal(tmp_path / "none").refused("check") == "no_data_folder"
    assert not (tmp_path / "none").exists()


def test_something_else_in_place_of_the_data_file(office) -> None:
    (office.folder / "localcrm.db").write_bytes(b"this is not a database, it is a letter" * 200)
    for leftover in office.folder.glob("localcrm.db-*"):
        leftover.unlink()
    assert office.refused("list", "customer", "--as", "admin") == "wrong_key"


def test_check_finds_and_mends_a_wrong_total(office) -> None:
    from localcrm.app import open_folder

    office.as_admin("new", "customer", "name=甲", "level=deal")
    application = open_folder(office.folder)
    with application.store.housekeeping() as connection:
        connection.execute("UPDATE customer_by_level SET total = 7")
        connection.execute("DROP TRIGGER customer_upd")
    application.close()
    found = office.run("check", "--json")
    assert found.exit_code == 1
    assert '"wrong_total"' in found.stdout
    assert '"wrong_trigger"' in found.stdout
    assert office.json("check", "--repair") == {"ok": True, "problems": []}
    assert office.json("check") == {"ok": True, "problems": []}
