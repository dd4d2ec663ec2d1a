"""Somebody remembers a scrap, and comes to the record by keyboard alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.store import blobs
from localcrm.store.store import Store
from tests.browser.conftest import OpenPage, Running, beside

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def box(page: Page) -> None:
    expect(page.locator(".lc-find-input")).to_be_focused()


def chosen(page: Page) -> Locator:
    return page.locator(".lc-find-hit.lc-on .lc-find-title")


def test_the_global_box_leads_to_all_results_and_the_keyboard_to_the_record(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):

        def new(entity: str, **values: str) -> str:
            return str(verbs.run(store, actor, "records.create_record", {"entity": entity, "values": values})["id"])

        mill = new("customer", name="<b>海宁</b>皮革&城", phone="0573-87654321")
        new("contact", customer_id=mill, name="海宁的老周", other_phones="13511112222、13733334444")
        file = blobs.add(store, "海宁 报价.pdf", b"x")
        new("activity", customer_id=mill, content="海宁来访，看样", files=file.line)
    page = open_page("/records/product")
    expect(page.locator(".ag-row").first).to_be_visible()
    page.keyboard.press("Control+k")
    page.locator(".lc-palette input").fill("haining")
    expect(page.locator(".lc-pick").first).to_contain_text("海宁")
    page.keyboard.press("ArrowUp")  # the last line
    expect(page.locator(".lc-pick.lc-on")).to_contain_text("全部结果")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=haining")
    box(page)
    expect(chosen(page)).to_have_text("<b>海宁</b>皮革&城")  # text stays text
    expect(page.locator(".lc-find-hit.lc-on mark").first).to_have_text("海宁")
    expect(page.locator(".lc-find-look")).to_contain_text("0573-87654321")
    expect(page.locator(".lc-find-look")).to_contain_text("海宁的老周")
    expect(page.locator("[data-kind=file]")).to_contain_text("1")

    page.keyboard.press("ArrowDown")
    expect(chosen(page)).to_have_text("海宁的老周")
    expect(page.locator(".lc-find-look-title")).to_have_text("海宁的老周")
    page.locator("[data-kind=file]").click()
    expect(page.locator(".lc-find-hit")).to_have_count(1)
    expect(chosen(page)).to_have_text("海宁 报价.pdf")
    page.wait_for_url("**/search?q=haining&kind=file")
    page.locator('[data-kind=""]').click()
    page.locator(".lc-find-input").fill("2222")  # the first of two numbers in one field
    expect(chosen(page)).to_have_text("海宁的老周")
    expect(page.locator(".lc-find-match mark")).to_have_text("2222")
    page.locator(".lc-find-input").press("Enter")
    page.wait_for_url("**/records/contact?open=*")
    page.go_back()
    page.wait_for_url("**/search?q=2222")
    expect(chosen(page)).to_have_text("海宁的老周")
    page.keyboard.press("Escape")
    expect(page.locator(".lc-find-again span")).to_have_text(["2222"])  # what was opened is remembered, what was only typed is not
    page.locator(".lc-find-again").click()
    expect(page.locator(".lc-find-input")).to_have_value("2222")


def test_a_number_typed_and_enter_is_enough(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        number = verbs.run(store, actor, "records.create_record", {"entity": "supplier", "values": {"name": "号码直达织造"}})["number"]
    page = open_page("/search")
    box(page)
    page.keyboard.type(number)
    page.keyboard.press("Enter")  # before anything was answered
    page.wait_for_url("**/suppliers?open=*")
    expect(page.locator(".ag-row-selected")).to_contain_text("号码直达织造")


def test_others_customers_are_told_by_the_whole_number_and_what_changes_appears(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):

        def run(verb: str, **parameters: object) -> object:
            return verbs.run(store, actor, verb, parameters)

        run("records.create_record", entity="user", values={"login": "zhou", "name": "周强", "password": "Correct-Horse-7", "role": "none"})
        run("people.set_rights", login="zhou", entity="customer", actions=["read", "create"], scope="own")
        run("records.create_record", entity="customer", values={"name": "不归他管的公司", "phone": "13600007777"})
    page = open_page("/search?q=13600007777", login="zhou", size=(390, 844))
    expect(page.locator("[data-masked]")).to_contain_text("王芳")
    expect(page.locator(".lc-find-hit")).to_have_count(0)
    expect(page.locator("[data-coverage]")).to_contain_text("截至此刻")
    page.locator(".lc-find-input").fill("7777")
    expect(page.locator(".lc-find-list .lc-empty")).to_be_visible()
    page.wait_for_timeout(700)
    expect(page.locator("[data-masked]")).to_have_count(0)
    with beside(office) as (store, actor):
        zhou = store_id(store, "zhou")
        values = {"name": "周强的公司", "phone": "13900007777", "owner_id": zhou}
        verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": values})
    expect(page.locator(".lc-find-hit")).to_contain_text("周强的公司")  # without asking again
    page.locator(".lc-find-hit").click()
    expect(page.locator(".lc-find-look")).to_be_visible()
    expect(page.locator(".lc-find-look")).to_contain_text("13900007777")
    page.locator(".lc-find-back").click()
    expect(page.locator(".lc-find-look")).to_be_hidden()


def store_id(store: Store, login: str) -> str:
    with store.read() as connection:
        return str(connection.value("SELECT lower(hex(id)) FROM user WHERE login = ?", (login,)))
