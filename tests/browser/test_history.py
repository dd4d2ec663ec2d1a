"""What was: a record as of a moment, and actions taken back, as a clerk does it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from localcrm.domain.admin.conflicts import CONFLICT
from localcrm.kernel.schema import entity
from localcrm.store import changelog
from tests.browser.conftest import OpenPage, Running, beside

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def acts(page: Page | Locator, name: str) -> Locator:
    """A button by what it does, whatever the language."""
    return page.locator(f"[data-act='{name}']")


def written(office: Running, name: str, *steps: dict[str, Any]) -> str:
    """A customer with a past, written beside the program; returns its id."""
    with beside(office) as (store, actor):
        made = verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": name, "phone": "0575-1"}})
        for values in steps:
            verbs.run(store, actor, "records.update_record", {"entity": "customer", "id": made["id"], "values": values})
    return str(made["id"])


def stored(office: Running, identity: str, key: str) -> Any:
    with beside(office) as (store, _actor), store.read() as connection:
        return connection.value(f'SELECT "{key}" FROM customer WHERE id = ?', (bytes.fromhex(identity),))


def chosen(page: Page, name: str) -> None:
    """Put the cursor on a customer, and wait until it is drawn below."""
    row = page.locator(".ag-row", has_text=name).first
    expect(row).to_be_visible()
    row.locator(".ag-cell").nth(1).click()
    expect(page.locator(".ag-row-selected")).to_contain_text(name)
    expect(page.locator(".lc-lower")).to_contain_text(name)


def history(page: Page, name: str) -> None:
    """Open the history of a customer."""
    chosen(page, name)
    page.keyboard.press("h")
    expect(page.locator(".q-dialog").locator("[data-act='as-of']")).to_be_visible()


def test_what_was_just_saved_is_taken_back_by_key(open_page: OpenPage, office: Running) -> None:
    identity = written(office, "撤销纺织")
    page = open_page()
    chosen(page, "撤销纺织")
    page.keyboard.press("e")
    phone = page.locator(".q-dialog .lc-field[data-field='phone'] input")
    expect(page.locator(".q-dialog .lc-field[data-field='name'] input")).to_be_visible()
    phone.fill("0575-2")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(page.locator(".lc-toast [data-undo]")).to_be_visible()
    assert stored(office, identity, "phone") == "0575-2"
    page.locator("[data-find]").first.fill("撤销")
    page.keyboard.press("Control+z")  # in a text field it is the field's own
    expect(page.locator(".lc-lower")).to_contain_text("0575-2")
    page.locator(".lc-page-head, .lc-total").first.click()
    page.evaluate("document.activeElement?.blur()")
    page.keyboard.press("Control+z")
    expect(page.locator(".lc-toast").last).to_contain_text("已撤销")
    assert stored(office, identity, "phone") == "0575-1"
    expect(page.locator(".lc-lower")).to_contain_text("0575-1")


def test_an_action_is_undone_from_the_history_after_a_look_at_what_goes_back(open_page: OpenPage, office: Running) -> None:
    identity = written(office, "回看布业", {"phone": "0575-2", "remark": "熟客"}, {"level": "deal"})
    page = open_page()
    history(page, "回看布业")
    expect(acts(page, "undo-action")).to_have_count(3)
    acts(page, "undo-action").nth(1).click()
    preview = page.locator(".q-dialog", has=acts(page, "undo-yes"))
    expect(preview).to_contain_text("0575-2")
    expect(preview).to_contain_text("0575-1")
    acts(page, "undo-yes").click()
    expect(page.locator(".lc-toast").last).to_contain_text("已撤销")
    expect(page.locator(".q-dialog")).to_have_count(0)
    assert [stored(office, identity, key) for key in ("phone", "remark", "level")] == ["0575-1", None, "deal"]


def test_what_cannot_be_undone_says_why(open_page: OpenPage, office: Running) -> None:
    identity = written(office, "后来纺织", {"phone": "0575-2"}, {"phone": "0575-3"})
    page = open_page()
    history(page, "后来纺织")
    acts(page, "undo-action").nth(1).click()
    dialog = page.locator(".q-dialog", has_text="不能撤销")
    expect(dialog.locator(".lc-notice")).to_have_text(re.compile("电话后来改成 0575-3（HQ 王芳）。$"))
    expect(dialog.locator(".lc-table")).to_have_count(0)  # nothing of it will happen
    expect(acts(page, "undo-yes")).to_have_count(0)
    assert stored(office, identity, "phone") == "0575-3"


def test_what_was_changed_in_part_since_is_undone_in_part(open_page: OpenPage, office: Running) -> None:
    identity = written(office, "部分纺织", {"phone": "0575-2", "remark": "熟客"}, {"phone": "0575-3"})
    page = open_page()
    history(page, "部分纺织")
    acts(page, "undo-action").nth(1).click()
    dialog = page.locator(".q-dialog", has=acts(page, "undo-yes"))
    expect(dialog.locator(".lc-notice")).to_contain_text("电话后来改成 0575-3")
    expect(dialog.locator(".lc-table tr")).to_have_count(2)
    expect(dialog.locator(".lc-table")).to_contain_text("熟客")
    acts(page, "undo-yes").click()
    expect(page.locator(".lc-toast").last).to_contain_text("已撤销")
    assert [stored(office, identity, key) for key in ("phone", "remark")] == ["0575-3", None]


def test_the_conflicts_open_the_same_history_with_its_ways_back(open_page: OpenPage, office: Running) -> None:
    identity = written(office, "争议纺织", {"phone": "0575-2"})
    with beside(office) as (store, _actor), store.unit_of_work(None) as uow:
        told = {"kind": "overwritten", "entity": "customer", "record": identity, "field": "phone", "kept": "0575-2", "lost": "0575-9"}
        uow.insert(CONFLICT, CONFLICT.validate(told | {"kept_node": "HQ", "lost_node": "BR01"}))
    page = open_page("/conflicts")
    expect(page.locator(".lc-conflict.lc-on")).to_be_visible()
    page.keyboard.press("h")
    dialog = page.locator(".q-dialog", has_text="变更记录：争议纺织")
    expect(acts(dialog, "as-of")).to_be_visible()
    expect(acts(dialog, "undo-action")).to_have_count(2)


def test_on_a_phone_a_history_reads_from_top_to_bottom(open_page: OpenPage, office: Running) -> None:
    identity = written(office, "竖排纺织", {"name": "绍兴市柯桥区竖排纺织品进出口贸易有限责任公司"}, {"phone": "0575-2"})
    page = open_page(f"/customers?open={identity}&tab=history", size=(390, 844))
    line = page.locator(".lc-history tr", has_text="有限责任公司")
    after = line.locator("td").nth(5)
    expect(after).to_contain_text("进出口贸易")
    before, box = line.locator("td").nth(4).bounding_box(), after.bounding_box()
    assert before is not None and box is not None
    assert (box["width"] > 250, box["y"] >= before["y"] + before["height"]) == (True, True)
    assert len({round(name.bounding_box()["x"]) for name in page.locator(".lc-history td:nth-child(2):visible").all()}) == 1  # type: ignore[index]


def test_a_record_as_of_an_earlier_change_and_one_value_back(open_page: OpenPage, office: Running) -> None:
    identity = written(office, "当时纺织", {"phone": "0575-2"}, {"phone": "0575-3", "remark": "熟客"})
    page = open_page()
    history(page, "当时纺织")
    acts(page, "as-of").first.click()
    look = page.locator(".q-dialog", has=acts(page, "as-of-chevron_left"))
    line = look.locator("tr[data-field='phone']")
    expect(line).to_contain_text("0575-2")
    expect(line).to_contain_text("0575-3")
    acts(page, "as-of-chevron_left").click()
    expect(line).to_contain_text("0575-1")
    expect(look.locator("tr[data-field='name'] button")).to_have_count(0)
    line.locator("button").click()
    expect(page.locator(".lc-toast").last).to_contain_text("0575-1")
    expect(page.locator(".q-dialog")).to_have_count(0)
    assert [stored(office, identity, key) for key in ("phone", "remark")] == ["0575-1", "熟客"]


def test_a_moment_is_typed_and_everything_put_back_on_a_phone(open_page: OpenPage, office: Running) -> None:
    identity = written(office, "手机纺织", {"phone": "0575-2"})
    with beside(office) as (store, _actor), store.read() as connection:
        first = min(changelog.history(connection, entity("customer"), identity), key=lambda row: row.lseq).at
    page = open_page(size=(390, 844))
    page.locator(".lc-card-row", has_text="手机纺织").click()
    expect(page.locator(".lc-lower .lc-facts")).to_contain_text("0575-2")
    page.get_by_role("tab", name="变更记录").click()
    acts(page, "as-of").click()
    look = page.locator(".q-dialog", has=acts(page, "restore-all"))
    expect(look.locator("tr[data-field='phone']")).to_contain_text("0575-1")  # it begins before the latest change
    look.locator("input").fill("2001-01-01 08:00")
    expect(look.locator(".lc-empty")).to_contain_text("那时还没有这条记录")
    look.locator("input").fill(f"{datetime.fromisoformat(first).astimezone() + timedelta(milliseconds=1):%Y-%m-%d %H:%M:%S.%f}")
    expect(look.locator("tr[data-field='phone']")).to_contain_text("0575-1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    acts(page, "restore-all").click()
    page.locator(".q-dialog .lc-dialog.lc-narrow .lc-pri").click()
    expect(page.locator(".lc-toast").last).to_contain_text("已恢复")
    assert stored(office, identity, "phone") == "0575-1"
