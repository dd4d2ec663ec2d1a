"""What is under way with a customer: what keeps it from being reclaimed, and what goes along when it is handed over.

The tables of subjects above are named here as the data file knows them; nothing of those subjects is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from localcrm.kernel.i18n import N_


@dataclass(frozen=True, slots=True)
class Work:
    """Records of one kind that name a customer. ``is_open``: SQL over the alias ``w`` for those that are not done with; {today} is a day as ISO text.

    ``spares``: as long as there is one its customer is not reclaimed.
    """

    label: str
    is_open: str
    spares: bool = True


#: By kind of record, in the order they are told. The plus keeps SQLite from gathering all records of a state, where few are of one customer.
WORK: Mapping[str, Work] = {
    "opportunity": Work(N_("Open opportunities"), "+w.state IN ('negotiating', 'won')"),
    "quote": Work(N_("Quotes without an answer"), "+w.status IN ('draft', 'sent')", spares=False),
    "contract": Work(N_("Running contracts"), "+w.status IN ('draft', 'signed') AND (w.ends_on IS NULL OR w.ends_on >= {today})"),
    "ticket": Work(N_("Open tickets"), "+w.state IN ('new', 'working', 'waiting')", spares=False),
    "sales_order": Work(N_("Draft orders of this branch"), "+w.status = 'draft'"),
}
#: Of a posted order: whether it was reversed, and whether it is to be paid still.
WAS_REVERSED = "EXISTS (SELECT 1 FROM sales_order x WHERE x.reverses_id = w.id AND x.status = 'posted' AND x.deleted = 0)"
UNPAID = f"""+w.status = 'posted' AND w.reverses_id IS NULL
    AND w.gross > coalesce((SELECT sum(r.total) FROM order_received r WHERE r.order_id = w.id), 0)
    AND NOT {WAS_REVERSED}"""


def sparing(customer: str, today: str) -> str:
    """SQL: whether something is under way that keeps a customer from being reclaimed: also a posted order, until it is paid or reversed.

    Of the SQL of the customer's id, and of today.
    """
    wanted = [(kind, work.is_open.format(today=today)) for kind, work in WORK.items() if work.spares]
    parts = [
        f"EXISTS (SELECT 1 FROM {kind} w WHERE w.customer_id = {customer} AND w.deleted = 0 AND {is_open})"
        for kind, is_open in [*wanted, ("sales_order", UNPAID)]
    ]
    return f"({' OR '.join(parts)})"


#: What stands for a day that has not come: as long as something lasts.
LASTS = date.max.isoformat()
#: The last day of something at a customer, by the field of a rule that asks for it: SQL with the places {customer} and {today}.
LAST_DAYS: Mapping[str, str] = {
    "opportunity_days": f"""(SELECT max(CASE WHEN w.state IN ('negotiating', 'won') THEN '{LASTS}' ELSE w.decided_on END)
        FROM opportunity w WHERE w.customer_id = {{customer}} AND w.deleted = 0)""",
    "deal_days": f"""(SELECT max(day) FROM (
        SELECT max(w.date) AS day FROM sales_order w WHERE w.customer_id = {{customer}} AND w.deleted = 0 AND +w.status = 'posted'
            AND w.reverses_id IS NULL AND w.opening = 0 AND NOT {WAS_REVERSED}
        UNION ALL SELECT max(w.signed_on) FROM contract w WHERE w.customer_id = {{customer}} AND w.deleted = 0 AND +w.status IN ('signed', 'fulfilled')
        UNION ALL SELECT max(w.decided_on) FROM opportunity w WHERE w.customer_id = {{customer}} AND w.deleted = 0 AND +w.state IN ('won', 'closed')))""",
    "contract_days": f"""(SELECT max(CASE WHEN w.ends_on IS NULL OR w.ends_on >= {{today}} THEN '{LASTS}' ELSE w.ends_on END)
        FROM contract w WHERE w.customer_id = {{customer}} AND w.deleted = 0 AND +w.status IN ('signed', 'fulfilled'))""",
}
#: Of which fields, by kind of record, what a rule asks for is worked out, by the field of the rule.
FOLLOWS_FROM: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "days": {"activity": ("at",)},
    "spare_open": {
        "opportunity": ("state",),
        "contract": ("status", "ends_on"),
        "sales_order": ("status", "gross"),
        "receipt": ("order_id", "amount"),
    },
    "opportunity_days": {"opportunity": ("state", "decided_on")},
    "deal_days": {"sales_order": ("status", "date"), "contract": ("status", "signed_on"), "opportunity": ("state", "decided_on")},
    "contract_days": {"contract": ("status", "ends_on")},
}
