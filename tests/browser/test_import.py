"""The import wizard as a person uses it: a GBK file from somewhere else, its faults, the mended file, a table that was copied."""

from __future__ import annotations

from pathlib import Path

import pytest
from openpyxl import Workbook
from playwright.sync_api import Page, expect

from localcrm.kernel.schema import entity as entity_type
from tests.browser.conftest import OpenPage, Running, beside

FILE = "客户名称,电话,等级,信用额度,备注\n甲公司,138 0000 1111,成交客户,100000,老客户\n乙公司,1.38E+10,意向客户,abc,x\n,1390000,发展客户,1,无名\n"


pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def act(page: Page, name: str) -> None:
    page.locator(f"[data-act={name}]").click()


def customers(office: Running, name: str) -> list[dict[str, object]]:
    with beside(office) as (store, actor), store.unit_of_work(actor.user_id) as uow:
        return uow.where(entity_type("customer"), name=name)


def choose(page: Page, path: Path) -> None:
    page.locator("[data-upload] input[type=file]").set_input_files(path)
    expect(page.locator(".lc-table tr").nth(1)).to_be_visible()


def counts(page: Page) -> list[str]:
    """added, updated, unchanged, refused"""
    chips = page.locator(".lc-chip[data-tone]").filter(has_text="").all_inner_texts()
    return [text.split()[-1] for text in chips][-4:]


@pytest.fixture
def gbk_file(tmp_path: Path) -> Path:
    path = tmp_path / "客户.csv"
    path.write_bytes(FILE.encode("gbk"))
    return path


def test_a_gbk_file_is_understood_its_faults_stand_beside_the_cells_and_the_mended_file_completes_it(
    open_page: OpenPage, office: Running, gbk_file: Path, tmp_path: Path
) -> None:
    page = open_page("/import")
    choose(page, gbk_file)
    expect(page.locator(".lc-chip", has_text="GBK")).to_be_visible()
    expect(page.locator(".lc-mapping .q-field")).to_have_count(5)
    expect(page.locator("td.lc-bad-cell")).to_have_count(3)  # a shortened number, a word for an amount, a missing name
    expect(page.locator("td.lc-bad-cell").first).to_contain_text("1.38E+10")
    act(page, "dry-run")
    expect(page.locator(".lc-chip[data-tone=good]")).to_contain_text("1")
    assert customers(office, "甲公司") == []  # tried, nothing kept
    act(page, "only-whole")
    act(page, "import")
    expect(page.locator("[data-act=failed-rows]")).to_be_visible()
    assert customers(office, "甲公司") == []  # one is refused, so none is taken
    act(page, "only-whole")
    act(page, "import")
    expect(page.locator("[data-act=next-file]")).to_be_visible()
    assert counts(page) == ["1", "0", "0", "2"]
    assert [(row["phone"], row["level"], str(row["credit_limit"])) for row in customers(office, "甲公司")] == [
        ("138 0000 1111", "deal", "100000.00")
    ]
    with page.expect_download() as download:
        act(page, "failed-rows")
    refused = tmp_path / "refused.xlsx"
    download.value.save_as(refused)
    act(page, "next-file")
    choose(page, mend(refused, tmp_path))
    act(page, "import")
    expect(page.locator("[data-act=next-file]")).to_be_visible()
    assert counts(page) == ["2", "0", "0", "0"]
    assert str(customers(office, "乙公司")[0]["phone"]) == "13800002222"


def mend(refused: Path, folder: Path) -> Path:
    """What a clerk does in the spreadsheet."""
    import openpyxl

    book = openpyxl.load_workbook(refused)
    sheet = book.active
    headers = [cell.value for cell in sheet[1]]
    name, phone, credit = (headers.index(word) + 1 for word in ("客户名称", "电话", "信用额度"))
    sheet.cell(2, phone).value, sheet.cell(2, credit).value = "13800002222", "5000"
    sheet.cell(3, name).value = "丙公司"
    target = folder / "mended.xlsx"
    book.save(target)
    return target


