"""A field of the company from its definition to the list, the form, the search and a name of its own."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def dialog(page: Page) -> Locator:
    return page.locator(".q-dialog .lc-dialog").last


def field(page: Page, key: str) -> Locator:
    return page.locator(f".q-dialog .lc-field[data-field='{key}']").first


def row(page: Page, label: str) -> Locator:
    return page.locator(".lc-table tr", has_text=label).first


def menu(page: Page, text: str) -> Locator:
    return page.locator(".q-menu:visible .q-item", has_text=text).first


def labelled(page: Page, label: str) -> Locator:
    return dialog(page).locator(".lc-field", has_text=label).locator("input, textarea").first


def choose_type(page: Page, label: str) -> None:
    dialog(page).locator(".lc-field", has_text="类型").locator(".q-select").click()
    menu(page, label).click()


def test_a_list_of_options_becomes_a_column_a_filter_and_a_choice(open_page: OpenPage) -> None:
    page = open_page("/fields")
    page.keyboard.press("n")
    labelled(page, "名称").fill("主营")
    choose_type(page, "单选")
    labelled(page, "选项").fill("机械\n食品\n纺织")
    dialog(page).get_by_text("在列表中显示").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(row(page, "主营")).to_contain_text("公司")

    page.goto(page.url.replace("/fields", "/customers"))
    page.locator(".ag-header-cell", has_text="主营").wait_for()
    page.locator(".ag-row", has_text="柯桥金龙布业").dblclick()
    dialog(page).locator(".lc-field", has_text="主营").locator(".q-select").click()
    menu(page, "纺织").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(page.locator(".ag-row", has_text="柯桥金龙布业")).to_contain_text("纺织")
    expect(page.locator(".lc-groups .lc-group", has_text="纺织")).to_contain_text("1")


def test_a_wrong_definition_is_refused_beside_what_was_typed(open_page: OpenPage) -> None:
    page = open_page("/fields")
    page.keyboard.press("n")
    labelled(page, "名称").fill("客户名称")
    page.keyboard.press("Control+Enter")
    expect(dialog(page).locator(".lc-notice")).to_contain_text("已有名为“客户名称”的字段")
    labelled(page, "名称").fill("员工人数")
    choose_type(page, "整数")
    labelled(page, "最小值").fill("1")
    page.keyboard.press("Control+Enter")
    expect(row(page, "员工人数")).to_contain_text("整数")


def test_options_are_retired_and_added_by_right_click(open_page: OpenPage) -> None:
    page = open_page("/fields")
    row(page, "主营").click(button="right")
    menu(page, "选项").click()
    dialog(page).get_by_role("button", name="移除").nth(2).click()
    page.keyboard.press("Control+Enter")
    expect(dialog(page).locator(".lc-notice")).to_contain_text("已被 1 条记录使用")
    dialog(page).get_by_text("取消").click()
    expect(page.locator(".q-dialog")).to_have_count(0)

    row(page, "主营").click(button="right")
    menu(page, "选项").click()
    dialog(page).get_by_role("checkbox", name="停用").nth(2).click()
    names = dialog(page).locator("input[aria-label='名称']")
    before = names.count()
    dialog(page).get_by_text("＋ 选项").click()
    expect(names).to_have_count(before + 1)
    names.last.fill("建材")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)

    page.goto(page.url.replace("/fields", "/customers"))
    page.keyboard.press("n")
    dialog(page).locator(".lc-field", has_text="主营").locator(".q-select").click()
    expect(menu(page, "建材")).to_be_visible()
    expect(page.locator(".q-menu:visible .q-item", has_text="纺织")).to_have_count(0)


def test_a_declared_field_is_called_otherwise(open_page: OpenPage) -> None:
    page, other = open_page("/fields"), open_page("/customers")
    row(page, "电话").get_by_role("button").click()
    menu(page, "改名").click()
    labelled(page, "中文").fill("联系电话")
    page.keyboard.press("Control+Enter")
    expect(row(page, "联系电话")).to_contain_text("原名“电话”")
    other.get_by_text("刷新页面").last.click()
    expect(other.locator(".ag-header-cell", has_text="联系电话")).to_be_visible()


def test_an_area_is_found_by_first_letters(open_page: OpenPage) -> None:
    page = open_page("/fields")
    page.keyboard.press("n")
    labelled(page, "名称").fill("所在地区")
    choose_type(page, "地区")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)

    page.goto(page.url.replace("/fields", "/customers"))
    page.locator(".ag-row", has_text="柯桥金龙布业").dblclick()
    area = labelled(page, "所在地区")
    area.click()
    expect(page.locator(".lc-pick.lc-on")).to_have_text("上海市")
    area.fill("kq")
    expect(page.locator(".lc-pick.lc-on")).to_have_text("浙江省/绍兴市/柯桥区")
    area.press("Enter")
    expect(area).to_have_value("浙江省/绍兴市/柯桥区")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    page.locator(".ag-row", has_text="诸暨盛宏袜业").dblclick()
    labelled(page, "所在地区").fill("Vietnam/Hanoi")
    page.locator(".lc-pick", has_text="使用“Vietnam/Hanoi”").click()
    expect(labelled(page, "所在地区")).to_have_value("Vietnam/Hanoi")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(page.locator(".lc-facts")).to_contain_text("Vietnam/Hanoi")
    page.locator(".ag-row", has_text="柯桥金龙布业").click()
    expect(page.locator(".lc-facts")).to_contain_text("浙江省/绍兴市/柯桥区")


def test_a_telephone_shows_it_too(open_page: OpenPage) -> None:
    page = open_page("/fields", size=(390, 844))
    expect(row(page, "主营")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_value_before_a_change_is_put_back_from_the_history(open_page: OpenPage) -> None:
    page = open_page("/customers")
    page.locator(".ag-row", has_text="诸暨盛宏袜业").dblclick()
    field(page, "address").locator("input").fill("写错的地址")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    page.locator(".ag-row", has_text="诸暨盛宏袜业").dblclick()
    field(page, "address").locator("input").fill("又改错了")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(page.locator(".lc-facts")).to_contain_text("又改错了")  # drawn anew: a click meanwhile would meet what goes
    page.get_by_role("tab", name="变更记录").click()
    page.locator("tr", has_text="又改错了").get_by_label("恢复旧值").click()
    expect(page.locator(".lc-toast").last).to_contain_text("地址已恢复为“写错的地址”")


def test_an_order_has_the_fields_of_the_company(open_page: OpenPage) -> None:
    page = open_page("/fields?kind=sales_order")
    for label, kind in (("合同号", "文本"), ("结算方式", "单选")):
        page.keyboard.press("n")
        labelled(page, "名称").fill(label)
        choose_type(page, kind)
        if kind == "单选":
            labelled(page, "选项").fill("月结\n现结")
        else:
            dialog(page).get_by_text("必填").click()
        page.keyboard.press("Control+Enter")
        expect(page.locator(".q-dialog")).to_have_count(0)
        expect(row(page, label)).to_be_visible()

    page.goto(page.url.split("/fields")[0] + "/orders/new")
    page.locator(".oe-header [data-field=customer_id] input").fill("金龙")
    page.locator(".oe-pick.oe-on").click()
    page.locator(".oe-product-input").first.click()
    page.keyboard.type("XF75")
    page.wait_for_selector(".oe-pick.oe-on")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-cell=quantity]:focus")
    page.keyboard.type("3")
    page.locator(".oe-own select").select_option("月结")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".oe-own [data-typed]")).to_have_attribute("aria-invalid", "true")
    page.locator(".oe-own [data-typed]").fill("HT-118")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-toast").last).to_contain_text("已过账")
    expect(page.locator(".oe-own")).to_contain_text("HT-118")
    expect(page.locator(".oe-own")).to_contain_text("月结")


def test_the_page_speaks_english(open_page: OpenPage) -> None:
    page = open_page("/fields")
    page.locator(".lc-language").click()
    expect(page.locator(".lc-title")).to_have_text("Fields & names")
    expect(row(page, "Credit limit")).to_contain_text("Amount of money")
    page.keyboard.press("n")
    expect(dialog(page)).to_contain_text("New field of “Customer”")
    page.get_by_role("button", name="Cancel").click()
    page.locator(".lc-language").click()
    expect(page.locator(".lc-title")).to_have_text("字段与名称")
