"""Every decision record is numbered once and says context, decision and cost, on about one page."""

from __future__ import annotations

import re

from tests.architecture.source import ROOT

RECORDS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def test_numbers_run_without_gap() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_each_says_context_decision_and_cost() -> None:
    for path in RECORDS:
        headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert [heading for heading in headings if heading in {"Context", "Decision", "Cost"}] == ["Context", "Decision", "Cost"], path.name
