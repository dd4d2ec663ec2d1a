"""Pools: customers without a salesperson. Releasing into one, assigning and picking out of one, and the requests of nodes that are not its home.

One node gives the customers of a pool away, its home. Elsewhere a pick is a request: it travels, the home answers in the order in which
requests reach it, and whoever lost reads why (ADR 0037).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm import custody, pool_admins, pool_limits
from localcrm.domain.crm.checks import checked_list
from localcrm.domain.crm.custody import Move, end_shares, moment, move, wanted
from localcrm.domain.crm.entities import POOL_FIELDS, ChangeKind, ClaimAnswer, ClaimOutcome, Customer, Pool, PoolClaim, ReclaimRule
from localcrm.domain.people.entities import Share, User
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.roles import ShareLevel
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import Forbidden, InvalidInput, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.connection import Connection
from localcrm.store.merged import survivor
from localcrm.store.query import Condition, ListQuery, Page, Record, load_record, record_columns, select, titles
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import View

_CUSTOMER, _POOL, _CLAIM, _ANSWER = (kind.entity_type for kind in (Customer, Pool, PoolClaim, ClaimAnswer))
_RULE, _SHARE, _USER = ReclaimRule.entity_type, Share.entity_type, User.entity_type
#: Requests that are shown to who made them.
MOST_CLAIMS = 100
#: Signs from here on fill a square, and the marks among them bring their own space.
_DENSE = 0x2E80
_HAS = "SELECT 1 FROM customer WHERE id = ? AND owner_id = ? AND deleted = 0"


# what is seen ---------------------------------------------------------------------------------------------------------------


def pools_for(connection: Connection, actor: Actor) -> list[Record]:
    """Active pools the actor may pick from."""
    policy.require(actor, "customer.pick")
    found = [pool for pool in pool_limits.pools(connection) if pool["active"]]
    return [pool for pool in found if actor.user_id and pool_limits.is_member(connection, pool, actor.user_id)]


def pool_view(actor: Actor, pool: Mapping[str, Any]) -> View:
    """What a member sees of the customers in a pool: all of them, of each the fields the pool shows, never more than his rights let him read."""
    rules = policy.field_rules(actor, _CUSTOMER)
    kept = {"pool_id", "released_at", "owner_id", "previous_owner_id"}
    shown = {"name", *kept, *str(pool["shown"] or "").split()} - {key for key, rule in rules.items() if rule == "hidden"}
    masked = {key for key, rule in rules.items() if rule == "masked"} | ({"phone"} if pool["mask_phone"] else set())
    return View(_CUSTOMER, hidden=frozenset(_CUSTOMER.fields.keys() - shown), masked=frozenset(masked & shown))


def pool_page(
    connection: Connection, actor: Actor, pool_id: str, *, now: datetime, search: str = "", limit: int = 50, offset: int = 0
) -> Page:
    """Customers in a pool, those that came last first; raises Forbidden for who is no member, Refused for a look that was not counted."""
    pool = next((one for one in pools_for(connection, actor) if one["id"] == pool_id), None)
    if pool is None:
        raise Forbidden("no_member", N_("You are not a member of this pool."))
    pool_admins.require_looked(connection, actor, pool, now)
    where = (Condition("pool_id", "=", pool_id), Condition("owner_id", "blank"))
    query = ListQuery(_CUSTOMER, where, search, "-released_at", limit, offset, restrict=pool_view(actor, pool))
    return select(connection, query)


def my_claims(connection: Connection, actor: Actor, now: datetime, *, since: datetime | None = None) -> list[dict[str, Any]]:
    """The requests of the actor, the newest first: title, pool, at, expires_at, outcome (None: not answered; "lapsed" too late for that), winner,
    answered_at, wanted (the customer, or the one it was merged into), into (the name of that one, where he may see it), is_yours (whether he has it).

    ``since``: only those made after that moment.
    """
    if actor.user_id is None:
        return []
    after = _CLAIM.fields["at"].store(since) if since else 0
    sql = (
        f"SELECT {record_columns(_CLAIM)} FROM pool_claim WHERE user_id = ? AND deleted = 0 AND at >= ? "
        f"ORDER BY at DESC, rid DESC LIMIT {MOST_CLAIMS}"
    )
    found = [load_record(_CLAIM, row) for row in connection.all(sql, (bytes.fromhex(actor.user_id), after))]
    answers = {claim["id"]: answer_to(connection, claim) for claim in found}
    winners = titles(connection, _USER, [answer["winner_id"] for answer in answers.values() if answer and answer["winner_id"]])
    names = titles(connection, _POOL, [claim["pool_id"] for claim in found])
    told = []
    for claim in found:
        answer = answers[claim["id"]]
        outcome = answer["outcome"] if answer else ClaimOutcome.LAPSED.value if claim["expires_at"] < now else None
        winner = winners.get(answer["winner_id"], "") if answer and answer["winner_id"] else ""
        wanted = survivor(connection, _CUSTOMER, answer["customer_id"] if answer else claim["customer_id"])
        is_other = wanted != claim["customer_id"] and policy.visible(connection, actor, _CUSTOMER, wanted)
        into = titles(connection, _CUSTOMER, [wanted]).get(wanted, "") if is_other else ""
        told.append(
            {
                **claim,
                "outcome": outcome,
                "winner": winner,
                "pool": names.get(claim["pool_id"], ""),
                "answered_at": answer["at"] if answer else None,
                "wanted": wanted,
                "into": into,
                "is_yours": bool(connection.value(_HAS, (bytes.fromhex(wanted), bytes.fromhex(actor.user_id)))),
            }
        )
    return told


def answer_to(connection: Connection, claim: Mapping[str, Any]) -> Record | None:
    """What was decided about a request: the first word of the pool's home, then or now, or of head office; what others write says nothing."""
    rows = connection.all(
        f"""SELECT {record_columns(_ANSWER)} FROM claim_answer WHERE claim_id = ?1 AND deleted = 0 AND branch_id IN (
            SELECT home_id FROM pool WHERE id = ?2 UNION SELECT id FROM branch WHERE node_no = 1 UNION SELECT ?3) ORDER BY rid LIMIT 1""",
        (bytes.fromhex(claim["id"]), bytes.fromhex(claim["pool_id"]), bytes.fromhex(claim["home_id"]) if claim["home_id"] else None),
    )
    return load_record(_ANSWER, rows[0]) if rows else None


