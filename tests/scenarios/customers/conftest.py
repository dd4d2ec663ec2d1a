"""The company that most scenarios begin with: head office and one branch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import Company, Installation, copy_company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Head office and one branch; a scenario with others has its own."""
    copy = copy_company(tmp_path, branches=1)
    yield copy
    copy.close()


@pytest.fixture
def hq(company: Company) -> Installation:
    """Its head office."""
    return company.hq
