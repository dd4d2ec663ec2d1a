"""Customers that nobody looks after go to a pool: what would go when, and the nightly run that takes them.

A customer is reclaimed only at its home, the node of its branch: activity recorded there is known there, however long the line is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm import custody_rules as rules, pools
from localcrm.domain.crm.custody import moment
from localcrm.domain.crm.entities import Activity, ChangeKind, Customer, Pool, ReclaimRule
from localcrm.domain.crm.open_work import FOLLOWS_FROM, LAST_DAYS, WORK, sparing
from localcrm.domain.crm.reminders import MOST, Ask, Reminding, morning
from localcrm.domain.people.entities import User
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entity
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record, load_record, record_columns, titles
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

_CUSTOMER, _RULE, _POOL, _USER = (kind.entity_type for kind in (Customer, ReclaimRule, Pool, User))
_AT = Activity.entity_type.fields["at"]
#: Customers that one transaction takes, so that nobody waits long for the file.
AT_ONCE = 200
#: Customers that a preview tells of.
MOST_TOLD = 500
#: Kinds of records that say when a customer is taken.
SOURCES = frozenset({"customer", "activity", "reclaim_rule", "receipt", *(kind for kind, work in WORK.items() if work.spares)})


def _care(given: Sequence[Record]) -> str:
    """SQL of what is known of customers that rules may take; days as ISO texts and moments as Unix milliseconds, as they are stored.

    ?1: now, ?2: today. What no rule asks for is not looked up.
    """
    asked = {key for rule in given for key in LAST_DAYS if rule[key]}
    days = [sql.format(customer="c.id", today="?2") if key in asked else "NULL" for key, sql in LAST_DAYS.items()]
    return f"""SELECT c.rid, c.id, c.level, c.owner_since, c.locked, c.protected_until,
        (SELECT max(a.at) FROM activity a WHERE a.customer_id = c.id AND a.deleted = 0 AND a.at <= ?1), {sparing("c.id", "?2")},
        {", ".join(days)} FROM customer c WHERE c.deleted = 0 AND c.owner_id IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class Due:
    """A customer that a rule takes on a day; ``days`` until then, 0 or less where it is time."""

    customer: str
    rule: Mapping[str, Any]
    day: date
    days: int

    @property
    def remind_on(self) -> date:
        """When its salesperson is reminded."""
        return self.day - timedelta(days=int(self.rule["remind_days"]))

    @property
    def is_near(self) -> bool:
        """Whether its salesperson is reminded by now."""
        return self.days <= int(self.rule["remind_days"])


def rules_in_force(connection: Connection) -> list[Record]:
    """Active rules whose pool is open."""
    rows = connection.all(
        f"SELECT {record_columns(_RULE)} FROM reclaim_rule WHERE deleted = 0 AND active = 1 AND pool_id IN "
        "(SELECT id FROM pool WHERE deleted = 0 AND active = 1)"
    )
    return [load_record(_RULE, row) for row in rows]


def due_of(connection: Connection, now: datetime, customers: Sequence[str]) -> dict[str, Due]:
    """When rules take these customers, by id; those that are spared are not in it."""
    given = rules_in_force(connection)
    if not given or not customers:
        return {}
    marks = ",".join(f"?{place}" for place in range(3, len(customers) + 3))
    rows = connection.all(f"{_care(given)} AND c.id IN ({marks})", (*_present(now), *map(bytes.fromhex, customers)))
    return {due.customer: due for due in _dues(given, rows, now)}


def dues_told(connection: Connection, actor: Actor, now: datetime, customers: Sequence[str]) -> dict[str, Due] | None:
    """The same for an actor; None where a field that it is worked out of is hidden from him: a day would tell what it says."""
    needs: dict[str, set[str]] = {_CUSTOMER.key: {"owner_id", "owner_since", "level", "locked", "protected_until"}}
    for rule in rules_in_force(connection):
        for asked in (FOLLOWS_FROM[key] for key in FOLLOWS_FROM if rule[key]):
            for kind, fields in asked.items():
                needs.setdefault(kind, {"customer_id"}).update(fields)
    views = [(policy.seen(actor, entity(kind)), fields) for kind, fields in needs.items()]
    if not all(seen is not None and all(map(seen.shows, fields)) for seen, fields in views):
        return None
    return due_of(connection, now, customers)