def open_claims(connection: Connection, customer: str, now: datetime) -> list[Record]:
    """Requests for a customer that nobody has answered and that have not lapsed, in the order they came."""
    sql = f"SELECT {record_columns(_CLAIM)} FROM pool_claim WHERE customer_id = ? AND deleted = 0 AND expires_at >= ? ORDER BY rid"
    found = [load_record(_CLAIM, row) for row in connection.all(sql, (bytes.fromhex(customer), _CLAIM.fields["at"].store(now)))]
    return [claim for claim in found if answer_to(connection, claim) is None]


def asked_for(connection: Connection, customers: Sequence[str], now: datetime) -> dict[str, str]:
    """Names of those who have asked for customers and wait for an answer, by customer."""
    first = {one: claims[0]["user_id"] for one in customers if (claims := open_claims(connection, one, now))}
    names = titles(connection, _USER, list(first.values()))
    return {customer: names.get(user, "") for customer, user in first.items()}


# verbs ----------------------------------------------------------------------------------------------------------------------


def pick(uow: UnitOfWork, actor: Actor, *, customers: list[RecordId]) -> dict[str, int]:
    """Take customers out of pools, all or none. At a pool's home they are yours at once; elsewhere this is a request.

    Returns {granted, asked}. Raises Refused with the reason, for the first that is refused.
    """
    user, at = _person(actor), moment(uow)
    given = [_pick(uow, actor, user, identity, at) for identity in wanted(customers)]
    return {"granted": sum(given), "asked": len(given) - sum(given)}


