"""One box over everything: whoever remembers a scrap of a name, a telephone or a number comes to the record, as far as he may see it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.finding.highlight import excerpt, spans
from localcrm.domain.finding.rules import MOST_RECENT, read_recent, with_recent
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import use_language
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import entities, entity
from localcrm.store import blobs
from localcrm.ui.search_centre.coverage import coverage, covered, words
from tests.factories import Company, Installation, copy_company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    company = copy_company(tmp_path)
    yield company
    company.close()


@pytest.fixture
def hq(company: Company) -> Installation:
    return company.hq


def look(node: Installation, text: str, actor: Actor | None = None, **narrowing: Any) -> dict[str, Any]:
    return verbs.run(node.store, actor or node.actor, "finding.search_everything", {"text": text, **narrowing})


def found(node: Installation, text: str, actor: Actor | None = None, **narrowing: Any) -> list[tuple[str, str]]:
    return [(row["entity"], row["title"]) for row in look(node, text, actor, **narrowing)["rows"]]


def seller(node: Installation, login: str, name: str, scope: str = "own", **more: Any) -> Actor:
    """A salesperson who may do everything with his own customers."""
    user = node.new("user", login=login, name=name, role="none", **more)
    node.run("people.set_rights", login=login, entity="customer", actions=["read", "create", "update"], scope=scope)
    for kind in ("contact", "activity"):
        node.run("people.set_rights", login=login, entity=kind, actions=["read", "create"])
    actor = actor_by_id(node.store, user)
    assert actor is not None
    return actor


# what is found -----------------------------------------------------------------------------------------------------------


def test_a_scrap_of_anything_leads_to_the_record(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织品有限公司", phone="0575-8412 3367", tax_no="91330621MA2JXFZ88X")
    hq.new(
        "contact",
        customer_id=mill,
        name="李娟",
        phone="13905751234",
        second_phone="0571-22334455",
        other_phones="17755558888, 0571-9911 2277",
    )
    hq.new("activity", customer_id=mill, content="确认样布颜色", subject="来样")
    hq.new("supplier", name="南通海门纺织", phone="0513-66778899")
    product = hq.new("product", code="XF75-03", name="雪纺藏青", price="9.8")
    hq.new("opportunity", customer_id=mill, title="秋装面料")
    hq.new("installed_product", customer_id=mill, product_id=product, serial="SN-20260017")
    customer, contact = ("customer", "绍兴恒远纺织品有限公司"), ("contact", "李娟")
    for text in ("恒远", "hengyuan", "hyfz", "HENGYUAN", "3367", "84123367", "绍兴 纺织", "jxfz88"):
        assert customer in found(hq, text), text
    for text in ("李娟", "lj", "1234", "4455", "8888", "99112277", "2277"):
        assert contact in found(hq, text), text
    assert found(hq, "yangbu") == [("activity", "确认样布颜色")]
    assert found(hq, "8899") == [("supplier", "南通海门纺织")]
    assert found(hq, "xf75") == [("product", "雪纺藏青")]
    assert found(hq, "秋装") == [("opportunity", "秋装面料")]
    assert found(hq, "20260017") == [("installed_product", "SN-20260017")]
    assert found(hq, "查无此物") == found(hq, "·") == []


def test_initials_find_an_old_record_behind_many_new_ones_that_only_might_fit(hq: Installation) -> None:
    old = hq.new("customer", name="杭州成天染整")
    kind = entity("customer")
    with hq.store.unit_of_work(hq.actor.user_id) as uow:  # each pair of the initials, never all of them in a row
        uow.insert_many(kind, [{"id": new_id(), "name": f"合作自存存体{n}"} for n in range(250)])
    assert (look(hq, "hzct")["sole"], look(hq, "hzct")["counts"]) == (old, {"customer": 1})
    assert look(hq, "hzz")["counts"] == {"customer": 200}  # more are not told apart


def test_a_number_goes_straight_to_its_document(hq: Installation) -> None:
    mill = hq.new("customer", name="恒远")
    hq.new("product", code="P1", name="坯布", unit="米", price="10", stocked=False)
    product = hq.value("SELECT lower(hex(id)) FROM product")
    house = hq.new("warehouse", code="W1", name="主仓")
    orders = [hq.order(mill, product), hq.order(mill, product)]
    for order in orders:
        hq.run(
            "sales.save_order",
            order_id=order,
            header={"customer_id": mill, "warehouse_id": house},
            lines=[{"product_id": product, "quantity": "1"}],
        )
        hq.run("sales.post_order", order_id=order)
    numbers = [hq.get("sales_order", order)["number"] for order in orders]
    assert [look(hq, number)["sole"] for number in numbers] == orders
    both = look(hq, numbers[0][:-1])
    assert (both["sole"], both["counts"]["sales_order"]) == (None, 2)


def test_a_customer_that_was_merged_is_found_by_both_numbers(hq: Installation) -> None:
    kept, merged = hq.new("customer", name="恒远纺织"), hq.new("customer", name="恒远纺织品公司")
    number = hq.get("customer", merged)["number"]
    hq.run("crm.merge_customers", kept=kept, merged=merged, choices={})
    answer = look(hq, number)
    assert (answer["sole"], answer["rows"][0]["matches"]["former_numbers"]) == (kept, number)


def test_files_are_found_by_name_under_the_record_that_holds_them(hq: Installation) -> None:
    quote = blobs.add(hq.store, "恒远 报价单2026.pdf", b"a quotation")
    photo = blobs.add(hq.store, "Muster_Blau.JPG", b"a picture")
    mill = hq.new("customer", name="瑞祥", files=f"{quote.line}\n{photo.line}")
    for text in ("报价单", "baojia", "bjd2026", "报价 pdf"):
        answer = look(hq, text, kind="file")
        assert [(row["entity"], row["id"], list(row["matches"].values())) for row in answer["rows"]] == [
            ("file", mill, [quote.name])
        ] or text == "bjd2026"
    assert look(hq, "muster blau")["counts"] == {"file": 1}
    assert look(hq, quote.hash[:12])["counts"] == {}  # how it is kept is no name
    hq.delete("customer", mill)
    assert found(hq, "报价单") == []


def test_every_kind_that_declares_search_is_covered(hq: Installation) -> None:
    """Whatever is declared tomorrow is found tomorrow: the same word in a searched field of each kind that a person writes."""
    hq.new("customer", name="样板客户")
    with hq.store.read() as connection:
        indexed = {
            kind.key
            for kind in entities()
            if kind.searched
            and connection.value(f'SELECT count(*) FROM "{kind.key}" WHERE deleted = 0 AND "{kind.searched[0].key}" IS NOT NULL')
        }
    assert {"customer", "user", "branch"} <= indexed
    for kind in indexed:
        title = hq.value(f'SELECT "{kind}".* FROM "{kind}" WHERE deleted = 0 LIMIT 1') is not None
        text = hq.value(f'SELECT "{next(k for k in entities() if k.key == kind).searched[0].key}" FROM "{kind}" WHERE deleted = 0')
        assert title and kind in look(hq, str(text))["counts"], kind


# narrowing ---------------------------------------------------------------------------------------------------------------


def test_mine_my_departments_a_branch_and_lately(company: Company, hq: Installation) -> None:
    sales = hq.new("department", name="销售部")
    east = hq.new("department", name="华东组", parent_id=sales)
    li, wu = (
        seller(hq, login, name, scope="all", department_id=home) for login, name, home in (("li", "李四", sales), ("wu", "吴敏", east))
    )
    branch = hq.value("SELECT lower(hex(id)) FROM branch WHERE code = 'BR01'")
    ids = [
        hq.new("customer", name=f"华美{n}", owner_id=owner.user_id, branch_id=where)
        for n, owner, where in ((1, li, None), (2, wu, branch), (3, hq.actor, None))
    ]
    hq.new("contact", customer_id=ids[0], name="华美的李经理")
    assert len(found(hq, "华美", li)) == 4
    assert found(hq, "华美", li, whose="mine") == [("customer", "华美1"), ("contact", "华美的李经理")]
    assert found(hq, "华美", li, whose="department", kind="customer") == [("customer", "华美2"), ("customer", "华美1")]
    assert found(hq, "华美", wu, whose="department") == [("customer", "华美2")]
    assert found(hq, "华美", li, branch_id=branch) == [("customer", "华美2")]
    assert found(hq, "华美", li, branch_id=branch, whose="mine") == []
    hq.clock.forward(days=10)
    hq.set("customer", ids[2], short_name="新")
    assert found(hq, "华美", li, days=7) == [("customer", "华美3")]
    assert len(found(hq, "华美", li, days=30)) == 4
    assert set(look(hq, "华美", kind="contact")["counts"]) == {"customer", "contact"}  # what else there is stays in sight


def test_filters_that_nobody_offers_are_refused(hq: Installation) -> None:
    for wrong in ({"whose": "everyone"}, {"days": -1}, {"branch_id": "x' OR 1"}, {"text": "x" * 201}):
        with pytest.raises(AppError):
            look(hq, **({"text": "x"} | wrong))


# rights ------------------------------------------------------------------------------------------------------------------


def test_a_salesperson_finds_his_own_and_is_told_of_others_only_by_the_whole(hq: Installation) -> None:
    li, wang = seller(hq, "li", "李四"), seller(hq, "wang", "王五")
    hq.new("customer", name="绍兴恒远纺织品有限公司", phone="0575-84123367", owner_id=wang.user_id)
    own = hq.new("customer", name="恒远印染", owner_id=li.user_id)
    assert [row["id"] for row in look(hq, "恒远", li)["rows"]] == [own]

    def told(text: str, actor: Actor = li) -> list[tuple[str, str]]:
        answer = verbs.run(hq.store, actor, "finding.search_beyond", {"text": text})
        return [(row["reason"], row["owner"]) for row in answer["rows"]]

    for scrap in ("恒远", "绍兴恒远", "3367", "hengyuan", ""):
        assert told(scrap) == []
    assert told("绍兴恒远纺织品（有限公司）") == [("name", "王五")]
    assert told("0575 8412 3367") == [("phone", "王五")]
    assert told("恒远印染") == []  # his own is a hit like any other
    assert told("0575 8412 3367", hq.actor) == []  # who sees everything has found it
    assert hq.value("SELECT count(*) FROM event_log WHERE kind = 'hidden_alike'") == 1
    hq.run("people.set_rights", login="li", entity="customer", actions=["read"], scope="own")
    reader = actor_by_id(hq.store, str(li.user_id))
    with pytest.raises(AppError):  # whoever may not enter customers is not asked about likely doubles, here neither
        told("0575 8412 3367", reader)


# what is not here --------------------------------------------------------------------------------------------------------


def test_it_says_up_to_when_and_who_is_not_included(company: Company, hq: Installation) -> None:
    br01 = company.branches["BR01"]
    now = datetime.fromtimestamp(hq.clock.now_ms() / 1000, tz=UTC)
    with use_language("en"):
        at_office = words(coverage(hq.store), now)
        assert at_office[0] == "Searched: HQ HQ店 up to this moment" or at_office[0].startswith("Searched: HQ")
        company.exchange("BR01")
        at_office, at_branch = words(coverage(hq.store), now), words(coverage(br01.store), now)
    assert any("BR01" in line and "as of 2026-" in line for line in at_office)
    assert at_branch[0].startswith("Searched: BR01")
    assert any("HQ" in line and "BR02" in line and "as of" in line for line in at_branch)
    assert not any("BR01" in line for line in at_branch[1:])
    branch = hq.value("SELECT lower(hex(id)) FROM branch WHERE code = 'BR01'")
    hq.set("branch", branch, holds="own")
    company.exchange("BR01")
    with use_language("en"):
        assert any("not included: orders, stock and money of other branches" in line for line in words(coverage(br01.store), now))


def test_each_state_of_the_exchange_has_its_sentence() -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    rows = [("HQ", "总部", 1, "all"), ("BR01", "杭州", 2, "all"), ("BR02", "BR02", 3, "all")]
    merged = "2026-11-17T12:00:00+00:00"
    at_office = {"code": "HQ", "name": "总部", "branches": [{"code": "BR01", "last_ok": merged}, {"code": "BR02", "last_ok": None}]}
    at_branch = {"code": "BR01", "name": "杭州", "enrolled": True, "last_ok": merged}
    with use_language("en"):
        said = words(covered(1, rows, at_office), now)
        assert said[0] == "Searched: HQ 总部 up to this moment"
        assert said[1].startswith("BR01 杭州 as of 2026-11-17") and said[1].endswith("(3 days ago)")
        assert said[2:] == ["not included: BR02 (nothing has arrived yet)"]
        said = words(covered(2, rows, at_branch), now)
        assert said[1].startswith("HQ 总部, BR02 as of 2026-11-17") and len(said) == 2
        assert words(covered(2, rows, at_branch | {"last_ok": None}), now)[1:] == ["not included: HQ 总部, BR02 (nothing has arrived yet)"]
        alone = words(covered(0, [], at_branch | {"enrolled": False}), now)
        assert alone == ["Searched: BR01 杭州 up to this moment", f"not included: {alone[1].removeprefix('not included: ')}"]
        assert "has not joined yet" in alone[1]


def test_what_a_branch_did_is_found_at_head_office_after_the_exchange(company: Company, hq: Installation) -> None:
    br01 = company.branches["BR01"]
    br01.new("customer", name="杭州博雅服饰", phone="0571-88991122")
    assert found(br01, "1122") == [("customer", "杭州博雅服饰")]
    assert found(hq, "1122") == []
    company.exchange("BR01")
    assert found(hq, "1122") == found(hq, "byfs") == [("customer", "杭州博雅服饰")]


# marks and memory --------------------------------------------------------------------------------------------------------


def _marked(text: str, wanted: str) -> list[str]:
    return [text[start:end] for start, end in spans(text, wanted)]


def test_what_was_meant_is_marked_where_it_stands() -> None:
    name = "绍兴恒远纺织品有限公司"
    assert _marked(name, "恒远 公司") == ["恒远", "公司"]
    assert _marked(name, "hengyuan") == _marked(name, "hy") == _marked(name, "hengyu") == ["恒远"]
    assert _marked("重庆分公司", "chongqing") == _marked("重庆分公司", "zq") == ["重庆"]
    assert _marked("0575-8412 3367", "84123367") == ["8412 3367"]
    assert _marked("ＡＢＣ公司", "abc") == ["ＡＢＣ"]
    assert _marked("<b>x</b>", "b") == ["b", "b"]
    assert spans("㎡㎡", "m2") == [(0, 2)]
    assert spans("什么也没有", "hy") == spans("", "x") == []
    long = "前" * 300 + "恒远" + "后" * 300
    text, places = excerpt(long, spans(long, "恒远"))
    assert (len(text) < 130, [text[start:end] for start, end in places]) == (True, ["恒远"])


def test_the_last_searches_are_remembered_newest_first() -> None:
    kept = ""
    for text in ("恒远", "  3367 ", "恒远", "Ab", "aB", *map(str, range(MOST_RECENT - 3))):
        kept = with_recent(kept, text)
    assert read_recent(kept) == [*map(str, reversed(range(MOST_RECENT - 3))), "aB", "恒远", "3367"]
    for foreign in ("", "[", "{}", '[1, null, "x"]', '"x"'):
        assert read_recent(foreign) == (["x"] if "[1" in foreign else [])
