"""The system log is only added to; what is done to it past the program is named by row and time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from localcrm.kernel.errors import Refused, StoreError
from localcrm.kernel.i18n import use_language
from localcrm.store import eventlog
from localcrm.store.check import check
from localcrm.store.eventlog import Event, Wanted
from localcrm.store.folder import DATABASE
from localcrm.store.store import Store, create_store, open_store
from localcrm.sync.identity import NodeKeys
from tests.factories import HandClock

KEYS = NodeKeys.generate()
STRANGER = NodeKeys.from_bytes(bytes(64))
PUBLIC = KEYS.public.sign_key
USER = "0a" * 16


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> Iterator[Store]:
    """Ten rows a minute apart, the head signed."""
    made = create_store(tmp_path / "hq", clock=clock)
    made.sign_log = KEYS.sign
    for number in range(1, 11):
        made.log("sign_in", user_id=USER, detail=f"browser {number}")
        clock.forward(minutes=1)
    yield made
    made.close()


def problems(store: Store, key: bytes | None = PUBLIC) -> list[str]:
    with use_language("en"):
        return [problem["message"] for problem in check(store, log_key=key)["problems"]]


def tampered(store: Store, *statements: str) -> Store:
    """The same file after a stranger's tool took the triggers off, wrote, and put them back."""
    folder = store.folder
    store.close()
    with closing(sqlite3.connect(folder / DATABASE)) as raw:
        triggers = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event_log'").fetchall()
        assert len(triggers) == 2
        for statement in (*(f"DROP TRIGGER {name}" for name, _sql in triggers), *statements, *(sql for _name, sql in triggers)):
            raw.execute(statement)
        raw.commit()
    store.__init__(folder, clock=store.clock, sign_log=store.sign_log)  # type: ignore[misc]
    return store


def time_of_row(number: int) -> str:
    at = HandClock().ms / 1000 + 60 * (number - 1)
    return f"{datetime.fromtimestamp(at, tz=UTC).astimezone():%Y-%m-%d %H:%M:%S}"


# what is written ------------------------------------------------------------------------------------------------------


def test_a_sound_log_has_no_problem(store):
    assert problems(store) == []


def test_rows_are_read_newest_first_and_in_portions(store):
    with store.read() as connection:
        newest = eventlog.rows(connection, limit=2)
        rest = eventlog.rows(connection, before=newest[-1].id)
    assert newest[0] == Event(10, HandClock().ms + 9 * 60_000, "sign_in", USER, "browser 10")
    assert [event.id for event in (*newest, *rest)] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Wanted(kind="backup"), [11]),
        (Wanted(user_id=USER, text="BROWSER 1"), [10, 1]),
        (Wanted(since=HandClock().ms + 60_000, until=HandClock().ms + 180_000), [3, 2]),
        (Wanted(text="100%"), [11]),
    ],
)
def test_rows_can_be_asked_for_by_kind_user_time_and_text(store, wanted, ids):
    store.log("backup", detail="100% of it")
    with store.read() as connection:
        assert [event.id for event in eventlog.rows(connection, wanted)] == ids


@pytest.mark.parametrize(
    "statement",
    ["UPDATE event_log SET detail = '' WHERE id = 3", "DELETE FROM event_log", "REPLACE INTO event_log SELECT * FROM event_log"],
)
def test_the_file_refuses_to_change_or_remove_rows(store, statement):
    with pytest.raises(StoreError) as refused, store.housekeeping() as connection:
        connection.execute(statement)
    assert refused.value.code == "event_row"
    assert problems(store) == []


def test_a_text_that_cannot_be_stored_is_noted_all_the_same(store):
    store.log("sign_in_failed", detail="a\ud800" + "b" * 600)
    with store.read() as connection:
        assert eventlog.rows(connection, limit=1)[0].detail == "a?" + "b" * 498
    assert problems(store) == []


def test_a_password_that_is_set_is_noted_with_who_did_it():
    from tests.factories import company

    with company(branches=0) as made:
        hq = made.hq
        mei = hq.new("user", login="mei", name="何小梅", password="Haus-und-Hof-43")
        hq.set("user", mei, password="Haus-und-Hof-44")
        hq.set("user", mei, name="何梅")
        with hq.store.read() as connection:
            assert [(event.kind, event.user_id, event.detail) for event in eventlog.rows(connection)] == [
                ("password_set", hq.actor.user_id, "何小梅")
            ]


