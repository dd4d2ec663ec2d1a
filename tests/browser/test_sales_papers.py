"""A salesman writes a quote beside the customer, and says in the list what became of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from localcrm.domain import verbs
from tests.browser.conftest import OpenPage, Running, beside, enter
from tests.browser.test_workbench import field, row

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def test_a_quote_is_written_beside_the_customer_and_accepted_in_the_list(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        customer = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "报价试样厂"}})["id"]
        with store.read() as connection:
            product = connection.value("SELECT lower(hex(id)) FROM product")
        lines = [{"product_id": product, "quantity": "30", "tax_rate": "0.13"}]
        verbs.run(store, actor, "sales.save_order", {"header": {"customer_id": customer}, "lines": lines})
    page = open_page("/customers")
    row(page, "报价试样厂").click()
    page.locator(".lc-lower .q-tab", has_text="报价").click()
    expect(page.locator(".lc-lower")).to_contain_text("还没有给这位客户报过价")
    page.locator(".lc-lower").get_by_text("＋ 新报价").click()
    enter(field(page, "title"), "窗帘样品")
    enter(field(page, "amount"), "1280")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-lower .lc-table")).to_contain_text("1,280.00")
    page.locator(".lc-lower .q-tab", has_text="时间线").click()
    expect(page.locator(".lc-timeline")).to_contain_text("窗帘样品")
    page.locator(".lc-lower .q-tab", has_text="销售单").click()
    expect(page.locator(".lc-lower .lc-table")).to_contain_text("雪纺 75D 藏青 30 米 × 9.80")
    page.locator(".lc-lower .lc-table").get_by_text("再来一单").click()
    expect(page.locator(".oe-rows")).to_contain_text("294.00")  # what was bought then, as a new draft

    page = open_page("/records/quote")
    row(page, "窗帘样品").click(button="right")
    page.get_by_text("改版", exact=True).last.click()
    enter(field(page, "amount"), "1180")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    page.locator(".ag-row", has_text="1,180.00").click(button="right")
    page.get_by_text("版本对比…", exact=True).last.click()
    expect(page.locator(".q-dialog .lc-changed", has_text="1,180.00")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".ag-row", has_text="1,180.00").click(button="right")
    page.get_by_text("客户接受", exact=True).last.click()
    expect(page.locator(".ag-row", has_text="1,180.00")).to_contain_text("已接受")
    page.locator(".ag-row", has_text="1,180.00").click(button="right")
    page.get_by_text("改版", exact=True).last.click()
    expect(page.get_by_text("客户已经接受，请另开一张报价单")).to_be_visible()
