"""Up to when what is found is known, and whose work is not in it yet; it follows from the state of the exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from localcrm.domain.admin.entities import BranchHolds
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import gettext as _
from localcrm.store import search
from localcrm.store.node import OFFICE_NO
from localcrm.store.store import Store
from localcrm.ui.kit.look import not_yet_found
from localcrm.ui.kit.values import ago, near_moment


@dataclass(frozen=True, slots=True)
class Place:
    """Another node: what people call it, and up to when its work is here (None: nothing of it yet)."""

    name: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """here: this node · others: up to when their work is here · missing: what is never here · is_behind: what has just come is not found yet."""

    here: str
    others: Sequence[Place] = ()
    missing: str = ""
    is_behind: bool = False


def coverage(store: Store) -> Coverage:
    """What is searched at this node."""
    from localcrm.sync.node_sync import status

    known = status(store)
    with store.read() as connection:
        rows = connection.all("SELECT code, name, node_no, holds FROM branch WHERE deleted = 0 ORDER BY node_no")
        is_behind = search.is_behind(connection)
    return replace(covered(store.node.node_no, rows, known), is_behind=is_behind)


def covered(own: int, rows: Sequence[tuple[str, str, int, str]], known: dict[str, Any]) -> Coverage:
    """Of branches (code, name, number, what it holds) and what the exchange knows of itself (``node_sync.status``)."""
    named = {number: f"{code} {name}".strip() if name != code else code for code, name, number, _holds in rows}
    here = named.get(own) or f"{known['code']} {known['name']}".strip()
    if own == OFFICE_NO:
        last = {one["code"]: one["last_ok"] for one in known["branches"]}
        return Coverage(here, [Place(named[number], _moment(last.get(code))) for code, _name, number, _h in rows if number != own])
    if not known["enrolled"]:
        return Coverage(here, missing=_("everything of head office and the other branches, for this branch has not joined yet"))
    # What another branch did reaches this one by way of head office: not later than the last exchange with it.
    until = _moment(known["last_ok"])
    holds = next((holds for _code, _name, number, holds in rows if number == own), BranchHolds.ALL)
    missing = {
        BranchHolds.OWN: _("orders, stock and money of other branches, which are not kept here"),
        BranchHolds.CUSTOMERS: _("customers, orders, stock and money of other branches, which are not kept here"),
    }
    return Coverage(here, [Place(name, until) for number, name in named.items() if number != own], missing.get(BranchHolds(holds), ""))


def in_short(found: Coverage, now: datetime) -> str:
    """Up to when the result of a question is known: this moment here, and the other nodes where there are any."""
    said = [_("as of {when}").format(when=near_moment(now))]
    known = [one.until for one in found.others if one.until is not None]
    if len(known) < len(found.others):
        said.append(_("not everything of other branches is here yet"))
    elif known:
        said.append(_("other branches as of {when}").format(when=near_moment(min(known))))
    if found.is_behind:
        said.append(not_yet_found())
    return " · ".join(said)


def words(found: Coverage, now: datetime | None = None) -> list[str]:
    """Sentences for the foot of the screen: up to when, and what is not included."""
    now = now or now_utc()
    said = [_("Searched: {here} up to this moment").format(here=found.here)]
    known = [one for one in found.others if one.until is not None]
    unknown = [one.name for one in found.others if one.until is None]
    moments = {one.until for one in known}
    if len(moments) == 1 and len(known) > 1:
        said.append(_("{names} as of {when}").format(names=_(", ").join(one.name for one in known), when=_when(known[0], now)))
    else:
        said += [_("{names} as of {when}").format(names=one.name, when=_when(one, now)) for one in known]
    if unknown:
        said.append(_("not included: {names} (nothing has arrived yet)").format(names=_(", ").join(unknown)))
    if found.missing:
        said.append(_("not included: {what}").format(what=found.missing))
    if found.is_behind:
        said.append(not_yet_found())
    return said


def _when(place: Place, now: datetime) -> str:
    moment = place.until or now
    return f"{moment.astimezone():%Y-%m-%d %H:%M} ({ago(moment, now)})"


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
