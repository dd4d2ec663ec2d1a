"""A day at the telephone: what rings comes up on the right screen, with what its user may know; what was missed waits until somebody calls back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.calls.services import calls_of, card, last_heard, missed, names_of, on_screen
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import AppError
from localcrm.store.check import check
from localcrm.store.query import select
from tests.factories import Company, HandClock, Installation, copy_company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Head office alone."""
    opened = copy_company(tmp_path, branches=0)
    yield opened
    opened.close()


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Company]:
    """Head office and a branch."""
    opened = copy_company(tmp_path, branches=1)
    yield opened
    opened.close()


def heard(node: Installation, event: str = "ring", *, key: str = "1", caller: str = "", called: str = "", **more: Any) -> str:
    """What the telephone system of a node tells."""
    parameters = {"source": "hook", "event": event, "key": key, "caller": caller, "called": called, **more}
    return str(verbs.run(node.store, SYSTEM, "calls.heard", parameters)["id"])


def clerk(node: Installation, login: str, *, extension: str = "", scope: str = "own") -> Actor:
    """Somebody at the telephone who sees his own customers and, of calls, as far as ``scope``."""
    user = node.new("user", login=login, name=f"王{login}", password="Correct-Horse-7", role="none", extension=extension)
    node.run("people.set_rights", login=login, entity="customer", actions=["read", "create"], scope="own")
    for entity in ("contact", "activity"):
        node.run("people.set_rights", login=login, entity=entity, actions=["read", "create", "update"])
    node.run("people.set_rights", login=login, entity="call", actions=["read", "update"], scope=scope)
    actor = actor_by_id(node.store, user)
    assert actor is not None
    return actor


def screen(node: Installation, actor: Actor) -> list[dict[str, Any]]:
    """The cards on a user's screen."""
    with node.store.read() as connection:
        found = on_screen(connection, node.store.node, actor, moment(node.store.clock))
        return [card(connection, node.store.node, actor, call) for call in found]


def as_(node: Installation, actor: Actor, verb: str, **parameters: Any) -> Any:
    return verbs.run(node.store, actor, verb, parameters)


def waiting(node: Installation, actor: Actor, *, mine: bool = False) -> list[str]:
    with node.store.read() as connection:
        return [row["number"] for row in select(connection, missed(actor, mine=mine)).rows]


def clock(node: Installation) -> HandClock:
    assert isinstance(node.clock, HandClock)
    return node.clock


def test_a_call_is_found_by_any_number_of_any_contact_and_logged_from_ring_to_end(company: Company) -> None:
    hq = company.hq
    lin = clerk(hq, "lin", extension="801", scope="branch")
    customer = hq.new("customer", name="绍兴恒远纺织品有限公司", phone="0575-84123367", owner_id=lin.user_id)
    contact = hq.new("contact", customer_id=customer, name="陈总", phone="13905751234", other_phones="021-87654321 转 5；13300001111")
    call = heard(hq, caller="013300001111", called="801")
    (shown,) = screen(hq, lin)
    assert [shown["parties"][0][key] for key in ("name", "contact", "contact_id", "mine", "foreign")] == [
        "绍兴恒远纺织品有限公司",
        "陈总",
        contact,
        True,
        False,
    ]
    assert shown["linked"] == customer
    assert screen(hq, hq.actor) == []  # it rang at lin's telephone
    clock(hq).forward(minutes=0.2)
    heard(hq, "answer")
    clock(hq).forward(minutes=1.5)
    heard(hq, "end", recording="/var/rec/1.wav")
    record = hq.get("call", call)
    assert [record[key] for key in ("number", "state", "seconds", "line", "source", "recording")] == [
        "13300001111",
        "answered",
        90,
        "801",
        "hook",
        "/var/rec/1.wav",
    ]
    assert len(screen(hq, lin)) == 1  # he may want to write down what was said
    clock(hq).forward(minutes=4)
    assert screen(hq, lin) == []
    # With the area code of the place, what rings without one is one number alone.
    hq.run("calls.change_settings", values={"area": "021"})
    heard(hq, key="2", caller="87654321", called="801")
    assert screen(hq, lin)[0]["parties"][0]["name"] == "绍兴恒远纺织品有限公司"
    with hq.store.read() as connection:
        assert [one["number"] for one in calls_of(connection, lin, customer, limit=9)] == ["87654321", "13300001111"]
        assert set(last_heard(connection, hq.store.node)) == {"hook"}
    assert check(hq.store) == {"ok": True, "problems": []}


