"""What may become of an exchange file, by seed: damaged on the road, or made by an enrolled node that means harm.

A file damaged on the road differs in some byte from what was signed; every one must be refused. One that an enrolled node
has made is signed and sealed as it should be, so what is wrong in it reaches messages, batches and the merge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from localcrm.kernel.custom import FieldType, first_number
from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.schema import entities, entity
from localcrm.store.migrate import SCHEMA_VERSION
from localcrm.sync import bundle, codec, exchange
from localcrm.sync.bundle import BundleFacts, Recipient, write_bundle
from localcrm.sync.codec import Batch, Change
from localcrm.sync.messages import Changes as Portion, Hello, Message, Push, encode
from tests.factories import Company, Installation

_CUSTOMER, _FIELD = entity("customer"), entity("custom_field")
_NAME = _CUSTOMER.fields["name"].no
#: Values at the borders of every type, and what no program of ours would write.
NASTY: list[Any] = [
    None, 0, 1, -1, 2**63 - 1, -(2**63), 10**15 + 1, 253_402_300_800_000, "", "x", "甲" * 300, "posted", "draft", "bogus",
    "2026-02-30", "9999-12-31", "{}", b"", b"short", bytes(16), b"\xff" * 16, bytes(100),
]  # fmt: skip
NASTY_PARTS: list[Any] = [None, True, 1.5, float("nan"), 2**64 - 1, -(2**63), "", b"", [], {}, [[[]]], "\0", b"\xff" * 33, -1]
DEEP = [b"\x91" * 100_000, b"\x81\xa1x" * 50_000, b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc1"]


@dataclass
class Sample:
    """A company at work, and what its first branch has to tell."""

    company: Company
    batch: Batch
    """Everything BR01 has not sent yet."""
    genuine: list[bytes]
    """Files as they should be: from BR01, from BR02, and from head office."""
    foreign: list[tuple[int, bytes]]
    """Table and id of records that BR01 may not touch: head office's, another branch's, posted ones."""

    @property
    def hq(self) -> Installation:
        """Head office."""
        return self.company.hq


def sample(company: Company) -> Sample:
    """Let a branch do some of everything."""
    hq, one, two = company.hq, company.branches["BR01"], company.branches["BR02"]
    known = [hq.new("customer", name=f"{word}公司", phone="1") for word in "甲乙丙"]
    product, _warehouse = hq.new("product", code="P", name="布", price="9"), hq.new("warehouse", code="W", name="仓")
    company.exchange()
    theirs = two.order(known[0], product, product)
    two.run("sales.post_order", order_id=two.order(known[1], product))
    one.run("sales.post_order", order_id=one.order(known[2], product))
    company.exchange()
    two.set("sales_order", theirs, remark="y")
    company.exchange()
    new = one.new("customer", name="丁公司", phone="2", address="上海", credit_limit="100.00")
    one.new("contact", customer_id=known[0], name="王")
    one.set("customer", known[0], phone="3", credit_limit="5.00")
    one.delete("customer", one.new("customer", name="戊公司"))
    one.new("activity", customer_id=known[1], content="电话")
    draft = one.order(new, product, product)
    line = one.run("sales.order_with_lines", order_id=draft)["lines"][0]["id"]
    one.run("sales.save_order", order_id=draft, header={"remark": "x"}, lines=[{"id": line, "quantity": "3"}])
    one.run("sales.post_order", order_id=draft)
    hq.set("customer", known[1], phone="9")
    push = next(exchange.pushes(one.store))
    genuine = [_genuine(company, *who) for who in (("BR01", "up"), ("BR02", "up"), ("BR01", "down"))]
    return Sample(company, codec.decode_batch(push.batch), genuine, _foreign(hq))


def _foreign(hq: Installation) -> list[tuple[int, bytes]]:
    theirs = "(SELECT id FROM sales_order WHERE branch_id = (SELECT id FROM branch WHERE code = 'BR02') OR status = 'posted')"
    wanted = {
        "sales_order": f"id IN {theirs}",
        "sales_order_line": f"order_id IN {theirs}",
        "stock_move": "1",
        "branch": "1",
        "policy": "1",
        "user": "login = 'admin'",
    }
    return [
        (entity(key).no, row[0]) for key, limit in wanted.items() for row in hq.rows(f'SELECT id FROM "{key}" WHERE {limit} ORDER BY rid')
    ]


def _genuine(company: Company, code: str, way: str) -> bytes:
    from localcrm.sync import node_sync

    path, branch = company.folder / "genuine", company.branches[code]
    node = branch if way == "up" else company.hq
    node_sync.pack(node.store, node.keys, path, for_code=None if way == "up" else code)
    return path.read_bytes()


# on the road --------------------------------------------------------------------------------------------------------------


def damaged(made: Sample, rng: Random) -> bytes:
    """A file that is not what its sender signed; never a genuine one."""
    while True:
        data = rng.choice(_DAMAGES)(made, rng)
        if data not in made.genuine:
            return data


def _flip(made: Sample, rng: Random) -> bytes:
    data = bytearray(made.genuine[0])
    for _n in range(rng.choice([1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _cut(made: Sample, rng: Random) -> bytes:
    return made.genuine[0][: rng.randrange(len(made.genuine[0]))]


def _insert(made: Sample, rng: Random) -> bytes:
    data, place = made.genuine[0], rng.randrange(len(made.genuine[0]))
    return data[:place] + rng.randbytes(rng.randrange(1, 40)) + data[place + rng.choice([0, rng.randrange(40)]) :]


def parts(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Head, chunks with their lengths, trailer."""
    place = 8 + int.from_bytes(data[4:8])
    head, chunks = data[:place], []
    while place < len(data) - 100:
        length = 4 + int.from_bytes(data[place : place + 4])
        chunks.append(data[place : place + length])
        place += length
    return head, chunks, data[place:]


