"""Notices about customers: what became of a request for one, that one changed hands, and that a deed did not last because of another one done apart.

They are reminders (ADR 0039): they follow from requests, answers and the chain of owner changes as they stand at every node. Whoever had a
customer until then, or gave it away, is told its name though he may not see it any more; it was in his hands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from localcrm.domain import policy
from localcrm.domain.crm import custody, pools
from localcrm.domain.crm.entities import ChangeKind, ClaimOutcome, Customer, OwnerChange, Pool
from localcrm.domain.crm.reminders import MOST, Ask, Reminding, morning
from localcrm.domain.people.entities import User
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.query import titles

_CUSTOMER, _CHANGE, _POOL, _USER = (kind.entity_type for kind in (Customer, OwnerChange, Pool, User))
#: What is older is left to the lists.
_PAST = dt.timedelta(days=30)
#: Of the changes that concern a user, those that came last.
_LOOKED_AT = 2000
#: A change that head office did not keep when it brought two together, unless the user decided anew since.
_SETTLED_OTHERWISE = """EXISTS (SELECT 1 FROM owner_change s WHERE s.customer_id = o.customer_id AND s.kind = 'settled' AND instr(s.beside, o.digest))
    AND NOT EXISTS (SELECT 1 FROM owner_change n WHERE n.customer_id = o.customer_id AND n.by_id = ?1 AND n.at > o.at)"""
#: Customers that one notice names.
_NAMED = 3
#: Why the user is told: it is not his any more, it is his now, what he did did not last, whom he gave it to has left.
GONE, YOURS, UNDONE, LEFT = "gone", "yours", "undone", "left"
#: What was done to the user's customers, by the kind of the change.
_TAKEN = {
    ChangeKind.ASSIGN: N_("Assigned to somebody else by {who}."),
    ChangeKind.HAND_OVER: N_("Given to somebody else by {who}."),
    ChangeKind.LEFT: N_("Given to somebody else by {who}."),
    ChangeKind.PICK: N_("Picked from the pool by somebody else."),
    ChangeKind.RELEASE: N_("Put into a pool by {who}."),
    ChangeKind.RECLAIM: N_("Taken back by a rule, as nothing was recorded for too long."),
    ChangeKind.UNDONE: N_("Taken back by {who}."),
    ChangeKind.SETTLED: N_("Two places decided about it at the same time; head office kept the other decision."),
}
_GIVEN = {
    ChangeKind.ASSIGN: N_("Assigned to you by {who}."),
    ChangeKind.HAND_OVER: N_("Handed over to you by {who}."),
    ChangeKind.LEFT: N_("Handed over to you by {who}."),
    ChangeKind.PICK: N_("Picked for you."),
    ChangeKind.UNDONE: N_("Given back to you by {who}."),
    ChangeKind.SETTLED: N_("Two places decided about it at the same time; head office kept the decision for you."),
}
#: What became of what he did himself, and what he can do now.
_UNDONE = N_("You gave it to {other}; at the same time another place decided otherwise, and that counts.")
_OTHERWISE = N_("Under Conflicts it can be decided otherwise.")
_ASK = N_("If it should be yours, talk to {name}.")
_AGAIN = N_("If you are still working on it, pick it again or ask head office.")
_LEFT = N_("You gave it to {other}, who no longer works here. Give it to somebody else.")


# requests -------------------------------------------------------------------------------------------------------------------


def answered(ask: Ask) -> Iterator[Reminding]:
    """What became of the user's requests for customers in pools."""
    for claim in pools.my_claims(ask.connection, ask.actor, ask.now, since=ask.now - _PAST):
        outcome = claim["outcome"]
        if outcome is None:
            continue
        seen = (
            outcome == ClaimOutcome.GRANTED and claim["is_yours"] and policy.visible(ask.connection, ask.actor, _CUSTOMER, claim["wanted"])
        )
        at = claim["answered_at"] or claim["expires_at"]
        yield Reminding(
            key=f"claim:{claim['id']}",
            kind="claim",
            due=at,
            at=at,
            title=claim["title"],
            text=pools.told_outcome(claim),
            customer=claim["wanted"] if seen else None,
        )


# changes of salesperson -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    """A link of a chain that concerns the user, and whose the customer is now."""

    case: str
    link: str
    customer: str
    name: str
    kind: str
    by: str | None
    other: str | None
    at: dt.datetime
    owner: str | None
    pool: str | None
    reason: str


def changed_hands(ask: Ask) -> Iterator[Reminding]:
    """Customers that somebody else took from the user or gave him, and hand-overs of his own that did not last."""
    customers = ask.view(_CUSTOMER, "name", "owner_id")
    if customers is None or ask.view(_CHANGE, "from_id", "to_id", "by_id") is None:
        return
    newest: dict[str, _Change] = {}
    for change in sorted(_changes(ask), key=lambda change: (change.at, change.link)):
        newest[change.customer] = change
    together: dict[tuple[str, str, str | None, str | None, str], list[_Change]] = {}
    for change in newest.values():  # one action is one notice, however many customers it moved
        minute = change.at.strftime("%Y%m%d%H%M")
        together.setdefault((change.case, change.kind, change.by, change.other, minute), []).append(change)
    for changes in together.values():
        yield _notice(ask, sorted(changes, key=lambda change: change.link))


