"""A batch of changes as columns: what an exchange carries over the network and in a file.

Values of one column lie side by side, stamps and numbers are written as differences, so that zstd finds what repeats. The shapes
that travel are these; the merge reads and the extraction writes nothing else.

``Batch.origins``   list of ``(node_no, epoch)``: u16, u64. Everything else names an origin by its index in this list.
``Batch.txs``       list of ``Tx``, in the order in which they are to be applied.
``Batch.changes``   ``Change``s, flat: the first ``txs[0].count`` belong to the first transaction, and so on. The n-th change of a
                    transaction has the identity ``(tx.origin, tx.first_oseq + n)``; a hole in the numbers needs a new ``Tx``. A writer
                    fills a list; what was decoded stays in columns (``Changes``) and becomes objects one by one, where it is asked for.

``Change.values`` is always a list of tuples, in the order in which they were written, no column twice:

========  ==========================================  =========================================
op        tuple                                       meaning
========  ==========================================  =========================================
INSERT    ``(column_no, value)``                      the row as it was inserted
UPDATE    ``(column_no, old, new)``                   the columns that changed
DELETE    ``(column_no, old, new)``, usually none     hidden; the row is kept
UNDELETE  ``(column_no, old, new)``, usually none     shown again
GONE      ``(column_no, value)``                      the row as it was when it was physically removed
========  ==========================================  =========================================

A value is ``None``, an ``int`` of 64 signed bits, a ``str`` without NUL or lone surrogates, or ``bytes``; never float or bool.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, count, starmap
from operator import sub
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, overload

import msgspec
from msgspec import Meta, Struct

from localcrm.kernel.collector import collector_at_rest
from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_

if TYPE_CHECKING:
    from typing import TypeAlias

INSERT, UPDATE, DELETE, UNDELETE, GONE = 1, 2, 3, 4, 5

Value: TypeAlias = "int | str | bytes | None"
#: A list of these is ``Change.values``; the module's docstring says which op has which.
Pair: TypeAlias = "tuple[int, Value]"
Triple: TypeAlias = "tuple[int, Value, Value]"
Origin: TypeAlias = "tuple[int, int]"

MAX_CHANGES = 200_000
MAX_VALUES = 4_000_000
MAX_TEXT = 8 << 20
#: A decoded batch is at most this long before it becomes objects; HTTP and bundles pass it to ``decompress``.
MAX_BATCH = 64 << 20
MAX_WINDOW = 8 << 20
MAX_COLUMNS = 2_000
#: Of zstd, for all that travels: half a microsecond a change more than its usual 3, and 3 to 4 in a hundred bytes less.
LEVEL = 6
#: Packed bytes unpacked at a time: few enough that even the densest frame cannot overshoot the limit by more than 16 MiB.
_SIP = 512
#: Texts that are written place by place are at least so many, and have at most so many characters.
_MANY, _WIDEST = 32, 64
_VERSION = 1
_PAIRS = frozenset((INSERT, GONE))
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


class Tx(NamedTuple):
    """One business transaction: ``count`` changes of one origin, numbered from ``first_oseq``."""

    origin: int
    """Index into ``Batch.origins``."""
    first_oseq: int
    """1 or more."""
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a transaction
    """1 or more."""
    hlc: int
    """Stamp given by the node that wrote it."""
    eff_hlc: int
    """Stamp that counts: differs from ``hlc`` where head office lowered it."""
    actor: bytes | None
    """Id of the user, 16 bytes."""
    hseq: int
    """Number given by head office; 0 where it has none yet."""


class Change(NamedTuple):
    """One change of one row; a plain tuple of these five is as good."""

    table: int
    op: int
    pk: bytes
    """16 bytes."""
    values: list[Any]
    """``list[Pair]`` or ``list[Triple]``, as ``op`` says; the type checker cannot know which."""
    prev: tuple[int, int] | None
    """Identity of the change that this one overwrote: index into ``Batch.origins``, oseq."""


@dataclass(frozen=True, slots=True)
class Group:
    """The changes of one table with one op and one list of columns; the n-th values of all columns are those of its n-th change."""

    table: int
    op: int
    size: int
    """How many changes."""
    columns: tuple[int, ...]
    old: Sequence[Sequence[Value]]
    """One per column; empty for pairs."""
    new: Sequence[Sequence[Value]]
    """One per column; for pairs their values."""

    def values(self, place: int) -> list[Any]:
        """``Change.values`` of one change."""
        return list(zip(self.columns, *([column[place] for column in side] for side in (self.old, self.new) if side), strict=True))

    def part(self, place: int, size: int) -> Group:
        """So many of its changes, from one on."""
        old, new = ([column[place : place + size] for column in side] for side in (self.old, self.new))
        return Group(self.table, self.op, size, self.columns, old, new)


class Changes(Sequence[Change]):
    """Changes in columns, in their order; what they say of each other is read without building them."""

    __slots__ = ("groups", "order", "pks", "places", "prevs")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, groups: list[Group], order: list[int], pks: list[bytes], prevs: list[tuple[int, int] | None]) -> None:
        self.groups, self.order, self.pks, self.prevs = groups, order, pks, prevs
        #: For each change which one of its group it is.
        self.places: list[int] = list(map(next, map([count() for _ in groups].__getitem__, order)))

    @classmethod
    def of(cls, changes: Sequence[Change]) -> Changes:
        """The same changes in columns; raises ExchangeError for shapes that cannot travel."""
        if isinstance(changes, Changes):
            return changes
        tables, ops, pks, values, prevs = _columns(changes, 5)
        return cls(*_group(tables, ops, values), list(pks), list(prevs))

    def part(self, first: int, after: int) -> Changes:
        """Those from one to before another, as they would be had they come alone."""
        order = self.order[first:after]
        sizes = Counter(order)
        begins = dict(zip(reversed(order), reversed(self.places[first:after]), strict=True))
        groups = [self.groups[number].part(begins[number], size) for number, size in sizes.items()]
        numbers = {number: place for place, number in enumerate(sizes)}
        return Changes(groups, [numbers[number] for number in order], self.pks[first:after], self.prevs[first:after])

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> list[Change]: ...
    def __getitem__(self, index: int | slice) -> Change | list[Change]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        group = self.groups[self.order[index]]
        return Change(group.table, group.op, self.pks[index], group.values(self.places[index]), self.prevs[index])

    def __len__(self) -> int:
        return len(self.order)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return repr(list(self))


@dataclass(slots=True)
class Batch:
    """What one message carries; the module's docstring gives the shapes."""

    origins: list[Origin] = field(default_factory=list)
    txs: list[Tx] = field(default_factory=list)
    changes: Sequence[Change] = field(default_factory=list)


