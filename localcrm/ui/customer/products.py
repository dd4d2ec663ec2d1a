"""Tab: what the customer has of us and uses, with serial numbers and warranty."""

from __future__ import annotations

from localcrm.domain.sales.entities import InstalledProduct
from localcrm.kernel.i18n import N_
from localcrm.ui.customer.tables import record_tab

PRODUCTS = record_tab(
    InstalledProduct.entity_type,
    ("product_id", "serial", "quantity", "sold_on", "warranty_until", "location", "returned_on"),
    id="products",
    label=N_("Products in use"),
    new=N_("＋ New product in use"),
    empty=N_("Nothing of ours is known to be in use here."),
    sort="warranty_until",
)
