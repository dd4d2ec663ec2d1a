"""What is said to find and mend a difference is hostile like everything that comes from elsewhere, and never touches what it should not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from localcrm.domain.admin import conflicts
from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import use_language
from localcrm.kernel.ids import new_id
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import entities, entity
from localcrm.store import digests
from localcrm.store.eventlog import Event
from localcrm.sync import codec, exchange, http, node_sync, repair
from localcrm.sync.codec import GONE, INSERT, Batch, Change, Tx
from localcrm.sync.extract import everything_of
from localcrm.sync.messages import BucketHashes, Mended, Message, Narrow, Note, RowHashes, Rows, Wanted, WholeRow, decode, encode
from localcrm.ui.conflict_words import Teller
from localcrm.ui.screens import system_log
from tests.factories import Company, Installation
from tests.sync import simulation

CUSTOMER, USER, LINE = entity("customer"), entity("user"), entity("sales_order_line")
NOTHING = codec.encode_batch(Batch())


def past_the_log(node: Installation, statement: str, *params: object) -> None:
    with node.store.merging() as connection:
        connection.execute(statement, params)


def say(company: Company, branch: Installation, *said: Message) -> list[Message]:
    """A branch says something to head office beyond its hello."""
    peer = exchange.Peer(branch.store.node.node_no, branch.code, 0, branch.store.node.epoch)
    return list(exchange.hear_branch(company.hq.store, peer, [exchange.hello(branch.store), *said]))


def hear(branch: Installation, *said: Message) -> None:
    exchange.hear_office(branch.store, said, exchange.Outcome())


def rows(node: Installation, identity: str, **changed: Any) -> Rows:
    """A customer as a node has it, some columns otherwise."""
    with node.store.read() as connection:
        told = repair._rows(connection, CUSTOMER, [bytes.fromhex(identity)])
    numbers = {CUSTOMER.fields[key].no: value for key, value in changed.items()}
    row = told.rows[0]
    plain = [(no, numbers.get(no, value)) for no, value in row.plain or ()]
    return msgspec.structs.replace(told, rows=[WholeRow(row.id, plain, row.binary)])


def state(node: Installation) -> dict[str, str]:
    with node.store.read() as connection:
        return digests.full(connection)


@pytest.fixture
def customer(company: Company, one: Installation) -> str:
    identity = one.new("customer", name="甲公司", phone="1")
    company.exchange()
    return identity


def test_a_branch_cannot_make_head_office_take_rows_that_it_did_not_lose(company: Company, one: Installation, customer: str) -> None:
    """Not another value of its own customer, not a user, not a customer that nobody ever made."""
    before = state(company.hq)
    admin = company.hq.value("SELECT id FROM user LIMIT 1")
    with one.store.read() as connection:
        user = repair._rows(connection, USER, [admin])
    stray = rows(one, customer)
    stray = msgspec.structs.replace(stray, rows=[WholeRow(bytes.fromhex(new_id()), stray.rows[0].plain, stray.rows[0].binary)])
    for told in (rows(one, customer, phone="2"), user, stray):
        say(company, one, told)
        assert state(company.hq) | {"conflict": ""} == before | {"conflict": ""}


def test_a_lost_row_is_taken_only_with_what_the_log_says_of_it(company: Company, one: Installation, customer: str) -> None:
    """The log at head office knows the telephone number; the branch cannot give the row another one with this."""
    one.set("customer", customer, phone="5")
    company.exchange()
    past_the_log(company.hq, "DELETE FROM sync_digest_table")
    past_the_log(company.hq, "DELETE FROM customer WHERE id = ?", bytes.fromhex(customer))
    say(company, one, rows(one, customer, phone="666"))
    assert company.hq.get("customer", customer)["phone"] == "5"


def test_a_lost_row_is_not_taken_from_another_branch_without_proof(
    company: Company, one: Installation, two: Installation, customer: str
) -> None:
    past_the_log(company.hq, "DELETE FROM sync_digest_table")
    past_the_log(company.hq, "DELETE FROM customer WHERE id = ?", bytes.fromhex(customer))
    say(company, two, rows(two, customer, name="假公司"))
    assert company.hq.value("SELECT count(*) FROM customer WHERE id = ?", bytes.fromhex(customer)) == 0
    assert [row["record"] for row in company.hq.conflicts(kind="digest")] == [customer]


def test_with_proof_it_is_taken_from_anybody_and_nothing_else_is(company: Company, two: Installation, customer: str) -> None:
    digests.current(company.hq.store)
    past_the_log(company.hq, "DELETE FROM customer WHERE id = ?", bytes.fromhex(customer))
    say(company, two, rows(two, customer, name="假公司"))
    assert company.hq.value("SELECT count(*) FROM customer WHERE id = ?", bytes.fromhex(customer)) == 0
    say(company, two, rows(two, customer))
    assert company.hq.get("customer", customer)["name"] == "甲公司"


def test_what_is_wrong_at_both_ends_of_one_run_is_told_apart(company: Company, one: Installation, customer: str) -> None:
    """The row altered at head office is proven by itself; the other one is then head office's to put right."""
    other = one.new("customer", name="乙公司")
    company.exchange()
    assert company.down("BR01")["digest"] == "equal"
    past_the_log(company.hq, "UPDATE customer SET name = '假' WHERE id = ?", bytes.fromhex(customer))
    past_the_log(one, "UPDATE customer SET name = '伪' WHERE id = ?", bytes.fromhex(other))
    for _time in range(4):
        company.exchange("BR01")
    assert {node.get("customer", customer)["name"] for node in (company.hq, one)} == {"甲公司"}
    assert {node.get("customer", other)["name"] for node in (company.hq, one)} == {"乙公司"}
    assert company.hq.value("SELECT count(*) FROM conflict WHERE kept_node IS NULL") == 0


