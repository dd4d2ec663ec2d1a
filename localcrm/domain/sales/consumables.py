"""Consumables of products in use: filters, needles, cartridges. After so many months one is due, and again so long after it was supplied."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.conditions import Asking, Parameter, Preset, Question
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.reminders import Ask, Reminding, morning
from localcrm.domain.options.company import company_number
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import InstalledProduct
from localcrm.domain.sales.installed import months_after
from localcrm.domain.sales.warranties import pieces_due
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import is_id
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.store.tree import All, Listed, Node
from localcrm.store.uow import UnitOfWork

_CUSTOMER, _PRODUCT, _INSTALLED = Customer.entity_type, Product.entity_type, InstalledProduct.entity_type
#: Days ahead in which the list calls one due.
SOON = 14
#: What fell due longer ago is in the list, not on the screen.
_PAST = dt.timedelta(days=30)


def prepare_installed(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """What is entered by hand is due for its first consumable so long after its day of sale as the product says, unless somebody says otherwise."""
    product, sold = (values.get(key) for key in ("product_id", "sold_on"))
    if old is not None or values.get("consumable_on") or not isinstance(product, str) or not sold:
        return values
    found = uow.find(_PRODUCT, product)
    try:
        day = sold if isinstance(sold, dt.date) else dt.date.fromisoformat(str(sold))
    except ValueError:  # said where the record is checked
        return values
    return {**values, "consumable_on": months_after(day, found["consumable_months"]) if found else None}


def consumable_of(connection: Connection, actor: Actor, product_id: str) -> dict[str, Any]:
    """What a product needs: ``consumable_id`` and ``consumable_months``, each None where there is none or the actor does not see it."""
    view = policy.seen(actor, _PRODUCT)
    query = ListQuery(_PRODUCT, where=(Condition("id", "=", product_id),), limit=1, restrict=view)
    rows = select(connection, query, count=False).rows if view is not None and is_id(product_id) else []
    return {key: rows[0][key] if rows and view is not None and view.shows(key) else None for key in ("consumable_id", "consumable_months")}


def supply_consumable(uow: UnitOfWork, actor: Actor, *, installed_id: RecordId) -> dict[str, Any]:
    """Note that a product in use has got its consumable today: the next one is due so many months on. Returns {installed}."""
    policy.require_record(uow.connection, actor, _INSTALLED, installed_id, "update")
    piece = uow.get(_INSTALLED, installed_id)
    product = uow.get(_PRODUCT, piece["product_id"], deleted=True)
    due = months_after(uow.today, product["consumable_months"])
    if due is None:
        raise Refused("no_consumable", N_("“{product}” needs no consumable: the product says no months for it."), product=product["name"])
    uow.update(_INSTALLED, installed_id, {"consumable_on": due})
    return {"installed": installed_id}


def remind(ask: Ask) -> Iterator[Reminding]:
    """Consumables due at customers of the user's own, some days ahead."""
    days = company_number(ask.connection, ask.node, "consumable_days")
    if not days:
        return
    first, last = (ask.now - _PAST).astimezone().date(), ask.until.astimezone().date() + dt.timedelta(days=days)
    for one in pieces_due(ask, "consumable_on", first, last):
        due = morning(one.day - dt.timedelta(days=days))
        if due <= ask.until:
            key = f"consumable:{one.id}:{one.day.isoformat()}"
            yield Reminding(key=key, kind="consumable", due=due, at=morning(one.day), title=one.title, text=one.text, customer=one.customer)


# what the list of products in use is narrowed to -------------------------------------------------------------------------


def _due(asking: Asking, given: Mapping[str, Any]) -> Node:
    return All((Condition("returned_on", "blank"), Condition("consumable_on", "<=", asking.today + dt.timedelta(days=given["days"]))))


def _due_at_mine(asking: Asking, given: Mapping[str, Any]) -> Node:
    last = asking.today + dt.timedelta(days=given["days"])

    def ids(connection: Connection) -> list[str]:
        rows = connection.all(
            """SELECT i.id FROM installed_product i INDEXED BY installed_product__consumable_on CROSS JOIN customer c ON c.id = i.customer_id
               WHERE i.deleted = 0 AND i.returned_on IS NULL AND i.consumable_on <= ? AND c.owner_id = ?""",
            (last.isoformat(), bytes.fromhex(asking.actor.user_id or "")),
        )
        return [identity.hex() for (identity,) in rows]

    return All((_due(asking, given), Listed(ids)))


_DAYS = (Parameter("days", "days", SOON),)
QUESTIONS = (
    Question("consumable", N_("Consumable due within {days} days or overdue"), _due, _DAYS),
    Question("consumable_mine", N_("The same at customers of mine"), _due_at_mine, _DAYS),
)
PRESETS = (
    Preset("consumable", N_("Consumable due"), {"ask": "consumable", "days": SOON}),
    Preset("consumable_mine", N_("Consumable due at customers of mine"), {"ask": "consumable_mine", "days": SOON}),
)
VERBS = (Verb(supply_consumable, N_("Note that a consumable was supplied"), "installed_product.update", record="installed_id"),)
