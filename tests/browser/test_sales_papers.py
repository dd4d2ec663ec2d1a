"""A salesman writes a quote beside the customer, and says in the list what became of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from localcrm.domain import verbs
from tests.browser.conftest import OpenPage, Running, beside, enter
from tests.browser.test_order_entry import cell, saved
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
    expect(cell(page, 0, "product")).to_be_focused()
    page.keyboard.type("雪纺 75D 藏青")
    expect(page.locator(".oe-pick.oe-on")).to_be_visible()
    page.keyboard.press("Enter")
    expect(cell(page, 0, "quantity")).to_be_focused()
    page.keyboard.type("120")
    page.keyboard.press("Enter")
    page.keyboard.type("10")
    page.get_by_label("报价内容").fill("窗帘样品")
    page.keyboard.press("Control+s")
    saved(page)
    expect(page.locator(".oe-totals")).to_contain_text("1,200.00")
    page.locator(".oe-tools").get_by_text("已发给客户").click()
    expect(page.locator(".lc-head .lc-chip").first).to_have_text("已发出")
    page.locator(".oe-tools").get_by_text("改版", exact=True).click()
    expect(page.locator(".lc-head")).to_contain_text("第 2 版")
    enter(cell(page, 0, "price"), "9.50")
    page.keyboard.press("Control+s")
    saved(page)
    page.locator(".oe-tools").get_by_text("版本对比…").click()
    expect(page.locator(".q-dialog .lc-changed", has_text="120 米 × 9.50 = 1,140.00")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".oe-tools").get_by_text("客户接受").click()
    page.locator(".oe-tools").get_by_text("转销售单").click()
    expect(page).to_have_url(re.compile("/orders/"))
    expect(page.locator(".oe-totals")).to_contain_text("1,140.00")
    page.get_by_text("删除草稿").click()
    page.locator(".q-dialog").get_by_text("删除", exact=True).click()
    expect(page).to_have_url(re.compile("/orders$"))

    page = open_page("/customers")
    row(page, "报价试样厂").click()
    page.locator(".lc-lower .q-tab", has_text="报价").click()
    expect(page.locator(".lc-lower .lc-table")).to_contain_text("1,140.00")
    page.locator(".lc-lower .q-tab", has_text="时间线").click()
    expect(page.locator(".lc-timeline")).to_contain_text("窗帘样品")
    page.locator(".lc-lower .q-tab", has_text="销售单").click()
    expect(page.locator(".lc-lower .lc-table")).to_contain_text("雪纺 75D 藏青 30 米 × 9.80")
    page.locator(".lc-lower .lc-table").get_by_text("再来一单").click()
    expect(page.locator(".oe-rows")).to_contain_text("294.00")  # what was bought then, as a new draft

    with beside(office) as (store, actor):
        values = {"title": "一口价", "customer_id": customer, "amount": "1280"}
        verbs.run(store, actor, "records.create_record", {"entity": "quote", "values": values})
    page = open_page("/records/quote")
    row(page, "一口价").click(button="right")
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

    with beside(office) as (store, actor):
        order = verbs.run(store, actor, "sales.save_order", {"header": {"customer_id": customer}, "lines": lines})["id"]
        values = {"customer_id": customer, "carrier": "顺丰", "order_id": order}
        sent = verbs.run(store, actor, "records.create_record", {"entity": "delivery", "values": values})["id"]
        verbs.run(store, actor, "sales.save_goods", {"delivery_id": sent, "lines": [{"product_id": product, "quantity": "2"}]})
    page = open_page("/records/delivery")
    row(page, "报价试样厂").click(button="right")
    page.get_by_text("明细和序列号…", exact=True).last.click()
    goods = page.locator(".q-dialog .lc-goods tr").last
    expect(goods).to_contain_text("28")  # of thirty
    goods.get_by_label("数量").fill("31")
    expect(goods.locator(".lc-bad-text")).to_have_text("-1")
    page.locator(".q-dialog").get_by_text("保存", exact=True).click()
    expect(page.locator(".q-dialog")).to_contain_text("请写明超发原因")
    goods.get_by_label("数量").fill("2")
    page.get_by_label("序列号", exact=True).fill("SN-1\nSN-2")
    expect(page.locator(".q-dialog")).to_contain_text("2 个序列号")
    page.locator(".q-dialog").get_by_text("保存", exact=True).click()
    expect(page.locator(".q-dialog")).to_have_count(0)
    row(page, "报价试样厂").click(button="right")
    page.get_by_text("送货单", exact=True).last.click()
    expect(page).to_have_url(re.compile("/deliveries/"))
    expect(page.locator(".lc-note")).to_contain_text("SN-1, SN-2")
    page.locator(".lc-head").get_by_text("签名签收…").click()
    canvas = page.locator("canvas")
    expect(canvas).to_have_js_property("width", 600)
    page.get_by_label("签收人", exact=True).fill("王芳")
    page.locator(".q-dialog").get_by_text("保存", exact=True).click()
    expect(page.locator(".q-dialog")).to_contain_text("还没有签名")
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 120, steps=4)
    page.mouse.up()
    page.locator(".q-dialog").get_by_text("保存", exact=True).click()
    expect(page.locator(".lc-note-signature")).to_be_visible()
    expect(page.locator(".lc-head .lc-chip")).to_have_text("已签收")

    page.locator(".lc-head").get_by_text("操作").click()
    page.get_by_text("退货、换货…", exact=True).last.click()
    page.locator(".q-dialog").get_by_label("序列号", exact=True).click()
    page.locator(".q-menu .q-item", has_text="SN-1").click()
    page.keyboard.press("Escape")
    expect(page.get_by_label("本次退回")).to_have_value("1")
    page.locator(".q-dialog .q-checkbox", has_text="换货").click()
    page.locator(".q-dialog").get_by_text("保存", exact=True).click()
    page.get_by_label("序列号", exact=True).fill("SN-3")  # what goes in exchange
    page.locator(".q-dialog").get_by_text("保存", exact=True).click()
    expect(page.locator(".lc-head .lc-chip", has_text="已退回 DN-")).to_be_visible()

    with beside(office) as (store, actor):  # of an order without lines nothing is shown beside the goods
        order = verbs.run(store, actor, "sales.save_order", {"header": {"customer_id": customer}, "lines": lines})["id"]
        made = verbs.run(store, actor, "records.create_record", {"entity": "delivery", "values": {"order_id": order}})["id"]
        verbs.run(store, actor, "sales.save_goods", {"delivery_id": made, "lines": [{"product_id": product, "quantity": "1"}]})
        verbs.run(store, actor, "sales.save_order", {"header": {}, "lines": [], "order_id": order})
    page = open_page(f"/deliveries/{made}")
    page.locator(".lc-head").get_by_text("明细和序列号…").click()
    why = page.get_by_label("超发原因")
    expect(why).to_be_hidden()
    page.get_by_label("数量", exact=True).fill("2")
    page.locator(".q-dialog").get_by_text("保存", exact=True).click()
    expect(page.locator(".q-dialog")).to_contain_text("请写明超发原因")
    why.fill("样品")
    page.locator(".q-dialog").get_by_text("保存", exact=True).click()
    expect(page.locator(".q-dialog")).to_have_count(0)
    page = open_page("/records/installed_product")
    expect(row(page, "SN-2")).to_contain_text("报价试样厂")
    expect(row(page, "SN-1")).to_contain_text("今天")  # back again
