"""Whose a customer is: handing over, locking, and the link that every change adds to its chain, by whatever way it came about.

The salesperson of a customer merges like any of its fields (ADR 0004); the chain says what happened. Where it was changed at two places
apart, head office makes the fields fit the change that stands and brings both ends together in one more link (ADR 0037).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

from localcrm.domain import policy
from localcrm.domain.admin.undo import OwnWay, Touched
from localcrm.domain.crm import custody_rules as rules, pool_limits
from localcrm.domain.crm.entities import ChangeKind, Customer, OwnerChange, Pool
from localcrm.domain.crm.open_work import WORK
from localcrm.domain.options.company import company_number
from localcrm.domain.people.entities import Share, User
from localcrm.domain.people.handing import pass_on
from localcrm.domain.policy import Actor
from localcrm.domain.roles import ShareLevel
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, Kind, entity as entity_type
from localcrm.store.changelog import history
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record, load_record, record_columns, titles
from localcrm.store.uow import UnitOfWork

_CUSTOMER, _CHANGE, _POOL, _SHARE, _USER = (kind.entity_type for kind in (Customer, OwnerChange, Pool, Share, User))
#: Customers that one action moves: so many still go back in one (``admin.undo``).
MOST = 200
#: How long an action can be taken back.
TAKEN_BACK_WITHIN = timedelta(days=1)
#: Fields that say whose a customer is.
ALONG = ("owner_since", "released_at", "previous_owner_id", "protected_until")
FIELDS = ("owner_id", "owner_since", "pool_id", "released_at", "previous_owner_id", "locked", "protected_until")


def moment(uow: UnitOfWork) -> datetime:
    """The present moment by the clock of the data file, to the millisecond."""
    return datetime.fromtimestamp(uow.store.clock.now_ms() / 1000, tz=UTC)


# the chain ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where a customer goes and why. ``to`` None: into ``pool``, or to nobody."""

    to: str | None
    kind: ChangeKind
    by: str | None
    reason: str | None = None
    pool: str | None = None
    claim: str | None = None
    protect_days: int = 0
    branch: str | None = None  # where the customer is at home from now on; None: where it was
    along: Mapping[str, int] = field(default_factory=dict)  # how many records of which kinds go along


def move(uow: UnitOfWork, customer: Record, how: Move) -> None:
    """Give a customer to somebody, or into a pool, and add the link that says so. Whether that may be is asked before."""
    at = moment(uow)
    values = _values(customer, how, at) | _department(uow.connection, how.to)
    if how.branch:
        values["branch_id"] = how.branch
    uow.update(_CUSTOMER, customer["id"], values)
    add_link(uow, customer["id"], customer["owner_id"], how, at, pool=how.pool or customer["pool_id"])


def _values(customer: Mapping[str, Any], how: Move, at: datetime) -> dict[str, Any]:
    """The fields that say whose a customer is, as a move makes them."""
    owned = how.to is not None
    until = at.astimezone().date() + timedelta(days=how.protect_days) if owned and how.protect_days else None
    return {
        "owner_id": how.to,
        "owner_since": at if owned else None,
        "pool_id": None if owned else how.pool,
        "released_at": None if owned else at,
        "previous_owner_id": customer["owner_id"] or customer["previous_owner_id"],
        "locked": False,
        "protected_until": until,
    }


def _department(connection: Connection, user: str | None) -> dict[str, str | None]:
    """The department that a customer is in with its salesperson; it stays when he moves to another one, and in a pool, as what was done stays."""
    if user is None:
        return {}
    found = connection.value('SELECT department_id FROM "user" WHERE id = ?', (bytes.fromhex(user),))
    return {"department_id": found.hex() if found else None}


