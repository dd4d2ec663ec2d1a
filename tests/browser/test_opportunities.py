"""The board of opportunities as a person uses it: cards dragged and moved by key, decided, looked at, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from tests.browser.conftest import Company, OpenPage, Running, act, beside, running

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[Running]:
    """A company with the usual stages and a deal of each of four customers."""
    folder = tmp_path_factory.mktemp("deals") / "hq"
    company = Company(folder)
    verbs.run(company.store, company.admin, "crm.add_standard_stages", {})
    with company.store.read() as connection:
        customers = [row[0] for row in connection.all("SELECT lower(hex(id)) FROM customer ORDER BY rid")]
    for customer, (title, amount) in zip(
        customers, (("春季雪纺", 80000), ("酒店窗帘", 250000), ("校服面料", 42000), ("毛毯", 9000)), strict=True
    ):
        company.new("opportunity", title=title, customer_id=customer, amount=str(amount))
    company.store.close()
    with running(folder, server_environment) as program:
        yield program


def lane(page: Page, place: int) -> Locator:
    return page.locator(".lc-lane").nth(place)


def card(page: Page, title: str) -> Locator:
    return page.locator(".lc-deal", has_text=title)


def dialog(page: Page) -> Locator:
    """The topmost one."""
    return page.locator(".q-dialog .lc-dialog").last


def sheet(page: Page) -> Locator:
    return page.locator(".lc-deal-sheet")


def stage(page: Page, place: int) -> Locator:
    """A stage in the strip of the sheet."""
    return sheet(page).locator(".lc-stage-strip button").nth(place)


def choose_reason(page: Page, place: int) -> None:
    dialog(page).locator(".q-select").click()
    page.locator(".q-menu .q-item").nth(place).click()
    page.keyboard.press("Control+Enter")


def say_why(page: Page, text: str) -> None:
    """Go on past an open checklist."""
    dialog(page).locator("input:not([type=checkbox])").fill(text)
    page.keyboard.press("Control+Enter")


def record(office: Running, title: str) -> dict[str, Any]:
    with beside(office) as (store, _actor), store.read() as connection:
        row = connection.one(
            """SELECT s.position, o.state, o.reason, o.phase, o.amount FROM opportunity o LEFT JOIN stage s ON s.id = o.stage_id
               WHERE o.title = ?""",
            (title,),
        )
    assert row is not None
    return dict(zip(("stage", "state", "reason", "phase", "amount"), row, strict=True))


def test_a_card_is_dragged_past_its_checklist_and_back_by_undo(open_page: OpenPage, office: Running) -> None:
    page = open_page("/opportunities")
    expect(lane(page, 0).locator(".lc-deal")).to_have_count(4)
    expect(lane(page, 0).locator(".lc-lane-sums")).to_contain_text("381,000")
    card(page, "春季雪纺").drag_to(lane(page, 1))
    dialog(page).locator(".q-checkbox").first.click()  # it is not finished where it is
    page.keyboard.press("Control+Enter")
    expect(lane(page, 1).locator(".lc-deal")).to_have_count(1)
    assert record(office, "春季雪纺")["stage"] == 20
    page.locator(".lc-toast button").click()
    expect(lane(page, 0).locator(".lc-deal")).to_have_count(4)
    card(page, "春季雪纺").drag_to(lane(page, 1))  # its checklist is done by now: nothing is asked
    expect(lane(page, 1).locator(".lc-deal")).to_have_count(1)
    expect(page.locator(".q-dialog")).to_have_count(0)


def test_a_card_is_moved_and_opened_by_keys_alone(open_page: OpenPage, office: Running) -> None:
    page = open_page("/opportunities")
    card(page, "毛毯").focus()
    page.keyboard.press("Shift+ArrowRight")
    say_why(page, "客户催得急")
    expect(lane(page, 1)).to_contain_text("毛毯")
    assert record(office, "毛毯")["stage"] == 20
    card(page, "毛毯").focus()
    page.keyboard.press("Enter")
    expect(sheet(page).locator(".lc-dialog-title")).to_have_text("毛毯")
    stage(page, 0).click()  # the strip of the sheet moves it too
    expect(stage(page, 0)).to_have_attribute("aria-current", "step")
    page.keyboard.press("Escape")
    expect(lane(page, 0)).to_contain_text("毛毯")


def test_a_deal_dragged_to_lost_and_to_won_is_asked_for_its_reason(open_page: OpenPage, office: Running) -> None:
    page = open_page("/opportunities")
    card(page, "校服面料").drag_to(page.locator(".lc-lane[data-column=lost]"))
    dialog(page).wait_for()
    page.keyboard.press("Control+Enter")
    expect(dialog(page).locator(".lc-field-error")).to_contain_text("原因")  # not without one
    choose_reason(page, 0)
    expect(card(page, "校服面料")).to_have_count(0)
    assert record(office, "校服面料") | {"amount": 0} == {
        "stage": 10,
        "state": "lost",
        "reason": "dear",
        "phase": "opportunity",
        "amount": 0,
    }
    card(page, "酒店窗帘").drag_to(page.locator(".lc-lane[data-column=won]"))
    choose_reason(page, 1)
    expect(page.locator(".lc-lane[data-column=won]")).to_contain_text("酒店窗帘")
    card(page, "酒店窗帘").click()
    act(page, "do-project")
    expect(sheet(page).locator(".lc-chip").filter(has_text="项目").first).to_be_visible()
    act(page, "new-project_task")
    page.locator("[data-field=title] input").fill("上门量尺寸")
    page.locator("[data-field=cost] input").fill("1200")
    page.keyboard.press("Control+Enter")
    expect(sheet(page).locator(".lc-sheet-part").first).to_contain_text("1,200.00")
    expect(sheet(page)).to_contain_text("248,800.00 · 99.5%")  # what is left of the amount
    act(page, "new-contract")
    expect(page.locator("[data-field=title] input")).to_have_value("酒店窗帘")
    page.keyboard.press("Control+Enter")  # all of it is known from the deal
    expect(sheet(page)).to_contain_text("CT-HQ-000001")
    act(page, "new-sales_order")
    page.wait_for_function("[...document.querySelectorAll('.oe input')].some(input => input.value === '酒店窗帘')")
    page.go_back()
    page.locator(".lc-phases").first.wait_for()
    page.locator(".lc-phases a[href$=project]").click()
    expect(lane(page, 0)).to_contain_text("酒店窗帘")
    page.goto(f"{office.address}/opportunities/funnel")
    expect(page.locator(".lc-funnel")).to_contain_text("赢单")
    expect(page.locator(".lc-funnel-page")).to_contain_text("价格太高")


def test_the_menu_of_a_card_and_somebody_elses_move(open_page: OpenPage, office: Running) -> None:
    page = open_page("/opportunities")
    card(page, "毛毯").click(button="right")
    menu = page.locator(".q-menu.lc-menu")
    menu.locator(".q-item", has_text="→").nth(2).click()
    say_why(page, "直接报价")
    expect(lane(page, 2)).to_contain_text("毛毯")
    with beside(office) as (store, actor):
        with store.read() as connection:
            deal, stage = (
                connection.value("SELECT lower(hex(id)) FROM opportunity WHERE title = '毛毯'"),
                connection.value("SELECT lower(hex(id)) FROM stage WHERE phase = 'opportunity' AND position = 40"),
            )
        verbs.run(store, actor, "crm.move_opportunity", {"opportunity_id": deal, "stage_id": stage, "remark": "电话谈妥"})
    expect(lane(page, 3)).to_contain_text("毛毯")


def test_the_customers_tab_shows_opens_and_adds_deals(open_page: OpenPage) -> None:
    page = open_page("/customers")
    page.locator(".ag-row", has_text="诸暨盛宏袜业").first.click()
    page.locator(".lc-lower .q-tab", has_text="机会").click()
    line = page.locator(".lc-lower table").locator("tr", has_text="毛毯")
    line.dblclick()
    expect(sheet(page).locator(".lc-dialog-title")).to_have_text("毛毯")
    page.keyboard.press("Escape")
    page.locator(".lc-lower th button").click()
    page.locator("[data-field=title] input").fill("袜子礼盒")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-lower table")).to_contain_text("袜子礼盒")


def test_on_a_phone_a_column_fills_the_screen_and_the_sheet_moves_the_card(open_page: OpenPage, office: Running) -> None:
    page = open_page("/opportunities", size=(390, 844))
    expect(card(page, "袜子礼盒")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    card(page, "袜子礼盒").click()
    stage(page, 1).click()
    say_why(page, "老客户")
    expect(stage(page, 1)).to_have_attribute("aria-current", "step")
    assert record(office, "袜子礼盒")["stage"] == 20