def due_of_owner(connection: Connection, now: datetime, user: str) -> list[Due]:
    """When rules take somebody's customers, the next first."""
    given = rules_in_force(connection)
    if not given:
        return []
    rows = connection.all(f"{_care(given)} AND c.owner_id = ?3", (*_present(now), bytes.fromhex(user)))
    return sorted(_dues(given, rows, now), key=lambda due: due.day)


def _present(now: datetime) -> tuple[Any, str]:
    """The moment and its day on the clock on the wall, as ``_care`` asks for them."""
    return _AT.store(now), now.astimezone().date().isoformat()


def _dues(given: Sequence[Record], rows: Iterable[tuple[Any, ...]], now: datetime) -> Iterator[Due]:
    today, fields = now.astimezone().date(), _CUSTOMER.fields
    for _rid, pk, level, since, locked, until, last, has_open, *last_days in rows:
        asked = rules.rules_for(given, level)
        if not asked:
            continue
        protected = fields["protected_until"].load(until)
        days = (date.fromisoformat(day) if day else None for day in last_days)
        care = rules.Care(fields["owner_since"].load(since), _AT.load(last), level, bool(locked), protected, bool(has_open), *days)
        if first := rules.first_due(asked, care):
            day, rule = first
            yield Due(pk.hex(), rule, day, (day - today).days)


# verbs ----------------------------------------------------------------------------------------------------------------------


def reclaim_preview(uow: UnitOfWork, actor: Actor, *, within_days: int = 0) -> dict[str, Any]:
    """What the next run here takes, and what follows ``within_days``: {rows: [{customer, name, owner, rule, pool, day, days}], more}.

    Only customers the actor sees; ``more`` says that there are others beyond the first.
    """
    seen = policy.view(actor, _CUSTOMER)
    condition, params = seen.condition("customer")
    found, connection = [], uow.connection
    for due in _at_home(connection, uow.node, moment(uow), within_days):
        visible = connection.one(f"SELECT 1 FROM customer WHERE id = ? AND {condition}", (bytes.fromhex(due.customer), *params))
        if visible:
            found.append(due)
        if len(found) > MOST_TOLD:
            break
    return {"rows": told(connection, actor, found[:MOST_TOLD]), "more": len(found) > MOST_TOLD}


def told(connection: Connection, actor: Actor, dues: Sequence[Due]) -> list[dict[str, Any]]:
    """Customers that will go, as the actor may read of them."""
    ids = [due.customer for due in dues]
    records = {record["id"]: policy.shown(actor, _CUSTOMER, record) for record in _customers(connection, ids)}
    owners = titles(connection, _USER, [str(one["owner_id"]) for one in records.values() if one.get("owner_id")])
    names = titles(connection, _POOL, [due.rule["pool_id"] for due in dues])
    return [
        {
            "customer": due.customer,
            "name": str(records[due.customer].get("name") or ""),
            "owner": owners.get(str(records[due.customer].get("owner_id")), ""),
            "rule": due.rule["name"],
            "pool": names.get(due.rule["pool_id"], ""),
            "day": due.day.isoformat(),
            "days": due.days,
        }
        for due in dues
    ]


def _customers(connection: Connection, ids: Sequence[str]) -> Iterator[Record]:
    for start in range(0, len(ids), 500):
        portion = [bytes.fromhex(identity) for identity in ids[start : start + 500]]
        sql = f"SELECT {record_columns(_CUSTOMER)} FROM customer WHERE id IN ({','.join('?' * len(portion))})"
        yield from (load_record(_CUSTOMER, row) for row in connection.all(sql, portion))


def reclaim(uow: UnitOfWork, actor: Actor) -> dict[str, int]:
    """Take the customers whose time is over at this node, at most so many at once; returns {moved}."""
    dues = list(islice(_at_home(uow.connection, uow.node, moment(uow), 0), AT_ONCE))
    return {"moved": _take(uow, actor, dues)}


def _take(uow: UnitOfWork, actor: Actor, dues: Iterable[Due]) -> int:
    moved = 0
    for due in dues:
        pool, reason = due.rule["pool_id"], str(due.rule["name"])
        pools.put_into(uow, uow.get(_CUSTOMER, due.customer), pool, ChangeKind.RECLAIM, by=actor.user_id, reason=reason)
        moved += 1
    return moved


