"""How values are shown and typed."""

from __future__ import annotations

from contextvars import copy_context
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain import subjects
from localcrm.domain.options.shortcuts import read_shortcuts
from localcrm.domain.policy import permissions
from localcrm.kernel.i18n import use_language
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import entities, entity
from localcrm.store.view import View
from localcrm.ui.kit.columns import DERIVED, columns
from localcrm.ui.kit.look import Look, own_key, set_look
from localcrm.ui.kit.moments import parse_day, parse_moment
from localcrm.ui.kit.values import ago, grouped, near_day, show, show_kind, tone
from localcrm.ui.program import join_changes
from localcrm.ui.screens.login import browser_name, own_path

assert subjects.SUBJECTS
CUSTOMER, PRODUCT = entity("customer"), entity("product")
TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("money", Decimal("126540.5"), "126,540.50"),
        ("money", Decimal("-0.01"), "-0.01"),
        ("money", Decimal("0.00"), "0.00"),
        ("quantity", Decimal("1200.0000"), "1,200"),
        ("quantity", Decimal("-0.5000"), "-0.5"),
        ("price", Decimal("9.800000"), "9.80"),
        ("price", Decimal("1234.567890"), "1,234.56789"),
        ("percent", Decimal("0.1300"), "13%"),
        ("percent", Decimal("0.0650"), "6.5%"),
        ("boolean", True, "是"),
        ("boolean", False, "否"),
        ("integer", 0, "0"),
        ("text", "", None),
        ("money", None, None),
    ],
)
def test_values_in_words(kind: str, value: object, text: str | None) -> None:
    assert show_kind(kind, value) == text


def test_a_suggested_value_is_shown_by_its_label_and_an_own_one_as_it_is() -> None:
    level = CUSTOMER.fields["level"]
    assert [show(level, value) for value in ("deal", "朋友介绍", None)] == ["成交客户", "朋友介绍", None]
    assert [tone(level, value) for value in ("deal", "朋友介绍", None)] == ["good", "plain", None]
    with use_language("en"):
        assert show(level, "deal") == "Deal customer"


def test_days_near_today_have_names() -> None:
    today = datetime.now().astimezone().date()
    shown = [near_day(today + timedelta(days=n)) for n in (-1, 0, 1)]
    with use_language("en"):
        assert [near_day(today + timedelta(days=n)) for n in (-1, 0, 1)] == ["yesterday", "today", "tomorrow"]
    assert len(set(shown)) == 3
    assert near_day(date(2019, 3, 4)) == "2019-03-04"


def test_how_long_ago() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    with use_language("en"):
        assert [ago(now - timedelta(seconds=s), now) for s in (-5, 59, 60, 7199, 86400, 6 * 86400)] == [
            "just now",
            "just now",
            "1 minute ago",
            "1 hour ago",
            "1 day ago",
            "6 days ago",
        ]


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("2026-11-26", date(2026, 11, 26)),
        ("2026/1/2", date(2026, 1, 2)),
        ("11-26", date(2026, 11, 26)),
        ("1126", date(2026, 11, 26)),
        ("20270105", date(2027, 1, 5)),
        ("+3", date(2026, 11, 26)),
        ("-23", date(2026, 10, 31)),
        ("13-01", None),
        ("2026-02-30", None),
        ("soon", None),
        ("", None),
    ],
)
def test_days_as_people_type_them(typed: str, day: date | None) -> None:
    assert parse_day(typed, TODAY) == day


def test_moments_as_people_type_them() -> None:
    now = datetime(2026, 11, 23, 12).astimezone()
    assert [parse_moment(text, now) for text in ("11-26 15:00", "+1", "11-26T8:30", "11-26 25:00", "x")] == [
        datetime(2026, 11, 26, 15).astimezone(),
        datetime(2026, 11, 24, 9).astimezone(),
        datetime(2026, 11, 26, 8, 30).astimezone(),
        None,
        None,
    ]


def test_every_entity_has_a_list_and_derived_columns_stand_where_they_say() -> None:
    for kind in entities():
        keys = [column.key for column in columns(View(kind))]
        assert len(keys) == len(set(keys))
        assert all(not kind.fields[key].secret for key in keys if key in kind.fields)
        for derived in DERIVED.get(kind.key, ()):
            assert keys.index(derived.key) == keys.index(derived.after) + 1


