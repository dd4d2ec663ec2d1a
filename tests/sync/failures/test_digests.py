"""Digests are computed from the data, at both sides: a hole or a changed value shows, whoever made it, and is mended with a word to everybody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import entity
from localcrm.store import check
from localcrm.store.digests import table_digest
from localcrm.sync import exchange, http, node_sync
from tests.factories import Company, Installation

CUSTOMER = entity("customer")


def past_the_log(node: Installation, statement: str, *params: object) -> None:
    """What a defect of ours or a person with a tool would do: no change is logged."""
    with node.store.merging() as connection:
        connection.execute(statement, params)


@pytest.fixture
def wire(company: Company, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The network: every answer that passed through it."""
    passed: list[Path] = []

    def post(_url: str, request: Path, answer: Path) -> None:
        node_sync.answer_bundle(company.hq.store, company.hq.keys, request, answer)
        passed.append(answer)

    monkeypatch.setattr(http, "post_bundle", post)
    return passed


def run(branch: Installation) -> dict[str, Any]:
    """One exchange over the network."""
    return node_sync.run(branch.store, branch.keys, url="http://hq")


def told(node: Installation, kind: str = "data_mended") -> list[str]:
    return [row[0] for row in node.rows("SELECT detail FROM event_log WHERE kind = ? ORDER BY id", kind)]


def inbox(node: Installation) -> list[tuple[Any, ...]]:
    """What was mended, or could not be: record, field, what stands, what stood there, and where each."""
    return node.rows("SELECT record, field, kept, lost, kept_node, lost_node FROM conflict WHERE kind = 'digest' ORDER BY rid")


def whole(node: Installation) -> bool:
    """Whether the data doctor finds nothing."""
    with node.store.read() as connection:
        return check.find_problems(connection) == []


def test_failure_09_a_row_lost_at_a_branch_is_reported_and_comes_back_by_file(company: Company, one: Installation, customer: str) -> None:
    company.hq.new("customer", name="乙公司")
    assert company.down("BR01")["digest"] == "equal"
    past_the_log(one, "DELETE FROM customer WHERE id = ?", bytes.fromhex(customer))
    assert company.down("BR01")["digest"] == "differs"
    assert node_sync.status(one.store)["digest"] == "differs"
    assert told(one, "digest_differs") == ["customer"]
    company.up("BR01")
    assert company.down("BR01")["digest"] == "equal"
    assert one.get("customer", customer)["name"] == "甲公司"
    assert told(one) == [f"customer {customer}"]
    company.exchange()
    for node in company.nodes:
        assert inbox(node) == [(customer, None, None, None, "HQ", "BR01")]
        assert whole(node)
    assert len(company.digests) == 1


def test_failure_09_a_change_lost_with_its_log_comes_back_with_its_stamps(
    company: Company, one: Installation, customer: str, wire: list[Path]
) -> None:
    company.hq.set("customer", customer, phone="2")
    company.exchange()
    before = one.rows("SELECT lseq, tbl, op, pk, diff, prev FROM sync_log ORDER BY lseq")
    past_the_log(one, "DELETE FROM sync_log WHERE pk = ?", bytes.fromhex(customer))
    past_the_log(one, "DELETE FROM customer WHERE id = ?", bytes.fromhex(customer))
    assert run(one)["digest"] == "equal"
    assert one.rows("SELECT lseq, tbl, op, pk, diff, prev FROM sync_log ORDER BY lseq")[: len(before)] == before
    one.set("customer", customer, phone="3")
    company.exchange()
    assert company.hq.conflicts(kind="overwritten") == []
    assert {node.get("customer", customer)["phone"] for node in company.nodes} == {"3"}


def test_failure_09_a_row_lost_at_head_office_comes_back_from_the_branch_that_made_it(
    company: Company, one: Installation, two: Installation, wire: list[Path]
) -> None:
    made = one.new("customer", name="乙公司", phone="5")
    company.exchange()
    past_the_log(company.hq, "DELETE FROM sync_digest_table")  # nothing proves any more what the row was
    past_the_log(company.hq, "DELETE FROM customer WHERE id = ?", bytes.fromhex(made))
    assert run(two)["digest"] == "differs"
    assert run(one)["digest"] == "equal"
    assert company.hq.get("customer", made)["phone"] == "5"
    assert (made, None, None, None, "BR01", "HQ") in inbox(company.hq)
    company.exchange()
    assert len(company.digests) == 1
    assert whole(company.hq)


