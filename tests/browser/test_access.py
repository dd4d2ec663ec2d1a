"""Coming in again: a forgotten password at a branch and at an office, a screen that locks, colleagues on the network."""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from localcrm.app import create_folder
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.verbs import run
from localcrm.ui.lan import own_names
from tests.browser.conftest import PASSWORD, Company, OpenPage, Running, beside, new_page, running
from tests.factories import enrol

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
    enrol((branch.store, branch.keys), (store, keys), admin)
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


# a screen that locks ---------------------------------------------------------------------------------------------------


def nobody_used_it(program: Running) -> None:
    """Half an hour passes."""
    with beside(program) as (store, _actor), store.housekeeping() as connection:
        connection.execute("UPDATE session SET used = used - 31 * 60000")


def status_of(page: Page, path: str) -> int:
    return int(page.evaluate("async (path) => (await fetch(path, { headers: { 'X-Localcrm': '1' } })).status", path))


@pytest.mark.usefixtures("nobody_else_is_asked")
def test_an_unused_screen_locks_and_keeps_what_was_typed(office: Running, open_page: OpenPage) -> None:
    page = open_page("/customers", own_session=True)
    expect(page.locator(".ag-row").first).to_be_visible()
    other = page.context.new_page()
    other.goto(f"{office.address}/people")
    expect(other.locator(".ag-row").first).to_be_visible()
    page.bring_to_front()
    page.keyboard.press("n")
    name = page.locator(".q-dialog .lc-field[data-field='name'] input").first
    name.fill("还没保存的公司")

    nobody_used_it(office)
    for tab in (page, other):
        expect(tab.locator(".lc-lock")).to_be_visible()
        content = tab.content()
        assert [word for word in ("绍兴恒远", "还没保存", "林晓", "0575") if word in content] == []
        assert tab.title() == "已锁定"
    assert (status_of(page, "/api/search?q=sx"), status_of(page, "/customers")) == (423, 423)
    page.keyboard.press("Control+k")
    expect(page.locator(".lc-palette")).to_have_count(0)

    page.fill("#lc-unlock", "a wrong guess")
    page.keyboard.press("Enter")
    expect(page.locator(".lc-lock .lc-problem")).to_contain_text("密码错误")
    page.fill("#lc-unlock", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator(".lc-lock")).to_have_count(0)
    expect(other.locator(".lc-lock")).to_have_count(0)
    expect(name).to_have_value("还没保存的公司")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".ag-row", has_text="还没保存的公司").first).to_be_visible()  # the page works as before
    expect(other.locator(".ag-row", has_text="林晓").first).to_be_visible()


@pytest.mark.usefixtures("nobody_else_is_asked")
def test_a_locked_page_that_is_loaded_anew_asks_first(office: Running, open_page: OpenPage) -> None:
    page = open_page("/people", own_session=True)
    page.locator(".lc-avatar").click()
    page.get_by_text("立即锁屏").click()
    expect(page.locator(".lc-lock")).to_be_visible()
    page.reload()
    page.wait_for_url("**/locked?next=**")
    assert "林晓" not in page.content()
    page.fill("#password", "a wrong guess")
    page.click("button.lc-primary")
    expect(page.locator(".lc-problem")).to_be_visible()
    page.fill("#password", PASSWORD)
    page.click("button.lc-primary")
    page.wait_for_url("**/people")
    page.locator(".lc-avatar").click()
    page.get_by_text("立即锁屏").click()
    page.get_by_role("button", name="换人登录").click()
    page.wait_for_url("**/login")


@pytest.mark.usefixtures("nobody_else_is_asked")
def test_what_others_changed_meanwhile_is_shown_after_unlocking(office: Running, open_page: OpenPage) -> None:
    page = open_page("/customers", own_session=True)
    expect(page.locator(".ag-row").first).to_be_visible()
    nobody_used_it(office)
    expect(page.locator(".lc-lock")).to_be_visible()
    with beside(office) as (store, actor):
        run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "夜里新来的客户"}})
    page.wait_for_timeout(2500)
    page.fill("#lc-unlock", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator(".ag-row", has_text="夜里新来的客户").first).to_be_visible()