def add_link(
    uow: UnitOfWork, customer: str, source: str | None, how: Move, at: datetime, *, pool: str | None = None, beside: Sequence[str] = ()
) -> None:
    """Add one link to the chain of a customer, after the end of it that stands here."""
    ends = rules.heads(rules.sound(links_of(uow.connection, customer)))
    previous = next((end["digest"] for end in reversed(ends) if end["digest"] not in beside), None)
    link = {
        "customer_id": customer,
        "from_id": source,
        "to_id": how.to,
        "kind": how.kind,
        "reason": (how.reason or "").strip() or None,
        "by_id": how.by,
        "at": at,
        "branch_id": uow.node.branch_id,
        "pool_id": pool,
        "claim_id": how.claim,
        "previous": previous,
        "beside": " ".join(beside) or None,
        "along": " ".join(f"{kind}:{count}" for kind, count in how.along.items() if count) or None,
    }
    uow.insert(_CHANGE, _CHANGE.validate({**link, "digest": rules.link_digest(link)}))


def links_of(connection: Connection, customer: str) -> list[Record]:
    """The links of a customer in the order they came here: for working out, never for a screen."""
    sql = f"SELECT {record_columns(_CHANGE)} FROM owner_change WHERE customer_id = ? AND deleted = 0 ORDER BY rid"
    return [load_record(_CHANGE, row) for row in connection.all(sql, (bytes.fromhex(customer),))]


def owner_at(connection: Connection, customer: str, at: datetime) -> str | None:
    """Whose a customer was at a moment: who is credited with what happened then."""
    return _holders(connection, customer)(at)


def _holders(connection: Connection, customer: str) -> Callable[[datetime], str | None]:
    now = connection.value("SELECT owner_id FROM customer WHERE id = ?", (bytes.fromhex(customer),))
    links = rules.sound(links_of(connection, customer))
    return lambda at: rules.holder_at(links, at, now.hex() if now else None)


@dataclass(frozen=True, slots=True)
class Sold:
    """What was sold to a customer while it was somebody's (None: nobody's): how many orders, and what they come to after reversals."""

    user: str | None
    orders: int
    gross: Decimal


def sold_under(connection: Connection, actor: Actor, customer: str) -> list[Sold]:
    """The posted orders of a customer that the actor sees, credited to whoever had it then, the most first; a reversal to whom its order was."""
    policy.require_record(connection, actor, _CUSTOMER, customer, "read")
    order, seen = entity_type("sales_order"), policy.seen(actor, entity_type("sales_order"))
    if seen is None or not seen.shows("gross") or not seen.shows("date"):
        return []
    condition, params = seen.condition("sales_order")
    rows = connection.all(
        f"""SELECT id, date, posted_at, gross, reverses_id FROM sales_order
            WHERE customer_id = ? AND deleted = 0 AND +status = 'posted' AND opening = 0 AND {condition} ORDER BY reverses_id IS NOT NULL""",
        [bytes.fromhex(customer), *params],
    )
    holder = _holders(connection, customer)
    credited, count, total = dict[bytes, str | None](), Counter[str | None](), defaultdict[str | None, Decimal](Decimal)
    for pk, day, posted_at, gross, reversed_pk in rows:
        at = _sold_at(order.fields["date"].load(day), order.fields["posted_at"].load(posted_at))
        who = credited.get(reversed_pk) if reversed_pk in credited else holder(at)
        credited[pk] = who
        count[who] += reversed_pk is None
        total[who] += order.fields["gross"].load(gross)
    return sorted((Sold(who, count[who], total[who]) for who in total), key=lambda one: -one.gross)


def _sold_at(day: date | None, posted_at: datetime | None) -> datetime:
    """When an order counts: on its day; at the moment it was posted where that was on the same."""
    if posted_at is not None and (day is None or posted_at.astimezone().date() == day):
        return posted_at
    return datetime.combine(day or date.min.replace(year=1970), time(12)).astimezone()


