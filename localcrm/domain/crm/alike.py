"""Customers who look like one: found while a new one is typed, in the list of likely pairs, and told apart for good.

All of it asks the marks that are kept with the search index (``store.marks``), never all customers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import Contact, Customer, CustomerDistinct
from localcrm.domain.policy import Actor
from localcrm.domain.roles import FieldRule
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store import marks
from localcrm.store.connection import Connection
from localcrm.store.ddl import ROW_BITS
from localcrm.store.query import Record, load_record, record_columns, record_json, titles
from localcrm.store.uow import UnitOfWork

_CUSTOMER, _CONTACT, _DISTINCT = Customer.entity_type, Contact.entity_type, CustomerDistinct.entity_type
#: Groups, and pairs, that one person can go through.
MOST_GROUPS = 200
MOST_PAIRS = 200
#: Marks that are looked at for them, and of one mark customers that are compared with each other: more have it by chance.
_MOST_MARKS, _MOST_ROWS, _MOST_ALIKE = 5_000, 50_000, 10
#: Customers told of while one is typed.
MOST_HITS = 8
#: Of customers beyond his rights nobody is told of more than so many within an hour.
HIDDEN_AN_HOUR = 20
_HOUR_MS = 3_600_000
#: What the system log calls it.
HIDDEN_TOLD, HIDDEN_REFUSED = "hidden_alike", "hidden_alike_refused"


@cache
def _reason(mark: str) -> str:
    """The customer's own field that says such a mark, heaviest first."""
    return next(field.key for field in marks.marked(_CUSTOMER) if field.f.mark == mark)


@dataclass(frozen=True)
class Reader:
    """What an actor may compare by: a field that is hidden or covered for him does not even confirm a guess."""

    actor: Actor

    def reads(self, mark: str, by: int) -> bool:
        """Whether he reads every field of a kind that says such a mark."""
        kind = next((kind for kind in (_CUSTOMER, _CONTACT) if kind.no == by), None)
        if kind is None or (kind is _CONTACT and not policy.may(self.actor, "contact.read")):
            return False
        covered = {key for key, rule in policy.field_rules(self.actor, kind).items() if rule in {FieldRule.HIDDEN, FieldRule.MASKED}}
        return not any(field.f.mark == mark and field.key in covered for field in marks.marked(kind))


# all of them -------------------------------------------------------------------------------------------------------------


