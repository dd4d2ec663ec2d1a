"""A record as it stood at a moment, as far as somebody may see it, and the way back to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import FIRST_YEAR, LAST_YEAR, EntityType, Field, Kind, entity as entity_type
from localcrm.store import asof
from localcrm.store.asof import Then
from localcrm.store.connection import Connection
from localcrm.store.query import record_json
from localcrm.store.uow import UnitOfWork


@dataclass(frozen=True, slots=True)
class Stood:
    """How one record stood, and how it stands now; values in JSON form as the actor may see them.

    ``then`` None: it was not there yet, or a line not there any more. ``now`` None: a line that was removed since.
    ``changed``: fields that say something else now. ``restorable``: those of them that this actor may put back one by one.
    """

    id: str
    then: Then | None
    now: Then | None
    changed: frozenset[str]
    restorable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AsOf:
    """A record with its lines by kind; lines of now that were not there then are among them."""

    record: Stood
    lines: Mapping[str, list[Stood]] = field(default_factory=dict)
    may_restore: bool = False
    """Whether it may be put back as a whole, as far as rights and state tell."""


def read_as_of(connection: Connection, actor: Actor, *, entity: str, id: str, moment: datetime) -> AsOf:
    """A record as of a moment, and what has changed since; raises NotFound where the actor may not see its history."""
    kind, identity = entity_type(entity), parse_id(id)
    records.read_history(connection, actor, entity=entity, id=identity)  # refuses what may not be seen
    then, now = asof.record_as_of(connection, kind, identity, moment), asof.record_today(connection, kind, identity)
    open_now = now is not None and not now.deleted and _changeable(actor, kind, now)
    stood = _stood(actor, kind, identity, then, now, restorable=open_now)
    lines, once, today = {}, asof.lines_as_of(connection, kind, identity, moment), asof.lines_today(connection, kind, identity)
    for line in asof.line_kinds(kind):
        if policy.may(actor, f"{line.key}.read"):
            was, here = once[line.key], today[line.key]
            order = [*was, *(one for one in here if one not in was)]
            lines[line.key] = [_stood(actor, line, one, was.get(one), here.get(one)) for one in order]
    differs = bool(stood.changed) or any(one.changed or one.then is None or one.now is None for group in lines.values() for one in group)
    whole = then is not None and not then.deleted and now is not None and differs and _changeable(actor, kind, now)
    return AsOf(stood, lines, may_restore=whole and (open_now or policy.may(actor, f"{entity}.delete")))


def as_of_json(connection: Connection, actor: Actor, *, entity: str, id: str, moment: datetime) -> dict[str, Any]:
    """The same for scripts: {state, values, changed, lines: {kind: [{id, values, changed, state}]}}; values None before it was there."""
    found = read_as_of(connection, actor, entity=entity, id=id, moment=moment)
    lines = {key: [_document(one) for one in group if one.then is not None] for key, group in found.lines.items()}
    return {**_document(found.record), **({"lines": lines} if found.lines else {})}


def _document(one: Stood) -> dict[str, Any]:
    state = "not_there" if one.then is None else "deleted" if one.then.deleted else "in_use"
    return {"id": one.id, "state": state, "values": dict(one.then.values) if one.then else None, "changed": sorted(one.changed)}


def _stood(actor: Actor, kind: EntityType, identity: str, then: Then | None, now: Then | None, *, restorable: bool = False) -> Stood:
    seen = policy.view(actor, kind)
    both = then is not None and now is not None
    changed = {key for key in then.values if then.values[key] != now.values[key]} if then and now and both else set()
    if then and now and then.deleted != now.deleted:
        changed.add(asof.REGISTER)
    back = {key for key in changed if restorable and (one := kind.fields.get(key)) is not None and _restorable(actor, kind, one)}

    def shown(one: Then | None) -> Then | None:
        return None if one is None else Then(seen.of(one.values), one.deleted)

    return Stood(identity, shown(then), shown(now), frozenset(changed - seen.hidden), frozenset(back))


def _changeable(actor: Actor, kind: EntityType, now: Then) -> bool:
    """Whether such a record may change at all; the rest is for its rules to say."""
    if kind.kind in {Kind.LEDGER, Kind.STATE, Kind.LINE} or not policy.written_by_hand(kind) or not policy.may(actor, f"{kind.key}.update"):
        return False
    return kind.kind is not Kind.DOCUMENT or now.values["status"] != "posted"


def _restorable(actor: Actor, kind: EntityType, one: Field) -> bool:
    return one.f.editable and not one.secret and one.is_used and policy.may_write(actor, kind, one)


# the way back ----------------------------------------------------------------------------------------------------------


def restore_as_of(
    uow: UnitOfWork, actor: Actor, *, entity: str, id: str, moment: str, fields: Sequence[str] | None = None
) -> dict[str, Any]:
    """Put fields of a record back to what they were at a moment, without ``fields`` all of it with its lines; an ordinary change, by all rules.

    Taken from the recycle bin where it was not in there then. Returns the record.
    """
    kind, identity = entity_type(entity), parse_id(id)
    found = read_as_of(uow.connection, actor, entity=entity, id=identity, moment=parse_when(moment))
    wanted = found.record.restorable if fields is None else frozenset(fields)
    was, now = found.record.then, found.record.now
    if was is None or now is None or not wanted <= found.record.restorable or not (wanted or (fields is None and found.may_restore)):
        raise Refused("not_in_history", N_("This value cannot be put back from here. Nothing was changed."))
    if fields is None and now.deleted:
        records.undelete_record(uow, actor, entity=entity, id=identity)
        fresh = read_as_of(uow.connection, actor, entity=entity, id=identity, moment=parse_when(moment))
        wanted = fresh.record.restorable
    values = {key: _entered(was.values[key]) for key in wanted}
    records.update_record(uow, actor, entity=entity, id=identity, values=values)
    if fields is None:
        for key, group in found.lines.items():
            records.save_lines(uow, actor, entity=key, document=identity, lines=_lines(actor, entity_type(key), group))
    return record_json(kind, policy.shown(actor, kind, uow.get(kind, identity)))


def _entered(value: Any) -> Any:
    return "" if value is None else value


def _lines(actor: Actor, kind: EntityType, group: Sequence[Stood]) -> list[dict[str, Any]]:
    """Lines as they stood, the way a form gives them: those removed since are new ones."""
    lines = []
    for one in group:
        if one.then is None:
            continue
        mine = {field.key for field in kind.fields.values() if _restorable(actor, kind, field)} - {kind.parent, kind.order_by}
        keys = mine if one.now is None else mine & one.changed
        values = {key: _entered(one.then.values[key]) for key in keys}
        lines.append({"id": one.id, **values} if one.now is not None else values)
    return lines


def parse_when(text: str) -> datetime:
    """A moment as scripts write it: ISO 8601; a day alone is its end, and without a zone the clock on the wall counts. Raises InvalidInput."""
    given = text.strip()
    try:
        moment = datetime.fromisoformat(given)
        if len(given) <= len("2026-11-23"):
            moment += timedelta(days=1) - timedelta(milliseconds=1)
        if FIRST_YEAR <= moment.year <= LAST_YEAR:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise InvalidInput(
        "bad_moment",
        N_("“{value}” is no moment (write 2026-11-23, or 2026-11-23 15:00). Nothing was changed."),
        value=text[:60].encode("utf-8", "replace").decode(),
    )
