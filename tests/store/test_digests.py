"""Digests brought up to date from the log are those computed from every row, whatever happens; what goes past the log is found."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from localcrm.jobs import work
from localcrm.kernel.schema import entity
from localcrm.store import check, digests, erase
from localcrm.store.digests import Range
from tests import factories
from tests.factories import Installation

CUSTOMER, LINE = entity("customer"), entity("sales_order_line")


@pytest.fixture
def hq() -> Iterator[Installation]:
    with factories.company() as made:
        yield made.hq


def kept(node: Installation, *, look: int | None = digests.LOOK) -> dict[str, str]:
    return digests.current(node.store, look=look).tables


def computed(node: Installation) -> dict[str, str]:
    with node.store.read() as connection:
        return digests.full(connection)


def past_the_log(node: Installation, statement: str, *params: object) -> None:
    with node.store.merging() as connection:
        connection.execute(statement, params)


def identity(rng: Random) -> str:
    """An id that begins a run of rows every third time."""
    return f"{rng.getrandbits(120):030x}{rng.choice(['00', '20', '05', '7f', '81', 'ff'])}"


def test_digests_kept_are_those_computed_through_any_history(hq: Installation) -> None:
    """Rows that begin runs come and go too; now and then several changes are brought up to date at once."""
    rng, customers, lines = Random(7), list[str](), list[str]()
    order = hq.order(hq.new("customer", name="甲"))
    product = hq.new("product", code="P", name="布", price="1")
    for _step in range(150):
        with hq.store.unit_of_work(None) as uow:
            for _ in range(rng.randrange(1, 4)):
                match rng.randrange(5):
                    case 0 | 1:
                        customers.append(uow.insert(CUSTOMER, CUSTOMER.validate({"name": "客户"}), identity=identity(rng)))
                    case 2 if customers:
                        uow.update(CUSTOMER, rng.choice(customers), {"phone": str(rng.randrange(99))})
                    case 3:
                        line = {"order_id": order, "product_id": product, "quantity": "1"}
                        lines.append(uow.insert(LINE, LINE.validate(line), identity=identity(rng)))
                    case 4 if lines:
                        uow.remove(LINE, lines.pop(rng.randrange(len(lines))))
        if rng.random() < 0.5:
            assert kept(hq, look=rng.choice([0, 1, 3])) == computed(hq)
    assert kept(hq) == computed(hq)
    assert hq.value("SELECT count(*) FROM sync_digest WHERE tbl = ?", CUSTOMER.no) > 20
    assert hq.value("SELECT count(*) FROM sync_digest WHERE was IS NOT NULL") == 0


def test_the_program_itself_changes_rows_without_a_log_entry_and_says_so(hq: Installation) -> None:
    customer = hq.new("customer", name="甲", phone="1")
    kept(hq)
    with hq.store.unit_of_work(None) as uow:
        erase.carry_out(uow.connection, CUSTOMER, bytes.fromhex(customer))
    assert kept(hq, look=0) == computed(hq)
    with hq.store.read() as connection:
        assert digests.altered(connection) == {}


def test_a_new_column_makes_the_digests_of_its_table_anew(hq: Installation) -> None:
    hq.new("customer", name="甲")
    before = kept(hq)
    hq.run("admin.add_field", entity="customer", label="门店", type="text")
    after = kept(hq)
    assert after == computed(hq)
    assert after["customer"] != before["customer"]
    assert after["product"] == before["product"]


def many(hq: Installation, count: int = 900) -> list[bytes]:
    rng = Random(3)
    ids = sorted(bytes.fromhex(identity(rng)) for _ in range(count))
    with hq.store.unit_of_work(None) as uow:
        uow.insert_many(CUSTOMER, [{**CUSTOMER.validate({"name": f"客户{n}"}), "id": pk.hex()} for n, pk in enumerate(ids)])
    return ids


@pytest.mark.parametrize("begins_a_run", [False, True])
@pytest.mark.parametrize("statement", ["UPDATE customer SET phone = '9' WHERE id = ?", "DELETE FROM customer WHERE id = ?"])
def test_what_is_changed_past_the_log_is_found_and_what_was_is_proven(hq: Installation, statement: str, *, begins_a_run: bool) -> None:
    ids = many(hq)
    before = kept(hq)
    pk = next(pk for pk in ids if pk[-1] == (0x20 if begins_a_run else 0x05))
    row = hq.rows("SELECT * FROM customer WHERE id = ?", pk)[0]
    past_the_log(hq, statement, pk)
    _is_found(hq, pk, before)
    past_the_log(hq, "DELETE FROM customer WHERE id = ?", pk)
    past_the_log(hq, f"INSERT INTO customer VALUES ({', '.join('?' * len(row))})", *row)
    _is_as_it_was(hq, pk, before)


@pytest.mark.parametrize("last", [0x00, 0x04])
def test_a_row_put_in_past_the_log_is_found_and_that_it_was_not_there_is_proven(hq: Installation, last: int) -> None:
    ids = many(hq)
    before = kept(hq)
    pk = ids[77][:-1] + bytes([last])
    past_the_log(hq, "INSERT INTO customer(id, name) VALUES (?, '假')", pk)
    _is_found(hq, pk, before)
    past_the_log(hq, "DELETE FROM customer WHERE id = ?", pk)
    _is_as_it_was(hq, pk, before)


def _is_found(hq: Installation, pk: bytes, before: dict[str, str]) -> None:
    assert kept(hq, look=0) == before  # nobody looked
    found = digests.current(hq.store, look=None)
    assert found.altered == [CUSTOMER]
    assert found.tables == computed(hq) != before
    assert digests.current(hq.store, look=None).altered == []  # told once
    with hq.store.read() as connection:
        assert digests.is_in_doubt(connection, CUSTOMER, pk)
        assert not digests.is_proven(connection, CUSTOMER, [pk])
        assert digests.altered(connection).keys() == {CUSTOMER}


def _is_as_it_was(hq: Installation, pk: bytes, before: dict[str, str]) -> None:
    with hq.store.read() as connection:
        assert digests.is_proven(connection, CUSTOMER, [pk])
    assert digests.current(hq.store, look=None).altered == []
    assert kept(hq) == before
    assert hq.value("SELECT count(*) FROM sync_digest WHERE was IS NOT NULL") == 0


def test_a_table_is_looked_through_in_turn(hq: Installation) -> None:
    ids = many(hq)
    kept(hq)
    past_the_log(hq, "UPDATE customer SET phone = '9' WHERE id = ?", ids[-1])
    buckets = hq.value("SELECT count(*) FROM sync_digest")
    looks = next(n for n in range(1, buckets) if digests.current(hq.store, look=20).altered)
    assert 1 < looks <= buckets // 20 + len(digests.current(hq.store).tables) + 1
    assert kept(hq, look=0) == computed(hq)


def test_nothing_is_written_when_nothing_has_changed(hq: Installation) -> None:
    many(hq, 50)
    kept(hq, look=None)  # how far the tables have been looked through is written down, where that takes more than one turn
    written = hq.store._writer.raw.total_changes
    kept(hq, look=None)
    assert hq.store._writer.raw.total_changes == written
    hq.new("customer", name="甲")
    kept(hq, look=None)
    assert hq.store._writer.raw.total_changes > written


def test_check_and_the_nightly_look_name_the_table(hq: Installation) -> None:
    customer = hq.new("customer", name="甲")
    assert work.look_through(hq.store, lambda: hq.keys) is None
    past_the_log(hq, "UPDATE customer SET phone = '9' WHERE id = ?", bytes.fromhex(customer))
    with hq.store.read() as connection:
        problems = check.find_problems(connection)
    assert [(problem.code, problem.params["entity"]) for problem in problems] == [("altered_outside", CUSTOMER.label)]
    assert CUSTOMER.label in str(work.look_through(hq.store, lambda: hq.keys))
    assert hq.rows("SELECT detail FROM event_log WHERE kind = 'data_altered'") == [("customer",)]
    hq.set("customer", customer, remark="看过了")  # who saves the record says that it is right
    assert work.look_through(hq.store, lambda: hq.keys) is None
    with hq.store.read() as connection:
        assert check.find_problems(connection) == []


def test_rows_are_told_by_their_hash_within_limits(hq: Installation) -> None:
    ids = many(hq, 60)
    with hq.store.read() as connection:
        told = digests.row_hashes(connection, CUSTOMER, Range(ids[10], ids[40]), 20)
        everything = digests.row_hashes(connection, CUSTOMER, Range(), 1_000)
    assert [pk for pk, _hash in told] == ids[10:30]
    assert len({row for _pk, row in everything}) == 60
