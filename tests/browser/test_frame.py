"""The frame on every screen: what stays in sight, and what covers nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.domain.admin.conflicts import CONFLICT
from tests.browser.conftest import OpenPage, Running, beside, picture

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")
PHONE, SMALL = (390, 844), (1024, 768)


def box(place: Locator) -> dict[str, float]:
    found = place.bounding_box()
    assert found is not None
    return dict(found)


def disputed(office: Running) -> str:
    """A customer with a conflict; returns its id."""
    with beside(office) as (store, actor):
        made = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "框架纺织", "phone": "1"}})["id"]
        with store.unit_of_work(None) as uow:
            told = {"kind": "overwritten", "entity": "customer", "record": made, "field": "phone", "kept": "1", "lost": "2"}
            uow.insert(CONFLICT, CONFLICT.validate(told | {"kept_node": "HQ", "lost_node": "BR01"}))
    return str(made)


def test_conflicts_and_merging_stay_at_the_foot_and_the_open_page_is_in_sight(open_page: OpenPage) -> None:
    page = open_page("/settings/organisation")
    for path in ("/conflicts", "/sync"):
        expect(page.locator(f".lc-nav-foot a[href='{path}']")).to_be_in_viewport(ratio=1)
    expect(page.locator(".lc-nav .lc-on")).to_be_in_viewport(ratio=1)
    foot = box(page.locator(".lc-nav-foot"))
    assert box(page.locator(".lc-nav .lc-on"))["y"] < foot["y"]
    picture(page, "navigation")
    page = open_page("/today", size=PHONE)
    page.locator(".lc-burger").click()
    expect(page.locator(".lc-nav-foot a[href='/sync']")).to_be_in_viewport(ratio=1)


def test_every_size_says_which_place_this_is(open_page: OpenPage) -> None:
    for size in (SMALL, PHONE):
        page = open_page("/today", size=size)
        expect(page.locator(".lc-node")).to_be_visible()
        assert page.locator(".lc-node").inner_text().split() == ["HQ"]
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_a_reminder_is_one_line_where_a_card_would_cover_the_page(open_page: OpenPage, office: Running) -> None:
    identity = disputed(office)
    for size in (SMALL, PHONE):
        with beside(office) as (store, actor):
            for text in ("查库存", "寄样布"):
                wish = {"at": (datetime.now(UTC) + timedelta(seconds=1)).isoformat(), "text": text, "customer": identity}
                verbs.run(store, actor, "crm.set_reminder", wish)
        page = open_page("/conflicts", size=size)
        card = page.locator(".lc-reminder:visible")
        expect(card).to_have_count(1)
        assert box(card)["height"] < 50
        assert box(card)["y"] + box(card)["height"] <= box(page.locator(".lc-head"))["y"]
        expect(page.locator(".lc-reminder-more:visible")).to_contain_text("+")
        expect(card.locator("a")).to_have_attribute("href", f"/customers?open={identity}")
        picture(page, f"reminder-line-{size[0]}")


def test_on_a_phone_the_bar_of_ticked_ones_and_a_toast_take_the_lower_edge(open_page: OpenPage, office: Running) -> None:
    disputed(office)
    page = open_page("/conflicts", size=PHONE)
    page.locator(".lc-conflict .q-checkbox").first.click()
    bar = page.locator(".lc-chosen")
    expect(bar).to_be_visible()
    assert (round(box(bar)["y"] + box(bar)["height"]), round(box(bar)["width"])) == (844, 390)
    _toast(page)
    toast = page.locator(".lc-toast")
    assert box(toast)["width"] > 350
    assert box(toast.locator(".q-btn"))["height"] < 40  # on one line


def _toast(page: Page) -> None:
    """Save something that can be taken back."""
    page.goto(page.url.replace("/conflicts", "/customers"))
    page.locator(".lc-card-row", has_text="诸暨盛宏袜业").click()
    page.locator(".lc-overview-head .q-btn").click()
    page.locator(".q-dialog .lc-field[data-field='phone'] input").fill("0575-9")
    page.locator(".q-dialog [data-commit]").click()
    expect(page.locator(".lc-toast .q-btn")).to_be_visible()
