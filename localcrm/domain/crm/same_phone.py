"""The phones of a contact being typed: whose they are already. Two people may share one, so this warns and does not refuse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.alike import MOST_HITS, Reader, told
from localcrm.domain.crm.entities import Contact, Customer
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.i18n import N_
from localcrm.store import marks
from localcrm.store.connection import Connection
from localcrm.store.uow import UnitOfWork

_CUSTOMER, _CONTACT = Customer.entity_type, Contact.entity_type


def find_same_phone(
    uow: UnitOfWork, actor: Actor, *, values: dict[str, str | None], customer: RecordId | None = None, id: RecordId | None = None
) -> dict[str, Any]:
    """Customers of which a contact, or which themselves, have a phone of the contact being typed (his fields as typed).

    ``customer``: his own, whose number is no news · ``id``: once he has one. Returns what ``find_alike`` does; a row the actor may see also
    has "contacts", the names of the people there that he may see.
    """
    reader, people = Reader(actor), defaultdict[str, list[str]](list)
    reasons: dict[str, set[str]] = defaultdict(set)
    for field, mark, plain in marks.marks_of(marks.marked(_CONTACT), {key: str(value or "")[:1000] for key, value in values.items()}):
        known = marks.rows_known_by(uow.connection, mark, plain, limit=3 * MOST_HITS)
        for of in _customers(uow.connection, [rid for by, rid in known if by == _CUSTOMER.no and reader.reads(mark, by)]):
            if of != customer:
                reasons[of].add(field.key)
        for contact, of, name in _contacts(uow.connection, [rid for by, rid in known if by == _CONTACT.no and reader.reads(mark, by)]):
            if contact == id:
                continue
            reasons[of].add(field.key)
            if name not in people[of] and policy.visible(uow.connection, actor, _CONTACT, contact):
                people[of].append(name)
    found = told(uow, actor, reasons)
    for row in found["rows"]:
        if not row.get("masked"):
            row["contacts"] = people[row["id"]] if policy.view(actor, _CONTACT).shows("name") else []
    return found


def _customers(connection: Connection, rids: list[int]) -> Iterator[str]:
    """Ids of live customers by their row numbers."""
    for (identity,) in connection.all(f"SELECT id FROM customer WHERE deleted = 0 AND rid IN ({','.join('?' * len(rids))})", rids):
        yield identity.hex()


def _contacts(connection: Connection, rids: list[int]) -> Iterator[tuple[str, str, str]]:
    """Id, customer and name of live contacts by their row numbers."""
    sql = f"SELECT id, customer_id, name FROM contact WHERE deleted = 0 AND rid IN ({','.join('?' * len(rids))}) ORDER BY rid"
    for identity, of, name in connection.all(sql, rids):
        yield identity.hex(), of.hex(), name


VERBS = (Verb(find_same_phone, N_("Find whose the phones of a contact are already"), "contact.create"),)
