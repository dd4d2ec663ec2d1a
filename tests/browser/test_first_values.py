"""A quick hand keeps what it has typed, also in the moment in which a page or a form appears."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


@pytest.mark.parametrize("turn", range(6))
def test_what_is_typed_into_a_page_that_has_just_appeared_stays(open_page: OpenPage, turn: int) -> None:  # in one of four it was lost
    page = open_page("/settings/backups")
    page.locator("[data-act=keep]").first.fill("1")
    page.locator("[data-act=save-settings]").first.click()
    expect(page.locator(".q-field__messages").get_by_text("2 到 365")).to_be_visible()
    expect(page.locator("[data-act=keep]").first).to_have_value("1")
