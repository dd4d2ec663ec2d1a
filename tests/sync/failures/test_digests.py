"""Digests are computed from the data, at both sides, each time: a hole or a changed value shows, whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from localcrm.kernel.schema import entity
from localcrm.store.digests import table_digest
from localcrm.sync import node_sync
from tests.factories import Company, Installation

CUSTOMER = entity("customer")


def past_the_log(node: Installation, statement: str, *params: object) -> None:
    """What a defect of ours or a person with a tool would do: no change is logged."""
    with node.store.merging() as connection:
        connection.execute(statement, params)


def test_failure_09_a_change_lost_at_a_branch_is_reported_at_every_exchange(company: Company, one: Installation, customer: str) -> None:
    assert company.down("BR01")["digest"] == "equal"
    past_the_log(one, "DELETE FROM customer WHERE id = ?", bytes.fromhex(customer))
    for times in (1, 2):
        assert company.down("BR01")["digest"] == "differs"
        assert node_sync.status(one.store)["digest"] == "differs"
        assert one.rows("SELECT detail FROM event_log WHERE kind = 'digest_differs'") == [("customer",)] * times
    assert company.down("BR02")["digest"] == "equal"


def test_failure_44_equal_counts_with_another_value_are_reported(company: Company, one: Installation, customer: str) -> None:
    past_the_log(one, "UPDATE customer SET phone = '2' WHERE id = ?", bytes.fromhex(customer))
    assert one.value("SELECT count(*) FROM customer") == company.hq.value("SELECT count(*) FROM customer")
    assert company.down("BR01")["digest"] == "differs"
    past_the_log(one, "UPDATE customer SET phone = '1' WHERE id = ?", bytes.fromhex(customer))
    assert company.down("BR01")["digest"] == "equal"
    assert node_sync.status(one.store)["digest"] == "equal"


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


@pytest.mark.parametrize(
    "change",
    [
        lambda a, b: ((a[1], a[0]), b),  # the values of two columns of one row
        lambda a, b: ((b[0], a[1]), (a[0], b[1])),  # one column of two rows
        lambda a, b: ((a[0] + a[1], ""), b),  # where one value ends
        lambda a, b: ((a[0], None), b),
        lambda a, b: ((None, a[0]), b),
    ],
    ids=["columns", "rows", "borders", "empty", "nothing"],
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
