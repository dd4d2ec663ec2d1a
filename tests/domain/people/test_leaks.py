"""What is hidden or masked is told nowhere: not by an order, a filter, a count, a refusal, nor by what an action answers."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from localcrm.domain import policy, records, verbs
from localcrm.domain.admin import conflicts
from localcrm.domain.importing import import_rows
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.sales import offers
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.stock.services import stock_list
from localcrm.kernel.errors import AppError, Forbidden, InvalidInput, NotFound, StaleRecord
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import entity
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, group_counts, select
from localcrm.store.store import Store
from localcrm.sync import node_sync
from localcrm.ui import endpoints, order_form
from localcrm.ui.conflict_words import Teller, Told
from localcrm.ui.kit.history import history_lines
from localcrm.ui.program import Program
from localcrm.ui.sessions import Session

Do = Callable[..., Any]
CUSTOMER, PRODUCT = entity("customer"), entity("product")
ORDER, LINE = entity("sales_order"), entity("sales_order_line")
PHONES = ("0575-84123367", "13857599812", "0571-22334455")
KINDS = ("customer", "contact", "activity", "product", "warehouse", "sales_order", "receipt", "stock_move", "conflict", "user")


@pytest.fixture(params=["hidden", "masked"])
def rule(request: pytest.FixtureRequest) -> str:
    """Either way of keeping a value from somebody."""
    return str(request.param)


@pytest.fixture
def lin(store: Store, do: Do, new: Do) -> Callable[..., Actor]:
    """林晓, who may do everything with everybody's records, under these rules: ``lin("hidden", customer="phone")``."""
    user = new("user", login="lin", name="林晓")

    def under(rule: str, scope: str = "all", **fields: str) -> Actor:
        for kind in KINDS:
            own = scope if kind in {"customer", "sales_order"} else "all"
            do("people.set_rights", login="lin", entity=kind, actions=list(policy.actions_of(entity(kind))), scope=own)
        for kind, names in fields.items():
            for name in names.split():
                do("people.set_field_rule", login="lin", entity=kind, field=name, rule=rule)
        actor = actor_by_id(store, user["id"])
        assert actor is not None
        return actor

    return under


@pytest.fixture
def customers(new: Do) -> list[str]:
    """Three customers with their telephone numbers."""
    return [new("customer", name=name, phone=phone)["id"] for name, phone in zip("甲乙丙", PHONES, strict=True)]


@pytest.fixture
def read(store: Store) -> Iterator[Connection]:
    with store.read() as connection:
        yield connection


@pytest.fixture
def sold(do: Do, new: Do, customers: list[str]) -> dict[str, str]:
    """A posted order over 2 cases at 1,234.56, its customer, product, line and warehouse."""
    house = new("warehouse", code="W1", name="主仓")["id"]
    product = new("product", code="P-77", name="坯布", barcode="6901234567892", price="1234.56", unit="件")["id"]
    header = {"customer_id": customers[0], "warehouse_id": house, "date": "2026-03-04"}
    order = do("sales.save_order", header=header, lines=[{"product_id": product, "quantity": "2"}])
    do("sales.post_order", order_id=order["id"])
    return {"id": order["id"], "customer": customers[0], "product": product, "line": order["lines"][0]["id"], "house": house}


def refusal(call: Callable[[], Any]) -> AppError:
    with pytest.raises(AppError) as refused:
        call()
    return refused.value


def run(store: Store, actor: Actor, verb: str, **parameters: Any) -> Any:
    return verbs.run(store, actor, verb, parameters)


def told_by(error: AppError) -> str:
    """Everything an error says, also to a script."""
    return f"{error.message} {error.params} {getattr(error, 'differences', '')}"


# lists -------------------------------------------------------------------------------------------------------------------


def test_no_list_is_sorted_by_it(read: Connection, customers: list[str], lin: Do, rule: str) -> None:
    view = policy.view(lin(rule, customer="phone"), CUSTOMER)
    for sort in ("phone", "-phone"):
        assert refusal(lambda sort=sort: select(read, ListQuery(CUSTOMER, sort=sort, restrict=view))).code == "bad_sort"


def test_the_usual_order_of_a_list_gives_way(read: Connection, new: Do, lin: Do, rule: str) -> None:
    ids = [new("product", code=code, name=code)["id"] for code in ("B", "C", "A")]
    view = policy.view(lin(rule, product="code"), PRODUCT)
    page = select(read, ListQuery(PRODUCT, restrict=view))
    assert [row["id"] for row in page.rows] == ids[::-1]
    following = select(read, ListQuery(PRODUCT, restrict=view, limit=1)).next
    assert following is not None
    assert following.value is None  # what a browser sends back for the next page holds no code


