"""What the search centre costs at 1,000 and at 100,000 customers with ten activity records and a contact each, over HTTP.

For an administrator who sees everybody and for a salesperson who owns a fiftieth; one activity record in fifty has a file attached, one contact in ten two more numbers. A
search has 100 ms.

    python bench/finding.py [CUSTOMERS ...]
"""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from _company import People
from _measure import CACHE, Figure, file_size, folder, office, shortest, show
from _serve import serving

from localcrm.domain import subjects
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.policy import Actor, Reach, Rights
from localcrm.domain.roles import BasicRole
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import entity
from localcrm.store.store import Store, open_store
from localcrm.ui.pages import load_screens
from localcrm.ui.search_centre.routes import ROUTES

assert subjects.SUBJECTS
SIZES = (1_000, 100_000)
GOAL_MS = 100.0
SELLERS, RECORDS, PORTION = 50, 10, 2_000
TEXTS = {
    "a name in Chinese": "宏鼎机械",
    "a word that most answer": "有限公司",
    "a word of most records": "电话",
    "last 4 digits": "4321",
    "a whole number": "13900004321",
    "initials of two": "gs",
    "initials of four": "hzct",
    "full pinyin": "chongqing",
    "two words": "杭州 医疗",
    "a file": "报价单1234",
    "a number of a customer": "C-HQ-000777",
    "nothing": "龘龘龘",
}
#: How it is narrowed, and the texts that are asked for so; none: all of them.
NARROWED: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "": ({}, tuple(TEXTS)),
    "mine": ({"whose": "mine"}, ("a word that most answer", "last 4 digits")),
    "changed in 7 days": ({"days": "7"}, ("a word that most answer", "last 4 digits")),
}


def measure(sizes: tuple[int, ...] = SIZES, *, rounds: int = 5, keep: bool = True) -> list[Figure]:
    """Milliseconds of every search for both of them, and of a preview."""
    figures = []
    for size in sizes:
        with folder() as place:
            store, admin, seller = _built(place, size, keep=keep)
            for who, actor in (("all", admin), ("own", _rights(seller))):
                figures += _measured(store, actor, f"{who}, {size:,} customers", rounds)
            store.close()
    return figures


def _measured(store: Store, actor: Actor, label: str, rounds: int) -> Iterator[Figure]:
    load_screens()  # a hit leads to one
    with serving(store, actor, ROUTES) as get:

        def ask(path: str, **parameters: str) -> Any:
            return get(f"{path}?{urlencode(parameters)}")

        for how, (more, names) in NARROWED.items():
            for name in names:
                text = TEXTS[name]
                ask("/api/centre/search", q=text, **more)
                seconds = shortest(lambda text=text, more=more: ask("/api/centre/search", q=text, **more), rounds=rounds)
                yield Figure(f"{name}{f' ({how})' if how else ''}, {label}", seconds * 1000, "ms", goal=GOAL_MS)
        hit = ask("/api/centre/search", q="有限公司")["rows"][0]
        params = {"entity": hit["entity"], "id": hit["id"], "q": "有限公司"}
        yield Figure(f"preview, {label}", shortest(lambda: ask("/api/centre/preview", **params), rounds=rounds) * 1000, "ms", goal=GOAL_MS)


def _rights(seller: str) -> Actor:
    own = {
        f"{kind}.read": Reach(owners=frozenset({seller})) if kind in {"customer", "sales_order", "opportunity"} else Reach(everything=True)
        for kind in ("customer", "contact", "activity", "sales_order", "opportunity", "product", "user")
    }
    return Actor(seller, "seller", "seller", BasicRole.NONE, Rights(own))


def _built(place: Path, size: int, *, keep: bool) -> tuple[Store, Actor, str]:
    kept, keep = CACHE / f"search-{size}", keep and size > 10_000
    if keep and kept.exists():
        shutil.copytree(kept, place / "hq")
        store = open_store(place / "hq")
    else:
        store = office(place / "hq")
        _fill(store, set_up_office(store, login="admin", name="admin", password="bench-secret-1"), size)
        if keep:
            file_size(store)
            CACHE.mkdir(parents=True, exist_ok=True)
            shutil.copytree(place / "hq", kept)
    with store.read() as connection:
        admin = connection.value("SELECT id FROM user WHERE login = 'admin'").hex()
        seller = connection.value("SELECT id FROM user WHERE login = 'seller0'").hex()
    return store, Actor(admin, "admin", "admin", BasicRole.ADMIN), seller


def _fill(store: Store, admin: Actor, size: int) -> None:
    rng, people, now = random.Random(42), People(), datetime.now(UTC)
    with store.unit_of_work(admin.user_id) as uow:
        sellers = [new_id() for _ in range(SELLERS)]
        uow.insert_many(entity("user"), [{"id": one, "login": f"seller{n}", "name": f"业务员{n}"} for n, one in enumerate(sellers)])
    kept = ("number", "name", "short_name", "phone", "level", "address", "source", "tax_no", "remark")
    for start in range(0, size, PORTION):
        customers = [
            {"id": new_id(), "owner_id": rng.choice(sellers), **{key: row[key] for key in kept}, "number": f"C-HQ-{start + n:06d}"}
            for n, row in enumerate(people.customer() for _ in range(min(PORTION, size - start)))
        ]
        contacts = [_contact(rng, one["id"]) for one in customers]
        activities = [_activity(rng, one["id"], now) for one in customers for _n in range(RECORDS)]
        with store.unit_of_work(admin.user_id) as uow:
            for kind, rows in (("customer", customers), ("contact", contacts), ("activity", activities)):
                uow.insert_many(entity(kind), rows)


def _contact(rng: random.Random, customer: str) -> dict[str, Any]:
    phones = [f"139{rng.randrange(10**8):08d}" for _number in range(3)]
    name = f"联系人{rng.randrange(99_999)}"
    return {
        "id": new_id(),
        "customer_id": customer,
        "name": name,
        "phone": phones[0],
        "other_phones": "，".join(phones[1:]) if rng.random() < 0.1 else None,
    }


def _activity(rng: random.Random, customer: str, now: datetime) -> dict[str, Any]:
    number = rng.randrange(10_000)
    return {
        "id": new_id(),
        "customer_id": customer,
        "type": rng.choice(("call", "visit")),
        "at": now - timedelta(days=rng.randrange(700)),
        "content": f"{rng.choice(('电话', '拜访', '微信'))}：{rng.choice(('样品', '报价', '交期', '对账'))}{number}，{rng.choice(('同意', '再议', '等回复'))}",
        "files": f"{rng.getrandbits(256):064x} 20480 报价单{number}.pdf" if rng.random() < 0.02 else None,
    }


if __name__ == "__main__":
    show(measure(tuple(map(int, sys.argv[1:])) or SIZES))