@collector_at_rest()
def encode_batch(batch: Batch) -> bytes:
    """The batch as columns, not yet compressed; raises ExchangeError ``bad_batch`` for what may not travel."""
    try:
        data = msgspec.msgpack.encode(_to_wire(batch))
        # What we write passes the gate that the receiver holds it to.
        _DECODER.decode(data)
    except (msgspec.MsgspecError, TypeError, ValueError, LookupError, OverflowError) as error:
        _refuse(str(error), error)
    if len(data) > MAX_BATCH:
        _refuse("too long")
    return data


@collector_at_rest()
def decode_batch(data: bytes) -> Batch:
    """The batch exactly as it was encoded; raises ExchangeError ``bad_batch`` for anything that no ``encode_batch`` has written."""
    if len(data) > MAX_BATCH:
        _refuse("too long")
    try:
        return _from_wire(_DECODER.decode(data))
    except (msgspec.MsgspecError, TypeError, ValueError, LookupError, OverflowError, RecursionError) as error:
        _refuse(str(error), error)


def compress(data: bytes) -> bytes:
    """One zstd frame, which needs a window of at most 8 MiB to read."""
    import zstandard

    return zstandard.ZstdCompressor(LEVEL, write_content_size=False, write_checksum=True).compress(data)


def decompress(data: bytes, *, max_output: int = MAX_BATCH) -> bytes:
    """What ``compress`` was given; raises ExchangeError ``batch_too_large`` beyond ``max_output`` and ``bad_batch`` for other data."""
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
    pieces, total = [], 0
    try:
        for start in range(0, len(data), _SIP):
            if unpacker.eof:
                _refuse("too long")
            pieces.append(unpacker.decompress(data[start : start + _SIP]))
            total += len(pieces[-1])
            if total > max_output:
                _refuse_size(max_output)
    except zstandard.ZstdError as error:
        _refuse(str(error), error)
    if not unpacker.eof or unpacker.unused_data:
        _refuse("lengths differ")
    return b"".join(pieces)