@pytest.mark.parametrize("op", ["=", "!=", "<", "<=", ">", ">=", "contains", "starts", "in", "blank", "filled"])
def test_no_list_is_filtered_by_it(read: Connection, customers: list[str], lin: Do, rule: str, op: Any) -> None:
    view = policy.view(lin(rule, customer="phone"), CUSTOMER)
    where = (Condition("phone", op, [PHONES[0]] if op == "in" else PHONES[0]),)
    assert refusal(lambda: select(read, ListQuery(CUSTOMER, where=where, restrict=view))).code == "bad_filter"


def test_no_search_finds_it_and_none_shows_it(read: Connection, customers: list[str], lin: Do, rule: str) -> None:
    actor = lin(rule, customer="phone")
    for text in (PHONES[0], "3367", "138575"):
        assert records.find_everywhere(read, actor, text=text) == []
        assert select(read, ListQuery(CUSTOMER, search=text, restrict=policy.view(actor, CUSTOMER))).rows == []
    assert [hit.match for hit in records.find_everywhere(read, actor, text="甲")] == ["甲"]


def test_no_group_is_counted_by_it(read: Connection, new: Do, lin: Do, rule: str) -> None:
    new("customer", name="甲", level="deal")
    assert group_counts(read, policy.view(lin(rule, customer="level"), CUSTOMER), "level") == []


def test_it_is_in_no_picker(store: Store, customers: list[str], lin: Do, rule: str) -> None:
    session = signed_in(store, lin(rule, customer="phone address"))
    assert not any(phone in json.dumps(endpoints.pick(session, {"entity": "customer"}, None)) for phone in PHONES)
    assert refusal(lambda: endpoints.pick(session, {"entity": "customer", "w.phone": PHONES[0]}, None)).code == "bad_filter"


def signed_in(store: Store, actor: Actor) -> Session:
    program = Program(store.folder, 0)
    program.adopt(store)
    return Session(program, "", "", actor, {}, _checked=math.inf)


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "jsonl"])
def test_no_export_holds_it(store: Store, new: Do, lin: Do, rule: str, suffix: str, tmp_path: Path) -> None:
    new(
        "customer",
        name="甲",
        phone=PHONES[0],
        credit_limit="98765.43",
        level="developing",
        owner_id=new("user", login="wu", name="吴敏")["id"],
    )
    session = signed_in(store, lin(rule, customer="phone credit_limit level owner_id"))
    query = endpoints.list_query(session, CUSTOMER, endpoints.read_request({}), "export")
    path = tmp_path / f"客户.{suffix}"
    endpoints._write_export(session, query, path, [field.key for field in CUSTOMER.readable])
    cells = str(cells_of(path))
    assert "甲" in cells
    assert not any(text in cells for text in (PHONES[0], "98765", "98,765", "developing", "发展中", "吴敏"))


def cells_of(path: Path) -> list[list[Any]]:
    match path.suffix:
        case ".csv":
            return list(csv.reader(path.open(encoding="utf-8-sig", newline="")))
        case ".jsonl":
            return [list(json.loads(line).values()) for line in path.read_text().splitlines()]
    return [list(row) for row in load_workbook(path).active.iter_rows(values_only=True)]


# history and conflicts -------------------------------------------------------------------------------------------------------


def test_a_history_keeps_it_to_itself(store: Store, read: Connection, do: Do, new: Do, lin: Do, rule: str) -> None:
    record = new("customer", name="甲", phone=PHONES[0], credit_limit="98765.43", level="developing")
    do("records.update_record", entity="customer", id=record["id"], values={"phone": PHONES[1], "credit_limit": "55555", "level": "deal"})
    actor = lin(rule, customer="phone credit_limit level")
    changes = records.read_history(read, actor, entity="customer", id=record["id"])
    lines = history_lines(signed_in(store, actor), CUSTOMER, record["id"])
    told = {str(value) for row in changes if row.field in {"phone", "credit_limit", "level"} for value in (row.old, row.new)}
    assert told == (set() if rule == "hidden" else {"None", "057****67", "138****12", "****"})
    assert not any(text in str(lines) for text in (*PHONES, "98765", "98,765", "55555", "55,555", "developing", "发展中", "成交"))


