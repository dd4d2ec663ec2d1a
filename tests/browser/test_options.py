"""Options as a clerk and as head office meet them: changed at once, taken back, found by any word."""

from __future__ import annotations

import time
from datetime import date, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.domain.people.preferences import preferences, save_preference
from tests.browser.conftest import OpenPage, Running, beside

PAGE = "/settings/options"


pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


@pytest.fixture(autouse=True)
def _as_it_was(office: Running) -> None:
    """Every test begins with the defaults."""
    with beside(office) as (store, admin):
        verbs.run(store, admin, "options.reset_options", {})
        for key in ("negative_stock", "tax_rate", "price_places", "density"):
            verbs.run(store, admin, "options.reset_company_option", {"key": key})
    time.sleep(1.2)  # the program notices within a second what another one wrote


def option(page: Page, key: str) -> Locator:
    return page.locator(f"[data-option={key}]")


def choose(page: Page, key: str, text: str) -> None:
    """Press one of the choices that stand side by side."""
    option(page, key).get_by_role("button", name=text, exact=True).click()


def pick(page: Page, key: str, text: str) -> None:
    """Choose from a list that folds out."""
    option(page, key).locator(".q-field__control").click()
    page.locator(".q-menu .q-item", has_text=text).click()


def is_set(page: Page, label: str) -> None:
    """The message that comes once everything is drawn."""
    expect(page.locator(".lc-toast").last).to_contain_text(f"已设置“{label}”")


def chosen(office: Running, key: str) -> str:
    with beside(office) as (store, admin):
        return preferences(store, admin.user_id or "")[key]


def test_a_choice_takes_effect_at_once_and_can_be_taken_back(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE)
    choose(page, "theme", "深色")
    expect(page.locator("body.body--dark")).to_be_attached()
    expect(page.locator(".lc-toast")).to_contain_text("已设置“浅色或深色”")
    assert chosen(office, "theme") == "dark"
    page.locator(".lc-toast button").click()
    expect(page.locator("body.body--dark")).to_have_count(0)
    assert chosen(office, "theme") == "light"

    choose(page, "font", "大")
    is_set(page, "字号")
    expect(page.locator("body.lc-large")).to_be_attached()
    assert page.evaluate("getComputedStyle(document.body).fontSize") == "16px"
    choose(page, "density", "宽松")
    is_set(page, "行距")
    expect(page.locator("body.lc-roomy")).to_be_attached()
    page.goto(f"{office.address}/records/product")
    expect(page.locator(".ag-row").first).to_be_visible()
    assert page.locator(".ag-row").first.evaluate("row => row.offsetHeight") == 46


def test_the_cursor_stays_for_who_works_with_the_keyboard(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE)
    option(page, "density").get_by_role("button", name="宽松").focus()
    page.keyboard.press("Enter")
    expect(page.locator("body.lc-roomy")).to_be_attached()
    is_set(page, "行距")
    page.wait_for_function("document.activeElement.textContent.trim() === '宽松'")
    option(page, "density").get_by_label("的更多操作").click()
    page.get_by_text("恢复默认", exact=True).click()
    expect(page.locator("body.lc-roomy")).to_have_count(0)
    assert chosen(office, "density") == "compact"


def test_a_section_of_the_navigation_folds_up_and_stays_so(open_page: OpenPage, office: Running) -> None:
    page = open_page("/records/expense")
    head, tickets = page.locator("button.lc-nav-head", has_text="售后服务"), page.locator(".lc-nav-link[href='/tickets']")
    expect(tickets).to_be_visible()
    head.click()
    expect(tickets).to_be_hidden()
    expect(head).to_have_attribute("aria-expanded", "false")
    page.goto(f"{office.address}/records/installed_product")
    expect(page.locator(".lc-nav-link.lc-on")).to_contain_text("在用产品")  # the page that is open is always shown
    expect(tickets).to_be_hidden()
    head.focus()
    page.keyboard.press("Enter")
    expect(tickets).to_be_visible()


