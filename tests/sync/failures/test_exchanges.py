"""An exchange under wrong clocks, cut otherwise, in another order, beside other work, and with whom nothing may be exchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store import check
from localcrm.sync import codec, exchange, extract, http, messages, node_sync
from localcrm.sync.codec import INSERT, Batch, Change, Tx
from localcrm.sync.merge import admit
from tests.factories import Company, HandClock, Installation


def test_failure_01_four_wrong_clocks_stop_no_exchange_and_are_pointed_out(
    company: Company, clocks: dict[str, HandClock], customer: str
) -> None:
    """Twenty years behind, a day behind, an hour ahead (head office), a year and more ahead: all work on one record by turns."""
    for code, days in {"BR01": -7_300, "BR02": -1, "HQ": 1 / 24, "BR03": 400}.items():
        clocks[code].forward(days=days)
    for turn, node in enumerate([*company.nodes, *reversed(company.nodes)]):
        node.set("customer", customer, phone=f"{turn}")
        company.exchange()
        assert {each.get("customer", customer)["phone"] for each in company.nodes} == {f"{turn}"}
    assert company.hq.conflicts() == []
    stamps = company.hq.rows(
        "SELECT eff_hlc, node_no, epoch, first_oseq FROM sync_tx JOIN sync_origin USING (origin) ORDER BY eff_hlc, node_no, epoch, first_oseq"
    )
    assert len(set(stamps)) == len(stamps)
    told = {node.code: node_sync.status(node.store)["clock_suspect"] for node in company.nodes}
    assert told == {"HQ": False, "BR01": True, "BR02": False, "BR03": True}


def test_failure_29_a_child_that_arrives_before_its_parent_waits_for_nobody(company: Company, hq: Installation) -> None:
    """No table refuses a reference to what is not there yet; once the parent is there, everything fits."""
    customer, contact = entity("customer"), entity("contact")
    number, epoch, have = hq.rows("SELECT node_no, epoch, have_oseq FROM sync_origin WHERE code = 'BR01'")[0]
    child = [(no, value) for no, value in ((contact.fields["customer_id"].no, b"c" * 16), (contact.fields["name"].no, "王"))]
    parent = [(customer.fields["name"].no, "甲公司")]
    changes = [Change(contact.no, INSERT, b"k" * 16, child, None), Change(customer.no, INSERT, b"c" * 16, parent, None)]
    txs = [Tx(0, have + 1 + n, 1, n + 1, n + 1, None, 0) for n in range(2)]
    report = admit(hq.store, Batch([(number, int.from_bytes(epoch))], txs, changes), sender_no=number, sender_code="BR01")
    assert (report.applied, report.quarantined) == (2, 0)
    company.down("BR02")
    for node in (hq, company.branches["BR02"]):
        assert check.check(node.store)["problems"] == []
        assert node.value("SELECT customer_id FROM contact") == b"c" * 16


def test_failure_31_two_windows_that_post_at_once_never_get_one_number(
    company: Company, one: Installation, customer: str, goods: tuple[str, str]
) -> None:
    orders = [one.order(customer, goods[0]) for _n in range(24)]

    def post(mine: list[str]) -> None:
        for order in mine:
            one.run("sales.post_order", order_id=order)

    windows = [threading.Thread(target=post, args=(orders[start::3],)) for start in range(3)]
    for window in windows:
        window.start()
    for window in windows:
        window.join()
    company.exchange()
    for node in company.nodes:
        numbers = sorted(number for (number,) in node.rows("SELECT number FROM sales_order"))
        assert [int(number[-4:]) for number in numbers] == list(range(1, 25))


def test_failure_33_a_batch_cut_otherwise_on_the_second_try_makes_nothing_twice(
    company: Company, one: Installation, customer: str, goods: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a change is known by does not depend on the message it travels in."""
    for number in range(6):
        one.new("contact", customer_id=customer, name=f"联系人{number}")
        one.run("sales.post_order", order_id=one.order(customer, goods[0]))
    before = company.hq.value("SELECT count(*) FROM sync_log")
    sizes = []
    for portion in (5, 3, 100, 1):
        monkeypatch.setattr(extract, "PORTION", portion)
        pushes = list(exchange.pushes(one.store))
        sizes.append(len(pushes))
        for push in pushes[:-1] if portion == 5 else pushes:
            admit(company.hq.store, codec.decode_batch(push.batch), sender_no=2, sender_code="BR01")
    assert len(set(sizes)) > 2
    assert company.hq.value("SELECT count(*) FROM sync_log") == before + one.value(
        "SELECT have_oseq - acked_oseq FROM sync_origin WHERE node_no = 2"
    )
    company.exchange()
    assert len(company.digests) == 1
    assert company.hq.value("SELECT count(*) FROM stock_move") == company.hq.value("SELECT count(*) FROM sales_order") == 6


