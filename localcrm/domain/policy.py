"""Who may do what: permissions are keys derived from the declarations; each reaches some records and spares some fields.

Services ask ``require`` and ``require_record`` before they act and hand ``view`` to every query; screens only hide.
What a user's roles say is worked out in ``people.rights``; here it is only asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, reduce
from operator import or_
from typing import Any

from localcrm.domain.roles import ADMIN_ONLY, BY_ADMINISTRATORS, BY_ROLE_ALONE, STAFF_READS, BasicRole, FieldRule, Scope
from localcrm.kernel.errors import Forbidden, NotFound, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import EntityType, Field, Kind, entities, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.query import Record
from localcrm.store.shapes import SHAPING
from localcrm.store.view import About, Among, Both, Part, View, With, Within

ACTIONS: Mapping[str, str] = {
    "read": N_("Look at"),
    "create": N_("Add"),
    "update": N_("Change"),
    "delete": N_("Delete"),
    "import": N_("Import"),
    "export": N_("Export"),
    "transfer": N_("Hand over"),
    "share": N_("Share"),
    "post": N_("Post"),
    "reverse": N_("Reverse"),
    "resolve": N_("Settle"),
    "amend": N_("Change what is locked"),
    "merge": N_("Merge"),
    "assign": N_("Assign"),
    "pick": N_("Pick from a pool"),
    "release": N_("Put into a pool"),
    "lock": N_("Lock"),
    "undersell": N_("Sell below the lowest price"),
    "opening": N_("Enter opening balances"),
}
_EVERYWHERE = ("read", "create", "update", "delete", "import", "export")
#: Actions that only some kinds of records have.
_SPECIAL: Mapping[str, tuple[str, ...]] = {
    "sales_order": ("post", "reverse", "undersell"),
    "conflict": ("resolve",),
    "activity": ("amend",),
    "customer": ("assign", "pick", "release", "lock", "merge", "opening"),
    "partner_registration": ("create",),
    "rebate_settlement": ("create",),
}
#: Kinds of records that a role may be limited to. What names one of them in a reference is limited along with it.
LIMITING = ("warehouse", "account")
#: Kinds that are not offered when rights are granted: their screens and verbs ask for an administrator, or for rights to another record.
NOT_GRANTED = (BY_ADMINISTRATORS - {permission.partition(".")[0] for permission in STAFF_READS}) | {
    *("share", "approval_request", "approval_step", "customer_distinct", "contact_tie", "pool_claim", "call_party"),
    *SHAPING,
}
#: Where shares are kept that let somebody add to a record and not change it (``ShareLevel.FOLLOW``).
FOLLOWED = "follow"
#: Permissions that no kind of record carries.
OTHER_PERMISSIONS = ("sync.manage", "settings.manage")


@dataclass(frozen=True, slots=True)
class Reach:
    """Whose records a permission reaches: everything, or what belongs to these users or branches."""

    everything: bool = False
    owners: frozenset[str] = frozenset()
    branches: frozenset[str] = frozenset()

    def __or__(self, other: Reach) -> Reach:
        return Reach(self.everything or other.everything, self.owners | other.owners, self.branches | other.branches)


EVERYTHING, NOTHING = Reach(everything=True), Reach()


@dataclass(frozen=True, slots=True)
class Rights:
    """What the roles of a user come to: reach by permission, by kind of record what becomes of single fields.

    ``shared``: single records beyond that reach, by (kind, action); ``along``: by the same the records, such as customers, with which
    those of a kind were shared (``EntityType.seen_with``). ``limits``: of kinds such as warehouses the only ones that he deals with,
    whatever a right or a share reaches.
    """

    reaches: Mapping[str, Reach] = field(default_factory=dict)
    rules: Mapping[str, Mapping[str, FieldRule]] = field(default_factory=dict)
    shared: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    limits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    along: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts: a signed-in user, or the program itself on behalf of whoever may read the data folder.

    ``rights`` None: nothing beyond the basic role. ``watched_by`` names an administrator who only looks what this user sees;
    nothing can be changed meanwhile.
    """

    user_id: str | None
    login: str
    name: str
    role: BasicRole
    rights: Rights | None = None
    watched_by: str = ""

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return self.role == BasicRole.ADMIN