# what was done past the program ---------------------------------------------------------------------------------------


def test_one_altered_byte_is_named_with_row_and_time(store):
    tampered(store, "UPDATE event_log SET detail = 'browsex 4' WHERE id = 4")
    assert problems(store) == [f"Row 4 of the system log, of {time_of_row(4)}, was altered."]


@pytest.mark.parametrize(
    "column", ["at = at + 1", "kind = 'sign_out'", "user_id = NULL", "detail = NULL", "detail = CAST(x'62ff' AS TEXT)"]
)
def test_no_column_can_be_altered(store, column):
    tampered(store, f"UPDATE event_log SET {column} WHERE id = 7")
    assert [problem["code"] for problem in check(store, log_key=PUBLIC)["problems"]] == ["event_altered"]


def test_the_newest_row_altered_with_its_hash_does_not_fit_the_head(store):
    tampered(store, "UPDATE event_log SET hash = zeroblob(32) WHERE id = 10")
    assert problems(store) == [f"Row 10 of the system log, of {time_of_row(10)}, was altered."]


def test_removed_rows_are_a_gap(store):
    tampered(store, "DELETE FROM event_log WHERE id IN (5, 6)")
    assert problems(store) == ["The system log has a gap: rows 5 to 6 were removed."]


def test_a_row_removed_from_the_start_is_a_gap_too(store):
    tampered(store, "DELETE FROM event_log WHERE id = 1")
    assert problems(store) == ["The system log has a gap: rows 1 to 1 were removed."]


def test_a_tail_cut_off_is_named_and_what_is_added_later_does_not_hide_it(store):
    tampered(store, "DELETE FROM event_log WHERE id > 8")
    assert problems(store) == ["The end of the system log was cut off: rows 9 to 10 are missing."]
    store.log("sign_out", user_id=USER)
    assert problems(store) == ["The system log has a gap: rows 9 to 10 were removed."]


def test_a_tail_cut_off_together_with_the_head_lacks_the_signature(store):
    tampered(
        store,
        "DELETE FROM event_log WHERE id > 8",
        "UPDATE event_head SET count = 8, signed = 8, hash = (SELECT hash FROM event_log WHERE id = 8)",
    )
    expected = ["The head of the system log is not signed with the key of this installation: the log was rewritten or replaced."]
    assert problems(store) == expected
    assert problems(store, key=None) == []
    store.log("sign_out", user_id=USER)  # the program does not sign what somebody else has made up
    assert problems(store) == expected


@pytest.mark.parametrize(
    "signature", [STRANGER.sign(b"localcrm log\0" + (10).to_bytes(8) + bytes(32)), b"", None], ids=["foreign", "empty", "none"]
)
def test_a_foreign_signature_is_named(store, signature):
    tampered(store, f"UPDATE event_head SET signature = {'NULL' if signature is None else f'''x'{signature.hex()}' '''}")
    expected = ["The head of the system log is not signed with the key of this installation: the log was rewritten or replaced."]
    assert problems(store) == expected
    store.log("sign_out", user_id=USER)
    assert problems(store) == expected


def test_the_log_of_another_installation_lacks_the_signature(store):
    assert [problem["code"] for problem in check(store, log_key=NodeKeys.generate().public.sign_key)["problems"]] == ["event_signature"]


def test_rows_put_in_behind_the_head_are_named(store):
    tampered(store, "INSERT INTO event_log SELECT id + 10, at, kind, user_id, detail, hash FROM event_log WHERE id <= 2")
    assert "Rows 11 to 12 of the system log were not written by this program." in problems(store)


def test_a_head_removed_is_named_and_the_log_goes_on(store):
    tampered(store, "DELETE FROM event_head")
    store.log("sign_out", user_id=USER)
    assert problems(store) == ["The head of the system log is missing; whether the end was cut off cannot be told."]


def test_rows_added_without_the_key_come_after_the_signature_until_the_next_with_it(store):
    store.sign_log = None
    store.log("backup")
    assert problems(store) == []
    store.sign_log = KEYS.sign
    store.log("backup")
    assert problems(store) == []
    with store.read() as connection:
        assert connection.one("SELECT count, signed FROM event_head") == (12, 12)


