"""Who sees what: every kind of record through every door for every sort of user, also the kind written tomorrow.

The company is laid out from the declarations: records of every kind, owners and branches in turn. What each user may see
is worked out a second time, naively, from the rows of the tables and the roles as they are written down here; nothing of
the rights that the program works out takes part in that.
"""

from __future__ import annotations

import csv
import inspect
import json
import math
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field as data_field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from click.testing import CliRunner

from localcrm.__main__ import cli
from localcrm.domain import policy, records, subjects, verbs
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import OTHER_PERMISSIONS, Actor
from localcrm.domain.roles import ADMIN_ONLY, BY_ROLE_ALONE, STAFF_READS
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.sales.offers import last_deals
from localcrm.domain.stock.services import stock_list
from localcrm.kernel.attachments import Attachment
from localcrm.kernel.errors import AppError, Forbidden, InvalidInput, NotFound
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import EntityType, Field, Kind, entities, entity
from localcrm.store import changelog
from localcrm.store.node import OFFICE_NO, Node, save_node
from localcrm.store.query import group_counts, load_record, record_columns
from localcrm.store.store import Store, create_store
from localcrm.store.uow import UnitOfWork
from localcrm.sync import node_sync
from localcrm.ui import endpoints
from localcrm.ui.kit.form import load_typed
from localcrm.ui.kit.history import history_lines
from localcrm.ui.program import Program
from localcrm.ui.sessions import Session

assert subjects.SUBJECTS
Row = dict[str, Any]
KINDS = entities()
EACH_KIND = [pytest.param(kind, id=kind.key) for kind in KINDS]
#: What the rights themselves are kept in; more of them would grant something.
RIGHTS = frozenset({"role", "role_right", "role_field", "user_role", "share"})
#: Kinds whose rows name another record, and sometimes a field of it: they are seen with that one.
ABOUT = frozenset(kind.key for kind in KINDS if {"entity", "record"} <= kind.fields.keys())
#: Kinds whose rows hang under such a row, and are made after it.
UNDER_ABOUT = frozenset(kind.key for kind in KINDS if kind.under and kind.fields[kind.under].f.ref in ABOUT)
#: Kinds that are seen with a customer too, whoever they belong to.
WITH_CUSTOMER = frozenset({"sales_order", "opportunity", "quote", "contract", "delivery", "ticket", "expense"})
#: Stands in every text of the sample.
WORD = "恒远"
#: Records per kind that are opened one by one.
OPENED = 18


# the users ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grant:
    """What one role says, or with no name the rights of one user alone.

    rights: kind → action → scope · rules: (kind, field) → (rule, whether no other role lifts it).
    """

    rights: Mapping[str, Mapping[str, str]]
    rules: Mapping[tuple[str, str], tuple[str, bool]] = data_field(default_factory=dict)
    name: str = ""
    departments: tuple[str, ...] = ()
    houses: tuple[int, ...] = ()  # the only warehouses it deals with, by their place in the sample


@dataclass(frozen=True)
class Person:
    """Somebody who signs in."""

    login: str
    grants: tuple[Grant, ...] = ()
    basic: str = "none"
    department: str | None = None
    superior: str | None = None
    branch: str | None = None
    further: tuple[str, ...] = ()  # departments

    @property
    def departments(self) -> tuple[str, ...]:
        return (self.department, *self.further) if self.department else self.further


def rights(kinds: list[EntityType] | None = None, /, *, others: str = "all", **scopes: str) -> dict[str, dict[str, str]]:
    """Every action of these kinds with its scope; of what belongs to nobody there is all or nothing."""
    return {
        kind.key: {action: _usable(kind, scopes.get(action, others)) for action in policy.actions_of(kind)}
        for kind in (KINDS if kinds is None else kinds)
        if not kind.parent
    }


def _usable(kind: EntityType, scope: str) -> str:
    if kind.under or kind.key in ABOUT:
        return "all"
    return scope if kind.owner or (scope == "branch" and "branch_id" in kind.fields) else "all"


def rules(*words: str, strict: bool = False) -> dict[tuple[str, str], tuple[str, bool]]:
    """These rules in turn for every field of every kind but its title, which names it."""
    return {
        (kind.key, field.key): (words[n % len(words)], strict)
        for kind in KINDS
        for n, field in enumerate(kind.fields.values())
        if field.key != kind.title_field and words[n % len(words)] != "editable"
    }


HALF, QUARTER = KINDS[::2], KINDS[::4]
DEPARTMENTS = {"sales": None, "team": "sales", "crew": "team", "office": None}
PEOPLE = (
    Person("admin", basic="admin"),
    Person("staff", basic="staff", department="crew", superior="subordinates"),
    Person("nobody"),
    Person("own", (Grant(rights(others="own")),), department="sales"),
    Person("subordinates", (Grant(rights(others="subordinates")),), department="sales"),
    Person("department", (Grant(rights(others="department")),), department="team"),
    Person("department_tree", (Grant(rights(others="department_tree")),), department="sales"),
    Person("two_departments", (Grant(rights(others="department")),), department="office", further=("crew",)),
    Person("two_trees", (Grant(rights(others="department_tree")),), department="office", further=("team",)),
    Person("departments", (Grant(rights(others="departments"), departments=("team", "office")),), department="crew"),
    Person("branch", (Grant(rights(others="branch")),), department="crew", superior="subordinates", branch="BR01"),
    Person("branch_of_node", (Grant(rights(others="branch")),)),
    Person(
        "two_roles",
        (
            Grant(rights(others="own"), name="人人"),
            Grant(rights(HALF, others="own", read="department_tree", export="branch", update="department"), name="组长"),
        ),
        department="team",
        branch="BR02",
    ),
    Person(
        "narrower",
        (Grant(rights(read="branch", update="department", delete="own", export="departments", transfer="own"), departments=("sales",)),),
        department="sales",
        branch="BR01",
    ),
    Person("hidden", (Grant(rights(), rules("hidden")),), department="office"),
    Person("masked", (Grant(rights(), rules("masked")),)),
    Person("half", (Grant(rights(HALF), name="一半"),), department="crew", superior="staff"),
    Person(
        "clerk",
        (
            Grant(rights(HALF), rules("hidden", "masked", "editable", "read_only"), name="保密"),
            Grant(rights(QUARTER, others="own"), rules("editable", "hidden", "masked"), name="放宽"),
            Grant({}, rules("editable", "editable", "editable", "editable", "masked", strict=True), name="从严"),
        ),
        basic="staff",
        department="team",
    ),
    Person("storekeeper", (Grant(rights(), name="仓管", houses=(0, 2)), Grant({}, houses=(5,))), department="office"),
    Person(
        "storekeeper_of_branch", (Grant(rights(others="branch", read="department_tree"), houses=(1, 6)),), department="sales", branch="BR01"
    ),
    Person("storekeeper_by_basic_role", (Grant({}, houses=(2, 4)),), basic="staff"),
    Person("bound", (Grant(rights(), name="全体"), Grant({}, rules("editable", "hidden", "masked", "read_only"))), department="crew"),
)
SIGNING_IN = [person for person in PEOPLE if person.login != "nobody"]


# the company -------------------------------------------------------------------------------------------------------------