def test_a_branch_that_asks_without_end_gets_an_end(company: Company, one: Installation, customer: str) -> None:
    columns = digests.columns(CUSTOMER)
    asked = [RowHashes(CUSTOMER.no, columns, 10**6, b"", None, [])] * (repair.MOST_QUESTIONS + 300)
    answers = say(company, one, *asked)
    assert sum(len(answer.rows) for answer in answers if isinstance(answer, Rows)) <= repair.PER_EXCHANGE
    for message in asked:
        repair._remember(company.hq.store, 2, message)
    assert company.hq.value("SELECT count(*) FROM sync_repair") == repair.MOST_QUESTIONS


def test_a_branch_cannot_fill_numbers_that_are_taken_or_not_its_own(company: Company, one: Installation, customer: str) -> None:
    """A row head office knows nothing of, with changes under numbers of others, of the future, or of other changes."""
    node, epoch = one.store.node.node_no, int.from_bytes(one.store.node.epoch)
    office = (1, int.from_bytes(company.hq.store.node.epoch))
    have = company.hq.value("SELECT have_oseq FROM sync_origin WHERE node_no = ?", node)
    stray = bytes.fromhex(new_id())
    for origin, number in (((node, epoch), 1), ((node, epoch), have + 5), (office, 1)):
        change = Change(CUSTOMER.no, INSERT, stray, [(CUSTOMER.fields["name"].no, "假公司")], None)
        batch = Batch([origin], [Tx(0, number, 1, 5, 5, None, 0)], [change])
        told = rows(one, customer)
        told = Rows(told.table, told.columns, [WholeRow(stray, told.rows[0].plain, told.rows[0].binary)], codec.encode_batch(batch))
        say(company, one, told)
        assert company.hq.value("SELECT count(*) FROM customer WHERE id = ?", stray) == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: msgspec.structs.replace(told, batch=b"nonsense"),
        lambda told: msgspec.structs.replace(told, rows=[WholeRow(told.rows[0].id, [(1, "甲")])]),
        lambda told: msgspec.structs.replace(told, rows=[WholeRow(told.rows[0].id, [(no, 3) for no, _v in told.rows[0].plain])]),
        lambda told: msgspec.structs.replace(told, rows=[WholeRow(told.rows[0].id, [*told.rows[0].plain, (9_999, 1)])]),
    ],
    ids=["batch", "columns", "types", "unknown"],
)
@pytest.mark.parametrize("way", ["up", "down"])
def test_what_is_no_row_is_refused_by_name(
    company: Company, one: Installation, customer: str, way: str, spoil: Callable[[Rows], Rows]
) -> None:
    before = state(one), state(company.hq)
    told = spoil(rows(one, customer))
    with pytest.raises(ExchangeError) as refused:
        say(company, one, told) if way == "up" else hear(one, told)
    assert refused.value.code in {"bad_message", "bad_batch"}
    assert (state(one), state(company.hq)) == before


