"""Tabs: quotes, contracts and deliveries of the customer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nicegui import context, ui

from localcrm.domain.sales.entities import Contract, Delivery, Quote
from localcrm.kernel.i18n import N_, gettext
from localcrm.ui.customer.tables import record_tab
from localcrm.ui.kit.menu import Action
from localcrm.ui.screens.records import Further
from localcrm.ui.screens.sales_papers import DELIVERY_ACTIONS, note

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench


async def new_quote(bench: Workbench) -> None:
    """Start a quote for the chosen customer, on its page."""
    ui.navigate.to(f"/quotes/new?customer={bench.customer}")


async def _open_quote(_bench: Workbench, identity: str) -> None:
    ui.navigate.to(f"/quotes/{identity}")


async def _open_delivery(bench: Workbench, identity: str) -> None:
    await note(bench.session, identity)


def _delivery_actions(bench: Workbench, identity: str) -> list[Action]:
    """What is done with deliveries in their list; a change is drawn when it is heard of."""

    async def do(action: Further) -> None:
        with context.client.content:  # the rows are drawn anew meanwhile, and a second dialog would go with them
            await action.run(bench.session, identity)

    offered = [one for one in DELIVERY_ACTIONS if bench.session.may(one.permission)]
    return [Action(one.id, gettext(one.label_msgid), partial(do, one)) for one in offered]


QUOTES = record_tab(
    Quote.entity_type,
    ("number", "title", "version_no", "amount", "status", "valid_until", "owner_id"),
    id="quotes",
    label=N_("Quotes"),
    new=N_("＋ New quote"),
    empty=N_("Nothing was quoted to this customer yet."),
    sort="-date",
    start=new_quote,
    open_row=_open_quote,
)
CONTRACTS = record_tab(
    Contract.entity_type,
    ("number", "title", "amount", "ordered_percent", "received_percent", "unreceived", "status", "ends_on"),
    id="contracts",
    label=N_("Contracts"),
    new=N_("＋ New contract"),
    empty=N_("No contracts yet."),
    sort="-signed_on",
    shows=frozenset({"sales_order", "receipt"}),
)
DELIVERIES = record_tab(
    Delivery.entity_type,
    ("number", "order_id", "date", "content", "carrier", "tracking_no", "status", "received_by"),
    id="deliveries",
    label=N_("Deliveries"),
    new=N_("＋ New delivery"),
    empty=N_("Nothing was sent to this customer yet."),
    sort="-date",
    open_row=_open_delivery,
    actions=_delivery_actions,
)
