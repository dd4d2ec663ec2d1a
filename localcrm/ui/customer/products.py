"""Tab: what the customer has of us and uses, with serial numbers and warranty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.domain.sales.entities import InstalledProduct
from localcrm.kernel.i18n import N_
from localcrm.ui.customer.piece import actions, show
from localcrm.ui.customer.tables import record_tab

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench


async def _open(bench: Workbench, identity: str) -> None:
    await show(bench.session, identity)


PRODUCTS = record_tab(
    InstalledProduct.entity_type,
    ("product_id", "serial", "quantity", "sold_on", "warranty_until", "location", "consumable_on", "returned_on"),
    id="products",
    label=N_("Products in use"),
    new=N_("＋ New product in use"),
    empty=N_("Nothing of ours is known to be in use here."),
    sort="warranty_until",
    open_row=_open,
    actions=actions,
)
