"""Which customers a branch that holds only its own may write about: those it holds, and those it held once. Of conflicts it settles those about
these.

What it writes while a customer leaves it arrives later, perhaps long after. But what it never held it cannot know: such a change is none of
its program's, and would make head office send the customer to it, since a branch keeps what it worked on (``sync.grants``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.domain.admin.entities import Branch, BranchHolds, Conflict
from localcrm.kernel.schema import entities, entity as entity_type
from localcrm.store import changelog
from localcrm.store.ddl import INSERT, UPDATE
from localcrm.sync.known import Known
from localcrm.sync.scope import CUSTOMER, GRANT, Scope, goes_with_customers, outside, ways_of

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection

_BRANCH, _CONFLICT = Branch.entity_type, Conflict.entity_type
_HOME, _POOL, _HOLDS = CUSTOMER.fields["branch_id"].no, CUSTOMER.fields["pool_id"].no, _BRANCH.fields["holds"].no


class Reach:
    """Judges changes of one sender."""

    def __init__(self, known: Known) -> None:
        self._known, self._scope = known, _limited(known)
        self._held: dict[bytes, bool] = {}

    def is_asked(self, entity: EntityType) -> bool:
        """Whether changes of a kind have to be asked for one by one."""
        return self._scope is not None and goes_with_customers(entity)

    def is_beyond(self, entity: EntityType, op: int, pk: bytes, given: dict[int, object]) -> bool:
        """Whether a change is about a customer that the branch never held; ``given``: new values by number."""
        if self._scope is None:
            return False
        if entity is _CONFLICT:
            return op == UPDATE and not self._was_told(pk)
        if not goes_with_customers(entity):
            return False
        if op != INSERT and not self._knows(entity, pk):
            return True
        if entity is CUSTOMER:
            return False
        way = entity.fields[ways_of(entity)[0]]
        above = given.get(way.no)
        return isinstance(above, bytes) and not self._knows(entity_type(way.f.ref or ""), above)

    def _knows(self, entity: EntityType, pk: bytes) -> bool:
        """Whether the branch holds a record, or held it once; it may have been moved to another customer since."""
        if entity is CUSTOMER:
            return self._is_held(pk)
        way = entity.fields[ways_of(entity)[0]]
        target, above = entity_type(way.f.ref or ""), self._known.now(entity, pk, way.no)
        if not isinstance(above, bytes) or self._knows(target, above):
            return True
        return any(self._knows(target, before) for before in _named_once(self._known.connection, entity, pk, way.no) - {above})

    def _was_told(self, conflict: bytes) -> bool:
        """Whether the branch holds a conflict, or held it once: before it was narrowed, or with a record."""
        assert self._scope is not None
        connection = self._known.connection
        if not outside(connection, self._scope, _CONFLICT, [conflict]):
            return True
        first = next(iter(changelog.changes_of(connection, _CONFLICT, [conflict])), None)
        if first is None or first.lseq < _narrowed_at(connection, self._scope):
            return True
        key, *records = connection.one("SELECT entity, unhex(record), unhex(other) FROM conflict WHERE id = ?", (conflict,)) or ("",)
        kind = next((kind for kind in entities() if kind.key == key and goes_with_customers(kind)), None)
        return kind is not None and any(self._knows(kind, pk) for pk in records if pk)

    def _is_held(self, customer: bytes) -> bool:
        if customer not in self._held:
            assert self._scope is not None
            connection, row = self._known.connection, self._known.rows[CUSTOMER.no].get(customer)
            is_new = row is not None and row.new is not None
            self._held[customer] = (
                is_new or not outside(connection, self._scope, CUSTOMER, [customer]) or _once_held(connection, self._scope, customer)
            )
        return self._held[customer]


def _limited(known: Known) -> Scope | None:
    """The scope of a sender that holds only its own customers; None for any other."""
    if known.sender is None:
        return None
    holds = known.connection.value("SELECT holds FROM branch WHERE id = ?", (known.sender.branch_id,))
    return Scope(known.sender.node_no, known.sender.branch_id, BranchHolds.CUSTOMERS) if holds == BranchHolds.CUSTOMERS else None


def _named_once(connection: Connection, entity: EntityType, pk: bytes, no: int) -> set[bytes]:
    """What a record named by a reference at any time."""
    named = {changelog.first_values(connection, entity, [pk]).get(pk, {}).get(no)}
    for change in changelog.changes_of(connection, entity, [pk]):
        if change.op == UPDATE:
            named.update(changelog.parse_diff(entity, change.diff or "{}").get(no, ()))
    return {one for one in named if isinstance(one, bytes)}


def _once_held(connection: Connection, scope: Scope, customer: bytes) -> bool:
    """Whether a customer was given to a branch, was its own or everybody's, or existed when the branch held all customers."""
    given = f"SELECT 1 FROM {GRANT.key} WHERE customer_id = ? AND branch_id = ?"  # also one that was taken back
    if connection.value(given, (customer, scope.branch_id)) is not None:
        return True
    changes = list(changelog.changes_of(connection, CUSTOMER, [customer]))
    if not changes or changes[0].lseq < _narrowed_at(connection, scope):
        return True
    began = changelog.first_values(connection, CUSTOMER, [customer]).get(customer, {})
    homes, pools = [began.get(_HOME)], [began.get(_POOL)]
    for change in changes:
        if change.op == UPDATE:
            told = changelog.parse_diff(CUSTOMER, change.diff or "{}")
            homes += told.get(_HOME, ())
            pools += told.get(_POOL, ())
    return bool({None, scope.branch_id} & set(homes)) or set(pools) != {None}


def _narrowed_at(connection: Connection, scope: Scope) -> int:
    """The number of head office's log at which the branch was last made to hold only its own customers."""
    found = 0
    for change in changelog.changes_of(connection, _BRANCH, [scope.branch_id]):
        _old, new = changelog.parse_diff(_BRANCH, change.diff or "{}").get(_HOLDS, (None, None)) if change.op == UPDATE else (None, None)
        found = change.lseq if new == BranchHolds.CUSTOMERS else found
    return found