# --- what travels ---------------------------------------------------------------------------------------------------

_Small = Annotated[int, Meta(ge=0, le=65_535)]
#: Fields that companies add have numbers up to this (``kernel.custom``).
_ColumnNo = Annotated[int, Meta(ge=0, le=2**40)]


class _Column(Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """The values of one column of one group, sorted into one stream per kind of value."""

    kinds: bytes
    """One byte per value, or a single byte where all are of one kind: 0 None, 1 int, 2 str, 3 bytes of 16, 4 other bytes."""
    ints: bytes
    texts: str
    """Joined by NUL, which no text may hold; or as ``width`` says."""
    ids: bytes
    blobs: list[Annotated[bytes, Meta(max_length=MAX_TEXT)]]
    width: Annotated[int, Meta(ge=0, le=_WIDEST)] = 0
    """Where every text has so many characters, all of them ASCII: all first characters, then all second ones, and so on. Of moments, numbers
    and telephone numbers few places vary, and zstd sees which."""


class _Group(Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """The changes of one table with one op and one list of columns."""

    table: _Small
    op: Annotated[int, Meta(ge=INSERT, le=GONE)]
    columns: Annotated[list[_ColumnNo], Meta(max_length=MAX_COLUMNS)]
    data: Annotated[list[_Column], Meta(max_length=2 * MAX_COLUMNS)]
    """One per column; for triples the old values of every column, then the new values of every column."""


class _Wire(Struct, array_like=True, forbid_unknown_fields=True):
    """A batch. Fields of bytes hold numbers written by ``_pack``, except ``actors`` and ``pks``: ids, end to end."""

    version: Annotated[int, Meta(ge=_VERSION, le=_VERSION)]
    origins: Annotated[list[tuple[_Small, int]], Meta(max_length=65_536)]
    actors: bytes
    tx_count: Annotated[int, Meta(ge=0, le=MAX_CHANGES)]
    tx_origin: bytes
    tx_oseq: bytes
    """First number, less the number expected next of that origin."""
    tx_size: bytes
    tx_time: bytes
    """Milliseconds of the stamp; its counter stands apart, because it starts again with each millisecond."""
    tx_counter: bytes
    tx_lowered: bytes
    """``hlc - eff_hlc``."""
    tx_actor: bytes
    """0 for none, else one more than the index into ``actors``."""
    tx_hseq: bytes
    groups: Annotated[list[_Group], Meta(max_length=MAX_CHANGES)]
    order: bytes
    """For each change the index of its group; it is the next change of that group."""
    pks: bytes
    prev_origin: bytes
    """0 for none, else one more than the index into ``origins``."""
    prev_oseq: bytes
    """For each change that has a predecessor: its own number less the predecessor's."""


_DECODER = msgspec.msgpack.Decoder(_Wire)


def _to_wire(batch: Batch) -> _Wire:
    txs = [Tx(*tx) for tx in batch.txs]
    tables, ops, pks, values, prevs = _columns(batch.changes, 5)
    _check(batch.origins, txs, prevs)
    if any(len(pk) != 16 for pk in pks):
        _refuse("an id is not 16 bytes")
    actors = {actor: number for number, actor in enumerate(dict.fromkeys(tx.actor for tx in txs if tx.actor is not None), 1)}
    groups, order = _group(tables, ops, values)
    wire_groups = [_Group(group.table, group.op, list(group.columns), list(map(_column, [*group.old, *group.new]))) for group in groups]
    for group in wire_groups:
        _check_group(group)
    return _Wire(
        version=_VERSION,
        origins=batch.origins,
        actors=b"".join(actors),
        tx_count=len(txs),
        tx_origin=_pack([tx.origin for tx in txs]),
        tx_oseq=_pack(_surprises(txs)),
        tx_size=_pack([tx.count for tx in txs]),
        tx_time=_pack([tx.hlc >> 16 for tx in txs]),
        tx_counter=_pack([tx.hlc & 0xFFFF for tx in txs]),
        tx_lowered=_pack([tx.hlc - tx.eff_hlc for tx in txs]),
        tx_actor=_pack([0 if tx.actor is None else actors[tx.actor] for tx in txs]),
        tx_hseq=_pack([tx.hseq for tx in txs]),
        groups=wire_groups,
        order=_pack(order),
        pks=b"".join(pks),
        prev_origin=_pack([0 if prev is None else prev[0] + 1 for prev in prevs]),
        prev_oseq=_pack([oseq - prev[1] for oseq, prev in zip(_numbers(txs), prevs, strict=True) if prev is not None]),
    )


def _from_wire(wire: _Wire) -> Batch:
    txs = _read_txs(wire)
    total = sum(tx.count for tx in txs)
    if total > MAX_CHANGES or min((tx.count for tx in txs), default=1) < 1:
        _refuse("too many changes")
    prevs = _read_prevs(wire, txs, total)
    _check(wire.origins, txs, prevs)
    order, pks = _unpack(wire.order, total), _split(wire.pks)
    if len(pks) != total:
        _refuse("lengths differ")
    return Batch(wire.origins, txs, Changes(_read_groups(wire.groups, order), order, pks, prevs))


def _check(origins: Sequence[Origin], txs: Sequence[Tx], prevs: Sequence[tuple[int, int] | None]) -> None:
    """The rules that the types do not tell."""
    if any(not 0 <= epoch < 2**64 for _, epoch in origins):
        _refuse("an epoch is out of range")
    known = range(len(origins))
    for tx in txs:
        if tx.origin not in known or tx.first_oseq < 1 or tx.count < 1 or tx.first_oseq + tx.count > _INT_MAX:
            _refuse("a transaction is numbered wrongly")
        if not (0 <= tx.hlc <= _INT_MAX and 0 <= tx.eff_hlc <= _INT_MAX and 0 <= tx.hseq <= _INT_MAX):
            _refuse("a stamp is out of range")
        if tx.actor is not None and len(tx.actor) != 16:
            _refuse("an id is not 16 bytes")
    if any(prev is not None and (prev[0] not in known or not 1 <= prev[1] <= _INT_MAX) for prev in prevs):
        _refuse("a predecessor is numbered wrongly")
    if sum(tx.count for tx in txs) != len(prevs) or len(prevs) > MAX_CHANGES:
        _refuse("the transactions do not cover the changes")


# --- transactions ---------------------------------------------------------------------------------------------------


def _surprises(txs: Sequence[Tx]) -> list[int]:
    """How far each first number is from the one expected next of its origin; mostly 0."""
    expected: dict[int, int] = {}
    surprises = []
    for tx in txs:
        surprises.append(tx.first_oseq - expected.get(tx.origin, 0))
        expected[tx.origin] = tx.first_oseq + tx.count
    return surprises


def _first_oseqs(origins: list[int], surprises: list[int], counts: list[int]) -> list[int]:
    """The opposite of ``_surprises``."""
    expected: dict[int, int] = {}
    firsts = []
    for origin, surprise, size in zip(origins, surprises, counts, strict=True):
        first = expected.get(origin, 0) + surprise
        firsts.append(first)
        expected[origin] = first + size
    return firsts


def _read_txs(wire: _Wire) -> list[Tx]:
    n = wire.tx_count
    origins, counts = _unpack(wire.tx_origin, n), _unpack(wire.tx_size, n)
    firsts = _first_oseqs(origins, _unpack(wire.tx_oseq, n), counts)
    hlcs = [time << 16 | counter for time, counter in zip(_unpack(wire.tx_time, n), _unpack(wire.tx_counter, n), strict=True)]
    lowered = map(sub, hlcs, _unpack(wire.tx_lowered, n))
    known = dict(enumerate(_split(wire.actors), 1))
    actors = [known[index] if index else None for index in _unpack(wire.tx_actor, n)]
    return list(starmap(Tx, zip(origins, firsts, counts, hlcs, lowered, actors, _unpack(wire.tx_hseq, n), strict=True)))


def _numbers(txs: Sequence[Tx]) -> Iterator[int]:
    """The own number of every change."""
    return chain.from_iterable(range(tx.first_oseq, tx.first_oseq + tx.count) for tx in txs)


def _read_prevs(wire: _Wire, txs: Sequence[Tx], total: int) -> list[tuple[int, int] | None]:
    origins = _unpack(wire.prev_origin, total)
    distances = iter(_unpack(wire.prev_oseq, total - origins.count(0)))
    return [(origin - 1, oseq - next(distances)) if origin else None for origin, oseq in zip(origins, _numbers(txs), strict=True)]


# --- groups of changes with the same columns ---------------------------------------------------------------------------


def _group(tables: Sequence[int], ops: Sequence[int], values: Sequence[list[Any]]) -> tuple[list[Group], list[int]]:
    """The groups in order of first appearance, and for each change the index of its group."""
    found: dict[tuple[int, int, tuple[int, ...]], tuple[int, list[list[tuple[Value, ...]]]]] = {}
    order = []
    for table, op, row in zip(tables, ops, values, strict=True):
        width = 2 if op in _PAIRS else 3
        columns, *parts = zip(*row, strict=True) if row else ((),) * width
        if len(parts) != width - 1:
            _refuse("a change has values of another shape than its kind")
        key = (table, op, columns)
        entry = found.get(key)
        if entry is None:
            entry = found[key] = (len(found), [[] for _ in parts])
        order.append(entry[0])
        for rows, part in zip(entry[1], parts, strict=True):
            rows.append(part)
    sizes, groups = Counter(order), []
    for (table, op, numbers), (index, rows_of_sides) in found.items():
        sides: list[list[tuple[Value, ...]]] = [list(zip(*rows, strict=True)) for rows in rows_of_sides]
        groups.append(Group(table, op, sizes[index], numbers, sides[-2] if len(sides) > 1 else [], sides[-1]))
    return groups, order


def _read_groups(groups: list[_Group], order: list[int]) -> list[Group]:
    sizes = Counter(order)
    if sizes.keys() != set(range(len(groups))):
        _refuse("a group is missing")
    if sum(sizes[index] * len(group.data) for index, group in enumerate(groups)) > MAX_VALUES:
        _refuse("too many values")
    return [_read_group(group, sizes[index]) for index, group in enumerate(groups)]


def _read_group(group: _Group, n: int) -> Group:
    """A group of ``n`` changes."""
    _check_group(group)
    data = [_values(column, n) for column in group.data]
    olds = 0 if group.op in _PAIRS else len(group.columns)
    return Group(group.table, group.op, n, tuple(group.columns), data[:olds], data[olds:])


def _check_group(group: _Group) -> None:
    if len(set(group.columns)) != len(group.columns) or len(group.data) != len(group.columns) * (1 if group.op in _PAIRS else 2):
        _refuse("a change names a column twice")


# --- values of one column -------------------------------------------------------------------------------------------

_NONE, _INT, _STR, _ID, _BLOB = range(5)
_KINDS: dict[type, int] = {type(None): _NONE, int: _INT, str: _STR, bytes: _BLOB}


def _column(values: Sequence[Value]) -> _Column:
    kinds = _kinds(values)
    streams: list[list[Any]] = [[] for _ in range(5)]
    if len(kinds) == 1:
        streams[kinds[0]].extend(values)
    else:
        for kind, value in zip(kinds, values, strict=True):
            streams[kind].append(value)
    texts = "\0".join(streams[_STR])
    if texts.count("\0") != max(0, len(streams[_STR]) - 1):
        _refuse("a text holds a NUL character")
    _check_lengths(streams[_STR], texts)
    width = _width(streams[_STR])
    if width:
        texts = "".join(streams[_STR])
        texts = "".join(texts[place::width] for place in range(width))
    return _Column(kinds, _pack(streams[_INT]), texts, b"".join(streams[_ID]), streams[_BLOB], width)


def _width(texts: Sequence[str]) -> int:
    """How many characters each of many plain texts has; 0 where that differs, or where texts come again: zstd finds those whole."""
    width = len(texts[0]) if len(texts) >= _MANY else 0
    is_plain = 0 < width <= _WIDEST and set(map(len, texts)) == {width} and all(map(str.isascii, texts))
    return width if is_plain and len(set(texts)) * 10 > len(texts) else 0


def _read_texts(column: _Column, n: int) -> list[str]:
    width = column.width
    if not width:
        return column.texts.split("\0") if n else []
    if n < 2 or len(column.texts) != n * width or not column.texts.isascii() or "\0" in column.texts:
        _refuse("lengths differ")
    places, texts = column.texts.encode(), bytearray(n * width)
    for place in range(width):
        texts[place::width] = places[place * n : (place + 1) * n]
    whole = texts.decode()
    return [whole[start : start + width] for start in range(0, len(whole), width)]


def _kinds(values: Sequence[Value]) -> bytes:
    """One byte per value, or a single one where all are of one kind; a KeyError for a type that may not travel."""
    kinds = bytearray(map(_KINDS.__getitem__, map(type, values)))
    if _BLOB in kinds:
        for place, value in enumerate(values):
            if isinstance(value, bytes) and len(value) == 16:
                kinds[place] = _ID
    return bytes(kinds[:1] if kinds.count(kinds[0]) == len(kinds) else kinds)


def _values(column: _Column, n: int) -> Sequence[Value]:
    """The ``n`` values of a column; every stream must hold exactly what ``kinds`` promises."""
    kinds = column.kinds * n if len(column.kinds) == 1 else column.kinds
    count = [kinds.count(kind) for kind in range(5)]
    ints = _unpack(column.ints, count[_INT])
    texts = _read_texts(column, count[_STR])
    ids = _split(column.ids)
    _check_lengths(texts, column.texts)
    found = [count[_NONE], len(ints), len(texts), len(ids), len(column.blobs)]
    if len(kinds) != n or sum(count) != n or found != count or (column.texts and not texts):
        _refuse("lengths differ")
    streams: list[Sequence[Value]] = [[None] * count[_NONE], ints, texts, ids, column.blobs]
    if n in count:
        return streams[count.index(n)]
    sources = [iter(stream) for stream in streams]
    return list(map(next, map(sources.__getitem__, kinds)))


def _check_lengths(texts: list[str], joined: str) -> None:
    if len(joined) > MAX_TEXT // 4 and any(len(text.encode()) > MAX_TEXT for text in texts):
        _refuse("a text is too long")


def _split(ids: bytes) -> list[bytes]:
    if len(ids) % 16:
        _refuse("an id is not 16 bytes")
    return [ids[start : start + 16] for start in range(0, len(ids), 16)]


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> tuple[Any, ...]:
    return tuple(zip(*rows, strict=True)) or ((),) * width


# --- numbers --------------------------------------------------------------------------------------------------------
# One byte of form: how many bytes each number takes (0 to 8), plus _FOLDED where negative numbers are among them
# (0, -1, 1, -2 ... become 0, 1, 2, 3 ...), plus _STEPS where the first number (8 bytes) and the differences are written.
# Then all lowest bytes, all second bytes, and so on: the high ones hardly vary and vanish in compression.

_FOLDED, _STEPS = 0x10, 0x20


def _pack(numbers: Sequence[int]) -> bytes:
    """Any 64-bit signed numbers."""
    if not numbers:
        return b""
    if min(numbers) < _INT_MIN or max(numbers) > _INT_MAX:
        _refuse("a number has more than 64 bits")
    form, folded = _fold(numbers)
    step_form, steps = _fold(list(map(sub, numbers[1:], numbers)))
    if step_form & 0xF < form & 0xF:
        return bytes([step_form | _STEPS]) + numbers[0].to_bytes(8, "big", signed=True) + _to_planes(steps, step_form & 0xF)
    return bytes([form]) + _to_planes(folded, form & 0xF)


def _unpack(data: bytes, n: int) -> list[int]:
    """The opposite of ``_pack``; refuses unless there are exactly ``n`` numbers of 64 signed bits."""
    if not n:
        return [] if not data else _refuse("lengths differ")
    form, start = data[0], 1
    first = []
    if form & _STEPS:
        first, start, n = [int.from_bytes(data[1:9], "big", signed=True)], 9, n - 1
    width = form & 0xF
    if form > 0x3F or width > 8 or len(data) != start + n * width:
        _refuse("lengths differ")
    numbers = _from_planes(data, start, n, width)
    if form & _FOLDED:
        numbers = [number >> 1 ^ -(number & 1) for number in numbers]
    if first:
        numbers = list(accumulate(chain(first, numbers)))
    if min(numbers) < _INT_MIN or max(numbers) > _INT_MAX:
        _refuse("a number has more than 64 bits")
    return numbers


def _fold(numbers: Sequence[int]) -> tuple[int, Sequence[int]]:
    """The form, and the numbers without signs."""
    if not numbers:
        return 0, numbers
    sign = 0
    if min(numbers) < 0:
        sign, numbers = _FOLDED, [number << 1 ^ number >> 64 for number in numbers]
    return -(-max(numbers).bit_length() // 8) | sign, numbers


def _to_planes(numbers: Sequence[int], width: int) -> bytes:
    words = array("Q", numbers)
    if sys.byteorder == "big":
        words.byteswap()
    raw = words.tobytes()
    return b"".join(raw[place::8] for place in range(width))


def _from_planes(data: bytes, start: int, n: int, width: int) -> list[int]:
    raw = bytearray(8 * n)
    for place in range(width):
        raw[place::8] = data[start + place * n : start + (place + 1) * n]
    words = array("Q", bytes(raw))
    if sys.byteorder == "big":
        words.byteswap()
    return words.tolist()


def _refuse(reason: str, cause: BaseException | None = None) -> NoReturn:
    raise ExchangeError(
        "bad_batch", N_("A message of the exchange is damaged ({reason}) and was refused. Nothing of it was applied."), reason=reason[:200]
    ) from cause


def _refuse_size(limit: int) -> NoReturn:
    raise ExchangeError(
        "batch_too_large",
        N_("A message of the exchange unpacks to more than the permitted {limit} MB and was refused. Nothing of it was applied."),
        limit=limit >> 20,
    )
