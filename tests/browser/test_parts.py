"""A large exchange file is split for e-mail, its parts are saved, and read at the other side one by one and together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from localcrm.domain import verbs
from localcrm.domain.people.services import authenticate
from localcrm.store import blobs
from localcrm.sync import node_sync
from tests.browser.conftest import PASSWORD, Running, act, create_pair, new_page, picture, running, sign_in


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[tuple[Running, Running]]:
    """A branch with a customer that has a large file."""
    folder = tmp_path_factory.mktemp("nodes")
    office, branch = create_pair(folder)
    admin = authenticate(office.store, "admin", PASSWORD)
    verbs.run(office.store, admin, "admin.add_field", {"entity": "customer", "label": "合同", "type": "attachment"})
    node_sync.pack(office.store, office.keys, folder / "down", for_code="BR01")
    node_sync.unpack(branch.store, branch.keys, folder / "down")
    with branch.store.read() as connection:
        key = f"x{connection.value('SELECT number FROM custom_field')}"
    line = blobs.add(branch.store, "合同.bin", os.urandom(11_000_000)).line
    verbs.run(branch.store, admin, "records.create_record", {"entity": "customer", "values": {"name": "绍兴恒远", key: line}})
    for node in (office, branch):
        node.close()
    with running(folder / "hq", server_environment) as hq, running(folder / "br01", server_environment) as br01:
        yield hq, br01


def test_a_large_file_goes_in_parts(browser: Browser, nodes: tuple[Running, Running], tmp_path: Path) -> None:
    contexts: list[BrowserContext] = []
    hq, br01 = nodes

    def enter_as_admin(program: Running, size: tuple[int, int] = (1440, 900)) -> Page:
        return sign_in(new_page(browser, program, contexts, size=size), program, "/sync")

    office, branch = enter_as_admin(hq), enter_as_admin(br01, (390, 844))
    act(branch, "make-file")
    expect(branch.get_by_text(re.compile(r"\b1\d\.\d MB")).first).to_be_visible()
    picture(branch, "split-ask")
    act(branch, "split-file")
    saved = []
    for number in (1, 2, 3):
        with branch.expect_download() as download:
            act(branch, f"part-{number}")
        saved.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(saved[-1])
        assert saved[-1].stat().st_size <= 5_000_000
    picture(branch, "split-parts")
    again: list[str] = []
    branch.on("download", lambda download: again.append(download.suggested_filename))
    act(branch, "all-parts")
    for _wait in range(100):
        if len(again) < len(saved):
            branch.wait_for_timeout(100)
    expect(branch.locator("[data-act=part-3] .q-icon")).to_have_text("check")
    assert again == [path.name for path in saved]
    assert branch.evaluate("document.documentElement.scrollWidth") == 390
    act(branch, "parts-done")

    choose = office.locator("[data-act=read-file] input[type=file]")
    choose.set_input_files(saved[2])
    waits = office.locator(".lc-notice.lc-warn")
    expect(waits).to_contain_text("已收 1/3 份，还缺第 1, 2 份")  # no failure
    picture(office, "split-missing")
    choose.set_input_files([saved[1], saved[0]])
    expect(office.get_by_text("已合并").first).to_be_visible()
    expect(office.locator(".lc-notice")).to_have_count(0)
    office.goto(f"{hq.address}/customers")
    expect(office.locator(".ag-row", has_text="绍兴恒远")).to_be_visible()
    for context in contexts:
        context.close()
    assert (hq.foreign + br01.foreign, hq.faults + br01.faults) == ([], [])
