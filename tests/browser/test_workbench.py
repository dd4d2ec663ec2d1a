"""The customer workbench as a person uses it: keys, right-click, search, two at once, two languages, a phone."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.store.connection import Connection
from localcrm.store.folder import DATABASE
from tests.browser.conftest import Held, OpenPage, Running, beside, enter, grid_state

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def marked(page: Page, name: str) -> Locator:
    """An element by its marker, whatever the language."""
    return page.locator(f"[data-mark~='{name}']")


def row(page: Page, text: str) -> Locator:
    return page.locator(".ag-row", has_text=text).first


def field(page: Page, key: str) -> Locator:
    return page.locator(f".q-dialog .lc-field[data-field='{key}'] input, .q-dialog .lc-field[data-field='{key}'] textarea").first


def search(page: Page, text: str) -> None:
    page.locator("[data-find]").first.fill(text)


def test_the_bar_says_who_and_where(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator(".lc-brand")).to_contain_text("柯桥纺织")
    expect(page.locator(".lc-node")).to_have_text("HQ 柯桥纺织")
    expect(row(page, "诸暨盛宏袜业")).to_be_visible()
    expect(page.locator(".lc-lower")).to_contain_text("诸暨盛宏袜业")


def test_a_customer_is_added_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page()
    expect(row(page, "诸暨盛宏袜业")).to_be_visible()
    page.keyboard.press("n")
    expect(field(page, "name")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog .lc-field-error:visible")).to_have_count(1)  # a name is required, said beside the field
    page.keyboard.type("杭州博雅服饰有限公司")
    page.keyboard.press("Enter")  # goes on to the next field
    page.keyboard.type("博雅")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(page.locator(".ag-row-selected")).to_contain_text("杭州博雅服饰有限公司")
    expect(page.locator(".lc-lower")).to_contain_text("C-HQ-")


def test_what_was_typed_is_not_lost_by_escape_or_by_closing_the_window(open_page: OpenPage) -> None:
    page = open_page()
    expect(row(page, "诸暨盛宏袜业")).to_be_visible()
    page.keyboard.press("n")
    field(page, "name").fill("半途而废公司")
    page.keyboard.press("Escape")
    expect(page.locator(".q-dialog")).to_have_count(2)  # it asks
    page.keyboard.press("Escape")  # no, go on
    expect(page.locator(".q-dialog")).to_have_count(1)
    expect(field(page, "name")).to_have_value("半途而废公司")
    page.wait_for_timeout(2500)  # the draft is written
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(row(page, "诸暨盛宏袜业")).to_be_visible()
    page.keyboard.press("n")
    expect(field(page, "name")).to_have_value("半途而废公司")
    expect(page.locator(".q-dialog input:focus")).to_have_count(1)
    enter(field(page, "name"), "")
    page.keyboard.press("Tab")
    page.wait_for_function("!localcrm.isDirty()")
    page.keyboard.press("Escape")
    expect(page.locator(".q-dialog")).to_have_count(0)


def test_right_click_offers_the_actions_of_the_row(open_page: OpenPage) -> None:
    page = open_page()
    row(page, "柯桥金龙布业").click(button="right")
    menu = page.locator(".q-menu.lc-menu")
    expect(menu.locator(".q-item")).to_have_count(24)
    expect(page.locator(".ag-row-selected")).to_contain_text("柯桥金龙布业")
    menu.locator(".q-item").nth(4).click()
    field(page, "content").fill("确认样布")
    several = page.locator(".q-dialog .lc-field[data-field='participants']")
    several.locator("input").press_sequentially("晓")
    page.locator(".q-menu:visible .q-item").get_by_text("林晓", exact=True).click()
    expect(several.locator(".q-chip")).to_contain_text("林晓")
    page.keyboard.press("Tab")  # not Escape, which leaves the form where the choices have gone by themselves
    expect(page.locator(".q-menu:visible")).to_have_count(0)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(page.locator(".lc-lower table")).to_contain_text("确认样布")
    expect(row(page, "柯桥金龙布业")).to_contain_text("确认样布")


def test_a_phone_is_dialled_where_it_stands(open_page: OpenPage) -> None:
    page = open_page()
    phone = row(page, "柯桥金龙布业").locator("[col-id=phone] .lc-dial")
    phone.click()  # chooses the row
    link = page.locator(".lc-lower .lc-links a").first
    expect(link).to_have_attribute("href", "tel:057584123367")
    expect(page.locator("iframe")).to_have_count(0)
    phone.click()
    expect(page.locator("iframe[src='tel:057584123367']")).to_have_count(1)
    expect(page.locator("iframe")).to_have_count(0)
    link.click()
    expect(page.locator("iframe[src='tel:057584123367']")).to_have_count(1)
    expect(page.locator("iframe")).to_have_count(0)
    row(page, "柯桥金龙布业").click(button="right")
    page.locator(".q-menu .q-item", has_text="打电话").click()  # the only number is dialled at once
    expect(page.locator("iframe[src='tel:057584123367']")).to_have_count(1)


def test_deleting_asks_and_can_be_taken_back(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "多余的公司"}})
    page = open_page()
    row(page, "多余的公司").click()
    page.keyboard.press("Delete")
    expect(page.locator(".q-dialog button:focus")).to_be_visible()
    page.keyboard.press("Enter")
    expect(row(page, "多余的公司")).to_have_count(0)
    page.locator(".lc-toast button").click()
    expect(row(page, "多余的公司")).to_be_visible()


def test_a_key_pressed_before_the_program_listens_is_about_the_row_chosen_before(open_page: OpenPage) -> None:
    """Rows are there before the program is told anything, and a quick hand does not wait."""
    page = open_page(own_session=True)
    held = Held(page, at_once=True)
    row(page, "诸暨盛宏袜业").click()
    page.keyboard.press("Delete")
    page.wait_for_timeout(200)
    held.release()
    expect(page.locator(".q-dialog", has_text="诸暨盛宏袜业")).to_be_visible()
    page.keyboard.press("Escape")


def test_a_group_narrows_the_list_and_its_chip_widens_it_again(open_page: OpenPage, office: Running) -> None:
    page = open_page()
    expect(row(page, "浙江瑞祥进出口有限公司")).to_be_visible()
    page.locator(".lc-group", has_text="成交客户").click()
    expect(row(page, "浙江瑞祥进出口有限公司")).to_have_count(0)
    page.locator(".lc-quick .lc-chip").click()
    expect(row(page, "浙江瑞祥进出口有限公司")).to_be_visible()
    with beside(office) as (store, actor):
        with store.read() as connection:
            customer = connection.value("SELECT lower(hex(id)) FROM customer WHERE name = '浙江瑞祥进出口有限公司'")
        spoken = {"entity": "activity", "values": {"customer_id": customer, "content": "来电"}}
        activity = verbs.run(store, actor, "records.create_record", spoken)["id"]
        page.locator(".lc-group", has_text="0–7 天").click()  # by no field of theirs, and beside a group that is one
        expect(row(page, "诸暨盛宏袜业")).to_have_count(0)
        expect(row(page, "浙江瑞祥进出口有限公司")).to_be_visible()
        page.locator(".lc-group", has_text="成交客户").click()
        expect(page.locator(".lc-quick .lc-chip")).to_have_count(2)
        page.locator(".lc-quick .lc-chip", has_text="等级").click()
        expect(row(page, "浙江瑞祥进出口有限公司")).to_be_visible()
        verbs.run(store, actor, "records.delete_record", {"entity": "activity", "id": activity})
    expect(row(page, "浙江瑞祥进出口有限公司")).to_be_visible()  # what was chosen stays so


def test_the_list_finds_by_pinyin_and_by_the_end_of_a_number(open_page: OpenPage) -> None:
    page = open_page()
    expect(row(page, "柯桥金龙布业")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("rxjck")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(1)
    expect(page.locator(".lc-lower")).to_contain_text("浙江瑞祥进出口有限公司")
    search(page, "3367")
    expect(row(page, "柯桥金龙布业")).to_be_visible()
    search(page, "查无此人")
    expect(page.locator(".lc-grid-empty")).to_be_visible()


def test_the_palette_goes_to_records_and_screens(open_page: OpenPage) -> None:
    page = open_page("/records/product")
    expect(page.locator(".ag-row").first).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("ruixiang")
    expect(page.locator(".lc-pick.lc-on")).to_contain_text("浙江瑞祥进出口有限公司")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers?open=*")
    expect(page.locator(".lc-lower")).to_contain_text("浙江瑞祥进出口有限公司")


def test_columns_are_remembered_for_the_user(open_page: OpenPage, office: Running) -> None:
    page = open_page("/records/product")
    expect(page.locator(".ag-row").first).to_be_visible()
    before = {column["colId"]: column["hide"] for column in grid_state(page, "product")}
    assert (before["spec"], before["stocked"]) == (False, False)
    page.locator("button.lc-wide-only").first.click()
    page.locator(".q-dialog .q-checkbox").nth(2).click()
    page.locator(".q-dialog .lc-pri").click()
    expect(page.locator(".q-dialog")).to_have_count(0)
    page.wait_for_timeout(300)
    page.reload()
    expect(page.locator(".ag-row").first).to_be_visible()
    assert {column["colId"]: column["hide"] for column in grid_state(page, "product")}["spec"] is True


def test_two_people_see_each_others_saves_at_once(open_page: OpenPage) -> None:
    first, second = open_page(), open_page(login="lin")
    expect(row(second, "诸暨盛宏袜业")).to_be_visible()
    first.keyboard.press("n")
    field(first, "name").fill("同时看见有限公司")
    first.keyboard.press("Control+Enter")
    expect(row(second, "同时看见有限公司")).to_be_visible()


def test_what_another_program_writes_shows_within_seconds(open_page: OpenPage, office: Running) -> None:
    page = open_page()
    expect(row(page, "诸暨盛宏袜业")).to_be_visible()
    with beside(office) as (store, actor):
        verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "命令行新增公司"}})
    expect(row(page, "命令行新增公司")).to_be_visible()


def test_a_tab_chosen_while_the_tabs_are_drawn_anew_stays_chosen(open_page: OpenPage, office: Running) -> None:
    """The program has drawn anew after a save, the browser does not know yet, and the person clicks."""
    page = open_page(own_session=True)
    held = Held(page)
    row(page, "诸暨盛宏袜业").click()
    tabs = page.locator(".lc-lower .q-tab")
    expect(tabs.first).to_have_class(re.compile("q-tab--active"))
    expect(page.locator(".lc-lower .lc-fact").first).to_be_visible()
    page.wait_for_timeout(500)
    held.on = True
    with beside(office) as (store, admin):
        with store.read() as connection:
            customer = connection.value("SELECT id FROM customer WHERE name = '诸暨盛宏袜业'").hex()
        values = {"customer_id": customer, "name": "何小姐", "phone": "13800000001"}
        verbs.run(store, admin, "records.create_record", {"entity": "contact", "values": values})
    page.wait_for_timeout(2500)  # noticed within a second, drawn anew, and held back on the way
    page.locator(".lc-lower .q-tab", has_text="联系人").click()
    page.wait_for_timeout(300)
    held.release()
    expect(page.locator(".lc-lower .q-tab--active")).to_contain_text("联系人 1".replace(" ", ""))
    expect(page.locator(".lc-lower .lc-table")).to_contain_text("何小姐")


def test_the_cursor_stays_where_the_person_put_it(open_page: OpenPage) -> None:
    """A late word from the program took it to the first empty field, and what was typed with it."""
    page = open_page()
    page.evaluate(  # the quickest of hands: in the field as soon as it stands on the screen
        """() => { const take = () => {
            const field = document.querySelector(".q-dialog [data-field=phone] input");
            field?.offsetParent ? field.focus() : requestAnimationFrame(take);
        }; take(); }"""
    )
    row(page, "绍兴恒远纺织品有限公司").dblclick()
    expect(field(page, "phone")).to_be_focused()
    page.wait_for_timeout(600)
    expect(field(page, "phone")).to_be_focused()


def test_a_stale_save_shows_both_and_keeps_what_the_person_chooses(open_page: OpenPage) -> None:
    first, second = open_page(), open_page(login="lin")
    for page in (first, second):
        row(page, "绍兴恒远纺织品有限公司").dblclick()
        expect(field(page, "phone")).to_have_value("0575-8412 3367")
    field(first, "phone").fill("111")
    field(first, "address").fill("柯桥")
    first.keyboard.press("Control+Enter")
    expect(first.locator(".q-dialog")).to_have_count(0)

    field(second, "phone").fill("222")
    second.keyboard.press("Control+Enter")
    difference = second.locator(".lc-dialog", has=second.locator("table"))
    expect(difference).to_be_visible()
    rows = [[cell.inner_text() for cell in line.locator("td").all()][1:] for line in difference.locator("tr").all()[1:]]
    assert rows == [["0575-8412 3367", "222", "111"], ["—", "—", "柯桥"]]
    difference.locator(".lc-pri").click()
    expect(second.locator(".q-dialog")).to_have_count(0)
    for page in (first, second):
        expect(page.locator(".lc-facts")).to_contain_text("222")
        expect(page.locator(".lc-facts")).to_contain_text("柯桥")


def test_history_names_who_changed_what(open_page: OpenPage) -> None:
    page = open_page()
    row(page, "浙江瑞祥进出口有限公司").click()
    page.keyboard.press("e")
    field(page, "phone").fill("139 5758 8812")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    page.keyboard.press("h")
    newest = page.locator(".q-dialog tr").nth(1)
    expect(newest).to_contain_text("王芳")
    expect(newest).to_contain_text("139 5758 8812")


def test_the_other_language_and_the_dark_are_kept_for_the_user(open_page: OpenPage) -> None:
    page = open_page(login="lin")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.locator(".lc-language").click()
    expect(page.locator("html")).to_have_attribute("lang", "en-US")
    expect(page.locator(".lc-title")).to_have_text("Customers")
    page.locator(".lc-dark").click()
    expect(page.locator("body.body--dark")).to_be_visible()
    again = open_page(login="lin")
    expect(again.locator("html")).to_have_attribute("lang", "en-US")
    expect(again.locator("body.body--dark")).to_be_visible()
    again.locator(".lc-dark").click()
    expect(again.locator("body.body--dark")).to_have_count(0)  # the page is loaded anew; what is clicked before would be lost with it
    again.locator(".lc-language").click()
    expect(again.locator("html")).to_have_attribute("lang", "zh-CN")


def test_signing_out_sends_every_page_of_the_session_to_the_sign_in_page(open_page: OpenPage) -> None:
    page = open_page(own_session=True)
    other = page.context.new_page()
    other.goto(page.url)
    expect(row(other, "诸暨盛宏袜业")).to_be_visible()
    page.locator(".lc-avatar").click()
    page.locator(".q-menu .q-item").last.click()
    page.wait_for_url("**/login")
    other.wait_for_url("**/login*")


def test_a_phone_shows_cards_and_folds_the_navigation_away(open_page: OpenPage) -> None:
    page = open_page(size=(390, 844))
    card = page.locator(".lc-card-row", has_text="柯桥金龙布业")
    expect(card).to_be_visible()
    expect(page.locator(".lc-nav")).not_to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    card.click()
    expect(page.locator(".lc-lower .lc-facts")).to_be_in_viewport()
    page.locator("button.lc-phone-only").click()
    page.locator(".lc-burger").click()
    expect(page.locator(".lc-nav")).to_be_in_viewport()
    expect(page.locator(".lc-head .lc-pri")).to_be_in_viewport()


def test_a_tap_counts_while_the_cards_are_told_anew(open_page: OpenPage, office: Running) -> None:
    page = open_page(size=(390, 844))
    place = page.locator(".lc-card-row", has_text="柯桥金龙布业").bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + 60, place["y"] + place["height"] / 2)
    page.mouse.down()
    with beside(office) as (store, actor), store.read() as connection:
        last = connection.value("SELECT id FROM customer WHERE name = '绍兴恒远纺织品有限公司'").hex()
        verbs.run(store, actor, "records.update_record", {"entity": "customer", "id": last, "values": {"level": "prospect"}})
    expect(page.locator(f".lc-card-row[data-id='{last}'] .lc-chip")).to_have_text("意向客户")
    page.mouse.up()
    expect(page.locator(".lc-lower .lc-facts")).to_be_in_viewport()


def test_on_a_phone_a_row_of_a_tab_is_a_card_that_a_tap_opens(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        mill = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "手机卡片厂"}})["id"]
        talk = {
            "customer_id": mill,
            "content": "确认上一批色牢度合格，月底对账，并约好下周三上门看新样",
            "next_at": "2026-12-03T09:00:00+08:00",
        }
        verbs.run(store, actor, "records.create_record", {"entity": "activity", "values": talk})
    page = open_page(f"/customers?open={mill}", size=(390, 844))
    page.locator(".lc-card-row", has_text="手机卡片厂").click()
    page.locator(".lc-lower .q-tab", has_text="联系记录").evaluate("tab => tab.click()")
    card = page.locator(".lc-rows tr", has_text="色牢度")
    expect(card).to_be_in_viewport()
    assert card.evaluate("row => row.getBoundingClientRect().right") <= 390  # nothing of it lies beside the screen
    expect(card.locator("td.lc-none-cell:visible")).to_have_count(0)  # what is empty takes no room
    card.click()
    expect(page.locator(".q-dialog")).to_contain_text("色牢度")


def test_an_address_with_no_record_behind_it_shows_the_page(open_page: OpenPage) -> None:
    page = open_page("/customers?open=nobody")
    expect(row(page, "诸暨盛宏袜业")).to_be_visible()


def test_headings_of_lists_are_shown_whole_in_english_too(open_page: OpenPage, office: Running) -> None:
    page = open_page("/records/quote", own_session=True)

    def look(**titles: str) -> None:
        for kind, title in titles.items():
            page.goto(f"{office.address}/records/{kind}")
            expect(page.locator(".lc-title")).to_have_text(title)  # as the navigation calls it, where it stands there
            expect(page.locator(".ag-header-cell-text").first).to_be_visible()
            cut = (
                "[...document.querySelectorAll('.ag-header-cell-text')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
            )
            assert page.evaluate(cut) == []

    look(quote="报价", contact="联系人", project_task="项目任务")
    with page.expect_navigation():
        page.locator(".lc-language").click()
    look(quote="Quotes", partner_registration="Registrations", contact="Contacts")
    with page.expect_navigation():
        page.locator(".lc-language").click()


def test_a_list_without_rows_says_whether_there_are_none_or_none_match(open_page: OpenPage) -> None:
    page = open_page("/records/rebate_settlement")
    empty = page.locator(".lc-grid-empty")
    expect(empty).to_contain_text("这里还没有记录", use_inner_text=True)
    search(page, "没有的")
    expect(empty).to_contain_text("没有符合条件的记录", use_inner_text=True)
    expect(empty).not_to_contain_text("这里还没有记录", use_inner_text=True)


def test_the_shown_list_is_exported(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    expect(row(page, "柯桥金龙布业")).to_be_visible()
    page.locator(".lc-head button.lc-wide-only").nth(1).click()
    with page.expect_download() as download:
        page.locator(".q-menu .q-item").last.click()
    download.value.save_as(tmp_path / "list.csv")
    assert "柯桥金龙布业" in (tmp_path / "list.csv").read_text(encoding="utf-8-sig")


def test_markup_in_a_name_is_only_text(open_page: OpenPage, office: Running) -> None:
    name = '<img src=x onerror="document.title=1"><b>粗</b>'
    with beside(office) as (store, actor):
        verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": name}})
    page = open_page()
    row(page, "onerror").click()
    expect(page.locator(".lc-lower")).to_contain_text(name)
    page.keyboard.press("Control+k")
    page.keyboard.type("onerror")
    expect(page.locator(".lc-pick.lc-on")).to_contain_text(name)
    assert page.locator("img[src=x]").count() == 0


def test_every_screen_of_the_navigation_opens(open_page: OpenPage, office: Running) -> None:
    page = open_page()
    expect(page.locator(".lc-nav-link").first).to_be_visible()
    for path in [link.get_attribute("href") for link in page.locator(".lc-nav-link").all()]:
        answer = page.goto(f"{office.address}{path}")
        assert answer is not None
        assert (path, answer.status) == (path, 200)
        expect(page.locator(".lc-nav-link.lc-on")).to_have_count(1)
        expect(page.locator(".lc-page .lc-title").first).to_be_visible()


def test_a_page_opens_while_another_program_keeps_the_file_busy(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):  # where to go on next time is noted with every page
        verbs.run(store, actor, "options.set_option", {"key": "reopen", "value": "yes"})
    page = open_page(own_session=True)
    expect(page.locator(".lc-nav-link").first).to_be_visible()
    begun = threading.Event()

    def keep_busy() -> None:
        other = Connection(office.folder / DATABASE, key=None)
        other.execute("BEGIN IMMEDIATE")
        begun.set()
        time.sleep(4)
        other.execute("ROLLBACK")
        other.close()

    busy = threading.Thread(target=keep_busy)
    busy.start()
    begun.wait()
    answer = page.goto(f"{office.address}/stock")
    busy.join()
    with beside(office) as (store, actor):
        verbs.run(store, actor, "options.set_option", {"key": "reopen", "value": "no"})
    assert answer is not None
    assert answer.status == 200
    expect(page.locator(".lc-page .lc-title").first).to_be_visible()
