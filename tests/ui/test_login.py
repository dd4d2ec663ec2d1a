"""The sign-in page tells whose data these are and how far they are merged and saved, before anybody types."""

from __future__ import annotations

from localcrm.domain.people import signing
from localcrm.store.node import Node, save_node
from localcrm.sync.identity import NodeKeys
from localcrm.ui.screens.login import form
from tests.ui.conftest import Office

DAY_MS = 86_400_000


def page(office: Office) -> str:
    return bytes(form(office.store, next_path="/").body).decode()


def run_of_backup(office: Office, *, days_ago: int) -> None:
    with office.store.housekeeping() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO job_run(job, last_ok) VALUES ('backup', ?)", (office.store.clock.now_ms() - days_ago * DAY_MS,)
        )


def test_it_names_the_office_and_the_age_of_the_last_backup(office: Office) -> None:
    assert "总部 · HQ" in page(office)
    assert '<span class="lc-chip lc-warn">还没有备份</span>' in page(office)
    run_of_backup(office, days_ago=1)
    assert '<span class="lc-chip lc-good">1 天前备份</span>' in page(office)
    run_of_backup(office, days_ago=6)
    assert '<span class="lc-chip lc-warn">6 天前备份</span>' in page(office)
    assert "合并" not in page(office)  # there is nobody to merge with


def test_a_name_is_shown_as_text(office: Office) -> None:
    node = office.store.node
    with office.store.housekeeping() as connection:
        save_node(connection, Node(node.company_id, node.code, "<script>x</script>", node.role, node.node_no, node.epoch, 0))
    office.store.forget_node()
    assert "&lt;script&gt;x" in page(office)
    assert "<script>x" not in page(office)


def test_it_says_that_rights_changed_past_head_office_do_not_count(office: Office) -> None:
    office.store.sign_log = NodeKeys.generate().sign
    signing.examine(office.store)
    with office.store.merging() as connection:
        connection.execute("UPDATE \"user\" SET role = 'staff'")
    assert "权限" not in page(office)
    signing.examine(office.store)
    assert '<p class="lc-problem" role="alert">本数据文件中的角色和权限与总部签名的不符，仍按第 1 版执行。请告诉管理员。</p>' in page(
        office
    )
