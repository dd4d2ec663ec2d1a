"""Files attached to a customer in the browser: chosen, dropped, kept after saving, saved to disk, taken off again."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, picture

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def dialog(page: Page) -> Locator:
    return page.locator(".q-dialog .lc-dialog").last


def contract(page: Page) -> Locator:
    return dialog(page).locator(".lc-field", has_text="合同扫描件")


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("papers")
    found = [folder / "框架合同 2026.docx", folder / "价格表.xlsx"]
    for number, path in enumerate(found):
        path.write_bytes(f"{number} 内容".encode() * 1000)
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two pictures, one that is called so, and a PDF."""
    folder = tmp_path_factory.mktemp("seen")
    contents = {"厂房.png": _png(90), "样布.png": _png(200), "名片.jpg": b"<script>alert(1)</script>", "报价.pdf": _PDF}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def _png(grey: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes([grey]) * 64) * 48
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>endobj
trailer<</Root 1 0 R>>
"""


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
    contract(page).locator("input[type=file]").first.set_input_files(papers)
    expect(contract(page).locator(".lc-file")).to_have_count(2)
    save(page)

    page.locator(".ag-row", has_text="柯桥金龙布业").dblclick()
    with page.expect_download() as download:
        contract(page).get_by_text("框架合同 2026.docx").click()
    assert download.value.suggested_filename == "框架合同 2026.docx"
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
    contract(page).locator("input[type=file]").first.set_input_files(tmp_path / "空.txt")
    expect(page.get_by_text("“空.txt”是空文件，未添加。")).to_be_visible()


def test_a_telephone_shows_and_takes_them_too(open_page: OpenPage, papers: list[Path], seen: list[Path]) -> None:
    page = open_page("/customers", size=(390, 844))
    page.locator(".lc-card-row", has_text="柯桥金龙布业").click()
    expect(page.locator(".lc-facts .lc-file")).to_be_visible()
    page.locator("button.lc-phone-only").click()
    page.locator(".lc-head .lc-pri").click()
    contract(page).locator("input[type=file]").first.set_input_files(papers)
    expect(contract(page).locator(".lc-file")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    # The tab of files: that one is there with the record it hangs on, and two more go to the customer at once.
    dialog(page).get_by_role("button", name="取消").click()
    dialog(page).get_by_role("button", name="不保存").click()
    expect(page.locator(".q-dialog")).to_have_count(0)
    page.locator(".lc-lower .q-tab", has_text="附件").dispatch_event("click")  # it stands beyond the edge
    expect(page.locator(".lc-lower .lc-table tr", has_text="价格表.xlsx")).to_contain_text("客户 · 柯桥金龙布业 · 合同扫描件")
    page.locator(".lc-lower input[type=file]").first.set_input_files(papers)
    expect(page.locator(".lc-lower .lc-files-input .lc-file")).to_have_count(2)
    expect(page.locator(".lc-lower .q-tab--active .lc-count")).to_have_text("3")

    # What can be looked at is: pictures one after the other over the page, a PDF in a tab of its own; a false picture is but a file.
    page.locator(".lc-lower input[type=file]").first.set_input_files(seen)
    page.locator(".lc-card-row", has_text="柯桥金龙布业").click()
    expect(page.locator(".lc-lower .lc-thumb:visible")).to_have_count(2)
    expect(page.locator(".lc-lower .lc-broken")).to_contain_text("名片.jpg")
    page.locator(".lc-lower .lc-file", has_text="厂房.png").click()
    viewer = page.locator(".lc-viewer")
    expect(viewer).to_contain_text("厂房.png")
    expect(viewer).to_contain_text("1 / 2")
    page.keyboard.press("ArrowRight")
    expect(viewer).to_contain_text("样布.png")
    assert page.locator(".lc-viewer img").evaluate("async (one) => { await one.decode(); return one.naturalWidth; }") == 64
    picture(page, "viewer-phone")
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    picture(page, "files-phone")
    with page.context.expect_page() as opened:
        page.locator(".lc-lower .lc-file", has_text="报价.pdf").click()
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("document.contentType") == "application/pdf"
    assert opened.value.evaluate("window.opener") is None