def _pick(uow: UnitOfWork, actor: Actor, user: str, identity: str, at: datetime) -> bool:
    """Take one, or ask for it; returns whether it was granted."""
    customer = uow.get(_CUSTOMER, identity)
    pool = uow.find(_POOL, customer["pool_id"], deleted=True) if customer["pool_id"] else None
    if pool is None or not pool_limits.is_member(uow.connection, pool, user):
        # Who does not see a customer and is no member hears the same wherever it lies.
        seen = policy.visible(uow.connection, actor, _CUSTOMER, identity)
        raise _refusal(uow, ClaimOutcome.TAKEN if seen and pool is None else ClaimOutcome.NO_MEMBER, customer)
    outcome = pool_limits.why_not(uow.connection, pool, customer, user, at)
    if outcome is not None:
        raise _refusal(uow, outcome, customer)
    granted = pool_limits.is_home(uow.node, pool)
    if granted:
        _give(uow, customer, pool, user, at=uow.node.branch_id)
    else:
        _ask(uow, customer, pool, user, at)
    return granted


def release(uow: UnitOfWork, actor: Actor, *, customers: list[RecordId], reason: str, pool_id: RecordId | None = None) -> dict[str, int]:
    """Put customers into a pool, all or none: into this one, or where there is only one active, into that. Shares of them end.

    One that lies in another pool moves, at the home of that one, by whoever may give it out. Who looks after a pool takes back what was given
    out of it. Returns {moved}. It can be taken back within a day.
    """
    pool_admins.require_some(uow.connection, actor, "customer.release")
    if not reason.strip():
        raise InvalidInput("reason_needed", N_("Say why, so that whoever picks it knows."), field="reason")
    pool = _pool_to_fill(uow, pool_id)
    found = [_to_put(uow, actor, identity, pool) for identity in wanted(customers)]
    for one, kind in found:
        put_into(uow, one, pool["id"], kind, by=actor.user_id, reason=reason)
    return {"moved": len(found)}


def _to_put(uow: UnitOfWork, actor: Actor, identity: str, pool: Record) -> tuple[Record, ChangeKind]:
    """A customer that the actor may put into a pool, and whether it comes from a salesperson or from another pool."""
    lying = pool_admins.lies_in(uow.connection, identity)
    if lying is None and not (pool_admins.looks_after(actor, pool) and pool_admins.came_from(uow.connection, identity) == pool["id"]):
        policy.require_record(uow.connection, actor, _CUSTOMER, identity, "release")
    customer = uow.get(_CUSTOMER, identity)
    if customer["locked"]:
        raise Refused("locked_customer", N_("“{title}” is locked. Unlock it first."), title=customer["name"])
    if lying is None:
        return customer, ChangeKind.RELEASE
    if not pool_admins.looks_after(actor, lying):
        policy.require_record(uow.connection, actor, _CUSTOMER, identity, "assign")
    if lying["id"] == pool["id"]:
        raise Refused("in_pool_already", N_("“{title}” lies in this pool already."), title=customer["name"])
    pool_limits.require_home(uow, lying)
    return customer, ChangeKind.MOVED


def put_into(uow: UnitOfWork, customer: Record, pool: str, kind: ChangeKind, *, by: str | None, reason: str) -> None:
    """A customer leaves its salesperson, and whoever it was shared with, for a pool."""
    move(uow, customer, Move(to=None, kind=kind, by=by, reason=reason, pool=pool))
    end_shares(uow, customer["id"])


def assign(uow: UnitOfWork, actor: Actor, *, customers: list[RecordId], to: RecordId, reason: str = "") -> dict[str, int]:
    """Give customers that lie in a pool, or that nobody has, to somebody: all or none, at the home of the pool. Returns {moved}.

    Who looks after a pool gives out what lies there to its members.
    """
    pool_admins.require_some(uow.connection, actor, "customer.assign")
    found = [_to_give(uow, actor, identity, to) for identity in wanted(customers)]
    for one in found:
        if one["owner_id"]:
            raise Refused("has_owner", N_("“{title}” has a salesperson. Hand it over instead."), title=one["name"])
    target = custody.check_holder(uow, actor, [one["name"] for one in found], {one["id"]: one["level"] for one in found}, to)
    for one in found:
        pool = uow.find(_POOL, one["pool_id"], deleted=True) if one["pool_id"] else None
        if pool is not None:
            pool_limits.require_home(uow, pool)
        protect = int(pool["protect_days"]) if pool else 0
        how = Move(
            to=to, kind=ChangeKind.ASSIGN, by=actor.user_id, reason=reason, protect_days=protect, branch=target["branch_id"]
        )  # fmt: skip
        move(uow, one, how)
    return {"moved": len(found)}


