"""Two branches and head office with their screens open; the line is cut and healed while people type, and nobody loses a word."""

from __future__ import annotations

import json
import re
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from localcrm.app import create_folder
from localcrm.domain import verbs
from localcrm.domain.people.services import authenticate
from localcrm.domain.policy import SYSTEM
from localcrm.sync import node_sync
from tests.browser.conftest import PASSWORD, Running, act, create_pair, enter, new_page, running, sign_in
from tests.browser.test_workbench import field, row
from tests.factories import enrol

SHARED = "绍兴恒远纺织品有限公司"
#: What a person reads while the line is cut, and the program prints for whoever runs it.
NO_LINE = "连接不上总部，或连接中断"


class Line:
    """What lies between branches and head office: forwards bytes until it is cut, or breaks after so many of head office's."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        own = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.address = f"http://{own}"
        self._asked, self._meant = own.encode(), parts.netloc.encode()  # head office serves only the name it knows itself by
        self.carries: int | None = None
        """Bytes of head office's answers until it breaks; None for ever, 0 for a line that is cut."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                branch, _address = self._listener.accept()
                threading.Thread(target=self._carry, args=(branch,), daemon=True).start()

    def _carry(self, branch: socket.socket) -> None:
        with branch, suppress(OSError), socket.create_connection(self._target) as office, selectors.DefaultSelector() as ready:
            for end in (branch, office):
                ready.register(end, selectors.EVENT_READ)
            while self.carries != 0:
                for key, _events in ready.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]  # a socket
                    if key.fileobj is office and self.carries is not None:
                        data, self.carries = data[: self.carries], max(0, self.carries - len(data))
                    if not data:
                        return
                    (branch if key.fileobj is office else office).sendall(data.replace(self._asked, self._meant))

    def close(self) -> None:
        """For good."""
        self.carries = 0
        self._listener.close()


@dataclass
class Company:
    """Three programs that run, and what lies between them."""

    hq: Running
    br01: Running
    br02: Running
    line: Line

    @property
    def all(self) -> tuple[Running, ...]:
        return self.hq, self.br01, self.br02


@pytest.fixture
def company(tmp_path: Path, server_environment: dict[str, str]) -> Iterator[Company]:
    office, first = create_pair(tmp_path)
    second = create_folder(tmp_path / "br02", role="branch", code="BR02", name="宁波分公司").application
    enrol((second.store, second.keys), (office.store, office.keys), SYSTEM, "BR02")
    admin = authenticate(office.store, "admin", PASSWORD)
    verbs.run(office.store, admin, "records.create_record", {"entity": "customer", "values": {"name": SHARED, "phone": "0575-1"}})
    office.close()
    with running(tmp_path / "hq", server_environment) as hq:
        line = Line(hq.address)
        for branch in (first, second):
            node_sync.set_office_url(branch.store, SYSTEM, line.address)
            branch.close()
        with running(tmp_path / "br01", server_environment, says=NO_LINE) as br01, running(tmp_path / "br02", server_environment) as br02:
            yield Company(hq, br01, br02, line)
        line.close()


#: What stands in the form that is open, and as telephone number of the shared customer in the list.
NAME_TYPED = "document.querySelector('.q-dialog .lc-field[data-field=name] input')?.value"
PHONE_LISTED = f"""(() => {{
    const named = [...document.querySelectorAll('.ag-row')].find(row => row.innerText.includes('{SHARED}'));
    return named && document.querySelector(`.ag-row[row-index="${{named.getAttribute('row-index')}}"] [col-id=phone]`)?.innerText.trim();
}})()"""


def watch(page: Page, place: str) -> None:
    """Note everything that is ever shown at a place, frame by frame."""
    page.evaluate(
        f"""() => {{
            const seen = window.lcSeen = [];
            const look = () => {{
                const shown = {place};
                if (shown && seen.at(-1) !== shown) seen.push(shown);
                requestAnimationFrame(look);
            }};
            look();
        }}"""
    )