def test_several_hits_are_chosen_from_and_the_full_number_beats_the_last_digits(company: Company) -> None:
    hq = company.hq
    one, other = hq.new("customer", name="甲", phone="021-87654321"), hq.new("customer", name="乙", phone="0571-87654321")
    supplier = hq.new("supplier", name="丙织造", phone="87654321")
    call = heard(hq, caller="87654321")
    (shown,) = screen(hq, hq.actor)
    assert ({party["id"] for party in shown["parties"]}, shown["linked"]) == ({supplier}, None)  # nobody else has just this number
    assert hq.get("call", call)["supplier_id"] == supplier
    hq.delete("supplier", hq.new("supplier", name="丁", phone="13800000000"))
    heard(hq, key="2", caller="13800000000")
    assert screen(hq, hq.actor)[0]["parties"] == []  # what was deleted is nobody
    hq.set("supplier", supplier, phone="")
    call = heard(hq, key="3", caller="87654321")
    shown = screen(hq, hq.actor)[0]
    assert ({party["id"] for party in shown["parties"]}, shown["linked"]) == ({one, other}, None)
    hq.run("calls.link_call", id=call, customer=other)
    shown = screen(hq, hq.actor)[0]
    assert (shown["linked"], shown["parties"][0]["id"]) == (other, other)
    heard(hq, key="4", caller="0086-21-87654321")
    assert [party["id"] for party in screen(hq, hq.actor)[0]["parties"]] == [one]
    hq.run("calls.link_call", id=call, customer=None)
    with hq.store.read() as connection:
        assert calls_of(connection, hq.actor, other, limit=9) == []


def test_our_own_lines_are_nobodys_call(company: Company) -> None:
    hq = company.hq
    hq.run("calls.change_settings", values={"own": "0575-84120000, 800"})
    lin = clerk(hq, "lin", extension="801 802", scope="branch")
    hq.new("customer", name="自己人", phone="0575-84120000")
    assert heard(hq, caller="801", called="800") == "None"  # from one desk to another
    out = heard(hq, key="2", caller="802", called="013905751234")
    assert [hq.get("call", out)[key] for key in ("direction", "number", "line", "user_id")] == ["out", "13905751234", "802", lin.user_id]
    assert heard(hq, key="3", caller="84120000", called="801") != "None"  # not the whole number: somebody elsewhere may have it
    assert heard(hq, key="4", caller="+86 575 84120000", called="801") == "None"
    heard(hq, "end", key="2")
    assert hq.get("call", out)["state"] == "answered"  # nobody misses a call of his own
    with pytest.raises(AppError, match="不是"):
        hq.run("calls.start_call", number="0575-84120000")


def test_a_card_comes_up_where_the_line_is_and_on_all_screens_where_it_is_nobodys(company: Company) -> None:
    hq = company.hq
    lin, zhou, shy = clerk(hq, "lin", extension="801", scope="branch"), clerk(hq, "zhou", scope="branch"), clerk(hq, "shy")
    call = heard(hq, caller="13905751234", called="900")
    assert [len(screen(hq, who)) for who in (lin, zhou, hq.actor, shy)] == [1, 1, 1, 0]  # who sees only his own calls sees none of nobody's
    as_(hq, zhou, "calls.take_call", id=call)
    assert [len(screen(hq, who)) for who in (lin, zhou, hq.actor)] == [0, 1, 0]
    clock(hq).forward(minutes=30)
    assert [len(screen(hq, who)) for who in (lin, zhou, hq.actor)] == [0, 1, 0]  # he still talks
    as_(hq, zhou, "calls.end_call", id=call)
    as_(hq, zhou, "calls.settle_calls", ids=[call])
    assert screen(hq, zhou) == []
    # He sets his own extension, and from then on it is his telephone.
    as_(hq, zhou, "calls.set_extension", extension="900  901")
    heard(hq, key="2", caller="13905751234", called="901")
    assert [len(screen(hq, who)) for who in (lin, zhou, hq.actor)] == [0, 1, 0]
    clock(hq).forward(minutes=11)
    assert screen(hq, zhou) == []