def chain(connection: Connection, actor: Actor, customer: str) -> list[dict[str, Any]]:
    """The links of a customer, the newest first, each with ``fault``: whether it was altered or stands behind one that is missing.

    For whoever may look at the customer; raises NotFound otherwise.
    """
    policy.require_record(connection, actor, _CUSTOMER, customer, "read")
    policy.require(actor, "owner_change.read")
    links = links_of(connection, customer)
    bad = {link["id"] for link in rules.faults(links)}
    return [{**policy.shown(actor, _CHANGE, link), "fault": link["id"] in bad} for link in reversed(rules.in_order(links))]


# what a form, an import or a script does -------------------------------------------------------------------------------------


def begin(uow: UnitOfWork, values: dict[str, Any]) -> dict[str, Any]:
    """A new customer's days with its salesperson begin now, and it is in his department."""
    if not values.get("owner_id"):
        return values
    return {**_department(uow.connection, str(values["owner_id"])), **values, "owner_since": moment(uow)}


def check_owner(uow: UnitOfWork, actor: Actor, values: Mapping[str, Any], old: Record | None) -> None:
    """Somebody who is given a customer must be able to have it, by whatever way; what lies in a pool leaves it by the pool's rules."""
    to, former = values["owner_id"], old["owner_id"] if old else None
    if to == former:
        return
    if old is not None and old["pool_id"]:
        pool_limits.require_home(uow, uow.get(_POOL, old["pool_id"], deleted=True))
        policy.require(actor, "customer.assign")
    if to:
        check_holder(uow, actor, [values["name"]], {old["id"] if old else "": values["level"]}, to)


def follow_owner(uow: UnitOfWork, actor: Actor, record: Record, old: Record | None) -> None:
    """A changed salesperson leaves a link, and what else says whose the customer is follows."""
    if old is None or record["owner_id"] == old["owner_id"]:
        return
    kind = ChangeKind.ASSIGN if old["owner_id"] is None else ChangeKind.HAND_OVER if record["owner_id"] else ChangeKind.RELEASE
    how, at = Move(to=record["owner_id"], kind=kind, by=actor.user_id), moment(uow)
    values = _values(old, how, at)
    target = uow.find(_USER, record["owner_id"], deleted=True) if record["owner_id"] else None
    if target and target["branch_id"] and record["branch_id"] == old["branch_id"]:  # as when it is handed over
        values["branch_id"] = target["branch_id"]
    if record["department_id"] == old["department_id"]:
        values |= _department(uow.connection, record["owner_id"])
    uow.update(_CUSTOMER, record["id"], values)
    add_link(uow, record["id"], old["owner_id"], how, at, pool=old["pool_id"])


def handed_over(uow: UnitOfWork, actor: Actor, record: Record, to: str, *, has_left: bool) -> None:
    """A customer of somebody whose work is handed over as a whole (``people.hand_over``)."""
    move(uow, record, Move(to=to, kind=ChangeKind.LEFT if has_left else ChangeKind.HAND_OVER, by=actor.user_id))


# verbs ----------------------------------------------------------------------------------------------------------------------


def hand_over(
    uow: UnitOfWork,
    actor: Actor,
    *,
    customers: list[RecordId],
    to: RecordId,
    keep: Literal["", "read", "follow", "write"] = "",
    along: list[str] | None = None,
    reason: str = "",
) -> dict[str, Any]:
    """Give customers to somebody else, all or none; contacts and activity records go along, as they are seen with their customer.

    ``keep``: how far the former salesperson still sees them ("": not by this) · ``along``: of which kinds his open work goes along
    (``open_work.WORK``); None: everything that the actor may hand over.
    Returns {moved, along: {kind: count}, left: {kind: count}}; ``left`` are drafts that only another branch can change. It can be
    taken back within a day.
    """
    policy.require(actor, "customer.transfer")
    kinds = _kinds_along(actor, along)
    chosen = chosen_customers(uow, actor, customers, "transfer")
    for one in chosen:
        if one["pool_id"]:
            raise Refused("in_pool", N_("“{title}” lies in a pool. Assign it instead."), title=one["name"])
    moving = [one for one in chosen if one["owner_id"] != to]
    target = check_holder(uow, actor, [one["name"] for one in moving], {one["id"]: one["level"] for one in moving}, to)
    went, left = Counter[str](), Counter[str]()
    for one in moving:
        taken = Counter[str]()
        for kind in kinds:
            taken[kind.key], stayed = pass_on(uow, actor, kind, work_of(uow.connection, actor, kind, [one["id"]]), to)
            left[kind.key] += stayed
        how = Move(to=to, kind=ChangeKind.HAND_OVER, by=actor.user_id, reason=reason, branch=target["branch_id"], along=taken)
        move(uow, one, how)
        end_shares(uow, one["id"], of=to)
        if keep and one["owner_id"]:
            _share(uow, actor, one["id"], one["owner_id"], ShareLevel(keep))
        went += taken
    return {"moved": len(moving), "along": dict(+went), "left": dict(+left)}


