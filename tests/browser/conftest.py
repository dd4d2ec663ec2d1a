"""The real program in a process of its own, and a real Chromium that talks to nobody else."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, WebSocketRoute, expect, sync_playwright

from localcrm.app import Application, create_folder
from localcrm.domain import subjects, verbs
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.store.node import OFFICE_NO, Node, save_node
from localcrm.store.store import Store, create_store, open_store
from tests.factories import enrol

assert subjects.SUBJECTS
PASSWORD = "Correct-Horse-7"
#: Every new page makes Chromium draw the list under its address bar, which nobody sees, as a page of its own: a second of work each.
#: Chromium reads the last such list only, so those features stand here too that Playwright, for steady runs, turns off itself.
NOT_WANTED = [
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "PreconnectToSearch",
]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(NOT_WANTED)}",
]
WAIT_MS = 15_000
expect.set_options(timeout=WAIT_MS)  # a busy machine is slow, not wrong


@dataclass
class Running:
    """A program that runs: its address, its folder, and everything browsers asked for that was not its own."""

    address: str
    folder: Path
    printed: str = ""
    cookies: dict[str, Any] = field(default_factory=dict)  # by login, so that each signs in once
    foreign: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@contextmanager
def running(folder: Path, environment: dict[str, str], *, says: str = "") -> Iterator[Running]:
    """Start the program on a folder; it must end cleanly when it is told to, and may have printed lines only with ``says`` in them."""
    command = [sys.executable, "-m", "localcrm", "--port", str(_free_port()), "--no-browser"]
    environment = environment | {"LOCALCRM_DATA": str(folder), "PYTHONUNBUFFERED": "1"}
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/\S*", line)
    if found is None:
        process.kill()
        pytest.fail(line + process.stdout.read())
    try:
        yield Running(found.group().rsplit("/", 1)[0], folder, printed=found.group())
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            rest = process.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            rest = "it had to be killed"
    if says:
        rest = "".join(line for line in rest.splitlines(keepends=True) if says not in line)
    if process.returncode or rest:
        pytest.fail(f"The program was to end with 0 and say nothing; it ended with {process.returncode} and said:\n{rest}")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Company:
    """A folder with head office, two users and a few customers, filled before the program starts."""

    def __init__(self, folder: Path) -> None:
        self.store: Store = create_store(folder)
        with self.store.housekeeping() as connection:
            save_node(connection, Node(secrets.token_bytes(16), "HQ", "柯桥纺织", "office", OFFICE_NO, secrets.token_bytes(8), 0))
        self.admin: Actor = set_up_office(self.store, login="admin", name="王芳", password=PASSWORD)
        self.new("user", login="lin", name="林晓", password=PASSWORD, role="staff")
        for name, level in (
            ("绍兴恒远纺织品有限公司", "deal"),
            ("浙江瑞祥进出口有限公司", "prospect"),
            ("柯桥金龙布业", "deal"),
            ("诸暨盛宏袜业", "deal"),
        ):
            self.new("customer", name=name, level=level, phone="0575-8412 3367")
        self.new("product", code="XF75-03", name="雪纺 75D 藏青", price="9.80", unit="米")
        self.new("warehouse", code="W1", name="柯桥一号仓")

    def new(self, entity: str, **values: Any) -> dict[str, Any]:
        return verbs.run(self.store, self.admin, "records.create_record", {"entity": entity, "values": values})


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[Running]:
    """One running program for all tests of a module."""
    folder = tmp_path_factory.mktemp("office") / "hq"
    Company(folder).store.close()
    with running(folder, server_environment) as program:
        yield program


def create_pair(folder: Path) -> tuple[Application, Application]:
    """Head office in ``hq`` and its branch BR01 in ``br01``, let in by file; whoever calls closes them."""
    office = create_folder(folder / "hq", role="office", code="HQ", name="柯桥纺织", user_name="王芳", password=PASSWORD).application
    branch = create_folder(folder / "br01", role="branch", code="BR01", name="杭州分公司").application
    enrol((branch.store, branch.keys), (office.store, office.keys), SYSTEM)
    return office, branch


@pytest.fixture
def nobody_else_is_asked(office: Running) -> Iterator[None]:
    """No request went to another host, no script failed and no answer was a fault."""
    office.foreign.clear()
    office.faults.clear()
    yield
    assert (office.foreign, office.faults) == ([], [])


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def idle(browser: Browser) -> Iterator[dict[tuple[int, int], list[BrowserContext]]]:
    """Browsers by size of the page that no test uses at the moment; one that has seen the program loads and compiles its scripts from memory."""
    kept: dict[tuple[int, int], list[BrowserContext]] = defaultdict(list)
    yield kept
    for contexts in kept.values():
        for context in contexts:
            context.close()


@pytest.fixture
def open_page(browser: Browser, office: Running, idle: dict[tuple[int, int], list[BrowserContext]]) -> Iterator[OpenPage]:
    """Opens a page in a browser that no other page of the test has, signed in; ``own_session`` for a test that ends it."""
    contexts: list[BrowserContext] = []
    used: list[tuple[tuple[int, int], BrowserContext]] = []

    def open_(path: str = "/customers", *, login: str = "admin", size: tuple[int, int] = (1440, 900), own_session: bool = False) -> Page:
        if own_session:
            return sign_in(new_page(browser, office, contexts, size=size), office, path, login=login)
        context = idle[size].pop() if idle[size] else new_context(browser, size)
        used.append((size, context))
        context.clear_cookies()
        page = page_in(context, office)
        if login in office.cookies:
            context.add_cookies(office.cookies[login])
            page.goto(f"{office.address}{path}")
            return page
        sign_in(page, office, path, login=login)
        office.cookies[login] = context.cookies()
        return page

    yield open_
    for context in contexts:
        context.close()
    for size, context in used:
        for page in context.pages:
            page.close()
        idle[size].append(context)


def new_page(browser: Browser, program: Running, contexts: list[BrowserContext], *, size: tuple[int, int] = (1440, 900)) -> Page:
    """A page of a browser of its own, which is added to ``contexts`` for whoever closes it."""
    contexts.append(new_context(browser, size))
    return page_in(contexts[-1], program)


def new_context(browser: Browser, size: tuple[int, int]) -> BrowserContext:
    """A browser that knows nothing yet."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="zh-CN")
    context.set_default_timeout(WAIT_MS)
    return context


