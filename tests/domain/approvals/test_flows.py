"""A sales order that a flow asks about: submitted, decided, changed, posted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import policy, verbs
from localcrm.domain.approvals import documents, inbox
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, InvalidInput, Refused
from localcrm.kernel.schema import entity
from localcrm.store.query import records_by_id
from localcrm.store.store import Store

Do = Callable[..., Any]
ORDER = entity("sales_order")
BIG = [{"fact": "amount", "op": "at_least", "value": "1000"}]


class Office:
    """林晓 enters orders, 张三 is her superior, 王芳 administers; one product that costs 100."""

    def __init__(self, store: Store, do: Do, new: Do) -> None:
        self.store, self.do, self.new = store, do, new
        self.zhang = new("user", login="zhang", name="张三", role="staff")["id"]
        self.lin = new("user", login="lin", name="林晓", role="staff", superior_id=self.zhang)["id"]
        self.customer = new("customer", name="绍兴恒远纺织品有限公司", level="deal", credit_limit="5000")["id"]
        self.product = new("product", code="A", name="雪纺", price="100", tax_rate="0", stocked="false")["id"]

    def as_(self, user: str, verb: str, **parameters: Any) -> Any:
        return verbs.run(self.store, self.actor(user), verb, parameters)

    def actor(self, user: str) -> Actor:
        found = actor_by_id(self.store, user)
        assert found is not None
        return found

    def flow(self, *steps: dict[str, Any], when: list[dict[str, Any]] | None = None, **more: Any) -> str:
        values = {"name": "大额订单", "conditions": json.dumps(BIG if when is None else when), "steps": json.dumps(steps), **more}
        return str(self.new("approval_flow", **values)["id"])

    def order(self, quantity: str = "10", by: str | None = None) -> str:
        lines = [{"product_id": self.product, "quantity": quantity}]
        return str(self.as_(by or self.lin, "sales.save_order", header={"customer_id": self.customer}, lines=lines)["id"])

    def submit(self, order: str, by: str | None = None) -> dict[str, Any]:
        made: dict[str, Any] = self.as_(by or self.lin, "approvals.submit", entity="sales_order", id=order)
        return made

    def post(self, order: str) -> str:
        """The number of the order, or the code it is refused with."""
        try:
            return str(self.as_(self.lin, "sales.post_order", order_id=order)["number"])
        except AppError as error:
            return error.code

    def change(self, order: str, **values: Any) -> None:
        self.as_(self.lin, "records.update_record", entity="sales_order", id=order, values=values)


@pytest.fixture
def office(store: Store, do: Do, new: Do) -> Office:
    return Office(store, do, new)


def code_of(act: Callable[[], Any]) -> str:
    with pytest.raises(AppError) as refused:
        act()
    return refused.value.code


def test_an_order_that_fits_is_posted_only_once_it_was_approved(office: Office) -> None:
    office.flow({"who": "superior"})
    order = office.order()
    assert office.post(order) == "approval_needed"
    asked = office.submit(order)
    assert (asked["flow"], asked["asked"]) == ("大额订单", ["张三"])
    assert office.post(order) == "approval_waiting"
    done = office.as_(office.zhang, "approvals.approve", request_id=asked["request_id"], comment="可以")
    assert (done["state"], done["asked"]) == ("approved", [])
    assert office.post(order).startswith("SO-HQ-")
    reversal = office.as_(office.lin, "sales.reverse_order", order_id=order)  # nobody is asked again
    assert reversal["state"] == "reversal"


def test_an_order_that_no_flow_fits_is_posted_as_ever(office: Office) -> None:
    flow = office.flow({"who": "superior"})
    assert office.post(office.order("9")).startswith("SO-HQ-")
    assert code_of(lambda: office.submit(office.order("9"))) == "no_flow"
    office.do("records.update_record", entity="approval_flow", id=flow, values={"active": "false"})
    assert office.post(office.order()).startswith("SO-HQ-")


def test_the_first_flow_that_fits_counts(office: Office) -> None:
    office.flow({"who": "user", "id": office.zhang}, name="二", position="2")
    office.flow({"who": "user", "id": office.zhang}, name="一", position="1", when=[{"fact": "level", "op": "is", "value": "deal"}])
    assert office.submit(office.order())["flow"] == "一"


def test_discount_and_credit_limit_are_facts(office: Office, store: Store) -> None:
    order = office.order("51")
    with store.read() as connection:
        record = records_by_id(connection, ORDER, [order])[0]
        facts = documents.DOCUMENTS["sales_order"].read(connection, record)
    assert {key: str(value) for key, value in facts.items() if key != "branch"} == {
        "amount": "5100.00",
        "discount": "1.0000",
        "level": "deal",
        "over_limit": "True",
    }


def test_a_waiting_order_stays_as_it_is_until_its_author_withdraws_it(office: Office) -> None:
    office.flow({"who": "superior"})
    order = office.order()
    request = office.submit(order)["request_id"]
    for act in (
        lambda: office.change(order, remark="急"),
        lambda: office.as_(office.lin, "sales.save_order", order_id=order, header={}, lines=[]),
        lambda: office.as_(office.lin, "records.delete_record", entity="sales_order", id=order),
        lambda: office.submit(order),
    ):
        assert code_of(act) == "approval_waiting"
    assert code_of(lambda: office.as_(office.zhang, "approvals.withdraw", request_id=request)) == "not_author"
    assert office.as_(office.lin, "approvals.withdraw", request_id=request)["state"] == "withdrawn"
    office.change(order, remark="急")
    assert code_of(lambda: office.as_(office.zhang, "approvals.approve", request_id=request)) == "approval_decided"
    assert office.post(order) == "approval_needed"


def test_what_was_changed_after_the_approval_is_named(office: Office) -> None:
    office.flow({"who": "superior"})
    order = office.order()
    office.as_(office.zhang, "approvals.approve", request_id=office.submit(order)["request_id"])
    assert code_of(lambda: office.submit(order)) == "already_approved"
    line = office.as_(office.lin, "sales.order_with_lines", order_id=order)["lines"][0]
    office.as_(office.lin, "records.update_record", entity="sales_order_line", id=line["id"], values={"quantity": "20"})
    office.change(order, remark="急")
    with pytest.raises(Refused) as refused:
        office.as_(office.lin, "sales.post_order", order_id=order)
    assert (refused.value.code, refused.value.params["changed"]) == ("approval_needed", "备注、明细的数量")
    office.as_(office.lin, "records.update_record", entity="sales_order_line", id=line["id"], values={"quantity": "10"})
    office.change(order, remark="")
    assert office.post(order).startswith("SO-HQ-")  # exactly what was approved again


def test_a_rejection_says_why_and_starts_again(office: Office) -> None:
    office.flow({"who": "user", "id": office.zhang}, {"who": "user", "id": office.do("people.own_rights", login="admin")["user_id"]})
    order = office.order()
    request = office.submit(order)["request_id"]
    assert code_of(lambda: office.as_(office.zhang, "approvals.reject", request_id=request, comment=" ")) == "reason_needed"
    office.as_(office.zhang, "approvals.approve", request_id=request)
    assert office.do("approvals.reject", request_id=request, comment="折扣太低")["state"] == "rejected"
    assert office.post(order) == "approval_needed"
    office.change(order, remark="已改")
    assert office.submit(order)["asked"] == ["张三"]


def test_nobody_is_asked_about_an_order_that_lacks_what_it_is_not_posted_without(office: Office) -> None:
    office.flow({"who": "superior"})
    width = office.do("admin.add_field", entity="sales_order_line", label="幅宽", type="number", required=True)["key"]
    order = office.order()
    with pytest.raises(InvalidInput, match="第 1 行：请填写幅宽"):
        office.submit(order)
    line = office.do("sales.order_with_lines", order_id=order)["lines"][0]["id"]
    office.as_(office.lin, "sales.save_order", order_id=order, header={}, lines=[{"id": line, width: "148"}])
    assert office.submit(order)["asked"] == ["张三"]


def test_a_field_of_the_company_on_a_line_is_part_of_what_was_approved(office: Office) -> None:
    office.flow({"who": "superior"})
    width = office.do("admin.add_field", entity="sales_order_line", label="幅宽", type="number")["key"]
    order = office.order()
    line = office.do("sales.order_with_lines", order_id=order)["lines"][0]["id"]
    office.as_(office.zhang, "approvals.approve", request_id=office.submit(order)["request_id"])
    office.do("admin.add_field", entity="sales_order_line", label="色号", type="text", preset="本白")  # no change of what is there
    assert code_of(lambda: office.submit(order)) == "already_approved"
    office.as_(office.lin, "sales.save_order", order_id=order, header={}, lines=[{"id": line, width: "148"}])
    with pytest.raises(Refused, match="明细的幅宽"):
        office.as_(office.lin, "sales.post_order", order_id=order)


def test_a_flow_may_go_on_at_the_step_that_rejected(office: Office) -> None:
    admin = office.do("people.own_rights", login="admin")["user_id"]
    office.flow({"who": "user", "id": office.zhang}, {"who": "user", "id": admin}, after_rejection="rejected")
    order = office.order()
    request = office.submit(order)["request_id"]
    office.as_(office.zhang, "approvals.approve", request_id=request)
    office.do("approvals.reject", request_id=request, comment="折扣太低")
    office.change(order, remark="已改")
    again = office.submit(order)
    assert again["asked"] == ["王芳"]
    assert office.do("approvals.approve", request_id=again["request_id"])["state"] == "approved"
    assert office.post(order).startswith("SO-HQ-")


def test_of_two_who_decide_at_once_the_second_is_told(office: Office) -> None:
    wang = office.new("user", login="wu", name="吴敏", role="staff")["id"]
    role = office.new("role", name="审批人")["id"]
    for login in ("zhang", "wu"):
        office.do("people.assign_role", login=login, role=role)
    office.do("people.set_role_right", role_id=role, entity="sales_order", action="read", scope="own")
    office.flow({"who": "role", "id": role}, {"who": "user", "id": office.do("people.own_rights", login="admin")["user_id"]})
    request = office.submit(office.order())["request_id"]
    both = {user: office.actor(user) for user in (office.zhang, wang)}  # each has the page open
    verbs.run(office.store, both[office.zhang], "approvals.approve", {"request_id": request})
    with pytest.raises(Refused) as refused:
        verbs.run(office.store, both[wang], "approvals.reject", {"request_id": request, "comment": "不行"})
    assert (refused.value.code, refused.value.params["name"]) == ("approval_decided", "张三")


def test_all_of_a_role_must_agree_where_the_step_says_so(office: Office) -> None:
    wu = office.new("user", login="wu", name="吴敏", role="staff")["id"]
    role = office.new("role", name="审批人")["id"]
    for login in ("zhang", "wu"):
        office.do("people.assign_role", login=login, role=role)
    office.flow({"who": "role", "id": role, "rule": "all"})
    request = office.submit(office.order())["request_id"]
    assert office.as_(wu, "approvals.approve", request_id=request)["asked"] == ["张三"]
    assert code_of(lambda: office.as_(wu, "approvals.approve", request_id=request)) == "approval_decided"
    assert office.as_(office.zhang, "approvals.approve", request_id=request)["state"] == "approved"


def test_nobody_decides_about_his_own_and_nobody_who_was_not_asked(office: Office) -> None:
    office.flow({"who": "user", "id": office.lin})
    request = office.submit(office.order())["request_id"]  # goes up to 张三
    assert code_of(lambda: office.as_(office.lin, "approvals.approve", request_id=request)) == "not_asked"
    assert code_of(lambda: office.do("approvals.approve", request_id=request)) == "not_asked"
    own = office.order(by=office.zhang)
    assert office.submit(own, by=office.zhang)["asked"] == ["林晓"]


def test_whoever_leaves_while_it_waits_is_stood_in_for(office: Office) -> None:
    office.flow({"who": "superior"})
    request = office.submit(office.order())["request_id"]
    office.do("records.update_record", entity="user", id=office.zhang, values={"left_on": "2026-01-01"})
    assert office.do("approvals.approve", request_id=request)["state"] == "approved"  # head office's administrator


def test_where_nobody_could_approve_nothing_is_submitted(office: Office, admin: Actor) -> None:
    office.flow({"who": "user", "id": str(admin.user_id)})
    order = office.order(by=str(admin.user_id))
    assert code_of(lambda: office.submit(order, by=str(admin.user_id))) == "no_approver"


def test_a_request_keeps_the_steps_it_was_made_with(office: Office, admin: Actor) -> None:
    flow = office.flow({"who": "superior"})
    order = office.order()
    request = office.submit(order)["request_id"]
    steps = json.dumps([{"who": "user", "id": admin.user_id}])
    office.do("records.update_record", entity="approval_flow", id=flow, values={"steps": steps})
    assert code_of(lambda: office.do("approvals.approve", request_id=request)) == "not_asked"
    assert office.as_(office.zhang, "approvals.approve", request_id=request)["state"] == "approved"
    assert office.post(order).startswith("SO-HQ-")


def test_a_flow_that_cannot_be_meant_is_not_saved(office: Office) -> None:
    assert code_of(lambda: office.flow()) == "no_steps"
    assert code_of(lambda: office.flow({"who": "user", "id": "f" * 32})) == "not_found"
    assert code_of(lambda: office.flow({"who": "superior"}, when=[{"fact": "colour", "op": "is", "value": "red"}])) == "bad_flow"
    values = {"name": "x", "steps": '[{"who": "superior"}]'}
    other = {"entity": "approval_flow", "values": {**values, "entity": "customer"}}
    assert code_of(lambda: office.do("records.create_record", **other)) == "bad_flow_entity"
    assert code_of(lambda: office.as_(office.lin, "records.create_record", entity="approval_flow", values=values)) == "forbidden"


# what an approver sees ----------------------------------------------------------------------------------------------------


def test_an_approver_sees_the_order_while_it_waits_for_him_and_no_other(office: Office, store: Store) -> None:
    office.flow({"who": "superior"})
    office.do("people.set_rights", login="zhang", entity="sales_order", actions=["read"], scope="own")
    order, other = office.order(), office.order("2")

    def sees(*orders: str) -> list[bool]:
        actor = office.actor(office.zhang)
        with store.read() as connection:
            return [policy.visible(connection, actor, ORDER, one) for one in orders]

    assert sees(order, other) == [False, False]
    request = office.submit(order)["request_id"]
    assert sees(order, other) == [True, False]
    read = office.as_(office.zhang, "sales.order_with_lines", order_id=order)
    assert [line["quantity"] for line in read["lines"]] == ["10"]
    assert code_of(lambda: office.as_(office.zhang, "records.update_record", entity="sales_order", id=order, values={})) == "forbidden"
    office.as_(office.zhang, "approvals.approve", request_id=request)
    assert sees(order, other) == [False, False]


def test_boxes_hold_what_waits_what_is_mine_and_what_i_decided(office: Office, store: Store) -> None:
    office.flow({"who": "superior"})
    order = office.order()
    request = office.submit(order)["request_id"]

    def box(user: str, name: str) -> list[tuple[str, str]]:
        with store.read() as connection:
            return [(one.title, str(one.request.state)) for one in inbox.inbox(connection, office.actor(user), box=name)]

    entry = "绍兴恒远纺织品有限公司 · 1,000.00"
    assert (box(office.zhang, "waiting"), box(office.lin, "waiting")) == ([(entry, "waiting")], [])
    assert box(office.lin, "mine") == [(entry, "waiting")]
    office.as_(office.zhang, "approvals.approve", request_id=request)
    assert (box(office.zhang, "waiting"), box(office.zhang, "decided")) == ([], [(entry, "approved")])


def test_a_page_knows_what_its_reader_may_do(office: Office, store: Store) -> None:
    office.flow({"who": "superior"})
    order = office.order()

    def page(user: str) -> tuple[bool, bool, bool] | None:
        with store.read() as connection:
            now = inbox.progress(connection, store.node, office.actor(user), entity="sales_order", id=order)
        return now and (now.may_submit, now.may_withdraw, now.may_decide)

    assert (page(office.lin), page(office.zhang)) == ((True, False, False), (True, False, False))
    office.submit(order)
    assert (page(office.lin), page(office.zhang)) == ((False, True, False), (False, False, True))


def test_a_preview_names_those_who_would_be_asked(office: Office, store: Store, admin: Actor) -> None:
    steps = json.dumps([{"who": "superior"}, {"who": "user", "id": admin.user_id}])
    with store.read() as connection:
        plan = inbox.preview_flow(store, connection, admin, entity="sales_order", steps=steps, author=office.lin)
    assert [(seat.step, names) for seat, names in plan] == [(1, ["张三"]), (2, ["王芳"])]


@pytest.mark.parametrize(
    "wrong",
    [
        {"plan": '[{"step": Infinity, "users": []}]'},
        {"content": "[1]"},
        {"content": "{"},
        {"record": "x"},
        {"entity": "gone"},
        {"entity": "user"},
    ],
)
def test_a_request_from_elsewhere_may_hold_anything(office: Office, store: Store, wrong: dict[str, str]) -> None:
    flow, order = office.flow({"who": "superior"}), office.order()
    request = entity("approval_request")
    sound = {"entity": "sales_order", "record": order, "flow_id": flow, "flow": "大额订单", "author_id": office.lin, "plan": "[]"}
    sound |= {"content": "{}", "submitted_at": "2026-11-20T08:00:00Z", "branch_id": store.node.branch_id}
    with store.unit_of_work(office.lin) as uow:
        identity = uow.insert(request, request.validate(sound | wrong))
        uow.insert(
            entity("approval_step"),
            {"request_id": identity, "seat": 7, "decision": "approved", "user_id": office.zhang, "decided_at": now_utc()},
        )
    for user in (office.lin, office.zhang):
        with store.read() as connection:
            for box in inbox.BOXES:
                inbox.inbox(connection, office.actor(user), box=box)
            inbox.progress(connection, store.node, office.actor(user), entity="sales_order", id=order)
        assert code_of(lambda user=user: office.as_(user, "approvals.approve", request_id=identity)) in {"not_asked", "not_found"}
    assert office.post(order) in {"approval_needed", "approval_waiting"}
