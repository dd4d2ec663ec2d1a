"""Units and tax rates: small lists of head office, and what they ask of quantities."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain.catalog.rules import check_decimals
from localcrm.domain.catalog.services import offered_tax_rates, unit_decimals
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.store.store import Store

Do = Callable[..., Any]


@pytest.mark.parametrize(
    ("quantity", "unit", "fits"),
    [
        ("3", "匹", True),
        ("3.0000", "匹", True),
        ("0.5", "匹", False),
        ("-2.5", "匹", False),
        ("1.25", "米", True),
        ("1.255", "米", False),
        ("0.1234", "卷", True),
    ],
)
def test_a_quantity_is_as_fine_as_its_unit(quantity: str, unit: str, fits: bool) -> None:
    if fits:
        check_decimals(Decimal(quantity), unit, {"匹": 0, "米": 2})
        return
    with pytest.raises(InvalidInput) as refused:
        check_decimals(Decimal(quantity), unit, {"匹": 0, "米": 2})
    assert (refused.value.code, refused.value.field, unit in refused.value.message) == ("too_fine", "quantity", True)


def test_lists_keep_their_order_and_names_stand_once(do: Do, new: Do, store: Store) -> None:
    metre = new("list_entry", list="unit", name="米", decimals="2", position="2")["id"]
    new("list_entry", list="unit", name="匹", decimals="0", position="1")
    new("list_entry", list="tax_rate", name="13%", rate="0.13")
    with store.read() as connection:
        assert (list(unit_decimals(connection).items()), offered_tax_rates(connection)) == ([("匹", 0), ("米", 2)], [Decimal("0.1300")])
    for values, code in (
        ({"list": "unit", "name": "米"}, "in_list_already"),
        ({"list": "tax_rate", "name": "免税"}, "required"),
        ({"list": "colour", "name": "红"}, "bad_choice"),
        ({"list": "unit", "name": "克", "decimals": "5"}, "too_large"),
    ):
        with pytest.raises(AppError) as refused:
            new("list_entry", **values)
        assert refused.value.code == code
    do("records.update_record", entity="list_entry", id=metre, values={"decimals": "3"})
    do("records.delete_record", entity="list_entry", id=metre)
    new("list_entry", list="unit", name="米")


def test_orders_and_movements_take_no_part_of_a_whole(do: Do, new: Do) -> None:
    new("list_entry", list="unit", name="匹", decimals="0")
    product = new("product", code="P", name="坯布", unit="匹", price="100")["id"]
    warehouse = new("warehouse", code="W", name="仓")["id"]
    for verb, values in (
        ("sales.save_order", {"header": {}, "lines": [{"product_id": product, "quantity": "1.5"}]}),
        (
            "records.create_record",
            {"entity": "stock_move", "values": {"product_id": product, "warehouse_id": warehouse, "quantity": "1.5"}},
        ),
    ):
        with pytest.raises(InvalidInput) as refused:
            do(verb, **values)
        assert refused.value.message == "“匹”只能是整数。"
    assert do("sales.save_order", header={}, lines=[{"product_id": product, "quantity": "2"}])["lines"][0]["quantity"] == "2"
