"""The conflict inbox: every kind in plain words, keys, a third value, many at once by a rule, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.domain.admin.entities import Conflict
from localcrm.kernel.schema import entity
from localcrm.store.store import Store
from tests.browser.conftest import PASSWORD, OpenPage, Running, beside, picture

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")
CONFLICT = Conflict.entity_type
#: After one is settled nothing else is for a moment.
CALM_MS = 900


def note(store: Store, **values: Any) -> str:
    """A conflict as head office would have noted it."""
    with store.unit_of_work(None) as uow:
        return uow.insert(CONFLICT, CONFLICT.validate(values))


def settle_all(store: Store) -> None:
    """Nothing waits any more."""
    with store.unit_of_work(None) as uow:
        for row in uow.where(CONFLICT, state="open"):
            uow.update(CONFLICT, row["id"], {"state": "resolved", "resolution": "kept"})


@pytest.fixture
def customers(office: Running) -> Iterator[dict[str, str]]:
    """Two customers, by name, whose telephone number and level head office and BR01 changed apart."""
    with beside(office) as (store, actor):
        settle_all(store)
        found = {}
        for name in ("绍兴恒远纺织品有限公司", "浙江瑞祥进出口有限公司"):
            with store.read() as connection:
                found[name] = connection.value("SELECT id FROM customer WHERE name = ?", (name,)).hex()
            values = {"phone": "0571-6666", "level": "deal"}
            verbs.run(store, actor, "records.update_record", {"entity": "customer", "id": found[name], "values": values})
            common = {"kind": "overwritten", "entity": "customer", "record": found[name], "kept_node": "BR01", "lost_node": "HQ"}
            times = {"kept_at": "2026-11-22T08:40:00Z", "lost_at": "2026-11-22T01:15:00Z", "lost_by": actor.user_id}
            note(store, **common, **times, field="phone", base="0575-1", kept="0571-6666", lost="0575-8888")
            note(store, **common, **times, field="level", base="prospect", kept="deal", lost="developing")
    yield found
    with beside(office) as (store, _actor):
        settle_all(store)


def phone(office: Running, customer: str) -> Any:
    with beside(office) as (store, _actor), store.read() as connection:
        return connection.value("SELECT phone FROM customer WHERE id = ?", (bytes.fromhex(customer),))


def states(office: Running) -> list[str]:
    with beside(office) as (store, _actor), store.unit_of_work(None) as uow:
        return [row["state"] for row in uow.where(CONFLICT, kind="overwritten")]


def block(page: Page, text: str) -> Locator:
    return page.locator(".lc-conflict").filter(has_text=text)


def chosen(page: Page) -> Locator:
    return page.locator(".lc-conflict.lc-on")


def test_a_record_is_one_card_and_keys_lead_through_it(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    page = open_page("/conflicts")
    expect(page.locator(".lc-conflict-card")).to_have_count(2)
    expect(page.locator(".lc-conflict")).to_have_count(4)
    expect(chosen(page)).to_contain_text("发展客户")
    page.keyboard.press("ArrowDown")
    expect(chosen(page)).to_contain_text("0575-8888")
    page.keyboard.press("t")
    expect(page.locator(".lc-conflict")).to_have_count(3)
    assert phone(office, customers["浙江瑞祥进出口有限公司"]) == "0575-8888"
    expect(page.locator(".lc-toast")).to_contain_text("电话：改用 0575-8888")
    page.locator(".lc-toast button").click()  # undo: the value goes back, and the conflict waits again
    expect(page.locator(".lc-toast", has_text="重新待处理：电话")).to_be_visible()
    expect(page.locator(".lc-conflict")).to_have_count(4)
    assert phone(office, customers["浙江瑞祥进出口有限公司"]) == "0571-6666"
    page.wait_for_timeout(CALM_MS)
    page.keyboard.press("k")
    expect(page.locator(".lc-conflict")).to_have_count(3)
    page.locator(".lc-toast", has_text="保留").get_by_role("button", name="撤销").click()
    expect(page.locator(".lc-conflict")).to_have_count(4)
    assert set(states(office)[-4:]) == {"open"}


def test_a_quick_hand_settles_one_only(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    page = open_page("/conflicts")
    expect(page.locator(".lc-conflict")).to_have_count(4)
    spot = page.locator("[data-act=keep]").first.bounding_box()
    assert spot is not None
    for _turn in range(2):  # what has slid under the pointer is another one
        page.mouse.click(spot["x"] + 9, spot["y"] + 9)
        page.wait_for_timeout(300)
    expect(page.locator(".lc-conflict")).to_have_count(3)
    page.wait_for_timeout(CALM_MS)
    for _turn in range(40):  # held for a second and more
        page.keyboard.down("k")
        page.wait_for_timeout(30)
    page.keyboard.up("k")
    expect(page.locator(".lc-conflict")).to_have_count(2)
    page.wait_for_timeout(CALM_MS)
    expect(page.locator(".lc-conflict")).to_have_count(2)
    expect(page.locator(".lc-notice")).to_have_count(0)


def test_what_was_settled_wrongly_waits_again(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    page = open_page("/conflicts")
    expect(page.locator(".lc-conflict")).to_have_count(4)
    block(page, "0575-8888").first.locator("[data-act=keep]").click()
    expect(page.locator(".lc-conflict")).to_have_count(3)
    page.locator("[data-act=tab-resolved]").click()
    page.wait_for_timeout(CALM_MS)
    block(page, "保留 0571-6666").first.get_by_role("button", name="重新待处理").click()
    expect(page.locator(".lc-toast", has_text="重新待处理：电话")).to_be_visible()
    page.locator("[data-act=tab-open]").click()
    expect(page.locator(".lc-conflict")).to_have_count(4)


def test_after_the_last_one_of_a_record_the_way_leads_back_and_on(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    name, customer = next(iter(customers.items()))
    page = open_page(f"/conflicts?record={customer}")
    for left in (1, 0):
        page.locator("[data-act=keep]").first.click()
        expect(page.locator(".lc-conflict")).to_have_count(left)
        page.wait_for_timeout(CALM_MS)
    empty = page.locator(".lc-empty")
    expect(empty).to_contain_text(f"“{name}”的冲突已全部处理")
    expect(page.locator("[data-act=one-record]")).to_contain_text(name)
    picture(page, "all-of-one-settled")
    empty.locator("[data-act=see-others]").click()
    expect(page.locator(".lc-conflict")).to_have_count(2)
    page.goto(f"{office.address}/conflicts?record={customer}")
    page.locator("[data-act=back-to-record]").click()
    page.wait_for_url(lambda url: customer in url and "conflicts" not in url)


def test_what_is_being_typed_stays_when_a_new_conflict_arrives(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    page = open_page("/conflicts")
    expect(page.locator(".lc-conflict")).to_have_count(4)
    block(page, "0575-8888").first.get_by_role("button", name="另填…").click()
    box = page.locator(".q-dialog input")
    box.fill("0575-84123367")
    with beside(office) as (store, _actor):
        customer = customers["绍兴恒远纺织品有限公司"]
        note(store, kind="watched", entity="customer", record=customer, field="remark", kept="新", lost="旧", kept_node="BR01")
    expect(page.locator(".lc-conflict")).to_have_count(5)
    expect(box).to_have_value("0575-84123367")
    page.locator("[data-act=save-value]").click()
    expect(page.locator(".lc-conflict")).to_have_count(4)
    assert "0575-84123367" in {phone(office, customer) for customer in customers.values()}


def test_a_third_value_is_entered_by_the_rules_of_its_field(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    page = open_page("/conflicts")
    expect(page.locator(".lc-conflict").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".lc-conflict").nth(1)).to_have_class(re.compile("lc-on"))
    page.keyboard.press("e")
    box = page.locator(".q-dialog input")
    expect(box).to_have_value("0571-6666")
    box.fill("0575-84123367")
    page.locator("[data-act=save-value]").click()
    expect(page.locator(".lc-conflict")).to_have_count(3)
    assert phone(office, customers["浙江瑞祥进出口有限公司"]) == "0575-84123367"


def test_of_two_long_texts_both_are_kept_or_one_is_added_to_the_other(
    open_page: OpenPage, office: Running, customers: dict[str, str]
) -> None:
    customer = customers["绍兴恒远纺织品有限公司"]
    ours, theirs = "月结 30 天，对账单发邮箱", "每月 25 日前对账，开增值税专用发票"

    def remark() -> Any:
        with beside(office) as (store, _actor), store.read() as connection:
            return connection.value("SELECT remark FROM customer WHERE id = ?", (bytes.fromhex(customer),))

    with beside(office) as (store, actor):
        settle_all(store)
        verbs.run(store, actor, "records.update_record", {"entity": "customer", "id": customer, "values": {"remark": ours}})
        values = {"kind": "overwritten", "entity": "customer", "record": customer, "field": "remark", "kept": ours, "lost": theirs}
        note(store, **values, kept_node="BR01", lost_node="HQ")
    page = open_page("/conflicts")
    only = page.locator(".lc-conflict")
    expect(only).to_contain_text("原值 （空）")
    expect(only).to_contain_text("未采用")
    picture(page, "long-texts")
    only.locator("[data-act=both]").click()
    expect(only).to_have_count(0)
    assert remark() == f"{ours}\n{theirs}"
    page.locator(".lc-toast").get_by_role("button", name="撤销").click()
    expect(only).to_have_count(1)
    assert remark() == ours
    page.wait_for_timeout(CALM_MS)
    only.locator("[data-act=edit]").click()
    page.locator("[data-act=put-other]").click()
    expect(page.locator(".q-dialog textarea").first).to_have_value(f"{ours}\n{theirs}")
    picture(page, "long-texts-dialog")
    page.locator("[data-act=save-value]").click()
    expect(only).to_have_count(0)
    assert remark() == f"{ours}\n{theirs}"


def test_no_tag_lies_over_a_value(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    customer, long = customers["绍兴恒远纺织品有限公司"], "广东省广州市海珠区中大布匹市场一期 B 座 1208 室，送货到 3 号库后门"
    with beside(office) as (store, _actor):
        values = {"kind": "watched", "entity": "customer", "record": customer, "field": "address", "kept": long, "lost": f"{long}！"}
        note(store, **values, kept_node="BR01", lost_node="HQ")
    page = open_page("/conflicts", size=(1024, 768))
    for language in ("EN", "中文"):
        page.locator(".lc-language", has_text=language).click()
        expect(page.locator(".lc-language", has_text=language)).to_have_count(0)
        expect(page.locator(".lc-conflict")).to_have_count(5)
        assert page.evaluate(
            """() => [...document.querySelectorAll('.lc-value')].every((box) => {
                const [what, tag] = ['.lc-what', '.lc-tag'].map((part) => box.querySelector(part)?.getBoundingClientRect());
                return !tag || what.right <= tag.left;
            })"""
        )


def test_a_value_changed_again_is_asked_about(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    page, customer = open_page("/conflicts"), customers["绍兴恒远纺织品有限公司"]
    card = page.locator(".lc-conflict-card", has_text="绍兴恒远纺织品有限公司")
    expect(card.locator(".lc-conflict")).to_have_count(2)
    with beside(office) as (store, actor):
        verbs.run(store, actor, "records.update_record", {"entity": "customer", "id": customer, "values": {"phone": "0575-7777"}})
    expect(block(page, "之后又有人改过，现在是 0575-7777")).to_have_count(1)
    block(page, "0575-7777").locator("[data-act=take]").click()
    expect(page.locator(".q-dialog")).to_contain_text("0575-7777")
    page.locator(".q-dialog button").last.click()
    expect(block(page, "0575-7777")).to_have_count(0)
    assert phone(office, customer) == "0575-8888"


def test_a_rule_shows_what_it_would_change_and_is_taken_back(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    page = open_page("/conflicts")
    page.locator("[data-act=by-rule]").click()
    page.locator("[data-act=scope]").click()
    page.locator(".q-menu .q-item", has_text="当前显示的全部").click()
    expect(page.locator(".q-dialog .lc-table tr")).to_have_count(7)  # each customer once, two fields below
    expect(page.locator(".q-dialog .lc-table")).to_contain_text("0575-8888")
    expect(page.locator(".q-dialog")).to_contain_text("改动 4 个值")
    page.locator(".q-dialog .lc-rule button", has_text="以后改的为准").click()
    expect(page.locator(".q-dialog")).to_contain_text("改动 0 个值")
    page.locator(".q-dialog .lc-rule button", has_text="以总部为准").click()
    expect(page.locator(".q-dialog")).to_contain_text("改动 4 个值")
    page.locator("[data-act=dialog-yes]").click()
    expect(page.locator(".lc-conflict")).to_have_count(0)
    assert {phone(office, one) for one in customers.values()} == {"0575-8888"}
    page.locator(".lc-toast button").click()
    expect(page.locator(".lc-toast", has_text="4 条重新待处理，值已改回")).to_be_visible()
    assert {phone(office, one) for one in customers.values()} == {"0571-6666"}
    expect(page.locator(".lc-conflict")).to_have_count(4)


def test_ticked_ones_are_settled_together(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    page = open_page("/conflicts")
    expect(page.locator(".lc-conflict")).to_have_count(4)
    page.locator("[data-act=tick]").nth(0).click()
    together = page.locator("[data-act=keep-ticked]").element_handle()
    page.locator("[data-act=tick]").nth(2).click()
    expect(page.locator(".lc-chosen")).to_contain_text("已勾选 2")
    assert together.evaluate("button => button.isConnected")  # a quick hand may be on it already
    page.locator("[data-act=keep-ticked]").click()
    expect(page.locator(".q-dialog")).to_contain_text("2 条不改值，只标为已处理")
    page.locator("[data-act=dialog-yes]").click()
    expect(page.locator(".lc-conflict")).to_have_count(2)


def test_what_has_no_two_values_says_what_to_do(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    with beside(office) as (store, actor):
        gone = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": "柯桥新亚袜业"}})["id"]
        verbs.run(store, actor, "records.create_record", {"entity": "contact", "values": {"customer_id": gone, "name": "王建国"}})
        with store.unit_of_work(None) as uow:
            uow.set_deleted(entity("customer"), gone, deleted=True)
        note(store, kind="parent_deleted", entity="customer", record=gone, field="deleted", base="false", kept="true", lost="false")
        note(store, kind="quarantined", entity="sales_order", record="0" * 32, lost="posted_document", lost_node="BR01")
    page = open_page("/conflicts")
    held = block(page, "单据已经过账")
    expect(held).to_contain_text("BR01")
    expect(held).to_contain_text("请冲销后重新录入")
    held.locator("[data-act=keep]").click()
    expect(held).to_have_count(0)
    page.wait_for_timeout(CALM_MS)
    orphan = block(page, "“柯桥新亚袜业”已被删除")
    expect(orphan).to_contain_text("联系人 1")
    orphan.locator("[data-act=take]").click()
    expect(orphan).to_have_count(0)
    with beside(office) as (store, _actor), store.read() as connection:
        assert connection.value("SELECT deleted FROM customer WHERE id = ?", (bytes.fromhex(gone),)) == 0


def test_two_records_with_one_value_are_both_named(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    first, second = customers.values()
    with beside(office) as (store, _actor):
        settle_all(store)
        values = {"entity": "customer", "record": second, "other": first, "field": "phone", "kept": "0571-6666", "lost": "0571-6666"}
        note(store, kind="duplicate", **values, kept_node="HQ", lost_node="BR01")
    page = open_page("/conflicts")
    only = page.locator(".lc-conflict")
    expect(only).to_contain_text("绍兴恒远纺织品有限公司")
    expect(only).to_contain_text("浙江瑞祥进出口有限公司")
    only.locator("[data-act=edit]").click()
    page.locator(".q-dialog .q-select").click()
    page.locator(".q-menu .q-item", has_text="绍兴恒远纺织品有限公司").click()
    page.locator(".q-dialog [data-field=phone] input").fill("0575-1111")
    page.locator("[data-act=save-value]").click()
    expect(only).to_have_count(0)
    assert (phone(office, first), phone(office, second)) == ("0575-1111", "0571-6666")


def test_of_an_opening_balance_entered_twice_one_is_reversed(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    first = next(iter(customers.values()))
    with beside(office) as (store, actor):
        settle_all(store)
        here, there = (
            verbs.run(store, actor, "sales.enter_opening_balance", {"customer_id": first, "amount": "12600.50"}) for _turn in range(2)
        )
        values = {
            "entity": "sales_order",
            "record": there["id"],
            "other": here["id"],
            "field": "gross",
            "kept": "12600.50",
            "lost": "12600.50",
        }
        note(store, kind="duplicate", **values, kept_node="HQ", lost_node="BR01")
    page = open_page("/conflicts")
    only = page.locator(".lc-conflict")
    expect(only).to_contain_text("期初余额是否录了两次？")
    expect(only).to_contain_text(here["number"])
    expect(only).to_contain_text(there["number"])
    expect(only.locator("[data-act=edit]")).to_have_count(0)
    expect(only).to_contain_text("绍兴恒远纺织品有限公司")
    expect(only).to_contain_text("红冲其中一张")
    picture(page, "opening-twice")
    page.set_viewport_size({"width": 390, "height": 844})
    picture(page, "opening-twice-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1440, "height": 900})
    only.locator("[data-act=take]").click()
    dialog = page.locator(".q-dialog")
    expect(dialog).to_contain_text(f"红冲 {there['number']}？")
    picture(page, "opening-twice-sure")
    dialog.get_by_role("button", name=f"红冲 {there['number']}").click()
    expect(only).to_have_count(0)
    with beside(office) as (store, _actor), store.read() as connection:
        reversed_ = connection.all("SELECT reverses_id, gross FROM sales_order WHERE reverses_id IS NOT NULL AND opening = 1")
    assert [(pk.hex(), gross) for pk, gross in reversed_] == [(there["id"], -1260050)]


def test_several_opening_balances_entered_twice_are_reversed_together(
    open_page: OpenPage, office: Running, customers: dict[str, str]
) -> None:
    with beside(office) as (store, actor):
        settle_all(store)
        later = []
        for customer, amount in zip(customers.values(), ("100.00", "250.00"), strict=False):
            here, there = (
                verbs.run(store, actor, "sales.enter_opening_balance", {"customer_id": customer, "amount": amount}) for _turn in range(2)
            )
            pair = {"entity": "sales_order", "record": there["id"], "other": here["id"], "field": "gross", "kept": amount, "lost": amount}
            note(store, kind="duplicate", **pair, kept_node="HQ", lost_node="BR01")
            later.append(there["id"])
    page = open_page("/conflicts")
    expect(page.locator(".lc-conflict")).to_have_count(2)
    for tick in page.locator("[data-act=tick]").all():
        tick.click()
    page.locator("[data-act=take-ticked]").click()
    dialog = page.locator(".q-dialog")
    expect(dialog).to_contain_text("将红冲 2 张单据")
    expect(dialog).to_contain_text("不能撤销")
    picture(page, "opening-twice-several")
    page.locator("[data-act=dialog-yes]").click()
    expect(page.locator(".lc-conflict")).to_have_count(0)
    with beside(office) as (store, _actor), store.read() as connection:
        reversed_ = connection.all("SELECT lower(hex(reverses_id)) FROM sales_order WHERE reverses_id IS NOT NULL AND opening = 1")
    assert {pk for (pk,) in reversed_} >= set(later)


def test_on_a_phone_nothing_sticks_out(open_page: OpenPage, customers: dict[str, str]) -> None:
    page = open_page("/conflicts", size=(390, 844))
    expect(page.locator(".lc-conflict")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_who_may_only_look_sees_no_buttons(open_page: OpenPage, office: Running, customers: dict[str, str]) -> None:
    with beside(office) as (store, actor):
        values = {"login": "wu", "name": "吴敏", "password": PASSWORD}
        verbs.run(store, actor, "records.create_record", {"entity": "user", "values": values})
        for kind in ("customer", "conflict"):
            verbs.run(store, actor, "people.set_rights", {"login": "wu", "entity": kind, "actions": ["read"], "scope": "all"})
    page = open_page("/conflicts", login="wu")
    expect(page.locator(".lc-conflict")).to_have_count(4)
    expect(page.locator(".lc-nav-link[href='/conflicts'] .lc-badge")).to_have_text("4")
    expect(page.locator(".lc-choice, [data-act=tick], [data-act=by-rule]")).to_have_count(0)
