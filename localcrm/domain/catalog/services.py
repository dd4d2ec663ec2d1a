"""Rules of products and warehouses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from localcrm.domain.catalog.entities import ListEntry, ListName, Product, Warehouse
from localcrm.domain.options.company import company_share
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import QUANTITY_SCALE
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_ENTRY = ListEntry.entity_type


def _check_code(uow: UnitOfWork, entity: EntityType, new: dict[str, Any], old: Record | None) -> None:
    if old is not None and not old["deleted"] and old["code"] == new["code"]:
        return
    if uow.where(entity, code=new["code"]):
        raise InvalidInput("code_taken", N_("The code “{code}” is already in use."), code=new["code"], field="code")


def begin_product(connection: Connection, node: Node) -> dict[str, Any]:
    """A new product begins with the company's tax rate."""
    return {"tax_rate": company_share(connection, node, "tax_rate")}


def check_product(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """Codes are unique here; two branches that give the same one apart meet as a duplicate after the merge."""
    _check_code(uow, Product.entity_type, new, old)


def prepare_warehouse(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A new warehouse belongs to the branch that enters it."""
    return values if old is not None else {"branch_id": uow.node.branch_id, **values}


def check_warehouse(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """As for products."""
    _check_code(uow, Warehouse.entity_type, new, old)


def check_entry(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A name stands once in its list, a unit is no finer than quantities are and stays while products have it, and a tax rate has a rate."""
    if old is not None and old["list"] == ListName.UNIT and (new is old or new["name"] != old["name"]) and not old["deleted"]:
        having = uow.connection.value("SELECT count(*) FROM product WHERE unit = ? AND deleted = 0", (old["name"],))
        if having:
            raise Refused(
                "unit_in_use",
                N_("{count} products are counted in “{name}”. Give them another unit first; nothing was changed."),
                count=having,
                name=old["name"],
            )
    if any(other["id"] != (old or {}).get("id") for other in uow.where(_ENTRY, list=new["list"], name=new["name"])):
        raise InvalidInput("in_list_already", N_("“{name}” is in the list already."), name=new["name"], field="name")
    if new["decimals"] > QUANTITY_SCALE:
        label = _ENTRY.fields["decimals"].label
        raise InvalidInput("too_large", N_("{label} must be at most {le}."), label=label, le=QUANTITY_SCALE, field="decimals")
    if new["list"] == ListName.TAX_RATE and new["rate"] is None:
        raise InvalidInput("required", N_("{label} is required."), label=_ENTRY.fields["rate"].label, field="rate")


def unit_decimals(connection: Connection) -> dict[str, int]:
    """Decimals that quantities may have, by the names of the units head office lists, in their order."""
    return dict(
        connection.all("SELECT name, decimals FROM list_entry WHERE list = ? AND deleted = 0 ORDER BY position, rid", (ListName.UNIT,))
    )


def offered_tax_rates(connection: Connection) -> list[Decimal]:
    """Tax rates that head office lists, in their order."""
    rate = _ENTRY.fields["rate"]
    rows = connection.all("SELECT rate FROM list_entry WHERE list = ? AND deleted = 0 ORDER BY position, rid", (ListName.TAX_RATE,))
    return [rate.load(value) for (value,) in rows]


BEHAVIOURS = {
    "list_entry": Behaviour(check=check_entry, distinct=("name",)),
    "product": Behaviour(begin=begin_product, check=check_product, distinct=("code",)),
    "warehouse": Behaviour(prepare=prepare_warehouse, check=check_warehouse, distinct=("code",)),
}
VERBS = ()
