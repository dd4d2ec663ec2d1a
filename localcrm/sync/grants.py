"""Which customers a branch holds beyond its own, where it holds only its own customers (kind ``customer_branch``).

Head office owes it those that something of the branch is about, those shared with it or its people, and those that it worked on, since a branch
keeps what it wrote. It looks whenever it is about to tell the branch what left its scope (``sync.scope``) and what is new, and writes down what
it owes before it says anything. What was given stays; of what was shared, as long as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from localcrm.domain.admin.entities import BranchHolds
from localcrm.domain.crm.entities import HeldBecause
from localcrm.domain.people.entities import User
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import EntityType, entities, entity as entity_type
from localcrm.store import changelog
from localcrm.sync.scope import (
    CUSTOMER,
    GRANT,
    Moves,
    Scope,
    changed,
    condition,
    goes_with_customers,
    held_before,
    moves,
    named,
    naming_one_of,
    outside,
    portions,
    scope_of,
    ways_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

_USER = User.entity_type
_ByKind = dict[EntityType, set[bytes]]
#: Records by kind; None for all there are.
_Concerned = _ByKind | None


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be written down for a branch."""

    given: dict[bytes, HeldBecause]
    """Customers that it must hold and does not, with the reason."""
    lapsed: list[bytes]
    """Grants of what was shared with it and no longer is."""

    def __bool__(self) -> bool:
        return bool(self.given or self.lapsed)


#: Nothing is to be written down.
NOTHING = Due({}, [])


# head office: what is due -------------------------------------------------------------------------------------------------


def due(store: Store, connection: Connection, scope: Scope, told: int, cursor: int) -> Due:
    """What a branch is owed by what it was not told yet; by everything there is when it begins to hold only its own customers.

    ``told``, ``cursor``: how far it has heard (``sync.scope.moves``).
    """
    if scope.holds != BranchHolds.CUSTOMERS:
        return NOTHING
    shared = _shared(connection, scope, store.today.isoformat())
    return Due(_owed(connection, scope, shared, told, cursor), _lapsed(connection, scope, shared))


def write(store: Store, scope: Scope, what: Due) -> None:
    """Write it down, a portion in a transaction."""
    for ended in portions(what.lapsed):
        with store.unit_of_work(None) as uow:
            for pk in ended:
                uow.set_deleted(GRANT, pk.hex(), deleted=True)
    for given in portions(sorted(what.given)):
        with store.unit_of_work(None) as uow:
            for pk in given:
                grant = {"customer_id": pk.hex(), "branch_id": scope.branch_id.hex(), "because": what.given[pk]}
                uow.insert(GRANT, GRANT.validate(grant), identity=new_id())


def _owed(connection: Connection, scope: Scope, shared: _ByKind, told: int, cursor: int) -> dict[bytes, HeldBecause]:
    moved = moves(connection, scope, told, cursor)
    hanging = [kind for kind in entities() if goes_with_customers(kind)]
    naming = [kind for kind in entities() if kind not in hanging and ways_of(kind) and _way_to_customer(kind)]
    concerned = _concerned(connection, scope, moved, hanging, naming)
    found: dict[bytes, HeldBecause] = {}
    for kind in (*hanging, *naming):
        _note(found, _customers(connection, kind, _of_branch(connection, kind, scope, concerned)), HeldBecause.NAMED)
    for kind, ids in shared.items():
        _note(found, _customers(connection, kind, ids), HeldBecause.SHARED)
    for kind, ids in _written_by(connection, scope, moved, hanging, whole=concerned is None).items():
        _note(found, _customers(connection, kind, ids), HeldBecause.WORKED)
    _note(found, _merged_into(connection, scope, found, concerned), HeldBecause.NAMED)
    lacking = outside(connection, scope, CUSTOMER, found)
    there = named(connection, CUSTOMER, "id", lacking)
    return {pk: because for pk, because in found.items() if pk in there}


