"""Head office sets what products cost customers of a price level; every branch sells at it."""

from __future__ import annotations

from decimal import Decimal

from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.sales.offers import find_products
from localcrm.domain.sales.repriced import repriced
from localcrm.kernel.schema import entity
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

    def changed() -> list[str]:
        wang = actor_by_id(hq.store, user)
        assert wang is not None
        with hq.store.read() as connection:
            return repriced(connection, wang, entity("sales_order"))

    assert asked() == "8.5" and changed() == []
    hq.run("people.set_field_rule", login="wang", entity="level_price", field="price", rule="hidden")
    assert asked() == "10" and changed() == []  # whether 8.5 is still the price he cannot know


def test_a_partner_who_buys_himself_is_offered_prices_of_his_level_or_the_share_agreed_with_him(hq: Installation) -> None:
    cloth = hq.new("product", code="F1", name="雪纺", price="10", tax_rate="0.13", stocked=False)
    other = hq.new("product", code="F2", name="里料", price="3", tax_rate="0.13", stocked=False)
    buyer = hq.new("customer", name="华东代理")
    partner = hq.new("partner", name="华东代理", level="core", discount="0.9", customer_id=buyer)
    level = hq.new("level_price", product_id=cloth, level="core", price="8")

    def line(kind: str, product: str, **typed: str) -> tuple[str, str]:
        made = hq.run(f"sales.save_{kind}", header={"customer_id": buyer}, lines=[{"product_id": product, "quantity": "1", **typed}])[
            "lines"
        ][0]
        return made["price"], made["discount"]

    for kind in ("order", "quote"):
        assert line(kind, cloth) == ("8", "1")  # never taken off twice
        assert line(kind, other) == ("3", "0.9")
        assert line(kind, other, price="2.5") == ("2.5", "1")
        assert line(kind, other, discount="0.8") == ("3", "0.8")
        made = hq.run(f"sales.save_{kind}", header={"customer_id": buyer}, lines=[{"product_id": other, "quantity": "1"}])["lines"][0]["id"]
        lines = "sales_order_line" if kind == "order" else "quote_line"
        for product, price, share in ((cloth, "8", "1"), (other, "3", "0.9")):  # each product by what was agreed on it
            hq.set(lines, made, product_id=product)
            assert [Decimal(str(hq.get(lines, made)[key])) for key in ("price", "discount")] == [Decimal(price), Decimal(share)]
    with hq.store.read() as connection:
        (offer,) = find_products(connection, hq.actor, text="里料", customer_id=buyer)
    assert offer["discount"] == Decimal("0.9")
    hq.set("customer", buyer, price_level="trade")
    assert line("order", cloth) == ("10", "0.9")
    hq.set("customer", buyer, price_level="")
    hq.set("partner", partner, starts_on="2020-01-01", ends_on="2020-12-31")
    assert line("order", cloth) == ("10", "1") and line("order", other) == ("3", "1")
    hq.delete("level_price", level)
