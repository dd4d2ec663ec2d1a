"""A quote above an amount goes to the customer only after somebody has agreed to it."""

from __future__ import annotations

import json
from typing import Any

from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from tests.factories import Installation
from tests.scenarios.customers.test_traps import code


def test_a_quote_above_an_amount_is_agreed_to_before_it_goes_out(hq: Installation) -> None:
    boss = hq.new("user", login="boss", name="张总", role="staff")
    customer, cloth = hq.new("customer", name="绍兴宏达"), hq.new("product", code="P1", name="布", price="10", tax_rate="0.13")
    early = hq.new("quote", title="早先", customer_id=customer, amount="5000", status="sent")
    conditions = json.dumps([{"fact": "amount", "op": "at_least", "value": "1000"}])
    flow = {"name": "大额报价", "entity": "quote", "conditions": conditions, "steps": json.dumps([{"who": "user", "id": boss}])}
    hq.run("records.create_record", entity="approval_flow", values=flow)

    def save(quantity: str, quote: str | None = None, line: str | None = None) -> dict[str, Any]:
        lines = [{"product_id": cloth, "quantity": quantity} | ({"id": line} if line else {})]
        return dict(hq.run("sales.save_quote", header={"customer_id": customer}, lines=lines, quote_id=quote))

    small, made = save("99"), save("100")
    big, line = made["id"], made["lines"][0]["id"]
    hq.set("quote", small["id"], status="sent")
    assert code(hq.run, "approvals.submit", entity="quote", id=small["id"]) == "posted_document"
    assert code(hq.set, "quote", big, status="sent") == "approval_needed"
    assert code(hq.new, "quote", title="一口价", customer_id=customer, amount="1000", status="accepted") == "approval_needed"
    hq.set("quote", big, status="rejected")
    assert code(hq.set, "quote", big, status="accepted") == "approval_needed", "no way round about"
    hq.set("quote", big, status="draft")

    def agree() -> None:
        request = hq.run("approvals.submit", entity="quote", id=big)["request_id"]
        assert code(save, "120", big, line) == code(hq.set, "quote", big, status="sent") == "approval_waiting"
        verbs.run(hq.store, actor_by_id(hq.store, boss), "approvals.approve", {"request_id": request})

    agree()
    save("120", big, line)
    assert code(hq.set, "quote", big, status="sent") == "approval_needed", "that is not what was agreed to"
    agree()
    hq.set("quote", big, status="sent")
    hq.set("quote", big, status="accepted", remark="电话确认")
    hq.set("quote", early, status="accepted")  # it was out before anybody asked
    late = hq.new("quote", title="一口价", customer_id=customer, amount="900", status="sent")
    assert code(hq.set, "quote", late, amount="1000") == "approval_needed"

    # Nor by way of taking back that it was set back to a draft, after it came to more.
    hq.set("quote", small["id"], status="draft")
    change = hq.value("SELECT max(lseq) FROM sync_log")
    save("500", small["id"], small["lines"][0]["id"])
    assert code(hq.run, "admin.undo_action", change=change) == "approval_needed"