def _concerned(connection: Connection, scope: Scope, moved: Moves, hanging: list[EntityType], naming: list[EntityType]) -> _Concerned:
    """Records that may have come to concern the branch: what changed, and of what is about to leave all that names it. None for all there are."""
    if moved.since == 0 or held_before(connection, scope, moved.since) or _came_here(connection, scope, moved.since):
        return None
    found = changelog.touched(connection, moved.since, [*hanging, *naming])
    for kind in hanging:
        found[kind].update(moved.out.get(kind, ()))
    for kind in naming:
        key = _way_to_customer(kind) or ""
        leaving = moved.out.get(entity_type(kind.fields[key].f.ref or ""), ())
        found[kind] |= naming_one_of(connection, kind, key, set(leaving))
    found[CUSTOMER] |= naming_one_of(connection, CUSTOMER, "merged_into_id", found[CUSTOMER])
    return found


def _written_by(
    connection: Connection, scope: Scope, moved: Moves, hanging: list[EntityType], *, whole: bool
) -> dict[EntityType, set[bytes]]:
    """What the branch made or changed since it heard of its scope last, and of what is about to leave whenever that was."""
    own = [row[0] for row in connection.all("SELECT origin FROM sync_origin WHERE node_no = ?", (scope.node_no,))]
    found = changelog.touched(connection, 0 if whole else moved.since, hanging, origins=own)
    for kind in () if whole else hanging:
        changes = changelog.changes_of(connection, kind, moved.out.get(kind, ()))
        found[kind].update(change.pk for change in changes if change.pk and change.tx.origin in own)
    return found


def _lapsed(connection: Connection, scope: Scope, shared: _ByKind) -> list[bytes]:
    grants = connection.all(
        "SELECT id, customer_id FROM customer_branch WHERE branch_id = ? AND because = ? AND deleted = 0",
        (scope.branch_id, HeldBecause.SHARED),
    )
    still = {pk for kind, ids in shared.items() for pk in _customers(connection, kind, ids)} if grants else set()
    return [grant for grant, customer in grants if customer not in still]


def _note(found: dict[bytes, HeldBecause], customers: Iterable[bytes], because: HeldBecause) -> None:
    for pk in customers:
        found.setdefault(pk, because)


# head office: which customers are meant -----------------------------------------------------------------------------------


def _way_to_customer(kind: EntityType) -> str | None:
    """The reference by which records of a kind are about a customer, or about what hangs on one."""
    if goes_with_customers(kind):
        return ways_of(kind)[0]
    ways = [field.key for field in kind.refs if field.f.ref == CUSTOMER.key]
    if kind.under and goes_with_customers(entity_type(kind.fields[kind.under].f.ref or "")):
        ways.append(kind.under)
    return next(iter(ways), None)


def _customers(connection: Connection, kind: EntityType, ids: set[bytes]) -> set[bytes]:
    """The customers that some records are about."""
    while ids and kind is not CUSTOMER:
        key = _way_to_customer(kind)
        assert key is not None
        ids, kind = named(connection, kind, key, ids), entity_type(kind.fields[key].f.ref or "")
    return ids


def _of_branch(connection: Connection, kind: EntityType, scope: Scope, concerned: _Concerned) -> set[bytes]:
    """Records that the branch holds by themselves; of those that hang on customers the ones that name it, or something of it, or belong to one
    of its users.
    """
    if not goes_with_customers(kind):
        if concerned is None:
            return {row[0] for row in connection.all(f'SELECT id FROM "{kind.key}" r WHERE {condition(kind, scope, "r")}')}
        return concerned[kind] - outside(connection, scope, kind, concerned[kind])
    targets = {field.key: entity_type(field.f.ref or "") for field in kind.refs}
    names = [f'"{key}" = ?1' for key, target in targets.items() if target.key == "branch"]
    names += [
        f'"{key}" IN (SELECT id FROM "{target.key}" WHERE branch_id = ?1)'
        for key, target in targets.items()
        if "branch_id" in target.scope and target is not CUSTOMER
    ]
    owners = [key for key, target in targets.items() if target is _USER and key in {kind.owner, "user_id"}]
    names += [f'"{key}" IN (SELECT id FROM user WHERE branch_id = ?1)' for key in owners]
    if not names:
        return set()
    sql = f'SELECT id FROM "{kind.key}" WHERE deleted = 0 AND ({" OR ".join(names)})'
    if concerned is None:
        return {row[0] for row in connection.all(sql, (scope.branch_id,))}
    found: set[bytes] = set()
    for portion in portions(sorted(concerned[kind])):
        marks = ",".join("?" * len(portion))
        found.update(row[0] for row in connection.all(f"{sql} AND id IN ({marks})", (scope.branch_id, *portion)))
    return found


