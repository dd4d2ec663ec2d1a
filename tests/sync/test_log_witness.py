"""Head office countersigns each branch's system log: what is rewritten, cut off or put back before that point is noticed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import msgspec
import pytest

from localcrm.kernel.i18n import use_language
from localcrm.store import eventlog, witness
from localcrm.store.check import log_blind_spot, log_problems
from localcrm.store.folder import DATABASE
from localcrm.sync import messages, node_sync
from tests import factories
from tests.factories import Company, HandClock, Installation


@pytest.fixture
def company() -> Iterator[Company]:
    """Both sides sign; the branch's log has some rows and was countersigned once."""
    clock = HandClock()
    with factories.company(branches=1, clocks={"HQ": clock, "BR01": clock}) as made:
        for node in made.nodes:
            node.store.sign_log = node.keys.sign
            with node.store.housekeeping() as connection:
                eventlog.sign_head(connection, node.keys.sign)
        notes(made, 3)
        made.exchange("BR01")
        yield made


def notes(made: Company, count: int) -> None:
    """Something happens at the branch, a minute apart."""
    branch = made.branches["BR01"]
    for _ in range(count):
        branch.store.log("sign_in", detail="Firefox")
        branch.clock.forward(minutes=1)  # type: ignore[attr-defined]


def found(node: Installation) -> list[str]:
    with node.store.read() as connection:
        return [problem.code for problem in log_problems(connection, node.keys.public.sign_key)]


def noted(node: Installation) -> list[str]:
    """What was noted of logs that have become shorter."""
    with node.store.read() as connection:
        return [event.detail for event in eventlog.rows(connection) if event.kind == "log_shorter"]


def written_anew(node: Installation, count: int) -> None:
    """Somebody with the node's key writes a log of his own, so that nothing in the file tells."""
    with node.store.housekeeping() as connection:
        triggers = connection.all("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event_log'")
        for name, _sql in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DELETE FROM event_log")
        connection.execute("UPDATE event_head SET count = 0, hash = zeroblob(32), signed = 0, signature = NULL")
        for number in range(count):
            eventlog.append(connection, at=number, kind="sign_in", detail="nobody", sign=node.store.sign_log)
        for _name, sql in triggers:
            connection.execute(sql)


def test_both_sides_keep_the_countersignature_and_say_what_it_does_not_cover(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    with hq.store.read() as connection:
        theirs = witness.known(connection, 2)
    with branch.store.read() as connection:
        ours, length = witness.known(connection, 2), eventlog.length(connection)
        with use_language("en"):
            said = log_blind_spot(connection)
    assert ours == theirs
    assert ours is not None
    assert 3 <= ours.number < length[1]  # the exchange itself is noted after it was said how long the log is
    assert said.startswith(f"Head office countersigned the log up to row {ours.number}, on 20")
    assert (found(hq), found(branch), noted(hq)) == ([], [], [])


def test_a_log_rewritten_with_the_stolen_key_of_the_branch_is_named(company: Company) -> None:
    branch = company.branches["BR01"]
    written_anew(branch, 20)
    assert found(branch) == ["event_rewritten"]


def test_an_end_cut_off_with_the_stolen_key_is_named(company: Company) -> None:
    branch = company.branches["BR01"]
    written_anew(branch, 2)
    assert found(branch) == ["event_rolled_back"]


def test_a_countersignature_of_somebody_else_is_named(company: Company) -> None:
    branch = company.branches["BR01"]
    with branch.store.housekeeping() as connection:
        connection.execute("UPDATE log_witness SET number = number + 1")
    assert found(branch) == ["event_countersignature"]


def test_a_data_file_put_back_as_a_whole_is_noticed_at_the_next_exchange(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    branch.store.close()
    early = shutil.copy(branch.folder / DATABASE, company.folder / "early.db")
    branch.restart()
    branch.store.sign_log = branch.keys.sign
    notes(company, 5)
    company.exchange("BR01")
    branch.store.close()
    shutil.copy(early, branch.folder / DATABASE)
    branch.restart()
    branch.store.sign_log = branch.keys.sign
    assert found(branch) == []  # the file alone does not tell
    company.exchange("BR01")
    (said,) = noted(hq)
    code, missing = said.split()
    assert (code, int(missing) > 0) == ("BR01", True)
    assert node_sync.status(hq.store)["branches"][0]["log_missing"] == int(missing)
    assert found(branch) == []
    company.exchange("BR01")
    assert noted(hq) == [said]  # once
    node_sync.acknowledge_log(hq.store, hq.actor, "BR01")
    assert node_sync.status(hq.store)["branches"][0]["log_missing"] == 0


def test_the_branch_is_told_over_http_in_the_same_breath(company: Company) -> None:
    from localcrm.sync import exchange

    hq, branch = company.hq, company.branches["BR01"]
    written_anew(branch, 2)
    peer = node_sync._peer(hq.store, "node_no", 2)
    answers = list(exchange.hear_branch(hq.store, peer, [exchange.hello(branch.store)]))
    exchange.hear_office(branch.store, answers, exchange.Outcome())
    assert noted(hq) == noted(branch)
    assert len(noted(hq)) == 1


def test_a_log_that_nobody_signed_is_not_countersigned(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    with branch.store.housekeeping() as connection:
        connection.execute("UPDATE event_head SET signature = zeroblob(64)")
    with hq.store.read() as connection:
        before = witness.known(connection, 2)
    company.up("BR01")
    company.up("BR01")
    with hq.store.read() as connection:
        assert witness.known(connection, 2) == before
    assert before is not None
    assert noted(hq) == [f"BR01 {before.number}"]


def test_a_file_that_is_read_late_says_nothing(company: Company) -> None:
    hq, branch = company.hq, company.branches["BR01"]
    late = company.folder / "late"
    node_sync.pack(branch.store, branch.keys, late)
    notes(company, 5)
    company.up("BR01")
    node_sync.unpack(hq.store, hq.keys, late)
    assert noted(hq) == []


def test_a_clock_that_was_ahead_once_hides_nothing_later(company: Company) -> None:
    from localcrm.sync import exchange

    hq, branch = company.hq, company.branches["BR01"]
    peer = node_sync._peer(hq.store, "node_no", 2)
    ahead = msgspec.structs.replace(exchange.hello(branch.store), wall_ms=2**60)
    list(exchange.hear_branch(hq.store, peer, [ahead]))
    written_anew(branch, 2)
    branch.clock.forward(minutes=1)  # type: ignore[attr-defined]
    list(exchange.hear_branch(hq.store, peer, [exchange.hello(branch.store)]))
    assert len(noted(hq)) == 1


def test_programs_without_countersignatures_understand_and_are_understood(company: Company) -> None:
    from localcrm.sync import exchange

    new = ("log_count", "log_signature", "log_at", "log_missing")
    peer = node_sync._peer(company.hq.store, "node_no", 2)
    for said in (exchange.hello(company.branches["BR01"].store), exchange.welcome(company.hq.store, peer)):
        written = msgspec.msgpack.decode(messages.encode(said))
        assert written["log_signature"]
        old = messages.decode(msgspec.msgpack.encode({key: value for key, value in written.items() if key not in new}))
        assert old.log_signature == b""  # type: ignore[union-attr]
        assert messages.decode(msgspec.msgpack.encode(written | {"something_later": 1})) == said
