"""Backups and what the program does by itself, as an administrator meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain.people.preferences import save_preference
from localcrm.jobs.settings import BackupSettings, backup_settings
from tests.browser.conftest import OpenPage, Running, beside

PAGE = "/settings/backups"


pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def act(page: Page, name: str) -> Locator:
    """A button or field, whatever the language."""
    return page.locator(f"button[data-act={name}], input[data-act={name}]")


def files(page: Page) -> Locator:
    return page.get_by_role("row").filter(has=page.locator("[data-act=try]"))


def job(page: Page, name: str) -> Locator:
    return page.locator(f"tr[data-job={name}]")


def back_up(page: Page, office: Running) -> None:
    """Press the button and wait for the file: a toast or a button may still be those of the time before."""
    before = set((office.folder / "backups").glob("*.localcrm-backup"))
    act(page, "back-up").click()
    for _tenth in range(200):
        if set((office.folder / "backups").glob("*.localcrm-backup")) - before:
            break
        page.wait_for_timeout(100)
    expect(page.locator(".lc-notices", has=page.locator(".q-spinner"))).to_have_count(0)
    expect(act(page, "back-up")).to_be_enabled()


def test_back_up_now_adds_a_line(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE)
    expect(job(page, "exchange")).to_contain_text("本机不用")
    before = files(page).count()  # the program may have made its first one by now
    back_up(page, office)
    expect(files(page)).to_have_count(before + 1)
    expect(files(page).first).to_contain_text("已核对")
    expect(page.locator(".lc-facts")).to_contain_text("刚刚")
    expect(job(page, "backup")).to_contain_text("已完成")
    expect(job(page, "backup")).to_contain_text("明天")


def test_a_backup_is_tried_out_and_leaves_nothing_behind(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE)
    files(page).first.locator("[data-act=try]").click()
    dialog = page.locator(".q-dialog")
    expect(dialog).to_contain_text("这份备份可以恢复")
    expect(dialog).to_contain_text("客户 4")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    assert [path.name for path in (office.folder / "backups").iterdir() if path.name.startswith(".")] == []


def test_fewer_are_kept_once_that_is_set(open_page: OpenPage, office: Running) -> None:
    page = open_page(PAGE)
    act(page, "keep").fill("1")
    act(page, "save-settings").click()
    expect(page.locator(".q-field__messages").get_by_text("2 到 365")).to_be_visible()
    act(page, "keep").fill("2")
    act(page, "at").fill("22:30")
    act(page, "save-settings").click()
    expect(page.locator(".lc-toast")).to_contain_text("设置已保存")
    expect(page.locator(".q-field__messages").get_by_text("2 到 365")).to_have_count(0)
    expect(job(page, "backup")).to_contain_text("22:30")
    for _once in range(3):
        page.wait_for_timeout(1000)  # a backup is named after its second
        back_up(page, office)
    expect(files(page)).to_have_count(2)
    with beside(office) as (store, _admin):
        assert backup_settings(store).keep == 2


def test_the_second_place_gets_a_copy_and_is_missed_when_it_is_away(open_page: OpenPage, office: Running, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    page = open_page(PAGE)
    act(page, "second").fill(str(office.folder / "backups"))
    act(page, "save-settings").click()
    expect(page.locator(".q-field__messages").get_by_text("数据文件夹里面")).to_be_visible()
    act(page, "second").fill(str(stick))
    act(page, "save-settings").click()
    expect(page.locator(".lc-toast")).to_contain_text("设置已保存")
    back_up(page, office)
    expect(files(page).filter(has_text="第二位置")).to_have_count(2)  # it catches up with the one that was there before

    stick.rename(tmp_path / "in-the-drawer")
    page.wait_for_timeout(1000)
    act(page, "back-up").click()
    expect(page.locator(".lc-notice", has_text="完好可用")).to_be_visible()
    expect(page.locator(".lc-notice", has_text="现在找不到")).to_be_visible()
    expect(job(page, "backup")).to_contain_text("有提示")
    expect(files(page)).to_have_count(2)
    with beside(office) as (store, _admin):
        assert backup_settings(store) == BackupSettings(at=backup_settings(store).at, keep=2, second=stick)


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_on_a_telephone_in_both_languages(open_page: OpenPage, office: Running, language: str) -> None:
    with beside(office) as (store, admin):
        save_preference(store, admin.user_id or "", "language", language)
    page = open_page(PAGE, size=(390, 844), own_session=True)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if language == "zh_CN" else "en-US")
    expect(files(page).first).to_be_visible()
    words = {"zh_CN": ("备份与计划任务", "试恢复", "每天时间"), "en": ("Backups & tasks", "Test restore", "Time of day")}
    for text in words[language]:
        expect(page.get_by_text(text).first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    with beside(office) as (store, admin):
        save_preference(store, admin.user_id or "", "language", "zh_CN")


def test_somebody_without_the_right_is_not_shown_it(open_page: OpenPage) -> None:
    page = open_page(PAGE, login="lin")
    expect(page.locator(".lc-page")).to_contain_text("没有")
    expect(act(page, "back-up")).to_have_count(0)
    expect(page.locator(".lc-nav")).not_to_contain_text("备份与计划任务")
