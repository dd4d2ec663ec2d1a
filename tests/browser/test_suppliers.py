"""A buyer works with the list of suppliers by keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from localcrm.domain import verbs
from tests.browser.conftest import OpenPage, Running, beside, enter
from tests.browser.test_workbench import field, row

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def test_a_buyer_enters_a_supplier_and_asks_who_is_cheapest(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):

        def new(entity: str, **values: str) -> str:
            return str(verbs.run(store, actor, "records.create_record", {"entity": entity, "values": values})["id"])

        cloth = new("product", code="SUP-1", name="比价坯布", price="12")
        new("supplier_price", supplier_id=new("supplier", name="便宜织造厂"), product_id=cloth, price="8")
    page = open_page("/suppliers")
    page.keyboard.press("n")
    enter(field(page, "name"), "永盛织造厂")
    page.keyboard.press("Control+Enter")
    expect(row(page, "永盛织造厂")).to_contain_class("ag-row-selected")
    expect(page.locator(".lc-lower")).to_contain_text("还没有报价")
    with beside(office) as (store, actor), store.read() as connection:
        supplier = connection.value("SELECT lower(hex(id)) FROM supplier WHERE name = '永盛织造厂'")
    with beside(office) as (store, actor):
        values = {"supplier_id": supplier, "product_id": cloth, "price": "9.5", "lead_days": "3"}
        verbs.run(store, actor, "records.create_record", {"entity": "supplier_price", "values": values})
    expect(page.locator(".lc-lower")).to_contain_text("比价坯布")

    # The account: a bill, and what the supplier owes us as a customer is set off against it.
    with beside(office) as (store, actor):

        def run(verb: str, **parameters: object) -> str:
            return str(verbs.run(store, actor, verb, parameters)["id"])

        customer = run("records.create_record", entity="customer", values={"name": "永盛织造厂有限公司"})
        service = {"code": "SUP-2", "name": "来料加工", "price": "60", "tax_rate": "0", "stocked": "false"}
        line = {"product_id": run("records.create_record", entity="product", values=service), "quantity": "1"}
        run("sales.post_order", order_id=run("sales.save_order", header={"customer_id": customer}, lines=[line]))
    page.get_by_role("button", name="＋ 应付账单").click()
    enter(field(page, "amount"), "100")
    enter(field(page, "invoice_no"), "F-2026-1")
    page.keyboard.press("Control+Enter")
    lower = page.locator(".lc-lower")
    expect(lower.locator(".lc-figures")).to_contain_text("100.00")
    expect(lower.locator(".lc-notice")).to_contain_text("可能就是客户“永盛织造厂有限公司”")
    lower.get_by_role("button", name="是同一家").click()
    expect(lower.locator(".lc-notice")).to_contain_text("相抵后我方应付 40.00")
    lower.get_by_role("button", name="对冲…").click()
    expect(field(page, "amount")).to_have_value("60.00")
    page.keyboard.press("Control+Enter")
    expect(row(page, "永盛织造厂")).to_contain_text("40.00")
    expect(lower.locator(".lc-rows tr", has_text="对冲")).to_contain_text("60.00")

    page.keyboard.press("p")
    chooser = page.locator(".q-dialog input").first
    expect(chooser).to_be_focused()
    chooser.press_sequentially("SUP-1")
    expect(page.get_by_text("比价坯布").last).to_be_visible()
    page.keyboard.press("Enter")
    rows = page.locator(".q-dialog .lc-table tr")
    expect(rows.nth(1)).to_contain_text("便宜织造厂")
    expect(rows.nth(2)).to_contain_text("永盛织造厂")