def find_duplicates(uow: UnitOfWork, actor: Actor) -> dict[str, Any]:
    """Customers the actor sees that look like one, by name, phone or tax number: {"rows": [{"reasons": {field: value}, "customers": [{id, …}]}]}.

    Customers that are alike for several reasons come once; a field that may not be read is no reason. A value is as it is compared, "" where
    it is a contact's.
    """
    groups: dict[frozenset[str], dict[str, int]] = defaultdict(dict)
    for (mark, number), ids in _shared(uow.connection, actor).items():
        groups[frozenset(ids)][_reason(mark)] = number
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))[:MOST_GROUPS]
    known = seen_customers(uow.connection, actor, (identity for ids, _reasons in ordered for identity in ids))
    rows = []
    for members, reasons in ordered:
        customers = [known[one] for one in sorted(members)]
        said = {marks.number_of(plain): plain for one in customers for _field, _mark, plain in marks.marks_of(marks.marked(_CUSTOMER), one)}
        values = {key: said.get(number, "") for key, number in reasons.items()}
        rows.append({"reasons": values, "customers": [record_json(_CUSTOMER, one) for one in customers]})
    return {"rows": rows}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two customers who are likely one, or were told apart: the older first, as the actor may see them.

    ``reasons``: fields by which they look like one · ``apart``: whether they are of two branches · ``note``: why they are two.
    """

    records: Mapping[str, Record]
    reasons: tuple[str, ...] = ()
    note: str = ""

    @property
    def one(self) -> str:
        """Id of the one entered first."""
        return min(self.records)

    @property
    def other(self) -> str:
        """Id of the other one."""
        return max(self.records)

    @property
    def apart(self) -> bool:
        """Whether they belong to two branches, as far as the actor may see that."""
        return len({record.get("branch_id") for record in self.records.values()}) > 1


def likely_pairs(connection: Connection, actor: Actor) -> list[Pair]:
    """Pairs of customers the actor sees that nobody has told apart, most reasons first, then the newest; at most MOST_PAIRS + 1."""
    pairs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (mark, _number), ids in _shared(connection, actor).items():
        for one, other in combinations(sorted(ids)[-_MOST_ALIKE:], 2):
            pairs[one, other].add(_reason(mark))
    for one, other in connection.all("SELECT one_id, other_id FROM customer_distinct WHERE deleted = 0") if pairs else ():
        pairs.pop((min(one, other).hex(), max(one, other).hex()), None)
    ordered = sorted(pairs.items(), key=lambda pair: (len(pair[1]), max(pair[0])), reverse=True)[: MOST_PAIRS + 1]
    known = seen_customers(connection, actor, (identity for ids, _reasons in ordered for identity in ids))
    return [Pair({one: known[one], other: known[other]}, tuple(sorted(reasons))) for (one, other), reasons in ordered]


def told_apart(connection: Connection, actor: Actor) -> list[Pair]:
    """Pairs of live customers the actor sees that somebody told apart, the last first; at most MOST_PAIRS."""
    rows = connection.all(
        "SELECT one_id, other_id, note FROM customer_distinct WHERE deleted = 0 AND one_id <> other_id ORDER BY rid DESC LIMIT ?",
        (5 * MOST_PAIRS,),
    )
    notes = {(min(one, other).hex(), max(one, other).hex()): str(note or "") for one, other, note in reversed(rows)}
    known = seen_customers(connection, actor, (identity for pair in notes for identity in pair))
    found = [
        Pair({one: known[one], other: known[other]}, note=note)
        for (one, other), note in reversed(notes.items())
        if one in known and other in known
    ]
    return found[:MOST_PAIRS]


def list_pairs(uow: UnitOfWork, actor: Actor) -> dict[str, Any]:
    """The same in JSON form: {"rows": [{"one", "other": the customers, "reasons": fields, "apart"}], "more": whether there are others}."""
    pairs = likely_pairs(uow.connection, actor)
    rows = [
        {
            "one": record_json(_CUSTOMER, pair.records[pair.one]),
            "other": record_json(_CUSTOMER, pair.records[pair.other]),
            "reasons": list(pair.reasons),
            "apart": pair.apart,
        }
        for pair in pairs[:MOST_PAIRS]
    ]
    return {"rows": rows, "more": len(pairs) > MOST_PAIRS}


def _shared(connection: Connection, actor: Actor) -> dict[tuple[str, int], set[str]]:
    """Ids of live customers the actor sees by what several of them are known by."""
    seen, reader = policy.view(actor, _CUSTOMER), Reader(actor)
    condition, params = seen.condition("customer")
    rows = connection.all(
        f"""SELECT t.kind, t.value, m.doc >> {ROW_BITS}, customer.id
            FROM (SELECT kind, value FROM mark_twice LIMIT {_MOST_MARKS}) t JOIN mark m ON m.kind = t.kind AND m.value = t.value
            JOIN customer ON customer.id = m.of WHERE customer.deleted = 0 AND {condition} LIMIT {_MOST_ROWS}""",
        params,
    )
    found: dict[tuple[str, int], set[str]] = defaultdict(set)
    allowed = {(mark, by): reader.reads(mark, by) for mark, by in {(row[0], row[2]) for row in rows}}
    for mark, number, by, identity in rows:
        if allowed[mark, by]:
            found[mark, number].add(identity.hex())
    return {mark: ids for mark, ids in found.items() if len(ids) > 1}


def seen_customers(connection: Connection, actor: Actor, ids: Iterable[str]) -> dict[str, Record]:
    """Live customers by id as the actor may see them; the others are left out."""
    seen = policy.seen(actor, _CUSTOMER)
    if seen is None:
        return {}
    condition, params = seen.condition("customer")
    unique = [bytes.fromhex(one) for one in dict.fromkeys(ids)]
    found: dict[str, Record] = {}
    for start in range(0, len(unique), 500):
        portion = unique[start : start + 500]
        rows = connection.all(
            f"SELECT {record_columns(_CUSTOMER)} FROM customer WHERE id IN ({','.join('?' * len(portion))}) AND deleted = 0 AND {condition}",
            [*portion, *params],
        )
        found.update((row[0].hex(), seen.of(load_record(_CUSTOMER, row))) for row in rows)
    return found


# while one is typed ------------------------------------------------------------------------------------------------------


def find_alike(uow: UnitOfWork, actor: Actor, *, values: dict[str, str | None], id: RecordId | None = None) -> dict[str, Any]:
    """Customers that look like the one being typed (its fields as typed; ``id`` once it has one).

    Returns {"rows", "braked"}. A row the actor may see: {"id", "number", "name", "phone", "owner", "branch", "reasons"}, else only
    {"masked": true, "owner", "branch", "reasons"}: that there is one, and whom to ask. Each of those is noted in the system log; of more
    than HIDDEN_AN_HOUR within an hour nobody is told (``braked``).
    """
    reader = Reader(actor)
    reasons: dict[str, set[str]] = defaultdict(set)
    for field, mark, plain in marks.marks_of(marks.marked(_CUSTOMER), {key: str(value or "")[:1000] for key, value in values.items()}):
        for known in marks.known_by(uow.connection, mark, plain, limit=3 * MOST_HITS):
            if known.id != id and reader.reads(mark, known.by):
                reasons[known.id].add(field.key)
    return told(uow, actor, reasons)


#: What else is known of a company that is typed as a new customer, beside customers: asked with its fields as typed, tells rows of the same
#: shape with "until", and whether there are others that the actor is not told of.
ALSO_KNOWN: list[Callable[[UnitOfWork, Actor, Mapping[str, str | None]], tuple[list[dict[str, Any]], bool]]] = []

#: What stands against a customer as he is typed, though nobody is like him: rows of the same shape, asked with all of his fields that bear on it.
ASKED_ALONG = ("partner_id", "area")
AGAINST: list[Callable[[UnitOfWork, Actor, Mapping[str, Any]], list[dict[str, Any]]]] = []


def advise_customer(uow: UnitOfWork, actor: Actor, *, values: dict[str, str | None], id: RecordId | None = None) -> dict[str, Any]:
    """Who is there already while a customer is typed: as ``find_alike``, of a new one what else is known of such a company, and what stands against him."""
    found = find_alike(uow, actor, values=values, id=id)
    for known in ALSO_KNOWN if id is None else ():
        rows, braked = known(uow, actor, values)
        found = {"rows": [*found["rows"], *rows], "braked": found["braked"] or braked}
    if any(values.get(key) for key in ASKED_ALONG):
        was = policy.shown(actor, _CUSTOMER, uow.get(_CUSTOMER, id)) if id and policy.visible(uow.connection, actor, _CUSTOMER, id) else {}
        typed = {key: values.get(key, was.get(key)) for key in ASKED_ALONG}
        found["rows"] += [row for tell in AGAINST for row in tell(uow, actor, typed)]
    return found


def told(uow: UnitOfWork, actor: Actor, reasons: Mapping[str, set[str]]) -> dict[str, Any]:
    """What an actor is told of customers that look like what he types, by id the fields that say so; as ``find_alike`` does."""
    live = owners_of(uow.connection, reasons)
    seen = seen_customers(uow.connection, actor, live)
    ordered = sorted(live, key=lambda one: (one not in seen, -len(reasons[one]), one))[:MOST_HITS]
    allowed, braked = may_be_told(uow, actor, [(one, live[one]["number"] or one) for one in ordered if one not in seen])
    names = {key: titles(uow.connection, entity_type(key), [live[one][f"{column}_id"] for one in ordered if live[one][f"{column}_id"]])
             for key, column in (("user", "owner"), ("branch", "branch"))}  # fmt: skip
    rows = []
    for one in ordered:
        if one in seen or one in allowed:
            owner, branch = names["user"].get(live[one]["owner_id"] or ""), names["branch"].get(live[one]["branch_id"] or "")
            shown = {key: record_json(_CUSTOMER, seen[one]).get(key) for key in ("id", "number", "name", "phone")} if one in seen else {}
            rows.append({**(shown or {"masked": True}), "owner": owner, "branch": branch, "reasons": sorted(reasons[one])})
    return {"rows": rows, "braked": braked}


def owners_of(connection: Connection, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Number, owner and branch of those that are live, whoever may see them."""
    listed = [bytes.fromhex(one) for one in ids]
    rows = connection.all(
        f"SELECT id, number, owner_id, branch_id FROM customer WHERE deleted = 0 AND id IN ({','.join('?' * len(listed))})", listed
    )
    return {
        row[0].hex(): {"number": row[1], "owner_id": row[2].hex() if row[2] else None, "branch_id": row[3].hex() if row[3] else None}
        for row in rows
    }


