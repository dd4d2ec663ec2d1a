"""What is tracked works on any machine: no registry address, no path of somebody's own disk."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.architecture.source import ROOT

# Written in pieces so that this file does not name what it forbids.
FORBIDDEN = {
    "registry address": re.compile(
        r"py" r"pi\.(org|python)|python" r"hosted\.org|(?<!emit-)index" r"-url|(?<!emit-)find" r"-links|trusted" r"-host"
    ),
    "machine path": re.compile(r"(?<![\w.~-])/(work|root|opt|home/\w+|Users/\w+|tmp/\w*venv)/"),
}
PICTURES = {".png", ".ico", ".icns", ".woff2", ".ttf", ".otf", ".gz", ".xlsx"}


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    return subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


def test_no_registry_address_and_no_machine_path_in_any_tracked_file() -> None:
    found = []
    for name in tracked():
        path = ROOT / name
        if path.suffix in PICTURES or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found += [f"{name}:{number}: {what}" for what, pattern in FORBIDDEN.items() if pattern.search(line)]
    assert found == []


def test_every_requirement_is_pinned() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        assert [line for line in lines if not re.match(r"[a-z0-9-]+==\S+( ; .+)?$", line)] == []
