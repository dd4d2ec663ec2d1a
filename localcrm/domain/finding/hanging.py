"""Files of a customer wherever they hang: on the customer, and on whatever names him and takes files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.crm.entities import Customer
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.attachments import Attachment, read_attachments, write_attachments
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, Field
from localcrm.store import blobs
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import Masked, View

_CUSTOMER = Customer.entity_type
#: Records of one kind that are looked at, the newest first.
MOST = 200


@dataclass(frozen=True, slots=True)
class Hanging:
    """A file, and the record and field it hangs on; ``title`` as far as it may be seen."""

    kind: EntityType
    id: str
    title: str
    field: Field
    file: Attachment


def files_of(connection: Connection, actor: Actor, customer: str) -> list[Hanging]:
    """The files of a customer that somebody may see: his own first, then those of other records, the newest first."""
    found: list[Hanging] = []
    for view in policy.views(actor):
        by = "id" if view.entity is _CUSTOMER else _names_customer(view)
        for field in blobs.file_fields(view.entity) if by else ():
            if view.shows(field.key):
                where = (Condition(by, "=", customer), Condition(field.key, "filled"))
                rows = select(connection, ListQuery(view.entity, where=where, limit=MOST, restrict=view), count=False).rows
                found += [_hanging(view.entity, row, field, file) for row in rows for file in read_attachments(row[field.key])]
    own = [one for one in found if one.kind is _CUSTOMER]
    return own + sorted((one for one in found if one.kind is not _CUSTOMER), key=lambda one: one.id, reverse=True)


def _names_customer(view: View) -> str:
    """The field by which records of a kind belong to a customer, as far as it may be read; "" without one."""
    field = view.entity.fields.get("customer_id")
    return "customer_id" if field is not None and field.f.ref == _CUSTOMER.key and view.shows(field.key) else ""


def _hanging(kind: EntityType, row: Record, field: Field, file: Attachment) -> Hanging:
    title = row.get(kind.title_field)
    return Hanging(kind, row["id"], "" if title is None or isinstance(title, Masked) else str(title), field, file)


def list_files(uow: UnitOfWork, actor: Actor, *, customer: RecordId) -> dict[str, Any]:
    """The same in JSON form: {"rows": [{"entity", "id", "title", "field", "name", "size", "hash"}]}."""
    policy.require_record(uow.connection, actor, _CUSTOMER, customer, "read")
    rows = [
        {"entity": one.kind.key, "id": one.id, "title": one.title, "field": one.field.key}
        | {"name": one.file.name, "size": one.file.size, "hash": one.file.hash}
        for one in files_of(uow.connection, actor, customer)
    ]
    return {"rows": rows}


def change_files(uow: UnitOfWork, actor: Actor, *, customer: RecordId, add: str = "", remove: str = "") -> dict[str, Any]:
    """Attach files to a customer and take others off, beside what somebody else did meanwhile; each a line as a field of files holds it."""
    policy.require_record(uow.connection, actor, _CUSTOMER, customer, "update")
    held, gone = uow.get(_CUSTOMER, customer)["files"], set(read_attachments(remove))
    files = write_attachments(one for one in (*read_attachments(held), *read_attachments(add)) if one not in gone) or ""
    if files != (held or ""):
        records.update_record(uow, actor, entity=_CUSTOMER.key, id=customer, values={"files": files})
    return {"files": files}


VERBS = (
    Verb(list_files, N_("List the files of a customer"), "customer.read", record="customer"),
    Verb(change_files, N_("Attach files to a customer"), "customer.update", record="customer"),
)
