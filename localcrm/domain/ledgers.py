"""What is posted or entered for good: at which branch it goes on, and how a row that is wrong is taken back by its opposite."""

from __future__ import annotations

from localcrm.domain import policy
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork


def check_own(uow: UnitOfWork, kind: EntityType, record: Record) -> None:
    """Refuse to go on with what another branch entered, or with what may have gone on elsewhere since this node was restored."""
    if record["branch_id"] != uow.node.branch_id:
        raise Refused("other_branch", N_("This document belongs to another branch; only that branch can change it."))
    if uow.may_have_gone_on(kind, record["id"]):
        if uow.node.is_office:
            raise Refused(
                "not_heard_since_restore",
                N_(
                    "Head office was restored from a backup, and not every branch has given back yet what was done after it. This document is from before; it may have been changed or posted already. Exchange with every branch first, and close those that do not come any more. New documents can be entered and posted meanwhile."
                ),
            )
        raise Refused(
            "not_heard_since_restore",
            N_(
                "This branch was restored from a backup and has not heard head office since. This document is from before; it may have been changed or posted already. Exchange first. New documents can be entered and posted meanwhile."
            ),
        )


def add_opposite(uow: UnitOfWork, actor: Actor, kind: EntityType, row: Record, *amounts: str, remark: str | None) -> str:
    """Add the opposite of a numbered row, of today, that names it in ``reverses_id``; returns its id. ``amounts``: fields that change their sign.

    Raises Refused for one that is reversed already, for a reversal, and away from the branch that entered it: two places that take one row
    back apart would do so twice.
    """
    policy.require_parent(uow.connection, actor, kind, row, "create")
    check_own(uow, kind, row)
    if row["reverses_id"]:
        raise Refused("is_reversal", N_("{number} is itself a reversal and cannot be reversed."), number=row["number"])
    if uow.where(kind, reverses_id=row["id"]):
        raise Refused("already_reversed", N_("{number} has already been reversed."), number=row["number"])
    day = uow.today
    declared = {key: row[key] for key, field in kind.fields.items() if field.custom is None}
    opposite = {key: -row[key] for key in amounts} | {"reverses_id": row["id"]}
    stamped = {"date": day, "number": next_number(uow, kind, day), "remark": remark}
    own = {key: row[key] for key, field in kind.fields.items() if field.custom and not field.custom.unique}
    return uow.insert(kind, {**kind.validate(declared | opposite | stamped), **own})
