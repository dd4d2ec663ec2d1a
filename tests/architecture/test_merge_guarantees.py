"""What the merge promises is written down, and every promise has its test."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.guarantees import Guarantee, guarantees

ROOT = Path(__file__).parent.parent.parent
ROWS = guarantees()
each = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"failure_{row.number:02d}")


@cache
def functions(path: str) -> frozenset[str]:
    """Names of the tests of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_all_fifty_two_are_there_in_their_order() -> None:
    assert [row.number for row in ROWS] == list(range(1, 53))


@each
def test_a_promise_has_tests_that_exist_and_what_is_not_promised_says_why(row: Guarantee) -> None:
    assert {"kept": (True, True, False), "in part": (True, True, True), "not yet": (False, False, True), "open": (False, False, True)}[
        row.state
    ] == (bool(row.promise), bool(row.tests), bool(row.missing))
    for path, name in row.tests:
        assert (ROOT / path).is_file(), path
        assert name in functions(path), f"{path}::{name}"


def test_every_test_that_carries_a_number_stands_in_its_row() -> None:
    listed = {(row.number, name) for row in ROWS for _path, name in row.tests}
    carried = {
        (int(found[1]), name)
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in functions(str(path.relative_to(ROOT)))
        if (found := re.match(r"test_failure_(\d\d)_", name))
    }
    assert carried - listed == {(47, "test_failure_47_a_million_hostile_files")}  # a longer run of one that is listed
