"""Customers of a pool are given out by rules: first shown, then done, at the home of the pool.

Nothing is kept of whose turn it is: whoever was given a customer longest ago is next, and that the chain of custody tells at every
node alike. Capacity, waiting times and leave are asked anew with each run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm import pool_admins, pool_limits
from localcrm.domain.crm.checks import checked_list
from localcrm.domain.crm.custody import MOST, Move, moment, move
from localcrm.domain.crm.entities import AllotRule, ChangeKind, Customer, Pool
from localcrm.domain.people.entities import User
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, load_record, record_columns, titles
from localcrm.store.uow import UnitOfWork

_RULE, _POOL, _CUSTOMER, _USER = (kind.entity_type for kind in (AllotRule, Pool, Customer, User))


@dataclass(frozen=True, slots=True)
class Given:
    """One customer that a rule gives to somebody."""

    customer: Record
    rule: Record
    user: str


@dataclass(slots=True)
class _Taker:
    """Somebody who is given customers. ``room``: how many more, None any number; ``last``: when he was given one last, in the order of the run."""

    user: str
    room: int | None
    deals_free: bool
    held: int
    last: tuple[int, int]

    def takes(self, customer: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
        """Whether he has room for a customer by the limits of pools and of the rule."""
        most = rule["held_most"]
        free = self.deals_free and customer["level"] == "deal"
        return (most is None or self.held < most) and (self.room is None or self.room > 0 or free)

    def take(self, customer: Mapping[str, Any], turn: int) -> None:
        """Count one that he is given."""
        self.held += 1
        if self.room is not None and not (self.deals_free and customer["level"] == "deal"):
            self.room -= 1
        self.last = (1, turn)


def plan(connection: Connection, pool: Record, customers: Sequence[Record], now: datetime) -> list[Given]:
    """Who is given which of these customers of a pool, by its rules in their order; those that none fits stay out."""
    rows = connection.all(
        f"SELECT {record_columns(_RULE)} FROM allot_rule WHERE pool_id = ? AND deleted = 0 AND active = 1 ORDER BY position, id",
        (bytes.fromhex(pool["id"]),),
    )
    rules = [load_record(_RULE, row) for row in rows]
    takers = _takers(connection, pool, [user for rule in rules for user in str(rule["members"] or "").split()])
    found: list[Given] = []
    for customer in customers:
        for rule in rules:
            taker = _next(connection, rule, customer, takers, now) if _fits(rule, customer) else None
            if taker is not None:
                taker.take(customer, len(found))
                found.append(Given(customer, rule, taker.user))
                break
    return found


def _fits(rule: Mapping[str, Any], customer: Mapping[str, Any]) -> bool:
    area = str(customer["area"] or "")
    within = not rule["area"] or area == rule["area"] or area.startswith(f"{rule['area']}/")
    return within and all(not rule[key] or rule[key] == customer[key] for key in ("source", "level"))


def _next(connection: Connection, rule: Mapping[str, Any], customer: Record, takers: Mapping[str, _Taker], now: datetime) -> _Taker | None:
    """Whoever is next of those a rule names: able to take it, and not waiting because he had it before."""
    named = [takers[user] for user in str(rule["members"] or "").split() if user in takers]
    ready = (taker for taker in sorted(named, key=lambda one: one.last) if taker.takes(customer, rule))
    return next((taker for taker in ready if not pool_limits.is_barred(connection, customer["id"], taker.user, now)), None)


def _takers(connection: Connection, pool: Mapping[str, Any], users: Sequence[str]) -> dict[str, _Taker]:
    """Everybody who may be given something now, by id: working here and not on leave."""
    found: dict[str, _Taker] = {}
    for user in dict.fromkeys(users):
        key = bytes.fromhex(user)
        works = connection.one('SELECT 1 FROM "user" WHERE id = ? AND deleted = 0 AND active = 1', (key,))
        if not works or user in str(pool["away"] or "").split():
            continue
        room = pool_limits.room(connection, user)
        held = connection.value("SELECT count(*) FROM customer WHERE owner_id = ? AND deleted = 0", (key,))
        last = connection.value("SELECT max(at) FROM owner_change WHERE to_id = ? AND deleted = 0 AND kind = 'assign'", (key,))
        found[user] = _Taker(user, room and room[0], bool(room and room[1]), int(held), (0, int(last or 0)))
    return found


# verbs ----------------------------------------------------------------------------------------------------------------------


def allot_preview(uow: UnitOfWork, actor: Actor, *, pool_id: RecordId) -> dict[str, Any]:
    """Who would be given which customers of a pool: {rows: [{customer, name, rule, to, to_name}], left}; ``left`` of those looked at stay there."""
    given, looked_at = _planned(uow, actor, pool_id)
    names = titles(uow.connection, _USER, [one.user for one in given])
    rows = [
        {
            "customer": one.customer["id"],
            "name": policy.shown(actor, _CUSTOMER, one.customer).get("name") or "",
            "rule": one.rule["name"],
            "to": one.user,
            "to_name": names.get(one.user, ""),
        }
        for one in given
    ]
    return {"rows": rows, "left": looked_at - len(given)}


def allot(uow: UnitOfWork, actor: Actor, *, pool_id: RecordId) -> dict[str, Any]:
    """Give customers of a pool out by its rules, those that came first, at most so many at once; returns {moved, left, by: {user: count}}.

    It can be taken back within a day.
    """
    given, looked_at = _planned(uow, actor, pool_id)
    pool, homes = uow.get(_POOL, pool_id), dict[str, str | None]()
    for one in given:
        home = homes.setdefault(one.user, uow.get(_USER, one.user)["branch_id"])
        how = Move(
            to=one.user, kind=ChangeKind.ASSIGN, by=actor.user_id, reason=str(one.rule["name"]), protect_days=int(pool["protect_days"]),
            branch=home,
        )  # fmt: skip
        move(uow, one.customer, how)
    return {"moved": len(given), "left": looked_at - len(given), "by": dict(Counter(one.user for one in given))}


def _planned(uow: UnitOfWork, actor: Actor, pool_id: str) -> tuple[list[Given], int]:
    """What the rules come to for the oldest customers of a pool that the actor may assign, and how many were looked at."""
    pool_admins.require_some(uow.connection, actor, "customer.assign")
    pool = uow.get(_POOL, pool_id)
    pool_limits.require_home(uow, pool)
    if not pool["active"]:
        raise Refused("pool_closed", N_("The pool “{pool}” is closed."), pool=pool["name"])
    condition, params = "1", list[Any]()
    if not pool_admins.looks_after(actor, pool):
        condition, params = policy.view(actor, _CUSTOMER, "assign").condition("customer")
    rows = uow.connection.all(
        f"""SELECT {record_columns(_CUSTOMER)} FROM customer WHERE pool_id = ? AND deleted = 0 AND owner_id IS NULL AND {condition}
            ORDER BY released_at, rid LIMIT {MOST}""",
        [bytes.fromhex(pool_id), *params],
    )
    customers = [load_record(_CUSTOMER, row) for row in rows]
    return plan(uow.connection, pool, customers, moment(uow)), len(customers)


# rules ----------------------------------------------------------------------------------------------------------------------


def prepare_rule(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """Members are users that there are."""
    return {**values, "members": checked_list(uow, "user", str(values["members"]))} if values.get("members") else values


def check_rule(uow: UnitOfWork, actor: Actor, values: Mapping[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A rule gives to somebody."""
    if values is not old and not values["members"]:
        raise InvalidInput("members_needed", N_("Choose who is given the customers."), field="members")


BEHAVIOURS = {"allot_rule": Behaviour(prepare=prepare_rule, check=check_rule)}
VERBS = (Verb(allot_preview, N_("Who would be given customers of a pool")), Verb(allot, N_("Give customers of a pool out by rules")))
