"""The files of a customer: those attached to him, and to whatever names him; new ones go to him."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.crm.entities import Customer
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.attachments import read_attachments, write_attachments
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, Field, entities
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.store.uow import UnitOfWork

_CUSTOMER = Customer.entity_type
#: Records of one kind that are looked through, the newest.
MOST = 100


@dataclass(frozen=True, slots=True)
class Attached:
    """A record with the files in one field of it, in the form the field holds."""

    kind: EntityType
    field: Field
    record: Record

    @property
    def files(self) -> str:
        """What the field holds (see ``kernel.attachments``)."""
        return str(self.record[self.field.key])


def customer_files(connection: Connection, actor: Actor, customer_id: str) -> list[Attached]:
    """All files of a customer that the actor may see: his own first, then kind by kind, the newest of each first."""
    found = []
    for kind, key in _kinds():
        seen = policy.seen(actor, kind)
        if seen is None or not seen.shows(key):
            continue
        for field in kind.fields.values():
            if field.kind == "files" and seen.shows(field.key):
                where = (Condition(key, "=", customer_id), Condition(field.key, "filled"))
                rows = select(connection, ListQuery(kind, where=where, limit=MOST, restrict=seen), count=False).rows
                found += [Attached(kind, field, row) for row in rows]
    return found


def _kinds() -> Iterator[tuple[EntityType, str]]:
    """Kinds of records that are a customer's, with the field that says whose."""
    for kind in entities():
        if kind.key == "customer":
            yield kind, "id"
    for kind in entities():
        if "customer_id" in kind.fields and any(field.kind == "files" for field in kind.fields.values()):
            yield kind, "customer_id"


def change_files(uow: UnitOfWork, actor: Actor, *, customer: RecordId, add: str = "", remove: str = "") -> dict[str, Any]:
    """Attach files to a customer and take others off, beside what somebody else did meanwhile; each a line as a field of files holds it."""
    policy.require_record(uow.connection, actor, _CUSTOMER, customer, "update")
    held, gone = uow.get(_CUSTOMER, customer)["files"], set(read_attachments(remove))
    files = write_attachments(one for one in (*read_attachments(held), *read_attachments(add)) if one not in gone) or ""
    if files != (held or ""):
        records.update_record(uow, actor, entity=_CUSTOMER.key, id=customer, values={"files": files})
    return {"customer": customer}


VERBS = (Verb(change_files, N_("Attach files to a customer"), "customer.update", record="customer"),)
