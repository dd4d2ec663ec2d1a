"""Head office lets a branch hold only its own customers: the choice, what is gone at the branch, and who holds a customer and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from localcrm.app import Application
from localcrm.domain import verbs
from localcrm.domain.people.services import authenticate
from localcrm.store.node import branch_id
from localcrm.sync import node_sync
from tests.browser.conftest import PASSWORD, Running, act, beside, carry, create_pair, new_page, picture, running, sign_in


def write(node: Application, verb: str, **parameters: object) -> str:
    return str(verbs.run(node.store, authenticate(node.store, "admin", PASSWORD), verb, parameters)["id"])


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[tuple[Running, Running]]:
    """Both know four customers; the branch has entered one and written to another, a third is shared with it."""
    folder = tmp_path_factory.mktemp("nodes")
    office, branch = create_pair(folder)
    _far, near, lent = (
        write(office, "records.create_record", entity="customer", values={"name": name})
        for name in ("嵊州领带集团", "绍兴恒远纺织", "诸暨盛宏袜业")
    )
    node_sync.pack(office.store, office.keys, folder / "first", for_code="BR01")
    node_sync.unpack(branch.store, branch.keys, folder / "first")
    write(branch, "records.create_record", entity="customer", values={"name": "杭州丝绸"})
    write(branch, "records.update_record", entity="customer", id=near, values={"remark": "月结 30 天"})
    here = branch_id(office.store.node.company_id, "BR01")
    write(office, "people.share_record", entity="customer", id=lent, branch_id=here)
    for node in (office, branch):
        node.close()
    with running(folder / "hq", server_environment) as hq, running(folder / "br01", server_environment) as br01:
        yield hq, br01


@pytest.fixture
def pages(browser: Browser, nodes: tuple[Running, Running]) -> Iterator[tuple[Page, Page]]:
    contexts: list[BrowserContext] = []
    yield tuple(sign_in(new_page(browser, program, contexts), program, "/sync") for program in nodes)  # type: ignore[misc]
    for context in contexts:
        context.close()
    assert [(program.foreign, program.faults) for program in nodes] == [([], [])] * 2


def row(page: Page, text: str) -> Locator:
    return page.locator(".ag-row", has_text=text).first


def test_a_branch_is_made_to_hold_only_its_own_customers(nodes: tuple[Running, Running], pages: tuple[Page, Page], tmp_path: Path) -> None:
    (hq, br01), (office, branch) = nodes, pages
    carry(branch, "make-file", office, "read-file", tmp_path)
    office.locator(".lc-toast", has_text="已合并").wait_for()
    office.reload()  # the page draws itself anew when what was merged is announced, and a menu that is open goes with it
    act(office, "more-BR01")
    office.locator(".q-menu:visible .q-item", has_text="保存范围").click()
    dialog = office.locator(".q-dialog .lc-dialog")
    dialog.locator(".q-radio").nth(2).click()
    picture(office, "holds")
    act(office, "dialog-yes")
    expect(office.locator(".lc-chip", has_text="只存本分支")).to_be_visible()
    listed = branch.context.new_page()
    listed.goto(f"{br01.address}/customers")
    expect(row(listed, "嵊州领带集团")).to_be_visible()
    row(listed, "嵊州领带集团").click()
    carry(office, "make-file-BR01", branch, "read-file", tmp_path)
    branch.locator(".lc-toast", has_text="1 位客户今后只由总部保存").wait_for()
    expect(branch.locator(".lc-facts").first).to_contain_text("1 位客户改由总部保存")
    picture(branch, "kept_here")
    expect(row(listed, "嵊州领带集团")).to_have_count(0)  # a list that was open looks again
    with beside(hq) as (store, _actor), store.read() as connection:
        far = connection.value("SELECT id FROM customer WHERE name = '嵊州领带集团'").hex()
    listed.goto(f"{br01.address}/customers/{far}")
    expect(listed.locator("[data-mark=kept-elsewhere], .lc-empty")).to_contain_text("请向总部查询")
    picture(listed, "kept_elsewhere")
    listed.get_by_text("返回列表").click()
    expect(row(listed, "杭州丝绸")).to_be_visible()
    listed.close()

    branch.goto(f"{br01.address}/customers")
    for name in ("杭州丝绸", "绍兴恒远纺织", "诸暨盛宏袜业"):
        expect(row(branch, name)).to_be_visible()
    expect(row(branch, "嵊州领带集团")).to_have_count(0)

    office.goto(f"{hq.address}/customers")
    for name, told in (
        ("嵊州领带集团", "未保存"),
        ("杭州丝绸", "已保存"),
        ("绍兴恒远纺织", "该分支跟进过"),
        ("诸暨盛宏袜业", "已共享给该分支"),
    ):
        row(office, name).click(button="right")
        office.locator(".q-menu.lc-menu .q-item", has_text="谁能看到").click()
        expect(dialog).to_contain_text(told)
        if told == "该分支跟进过":
            picture(office, "holders")
            office.set_viewport_size({"width": 390, "height": 844})
            picture(office, "holders_phone")
            assert dialog.evaluate("box => box.scrollWidth <= box.clientWidth")
            office.set_viewport_size({"width": 1440, "height": 900})
        dialog.locator(".lc-dialog-buttons button").last.click()
        expect(dialog).to_have_count(0)