@pytest.mark.usefixtures("nobody_else_is_asked")
def test_how_soon_a_screen_locks_is_an_option(office: Running, open_page: OpenPage) -> None:
    page = open_page("/customers", own_session=True)
    page.locator(".lc-avatar").click()
    page.get_by_text("无人操作时锁屏…").click()
    page.wait_for_url("**at=idle_minutes")
    page.locator("[data-option=idle_minutes] .q-select").click()
    page.locator(".q-menu .q-item", has_text="15 分钟后").click()
    expect(page.locator(".lc-toast").last).to_contain_text("无操作自动锁屏")


# colleagues on the network ------------------------------------------------------------------------------------------------


def certificate_of(host: str, port: int) -> str:
    """Fingerprint of what a client is really shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=5) as plain, context.wrap_socket(plain) as tls:
        return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").digest().hex(":").upper()


@pytest.mark.skipif(not own_names()[0][0].isdigit(), reason="this machine is on no network")
def test_an_administrator_lets_colleagues_on_the_network_in(
    browser: Browser, tmp_path: Path, server_environment: dict[str, str], contexts: list[BrowserContext]
) -> None:
    Company(tmp_path / "hq").store.close()
    with running(tmp_path / "hq", server_environment) as program:
        boss = new_page(browser, program, contexts)
        sign_in(boss, program, "admin", PASSWORD)
        boss.goto(f"{program.address}/access")
        expect(boss.locator(".lc-fingerprint")).to_have_count(0)
        boss.get_by_role("switch", name="允许局域网内的同事访问").click()
        expect(boss.locator("img.lc-qr")).to_be_visible()
        address = boss.locator(".lc-address").inner_text()
        assert address.startswith("https://")
        host, _colon, port = address.removeprefix("https://").rstrip("/").partition(":")
        assert certificate_of(host, int(port)) == boss.locator(".lc-fingerprint").inner_text().replace("\n", "")

        context = browser.new_context(ignore_https_errors=True, locale="zh-CN")
        contexts.append(context)
        colleague = context.new_page()
        colleague.goto(f"{address}setup")
        assert "loopback_only" in colleague.content()
        colleague.goto(f"{address}customers")
        colleague.fill("#login", "lin")
        colleague.fill("#password", PASSWORD)
        colleague.click("button[type=submit]")
        expect(colleague.locator(".ag-row", has_text="柯桥金龙布业").first).to_be_visible()
        assert next(cookie for cookie in context.cookies() if cookie["name"] != "localcrm_language")["secure"]
        colleague.keyboard.press("n")  # over the socket
        colleague.locator(".q-dialog .lc-field[data-field='name'] input").first.fill("隔壁桌录入的客户")
        colleague.keyboard.press("Control+Enter")
        expect(colleague.locator(".ag-row", has_text="隔壁桌录入的客户").first).to_be_visible()
        colleague.goto(f"{address}access")
        expect(colleague.locator(".lc-empty")).to_be_visible()  # not for everybody

        boss.get_by_role("switch", name="允许局域网内的同事访问").click()
        expect(boss.locator(".lc-fingerprint")).to_have_count(0)
        with pytest.raises(ConnectionRefusedError):
            certificate_of(host, int(port))
        boss.get_by_role("switch", name="允许局域网内的同事访问").click()
        expect(boss.locator(".lc-address")).to_have_text(address)
        assert (program.foreign, program.faults) == ([], [])
    with running(tmp_path / "hq", server_environment):  # it stays on, under the same address
        for _ in range(50):
            try:
                certificate_of(host, int(port))
                break
            except ConnectionRefusedError:
                time.sleep(0.2)
        else:
            pytest.fail("the network is not served after a new start")
