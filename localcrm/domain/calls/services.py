"""Telephone calls: heard of, on whose screen they come up, whose number it was, and what was done about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from localcrm.domain import policy, records
from localcrm.domain.calls import settings
from localcrm.domain.calls.entities import Call, CallParty, CallState, Direction, Source
from localcrm.domain.calls.matching import hits, knows_numbers, parties, seen_suppliers
from localcrm.domain.calls.rules import (
    LONGEST_RINGING,
    LONGEST_TALK,
    caller_number,
    ended_as,
    heard as heard_as,
    plain_line,
    plain_lines,
    seconds_between,
)
from localcrm.domain.calls.settings import call_settings
from localcrm.domain.crm.alike import may_be_told, seen_customers
from localcrm.domain.crm.entities import Contact, Customer
from localcrm.domain.people.entities import User
from localcrm.domain.policy import Actor
from localcrm.domain.purchase.entities import Supplier
from localcrm.domain.records import Behaviour, no_such_record
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.phones import read_phone
from localcrm.kernel.schema import Text
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Condition, ListQuery, Record, load_record, record_columns, record_json
from localcrm.store.uow import UnitOfWork

_CALL, _PARTY, _USER = Call.entity_type, CallParty.entity_type, User.entity_type
_CUSTOMER, _CONTACT, _SUPPLIER = Customer.entity_type, Contact.entity_type, Supplier.entity_type
#: A card stands on the screen this long after a call began, or after one's own has ended.
ON_SCREEN, AFTER_END = timedelta(minutes=10), timedelta(minutes=3)
#: A source that says an event again means the same call for so long.
SAME_CALL = timedelta(days=1)
_MOST_RINGING = 50


# heard of ----------------------------------------------------------------------------------------------------------------


def heard(
    uow: UnitOfWork,
    actor: Actor,  # noqa: ARG001 -- the verb asks for its right
    *,
    source: Source,
    event: Literal["ring", "answer", "end"] = "ring",
    key: Text | None = None,
    caller: Text = "",
    called: Text = "",
    direction: Direction | None = None,
    answered: bool | None = None,
    recording: Text | None = None,
    at: datetime | None = None,
) -> dict[str, str | None]:
    """What a source says of a call: it rings, somebody answers, it has ended. ``key`` is what the source calls the call.

    Said twice it is the same; an answer or an end of a call that nobody has told of begins one. ``answered``: of a call that has ended,
    where the source knows it · ``at``: when it was, where it is told later. Returns {id}, None for what is between our own lines.
    """
    now = min(at.astimezone(UTC), moment(uow.store.clock)) if at else moment(uow.store.clock)
    known = _known(uow, source, key, now)
    if known is None:
        own = own_lines(uow.connection, uow.node)
        said = heard_as(caller, called, own, direction=direction)
        if said is None:
            return {"id": None}
        known = _begin(uow, source, now, number=said.number, line=said.line, direction=said.direction, key=key)
    if event == "answer":
        _answer(uow, known, now, plain_line(called) if called else None)
    elif event == "end":
        _end(uow, known, now, answered=answered)
    if recording:
        uow.update(_CALL, known["id"], {"recording": recording})
    return {"id": known["id"]}


def own_lines(connection: Connection, node: Node) -> set[str]:
    """Every line that is ours: those of this office, and the extensions of users."""
    return {*call_settings(connection).own_lines, *_users_by_line(connection, node.branch_id)}


def _known(uow: UnitOfWork, source: Source, key: str | None, now: datetime) -> Record | None:
    """The call that a source has told of by this name."""
    if not key:
        return None
    same = [one for one in uow.where(_CALL, key=key) if one["source"] == source and one["branch_id"] == uow.node.branch_id]
    return max((one for one in same if abs(now - one["rang_at"]) < SAME_CALL), key=lambda one: one["rang_at"], default=None)


def _begin(uow: UnitOfWork, source: Source, now: datetime, **said: Any) -> Record:
    """Write a call down, and whose number it is where only one can be meant."""
    users = _users_by_line(uow.connection, uow.node.branch_id).get(said.get("line") or "", [])
    found = hits(uow.connection, said["number"], call_settings(uow.connection).area)
    customers = {hit.of for hit in found if hit.kind is not _SUPPLIER}
    suppliers = {hit.id for hit in found if hit.kind is _SUPPLIER}
    values: dict[str, Any] = {
        "rang_at": now,
        "source": source,
        "user_id": users[0] if len(users) == 1 else None,
        "branch_id": uow.node.branch_id,
        "supplier_id": next(iter(suppliers)) if len(suppliers) == 1 else None,
        **said,
    }
    identity = uow.insert(_CALL, _CALL.validate(values))
    if len(customers) == 1:
        contacts = {hit.id for hit in found if hit.kind is _CONTACT}
        _link(uow, identity, said["number"], customers.pop(), contacts.pop() if len(contacts) == 1 else None)
    return uow.get(_CALL, identity)


def _answer(uow: UnitOfWork, call: Record, now: datetime, line: str | None) -> None:
    if call["state"] not in {CallState.RINGING, CallState.MISSED} or call["ended_at"]:
        return
    users = _users_by_line(uow.connection, uow.node.branch_id).get(line or "", [])
    values: dict[str, Any] = {"state": CallState.TALKING, "answered_at": now}
    if len(users) == 1:  # of several telephones that rang, this one was picked up
        values |= {"user_id": users[0], "line": line}
    uow.update(_CALL, call["id"], values)


def _end(uow: UnitOfWork, call: Record, now: datetime, *, answered: bool | None = None) -> None:
    if call["ended_at"]:
        return
    if answered is None:
        answered = call["answered_at"] is not None
    state = ended_as(call["state"], call["direction"], answered=answered)
    uow.update(
        _CALL,
        call["id"],
        {"state": state, "ended_at": now, "seconds": seconds_between(call["answered_at"], now) if call["answered_at"] else None},
    )


def close_forgotten(uow: UnitOfWork, actor: Actor) -> dict[str, int]:  # noqa: ARG001 -- the verb asks for its right
    """Calls whose end nobody told of, such as while the program was off, have ended; returns {closed}."""
    now = moment(uow.store.clock)
    forgotten = [uow.get(_CALL, one) for one in forgotten_calls(uow.connection, uow.node, now)]
    for call in forgotten:
        uow.update(_CALL, call["id"], {"state": ended_as(call["state"], call["direction"], answered=False), "ended_at": now})
    return {"closed": len(forgotten)}


def forgotten_calls(connection: Connection, node: Node, now: datetime) -> list[str]:
    """Ids of this branch's calls that have rung, or were talked, longer than anybody does."""
    at = _CALL.fields["rang_at"].store
    rows = connection.all(
        "SELECT id FROM call WHERE deleted = 0 AND branch_id = ? AND ((state = 'ringing' AND rang_at < ?) OR (state = 'talking' AND rang_at < ?))"
        " LIMIT 500",
        (bytes.fromhex(node.branch_id), at(now - LONGEST_RINGING), at(now - LONGEST_TALK)),
    )
    return [row[0].hex() for row in rows]