def test_the_navigation_is_as_its_user_likes_it(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE)
    links = page.locator(".lc-nav-link")
    expect(links.first).to_contain_text("今天")
    pick(page, "menu_pinned", "现有库存")
    page.keyboard.press("Escape")
    is_set(page, "收藏")
    expect(links.first).to_contain_text("现有库存")
    expect(page.locator(".lc-nav-head").first).to_have_text("收藏")
    pick(page, "menu_hidden", "收款")
    page.keyboard.press("Escape")
    is_set(page, "隐藏的页面")
    expect(page.locator(".lc-nav-link[href='/records/receipt']")).to_have_count(0)
    option(page, "menu_order").get_by_label("联系人上移").click()
    is_set(page, "导航顺序")
    expect(page.locator(".lc-nav-link[href='/records/contact'] + .lc-nav-link[href='/customers']")).to_have_count(
        1
    )  # it stood behind that one
    pick(page, "landing", "销售单")
    is_set(page, "首页")
    page.goto(f"{office.address}/")
    expect(page).to_have_url(f"{office.address}/orders")
    page.locator(".lc-nav-link[href='/stock']").wait_for()


def test_the_page_that_was_open_last_comes_back(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE)
    option(page, "reopen").get_by_role("switch").click()
    expect(page.locator(".lc-toast")).to_contain_text("恢复上次页面")
    page.goto(f"{office.address}/stock")
    page.goto(f"{office.address}/")
    expect(page).to_have_url(f"{office.address}/stock")
    page.locator(".lc-brand").click()
    expect(page).to_have_url(f"{office.address}/today")


def test_keys_are_shown_and_changed_and_do_not_clash(open_page: OpenPage, office: Running) -> None:
    page = open_page(f"{PAGE}?at=keys")
    field = page.locator("input[data-key-for=n]")
    field.press("h")
    problem = option(page, "keys").get_by_role("alert")
    expect(problem).to_have_text("“H”已经用于“变更记录”。请给“新建”换一个键；没有作任何修改。")
    field.press("F5")
    expect(problem).to_contain_text("由浏览器或本程序占用")
    field.press("m")
    expect(page.locator(".lc-toast")).to_contain_text("快捷键")
    expect(field).to_have_value("M")
    page.goto(f"{office.address}/customers")
    expect(page.locator("button[data-key=n] .lc-kbd")).to_have_text("M")
    page.keyboard.press("n")
    page.keyboard.press("?")
    sheet = page.locator(".q-dialog")
    expect(sheet).to_contain_text("查找任何内容")
    expect(sheet.locator(".lc-line", has=page.get_by_text("新建", exact=True)).locator(".lc-kbd")).to_have_text("M")
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    page.keyboard.press("m")
    expect(page.locator(".lc-dialog-title", has_text="新建客户")).to_be_visible()


def test_settings_are_found_by_chinese_pinyin_and_english(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE)
    find = page.locator(".lc-find input")
    for text, name in (("密码", "密码最短长度"), ("fkc", "负库存"), ("negative", "负库存"), ("fukucun", "负库存"), ("dark", "浅色或深色")):
        find.fill(text)
        expect(page.locator(".lc-option-name", has_text=name)).to_be_visible()
    find.fill("beifen")
    page.locator(".lc-option-link", has_text="备份").click()
    expect(page).to_have_url(f"{office.address}/settings/backups")
    expect(page.locator(".lc-title")).to_be_visible()  # the address changes before there is a page that hears keys
    page.keyboard.press("Control+k")
    page.keyboard.type("fkc")
    expect(page.locator(".lc-pick", has_text="负库存")).to_be_visible()
    page.keyboard.press("Enter")
    expect(option(page, "negative_stock")).to_be_visible()
    find.fill("没有这个设置")
    expect(page.locator(".lc-empty")).to_contain_text("没有找到")