#: The program itself: scheduled work, set-up, and commands of whoever may read the data folder.
SYSTEM = Actor(user_id=None, login="", name="", role=BasicRole.ADMIN)


# permissions ---------------------------------------------------------------------------------------------------------


def actions_of(kind: EntityType) -> tuple[str, ...]:
    """Actions that can be granted for a kind of record; lines go with their document."""
    granted = kind.key not in BY_ADMINISTRATORS
    by_hand = granted and written_by_hand(kind)
    possible = {"create": by_hand, "import": by_hand, "update": granted and kind.kind not in {Kind.LEDGER, Kind.STATE}}
    possible["delete"] = by_hand and kind.kind is not Kind.LEDGER
    usual = [action for action in _EVERYWHERE if possible.get(action, True)]
    return (*usual, *(("transfer", "share") if _changes_hands(kind) else ()), *_SPECIAL.get(kind.key, ()))


def granted_kinds() -> list[EntityType]:
    """Kinds of records that rights are granted for with effect."""
    return [kind for kind in entities() if not kind.parent and kind.key not in NOT_GRANTED]


def scopes_of(kind: EntityType) -> tuple[Scope, ...]:
    """Scopes that mean something for a kind: a product belongs to nobody, a contact is seen with its customer."""
    if kind.under or kind.about:
        return (Scope.ALL,)
    if kind.owner:
        return tuple(Scope)
    return (Scope.BRANCH, Scope.ALL) if "branch_id" in kind.fields else (Scope.ALL,)


def _changes_hands(kind: EntityType) -> bool:
    return kind.owner is not None and kind.owner in kind.fields


@cache
def permissions() -> frozenset[str]:
    """Every permission that may be asked for, also those that only the basic roles give."""
    found = {f"{kind.key}.{action}" for kind in entities() for action in (*_EVERYWHERE, *actions_of(kind))}
    return frozenset(found) | frozenset(OTHER_PERMISSIONS)


@cache
def floor(role: BasicRole) -> Mapping[str, Reach]:
    """What a basic role gives by itself."""
    if role == BasicRole.STAFF:
        by_role = ADMIN_ONLY | BY_ROLE_ALONE
        return {p: EVERYTHING for p in permissions() if p in STAFF_READS or by_role.isdisjoint((p, p.split(".", maxsplit=1)[0]))}
    return {}


def reach(actor: Actor, permission: str) -> Reach | None:
    """Whose records the permission reaches, None without it; an unknown key raises LookupError."""
    if permission not in permissions():
        raise LookupError(f"unknown permission {permission}")
    if actor.is_admin:
        return EVERYTHING
    granted = floor(actor.role) if actor.rights is None else actor.rights.reaches
    found = [granted[wish] for wish in _stands_for(permission) if wish in granted]
    return reduce(or_, found) if found else None


@cache
def _stands_for(permission: str) -> tuple[str, ...]:
    """Any of these gives the permission: whoever may change an order may change its lines."""
    entity, action = permission.split(".")
    kind = next((kind for kind in entities() if kind.key == entity), None)
    if kind is None or kind.parent is None:
        return (permission,)
    document = kind.fields[kind.parent].f.ref
    actions = {"create": ("create", "update"), "delete": ("update",)}.get(action, (action,))
    return tuple(f"{document}.{one}" for one in actions)


def may(actor: Actor, permission: str) -> bool:
    """Whether the actor has a permission, for whichever records; an unknown key raises LookupError."""
    return reach(actor, permission) is not None


