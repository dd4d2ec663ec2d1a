"""What the order form and the screens say about approvals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from localcrm.domain.approvals.rules import Seat
from localcrm.domain.sales.approval import FACTS
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import use_language
from localcrm.ui import order_form
from localcrm.ui.screens.approval_flows import Offered, condition_text, preview_text, step_text, when_text
from localcrm.ui.sessions import Session
from tests.ui.conftest import Office
from tests.ui.test_order_entry import only


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with use_language("en"):
        yield


@pytest.fixture
def session(office: Office) -> Session:
    """A salesperson whose superior is asked about every order from 100 on."""
    office.new("warehouse", code="W1", name="一号仓")
    office.new("customer", name="浙江瑞祥")
    office.new("product", code="A", name="雪纺", price="10", tax_rate="0")
    above = office.new("user", login="zhang", name="张三", role="staff")
    with office.store.unit_of_work(None) as uow:
        from localcrm.kernel.schema import entity

        uow.update(entity("user"), office.admin.user_id or "", {"superior_id": above["id"]})
    conditions = [{"fact": "amount", "op": "at_least", "value": "100"}]
    office.new("approval_flow", name="大额", conditions=json.dumps(conditions), steps='[{"who": "superior"}]')
    found = office.program.sessions.resolve(office.token())
    assert found is not None
    return found


@pytest.fixture
def body(office: Office, session: Session) -> dict[str, Any]:
    header = {
        "customer_id": only(office, "customer"),
        "warehouse_id": only(office, "warehouse"),
        "date": "2026-11-23",
        "tax_included": True,
    }
    return {"id": None, "version": None, "header": header, "lines": [{"key": "1", "product_id": only(office, "product"), "quantity": "9"}]}


def test_the_form_offers_to_submit_as_soon_as_a_flow_fits(session: Session, body: dict[str, Any]) -> None:
    sheet = order_form.save(session, body)
    assert (sheet["submit"], sheet["progress"]) == (False, [])
    body |= {"id": sheet["id"], "version": sheet["version"]}
    body["lines"][0] |= {"id": sheet["ids"]["1"], "quantity": "10"}
    assert order_form.save(session, body)["submit"] is True


def test_a_form_is_submitted_whole_and_can_then_be_read_only(session: Session, body: dict[str, Any]) -> None:
    body["lines"][0]["quantity"] = "10"
    faulty = {**body, "lines": [*body["lines"], {"key": "2", "code": "NOPE", "quantity": "1"}], "submit": True}
    with pytest.raises(Refused) as refused:
        order_form.save(session, faulty)
    assert refused.value.code == "faulty_rows"
    sheet = order_form.save(session, body | {"submit": True})
    assert (sheet["asked"], sheet["editable"], sheet["submit"]) == (["张三"], False, False)
    assert sheet["progress"] == [{"label": "Waiting for approval", "tone": "warn"}]


def test_flows_are_told_in_words() -> None:
    offered = Offered({"u": "王芳"}, {"r": "财务"}, {"branch": {"b": "绍兴"}})
    amount, discount, level, branch, limit = FACTS
    assert condition_text(amount, {"op": "at_least", "value": "20000"}, offered) == "Order total is at least 20,000.00"
    assert condition_text(discount, {"op": "less", "value": "0.9"}, offered) == "Lowest discount of a line is less than 90%"
    assert condition_text(level, {"op": "is", "value": "deal"}, offered) == "Level of the customer is Deal customer"
    assert condition_text(branch, {"op": "is_not", "value": "b"}, offered) == "Branch is not 绍兴"
    assert condition_text(limit, {"op": "is", "value": False}, offered) == "not: Customer above the credit limit"
    assert when_text({"entity": "sales_order", "conditions": None}, offered) == "always"
    steps = [{"who": "superior", "level": 2}, {"who": "role", "id": "r", "rule": "all"}, {"who": "user", "id": "gone"}, {"who": "manager"}]
    assert [step_text(step, offered) for step in steps] == [
        "superior, level 2",
        "everybody who is “财务”",
        "somebody who has left",
        "department manager",
    ]
    plan = [(Seat(1, ("a", "b")), ["张三", "李四"]), (Seat(2, ("c",)), ["王芳"]), (Seat(2, ("d",)), ["赵六"]), (Seat(3, ()), [])]
    assert preview_text(plan) == "张三 or 李四 → 王芳, 赵六 → nobody!"
