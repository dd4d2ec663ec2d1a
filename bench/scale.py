"""What a person waits for at 1,000, 100,000 and 1,000,000 customers, through HTTP: list page, searches, save.

The routes are those of the program (``ui.endpoints``); the save is the verb a form runs, behind one more route, because forms talk through
the page's socket. The goal is met by at most twice the time of the smallest file, or by at most 20 ms.

    python bench/scale.py [CUSTOMERS ...]
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from _company import People
from _measure import CACHE, Figure, file_size, folder, office, shortest, show
from _serve import Ask, serving
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from localcrm.domain import verbs
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.policy import Actor
from localcrm.domain.roles import BasicRole
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import entity
from localcrm.store.store import Store, open_store
from localcrm.ui.endpoints import routes

SIZES = (1_000, 100_000, 1_000_000)
GOAL_MS, GOAL_RATIO = 20.0, 2.0
PORTION = 20_000
_KEPT = ("number", "name", "short_name", "phone", "level", "address", "source", "tax_no", "remark")


def measure(sizes: tuple[int, ...] = SIZES, *, rounds: int = 9, keep: bool = True) -> list[Figure]:
    """Milliseconds of everything at every size, and whether the largest is near enough to the smallest."""
    with folder() as place:
        times = {size: _times(place, size, rounds=rounds, keep=keep) for size in sizes}
    smallest, largest = times[sizes[0]], times[sizes[-1]]
    figures = []
    for name in smallest:
        goal = max(GOAL_MS, GOAL_RATIO * smallest[name]) if not name.startswith("file") else None
        unit = "ms" if goal else "B/row"
        figures += [Figure(f"{name}, {size:,} customers", times[size][name], unit) for size in sizes[:-1]]
        figures.append(Figure(f"{name}, {sizes[-1]:,} customers", largest[name], unit, goal=goal))
    return figures


def _times(place: Path, size: int, *, rounds: int, keep: bool) -> dict[str, float]:
    store = built(place, size, keep=keep)
    with store.read() as connection:
        actor = Actor(connection.value("SELECT id FROM user").hex(), "admin", "admin", BasicRole.ADMIN)
    result: dict[str, float] = {}
    with serving(store, actor, _routes(store, actor)) as ask:
        for name, work in _works(ask):
            work()
            result[name] = shortest(work, rounds=rounds) * 1000
    result["file"] = file_size(store) / size
    store.close()
    return result


def _works(ask: Ask) -> Iterator[tuple[str, Callable[[], Any]]]:
    def page(**body: Any) -> Callable[[], Any]:
        return lambda: ask("/api/list/customer", {"startRow": 0, "endRow": 100, **body})

    yield "list page by name", page(sortModel=[{"colId": "name", "sort": "asc"}])
    yield "list page by number, downwards", page(sortModel=[{"colId": "number", "sort": "desc"}])
    yield "list page, newest first", page()
    deep = page(sortModel=[{"colId": "name", "sort": "asc"}])()
    if deep["cursor"]:
        yield "the page after it", page(sortModel=[{"colId": "name", "sort": "asc"}], startRow=100, endRow=200, cursor=deep["cursor"])
    for name, text in (
        ("有限公司", "有限公司"),
        ("initials gs", "gs"),
        ("initials hzct", "hzct"),
        ("a rare pair", "朝朝"),
        ("a pair nobody has", "龘龘"),
        ("last 4 digits", "4321"),
        ("full pinyin", "chongqing"),
        ("two words", "杭州 医疗"),
    ):
        assert "rows" in page(search=text)()
        yield f"search {name}", page(search=text)
    counter = iter(range(10**9))
    changed = page()()["rows"][0]["id"]

    def save() -> None:
        number = next(counter)
        ask(
            "/save",
            ["records.create_record", {"entity": "customer", "values": {"name": f"新客户{number}有限公司", "phone": "13800004321"}}],
        )

    def edit() -> None:
        number = next(counter)
        ask(
            "/save",
            ["records.update_record", {"entity": "customer", "id": changed, "values": {"phone": f"139{number:08d}", "level": "deal"}}],
        )

    yield "save a new customer", save
    yield "save a changed customer", edit


def built(place: Path, size: int, *, keep: bool) -> Store:
    """A copy of a file with so many customers, built once and kept."""
    kept = CACHE / f"customers-{size}"
    if keep and kept.exists():
        shutil.copytree(kept, place / str(size))
        try:
            return open_store(place / str(size))
        except Exception:
            shutil.rmtree(place / str(size))
            raise
    store = office(place / str(size))
    actor = set_up_office(store, login="admin", name="admin", password="bench-secret-1")
    _fill(store, actor.user_id, size)
    if keep and size > 10_000:
        file_size(store)
        store.close()
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copytree(place / str(size), kept)
        return open_store(place / str(size))
    return store


def _fill(store: Store, actor: str | None, size: int) -> None:
    people, customer = People(), entity("customer")
    for start in range(0, size, PORTION):
        with store.unit_of_work(actor) as uow:
            rows = [people.customer() for _ in range(min(PORTION, size - start))]
            uow.insert_many(customer, [{"id": new_id(), "owner_id": actor, **{key: row[key] for key in _KEPT}} for row in rows])


def _routes(store: Store, actor: Actor) -> list[Route]:
    """What lists ask, and one more that saves."""

    async def save(request: Request) -> JSONResponse:
        name, parameters = await request.json()
        return JSONResponse(await asyncio.to_thread(verbs.run, store, actor, name, parameters))

    return [*routes(), Route("/save", save, methods=["POST"])]


if __name__ == "__main__":
    show(measure(tuple(map(int, sys.argv[1:])) or SIZES))
