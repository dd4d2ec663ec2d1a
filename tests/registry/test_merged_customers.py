"""Whatever names a customer follows when it is merged into another one, or is found through it: asked of every declaration, also of tomorrow's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain.crm.entities import Customer
from localcrm.domain.naming import Naming, _with, can_be_moved, namings
from localcrm.kernel.ids import new_id
from localcrm.kernel.likeness import VERSION, kept_forms, legal_forms, plain_forms
from localcrm.kernel.schema import EntityType, Field, Kind, entities, entity
from localcrm.store.query import Condition, ListQuery, select
from localcrm.store.uow import UnitOfWork
from tests.factories import Company, Installation, copy_company

CUSTOMER = Customer.entity_type
ALL = [pytest.param(naming, id=f"{naming.kind.key}.{naming.field.key}") for naming in namings(CUSTOMER)]
#: What an entered value of a kind looks like.
SAMPLES = {"integer": 1, "boolean": True, "text": "x", "longtext": "x", **dict.fromkeys(("money", "quantity", "price", "rate"), Decimal(1))}


@pytest.fixture(scope="module")
def hq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    opened: Company = copy_company(tmp_path_factory.mktemp("merged"), branches=1)
    yield opened.hq
    opened.close()


def row_naming(uow: UnitOfWork, naming: Naming, customer: str, **more: Any) -> str:
    """A row that names a customer, and in its other required fields whatever fits their type."""
    kind, field = naming.kind, naming.field
    values: dict[str, Any] = {one.key: sample(one) for one in kind.fields.values() if one.required}
    if "branch_id" in kind.fields:
        values["branch_id"] = uow.node.branch_id
    if naming.is_about:
        values["entity"] = CUSTOMER.key
    if kind.parent:
        document = entity(kind.fields[kind.parent].f.ref or "")
        values[kind.parent] = uow.insert(document, {"branch_id": uow.node.branch_id, "status": "draft"})
    return uow.insert(kind, {**values, field.key: customer, **more})


def sample(field: Field) -> Any:
    if field.kind == "ref":
        return new_id()
    return next(iter(field.options), None) or SAMPLES.get(field.kind)


@pytest.mark.parametrize("naming", ALL)
def test_it_follows_or_is_found_through_the_one_that_stays(hq: Installation, naming: Naming) -> None:
    kind, field = naming.kind, naming.field
    kept, merged = hq.new("customer", name="甲"), hq.new("customer", name="乙")
    with hq.store.unit_of_work(hq.actor.user_id) as uow:
        row = row_naming(uow, naming, merged)
        posted = row_naming(uow, naming, merged, status="posted") if kind.kind is Kind.DOCUMENT else None
    hq.run("crm.merge_customers", kept=kept, merged=merged)

    def named(identity: str) -> Any:
        value = hq.value(f'SELECT "{field.key}" FROM "{kind.key}" WHERE id = ?', bytes.fromhex(identity))
        return value.hex() if isinstance(value, bytes) else value

    written_once = [identity for identity in (row if naming.stays else None, posted) if identity]
    assert {named(identity) for identity in written_once} <= {merged}
    if row not in written_once:
        assert named(row) == kept
    if field.kind == "ref":
        with hq.store.read() as connection:
            found = select(connection, ListQuery(kind, where=(Condition(field.key, "=", kept),), limit=1000))
        assert {row, *written_once} <= {one["id"] for one in found.rows}


def test_a_list_of_customers_names_the_one_that_stays_once() -> None:
    lists = [(kind, field) for kind in entities() for field in kind.fields.values() if field.f.refs]
    field = next(field for _kind, field in lists)
    assert _with(field, "a b c", "b", "c") == "a c"


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.key) for kind in entities()])
def test_what_makes_a_record_known_is_searched_and_what_is_moved_can_be_taken_back(kind: EntityType) -> None:
    assert all(field.f.search for field in kind.fields.values() if field.f.mark), "marks are written with the search index"
    moved = {naming.field.no for naming in namings(CUSTOMER) if naming.kind is kind and kind.kind is Kind.MASTER}
    assert all(can_be_moved(kind, no) for no in moved)
    if kind.merged:
        assert kind.fields[kind.merged].f.ref == kind.key
        assert not kind.fields[kind.merged].f.editable


def test_marks_are_made_anew_whenever_the_rules_change() -> None:
    """Raise VERSION with every change of a plain form, and say here what it is of."""
    said = [
        plain_forms("name", "Ａ&B 纺织（集团）股份有限公司 Co., Ltd."),
        kept_forms("phone", "+86 (0)575-8412 3367-801"),
        plain_forms("code", "9a-1 b"),
    ]
    digest = hashlib.blake2b(repr((sorted(legal_forms()), said)).encode(), digest_size=8).hexdigest()
    assert (VERSION, digest) == (2, "069c30fa1eacf69a")
