"""A channel manager registers a company for a partner, is told that another was first, and gives a rebate."""

from __future__ import annotations

import datetime as dt

import pytest
from playwright.sync_api import expect

from localcrm.domain import verbs
from localcrm.domain.partners.rules import months_until
from tests.browser.conftest import OpenPage, Running, beside, enter
from tests.browser.test_workbench import field, row

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def test_a_company_is_registered_once_and_the_next_partner_hears_of_the_first(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        for name in ("华东代理", "苏北经销"):
            verbs.run(store, actor, "records.create_record", {"entity": "partner", "values": {"name": name}})
    page = open_page("/records/partner")
    row(page, "华东代理").click(button="right")
    page.get_by_text("报备客户…", exact=True).last.click()
    enter(field(page, "name"), "桐乡新丝路服饰有限公司")
    enter(field(page, "phone"), "13911112222")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)

    page = open_page("/records/partner_registration")
    expect(row(page, "桐乡新丝路服饰")).to_contain_text("保护中")
    page.keyboard.press("n")
    field(page, "partner_id").press_sequentially("苏北")
    expect(page.locator(".q-menu:visible, .lc-picker-list:visible").get_by_text("苏北经销").first).to_be_visible()
    page.keyboard.press("Enter")
    enter(field(page, "name"), "别的名字")
    enter(field(page, "phone"), "+86 139 1111 2222")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-act=found]")).to_contain_text("已有报备")
    expect(page.locator("[data-act=found]")).to_contain_text("华东代理")
    expect(field(page, "name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".q-dialog")).to_have_count(0)
    row(page, "桐乡新丝路服饰").click(button="right")
    page.get_by_text("成交转客户…", exact=True).last.click()
    expect(page.locator(".q-dialog")).to_contain_text("转为客户")
    page.keyboard.press("Control+Enter")
    expect(row(page, "桐乡新丝路服饰")).to_contain_text("已成交转客户")


def test_a_rebate_is_paid_out_where_the_ranking_stands(open_page: OpenPage, office: Running) -> None:
    last = months_until(dt.date.today(), 2)[1]
    with beside(office) as (store, actor):

        def run(verb: str, **parameters: object) -> str:
            return str(verbs.run(store, actor, verb, parameters)["id"])

        def new(entity: str, **values: str) -> str:
            return run("records.create_record", entity=entity, values=values)

        partner = new("partner", name="浙南总代")
        new("rebate_tier", partner_id=partner, from_amount="1000", percent="3.5%")
        customer = new("customer", name="返利试样厂", partner_id=partner)
        product = new("product", code="REB-1", name="返利坯布", price="100", tax_rate="0", stocked="false")
        order = run(
            "sales.save_order", header={"customer_id": customer, "date": f"{last}-15"}, lines=[{"product_id": product, "quantity": "12"}]
        )
        run("sales.post_order", order_id=order)
        run("finance.receive_payment", order_id=order, amount="1200", date=f"{last}-20")
    page = open_page("/partners/figures")
    expect(page.locator("[data-act=ranking]")).to_contain_text("浙南总代")
    line = page.locator("[data-act=rebates] tr", has_text="浙南总代")
    expect(line).to_contain_text("42.00")
    line.locator("[data-act=settle-rebate]").click()
    expect(page.locator(".q-dialog")).to_contain_text("42.00")
    with beside(office) as (store, actor):  # somebody else works on, and the page behind the question is drawn anew
        verbs.run(store, actor, "records.create_record", {"entity": "partner", "values": {"name": "闽北总代"}})
    expect(page.locator("[data-act=ranking]")).to_contain_text("闽北总代")
    page.locator(".q-dialog [data-act=by-money]").click()
    expect(line).to_contain_text("已兑付")

    with beside(office) as (store, actor):  # a partner whose credit is used up is given it back all the same
        verbs.run(store, actor, "records.update_record", {"entity": "partner", "id": partner, "values": {"customer_id": customer}})
    page = open_page("/orders")
    row(page, "返利试样厂").click(button="right")
    page.get_by_text("收款…", exact=True).last.click()
    page.locator("[data-field=method] .q-select, .lc-field:has-text('收款方式') .q-select").first.click()
    expect(page.locator(".q-menu:visible")).to_contain_text("返利抵扣")