def test_failure_09_what_head_office_lost_with_its_log_is_sent_again_by_the_branch(
    company: Company, one: Installation, wire: list[Path]
) -> None:
    made = one.new("customer", name="乙公司", phone="5")
    one.new("customer", name="丙公司")
    company.exchange()
    past_the_log(company.hq, "DELETE FROM sync_log WHERE pk = ?", bytes.fromhex(made))
    past_the_log(company.hq, "DELETE FROM customer WHERE id = ?", bytes.fromhex(made))
    past_the_log(company.hq, "DELETE FROM sync_digest_table")
    assert run(one)["digest"] == "equal"
    assert company.hq.get("customer", made)["phone"] == "5"
    assert whole(company.hq)
    company.exchange()
    assert len(company.digests) == 1


def test_failure_09_what_was_altered_at_head_office_is_put_right_by_what_branches_have(
    company: Company, one: Installation, customer: str, wire: list[Path]
) -> None:
    """No log tells what the row began with; that the branch's copy is what head office had is proven by the digest it kept."""
    assert run(one)["digest"] == "equal"
    past_the_log(company.hq, "UPDATE customer SET name = '假公司' WHERE id = ?", bytes.fromhex(customer))
    assert run(one)["digest"] == "equal"
    assert company.hq.get("customer", customer)["name"] == "甲公司"
    assert told(company.hq, "data_altered") == ["customer"]
    assert inbox(company.hq) == [(customer, "name", "甲公司", "假公司", "BR01", "HQ")]
    company.exchange()
    assert len(company.digests) == 1


def test_failure_09_what_was_altered_at_head_office_unseen_is_put_right_by_its_own_log(
    company: Company, one: Installation, customer: str, wire: list[Path]
) -> None:
    one.set("customer", customer, phone="2")
    company.exchange()
    past_the_log(company.hq, "UPDATE customer SET phone = '9' WHERE id = ?", bytes.fromhex(customer))
    past_the_log(company.hq, "DELETE FROM sync_digest_table")
    assert run(one)["digest"] == "equal"
    assert {company.hq.get("customer", customer)["phone"], one.get("customer", customer)["phone"]} == {"2"}
    assert inbox(company.hq) == [(customer, "phone", "2", "9", "HQ", "HQ")]


def test_failure_09_a_row_put_in_by_hand_is_taken_out_where_it_is_proven_to_be_new(
    company: Company, one: Installation, customer: str, wire: list[Path]
) -> None:
    for node in (one, company.hq):
        assert run(one)["digest"] == "equal"
        stray = bytes.fromhex(new_id())
        past_the_log(node, "INSERT INTO customer(id, name) VALUES (?, '假公司')", stray)
        assert run(one)["digest"] == "equal"
        assert node.value("SELECT count(*) FROM customer WHERE id = ?", stray) == 0


def test_failure_09_work_not_sent_yet_is_not_overwritten(company: Company, one: Installation, customer: str) -> None:
    past_the_log(one, "UPDATE customer SET address = '假' WHERE id = ?", bytes.fromhex(customer))
    assert company.down("BR01")["digest"] == "differs"
    company.up("BR01")
    one.set("customer", customer, phone="2")
    company.down("BR01")
    assert [one.get("customer", customer)[key] for key in ("phone", "address")] == ["2", "假"]
    company.exchange()
    assert [one.get("customer", customer)[key] for key in ("phone", "address")] == ["2", "上海"]
    assert len(company.digests) == 1


def test_failure_09_what_cannot_be_mended_is_an_alarm_with_its_row_told_once(
    company: Company, one: Installation, two: Installation, wire: list[Path]
) -> None:
    made = two.new("customer", name="丙公司")
    company.exchange()
    past_the_log(company.hq, "DELETE FROM sync_digest_table")
    past_the_log(company.hq, "DELETE FROM customer WHERE id = ?", bytes.fromhex(made))
    for _time in range(2):
        assert run(one)["digest"] == "differs"
        assert inbox(company.hq) == [(made, None, None, None, None, "BR01")]
        assert told(company.hq, "not_mended") == [f"BR01 customer {made}"]
    assert inbox(one) == inbox(company.hq)
    assert run(two)["digest"] == "equal"  # that branch made it
    assert run(one)["digest"] == "equal"


