"""Head office's disk is lost and a backup takes its place: what was done since comes back from the branches, whoever did it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from localcrm.domain.admin.entities import BranchHolds
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store import changelog, check
from localcrm.store.backup import backup, restore, settle_copy
from localcrm.sync import compaction, http, messages, node_sync, recovery
from localcrm.sync.compaction import DAY_MS
from tests import factories
from tests.factories import Company, HandClock, Installation


@pytest.fixture
def clocked() -> Iterator[tuple[Company, dict[str, HandClock]]]:
    """A company whose clocks a test sets."""
    clocks = {code: HandClock() for code in ("HQ", "BR01", "BR02")}
    with factories.company(clocks=dict(clocks)) as made:
        yield made, clocks


def lose_office(company: Company, archive: Path, folder: Path) -> None:
    """The backup goes on as head office."""
    old = company.hq
    old.store.close()
    restore(archive, folder)
    company.hq = Installation(folder, old.code, old.keys, old.actor, old.clock)
    assert settle_copy(company.hq.store)


def take_back(company: Company) -> None:
    node_sync.take_back(company.hq.store, company.hq.actor)


def by_line(company: Company, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hq, branch = company.hq, company.branches[code]
    monkeypatch.setattr(http, "post_bundle", lambda _url, request, answer: node_sync.answer_bundle(hq.store, hq.keys, request, answer))
    node_sync.run(branch.store, branch.keys, url="http://wire")


def settle(company: Company, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchange until everybody knows everything."""
    for _round in range(3):
        for code in company.branches:
            settle_with(company, code, way, monkeypatch)


