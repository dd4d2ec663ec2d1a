"""Every test, on two cores: the seeded histories of the merge run beside everything else.

The first lane is shown as it runs; the second when it has ended. Exit 1 when any part failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HISTORIES = "tests/sync/test_simulation.py"
LANES = ((["tests", "--ignore=tests/browser", f"--ignore={HISTORIES}"], ["tests/browser"]), ([HISTORIES],))


def pytest(arguments: list[str], **options: object) -> subprocess.Popen[bytes]:
    """Start one part; each leaves half of the machine to the other lane."""
    environment = {**os.environ, "SIMULATION_WORKERS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, **options)  # type: ignore[call-overload, no-any-return]


def main() -> int:
    """Run both lanes to their end, whatever fails on the way."""
    begun = time.monotonic()
    shown, beside = LANES
    with tempfile.TemporaryFile() as output:
        other = pytest(beside[0], stdout=output, stderr=subprocess.STDOUT)
        try:
            codes = [pytest(part).wait() for part in shown]
            codes.append(other.wait())
        finally:
            other.kill()
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
    print(f"all tests: {time.monotonic() - begun:.0f} s, {'passed' if not any(codes) else 'FAILED'}", flush=True)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
