"""Tab: the sales orders of the customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.sales.entities import SalesOrder
from localcrm.kernel.i18n import N_
from localcrm.ui.customer.tables import record_tab

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench


async def _open(_bench: Workbench, identity: str) -> None:
    ui.navigate.to(f"/orders/{identity}")


ORDERS = record_tab(
    SalesOrder.entity_type,
    ("number", "state", "date", "goods", "gross", "delivered", "paid", "open"),
    id="orders",
    label=N_("Orders"),
    new=N_("＋ New order"),
    empty=N_("No orders yet."),
    shows=frozenset({"receipt"}),
    start=lambda bench: bench.new_order(),
    open_row=_open,
    also=(N_("Sell again"), lambda identity: ui.navigate.to(f"/orders/new?copy={identity}")),
)
