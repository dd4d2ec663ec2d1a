"""The same company entered twice: told while it is typed, merged, undone, and brought to one where two branches did it apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.crm import merging
from localcrm.domain.crm.alike import HIDDEN_AN_HOUR
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.sales.glance import customer_glances
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.check import check
from localcrm.store.query import Condition, ListQuery, select
from localcrm.store.search import find
from tests.factories import Company, Installation, copy_company

TAX = "91330621MA2JXFZ88X"


def prepare(company: Company) -> None:
    hq = company.hq
    hq.new("warehouse", code="W1", name="主仓")
    hq.new("product", code="P1", name="坯布", unit="米", price="10", tax_rate="0.13", stocked=False)
    company.exchange()


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    opened = copy_company(tmp_path, name="查重", prepare=prepare)
    yield opened
    opened.close()


def posted(node: Installation, customer: str, quantity: str = "1") -> str:
    product = node.value("SELECT lower(hex(id)) FROM product")
    order = node.order(customer, product, quantity=quantity)
    node.run("sales.post_order", order_id=order)
    return order


def clerk(node: Installation, login: str, *actions: str, scope: str = "own") -> Actor:
    """Somebody with these rights on customers, and all on contacts."""
    user = node.new("user", login=login, name=f"王{login}", password="Correct-Horse-7", role="none")
    node.run("people.set_rights", login=login, entity="customer", actions=list(actions), scope=scope)
    node.run("people.set_rights", login=login, entity="contact", actions=["read", "create", "update"])
    actor = actor_by_id(node.store, user)
    assert actor is not None
    return actor


def refused(call: Any, *args: Any, **parameters: Any) -> str:
    with pytest.raises(AppError) as found:
        call(*args, **parameters)
    return found.value.code


def merge(node: Installation, kept: str, merged: str, **choices: str) -> Any:
    return node.run("crm.merge_customers", kept=kept, merged=merged, choices=choices)


def test_one_is_left_of_two_and_everything_is_with_it(company: Company) -> None:
    hq = company.hq
    one = hq.new("customer", name="绍兴华美纺织有限公司", phone="0575-84123367", credit_limit="100")
    two = hq.new("customer", name="绍兴（华美）纺织", phone="13905751234", tax_no=TAX, credit_limit="500")
    hq.new("contact", customer_id=one, name="陈总", is_main=True)
    wang = hq.new("contact", customer_id=two, name="王工", is_main=True)
    call = hq.new("activity", customer_id=two, content="问价")
    for each, tags in ((one, "老客户;展会"), (two, "外贸;老客户")):
        hq.set("customer", each, tags=tags)
    order = posted(hq, two)
    posted(hq, one, "2")
    draft = hq.order(two)
    numbers = [hq.get("customer", each)["number"] for each in (one, two)]
    merge(hq, one, two, credit_limit="merged")

    left = hq.get("customer", one)
    assert (left["tax_no"], left["credit_limit"], left["phone"]) == (TAX, "500.00", "0575-84123367; 13905751234")
    assert set(str(left["tags"]).split("\n")) == {"老客户", "展会", "外贸"}
    assert (left["number"], left["former_numbers"], left["former_names"]) == (numbers[0], numbers[1], "绍兴（华美）纺织")
    assert hq.is_deleted("customer", two)
    assert {hq.get(kind, each)["customer_id"] for kind, each in (("contact", wang), ("activity", call), ("sales_order", draft))} == {one}
    assert [hq.get("contact", wang)["is_main"]] == [False]
    # What is posted stays as it was printed, and counts.
    assert (hq.get("sales_order", order)["customer_id"], hq.get("sales_order", order)["customer_name"]) == (two, "绍兴（华美）纺织")
    with hq.store.read() as connection:
        assert str(customer_glances(connection, hq.actor, [one])[one].unpaid) == "30.00"
        orders = select(connection, ListQuery(entity("sales_order"), where=(Condition("customer_id", "=", one),)))
        assert {row["id"] for row in orders.rows} >= {order, draft}
        for number in numbers:
            assert [hit.title for hit in find(connection, number) if hit.entity == "customer"] == ["绍兴华美纺织有限公司"]
    assert check(hq.store) == {"ok": True, "problems": []}


def test_undone(company: Company) -> None:
    hq = company.hq
    one = hq.new("customer", name="绍兴华美纺织有限公司", phone="0575-84123367")
    two = hq.new("customer", name="绍兴（华美）纺织", phone="13905751234", tax_no=TAX)
    wang = hq.new("contact", customer_id=two, name="王工", is_main=True)
    before = [hq.get("customer", each) for each in (one, two)]
    change = hq.value("SELECT max(lseq) + 1 FROM sync_log")
    hq.run("people.share_record", entity="customer", id=two, branch_id=hq.store.node.branch_id)
    change = hq.value("SELECT max(lseq) + 1 FROM sync_log")
    merge(hq, one, two)
    assert hq.value("SELECT record FROM share") == one
    hq.run("admin.undo_action", change=change)
    assert [hq.get("customer", each) for each in (one, two)] == before
    assert hq.get("contact", wang)["customer_id"] == two
    assert hq.value("SELECT record FROM share") == two
    assert not hq.is_deleted("customer", two)


def test_merged_in_opposite_directions(company: Company) -> None:
    hq, (a, b) = company.hq, company.branches.values()
    one = hq.new("customer", name="绍兴华美纺织有限公司")
    two = hq.new("customer", name="绍兴（华美）纺织")
    people = [hq.new("contact", customer_id=each, name=f"联系人{each[-4:]}") for each in (one, two)]
    company.exchange()
    merge(a, one, two)
    merge(b, two, one)
    late = b.new("activity", customer_id=two, content="又来电")
    company.exchange()
    for node in company.nodes:
        assert (node.is_deleted("customer", one), node.is_deleted("customer", two)) == (False, True)
        assert {node.get("contact", each)["customer_id"] for each in people} == {one}
        assert node.get("activity", late)["customer_id"] == one
        assert node.get("customer", one)["former_numbers"] == node.get("customer", two)["number"]
        assert [row["kind"] for row in node.conflicts()] == ["merged"], node.conflicts()
    assert len(company.digests) == 1


def test_who_did_not_know_yet(company: Company) -> None:
    hq, (a, b) = company.hq, company.branches.values()
    one, two, three = (hq.new("customer", name=f"绍兴华美纺织{each}有限公司") for each in "一二三")
    company.exchange()
    merge(a, one, two)
    merge(b, three, one)
    late = b.new("contact", customer_id=two, name="新人")
    draft = b.order(two)
    company.exchange()
    company.exchange()
    for node in company.nodes:
        assert node.get("contact", late)["customer_id"] == three
        assert node.get("sales_order", draft)["customer_id"] == three
        assert {node.get("customer", each)["merged_into_id"] for each in (one, two)} == {three}
        assert set(node.get("customer", three)["former_numbers"].split("\n")) == {
            node.get("customer", each)["number"] for each in (one, two)
        }
        assert node.conflicts() == []
    assert len(company.digests) == 1


def test_branches_enter_the_same_company_apart(company: Company) -> None:
    a, b = company.branches.values()
    one = a.new("customer", name="绍兴华美纺织有限公司", phone="0575-84123367")
    two = b.new("customer", name="绍兴（华美）纺织股份有限公司")
    b.new("contact", customer_id=two, name="王工", phone="+86 575 8412 3367")
    assert a.run("crm.list_pairs")["rows"] == []
    company.exchange()
    for node in company.nodes:
        (pair,) = node.run("crm.list_pairs")["rows"]
        assert (pair["one"]["id"], pair["other"]["id"], pair["apart"]) == (*sorted((one, two)), True)
        assert pair["reasons"] == ["name", "phone"]
    a.run("crm.tell_apart", one=two, other=one, note="")
    company.exchange()
    assert [node.run("crm.list_pairs")["rows"] for node in company.nodes] == [[], [], []]
    assert refused(a.run, "crm.tell_apart", one=two, other=two) == "same_customer"
    b.run("crm.look_again", one=one, other=two)
    company.exchange()
    assert [len(node.run("crm.list_pairs")["rows"]) for node in company.nodes] == [1, 1, 1]


def test_what_is_told_apart_at_two_places_and_merged_later_stays_told_apart(company: Company) -> None:
    hq, (a, b) = company.hq, company.branches.values()
    one, two, three = (hq.new("customer", name=name) for name in ("绍兴华美", "绍兴华美公司", "绍兴华美有限公司"))
    company.exchange()
    for node in (a, b):
        node.run("crm.tell_apart", one=one, other=three)
    company.exchange()
    assert len(hq.run("crm.list_pairs")["rows"]) == 2
    merge(hq, two, one)  # what was found of the one that goes holds for the one that stays
    company.exchange()
    assert [node.run("crm.list_pairs")["rows"] for node in company.nodes] == [[], [], []]
    assert len(company.digests) == 1


def test_a_clerk_is_told_that_there_is_one_and_whom_to_ask(company: Company) -> None:
    hq = company.hq
    names = ["上海A公司 ", "上海Ａ公司", "上海A有限公司"]
    mine = clerk(hq, "lin", "read", "create", "update", "merge", "delete")
    theirs = hq.new("customer", name=names[0], phone="021-6234 5678", tax_no=TAX)
    hq.new("contact", customer_id=theirs, name="王工", phone="13905751234")
    own = verbs.run(hq.store, mine, "records.create_record", {"entity": "customer", "values": {"name": "上海A", "phone": "02162340000"}})[
        "id"
    ]

    def look(**values: str) -> Any:
        return verbs.run(hq.store, mine, "crm.find_alike", {"values": values})

    masked = {"masked": True, "owner": hq.actor.name, "branch": hq.value("SELECT name FROM branch WHERE code = 'HQ'")}
    for name in names:
        found = look(name=name)["rows"]
        assert [row.get("id") for row in found] == [own, None]
        assert found[1] == {**masked, "reasons": ["name"]}
    assert look(phone="+86 139-0575-1234")["rows"] == [{**masked, "reasons": ["phone"]}]
    assert look(tax_no=TAX.lower(), phone="+86 21 62345678")["rows"] == [{**masked, "reasons": ["phone", "tax_no"]}]
    assert look(name="上海", phone="62345678", tax_no="91")["rows"] == []
    number = hq.get("customer", theirs)["number"]
    assert hq.rows("SELECT DISTINCT kind, detail FROM event_log WHERE kind LIKE 'hidden%'") == [("hidden_alike", number)]
    # What he may not read does not even confirm a guess, and what he may not reach is not merged.
    hq.run("people.set_field_rule", login="lin", entity="customer", field="tax_no", rule="masked")
    covered = actor_by_id(hq.store, str(mine.user_id))
    assert covered is not None
    assert verbs.run(hq.store, covered, "crm.find_alike", {"values": {"tax_no": TAX}})["rows"] == []
    for pair in ({"kept": own, "merged": theirs}, {"kept": theirs, "merged": own}):
        with pytest.raises(AppError) as error:
            verbs.run(hq.store, mine, "crm.merge_customers", pair)
        assert error.value.code == "not_found"
    assert verbs.run(hq.store, mine, "crm.list_pairs", {})["rows"] == []


def test_the_phone_of_a_contact_that_is_somebodys_already(company: Company) -> None:
    hq = company.hq
    lin = clerk(hq, "lin", "read", "create")
    mine = verbs.run(
        hq.store, lin, "records.create_record", {"entity": "customer", "values": {"name": "柯桥金龙", "phone": "0575-84110000"}}
    )
    theirs = hq.new("customer", name="绍兴恒远纺织", phone="0575-8412 3367")
    hq.new("contact", customer_id=theirs, name="王工", second_phone="13905751234")
    li = hq.new("contact", customer_id=mine["id"], name="李梅", phone="13867550001")
    hq.new("contact", customer_id=mine["id"], name="赵离", phone="13867550001", has_left=True)

    def look(actor: Actor, **values: str) -> Any:
        parameters = {"values": values, "customer_id": mine["id"], "id": li}
        return verbs.run(hq.store, actor, "crm.find_same_phone", parameters)["rows"]

    masked = {"masked": True, "owner": hq.actor.name, "branch": hq.value("SELECT name FROM branch WHERE code = 'HQ'")}
    assert look(lin, phone="+86 139 0575 1234") == [{**masked, "reasons": ["phone"]}], "that there is one and whom to ask, no names"
    assert look(lin, other_phones="1395550000; 057584123367") == [{**masked, "reasons": ["other_phones"]}]
    (shared,) = look(lin, phone="13867550001")
    assert (shared["name"], shared["contacts"]) == ("柯桥金龙", ["赵离"]), "somebody else there, not herself"
    assert look(lin, phone="0575 84110000") == [], "the number of the house is no news"
    (seen,) = look(hq.actor, second_phone="13905751234")
    assert (seen["name"], seen["contacts"], seen["reasons"]) == ("绍兴恒远纺织", ["王工"], ["second_phone"])
    # What he may not read does not confirm a guess; who may add no contact asks nothing.
    hq.run("people.set_field_rule", login="lin", entity="contact", field="second_phone", rule="hidden")
    covered = actor_by_id(hq.store, str(lin.user_id))
    assert covered is not None
    assert look(covered, phone="13905751234") == []
    hq.run("people.set_rights", login="lin", entity="contact", actions=["read"])
    reader = actor_by_id(hq.store, str(lin.user_id))
    assert reader is not None
    assert refused(look, reader, phone="13905751234") == "forbidden"


def test_who_fishes_is_braked_and_noted(company: Company) -> None:
    hq = company.hq
    lin = clerk(hq, "lin", "read", "create")
    for number in range(HIDDEN_AN_HOUR + 2):
        hq.new("customer", name=f"客户{number}号")

    def look(number: int) -> Any:
        found = verbs.run(hq.store, lin, "crm.find_alike", {"values": {"name": f"客户{number}号"}})
        return len(found["rows"]), found["braked"]

    assert [look(number) for number in range(HIDDEN_AN_HOUR)] == [(1, False)] * HIDDEN_AN_HOUR
    assert [look(number) for number in (HIDDEN_AN_HOUR, HIDDEN_AN_HOUR + 1)] == [(0, True)] * 2
    assert look(3) == (1, False), "what one was told already is no news"
    counts = dict(hq.rows("SELECT kind, count(*) FROM event_log WHERE kind LIKE 'hidden%' GROUP BY kind"))
    assert counts == {"hidden_alike": HIDDEN_AN_HOUR, "hidden_alike_refused": 1}
    hq.clock.forward(minutes=61)  # type: ignore[attr-defined]
    assert look(HIDDEN_AN_HOUR) == (1, False)


def test_what_may_not_repeat_goes_over_and_comes_back(company: Company) -> None:
    hq = company.hq
    code = hq.run("admin.add_field", entity="customer", label="会员号", type="text", unique=True)["key"]
    one, two = hq.new("customer", name="甲", **{code: "M1"}), hq.new("customer", name="乙", remark="老客户", **{code: "M2"})
    change = hq.value("SELECT max(lseq) + 1 FROM sync_log")
    merge(hq, one, two, **{code: "merged", "name": "merged"})
    assert (hq.get("customer", one)[code], hq.get("customer", two)[code]) == ("M2", None)
    assert (hq.get("customer", one)["name"], hq.get("customer", one)["former_names"]) == ("乙", None)
    hq.run("admin.undo_action", change=change)
    assert [(hq.get("customer", each)["name"], hq.get("customer", each)[code]) for each in (one, two)] == [("甲", "M1"), ("乙", "M2")]
    assert refused(merge, hq, one, two, number="merged") == "not_chosen"
    assert refused(merge, hq, one, two, name="both") == "bad_choice"
    assert refused(merge, hq, one, one) == "same_customer"


def test_a_merged_one_taken_out_of_the_bin_is_one_of_its_own_again(company: Company) -> None:
    hq = company.hq
    one, two = hq.new("customer", name="甲"), hq.new("customer", name="乙")
    order = posted(hq, two)
    merge(hq, one, two)
    assert refused(hq.delete, "customer", one) == "referenced", "what went into it is in use, and so is it"
    hq.undelete("customer", two)
    assert (hq.get("customer", two)["merged_into_id"], hq.get("customer", one)["former_numbers"]) == (None, None)
    assert hq.get("sales_order", order)["customer_id"] == two
    hq.delete("customer", one)


def test_one_in_use_is_not_deleted_but_may_be_no_longer_dealt_with(company: Company) -> None:
    hq = company.hq
    one = hq.new("customer", name="甲")
    posted(hq, one)
    assert refused(hq.delete, "customer", one) == "referenced"
    hq.set("customer", one, inactive=True)
    assert refused(hq.order, one) == "customer_inactive"


def test_one_merged_into_two_others_apart_is_told(company: Company) -> None:
    hq, (a, b) = company.hq, company.branches.values()
    one, two, three = (hq.new("customer", name=name) for name in "甲乙丙")
    contact = hq.new("contact", customer_id=two, name="王工")
    company.exchange()
    merge(a, one, two)
    merge(b, three, two)
    company.exchange()
    company.exchange()
    left = {node.get("customer", two)["merged_into_id"] for node in company.nodes}
    assert len(left) == 1
    assert {node.get("contact", contact)["customer_id"] for node in company.nodes} == left
    other = ({one, three} - left).pop()
    assert {node.get("customer", other)["former_numbers"] for node in company.nodes} == {None}
    assert [row["kind"] for row in hq.conflicts(field="merged_into_id")] == ["merged"]
    assert len(company.digests) == 1


def test_nonsense_about_merges_moves_nothing(company: Company) -> None:
    hq = company.hq
    one, two = hq.new("customer", name="甲"), hq.new("customer", name="乙")
    contact = hq.new("contact", customer_id=one, name="王工")
    for into, deleted in (("f" * 32, True), (two, False), (one, True)):
        with hq.store.unit_of_work(None) as uow:
            uow.update(merging.CUSTOMER, one, {"merged_into_id": into})
            uow.set_deleted(merging.CUSTOMER, one, deleted=deleted)
            merging.settle(uow, [one])
        assert hq.get("contact", contact)["customer_id"] == one
    assert (hq.is_deleted("customer", one), hq.get("customer", one)["merged_into_id"]) == (False, None)
