"""However many lines an order has, what is asked and kept about the whole order is asked and kept once when it is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain.approvals import documents
from localcrm.domain.sales import services
from localcrm.kernel.errors import Refused

Do = Callable[..., Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often an order was asked whether it waits for an approval, and how often its totals were added up."""
    counts: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        real = getattr(module, name)

        def count(*given: Any) -> Any:
            counts[name] += 1
            return real(*given)

        monkeypatch.setattr(module, name, count)

    counted(documents, "latest_request")
    counted(services, "_refresh_totals")
    return counts


def lines_of(product: dict[str, Any], count: int) -> list[dict[str, Any]]:
    return [{"product_id": product["id"], "quantity": str(number)} for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 20])
def test_an_order_is_asked_and_added_up_once(do: Do, new: Do, asked: Counter[str], count: int) -> None:
    product = new("product", code="P1", name="样布", price="1")
    order = do("sales.save_order", header={}, lines=lines_of(product, count))
    assert asked == {"_refresh_totals": 1}  # nobody can have been asked about a new one
    asked.clear()
    again = [{"id": line["id"], "quantity": "2"} for line in order["lines"]]
    saved = do("sales.save_order", order_id=order["id"], header={}, lines=again)
    assert (saved["gross"], asked) == (f"{2 * count}.00", {"latest_request": 1, "_refresh_totals": 1})
    asked.clear()
    unchanged = do("sales.save_order", order_id=order["id"], header={}, lines=again)
    assert (unchanged["version"], asked) == (saved["version"], {"latest_request": 1})


def test_a_single_line_is_asked_and_added_up_by_itself(do: Do, new: Do, asked: Counter[str]) -> None:
    product = new("product", code="P1", name="样布", price="1")
    order = do("sales.save_order", header={}, lines=lines_of(product, 3))
    asked.clear()
    do("records.update_record", entity="sales_order_line", id=order["lines"][0]["id"], values={"quantity": "5"})
    assert asked == {"latest_request": 1, "_refresh_totals": 1}
    assert do("sales.order_with_lines", order_id=order["id"])["gross"] == "10.00"


def test_no_order_takes_a_line_out_of_one_that_is_posted(do: Do, new: Do) -> None:
    product, customer = new("product", code="P1", name="样布", price="1", stocked="false"), new("customer", name="甲公司")
    posted = do("sales.save_order", header={"customer_id": customer["id"]}, lines=lines_of(product, 1))
    do("sales.post_order", order_id=posted["id"])
    draft = do("sales.save_order", header={}, lines=lines_of(product, 1))
    with pytest.raises(Refused) as refused:
        do("sales.save_order", order_id=draft["id"], header={}, lines=[{"id": posted["lines"][0]["id"], "quantity": "9"}])
    assert refused.value.code == "posted_document"


def test_a_line_moves_from_one_draft_to_another_and_both_add_up(do: Do, new: Do) -> None:
    product = new("product", code="P1", name="样布", price="1")
    first, second = (do("sales.save_order", header={}, lines=lines_of(product, 2)) for _one in range(2))
    moved = do("sales.save_order", order_id=second["id"], header={}, lines=[{"id": first["lines"][1]["id"], "quantity": "2"}])
    assert (moved["gross"], do("sales.order_with_lines", order_id=first["id"])["gross"]) == ("2.00", "1.00")