def test_a_link_after_signing_in_stays_on_this_server() -> None:
    kept = ["/customers?open=1", "/orders/new"]
    dropped = [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/login?next=/",
        "",
        None,
        "/a\r\nSet-Cookie: x",
    ]
    assert [own_path(path) for path in kept + dropped] == kept + ["/"] * len(dropped)


def test_a_browser_is_named_in_a_few_words() -> None:
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0"
    assert [browser_name(agent), browser_name("curl/8"), browser_name("")] == ["Edge · Windows", "curl/8", ""]


def test_events_that_come_together_are_told_as_one() -> None:
    many = Changes({"customer": None}, {"customer": frozenset({"name"})})
    one = Changes({"customer": frozenset({"a"}), "contact": frozenset({"b"})}, {"customer": frozenset({"phone"})}, remote=True)
    joined = join_changes(join_changes(None, one), many)
    assert joined.ids == {"customer": None, "contact": frozenset({"b"})}
    assert (joined.fields, joined.remote) == ({"customer": frozenset({"name", "phone"})}, True)


def test_every_screen_has_an_address_of_its_own_and_a_known_permission() -> None:
    from localcrm.ui.pages import load_screens
    from localcrm.ui.registry import SECTIONS

    found = load_screens()
    assert len({screen.path for screen in found}) == len(found)
    assert [screen.id for screen in found if screen.permission and screen.permission not in permissions()] == []
    assert [screen.id for screen in found if screen.section is not None and screen.section not in SECTIONS] == []


def test_values_are_drawn_as_their_reader_likes_them() -> None:
    today = datetime.now().astimezone().date()

    def shown() -> tuple[str | None, ...]:
        set_look(Look(dates="exact", places={"quantity": 2, "price": 4}, keys=read_shortcuts("n=m")))
        return (
            near_day(today),
            show_kind("quantity", Decimal("12.5")),
            show_kind("price", Decimal("9.80")),
            grouped(Decimal("1.2345")),
            own_key("n"),
        )

    assert copy_context().run(shown) == (today.isoformat(), "12.50", "9.8000", "1.2345", "M")
    assert (near_day(today), grouped(Decimal("12.50")), own_key("n")) == ("今天", "12.5", "N")


def test_the_menu_of_a_customer_has_its_parts_in_order() -> None:
    from types import SimpleNamespace

    from localcrm.ui.customer.actions import ACTIONS, Part, menu_of
    from localcrm.ui.customer.custody import ACTIONS as CUSTODY
    from localcrm.ui.customer.tickets import ACTIONS as SERVICE

    offered = (*ACTIONS, *SERVICE, *CUSTODY)
    parts = {one.id: one.part for one in offered}

    def menu(*rights: str) -> list[Any]:
        session = SimpleNamespace(may=lambda right: not rights or right in rights, actor=SimpleNamespace(is_admin=not rights))
        return menu_of(SimpleNamespace(session=session), offered)  # type: ignore[arg-type]

    found = menu()
    assert [parts[one.id] for one in found] == sorted(parts[one.id] for one in found)
    assert {"quote", "order", "expense", "ticket"} <= {one.id for one in found if parts[one.id] is Part.ADD}
    assert [parts[one.id] for one in found if one.divided] == [Part.REACH, Part.ADD, Part.PASS_ON, Part.CARE]  # a line between two parts
    assert (found[0].id, found[-1].id, found[-1].danger) == ("open", "delete", True)
    assert not menu("customer.read")[0].divided


def test_every_list_has_cards_for_a_telephone_with_columns_that_there_are() -> None:
    from localcrm.kernel.schema import entity
    from localcrm.ui.kit.columns import DERIVED
    from localcrm.ui.kit.grid import CARDS
    from localcrm.ui.pages import load_screens

    lists = {screen.lists for screen in load_screens() if screen.lists}
    assert "quote" in lists
    assert lists - CARDS.keys() == set()
    for kind, keys in CARDS.items():
        known = {"", *entity(kind).fields, *(derived.key for derived in DERIVED.get(kind, ()))}
        assert (kind, set(keys) - known) == (kind, set())