def require(actor: Actor, permission: str) -> None:
    """Raise Forbidden unless the actor has the permission; Refused for a change while an administrator only looks."""
    if not permission.endswith((".read", ".export")):
        require_acting(actor)
    if not may(actor, permission):
        raise Forbidden("forbidden", N_("You have no right to do this ({permission}). Ask an administrator."), permission=permission)


def require_acting(actor: Actor) -> None:
    """Raise Refused while an administrator only looks what this user sees."""
    if actor.watched_by:
        raise Refused("only_looking", N_("You are looking at what {name} sees; nothing can be changed meanwhile."), name=actor.name)


def require_admin(actor: Actor) -> None:
    """Raise Forbidden for everybody but administrators: rights themselves cannot be granted away."""
    if not actor.is_admin:
        raise Forbidden("admin_only", N_("Only an administrator may do this."))


# records and fields --------------------------------------------------------------------------------------------------


def view(actor: Actor, kind: EntityType, action: str = "read") -> View:
    """What the actor may see of a kind, or take for an action; raises Forbidden without the right. Every query carries it."""
    require(actor, f"{kind.key}.read")
    if action != "read":
        require(actor, f"{kind.key}.{action}")
    if actor.is_admin:
        return View(kind)
    rules = field_rules(actor, kind)
    return View(
        kind,
        _limited(actor, kind, _rows(actor, kind, action)),
        hidden=frozenset(key for key, rule in rules.items() if rule == FieldRule.HIDDEN),
        masked=frozenset(key for key, rule in rules.items() if rule == FieldRule.MASKED),
    )


def seen(actor: Actor, kind: EntityType) -> View | None:
    """What the actor may see of a kind; None where that is nothing at all, for screens that show many kinds at once."""
    return view(actor, kind) if may(actor, f"{kind.key}.read") else None


def views(actor: Actor) -> list[View]:
    """What the actor may see, by kind of record."""
    return [view(actor, kind) for kind in readable_entities(actor)]


def field_rules(actor: Actor, kind: EntityType) -> Mapping[str, FieldRule]:
    """What becomes of single fields; those that are not named may be changed."""
    return {} if actor.is_admin or actor.rights is None else actor.rights.rules.get(kind.key, {})


def may_write(actor: Actor, kind: EntityType, field: Field) -> bool:
    """Whether the actor may enter a value into a field."""
    return field.key not in field_rules(actor, kind)


