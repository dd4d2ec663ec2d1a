"""The same company entered twice: told while it is typed, merged, undone, and brought to one where two branches did it apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.sync import node_sync
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


def clerk(node: Installation, login: str, *rights: str, scope: str = "own") -> Actor:
    """Somebody at head office with a few rights on customers."""
    user = node.new("user", login=login, name=f"王{login}", password="Correct-Horse-7", role="none")
    role = node.run("people.create_role", name=f"role-{login}")["id"] if "people.create_role" in verbs.VERBS else ""
    del role, rights, scope
    actor = actor_by_id(node.store, user)
    assert actor is not None
    return actor


def merge(node: Installation, kept: str, merged: str, **choices: str) -> Any:
    return node.run("crm.merge_customers", kept=kept, merged=merged, choices=choices)


def test_one_is_left_of_two_and_everything_is_with_it(company: Company) -> None:
    hq = company.hq
    one = hq.new("customer", name="绍兴华美纺织有限公司", phone="0575-84123367", credit_limit="100")
    two = hq.new("customer", name="绍兴（华美）纺织", phone="13905751234", tax_no=TAX, credit_limit="500")
    hq.new("contact", customer_id=one, name="陈总", is_main=True)
    wang = hq.new("contact", customer_id=two, name="王工", is_main=True)
    call = hq.new("activity", customer_id=two, content="问价")
    order = posted(hq, two)
    posted(hq, one, "2")
    draft = hq.order(two)
    numbers = [hq.get("customer", each)["number"] for each in (one, two)]
    assert [hq.get("customer", each)["id"] for each in (one, two)] == [one, two]

    merge(hq, one, two, credit_limit="merged")

    left = hq.get("customer", one)
    assert (left["tax_no"], left["credit_limit"], left["phone"]) == (TAX, "500.00", "0575-84123367; 13905751234")
    assert (left["number"], left["former_numbers"], left["former_names"]) == (numbers[0], numbers[1], "绍兴（华美）纺织")
    assert hq.is_deleted("customer", two)
    assert {hq.get(kind, each)["customer_id"] for kind, each in (("contact", wang), ("activity", call), ("sales_order", draft))} == {one}
    assert [hq.get("contact", wang)["is_main"]] == [False]
    # What is posted stays as it was printed, and counts.
    assert (hq.get("sales_order", order)["customer_id"], hq.get("sales_order", order)["customer_name"]) == (two, "绍兴（华美）纺织")
    with hq.store.read() as connection:
        from localcrm.domain.sales.glance import customer_glances

        assert str(customer_glances(connection, hq.actor, [one])[one].unpaid) == "30.00"
    assert node_sync.status(hq.store) is not None


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
    with pytest.raises(AppError):
        a.run("crm.tell_apart", one=two, other=two)
