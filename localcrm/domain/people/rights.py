"""What the roles of a user come to.

Functions: the union of all roles, the widest scope of each action. Fields: the mildest rule among the roles that let the
user see the kind of record at all, unless a rule is strict; rules of the user's own always hold. A basic role counts only
for kinds of records about which no role of the user says anything. Limits, such as to warehouses, add up over the roles that name
any, and bind whatever else a role says. (features.md §2, "Resolution")
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from localcrm.domain.people.entities import Department, Role, RoleField, RoleFilter, RoleRight, User, UserRole
from localcrm.domain.people.signing import Granted
from localcrm.domain.policy import EVERYTHING, FOLLOWED, Actor, Reach, Rights, floor, goes_with
from localcrm.domain.roles import BasicRole, FieldRule, Scope, ShareLevel
from localcrm.kernel.schema import entities
from localcrm.store.connection import Connection
from localcrm.store.node import Node

_USER, _ROLE, _RIGHT, _FIELD = User.entity_type, Role.entity_type, RoleRight.entity_type, RoleField.entity_type
_USER_ROLE, _DEPARTMENT, _FILTER = UserRole.entity_type, Department.entity_type, RoleFilter.entity_type
#: What shows a user single records beyond the reach of his roles and beside shares, by subject: (kind, id) of each (see ``subjects``).
ALSO_SEEN: dict[str, Callable[[Connection, str], Iterable[tuple[str, str]]]] = {}
_SEVERITY = {rule: place for place, rule in enumerate(FieldRule)}


@dataclass(frozen=True, slots=True)
class _Right:
    role: str
    entity: str
    action: str
    scope: Scope
    departments: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Rule:
    role: str
    entity: str
    field: str
    rule: FieldRule
    strict: bool


def actor_of(connection: Connection, node: Node, granted: Granted, *, user_id: str, login: str, name: str) -> Actor:
    """A user as somebody who acts, with the rights of the moment."""
    basic = BasicRole(granted.user(user_id)["role"])
    rights = None if basic == BasicRole.ADMIN else rights_of(connection, node, granted, user_id)
    return Actor(user_id, login, name, basic, rights)


def rights_of(connection: Connection, node: Node, granted: Granted, user_id: str) -> Rights:
    """What the roles of a user come to; empty for somebody without any."""
    given = {row["role_id"] for row in granted.of(_USER_ROLE).values() if row["user_id"] == user_id}
    roles = {
        role: row["user_id"] is not None
        for role, row in granted.of(_ROLE).items()
        if row["user_id"] == user_id or (row["user_id"] is None and role in given)
    }
    rights = [
        _Right(row["role_id"], row["entity"], row["action"], Scope(row["scope"]), frozenset((row["departments"] or "").split()))
        for row in granted.of(_RIGHT).values()
        if row["role_id"] in roles
    ]
    rules = [
        _Rule(row["role_id"], row["entity"], row["field"], FieldRule(row["rule"]), bool(row["strict"]))
        for row in granted.of(_FIELD).values()
        if row["role_id"] in roles
    ]
    company = _Company(connection, node, granted)
    reaches = _reaches(rights, lambda right: company.reach(right, user_id), BasicRole(granted.user(user_id)["role"]))
    personal = {role for role, is_personal in roles.items() if is_personal}
    limits: dict[str, set[str]] = defaultdict(set)
    for row in granted.of(_FILTER).values():
        if row["role_id"] in roles:
            limits[row["entity"]].add(row["allowed"])
    shared, along = _shared(connection, company, user_id)
    for also_seen in ALSO_SEEN.values():
        for entity, record in also_seen(connection, user_id):
            shared[entity, "read"] = shared.get((entity, "read"), frozenset()) | {record}
    limited = {entity: frozenset(ids) for entity, ids in limits.items()}
    return Rights(reaches, _rules(rights, rules, personal, reaches), shared, limited, along)


def _shared(
    connection: Connection, company: _Company, user_id: str
) -> tuple[dict[tuple[str, str], frozenset[str]], dict[tuple[str, str], frozenset[str]]]:
    """Single records shared with a user, a department of his or one above it, or his branch, until today or later; and with which of them go others."""
    rows = connection.all(
        'SELECT entity, record, level, "without", user_id, department_id, branch_id FROM share WHERE deleted = 0 AND (until IS NULL OR until >= ?)',
        (connection.today.isoformat(),),
    )
    if not rows:
        return {}, {}
    targets = {user_id, company.branch(user_id), *company.upwards(user_id)}
    found, along = defaultdict[tuple[str, str], set[str]](set), defaultdict[tuple[str, str], set[str]](set)
    with_them = {kind.key: [other.key for other in goes_with(kind)] for kind in entities()}
    for entity, record, level, without, *shared_with in rows:
        if any(target is not None and target.hex() in targets for target in shared_with):
            kinds = set(with_them.get(entity, ())) - set((without or "").split())
            found[entity, "read"].add(record)
            if level != ShareLevel.READ:
                found[entity, FOLLOWED if level == ShareLevel.FOLLOW else "update"].add(record)
            for kind in kinds:
                along[kind, "read"].add(record)
                if level == ShareLevel.WRITE:
                    along[kind, "update"].add(record)
    return _frozen(found), _frozen(along)


def _frozen(found: Mapping[tuple[str, str], set[str]]) -> dict[tuple[str, str], frozenset[str]]:
    return {key: frozenset(ids) for key, ids in found.items()}


def _reaches(rights: Iterable[_Right], resolve: Callable[[_Right], Reach], basic: BasicRole) -> dict[str, Reach]:
    found: dict[str, Reach] = {}
    for right in rights:
        permission = f"{right.entity}.{right.action}"
        found[permission] = found.get(permission, Reach()) | resolve(right)
    spoken = {permission.split(".", maxsplit=1)[0] for permission in found}
    return {**{p: r for p, r in floor(basic).items() if p.split(".", maxsplit=1)[0] not in spoken}, **found}


def _rules(
    rights: Iterable[_Right], rules: Iterable[_Rule], personal: set[str], reaches: Mapping[str, Reach]
) -> dict[str, dict[str, FieldRule]]:
    showing: dict[str, set[str]] = defaultdict(set)  # roles that let the user see a kind at all
    for right in rights:
        if right.action == "read":
            showing[right.entity].add(right.role)
    lines = {kind.key: kind.fields[kind.parent].f.ref or "" for kind in entities() if kind.parent}
    by_field: dict[tuple[str, str], dict[str, _Rule]] = defaultdict(dict)
    for rule in rules:
        by_field[rule.entity, rule.field][rule.role] = rule
    found: dict[str, dict[str, FieldRule]] = defaultdict(dict)
    for (entity, field), given in by_field.items():
        seen_with = lines.get(entity, entity)  # lines are seen with their document
        mild = [given[role].rule if role in given else FieldRule.EDITABLE for role in showing[seen_with]]
        if not mild and f"{seen_with}.read" in reaches:
            mild = [FieldRule.EDITABLE]  # seen by the basic role, which spares no field
        binding = [rule.rule for rule in given.values() if rule.strict or rule.role in personal]
        worst = max([min(mild, key=_SEVERITY.__getitem__, default=FieldRule.EDITABLE), *binding], key=_SEVERITY.__getitem__)
        if worst != FieldRule.EDITABLE:
            found[entity][field] = worst
    for kind in entities():
        for one in (one for one in kind.fields.values() if one.f.like):
            both = [found[kind.key][key] for key in (one.key, one.f.like or "") if key in found.get(kind.key, ())]
            if both:
                found[kind.key][one.key] = max(both, key=_SEVERITY.__getitem__)
    return dict(found)


class _Company:
    """Who works where and under whom; the company's shape is read only if a scope asks for it."""

    def __init__(self, connection: Connection, node: Node, granted: Granted) -> None:
        self._connection, self._node, self._granted = connection, node, granted

    def branch(self, user: str) -> str:
        """Where somebody works."""
        return self._granted.user(user)["branch_id"] or self._node.branch_id

    def upwards(self, user: str) -> set[str]:
        """The departments of a user and all above them."""
        above = {identity: [row["parent_id"]] for identity, row in self._granted.of(_DEPARTMENT).items() if row["parent_id"]}
        return {one for home in departments_of(self._granted.user(user)) for one in _tree(home, above)}

    def reach(self, right: _Right, user: str) -> Reach:
        """Whose records a right reaches for a user; the own ones always."""
        homes = departments_of(self._granted.user(user))
        match right.scope:
            case Scope.ALL:
                return EVERYTHING
            case Scope.SUBORDINATES:
                return Reach(owners=frozenset(_tree(user, self._under)))
            case Scope.DEPARTMENT:
                return self._people(homes, user)
            case Scope.DEPARTMENT_TREE:
                return self._people({one for home in homes for one in _tree(home, self._below)}, user)
            case Scope.DEPARTMENTS:
                return self._people(set(right.departments), user)
            case Scope.BRANCH:
                return Reach(owners=frozenset({user}), branches=frozenset({self.branch(user)}))
        return Reach(owners=frozenset({user}))

    def _people(self, departments: set[str], user: str) -> Reach:
        return Reach(owners=frozenset({user, *(who for who, where in self._homes.items() if where & departments)}))

    @cached_property
    def _users(self) -> Mapping[str, Mapping[str, Any]]:
        gone = {user.hex() for (user,) in self._connection.all('SELECT id FROM "user" WHERE deleted = 1')}
        return {user: row for user, row in self._granted.of(_USER).items() if user not in gone}

    @cached_property
    def _homes(self) -> Mapping[str, set[str]]:
        return {user: departments_of(row) for user, row in self._users.items()}

    @cached_property
    def _under(self) -> Mapping[str, list[str]]:
        return _by({user: row["superior_id"] for user, row in self._users.items()})

    @cached_property
    def _below(self) -> Mapping[str, list[str]]:
        return _by({department: row["parent_id"] for department, row in self._granted.of(_DEPARTMENT).items()})


def departments_of(user: Mapping[str, Any]) -> set[str]:
    """Ids of every department a user works in."""
    return {department for department in (user["department_id"], *(user["departments"] or "").split()) if department}


def _by(above: Mapping[str, str | None]) -> Mapping[str, list[str]]:
    """What stands directly under each, from what each stands under."""
    found: dict[str, list[str]] = defaultdict(list)
    for one, parent in above.items():
        if parent:
            found[parent].append(one)
    return found


def _tree(root: str, below: Mapping[str, list[str]]) -> Iterator[str]:
    """A root and everything below it, each once: work done apart may have closed a circle."""
    seen, waiting = {root}, [root]
    while waiting:
        one = waiting.pop()
        yield one
        fresh = [child for child in below.get(one, ()) if child not in seen]
        seen.update(fresh)
        waiting += fresh
