"""Attached files travel after the records that name them: by stick and by line, cut and resumed, never to be trusted on their word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from localcrm.kernel.attachments import read_attachments
from localcrm.kernel.errors import AppError
from localcrm.store import blobs, check
from localcrm.sync import attachments, http, messages, node_sync
from tests import factories
from tests.factories import Company, Installation
from tests.sync.test_http import Line, head_office

CONTRACT = "合同正文：甲方、乙方。\n".encode() * 30_000
PHOTO = os.urandom(3 * blobs.PIECE + 12_345)


@pytest.fixture
def company() -> Iterator[Company]:
    with factories.company() as made:
        made.hq.run("admin.add_field", entity="customer", label="合同", type="attachment")
        made.exchange()
        yield made


def key(node: Installation) -> str:
    return f"x{node.value('SELECT number FROM custom_field')}"


def attach(node: Installation, customer: str, *contents: bytes) -> None:
    lines = [blobs.add(node.store, f"附件{n}.bin", data).line for n, data in enumerate(contents, 1)]
    node.set("customer", customer, **{key(node): "\n".join(lines)})


def contents(node: Installation, customer: str) -> list[bytes | None]:
    """What can be read at a node of what a customer names; None for what has not arrived."""
    files = read_attachments(node.get("customer", customer)[key(node)])
    with node.store.read() as connection:
        here = blobs.are_here(connection, files)
    return [b"".join(blobs.read(node.store, bytes.fromhex(file.hash))) if file in here else None for file in files]


def states(node: Installation) -> list[str]:
    return [state for (state,) in node.rows("SELECT state FROM blob ORDER BY size")]


def test_one_stick_brings_a_record_with_its_files_and_another_takes_them_on(company: Company, one: Installation, two: Installation):
    customer = one.new("customer", name="绍兴恒远")
    attach(one, customer, CONTRACT, PHOTO)
    assert states(one) == ["new", "new"]
    company.up("BR01")
    assert contents(company.hq, customer) == [CONTRACT, PHOTO]
    company.down("BR01")
    assert states(one) == ["here", "here"]  # head office lacks nothing, so it has them

    company.down("BR02")
    assert contents(two, customer) == [CONTRACT, PHOTO]
    assert len(company.digests) == 1
    for node in company.nodes:
        assert check.check(node.store)["problems"] == []


def test_a_lost_stick_costs_nothing(company: Company, one: Installation):
    customer = one.new("customer", name="绍兴恒远")
    attach(one, customer, CONTRACT)
    node_sync.pack(one.store, one.keys, company.folder / "lost")
    company.down("BR01")  # head office knows neither record nor file, and says it lacks nothing
    assert states(one) == ["new"]
    company.up("BR01")
    assert contents(company.hq, customer) == [CONTRACT]


def test_what_does_not_fit_on_one_stick_comes_with_the_next(company: Company, one: Installation, monkeypatch: pytest.MonkeyPatch):
    customer = one.new("customer", name="绍兴恒远")
    attach(one, customer, CONTRACT, PHOTO)
    monkeypatch.setattr(attachments, "PER_FILE", 2 * blobs.PIECE)
    company.up("BR01")
    assert contents(company.hq, customer) == [CONTRACT, None]  # the small one first
    company.exchange("BR01", "BR01")
    assert contents(company.hq, customer) == [CONTRACT, PHOTO]
    company.exchange("BR02", "BR02")
    assert contents(company.branches["BR02"], customer) == [CONTRACT, PHOTO]


def test_over_a_line_that_is_cut_again_and_again_every_file_arrives_once_whole(company: Company, one: Installation, two: Installation):
    mine, theirs = one.new("customer", name="分店客户"), company.hq.new("customer", name="总部客户")
    attach(one, mine, PHOTO)
    attach(company.hq, theirs, os.urandom(2 * blobs.PIECE + 5))
    with head_office(company.hq) as port:
        line = Line(port)
        for bytes_passed in (200_000, 900_000, 2_000_000, 3_000_000):
            for way in ("request", "answer"):
                line.cut_after(**{way: bytes_passed})
                with suppress(AppError):
                    node_sync.run(one.store, one.keys, url=line.url)
        line.cut_after()
        node_sync.run(one.store, one.keys, url=line.url)
        node_sync.run(two.store, two.keys, url=line.url)
        again = node_sync.run(one.store, one.keys, url=line.url)
        line.close()
    assert again["files"] == 0
    for node in company.nodes:
        assert contents(node, mine) == [PHOTO]
        assert None not in contents(node, theirs)
        assert set(states(node)) == {"here"}
        assert check.check(node.store)["problems"] == []


def test_an_exchange_without_news_asks_once(company: Company, one: Installation, monkeypatch: pytest.MonkeyPatch):

    asked = []
    post = http.post_bundle
    monkeypatch.setattr(http, "post_bundle", lambda *parts: (asked.append(1), post(*parts))[1])
    with head_office(company.hq) as port:
        node_sync.run(one.store, one.keys, url=f"http://127.0.0.1:{port}")
    assert len(asked) == 1


def test_the_same_file_attached_at_two_places_travels_and_lies_there_once(company: Company, one: Installation, two: Installation):
    first, second = one.new("customer", name="甲"), two.new("customer", name="乙")
    attach(one, first, CONTRACT)
    attach(two, second, CONTRACT)
    company.exchange()
    assert company.hq.value("SELECT count(*) FROM blob") == 1
    assert contents(one, second) == contents(two, first) == [CONTRACT]


def test_two_versions_attached_apart_end_as_one_value_and_a_conflict(company: Company, one: Installation, two: Installation):
    customer = company.hq.new("customer", name="绍兴恒远")
    company.exchange()
    attach(one, customer, CONTRACT)
    attach(two, customer, PHOTO)
    company.exchange()
    assert len(company.digests) == 1
    (conflict,) = company.hq.conflicts(field=key(company.hq))
    assert "附件1.bin" in conflict["kept"]
    assert contents(company.hq, customer) in ([CONTRACT], [PHOTO])
    assert None not in contents(one, customer) + contents(two, customer)


def test_erasing_a_person_takes_the_files_from_every_disk(company: Company, one: Installation):
    company.hq.run("admin.add_field", entity="contact", label="身份证", type="attachment")
    company.exchange()
    customer = one.new("customer", name="绍兴恒远")
    contact = one.new("contact", name="王芳", customer_id=customer)
    field = f"x{one.value('SELECT number FROM custom_field WHERE entity = ?', 'contact')}"
    kept, gone = (blobs.add(one.store, name, data) for name, data in (("合同.txt", CONTRACT), ("身份证.jpg", PHOTO)))
    one.set("customer", customer, **{key_of(one, "customer"): kept.line})
    one.set("contact", contact, **{field: f"{gone.line}\n{kept.line}"})
    one.set("contact", contact, **{field: kept.line})  # taken off again: history still names it
    company.exchange()
    assert company.hq.value("SELECT count(*) FROM blob") == 1  # nobody but the branch's history ever named the other one
    one.set("contact", contact, **{field: f"{gone.line}\n{kept.line}"})
    company.exchange()
    company.hq.run("admin.erase_person", entity="contact", id=contact, name="王芳")
    company.exchange()
    for node in company.nodes:
        blobs.sweep(node.store)
        assert {path.name for path in (node.folder / "blobs").iterdir() if path.is_file()} == {kept.hash}
        assert gone.hash not in str(node.rows("SELECT diff FROM sync_log"))
    assert len(company.digests) == 1


def key_of(node: Installation, entity: str) -> str:
    return f"x{node.value('SELECT number FROM custom_field WHERE entity = ?', entity)}"


def test_pieces_that_nobody_asked_for_or_that_lie_change_nothing(company: Company, one: Installation):
    customer = one.new("customer", name="绍兴恒远")
    attach(one, customer, CONTRACT)
    push = next(iter(node_sync.exchange.pushes(one.store)))
    digest = bytes.fromhex(one.get("customer", customer)[key(one)].split()[0])
    peer = node_sync._peer(company.hq.store, "code", "BR01")
    said: list[messages.Message] = [
        node_sync.exchange.hello(one.store),
        push,
        messages.Piece(bytes(32), 0, b"not named by any record"),
        messages.Piece(digest, 0, b"x" * len(CONTRACT)),  # of the right length, and something else
        messages.Piece(digest, 5, b"from the middle"),
    ]
    for _answer in node_sync.exchange.hear_branch(company.hq.store, peer, said):
        pass
    assert contents(company.hq, customer) == [None]
    assert states(company.hq) == ["missing"]
    company.up("BR01")
    assert contents(company.hq, customer) == [CONTRACT]


def test_a_record_that_names_nonsense_asks_for_nothing(company: Company, one: Installation):
    customer = one.new("customer", name="绍兴恒远")
    column = key(one)
    with one.store.unit_of_work(one.actor.user_id) as uow:
        uow.update(
            node_sync.entity("customer"), customer, {column: f"{'g' * 64} 5 a\n{'a' * 64} {10**9} film\n{'b' * 64} 5 ../../x\nanything"}
        )
    company.exchange()
    assert len(company.digests) == 1
    assert company.hq.value("SELECT count(*) FROM blob") == 0


def test_a_file_that_is_damaged_at_its_source_does_not_keep_an_exchange_going_for_ever(company: Company, one: Installation):
    """It is larger than what one answer brings, arrives whole each time, and is not what was named."""
    customer = company.hq.new("customer", name="总部客户")
    attach(company.hq, customer, os.urandom(attachments.PER_ROUND + blobs.PIECE))
    (path,) = (company.hq.folder / "blobs").iterdir()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    asked: list[int] = []

    def post(_url: str, request: Path, answer: Path) -> None:
        asked.append(1)
        assert len(asked) < 20, "it would never end"
        node_sync.answer_bundle(company.hq.store, company.hq.keys, request, answer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "post_bundle", post)
        node_sync.run(one.store, one.keys, url="http://wire")
    assert contents(one, customer) == [None]
    assert [problem["code"] for problem in check.check(company.hq.store)["problems"]] == ["file_damaged"]
