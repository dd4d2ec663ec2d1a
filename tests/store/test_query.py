"""Typed lists: only what is declared reaches SQL, pages follow each other without a gap, totals and groups are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.schema import entity
from localcrm.store.query import TOTAL_CAP, Condition, ListQuery, every, group_counts, record_json, ref_titles, select, titles
from localcrm.store.view import Among, View, With
from tests import factories
from tests.factories import Installation

CUSTOMER, CONTACT, USER = entity("customer"), entity("contact"), entity("user")
LEVELS = ["deal", "prospect", None]


@pytest.fixture(scope="module")
def hq() -> Iterator[Installation]:
    """Two hundred customers: phones repeat, levels are sometimes empty, every tenth is deleted."""
    with factories.company(branches=1) as company:
        made = company.hq
        with made.store.unit_of_work(made.actor.user_id) as uow:
            for number in range(200):
                values = {
                    "name": f"客户{number:03d}",
                    "phone": str(number % 7),
                    "level": LEVELS[number % 3],
                    "credit_limit": Decimal(number),
                }
                identity = uow.insert(CUSTOMER, CUSTOMER.validate(values))
                if number % 10 == 9:
                    uow.set_deleted(CUSTOMER, identity, deleted=True)
        yield made


def rows(hq: Installation, **query: Any) -> list[dict[str, Any]]:
    with hq.store.read() as connection:
        return select(connection, ListQuery(CUSTOMER, **{"limit": 1000, **query})).rows


def names(hq: Installation, *where: Condition, **query: Any) -> list[str]:
    return [row["name"] for row in rows(hq, where=where, **query)]


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        (Condition("name", "=", "客户005"), [5]),
        (Condition("credit_limit", ">=", "198"), [198]),
        (Condition("credit_limit", "<", Decimal(2)), [1, 0]),
        (Condition("credit_limit", "<=", "2.00"), [2, 1, 0]),
        (Condition("name", "starts", "客户00"), [8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (Condition("name", "contains", "户18"), [188, 187, 186, 185, 184, 183, 182, 181, 180]),
        (Condition("name", "contains", "%"), []),
        (Condition("name", "contains", "_"), []),
        (Condition("name", "in", ["客户001", "客户003", "客户009"]), [3, 1]),
    ],
)
def test_a_filter_finds_exactly_these_newest_first(hq, condition, numbers):
    assert names(hq, condition) == [f"客户{number:03d}" for number in numbers]


def test_blank_and_filled_divide_the_list(hq):
    blank, filled = names(hq, Condition("level", "blank")), names(hq, Condition("level", "filled"))
    assert len(blank) + len(filled) == 180
    assert names(hq, Condition("level", "=", None)) == blank
    assert names(hq, Condition("level", "!=", None)) == filled


def test_the_bin_is_another_list(hq):
    assert names(hq, deleted=True) == [f"客户{number:03d}" for number in range(199, 0, -10)]


@pytest.mark.parametrize("sort", ["", "name", "-name", "phone", "-phone", "level", "-level", "credit_limit", "-credit_limit"])
@pytest.mark.parametrize("limit", [1, 7, 60, 1000])
def test_pages_follow_each_other_without_a_gap_or_a_repetition(hq, sort, limit):
    whole = [row["id"] for row in rows(hq, sort=sort)]
    paged: list[str] = []
    with hq.store.read() as connection:
        page = select(connection, ListQuery(CUSTOMER, sort=sort, limit=limit))
        paged += [row["id"] for row in page.rows]
        while page.next is not None:
            page = select(connection, ListQuery(CUSTOMER, sort=sort, limit=limit, after=page.next))
            paged += [row["id"] for row in page.rows]
            assert page.total == 180
    assert paged == whole
    assert len(set(paged)) == 180


def test_the_order_is_the_one_asked_for(hq):
    def key(row: dict[str, Any]) -> tuple[bool, Any]:
        return (row["level"] is not None, row["level"] or "")

    found = rows(hq, sort="level")
    assert [key(row) for row in found] == sorted(key(row) for row in found)
    assert [row["id"] for row in rows(hq, sort="-level")] == [row["id"] for row in found][::-1]


def test_every_page_of_a_list(hq):
    with hq.store.read() as connection:
        assert sum(len(page.rows) for page in every(connection, ListQuery(CUSTOMER, sort="name"))) == 180


def test_a_total_is_counted_only_so_far(hq):
    with hq.store.read() as connection:
        page = select(connection, ListQuery(CUSTOMER, limit=0))
    assert (page.total, page.capped, page.rows) == (180, False, [])
    assert TOTAL_CAP == 10_000


def test_groups_come_from_the_maintained_table_and_are_those_of_the_rows(hq):
    with hq.store.read() as connection:
        counted = dict(group_counts(connection, View(CUSTOMER), "level"))
        by_phone = dict(group_counts(connection, View(CUSTOMER), "phone"))
    assert counted == Counter(row["level"] for row in rows(hq))
    assert by_phone == Counter(row["phone"] for row in rows(hq))


@pytest.mark.parametrize(
    "query",
    [{"where": (Condition("name); DROP TABLE customer; --", "=", "x"),)}, {"sort": "name; DROP TABLE customer"}, {"sort": "-nothing"}],
)
def test_a_field_that_is_not_declared_never_reaches_sql(hq, query):
    with pytest.raises((NotFound, InvalidInput)):
        rows(hq, **query)
    assert len(rows(hq)) == 180


@pytest.mark.parametrize(
    "condition", [Condition("credit_limit", ">", "viel"), Condition("name", "; --", "x"), Condition("owner_id", "=", "x")]
)
def test_a_filter_that_cannot_be_understood_is_refused(hq, condition):
    with pytest.raises(InvalidInput):
        rows(hq, where=(condition,))


@pytest.mark.parametrize("value", ["'", '"', "\\", "%", "_", "'; DROP TABLE customer; --"])
def test_any_text_is_only_a_value(hq, value):
    for op in ("=", "contains", "starts", "in"):
        assert names(hq, Condition("name", op, [value] if op == "in" else value)) == []
    assert len(rows(hq)) == 180


@pytest.mark.parametrize("value", ["\x00", "客户\x00", "\ud800"])
@pytest.mark.parametrize("op", ["=", "contains", "starts", "in"])
def test_text_that_no_file_could_hold_is_refused(hq, op, value):
    with pytest.raises(InvalidInput):
        names(hq, Condition("name", op, [value] if op == "in" else value))


@pytest.mark.parametrize("op", ["=", "contains", "starts", "filled", "in"])
def test_a_secret_cannot_be_guessed_by_filtering_or_sorting(hq, op):
    with hq.store.read() as connection:
        with pytest.raises(InvalidInput):
            select(connection, ListQuery(USER, where=(Condition("password", op, "$argon2id"),)))
        with pytest.raises(InvalidInput):
            select(connection, ListQuery(USER, sort="password"))
        page = select(connection, ListQuery(USER))
    assert all("password" not in record_json(USER, row) for row in page.rows)


def test_what_the_actor_may_not_see_is_part_of_the_query(hq):
    some = rows(hq, sort="name")[3:5]
    view = View(CUSTOMER, rows=(Among("id", frozenset(row["id"] for row in some)),), hidden=frozenset({"phone"}))
    assert names(hq, restrict=view) == [row["name"] for row in reversed(some)]
    assert all("phone" not in row for row in rows(hq, restrict=view))
    for query in ({"sort": "phone"}, {"where": (Condition("phone", "filled"),)}):
        with pytest.raises(InvalidInput):
            rows(hq, restrict=view, **query)


def test_titles_are_known_of_deleted_records_too(hq):
    deleted = rows(hq, deleted=True)[0]
    with hq.store.read() as connection:
        assert titles(connection, CUSTOMER, [deleted["id"], "0" * 32]) == {deleted["id"]: deleted["name"]}
        shown = ref_titles(connection, CONTACT, [{"customer_id": deleted["id"]}, {"customer_id": None}])
    assert shown == {"customer_id": {deleted["id"]: deleted["name"]}}


OWNERS, BRANCHES = [f"{n:032x}" for n in range(1, 5)], [f"{n:032x}" for n in range(11, 14)]


@pytest.fixture(scope="module")
def owned() -> Iterator[Installation]:
    """Customers of four people and three branches, some of nobody's, some deleted, each with a contact, of which some are deleted too."""
    with factories.company(branches=1) as company:
        made = company.hq
        with made.store.unit_of_work(made.actor.user_id) as uow:
            for number in range(120):
                values = {
                    "name": f"客户{number % 50:03d}",
                    "level": LEVELS[number % 3],
                    "owner_id": [*OWNERS, None][number % 5],
                    "branch_id": [*BRANCHES, None][number % 4],
                }
                customer = uow.insert(CUSTOMER, CUSTOMER.validate(values))
                contact = uow.insert(CONTACT, CONTACT.validate({"customer_id": customer, "name": f"联系人{number % 40:03d}"}))
                if number % 6 == 5:
                    uow.set_deleted(CUSTOMER, customer, deleted=True)
                if number % 7 == 6:
                    uow.set_deleted(CONTACT, contact, deleted=True)
        yield made


