"""Every test, on two cores, in two lanes that end at about the same time.

The first lane is shown as it runs; the second when it has ended; at the very end, what failed. Exit 1 when any part failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
#: Folders and the number of parts each is divided into. One lane takes parts from the front, the other from the back, until they meet: a
#: browser needs more than one core at times, so beside it runs what takes one; and what they meet at is small, so that they end together.
FOLDERS = (
    (("tests/browser",), 8),
    (("tests/cli", "tests/ui"), 1),
    (("tests/store", "tests/kernel"), 1),
    (("tests/channels", "tests/reports", "tests/jobs", "tests/bench"), 1),
    (("tests/domain", "tests/scenarios"), 2),
    (("tests/registry", "tests/architecture"), 1),
    (("tests/sync",), 4),
)


class Lane:
    """Parts that run one after the other, each leaving half of the machine to the other lane."""

    def __init__(self, take: Callable[[], list[str]], results: Path, **options: object) -> None:
        self._take, self._results, self._options = take, results, options
        self._running: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> list[int]:
        """Exit codes of all parts, whatever fails on the way."""
        codes = []
        while not self._stopped:
            try:
                part = self._take()
            except IndexError:  # the other lane has the last one
                break
            codes.append(self._start(part).wait())
        return codes

    def stop(self) -> None:
        """End what runs, and begin nothing more."""
        self._stopped = True
        if self._running is not None:
            self._running.kill()

    def _start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "SIMULATION_WORKERS": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each program that a test starts would compile all its modules anew
        result = self._results / f"{arguments[0].replace('/', '.')}.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={result}", *arguments]
        self._running = subprocess.Popen(command, cwd=ROOT, env=environment, **self._options)  # type: ignore[call-overload]
        return self._running


def parts() -> deque[list[str]]:
    """Files of tests that run together, in order."""
    found: deque[list[str]] = deque()
    for folders, count in FOLDERS:
        files = [path for folder in folders for path in tests_in(ROOT / folder)]
        size = -(-len(files) // count)
        found.extend(files[start : start + size] for start in range(0, len(files), size))
    return found


def tests_in(folder: Path) -> list[str]:
    """Every file of tests below a folder."""
    return sorted(path.relative_to(ROOT).as_posix() for path in folder.rglob("test_*.py"))


def failures(results: Path) -> list[str]:
    """What failed, each with the end of its trace: a log of which only the end is kept still says what is wrong."""
    found = []
    for file in sorted(results.glob("*.xml")):
        for case in ET.parse(file).iter("testcase"):
            for failed in (*case.iter("failure"), *case.iter("error")):
                trace = "\n".join((failed.text or failed.get("message") or "").splitlines()[-25:])
                found.append(f"{case.get('classname')}::{case.get('name')}\n{trace}")
    return found


def main() -> int:
    """Run both lanes."""
    begun = time.monotonic()
    waiting = parts()
    if missing := set(tests_in(ROOT / "tests")).difference(*waiting):
        print(f"no lane runs {', '.join(sorted(missing))}", flush=True)
        return 1
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile() as output, ThreadPoolExecutor(1) as pool:
        results = Path(place)
        shown, beside = Lane(waiting.popleft, results), Lane(waiting.pop, results, stdout=output, stderr=subprocess.STDOUT)
        other = pool.submit(beside.run)
        try:
            codes = shown.run() + other.result()
        finally:
            shown.stop()
            beside.stop()
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
        for failed in failures(results):
            print(f"\nFAILED {failed}", flush=True)
    print(f"all tests: {time.monotonic() - begun:.0f} s, {'passed' if not any(codes) else 'FAILED'}", flush=True)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