def _to_give(uow: UnitOfWork, actor: Actor, identity: str, to: str) -> Record:
    """A customer that the actor may give to somebody."""
    lying = pool_admins.lies_in(uow.connection, identity)
    if lying is None or policy.may(actor, "customer.assign") or not pool_admins.looks_after(actor, lying):
        policy.require_record(uow.connection, actor, _CUSTOMER, identity, "assign")
    elif not pool_limits.is_member(uow.connection, lying, to):
        raise Refused(
            "not_of_pool",
            N_("{name} is no member of “{pool}”. Choose somebody who is."),
            name=titles(uow.connection, _USER, [to]).get(to, "…"),
            pool=lying["name"],
        )
    return uow.get(_CUSTOMER, identity)


def _pool_to_fill(uow: UnitOfWork, pool_id: str | None) -> Record:
    if pool_id is not None:
        pool = uow.get(_POOL, pool_id)
        if not pool["active"]:
            raise Refused("pool_closed", N_("The pool “{pool}” is closed."), pool=pool["name"])
        return pool
    active = [pool for pool in pool_limits.pools(uow.connection) if pool["active"]]
    if len(active) != 1:
        raise InvalidInput(
            "choose_pool", N_("Choose a pool.") if active else N_("There is no pool yet. Head office sets one up."), field="pool_id"
        )
    return active[0]


def _give(uow: UnitOfWork, customer: Record, pool: Record, user: str, *, at: str | None, claim: str | None = None) -> None:
    """A customer of a pool becomes somebody's; it is at home from now on where he works, or where he picked it."""
    home = uow.get(_USER, user, deleted=True)["branch_id"] or at
    how = Move(to=user, kind=ChangeKind.PICK, by=user, claim=claim, protect_days=int(pool["protect_days"]), branch=home)
    move(uow, customer, how)


def _ask(uow: UnitOfWork, customer: Record, pool: Record, user: str, at: datetime) -> None:
    """A request, and a share for as long as it may be answered: whoever asked sees the customer meanwhile."""
    waiting = open_claims(uow.connection, customer["id"], at)
    if waiting:
        raise Refused(
            "asked_already",
            N_("{name} has asked for “{title}” already; {place} answers with the next exchange."),
            name=titles(uow.connection, _USER, [waiting[0]["user_id"]]).get(waiting[0]["user_id"], ""),
            title=customer["name"],
            place=pool_limits.home_name(uow.connection, pool),
        )
    until = at + timedelta(days=int(pool["claim_days"]))
    values = {"customer_id": customer["id"], "title": str(customer["name"])[:200], "pool_id": pool["id"], "user_id": user, "at": at}
    values |= {"home_id": pool["home_id"]}
    uow.insert(_CLAIM, _CLAIM.validate({**values, "expires_at": until, "branch_id": uow.node.branch_id}))
    share = {"entity": _CUSTOMER.key, "record": customer["id"], "user_id": user, "until": until.astimezone().date(), "shared_by": user}
    nothing_else = " ".join(kind.key for kind in policy.goes_with(_CUSTOMER))
    uow.insert(_SHARE, _SHARE.validate({**share, "level": ShareLevel.READ, "without": nothing_else}))


def _person(actor: Actor) -> str:
    if actor.user_id is None:
        raise Forbidden("forbidden", N_("Only a person can pick a customer."))
    return actor.user_id