def test_keys_that_cannot_be_read_keep_nothing_from_being_noted(tmp_path):
    made = create_store(tmp_path / "hq")
    made.sign_log = lambda _message: b""
    made.log("sign_in")
    made.log("sign_out")
    assert problems(made, key=None) == []
    made.close()


# an older file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [KEYS.sign, None])
def test_the_rows_of_an_older_file_are_chained_in_their_order(store, sign):
    folder = store.folder
    before = [("sign_in", f"browser {number}") for number in range(1, 11)]
    store.close()
    with closing(sqlite3.connect(folder / DATABASE)) as raw:
        raw.executescript(
            """DROP TRIGGER event_log_update; DROP TRIGGER event_log_delete; DROP TABLE event_head;
            ALTER TABLE event_log DROP COLUMN hash;
            DELETE FROM meta WHERE key = 'migration:chain_event_log';
            UPDATE meta SET value = 1 WHERE key = 'schema_version'; UPDATE meta SET value = 'x' WHERE key = 'ddl'"""
        )
    opened = open_store(folder, sign_log=sign)
    with opened.read() as connection:
        assert [(event.kind, event.detail) for event in reversed(eventlog.rows(connection))] == before
        assert connection.one("SELECT count, signed FROM event_head") == (10, 10 if sign else 0)
    assert problems(opened, key=PUBLIC if sign else None) == []
    opened.log("sign_out")
    assert problems(opened, key=PUBLIC if sign else None) == []
    store.__init__(folder)  # type: ignore[misc] -- for the fixture to close
    opened.close()


# making it shorter ----------------------------------------------------------------------------------------------------


def shortened(store: Store, *, before_row: int) -> int:
    before = HandClock().ms + 60_000 * (before_row - 1)
    with store.housekeeping() as connection:
        return eventlog.shorten(connection, before=before, at=store.clock.now_ms(), user_id=USER, sign=store.sign_log)


def numbers(store: Store) -> list[int]:
    with store.read() as connection:
        return [event.id for event in reversed(eventlog.rows(connection))]


def test_old_rows_are_removed_and_the_rest_goes_on_being_proven(store):
    with store.read() as connection:
        assert eventlog.count_before(connection, HandClock().ms + 60_000 * 4) == 4
    assert shortened(store, before_row=5) == 4
    assert numbers(store) == [5, 6, 7, 8, 9, 10, 11]
    with store.read() as connection:
        newest = eventlog.rows(connection, limit=1)[0]
    assert (newest.kind, newest.user_id, newest.detail) == ("log_shortened", USER, "1 4")
    store.log("sign_in")
    assert problems(store) == []
    assert shortened(store, before_row=5) == 0
    assert shortened(store, before_row=7) == 2
    assert problems(store) == []
    assert shortened(store, before_row=10_000) == 7
    assert numbers(store) == [14]
    assert problems(store) == []


def test_rows_after_the_beginning_are_as_safe_as_before(store):
    shortened(store, before_row=5)
    with pytest.raises(StoreError) as refused, store.housekeeping() as connection:
        connection.execute("DELETE FROM event_log WHERE id = 5")
    assert refused.value.code == "event_row"
    tampered(store, "DELETE FROM event_log WHERE id = 5")
    assert problems(store) == ["The system log has a gap: rows 5 to 5 were removed."]


def test_a_beginning_that_somebody_else_set_is_named(store):
    tampered(
        store,
        "INSERT INTO event_start(id, number, hash, at) SELECT 1, id, hash, at FROM event_log WHERE id = 4",
        "DELETE FROM event_log WHERE id <= 4",
    )
    assert problems(store) == [
        "The beginning of the system log is not signed with the key of this installation: rows 1 to 4 were removed by somebody."
    ]


def test_a_log_that_is_not_whole_is_not_shortened(store):
    tampered(store, "UPDATE event_log SET detail = '' WHERE id = 3")
    with pytest.raises(Refused) as refused:
        shortened(store, before_row=5)
    assert refused.value.code == "log_not_whole"
    assert numbers(store)[0] == 1


def test_a_log_with_a_foreign_signature_is_not_shortened(store):
    tampered(store, f"UPDATE event_head SET signature = x'{STRANGER.sign(b'x').hex()}'")
    with pytest.raises(Refused):
        shortened(store, before_row=5)
