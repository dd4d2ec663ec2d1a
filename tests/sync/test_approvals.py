"""Approvals between a branch and head office: asked here, decided there, apart, and by those who were not asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.approvals.documents import latest_request
from localcrm.domain.people.services import actor_by_id
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.query import records_by_id
from tests import factories
from tests.factories import Company, Installation

ORDER, STEP = entity("sales_order"), entity("approval_step")


class Trade:
    """A branch whose orders 张三 (of nowhere in particular) and 吴敏 (of head office) are asked about; everybody knows it."""

    def __init__(self, company: Company, *steps: str, rule: str = "one") -> None:
        self.company, self.hq, self.branch = company, company.hq, company.branches["BR01"]
        hq, place = self.hq, self.hq.value("SELECT id FROM branch WHERE code = 'HQ'").hex()
        self.people = {
            "张三": hq.new("user", login="zhang", name="张三", role="staff"),
            "吴敏": hq.new("user", login="wu", name="吴敏", role="staff", branch_id=place),
            "林晓": hq.new("user", login="lin", name="林晓", role="staff"),
        }
        role = hq.new("role", name="审批人")
        for login in ("zhang", "wu"):
            hq.run("people.assign_role", login=login, role=role)
        whom = [{"who": "user", "id": self.people[name]} for name in steps] or [{"who": "role", "id": role, "rule": rule}]
        hq.new("approval_flow", name="大额订单", steps=json.dumps(whom))
        self.customer = hq.new("customer", name="绍兴恒远")
        self.product = hq.new("product", code="A", name="雪纺", price="100", stocked="false")
        company.exchange("BR01")

    def at(self, node: Installation, name: str, verb: str, **parameters: Any) -> Any:
        actor = actor_by_id(node.store, self.people[name])
        assert actor is not None
        return verbs.run(node.store, actor, verb, parameters)

    def submit(self) -> tuple[str, str]:
        lines = [{"product_id": self.product, "quantity": "2"}]
        order = self.at(self.branch, "林晓", "sales.save_order", header={"customer_id": self.customer}, lines=lines)["id"]
        return order, self.at(self.branch, "林晓", "approvals.submit", entity="sales_order", id=order)["request_id"]

    def states(self, order: str) -> list[str]:
        """How the order stands at head office and at the branch."""
        found = []
        for node in (self.hq, self.branch):
            with node.store.read() as connection:
                latest = latest_request(connection, ORDER, records_by_id(connection, ORDER, [order])[0])
            found.append(str(latest.state) if latest else "")
        return found

    def decide(self, node: Installation, name: str, verb: str, request: str, **more: Any) -> str:
        try:
            return str(self.at(node, name, f"approvals.{verb}", request_id=request, **more)["state"])
        except AppError as error:
            return error.code

    def whole(self) -> None:
        """Everybody holds the same and nothing was held back."""
        assert self.hq.digest == self.branch.digest
        assert self.hq.value("SELECT count(*) FROM sync_quarantine") == 0


@pytest.fixture
def company() -> Iterator[Company]:
    with factories.company() as made:
        yield made


def test_a_request_travels_up_and_the_decision_down(company: Company) -> None:
    trade = Trade(company, "吴敏")
    order, request = trade.submit()
    company.up("BR01")
    assert trade.decide(trade.hq, "吴敏", "approve", request, comment="可以") == "approved"
    assert trade.states(order) == ["approved", "waiting"]
    company.down("BR01")
    assert trade.states(order) == ["approved", "approved"]
    assert trade.at(trade.branch, "林晓", "sales.post_order", order_id=order)["number"].startswith("SO-BR01-")
    company.exchange("BR01")
    trade.whole()


def test_a_branch_decides_for_itself_where_the_approver_is_there(company: Company) -> None:
    trade = Trade(company, "张三")
    order, request = trade.submit()
    assert trade.decide(trade.branch, "张三", "approve", request) == "approved"
    company.exchange("BR01")
    assert trade.states(order) == ["approved", "approved"]
    trade.whole()


def test_decisions_made_apart_are_both_kept_and_a_rejection_outweighs(company: Company) -> None:
    trade = Trade(company)
    order, request = trade.submit()
    company.up("BR01")
    assert trade.decide(trade.hq, "吴敏", "reject", request, comment="太便宜") == "rejected"
    assert trade.decide(trade.branch, "张三", "approve", request) == "approved"
    company.exchange("BR01")
    assert trade.states(order) == ["rejected", "rejected"]
    assert len(trade.hq.rows("SELECT 1 FROM approval_step")) == len(trade.branch.rows("SELECT 1 FROM approval_step")) == 2
    trade.whole()


def test_a_withdrawal_outweighs_an_approval_given_meanwhile(company: Company) -> None:
    trade = Trade(company, "吴敏")
    order, request = trade.submit()
    company.up("BR01")
    trade.decide(trade.hq, "吴敏", "approve", request)
    trade.at(trade.branch, "林晓", "approvals.withdraw", request_id=request)
    company.exchange("BR01")
    assert trade.states(order) == ["withdrawn", "withdrawn"]
    trade.whole()


def test_what_all_must_agree_to_is_settled_when_the_parts_meet(company: Company) -> None:
    trade = Trade(company, rule="all")
    order, request = trade.submit()
    company.up("BR01")
    assert trade.decide(trade.hq, "吴敏", "approve", request) == "waiting"
    assert trade.decide(trade.branch, "张三", "approve", request) == "waiting"
    company.exchange("BR01")
    assert trade.states(order) == ["approved", "approved"]
    trade.whole()


def test_who_belongs_to_head_office_decides_there(company: Company) -> None:
    trade = Trade(company, "吴敏")
    order, request = trade.submit()
    assert trade.decide(trade.branch, "吴敏", "approve", request) == "decides_elsewhere"
    company.up("BR01")
    assert trade.states(order) == ["waiting", "waiting"]


def test_head_office_holds_back_a_decision_of_somebody_who_may_not_take_it(company: Company) -> None:
    trade = Trade(company, "吴敏")
    order, request = trade.submit()
    values = STEP.validate(
        {
            "request_id": request,
            "seat": 0,
            "decision": "approved",
            "user_id": trade.people["吴敏"],
            "decided_at": now_utc(),
            "branch_id": trade.branch.store.node.branch_id,
        }
    )
    for actor in ("吴敏", "林晓"):  # a branch that writes what its program refuses, as her and under its own name
        with trade.branch.store.unit_of_work(trade.people[actor]) as uow:
            uow.insert(STEP, values)
    company.up("BR01")
    assert trade.states(order) == ["waiting", "approved"]
    assert [row[0] for row in trade.hq.rows("SELECT reason FROM sync_quarantine")] == ["not_decider", "not_decider"]
    assert {row["lost"] for row in company.hq.conflicts(kind="quarantined")} == {"not_decider"}
    # Nor in the name of another place.
    with trade.branch.store.unit_of_work(trade.people["张三"]) as uow:
        uow.insert(STEP, {**values, "branch_id": trade.hq.store.node.branch_id})
    company.up("BR01")
    assert trade.states(order)[0] == "waiting"
    assert trade.hq.rows("SELECT reason FROM sync_quarantine")[-1][0] == "not_owner"


def test_a_branch_does_not_define_flows(company: Company) -> None:
    trade = Trade(company, "吴敏")
    flow = {"entity": "approval_flow", "values": {"name": "x", "steps": '[{"who": "superior"}]'}}
    with pytest.raises(AppError) as refused:
        trade.branch.run("records.create_record", **flow)
    assert refused.value.code == "office_only"


def test_another_branch_can_neither_submit_an_order_nor_approve_it(company: Company) -> None:
    trade = Trade(company, "吴敏")
    order, _request = trade.submit()
    trade.company.exchange()
    other, request = company.branches["BR02"], entity("approval_request")
    with other.store.read() as connection:
        real = latest_request(connection, ORDER, records_by_id(connection, ORDER, [order])[0])
        flow = connection.value("SELECT id FROM approval_flow").hex()
    assert real is not None
    plan = json.dumps([{"step": 1, "users": [trade.people["张三"]]}])
    forged = {**real.record, "plan": plan, "flow_id": flow, "author_id": trade.people["林晓"], "branch_id": other.store.node.branch_id}
    values = request.validate({key: forged[key] for key in request.fields})
    with other.store.unit_of_work(trade.people["林晓"]) as uow:
        made = uow.insert(request, values)
    trade.decide(other, "张三", "approve", made)
    with other.store.unit_of_work(trade.people["张三"]) as uow:  # in her name
        uow.insert(request, values)
    company.exchange()
    assert trade.states(order) == ["waiting", "waiting"]  # such a request is nobody's, however it was decided
    assert [row[0] for row in trade.hq.rows("SELECT reason FROM sync_quarantine")] == ["not_author"]