def require_fields(actor: Actor, kind: EntityType, given: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise Forbidden when one of the fields given may not be entered.

    A value that changes nothing passes only where the field may be read: elsewhere that would confirm a guess.
    """
    rules = field_rules(actor, kind)
    for key in given.keys() & rules.keys():
        if rules[key] != FieldRule.READ_ONLY or given[key] not in (now[key], kind.fields[key].to_json(now[key])):
            raise Forbidden(
                "field_protected", N_("You may not change “{label}”. Nothing was saved."), label=kind.field(key).label, field=key
            )


def require_record(connection: Connection, actor: Actor, kind: EntityType, identity: str, action: str) -> None:
    """Raise Forbidden, or NotFound where the record may not even be seen, unless the right reaches this record."""
    require(actor, f"{kind.key}.{action}")
    if actor.is_admin:
        return
    if not visible(connection, actor, kind, identity):
        raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=kind.label)
    if not visible(connection, actor, kind, identity, action=action):
        raise Forbidden(
            "out_of_reach", N_("This record is not yours: you may look at it, but not “{action}”."), action=gettext(ACTIONS[action])
        )


def require_parent(connection: Connection, actor: Actor, kind: EntityType, values: Mapping[str, Any], action: str) -> None:
    """The same for the record that one of this kind goes under, before any rule could tell something of that one."""
    identity = values.get(kind.under or "")
    if kind.under and isinstance(identity, str) and not actor.is_admin:
        parent = entity_type(kind.fields[kind.under].f.ref or "")
        adds = action == "create" and identity in _followed(actor, parent)
        require_record(connection, actor, parent, identity, "read" if adds else _with_parent(actor, kind, parent, action))


def visible(connection: Connection, actor: Actor, kind: EntityType, identity: str, *, action: str = "read") -> bool:
    """Whether the actor may see a record, or do something else with it."""
    permitted = may(actor, f"{kind.key}.read") and may(actor, f"{kind.key}.{action}")
    return permitted and _holds(connection, view(actor, kind, action), identity)


def _holds(connection: Connection, seen: View, identity: str) -> bool:
    condition, params = seen.condition(f'"{seen.entity.key}"')
    found = connection.one(f'SELECT 1 FROM "{seen.entity.key}" WHERE id = ? AND {condition}', [bytes.fromhex(identity), *params])
    return found is not None


def seen_changes(actor: Actor, changes: Changes) -> Changes:
    """An event without the kinds the actor may not see; of those he sees in part it tells no ids, and no hidden fields."""
    ids: dict[str, frozenset[str] | None] = {}
    fields: dict[str, frozenset[str]] = {}
    for key, found in changes.ids.items():
        part = seen(actor, entity_type(key))
        if part is not None:
            ids[key] = found if part.rows is None else None
            fields[key] = changes.fields.get(key, frozenset()) - part.hidden
    return Changes(ids, fields, changes.remote)


def shown(actor: Actor, kind: EntityType, record: Mapping[str, Any]) -> Record:
    """A record as the actor may have it: without secrets and hidden fields, masked ones covered."""
    fields = kind.fields
    plain = {key: value for key, value in record.items() if key not in fields or not fields[key].secret}
    return view(actor, kind).of(plain) if may(actor, f"{kind.key}.read") else {"id": record["id"]}


def _rows(actor: Actor, kind: EntityType, action: str) -> tuple[Part, ...] | None:
    if kind.about:
        return (
            About(tuple(view(actor, other) for other in readable_entities(actor) if not _tells_of_another(other)), "field" in kind.fields),
        )
    if kind.under:
        parent = entity_type(kind.fields[kind.under].f.ref or "")
        if not may(actor, f"{parent.key}.read"):
            return ()
        above = view(actor, parent, _with_parent(actor, kind, parent, action))
        if above.rows is None:
            return None
        return With(kind.under, above), *_added_to(actor, kind, action, _followed(actor, parent))
    seen_rows, taken = _reached(actor, kind, "read"), _reached(actor, kind, action)
    if seen_rows is None or taken is None:
        return taken if seen_rows is None else seen_rows
    if all(part in seen_rows for part in taken):  # what may be taken is seen anyway
        return taken
    return (Both((View(kind, seen_rows), View(kind, taken))),)


def _limited(actor: Actor, kind: EntityType, rows: tuple[Part, ...] | None) -> tuple[Part, ...] | None:
    """The rows without those that name a record beyond what the actor is limited to."""
    for part in _limits(actor, kind):
        rows = (part,) if rows is None else (Both((View(kind, rows), View(kind, (part,)))),)
    return rows


def _limits(actor: Actor, kind: EntityType) -> Iterator[Within]:
    for key, ids in limits(actor).items():
        if kind.key == key:
            yield Within("id", ids)
        yield from (Within(field.key, ids) for field in kind.refs if field.f.ref == key)


def limits(actor: Actor) -> Mapping[str, frozenset[str]]:
    """Of some kinds of records the only ones the actor deals with; kinds that are not named are not limited."""
    return {} if actor.is_admin or actor.rights is None else actor.rights.limits


def is_within(actor: Actor, entity: str, identity: str) -> bool:
    """Whether the actor may deal with a record of a kind he may be limited in, such as a warehouse."""
    allowed = limits(actor).get(entity)
    return allowed is None or identity in allowed


def require_limits(actor: Actor, kind: EntityType, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    """Raise Forbidden when a record would name another one beyond what the actor is limited to, or be one itself."""
    if old is None and kind.key in limits(actor):
        raise Forbidden("limited", N_("You are limited to certain records under “{label}” and cannot add others."), label=kind.label)
    for ref in kind.refs:
        value = new[ref.key]
        is_new = value is not None and (old is None or old[ref.key] != value)
        if is_new and not is_within(actor, ref.f.ref or "", value):
            raise Forbidden(
                "limited",
                N_("{label}: your rights are limited to others than this one. Nothing was saved."),
                label=ref.label,
                field=ref.key,
            )


def _tells_of_another(kind: EntityType) -> bool:
    """Whether a kind is about other records, or seen with one that is."""
    return kind.about or (kind.under is not None and _tells_of_another(entity_type(kind.fields[kind.under].f.ref or "")))


def _with_parent(actor: Actor, kind: EntityType, parent: EntityType, action: str) -> str:
    """What one must be allowed to do with a record to do something with what is seen under it."""
    if kind.parent:  # who may only make new documents fills those, not other people's
        wishes = [permission.rpartition(".")[2] for permission in _stands_for(f"{kind.key}.{action}")]
        return next(wish for wish in reversed(wishes) if may(actor, f"{parent.key}.{wish}"))
    return "update" if action not in {"read", "export"} and may(actor, f"{parent.key}.update") else "read"


def _reached(actor: Actor, kind: EntityType, action: str) -> tuple[Part, ...] | None:
    reached = reach(actor, f"{kind.key}.{action}") or NOTHING
    if reached.everything:
        return None
    found = _of_these(kind, reached)
    if kind.seen_with and action == "read":
        above = entity_type(kind.fields[kind.seen_with].f.ref or "")
        if theirs := _of_these(above, reached):
            found.append(With(kind.seen_with, View(above, tuple(theirs))))
    if actor.rights is not None and (shared := actor.rights.shared.get((kind.key, action))):
        found.append(Among("id", shared))
    if actor.rights is not None and kind.seen_with and (along := actor.rights.along.get((kind.key, action))):
        found.append(Among(kind.seen_with, along))
    return tuple(found)


def _of_these(kind: EntityType, reached: Reach) -> list[Part]:
    """What belongs to the users and branches that are reached."""
    owned: list[Part] = [Among(kind.owner, reached.owners)] if kind.owner and reached.owners else []
    at_home: list[Part] = [Among("branch_id", reached.branches)] if "branch_id" in kind.fields and reached.branches else []
    return owned + at_home


def _followed(actor: Actor, kind: EntityType) -> frozenset[str]:
    """Records of a kind to which somebody may only add."""
    return frozenset() if actor.rights is None else actor.rights.shared.get((kind.key, FOLLOWED), frozenset())


def _added_to(actor: Actor, kind: EntityType, action: str, followed: frozenset[str]) -> Iterator[Part]:
    """What somebody who may only add to some records may do there: add, and change what says that it is his own."""
    if followed and action == "create":
        yield Among(kind.under or "", followed)
    elif followed and action == "update" and "user_id" in kind.fields and actor.user_id is not None:
        own = View(kind, (Among("user_id", frozenset({actor.user_id})),))
        yield Both((View(kind, (Among(kind.under or "", followed),)), own))


def goes_with(kind: EntityType) -> list[EntityType]:
    """Kinds of records that are seen with one of this kind, beside those under it: what a share of it reaches too."""
    return [other for other in entities() if other.seen_with and other.fields[other.seen_with].f.ref == kind.key]


def readable_entities(actor: Actor) -> list[EntityType]:
    """Kinds of records the actor may see."""
    return [kind for kind in entities() if may(actor, f"{kind.key}.read")]


def written_by_hand(kind: EntityType) -> bool:
    """Whether people create records of this kind directly, rather than a verb or the merge."""
    return kind.by_hand and kind.kind is not Kind.STATE
