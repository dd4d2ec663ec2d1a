"""An insert travels as a reference: what a row began with is worked out from what later changes say was there. A branch that
lies about that must not make head office tell other branches what they cannot take.
"""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.kernel.schema import entity
from localcrm.sync.codec import GONE, INSERT, UPDATE, Change
from tests.factories import Company
from tests.sync.scoping import forged

CUSTOMER, ORDER, LINE = entity("customer"), entity("sales_order"), entity("sales_order_line")


@pytest.fixture
def draft(company: Company) -> tuple[bytes, bytes]:
    """An order of the first branch and its line; head office has them, the second branch has not."""
    one = company.branches["BR01"]
    order = one.order(one.new("customer", name="甲"), one.new("product", code="P", name="布", price="9"))
    company.up("BR01")
    return bytes.fromhex(order), one.value("SELECT id FROM sales_order_line")


def say(company: Company, *changes: Change) -> list[str]:
    """Head office hears these of the first branch, and the second branch hears of it; returns why something was kept out."""
    reasons = forged(company, *changes)
    assert company.down("BR02").items() >= {"quarantined": 0, "digest": "equal"}.items()
    return reasons


def test_a_draft_that_is_said_to_have_been_posted(company: Company, draft: tuple[bytes, bytes]) -> None:
    no = ORDER.fields["status"].no
    assert say(company, Change(ORDER.no, UPDATE, draft[0], [(no, "posted", "draft")], None)) == ["bad_value"]


def test_a_line_that_is_said_to_have_been_elsewhere(company: Company, draft: tuple[bytes, bytes]) -> None:
    no = LINE.fields["order_id"].no
    assert say(company, Change(LINE.no, UPDATE, draft[1], [(no, b"x" * 16, draft[0])], None)) == ["bad_value"]


@pytest.mark.parametrize("told", [[], [(LINE.fields["order_id"].no, b"x" * 16)], [(LINE.fields["quantity"].no, 7)]])
def test_a_line_that_is_removed_as_another_than_it_was(company: Company, draft: tuple[bytes, bytes], told: list[Any]) -> None:
    """It goes; what it was head office knows itself."""
    assert say(company, Change(LINE.no, GONE, draft[1], told, None)) == []
    assert company.branches["BR02"].value("SELECT count(*) FROM sales_order_line") == 0


def test_a_record_that_is_deleted_from_its_beginning(company: Company) -> None:
    assert say(company, Change(CUSTOMER.no, INSERT, b"c" * 16, [(0, 1), (CUSTOMER.fields["name"].no, "甲")], None)) == ["unknown_column"]