def _shared(connection: Connection, scope: Scope, today: str) -> _ByKind:
    """Customers, and what hangs on them, shared with the branch, its people, or a department that holds one of them."""
    kinds = {kind.key: kind for kind in entities() if goes_with_customers(kind)}
    found = connection.all(
        """WITH RECURSIVE part(id) AS (SELECT department_id FROM user WHERE branch_id = ?1
                                       UNION SELECT d.parent_id FROM department d JOIN part ON d.id = part.id)
           SELECT entity, unhex(record) FROM share WHERE deleted = 0 AND (until IS NULL OR until >= ?2) AND (branch_id = ?1
           OR user_id IN (SELECT id FROM user WHERE branch_id = ?1) OR department_id IN part)""",
        (scope.branch_id, today),
    )
    shared: _ByKind = {}
    for kind, record in found:
        if kind in kinds and record:
            shared.setdefault(kinds[kind], set()).add(record)
    return shared


def _came_here(connection: Connection, scope: Scope, after: int) -> bool:
    """Whether a user came to the branch from elsewhere: all that is his comes, too."""
    moved = changed(connection, {_USER: {_USER.fields["branch_id"].no}}, after)[_USER]
    return scope.branch_id in named(connection, _USER, "branch_id", moved)


def _merged_into(connection: Connection, scope: Scope, found: Iterable[bytes], concerned: _Concerned) -> set[bytes]:
    """What customers of the branch were merged into, and what that was merged into."""
    if concerned is None:
        merged = {row[0] for row in connection.all("SELECT id FROM customer WHERE deleted = 1 AND merged_into_id IS NOT NULL")}
    else:
        merged = concerned[CUSTOMER].union(found)
    ids, targets = merged - (outside(connection, scope, CUSTOMER, merged) - set(found)), set[bytes]()
    while ids := named(connection, CUSTOMER, "merged_into_id", ids) - targets:
        targets |= ids
    return targets


# head office: who holds what ----------------------------------------------------------------------------------------------


class Holder(NamedTuple):
    """A branch that holds only its own customers, and one customer: ``because`` is empty where it is its own or everybody's."""

    code: str
    name: str
    holds: bool
    because: HeldBecause | None


def holders(store: Store, entity: EntityType, identity: str) -> list[Holder]:
    """Of the branches that hold only their own customers, which hold this customer, or what this record hangs on; at head office."""
    if not store.node.is_office or not goes_with_customers(entity):
        return []
    told = []
    with store.read() as connection:
        listed = connection.all(
            "SELECT id, code, name, node_no FROM branch WHERE holds = ? AND deleted = 0 ORDER BY code", (BranchHolds.CUSTOMERS,)
        )
        customer = next(iter(_customers(connection, entity, {bytes.fromhex(identity)})), None) if listed else None
        for pk, code, name, node_no in listed:
            is_out = outside(connection, scope_of(store, connection, node_no, code), entity, [bytes.fromhex(identity)])
            granted = connection.value(
                "SELECT because FROM customer_branch WHERE customer_id = ? AND branch_id = ? AND deleted = 0", (customer, pk)
            )
            told.append(Holder(code, name, not is_out, HeldBecause(granted) if granted else None))
    return told
