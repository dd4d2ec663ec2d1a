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
    (["tests/browser"], ["tests/store", "tests/kernel", "tests/ui", "tests/bench", "tests/channels", "tests/reports", "tests/jobs"]),
    (["tests/sync"], ["tests/architecture", "tests/registry", "tests/domain", "tests/cli"]),
)


def pytest(arguments: list[str], **options: object) -> subprocess.Popen[bytes]:
    """Start one part; each leaves half of the machine to the other lane."""
    environment = {**os.environ, "SIMULATION_WORKERS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, **options)  # type: ignore[call-overload, no-any-return]


def run_lane(parts: tuple[list[str], ...], **options: object) -> list[int]:
    """Run the parts of a lane to their end, whatever fails on the way."""
    return [pytest(part, **options).wait() for part in parts]


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
    shown, beside = LANES
    with tempfile.TemporaryFile() as output:
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(run_lane, beside, stdout=output, stderr=subprocess.STDOUT)
            codes = run_lane(shown) + other.result()
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
    print(f"all tests: {time.monotonic() - begun:.0f} s, {'passed' if not any(codes) else 'FAILED'}", flush=True)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