def test_days_and_sums_are_masked_whole(read: Connection, sold: dict[str, str], lin: Do) -> None:
    actor = lin("masked", sales_order="date gross status customer_id")
    seen = records.read_record(read, actor, entity="sales_order", id=sold["id"])
    assert {seen[key] for key in ("date", "gross", "status", "customer_id")} == {"****"}
    told = [row.new for row in records.read_history(read, actor, entity="sales_order", id=sold["id"]) if row.field in {"date", "gross"}]
    assert set(told) == {"****"}


def test_no_conflict_tells_it(store: Store, customers: list[str], lin: Do, rule: str) -> None:
    conflict = entity("conflict")
    with store.unit_of_work(None) as uow:
        for key, lost in (("phone", PHONES[0]), ("name", "旧名")):
            values = {"kind": "overwritten", "entity": "customer", "record": customers[0], "field": key, "lost": lost, "kept": "新"}
            uow.insert(conflict, conflict.validate(values))
    assert [row["lost"] for row in node_sync.conflicts(store, lin(rule, customer="phone"))["rows"]] == ["旧名"]


def told_in_the_inbox(store: Store, actor: Actor) -> list[Told]:
    """Conflicts as the inbox puts them into words."""
    with store.read() as connection:
        return list(Teller(connection, actor, conflicts.find_items(connection, actor)[1]))


def test_no_inbox_of_conflicts_tells_it(store: Store, customers: list[str], lin: Do, rule: str) -> None:
    conflict = entity("conflict")
    common = {"entity": "customer", "record": customers[0], "lost_node": "BR01"}
    with store.unit_of_work(None) as uow:
        uow.insert(conflict, conflict.validate({**common, "kind": "overwritten", "field": "phone", "lost": PHONES[1], "kept": PHONES[0]}))
        uow.insert(conflict, conflict.validate({**common, "kind": "duplicate", "field": "phone", "lost": PHONES[0], "other": customers[1]}))
        uow.insert(conflict, conflict.validate({**common, "kind": "overwritten", "field": "address", "lost": "旧址", "kept": "新址"}))
    actor = lin(rule, customer="phone")
    (only,) = told_in_the_inbox(store, actor)
    assert (only.title, only.lost.text) == ("甲", "旧址")
    assert not any(text in str(only) for text in PHONES)
    with store.read() as connection:
        assert conflicts.count_open(connection, actor) == 1
        assert conflicts.open_by_branch(connection, actor) == {"BR01": 1}


def test_the_second_of_two_records_alike_is_named_only_to_who_sees_it(store: Store, do: Do, new: Do, lin: Do) -> None:
    actor = lin("hidden", scope="own")
    mine, theirs = new("customer", name="甲", owner_id=actor.user_id)["id"], new("customer", name="乙")["id"]
    conflict = entity("conflict")
    values = {"kind": "duplicate", "entity": "customer", "record": mine, "other": theirs, "field": "phone", "kept": "1", "lost": "1"}
    with store.unit_of_work(None) as uow:
        uow.insert(conflict, conflict.validate(values))
    (seen,) = told_in_the_inbox(store, actor)
    assert (seen.title, seen.other[1]) == ("甲", "")
    assert "乙" not in str(seen)


# guessing ------------------------------------------------------------------------------------------------------------------------


def test_a_guess_is_neither_confirmed_nor_denied(store: Store, customers: list[str], lin: Do, rule: str) -> None:
    actor = lin(rule, customer="phone")

    def guess(phone: str | None, **more: Any) -> tuple[str, str]:
        values = {"entity": "customer", "id": customers[0], "values": {"phone": phone}, **more}
        error = refusal(lambda: run(store, actor, "records.update_record", **values))
        return error.code, told_by(error)

    right, wrong, empty = guess(PHONES[0]), guess("0575-1"), guess(None)
    assert right == wrong == empty == guess(PHONES[0], version=7)
    assert right[0] == "field_protected"
    assert refusal(lambda: run(store, actor, "records.create_record", entity="customer", values={"name": "丁", "phone": "1"})).code == (
        "field_protected"
    )