def seen(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.lcSeen")
    return found


def save(page: Page) -> None:
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)


def exchange(page: Page, *, arrives: bool) -> None:
    """Press the button and wait until the screen says how it went."""
    done, failed = page.locator(".lc-toast", has_text=re.compile("已与总部交换|已合并")), page.locator(".lc-notice[role=alert]")
    expect(done).to_have_count(0, timeout=10_000)  # that of the time before has gone
    act(page, "exchange")
    if arrives:
        expect(done).to_be_visible()
        expect(page.locator(".lc-head .lc-chip").first).to_have_attribute("data-tone", "good")
        return
    expect(failed).to_contain_text(NO_LINE)
    expect(page.locator("tr", has_text="与总部交换").locator("td").nth(2)).to_contain_text(NO_LINE)
    failed.locator("button").click()
    expect(failed).to_have_count(0)


def test_the_line_is_cut_and_healed_while_people_type(browser: Browser, company: Company) -> None:
    contexts: list[BrowserContext] = []

    def merging(beside: Page, program: Running) -> Page:
        page = beside.context.new_page()
        page.goto(f"{program.address}/sync")
        return page

    hq, one, two = (sign_in(new_page(browser, program, contexts), program, "/customers") for program in company.all)
    one_merges, two_merges = merging(one, company.br01), merging(two, company.br02)
    for page in (one_merges, two_merges):
        exchange(page, arrives=True)

    company.line.carries = 0
    for page, name, phone in ((one, "杭州新客户", "0571-6666"), (two, "宁波新客户", "0574-7777"), (hq, "总部新客户", "0575-8888")):
        page.keyboard.press("n")
        enter(field(page, "name"), name)
        save(page)
        expect(row(page, name)).to_contain_class("ag-row-selected")  # as it is after saving
        row(page, SHARED).click()
        page.keyboard.press("e")
        enter(field(page, "phone"), phone)
        save(page)
    exchange(one_merges, arrives=False)
    expect(one.locator(".lc-sync")).to_contain_text("条待发")

    one.keyboard.press("n")  # somebody is in the middle of a word whenever something arrives
    enter(field(one, "name"), "温州")
    watch(one, NAME_TYPED)
    watch(two, PHONE_LISTED)
    for bytes_until_it_breaks in (100, 900, 2500):
        company.line.carries = bytes_until_it_breaks
        exchange(one_merges, arrives=False)
    field(one, "name").press_sequentially("新")
    company.line.carries = None
    exchange(one_merges, arrives=True)
    field(one, "name").press_sequentially("客户")
    exchange(two_merges, arrives=True)
    exchange(one_merges, arrives=True)
    assert all("温州新客户".startswith(text) for text in seen(one))
    assert seen(one) == sorted(seen(one), key=len), "a word that was being typed went back"
    save(one)
    exchange(one_merges, arrives=True)
    exchange(two_merges, arrives=True)

    for page, place in ((hq, "HQ"), (one, "BR01"), (two, "BR02")):
        for name in ("杭州新客户", "宁波新客户", "总部新客户", "温州新客户"):
            expect(row(page, name), place).to_be_visible()
        page.wait_for_function(f"{PHONE_LISTED} === '0575-8888'")  # of the last of the three who wrote
    assert seen(two) == ["0574-7777", "0575-8888"], "an own value went back before a later one took its place"
    hq.goto(f"{company.hq.address}/sync")
    expect(hq.locator("[data-act=to-conflicts]")).to_contain_text("2")
    for code in ("BR01", "BR02"):
        expect(hq.locator("tr", has_text=code).locator("td").nth(3)).to_have_text("0")
    for context in contexts:
        context.close()
    assert [(program.foreign, program.faults) for program in company.all] == [([], [])] * 3, json.dumps([p.faults for p in company.all])
