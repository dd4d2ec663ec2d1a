"""Two nodes that worked apart: the file goes over, the conflict is seen with both values, the choice goes back; a branch is let in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from localcrm.app import Application, create_folder
from localcrm.domain import verbs
from localcrm.domain.people.services import authenticate
from localcrm.kernel.schema import entity as entity_type
from localcrm.sync import node_sync
from tests.browser.conftest import PASSWORD, Running, act, carry, create_pair, new_page, picture, running, sign_in as sign_in_at


@dataclass
class TwoNodes:
    """Head office and BR01, both running."""

    hq: Running
    br01: Running


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str]) -> Iterator[TwoNodes]:
    folder = tmp_path_factory.mktemp("nodes")
    office, branch = create_pair(folder)
    customer = write(
        office,
        "records.create_record",
        entity="customer",
        values={"name": "绍兴恒远纺织品有限公司", "credit_limit": "100000", "phone": "0575-1"},
    )
    node_sync.pack(office.store, office.keys, folder / "first", for_code="BR01")
    node_sync.unpack(branch.store, branch.keys, folder / "first")
    for node, values in ((office, {"phone": "0575-8888", "credit_limit": "150000"}), (branch, {"phone": "0571-6666"})):
        write(node, "records.update_record", entity="customer", id=customer["id"], values=values)
    for node in (office, branch):
        node.close()
    with running(folder / "hq", server_environment) as hq, running(folder / "br01", server_environment) as br01:
        yield TwoNodes(hq, br01)


def write(node: Application, verb: str, **parameters: object) -> dict[str, str]:
    actor = authenticate(node.store, "admin", PASSWORD)
    return dict(verbs.run(node.store, actor, verb, parameters))


@pytest.fixture
def sign_in(browser: Browser, nodes: TwoNodes) -> Iterator[Callable[[Running, str], Page]]:
    contexts: list[BrowserContext] = []

    def open_(program: Running, path: str) -> Page:
        return sign_in_at(new_page(browser, program, contexts), program, path)

    yield open_
    for context in contexts:
        context.close()
    assert (nodes.hq.foreign + nodes.br01.foreign, nodes.hq.faults + nodes.br01.faults) == ([], [])


def phones(program: Running) -> list[str]:
    from localcrm.store.store import open_store

    store = open_store(program.folder)
    with store.unit_of_work(None) as uow:
        found = [str(row["phone"]) for row in uow.where(entity_type("customer"))]
    store.close()
    return found


def block(page: Page, text: str) -> Locator:
    """The conflict in which this text stands."""
    return page.locator(".lc-conflict").filter(has_text=text)


def test_a_conflict_is_seen_with_both_values_and_settled_for_everybody(
    nodes: TwoNodes, sign_in: Callable[[Running, str], Page], tmp_path: Path
) -> None:
    office, branch, inbox = sign_in(nodes.hq, "/sync"), sign_in(nodes.br01, "/sync"), sign_in(nodes.hq, "/conflicts")
    expect(inbox.locator(".lc-value")).to_have_count(0)
    expect(inbox.locator(".lc-nav-link[href='/conflicts'] .lc-badge")).to_be_hidden()  # nothing waits
    carry(branch, "make-file", office, "read-file", tmp_path)
    card = block(inbox, "0571-6666")
    expect(card).to_have_count(1)
    expect(inbox.locator(".lc-conflict-card", has=card)).to_contain_text("绍兴恒远纺织品有限公司")
    expect(card).to_contain_text("0575-1")  # the value before
    expect(card.locator(".lc-value.lc-kept")).to_contain_text("0571-6666")  # written last
    expect(card.locator(".lc-value.lc-kept")).to_contain_text("BR01")
    other = card.locator(".lc-value:not(.lc-kept)")
    expect(other).to_contain_text("0575-8888")
    expect(other).to_contain_text("HQ 王芳")

    waiting = inbox.locator(".lc-conflict").count()
    expect(inbox.locator(".lc-nav-link[href='/conflicts'] .lc-badge")).to_have_text(
        str(waiting)
    )  # of whatever waits, on every page, at once
    expect(office.locator("[data-act=to-conflicts]")).to_contain_text(str(waiting))
    card.locator("[data-act=take]").click()
    expect(card).to_have_count(0)
    assert phones(nodes.hq) == ["0575-8888"]
    expect(inbox.locator(".lc-nav-link[href='/conflicts'] .lc-badge")).to_have_text(str(waiting - 1) if waiting > 1 else "")

    act(inbox, "tab-resolved")
    expect(block(inbox, "0571-6666")).to_contain_text("王芳")  # who settled it
    expect(block(inbox, "0571-6666")).to_contain_text("改用 0575-8888")
    carry(office, "make-file-BR01", branch, "read-file", tmp_path)
    branch.locator(".lc-toast", has_text="已合并").wait_for()  # the one about the file it made may have faded by now, or not
    assert phones(nodes.br01) == ["0575-8888"]
    there = sign_in(nodes.br01, "/conflicts")
    expect(there.locator(".lc-empty, .lc-conflict").first).to_be_visible()
    expect(block(there, "0571-6666")).to_have_count(0)  # settled here too


def test_a_file_read_twice_changes_nothing_and_a_foreign_one_is_refused(
    nodes: TwoNodes, sign_in: Callable[[Running, str], Page], tmp_path: Path
) -> None:
    office, branch = sign_in(nodes.hq, "/sync"), sign_in(nodes.br01, "/sync")
    for _again in range(2):
        carry(branch, "make-file", office, "read-file", tmp_path)
        expect(office.locator(".lc-toast")).not_to_have_count(0)
    wrong = tmp_path / "holiday.jpg"
    wrong.write_bytes(b"\xff\xd8\xff" * 100)
    office.locator("[data-act=read-file] input[type=file]").set_input_files(wrong)
    expect(office.locator(".lc-notice[data-code=not_a_bundle]")).to_be_visible()  # beside what tells that files are being read


@pytest.mark.parametrize("size", [(390, 844), (1024, 768)])
def test_what_is_done_for_a_branch_is_in_sight(nodes: TwoNodes, sign_in: Callable[[Running, str], Page], size: tuple[int, int]) -> None:
    office = sign_in(nodes.hq, "/sync")
    office.set_viewport_size({"width": size[0], "height": size[1]})
    office.locator(".lc-language").evaluate("button => button.click()")  # English takes more room
    expect(office.locator(".lc-head")).to_contain_text("Merging")
    expect(office.locator("[data-act=make-file-BR01]")).to_be_visible()
    picture(office, f"branches-{size[0]}")
    assert office.evaluate(
        """() => [...document.querySelectorAll('.lc-branches button, .lc-branches .lc-chip')]
            .every((part) => part.getBoundingClientRect().right <= innerWidth - 8)"""
    )
    office.locator(".lc-language").evaluate("button => button.click()")
    expect(office.locator(".lc-head")).to_contain_text("合并中心")


def test_a_branch_exchanges_with_the_running_office(nodes: TwoNodes, sign_in: Callable[[Running, str], Page]) -> None:
    branch = sign_in(nodes.br01, "/sync")
    act(branch, "exchange")  # nobody has said where yet: that is asked for first, and then it exchanges
    branch.locator("input[data-act=url], [data-act=url] input").fill(nodes.hq.address)
    act(branch, "dialog-yes")
    expect(branch.locator(".lc-facts").first).to_contain_text(nodes.hq.address)
    expect(branch.locator(".lc-head .lc-chip").first).to_have_attribute("data-tone", "good")  # all data are equal
    expect(branch.locator(".lc-notice")).to_have_count(0)


def test_a_new_branch_is_let_in_by_its_fingerprint(nodes: TwoNodes, sign_in: Callable[[Running, str], Page], tmp_path: Path) -> None:
    office = sign_in(nodes.hq, "/sync")
    act(office, "invite")
    office.locator("input[data-act=branch-code], [data-act=branch-code] input").fill("BR07")
    act(office, "dialog-yes")
    with office.expect_download() as invite:
        act(office, "save-invite")
    invite.value.save_as(tmp_path / "invite")
    act(office, "invite-done")
    branch = create_folder(tmp_path / "br07", role="branch", code="BR07", name="温州分公司").application
    request = node_sync.join(branch.store, branch.keys, (tmp_path / "invite").read_bytes())
    assert request is not None
    (tmp_path / "request").write_bytes(request)
    office.locator("[data-act=request] input[type=file]").set_input_files(tmp_path / "request")
    expect(office.locator(".q-dialog .lc-digits")).to_have_text(branch.keys.public.fingerprint)
    with office.expect_download() as reply:
        office.locator(".q-dialog button").last.click()
    reply.value.save_as(tmp_path / "reply")
    node_sync.join(branch.store, branch.keys, (tmp_path / "reply").read_bytes())
    assert (branch.store.node.enrolled, branch.store.node.code) == (True, "BR07")
    branch.close()
    expect(office.locator(".lc-table")).to_contain_text(["BR07", ""])


def test_a_great_many_deletions_wait_for_leave_and_a_branch_is_closed(
    nodes: TwoNodes, sign_in: Callable[[Running, str], Page], tmp_path: Path
) -> None:
    from localcrm.store.store import open_store

    store = open_store(nodes.br01.folder)
    actor = authenticate(store, "admin", PASSWORD)
    made = [
        verbs.run(store, actor, "records.create_record", {"entity": "customer", "values": {"name": f"客户{n}"}})["id"] for n in range(60)
    ]
    office, branch = sign_in(nodes.hq, "/sync"), sign_in(nodes.br01, "/sync")
    carry(branch, "make-file", office, "read-file", tmp_path)
    expect(office.locator(".lc-toast")).not_to_have_count(0)
    for customer in made:
        verbs.run(store, actor, "records.delete_record", {"entity": "customer", "id": customer})
    store.close()
    carry(branch, "make-file", office, "read-file", tmp_path)
    expect(office.locator(".lc-notice")).to_have_attribute("data-code", "many_deletions")
    row = office.locator("tr", has_text="BR01")
    expect(row).to_contain_text("一次删除了 60 条“客户”，未采用")
    office.reload()  # the table is drawn anew after each file; a click meanwhile would meet what goes
    act(office, "allow-BR01")
    office.locator(".q-dialog button").last.click()
    expect(row).not_to_contain_text("未采用")
    carry(branch, "make-file", office, "read-file", tmp_path)
    expect(office.locator(".lc-toast")).not_to_have_count(0)

    office.reload()
    row.locator("td").first.click(button="right")
    office.locator(".q-menu:visible .q-item", has_text="停用此分支").click()
    office.locator(".q-dialog button").last.click()
    expect(row).to_contain_text("已停用")
    carry(branch, "make-file", office, "read-file", tmp_path)
    expect(office.locator(".lc-notice")).to_have_attribute("data-code", "revoked")
    office.reload()
    act(office, "more-BR01")
    office.locator(".q-menu:visible .q-item", has_text="恢复").click()
    expect(row.locator("[data-act=make-file-BR01]")).to_be_visible()


def test_head_office_decides_what_a_branch_holds(nodes: TwoNodes, sign_in: Callable[[Running, str], Page]) -> None:
    office = sign_in(nodes.hq, "/sync")
    row = office.locator("tr", has_text="BR01").first
    for choice, shown in (("订单、库存和资金只保存本分支的", 1), ("全部数据", 0)):
        act(office, "more-BR01")
        office.locator(".q-menu:visible .q-item", has_text="保存范围").click()
        dialog = office.locator(".q-dialog")
        expect(dialog).to_contain_text("BR01")
        dialog.locator(".q-radio", has_text=choice).click()
        act(office, "dialog-yes")
        expect(dialog).to_have_count(0)
        expect(row.locator(".lc-chip", has_text="只存本分支")).to_have_count(shown)
