"""What lists of customers can be asked about their orders and what they owe, from what whoever asks may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain.conditions import Asking, Measure, Parameter, Preset, Question, within
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.sales.entities import OrderStatus, SalesOrder
from localcrm.kernel.i18n import N_
from localcrm.store.query import Condition
from localcrm.store.tree import All, Figure, Node, Not, Related, Term

_ORDER, _RECEIPT = SalesOrder.entity_type, Receipt.entity_type
_CALLED = "customer_id"
_POSTED = Condition("status", "=", OrderStatus.POSTED.value)
_MORE, _AMOUNT = Parameter("op", "op", ">"), Parameter("amount", "money", "0")


def _days(preset: int) -> Parameter:
    return Parameter("days", "days", preset)


def _posted_since(asking: Asking, days: int) -> Node:
    return All((_POSTED, Condition("opening", "=", False), within("date", True, "last", days, asking)))


def _sold(asking: Asking, given: Mapping[str, Any]) -> Node:
    return Figure((Term(_ORDER, _CALLED, "gross", _posted_since(asking, given["days"])),), given["op"], given["amount"])


def _orders(asking: Asking, given: Mapping[str, Any]) -> Node:
    return Figure((Term(_ORDER, _CALLED, None, _posted_since(asking, given["days"])),), given["op"], given["number"])


def _no_order(asking: Asking, given: Mapping[str, Any]) -> Node:
    return Not(Related(_ORDER, _CALLED, _posted_since(asking, given["days"])))


def _owed(_asking: Asking) -> tuple[Term, ...]:
    return Term(_ORDER, _CALLED, "gross", _POSTED), Term(_RECEIPT, _CALLED, "amount", times=-1)


def _owes(asking: Asking, given: Mapping[str, Any]) -> Node:
    return Figure(_owed(asking), given["op"], given["amount"])


def _sold_in_a_year(asking: Asking) -> tuple[Term, ...]:
    return (Term(_ORDER, _CALLED, "gross", _posted_since(asking, 365)),)


QUESTIONS = (
    Question("sold", N_("Orders of the last {days} days: {op} {amount} in all"), _sold, (_days(365), _MORE, _AMOUNT)),
    Question("orders", N_("Orders of the last {days} days: {op} {number}"), _orders, (_days(365), _MORE, Parameter("number", "number", 0))),
    Question("no_order", N_("No order in the last {days} days"), _no_order, (_days(90),)),
    Question("owes", N_("Owes {op} {amount}"), _owes, (_MORE, _AMOUNT)),
)
PRESETS = (
    Preset("owing", N_("In debt"), {"ask": "owes", "op": ">", "amount": "0"}),
    Preset("in_credit", N_("Balance in their favour"), {"ask": "owes", "op": "<", "amount": "0"}),
)
MEASURES = (Measure("sold", N_("Orders of the last 365 days"), _sold_in_a_year), Measure("owed", N_("Unpaid"), _owed))
