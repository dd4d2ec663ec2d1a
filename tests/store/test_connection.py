"""Connections: how long one is used."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from localcrm.domain.crm.entities import Customer
from localcrm.kernel.ports import Changes
from localcrm.store import connection
from localcrm.store.store import open_store
from tests import factories
from tests.factories import Installation

CUSTOMER = Customer.entity_type


@pytest.fixture
def hq() -> Iterator[Installation]:
    with factories.company(branches=1) as company:
        yield company.hq


def test_a_reader_that_ran_many_different_statements_is_replaced(hq, monkeypatch):
    """The driver would prepare every further statement anew each time."""
    with hq.store.read() as first:
        first.value("SELECT 1")
    with hq.store.read() as same:
        assert same is first
        monkeypatch.setattr(connection, "STATEMENTS", 200)
        for n in range(200):
            assert same.value(f"SELECT {n}") == n
        assert same.is_worn
    with hq.store.read() as fresh:
        assert fresh is not first
        assert not fresh.is_worn
        assert fresh.value('SELECT count(*) FROM "user"') >= 1


def test_the_same_statement_over_and_over_wears_nothing(hq, monkeypatch):
    with hq.store.read() as reader:
        monkeypatch.setattr(connection, "STATEMENTS", 200)
        for n in range(1000):
            assert reader.value("SELECT ?", (n,)) == n
    with hq.store.read() as again:
        assert again is reader


def test_setting_up_a_folder_leaves_the_writer_room_for_the_statements_of_the_day(hq):
    with hq.store.unit_of_work(hq.actor.user_id) as uow:
        for n in range(connection.STATEMENTS // 2):
            uow.connection.value(f"SELECT {n}")
        assert not uow.connection.is_worn


def test_readers_inside_readers_never_wait_for_each_other(hq):
    """As many threads as there are places, each with one reader, and each wants one more."""
    everybody, done = threading.Barrier(connection.READERS), []

    def read() -> None:
        with hq.store.read():
            everybody.wait(5)
            with hq.store.read() as inner:
                done.append(inner.value("SELECT 1"))

    threads = [threading.Thread(target=read, daemon=True) for _each in range(connection.READERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(done) == connection.READERS
    assert not any(thread.is_alive() for thread in threads)
    with hq.store.read() as again:
        assert again.value("SELECT 1") == 1


def test_a_worn_writer_is_replaced_before_the_next_transaction(hq, monkeypatch):
    """A program that runs for weeks writes as fast as on its first day."""
    monkeypatch.setattr(connection, "STATEMENTS", 200)
    with hq.store.unit_of_work(hq.actor.user_id) as uow:
        for n in range(200):
            uow.connection.value(f"SELECT {n}")
        worn = uow.connection
    assert worn.is_worn
    heard: list[Changes] = []
    hq.store.listen(heard.append)
    customer = hq.new("customer", name="华东机电")
    with hq.store.unit_of_work(hq.actor.user_id) as uow:
        assert uow.connection is not worn
        assert uow.get(CUSTOMER, customer)["name"] == "华东机电"
    assert len(heard) == 1


def test_a_new_writer_still_hears_of_what_another_program_wrote(hq, monkeypatch):
    heard: list[Changes] = []
    hq.store.listen(heard.append)
    other = open_store(hq.store.folder)
    with other.unit_of_work(hq.actor.user_id) as uow:
        uow.insert(CUSTOMER, CUSTOMER.validate({"name": "另一窗口"}))
    monkeypatch.setattr(connection, "STATEMENTS", 1)
    with hq.store.housekeeping() as writer:
        writer.value("SELECT 1")
    assert hq.store.notice_other_programs() is not None
    assert len(heard) == 1
    assert hq.store.notice_other_programs() is None
    other.close()


def test_rows_written_by_the_dozen_all_arrive_and_fire_their_triggers(hq):
    """Two portions and what is left over; then one portion that is not full."""
    with hq.store.housekeeping() as connection:
        connection.execute("CREATE TABLE thing(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT")
        connection.execute("CREATE TABLE seen(id INTEGER, name TEXT) STRICT")
        connection.execute("CREATE TRIGGER thing_ins AFTER INSERT ON thing BEGIN INSERT INTO seen VALUES (NEW.id, NEW.name); END")
        rows = [(number, f"n{number}") for number in range(1, 20)]
        connection.write_rows("INSERT INTO thing(id, name) {rows}", rows, at_once=8)
        assert connection.all("SELECT * FROM seen") == connection.all("SELECT * FROM thing") == rows
        changed = [(3, "x"), (19, "y"), (0, "nobody"), (0, "nobody")]
        connection.write_rows("UPDATE thing SET name = given.column2 FROM ({rows}) AS given WHERE id = given.column1", changed, at_once=4)
        assert dict(connection.all("SELECT * FROM thing")) == {**dict(rows), 3: "x", 19: "y"}
        connection.write_rows("INSERT INTO thing(id, name) {rows}", [], at_once=8)
