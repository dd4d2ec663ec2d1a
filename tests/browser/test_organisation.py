"""Numbering, the own organisation and data tools, as an administrator meets them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from localcrm.domain.people.preferences import save_preference
from tests.browser.conftest import OpenPage, Running, beside

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def in_language(office: Running, language: str) -> None:
    with beside(office) as (store, admin):
        save_preference(store, admin.user_id or "", "language", language)


# numbering -------------------------------------------------------------------------------------------------------------


def choose(page: Page, label: str, option: str) -> None:
    page.locator(f".q-dialog [aria-label='{label}']").click()
    page.locator(".q-menu .q-item", has_text=option).first.click()


def test_a_number_format_is_put_together_with_the_number_in_sight(open_page: OpenPage) -> None:
    page = open_page("/settings/numbers")
    row = page.locator("tr[data-series=customer]")
    expect(row).to_contain_text("C-HQ-000005")
    row.locator("[data-act=edit]").click()
    dialog = page.locator(".q-dialog")
    expect(dialog.locator("[data-preview]")).to_contain_text("C-HQ-000005")
    dialog.locator("input[data-text]").first.fill("RC-")
    expect(dialog.locator("[data-preview] [role=alert]")).to_contain_text("收款单”可能得到同样的编号")
    expect(dialog.locator("[data-act=save-format]")).to_be_disabled()
    dialog.locator("input[data-text]").first.fill("KH")
    expect(dialog.locator("[data-preview]")).to_contain_text("KHHQ-000001")
    choose(page, "流水号", "4 位")
    expect(dialog.locator("[data-preview]")).to_contain_text("KHHQ-0001")
    dialog.locator("[data-act=save-format]").click()
    expect(page.locator(".lc-toast")).to_contain_text("编号规则已保存")
    expect(row).to_contain_text("KHHQ-0001")
    expect(page.locator("[data-run]")).to_contain_text("C-HQ-000001")
    page.locator("[data-act=only-gaps]").click()
    expect(page.locator("[data-run]")).to_have_count(0)
    expect(page.get_by_text("没有缺号")).to_be_visible()


@pytest.mark.parametrize(("path", "words"), [("/settings/numbers", {"zh_CN": ("编号", "修改…"), "en": ("Numbering", "Next number here")})])
@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_pages_on_a_telephone_in_both_languages(
    open_page: OpenPage, office: Running, language: str, path: str, words: dict[str, tuple[str, ...]]
) -> None:
    in_language(office, language)
    page = open_page(path, size=(390, 844), own_session=True)
    for text in words[language]:
        expect(page.get_by_text(text).first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    in_language(office, "zh_CN")