def _users_by_line(connection: Connection, branch: str) -> dict[str, list[str]]:
    """Ids of the users who have a line, by line: where branches number their extensions alike, those of this one."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for identity, extension, at in connection.all(
        "SELECT id, extension, branch_id FROM user WHERE deleted = 0 AND active = 1 AND extension > '' ORDER BY id"
    ):
        for line in plain_lines(extension):
            found.setdefault(line, []).append((identity.hex(), at == bytes.fromhex(branch)))
    return {line: [one for one, here in users if here] or [one for one, _here in users] for line, users in found.items()}


# on whose screen ---------------------------------------------------------------------------------------------------------


def on_screen(connection: Connection, node: Node, actor: Actor, now: datetime) -> list[Record]:
    """Calls of this branch that ring or are talked at this moment and concern a user, the newest first; and his own that ended just now.

    Those of his lines; and those of lines that are nobody's, where he may see the call. What he has talked about he may want to write down.
    """
    if actor.user_id is None or not policy.may(actor, "call.read"):
        return []
    at = _CALL.fields["rang_at"].store
    rows = connection.all(
        f"SELECT {record_columns(_CALL)} FROM call WHERE deleted = 0 AND branch_id = ? AND rang_at > ? AND "
        "(state IN ('ringing', 'talking') OR (state = 'answered' AND handled = 0 AND ended_at > ?)) "
        f"ORDER BY rang_at DESC, rid DESC LIMIT {_MOST_RINGING}",
        (bytes.fromhex(node.branch_id), at(now - LONGEST_TALK), at(now - AFTER_END)),
    )
    lines = _users_by_line(connection, node.branch_id) if rows else {}
    return [
        call
        for call in (load_record(_CALL, row) for row in rows)
        if _is_fresh(actor, call, now) and _concerns(connection, actor, call, lines)
    ]


def _is_fresh(actor: Actor, call: Record, now: datetime) -> bool:
    """Whether a call still belongs on a screen; what one talks oneself does as long as that takes."""
    if call["state"] == CallState.RINGING:
        return bool(call["rang_at"] > now - ON_SCREEN)
    return bool(call["user_id"] == actor.user_id or (call["state"] == CallState.TALKING and call["rang_at"] > now - ON_SCREEN))


def _concerns(connection: Connection, actor: Actor, call: Record, lines: Mapping[str, list[str]]) -> bool:
    if call["user_id"]:
        return bool(call["user_id"] == actor.user_id)
    whose = lines.get(call["line"] or "", [])
    if whose:
        return actor.user_id in whose
    return policy.visible(connection, actor, _CALL, call["id"])


def card(connection: Connection, node: Node, actor: Actor, call: Record) -> dict[str, Any]:
    """A call with whom it may be, as far as the actor may know: {"call", "parties" (``matching.parties``), "linked": id of the customer somebody chose}."""
    link = _link_of(connection, call["id"])
    found = hits(connection, call["number"], call_settings(connection).area)
    linked = link[0] if link and knows_numbers(actor) else None
    return {"call": call, "parties": parties(connection, node, actor, found, linked=linked), "linked": linked}


def names_of(connection: Connection, actor: Actor, records_: list[Record]) -> list[dict[str, Any]]:
    """Beside calls in a list: ``party``, the customer's or supplier's name as far as the actor may know it."""
    keys = [bytes.fromhex(one["id"]) for one in records_]
    links: dict[bytes, bytes] = dict(
        connection.all(
            f"SELECT call_id, customer_id FROM call_party WHERE deleted = 0 AND call_id IN ({','.join('?' * len(keys))}) ORDER BY rid", keys
        )
    )
    customers = seen_customers(connection, actor, [one.hex() for one in links.values()]) if knows_numbers(actor) else {}
    suppliers = seen_suppliers(connection, actor, [one["supplier_id"] for one in records_ if one.get("supplier_id")])
    found = []
    for one, key in zip(records_, keys, strict=True):
        customer = customers.get(links[key].hex()) if key in links else None
        supplier = suppliers.get(one.get("supplier_id") or "")
        found.append({"party": (customer or supplier or {}).get("name"), "customer": customer["id"] if customer else None})
    return found


def calls_of(connection: Connection, actor: Actor, customer: str, *, limit: int) -> list[Record]:
    """Calls with a customer that the actor may see, the newest first."""
    seen = policy.seen(actor, _CALL)
    if seen is None or not knows_numbers(actor):
        return []
    condition, params = seen.condition("call")
    columns = ", ".join(f"call.{column.strip()}" for column in record_columns(_CALL).split(","))
    rows = connection.all(
        f"SELECT {columns} FROM call_party p JOIN call ON call.id = p.call_id "
        f"WHERE p.customer_id = ? AND p.deleted = 0 AND call.deleted = 0 AND {condition} ORDER BY call.rang_at DESC, call.rid DESC LIMIT ?",
        [bytes.fromhex(customer), *params, limit],
    )
    return [seen.of(load_record(_CALL, row)) for row in rows]


def count_calls_of(connection: Connection, actor: Actor, customer: str) -> int:
    """How many there are."""
    seen = policy.seen(actor, _CALL)
    if seen is None or not knows_numbers(actor):
        return 0
    condition, params = seen.condition("call")
    return int(
        connection.value(
            "SELECT count(*) FROM call_party p JOIN call ON call.id = p.call_id "
            f"WHERE p.customer_id = ? AND p.deleted = 0 AND call.deleted = 0 AND {condition}",
            [bytes.fromhex(customer), *params],
        )
    )


def missed(actor: Actor, *, mine: bool, limit: int = 50) -> ListQuery:
    """Missed calls that nobody has seen to, the newest first."""
    where = [Condition("state", "=", CallState.MISSED), Condition("handled", "=", False)]
    if mine:
        where.append(Condition("user_id", "=", actor.user_id))
    return ListQuery(_CALL, where=tuple(where), sort="-rang_at", limit=limit, restrict=policy.view(actor, _CALL))


def last_heard(connection: Connection, node: Node) -> dict[str, datetime]:
    """When each source last told of a call here."""
    load = _CALL.fields["rang_at"].load
    found = {}
    for source in Source:
        at = connection.value(
            "SELECT rang_at FROM call WHERE deleted = 0 AND source = ? AND branch_id = ? ORDER BY rang_at DESC LIMIT 1",
            (source.value, bytes.fromhex(node.branch_id)),
        )
        if at is not None:
            found[source.value] = load(at)
    return found


# what is done about them -------------------------------------------------------------------------------------------------


def who_is(uow: UnitOfWork, actor: Actor, *, number: Text) -> dict[str, Any]:
    """Whose number this is: {"number", "rows": ``matching.parties``, "braked"}.

    Each customer beyond his rights that the actor is told of is noted in the system log, and of no more than some within an hour (as with duplicates).
    """
    phone = read_phone(number)
    found = hits(uow.connection, number, call_settings(uow.connection).area)
    of = [hit.of for hit in found if hit.kind is not _SUPPLIER]
    seen = seen_customers(uow.connection, actor, of)
    told, braked = may_be_told(uow, actor, [(one, one) for one in dict.fromkeys(of) if one not in seen])
    shown = [hit for hit in found if hit.kind is _SUPPLIER or hit.of in seen or hit.of in told]
    rows = parties(uow.connection, uow.node, actor, shown)
    return {"number": phone.shown if phone else None, "rows": rows, "braked": braked}


def start_call(
    uow: UnitOfWork, actor: Actor, *, number: Text, direction: Direction = Direction.IN, customer: RecordId | None = None
) -> dict[str, Any]:
    """“I am on a call”: write down a call where no line tells of it; returns the record."""
    given = caller_number(number)
    phone = read_phone(number)
    if number.strip() and (phone is None or plain_line(number) in call_settings(uow.connection).own_lines):
        raise InvalidInput("bad_phone", N_("“{number}” is no telephone number of somebody else."), number=number[:40], field="number")
    now = moment(uow.store.clock)
    call = _begin(uow, Source.HAND, now, number=given, line=None, direction=direction)
    uow.update(_CALL, call["id"], {"state": CallState.TALKING, "answered_at": now, "user_id": actor.user_id, "handled": False})
    if customer:
        link_call(uow, actor, id=call["id"], customer=customer)
    return record_json(_CALL, uow.get(_CALL, call["id"]))


def take_call(uow: UnitOfWork, actor: Actor, *, id: RecordId) -> dict[str, str]:
    """“I have taken it”: the call is the user's, and no longer on other screens."""
    call = _own(uow, actor, id)
    now = moment(uow.store.clock)
    if call["state"] in {CallState.RINGING, CallState.MISSED} and not call["answered_at"]:
        uow.update(_CALL, id, {"state": CallState.TALKING, "answered_at": now, "ended_at": None, "user_id": actor.user_id})
    return {"id": id}


