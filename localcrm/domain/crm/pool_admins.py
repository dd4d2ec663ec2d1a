"""Who looks after a pool: may move its customers, give them out and take them back without the right to do so everywhere, and how often others look in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm import pool_limits
from localcrm.domain.crm.custody import moment
from localcrm.domain.crm.entities import ChangeKind, Customer, OwnerChange, Pool
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import Forbidden, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, load_record, record_columns
from localcrm.store.uow import UnitOfWork

_CUSTOMER, _POOL, _CHANGE = Customer.entity_type, Pool.entity_type, OwnerChange.entity_type
#: What the system log calls a look into a pool that counts them, and how many of its newest rows are looked through.
LOOKED, _LATELY = "pool_looked", 10_000
_GIVEN = (ChangeKind.PICK.value, ChangeKind.ASSIGN.value)
#: Customers that were given out of a pool and are listed.
MOST_GIVEN = 200


def looks_after(actor: Actor, pool: Mapping[str, Any]) -> bool:
    """Whether somebody is named as looking after a pool."""
    return actor.user_id is not None and actor.user_id in str(pool["admins"] or "").split()


def require_some(connection: Connection, actor: Actor, permission: str) -> None:
    """Raise Forbidden for who has neither a right nor a pool to look after."""
    if any(looks_after(actor, pool) for pool in pool_limits.pools(connection)):
        policy.require_acting(actor)
    else:
        policy.require(actor, permission)


def gives_out(actor: Actor, pool: Mapping[str, Any]) -> bool:
    """Whether somebody may give out what lies in a pool, as far as his rights reach or because he looks after it."""
    return looks_after(actor, pool) or policy.may(actor, "customer.assign")


def lies_in(connection: Connection, customer: str) -> Record | None:
    """The pool a customer lies in, closed ones too; None for one that has a salesperson or never was in any."""
    rows = connection.all(
        f"""SELECT {record_columns(_POOL)} FROM pool WHERE id =
            (SELECT pool_id FROM customer WHERE id = ? AND owner_id IS NULL AND deleted = 0)""",
        (bytes.fromhex(customer),),
    )
    return load_record(_POOL, rows[0]) if rows else None


def came_from(connection: Connection, customer: str) -> str | None:
    """The pool out of which whoever has a customer now was given it, or picked it."""
    row = connection.one(
        "SELECT kind, pool_id FROM owner_change WHERE customer_id = ? AND deleted = 0 ORDER BY at DESC, rid DESC LIMIT 1",
        (bytes.fromhex(customer),),
    )
    return row[1].hex() if row and row[1] and row[0] in _GIVEN else None


def given_out(connection: Connection, actor: Actor, pool: Mapping[str, Any], *, search: str = "") -> list[dict[str, Any]]:
    """Customers given out of a pool that are still with whoever got them, those given last first: id, name, owner, kind, at.

    Raises Forbidden for who does not look after it.
    """
    if not looks_after(actor, pool):
        raise Forbidden("not_yours", N_("You do not look after this pool."))
    rows = connection.all(
        f"""SELECT c.id, c.name, u.name, o.kind, o.at FROM owner_change o JOIN customer c ON c.id = o.customer_id AND c.deleted = 0
            JOIN "user" u ON u.id = o.to_id
            WHERE o.pool_id = ? AND o.deleted = 0 AND o.kind IN (?, ?) AND c.owner_id = o.to_id AND instr(lower(c.name), lower(?))
            AND NOT EXISTS (SELECT 1 FROM owner_change n WHERE n.customer_id = o.customer_id AND n.deleted = 0 AND n.at > o.at)
            ORDER BY o.rid DESC LIMIT {MOST_GIVEN}""",
        (bytes.fromhex(pool["id"]), *_GIVEN, search.strip()),
    )
    at = _CHANGE.fields["at"]
    return [{"id": pk.hex(), "name": name, "owner": owner, "kind": kind, "at": at.load(when)} for pk, name, owner, kind, when in rows]


# looks into a pool ------------------------------------------------------------------------------------------------------------


def look_into_pool(uow: UnitOfWork, actor: Actor, *, pool_id: RecordId) -> dict[str, int | None]:
    """Count one look into a pool that limits them, before its list is read; returns {left}, None where any number is allowed.

    Raises Refused once there were as many on this day at this place as allowed; who looks after the pool looks as often as he likes.
    """
    policy.require(actor, "customer.pick")
    pool = uow.get(_POOL, pool_id)
    if actor.user_id is None or not pool_limits.is_member(uow.connection, pool, actor.user_id):
        raise Forbidden("no_member", N_("You are not a member of this pool."))
    most = pool["looks_per_day"]
    if most is None or looks_after(actor, pool):
        return {"left": None}
    looked = looks_today(uow.connection, actor.user_id, pool, moment(uow))
    if looked >= most:
        raise Refused(
            "looked_enough",
            N_("You have looked into “{pool}” {count} times today; more are possible tomorrow."),
            pool=pool["name"],
            count=most,
        )
    uow.log(LOOKED, pool["name"])
    return {"left": int(most) - looked - 1}


def looks_today(connection: Connection, user: str, pool: Mapping[str, Any], now: datetime) -> int:
    """How often somebody looked into a pool on the day of a moment, at this place."""
    newest = int(connection.value("SELECT coalesce(max(id), 0) FROM event_log"))
    morning = round(datetime.combine(now.astimezone().date(), time()).astimezone().timestamp() * 1000)
    return int(
        connection.value(
            "SELECT count(*) FROM event_log WHERE id > ? AND at >= ? AND kind = ? AND user_id = ? AND detail = ?",
            (newest - _LATELY, morning, LOOKED, bytes.fromhex(user), pool["name"]),
        )
    )


def require_looked(connection: Connection, actor: Actor, pool: Mapping[str, Any], now: datetime) -> None:
    """Raise Refused where a pool counts looks and this one was not counted."""
    if pool["looks_per_day"] is None or looks_after(actor, pool):
        return
    if not looks_today(connection, str(actor.user_id), pool, now):
        raise Refused("not_looked", N_("This pool counts how often it is looked into. Open it anew."))


VERBS = (Verb(look_into_pool, N_("Look into a pool")),)
