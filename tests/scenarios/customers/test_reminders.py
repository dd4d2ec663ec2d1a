"""What people are reminded of, over some days and two branches."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from tests.factories import Company, HandClock, Installation


@pytest.fixture
def clock(company: Company) -> HandClock:
    assert isinstance(company.hq.clock, HandClock)
    return company.hq.clock


def told(node: Installation, actor: Actor | None = None, *, days: int = 0) -> list[tuple[str, str, str]]:
    rows = verbs.run(node.store, actor or node.actor, "crm.list_reminders", {"days": days})["rows"]
    return [(row["kind"], row["title"], row["text"]) for row in rows]


def keys(node: Installation, actor: Actor | None = None) -> list[str]:
    return [row["key"] for row in verbs.run(node.store, actor or node.actor, "crm.list_reminders", {"days": 0})["rows"]]


def staff(node: Installation, login: str, name: str) -> Actor:
    actor = actor_by_id(node.store, node.new("user", login=login, name=name, password="Haus-und-Hof-42", role="staff"))
    assert actor is not None
    return actor


def test_a_planned_contact_is_told_to_the_owner_when_it_is_due_and_once_spoken_to_no_more(hq: Installation, clock: HandClock) -> None:
    lin = staff(hq, "lin", "林晓")
    mill = hq.new("customer", name="绍兴恒远纺织", owner_id=lin.user_id)
    hq.new("activity", customer_id=mill, content="电话", next_at="2026-11-20T14:00:00Z", next_plan="带样布上门")
    assert told(hq, lin) == []
    assert told(hq, lin, days=1) == [("next", "绍兴恒远纺织", "带样布上门")]
    clock.forward(minutes=120)
    assert told(hq, lin) == [("next", "绍兴恒远纺织", "带样布上门")]
    assert told(hq) == [], "the one who wrote it down is not the owner"
    clock.forward(days=3)  # the computer was off over the weekend
    assert told(hq, lin) == [("next", "绍兴恒远纺织", "带样布上门")], "once, however long it was off"
    hq.new("activity", customer_id=mill, content="又通了电话")
    assert told(hq, lin) == []


def test_put_off_and_done(hq: Installation, clock: HandClock) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    hq.new("activity", customer_id=mill, content="电话", next_at="2026-11-20T13:00:00Z")
    clock.forward(minutes=60)
    hq.run("crm.put_off_reminders", keys=keys(hq), minutes=10)
    assert told(hq) == []
    clock.forward(minutes=9, ms=59_999)
    assert told(hq) == []
    clock.forward(ms=1)
    assert told(hq) == [("next", "绍兴恒远纺织", "")]
    hq.run("crm.settle_reminders", keys=keys(hq))
    clock.forward(days=1)
    assert told(hq) == []


def test_ones_own_reminder_is_ones_own(hq: Installation, clock: HandClock) -> None:
    lin = staff(hq, "lin", "林晓")
    mill = hq.new("customer", name="绍兴恒远纺织")
    verbs.run(hq.store, lin, "crm.set_reminder", {"at": "2026-11-20T15:00:00Z", "text": "寄发票", "customer": mill})
    clock.forward(minutes=180)
    assert told(hq, lin) == [("own", "寄发票", "绍兴恒远纺织")]
    assert told(hq) == []
    with pytest.raises(AppError) as refused:
        hq.delete("customer", mill)
    assert refused.value.code == "referenced"
    (key,) = keys(hq, lin)
    hq.run("crm.settle_reminders", keys=[key])  # somebody else's key settles nothing of hers
    assert told(hq, lin) == [("own", "寄发票", "绍兴恒远纺织")]
    verbs.run(hq.store, lin, "crm.settle_reminders", {"keys": [key]})
    assert told(hq, lin) == []
    hq.delete("customer", mill)


def test_what_cannot_be_is_refused(hq: Installation) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("crm.set_reminder", {"at": "2026-11-20T11:59:00Z", "text": "晚了"}, "reminder_passed"),
        ("crm.set_reminder", {"at": "2027-02-29", "text": "没有这一天"}, "bad_date"),
        ("crm.set_reminder", {"at": "", "text": "没有时间"}, "required"),
        ("crm.set_reminder", {"at": "2026-12-01", "text": " "}, "required"),
        ("crm.set_reminder", {"at": "2026-12-01", "text": "x", "customer": "0" * 32}, "not_found"),
        ("crm.settle_reminders", {"keys": ["next:'; DROP TABLE reminder_mark"]}, "bad_reminder"),
        ("crm.put_off_reminders", {"keys": [], "minutes": -5}, "bad_wait"),
        ("crm.put_off_reminders", {"keys": [], "minutes": 10**30}, "bad_wait"),
    ]
    for verb, parameters, code in cases:
        with pytest.raises(AppError) as refused:
            hq.run(verb, **parameters)
        assert refused.value.code == code, parameters


def test_birthdays_by_sun_and_moon_are_told_three_days_ahead(hq: Installation, clock: HandClock) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    hq.new("contact", customer_id=mill, name="张建国", birthday="1968-11-24")
    hq.new("contact", customer_id=mill, name="李梅", birthday="1990-11-24", lunar_birthday="十月十六")  # 24 November in 2026
    hq.new("contact", customer_id=mill, name="王强", birthday="1990-11-24", lunar_birthday="八月十五")  # keeps the lunar one
    hq.new("contact", customer_id=mill, name="赵离", birthday="1970-11-24", has_left=True)
    assert told(hq) == []
    clock.forward(days=1)  # noon of the 21st
    expected = [("birthday", "张建国", "绍兴恒远纺织"), ("birthday", "李梅", "绍兴恒远纺织")]
    assert sorted(told(hq)) == sorted(expected)
    hq.run("crm.settle_reminders", keys=keys(hq))
    clock.forward(days=2)
    assert told(hq) == []
    clock.forward(days=363)  # the sun is back where it was, the moon is not
    assert told(hq) == [("birthday", "张建国", "绍兴恒远纺织")]


def test_a_customer_nobody_spoke_to_for_thirty_days(hq: Installation, clock: HandClock) -> None:
    quiet, planned, spoken = (hq.new("customer", name=name) for name in ("静静纺织", "计划纺织", "常联系纺织"))
    for customer in (quiet, planned, spoken):
        hq.new("activity", customer_id=customer, content="电话")
    hq.new("activity", customer_id=planned, content="电话", next_at="2027-03-01T00:00:00Z")
    clock.forward(days=15)
    hq.new("activity", customer_id=spoken, content="电话")
    assert told(hq) == []
    clock.forward(days=15.5)
    assert told(hq) == [("dormant", "静静纺织", "")]
    hq.run("options.set_company_option", key="dormant_days", value="0")
    assert told(hq) == []


def test_a_customer_nobody_ever_spoke_to_counts_from_the_day_he_came(hq: Installation, clock: HandClock) -> None:
    lin = staff(hq, "lin", "林晓")
    hq.run("options.set_company_option", key="dormant_days", value="３0、7 15,7")
    assert (
        hq.run("options.company_options")[[row["key"] for row in hq.run("options.company_options")].index("dormant_days")]["value"]
        == "7, 15, 30"
    )
    imported = hq.new("customer", name="名录纺织")
    stopped = hq.new("customer", name="停业纺织", inactive=True)
    planned = hq.new("customer", name="计划纺织")
    hq.new("activity", customer_id=planned, content="电话", next_at="2027-03-01T00:00:00Z")
    assert stopped
    clock.forward(days=6.5)
    assert told(hq) == []
    clock.forward(days=0.5)
    assert told(hq) == [("dormant", "名录纺织", "")]
    (seventh,) = keys(hq)
    hq.run("crm.settle_reminders", keys=[seventh])
    assert told(hq, days=5) == []
    clock.forward(days=8)
    assert told(hq) == [("dormant", "名录纺织", "")], "after 15 days once more"
    assert keys(hq) != [seventh]
    # Handed over, his days with the next one begin: nothing is told of before.
    hq.set("customer", imported, owner_id=lin.user_id)
    verbs.run(hq.store, lin, "crm.settle_reminders", {"keys": keys(hq, lin)})  # that it changed hands
    assert [row for row in (*told(hq, days=20), *told(hq, lin)) if row[0] == "dormant"] == []
    clock.forward(days=7)
    assert told(hq, lin) == [("dormant", "名录纺织", "")]
    hq.new("activity", customer_id=imported, content="电话")
    assert told(hq, lin) == []
    clock.forward(days=7)
    assert told(hq, lin) == [("dormant", "名录纺织", "")]
    hq.run("options.set_company_option", key="dormant_days", value="7, 6")  # both have passed: the greatest is told
    assert [key.rpartition(":")[2] for key in keys(hq, lin)] == ["7"]
    for nonsense in ("七", "7, -1", "9999", "", "1 2 3 4 5 6 7"):
        with pytest.raises(AppError) as refused:
            hq.run("options.set_company_option", key="dormant_days", value=nonsense)
        assert refused.value.code == "bad_option_value"


def test_a_warranty_that_ends_is_told_thirty_fifteen_and_seven_days_before(hq: Installation, clock: HandClock) -> None:
    mill, loom = hq.new("customer", name="绍兴恒远纺织"), hq.new("product", code="L1", name="喷气织机")
    machine = hq.new("installed_product", customer_id=mill, product_id=loom, serial="JT-0075", warranty_until="2026-12-22")
    assert told(hq) == []
    clock.forward(days=2)
    assert told(hq) == [("warranty", "绍兴恒远纺织", "喷气织机 JT-0075")]
    contract = hq.new("contract", customer_id=mill, title="维保", ends_on="2026-12-22", status="signed")
    assert told(hq)[0] == ("contract", "绍兴恒远纺织", "维保")
    for mark, days in (("", 15), ("-15", 8), ("-7", 10)):
        due = [key for key in keys(hq) if not key.startswith("dormant")]
        assert sorted(due) == [f"{kind}:2026-12-22{mark}" for kind in (f"contract:{contract}", f"warranty:{machine}")]
        hq.run("crm.settle_reminders", keys=[key for key in due if key.startswith("warranty")])  # the other is passed over and told once
        assert [kind for kind, *_rest in told(hq)] == ["contract"]
        clock.forward(days=days)
    assert [key for key in keys(hq) if not key.startswith("dormant")] == [], "it is over"
    hq.set("installed_product", machine, warranty_until="2027-12-22")  # it was prolonged
    assert "warranty" not in dict.fromkeys(kind for kind, *_rest in told(hq))


def test_a_certificate_of_a_supplier_that_runs_out(hq: Installation, clock: HandClock) -> None:
    lin = staff(hq, "lin", "林晓")
    mill, other = hq.new("supplier", name="盛虹化纤", buyer_id=lin.user_id), hq.new("supplier", name="自己采购")
    paper = hq.new("supplier_certificate", supplier_id=mill, name="ISO 9001", expires_on="2026-12-21")
    hq.new("supplier_certificate", supplier_id=other, name="ISO 9001", expires_on="2026-12-21")
    assert told(hq, lin) == []
    clock.forward(days=1)
    assert told(hq, lin) == [("certificate", "盛虹化纤", "ISO 9001")]
    assert told(hq) == [("certificate", "自己采购", "ISO 9001")], "who buys there hears of it"
    hq.set("supplier_certificate", paper, expires_on="2029-12-21")
    assert told(hq, lin) == []


def test_who_is_named_in_a_comment_hears_of_it(company: Company, clock: HandClock) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    lin = staff(hq, "lin", "林晓")
    mill = hq.new("customer", name="绍兴恒远纺织")
    call = hq.new("activity", customer_id=mill, content="电话")
    company.exchange()
    clock.forward(minutes=1)
    branch.run("crm.comment", activity=call, text="@林晓 请跟进")
    assert told(hq, lin) == []
    company.exchange()
    assert told(hq, lin) == [("mention", "管理员", "@林晓 请跟进")]


def test_no_reminder_comes_twice_from_two_nodes(company: Company, clock: HandClock) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    mill = hq.new("customer", name="绍兴恒远纺织")
    hq.new("activity", customer_id=mill, content="电话", next_at="2026-11-20T13:00:00Z")
    hq.new("contact", customer_id=mill, name="张建国", birthday="1968-11-24")
    hq.run("crm.set_reminder", at="2026-11-20T13:00:00Z", text="寄发票")
    company.exchange()
    clock.forward(days=1)
    assert len(keys(hq)) == 3
    assert keys(hq) == keys(branch), "both work out the same occasions"
    assert hq.value("SELECT count(*) FROM reminder_mark") == 0, "and nothing was written to do so"
    # one is done at the branch, one put off at head office; then nobody is told twice
    by_kind = {key.split(":")[0]: key for key in keys(hq)}
    branch.run("crm.settle_reminders", keys=[by_kind["birthday"], by_kind["own"]])
    hq.run("crm.put_off_reminders", keys=[by_kind["next"]], minutes=60)
    company.exchange()
    assert len(company.digests) == 1
    assert keys(hq) == keys(branch) == []
    clock.forward(minutes=61)
    assert keys(hq) == keys(branch) == [by_kind["next"]]
    # settled at both apart: still once, and no conflict
    hq.run("crm.settle_reminders", keys=[by_kind["next"]])
    branch.run("crm.settle_reminders", keys=[by_kind["next"]])
    company.exchange()
    assert keys(hq) == keys(branch) == []
    assert hq.conflicts() == []


def test_nobody_is_reminded_of_what_he_may_not_see(hq: Installation, clock: HandClock) -> None:
    lin = staff(hq, "lin", "林晓")
    mill = hq.new("customer", name="绍兴恒远纺织", owner_id=lin.user_id)
    hq.new("activity", customer_id=mill, content="电话", next_at="2026-11-20T13:00:00Z", next_plan="带样布上门")
    hq.new("contact", customer_id=mill, name="张建国", birthday="1968-11-23")
    clock.forward(days=1)
    assert len(told(hq, lin)) == 2
    hq.set("user", str(lin.user_id), role="none")
    for entity in ("customer", "activity"):
        hq.run("people.set_rights", login="lin", entity=entity, actions=["read"], scope="own" if entity == "customer" else "all")
    hq.run("people.set_field_rule", login="lin", entity="activity", field="next_plan", rule="hidden")
    now = actor_by_id(hq.store, str(lin.user_id))
    assert now is not None
    assert told(hq, now) == [("next", "绍兴恒远纺织", "")]


def test_a_task_given_to_somebody_and_the_next_step_of_a_deal(hq: Installation, clock: HandClock) -> None:
    """From the morning of their day on; done, put off, lost and gone, they are told no more."""
    lin, zhao = staff(hq, "lin", "林晓"), staff(hq, "zhao", "赵敏")
    mill = hq.new("customer", name="绍兴恒远纺织")
    deal = hq.new("opportunity", title="窗帘工程", customer_id=mill, owner_id=zhao.user_id, next_step="送样布", next_on="2026-11-21")
    task = hq.new("project_task", opportunity_id=deal, title="量尺寸", user_id=lin.user_id, due_on="2026-11-21")
    hq.new("project_task", opportunity_id=deal, title="还没有人做", due_on="2026-11-21")
    assert (told(hq, lin), told(hq, zhao)) == ([], [])
    clock.forward(days=1)
    assert told(hq, lin) == [("task", "量尺寸", "窗帘工程")]
    assert told(hq, zhao) == [("step", "送样布", "绍兴恒远纺织 · 窗帘工程")]
    assert told(hq) == []
    (row,) = verbs.run(hq.store, lin, "crm.list_reminders", {"days": 0})["rows"]
    assert tuple(row["record"]) == ("opportunity", deal)
    verbs.run(hq.store, lin, "crm.settle_reminders", {"keys": keys(hq, lin)})
    assert told(hq, lin) == []
    hq.set("project_task", task, due_on="2026-11-22")  # another day is another occasion
    clock.forward(days=1)
    assert told(hq, lin) == [("task", "量尺寸", "窗帘工程")]
    hq.set("project_task", task, done_on="2026-11-22")
    assert told(hq, lin) == []
    hq.set("project_task", task, done_on=None)
    hq.run("crm.lose", opportunity_id=deal, reason="dear")
    assert (told(hq, lin), told(hq, zhao)) == ([], [])
