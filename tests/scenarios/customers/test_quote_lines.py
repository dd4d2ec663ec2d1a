"""A quote with lines: from what was talked about to the order that is delivered, typed once."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.sales.repriced import repriced
from localcrm.domain.sales.versions import versions_of
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity as entity_type
from tests.factories import Company, Installation

TODAY = dt.date.today()


@pytest.fixture
def cloth(hq: Installation) -> str:
    return hq.new("product", code="P1", name="布", unit="米", price="9.80", tax_rate="0.13", stocked=False)


@pytest.fixture
def customer(hq: Installation) -> str:
    return hq.new("customer", name="绍兴宏达")


def quoted(node: Installation, customer: str, *lines: dict[str, Any], **header: Any) -> dict[str, Any]:
    return dict(node.run("sales.save_quote", header={"customer_id": customer, **header}, lines=list(lines)))


def refused(node: Installation, verb: str, **parameters: Any) -> str:
    with pytest.raises(AppError) as error:
        node.run(verb, **parameters)
    return error.value.code


def test_a_quote_comes_to_the_sum_of_its_lines_by_the_rules_of_orders(hq, customer, cloth):
    lines = [{"product_id": cloth, "quantity": "10"}, {"product_id": cloth, "quantity": "3", "price": "100", "discount": "0.95"}]
    made = quoted(hq, customer, *lines)
    order = hq.run("sales.save_order", header={"customer_id": customer}, lines=lines)
    amounts = [[line[key] for key in ("net", "tax", "gross", "unit", "description")] for line in made["lines"]]
    assert amounts == [["86.73", "11.27", "98.00", "米", "布"], ["252.21", "32.79", "285.00", "米", "布"]]
    assert amounts == [[line[key] for key in ("net", "tax", "gross", "unit", "description")] for line in order["lines"]]
    assert (made["net"], made["tax"], made["amount"]) == (order["net"], order["tax"], order["gross"]) == ("338.94", "44.06", "383.00")
    assert made["title"] == "绍兴宏达"
    hq.set("quote", made["id"], tax_included=False)
    assert hq.get("quote", made["id"])["amount"] == "432.79"
    assert refused(hq, "records.update_record", entity="quote", id=made["id"], values={"amount": "1"}) == "amount_of_lines"
    hq.delete("quote_line", made["lines"][1]["id"])
    assert hq.get("quote", made["id"])["amount"] == "110.74"
    hq.undelete("quote_line", made["lines"][1]["id"])
    assert hq.get("quote", made["id"])["amount"] == "432.79"


def test_a_new_version_takes_the_lines_along_and_only_drafts_change(hq, customer, cloth):
    first = quoted(hq, customer, {"product_id": cloth, "quantity": "10"}, {"product_id": cloth, "quantity": "1", "price": "5"})
    hq.set("quote", first["id"], status="sent")
    line = first["lines"][0]["id"]
    assert refused(hq, "records.update_record", entity="quote_line", id=line, values={"quantity": "2"}) == "quote_no_draft"
    assert refused(hq, "records.delete_record", entity="quote_line", id=line) == "quote_no_draft"
    assert refused(hq, "sales.save_quote", quote_id=first["id"], header={}, lines=[]) == "quote_no_draft"
    second = hq.run("sales.new_quote_version", quote_id=first["id"])["id"]
    copied = hq.run("sales.quote_with_lines", quote_id=second)
    assert (copied["amount"], [one["quantity"] for one in copied["lines"]]) == ("103.00", ["10", "1"])
    lines = [{"id": copied["lines"][0]["id"], "price": "9.50"}, {"id": copied["lines"][1]["id"]}]
    hq.run("sales.save_quote", quote_id=second, header={}, lines=lines)
    assert [hq.get("quote", one)["amount"] for one in (first["id"], second)] == ["103.00", "100.00"]
    with hq.store.read() as connection:
        (differs,) = versions_of(connection, hq.actor, first["id"]).lines
    assert differs.product == "布"
    assert [one["price"] for one in differs.cells if one] == [Decimal("9.800000"), Decimal("9.500000")]


def test_an_accepted_quote_is_what_the_deal_is_worth_and_becomes_an_order_with_one_click(hq, customer, cloth):
    deal = hq.new("opportunity", title="秋季面料", customer_id=customer, amount="80000")
    made = quoted(hq, customer, {"product_id": cloth, "quantity": "10", "price": "9", "remark": "加急"}, opportunity_id=deal)
    assert made["title"] == "秋季面料"
    assert refused(hq, "sales.order_from_quote", quote_id=made["id"]) == "quote_not_accepted"
    hq.set("quote", made["id"], status="accepted")
    assert hq.get("opportunity", deal)["amount"] == "90.00"
    hq.set("product", cloth, price="12")  # what was offered counts
    order = hq.run("sales.order_with_lines", order_id=hq.run("sales.order_from_quote", quote_id=made["id"])["id"])
    (line,) = order["lines"]
    assert (order["quote_id"], order["opportunity_id"], order["gross"], order["status"]) == (made["id"], deal, "90.00", "draft")
    assert (line["price"], line["quantity"], line["remark"], line["description"]) == ("9", "10", "加急", "布")
    assert refused(hq, "sales.order_from_quote", quote_id=made["id"]) == "quote_ordered"
    hq.run("sales.post_order", order_id=order["id"])
    hq.run("sales.reverse_order", order_id=order["id"])
    again = hq.run("sales.order_from_quote", quote_id=made["id"])["id"]
    assert again != order["id"]


def test_what_rests_on_old_prices_is_listed_once_new_ones_have_come(company: Company, hq, customer, cloth):
    """Head office changes a price, and one of a level; the branch hears of both and looks again at what it has under way."""
    company.down("BR01")
    branch = company.branches["BR01"]
    trade = branch.new("customer", name="批发行", price_level="trade")
    line = [{"product_id": cloth, "quantity": "1"}]
    made = {
        (kind, whom): branch.run(f"sales.save_{kind}", header={"customer_id": whom}, lines=line)["id"]
        for kind in ("quote", "order")
        for whom in (customer, trade)
    }
    accepted = branch.run("sales.save_quote", header={"customer_id": customer}, lines=line)["id"]
    branch.set("quote", accepted, status="accepted")
    branch.run("sales.order_from_quote", quote_id=accepted)

    def listed() -> set[str]:
        with branch.store.read() as connection:
            return {one for kind in ("quote", "sales_order") for one in repriced(connection, branch.actor, entity_type(kind))}

    assert listed() == set()
    hq.set("product", cloth, price="11")
    level = hq.new("level_price", product_id=cloth, level="trade", price="9.80")
    company.down("BR01")
    assert listed() == {made["quote", customer], made["order", customer]}
    hq.set("level_price", level, price="9")
    branch.run("sales.save_order", header={}, order_id=made["order", customer], lines=line)
    branch.run("sales.post_order", order_id=made["order", trade])
    company.down("BR01")
    assert listed() == {made["quote", customer], made["quote", trade]}


def test_lines_belong_to_the_branch_that_wrote_the_quote(company: Company, hq, customer, cloth):
    branch = company.branches["BR01"]
    company.exchange()
    made = quoted(branch, customer, {"product_id": cloth, "quantity": "10"})
    company.exchange()
    assert hq.get("quote", made["id"])["amount"] == "98.00"
    line = made["lines"][0]["id"]
    assert refused(hq, "records.update_record", entity="quote_line", id=line, values={"quantity": "2"}) == "quote_elsewhere"
    branch.run("sales.save_quote", quote_id=made["id"], header={}, lines=[{"id": line, "quantity": "20"}])
    theirs = hq.run("sales.new_quote_version", quote_id=made["id"])["id"]  # written before the branch's change is known
    assert hq.get("quote", theirs)["amount"] == "98.00"
    hq.set("quote", theirs, status="accepted")
    company.exchange()
    assert len(company.digests) == 1
    assert (hq.get("quote", made["id"])["amount"], hq.get("quote", made["id"])["status"]) == ("196.00", "replaced")
    assert branch.run("sales.order_from_quote", quote_id=theirs)["id"]


def test_who_may_write_quotes_writes_their_lines_and_sees_none_of_others(hq: Installation, customer: str, cloth: str):
    user = hq.new("user", login="lin", name="林晓", role="none")
    for entity, actions in (("customer", ["read"]), ("product", ["read"]), ("quote", ["read", "create", "update"])):
        scope = "own" if entity == "quote" else "all"
        hq.run("people.set_rights", login="lin", entity=entity, actions=actions, scope=scope)
    lin = actor_by_id(hq.store, user)
    assert lin is not None
    given = {"header": {"customer_id": customer}, "lines": [{"product_id": cloth, "quantity": "10"}]}
    mine = verbs.run(hq.store, lin, "sales.save_quote", given)
    assert (mine["amount"], mine["lines"][0]["gross"]) == ("98.00", "98.00")
    theirs = quoted(hq, customer, {"product_id": cloth, "quantity": "1"})
    for verb, parameters in (
        ("sales.quote_with_lines", {"quote_id": theirs["id"]}),
        ("sales.save_quote", {"quote_id": theirs["id"], "header": {}, "lines": []}),
        ("sales.order_from_quote", {"quote_id": theirs["id"]}),
        ("sales.new_quote_version", {"quote_id": theirs["id"]}),
        ("records.update_record", {"entity": "quote_line", "id": theirs["lines"][0]["id"], "values": {"price": "1"}}),
        ("records.create_record", {"entity": "quote_line", "values": {"quote_id": theirs["id"], "product_id": cloth, "quantity": "1"}}),
    ):
        with pytest.raises(AppError) as error:
            verbs.run(hq.store, lin, verb, parameters)
        assert error.value.code == "not_found", verb
    with pytest.raises(AppError) as error:
        hq.run("people.set_rights", login="lin", entity="quote_line", actions=["read"], scope="all")
    assert error.value.code == "line_rights"
