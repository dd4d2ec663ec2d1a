"""Our own companies: their pictures, their accounts, and which branch works for which."""

from __future__ import annotations

from typing import Any, Literal

from localcrm.domain import policy
from localcrm.domain.admin.entities import BankAccount, LegalEntity
from localcrm.domain.admin.pictures import read_picture
from localcrm.domain.policy import Actor
from localcrm.domain.records import require_here
from localcrm.domain.verbs import RecordId
from localcrm.store.connection import Connection
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_COMPANY, _ACCOUNT = LegalEntity.entity_type, BankAccount.entity_type


def set_picture(
    uow: UnitOfWork, actor: Actor, *, legal_entity_id: RecordId, use: Literal["logo", "seal"], data: str | None
) -> dict[str, Any]:
    """Keep a picture (base64 of a PNG, JPEG or WebP file) as logo or seal, or none; returns {"id", "width", "height"}."""
    require_here(uow, _COMPANY)
    picture = read_picture(data) if data else None
    policy.require_fields(actor, _COMPANY, {use: data}, uow.get(_COMPANY, legal_entity_id))
    uow.update(_COMPANY, legal_entity_id, {use: picture.text if picture else None})
    return {"id": legal_entity_id, "width": picture.width if picture else 0, "height": picture.height if picture else 0}


def only_default(uow: UnitOfWork, actor: Actor, account: Record, old: Record | None) -> None:  # noqa: ARG001
    """One account of a company is the default: the first, or the one that was made it last."""
    others = [other for other in uow.where(_ACCOUNT, legal_entity_id=account["legal_entity_id"]) if other["id"] != account["id"]]
    if account["is_default"]:
        for other in others:
            uow.update(_ACCOUNT, other["id"], {"is_default": False})
    elif not any(other["is_default"] for other in others):
        uow.update(_ACCOUNT, account["id"], {"is_default": True})


def company_of_branch(connection: Connection, branch_id: str) -> str | None:
    """Id of the company that a branch works for: the one set for it, or the only one there is."""
    chosen = connection.value(
        "SELECT c.id FROM branch b JOIN legal_entity c ON c.id = b.legal_entity_id WHERE b.id = ? AND c.deleted = 0",
        (bytes.fromhex(branch_id),),
    )
    if chosen is None:
        companies = connection.all("SELECT id FROM legal_entity WHERE deleted = 0 LIMIT 2")
        chosen = companies[0][0] if len(companies) == 1 else None
    return chosen.hex() if chosen else None
