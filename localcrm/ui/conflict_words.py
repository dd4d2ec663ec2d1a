"""Conflicts in a clerk's words: what happened, who wrote what where and when, what is live now, and what each choice means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field as data_field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.admin.conflicts import APPLIED, CONFLICT, Item, Needed, Step, chosen_text, concerned_field, held_values, met_values
from localcrm.domain.admin.entities import ConflictKind
from localcrm.domain.admin.reasons import reason_texts
from localcrm.domain.crm.merging import ALIASES
from localcrm.domain.people.shared_with import share_of, shared_names
from localcrm.domain.records import used_by
from localcrm.domain.sales.entered_twice import OPENING, QUOTE, both_count, is_draft_among
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType, Field, entity as entity_type
from localcrm.store.changelog import HistoryRow
from localcrm.store.query import stored_value, titles
from localcrm.store.view import Masked
from localcrm.ui.endpoints import page_path
from localcrm.ui.kit.binned import deleted_by
from localcrm.ui.kit.values import exact, near_moment, show

if TYPE_CHECKING:
    from localcrm.domain.policy import Actor
    from localcrm.store.connection import Connection


_SHARE = entity_type("share")
#: Values of a change that was not taken over that are told.
MOST_WANTED = 6


@dataclass(frozen=True, slots=True)
class Side:
    """One value: in words, by whom and where, when; ``exact`` is the whole time."""

    text: str | None
    who: str
    at: str = ""
    exact: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One conflict as the screen shows it.

    ``happened`` and ``next_step`` stand in the place of two values where there are none, ``next_step`` alone under them · ``now`` is the live value · ``decision`` how it was settled, ``settled`` the same with by whom and when · ``other`` the second record of two with the same value: title, address ·
    ``edits`` what was changed of a record that was deleted elsewhere · ``into`` the title of the one that it was merged into instead.
    """

    item: Item
    kind: EntityType | None
    title: str
    path: str
    label: str
    reason: str
    base: str | None
    kept: Side
    lost: Side
    now: str | None
    happened: str = ""
    next_step: str = ""
    decision: str = ""
    settled: str = ""
    other: tuple[str, str] = ("", "")
    edits: str = ""
    into: str = ""

    @property
    def places(self) -> set[str]:
        """Codes of the branches concerned."""
        return {side.code for side in (self.kept, self.lost) if side.code}

    @property
    def what(self) -> str:
        """What it is about: the field, else the record."""
        return self.label or self.title

    @property
    def has_values(self) -> bool:
        """Whether two values stand beside each other."""
        return not self.happened

    @property
    def kept_text(self) -> str:
        """What the side says that was live when the conflict was found."""
        return _("deleted") if self.item.conflict.get("field") == "deleted" else _or_empty(self.kept.text)

    @property
    def lost_text(self) -> str:
        """What the other side says."""
        if self.item.conflict.get("field") == "deleted":
            return self.edits or _("changed")
        return _or_empty(self.base if self.item.kind == ConflictKind.WATCHED else self.lost.text)

    @property
    def others(self) -> list[tuple[Side, str]]:
        """Sides that say something else than the record does now, each with its value as the conflict holds it."""
        item = self.item
        sides = [(self.kept, item.conflict.get("kept")), (self.lost, item.conflict.get("lost"))]
        return (
            [(side, text) for side, text in sides if isinstance(text, str) and text != item.now]
            if item.kind != ConflictKind.DUPLICATE
            else []
        )

    @property
    def both(self) -> str:
        """Both long texts one below the other; "" where one of them says it all, or they are none."""
        now, other, field = self.item.now, self.item.conflict.get("lost"), concerned_field(self.item.conflict)[1]
        if field is None or field.kind != "longtext" or self.item.kind != ConflictKind.OVERWRITTEN or not self.item.is_open:
            return ""
        if not (now and isinstance(other, str) and other) or now in other or other in now:
            return ""
        return f"{now.rstrip()}\n{other}"

    @property
    def keep_label(self) -> str:
        """What leaving everything as it is means here; "" where that cannot be."""
        match self.item.kind:
            case ConflictKind.DELETED_EDITED if self.item.into:
                return _("Leave “{name}” as it is").format(name=_short(self.into))
            case ConflictKind.PARENT_DELETED if self.item.needed:
                return ""
            case ConflictKind.DELETED_EDITED | ConflictKind.PARENT_DELETED:
                return _("Keep it deleted") if self.item.now == "true" else _("Leave it in use")
            case ConflictKind.OVERWRITTEN:
                return _("Keep {value}").format(value=_short(self.now))
            case ConflictKind.WATCHED:
                return _("It is right")
            case ConflictKind.DUPLICATE:
                return _("Leave both as they are")
        return _("Seen, settle it")

    @property
    def take_label(self) -> str:
        """What taking the other value means here; "" where there is none."""
        if not self.item.can_take:
            return ""
        if self.item.is_ours:
            return _("Reverse {number}").format(number=self.title)
        if self.item.into:
            return (
                ""
                if not self.item.is_open and self.item.conflict.get("resolution") == "lost"
                else _("Enter it in “{name}”").format(name=_short(self.into))
            )
        if self.item.conflict.get("field") == "deleted":
            return _("Restore it") if self.item.now == "true" else _("Delete it")
        if self.item.kind == ConflictKind.WATCHED:
            return _("Put {value} back").format(value=_short(self.lost.text))
        return _("Use {value} instead").format(value=_short(self.lost.text))


