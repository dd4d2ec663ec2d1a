"""What the merge found that a person should see: what is live now, settling singly, for many or by rule, and deciding again.

A conflict is a record of head office's (ADR 0010). Settling it is an ordinary change that travels: the chosen value is
written into the record it is about, by the rules of that record, and the state moves on; it never becomes open again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.admin.entities import Conflict, ConflictKind, ConflictState
from localcrm.domain.importing import alone
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import Forbidden, InvalidInput, NotFound, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import Choice, EntityType, Field, Stored, entities, entity as entity_type
from localcrm.store.changelog import HistoryRow, history
from localcrm.store.connection import Connection
from localcrm.store.node import OFFICE_NO
from localcrm.store.query import Condition, ListQuery, Record, record_json, select, stored_value
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
#: Records with one value that may not repeat, told of for one that arrives.
_MOST_ALIKE = 20

#: Why head office does not take a change over: what happened, and what to do now.
REASONS: Mapping[str, tuple[str, str]] = {
    "posted_document": (
        N_("The document had already been posted when the change arrived."),
        N_("A posted document stays as it is. If the change is needed, reverse the document and enter it anew."),
    ),
    "not_owner": (
        N_("The record belongs to somebody else: another branch, or head office."),
        N_("Ask whoever it belongs to to make the change, or have it handed over first."),
    ),
    "head_office_only": (
        N_("Only head office may change this."),
        N_("Tell head office what should be changed; it enters it for everybody."),
    ),
    "ledger_row": (
        N_("A movement or payment was changed after it had been booked."),
        N_("What is booked stays. Enter a correcting movement instead."),
    ),
    "physical_delete": (N_("Something was removed that may only be put into the recycle bin."), N_("Delete it from the list instead.")),
    "state_goes_back": (N_("Something settled was to become open again."), N_("Nothing to do: it stays settled.")),
    "duplicate_id": (N_("The same record arrived twice."), N_("Nothing to do: the record is here already.")),
    "unknown_row": (
        N_("The record that was changed does not exist here."),
        N_("Look whether it is missing at head office. If it is, enter it there and make the change again."),
    ),
    "unknown_parent": (
        N_("The document that this belongs to does not exist here."),
        N_("Look whether the document is missing at head office. If it is, enter it anew at the branch."),
    ),
    "unknown_table": (
        N_("The branch has a newer program and sent records of a kind that is not known here yet."),
        N_("Bring this program up to date; the change is kept until then."),
    ),
    "unknown_column": (
        N_("The branch has a newer program and sent a field that is not known here yet."),
        N_("Bring this program up to date; the change is kept until then."),
    ),
    "unknown_op": (
        N_("The branch has a newer program and sent a kind of change that is not known here yet."),
        N_("Bring this program up to date; the change is kept until then."),
    ),
    "bad_value": (N_("A value does not fit its field."), N_("Look at the record at the branch, mend the value there and save.")),
    "missing_value": (N_("A required value was missing."), N_("Complete the record at the branch and save.")),
    "fixed_column": (
        N_("The definition of a field was to become that of another one."),
        N_("Retire the field at the branch and add a new one."),
    ),
    "type_loses": (
        N_("The type of a field was changed so that values would be lost."),
        N_("Add a new field of that type at the branch instead."),
    ),
    "too_many_fields": (
        N_("The branch has added more fields than a list can hold."),
        N_("Retire or delete fields at the branch that nobody uses."),
    ),
    "not_author": (N_("A document was submitted in somebody else's name."), N_("Whoever wants it approved submits it himself.")),
    "not_decider": (
        N_("Somebody decided who had not been asked, or not at this branch."),
        N_("The decision does not count. Whoever is asked decides where he belongs."),
    ),
}
_UNKNOWN_REASON = (
    N_("Head office could not take the change over."),
    N_("The change is kept. Compare the record at the branch with this one."),
)


class Rule(Choice):
    """How many conflicts are settled alike."""

    OFFICE = "office", N_("Head office's value")
    BRANCH = "branch", N_("The branch's value")
    LATER = "later", N_("The later value")
    KEEP = "keep", N_("Leave everything as it is now")


@dataclass(frozen=True, slots=True)
class Item:
    """A conflict as somebody may see it, and what its record says at this moment.

    ``now``: the live value, as text like the values of the conflict; ``is_there`` False for a record nobody here knows.
    """

    conflict: Record
    now: str | None
    is_there: bool

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
    def changed_since(self) -> bool:
        """Whether the value was changed again after the conflict arose, so that neither side may be live."""
        kept = self.conflict.get("kept")
        return self.is_there and self.kind in WITH_ANOTHER and not isinstance(kept, Masked) and "kept" in self.conflict and self.now != kept

    @property
    def can_take(self) -> bool:
        """Whether there is another value to take."""
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


# looking ----------------------------------------------------------------------------------------------------------------


def count_open(connection: Connection, actor: Actor) -> int:
    """How many open conflicts the actor may see."""
    seen = policy.seen(actor, CONFLICT)
    if seen is None or not seen.shows("state"):
        return 0
    condition, params = seen.condition('"conflict"')
    counted = f"SELECT count(*) FROM conflict WHERE state = ? AND deleted = 0 AND {condition}"
    return int(connection.value(counted, [ConflictState.OPEN.value, *params]))


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
    return page.total, [item_of(connection, conflict) for conflict in page.rows]


def item_of(connection: Connection, conflict: Record) -> Item:
    """A conflict with what its record says now."""
    found = _row(connection, conflict)
    return Item(conflict, found[0] if found else None, found is not None)


def concerned_field(conflict: Mapping[str, Any]) -> tuple[EntityType | None, Field | None]:
    """Kind of record and field that a conflict is about; None for what this program does not know, and for "deleted"."""
    return _kind(conflict), _field(conflict)


def reason_texts(code: str | None) -> tuple[str, str]:
    """Msgids for a change that was not accepted: what happened, what to do."""
    return REASONS.get(code or "", _UNKNOWN_REASON)


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
    """What one choice would do to one conflict; nothing where there is no such choice."""
    if keep == "lost" and not (item.kind in WITH_ANOTHER and item.is_there):
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
    _check_choice(keep)
    if keep != "kept" and conflict["field"]:
        _check_present(uow, conflict, present)
        _take(uow, actor, conflict, keep, record)
    return _settled(uow, actor, conflict, keep)


def settle_conflicts(uow: UnitOfWork, actor: Actor, *, choices: list[dict[str, str]], again: bool = False) -> dict[str, Any]:
    """Settle many, or with ``again`` decide settled ones otherwise: each choice is {"id", "keep"} and perhaps "present".

    What is refused stays as it was and stops nothing else.

    Returns {"settled": ids, "left": [{"id", "code", "message"}]}.
    """
    if len(choices) > MOST_AT_ONCE:
        raise InvalidInput("too_many", N_("At most {most} at once. Nothing was changed."), most=MOST_AT_ONCE)
    settle = decide_again if again else resolve_conflict
    settled: list[str] = []
    left: list[dict[str, str]] = []
    for choice in choices:
        identity = parse_id(choice.get("id", ""))
        try:
            with alone(uow):
                policy.require_record(uow.connection, actor, CONFLICT, identity, "resolve")
                settle(uow, actor, id=identity, keep=choice.get("keep", ""), present=choice.get("present"))
        except (InvalidInput, Refused, NotFound, Forbidden) as error:
            left.append({"id": identity, "code": error.code, "message": error.message})
        else:
            settled.append(identity)
    return {"settled": settled, "left": left}


def decide_again(uow: UnitOfWork, actor: Actor, *, id: RecordId, keep: str, present: str | None = None) -> dict[str, Any]:
    """Decide a settled conflict otherwise; it stays settled. "kept" writes the value that was live when it was found."""
    conflict = uow.get(CONFLICT, id)
    if conflict["state"] != ConflictState.RESOLVED:
        raise Refused("not_settled", N_("This conflict has not been settled yet."))
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


def _check_choice(keep: str) -> None:
    if keep not in {"kept", "lost"} and not keep.startswith("value="):
        raise InvalidInput("bad_parameter_keep", N_("Choose “kept”, “lost” or “value=…”."))


def _check_present(uow: UnitOfWork, conflict: Record, present: str | None) -> None:
    found = _row(uow.connection, conflict)
    if present is not None and found is not None and (found[0] or "") != present:
        raise Refused("changed_meanwhile", N_("The value was changed a moment ago. Nothing was overwritten; look at it again."))


def _settled(uow: UnitOfWork, actor: Actor, conflict: Record, keep: str) -> dict[str, Any]:
    told = {"state": ConflictState.RESOLVED, "resolved_by": actor.user_id, "resolution": keep, "resolved_at": now_utc()}
    uow.update(CONFLICT, conflict["id"], told)
    return record_json(CONFLICT, policy.shown(actor, CONFLICT, uow.get(CONFLICT, conflict["id"])))


def _take(uow: UnitOfWork, actor: Actor, conflict: Record, keep: str, record: str | None) -> None:
    """Write the value a person chose, by the rules of its record."""
    kind, key = entity_type(conflict["entity"]), conflict["field"]
    identity = record or conflict["record"]
    if identity not in {conflict["record"], conflict["other"]}:
        raise InvalidInput("bad_parameter_record", N_("This conflict is about other records. Nothing was changed."))
    if keep == "lost" and conflict["kind"] not in WITH_ANOTHER:
        raise Refused("nothing_to_take", N_("There is no other value to take here."))
    value = chosen_text(conflict, keep)
    policy.require(actor, f"{kind.key}.update")
    if key == "deleted":
        is_deleted, should_be = uow.get(kind, identity, deleted=True)["deleted"], value == "true"
        if is_deleted != should_be:
            (records.delete_record if should_be else records.undelete_record)(uow, actor, entity=kind.key, id=identity)
    elif kind.field(key).secret:  # what is chosen stays in the conflict for everybody to read
        raise Refused(
            "secret_field", N_("{label} cannot be chosen here. Settle this with “kept” and set a new one."), label=kind.field(key).label
        )
    else:
        records.update_record(uow, actor, entity=kind.key, id=identity, values={key: value})


# what head office notes after a merge -----------------------------------------------------------------------------------------


def note_same_values(uow: UnitOfWork, written: Iterable[tuple[EntityType, Field, bytes]]) -> int:
    """Of values that may not repeat and have just arrived, tell once of each pair of live records that share one; returns how many.

    Both records stay as they are: what was entered apart is nobody's fault, and a person knows which of the two is wrong.
    """
    told = 0
    for kind, field, pk in written:
        column = f'"{field.key}"'
        alike = uow.connection.all(
            f'SELECT o.id, o.{column} FROM "{kind.key}" r JOIN "{kind.key}" o ON o.{column} = r.{column} AND o.id <> r.id '
            f"WHERE r.id = ? AND r.deleted = 0 AND o.deleted = 0 ORDER BY o.rid LIMIT {_MOST_ALIKE}",
            (pk,),
        )
        for other, stored in alike:
            told += _note_same_value(uow, kind, field, pk.hex(), other.hex(), as_text(field, stored))
    return told


def _note_same_value(uow: UnitOfWork, kind: EntityType, field: Field, record: str, other: str, value: str | None) -> bool:
    known = """SELECT 1 FROM conflict WHERE kind = ? AND entity = ? AND field = ? AND kept = ?
               AND ((record = ? AND other = ?) OR (record = ? AND other = ?))"""
    if uow.connection.one(known, (ConflictKind.DUPLICATE.value, kind.key, field.key, value, record, other, other, record)):
        return False
    values: dict[str, Any] = {"kind": ConflictKind.DUPLICATE, "entity": kind.key, "record": record, "other": other, "field": field.key}
    values |= {"kept": value, "lost": value, **_author(uow, kind, field, other, "kept"), **_author(uow, kind, field, record, "lost")}
    uow.insert(CONFLICT, CONFLICT.validate(values))
    return True


def _author(uow: UnitOfWork, kind: EntityType, field: Field, identity: str, side: str) -> dict[str, Any]:
    """Who wrote the value of a record that is there now, as one side of a conflict."""
    row = next((row for row in history(uow.connection, kind, identity) if row.field == field.key), None)
    return {f"{side}_by": row.user_id, f"{side}_at": row.at, f"{side}_node": row.node} if row else {}


def agree(uow: UnitOfWork, settled_apart: Collection[bytes]) -> None:
    """Conflicts that two places settled apart: the later settlement counts, and the record says so too.

    The merge has chosen the later settlement. Where that left the value alone, the earlier one may have written another:
    the value goes back, unless somebody else has changed it since.
    """
    for pk in sorted(settled_apart):
        conflict = uow.find(CONFLICT, pk.hex())
        if conflict is None or conflict["state"] != ConflictState.RESOLVED or conflict["kind"] not in WITH_ANOTHER:
            continue
        found, wanted = _row(uow.connection, conflict), chosen_text(conflict, str(conflict["resolution"]))
        if found is None or found[0] == wanted or found[0] not in _decided(history(uow.connection, CONFLICT, pk.hex()), conflict):
            continue
        kind, field = entity_type(conflict["entity"]), _field(conflict)
        if field is None:
            uow.set_deleted(kind, conflict["record"], deleted=wanted == "true")
        else:
            uow.update(kind, conflict["record"], {field.key: field.load(stored_value(field, wanted))})


def _decided(rows: Iterable[HistoryRow], conflict: Record) -> set[str | None]:
    """Every value that somebody settled the conflict with."""
    return {chosen_text(conflict, str(row.new)) for row in rows if row.field == "resolution" and row.new is not None}


# parts ------------------------------------------------------------------------------------------------------------------------


def _kind(conflict: Mapping[str, Any]) -> EntityType | None:
    return next((kind for kind in entities() if kind.key == conflict.get("entity")), None)


def _field(conflict: Mapping[str, Any]) -> Field | None:
    kind = _kind(conflict)
    return kind.fields.get(conflict.get("field") or "") if kind else None


def _row(connection: Connection, conflict: Mapping[str, Any]) -> tuple[str | None] | None:
    """The live value of what a conflict is about, as text; None where there is no such record here."""
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
)
