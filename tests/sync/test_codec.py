"""Batches come back exactly as they were, and nothing else than a batch is taken for one."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given, settings, strategies as st

from bench.bundle_size import Company, measure
from localcrm.kernel.errors import ExchangeError
from localcrm.sync import codec
from localcrm.sync.codec import DELETE, GONE, INSERT, UNDELETE, UPDATE, Batch, Change, Tx, compress, decode_batch, decompress, encode_batch

ROW, USER = b"row-1-of-16-byte", b"user1-of-16-byte"
ORIGINS = [(1, 2**64 - 1), (0, 0)]


def refusal(work: Any, *args: Any, **options: Any) -> str:
    """Code with which the call is refused."""
    with pytest.raises(ExchangeError) as caught:
        work(*args, **options)
    assert "{" not in caught.value.message
    return caught.value.code


def one(change: Change, tx: Tx | None = None) -> Batch:
    """A batch of a single change."""
    return Batch([(1, 7)], [tx or Tx(0, 1, 1, 5 << 16, 5 << 16, None, 0)], [change])


def test_every_kind_of_change_comes_back() -> None:
    batch = Batch(
        ORIGINS,
        [Tx(0, 1, 3, 9 << 16 | 2, 9 << 16 | 2, USER, 0), Tx(1, 2**62, 2, 8 << 16, 7 << 16, None, 12)],
        [
            Change(4, INSERT, ROW, [(1, None), (2, -(2**63)), (9, "客户😀"), (3, b"")], None),
            Change(4, UPDATE, ROW, [(2, -(2**63), 2**63 - 1), (9, "", "a\nb")], (0, 1)),
            Change(4, DELETE, ROW, [], (0, 2)),
            Change(4, UNDELETE, ROW, [(5, 0, None)], (0, 3)),
            Change(65_535, GONE, USER, [(0, USER)], (1, 2**63 - 1)),
        ],
    )
    assert decode_batch(encode_batch(batch)) == batch


def test_changes_that_were_read_are_a_sequence_like_any_other() -> None:
    made = [Change(4, INSERT, ROW, [(n, "x")], None) for n in (1, 2, 1)]
    changes = decode_batch(encode_batch(Batch([(1, 7)], [Tx(0, 1, 3, 5 << 16, 5 << 16, None, 0)], made))).changes
    assert (len(changes), changes[0], changes[-1], changes[1:], list(changes)) == (3, made[0], made[2], made[1:], made)
    assert changes != made[:2]


def test_an_empty_batch_is_a_batch() -> None:
    assert decode_batch(encode_batch(Batch())) == Batch()


def test_plain_tuples_are_as_good_as_named_ones() -> None:
    batch = one(Change(4, INSERT, ROW, [(1, "x")], None))
    txs: list[Any] = [tuple(tx) for tx in batch.txs]
    changes: list[Any] = [tuple(change) for change in batch.changes]
    plain = Batch(batch.origins, txs, changes)
    assert encode_batch(plain) == encode_batch(batch)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
values = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), texts, st.binary(max_size=20), st.binary(min_size=16, max_size=16))
oseqs = st.integers(1, 2**62)
stamps = st.integers(0, 2**63 - 1)
ids = st.binary(min_size=16, max_size=16)
column_sets = st.lists(st.integers(0, 65_535), unique=True, max_size=4)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Few tables and column sets, so that groups have more than one change."""
    origins = draw(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 2**64 - 1)), min_size=1, max_size=3))
    places = st.integers(0, len(origins) - 1)
    tables, sets = draw(st.lists(st.integers(0, 65_535), min_size=1, max_size=2)), draw(st.lists(column_sets, min_size=1, max_size=2))
    batch = Batch(origins, [], [])
    for _ in range(draw(st.integers(0, 5))):
        count = draw(st.integers(1, 4))
        batch.txs.append(
            Tx(draw(places), draw(oseqs), count, draw(stamps), draw(stamps), draw(st.none() | ids), draw(st.integers(0, 2**63 - 1)))
        )
        for _ in range(count):
            op, columns = draw(st.integers(1, 5)), draw(st.sampled_from(sets))
            width = 1 if op in {INSERT, GONE} else 2
            row: Any = [(column, *draw(st.tuples(*[values] * width))) for column in columns]
            prev = draw(st.none() | st.tuples(places, st.integers(1, 2**63 - 1)))
            batch.changes.append(Change(draw(st.sampled_from(tables)), op, draw(ids), row, prev))
    return batch


@given(batch=batches())
def test_any_batch_comes_back_bit_for_bit(batch: Batch) -> None:
    data = encode_batch(batch)
    back = decode_batch(decompress(compress(data)))
    assert back == batch
    assert repr(back) == repr(batch)
    assert encode_batch(back) == data


@given(numbers=st.lists(st.integers(-(2**63), 2**63 - 1)) | st.lists(st.integers(10**12, 10**12 + 999)))
def test_any_numbers_are_packed_without_loss(numbers: list[int]) -> None:
    assert codec._unpack(codec._pack(numbers), len(numbers)) == numbers