@pytest.mark.parametrize(
    ("message", "key", "bad"),
    [
        (RowHashes(4, [], 0, b"", None, []), "rows", [(b"short", b"x" * 16)]),
        (RowHashes(4, [], 0, b"", None, []), "rows", [(b"x" * 16, b"x" * 16)] * 20_001),
        (BucketHashes(4, [], 0, []), "hseq", -1),
        (Wanted(4, [b"x" * 16]), "ids", [b"x" * 16] * 1_001),
        (Narrow(4, [(b"", None)]), "ranges", [(b"x" * 17, None)]),
        (Mended([]), "notes", [(b"x" * 16, 4, b"x" * 16, "phone", None)]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_message_beyond_its_limits_is_refused_before_anything_is_done(message: Message, key: str, bad: object) -> None:
    said = msgspec.msgpack.decode(encode(message))
    assert decode(msgspec.msgpack.encode(said)) == message
    with pytest.raises(ExchangeError) as refused:
        decode(msgspec.msgpack.encode({**said, key: bad}))
    assert refused.value.code == "bad_message"


def test_tables_and_ranges_that_do_not_exist_have_no_answer(company: Company, one: Installation, customer: str) -> None:
    def kinds(answers: Iterable[Message]) -> set[str]:
        return {type(answer).__name__ for answer in answers} - {"Welcome", "Ack"}

    columns = digests.columns(CUSTOMER)
    assert kinds(say(company, one, BucketHashes(9_999, columns, 0, []), RowHashes(CUSTOMER.no, [1, 2], 0, b"", None, []))) == set()
    assert kinds(say(company, one, RowHashes(CUSTOMER.no, columns, 10**6, b"\xff" * 16, b"", []))) == set()
    before = state(one)
    hear(one, exchange.welcome(company.hq.store, exchange.Peer(2, "BR01", 0)), Narrow(9_999, [(b"", None)]), Wanted(9_999, [b"x" * 16]))
    hear(one, Narrow(CUSTOMER.no, [(b"\xff" * 16, b"")]), Wanted(CUSTOMER.no, [b"x" * 16]))
    assert {type(answer) for answer in repair.said(one.store)} == {RowHashes, Rows}
    assert state(one) == before


def test_a_branch_removes_nothing_but_lines_on_head_offices_word(company: Company, one: Installation, customer: str) -> None:
    pk = bytes.fromhex(customer)
    with company.hq.store.read() as connection:
        batch = everything_of(connection, CUSTOMER, [pk])
    batch.txs.append(Tx(0, 10**6, 1, 9, 9, None, 10**6))
    batch.changes = [*batch.changes, Change(CUSTOMER.no, GONE, pk, [], None)]
    hear(one, Rows(CUSTOMER.no, digests.columns(CUSTOMER), [WholeRow(pk, None)], codec.encode_batch(batch)))
    assert one.get("customer", customer)["name"] == "甲公司"


def test_an_old_answer_does_not_undo_what_came_later(company: Company, one: Installation, customer: str) -> None:
    told = rows(company.hq, customer)
    company.hq.set("customer", customer, phone="7")
    company.exchange()
    past_the_log(one, "UPDATE customer SET phone = '9' WHERE id = ?", bytes.fromhex(customer))
    hear(one, told)
    assert one.get("customer", customer)["phone"] == "9"
    hear(one, rows(company.hq, customer))
    assert one.get("customer", customer)["phone"] == "7"


def test_screens_that_show_what_was_mended_look_again(company: Company, one: Installation, customer: str) -> None:
    heard: list[Changes] = []
    past_the_log(one, "UPDATE customer SET phone = '9' WHERE id = ?", bytes.fromhex(customer))
    one.store.listen(heard.append)
    hear(one, rows(company.hq, customer))
    assert any(changes.touches("customer", customer) for changes in heard)


def test_what_a_branch_says_it_mended_is_noted_once_and_only_of_what_there_is(company: Company, one: Installation, customer: str) -> None:
    record, phone = bytes.fromhex(customer), CUSTOMER.fields["phone"].no
    secret = next(field.no for field in USER.fields.values() if field.secret)
    admin = company.hq.value("SELECT id FROM user LIMIT 1")
    ids = [bytes.fromhex(new_id()) for _ in range(4)]
    notes = [
        Note(ids[0], CUSTOMER.no, record, phone, "2"),
        Note(ids[1], 9_999, record, phone, "2"),
        Note(ids[2], CUSTOMER.no, record, 9_999, "2"),
        Note(ids[3], USER.no, admin, secret, "geheim"),
    ]
    for _time in range(2):
        say(company, one, Mended(notes))
    found = [(row["id"], row["field"], row["kept"], row["lost"]) for row in company.hq.conflicts(kind="digest")]
    assert sorted(found) == sorted([(ids[0].hex(), "phone", "1", "2"), (ids[3].hex(), USER.by_no[secret].key, None, None)])


def test_messages_come_back_as_they_were_said(one: Installation, customer: str) -> None:
    for message in (
        rows(one, customer),
        Wanted(4, [b"x" * 16]),
        Narrow(4, [(b"", None)]),
        Mended([Note(b"i" * 16, 4, b"r" * 16, None, None)]),
    ):
        assert decode(encode(message)) == message


# whatever is done past the log -------------------------------------------------------------------------------------------


def vandalise(node: Installation, rng: Random, times: int = 12) -> None:
    """Values of other rows, rows that are gone, some with their log."""
    kinds = [kind for kind in entities() if kind.key not in {"conflict", "policy"} and node.value(f'SELECT count(*) FROM "{kind.key}"')]
    for _ in range(times):
        kind = rng.choice(kinds)
        ids = node.rows(f'SELECT id FROM "{kind.key}"')
        if not ids:
            continue
        column, pk = rng.choice(list(kind.fields)), rng.choice(ids)[0]
        if rng.random() < 0.6:
            other = node.value(f'SELECT "{column}" FROM "{kind.key}" WHERE id = ?', rng.choice(ids)[0])
            past_the_log(node, f'UPDATE "{kind.key}" SET "{column}" = ? WHERE id = ?', other, pk)
        else:
            past_the_log(node, f'DELETE FROM "{kind.key}" WHERE id = ?', pk)
            newest = node.value("SELECT max(lseq) FROM sync_log WHERE tbl = ? AND pk = ?", kind.no, pk) or 0
            # The end of the log stays: numbers that were cut off there are given to others.
            if rng.random() < 0.5 and node.code != "HQ" and newest < node.value("SELECT max(lseq) FROM sync_log"):
                past_the_log(node, "DELETE FROM sync_log WHERE tbl = ? AND pk = ?", kind.no, pk)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 40))])
