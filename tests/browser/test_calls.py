"""The telephone rings: the card of the call comes up on the right screen, and everything from there is one key away."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from tests.browser.conftest import OpenPage, Running, act, beside, enter, picture
from tests.browser.test_workbench import field
from tests.channels.test_sip import packet

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


@pytest.fixture(scope="module")
def key(office: Running) -> str:
    """The hook of the telephone system, switched on, and its key; lin has a telephone."""
    with beside(office) as (store, actor):
        verbs.run(store, actor, "calls.change_settings", {"values": {"hook": True, "area": "0575"}})
        with store.read() as connection:
            lin = connection.value("SELECT lower(hex(id)) FROM user WHERE login = 'lin'")
        verbs.run(store, actor, "records.update_record", {"entity": "user", "id": lin, "values": {"extension": "801"}})
        return str(verbs.run(store, actor, "calls.make_hook_key", {})["key"])


@pytest.fixture
def tell(office: Running, key: str) -> Iterator[Any]:
    """Speaks as the telephone system does; what still rings at the end of a test is hung up."""
    told: set[str] = set()

    def say(event: str, number: str, **more: Any) -> None:
        body = {"event": event, "id": number, "caller": number, **more}
        answer = httpx.post(f"{office.address}/hook/call", json=body, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text
        told.add(number)

    yield say
    for number in told:
        say("end", number)


def calls(page: Page) -> Locator:
    return page.locator(".lc-call")


def link(page: Page) -> Locator:
    """The page is drawn once its navigation is there."""
    return page.locator("a.lc-nav-link[href='/calls']")


def test_a_call_comes_up_within_a_second_on_the_screen_of_whose_telephone_rings(open_page: OpenPage, office: Running, tell: Any) -> None:
    with beside(office) as (store, actor):
        values = {"name": "海宁雅致布艺", "phone": "0573-87654321", "level": "deal"}
        customer = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": values})["id"]
        person = {"customer_id": customer, "name": "陈总", "title": "采购经理", "phone": "13905731234"}
        verbs.run(store, actor, "records.create_record", {"entity": "contact", "values": person})
        said = {"customer_id": customer, "content": "要秋季色卡，下周报价"}
        verbs.run(store, actor, "records.create_record", {"entity": "activity", "values": said})
    lin, admin = open_page("/stock", login="lin"), open_page("/stock")
    for page in (lin, admin):
        expect(link(page)).to_be_visible()
    lin.wait_for_timeout(700)
    tell("ring", "+86 139-0573-1234", called="801")
    calls(lin).wait_for(timeout=8000)  # a busy machine is slow, not wrong
    for text in ("13905731234", "海宁雅致布艺", "陈总", "采购经理", "要秋季色卡", "王芳"):
        expect(calls(lin)).to_contain_text(text)
    expect(calls(admin)).to_have_count(0)
    picture(lin, "call-card")
    lin.keyboard.press("F2")
    expect(calls(lin)).to_contain_text("通话中")
    lin.keyboard.press("F4")
    lin.locator("[data-act=call-note] textarea, textarea[data-act=call-note]").fill("报价已发，周五回电")
    picture(lin, "call-note")
    lin.keyboard.press("Control+Enter")
    expect(lin.locator(".q-dialog")).to_have_count(0)
    tell("end", "+86 139-0573-1234")
    expect(calls(lin)).to_have_count(0)
    lin.goto(f"{office.address}/customers?open={customer}")
    lin.locator(".lc-lower .q-tab", has_text="电话").click()
    expect(lin.locator(".lc-lower .q-tab-panel")).to_contain_text("已接")
    picture(lin, "call-tab")
    lin.locator(".lc-lower .q-tab", has_text="联系记录").click()
    expect(lin.locator(".lc-lower")).to_contain_text("报价已发，周五回电")


def test_a_stranger_becomes_a_customer_by_one_key(open_page: OpenPage, office: Running, tell: Any) -> None:
    lin = open_page("/stock", login="lin")
    expect(link(lin)).to_be_visible()
    tell("ring", "15000000001", called="801")
    expect(calls(lin)).to_contain_text("没有客户")
    lin.keyboard.press("F8")
    expect(field(lin, "phone")).to_have_value("15000000001")
    enter(field(lin, "name"), "来电新客户")
    lin.keyboard.press("Control+Enter")
    expect(calls(lin)).to_contain_text("来电新客户")
    expect(lin.locator(".q-dialog")).to_have_count(0)
    lin.keyboard.press("Insert")
    expect(field(lin, "phone")).to_have_count(0)  # the form of a ticket, with the customer in it
    enter(field(lin, "title"), "机器不转了")
    lin.keyboard.press("Control+Enter")
    expect(lin.locator(".q-dialog")).to_have_count(0)
    lin.goto(f"{office.address}/tickets")
    expect(lin.locator("body")).to_contain_text("机器不转了")
    expect(lin.locator("body")).to_contain_text("来电新客户")


def test_several_customers_with_the_number_are_chosen_from(open_page: OpenPage, office: Running, tell: Any) -> None:
    lin = open_page("/stock", login="lin")
    expect(link(lin)).to_be_visible()
    tell("ring", "84123367", called="801")  # the number of all four, without the area code of the place
    expect(calls(lin).locator(".lc-call-party")).to_have_count(4)
    picture(lin, "call-several")
    calls(lin).locator(".lc-call-party", has_text="柯桥金龙布业").locator("[data-act=call-link]").click()
    expect(calls(lin).locator("[data-act=call-link]")).to_have_count(3)
    expect(calls(lin).locator(".lc-call-party").first).to_contain_text("柯桥金龙布业")
    expect(calls(lin).locator("[data-act=call-note]")).to_be_visible()


def test_missed_calls_wait_on_the_page_of_today_until_somebody_has_called_back(open_page: OpenPage, office: Running, tell: Any) -> None:
    tell("ring", "15000000002")
    tell("end", "15000000002")
    page = open_page("/today")
    card = page.locator("[data-testid=card-missed-calls], .lc-today-card", has_text="未接来电")
    expect(card).to_contain_text("15000000002")
    picture(page, "call-today")
    card.locator("a.lc-today-head").click()
    page.wait_for_url("**/calls?show=missed*")
    row = page.locator(".ag-center-cols-container .ag-row", has_text="15000000002")
    row.dblclick()
    expect(page.locator(".q-dialog")).to_contain_text("未接")
    picture(page, "call-sheet")
    act(page, "sheet-settle")
    expect(page.locator(".lc-toast")).to_contain_text("已处理")
    expect(page.locator("[data-act=sheet-settle]")).to_contain_text("改回")
    page.keyboard.press("Escape")
    expect(row).to_have_count(0)


def test_by_hand_where_no_line_tells_of_calls(open_page: OpenPage, office: Running, key: str) -> None:
    page = open_page("/calls")
    page.keyboard.press("n")
    page.locator("[data-act=number] input, input[data-act=number]").fill("0575 84123367")
    page.keyboard.press("Enter")
    expect(page.locator(".q-dialog .lc-call-party")).to_have_count(4)
    picture(page, "call-by-hand")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(calls(page)).to_contain_text("通话中")
    calls(page).locator("[data-act=call-end]").click()
    expect(calls(page)).to_contain_text("通话已结束")
    calls(page).locator("[data-act=call-done]").click()
    expect(calls(page)).to_have_count(0)
    rows = page.locator(".ag-center-cols-container .ag-row")
    page.locator("[data-find]").fill("0575-8412")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("已接")
    picture(page, "call-list")


def test_a_user_sets_his_own_extension(open_page: OpenPage, office: Running, tell: Any) -> None:
    page = open_page("/stock")
    expect(link(page)).to_be_visible()
    page.locator(".lc-avatar").click()
    page.locator(".q-menu:visible .q-item", has_text="我的分机").click()
    page.locator("input[data-act=extension]").fill("808 809")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-toast")).to_be_visible()
    tell("ring", "15000000009", called="809")
    expect(calls(page)).to_contain_text("15000000009")
    page.set_viewport_size({"width": 390, "height": 844})
    picture(page, "call-phone")


def test_a_source_is_switched_on_and_says_how_it_stands(open_page: OpenPage, office: Running) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    page = open_page("/settings/calls")
    state = page.locator("[data-act=state-sip]")
    expect(state).to_contain_text("已关闭")
    place = page.locator("input[data-act=sip_port]")
    place.fill("99999")
    act(page, "switch-sip")
    expect(page.locator("[data-source=sip] .lc-field-error:visible")).to_contain_text("端口")
    expect(state).to_contain_text("已关闭")
    place.fill(str(port))
    act(page, "switch-sip")
    expect(state).to_contain_text(f"正在监听 {port}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.sendto(packet(to="<sip:700@pbx>", number="13912345678").replace(b"sip:801@", b"sip:700@"), ("127.0.0.1", port))
        client.sendto(packet(to="<sip:801@pbx>", number="13912345679", call="c2"), ("127.0.0.1", port))
        expect(state).to_contain_text("刚刚")
        expect(calls(page)).to_have_count(0)  # 700 is nobody's line, 801 is lin's
        picture(page, "call-settings")
        client.sendto(packet("CANCEL", call="c2"), ("127.0.0.1", port))
    act(page, "new-key")
    expect(page.locator("[data-act=key]")).to_have_text(re.compile(r"^[\w-]{32}$"))
    page.keyboard.press("Control+Enter")
    act(page, "switch-sip")
    expect(state).to_contain_text("已关闭")
