"""Rules of products and warehouses."""

from __future__ import annotations

from typing import Any

from localcrm.domain.catalog.entities import Product, Warehouse
from localcrm.domain.options.company import company_share
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork


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


BEHAVIOURS = {
    "product": Behaviour(begin=begin_product, check=check_product),
    "warehouse": Behaviour(prepare=prepare_warehouse, check=check_warehouse),
}
VERBS = ()
