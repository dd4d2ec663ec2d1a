"""A flow is written in plain words, an order is submitted, the superior decides by keyboard, and the order is posted."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.kernel.schema import entity
from tests.browser.conftest import PASSWORD, OpenPage, Running, beside

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


@pytest.fixture(scope="module", autouse=True)
def superior(office: Running) -> None:
    """张三 is above 林晓."""
    with beside(office) as (store, actor):
        values = {"login": "zhang", "name": "张三", "password": PASSWORD, "role": "staff"}
        above = verbs.run(store, actor, "records.create_record", {"entity": "user", "values": values})["id"]
        with store.unit_of_work(None) as uow:
            lin = uow.where(entity("user"), login="lin")[0]["id"]
        verbs.run(store, actor, "records.update_record", {"entity": "user", "id": lin, "values": {"superior_id": above}})


def draft(office: Running, quantity: str) -> str:
    """An order of 林晓."""
    from localcrm.domain.people.services import actor_by_id

    with beside(office) as (store, _actor):
        with store.unit_of_work(None) as uow:
            lin = actor_by_id(store, uow.where(entity("user"), login="lin")[0]["id"])
            customer = uow.where(entity("customer"), name="柯桥金龙布业")[0]["id"]
            product = uow.where(entity("product"))[0]["id"]
        assert lin is not None
        lines = [{"product_id": product, "quantity": quantity}]
        return str(verbs.run(store, lin, "sales.save_order", {"header": {"customer_id": customer}, "lines": lines})["id"])


def dialog(page: Page) -> Locator:
    return page.locator(".q-dialog .lc-dialog").last


def choose(page: Page, place: Locator, text: str) -> None:
    place.click()
    page.locator(".q-menu:visible .q-item", has_text=text).first.click()


def test_head_office_writes_a_flow_and_sees_whom_it_asks(open_page: OpenPage) -> None:
    page = open_page("/approval-flows")
    expect(page.locator(".lc-empty")).to_contain_text("还没有审批流程")
    page.keyboard.press("n")
    box = dialog(page)
    box.locator("input").first.fill("大额订单")
    box.get_by_text("＋ 条件").click()
    box.locator(".lc-flow-line").first.locator("input[placeholder]").fill("5,000")
    expect(box.locator("[role=status]")).to_contain_text("这个流程的审批顺序")
    choose(page, box.locator(".lc-field", has_text="试一试").locator(".q-select"), "林晓")
    expect(box.locator("[role=status]")).to_contain_text("张三")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-table tr", has_text="大额订单")).to_contain_text("订单金额 大于等于 5,000.00")


def test_an_order_is_submitted_approved_by_key_and_posted(open_page: OpenPage, office: Running) -> None:
    order = draft(office, "600")
    page = open_page(f"/orders/{order}", login="lin")
    button = page.locator(".oe-tools [data-commit]")
    expect(button).to_contain_text("提交审批")
    button.click()
    expect(page.locator(".lc-toast")).to_contain_text("张三")
    expect(page.locator(".lc-approval")).to_contain_text("待审批")
    expect(page.locator(".oe-tools [data-commit]")).to_have_count(0)

    elsewhere = open_page("/customers", login="zhang", size=(390, 844))
    waiting = elsewhere.locator(".lc-nav-link[href='/approvals'] .lc-badge")
    expect(waiting).to_have_text("1")
    expect(waiting).to_have_attribute("aria-label", "1 张单据待您审批")
    expect(page.locator(".lc-badge").first).to_be_hidden()  # whoever submitted it has nothing to do

    other = open_page("/approvals", login="zhang")
    expect(other.locator(".lc-table tr", has_text="柯桥金龙布业")).to_contain_text("5,880.00")
    expect(other.locator(".lc-quick .lc-count")).to_have_text("1")
    other.keyboard.press("a")
    dialog(other).locator("textarea").fill("可以")
    other.keyboard.press("Control+Enter")
    expect(other.locator(".lc-empty")).to_contain_text("没有待您审批的单据")
    expect(waiting).to_be_empty()

    expect(page.locator(".lc-approval")).to_contain_text("可以")
    expect(page.locator(".oe-tools [data-commit]")).to_contain_text("过账")
    page.locator(".oe-tools [data-commit]").click()
    expect(page.locator(".lc-head .lc-title").first).to_contain_text(re.compile("SO-HQ-"))


def test_a_rejection_is_read_on_the_order_and_a_small_order_asks_nobody(open_page: OpenPage, office: Running) -> None:
    order = draft(office, "700")
    page = open_page(f"/orders/{order}", login="lin")
    page.locator(".oe-tools [data-commit]").click()
    expect(page.locator(".lc-approval")).to_contain_text("待审批")
    other = open_page(f"/orders/{order}", login="zhang", size=(390, 844))
    other.locator(".lc-approval button", has_text="驳回").click()
    other.locator(".q-dialog [data-commit]").click()
    expect(dialog(other)).to_contain_text("请填写驳回原因")
    dialog(other).locator("textarea").fill("折扣太低")
    other.locator(".q-dialog [data-commit]").click()
    expect(page.locator(".lc-approval")).to_contain_text("折扣太低")
    quantity = page.locator(".oe-rows .oe-row").first.locator("[data-cell=quantity]")
    quantity.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("100")
    page.keyboard.press("Enter")
    expect(page.locator(".oe-tools [data-commit]")).to_contain_text("过账")