def test_an_import_does_not_recognise_by_it(store: Store, customers: list[str], lin: Do, rule: str) -> None:
    actor, rows = lin(rule, customer="phone"), [(2, {"name": "甲", "phone": PHONES[0]})]
    for dry_run in (True, False):
        with pytest.raises(InvalidInput) as refused:
            import_rows(store, actor, entity="customer", rows=rows, update_on="phone", dry_run=dry_run)
        assert refused.value.code == "bad_update_on"
    result = import_rows(store, actor, entity="customer", rows=rows, update_on="name", dry_run=True)
    assert [error["code"] for error in result.errors] == [
        "field_protected"
    ]  # the row fails, also where the number is the one that is there


def test_an_import_names_nothing_by_it(store: Store, sold: dict[str, str], lin: Do, rule: str) -> None:
    actor = lin(rule, product="code")
    rows = [
        (n, {"product_id": text, "warehouse_id": "W1", "quantity": "1", "type": "opening"})
        for n, text in enumerate(("P-77", "P-78", "坯布"))
    ]
    result = import_rows(store, actor, entity="stock_move", rows=rows, dry_run=True)
    assert [(error["row"], error["code"]) for error in result.errors] == [(0, "no_such_record"), (1, "no_such_record")]


def test_a_stale_save_compares_only_what_may_be_seen(store: Store, do: Do, new: Do, lin: Do, rule: str) -> None:
    product = new("product", code="P", name="坯布", price="8")["id"]
    order = do(
        "sales.save_order", header={"customer_id": new("customer", name="甲")["id"]}, lines=[{"product_id": product, "quantity": "2"}]
    )
    line = order["lines"][0]
    actor = lin(rule, sales_order_line="net tax gross")
    values = {"entity": "sales_order_line", "id": line["id"], "values": {"quantity": "5"}, "version": 99}
    error = refusal(lambda: run(store, actor, "records.update_record", **values))
    assert isinstance(error, StaleRecord)
    assert [key for key, _yours, _theirs in error.differences] == ["quantity"]


# order entry -----------------------------------------------------------------------------------------------------------------------


def test_no_line_takes_a_price_over_that_may_not_be_seen(store: Store, sold: dict[str, str], lin: Do, rule: str) -> None:
    actor = lin(rule, product="price")
    header, line = {"customer_id": sold["customer"]}, {"product_id": sold["product"], "quantity": "1"}
    error = refusal(lambda: run(store, actor, "sales.save_order", header=header, lines=[line]))
    assert (error.code, error.params["field"]) == ("required", "price")
    saved = run(store, actor, "sales.save_order", header=header, lines=[{**line, "price": "9"}])
    assert saved["gross"] == "9.00"


def test_no_product_is_found_by_it(read: Connection, sold: dict[str, str], lin: Do, rule: str) -> None:
    actor = lin(rule, product="code barcode")
    for text in ("P-77", "p-77", "6901234567892"):
        assert offers.exact_products(read, actor, [text]) == {}
        assert offers.find_products(read, actor, text=text) == []
    assert [row["id"] for row in offers.find_products(read, actor, text="坯布")] == [sold["product"]]


@pytest.mark.parametrize("field", ["sales_order_line.price", "sales_order_line.unit", "sales_order.date", "sales_order.customer_id"])
def test_no_last_price_tells_it(read: Connection, sold: dict[str, str], lin: Do, rule: str, field: str) -> None:
    kind, key = field.split(".")
    assert offers.last_deals(read, lin(rule), sold["customer"], sold["product"]) != []
    assert offers.last_deals(read, lin(rule, **{kind: key}), sold["customer"], sold["product"]) == []


def test_no_account_tells_it(read: Connection, sold: dict[str, str], lin: Do, rule: str) -> None:
    account = offers.customer_account(
        read, lin(rule, sales_order="date gross", customer="credit_limit level"), customer_id=sold["customer"]
    )
    assert account is not None
    assert not account["last_order"]
    assert not account["unpaid"]
    assert {account["credit_limit"], account["level"]} <= {None, "****"}


@pytest.mark.parametrize("field", ["sales_order.gross", "sales_order.customer_id", "sales_order.status", "receipt.amount"])
def test_no_glance_tells_it(read: Connection, sold: dict[str, str], lin: Do, rule: str, field: str) -> None:
    kind, key = field.split(".")
    assert customer_glances(read, lin(rule), [sold["customer"]])[sold["customer"]].unpaid
    assert not customer_glances(read, lin(rule, **{kind: key}), [sold["customer"]])[sold["customer"]].unpaid