def _at_home(connection: Connection, node: Node, now: datetime, within_days: int) -> Iterator[Due]:
    """Customers at home here that a rule takes within so many days, a portion of the table at a time."""
    given, last = rules_in_force(connection), 0
    home = "c.branch_id = ?3" if not node.is_office else "(c.branch_id = ?3 OR c.branch_id IS NULL)"
    while given:
        rows = connection.all(
            f"{_care(given)} AND {home} AND c.rid > ?4 ORDER BY c.rid LIMIT 1000", (*_present(now), bytes.fromhex(node.branch_id), last)
        )
        if not rows:
            return
        last = rows[-1][0]
        yield from (due for due in _dues(given, rows, now) if due.days <= within_days)


def run(store: Store) -> int:
    """The nightly run: transaction by transaction until nothing is left; returns how many customers went."""
    total, now = 0, datetime.fromtimestamp(store.clock.now_ms() / 1000, tz=UTC)
    with store.read() as connection:
        found = [due.customer for due in _at_home(connection, store.node, now, 0)]
    for start in range(0, len(found), AT_ONCE):
        with store.unit_of_work(None) as uow:  # asked once more: somebody may have recorded something meanwhile
            dues = due_of(uow.connection, moment(uow), found[start : start + AT_ONCE])
            total += _take(uow, SYSTEM, (due for due in dues.values() if due.days <= 0))
    return total


def near(connection: Connection, now: datetime, user: str) -> list[str]:
    """Ids of somebody's customers that go to a pool soon, the next first."""
    return [due.customer for due in due_of_owner(connection, now, user) if due.is_near]


def remind(ask: Ask) -> Iterator[Reminding]:
    """Customers of the user's own that go to a pool soon, as many days before as the rule says; until they are gone."""
    customers = ask.view(_CUSTOMER, "owner_id", "name")
    if customers is None:
        return
    last = ask.until.astimezone().date()
    found = [due for due in due_of_owner(ask.connection, ask.now, ask.user.hex()) if due.remind_on <= last][:MOST]
    names = titles(ask.connection, _CUSTOMER, [due.customer for due in found])
    pools_by_id = titles(ask.connection, _POOL, [due.rule["pool_id"] for due in found])
    for due in found:
        if (told_at := morning(due.remind_on)) <= ask.until:
            yield Reminding(
                key=f"reclaim:{due.customer}:{due.day.isoformat()}",
                kind="reclaim",
                due=told_at,
                at=morning(due.day),
                title=names.get(due.customer, ""),
                text=pools_by_id.get(due.rule["pool_id"], ""),
                customer=due.customer,
            )


def is_wanted(store: Store) -> bool:
    """Whether there is a rule at all."""
    with store.read() as connection:
        return store.node.enrolled and bool(connection.value("SELECT 1 FROM reclaim_rule WHERE deleted = 0 AND active = 1 LIMIT 1"))


# rules ----------------------------------------------------------------------------------------------------------------------


def prepare_rule(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A rule that is switched on counts from now: what happened before was not known to matter."""
    active = values.get("active", True if old is None else old["active"])
    starts = active in {True, "true", "1"} and (old is None or not old["active"])
    return {**values, "since": moment(uow)} if starts else values


def check_rule(uow: UnitOfWork, actor: Actor, values: Mapping[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A rule in force fills an open pool, and asks for something."""
    if values is not old and not any(values[key] for key in ("days", *LAST_DAYS, "after_protection")):
        raise InvalidInput("rule_asks_nothing", N_("Enter after how many days of what a customer goes to the pool."), field="days")
    pool = uow.find(_POOL, values["pool_id"])
    if values is not old and values["active"] and (pool is None or not pool["active"]):
        raise Refused("pool_closed", N_("The pool “{pool}” is closed."), pool=pool["name"] if pool else "")


BEHAVIOURS = {"reclaim_rule": Behaviour(prepare=prepare_rule, check=check_rule)}
VERBS = (
    Verb(reclaim_preview, N_("What would be reclaimed"), "customer.read"),
    Verb(reclaim, N_("Reclaim customers that nobody looks after"), "reclaim_rule.update"),
)
