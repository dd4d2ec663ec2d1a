"""Stock is the sum of its movements, and movements are only ever added."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain.policy import SYSTEM
from localcrm.domain.stock.services import stock_list
from localcrm.kernel.errors import AppError
from localcrm.store.store import Store

Do = Callable[..., Any]


def test_on_hand_is_the_sum(do: Do, new: Do, store: Store) -> None:
    product, one, two = (
        new("product", code="P", name="布"),
        new("warehouse", code="A", name="甲仓"),
        new("warehouse", code="B", name="乙仓"),
    )
    for warehouse, quantity in ((one, "10.5"), (one, "-0.25"), (two, "3"), (two, "-3")):
        new("stock_move", product_id=product["id"], warehouse_id=warehouse["id"], quantity=quantity, type="adjust")
    with store.read() as connection:
        assert do("stock.stock_on_hand", product_id=product["id"])["on_hand"] == "10.25"
        assert [(row["warehouse_id"], row["quantity"]) for row in stock_list(connection, SYSTEM)] == [(one["id"], Decimal("10.2500"))]


def test_movements_are_never_changed_or_deleted(new: Do, do: Do) -> None:
    product, warehouse = new("product", code="P", name="布"), new("warehouse", code="A", name="甲仓")
    move = new("stock_move", product_id=product["id"], warehouse_id=warehouse["id"], quantity="1")
    for verb, parameters in (
        ("records.update_record", {"entity": "stock_move", "id": move["id"], "values": {"quantity": "2"}}),
        ("records.delete_record", {"entity": "stock_move", "id": move["id"]}),
    ):
        with pytest.raises(AppError) as refused:
            do(verb, **parameters)
        assert refused.value.code in {"ledger_row", "cannot_delete"}


def test_what_is_received_comes_in_and_what_is_issued_goes_out(new: Do) -> None:
    product, warehouse = new("product", name="x", code="p"), new("warehouse", name="w", code="w")
    for kind, wrong, right in (("receipt", "-5", "5"), ("issue", "5", "-5")):
        with pytest.raises(AppError) as refused:
            new("stock_move", product_id=product["id"], warehouse_id=warehouse["id"], type=kind, quantity=wrong)
        assert (refused.value.code, refused.value.params["expected"], refused.value.params["field"]) == ("wrong_sign", right, "quantity")
        new("stock_move", product_id=product["id"], warehouse_id=warehouse["id"], type=kind, quantity=right)


@pytest.mark.parametrize(
    ("quantity", "code"), [("0", "no_quantity"), ("0.00001", "too_many_decimals"), ("1e12", "number_too_large"), ("", "bad_number")]
)
def test_impossible_quantities_are_refused(new: Do, quantity: str, code: str) -> None:
    product, warehouse = new("product", code="P", name="布"), new("warehouse", code="A", name="甲仓")
    with pytest.raises(AppError) as refused:
        new("stock_move", product_id=product["id"], warehouse_id=warehouse["id"], quantity=quantity)
    assert refused.value.code == code
