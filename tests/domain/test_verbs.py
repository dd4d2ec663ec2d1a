"""Verbs take what comes from outside."""

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError
from localcrm.store.store import Store


@pytest.mark.parametrize(
    ("name", "parameters", "code"),
    [
        ("sales.post_order", {"order_id": "not an id"}, "bad_id"),
        ("sales.reverse_order", {"order_id": "abcd"}, "bad_id"),
        ("admin.resolve_conflict", {"id": "zz", "keep": "kept"}, "bad_id"),
        ("stock.stock_on_hand", {"product_id": ""}, "bad_id"),
        ("sales.post_order", {"order_id": 7}, "bad_parameter"),
        ("sales.post_order", {"self": 1}, "bad_parameter"),
        ("sales.save_order", {"header": {}, "lines": [{"id": ["x"]}]}, "bad_id"),
        ("sales.post_order", {"order_id": "0" * 32}, "not_found"),
    ],
)
def test_wrong_parameters_are_refused_by_name(store: Store, admin: Actor, name: str, parameters: dict[str, Any], code: str) -> None:
    with pytest.raises(AppError) as refused:
        verbs.run(store, admin, name, parameters)
    assert refused.value.code == code


def test_an_id_may_have_dashes_and_capitals(do: Callable[..., Any], new: Callable[..., Any]) -> None:
    product = new("product", code="P", name="货")["id"]
    assert do("stock.stock_on_hand", product_id=f"{product[:8]}-{product[8:]}".upper())["product_id"] == product


def test_what_is_tried_out_changes_nothing_and_is_refused_as_the_deed_would_be(store: Store, admin: Actor, new: Callable[..., Any]) -> None:
    customer = new("customer", name="甲")["id"]
    wish = {"entity": "customer", "id": customer}
    verbs.try_out(store, admin, "records.delete_record", wish)
    with store.read() as connection:
        assert connection.value("SELECT deleted FROM customer") == 0
    new("contact", customer_id=customer, name="张")
    with pytest.raises(AppError) as refused:
        verbs.try_out(store, admin, "records.delete_record", wish)
    assert refused.value.code == "referenced"
