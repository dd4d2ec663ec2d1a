"""What waits for a decision about a customer, said in one line to whoever may see it."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.domain.admin.conflicts import CONFLICT
from localcrm.kernel.i18n import use_language
from localcrm.kernel.schema import entity
from localcrm.store.changelog import history
from localcrm.ui.conflict_words import Told
from localcrm.ui.customer.conflicts import disputed_fields, in_short, open_conflicts
from tests.ui.conftest import PASSWORD, Office


@pytest.fixture
def customer(office: Office) -> str:
    """A customer whose telephone number and credit limit head office and BR01 changed apart."""
    made = office.new("customer", name="恒远", phone="1", credit_limit="100")["id"]
    for field, kept, lost in (("phone", "1", "2"), ("credit_limit", "100.00", "200.00")):
        _note(office, kind="overwritten", record=made, field=field, kept=kept, lost=lost, kept_node="BR01", lost_node="HQ")
    return str(made)


def _note(office: Office, **values: Any) -> None:
    with office.store.unit_of_work(None) as uow:
        uow.insert(CONFLICT, CONFLICT.validate({"entity": "customer", **values}))


def _told(office: Office, customer: str, login: str = "admin") -> list[Told]:
    session = office.program.sessions.resolve(office.token(login))
    assert session is not None
    with office.store.read() as connection:
        return sorted(open_conflicts(session, connection, customer), key=lambda one: one.label)


def test_the_places_and_the_fields_are_named(office: Office, customer: str) -> None:
    assert in_short(_told(office, customer)) == "BR01 与 HQ 都改过：信用额度、电话"
    assert disputed_fields(_told(office, customer), customer) == {"phone", "credit_limit"}
    with use_language("en"):
        assert in_short(_told(office, customer)) == "BR01 and HQ both changed: Credit limit, Phone"


def test_what_is_no_change_of_a_field_is_called_by_its_reason(office: Office, customer: str) -> None:
    _note(office, kind="deleted_edited", record=customer, field="deleted", kept="true", lost="false", kept_node="HQ", lost_node="BR01")
    assert in_short(_told(office, customer)).split("；")[0] == "一处删除，另一处修改"
    assert disputed_fields(_told(office, customer), customer) == {"phone", "credit_limit"}


def test_of_a_deleted_customer_it_is_told_what_somebody_had_changed(office: Office) -> None:
    made = office.new("customer", name="盛宏")["id"]
    office.run("records.update_record", entity="customer", id=made, values={"phone": "0575-7"})
    with office.store.read() as connection:
        change = next(row for row in history(connection, entity("customer"), made) if row.new == "0575-7")
    office.run("records.delete_record", entity="customer", id=made)
    met = {"lost_node": change.node, "lost_at": change.at, "lost_by": office.admin.user_id}
    _note(office, kind="deleted_edited", record=made, field="deleted", kept="true", lost="false", kept_node="BR01", **met)
    assert in_short(_told(office, made)) == "HQ 王芳 那边改过（电话：0575-7）。"


def test_a_hidden_field_is_not_named(office: Office, customer: str) -> None:
    office.new("user", login="lin", name="林晓", password=PASSWORD)
    for kind in ("customer", "conflict"):
        office.run("people.set_rights", login="lin", entity=kind, actions=["read"], scope="all")
    office.run("people.set_field_rule", login="lin", entity="customer", field="credit_limit", rule="hidden")
    assert in_short(_told(office, customer, "lin")) == "BR01 与 HQ 都改过：电话"
    office.new("user", login="wu", name="吴敏", password=PASSWORD)
    office.run("people.set_rights", login="wu", entity="customer", actions=["read"], scope="all")
    assert _told(office, customer, "wu") == []


def test_the_inbox_leads_to_the_page_of_the_customer(office: Office, customer: str) -> None:
    assert {one.path for one in _told(office, customer)} == {f"/customers/{customer}"}
