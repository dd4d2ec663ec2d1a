"""The lines of orders and quotes: what they take from their product, what they come to, and how they are saved and copied.

Both are worked out by the same rules (R2, R3); a function here takes the kind of the lines and finds their document by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.catalog.entities import Product
from localcrm.domain.catalog.rules import check_decimals
from localcrm.domain.catalog.services import unit_decimals
from localcrm.domain.in_use import check_in_use
from localcrm.domain.policy import Actor
from localcrm.domain.sales import floors, rules
from localcrm.domain.sales.level_prices import level_prices, terms_of
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import LineAmounts
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_PRODUCT = Product.entity_type
#: What a line leaves out it takes from its product: (field of the line, field of the product).
_FROM_PRODUCT = (("description", "name"), ("unit", "unit"), ("price", "price"), ("tax_rate", "tax_rate"))
#: What a line comes to, worked out anew wherever it stands.
AMOUNTS = ("net", "tax", "gross")


def document_of(kind: EntityType) -> EntityType:
    """The kind of document that lines of a kind belong to."""
    return entity_type(kind.fields[str(kind.parent)].f.ref or "")


def preparing(kind: EntityType) -> Callable[[UnitOfWork, Actor, dict[str, Any], Record | None], dict[str, Any]]:
    """What fills in a line of a kind before it is checked (see ``Behaviour.prepare``)."""

    def prepare(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
        return _prepare(kind, uow, actor, values, old)

    return prepare


def _prepare(kind: EntityType, uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A line takes name, unit, price and tax from its product where nothing else was entered, and its amounts from rule R2."""
    merged = {**(old or {}), **values}
    for meta in ("id", "version", "deleted"):
        merged.pop(meta, None)
    product_id = merged.get("product_id")
    product = uow.find(_PRODUCT, product_id) if product_id else None
    prices = policy.seen(actor, _PRODUCT)
    changed_product = old is not None and product_id != old["product_id"]
    house, agreed = _house_price(kind, uow, actor, merged, product)
    if changed_product and "discount" not in values:
        merged["discount"] = Decimal(1)  # the other one's
    for key, source in _FROM_PRODUCT:
        shown = prices is not None and prices.shows(source)  # a price one may not see is not learnt from a document either
        if product and (merged.get(key) is None or (changed_product and key not in values)):
            if key == "price":
                merged[key] = house
                if agreed is not None and "discount" not in values:
                    merged["discount"] = agreed
            elif shown:
                merged[key] = product[source]
    checked = kind.validate({**merged, **dict.fromkeys(AMOUNTS, 0)})
    for key in ("price", "tax_rate"):
        if product and checked[key] is None:
            raise InvalidInput("required", N_("{label} is required."), label=kind.fields[key].label, field=key)
    if checked["price"] is None or checked["tax_rate"] is None:  # there is no product they could have come from
        label = kind.fields["product_id"].label
        raise InvalidInput(
            "no_such_record", N_("{label}: the record referred to does not exist or was deleted."), label=label, field="product_id"
        )
    if "list_price" in kind.fields and (old is None or changed_product or checked["price"] != old["price"]):
        merged["list_price"] = house
    document = uow.get(document_of(kind), checked[str(kind.parent)])
    if checked["below_reason"] and not floors.below(_floor_of(uow, product_id), checked, tax_included=document["tax_included"]):
        merged["below_reason"] = None  # it is not, any more
    return {**merged, **_amounts(checked, document)}


def _house_price(
    kind: EntityType, uow: UnitOfWork, actor: Actor, line: Mapping[str, Any], product: Mapping[str, Any] | None
) -> tuple[Decimal | None, Decimal | None]:
    """What a product costs the customer of a line's document: the price of his level, else the list price and the discount agreed with him on it.

    None for what may not be seen or was not agreed.
    """
    if product is None:
        return None, None
    parent = line.get(str(kind.parent))
    document = uow.find(document_of(kind), parent) if isinstance(parent, str) and parent else None
    customer = document["customer_id"] if document else None
    found = level_prices(uow.connection, actor, [product["id"]], customer).get(product["id"])
    if found is not None:
        return found, None
    seen = policy.seen(actor, _PRODUCT)
    listed: Decimal | None = product["price"] if seen is not None and seen.shows("price") else None
    return listed, terms_of(uow.connection, actor, customer).discount


def checking(kind: EntityType) -> Callable[[UnitOfWork, Actor, dict[str, Any], Record | None], None]:
    """What checks a line of a kind (see ``Behaviour.check``): quantities are as fine as their unit allows, prices no lower than may be."""

    def check(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
        if new is old:
            return
        check_in_use(uow, actor, kind, new, old, "product_id")
        check_decimals(new["quantity"], new["unit"], unit_decimals(uow.connection))
        if old is None or any(new[key] != old[key] for key in (*floors.DECIDES, "below_reason")):
            _check_floor(uow, actor, uow.get(document_of(kind), new[str(kind.parent)]), new)

    return check


def _check_floor(uow: UnitOfWork, actor: Actor, document: Mapping[str, Any], line: Mapping[str, Any]) -> None:
    found = floors.below(_floor_of(uow, line["product_id"]), line, tax_included=document["tax_included"])
    floors.require_allowed(actor, found, line["below_reason"])


def _floor_of(uow: UnitOfWork, product_id: str | None) -> floors.Floor | None:
    return floors.floors_of(uow.connection, uow.node, [product_id]).get(product_id) if product_id else None


def _amounts(line: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    found = rules.amounts_of_line(line, tax_included=document["tax_included"])
    return {"net": found.net, "tax": found.tax, "gross": found.gross}


def lines_of(uow: UnitOfWork, kind: EntityType, document: str) -> list[Record]:
    """Lines of a document in their order."""
    return sorted(uow.where(kind, **{str(kind.parent): document}), key=lambda line: line["position"])


def total_of(uow: UnitOfWork, kind: EntityType, document: str) -> LineAmounts:
    """What the lines of a document come to."""
    return rules.totals(lines_of(uow, kind, document))


def reprice(uow: UnitOfWork, actor: Actor, kind: EntityType, document: Record) -> None:
    """Work out the lines anew, as they do when a document changes between prices with and without tax."""
    for line in lines_of(uow, kind, document["id"]):
        _check_floor(uow, actor, document, line)
        uow.update(kind, line["id"], _amounts(line, document))


def save(
    uow: UnitOfWork,
    actor: Actor,
    kind: EntityType,
    *,
    header: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    identity: str | None,
    version: int | None,
) -> str:
    """Save a whole document with its lines (see ``records.save_lines``); returns its id."""
    document = document_of(kind).key
    if identity is None:
        identity = records.create_record(uow, actor, entity=document, values=header)["id"]
    else:
        records.update_record(uow, actor, entity=document, id=identity, values=header, version=version)
    records.save_lines(uow, actor, entity=kind.key, document=identity, lines=lines)
    return identity


def copy(uow: UnitOfWork, lines: Sequence[Mapping[str, Any]], kind: EntityType, document: str) -> None:
    """Write lines into another document as they stand, of this kind or of the other one: what both have, at the same prices.

    What was offered is not asked again: whoever copies need not see its prices, and what binds today does not bind what was said then.
    """
    head = uow.get(document_of(kind), document)
    for place, line in enumerate(lines, start=1):
        kept = {key: line[key] for key, field in kind.fields.items() if key in line and not (field.custom and field.custom.unique)}
        uow.insert(kind, kind.validate({**kept, str(kind.parent): document, str(kind.order_by): place, **_amounts(line, head)}))
