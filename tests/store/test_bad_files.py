"""What happens to a data file that is not what it should be: one clear sentence, and nothing half written."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import records, subjects
from localcrm.domain.admin.services import add_branch
from localcrm.domain.policy import SYSTEM
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.folder import DATABASE
from localcrm.store.migrate import SCHEMA_VERSION, set_meta
from localcrm.store.node import OFFICE_NO, Node, save_node
from localcrm.store.query import ListQuery, select
from localcrm.store.store import Store, create_store, open_store

assert subjects.SUBJECTS


def office(folder: Path, key: bytes | None = None) -> Store:
    store = create_store(folder, key=key)
    with store.housekeeping() as connection:
        save_node(connection, Node(secrets.token_bytes(16), "HQ", "总部", "office", OFFICE_NO, secrets.token_bytes(8), 0))
    with store.unit_of_work(None) as uow:
        add_branch(uow, code="HQ", name="总部", node_no=OFFICE_NO)
    return store


def add(store: Store, **values: Any) -> str:
    with store.unit_of_work(None) as uow:
        return str(records.create_record(uow, SYSTEM, entity="customer", values=values)["id"])


def names(store: Store) -> list[str]:
    with store.read() as connection:
        return [row["name"] for row in select(connection, ListQuery(entity("customer"), sort="name")).rows]


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(AppError) as refused:
        call()
    assert refused.value.message
    return refused.value.code


def test_a_folder_without_data_is_told(tmp_path: Path) -> None:
    assert code_of(lambda: open_store(tmp_path)) == "no_data_folder"


def test_a_folder_is_never_set_up_twice(tmp_path: Path) -> None:
    store = office(tmp_path)
    add(store, name="甲")
    assert code_of(lambda: create_store(tmp_path)) == "already_set_up"
    assert names(store) == ["甲"]


@pytest.mark.parametrize("garbage", [b"hello, this is not a database" * 100, b"\x00" * 8192, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_garbage_is_not_a_database_and_stays_untouched(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / DATABASE).write_bytes(garbage)
    assert code_of(lambda: open_store(tmp_path)) in {"wrong_key", "damaged"}
    assert (tmp_path / DATABASE).read_bytes() == garbage


def test_the_wrong_key_opens_nothing(tmp_path: Path) -> None:
    key = secrets.token_bytes(32)
    store = office(tmp_path, key)
    add(store, name="杭州西湖茶叶有限公司")
    store.close()
    assert code_of(lambda: open_store(tmp_path, key=secrets.token_bytes(32))) == "wrong_key"
    assert code_of(lambda: open_store(tmp_path)) == "wrong_key"
    assert "杭州西湖茶叶有限公司".encode() not in (tmp_path / DATABASE).read_bytes()
    assert names(open_store(tmp_path, key=key)) == ["杭州西湖茶叶有限公司"]


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    store = office(tmp_path)
    with store.housekeeping() as connection:
        set_meta(connection, "schema_version", SCHEMA_VERSION + 1)
    store.close()
    before = (tmp_path / DATABASE).read_bytes()
    assert code_of(lambda: open_store(tmp_path)) == "newer_schema"
    assert (tmp_path / DATABASE).read_bytes() == before


def test_a_full_disk_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    store = office(tmp_path)
    add(store, name="甲")
    with store.housekeeping() as connection:
        pages = connection.value("PRAGMA page_count")
    # The limit is SQLite's own and gives the very error that a full disk gives.
    store._writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    assert code_of(lambda: add(store, name="乙", remark="很长" * 40_000)) == "disk_full"
    assert names(store) == ["甲"]
    store._writer.execute(f"PRAGMA max_page_count = {pages + 10_000}")
    add(store, name="丙")
    assert sorted(names(store)) == sorted(["甲", "丙"])


def test_a_read_only_file_says_so(tmp_path: Path) -> None:
    store = office(tmp_path)
    add(store, name="甲")
    store._writer.execute("PRAGMA query_only = ON")
    assert code_of(lambda: add(store, name="乙")) == "read_only"
    assert names(store) == ["甲"]


def test_a_truncated_file_is_damaged_not_empty(tmp_path: Path) -> None:
    store = office(tmp_path)
    for n in range(200):
        add(store, name=f"客户{n}")
    with store.housekeeping() as connection:
        assert connection is not None
    store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    path = tmp_path / DATABASE
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])

    def read_everything() -> None:
        damaged = open_store(tmp_path)
        try:
            names(damaged)
            add(damaged, name="新")
        finally:
            damaged.close()

    assert code_of(read_everything) in {"damaged", "wrong_key", "disk_error"}


def test_texts_that_could_do_harm_are_stored_or_refused_but_never_run(tmp_path: Path) -> None:
    store = office(tmp_path)
    harmless = ["<script>alert(1)</script>", "'; DROP TABLE customer; --", "=cmd|' /C calc'!A0", "𠮷野家", "😀 公司", "ＡＢＣ１２３"]
    for name in harmless:
        add(store, name=name)
    assert sorted(names(store)) == sorted(harmless)
    assert code_of(lambda: add(store, name="nul\x00")) == "bad_text"
    assert code_of(lambda: add(store, name="\ud800")) == "bad_text"
    assert code_of(lambda: add(store, name="x", remark="长" * 1_000_000)) == "too_long"
    assert code_of(lambda: add(store, name="长" * 501)) == "too_long"
