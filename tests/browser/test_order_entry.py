"""An order entered by keyboard alone, as a salesperson does it all day; pasted from a spreadsheet; by two at once; on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.kernel.schema import entity as entity_type
from tests.browser.conftest import OpenPage, Running, beside

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


@pytest.fixture(scope="module", autouse=True)
def more_products(office: Running) -> None:
    with beside(office) as (store, actor):
        for code, name, price in (("XF75-07", "雪纺 75D 米白", "9.80"), ("MB40-01", "府绸 40S 本白", "6.55")):
            values = {"code": code, "name": name, "price": price, "unit": "米"}
            verbs.run(store, actor, "records.create_record", {"entity": "product", "values": values})


def cell(page: Page, row: int, name: str) -> Locator:
    return page.locator(".oe-rows .oe-row").nth(row).locator(f"[data-cell={name}]")


def amount(page: Page, row: int) -> Locator:
    return page.locator(".oe-rows .oe-row").nth(row).locator(".oe-c-amount")


def saved(page: Page) -> None:
    expect(page.locator(".oe-status")).to_contain_text(re.compile(r"\d\d:\d\d"))


def start(open_page: OpenPage, path: str = "/orders/new", **settings: object) -> Page:
    page = open_page(path, **settings)
    expect(page.locator(".oe-header input").first).to_be_focused()
    return page


def choose_customer(page: Page, text: str) -> None:
    page.keyboard.type(text)
    expect(page.locator(".oe-pick.oe-on")).to_be_visible()
    page.keyboard.press("Enter")
    expect(cell(page, 0, "product")).to_be_focused()


def paste(page: Page, text: str) -> None:
    """What Ctrl V does with a block that was copied in a spreadsheet."""
    page.evaluate(
        """text => { const data = new DataTransfer(); data.setData("text/plain", text);
        document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); }""",
        text,
    )


def orders(office: Running) -> list[dict[str, object]]:
    with beside(office) as (store, actor), store.unit_of_work(actor.user_id) as uow:
        return uow.where(entity_type("sales_order"))


def test_an_order_is_entered_and_posted_without_touching_the_mouse(open_page: OpenPage, office: Running) -> None:
    page = start(open_page)
    choose_customer(page, "rxjck")  # by pinyin initials
    page.keyboard.type("xf75-03")
    expect(page.locator(".oe-pick.oe-on")).to_contain_text("雪纺 75D 藏青")
    page.keyboard.press("Enter")
    expect(cell(page, 0, "quantity")).to_be_focused()
    page.keyboard.type("1200")
    page.keyboard.press("Enter")
    expect(cell(page, 0, "price")).to_be_focused()
    expect(cell(page, 0, "price")).to_have_value("9.80")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # no discount: a new row
    expect(cell(page, 1, "product")).to_be_focused()
    page.keyboard.type("mibai")  # by pinyin syllables
    expect(page.locator(".oe-pick.oe-on")).to_contain_text("XF75-07")
    page.keyboard.press("Enter")
    page.keyboard.type("800")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("95")
    page.keyboard.press("ArrowUp")
    expect(cell(page, 0, "discount")).to_be_focused()
    expect(amount(page, 0)).to_have_text("11,760.00")
    expect(amount(page, 1)).to_have_text("7,448.00")
    expect(cell(page, 1, "discount")).to_have_value("95%")
    expect(page.locator(".oe-totals")).to_contain_text("16,998.23")
    expect(page.locator(".oe-totals")).to_contain_text("¥19,208.00")
    expect(page.locator(".oe-totals")).to_contain_text("壹万玖仟贰佰零捌元整")
    saved(page)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".oe .lc-title")).to_have_text(re.compile(r"SO-HQ-\d{8}-0001"))
    expect(page.locator(".oe .lc-notice.lc-warn")).to_have_count(2)  # the stock is short, and that is said
    expect(page.locator(".oe-cell")).to_have_count(0)
    assert [str(order["gross"]) for order in orders(office)] == ["19208.00"]


def test_a_scanner_is_faster_than_the_list(open_page: OpenPage) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    page.keyboard.insert_text("MB40-01")
    page.keyboard.press("Enter")
    expect(cell(page, 0, "quantity")).to_be_focused()
    expect(page.locator(".oe-rows .oe-row").first).to_contain_text("府绸 40S 本白")


def test_rows_are_inserted_removed_and_brought_back_by_key(open_page: OpenPage) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    paste(page, "XF75-03\t10\nXF75-07\t20\nMB40-01\t30")
    expect(page.locator(".oe-rows .oe-row")).to_have_count(4)
    cell(page, 1, "quantity").focus()
    page.keyboard.press("Control+Delete")
    expect(page.locator(".oe-rows .oe-row")).to_have_count(3)
    expect(cell(page, 1, "quantity")).to_have_value("30")
    page.locator(".oe-undo button").click()
    expect(cell(page, 1, "quantity")).to_have_value("20")
    page.keyboard.press("Insert")
    expect(cell(page, 1, "product")).to_be_focused()
    expect(cell(page, 1, "product")).to_have_value("")
    page.locator(".oe-rows .oe-row").nth(2).click(button="right")
    expect(page.locator(".oe-menu button")).to_have_count(4)
    page.keyboard.press("Escape")
    expect(page.locator(".oe-menu")).to_have_count(0)


def test_a_pasted_block_loses_nothing_and_unknown_codes_wait_in_red(open_page: OpenPage) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    paste(page, "商品编码\t数量\t单价\t备注\nXF75-03\t1,200\t9.80\t急\nNOPE-9\t5\t2.00\t老客户的货\nMB40-01\t30\t6.55\t\n")
    expect(page.locator(".oe-row.oe-bad")).to_have_count(1)
    expect(page.locator(".oe-row.oe-bad .oe-fault")).to_contain_text("NOPE-9")
    expect(amount(page, 2)).to_have_text("196.50")
    saved(page)
    page.reload()  # the row that cannot be saved yet is still there, where it stood
    expect(page.locator(".oe-rows .oe-row").nth(1)).to_contain_text("NOPE-9")
    expect(cell(page, 1, "remark")).to_have_value("老客户的货")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".oe .oe-problem")).to_be_visible()
    expect(page.locator(".oe-row.oe-bad")).to_have_count(1)
    cell(page, 1, "product").focus()
    page.keyboard.type("XF75-07")
    expect(page.locator(".oe-pick.oe-on")).to_contain_text("XF75-07")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".oe .lc-title")).to_have_text(re.compile("^SO-HQ-"))
    expect(page.locator(".oe-rows .oe-row")).to_have_count(3)


def test_a_column_of_numbers_is_pasted_downwards(open_page: OpenPage) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    paste(page, "XF75-03\t1\nXF75-07\t1\nMB40-01\t1")
    expect(page.locator(".oe-rows .oe-row")).to_have_count(4)
    cell(page, 0, "quantity").focus()
    paste(page, "7\t9.5\n8\n9\t6\n")
    expect(amount(page, 0)).to_have_text("66.50")
    expect(amount(page, 1)).to_have_text("78.40")
    expect(amount(page, 2)).to_have_text("54.00")


def test_a_product_is_added_in_the_middle_of_an_order(open_page: OpenPage) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    page.keyboard.type("NEW-77")
    page.keyboard.press("Alt+n")
    name = page.locator(".q-dialog .lc-field[data-field=name] input")
    expect(page.locator(".q-dialog .lc-field[data-field=code] input")).to_have_value("NEW-77")
    name.fill("新面料")
    page.locator(".q-dialog .lc-field[data-field=price] input").fill("3.50")
    page.keyboard.press("Control+Enter")
    expect(cell(page, 0, "quantity")).to_be_focused()
    expect(cell(page, 0, "price")).to_have_value("3.50")
    expect(page.locator(".oe-rows .oe-row").first).to_contain_text("新面料")


def test_two_windows_do_not_overwrite_each_other(open_page: OpenPage) -> None:
    first = start(open_page)
    choose_customer(first, "恒远")
    paste(first, "XF75-03\t10")
    saved(first)
    path = first.url.removeprefix(first.url.split("/orders/")[0])
    second = open_page(path, login="lin")
    expect(cell(second, 0, "quantity")).to_have_value("10")
    cell(second, 0, "quantity").fill("20")
    second.keyboard.press("Control+s")
    saved(second)
    expect(cell(first, 0, "quantity")).to_have_value("20")  # seen at once where nothing was being typed
    cell(first, 0, "quantity").fill("30")
    cell(second, 0, "quantity").fill("40")
    first.keyboard.press("Control+s")
    saved(first)
    second.keyboard.press("Control+s")
    dialog = second.locator(".oe-compare")
    expect(dialog).to_contain_text("30 × 9.80")
    expect(dialog).to_contain_text("40 × 9.80")
    dialog.locator("button.oe-primary").click()
    saved(second)
    expect(cell(first, 0, "quantity")).to_have_value("40")


def test_leaving_with_unsaved_work_asks(open_page: OpenPage) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.keyboard.type("xf")
    page.reload()
    expect(page.locator(".oe-header input").first).to_be_visible()
    assert asked == ["beforeunload"]


def test_a_posted_order_is_paid_and_reversed_from_its_page(open_page: OpenPage) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    paste(page, "XF75-03\t10\t9.80")
    expect(amount(page, 0)).to_have_text("98.00")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".oe .lc-title")).to_have_text(re.compile("^SO-HQ-"))
    page.locator(".oe-tools .oe-primary").click()
    amount_field = page.locator(".q-dialog .lc-field[data-field=amount] input")
    expect(amount_field).to_have_value("98.00")
    amount_field.fill("50")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".oe-open")).to_contain_text("48.00")
    expect(page.locator(".oe-receipts")).to_contain_text("50.00")
    page.locator(".oe-tools .oe-danger").click()
    page.locator(".q-dialog button").last.click()
    expect(page.locator(".oe a.lc-chip")).to_contain_text("SO-HQ-")


def test_the_list_shows_progress_and_opens_by_enter(open_page: OpenPage) -> None:
    page = open_page("/orders")
    first = page.locator(".ag-center-cols-container .ag-row").first
    expect(first).to_be_visible()
    first.click()
    first.click(button="right")
    expect(page.locator(".q-menu.lc-menu .q-item")).to_have_count(10)
    page.keyboard.press("Escape")
    first.locator(".ag-cell").first.dblclick()
    expect(page).to_have_url(re.compile(r"/orders/[0-9a-f]{32}$"))
    expect(page.locator(".oe-rows .oe-row").first).to_be_visible()


def test_an_order_is_entered_on_a_phone_in_english(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        from localcrm.domain.people.preferences import save_preference

        save_preference(store, actor.user_id or "", "language", "en")
    try:
        page = start(open_page, size=(390, 844))
        choose_customer(page, "rxjck")
        page.keyboard.type("mb40")
        expect(page.locator(".oe-pick.oe-on")).to_contain_text("MB40-01")
        page.keyboard.press("Enter")
        page.keyboard.type("3")
        page.keyboard.press("Enter")
        expect(amount(page, 0)).to_have_text("19.65")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide == 390, "the page can be moved sideways"
    finally:
        with beside(office) as (store, actor):
            save_preference(store, actor.user_id or "", "language", "zh_CN")
