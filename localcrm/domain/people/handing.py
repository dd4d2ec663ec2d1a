"""Records that go from one person to another, whether with one customer or with all of somebody's work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from localcrm.domain.policy import Actor
from localcrm.kernel.schema import EntityType, Kind
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork


class HandsOver(Protocol):
    """Gives one record of somebody whose work is handed over to somebody else; ``has_left``: he works here no longer."""

    def __call__(self, uow: UnitOfWork, actor: Actor, record: Record, to: str, *, has_left: bool) -> None: ...


#: Kinds of records to which more happens than that they belong to somebody else (see ``subjects``).
HANDED_OVER: dict[str, HandsOver] = {}


def pass_on(
    uow: UnitOfWork, actor: Actor, kind: EntityType, found: Iterable[Record], to: str, *, has_left: bool = False
) -> tuple[int, int]:
    """Give records of a kind to somebody else. Posted documents keep who sold them, and what another branch alone writes only that one can give.

    Returns how many went, and how many stayed because they are another branch's.
    """
    went = stayed = 0
    for record in found:
        if kind.kind is Kind.DOCUMENT and record["status"] != "draft":
            continue
        if _is_anothers(uow, kind, record):
            stayed += 1
        else:
            if kind.key in HANDED_OVER:
                HANDED_OVER[kind.key](uow, actor, record, to, has_left=has_left)
            else:
                uow.update(kind, record["id"], {kind.owner or "": to})
            went += 1
    return went, stayed


def _is_anothers(uow: UnitOfWork, kind: EntityType, record: Record) -> bool:
    if kind.kind is Kind.DOCUMENT:
        return bool(record["branch_id"] != uow.node.branch_id)
    return kind.home is not None and not uow.node.is_office and record[kind.home] != uow.node.branch_id
