"""Importing rows: each stands by itself, and nothing is doubled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.importing import PORTION, import_rows, import_whole
from localcrm.domain.policy import Actor
from localcrm.domain.roles import BasicRole
from localcrm.kernel.errors import Forbidden, InvalidInput, NotFound, Refused, StoreError
from localcrm.kernel.schema import entity
from localcrm.store.query import Condition, ListQuery, select


@pytest.fixture
def bring(store, admin) -> Callable[..., dict[str, Any]]:
    """Import rows given as dicts; returns the counts, and errors as (row, field, code)."""

    def bring(kind: str, *rows: dict[str, str], **options: Any) -> dict[str, Any]:
        result = import_rows(store, admin, entity=kind, rows=enumerate(rows, start=2), **options)
        counts = {key: getattr(result, key) for key in ("created", "updated", "skipped", "failed") if getattr(result, key)}
        errors = [(error["row"], error["field"], error["code"]) for error in result.errors]
        return counts | ({"errors": errors} if errors else {})

    return bring


@pytest.fixture
def rows(store) -> Callable[..., list[dict[str, Any]]]:
    def rows(kind: str, **equal: Any) -> list[dict[str, Any]]:
        where = tuple(Condition(key, "=", value) for key, value in equal.items())
        with store.read() as connection:
            return select(connection, ListQuery(entity(kind), where=where, limit=1000)).rows[::-1]

    return rows


def test_a_bad_row_stops_no_other_and_takes_no_number(bring, rows) -> None:
    done = bring("customer", {"name": "甲"}, {"name": "", "phone": "1"}, {"name": "x" * 501}, {"name": "乙"})
    assert done == {"created": 2, "failed": 2, "errors": [(3, "name", "required"), (4, "name", "too_long")]}
    assert [row["number"] for row in rows("customer")] == ["C-HQ-000001", "C-HQ-000002"]


def test_only_if_every_row_is_valid(store, admin, rows) -> None:
    good = [(number, {"name": f"客户{number}"}) for number in range(2, 5)]
    for table, counts in (([*good, (5, {"phone": "1"})], (0, 0, 1)), (good, (3, 0, 0))):
        done = import_whole(store, admin, entity="customer", rows=lambda table=table: iter(table))
        assert (done.created, done.updated, done.failed) == counts == (len(rows("customer")), 0, len(table) - 3)


def test_choices_are_read_in_both_languages(bring, rows) -> None:
    levels = ("成交客户", "Deal customer", "DEAL CUSTOMER", "deal", "老朋友")
    bring("customer", *({"name": level, "level": level} for level in levels))
    assert [row["level"] for row in rows("customer")] == ["deal", "deal", "deal", "deal", "老朋友"]


def test_yes_and_no_in_every_usual_form(bring, rows) -> None:
    words = {"是": True, "否": False, "yes": True, "No": False, "TRUE": True, "false": False, "1": True, "0": False}
    bring("product", *({"code": f"P{n}", "name": word, "stocked": word} for n, word in enumerate(words)))
    assert {row["name"]: row["stocked"] for row in rows("product")} == words
    assert bring("product", {"code": "X", "name": "x", "stocked": "vielleicht"})["errors"] == [(2, "stocked", "bad_value")]


@pytest.mark.parametrize(
    "text", ["2026-11-23", "2026/11/23", "2026.11.23", "2026年11月23日", "20261123", "2026-11-23 00:00:00", "2026年 11月 23日"]
)
def test_dates_in_the_forms_people_write(bring, rows, text) -> None:
    bring("customer", {"name": "甲"})
    assert bring("contact", {"customer_id": "甲", "name": "王芳", "birthday": text}) == {"created": 1}
    assert rows("contact")[0]["birthday"] == dt.date(2026, 11, 23)


@pytest.mark.parametrize("text", ["2026-13-01", "2026-02-30", "23.11.2026", "gestern", "2026", "2026-11-23 14:00"])
def test_what_is_no_date(bring, text) -> None:
    bring("customer", {"name": "甲"})
    assert bring("contact", {"customer_id": "甲", "name": "王芳", "birthday": text})["errors"] == [(2, "birthday", "bad_date")]


def test_times_without_a_zone_are_of_the_wall_clock(bring, rows) -> None:
    bring("customer", {"name": "甲"})
    moments = ["2026-11-23T10:00:00+08:00", "2026年11月23日 10:00", "2026/11/23 10:00:00", "2026-11-23"]
    bring("activity", *({"customer_id": "甲", "content": str(n), "at": moment} for n, moment in enumerate(moments)))
    found = {row["content"]: row["at"] for row in rows("activity")}
    local = dt.datetime(2026, 11, 23, 10, 0).astimezone()
    assert found["0"] == dt.datetime(2026, 11, 23, 2, 0, tzinfo=dt.UTC)
    assert found["1"] == found["2"] == local
    assert found["3"] == local.replace(hour=0)


def test_references_by_number_login_code_or_name(bring, rows, admin) -> None:
    bring("customer", {"name": "甲", "owner_id": "admin"}, {"name": "乙", "owner_id": "王芳"}, {"name": "丙", "owner_id": admin.user_id})
    assert {row["owner_id"] for row in rows("customer")} == {admin.user_id}
    done = bring("contact", *({"customer_id": who, "name": "李"} for who in ("C-HQ-000001", "乙", "nobody")))
    assert done == {"created": 2, "failed": 1, "errors": [(4, "customer_id", "no_such_record")]}
    bring("customer", {"name": "丙"})
    assert bring("contact", {"customer_id": "丙", "name": "李"})["errors"] == [(2, "customer_id", "ambiguous_reference")]


def test_a_number_a_spreadsheet_shortened_is_not_taken(bring) -> None:
    done = bring("customer", {"name": "甲", "phone": "1.38E+10"}, {"name": "乙", "tax_no": "9.13306E+17"}, {"name": "丙", "phone": "138E1"})
    assert done == {"created": 1, "failed": 2, "errors": [(2, "phone", "lost_digits"), (3, "tax_no", "lost_digits")]}


def test_importing_again_updates_by_the_chosen_field(bring, rows) -> None:
    first = [{"name": "甲", "phone": "138-0000-1111", "level": "deal"}, {"name": "乙", "phone": "138 0000 2222"}]
    assert bring("customer", *first, update_on="phone") == {"created": 2}
    assert bring("customer", *first, update_on="phone") == {"skipped": 2}
    # Blank cells change nothing; the telephone number is the same however it is written.
    assert bring("customer", {"name": "甲甲", "phone": "13800001111", "level": ""}, update_on="phone") == {"updated": 1}
    assert [(row["name"], row["level"]) for row in rows("customer")] == [("甲甲", "deal"), ("乙", None)]


def test_one_file_that_names_a_record_twice_makes_it_once(bring, rows) -> None:
    same = [{"name": "甲", "phone": "1"}, {"name": "甲", "phone": "2"}, {"name": "甲", "phone": "2"}]
    tried = bring("customer", *same, update_on="name", dry_run=True)
    assert rows("customer") == []
    assert bring("customer", *same, update_on="name") == {"created": 1, "updated": 1, "skipped": 1}
    assert tried["created"] == 1


def test_a_dry_run_tells_what_repeats_much_later_in_the_file(bring, store, admin) -> None:
    field = verbs.run(store, admin, "admin.add_field", {"entity": "product", "label": "条码2", "type": "text", "unique": True})["key"]
    goods = [{"code": f"P{number}", "name": f"布 {number}", field: f"B{number}"} for number in range(2 * PORTION)]
    goods[PORTION + 7]["code"] = "P7"
    goods[PORTION + 8] |= {"code": "p8", field: "B8"}  # another code, the same barcode
    goods[PORTION + 9]["code"] = "P7"
    tried = bring("product", *goods, dry_run=True)
    assert tried["errors"] == [
        (PORTION + 9, "code", "code_taken"),
        (PORTION + 10, field, "not_unique"),
        (PORTION + 11, "code", "code_taken"),
    ]
    assert bring("product", *goods) == tried


def test_a_dry_run_tells_what_repeats_a_change_of_much_earlier(bring) -> None:
    bring("product", {"code": "OLD", "name": "旧布"})
    goods = [
        {"code": "NEW", "name": "旧布"},
        *({"code": f"P{n}", "name": f"布 {n}"} for n in range(PORTION)),
        {"code": "NEW", "name": "新布"},
    ]
    tried = bring("product", *goods, update_on="name", dry_run=True)
    assert (tried["updated"], tried["errors"]) == (1, [(PORTION + 3, "code", "code_taken")])
    assert bring("product", *goods, update_on="name") == tried


def test_two_records_that_are_alike_are_not_guessed_between(bring) -> None:
    bring("customer", {"name": "甲"}, {"name": "甲"}, {"name": "乙"})
    done = bring("customer", {"name": "甲", "phone": "1"}, {"name": "乙", "phone": "1"}, update_on="name")
    assert done == {"updated": 1, "failed": 1, "errors": [(2, "name", "ambiguous_match")]}


def test_a_dry_run_leaves_no_trace(bring, store) -> None:
    with store.read() as connection:
        before = connection.all(
            "SELECT (SELECT count(*) FROM sync_log), (SELECT count(*) FROM number_series), (SELECT count(*) FROM customer)"
        )
    assert bring("customer", {"name": "甲"}, {"name": ""}, dry_run=True) == {"created": 1, "failed": 1, "errors": [(3, "name", "required")]}
    with store.read() as connection:
        assert (
            connection.all("SELECT (SELECT count(*) FROM sync_log), (SELECT count(*) FROM number_series), (SELECT count(*) FROM customer)")
            == before
        )


def test_rules_of_the_subject_hold(bring) -> None:
    bring("product", {"code": "A", "name": "雪纺"})
    assert bring("product", {"code": "A", "name": "另一个"}, {"code": "B", "name": "b", "price": "-1"})["errors"] == [
        (2, "code", "code_taken"),
        (3, "price", "too_small"),
    ]
    assert bring("sales_order", {"number": "SO-1"})["errors"] == [(2, "number", "not_editable")]


def test_a_portion_is_one_transaction(bring, store) -> None:
    with store.read() as connection:
        before = connection.value("SELECT count(*) FROM sync_tx")
    bring("customer", *({"name": f"客户{n}"} for n in range(PORTION + 1)))
    with store.read() as connection:
        assert connection.value("SELECT count(*) FROM sync_tx") - before == 2


def test_a_full_disk_says_what_is_kept_and_where_to_go_on(bring, store, rows) -> None:
    def fill(_result: Any) -> None:
        pages = store._writer.value("PRAGMA page_count")
        store._writer.execute(f"PRAGMA max_page_count = {pages + 1}")

    with pytest.raises(StoreError) as stopped:
        bring("customer", *({"name": f"客户{n}", "remark": "很长" * 200} for n in range(2 * PORTION)), progress=fill)
    assert stopped.value.code == "import_stopped"
    assert stopped.value.params == {"row": PORTION + 2, "created": PORTION, "updated": 0, "cause": "磁盘已满"}
    assert len(rows("customer")) == PORTION


def test_what_cannot_be_imported_at_all(store, admin, bring) -> None:
    for kind in ("branch", "conflict"):
        with pytest.raises(Refused, match=r"."):
            bring(kind, {"name": "x"})
    with pytest.raises(Refused) as refused:
        bring("stock_move", {"quantity": "1"}, update_on="date")
    assert refused.value.code == "ledger_row"
    with pytest.raises(InvalidInput) as hidden:
        bring("user", {"login": "x"}, update_on="password")
    assert hidden.value.code == "bad_update_on"
    for options in ({"kind": "unicorn"}, {"kind": "customer", "update_on": "horn"}):
        with pytest.raises(NotFound):
            bring(options.pop("kind"), {"name": "x"}, **options)
    with pytest.raises(Forbidden):
        import_rows(store, Actor(None, "bob", "Bob", BasicRole.STAFF), entity="user", rows=[(2, {"login": "x", "name": "x"})])