def test_failure_44_a_value_altered_at_a_branch_is_put_right_in_one_run_with_both_values_told(
    company: Company, one: Installation, customer: str, wire: list[Path]
) -> None:
    assert run(one)["digest"] == "equal"
    past_the_log(one, "UPDATE customer SET phone = '2' WHERE id = ?", bytes.fromhex(customer))
    assert one.value("SELECT count(*) FROM customer") == company.hq.value("SELECT count(*) FROM customer")
    done = run(one)
    assert (done["digest"], done["mended"]) == ("equal", 1)
    assert one.get("customer", customer)["phone"] == "1"
    assert inbox(one) == inbox(company.hq) == [(customer, "phone", "1", "2", "HQ", "BR01")]
    assert told(one) == [f"customer {customer} phone"]
    assert told(company.hq) == [f"BR01 customer {customer} phone"]
    wire.clear()
    assert run(one)["digest"] == "equal"
    assert len(wire) == 1  # nothing is left to say


def test_failure_44_a_text_whose_bytes_are_damaged_is_put_right(
    company: Company, one: Installation, customer: str, wire: list[Path]
) -> None:
    past_the_log(one, "UPDATE customer SET address = CAST(x'E4B8' AS TEXT) WHERE id = ?", bytes.fromhex(customer))
    assert run(one)["digest"] == "equal"
    assert one.get("customer", customer)["address"] == "上海"
    assert [row[1:4] for row in inbox(company.hq)] == [("address", "上海", "\ufffd")]


def test_failure_44_booked_and_posted_rows_are_put_right_and_told_apart(
    company: Company, one: Installation, customer: str, goods: tuple[str, str], wire: list[Path]
) -> None:
    product, warehouse = goods
    order = one.order(customer, product, quantity="2")
    one.run("sales.post_order", order_id=order)
    move = one.new("stock_move", product_id=product, warehouse_id=warehouse, quantity="3", type="receipt")
    company.exchange()
    on_hand = one.rows("SELECT * FROM stock_on_hand")
    past_the_log(one, "UPDATE stock_move SET quantity = quantity * 10 WHERE id = ?", bytes.fromhex(move))
    past_the_log(one, "UPDATE sales_order SET remark = '假' WHERE id = ?", bytes.fromhex(order))
    past_the_log(one, "DELETE FROM sales_order_line WHERE order_id = ?", bytes.fromhex(order))
    assert run(one)["digest"] == "equal"
    assert one.rows("SELECT * FROM stock_on_hand") == on_hand
    assert sorted(detail.split()[0] for detail in told(one, "books_mended")) == ["sales_order", "sales_order_line", "stock_move"]
    assert len(told(company.hq, "books_mended")) == 3
    assert whole(one)


def test_failure_44_a_line_whose_removal_was_lost_goes_away_again(
    company: Company, one: Installation, two: Installation, customer: str, goods: tuple[str, str], wire: list[Path]
) -> None:
    order = one.order(customer, goods[0], goods[0])
    company.exchange()
    lines = two.rows("SELECT * FROM sales_order_line ORDER BY id")
    one.run("sales.save_order", order_id=order, header={"customer_id": customer}, lines=[{"id": lines[0][1].hex()}])
    company.exchange()
    past_the_log(two, f"INSERT INTO sales_order_line VALUES ({', '.join('?' * len(lines[1]))})", *lines[1])
    past_the_log(two, "DELETE FROM sync_log WHERE pk = ? AND op = 5", lines[1][1])
    assert run(two)["digest"] == "equal"
    assert two.value("SELECT count(*) FROM sales_order_line") == 1
    assert whole(two)