@dataclass(slots=True)
class Card:
    """All conflicts of one record."""

    kind: EntityType | None
    title: str
    path: str
    told: list[Told] = data_field(default_factory=list)


class Teller:
    """Puts conflicts into words for one actor; titles of records are looked up once for all of them."""

    def __init__(self, connection: Connection, actor: Actor, items: Iterable[Item]) -> None:
        self._connection, self._actor = connection, actor
        self._items = list(items)
        self._users = self._titles(
            entity_type("user"),
            [str(item.conflict[key]) for item in self._items for key in ("kept_by", "lost_by", "resolved_by") if item.conflict.get(key)],
        )
        self._names: dict[str, dict[str, str]] = {}
        for kind in {kind for item in self._items if (kind := concerned_field(item.conflict)[0])}:
            wanted = [str(item.conflict["record"]) for item in self._items if item.conflict.get("entity") == kind.key and _is_id(item)]
            self._names[kind.key] = self._titles(kind, wanted)

    def __iter__(self) -> Iterator[Told]:
        return map(self._tell, self._items)

    def _tell(self, item: Item) -> Told:
        conflict = item.conflict
        kind, field = concerned_field(conflict)
        key, record = str(conflict.get("field") or ""), str(conflict.get("record") or "")
        name = kind.label if kind else str(conflict.get("entity") or "")
        title = self._names.get(kind.key if kind else "", {}).get(record) or name
        into = self._left(item, kind)
        edits = self._edits(item, kind)
        happened, next_step = self._sentences(item, title, into, edits)
        decision = "" if item.is_open else self._decision(item, str(conflict.get("resolution") or ""))
        return Told(
            item=item,
            kind=kind,
            title=title,
            path=page_path(kind.key, record) if kind and item.is_there else "",
            label=field.label if field else "" if key in {"", "deleted"} else key,
            reason=self._reason(item, into),
            base=self.word(item, conflict.get("base")),
            kept=self._side(item, "kept"),
            lost=self._side(item, "lost"),
            now=self.word(item, item.now),
            happened=happened,
            next_step=next_step,
            decision=decision,
            settled=self._settled(item, decision),
            other=self._other(item, kind),
            edits=edits,
            into=into,
        )

    def _reason(self, item: Item, into: str) -> str:
        if into:
            return _("Merged at one place, changed at another")
        if twice := _done_twice(item):
            return _("Opening balance entered twice?") if twice == OPENING else _("One quote ordered twice?")
        return gettext(CONFLICT.fields["kind"].options.get(item.kind, item.kind))

    def word(self, item: Item, text: str | None) -> str | None:
        """A value of a conflict in words."""
        return value_text(self._connection, *_kind_and_key(item), text)

    def _side(self, item: Item, side: str) -> Side:
        conflict = item.conflict
        at, code = conflict.get(f"{side}_at"), conflict.get(f"{side}_node")
        user = self._users.get(str(conflict.get(f"{side}_by") or ""))
        moment = at if isinstance(at, datetime) else None
        return Side(
            self.word(item, conflict.get(side)),
            " ".join(filter(None, [str(code or ""), user])),
            near_moment(moment) if moment else "",
            exact(moment) or "" if moment else "",
            str(code or ""),
        )

    def _sentences(self, item: Item, title: str, into: str, edits: str) -> tuple[str, str]:
        """What happened and what to do next, where there are no two values to choose from."""
        conflict = item.conflict
        match item.kind:
            case ConflictKind.PARENT_DELETED if item.is_there:
                kind = entity_type(str(conflict["entity"]))
                users = used_by(self._connection, self._actor, kind, str(conflict["record"]))
                if item.now != "true":
                    return _("“{title}” was deleted and is in use again.").format(title=title), _("Nothing to do any more: settle it.")
                who = deleted_by(self._connection, self._actor, kind, str(conflict["record"]))
                if item.needed == Needed.ELSEWHERE:
                    happened = _("“{title}” was deleted ({who}) while another place still used it. Here it is used by: {users}.")
                    return happened.format(title=title, who=who, users=users or _("nothing")), _(
                        "This branch does not hold everything, so head office settles this, unless it is needed here: then restore it."
                    )
                if not users and (shared := self._shared_with(kind, str(conflict["record"]))):
                    happened = _("“{title}” was deleted ({who}) while another place shared it with {names}.")
                    return happened.format(title=title, who=who, names=shared), _(
                        "Restore it if it is still needed there: then the share counts. If not, keep it deleted; nobody is shown anything."
                    )
                if not users:
                    happened = _("“{title}” was deleted; nothing refers to it any more.").format(title=title)
                    return happened, _("Keep it deleted, unless it is still needed.")
                happened = _("“{title}” was deleted ({who}) while another place still used it: {users}.")
                if item.needed == Needed.POSTED:
                    return happened.format(title=title, users=users, who=who), _(
                        "Restore it: posted documents among them need it. What shall not be used any more is stopped, not deleted."
                    )
                return happened.format(title=title, users=users, who=who), _(
                    "Restore it if it is still needed. If not, let those records refer to another one, then keep it deleted."
                )
            case ConflictKind.DELETED_EDITED if item.into:
                told = _("“{title}” was merged into “{into}” ({first}) while another place changed it ({second}): {edits}.")
                words = {"title": title, "into": into, "first": self._author(item, "kept"), "second": self._author(item, "lost")}
                return told.format(**words, edits=edits or _("changed")), _(
                    "“{into}” does not say so yet. Enter it there if it is right; if not, leave “{into}” as it is."
                ).format(into=into)
            case ConflictKind.DELETED_EDITED if item.is_there and (merged := self._merged_into_it(item)):
                told = _("“{title}” was deleted ({first}) while another place merged {names} into it ({second}).")
                words = {"title": title, "first": self._author(item, "kept"), "second": self._author(item, "lost")}
                return told.format(**words, names=merged), _(
                    "Both are gone now. Restore it if one of them is still needed: everything of both is with it."
                )
            case ConflictKind.DUPLICATE if item.is_there and (twice := _done_twice(item)):
                return "", self._twice(item, twice)
            case ConflictKind.MERGED if item.is_there:
                return self._merged_apart(item, title)
            case ConflictKind.QUARANTINED:
                what, then = map(gettext, reason_texts(conflict.get("lost")))
                who = self._author(item, "lost")
                told = _("A change by {who} was not taken over. {what}").format(who=who, what=what) if who else what
                return " ".join(filter(None, [told, self._wanted(item)])), then
            case ConflictKind.DIGEST:
                return self._mended(item)
        if item.is_elsewhere:
            return _("This record is not kept at this branch."), _("Head office, or a branch that holds it, settles this.")
        return (
            ("", "")
            if item.is_there
            else (_("This record is not known here."), _("Nothing can be taken; settle it when you have seen it."))
        )

    def _twice(self, item: Item, field: str) -> str:
        pair = [str(item.conflict.get(key) or "") for key in ("record", "other")]
        if not both_count(self._connection, pair, field):
            return _("One of the two has been taken back. Nothing to do any more: settle it.")
        todo = _(
            "Both count for now. If it is one debt, the branch that entered it reverses one of the two; two old bills are left as they are."
        )
        if field == QUOTE and is_draft_among(self._connection, pair):
            todo = _("A draft among the two cannot be posted as long as the other one stands. If the customer ordered once, delete it.")
        elif field == QUOTE:
            todo = _(
                "Both count for now. If the customer ordered once, the branch that made the second order reverses it, or deletes its draft. If each delivers a part, leave both."
            )
        order = entity_type("sales_order")
        seen = policy.seen(self._actor, order)
        if seen is None or not seen.shows("customer_name"):
            return todo
        name = self._connection.value("SELECT customer_name FROM sales_order WHERE id = ?", (bytes.fromhex(str(item.conflict["record"])),))
        return " · ".join(filter(None, [name, todo]))

    def _merged_apart(self, item: Item, title: str) -> tuple[str, str]:
        """Two were merged into each other at two places, or one into two others."""
        first, second = self._author(item, "kept"), self._author(item, "lost")
        other = self._other(item, concerned_field(item.conflict)[0])[0]
        if other:
            told = _("“{title}” and “{other}” were merged at two places in opposite directions ({first}; {second}).")
            return told.format(title=title, other=other, first=first, second=second), _(
                "The one entered first, “{title}”, stays, and everything is with it. The number and name of the other one still find it."
            ).format(title=title)
        if not item.conflict.get("lost"):
            note = str(item.conflict.get("base") or "")
            told = _("“{title}” was merged into “{kept}” ({first}), while another place had found that they are two ({second}{note}).")
            kept = self.word(item, item.conflict.get("kept")) or "—"
            note = f" · {note}" if note else ""
            return told.format(title=title, kept=kept, first=first, second=second, note=note), _(
                "Ask each other. If they are two, undo the merge in the history of “{kept}” or restore “{title}” from the recycle bin."
            ).format(kept=kept, title=title)
        if not item.conflict.get("kept"):
            lost = self.word(item, item.conflict.get("lost")) or "—"
            told = _("“{title}” was merged into “{lost}” ({second}) while another place took it out of the recycle bin ({first}).")
            return told.format(title=title, lost=lost, first=first, second=second), _(
                "“{title}” is a customer of its own again. If they are one, merge them once more; what had been moved is with “{lost}”."
            ).format(title=title, lost=lost)
        told = _("“{title}” was merged into “{kept}” ({first}) and into “{lost}” ({second}).")
        kept, lost = (self.word(item, item.conflict.get(side)) or "—" for side in ("kept", "lost"))
        return told.format(title=title, kept=kept, lost=lost, first=first, second=second), _(
            "The later one counts: everything is with “{kept}”. See whether those two are one customer as well."
        ).format(kept=kept)

    def _mended(self, item: Item) -> tuple[str, str]:
        """What an exchange found to be different though nothing had been changed in the program, and what became of it."""
        conflict = item.conflict
        place, other = str(conflict.get("lost_node") or "?"), str(conflict.get("kept_node") or "")
        if not other:
            return _("Head office and {place} do not have the same here, and the program cannot tell which is right.").format(
                place=place
            ), _("If the record is there, see that it is right and save it again. If it is not, enter it again or restore a backup.")
        then = _("Find out who changed data outside the program; the system log of {place} says when it was noticed.").format(place=place)
        field = concerned_field(conflict)[1]
        if field is None and conflict.get("field") != "deleted":
            told = _("This record was lost at {place}, or had been put in by hand there. It is now as it is at {other}.")
            return told.format(place=place, other=other), then
        lost, kept = (_short(self.word(item, conflict.get(side))) for side in ("lost", "kept"))
        told = _("{label} was changed outside the program at {place}: it said {lost}. It says {kept} again, as at {other}.")
        return told.format(label=field.label if field else _("Recycle bin"), place=place, lost=lost, kept=kept, other=other), then

    def _author(self, item: Item, side: str) -> str:
        told = self._side(item, side)
        return " · ".join(filter(None, [told.who, told.at]))

    def _edits(self, item: Item, kind: EntityType | None) -> str:
        """What the change says that met a deletion, as the history of the record has it."""
        if kind is None or not item.is_there:
            return ""
        rows = met_values(self._connection, self._actor, item.conflict)
        by_hand = [row for row in rows if kind.fields[row.field].f.editable]  # the rest follows from these
        return gettext(N_("; ")).join(self._edit(kind, row) for row in (by_hand or rows)[:MOST_WANTED])

    def _merged_into_it(self, item: Item) -> str:
        """What was merged into a record that was deleted elsewhere, by name or number; "" where the change was another one."""
        said = {row.field: str(row.new or "") for row in met_values(self._connection, self._actor, item.conflict)}
        names = next((said[key] for key in reversed(ALIASES) if said.get(key)), "")
        return gettext(N_(", ")).join(_("“{name}”").format(name=name) for name in names.split("\n") if name)

    def _left(self, item: Item, kind: EntityType | None) -> str:
        """The title of the record that another one was merged into."""
        if kind is None or item.into is None:
            return ""
        return self._titles(kind, [item.into]).get(item.into) or kind.label

    def _share(self, identity: str) -> str:
        told = share_of(self._connection, identity)
        if told is None:
            return _SHARE.label
        what, record, names = told
        return _("“{title}” shared with {names}").format(title=self._titles(what, [record]).get(record) or what.label, names=names)

    def _shared_with(self, kind: EntityType, record: str) -> str:
        return gettext(N_(", ")).join(shared_names(self._connection, kind, record))

    def _edit(self, kind: EntityType, row: HistoryRow) -> str:
        text = row.new if isinstance(row.new, str) or row.new is None else json.dumps(row.new)
        return self._named(kind, kind.fields[row.field], text)

    def _named(self, kind: EntityType | None, field: Field, text: str | None) -> str:
        value = _short(value_text(self._connection, kind, field.key, text))
        return _("{label}: {value}").format(label=field.label, value=value)

    def _wanted(self, item: Item) -> str:
        """What a change that was not taken over would have written."""
        kind = concerned_field(item.conflict)[0]
        held = held_values(self._connection, self._actor, item.conflict)[:MOST_WANTED]
        parts = [self._named(kind, field, text) for field, text in held]
        return _("It said {values}.").format(values=gettext(N_("; ")).join(parts)) if parts else ""

    def _settled(self, item: Item, decision: str) -> str:
        if item.is_open:
            return ""
        by, at = self._users.get(str(item.conflict.get("resolved_by") or "")), item.conflict.get("resolved_at")
        return " · ".join(filter(None, [by, near_moment(at) if isinstance(at, datetime) else "", decision]))

    def _decision(self, item: Item, keep: str) -> str:
        if item.kind in {ConflictKind.QUARANTINED, ConflictKind.DIGEST, ConflictKind.MERGED}:
            return _("taken over after the update") if keep == APPLIED else _("seen")
        if item.kind == ConflictKind.DUPLICATE and keep in {"kept", "lost"}:
            return _("both left as they are") if keep == "kept" else _("one of the two reversed")
        if item.into:
            left = self._left(item, concerned_field(item.conflict)[0])
            return (_("entered in “{name}”") if keep == "lost" else _("left “{name}” as it was")).format(name=left)
        value = self.word(item, chosen_text(item.conflict, keep))
        if item.conflict.get("field") == "deleted":
            return _("kept deleted") if value == self.word(item, "true") else _("restored")
        if keep == "kept":
            return _("kept {value}").format(value=_short(value))
        text = _("took {value}") if keep == "lost" else _("entered {value}")
        return text.format(value=_short(value))

    def _other(self, item: Item, kind: EntityType | None) -> tuple[str, str]:
        """The second of two records: named only to who may see it."""
        identity = str(item.conflict.get("other") or "")
        if not identity or kind is None:
            return "", ""
        if not policy.visible(self._connection, self._actor, kind, identity):
            return _("a record that you may not see"), ""
        return self._titles(kind, [identity]).get(identity) or kind.label, page_path(kind.key, identity)

    def _titles(self, kind: EntityType, ids: list[str]) -> dict[str, str]:
        """Titles as far as the actor may read the field they stand in; a share is called by what it shares with whom."""
        if kind is _SHARE:
            return {one: self._share(one) for one in ids}
        seen = policy.seen(self._actor, kind)
        return titles(self._connection, kind, ids) if seen is not None and seen.shows(kind.title_field) else {}