@pytest.mark.parametrize(
    "value", [True, 1.0, "a\0b", "\0", "\ud800", 2**63, -(2**63) - 1, "x" * (8 << 20) + "x", bytes((8 << 20) + 1), [], bytearray(4)]
)
def test_what_may_not_travel_is_refused_when_writing(value: Any) -> None:
    for row in ([(1, value)], [(1, "one"), (2, value)]):
        assert refusal(encode_batch, one(Change(4, INSERT, ROW, row, None))) == "bad_batch"
        assert refusal(encode_batch, one(Change(4, UPDATE, ROW, [(column, v, None) for column, v in row], None))) == "bad_batch"


@pytest.mark.parametrize(
    "change",
    [
        Change(4, 6, ROW, [], None),
        Change(4, 0, ROW, [], None),
        Change(-1, INSERT, ROW, [], None),
        Change(65_536, INSERT, ROW, [], None),
        Change(4, INSERT, ROW[1:], [], None),
        Change(4, INSERT, ROW, [(1, 1), (1, 1)], None),
        Change(4, INSERT, ROW, [(-1, 1)], None),
        Change(4, INSERT, ROW, [(1, 1, 1)], None),
        Change(4, UPDATE, ROW, [(1, 1)], None),
        Change(4, UPDATE, ROW, [(1, 1, 1), (2, 2)], None),
        Change(4, UPDATE, ROW, [], (1, 1)),
        Change(4, UPDATE, ROW, [], (-1, 1)),
        Change(4, UPDATE, ROW, [], (0, 0)),
        Change(4, UPDATE, ROW, [], (0, 2**63)),
    ],
)
def test_a_malformed_change_is_refused_when_writing(change: Change) -> None:
    assert refusal(encode_batch, one(change)) == "bad_batch"


@pytest.mark.parametrize(
    "tx",
    [
        Tx(1, 1, 1, 0, 0, None, 0),
        Tx(-1, 1, 1, 0, 0, None, 0),
        Tx(0, 0, 1, 0, 0, None, 0),
        Tx(0, 1, 0, 0, 0, None, 0),
        Tx(0, 1, 2, 0, 0, None, 0),
        Tx(0, 2**63 - 1, 1, 0, 0, None, 0),
        Tx(0, 1, 1, -1, 0, None, 0),
        Tx(0, 1, 1, 0, 2**63, None, 0),
        Tx(0, 1, 1, 0, 0, b"short", 0),
        Tx(0, 1, 1, 0, 0, None, -1),
    ],
)
def test_a_malformed_transaction_is_refused_when_writing(tx: Tx) -> None:
    assert refusal(encode_batch, one(Change(4, INSERT, ROW, [], None), tx)) == "bad_batch"


def business() -> bytes:
    """A small believable batch, encoded."""
    return encode_batch(Company().batch(30, (60, 35, 5)))


@given(edits=st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=9), st.integers(0, 9)), min_size=1, max_size=3))
@settings(max_examples=400)
def test_damaged_columns_are_refused_or_still_a_batch(edits: list[tuple[int, bytes, int]]) -> None:
    data = business()
    for place, new, length in edits:
        start = place % (len(data) + 1)
        data = data[:start] + new + data[start + length :]
    try:
        batch = decode_batch(data)
    except ExchangeError:
        return
    # Without a signature a changed value looks like any other; whatever is taken must be a batch that could be sent.
    assert decode_batch(encode_batch(batch)) == batch


def test_every_single_damaged_byte_of_a_packed_batch_is_refused_or_means_the_same() -> None:
    data = business()
    packed = compress(data)
    for place in range(len(packed)):
        for bit in (1, 16, 128):
            damaged = bytearray(packed)
            damaged[place] ^= bit
            with suppress(ExchangeError):
                assert decompress(bytes(damaged)) == data


def test_a_packed_batch_cut_or_lengthened_is_refused() -> None:
    packed = compress(business())
    assert {refusal(decompress, packed[:length]) for length in range(len(packed))} == {"bad_batch"}
    assert refusal(decompress, packed + b"\0") == "bad_batch"
    assert refusal(decompress, packed + packed) == "bad_batch"


def test_a_bomb_stops_at_the_limit() -> None:
    bomb = compress(bytes(400 << 20))
    assert len(bomb) < 40_000
    assert refusal(decompress, bomb, max_output=1 << 20) == "batch_too_large"
    assert refusal(decompress, compress(b"12345"), max_output=4) == "batch_too_large"
    assert decompress(compress(b"12345"), max_output=5) == b"12345"


