"""A branch that holds only its own movements sees what others have as totals of a day (ADR 0060)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.admin.entities import BranchHolds
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.stock import elsewhere
from localcrm.domain.stock.services import stock_list
from localcrm.jobs.work import JOBS
from localcrm.sync import node_sync
from tests.factories import FIRST_DAY, Company, HandClock, Installation


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def houses(company: Company) -> dict[str, str]:
    """A warehouse at each place, and one of nobody in particular."""
    ids = {node.code: node.store.node.branch_id for node in company.nodes}
    return {code: company.hq.new("warehouse", code=code, name=f"{code}仓", branch_id=ids.get(code)) for code in (*ids, "ALL")}


@pytest.fixture
def cloth(company: Company) -> str:
    return company.hq.new("product", code="P1", name="坯布", unit="米", price="9")


def moves(node: Installation, product: str, warehouse: str, quantity: str) -> None:
    node.new("stock_move", product_id=product, warehouse_id=warehouse, quantity=quantity, type="adjust")


def told(node: Installation, product: str, actor: Any = None) -> list[tuple[str, str, str]]:
    """Warehouse, quantity and day of what a node knows of other branches."""
    with node.store.read() as connection:
        found = elsewhere.elsewhere(connection, actor or node.actor, product_ids=[product])
        codes = dict(connection.all("SELECT lower(hex(id)), code FROM warehouse"))
    return sorted((codes[one.warehouse_id], f"{one.quantity.normalize():f}", one.as_of.isoformat()) for one in found)


def only_its_own(company: Company, code: str) -> None:
    node_sync.set_holds(company.hq.store, company.hq.actor, code, BranchHolds.OWN)


def test_a_branch_sees_totals_of_the_others_and_not_their_movements(company: Company, houses: dict[str, str], cloth: str):
    hq, one, two = company.hq, company.branches["BR01"], company.branches["BR02"]
    company.exchange()
    assert not elsewhere.is_wanted(hq.store)  # everybody holds everything
    only_its_own(company, "BR01")
    assert elsewhere.is_wanted(hq.store)
    assert not elsewhere.is_wanted(two.store)
    moves(two, cloth, houses["BR02"], "30")
    moves(hq, cloth, houses["HQ"], "8.5")
    moves(hq, cloth, houses["ALL"], "4")
    moves(one, cloth, houses["BR01"], "2")
    company.exchange()
    assert elsewhere.note(hq.store) == 3  # the warehouse of nobody in particular is everybody's: its movements are
    company.exchange()
    company.exchange()
    day = FIRST_DAY.isoformat()
    assert told(one, cloth) == [("BR02", "30", day), ("HQ", "8.5", day)]
    assert one.value("SELECT count(*) FROM stock_move WHERE branch_id = (SELECT id FROM branch WHERE code = 'BR02')") == 0
    assert told(two, cloth) == told(hq, cloth) == []  # who holds the movements counts them
    moves(one, cloth, houses["BR02"], "-3")  # entered here, though the warehouse is another's: its stock is not known here by that
    answer = verbs.run(one.store, one.actor, "stock.stock_on_hand", {"product_id": cloth})
    assert (answer["on_hand"], sorted(line["quantity"] for line in answer["elsewhere"])) == ("6", ["30", "8.5"])
    with one.store.read() as connection:
        assert {row["warehouse_id"] for row in stock_list(connection, one.actor)} == {houses["BR01"], houses["ALL"]}
    company.exchange()
    assert node_sync.digest(hq.store, for_code="BR01")["digest"] == one.digest


def test_only_what_changed_is_noted_again_and_what_is_gone_is_not_shown(company: Company, houses: dict[str, str], cloth: str):
    hq, one, two = company.hq, company.branches["BR01"], company.branches["BR02"]
    only_its_own(company, "BR01")
    company.exchange()
    moves(two, cloth, houses["BR02"], "30")
    moves(hq, cloth, houses["HQ"], "5")
    company.exchange()
    assert (elsewhere.note(hq.store), elsewhere.note(hq.store)) == (2, 0)
    hq.store.clock.forward(days=1)  # type: ignore[attr-defined]
    moves(two, cloth, houses["BR02"], "-30")
    moves(hq, cloth, houses["HQ"], "1")
    company.exchange()
    assert elsewhere.note(hq.store) == 2
    company.exchange()
    assert told(one, cloth) == [("HQ", "6", (FIRST_DAY + timedelta(days=1)).isoformat())]
    assert hq.value("SELECT count(*) FROM branch_stock") == 2
    hq.set("warehouse", houses["HQ"], branch_id=two.store.node.branch_id)
    assert elsewhere.note(hq.store) == 1  # the same goods at another branch
    assert hq.rows("SELECT branch FROM branch_stock WHERE quantity > 0") == [("BR02",)]


def test_of_two_totals_of_one_place_the_newest_counts_until_head_office_tidies_up(company: Company, houses: dict[str, str], cloth: str):
    hq, one = company.hq, company.branches["BR01"]
    only_its_own(company, "BR01")
    moves(hq, cloth, houses["HQ"], "5")
    elsewhere.note(hq.store)
    with hq.store.unit_of_work(None) as uow:  # as a restored head office does that has not heard of the other yet
        kind = elsewhere._TOLD
        values = {
            "product_id": cloth,
            "warehouse_id": houses["HQ"],
            "quantity": "7",
            "branch": "HQ",
            "as_of": (FIRST_DAY + timedelta(days=2)).isoformat(),
        }
        uow.insert(kind, kind.validate(values))
    company.exchange()
    assert told(one, cloth) == [("HQ", "7", (FIRST_DAY + timedelta(days=2)).isoformat())]
    assert elsewhere.note(hq.store) == 1
    company.exchange()
    assert [line[:2] for line in told(one, cloth)] == [("HQ", "5")]
    assert hq.value("SELECT count(*) FROM branch_stock WHERE deleted = 0") == 1


def test_who_may_not_see_every_movement_is_told_nothing_of_other_branches(company: Company, houses: dict[str, str], cloth: str):
    hq, one = company.hq, company.branches["BR01"]
    only_its_own(company, "BR01")
    role = hq.new("role", name="店员")
    hq.run("people.set_role_right", role_id=role, entity="stock_move", action="read", scope="branch")
    clerk = hq.new("user", login="clerk", name="店员甲", role="none")
    hq.run("people.set_roles", login="clerk", roles=[role])
    moves(hq, cloth, houses["HQ"], "5")
    elsewhere.note(hq.store)
    company.exchange()
    actor = actor_by_id(one.store, clerk)
    assert told(one, cloth) != []
    assert told(one, cloth, actor) == []


def test_the_daily_job_is_wanted_at_head_office_only_where_a_branch_needs_it(company: Company):
    job = next(job for job in JOBS if job.name == "branch_stock")
    assert not job.wanted(company.hq.store)
    only_its_own(company, "BR01")
    assert job.wanted(company.hq.store)
    company.exchange()
    assert not job.wanted(company.branches["BR01"].store)
