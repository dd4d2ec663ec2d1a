"""Conflicts settled where they are seen, and let wait again: one state everywhere; and values that two branches gave apart though none may repeat."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcrm.domain.admin import conflicts
from localcrm.domain.admin.conflicts import Rule
from localcrm.domain.admin.entities import BranchHolds
from localcrm.kernel.errors import Refused
from localcrm.kernel.schema import entity
from localcrm.store import check
from localcrm.sync import node_sync
from localcrm.sync.codec import UPDATE, Batch, Change, Tx
from localcrm.sync.merge import admit
from localcrm.ui.conflict_words import Teller
from tests import factories
from tests.factories import Company, HandClock, Installation


@pytest.fixture
def clocks() -> dict[str, HandClock]:
    return {code: HandClock() for code in ("HQ", "BR01", "BR02")}


@pytest.fixture
def company(clocks: dict[str, HandClock]) -> Iterator[Company]:
    with factories.company(clocks=dict(clocks)) as made:
        yield made


def agree(company: Company) -> None:
    """Let everybody exchange; all hold the same data, nothing is held back, every file is whole."""
    company.exchange()
    assert len(company.digests) == 1
    for node in company.nodes:
        assert node.value("SELECT count(*) FROM sync_quarantine") == 0
        assert check.check(node.store)["problems"] == []


def later(clocks: dict[str, HandClock]) -> None:
    for clock in clocks.values():
        clock.forward(minutes=1)


def phones(company: Company, customer: str) -> set[str]:
    return {node.get("customer", customer)["phone"] for node in company.nodes}


@pytest.fixture
def clash(company: Company, one: Installation, two: Installation, clocks: dict[str, HandClock]) -> tuple[str, str]:
    """A customer whose telephone number BR01 and then BR02 changed apart, known to everybody: the customer, the conflict."""
    customer = company.hq.new("customer", name="绍兴恒远纺织品有限公司", phone="0575-1")
    agree(company)
    one.set("customer", customer, phone="0571-6666")
    later(clocks)
    two.set("customer", customer, phone="0574-8888")
    agree(company)
    (found,) = company.hq.conflicts(kind="overwritten")
    assert (found["kept"], found["lost"]) == ("0574-8888", "0571-6666")
    return customer, found["id"]


# settling apart ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "phone"),
    [
        ("kept", "lost", "0571-6666"),
        ("lost", "kept", "0571-6666"),
        ("lost", "lost", "0571-6666"),
        ("kept", "kept", "0574-8888"),
        ("value=0575-9999", "kept", "0575-9999"),
        ("kept", "value=0575-9999", "0575-9999"),
    ],
)
@pytest.mark.parametrize("places", [("HQ", "BR01"), ("BR01", "HQ"), ("BR01", "BR02"), ("BR02", "BR01")])
def test_settled_at_two_places_apart_a_chosen_value_counts_and_the_conflict_says_so(
    company: Company, clash: tuple[str, str], clocks: dict[str, HandClock], places: tuple[str, str], first: str, second: str, phone: str
):
    customer, conflict = clash
    nodes = {node.code: node for node in company.nodes}
    for place, keep in zip(places, (first, second), strict=True):
        later(clocks)
        nodes[place].run("admin.resolve_conflict", id=conflict, keep=keep)
    agree(company)
    assert phones(company, customer) == {phone}
    for node in company.nodes:
        (settled,) = node.conflicts(state="resolved")
        assert settled["id"] == conflict
        assert node.get("conflict", conflict)["resolution"] == (second if second != "kept" else first)
    # Whoever left it as it was had decided too: two people think differently about one value, and somebody is told.
    opened = [company.hq.get("conflict", row["id"]) for row in company.hq.conflicts(state="open")]
    told = [tuple(one[key] for key in ("kept", "kept_node", "lost", "lost_node")) for one in opened]
    chosen_at, left_at = places if second == "kept" else reversed(places)
    assert told == ([(phone, chosen_at, "0574-8888", left_at)] if "kept" in {first, second} and first != second else [])


def test_decided_differently_apart_it_is_decided_once_more_and_then_for_good(
    company: Company, clash: tuple[str, str], one: Installation, two: Installation
):
    customer, conflict = clash
    one.run("admin.resolve_conflict", id=conflict, keep="lost")
    two.run("admin.resolve_conflict", id=conflict, keep="kept")
    agree(company)
    (again,) = two.conflicts(state="open")
    two.run("admin.resolve_conflict", id=again["id"], keep="lost")
    agree(company)
    agree(company)
    assert phones(company, customer) == {"0574-8888"}
    assert [node.conflicts(state="open") for node in company.nodes] == [[], [], []]


def test_whoever_decides_again_what_he_has_seen_decided_is_nobody_who_thinks_differently(
    company: Company, clash: tuple[str, str], one: Installation
):
    _customer, conflict = clash
    one.run("admin.resolve_conflict", id=conflict, keep="kept")
    agree(company)
    company.hq.run("admin.decide_again", id=conflict, keep="lost")
    agree(company)
    assert company.hq.conflicts(state="open") == []


def test_two_third_values_are_a_new_conflict_of_two_people(company: Company, clash: tuple[str, str], one: Installation, two: Installation):
    customer, conflict = clash
    one.run("admin.resolve_conflict", id=conflict, keep="value=1111")
    two.run("admin.resolve_conflict", id=conflict, keep="value=2222")
    agree(company)
    assert company.hq.conflicts(id=conflict)[0]["state"] == "resolved"
    (again,) = company.hq.conflicts(state="open")
    assert {again["kept"], again["lost"]} == {"1111", "2222"}
    assert phones(company, customer) == {again["kept"]}


@pytest.mark.parametrize("choice", ["value=0574-8888", "value=0574-8887"])
def test_what_was_left_is_what_was_there_then(
    company: Company, clash: tuple[str, str], one: Installation, two: Installation, clocks, choice: str
):
    customer, conflict = clash
    company.hq.set("customer", customer, phone="0574-8887")
    agree(company)
    later(clocks)
    two.run("admin.resolve_conflict", id=conflict, keep="kept")  # it is 0574-8887 by now
    later(clocks)
    one.run("admin.resolve_conflict", id=conflict, keep=choice)
    agree(company)
    opened = [(row["kept"], row["lost"]) for row in company.hq.conflicts(state="open")]
    assert opened == ([] if choice == "value=0574-8887" else [("0574-8888", "0574-8887")])


def test_who_changed_his_mind_thinks_what_he_said_last(
    company: Company, clash: tuple[str, str], one: Installation, two: Installation, clocks
):
    _customer, conflict = clash
    two.run("admin.resolve_conflict", id=conflict, keep="kept")
    later(clocks)
    two.run("admin.decide_again", id=conflict, keep="lost")
    one.run("admin.resolve_conflict", id=conflict, keep="lost")
    agree(company)
    assert company.hq.conflicts(state="open") == []


@pytest.mark.parametrize("heard_first", ["BR01", "BR02"])
def test_who_decides_twice_before_it_is_heard_disagrees_once(
    company: Company, clash: tuple[str, str], one: Installation, two: Installation, clocks, heard_first: str
):
    _customer, conflict = clash
    two.run("admin.resolve_conflict", id=conflict, keep="kept")
    for again in ("resolve_conflict", "decide_again"):
        later(clocks)
        one.run(f"admin.{again}", id=conflict, keep="lost" if again == "resolve_conflict" else "value=0571-7777")
    company.up(heard_first)
    agree(company)
    assert [(row["kept"], row["lost"]) for row in company.hq.conflicts(state="open")] == [("0571-7777", "0574-8888")]


def test_what_somebody_changed_since_is_not_put_back(company: Company, clash: tuple[str, str], one: Installation, clocks):
    customer, conflict = clash
    one.run("admin.resolve_conflict", id=conflict, keep="lost")
    later(clocks)
    one.set("customer", customer, phone="0571-7777")
    later(clocks)
    company.hq.run("admin.resolve_conflict", id=conflict, keep="kept")
    agree(company)
    assert phones(company, customer) == {"0571-7777"}


def test_a_settled_record_that_is_deleted_stays_deleted(company: Company, clash: tuple[str, str], one: Installation):
    customer, conflict = clash
    one.run("admin.resolve_conflict", id=conflict, keep="lost")
    agree(company)
    company.hq.delete("customer", customer)
    agree(company)
    assert {node.is_deleted("customer", customer) for node in company.nodes} == {True}
    assert company.hq.conflicts(state="open") == []


def test_a_restored_record_lives_everywhere(company: Company, one: Installation, two: Installation):
    customer = company.hq.new("customer", name="柯桥金龙布业")
    agree(company)
    one.delete("customer", customer)
    two.set("customer", customer, phone="0575-2")
    agree(company)
    (found,) = company.hq.conflicts(kind="deleted_edited")
    with one.store.read() as connection:
        (told,) = Teller(connection, one.actor, conflicts.find_items(connection, one.actor)[1])
    assert told.edits.endswith("0575-2")  # what would come back with it
    two.run("admin.resolve_conflict", id=found["id"], keep="lost")
    agree(company)
    assert {node.is_deleted("customer", customer) for node in company.nodes} == {False}
    assert {node.get("customer", customer)["phone"] for node in company.nodes} == {"0575-2"}
    assert company.hq.conflicts(state="open") == []


def test_a_customer_whose_order_was_posted_elsewhere_cannot_stay_deleted(company: Company, one: Installation, two: Installation):
    """Its debt could be collected nowhere."""
    hq = company.hq
    hq.new("warehouse", code="W", name="总仓")
    product = hq.new("product", code="P1", name="坯布", unit="米", price="9.00")
    owing, drafted = hq.new("customer", name="甲公司"), hq.new("customer", name="乙公司")
    agree(company)
    one.run("sales.post_order", order_id=one.order(owing, product))
    one.order(drafted, product)
    for customer in (owing, drafted):
        hq.run("records.delete_record", entity="customer", id=customer)
    agree(company)
    agree(company)
    told = {found["record"]: found["id"] for found in hq.conflicts(kind="parent_deleted")}
    for keep in ("kept", "value=true"):
        with pytest.raises(Refused) as refused:
            hq.run("admin.resolve_conflict", id=told[owing], keep=keep)
        assert refused.value.code == "posted_documents_need_it"
    hq.run("admin.resolve_conflict", id=told[drafted], keep="kept")
    two.run("admin.resolve_conflict", id=told[owing], keep="value=false")
    agree(company)
    assert [row[0] for row in one.rows("SELECT name FROM customer WHERE deleted = 0")] == ["甲公司"]


def test_a_draft_that_is_posted_after_its_product_was_kept_deleted_is_told(company: Company, one: Installation):
    hq = company.hq
    hq.new("warehouse", code="W", name="总仓")
    product, customer = hq.new("product", code="P1", name="坯布", unit="米", price="9.00"), hq.new("customer", name="甲公司")
    agree(company)
    order = one.order(customer, product)
    hq.run("records.delete_record", entity="product", id=product)
    agree(company)
    (told,) = hq.conflicts(kind="parent_deleted")
    hq.run("admin.resolve_conflict", id=told["id"], keep="kept")
    one.run("sales.post_order", order_id=order)  # it has not heard
    company.exchange()
    agree(company)
    (again,) = one.conflicts(kind="parent_deleted", state="open")
    assert again["record"] == product


def test_one_that_was_merged_away_may_stay_deleted(company: Company, one: Installation, two: Installation):
    hq = company.hq
    hq.new("warehouse", code="W", name="总仓")
    product = hq.new("product", code="P1", name="坯布", unit="米", price="9.00")
    customer, kept = hq.new("customer", name="甲公司"), hq.new("customer", name="乙公司")
    agree(company)
    one.run("sales.post_order", order_id=one.order(customer, product))
    hq.run("records.delete_record", entity="customer", id=customer)
    company.exchange("BR01")
    two.run("crm.merge_customers", kept=kept, merged=customer)
    company.exchange()
    company.exchange()
    for told in hq.conflicts(kind="parent_deleted", state="open"):
        hq.run("admin.resolve_conflict", id=told["id"], keep="kept")
    agree(company)
    assert hq.value("SELECT count(*) FROM customer WHERE deleted = 0") == 1


def test_whether_others_still_use_it_is_not_for_a_branch_to_say_that_does_not_see_them(
    company: Company, one: Installation, two: Installation
):
    hq = company.hq
    product, customer = hq.new("product", code="P1", name="坯布", unit="米", price="9.00"), one.new("customer", name="甲公司")
    node_sync.set_holds(hq.store, hq.actor, "BR02", BranchHolds.OWN)
    company.exchange()
    company.exchange()
    one.order(customer, product)
    hq.run("records.delete_record", entity="product", id=product)
    company.exchange()
    company.exchange()
    (told,) = two.conflicts(kind="parent_deleted")
    with pytest.raises(Refused) as refused:
        two.run("admin.resolve_conflict", id=told["id"], keep="kept")
    assert refused.value.code == "not_seen_here"
    with two.store.read() as connection:
        (seen,) = Teller(connection, two.actor, conflicts.find_items(connection, two.actor)[1])
    assert "总部" in seen.next_step
    assert seen.keep_label == ""
    two.run("admin.resolve_conflict", id=told["id"], keep="value=false")
    company.exchange()
    company.exchange()
    assert hq.value("SELECT deleted FROM product") == 0


def test_decided_again_it_stays_settled_everywhere(company: Company, clash: tuple[str, str], one: Installation, clocks):
    customer, conflict = clash
    one.run("admin.resolve_conflict", id=conflict, keep="lost")
    agree(company)
    later(clocks)
    company.hq.run("admin.decide_again", id=conflict, keep="kept", present="0571-6666")
    agree(company)
    assert phones(company, customer) == {"0574-8888"}
    assert {node.value("SELECT resolution FROM conflict") for node in company.nodes} == {"kept"}
    assert company.hq.conflicts(state="open") == []


def test_reopened_elsewhere_it_waits_everywhere_with_the_value_before(company: Company, clash: tuple[str, str], one: Installation, clocks):
    customer, conflict = clash
    one.run("admin.resolve_conflict", id=conflict, keep="lost")
    agree(company)
    later(clocks)
    company.hq.run("admin.reopen_conflict", id=conflict, put_back="0574-8888", present="0571-6666")
    agree(company)
    assert phones(company, customer) == {"0574-8888"}
    for node in company.nodes:
        found = node.get("conflict", conflict)
        assert (found["state"], found["resolution"], found["resolved_by"], found["resolved_at"]) == ("open", None, None, None)
        assert found["resolved_nodes"] == "BR01\nHQ"  # both have written into it


def test_settled_and_reopened_before_anybody_heard_of_it_nothing_happened(company: Company, clash: tuple[str, str], one: Installation):
    customer, conflict = clash
    one.run("admin.resolve_conflict", id=conflict, keep="lost")
    one.run("admin.reopen_conflict", id=conflict, put_back="0574-8888", present="0571-6666")
    agree(company)
    assert phones(company, customer) == {"0574-8888"}
    assert {found["id"] for node in company.nodes for found in node.conflicts(state="open")} == {conflict}
    company.hq.run("admin.resolve_conflict", id=conflict, keep="kept")
    agree(company)
    assert {node.value("SELECT state FROM conflict") for node in company.nodes} == {"resolved"}


@pytest.mark.parametrize("keep", ["kept", "lost", "value=0575-9999"])
@pytest.mark.parametrize("places", [("BR01", "BR02"), ("HQ", "BR01"), ("BR02", "HQ")])
@pytest.mark.parametrize("settled_later", [False, True])
def test_settled_apart_and_reopened_at_one_of_the_places_the_later_word_counts(
    company: Company, clash: tuple[str, str], clocks: dict[str, HandClock], places: tuple[str, str], keep: str, settled_later: bool
):
    _customer, conflict = clash
    nodes = {node.code: node for node in company.nodes}
    reopening, settling = (nodes[place] for place in places)
    reopening.run("admin.resolve_conflict", id=conflict, keep="lost")
    for node in (reopening, settling) if settled_later else (settling, reopening):
        later(clocks)
        if node is reopening:
            node.run("admin.reopen_conflict", id=conflict, put_back="0574-8888", present="0571-6666")
        else:
            node.run("admin.resolve_conflict", id=conflict, keep=keep)
    agree(company)
    state = "resolved" if settled_later else "open"
    assert {node.get("conflict", conflict)["state"] for node in company.nodes} == {state}
    assert {node.get("conflict", conflict)["resolution"] for node in company.nodes} == {keep if settled_later else None}
    assert {node.get("conflict", conflict)["resolved_nodes"] for node in company.nodes} == {"\n".join(sorted(places))}


@pytest.mark.parametrize("first", ["reopen", "decide"])
def test_reopened_while_another_place_decided_again_it_waits(
    company: Company, clash: tuple[str, str], one: Installation, two: Installation, clocks: dict[str, HandClock], first: str
):
    """Somebody doubts it: whoever looks sees the value that is in use, whichever of the two spoke later."""
    customer, conflict = clash
    company.hq.run("admin.resolve_conflict", id=conflict, keep="lost")
    agree(company)
    for deed in ("reopen", "decide") if first == "reopen" else ("decide", "reopen"):
        later(clocks)
        if deed == "reopen":
            one.run("admin.reopen_conflict", id=conflict)
        else:
            two.run("admin.decide_again", id=conflict, keep="value=0575-9999", present="0571-6666")
    agree(company)
    assert phones(company, customer) == {"0575-9999"}
    assert {node.get("conflict", conflict)["state"] for node in company.nodes} == {"open"}


def test_many_are_reopened_and_what_was_changed_since_stays_settled(company: Company, clash: tuple[str, str], one: Installation):
    customer, conflict = clash
    hq = company.hq
    hq.run("admin.resolve_conflict", id=conflict, keep="lost")
    back = {"choices": [{"id": conflict, "put_back": "0574-8888", "present": "0571-6666"}]}
    hq.set("customer", customer, phone="0571-7777")
    assert [left["code"] for left in hq.run("admin.reopen_conflicts", **back)["left"]] == ["changed_meanwhile"]
    hq.set("customer", customer, phone="0571-6666")
    assert hq.run("admin.reopen_conflicts", **back) == {"reopened": [conflict], "left": []}
    agree(company)
    assert phones(company, customer) == {"0574-8888"}


def test_a_rule_settles_every_conflict_of_a_field(company: Company, one: Installation, two: Installation, clocks):
    customers = [company.hq.new("customer", name=f"客户{n}", phone="1") for n in range(3)]
    agree(company)
    for customer in customers:
        one.set("customer", customer, phone="11")
    later(clocks)
    for customer in customers[:2]:
        company.hq.set("customer", customer, phone="22")
    two.set("customer", customers[2], phone="33")
    agree(company)
    with company.hq.store.read() as connection:
        _total, items = conflicts.find_items(connection, company.hq.actor)
        steps = {rule: conflicts.plan(connection, items, rule) for rule in Rule}
    shown = {rule: {(step.item.now, step.becomes, step.changes) for step in found} for rule, found in steps.items()}
    assert shown[Rule.KEEP] == {("22", "22", False), ("33", "33", False)}
    assert shown[Rule.LATER] == shown[Rule.KEEP]
    assert shown[Rule.BRANCH] == {("22", "11", True), ("33", "33", False)}  # two branches disagree: it says nothing
    assert [step.keep for step in steps[Rule.BRANCH]].count(None) == 1
    assert [step.keep for step in steps[Rule.OFFICE]].count(None) == 1
    done = company.hq.run("admin.settle_conflicts", choices=[step.choice for step in steps[Rule.BRANCH] if step.keep])
    assert (len(done["settled"]), done["left"]) == (2, [])
    agree(company)
    assert [{node.get("customer", one)["phone"] for node in company.nodes} for one in customers] == [{"11"}, {"11"}, {"33"}]
    assert len(company.hq.conflicts(state="open")) == 1


# how a branch stands -------------------------------------------------------------------------------------------------------


def test_an_old_file_says_nothing_of_a_clock_and_one_from_the_future_does(company: Company, clocks: dict[str, HandClock]):
    path = company.folder / "BR01.up"
    branch = company.branches["BR01"]
    node_sync.pack(branch.store, branch.keys, path)
    clocks["HQ"].forward(days=3)  # three days on a stick
    node_sync.unpack(company.hq.store, company.hq.keys, path)
    clocks["BR02"].forward(days=368)
    company.up("BR02")
    one, two = node_sync.status(company.hq.store)["branches"]
    assert (one["by_file"], one["clock_ms"]) == (True, None)
    assert (two["by_file"], two["clock_ms"]) == (True, 365 * 86_400_000)


def test_an_invited_branch_is_awaited_until_it_asks(company: Company):
    node_sync.invite(company.hq.store, company.hq.keys, company.hq.actor, code="BR07")
    assert [one["code"] for one in node_sync.status(company.hq.store)["invites"]] == ["BR07"]


def test_what_waits_for_a_branch_is_told_by_kind(company: Company, one: Installation):
    company.exchange()
    for name in ("甲", "乙"):
        company.hq.new("customer", name=name)
    company.hq.new("product", code="P", name="布")
    one.new("customer", name="丙")
    assert node_sync.waiting_kinds(company.hq.store, "BR01") == {"customer": 2, "product": 1}


def test_what_was_not_taken_over_is_told_with_who_and_what(company: Company, one: Installation):
    made = company.hq.run("admin.add_field", entity="customer", label="信用等级", type="text")
    agree(company)
    label, epoch, user = (
        entity("custom_field").fields["label"].no,
        int.from_bytes(one.store.node.epoch),
        bytes.fromhex(one.actor.user_id or ""),
    )
    changes = [Change(14, UPDATE, bytes.fromhex(made["id"]), [(label, "信用等级", "等级")], None)]
    admit(company.hq.store, Batch([(2, epoch)], [Tx(0, 1, 1, 1 << 40, 1 << 40, user, 0)], changes), sender_no=2, sender_code="BR01")
    with company.hq.store.read() as connection:
        (told,) = Teller(connection, company.hq.actor, conflicts.find_items(connection, company.hq.actor)[1])
    assert told.item.conflict["lost_by"] == one.actor.user_id
    assert all(text in told.happened for text in ("BR01 管理员", "等级"))
    assert told.next_step


# values that may not repeat ---------------------------------------------------------------------------------------------------


@pytest.fixture
def card(company: Company) -> str:
    """A field of the company that no two customers have alike."""
    made = company.hq.run("admin.add_field", entity="customer", label="会员卡号", type="text", unique=True)
    agree(company)
    return str(made["key"])


def alike(node: Installation) -> list[tuple[str, ...]]:
    return node.rows("SELECT entity, record, other, field, kept, lost, kept_node, lost_node, state FROM conflict WHERE kind = 'duplicate'")


def test_the_same_value_given_twice_apart_is_told_once_everywhere(company: Company, one: Installation, two: Installation, card: str):
    first = one.new("customer", name="甲公司", **{card: "C-1"})
    second = two.new("customer", name="乙公司", **{card: "C-1"})
    agree(company)

    told = [("customer", second, first, card, "C-1", "C-1", "BR01", "BR02", "open")]
    for node in company.nodes:
        assert {node.get("customer", record)[card] for record in (first, second)} == {"C-1"}  # both stay
        assert alike(node) == told

    one.set("customer", first, phone="0575-1")  # nothing new about it
    two.set("customer", second, phone="0575-2")
    agree(company)
    assert [alike(node) for node in company.nodes] == [told] * 3


def test_a_value_given_twice_and_edited_away_can_be_settled(company: Company, one: Installation, two: Installation, card: str):
    one.new("customer", name="甲公司", **{card: "C-1"})
    second = two.new("customer", name="乙公司", **{card: "C-1"})
    agree(company)
    two.set("customer", second, **{card: "C-2"})
    agree(company)
    (conflict,) = company.hq.conflicts(kind="duplicate")
    company.hq.run("admin.resolve_conflict", id=conflict["id"], keep="kept")
    agree(company)
    assert {row[-1] for node in company.nodes for row in alike(node)} == {"resolved"}


def test_either_of_two_records_gets_another_value(company: Company, one: Installation, two: Installation, card: str):
    first = one.new("customer", name="甲公司", **{card: "C-1"})
    second = two.new("customer", name="乙公司", **{card: "C-1"})
    agree(company)
    (conflict,) = company.hq.conflicts(kind="duplicate")
    with pytest.raises(Refused) as refused:
        company.hq.run("admin.resolve_conflict", id=conflict["id"], keep="lost")
    assert refused.value.code == "nothing_to_take"
    company.hq.run("admin.resolve_conflict", id=conflict["id"], keep="value=C-9", record=first)
    agree(company)
    assert {(node.get("customer", first)[card], node.get("customer", second)[card]) for node in company.nodes} == {("C-9", "C-1")}


def test_a_value_in_the_recycle_bin_troubles_nobody_until_it_comes_back(company: Company, one: Installation, two: Installation, card: str):
    first = one.new("customer", name="甲公司", **{card: "C-1"})
    one.delete("customer", first)
    two.new("customer", name="乙公司", **{card: "C-1"})
    agree(company)
    assert alike(company.hq) == []
    one.undelete("customer", first)
    agree(company)
    assert len(alike(company.hq)) == 1


def test_three_alike_are_told_in_pairs(company: Company, one: Installation, two: Installation, card: str):
    for node, name in ((company.hq, "丙"), (one, "甲"), (two, "乙")):
        node.new("customer", name=name, **{card: "C-1"})
    agree(company)
    assert len(alike(company.hq)) == 3
    assert [alike(node) for node in company.branches.values()] == [alike(company.hq)] * 2
