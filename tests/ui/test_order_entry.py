"""The order form's server side: what was typed becomes exact amounts, nothing typed or pasted is lost, two people do not overwrite each other."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.kernel.errors import Forbidden, InvalidInput, NotFound, Refused, StaleRecord
from localcrm.kernel.i18n import use_language
from localcrm.ui import order_form
from localcrm.ui.order_form import read_pasted, read_share
from localcrm.ui.sessions import Session
from tests.ui.conftest import PASSWORD, Office


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with use_language("en"):
        yield


@pytest.fixture
def shop(office: Office) -> Office:
    office.new("warehouse", code="W1", name="一号仓")
    office.new("customer", name="浙江瑞祥进出口有限公司", credit_limit="1000", level="deal")
    office.new("product", code="XF75-03", name="雪纺 75D 藏青", price="9.80", unit="米", barcode="6901234567892")
    office.new("product", code="XF75-07", name="雪纺 75D 米白", price="10", unit="米")
    return office


@pytest.fixture
def session(shop: Office) -> Session:
    found = shop.program.sessions.resolve(shop.token())
    assert found is not None
    return found


def only(office: Office, entity: str, **where: str) -> str:
    from localcrm.kernel.schema import entity as entity_type

    with office.store.unit_of_work(office.admin.user_id) as uow:
        return str(uow.where(entity_type(entity), **where)[0]["id"])


@pytest.fixture
def body(shop: Office) -> dict[str, Any]:
    """A form with a customer and two good rows."""
    header = {"customer_id": only(shop, "customer"), "warehouse_id": only(shop, "warehouse"), "date": "2026-11-23", "tax_included": True}
    rows = [
        {"key": "1", "product_id": only(shop, "product", code="XF75-03"), "code": "XF75-03", "quantity": "1,200", "price": "9.80"},
        {
            "key": "2",
            "product_id": only(shop, "product", code="XF75-07"),
            "code": "XF75-07",
            "quantity": "800",
            "price": "9.8",
            "discount": "95",
        },
    ]
    return {"id": None, "version": None, "header": header, "tax_included": True, "lines": rows}


# what was typed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "share"), [("95%", "0.95"), ("95", "0.95"), ("0.95", "0.95"), ("１３％", "0.13"), ("1", "1"), ("", None), ("  ", None)]
)
def test_a_discount_is_read_as_people_write_it(typed: str, share: str | None) -> None:
    assert read_share(typed, percent_from=Decimal("1.0001")) == (None if share is None else Decimal(share))


def test_a_tax_rate_of_1_is_one_percent() -> None:
    assert read_share("1", percent_from=Decimal(1)) == Decimal("0.01")


def test_amounts_are_those_of_the_house_rules(session: Session, body: dict[str, Any]) -> None:
    shown = order_form.preview(session, body)
    assert shown["lines"]["1"] == {
        "quantity": "1,200",
        "price": "9.80",
        "discount": "",
        "tax_rate": "13%",
        "net": "10,407.08",
        "tax": "1,352.92",
        "gross": "11,760.00",
        "refs": {},
    }
    assert shown["lines"]["2"]["discount"] == "95%"
    assert shown["totals"] == {"net": "16,998.23", "tax": "2,209.77", "gross": "19,208.00", "capital": ""}


def test_an_amount_in_place_of_a_price_gives_the_price_and_stays(session: Session, body: dict[str, Any]) -> None:
    body["lines"][0] |= {"quantity": "3", "price": "＝100", "discount": ""}
    body["lines"][1] |= {"quantity": "8", "price": "=1,000.10", "discount": "95"}
    shown = order_form.preview(session, body)["lines"]
    assert [(shown[key]["price"], shown[key]["gross"]) for key in "12"] == [("33.333333", "100.00"), ("131.592105", "1,000.10")]
    saved = order_form.save(session, body)
    assert saved["totals"]["gross"] == "1,100.10"
    for quantity, price, code in (("0", "=100", "no_price_for_amount"), ("3", "=100.001", "too_many_decimals"), ("3", "=十", "bad_number")):
        body["lines"][0] |= {"quantity": quantity, "price": price}
        (checked, _other) = order_form.grid.checked_rows(session, body)
        assert checked.fault is not None
        assert (checked.fault.code, checked.fault.field) == (code, "price")


def test_a_chinese_reader_sees_the_total_in_capitals(session: Session, body: dict[str, Any]) -> None:
    with use_language("zh_CN"):
        assert order_form.preview(session, body)["totals"]["capital"] == "壹万玖仟贰佰零捌元整"


def test_a_row_that_cannot_be_computed_names_its_cell_and_counts_nothing(session: Session, body: dict[str, Any]) -> None:
    body["lines"] += [{"key": "3", "code": "NOPE-1", "quantity": "5"}, {**body["lines"][0], "key": "4", "quantity": "many"}]
    shown = order_form.preview(session, body)
    assert (shown["lines"]["3"]["fault"]["field"], shown["lines"]["4"]["fault"]["field"]) == ("product_id", "quantity")
    assert "NOPE-1" in shown["lines"]["3"]["fault"]["message"]
    assert shown["totals"]["gross"] == "19,208.00"


# saving ----------------------------------------------------------------------------------------------------------------


def test_saving_gives_every_row_its_line_and_saving_again_changes_nothing(session: Session, body: dict[str, Any]) -> None:
    sheet = order_form.save(session, body)
    assert sorted(sheet["ids"]) == ["1", "2"]
    assert [line["gross"] for line in sheet["lines"]] == ["11,760.00", "7,448.00"]
    again = {
        **body,
        "id": sheet["id"],
        "version": sheet["version"],
        "lines": [{**row, "id": sheet["ids"][row["key"]]} for row in body["lines"]],
    }
    assert order_form.save(session, again)["version"] == sheet["version"]


def test_rows_that_cannot_be_saved_wait_where_they_stood_until_they_are_mended(session: Session, body: dict[str, Any]) -> None:
    body["lines"].insert(1, {"key": "9", "code": "NOPE-1", "quantity": "5", "remark": "as agreed"})
    sheet = order_form.save(session, body)
    seen = order_form.load_sheet(session, sheet["id"])["lines"]
    assert [(row["code"], row["quantity"]) for row in seen] == [("XF75-03", "1,200"), ("NOPE-1", "5"), ("XF75-07", "800")]
    with pytest.raises(Refused, match="marked in red") as refusal:
        order_form.save(session, {**body, "id": sheet["id"], "version": sheet["version"], "post": True})
    assert (refusal.value.code, refusal.value.params["saved"]) == ("faulty_rows", sheet["id"])
    mended = order_form.load_sheet(session, sheet["id"])
    del body["lines"][1]
    posted = order_form.save(session, {**body, "id": sheet["id"], "version": mended["version"], "post": True})
    assert (posted["state"]["key"], posted["editable"], len(posted["lines"])) == ("posted", False, 2)


def test_posting_warns_of_stock_that_would_be_short(session: Session, body: dict[str, Any]) -> None:
    posted = order_form.save(session, {**body, "post": True})
    assert posted["number"] == "SO-HQ-20261123-0001"
    assert len(posted["warnings"]) == 2
    assert "-1200" in posted["warnings"][0]
    assert (posted["open"], posted["received"]) == ("19,208.00", "0.00")


def test_an_order_without_customer_stays_a_draft_and_says_which_field(session: Session, body: dict[str, Any]) -> None:
    body["header"]["customer_id"] = None
    with pytest.raises(InvalidInput) as refusal:
        order_form.save(session, {**body, "post": True})
    assert (refusal.value.code, refusal.value.field) == ("no_customer", "customer_id")
    kept = order_form.load_sheet(session, refusal.value.params["saved"])
    assert (kept["state"]["key"], len(kept["lines"])) == ("draft", 2)


def test_days_are_read_as_people_type_them_and_a_wrong_one_names_its_field(session: Session, body: dict[str, Any]) -> None:
    body["header"]["delivery_date"] = "2026年12月10日"
    assert order_form.save(session, body)["header"]["delivery_date"] == "2026-12-10"
    with pytest.raises(InvalidInput) as refusal:
        order_form.save(session, {**body, "header": {**body["header"], "delivery_date": "soon"}})
    assert (refusal.value.code, refusal.value.field) == ("bad_date", "delivery_date")


def test_a_stale_save_is_refused_and_shows_what_differs(session: Session, shop: Office, body: dict[str, Any]) -> None:
    sheet = order_form.save(session, body)
    lines = [{**row, "id": sheet["ids"][row["key"]], "name": ""} for row in body["lines"]]
    mine = {**body, "id": sheet["id"], "version": sheet["version"], "header": sheet["header"], "lines": lines}
    theirs = {**mine, "header": {**mine["header"], "delivery_date": "2026-12-10"}, "lines": mine["lines"][:1]}
    order_form.save(session, theirs)
    mine["lines"][0]["quantity"] = "1,000"
    with pytest.raises(StaleRecord):
        order_form.save(session, mine)
    found = order_form.compare(session, mine)
    assert [(row["label"], row["yours"], row["theirs"]) for row in found["rows"]] == [
        ("Delivery date", "—", "2026-12-10"),
        ("Row 1", "XF75-03 · 1,000 × 9.80 · 13%", "XF75-03 雪纺 75D 藏青 · 1,200 × 9.80 · 13%"),
        ("Row 2", "XF75-07 · 800 × 9.80 · 95% · 13%", "—"),
    ]
    # "Keep mine": the line that they removed comes back as a new one.
    saved = order_form.save(session, {**mine, "version": found["sheet"]["version"]})
    assert [line["quantity"] for line in saved["lines"]] == ["1,000", "800"]


def test_a_posted_order_is_read_only_and_can_be_copied(session: Session, body: dict[str, Any]) -> None:
    posted = order_form.save(session, {**body, "post": True})
    with pytest.raises(Refused, match="never changed"):
        order_form.save(session, {**body, "id": posted["id"], "version": posted["version"]})
    copy = order_form.new_sheet(session, copy_of=posted["id"])
    assert (copy["id"], copy["editable"], copy["header"]["customer_id"]) == (None, True, body["header"]["customer_id"])
    assert [(line["id"], line["quantity"]) for line in copy["lines"]] == [(None, "1,200"), (None, "800")]


def test_a_new_order_is_of_today_from_the_first_warehouse_for_the_customer_of_the_link(session: Session, body: dict[str, Any]) -> None:
    sheet = order_form.new_sheet(session, customer_id=body["header"]["customer_id"])
    assert sheet["titles"] == {"owner_id": "王芳", "warehouse_id": "一号仓", "customer_id": "浙江瑞祥进出口有限公司"}
    assert sheet["header"]["warehouse_id"] == body["header"]["warehouse_id"]


def test_an_order_that_does_not_exist_is_said_to_be_missing(session: Session) -> None:
    with pytest.raises(NotFound):
        order_form.load_sheet(session, "0" * 32)


def test_a_reader_cannot_save(shop: Office, body: dict[str, Any]) -> None:
    shop.new("user", login="nobody", name="无权", password=PASSWORD, role="staff")
    session = shop.program.sessions.resolve(shop.token("nobody"))
    assert session is not None
    verbs.run(shop.store, shop.admin, "records.update_record", {"entity": "user", "id": session.user_id, "values": {"role": "none"}})
    session.check()
    with pytest.raises(Forbidden):
        order_form.save(session, body)


# looking things up -----------------------------------------------------------------------------------------------------


def test_products_are_found_by_code_pinyin_name_and_barcode_with_stock_and_last_price(
    shop: Office, session: Session, body: dict[str, Any]
) -> None:
    product = body["lines"][0]["product_id"]
    shop.new("stock_move", product_id=product, warehouse_id=body["header"]["warehouse_id"], quantity="3420", type="opening")
    body["lines"][0]["price"] = "9.60"
    order_form.save(session, {**body, "post": True})
    where = {"customer_id": body["header"]["customer_id"], "warehouse_id": body["header"]["warehouse_id"]}
    for text in ("xf75-03", "6901234567892", "xf 藏青", "zangqing"):
        first = order_form.products(session, {"text": text, **where})["rows"][0]
        assert (first["code"], first["available"], first["last_price"]) == ("XF75-03", "2,220", "9.60"), text
    other = order_form.products(session, {"text": "XF75-07", **where})["rows"][0]
    assert (other["available"], other["short"]) == ("-800", True)


def test_last_deals_leave_out_what_was_reversed(shop: Office, session: Session, body: dict[str, Any]) -> None:
    first = order_form.save(session, {**body, "post": True})
    verbs.run(shop.store, shop.admin, "sales.reverse_order", {"order_id": first["id"]})
    body["lines"][0]["price"] = "9.95"
    order_form.save(session, {**body, "post": True})
    found = order_form.deals(session, {"customer_id": body["header"]["customer_id"], "product_id": body["lines"][0]["product_id"]})
    assert found["rows"] == [{"date": "2026-11-23", "text": "9.95 × 1,200 米"}]


def test_the_account_of_the_customer_warns_beyond_the_limit(session: Session, body: dict[str, Any]) -> None:
    order_form.save(session, {**body, "post": True})
    chips = order_form.account(session, {"customer_id": body["header"]["customer_id"]})["chips"]
    assert chips[0] == {"text": "Unpaid 19,208.00 / credit limit 1,000.00", "tone": "bad"}
    assert chips[1]["text"] == "Level: Deal customer"


# a block from a spreadsheet --------------------------------------------------------------------------------------------


def test_a_pasted_block_is_code_quantity_price_discount_remark() -> None:
    assert read_pasted([["XF75-03", "30", "9.5", "95%", "急"], ["XF75-07", "5"]]) == [
        {"code": "XF75-03", "name": "", "quantity": "30", "price": "9.5", "discount": "95%", "remark": "急"},
        {"code": "XF75-07", "name": "", "quantity": "5", "price": "", "discount": "", "remark": ""},
    ]


def test_name_and_specification_between_code_and_quantity_do_no_harm() -> None:
    [row] = read_pasted([["XF75-03", "雪纺", "150cm 藏青", "1,200", "9.80"]])
    assert (row["name"], row["quantity"], row["price"]) == ("雪纺 150cm 藏青", "1,200", "9.80")


def test_a_header_says_which_column_is_which() -> None:
    rows = read_pasted([["单价", "数量", "商品编码", "备注"], ["9.8", "12", "XF75-03", "急"]])
    assert rows == [{"code": "XF75-03", "price": "9.8", "quantity": "12", "remark": "急"}]


def test_a_pasted_code_nobody_knows_becomes_a_row_and_an_unknown_price_the_list_price(session: Session, body: dict[str, Any]) -> None:
    pasted = order_form.pasted(
        session, {"text": "xf75-03\t30\nNOPE\t5\t2\n\n6901234567892\t1\t8", "customer_id": body["header"]["customer_id"]}
    )
    assert [(row["code"], row.get("product_id") is not None, row["quantity"], row["price"]) for row in pasted["lines"]] == [
        ("XF75-03", True, "30", "9.80"),
        ("NOPE", False, "5", "2"),
        ("XF75-03", True, "1", "8"),
    ]


def test_more_rows_than_an_order_takes_are_refused_whole(session: Session) -> None:
    with pytest.raises(Refused, match="at most 5000 rows"):
        order_form.pasted(session, {"text": "X\t1\n" * 5001})


def test_a_price_below_the_lowest_one_asks_for_a_reason_in_its_row(session: Session, shop: Office, body: dict[str, Any]):
    shop.run("records.update_record", entity="product", id=only(shop, "product", code="XF75-03"), values={"floor_price": "9.90"})
    fault = order_form.preview(session, body)["lines"]["1"]["fault"]
    assert fault == {"field": "price", "message": "“雪纺 75D 藏青” is not sold below 9.9. Say why it is here.", "why": True}
    kept = order_form.save(session, body)
    assert kept["lines"][0]["id"] is None, "kept beside the draft until it is mended"
    row = {**body["lines"][0], "below_reason": "sample"}
    form = {**body, "id": kept["id"], "version": kept["version"], "lines": [row, *body["lines"][1:]]}
    assert order_form.preview(session, form)["lines"]["1"]["below_reason"] == "sample"
    saved = order_form.save(session, form)
    assert saved["lines"][0]["below_reason"] == "sample"
    assert order_form.new_sheet(session, copy_of=saved["id"])["lines"][0]["below_reason"] == "", "asked again"
    form |= {"version": saved["version"], "lines": [{**row, "price": "9.90"}, *body["lines"][1:]]}
    assert order_form.save(session, form)["lines"][0]["below_reason"] == ""
