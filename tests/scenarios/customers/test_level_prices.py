"""Head office sets what products cost customers of a price level; every branch sells at it."""

from __future__ import annotations

from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.sales.offers import find_products
from tests.factories import Company, Installation
from tests.scenarios.customers.test_traps import code


def price_of(node: Installation, kind: str, customer: str, product: str) -> str:
    made = node.run(f"sales.save_{kind}", header={"customer_id": customer}, lines=[{"product_id": product, "quantity": "1"}])
    return str(made["lines"][0]["price"])


def test_a_new_line_takes_the_price_of_the_customers_level_and_offers_what_he_last_paid(company: Company, hq: Installation) -> None:
    branch = company.branches["BR01"]
    cloth = hq.new("product", code="F1", name="雪纺", price="10", tax_rate="0.13", stocked=False)
    other = hq.new("product", code="F2", name="里料", price="3", tax_rate="0.13", stocked=False)
    trade = hq.new("customer", name="绍兴批发行", price_level="trade")
    retail = hq.new("customer", name="街边小店", price_level="retail")
    plain = hq.new("customer", name="新客户")
    price = hq.new("level_price", product_id=cloth, level="trade", price="8.5")
    assert code(hq.new, "level_price", product_id=cloth, level="trade", price="8") == "priced_already"
    company.exchange()
    for node in company.nodes:
        for kind in ("order", "quote"):
            assert [price_of(node, kind, customer, cloth) for customer in (trade, retail, plain)] == ["8.5", "10", "10"]
            assert price_of(node, kind, trade, other) == "3"
    assert code(branch.new, "level_price", product_id=other, level="trade", price="2") == "office_only"
    assert code(branch.set, "level_price", price, price="1") == "office_only"

    sold = branch.run("sales.save_order", header={"customer_id": trade}, lines=[{"product_id": cloth, "quantity": "5", "price": "8.2"}])
    branch.run("sales.post_order", order_id=sold["id"])
    with branch.store.read() as connection:
        (offer,) = find_products(connection, branch.actor, text="雪纺", customer_id=trade)
    assert (str(offer["level_price"]), str(offer["last_price"]), str(offer["price"])) == ("8.500000", "8.200000", "10.000000")

    quote = hq.run("sales.save_quote", header={"customer_id": trade}, lines=[{"product_id": cloth, "quantity": "1"}])
    assert quote["lines"][0]["list_price"] == "8.5"
    hq.set("level_price", price, price="8.8")
    hq.delete("level_price", price)
    assert price_of(hq, "order", trade, cloth) == "10"


def test_who_may_not_see_prices_by_level_sells_at_the_list_price(hq: Installation) -> None:
    cloth = hq.new("product", code="F1", name="雪纺", price="10", tax_rate="0.13")
    trade = hq.new("customer", name="绍兴批发行", price_level="trade")
    hq.new("level_price", product_id=cloth, level="trade", price="8.5")
    user = hq.new("user", login="wang", name="王芳", role="staff")

    def asked() -> str:
        wang = actor_by_id(hq.store, user)
        assert wang is not None
        order = {"header": {"customer_id": trade}, "lines": [{"product_id": cloth, "quantity": "1"}]}
        return str(verbs.run(hq.store, wang, "sales.save_order", order)["lines"][0]["price"])

    assert asked() == "8.5"
    hq.run("people.set_field_rule", login="wang", entity="level_price", field="price", rule="hidden")
    assert asked() == "10"
