"""A branch that holds only its own customers and what hangs on them: what it is sent, what it is given beside, what leaves it."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from localcrm.kernel.errors import AppError
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import entity
from localcrm.store import check
from localcrm.store.node import branch_id
from localcrm.sync import compaction
from localcrm.sync.codec import INSERT, UPDATE, Change
from localcrm.sync.grants import holders
from tests.factories import Company, Installation
from tests.sync.scoping import AT_ONCE, agree, forged, narrow


def holds(node: Installation, kind: str, identity: str) -> bool:
    return bool(node.value(f'SELECT count(*) FROM "{kind}" WHERE id = ?', bytes.fromhex(identity)))


def reasons(node: Installation) -> list[str]:
    with node.store.read() as connection:
        return [row[0] for row in connection.all("SELECT because FROM customer_branch WHERE deleted = 0 ORDER BY because")]


def code_id(company: Company, code: str) -> str:
    return branch_id(company.hq.store.node.company_id, code)


@pytest.fixture
def narrowed(company: Company) -> Company:
    narrow(company, "BR01")
    company.exchange()
    return company


def test_a_branch_is_sent_its_own_customers_and_those_of_nobody_with_what_hangs_on_them(narrowed, hq, one, two):
    mine, theirs = one.new("customer", name="甲公司"), two.new("customer", name="乙公司")
    nobodys = hq.new("customer", name="丙公司", branch_id=None)
    contacts = [node.new("contact", customer_id=customer, name="王五") for node, customer in ((one, mine), (two, theirs), (hq, nobodys))]
    deal = two.new("opportunity", title="大单", customer_id=theirs)
    agree(narrowed)
    assert [holds(one, "customer", customer) for customer in (mine, theirs, nobodys)] == [True, False, True]
    assert [holds(one, "contact", contact) for contact in contacts] == [True, False, True]
    assert not holds(one, "opportunity", deal)
    assert [holds(two, "customer", customer) for customer in (mine, theirs, nobodys)] == [True, True, True]
    assert reasons(hq) == []


def test_failure_26_when_it_is_narrowed_it_gives_up_what_it_never_worked_on_and_keeps_what_it_did(company, hq, one, two):
    untouched, worked, called = (two.new("customer", name=name) for name in ("甲公司", "乙公司", "丙公司"))
    contact = two.new("contact", customer_id=untouched, name="赵六")
    company.exchange()
    one.set("customer", worked, remark="已拜访")
    one.new("contact", customer_id=called, name="钱七")
    company.exchange()
    narrow(company, "BR01")
    heard: list[Changes] = []
    one.store.listen(heard.append)
    assert company.down("BR01")["left"] == 1  # a person is told how many customers went, and open lists look again
    assert any(untouched in (changes.ids.get("customer") or ()) for changes in heard)
    agree(company)
    assert [holds(one, "customer", customer) for customer in (untouched, worked, called)] == [False, True, True]
    assert not holds(one, "contact", contact)
    assert reasons(hq) == ["worked", "worked"]
    two.set("customer", worked, phone="0575-84120000")
    agree(company)
    assert one.get("customer", worked)["phone"] == "0575-84120000"
    narrow(company, "BR01", "own")
    agree(company)
    assert holds(one, "customer", untouched)
    assert holds(one, "contact", contact)


def test_what_it_wrote_while_a_customer_was_leaving_is_kept_and_brings_the_customer_back(company, hq, one, two):
    customer = two.new("customer", name="乙公司")
    company.exchange()
    narrow(company, "BR01")
    contact = one.new("contact", customer_id=customer, name="钱七")  # it does not know yet
    agree(company)
    assert holds(one, "customer", customer)
    assert holds(two, "contact", contact)
    assert reasons(hq) == ["worked"]


def test_failure_27_a_customer_handed_to_another_branch_arrives_there_whole(narrowed, hq, one, two):
    customer = two.new("customer", name="乙公司")
    contact = two.new("contact", customer_id=customer, name="钱七")
    two.set("customer", customer, remark="第一次")
    agree(narrowed)
    for node in narrowed.nodes:
        compaction.compact(node.store, AT_ONCE, pause_s=0)
    two.set("customer", customer, branch_id=code_id(narrowed, "BR01"))
    agree(narrowed)
    assert one.get("customer", customer)["remark"] == "第一次"
    assert holds(one, "contact", contact)
    one.set("customer", customer, remark="第二次")
    agree(narrowed)
    assert two.get("customer", customer)["remark"] == "第二次"


def test_what_the_branch_is_to_look_after_brings_its_customer(narrowed, hq, one, two):
    customer = two.new("customer", name="乙公司")
    agree(narrowed)
    deal = two.new("opportunity", title="年度维保", customer_id=customer, service_branch_id=code_id(narrowed, "BR01"))
    agree(narrowed)
    assert holds(one, "opportunity", deal)
    assert one.get("customer", customer)["name"] == "乙公司"
    assert reasons(hq) == ["named"]


def test_what_is_shared_with_the_branch_or_its_people_arrives(narrowed, hq, one, two):
    customers = [two.new("customer", name=name) for name in ("甲公司", "乙公司", "丙公司")]
    mei = hq.new("user", login="mei", name="李梅")
    hq.set("user", mei, branch_id=code_id(narrowed, "BR01"))
    agree(narrowed)
    two.run("people.share_record", entity="customer", id=customers[0], branch_id=code_id(narrowed, "BR01"))
    two.run("people.share_record", entity="customer", id=customers[1], user_id=mei)
    agree(narrowed)
    assert [holds(one, "customer", customer) for customer in customers] == [True, True, False]
    assert reasons(hq) == ["shared", "shared"]


def test_who_moves_to_the_branch_brings_his_customers(narrowed, hq, one, two):
    mei = hq.new("user", login="mei", name="李梅")
    hq.set("user", mei, branch_id=code_id(narrowed, "BR02"))
    customer = hq.new("customer", name="乙公司", owner_id=mei, branch_id=code_id(narrowed, "BR02"))
    agree(narrowed)
    assert not holds(one, "customer", customer)
    hq.set("user", mei, branch_id=code_id(narrowed, "BR01"))
    agree(narrowed)
    assert holds(one, "customer", customer)


def test_customers_of_a_pool_are_everybodys_until_another_branch_has_picked_them(narrowed, hq, one, two):
    pool = hq.new("pool", name="公海")
    customer = hq.new("customer", name="乙公司")
    hq.run("crm.release", customers=[customer], reason="无人跟进", pool_id=pool)
    agree(narrowed)
    assert holds(one, "customer", customer)
    mei = hq.new("user", login="mei", name="李梅")
    hq.set("user", mei, branch_id=code_id(narrowed, "BR02"))
    hq.run("crm.assign", customers=[customer], to=mei)
    agree(narrowed)
    assert not holds(one, "customer", customer)
    assert holds(two, "customer", customer)


def test_the_customer_into_which_one_of_the_branch_was_merged_arrives(narrowed, hq, one, two):
    mine, theirs = one.new("customer", name="甲公司"), two.new("customer", name="甲公司")
    contact = two.new("contact", customer_id=theirs, name="钱七")
    agree(narrowed)
    hq.run("crm.merge_customers", kept=theirs, merged=mine)
    agree(narrowed)
    assert one.get("customer", theirs)["name"] == "甲公司"
    assert holds(one, "contact", contact)


def test_a_customer_that_was_given_and_then_merged_away_leaves_again(narrowed, hq, one, two):
    """What was given follows the customer that is kept; the one in the recycle bin is not held by anybody else."""
    merged, kept = two.new("customer", name="甲公司"), two.new("customer", name="甲公司")
    two.run("people.share_record", entity="customer", id=merged, branch_id=code_id(narrowed, "BR01"))
    agree(narrowed)
    assert [holds(one, "customer", customer) for customer in (merged, kept)] == [True, False]
    hq.run("crm.merge_customers", kept=kept, merged=merged)
    agree(narrowed)
    assert [holds(one, "customer", customer) for customer in (merged, kept)] == [False, True]


def test_taking_a_merge_apart_is_not_held_up_by_what_was_given(narrowed, hq, one, two):
    merged, kept = two.new("customer", name="甲公司"), two.new("customer", name="甲公司")
    two.run("people.share_record", entity="customer", id=merged, branch_id=code_id(narrowed, "BR01"))
    agree(narrowed)
    hq.run("crm.merge_customers", kept=kept, merged=merged)
    change = hq.value("SELECT max(lseq) FROM sync_log WHERE pk = ?", bytes.fromhex(merged))
    hq.run("admin.undo_action", change=change)
    agree(narrowed)
    assert [holds(one, "customer", customer) for customer in (merged, kept)] == [True, False]


def test_who_joins_a_department_gets_what_is_shared_with_it(narrowed, hq, one, two):
    above = hq.new("department", name="华东大区")
    below = hq.new("department", name="浙江组", parent_id=above)
    mei = hq.new("user", login="mei", name="李梅", branch_id=code_id(narrowed, "BR01"))
    customer = two.new("customer", name="乙公司")
    agree(narrowed)
    two.run("people.share_record", entity="customer", id=customer, department_id=above)
    agree(narrowed)
    assert not holds(one, "customer", customer)
    hq.set("user", mei, department_id=below)
    agree(narrowed)
    assert holds(one, "customer", customer)


def test_erasing_somebody_reaches_every_branch_that_holds_something_of_him(narrowed, hq, one, two):
    """A call is the branch's own that had it; so nobody holds a number without what says whose it is."""
    customer = two.new("customer", name="乙公司")
    contact = two.new("contact", customer_id=customer, name="钱七")
    with two.store.unit_of_work(two.actor.user_id) as uow:
        at = {"rang_at": "2026-11-20T12:00:00.000Z", "number": "13911112222", "branch_id": code_id(narrowed, "BR02")}
        call = uow.insert(entity("call"), entity("call").validate(at))
        party = {"call_id": call, "customer_id": customer, "contact_id": contact, "number": "13911112222"}
        uow.insert(entity("call_party"), entity("call_party").validate(party))
    agree(narrowed)
    assert not holds(one, "call", call)
    hq.run("admin.erase_person", entity="contact", id=contact, name="钱七")
    agree(narrowed)
    for node in narrowed.nodes:
        assert node.value("SELECT count(*) FROM call WHERE number IS NOT NULL") == 0
        assert node.value("SELECT count(*) FROM sync_log WHERE diff LIKE '%13911112222%'") == 0