@pytest.mark.parametrize("key", ["quantity", "product_id", "warehouse_id"])
def test_no_stock_tells_it(read: Connection, sold: dict[str, str], lin: Do, rule: str, key: str) -> None:
    assert [row["quantity"] for row in stock_list(read, lin(rule))] == [-2]
    assert stock_list(read, lin(rule, stock_move=key)) == []


@pytest.mark.parametrize(
    ("field", "gone"),
    [
        ("sales_order.gross", {"paid", "received", "open"}),
        ("receipt.amount", {"paid", "received", "open"}),
        ("sales_order.status", {"state", "paid", "open"}),
        ("sales_order.reverses_id", {"state", "reversed_by"}),
        ("stock_move.quantity", {"delivered"}),
    ],
)
def test_no_progress_of_an_order_tells_it(read: Connection, sold: dict[str, str], lin: Do, rule: str, field: str, gone: set[str]) -> None:
    kind, key = field.split(".")
    derived = {"state", "delivered", "paid", "received", "open", "reversed_by"}
    seen = records.read_record(read, lin(rule, **{kind: key}), entity="sales_order", id=sold["id"])
    assert derived - seen.keys() == gone


# actions --------------------------------------------------------------------------------------------------------------------------


def test_no_action_answers_with_it(store: Store, sold: dict[str, str], lin: Do, rule: str) -> None:
    actor = lin(
        rule, sales_order="gross net tax customer_name", sales_order_line="price net tax gross", receipt="date", stock_move="quantity"
    )
    header, line = {"customer_id": sold["customer"], "warehouse_id": sold["house"]}, {"product_id": sold["product"], "quantity": "7"}
    draft = run(store, actor, "sales.save_order", header=header, lines=[line])
    answers = [draft, run(store, actor, "sales.post_order", order_id=draft["id"])]
    answers += [run(store, actor, "sales.reverse_order", order_id=draft["id"])]
    answers += [run(store, actor, "sales.order_with_lines", order_id=sold["id"])]
    answers += [run(store, actor, "finance.receive_payment", order_id=sold["id"], amount="5")]
    answers += [run(store, actor, "records.create_record", entity="sales_order", values={"customer_id": sold["customer"]})]
    told = json.dumps(answers, ensure_ascii=False)
    for text in ("1234.56", "2469.12", "8641.92"):
        assert text not in told
    assert answers[1]["warnings"] == []  # how much is left on hand is made of quantities
    protected = {"gross", "net", "tax", "customer_name", "price"}
    shown = [*answers[:4], *(line for answer in answers[:4] for line in answer["lines"])]
    assert all(row[key] is None or "****" in row[key] for row in shown for key in protected & row.keys())


def test_money_that_does_not_fit_tells_no_sums(store: Store, sold: dict[str, str], lin: Do, rule: str) -> None:
    for fields in ({"sales_order": "gross"}, {"receipt": "customer_id", "sales_order": "gross"}):
        actor = lin(rule, **fields)
        error = refusal(lambda actor=actor: run(store, actor, "finance.receive_payment", order_id=sold["id"], amount="9999999"))
        assert error.code == "more_than_open"
        assert "2,469.12" not in told_by(error)


def test_an_order_out_of_reach_tells_nothing_of_itself(store: Store, new: Do, sold: dict[str, str], lin: Do) -> None:
    actor = lin("hidden", scope="own")
    for verb, parameters in (
        ("finance.receive_payment", {"order_id": sold["id"], "amount": "9999999"}),
        ("records.create_record", {"entity": "receipt", "values": {"order_id": sold["id"], "amount": "9999999"}}),
        (
            "records.create_record",
            {"entity": "sales_order_line", "values": {"order_id": sold["id"], "product_id": sold["product"], "quantity": "1"}},
        ),
        ("records.create_record", {"entity": "contact", "values": {"customer_id": sold["customer"], "name": "王"}}),
        ("sales.save_order", {"header": {}, "lines": [], "order_id": sold["id"]}),
    ):
        error = refusal(lambda verb=verb, parameters=parameters: run(store, actor, verb, **parameters))
        assert isinstance(error, NotFound), verb
        assert "2,469.12" not in told_by(error)


def test_a_line_is_not_carried_into_an_order_out_of_reach(store: Store, do: Do, sold: dict[str, str], lin: Do) -> None:
    theirs = do("sales.save_order", header={"customer_id": sold["customer"]}, lines=[])
    actor = lin("hidden", scope="own")
    mine = run(store, actor, "sales.save_order", header={}, lines=[{"product_id": sold["product"], "quantity": "1"}])
    values = {"entity": "sales_order_line", "id": mine["lines"][0]["id"], "values": {"order_id": theirs["id"]}}
    assert isinstance(refusal(lambda: run(store, actor, "records.update_record", **values)), NotFound)


