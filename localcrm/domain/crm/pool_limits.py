"""Who may pick from a pool, and how many customers somebody can have: asked wherever a customer comes to somebody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from localcrm.domain.crm.entities import ChangeKind, ClaimOutcome, Pool
from localcrm.domain.roles import BasicRole
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record, load_record, record_columns, titles
from localcrm.store.uow import UnitOfWork

_POOL = Pool.entity_type
_LEAVING = (ChangeKind.RELEASE.value, ChangeKind.RECLAIM.value)


def pools(connection: Connection) -> list[Record]:
    """Every pool, by name."""
    rows = connection.all(f"SELECT {record_columns(_POOL)} FROM pool WHERE deleted = 0 ORDER BY name, id")
    return [load_record(_POOL, row) for row in rows]


def is_home(node: Node, pool: Mapping[str, Any]) -> bool:
    """Whether this node gives the customers of a pool away."""
    return node.is_office if pool["home_id"] is None else pool["home_id"] == node.branch_id


def require_home(uow: UnitOfWork, pool: Mapping[str, Any]) -> None:
    """Raise Refused where another node gives the customers of a pool away."""
    if not is_home(uow.node, pool):
        raise Refused(
            "pool_elsewhere",
            N_("The pool “{pool}” is given out at {place}. Pick the customer here and your request is sent there."),
            pool=pool["name"],
            place=home_name(uow.connection, pool),
        )


def home_name(connection: Connection, pool: Mapping[str, Any]) -> str:
    """What the home of a pool is called."""
    if pool["home_id"] is None:
        return str(connection.value("SELECT name FROM branch WHERE node_no = 1") or "")
    return titles(connection, entity_type("branch"), [pool["home_id"]]).get(pool["home_id"], "")


def is_member(connection: Connection, pool: Mapping[str, Any], user: str) -> bool:
    """Whether a user is named in a pool, looks after it, works in one of its departments or below one, or is an administrator.

    Nobody named means everybody.
    """
    members, departments = (set(str(pool[key] or "").split()) for key in ("members", "departments"))
    if not members and not departments:
        return True
    if user in members or user in str(pool["admins"] or "").split():
        return True
    row = connection.one('SELECT role, department_id, departments FROM "user" WHERE id = ?', (bytes.fromhex(user),))
    if row is None or row[0] == BasicRole.ADMIN:
        return row is not None
    waiting, seen = {*(row[2] or "").split(), *([row[1].hex()] if row[1] else [])}, set[str]()
    while waiting:
        one = waiting.pop()
        if one in departments:
            return True
        seen.add(one)
        above = connection.value("SELECT parent_id FROM department WHERE id = ?", (bytes.fromhex(one),))
        if above and above.hex() not in seen:
            waiting.add(above.hex())
    return False


# how many somebody can have -------------------------------------------------------------------------------------------------


def room(connection: Connection, user: str) -> tuple[int, bool] | None:
    """How many more customers a user can take, and whether deal customers do not count; the strictest pool he is a member of says so.

    None: any number.
    """
    limits = [
        (int(pool["held_most"]), bool(pool["deals_free"]))
        for pool in pools(connection)
        if pool["active"] and pool["held_most"] is not None and is_member(connection, pool, user)
    ]
    left = [(most - held(connection, user, deals_free=free, most=most), free) for most, free in limits]
    return min(left, default=None)


def held(connection: Connection, user: str, *, deals_free: bool, most: int) -> int:
    """Customers somebody has, counted no further than ``most``."""
    counted = " AND level IS NOT 'deal'" if deals_free else ""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM customer WHERE owner_id = ? AND deleted = 0{counted} LIMIT {most + 1})"
    return int(connection.value(sql, (bytes.fromhex(user),)))


def check_room(connection: Connection, user: Record, levels: Mapping[str, str | None]) -> None:
    """Raise Refused where a user would have more customers than allowed; ``levels`` of those he is given, by id."""
    left = room(connection, user["id"])
    if left is None:
        return
    more = sum(not (left[1] and level == "deal") for level in levels.values())
    if more > max(left[0], 0):
        raise Refused(
            "too_many_customers",
            N_("{name} can take {left} more customers, and this would be {more}. Nothing was changed."),
            name=user["name"],
            left=max(left[0], 0),
            more=more,
        )


def is_barred(connection: Connection, customer: str, user: str, now: datetime) -> bool:
    """Whether somebody gave a customer up, or had it reclaimed, so lately that he may not have it again, by whatever way and whoever's hands."""
    marks = ",".join("?" * len(_LEAVING))
    row = connection.one(
        f"""SELECT o.at, p.barred_days FROM owner_change o JOIN pool p ON p.id = o.pool_id
            WHERE o.customer_id = ? AND o.deleted = 0 AND o.from_id = ? AND o.kind IN ({marks}) ORDER BY o.at DESC LIMIT 1""",
        (bytes.fromhex(customer), bytes.fromhex(user), *_LEAVING),
    )
    return row is not None and datetime.fromtimestamp(row[0] / 1000, tz=UTC) + timedelta(days=row[1]) > now


def picked_on_day(connection: Connection, user: str, at: datetime, *, besides: str = "") -> int:
    """How many customers somebody picked or asked for on the day of a moment; requests that were refused do not count."""
    day = at.astimezone().date()
    start, end = (round(datetime.combine(one, time()).astimezone().timestamp() * 1000) for one in (day, day + timedelta(days=1)))
    key = bytes.fromhex(user)
    picked = connection.value(
        "SELECT count(*) FROM owner_change WHERE to_id = ? AND deleted = 0 AND kind = 'pick' AND claim_id IS NULL AND at >= ? AND at < ?",
        (key, start, end),
    )
    asked = connection.value(
        """SELECT count(*) FROM pool_claim c WHERE c.user_id = ? AND c.deleted = 0 AND c.at >= ? AND c.at < ? AND c.id <> ?
           AND NOT EXISTS (SELECT 1 FROM claim_answer a WHERE a.claim_id = c.id AND a.deleted = 0 AND a.outcome <> 'granted')""",
        (key, start, end, bytes.fromhex(besides)),
    )
    return int(picked) + int(asked)


def why_not(
    connection: Connection, pool: Mapping[str, Any], customer: Mapping[str, Any], user: str, at: datetime, *, claim: str = ""
) -> ClaimOutcome | None:
    """Why somebody may not pick a customer of a pool, None where he may; ``claim`` is the request he picks it by, of the moment ``at``."""
    if customer["deleted"]:
        return ClaimOutcome.GONE
    if customer["owner_id"] is not None or customer["pool_id"] != pool["id"]:
        return ClaimOutcome.TAKEN
    if not pool["active"] or pool["deleted"]:
        return ClaimOutcome.CLOSED
    if not is_member(connection, pool, user):
        return ClaimOutcome.NO_MEMBER
    if is_barred(connection, customer["id"], user, at):
        return ClaimOutcome.BARRED
    if customer["released_at"] is not None and at < customer["released_at"] + timedelta(days=pool["fresh_days"]):
        return ClaimOutcome.FRESH
    left = room(connection, user)
    if left is not None and left[0] < 1 and not (left[1] and customer["level"] == "deal"):
        return ClaimOutcome.FULL
    if pool["picks_per_day"] is not None and picked_on_day(connection, user, at, besides=claim) >= pool["picks_per_day"]:
        return ClaimOutcome.DAY_FULL
    return None
