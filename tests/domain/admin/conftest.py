"""Head office with one branch, for what is done at one and seen at the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import factories
from tests.factories import Company, Installation


@pytest.fixture
def company() -> Iterator[Company]:
    with factories.company(branches=1) as made:
        yield made


@pytest.fixture
def hq(company: Company) -> Installation:
    return company.hq
