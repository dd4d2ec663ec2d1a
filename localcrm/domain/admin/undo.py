"""A whole action taken back: everything that one transaction did, while nothing depends on it.

Values go back where they still are what the action made of them, new records go into the recycle bin where nothing refers to
them, deleted ones come back. It is an ordinary action itself: it travels, stands in the history and can be taken back.
Postings and movements are never undone; they are reversed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.naming import can_be_moved
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import try_out
from localcrm.kernel.errors import AppError, Forbidden, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, Kind, Stored, entity as entity_type
from localcrm.store.asof import REGISTER, lines_today, record_today
from localcrm.store.changelog import Action, Change, HistoryRow, action_changes, action_of, first_values, history
from localcrm.store.connection import Connection
from localcrm.store.ddl import DELETED_NO, GONE, INSERT, UPDATE
from localcrm.store.node import load_node
from localcrm.store.query import titles
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

#: An action that changed more is undone by nobody: it would hold up everybody else.
MOST = 1000
#: The right to undo what others did; who has it reads the system log too.
OTHERS = "settings.manage"


@dataclass(slots=True)
class Touched:
    """What an action did to one record in the end: whether it began or ended there, and by column what was before and after."""

    entity: EntityType
    id: str
    began: bool = False
    gone: bool = False
    columns: dict[int, tuple[Stored, Stored]] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        """Take in the next change of the record."""
        self.began |= change.op == INSERT
        self.gone |= change.op == GONE
        for no, (old, new) in change.diff.items():
            self.columns[no] = (self.columns[no][0] if no in self.columns else old, new)

    @property
    def is_line(self) -> bool:
        """Whether it is a line of a document."""
        return self.entity.kind is Kind.LINE

    @property
    def only_moved(self) -> bool:
        """Whether it only names another record than before, because that one was merged into it."""
        unchanged = self.began or self.gone or not self.columns
        return not unchanged and all(can_be_moved(self.entity, no) for no in self.columns)

    @property
    def register(self) -> tuple[bool, bool]:
        """Whether it lay in the recycle bin before and after."""
        old, new = self.columns.get(DELETED_NO, (0, 0))
        return bool(old), bool(new)

    @property
    def changed(self) -> dict[str, tuple[Stored, Stored]]:
        """Fields that are something else after the action than before; those dropped since are left out."""
        known = self.entity.by_no
        return {known[no].key: (old, new) for no, (old, new) in self.columns.items() if no in known and old != new}


@dataclass(frozen=True, slots=True)
class OwnWay:
    """How a subject takes back its actions, where a row that is only ever added tells of them: with one more such row.

    ``kinds``: what such an action may have touched · ``take_back``: does it, for records that are still as the action left them; returns how many went back.
    """

    kinds: frozenset[str]
    take_back: Callable[[UnitOfWork, Actor, Sequence[Touched]], int]


#: By the kind of record that tells of such an action (see ``subjects``).
OWN_WAYS: dict[str, OwnWay] = {}
#: Kinds that verbs keep about others and that go into the recycle bin along with what is done to one of these (see ``subjects``).
ALONG: dict[str, str] = {}


def _own_way(kinds: set[str]) -> OwnWay | None:
    found = next((OWN_WAYS[key] for key in kinds if key in OWN_WAYS), None)
    return found if found and kinds <= found.kinds else None


def _way_of(touched: Sequence[Touched]) -> OwnWay | None:
    return _own_way({one.entity.key for one in touched})


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one record, for a person to read.

    ``what``: "back" (values go back), "bin", "restore", "remove" (a line goes), "line" (a removed one comes back).
    ``values``: field, what it is now and what it will be, in JSON form as the actor may see them.
    """

    entity: str
    id: str
    title: str
    what: str
    values: tuple[tuple[str, Any, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Since:
    """A value that somebody changed after an action: ``now`` is the live one, in JSON form as the actor may see it."""

    entity: str
    title: str
    field: str
    now: Any
    user_id: str | None
    node: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What an undo will do; ``refused`` says in words why it cannot be done, ``since`` what was changed after the action.

    ``steps`` of one that is refused are what can still be undone without the rest (``undo_action`` with ``rest``).
    """

    action: Action
    steps: tuple[Step, ...]
    refused: str = ""
    since: tuple[Since, ...] = ()


#: Changes of an action that are looked at before an undo is offered.
_LOOKED_AT = 50


def is_offered(store: Store, connection: Connection, actor: Actor, change: int) -> bool:
    """Whether the action of a change is one that this actor may undo, as far as its beginning tells; the rest is asked later."""
    try:
        changes = _changes(connection, actor, change, most=_LOOKED_AT)[1]
    except AppError:
        return False
    return not any(_is_closed(store, connection, one) for one in changes)


def _is_closed(store: Store, connection: Connection, change: Change) -> bool:
    """Whether a record takes no changes here: what head office sets, documents that were posted or are another branch's."""
    kind = change.entity
    if kind is None or kind.kind is not Kind.DOCUMENT:
        return kind is not None and kind.kind is Kind.HUB and not store.node.is_office
    now = record_today(connection, kind, change.identity)
    return now is None or now.values["status"] == "posted" or now.values["branch_id"] != store.node.branch_id


def preview_undo(store: Store, actor: Actor, *, change: int) -> Preview:
    """What would go back with the action of a change of the history: tried out, and taken back again. Raises Refused or Forbidden for one that is never undone."""
    with store.read() as connection:
        action, touched = _action(connection, actor, change)
        way = _way_of(touched)
        if way is None:
            _require_seen(connection, actor, touched)
        shown = [one for one in touched if one.entity.key not in (ALONG if way is None else OWN_WAYS)]
        steps = tuple(step for one in shown if (step := _step(connection, actor, one, touched)))
        since = tuple(found for one in shown for found in _since(connection, actor, one))
        rest = _rest(connection, actor, touched) if since else []
        left = tuple(step for one in rest if (step := _step(connection, actor, one, rest)))
    try:
        try_out(store, actor, "admin.undo_action", {"change": change})
    except AppError as error:
        return Preview(action, left if left and _may_undo_rest(store, actor, change) else (), str(error), since)
    return Preview(action, steps)


def _may_undo_rest(store: Store, actor: Actor, change: int) -> bool:
    try:
        try_out(store, actor, "admin.undo_action", {"change": change, "rest": True})
    except AppError:
        return False
    return True


def undo_action(uow: UnitOfWork, actor: Actor, *, change: int, rest: bool = False) -> dict[str, int]:
    """Take back everything that was done together with a change of the history; returns {undone: how many records}.

    ``rest``: of an action that only changed values those that nobody has changed since, the others stay.
    """
    _its_action, touched = _action(uow.connection, actor, change)
    way = _way_of(touched)
    if way is None:
        _require_seen(uow.connection, actor, touched)
    if rest:
        return {"undone": _undo_rest(uow, actor, touched)}
    for one in touched:
        _check_unchanged(uow.connection, actor, one, touched)
    if way is not None:
        return {"undone": way.take_back(uow, actor, touched)}
    documents = _documents(uow.connection, touched)
    undone = sum(_undo(uow, actor, one, touched) for one in touched)
    records.follow_put_back(uow, actor, documents)
    return {"undone": undone}


# which actions -----------------------------------------------------------------------------------------------------------


def _action(connection: Connection, actor: Actor, change: int) -> tuple[Action, list[Touched]]:
    """An action that may be undone as far as its kind tells, and what it touched, the last first."""
    action, changes = _changes(connection, actor, change)
    touched: dict[tuple[str, str], Touched] = {}
    for one in changes:
        if one.entity is not None:
            key = (one.entity.key, one.identity)
            known = touched.pop(key, None) or Touched(one.entity, one.identity)
            known.add(one)
            touched[key] = known
    return action, list(reversed(touched.values()))


def _changes(connection: Connection, actor: Actor, change: int, *, most: int | None = None) -> tuple[Action, list[Change]]:
    """An action and what it did, in its order, ``most`` of it; raises Refused or Forbidden where it is not to be undone by this actor,
    whatever it did it to.
    """
    policy.require_acting(actor)
    action, node = action_of(connection, change), load_node(connection)
    if action is not None and not node.is_office and action.node_no != node.node_no:
        raise Refused(
            "done_elsewhere",
            N_("This was done at {node}, and perhaps not all of it is here. It is undone there, or at head office."),
            node=action.node,
        )
    if action is not None and action.user_id != actor.user_id and not policy.may(actor, OTHERS):
        raise Forbidden("not_yours_to_undo", N_("Somebody else did this. Only they, or whoever may manage settings, can undo it."))
    if action is not None and action.count > MOST:
        raise Refused(
            "too_much_to_undo",
            N_("This changed {count} records at once; that is too many to undo. Put single values back from the history."),
            count=f"{action.count:,}",
        )
    changes = action_changes(connection, action, most) if action else []
    if action is None or len(changes) < (action.count if most is None else min(action.count, most)):  # in part it lies in the history only
        raise Refused("too_long_ago", N_("This was too long ago to be undone. Put single values back from the history instead."))
    if _own_way({one.entity.key if one.entity else "" for one in changes}):
        return action, changes
    if any(_posts(one) for one in changes):
        raise Refused(
            "reverse_instead", N_("Something was posted here, or goods or money moved. That is never undone; reverse the document instead.")
        )
    kinds = {one.entity.key for one in changes if one.entity is not None}
    if not all(_undoable(one) or _went_along(one, kinds) for one in changes):
        raise Refused("cannot_undo", N_("This is nothing that can be undone here. Nothing was changed."))
    return action, changes


def _posts(change: Change) -> bool:
    kind = change.entity
    if kind is None:
        return False
    return kind.kind is Kind.LEDGER or (kind.kind is Kind.DOCUMENT and kind.fields["status"].no in change.diff)


def _undoable(change: Change) -> bool:
    """Whether people write records of this kind by hand: what verbs keep about others has its own ways back."""
    kind = change.entity
    if kind is not None and change.op == UPDATE and change.diff and all(can_be_moved(kind, no) for no in change.diff):
        return True
    if kind is None or kind.key in policy.NOT_GRANTED or any(column.secret for column in kind.fields.values()):
        return False
    return kind.kind is Kind.LINE or (kind.kind in {Kind.MASTER, Kind.HUB, Kind.DOCUMENT} and policy.written_by_hand(kind))


def _went_along(change: Change, kinds: Collection[str]) -> bool:
    """Whether a record only went into the recycle bin along with another one of the same action."""
    kind = change.entity
    return kind is not None and ALONG.get(kind.key) in kinds and change.op == UPDATE and change.diff.keys() == {DELETED_NO}


def _require_seen(connection: Connection, actor: Actor, touched: Sequence[Touched]) -> None:
    """Refuse where a record is not to be seen any more, before anything could tell of it."""
    for one in touched:
        kind, identity = one.entity, one.id
        if one.is_line and record_today(connection, kind, identity) is None:  # what was removed is seen with its document
            parent = kind.fields[kind.parent or ""]
            if parent.no not in one.columns:
                continue
            kind, identity = entity_type(parent.f.ref or ""), str(parent.load(one.columns[parent.no][0]))
        if not policy.visible(connection, actor, kind, identity):
            raise records.no_such_record(kind)


# what has changed since --------------------------------------------------------------------------------------------------


def _check_unchanged(connection: Connection, actor: Actor, one: Touched, touched: Sequence[Touched]) -> None:
    """Refuse where a record is no longer as the action left it."""
    if one.gone:
        return
    now = record_today(connection, one.entity, one.id)
    if now is None:
        raise _changed_since(connection, actor, one, REGISTER)
    for key, value in _left(connection, one).items():
        if (now.deleted if key == REGISTER else now.values[key]) != value:
            raise _changed_since(connection, actor, one, key)
    if one.began and one.entity.kind is Kind.DOCUMENT:
        mine = {other.id for other in touched if other.is_line and other.began}
        for key, lines in lines_today(connection, one.entity, one.id).items():
            for line in lines.keys() - mine:
                raise _changed_since(connection, actor, Touched(entity_type(key), line), REGISTER)


def _left(connection: Connection, one: Touched) -> dict[str, Any]:
    """What an action made of a record: fields with their values in JSON form, all of them for a new record."""
    fields = one.entity.fields
    left = {key: fields[key].show(new) for key, (_old, new) in one.changed.items()}
    if one.began:
        pk = bytes.fromhex(one.id)
        first = first_values(connection, one.entity, [pk])[pk]
        left = {key: column.show(first[column.no]) for key, column in fields.items()} | left
    if one.began or DELETED_NO in one.columns:
        left[REGISTER] = one.register[1]
    return left


def _changed_since(connection: Connection, actor: Actor, one: Touched, key: str) -> Refused:
    """Names the last one who changed that field."""
    last = _last(connection, one, key)
    user = last.user_id if last else None
    who = titles(connection, entity_type("user"), [user]).get(user, "") if user else ""
    seen = policy.view(actor, one.entity)
    column = None if key in seen.hidden else one.entity.fields.get(key)
    return Refused(
        "changed_since",
        N_("“{field}” of “{title}” was changed after that, by {who} ({node}). Nothing was undone."),
        field=column.label if column else one.entity.label,
        title=_title(connection, actor, one),
        who=who or gettext(N_("the program")),
        node=last.node if last else "",
    )


def _last(connection: Connection, one: Touched, key: str) -> HistoryRow | None:
    """The last change of a field of a record, or of anything in it."""
    rows = history(connection, one.entity, one.id)
    return next((row for row in rows if row.field == key), rows[0] if rows else None)


def _since(connection: Connection, actor: Actor, one: Touched) -> Iterator[Since]:
    """Values that are no longer what an action made of them, of fields that people enter and this actor may see."""
    now, seen = record_today(connection, one.entity, one.id), policy.seen(actor, one.entity)
    if one.gone or now is None or seen is None:
        return
    for key, value in _left(connection, one).items():
        if key == REGISTER or now.values[key] == value or not one.entity.fields[key].f.editable or not seen.shows(key):
            continue
        if last := _last(connection, one, key):
            live = seen.of({key: now.values[key]})[key]
            yield Since(one.entity.key, _title(connection, actor, one), key, live, last.user_id, last.node)


def _rest(connection: Connection, actor: Actor, touched: Sequence[Touched]) -> list[Touched]:
    """What of an action that only changed values of master data is still as it left it and may be entered by this actor; nothing of other actions."""
    if any(one.entity.kind not in {Kind.MASTER, Kind.HUB} or one.only_moved or one.began or DELETED_NO in one.columns for one in touched):
        return []
    found = []
    for one in touched:
        now, fields = record_today(connection, one.entity, one.id), one.entity.fields
        if now is None or now.deleted:
            return []
        same = [key for key, (_old, new) in one.changed.items() if now.values[key] == fields[key].show(new)]
        kept = [key for key in same if fields[key].f.editable and policy.may_write(actor, one.entity, fields[key])]
        if kept:
            found.append(replace(one, columns={fields[key].no: one.changed[key] for key in kept}))
    return found


def _title(connection: Connection, actor: Actor, one: Touched) -> str:
    if not policy.view(actor, one.entity).shows(one.entity.title_field):
        return one.entity.label
    return titles(connection, one.entity, [one.id]).get(one.id) or one.entity.label


def _documents(connection: Connection, touched: Sequence[Touched]) -> list[tuple[str, str]]:
    """Where lines were touched: (kind of the lines, id of their document), both documents of a line that was moved."""
    found: dict[tuple[str, str], None] = {}
    for one in touched:
        if one.entity.parent:
            parent = one.entity.fields[one.entity.parent]
            now = record_today(connection, one.entity, one.id)
            was = [parent.load(value) for value in one.columns.get(parent.no, ()) if value is not None]
            found |= dict.fromkeys((one.entity.key, str(document)) for document in (*was, *([now.values[parent.key]] if now else [])))
    return list(found)


# the way back --------------------------------------------------------------------------------------------------------------


def _undo(uow: UnitOfWork, actor: Actor, one: Touched, touched: Sequence[Touched]) -> int:
    """Take back what became of one record; returns 1 where that was anything."""
    kind, names = one.entity, {"entity": one.entity.key, "id": one.id}
    before = {key: kind.fields[key].load(old) for key, (old, _new) in one.changed.items()}
    if _goes_with_document(one, touched):
        return 0
    if one.only_moved:  # with the right that let it follow the merge
        uow.update(kind, one.id, before)
    elif kind.key in ALONG:  # with the right that let it go along
        uow.set_deleted(kind, one.id, deleted=one.register[0])
    elif one.gone:
        records.put_line_back(uow, actor, entity=kind.key, values=before)
    elif one.began and one.is_line:
        records.take_line_away(uow, actor, **names)
    elif one.began:
        if not one.register[1]:
            records.put_in_bin(uow, actor, **names)
    else:
        was_deleted, is_deleted = one.register
        if is_deleted and not was_deleted:
            records.take_out_of_bin(uow, actor, **names)
        if before:
            records.put_values_back(uow, actor, **names, values=before)
        if was_deleted and not is_deleted:
            records.put_in_bin(uow, actor, **names)
    return 1


def _undo_rest(uow: UnitOfWork, actor: Actor, touched: Sequence[Touched]) -> int:
    """Enter the values before once more, by the rules of today: what follows from the others was not taken back with them."""
    rest = _rest(uow.connection, actor, touched)
    if not rest:
        raise Refused("nothing_left", N_("Nothing of this can be undone any more. Nothing was changed."))
    for one in rest:
        fields = one.entity.fields
        before = {key: fields[key].load(old) for key, (old, _new) in one.changed.items()}
        values = {key: "" if value is None else fields[key].to_json(value) for key, value in before.items()}
        records.update_record(uow, actor, entity=one.entity.key, id=one.id, values=values)
    return len(rest)


def _goes_with_document(one: Touched, touched: Sequence[Touched]) -> bool:
    """Whether there is nothing to do about a line: it came and went, or it came with its document and stays with it in the bin."""
    if not one.is_line or not one.began:
        return False
    return one.gone or any(other.began and other.entity.kind is Kind.DOCUMENT for other in touched)


def _step(connection: Connection, actor: Actor, one: Touched, touched: Sequence[Touched]) -> Step | None:
    """The same in words; None for what the actor may not see."""
    seen = policy.seen(actor, one.entity)
    if seen is None or _goes_with_document(one, touched) or (one.began and one.register[1]):
        return None
    title = _title(connection, actor, one)
    fields = one.entity.fields
    if one.gone:
        what = "line"
    elif one.began:
        what = "remove" if one.is_line else "bin"
    elif one.register[0] != one.register[1]:
        what = "restore" if one.register[1] else "bin"
    else:
        what = "back"
    before = seen.of({key: fields[key].show(old) for key, (old, _new) in one.changed.items()})
    after = seen.of({key: fields[key].show(new) for key, (_old, new) in one.changed.items()})
    values = () if one.began or one.gone else tuple((key, after[key], before[key]) for key in before)
    if one.gone and (named := before.get(one.entity.title_field)):
        title = str(named)
    return Step(one.entity.key, one.id, title, what, values)