def test_failure_10_no_two_of_three_thousand_states_of_a_table_have_one_digest(hq: Installation) -> None:
    """Each state differs from the one before in one value of one row, or in which of two rows has it."""
    columns = ["name", "phone", "address", "remark", "short_name"]
    rng, seen, states = Random(10), set[str](), set[object]()
    with hq.store.merging() as connection:
        for number in range(6):
            connection.execute("INSERT INTO customer(id, name) VALUES (?, ?)", (bytes([number]) * 16, f"客户{number}"))
        while len(states) < 3_000:
            column, row = rng.choice(columns), bytes([rng.randrange(6)]) * 16
            connection.execute(f'UPDATE customer SET "{column}" = ? WHERE id = ?', ("".join(rng.choices("ab", k=rng.randrange(5))), row))
            state = tuple(connection.all(f"SELECT id, {', '.join(columns)} FROM customer ORDER BY id"))
            if state not in states:
                states.add(state)
                seen.add(table_digest(connection, CUSTOMER))
    assert len(seen) == len(states)


def test_failure_10_three_steps_lead_from_tables_to_rows(company: Company, one: Installation, wire: list[Path]) -> None:
    """Of 1,500 rows some are lost, some altered, some there by hand: an exchange finds exactly those, in two answers and no more."""
    ids = [new_id() for _ in range(1_500)]
    with company.hq.store.unit_of_work(None) as uow:
        uow.insert_many(CUSTOMER, [{**CUSTOMER.validate({"name": "客户"}), "id": identity} for identity in ids])
    assert run(one)["digest"] == "equal"
    rng = Random(10)
    altered, lost = rng.sample(ids[:700], 20), rng.sample(ids[700:], 20)
    for identity in altered:
        past_the_log(one, "UPDATE customer SET phone = '9' WHERE id = ?", bytes.fromhex(identity))
    for identity in lost:
        past_the_log(one, "DELETE FROM customer WHERE id = ?", bytes.fromhex(identity))
    assert company.down("BR01")["digest"] == "differs"
    wire.clear()
    done = run(one)
    assert (done["digest"], done["mended"]) == ("equal", 40)
    assert len(wire) <= 3  # tables were compared before: runs of rows, rows, and what head office wrote down of it
    assert {row[0] for row in inbox(company.hq) if row[1] == "phone"} == set(altered)
    assert {row[0] for row in inbox(company.hq) if row[1] is None} == set(lost)
    assert one.rows("SELECT id FROM customer ORDER BY id") == company.hq.rows("SELECT id FROM customer ORDER BY id")


def test_failure_10_what_is_mended_at_once_is_bounded_and_the_rest_follows(
    company: Company, one: Installation, wire: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    meet = exchange._meet
    monkeypatch.setattr(exchange, "_meet", lambda store, peer, message: (setattr(peer.budget, "rows", 7), meet(store, peer, message)))
    for _ in range(20):
        company.hq.new("customer", name="客户")
    company.exchange("BR01")
    past_the_log(one, "DELETE FROM customer")
    done = run(one)
    assert (done["digest"], done["mended"]) == ("equal", 20)
    assert one.value("SELECT count(*) FROM customer") == 20
    assert len(wire) > 20 / 7


@pytest.mark.parametrize(
    "change",
    [
        lambda a, b: ((a[1], a[0]), b),  # the values of two columns of one row
        lambda a, b: ((b[0], a[1]), (a[0], b[1])),  # one column of two rows
        lambda a, b: ((a[0] + a[1], ""), b),  # where one value ends
        lambda a, b: ((a[0], None), b),
        lambda a, b: ((None, a[0]), b),
        lambda a, b: (("", a[0] + a[1]), b),
    ],
    ids=["columns", "rows", "borders", "empty", "nothing", "blank"],
)
def test_failure_10_what_cancels_out_in_a_sum_does_not_in_a_digest(
    hq: Installation, change: Callable[..., tuple[tuple[str | None, ...], ...]]
) -> None:
    before = (("12", "3"), ("4", "56"))
    digests = []
    for rows in (before, change(*before)):
        with hq.store.merging() as connection:
            for number, (phone, address) in enumerate(rows):
                connection.execute("DELETE FROM customer WHERE id = ?", (bytes([number]) * 16,))
                connection.execute(
                    "INSERT INTO customer(id, name, phone, address) VALUES (?, '甲', ?, ?)", (bytes([number]) * 16, phone, address)
                )
            digests.append(table_digest(connection, CUSTOMER))
    assert digests[0] != digests[1]
