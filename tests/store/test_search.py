"""What a person may type to find a record: any two characters, initials and syllables in every reading, last digits."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from localcrm.domain import subjects  # noqa: F401
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import entity
from localcrm.store import check, pinyin, query, search
from localcrm.store.connection import Connection
from localcrm.store.node import Node, save_node
from localcrm.store.store import Store, create_store
from localcrm.store.view import View

CUSTOMER = entity("customer")
Deeds = list[tuple[str, int, str]]
NAMES = [
    "重庆长乐机械有限公司",
    "杭州昌通塑胶制品有限公司",
    "单县朝阳贸易行",
    "曾记ABC食品",
    "Müller Maschinen GmbH",
    "西安翔远科技有限公司",
    "线上商贸",
    "乐清市行知调味品厂2号店",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = _store(tmp_path_factory.mktemp("search"))
    customer = entity("customer")
    with store.unit_of_work(None) as uow:
        rows = [
            {"id": new_id(), "name": name, "number": f"C-HQ-{n:06d}", "phone": f"138 0013 {n:04d}", "address": f"工业大道{n}1012号"}
            for n, name in enumerate(NAMES, start=8001)
        ]
        uow.insert_many(customer, rows)
    yield store
    store.close()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A data file of its own."""
    store = _store(tmp_path_factory.mktemp("gathered"))
    yield store
    store.close()


def _store(path: Path) -> Store:
    store = create_store(path)
    with store.housekeeping() as connection:
        save_node(connection, Node(secrets.token_bytes(16), "HQ", "HQ", "office", 1, secrets.token_bytes(8), 0))
    return store


def names(store: Store, text: str, *, exact: bool = False) -> list[str]:
    with store.read() as connection:
        page = query.select(connection, query.ListQuery(entity("customer"), search=text, exact=exact))
    return [row["name"] for row in page.rows]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("庆长", [NAMES[0]]),
        ("有限公司", [NAMES[5], NAMES[1], NAMES[0]]),
        ("有限 科技", [NAMES[5]]),
        ("cqcl", [NAMES[0]]),
        ("zqzy", [NAMES[0]]),
        ("hz", [NAMES[7], NAMES[1]]),
        ("kzct", [NAMES[1]]),
        ("sxcy", [NAMES[2]]),
        ("dxzyMYX", [NAMES[2]]),
        ("zjabc", [NAMES[3]]),
        ("abc", [NAMES[3]]),
        ("xian", [NAMES[6], NAMES[5], NAMES[2], NAMES[1], NAMES[0]]),
        ("xianxiang", [NAMES[5]]),
        ("zhongqing", [NAMES[0]]),
        ("chongqingchangl", [NAMES[0]]),
        ("hangzhi", [NAMES[7]]),
        ("müller", [NAMES[4]]),
        ("schinen", [NAMES[4]]),
        ("8003", [NAMES[2]]),
        ("00138004", [NAMES[3]]),
        ("13800138004", [NAMES[3]]),
        ("80041012", [NAMES[3]]),
        ("C-HQ-008005", [NAMES[4]]),
        ("qczl", []),
        ("庆重", []),
        ("司有", []),
    ],
)
def test_what_is_typed_finds_exactly_these(store: Store, typed: str, found: list[str]) -> None:
    assert names(store, typed) == found
    assert names(store, typed, exact=True) == found


def test_the_search_over_every_kind_says_what_answered(store: Store) -> None:
    with store.read() as connection:
        hits = search.find(connection, "00138003")
    assert [(hit.entity, hit.title, hit.match) for hit in hits] == [("customer", NAMES[2], "138 0013 8003")]


def test_a_changed_and_a_deleted_record_are_found_as_they_are_now(tmp_path: Path) -> None:
    store, customer = _store(tmp_path / "one"), entity("customer")
    with store.unit_of_work(None) as uow:
        first, second = uow.insert(customer, {"name": "老名称公司"}), uow.insert(customer, {"name": "另一公司"})
    with store.unit_of_work(None) as uow:
        uow.update(customer, second, {"name": "新名称公司"})
        uow.set_deleted(customer, first, deleted=True)
    assert (names(store, "老名"), names(store, "另一"), names(store, "xmc")) == ([], [], ["新名称公司"])
    with store.read() as connection:
        assert check.find_problems(connection) == []
    store.close()


