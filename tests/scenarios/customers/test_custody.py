"""Whose a customer is, and what hangs on that: what keeps it with its salesperson, what goes along, who else sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcrm.domain.crm import reclaim
from tests.scenarios.customers.test_pools import Day, working_day


@pytest.fixture
def day() -> Iterator[Day]:
    """Head office alone."""
    yield from working_day(branches=0)


@pytest.fixture
def apart() -> Iterator[Day]:
    """Head office and two branches."""
    yield from working_day(branches=2)


# what keeps a customer from being reclaimed -----------------------------------------------------------------------------------


def test_an_open_opportunity_or_a_running_contract_keeps_a_customer_with_its_salesperson(day: Day) -> None:
    pool = day.pool()
    day.hq.new("reclaim_rule", name="三十天", pool_id=pool, days=30)
    made = {
        name: day.hq.new("customer", name=name, owner_id=day.users["chen"]) for name in ("没事", "商机", "丢单", "合同", "旧合同", "报价")
    }
    day.hq.new("opportunity", customer_id=made["商机"], title="二期")
    lost = day.hq.new("opportunity", customer_id=made["丢单"], title="一期")
    day.hq.run("crm.lose", opportunity_id=lost, reason="dear")
    running = {"status": "signed", "starts_on": "2026-01-01", "amount": "100"}
    day.hq.new("contract", customer_id=made["合同"], title="年度", ends_on="2099-12-31", **running)
    day.hq.new("contract", customer_id=made["旧合同"], title="去年", ends_on="2026-02-01", **running)
    day.hq.new("quote", customer_id=made["报价"], title="面料")
    day.hq.clock.forward(days=31)  # type: ignore[attr-defined]
    assert reclaim.run(day.hq.store) == 4
    assert {name for name, one in made.items() if day.owner(day.hq, one)} == {"商机", "合同"}
