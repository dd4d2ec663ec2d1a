"""A branch takes all of head office's data as one file: by stick, by line, with work of its own that nobody has seen yet."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlcipher3 import dbapi2

from localcrm.app import create_folder
from localcrm.domain import verbs
from localcrm.domain.people.services import authenticate
from localcrm.domain.records import read_history
from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.schema import entities
from localcrm.store import blobs, check, past
from localcrm.store.store import Store
from localcrm.sync import fetching, http, node_sync, snapshot
from localcrm.sync.merge import Report
from tests import factories
from tests.factories import Company, Installation, enrol
from tests.sync import simulation


@pytest.fixture(autouse=True)
def always(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any change that is missing makes it pay; the company itself was made by the log."""
    monkeypatch.setattr(snapshot, "LEAST_CHANGES", 1)
    monkeypatch.setattr(snapshot, "LEAST_PART", 0)


def bootstraps(node: Installation) -> int:
    return int(node.value("SELECT count(*) FROM event_log WHERE kind = 'bootstrap'"))


def agreed(company: Company) -> None:
    assert len(company.digests) == 1
    for node in company.nodes:
        assert check.check(node.store)["problems"] == []
        assert node.value("SELECT count(*) FROM sync_quarantine") == 0
        assert node_sync.status(node.store)["waiting"] == 0


def by_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LEAST_CHANGES", 10**9)


# what arrives ------------------------------------------------------------------------------------------------------------


def test_a_file_brings_records_history_and_the_proof(company: Company, hq: Installation, one: Installation) -> None:
    customer = hq.new("customer", name="甲公司", phone="1")
    hq.set("customer", customer, phone="2")
    outcome = company.down("BR01")
    assert bootstraps(one) == 1
    assert one.value("SELECT detail FROM event_log WHERE kind = 'bootstrap'") == f"received={outcome['received']}"
    assert outcome["received"] == outcome["applied"] >= 2
    with one.store.read() as connection:
        history = read_history(connection, one.actor, entity="customer", id=customer)
    assert ("phone", "1", "2", "HQ") in [(row.field, row.old, row.new, row.node) for row in history]
    assert node_sync.status(one.store)["digest"] == "equal"
    company.exchange()
    agreed(company)


def work_apart(company: Company) -> dict[str, str]:
    """Records of all kinds, each side with changes that the other has not seen."""
    hq, one, two = company.nodes
    made = {"a": hq.new("customer", name="甲公司", phone="1"), "p": hq.new("product", code="P", name="布", price="9")}
    made["w"] = hq.new("warehouse", code="W", name="仓")
    with pytest.MonkeyPatch.context() as patched:
        by_log(patched)
        company.exchange()
    two.set("customer", made["a"], phone="2", remark="先付款")
    order = two.order(made["a"], made["p"], made["p"])
    two.set("sales_order", order, warehouse_id=made["w"])
    two.run("sales.post_order", order_id=order)
    two.delete("product", two.new("product", code="Q", name="线", price="1"))
    company.up("BR02")
    hq.set("product", made["p"], price="10")
    made["sent"] = one.new("customer", name="已发送")
    company.up("BR01")
    one.set("customer", made["a"], phone="3")  # at the same time as another branch, and not sent
    made["b"] = one.new("customer", name="未发送的客户")
    one.new("contact", customer_id=made["b"], name="王")
    order = one.order(made["b"], made["p"])
    one.set("sales_order", order, warehouse_id=made["w"])
    one.run("sales.post_order", order_id=order)
    one.delete("sales_order", one.order(made["a"], made["p"]))
    return made


def test_work_that_was_not_sent_is_kept_and_sent_later(company: Company, one: Installation) -> None:
    made = work_apart(company)
    waiting = node_sync.status(one.store)["waiting"]
    assert waiting > 5
    company.down("BR01")
    assert bootstraps(one) == 1
    assert node_sync.status(one.store)["waiting"] == waiting - 1  # head office says that it has the one that was sent
    assert one.get("customer", made["b"])["name"] == "未发送的客户"
    assert one.get("customer", made["sent"])["name"] == "已发送"
    assert one.get("customer", made["a"])["phone"] == "3"
    assert check.check(one.store)["problems"] == []
    after = one.new("customer", name="之后")
    company.exchange()
    agreed(company)
    assert company.hq.get("customer", after)["name"] == "之后"
    assert len(company.hq.conflicts(field="phone")) == 1