def test_head_office_sets_the_company_and_is_told_what_does_not_fit(open_page: OpenPage, office: Running) -> None:
    page = open_page(f"{PAGE}?at=tax_rate")
    field = option(page, "tax_rate").locator("input[type=text]")
    field.fill("113%")
    field.press("Enter")
    expect(option(page, "tax_rate")).to_contain_text("“113%”不能作为“新商品税率”的值")
    field.fill("9%")
    field.press("Enter")
    is_set(page, "新商品税率")
    expect(option(page, "tax_rate")).to_contain_text("王芳 设置于 今天")
    choose(page, "negative_stock", "禁止")
    is_set(page, "负库存")
    expect(option(page, "negative_stock")).to_contain_text("王芳 设置于")
    option(page, "negative_stock").get_by_text("各分支统一").click()
    option(page, "tax_rate").get_by_label("的更多操作").click()
    page.get_by_text("变更记录", exact=True).click()
    history = page.locator(".q-dialog tr", has_text="王芳").first
    expect(history).to_contain_text("9%")
    page.keyboard.press("Escape")
    expect(page.locator(".q-dialog")).to_have_count(0)
    with beside(office) as (store, admin):
        for _tenth in range(50):
            state = next(one for one in verbs.run(store, admin, "options.company_options", {}) if one["key"] == "negative_stock")
            if state["fixed"]:
                break
            page.wait_for_timeout(100)
        assert (state["value"], state["fixed"]) == ("block", True)
    page.goto(f"{office.address}/records/product")
    page.keyboard.press("n")
    expect(page.locator("[data-field=tax_rate] input")).to_have_value("9%")


def test_a_value_is_planned_for_a_later_day_and_withdrawn(open_page: OpenPage) -> None:
    page = open_page(f"{PAGE}?at=negative_stock")
    option(page, "negative_stock").get_by_label("的更多操作").click()
    page.get_by_text("以后某天起生效").click()
    dialog = page.locator(".q-dialog .lc-dialog")
    dialog.get_by_role("button", name="禁止", exact=True).click()
    dialog.get_by_label("生效日期").fill("-1")
    dialog.get_by_role("button", name="保存").click()
    expect(dialog.get_by_role("alert")).to_contain_text("请填写今天以后的日期")
    dialog.get_by_label("生效日期").fill("+40")
    dialog.get_by_role("button", name="保存").click()
    expect(dialog).to_have_count(0)
    day = (date.today() + timedelta(days=40)).isoformat()
    expect(option(page, "negative_stock")).to_contain_text(f"{day} 起：禁止")
    expect(option(page, "negative_stock")).to_contain_text("王芳 设置于 今天")
    expect(option(page, "negative_stock").locator("button[aria-pressed=true]")).to_have_text("提醒")  # until then
    option(page, "negative_stock").get_by_role("button", name="撤回").click()
    expect(page.locator(".lc-toast")).to_contain_text("已撤回“负库存”以后的安排")
    expect(option(page, "negative_stock")).not_to_contain_text(day)
    option(page, "prices_include_tax").locator(".lc-option-name").wait_for()
    expect(option(page, "prices_include_tax").get_by_label("的更多操作")).to_have_count(0)  # it locks; it is not dated


def test_a_default_for_everybody(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE)
    choose(page, "density", "宽松")
    is_set(page, "行距")
    expect(page.locator("body.lc-roomy")).to_be_attached()
    option(page, "density").get_by_label("的更多操作").click()
    page.get_by_text("作为没有自选者的默认值").click()
    expect(page.locator(".lc-toast").last).to_contain_text("没有自己选过的人")
    expect(option(page, "density")).to_contain_text("总部已为没有自选者设定")
    clerk = open_page("/customers", login="lin")
    expect(clerk.locator("body.lc-roomy")).to_be_attached()
    option(page, "density").get_by_label("的更多操作").click()
    page.get_by_text("不再为大家设定").click()
    expect(option(page, "density")).not_to_contain_text("总部已为没有自选者设定")


