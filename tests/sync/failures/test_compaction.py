"""The log is cut only below what is settled, nothing that was cut is lost, and nobody is ever given a log with a hole."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from localcrm.kernel.schema import entity
from localcrm.store import past
from localcrm.store.backup import backup
from localcrm.store.changelog import all_changes
from localcrm.store.check import check
from localcrm.store.folder import DATABASE
from localcrm.sync import compaction, exchange, http, messages, node_sync, snapshot
from localcrm.sync.codec import decode_batch
from tests import factories
from tests.factories import Company, HandClock, Installation
from tests.sync.test_attachments import CONTRACT, attach, contents
from tests.sync.test_recovery import agreed, lose_office, settle, take_back


def horizon(node: Installation) -> int:
    """Up to which number a node's log was cut."""
    with node.store.read() as connection:
        return past.horizon(connection)


def condense(*nodes: Installation) -> None:
    """The nightly job, by the book."""
    for node in nodes:
        compaction.compact(node.store, pause_s=0)


def pass_days(clocks: dict[str, HandClock], days: float) -> None:
    for clock in clocks.values():
        clock.forward(days=days)


def by_line(company: Company, code: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    hq, branch = company.hq, company.branches[code]
    monkeypatch.setattr(http, "post_bundle", lambda _url, request, answer: node_sync.answer_bundle(hq.store, hq.keys, request, answer))
    return node_sync.run(branch.store, branch.keys, url="http://wire")


def test_failure_12_the_log_is_never_cut_past_what_an_active_branch_lacks(
    company: Company, hq: Installation, clocks: dict[str, HandClock]
) -> None:
    """Months of work and exchanges at random, the log cut at random moments; looked at after every step of it."""
    rng, nodes, cut = Random(12), company.nodes, dict.fromkeys(company.branches, 0)
    customers = [hq.new("customer", name=f"{word}公司") for word in "甲乙丙"]
    company.exchange()
    for day in range(45):
        pass_days(clocks, 4)
        node = rng.choice(nodes)
        node.set("customer", rng.choice(customers), phone=str(day))
        if rng.random() < 0.5:
            company.exchange(rng.choice(list(company.branches)))
        while compaction.compact_some(node.store, compaction.Rule(most=rng.choice([1, 5, 500]))):
            young = node.clock.now_ms() - compaction.KEEP_MS << 16
            with node.store.read() as connection:
                gone = list(past.changes(connection))
            assert all(change.tx.eff_hlc < young for change in gone)
            if node is hq:
                received = min(row[0] for row in hq.rows("SELECT recv_hseq FROM sync_peer WHERE state = 'active'"))
                assert horizon(hq) <= received
            else:
                own = {row[0]: row[1] for row in node.rows("SELECT origin, acked_oseq FROM sync_origin WHERE code = ?", node.code)}
                assert all(change.oseq <= own.get(change.tx.origin, change.oseq) for change in gone)
                cut[node.code] = horizon(node)
    assert min(horizon(hq), *cut.values()) > 10
    company.exchange()
    assert len(company.digests) == 1


def test_failure_12_a_branch_that_stays_away_holds_the_log_up_for_so_long_and_misses_nothing(
    company: Company, hq: Installation, three: Installation, clocks: dict[str, HandClock], customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hq.value("SELECT recv_hseq FROM sync_peer WHERE code = 'BR03'")
    hq.set("customer", customer, phone="2")
    company.exchange("BR01", "BR02")
    pass_days(clocks, 100)
    hq.set("customer", customer, address="北京")
    company.exchange("BR01", "BR02")
    condense(hq)
    assert horizon(hq) <= before  # it is waited for
    pass_days(clocks, 81)
    hq.set("customer", customer, remark="新")
    condense(hq)
    assert horizon(hq) > before  # no longer: what is older than half a year has left
    told = {row["code"]: row for row in node_sync.status(hq.store)["branches"]}
    assert [code for code, row in told.items() if row["stale"]] == ["BR03"]
    waiting = told["BR03"]["waiting"]
    assert waiting == sum(node_sync.waiting_kinds(hq.store, "BR03").values())
    three.set("customer", customer, level="deal")
    mine = three.new("customer", name="丙公司")
    done = by_line(company, "BR03", monkeypatch)
    assert done["received"] == waiting
    company.exchange()
    assert len(company.digests) == 1
    for node in company.nodes:
        found = node.get("customer", customer)
        assert (found["phone"], found["address"], found["remark"], found["level"]) == ("2", "北京", "新", "deal")
        assert node.get("customer", mine)["name"] == "丙公司"
    assert not any(row["stale"] for row in node_sync.status(hq.store)["branches"])


def test_failure_12_whoever_asks_below_the_horizon_gets_every_number_or_a_name_for_what_to_do(
    company: Company, hq: Installation, three: Installation, clocks: dict[str, HandClock], customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        hq.set("customer", customer, phone=str(n))
        company.exchange("BR01", "BR02")
    pass_days(clocks, 200)
    condense(hq)
    with hq.store.read() as connection:
        head = connection.value("SELECT max(lseq) FROM sync_log")
    peer = exchange.Peer(4, "BR03", 3, acknowledged=head)
    reached, numbers = 3, list[int]()
    for message in exchange.downs(hq.store, peer, 3):
        if isinstance(message, messages.Changes):
            assert message.from_hseq == reached
            reached = message.to_hseq
            numbers += [tx.hseq + place for tx in decode_batch(message.batch).txs for place in range(tx.count)]
    assert reached == head
    assert numbers == list(range(4, head + 1))
    # Where a snapshot pays the branch begins anew from one instead; its own work has arrived by then.
    monkeypatch.setattr(snapshot, "LEAST_CHANGES", 1)
    made = three.new("customer", name="丙公司")
    by_line(company, "BR03", monkeypatch)
    assert three.value("SELECT count(*) FROM event_log WHERE kind = 'bootstrap'") == 1
    assert three.value("SELECT recv_hseq FROM sync_peer") >= horizon(hq)
    assert hq.get("customer", made)["name"] == three.get("customer", made)["name"] == "丙公司"
    assert three.digest == hq.digest
    assert check(three.store)["problems"] == []


def test_failure_12_stamps_that_head_office_lowered_long_ago_still_reach_their_author(
    company: Company, hq: Installation, three: Installation, clocks: dict[str, HandClock], customer: str
) -> None:
    """The answer to a file was lost, the branch stayed away, and head office has cut its log meanwhile."""
    clocks["BR03"].forward(days=3)
    three.set("customer", customer, phone="3")
    company.up("BR03")
    company.exchange("BR01", "BR02")
    pass_days(clocks, 300)
    hq.set("customer", customer, address="北京")
    company.exchange("BR01", "BR02")
    condense(*company.nodes)
    stamps = [
        {change.pk: change.tx.eff_hlc for change in changes if change.op == 2 and change.tx.hlc != change.tx.eff_hlc}
        for changes in (logged(hq), logged(three))
    ]
    assert stamps[0].keys() == {bytes.fromhex(customer)}
    assert stamps[1] == {}
    company.exchange()
    assert {change.pk: change.tx.eff_hlc for change in logged(three) if change.tx.hlc != change.tx.eff_hlc} == stamps[0]
    assert len(company.digests) == 1


def logged(node: Installation) -> list[past.Logged]:
    with node.store.read() as connection:
        return list(all_changes(connection))


@pytest.mark.parametrize("way", ["stick", "line"])
def test_failure_12_branches_give_back_from_the_past_what_a_restored_head_office_lacks(
    company: Company,
    hq: Installation,
    one: Installation,
    clocks: dict[str, HandClock],
    customer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    backup(hq.store, tmp_path / "archive")
    one.set("customer", customer, phone="2")
    company.exchange()
    hq.set("customer", customer, phone="3")
    mine = one.new("customer", name="乙公司")
    company.exchange()
    pass_days(clocks, 60)
    company.hq.new("customer", name="丙公司")
    company.exchange()
    condense(*company.nodes)
    assert min(map(horizon, company.nodes)) > hq.value("SELECT recv_hseq FROM sync_peer WHERE code = 'BR01'") / 2
    lose_office(company, tmp_path / "archive", tmp_path / "hq")
    take_back(company)
    settle(company, way, monkeypatch)
    agreed(company)
    assert company.hq.get("customer", customer)["phone"] == "3"
    assert company.hq.get("customer", mine)["name"] == "乙公司"


def test_failure_13_a_branch_that_joins_after_the_log_was_cut_gets_everything_and_no_error(
    company: Company, hq: Installation, clocks: dict[str, HandClock], customer: str
) -> None:
    hq.run("admin.add_field", entity="customer", label="合同", type="attachment")
    attach(hq, customer, CONTRACT)
    gone = hq.new("customer", name="乙公司")
    hq.delete("customer", gone)
    hq.set("customer", customer, phone="2")
    company.exchange()
    pass_days(clocks, 730)
    hq.new("customer", name="丙公司")
    condense(*company.nodes)
    assert hq.value("SELECT count(*) FROM sync_log") < 4
    late = company.join("BR04")
    assert contents(late, customer) == [CONTRACT]
    company.exchange()
    assert len(company.digests) == 1
    assert late.get("customer", customer)["phone"] == "2"
    assert late.is_deleted("customer", gone)
    assert logged_without_place(late) == logged_without_place(hq)


def logged_without_place(node: Installation) -> list[tuple[Any, ...]]:
    """Every change but for where it stands in a node's own log."""
    codes = dict(node.rows("SELECT origin, code FROM sync_origin"))
    return sorted(
        (codes[change.tx.origin], change.oseq, change.op, change.pk or b"", change.diff or "", change.tx.eff_hlc) for change in logged(node)
    )


#: Everything, whoever lacks it.
ALL = -(10**13)


def live(company: Company, rng: Random, *, cut: bool) -> dict[str, Any]:
    """Work done by turns and apart, clocks that differ; perhaps logs cut at random in between. Returns what came of it."""
    hq, one, two, _three = company.nodes

    def perhaps_cut() -> None:
        for node in company.nodes:
            rule, steps = compaction.Rule(ALL, ALL, rng.choice([1, 3, 40])), rng.choice([0, 2, 1000])
            while cut and steps and compaction.compact_some(node.store, rule):
                steps -= 1

    customers = [hq.new("customer", name=f"{word}公司", phone="1") for word in "甲乙"]
    company.exchange()
    for turn in range(2):
        perhaps_cut()
        two.clock.forward(minutes=-30)  # type: ignore[attr-defined]  # set by hand
        for node in (one, two, hq):
            node.set("customer", customers[0], phone=f"{node.code}{turn}")
            node.clock.forward(ms=1)  # type: ignore[attr-defined]
        one.set("customer", customers[1], address=f"路{turn}")
        two.delete("customer", customers[1])
        company.up("BR02")
        perhaps_cut()
        company.exchange()
        two.undelete("customer", customers[1])
        company.exchange()
    assert len(company.digests) == 1
    said = ("kind", "field", "base", "kept", "lost", "kept_by", "lost_by", "state")
    return {
        "records": [{key: value for key, value in hq.get("customer", identity).items() if key != "id"} for identity in customers],
        "conflicts": sorted([str(row[key]) for key in said] for row in hq.conflicts()),
        "stamps": [
            sorted((change.table, change.op, change.oseq, change.tx.hlc, change.tx.eff_hlc) for change in logged(node))
            for node in company.nodes
        ],
        "problems": [problem for node in company.nodes for problem in check(node.store)["problems"]],
    }


@pytest.mark.parametrize("seed", [1])
def test_failure_24_cutting_logs_at_any_point_changes_no_stamp_and_no_outcome(seed: int) -> None:
    found = []
    for cut in (False, True):
        clocks = {code: HandClock() for code in ("HQ", "BR01", "BR02", "BR03")}
        with factories.company(branches=3, clocks=dict(clocks)) as made:
            found.append(live(made, Random(seed), cut=cut))
            assert (horizon(made.hq) > 10) is cut
    assert found[0] == found[1]
    assert found[0]["problems"] == []
    assert {row[0] for row in found[0]["conflicts"]} == {"overwritten", "deleted_edited"}


def test_failure_24_later_work_wins_over_earlier_work_whose_stamp_has_left_the_log(
    company: Company, hq: Installation, three: Installation, clocks: dict[str, HandClock], customer: str
) -> None:
    """Head office's clock was a year ahead once, so the branch's first change got a late stamp, which the branch does not know of yet."""
    clocks["HQ"].forward(days=365)
    hq.new("customer", name="乙公司")
    clocks["HQ"].forward(days=-365)
    clocks["BR03"].forward(days=3)
    three.set("customer", customer, phone="3")
    company.up("BR03")
    hq.new("customer", name="丙公司")
    compaction.compact(hq.store, compaction.Rule(ALL, ALL), pause_s=0)
    pass_days(clocks, 10)
    clocks["BR03"].forward(days=-3)
    three.set("customer", customer, phone="4")
    company.up("BR03")
    company.exchange()
    assert {node.get("customer", customer)["phone"] for node in company.nodes} == {"4"}
    stamps = [change.tx.eff_hlc for change in logged(hq) if change.pk == bytes.fromhex(customer)]
    assert stamps == sorted(stamps)
    assert len(company.digests) == 1


def test_failure_25_what_the_log_costs_stays_below_a_third_of_the_data_however_often_they_change(
    company: Company, hq: Installation, clocks: dict[str, HandClock]
) -> None:
    """Customers edited over and over: what is kept beside the data and their packed history hardly grows."""
    customer, costs, ids = entity("customer"), list[float](), list[str]()
    with hq.store.unit_of_work(None) as uow:
        for n in range(1200):
            values = {
                "number": f"C-HQ-{n:06d}",
                "name": f"绍兴恒远纺织品有限公司{n}",
                "phone": f"1390575{n:04d}",
                "address": f"人民路{n}号",
            }
            ids.append(uow.insert(customer, customer.validate(values)))
    for turn in range(3):
        for start in range(0, len(ids), 6):
            with hq.store.unit_of_work(None) as uow:
                for identity in ids[start : start + 6]:
                    uow.update(customer, identity, {"phone": f"139{turn:02d}{start:06d}"})
        before = cost(hq)
        pass_days(clocks, 400)
        hq.new("customer", name="末")
        condense(hq)
        costs.append(cost(hq))
        assert costs[-1] < before
    assert costs[-1] <= 0.35
    assert costs[-1] - costs[-2] < 0.02


def cost(node: Installation) -> float:
    """Bytes of all that is kept of changes but their packed history, by the page, for a byte of the customers with their indexes."""
    copy = Path(shutil.copytree(node.folder, node.folder.parent / f"{node.folder.name}-{node.clock.now_ms()}"))
    with closing(sqlite3.connect(copy / DATABASE)) as connection:  # the library of the language can tell, ours cannot
        sizes = "SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name IN ({}))"
        beside = sizes.format("'sync_log', 'sync_tx', 'sync_past_row', 'sync_past_span'")
        found = float(connection.execute(beside).fetchone()[0] / connection.execute(sizes.format("'customer'")).fetchone()[0])
    shutil.rmtree(copy)
    return found