def test_a_pasted_table_updates_what_it_recognises(open_page: OpenPage, office: Running) -> None:
    page = open_page("/import")
    page.locator(".q-expansion-item").click()
    page.locator("textarea").fill("客户名称\t电话\n柯桥金龙布业\t0575-99887766\n全新的公司\t0575-11112222")
    page.keyboard.press("Tab")
    act(page, "take-pasted")
    expect(page.locator(".lc-table tr")).to_have_count(3)
    page.locator("[data-act=update-on]").click()
    page.locator(".q-menu .q-item").nth(1).click()
    act(page, "import")
    expect(page.locator("[data-act=next-file]")).to_be_visible()
    assert counts(page) == ["1", "1", "0", "0"]
    assert [row["phone"] for row in customers(office, "柯桥金龙布业")] == ["0575-99887766"]


def test_customers_and_the_people_there_come_from_one_table_and_once(open_page: OpenPage, office: Running) -> None:
    for expected in (["1", "1", "0", "0"], ["0", "0", "2", "0"]):
        page = open_page("/import")
        page.locator(".q-expansion-item").click()
        page.locator("textarea").fill("客户名称\t联系人\t手机\n嵊州领带厂\t裘文\t13812340001\n嵊州领带厂\t金晶\t13812340002")
        page.keyboard.press("Tab")
        act(page, "take-pasted")
        expect(page.locator(".lc-table th", has_text="联系人 · 名称")).to_be_visible()
        expect(page.locator("[data-act=update-on]")).to_contain_text("客户名称")  # each row names his company once more
        act(page, "import")
        expect(page.locator("[data-act=next-file]")).to_be_visible()
        assert counts(page) == expected
    assert len(customers(office, "嵊州领带厂")) == 1


def test_a_column_can_mean_something_else_and_a_missing_one_is_named(open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "foreign.csv"
    path.write_text("Firma;Fon\nMüller;123456\n", encoding="utf-8")
    page = open_page("/import")
    page.locator("[data-upload] input[type=file]").set_input_files(path)
    expect(page.locator(".lc-field-error").first).to_contain_text("客户名称")
    page.locator(".lc-mapping .q-field").first.click()
    page.locator(".q-menu .q-item", has_text="客户名称").click()
    expect(page.locator(".lc-table tr").nth(1)).to_contain_text("Müller")
    expect(page.locator("td.lc-bad-cell")).to_have_count(0)


def test_what_is_read_otherwise_than_it_looks_is_said(open_page: OpenPage, tmp_path: Path) -> None:
    book = Workbook()
    for row in (["客户名称", "电话"], ["看得见有限公司", "13800000001"], ["藏起来有限公司", "13800000002"]):
        book.active.append(row)
    book.active.row_dimensions[3].hidden = True
    book.create_sheet("去年").append(["客户名称"])
    book.save(tmp_path / "book.xlsx")
    page = open_page("/import")
    page.locator("[data-upload] input[type=file]").set_input_files(tmp_path / "book.xlsx")
    expect(page.locator(".lc-warn", has_text="去年")).to_have_count(1)
    expect(page.locator(".lc-warn", has_text="隐藏")).to_contain_text("第 3 行")


def test_a_file_that_is_no_table_is_refused_in_one_sentence(open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "picture.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(200))
    page = open_page("/import")
    page.locator("[data-upload] input[type=file]").set_input_files(path)
    expect(page.locator(".lc-notice")).to_have_count(1)
    expect(page.locator(".lc-notice")).to_have_attribute("data-code", "binary_file")
    expect(page.locator("[data-upload]")).to_be_visible()


def test_the_wizard_fits_a_phone(open_page: OpenPage, gbk_file: Path) -> None:
    page = open_page("/import", size=(390, 844))
    choose(page, gbk_file)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.locator("[data-act=import]")).to_be_in_viewport()
