"""Tab: money spent for the customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcrm.domain.finance.entities import Expense
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.customer.tables import counting, reading, record_table
from localcrm.ui.customer.tabs import Tab

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench

EXPENSE = Expense.entity_type
_COLUMNS = ("date", "type", "purpose", "amount", "user_id", "invoice_no")


def _draw(bench: Workbench, rows: list[dict[str, Any]]) -> None:
    record_table(
        bench,
        EXPENSE,
        _COLUMNS,
        rows,
        new=bench.adding(EXPENSE),
        new_label=_("＋ New expense"),
        empty=_("Nothing was spent for this customer yet."),
        open_row=bench.opening(EXPENSE),
    )


EXPENSES = Tab(
    id="expenses",
    label_msgid=N_("Expenses"),
    permission="expense.read",
    count=counting(EXPENSE),
    read=reading(EXPENSE, sort="-date"),
    draw=_draw,
    shows=frozenset({"expense"}),
)
