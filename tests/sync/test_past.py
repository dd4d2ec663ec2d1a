"""The past says what the log said, bit for bit, to everybody who reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from localcrm.domain.records import read_history
from localcrm.kernel.errors import StoreError
from localcrm.kernel.schema import entity
from localcrm.store import past
from localcrm.store.changelog import all_changes, changes_of, first_values, once_lines_of
from localcrm.store.check import check
from localcrm.store.numbers import known_formats
from localcrm.sync import compaction, extract
from localcrm.sync.scope import Scope
from tests import factories
from tests.factories import Company, Installation

#: Everything that all have received, however young.
AT_ONCE = compaction.Rule(-(10**13), 10**13)


def everything(node: Installation) -> dict[str, Any]:
    """What can be read of the log, in every way in which it is read."""
    customer = entity("customer")
    with node.store.read() as connection:
        changes = list(all_changes(connection))
        ids = [row[0] for row in connection.all("SELECT id FROM customer ORDER BY id")]
        orders = [row[0] for row in connection.all("SELECT id FROM sales_order ORDER BY id")]
        head = changes[-1].lseq
        origins = [row[0] for row in connection.all("SELECT origin FROM sync_origin ORDER BY origin")]
        return {
            "log": changes,
            "records": {pk: list(changes_of(connection, customer, [pk])) for pk in ids},
            "history": {pk: read_history(connection, node.actor, entity="customer", id=pk.hex()) for pk in ids},
            "first": first_values(connection, customer, ids),
            "down": extract.changes_for(connection, Scope(99, b"", False), b"", 0, upto=head),
            "middle": extract.changes_for(connection, Scope(99, b"", False), b"", head // 2, upto=head),
            "up": [extract.own_changes(connection, origin, after) for origin in origins for after in (0, 3)],
            "once": [once_lines_of(connection, entity("sales_order_line"), order.hex()) for order in orders],
            "back": extract.changes_beyond(connection, dict.fromkeys(origins, (1, 10**6)), 0),
        }


def _live(company: Company) -> None:
    """Records added, changed by turns and apart, deleted, orders with lines thrown away."""
    hq, one, _two = company.nodes
    customers = [hq.new("customer", name=f"{word}公司", phone="1") for word in "甲乙丙"]
    product = hq.new("product", code="P", name="布", price="9")
    company.exchange()
    for n in range(3):
        one.set("customer", customers[0], phone=f"2{n}")
        hq.set("customer", customers[0], address=f"路{n}")
        one.new("contact", customer_id=customers[1], name=f"王{n}")
        company.exchange("BR01")
    one.set("customer", customers[1], phone="5")
    hq.set("customer", customers[1], phone="6")
    hq.delete("customer", customers[2])
    order = one.order(customers[0], product, product)
    one.run("sales.save_order", order_id=order, header={"remark": "x"}, lines=[])
    company.exchange()


@pytest.fixture
def lived() -> Iterator[Company]:
    """A company with a log to cut."""
    made = factories.copy_company(factories.fast_folder(), name="lived", prepare=_live)
    yield made
    made.close()


@pytest.fixture
def hq(lived: Company) -> Installation:
    return lived.hq


@pytest.fixture
def one(lived: Company) -> Installation:
    return lived.branches["BR01"]


@pytest.mark.parametrize("most", [2, 300])
@pytest.mark.parametrize("code", ["HQ", "BR01"])
def test_whoever_reads_the_log_reads_the_same_before_and_after(lived: Company, code: str, most: int) -> None:
    node = next(node for node in lived.nodes if node.code == code)
    before, rows = everything(node), node.value("SELECT count(*) FROM sync_log")
    rule = compaction.Rule(AT_ONCE.keep_ms, AT_ONCE.patience_ms, most)
    while compaction.compact_some(node.store, rule):
        assert everything(node) == before
    assert node.value("SELECT count(*) FROM sync_log") < rows / 4
    assert check(node.store)["problems"] == []
    for other in lived.nodes:  # and whatever is done next joins on
        if other is not node:
            compaction.compact(other.store, AT_ONCE, pause_s=0)
    customer = node.rows("SELECT id FROM customer ORDER BY id")[0][0].hex()
    node.set("customer", customer, phone="9")
    lived.exchange()
    assert len(lived.digests) == 1
    with node.store.read() as connection:
        chain = list(changes_of(connection, entity("customer"), [bytes.fromhex(customer)]))
    assert chain[-1].prev == chain[-2].lseq <= past_of(node) < chain[-1].lseq
    assert lived.hq.conflicts(field="phone", kept="9") == []  # it was seen to build on what had left the log
    assert check(node.store)["problems"] == []


def past_of(node: Installation) -> int:
    with node.store.read() as connection:
        return past.horizon(connection)


def test_the_newest_transaction_stays_because_the_next_numbers_follow_from_it(lived: Company, hq: Installation) -> None:
    head, tx = hq.rows("SELECT max(lseq), max(tx) FROM sync_log")[0]
    hq.clock.forward(days=400)
    compaction.compact(hq.store, AT_ONCE, pause_s=0)
    assert compaction.compact_some(hq.store, AT_ONCE) == 0
    hq.restart()
    hq.new("customer", name="丁公司")
    assert hq.rows("SELECT min(lseq), min(tx) FROM sync_log WHERE lseq > ?", head) == [(head + 1, tx + 1)]


def test_a_run_may_end_before_everything_has_left(lived: Company, hq: Installation) -> None:
    rule = compaction.Rule(AT_ONCE.keep_ms, AT_ONCE.patience_ms, 2)
    some = compaction.compact(hq.store, rule, pause_s=0.6, most_s=0.5)
    assert some == compaction.Moved(2, 2)
    rest = compaction.compact(hq.store, rule, pause_s=0)
    assert (past_of(hq), rest.changes) == (rest.horizon, rest.horizon - 2)


def test_a_removed_line_is_not_added_again_under_its_id(lived: Company, one: Installation) -> None:
    line = one.value("SELECT pk FROM sync_log WHERE tbl = ? AND op = 5", entity("sales_order_line").no)
    order = one.value("SELECT id FROM sales_order LIMIT 1")
    compaction.compact(one.store, AT_ONCE, pause_s=0)
    assert one.value("SELECT count(*) FROM sync_log WHERE pk = ?", line) == 0
    with pytest.raises(StoreError) as refused, one.store.unit_of_work(None) as uow:
        uow.insert(entity("sales_order_line"), {"order_id": order.hex()}, identity=line.hex())
    assert refused.value.code == "id_reused"


def test_formats_of_long_ago_are_still_known(lived: Company, hq: Installation) -> None:
    for form in ("K-{branch}-{0000}", "L-{branch}-{0000}", "M-{branch}-{0000}"):
        hq.run("admin.set_number_format", series="customer", format=form, reset="never")
    hq.new("customer", name="甲公司")
    lived.exchange()
    with hq.store.read() as connection:
        before = known_formats(connection, entity("customer"))
    compaction.compact(hq.store, AT_ONCE, pause_s=0)
    with hq.store.read() as connection:
        assert known_formats(connection, entity("customer")) == before
        assert len(before) == 4


def test_who_is_erased_is_erased_from_the_past_and_from_the_pages_it_came_from(lived: Company, hq: Installation) -> None:
    customer = hq.new("customer", name="绍兴恒远")
    contact = hq.new("contact", customer_id=customer, name="欧阳晓静", phone="13905751234")
    hq.set("contact", contact, phone="13905759999")
    hq.set("contact", contact, remark="欧阳晓静喜欢喝茶")
    hq.new("customer", name="丁公司")
    lived.exchange()
    for node in lived.nodes:
        compaction.compact(node.store, AT_ONCE, pause_s=0)
        assert node.value("SELECT count(*) FROM sync_log WHERE pk = ?", bytes.fromhex(contact)) == 0
    hq.run("admin.erase_person", entity="contact", id=contact, name="欧阳晓静")
    lived.exchange()
    for node in lived.nodes:
        with node.store.read() as connection:
            said = [change.diff or "" for change in changes_of(connection, entity("contact"), [bytes.fromhex(contact)])]
        assert not [word for text in said for word in ("1390575", "欧阳", "喝茶") if word in text]
        assert check(node.store)["problems"] == []
        node.store.close()
        content = b"".join(path.read_bytes() for path in node.folder.glob("localcrm.db*"))
        assert not [word for word in ("13905751234", "13905759999", "喜欢喝茶") if word.encode() in content]
        node.restart()


def test_a_log_with_a_hole_is_not_packed(lived: Company, hq: Installation) -> None:
    with hq.store.housekeeping() as connection:
        connection.execute("DELETE FROM sync_log WHERE lseq = 5")
    with pytest.raises(StoreError) as refused:
        compaction.compact(hq.store, AT_ONCE)
    assert refused.value.code == "damaged_log"
    assert past_of(hq) == 0
    assert hq.value("SELECT min(lseq) FROM sync_log") == 1


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        ("UPDATE sync_past SET data = substr(data, 1, 40) WHERE upto = 14", {"past_hole"}),
        ("DELETE FROM sync_past WHERE upto = 14", {"past_hole"}),
        ("DELETE FROM sync_past_span WHERE first_lseq = (SELECT max(first_lseq) FROM sync_past_span)", {"sequence_hole"}),
        ("DELETE FROM sync_past_row WHERE tbl = 10", {"row_not_logged"}),
    ],
)
def test_the_data_doctor_looks_into_the_past(lived: Company, hq: Installation, harm: str, found: set[str]) -> None:
    compaction.compact(hq.store, compaction.Rule(AT_ONCE.keep_ms, AT_ONCE.patience_ms, 7), pause_s=0)
    assert check(hq.store)["problems"] == []
    with hq.store.housekeeping() as connection:
        connection.execute(harm)
    assert {problem["code"] for problem in check(hq.store)["problems"]} == found
