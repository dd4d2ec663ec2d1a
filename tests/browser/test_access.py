"""Coming in again: a forgotten password at a branch and at an office, a screen that locks, colleagues on the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from localcrm.app import create_folder
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.verbs import run
from localcrm.sync import node_sync
from tests.browser.conftest import PASSWORD, Running, new_page, running

NEW = "Brand-New-Word-9"


@dataclass
class Pair:
    """Head office and a branch, each a running program."""

    hq: Running
    branch: Running
    recovery_code: str


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    office = create_folder(folder / "hq", role="office", code="HQ", name="柯桥纺织", user_name="王芳", password=PASSWORD)
    branch = create_folder(folder / "br01", role="branch", code="BR01", name="杭州分公司").application
    store, keys = office.application.store, office.application.keys
    with store.read() as connection:
        admin = actor_by_id(store, connection.value("SELECT id FROM user").hex())
    assert admin is not None
    run(
        store,
        admin,
        "records.create_record",
        {"entity": "user", "values": {"login": "lin", "name": "林晓", "password": PASSWORD, "role": "staff"}},
    )
    request = node_sync.join(branch.store, branch.keys, node_sync.invite(store, keys, admin, code="BR01"))
    node_sync.join(branch.store, branch.keys, node_sync.approve(store, keys, admin, request or b""))
    office.application.close()
    branch.close()
    with running(folder / "hq", server_environment) as hq, running(folder / "br01", server_environment) as other:
        yield Pair(hq, other, office.admin_recovery_code or "")
        assert (hq.foreign, hq.faults, other.foreign, other.faults) == ([], [], [], [])


@pytest.fixture
def contexts() -> Iterator[list[BrowserContext]]:
    opened: list[BrowserContext] = []
    yield opened
    for context in opened:
        context.close()


def sign_in(page: Page, program: Running, login: str, password: str) -> None:
    page.goto(f"{program.address}/login")
    page.fill("#login", login)
    page.fill("#password", password)
    page.click("button[type=submit]")


def choose_password(page: Page, password: str) -> None:
    page.fill("#password", password)
    page.fill("#again", password)
    page.click("button[type=submit]")


def test_head_office_answers_for_a_branch(browser: Browser, pair: Pair, contexts: list[BrowserContext]) -> None:
    clerk = new_page(browser, pair.branch, contexts)
    clerk.goto(f"{pair.branch.address}/login")
    clerk.get_by_role("link", name="忘记密码？").click()
    clerk.fill("#login", "lin")
    clerk.click("button[type=submit]")
    question = clerk.locator("#question").inner_text()
    assert [len(group) for group in question.split()] == [5] * 5
    expect(clerk.locator("img.lc-qr")).to_be_visible()

    boss = new_page(browser, pair.hq, contexts)
    sign_in(boss, pair.hq, "admin", PASSWORD)
    boss.locator(".lc-avatar").click()
    boss.get_by_text("答复密码重置…").click()
    boss.get_by_label("分支机构报来的申请码").fill("ABCDE")
    boss.get_by_role("button", name="查看申请人").click()
    expect(boss.locator(".q-field__messages")).to_contain_text("申请码有误")
    boss.get_by_label("分支机构报来的申请码").fill(question.lower())
    boss.keyboard.press("Enter")
    expect(boss.locator(".lc-reset").nth(1)).to_contain_text("杭州分公司 BR01的 林晓（lin）申请重设密码")
    boss.get_by_role("button", name="签发答复码").click()
    answer = boss.locator(".lc-answer-code").inner_text()
    with boss.expect_download() as download:
        boss.get_by_role("button", name="存为文件").click()
    assert Path(download.value.path()).read_text() == answer

    clerk.fill("#answer", answer.replace(answer[-1], "*"))
    choose_password(clerk, NEW)
    expect(clerk.locator(".lc-problem")).to_contain_text("答复码有误")
    expect(clerk.locator("#question")).to_have_text(question)  # nothing has to be begun anew
    clerk.locator("input[type=file]").set_input_files(download.value.path())
    expect(clerk.locator("#answer")).to_have_value(answer)
    choose_password(clerk, NEW)
    expect(clerk.locator(".lc-good-news")).to_be_visible()
    sign_in(clerk, pair.branch, "lin", NEW)
    expect(clerk.locator(".lc-notice")).to_contain_text("王芳")
    clerk.reload()
    expect(clerk.locator(".lc-notice")).to_contain_text("王芳")  # until it is closed
    clerk.locator(".lc-notice button").click()
    expect(clerk.locator(".lc-notice")).to_have_count(0)
    clerk.reload()
    expect(clerk.locator(".lc-brand")).to_be_visible()
    expect(clerk.locator(".lc-notice")).to_have_count(0)


def test_the_administrator_of_an_office_uses_the_recovery_code(browser: Browser, pair: Pair, contexts: list[BrowserContext]) -> None:
    page = new_page(browser, pair.hq, contexts)
    page.goto(f"{pair.hq.address}/forgot?lang=en")
    expect(page.locator("h1")).to_have_text("Forgot password")
    page.goto(f"{pair.hq.address}/forgot?lang=zh_CN")
    page.fill("#login", "admin")
    page.fill("#code", pair.recovery_code[:-1] + "?")
    choose_password(page, NEW)
    expect(page.locator(".lc-error")).to_contain_text("恢复码")
    page.fill("#code", pair.recovery_code.lower())
    choose_password(page, NEW)
    following = page.locator("#code").inner_text()
    assert len(following.split()) == 8
    assert following != pair.recovery_code
    page.get_by_role("link", name="已打印，继续").click()
    page.fill("#login", "admin")
    page.fill("#password", NEW)
    page.click("button[type=submit]")
    expect(page.locator(".lc-notice")).to_contain_text("用恢复码重置")

    page.locator(".lc-avatar").click()
    page.get_by_text("新的恢复码…").click()
    page.fill("#password", NEW)
    page.click("button[type=submit]")
    newest = page.locator("#code").inner_text()
    assert newest not in {following, pair.recovery_code}