@pytest.mark.parametrize("first", ["BR01", "BR02"])
def test_failure_34_a_settled_matter_never_becomes_open_again(company: Company, one: Installation, two: Installation, first: str) -> None:
    """Nine conflicts: neither branch settles it, one of them does, or both, alike or not; whichever is heard first."""
    ways = list(product([None, "kept", "lost"], repeat=2))
    customers = [company.hq.new("customer", name=f"客户{number}", phone="1") for number in range(len(ways))]
    company.exchange()
    for customer in customers:
        for node in (one, two):
            node.set("customer", customer, phone=node.code)
    company.exchange()
    conflicts = {row["record"]: row["id"] for row in one.conflicts()}
    for customer, choices in zip(customers, ways, strict=True):
        for node, keep in zip((one, two), choices, strict=True):
            if keep:
                node.run("admin.resolve_conflict", id=conflicts[customer], keep=keep)
    company.exchange(first)
    company.exchange()
    assert len(company.digests) == 1
    expected = {conflicts[customer]: "resolved" if any(choices) else "open" for customer, choices in zip(customers, ways, strict=True)}
    # Decided differently it is another matter, between those two.
    between_two = {customer for customer, choices in zip(customers, ways, strict=True) if set(choices) == {"kept", "lost"}}
    for node in company.nodes:
        found = {identity.hex(): (record, state) for identity, record, state in node.rows("SELECT id, record, state FROM conflict")}
        assert {identity: found.pop(identity)[1] for identity in expected} == expected
        assert sorted(found.values()) == [(customer, "open") for customer in sorted(between_two)]


def test_failure_34_a_posted_order_never_becomes_a_draft_again(
    company: Company, hq: Installation, one: Installation, customer: str, goods: tuple[str, str]
) -> None:
    """An altered program that lost the race says "draft" with the latest stamp of all."""
    order = one.order(customer, goods[0])
    company.exchange()
    one.run("sales.post_order", order_id=order)
    company.exchange()
    status = entity("sales_order").fields["status"].no
    number, epoch, have = hq.rows("SELECT node_no, epoch, have_oseq FROM sync_origin WHERE code = 'BR01'")[0]
    stamp = (hq.clock.now_ms() + 1) << 16
    back = [Change(entity("sales_order").no, 2, bytes.fromhex(order), [(status, "posted", "draft")], None)]
    admit(
        hq.store,
        Batch([(number, int.from_bytes(epoch))], [Tx(0, have + 1, 1, stamp, stamp, None, 0)], back),
        sender_no=2,
        sender_code="BR01",
    )
    assert hq.get("sales_order", order)["status"] == "posted"
    assert hq.rows("SELECT reason FROM sync_quarantine") == [("posted_document",)]


@contextmanager
def watching(node: Installation, customer: str) -> Iterator[list[str]]:
    """What somebody who looks all the time sees of a telephone number, without repetitions."""
    seen = [node.get("customer", customer)["phone"]]
    done = threading.Event()

    def look() -> None:
        last = False
        while not last:
            last = done.is_set()  # and once more
            phone = node.get("customer", customer)["phone"]
            if seen[-1] != phone:
                seen.append(phone)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_failure_37_an_own_value_does_not_flicker_while_it_is_exchanged(company: Company, one: Installation, customer: str) -> None:
    """Head office's older value and many other changes arrive: whoever looks sees his own value, then at most a later one."""
    company.hq.set("customer", customer, address="北京")
    for number in range(50):
        company.hq.new("customer", name=f"客户{number}")
    one.set("customer", customer, phone="11")
    with watching(one, customer) as seen:
        for _n in range(3):
            company.exchange("BR01")
            one.set("customer", customer, address="广州")
        company.exchange("BR02")
        company.branches["BR02"].set("customer", customer, phone="22")
        company.exchange("BR02", "BR01")
    assert seen == ["11", "22"]


def test_failure_38_what_was_not_applied_whole_is_not_acknowledged(company: Company, hq: Installation, one: Installation) -> None:
    """The second of two portions fails at head office: the acknowledgement covers the first, and the next exchange finishes."""
    for number in range(4):
        one.new("customer", name=f"客户{number}")
    acked = one.value("SELECT acked_oseq FROM sync_origin WHERE node_no = 2")
    with hq.store.housekeeping() as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON customer WHEN NEW.name = '客户3' BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    peer = node_sync._peer(hq.store, "code", "BR01")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(extract, "PORTION", 2)
        said = [exchange.hello(one.store), *exchange.pushes(one.store)]
    heard: list[messages.Message] = []
    with pytest.raises(AppError):
        heard.extend(exchange.hear_branch(hq.store, peer, said))
    exchange.hear_office(one.store, [*heard, exchange.ack(hq.store, peer)], exchange.Outcome())
    assert one.value("SELECT acked_oseq FROM sync_origin WHERE node_no = 2") == acked + 2
    with hq.store.housekeeping() as connection:
        connection.execute("DROP TRIGGER full")
    company.exchange()
    assert len(company.digests) == 1


