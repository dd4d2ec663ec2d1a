"""Columns that a company adds to its order lines: defined, filled in by keyboard, pasted, asked for at posting, and on a telephone."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.kernel.schema import entity as entity_type
from tests.browser.conftest import OpenPage, Running, beside
from tests.browser.test_order_entry import cell, choose_customer, paste, saved, start

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")

FIELDS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("色号", "text", {}),
    ("工艺", "choices", {"options": ["染色", "印花", "涂层"]}),
    ("等级", "choice", {"options": ["一等", "二等"], "preset": "一等"}),
    ("交期", "date", {}),
    ("跟单", "user", {}),
    ("开匹", "boolean", {}),
    ("要求", "longtext", {}),
    ("匹号", "serial", {}),
)


@pytest.fixture(scope="module")
def keys(office: Running) -> Mapping[str, str]:
    """The company's columns by label, with the key of each."""
    with beside(office) as (store, actor):
        given = [{"entity": "sales_order_line", "label": label, "type": kind, **more} for label, kind, more in FIELDS]
        return {str(one["label"]): verbs.run(store, actor, "admin.add_field", one)["key"] for one in given}


def lines(office: Running) -> list[dict[str, object]]:
    """The lines of the newest order."""
    with beside(office) as (store, actor), store.unit_of_work(actor.user_id) as uow:
        order = uow.where(entity_type("sales_order"))[-1]
        return sorted(uow.where(entity_type("sales_order_line"), order_id=order["id"]), key=lambda line: line["position"])


def own(page: Page, row: int, label: str) -> Locator:
    """What a row shows in a column of the company."""
    return page.locator(".oe-rows .oe-row").nth(row).locator(f".oe-c-own[data-label='{label}']")


def choose_product(page: Page, quantity: str) -> None:
    page.keyboard.type("xf75")
    expect(page.locator(".oe-pick.oe-on")).to_be_visible()
    page.keyboard.press("Enter")
    expect(cell(page, 0, "quantity")).to_be_focused()
    page.keyboard.type(quantity)


