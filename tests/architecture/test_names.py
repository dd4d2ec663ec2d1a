"""A module is named after one thing; a drawer for odds and ends has no name worth reading (CONTRIBUTING.md)."""

from __future__ import annotations

from pathlib import PurePosixPath

from tests.architecture.source import modules

DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "components"}


def test_no_module_is_a_drawer() -> None:
    assert [file for file in modules() if PurePosixPath(file).stem in DRAWERS] == []
