"""People at customers: one of them is the main one, and birthdays come by the sun or by the moon."""

from __future__ import annotations

import datetime as dt
from typing import Any

from localcrm.domain import policy
from localcrm.domain.admin.persons import keep_erased
from localcrm.domain.crm.birthdays import next_birthday, read_lunar
from localcrm.domain.crm.entities import Contact
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import is_id
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import Masked

_CONTACT = Contact.entity_type


def prepare_contact(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A lunar birthday gets its one spelling; who has left the company is not its main contact any more."""
    filled = dict(values)
    if filled.get("lunar_birthday"):
        filled["lunar_birthday"] = read_lunar(str(filled["lunar_birthday"]))
    if filled.get("has_left") is True:
        filled["is_main"] = False
    return filled


def check_contact(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """Nobody is born in the future, and what was erased stays so."""
    keep_erased(uow, actor, new, old)
    born = new["birthday"]
    if born is not None and (old is None or old["birthday"] != born) and born > moment(uow.store.clock).astimezone().date():
        raise InvalidInput("birthday_ahead", N_("This birthday lies in the future."), field="birthday")


def follow_contact(uow: UnitOfWork, actor: Actor, record: Record, old: Record | None) -> None:  # noqa: ARG001
    """Of the people at a customer one is the main one: whoever was it before is it no longer."""
    if not record["is_main"] or (old is not None and old["is_main"] and old["customer_id"] == record["customer_id"]):
        return
    for other in uow.where(_CONTACT, customer_id=record["customer_id"], is_main=True):
        if other["id"] != record["id"]:
            uow.update(_CONTACT, other["id"], {"is_main": False})


def derive_contact(connection: Connection, _actor: Actor, records: list[Record]) -> list[dict[str, Any]]:
    """next_birthday: the day on which it is kept next, None where that may not be read."""
    today = connection.today
    return [{"next_birthday": _next(record, today)} for record in records]


def _next(record: Record, today: dt.date) -> str | None:
    birthday, lunar = record.get("birthday"), record.get("lunar_birthday")
    if isinstance(birthday, Masked) or isinstance(lunar, Masked) or not {"birthday", "lunar_birthday"} <= record.keys():
        return None
    day = next_birthday(birthday, lunar, today)
    return day.isoformat() if day else None


def main_contact(connection: Connection, actor: Actor, customer_id: str) -> Record | None:
    """The main contact of a customer, as far as the actor sees who that is."""
    seen = policy.seen(actor, _CONTACT)
    if seen is None or not all(map(seen.shows, ("customer_id", "is_main", "name"))):
        return None
    where = (Condition("customer_id", "=", customer_id), Condition("is_main", "=", True))
    return next(iter(select(connection, ListQuery(_CONTACT, where=where, limit=1, restrict=seen), count=False).rows), None)


def with_main_contact(uow: UnitOfWork, actor: Actor, values: dict[str, Any]) -> dict[str, Any]:
    """Values of a new record of a customer; where they name no contact it is the main one."""
    customer = values.get("customer_id")
    if values.get("contact_id") or not isinstance(customer, str) or not is_id(customer):
        return values
    main = main_contact(uow.connection, actor, customer)
    return values if main is None else {**values, "contact_id": main["id"]}


BEHAVIOURS = {"contact": Behaviour(prepare=prepare_contact, check=check_contact, after=follow_contact, derive=derive_contact)}
