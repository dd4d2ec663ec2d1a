"""A click on what the program has just drawn anew, while the browser still shows what was there before, does what it says; once."""

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
