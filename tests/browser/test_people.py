"""Departments, users, roles and the three windows of rights, as an administrator and then the user meets them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from localcrm.domain import verbs
from tests.browser.conftest import PASSWORD, OpenPage, Running, beside

pytestmark = pytest.mark.usefixtures("nobody_else_is_asked")


def department(page: Page, name: str) -> Locator:
    return page.locator(".lc-tree .lc-group", has_text=name).first


def field(page: Page, key: str) -> Locator:
    return page.locator(f".q-dialog .lc-field[data-field='{key}'] input").first


def user(page: Page, name: str) -> Locator:
    return page.locator(".ag-row", has_text=name).first


def menu(page: Page, text: str) -> Locator:
    return page.locator(".q-menu:visible .q-item", has_text=text).first


def right(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=name, exact=True)


def test_departments_form_a_tree_by_right_click(open_page: OpenPage) -> None:
    page = open_page("/people")
    page.get_by_role("button", name="新建部门").click()
    field(page, "name").fill("销售部")
    page.keyboard.press("Control+Enter")
    expect(department(page, "销售部")).to_be_visible()

    department(page, "销售部").click(button="right")
    menu(page, "新建下级部门").click()
    expect(page.locator(".q-dialog .lc-field[data-field='parent_id'] input")).to_have_value("销售部")
    field(page, "name").fill("外贸组")
    page.keyboard.press("Control+Enter")
    expect(department(page, "外贸组")).to_be_visible()

    department(page, "销售部").click(button="right")
    menu(page, "删除").click()
    expect(page.locator(".lc-notice").first).to_contain_text("部门")  # a department still hangs below it, so nobody is asked
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(department(page, "销售部")).to_be_visible()


def test_somebody_new_joins_the_chosen_department(open_page: OpenPage) -> None:
    page = open_page("/people")
    department(page, "外贸组").click()
    page.keyboard.press("n")
    field(page, "login").fill("mei")
    field(page, "name").fill("何小梅")
    field(page, "password").fill(PASSWORD)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    expect(user(page, "何小梅")).to_contain_text("外贸组")


def test_a_role_is_made_given_and_obeyed(open_page: OpenPage, office: Running) -> None:
    page = open_page("/roles")
    page.keyboard.press("n")
    field(page, "name").fill("业务员")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-groups .lc-on")).to_contain_text("业务员")
    right(page, "客户: 新建").click()
    expect(right(page, "客户: 查看")).to_be_checked()  # what may not be seen cannot be added to either
    right(page, "产品: 查看").or_(right(page, "商品: 查看")).first.click()

    page.get_by_role("tab", name="数据权限").click()
    page.get_by_role("combobox", name="客户: 查看").click()
    menu(page, "本人及下属").click()
    page.wait_for_timeout(300)

    page.get_by_role("tab", name="字段权限").click()
    page.get_by_label("信用额度").click()
    menu(page, "隐藏").click()
    page.wait_for_timeout(300)
    page.reload()
    page.get_by_role("tab", name="数据权限").click()
    expect(page.locator(".lc-rights")).to_contain_text("本人及下属")

    page.goto(f"{office.address}/people")
    user(page, "何小梅").click(button="right")
    menu(page, "角色…").click()
    page.locator(".q-dialog .q-checkbox", has_text="业务员").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-toast")).to_contain_text("何小梅")

    hers = open_page("/customers", login="mei")
    expect(hers.locator(".lc-grid-empty")).to_be_visible()  # none of them is hers
    expect(hers.locator(".lc-nav")).not_to_contain_text("角色与权限")
    hers.keyboard.press("n")
    expect(field(hers, "credit_limit")).to_have_count(0)
    field(hers, "name").fill("梅的第一个客户")
    hers.keyboard.press("Control+Enter")
    expect(hers.locator(".ag-row")).to_have_count(1)
    refused = hers.goto(f"{office.address}/roles")
    assert refused is not None
    expect(hers.locator(".lc-page")).to_contain_text("没有打开此页的权限")


def test_an_administrator_sees_as_somebody_else_and_changes_nothing(open_page: OpenPage, office: Running) -> None:
    page = open_page("/people", own_session=True)
    user(page, "何小梅").click(button="right")
    menu(page, "以此用户视角查看").click()
    expect(page.locator(".lc-notice")).to_contain_text("何小梅")
    page.goto(f"{office.address}/customers")
    expect(page.locator(".ag-row")).to_have_count(1)
    page.keyboard.press("n")
    field(page, "name").fill("不该存在")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog .lc-notice")).to_contain_text("不能修改")
    with beside(office) as (store, actor):
        found = verbs.run(store, actor, "people.own_rights", {"login": "lin"})  # the administrator himself may
        assert found["id"]
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{office.address}/customers")
    page.get_by_role("button", name="结束查看").click()
    expect(user(page, "王芳")).to_be_visible()
    expect(page.locator(".lc-notice")).to_have_count(0)


def test_a_customer_is_shared_and_the_administrator_sees_with_whom(open_page: OpenPage) -> None:
    page = open_page("/customers")
    user(page, "柯桥金龙布业").click(button="right")
    menu(page, "共享…").click()
    page.locator(".q-dialog .lc-picker input").click()
    page.locator(".lc-pick", has_text="何小梅").first.click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog .lc-line")).to_contain_text("何小梅")
    page.locator(".q-dialog").get_by_role("button", name="关闭").click()
    hers = open_page("/customers", login="mei")
    expect(hers.locator(".ag-row")).to_have_count(2)
    user(page, "柯桥金龙布业").click(button="right")
    menu(page, "谁能看到？").click()
    expect(page.locator(".q-dialog tr", has_text="何小梅").locator("td").nth(1)).to_have_text("是")
    expect(page.locator(".q-dialog tr", has_text="何小梅").locator("td").nth(2)).to_have_text("否")


def test_a_role_is_limited_to_warehouses_and_the_list_of_warehouses_obeys(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):
        verbs.run(store, actor, "records.create_record", {"entity": "warehouse", "values": {"code": "W2", "name": "柯桥二号仓"}})
    page = open_page("/roles")
    right(page, "仓库: 查看").click()
    page.wait_for_load_state("networkidle")  # what is written is drawn again, and would close a menu
    page.get_by_role("tab", name="数据权限").click()
    page.get_by_role("combobox", name="仅限仓库").click()
    menu(page, "柯桥二号仓").click()
    page.keyboard.press("Escape")
    expect(page.locator(".lc-limit .q-chip")).to_contain_text("柯桥二号仓")
    page.wait_for_timeout(300)
    page.reload()
    page.get_by_role("tab", name="数据权限").click()
    expect(page.locator(".lc-limit .q-chip")).to_contain_text("柯桥二号仓")
    hers = open_page("/records/warehouse", login="mei")
    expect(hers.locator(".ag-row")).to_have_count(1)
    expect(hers.locator(".ag-row")).to_contain_text("柯桥二号仓")


def test_a_right_reaches_the_records_of_chosen_departments(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, actor):

        def add(entity: str, **values: object) -> str:
            return str(verbs.run(store, actor, "records.create_record", {"entity": entity, "values": values})["id"])

        for area in ("华东组", "华南组", "华北组"):
            owner = add(
                "user", login=f"in-{area}", name=f"{area}业务", password=PASSWORD, role="staff", department_id=add("department", name=area)
            )
            add("customer", name=f"{area}的客户", owner_id=owner)
        add("user", login="qian", name="钱经理", password=PASSWORD, role="none")
        role = add("role", name="区域经理")
        verbs.run(store, actor, "people.assign_role", {"login": "qian", "role": "区域经理"})

    page = open_page(f"/roles?role={role}")
    right(page, "客户: 查看").click()
    page.get_by_role("tab", name="数据权限").click()
    page.get_by_role("combobox", name="客户: 查看").click()
    menu(page, "指定部门").click()
    dialog = page.locator(".q-dialog .lc-dialog")
    for area in ("华东组", "华南组"):
        dialog.get_by_role("checkbox", name=area).click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".q-dialog")).to_have_count(0)
    chosen = page.locator(".lc-rights tr", has_text="客户").get_by_role("button", name="华东组、华南组")
    expect(chosen).to_be_visible()

    hers = open_page("/customers", login="qian")
    expect(hers.locator(".ag-row")).to_have_count(2)
    expect(hers.locator(".ag-row", has_text="华东组的客户")).to_be_visible()
    expect(hers.locator(".ag-row", has_text="华南组的客户")).to_be_visible()

    page.reload()
    page.get_by_role("tab", name="数据权限").click()
    chosen.click()
    for area, ticked in (("华东组", True), ("华南组", True), ("华北组", False)):
        expect(dialog.get_by_role("checkbox", name=area)).to_be_checked(checked=ticked)
    dialog.get_by_role("checkbox", name="华东组").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-rights")).not_to_contain_text("华东组")
    hers.reload()
    expect(hers.locator(".ag-row")).to_have_count(1)
    expect(hers.locator(".ag-row", has_text="华南组的客户")).to_be_visible()


def test_a_user_works_in_further_departments(open_page: OpenPage) -> None:
    page = open_page("/people")
    user(page, "林晓").click(button="right")
    menu(page, "兼任部门…").click()
    page.locator(".q-dialog .q-checkbox", has_text="外贸组").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-toast")).to_contain_text("林晓")
    expect(department(page, "外贸组")).to_contain_text("2")
    department(page, "外贸组").click()
    expect(page.locator(".ag-row")).to_have_count(2)
    expect(user(page, "林晓")).to_be_visible()
    user(page, "林晓").click(button="right")
    menu(page, "变更记录").click()
    expect(page.locator(".q-dialog")).to_contain_text("外贸组")  # by name, not by its id


def test_who_was_given_a_password_is_told_by_whom_and_chooses_his_own(open_page: OpenPage, office: Running) -> None:
    with beside(office) as (store, admin):
        values = {"login": "zhao", "name": "赵新", "password": PASSWORD, "role": "staff"}
        verbs.run(store, admin, "records.create_record", {"entity": "user", "values": values})
    page = open_page("/customers", login="zhao", own_session=True)
    notice = page.locator(".lc-notice", has_text="王芳 今天")
    expect(notice).to_contain_text("请改成只有您自己知道的密码")
    notice.get_by_role("button", name="修改密码").click()
    own = "My-Own-Secret-8"
    for label, text in (("原密码", PASSWORD), ("新密码", own), ("再输一次新密码", own)):
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="修改密码", exact=True).click()
    expect(page.locator(".lc-toast")).to_contain_text("密码已修改")
    expect(notice).to_have_count(0)
    page.reload()
    expect(page.locator(".lc-nav-link").first).to_be_visible()
    expect(notice).to_have_count(0)


def test_who_leaves_hands_over_and_signs_in_no_more(open_page: OpenPage) -> None:
    page = open_page("/people")
    user(page, "何小梅").click(button="right")
    menu(page, "工作交接…").click()
    page.locator(".q-dialog .lc-picker input").click()
    page.locator(".lc-pick", has_text="林晓").first.click()
    page.locator(".q-dialog .q-checkbox").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".lc-toast").first).to_contain_text("1")
    gone = open_page("/people")
    gone.goto(gone.url.replace("/people", "/customers"))
    expect(gone.locator(".ag-row", has_text="梅的第一个客户")).to_contain_text("林晓")


@pytest.mark.parametrize("path", ["/people", "/roles"])
def test_both_pages_fit_a_phone(open_page: OpenPage, path: str) -> None:
    page = open_page(path, size=(390, 844))
    expect(page.locator(".lc-title").first).to_be_visible()
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_both_pages_speak_english(open_page: OpenPage) -> None:
    page = open_page("/people")
    page.locator(".lc-language").click()
    expect(page.locator(".lc-tree")).to_contain_text("Everybody")
    page.goto(page.url.replace("/people", "/roles"))
    for window in ("Functions", "Data scope", "Fields"):
        page.get_by_role("tab", name=window).click()
        expect(page.locator(".lc-rights")).to_contain_text("Field" if window == "Fields" else "Kind of record")
        if window == "Data scope":
            expect(page.locator(".lc-limit", has_text="Warehouse")).to_contain_text("Warehouse: only these")
    page.locator(".lc-language").click()
    expect(page.locator(".lc-title")).to_have_text("角色与权限")