def test_a_call_of_the_branch_brings_the_customer_it_was_with(narrowed, hq, one, two):
    customer = two.new("customer", name="乙公司")
    agree(narrowed)
    with hq.store.unit_of_work(hq.actor.user_id) as uow:
        at = {"rang_at": "2026-11-20T12:00:00.000Z", "number": "13911112222", "branch_id": code_id(narrowed, "BR01")}
        call = uow.insert(entity("call"), entity("call").validate(at))
        uow.insert(entity("call_party"), entity("call_party").validate({"call_id": call, "customer_id": customer, "number": "13911112222"}))
    agree(narrowed)
    assert holds(one, "call", call)
    assert holds(one, "customer", customer)


def test_records_that_stay_everybodys_may_name_a_customer_that_is_not_here(narrowed, hq, one, two):
    """``check`` knows that the branch may lack it."""
    customer, other = two.new("customer", name="乙公司"), one.new("customer", name="甲公司")
    contact = two.new("contact", customer_id=customer, name="钱七")
    one_of_ours = one.new("activity", customer_id=other, content="来访")
    two.new("supplier", name="乙公司", customer_id=customer)
    two.new("partner", name="乙公司", customer_id=customer)
    agree(narrowed)
    hq.set("activity", one_of_ours, contact_id=None)
    agree(narrowed)
    assert not holds(one, "contact", contact)
    assert check.check(one.store)["problems"] == []


