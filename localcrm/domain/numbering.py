"""Numbers printed on documents and cards: prefix-branch-date-sequence, gapless per branch, epoch, series and day (R13).

Given at posting, in the posting transaction: a failed posting gives its number back, a gap can only come from elsewhere.
"""

from __future__ import annotations

import datetime

from localcrm.kernel.schema import EntityType
from localcrm.store.uow import UnitOfWork


def next_dated_number(uow: UnitOfWork, entity: EntityType, day: datetime.date) -> str:
    """The next number of a document of that business date: SO-BR01-20261118-0007."""
    head, period = f"{entity.series}-{uow.node.number_code}", day.strftime("%Y%m%d")
    return f"{head}-{period}-{uow.next_number(head, period):04d}"


def next_plain_number(uow: UnitOfWork, entity: EntityType) -> str:
    """The next number of a card that has no date: C-BR01-000012."""
    head = f"{entity.series}-{uow.node.number_code}"
    return f"{head}-{uow.next_number(head, ''):06d}"
