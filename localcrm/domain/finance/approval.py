"""What an expense tells the approvals about itself, and which expenses count: all that no flow asks about, the others once they were approved as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.approvals.documents import COUNTS, Document, Standing, standing
from localcrm.domain.approvals.rules import Fact, State
from localcrm.domain.finance.entities import EXPENSE_TYPES, Expense
from localcrm.domain.people.entities import User
from localcrm.domain.policy import Actor
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, records_by_id, titles
from localcrm.store.uow import UnitOfWork

_EXPENSE, _USER = Expense.entity_type, User.entity_type
_FACTS = (
    Fact("amount", N_("Amount"), "money"),
    Fact("type", N_("Spent on"), "choice", options=EXPENSE_TYPES),
    Fact("branch", N_("Branch"), "ref", ref="branch"),
)


def _facts(connection: Connection, expense: Record) -> Mapping[str, Any]:
    """Of one that was split over customers the amount of all parts together: splitting is no way around a limit."""
    whole = bytes.fromhex(expense["split_of_id"] or expense["id"])
    parts = connection.value("SELECT coalesce(sum(amount), 0) FROM expense WHERE (id = ?1 OR split_of_id = ?1) AND deleted = 0", (whole,))
    return {"amount": _EXPENSE.fields["amount"].load(parts), "type": expense["type"], "branch": expense["branch_id"]}


def _describe(_connection: Connection, expense: Mapping[str, Any]) -> str:
    """What for and how much, as far as they may be seen."""
    amount = expense.get("amount")
    told = (expense.get("purpose"), f"{amount:,.2f}" if isinstance(amount, Decimal) else None)
    return " · ".join(str(part) for part in told if part) or _EXPENSE.label


def _check_ready(uow: UnitOfWork, expense: Record) -> None:
    """An expense that could be saved lacks nothing."""


EXPENSE = Document(_FACTS, _facts, _describe, _check_ready, is_posted=False, words=COUNTS)


def _is_asked(connection: Connection) -> bool:
    """Whether there is a flow for expenses at all."""
    return bool(connection.value("SELECT 1 FROM approval_flow WHERE entity = ? AND active = 1 AND deleted = 0", (_EXPENSE.key,)))


def _counts(now: Standing) -> bool:
    return now.is_approved or (not now.is_waiting and now.flow is None)


def counted(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Of some expenses those that count."""
    wanted = list(ids)
    if not _is_asked(connection):
        return set(wanted)
    return {one["id"] for one in records_by_id(connection, _EXPENSE, wanted) if _counts(standing(connection, _EXPENSE, one))}


def derive_expense(connection: Connection, actor: Actor, records: list[Record]) -> list[dict[str, Any]]:
    """Beside expenses in a list: how far the approval is, and who decided last and when; nothing where a field that flows ask about is hidden."""
    seen = policy.view(actor, _EXPENSE)
    if not all(map(seen.shows, ("amount", "type", "branch_id"))):
        return [{} for _record in records]
    if not _is_asked(connection) and not connection.value("SELECT 1 FROM approval_request LIMIT 1"):
        return [{} for _record in records]
    whole = {one["id"]: one for one in records_by_id(connection, _EXPENSE, [record["id"] for record in records])}
    return [_told(connection, standing(connection, _EXPENSE, whole[record["id"]])) for record in records]


def _told(connection: Connection, now: Standing) -> dict[str, Any]:
    request = now.request
    if request is not None and (now.is_waiting or now.is_approved or (now.flow and request.state == State.REJECTED and not now.changed)):
        last = request.decisions[-1] if request.decisions else None
        by = titles(connection, _USER, [last["user_id"]]).get(last["user_id"], "") if last else ""
        return {
            "approval": str(request.state),
            "decided": f"{by} {last['decided_at'].astimezone():%Y-%m-%d %H:%M}".strip() if last else None,
        }
    return {"approval": "needed"} if now.flow is not None else {}
