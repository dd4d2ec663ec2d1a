"""Every test, on two cores, in two lanes that end at about the same time.

The first lane is shown as it runs; the second when it has ended. Exit 1 when any part failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Parts run one after the other. A browser needs more than one core at times, so beside it runs what takes one.
LANES = (
    (
        ["tests/browser"],
        ["tests/store", "tests/kernel", "tests/ui", "tests/bench", "tests/channels", "tests/reports", "tests/jobs", "tests/scenarios"],
    ),
    (["tests/sync"], ["tests/architecture", "tests/registry", "tests/domain", "tests/cli"]),
)


class Lane:
    """Parts that run one after the other, each leaving half of the machine to the other lane."""

    def __init__(self, parts: tuple[list[str], ...], **options: object) -> None:
        self._parts, self._options = parts, options
        self._running: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> list[int]:
        """Exit codes of all parts, whatever fails on the way."""
        return [self._start(part).wait() for part in self._parts if not self._stopped]

    def stop(self) -> None:
        """End what runs, and begin nothing more."""
        self._stopped = True
        if self._running is not None:
            self._running.kill()

    def _start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "SIMULATION_WORKERS": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        self._running = subprocess.Popen(command, cwd=ROOT, env=environment, **self._options)  # type: ignore[call-overload]
        return self._running


def forgotten() -> list[str]:
    """Folders of tests that no lane names."""
    named = {part for lane in LANES for parts in lane for part in parts}
    return sorted({f"tests/{path.relative_to(ROOT / 'tests').parts[0]}" for path in (ROOT / "tests").glob("*/**/test_*.py")} - named)


def main() -> int:
    """Run both lanes."""
    begun = time.monotonic()
    if missing := forgotten():
        print(f"no lane runs {', '.join(missing)}", flush=True)
        return 1
    with tempfile.TemporaryFile() as output, ThreadPoolExecutor(1) as pool:
        shown, beside = Lane(LANES[0]), Lane(LANES[1], stdout=output, stderr=subprocess.STDOUT)
        other = pool.submit(beside.run)
        try:
            codes = shown.run() + other.result()
        finally:
            shown.stop()
            beside.stop()
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
    print(f"all tests: {time.monotonic() - begun:.0f} s, {'passed' if not any(codes) else 'FAILED'}", flush=True)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
