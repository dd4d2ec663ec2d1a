"""What the program notes in the system log by itself, and what “check” says of a log that was tampered with."""

from __future__ import annotations

import json
import secrets
import sqlite3
from contextlib import closing

from localcrm.app import open_folder
from localcrm.store import eventlog
from localcrm.sync.identity import NodeKeys
from tests.cli.conftest import Terminal


def noted(office: Terminal) -> list[tuple[str, str]]:
    """Kind and detail, oldest first."""
    application = open_folder(office.folder)
    with application.store.read() as connection:
        found = [(event.kind, event.detail) for event in reversed(eventlog.rows(connection))]
    application.close()
    return found


def test_imports_passwords_backups_and_restores_are_noted(office, tmp_path) -> None:
    file, backup = tmp_path / "a.csv", tmp_path / "a.backup"
    file.write_text("name\n甲\n\n乙\n", encoding="utf-8")
    office.as_admin("import", "customer", str(file), "--map", "name=name", "--dry-run")
    office.as_admin("import", "customer", str(file), "--map", "name=name")
    office.json("backup", "-o", str(backup))
    restored = Terminal(tmp_path / "again")
    restored.json("restore", str(backup), "--into", str(restored.folder))
    imported = ("import", "customer created=2 updated=0 skipped=0 failed=0")
    assert noted(office) == [imported, ("backup", "a.backup")]
    assert noted(restored) == [imported, ("restore", "HQ")]
    assert restored.json("check") == {"ok": True, "problems": []}


def test_check_says_what_it_cannot_know(office) -> None:
    assert "countersigns" in office.run("check").stdout


def test_check_names_an_altered_row_and_a_foreign_signature(office) -> None:
    application = open_folder(office.folder)
    application.store.log("sign_in", detail="Firefox")
    application.store.log("sign_out", detail="Firefox")
    application.close()
    assert office.json("check") == {"ok": True, "problems": []}
    stranger = NodeKeys.generate().sign(b"anything").hex()
    with closing(sqlite3.connect(office.folder / "localcrm.db")) as raw:
        trigger = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'event_log_update'").fetchone()[0]
        raw.execute("DROP TRIGGER event_log_update")
        raw.execute("UPDATE event_log SET detail = 'Firefix' WHERE id = 1")
        raw.execute(f"UPDATE event_head SET signature = x'{stranger}'")
        raw.execute(trigger)
        raw.commit()
    found = office.run("check")
    assert found.exit_code == 1
    assert "Row 1 of the system log, of 20" in found.stdout
    assert "(event_signature)" in found.stdout


def test_a_folder_without_its_keys_goes_on_and_check_looks_at_the_rows_alone(office) -> None:
    for path in (office.folder / "keys").iterdir():
        path.rename(office.folder / secrets.token_hex(4))
    application = open_folder(office.folder)
    application.store.log("sign_in", detail="Firefox")
    application.close()
    found = office.run("check", "--json")
    assert [problem["code"] for problem in json.loads(found.stdout)["problems"]] == ["policy_unproven"]