def may_be_told(uow: UnitOfWork, actor: Actor, hidden: list[tuple[str, str]]) -> tuple[set[str], bool]:
    """Those of some customers beyond his rights (id, and what the system log calls it) that an actor is told of, and whether there are others."""
    if not hidden:
        return set(), False
    newest = int(uow.connection.value("SELECT coalesce(max(id), 0) FROM event_log"))
    lately = uow.connection.all(
        "SELECT kind, detail FROM event_log WHERE id > ? AND kind IN (?, ?) AND user_id IS ? AND at > ?",
        (newest - 10_000, HIDDEN_TOLD, HIDDEN_REFUSED, _key(actor), uow.store.clock.now_ms() - _HOUR_MS),
    )
    known = {detail for kind, detail in lately if kind == HIDDEN_TOLD}
    told: set[str] = set()
    for identity, name in hidden:
        if name not in known and len(known) >= HIDDEN_AN_HOUR:
            continue
        if name not in known:
            uow.log(HIDDEN_TOLD, name)
        known.add(name)
        told.add(identity)
    braked = len(told) < len(hidden)
    if braked and not any(kind == HIDDEN_REFUSED for kind, _detail in lately):
        uow.log(HIDDEN_REFUSED)
    return told, braked


def _key(actor: Actor) -> bytes | None:
    return bytes.fromhex(actor.user_id) if actor.user_id else None


