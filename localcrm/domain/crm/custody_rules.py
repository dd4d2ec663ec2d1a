"""The chain of hands a customer went through: its links, its open ends, whose it was at a moment; and when nobody has looked after it for too long."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from localcrm.kernel.clock import to_iso

#: What a link says, in the order it is written down for its digest.
_SAID = ("customer_id", "from_id", "to_id", "kind", "reason", "by_id", "at", "branch_id", "pool_id", "claim_id", "previous", "beside")


def link_digest(link: Mapping[str, Any]) -> str:
    """SHA-256 in hex over everything a link says, the digest of the link before it included."""
    said = [to_iso(value) if isinstance(value := link.get(key), datetime) else value and str(value) for key in _SAID]
    if link.get("along"):  # which links from before do not know
        said.append(link["along"])
    return sha256(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def along_of(link: Mapping[str, Any]) -> dict[str, int]:
    """How many records of each kind went along with a change; what is not written as it should be is left out."""
    parts = [part.partition(":") for part in str(link.get("along") or "").split()]
    return {kind: int(count) for kind, _colon, count in parts if count.isdecimal() and len(count) < 10}


def after(link: Mapping[str, Any]) -> list[str]:
    """Digests of the links that a link comes after."""
    return [digest for digest in (link["previous"], *(link["beside"] or "").split()) if digest]


def heads(links: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Links that none comes after, the latest last: more than one where work was done apart and not brought together yet."""
    followed = {digest for link in links for digest in after(link)}
    return sorted((link for link in links if link["digest"] not in followed), key=lambda link: (link["at"], link["digest"]))


def faults(links: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Links that do not fit: altered since they were written, or after one that is missing."""
    known = {link["digest"] for link in links}
    return [link for link in links if link_digest(link) != link["digest"] or not known.issuperset(after(link))]


def sound(links: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Links that fit, and stand behind none that does not."""
    known, found = set[str](), list[Mapping[str, Any]]()
    for link in in_order(links):
        if link_digest(link) == link["digest"] and known.issuperset(after(link)):
            known.add(link["digest"])
            found.append(link)
    return found


def in_order(links: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Links from the first to the last: each behind those it comes after, made apart by their times."""
    waiting = sorted(links, key=lambda link: (link["at"], link["digest"]))
    known, placed, told = {link["digest"] for link in links}, set[str](), list[Mapping[str, Any]]()
    while waiting:
        # One whose links before are missing, or that names itself in a circle, stands by its time.
        ready = next((link for link in waiting if placed.issuperset(known.intersection(after(link)))), waiting[0])
        waiting.remove(ready)
        placed.add(ready["digest"])
        told.append(ready)
    return told


def holder_at(links: Sequence[Mapping[str, Any]], moment: datetime, now: str | None) -> str | None:
    """Whose a customer was at a moment, by links in their order; ``now`` is whose it is where the chain says nothing."""
    last = next((link for link in reversed(links) if link["at"] <= moment), None)
    if last is not None:
        return last["to_id"]  # type: ignore[no-any-return]
    return links[0]["from_id"] if links else now


# reclaiming ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Care:
    """What counts for a customer's days: when its salesperson got it, when something was last recorded, open, or agreed, and what spares it.

    ``opportunity_on``, ``contract_on``: the last day of one; ``date.max`` while there is one.
    """

    owner_since: datetime | None
    last_at: datetime | None
    level: str | None
    locked: bool
    protected_until: date | None
    has_open: bool
    opportunity_on: date | None = None
    deal_on: date | None = None
    contract_on: date | None = None


def rules_for(rules: Sequence[Mapping[str, Any]], level: str | None) -> list[Mapping[str, Any]]:
    """The active rules of a level: its own, else those for all. Each of several counts."""
    active = [rule for rule in rules if rule["active"]]
    return [rule for rule in active if rule["level"] and rule["level"] == level] or [rule for rule in active if not rule["level"]]


def first_due(rules: Sequence[Mapping[str, Any]], care: Care) -> tuple[date, Mapping[str, Any]] | None:
    """The day on which the first of some rules takes a customer, and that rule; None where all spare it."""
    found = [(day, rule["id"], rule) for rule in rules if (day := due_day(rule, care)) is not None]
    return (one[0], one[2]) if (one := min(found, key=lambda each: each[:2], default=None)) else None


def due_day(rule: Mapping[str, Any], care: Care) -> date | None:
    """The day on which a customer goes to the pool if nothing more is recorded; None where it is spared.

    Days count from the latest of three: since it has its salesperson, since the last record (opportunity, deal, contract), since the
    rule was switched on, so that a rule that is switched off and on again starts anew. Nothing counts while it lasts, nor the end of a
    contract or of a protection where there was none.
    """
    if care.locked or (rule["spare_deals"] and care.level == "deal") or (rule["spare_open"] and care.has_open):
        return None
    begun = [moment.astimezone().date() for moment in (care.owner_since, rule["since"]) if moment is not None]
    last_at = care.last_at.astimezone().date() if care.last_at else None
    terms = [
        None if last == date.max or (key == "contract_days" and last is None) else _over(int(rule[key]), [*begun, last])
        for key, last in (
            ("days", last_at), ("opportunity_days", care.opportunity_on), ("deal_days", care.deal_on), ("contract_days", care.contract_on),
        )
        if rule.get(key)
    ]  # fmt: skip
    if rule.get("after_protection"):
        terms.append(max([care.protected_until + timedelta(days=1), *begun]) if care.protected_until else None)
    known = [day for day in terms if day is not None]
    if not known or (rule.get("together") == "all" and len(known) < len(terms)):
        return None
    due = max(known) if rule.get("together") == "all" else min(known)
    return max(due, care.protected_until + timedelta(days=1)) if care.protected_until else due


def _over(days: int, since: Sequence[date | None]) -> date | None:
    """When so many days are over since the latest of some days."""
    return max(known) + timedelta(days=days) if (known := [day for day in since if day is not None]) else None
