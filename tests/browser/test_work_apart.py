"""Head office and a branch dealt with the same customers apart; at the branch whoever is concerned reads what became of it, and puts it right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from localcrm.app import Application
from localcrm.domain import verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.sync import node_sync
from tests.browser.conftest import PASSWORD, Running, create_pair, new_page, picture, running, sign_in

#: Head office's people, and the branch's: a manager and a salesperson who sees nothing but his own customers.
PEOPLE = {"zhou": ("周敏", ""), "wu": ("吴婷", ""), "chen": ("陈建国", "BR01"), "lin": ("林晓", "BR01")}


def do(node: Application, who: str, verb: str, **parameters: Any) -> Any:
    """One action of somebody at a place."""
    with node.store.read() as connection:
        user = connection.value('SELECT lower(hex(id)) FROM "user" WHERE login = ?', (who,))
    actor = actor_by_id(node.store, user)
    assert actor is not None
    return verbs.run(node.store, actor, verb, parameters)


def new(node: Application, entity: str, **values: Any) -> str:
    """A record of the administrator's."""
    return str(do(node, "admin", "records.create_record", entity=entity, values=values)["id"])


def bring(source: Application, target: Application, path: Path, code: str | None = None) -> None:
    """A file from one to the other."""
    node_sync.pack(source.store, source.keys, path, for_code=code)
    node_sync.unpack(target.store, target.keys, path)


