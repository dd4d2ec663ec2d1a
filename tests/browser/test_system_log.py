"""The system log as an administrator reads it: a refused sign-in and the right one, found again, taken away as a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from localcrm.store import eventlog
from tests.browser.conftest import PASSWORD, Company, OpenPage, Running, beside, enter, new_page, pick, running

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[Running]:
    """A program whose log begins in September 2020."""
    folder = tmp_path_factory.mktemp("office") / "hq"
    made = Company(folder)
    with made.store.housekeeping() as connection:
        for number in range(3):
            eventlog.append(connection, at=1_600_000_000_000 + number, kind="print", detail=f"Long ago {number}")
    made.store.close()
    with running(folder, server_environment) as program:
        yield program


@pytest.fixture
def entrance(browser: Browser, office: Running) -> Iterator[Page]:
    contexts: list[BrowserContext] = []
    yield new_page(browser, office, contexts)
    for context in contexts:
        context.close()


def rows(page: Page, *texts: str) -> Locator:
    found = page.locator(".lc-log tr")
    for text in texts:
        found = found.filter(has_text=text)
    return found


def choose(page: Page, label: str, text: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).click()
    pick(page, text)


def sign_in(page: Page, office: Running, password: str) -> None:
    page.goto(f"{office.address}/login?next=/log")
    page.fill("#login", "admin")
    page.fill("#password", password)
    page.click("button[type=submit]")


def test_a_refused_sign_in_and_the_right_one_stand_in_the_log_in_both_languages(entrance: Page, office: Running) -> None:
    page = entrance
    sign_in(page, office, "nope-nope-nope")
    expect(page.locator("#password")).to_be_visible()
    sign_in(page, office, PASSWORD)
    page.wait_for_url("**/log")
    expect(page.locator(".lc-title")).to_have_text("系统日志")
    expect(rows(page, "登录被拒")).to_contain_text("admin")
    expect(rows(page, "登录成功").first).to_contain_text("王芳")
    expect(page.locator(".lc-nav")).to_contain_text("系统日志")
    page.locator(".lc-language").click()
    expect(page.locator(".lc-title")).to_have_text("System log")
    expect(rows(page, "Sign-in refused", "not signed in")).to_have_count(1)
    expect(rows(page, "Signed in", "王芳").first).to_be_visible()
    page.locator(".lc-language").click()
    expect(page.locator(".lc-title")).to_have_text("系统日志")


def test_rows_are_found_by_kind_user_day_and_text(open_page: OpenPage) -> None:
    page = open_page("/log")
    expect(rows(page, "登录被拒")).to_have_count(1)
    choose(page, "事项", "登录被拒")
    expect(rows(page)).to_have_count(2)  # with the heads
    choose(page, "操作人", "王芳")
    expect(page.locator(".lc-empty")).to_be_visible()
    choose(page, "事项", "全部事项")
    expect(rows(page, "登录成功").first).to_be_visible()
    enter(page.get_by_label("结束日期"), "2020-01-01")
    expect(page.locator(".lc-empty")).to_be_visible()
    enter(page.get_by_label("结束日期"), "+0")
    expect(rows(page, "登录成功").first).to_be_visible()
    choose(page, "操作人", "全部人员")
    expect(rows(page, "Long ago")).to_have_count(3)
    enter(page.get_by_label("开始日期"), "+0")
    expect(rows(page, "Long ago")).to_have_count(0)
    page.get_by_placeholder("查找说明").fill("ADMIN")
    expect(rows(page, "登录被拒")).to_have_count(1)
    expect(rows(page, "登录成功")).to_have_count(0)


def test_more_than_two_hundred_rows_come_in_portions(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        for number in range(205):
            store.log("print", user_id=actor.user_id, detail=f"Nr {number}")
        store.log("print", user_id=actor.user_id, detail="Something else")
    page = open_page("/log")
    expect(rows(page, "Something else")).to_have_count(1)
    enter(page.get_by_placeholder("查找说明"), "Nr ")
    expect(rows(page, "Something else")).to_have_count(0)
    expect(rows(page, "Nr ")).to_have_count(200)
    page.get_by_role("button", name="更早的记录").click()
    expect(rows(page, "Nr ")).to_have_count(205)
    expect(rows(page).last).to_contain_text("Nr 0")
    expect(page.get_by_role("button", name="更早的记录")).to_have_count(0)


def test_what_matches_is_taken_away_as_a_file(open_page: OpenPage) -> None:
    page = open_page("/log")
    choose(page, "事项", "登录被拒")
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name="导出").click()
    with page.expect_download() as downloading:
        page.locator(".q-menu:visible .q-item", has_text=".csv").click()
    assert downloading.value.suggested_filename.startswith("系统日志 ")
    lines = Path(downloading.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "编号,时间,操作人,事项,说明"
    assert [line.split(",")[2:] for line in lines[1:]] == [["未登录", "登录被拒", "admin"]]
    page.reload()
    expect(rows(page, "导出", "系统日志 · .csv · 1")).to_have_count(1)


def test_old_rows_are_exported_first_and_then_removed(open_page: OpenPage) -> None:
    page = open_page("/log")
    page.get_by_role("button", name="清除旧记录…").click()
    dialog = page.locator(".q-dialog")
    expect(dialog).to_contain_text("3 行")
    with page.expect_download() as download:
        dialog.get_by_role("button", name="先导出这些记录").click()
    assert download.value.suggested_filename.endswith(".xlsx")
    choose(page, "要清除的记录", "10 年以前的")
    expect(dialog).to_contain_text("没有这么早的记录。")
    expect(dialog.get_by_role("button", name="清除", exact=True)).to_be_disabled()
    choose(page, "要清除的记录", "5 年以前的")
    dialog.get_by_role("button", name="清除", exact=True).click()
    expect(page.locator(".lc-toast")).to_contain_text("已清除 3 条")
    expect(rows(page, "清除了旧日志", "第 1 至 3 条")).to_have_count(1)
    expect(page.locator(".lc-notice")).to_contain_text("没有记录被改动或删除")
    page.get_by_placeholder("查找说明").fill("Long ago")
    expect(page.locator(".lc-empty")).to_be_visible()


def test_shortening_speaks_english(open_page: OpenPage) -> None:
    page = open_page("/log")
    page.locator(".lc-language").click()
    page.get_by_role("button", name="Shorten…").click()
    expect(page.locator(".q-dialog")).to_contain_text("No row is that old.")
    page.get_by_role("button", name="Cancel").click()
    page.locator(".lc-language").click()
    expect(page.locator(".lc-title")).to_have_text("系统日志")


def test_the_page_says_whether_the_log_is_whole(open_page: OpenPage, office: Running) -> None:
    page = open_page("/log")
    expect(page.locator(".lc-notice")).to_contain_text("没有")
    with beside(office) as (store, _actor), store.housekeeping() as connection:
        trigger = connection.value("SELECT sql FROM sqlite_master WHERE name = 'event_log_update'")
        connection.script(["DROP TRIGGER event_log_update", "UPDATE event_log SET detail = 'root' WHERE kind = 'sign_in_failed'", trigger])
    page.reload()
    expect(page.locator(".lc-notice")).to_contain_text("被改动")


def test_only_who_manages_settings_may_read_it(open_page: OpenPage, office: Running) -> None:
    page = open_page("/customers", login="lin")
    expect(page.locator(".lc-nav")).not_to_contain_text("系统日志")
    page.goto(f"{office.address}/log")
    expect(page.locator(".lc-page")).to_contain_text("没有打开此页的权限")


def test_the_page_fits_a_phone(open_page: OpenPage) -> None:
    page = open_page("/log", size=(390, 844))
    expect(rows(page).nth(5)).to_be_visible()
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("(card => card.scrollWidth - card.clientWidth)(document.querySelector('.lc-scroll'))") <= 0