def page_in(context: BrowserContext, program: Running) -> Page:
    """A page that notes every request to another host and every fault of its scripts."""
    page = context.new_page()
    page.on("request", lambda request: None if _own(request.url, program) else program.foreign.append(request.url))
    page.on("pageerror", lambda error: program.faults.append(str(error)))
    page.on("response", lambda answer: program.faults.append(f"{answer.status} {answer.url}") if answer.status >= 500 else None)
    return page


def sign_in(page: Page, program: Running, path: str, *, login: str = "admin") -> Page:
    """Let somebody sign in who wants to see a page; returns the browser's page, loaded: before its fonts are there what is clicked moves."""
    page.goto(f"{program.address}/login?next={path}")
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: urlsplit(url).path != "/login")  # the address of the page to sign in ends in the path, too
    return page


def act(page: Page, name: str) -> None:
    """Press what is named so, whatever the language."""
    page.locator(f"[data-act={name}]").first.click()


def carry(source: Page, button: str, target: Page, place: str, tmp_path: Path) -> None:
    """Make a file at one place and read it at the other."""
    with source.expect_download() as download:
        act(source, button)
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    target.locator(f"[data-act={place}] input[type=file]").set_input_files(path)


def picture(page: Page, name: str) -> None:
    """A picture for who wants to look: set PICTURES to a folder."""
    if folder := os.environ.get("PICTURES"):
        page.wait_for_timeout(300)
        page.screenshot(path=Path(folder) / f"{name}.png")


def _own(url: str, program: Running) -> bool:
    return url.startswith((program.address, program.address.replace("http:", "ws:"), "data:", "blob:", "about:"))


@contextmanager
def beside(program: Running) -> Iterator[tuple[Store, Actor]]:
    """The same folder opened by another program, as a command does."""
    store = open_store(program.folder)
    with store.read() as connection:
        identity = connection.value("SELECT id FROM user WHERE login = 'admin'")
    from localcrm.domain.people.services import actor_by_id

    actor = actor_by_id(store, identity.hex())
    assert actor is not None
    yield store, actor
    store.close()


class Held:
    """What the program tells a page waits on the way while ``on``, as on a slow line; ``at_once``: also the first word."""

    def __init__(self, page: Page, *, at_once: bool = False) -> None:
        self.on = at_once
        self.late: list[Callable[[], None]] = []
        page.route_web_socket("**/socket.io/**", self._between)
        page.reload()

    def _between(self, socket: WebSocketRoute) -> None:
        program = socket.connect_to_server()
        program.on_message(lambda text: self.late.append(lambda: socket.send(text)) if self.on else socket.send(text))

    def release(self) -> None:
        """Let it all arrive in its order, with what comes meanwhile behind it."""
        assert self.late, "nothing was held back"
        while self.late:
            self.late.pop(0)()
        self.on = False


def pick(page: Page, text: str) -> None:
    """Take an entry of the open menu and wait until the menu is gone: while it fades it still holds the keyboard."""
    menu = page.locator(".q-menu:visible")
    menu.locator(".q-item", has_text=text).first.click()
    expect(menu).to_have_count(0)


def enter(field: Locator, text: str) -> None:
    """Type over what a field holds and see it stand there, before anything else is touched.

    A dialog that has just opened moves the cursor to its first empty field; what is typed in that moment goes there, so it is typed again.
    """
    for _try in range(5):
        field.fill(text)
        if field.input_value() == text:
            break
    expect(field).to_have_value(text)


def grid_state(page: Page, name: str) -> Any:
    """What a list keeps about its columns."""
    return json.loads(page.evaluate(f"JSON.stringify(localcrm.grids[{json.dumps(name)}].api.getColumnState())"))
