"""Records of every kind: numbers, codes, the bin, and what hostile values come to."""

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import records, verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store import changelog
from localcrm.store.query import Condition, ListQuery, select
from localcrm.store.store import Store
from tests import factories

Do = Callable[..., Any]


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(AppError) as refused:
        call()
    return refused.value.code


def test_a_number_typed_by_hand_is_not_given_again(new: Do) -> None:
    first = new("customer", name="甲")["number"]
    typed = new("customer", name="乙", number=f"{first[:-1]}2")["number"]
    assert (typed, new("customer", name="丙")["number"]) == ("C-HQ-000002", "C-HQ-000003")


def test_a_code_given_anew_meanwhile_keeps_the_old_record_in_the_bin(do: Do, new: Do) -> None:
    old = new("product", code="P1", name="旧")["id"]
    do("records.delete_record", entity="product", id=old)
    new("product", code="P1", name="新")
    assert code_of(lambda: do("records.undelete_record", entity="product", id=old)) == "code_taken"


def test_a_record_comes_back_after_what_it_belongs_to(do: Do, new: Do) -> None:
    customer = new("customer", name="甲")["id"]
    contact = new("contact", customer_id=customer, name="张")["id"]
    for kind, identity in (("contact", contact), ("customer", customer)):
        do("records.delete_record", entity=kind, id=identity)
    assert code_of(lambda: do("records.undelete_record", entity="contact", id=contact)) == "parent_deleted"
    do("records.undelete_record", entity="customer", id=customer)
    do("records.undelete_record", entity="contact", id=contact)


def test_of_many_records_those_others_refer_to(do: Do, new: Do, store: Store) -> None:
    """The merge asks for all at once what the recycle bin asks for each."""
    customers = [new("customer", name=name)["id"] for name in "甲乙丙丁"]
    orders = [new("sales_order", customer_id=customer)["id"] for customer in customers[:2]]
    new("contact", customer_id=customers[2], name="张")
    do("records.delete_record", entity="sales_order", id=orders[1])
    with store.read() as connection:
        at_once = records.referred(connection, entity("customer"), map(bytes.fromhex, customers))
        one_by_one = {bytes.fromhex(one) for one in customers if records.references(connection, entity("customer"), one)}
        assert records.referred(connection, entity("customer"), []) == set()
    assert at_once == one_by_one
    assert bytes.fromhex(customers[0]) in at_once
    assert not at_once & {bytes.fromhex(customers[1]), bytes.fromhex(customers[3])}


@pytest.mark.parametrize("number", ["1e999999", "1e900000", "-1e99999999", "1e-9999999", "9" * 5000, "1e999999999%"])
def test_numbers_nobody_can_compute_with_are_refused_at_once(new: Do, number: str) -> None:
    assert code_of(lambda: new("customer", name="甲", credit_limit=number)) in {"bad_number", "number_too_large"}


@pytest.mark.parametrize("moment", ["0001-01-01", "0209-01-01", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_days_outside_the_calendar_are_refused(new: Do, moment: str) -> None:
    customer = new("customer", name="甲")["id"]
    assert code_of(lambda: new("activity", customer_id=customer, content="电话", at=moment)) == "bad_date"


def test_a_list_takes_numbers_and_texts_of_any_length(store: Store, admin: Actor) -> None:
    customer, line = entity("customer"), entity("sales_order_line")
    queries = [
        ListQuery(customer, offset=10**30),
        ListQuery(line, where=(Condition("position", "=", str(10**30)),)),
        ListQuery(customer, where=(Condition("name", "contains", "x" * 60_000),)),
        ListQuery(customer, where=(Condition("credit_limit", ">", "1e999999"),)),
    ]
    with store.read() as connection:
        codes = [code_of(lambda query=query: select(connection, query)) for query in queries]  # type: ignore[misc]
    assert codes == ["number_too_large", "number_too_large", "bad_value", "bad_value"]


def test_what_head_office_owns_is_not_changed_at_a_branch() -> None:
    with factories.company(branches=1) as company:
        branch = next(iter(company.branches.values()))
        assert code_of(lambda: branch.set("branch", branch.store.node.branch_id, name="新名")) == "office_only"
        company.hq.set("branch", branch.store.node.branch_id, name="新名")


def test_history_leaves_out_a_field_that_was_dropped(store: Store, admin: Actor, do: Do, new: Do) -> None:
    product = new("product", code="P", name="货")["id"]
    order = do("sales.save_order", header={}, lines=[{"product_id": product, "quantity": "1"}])
    line = order["lines"][0]["id"]
    do("records.delete_record", entity="sales_order_line", id=line)
    with store.housekeeping() as connection:
        connection.execute("UPDATE sync_log SET diff = json_set(diff, '$.\"99\"', 'x') WHERE op = 5")
    with store.read() as connection:
        shown = {row.field for row in changelog.history(connection, entity("sales_order_line"), line)}
    assert "quantity" in shown


def test_a_value_is_put_back_from_the_history(store: Store, do: Do, new: Do, admin: Actor) -> None:
    customer = new("customer", name="甲公司", phone="1", credit_limit="100")
    do("records.update_record", entity="customer", id=customer["id"], values={"phone": "2", "credit_limit": "250"})

    def change(field: str) -> int:
        with store.read() as connection:
            rows = records.read_history(connection, admin, entity="customer", id=customer["id"])
        return next(row.lseq for row in rows if row.field == field and not row.first)

    wish = {"entity": "customer", "id": customer["id"]}
    assert do("records.take_back", **wish, field="phone", change=change("phone"))["phone"] == "1"
    assert do("records.take_back", **wish, field="credit_limit", change=change("credit_limit"))["credit_limit"] == "100.00"
    began_with = change("phone") - 1  # the log row that made the record
    assert code_of(lambda: do("records.take_back", **wish, field="name", change=began_with)) == "not_in_history"


def test_a_value_one_may_not_write_is_not_put_back(store: Store, do: Do, new: Do) -> None:
    customer = new("customer", name="甲公司", credit_limit="100")
    do("records.update_record", entity="customer", id=customer["id"], values={"credit_limit": "250"})
    li = new("user", login="li", name="李", password="Correct-Horse-7", role="staff")
    do("people.set_field_rule", login="li", entity="customer", field="credit_limit", rule="read_only")
    actor = actor_by_id(store, li["id"])
    assert actor is not None
    with store.read() as connection:
        row = next(row for row in records.read_history(connection, actor, entity="customer", id=customer["id"]) if row.old == "100.00")
    wish = {"entity": "customer", "id": customer["id"], "field": row.field, "change": row.lseq}
    assert code_of(lambda: verbs.run(store, actor, "records.take_back", wish)) == "not_in_history"
