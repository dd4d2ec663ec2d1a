"""Quotes, contracts and deliveries of a customer through a salesman's week, at head office and at a branch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcrm.domain.crm.reminders import reminders
from localcrm.domain.records import BEHAVIOURS
from localcrm.domain.sales.contracts import chain_of
from localcrm.domain.sales.timeline import customer_timeline
from localcrm.domain.sales.versions import versions_of
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.schema import entity
from localcrm.store.query import Condition, ListQuery, select
from tests.factories import FIRST_DAY, Company, Installation, copy_company

TODAY = FIRST_DAY


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    copy = copy_company(tmp_path, branches=2)
    yield copy
    copy.close()


@pytest.fixture
def hq(company: Company) -> Installation:
    return company.hq


def test_a_quote_is_numbered_offered_accepted_and_says_what_the_deal_is_worth(hq):
    customer = hq.new("customer", name="绍兴宏达")
    deal = hq.new("opportunity", title="秋季面料", customer_id=customer, amount="80000")
    quote = hq.new("quote", opportunity_id=deal, amount="76500.50", valid_until=str(TODAY + dt.timedelta(days=20)))
    row = hq.get("quote", quote)
    assert row["number"].startswith("QT-HQ-")
    assert (row["title"], row["customer_id"], row["date"], row["version_no"]) == ("秋季面料", customer, str(TODAY), 1)
    hq.set("quote", quote, status="sent")
    assert hq.get("opportunity", deal)["amount"] == "80000.00"
    hq.set("quote", quote, status="accepted")
    assert hq.get("opportunity", deal)["amount"] == "76500.50"


def test_a_new_version_takes_the_place_of_the_old_one(hq):
    customer = hq.new("customer", name="绍兴宏达")
    first = hq.new("quote", title="面料", customer_id=customer, amount="100")
    second = hq.run("sales.new_quote_version", quote_id=first)
    assert (second["version_no"], second["replaces_id"], second["status"], second["amount"]) == (2, first, "draft", "100.00")
    assert hq.get("quote", first)["status"] == "replaced"
    with pytest.raises(AppError) as again:
        hq.run("sales.new_quote_version", quote_id=first)
    assert again.value.code == "quote_replaced"
    hq.set("quote", second["id"], status="accepted")
    with pytest.raises(AppError) as accepted:
        hq.run("sales.new_quote_version", quote_id=second["id"])
    assert accepted.value.code == "quote_accepted"


def test_versions_of_a_quote_stand_side_by_side_from_whichever_one_looks(hq):
    customer = hq.new("customer", name="绍兴宏达")
    first = hq.new("quote", title="面料", customer_id=customer, amount="100", date=str(TODAY), valid_until=str(TODAY), remark="含运费")
    second = hq.run("sales.new_quote_version", quote_id=first)["id"]
    hq.set("quote", second, amount="95")
    third = hq.run("sales.new_quote_version", quote_id=second)["id"]
    alone = hq.new("quote", title="另一张", customer_id=customer)
    with hq.store.read() as connection:
        for looked_at in (first, second, third):
            found = versions_of(connection, hq.actor, looked_at)
            assert [row["id"] for row in found.rows] == [first, second, third]
        differ = {field.key: [found.changed(field, place) for place in range(3)] for field in found.fields}
        assert differ["amount"] == [False, True, False]
        assert differ["valid_until"] == [False, True, False]
        assert {"title", "remark", "customer_id"} & differ.keys() == set()
        assert [row["id"] for row in versions_of(connection, hq.actor, alone).rows] == [alone]


def test_papers_name_records_of_their_own_customer_and_days_in_order(hq):
    one, other = hq.new("customer", name="甲公司"), hq.new("customer", name="乙公司")
    deal = hq.new("opportunity", title="别人的", customer_id=other)
    contract = hq.new("contract", title="框架", customer_id=other)
    order = hq.order(one, hq.new("product", code="P1", name="布", price="10", tax_rate="0.13"))
    refused = {
        "another_customer": [
            ("quote", {"title": "x", "customer_id": one, "opportunity_id": deal}),
            ("contract", {"title": "x", "customer_id": one, "opportunity_id": deal}),
            ("delivery", {"customer_id": other, "order_id": order}),
            ("sales_order", {"customer_id": one, "contract_id": contract}),
        ],
        "end_before_start": [
            ("quote", {"title": "x", "customer_id": one, "date": "2026-11-20", "valid_until": "2026-11-19"}),
            ("contract", {"title": "x", "customer_id": one, "starts_on": "2026-11-20", "ends_on": "2026-11-19"}),
            ("delivery", {"customer_id": one, "date": "2026-11-20", "received_on": "2026-11-19"}),
        ],
    }
    for code, cases in refused.items():
        for kind, values in cases:
            with pytest.raises(InvalidInput) as error:
                hq.new(kind, **values)
            assert error.value.code == code, kind


def test_both_branches_sell_under_one_contract_and_head_office_sees_what_is_left(company, hq):
    one, two = company.branches["BR01"], company.branches["BR02"]
    customer = hq.new("customer", name="连锁超市总部")
    product = hq.new("product", code="P1", name="布", price="100", tax_rate="0", stocked=False)
    contract = hq.new("contract", title="年度框架", customer_id=customer, amount="1000", status="signed")
    assert hq.get("contract", contract)["signed_on"] == str(TODAY)
    company.exchange()
    orders = {}
    for branch, quantity in ((one, "3"), (two, "2")):
        orders[branch.code] = branch.order(customer, product, quantity=quantity)
        branch.set("sales_order", orders[branch.code], contract_id=contract)
        branch.run("sales.post_order", order_id=orders[branch.code])
    one.run("finance.receive_payment", order_id=orders["BR01"], amount="120")
    company.exchange()
    company.exchange()
    for node in company.nodes:
        told = {"ordered": "500.00", "received": "120.00", "unreceived": "880.00", "ordered_percent": 50, "received_percent": 12}
        assert standing(node, contract) == told
    two.run("sales.reverse_order", order_id=orders["BR02"])
    company.exchange()
    assert standing(hq, contract)["ordered"] == "300.00"


def standing(node: Installation, contract: str) -> dict[str, str]:
    derive = BEHAVIOURS["contract"].derive
    assert derive is not None
    with node.store.read() as connection:
        records = select(connection, ListQuery(entity("contract"), where=(Condition("id", "=", contract),))).rows
        return derive(connection, node.actor, records)[0]


def test_whom_a_new_deal_and_quote_go_to_is_the_main_contact(hq):
    customer = hq.new("customer", name="绍兴宏达")
    other, main = (hq.new("contact", customer_id=customer, name=name, is_main=name == "周总") for name in ("小李", "周总"))
    made = [
        hq.new(kind, title="面料", customer_id=customer, **who) for kind in ("opportunity", "quote") for who in ({}, {"contact_id": other})
    ]
    kinds = ("opportunity", "opportunity", "quote", "quote")
    assert [hq.get(kind, one)["contact_id"] for kind, one in zip(kinds, made, strict=True)] == [main, other] * 2
    quote = hq.new("quote", title="面料", opportunity_id=made[1])
    assert hq.get("quote", quote)["contact_id"] == other, "as the deal says"


def test_a_contract_is_carried_on_for_as_long_again(hq):
    customer = hq.new("customer", name="绍兴宏达")
    first = hq.new("contract", title="年度供货", customer_id=customer, amount="5", starts_on="2026-01-01", ends_on="2026-12-31")
    second = hq.run("sales.renew_contract", contract_id=first)
    assert (second["previous_id"], second["starts_on"], second["ends_on"], second["status"]) == (first, "2027-01-01", "2027-12-31", "draft")
    with pytest.raises(AppError) as again:
        hq.run("sales.renew_contract", contract_id=first)
    assert again.value.code == "contract_renewed"
    third = hq.run("sales.renew_contract", contract_id=second["id"])
    hq.new("contract", title="别的", customer_id=customer)
    with hq.store.read() as connection:
        chains = [[row["id"] for row in chain_of(connection, hq.actor, one)] for one in (first, second["id"], third["id"])]
    assert chains == [[first, second["id"], third["id"]]] * 3
    deal = hq.new("opportunity", title="保养", customer_id=customer)
    plan = hq.get("service_plan", hq.new("service_plan", opportunity_id=deal, title="季度保养", contract_id=first))
    assert plan["until"] == "2026-12-31"
    elsewhere = hq.new("opportunity", title="保养", customer_id=hq.new("customer", name="别家"))
    with pytest.raises(AppError) as foreign:
        hq.new("service_plan", opportunity_id=elsewhere, title="季度保养", contract_id=first)
    assert foreign.value.code == "another_customer"


def test_a_delivery_goes_to_the_address_of_the_customer_and_is_signed_for_today(hq):
    customer = hq.new("customer", name="绍兴宏达", address="绍兴市柯桥区")
    order = hq.order(customer, hq.new("product", code="P1", name="布", price="10", tax_rate="0.13"))
    delivery = hq.new("delivery", order_id=order, carrier="顺丰", tracking_no="SF1234567890")
    row = hq.get("delivery", delivery)
    assert (row["customer_id"], row["address"], row["date"], row["status"]) == (customer, "绍兴市柯桥区", None, "packed")
    hq.set("delivery", delivery, status="received", received_by="王芳")
    row = hq.get("delivery", delivery)
    assert (row["date"], row["received_on"]) == ("2026-11-20", "2026-11-20")


def test_what_is_about_to_run_out_is_an_occasion_to_call(hq):
    customer = hq.new("customer", name="绍兴宏达")
    now = now_utc()
    soon, late = (str(now.date() + dt.timedelta(days=days)) for days in (3, 90))
    quote = hq.new("quote", title="面料", customer_id=customer, amount="1", valid_until=soon)
    hq.new("quote", title="更晚", customer_id=customer, amount="1", valid_until=late, status="sent")
    contract = hq.new("contract", title="年度供货", customer_id=customer, ends_on=soon, status="signed")

    def told() -> list[tuple[str, str, str]]:
        with hq.store.read() as connection:
            found = reminders(connection, hq.store.node, hq.actor, now=now, ahead=dt.timedelta(days=1))
        return [(one.kind, one.title, one.text) for one in found if one.kind in {"quote", "contract"}]

    assert told() == [("contract", "绍兴宏达", "年度供货")]  # a draft holds nobody to anything
    hq.set("quote", quote, status="sent")
    assert sorted(told()) == [("contract", "绍兴宏达", "年度供货"), ("quote", "绍兴宏达", "面料")]
    hq.set("quote", quote, status="accepted")
    hq.set("contract", contract, status="cancelled")
    assert told() == []


def test_the_timeline_tells_of_all_three(hq):
    customer = hq.new("customer", name="绍兴宏达")
    hq.new("quote", title="面料", customer_id=customer, amount="1")
    hq.new("contract", title="年度供货", customer_id=customer, status="signed")
    hq.new("delivery", customer_id=customer, status="shipped")
    with hq.store.read() as connection:
        events = customer_timeline(connection, hq.actor, customer)
    assert {event.kind.key for event in events} == {"quote", "contract", "delivery"}


def test_two_customers_merged_take_their_papers_along(hq):
    keep, other = hq.new("customer", name="绍兴宏达"), hq.new("customer", name="绍兴宏达有限公司")
    for kind, values in (("quote", {"title": "a"}), ("contract", {"title": "b"}), ("delivery", {})):
        hq.new(kind, customer_id=other, **values)
    hq.run("crm.merge_customers", kept=keep, merged=other)
    for kind in ("quote", "contract", "delivery"):
        assert hq.rows(f"SELECT lower(hex(customer_id)) FROM {kind}") == [(keep,)], kind
    assert entity("quote").fields["customer_id"].f.ref == "customer"


def test_whoever_is_done_with_a_quote_or_contract_that_ends_hears_no_more_of_it(hq):
    customer, soon = hq.new("customer", name="绍兴宏达"), str(TODAY + dt.timedelta(days=3))
    hq.new("quote", title="面料", customer_id=customer, amount="1", valid_until=soon, status="sent")
    hq.new("contract", title="年度供货", customer_id=customer, ends_on=soon, status="signed")
    keys = [row["key"] for row in hq.run("crm.list_reminders", days=30)["rows"] if row["kind"] in {"quote", "contract"}]
    assert len(keys) == 2
    hq.run("crm.settle_reminders", keys=keys)
    assert not [row for row in hq.run("crm.list_reminders", days=30)["rows"] if row["kind"] in {"quote", "contract"}]