def _swap(made: Sample, rng: Random) -> bytes:
    """Head, chunks and trailer of different files, chunks in another order, doubled or left out."""
    (head, chunks, trailer), other = parts(made.genuine[0]), parts(rng.choice(made.genuine))
    chunks = rng.choice([chunks, other[1], [*chunks, *other[1]], chunks[:-1], [*chunks, chunks[-1]], rng.sample(chunks, len(chunks))])
    return rng.choice([head, other[0]]) + b"".join(chunks) + rng.choice([trailer, other[2]])


def _header(made: Sample, rng: Random) -> bytes:
    """Another sender, recipient, company, kind or length in the header."""
    head, chunks, trailer = parts(made.genuine[0])
    header = msgspec.msgpack.decode(head[8:])
    _spoil(header, rng)
    body = msgspec.msgpack.encode(header)
    length = rng.choice([len(body), len(body), rng.randrange(2**32)])
    return b"BSB1" + length.to_bytes(4) + body + b"".join(chunks) + trailer


def _lengths(made: Sample, rng: Random) -> bytes:
    """A chunk that promises more or less than follows."""
    head, chunks, trailer = parts(made.genuine[0])
    place = rng.randrange(len(chunks))
    chunks[place] = rng.choice([rng.randrange(2**32), 0, 2**32 - 1, len(chunks[place])]).to_bytes(4) + chunks[place][4:]
    return head + b"".join(chunks) + trailer


_DAMAGES: list[Callable[[Sample, Random], bytes]] = [_flip, _flip, _cut, _insert, _swap, _header, _lengths]


# by an enrolled node ------------------------------------------------------------------------------------------------------


def forged(made: Sample, rng: Random, path: Path) -> None:
    """BR01 writes a file for head office, with its own keys, that no program of ours would write."""
    one = made.company.branches["BR01"]
    facts = BundleFacts(
        hub_id=one.store.node.company_id,
        kind="up",
        sender_no=2,
        sender_epoch=int.from_bytes(one.store.node.epoch),
        schema_ver=SCHEMA_VERSION,
    )
    hello = msgspec.structs.replace(exchange.hello(one.store), recv_hseq=0)  # its real cursor has heard what head office never said
    said = [encode(hello), _spoiled_push(made, rng)]
    kind = rng.choice(["push", "push", "push", "push", "message", "hello", "facts", "frame"])
    if kind == "message":
        said[rng.randrange(2)] = rng.choice([*DEEP, _flipped(said[rng.randrange(2)], rng), said[1][: rng.randrange(1, len(said[1]))]])
    elif kind == "hello":
        said[0] = _spoiled_hello(hello, rng)
    elif kind == "facts":
        facts = msgspec.structs.replace(facts, **rng.choice([{"sender_no": 3}, {"sender_no": 1}, {"sender_epoch": 2**64 - 1}, {"kind": "snapshot"}, {"hub_id": bytes(16)}, {"schema_ver": 2**31}]))  # fmt: skip
    with _compressing(rng if kind == "frame" else None):
        write_bundle(path, said, facts=facts, keys=one.keys, recipients=[Recipient(1, made.hq.keys.public)])


