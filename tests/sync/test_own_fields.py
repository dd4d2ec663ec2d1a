"""Fields that two branches and head office add, rename and retire apart: everybody works on with the same data."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.kernel.errors import Refused
from localcrm.kernel.schema import entity
from localcrm.store import check
from localcrm.sync.codec import INSERT, UPDATE, Batch, Change, Tx
from localcrm.sync.merge import admit, apply
from tests.factories import Company, Installation


def agree(company: Company) -> None:
    """Let everybody exchange; all hold the same data, nothing is held back, every file is whole."""
    company.exchange()
    assert len(company.digests) == 1
    for node in company.nodes:
        assert node.value("SELECT count(*) FROM sync_quarantine") == 0
        assert check.check(node.store)["problems"] == []


def add(node: Installation, label: str, type: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = node.run("admin.add_field", entity="customer", label=label, type=type, **more)
    return made


def shown(node: Installation) -> dict[str, str]:
    """Labels of the company's fields that forms show at a node, by key."""
    with node.store.read():
        fields = entity("customer").fields.values()
        return {field.key: field.label for field in fields if field.custom and not field.custom.retired}


def test_two_branches_add_fields_apart_and_both_work_on(company: Company, one: Installation, two: Installation):
    trade = add(one, "主营", "choice", options=["机械", "食品"], searched=True, required=True)
    area = add(two, "区域", "text", listed=True)
    mine = one.new("customer", name="甲公司", **{trade["key"]: "机械"})
    theirs = two.new("customer", name="乙公司", **{area["key"]: "华东"})
    agree(company)

    assert trade["key"] != area["key"]
    assert set(shown(company.hq)) == {trade["key"], area["key"]}
    assert (set(shown(one)), set(shown(two))) == ({trade["key"]}, {area["key"]})
    assert two.get("customer", mine)[trade["key"]] == "机械"
    assert one.get("customer", theirs)[area["key"]] == "华东"

    one.set("customer", mine, **{trade["key"]: "食品"})
    two.new("customer", name="丙公司")  # what one branch requires for itself, another need not know
    agree(company)
    assert two.get("customer", mine)[trade["key"]] == "食品"


def test_a_field_of_head_office_and_its_values_arrive_in_one_exchange(company: Company, one: Installation):
    for n in range(30):
        company.hq.new("customer", name=f"旧{n}")
    key = add(company.hq, "信用等级", "choice", options=["A", "B"])["key"]
    made = company.hq.new("customer", name="甲公司", **{key: "B"})
    agree(company)
    assert one.get("customer", made)[key] == "B"
    one.set("customer", made, **{key: "A"})
    agree(company)
    assert company.hq.get("customer", made)[key] == "A"


def test_a_field_changed_apart_keeps_one_value_and_shows_the_other(company: Company, one: Installation, two: Installation):
    key = add(company.hq, "信用等级", "text")["key"]
    made = company.hq.new("customer", name="甲公司")
    agree(company)
    one.set("customer", made, **{key: "A"})
    two.set("customer", made, **{key: "B"})
    agree(company)
    (found,) = company.hq.conflicts(kind="overwritten")
    assert (found["field"], {found["kept"], found["lost"]}) == (key, {"A", "B"})


def test_head_office_promotes_a_branch_field_and_makes_one_of_two(company: Company, one: Installation, two: Installation):
    mine, theirs = add(one, "主营", "choice", options=["机械"]), add(two, "所属主营", "choice", options=["食品", "机械"])
    first = one.new("customer", name="甲公司", **{mine["key"]: "机械"})
    second = two.new("customer", name="乙公司", **{theirs["key"]: "食品"})
    agree(company)
    assert company.hq.run("admin.merge_fields", keep=mine["id"], drop=theirs["id"]) == {"copied": 1, "different": 0}
    agree(company)
    for node in company.nodes:
        assert shown(node) == {mine["key"]: "主营"}
        assert [node.get("customer", one)[mine["key"]] for one in (first, second)] == ["机械", "食品"]


def test_an_option_retired_at_head_office_stays_on_old_records(company: Company, one: Installation):
    key = add(company.hq, "主营", "choice", options=["机械", "食品"])["key"]
    agree(company)
    made = one.new("customer", name="甲公司", **{key: "机械"})
    company.hq.run("admin.set_options", entity="customer", field=key, options=[{"label": "食品"}, {"label": "机械", "retired": True}])
    agree(company)
    assert one.get("customer", made)[key] == "机械"
    with pytest.raises(Refused) as refused:
        one.run("admin.set_options", entity="customer", field=key, options=[{"label": "煤炭"}, {"label": "食品"}, {"label": "机械"}])
    assert refused.value.code == "office_only"


