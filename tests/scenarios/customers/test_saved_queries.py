"""Queries and groupings that people keep, share and use for many customers at once, at head office and at a branch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.conditions import Asking, tree_query
from localcrm.domain.crm.groups import AGE, AGES, Block, age_tree, blocks, groups
from localcrm.domain.crm.queries import MOST_CHANGED, Kept, count_found, kept_queries
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.check import check
from localcrm.store.query import select
from tests.factories import Company, Installation, copy_company

KEQIAO, YUECHENG = "浙江省/绍兴市/柯桥区", "浙江省/绍兴市/越城区"
DEALS = {"field": "level", "op": "=", "value": "deal"}


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Head office and one branch."""
    opened = copy_company(tmp_path, branches=1)
    yield opened
    opened.close()


def hired(node: Installation, login: str, *, scope: str = "all", actions: tuple[str, ...] = ("read", "update")) -> str:
    """A user with rights to customers; returns his id."""
    user = node.new("user", login=login, name=login)
    node.run("people.set_rights", login=login, entity="customer", actions=list(actions), scope=scope)
    return user


def somebody(node: Installation, user: str) -> Actor:
    """The user as he is known at a node now."""
    actor = actor_by_id(node.store, user)
    assert actor is not None
    return actor


def run(node: Installation, actor: Actor, name: str, /, **parameters: Any) -> Any:
    return verbs.run(node.store, actor, name, parameters)


def kept(node: Installation, actor: Actor) -> list[Kept]:
    with node.store.read() as connection:
        return kept_queries(connection, actor, node.store.node)


def refusal(node: Installation, actor: Actor, name: str, /, **parameters: Any) -> str:
    with pytest.raises(AppError) as refused:
        run(node, actor, name, **parameters)
    return refused.value.code