#: What is said when a pick is refused at once.
_REFUSALS: Mapping[ClaimOutcome, str] = {
    ClaimOutcome.TAKEN: N_("“{title}” is not in the pool any more; {name} was quicker."),
    ClaimOutcome.CLOSED: N_("The pool is closed. Nothing was changed."),
    ClaimOutcome.NO_MEMBER: N_("You are not a member of this pool."),
    ClaimOutcome.BARRED: N_("You had “{title}” before; the waiting time is not over."),
    ClaimOutcome.FULL: N_("You have as many customers as allowed. Give one up first."),
    ClaimOutcome.DAY_FULL: N_("You have picked as many customers today as allowed."),
    ClaimOutcome.FRESH: N_("“{title}” is new in the pool and may not be picked yet."),
    ClaimOutcome.GONE: N_("“{title}” was deleted."),
}


def _refusal(uow: UnitOfWork, outcome: ClaimOutcome, customer: Record) -> Refused:
    name = titles(uow.connection, _USER, [customer["owner_id"]]).get(customer["owner_id"], "") if customer["owner_id"] else ""
    text = _REFUSALS[outcome]
    if outcome == ClaimOutcome.TAKEN and not name:
        text = N_("“{title}” is not in a pool.")
    return Refused(f"pick_{outcome.value}", text, title=customer["name"], name=name)


# requests that arrive ---------------------------------------------------------------------------------------------------------


def answer_claims(uow: UnitOfWork, ids: Sequence[str] = ()) -> None:  # noqa: ARG001 -- those that waited for another home are answered too
    """The home of a pool answers every request that waits for it, in the order they came."""
    waiting = uow.connection.all(
        f"""SELECT {record_columns(_CLAIM)} FROM pool_claim WHERE deleted = 0 AND NOT EXISTS (
            SELECT 1 FROM claim_answer a WHERE a.claim_id = pool_claim.id AND a.deleted = 0 AND a.branch_id = ?) ORDER BY rid""",
        (bytes.fromhex(uow.node.branch_id),),
    )
    for row in waiting:
        claim = load_record(_CLAIM, row)
        pool = uow.find(_POOL, claim["pool_id"], deleted=True)
        if pool is not None and pool_limits.is_home(uow.node, pool) and answer_to(uow.connection, claim) is None:
            _answer(uow, claim, pool)


def _answer(uow: UnitOfWork, claim: Record, pool: Record) -> None:
    now, user = moment(uow), uow.find(_USER, claim["user_id"])
    wanted = survivor(uow.connection, _CUSTOMER, claim["customer_id"])  # it may have been merged into another one meanwhile
    customer = uow.find(_CUSTOMER, wanted, deleted=True)
    outcome: ClaimOutcome | None
    if customer is None:
        outcome = ClaimOutcome.GONE
    elif user is None or not user["active"]:
        outcome = ClaimOutcome.NO_MEMBER
    elif claim["expires_at"] < now:
        outcome = ClaimOutcome.LAPSED
    else:
        at = min(claim["at"], now)  # a clock that is ahead shortens no waiting time
        outcome = pool_limits.why_not(uow.connection, pool, customer, user["id"], at, claim=claim["id"])
    if outcome is None and customer is not None:
        _give(uow, customer, pool, claim["user_id"], at=claim["branch_id"], claim=claim["id"])
    winner = claim["user_id"] if outcome is None else customer["owner_id"] if customer and outcome == ClaimOutcome.TAKEN else None
    told = {"claim_id": claim["id"], "customer_id": wanted, "outcome": outcome or ClaimOutcome.GRANTED, "winner_id": winner, "at": now}
    uow.insert(_ANSWER, _ANSWER.validate({**told, "branch_id": uow.node.branch_id}))
    for identity in dict.fromkeys((claim["customer_id"], wanted)):
        for share in uow.where(_SHARE, record=identity, user_id=claim["user_id"], shared_by=claim["user_id"]):
            uow.set_deleted(_SHARE, share["id"], deleted=True)


# what pools there are ---------------------------------------------------------------------------------------------------------


