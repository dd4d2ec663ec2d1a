"""Records that leave a branch, and changes that move within the log: whatever is half in the past, half kept aside, or was cut before."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.domain.admin.entities import BranchHolds
from localcrm.kernel.schema import entity
from localcrm.store import check, digests, past
from localcrm.store.changelog import all_changes
from localcrm.store.forget import forget_changes
from localcrm.sync import compaction, drain, extract, faults, node_sync
from tests.factories import Company, Installation
from tests.sync.failures.test_held_back import newer

CUSTOMER, ORDER = entity("customer"), entity("sales_order")
ALL_AT_ONCE = compaction.Rule(keep_ms=-compaction.DAY_MS, patience_ms=-compaction.DAY_MS)


def log_problems(node: Installation) -> list[str]:
    return [one["code"] for one in check.check(node.store)["problems"] if one["code"].startswith(("log", "sequence"))]


@pytest.mark.parametrize("places", [(9, 2), (2, 9), (9, 8, 2, 1), (5, 6, 0, 11)])
def test_a_transaction_half_in_the_past_is_cut_again_and_again(
    company: Company, one: Installation, two: Installation, places: tuple[int, ...]
) -> None:
    with two.store.unit_of_work(two.actor.user_id) as uow:
        made = [uow.insert(CUSTOMER, CUSTOMER.validate({"name": f"客户{n}"})) for n in range(12)]
    company.exchange()
    one.new("contact", name="后来", customer_id=made[0])
    first = one.value("SELECT lseq FROM sync_log WHERE pk = ?", bytes.fromhex(made[0]))
    with one.store.housekeeping() as connection:
        while past.horizon(connection) < first + 5:
            past.compact(connection, first + 5, most=3)
    for place in places:
        with one.store.merging() as connection:
            connection.execute("DELETE FROM customer WHERE id = ?", (bytes.fromhex(made[place]),))
            forget_changes(connection, CUSTOMER, [bytes.fromhex(made[place])])
        assert log_problems(one) == []
    with one.store.read() as connection:
        told = {change.pk.hex() for change in all_changes(connection) if change.pk and change.table == CUSTOMER.no}
    assert set(made) - told == {made[place] for place in places}


def test_a_branch_is_known_after_an_old_change_of_it_has_moved_to_the_end_of_the_log(
    company: Company, hq: Installation, one: Installation
) -> None:
    contact = hq.new("contact", customer_id=hq.new("customer", name="甲"), name="王")
    company.exchange()
    with newer(one) as kind:
        with one.store.unit_of_work(one.actor.user_id) as uow:
            uow.update(kind, contact, {"nickname": "小王"})
        for name in "乙丙丁":
            one.new("customer", name=name)
        node_sync.pack(one.store, one.keys, company.folder / "up")
    node_sync.unpack(hq.store, hq.keys, company.folder / "up")
    hq.new("customer", name="戊")
    company.down("BR02")
    assert compaction.compact(hq.store, ALL_AT_ONCE, pause_s=0).changes
    with newer(*company.nodes):
        assert drain.carry_out(hq.store).applied == 1
        company.exchange()
        assert len(company.digests) == 1
        assert log_problems(hq) == []


def test_nobody_is_named_to_others(company: Company, hq: Installation, one: Installation, two: Installation) -> None:
    """The place a change stood at is nobody's once the change has moved; what builds on it lies in the past."""
    contact = hq.new("contact", customer_id=hq.new("customer", name="甲"), name="王", phone="1")
    company.exchange()
    with newer(one) as kind:
        for values in ({"nickname": "小王"}, {"phone": "9"}):
            with one.store.unit_of_work(one.actor.user_id) as uow:
                uow.update(kind, contact, values)
        node_sync.pack(one.store, one.keys, company.folder / "up")
    node_sync.unpack(hq.store, hq.keys, company.folder / "up")
    hq.new("customer", name="乙")
    assert compaction.compact(hq.store, ALL_AT_ONCE, pause_s=0).changes
    with newer(*company.nodes):
        drain.carry_out(hq.store)
        with hq.store.read() as connection:
            batch = extract.everything_of(connection, entity("contact"), [bytes.fromhex(contact)])
        assert 0 not in {node_no for node_no, _epoch in batch.origins}
        company.exchange()
        assert two.value("SELECT count(*) FROM sync_origin WHERE node_no = 0") == 0
        assert len(company.digests) == 1


def test_what_was_kept_aside_of_a_record_that_left_comes_with_it_again(
    company: Company, hq: Installation, one: Installation, two: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, product = hq.new("customer", name="甲"), hq.new("product", code="P", name="布", price="9")
    company.exchange()
    order = two.order(customer, product)
    company.exchange()
    two.set("sales_order", order, remark="急")
    company.up("BR02")
    judge = faults.Faults.of

    def older(self: faults.Faults, work: Any, *rest: Any) -> str | None:
        return "unknown_column" if work.entity is ORDER else judge(self, work, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(faults.Faults, "of", older)
        assert company.down("BR01")["quarantined"] == 1
    for what in (BranchHolds.OWN, BranchHolds.ALL):
        node_sync.set_holds(hq.store, hq.actor, "BR01", what)
        company.exchange("BR01")
    assert one.value("SELECT remark FROM sales_order") == "急"
    assert one.value("SELECT count(*) FROM event_log WHERE kind LIKE '%mended'") == 0


def test_a_look_that_took_long_does_not_take_back_what_was_put_right_meanwhile(hq: Installation) -> None:
    customers = [bytes.fromhex(hq.new("customer", name=f"客户{n}", phone="1")) for n in range(40)]

    def put_right(pk: bytes, phone: str) -> None:
        with hq.store.merging() as connection:
            digests.mark(connection, CUSTOMER, pk)
            connection.execute("UPDATE customer SET phone = ? WHERE id = ?", (phone, pk))

    digests.current(hq.store)
    put_right(customers[0], "2")
    with hq.store.read() as connection:
        night = digests.state(connection)
    digests.current(hq.store)
    put_right(customers[5], "3")
    digests.keep(hq.store, night)
    digests.current(hq.store, look=None)
    assert hq.rows("SELECT detail FROM event_log WHERE kind = 'data_altered'") == []
