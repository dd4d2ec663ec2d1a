"""Tags of customers: set by hand and for many, counted, asked for, imported; and two branches that tag the same customer apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.conditions import Asking, tree_query
from localcrm.domain.crm.groups import Block, groups
from localcrm.domain.crm.tags import tags_in_use
from localcrm.domain.importing import import_rows
from localcrm.domain.people.services import actor_by_id
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.check import check
from localcrm.store.query import ListQuery, select
from tests.factories import Company, Installation, copy_company

CUSTOMER = entity("customer")


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    opened = copy_company(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def hq(company: Company) -> Installation:
    return company.hq


def tags(node: Installation, customer: str) -> list[str]:
    return (node.get("customer", customer)["tags"] or "").split("\n") if node.get("customer", customer)["tags"] else []


def counted(node: Installation, first: str = "tags", second: str | None = None) -> dict[Any, Any]:
    with node.store.read() as connection:
        found = groups(connection, node.actor, Block("", first, second))
    return {one.value: {each.value: each.count for each in one.within} if second else one.count for one in found}


def asked(node: Installation, *wanted: str) -> set[str]:
    tree = {"field": "tags", "op": "any", "value": list(wanted)}
    with node.store.read() as connection:
        return {row["name"] for row in select(connection, tree_query(CUSTOMER, tree, Asking(node.actor))).rows}


def test_tags_are_typed_counted_asked_for_and_found(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织", level="deal", tags="重点；展会、ｖｉｐ；VIP")
    dyer = hq.new("customer", name="柯桥金龙印染", level="deal", tags="展会")
    hq.new("customer", name="诸暨盛宏袜业", level="prospect")
    assert (tags(hq, mill), tags(hq, dyer)) == (["ｖｉｐ", "展会", "重点"], ["展会"]), "each once, in one order"
    assert counted(hq) == {"展会": 2, "ｖｉｐ": 1, "重点": 1, None: 1}
    assert counted(hq, "level", "tags") == {"deal": {"展会": 2, "ｖｉｐ": 1, "重点": 1}, "prospect": {None: 1}}
    assert counted(hq, "tags", "level")["展会"] == {"deal": 2}
    assert (asked(hq, "展会"), asked(hq, "重点", "没有")) == ({"绍兴恒远纺织", "柯桥金龙印染"}, {"绍兴恒远纺织"})
    with hq.store.read() as connection:
        assert [row["name"] for row in select(connection, ListQuery(CUSTOMER, search="重点")).rows] == ["绍兴恒远纺织"]
        assert tags_in_use(connection, hq.actor)[0] == "展会"
    hq.run("crm.tag_customer", customer=dyer, add="老客户; 展会", remove="没有")
    hq.run("crm.tag_customer", customer=mill, remove="VIP；重点")
    assert (tags(hq, dyer), tags(hq, mill)) == (["展会", "老客户"], ["展会"])
    for bad in ("长" * 41, ";".join(map(str, range(31)))):
        with pytest.raises(AppError) as refused:
            hq.set("customer", mill, tags=bad)
        assert refused.value.code == "bad_tags"


def test_many_are_tagged_at_once_and_import_brings_tags(hq: Installation) -> None:
    rows = [
        (row, {"name": name, "tags": given})
        for row, (name, given) in enumerate((("甲", "展会；重点"), ("乙", ""), ("丙", "重点")), start=2)
    ]
    assert import_rows(hq.store, hq.actor, entity="customer", rows=rows).created == 3
    shown = {"tree": {"all": []}, "field": "tags"}
    assert hq.run("crm.change_found", **shown, value="年会", count=3, how="add") == {"changed": 3}
    assert counted(hq) == {"年会": 3, "重点": 2, "展会": 1}
    assert hq.run("crm.change_found", **shown, value="重点; 没有", count=3, how="remove") == {"changed": 2}
    assert hq.run("crm.change_found", **shown, value="年会", count=3) == {"changed": 1}, "instead of those they have"
    assert counted(hq) == {"年会": 3}


def test_what_two_branches_tag_apart_all_stays(company: Company) -> None:
    hq, (one, two) = company.hq, company.branches.values()
    mill = hq.new("customer", name="绍兴恒远纺织", tags="展会")
    bare = hq.new("customer", name="柯桥金龙印染")
    company.exchange()
    one.run("crm.tag_customer", customer=mill, add="重点")
    one.run("crm.tag_customer", customer=bare, add="欠款")
    two.run("crm.tag_customer", customer=mill, add="老客户", remove="展会")
    two.run("crm.tag_customer", customer=bare, add="难缠")
    hq.run("crm.tag_customer", customer=mill, add="年会")
    company.exchange()
    assert len(company.digests) == 1
    assert [tags(node, mill) for node in company.nodes] == [["年会", "老客户", "重点"]] * 3, "added all, taken away what one took away"
    assert [tags(node, bare) for node in company.nodes] == [["欠款", "难缠"]] * 3
    assert hq.conflicts() == [], "nobody is asked"
    # taken away at one place while another adds, after they had met
    one.run("crm.tag_customer", customer=mill, remove="年会；老客户")
    two.run("crm.tag_customer", customer=mill, add="试样")
    company.exchange()
    assert [tags(node, mill) for node in company.nodes] == [["试样", "重点"]] * 3
    assert len(company.digests) == 1
    company.exchange()
    for node in company.nodes:
        assert check(node.store) == {"ok": True, "problems": []}


def test_who_may_not_see_tags_learns_none(hq: Installation) -> None:
    user = hq.new("user", login="lin", name="林晓", password="Haus-und-Hof-42", role="none")
    hq.run("people.set_rights", login="lin", entity="customer", actions=["read", "update"], scope="own")
    mine, theirs = hq.new("customer", name="甲", owner_id=user, tags="展会"), hq.new("customer", name="乙", tags="秘密")
    lin = actor_by_id(hq.store, user)
    assert lin is not None
    with hq.store.read() as connection:
        assert tags_in_use(connection, lin) == ["展会"]
    hq.run("people.set_field_rule", login="lin", entity="customer", field="tags", rule="hidden")
    lin = actor_by_id(hq.store, user)
    assert lin is not None
    with hq.store.read() as connection:
        assert tags_in_use(connection, lin) == []
    for customer in (mine, theirs):
        with pytest.raises(AppError):
            verbs.run(hq.store, lin, "crm.tag_customer", {"customer": customer, "add": "猜"})
