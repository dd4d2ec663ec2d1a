"""The note that goes along with a delivery: who sends it, to whom, and what is in it, as far as whoever asks may see that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcrm.domain import policy
from localcrm.domain.admin.entities import LegalEntity
from localcrm.domain.admin.organisation import company_of_branch
from localcrm.domain.catalog.entities import Product
from localcrm.domain.crm.entities import Customer
from localcrm.domain.policy import Actor
from localcrm.domain.records import no_such_record
from localcrm.domain.sales.entities import Delivery, DeliveryLine, SalesOrder
from localcrm.kernel.ids import is_id, parse_id
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, ref_titles, select, titles

_DELIVERY, _LINE, _ORDER = Delivery.entity_type, DeliveryLine.entity_type, SalesOrder.entity_type
_CUSTOMER, _PRODUCT, _COMPANY = Customer.entity_type, Product.entity_type, LegalEntity.entity_type
#: Lines of a delivery that are read.
MOST = 1000


@dataclass(frozen=True, slots=True)
class Note:
    """One delivery on paper.

    names: of what it refers to, by field and id · lines: its goods in their order, each with ``code`` and ``unit`` of its product ·
    company: the name it is sent in · phone: of the customer; "" where there is none, or none to be seen · beside: what came back of it, or
    what it came back from, and what goes in exchange.
    """

    delivery: Record
    names: Mapping[str, Mapping[str, str]]
    lines: Sequence[Mapping[str, Any]]
    company: str
    phone: str
    beside: Sequence[Record]


def note_of(connection: Connection, actor: Actor, delivery_id: str) -> Note:
    """The note of a delivery; raises NotFound where it may not be seen."""
    found = _seen(connection, actor, _DELIVERY, "id", parse_id(delivery_id))
    if not found:
        raise no_such_record(_DELIVERY)
    (delivery,) = found
    customers = _seen(connection, actor, _CUSTOMER, "id", delivery.get("customer_id"))
    phone = customers[0].get("phone") if customers else None
    lines = sorted(_seen(connection, actor, _LINE, "delivery_id", delivery["id"]), key=lambda line: line.get("position") or 0)
    products = _products(connection, actor, lines)
    told = [{**line, **{key: products.get(str(line.get("product_id")), {}).get(key) or "" for key in ("code", "unit")}} for line in lines]
    return Note(
        delivery,
        ref_titles(connection, _DELIVERY, found),
        told,
        _company(connection, actor, delivery),
        str(phone or ""),
        _beside(connection, actor, delivery),
    )


def _beside(connection: Connection, actor: Actor, delivery: Record) -> list[Record]:
    named = [("id", delivery.get("returns_id")), ("id", delivery.get("replaces_id"))]
    naming = [("returns_id", delivery["id"]), ("replaces_id", delivery["id"])]
    return [one for key, identity in (*named, *naming) for one in _seen(connection, actor, _DELIVERY, key, identity)]


def _seen(connection: Connection, actor: Actor, kind: EntityType, key: str, value: Any) -> list[Record]:
    view = policy.seen(actor, kind)
    if view is None or (key != "id" and not view.shows(key)) or not is_id(str(value)):  # what stands in place of a masked one is none
        return []
    return select(connection, ListQuery(kind, where=(Condition(key, "=", value),), limit=MOST, restrict=view), count=False).rows


def _products(connection: Connection, actor: Actor, lines: Sequence[Record]) -> dict[str, Mapping[str, Any]]:
    """Code and unit of the products of some lines, by id, each where it may be seen."""
    view = policy.seen(actor, _PRODUCT)
    if view is None:
        return {}
    condition, params = view.condition("product")
    rows = connection.all(
        f"SELECT lower(hex(id)), code, unit FROM product WHERE id IN (SELECT unhex(value) FROM json_each(?)) AND {condition}",
        [json.dumps([line["product_id"] for line in lines if is_id(str(line.get("product_id")))]), *params],
    )
    return {identity: view.of({"code": code, "unit": unit}) for identity, code, unit in rows}


def _company(connection: Connection, actor: Actor, delivery: Record) -> str:
    """What its order says, as it was when that was posted; else the company of the branch that sends it."""
    orders = _seen(connection, actor, _ORDER, "id", delivery.get("order_id"))
    if orders and isinstance(kept := orders[0].get("legal_entity_name"), str):
        return kept
    company = company_of_branch(connection, delivery["branch_id"]) if is_id(str(delivery.get("branch_id"))) else None
    return titles(connection, _COMPANY, [company])[company] if company else ""