def _kinds_along(actor: Actor, keys: Sequence[str] | None) -> list[EntityType]:
    """Kinds of records that shall go along; each needs the right to hand them over."""
    if unknown := [key for key in keys or () if key not in WORK]:
        raise InvalidInput("bad_kind", N_("“{kind}” does not go along with a customer."), kind=unknown[0][:60], field="along")
    for key in keys or ():
        policy.require(actor, f"{key}.transfer")
    if keys is None:
        keys = [key for key in WORK if policy.may(actor, f"{key}.read") and policy.may(actor, f"{key}.transfer")]
    return [entity_type(key) for key in WORK if key in keys]


def work_of(connection: Connection, actor: Actor, kind: EntityType, customers: Sequence[str]) -> list[Record]:
    """Open work of a kind at customers that is their salespeople's own, and that the actor may hand over."""
    condition, params = policy.view(actor, kind, "transfer").condition("w")
    is_open = WORK[kind.key].is_open.format(today="?")
    today = [connection.today.isoformat()] * is_open.count("?")
    rows = connection.all(
        f"""SELECT {record_columns(kind)} FROM {kind.key} w WHERE w.customer_id IN ({",".join("?" * len(customers))}) AND w.deleted = 0
            AND w.{kind.owner} = (SELECT c.owner_id FROM customer c WHERE c.id = w.customer_id) AND {is_open} AND {condition} ORDER BY rid""",
        [*map(bytes.fromhex, customers), *today, *params],
    )
    return [load_record(kind, row) for row in rows]


def goes_along(connection: Connection, actor: Actor, node: Node, customers: Sequence[str]) -> dict[str, int]:
    """How much open work could go along with customers from this node, by kind; those of which there is none are left out."""
    found = {kind.key: work_of(connection, actor, kind, customers) for kind in _kinds_along(actor, None)}
    here = {key: [row for row in rows if key != "sales_order" or row["branch_id"] == node.branch_id] for key, rows in found.items()}
    return {key: len(rows) for key, rows in here.items() if rows}


def lock(uow: UnitOfWork, actor: Actor, *, customer_id: RecordId) -> dict[str, str]:  # noqa: ARG001
    """Keep a customer from being reclaimed or released until it is unlocked or changes hands.

    Raises Refused where its salesperson has as many locked ones as the company allows; deal customers do not count.
    """
    return _set_lock(uow, customer_id, locked=True)


def unlock(uow: UnitOfWork, actor: Actor, *, customer_id: RecordId) -> dict[str, str]:  # noqa: ARG001
    """Let the rules of reclaiming hold for a customer again."""
    return _set_lock(uow, customer_id, locked=False)


def _set_lock(uow: UnitOfWork, customer_id: str, *, locked: bool) -> dict[str, str]:
    customer = uow.get(_CUSTOMER, customer_id)
    if locked and customer["owner_id"] is None:
        raise Refused("nobodys", N_("“{title}” has no salesperson."), title=customer["name"])
    if locked and not customer["locked"] and customer["level"] != "deal":
        count, most = locked_of(uow.connection, uow.node, customer["owner_id"])
        if most and count >= most:
            raise Refused(
                "too_many_locked",
                N_("{name} has {count} locked customers, and {most} are allowed. Unlock another one first; deal customers do not count."),
                name=titles(uow.connection, _USER, [customer["owner_id"]]).get(customer["owner_id"], "…"),
                count=count,
                most=most,
            )
    uow.update(_CUSTOMER, customer_id, {"locked": locked})
    return {"id": customer_id}


