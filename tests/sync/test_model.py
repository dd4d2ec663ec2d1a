"""Two thousand histories of the model; every rule is needed; and real data files come to what the model says."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from localcrm.kernel.errors import ExchangeError
from localcrm.store.backup import backup, restore, settle_copy
from localcrm.sync import exchange, extract, node_sync
from localcrm.sync.messages import Message
from tests import factories
from tests.factories import Company, HandClock, Installation
from tests.sync import model
from tests.sync.model import BRANCHES, Event, Rules, World

SEEDS, SOAK_SEEDS = 2_000, 200_000
PORTION = 5_000
#: A seed in which two people write into one field apart, and the later value arrives first.
OF_CONCURRENT_WORK = 0


def live(seeds: range) -> str:
    """The report of the first seed that breaks."""
    for seed in seeds:
        try:
            model.live(seed)
        except model.Broken as error:
            return str(error)
    return ""


def test_two_thousand_histories():
    assert live(range(SEEDS)) == ""


@pytest.mark.soak
def test_two_hundred_thousand_histories():
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        broken = list(filter(None, pool.imap_unordered(live, [range(at, at + PORTION) for at in range(0, SOAK_SEEDS, PORTION)])))
    assert broken == []


@pytest.mark.parametrize("rule", [rule.name for rule in fields(Rules)])
def test_without_any_one_rule_a_history_breaks_and_few_events_show_it(rule):
    rules = replace(Rules(), **{rule: False})
    skews, events = next((skews, events) for skews, events in map(model.plan, range(2_000)) if model.breaks(skews, events, rules))
    fewer = model.shrink(events, lambda some: model.breaks(skews, some, rules) is not None)
    assert isinstance(model.breaks(skews, fewer, rules), model.Broken)
    assert model.breaks(skews, fewer) is None
    assert len(fewer) <= 12
    assert all(model.breaks(skews, fewer[:place] + fewer[place + 1 :], rules) is None for place in range(len(fewer)))


def test_a_failing_seed_tells_its_events():
    rules = replace(Rules(), later_wins=False)
    seed = next(seed for seed in range(100) if model.breaks(*model.plan(seed), rules))
    with pytest.raises(model.Broken, match=f"seed {seed}: .*\nclocks .*\nthese \\d+ events break too"):
        model.live(seed, rules)


# the same events with real data files -----------------------------------------------------------------------------------------


def _stock(company: Company) -> None:
    company.hq.new("warehouse", code="W", name="总仓")
    company.hq.new("product", code="P", name="布", price="9")
    company.exchange()


class Files:
    """The events of the model that need nothing around them, done by the program to real data files."""

    def __init__(self, folder: Path, skews: list[int]) -> None:
        codes = ["HQ", *(f"BR{number:02d}" for number in range(1, BRANCHES + 1))]
        self.folder = folder
        self.clocks = [HandClock(model.NOON + skew) for skew in skews]
        self.company = factories.copy_company(
            folder, branches=BRANCHES, name="modelled", prepare=_stock, clocks=dict(zip(codes, self.clocks, strict=True))
        )
        self.ids: dict[int, str] = {}
        self.drawers: list[list[tuple[str, list[Message]]]] = [[] for _clock in skews]
        self.copies: dict[int, Path] = {}
        self.made = 0
        self.begun = {node.value("SELECT last_hlc FROM sync_ctx") for node in self.company.nodes}
        for at in range(len(skews)):
            self.node(at).store.step = model.step_of(at + 1)

    def node(self, at: int) -> Installation:
        return self.company.nodes[at]

    def _there(self, at: int, name: int) -> int | None:
        """Whether a card lies in the bin there; None where it never arrived."""
        found: int | None = self.node(at).value("SELECT deleted FROM customer WHERE id = ?", bytes.fromhex(self.ids.get(name, "")))
        return found

    # what people do

    def add(self, at: int, name: int) -> None:
        self.ids[name] = self.node(at).new("customer", name=f"客户{name}")

    def edit(self, at: int, name: int, column: str, value: str) -> None:
        if self._there(at, name) == 0:
            self.node(at).set("customer", self.ids[name], **{column: value})

    def bin(self, at: int, name: int, deleted: bool) -> None:
        if self._there(at, name) == (not deleted):
            (self.node(at).delete if deleted else self.node(at).undelete)("customer", self.ids[name])

    def move(self, at: int, _name: int, quantity: int) -> None:
        goods = {f"{kind}_id": self.node(at).value(f"SELECT id FROM {kind}").hex() for kind in ("product", "warehouse")}
        self.node(at).new("stock_move", **goods, quantity=str(quantity), type="receipt")

    def jump(self, at: int, by_ms: int) -> None:
        self.clocks[at].ms += by_ms

    # the exchange, message by message

    def send(self, at: int, size: int, arrive_up: int, arrive_down: int) -> None:
        branch = self.node(at)
        with portions(size):
            up: list[Message] = [exchange.hello(branch.store), *exchange.pushes(branch.store)]
            self.drawers[at].append(("up", up))
            if arrive_up and self._hear(at, "up", [up[0], *model.arrived(up[1:], arrive_up)]):
                peer = node_sync._peer(self.company.hq.store, "code", branch.code)
                down: list[Message] = [exchange.welcome(self.company.hq.store, peer), exchange.ack(self.company.hq.store, peer)]
                down += exchange.downs(self.company.hq.store, peer, peer.recv_hseq)
                self.drawers[at].append(("down", down))
                if arrive_down:
                    self._hear(at, "down", [*down[:2], *model.arrived(down[2:], arrive_down)])
        del self.drawers[at][:-8]

    def replay(self, at: int, place: int) -> None:
        if self.drawers[at]:
            self._hear(at, *self.drawers[at][place % len(self.drawers[at])])

    def _hear(self, at: int, way: str, said: list[Message]) -> bool:
        """Whether it was heard to its end."""
        outcome = exchange.Outcome()
        try:
            if way == "down":
                exchange.hear_office(self.node(at).store, said, outcome)
            else:
                peer = node_sync._peer(self.company.hq.store, "code", self.node(at).code)
                peer.by_file = True
                list(exchange.hear_branch(self.company.hq.store, peer, said))
                outcome = peer.outcome
        except ExchangeError as error:
            if error.code not in {"gap", "before_restore"}:
                raise
            return False
        assert outcome.quarantined == 0
        return True

    # backups

    def keep(self, at: int) -> None:
        self.made += 1
        self.copies[at] = self.folder / f"backup{self.made}"
        backup(self.node(at).store, self.copies[at])

    def restore(self, at: int) -> None:
        if at in self.copies:
            old = self.node(at)
            old.store.close()
            shutil.rmtree(old.folder)
            restore(self.copies[at], old.folder)
            again = self.company.branches[old.code] = Installation(old.folder, old.code, old.keys, old.actor, old.clock)
            assert settle_copy(again.store)
            again.store.step = model.step_of(at + 1)

    # what came of it

    def state(self, at: int) -> tuple[Any, ...]:
        """Cards by name, the sum of movements, and what was noted."""
        node, names = self.node(at), {bytes.fromhex(identity): name for name, identity in self.ids.items()}
        columns = ", ".join(model.COLUMNS)
        cards = {names[row[0]]: row[1:] for row in node.rows(f"SELECT id, deleted, {columns} FROM customer")}
        told = sorted(
            (row[0], names[bytes.fromhex(row[1])], *(row[2:] if row[0] == "overwritten" else ()))
            for row in node.rows("SELECT kind, record, field, kept, lost FROM conflict WHERE kind <> 'parent_deleted'")
        )
        return (
            cards,
            node.value("SELECT coalesce(sum(total), 0) FROM stock_on_hand") // 10_000,
            told,
            node.value("SELECT max(hlc) FROM sync_tx"),
        )


@contextmanager
def portions(size: int) -> Iterator[None]:
    """Messages of so many changes."""
    usual, extract.PORTION = extract.PORTION, size
    try:
        yield
    finally:
        extract.PORTION = usual


def said_by_model(world: World, at: int) -> tuple[Any, ...]:
    """``Files.state`` as the model has it."""
    rows = world.nodes[at].rows
    cards = {
        name: (int(row["deleted"]), *(row.get(column) for column in model.COLUMNS)) for (kind, name), row in rows.items() if kind == "card"
    }
    told = sorted((told[0], told[1][1], *told[2:]) for (kind, _n), row in rows.items() if kind == "conflict" for told in (row["told"],))
    moved = sum(row["quantity"] for (kind, _name), row in rows.items() if kind == "move")
    return cards, moved, told, world.nodes[at].stamps and max(change.hlc for change in world.nodes[at].log)


def compare(seed: int, events: list[Event] | None = None, *, steps: int = 40) -> None:
    """One history with real files beside the model: every node holds the same after every exchange, or AssertionError."""
    skews, planned = model.plan(seed, steps, only=model.COMPARED)
    folder = factories.fast_folder()
    files = Files(folder, skews)
    (begun,) = files.begun
    world = World(skews, begun=begun)
    try:
        for name, *details in [
            *(events if events is not None else planned),
            *([("send", at, 99, 99, 99) for at in range(1, BRANCHES + 1)] * 2),
        ]:
            for number, clock in enumerate(files.clocks):
                clock.ms += 7
                world.clocks[number] += 7
            for live_through in (files, world):
                getattr(live_through, name)(*details)
            if name in {"send", "replay", "restore"}:
                for at in (0, details[0]):
                    assert files.state(at)[:3] == said_by_model(world, at)[:3], f"seed {seed}, after {name} {details}, at node {at}"
        model.check(world)
        assert len(files.company.digests) == 1
    finally:
        files.company.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("seed", range(10))
def test_data_files_come_to_what_the_model_says(seed):
    compare(seed)


@pytest.mark.soak
def test_data_files_come_to_what_the_model_says_a_thousand_times():
    for seed in range(10, 1_010):
        compare(seed)


def test_a_merge_that_decides_otherwise_is_told_from_the_model(monkeypatch):
    from localcrm.sync.conflicts import Conflicts

    monkeypatch.setattr(Conflicts, "decide", lambda _self, _entity, _pk, mine: mine.diff)
    with pytest.raises(AssertionError, match="seed"):
        compare(OF_CONCURRENT_WORK)
