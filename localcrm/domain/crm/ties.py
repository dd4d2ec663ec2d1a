"""What people are to each other, at one customer or at two: told from both sides, to whoever sees both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from localcrm.domain import policy
from localcrm.domain.crm.entities import Contact, ContactTie, Tie
from localcrm.domain.policy import Actor
from localcrm.domain.records import no_such_record
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.connection import Connection
from localcrm.store.uow import UnitOfWork

_TIE, _CONTACT = ContactTie.entity_type, Contact.entity_type
#: What is said of the first from the side of the second, where that is something else.
INVERSE: Mapping[Tie, str] = {Tie.REPORTS_TO: N_("Superior of"), Tie.RECOMMENDED_BY: N_("Recommended")}
#: Of the people at one customer so many are told.
MOST = 200


@dataclass(frozen=True, slots=True)
class Told:
    """A relation as seen from ``contact``: what it is called, and whom it is with (with the name of that one's customer)."""

    id: str
    contact: str
    name: str
    words: str
    other: str
    other_name: str
    customer: str
    customer_name: str
    note: str


def ties_of(connection: Connection, actor: Actor, *, customer: str = "", contact: str = "") -> list[Told]:
    """Relations of the people at a customer, or of one person, by their names; of those only that are seen whose both people are.

    Where two places entered the same, it is told once.
    """
    people = policy.seen(actor, _CONTACT)
    if people is None or not people.shows("name"):
        return []
    column, wanted = ("id", contact) if contact else ("customer_id", customer)
    told: dict[tuple[str, str, str], Told] = {}
    for mine, theirs in (("one_id", "other_id"), ("other_id", "one_id")):
        (seen_a, params_a), (seen_b, params_b) = people.condition("a"), people.condition("b")
        rows = connection.all(
            f"""SELECT t.id, t.kind, t.note, a.id, a.name, b.id, b.name, c.id, c.name
                FROM contact a JOIN contact_tie t ON t.{mine} = a.id AND t.deleted = 0
                JOIN contact b ON b.id = t.{theirs} AND b.deleted = 0 JOIN customer c ON c.id = b.customer_id
                WHERE a.{column} = ? AND a.deleted = 0 AND {seen_a} AND {seen_b} ORDER BY t.rid LIMIT {MOST}""",
            [bytes.fromhex(wanted), *params_a, *params_b],
        )
        for tie, kind, note, one, name, other, other_name, at, at_name in rows:
            is_first = mine == "one_id" or Tie(kind) not in INVERSE
            words = gettext(Tie(kind).label if is_first else INVERSE[Tie(kind)])
            row = Told(tie.hex(), one.hex(), name, words, other.hex(), other_name, at.hex(), at_name, note or "")
            told.setdefault((row.contact, row.other, words), row)
    return sorted(told.values(), key=lambda row: (row.name, row.other_name, row.words))


def relate(uow: UnitOfWork, actor: Actor, *, one: RecordId, contact: RecordId, kind: str, note: str = "") -> dict[str, str]:
    """Write down what another person (``contact``) is to one; for whoever may change the one and sees the other. Returns {id}."""
    policy.require_record(uow.connection, actor, _CONTACT, one, "update")
    policy.require_record(uow.connection, actor, _CONTACT, contact, "read")
    try:
        tie = Tie(kind)
    except ValueError:
        raise InvalidInput("bad_tie", N_("Choose what they are to each other."), field="kind") from None
    if one == contact:
        raise InvalidInput("same_person", N_("Choose another person."), field="contact")
    people = (uow.get(_CONTACT, one), uow.get(_CONTACT, contact))
    if _same(uow, one, contact, tie):
        raise Refused("tie_known", N_("This is known of “{one}” and “{other}” already."), one=people[0]["name"], other=people[1]["name"])
    values = {"one_id": one, "other_id": contact, "kind": tie, "note": note.strip() or None}
    return {"id": uow.insert(_TIE, _TIE.validate(values))}


def unrelate(uow: UnitOfWork, actor: Actor, *, tie_id: RecordId) -> dict[str, str]:
    """Take a relation away, also where two places entered it; for whoever sees both people and may change one of them."""
    tie = uow.find(_TIE, tie_id)
    sides = [tie[side] for side in ("one_id", "other_id")] if tie is not None else []
    if tie is None or not all(policy.visible(uow.connection, actor, _CONTACT, side) for side in sides):
        raise no_such_record(_TIE)
    changeable = [side for side in sides if policy.visible(uow.connection, actor, _CONTACT, side, action="update")]
    policy.require_record(uow.connection, actor, _CONTACT, (changeable or sides)[0], "update")
    for same in _same(uow, sides[0], sides[1], Tie(tie["kind"])):
        uow.set_deleted(_TIE, same, deleted=True)
    return {"id": tie_id}


def _same(uow: UnitOfWork, one: str, other: str, kind: Tie) -> Sequence[str]:
    """Relations that say the same: of those that are alike from both sides, whichever of the two it was entered for."""
    pairs = [(one, other)] if kind in INVERSE else [(one, other), (other, one)]
    return [tie["id"] for first, second in pairs for tie in uow.where(_TIE, one_id=first, other_id=second, kind=kind)]


VERBS = (Verb(relate, N_("Relate two people")), Verb(unrelate, N_("Take a relation between people away")))
