"""Bytes per change on the wire and changes per second of the batch codec, on believable customer data.

Prints bytes per change, compressed, for a message of 8,000 (40 % inserts of 20 columns, 55 % updates of 2 columns with old and new
value, 5 % deletes, predecessor included), the same for each kind alone, the same changes as plain msgpack rows, and how many changes a
second are written and read.

    python bench/bundle_size.py [CHANGES]
"""

from __future__ import annotations

import random
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from localcrm.sync.codec import DELETE, INSERT, UPDATE, Batch, Change, Tx, compress, decode_batch, encode_batch

if TYPE_CHECKING:
    from collections.abc import Callable

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蔡蒋余"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀英霞平刚桂华建国文辉玲红志梅鑫宇浩然子涵欣怡梓轩雨泽思远佳琪"
CITIES = [
    ("浙江", "杭州"),
    ("浙江", "宁波"),
    ("江苏", "苏州"),
    ("江苏", "无锡"),
    ("广东", "深圳"),
    ("广东", "东莞"),
    ("上海", "上海"),
    ("山东", "青岛"),
]
WORDS = "宏鼎盛华瑞兴恒通达源丰泰隆昌顺和安信诚益嘉美康晨星海天龙云峰远东联创新锐智"
TRADES = ["机械设备", "五金制品", "电子科技", "贸易", "服饰", "食品", "建材", "物流", "塑胶制品", "环保科技"]
STREETS = ["人民路", "解放路", "中山北路", "工业大道", "科技园一路", "建设街", "滨江东路", "开发区三号路"]
SOURCES = ["展会", "电话", "老客户介绍", "网站", "上门拜访"]
LEVELS = ["A", "B", "C"]
STATES = ["潜在", "跟进中", "已成交", "暂停"]
REMARKS = [
    "",
    "",
    "",
    "月结30天，开增值税专用发票",
    "老板喜欢喝茶，下午联系",
    "要求送货上门，周末不收货",
    "样品已寄，等待回复",
    "价格敏感，注意竞争对手",
]
START_MS = 1_794_000_000_000
TABLE = 4
UPDATES = [(6, 20), (7, 20), (8, 20), (14, 20), (16, 20), (18, 20), (12, 20), (7, 8), (14, 15), (9, 12)]


def make_id(rng: random.Random, ms: int) -> bytes:
    """A UUIDv7 of that millisecond."""
    return (ms << 80 | 0x7000 << 64 | 0x8000_0000_0000_0000 | rng.getrandbits(62)).to_bytes(16)


def iso(ms: int) -> str:
    """The moment as the data file writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"


class Company:
    """Writes business like a branch does: users, a wall clock, rows, one transaction after the other."""

    def __init__(self, seed: int = 20261118) -> None:
        self.rng = random.Random(seed)
        self.ms = START_MS
        self.users = [make_id(self.rng, START_MS - 9_000_000_000 + n) for n in range(12)]
        self.rows: list[tuple[bytes, dict[int, Any], int]] = []
        self.oseq = 1
        self.made = 0

    def row(self) -> dict[int, Any]:
        """A new customer: 20 columns."""
        rng = self.rng
        self.made += 1
        province, city = rng.choice(CITIES)
        short = "".join(rng.choices(WORDS, k=2))
        contact = rng.choice(SURNAMES) + "".join(rng.choices(GIVEN, k=rng.choice((1, 2))))
        return {
            1: f"KH-BR01-{self.made:06d}",
            2: f"{city}{short}{rng.choice(TRADES)}有限公司",
            3: short,
            4: contact,
            5: f"1{rng.choice(('38', '39', '58', '86', '77'))}{rng.randrange(10**8):08d}",
            6: rng.choice(LEVELS),
            7: rng.choice(STATES),
            8: rng.choice(self.users),
            9: province,
            10: city,
            11: f"{rng.choice(STREETS)}{rng.randrange(1, 999)}号",
            12: rng.choice(REMARKS),
            13: rng.choice(SOURCES),
            14: rng.choice((0, 0, 500_000, 1_000_000, 5_000_000)),
            15: rng.choice((0, 30, 60)),
            16: rng.choice((None, None, f"{rng.randrange(10**8)}@qq.com")),
            17: rng.choice((None, f"91330{rng.randrange(10**13):013d}")),
            18: None,
            19: iso(self.ms),
            20: iso(self.ms),
        }

    def insert(self) -> tuple[int, int, bytes, list[Any], None]:
        """A new customer."""
        pk, row = make_id(self.rng, self.ms), self.row()
        self.rows.append((pk, row, self.oseq))
        return TABLE, INSERT, pk, list(row.items()), None

    def update(self) -> tuple[int, int, bytes, list[Any], tuple[int, int]]:
        """Two columns of a random customer."""
        place = self.rng.randrange(len(self.rows))
        pk, row, prev = self.rows[place]
        fresh = self.row() | {18: iso(self.ms + 86_400_000 * self.rng.randrange(1, 30))[:10]}
        self.made -= 1
        columns = self.rng.choice(UPDATES)
        values = [(column, row[column], fresh[column]) for column in columns]
        row |= {column: fresh[column] for column in columns}
        self.rows[place] = (pk, row, self.oseq)
        return TABLE, UPDATE, pk, values, (0, prev)

    def delete(self) -> tuple[int, int, bytes, list[Any], tuple[int, int]]:
        """A random customer is hidden."""
        pk, _, prev = self.rows.pop(self.rng.randrange(len(self.rows)))
        return TABLE, DELETE, pk, [], (0, prev)

    def batch(self, size: int, weights: tuple[int, int, int]) -> Batch:
        """A batch of so many changes; weights of insert, update, delete."""
        batch = Batch([(1, 0x1234_5678_9ABC_DEF0)], [], [])
        while len(batch.changes) < size:
            self.ms += self.rng.randrange(200, 90_000)
            first, count = self.oseq, min(self.rng.choice((1, 1, 2, 3, 5)), size - len(batch.changes))
            for verb in self.rng.choices((self.insert, self.update, self.delete), weights, k=count):
                batch.changes.append(Change(*verb()))
                self.oseq += 1
            batch.txs.append(Tx(0, first, count, self.ms << 16, self.ms << 16, self.rng.choice(self.users), 0))
        return batch


def measure(changes: int = 8_000) -> dict[str, float]:
    """Bytes per change of each mix, and changes per second of writing and reading."""
    company = Company()
    company.batch(5_000, (1, 0, 0))
    figures: dict[str, float] = {}
    for name, weights in {"mixed": (40, 55, 5), "insert": (1, 0, 0), "update": (0, 1, 0), "delete": (0, 0, 1)}.items():
        batch = company.batch(changes, weights)
        data = encode_batch(batch)
        if name == "mixed":
            figures |= {"encode/s": changes / best(encode_batch, batch), "decode/s": changes / best(decode_batch, data)}
            figures["raw"] = len(data) / changes
            figures["rows"] = len(compress(msgspec.msgpack.encode([batch.txs, batch.changes]))) / changes
        figures[name] = len(compress(data)) / changes
    return figures


def best(work: Callable[[Any], object], of: Any, rounds: int = 9) -> float:
    """Shortest CPU time of several rounds, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work(of)
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    figures = measure(*map(int, sys.argv[1:]))
    for name, figure in figures.items():
        print(f"{name:10} {figure:12,.1f}")
    print(f"columns take {figures['mixed'] / figures['rows']:.0%} of the same changes as msgpack rows, both compressed")
