"""Tab: what the customer has of us and uses, with serial numbers and warranty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcrm.domain.sales.entities import InstalledProduct
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.customer.tables import counting, reading, record_table
from localcrm.ui.customer.tabs import Tab

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench

INSTALLED = InstalledProduct.entity_type
_COLUMNS = ("product_id", "serial", "quantity", "sold_on", "warranty_until", "location")


def _draw(bench: Workbench, rows: list[dict[str, Any]]) -> None:
    record_table(
        bench,
        INSTALLED,
        _COLUMNS,
        rows,
        new=bench.adding(INSTALLED),
        new_label=_("＋ New product in use"),
        empty=_("Nothing of ours is known to be in use here."),
        open_row=bench.opening(INSTALLED),
    )


PRODUCTS = Tab(
    id="products",
    label_msgid=N_("Products in use"),
    permission="installed_product.read",
    count=counting(INSTALLED),
    read=reading(INSTALLED, sort="warranty_until"),
    draw=_draw,
    shows=frozenset({"installed_product"}),
)
