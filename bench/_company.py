"""A believable branch at work: customers with Chinese names, 20 columns each, entered and edited in small transactions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, Any

import _measure  # noqa: F401 -- makes the package importable from anywhere

from localcrm.domain import subjects  # noqa: F401 -- every entity must be known before a file is made
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Entity, F, Id, Kind, LongText, Name, Text, Total
from localcrm.store.store import Store

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蔡蒋余"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀英霞平刚桂华建国文辉玲红志梅鑫宇浩然子涵欣怡梓轩雨泽思远佳琪"
PLACES = "浙江杭州 浙江宁波 江苏苏州 江苏无锡 广东深圳 广东东莞 上海上海 山东青岛 重庆重庆 四川成都 福建厦门 湖北武汉".split()
WORDS = "宏鼎盛华瑞兴恒通达源丰泰隆昌顺和安信诚益嘉美康晨星海天龙云峰远东联创新锐智长乐单曾朝重行"
TRADES = "机械设备 五金制品 电子科技 贸易 服饰 食品 建材 物流 塑胶制品 环保科技 医疗器械 汽车配件 印刷包装 纺织".split()
STREETS = "人民路 解放路 中山北路 工业大道 科技园一路 建设街 滨江东路 开发区三号路".split()
REMARKS = (None, None, None, "月结30天，开增值税专用发票", "要求送货上门，周末不收货", "样品已寄，等待回复", "价格敏感，注意竞争对手")


class BenchCustomer(
    Entity,
    key="bench_customer",
    no=250,
    label=N_("Customer"),
    kind=Kind.MASTER,
    title_field="name",
    totals=(Total(name="bench_by_level", by=("level",)), Total(name="bench_by_owner", by=("owner_id",))),
):
    """A customer of 20 columns, searched and counted as the real one is."""

    number: Annotated[Text | None, F(1, N_("Customer no."), index=True, search=6)] = None
    name: Annotated[Name, F(2, N_("Customer name"), index=True, search=10)]
    short_name: Annotated[Text | None, F(3, N_("Short name"), search=8)] = None
    contact: Annotated[Text | None, F(4, N_("Contact"))] = None
    phone: Annotated[Text | None, F(5, N_("Phone"), search=7)] = None
    level: Annotated[Text | None, F(6, N_("Level"), index=True)] = None
    state: Annotated[Text | None, F(7, N_("State"))] = None
    owner_id: Annotated[Id | None, F(8, N_("Salesperson"), ref="user")] = None
    province: Annotated[Text | None, F(9, N_("Branch"))] = None
    city: Annotated[Text | None, F(10, N_("Branch"))] = None
    address: Annotated[Text | None, F(11, N_("Address"), search=3)] = None
    remark: Annotated[LongText | None, F(12, N_("Remark"))] = None
    source: Annotated[Text | None, F(13, N_("Source"))] = None
    credit: Annotated[int, F(14, N_("Credit limit"))] = 0
    days: Annotated[int, F(15, N_("Credit limit"))] = 0
    email: Annotated[Text | None, F(16, N_("E-mail"))] = None
    tax_no: Annotated[Text | None, F(17, N_("Tax no."), search=4)] = None
    next_on: Annotated[Text | None, F(18, N_("Next contact"))] = None
    created: Annotated[Text | None, F(19, N_("Time"))] = None
    touched: Annotated[Text | None, F(20, N_("Time"))] = None


CUSTOMER = BenchCustomer.entity_type
#: Pairs of columns that people change together; two of the eleven reach the search index.
EDITS = (
    ("level", "touched"),
    ("state", "touched"),
    ("owner_id", "touched"),
    ("credit", "touched"),
    ("email", "touched"),
    ("next_on", "touched"),
    ("remark", "touched"),
    ("state", "owner_id"),
    ("credit", "days"),
    ("phone", "touched"),
    ("address", "city"),
)


class People:
    """Makes customers up, the same ones for the same seed."""

    def __init__(self, seed: int = 20261118) -> None:
        self.rng = random.Random(seed)
        self.minute = 0
        self.made = 0
        self.users = [self.identity() for _ in range(12)]

    def identity(self) -> str:
        """An id in the order of its making."""
        self.minute += 1
        head = (1_794_000_000_000 + self.minute * 21_000 + self.rng.randrange(20_000)) << 80
        return f"{head | 0x7000 << 64 | 2 << 62 | self.rng.getrandbits(62):032x}"

    def moment(self) -> str:
        """A moment of the working day, as text."""
        day, minute = divmod(self.minute, 480)
        return f"2026-{1 + day // 28 % 12:02d}-{1 + day % 28:02d}T{8 + minute // 60:02d}:{minute % 60:02d}:{self.rng.randrange(60):02d}Z"

    def customer(self) -> dict[str, Any]:
        """A new customer: 20 values."""
        rng = self.rng
        self.made += 1
        place, short = rng.choice(PLACES), "".join(rng.choices(WORDS, k=2))
        return {
            "number": f"C-BR01-{self.made:06d}",
            "name": f"{place[2:]}{short}{rng.choice(TRADES)}有限公司",
            "short_name": short,
            "contact": rng.choice(SURNAMES) + "".join(rng.choices(GIVEN, k=rng.choice((1, 2)))),
            "phone": f"1{rng.choice(('38', '39', '58', '86', '77'))}{rng.randrange(10**8):08d}",
            "level": rng.choice(("deal", "developing", "prospect")),
            "state": rng.choice(("潜在", "跟进中", "已成交", "暂停")),
            "owner_id": rng.choice(self.users),
            "province": place[:2],
            "city": place[2:],
            "address": f"{rng.choice(STREETS)}{rng.randrange(1, 999)}号",
            "remark": rng.choice(REMARKS),
            "source": rng.choice(("展会", "电话", "老客户介绍", "网站", "上门拜访")),
            "credit": rng.choice((0, 0, 500_000, 1_000_000, 5_000_000)),
            "days": rng.choice((0, 30, 60)),
            "email": rng.choice((None, None, f"{rng.randrange(10**8)}@qq.com")),
            "tax_no": rng.choice((None, f"91330{rng.randrange(10**13):013d}")),
            "next_on": None,
            "created": self.moment(),
            "touched": self.moment(),
        }

    def edit(self) -> dict[str, Any]:
        """Two new values for some customer."""
        fresh = {**self.customer(), "next_on": self.moment()[:10]}
        self.made -= 1
        return {key: fresh[key] for key in self.rng.choice(EDITS)}


#: One change: ("insert", id, values), ("update", id, values) or ("delete", id, {}).
Step = tuple[str, str, dict[str, Any]]


def history(changes: int, *, weights: tuple[int, int, int] = (40, 55, 5), seed: int = 20261118) -> Iterator[list[Step]]:
    """Transactions of a branch, one to five changes each, of inserts, two-column updates and deletions by weight."""
    people, alive, made = People(seed), [], 0
    rng = people.rng
    while made < changes:
        steps: list[Step] = []
        for verb in rng.choices(("insert", "update", "delete"), weights, k=min(rng.choice((1, 1, 2, 3, 5)), changes - made)):
            if verb == "insert" or len(alive) < 20:
                alive.append(people.identity())
                steps.append(("insert", alive[-1], people.customer()))
                continue
            place = rng.randrange(len(alive))
            if verb == "delete":
                alive[place], alive[-1] = alive[-1], alive[place]
            steps.append((verb, alive.pop() if verb == "delete" else alive[place], people.edit() if verb == "update" else {}))
        made += len(steps)
        yield steps


def work(store: Store, transactions: Iterator[list[Step]] | list[list[Step]], actor: str | None = None) -> int:
    """Do it in a store, a unit of work each; returns how many changes."""
    done = 0
    for steps in transactions:
        with store.unit_of_work(actor) as uow:
            for verb, identity, values in steps:
                if verb == "insert":
                    uow.insert(CUSTOMER, values, identity=identity)
                elif verb == "update":
                    uow.update(CUSTOMER, identity, values)
                else:
                    uow.set_deleted(CUSTOMER, identity, deleted=True)
        done += len(steps)
    return done
