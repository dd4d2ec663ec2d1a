"""What the roles of a user come to.

Functions: the union of all roles, the widest scope of each action. Fields: the mildest rule among the roles that let the
user see the kind of record at all, unless a rule is strict; rules of the user's own always hold. A basic role counts only
for kinds of records about which no role of the user says anything. (features.md §2, "Resolution")
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from localcrm.domain.policy import EVERYTHING, Actor, Reach, Rights, floor
from localcrm.domain.roles import BasicRole, FieldRule, Scope, ShareLevel
from localcrm.kernel.schema import Kind, entities
from localcrm.store.connection import Connection
from localcrm.store.node import Node

#: What shows a user single records beyond the reach of his roles and beside shares, by subject: (kind, id) of each (see ``subjects``).
ALSO_SEEN: dict[str, Callable[[Connection, str], Iterable[tuple[str, str]]]] = {}
_SEVERITY = {rule: place for place, rule in enumerate(FieldRule)}


@dataclass(frozen=True, slots=True)
class _Right:
    role: bytes
    entity: str
    action: str
    scope: Scope
    departments: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Rule:
    role: bytes
    entity: str
    field: str
    rule: FieldRule
    strict: bool


def actor_of(connection: Connection, node: Node, *, user_id: str, login: str, name: str, role: BasicRole) -> Actor:
    """A user as somebody who acts, with the rights of the moment."""
    rights = None if role == BasicRole.ADMIN else rights_of(connection, node, user_id, role)
    return Actor(user_id, login, name, role, rights)


def rights_of(connection: Connection, node: Node, user_id: str, basic: BasicRole) -> Rights:
    """What the roles of a user come to; empty for somebody without any."""
    me = bytes.fromhex(user_id)
    roles: list[tuple[bytes, bool]] = connection.all(
        """SELECT id, user_id IS NOT NULL FROM role WHERE deleted = 0 AND (user_id = ?
             OR (user_id IS NULL AND id IN (SELECT role_id FROM user_role WHERE user_id = ? AND deleted = 0)))""",
        (me, me),
    )
    marks = ",".join("?" * len(roles))
    keys = [role for role, _personal in roles]
    rights = [
        _Right(role, entity, action, Scope(scope), frozenset((departments or "").split()))
        for role, entity, action, scope, departments in connection.all(
            f"SELECT role_id, entity, action, scope, departments FROM role_right WHERE role_id IN ({marks}) AND deleted = 0", keys
        )
    ]
    rules = [
        _Rule(role, entity, field, FieldRule(rule), bool(strict))
        for role, entity, field, rule, strict in connection.all(
            f"SELECT role_id, entity, field, rule, strict FROM role_field WHERE role_id IN ({marks}) AND deleted = 0", keys
        )
    ]
    reaches = _reaches(rights, _resolver(connection, node, user_id), basic)
    shared = _shared(connection, node, user_id)
    for also_seen in ALSO_SEEN.values():
        for entity, record in also_seen(connection, user_id):
            shared[entity, "read"] = shared.get((entity, "read"), frozenset()) | {record}
    return Rights(reaches, _rules(rights, rules, {role for role, personal in roles if personal}, reaches), shared)


def _shared(connection: Connection, node: Node, user_id: str) -> dict[tuple[str, str], frozenset[str]]:
    """Single records shared with a user, a department of his or one above it, or his branch, until today or later."""
    rows = connection.all(
        "SELECT entity, record, level, user_id, department_id, branch_id FROM share WHERE deleted = 0 AND (until IS NULL OR until >= ?)",
        (date.today().isoformat(),),
    )
    if not rows:
        return {}
    me = bytes.fromhex(user_id)
    home = connection.one('SELECT department_id, branch_id FROM "user" WHERE id = ?', (me,)) or (None, None)
    departments = _upwards(connection, home[0])
    branch = home[1] or bytes.fromhex(node.branch_id)
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entity, record, level, user, department, place in rows:
        if user == me or department in departments or place == branch:
            found[entity, "read"].add(record)
            if level == ShareLevel.WRITE:
                found[entity, "update"].add(record)
    return {key: frozenset(ids) for key, ids in found.items()}


def _upwards(connection: Connection, department: bytes | None) -> set[bytes]:
    """A department and all above it."""
    above: dict[bytes, bytes | None] = dict(connection.all("SELECT id, parent_id FROM department WHERE deleted = 0"))
    found: set[bytes] = set()
    while department is not None and department not in found:
        found.add(department)
        department = above.get(department)
    return found


def _reaches(rights: Iterable[_Right], resolve: Callable[[_Right], Reach], basic: BasicRole) -> dict[str, Reach]:
    found: dict[str, Reach] = {}
    for right in rights:
        permission = f"{right.entity}.{right.action}"
        found[permission] = found.get(permission, Reach()) | resolve(right)
    spoken = {permission.split(".", maxsplit=1)[0] for permission in found}
    return {**{p: r for p, r in floor(basic).items() if p.split(".", maxsplit=1)[0] not in spoken}, **found}


def _rules(
    rights: Iterable[_Right], rules: Iterable[_Rule], personal: set[bytes], reaches: Mapping[str, Reach]
) -> dict[str, dict[str, FieldRule]]:
    showing: dict[str, set[bytes]] = defaultdict(set)  # roles that let the user see a kind at all
    for right in rights:
        if right.action == "read":
            showing[right.entity].add(right.role)
    lines = {kind.key: kind.fields[kind.parent].f.ref or "" for kind in entities() if kind.kind is Kind.LINE and kind.parent}
    by_field: dict[tuple[str, str], dict[bytes, _Rule]] = defaultdict(dict)
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
    return dict(found)


def _resolver(connection: Connection, node: Node, user_id: str) -> Callable[[_Right], Reach]:
    """Turns scopes into users and branches, reading the company's shape once and only if a scope asks for it."""
    shape: list[_Company] = []

    def resolve(right: _Right) -> Reach:
        if right.scope == Scope.ALL:
            return EVERYTHING
        if not shape:
            shape.append(_Company(connection))
        return shape[0].reach(right, user_id, node.branch_id)

    return resolve


