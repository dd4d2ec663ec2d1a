"""A company adds fields of its own: they work wherever a declared field does, and keep what they promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import policy, records
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.kernel.errors import AppError, InvalidInput, Refused
from localcrm.kernel.i18n import use_language
from localcrm.kernel.schema import entity, shaped
from localcrm.store import changelog, shapes
from localcrm.store.check import check
from localcrm.store.query import Condition, ListQuery, select
from localcrm.store.search import find_rows
from localcrm.store.store import Store, open_store
from localcrm.store.view import View

Do = Callable[..., Any]


def field(do: Do, label: str, type: str, entity: str = "customer", **more: Any) -> str:
    """Add a field; its key."""
    return str(do("admin.add_field", entity=entity, label=label, type=type, **more)["key"])


def code_of(fault: type[AppError], work: Callable[[], Any]) -> str:
    with pytest.raises(fault) as refused:
        work()
    return refused.value.code


def test_a_field_of_the_company_is_entered_listed_sorted_filtered_and_found(store: Store, do: Do, new: Do):
    trade = field(do, "主营", "choice", options=["机械", "食品"], listed=True)
    people = field(do, "员工人数", "integer", least="1")
    nickname = field(do, "别名", "text", searched=True)
    new("customer", name="甲公司", **{trade: "食品", people: "30", nickname: "老朋友机床"})
    new("customer", name="乙公司", **{trade: "机械", people: "12"})
    new("customer", name="丙公司")

    with store.read() as connection:
        kind = entity("customer")
        assert [column.label for column in kind.columns][-1] == "主营"
        query = ListQuery(kind, sort=f"-{people}")
        assert [row["name"] for row in select(connection, query).rows] == ["甲公司", "乙公司", "丙公司"]
        query = ListQuery(kind, where=(Condition(trade, "=", "机械"),))
        assert [row[people] for row in select(connection, query).rows] == [12]
        assert len(find_rows(connection, View(kind), "lpy") or []) == 1
    assert code_of(InvalidInput, lambda: new("customer", name="丁", **{people: "0"})) == "too_small"
    assert code_of(InvalidInput, lambda: new("customer", name="丁", **{trade: "煤炭"})) == "bad_choice"


def test_a_field_belongs_to_its_data_file(store: Store, do: Do):
    key = field(do, "主营", "text")
    assert key not in entity("customer").fields
    with store.read():
        assert key in entity("customer").fields
    with shaped(store.shapes):
        assert entity("customer").validate({"name": "甲", key: "机械"})[key] == "机械"


def test_each_type_keeps_its_values_exactly(do: Do, new: Do, admin: Actor):
    values = {
        "text": ("A-1", "A-1"),
        "longtext": ("一\n二", "一\n二"),
        "integer": ("12", 12),
        "number": ("1,234.5", "1234.5000"),
        "money": ("12.30", "12.30"),
        "date": ("2026年11月23日", "2026-11-23"),
        "datetime": ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z"),
        "boolean": ("是", True),
        "user": (admin.user_id, admin.user_id),
    }
    keys = {kind: field(do, f"字段{kind}", kind) for kind in values}
    chosen = field(do, "渠道", "choices", options=["展会", "电话", "网站"])
    serial = field(do, "档案号", "serial")
    made = new("customer", name="甲公司", **{keys[kind]: typed for kind, (typed, _kept) in values.items()}, **{chosen: "网站、展会"})
    assert {kind: made[key] for kind, key in keys.items()} == {kind: kept for kind, (_typed, kept) in values.items()}
    assert (made[chosen], made[serial]) == ("展会\n网站", "HQ-0001")
    assert new("customer", name="乙公司")[serial] == "HQ-0002"


def test_an_area_is_kept_as_it_is_written_however_it_was_typed(store: Store, do: Do, new: Do):
    area = field(do, "区域", "area", searched=True, listed=True)
    new("customer", name="甲公司", **{area: "浙江绍兴柯桥"})
    new("customer", name="乙公司", **{area: "浙江省 / 杭州市"})
    abroad = new("customer", name="丙公司", **{area: "Vietnam/Hanoi"})
    with store.read() as connection:
        kind = entity("customer")
        here = ListQuery(kind, where=(Condition(area, "starts", "浙江省"),), sort=area)
        assert [row[area] for row in select(connection, here).rows] == ["浙江省/杭州市", "浙江省/绍兴市/柯桥区"]
        assert len(find_rows(connection, View(kind), "柯桥") or []) == 1
    assert abroad[area] == "Vietnam/Hanoi"


def test_a_text_may_become_an_area_and_files_go_with_master_data_only(do: Do):
    made = do("admin.add_field", entity="customer", label="区域", type="text")
    assert do("admin.change_field", id=made["id"], type="area")["type"] == "area"
    assert code_of(InvalidInput, lambda: field(do, "扫描件", "attachment", "sales_order")) == "bad_type"
    assert code_of(InvalidInput, lambda: field(do, "扫描件", "attachment", unique=True)) == "bad_unique"
    assert code_of(InvalidInput, lambda: field(do, "扫描件", "attachment", preset="a.pdf")) == "bad_preset"
    assert field(do, "扫描件", "attachment")


@pytest.mark.parametrize(("type", "least", "typed"), [("number", "1", "0.5"), ("integer", "10", "9"), ("date", "2026-01-31", "2026-01-30")])
def test_a_bound_is_named_as_it_was_typed(do: Do, new: Do, type: str, least: str, typed: str):
    key = field(do, "备用", type, least=least)
    with pytest.raises(InvalidInput) as refused:
        new("customer", name="甲公司", **{key: typed})
    assert (refused.value.code, refused.value.params["ge"]) == ("too_small", least)


def test_a_new_record_starts_with_the_preset_and_may_be_emptied(do: Do, new: Do):
    key = field(do, "账期", "integer", preset="30")
    assert new("customer", name="甲公司")[key] == 30
    assert new("customer", name="乙公司", **{key: ""})[key] is None


def test_required_is_asked_for_and_old_records_stay_as_they_are(do: Do, new: Do):
    old = new("customer", name="旧公司")
    key = field(do, "主营", "text", required=True)
    assert code_of(InvalidInput, lambda: new("customer", name="新公司")) == "required"
    assert new("customer", name="新公司", **{key: "食品"})[key] == "食品"
    assert code_of(InvalidInput, lambda: do("records.update_record", entity="customer", id=old["id"], values={"phone": "1"})) == "required"


def test_what_may_not_repeat_is_refused_also_for_what_lies_in_the_bin(do: Do, new: Do):
    key = field(do, "会员号", "text", unique=True)
    first = new("customer", name="甲公司", **{key: "V1"})
    assert code_of(InvalidInput, lambda: new("customer", name="乙公司", **{key: "V1"})) == "not_unique"
    do("records.delete_record", entity="customer", id=first["id"])
    assert code_of(InvalidInput, lambda: new("customer", name="乙公司", **{key: "V1"})) == "not_unique"
    do("records.undelete_record", entity="customer", id=first["id"])
    do("records.update_record", entity="customer", id=first["id"], values={"phone": "13800000000"})


def test_a_field_that_repeats_cannot_become_unique(do: Do, new: Do):
    made = do("admin.add_field", entity="customer", label="会员号", type="text")
    for name in ("甲公司", "乙公司"):
        new("customer", name=name, **{made["key"]: "V1"})
    with pytest.raises(Refused, match="V1") as refused:
        do("admin.change_field", id=made["id"], unique=True)
    assert refused.value.code == "repeats_already"


def test_a_type_changes_only_where_nothing_is_lost(do: Do, new: Do):
    made = do("admin.add_field", entity="customer", label="备用", type="text")
    new("customer", name="甲公司", **{made["key"]: "十二"})
    assert code_of(Refused, lambda: do("admin.change_field", id=made["id"], type="integer")) == "type_loses"
    assert do("admin.change_field", id=made["id"], type="longtext")["type"] == "longtext"
    assert new("customer", name="乙公司", **{made["key"]: "字" * 300})[made["key"]] == "字" * 300


def test_labels_do_not_clash(do: Do):
    field(do, "主营", "text")
    assert code_of(InvalidInput, lambda: field(do, "主营", "text")) == "label_taken"
    assert code_of(InvalidInput, lambda: field(do, "客户名称", "text")) == "label_taken"
    assert (
        code_of(InvalidInput, lambda: do("admin.rename", entity="customer", field="phone", text="主营", language="zh_CN")) == "label_taken"
    )


def test_an_option_in_use_is_retired_not_removed(store: Store, do: Do, new: Do):
    key = field(do, "主营", "choice", options=["机械", "食品"])
    old = new("customer", name="甲公司", **{key: "机械"})
    assert code_of(Refused, lambda: do("admin.set_options", entity="customer", field=key, options=[{"label": "食品"}])) == "option_in_use"
    do("admin.set_options", entity="customer", field=key, options=[{"label": "食品"}, {"label": "机械", "retired": True}])
    assert code_of(InvalidInput, lambda: new("customer", name="乙公司", **{key: "机械"})) == "option_retired"
    do("records.update_record", entity="customer", id=old["id"], values={"phone": "1", key: "机械"})
    with store.read():
        assert list(entity("customer").fields[key].offered) == ["食品"]


def test_an_option_renamed_is_renamed_on_old_records_too(store: Store, do: Do, new: Do):
    key = field(do, "主营", "choice", options=["机械"])
    made = new("customer", name="甲公司", **{key: "机械"})
    do("admin.set_options", entity="customer", field=key, options=[{"value": "机械", "label": "机械制造"}])
    with store.read():
        assert entity("customer").fields[key].options[made[key]] == "机械制造"
    assert new("customer", name="乙公司", **{key: "机械制造"})[key] == "机械"


def test_a_declared_list_takes_options_of_the_company(store: Store, do: Do, new: Do):
    do(
        "admin.set_options",
        entity="customer",
        field="level",
        options=[{"label": "战略客户"}, {"value": "prospect", "label": "Prospect", "retired": True}],
    )
    assert new("customer", name="甲公司", level="战略客户")["level"] == "战略客户"
    assert code_of(InvalidInput, lambda: new("customer", name="乙公司", level="prospect")) == "option_retired"


def test_fields_and_records_are_called_otherwise_in_one_language(store: Store, do: Do):
    do("admin.rename", entity="customer", field="name", text="单位名称", language="zh_CN")
    do("admin.rename", entity="customer", text="Client", language="en")
    with store.read():
        kind = entity("customer")
        assert (kind.label, kind.fields["name"].label) == ("客户", "单位名称")
        with use_language("en"):
            assert (kind.label, kind.fields["name"].label) == ("Client", "Customer name")
    do("admin.rename", entity="customer", field="name", text="", language="zh_CN")
    with store.read():
        assert entity("customer").fields["name"].label == "客户名称"


def test_a_retired_field_leaves_the_forms_and_keeps_its_values(store: Store, do: Do, new: Do):
    made = do("admin.add_field", entity="customer", label="主营", type="text", required=True)
    customer = new("customer", name="甲公司", **{made["key"]: "食品"})
    do("admin.change_field", id=made["id"], retired=True)
    new("customer", name="乙公司")
    with store.read() as connection:
        assert (
            select(connection, ListQuery(entity("customer"), where=(Condition("id", "=", customer["id"]),))).rows[0][made["key"]] == "食品"
        )
    field(do, "主营", "choice", options=["机械"])


def test_two_fields_that_mean_the_same_become_one(store: Store, do: Do, new: Do):
    keep, drop = (do("admin.add_field", entity="customer", label=label, type="text") for label in ("主营", "所属主营"))
    only = new("customer", name="甲公司", **{drop["key"]: "食品"})
    both = new("customer", name="乙公司", **{keep["key"]: "机械", drop["key"]: "食品"})
    assert do("admin.merge_fields", keep=keep["id"], drop=drop["id"]) == {"copied": 1, "different": 1}
    with store.read() as connection:
        rows = {row["id"]: row[keep["key"]] for row in select(connection, ListQuery(entity("customer"))).rows}
    assert rows == {only["id"]: "食品", both["id"]: "机械"}


def test_history_and_rights_know_the_field(store: Store, do: Do, new: Do, admin: Actor):
    key = field(do, "利润率", "number")
    made = new("customer", name="甲公司", **{key: "0.5"})
    do("records.update_record", entity="customer", id=made["id"], values={key: "0.6"})
    with store.read() as connection:
        rows = records.read_history(connection, admin, entity="customer", id=made["id"])
        assert [(row.old, row.new) for row in rows if row.field == key] == [("0.5", "0.6"), (None, "0.5")]
    user = new("user", login="li", name="李", password="Correct-Horse-7", role="staff")
    do("people.set_field_rule", login="li", entity="customer", field=key, rule="hidden")
    li = actor_by_id(store, user["id"])
    assert li is not None
    with store.read() as connection:
        view = policy.view(li, entity("customer"))
        assert key in view.hidden
        assert code_of(InvalidInput, lambda: select(connection, ListQuery(entity("customer"), sort=key, restrict=view))) == "bad_sort"


def test_the_fields_are_there_after_the_program_was_closed(store: Store, do: Do, new: Do):
    key = field(do, "主营", "choice", options=["机械"], searched=True, unique=True)
    new("customer", name="甲公司", **{key: "机械"})
    other = open_store(store.folder)
    with other.read() as connection:
        assert [row[key] for row in select(connection, ListQuery(entity("customer"))).rows] == ["机械"]
    assert check(other) == {"ok": True, "problems": []}
    other.close()


def test_a_second_program_notices_new_fields(store: Store, do: Do):
    other = open_store(store.folder)
    key = field(do, "主营", "text")
    other.notice_other_programs()
    with other.read():
        assert key in entity("customer").fields
    other.close()


def test_a_program_that_opens_the_file_while_fields_are_defined_leaves_none_out(
    store: Store, do: Do, new: Do, monkeypatch: pytest.MonkeyPatch
):
    keys: list[str] = []
    real = shapes.read_shapes

    def read_late(connection: Any) -> Any:
        found = real(connection)
        if not keys:
            keys.append("")  # the field of another program comes in after this one has read
            keys.append(field(do, "主营", "text"))
        return found

    monkeypatch.setattr(shapes, "read_shapes", read_late)
    other = open_store(store.folder)
    monkeypatch.undo()
    made = new("customer", name="甲公司")
    before = changelog.head(other._writer)
    do("records.update_record", entity="customer", id=made["id"], values={keys[1]: "机械"})
    assert changelog.head(other._writer) == before + 1
    with other.read():
        assert keys[1] in entity("customer").fields
    other.close()