def test_a_branch_gets_no_customer_by_writing_about_one_that_it_never_held(narrowed, hq, one, two):
    customer, mine = two.new("customer", name="乙公司"), one.new("customer", name="甲公司")
    contact = two.new("contact", customer_id=customer, name="钱七")
    agree(narrowed)
    kind, below, here = entity("customer"), entity("contact"), bytes.fromhex(code_id(narrowed, "BR01"))
    pk, home = bytes.fromhex(customer), bytes.fromhex(code_id(narrowed, "BR02"))
    taking = Change(kind.no, UPDATE, pk, [(kind.fields["branch_id"].no, home, here)], None)
    beside = Change(below.no, INSERT, bytes(15) + b"1", [(below.fields["customer_id"].no, pk), (below.fields["name"].no, "探")], None)
    moving = Change(below.no, UPDATE, bytes.fromhex(contact), [(below.fields["customer_id"].no, pk, bytes.fromhex(mine))], None)
    leading = Change(kind.no, UPDATE, bytes.fromhex(mine), [(kind.fields["remark"].no, None, "可以")], None)
    assert forged(narrowed, taking, beside, moving, leading) == ["not_owner"] * 3
    assert hq.get("customer", mine)["remark"] == "可以"
    assert not holders(hq.store, kind, customer)[0].holds
    assert reasons(hq) == []