def end_call(uow: UnitOfWork, actor: Actor, *, id: RecordId) -> dict[str, str]:
    """The call is over, where no line says so."""
    _end(uow, _own(uow, actor, id), moment(uow.store.clock))
    return {"id": id}


def link_call(
    uow: UnitOfWork, actor: Actor, *, id: RecordId, customer: RecordId | None = None, contact: RecordId | None = None
) -> dict[str, str]:
    """Say which customer it was, and perhaps whom there; None: none of them."""
    call = _own(uow, actor, id)
    if customer is not None:
        policy.require_record(uow.connection, actor, _CUSTOMER, customer, "read")
        uow.get(_CUSTOMER, customer)
    if contact is not None:
        policy.require_record(uow.connection, actor, _CONTACT, contact, "read")
        if customer is None or uow.get(_CONTACT, contact)["customer_id"] != customer:
            raise InvalidInput("foreign_contact", N_("This contact belongs to another customer."), field="contact")
    _link(uow, id, call["number"], customer, contact)
    uow.touch(_CALL, id)
    return {"id": id}


def _link(uow: UnitOfWork, call: str, number: str | None, customer: str | None, contact: str | None) -> None:
    for link in uow.where(_PARTY, call_id=call):
        if (link["customer_id"], link["contact_id"]) != (customer, contact):
            uow.set_deleted(_PARTY, link["id"], deleted=True)
        else:
            return
    if customer is not None:
        values = {"call_id": call, "customer_id": customer, "contact_id": contact, "number": number}
        uow.insert(_PARTY, _PARTY.validate(values))


