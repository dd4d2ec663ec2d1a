"""Tab: the sales orders of the customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.sales.entities import SalesOrder
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.customer.tables import counting, reading, record_table
from localcrm.ui.customer.tabs import Tab

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench

ORDER = SalesOrder.entity_type
_COLUMNS = ("number", "state", "date", "gross", "delivered", "paid", "open", "owner_id")


async def _open(identity: str) -> None:
    ui.navigate.to(f"/orders/{identity}")


def _draw(bench: Workbench, rows: list[dict[str, Any]]) -> None:
    record_table(bench, ORDER, _COLUMNS, rows, new=bench.new_order, new_label=_("＋ New order"), empty=_("No orders yet."), open_row=_open)


ORDERS = Tab(
    id="orders",
    label_msgid=N_("Orders"),
    permission="sales_order.read",
    count=counting(ORDER),
    read=reading(ORDER),
    draw=_draw,
    shows=frozenset({"sales_order", "receipt"}),
)
