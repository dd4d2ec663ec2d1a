"""A snapshot that is not what it should be, signed or not: refused by name, and the branch is as it was."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from sqlcipher3 import dbapi2

from localcrm.kernel.errors import ExchangeError
from localcrm.store import check
from localcrm.sync import exchange, node_sync, snapshot
from localcrm.sync.faults import Faults
from localcrm.sync.messages import Snapshot, SnapshotPart
from tests.factories import Company, Installation

#: Does something to the file of a snapshot.
Forge = Callable[[Path], object]


@pytest.fixture
def told(company: Company, hq: Installation, one: Installation, tmp_path: Path) -> Snapshot:
    """A true snapshot in ``tmp_path / "data"``, and a branch that has work of its own."""
    customer = hq.new("customer", name="甲公司", phone="1")
    hq.set("customer", customer, phone="2")
    one.new("customer", name="未发送")
    return snapshot.write(hq.store, tmp_path / "data")


def state(node: Installation) -> tuple[object, ...]:
    """All that a refused snapshot must leave as it was."""
    return (
        node.digest,
        *(node.rows(f"SELECT * FROM {table}") for table in ("sync_log", "sync_tx", "sync_origin", "sync_ctx", "sync_peer", "meta")),
        node.rows("SELECT type, name, sql FROM sqlite_master ORDER BY name"),
    )


def refused(node: Installation, path: Path, told: Snapshot, code: str) -> None:
    before = state(node)
    with pytest.raises(ExchangeError) as error:
        list(snapshot.take_in(node.store, [told, *parts(path)], exchange.Outcome()))
    assert error.value.code == code
    assert state(node) == before
    assert check.check(node.store)["problems"] == []
    assert not list(node.folder.glob(".snapshot-*"))


def parts(path: Path) -> Iterator[SnapshotPart]:
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            yield SnapshotPart(data)


def sql(*statements: str) -> Forge:
    """Statements run in the file; a stranger may write what no program of ours would."""

    def run(path: Path) -> None:
        with closing(dbapi2.connect(path, isolation_level=None)) as file:
            for statement in statements:
                file.execute(statement)

    return run


def schema(table: str, pattern: str, instead: str) -> Forge:
    """The text of a table's declaration altered, its rows left as they are."""

    def run(path: Path) -> None:
        with closing(dbapi2.connect(path, isolation_level=None)) as file:
            (text,) = file.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            altered = re.sub(pattern, instead, text, count=1)
            assert altered != text
            file.execute("PRAGMA writable_schema = ON")
            file.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (altered, table))

    return run


def untyped(table: str, statement: str) -> Forge:
    """A row of a type that its column does not take: written while the table says it takes anything."""

    def run(path: Path) -> None:
        with closing(dbapi2.connect(path, isolation_level=None)) as file:
            (text,) = file.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            for one in (text.removesuffix(" STRICT").replace(" NOT NULL", ""), text):
                file.execute("PRAGMA writable_schema = ON")
                file.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (one, table))
                file.execute("PRAGMA writable_schema = RESET")
                if one is not text:
                    file.execute(statement)

    return run


