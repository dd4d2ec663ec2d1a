"""Customers entered twice: told while one types, merged side by side, told apart."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from tests.browser.conftest import OpenPage, Running, act, beside, picture

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def add(office: Running, **values: Any) -> str:
    with beside(office) as (store, actor):
        return str(verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": values})["id"])


def field(page: Page, key: str) -> Locator:
    return page.locator(f"[data-field={key}] input").first


def test_who_is_there_already_is_told_while_one_types_and_asked_about_once(office: Running, open_page: OpenPage) -> None:
    add(office, name="绍兴华美纺织有限公司", phone="0575-8899 1234")
    page = open_page("/customers")
    page.locator("[data-key=n]").click()
    field(page, "name").fill("绍兴（华美）纺织")
    hit = page.locator("[data-alike=name] [data-hit]")
    expect(hit).to_contain_text("绍兴华美纺织有限公司")
    picture(page, "alike-zh-wide")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-act=save-anyway]")).to_be_visible()
    picture(page, "alike-question-zh-wide")
    act(page, "save-anyway")
    expect(page.locator("[data-act=save-anyway]")).to_have_count(0)
    expect(page.get_by_text("绍兴（华美）纺织").first).to_be_visible()


def test_a_phone_that_is_somebodys_already_is_told_under_the_field(office: Running, open_page: OpenPage) -> None:
    one, two = add(office, name="诸暨大唐袜业"), add(office, name="诸暨山下湖珍珠")
    with beside(office) as (store, actor):
        values = {"customer_id": two, "name": "何珠", "phone": "13757500077"}
        verbs.run(store, actor, "records.create_record", {"entity": "contact", "values": values})
    page = open_page(f"/customers?open={one}")
    page.get_by_role("button", name="操作").click()
    page.get_by_text("新建联系人").click()
    field(page, "name").fill("金丝")
    page.locator(".q-dialog [data-field=phone] input").fill("137 5750 0077")
    expect(page.locator("[data-alike=phone] [data-hit]")).to_contain_text("何珠")
    picture(page, "same-phone-zh-wide")
    page.keyboard.press("Control+Enter")
    act(page, "save-anyway")
    expect(page.locator(".q-dialog")).to_have_count(0)


def test_a_pair_is_merged_and_the_merge_taken_back(office: Running, open_page: OpenPage) -> None:
    one = add(office, name="海宁大成经编有限公司", phone="0573-8700 0001", credit_limit="1000")
    two = add(office, name="海宁大成经编", phone="0573-8700 0002", address="海宁市经编产业园", credit_limit="5000", remark="老客户")
    page = open_page("/duplicates")
    pair = page.locator(".lc-pair", has_text="海宁大成经编有限公司")
    expect(pair).to_have_count(1)
    picture(page, "duplicates-zh-wide")
    pair.locator("[data-act=merge]").click()
    page.locator("[data-act=take-credit_limit-1]").click()
    expect(page.locator("[data-act=take-credit_limit-1]")).to_have_attribute("aria-pressed", "true")
    picture(page, "merge-zh-wide")
    act(page, "merge-now")
    expect(pair).to_have_count(0)
    page.locator("[data-undo]").click()
    expect(pair).to_have_count(1)
    with beside(office) as (store, actor):
        kept = [verbs.run(store, actor, "crm.find_alike", {"values": {"name": "海宁大成经编"}})["rows"]]
    assert [{row["id"] for row in rows} for rows in kept] == [{one, two}]
    pair.locator("[data-act=apart]").click()
    expect(pair).to_have_count(0)
    act(page, "box-apart")
    expect(pair).to_have_count(1)
    pair.locator("[data-act=again]").click()
    expect(pair).to_have_count(0)


def test_a_merge_from_the_workbench_and_old_addresses_lead_to_the_one_that_stays(office: Running, open_page: OpenPage) -> None:
    one, two = add(office, name="义乌银河饰品", phone="0579-8555 0001"), add(office, name="义乌银河饰品厂", phone="0579-8555 0002")
    page = open_page(f"/customers?open={two}")
    expect(page.locator("[data-q-tab], .q-tab").first).to_be_visible()
    page.get_by_role("button", name="操作").click()
    page.get_by_text("与其他客户合并…").click()
    page.locator("[data-field=merge-with] input").fill("银河饰品")
    page.locator(".lc-pick", has_text="义乌银河饰品").filter(has_not_text="饰品厂").first.click()
    act(page, "compare")
    act(page, "stays-1")
    act(page, "merge-now")
    expect(page.locator("[data-undo]")).to_be_visible()
    page.goto(f"{office.address}/customers?open={two}")
    for number in ("0579-8555 0001", "0579-8555 0002"):  # each is a link to call it
        expect(page.locator(".lc-lower .lc-facts")).to_contain_text(number)
    page.goto(f"{office.address}/customers/{two}")
    expect(page.get_by_text("义乌银河饰品", exact=True).first).to_be_visible()
    with beside(office) as (store, _actor), store.read() as connection:
        assert connection.value("SELECT merged_into_id FROM customer WHERE id = ?", (bytes.fromhex(two),)).hex() == one


def test_on_a_phone_both_stand_one_below_the_other(office: Running, open_page: OpenPage) -> None:
    page = open_page("/duplicates", size=(390, 844))
    pair = page.locator(".lc-pair").first
    expect(pair).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "duplicates-zh-phone")
    pair.locator("[data-act=merge]").click()
    expect(page.locator("[data-act=merge-now]")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "merge-zh-phone")


def test_the_same_in_english(office: Running, open_page: OpenPage) -> None:
    page = open_page("/duplicates", login="lin")
    page.get_by_text("EN", exact=True).click()
    expect(page.get_by_text("Likely the same")).to_be_visible()
    picture(page, "duplicates-en-wide")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator(".lc-pair [data-act=merge]").first.click()
    expect(page.locator("[data-act=merge-now]")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "merge-en-phone")


def test_a_customer_in_use_is_not_deleted_but_can_be_merged(office: Running, open_page: OpenPage) -> None:
    one = add(office, name="桐乡濮院毛衫")
    with beside(office) as (store, actor):
        verbs.run(store, actor, "records.create_record", {"entity": "contact", "values": {"customer_id": one, "name": "沈工"}})
    page = open_page(f"/customers?open={one}")
    expect(page.get_by_text("桐乡濮院毛衫").first).to_be_visible()
    page.keyboard.press("Delete")  # nobody is asked first about what cannot be
    expect(page.locator("[data-act=stop]")).to_be_visible()
    expect(page.locator(".q-dialog")).to_have_count(1)
    picture(page, "in-use-zh-wide")
    act(page, "stop")
    expect(page.locator("[data-act=stop]")).to_have_count(0)
    with beside(office) as (store, _actor), store.read() as connection:
        assert connection.value("SELECT inactive FROM customer WHERE id = ?", (bytes.fromhex(one),)) == 1