def test_every_kind_of_column_is_filled_in_without_touching_the_mouse(
    open_page: OpenPage, office: Running, keys: Mapping[str, str]
) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    choose_product(page, "12")
    for _cell in ("quantity", "price", "discount"):
        page.keyboard.press("Enter")
    expect(cell(page, 0, keys["色号"])).to_be_focused()
    page.keyboard.type("藏青 17")
    page.keyboard.press("Enter")
    page.keyboard.type("印")  # of several: what is picked stays, the next is typed behind it
    expect(page.locator(".oe-pick.oe-on")).to_have_text("印花")
    page.keyboard.press("Enter")
    page.keyboard.type("染")
    expect(page.locator(".oe-pick.oe-on")).to_have_text("染色")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(cell(page, 0, keys["等级"])).to_be_focused()
    expect(cell(page, 0, keys["等级"])).to_have_value("一等")  # what a new line starts with
    page.keyboard.press("Alt+ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".oe-pick.oe-on")).to_have_text("二等")
    page.keyboard.press("Enter")
    expect(cell(page, 0, keys["交期"])).to_be_focused()
    page.keyboard.type("2026年12月1日")
    page.keyboard.press("Enter")
    page.keyboard.type("lx")  # by pinyin initials
    expect(page.locator(".oe-pick.oe-on")).to_contain_text("林晓")
    page.keyboard.press("Enter")
    page.keyboard.type("是")
    page.keyboard.press("Enter")
    expect(cell(page, 0, keys["要求"])).to_be_focused()
    page.keyboard.type("布面干净")
    page.keyboard.press("Alt+Enter")
    page.keyboard.type("不卷边")
    page.keyboard.press("Enter")
    expect(cell(page, 1, "product")).to_be_focused()
    saved(page)
    expect(cell(page, 0, keys["交期"])).to_have_value("2026-12-01")
    expect(cell(page, 0, keys["工艺"])).to_have_value("染色、印花")
    expect(own(page, 0, "匹号")).to_have_text(re.compile(r"HQ-\d{4}"))
    page.keyboard.press("Control+Enter")
    expect(page.locator(".oe .lc-title")).to_have_text(re.compile("^SO-HQ-"))
    expect(own(page, 0, "跟单")).to_have_text("林晓")
    (line,) = lines(office)
    kept = {label: str(line[key]) for label, key in keys.items() if label not in {"跟单", "匹号"}}
    assert kept == {
        "色号": "藏青 17",
        "工艺": "染色\n印花",
        "等级": "二等",
        "交期": "2026-12-01",
        "开匹": "True",
        "要求": "布面干净\n不卷边",
    }


def test_columns_are_pasted_by_their_headings_and_downwards_from_a_cell(open_page: OpenPage, keys: Mapping[str, str]) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    paste(page, "色号\t商品编码\t数量\t跟单\n藏青\tXF75-03\t30\t王芳\n本白\tXF75-03\t20\t没这个人\n")
    expect(cell(page, 0, keys["色号"])).to_have_value("藏青")
    expect(cell(page, 0, keys["等级"])).to_have_value("一等")
    expect(page.locator(".oe-row.oe-bad .oe-fault")).to_contain_text("没这个人")
    cell(page, 0, keys["等级"]).focus()
    paste(page, "二等\t2026-12-01\n一等\t2026-12-03\n")
    cell(page, 1, keys["跟单"]).fill("林晓")
    page.keyboard.press("Tab")
    expect(page.locator(".oe-row.oe-bad")).to_have_count(0)
    saved(page)
    page.reload()
    expect(cell(page, 0, keys["等级"])).to_have_value("二等")
    expect(cell(page, 1, keys["交期"])).to_have_value("2026-12-03")
    expect(cell(page, 1, keys["跟单"])).to_have_value("林晓")


def test_arrows_move_between_rows_also_in_a_column_with_a_list(open_page: OpenPage, keys: Mapping[str, str]) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    paste(page, "XF75-03\t1\nXF75-03\t2")
    expect(page.locator(".oe-rows .oe-row")).to_have_count(3)
    cell(page, 0, keys["等级"]).focus()
    page.keyboard.press("ArrowDown")
    expect(cell(page, 1, keys["等级"])).to_be_focused()
    expect(page.locator(".oe-pick")).to_have_count(0)
    page.keyboard.press("Shift+Enter")
    expect(cell(page, 1, keys["工艺"])).to_be_focused()


def test_a_cell_left_within_a_blink_keeps_what_was_typed(open_page: OpenPage, keys: Mapping[str, str]) -> None:
    page = start(open_page)
    choose_customer(page, "恒远")
    paste(page, "XF75-03\t1")
    expect(page.locator(".oe-rows .oe-row")).to_have_count(2)
    grade = cell(page, 0, keys["等级"])
    grade.evaluate("cell => { cell.focus(); cell.value = '一'; cell.dispatchEvent(new Event('input')); cell.blur(); cell.focus(); }")
    page.keyboard.press("Enter")
    expect(cell(page, 0, keys["交期"])).to_be_focused()
    expect(grade).to_have_value("一")  # not the first entry of a list that nobody has seen
    page.keyboard.press("ArrowDown")
    expect(page.locator(".oe-row.oe-bad .oe-fault")).to_contain_text("一")


def test_a_telephone_shows_the_columns_under_their_row(open_page: OpenPage, keys: Mapping[str, str]) -> None:
    page = start(open_page, size=(390, 844))
    choose_customer(page, "恒远")
    choose_product(page, "3")
    cell(page, 0, keys["等级"]).click()
    page.locator(".oe-pick", has_text="二等").click()
    expect(cell(page, 0, keys["等级"])).to_have_value("二等")
    label = own(page, 0, "色号").evaluate("cell => getComputedStyle(cell, '::before').content")
    assert label == '"色号"'
    product, below = (page.locator(f".oe-rows .oe-c-{name}").first.bounding_box() for name in ("product", "own"))
    assert product is not None
    assert below is not None
    assert below["y"] > product["y"] + product["height"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390, "the page can be moved sideways"


def test_a_field_is_added_to_the_lines_and_a_posting_asks_for_it(open_page: OpenPage) -> None:
    page = open_page("/fields?kind=sales_order_line")
    page.keyboard.press("n")
    dialog = page.locator(".q-dialog .lc-dialog").last
    dialog.locator(".lc-field", has_text="名称").locator("input").first.fill("幅宽")
    dialog.locator(".lc-field", has_text="类型").locator(".q-select").click()
    page.locator(".q-menu:visible .q-item", has_text="小数").click()
    for nothing_on_a_line in ("不允许重复", "在列表中显示", "可搜索", "表单分组"):
        expect(dialog.get_by_text(nothing_on_a_line)).to_be_hidden()
    dialog.get_by_text("必填").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-table tr", has_text="幅宽")).to_contain_text("必填")

    page.goto(page.url.split("/fields")[0] + "/orders/new")
    expect(page.locator(".oe-header input").first).to_be_focused()
    choose_customer(page, "恒远")
    paste(page, "XF75-03\t1\nXF75-03\t2")
    expect(page.locator(".oe-rows .oe-row")).to_have_count(3)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".oe .oe-problem")).to_contain_text("第 1 行：请填写幅宽")
    width = own(page, 0, "幅宽").locator("input")
    expect(width).to_be_focused()
    expect(width).to_have_attribute("aria-invalid", "true")
    page.keyboard.type("150")
    page.keyboard.press("ArrowDown")
    page.keyboard.type("148")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".oe .lc-title")).to_have_text(re.compile("^SO-HQ-"))
    expect(own(page, 1, "幅宽")).to_have_text("148")
