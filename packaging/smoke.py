"""Starts the built program as a customer would and tries the road from first demo to first exchange.

    python packaging/smoke.py dist/localcrm

One line per step; ends with the figures that ARCHITECTURE.md sets aims for: size, start, memory. Exit 1 at the first
step that fails. Needs nothing but the standard library, so that it runs on an empty machine.
"""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMMAND_LIMIT = 120  # seconds; a first start is scanned by virus guards on some systems
START_LIMIT = 60
IDLE = 3


class Program:
    """The built file, run with an environment that does not know of any Python."""

    def __init__(self, file: Path, folder: Path) -> None:
        self.file = file
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOCALCRM_", "NICEGUI", "VIRTUAL_ENV"))
        } | {"LOCALCRM_PASSWORD": secrets.token_urlsafe(12), "LOCALCRM_LANG": "en"}

    def run(self, *arguments: str) -> str:
        """Output of one command; a refused one ends the smoke test."""
        result = subprocess.run(
            [self.file, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_LIMIT,
            check=False,
        )
        if result.returncode:
            raise SystemExit(f"FAILED  {' '.join(arguments)}\n{result.stderr.decode('utf-8', 'replace')[-3000:]}")
        return result.stdout.decode("utf-8")

    def read(self, *arguments: str) -> Any:
        """What one command answers with --json."""
        return json.loads(self.run(*arguments, "--json"))

    def serve(self, data: Path) -> tuple[subprocess.Popen[bytes], int, int]:
        """Start the screens on a free port; returns the process, the port and the milliseconds to the first page."""
        port = free_port()
        log = (self.folder / "server.log").open("ab")
        began = time.monotonic()
        process = subprocess.Popen(
            [self.file, "--data", data, "--port", str(port), "--no-browser"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        while not answers(port):
            if process.poll() is not None or time.monotonic() - began > START_LIMIT:
                process.kill()
                raise SystemExit(f"FAILED  no page on port {port}\n{(self.folder / 'server.log').read_text('utf-8', 'replace')[-3000:]}")
            time.sleep(0.02)
        return process, port, round((time.monotonic() - began) * 1000)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether a browser gets a page; any other answer than 200 ends the smoke test."""
    try:
        return Browser(port).get("/") != ""
    except urllib.error.URLError as error:
        if isinstance(error, urllib.error.HTTPError):
            raise SystemExit(f"FAILED  GET / answers {error.code}") from None
        return False
    except OSError:
        return False


class Browser:
    """As much of a browser as a smoke test needs: asks for pages, keeps cookies, follows redirects."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )
        self.opener.addheaders = [("Accept", "text/html,*/*"), ("Origin", self.origin)]

    def get(self, path: str, form: dict[str, str] | None = None) -> str:
        """The text at a path; with a form it is posted. Raises for any answer but a success."""
        data = urllib.parse.urlencode(form).encode() if form else None
        with self.opener.open(self.origin + path, data, timeout=20) as response:
            return str(response.read().decode("utf-8", "replace"))


def signed_in_page(port: int, password: str) -> str:
    """The first screen after signing in, and every file it names: what the build dropped too much would be missing here."""
    browser = Browser(port)
    try:
        page = browser.get("/login", {"login": "admin", "password": password, "next": "/"})
        files = sorted({file for file in re.findall(r"""(?:src|href)=["'](/[^"'#]+\.\w+[^"']*)["']""", page) if not file.startswith("//")})
        for file in files:
            browser.get(file)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"FAILED  {error.url} answers {error.code}") from None
    if "_nicegui" not in page:
        raise SystemExit("FAILED  signing in did not lead to a screen")
    return f"signed in, {len(files)} files of the first screen"


def resident_mb(pid: int) -> float | None:
    """Memory of a process and its children in MB; None where the system does not tell simply."""
    if os.name == "nt":
        return None
    table = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in table.splitlines()]
    return sum(rss for process, parent, rss in rows if pid in {process, parent}) / 1024


def exchange(program: Program, hub: Path, branch: Path, folder: Path) -> str:
    """A record written at the branch goes to head office by file, the answer comes back, both hold the same."""
    new = program.read("new", "customer", "name=Smoke & Sons", "--data", str(branch), "--as", "admin")
    there, back = folder / "there.lcx", folder / "back.lcx"
    program.run("sync", "pack", "--data", str(branch), "-o", str(there))
    applied = program.read("sync", "unpack", str(there), "--data", str(hub))["applied"]
    program.run("sync", "pack", "--for", "BR01", "--data", str(hub), "-o", str(back))
    program.run("sync", "unpack", str(back), "--data", str(branch))
    seen = program.read("get", "customer", new["id"], "--data", str(hub), "--as", "admin")
    digests = {
        program.read("sync", "digest", "--for", "BR01", "--data", str(hub))["digest"],
        program.read("sync", "digest", "--data", str(branch))["digest"],
    }
    if applied < 1 or seen["name"] != "Smoke & Sons" or len(digests) != 1:
        raise SystemExit(f"FAILED  exchange: {applied} applied, digests {digests}")
    return f"{applied} applied, {there.stat().st_size} bytes, equal digests"


def check(program: Program, *folders: Path) -> str:
    for folder in folders:
        answer = program.read("check", "--data", str(folder))
        if not answer["ok"]:
            raise SystemExit(f"FAILED  check {folder.name}: {answer['problems']}")
    return "no problems"


def screens(program: Program, data: Path, figures: dict[str, Any]) -> str:
    """Three starts; the first is the cold one and signs in."""
    starts: list[int] = []
    told = ""
    for _ in range(3):
        process, port, milliseconds = program.serve(data)
        starts.append(milliseconds)
        if len(starts) == 1:
            told = signed_in_page(port, program.environment["LOCALCRM_PASSWORD"])
            time.sleep(IDLE)
            figures["idle_mb"] = round(memory, 1) if (memory := resident_mb(process.pid)) else None
        process.terminate()
        process.wait(timeout=20)
    figures["start_ms"] = starts
    return f"first page after {', '.join(map(str, starts))} ms; {told}"


def main(arguments: list[str]) -> None:
    file = Path(arguments[0]).resolve()
    if not file.exists() and file.with_suffix(".exe").exists():
        file = file.with_suffix(".exe")
    figures: dict[str, Any] = {"size_mb": round(file.stat().st_size / 1e6, 1)}
    with tempfile.TemporaryDirectory(prefix="localcrm-smoke-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        program = Program(file, folder)
        hub, branch = folder / "hq", folder / "br01"
        steps: dict[str, Callable[[], str]] = {
            "version": lambda: program.run("--version").strip(),
            "entities": lambda: f"{len(program.read('entities')['entities'])} kinds of record",
            "demo": lambda: (
                program.run("demo", "--branches", "1", "--customers", "20", "--data", str(folder)) and "head office and one branch"
            ),
            "exchange": lambda: exchange(program, hub, branch, folder),
            "check": lambda: check(program, hub, branch),
            "screens": lambda: screens(program, hub, figures),
        }
        for name, step in steps.items():
            began = time.monotonic()
            told = step()
            print(f"ok  {name:9} {time.monotonic() - began:6.1f} s  {told}", flush=True)
    print(f"smoke test passed: {json.dumps(figures)}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    main(sys.argv[1:])
