"""What came with an exchange is found once the search index has followed the log, wherever that was interrupted."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from localcrm.domain.admin import doctor
from localcrm.jobs import work
from localcrm.kernel.errors import StoreError
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import entity
from localcrm.store import check, search, search_follows
from localcrm.store.store import Store
from localcrm.store.view import View
from localcrm.sync import compaction, snapshot
from tests.factories import Company, Installation

CUSTOMER = entity("customer")
NAMES = ("杭州宏鼎", "宁波鼎盛", "重庆单氏", "宏大贸易", "上海一帆")


class Killed(BaseException):
    """The program was killed."""


def found(at: Installation, text: str) -> set[str]:
    """Names of the customers that a search finds."""
    with at.store.read() as connection:
        return {hit.title for hit in search.find(connection, text, among=[View(CUSTOMER)])}


@pytest.fixture
def kill_after(monkeypatch) -> Callable[[int], None]:
    """Kill the program after so many turns of indexing from now on; it indexes a row a turn."""
    left, index = [1_000_000], search_follows._index
    monkeypatch.setattr("localcrm.store.turns._FIRST", 1)
    monkeypatch.setattr("localcrm.store.turns.Pace.took", lambda _pace, _changes, _seconds: None)

    def counted(*args: object, **named: object) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        index(*args, **named)  # type: ignore[arg-type]

    def kill_after(turns: int) -> None:
        left[0] = turns

    monkeypatch.setattr(search_follows, "_index", counted)
    return kill_after


def test_after_an_exchange_what_came_is_found(company: Company, hq, one):
    kept = one.new("customer", name="杭州宏鼎")
    gone = one.new("customer", name="杭州宏大")
    company.exchange("BR01")
    one.set("customer", kept, name="宁波鼎盛")
    one.delete("customer", gone)
    company.exchange("BR01")
    assert found(hq, "鼎盛") == {"宁波鼎盛"}
    assert found(hq, "杭州") == set()
    with hq.store.read() as connection:
        assert not search.is_behind(connection)


def test_a_damaged_index_is_found_and_mended(hq):
    hq.new("customer", name="杭州宏鼎")
    with hq.store.housekeeping() as connection:
        search.forget_all(connection)
    with hq.store.merging():
        pass  # nothing was written that the index would have to follow
    assert {one["code"] for one in doctor.examine(hq.store, None)["problems"]} == {"search_index"}
    assert doctor.examine(hq.store, None, repair=True)["ok"]
    assert found(hq, "宏鼎") == {"杭州宏鼎"}


def test_what_is_merged_counts_whether_or_not_it_can_be_indexed(company: Company, hq, one, monkeypatch):
    one.new("customer", name="杭州宏鼎")

    def fail(_store: Store) -> None:
        raise StoreError("full", "The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(search_follows, "follow", fail)
        assert company.up("BR01")["applied"] > 0
    assert hq.value("SELECT count(*) FROM customer WHERE deleted = 0") == 1
    search_follows.follow(hq.store)
    assert found(hq, "宏鼎") == {"杭州宏鼎"}


def test_until_the_index_has_followed_nothing_is_found_by_words_that_it_no_longer_says(company: Company, hq, one, kill_after):
    customer = one.new("customer", name="杭州宏鼎")
    company.up("BR01")
    one.set("customer", customer, name="宁波鼎盛")
    kill_after(0)
    with pytest.raises(Killed):
        company.up("BR01")
    with hq.store.read() as connection:
        assert search.find_rows(connection, View(CUSTOMER), "杭州") == []
    assert found(hq, "杭州") == set()


def test_lists_that_show_what_a_search_finds_look_again_once_the_index_has_followed(company: Company, hq, one):
    heard: list[Changes] = []
    hq.store.listen(heard.append)
    product = one.new("product", code="P", name="纸箱")
    company.up("BR01")
    assert heard[-1].ids["product"] == {product}
    assert heard[-1].ids["customer"] == frozenset()  # nothing came, but nothing is missing any more either


def test_what_was_not_indexed_when_the_program_was_killed_is_indexed_by_the_next_one(company: Company, hq, one, kill_after):
    for name in NAMES:
        one.new("customer", name=name)
    kill_after(2)
    with pytest.raises(Killed):
        company.up("BR01")
    assert len(set().union(*(found(hq, name) for name in NAMES))) == 2
    assert hq.value("SELECT count(*) FROM customer WHERE deleted = 0") == len(NAMES)  # merged they are
    hq.restart()
    kill_after(100)
    (job,) = [job for job in work.JOBS if job.name == "index"]
    assert job.wanted(hq.store)
    job.run(hq.store, lambda: hq.keys)
    assert not job.wanted(hq.store)
    assert all(name in found(hq, name) for name in NAMES)


def test_a_duplicate_is_noticed_before_the_index_has_followed(company: Company, hq, one, kill_after):
    one.new("customer", name="杭州宏鼎", phone="13800001234")
    kill_after(0)
    with pytest.raises(Killed):
        company.up("BR01")
    assert found(hq, "宏鼎") == set()
    told = hq.run("crm.find_alike", values={"name": "另一家", "phone": "138-0000-1234"})
    assert "杭州宏鼎" in str(told)


def test_a_change_that_the_index_has_yet_to_follow_stays_in_the_log(company: Company, hq, one, kill_after):
    customer = one.new("customer", name="杭州宏鼎")
    kill_after(0)
    with pytest.raises(Killed):
        company.up("BR01")
    hq.new("customer", name="宁波鼎盛")  # the newest change stays in any case
    hq.clock.forward(days=400)

    def condensed() -> bool:
        compaction.compact(hq.store, compaction.Rule(keep_ms=0, patience_ms=0))
        return not hq.value("SELECT count(*) FROM sync_log WHERE pk = ?", bytes.fromhex(customer))

    assert not condensed()
    kill_after(100)
    search_follows.follow(hq.store)
    assert found(hq, "宏鼎") == {"杭州宏鼎"}
    assert condensed()


def test_a_merge_that_fails_leaves_the_next_save_indexed_at_once(hq):
    with pytest.raises(ZeroDivisionError), hq.store.merging():
        raise ZeroDivisionError
    hq.new("customer", name="杭州宏鼎")
    assert found(hq, "宏鼎") == {"杭州宏鼎"}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_done_and_wherever_it_is_interrupted_in_the_end_the_index_says_what_the_rows_say(
    company: Company, hq, one, kill_after, seed
):
    rng = random.Random(seed)
    customers: list[str] = []
    for _step in range(40):
        at = rng.choice((hq, one, one))
        known = [identity for identity in customers if at.value("SELECT count(*) FROM customer WHERE id = ?", bytes.fromhex(identity))]
        deed = rng.choice(("enter", "rename", "delete", "undelete", "up", "down", "follow"))
        if deed == "enter" or (not known and deed in {"rename", "delete", "undelete"}):
            customers.append(at.new("customer", name=rng.choice(NAMES) + str(len(customers))))
        elif deed in {"rename", "delete", "undelete"}:
            identity = rng.choice(known)
            is_deleted = at.is_deleted("customer", identity)
            if deed == "undelete" and is_deleted:
                at.undelete("customer", identity)
            elif deed == "delete" and not is_deleted:
                at.delete("customer", identity)
            elif deed == "rename" and not is_deleted:
                at.set("customer", identity, name=rng.choice(NAMES) + str(len(customers)))
        else:
            kill_after(rng.randrange(4))
            try:
                search_follows.follow(at.store) if deed == "follow" else company.up("BR01") if deed == "up" else company.down("BR01")
            except Killed:
                at.restart()
            kill_after(1_000_000)
    for at in (hq, one):
        search_follows.follow(at.store)
        with at.store.read() as connection:
            rows = dict(connection.all("SELECT rid, name FROM customer WHERE deleted = 0"))
            assert search.count_rows(connection, CUSTOMER) == len(rows)
            for name, part in itertools.product(NAMES, (slice(0, 2), slice(1, 3), slice(2, 4))):
                hits = search.find_rows(connection, View(CUSTOMER), name[part], limit=None) or []
                assert sorted(hits) == sorted(rid for rid, written in rows.items() if name[part] in written)
        assert check.check(at.store)["ok"]


def test_what_a_snapshot_brought_is_found_though_the_program_was_killed_in_between(company: Company, hq, monkeypatch, kill_after):
    monkeypatch.setattr(snapshot, "LEAST_CHANGES", 1)
    monkeypatch.setattr(snapshot, "LEAST_PART", 0)
    for name in NAMES:
        hq.new("customer", name=name)
    one = company.branches["BR01"]
    own = one.new("customer", name="上海云峰")
    kill_after(3)
    with pytest.raises(Killed):
        company.down("BR01")
    assert one.value("SELECT count(*) FROM customer WHERE deleted = 0") == len(NAMES) + 1
    one.set("customer", own, name="上海龙海")
    one.restart()
    kill_after(1_000_000)
    with one.store.read() as connection:
        assert search.is_behind(connection)
    heard: list[Changes] = []
    one.store.listen(heard.append)
    search_follows.follow(one.store)
    assert heard[-1].ids["customer"] is None  # any of them
    assert all(name in found(one, name) for name in (*NAMES, "上海龙海"))
    assert found(one, "云峰") == set()
    assert check.check(one.store)["ok"]


def test_a_second_snapshot_while_the_first_one_is_gone_through_loses_nothing(company: Company, hq, monkeypatch, kill_after):
    monkeypatch.setattr(snapshot, "LEAST_CHANGES", 1)
    monkeypatch.setattr(snapshot, "LEAST_PART", 0)
    one = company.branches["BR01"]
    for name in NAMES:
        hq.new("customer", name=name)
    kill_after(0)
    with pytest.raises(Killed):
        company.down("BR01")
    kill_after(1_000_000)
    with one.store.read() as connection:
        place, found_rows = search_follows._mark(connection, search.FIRST_ROW), next(search_follows._rows_from(connection, 1, 3))
    assert place == 1
    with one.store.housekeeping() as connection:  # while those were being indexed, everything came anew
        search_follows.set_meta(connection, search.FIRST_ROW, 7)
    search_follows._index(one.store, *found_rows, search_follows.Pace(), place=place)
    with one.store.read() as connection:
        assert search_follows._mark(connection, search.FIRST_ROW) == 7