def bytes_at(place: float, data: bytes) -> Forge:
    """Bytes of the file overwritten."""

    def run(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(int(path.stat().st_size * place))
            file.write(data)

    return run


FORGED: dict[str, tuple[str, Forge]] = {
    "a trigger": ("snapshot_damaged", sql("CREATE TRIGGER t AFTER INSERT ON customer BEGIN DELETE FROM customer; END")),
    "a view": ("snapshot_damaged", sql("CREATE VIEW v AS SELECT * FROM customer")),
    "a view in place of a table": ("snapshot_damaged", sql("DROP TABLE contact", "CREATE VIEW contact AS SELECT * FROM customer")),
    "a virtual table": ("snapshot_damaged", sql("CREATE VIRTUAL TABLE f USING fts5(t)")),
    "an index": ("snapshot_damaged", sql("CREATE INDEX i ON customer(name)")),
    "a table more": ("snapshot_other_version", sql("CREATE TABLE session(token_hash BLOB) STRICT")),
    "a table less": ("snapshot_other_version", sql("DROP TABLE contact")),
    "a log less": ("snapshot_other_version", sql("DROP TABLE sync_log")),
    "a column more": ("snapshot_other_version", sql("ALTER TABLE customer ADD COLUMN more TEXT")),
    "a check that calls a function": ("snapshot_other_version", schema("customer", r"length\(id\)", "length(upper(id))")),
    "a default that calls a function": ("snapshot_other_version", schema("customer", "DEFAULT 0", "DEFAULT (abs(0))")),
    "a column of another type": ("snapshot_other_version", schema("customer", '"name" TEXT', '"name" BLOB')),
    "nonsense for a table": ("snapshot_damaged", schema("customer", ".*", "CREATE TABLE nonsense")),
    "a text for a number": ("snapshot_damaged", untyped("customer", "UPDATE customer SET version = 'x'")),
    "a blob for a text": ("snapshot_damaged", untyped("customer", "UPDATE customer SET name = x'00ff'")),
    "a real for a number": ("snapshot_damaged", untyped("sync_tx", "UPDATE sync_tx SET hlc = 1.5")),
    "nothing for a name": ("snapshot_damaged", untyped("sync_log", "UPDATE sync_log SET tx = NULL")),
    "a short id": ("snapshot_damaged", sql("PRAGMA ignore_check_constraints = ON", "UPDATE customer SET id = x'01'")),
    "a text that is none": ("snapshot_differs", sql("UPDATE customer SET name = CAST(x'fffe' AS TEXT)")),
    "a log beyond its end": ("snapshot_damaged", sql("UPDATE sync_log SET lseq = lseq + 1000000")),
    "another value": ("snapshot_differs", sql("UPDATE customer SET name = 'x'")),
    "a row less": ("snapshot_differs", sql("DELETE FROM customer")),
    "no file of SQLite": ("snapshot_damaged", lambda path: path.write_bytes(secrets.token_bytes(path.stat().st_size))),
    "a page overwritten": ("snapshot_damaged", bytes_at(0.5, secrets.token_bytes(4096))),
    "half the file": ("snapshot_damaged", lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_snapshot_is_refused(one: Installation, tmp_path: Path, told: Snapshot, forged: str) -> None:
    code, forge = FORGED[forged]
    forge(tmp_path / "data")
    refused(one, tmp_path / "data", msgspec.structs.replace(told, size=(tmp_path / "data").stat().st_size), code)


def test_a_true_one_is_taken(one: Installation, tmp_path: Path, told: Snapshot) -> None:
    """What the others are compared with."""
    list(snapshot.take_in(one.store, [told, *parts(tmp_path / "data")], exchange.Outcome()))
    assert one.value("SELECT count(*) FROM customer") == 2


def test_parts_that_do_not_add_up(one: Installation, tmp_path: Path, told: Snapshot) -> None:
    for size in (told.size - 1, told.size + 1):
        refused(one, tmp_path / "data", msgspec.structs.replace(told, size=size), "snapshot_damaged")


def test_parts_without_a_snapshot_are_nothing(one: Installation) -> None:
    before = state(one)
    assert list(snapshot.take_in(one.store, [SnapshotPart(b"x")], exchange.Outcome())) == []
    assert state(one) == before


def test_only_head_office_can_send_one(
    company: Company, hq: Installation, one: Installation, two: Installation, tmp_path: Path, told: Snapshot
) -> None:
    """Head office takes none from a branch, and a branch none from another branch."""
    before = state(hq)
    office = node_sync._office(two.store)
    said = [exchange.hello(two.store), told, *parts(tmp_path / "data")]
    node_sync._write(two.store, two.keys, tmp_path / "up", "up", said, office)
    node_sync.unpack(hq.store, hq.keys, tmp_path / "up")
    assert state(hq)[:4] == before[:4]
    before = state(one)
    with pytest.raises(ExchangeError) as error:
        node_sync.unpack(one.store, one.keys, tmp_path / "up")
    assert error.value.code == "bundle_unknown_sender"
    assert state(one) == before


def test_work_of_others_that_only_the_branch_has_is_not_given_up(
    company: Company, hq: Installation, one: Installation, tmp_path: Path, told: Snapshot
) -> None:
    """Head office was set back and knows less than the branch: a snapshot of it would be a loss."""
    hq.new("customer", name="后来")
    company.down("BR01")
    told = msgspec.structs.replace(told, hseq=10**6)
    refused(one, tmp_path / "data", told, "snapshot_lacks")


def test_own_work_that_does_not_fit_keeps_the_branch_as_it_is(
    one: Installation, tmp_path: Path, told: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Faults, "of", lambda *_arguments: "unknown_table")
    refused(one, tmp_path / "data", told, "snapshot_own_work")
