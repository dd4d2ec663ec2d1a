"""What somebody is about to do is not lost while the program draws a page anew: a late click, a button held down, an open menu."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from localcrm.domain import verbs
from tests.browser.conftest import Held, OpenPage, Running, beside

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def remind(office: Running, text: str) -> None:
    with beside(office) as (store, actor):
        at = datetime.now(UTC) + timedelta(hours=2)
        verbs.run(store, actor, "crm.set_reminder", {"at": at.isoformat(), "text": text})


def test_a_click_on_a_line_that_is_gone_by_then_counts_once(open_page: OpenPage, office: Running) -> None:
    page = open_page("/reminders", own_session=True)
    held = Held(page)
    remind(office, "给恒远寄样布")
    line = page.locator(".lc-reminder-line", has_text="给恒远寄样布")
    expect(line).to_be_visible()
    held.on = True
    remind(office, "给盛宏回电话")
    page.wait_for_timeout(2000)  # the list is drawn anew, and the browser does not know yet
    for _again in range(2):
        line.locator("[data-act=settle]").click()
    page.wait_for_timeout(500)
    held.release()
    expect(page.locator(".lc-reminder-line", has_text="给盛宏回电话")).to_be_visible()
    expect(line).to_have_count(0)
    expect(page.locator(".lc-notice")).to_have_count(0)


def test_a_button_that_is_held_down_is_still_there_when_it_is_let_go(open_page: OpenPage, office: Running) -> None:
    page = open_page("/reminders", own_session=True)
    held = Held(page)
    remind(office, "约越兴印染看样")
    line = page.locator(".lc-reminder-line", has_text="约越兴印染看样")
    expect(line).to_be_visible()
    held.on = True
    remind(office, "问瑞祥船期")
    page.wait_for_timeout(2000)
    line.locator("[data-act=settle]").hover()
    page.mouse.down()
    held.release()
    page.wait_for_timeout(200)  # less than the page waits for the button to be let go
    page.mouse.up()
    expect(page.locator(".lc-reminder-line", has_text="问瑞祥船期")).to_be_visible()
    expect(line).to_have_count(0)


def test_an_open_menu_stays_while_something_happens_elsewhere(open_page: OpenPage, office: Running) -> None:
    page = open_page("/reminders", own_session=True)
    remind(office, "催盛宏回签合同")
    line = page.locator(".lc-reminder-line", has_text="催盛宏回签合同")
    line.locator("[data-act=later]").click()
    menu = page.locator(".q-menu:visible")
    expect(menu).to_be_visible()
    remind(office, "寄色卡给华美")
    news = page.locator(".lc-reminder-line", has_text="寄色卡给华美")
    page.wait_for_timeout(3000)
    expect(menu).to_be_visible()
    expect(news).to_have_count(0)
    menu.locator(".q-item").first.click()  # put off
    expect(menu).to_have_count(0)
    expect(news).to_be_visible()
    with beside(office) as (store, _actor), store.read() as connection:
        assert connection.value("SELECT count(*) FROM reminder_mark WHERE until IS NOT NULL") == 1
