"""A service desk at the screen: entered from the workbench, answered by keyboard, closed, and promised by head office."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from localcrm.domain import verbs
from tests.browser.conftest import OpenPage, Running, act, beside, enter, pick, picture
from tests.browser.test_workbench import field, row

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def made(office: Running, verb: str, **parameters: Any) -> Any:
    with beside(office) as (store, actor):
        return verbs.run(store, actor, verb, parameters)


def ticket(office: Running, title: str, **values: Any) -> str:
    with beside(office) as (store, actor):
        with store.read() as connection:
            customer = connection.value("SELECT lower(hex(id)) FROM customer WHERE name = '柯桥金龙布业'")
        values = {"title": title, "customer_id": customer, "assignee_id": actor.user_id, **values}
        return str(verbs.run(store, actor, "records.create_record", {"entity": "ticket", "values": values})["id"])


def events(page: Page) -> list[str]:
    return [str(one.get_attribute("data-event")) for one in page.locator("[data-event]").all()]


def test_a_clerk_enters_a_ticket_from_the_workbench_and_closes_it_by_keyboard(open_page: OpenPage, office: Running) -> None:
    made(
        office,
        "records.create_record",
        entity="canned_answer",
        values={"title": "请拍照", "text": "{customer}您好，请拍照，单号 {number}。"},
    )
    page = open_page("/customers")
    row(page, "绍兴恒远纺织品有限公司").click(button="right")
    page.locator(".q-menu:visible").get_by_text("新建工单").click()
    enter(field(page, "title"), "雪纺断线")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    page.get_by_role("tab", name="服务工单").click()
    line = page.locator(".lc-table tr", has_text="雪纺断线")
    expect(line).to_contain_text("待受理")
    line.dblclick()
    page.wait_for_url("**/tickets/*")
    expect(page.locator(".lc-title")).to_have_text("雪纺断线")
    assert events(page) == ["opened"]

    page.keyboard.press("t")
    expect(page.locator("[data-event=taken]")).to_be_visible()
    page.get_by_text("快捷答复").click()
    pick(page, "请拍照")
    box = page.locator("[data-reply] textarea, textarea[data-reply]").first
    expect(box).to_have_value(page_text(page))
    box.press("Control+Enter")
    expect(page.locator("[data-event=answer]")).to_contain_text("绍兴恒远纺织品有限公司您好")
    expect(box).to_have_value("")

    page.locator(".lc-title").click()
    page.keyboard.press("x")
    dialog = page.locator(".q-dialog")
    expect(dialog.locator("textarea")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(dialog.locator(".lc-notice")).to_contain_text("解决方案")  # it asks for a solution
    enter(dialog.locator("textarea"), "换机针")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-event=closed]")).to_contain_text("换机针")
    expect(page.locator("[data-act=answer]")).to_be_hidden()  # what is closed is not answered
    picture(page, "ticket")


def page_text(page: Page) -> str:
    """The ready answer as it stands for the ticket that is open."""
    number = page.locator(".lc-head .lc-muted").first.inner_text()
    return f"绍兴恒远纺织品有限公司您好，请拍照，单号 {number}。"


def test_a_serial_number_tells_whose_machine_it_is_while_the_caller_is_on_the_line(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, _actor), store.read() as connection:
        customer = connection.value("SELECT lower(hex(id)) FROM customer WHERE name = '诸暨盛宏袜业'")
    machine = made(
        office, "records.create_record", entity="product", values={"code": "XH-1", "name": "绣花机", "price": "1", "stocked": False}
    )
    values = {"customer_id": customer, "product_id": machine["id"], "serial": "SN-77", "warranty_until": "2035-06-30"}
    made(office, "records.create_record", entity="installed_product", values=values)
    page = open_page("/tickets")
    page.keyboard.press("n")
    enter(field(page, "title"), "不转了")
    enter(field(page, "serial"), "SN-77")
    expect(page.locator("[data-serial]")).to_contain_text("保修至 2035-06-30")
    expect(field(page, "customer_id")).to_have_value("诸暨盛宏袜业")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/tickets/*")
    expect(page.locator(".lc-facts")).to_contain_text("2035-06-30")


def test_whoever_is_on_the_line_gets_a_ticket_from_the_card_of_the_call(open_page: OpenPage, office: Running) -> None:
    values = {"name": "海宁雅致布艺", "phone": "0573-87654321"}
    customer = made(office, "records.create_record", entity="customer", values=values)["id"]
    page = open_page("/calls")
    page.locator("[data-act=by-hand]").click()
    page.locator("input[data-act=number]").fill("0573-87654321")
    page.locator("[data-act=start-call]").click()
    page.locator("[data-act=call-ticket]").first.click()
    enter(field(page, "title"), "窗帘掉色")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    with beside(office) as (store, _actor), store.read() as connection:
        found = connection.one("SELECT lower(hex(customer_id)), channel FROM ticket WHERE title = '窗帘掉色'")
    assert found == (customer, "telephone")


def test_a_card_dropped_on_the_customer_waits_and_a_change_elsewhere_shows_at_once(open_page: OpenPage, office: Running) -> None:
    one = ticket(office, "等样布", priority="urgent")
    page = open_page("/tickets")
    card = page.locator(f"[data-id='{one}']")
    expect(card).to_have_attribute("data-tone", "good")
    card.drag_to(page.locator("[data-column=waiting]"))
    dialog = page.locator(".q-dialog")
    enter(dialog.locator("textarea"), "请寄样布")
    page.keyboard.press("Control+Enter")
    expect(page.locator(f"[data-column=waiting] [data-id='{one}']")).to_contain_text("暂停计时")
    made(office, "service.resume", ticket_id=one)
    expect(page.locator(f"[data-column=working] [data-id='{one}']")).to_be_visible()
    long_ago = (dt.datetime.now(dt.UTC) - dt.timedelta(days=12)).isoformat()
    with beside(office) as (store, _actor), store.read() as connection:
        lin = connection.value("SELECT lower(hex(id)) FROM user WHERE login = 'lin'")
    late = ticket(office, "早就该办", priority="low", opened_at=long_ago, assignee_id=lin)  # whose reminders cover nothing here
    expect(page.locator(".lc-deal").first).to_have_attribute("data-id", late)  # what runs out first is at the top
    page.goto(f"{office.address}/today")
    expect(page.locator(".lc-today-card", has_text="今日到期工单")).to_contain_text("早就该办")


def test_a_part_is_used_and_put_back_and_the_fee_is_billed(open_page: OpenPage, office: Running) -> None:
    service = made(
        office, "records.create_record", entity="product", values={"code": "FW-1", "name": "维修服务", "price": "0", "stocked": False}
    )
    assert service
    one = ticket(office, "换机针", fee="80")
    page = open_page(f"/tickets/{one}")
    expect(page.locator("[data-event=opened]")).to_be_visible()
    page.keyboard.press("u")
    dialog = page.locator(".q-dialog")
    chooser = dialog.locator("input").first
    expect(chooser).to_be_focused()
    chooser.press_sequentially("XF75")
    expect(page.get_by_text("雪纺 75D 藏青").last).to_be_visible()
    page.keyboard.press("Enter")
    expect(chooser).to_have_value("雪纺 75D 藏青")
    page.keyboard.press("Control+Enter")
    expect(dialog).to_have_count(0)
    expect(page.locator("[data-part]")).to_contain_text("9.80")
    act(page, "put-back")
    expect(page.locator("[data-part]")).to_have_count(2)
    page.keyboard.press("b")
    chooser = dialog.locator("input").first
    expect(chooser).to_be_focused()
    chooser.press_sequentially("FW-1")
    expect(page.get_by_text("维修服务").last).to_be_visible()
    page.keyboard.press("Enter")
    expect(chooser).to_have_value("维修服务")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/orders/*")
    expect(page.locator(".oe-rows")).to_contain_text("换机针")


def test_head_office_sets_hours_and_the_calendar(open_page: OpenPage, office: Running) -> None:
    page = open_page("/settings/service")
    act(page, "add-holidays")
    expect(page.locator("[data-day]")).not_to_have_count(0)
    act(page, "edit-week")
    saturday = page.locator(".q-dialog input").nth(5)
    enter(saturday, "9-12")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_contain_text("9-12")  # it says what is wrong, and stays
    enter(saturday, "9:00-12:00")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(page.locator(".lc-week div").last).to_have_text("休息")
    expect(page.locator(".lc-week")).to_contain_text("星期六09:00-12:00")
    page.locator("[data-level=urgent] [data-act=edit-level]").click()
    enter(page.locator(".q-dialog input").first, "45")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-level=urgent]")).to_contain_text("45 分钟")
    with beside(office) as (store, _actor), store.read() as connection:
        assert connection.value("SELECT answer FROM service_level WHERE priority = 'urgent'") == 45