def test_a_customer_of_another_branch_is_named_by_whom_to_call_alone(apart: Company) -> None:
    hq, branch = apart.hq, apart.branches["BR01"]
    wang = hq.new("user", login="wang", name="王敏", password="Correct-Horse-7", role="staff", extension="8001")
    apart.exchange()
    customer = branch.new("customer", name="杭州丝联", phone="13905751234", owner_id=wang)
    apart.exchange()
    lin = clerk(hq, "lin", extension="801")
    call = heard(hq, caller="13905751234", called="801")
    (shown,) = screen(hq, lin)
    assert shown["parties"] == [
        {"kind": "customer", "masked": True, "owner": "王敏", "extension": "8001", "branch": "BR01店", "foreign": True}
    ]
    for name in (customer, "杭州丝联"):
        assert name not in str(shown["parties"])
    with pytest.raises(AppError):
        as_(hq, lin, "calls.link_call", id=call, customer=customer)
    with hq.store.read() as connection:
        assert names_of(connection, lin, [{"id": call}]) == [{"party": None, "customer": None}]
        assert names_of(connection, hq.actor, [{"id": call}]) == [{"party": "杭州丝联", "customer": customer}]
    # Asked by hand, it is told and noted, and of many nobody is told.
    assert as_(hq, lin, "calls.who_is", number="13905751234")["rows"][0]["masked"]
    for n in range(25):
        hq.new("customer", name=f"客户{n}", phone=f"138000000{n:02d}", owner_id=wang)
    told = [as_(hq, lin, "calls.who_is", number=f"138000000{n:02d}") for n in range(25)]
    assert (sum(len(one["rows"]) for one in told), told[-1]["braked"]) == (19, True)


def test_a_covered_number_confirms_nothing(company: Company) -> None:
    hq = company.hq
    hq.new("customer", name="秘", phone="13905751234")
    lin = clerk(hq, "lin", extension="801")
    hq.run("people.set_rights", login="lin", entity="customer", actions=["read"], scope="all")
    hq.run("people.set_field_rule", login="lin", entity="customer", field="phone", rule="masked")
    lin = actor_by_id(hq.store, lin.user_id or "") or lin
    heard(hq, caller="13905751234", called="801")
    assert screen(hq, lin)[0]["parties"] == []


def test_missed_calls_wait_until_somebody_calls_back(company: Company) -> None:
    hq = company.hq
    lin = clerk(hq, "lin", extension="801")
    customer = hq.new("customer", name="恒远", phone="13905751234", owner_id=lin.user_id)
    call = heard(hq, caller="13905751234", called="801")
    heard(hq, "end")
    assert waiting(hq, lin) == waiting(hq, hq.actor) == ["13905751234"]
    assert waiting(hq, hq.actor, mine=True) == []
    as_(hq, lin, "calls.note_call", id=call, text="回电：要秋季色卡")
    assert waiting(hq, lin) == []
    assert hq.value("SELECT content FROM activity WHERE customer_id = ?", bytes.fromhex(customer)) == "回电：要秋季色卡"
    as_(hq, lin, "calls.settle_calls", ids=[call], handled=False)
    assert waiting(hq, lin) == ["13905751234"]
    unknown = heard(hq, key="2", caller="15000000000", called="801")
    with pytest.raises(AppError, match="哪个客户"):
        as_(hq, lin, "calls.note_call", id=unknown, text="?")
    # The program was off: nobody told of the end.
    clock(hq).forward(minutes=4)
    assert verbs.run(hq.store, SYSTEM, "calls.close_forgotten", {}) == {"closed": 1}
    assert waiting(hq, lin) == ["15000000000", "13905751234"]
    assert verbs.run(hq.store, SYSTEM, "calls.close_forgotten", {}) == {"closed": 0}


def test_an_event_said_twice_or_out_of_order_is_one_call(company: Company) -> None:
    hq = company.hq
    assert heard(hq, caller="13905751234", called="801") == heard(hq, caller="13905751234", called="801")
    heard(hq, "end")
    heard(hq, "end")
    heard(hq, "answer")
    (call,) = hq.rows("SELECT state FROM call")
    assert call == ("missed",)
    late = heard(hq, "end", key="2", caller="13905751235", called="801")  # its ring was lost
    assert hq.get("call", late)["state"] == "missed"
    clock(hq).forward(days=2)
    assert heard(hq, caller="13905751234", called="801") != late  # the system counts from 1 again


