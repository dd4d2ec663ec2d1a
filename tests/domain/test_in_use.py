"""What was put out of use stays where it is named, and nothing new is begun with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcrm.domain.sales import offers
from localcrm.kernel.errors import AppError
from tests.factories import Installation, copy_company


def refusal(at: Installation, verb: str, **parameters: object) -> tuple[str, str]:
    with pytest.raises(AppError) as refused:
        at.run(verb, **parameters)
    return refused.value.code, refused.value.message


def test_a_product_out_of_use_is_not_offered_and_stays_in_its_orders(tmp_path: Path) -> None:
    company = copy_company(tmp_path, branches=0)
    hq = company.hq
    mill, house, other = (
        hq.new("customer", name="永盛"),
        hq.new("warehouse", code="W1", name="老仓"),
        hq.new("warehouse", code="W2", name="新仓"),
    )
    cloth, silk = hq.new("product", code="A1", name="雪纺", price="5"), hq.new("product", code="A2", name="真丝", price="9")
    order = hq.run("sales.save_order", header={"customer_id": mill, "warehouse_id": house}, lines=[{"product_id": cloth, "quantity": "1"}])
    assert refusal(hq, "records.delete_record", entity="product", id=cloth)[0] == "referenced"

    hq.set("product", cloth, active=False)
    hq.set("warehouse", house, active=False)
    with hq.store.read() as connection:
        assert [row["id"] for row in offers.find_products(connection, hq.actor, text="A")] == [silk]
    code, message = refusal(hq, "sales.save_order", header={"customer_id": mill}, lines=[{"product_id": cloth, "quantity": "2"}])
    assert (code, "雪纺" in message) == ("not_in_use", True)
    assert refusal(hq, "sales.save_order", header={"customer_id": mill, "warehouse_id": house}, lines=[])[0] == "not_in_use"
    assert hq.run("sales.save_order", header={"customer_id": mill}, lines=[{"product_id": silk, "quantity": "1"}])["warehouse_id"] == other

    line = order["lines"][0]["id"]
    hq.run("sales.save_order", order_id=order["id"], header={"remark": "急"}, lines=[{"id": line, "quantity": "3"}])
    hq.run("sales.post_order", order_id=order["id"])
    move = {"product_id": cloth, "warehouse_id": house, "type": "receipt"}
    assert refusal(hq, "records.create_record", entity="stock_move", values={**move, "quantity": "5"})[0] == "not_in_use"
    hq.new("stock_move", **{**move, "type": "adjust", "quantity": "-1"})  # what is out of use may be emptied
    company.close()


def test_a_unit_stays_while_products_are_counted_in_it(tmp_path: Path) -> None:
    company = copy_company(tmp_path, branches=0)
    hq = company.hq
    bolt = hq.new("list_entry", list="unit", name="匹", decimals=0)
    cloth = hq.new("product", code="A1", name="雪纺", unit="匹")
    assert refusal(hq, "records.delete_record", entity="list_entry", id=bolt)[0] == "unit_in_use"
    assert refusal(hq, "records.update_record", entity="list_entry", id=bolt, values={"name": "卷"})[0] == "unit_in_use"
    hq.set("list_entry", bolt, decimals=1)
    hq.set("product", cloth, unit="米")
    hq.delete("list_entry", bolt)
    hq.undelete("list_entry", bolt)
    company.close()