def test_an_event_names_no_hidden_field(lin: Do, customers: list[str]) -> None:
    changes = Changes({"customer": frozenset(customers)}, {"customer": frozenset({"phone", "name"})})
    assert policy.seen_changes(lin("hidden", customer="phone"), changes).fields == {"customer": frozenset({"name"})}


# the rules themselves ----------------------------------------------------------------------------------------------------------------


def test_a_role_protects_the_lines_of_the_documents_it_shows(read: Connection, store: Store, do: Do, new: Do, sold: dict[str, str]) -> None:
    user, role = new("user", login="wu", name="吴敏"), new("role", name="仓库")
    do("people.set_role_right", role_id=role["id"], entity="sales_order", action="read", scope="all")
    do("people.set_role_field", role_id=role["id"], entity="sales_order_line", field="price", rule="hidden")
    do("people.assign_role", login="wu", role="仓库")
    actor = actor_by_id(store, user["id"])
    assert actor is not None
    assert "price" not in records.read_record(read, actor, entity="sales_order_line", id=sold["line"])


def test_a_right_that_was_taken_away_is_not_brought_back_from_the_bin(read: Connection, do: Do, lin: Do) -> None:
    lin("hidden")
    do("people.set_rights", login="lin", entity="customer", actions=["read"])
    taken = read.value("SELECT lower(hex(id)) FROM role_right WHERE entity = 'customer' AND action = 'delete' AND deleted = 1")
    assert refusal(lambda: do("records.undelete_record", entity="role_right", id=taken)).code == "cannot_delete"


def test_whether_a_login_exists_is_not_told(store: Store, lin: Do) -> None:
    actor = lin("hidden")
    for verb, parameters in (
        ("people.set_password", {"password": "Something-new-1"}),
        ("people.set_rights", {"entity": "customer", "actions": []}),
        ("people.set_field_rule", {"entity": "customer", "field": "phone", "rule": "hidden"}),
        ("people.own_rights", {}),
        ("people.hand_over", {"to": "admin"}),
    ):
        errors = [refusal(lambda login=login: run(store, actor, verb, login=login, **parameters)) for login in ("admin", "nobody-here")]  # noqa: B023
        assert errors[0].code == errors[1].code, verb
        assert all(isinstance(error, Forbidden) for error in errors)


def test_the_pages_of_orders_open_without_it(store: Store, sold: dict[str, str], lin: Do, rule: str) -> None:
    session = signed_in(store, lin(rule, sales_order="status gross date", sales_order_line="price", product="code price"))
    sheet = order_form.load_sheet(session, sold["id"])
    assert sheet["state"]["key"] == ""
    assert not any(text in json.dumps(sheet, ensure_ascii=False) for text in ("1,234.56", "1234.56", "2026-03-04", "P-77"))
    (row,) = order_form.products(session, {"text": "坯布"})["rows"]
    assert (row["name"], row["code"] in {"", "****"}, row["price"] in {"", "****"}) == ("坯布", True, True)


def test_a_refusal_counts_only_what_may_be_seen(store: Store, do: Do, sold: dict[str, str], lin: Do) -> None:
    wish = {"entity": "customer", "id": sold["customer"]}
    actor = lin("hidden")
    assert refusal(lambda: run(store, actor, "records.delete_record", **wish)).params["users"] == "销售单 1"
    do("people.set_rights", login="lin", entity="sales_order", actions=["read"], scope="own")
    actor = actor_by_id(store, actor.user_id or "")
    assert actor is not None
    assert refusal(lambda: run(store, actor, "records.delete_record", **wish)).params["users"] == "销售单"


def test_what_may_be_seen_but_not_changed_takes_nothing_under_it(store: Store, do: Do, sold: dict[str, str], lin: Do) -> None:
    actor = lin("hidden")
    do("people.set_rights", login="lin", entity="customer", actions=["read", "update"], scope={"update": "own"})
    actor = actor_by_id(store, actor.user_id or "")
    assert actor is not None
    values = {"customer_id": sold["customer"], "name": "王"}
    assert refusal(lambda: run(store, actor, "records.create_record", entity="contact", values=values)).code == "out_of_reach"