def test_by_hand_where_no_line_tells_of_calls(company: Company) -> None:
    hq = company.hq
    lin = clerk(hq, "lin")
    customer = hq.new("customer", name="恒远", phone="13905751234", owner_id=lin.user_id)
    found = as_(hq, lin, "calls.who_is", number="+86 139 0575 1234")
    assert ([row["id"] for row in found["rows"]], found["number"]) == ([customer], "13905751234")
    call = as_(hq, lin, "calls.start_call", number="13905751234", direction="out")
    assert (call["state"], call["user_id"], call["source"]) == ("talking", lin.user_id, "hand")
    assert screen(hq, lin) != []
    clock(hq).forward(minutes=1)
    as_(hq, lin, "calls.end_call", id=call["id"])
    assert hq.get("call", call["id"])["seconds"] == 60
    withheld = as_(hq, lin, "calls.start_call", number="")
    assert withheld["number"] is None
    with pytest.raises(AppError, match="不是"):
        as_(hq, lin, "calls.start_call", number="没有号码")


def test_branches_merge_their_calls_and_see_to_their_own(apart: Company) -> None:
    hq, branch = apart.hq, apart.branches["BR01"]
    one = hq.new("customer", name="恒远", phone="13905751234")
    apart.exchange()
    clerk(hq, "lin", extension="801")
    there = hq.new(
        "user", login="zhou", name="周敏", password="Correct-Horse-7", role="staff", extension="801", branch_id=branch.store.node.branch_id
    )
    apart.exchange()  # branches number their extensions alike
    call = heard(branch, caller="13905751234", called="801")
    assert branch.get("call", call)["user_id"] == there
    heard(branch, "end")
    other = heard(hq, key="9", caller="13905751234")
    apart.exchange()
    assert hq.get("call", call)["state"] == "missed"
    assert screen(hq, hq.actor)[0]["call"]["id"] == other  # what rings there does not ring here
    with pytest.raises(AppError, match="另一"):
        branch.run("calls.settle_calls", ids=[other])
    # Both see to one missed call apart, and the customer becomes one with another: nothing is lost and nobody is asked.
    branch.run("calls.settle_calls", ids=[call])
    hq.run("calls.settle_calls", ids=[call])
    two = hq.new("customer", name="恒远纺织", phone="0575-84123367")
    hq.run("crm.merge_customers", kept=two, merged=one, choices={})
    apart.exchange()
    apart.exchange()
    for node in apart.nodes:
        assert waiting(node, node.actor) == []
        with node.store.read() as connection:
            assert {found["id"] for found in calls_of(connection, node.actor, two, limit=9)} == {call, other}
    assert len(apart.digests) == 1
    assert [row["kind"] for row in hq.conflicts()] == []


WRONG_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"sip_port": "0"}, "bad_call_setting_value"),
    ({"sip_host": "example"}, "bad_call_setting_value"),
    ({"sip_from": "10.0.0.0/99"}, "bad_call_setting_value"),
    ({"area": "12345"}, "bad_call_setting_value"),
    ({"modem_rate": "1"}, "bad_call_setting_value"),
    ({"own": "a\x07"}, "bad_call_setting_value"),
    ({"modem": True}, "required"),
    ({"sip": True, "registrar": "pbx"}, "sip_half"),
    ({"hook_key": "x"}, "bad_call_setting"),
]


def test_settings_are_checked(company: Company) -> None:
    for values, code in WRONG_SETTINGS:
        with pytest.raises(AppError) as found:
            company.hq.run("calls.change_settings", values=values)
        assert found.value.code == code


def test_secrets_are_not_told_again(company: Company) -> None:
    hq = company.hq
    shown = hq.run("calls.change_settings", values={"registrar": "10.0.0.2", "sip_user": "801", "sip_password": "geheim-77"})
    assert shown["sip_password"] is True
    hq.run("calls.change_settings", values={"sip_password": ""})
    key = hq.run("calls.make_hook_key")["key"]
    assert "geheim-77" not in str(hq.rows("SELECT detail FROM event_log"))
    assert key not in str(hq.rows("SELECT value FROM meta"))
