"""One expense split at two places apart: the parts of both count, and head office is told of those that are for the same customer."""

from __future__ import annotations

import json
from collections.abc import Sequence

from localcrm.domain.admin.after_merge import note_same_value
from localcrm.domain.admin.conflicts import as_text
from localcrm.domain.finance.entities import Expense
from localcrm.store.uow import UnitOfWork

_EXPENSE = Expense.entity_type


def follow_arrived(uow: UnitOfWork, arrived: Sequence[str]) -> None:
    """Of parts of an expense that arrive at head office, tell which another part of it says the same customer."""
    if not uow.node.is_office:
        return
    field = _EXPENSE.fields["amount"]
    for identity, other, amount in uow.connection.all(
        """SELECT a.id, b.id, a.amount FROM json_each(?) j CROSS JOIN expense a ON a.id = unhex(j.value)
           CROSS JOIN expense b ON b.split_of_id = a.split_of_id AND +b.customer_id = a.customer_id AND b.id <> a.id
           WHERE a.deleted = 0 AND b.deleted = 0 ORDER BY a.rid, b.rid""",
        (json.dumps(arrived),),
    ):
        note_same_value(uow, _EXPENSE, field, identity.hex(), other.hex(), as_text(field, amount))