def test_names_are_the_companys_or_a_branchs_own(company: Company, one: Installation, two: Installation):
    company.hq.run("admin.rename", entity="customer", field="name", text="单位名称", language="zh_CN")
    one.run("admin.rename", entity="customer", field="name", text="客户全称", language="zh_CN")
    agree(company)
    labels = []
    for node in (company.hq, one, two):
        with node.store.read():
            labels.append(entity("customer").fields["name"].label)
    assert labels == ["单位名称", "客户全称", "单位名称"]


def test_a_branch_may_not_touch_what_head_office_defined(company: Company, one: Installation):
    made = add(company.hq, "信用等级", "text")
    agree(company)
    with pytest.raises(Refused) as refused:
        one.run("admin.change_field", id=made["id"], label="等级")
    assert refused.value.code == "office_only"

    # Nor may a branch whose program lets it: head office keeps such changes apart.
    definition, fields = bytes.fromhex(made["id"]), entity("custom_field").fields
    own = bytes.fromhex(one.store.node.branch_id)
    changes = [
        Change(14, UPDATE, definition, [(fields["label"].no, "信用等级", "等级")], None),
        Change(14, UPDATE, definition, [(fields["branch_id"].no, None, own)], None),
        Change(14, INSERT, b"\7" * 16, [(1, "customer"), (2, 2001), (3, "多余"), (4, "text")], None),
    ]
    epoch = int.from_bytes(one.store.node.epoch)
    batch = Batch([(2, epoch)], [Tx(0, 1, 3, 1 << 40, 1 << 40, None, 0)], changes)
    before = company.hq.digest
    report = admit(company.hq.store, batch, sender_no=2, sender_code="BR01")
    assert (report.applied, report.quarantined) == (0, 3)
    assert {row[0] for row in company.hq.rows("SELECT reason FROM sync_quarantine")} == {"not_owner"}
    assert before != company.hq.digest  # three conflicts tell of it
    assert shown(company.hq) == {made["key"]: "信用等级"}


def hears(company: Company, changes: list[Change], *, node_no: int = 2) -> list[str]:
    """Head office takes in what a branch says whose program lets everything pass; returns why parts of it are kept out."""
    code = f"BR{node_no - 1:02d}"
    node = company.branches[code]
    have = company.hq.value("SELECT have_oseq FROM sync_origin WHERE node_no = ?", node_no) or 0
    before = company.hq.value("SELECT count(*) FROM sync_quarantine")
    epoch = int.from_bytes(node.store.node.epoch)
    txs = [Tx(0, have + 1, len(changes), (1 << 50) + have, (1 << 50) + have, None, 0)]
    admit(company.hq.store, Batch([(node_no, epoch)], txs, changes), sender_no=node_no, sender_code=code)
    return [row[0] for row in company.hq.rows("SELECT reason FROM sync_quarantine ORDER BY oseq")[before:]]


def definition(branch: Installation, pk: bytes, number: int, **more: Any) -> Change:
    given = {"entity": "customer", "number": number, "label": f"字段{number}", "type": "text"} | more
    fields = entity("custom_field").fields
    own = (fields["branch_id"].no, bytes.fromhex(branch.store.node.branch_id))
    return Change(14, INSERT, pk, [*((fields[key].no, value) for key, value in given.items()), own], None)


def test_a_definition_takes_numbers_of_its_own_branch_only(company: Company, one: Installation):
    office = add(company.hq, "信用等级", "money")
    others = [definition(one, bytes([n]) * 16, number) for n, number in enumerate((2, 2**60, 193_000, int(office["key"][1:])), start=1)]
    assert hears(company, others) == ["not_owner"] * 4
    twins = [definition(one, b"\7" * 16, 129_001, label="后"), definition(one, b"\6" * 16, 129_001, label="先")]
    assert hears(company, twins) == []
    assert shown(company.hq) == {office["key"]: "信用等级", "x129001": "先"}