def test_failure_38_what_was_acknowledged_has_reached_the_disk(company: Company) -> None:
    """In the mode one below, the last commits wait for the system to write them: a power cut at head office would take back what a branch
    was told has arrived, and no exchange between the two could go on.
    """
    full = 2
    for node in company.nodes:
        with node.store.housekeeping() as connection:
            assert connection.value("PRAGMA synchronous") == full


def test_failure_39_a_reader_that_follows_two_writers_misses_nothing(company: Company, hq: Installation, one: Installation) -> None:
    """People write at head office while a branch's work is merged and another branch reads on: numbers are given in the order of commits."""
    for number in range(60):
        one.new("customer", name=f"分店{number}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(extract, "PORTION", 1)
        pushes = list(exchange.pushes(one.store))

    def typing() -> None:
        for number in range(60):
            hq.new("customer", name=f"总部{number}")

    def merging() -> None:
        for push in pushes:
            admit(hq.store, codec.decode_batch(push.batch), sender_no=2, sender_code="BR01")

    writers = [threading.Thread(target=typing), threading.Thread(target=merging)]
    for writer in writers:
        writer.start()
    peer = node_sync._peer(hq.store, "code", "BR02")
    cursor, read, rounds = peer.recv_hseq, list[tuple[int, int]](), 0
    while any(writer.is_alive() for writer in writers) or cursor < hq.value("SELECT max(lseq) FROM sync_log"):
        exchange.ack(hq.store, peer)
        for message in exchange.downs(hq.store, peer, cursor):
            if isinstance(message, messages.Changes):
                cursor = message.to_hseq
                for tx in codec.decode_batch(message.batch).txs:
                    read += [(tx.hseq + n, tx.hlc) for n in range(tx.count)]
        rounds += 1
    for writer in writers:
        writer.join()
    assert rounds > 1
    numbers = [number for number, _hlc in read]
    assert numbers == [row[0] for row in hq.rows("SELECT lseq FROM sync_log WHERE lseq > ? ORDER BY lseq", peer.recv_hseq)]


@pytest.mark.parametrize("way", ["up", "down", "line"])
def test_failure_42_a_closed_branch_is_not_heard_and_gets_nothing(
    company: Company, hq: Installation, one: Installation, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    one.new("customer", name="乙")
    hq.new("customer", name="丙")
    assert node_sync.close_branch(hq.store, hq.actor, "br01") == {"code": "BR01", "state": "closed"}
    before = hq.digest, one.digest
    monkeypatch.setattr(http, "post_bundle", lambda _url, request, answer: node_sync.answer_bundle(hq.store, hq.keys, request, answer))
    roads: dict[str, Callable[[], object]] = {
        "up": lambda: company.up("BR01"),
        "down": lambda: company.down("BR01"),
        "line": lambda: node_sync.run(one.store, one.keys, url="http://wire"),
    }
    with pytest.raises(AppError) as refused:
        roads[way]()
    assert refused.value.code == "revoked"
    assert (hq.digest, one.digest) == before
    node_sync.reopen_branch(hq.store, hq.actor, "BR01")
    company.exchange("BR01")
    assert hq.digest == one.digest


def test_failure_42_a_later_file_for_others_cannot_be_opened_by_a_closed_branch(
    company: Company, hq: Installation, one: Installation, tmp_path: Path
) -> None:
    hq.new("customer", name="丙")
    node_sync.pack(hq.store, hq.keys, tmp_path / "down", for_code="BR02")
    with pytest.raises(AppError) as refused:
        node_sync.unpack(one.store, one.keys, tmp_path / "down")
    assert refused.value.code == "bundle_not_for_us"


def test_failure_52_what_waits_to_be_sent_is_told_after_a_restart_too(company: Company, one: Installation) -> None:
    one.new("customer", name="乙")
    waiting = node_sync.status(one.store)["waiting"]
    assert waiting > 0
    one.restart()
    assert node_sync.status(one.store)["waiting"] == waiting
    company.exchange()
    assert node_sync.status(one.store)["waiting"] == 0
    assert company.hq.value("SELECT count(*) FROM customer WHERE name = '乙'") == 1