def test_by_snapshot_and_by_log_ends_in_the_same(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    work_apart(company)
    company.close()
    ends = []
    for way in ("snapshot", "log"):
        place = company.folder / way
        for node in company.nodes:
            shutil.copytree(node.folder, place / node.code)
        nodes = [Installation(place / n.code, n.code, n.keys, n.actor, n.clock) for n in company.nodes]
        again = Company(place, nodes[0], {node.code: node for node in nodes[1:]})
        if way == "log":
            by_log(monkeypatch)
        again.down("BR01")
        assert bootstraps(nodes[1]) == (way == "snapshot")
        here = node_sync.digest(nodes[1].store)["tables"]
        again.exchange()
        agreed(again)
        tables = node_sync.digest(nodes[0].store)["tables"]
        del tables["conflict"]  # found anew, under other ids
        conflicts = sorted((row["field"], row["kept"], row["lost"], row["kept_by"], row["lost_by"]) for row in nodes[0].conflicts())
        ends.append((here, tables, conflicts))
        again.close()
    assert ends[0] == ends[1]
    for node in company.nodes:
        node.restart()


def test_what_belongs_to_the_branch_alone_stays(company: Company, hq: Installation, one: Installation) -> None:
    own = ("session", "user_setting", "job_run", "number_series")
    with one.store.housekeeping() as connection:
        connection.execute("INSERT INTO user_setting VALUES (x'01', 'theme', 'dark')")
        connection.execute("INSERT INTO session(token_hash, user_id, created, seen, expires) VALUES (x'02', x'01', 1, 2, 3)")
        connection.execute("INSERT INTO job_run VALUES ('backup', 1, 2, NULL)")
    customer, product, house = (
        one.new("customer", name="甲"),
        one.new("product", code="P", name="布"),
        one.new("warehouse", code="W", name="仓"),
    )

    def post() -> None:
        order = one.order(customer, product)
        one.set("sales_order", order, warehouse_id=house)
        one.run("sales.post_order", order_id=order)

    post()
    company.up("BR01")
    before = {table: one.rows(f"SELECT * FROM {table}") for table in own}
    log, identity = one.rows("SELECT id, hash FROM event_log"), one.store.node
    hq.new("customer", name="乙")
    company.down("BR01")
    assert bootstraps(one) == 1
    assert {table: one.rows(f"SELECT * FROM {table}") for table in own} == before
    assert set(log) < set(one.rows("SELECT id, hash FROM event_log"))
    assert one.store.node == identity
    post()
    company.exchange()
    agreed(company)  # numbers without a gap, among other things


def test_nothing_of_head_office_alone_travels(company: Company, hq: Installation, tmp_path: Path) -> None:
    node_sync.invite(hq.store, hq.keys, hq.actor, code="BR09")
    secret = bytes(hq.value("SELECT secret FROM sync_invite WHERE code = 'BR09'"))
    private = b"only-for-head-office"
    with hq.store.housekeeping() as connection:
        connection.execute("INSERT INTO user_setting VALUES (x'01', 'draft', ?)", (private.decode(),))
        connection.execute("INSERT INTO session(token_hash, user_id, created, seen, expires) VALUES (?, x'01', 1, 2, 3)", (private,))
        connection.execute("INSERT INTO meta VALUES ('mail.password', ?)", (private.decode(),))
        connection.execute("INSERT INTO sync_quarantine VALUES (1, 1, 1, NULL, 'unknown_table', 0, ?, 1, 0)", (private,))
    hq.store.log("login", detail=private.decode())
    told = snapshot.write(hq.store, tmp_path / "data")
    data = (tmp_path / "data").read_bytes()
    assert told.size == len(data)
    assert private not in data
    assert secret not in data
    with closing(dbapi2.connect(tmp_path / "data")) as file:
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")}
        assert tables == {"meta", "sync_origin", "sync_tx", "sync_log", *past.TABLES, *(entity.key for entity in entities())}
        assert {key for (key,) in file.execute("SELECT key FROM meta")} == {
            "schema_version", "node.company_id", "node.role", "node.code"
        }  # fmt: skip


def test_screens_look_again_and_other_connections_see_all(company: Company, hq: Installation, one: Installation) -> None:
    heard: list[Any] = []
    one.store.listen(heard.append)
    customer = hq.new("customer", name="甲公司")
    company.down("BR01")
    assert any(changes.touches("customer", customer) and changes.remote for changes in heard)
    assert one.value("SELECT count(*) FROM search WHERE search MATCH '\"甲公\"'") == 1


def test_an_old_file_changes_nothing(company: Company, hq: Installation, one: Installation) -> None:
    hq.new("customer", name="甲")
    company.down("BR01")
    hq.new("customer", name="乙")
    old = (company.folder / "BR01.down").read_bytes()
    company.down("BR01")
    (company.folder / "old").write_bytes(old)
    before = one.digest
    node_sync.unpack(one.store, one.keys, company.folder / "old")
    assert (bootstraps(one), one.digest) == (2, before)


def test_fields_of_the_company_come_along_and_fields_of_the_branch_stay(company: Company, hq: Installation, one: Installation) -> None:
    theirs = hq.run("admin.add_field", entity="customer", label="颜色", type="text", searched=True)["key"]
    customer = hq.new("customer", name="甲", **{theirs: "深红色"})
    mine = one.run("admin.add_field", entity="customer", label="区域", type="text", listed=True)["key"]
    here = one.new("customer", name="乙", **{mine: "华东"})
    company.down("BR01")
    assert bootstraps(one) == 1
    assert one.get("customer", customer)[theirs] == "深红色"
    assert one.get("customer", here)[mine] == "华东"
    assert one.value("SELECT count(*) FROM search WHERE search MATCH '\"深红\"'") == 1
    one.restart()
    company.exchange()
    agreed(company)
    assert hq.get("customer", here)[mine] == "华东"


def test_a_person_erased_meanwhile_leaves_nothing_at_the_branch(company: Company, hq: Installation, one: Installation) -> None:
    contact = hq.new("contact", customer_id=hq.new("customer", name="绍兴恒远"), name="欧阳晓静", phone="13905751234")
    company.exchange()
    one.set("contact", contact, remark="欧阳晓静喜欢喝茶")  # not sent
    hq.run("admin.erase_person", entity="contact", id=contact, name="欧阳晓静")
    company.down("BR01")
    assert one.get("contact", contact)["name"] == "***"
    one.store.close()
    content = b"".join(path.read_bytes() for path in one.folder.glob("localcrm.db*"))
    assert not [word for word in ("欧阳晓静", "13905751234") if word.encode() in content]
    one.restart()
    company.exchange()
    agreed(company)


def test_attached_files_named_by_a_snapshot_are_asked_for(company: Company, hq: Installation, one: Installation) -> None:
    key = hq.run("admin.add_field", entity="customer", label="合同", type="attachment")["key"]
    hq.new("customer", name="甲", **{key: blobs.add(hq.store, "合同.txt", b"text").line})
    company.down("BR01")
    assert bootstraps(one) == 1
    assert one.rows("SELECT state, named FROM blob") == [("here", 1)]


def test_a_branch_whose_program_cannot_is_told_by_the_log(company: Company, hq: Installation, one: Installation) -> None:
    with hq.store.housekeeping() as connection:
        connection.execute("UPDATE sync_peer SET schema_ver = schema_ver - 1 WHERE code = 'BR01'")
    customer = hq.new("customer", name="甲")
    company.down("BR01")
    assert bootstraps(one) == 0
    assert one.get("customer", customer)["name"] == "甲"


def test_what_a_killed_program_left_of_an_opened_file_goes(company: Company, hq: Installation, one: Installation) -> None:
    for name, age in (("old", 2 * 3600), ("fresh", 0)):
        left = one.folder / f".snapshot-{name}"
        left.mkdir()
        os.utime(left, (time.time() - age,) * 2)
    hq.new("customer", name="甲")
    company.down("BR01")
    assert [path.name for path in one.folder.glob(".snapshot-*")] == [".snapshot-fresh"]


def test_histories_in_which_snapshots_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation's own proof: nothing lost, everybody equal, however often one is taken between other events."""
    taken: list[int] = []
    real = snapshot.install

    def install(store: Store, path: Path, told: snapshot.Snapshot) -> Report:
        taken.append(told.hseq)
        return real(store, path, told)

    monkeypatch.setattr(snapshot, "install", install)
    simulation.run(11, simulation.plan(11, 30))
    assert taken


# over the network --------------------------------------------------------------------------------------------------------


@pytest.fixture
def wire(hq: Installation, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A line to head office, and the requests that went over it; small pieces, two per answer."""
    monkeypatch.setattr(fetching, "PIECE", 500)
    monkeypatch.setattr(fetching, "PIECES", 2)
    went: list[Path] = []

    def post(_url: str, request: Path, answer: Path) -> None:
        went.append(request)
        node_sync.answer_bundle(hq.store, hq.keys, request, answer)

    monkeypatch.setattr(http, "post_bundle", post)
    return went


def run(node: Installation) -> dict[str, Any]:
    return node_sync.run(node.store, node.keys, url="http://wire")


def left_over(*nodes: Installation) -> list[str]:
    """Files of a snapshot that are still about."""
    return [path.name for node in nodes for path in node.folder.rglob("*") if "fetched" in path.name or path.parent.name == "snapshots"]


def test_by_line_in_pieces(company: Company, hq: Installation, one: Installation, wire: list[Path]) -> None:
    made = work_apart(company)
    outcome = run(one)
    assert bootstraps(one) == 1
    assert len(wire) > 6
    assert outcome["digest"] == "equal"
    assert hq.get("customer", made["b"])["name"] == "未发送的客户"
    assert left_over(hq, one) == []
    company.exchange()
    agreed(company)


def test_it_goes_on_where_the_line_broke(
    company: Company, hq: Installation, one: Installation, wire: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    work_apart(company)
    made: list[Path] = []
    fetched: list[int] = []
    real, post = fetching.pieces, http.post_bundle

    def pieces(folder: Path, node_no: int, wanted: Any, make: Callable[[Path], None]) -> Iterator[Any]:
        def making(path: Path) -> None:
            made.append(path)
            make(path)

        for piece in real(folder, node_no, wanted, making):
            fetched.append(piece.at)
            yield piece

    def breaking(url: str, request: Path, answer: Path) -> None:
        post(url, request, answer)
        if len(wire) % 4 == 0:
            raise ExchangeError("no_connection", "")

    monkeypatch.setattr(fetching, "pieces", pieces)
    monkeypatch.setattr(http, "post_bundle", breaking)
    breaks = 0
    while not bootstraps(one):
        one.restart()
        with suppress(ExchangeError):
            run(one)
            break
        breaks += 1
    assert breaks > 1
    assert bootstraps(one) == 1
    assert len(made) == 1
    assert len(set(fetched)) > 4
    assert len(fetched) < 2 * len(set(fetched))  # only what was lost on the way was sent again
    company.exchange()
    agreed(company)


def test_whatever_lies_where_the_pieces_lay_does_no_harm(company: Company, hq: Installation, one: Installation, wire: list[Path]) -> None:
    """Half a bundle of another time, a whole one that was altered: both are thrown away, and the branch is told all the same."""
    customer = hq.new("customer", name="甲")
    (one.folder / f".fetched-{bytes(16).hex()}.part").write_bytes(b"x" * 5000)
    run(one)
    assert (bootstraps(one), left_over(hq, one)) == (1, [])
    hq.set("customer", customer, name="乙")
    for path in (hq.folder / "snapshots").glob("*"):
        path.unlink()
    wanted = fetching.Fetch(b"", 0)
    list(fetching.pieces(hq.folder / "snapshots", one.store.node.node_no, wanted, lambda path: path.write_bytes(b"nothing") and None))
    run(one)
    assert (bootstraps(one), one.get("customer", customer)["name"]) == (1, "乙")
    assert one.value("SELECT count(*) FROM event_log WHERE kind = 'bootstrap_refused'") == 1
    assert left_over(hq, one) == []
    hq.set("customer", customer, name="丙")
    run(one)
    assert bootstraps(one) == 2
    company.exchange()
    agreed(company)


def test_folders_that_are_encrypted(tmp_path: Path) -> None:
    """The file that travels is plain inside its seal, whatever either side does with its own."""
    made = [
        create_folder(
            tmp_path / code, role=role, code=code, name=code, password=factories.PASSWORD, passphrase="Karton-im-Haus-7"
        ).application
        for code, role in (("HQ", "office"), ("BR01", "branch"))
    ]
    hq, branch = made
    actor = authenticate(hq.store, "admin", factories.PASSWORD)
    for n in range(50):
        verbs.run(hq.store, actor, "records.create_record", {"entity": "customer", "values": {"name": f"绍兴{n}"}})
    enrol((branch.store, branch.keys), (hq.store, hq.keys), actor)
    with branch.store.read() as connection:
        assert connection.value("SELECT count(*) FROM event_log WHERE kind = 'bootstrap'") == 1
        assert connection.value("SELECT count(*) FROM customer WHERE name LIKE '绍兴%'") == 50
    assert node_sync.digest(hq.store) == node_sync.digest(branch.store)
    for application in made:
        application.close()
        content = b"".join(path.read_bytes() for path in application.store.folder.rglob("*") if path.is_file())
        assert "绍兴".encode() not in content
