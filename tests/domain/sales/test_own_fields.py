"""Fields that a company adds to its orders and their lines: a draft may wait for them, a posting may not, and a reversal has them too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import policy, records, verbs
from localcrm.domain.approvals.documents import content
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError, Forbidden, InvalidInput, Refused
from localcrm.kernel.schema import entity
from localcrm.store.query import Condition, ListQuery, select
from localcrm.store.store import Store
from localcrm.store.view import Masked

Do = Callable[..., Any]


@pytest.fixture
def cloth(new: Do) -> dict[str, Any]:
    return dict(new("product", code="P1", name="样布", price="9.80", stocked=False))


@pytest.fixture
def customer(new: Do) -> dict[str, Any]:
    return dict(new("customer", name="甲公司"))


def field(do: Do, label: str, type: str, of: str = "sales_order_line", **more: Any) -> str:
    """Add a field; its key."""
    return str(do("admin.add_field", entity=of, label=label, type=type, **more)["key"])


def code_of(fault: type[AppError], work: Callable[[], Any]) -> str:
    with pytest.raises(fault) as refused:
        work()
    return refused.value.code


def test_what_the_company_requires_is_asked_for_at_posting(do: Do, cloth: dict[str, Any], customer: dict[str, Any]) -> None:
    key = field(do, "合同号", "text", of="sales_order", required=True)
    lines = [{"product_id": cloth["id"], "quantity": "2"}]
    order = do("sales.save_order", header={"customer_id": customer["id"]}, lines=lines)
    with pytest.raises(InvalidInput) as refused:
        do("sales.post_order", order_id=order["id"])
    assert (refused.value.code, refused.value.params["field"]) == ("required", key)

    do("sales.save_order", order_id=order["id"], header={key: "HT-2026-118"}, lines=order["lines"] and lines)
    assert do("sales.post_order", order_id=order["id"])[key] == "HT-2026-118"
    assert do("sales.reverse_order", order_id=order["id"])[key] == "HT-2026-118"


def test_a_line_waits_for_what_is_required_too_and_says_which_row(do: Do, cloth: dict[str, Any], customer: dict[str, Any]) -> None:
    key = field(do, "幅宽", "number", required=True, least="1")
    given = [{"product_id": cloth["id"], "quantity": "2", key: "150"}, {"product_id": cloth["id"], "quantity": "3"}]
    order = do("sales.save_order", header={"customer_id": customer["id"]}, lines=given)
    with pytest.raises(InvalidInput, match="第 2 行：请填写幅宽") as refused:
        do("sales.post_order", order_id=order["id"])
    assert (refused.value.code, refused.value.field, refused.value.params["row"]) == ("required", key, 2)

    first, second = order["lines"]
    filled = [{"id": first["id"]}, {"id": second["id"], key: "148.5"}]
    assert code_of(
        InvalidInput, lambda: do("sales.save_order", order_id=order["id"], header={}, lines=[{"id": first["id"], key: "0"}])
    ) == ("too_small")
    do("sales.save_order", order_id=order["id"], header={}, lines=filled)
    posted = do("sales.post_order", order_id=order["id"])
    assert [line[key] for line in posted["lines"]] == ["150", "148.5"]
    assert [line[key] for line in do("sales.reverse_order", order_id=order["id"])["lines"]] == ["150", "148.5"]


def test_each_type_is_kept_on_a_line_and_a_new_line_starts_with_the_preset(do: Do, cloth: dict[str, Any], admin: Actor) -> None:
    typed = {
        "text": ("A-1", "A-1"),
        "longtext": ("一\n二", "一\n二"),
        "integer": ("12", 12),
        "number": ("1,234.5", "1234.5"),
        "money": ("12.30", "12.30"),
        "date": ("2026年11月23日", "2026-11-23"),
        "boolean": ("是", True),
        "user": (admin.user_id, admin.user_id),
    }
    keys = {kind: field(do, f"字段{kind}", kind) for kind in typed}
    chosen = field(do, "工艺", "choices", options=["染色", "印花", "涂层"])
    piece, grade = field(do, "匹号", "serial"), field(do, "等级", "choice", options=["一等", "二等"], preset="一等")
    given = {keys[kind]: text for kind, (text, _kept) in typed.items()} | {chosen: "涂层、染色"}
    lines = [{"product_id": cloth["id"], "quantity": "2", **given}, {"product_id": cloth["id"], "quantity": "1", grade: ""}]
    first, second = do("sales.save_order", header={}, lines=lines)["lines"]
    assert {kind: first[key] for kind, key in keys.items()} == {kind: kept for kind, (_text, kept) in typed.items()}
    assert (first[chosen], first[piece], first[grade]) == ("染色\n涂层", "HQ-0001", "一等")
    assert (second[piece], second[grade]) == ("HQ-0002", None)


def test_an_option_that_was_retired_stays_where_it_is(do: Do, cloth: dict[str, Any]) -> None:
    key = field(do, "等级", "choice", options=["一等", "二等"])
    line = {"product_id": cloth["id"], "quantity": "2", key: "二等"}
    order = do("sales.save_order", header={}, lines=[line])
    do("admin.set_options", entity="sales_order_line", field=key, options=[{"label": "一等"}, {"label": "二等", "retired": True}])
    again = [{"id": order["lines"][0]["id"], "quantity": "5", key: "二等"}]
    assert do("sales.save_order", order_id=order["id"], header={}, lines=again)["lines"][0][key] == "二等"
    assert code_of(InvalidInput, lambda: do("sales.save_order", header={}, lines=[line])) == "option_retired"


def test_what_means_nothing_on_a_line_is_refused_with_the_reason(do: Do) -> None:
    with pytest.raises(Refused, match="红冲") as refused:
        field(do, "机身号", "text", unique=True)
    assert refused.value.code == "unique_on_lines"
    made = do("admin.add_field", entity="sales_order_line", label="机身号", type="text")
    assert code_of(Refused, lambda: do("admin.change_field", id=made["id"], unique=True)) == "unique_on_lines"
    assert code_of(Refused, lambda: do("admin.change_field", id=made["id"], searched=True)) == "searched_on_lines"


def test_a_posted_line_is_what_it_was_whatever_is_defined_later(
    store: Store, do: Do, cloth: dict[str, Any], customer: dict[str, Any]
) -> None:
    order = do("sales.save_order", header={"customer_id": customer["id"]}, lines=[{"product_id": cloth["id"], "quantity": "2"}])
    before = do("sales.post_order", order_id=order["id"])["lines"]
    made = do("admin.add_field", entity="sales_order_line", label="等级", type="text", preset="一等", required=True)
    do("admin.change_field", id=made["id"], preset="二等")
    after = do("sales.order_with_lines", order_id=order["id"])["lines"]
    assert [line.pop(made["key"]) for line in after] == [None]
    assert after == before
    assert do("sales.reverse_order", order_id=order["id"])["lines"][0][made["key"]] is None


def test_a_posted_line_hands_no_value_to_another_field(do: Do, cloth: dict[str, Any], customer: dict[str, Any]) -> None:
    keep, drop = (do("admin.add_field", entity="sales_order_line", label=label, type="text") for label in ("颜色", "色号"))
    line = {"product_id": cloth["id"], "quantity": "2", drop["key"]: "藏青"}
    draft, posted = (do("sales.save_order", header={"customer_id": customer["id"]}, lines=[line]) for _one in range(2))
    do("sales.post_order", order_id=posted["id"])
    assert code_of(Refused, lambda: do("admin.merge_fields", keep=keep["id"], drop=drop["id"])) == "posted_have_it"
    assert do("sales.order_with_lines", order_id=draft["id"])["lines"][0][keep["key"]] is None


def test_history_export_and_rights_know_the_field(store: Store, do: Do, new: Do, admin: Actor, cloth: dict[str, Any]) -> None:
    width, cost = field(do, "幅宽", "number"), field(do, "成本", "money")
    order = do("sales.save_order", header={}, lines=[{"product_id": cloth["id"], "quantity": "2", width: "150", cost: "6.10"}])
    line = order["lines"][0]
    do("sales.save_order", order_id=order["id"], header={}, lines=[{"id": line["id"], width: "148"}])
    user = new("user", login="li", name="李", password="Correct-Horse-7", role="staff")
    do("people.set_field_rule", login="li", entity="sales_order_line", field=width, rule="read_only")
    do("people.set_field_rule", login="li", entity="sales_order_line", field=cost, rule="masked")
    li = actor_by_id(store, user["id"])
    assert li is not None
    kind = entity("sales_order_line")
    with store.read() as connection:
        rows = records.read_history(connection, admin, entity=kind.key, id=line["id"])
        assert [(row.old, row.new) for row in rows if row.field == width] == [("150", "148"), (None, "150")]
        query = ListQuery(kind, where=(Condition("id", "=", line["id"]),), restrict=policy.view(li, kind))
        (seen,) = select(connection, query).rows
    assert (str(seen[width]), isinstance(seen[cost], Masked)) == ("148.0000", True)

    def save(**values: Any) -> Any:
        return verbs.run(store, li, "sales.save_order", {"order_id": order["id"], "header": {}, "lines": [{"id": line["id"], **values}]})

    save(quantity="3")
    assert code_of(Forbidden, lambda: save(**{width: "120"})) == "field_protected"
    assert do("sales.order_with_lines", order_id=order["id"])["lines"][0][cost] == "6.10"


def test_an_approval_speaks_of_what_a_line_says_in_the_field(store: Store, do: Do, cloth: dict[str, Any]) -> None:
    order = do("sales.save_order", header={}, lines=[{"product_id": cloth["id"], "quantity": "2"}])
    kind = entity("sales_order")

    def said() -> dict[str, str]:
        with store.unit_of_work(None) as uow:
            return content(uow.connection, kind, uow.get(kind, order["id"]))

    before = said()
    key = field(do, "幅宽", "number", preset="150")
    assert {name: digest for name, digest in said().items() if digest} == {name: digest for name, digest in before.items() if digest}
    do("sales.save_order", order_id=order["id"], header={}, lines=[{"id": order["lines"][0]["id"], key: "148"}])
    now = said()
    assert [name for name in now if now[name] != before.get(name, "")] == [f"sales_order_line.{key}"]
