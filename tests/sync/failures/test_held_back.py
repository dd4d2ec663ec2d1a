"""What an older program could not understand is applied once it is newer: as if it had arrived then, and as it was meant at its time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest

from localcrm.domain import arrivals
from localcrm.kernel import schema
from localcrm.kernel.schema import EntityType, F, Text, entity
from localcrm.store import check
from localcrm.sync import compaction, drain, node_sync
from localcrm.sync.codec import INSERT, UPDATE, Batch, Change, Tx
from localcrm.sync.merge import admit
from tests.factories import Company, HandClock, Installation
from tests.store.test_migrate import contact_with
from tests.sync.test_kill_statements import counted

CUSTOMER = entity("customer")
NICKNAME: dict[str, Any] = {"nickname": (Annotated[Text | None, F(20, "Nickname")], None)}


@contextmanager
def newer(*nodes: Installation) -> Iterator[EntityType]:
    """A program that knows one field more; these nodes are started with it."""
    with contact_with(**NICKNAME) as kind:
        for node in nodes:
            node.restart()
        yield kind


@contextmanager
def older(node: Installation, kind: str) -> Iterator[None]:
    """A program that does not know a kind of records, nor what follows when one arrives; the node is started with it, and afterwards with
    today's.
    """
    with schema.scratch_registry(), pytest.MonkeyPatch.context() as patch:
        del schema._numbered[schema._registry.pop(kind).no]
        patch.delitem(arrivals.FOLLOWERS, kind, raising=False)
        node.restart()
        yield
    node.restart()


def write(node: Installation, kind: EntityType, identity: str, **values: Any) -> None:
    with node.store.unit_of_work(node.actor.user_id) as uow:
        uow.update(kind, identity, values)


def nickname(node: Installation, contact: str) -> Any:
    return node.value("SELECT nickname FROM contact WHERE id = ?", bytes.fromhex(contact))


def held(node: Installation) -> list[str]:
    return [reason for (reason,) in node.rows("SELECT reason FROM sync_quarantine ORDER BY origin, oseq")]


def are_well(*nodes: Installation) -> None:
    """Every file is whole, nothing waits, and another start does nothing."""
    for node in nodes:
        assert check.check(node.store)["problems"] == []
        assert held(node) == []
        before = node.rows("SELECT lseq, tx, tbl, op, pk, diff, prev FROM sync_log")
        node.restart()
        assert not drain.is_wanted(node.store)
        assert drain.carry_out(node.store).applied == 0
        assert node.rows("SELECT lseq, tx, tbl, op, pk, diff, prev FROM sync_log") == before


@pytest.fixture
def contact(company: Company, hq: Installation) -> str:
    made = hq.new("contact", customer_id=hq.new("customer", name="甲"), name="王", phone="1")
    company.exchange()
    return made


@pytest.mark.parametrize("condensed", [False, True])
def test_failure_23_an_older_head_office_updated_later_applies_it_and_tells_other_branches(
    company: Company, hq: Installation, one: Installation, two: Installation, contact: str, condensed: bool
) -> None:
    with newer(one) as kind:
        with one.store.unit_of_work(one.actor.user_id) as uow:
            uow.update(kind, contact, {"phone": "2"})
            uow.update(kind, contact, {"nickname": "小王"})
            uow.update(kind, contact, {"nickname": "老王"})
            uow.update(kind, contact, {"phone": "3"})
            made = uow.insert(kind, {"customer_id": uow.get(kind, contact)["customer_id"], "name": "李", "nickname": "小李"})
            uow.update(kind, made, {"phone": "4"})
            uow.update(kind, contact, {"nickname": "老老王"})
        node_sync.pack(one.store, one.keys, company.folder / "up")
    done = node_sync.unpack(hq.store, hq.keys, company.folder / "up")
    assert (done["applied"], done["quarantined"]) == (2, 5)
    assert held(hq) == ["unknown_column"] * 3 + ["follows_held", "unknown_column"]
    assert {row["lost"] for row in hq.conflicts(kind="quarantined", state="open")} == {"unknown_column", "follows_held"}
    assert company.down("BR02")["quarantined"] == 0
    if condensed:  # what is kept aside has left the log meanwhile
        compaction.compact(hq.store, compaction.Rule(keep_ms=-compaction.DAY_MS, patience_ms=0, most=3), pause_s=0)

    with newer(*company.nodes):
        stamps = one.rows("SELECT DISTINCT hlc, eff_hlc, actor FROM sync_tx ORDER BY tx DESC LIMIT 1")
        assert drain.carry_out(hq.store).applied == 5
        assert hq.conflicts(kind="quarantined", state="open") == []
        assert len(hq.conflicts(kind="quarantined", state="resolved")) == 5
        assert hq.rows("SELECT detail FROM event_log WHERE kind = 'held_applied'") == [("applied=5",)]
        assert (
            hq.rows(
                """SELECT DISTINCT hlc, eff_hlc, actor FROM sync_tx
                   WHERE origin = (SELECT max(origin) FROM sync_tx JOIN sync_origin USING (origin) WHERE node_no <> 0)"""
            )
            == stamps
        )
        company.exchange()
        for node in company.nodes:
            assert (nickname(node, contact), nickname(node, made)) == ("老老王", "小李")
            assert (node.get("contact", contact)["phone"], node.get("contact", made)["phone"]) == ("3", "4")
        assert len(company.digests) == 1
        assert one.value("SELECT sum(have_oseq - acked_oseq) FROM sync_origin WHERE node_no = ?", one.store.node.node_no) == 0
        assert hq.conflicts(kind="overwritten") == []
        are_well(*company.nodes)


def test_failure_23_an_older_branch_updated_later_applies_it_and_sends_nothing(
    company: Company, hq: Installation, one: Installation, two: Installation, contact: str
) -> None:
    with newer(hq) as kind:
        write(hq, kind, contact, nickname="小王")
        node_sync.pack(hq.store, hq.keys, company.folder / "down", for_code="BR01")
    assert node_sync.unpack(one.store, one.keys, company.folder / "down")["quarantined"] == 1
    one.set("contact", contact, phone="2")
    with newer(*company.nodes):
        assert drain.is_wanted(one.store)
        assert node_sync.status(one.store)["waiting"] == 1
        assert drain.carry_out(one.store).applied == 1
        assert node_sync.status(one.store)["waiting"] == 1
        assert nickname(one, contact) == "小王"
        company.exchange()
        assert {(nickname(node, contact), node.get("contact", contact)["phone"]) for node in company.nodes} == {("小王", "2")}
        assert len(company.digests) == 1
        are_well(*company.nodes)


def test_failure_20_an_older_head_office_goes_on_with_newer_branches(
    company: Company, hq: Installation, one: Installation, two: Installation
) -> None:
    """Orders are unknown there: they, their lines and what was posted wait together; movements and customers arrive."""
    customer, product = one.new("customer", name="甲"), one.new("product", code="P", name="布", price="9")
    one.new("warehouse", code="W", name="仓")
    order = one.order(customer, product, product)
    one.run("sales.post_order", order_id=order)
    node_sync.pack(one.store, one.keys, company.folder / "up")
    with older(hq, "sales_order"):
        node_sync.unpack(hq.store, hq.keys, company.folder / "up")
    assert set(held(hq)) == {"unknown_table", "follows_held"}
    assert hq.value("SELECT count(*) FROM customer WHERE name = '甲'") == 1
    company.exchange()
    assert {node.get("sales_order", order)["status"] for node in company.nodes} == {"posted"}
    assert {node.value("SELECT count(*) FROM sales_order_line") for node in company.nodes} == {2}
    assert len(company.digests) == 1
    are_well(*company.nodes)


def test_fields_that_were_defined_meanwhile_let_their_values_in(company: Company, hq: Installation, one: Installation) -> None:
    key = hq.run("admin.add_field", entity="customer", label="主营", type="text")["key"]
    made = hq.new("customer", name="甲", **{key: "机械"})
    node_sync.pack(hq.store, hq.keys, company.folder / "down", for_code="BR01")
    with older(one, "custom_field"):
        node_sync.unpack(one.store, one.keys, company.folder / "down")
    assert held(one) == ["unknown_table", "unknown_column"]
    company.exchange()
    assert one.get("customer", made)[key] == "机械"
    assert len(company.digests) == 1
    are_well(*company.nodes)


# what happened meanwhile ------------------------------------------------------------------------------------------------


@contextmanager
def told_by_a_branch(company: Company, contact: str, *, also: Callable[[], None] = lambda: None) -> Iterator[EntityType]:
    """Head office and all branches are new by now; it has not applied yet what a branch said of a nickname."""
    hq, one = company.nodes[:2]
    with newer(one) as kind:
        write(one, kind, contact, nickname="小王")
        node_sync.pack(one.store, one.keys, company.folder / "up")
    node_sync.unpack(hq.store, hq.keys, company.folder / "up")
    also()
    with newer(*company.nodes) as kind:
        yield kind


def test_a_later_change_of_the_same_field_wins_and_people_hear_of_it(
    company: Company, hq: Installation, clocks: dict[str, HandClock], contact: str
) -> None:
    with told_by_a_branch(company, contact) as kind:
        clocks["HQ"].forward(minutes=1)
        write(hq, kind, contact, nickname="王总")
        company.exchange()
        assert {nickname(node, contact) for node in company.nodes} == {"王总"}
        (found,) = hq.conflicts(kind="overwritten", field="nickname")
        assert (found["kept"], found["lost"]) == ("王总", "小王")
        are_well(*company.nodes)


def test_of_two_changes_kept_aside_the_later_one_wins_in_whatever_order_they_came(
    company: Company, hq: Installation, one: Installation, two: Installation, clocks: dict[str, HandClock], contact: str
) -> None:
    clocks["BR01"].forward(minutes=1)
    with newer(one, two) as kind:
        for node, text in ((one, "小王"), (two, "王总")):
            write(node, kind, contact, nickname=text)
            node_sync.pack(node.store, node.keys, company.folder / f"{node.code}.said")
    for node in (one, two):
        node_sync.unpack(hq.store, hq.keys, company.folder / f"{node.code}.said")
    with newer(*company.nodes):
        company.exchange()
        assert {nickname(node, contact) for node in company.nodes} == {"小王"}
        (found,) = hq.conflicts(kind="overwritten", field="nickname")
        assert (found["kept"], found["lost"]) == ("小王", "王总")
        are_well(*company.nodes)


def test_what_was_deleted_meanwhile_stays_deleted(company: Company, hq: Installation, contact: str) -> None:
    with told_by_a_branch(company, contact, also=lambda: hq.delete("contact", contact)):
        company.exchange()
        assert all(node.is_deleted("contact", contact) for node in company.nodes)
        assert {nickname(node, contact) for node in company.nodes} == {"小王"}
        assert len(hq.conflicts(kind="deleted_edited", state="open")) == 1
        are_well(*company.nodes)


def test_who_is_killed_in_the_midst_goes_on_the_next_time(company: Company, hq: Installation, one: Installation, contact: str) -> None:
    with newer(one) as kind:
        for n in range(6):
            write(one, kind, contact, nickname=f"王{n}")
        node_sync.pack(one.store, one.keys, company.folder / "up")
    node_sync.unpack(hq.store, hq.keys, company.folder / "up")
    with newer(hq) as kind, pytest.MonkeyPatch.context() as patched:
        patched.setattr(drain, "PORTION", 2)
        hq.store.close()

        def applied(folder: str, end_before: int | None) -> tuple[int, list[Any]]:
            copy = company.folder / folder
            shutil.copytree(hq.folder, copy)
            child = os.fork() if end_before else 0
            node = Installation(copy, hq.code, hq.keys, hq.actor, hq.clock) if child == 0 else None
            if node and end_before:
                with counted(end_before):
                    drain.carry_out(node.store)
                os._exit(0)
            if child:
                os.waitpid(child, 0)
                node = Installation(copy, hq.code, hq.keys, hq.actor, hq.clock)
            assert node
            with counted(None) as counts:
                drain.carry_out(node.store)
            assert check.check(node.store)["problems"] == []
            state = node.rows("SELECT lseq, op, diff, prev FROM sync_log WHERE tbl = 11"), nickname(node, contact), held(node)
            events = sum(int(detail.split("=")[1]) for (detail,) in node.rows("SELECT detail FROM event_log WHERE kind = 'held_applied'"))
            left = len(node.conflicts(kind="quarantined", state="open"))
            node.store.close()
            return counts.passed, [*state, events, left]

        statements, whole = applied("whole", None)
        assert whole[1:] == ["王5", [], 6, 0]
        for place in range(1, statements, max(1, statements // 12)):
            assert applied(f"killed{place}", place)[1] == whole
        hq.store = Installation(hq.folder, hq.code, hq.keys, hq.actor, hq.clock).store


# what stays --------------------------------------------------------------------------------------------------------------


def say(hq: Installation, *changes: Change, code: str = "BR01", txs: list[int] | None = None) -> None:
    """Head office hears these of a branch, in one transaction or in several of so many changes."""
    number, epoch, have = hq.rows("SELECT node_no, epoch, have_oseq FROM sync_origin WHERE code = ?", code)[0]
    made, stamp = [], (hq.clock.now_ms() + 1) << 16
    for count in txs or [len(changes)]:
        made.append(Tx(0, have + 1, count, stamp, stamp, None, 0))
        have, stamp = have + count, stamp + 1
    admit(hq.store, Batch([(number, int.from_bytes(epoch))], made, list(changes)), sender_no=number, sender_code=code)


def test_what_was_kept_aside_for_another_reason_stays(company: Company, hq: Installation, two: Installation) -> None:
    order = two.order(two.new("customer", name="甲"), two.new("product", code="P", name="布", price="9"))
    company.exchange()
    branch, name = entity("branch"), CUSTOMER.fields["name"].no
    say(
        hq,
        Change(entity("sales_order").no, UPDATE, bytes.fromhex(order), [(entity("sales_order").fields["remark"].no, None, "x")], None),
        Change(CUSTOMER.no, UPDATE, b"o" * 16, [(name, "a", "b")], None),
        Change(branch.no, INSERT, b"b" * 16, [(1, "X"), (2, "X"), (3, 9)], None),
        Change(CUSTOMER.no, INSERT, b"1" * 16, [(name, None)], None),
        Change(60_000, INSERT, b"2" * 16, [(1, "x")], None),
    )
    reasons = ["not_owner", "unknown_row", "head_office_only", "missing_value", "unknown_table"]
    assert held(hq) == reasons
    hq.new("customer", name="乙")
    with newer(hq):
        assert drain.carry_out(hq.store).applied == 0
        assert held(hq) == reasons
        assert not drain.is_wanted(hq.store)


def test_what_does_not_fit_even_then_stays_with_its_reason(company: Company, hq: Installation, one: Installation) -> None:
    contact = entity("contact")
    customer = one.new("customer", name="甲")
    company.exchange()
    first = [(contact.fields["customer_id"].no, bytes.fromhex(customer)), (contact.fields["name"].no, "王")]
    say(
        hq,
        Change(contact.no, INSERT, b"1" * 16, [*first, (20, 7)], None),
        Change(contact.no, UPDATE, b"1" * 16, [(contact.fields["phone"].no, None, "1")], (0, 1)),
        Change(contact.no, INSERT, b"2" * 16, [*first, (20, "小王")], None),
        Change(contact.no, UPDATE, b"2" * 16, [(21, None, "x")], None),
    )
    assert held(hq) == ["unknown_column", "follows_held", "unknown_column", "unknown_column"]
    with newer(hq):
        assert drain.carry_out(hq.store).applied == 1
        assert held(hq) == ["bad_value", "unknown_row", "unknown_column"]
        assert sorted(row["lost"] for row in hq.conflicts(kind="quarantined", state="open")) == [
            "bad_value",
            "unknown_column",
            "unknown_row",
        ]
        assert check.check(hq.store)["problems"] == []


def test_a_chain_that_has_no_end_is_cut(company: Company, hq: Installation, contact: str) -> None:
    """A branch says that its earlier change builds on its later one."""
    kind = entity("contact")
    phone, have = kind.fields["phone"].no, hq.value("SELECT have_oseq FROM sync_origin WHERE code = 'BR01'")
    pk = bytes.fromhex(contact)
    say(
        hq,
        Change(kind.no, UPDATE, pk, [(20, None, "a")], (0, have + 2)),
        Change(kind.no, UPDATE, pk, [(phone, "1", "2")], (0, have + 1)),
        txs=[1, 1],
    )
    with newer(*company.nodes):
        assert drain.carry_out(hq.store).applied == 1
        hq.set("contact", contact, phone="5")
        say(hq, Change(kind.no, UPDATE, pk, [(phone, "2", "3")], (0, have + 2)))
        assert company.down("BR02")["quarantined"] == 0
        assert company.branches["BR02"].get("contact", contact)["phone"] == hq.get("contact", contact)["phone"]


def test_a_great_transaction_is_taken_apart_in_one_go(company: Company, hq: Installation) -> None:
    contact = entity("contact")
    customer = bytes.fromhex(hq.new("customer", name="甲"))
    first = [(contact.fields["customer_id"].no, customer), (contact.fields["name"].no, "王")]
    changes = [Change(contact.no, INSERT, n.to_bytes(16), [*first, *([(20, "小王")] if n % 3 else [])], None) for n in range(1, 3001)]
    say(hq, *changes)
    with newer(hq):
        assert drain.carry_out(hq.store).applied == 2000
        assert hq.value("SELECT count(*) FROM contact WHERE nickname = '小王'") == 2000
        are_well(hq)
