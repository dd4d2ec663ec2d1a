"""Fields that a company adds to its orders: a draft may wait for them, a posting may not, and a reversal has them too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.kernel.errors import InvalidInput

Do = Callable[..., Any]


def test_what_the_company_requires_is_asked_for_at_posting(do: Do, new: Do) -> None:
    key = do("admin.add_field", entity="sales_order", label="合同号", type="text", required=True)["key"]
    customer, product = new("customer", name="甲公司"), new("product", code="P1", name="样布", price="9.80", stocked=False)
    lines = [{"product_id": product["id"], "quantity": "2"}]
    order = do("sales.save_order", header={"customer_id": customer["id"]}, lines=lines)
    with pytest.raises(InvalidInput) as refused:
        do("sales.post_order", order_id=order["id"])
    assert (refused.value.code, refused.value.params["field"]) == ("required", key)

    do("sales.save_order", order_id=order["id"], header={key: "HT-2026-118"}, lines=order["lines"] and lines)
    assert do("sales.post_order", order_id=order["id"])[key] == "HT-2026-118"
    assert do("sales.reverse_order", order_id=order["id"])[key] == "HT-2026-118"