def test_a_branch_makes_nothing_else_of_what_it_has_defined(company: Company, one: Installation):
    made = add(one, "主营", "text")
    customer = one.new("customer", name="甲公司", **{made["key"]: "abc"})
    agree(company)
    fields, pk = entity("custom_field").fields, bytes.fromhex(made["id"])
    for key, old, new in (("type", "text", "user"), ("type", "date", "date"), ("number", 1, 129_500), ("entity", "customer", "product")):
        reason = "type_loses" if key == "type" else "fixed_column"
        assert hears(company, [Change(14, UPDATE, pk, [(fields[key].no, old, new)], None)]) == [reason]
    assert hears(company, [Change(14, UPDATE, pk, [(fields["type"].no, "text", "longtext")], None)]) == []
    assert company.hq.get("customer", customer)[made["key"]] == "abc"


def test_a_branch_names_no_option_of_the_company(company: Company, one: Installation):
    key = add(company.hq, "信用等级", "choice", options=["A"])["key"]
    own = bytes.fromhex(one.store.node.branch_id)
    rows = [(key, "A", "假"), ("level", "deal", "假"), (key, "B", "乙级")]
    changes = [
        Change(15, INSERT, bytes([n]) * 16, [(1, "customer"), (2, field), (3, value), (4, label), (6, 1), (7, own)], None)
        for n, (field, value, label) in enumerate(rows, start=1)
    ]
    assert hears(company, changes) == []
    with company.hq.store.read():
        level, own_list = entity("customer").fields["level"], entity("customer").fields[key]
        assert (level.options["deal"], level.withdrawn, own_list.options) == ("Deal customer", frozenset(), {"A": "A", "B": "乙级"})


def test_a_branch_adds_no_more_fields_than_a_table_takes(company: Company, one: Installation):
    changes = [definition(one, n.to_bytes(16), 129_000 + n) for n in range(1, 104)]
    assert hears(company, changes) == ["too_many_fields"] * 3
    assert len(shown(company.hq)) == 100


@pytest.mark.parametrize("bounds", [[(9, "9" * 5000)], [(8, "x"), (9, "1e999")], [(7, "无此日期")], [(3, "长" * 50_000), (11, "\n")]])
def test_a_definition_nobody_can_make_sense_of_stops_no_exchange(company: Company, one: Installation, bounds: list[tuple[int, str]]):
    own = bytes.fromhex(one.store.node.branch_id)
    for number, kind in enumerate(("text", "integer", "date"), start=129_001):
        given = {1: "customer", 2: number, 3: f"字段{number}", 4: kind, 16: own, **dict(bounds)}
        assert hears(company, [Change(14, INSERT, number.to_bytes(16), list(given.items()), None)]) == []
    company.hq.new("customer", name="甲公司", x129001="值")


def test_a_restored_branch_gives_other_numbers(company: Company, one: Installation):
    first = add(one, "主营", "text")
    with one.store.housekeeping() as connection:
        connection.execute("UPDATE meta SET value = 1 WHERE key = 'node.epoch_index'")
    one.store.forget_node()
    second = add(one, "区域", "text")
    assert int(second["key"][1:]) - int(first["key"][1:]) == 1000


# fields on lines -------------------------------------------------------------------------------------------------------------------


def sold(node: Installation, *, post: bool, **values: Any) -> dict[str, Any]:
    """An order of one line at a node."""
    product = node.new(
        "product", code=f"P{node.value('SELECT count(*) FROM product')}-{node.store.node.code}", name="布", price="9.80", stocked=False
    )
    lines = [{"product_id": product, "quantity": "2", **values}]
    order: dict[str, Any] = node.run("sales.save_order", header={"customer_id": node.new("customer", name="甲公司")}, lines=lines)
    return dict(node.run("sales.post_order", order_id=order["id"])) if post else order


def line_of(node: Installation, order: dict[str, Any]) -> dict[str, Any]:
    return node.get("sales_order_line", order["lines"][0]["id"])


def add_to_lines(node: Installation, label: str, type: str, **more: Any) -> dict[str, Any]:
    return dict(node.run("admin.add_field", entity="sales_order_line", label=label, type=type, **more))


def test_two_branches_add_fields_to_their_lines_apart(company: Company, one: Installation, two: Installation):
    width, dye = add_to_lines(one, "幅宽", "number", required=True), add_to_lines(two, "工艺", "choices", options=["染色", "印花"])
    first, second = sold(one, post=True, **{width["key"]: "150"}), sold(two, post=False, **{dye["key"]: "印花、染色"})
    agree(company)
    for node in company.nodes:
        assert line_of(node, first)[width["key"]] == "150"
        assert line_of(node, second)[dye["key"]] == "染色\n印花"
    assert two.run("sales.post_order", order_id=second["id"])["status"] == "posted"  # what one branch requires, another need not know
    agree(company)
    assert company.hq.conflicts() == []