#: Few and many rows, found by one index, by two, or not at all.
VIEWS = {
    "one": View(CUSTOMER, rows=(Among("owner_id", frozenset(OWNERS[:1])),)),
    "several": View(CUSTOMER, rows=(Among("owner_id", frozenset(OWNERS[1:])),)),
    "either": View(CUSTOMER, rows=(Among("owner_id", frozenset(OWNERS[:2])), Among("branch_id", frozenset(BRANCHES[:1])))),
    "nobody": View(CUSTOMER, rows=(Among("owner_id", frozenset()),)),
    "nothing": View(CUSTOMER, rows=()),
}


def fits(view: View, record: dict[str, Any]) -> bool:
    return any(isinstance(part, Among) and record[part.field] in part.ids for part in view.rows or ())


@pytest.mark.parametrize("cap", [0, 20, TOTAL_CAP])
@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("sort", ["", "name", "-name", "level", "-level", "phone"])
@pytest.mark.parametrize("kind", [CUSTOMER, CONTACT], ids=lambda kind: kind.key)
@pytest.mark.parametrize("name", VIEWS)
def test_a_page_is_the_same_whichever_way_its_rows_are_found(owned, monkeypatch, name, kind, sort, deleted, cap):
    sort = sort if kind is CUSTOMER else sort.replace("level", "title")
    monkeypatch.setattr("localcrm.store.query.TOTAL_CAP", cap)
    view = VIEWS[name] if kind is CUSTOMER else View(CONTACT, rows=(With("customer_id", VIEWS[name]),))
    with owned.store.read() as connection:
        customers = {
            row["id"]: row for gone in (False, True) for row in select(connection, ListQuery(CUSTOMER, limit=1000, deleted=gone)).rows
        }
        whole = select(connection, ListQuery(kind, sort=sort, limit=1000, deleted=deleted)).rows
        expected = [row["id"] for row in whole if fits(VIEWS[name], row if kind is CUSTOMER else customers[row["customer_id"]])]
        pages, after = [], None
        while not pages or pages[-1].next is not None:
            after = pages[-1].next if pages else None
            pages.append(select(connection, ListQuery(kind, sort=sort, limit=9, after=after, deleted=deleted, restrict=view)))
    assert [row["id"] for page in pages for row in page.rows] == expected
    assert {page.total for page in pages} == {min(len(expected), cap + 1)}