def test_only_its_own_orders_come_along(narrowed, hq, one, two):
    product = hq.new("product", code="P1", name="坯布", unit="米", price="9.00")
    customer = one.new("customer", name="甲公司")
    agree(narrowed)
    mine, theirs = one.order(customer, product), two.order(customer, product)
    agree(narrowed)
    assert [holds(one, "sales_order", order) for order in (mine, theirs)] == [True, False]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_moves_a_branch_holds_exactly_its_scope(company, hq, one, two, seed):
    """Random work, hand-overs, pools, shares, merged customers and switches; after every exchange each branch holds what it should."""
    chance = random.Random(seed)
    codes = [code_id(company, code) for code in ("HQ", "BR01", "BR02")]
    product = hq.new("product", code="P1", name="坯布", unit="米", price="9.00")
    everybody = [company.hq, *company.branches.values()]
    company.exchange()

    def some(node: Installation, kind: str = "customer") -> str | None:
        with node.store.read() as connection:
            found = connection.all(f"SELECT id FROM {kind} WHERE deleted = 0 ORDER BY id")
        return chance.choice(found)[0].hex() if found else None

    def step(node: Installation) -> Any:
        customer = some(node)
        what = chance.random()
        if customer is None or what < 0.2:
            return node.new("customer", name=f"客户{chance.randrange(10**6)}")
        if what < 0.35:
            return node.set("customer", customer, remark=str(chance.random()))
        if what < 0.45:
            return node.new("contact", customer_id=customer, name="王五")
        if what < 0.5 and (contact := some(node, "contact")):
            return node.set("contact", contact, customer_id=customer)
        if what < 0.6:
            return node.order(customer, product)
        if what < 0.7:
            return node.set("customer", customer, branch_id=chance.choice([*codes, None]))
        if what < 0.75:
            return node.run("people.share_record", entity="customer", id=customer, branch_id=chance.choice(codes))
        if what < 0.78 and (share := some(node, "share")):
            return node.run("people.unshare", share_id=share)
        if what < 0.82:
            return node.new("opportunity", title="单", customer_id=customer, service_branch_id=chance.choice([*codes, None]))
        if what < 0.85 and node is hq and (other := some(node)) not in {customer, None}:
            return node.run("crm.merge_customers", kept=customer, merged=other)
        if what < 0.9 and node is hq:
            return narrow(company, chance.choice(("BR01", "BR02")), chance.choice(("all", "own", "own_customers", "own_customers")))
        if what < 0.98 and (conflict := some(node, "conflict")):
            with suppress(AppError):  # settled already, or about a record that went
                return node.run("admin.resolve_conflict", id=conflict, keep=chance.choice(("kept", "lost")))
        return None

    for _round in range(8):
        for _step in range(chance.randint(2, 7)):
            step(chance.choice(everybody))
        if chance.random() < 0.4:
            compaction.compact(chance.choice(company.nodes).store, AT_ONCE, pause_s=0)
        if chance.random() < 0.4:
            company.exchange(chance.choice(("BR01", "BR02")))
        else:
            company.exchange()  # head office lets what the second branch brought follow a merged customer: the first hears of it next time
            agree(company)
    company.exchange()
    agree(company)


def test_what_was_shared_leaves_when_the_share_ends_unless_it_is_owed_otherwise(narrowed, hq, one, two):
    given, served, worked, lent = (two.new("customer", name=name) for name in ("甲公司", "乙公司", "丙公司", "丁公司"))
    here = code_id(narrowed, "BR01")
    shares = [two.run("people.share_record", entity="customer", id=customer, branch_id=here)["id"] for customer in (given, served, worked)]
    two.run("people.share_record", entity="customer", id=lent, branch_id=here, until="2026-11-22")
    agree(narrowed)
    assert all(holds(one, "customer", customer) for customer in (given, served, worked, lent))
    two.new("opportunity", title="年度维保", customer_id=served, service_branch_id=here)
    one.new("contact", customer_id=worked, name="钱七")
    agree(narrowed)
    for share in shares:
        two.run("people.unshare", share_id=share)
    agree(narrowed)
    assert [holds(one, "customer", customer) for customer in (given, served, worked, lent)] == [False, True, True, True]
    for clock in (node.clock for node in narrowed.nodes):
        clock.forward(days=5)
    agree(narrowed)
    assert not holds(one, "customer", lent)
    assert reasons(hq) == ["named", "worked"]


def test_head_office_tells_which_branches_hold_a_customer_and_why(narrowed, hq, one, two):
    mine, theirs, shared = one.new("customer", name="甲公司"), two.new("customer", name="乙公司"), two.new("customer", name="丙公司")
    contact = two.new("contact", customer_id=shared, name="钱七")
    two.run("people.share_record", entity="customer", id=shared, branch_id=code_id(narrowed, "BR01"))
    agree(narrowed)
    told = [holders(hq.store, entity("customer"), each) for each in (mine, theirs, shared)]
    assert [(one_of.code, one_of.holds, one_of.because) for (one_of,) in told] == [
        ("BR01", True, None),
        ("BR01", False, None),
        ("BR01", True, "shared"),
    ]
    assert holders(hq.store, entity("contact"), contact)[0].because == "shared"
    assert holders(one.store, entity("customer"), mine) == []