def locked_of(connection: Connection, node: Node, user: str) -> tuple[int, int]:
    """How many customers somebody has locked, without deal customers, and how many are allowed; (0, 0) where any number is."""
    most = company_number(connection, node, "locked_most")
    if not most:
        return 0, 0
    sql = "SELECT count(*) FROM customer WHERE owner_id = ? AND deleted = 0 AND locked = 1 AND level IS NOT 'deal'"
    return int(connection.value(sql, (bytes.fromhex(user),))), most


def chosen_customers(uow: UnitOfWork, actor: Actor, ids: Sequence[str], action: str) -> list[Record]:
    """The customers an action is for, each reached by the right to it; raises InvalidInput for none or too many."""
    found = wanted(ids)
    for identity in found:
        policy.require_record(uow.connection, actor, _CUSTOMER, identity, action)
    return [uow.get(_CUSTOMER, identity) for identity in found]


def wanted(ids: Sequence[str]) -> list[str]:
    """Each customer once; raises InvalidInput for none or too many."""
    found = list(dict.fromkeys(ids))
    if not 0 < len(found) <= MOST:
        raise InvalidInput("choose_customers", N_("Choose between 1 and {most} customers."), most=MOST, field="customers")
    return found


def check_holder(uow: UnitOfWork, actor: Actor, names: Sequence[str], levels: Mapping[str, str | None], to: str) -> Record:
    """The user to whom customers (id → level) are given; raises Refused where he cannot have them all."""
    target = uow.get(_USER, to)
    if not target["active"]:
        raise Refused("user_disabled", N_("{name} no longer works here and cannot take anything over."), name=target["name"])
    pool_limits.check_room(uow.connection, target, levels)
    if not policy.may(actor, "customer.assign"):
        for name, identity in zip(names, levels, strict=True):
            if identity and pool_limits.is_barred(uow.connection, identity, to, moment(uow)):
                raise Refused(
                    "barred", N_("{name} had “{title}” before it went to the pool; the waiting time is not over."),
                    name=target["name"], title=name,
                )  # fmt: skip
    return target


def _share(uow: UnitOfWork, actor: Actor, customer: str, user: str, level: ShareLevel) -> None:
    """Who gave a customer away still sees it."""
    end_shares(uow, customer, of=user)
    given = {"entity": _CUSTOMER.key, "record": customer, "user_id": user, "level": level, "shared_by": actor.user_id}
    uow.insert(_SHARE, _SHARE.validate(given))


def end_shares(uow: UnitOfWork, customer: str, *, of: str | None = None) -> None:
    """End the shares of a customer, those with one user or all: its salesperson is no member, and who leaves it to a pool takes the team along."""
    for share in uow.where(_SHARE, record=customer):
        if share["entity"] == _CUSTOMER.key and (of is None or share["user_id"] == of):
            uow.set_deleted(_SHARE, share["id"], deleted=True)


# taking back ----------------------------------------------------------------------------------------------------------------


def take_back(uow: UnitOfWork, actor: Actor, touched: Sequence[Touched]) -> int:
    """Undo an action that changed whose customers are: fields as before, shares ended or back, and a link that says so."""
    policy.require_acting(actor)
    links = [uow.get(_CHANGE, one.id) for one in touched if one.entity is _CHANGE]
    if any(link["at"] < moment(uow) - TAKEN_BACK_WITHIN for link in links):
        raise Refused("too_late_to_take_back", N_("This was more than a day ago. Hand the customer over anew instead."))
    done = 0
    for one in touched:
        if one.entity is _SHARE:
            uow.set_deleted(_SHARE, one.id, deleted=one.began or one.register[0])
        elif one.entity is not _CHANGE and not _is_posted(uow, one):
            before = {key: one.entity.fields[key].load(old) for key, (old, _new) in one.changed.items()}
            current = uow.get(one.entity, one.id, deleted=True)
            uow.update(one.entity, one.id, before)
            done += 1
            if one.entity is _CUSTOMER and not before.keys().isdisjoint(("owner_id", "pool_id")):
                back = Move(to=before.get("owner_id", current["owner_id"]), kind=ChangeKind.UNDONE, by=actor.user_id)
                add_link(uow, one.id, current["owner_id"], back, moment(uow), pool=before.get("pool_id"))
    return done


