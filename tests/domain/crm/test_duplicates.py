"""Customers that were entered twice."""

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.crm.rules import plain_code, plain_name, plain_phones
from localcrm.domain.people.services import actor_by_id
from localcrm.store.store import Store

Do = Callable[..., Any]


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        (
            ["绍兴华美纺织有限公司", "绍兴（华美）纺织股份有限公司", "绍兴 华美纺织", "绍兴(华美)纺织公司", "绍兴华美纺织有限责任公司"],
            "绍兴华美纺织",
        ),
        (["Sunrise Textile Co., Ltd.", "SUNRISE TEXTILE", "Ｓｕｎｒｉｓｅ textile limited", "Sunrise-Textile Inc"], "sunrisetextile"),
        (["Lincoln"], "lincoln"),
        (["有限公司"], "有限公司"),
        (["公司"], "公司"),
        (["  "], ""),
    ],
)
def test_names_that_mean_one_company(names: list[str], plain: str) -> None:
    assert {plain_name(name) for name in names} == {plain}


def test_phones_and_tax_numbers_are_compared_without_their_dress() -> None:
    assert plain_phones("0575-8412 3367、+86 139 0575 1234；８８０１") == ["57584123367", "13905751234"]
    assert plain_phones("+86 (0)575 84123367 / 0086-575-84123367\n0000000") == ["57584123367", "57584123367", "0000000"]
    assert plain_code(" 91330621 ma2jxfz88x") == "91330621MA2JXFZ88X"


@pytest.fixture
def twins(new: Do) -> dict[str, str]:
    rows = {
        "a": {"name": "绍兴华美纺织有限公司", "phone": "0575-84123367", "tax_no": "91330621MA2JXFZ88X"},
        "b": {"name": "绍兴（华美）纺织", "phone": "0575 8412 3367", "credit_limit": "5"},
        "c": {"name": "诸暨盛宏袜业", "tax_no": "91330621ma2jxfz88x"},
        "d": {"name": "柯桥金龙布业", "phone": "8801"},
        "e": {"name": "义乌银河", "phone": "8801"},
    }
    return {key: new("customer", **values)["id"] for key, values in rows.items()}


def found(rows: list[dict[str, Any]], twins: dict[str, str]) -> dict[str, set[str]]:
    keys = {identity: key for key, identity in twins.items()}
    return {"".join(sorted(keys[one["id"]] for one in row["customers"])): set(row["reasons"]) for row in rows}


def test_alike_for_several_reasons_is_one_group(do: Do, twins: dict[str, str]) -> None:
    assert found(do("crm.find_duplicates")["rows"], twins) == {"ab": {"name", "phone"}, "ac": {"tax_no"}}
    do("records.delete_record", entity="customer", id=twins["c"])
    assert found(do("crm.find_duplicates")["rows"], twins) == {"ab": {"name", "phone"}}


def test_only_what_is_seen_is_compared(do: Do, new: Do, store: Store, twins: dict[str, str]) -> None:
    clerk = new("user", login="lin", name="林晓", password="Correct-Horse-7", role="staff")["id"]
    do("people.set_field_rule", login="lin", entity="customer", field="tax_no", rule="masked")
    do("people.set_field_rule", login="lin", entity="customer", field="credit_limit", rule="hidden")
    actor = actor_by_id(store, clerk)
    assert actor is not None
    rows = verbs.run(store, actor, "crm.find_duplicates", {})["rows"]
    assert found(rows, twins) == {"ab": {"name", "phone"}}
    assert "credit_limit" not in rows[0]["customers"][0]