def cards(told: Iterable[Told]) -> list[Card]:
    """Conflicts by the record they are about, in the order of the first of each."""
    found: dict[tuple[str, str], Card] = {}
    for one in told:
        key = (str(one.item.conflict.get("entity")), str(one.item.conflict.get("record")))
        found.setdefault(key, Card(one.kind, one.title, one.path)).told.append(one)
    return list(found.values())


def step_texts(connection: Connection, told: Mapping[str, Told], steps: Iterable[Step]) -> list[tuple[str, str, str, str]]:
    """What settling would do, for a table: record, field, value now, value afterwards."""
    rows = []
    for one in steps:
        of = told[one.item.id]
        kind, key = _kind_and_key(one.item)
        label = of.label or (_("Recycle bin") if key == "deleted" else of.reason)
        now, after = (value_text(connection, kind, key, text) or "—" for text in (one.item.now, one.becomes))
        if one.item.changed_since and of.has_values:
            now = _("{value} (changed again since)").format(value=now)
        rows.append((of.title, label, now, after))
    return rows


def value_text(connection: Connection, kind: EntityType | None, key: str, text: str | None) -> str | None:
    """A value of a conflict in words; conflicts hold it as text, because they outlive declarations."""
    if text is None:
        return None
    if key == "deleted":
        return _("deleted") if text == "true" else _("not deleted")
    field = kind.fields.get(key) if kind else None
    if field is None or isinstance(text, Masked):
        return text
    try:
        value: Any = field.load(stored_value(field, text))
    except InvalidInput:
        return text
    names = titles(connection, entity_type(field.f.ref), [value]) if field.f.ref and value else {}
    return show(field, value, names) or _("(empty)")


def _kind_and_key(item: Item) -> tuple[EntityType | None, str]:
    return concerned_field(item.conflict)[0], str(item.conflict.get("field") or "")


def _is_id(item: Item) -> bool:
    return len(str(item.conflict.get("record") or "")) == 32


def _done_twice(item: Item) -> str:
    """Of two orders the field that says they are one thing done twice (see ``domain.sales.entered_twice``); "" for anything else."""
    conflict = item.conflict
    field = str(conflict.get("field"))
    return field if item.kind == ConflictKind.DUPLICATE and conflict.get("entity") == "sales_order" and field in {OPENING, QUOTE} else ""


def _or_empty(text: str | None) -> str:
    return text if text is not None else _("(empty)")


def _short(text: str | None) -> str:
    text = (text or _("(empty)")).replace("\n", " ")
    return text if len(text) <= 24 else f"{text[:23]}…"
