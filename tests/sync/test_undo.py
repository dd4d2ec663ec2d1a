"""An action taken back while others change the same record elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.admin.undo import is_offered
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store import asof, changelog, check
from tests.factories import Company, Installation


def act(node: Installation, verb: str, **parameters: Any) -> int:
    change = verbs.act(node.store, node.actor, verb, parameters).change
    assert change is not None
    return change


def test_what_another_branch_wrote_meanwhile_is_not_lost(company: Company, hq: Installation, one: Installation, two: Installation) -> None:
    customer = hq.new("customer", name="甲", phone="1", remark="旧")
    level = hq.get("customer", customer)["level"]
    company.exchange()
    change = act(one, "records.update_record", entity="customer", id=customer, values={"phone": "2", "level": "deal"})
    two.set("customer", customer, phone="3", remark="新")
    one.run("admin.undo_action", change=change)
    company.exchange()
    assert len(company.digests) == 1
    now = hq.get("customer", customer)
    told = {value for row in hq.conflicts(record=customer, field="phone") for value in (row["kept"], row["lost"])}
    assert (now["level"], now["remark"]) == (level, "新")
    assert "3" in {now["phone"], *told}


def test_an_undo_made_after_the_other_change_has_arrived_is_refused(
    company: Company, hq: Installation, one: Installation, two: Installation
) -> None:
    customer = hq.new("customer", name="甲", phone="1")
    company.exchange()
    change = act(one, "records.update_record", entity="customer", id=customer, values={"phone": "2"})
    company.exchange()
    two.set("customer", customer, phone="3")
    company.exchange()
    with pytest.raises(AppError) as refused:
        one.run("admin.undo_action", change=change)
    assert (refused.value.code, refused.value.params["node"]) == ("changed_since", "BR02")


def test_a_new_record_undone_here_that_somebody_uses_elsewhere_is_told(
    company: Company, hq: Installation, one: Installation, two: Installation
) -> None:
    change = act(one, "records.create_record", entity="customer", values={"name": "甲"})
    company.exchange()
    customer = one.rows("SELECT lower(hex(id)) FROM customer WHERE name = '甲'")[0][0]
    contact = two.new("contact", customer_id=customer, name="张")
    one.run("admin.undo_action", change=change)
    company.exchange()
    assert len(company.digests) == 1
    assert (hq.is_deleted("customer", customer), hq.is_deleted("contact", contact)) == (True, False)
    assert hq.conflicts(kind="parent_deleted", record=customer)


def test_head_office_undoes_what_a_branch_did_and_every_node_agrees_on_what_was(
    company: Company, hq: Installation, one: Installation, two: Installation
) -> None:
    customer = hq.new("customer", name="甲", phone="1")
    company.exchange()
    moments = []
    for node, phone in ((one, "2"), (two, "3"), (one, "4")):
        hq.store.clock.forward(minutes=1)  # type: ignore[attr-defined]
        node.set("customer", customer, phone=phone)
        moments.append(datetime.fromtimestamp(hq.store.clock.now_ms() / 1000, tz=UTC) + timedelta(seconds=1))
    company.exchange()
    kind = entity("customer")
    for node in company.nodes:
        with node.store.read() as connection:
            said = [asof.record_as_of(connection, kind, customer, moment) for moment in moments]
        assert [then.values["phone"] for then in said if then] == ["2", "3", "4"], node.code
    with hq.store.read() as connection:
        change = next(row.lseq for row in changelog.history(connection, kind, customer) if row.new == "4")
    hq.run("admin.undo_action", change=change)
    company.exchange()
    assert {node.get("customer", customer)["phone"] for node in company.nodes} == {"2"}
    assert len(company.digests) == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_undone_by_chance_between_exchanges_everything_still_agrees(company: Company, seed: int) -> None:
    """Changes and undos at three nodes, exchanges in between: equal data everywhere, whole files, and a log that explains every row."""
    chance = Random(seed)
    hq = company.hq
    customers = [hq.new("customer", name=name, phone="0") for name in "甲乙丙"]
    products = [hq.new("product", code=code, name=code, price="2", tax_rate="0.13") for code in "AB"]
    company.exchange()
    done: dict[str, list[int]] = {node.code: [] for node in company.nodes}
    undone = 0
    for step in range(1, 61):
        node = chance.choice(company.nodes)
        hq.store.clock.forward(minutes=1)  # type: ignore[attr-defined]
        customer = chance.choice(customers)
        kind = chance.choice(["set", "set", "bin", "order", "undo", "undo", "exchange"])
        try:
            if kind == "set":
                values = {chance.choice(["phone", "remark", "name"]): str(step)}
                done[node.code].append(act(node, "records.update_record", entity="customer", id=customer, values=values))
            elif kind == "bin":
                verb = "records.undelete_record" if node.is_deleted("customer", customer) else "records.delete_record"
                done[node.code].append(act(node, verb, entity="customer", id=customer))
            elif kind == "order":
                lines = [
                    {"product_id": chance.choice(products), "quantity": str(chance.randrange(1, 4))} for _n in range(chance.randrange(3))
                ]
                done[node.code].append(act(node, "sales.save_order", header={"customer_id": customer}, lines=lines))
            elif kind == "undo" and done[node.code]:
                done[node.code].append(act(node, "admin.undo_action", change=chance.choice(done[node.code])))
                undone += 1
            elif kind == "exchange":
                company.exchange(chance.choice(list(company.branches)))
        except AppError:  # changed since, deleted, in use: nothing was changed
            continue
    company.exchange()
    assert undone > 3
    assert len(company.digests) == 1
    for node in company.nodes:
        with node.store.read() as connection:
            assert check.find_problems(connection) == [], node.code


def test_a_branch_undoes_only_what_was_done_there(company: Company, hq: Installation, one: Installation) -> None:
    """Of what was done elsewhere not all may be here: a branch may hold its own only, or keep a part aside."""
    customer = hq.new("customer", name="甲", phone="1")
    change = act(hq, "records.update_record", entity="customer", id=customer, values={"phone": "2"})
    company.exchange()
    with one.store.read() as connection:
        row = changelog.history(connection, entity("customer"), customer)[0]
        assert not is_offered(one.store, connection, one.actor, row.lseq)
    with pytest.raises(AppError) as refused:
        one.run("admin.undo_action", change=row.lseq)
    assert refused.value.code == "done_elsewhere"
    hq.run("admin.undo_action", change=change)
    company.exchange()
    assert one.get("customer", customer)["phone"] == "1"