class _Company:
    """Who works where and under whom."""

    def __init__(self, connection: Connection) -> None:
        self._department: dict[str, str] = {}
        self._branch: dict[str, str] = {}
        self._under: dict[str, list[str]] = defaultdict(list)
        self._below: dict[str, list[str]] = defaultdict(list)
        for user, department, superior, branch in connection.all(
            'SELECT id, department_id, superior_id, branch_id FROM "user" WHERE deleted = 0'
        ):
            if department:
                self._department[user.hex()] = department.hex()
            if superior:
                self._under[superior.hex()].append(user.hex())
            if branch:
                self._branch[user.hex()] = branch.hex()
        for department, parent in connection.all("SELECT id, parent_id FROM department WHERE deleted = 0 AND parent_id IS NOT NULL"):
            self._below[parent.hex()].append(department.hex())

    def reach(self, right: _Right, user: str, branch: str) -> Reach:
        """Whose records a right reaches for a user; the own ones always."""
        home = self._department.get(user)
        match right.scope:
            case Scope.SUBORDINATES:
                return Reach(owners=frozenset(_tree(user, self._under)))
            case Scope.DEPARTMENT:
                return self._people({home} if home else set(), user)
            case Scope.DEPARTMENT_TREE:
                return self._people(set(_tree(home, self._below)) if home else set(), user)
            case Scope.DEPARTMENTS:
                return self._people(set(right.departments), user)
            case Scope.BRANCH:
                return Reach(owners=frozenset({user}), branches=frozenset({self._branch.get(user, branch)}))
        return Reach(owners=frozenset({user}))

    def _people(self, departments: set[str], user: str) -> Reach:
        return Reach(owners=frozenset({user, *(who for who, where in self._department.items() if where in departments)}))


def _tree(root: str, below: Mapping[str, list[str]]) -> Iterator[str]:
    """A root and everything below it, each once: work done apart may have closed a circle."""
    seen, waiting = {root}, [root]
    while waiting:
        one = waiting.pop()
        yield one
        fresh = [child for child in below.get(one, ()) if child not in seen]
        seen.update(fresh)
        waiting += fresh
