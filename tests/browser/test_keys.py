"""New keys by a click; stolen ones revoked, new ones compared and let in, in two programs that run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Running, act, carry, create_pair, new_page, picture, running, sign_in


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[tuple[Running, Running]]:
    folder = tmp_path_factory.mktemp("nodes")
    office, branch = create_pair(folder)
    for node in (office, branch):
        node.close()
    with running(folder / "hq", server_environment) as hq, running(folder / "br01", server_environment) as br01:
        yield hq, br01


def digits(page: Page) -> str:
    return " ".join(page.locator("[data-act=own-fingerprint]").inner_text().split())


def test_new_keys_and_stolen_ones(browser: Browser, nodes: tuple[Running, Running], tmp_path: Path) -> None:
    contexts: list[BrowserContext] = []

    def enter_as_admin(program: Running, size: tuple[int, int] = (1440, 900)) -> Page:
        return sign_in(new_page(browser, program, contexts, size=size), program, "/sync")

    hq, br01 = nodes
    office, branch = enter_as_admin(hq), enter_as_admin(br01)
    act(branch, "address")
    branch.locator("input[data-act=url], [data-act=url] input").fill(hq.address)
    act(branch, "dialog-yes")
    for page in (office, branch):
        before = digits(page)
        act(page, "new-keys")
        picture(page, f"new-keys-{page.url[-9:-5]}")
        page.locator(".q-dialog button").last.click()
        expect(page.locator("[data-act=own-fingerprint]")).not_to_have_text(before)
    expect(office.get_by_text("还不知道总部换了密钥")).to_be_visible()
    expect(branch.get_by_text("总部还没有确认")).to_be_visible()
    act(branch, "exchange")
    expect(branch.get_by_text("总部还没有确认")).to_be_hidden()
    expect(branch.locator(".lc-head .lc-chip").first).to_have_attribute("data-tone", "good")
    office.reload()
    expect(office.get_by_text("还不知道总部换了密钥")).to_be_hidden()

    stolen = office.get_by_text("密钥被盗或丢失…")
    for _try in range(5):  # the table may be drawn anew while its menu opens
        if not stolen.is_visible():
            act(office, "more-BR01")
            office.wait_for_timeout(700)
    stolen.click()
    office.locator(".q-dialog button").last.click()
    expect(office.get_by_text("密钥已作废，须换新密钥")).to_be_visible()
    carry(branch, "make-file", office, "read-file", tmp_path)
    expect(office.get_by_text("总部已作废分支 BR01 的密钥").first).to_be_visible()
    act(branch, "new-keys")
    branch.locator(".q-dialog button").last.click()
    expect(branch.get_by_text("总部还没有确认")).to_be_visible()
    carry(branch, "make-file", office, "read-file", tmp_path)
    expect(office.get_by_text("新密钥等待核对")).to_be_visible()
    phone = enter_as_admin(hq, (390, 844))
    expect(phone.get_by_text("新密钥等待核对")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    picture(phone, "keys-phone")
    office.reload()
    picture(office, "keys-office")
    act(office, "compare-keys-BR01")
    shown = office.locator(".q-dialog .lc-digits").inner_text()
    assert shown.split() == digits(branch).split()
    act(office, "dialog-yes")
    expect(office.get_by_text("新密钥等待核对")).to_be_hidden()
    act(branch, "exchange")
    expect(branch.get_by_text("总部还没有确认")).to_be_hidden()
    picture(branch, "keys-branch")
    for context in contexts:
        context.close()
    assert (hq.foreign + br01.foreign, hq.faults + br01.faults) == ([], [])
