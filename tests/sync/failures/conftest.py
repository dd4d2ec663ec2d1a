"""A company of three, a clock for each, and a customer everybody knows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import factories
from tests.factories import Company, HandClock, Installation


@pytest.fixture
def clocks() -> dict[str, HandClock]:
    return {code: HandClock() for code in ("HQ", "BR01", "BR02", "BR03")}


@pytest.fixture
def company(clocks: dict[str, HandClock]) -> Iterator[Company]:
    with factories.company(branches=3, clocks=dict(clocks)) as made:
        yield made


@pytest.fixture
def three(company: Company) -> Installation:
    return company.branches["BR03"]


@pytest.fixture
def customer(company: Company) -> str:
    identity = company.hq.new("customer", name="甲公司", phone="1", address="上海")
    company.exchange()
    return identity


@pytest.fixture
def goods(company: Company) -> tuple[str, str]:
    """A product and a warehouse everybody knows."""
    made = company.hq.new("product", code="P", name="布", price="9"), company.hq.new("warehouse", code="W", name="仓")
    company.exchange()
    return made