def settle_calls(uow: UnitOfWork, actor: Actor, *, ids: list[RecordId], handled: bool = True) -> dict[str, int]:
    """Missed calls were seen to, such as by calling back, or wait again; returns {settled}."""
    for identity in ids:
        _own(uow, actor, identity)
    return {"settled": sum(uow.update(_CALL, identity, {"handled": handled}) for identity in dict.fromkeys(ids))}


def note_call(uow: UnitOfWork, actor: Actor, *, id: RecordId, text: str, next_at: str | None = None) -> dict[str, Any]:
    """Write down what was said, as an activity record of the customer the call was with; the call is seen to. Returns the record."""
    call = _own(uow, actor, id)
    link = _link_of(uow.connection, id)
    if link is None:
        raise Refused("no_customer", N_("Say first which customer it was. What you wrote is still there."))
    values: dict[str, Any] = {
        "customer_id": link[0],
        "type": "call",
        "content": text,
        "contact_id": link[1] or "",
        "next_at": next_at or "",
    }
    record = records.create_record(uow, actor, entity="activity", values=values)
    if not call["handled"]:
        uow.update(_CALL, id, {"handled": True})
    return {"id": record["id"]}


def set_extension(uow: UnitOfWork, actor: Actor, *, extension: Text = "") -> dict[str, str]:
    """Which lines are one's own; several with blanks between. Calls of these come up on one's screen alone."""
    policy.require_acting(actor)
    if actor.user_id is None:
        raise Refused("no_user", N_("Only somebody who is signed in has an extension."))
    uow.update(_USER, actor.user_id, {"extension": " ".join(extension.split()) or None})
    return {"extension": " ".join(extension.split())}


