"""Activity records through a day's work: a call with its result and the next step, one entered late, the lock, comments, an old system's history."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.importing import import_rows
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.sales.glance import customer_glances
from localcrm.kernel.errors import AppError
from tests.factories import Company, HandClock, Installation


def colleague(node: Installation, login: str, name: str, *, roles: bool = False) -> Actor:
    """Somebody who signs in here; ``roles``: who sees his own customers only, and changes nothing."""
    user = node.new("user", login=login, name=name, password="Haus-und-Hof-42", role="none" if roles else "staff")
    for entity in ("customer", "contact", "activity", "comment") if roles else ():
        node.run("people.set_rights", login=login, entity=entity, actions=["read"], scope="own" if entity == "customer" else "all")
    actor = actor_by_id(node.store, user)
    assert actor is not None
    return actor


def as_(node: Installation, actor: Actor, verb: str, **parameters: Any) -> Any:
    return verbs.run(node.store, actor, verb, parameters)


def clock(company: Company) -> HandClock:
    assert isinstance(company.hq.clock, HandClock)
    return company.hq.clock


def refused(node: Installation, actor: Actor, verb: str, **parameters: Any) -> str:
    with pytest.raises(AppError) as error:
        as_(node, actor, verb, **parameters)
    return error.value.code


def test_a_call_says_what_came_of_it_and_what_comes_next(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    call = hq.new(
        "activity",
        customer_id=mill,
        subject="秋冬面料报价",
        content="张总看了色卡，要 XF75 两种颜色",
        result="有意向",
        next_at="2026-11-24T01:00:00Z",
        next_plan="带样布上门",
    )
    found = hq.get("activity", call)
    assert (found["result"], found["next_plan"], found["late"]) == ("interested", "带样布上门", False)
    assert found["at"] == found["written_at"] == "2026-11-20T12:00:00.000Z"
    with hq.store.read() as connection:
        glance = customer_glances(connection, hq.actor, [mill])[mill]
    assert (glance.last_content, str(glance.next_contact)) == ("张总看了色卡，要 XF75 两种颜色", "2026-11-24 01:00:00+00:00")


def test_what_is_entered_later_says_so(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    visit = hq.new("activity", customer_id=mill, content="上周拜访", at="2026-11-13 14:00")
    assert hq.get("activity", visit)["late"] is True
    hq.set("activity", visit, at="2026-11-20T11:00:00Z")
    assert hq.get("activity", visit)["late"] is False
    assert refused(hq, hq.actor, "records.update_record", entity="activity", id=visit, values={"late": True}) == "not_editable"


def test_trap_40_times_that_cannot_be(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    cases: list[tuple[dict[str, str], str]] = [
        ({"at": "2026-11-21T12:00:00Z"}, "activity_ahead"),
        ({"next_at": "2026-11-20T11:00:00Z"}, "next_before"),
        ({"at": "2026-11-19T12:00:00Z", "next_at": "2026-11-19T11:00:00Z"}, "next_before"),
        ({"next_at": "0209-03-01T00:00:00Z"}, "bad_date"),
        ({"next_at": "2027-02-29"}, "bad_date"),
        ({"content": "   "}, "required"),
    ]
    for values, code in cases:
        parameters = {"entity": "activity", "values": {"customer_id": mill, "content": "电话", **values}}
        assert refused(hq, hq.actor, "records.create_record", **parameters) == code, values
    assert hq.value("SELECT count(*) FROM activity") == 0


def test_after_two_days_a_record_is_locked_but_for_those_with_the_right(company: Company) -> None:
    hq = company.hq
    lin = colleague(hq, "lin", "林晓")
    mill = hq.new("customer", name="绍兴恒远纺织")
    call = as_(hq, lin, "records.create_record", entity="activity", values={"customer_id": mill, "content": "电话"})["id"]
    change = {"entity": "activity", "id": call, "values": {"content": "电话，已报价"}}
    clock(company).forward(days=1.9)
    as_(hq, lin, "records.update_record", **change)
    clock(company).forward(days=0.2)
    change["values"] = {"content": "改写历史"}
    assert refused(hq, lin, "records.update_record", **change) == "activity_locked"
    assert refused(hq, lin, "records.delete_record", entity="activity", id=call) == "activity_locked"
    as_(hq, lin, "crm.comment", activity=call, text="补充：已寄样")  # what is locked can still be talked about
    hq.set("activity", call, content="电话，已报价。")  # the administrator
    hq.run("options.set_company_option", key="activity_hours", value="0")
    as_(hq, lin, "records.update_record", **change)
    assert hq.get("activity", call)["content"] == "改写历史"


def test_a_comment_names_colleagues_who_may_see_the_record(hq: Installation) -> None:
    lin, zhou = colleague(hq, "lin", "林晓"), colleague(hq, "zhou", "周敏", roles=True)
    colleague(hq, "lina", "林晓娜")
    mill = hq.new("customer", name="绍兴恒远纺织")
    call = hq.new("activity", customer_id=mill, content="电话")
    said = hq.run("crm.comment", activity=call, text="请@林晓娜 和 @LIN 跟进，抄送 boss@lin.com")
    names = [hq.get("user", one)["name"] for one in said["mentions"].split()]
    assert sorted(names) == ["林晓", "林晓娜"]
    assert refused(hq, hq.actor, "crm.comment", activity=call, text="@周敏 看一下") == "mention_unseen"
    assert refused(hq, zhou, "crm.comment", activity=call, text="我也来") == "not_found"
    hq.set("customer", mill, owner_id=zhou.user_id)
    hq.run("crm.comment", activity=call, text="@周敏 看一下")
    as_(hq, zhou, "crm.comment", activity=call, text="好的", mentions=[lin.user_id])
    assert refused(hq, hq.actor, "crm.comment", activity=call, text="  ") == "required"
    assert hq.value("SELECT count(*) FROM comment") == 3
    assert [hq.get("activity", one).get("comments") for one in (call, hq.new("activity", customer_id=mill, content="又一个"))] == [3, None]
    hq.set("activity", call, participants=f"{lin.user_id}  {zhou.user_id} {lin.user_id}")
    assert hq.get("activity", call)["participants"] == f"{lin.user_id} {zhou.user_id}"
    assert refused(hq, hq.actor, "records.update_record", entity="activity", id=call, values={"participants": mill}) == "not_found"
    colleague(hq, "lin2", "林晓")
    assert refused(hq, hq.actor, "crm.comment", activity=call, text="@林晓 看") == "ambiguous_mention"


def test_an_old_systems_history_comes_with_its_authors_and_times(hq: Installation) -> None:
    lin = colleague(hq, "lin", "林晓")
    hq.new("customer", name="绍兴恒远纺织")
    rows = [
        (2, {"customer_id": "绍兴恒远纺织", "at": "2019-03-04 10:30", "type": "拜访", "content": "第一次上门", "user_id": "lin"}),
        (3, {"customer_id": "绍兴恒远纺织", "at": "2020-05-01 09:00", "content": "年度拜访", "user_id": "林晓", "next_at": "2020-06-01"}),
        (4, {"customer_id": "绍兴恒远纺织", "at": "2018-01-01", "content": "老同事的记录", "author": "王老师（已离职）"}),
        (5, {"customer_id": "绍兴恒远纺织", "at": "2018-01-01", "content": "没有这个人", "user_id": "查无此人"}),
    ]
    result = import_rows(hq.store, hq.actor, entity="activity", rows=rows)
    assert (result.created, [error["code"] for error in result.errors]) == (3, ["no_such_record"])
    found = hq.rows('SELECT a.content, u.login, a.author, a.late FROM activity a LEFT JOIN "user" u ON u.id = a.user_id ORDER BY a.at')
    assert found == [("老同事的记录", None, "王老师（已离职）", 1), ("第一次上门", "lin", None, 1), ("年度拜访", "lin", None, 1)]
    # whoever may not import does not write in another's name either
    li = colleague(hq, "li", "李梅", roles=True)
    for entity in ("customer", "activity"):
        hq.run("people.set_rights", login="li", entity=entity, actions=["read", "create", "update"])
    li_now = actor_by_id(hq.store, str(li.user_id))
    assert li_now is not None
    values = {"customer_id": hq.rows("SELECT hex(id) FROM customer")[0][0].lower(), "content": "冒名", "user_id": lin.user_id}
    assert refused(hq, li_now, "records.create_record", entity="activity", values=values) == "foreign_record"


def test_what_branches_say_about_one_record_apart_comes_together(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    mill = hq.new("customer", name="绍兴恒远纺织")
    lin, zhou, wu = (hq.new("user", login=login, name=login) for login in ("lin", "zhou", "wu"))
    call = hq.new("activity", customer_id=mill, content="电话", participants=lin)
    company.exchange()
    hq.set("activity", call, participants=f"{lin} {wu}")
    branch.set("activity", call, participants=zhou)  # lin was not there after all
    hq.run("crm.comment", activity=call, text="总部：价格可以再谈")
    branch.run("crm.comment", activity=call, text="分公司：已寄样")
    hq.set("activity", call, result="interested")
    branch.set("activity", call, next_plan="带样布上门")
    company.exchange()
    assert len(company.digests) == 1
    assert {row[0] for row in branch.rows("SELECT text FROM comment")} == {"总部：价格可以再谈", "分公司：已寄样"}
    assert (hq.get("activity", call)["result"], hq.get("activity", call)["next_plan"]) == ("interested", "带样布上门")
    assert [node.get("activity", call)["participants"] for node in company.nodes] == [f"{zhou} {wu}"] * 2 and hq.conflicts() == []
    # a record that was written before it locked arrives after: the merge is never refused
    branch.set("activity", call, subject="改于锁定之前")
    clock(company).forward(days=30)
    company.exchange()
    assert hq.get("activity", call)["subject"] == "改于锁定之前"
