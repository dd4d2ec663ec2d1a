"""Whose number it is, among all numbers of all customers and contacts: what passes between a ring and the card.

A customer has one number and a contact with three; half are mobile numbers, half landlines, some with extension or without area code. The
median of many calls, as somebody who waits sees them.

    python bench/calls.py [NUMBERS]
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from _measure import Figure, folder, office, show

from localcrm.domain import subjects, verbs  # noqa: F401 -- subjects makes everything known
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.calls.matching import hits
from localcrm.domain.calls.services import card, on_screen
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.kernel.clock import moment
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import entity
from localcrm.store.store import Store

PER_CUSTOMER, PORTION, AREAS = 4, 20_000, ("10", "21", "571", "575", "755")
GOAL_MS, GOAL_RATIO = 50.0, 5.0


def measure(numbers: int = 1_000_000, *, small: int = 4_000, rounds: int = 200) -> list[Figure]:
    """Milliseconds among many numbers, and the ratio to few."""
    found = {size: _of_size(size, rounds) for size in (small, numbers)}
    few, many = found[small], found[numbers]
    figures = [Figure(f"{name}, among {numbers:,} numbers", many[name], "ms", GOAL_MS) for name in many]
    return [*figures, Figure("whose number it is: many numbers to few", many[_KNOWN] / few[_KNOWN], "×", GOAL_RATIO)]


_KNOWN, _UNKNOWN, _TOWN, _CARD = "whose number it is", "a number nobody has", "a number without area code", "ring to card"


def _of_size(numbers: int, rounds: int) -> dict[str, float]:
    with folder() as place:
        store = office(place / "office")
        admin = set_up_office(store, login="admin", name="admin", password="bench-secret-1")
        rng = random.Random(20261127)
        _fill(store, admin, rng, numbers // PER_CUSTOMER)
        with store.read() as connection:
            rows = connection.all("SELECT phone, second_phone, other_phones FROM contact ORDER BY rid LIMIT 5000 OFFSET ?", (numbers // 8,))
        known = [text for row in rows for text in row]
        landlines = [text.split("-")[1] for text in known if text.startswith("0")]

        def look(number: str) -> None:
            with store.read() as connection:
                hits(connection, number)

        def ring(number: str) -> None:
            told = {"source": "hook", "caller": number, "key": number, "called": "801"}
            verbs.run(store, SYSTEM, "calls.heard", told)
            with store.read() as connection:
                for call in on_screen(connection, store.node, admin, moment(store.clock))[:1]:
                    card(connection, store.node, admin, call)
            verbs.run(store, SYSTEM, "calls.heard", told | {"event": "end"})

        works: dict[str, tuple[Callable[[str], None], Callable[[], str]]] = {
            _KNOWN: (look, lambda: rng.choice(known)),
            _UNKNOWN: (look, lambda: f"{rng.choice(('130', '199'))}{rng.randrange(10**8):08}"),
            _TOWN: (look, lambda: rng.choice(landlines)),
            _CARD: (ring, lambda: rng.choice(known)),
        }
        result = {name: _median(work, [number() for _turn in range(rounds)]) for name, (work, number) in works.items()}
        store.close()
    return result


def _median(work: Callable[[str], None], numbers: list[str]) -> float:
    """Wall milliseconds."""
    times = []
    for number in numbers:
        start = time.perf_counter()
        work(number)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def _number(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"1{rng.choice('3456789')}{rng.randrange(10**9):09}"
    town = f"{rng.choice('2345678')}{rng.randrange(10**7):07}"
    area, extension = f"0{rng.choice(AREAS)}", f"-{rng.randrange(1000)}" if rng.random() < 0.1 else ""
    return f"{area}-{town}{extension}"


def _fill(store: Store, admin: Actor, rng: random.Random, customers: int) -> None:
    for start in range(0, customers, PORTION):
        rows: list[dict[str, Any]] = []
        people: list[dict[str, Any]] = []
        for number in range(start, min(customers, start + PORTION)):
            identity = new_id()
            rows.append({"id": identity, "name": f"客户{number}", "phone": _number(rng), "branch_id": store.node.branch_id})
            phones = {key: _number(rng) for key in ("phone", "second_phone", "other_phones")}
            people.append({"id": new_id(), "customer_id": identity, "name": "王", **phones})
        with store.unit_of_work(admin.user_id) as uow:
            uow.insert_many(entity("customer"), rows)
            uow.insert_many(entity("contact"), people)


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