def test_a_draft_changed_at_its_branch_while_the_field_is_made_the_companys(company: Company, one: Installation):
    dye = add_to_lines(one, "工艺", "choice", options=["染色", "印花"])
    order = sold(one, post=False, **{dye["key"]: "染色"})
    agree(company)
    company.hq.run("admin.promote_field", id=dye["id"])
    one.run("sales.save_order", order_id=order["id"], header={}, lines=[{"id": order["lines"][0]["id"], dye["key"]: "印花"}])
    agree(company)
    assert [line_of(node, order)[dye["key"]] for node in company.nodes] == ["印花"] * len(company.nodes)


def test_a_posted_line_stays_whatever_is_defined_about_lines(company: Company, one: Installation, two: Installation):
    order = sold(one, post=True)
    agree(company)
    before = [line_of(node, order) for node in company.nodes]
    made = add_to_lines(company.hq, "等级", "choice", options=["一等", "二等"], required=True)
    own = add_to_lines(two, "匹号", "serial")
    company.hq.run("admin.change_field", id=made["id"], preset="一等")
    company.hq.run("admin.change_field", id=made["id"], preset="二等", hint="看布面")
    agree(company)
    after = [line_of(node, order) for node in company.nodes]
    assert [(line.pop(made["key"]), line.pop(own["key"])) for line in after] == [(None, None)] * len(after)
    assert after == before
    with pytest.raises(Refused) as refused:
        one.set("sales_order_line", order["lines"][0]["id"], **{made["key"]: "一等"})
    assert refused.value.code == "posted_document"

    # Nor does a line change when a branch's program lets everything pass.
    line = bytes.fromhex(order["lines"][0]["id"])
    number = entity("sales_order_line").no
    assert hears(company, [Change(number, UPDATE, line, [(int(made["key"][1:]), None, "一等")], None)]) == ["posted_document"]
    assert line_of(company.hq, order)[made["key"]] is None


def test_a_definition_from_elsewhere_makes_nothing_unique_on_lines(company: Company, one: Installation):
    assert hears(company, [definition(one, b"\7" * 16, 129_001, entity="sales_order_line", unique=1, searched=1)]) == []
    with company.hq.store.read():
        field = entity("sales_order_line").fields["x129001"]
    assert field.custom is not None
    assert (field.custom.unique, field.f.index, field.f.search) == (False, False, None)


def test_a_field_that_is_said_to_store_something_else_than_its_column_is_held_back(company: Company, hq: Installation, one: Installation):
    """Head office's file, altered and signed again (hostile files 263931 and others): no type changes so, and the column is there."""
    made = add(hq, "会员号", "text")
    company.exchange()
    kind, no = entity("custom_field"), int(made["key"][1:])
    identity = hq.value("SELECT id FROM custom_field WHERE number = ?", no)
    number, epoch, have = hq.rows("SELECT node_no, epoch, have_oseq FROM sync_origin WHERE code = 'HQ'")[0]
    stamp, new = int(hq.value("SELECT last_hlc FROM sync_ctx")), bytes(15) + b"\1"
    changes = [
        Change(kind.no, UPDATE, identity, [(kind.fields["type"].no, "text", "integer")], None),
        Change(entity("customer").no, INSERT, new, [(entity("customer").fields["name"].no, "甲"), (no, "A-7")], None),
        Change(entity("customer").no, INSERT, bytes(15) + b"\2", [(entity("customer").fields["name"].no, "乙"), (no, 7)], None),
    ]
    at = int(one.value("SELECT recv_hseq FROM sync_peer WHERE node_no = 1"))
    txs = [Tx(0, have + n, 1, stamp + n, stamp + n, None, at + n) for n in (1, 2, 3)]
    apply(one.store, Batch([(number, int.from_bytes(epoch))], txs, changes), from_hseq=at, to_hseq=at + 3)
    assert made["key"] not in shown(one)
    assert one.value("SELECT count(*) FROM customer WHERE name IN ('甲', '乙')") == 0
    assert one.value("SELECT count(*) FROM sync_quarantine") == 2
    assert check.check(one.store)["problems"] == []
