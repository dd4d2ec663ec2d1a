"""What customers are known by follows every way in which a record can change, and is proven by the check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.store import marks
from localcrm.store.check import check
from localcrm.store.migrate import migrate, set_meta
from localcrm.store.store import Store

Do = Callable[..., Any]


#: Everything that is said here in its plain form.
SAID = {marks.number_of(plain): plain for plain in ("绍兴华美纺织", "甲", "13905751234", "5751234", "57584123367", "4123367")}
BOTH = [("phone", "13905751234")]  # how numbers end is no reason to take two customers for one


def phone(number: str, of: str) -> set[tuple[str, str, str]]:
    """A telephone number is kept whole and by its last digits."""
    return {("phone", number, of), ("tail", number[-7:], of)}


def kept(store: Store) -> set[tuple[str, str, str]]:
    with store.read() as connection:
        return {(kind, SAID[value], of.hex()) for kind, value, of in connection.all("SELECT kind, value, of FROM mark")}


def shared(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        return [(kind, SAID[value]) for kind, value in marks.twice(connection, limit=10)]


def test_marks_follow_changes_the_bin_and_a_contact_that_goes_elsewhere(store: Store, do: Do, new: Do) -> None:
    one, two = new("customer", name="绍兴华美纺织有限公司", phone="13905751234; 0575-84123367")["id"], new("customer", name="甲")["id"]
    wang = new("contact", customer_id=two, name="王工", phone="139 0575 1234")["id"]
    mine = {("name", "绍兴华美纺织", one), ("name", "甲", two)} | phone("13905751234", one) | phone("57584123367", one)
    assert kept(store) == mine | phone("13905751234", two)
    assert shared(store) == BOTH
    do("records.update_record", entity="contact", id=wang, values={"customer_id": one})
    assert (kept(store), shared(store)) == (mine, [])
    do("records.update_record", entity="contact", id=wang, values={"customer_id": two})
    assert shared(store) == BOTH
    do("records.update_record", entity="customer", id=one, values={"phone": "0575-84123367"})
    assert (kept(store), shared(store)) == ((mine - phone("13905751234", one)) | phone("13905751234", two), [])
    do("records.delete_record", entity="customer", id=one)
    assert kept(store) == {("name", "甲", two)} | phone("13905751234", two)
    do("records.undelete_record", entity="customer", id=one)
    assert ("name", "绍兴华美纺织", one) in kept(store)
    assert check(store) == {"ok": True, "problems": []}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE mark SET value = 1 + value WHERE kind = 'name'",
        "DELETE FROM mark WHERE kind = 'phone'",
        "INSERT INTO mark VALUES ('name', 1, zeroblob(16), 1)",
        "DELETE FROM mark_twice",
    ],
)
def test_wrong_marks_are_found_and_made_anew(store: Store, new: Do, damage: str) -> None:
    for name in ("甲有限公司", "甲"):
        new("customer", name=name, phone="0575-84123367")
    before, twice = kept(store), shared(store)
    with store.housekeeping() as connection:
        connection.execute(damage)
    assert [problem["code"] for problem in check(store)["problems"]] == ["wrong_marks"]
    assert check(store, repair=True) == {"ok": True, "problems": []}
    assert (kept(store), shared(store)) == (before, twice)


def test_a_file_of_before_gets_its_marks_when_it_is_opened(store: Store, new: Do) -> None:
    for name in ("甲有限公司", "甲"):
        new("customer", name=name)
    before = kept(store)
    with store.housekeeping() as connection:
        connection.execute("DELETE FROM mark")
        set_meta(connection, "marks", "0:")
        set_meta(connection, "ddl", "")
    migrate(store._writer)
    assert (kept(store), shared(store)) == (before, [("name", "甲")])


def test_whoever_is_looked_for_by_a_mark_is_found_by_an_index(store: Store, new: Do) -> None:
    new("customer", name="甲", phone="0575-84123367")
    asked: list[str] = []
    with store.read() as connection:
        assert len(marks.known_by(connection, "phone", "57584123367", limit=5)) == 1
        assert len(marks.rows_known_by(connection, "tail", "4123367", limit=5)) == 1
        for statement in (
            "SELECT DISTINCT of, doc >> 48 FROM mark WHERE kind = 'phone' AND value = 1 LIMIT 5",
            "SELECT DISTINCT doc >> 48, doc & 1 FROM mark WHERE kind = 'tail' AND value = 1 LIMIT 5",
            "DELETE FROM mark WHERE doc = 1",
            "SELECT id FROM customer WHERE merged_into_id IN (x'00')",
        ):
            asked += [row[3] for row in connection.all(f"EXPLAIN QUERY PLAN {statement}")]
    assert [step for step in asked if step.startswith("SCAN")] == []