def test_a_query_is_kept_shared_and_travels(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    lin, shen = hired(hq, "lin"), hired(hq, "shen")
    company.exchange()
    at_branch = somebody(branch, lin)
    saved = run(branch, at_branch, "crm.save_query", name="成交", tree=DEALS, columns=["name", "level"], pinned=True)
    run(branch, at_branch, "crm.save_query", name="大家的", tree=DEALS, shown_to="private")
    company.exchange()
    assert [(one.name, one.pinned, one.columns, one.own) for one in kept(hq, somebody(hq, lin))] == [
        ("大家的", False, (), True),
        ("成交", True, ("name", "level"), True),
    ]
    assert kept(hq, somebody(hq, shen)) == []
    assert refusal(hq, somebody(hq, shen), "crm.delete_query", query_id=saved["id"]) == "not_found"
    run(hq, somebody(hq, lin), "crm.save_query", name="成交客户", tree=DEALS, shown_to="everybody", query_id=saved["id"])
    company.exchange()
    shown = kept(branch, somebody(branch, shen))
    assert [(one.name, one.own, one.usable) for one in shown] == [("成交客户", False, True)]
    assert refusal(branch, somebody(branch, shen), "crm.save_query", name="我的", tree=DEALS, query_id=saved["id"]) == "not_yours"


def test_templates_are_made_at_head_office_by_administrators(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    lin = hired(hq, "lin")
    template = hq.run("crm.save_query", name="公司模板", tree={"ask": "new", "days": 3}, shown_to="template")
    company.exchange()
    assert [(one.name, one.shown_to, one.own) for one in kept(branch, somebody(branch, lin))] == [("公司模板", "template", False)]
    assert refusal(branch, somebody(branch, lin), "crm.save_query", name="x", tree=DEALS, shown_to="template") == "admin_only"
    assert refusal(branch, branch.actor, "crm.save_query", name="x", tree=DEALS, shown_to="template") == "office_only"
    assert refusal(branch, branch.actor, "crm.delete_query", query_id=template["id"]) == "not_yours"


def test_a_shared_query_about_hidden_fields_is_not_usable_by_everybody(company: Company) -> None:
    hq = company.hq
    lin = hired(hq, "lin")
    hq.run("people.set_field_rule", login="lin", entity="customer", field="credit_limit", rule="hidden")
    credit = {"field": "credit_limit", "op": ">", "value": "10000"}
    hq.run("crm.save_query", name="大额度", tree=credit, shown_to="everybody")
    assert [(one.name, one.usable) for one in kept(hq, somebody(hq, lin))] == [("大额度", False)]
    assert refusal(hq, somebody(hq, lin), "crm.save_query", name="偷看", tree=credit) == "bad_filter"


def test_what_another_version_saved_is_listed_and_not_asked(company: Company) -> None:
    hq = company.hq
    saved = hq.run("crm.save_query", name="将来的", tree=DEALS)
    with hq.store.unit_of_work(hq.actor.user_id) as uow:
        from localcrm.kernel.schema import entity

        uow.update(entity("saved_query"), saved["id"], {"tree": '{"ask": "of the future"}'})
    assert [(one.name, one.usable) for one in kept(hq, hq.actor)] == [("将来的", False)]


def test_one_field_of_all_found_is_changed_and_taken_back(company: Company) -> None:
    hq = company.hq
    deals = [hq.new("customer", name=f"成交{n}", level="deal") for n in range(3)]
    other = hq.new("customer", name="意向", level="prospect")
    given = {"field": "stage", "value": "dealt", "tree": DEALS}
    assert refusal(hq, hq.actor, "crm.change_found", **given, count=2) == "list_changed"
    change = verbs.act(hq.store, hq.actor, "crm.change_found", {**given, "count": 3})
    assert change.value == {"changed": 3}
    assert {hq.get("customer", one)["stage"] for one in deals} == {"dealt"}
    assert hq.get("customer", other)["stage"] is None
    hq.run("admin.undo_action", change=change.change)
    assert {hq.get("customer", one)["stage"] for one in deals} == {None}
    # What the list itself is narrowed by counts too: no row is changed that was not shown.
    assert hq.run("crm.change_found", **given, count=1, search="成交1") == {"changed": 1}
    assert hq.run("crm.change_found", **given, count=1, where=[["name", "=", "成交2"]]) == {"changed": 1}
    assert hq.get("customer", deals[0])["stage"] is None
    assert refusal(hq, hq.actor, "crm.change_found", field="owner_id", value=None, count=3, tree=DEALS) == "one_by_one"
    assert refusal(hq, hq.actor, "crm.change_found", field="stage", value="dealt", count=3, tree=DEALS, where=[["name"]]) == "bad_query"
    for where in ([["id", "=", "zz"]], [["level", "in", 5]], [["level", "=", {}]], [["credit_days", "=", 10**30]]):
        assert refusal(hq, hq.actor, "crm.change_found", field="stage", value="dealt", count=3, where=where) == "bad_query"


def test_only_what_one_may_change_is_changed(company: Company) -> None:
    hq = company.hq
    user = hq.new("user", login="lin", name="林")
    hq.run("people.set_rights", login="lin", entity="customer", actions=["read", "update"], scope={"read": "all", "update": "own"})
    own = hq.new("customer", name="林的", level="deal", owner_id=user)
    foreign = hq.new("customer", name="别人的", level="deal")
    lin = somebody(hq, user)
    with hq.store.read() as connection:
        assert count_found(connection, lin, DEALS) == 1
        assert count_found(connection, hq.actor, DEALS) == 2
    assert run(hq, lin, "crm.change_found", field="stage", value="dealt", count=1, tree=DEALS) == {"changed": 1}
    assert (hq.get("customer", own)["stage"], hq.get("customer", foreign)["stage"]) == ("dealt", None)
    assert MOST_CHANGED >= 1000


def test_groups_count_and_sum_what_one_sees(company: Company) -> None:
    hq = company.hq
    user = hired(hq, "lin", scope="own", actions=("read",))
    hq.run("people.set_rights", login="lin", entity="sales_order", actions=["read"], scope="own")
    for name, level, area, amount, owner in (
        ("甲", "deal", "柯桥", "100", user),
        ("乙", "deal", "柯桥", "200.50", None),
        ("丙", "deal", "越城", "300", None),
        ("丁", None, "柯桥", "400", None),
    ):
        one = hq.new("customer", name=name, level=level, area=area, **({"owner_id": owner} if owner else {}))
        order = hq.order(one, hq.new("product", code=name, name=name, price=amount, stocked="false"))
        hq.run("sales.post_order", order_id=order)
    block = Block("", "level", "area", "sold")

    def seen(actor: Actor) -> list[Any]:
        with hq.store.read() as connection:
            found = groups(connection, actor, block)
        return [(g.value, g.count, g.total, [(one.value, one.count, one.total) for one in g.within]) for g in found]

    assert seen(hq.actor) == [
        ("deal", 3, Decimal("600.50"), [(KEQIAO, 2, Decimal("300.50")), (YUECHENG, 1, Decimal("300.00"))]),
        (None, 1, Decimal("400.00"), [(KEQIAO, 1, Decimal("400.00"))]),
    ]
    # Somebody else entered the order, for a customer of his: it is in his sum, those of the others' customers are not (ADR 0047).
    assert seen(somebody(hq, user)) == [("deal", 1, Decimal("100.00"), [(KEQIAO, 1, Decimal("100.00"))])]
    hq.run("people.set_field_rule", login="lin", entity="sales_order", field="gross", rule="hidden")
    assert seen(somebody(hq, user)) == [("deal", 1, None, [(KEQIAO, 1, None)])]


def test_groups_by_days_since_contact_count_what_their_lists_hold(company: Company) -> None:
    hq = company.hq
    lin = somebody(hq, hired(hq, "lin", scope="own"))
    hq.run("people.set_rights", login="lin", entity="activity", actions=["read"], scope="all")
    lin = somebody(hq, str(lin.user_id))
    now = datetime.now().astimezone()
    hq.clock.ms = round(now.timestamp() * 1000)  # type: ignore[attr-defined] -- lists are read by the clock on the wall

    def spoken_to(name: str, *days: int, **values: Any) -> list[str]:
        customer = hq.new("customer", name=name, **values)
        return [hq.new("activity", customer_id=customer, content="电话", at=now - timedelta(days=ago)) for ago in days]

    for ago in (0, 7, 8, 15, 16, 30, 31, 90, 91, 400):
        spoken_to(f"{ago} 天", ago, 500, level="deal", owner_id=lin.user_id if ago < 16 else None)
    spoken_to("从未", owner_id=lin.user_id, level="deal")
    newest, _older = spoken_to("删了最新的", 3, 20)
    hq.delete("activity", newest)
    (moved,) = spoken_to("记错了客户", 1)
    hq.set("activity", moved, customer_id=hq.value("SELECT lower(hex(id)) FROM customer WHERE name = '400 天'"))
    spoken_to("在回收站", 2)
    with hq.store.unit_of_work(None) as uow:  # as where another place deleted it that knew of no activity
        uow.set_deleted(entity("customer"), hq.value("SELECT lower(hex(id)) FROM customer WHERE name = '在回收站'"), deleted=True)
    for actor in (hq.actor, lin):
        with hq.store.read() as connection:
            found = {one.value: one.count for one in groups(connection, actor, Block("", AGE))}
            for age in AGES:
                query = tree_query(entity("customer"), age_tree(age), Asking(actor))
                assert select(connection, query).total == found.get(age, 0), age
            within = groups(connection, actor, Block("", "level", AGE))
            assert sum(one.count for group in within for one in group.within) == sum(found.values())
        expected = {"7": 3, "15": 2, "30": 3, "90": 2, "more": 1, "never": 2} if actor is hq.actor else {"7": 2, "15": 2, "never": 1}
        assert found == expected
    assert check(hq.store)["problems"] == []


def test_groupings_are_private_or_shared_and_made_of_readable_fields(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    lin, shen = hired(hq, "lin"), hired(hq, "shen")
    hq.run("people.set_field_rule", login="shen", entity="customer", field="area", rule="masked")

    def own(node: Installation, user: str) -> list[tuple[str, str | None]]:
        with node.store.read() as connection:
            return [(one.first, one.second) for one in blocks(connection, somebody(node, user), node.store.node) if one.id]

    private = run(hq, somebody(hq, lin), "crm.save_grouping", first="industry")
    run(hq, somebody(hq, lin), "crm.save_grouping", first="area", second="level", measure="owed", shown_to="everybody")
    run(hq, somebody(hq, lin), "crm.save_grouping", first="stage", shown_to="everybody")
    company.exchange()
    assert own(branch, lin) == [("industry", None), ("area", "level"), ("stage", None)]
    assert own(branch, shen) == [("stage", None)]
    assert refusal(hq, somebody(hq, shen), "crm.save_grouping", first="area") == "bad_grouping"
    assert refusal(hq, somebody(hq, shen), "crm.save_grouping", first="remark") == "bad_grouping"
    assert refusal(hq, somebody(hq, shen), "crm.save_grouping", first="level", second="level") == "same_twice"
    assert refusal(hq, somebody(hq, shen), "crm.delete_grouping", grouping_id=private["id"]) == "not_found"
    run(hq, somebody(hq, lin), "crm.delete_grouping", grouping_id=private["id"])
    assert own(hq, lin) == [("area", "level"), ("stage", None)]


def test_the_same_query_changed_at_two_places_is_merged_field_by_field(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    user = hired(hq, "lin")
    saved = run(hq, somebody(hq, user), "crm.save_query", name="成交", tree=DEALS)
    company.exchange()
    run(hq, somebody(hq, user), "crm.save_query", name="成交客户", tree=DEALS, query_id=saved["id"])
    run(branch, somebody(branch, user), "crm.save_query", name="成交", tree={"not": DEALS}, query_id=saved["id"])
    company.exchange()
    for node in company.nodes:
        assert [(one.name, one.tree) for one in kept(node, somebody(node, user))] == [("成交客户", {"not": DEALS})]
    assert len(company.digests) == 1
