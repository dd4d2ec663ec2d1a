"""Money received for orders, and given back."""

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import policy, verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.query import ListQuery, select
from localcrm.store.store import Store

Do = Callable[..., Any]


@pytest.fixture
def order(do: Do, new: Do) -> str:
    """A posted order over 100.00."""
    customer, product = new("customer", name="甲"), new("product", code="P", name="货", stocked=False)
    line = {"product_id": product["id"], "quantity": "10", "price": "10"}
    draft = do("sales.save_order", header={"customer_id": customer["id"]}, lines=[line])
    return str(do("sales.post_order", order_id=draft["id"])["id"])


@pytest.fixture
def receive(do: Do) -> Callable[[str, str], str]:
    """Enter money; says "ok" or the code of the refusal."""

    def enter(order_id: str, amount: str) -> str:
        try:
            do("finance.receive_payment", order_id=order_id, amount=amount)
        except AppError as error:
            return error.code
        return "ok"

    return enter


def test_never_more_than_is_open_and_never_back_more_than_came(receive: Callable[[str, str], str], order: str) -> None:
    steps = [("100.01", "more_than_open"), ("-0.01", "more_than_open"), ("60", "ok"), ("40.01", "more_than_open"), ("40", "ok")]
    assert [receive(order, amount) for amount, _ in steps] == [outcome for _, outcome in steps]
    assert [receive(order, "-100.01"), receive(order, "-100")] == ["more_than_open", "ok"]


def test_money_of_a_reversed_order_is_given_back_once(do: Do, receive: Callable[[str, str], str], order: str) -> None:
    receive(order, "100")
    reversal = do("sales.reverse_order", order_id=order)["id"]
    assert [receive(order, "1"), receive(reversal, "1")] == ["more_than_open", "more_than_open"]
    assert [receive(order, "-40"), receive(reversal, "-60")] == ["ok", "ok"]
    assert [receive(order, "-1"), receive(reversal, "-1")] == ["more_than_open", "more_than_open"]


def test_a_reversed_order_that_was_not_paid_takes_no_money(do: Do, receive: Callable[[str, str], str], order: str) -> None:
    reversal = do("sales.reverse_order", order_id=order)["id"]
    assert {receive(identity, amount) for identity in (order, reversal) for amount in ("100", "-100", "1")} == {"more_than_open"}


@pytest.mark.parametrize("values", [{"order_id": "zz"}, {"order_id": 5}, {"date": [1]}, {"date": "0209-01-01"}, {"amount": "1e999999"}])
def test_nonsense_is_refused_by_name(new: Do, order: str, values: dict[str, Any]) -> None:
    with pytest.raises(AppError) as refused:
        new("receipt", **{"order_id": order, "amount": "1", **values})
    assert refused.value.code in {"bad_id", "bad_date", "bad_number"}


# accounts ----------------------------------------------------------------------------------------------------------------


def test_money_goes_to_the_only_account_of_the_branch_unless_another_is_chosen(do: Do, new: Do, order: str) -> None:
    assert do("finance.receive_payment", order_id=order, amount="1")["account_id"] is None
    bank = new("account", name="建行 6217", type="bank")["id"]
    assert do("finance.receive_payment", order_id=order, amount="1")["account_id"] == bank
    cash = new("account", name="现金", type="cash")["id"]
    assert do("finance.receive_payment", order_id=order, amount="1")["account_id"] is None  # which one is not for the program to say
    assert do("finance.receive_payment", order_id=order, amount="1", account_id=cash)["account_id"] == cash


def test_an_account_that_is_no_longer_used_takes_no_money_and_keeps_what_it_had(do: Do, new: Do, order: str) -> None:
    bank = new("account", name="建行")["id"]
    do("finance.receive_payment", order_id=order, amount="1")
    do("records.update_record", entity="account", id=bank, values={"active": False})
    assert code_of(lambda: do("finance.receive_payment", order_id=order, amount="1", account_id=bank)) == "not_in_use"
    assert do("finance.receive_payment", order_id=order, amount="1")["account_id"] is None
    assert code_of(lambda: do("records.delete_record", entity="account", id=bank)) == "referenced"
    assert code_of(lambda: new("account", name="建行")) == "name_taken"


def test_a_role_limited_to_an_account_sees_and_books_that_one_only(store: Store, do: Do, new: Do, order: str) -> None:
    bank, cash = (new("account", name=name)["id"] for name in ("建行", "现金"))
    for account in (bank, cash):
        do("finance.receive_payment", order_id=order, amount="1", account_id=account)
    user = new("user", login="cashier", name="出纳", role="staff")["id"]
    do("people.set_limits", login="cashier", entity="account", allowed=["现金"])
    cashier = actor_by_id(store, user)
    assert cashier is not None

    def books(**more: Any) -> Any:
        return verbs.run(store, cashier, "finance.receive_payment", {"order_id": order, "amount": "1", **more})

    assert books()["account_id"] == cash  # the only one that is his
    assert code_of(lambda: books(account_id=bank)) == "limited"
    with store.read() as connection:
        for kind, name in (("receipt", "account_id"), ("account", "id")):
            rows = select(connection, ListQuery(entity(kind), restrict=policy.view(cashier, entity(kind)))).rows
            assert {row[name] for row in rows} == {cash}


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(AppError) as refused:
        call()
    return refused.value.code
