"""Files attached to a customer in the browser: chosen, dropped, kept after saving, saved to disk, taken off again."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def dialog(page: Page) -> Locator:
    return page.locator(".q-dialog .lc-dialog").last


def contract(page: Page) -> Locator:
    return dialog(page).locator(".lc-field", has_text="合同扫描件")


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("papers")
    found = [folder / "框架合同 2026.pdf", folder / "价格表.xlsx"]
    for number, path in enumerate(found):
        path.write_bytes(f"{number} 内容".encode() * 1000)
    return found


def save(page: Page) -> None:
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)


def test_files_are_attached_kept_and_saved_to_disk(open_page: OpenPage, papers: list[Path]) -> None:
    page = open_page("/fields")
    page.keyboard.press("n")
    dialog(page).locator(".lc-field", has_text="名称").locator("input").first.fill("合同扫描件")
    dialog(page).locator(".lc-field", has_text="类型").locator(".q-select").click()
    page.locator(".q-menu:visible .q-item", has_text="附件").click()
    expect(dialog(page).get_by_text("不允许重复")).to_be_hidden()
    save(page)

    page.goto(page.url.replace("/fields", "/customers"))
    page.locator(".ag-row", has_text="柯桥金龙布业").dblclick()
    contract(page).locator("input[type=file]").set_input_files(papers)
    expect(contract(page).locator(".lc-file")).to_have_count(2)
    save(page)

    page.locator(".ag-row", has_text="柯桥金龙布业").dblclick()
    with page.expect_download() as download:
        contract(page).get_by_text("框架合同 2026.pdf").click()
    assert download.value.suggested_filename == "框架合同 2026.pdf"
    assert download.value.path().read_bytes() == papers[0].read_bytes()

    contract(page).get_by_role("button", name="移除").first.click()
    expect(contract(page).locator(".lc-file")).to_have_count(1)
    save(page)
    page.locator(".ag-row", has_text="柯桥金龙布业").dblclick()
    expect(contract(page).locator(".lc-file")).to_have_text(["attach_file价格表.xlsx8 KB"])


def test_an_empty_file_is_refused_in_one_sentence(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("/customers")
    (tmp_path / "空.txt").touch()
    page.locator(".ag-row", has_text="柯桥金龙布业").dblclick()
    contract(page).locator("input[type=file]").set_input_files(tmp_path / "空.txt")
    expect(page.get_by_text("“空.txt”是空文件，未添加。")).to_be_visible()


def test_a_telephone_shows_and_takes_them_too(open_page: OpenPage, papers: list[Path]) -> None:
    page = open_page("/customers", size=(390, 844))
    page.locator(".lc-card-row", has_text="柯桥金龙布业").click()
    expect(page.locator(".lc-facts .lc-file")).to_be_visible()
    page.locator("button.lc-phone-only").click()
    page.locator(".lc-head .lc-pri").click()
    contract(page).locator("input[type=file]").set_input_files(papers)
    expect(contract(page).locator(".lc-file")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    # The tab of files: that one is there with the record it hangs on, and two more go to the customer at once.
    dialog(page).get_by_role("button", name="取消").click()
    dialog(page).get_by_role("button", name="不保存").click()
    expect(page.locator(".q-dialog")).to_have_count(0)
    page.locator(".lc-lower .q-tab", has_text="附件").dispatch_event("click")  # it stands beyond the edge
    expect(page.locator(".lc-lower .lc-table tr", has_text="价格表.xlsx")).to_contain_text("客户 · 柯桥金龙布业 · 合同扫描件")
    page.locator(".lc-lower input[type=file]").set_input_files(papers)
    expect(page.locator(".lc-lower .lc-files-input .lc-file")).to_have_count(2)
    expect(page.locator(".lc-lower .q-tab--active .lc-count")).to_have_text("3")
