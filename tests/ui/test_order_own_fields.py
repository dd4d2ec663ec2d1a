"""Fields of a company in the rows of the order form: shown in words that can be typed, read as people mean them, kept from whom they are not for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import use_language
from localcrm.ui import order_form
from localcrm.ui.sessions import Session
from tests.ui.conftest import PASSWORD, Office

Add = Callable[..., str]


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with use_language("en"):
        yield


@pytest.fixture
def shop(office: Office) -> Office:
    office.new("warehouse", code="W1", name="一号仓")
    office.new("customer", name="浙江瑞祥进出口有限公司")
    office.new("product", code="XF75-03", name="雪纺 75D 藏青", price="9.80", unit="米", stocked=False)
    return office


@pytest.fixture
def session(shop: Office) -> Session:
    found = shop.program.sessions.resolve(shop.token())
    assert found is not None
    return found


@pytest.fixture
def add(shop: Office) -> Add:
    """Add a field to the lines of orders; its key."""

    def added(label: str, type: str, of: str = "sales_order_line", **more: Any) -> str:
        return str(verbs.run(shop.store, shop.admin, "admin.add_field", {"entity": of, "label": label, "type": type, **more})["key"])

    return added


@pytest.fixture
def row(session: Session) -> dict[str, Any]:
    """A good row of the form."""
    offer = order_form.products(session, {"text": "XF75"})["rows"][0]
    return {"key": "1", "product_id": offer["product_id"], "code": "XF75-03", "quantity": "10"}


def body(*rows: dict[str, Any], **header: Any) -> dict[str, Any]:
    return {"id": None, "version": None, "header": header, "tax_included": True, "lines": list(rows)}


def seen(session: Session, *rows: dict[str, Any]) -> dict[str, Any]:
    """The first row as the form tidies it."""
    return dict(order_form.preview(session, body(*rows))["lines"]["1"])


def test_what_is_typed_is_read_as_in_every_form_and_shown_so_that_it_can_be_typed_again(
    session: Session, add: Add, row: dict[str, Any]
) -> None:
    keys = {kind: add(f"字段{kind}", kind) for kind in ("text", "longtext", "integer", "number", "money", "date", "boolean", "user")}
    keys["choice"], keys["choices"] = (add(kind, kind, options=["Dyed", "Printed, two sides"]) for kind in ("choice", "choices"))
    typed = {
        "text": " A-1 ",
        "longtext": "one\ntwo",
        "integer": "12",
        "number": "１２３４．５",
        "money": "1234.5",
        "date": "2026年11月3日",
        "boolean": "是",
        "user": "王芳",
        "choice": "dyed",
        "choices": "printed, two sides；DYED",
    }
    shown = seen(session, {**row, **{keys[kind]: text for kind, text in typed.items()}})
    tidy = {kind: shown[key] for kind, key in keys.items()}
    assert tidy == {
        "text": "A-1",
        "longtext": "one\ntwo",
        "integer": "12",
        "number": "1,234.5",
        "money": "1,234.50",
        "date": "2026-11-03",
        "boolean": "Yes",
        "user": "王芳",
        "choice": "Dyed",
        "choices": "Dyed; Printed, two sides",
    }
    assert shown["refs"] == {keys["user"]: session.user_id}
    again = seen(session, {**row, **{keys[kind]: text for kind, text in tidy.items()}})
    assert again == shown
    saved = order_form.save(session, body({**row, **{keys[kind]: text for kind, text in tidy.items()}}))["lines"][0]
    assert {kind: saved[key] for kind, key in keys.items()} == tidy


def test_a_day_is_typed_shortly(session: Session, add: Add, row: dict[str, Any]) -> None:
    key, today = add("交期", "date"), date.today()
    assert [seen(session, {**row, key: typed})[key] for typed in ("12-10", "+3")] == [
        f"{today.year}-12-10",
        (today + timedelta(days=3)).isoformat(),
    ]


@pytest.mark.parametrize(
    ("type", "typed", "said"),
    [
        ("integer", "many", "cannot be understood"),
        ("number", "0.5", "at least 1"),
        ("date", "soon", "is not a date"),
        ("choice", "Frozen", "is not one of the choices"),
        ("user", "Nobody", "there is no “Nobody”"),
    ],
)
def test_what_cannot_be_meant_marks_its_cell_and_waits(
    session: Session, add: Add, row: dict[str, Any], type: str, typed: str, said: str
) -> None:
    more = {"options": ["Dyed"]} if type == "choice" else {"least": "1"} if type == "number" else {}
    key = add("Field", type, **more)
    fault = seen(session, {**row, key: typed})["fault"]
    assert fault["field"] == key
    assert said in fault["message"]
    sheet = order_form.save(session, body({**row, key: typed}))
    (waiting,) = order_form.load_sheet(session, sheet["id"])["lines"]
    assert (waiting.get("id"), waiting["code"], waiting[key]) == (None, "XF75-03", typed)


def test_a_new_row_starts_with_the_preset_and_one_that_was_emptied_stays_empty(session: Session, add: Add, row: dict[str, Any]) -> None:
    grade = add("等级", "text", preset="一等")
    (column,) = order_form.inputs_of(session)["ownColumns"]
    assert (column["key"], column["label"], column["kind"], column["preset"], column["fixed"]) == (grade, "等级", "text", "一等", False)
    lines = order_form.save(session, body({**row, grade: None}, {**row, "key": "2", grade: "二等"}))["lines"]
    assert [line[grade] for line in lines] == ["", "二等"]


def test_an_order_is_not_posted_without_what_is_required_and_the_cell_is_named(session: Session, add: Add, row: dict[str, Any]) -> None:
    width = add("幅宽", "number", required=True)
    form = body({**row, width: "150"}, {**row, "key": "2"}, customer_id=_only(session, "customer"))
    with pytest.raises(InvalidInput) as refused:
        order_form.save(session, form | {"post": True})
    assert (refused.value.field, refused.value.params["row"], refused.value.message) == (width, 2, "Row 2: 幅宽 is required.")
    assert order_form.load_sheet(session, refused.value.params["saved"])["state"]["key"] == "draft"


def test_a_serial_number_is_the_programs_and_a_copy_gets_its_own(session: Session, add: Add, row: dict[str, Any]) -> None:
    piece, dye = add("匹号", "serial"), add("色号", "text")
    assert [one["fixed"] for one in order_form.inputs_of(session)["ownColumns"]] == [True, False]
    saved = order_form.save(session, body({**row, piece: "HQ-9999", dye: "藏青"}))
    assert [(line[piece], line[dye]) for line in saved["lines"]] == [("HQ-0001", "藏青")]
    (line,) = order_form.new_sheet(session, copy_of=saved["id"])["lines"]
    assert (piece in line, line[dye], line["id"]) == (False, "藏青", None)
    copy = order_form.save(session, body({**line, "key": "1"}))
    assert [(line[piece], line[dye]) for line in copy["lines"]] == [("HQ-0002", "藏青")]


def test_a_row_that_is_at_fault_for_a_while_keeps_its_line_and_its_serial_number(session: Session, add: Add, row: dict[str, Any]) -> None:
    piece, width = add("匹号", "serial"), add("幅宽", "number")
    first = order_form.save(session, body({**row, width: "150"}, {**row, "key": "2", "quantity": "20"}))
    header = first["header"]

    def saved_again(sheet: dict[str, Any], **changes: Any) -> dict[str, Any]:
        lines = [{**line, "key": str(place)} for place, line in enumerate(sheet["lines"], start=1)]
        lines[0] |= changes
        return order_form.save(session, {"id": sheet["id"], "version": sheet["version"], "header": header, "lines": lines})

    waiting = saved_again(first, quantity="many", **{width: "148"})
    assert [(line["id"], line["quantity"], line[width], line[piece]) for line in waiting["lines"]] == [
        (first["lines"][0]["id"], "many", "148", "HQ-0001"),
        (first["lines"][1]["id"], "20", "", "HQ-0002"),
    ]
    assert waiting["totals"]["gross"] == first["totals"]["gross"]  # for everybody else the line is what it was
    mended = saved_again(waiting, quantity="11")
    assert [(line["id"], line["quantity"], line[width], line[piece]) for line in mended["lines"]] == [
        (first["lines"][0]["id"], "11", "148", "HQ-0001"),
        (first["lines"][1]["id"], "20", "", "HQ-0002"),
    ]


def test_an_option_that_was_retired_stays_on_its_row_and_marks_a_new_one(
    session: Session, shop: Office, add: Add, row: dict[str, Any]
) -> None:
    grade = add("等级", "choice", options=["一等", "二等"])
    saved = order_form.save(session, body({**row, grade: "二等"}))
    options = [{"label": "一等"}, {"label": "二等", "retired": True}]
    verbs.run(shop.store, shop.admin, "admin.set_options", {"entity": "sales_order_line", "field": grade, "options": options})
    assert order_form.inputs_of(session)["ownColumns"][0]["options"] == ["一等"]
    old = {**row, "id": saved["ids"]["1"], grade: "二等", "quantity": "20"}
    shown = order_form.preview(session, body(old, {**row, "key": "2", grade: "二等"}) | {"id": saved["id"]})["lines"]
    assert (shown["1"][grade], shown["2"]["fault"]["message"]) == ("二等", "等级: “二等” is no longer offered.")


def test_columns_of_a_pasted_block_are_recognised_by_their_header(session: Session, add: Add) -> None:
    width, dye = add("幅宽", "number"), add("色号", "text")
    text = "色号\t商品编码\t数量\t幅宽\n藏青\tXF75-03\t30\t150\n本白\tNOPE\t5\t\n"
    lines = order_form.pasted(session, {"text": text})["lines"]
    assert [(line["code"], line["quantity"], line[dye], line.get(width)) for line in lines] == [
        ("XF75-03", "30", "藏青", "150"),
        ("NOPE", "5", "本白", None),
    ]
    assert order_form.pasted(session, {"text": "XF75-03\t30\t9.5\t\t急"})["lines"][0]["remark"] == "急"


def test_fields_are_hidden_masked_or_fixed_for_whom_a_rule_says_so_and_the_order_is_entered_all_the_same(
    session: Session, shop: Office, add: Add, row: dict[str, Any]
) -> None:
    width, cost, secret, head = add("幅宽", "number"), add("成本", "money"), add("密", "text"), add("合同号", "text", of="sales_order")
    given = {width: "150", cost: "6.1", secret: "x"}
    saved = order_form.save(session, body({**row, **given}, **{head: "HT-1"}))
    shop.new("user", login="li", name="李", password=PASSWORD, role="staff")
    for entity, key, rule in (
        ("sales_order_line", width, "read_only"),
        ("sales_order_line", cost, "masked"),
        ("sales_order_line", secret, "hidden"),
        ("sales_order", head, "read_only"),
    ):
        verbs.run(shop.store, shop.admin, "people.set_field_rule", {"login": "li", "entity": entity, "field": key, "rule": rule})
    li = shop.program.sessions.resolve(shop.token("li"))
    assert li is not None
    sheet = order_form.load_sheet(li, saved["id"])
    (line,) = sheet["lines"]
    inputs = order_form.inputs_of(li)
    assert [(one["key"], one["fixed"]) for one in inputs["ownColumns"]] == [(width, True), (cost, True)]
    assert (sheet["editable"], inputs["own"][0]["fixed"], sheet["header"][head]) == (True, True, "HT-1")
    assert (line[width], line[cost], secret in line) == ("150", "****", False)

    changed = {**line, "key": "1", "quantity": "20", width: "1", cost: "1", secret: "y"}
    form = {"id": saved["id"], "version": sheet["version"], "header": {**sheet["header"], head: "HT-2"}, "lines": [changed]}
    after = order_form.save(li, form)
    assert (after["lines"][0]["quantity"], after["header"][head]) == ("20", "HT-1")
    (kept,) = order_form.load_sheet(session, saved["id"])["lines"]
    assert (kept[width], kept[cost], kept[secret]) == ("150", "6.10", "x")


def test_what_differs_from_what_somebody_else_saved_tells_of_own_fields_too(session: Session, add: Add, row: dict[str, Any]) -> None:
    dye = add("色号", "text")
    saved = order_form.save(session, body({**row, dye: "藏青"}))
    mine = {**body({**row, "id": saved["ids"]["1"], dye: "本白"}), "id": saved["id"], "header": saved["header"]}
    (found,) = order_form.compare(session, mine)["rows"]
    assert (found["label"], found["yours"], found["theirs"]) == (
        "Row 1",
        "XF75-03 · 10 × 9.80 · 13% · 色号 本白",
        "XF75-03 雪纺 75D 藏青 · 10 × 9.80 · 13% · 色号 藏青",
    )


def _only(session: Session, kind: str) -> str:
    from localcrm.kernel.schema import entity

    with session.store.unit_of_work(None) as uow:
        return str(uow.where(entity(kind))[0]["id"])
