"""What the merge found that a person should see: what is live now, settling singly, for many or by rule, and deciding again.

A conflict is a record of head office's (ADR 0010). Settling it is an ordinary change that travels: the chosen value is
written into the record it is about, by the rules of that record, and the state moves on. Who settled it too soon lets it wait again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from localcrm.domain import policy, records, sets
from localcrm.domain.admin.entities import Conflict, ConflictKind, ConflictState
from localcrm.domain.importing import alone
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import Forbidden, InvalidInput, NotFound, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import Choice, EntityType, Field, Stored, as_set, entities, entity as entity_type, write_set
from localcrm.store.changelog import HistoryRow
from localcrm.store.connection import Connection
from localcrm.store.merged import survivor
from localcrm.store.node import OFFICE_NO, may_lack
from localcrm.store.query import Condition, ListQuery, Record, record_json, select
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import Masked

CONFLICT = Conflict.entity_type
#: Kinds with another value to take; for what was deleted that value is the record itself.
WITH_ANOTHER = frozenset({ConflictKind.OVERWRITTEN, ConflictKind.DELETED_EDITED, ConflictKind.PARENT_DELETED, ConflictKind.WATCHED})
#: Kinds whose value may become a third one.
WITH_VALUE = frozenset({ConflictKind.OVERWRITTEN, ConflictKind.WATCHED, ConflictKind.DUPLICATE})
#: Longest value a conflict shows; the log keeps it whole.
MOST_SHOWN = 100_000
#: Most conflicts that are settled at once.
MOST_AT_ONCE = 1000
#: Says that what was kept aside was taken over after all: the program settled it, nobody has to.
APPLIED = "applied"


#: By kind of record that may be merged: what a change says of one that went is put into the one that is left (see ``subjects``).
PUT_INTO: dict[str, Callable[[UnitOfWork, Actor, str, Mapping[str, Any]], None]] = {}


class Twice(NamedTuple):
    """Posted documents that say the same: whether the one that arrived later, named first, can be taken back here, and taking it back."""

    is_ours: Callable[[Connection, str, str], bool]
    take_back: Callable[[UnitOfWork, Actor, str], None]


#: By kind of document and the field that says the same (see ``subjects``).
TWICE: dict[tuple[str, str], Twice] = {}


class Rule(Choice):
    """How many conflicts are settled alike."""

    OFFICE = "office", N_("Head office's value")
    BRANCH = "branch", N_("The branch's value")
    LATER = "later", N_("The later value")
    KEEP = "keep", N_("Leave everything as it is now")


class Needed(Enum):
    """Why a deleted record must not stay deleted by what somebody here chooses."""

    POSTED = "posted documents refer to it"
    ELSEWHERE = "head office alone sees whether it is still used"


@dataclass(frozen=True, slots=True)
class Item:
    """A conflict as somebody may see it, and what its record says at this moment.

    ``now``: the live value, as text like the values of the conflict; ``is_there`` False for a record nobody here knows · ``into``: of one
    that was changed while another place merged it into another record, the id of the record that is left · ``mine``: whether it concerns a
    value, or a record, of whoever looks · ``is_ours``: whether of two documents that say the same the later one can be taken back here ·
    ``is_elsewhere``: whether this branch does not hold the record, so that others settle it · ``needed``: why what was deleted cannot be kept
    deleted here, if it cannot.
    """

    conflict: Record
    now: str | None
    is_there: bool
    into: str | None = None
    mine: bool = False
    is_ours: bool = False
    is_elsewhere: bool = False
    needed: Needed | None = None

    @property
    def id(self) -> str:
        """Of the conflict."""
        return str(self.conflict["id"])

    @property
    def kind(self) -> str:
        """Why a person should look; empty for who may not see that."""
        return str(self.conflict.get("kind") or "")

    @property
    def is_open(self) -> bool:
        """Whether nobody has settled it."""
        return self.conflict.get("state") == ConflictState.OPEN

    @property
    def can_reopen(self) -> bool:
        """Whether somebody settled it who may have been wrong, and its record is here."""
        return not (self.is_open or self.is_elsewhere or self.conflict.get("resolution") == APPLIED)

    @property
    def changed_since(self) -> bool:
        """Whether the value was changed again after the conflict arose, so that neither side may be live."""
        kept = self.conflict.get("kept")
        return self.is_there and self.kind in WITH_ANOTHER and not isinstance(kept, Masked) and "kept" in self.conflict and self.now != kept

    @property
    def can_take(self) -> bool:
        """Whether there is another value to take, or one of two documents to take back."""
        if self.is_ours:
            return True
        return self.is_there and self.kind in WITH_ANOTHER and "lost" in self.conflict and self.conflict["lost"] != self.now

    @property
    def can_edit(self) -> bool:
        """Whether a third value may be entered."""
        field = _field(self.conflict)
        return self.is_there and self.kind in WITH_VALUE and field is not None and field.f.editable and not field.secret


@dataclass(frozen=True, slots=True)
class Step:
    """What settling one conflict would do: ``becomes`` is the value afterwards; ``keep`` None where the rule says nothing."""

    item: Item
    keep: str | None
    becomes: str | None

    @property
    def changes(self) -> bool:
        """Whether the record would be changed."""
        return self.keep is not None and self.becomes != self.item.now

    @property
    def choice(self) -> dict[str, str]:
        """As ``settle_conflicts`` takes it; only what was looked at is settled."""
        return {"id": self.item.id, "keep": self.keep or "", "present": self.item.now or ""}

    @property
    def way_back(self) -> dict[str, str]:
        """How it waits again, with the value before, unless somebody has changed that since."""
        values = {"put_back": self.item.now or "", "present": self.becomes or ""} if self.changes else {}
        return {"id": self.item.id, **values}


# looking ----------------------------------------------------------------------------------------------------------------


def count_open(connection: Connection, actor: Actor) -> int:
    """How many open conflicts the actor may see."""
    seen = policy.seen(actor, CONFLICT)
    if seen is None or not seen.shows("state"):
        return 0
    condition, params = seen.condition('"conflict"')
    counted = f"SELECT count(*) FROM conflict WHERE state = ? AND deleted = 0 AND {condition}"
    return int(connection.value(counted, [ConflictState.OPEN.value, *params]))


def is_disputed(connection: Connection, actor: Actor, kind: EntityType, identity: str, field: str) -> bool:
    """Whether there is an open conflict about a field of a record that the actor may see."""
    return bool(_open_about(connection, actor, kind, identity, field))


def settled_by_restoring(connection: Connection, actor: Actor, kind: EntityType, identity: str) -> list[str]:
    """Ids of the open conflicts about a deletion that the actor settles when he takes the record out of the recycle bin."""
    if not policy.may(actor, f"{kind.key}.update"):
        return []
    found = _open_about(connection, actor, kind, identity, "deleted")
    return [one for one in found if policy.visible(connection, actor, CONFLICT, one, action="resolve")]


def _open_about(connection: Connection, actor: Actor, kind: EntityType, identity: str, field: str) -> list[str]:
    """Ids of the open conflicts about a field of a record that the actor may see."""
    seen = policy.seen(actor, CONFLICT)
    if seen is None:
        return []
    where = (Condition("record", "=", identity), Condition("state", "=", ConflictState.OPEN), Condition("field", "=", field))
    rows = select(connection, ListQuery(CONFLICT, where=where, limit=MOST_AT_ONCE, restrict=seen), count=False).rows
    return [str(row["id"]) for row in rows if row.get("entity") == kind.key]


def _is_mine(connection: Connection, actor: Actor, conflict: Mapping[str, Any]) -> bool:
    """Whether the actor wrote one of the values, or the record is his."""
    user, kind, record = actor.user_id, _kind(conflict), str(conflict.get("record") or "")
    if user is None or user in {conflict.get("kept_by"), conflict.get("lost_by")}:
        return user is not None
    if kind is None or kind.owner not in kind.fields or len(record) != 32:
        return False
    owned = f'SELECT 1 FROM "{kind.key}" WHERE id = ? AND "{kind.owner}" = ?'
    return connection.one(owned, (bytes.fromhex(record), bytes.fromhex(user))) is not None


def open_by_branch(connection: Connection, actor: Actor) -> dict[str, int]:
    """The same by the code of every branch (or head office) one of whose values is concerned."""
    seen = policy.seen(actor, CONFLICT)
    if seen is None or not (seen.shows("state") and seen.shows("kept_node") and seen.shows("lost_node")):
        return {}
    condition, params = seen.condition('"conflict"')
    concerned = " UNION ".join(
        f'SELECT id, {side} AS code FROM "conflict" WHERE state = ? AND deleted = 0 AND {side} IS NOT NULL AND {condition}'
        for side in ("kept_node", "lost_node")
    )
    return dict(connection.all(f"SELECT code, count(*) FROM ({concerned}) GROUP BY code", [ConflictState.OPEN.value, *params] * 2))


def find_items(
    connection: Connection, actor: Actor, where: Sequence[Condition] = (), *, sort: str = "", limit: int = MOST_AT_ONCE
) -> tuple[int, list[Item]]:
    """Conflicts the actor may see, newest first unless ``sort`` says otherwise, and how many there are; raises Forbidden, InvalidInput."""
    query = ListQuery(CONFLICT, where=tuple(where), sort=sort, limit=limit, restrict=policy.view(actor, CONFLICT))
    page = select(connection, query)
    return page.total, [replace(item_of(connection, row), mine=_is_mine(connection, actor, row)) for row in page.rows]


def item_of(connection: Connection, conflict: Record) -> Item:
    """A conflict with what its record says now."""
    found = live_text(connection, conflict)
    if found is None:
        return Item(conflict, None, is_there=False, is_elsewhere=_may_be_elsewhere(connection, conflict))
    return Item(
        conflict,
        found[0],
        is_there=True,
        into=left_of(connection, conflict),
        is_ours=is_ours(connection, conflict),
        needed=needed(connection, conflict, found[0]),
    )


def needed(connection: Connection, conflict: Mapping[str, Any], now: str | None) -> Needed | None:
    """Why a record that was deleted while another place used it cannot be kept deleted here; None where it can."""
    kind = _kind(conflict)
    if kind is None or now != "true" or conflict.get("kind") != ConflictKind.PARENT_DELETED:
        return None
    if kind.merged and survivor(connection, kind, str(conflict["record"])) != conflict["record"]:
        return None  # everything of it is with the one that is left
    if records.bound_by(connection, kind, str(conflict["record"])):
        return Needed.POSTED
    return Needed.ELSEWHERE if records.may_be_used_elsewhere(connection, kind) else None


def _may_be_elsewhere(connection: Connection, conflict: Mapping[str, Any]) -> bool:
    """Whether a record that is not here may be at head office and other branches."""
    kind = _kind(conflict)
    return kind is not None and may_lack(connection)(kind)


def is_ours(connection: Connection, conflict: Mapping[str, Any]) -> bool:
    """Whether a conflict that nobody has settled is about two documents that say the same, and the later one can be taken back here."""
    twice = TWICE.get((str(conflict.get("entity") or ""), str(conflict.get("field") or "")))
    if twice is None or conflict.get("kind") != ConflictKind.DUPLICATE or conflict.get("state") != ConflictState.OPEN:
        return False
    return twice.is_ours(connection, str(conflict.get("record") or ""), str(conflict.get("other") or ""))


def left_of(connection: Connection, conflict: Mapping[str, Any]) -> str | None:
    """Of a record that was merged into another one while it was changed elsewhere, the id of the one that is left; None for any other."""
    kind, record = _kind(conflict), str(conflict.get("record") or "")
    if kind is None or kind.merged is None or conflict.get("kind") != ConflictKind.DELETED_EDITED:
        return None
    into = survivor(connection, kind, record)
    return into if into != record else None


def met_values(connection: Connection, actor: Actor, conflict: Mapping[str, Any]) -> list[HistoryRow]:
    """What the change says that met a deletion, as the history of its record has it."""
    kind = _kind(conflict)
    if kind is None or conflict.get("kind") != ConflictKind.DELETED_EDITED:
        return []
    made = (conflict.get("lost_node"), conflict.get("lost_at"))
    rows = records.read_history(connection, actor, entity=kind.key, id=str(conflict["record"]))
    return [row for row in rows if row.field in kind.fields and (row.node, datetime.fromisoformat(row.at)) == made]


def held_values(connection: Connection, actor: Actor, conflict: Mapping[str, Any]) -> list[tuple[Field, str | None]]:
    """What a change that was not taken over would have written, as far as the actor may read it; known at head office only."""
    kind, record = _kind(conflict), str(conflict.get("record") or "")
    seen = policy.seen(actor, kind) if kind else None
    if kind is None or seen is None or len(record) != 32:
        return []
    newest = "SELECT raw FROM sync_quarantine WHERE tbl = ? AND pk = ? AND reason = ? ORDER BY first_seen DESC, oseq DESC LIMIT 1"
    raw = connection.value(newest, (kind.no, bytes.fromhex(record), conflict.get("lost")))
    found = []
    for no, *values in msgspec.msgpack.decode(raw)[3] if raw else ():
        field = kind.by_no.get(no)
        if field is not None and seen.shows(field.key) and not field.secret:
            with suppress(ValueError, TypeError, ArithmeticError):  # it may have been held back because it makes no sense
                found.append((field, as_text(field, values[-1])))
    return found


def concerned_field(conflict: Mapping[str, Any]) -> tuple[EntityType | None, Field | None]:
    """Kind of record and field that a conflict is about; None for what this program does not know, and for "deleted"."""
    return _kind(conflict), _field(conflict)


def as_text(field: Field, value: Stored) -> str | None:
    """A stored value as conflicts keep it: text in its JSON form, readable whatever becomes of the record."""
    shown = field.show(value)
    if isinstance(shown, bool):
        return json.dumps(shown)
    return None if shown is None else str(shown)[:MOST_SHOWN]


# by rule ----------------------------------------------------------------------------------------------------------------


def plan(connection: Connection, items: Iterable[Item], rule: Rule, *, branch: str = "") -> list[Step]:
    """What a rule would do to each; ``branch`` names the one meant by "the branch's value" where two of them disagree."""
    office = str(connection.value("SELECT code FROM branch WHERE node_no = ?", (OFFICE_NO,)) or "")
    return [step(item, by_rule(item.conflict, rule, office=office, branch=branch)) for item in items]


def step(item: Item, keep: str | None) -> Step:
    """What one choice would do to one conflict; nothing where there is no such choice, or where that goes into another record: such are looked at singly."""
    if keep == "lost" and item.is_ours:
        return Step(item, keep, "0")
    if keep == "kept" and item.needed:
        keep = None
    if keep == "lost" and (item.into or not (item.kind in WITH_ANOTHER and item.is_there)):
        keep = None
    return Step(item, keep, item.now if keep in {None, "kept"} else chosen_text(item.conflict, str(keep)))


def by_rule(conflict: Mapping[str, Any], rule: Rule, *, office: str, branch: str = "") -> str | None:
    """Which side a rule means: "kept", "lost", or None where it says nothing, as for values of one and the same place."""
    if rule == Rule.KEEP:
        return "kept"
    if conflict.get("kind") not in {ConflictKind.OVERWRITTEN, ConflictKind.DELETED_EDITED}:
        return None
    if rule == Rule.LATER:
        at = {side: conflict.get(f"{side}_at") for side in ("kept", "lost")}
        return None if None in at.values() else max(at, key=lambda side: (at[side], side == "kept"))
    places = {side: conflict.get(f"{side}_node") for side in ("kept", "lost")}
    wanted = {office} if rule == Rule.OFFICE else {branch} if branch else {place for place in places.values() if place != office}
    sides = [side for side, place in places.items() if place in wanted and place is not None]
    return sides[0] if len(sides) == 1 else None


# settling ---------------------------------------------------------------------------------------------------------------

_NOT_HELD = N_("This branch does not hold the record. Head office, or a branch that holds it, settles this.")


def resolve_conflict(
    uow: UnitOfWork, actor: Actor, *, id: RecordId, keep: str, present: str | None = None, record: RecordId | None = None
) -> dict[str, Any]:
    """Settle a conflict: keep = "kept", "lost" or "value=…". What is taken is written as an ordinary change; returns the conflict.

    ``present`` is the live value that the person has seen ("" for none): another one is not overwritten unseen, but refused. ``record``
    says which of two records with the same value gets another one; without it the one that came later.
    """
    conflict = uow.get(CONFLICT, id)
    if conflict["state"] == ConflictState.RESOLVED:
        raise Refused("already_settled", N_("This conflict has already been settled."))
    found = live_text(uow.connection, conflict)
    if found is None and _may_be_elsewhere(uow.connection, conflict):
        raise Refused("not_held_here", _NOT_HELD)
    _check_choice(keep)
    if found is not None and chosen_text(conflict, keep) == "true":
        _require_not_needed(uow.connection, conflict, found[0])
    if keep != "kept" and conflict["field"]:
        _check_present(uow, conflict, present)
        _take(uow, actor, conflict, keep, record)
    return _settled(uow, actor, conflict, keep)


def settle_conflicts(uow: UnitOfWork, actor: Actor, *, choices: list[dict[str, str]]) -> dict[str, Any]:
    """Settle many: each choice is {"id", "keep"} and perhaps "present". What is refused stays as it was and stops nothing else.

    Returns {"settled": ids, "left": [{"id", "code", "message"}]}.
    """

    def settle(identity: str, choice: Mapping[str, str]) -> None:
        resolve_conflict(uow, actor, id=identity, keep=choice.get("keep", ""), present=choice.get("present"))

    settled, left = _each(uow, actor, choices, settle)
    return {"settled": settled, "left": left}


def reopen_conflict(
    uow: UnitOfWork, actor: Actor, *, id: RecordId, put_back: str | None = None, present: str | None = None
) -> dict[str, Any]:
    """Let a settled conflict wait again; returns it. ``put_back`` is what its record said before ("" for nothing), which is written as an
    ordinary change; without it the record stays as it is. ``present`` as in ``resolve_conflict``.

    It stays with the places that settled it, and with this one: they have written something into it.
    """
    conflict = uow.get(CONFLICT, id)
    _require_settled(conflict)
    item = item_of(uow.connection, conflict)
    if item.is_elsewhere:
        raise Refused("not_held_here", _NOT_HELD)
    if not item.can_reopen:
        raise Refused("applied_since", N_("This was taken over after all, so there is nothing to decide any more."))
    if put_back is not None:
        _check_present(uow, conflict, present)
        _take(uow, actor, conflict, f"value={put_back}", None)
    told = {"state": ConflictState.OPEN, "resolved_by": None, "resolution": None, "resolved_at": None}
    uow.update(CONFLICT, conflict["id"], told | settled_here(uow, conflict))
    return _shown(uow, actor, conflict)


def reopen_conflicts(uow: UnitOfWork, actor: Actor, *, choices: list[dict[str, str]]) -> dict[str, Any]:
    """Let many wait again: each choice is {"id"} and perhaps "put_back" and "present". What is refused stays settled and stops nothing else.

    Returns {"reopened": ids, "left": [{"id", "code", "message"}]}.
    """

    def reopen(identity: str, choice: Mapping[str, str]) -> None:
        reopen_conflict(uow, actor, id=identity, put_back=choice.get("put_back"), present=choice.get("present"))

    reopened, left = _each(uow, actor, choices, reopen)
    return {"reopened": reopened, "left": left}


def decide_again(uow: UnitOfWork, actor: Actor, *, id: RecordId, keep: str, present: str | None = None) -> dict[str, Any]:
    """Decide a settled conflict otherwise; it stays settled. "kept" writes the value that was live when it was found."""
    conflict = uow.get(CONFLICT, id)
    _require_settled(conflict)
    _check_choice(keep)
    if conflict["kind"] not in WITH_ANOTHER:
        raise Refused("nothing_to_take", N_("There is no other value to take here."))
    _check_present(uow, conflict, present)
    _take(uow, actor, conflict, keep, None)
    return _settled(uow, actor, conflict, keep)


def chosen_text(conflict: Mapping[str, Any], keep: str) -> str | None:
    """The value that a choice stands for."""
    if keep in {"kept", "lost"}:
        value: str | None = conflict.get(keep)
        return value
    return keep.removeprefix("value=") or None


def _each(
    uow: UnitOfWork, actor: Actor, choices: list[dict[str, str]], act: Callable[[str, Mapping[str, str]], None]
) -> tuple[list[str], list[dict[str, str]]]:
    """Do it to each conflict by itself; ids of those it was done to, and what was refused why."""
    if len(choices) > MOST_AT_ONCE:
        raise InvalidInput("too_many", N_("At most {most} at once. Nothing was changed."), most=MOST_AT_ONCE)
    done: list[str] = []
    left: list[dict[str, str]] = []
    for choice in choices:
        identity = parse_id(choice.get("id", ""))
        try:
            with alone(uow):
                policy.require_record(uow.connection, actor, CONFLICT, identity, "resolve")
                act(identity, choice)
        except (InvalidInput, Refused, NotFound, Forbidden) as error:
            left.append({"id": identity, "code": error.code, "message": error.message})
        else:
            done.append(identity)
    return done, left


def _require_settled(conflict: Record) -> None:
    if conflict["state"] != ConflictState.RESOLVED:
        raise Refused("not_settled", N_("This conflict has not been settled yet."))


def _check_choice(keep: str) -> None:
    if keep not in {"kept", "lost"} and not keep.startswith("value="):
        raise InvalidInput("bad_parameter_keep", N_("Choose “kept”, “lost” or “value=…”."))


def _require_not_needed(connection: Connection, conflict: Record, now: str | None) -> None:
    match needed(connection, conflict, now):
        case Needed.POSTED:
            raise Refused(
                "posted_documents_need_it",
                N_(
                    "Posted documents refer to it, so it cannot stay deleted. Restore it; what shall not be used any more is stopped instead."
                ),
            )
        case Needed.ELSEWHERE:
            raise Refused(
                "not_seen_here",
                N_(
                    "Whether other branches still use it only head office can see. Restore it if it is needed here; otherwise head office settles this."
                ),
            )


def _check_present(uow: UnitOfWork, conflict: Record, present: str | None) -> None:
    found = live_text(uow.connection, conflict)
    if present is not None and found is not None and (found[0] or "") != present:
        raise Refused("changed_meanwhile", N_("The value was changed a moment ago. Nothing was overwritten; look at it again."))


def _settled(uow: UnitOfWork, actor: Actor, conflict: Record, keep: str) -> dict[str, Any]:
    told = {"state": ConflictState.RESOLVED, "resolved_by": actor.user_id, "resolution": keep, "resolved_at": now_utc()}
    uow.update(CONFLICT, conflict["id"], told | settled_here(uow, conflict))
    return _shown(uow, actor, conflict)


def _shown(uow: UnitOfWork, actor: Actor, conflict: Record) -> dict[str, Any]:
    return record_json(CONFLICT, policy.shown(actor, CONFLICT, uow.get(CONFLICT, conflict["id"])))


def settled_here(uow: UnitOfWork, conflict: Record) -> dict[str, str]:
    """That somebody in this branch settled it, or let it wait again: it stays here then, wherever its record goes."""
    before = str(conflict.get("resolved_nodes") or "").split("\n")
    return {"resolved_nodes": write_set(as_set(code for code in (*before, uow.node.code) if code))}


def bring_together(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """What several places settled apart stays with all of them."""
    sets.bring_together(uow, CONFLICT, ids)


def _take(uow: UnitOfWork, actor: Actor, conflict: Record, keep: str, record: str | None) -> None:
    """Write the value a person chose, by the rules of its record."""
    kind, key = entity_type(conflict["entity"]), conflict["field"]
    if keep == "lost" and is_ours(uow.connection, conflict):
        TWICE[kind.key, key].take_back(uow, actor, conflict["record"])
        return
    identity = record or conflict["record"]
    if identity not in {conflict["record"], conflict["other"]}:
        raise InvalidInput("bad_parameter_record", N_("This conflict is about other records. Nothing was changed."))
    if keep == "lost" and conflict["kind"] not in WITH_ANOTHER:
        raise Refused("nothing_to_take", N_("There is no other value to take here."))
    value = chosen_text(conflict, keep)
    policy.require(actor, f"{kind.key}.update")
    if key == "deleted" and keep == "lost" and (into := left_of(uow.connection, conflict)):
        rows = met_values(uow.connection, actor, conflict)
        PUT_INTO[kind.key](uow, actor, into, {row.field: row.new for row in rows})
    elif key == "deleted":
        is_deleted, should_be = uow.get(kind, identity, deleted=True)["deleted"], value == "true"
        if is_deleted != should_be:
            (records.delete_record if should_be else records.undelete_record)(uow, actor, entity=kind.key, id=identity)
    elif kind.field(key).secret:  # what is chosen stays in the conflict for everybody to read
        raise Refused(
            "secret_field", N_("{label} cannot be chosen here. Settle this with “kept” and set a new one."), label=kind.field(key).label
        )
    else:
        records.update_record(uow, actor, entity=kind.key, id=identity, values={key: value})


# parts ------------------------------------------------------------------------------------------------------------------------


def _kind(conflict: Mapping[str, Any]) -> EntityType | None:
    return next((kind for kind in entities() if kind.key == conflict.get("entity")), None)


def _field(conflict: Mapping[str, Any]) -> Field | None:
    kind = _kind(conflict)
    return kind.fields.get(conflict.get("field") or "") if kind else None


def live_text(connection: Connection, conflict: Mapping[str, Any]) -> tuple[str | None] | None:
    """The live value of what a conflict is about, as text, in a tuple; None where there is no such record here."""
    kind, field, key = _kind(conflict), _field(conflict), conflict.get("field")
    record = str(conflict.get("record") or "")
    if kind is None or len(record) != 32:
        return None
    column = "deleted" if field is None else f'"{field.key}"'
    row = connection.one(f'SELECT {column} FROM "{kind.key}" WHERE id = ?', (bytes.fromhex(record),))
    if row is None:
        return None
    if field is not None:
        return (as_text(field, row[0]),)
    return (json.dumps(bool(row[0])) if key == "deleted" else None,)


VERBS = (
    Verb(resolve_conflict, N_("Settle a conflict"), "conflict.resolve", record="id"),
    Verb(settle_conflicts, N_("Settle many conflicts"), "conflict.resolve"),
    Verb(decide_again, N_("Decide a settled conflict otherwise"), "conflict.resolve", record="id"),
    Verb(reopen_conflict, N_("Let a settled conflict wait again"), "conflict.resolve", record="id"),
    Verb(reopen_conflicts, N_("Let many settled conflicts wait again"), "conflict.resolve"),
)