def _link_of(connection: Connection, call: str) -> tuple[str, str | None] | None:
    """Customer and contact of a call, the one said last."""
    row = connection.one(
        "SELECT customer_id, contact_id FROM call_party WHERE call_id = ? AND deleted = 0 ORDER BY rid DESC LIMIT 1", (bytes.fromhex(call),)
    )
    return (row[0].hex(), row[1].hex() if row[1] else None) if row else None


def _own(uow: UnitOfWork, actor: Actor, identity: str) -> Record:
    """A call that concerns the actor; raises NotFound, Forbidden, and Refused at another branch than the one where it came in."""
    policy.require(actor, "call.update")
    call = uow.find(_CALL, identity)
    if call is None or not (
        policy.visible(uow.connection, actor, _CALL, identity)
        or _concerns(uow.connection, actor, call, _users_by_line(uow.connection, uow.node.branch_id))
    ):
        raise no_such_record(_CALL)
    require_here(uow, call)
    return call


def check_call(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A call is handed to another user where it came in."""
    require_here(uow, old or new)


def require_here(uow: UnitOfWork, call: Mapping[str, Any]) -> None:
    """Raise Refused at another branch than the one where a call came in: head office would not take the change over."""
    if not uow.node.is_office and call["branch_id"] != uow.node.branch_id:
        raise Refused("call_elsewhere", N_("This call came in at another branch and is seen to there. Nothing was changed."))


BEHAVIOURS = {"call": Behaviour(derive=names_of, check=check_call)}
VERBS = (
    *settings.VERBS,
    Verb(heard, N_("Tell of a telephone call"), settings.PERMISSION),
    Verb(close_forgotten, N_("Close calls whose end nobody told of"), settings.PERMISSION),
    Verb(who_is, N_("Find whose number it is"), "call.read"),
    Verb(start_call, N_("I am on a call"), "call.update"),
    Verb(take_call, N_("Take a call")),
    Verb(end_call, N_("End a call")),
    Verb(link_call, N_("Say whose call it was")),
    Verb(settle_calls, N_("See to missed calls")),
    Verb(note_call, N_("Write down what was said in a call")),
    Verb(set_extension, N_("Set one's own extension")),
)
