"""What may not be applied: changes that cannot be understood, and those that are not their sender's to make.

Whatever has a fault is kept out and kept (``sync_quarantine``); the names given here are what people are told.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from localcrm.domain.admin.entities import CustomFieldRecord
from localcrm.domain.approvals.company import load_company
from localcrm.domain.approvals.entities import ApprovalRequest, ApprovalStep
from localcrm.domain.approvals.rules import Company, decision_fault
from localcrm.domain.people import accounts
from localcrm.domain.people.entities import User
from localcrm.domain.roles import BasicRole
from localcrm.kernel.custom import MOST_OF_BRANCH, may_become, node_of
from localcrm.kernel.schema import EntityType, Kind, Stored
from localcrm.store.ddl import DELETED_NO, GONE, INSERT, UPDATE
from localcrm.sync.known import Known, Row, Work, column_no
from localcrm.sync.reach import Reach

if TYPE_CHECKING:
    from localcrm.sync.codec import Group
    from localcrm.sync.columns import Rules

_REQUEST, _STEP = ApprovalRequest.entity_type, ApprovalStep.entity_type
_DEFINITION = CustomFieldRecord.entity_type
_USER = User.entity_type
#: What a branch may write of its own people only.
_ACCOUNT = frozenset({DELETED_NO, *(_USER.fields[key].no for key in accounts.ACCOUNT)})


class Faults:
    """Judges changes as the rows stand when their turn comes."""

    def __init__(self, known: Known) -> None:
        self._known, self._sender, self._reach = known, known.sender, Reach(known)

    def of(self, work: Work, place: int, pk: bytes, row: Row | None, actor: bytes | None) -> str | None:
        """Why a change may not be applied, or None; ``place`` is its place in the group, ``row`` None for a row not there yet."""
        op = work.group.op
        if not work.sound:
            fault = self._fault_of_one(work.entity, op, work.group.values(place), row)
        elif op == INSERT:
            fault = None if row is None else "duplicate_id"
        else:
            fault = "unknown_row" if row is None or row.gone else None
        if fault is None and not work.free:
            values = work.group.values(place)
            fault = self._owner_fault(work.entity, op, pk, values) or self._decision_fault(work, place, actor)
            if fault is None and self._reach.is_beyond(work.entity, op, pk, {value[0]: value[-1] for value in values}):
                fault = "not_owner"
        return fault

    def of_whole_row(self, entity: EntityType, pk: bytes, values: dict[int, Stored]) -> str | None:
        """Why the sender may not add this row, or None."""
        given = [(no, value) for no, value in values.items() if no != DELETED_NO]
        fault = self._fault_of_one(entity, INSERT, given, None) or self._owner_fault(entity, INSERT, pk, given)
        return fault or ("not_owner" if self._reach.is_beyond(entity, INSERT, pk, dict(given)) else None)

    def is_free(self, group: Group, entity: EntityType, rules: Rules) -> bool:
        """Whether nobody owns what the changes of a group touch: who owns and who decides is nothing to ask."""
        if entity.kind in {Kind.DOCUMENT, Kind.LINE} or self._reach.is_asked(entity):
            return False
        if entity is _USER and group.op != INSERT and not _ACCOUNT.isdisjoint(group.columns):
            return self._sender is None
        mine = entity.kind is Kind.MASTER and not entity.home and rules.office_only.keys().isdisjoint(group.columns)
        return self._sender is None or mine

    def _fault_of_one(self, entity: EntityType, op: int, values: list[Any], row: Row | None) -> str | None:
        """What is wrong with one change of a group in which something is, whoever owns what it touches."""
        rules = self._known.rules(entity)
        given = {value[0]: value[-1] for value in values}
        if op not in {INSERT, UPDATE, GONE}:
            return "unknown_op"
        if not given.keys() <= rules.types.keys() or (op != UPDATE and DELETED_NO in given):
            return "unknown_column"
        if op == INSERT:
            if row is not None:
                return "duplicate_id"
            if any(given.get(no) is None for no in rules.required):
                return "missing_value"
        elif row is None or row.gone:
            return "unknown_row"
        elif entity.kind is Kind.LEDGER:
            return "ledger_row"
        if op == GONE and entity.kind is not Kind.LINE:
            return "physical_delete"
        if not all(rules.fits(no, [value]) for no, value in given.items()):
            return "bad_value"
        # Others are told what a row began with from what its first change says was there.
        if op == UPDATE and not all(rules.fits(no, [old]) for no, old, _new in values):
            return "bad_value"
        return None

    # whose it is ---------------------------------------------------------------------------------------------------------

    def _owner_fault(self, entity: EntityType, op: int, pk: bytes, values: list[Any]) -> str | None:
        """Ownership and immutability; a branch trusts that head office has checked who owns what."""
        if entity.kind is Kind.DOCUMENT:
            known = None if op == INSERT else self._known.document(pk)
            if known and known[0] == "posted":
                return "posted_document"
            named = [value[-1] for value in values if value[0] == column_no(entity, "branch_id")]
            owners = named or [None] if op == INSERT else [(known or ("", None))[1], *named]
            return next(filter(None, map(self._foreign, owners)), None) or self._lies(
                op, values, column_no(entity, "status"), known and known[0]
            )
        if entity.kind is Kind.LINE:
            parents = self._parents(entity, op, pk, values)
            fault = next(filter(None, map(self._document_fault, parents)), None)
            return fault or self._lies(op, values, column_no(entity, entity.parent or ""), parents[0])
        if self._sender is None:
            return None
        if entity.kind is Kind.LEDGER:
            return self._foreign(dict(values).get(column_no(entity, "branch_id")))
        if entity.home:
            return self._home_fault(entity, op, pk, values)
        if entity.kind is Kind.HUB or (entity.kind is Kind.STATE and op == INSERT):
            return "head_office_only"
        office_only = self._known.rules(entity).office_only
        if office_only:
            for no, *rest in values:
                # An update touches what it names: what it says was there before is only the branch's word.
                if no in office_only and (op == UPDATE or rest[-1] != office_only[no]):
                    return "head_office_only"
        if entity is _USER and op != INSERT and not _ACCOUNT.isdisjoint(value[0] for value in values):
            return self._account_fault(pk, {value[0] for value in values})
        return None

    def _account_fault(self, pk: bytes, columns: set[int]) -> str | None:
        """Who signs in as somebody else at head office has his rights there: see ``accounts``."""
        assert self._sender is not None
        row = self._known.rows[_USER.no].get(pk)
        connection, node_no = self._known.connection, self._sender.node_no
        is_maker = (row is not None and row.new is not None) or accounts.is_maker(connection, pk, node_no)
        role, home = (self._known.now(_USER, pk, column_no(_USER, key)) for key in ("role", "branch_id"))
        if accounts.belongs(role=role, home=home, branch=self._sender.branch_id, is_maker=is_maker):
            return None
        is_reset = columns == {column_no(_USER, "password")} and role != BasicRole.ADMIN
        return None if is_reset and accounts.take_expected(connection, pk, node_no) else "foreign_account"

    def _lies(self, op: int, values: list[Any], column: int, now: Stored) -> str | None:
        """Whether an update says that a column held something else than it does. Others are told what a row began with from what its
        first change says was there; of these columns it depends whether they take what follows.
        """
        if self._sender is None or op != UPDATE:
            return None
        return "bad_value" if any(no == column and old != now for no, old, _new in values) else None

    def _foreign(self, owner: Stored) -> str | None:
        return "not_owner" if self._sender and owner != self._sender.branch_id else None

    def _document_fault(self, document_id: bytes | None) -> str | None:
        """Why a line of this document may not be touched."""
        document = self._known.document(document_id) if document_id else None
        if document is None:
            return "unknown_parent"
        return "posted_document" if document[0] == "posted" else self._foreign(document[1])

    def _parents(self, entity: EntityType, op: int, pk: bytes, values: list[Any]) -> list[bytes | None]:
        """The document a line belongs to, and the one it is moved to."""
        key = column_no(entity, entity.parent or "")
        named = [value[-1] for value in values if value[0] == key]
        if op == INSERT:
            return named or [None]
        now = self._known.now(entity, pk, key)
        return [now if isinstance(now, bytes) else None, *(named if op == UPDATE else [])]

    # what a branch defines for itself --------------------------------------------------------------------------------------

    def _home_fault(self, entity: EntityType, op: int, pk: bytes, values: list[Any]) -> str | None:
        """A branch writes what it has defined for itself, and does not make something else of it."""
        assert self._sender is not None
        given = {value[0]: value[-1] for value in values}
        home = column_no(entity, entity.home or "")
        owners = [given.get(home)] if op == INSERT else [self._known.now(entity, pk, home), *([given[home]] if home in given else [])]
        if foreign := next(filter(None, map(self._foreign, owners)), None):
            return foreign
        if op == UPDATE and any(no in entity.by_no and entity.by_no[no].f.fixed for no in given):
            return "fixed_column"
        return self._definition_fault(op, pk, given) if entity is _DEFINITION else None

    def _definition_fault(self, op: int, pk: bytes, given: dict[int, Any]) -> str | None:
        """What a definition would do to the tables of everybody (see ``kernel.custom``)."""
        assert self._sender is not None
        kind = column_no(_DEFINITION, "type")
        if op == UPDATE:
            return "type_loses" if kind in given and not may_become(str(self._known.now(_DEFINITION, pk, kind)), given[kind]) else None
        if node_of(given[column_no(_DEFINITION, "number")]) != self._sender.node_no:
            return "not_owner"
        table = given[column_no(_DEFINITION, "entity")]
        place = self._known.rules(_DEFINITION).places[column_no(_DEFINITION, "entity")]
        arriving = sum(row.new is not None and row.new[place] == table for row in self._known.rows[_DEFINITION.no].values())
        counted = "SELECT count(*) FROM custom_field WHERE entity = ? AND branch_id = ?"
        there = int(self._known.connection.value(counted, (table, self._sender.branch_id)))
        return "too_many_fields" if there + arriving >= MOST_OF_BRANCH else None

    # who decides -------------------------------------------------------------------------------------------------------------

    def _decision_fault(self, work: Work, place: int, actor: bytes | None) -> str | None:
        """Somebody submits in his own name, and decides only where and what he was asked; head office looks, branches trust it."""
        entity = work.entity
        if self._sender is None or entity not in {_REQUEST, _STEP} or work.group.op != INSERT:
            return None
        given = dict(work.group.values(place))
        if entity is _REQUEST:
            return None if given[column_no(entity, "author_id")] == actor else "not_author"
        made = {key: entity.fields[key].load(given[column_no(entity, key)]) for key in ("request_id", "seat", "decision", "user_id")}
        request = bytes.fromhex(made["request_id"])
        asked = {
            key: self._known.now(_REQUEST, request, column_no(_REQUEST, key)) for key in ("author_id", "owner_id", "branch_id", "plan")
        }
        if asked["plan"] is None:
            return "unknown_parent"
        told = {key: _REQUEST.fields[key].load(value) for key, value in asked.items()}
        branch = self._sender.branch_id.hex()
        return decision_fault(told, made, author=actor.hex() if actor else None, branch=branch, company=self._company)

    @cached_property
    def _company(self) -> Company:
        """Who is who, as it was before this batch."""
        return load_company(self._known.connection)
