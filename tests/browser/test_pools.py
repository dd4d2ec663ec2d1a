"""Pools and owner changes as a salesperson and a manager use them; at a branch a pick is a request."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from localcrm.domain import verbs
from localcrm.domain.people.preferences import save_preference
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.store.store import Store
from tests.browser.conftest import OpenPage, Running, beside, create_pair, new_page, picture, running, sign_in

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")
WIDE, PHONE = (1440, 900), (390, 844)


def marked(page: Page, name: str) -> Locator:
    """What is named so, whatever the language."""
    return page.locator(f"[data-act='{name}']")


def act(page: Page, label: str) -> None:
    """Take an entry of the menu of actions."""
    page.get_by_role("button", name="操作").click()
    page.locator(".q-menu:visible .q-item", has_text=label).click()


def pick_user(page: Page, name: str, *, field: str = "新业务员") -> None:
    """Choose somebody in the open dialog."""
    box = page.locator(".q-dialog .lc-field", has_text=field).locator("input").first
    box.fill(name)
    page.locator(".lc-pick", has_text=name).first.click()


def fill(store: Store, actor: Actor) -> None:
    """A pool with two customers in it, and a rule."""
    run = lambda verb, **given: verbs.run(store, actor, verb, given)
    new = lambda entity, **values: run("records.create_record", entity=entity, values=values)["id"]
    pool = new("pool", name="华东公海", picks_per_day=20, held_most=200, barred_days=30, protect_days=15)
    new("reclaim_rule", name="三十天无联系", pool_id=pool, days=30, remind_days=30)
    made = [
        new("customer", name=name, phone="0575-8412 3367", level="prospect", area="浙江省绍兴市", industry="manufacturing")
        for name in ("上虞春晖针织厂", "嵊州领带集团")
    ]
    run("crm.release", customers=made, reason="半年没有来往", pool_id=pool)


@pytest.fixture(scope="module")
def filled(office: Running) -> Running:
    with beside(office) as (store, actor):
        fill(store, actor)
        with store.read() as connection:
            customer, owner = connection.one("SELECT lower(hex(id)), lower(hex(owner_id)) FROM customer WHERE name = '柯桥金龙布业'") or (
                "",
                "",
            )
        values = {"title": "秋冬面料", "customer_id": customer, "owner_id": owner}
        verbs.run(store, actor, "records.create_record", {"entity": "opportunity", "values": values})
    return office


def test_a_salesperson_picks_from_the_pool_by_key_and_sees_the_telephone_only_then(open_page: OpenPage, filled: Running) -> None:
    page = open_page("/pools", login="lin")
    row = marked(page, "pool-list").locator("tr", has_text="上虞春晖针织厂")
    expect(row).to_contain_text("057****67")
    expect(row).not_to_contain_text("3367")
    row.click()
    page.keyboard.press("p")
    expect(page.locator(".lc-toast")).to_contain_text("“上虞春晖针织厂”已归您")
    expect(row).to_have_count(0)
    page.goto(f"{filled.address}/customers")
    page.locator(".ag-row", has_text="上虞春晖针织厂").first.click()
    page.locator(".q-tab", has_text="经手人变更").click()
    expect(marked(page, "owner-changes").locator("tr")).to_have_count(3)
    expect(marked(page, "owner-changes").locator("tr").nth(1)).to_contain_text("林晓")
    expect(marked(page, "custody")).to_contain_text("归属链完整")
    picture(page, "owners")


def test_a_customer_is_handed_over_taken_back_shared_and_released(open_page: OpenPage, filled: Running) -> None:
    page = open_page("/customers")
    page.locator(".ag-row", has_text="柯桥金龙布业").first.click()
    page.locator(".q-tab", has_text="经手人变更").click()
    expect(page.locator(".lc-lower")).to_contain_text("柯桥金龙布业")
    act(page, "转移 / 分配…")
    dialog = page.locator(".q-dialog")
    marked(page, "yes").click()
    expect(dialog).to_contain_text("请选择接手的业务员")
    pick_user(page, "林晓")
    expect(dialog).to_contain_text("进行中的机会 · 1")
    picture(page, "hand-over")
    marked(page, "yes").click()
    expect(page.locator(".lc-toast")).to_contain_text("“柯桥金龙布业”已转给 林晓")
    expect(marked(page, "custody")).to_contain_text("林晓")
    expect(marked(page, "owner-changes")).to_contain_text("一并转移：机会 1")
    page.keyboard.press("Control+z")
    expect(marked(page, "custody")).to_contain_text("王芳")
    expect(marked(page, "owner-changes").locator("tr")).to_have_count(3)
    page.locator(".q-tab", has_text="共享").click()
    page.get_by_role("button", name="共享…").click()
    pick_user(page, "林晓", field="名称")
    marked(page, "share-contract").click()
    page.get_by_label("原因").fill("一起跟进")
    picture(page, "share-dialog")
    dialog.get_by_role("button", name="共享", exact=True).click()
    dialog.get_by_role("button", name="关闭").click()
    expect(marked(page, "shares")).to_contain_text("已生效")
    expect(marked(page, "shares")).to_contain_text("不含 合同")
    expect(marked(page, "shares")).to_contain_text("一起跟进")
    picture(page, "sharing")
    act(page, "放入公海…")
    marked(page, "yes").click()
    expect(dialog).to_contain_text("请写明原因")
    marked(page, "reason").fill("停产了")
    picture(page, "release")
    marked(page, "yes").click()
    expect(page.locator(".lc-toast").last).to_contain_text("“柯桥金龙布业”已放入公海")
    page.locator(".q-tab", has_text="经手人变更").click()
    expect(marked(page, "custody")).to_contain_text("在公海“华东公海”")
    page.goto(f"{filled.address}/pools")
    marked(page, "tick-0").click()
    expect(marked(page, "pick-ticked")).to_have_text("领取 1 个")
    marked(page, "tick-1").click()
    picture(page, "ticked")
    marked(page, "assign-ticked").click()
    pick_user(page, "林晓")
    marked(page, "yes").click()
    expect(page.locator(".lc-toast").last).to_contain_text("“2 个客户”已转给 林晓")
    expect(marked(page, "ticked")).to_be_hidden()


def test_head_office_sets_a_pool_up_and_sees_what_will_be_reclaimed(open_page: OpenPage, filled: Running) -> None:
    page = open_page("/settings/pools")
    expect(marked(page, "pool").first).to_contain_text("每人最多 200 个（成交客户不计）")
    marked(page, "new").click()
    dialog = page.locator(".q-dialog")
    marked(page, "save").click()
    expect(dialog.locator(".lc-field-error:visible")).to_have_count(1)
    dialog.locator("[data-field=name] input").fill("西南公海")
    dialog.locator("[data-field=picks_per_day] input").fill("3")
    picture(page, "pool-dialog")
    marked(page, "save").click()
    expect(marked(page, "pools")).to_contain_text("每人每天领 3 个")
    page.locator("[data-act=reclaim]").click()
    expect(page.locator(".lc-toast").last).to_contain_text("今天没有要回收的客户")
    marked(page, "new-allot").click()
    dialog.locator("[data-field=name] input").fill("新客户")
    dialog.locator("[data-field=pool_id] input").fill("华东公海")
    page.locator(".lc-pick", has_text="华东公海").filter(has_not_text="“").first.click()
    marked(page, "save").click()
    expect(dialog).to_contain_text("轮流分给")
    dialog.locator("[data-list=members] .q-select").click()
    page.locator(".q-menu:visible .q-item", has_text="林晓").click()
    dialog.locator(".lc-dialog-title").click()
    picture(page, "allot-rule")
    marked(page, "save").click()
    expect(marked(page, "allotting")).to_contain_text("林晓")
    picture(page, "pool-settings")
    with beside(filled) as (store, actor):
        with store.read() as connection:
            customer = connection.value("SELECT lower(hex(id)) FROM customer WHERE name = '诸暨盛宏袜业'")
            pool = connection.value("SELECT lower(hex(id)) FROM pool WHERE name = '华东公海'")
        verbs.run(store, actor, "crm.release", {"customers": [customer], "reason": "没有来往", "pool_id": pool})
    page.goto(f"{filled.address}/pools")
    marked(page, "allot").click()
    expect(marked(page, "allot-dialog")).to_contain_text("诸暨盛宏袜业")
    picture(page, "allot")
    marked(page, "yes").click()
    expect(page.locator(".lc-toast").last).to_contain_text("个客户已分配")
    expect(marked(page, "pool-list")).not_to_contain_text("诸暨盛宏袜业")


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_screen_in_both_languages_and_at_phone_width(open_page: OpenPage, filled: Running, language: str) -> None:
    with beside(filled) as (store, actor):
        save_preference(store, actor.user_id or "", "language", language)
    looked_at = bool(os.environ.get("PICTURES"))
    for name, size in (("wide", WIDE), ("phone", PHONE)) if looked_at else (("phone", PHONE),):
        for path in ("/pools", "/pools?box=due", "/pools?box=claims", "/settings/pools") if looked_at else ("/pools", "/settings/pools"):
            page = open_page(path, size=size)
            expect(page.locator(".lc-title")).to_be_visible()
            expect(page.locator(".lc-card").first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            picture(page, f"{path.strip('/').replace('/', '-').replace('?box=', '-')}-{name}-{language}")
            page.close()


# at a branch ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[Running]:
    """A branch that knows the pool of head office."""
    from localcrm.sync import node_sync

    folder = tmp_path_factory.mktemp("pair")
    office, opened = create_pair(folder)
    fill(office.store, SYSTEM)
    given: Path = folder / "down"
    node_sync.pack(office.store, office.keys, given, for_code="BR01")
    node_sync.unpack(opened.store, opened.keys, given)
    office.close()
    opened.close()
    with running(folder / "br01", server_environment) as program:
        yield program


def test_at_a_branch_a_pick_is_a_request_that_waits(browser: Browser, branch: Running) -> None:
    contexts: list[BrowserContext] = []
    page = sign_in(new_page(browser, branch, contexts), branch, "/pools")
    expect(marked(page, "elsewhere")).to_contain_text("由柯桥纺织发放")
    marked(page, "pick-0").click()
    expect(page.locator(".lc-toast")).to_contain_text("已申请领取")
    page.locator(".lc-chip", has_text="我的领取申请").click()
    expect(marked(page, "pool-list")).to_contain_text("等待答复")
    picture(page, "pools-branch")
    page.locator(".lc-chip", has_text="华东公海").click()
    expect(marked(page, "pool-list")).to_contain_text("王芳 已申请")
    assert branch.faults == []
    for context in contexts:
        context.close()