TEXT = st.text(alphabet="重庆长乐行单朝曾西安翔远有限公司调味厂ab12 ", min_size=2, max_size=14)


@given(TEXT, st.data())
@settings(max_examples=150, deadline=None)
def test_every_run_and_every_reading_is_indexed(name: str, data: st.DataObject) -> None:
    for run in search.runs(name):
        if len(run) < 2 or run.isascii():
            continue
        start = data.draw(st.integers(0, len(run) - 2))
        part = run[start : data.draw(st.integers(start + 2, len(run)))]
        letters = "".join(data.draw(st.sampled_from(pinyin.initials(c))) for c in part)
        aloud = "".join(data.draw(st.sampled_from(pinyin.syllables(c) or (c,))) for c in part)
        for typed in (part, letters, *([aloud] if all(map(pinyin.is_chinese, part)) else [])):
            asked = search.question(typed)
            assert asked is not None
            assert asked.answered_by([name])
        indexed = search.index_text((name,))
        assert set(map("".join, itertools.pairwise(letters))) <= set(indexed[1].split())


#: What may be done to one of four rows: entered, renamed, taken out of use and back, physically removed.
DEEDS = st.lists(
    st.tuples(st.sampled_from(["enter", "rename", "delete", "revive", "remove"]), st.integers(1, 4), st.sampled_from(NAMES)), max_size=25
)


@settings(max_examples=60, deadline=None)
@given(deeds=DEEDS)
@example(deeds=[("enter", 1, NAMES[0]), ("remove", 1, ""), ("enter", 1, NAMES[1])])
def test_whatever_is_done_to_rows_the_index_says_what_they_say(index: Store, deeds: Deeds) -> None:
    with index.housekeeping() as connection:
        _carry_out(connection, deeds)
    with index.housekeeping() as connection:
        rows = dict(connection.all("SELECT rid, name FROM customer WHERE deleted = 0"))
        for name, part in itertools.product(NAMES, (slice(None), slice(0, 2))):
            found = search.find_rows(connection, View(CUSTOMER), name[part]) or []
            assert sorted(found) == sorted(rid for rid, written in rows.items() if name[part] in written)
        assert search.count_rows(connection, CUSTOMER) == len(rows)
        _carry_out(connection, [("remove", rid, "") for rid in range(1, 5)])
        assert search.count_rows(connection, CUSTOMER) == 0


def _carry_out(connection: Connection, deeds: Deeds) -> None:
    connection.execute("UPDATE sync_ctx SET applying = 1")
    for deed, rid, name in deeds:
        there = connection.value("SELECT 1 + deleted FROM customer WHERE rid = ?", (rid,))
        if deed == "enter" and not there:
            connection.execute("INSERT INTO customer(rid, id, name) VALUES (?, ?, ?)", (rid, bytes.fromhex(new_id()), name))
            search.index_rows(connection, CUSTOMER, [rid], fresh=True)
        elif deed in {"rename", "delete", "revive"} and there:
            values = (name, rid) if deed == "rename" else (int(deed == "delete"), rid)
            connection.execute(f"UPDATE customer SET {'name' if deed == 'rename' else 'deleted'} = ? WHERE rid = ?", values)
            search.index_rows(connection, CUSTOMER, [rid])
        elif deed == "remove" and there:
            search.forget(connection, CUSTOMER, [rid])
            connection.execute("DELETE FROM customer WHERE rid = ?", (rid,))
    connection.execute("UPDATE sync_ctx SET applying = 0")


def test_the_index_joins_its_pieces_by_itself_again_after_much_was_indexed_and_after_that_failed(index: Store) -> None:
    def automerge() -> int:
        with index.read() as connection:
            return int(connection.value("SELECT coalesce((SELECT v FROM search_config WHERE k = 'automerge'), 4)"))

    with index.housekeeping() as connection, search.joining(connection):
        assert connection.value("SELECT v FROM search_config WHERE k = 'automerge'") == 0
    assert automerge() == 4
    with pytest.raises(ZeroDivisionError):
        _fail_in_the_midst(index)
    assert automerge() == 4


def _fail_in_the_midst(store: Store) -> None:
    with store.housekeeping() as connection, search.joining(connection):
        _carry_out(connection, [("enter", 1, NAMES[0])])
        raise ZeroDivisionError
