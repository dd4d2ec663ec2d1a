"""Tab: money spent for the customer."""

from __future__ import annotations

from localcrm.domain.finance.entities import Expense
from localcrm.kernel.i18n import N_
from localcrm.ui.customer.tables import record_tab

EXPENSES = record_tab(
    Expense.entity_type,
    ("date", "type", "purpose", "amount", "approval", "user_id", "invoice_no"),
    id="expenses",
    label=N_("Expenses"),
    new=N_("＋ New expense"),
    empty=N_("Nothing was spent for this customer yet."),
    sort="-date",
    shows=frozenset({"approval_flow", "approval_request", "approval_step"}),
)
