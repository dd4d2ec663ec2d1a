"""A new folder: the one-time address, the administrator's password, and the way in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from localcrm.app import create_folder
from localcrm.domain.policy import SYSTEM
from localcrm.sync import enrol, node_sync
from tests.browser.conftest import PASSWORD, create_pair, new_page, running


def test_setting_up_a_company_signs_its_administrator_in(browser: Browser, tmp_path: Path, server_environment: dict[str, str]) -> None:
    contexts: list[BrowserContext] = []
    with running(tmp_path / "new", server_environment) as program:
        page = new_page(browser, program, contexts)
        page.goto(f"{program.address}/customers")  # without the token nothing can be set up
        expect(page.locator("form")).to_have_count(0)

        page.goto(program.printed)
        page.fill("#name", "柯桥纺织")
        page.fill("#password", "aaaaaaaa")
        expect(page.locator(".lc-strength")).to_have_attribute("data-level", "0")
        page.fill("#again", "aaaaaaaa")
        page.click("button[type=submit]")
        expect(page.locator(".lc-error")).to_have_count(1)  # too weak, and what was typed is still there
        expect(page.locator("#name")).to_have_value("柯桥纺织")

        page.fill("#password", PASSWORD)
        page.fill("#again", PASSWORD + "x")
        page.click("button[type=submit]")
        expect(page.locator(".lc-error")).to_have_count(1)

        page.fill("#password", PASSWORD)
        page.fill("#again", PASSWORD)
        page.click("button[type=submit]")
        assert len(page.locator("#code").inner_text().split()) == 8  # the recovery code, shown this once
        expect(page.locator("button[data-print]")).to_be_visible()
        page.click("a.lc-primary")
        expect(page.locator(".lc-brand")).to_contain_text("柯桥纺织")

        cookie = next(c for c in contexts[0].cookies() if c["name"] != "localcrm_language")
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.goto(program.printed)  # the token opens nothing a second time
        page.wait_for_url("**/today")
        assert (program.foreign, program.faults) == ([], [])
        for context in contexts:
            context.close()


def test_a_protected_folder_asks_for_its_passphrase_or_the_recovery_code(
    browser: Browser, tmp_path: Path, server_environment: dict[str, str]
) -> None:
    made = create_folder(tmp_path / "hq", role="office", code="HQ", name="柯桥纺织", password=PASSWORD, passphrase="Correct-Horse-8")
    made.application.close()
    contexts: list[BrowserContext] = []
    with running(tmp_path / "hq", server_environment) as program:
        page = new_page(browser, program, contexts)
        page.goto(f"{program.address}/customers")  # without the token nobody may even guess
        expect(page.locator("form")).to_have_count(0)
        page.goto(program.printed.replace("/unlock", "/setup"))  # nor set the folder up anew with it
        expect(page.locator("form")).to_have_count(0)
        page.goto(program.printed)
        page.click(".lc-plain-foot a")  # the same question in the other language
        expect(page.locator("h1")).to_have_text("Unlock")
        expect(page.locator("#recovery_code")).to_have_count(0)
        page.fill("#passphrase", "a wrong guess")
        page.click("button[type=submit]")
        expect(page.locator(".lc-problem")).to_have_count(1)
        page.click(".lc-plain-other a")
        page.fill("#recovery_code", (made.recovery_code or "").lower())
        page.fill("#passphrase", "Correct-Horse-9")
        page.fill("#again", "Correct-Horse-9")
        page.click("button[type=submit]")
        page.wait_for_url("**/login**")
    with running(tmp_path / "hq", server_environment) as program:
        page = new_page(browser, program, contexts)
        page.goto(program.printed)
        page.fill("#passphrase", "Correct-Horse-9")
        page.click("button[type=submit]")
        page.wait_for_url("**/login**")
        page.fill("#login", "admin")
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")
        expect(page.locator(".lc-brand")).to_contain_text("柯桥纺织")
        assert (program.foreign, program.faults) == ([], [])
        for context in contexts:
            context.close()


def test_a_second_start_names_the_first_and_ends(tmp_path: Path, server_environment: dict[str, str]) -> None:
    with running(tmp_path / "new", server_environment) as program:
        state = json.loads((program.folder / "server.json").read_text())
        assert (program.folder / "server.json").stat().st_mode & 0o777 == 0o600
        assert state["address"] == program.printed
        second = subprocess.run(
            [sys.executable, "-m", "localcrm", "--no-browser"],
            cwd=Path(__file__).parents[2],
            env=server_environment | {"LOCALCRM_DATA": str(program.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (second.returncode, program.printed in second.stdout) == (0, True)
    assert not (program.folder / "server.json").exists()


def test_a_branch_that_nobody_let_in_says_how_to_join(browser: Browser, tmp_path: Path, server_environment: dict[str, str]) -> None:
    create_folder(tmp_path / "br01", role="branch", code="BR01", name="杭州分公司").application.close()
    contexts: list[BrowserContext] = []
    with running(tmp_path / "br01", server_environment) as program:
        page = new_page(browser, program, contexts)
        page.goto(program.address)
        expect(page.locator("code").first).to_have_text("localcrm sync invite BR01 -o invite.lcx")
        expect(page.locator("form")).to_have_count(0)
        for context in contexts:
            context.close()


def test_a_branch_is_set_up_and_joins_by_what_both_sides_see(browser: Browser, tmp_path: Path, server_environment: dict[str, str]) -> None:
    office = create_folder(tmp_path / "hq", role="office", code="HQ", name="柯桥纺织", user_name="王芳", password=PASSWORD).application
    (tmp_path / "invite").write_bytes(node_sync.invite(office.store, office.keys, SYSTEM, code="BR01"))
    contexts: list[BrowserContext] = []
    with running(tmp_path / "br01", server_environment) as program:
        page = new_page(browser, program, contexts)
        page.goto(program.printed)
        page.click("#branch")
        page.fill("#name", "杭州分公司")
        page.fill("#code", "br01")
        page.click("button[type=submit]")

        page.wait_for_url("**/join?token=*")
        joining = page.url
        expect(page.locator("main")).to_contain_text("BR01 杭州分公司")
        page.set_input_files("#file", {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff" * 100})
        page.click("button[type=submit]")
        expect(page.locator(".lc-problem")).to_be_visible()  # and nothing was done
        page.set_input_files("#file", tmp_path / "invite")
        page.fill("#url", "ftp://hq.example.com")
        page.click("button[type=submit]")
        expect(page.locator(".lc-error")).to_have_count(1)
        page.set_input_files("#file", tmp_path / "invite")
        page.fill("#url", "")
        page.click("button[type=submit]")

        with page.expect_download() as download:
            page.click("#request")
        download.value.save_as(tmp_path / "request")
        request = (tmp_path / "request").read_bytes()
        asked = enrol.look_at_request(office.store, request)
        assert (asked.code, asked.name) == ("BR01", "杭州分公司")
        expect(page.locator("#fingerprint")).to_have_text(asked.keys.fingerprint)  # what head office sees

        (tmp_path / "reply").write_bytes(node_sync.approve(office.store, office.keys, SYSTEM, request))
        office.close()
        page.goto(f"{program.address}/join")  # without the token nobody gets here
        expect(page.locator("input[type=file]")).to_have_count(0)
        page.goto(joining)
        page.set_input_files("#file", tmp_path / "reply")
        page.click("button[type=submit]")
        expect(page.locator(".lc-good-news")).to_contain_text("柯桥纺织")
        page.click("a.lc-primary")
        page.fill("#login", "admin")
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")
        expect(page.locator(".lc-node")).to_have_text("BR01 杭州分公司")
        page.goto(joining)  # the token opens nothing any more
        expect(page.locator("input[type=file]")).to_have_count(0)
        page.goto(f"{program.address}/sync")
        expect(page.locator("[data-act=own-fingerprint]")).to_have_text(asked.keys.fingerprint)
        assert (program.foreign, program.faults) == ([], [])


def test_a_branch_that_is_not_let_in_yet_goes_on_after_a_restart(
    browser: Browser, tmp_path: Path, server_environment: dict[str, str]
) -> None:
    office = create_folder(tmp_path / "hq", role="office", code="HQ", name="柯桥纺织", password=PASSWORD).application
    branch = create_folder(tmp_path / "br01", role="branch", code="BR01", name="杭州分公司").application
    node_sync.join(branch.store, branch.keys, node_sync.invite(office.store, office.keys, SYSTEM, code="BR01"))
    digits = branch.keys.public.fingerprint
    office.close()
    branch.close()
    contexts: list[BrowserContext] = []
    with running(tmp_path / "br01", server_environment) as program:
        page = new_page(browser, program, contexts, size=(390, 844))
        page.goto(program.printed)
        expect(page.locator("#fingerprint")).to_have_text(digits)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto(f"{program.address}/customers")
        expect(page.locator("form")).to_have_count(0)


def test_a_branch_moves_to_a_new_computer(browser: Browser, tmp_path: Path, server_environment: dict[str, str]) -> None:
    office, branch = create_pair(tmp_path)
    office.close()
    branch.close()
    contexts: list[BrowserContext] = []
    with running(tmp_path / "br01", server_environment) as program:
        page = new_page(browser, program, contexts)
        sign_in(page, program.address)
        page.goto(f"{program.address}/settings/backups")
        page.click("[data-act=move]")
        page.fill("[data-act=passphrase]", "aaaaaaaa")
        page.click("[data-act=write-move]")
        expect(page.locator(".q-dialog .q-field--error")).to_have_count(1)
        page.fill("[data-act=passphrase]", "Karton-im-Haus-7")
        page.fill("[data-act=again]", "Karton-im-Haus-8")
        page.click("[data-act=write-move]")
        expect(page.locator(".q-dialog .q-field--error")).to_have_count(1)
        page.fill("[data-act=again]", "Karton-im-Haus-7")
        with page.expect_download() as download:
            page.click("[data-act=write-move]")
        download.value.save_as(tmp_path / "moved")
        expect(page.locator(".lc-warn[role=status]")).to_contain_text(download.value.suggested_filename)
        expect(page.locator("[data-act=move]")).to_have_count(0)
        page.reload()
        expect(page.locator("[data-act=move]")).to_have_count(0)
        page.goto(f"{program.address}/customers")
        expect(page.locator("[role=alert]")).to_contain_text("已搬到另一台电脑")
        assert (program.foreign, program.faults) == ([], [])
    command = [sys.executable, "-m", "localcrm", "--no-browser"]
    told = server_environment | {"LOCALCRM_DATA": str(tmp_path / "br01")}
    again = subprocess.run(command, cwd=Path(__file__).parents[2], env=told, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "已搬到另一台电脑" in again.stderr

    with running(tmp_path / "new", server_environment) as program:
        page = new_page(browser, program, contexts)
        page.goto(program.printed)
        page.click("#moved")
        page.set_input_files("#file", tmp_path / "moved")
        page.fill("#passphrase", "a wrong guess")
        page.click("button[type=submit]")
        expect(page.locator(".lc-problem")).to_contain_text("口令")
        page.set_input_files("#file", {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff" * 100})
        page.fill("#passphrase", "Karton-im-Haus-7")
        page.click("button[type=submit]")
        expect(page.locator(".lc-problem")).to_contain_text("不是分支的搬迁文件")
        page.set_input_files("#file", tmp_path / "moved")
        page.fill("#passphrase", "Karton-im-Haus-7")
        page.click("button[type=submit]")
        expect(page.locator(".lc-good-news")).to_contain_text("BR01")
        sign_in(page, program.address)
        page.goto(f"{program.address}/settings/backups")
        expect(page.locator("[data-act=move]")).to_be_visible()
        page.goto(program.printed)  # the token opens nothing a second time
        expect(page.locator("form")).to_have_count(0)
        assert (program.foreign, program.faults) == ([], [])
        for context in contexts:
            context.close()


def sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/login")
    page.fill("#login", "admin")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    expect(page.locator(".lc-brand")).to_be_visible()