def test_a_frame_that_wants_a_huge_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    assert refusal(decompress, packer.compress(b"x") + packer.flush()) == "bad_batch"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 200_000,
        b"\x81\xa1x" * 100_000,
        b"\x9f\x01" + b"\x91" * 100_000,
        b"\xc6\xff\xff\xff\xff",
    ],
)
def test_deep_or_endless_msgpack_is_refused(data: bytes) -> None:
    assert refusal(decode_batch, data) == "bad_batch"


def altered(**changes: Any) -> bytes:
    """A batch whose columns were tampered with."""
    wire = codec._to_wire(one(Change(4, INSERT, ROW, [(1, 5)], None)))
    return msgspec.msgpack.encode(msgspec.structs.replace(wire, **changes))


def test_counts_that_promise_too_much_are_refused() -> None:
    many, values = codec._pack([200_001]), codec._pack([200_000])
    wide = codec._Group(4, INSERT, list(range(100)), [codec._Column(b"\0", b"", "", b"", [])] * 100)
    assert refusal(decode_batch, altered(tx_size=many)) == "bad_batch"
    assert refusal(decode_batch, altered(tx_count=200_001)) == "bad_batch"
    assert refusal(decode_batch, altered(tx_size=values, order=b"\0", groups=[wide], prev_origin=b"\0")) == "bad_batch"
    assert refusal(decode_batch, altered(tx_size=codec._pack([2**63 - 1]))) == "bad_batch"
    assert refusal(decode_batch, altered(pks=b"")) == "bad_batch"
    assert refusal(decode_batch, altered(groups=[])) == "bad_batch"
    assert refusal(decode_batch, altered(version=2)) == "bad_batch"


@pytest.mark.parametrize(
    "column",
    [
        codec._Column(b"\5", b"", "", b"", []),
        codec._Column(b"", b"", "", b"", []),
        codec._Column(b"\1", b"", "", b"", []),
        codec._Column(b"\1", b"\x09" + bytes(9), "", b"", []),
        codec._Column(b"\1", b"\x08" + b"\xff" * 8, "", b"", []),
        codec._Column(b"\1\1", codec._pack([1, 2]), "", b"", []),
        codec._Column(b"\2", b"", "two\0texts", b"", []),
        codec._Column(b"\0", b"", "more", b"", []),
        codec._Column(b"\3", b"", "", b"short", []),
        codec._Column(b"\4", b"", "", b"", []),
        codec._Column(b"\2", b"", "one", b"", [], 3),
        codec._Column(b"\2\2", b"", "onetwo", b"", [], 2),
        codec._Column(b"\2\2", b"", "on\0two", b"", [], 3),
        codec._Column(b"\2\2", b"", "一二三四", b"", [], 2),
        codec._Column(b"\2\2", b"", "x" * 130, b"", [], 65),
        codec._Column(b"\2\2", b"", "", b"", [], -1),
        codec._Column(b"\0", b"", "", b"", [], 1),
    ],
)
def test_a_column_that_does_not_hold_what_it_promises_is_refused(column: codec._Column) -> None:
    assert refusal(decode_batch, altered(groups=[codec._Group(4, INSERT, [1], [column])])) == "bad_batch"


def of_texts(texts: list[str]) -> Batch:
    """New rows of one column."""
    changes = [Change(4, INSERT, n.to_bytes(16), [(1, text)], None) for n, text in enumerate(texts, 1)]
    return Batch([(1, 7)], [Tx(0, 1, len(changes), 1 << 16, 1 << 16, None, 0)], changes)


@pytest.mark.parametrize(
    ("texts", "width"),
    [
        ([f"138{n * 7919:08d}" for n in range(40)], 11),
        ([f"2026-12-01T09:{n:02d}:12.123Z" for n in range(40)], 24),
        ([chr(n) for n in range(33, 73)], 1),
        ([f"{n:064d}" for n in range(40)], 64),
        ([f"{n:065d}" for n in range(40)], 0),
        ([f"{n:08d}" for n in range(9)], 0),  # few
        ([f"{n % 4:032d}" for n in range(40)], 0),  # the same ones again
        (["中文"] * 20 + ["ab"] * 20, 0),
        ([""] * 40, 0),
    ],
)
def test_texts_of_one_length_travel_by_place_and_come_back_as_they_were(texts: list[str], width: int) -> None:
    batch = of_texts(texts)
    assert codec._to_wire(batch).groups[0].data[0].width == width
    assert list(decode_batch(encode_batch(batch)).changes) == batch.changes


def test_by_place_only_what_varies_takes_room() -> None:
    rng = Random(3)
    numbers = [f"138{rng.randrange(10**8):08d}" for _ in range(2_000)]
    other = [*numbers[1:], numbers[0] + "0"]  # one is longer, so they are joined
    assert len(compress(encode_batch(of_texts(numbers)))) < 0.9 * len(compress(encode_batch(of_texts(other))))


def test_a_mixed_batch_stays_under_fifty_five_bytes_a_change() -> None:
    sizes = measure(2_000)
    assert sizes["mixed"] < 55
    assert sizes["delete"] < sizes["update"] < sizes["insert"]
