"""A sales order from its draft to its reversal."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import records
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError, Refused, StaleRecord
from localcrm.store.store import Store

Do = Callable[..., Any]


@pytest.fixture
def goods(new: Do) -> dict[str, str]:
    """A customer, a product with 100 in stock, a service, a warehouse."""
    customer = new("customer", name="浙江瑞祥进出口有限公司")
    product = new("product", code="XF75-03", name="雪纺 75D", unit="米", price="9.80")
    service = new("product", code="FW-01", name="裁剪服务", price="50", stocked="false")
    warehouse = new("warehouse", code="W1", name="柯桥一号仓")
    new("stock_move", product_id=product["id"], warehouse_id=warehouse["id"], quantity="100", type="opening")
    return {"customer": customer["id"], "product": product["id"], "service": service["id"], "warehouse": warehouse["id"]}


@pytest.fixture
def draft(do: Do, goods: dict[str, str]) -> dict[str, Any]:
    """An order of 12 at list price and 8 at 95 %."""
    lines = [{"product_id": goods["product"], "quantity": "12"}, {"product_id": goods["product"], "quantity": "8", "discount": "0.95"}]
    return do("sales.save_order", header={"customer_id": goods["customer"]}, lines=lines)  # type: ignore[no-any-return]


def refusal(do: Do, verb: str, **parameters: Any) -> str:
    with pytest.raises(AppError) as refused:
        do(verb, **parameters)
    return refused.value.code


def test_a_draft_takes_what_the_product_knows_and_adds_up(draft: dict[str, Any]) -> None:
    assert [(line["description"], line["unit"], line["price"], line["gross"]) for line in draft["lines"]] == [
        ("雪纺 75D", "米", "9.8", "117.60"),
        ("雪纺 75D", "米", "9.8", "74.48"),
    ]
    assert (draft["net"], draft["tax"], draft["gross"]) == ("169.98", "22.10", "192.08")
    assert (draft["number"], draft["state"], draft["branch_id"] is not None) == (None, "draft", True)


def test_saving_again_changes_adds_and_removes_lines(do: Do, draft: dict[str, Any], goods: dict[str, str]) -> None:
    first = draft["lines"][0]
    saved = do(
        "sales.save_order",
        order_id=draft["id"],
        header={"remark": "急"},
        lines=[{"product_id": goods["service"], "quantity": "1"}, {"id": first["id"], "quantity": "10"}],
        version=draft["version"],
    )
    assert [(line["position"], line["description"], line["quantity"]) for line in saved["lines"]] == [
        (1, "裁剪服务", "1"),
        (2, "雪纺 75D", "10"),
    ]
    assert (saved["gross"], saved["remark"]) == ("148.00", "急")


def test_prices_without_tax_reprice_the_lines(do: Do, draft: dict[str, Any]) -> None:
    do("records.update_record", entity="sales_order", id=draft["id"], values={"tax_included": "false"})
    order = do("sales.order_with_lines", order_id=draft["id"])
    assert (order["net"], order["tax"], order["gross"]) == ("192.08", "24.97", "217.05")


def test_posting_numbers_issues_and_freezes(do: Do, draft: dict[str, Any], goods: dict[str, str], store: Store) -> None:
    posted = do("sales.post_order", order_id=draft["id"])
    assert posted["number"] == f"SO-HQ-{datetime.date.today():%Y%m%d}-0001"
    assert (posted["state"], posted["delivered"], posted["paid"], posted["open"], posted["warnings"]) == (
        "posted",
        "all",
        "none",
        "192.08",
        [],
    )
    assert posted["customer_name"] == "浙江瑞祥进出口有限公司"
    assert do("stock.stock_on_hand", product_id=goods["product"], warehouse_id=goods["warehouse"])["on_hand"] == "80"
    assert refusal(do, "records.update_record", entity="sales_order", id=draft["id"], values={"remark": "x"}) == "posted_document"
    line = posted["lines"][0]["id"]
    assert refusal(do, "records.update_record", entity="sales_order_line", id=line, values={"quantity": "1"}) == "posted_document"
    assert refusal(do, "records.delete_record", entity="sales_order_line", id=line) == "posted_document"
    assert refusal(do, "records.delete_record", entity="sales_order", id=draft["id"]) == "posted_document"
    assert refusal(do, "sales.post_order", order_id=draft["id"]) == "posted_document"


def test_the_customer_may_be_renamed_but_the_posted_name_stays(do: Do, draft: dict[str, Any], goods: dict[str, str]) -> None:
    do("sales.post_order", order_id=draft["id"])
    do("records.update_record", entity="customer", id=goods["customer"], values={"name": "瑞祥集团"})
    assert do("sales.order_with_lines", order_id=draft["id"])["customer_name"] == "浙江瑞祥进出口有限公司"


def test_a_reversal_brings_goods_and_money_back_to_zero(do: Do, draft: dict[str, Any], goods: dict[str, str], store: Store) -> None:
    do("sales.post_order", order_id=draft["id"])
    reversal = do("sales.reverse_order", order_id=draft["id"])
    assert (reversal["state"], reversal["gross"], reversal["number"][-4:]) == ("reversal", "-192.08", "0002")
    original = do("sales.order_with_lines", order_id=draft["id"])
    assert (original["state"], original["reversed_by"], original["open"]) == ("reversed", reversal["id"], "0.00")
    assert do("stock.stock_on_hand", product_id=goods["product"])["on_hand"] == "100"
    assert refusal(do, "sales.reverse_order", order_id=draft["id"]) == "already_reversed"
    assert refusal(do, "sales.reverse_order", order_id=reversal["id"]) == "is_reversal"


def test_money_received_makes_an_order_paid(do: Do, draft: dict[str, Any]) -> None:
    assert refusal(do, "finance.receive_payment", order_id=draft["id"], amount="1") == "not_posted"
    do("sales.post_order", order_id=draft["id"])
    receipt = do("finance.receive_payment", order_id=draft["id"], amount="92.08", method="cash")
    assert receipt["number"] == f"RC-HQ-{datetime.date.today():%Y%m%d}-0001"
    assert do("sales.order_with_lines", order_id=draft["id"])["paid"] == "part"
    assert refusal(do, "finance.receive_payment", order_id=draft["id"], amount="100.01") == "more_than_open"
    assert refusal(do, "finance.receive_payment", order_id=draft["id"], amount="-92.09") == "more_than_open"
    do("finance.receive_payment", order_id=draft["id"], amount="100.00")
    order = do("sales.order_with_lines", order_id=draft["id"])
    assert (order["paid"], order["received"], order["open"]) == ("all", "192.08", "0.00")


def test_a_shortage_is_told_and_not_hidden(do: Do, goods: dict[str, str]) -> None:
    order = do("sales.save_order", header={"customer_id": goods["customer"]}, lines=[{"product_id": goods["product"], "quantity": "130"}])
    warnings = do("sales.post_order", order_id=order["id"])["warnings"]
    assert [(w["product"], w["on_hand"]) for w in warnings] == [("雪纺 75D", "-30")]


def test_services_move_no_stock_and_need_no_warehouse(do: Do, goods: dict[str, str]) -> None:
    order = do("sales.save_order", header={"customer_id": goods["customer"]}, lines=[{"product_id": goods["service"], "quantity": "2"}])
    posted = do("sales.post_order", order_id=order["id"])
    assert (posted["gross"], posted["delivered"]) == ("100.00", "none")


def test_an_empty_order_is_not_posted_and_takes_no_number(do: Do, goods: dict[str, str], draft: dict[str, Any]) -> None:
    empty = do("sales.save_order", header={"customer_id": goods["customer"]}, lines=[])
    assert refusal(do, "sales.post_order", order_id=empty["id"]) == "no_lines"
    nobody = do("sales.save_order", header={}, lines=[{"product_id": goods["service"], "quantity": "1"}])
    assert refusal(do, "sales.post_order", order_id=nobody["id"]) == "no_customer"
    assert do("sales.post_order", order_id=draft["id"])["number"].endswith("-0001")


def test_a_stale_save_is_refused_with_the_difference(do: Do, draft: dict[str, Any]) -> None:
    do("records.update_record", entity="sales_order", id=draft["id"], values={"remark": "她的"}, version=draft["version"])
    with pytest.raises(StaleRecord) as refused:
        do("records.update_record", entity="sales_order", id=draft["id"], values={"remark": "我的"}, version=draft["version"])
    assert refused.value.differences == [("remark", "我的", "她的")]


def test_amounts_and_state_cannot_be_typed(do: Do, draft: dict[str, Any]) -> None:
    for values in ({"gross": "1"}, {"status": "posted"}, {"number": "SO-1"}):
        assert refusal(do, "records.update_record", entity="sales_order", id=draft["id"], values=values) == "not_editable"


def test_a_used_customer_is_not_deleted_and_the_list_says_why(
    new: Do, goods: dict[str, str], draft: dict[str, Any], store: Store, admin: Actor
) -> None:
    assert draft["customer_id"] == goods["customer"]
    with pytest.raises(Refused) as refused, store.unit_of_work(admin.user_id) as uow:
        records.delete_record(uow, admin, entity="customer", id=goods["customer"])
    assert refused.value.code == "referenced"
    assert "销售单 1" in refused.value.message


def test_what_only_verbs_write_cannot_be_emptied(do: Do, draft: dict[str, Any]) -> None:
    for key in ("branch_id", "gross", "status"):
        values = {key: ""} if key != "status" else {key: None}
        assert refusal(do, "records.update_record", entity="sales_order", id=draft["id"], values=values) == "not_editable"
    same = {"branch_id": draft["branch_id"], "gross": draft["gross"], "remark": "照旧"}
    assert do("records.update_record", entity="sales_order", id=draft["id"], values=same)["remark"] == "照旧"


def test_a_colleagues_line_without_a_price_is_not_thrown_away(do: Do, draft: dict[str, Any], goods: dict[str, str]) -> None:
    mine = [{"id": line["id"], "quantity": line["quantity"], "product_id": line["product_id"]} for line in draft["lines"]]
    gift = {"product_id": goods["service"], "quantity": "1", "price": "0"}
    do("sales.save_order", order_id=draft["id"], version=draft["version"], header={}, lines=[*mine, gift])
    with pytest.raises(StaleRecord):
        do("sales.save_order", order_id=draft["id"], version=draft["version"], header={}, lines=mine)
    assert len(do("sales.order_with_lines", order_id=draft["id"])["lines"]) == 3


def test_saving_what_is_there_makes_nobody_stale(do: Do, draft: dict[str, Any]) -> None:
    lines = [{"id": line["id"]} for line in draft["lines"]]
    saved = do("sales.save_order", order_id=draft["id"], version=draft["version"], header={}, lines=lines)
    assert saved["version"] == draft["version"]


def test_a_line_moved_to_another_draft_takes_its_amount_along(do: Do, draft: dict[str, Any], goods: dict[str, str]) -> None:
    other = do("sales.save_order", header={"customer_id": goods["customer"]}, lines=[])
    do("records.update_record", entity="sales_order_line", id=draft["lines"][0]["id"], values={"order_id": other["id"]})
    both = [do("sales.order_with_lines", order_id=order["id"])["gross"] for order in (draft, other)]
    assert both == [draft["lines"][1]["gross"], draft["lines"][0]["gross"]]


def test_a_reversal_returns_exactly_what_was_issued(do: Do, draft: dict[str, Any], goods: dict[str, str], store: Store) -> None:
    do("sales.post_order", order_id=draft["id"])
    do("records.update_record", entity="product", id=goods["product"], values={"stocked": False})
    do("sales.reverse_order", order_id=draft["id"])
    assert do("stock.stock_on_hand", product_id=goods["product"], warehouse_id=goods["warehouse"])["on_hand"] == "100"


def test_a_line_of_a_product_that_does_not_exist(do: Do, draft: dict[str, Any]) -> None:
    values = {"order_id": draft["id"], "product_id": "0" * 32, "quantity": "1"}
    assert refusal(do, "records.create_record", entity="sales_order_line", values=values) == "no_such_record"


def test_a_draft_in_the_bin_holds_no_product(do: Do, draft: dict[str, Any], new: Do, goods: dict[str, str]) -> None:
    product = new("product", code="NEU", name="新品")["id"]
    order = do("sales.save_order", header={}, lines=[{"product_id": product, "quantity": "1", "price": "1"}])
    assert refusal(do, "records.delete_record", entity="product", id=product) == "referenced"
    do("records.delete_record", entity="sales_order", id=order["id"])
    assert do("records.delete_record", entity="product", id=product) == {"id": product}
