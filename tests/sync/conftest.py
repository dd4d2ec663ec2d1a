"""A company of three, and its branches by a short name; a file that wants other clocks or fields makes a ``company`` of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import factories
from tests.factories import Company, Installation


@pytest.fixture
def company() -> Iterator[Company]:
    with factories.company() as made:
        yield made


@pytest.fixture
def hq(company: Company) -> Installation:
    return company.hq


@pytest.fixture
def one(company: Company) -> Installation:
    return company.branches["BR01"]


@pytest.fixture
def two(company: Company) -> Installation:
    return company.branches["BR02"]