def forged_down(made: Sample, rng: Random, path: Path) -> None:
    """Head office's keys were stolen: BR01 gets a file that its head office has signed and never meant."""
    hq, one = made.hq, made.company.branches["BR01"]
    cursor = one.value("SELECT recv_hseq FROM sync_peer WHERE node_no = 1")
    batch = _renumbered(made, rng)
    batch.origins = [(3, batch.origins[0][1]), *batch.origins[1:]]
    batch.txs = [tx._replace(hseq=cursor + 1 + n) for n, tx in enumerate(batch.txs)]
    portion = Portion(cursor, cursor + len(batch.changes), _encoded(_spoiled_batch(made, batch, rng), rng))
    peer = exchange.Peer(2, "BR01", cursor)
    said: list[Message] = [exchange.welcome(hq.store, peer), portion]
    facts = BundleFacts(hub_id=hq.store.node.company_id, kind="down", sender_no=1, sender_epoch=0, schema_ver=SCHEMA_VERSION)
    write_bundle(path, map(encode, said), facts=facts, keys=hq.keys, recipients=[Recipient(2, one.keys.public)])


@contextmanager
def _compressing(rng: Random | None) -> Iterator[None]:
    """With a generator: a frame that does not hold what frames hold, or unpacks to more than anybody wants."""
    honest = bundle._compress
    if rng is None:
        yield
        return
    import zstandard

    def compress(manifest: bytes, _messages: Any) -> Iterator[bytes]:
        tail = rng.choice([b"", b"\0\0\0\5abc", b"\xff\xff\xff\xff", bytes(4) + b"more", rng.randbytes(50)])
        if rng.random() < 0.05:  # a bomb
            tail = (40 << 20).to_bytes(4) + bytes(40 << 20)
        packed = zstandard.ZstdCompressor(level=1).compress(len(manifest).to_bytes(4) + manifest + tail)
        yield rng.choice([packed, packed[: rng.randrange(len(packed))], packed + b"x", _flipped(packed, rng)])

    bundle._compress = compress  # type: ignore[assignment]
    try:
        yield
    finally:
        bundle._compress = honest


def _spoiled_push(made: Sample, rng: Random) -> bytes:
    return encode(Push(_encoded(_spoiled_batch(made, _renumbered(made, rng), rng), rng)))


def _renumbered(made: Sample, rng: Random) -> Batch:
    """The branch's work once more, as its next: other ids, and the numbers that head office waits for."""
    batch = made.batch
    first = batch.txs[0].first_oseq
    have = made.hq.value("SELECT have_oseq FROM sync_origin WHERE node_no = 2 AND epoch = ?", batch.origins[0][1].to_bytes(8))
    shift, veil = have + 1 - first, rng.randbytes(16)
    new = {change.pk: bytes(a ^ b for a, b in zip(change.pk, veil, strict=True)) for change in batch.changes if change.op == codec.INSERT}

    def again(change: Change) -> Change:
        values = [(value[0], *(new.get(part, part) if isinstance(part, bytes) else part for part in value[1:])) for value in change.values]
        origin, number = change.prev or (0, 0)
        prev = (origin, number + shift) if change.prev and origin == 0 and number >= first else change.prev
        return Change(change.table, change.op, new.get(change.pk, change.pk), values, prev)

    stamp = made.hq.clock.now_ms() << 16
    txs = [tx._replace(first_oseq=tx.first_oseq + shift, hlc=stamp + n, eff_hlc=stamp + n) for n, tx in enumerate(batch.txs)]
    return Batch(list(batch.origins), txs, [again(change) for change in batch.changes])


def _spoiled_batch(made: Sample, batch: Batch, rng: Random) -> Batch:
    """A few things in it are not as they should be."""
    txs, changes = list(batch.txs), list(batch.changes)
    for _n in range(rng.choice([1, 1, 2, 5])):
        if rng.random() < 0.2:
            place = rng.randrange(len(txs))
            field = rng.choice(["hlc", "eff_hlc", "first_oseq", "count", "actor", "hseq"])
            values: list[Any] = [0, 1, 2**63 - 1, txs[place].first_oseq + 1]
            txs[place] = txs[place]._replace(**{field: rng.choice([None, bytes(16)] if field == "actor" else values)})
        else:
            place = rng.randrange(len(changes))
            changes[place] = _trespass(made, rng) if rng.random() < 0.1 else _spoiled_change(changes[place], changes, rng)
    if rng.random() < 0.1:
        rng.shuffle(changes)
    if rng.random() < 0.08:  # fields of its own, and values in them; numbers come again
        number, home = first_number(2, 0) + rng.randrange(6), bytes.fromhex(made.company.branches["BR01"].store.node.branch_id)
        own = [
            _definition(rng, number, home),
            Change(_CUSTOMER.no, codec.INSERT, rng.randbytes(16), [(_NAME, "己公司"), (number, rng.choice(NASTY))], None),
        ]
        txs += [
            txs[-1]._replace(first_oseq=txs[-1].first_oseq + txs[-1].count + n, count=1, hlc=txs[-1].hlc + n, eff_hlc=txs[-1].hlc + n)
            for n in range(2)
        ]
        changes += own
    return Batch(batch.origins, txs, changes)