def test_a_role_has_defaults_of_its_own(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, admin):
        for name in ("仓库", "销售"):
            role = verbs.run(store, admin, "records.create_record", {"entity": "role", "values": {"name": name}})["id"]
        verbs.run(store, admin, "options.set_role_option", {"role_id": role, "key": "rows", "value": "200"})
        verbs.run(store, admin, "people.assign_role", {"login": "lin", "role": "销售"})
    page = open_page(PAGE)
    page.get_by_role("button", name="角色", exact=True).click()
    page.locator(".lc-option-role .q-field__control").click()
    page.locator(".q-menu .q-item", has_text="销售").click()
    expect(option(page, "rows")).to_contain_text("本角色的默认值")
    choose(page, "density", "宽松")
    is_set(page, "行距")
    expect(option(page, "density")).to_contain_text("本角色的默认值")
    expect(page.locator("body.lc-roomy")).to_have_count(0)  # it is not the administrator's

    clerk = open_page(PAGE, login="lin")
    expect(clerk.locator("body.lc-roomy")).to_be_attached()
    expect(option(clerk, "density")).to_contain_text("来自您的角色“销售”")
    choose(clerk, "density", "紧凑")
    is_set(clerk, "行距")
    expect(option(clerk, "density")).not_to_contain_text("来自您的角色")
    option(clerk, "density").get_by_label("的更多操作").click()
    clerk.get_by_text("恢复默认", exact=True).click()
    expect(option(clerk, "density")).to_contain_text("来自您的角色“销售”")

    option(page, "density").get_by_label("的更多操作").click()
    page.get_by_text("取消默认", exact=True).click()
    expect(option(page, "density")).not_to_contain_text("本角色的默认值")


def test_columns_are_arranged_for_a_role(open_page: OpenPage, office: Running) -> None:
    page = open_page("/records/product")
    page.get_by_role("button", name="列", exact=True).click()
    dialog = page.locator(".q-dialog .lc-dialog")
    expect(page.locator(".ag-header-cell", has_text="规格")).to_be_visible()
    dialog.get_by_text("规格").click()
    dialog.get_by_role("button", name="显示所选").click()
    expect(page.locator(".ag-header-cell", has_text="规格")).to_have_count(0)
    expect(dialog).to_have_count(0)
    for _try in range(50):
        with beside(office) as (store, admin):
            if "columns:product" in preferences(store, admin.user_id or ""):
                break
        page.wait_for_timeout(100)
    page.get_by_role("button", name="列", exact=True).click()
    dialog.get_by_role("button", name="用于角色").click()
    dialog.get_by_text("销售").click()
    dialog.get_by_role("button", name="保存").click()
    expect(page.locator(".lc-toast")).to_contain_text("已设为“销售”的默认列")
    clerk = open_page("/records/product", login="lin")
    expect(clerk.locator(".ag-header-cell", has_text="商品编码")).to_be_visible()
    expect(clerk.locator(".ag-header-cell", has_text="规格")).to_have_count(0)
    page.goto(f"{office.address}{PAGE}")
    page.get_by_role("button", name="角色", exact=True).click()
    page.locator(".lc-option-role .q-field__control").click()
    page.locator(".q-menu .q-item", has_text="销售").click()
    row = page.locator(".lc-option", has_text="商品").last
    expect(row).to_contain_text("王芳 设置于")
    row.get_by_role("button", name="取消默认").click()
    expect(page.locator(".lc-options").first).to_contain_text("先把列表的列调整成希望的样子")


def test_a_clerk_sees_his_own_options_only(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE, login="lin")
    expect(option(page, "theme")).to_be_visible()
    expect(page.locator(".lc-page").get_by_role("button", name="公司", exact=True)).to_have_count(0)
    page.locator(".lc-find input").fill("fkc")
    expect(page.locator(".lc-empty")).to_be_visible()
    page.goto(f"{office.address}{PAGE}?at=negative_stock")
    expect(option(page, "theme")).to_be_visible()
    expect(option(page, "negative_stock")).to_have_count(0)


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_on_a_telephone_in_both_languages(open_page: OpenPage, office: Running, language: str) -> None:
    with beside(office) as (store, admin):
        save_preference(store, admin.user_id or "", "language", language)
    page = open_page(PAGE, size=(390, 844), own_session=True)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if language == "zh_CN" else "en-US")
    words = {"zh_CN": ("选项", "浅色或深色", "快捷键"), "en": ("Options", "Light or dark", "Keyboard")}
    for text in words[language]:
        expect(page.get_by_text(text).first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.goto(f"{office.address}{PAGE}?at=tax_rate")
    expect(option(page, "tax_rate")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    if language == "en":
        page.goto(f"{office.address}{PAGE}")
        with page.expect_navigation():
            choose(page, "language", "中文")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
