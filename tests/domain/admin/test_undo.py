"""A whole action taken back: what goes back, what is never undone, and who may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from localcrm.domain import verbs
from localcrm.domain.admin import asof, undo
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store import asof as stored
from localcrm.sync import compaction
from tests import factories
from tests.factories import HandClock, Installation


def act(node: Installation, verb: str, *, actor: Actor | None = None, **parameters: Any) -> tuple[Any, int]:
    """What a verb returns, and the change by which its action is named."""
    done = verbs.act(node.store, actor or node.actor, verb, parameters)
    assert done.change is not None
    return done.value, done.change


def take_back(node: Installation, change: int, actor: Actor | None = None) -> int:
    """Undo an action; returns the change that names the undo."""
    return act(node, "admin.undo_action", actor=actor, change=change)[1]


def refusal(node: Installation, change: int, actor: Actor | None = None) -> AppError:
    with pytest.raises(AppError) as refused:
        take_back(node, change, actor)
    return refused.value


def preview(node: Installation, change: int, actor: Actor | None = None) -> undo.Preview:
    return undo.preview_undo(node.store, actor or node.actor, change=change)


def is_offered(node: Installation, change: int, actor: Actor | None = None) -> bool:
    with node.store.read() as connection:
        return undo.is_offered(node.store, connection, actor or node.actor, change)


def staff(hq: Installation, login: str = "lin") -> Actor:
    user = hq.new("user", login=login, name=login, password=factories.PASSWORD, role="staff")
    actor = actor_by_id(hq.store, user)
    assert actor is not None
    return actor


def test_a_change_of_values_goes_back_and_forth(hq: Installation) -> None:
    customer = hq.new("customer", name="甲", phone="1")
    _value, change = act(hq, "records.update_record", entity="customer", id=customer, values={"phone": "2", "remark": "熟客"})
    hq.set("customer", customer, level="deal")  # what somebody did beside it stays
    again = take_back(hq, change)
    assert [hq.get("customer", customer)[key] for key in ("phone", "remark", "level")] == ["1", None, "deal"]
    take_back(hq, again)
    assert [hq.get("customer", customer)[key] for key in ("phone", "remark", "level")] == ["2", "熟客", "deal"]


def test_a_new_record_goes_into_the_bin_and_a_deleted_one_comes_back(hq: Installation) -> None:
    made, change = act(hq, "records.create_record", entity="customer", values={"name": "甲"})
    again = take_back(hq, change)
    assert hq.is_deleted("customer", made["id"])
    take_back(hq, again)
    assert not hq.is_deleted("customer", made["id"])
    _gone, change = act(hq, "records.delete_record", entity="customer", id=made["id"])
    take_back(hq, change)
    assert not hq.is_deleted("customer", made["id"])


def test_what_was_changed_since_is_named_with_whoever_did_it(hq: Installation) -> None:
    customer = hq.new("customer", name="甲", phone="1")
    _value, change = act(hq, "records.update_record", entity="customer", id=customer, values={"phone": "2"})
    lin = staff(hq)
    verbs.run(hq.store, lin, "records.update_record", {"entity": "customer", "id": customer, "values": {"phone": "3"}})
    refused = refusal(hq, change)
    assert (refused.code, refused.params["who"], refused.params["title"]) == ("changed_since", "lin", "甲")
    assert hq.get("customer", customer)["phone"] == "3"
    assert preview(hq, change).refused == str(refused)


def test_a_new_record_that_somebody_worked_on_or_refers_to_stays(hq: Installation) -> None:
    made, change = act(hq, "records.create_record", entity="customer", values={"name": "甲"})
    hq.new("contact", customer_id=made["id"], name="张")
    assert refusal(hq, change).code == "referenced"
    other, change = act(hq, "records.create_record", entity="customer", values={"name": "乙"})
    hq.set("customer", other["id"], phone="1")
    assert refusal(hq, change).code == "changed_since"
    assert not hq.is_deleted("customer", other["id"])


def test_a_draft_and_its_lines_go_back_together(hq: Installation) -> None:
    customer = hq.new("customer", name="甲")
    one, two = (hq.new("product", code=code, name=code, price="2", tax_rate="0.13") for code in "AB")
    order, made = act(hq, "sales.save_order", header={"customer_id": customer}, lines=[{"product_id": one, "quantity": "1"}])
    line = order["lines"][0]["id"]
    lines = [{"id": line, "quantity": "4"}, {"product_id": two, "quantity": "1"}]
    _value, more = act(hq, "sales.save_order", order_id=order["id"], header={"remark": "急"}, lines=lines)
    assert refusal(hq, made).code == "changed_since"
    take_back(hq, more)
    now = hq.run("sales.order_with_lines", order_id=order["id"])
    assert ([(row["id"], row["quantity"]) for row in now["lines"]], now["gross"], now["remark"]) == ([(line, "1")], "2.00", None)
    _value, none = act(hq, "sales.save_order", order_id=order["id"], header={}, lines=[])
    take_back(hq, none)
    now = hq.run("sales.order_with_lines", order_id=order["id"])
    assert ([(row["product_id"], row["quantity"]) for row in now["lines"]], now["gross"]) == ([(one, "1")], "2.00")
    assert (preview(hq, made).refused != "", hq.is_deleted("sales_order", order["id"])) == (True, False)


def test_whoever_still_looks_at_the_draft_as_it_was_must_look_again(hq: Installation) -> None:
    customer, product = hq.new("customer", name="甲"), hq.new("product", code="A", name="A", price="0", tax_rate="0.13")
    order = hq.order(customer, product)
    line = hq.run("sales.order_with_lines", order_id=order)["lines"][0]["id"]
    _value, change = act(hq, "sales.save_order", order_id=order, header={}, lines=[{"id": line, "quantity": "4"}])
    seen = hq.run("sales.order_with_lines", order_id=order)["version"]
    take_back(hq, change)
    with pytest.raises(AppError) as stale:
        hq.run("sales.save_order", order_id=order, version=seen, header={"remark": "x"}, lines=[{"id": line}])
    assert stale.value.code == "stale_record"


def test_what_is_posted_or_moved_is_reversed_not_undone(hq: Installation) -> None:
    customer, product = hq.new("customer", name="甲"), hq.new("product", code="A", name="布", price="1")
    warehouse = hq.new("warehouse", code="W", name="仓")
    order = hq.order(customer, product)
    _value, draft = act(hq, "records.update_record", entity="sales_order", id=order, values={"remark": "急"})
    assert is_offered(hq, draft)
    _value, posted = act(hq, "sales.post_order", order_id=order)
    move = {"product_id": product, "warehouse_id": warehouse, "quantity": "5"}
    _value, moved = act(hq, "records.create_record", entity="stock_move", values=move)
    assert [refusal(hq, one).code for one in (posted, moved)] == ["reverse_instead", "reverse_instead"]
    assert [is_offered(hq, one) for one in (draft, posted, moved)] == [False, False, False]
    assert refusal(hq, draft).code == "posted_document"


@pytest.mark.parametrize(
    ("verb", "parameters"),
    [
        ("people.set_password", {"login": "lin", "password": "Ein-anderes-9"}),
        ("people.set_rights", {"login": "lin", "entity": "customer", "actions": ["read"]}),
        ("admin.add_field", {"entity": "customer", "label": "色号", "type": "text"}),
        ("records.update_record", {"entity": "user", "values": {"name": "林"}}),
    ],
)
def test_rights_secrets_and_fields_have_ways_back_of_their_own(hq: Installation, verb: str, parameters: dict[str, Any]) -> None:
    lin = staff(hq)
    more = {"id": lin.user_id} if verb == "records.update_record" else {}
    _value, change = act(hq, verb, **parameters, **more)
    assert (refusal(hq, change).code, is_offered(hq, change)) == ("cannot_undo", False)


def test_only_the_author_and_who_may_manage_settings_undo(hq: Installation) -> None:
    lin, mei = staff(hq), staff(hq, "mei")
    customer = hq.new("customer", name="甲", phone="1")
    wish = {"entity": "customer", "id": customer, "values": {"phone": "2"}}
    _value, change = act(hq, "records.update_record", actor=lin, **wish)
    assert (refusal(hq, change, mei).code, is_offered(hq, change, mei), is_offered(hq, change, lin)) == ("not_yours_to_undo", False, True)
    take_back(hq, change, lin)
    _value, change = act(hq, "records.update_record", actor=lin, **wish)
    take_back(hq, change)
    assert hq.get("customer", customer)["phone"] == "1"


def test_who_may_no_longer_change_a_field_or_a_record_does_not_undo_it(hq: Installation) -> None:
    lin = staff(hq)
    customer = hq.new("customer", name="甲", phone="1", owner_id=lin.user_id)
    _value, change = act(hq, "records.update_record", actor=lin, entity="customer", id=customer, values={"phone": "2"})
    hq.run("people.set_field_rule", login="lin", entity="customer", field="phone", rule="hidden")
    now = actor_by_id(hq.store, str(lin.user_id))
    assert now is not None
    assert refusal(hq, change, now).code == "field_protected"
    assert preview(hq, change, now).steps == ()
    hq.run("people.set_field_rule", login="lin", entity="customer", field="phone", rule="editable")
    hq.run("people.set_rights", login="lin", entity="customer", actions=["read"])
    now = actor_by_id(hq.store, str(lin.user_id))
    assert now is not None
    assert refusal(hq, change, now).code == "forbidden"


def test_a_preview_tells_and_changes_nothing(hq: Installation) -> None:
    customer = hq.new("customer", name="甲", phone="1")
    _value, change = act(hq, "records.update_record", entity="customer", id=customer, values={"phone": "2"})
    before = hq.value("SELECT count(*) FROM sync_log"), hq.digest
    found = preview(hq, change)
    assert (found.steps, found.refused) == ((undo.Step("customer", customer, "甲", "back", (("phone", "2", "1"),)),), "")
    assert (hq.value("SELECT count(*) FROM sync_log"), hq.digest) == before


def test_of_values_that_were_changed_in_part_since_the_rest_goes_back(hq: Installation) -> None:
    customer = hq.new("customer", name="甲", phone="1", credit_limit="200000")
    values = {"phone": "2", "credit_limit": "80000"}
    _value, change = act(hq, "records.update_record", entity="customer", id=customer, values=values)
    hq.set("customer", customer, credit_limit="300000")
    found = preview(hq, change)
    assert [(one.title, one.field, one.now, one.user_id) for one in found.since] == [("甲", "credit_limit", "300000.00", hq.actor.user_id)]
    assert [step.values for step in found.steps] == [(("phone", "2", "1"),)]
    hq.run("admin.undo_action", change=change, rest=True)
    assert [str(hq.get("customer", customer)[key]) for key in ("phone", "credit_limit")] == ["1", "300000.00"]
    hq.set("customer", customer, phone="3")
    assert preview(hq, change).steps == ()
    with pytest.raises(AppError) as refused:
        hq.run("admin.undo_action", change=change, rest=True)
    assert refused.value.code == "nothing_left"


def test_what_was_changed_since_is_not_told_of_a_hidden_field(hq: Installation) -> None:
    lin = staff(hq)
    customer = hq.new("customer", name="甲", phone="1", owner_id=lin.user_id)
    _value, change = act(hq, "records.update_record", actor=lin, entity="customer", id=customer, values={"phone": "2", "remark": "熟客"})
    hq.set("customer", customer, phone="3")
    hq.run("people.set_field_rule", login="lin", entity="customer", field="phone", rule="hidden")
    now = actor_by_id(hq.store, str(lin.user_id))
    assert now is not None
    found = preview(hq, change, now)
    assert (found.since, entity("customer").fields["phone"].label in found.refused) == ((), False)


def test_only_changed_values_go_back_in_part(hq: Installation) -> None:
    made, change = act(hq, "records.create_record", entity="customer", values={"name": "甲"})
    hq.set("customer", made["id"], phone="1")
    found = preview(hq, change)
    assert ([one.field for one in found.since], found.steps) == (["phone"], ())


def test_too_much_or_too_long_ago_is_refused(hq: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    _value, change = act(hq, "records.create_record", entity="customer", values={"name": "甲"})
    assert {refusal(hq, number).code for number in (10_000_000, 0, -1, 10**40)} == {"too_long_ago"}
    monkeypatch.setattr(undo, "MOST", 0)
    assert (refusal(hq, change).code, is_offered(hq, change)) == ("too_much_to_undo", False)


def test_what_has_left_the_log_is_not_undone(hq: Installation) -> None:
    """Of what the log gave up, the past keeps the values but not the whole action in its order."""
    _value, change = act(hq, "records.create_record", entity="customer", values={"name": "甲"})
    clock = hq.store.clock
    assert isinstance(clock, HandClock)
    clock.forward(days=730)
    hq.new("customer", name="乙")
    compaction.compact(hq.store, compaction.Rule(patience_ms=0), pause_s=0)
    assert (refusal(hq, change).code, is_offered(hq, change)) == ("too_long_ago", False)


def test_a_value_that_refers_to_a_record_now_gone_does_not_come_back(hq: Installation) -> None:
    product = hq.new("product", code="A", name="布", price="1")
    one, two = hq.new("customer", name="甲"), hq.new("customer", name="乙")
    order = hq.order(one, product)
    _value, change = act(hq, "records.update_record", entity="sales_order", id=order, values={"customer_id": two})
    hq.delete("customer", one)
    assert refusal(hq, change).code == "no_such_record"


# any action ------------------------------------------------------------------------------------------------------------------

_line = st.tuples(st.integers(0, 1), st.integers(1, 3))
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 1), st.sampled_from(["1", "2", "3"])),
        st.tuples(st.just("bin"), st.integers(0, 1), st.just("")),
        st.tuples(st.just("lines"), st.lists(_line, max_size=3), st.sampled_from(["急", "缓"])),
        st.tuples(st.just("tax"), st.booleans(), st.just("")),
        st.tuples(st.just("new"), st.lists(_line, max_size=2), st.just("")),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Installation, list[str]]]:
    with factories.company(branches=1) as made:
        yield made.hq, [made.hq.new("product", code=code, name=code, price="3", tax_rate="0.13") for code in "AB"]


@settings(max_examples=25)
@given(_steps)
def test_undone_the_records_are_as_before_and_undone_again_as_after(
    shop: tuple[Installation, list[str]], steps: list[tuple[str, Any, str]]
) -> None:
    hq, products = shop
    customers = [hq.new("customer", name=name, phone="0") for name in ("甲", "乙")]
    order = hq.order(customers[0], products[0])
    orders = [order]

    def everything() -> Any:
        """Values of all records, lines without their ids: one that comes back has a new one."""
        with hq.store.read() as connection:
            heads = [stored.record_today(connection, entity("customer"), one) for one in customers]
            heads += [stored.record_today(connection, entity("sales_order"), one) for one in orders]
            lines = [stored.lines_today(connection, entity("sales_order"), one)["sales_order_line"] for one in orders]
        return heads, [sorted(tuple(line.values.items()) for line in group.values()) for group in lines]

    def step(what: str, given: Any, text: str) -> tuple[Any, int | None]:
        if what == "set":
            verb, wish = "records.update_record", {"entity": "customer", "id": customers[given], "values": {"phone": text, "remark": text}}
        elif what == "bin":
            verb = "records.undelete_record" if hq.is_deleted("customer", customers[given]) else "records.delete_record"
            wish = {"entity": "customer", "id": customers[given]}
        else:
            lines = [{"product_id": products[n], "quantity": str(quantity)} for n, quantity in (given if what != "tax" else [])]
            known = hq.run("sales.order_with_lines", order_id=order)["lines"]
            for line, old in zip(lines, known, strict=False):
                line["id"] = old["id"]
            if what == "new":
                verb, wish = (
                    "sales.save_order",
                    {"header": {}, "lines": [{"product_id": one["product_id"], "quantity": one["quantity"]} for one in lines]},
                )
            elif what == "tax":
                verb, wish = "records.update_record", {"entity": "sales_order", "id": order, "values": {"tax_included": given}}
            else:
                verb, wish = "sales.save_order", {"order_id": order, "header": {"remark": text}, "lines": lines}
        try:
            done = verbs.act(hq.store, hq.actor, verb, wish)
        except AppError:  # such as a deleted customer that is to be changed
            return None, None
        return done.value, done.change

    for what, given_, text in steps:
        before = everything()
        value, change = step(what, given_, text)
        if what == "new" and value:
            with hq.store.read() as connection:
                made = stored.record_today(connection, entity("sales_order"), value["id"])
            back = take_back(hq, change or 0)
            assert everything() == before and hq.is_deleted("sales_order", value["id"])
            take_back(hq, back)
            with hq.store.read() as connection:
                assert stored.record_today(connection, entity("sales_order"), value["id"]) == made
            continue
        if change is None:
            continue
        after = everything()
        back = take_back(hq, change)
        assert everything() == before
        take_back(hq, back)
        assert everything() == after


def test_an_undo_has_its_place_in_the_history(hq: Installation) -> None:
    customer = hq.new("customer", name="甲", phone="1")
    _value, change = act(hq, "records.update_record", entity="customer", id=customer, values={"phone": "2"})
    hq.store.clock.forward(minutes=1)  # type: ignore[attr-defined]
    take_back(hq, change)
    with hq.store.read() as connection:
        moment = datetime.fromtimestamp(hq.store.clock.now_ms() / 1000 - 30, tz=UTC)
        found = asof.read_as_of(connection, hq.actor, entity="customer", id=customer, moment=moment)
    assert found.record.then is not None
    assert (found.record.then.values["phone"], found.record.changed) == ("2", {"phone"})