def _definition(rng: Random, number: int, home: bytes) -> Change:
    """A field that a branch adds to customers, mostly as it may, or to something else."""
    values: dict[str, Any] = {
        "entity": rng.choice(["customer", "customer", "customer", "sales_order", "user", "conflict", "nothing", ""]),
        "number": rng.choice([number, number, number, 1, 0, -1, 2**40, 2**63 - 1]),
        "label": rng.choice(["甲", "", "a" * 300, '"; DROP TABLE customer; --']),
        "type": rng.choice(list(FieldType)).value,
        "required": rng.randrange(2),
        "unique": rng.randrange(2),
        "preset": rng.choice([None, "", "x", "5", "2026-02-30", "9" * 30]),
        "least": rng.choice([None, "x", "5", "-1"]),
        "most": rng.choice([None, "x", "4", "1e400"]),
        "searched": rng.randrange(2),
        "listed": rng.randrange(2),
        "retired": rng.randrange(2),
        "branch_id": home,
    }
    pairs = [(_FIELD.fields[key].no, value) for key, value in values.items() if value is not None]
    return Change(_FIELD.no, codec.INSERT, rng.randbytes(16), pairs, None)


def _trespass(made: Sample, rng: Random) -> Change:
    """A change, sound in itself, of a record that is not the branch's to change."""
    table, pk = rng.choice(made.foreign)
    kind = next(one for one in entities() if one.no == table)
    field = rng.choice(list(kind.fields.values()))
    value = rng.choice([*(field.choices or ())] or {"INTEGER": [0, 1], "BLOB": [bytes(16)]}.get(field.sql_type, ["x", "2026-11-20"]))
    if rng.random() < 0.2:
        return Change(table, codec.GONE, pk, [], None)
    return Change(table, codec.UPDATE, pk, [(field.no, value, value)], None)


def _spoiled_change(change: Change, others: list[Change], rng: Random) -> Change:
    what = rng.choice(["table", "op", "pk", "prev", "value", "value", "value", "column", "drop"])
    values = list(change.values)
    if what == "table":
        return change._replace(table=rng.choice([*(entity.no for entity in entities()), 0, 65_535]))
    if what == "op":
        op = rng.randrange(1, 6)
        width = 2 if op in {codec.INSERT, codec.GONE} else 3
        return change._replace(op=op, values=[(value[0], *[value[-1]] * (width - 1)) for value in values])
    if what == "pk":
        return change._replace(pk=rng.choice([rng.choice(others).pk, bytes(16), rng.randbytes(16)]))
    if what == "prev":
        return change._replace(prev=rng.choice([None, (0, 1), (0, 2**62), (0, rng.randrange(1, 300))]))
    if not values:
        return change
    place = rng.randrange(len(values))
    if what == "value":
        values[place] = (values[place][0], *(rng.choice(NASTY) if rng.random() < 0.7 else part for part in values[place][1:]))
    elif what == "column":
        values[place] = (rng.choice([0, 999, 2**40, rng.randrange(1, 20)]), *values[place][1:])
    else:
        del values[place]
    return change._replace(values=values)


def _encoded(batch: Batch, rng: Random) -> bytes:
    """The batch as bytes, sometimes damaged below what our own encoder would write."""
    try:
        data = codec.encode_batch(batch)
    except ExchangeError:  # beyond what our encoder writes: say it all the same, in columns that do not fit each other
        data = codec.encode_batch(Batch(batch.origins, [], []))
    luck = rng.random()
    if luck < 0.1:
        return _flipped(data, rng)
    if luck < 0.25:
        wire = msgspec.msgpack.decode(data)
        _spoil(wire, rng)
        return msgspec.msgpack.encode(wire)
    return data


def _spoil(tree: list[Any], rng: Random) -> None:
    """Put something else in one place of a tree of lists."""
    while True:
        place = rng.randrange(len(tree))
        if not (isinstance(tree[place], list) and tree[place]) or rng.random() < 0.2:
            break
        tree = tree[place]
    old = tree[place]
    choices = [*NASTY_PARTS, rng.randrange(70_000)]
    if isinstance(old, bytes) and old:
        choices += [_flipped(old, rng)] * 20
    tree[place] = rng.choice(choices)


def _spoiled_hello(hello: Hello, rng: Random) -> bytes:
    said = msgspec.msgpack.decode(encode(hello))
    key = rng.choice([name for name in Hello.__struct_fields__ if name != "recv_hseq"])
    said[key] = rng.choice(
        [0, 1, -1, 2**63 - 1, 2**64 - 1, None, "", b"", b"x" * 65, [], [[2**64 - 1, 2**63 - 1]], [[1, 2, 3]], "x" * 10_000]
    )
    return msgspec.msgpack.encode(said)


def _flipped(data: bytes, rng: Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
