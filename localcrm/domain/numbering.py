"""Numbers printed on documents and cards, gapless per branch, epoch, series and period (R13).

Given at posting, in the posting transaction: a failed posting gives its number back, a gap can only come from elsewhere.
"""

from __future__ import annotations

import datetime

from localcrm.kernel.schema import EntityType
from localcrm.store.numbers import current_format
from localcrm.store.uow import UnitOfWork


def next_number(uow: UnitOfWork, entity: EntityType, day: datetime.date) -> str:
    """The next number of a document of that business date, or of a card of that day: SO-BR01-20261118-0007.

    One that is there already is passed over: people type numbers of cards, and a new format may run into an old one.
    """
    form, code = current_format(uow.connection, entity), uow.node.number_code
    while True:
        number = form.render(code, day, uow.next_number(form.key(code), form.period(day)))
        if not uow.where(entity, number=number):
            return number
