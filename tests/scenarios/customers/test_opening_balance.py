"""A company begins its books: what customers owed before is owed, paid and set off like orders, and sells nothing."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain.conditions import PRESETS, Asking, tree_query
from localcrm.domain.crm.custody import sold_under
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.sales.offers import customer_account
from localcrm.domain.sales.standing import last_prices, purchase_rhythm
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.query import select
from tests.factories import Company, Installation


def unpaid(at: Installation, customer: str) -> str:
    with at.store.read() as connection:
        return f"{customer_glances(connection, at.actor, [customer])[customer].unpaid:.2f}"


def asked(at: Installation, preset: str) -> list[str]:
    kind = entity("customer")
    with at.store.read() as connection:
        return [row["name"] for row in select(connection, tree_query(kind, PRESETS[kind.key][preset].tree, Asking(at.actor))).rows]


def test_an_old_debt_is_owed_and_paid_and_is_no_sale(company: Company):
    hq, branch = company.hq, company.branches["BR01"]
    mill, other = hq.new("customer", name="永盛织造厂"), hq.new("customer", name="老客户布行")
    before = (date.today() - timedelta(days=90)).isoformat()
    debt: dict[str, Any] = hq.run("sales.enter_opening_balance", customer_id=mill, amount="12600.50", date=before, remark="2025 年尾款")
    hq.run("sales.enter_opening_balance", customer_id=other, amount="-300")

    assert (debt["status"], debt["gross"], debt["date"], bool(debt["number"])) == ("posted", "12600.50", before, True)
    assert (unpaid(hq, mill), unpaid(hq, other), asked(hq, "owing")) == ("12600.50", "-300.00", ["永盛织造厂"])
    with hq.store.read() as connection:
        assert sold_under(connection, hq.actor, mill) == []
        assert last_prices(connection, hq.actor, mill) == []
        assert purchase_rhythm(connection, hq.actor, mill, date.today()) is None

    # It is paid in parts at the place that entered it, and what was paid is kept when it is reversed only as far as it fits.
    hq.run("finance.receive_payment", order_id=debt["id"], amount="12000")
    with pytest.raises(AppError, match="600"):
        hq.run("finance.receive_payment", order_id=debt["id"], amount="700")
    assert unpaid(hq, mill) == "600.50"

    # The branch hears of it as of an order.
    company.exchange()
    assert unpaid(branch, mill) == "600.50"
    with pytest.raises(AppError) as refused:
        branch.run("sales.reverse_order", order_id=debt["id"])
    assert refused.value.code == "other_branch"

    wrong = hq.run("sales.enter_opening_balance", customer_id=mill, amount="99")
    back = hq.run("sales.reverse_order", order_id=wrong["id"], remark="录错")
    assert (back["gross"], back["opening"], unpaid(hq, mill)) == ("-99.00", True, "600.50")
    for amount, day in (("0", ""), ("1.005", ""), ("一百", ""), ("5", "昨天"), ("5", "2099-01-01")):
        with pytest.raises(AppError):
            hq.run("sales.enter_opening_balance", customer_id=mill, amount=amount, date=day)


def test_who_may_enter_orders_may_not_therefore_enter_opening_balances(hq: Installation):
    mill, user = hq.new("customer", name="永盛织造厂"), hq.new("user", login="wang", name="王芳", password="Correct-Horse-7", role="staff")
    hq.actor = actor_by_id(hq.store, user) or hq.actor
    with pytest.raises(AppError) as refused:
        hq.run("sales.enter_opening_balance", customer_id=mill, amount="100")
    assert refused.value.code == "forbidden"


def test_what_is_past_the_days_of_credit_is_told(hq: Installation):
    mill, product = (
        hq.new("customer", name="永盛织造厂", credit_days="30"),
        hq.new("product", code="P", name="线", price="1", stocked="false"),
    )
    today = date.today()

    def ordered(days_ago: int, quantity: str) -> str:
        header = {"customer_id": mill, "date": (today - timedelta(days=days_ago)).isoformat()}
        order = hq.run("sales.save_order", header=header, lines=[{"product_id": product, "quantity": quantity}])["id"]
        hq.run("sales.post_order", order_id=order)
        return str(order)

    _old, _due_today, new, back = ordered(45, "1000"), ordered(30, "50"), ordered(3, "200"), ordered(2, "70")
    hq.run("sales.reverse_order", order_id=back)
    hq.run("sales.enter_opening_balance", customer_id=mill, amount="-100")  # in his favour, whenever it was
    hq.run("finance.receive_payment", order_id=new, amount="50")  # of whatever order it names, it pays the oldest
    with hq.store.read() as connection:
        found = customer_account(connection, hq.actor, customer_id=mill)
    assert found is not None
    assert (found["unpaid"], found["overdue"]) == (Decimal("1100.00"), Decimal("850.00"))
