"""The table of ``docs/merge-guarantees.md``: which test proves which promise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).parent.parent / "docs" / "merge-guarantees.md"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@dataclass(frozen=True)
class Guarantee:
    """One row; ``tests`` are (path from the root, name of the function)."""

    number: int
    failure: str
    state: str
    promise: str
    tests: tuple[tuple[str, str], ...]
    missing: str


def guarantees() -> list[Guarantee]:
    """The rows in their order."""
    rows = [line.strip("| ").split("|") for line in TABLE.read_text(encoding="utf-8").splitlines() if re.match(r"\| \d+ \|", line)]
    found = []
    for row in rows:
        number, failure, state, promise, proof = (cell.strip() for cell in row)
        found.append(Guarantee(int(number), failure, state, promise, tuple(_TEST.findall(proof)), proof.partition("Missing:")[2].strip()))
    return found


def proven() -> dict[tuple[str, str], set[str]]:
    """For each test the keywords by which it is found: ``failure_05``."""
    keywords: dict[tuple[str, str], set[str]] = {}
    for row in guarantees():
        for test in row.tests:
            keywords.setdefault(test, set()).add(f"failure_{row.number:02d}")
    return keywords