def prepare_pool(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """Lists of names in one way of writing, and only of what there is."""
    filled = dict(values)
    for key, kind in (("members", "user"), ("departments", "department"), ("away", "user"), ("admins", "user")):
        if filled.get(key):
            filled[key] = checked_list(uow, kind, str(filled[key]))
    if filled.get("shown") is not None:
        filled["shown"] = " ".join(key for key in POOL_FIELDS if key in str(filled["shown"]).split())
    return filled


def check_pool(uow: UnitOfWork, actor: Actor, values: Mapping[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A pool with customers in it stays open, and so does one that a rule fills, and the last one: what is put into a pool must find one."""
    if old is None or (values["active"] and values is not old):
        return
    held = uow.connection.value(
        "SELECT count(*) FROM (SELECT 1 FROM customer WHERE pool_id = ? AND deleted = 0 LIMIT 10000)", (bytes.fromhex(old["id"]),)
    )
    if held:
        raise Refused("pool_not_empty", N_("There are still {count} customers in “{pool}”."), count=held, pool=old["name"])
    filled_by = next((rule for rule in uow.where(_RULE, pool_id=old["id"]) if rule["active"]), None)
    if filled_by:
        raise Refused(
            "pool_in_use",
            N_("The rule “{rule}” puts customers into “{pool}”. Switch it off first."),
            rule=filled_by["name"],
            pool=old["name"],
        )
    if old["active"] and not any(pool["active"] and pool["id"] != old["id"] for pool in pool_limits.pools(uow.connection)):
        raise Refused("last_pool", N_("“{pool}” is the only pool in use. Set up another one first."), pool=old["name"])


def follow_pool(uow: UnitOfWork, actor: Actor, record: Record, old: Record | None) -> None:  # noqa: ARG001
    """Requests that waited for another home are answered by the new one."""
    if old is not None and old["home_id"] != record["home_id"]:
        answer_claims(uow)


#: What became of a request, and what can be done now.
_TOLD: Mapping[ClaimOutcome, str] = {
    ClaimOutcome.GRANTED: N_("It is yours now. Get in touch, and record that."),
    ClaimOutcome.TAKEN: N_("{name} was quicker and has it. Choose another one from the pool."),
    ClaimOutcome.LAPSED: N_("No answer came in time. If it still lies in the pool, pick it again."),
    ClaimOutcome.NO_MEMBER: N_("You were not a member of the pool any more when the request arrived. Ask head office."),
    ClaimOutcome.CLOSED: N_("The pool was closed meanwhile. Ask head office."),
    ClaimOutcome.BARRED: N_("You had it before, and the waiting time is not over."),
    ClaimOutcome.FULL: N_("You had as many customers as allowed when the request arrived. Give one up, then pick again."),
    ClaimOutcome.DAY_FULL: N_("You had picked as many as allowed on that day. Pick it again another day."),
    ClaimOutcome.FRESH: N_("The customer was too new in the pool then. Pick it again later."),
    ClaimOutcome.GONE: N_("It was deleted meanwhile."),
}


def told_outcome(claim: Mapping[str, Any]) -> str:
    """What became of a request (of ``my_claims``) in whole sentences; "" while there is no answer."""
    if claim["outcome"] is None:
        return ""
    outcome = ClaimOutcome(claim["outcome"])
    text = _TOLD[outcome]
    if outcome == ClaimOutcome.TAKEN and not claim["winner"]:
        text = N_("It is not in the pool any more. Choose another one.")
    elif outcome == ClaimOutcome.GRANTED and not claim["is_yours"]:
        text = N_(
            "It was given to you. Since then another place has deleted it, merged it or given it away; see there and under Conflicts."
        )
    merged = gettext(N_("It was merged into “{name}”.")).format(name=claim["into"]) if claim["into"] else ""
    return sentences(merged, gettext(text).format(name=claim["winner"]))


def sentences(*parts: str) -> str:
    """Sentences one after the other; where writing is dense nothing stands between them."""
    return "".join(f"{part} " if ord(part[-1]) < _DENSE else part for part in parts if part).strip()


def outcome_words(outcome: str | None) -> str:
    """What became of a request, in words."""
    return gettext(ClaimOutcome(outcome).label) if outcome else gettext(N_("Waits for an answer"))


BEHAVIOURS = {"pool": Behaviour(prepare=prepare_pool, check=check_pool, after=follow_pool)}
VERBS = (
    Verb(pick, N_("Pick customers from a pool"), "customer.pick"),
    Verb(release, N_("Put customers into a pool")),
    Verb(assign, N_("Assign customers")),
)