def _is_posted(uow: UnitOfWork, one: Touched) -> bool:
    """A draft that went along and was posted since keeps who sold it."""
    return one.entity.kind is Kind.DOCUMENT and uow.get(one.entity, one.id, deleted=True)["status"] == "posted"


TAKEN_BACK = OwnWay(frozenset({"customer", "owner_change", "share", *WORK}), take_back)


# what arrives ---------------------------------------------------------------------------------------------------------------


def bring_together(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """Head office brings together what was done with a customer at two places apart.

    The change whose salesperson the customer has after the merge stands; where two say the same, the later one. The other fields
    follow it: of two changes each had written only what it changed. A link that does not fit counts for nothing.
    """
    if not uow.node.is_office:
        return
    arrived = [link for identity in ids if (link := uow.find(_CHANGE, identity)) is not None]
    for customer_id in dict.fromkeys(link["customer_id"] for link in arrived):
        customer, links = uow.find(_CUSTOMER, customer_id, deleted=True), links_of(uow.connection, customer_id)
        ends = rules.heads(rules.sound(links))
        if customer is None or len(ends) < 2:
            continue
        standing = next((end for end in reversed(ends) if end["to_id"] == customer["owner_id"]), ends[-1])
        others = [end for end in ends if end is not standing]
        pool = None if standing["to_id"] else standing["pool_id"]
        fitting = {"owner_id": standing["to_id"], "pool_id": pool, "owner_since": standing["at"] if standing["to_id"] else None}
        fitting |= {"released_at": None if standing["to_id"] else standing["at"]}
        if standing["to_id"] is None:
            fitting |= {"locked": False, "protected_until": None}
        fitting |= _department(uow.connection, standing["to_id"])
        if (home := _home_before(uow.connection, standing, others)) is not None:
            fitting["branch_id"] = home[0]
        uow.update(_CUSTOMER, customer_id, fitting)
        how = Move(to=standing["to_id"], kind=ChangeKind.SETTLED, by=None)
        add_link(uow, customer_id, others[-1]["to_id"], how, moment(uow), pool=pool, beside=[end["digest"] for end in others])


def _home_before(connection: Connection, standing: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> tuple[str | None] | None:
    """Where a customer was at home before hand-overs that do not stand moved it; None where the one that stands moved it, or none did."""
    moved: dict[tuple[str, int], str | None] = {}
    for row in history(connection, _CUSTOMER, standing["customer_id"]):
        if row.field == "branch_id" and not row.first:
            moved[row.node, row.stamp] = row.old
    ends = [{(row.node, row.stamp) for row in history(connection, _CHANGE, end["id"])} for end in (standing, *others)]
    if not moved.keys().isdisjoint(ends[0]):
        return None
    return next(((moved[one],) for made in ends[1:] for one in sorted(made) if one in moved), None)


def names_of(connection: Connection, links: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Names of everybody a chain speaks of, by id."""
    found = [link[key] for link in links for key in ("from_id", "to_id", "by_id") if link.get(key)]
    return titles(connection, _USER, found)


VERBS = (
    Verb(hand_over, N_("Hand customers over")),
    Verb(lock, N_("Lock a customer against reclaiming"), "customer.lock", "customer_id"),
    Verb(unlock, N_("Unlock a customer"), "customer.lock", "customer_id"),
)
