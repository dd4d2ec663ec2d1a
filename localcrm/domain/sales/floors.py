"""How low a price may be: the lowest price of a product, and its cost.

A line below either is refused, unless whoever enters it may sell below and says why; the reason stays with the line. The lowest price is
meant as list prices are, with tax or without; cost is without. A line of no quantity, or of goods that come back, has no lowest price.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.options.company import company_yes
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import plain_decimal
from localcrm.store.connection import Connection
from localcrm.store.node import Node

_PRODUCT = Product.entity_type
#: The right to sell below; it covers quotes too.
RIGHT = "sales_order.undersell"
#: What of a line decides whether it is below: where none of it changes, what was let pass stays.
DECIDES = ("product_id", "quantity", "price", "discount", "tax_rate")


@dataclass(frozen=True, slots=True)
class Floor:
    """How low a product may be sold. ``with_tax``: whether its lowest price is meant with tax."""

    name: str
    lowest: Decimal | None
    cost: Decimal | None
    with_tax: bool


@dataclass(frozen=True, slots=True)
class Below:
    """A line that is too cheap: the field of the product that says so, and how much that is."""

    floor: Floor
    field: str
    limit: Decimal


def floors_of(connection: Connection, node: Node, product_ids: Iterable[str]) -> dict[str, Floor]:
    """How low products may be sold, by id; those that have neither a lowest price nor a cost are left out."""
    rows = connection.all(
        """SELECT lower(hex(id)), name, floor_price, cost FROM product
           WHERE id IN (SELECT unhex(value) FROM json_each(?)) AND (floor_price IS NOT NULL OR cost IS NOT NULL)""",
        (json.dumps(list(product_ids)),),
    )
    with_tax = bool(rows) and company_yes(connection, node, "prices_include_tax")
    lowest, cost = _PRODUCT.fields["floor_price"], _PRODUCT.fields["cost"]
    return {identity: Floor(name, lowest.load(least), cost.load(paid), with_tax) for identity, name, least, paid in rows}


def below(floor: Floor | None, line: Mapping[str, Any], *, tax_included: bool) -> Below | None:
    """Whether a line is too cheap; its lowest price is named before its cost."""
    if floor is None or line["quantity"] <= 0:
        return None
    with_tax = Fraction(line["price"]) * Fraction(line["discount"])
    without = with_tax / (1 + Fraction(line["tax_rate"])) if tax_included else with_tax
    if not tax_included:
        with_tax *= 1 + Fraction(line["tax_rate"])
    if floor.lowest is not None and (with_tax if floor.with_tax else without) < floor.lowest:
        return Below(floor, "floor_price", floor.lowest)
    return Below(floor, "cost", floor.cost) if floor.cost is not None and without < floor.cost else None


def require_allowed(actor: Actor, found: Below | None, reason: object) -> None:
    """Refuse a line that is too cheap: to whoever may not sell below, and without a reason to whoever may.

    How low is said only to those who may see that field of products. Raises InvalidInput("below_floor") or InvalidInput("why_below").
    """
    if found is None or (reason and policy.may(actor, RIGHT)):
        return
    seen = policy.seen(actor, _PRODUCT)
    product = found.floor.name if seen is not None and seen.shows("name") else _PRODUCT.label
    told = {"product": product, "limit": plain_decimal(found.limit), "field": "price"}
    is_shown = seen is not None and seen.shows(found.field)
    if policy.may(actor, RIGHT):
        text = (
            N_("“{product}” is not sold below {limit}. Say why it is here.") if is_shown else N_("“{product}” is too cheap. Say why it is.")
        )
        raise InvalidInput("why_below", text, **(told if is_shown else {**told, "limit": ""}))
    text = N_("“{product}” is not sold below {limit}.") if is_shown else N_("“{product}” is not sold at a price this low.")
    raise InvalidInput("below_floor", text, **(told if is_shown else {**told, "limit": ""}))