def _changes(ask: Ask) -> Iterator[_Change]:
    """The user's own doings are no news to him, and what was put right since is none either."""
    asked = {
        GONE: ("from_id", "o.by_id IS NOT ?1 AND c.owner_id IS NOT ?1"),
        YOURS: ("to_id", "o.by_id IS NOT ?1 AND c.owner_id = ?1"),
        UNDONE: ("by_id", f"o.kind <> 'undone' AND o.to_id IS NOT c.owner_id AND {_SETTLED_OTHERWISE}"),
        LEFT: ("by_id", 'c.owner_id = o.to_id AND EXISTS (SELECT 1 FROM "user" u WHERE u.id = o.to_id AND u.active = 0)'),
    }
    since = round((ask.now - _PAST).timestamp() * 1000)
    for case, (column, wanted) in asked.items():
        sql = f"""SELECT o.id, o.customer_id, c.name, o.kind, o.by_id, o.to_id, c.owner_id, c.pool_id, o.at, o.reason
            FROM (SELECT * FROM owner_change WHERE {column} = ?1 AND deleted = 0 ORDER BY rid DESC LIMIT {_LOOKED_AT}) o
            JOIN customer c ON c.id = o.customer_id AND c.deleted = 0 WHERE o.at >= ?2 AND {wanted} LIMIT {MOST}"""
        for link, customer, name, kind, by, to, owner, pool, at, reason in ask.connection.all(sql, (ask.user, since)):
            moment = dt.datetime.fromtimestamp(at / 1000, tz=dt.UTC)
            by_id, to_id, owner_id, pool_id = (value.hex() if value else None for value in (by, to, owner, pool))
            yield _Change(case, link.hex(), customer.hex(), name, kind, by_id, to_id, moment, owner_id, pool_id, reason or "")


def _notice(ask: Ask, changes: Sequence[_Change]) -> Reminding:
    first = changes[0]
    names = titles(ask.connection, _USER, [one for one in (first.by, first.other, first.owner) if one])
    words = {
        "who": names.get(first.by or "", "") or gettext(N_("head office")),
        "other": names.get(first.other or "", "") or _pool_name(ask, first),
    }
    said = [gettext(_sentence(first)).format(**words)]
    if first.reason and first.case in {GONE, YOURS}:
        said.append(gettext(N_("Reason: {reason}.")).format(reason=first.reason.strip()))
    seen = len(changes) == 1 and policy.visible(ask.connection, ask.actor, _CUSTOMER, first.customer)
    title = first.name
    if len(changes) > 1:
        listed = gettext(N_(", ")).join(change.name for change in changes[:_NAMED])
        said.insert(0, f"{listed} …" if len(changes) > _NAMED else listed)
        title = gettext(N_("{count} customers")).format(count=len(changes))
    elif first.case in {GONE, UNDONE}:
        said += [_whose(ask, first, names), _next_step(ask, first)]
    text = pools.sentences(*said) if len(changes) == 1 else f"{said[0]} · {pools.sentences(*said[1:])}"
    customer = first.customer if seen else None
    return Reminding(key=f"hands:{first.link}", kind="hands", due=first.at, at=first.at, title=title, text=text, customer=customer)


def _sentence(change: _Change) -> str:
    if change.case in {UNDONE, LEFT}:
        return _UNDONE if change.case == UNDONE else _LEFT
    return (_TAKEN if change.case == GONE else _GIVEN).get(ChangeKind(change.kind), _TAKEN[ChangeKind.HAND_OVER])


def _next_step(ask: Ask, change: _Change) -> str:
    """What can be done about a customer that the user has not any more, or did not get rid of as he wanted."""
    if change.case == UNDONE:
        return gettext(_OTHERWISE) if policy.may(ask.actor, "conflict.read") else ""
    if change.kind == ChangeKind.RECLAIM:
        return gettext(_AGAIN) if policy.may(ask.actor, "customer.pick") else ""
    if change.kind != ChangeKind.SETTLED:
        return ""
    by = ask.connection.value(  # who had given it to him
        """SELECT u.name FROM owner_change o JOIN "user" u ON u.id = o.by_id JOIN owner_change s ON s.id = ?
           WHERE o.customer_id = s.customer_id AND o.to_id = ? AND instr(s.beside, o.digest) ORDER BY o.at DESC LIMIT 1""",
        (bytes.fromhex(change.link), ask.user),
    )
    return gettext(_ASK).format(name=by) if by else ""


def _whose(ask: Ask, change: _Change, names: Mapping[str, str]) -> str:
    """Where a customer is now."""
    if change.owner:
        return gettext(N_("{name} has it now.")).format(name=names.get(change.owner, "…"))
    pool = titles(ask.connection, _POOL, [change.pool]).get(change.pool, "") if change.pool else ""
    return gettext(N_("It lies in the pool “{pool}”.")).format(pool=pool) if pool else gettext(N_("It has no salesperson."))


def too_many_locked(ask: Ask) -> Iterator[Reminding]:
    """More of the user's customers are locked than allowed, as two places locked some apart or fewer are allowed now: he says which stay so."""
    if ask.view(_CUSTOMER, "owner_id", "locked") is None:
        return
    count, most = custody.locked_of(ask.connection, ask.node, ask.user.hex())
    if most and count > most:
        today = morning(ask.now.astimezone().date())
        text = gettext(N_("{count} of your customers are locked, and {most} are allowed. Unlock {more} of them.")).format(
            count=count, most=most, more=count - most
        )
        yield Reminding(key=f"locks:{ask.user.hex()}:{count}", kind="locks", due=today, at=today, text=text)


def _pool_name(ask: Ask, change: _Change) -> str:
    """Where a customer went that was given to nobody."""
    pool = ask.connection.value(
        "SELECT p.name FROM owner_change o JOIN pool p ON p.id = o.pool_id WHERE o.id = ?", (bytes.fromhex(change.link),)
    )
    return str(pool) if pool else gettext(N_("nobody"))