# told apart --------------------------------------------------------------------------------------------------------------


def tell_apart(uow: UnitOfWork, actor: Actor, *, one: RecordId, other: RecordId, note: str | None = None) -> dict[str, str]:
    """Two customers that look like one are two: nobody is asked about them again, anywhere. Returns the decision's id."""
    _require_pair(uow, actor, one, other)
    known = decisions(uow.connection, one, other)
    if known:
        return {"id": known[0]}
    first, second = sorted((one, other))
    values = {"one_id": first, "other_id": second, "note": note or None, "decided_by": actor.user_id, "decided_at": now_utc()}
    return {"id": uow.insert(_DISTINCT, _DISTINCT.validate(values))}


def look_again(uow: UnitOfWork, actor: Actor, *, one: RecordId, other: RecordId) -> dict[str, int]:
    """Take that back: they are a likely pair again. Returns {taken: how many decisions}, for two places may have decided it."""
    _require_pair(uow, actor, one, other)
    known = decisions(uow.connection, one, other)
    for identity in known:
        uow.set_deleted(_DISTINCT, identity, deleted=True)
    return {"taken": len(known)}


def _require_pair(uow: UnitOfWork, actor: Actor, one: str, other: str) -> None:
    for identity in (one, other):
        policy.require_record(uow.connection, actor, _CUSTOMER, identity, "merge")
        uow.get(_CUSTOMER, identity)
    if one == other:
        raise InvalidInput("same_customer", N_("These are not two customers but one."))


def decisions(connection: Connection, one: str, other: str) -> list[str]:
    """Ids of the decisions that two customers are two, the first first."""
    pair = (bytes.fromhex(one), bytes.fromhex(other))
    rows = connection.all(
        "SELECT id FROM customer_distinct WHERE deleted = 0 AND ((one_id = ?1 AND other_id = ?2) OR (one_id = ?2 AND other_id = ?1)) ORDER BY rid",
        pair,
    )
    return [row[0].hex() for row in rows]


def kinds_compared() -> tuple[EntityType, ...]:
    """Kinds of records a change of which may make or end a likely pair."""
    return (_CUSTOMER, _CONTACT, _DISTINCT)


VERBS = (
    Verb(find_duplicates, N_("Find customers entered twice"), "customer.read"),
    Verb(list_pairs, N_("List pairs of customers that are likely one"), "customer.read"),
    Verb(find_alike, N_("Find customers like the one being typed"), "customer.create"),
    Verb(advise_customer, N_("Tell who is known already while a customer is typed"), "customer.create"),
    Verb(tell_apart, N_("Say that two customers are not the same")),
    Verb(look_again, N_("Look again at two customers that were told apart")),
)
