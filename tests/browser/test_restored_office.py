"""Head office comes from a backup: it says so, takes back what branches have, and a branch gives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from localcrm.domain import verbs
from localcrm.domain.people.services import authenticate
from localcrm.store.backup import backup, restore
from localcrm.sync import node_sync
from tests.browser.conftest import PASSWORD, Running, act, create_pair, new_page, running, sign_in


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[tuple[Running, Running]]:
    folder = tmp_path_factory.mktemp("nodes")
    office, branch = create_pair(folder)
    backup(office.store, folder / "backup.zip")
    admin = authenticate(office.store, "admin", PASSWORD)
    verbs.run(office.store, admin, "records.create_record", {"entity": "customer", "values": {"name": "备份之后的客户"}})
    path = folder / "down"
    node_sync.pack(office.store, office.keys, path, for_code="BR01")
    node_sync.unpack(branch.store, branch.keys, path)
    for node in (office, branch):
        node.close()
    restore(folder / "backup.zip", folder / "again")
    with running(folder / "again", server_environment) as hq, running(folder / "br01", server_environment) as br01:
        yield hq, br01


def test_what_the_backup_lacks_is_taken_back(browser: Browser, nodes: tuple[Running, Running], tmp_path: Path) -> None:
    contexts: list[BrowserContext] = []

    def enter_as_admin(program: Running, size: tuple[int, int] = (1440, 900)) -> Page:
        return sign_in(new_page(browser, program, contexts, size=size), program, "/sync")

    hq, br01 = nodes
    office, branch = enter_as_admin(hq), enter_as_admin(br01)
    expect(office.get_by_text("总部是从备份恢复的")).to_be_visible()
    phone = enter_as_admin(hq, (390, 844))
    expect(phone.get_by_text("总部是从备份恢复的")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") == 390

    act(office, "take-back")
    office.locator(".q-dialog button").last.click()
    expect(office.get_by_text("总部是从备份恢复的")).to_be_hidden()
    act(branch, "address")
    branch.locator("input[data-act=url], [data-act=url] input").fill(hq.address)
    act(branch, "dialog-yes")
    act(branch, "exchange")
    expect(branch.locator(".lc-head .lc-chip").first).to_have_attribute("data-tone", "good")  # all data are equal
    office.goto(f"{hq.address}/customers")
    expect(office.locator(".ag-row", has_text="备份之后的客户")).to_be_visible()
    for context in contexts:
        context.close()
    assert (hq.foreign + br01.foreign, hq.faults + br01.faults) == ([], [])