@dataclass
class Company:
    """Head office with its users and a sample of every kind of record."""

    store: Store
    admin: Actor
    ids: dict[str, str]  # login → user
    departments: dict[str, str]
    branches: dict[str, str]

    @cached_property
    def rows(self) -> dict[str, list[Row]]:
        """Every row of every kind, in the order they came."""
        with self.store.read() as connection:
            return {
                kind.key: [
                    load_record(kind, row) for row in connection.all(f'SELECT {record_columns(kind)} FROM "{kind.key}" ORDER BY rid')
                ]
                for kind in KINDS
            }

    @cached_property
    def actors(self) -> dict[str, Actor]:
        found = {person.login: actor_by_id(self.store, self.ids[person.login]) for person in PEOPLE}
        return {login: actor for login, actor in found.items() if actor is not None}

    @cached_property
    def sessions(self) -> dict[str, Session]:
        program = Program(self.store.folder, 0)
        program.adopt(self.store)
        return {login: Session(program, "", "", actor, {}, _checked=math.inf) for login, actor in self.actors.items()}

    def do(self, verb: str, **parameters: Any) -> Any:
        return verbs.run(self.store, self.admin, verb, parameters)

    def new(self, entity: str, **values: Any) -> str:
        return str(self.do("records.create_record", entity=entity, values=values)["id"])


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    store = create_store(tmp_path_factory.mktemp("matrix") / "hq")
    with store.housekeeping() as connection:
        save_node(connection, Node(secrets.token_bytes(16), "HQ", "总部", "office", OFFICE_NO, secrets.token_bytes(8), 0))
    admin = set_up_office(store, login="admin", name=f"{WORD} admin", password="Correct-Horse-7")
    made = Company(store, admin, {"admin": admin.user_id or ""}, {}, {"HQ": store.node.branch_id})
    with store.unit_of_work(None) as uow:
        for number, code in enumerate(("BR01", "BR02"), start=2):
            made.branches[code] = uow.insert(entity("branch"), entity("branch").validate({"code": code, "name": WORD, "node_no": number}))
    for name, above in DEPARTMENTS.items():
        made.departments[name] = made.new("department", name=f"{WORD} {name}", code=name, parent_id=made.departments.get(above or ""))
    _hire(made)
    for person in PEOPLE:
        for grant in person.grants:
            _grant(made, person, grant)
    with store.unit_of_work(None) as uow:
        Sample(uow, made).fill()
    for person in PEOPLE:
        for grant in person.grants:
            _limit(made, person, grant)
    yield made
    store.close()


def _hire(company: Company) -> None:
    for person in PEOPLE[1:]:
        places = {"department_id": company.departments.get(person.department or ""), "branch_id": company.branches.get(person.branch or "")}
        company.ids[person.login] = company.new("user", login=person.login, name=f"{WORD} {person.login}", role=person.basic, **places)
    for person in PEOPLE:
        if person.further:
            company.do("people.set_departments", login=person.login, departments=list(person.further))
        if person.superior:
            company.do(
                "records.update_record", entity="user", id=company.ids[person.login], values={"superior_id": company.ids[person.superior]}
            )


def _grant(company: Company, person: Person, grant: Grant) -> None:
    """Write down what a role says, by the verbs an administrator has."""
    if not grant.name:
        for kind, scopes in grant.rights.items():
            company.do(
                "people.set_rights",
                login=person.login,
                entity=kind,
                actions=list(scopes),
                scope=scopes,
                departments=list(grant.departments),
            )
        for (kind, field), (rule, _strict) in grant.rules.items():
            company.do("people.set_field_rule", login=person.login, entity=kind, field=field, rule=rule)
        return
    role = company.new("role", name=grant.name)
    for kind, scopes in grant.rights.items():
        for action, scope in scopes.items():
            company.do("people.set_role_right", role_id=role, entity=kind, action=action, scope=scope, departments=list(grant.departments))
    for (kind, field), (rule, strict) in grant.rules.items():
        company.do("people.set_role_field", role_id=role, entity=kind, field=field, rule=rule, strict=strict)
    company.do("people.assign_role", login=person.login, role=grant.name)


def _limit(company: Company, person: Person, grant: Grant) -> None:
    """Write down which warehouses alone a role deals with, once there are any."""
    houses = [company.rows["warehouse"][place]["id"] for place in grant.houses]
    if houses and grant.name:
        role = next(row["id"] for row in company.rows["role"] if row["name"] == grant.name)
        company.do("people.set_role_limits", role_id=role, entity="warehouse", allowed=houses)
    elif houses:
        company.do("people.set_limits", login=person.login, entity="warehouse", allowed=houses)
    company.__dict__.pop("rows", None)


