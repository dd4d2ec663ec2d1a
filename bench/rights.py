"""What rights cost a person who waits: lists, searches and contacts of somebody who sees a part of the customers, and the rights themselves.

A hundred users with as many customers each; a department of twenty of them, fifty with those below it; another twenty have
the oldest customers and no others; a branch has every fifth customer. Times are CPU time.

    python bench/rights.py [CUSTOMERS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from _company import People
from _measure import Figure, folder, office, rotated, show

from localcrm.domain import policy, subjects, verbs  # noqa: F401 -- subjects makes everything known
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.roles import FieldRule, Scope
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import EntityType, entity
from localcrm.store.store import Store
from localcrm.ui.endpoints import list_page

USERS, IN_DEPARTMENT, IN_TREE, WITH_OLDEST, IN_BRANCH = 100, 20, 50, 20, 5
#: Roles of the company, and how many of them one user has.
ROLES, USUAL_ROLES = 30, 3
GOAL_RATIO, GOAL_MS = 1.5, 50.0
PORTION = 20_000
#: Who measures what: the number of the user, and whose customers he sees.
WHO = {
    "own, 1 %": (0, Scope.OWN),
    "department, 20 %": (1, Scope.DEPARTMENT),
    "department tree, 50 %": (2, Scope.DEPARTMENT_TREE),
    "branch, 20 %": (3, Scope.BRANCH),
    "own, the oldest 1 %": (USERS - 1, Scope.OWN),
    "department, the oldest 20 %": (USERS - 2, Scope.DEPARTMENT),
}
OWN, DEPARTMENT, TREE = list(WHO)[:3]
NEWEST = "newest first"
SORTS = ("", "name", "-name", "number", "-number", "level", "-level")
SEARCHES = {"a common word": "有限公司", "a rare pair": "朝朝", "a pair nobody has": "龘龘", "initials": "hzct"}
_KEPT = ("number", "name", "short_name", "phone", "level", "address", "source", "tax_no", "remark")


def measure(customers: int = 100_000, *, rounds: int = 5) -> list[Figure]:
    """Ratios to what an administrator waits for, and milliseconds."""
    with folder() as place:
        store = office(place / "office")
        admin = set_up_office(store, login="admin", name="admin", password="bench-secret-1")
        users = _company(store, admin)
        _fill(store, admin, users, customers)
        _grant(store, admin, users)
        actors = {name: _actor(store, users[number]) for name, (number, _scope) in WHO.items()}
        figures = [
            *_lists(store, admin, actors, rounds),
            *_searches(store, {"everything": admin, OWN: actors[OWN], DEPARTMENT: actors[DEPARTMENT]}, rounds),
            *_contacts(store, {"everything": admin, **{name: actors[name] for name in (OWN, DEPARTMENT, TREE)}}, rounds),
            *_resolving(store, {USUAL_ROLES: users[len(WHO)], ROLES: users[len(WHO) + 1]}, rounds),
        ]
        store.close()
    return figures


def _page(store: Store, actor: Actor, kind: str = "customer", **body: Any) -> Callable[[], None]:
    session: Any = SimpleNamespace(store=store, actor=actor, user_id=actor.user_id, may=lambda _permission: True)

    def work() -> None:
        list_page(session, {"entity": kind}, {"startRow": 0, "endRow": 100, **body})

    work()
    return work


def _sorted(sort: str) -> dict[str, Any]:
    return {"sortModel": [{"colId": sort.removeprefix("-"), "sort": "desc" if sort.startswith("-") else "asc"}]} if sort else {}


def _lists(store: Store, admin: Actor, actors: dict[str, Actor], rounds: int) -> list[Figure]:
    works = {f"{name}, {sort or NEWEST}": _page(store, actor, **_sorted(sort)) for name, actor in actors.items() for sort in SORTS}
    times = rotated({"everything": _page(store, admin), **works}, rounds=rounds)
    everything = times.pop("everything")
    worst = max(times, key=times.__getitem__)
    return [
        Figure("list page of who sees 1 % / of who sees everything", times[f"{OWN}, {NEWEST}"] / everything, goal=GOAL_RATIO),
        Figure("list page of who sees everything", everything * 1000, "ms"),
        *(Figure(f"list page, {name}", times[f"{name}, {NEWEST}"] * 1000, "ms", goal=GOAL_MS) for name in actors),
        Figure(f"the worst of all in any order: {worst}", times[worst] * 1000, "ms", goal=GOAL_MS),
    ]


def _searches(store: Store, actors: dict[str, Actor], rounds: int) -> list[Figure]:
    works = {f"{word}: {name}": _page(store, actor, search=text) for word, text in SEARCHES.items() for name, actor in actors.items()}
    return [Figure(f"search {name}", seconds * 1000, "ms") for name, seconds in rotated(works, rounds=rounds).items()]


def _contacts(store: Store, actors: dict[str, Actor], rounds: int) -> list[Figure]:
    times = rotated({name: _page(store, actor, "contact") for name, actor in actors.items()}, rounds=rounds)
    figures = [Figure(f"contacts of those customers: {name}", seconds * 1000, "ms") for name, seconds in times.items()]
    return [*figures, Figure("contacts of who sees 1 % / of who sees everything", times[OWN] / times["everything"])]


def _resolving(store: Store, users: dict[int, str], rounds: int) -> list[Figure]:
    works = {f"rights of a user with {number} roles": _rights_of(store, user) for number, user in users.items()}
    return [Figure(name, seconds * 1000, "ms") for name, seconds in rotated(works, rounds=rounds).items()]


def _rights_of(store: Store, user: str) -> Callable[[], None]:
    return lambda: policy.require(_actor(store, user), "customer.read")


def _actor(store: Store, user: str) -> Actor:
    actor = actor_by_id(store, user)
    assert actor is not None
    return actor


# the company -----------------------------------------------------------------------------------------------------------


def _company(store: Store, admin: Actor) -> list[str]:
    """Users of a department, of those below it, of another one, and of the one that has the oldest customers; returns their ids."""
    department, user = entity("department"), entity("user")
    with store.unit_of_work(admin.user_id) as uow:
        sales, other, early = (uow.insert(department, department.validate({"name": name})) for name in ("销售", "其他", "老客户"))
        below = [uow.insert(department, department.validate({"name": f"销售{n}组", "parent_id": sales})) for n in range(3)]

        def place(n: int) -> str:
            if n >= USERS - WITH_OLDEST:
                return early
            return sales if n < IN_DEPARTMENT else below[n % len(below)] if n < IN_TREE else other

        values = [{"login": f"user{n}", "name": f"业务员{n}", "department_id": place(n)} for n in range(USERS)]
        return [uow.insert(user, user.validate(row)) for row in values]


def _fill(store: Store, admin: Actor, users: list[str], size: int) -> None:
    """Customers, each with one contact."""
    people, customer, contact = People(), entity("customer"), entity("contact")
    branch, elsewhere = store.node.branch_id, new_id()
    oldest, others = users[-WITH_OLDEST:], users[:-WITH_OLDEST]
    for start in range(0, size, PORTION):
        with store.unit_of_work(admin.user_id) as uow:
            customers: list[dict[str, Any]] = []
            contacts: list[dict[str, Any]] = []
            for number in range(start, min(size, start + PORTION)):
                row, identity = people.customer(), new_id()
                owner = people.rng.choice(oldest if number * USERS < size * WITH_OLDEST else others)
                at = elsewhere if people.rng.randrange(IN_BRANCH) else branch
                customers.append({"id": identity, "owner_id": owner, "branch_id": at, **{key: row[key] for key in _KEPT}})
                contacts.append({"id": new_id(), "customer_id": identity, "name": row["contact"], "phone": row["phone"]})
            uow.insert_many(customer, customers)
            uow.insert_many(contact, contacts)


def _grant(store: Store, admin: Actor, users: list[str]) -> None:
    """Rights of their own for those who measure lists; roles that say something about every kind of record for the last two."""
    kinds = [kind for kind in policy.granted_kinds() if kind.by_hand]
    for number, scope in WHO.values():
        for kind in kinds:
            wish = scope if scope in policy.scopes_of(kind) else Scope.ALL
            given = {"login": f"user{number}", "entity": kind.key, "actions": ["read"], "scope": wish.value}
            verbs.run(store, admin, "people.set_rights", given)
    role, right, rule, holds = (entity(key) for key in ("role", "role_right", "role_field", "user_role"))
    with store.unit_of_work(admin.user_id) as uow:
        for n in range(ROLES):
            made = uow.insert(role, role.validate({"name": f"角色{n}"}))
            for user in users[len(WHO) if n < USUAL_ROLES else len(WHO) + 1 : len(WHO) + 2]:
                uow.insert(holds, holds.validate({"user_id": user, "role_id": made}))
            for kind in kinds:
                for values in _rights(kind, n):
                    uow.insert(right, right.validate({"role_id": made, "entity": kind.key, **values}))
                for key in [key for key in kind.fields if key != kind.title_field][:3]:
                    uow.insert(rule, rule.validate({"role_id": made, "entity": kind.key, "field": key, "rule": FieldRule.MASKED}))


def _rights(kind: EntityType, n: int) -> list[dict[str, Any]]:
    scopes = policy.scopes_of(kind)
    return [{"action": action, "scope": scopes[n % len(scopes)]} for action in policy.actions_of(kind)]


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
