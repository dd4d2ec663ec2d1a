"""Tabs: quotes, contracts and deliveries of the customer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nicegui import context, ui

from localcrm.domain.sales.entities import Contract, Delivery, Quote
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.ui.customer import renewals  # noqa: F401 -- the form of a contract shows what carries it on
from localcrm.ui.customer.tables import record_tab
from localcrm.ui.kit.menu import Action
from localcrm.ui.screens.records import Further
from localcrm.ui.screens.sales_papers import CONTRACT_ACTIONS, DELIVERY_ACTIONS, QUOTE_ACTIONS, note

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench


async def new_quote(bench: Workbench) -> None:
    """Start a quote for the chosen customer, on its page."""
    ui.navigate.to(f"/quotes/new?customer={bench.customer}")


async def _open_quote(_bench: Workbench, identity: str) -> None:
    ui.navigate.to(f"/quotes/{identity}")


async def _open_delivery(bench: Workbench, identity: str) -> None:
    await note(bench.session, identity)


_OPENS = {Quote.entity_type: _open_quote, Delivery.entity_type: _open_delivery}


def _offered(kind: EntityType, further: Sequence[Further]) -> Callable[[Workbench, str], list[Action]]:
    """By right-click on a paper what its list offers too; a change is drawn when it is heard of."""

    def actions(bench: Workbench, identity: str) -> list[Action]:
        async def do(action: Further) -> None:
            with context.client.content:  # the rows are drawn anew meanwhile, and a second dialog would go with them
                await action.run(bench.session, identity)

        opens = partial(_OPENS[kind], bench) if kind in _OPENS else bench.opening(kind)
        allowed = [one for one in further if bench.session.may(one.permission)]
        return [
            Action("open", _("Open record"), partial(opens, identity)),
            *(Action(one.id, gettext(one.label_msgid), partial(do, one), divided=place == 0) for place, one in enumerate(allowed)),
        ]

    return actions


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
    actions=_offered(Quote.entity_type, QUOTE_ACTIONS),
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
    actions=_offered(Contract.entity_type, CONTRACT_ACTIONS),
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
    actions=_offered(Delivery.entity_type, DELIVERY_ACTIONS),
)