class Sample:
    """Records made from the declarations: everybody owns one of each kind, two of a kind lie in the bin, half of the documents are posted."""

    def __init__(self, uow: UnitOfWork, company: Company) -> None:
        self.uow = uow
        self.pools = {kind.key: [row["id"] for row in uow.where(kind)] for kind in KINDS if kind.key in RIGHTS}
        self.pools |= {"user": list(company.ids.values()), "department": list(company.departments.values())}
        self.pools |= {"branch": list(company.branches.values())}

    def fill(self) -> None:
        made: dict[str, list[str]] = {}
        waiting = [kind for kind in KINDS if kind.key not in RIGHTS | ABOUT | UNDER_ABOUT]
        while waiting:
            known = [[field for field in kind.refs if field.f.ref not in {*self.pools, kind.key}] for kind in waiting]
            ready = [kind for kind, missing in zip(waiting, known, strict=True) if not missing]
            # Kinds that name each other: first one that need not.
            ready += [kind for kind, missing in zip(waiting, known, strict=True) if not any(field.required for field in missing)]
            waiting.remove(kind := ready[0])
            self._fill(kind, made)
        for kind in KINDS:
            for identity in made.get(kind.key, [])[3:8:4]:
                if kind.kind in {Kind.MASTER, Kind.HUB, Kind.DOCUMENT}:
                    self.uow.set_deleted(kind, identity, deleted=True)
            for identity in made.get(kind.key, [])[::2]:
                if kind.kind is Kind.DOCUMENT:
                    self.uow.update(kind, identity, {"status": "posted"})
        for kind in KINDS:
            if kind.key in ABOUT - RIGHTS:
                self._about(kind, made)
                self.pools[kind.key] = [row["id"] for row in self.uow.where(kind)]
        for kind in KINDS:
            if kind.key in UNDER_ABOUT:
                self._fill(kind, made)
        self._shares(made)
        self._approvals(made)

    def _fill(self, kind: EntityType, made: dict[str, list[str]]) -> None:
        made[kind.key] = []
        self.pools.setdefault(kind.key, made[kind.key])
        for n in range(len(PEOPLE) + 2):
            made[kind.key].append(self.uow.insert(kind, self.values(kind, n)))

    def values(self, kind: EntityType, n: int) -> Row:
        """Checked values of the n-th record of a kind."""
        found = {field.key: self.value(kind, field, n) for field in kind.fields.values()}
        return kind.validate({key: value for key, value in found.items() if value is not None})

    def value(self, kind: EntityType, field: Field, n: int) -> Any:
        if field.secret or (field.f.merge == "hub" and field.kind != "ref") or (kind.kind is Kind.DOCUMENT and field.key == "status"):
            return field.default
        if field.options:
            return list(field.options)[n % len(field.options)]
        if field.f.ref or field.f.refs:
            pool = self.pools.get(field.f.ref or field.f.refs or "")
            return pool[(n + field.no) % len(pool)] if pool else None
        return {
            "boolean": n % 3 > 0 if field.key == "active" else n % 2 == 0,  # so that what is used together is in use together, too
            "integer": n + 1,
            "money": Decimal(f"{kind.no}{n:02}.{field.no:02}"),
            "quantity": Decimal(n + 1),
            "price": Decimal(f"{n + 7}.{field.no:02}"),
            "rate": Decimal(n) / 100,
            "date": date(2026, 1, 1) + timedelta(days=n),
            "datetime": datetime(2026, 1, 1, 8, field.no % 60, tzinfo=UTC) + timedelta(days=n),
            "files": Attachment(f"{kind.no:032x}{n:032x}", n + 1, f"{WORD} {kind.key} {field.key} {n:02}.pdf").line,
            "place": f"31.{n:06}, 121.473701",
        }.get(field.f.widget if field.f.widget == "place" else field.kind, f"{WORD} {kind.key} {field.key} {n:02}")

    def _about(self, telling: EntityType, made: Mapping[str, list[str]]) -> None:
        """About every kind of record but those that are about others themselves: about a whole record, its title, two other fields."""
        for kind in (kind for kind in KINDS if kind.key not in ABOUT):
            known = made.get(kind.key) or self.pools.get(kind.key, [])
            others = [field.key for field in kind.fields.values() if field.key != kind.title_field]
            for n, field in enumerate((None, kind.title_field, others[0], others[-1], None)):
                if known:
                    about = {"entity": kind.key, "record": known[n % len(known)], "field": field}
                    about = {key: value for key, value in about.items() if key in telling.fields}
                    self.uow.insert(telling, telling.validate({**self.values(telling, n), **about}))

    def _shares(self, made: Mapping[str, list[str]]) -> None:
        """Everything that belongs to somebody is shared in turn with a user, a department, a branch; some of it no longer."""
        share = entity("share")
        for kind in KINDS:
            for n, record in enumerate(made.get(kind.key, []) if kind.owner in kind.fields else []):
                key = ("user_id", "department_id", "branch_id")[n % 3]
                pool = self.pools[share.fields[key].f.ref or ""]
                values = {
                    "entity": kind.key,
                    "record": record,
                    key: pool[(n * 5) % len(pool)],
                    "level": ("read", "write", "follow")[n // 3 % 3],
                }
                values["without"] = (None, None, None, "quote sales_order")[n % 4]
                identity = self.uow.insert(
                    share, share.validate(values | {"until": (None, date(2020, 1, 1), date(2199, 1, 1))[n // 2 % 3]})
                )
                if n % 7 == 6:
                    self.uow.set_deleted(share, identity, deleted=True)

    def _approvals(self, made: Mapping[str, list[str]]) -> None:
        """Half of the drafts are asked about: first one of two people, then one more; of some the first step is approved, of some all is over."""
        request, step = entity("approval_request"), entity("approval_step")
        users = [user for user in self.pools["user"] if user != self.pools["user"][0]]  # the administrator sees everything anyway
        drafts = self.uow.where(entity("sales_order"), status="draft")
        for n, order in enumerate(drafts[::2]):
            first, second, third, author = (users[(n * 3 + k * 5) % len(users)] for k in range(4))
            plan = [{"step": 1, "users": [first, second]}, {"step": 2, "users": [third]}]
            values = {
                "entity": "sales_order",
                "record": order["id"],
                "branch_id": order["branch_id"],
                "plan": json.dumps(plan),
                "author_id": author,
                "owner_id": None,
            }
            identity = self.uow.insert(request, request.validate({**self.values(request, n), **values}))
            for seat, decision in ((), ((0, "approved"),), ((0, "approved"), (1, "rejected")))[n % 3]:
                told = {"request_id": identity, "seat": seat, "decision": decision}
                self.uow.insert(step, step.validate({**self.values(step, n), **told}))


# what they may see, worked out a second time -----------------------------------------------------------------------------------


SEVERITY = ("editable", "read_only", "masked", "hidden")


Answer = TypeVar("Answer")


def remembered(answer: Callable[..., Answer]) -> Callable[..., Answer]:
    """What the oracle found once it need not work out again: the rows stay as they are, and it is asked the same hundreds of times."""

    def named(part: Any) -> Any:
        return (
            part.login
            if isinstance(part, Person)
            else part.key
            if isinstance(part, EntityType)
            else part["id"]
            if isinstance(part, dict)
            else part
        )

    @wraps(answer)
    def ask(self: Oracle, *question: Any) -> Answer:
        if any(isinstance(part, dict) and id(part) not in self.stored for part in question):  # of a record that is yet to be, or to change
            return answer(self, *question)
        asked = (answer.__name__, *map(named, question))
        if asked not in self.known:
            self.known[asked] = answer(self, *question)
        return cast("Answer", self.known[asked])

    return ask


class Oracle:
    """What a user may see and do, row by row, from what is written down above."""

    def __init__(self, company: Company) -> None:
        self.company, self.rows = company, company.rows
        self.by_id = {(key, row["id"]): row for key, rows in self.rows.items() for row in rows}
        self.shares = defaultdict[str, list[Row]](list)
        for share in self.rows["share"]:
            self.shares[share["record"]].append(share)
        self.stored = {id(row) for rows in self.rows.values() for row in rows}
        self.known: dict[tuple[Any, ...], Any] = {}

    # functions and rows

    @remembered
    def scopes(self, who: Person, kind: EntityType, action: str) -> list[tuple[Grant, str]]:
        """The scopes somebody has for an action, with the role each comes from; empty without the right."""
        everything = (Grant({}), "all")
        if who.basic == "admin":
            return [everything]
        kind, action = self._of_document(who, kind, action)
        found = [(grant, grant.rights[kind.key][action]) for grant in who.grants if action in grant.rights.get(kind.key, {})]
        if who.basic == "staff" and not any(kind.key in grant.rights for grant in who.grants):
            right = f"{kind.key}.{action}"
            return [everything] if right in STAFF_READS or (ADMIN_ONLY.isdisjoint((kind.key, right)) and right not in BY_ROLE_ALONE) else []
        return found

    def _of_document(self, who: Person, kind: EntityType, action: str) -> tuple[EntityType, str]:
        """Lines go with their document: who changes it adds and removes them; who may only make new ones fills those."""
        if not kind.parent:
            return kind, action
        document = self.above(kind)
        changes = "update" if action == "delete" or self.scopes(who, document, "update") else "create"
        return document, changes if action in {"create", "delete"} else action

    def above(self, kind: EntityType) -> EntityType:
        return entity(kind.fields[kind.under or ""].f.ref or "")

    def of_deleted(self, kind: EntityType, row: Row) -> bool:
        """Whether a line belongs to a document in the bin."""
        return kind.kind is Kind.LINE and bool(self.by_id[self.above(kind).key, row[kind.under]]["deleted"])

    def may(self, who: Person, kind: EntityType, action: str = "read") -> bool:
        return bool(self.scopes(who, kind, action))

    @remembered
    def reaches(self, who: Person, kind: EntityType, row: Row, action: str = "read") -> bool:
        """Whether somebody may see a row, or do this to it."""
        if who.basic == "admin":
            return True
        if not self.may(who, kind) or not self.may(who, kind, action) or not self.within(who, kind, row):
            return False
        if kind.key in ABOUT:
            return self._sees_what_it_is_about(who, row)
        if kind.under:
            return self._reaches_above(who, kind, row, action)
        return all(
            self.shared(who, kind, row, wish)
            or (wish == "read" and self.waits(who, kind, row))
            or self.with_customer(who, kind, row, wish)
            or any(self.fits(who, kind, row, *one) for one in self.scopes(who, kind, wish))
            for wish in {"read", action}
        )

    def within(self, who: Person, kind: EntityType, row: Row) -> bool:
        """Whether a row names no warehouse, nor is one, beyond those that the roles of somebody are limited to."""
        houses = {self.rows["warehouse"][place]["id"] for grant in who.grants for place in grant.houses}
        named = [row.get(field.key) for field in kind.refs if field.f.ref == "warehouse"]
        named = [*filter(None, named), *([row["id"]] if kind.key == "warehouse" else [])]
        return not houses or houses.issuperset(named)

    def homes(self, user: Row) -> set[str]:
        """Every department of a user."""
        return {user["department_id"], *(user["departments"] or "").split()} - {None}

    def with_customer(self, who: Person, kind: EntityType, row: Row, action: str) -> bool:
        """Whether a record is of a customer that was shared for this, and this kind with it, or that is within reach for looking at this kind."""
        customer = self.by_id.get(("customer", row.get("customer_id"))) if kind.key in WITH_CUSTOMER else None
        if customer is None:
            return False
        above = entity("customer")
        near = action == "read" and any(self.fits(who, above, customer, *one) for one in self.scopes(who, kind, "read"))
        return near or self.shared(who, above, customer, action, along=kind.key)

    def shared(self, who: Person, kind: EntityType, row: Row, action: str, *, along: str = "") -> bool:
        """Whether a record was shared with somebody, his department or one above it, or his branch, and for this; or a kind along with it."""
        homes = [self.company.departments[name] for name in who.departments]
        departments = [above for home in homes for above in self._upwards("department", "parent_id", home)]
        targets = {self.company.ids[who.login], *departments, self.company.branches[who.branch or "HQ"]}
        return any(
            not share["deleted"]
            and (share["until"] is None or share["until"] >= date.today())
            and not targets.isdisjoint({share["user_id"], share["department_id"], share["branch_id"]})
            and (action == "read" or (action, share["level"]) in {("update", "write"), ("follow", "follow")})
            and along not in (share["without"] or "").split()
            for share in self.shares[row["id"]]
            if share["entity"] == kind.key
        )

    def waits(self, who: Person, kind: EntityType, row: Row) -> bool:
        """Whether a draft waits for somebody to approve it: in its first step nobody has approved, or that was done and he is the second."""
        me = self.company.ids[who.login]
        if row.get("status") != "draft" or row["deleted"]:
            return False
        for request in self.rows["approval_request"]:
            if (request["entity"], request["record"]) != (kind.key, row["id"]) or not request["plan"].startswith("["):
                continue
            made = {(one["seat"], one["decision"]) for one in self.rows["approval_step"] if one["request_id"] == request["id"]}
            turn = next((n for n, _seat in enumerate(json.loads(request["plan"])) if (n, "approved") not in made), None)
            over = any(decision in {"rejected", "withdrawn"} for _seat, decision in made)
            if turn is not None and not over and me in json.loads(request["plan"])[turn]["users"] and me != request["author_id"]:
                return True
        return False

    def _reaches_above(self, who: Person, kind: EntityType, row: Row, action: str) -> bool:
        """With a document's lines what one may do with it; else what hangs under a record is changed where that one is."""
        above, parent = self.above(kind), self.by_id[self.above(kind).key, row[kind.under]]
        if kind.parent:
            return self.reaches(who, above, parent, self._of_document(who, kind, action)[1])
        own = "user_id" in kind.fields and row["user_id"] == self.company.ids[who.login]
        adds = action == "create" or (action == "update" and own)  # who only follows up adds, and changes what he has added
        if adds and self.reaches(who, above, parent) and self.shared(who, above, parent, "follow"):
            return True
        writes = action not in {"read", "export"} and self.may(who, above, "update")
        return self.reaches(who, above, parent, "update" if writes else "read")

    def _sees_what_it_is_about(self, who: Person, row: Row) -> bool:
        kind, record = entity(row["entity"]), self.by_id.get((row["entity"], row["record"]))
        return record is not None and self.reaches(who, kind, record) and self.rule(who, kind, row.get("field")) not in {"hidden", "masked"}

    def fits(self, who: Person, kind: EntityType, row: Row, grant: Grant, scope: str) -> bool:
        me, owner = self.company.ids[who.login], row.get(kind.owner) if kind.owner else None
        if scope == "all" or (owner is not None and owner == me):
            return True
        if scope == "branch":
            home = self.company.branches[who.branch or "HQ"]
            return "branch_id" in kind.fields and row["branch_id"] == home
        user = self.by_id.get(("user", owner))
        if user is None or user["deleted"]:
            return False
        mine = {self.company.departments[name] for name in who.departments}
        match scope:
            case "subordinates":
                return me in self._upwards("user", "superior_id", user["superior_id"])
            case "department":
                return bool(mine & self.homes(user))
            case "department_tree":
                return any(mine.intersection(self._upwards("department", "parent_id", home)) for home in self.homes(user))
            case "departments":
                return bool(self.homes(user) & {self.company.departments[name] for name in grant.departments})
        return False

    def _upwards(self, kind: str, key: str, start: str | None) -> list[str]:
        passed: list[str] = []
        while start is not None and start not in passed and not self.by_id[kind, start]["deleted"]:
            passed.append(start)
            start = self.by_id[kind, start][key]
        return passed

    def visible(self, who: Person, kind: EntityType, *, action: str = "read", deleted: bool | None = None) -> list[Row] | None:
        """The rows somebody may see, in the order they came; None without the right."""
        if not self.may(who, kind) or not self.may(who, kind, action):
            return None
        return [row for row in self.rows[kind.key] if deleted in {None, row["deleted"]} and self.reaches(who, kind, row, action)]

    def listed(self, who: Person, kind: EntityType, *, deleted: bool) -> list[Row] | None:
        """The same in the order of a list: that of the declaration, or the newest first where its field may not be read."""
        rows, key = self.visible(who, kind, deleted=deleted), (kind.order_by or "").removeprefix("-")
        if rows is None or key not in self.plain(who, kind):
            return rows and rows[::-1]
        ordered = sorted(rows, key=lambda row: (row[key] is not None, row[key] or 0))
        return ordered[::-1] if (kind.order_by or "").startswith("-") else ordered

    # fields

    @remembered
    def rule(self, who: Person, kind: EntityType, field: str | None) -> str:
        """What becomes of a field: the mildest among the roles that show the kind at all, unless a rule binds; no milder than of what tells the same."""
        like = kind.fields[field].f.like if field in kind.fields else None
        return max(self.own_rule(who, kind, field), self.own_rule(who, kind, like) if like else "editable", key=SEVERITY.index)

    def own_rule(self, who: Person, kind: EntityType, field: str | None) -> str:
        given = [(grant, grant.rules.get((kind.key, field or ""), ("editable", False))) for grant in who.grants]
        seen_with = self.above(kind) if kind.parent else kind
        mild = [rule for grant, (rule, _strict) in given if "read" in grant.rights.get(seen_with.key, {})]
        binding = [rule for grant, (rule, strict) in given if strict or not grant.name]
        return max(min(mild, default="editable", key=SEVERITY.index), *binding, "editable", key=SEVERITY.index)

    def readable(self, who: Person, kind: EntityType) -> list[Field]:
        """Fields somebody gets to see, plain or masked."""
        return [field for field in kind.fields.values() if not field.secret and self.rule(who, kind, field.key) != "hidden"]

    @remembered
    def plain(self, who: Person, kind: EntityType) -> set[str]:
        """Fields whose values somebody may read as they are."""
        return {field.key for field in self.readable(who, kind) if self.rule(who, kind, field.key) != "masked"}

    def covered(self, who: Person, kind: EntityType) -> set[str]:
        """Fields whose values somebody must not learn."""
        return {field.key for field in kind.fields.values() if not field.secret} - self.plain(who, kind)

    def found_by(self, who: Person, kind: EntityType, row: Row, text: str) -> bool:
        """Whether a search for some words comes upon a row by what somebody may read of it."""
        whole = " ".join(str(row[field.key] or "") for field in kind.searched if field.key in self.plain(who, kind))
        return all(word in whole for word in text.split())

    def shown(self, who: Person, kind: EntityType, row: Row) -> Row:
        """A row in JSON form as somebody may have it."""
        return {
            field.key: field.to_json(row[field.key]) if field.key in self.plain(who, kind) else masked(field, row[field.key])
            for field in self.readable(who, kind)
        }


def masked(field: Field, value: Any) -> Any:
    """Of a written text its beginning and end where enough is between them; of anything else only that there is something."""
    if value is None or value == "":
        return value
    written = field.kind in {"text", "longtext"} and not field.options
    return f"{value[:3]}****{value[-2:]}" if written and len(value) >= 8 else "****"


@pytest.fixture(scope="module")
def oracle(company: Company) -> Oracle:
    return Oracle(company)


def for_everybody(answer: Callable[[Person], Any]) -> dict[str, Any]:
    """What each user gets; None where he is told that he has no right."""
    found: dict[str, Any] = {}
    for person in SIGNING_IN:
        try:
            found[person.login] = answer(person)
        except Forbidden:
            found[person.login] = None
    return found


def ids_of(rows: list[Row] | None) -> list[str] | None:
    return None if rows is None else [row["id"] for row in rows]


def some(rows: list[Row]) -> list[Row]:
    """The rows that are opened one by one: all, or the newest of very many."""
    return rows[-OPENED:]


# doors -------------------------------------------------------------------------------------------------------------------------


def test_who_has_no_rights_at_all_does_not_get_in(company: Company) -> None:
    assert [person.login for person in PEOPLE if person.login not in company.actors] == ["nobody"]


def test_the_sample_holds_what_there_is_to_see(company: Company, oracle: Oracle) -> None:
    """A matrix over an empty company would be green."""
    for kind in KINDS:
        assert len(company.rows[kind.key]) >= 6, kind.key
        if kind.kind in {Kind.MASTER, Kind.DOCUMENT}:
            assert any(row["deleted"] for row in company.rows[kind.key]), kind.key
        if kind.owner:
            counts = {who.login: len(oracle.visible(who, kind) or []) for who in SIGNING_IN}
            assert 0 < counts["own"] < counts["department_tree"] < counts["admin"]
            assert counts["own"] < counts["subordinates"]


@pytest.mark.parametrize("kind", EACH_KIND)
def test_a_list_shows_what_may_be_seen_page_by_page(company: Company, oracle: Oracle, kind: EntityType) -> None:
    def listed(who: Person, *, deleted: bool) -> list[tuple[str, set[str]]]:
        rows: list[Row] = []
        cursor, total = None, None
        while total is None or cursor:
            body = {"startRow": len(rows), "endRow": len(rows) + 40, "deleted": deleted, "cursor": cursor}
            page = endpoints.list_page(company.sessions[who.login], {"entity": kind.key}, body)
            rows, cursor, total = rows + page["rows"], page["cursor"], page["total"]
        assert total == len(rows)
        for row in rows:
            assert [key for key in oracle.covered(who, kind) & row.keys() if row[key] and "****" not in row[key]] == []
        return [(row["id"], row.keys() & kind.fields) for row in rows]

    def allowed(who: Person, *, deleted: bool) -> list[tuple[str, set[str]]] | None:
        rows = oracle.listed(who, kind, deleted=deleted)
        fields = {field.key for field in oracle.readable(who, kind)}
        return None if rows is None else [(row["id"], fields) for row in rows]

    assert for_everybody(lambda who: listed(who, deleted=False)) == {who.login: allowed(who, deleted=False) for who in SIGNING_IN}
    assert for_everybody(lambda who: listed(who, deleted=True)) == {who.login: allowed(who, deleted=True) for who in SIGNING_IN}


@pytest.mark.parametrize("kind", EACH_KIND)
def test_a_picker_offers_the_first_that_may_be_seen(company: Company, oracle: Oracle, kind: EntityType) -> None:
    def offered(who: Person) -> list[str]:
        rows = endpoints.pick(company.sessions[who.login], {"entity": kind.key}, None)["rows"]
        for row in rows:
            covered = {str(oracle.by_id[kind.key, row["id"]][key]) for key in oracle.covered(who, kind)}
            assert not covered & {row["title"], *row["second"].split(" · ")} - {"None"}
        return [row["id"] for row in rows]

    def allowed(who: Person) -> list[str] | None:
        rows = oracle.listed(who, kind, deleted=False)
        return None if rows is None else [row["id"] for row in rows[: endpoints.PICKS]]

    assert for_everybody(offered) == {who.login: allowed(who) for who in SIGNING_IN}


def test_the_palette_finds_what_may_be_seen(company: Company, oracle: Oracle) -> None:
    def allowed(who: Person) -> set[tuple[str, str]]:
        return {
            (kind.key, row["id"])
            for kind in KINDS
            for row in oracle.visible(who, kind, deleted=False) or []
            if oracle.found_by(who, kind, row, WORD)
        }

    for who in SIGNING_IN:
        with company.store.read() as connection:
            hits = records.find_everywhere(connection, company.actors[who.login], text=WORD, limit=100_000)
        assert {(hit.entity, hit.id) for hit in hits} == allowed(who), who.login
        for hit in hits:
            row = oracle.by_id[hit.entity, hit.id]
            assert hit.match in {str(row[key]) for key in oracle.plain(who, entity(hit.entity))}
        first = endpoints.find(company.sessions[who.login], {"q": WORD}, None)["rows"]
        assert {(row["entity"], row["id"]) for row in first} <= allowed(who)
        assert len(first) == min(20, len(allowed(who)))


@pytest.mark.parametrize("kind", EACH_KIND)
def test_a_search_within_a_list_finds_what_may_be_seen(company: Company, oracle: Oracle, kind: EntityType) -> None:
    newest = company.rows[kind.key][-1]

    def found(who: Person, text: str) -> set[str]:
        rows = endpoints.list_page(company.sessions[who.login], {"entity": kind.key}, {"search": text, "endRow": 400})["rows"]
        return {row["id"] for row in rows}

    def allowed(who: Person, text: str) -> set[str] | None:
        rows = oracle.visible(who, kind, deleted=False)
        return None if rows is None else {row["id"] for row in rows if oracle.found_by(who, kind, row, text)}

    for text in {WORD, *(str(newest[field.key] or WORD) for field in kind.searched)}:
        assert for_everybody(partial(found, text=text)) == {who.login: allowed(who, text) for who in SIGNING_IN}, text


@pytest.mark.parametrize("kind", EACH_KIND)
def test_a_record_is_opened_where_it_may_be_seen(company: Company, oracle: Oracle, kind: EntityType) -> None:
    def opened(who: Person) -> dict[str, Row]:
        found = {}
        with company.store.read() as connection:
            for row in some(company.rows[kind.key]):
                try:
                    record = records.read_record(connection, company.actors[who.login], entity=kind.key, id=row["id"])
                except NotFound:
                    continue
                found[row["id"]] = {key: value for key, value in record.items() if key in kind.fields}
        return found

    def allowed(who: Person) -> dict[str, Row] | None:
        if not oracle.may(who, kind):
            return None
        return {row["id"]: oracle.shown(who, kind, row) for row in some(company.rows[kind.key]) if oracle.reaches(who, kind, row)}

    def in_a_form(who: Person) -> dict[str, Row]:
        found = {}
        for row in some(company.rows[kind.key]):
            try:
                record = load_typed(company.sessions[who.login], kind, row["id"])
            except NotFound:
                continue
            found[row["id"]] = {field.key: field.to_json(record[field.key]) for field in kind.readable if field.key in record}
            assert record.keys() <= {"id", "deleted", "version", *kind.fields}
        return found

    expected = {who.login: allowed(who) for who in SIGNING_IN}
    assert for_everybody(opened) == expected
    assert for_everybody(in_a_form) == expected


@pytest.mark.parametrize("kind", EACH_KIND)
def test_a_history_tells_of_fields_that_may_be_seen(company: Company, oracle: Oracle, kind: EntityType) -> None:
    def told(who: Person) -> dict[str, bool]:
        found = {}
        for row in some(company.rows[kind.key])[::3]:
            try:
                with company.store.read() as connection:
                    changes = records.read_history(connection, company.actors[who.login], entity=kind.key, id=row["id"])
                lines = history_lines(company.sessions[who.login], kind, row["id"])
            except NotFound:
                continue
            fields = {change.field for change in changes} - {"deleted", *(field.key for field in kind.fields.values() if field.secret)}
            readable = {field.key for field in oracle.readable(who, kind)}
            assert {key for key in readable if row[key] is not None} <= fields <= readable, who.login
            values = [
                (kind.fields[change.field], value) for change in changes if change.field in fields for value in (change.old, change.new)
            ]
            cover = oracle.covered(who, kind)
            for field, value in values:
                assert field.key not in cover or value is None or value in {"****", masked(field, row[field.key])}
            labels = {kind.fields[key].label for key in cover} - {kind.fields[key].label for key in oracle.plain(who, kind)}
            assert all("****" in line.old + line.new for line in lines if line.field in labels)
            found[row["id"]] = True
        return found

    def allowed(who: Person) -> dict[str, bool] | None:
        if not oracle.may(who, kind):
            return None
        return {row["id"]: True for row in some(company.rows[kind.key])[::3] if oracle.reaches(who, kind, row)}

    assert for_everybody(told) == {who.login: allowed(who) for who in SIGNING_IN}


@pytest.mark.parametrize("kind", EACH_KIND)
def test_an_export_holds_what_may_be_taken_away(company: Company, oracle: Oracle, kind: EntityType, tmp_path: Path) -> None:
    every = [field.key for field in kind.readable]

    def exported(who: Person) -> tuple[list[str], Counter[str]]:
        session, path = company.sessions[who.login], tmp_path / f"{who.login}.csv"
        endpoints._write_export(session, endpoints.list_query(session, kind, endpoints.read_request({}), "export"), path, every)
        headers, *rows = csv.reader(path.open(encoding="utf-8-sig", newline=""))
        for place, field in enumerate(oracle.readable(who, kind)):
            assert field.key in oracle.plain(who, kind) or all(row[place] == "" or "****" in row[place] for row in rows)
        title = headers.index(kind.fields[kind.title_field].label)
        return headers, Counter(row[title] for row in rows)

    def allowed(who: Person) -> tuple[list[str], Counter[str]] | None:
        rows = oracle.visible(who, kind, action="export", deleted=False)
        if rows is None:
            return None
        title = kind.fields[kind.title_field]
        words = {value: words_of(title, value) for value in {row[title.key] for row in rows}}
        return [field.label for field in oracle.readable(who, kind)], Counter(words[row[title.key]] for row in rows)

    assert for_everybody(exported) == {who.login: allowed(who) for who in SIGNING_IN}


def words_of(field: Field, value: Any) -> str:
    from localcrm.kernel.i18n import gettext

    return gettext(field.options[value]) if value in field.options else str(value or "")


def test_conflicts_are_told_to_those_who_see_what_they_are_about(company: Company, oracle: Oracle) -> None:
    kind = entity("conflict")

    def told(who: Person) -> dict[str, set[str]]:
        return {row["id"]: row.keys() & kind.fields for row in node_sync.conflicts(company.store, company.actors[who.login])["rows"]}

    def allowed(who: Person) -> dict[str, set[str]] | None:
        rows = oracle.visible(who, kind)
        names = {"kind", "entity", "record", "field", "base", "kept", "lost", "kept_by", "lost_by", "kept_at", "lost_at", "state"}
        return None if rows is None else {row["id"]: names & {field.key for field in oracle.readable(who, kind)} for row in rows}

    assert for_everybody(told) == {who.login: allowed(who) for who in SIGNING_IN}


@pytest.mark.parametrize("kind", EACH_KIND)
def test_groups_count_what_may_be_seen(company: Company, oracle: Oracle, kind: EntityType) -> None:
    grouped = [field.key for field in kind.readable if field.kind in {"text", "choice", "ref", "boolean"}]

    def counted(who: Person) -> dict[str, Counter[Any]]:
        view = policy.view(company.actors[who.login], kind)
        with company.store.read() as connection:
            return {key: Counter(dict(group_counts(connection, view, key))) for key in grouped}

    def allowed(who: Person) -> dict[str, Counter[Any]] | None:
        rows = oracle.visible(who, kind, deleted=False)
        plain = oracle.plain(who, kind)
        return None if rows is None else {key: Counter(row[key] for row in rows) if key in plain else Counter() for key in grouped}

    assert for_everybody(counted) == {who.login: allowed(who) for who in SIGNING_IN}


@pytest.mark.parametrize("kind", EACH_KIND)
def test_what_may_not_be_read_neither_sorts_nor_filters(company: Company, oracle: Oracle, kind: EntityType) -> None:
    def refused(who: Person, body: Row) -> bool:
        try:
            endpoints.list_page(company.sessions[who.login], {"entity": kind.key}, body)
        except InvalidInput as error:
            return error.code in {"bad_sort", "bad_filter"}
        return False

    for who in SIGNING_IN:
        if not oracle.may(who, kind):
            continue
        cover = {field.key for field in kind.readable if refused(who, {"endRow": 1, "sortModel": [{"colId": field.key}]})}
        filters = {key for key in (field.key for field in kind.readable) if refused(who, {"endRow": 1, "where": [[key, "filled", None]]})}
        assert (cover, filters) == (oracle.covered(who, kind), oracle.covered(who, kind)), who.login


def test_changes_are_told_without_what_may_not_be_seen(company: Company, oracle: Oracle) -> None:
    ids = {kind.key: frozenset(row["id"] for row in company.rows[kind.key]) for kind in KINDS}
    fields = {kind.key: frozenset(kind.fields) for kind in KINDS}
    for who in SIGNING_IN:
        told = policy.seen_changes(company.actors[who.login], Changes(ids, fields))
        assert set(told.ids) == {kind.key for kind in KINDS if oracle.may(who, kind)}, who.login
        for key, named in told.ids.items():
            kind = entity(key)
            assert named is None or named <= {row["id"] for row in oracle.visible(who, kind) or []}, (who.login, key)
            assert told.fields[key] == fields[key] - {name for name in kind.fields if oracle.rule(who, kind, name) == "hidden"}


# doors that show one kind beside another ---------------------------------------------------------------------------------------


def rows_with(oracle: Oracle, who: Person, key: str, *fields: str) -> list[Row]:
    """Live rows somebody may see; none where one of these fields may not be read."""
    kind = entity(key)
    rows = oracle.visible(who, kind, deleted=False) or []
    return rows if set(fields) <= oracle.plain(who, kind) else []


def test_a_customer_at_a_glance_is_made_of_what_may_be_seen(company: Company, oracle: Oracle) -> None:
    ids = [row["id"] for row in company.rows["customer"]]
    for who in SIGNING_IN:
        with company.store.read() as connection:
            glances = customer_glances(connection, company.actors[who.login], ids)
        contacts = rows_with(oracle, who, "contact", "customer_id", "name")
        activities = rows_with(oracle, who, "activity", "customer_id", "at", "type", "content")
        orders = [row for row in rows_with(oracle, who, "sales_order", "customer_id", "gross", "status") if row["status"] == "posted"]
        money = rows_with(oracle, who, "receipt", "order_id", "amount")
        told = "receipt" in {kind.key for kind in KINDS if oracle.may(who, kind)} and "amount" in oracle.plain(who, entity("receipt"))
        for customer in ids:
            glance = glances[customer]
            assert glance.contact in ({row["name"] for row in contacts if row["customer_id"] == customer} or {None})
            assert glance.last_content in ({row["content"][:80] for row in activities if row["customer_id"] == customer} or {None})
            own = [row for row in orders if row["customer_id"] == customer] if told else []
            received = sum(row["amount"] for row in money if row["order_id"] in {order["id"] for order in own})
            assert (glance.unpaid or 0) == sum(row["gross"] for row in own) - received, who.login


def test_stock_is_the_sum_of_movements_that_may_be_seen(company: Company, oracle: Oracle) -> None:
    for who in SIGNING_IN:
        with company.store.read() as connection:
            found = stock_list(connection, company.actors[who.login])
        totals: Counter[tuple[str, str]] = Counter()
        for move in rows_with(oracle, who, "stock_move", "product_id", "warehouse_id", "quantity"):
            totals[move["product_id"], move["warehouse_id"]] += move["quantity"]
        assert {(row["product_id"], row["warehouse_id"]): row["quantity"] for row in found} == totals, who.login


def test_last_prices_are_those_of_orders_that_may_be_seen(company: Company, oracle: Oracle) -> None:
    reversed_ids = {row["reverses_id"] for row in company.rows["sales_order"] if not row["deleted"]}
    for who in SIGNING_IN:
        orders = {
            row["id"]: row
            for row in rows_with(oracle, who, "sales_order", "customer_id", "date", "status")
            if row["status"] == "posted" and not row["reverses_id"] and row["id"] not in reversed_ids
        }
        lines = rows_with(oracle, who, "sales_order_line", "product_id", "price", "quantity", "unit", "discount")
        for line in company.rows["sales_order_line"]:
            customer = oracle.by_id["sales_order", line["order_id"]]["customer_id"]
            with company.store.read() as connection:
                deals = last_deals(connection, company.actors[who.login], customer, line["product_id"], limit=100)
            known = [one for one in lines if one["product_id"] == line["product_id"] and one["order_id"] in orders]
            prices = [one["price"] for one in known if orders[one["order_id"]]["customer_id"] == customer]
            assert Counter(deal["price"] for deal in deals) == Counter(prices), who.login


# the command line --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(company: Company, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A command as somebody: the document it prints, or None when he has no right. Passwords are not what is tried here."""
    monkeypatch.setattr("localcrm.domain.people.services.password_matches", lambda password, stored: True)
    told = {"LOCALCRM_DATA": str(company.store.folder), "LOCALCRM_PASSWORD": "any", "LOCALCRM_LANG": "en"}

    def run(who: Person, *words: str) -> Any:
        result = CliRunner().invoke(cli, [*words, "--as", who.login, "--json"], env=told)
        if result.exit_code == 0:
            return json.loads(result.stdout)
        code = json.loads(result.stderr)["code"]
        assert code in {"forbidden", "not_found"}, result.stderr
        return None

    return run


AT_A_TERMINAL = [person for person in PEOPLE if person.login in {"narrower", "clerk"}]


@pytest.mark.parametrize("kind", EACH_KIND)
def test_the_command_line_shows_no_more(
    company: Company, oracle: Oracle, kind: EntityType, terminal: Callable[..., Any], tmp_path: Path
) -> None:
    for who in AT_A_TERMINAL:
        allowed = oracle.visible(who, kind, deleted=False)
        listed = terminal(who, "list", kind.key)
        if allowed is None:
            assert listed is None
            assert terminal(who, "history", kind.key, company.rows[kind.key][0]["id"]) is None
        else:
            shown = {row["id"]: {key: row[key] for key in row.keys() & kind.fields} for row in listed["rows"]}
            assert shown == {row["id"]: oracle.shown(who, kind, row) for row in allowed}
            assert listed["total"] == len(allowed)
        for row in (company.rows[kind.key][0], company.rows[kind.key][-1]):
            assert (terminal(who, "get", kind.key, row["id"]) is not None) is oracle.reaches(who, kind, row)
        taken = oracle.visible(who, kind, action="export", deleted=False)
        path = tmp_path / f"{who.login}.jsonl"
        assert (terminal(who, "export", kind.key, "-o", str(path)) is None) is (taken is None)
        if taken is not None:
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            assert {line["id"]: set(line) - {"id"} for line in lines} == {
                row["id"]: {field.key for field in oracle.readable(who, kind)} for row in taken
            }


def test_the_command_line_finds_no_more(company: Company, oracle: Oracle, terminal: Callable[..., Any]) -> None:
    for who in AT_A_TERMINAL:
        hits = terminal(who, "search", WORD, "--limit", "200")["rows"]
        assert hits
        assert all(oracle.reaches(who, entity(hit["entity"]), oracle.by_id[hit["entity"], hit["id"]]) for hit in hits)


# verbs -------------------------------------------------------------------------------------------------------------------------


class Undone(Exception):
    """An action that got through and was taken back."""


@pytest.fixture
def outcome(company: Company, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """What becomes of an action of somebody: "done", or "refused" by a rule of the business, or "forbidden"; it is taken back."""
    real = company.store.unit_of_work

    @contextmanager
    def taken_back(actor: str | None) -> Iterator[UnitOfWork]:
        with real(actor) as uow:
            yield uow
            raise Undone

    def head() -> int:
        with company.store.read() as connection:
            return changelog.head(connection)

    def tried(who: Person, verb: str, parameters: Row) -> str:
        try:
            verbs.run(company.store, company.actors[who.login], verb, parameters)
        except Undone:
            return "done"
        except (Forbidden, NotFound):
            return "forbidden"
        except AppError:
            return "refused"
        raise AssertionError(verb)

    before = head()
    monkeypatch.setattr(company.store, "unit_of_work", taken_back)
    yield tried
    assert head() == before


@pytest.fixture
def trial(outcome: Callable[..., str]) -> Callable[..., bool]:
    """Whether the rights let an action of somebody pass."""
    return lambda *action: outcome(*action) != "forbidden"


def sample_of(rows: list[Row]) -> list[Row]:
    """Rows of different owners in different branches."""
    return rows[-OPENED::4]


def for_workers(answer: Callable[[Person], Any]) -> dict[str, Any]:
    return {who.login: answer(who) for who in SIGNING_IN}


@pytest.mark.parametrize("kind", EACH_KIND)
def test_records_are_changed_where_the_right_reaches(
    company: Company, oracle: Oracle, kind: EntityType, trial: Callable[..., bool]
) -> None:
    live = sample_of([row for row in company.rows[kind.key] if not row["deleted"] and not oracle.of_deleted(kind, row)])
    gone = [row for row in company.rows[kind.key] if row["deleted"]][:3]

    def tried(verb: str, rows: list[Row], **more: Any) -> dict[str, list[bool]]:
        return for_workers(lambda who: [trial(who, verb, {"entity": kind.key, "id": row["id"], **more}) for row in rows])

    def allowed(rows: list[Row], action: str) -> dict[str, list[bool]]:
        return for_workers(lambda who: [oracle.reaches(who, kind, row, action) and not only_admin(who, kind) for row in rows])

    assert tried("records.update_record", live, values={}) == allowed(live, "update")
    assert tried("records.delete_record", live) == allowed(live, "delete")
    assert tried("records.undelete_record", gone) == allowed(gone, "delete")


def only_admin(who: Person, kind: EntityType) -> bool:
    """Rights themselves cannot be granted away."""
    return kind.key == "role" and who.basic != "admin"


@pytest.mark.parametrize("kind", EACH_KIND)
def test_protected_fields_take_no_value(company: Company, oracle: Oracle, kind: EntityType, trial: Callable[..., bool]) -> None:
    """Not even the one they have: that would confirm a guess."""
    for who in SIGNING_IN:
        row = next((row for row in company.rows[kind.key] if not row["deleted"] and oracle.reaches(who, kind, row, "update")), None)
        if row is None or only_admin(who, kind) or kind.kind is Kind.LEDGER:
            continue
        for key in oracle.covered(who, kind):
            values = {key: kind.fields[key].to_json(row[key])}
            assert not trial(who, "records.update_record", {"entity": kind.key, "id": row["id"], "values": values})


@pytest.mark.parametrize("kind", EACH_KIND)
def test_records_are_added_where_the_right_reaches(company: Company, oracle: Oracle, kind: EntityType, outcome: Callable[..., str]) -> None:
    if not policy.written_by_hand(kind):
        return
    parents = sample_of(company.rows[oracle.above(kind).key]) if kind.under else [{"id": None}]

    def add(who: Person, template: Row, parent: Row) -> str:
        given = {
            field.key: f"new {field.key}" if field.key in {"code", "login", "name"} else field.to_json(template[field.key])
            for field in kind.fields.values()
            if field.f.editable and field.f.merge != "hub" and field.key not in {kind.owner, "branch_id"} and not field.secret
            if oracle.rule(who, kind, field.key) == "editable"
        }
        values = given | ({kind.under: parent["id"]} if kind.under else {})
        return outcome(who, "records.create_record", {"entity": kind.key, "values": values})

    def made(who: Person, template: Row, parent: Row) -> Row:
        """The record as the program would make it: of whoever enters it, at the branch where that happens."""
        row: Row = {"id": None, "deleted": False, **dict.fromkeys(kind.fields)}
        houses = [field.key for field in kind.refs if field.f.ref == "warehouse" and oracle.rule(who, kind, field.key) == "editable"]
        row |= {key: template[key] for key in houses}
        if kind.owner in kind.fields:
            row[kind.owner] = company.ids[who.login]
        if "branch_id" in kind.fields and kind.key != "user":
            row["branch_id"] = company.branches["HQ"]
        return row | ({kind.under: parent["id"]} if kind.under else {})

    admin, *_others = people = [
        who for who in SIGNING_IN if not any(f.required and oracle.rule(who, kind, f.key) != "editable" for f in kind.fields.values())
    ]
    rows = company.rows[kind.key]
    template = next((row for row in rows if any(add(admin, row, parent) == "done" for parent in parents)), rows[-1])
    for who in people:
        for parent in parents:
            may = not only_admin(who, kind) and oracle.reaches(who, kind, made(who, template, parent), "create")
            assert (add(who, template, parent) != "forbidden") is may, (who.login, parent["id"])


UNDER = [pytest.param(kind, id=kind.key) for kind in KINDS if kind.under and kind.kind is not Kind.LEDGER]


@pytest.mark.parametrize("kind", UNDER)
def test_nothing_is_moved_under_what_is_out_of_reach(
    company: Company, oracle: Oracle, kind: EntityType, trial: Callable[..., bool]
) -> None:
    above = oracle.above(kind)
    live = [row for row in company.rows[kind.key] if not row["deleted"] and not oracle.of_deleted(kind, row)]
    for who in SIGNING_IN:
        row = next((row for row in live if oracle.reaches(who, kind, row, "update")), None)
        if row is None or oracle.rule(who, kind, kind.under) != "editable":
            continue
        for parent in [parent for parent in sample_of(company.rows[above.key]) if not parent["deleted"]]:
            moved = {**row, kind.under: parent["id"]}
            values = {"entity": kind.key, "id": row["id"], "values": {kind.under: parent["id"]}}
            assert trial(who, "records.update_record", values) is oracle.reaches(who, kind, moved, "update"), (who.login, parent["id"])


OWNED = [pytest.param(kind, id=kind.key) for kind in KINDS if kind.owner in kind.fields]


@pytest.mark.parametrize("kind", OWNED)
def test_records_are_handed_over_where_that_right_reaches(
    company: Company, oracle: Oracle, kind: EntityType, trial: Callable[..., bool]
) -> None:
    live = sample_of([row for row in company.rows[kind.key] if not row["deleted"]])
    for who in SIGNING_IN:
        for row in live:
            target = company.ids["half"] if row[kind.owner] != company.ids["half"] else company.ids["staff"]
            values = {"entity": kind.key, "id": row["id"], "values": {kind.owner: target}}
            may = oracle.reaches(who, kind, row, "update") and oracle.reaches(who, kind, row, "transfer")
            may = may and oracle.rule(who, kind, kind.owner) == "editable"
            assert trial(who, "records.update_record", values) is may, (who.login, row["id"])


@pytest.mark.parametrize("kind", OWNED)
def test_records_are_shared_where_that_right_reaches(
    company: Company, oracle: Oracle, kind: EntityType, trial: Callable[..., bool]
) -> None:
    live = sample_of([row for row in company.rows[kind.key] if not row["deleted"]])
    shares = {row["record"]: row["id"] for row in company.rows["share"] if not row["deleted"]}
    for who in SIGNING_IN:
        for row in live:
            may = oracle.reaches(who, kind, row, "share")
            wish = {"entity": kind.key, "id": row["id"], "user_id": company.ids["half"]}
            assert trial(who, "people.share_record", wish) is may, (who.login, row["id"])
            if row["id"] in shares:
                assert trial(who, "people.unshare", {"share_id": shares[row["id"]]}) is may, (who.login, row["id"])


GUARDED = [
    pytest.param(verb, id=verb.name) for verb in verbs.VERBS.values() if verb.permission and verb.permission not in OTHER_PERMISSIONS
]
OF_THE_HOUSE = [pytest.param(verb, id=verb.name) for verb in verbs.VERBS.values() if verb.permission in OTHER_PERMISSIONS]


@pytest.mark.parametrize("verb", OF_THE_HOUSE)
def test_a_verb_about_no_kind_of_record_is_for_administrators(verb: verbs.Verb, trial: Callable[..., bool]) -> None:
    """Without parameters it is refused all the same, but for that."""
    assert for_workers(lambda who: trial(who, verb.name, {})) == {who.login: who.basic == "admin" for who in SIGNING_IN}


@pytest.mark.parametrize("verb", GUARDED)
def test_a_verb_runs_where_its_permission_reaches(company: Company, oracle: Oracle, verb: verbs.Verb, trial: Callable[..., bool]) -> None:
    kind, action = entity((verb.permission or "").split(".")[0]), (verb.permission or "").split(".")[1]
    subject = kind if verb.record else None
    known = sample_of([row for row in company.rows[kind.key] if not row["deleted"]])

    def tried(who: Person) -> list[bool]:
        return [trial(who, verb.name, arguments(company, verb, row["id"] if subject else None)) for row in known]

    def allowed(who: Person) -> list[bool]:
        return [oracle.reaches(who, kind, row, action) if subject else oracle.may(who, kind, action) for row in known]

    if kind.under and not verb.record:  # such as money for an order: it goes under a record that must be in reach
        above = oracle.above(kind)
        parents = [row for row in sample_of(company.rows[above.key]) if not row["deleted"]]
        key = kind.under or ""
        found = for_workers(lambda who: [trial(who, verb.name, arguments(company, verb, None) | {key: row["id"]}) for row in parents])
        people = [
            who for who in SIGNING_IN if not any(f.required and oracle.rule(who, kind, f.key) != "editable" for f in kind.fields.values())
        ]
        expected = {who.login: [oracle.reaches(who, kind, {key: row["id"]}, action) for row in parents] for who in people}
        assert {login: found[login] for login in expected} == expected
        return
    assert for_workers(tried) == for_workers(allowed)


def arguments(company: Company, verb: verbs.Verb, identity: str | None) -> Row:
    """Something for every required parameter of a verb; ids of the kind that a parameter's name ends with."""
    given: Row = {}
    for name, parameter in list(inspect.signature(verb.function).parameters.items())[2:]:
        if name == verb.record and identity:
            given[name] = identity
        elif parameter.default is not inspect.Parameter.empty:
            continue
        elif "RecordId" in parameter.annotation:
            wanted = name.removesuffix("_id")
            kind = next((kind for kind in KINDS if kind.key == wanted or kind.key.endswith(f"_{wanted}")), entity("customer"))
            given[name] = next(row["id"] for row in company.rows[kind.key] if not row["deleted"])
        else:
            given[name] = {"str": "1", "list[str]": [], "dict[str, Any]": {}}.get(parameter.annotation, "1")
    return given


def test_rights_are_granted_by_administrators_only(company: Company, trial: Callable[..., bool]) -> None:
    of_everybody = {"people.set_password", "people.share_record", "people.unshare"}
    granting = [verb for name, verb in verbs.VERBS.items() if name.startswith("people.") and name not in of_everybody]
    for who in SIGNING_IN:
        for verb in granting:
            given = arguments(company, verb, None) | {"login": "half", "to": "own"}
            given = {key: value for key, value in given.items() if key in verb.parameters}
            given |= {
                key: value
                for key, value in {"entity": "customer", "role": "人人", "field": "phone", "rule": "hidden"}.items()
                if key in given
            }
            assert trial(who, verb.name, given) is (who.basic == "admin"), (who.login, verb.name)


def test_options_are_set_by_everybody_for_himself_and_by_administrators_for_the_company(
    company: Company, trial: Callable[..., bool]
) -> None:
    own = {"options.set_option", "options.reset_option", "options.reset_options", "options.personal_options"}
    for who in SIGNING_IN:
        for verb in (verb for name, verb in verbs.VERBS.items() if name.startswith("options.")):
            assert not {"user_id", "login"} & set(verb.parameters), "nobody names whose options he sets"
            given = {"key": "theme", "value": "dark"} if verb.name in own else {"key": "free_tries", "value": "5", "role_id": "0" * 32}
            given = {key: value for key, value in given.items() if key in verb.parameters}
            assert trial(who, verb.name, given) is (who.basic == "admin" or verb.name in own), (who.login, verb.name)
