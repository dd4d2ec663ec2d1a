"""What a salesman waits for at the workbench in Chromium: 100,000 customers with a million activity records, against 1,000 customers.

The program runs in a process of its own. Medians of several turns, from the click or the key to what can be read: of a reload and of a way
inside the program to the first row, of a tab and of the next customer to what they hold, of a grouping to its counts, of a search to its
hits. Questions are measured by ``queries``, whose number it is by ``calls``.

Run as ``python bench/workbench.py [CUSTOMERS ...]``; it needs Chromium.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from _measure import CACHE, ROOT, Figure, folder, office, show
from queries import filled

from localcrm.domain.admin.services import set_up_office

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZES = (1_000, 100_000)
#: Activity records of a customer; nine of ten customers have so many.
RECORDS = 12
PASSWORD = "bench-secret-1"
WAIT_MS = 60_000
#: Until nothing moves any more.
REST_MS = 700
#: What is waited for, and how long it may take in milliseconds.
GOALS = {
    "reload to the first row": 1200.0,
    "inside the program to the first row": 600.0,
    "another tab": 200.0,
    "next customer by key, with its tab": 200.0,
    "group counts by a new grouping": 300.0,
    "search": 100.0,
}


def measure(sizes: tuple[int, ...] = SIZES, *, rounds: int = 9, keep: bool = True) -> list[Figure]:
    """Medians at every size; the largest has the goal, and its ratio to the smallest informs."""
    times: dict[int, dict[str, float]] = {}
    with folder() as place:
        for size in sizes:
            _built(place / str(size), size, keep=keep)
            with _running(place / str(size)) as address:
                times[size] = _times(address, rounds)
    smallest, largest = times[sizes[0]], times[sizes[-1]]
    figures = []
    for name, goal in GOALS.items():
        figures += [Figure(f"{name}, {size:,} customers", times[size][name], "ms") for size in sizes[:-1]]
        figures.append(Figure(f"{name}, {sizes[-1]:,} customers", largest[name], "ms", goal=goal))
        figures.append(Figure(f"{name}, largest / smallest", largest[name] / smallest[name]))
    return figures


def _built(place: Path, size: int, *, keep: bool) -> None:
    """A folder with so many customers, built once and kept."""
    kept = CACHE / f"workbench-{size}-{RECORDS}"
    if keep and kept.exists():
        shutil.copytree(kept, place)
        return
    store = office(place)
    filled(store, set_up_office(store, login="admin", name="admin", password=PASSWORD), size, records=RECORDS)
    store.close()
    if keep and size > 10_000:
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copytree(place, kept)


@contextmanager
def _running(data: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "localcrm", "--data", str(data), "--port", str(port), "--no-browser"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _try in range(300):
            try:
                urllib.request.urlopen(f"{address}/alive", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)


def _times(address: str, rounds: int) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="zh-CN").new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{address}/customers")
        page.locator("input[name=login]").fill("admin")
        page.locator("input[type=password]").fill(PASSWORD)
        page.keyboard.press("Enter")
        _first_row(page)
        found = {name: statistics.median(_turns(page, work, rounds)) for name, work in _works(address).items()}
        browser.close()
    return found


def _turns(page: Page, work: Callable[[Page], float], rounds: int) -> list[float]:
    work(page)  # the first time much is made that stays
    return [work(page) for _turn in range(rounds)]


def _works(address: str) -> dict[str, Callable[[Page], float]]:
    """What is done, each giving the milliseconds it took."""
    searched = iter(range(1, 10**6))

    def reload(page: Page) -> float:
        return _until(lambda: page.goto(f"{address}/customers", wait_until="commit"), lambda: _first_row(page))

    def inside(page: Page) -> float:
        page.goto(f"{address}/today")
        page.wait_for_load_state("networkidle")
        return _until(lambda: page.locator(".lc-nav a[href='/customers']").first.click(), lambda: _first_row(page))

    def tab(page: Page) -> float:
        _choose(page)
        first = page.locator(".lc-lower .q-tab").nth(1)
        if "q-tab--active" not in (first.get_attribute("class") or ""):
            first.click()
            page.wait_for_timeout(REST_MS)
        return _changed(page, page.locator(".lc-lower .q-tab").nth(2).click)

    def next_customer(page: Page) -> float:
        _choose(page)
        page.locator(".ag-row-selected .ag-cell").first.click()
        page.wait_for_timeout(REST_MS)
        return _changed(page, lambda: page.keyboard.press("ArrowDown"))

    def groups(page: Page) -> float:
        page.locator("[data-act=new-grouping]").click()
        save = page.locator(".q-dialog [data-commit]")
        save.wait_for()
        page.wait_for_timeout(REST_MS)
        heads, before = page.locator(".lc-group-head"), page.locator(".lc-group-head").count()
        more = "before => document.querySelectorAll('.lc-group-head').length > before"
        spent = _until(save.click, lambda: page.wait_for_function(more, arg=before))
        heads.locator("button").last.click()
        page.locator(".q-dialog .lc-dialog-buttons button").first.click()  # thrown away again
        page.wait_for_function("before => document.querySelectorAll('.lc-group-head').length === before", arg=before)
        page.wait_for_timeout(REST_MS)
        return spent

    def search(page: Page) -> float:
        script = """async text => { const begun = performance.now();
            const answer = await fetch("/api/list/customer", {method: "POST", headers: {"Content-Type": "application/json", "X-Localcrm": "1"},
                body: JSON.stringify({startRow: 0, endRow: 100, search: text})});
            await answer.json(); return performance.now() - begun; }"""
        return float(page.evaluate(script, f"客户00{next(searched) % 10}"))

    return {
        "reload to the first row": reload,
        "inside the program to the first row": inside,
        "another tab": tab,
        "next customer by key, with its tab": next_customer,
        "group counts by a new grouping": groups,
        "search": search,
    }


def _until(begin: Callable[[], object], end: Callable[[], object]) -> float:
    start = time.perf_counter()
    begin()
    end()
    return (time.perf_counter() - start) * 1000


def _first_row(page: Page) -> None:
    page.wait_for_function("() => document.querySelector('.ag-center-cols-container .ag-row .ag-cell')?.innerText.trim()")


def _choose(page: Page) -> None:
    page.locator(".ag-center-cols-container .ag-row").first.click()
    page.locator(".lc-lower .q-tab").first.wait_for()
    page.wait_for_timeout(REST_MS)


def _changed(page: Page, act: Callable[[], object]) -> float:
    """Until what stands below the list reads otherwise."""
    before = page.locator(".lc-lower").inner_text()
    script = "before => document.querySelector('.lc-lower').innerText !== before"
    return _until(act, lambda: page.wait_for_function(script, arg=before))


if __name__ == "__main__":
    show(measure(tuple(map(int, sys.argv[1:])) or SIZES))