def work_apart(office: Application, branch: Application, folder: Path) -> None:
    """What both knew, then what each did, then one exchange."""
    with office.store.read() as connection:
        branches = {code: pk.hex() for code, pk in connection.all("SELECT code, id FROM branch")}
    users = {
        login: new(office, "user", login=login, name=name, password=PASSWORD, role="staff", branch_id=branches.get(place, ""))
        for login, (name, place) in PEOPLE.items()
    }
    role = new(office, "role", name="业务员")
    for action in ("read", "update", "pick"):
        do(office, "admin", "people.set_role_right", role_id=role, entity="customer", action=action, scope="own")
    do(office, "admin", "people.set_roles", login="lin", roles=[role])
    pool = new(office, "pool", name="华东公海")
    names = ("上虞春晖针织厂", "绍兴恒远纺织品有限公司", "绍兴华美纺织有限公司", "华美纺织", "嵊州领带集团", "诸暨盛宏袜业")
    lying, given, kept, merged, binned, shared = (new(office, "customer", name=name, owner_id=users["zhou"]) for name in names)
    do(office, "admin", "crm.release", customers=[lying], reason="半年没有来往", pool_id=pool)
    bring(office, branch, folder / "first", "BR01")

    do(branch, "lin", "crm.pick", customers=[lying])
    do(branch, "chen", "crm.hand_over", customers=[given], to=users["lin"], reason="离杭州近")
    do(branch, "chen", "records.update_record", entity="customer", id=merged, values={"phone": "0571-8666 1234", "remark": "月结 30 天"})
    do(branch, "chen", "people.share_record", entity="customer", id=binned, user_id=users["lin"])
    do(branch, "chen", "people.share_record", entity="customer", id=shared, user_id=users["lin"])
    do(office, "zhou", "crm.pick", customers=[lying])
    do(office, "admin", "crm.hand_over", customers=[given], to=users["wu"], reason="老客户归总部")
    do(office, "admin", "crm.release", customers=[shared], reason="停产", pool_id=pool)
    do(office, "admin", "crm.merge_customers", kept=kept, merged=merged)
    do(office, "admin", "records.delete_record", entity="customer", id=binned)
    bring(branch, office, folder / "up")
    bring(office, branch, folder / "down", "BR01")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both after they have exchanged."""
    made = tmp_path_factory.mktemp("apart")
    office, branch = create_pair(made)
    work_apart(office, branch, made)
    office.close()
    branch.close()
    return made


@pytest.fixture(scope="module")
def branch(folder: Path, server_environment: dict[str, str]) -> Iterator[Running]:
    with running(folder / "br01", server_environment) as program:
        yield program


@pytest.fixture(scope="module")
def signed_in(browser: Browser, branch: Running) -> Iterator[dict[str, Page]]:
    """A page of each who has signed in, by login: a browser that has seen the program is fast."""
    contexts: list[BrowserContext] = []
    yield {login: sign_in(new_page(browser, branch, contexts), branch, "/today", login=login) for login in ("lin", "chen")}
    for context in contexts:
        context.close()


@pytest.fixture
def pages(signed_in: dict[str, Page], branch: Running) -> Iterator[dict[str, Page]]:
    """The same; no request went to another host, no script failed and no answer was a fault."""
    yield signed_in
    assert (branch.foreign, branch.faults) == ([], [])


def marked(page: Page, name: str) -> Locator:
    """What is named so, whatever the language."""
    return page.locator(f"[data-act='{name}']")


def customer(page: Page, program: Running, name: str, tab: str) -> Locator:
    """The tab of a customer that somebody looks for; returns its panel."""
    page.goto(f"{program.address}/customers")
    page.locator(".ag-row", has_text=name).first.click()
    page.locator(".q-tab", has_text=tab).click()
    return page.locator(".lc-lower")


def test_whose_pick_was_refused_and_whose_customer_went_elsewhere_reads_it_where_he_works(pages: dict[str, Page]) -> None:
    page = pages["lin"]
    picked, given = (page.locator(f".lc-reminder[data-kind={kind}]") for kind in ("claim", "hands"))
    expect(picked).to_contain_text("上虞春晖针织厂周敏抢先领走了，请从公海另选一个。")
    expect(given).to_contain_text("两处同时改了它的归属，总部按另一处的为准。现归吴婷。如果应该归您，请找陈建国商量。")
    expect(given.locator("[data-act=open-reminder]")).to_have_count(0)  # it is not his to see any more
    expect(page.locator(".lc-today-line", has_text="上虞春晖针织厂")).to_contain_text("领取申请的答复")
    picture(page, "today")
    picked.locator("[data-act=open-reminder]").click()
    expect(marked(page, "pool-list")).to_contain_text("周敏抢先领走了")
    expect(page.locator(".lc-chip.lc-acc", has_text="我的领取申请")).to_be_visible()
    picture(page, "claims")
    picked.locator("[data-act=settle]").click()
    expect(picked).to_have_count(0)


def test_a_hand_over_that_did_not_last_is_seen_in_the_chain_and_taken_back(branch: Running, pages: dict[str, Page]) -> None:
    page = pages["chen"]
    notice = page.locator(".lc-reminder[data-kind=hands]")
    expect(notice).to_contain_text("您把它转给了林晓，另一处同时作了别的安排，以那一处为准。现归吴婷。")
    notice.locator("[data-act=open-reminder]").click()
    chain = marked(page, "owner-changes")
    expect(chain.locator("tr").nth(1)).to_contain_text("两处同时改了归属，以此为准。")
    expect(chain.locator("tr", has=marked(page, "did-not-last"))).to_contain_text("周敏 → 林晓")
    picture(page, "owners")
    marked(page, "disputed").click()
    card = page.locator(".lc-conflict")
    expect(card).to_have_count(1)  # branch and dates went along and are no entries of their own
    expect(card.locator(".lc-value.lc-kept")).to_contain_text("吴婷")
    card.locator("[data-act=take]").click()
    expect(card).to_have_count(0)
    standing = customer(page, branch, "绍兴恒远纺织品有限公司", "经手人变更")
    expect(marked(page, "custody")).to_contain_text("林晓")
    expect(standing).not_to_contain_text("两处各有安排")
    expect(notice).to_have_count(0)  # it is as he wanted it


def test_what_was_changed_of_one_that_was_merged_away_is_entered_in_the_one_that_is_left(branch: Running, pages: dict[str, Page]) -> None:
    page = pages["chen"]
    told = customer(page, branch, "绍兴华美纺织有限公司", "冲突")
    expect(told).to_contain_text("“华美纺织”已并入“绍兴华美纺织有限公司”（HQ 王芳")
    expect(told).to_contain_text("电话：0571-8666 1234；备注：月结 30 天")
    picture(page, "merged")
    told.get_by_role("link", name="到“冲突”页处理").click()
    page.locator(".lc-conflict [data-act=take]").click()
    expect(page.locator(".lc-conflict")).to_have_count(0)
    page.goto(f"{branch.address}/customers")
    expect(page.locator(".ag-row", has_text="绍兴华美纺织有限公司")).to_contain_text("0571-8666 1234")


def test_a_share_that_ended_elsewhere_and_a_deletion_that_met_one_are_told(branch: Running, pages: dict[str, Page]) -> None:
    page = pages["chen"]
    ended = customer(page, branch, "诸暨盛宏袜业", "共享")
    expect(ended).to_contain_text("结束：客户在另一处换了归属")
    page.goto(f"{branch.address}/conflicts?mine=1")
    card = page.locator(".lc-conflict", has_text="嵊州领带集团")
    expect(card).to_contain_text("而另一处同时把它共享给了林晓")
    card.locator("[data-act=take]").click()
    expect(card).to_have_count(0)
    shared = customer(page, branch, "嵊州领带集团", "共享")
    expect(shared).to_contain_text("林晓")
    expect(shared).not_to_contain_text("结束：")
    picture(page, "shared")
