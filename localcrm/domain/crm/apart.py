"""One customer, dealt with at places apart: what follows beyond its values, its salesperson and its merges. Head office settles it.

Whatever did not come about leaves an entry that the person concerned finds: a conflict, or a share that says when it ended (ADR 0046).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from localcrm.domain.admin.entities import Conflict, ConflictKind, ConflictState
from localcrm.domain.crm import custody, pool_admins, pool_limits
from localcrm.domain.crm.entities import ChangeKind, Customer, OwnerChange
from localcrm.domain.people.entities import Share
from localcrm.kernel.ids import is_id
from localcrm.kernel.schema import EntityType
from localcrm.store.changelog import history
from localcrm.store.connection import Connection
from localcrm.store.merged import survivor
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_CUSTOMER, _SHARE, _CHANGE = Customer.entity_type, Share.entity_type, OwnerChange.entity_type
_CONFLICT = Conflict.entity_type


# shares ---------------------------------------------------------------------------------------------------------------------


def follow_shares(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """Shares that arrive at head office: one of a customer that was merged away follows it, one of a deleted customer is told of."""
    if not uow.node.is_office:
        return
    for identity in ids:
        share = uow.find(_SHARE, identity)
        if share is None or share["entity"] != _CUSTOMER.key or not is_id(share["record"]):
            continue
        kept = survivor(uow.connection, _CUSTOMER, share["record"])
        customer = uow.find(_CUSTOMER, kept, deleted=True)
        if customer is None:
            continue
        if kept != share["record"]:
            uow.update(_SHARE, identity, {"record": kept})
        if customer["deleted"]:
            if not _is_request(share):  # that is answered
                _tell_shared(uow, customer, share)
        elif _is_over(uow.connection, customer, share):
            uow.set_deleted(_SHARE, identity, deleted=True)


def follow_owners(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """Changes of salesperson that arrive at head office: one chain, and what ends with them ends also where it was done apart."""
    if not uow.node.is_office:
        return
    custody.bring_together(uow, ids)
    links = [link for identity in ids if (link := uow.find(_CHANGE, identity)) is not None]
    for customer_id in dict.fromkeys(link["customer_id"] for link in links):
        customer = uow.find(_CUSTOMER, customer_id)
        if customer is None:
            continue
        for share in uow.where(_SHARE, record=customer_id):
            if share["entity"] == _CUSTOMER.key and _is_over(uow.connection, customer, share):
                uow.set_deleted(_SHARE, share["id"], deleted=True)
        _into_open_pool(uow, customer_id)


def _into_open_pool(uow: UnitOfWork, customer_id: str) -> None:
    """What was put into a pool that had been closed meanwhile goes into one that is open: of those there is always one (``pools.check_pool``)."""
    lying = pool_admins.lies_in(uow.connection, customer_id)
    if lying is None or (lying["active"] and not lying["deleted"]):
        return
    into = next((pool for pool in pool_limits.pools(uow.connection) if pool["active"]), None)
    if into is not None:
        how = custody.Move(to=None, kind=ChangeKind.MOVED, by=None, pool=into["id"])
        custody.move(uow, uow.get(_CUSTOMER, customer_id), how)


def _is_over(connection: Connection, customer: Record, share: Record) -> bool:
    """Whether a share would have ended, had it been known where the customer changed hands: its salesperson is no member, a pool keeps no team."""
    if customer["owner_id"]:
        return bool(share["user_id"] == customer["owner_id"])
    if not customer["pool_id"] or _is_request(share):
        return False
    last = max(custody.links_of(connection, customer["id"]), key=lambda link: (link["at"], link["digest"]), default=None)
    return last is not None and _stamp(connection, _SHARE, share["id"]) < _stamp(connection, _CHANGE, last["id"])


def _is_request(share: Record) -> bool:
    """Whether somebody shared with himself: who asks for a customer of a pool reads it meanwhile."""
    return share["user_id"] is not None and share["user_id"] == share["shared_by"]


def _stamp(connection: Connection, kind: EntityType, identity: str) -> int:
    """The stamp of the newest change of a record."""
    return max((row.stamp for row in history(connection, kind, identity)), default=0)


def _tell_shared(uow: UnitOfWork, customer: Record, share: Record) -> None:
    """Shared at one place and deleted at another: a person decides, once for all shares of it."""
    if any(one["kind"] == ConflictKind.PARENT_DELETED for one in uow.where(_CONFLICT, record=customer["id"], state=ConflictState.OPEN)):
        return
    told: dict[str, Any] = {"kind": ConflictKind.PARENT_DELETED, "entity": _CUSTOMER.key, "record": customer["id"], "field": "deleted"}
    told |= {"base": "false", "kept": "true", "lost": "false", "lost_by": share["shared_by"]}
    row = next((row for row in history(uow.connection, _CUSTOMER, customer["id"]) if row.field == "deleted" and row.new), None)
    told |= {"kept_by": row.user_id, "kept_at": row.at, "kept_node": row.node} if row else {}
    uow.insert(_CONFLICT, _CONFLICT.validate(told))


# the recycle bin --------------------------------------------------------------------------------------------------------------


def into_bin(uow: UnitOfWork, customer_id: str) -> None:
    """Shares of a customer go along into the recycle bin: one that is left there was made by somebody who had not heard of it."""
    custody.end_shares(uow, customer_id)


def out_of_bin(uow: UnitOfWork, customer_id: str) -> None:
    """Shares that went along come back; those that somebody had ended before do not."""
    binned = _went(uow.connection, _CUSTOMER, customer_id)
    rows = uow.connection.all("SELECT id FROM share WHERE record = ? AND entity = ? AND deleted = 1", (customer_id, _CUSTOMER.key))
    for (pk,) in rows if binned else ():
        if _went(uow.connection, _SHARE, pk.hex()) == binned:
            uow.set_deleted(_SHARE, pk.hex(), deleted=False)


def _went(connection: Connection, kind: EntityType, identity: str) -> tuple[str, int] | None:
    """The transaction that put a record into the recycle bin last: its node and stamp."""
    row = next((row for row in history(connection, kind, identity) if row.field == "deleted" and row.new), None)
    return (row.node, row.stamp) if row else None
