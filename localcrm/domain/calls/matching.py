"""Whose number it is: among all numbers of all customers, contacts and suppliers, by the last digits, in milliseconds; told as far as rights reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.alike import owners_of, seen_customers
from localcrm.domain.crm.entities import Contact, Customer
from localcrm.domain.people.entities import User
from localcrm.domain.policy import Actor
from localcrm.domain.purchase.entities import Supplier
from localcrm.domain.roles import FieldRule
from localcrm.domain.sales.glance import customer_glances
from localcrm.kernel.likeness import TAIL
from localcrm.kernel.phones import SHORTEST, Likeness, Phone, likeness, read_phone, read_phones, tail
from localcrm.kernel.schema import EntityType
from localcrm.store import marks
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record, records_by_id

_CUSTOMER, _CONTACT, _SUPPLIER, _USER = Customer.entity_type, Contact.entity_type, Supplier.entity_type, User.entity_type
_KINDS = {kind.no: kind for kind in (_CUSTOMER, _CONTACT, _SUPPLIER)}
#: Records with the same last digits that are looked at, and of those that fit the ones a person is shown.
_MOST_LOOKED_AT, MOST_SHOWN = 500, 8


@dataclass(frozen=True, slots=True)
class Hit:
    """A record one of whose numbers fits: ``of`` the customer or supplier it stands for."""

    kind: EntityType
    id: str
    of: str
    name: str
    likeness: Likeness


def hits(connection: Connection, number: str | None, area: str = "") -> list[Hit]:
    """Live records with this number, whoever may see them: those that have it in full, else those whose numbers end alike."""
    phone = read_phone(number or "")
    if phone is None or len(phone.digits) < SHORTEST:
        return []
    found = list(_hits(connection, phone, area))
    best = max((hit.likeness for hit in found), default=Likeness.NONE)
    return [hit for hit in found if hit.likeness is best]


def _hits(connection: Connection, phone: Phone, area: str) -> Iterator[Hit]:
    rows: dict[int, list[int]] = defaultdict(list)
    for no, rid in marks.rows_known_by(connection, TAIL, tail(phone), limit=_MOST_LOOKED_AT):
        rows[no].append(rid)
    for no, rids in rows.items():
        kind = _KINDS.get(no)
        if kind is None:
            continue
        fields = [field.key for field in marks.marked(kind) if field.f.mark == "phone"]
        columns = ", ".join(f'"{key}"' for key in fields)
        of = kind.under or "id"
        alive = " AND (SELECT deleted FROM customer WHERE customer.id = customer_id) = 0" if kind is _CONTACT else ""
        wanted = ",".join("?" * len(rids))
        for identity, above, name, *values in connection.all(
            f'SELECT id, "{of}", "{kind.title_field}", {columns} FROM "{kind.key}" WHERE rid IN ({wanted}) AND deleted = 0{alive}', rids
        ):
            numbers = (other for value in values if value for other in read_phones(str(value)))
            best = max((likeness(phone, other, area=area) for other in numbers), default=Likeness.NONE)
            if best:
                yield Hit(kind, identity.hex(), above.hex(), str(name), best)


def reads_numbers(actor: Actor, kind: EntityType) -> bool:
    """Whether an actor reads every number of a kind: what is hidden or covered for him does not even confirm one."""
    if not policy.may(actor, f"{kind.key}.read"):
        return False
    covered = {key for key, rule in policy.field_rules(actor, kind).items() if rule in {FieldRule.HIDDEN, FieldRule.MASKED}}
    return not any(field.f.mark == "phone" and field.key in covered for field in marks.marked(kind))


def knows_numbers(actor: Actor) -> bool:
    """Whether an actor may be told whose number is whose; else a call beside a customer's name would tell him the number."""
    return reads_numbers(actor, _CUSTOMER) and reads_numbers(actor, _CONTACT)


def parties(connection: Connection, node: Node, actor: Actor, found: Iterable[Hit], *, linked: str | None = None) -> list[dict[str, Any]]:
    """Whom hits stand for, as the actor may know them, in JSON form; at most MOST_SHOWN, what he may see first.

    A customer he sees: {"kind", "id", "name", "number", "level", "contact", "contact_id", "contact_title", "owner", "extension", "branch", "mine",
    "foreign", "unpaid", "next_contact", "last_at", "last_content"}; one he does not: {"kind", "masked": true, "owner", "extension", "branch",
    "foreign"}, that there is one and whom to call. A supplier: {"kind", "id", "name", "contact", "owner", "extension"}; one he does not see is not
    told of. ``linked``: the customer that somebody has said it is, who stands first.
    """
    readable = [hit for hit in found if reads_numbers(actor, hit.kind)]
    return [*_customers(connection, node, actor, readable, linked), *_suppliers(connection, actor, readable)][:MOST_SHOWN]


