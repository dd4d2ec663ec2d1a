"""A branch joins by words over the network: typed at one screen, compared at both, let in with one click, no file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from localcrm.app import create_folder
from tests.browser.conftest import PASSWORD, Running, act, new_page, picture, running, sign_in


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[tuple[Running, Running]]:
    folder = tmp_path_factory.mktemp("nodes")
    create_folder(folder / "hq", role="office", code="HQ", name="柯桥纺织", user_name="王芳", password=PASSWORD).application.close()
    create_folder(folder / "br01", role="branch", code="BR01", name="杭州分公司").application.close()
    with running(folder / "hq", server_environment) as hq, running(folder / "br01", server_environment) as br01:
        yield hq, br01


@pytest.mark.parametrize("size", [(390, 844)])
def test_words_are_enough(browser: Browser, nodes: tuple[Running, Running], size: tuple[int, int]) -> None:
    contexts: list[BrowserContext] = []
    hq, br01 = nodes
    office, branch = new_page(browser, hq, contexts), new_page(browser, br01, contexts, size=size)
    sign_in(office, hq, "/sync")
    act(office, "invite")
    office.locator("input[data-act=branch-code], [data-act=branch-code] input").fill("BR01")
    office.locator("input[data-act=branch-url], [data-act=branch-url] input").fill(hq.address)
    picture(office, "invite-ask")
    act(office, "dialog-yes")
    words = office.locator("[data-act=invite-words]").inner_text()
    assert len(words.split()) == 11
    office.wait_for_timeout(300)
    picture(office, "invite-shown")
    office.set_viewport_size({"width": 390, "height": 844})
    picture(office, "invite-shown-phone")
    assert office.evaluate("document.documentElement.scrollWidth") == 390
    office.set_viewport_size({"width": 1440, "height": 900})
    act(office, "invite-done")

    branch.goto(br01.printed)
    branch.fill("#text", words.rsplit(" ", 1)[0])
    branch.fill("#url", hq.address)
    branch.click("button[type=submit]")
    expect(branch.locator(".lc-problem")).to_contain_text("11")
    picture(branch, "join-words-wrong")
    branch.fill("#text", words)
    branch.click("button[type=submit]")
    expect(branch.locator(".lc-good-news")).to_contain_text("等待批准")
    picture(branch, "join-waiting")
    assert branch.evaluate("document.documentElement.scrollWidth") == size[0]
    said, digits = branch.locator("#words").inner_text(), branch.locator("#fingerprint").inner_text()

    office.reload()
    expect(office.get_by_text("申请加入", exact=True)).to_be_visible()
    picture(office, "join-asks")
    act(office, "let-in-BR01")
    assert office.locator(".q-dialog .lc-spoken").inner_text().split() == said.split()
    assert office.locator(".q-dialog .lc-digits").inner_text().split() == digits.split()
    office.wait_for_timeout(300)
    picture(office, "join-compare")
    act(office, "dialog-yes")
    expect(branch.locator(".lc-good-news")).to_contain_text("柯桥纺织")  # the page goes on by itself
    branch.click("a.lc-primary")
    branch.fill("#login", "admin")
    branch.fill("#password", PASSWORD)
    branch.click("button[type=submit]")
    expect(branch.locator("body")).to_contain_text("王芳")
    for context in contexts:
        context.close()
    assert (hq.foreign + br01.foreign, hq.faults + br01.faults) == ([], [])
