"""One customer on one page: reached by key from the list, drawn anew when somebody records something."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from localcrm.domain import verbs
from localcrm.domain.admin.conflicts import CONFLICT
from localcrm.store import blobs
from tests.browser.conftest import OpenPage, Running, beside, pick, picture

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def test_a_salesperson_opens_everything_about_a_customer_by_key(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        values = {"name": "全貌纺织", "phone": "0575-1", "credit_limit": "5000"}
        identity = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": values})["id"]
        for kind, more in (
            ("opportunity", {"title": "窗帘工程", "amount": "88000", "next_step": "送样布"}),
            ("quote", {"title": "窗帘报价", "status": "sent"}),
            ("delivery", {"content": "窗帘布 30 米", "tracking_no": "SF1001", "status": "shipped"}),
            ("ticket", {"title": "缩水投诉"}),
            ("expense", {"purpose": "招待晚餐", "amount": "380"}),
            ("contract", {"title": "年度框架", "status": "signed", "files": blobs.add(store, "盖章合同.pdf", b"signed").line}),
        ):
            verbs.run(store, actor, "records.create_record", {"entity": kind, "values": more | {"customer_id": identity}})
    page = open_page(f"/customers?open={identity}")
    expect(page.locator(".ag-row-selected")).to_contain_text("全貌纺织")
    page.locator(".ag-row-selected .ag-cell").nth(1).click(button="right")
    pick(page, "期初余额")
    page.locator(".q-dialog [data-field='amount'] input").fill("1200.50")
    picture(page, "opening-balance")
    page.locator(".q-dialog [data-commit]").click()
    expect(page.locator(".q-dialog")).to_have_count(0)
    page.keyboard.press("p")
    expect(page).to_have_url(re.compile(f"/customers/{identity}$"))
    expect(page.locator(".lc-figures")).to_contain_text("1,200.50")
    expect(page.locator(".lc-figures")).to_contain_text("3,799.50")  # of a limit of 5,000.00
    for told in ("88,000.00", "送样布", "窗帘报价", "年度框架", "盖章合同.pdf", "SF1001", "缩水投诉", "招待晚餐"):
        expect(page.locator(".lc-customer-page")).to_contain_text(told)
    with beside(office) as (store, actor):
        values = {"customer_id": identity, "content": "电话里谈了价"}
        verbs.run(store, actor, "records.create_record", {"entity": "activity", "values": values})
    expect(page.locator(".lc-timeline")).to_contain_text("电话里谈了价")
    picture(page, "customer-page")
    page.get_by_text("返回列表").click()
    expect(page.locator(".ag-row-selected")).to_contain_text("全貌纺织")
    page.locator(".lc-lower .q-tab", has_text="附件").click()
    expect(page.locator(".lc-lower .lc-table tr", has_text="盖章合同.pdf")).to_contain_text("年度框架")


def test_a_customer_who_is_not_there_is_said_so(open_page: OpenPage) -> None:
    for nobody in ("0" * 32, "not-an-id"):
        expect(open_page(f"/customers/{nobody}").locator(".lc-customer-page")).to_contain_text("无权查看")


def test_a_deleted_customer_says_so_and_offers_only_the_way_back(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        identity = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "回收站里的布行"}})["id"]
        verbs.run(store, actor, "records.delete_record", {"entity": "customer", "id": identity})
    page = open_page(f"/customers/{identity}")
    notice = page.locator(".lc-notice", has_text="已删除，在回收站里（HQ 王芳")
    expect(notice).to_be_visible()
    expect(page.locator(".lc-page-tools")).not_to_contain_text("编辑")
    picture(page, "deleted-customer")
    notice.locator("[data-act=restore]").click()
    expect(page.locator(".lc-page-tools")).to_contain_text("编辑")
    expect(notice).to_have_count(0)


def test_what_is_left_to_decide_about_a_customer_stands_above_everything(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        identity = verbs.run(
            store, actor, "records.create_record", {"entity": "customer", "values": {"name": "两处都改的布行", "phone": "1"}}
        )["id"]
        with store.unit_of_work(None) as uow:
            told = {"kind": "overwritten", "entity": "customer", "record": identity, "field": "phone", "kept": "1", "lost": "2"}
            told |= {"kept_node": "HQ", "lost_node": "BR01"}
            uow.insert(CONFLICT, CONFLICT.validate(told))
    page = open_page(f"/customers/{identity}")
    notice = page.locator(".lc-notice", has_text="BR01 与 HQ 都改过：电话")
    expect(notice).to_be_visible()
    expect(page.locator(".lc-fact", has_text="电话").locator(".lc-disputed")).to_have_count(1)
    expect(page.locator(".lc-disputed")).to_have_count(1)
    picture(page, "customer-with-conflict")
    page.get_by_text("返回列表").click()
    expect(page.locator(".lc-lower .q-tab").first).to_contain_text("冲突")
    page.goto(f"{office.address}/customers/{identity}")
    notice.locator("[data-act=to-conflicts]").click()
    page.locator(".lc-conflict [data-act=keep]").click()
    expect(page.locator(".lc-conflict")).to_have_count(0)
    page.goto(f"{office.address}/customers/{identity}")
    expect(page.locator(".lc-page-tools")).to_contain_text("编辑")
    expect(notice).to_have_count(0)


def test_restoring_a_customer_that_was_changed_elsewhere_settles_that_too(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        identity = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "一删一改的布行"}})["id"]
        verbs.run(store, actor, "records.delete_record", {"entity": "customer", "id": identity})
        with store.unit_of_work(None) as uow:
            told = {"kind": "deleted_edited", "entity": "customer", "record": identity, "field": "deleted", "kept": "true", "lost": "false"}
            uow.insert(CONFLICT, CONFLICT.validate(told | {"kept_node": "HQ", "lost_node": "BR01"}))
    page = open_page(f"/customers/{identity}")
    notice = page.locator(".lc-record-head .lc-notice")
    expect(notice).to_have_count(1)
    expect(notice).to_contain_text("已删除，在回收站里（HQ 王芳")
    expect(notice).to_contain_text("一处删除，另一处修改")
    expect(notice.locator("[data-act=to-conflicts]")).to_be_visible()
    notice.locator("[data-act=restore]").click()
    expect(page.locator(".lc-page-tools")).to_contain_text("编辑")
    expect(notice).to_have_count(0)
    with beside(office) as (store, _actor), store.read() as connection:
        assert connection.value("SELECT resolution FROM conflict WHERE record = ?", (identity,)) == "value=false"


def test_below_the_list_a_deleted_customer_says_so_and_is_not_edited(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        identity = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "列表下的旧客户"}})["id"]
        verbs.run(store, actor, "records.delete_record", {"entity": "customer", "id": identity})
    page = open_page(f"/customers?open={identity}&tab=overview")
    notice = page.locator(".lc-lower .lc-notice", has_text="已删除，在回收站里")
    expect(notice).to_be_visible()
    expect(page.locator(".lc-lower .lc-overview-head", has_text="编辑")).to_have_count(0)
    page.keyboard.press("e")
    expect(page.locator(".lc-notices .lc-notice")).to_contain_text("请先恢复")
    expect(page.locator(".q-dialog")).to_have_count(0)
    notice.locator("[data-act=restore]").click()
    expect(page.locator(".lc-lower .lc-overview-head", has_text="编辑")).to_be_visible()


def test_a_phone_names_the_chosen_customer_once(open_page: OpenPage) -> None:
    page = open_page("/customers", size=(390, 844))
    page.locator(".lc-card-row", has_text="柯桥金龙布业").click()
    page.locator(".lc-lower [data-tab=overview]").click()
    expect(page.locator(".lc-lower .lc-facts")).to_be_visible()
    expect(page.locator(".lc-lower").get_by_text("柯桥金龙布业", exact=True).locator("visible=true")).to_have_count(1)
    expect(page.locator(".lc-lower .lc-kbd:visible")).to_have_count(0)
