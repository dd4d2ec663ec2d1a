"""A customer that is protected is not entered a second time: it would be somebody else's under a new number, and the protection worth nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.alike import Reader
from localcrm.domain.crm.entities import Customer
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.store import marks
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_CUSTOMER = Customer.entity_type
#: Records of one mark that are looked at.
_MOST = 50


def check_protected(uow: UnitOfWork, actor: Actor, new: Mapping[str, Any], old: Record | None) -> None:
    """Refuse a customer that is or becomes alike, by name, telephone or tax number, to one of somebody else's that is protected.

    Whoever may assign customers decides otherwise by entering it. What the actor may not compare by does not count, nor is whose it is told:
    ``alike.advise_customer`` tells of him what may be told.
    """
    entered = [field for field in marks.marked(_CUSTOMER) if old is None or new[field.key] != old[field.key]]
    if not entered or policy.may(actor, "customer.assign"):
        return
    reader = Reader(actor)
    known = {
        one.id
        for _field, mark, plain in marks.marks_of(entered, new)
        for one in marks.known_by(uow.connection, mark, plain, limit=_MOST)
        if reader.reads(mark, one.by)
    } - {old["id"] if old else ""}
    if not known:
        return
    found = uow.connection.one(
        f"""SELECT 1 FROM customer WHERE id IN ({",".join("?" * len(known))}) AND deleted = 0 AND protected_until >= ?
            AND owner_id IS NOT NULL AND owner_id IS NOT ? LIMIT 1""",
        (*map(bytes.fromhex, known), uow.today.isoformat(), bytes.fromhex(actor.user_id) if actor.user_id else None),
    )
    if found:
        raise Refused(
            "protected_customer",
            N_("This customer is somebody else's already, and protected. Only who may assign customers can enter it again."),
        )