def test_groups_of_what_may_be_seen_are_those_of_its_rows(owned):
    with owned.store.read() as connection:
        for view in VIEWS.values():
            expected = Counter(row["level"] for row in select(connection, ListQuery(CUSTOMER, limit=1000, restrict=view)).rows)
            assert dict(group_counts(connection, view, "level")) == expected


@pytest.mark.parametrize("view", [VIEWS["several"], VIEWS["either"]])
def test_a_long_list_is_read_in_its_order_and_a_short_one_gathered(owned, monkeypatch, view):
    def plan(cap: int) -> str:
        monkeypatch.setattr("localcrm.store.query.TOTAL_CAP", cap)
        asked: list[tuple[str, Any]] = []
        with owned.store.read() as connection:
            read = connection.all
            monkeypatch.setattr(connection, "all", lambda sql, params=(): asked.append((sql, params)) or read(sql, params))
            select(connection, ListQuery(CUSTOMER, sort="name", restrict=view))
            monkeypatch.undo()
            return " ".join(row[3] for row in read(f"EXPLAIN QUERY PLAN {asked[-1][0]}", asked[-1][1]))

    assert "customer__owner_id" in plan(TOTAL_CAP)
    assert "customer__name" in plan(0)
    assert "TEMP B-TREE" not in plan(0)
