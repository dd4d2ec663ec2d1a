"""Sharing one customer: who sees it then, how long, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.store.store import Store
from tests.domain.people.test_grants import code_of, names

Do = Callable[..., Any]


@pytest.fixture
def mei(store: Store, do: Do, new: Do) -> Callable[[], Actor]:
    """Somebody who sees her own customers only, with the rights of the moment."""
    user = new("user", login="mei", name="何小梅")
    do("people.set_rights", login="mei", entity="customer", actions=["read", "update", "share"], scope="own")
    do("people.set_rights", login="mei", entity="contact", actions=["read", "create"])

    def now() -> Actor:
        actor = actor_by_id(store, user["id"])
        assert actor is not None
        return actor

    return now


def test_a_shared_customer_is_seen_with_its_contacts_and_not_changed(store: Store, do: Do, new: Do, mei: Do) -> None:
    customer = new("customer", name="甲")
    new("customer", name="乙")
    new("contact", name="王建国", customer_id=customer["id"])
    assert names(store, mei()) == set()
    do("people.share_record", entity="customer", id=customer["id"], user_id=mei().user_id)
    assert names(store, mei()) == {"甲"}
    assert names(store, mei(), "contact") == {"王建国"}
    change = {"entity": "customer", "id": customer["id"], "values": {"phone": "1"}}
    assert code_of(lambda: verbs.run(store, mei(), "records.update_record", change)) == "out_of_reach"
    do("people.share_record", entity="customer", id=customer["id"], user_id=mei().user_id, level="write")
    assert verbs.run(store, mei(), "records.update_record", change)["phone"] == "1"
    verbs.run(store, mei(), "records.create_record", {"entity": "contact", "values": {"name": "李娟", "customer_id": customer["id"]}})


def test_a_share_ends_by_its_day_or_by_hand(store: Store, do: Do, new: Do, mei: Do) -> None:
    customer = new("customer", name="甲")
    today = date.today()
    share = {"entity": "customer", "id": customer["id"], "user_id": mei().user_id}
    assert code_of(lambda: do("people.share_record", **share, until=(today - timedelta(days=1)).isoformat())) == "end_passed"
    made = do("people.share_record", **share, until=today.isoformat())
    assert names(store, mei()) == {"甲"}
    assert code_of(lambda: verbs.run(store, mei(), "people.unshare", {"share_id": made["id"]})) == "out_of_reach"
    do("people.unshare", share_id=made["id"])
    assert names(store, mei()) == set()
    lasting = do("people.share_record", **share)
    with store.unit_of_work(None) as uow:  # the day after its last day
        uow.connection.execute("UPDATE share SET until = ? WHERE id = ?", ("2020-01-01", bytes.fromhex(lasting["id"])))
    assert names(store, mei()) == set()


def test_a_department_shares_with_those_below_it_and_a_branch_with_its_people(store: Store, do: Do, new: Do, mei: Do) -> None:
    top = new("department", name="销售部")
    below = new("department", name="外贸组", parent_id=top["id"])
    do("records.update_record", entity="user", id=mei().user_id, values={"department_id": below["id"]})
    one, two = new("customer", name="甲"), new("customer", name="乙")
    do("people.share_record", entity="customer", id=one["id"], department_id=top["id"])
    assert names(store, mei()) == {"甲"}
    with store.read() as connection:
        branch = connection.value("SELECT id FROM branch").hex()
    do("people.share_record", entity="customer", id=two["id"], branch_id=branch)
    assert names(store, mei()) == {"甲", "乙"}


def test_only_what_belongs_to_somebody_is_shared_by_whoever_may(store: Store, do: Do, new: Do, mei: Do) -> None:
    customer, product = new("customer", name="甲"), new("product", code="A", name="甲")
    wish = {"entity": "customer", "id": customer["id"], "user_id": mei().user_id}
    assert code_of(lambda: verbs.run(store, mei(), "people.share_record", wish)) == "not_found"  # not hers to give
    assert code_of(lambda: do("people.share_record", entity="product", id=product["id"], user_id=mei().user_id)) == "not_shared"
    assert code_of(lambda: do("people.share_record", entity="customer", id=customer["id"])) == "one_target"
    with pytest.raises(AppError):
        do("people.share_record", entity="customer", id=customer["id"], user_id="0" * 32)
