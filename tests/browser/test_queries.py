"""The page of today, queries and groupings as a person uses them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.kernel.clock import now_utc
from tests.browser.conftest import OpenPage, Running, act, beside

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def row(page: Page, text: str) -> Locator:
    return page.locator(".ag-row", has_text=text).first


def group(page: Page, text: str) -> Locator:
    return page.locator(".lc-group", has_text=text).first


def test_the_page_of_today_leads_to_whom_it_counts(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        late = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "逾期的公司"}})
        at, due = ((now_utc() - timedelta(days=days)).isoformat() for days in (9, 3))
        values = {"customer_id": late["id"], "content": "约好回访", "at": at, "next_at": due}
        verbs.run(store, actor, "records.create_record", {"entity": "activity", "values": values})
    page = open_page("/today")
    card = page.locator(".lc-today-card", has_text="逾期未联系")
    expect(card.locator(".lc-today-count")).to_have_text("1")
    expect(card).to_contain_text("逾期的公司")
    card.locator(".lc-today-head").click()
    expect(page).to_have_url(re.compile("/customers"))
    expect(page.locator(".lc-quick .lc-chip")).to_contain_text("逾期未联系")
    expect(row(page, "逾期的公司")).to_be_visible()
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(1)
    page.locator(".lc-quick .lc-chip").click()
    expect(row(page, "柯桥金龙布业")).to_be_visible()


def test_a_query_is_put_together_kept_and_there_again(open_page: OpenPage) -> None:
    page = open_page()
    expect(row(page, "柯桥金龙布业")).to_be_visible()
    act(page, "more-queries")
    act(page, "new-query")
    dialog = page.locator(".q-dialog")
    dialog.locator(".lc-cond").first.locator(".q-select").first.locator("input").fill("等级")
    page.locator(".q-menu .q-item", has_text="等级").first.click()
    expect(dialog.get_by_label("等级", exact=True)).to_have_value("成交客户")
    act(page, "add-condition")
    expect(dialog.locator(".lc-cond")).to_have_count(2)
    expect(dialog).to_contain_text("当前符合：3 个")  # none of the three was ever called
    dialog.locator("input[maxlength='200']").fill("没联系的成交客户")
    act(page, "save-query")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(page.locator(".lc-quick .lc-chip")).to_contain_text("没联系的成交客户")
    expect(row(page, "浙江瑞祥进出口有限公司")).to_have_count(0)
    page.reload()
    expect(row(page, "浙江瑞祥进出口有限公司")).to_be_visible()
    group(page, "没联系的成交客户").click()
    expect(row(page, "浙江瑞祥进出口有限公司")).to_have_count(0)


def test_a_row_is_dragged_onto_a_group_and_back(open_page: OpenPage) -> None:
    page = open_page()
    target = group(page, "意向客户")
    expect(row(page, "诸暨盛宏袜业")).to_contain_text("成交客户")
    source, place = row(page, "诸暨盛宏袜业").bounding_box(), target.bounding_box()
    assert source is not None and place is not None
    page.mouse.move(source["x"] + 60, source["y"] + 15)
    page.mouse.down()
    page.mouse.move(place["x"] + 40, place["y"] + 40, steps=5)
    page.mouse.move(place["x"] + 40, place["y"] + 12)
    expect(page.locator(".lc-group.lc-drop")).to_have_count(1)
    page.mouse.up()
    expect(row(page, "诸暨盛宏袜业")).to_contain_text("意向客户")
    page.locator(".lc-toast button").click()
    expect(row(page, "诸暨盛宏袜业")).to_contain_text("成交客户")


def test_one_field_of_all_shown_is_changed_and_taken_back(open_page: OpenPage) -> None:
    page = open_page()
    group(page, "意向客户").click()
    expect(row(page, "柯桥金龙布业")).to_have_count(0)
    act(page, "mass")
    dialog = page.locator(".q-dialog")
    expect(dialog).to_contain_text("将修改 1 个客户：浙江瑞祥进出口有限公司")
    dialog.locator(".lc-field .q-select").nth(1).locator("input").click()
    page.locator(".q-menu .q-item", has_text="成交客户").click()
    act(page, "mass-change")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(row(page, "浙江瑞祥进出口有限公司")).to_have_count(0)
    page.locator(".lc-toast button").click()
    expect(row(page, "浙江瑞祥进出口有限公司")).to_be_visible()
    # A tag for all shown, which the next one is offered; the group of it then narrows the list.
    act(page, "mass")
    dialog.locator(".q-select").first.click()
    page.locator(".q-menu .q-item", has_text="标签").click()
    dialog.locator("[data-field=tags] input").fill("广交会")
    page.keyboard.press("Enter")
    act(page, "mass-change")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(group(page, "广交会")).to_be_visible()
    page.locator(".lc-quick .lc-chip").click()
    expect(row(page, "柯桥金龙布业")).to_be_visible()
    group(page, "广交会").click()
    expect(page.locator(".lc-quick .lc-chip")).to_contain_text("标签 = 广交会")
    expect(row(page, "柯桥金龙布业")).to_have_count(0)
    row(page, "浙江瑞祥进出口有限公司").click()
    expect(page.locator(".lc-lower .lc-tag")).to_have_text("广交会")


def test_all_shown_are_handed_over_at_once(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        for name in ("移交甲厂", "移交乙厂"):
            verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": name}})
    page = open_page()
    page.locator("[data-find] input, input[data-find]").first.fill("移交")
    expect(row(page, "移交甲厂")).to_be_visible()
    expect(row(page, "柯桥金龙布业")).to_have_count(0)
    act(page, "mass")
    page.locator(".q-dialog .q-select").first.click()
    page.locator(".q-menu .q-item", has_text="业务员").click()
    act(page, "mass-change")
    box = page.locator("[data-act=hand-over]")
    expect(box).to_contain_text("2 ")
    box.locator(".lc-field", has_text="新业务员").locator("input").first.fill("林晓")
    page.locator(".lc-pick", has_text="林晓").first.click()
    box.locator("[data-act=yes]").click()
    expect(page.locator(".q-dialog")).to_have_count(0)
    with beside(office) as (store, _actor), store.read() as connection:
        owners = connection.all("""SELECT c.name, u.login FROM customer c JOIN "user" u ON u.id = c.owner_id WHERE c.name LIKE '移交%'""")
    assert sorted(owners) == [("移交乙厂", "lin"), ("移交甲厂", "lin")]