def settle_with(company: Company, code: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "line":
        by_line(company, code, monkeypatch)
    else:
        company.down(code)
        company.up(code)
        company.down(code)


def agreed(company: Company) -> None:
    assert len(company.digests) == 1
    for node in company.nodes:
        assert check.check(node.store)["problems"] == []
        assert node.value("SELECT count(*) FROM sync_quarantine") == 0
    for code in company.branches:
        assert node_sync.status(company.branches[code].store)["waiting"] == 0


@pytest.mark.parametrize("way", ["stick", "line"])
@pytest.mark.parametrize("lost", range(6))
def test_everything_done_after_the_backup_comes_back_whoever_did_it(
    company: Company, one: Installation, two: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int, way: str
) -> None:
    """Work that builds on work of others, the backup made before any of its steps, and some that nobody has sent yet."""
    made: dict[str, str] = {}

    def first() -> None:
        made["a"] = one.new("customer", name="分店一的客户", phone="1")

    def second() -> None:
        company.hq.set("customer", made["a"], phone="2")  # head office edits what the branch added
        made["b"] = company.hq.new("customer", name="总部的客户")

    def third() -> None:
        two.set("customer", made["b"], phone="3")  # another branch edits what head office added
        two.new("contact", name="王芳", customer_id=made["a"])

    def fourth() -> None:
        product, house = two.new("product", code="P", name="布", price="9"), two.new("warehouse", code="W", name="仓")
        order = two.order(made["b"], product, quantity="3")
        two.set("sales_order", order, warehouse_id=house)
        two.run("sales.post_order", order_id=order)

    def fifth() -> None:
        company.hq.delete("customer", company.hq.new("customer", name="误建"))
        one.set("customer", made["a"], address="上海")

    steps = [first, second, third, fourth, fifth]
    for number, step in enumerate(steps):
        if number == len(steps) - lost:
            backup(company.hq.store, tmp_path / "backup.zip")
        step()
        company.exchange()
    if lost == 0:
        backup(company.hq.store, tmp_path / "backup.zip")
    elif lost > len(steps):
        return
    state = company.hq.digest
    one.set("customer", made["a"], remark="还没有发出")  # nobody else knows this yet
    lose_office(company, tmp_path / "backup.zip", tmp_path / "again")
    company.hq.new("customer", name="恢复之后的客户")
    take_back(company)
    settle(company, way, monkeypatch)
    agreed(company)
    assert state != company.hq.digest
    assert {name for (name,) in company.hq.rows("SELECT name FROM customer WHERE deleted = 0")} == {
        "分店一的客户", "总部的客户", "恢复之后的客户",
    }  # fmt: skip
    customer = company.hq.get("customer", made["a"])
    assert (customer["phone"], customer["address"], customer["remark"]) == ("2", "上海", "还没有发出")
    assert company.hq.get("customer", made["b"])["phone"] == "3"
    assert company.hq.value("SELECT count(*) FROM stock_move") == 1


def test_nothing_is_exchanged_before_a_person_says_so(company: Company, one: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    backup(company.hq.store, tmp_path / "backup.zip")
    one.new("customer", name="甲")
    company.exchange()
    lose_office(company, tmp_path / "backup.zip", tmp_path / "again")
    before = one.digest, one.rows("SELECT acked_oseq FROM sync_origin"), one.rows("SELECT recv_hseq, hub_epoch FROM sync_peer")
    for road in (lambda: company.up("BR01"), lambda: company.down("BR01"), lambda: by_line(company, "BR01", monkeypatch)):
        with pytest.raises(AppError) as refused:
            road()
        assert refused.value.code == "office_restored"
    assert (one.digest, one.rows("SELECT acked_oseq FROM sync_origin"), one.rows("SELECT recv_hseq, hub_epoch FROM sync_peer")) == before


def test_a_head_office_that_was_never_restored_takes_nothing_back(company: Company, one: Installation):
    with pytest.raises(AppError) as refused:
        node_sync.take_back(company.hq.store, company.hq.actor)
    assert refused.value.code == "not_restored"
    peer = node_sync._peer(company.hq.store, "code", "BR01")
    for said in (messages.GiveBack(b""), next(iter(pushes_as_gifts(one)))):
        with pytest.raises(AppError) as refused:
            list(node_sync.exchange.hear_branch(company.hq.store, peer, [node_sync.exchange.hello(one.store), said]))
        assert refused.value.code == "office_restored"


def pushes_as_gifts(node: Installation) -> list[messages.GiveBack]:
    node.new("customer", name="甲")
    return [messages.GiveBack(push.batch) for push in node_sync.exchange.pushes(node.store)]


def test_nobody_gives_back_what_head_office_does_now(company: Company, one: Installation, tmp_path: Path):
    """Only the past can be given back: the numbers of the present are head office's own."""
    backup(company.hq.store, tmp_path / "backup.zip")
    company.exchange()
    lose_office(company, tmp_path / "backup.zip", tmp_path / "again")
    take_back(company)
    company.hq.new("customer", name="今天的客户")
    company.down("BR01")
    from localcrm.sync import codec
    from localcrm.sync.extract import own_changes

    with company.hq.store.read() as connection:
        origin = connection.value("SELECT max(origin) FROM sync_origin WHERE node_no = 1")
        forged = codec.encode_batch(own_changes(connection, origin, 0).batch)
    peer = node_sync._peer(company.hq.store, "code", "BR01")
    with pytest.raises(AppError) as refused:
        list(node_sync.exchange.hear_branch(company.hq.store, peer, [node_sync.exchange.hello(one.store), messages.GiveBack(forged)]))
    assert refused.value.code == "not_sender"


def test_restored_twice_and_each_branch_comes_in_its_own_time(
    company: Company, one: Installation, two: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    backup(company.hq.store, tmp_path / "first.zip")
    one.new("customer", name="甲")
    company.exchange()
    backup(company.hq.store, tmp_path / "second.zip")
    two.new("customer", name="乙")
    company.exchange()
    lose_office(company, tmp_path / "second.zip", tmp_path / "again")
    take_back(company)
    by_line(company, "BR01", monkeypatch)  # the other one does not come before the disk is lost once more
    lose_office(company, tmp_path / "first.zip", tmp_path / "once-more")
    take_back(company)
    settle(company, "line", monkeypatch)  # of an epoch that one branch knows this backup has never heard
    agreed(company)
    assert {name for (name,) in company.hq.rows("SELECT name FROM customer")} == {"甲", "乙"}


def test_two_backups_that_both_go_on_are_told_apart(company: Company, one: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    backup(company.hq.store, tmp_path / "backup.zip")
    company.exchange()
    lose_office(company, tmp_path / "backup.zip", tmp_path / "left")
    take_back(company)
    company.hq.new("customer", name="左")
    by_line(company, "BR01", monkeypatch)
    lose_office(company, tmp_path / "backup.zip", tmp_path / "right")
    take_back(company)
    by_line(company, "BR01", monkeypatch)
    settle(company, "line", monkeypatch)
    agreed(company)
    assert company.hq.value("SELECT count(*) FROM customer WHERE name = '左'") == 1  # what the other one did comes along


def test_after_a_while_nothing_is_taken_back_any_more(company: Company, one: Installation, tmp_path: Path):
    backup(company.hq.store, tmp_path / "backup.zip")
    company.exchange()
    lose_office(company, tmp_path / "backup.zip", tmp_path / "again")
    take_back(company)
    assert recovery.is_open(company.hq.store)
    company.hq.store.clock.forward(days=61)  # type: ignore[attr-defined]
    assert not recovery.is_open(company.hq.store)
    assert node_sync.status(company.hq.store)["restored"] is False
    with pytest.raises(AppError) as refused:
        company.up("BR01")
    assert refused.value.code == "office_restored"
    assert node_sync.status(company.hq.store)["restored"] is True  # somebody should say so again
    company.down("BR02")  # who does not need it is not held up


def test_an_office_without_branches_is_asked_nothing_after_a_restore(tmp_path: Path):
    from localcrm.app import create_folder, open_folder

    office = create_folder(tmp_path / "hq", role="office", code="HQ", name="小店", user_name="王芳", password="Haus-und-Hof-42").application
    backup(office.store, tmp_path / "backup.zip")
    office.close()
    restore(tmp_path / "backup.zip", tmp_path / "again")
    again = open_folder(tmp_path / "again")
    assert node_sync.status(again.store)["restored"] is False
    again.close()


def test_an_old_file_that_is_read_again_meanwhile_does_not_stop_the_giving_back(
    company: Company, one: Installation, tmp_path: Path
) -> None:
    """By it head office would lack even what it has done since it was restored."""
    company.exchange()
    backup(company.hq.store, tmp_path / "backup.zip")
    one.new("customer", name="备份之后")
    company.exchange()
    lose_office(company, tmp_path / "backup.zip", tmp_path / "again")
    take_back(company)
    first = tmp_path / "first"
    node_sync.pack(company.hq.store, company.hq.keys, first, for_code="BR01")
    node_sync.unpack(one.store, one.keys, first)
    company.up("BR01")
    company.hq.new("customer", name="恢复之后")
    company.down("BR01")
    node_sync.unpack(one.store, one.keys, first)
    assert company.up("BR01")["quarantined"] == 0
    settle(company, "stick", pytest.MonkeyPatch())
    agreed(company)


def own(company: Company, code: str) -> None:
    node_sync.set_holds(company.hq.store, company.hq.actor, code, BranchHolds.OWN)


def of_two_one_holds_its_own(company: Company, folder: Path) -> tuple[str, str]:
    """Branch one holds its own; two's order and what two says of a customer later reach it in part; returns the customer and the order.

    The backup was made before, and two never heard that its work had arrived.
    """
    one, two = company.branches.values()
    own(company, "BR01")
    customer, product = company.hq.new("customer", name="甲公司"), company.hq.new("product", code="P", name="布", price="9")
    company.exchange()
    backup(company.hq.store, folder / "backup.zip")
    order = two.order(customer, product)
    two.set("customer", customer, phone="2")
    company.up("BR02")
    company.down("BR01")
    assert (one.get("customer", customer)["phone"], one.value("SELECT count(*) FROM sales_order")) == ("2", 0)
    lose_office(company, folder / "backup.zip", folder / "again")
    take_back(company)
    return customer, order


@pytest.mark.parametrize("way", ["stick", "line"])
def test_failure_06_what_a_branch_has_of_anothers_work_in_part_does_not_hide_the_rest(
    company: Company, two: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """It comes first; what it gives back has a later number than what only the author has."""
    customer, order = of_two_one_holds_its_own(company, tmp_path)
    settle(company, way, monkeypatch)
    assert company.hq.get("customer", customer)["phone"] == "2"
    assert company.hq.value("SELECT count(*) FROM sales_order") == 1
    two.set("sales_order", order, remark="恢复之后")
    node_sync.set_holds(company.hq.store, company.hq.actor, "BR01", BranchHolds.ALL)
    settle(company, way, monkeypatch)
    agreed(company)


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("way", ["stick", "line"])
def test_failure_06_a_transaction_of_which_a_branch_has_a_part_comes_back_whole(
    company: Company, one: Installation, two: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, compacted: bool
) -> None:
    """What branch one gives back of it ends before the order, which is not its own; the author gives back the rest."""
    own(company, "BR01")
    first, last = company.hq.new("customer", name="甲公司"), company.hq.new("customer", name="乙公司")
    product = company.hq.new("product", code="P", name="布", price="9")
    company.exchange()
    order = two.order(first, product)
    company.exchange()
    backup(company.hq.store, tmp_path / "backup.zip")
    with two.store.unit_of_work(two.actor.user_id) as uow:
        for kind, identity in (("customer", first), ("sales_order", order), ("customer", last)):
            uow.update(entity(kind), identity, {"remark": "一起改"})
    company.exchange()
    if compacted:
        for node in company.nodes:
            compaction.compact(node.store, compaction.Rule(keep_ms=-DAY_MS, patience_ms=0, most=5), pause_s=0)
    lose_office(company, tmp_path / "backup.zip", tmp_path / "again")
    take_back(company)
    settle(company, way, monkeypatch)
    settle(company, way, monkeypatch)
    assert company.hq.get("sales_order", order)["remark"] == "一起改"
    assert [node.get("customer", last)["remark"] for node in company.nodes] == ["一起改"] * 3
    assert check.check(company.hq.store)["problems"] == []
    node_sync.set_holds(company.hq.store, company.hq.actor, "BR01", BranchHolds.ALL)
    settle(company, way, monkeypatch)
    agreed(company)


@pytest.mark.parametrize("way", ["stick", "line"])
def test_failure_06_what_only_a_branch_that_holds_its_own_still_has_comes_back_once_the_author_was_heard(
    company: Company, two: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The author's disk is lost as well. Of its work nobody has the order any more; what it said of the customer is with branch one."""
    backup(two.store, tmp_path / "two.zip")
    customer, _order = of_two_one_holds_its_own(company, tmp_path)
    two.store.close()
    restore(tmp_path / "two.zip", tmp_path / "two")
    company.branches["BR02"] = Installation(tmp_path / "two", two.code, two.keys, two.actor, two.clock)
    assert settle_copy(company.branches["BR02"].store)
    settle(company, way, monkeypatch)
    node_sync.set_holds(company.hq.store, company.hq.actor, "BR01", BranchHolds.ALL)
    settle(company, way, monkeypatch)
    assert len(company.digests) == 1
    assert [problem["code"] for problem in check.check(company.hq.store)["problems"]] == ["sequence_hole"]  # so people know that it is lost
    assert node_sync.status(company.branches["BR02"].store)["waiting"] == 0
    assert {node.get("customer", customer)["phone"] for node in company.nodes} == {"2"}
    assert not company.hq.value("SELECT count(*) FROM event_log WHERE kind LIKE '%mended'")


def test_failure_06_an_old_file_does_not_lead_a_branch_back_to_the_lost_head_office(
    company: Company, one: Installation, tmp_path: Path
) -> None:
    """By it the branch went back to where the backup had ended, which head office never heard: neither could read the other's files."""
    backup(company.hq.store, tmp_path / "backup.zip")
    company.hq.new("customer", name="甲公司")
    old = tmp_path / "old"
    node_sync.pack(company.hq.store, company.hq.keys, old, for_code="BR01")
    company.exchange()
    lose_office(company, tmp_path / "backup.zip", tmp_path / "again")
    take_back(company)
    settle(company, "stick", pytest.MonkeyPatch())
    company.hq.new("customer", name="恢复之后")
    company.exchange("BR01")
    before = one.rows("SELECT recv_hseq, hub_epoch FROM sync_peer")
    with pytest.raises(AppError) as refused:
        node_sync.unpack(one.store, one.keys, old)
    assert refused.value.code == "office_restored"
    assert one.rows("SELECT recv_hseq, hub_epoch FROM sync_peer") == before
    company.exchange()
    agreed(company)


@pytest.mark.parametrize(
    ("way", "first", "condensed"), [("stick", "BR01", False), ("stick", "BR02", True), ("line", "BR01", True), ("line", "BR02", False)]
)
def test_failure_06_a_stamp_that_was_lowered_before_the_disk_was_lost_is_lowered_alike(
    clocked: tuple[Company, dict[str, HandClock]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, first: str, condensed: bool
) -> None:
    """Its author never heard of it. Another branch did, and built on it; what was built on it wins, whoever comes first."""
    company, clocks = clocked
    one, two = company.branches.values()
    customer = company.hq.new("customer", name="甲公司", phone="1")
    company.exchange()
    backup(company.hq.store, tmp_path / "backup.zip")
    clocks["BR02"].forward(days=300)
    two.set("customer", customer, phone="2", address="北京")
    company.up("BR02")
    company.exchange("BR01")
    clocks["BR01"].forward(minutes=1)
    one.set("customer", customer, phone="3")
    company.up("BR01")
    if condensed:
        assert compaction.compact(one.store, compaction.Rule(keep_ms=-DAY_MS, patience_ms=0), pause_s=0).changes
    for clock in clocks.values():
        clock.forward(minutes=5)
    lose_office(company, tmp_path / "backup.zip", tmp_path / "again")
    take_back(company)
    company.branches = {first: company.branches.pop(first), **company.branches}
    settle(company, way, monkeypatch)
    agreed(company)
    for node in company.nodes:
        assert (node.get("customer", customer)["phone"], node.get("customer", customer)["address"]) == ("3", "北京")
        assert not node.value("SELECT count(*) FROM event_log WHERE kind LIKE '%mended'")
    assert stamps_of(one) == stamps_of(two) == stamps_of(company.hq)


def stamps_of(node: Installation) -> list[tuple[str, int, int]]:
    """Of every change of branches: whose, its number, the stamp that counts."""
    codes = dict(node.rows("SELECT origin, code FROM sync_origin WHERE node_no > 1"))
    with node.store.read() as connection:
        changes = list(changelog.all_changes(connection))
    return sorted((codes[change.tx.origin], change.oseq, change.tx.eff_hlc) for change in changes if change.tx.origin in codes)


@pytest.mark.parametrize("way", ["stick", "line"])
def test_failure_06_a_restored_head_office_posts_nothing_a_second_time(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """What was posted after the backup is a draft again until every branch has come; new orders can be posted at once."""
    hq = company.hq
    customer, product, house = (
        hq.new("customer", name="甲公司"), hq.new("product", code="P", name="布", price="9"), hq.new("warehouse", code="W", name="仓")
    )  # fmt: skip

    def draft(node: Installation) -> str:
        made = node.order(customer, product)
        node.set("sales_order", made, warehouse_id=house)
        return made

    posted, open_still = draft(hq), draft(hq)
    backup(hq.store, tmp_path / "backup.zip")
    hq.run("sales.post_order", order_id=posted)
    company.exchange("BR02")
    lose_office(company, tmp_path / "backup.zip", tmp_path / "again")
    again = company.hq
    for waiting in (lambda: take_back(company), lambda: settle_with(company, "BR01", way, monkeypatch)):
        for attempt in (
            lambda: again.run("sales.post_order", order_id=posted),
            lambda: again.set("sales_order", posted, remark="改过"),
            lambda: again.delete("sales_order", posted),
        ):
            with pytest.raises(AppError) as refused:
                attempt()
            assert refused.value.code == "not_heard_since_restore"
        waiting()
    again.run("sales.post_order", order_id=draft(again))
    settle(company, way, monkeypatch)
    again.run("sales.post_order", order_id=open_still)
    settle(company, way, monkeypatch)
    agreed(company)
    assert [row[0] for row in again.rows("SELECT count(*) FROM stock_move GROUP BY order_id")] == [1, 1, 1]


def test_who_does_not_come_any_more_holds_up_no_document(company: Company, tmp_path: Path) -> None:
    """A branch that is closed, or one that does not come as long as work is taken back."""
    hq = company.hq
    customer, product = hq.new("customer", name="甲公司"), hq.new("product", code="P", name="布", price="9")
    drafts = [hq.order(customer, product) for _twice in range(2)]
    backup(hq.store, tmp_path / "backup.zip")
    for ways_out in (
        lambda: [node_sync.close_branch(company.hq.store, company.hq.actor, code) for code in company.branches],
        lambda: company.hq.store.clock.forward(days=61),  # type: ignore[attr-defined]
    ):
        lose_office(company, tmp_path / "backup.zip", tmp_path / f"again{len(drafts)}")
        take_back(company)
        draft = drafts.pop()
        with pytest.raises(AppError) as refused:
            company.hq.set("sales_order", draft, remark="改过")
        assert refused.value.code == "not_heard_since_restore"
        ways_out()
        company.hq.set("sales_order", draft, remark="改过")


def lose_branch(company: Company, code: str, archive: Path, folder: Path) -> None:
    """The backup goes on as the branch."""
    old = company.branches[code]
    old.store.close()
    restore(archive, folder)
    branch = company.branches[code] = Installation(folder, old.code, old.keys, old.actor, old.clock)
    assert settle_copy(branch.store)
    branch.restart()


def meet_twice(company: Company, code: str) -> None:
    """Files both ways, whatever one of the two refuses before it has heard of the other's restore."""
    for way in (company.up, company.down, company.up, company.down):
        with suppress(AppError):
            way(code)


def read(company: Company, code: str, path: Path) -> str:
    """A branch reads a file; what it says."""
    branch = company.branches[code]
    try:
        node_sync.unpack(branch.store, branch.keys, path)
    except AppError as error:
        return error.code
    return "read"


@pytest.mark.parametrize("clock_is_wrong", [False, True])
def test_failure_06_of_two_head_offices_restored_from_one_backup_the_later_one_counts(
    clocked: tuple[Company, dict[str, HandClock]], tmp_path: Path, clock_is_wrong: bool
) -> None:
    """A file of the first of them, which the branch had never read, led it there, and then it was let in nowhere any more."""
    company, clocks = clocked
    backup(company.hq.store, tmp_path / "hq.backup")
    company.exchange()
    lose_office(company, tmp_path / "hq.backup", tmp_path / "first")
    take_back(company)
    in_the_drawer = tmp_path / "drawer"
    node_sync.pack(company.hq.store, company.hq.keys, in_the_drawer, for_code="BR01")
    if clock_is_wrong:
        company.down("BR02")  # it knows the first of them
        clocks["HQ"].forward(days=-30)
    else:
        clocks["HQ"].forward(minutes=5)
    lose_office(company, tmp_path / "hq.backup", tmp_path / "second")
    take_back(company)
    for code in ("BR01", "BR02"):
        meet_twice(company, code)
    if clock_is_wrong:
        with pytest.raises(AppError) as refused:
            company.up("BR02")
        assert refused.value.code == "later_office_known"
        assert node_sync.status(company.hq.store)["restored"]
        take_back(company)  # a person says which one it is
        meet_twice(company, "BR02")
    else:
        assert read(company, "BR01", in_the_drawer) == "office_restored"
    made = [branch.new("customer", name=f"{code}新客户") for code, branch in company.branches.items()]
    for code in company.branches:
        company.up(code)
        company.down(code)
    assert [company.hq.value("SELECT count(*) FROM customer WHERE id = ?", bytes.fromhex(one)) for one in made] == [1, 1]


def test_failure_06_an_old_copy_that_goes_on_does_not_lead_a_branch_back(
    company: Company, one: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that the branch knows leads to the computer that was replaced."""
    backup(company.hq.store, tmp_path / "hq.backup")
    company.exchange()
    lose_office(company, tmp_path / "hq.backup", tmp_path / "first")
    take_back(company)
    meet_twice(company, "BR01")
    former = company.hq
    restore(tmp_path / "hq.backup", tmp_path / "second")
    company.hq = Installation(tmp_path / "second", former.code, former.keys, former.actor, former.clock)
    company.hq.clock.forward(minutes=5)
    assert settle_copy(company.hq.store)
    take_back(company)
    meet_twice(company, "BR01")
    customer = one.new("customer", name="新客户")
    present, company.hq = company.hq, former
    with pytest.raises(AppError) as refused:
        by_line(company, "BR01", monkeypatch)
    assert refused.value.code == "later_office_known"
    company.hq = present
    by_line(company, "BR01", monkeypatch)
    assert present.value("SELECT count(*) FROM customer WHERE id = ?", bytes.fromhex(customer)) == 1
    former.store.close()


def test_failure_06_a_restored_branch_is_not_led_back_either(company: Company, tmp_path: Path) -> None:
    """It had forgotten that it had left the former head office."""
    branch, office = tmp_path / "br.backup", tmp_path / "hq.backup"
    backup(company.branches["BR01"].store, branch)
    backup(company.hq.store, office)
    company.exchange("BR01")
    lose_office(company, office, tmp_path / "first")
    take_back(company)
    company.down("BR01")
    company.up("BR01")
    old = tmp_path / "old"
    node_sync.pack(company.hq.store, company.hq.keys, old, for_code="BR01")
    company.hq.clock.forward(minutes=5)
    lose_office(company, office, tmp_path / "second")
    take_back(company)
    lose_branch(company, "BR01", branch, tmp_path / "br")
    company.down("BR01")
    company.up("BR01")
    assert read(company, "BR01", old) == "office_restored"
    customer = company.branches["BR01"].new("customer", name="新客户")
    company.up("BR01")
    company.down("BR01")
    assert company.hq.value("SELECT count(*) FROM customer WHERE id = ?", bytes.fromhex(customer)) == 1


def test_failure_06_what_head_office_did_to_a_record_comes_back_after_the_record(
    company: Company, one: Installation, tmp_path: Path
) -> None:
    """Both had been restored from before it, so the branch did not know that head office had ever had it."""
    branch, office = tmp_path / "br.backup", tmp_path / "hq.backup"
    backup(one.store, branch)
    customer = one.new("customer", name="甲公司")
    backup(company.hq.store, office)
    lose_office(company, office, tmp_path / "first")
    take_back(company)
    company.down("BR01")
    company.up("BR01")
    company.hq.set("customer", customer, remark="总部写的")
    lose_branch(company, "BR01", branch, tmp_path / "br")
    meet_twice(company, "BR01")
    lose_office(company, office, tmp_path / "second")
    take_back(company)
    for code in ("BR01", "BR02", "BR01", "BR02"):
        meet_twice(company, code)
    assert {node.code: node.rows("SELECT name, remark FROM customer") for node in company.nodes} == {
        node.code: [("甲公司", "总部写的")] for node in company.nodes
    }
    assert company.hq.value("SELECT count(*) FROM sync_quarantine") == 0
    assert len(company.digests) == 1