def test_whatever_is_done_past_the_log_is_mended_and_every_promise_holds(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some history, then vandals at every branch at once, then at head office."""
    made = simulation.world(tmp_path, Random(seed))
    try:
        for event in simulation.plan(seed, steps=40):
            simulation.step(made, event)
        simulation.come_together(made)
        hq, branches = made.company.hq, list(made.company.branches.values())
        monkeypatch.setattr(http, "post_bundle", lambda _url, request, answer: node_sync.answer_bundle(hq.store, hq.keys, request, answer))
        for victims in (branches, [hq]):
            for branch in branches * 2:
                assert node_sync.run(branch.store, branch.keys, url="http://hq")["digest"] == "equal"
            for node in victims:
                vandalise(node, Random(seed))
            for branch in branches * 2:
                node_sync.run(branch.store, branch.keys, url="http://hq")
            simulation.check_all(made)
    finally:
        made.company.close()


# what people read --------------------------------------------------------------------------------------------------------


def sentences(node: Installation) -> list[str]:
    """What the inbox says happened, oldest first."""
    with node.store.read() as connection:
        told = Teller(connection, node.actor, reversed(conflicts.find_items(connection, node.actor)[1]))
        return [one.happened for one in told if one.item.kind == "digest" and one.next_step]


def test_the_inbox_says_what_was_mended_and_is_settled_when_it_was_seen(company: Company, one: Installation, customer: str) -> None:
    level = CUSTOMER.fields["level"].no
    one.set("customer", customer, level="deal")
    company.exchange("BR01")
    ids = sorted(bytes.fromhex(new_id()) for _ in range(2))
    say(company, one, Mended([Note(ids[0], CUSTOMER.no, bytes.fromhex(customer), level, "prospect")]))
    say(company, one, Mended([Note(ids[1], CUSTOMER.no, bytes.fromhex(customer), None, None)]))
    assert sentences(company.hq) == [
        "“等级”在BR01被人在程序之外改成了“意向客户”。现已恢复为“成交客户”，与HQ一致。",
        "这条记录在BR01丢失，或是在那里从程序之外添加的。现已与HQ一致。",
    ]
    with use_language("en"):
        assert "was changed outside the program at BR01: it said Prospect" in sentences(company.hq)[0]
    company.hq.run("admin.resolve_conflict", id=ids[0].hex(), keep="kept")
    assert [row["id"] for row in company.hq.conflicts(kind="digest", state="open")] == [ids[1].hex()]


def test_the_inbox_says_what_cannot_be_mended(company: Company, two: Installation, customer: str) -> None:
    past_the_log(company.hq, "DELETE FROM sync_digest_table")
    past_the_log(company.hq, "DELETE FROM customer WHERE id = ?", bytes.fromhex(customer))
    say(company, two, rows(two, customer))
    assert sentences(company.hq) == ["总部与BR02的这条记录不一致，程序无法判断哪一方正确。"]


@pytest.mark.parametrize(
    ("kind", "detail", "text"),
    [
        (
            "data_mended",
            "customer 0190a3b2c1d47e6f8a9b0c1d2e3f4a5b phone,deleted",
            "客户 · 0190a3b2c1d47e6f8a9b0c1d2e3f4a5b · 电话, 回收站",
        ),
        ("books_mended", "BR01 stock_move 0190a3b2c1d47e6f8a9b0c1d2e3f4a5b", "BR01 · 库存变动 · 0190a3b2c1d47e6f8a9b0c1d2e3f4a5b"),
        ("not_mended", "nonsense", "nonsense"),
        ("data_altered", "customer,product", "客户, 商品"),
    ],
)
def test_the_system_log_names_rows_in_words(kind: str, detail: str, text: str) -> None:
    line = system_log._line(Event(1, 0, kind, None, detail), {})
    assert (line.detail, line.is_bad) == (text, True)
