"""Prices by level: what a product costs a customer of a price level. Head office sets them; a new line takes them before anything else.

A customer without a price level of his own may be somebody to whom more was promised, as channel partners are (``FURTHER_TERMS``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.sales.entities import LevelPrice
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, records_by_id
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import View

_LEVEL_PRICE, _CUSTOMER = LevelPrice.entity_type, Customer.entity_type


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed with somebody who is a customer too: at prices of which level he buys, and which share of the list price he pays elsewhere."""

    level: str | None = None
    discount: Decimal | None = None


#: Who else knows what was agreed with a customer, as far as the actor may see it; the first one that knows anything is heard.
FURTHER_TERMS: list[Callable[[Connection, Actor, str], Terms | None]] = []


def terms_of(connection: Connection, actor: Actor, customer_id: str | None) -> Terms:
    """What was agreed with a customer: his own price level goes before that of anything else he is."""
    if not customer_id:
        return Terms()
    agreed = next((terms for ask in FURTHER_TERMS if (terms := ask(connection, actor, customer_id))), Terms())
    seen = policy.seen(actor, _CUSTOMER)
    if seen is None or not seen.shows("price_level"):
        return agreed
    own = next((customer["price_level"] for customer in records_by_id(connection, _CUSTOMER, [customer_id])), None)
    return Terms(own or agreed.level, agreed.discount)


def sees_prices(actor: Actor) -> View | None:
    """What the actor sees of prices by level; None where he may not see which product costs what at which."""
    prices = policy.seen(actor, _LEVEL_PRICE)
    return prices if prices is not None and all(map(prices.shows, ("product_id", "level", "price"))) else None


def sees_levels(actor: Actor) -> bool:
    """Whether he sees them, and at which of them a customer buys."""
    customers = policy.seen(actor, _CUSTOMER)
    return sees_prices(actor) is not None and customers is not None and customers.shows("price_level")


def level_prices(connection: Connection, actor: Actor, product_ids: Sequence[str], customer_id: str | None) -> dict[str, Decimal]:
    """Prices of a customer's level by product; a product without one is left out, and all are where the actor may not see level or price."""
    prices = sees_prices(actor)
    if not product_ids or prices is None:
        return {}
    level = terms_of(connection, actor, customer_id).level
    if not level:
        return {}
    condition, params = prices.condition("p")
    rows = connection.all(
        f"""SELECT lower(hex(p.product_id)), p.price FROM level_price p
            WHERE p.product_id IN (SELECT unhex(value) FROM json_each(?)) AND +p.level = ? AND p.deleted = 0 AND {condition} ORDER BY p.id""",
        (json.dumps(list(product_ids)), level, *params),
    )
    return {product: _LEVEL_PRICE.fields["price"].load(price) for product, price in rows}


def check_level_price(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A product has one price for each level."""
    same = uow.where(_LEVEL_PRICE, product_id=new["product_id"], level=new["level"])
    if any(other["id"] != (old or {}).get("id") for other in same):
        raise InvalidInput("priced_already", N_("This product has a price for this level already. Change that one."), field="level")


BEHAVIOURS = {"level_price": Behaviour(check=check_level_price, distinct=("level",))}