def _customers(connection: Connection, node: Node, actor: Actor, found: list[Hit], linked: str | None) -> list[dict[str, Any]]:
    people: dict[str, list[Hit]] = {linked: []} if linked else {}
    for hit in found:
        if hit.kind is not _SUPPLIER:
            people.setdefault(hit.of, []).append(hit)
    live = owners_of(connection, people)
    seen = seen_customers(connection, actor, live)
    ordered = sorted(live, key=lambda one: (one != linked, one not in seen, one))[:MOST_SHOWN]
    glances = customer_glances(connection, actor, [one for one in ordered if one in seen])
    contacts = _contacts(connection, actor, [hit.id for one in ordered for hit in people[one] if hit.kind is _CONTACT])
    owners = _users(connection, [live[one]["owner_id"] for one in ordered])
    branches = _branches(connection, [live[one]["branch_id"] for one in ordered])
    rows = []
    for one in ordered:
        whose = live[one]
        row: dict[str, Any] = {
            "kind": "customer",
            "owner": None,
            "extension": None,
            **owners.get(whose["owner_id"] or "", {}),
            "branch": branches.get(whose["branch_id"] or ""),
            "foreign": whose["branch_id"] not in {None, node.branch_id},
        }
        if one not in seen:
            rows.append({**row, "masked": True})
            continue
        shown, glance = seen[one], glances[one]
        person = next((contacts[hit.id] for hit in people[one] if hit.id in contacts), {})
        rows.append(
            {
                **row,
                "id": one,
                **{key: shown.get(key) for key in ("name", "number", "level")},
                "contact": person.get("name") or glance.contact,
                "contact_id": person.get("id"),
                "contact_title": person.get("title"),
                "mine": whose["owner_id"] is not None and whose["owner_id"] == actor.user_id,
                "unpaid": glance.unpaid,
                "next_contact": glance.next_contact,
                "last_at": glance.last_at,
                "last_content": glance.last_content,
            }
        )
    return rows


def _suppliers(connection: Connection, actor: Actor, found: list[Hit]) -> list[dict[str, Any]]:
    rows = list(seen_suppliers(connection, actor, [hit.id for hit in found if hit.kind is _SUPPLIER]).values())
    buyers = _users(connection, [row.get("buyer_id") for row in rows])
    return [
        {
            "kind": "supplier",
            "id": row["id"],
            "name": row.get("name"),
            "contact": row.get("contact"),
            "owner": None,
            "extension": None,
            **buyers.get(row.get("buyer_id") or "", {}),
        }
        for row in rows
    ]


def seen_suppliers(connection: Connection, actor: Actor, ids: Iterable[str]) -> dict[str, Record]:
    """Live suppliers by id as the actor may see them, where he may be told whose number is whose; the others are left out."""
    seen, wanted = policy.seen(actor, _SUPPLIER), list(dict.fromkeys(ids))
    if seen is None or not wanted or not reads_numbers(actor, _SUPPLIER):
        return {}
    known = [one for one in records_by_id(connection, _SUPPLIER, wanted) if not one["deleted"]]
    return {one["id"]: seen.of(one) for one in known if policy.visible(connection, actor, _SUPPLIER, one["id"])}


def _contacts(connection: Connection, actor: Actor, ids: list[str]) -> dict[str, dict[str, Any]]:
    seen = policy.seen(actor, _CONTACT)
    return {} if seen is None else {one["id"]: seen.of(one) for one in records_by_id(connection, _CONTACT, ids)}


def _users(connection: Connection, ids: list[str | None]) -> dict[str, dict[str, Any]]:
    """Name and extension of users: what a colleague needs to hand a call over."""
    found = records_by_id(connection, _USER, [one for one in dict.fromkeys(ids) if one])
    return {one["id"]: {"owner": one["name"], "extension": one["extension"]} for one in found}


def _branches(connection: Connection, ids: list[str | None]) -> dict[str, str]:
    from localcrm.domain.admin.entities import Branch

    return {
        one["id"]: str(one["name"]) for one in records_by_id(connection, Branch.entity_type, [one for one in dict.fromkeys(ids) if one])
    }
