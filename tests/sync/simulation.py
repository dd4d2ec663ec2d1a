"""A whole company in one process, driven by a seed: real files, real verbs, the production merge, bad clocks and a bad post.

A run is a list of events, each with a seed of its own, so that an event means the same when others are left out; that
is how a failing run is made small. Everything an event writes is remembered by the oracle together with what its
author could have known (the numbers of changes present at that node), independently of ``prev`` and of stamps. At the
end everybody exchanges until nothing is missing, and then everything the design promises is checked.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from localcrm.domain.admin.entities import BranchHolds
from localcrm.kernel.clock import ADMISSION_TOLERANCE_MS
from localcrm.kernel.errors import AppError, ExchangeError
from localcrm.kernel.schema import Kind, entities, entity_by_no
from localcrm.store import check
from localcrm.store.backup import backup, restore as unpack_backup, settle_copy
from localcrm.store.changelog import all_changes, parse_diff
from localcrm.store.ddl import DELETED_NO, UPDATE, VOID, total_select
from localcrm.sync import compaction, extract, http, node_sync
from tests.factories import Company, HandClock, Installation, copy_company, fast_folder

BRANCHES = ("BR01", "BR02", "BR03", "BR04")
DAY = 86_400_000
#: How far a node's clock is off at the start; head office may be a little wrong, branches absurdly.
HUB_SKEWS = (0, 0, 0, -90_000, 240_000)
BRANCH_SKEWS = (0, 0, 0, 0, -40_000, 35_000, 500_000, -3_600_000, 3_600_000, 400 * DAY, -8_000 * DAY, 30 * 365 * DAY)

Event = tuple[str, int, int]  # what, at which node (0 is head office), seed
Origin = tuple[int, bytes]  # node number, epoch
Change = tuple[int, bytes, int]  # identity: node number, epoch, number


class Broken(AssertionError):
    """A promise of the design that did not hold."""


@dataclass
class Write:
    """One value somebody was told is saved."""

    change: Change
    entity: str
    pk: bytes
    column: int
    value: Any
    known: dict[Origin, int]
    """Node and epoch → how many of its changes the author's file held."""

    def had_seen(self, other: Write) -> bool:
        """Whether whoever wrote this could have seen the other one."""
        *origin, number = other.change
        return (self.change[:2] == tuple(origin) and self.change[2] > number) or self.known.get((origin[0], origin[1]), 0) >= number


@dataclass
class World:
    """A company, its post, and the oracle."""

    company: Company
    clocks: dict[str, HandClock]
    folder: Path
    post: dict[str, list[tuple[str, Path]]] = field(default_factory=lambda: defaultdict(list))
    writes: list[Write] = field(default_factory=list)
    posted: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    backups: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    restored_offices: int = 0
    gone: set[Change] = field(default_factory=set)
    """Work that was on one disk only when that disk was lost: it may come back out of a drawer, and need not."""
    posted_by: dict[str, Change] = field(default_factory=dict)
    """Order → the change with which it was posted."""
    files: int = 0
    exchanges: int = 0
    busy: int = 0

    def node(self, index: int) -> Installation:
        """Head office is 0."""
        return self.company.nodes[index]

    def branch(self, index: int) -> Installation:
        """Some branch, whatever the index."""
        return self.company.nodes[1 + index % len(BRANCHES)]


def world(folder: Path, skews: Random) -> World:
    """A copied company with a few records everybody knows, and skewed clocks."""
    clocks = {code: HandClock() for code in ("HQ", *BRANCHES)}
    for code, clock in clocks.items():
        clock.ms += skews.choice(HUB_SKEWS if code == "HQ" else BRANCH_SKEWS)
    made = copy_company(folder, branches=len(BRANCHES), clocks=dict(clocks), name="stocked", prepare=_stock)
    return World(made, clocks, folder)


def _stock(company: Company) -> None:
    """What every run begins with."""
    hq = company.hq
    customers = [hq.new("customer", name=f"{word}公司", phone="1") for word in "甲乙丙"]
    for customer in customers:
        hq.new("contact", customer_id=customer, name="王")
    hq.new("activity", customer_id=customers[0], content="电话")
    hq.new("warehouse", code="W", name="总仓")
    for code in ("P1", "P2"):
        hq.new("product", code=code, name="布", price="9")
    hq.new("user", login="wang", name="王")
    company.exchange()


# what people do ---------------------------------------------------------------------------------------------------------


def _some(node: Installation, rng: Random, entity: str, where: str = "deleted = 0", *, few: int = 8) -> str | None:
    """One of the oldest few records here, so that branches often meet on the same one."""
    found = node.rows(f'SELECT id FROM "{entity}" WHERE {where} ORDER BY id LIMIT {few}')
    return rng.choice(found)[0].hex() if found else None


def _word(rng: Random) -> str:
    return rng.choice("甲乙丙丁戊己庚辛") + rng.choice("山水木火土金") + str(rng.randrange(10))


_EDITS: dict[str, dict[str, Callable[[Random], Any]]] = {
    "customer": {
        "phone": lambda rng: f"138{rng.randrange(4):08d}",
        "address": _word,
        "remark": lambda rng: rng.choice([None, _word(rng)]),
        "level": lambda rng: rng.choice(["deal", "prospect", None]),
        "credit_limit": lambda rng: f"{rng.randrange(1, 4)}000.50",
    },
    "contact": {"phone": _word, "title": _word, "is_main": lambda rng: rng.random() < 0.5},
    "activity": {"content": _word, "type": lambda rng: rng.choice(["call", "visit"])},
    "product": {"name": _word, "price": lambda rng: f"{rng.randrange(1, 4)}.25", "spec": _word},
    "warehouse": {"name": _word, "address": _word},
    "user": {"name": _word, "phone": _word, "active": lambda rng: rng.random() < 0.8},
}


def add(node: Installation, rng: Random) -> None:
    """A record of some kind."""
    kind = rng.choice(["customer", "customer", "contact", "contact", "activity", "product", "warehouse", "user"])
    customer = _some(node, rng, "customer") if kind in {"contact", "activity"} else None
    code = f"{node.code}{rng.randrange(10**6)}"
    values: dict[str, dict[str, Any]] = {
        "customer": {"name": _word(rng) + "有限公司"},
        "contact": {"customer_id": customer, "name": _word(rng)},
        "activity": {"customer_id": customer, "content": _word(rng)},
        "product": {"code": code, "name": _word(rng), "price": "9.5"},
        "warehouse": {"code": code, "name": _word(rng)},
        "user": {"login": code, "name": _word(rng)},
    }
    node.new(kind, **values[kind])


def open_account(node: Installation, rng: Random) -> None:
    """A customer, whatever else is there."""
    node.new("customer", name=_word(rng) + "有限公司")


def edit(node: Installation, rng: Random) -> None:
    """One or two fields of a record that others may be editing too."""
    kind = rng.choice(["customer"] * 5 + ["contact", "contact", "product", "product", "activity", "warehouse", "user"])
    identity = _some(node, rng, kind, few=3)
    if identity:
        chosen = rng.sample(sorted(_EDITS[kind]), rng.choice([1, 1, 2]))
        values = {name: _EDITS[kind][name](rng) for name in chosen}
        node.set(kind, identity, **values)
        for name, value in values.items():
            _agree(node.get(kind, identity)[name] in {value, None if value == "" else value}, f"{kind}.{name} was not saved")


def grant(node: Installation, rng: Random) -> None:
    """Head office gives somebody a role; a branch is refused."""
    identity = _some(node, rng, "user", "deleted = 0 AND login <> 'admin'")
    if identity:
        node.set("user", identity, role=rng.choice(["none", "staff"]))


def bin_it(node: Installation, rng: Random) -> None:
    """Delete something."""
    kind = rng.choice(["customer", "contact", "contact", "activity", "product", "warehouse", "user", "sales_order"])
    identity = _some(node, rng, kind, "deleted = 0 AND status = 'draft'" if kind == "sales_order" else "deleted = 0", few=4)
    if identity:
        node.delete(kind, identity)


def restore(node: Installation, rng: Random) -> None:
    """Take something out of the bin."""
    kind = rng.choice(["customer", "contact", "activity", "product", "warehouse", "user", "sales_order"])
    identity = _some(node, rng, kind, "deleted = 1")
    if identity:
        node.undelete(kind, identity)


def move_goods(node: Installation, rng: Random) -> None:
    """A stock movement."""
    product, warehouse = _some(node, rng, "product"), _some(node, rng, "warehouse")
    if product and warehouse:
        node.new("stock_move", product_id=product, warehouse_id=warehouse, quantity=str(rng.randrange(1, 9)), type="receipt")


def draft(node: Installation, rng: Random) -> None:
    """A new order with up to three lines."""
    customer, products = _some(node, rng, "customer"), [_some(node, rng, "product") for _ in range(rng.randrange(4))]
    if customer:
        node.order(customer, *filter(None, products), quantity=str(rng.randrange(1, 5)))


def _draft(node: Installation, rng: Random) -> str | None:
    mine = f"deleted = 0 AND status = 'draft' AND branch_id = x'{node.store.node.branch_id}'"
    return _some(node, rng, "sales_order", mine)


def rework(node: Installation, rng: Random) -> None:
    """Lines of a draft added, changed, removed; its header too."""
    order = _draft(node, rng)
    if order:
        lines: list[dict[str, Any]] = [{"id": line["id"]} for line in node.run("sales.order_with_lines", order_id=order)["lines"]]
        if lines and rng.random() < 0.4:
            lines.pop(rng.randrange(len(lines)))
        if lines and rng.random() < 0.5:
            rng.choice(lines)["quantity"] = str(rng.randrange(1, 7))
        product = _some(node, rng, "product")
        if product and rng.random() < 0.6:
            lines.append({"product_id": product, "quantity": "2"})
        node.run("sales.save_order", order_id=order, header={"remark": _word(rng)}, lines=lines)


def post(node: Installation, rng: Random) -> None:
    """Post a draft."""
    order = _draft(node, rng)
    if order:
        node.run("sales.post_order", order_id=order)


def _posted(node: Installation, rng: Random) -> str | None:
    return _some(node, rng, "sales_order", f"deleted = 0 AND status = 'posted' AND branch_id = x'{node.store.node.branch_id}'")


def reverse(node: Installation, rng: Random) -> None:
    """Reverse a posted order."""
    order = _posted(node, rng)
    if order:
        node.run("sales.reverse_order", order_id=order)


def receive(node: Installation, rng: Random) -> None:
    """Money for a posted order."""
    order = _posted(node, rng)
    if order:
        node.run("finance.receive_payment", order_id=order, amount=f"{rng.randrange(1, 9)}.00")


def meddle(node: Installation, rng: Random) -> None:
    """Try what is not allowed: another branch's document, a posted one. It must be refused, whoever owns it."""
    order = _some(node, rng, "sales_order", f"status = 'posted' OR branch_id <> x'{node.store.node.branch_id}'")
    if order:
        before = node.value("SELECT max(lseq) FROM sync_log")
        for attempt in (
            lambda: node.set("sales_order", order, remark="x"),
            lambda: node.delete("sales_order", order),
            lambda: node.undelete("sales_order", order),
        ):
            with suppress(AppError):
                attempt()
        _agree(node.value("SELECT max(lseq) FROM sync_log") == before, "a foreign or posted order was changed")


def settle(node: Installation, rng: Random) -> None:
    """Settle a conflict, and now and then let a settled one wait again."""
    conflict = _some(node, rng, "conflict", "deleted = 0 AND state = 'open'")
    if conflict:
        node.run("admin.resolve_conflict", id=conflict, keep=rng.choice(["kept", "lost"]))
    if rng.random() < 0.25:
        doubted = _some(node, rng, "conflict", "deleted = 0 AND state = 'resolved'")
        if doubted:
            node.run("admin.reopen_conflict", id=doubted)


# clocks and restarts ------------------------------------------------------------------------------------------------------


def jump(world: World, index: int, rng: Random) -> None:
    """A clock is set, forward or back; head office's only runs on, as its bound on stamps is stated by its own clock."""
    clock = world.clocks[world.node(index).code]
    clock.forward(
        ms=rng.choice([1, 1000, 90_000, 700_000] if index == 0 else [1, -1, 5_000, -5_000, 900_000, -900_000, 40 * DAY, -40 * DAY])
    )


def narrow(world: World, index: int, rng: Random) -> None:
    """Head office decides anew what a branch holds."""
    hq = world.company.hq
    node_sync.set_holds(hq.store, hq.actor, world.branch(index).code, rng.choice([BranchHolds.OWN, BranchHolds.CUSTOMERS, BranchHolds.ALL]))


def restart(world: World, index: int, _rng: Random) -> None:
    """The program is closed and opened."""
    world.node(index).restart()


#: Changes may leave the log however young they are: the clocks of a run hardly move.
_ANY_AGE = -(10**13)


def condense(world: World, index: int, rng: Random) -> None:
    """Changes leave the log for the past, in steps of any size, perhaps not all of them, perhaps without waiting for silent branches."""
    node = world.node(index)
    rule = compaction.Rule(_ANY_AGE, rng.choice([10**13, 10**13, _ANY_AGE]), most=rng.choice([1, 7, 40, 500]))
    for _step in range(rng.choice([1, 3, 1000])):
        if not compaction.compact_some(node.store, rule):
            break


# the post -----------------------------------------------------------------------------------------------------------------


def _file(world: World) -> Path:
    world.files += 1
    return world.folder / f"post-{world.files}"


def write_up(world: World, branch: Installation) -> Path:
    """A branch's file for head office."""
    path = _file(world)
    node_sync.pack(branch.store, branch.keys, path)
    return path


def write_down(world: World, branch: Installation) -> Path:
    """Head office's file for a branch."""
    path, hq = _file(world), world.company.hq
    node_sync.pack(hq.store, hq.keys, path, for_code=branch.code)
    return path


def _person_says(world: World, error: ExchangeError) -> bool:
    """Restored again with a clock that was slow, head office seems the older one: somebody says that it is not."""
    if error.code != "later_office_known" or world.restored_offices < 2:
        return False
    node_sync.take_back(world.company.hq.store, world.company.hq.actor)
    return True


def read_file(world: World, branch: Installation, way: str, path: Path) -> None:
    """A file arrives; one that is too early, or was made before head office was restored, is refused by name and does no harm."""
    target = world.company.hq if way == "up" else branch
    expected = {"gap"} | ({"office_restored", "other_office"} if world.restored_offices else set())
    if way == "down" and branch.store.node.epoch_index:
        expected.add("before_restore")
    try:
        done = node_sync.unpack(target.store, target.keys, path)
    except ExchangeError as error:
        _agree(error.code in expected or _person_says(world, error), f"an exchange file was refused: {error.code} {error}")
    else:
        _agree(not done["quarantined"] or _held(target) <= world.gone, f"honest work was held back: {_held(target) - world.gone}")
        world.exchanges += 1


def by_file(world: World, index: int, rng: Random) -> None:
    """A stick goes to head office and comes back; either way may be lost on the road, and files stay in drawers."""
    branch = world.branch(index)
    drawer = world.post[branch.code]
    with portions(rng):
        up = write_up(world, branch)
        drawer.append(("up", up))
        if rng.random() < 0.85:
            read_file(world, branch, "up", up)
            down = write_down(world, branch)
            drawer.append(("down", down))
            if rng.random() < 0.8:
                read_file(world, branch, "down", down)
    del drawer[:-12]


@contextmanager
def portions(rng: Random) -> Iterator[None]:
    """What is sent is cut in portions of another size each time."""
    usual, extract.PORTION = extract.PORTION, rng.choice([1, 3, 40, 2000])
    try:
        yield
    finally:
        extract.PORTION = usual


def from_drawer(world: World, index: int, rng: Random) -> None:
    """An old file is read, again or out of order."""
    branch = world.branch(index)
    if world.post[branch.code]:
        read_file(world, branch, *rng.choice(world.post[branch.code]))


def by_wire(world: World, index: int, rng: Random) -> None:
    """The HTTP loop, with requests lost or doubled and answers lost after head office has committed."""
    branch, hq = world.branch(index), world.company.hq

    def wire(_url: str, request: Path, answer: Path) -> None:
        luck = rng.random()
        if luck < 0.1:
            raise ExchangeError("no_connection", "lost on the way")
        if rng.random() < 0.2:  # somebody goes on working meanwhile
            work(world, rng.choice([hq, branch]), rng.choice(["edit", "add", "bin_it", "draft", "post"]), rng)
        node_sync.answer_bundle(hq.store, hq.keys, request, answer)
        if luck < 0.25:
            answer.unlink()
            raise ExchangeError("no_connection", "the answer was lost")
        if luck < 0.35:
            node_sync.answer_bundle(hq.store, hq.keys, request, answer)

    original, http.post_bundle = http.post_bundle, wire
    expected = {"no_connection"} | ({"office_restored"} if world.restored_offices else set())
    try:
        with portions(rng):
            node_sync.run(branch.store, branch.keys, url="http://wire")
    except ExchangeError as error:
        _agree(error.code in expected or _person_says(world, error), f"an exchange was refused: {error.code} {error}")
    else:
        world.exchanges += 1
    finally:
        http.post_bundle = original


def damaged(world: World, index: int, rng: Random) -> None:
    """A file that was cut off or altered on the road is refused, and nothing of it is taken in."""
    branch = world.branch(index)
    for way, path in world.post[branch.code][-1:]:
        target = world.company.hq if way == "up" else branch
        data = bytearray(path.read_bytes())
        if rng.random() < 0.5:
            del data[rng.randrange(len(data)) :]
        else:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path = _file(world)
        path.write_bytes(data)
        before = target.rows("SELECT max(lseq) FROM sync_log"), target.rows("SELECT last_hlc FROM sync_ctx")
        with suppress(AppError):
            node_sync.unpack(target.store, target.keys, path)
            raise Broken("a damaged file was read")
        _agree(
            (target.rows("SELECT max(lseq) FROM sync_log"), target.rows("SELECT last_hlc FROM sync_ctx")) == before, "something was read"
        )


# lost disks, copied folders -------------------------------------------------------------------------------------------------


def keep_copy(world: World, index: int, _rng: Random) -> None:
    """Somebody makes a backup."""
    node, path = world.node(index), _file(world)
    backup(node.store, path)
    world.backups[node.code].append(path)


def lose_branch(world: World, index: int, rng: Random) -> None:
    """A branch's disk is lost; a backup of it goes on."""
    branch = world.branch(index)
    if world.backups[branch.code]:
        again = _from_backup(world, branch, rng.choice(world.backups[branch.code]))
        world.company.branches[branch.code] = again


def lose_office(world: World, _index: int, rng: Random) -> None:
    """Head office's disk is lost, a backup goes on, works, and takes back what branches have, as they come."""
    hq = world.company.hq
    if world.backups[hq.code]:
        world.company.hq = _from_backup(world, hq, rng.choice(world.backups[hq.code]))
        world.restored_offices += 1
        node_sync.take_back(world.company.hq.store, world.company.hq.actor)


def _from_backup(world: World, node: Installation, archive: Path) -> Installation:
    """The node as its backup was; work that nobody else has is gone with the disk."""
    lost = _changes(node)
    node.store.close()
    shutil.rmtree(node.folder)
    unpack_backup(archive, node.folder)
    again = Installation(node.folder, node.code, node.keys, node.actor, node.clock)
    _agree(settle_copy(again.store), "a restored folder took itself for the original")
    again.restart()
    others = [other for other in world.company.nodes if other is not node]
    world.gone |= lost - _changes(again).union(*map(_changes, others))
    return again


def _held(node: Installation) -> set[Change]:
    """What was kept out. Out of a drawer may come work on a draft that was posted after the disk with that work was lost."""
    rows = node.rows("SELECT o.node_no, o.epoch, q.oseq FROM sync_quarantine q JOIN sync_origin o ON o.origin = q.origin")
    return {(node_no, epoch, number) for node_no, epoch, number in rows}


def _changes(node: Installation) -> set[Change]:
    booked = "SELECT origin, first_oseq, count FROM sync_tx UNION ALL SELECT origin, first_oseq, count FROM sync_past_span"
    rows = node.rows(f"SELECT o.node_no, o.epoch, t.first_oseq, t.count FROM ({booked}) t JOIN sync_origin o ON o.origin = t.origin")
    return {(node_no, epoch, first + n) for node_no, epoch, first, count in rows for n in range(count)}


def clone(world: World, index: int, rng: Random) -> None:
    """A folder is copied by hand and both go on; the copy comes second and is refused by name, its work is taken for nobody's."""
    branch, clock = world.branch(index), world.clocks[world.branch(index).code]
    branch.store.close()
    copied = world.folder / f"copy-{world.files}"
    shutil.copytree(branch.folder, copied)
    branch.restart()
    copy = Installation(copied, branch.code, branch.keys, branch.actor, branch.clock)
    try:
        work(world, branch, "open_account", rng)
        clock.ms += 60_000
        copy.new("customer", name="副本")
        try:
            read_file(world, branch, "up", write_up(world, branch))
            if world.restored_offices:
                return
            node_sync.unpack(world.company.hq.store, world.company.hq.keys, write_up(world, copy))
        except ExchangeError as error:
            _agree(error.code == "copied_folder", f"a copied folder was refused as {error.code} {error}")
        else:
            raise Broken("a copied folder was not recognised")
    finally:
        copy.store.close()
        shutil.rmtree(copied)


WORK: dict[str, tuple[int, Callable[[Installation, Random], None]]] = {
    "add": (16, add),
    "open_account": (2, open_account),
    "edit": (46, edit),
    "grant": (3, grant),
    "bin_it": (10, bin_it),
    "restore": (8, restore),
    "move_goods": (6, move_goods),
    "draft": (10, draft),
    "rework": (9, rework),
    "post": (8, post),
    "reverse": (3, reverse),
    "receive": (4, receive),
    "meddle": (3, meddle),
    "settle": (6, settle),
}
ROADS: dict[str, tuple[int, Callable[[World, int, Random], None]]] = {
    "by_file": (20, by_file),
    "by_wire": (14, by_wire),
    "from_drawer": (12, from_drawer),
    "jump": (12, jump),
    "restart": (2, restart),
    "narrow": (3, narrow),
    "condense": (8, condense),
    "damaged": (3, damaged),
    "keep_copy": (3, keep_copy),
    "lose_branch": (2, lose_branch),
    "lose_office": (1, lose_office),
    "clone": (1, clone),
}


# running ------------------------------------------------------------------------------------------------------------------


#: Lost disks and copied folders: histories of their own (ADR 0036).
LOST = frozenset({"keep_copy", "lose_branch", "lose_office", "clone"})


def plan(seed: int, steps: int = 200, *, with_lost_disks: bool = False) -> list[Event]:
    """The events of a seed."""
    rng = Random(seed)
    table = {name: weight for name, (weight, _do) in (*WORK.items(), *ROADS.items()) if with_lost_disks or name not in LOST}
    names = rng.choices(list(table), weights=list(table.values()), k=steps)
    return [(name, rng.randrange(1 + len(BRANCHES)), rng.randrange(2**32)) for name in names]


def run(seed: int, events: list[Event]) -> World:
    """Live through the events, let everybody meet, check everything; raises Broken."""
    folder = fast_folder()
    made = world(folder, Random(~seed))
    try:
        for event in events:
            step(made, event)
        come_together(made)
        check_all(made)
        mended = [node.code for node in made.company.nodes if node.value("SELECT count(*) FROM event_log WHERE kind LIKE '%mended'")]
        _agree(not mended, f"{mended}: something was mended that should have arrived by itself")
    finally:
        made.company.close()
        shutil.rmtree(folder, ignore_errors=True)
    return made


def step(world: World, event: Event) -> None:
    """One event; a refusal of ours is an answer, anything else a defect."""
    name, index, seed = event
    for clock in world.clocks.values():
        clock.ms += 7
    rng = Random(seed)
    if name in ROADS:
        ROADS[name][1](world, index, rng)
    else:
        work(world, world.node(index), name, rng)


def work(world: World, node: Installation, name: str, rng: Random) -> None:
    """Somebody does something at a node, and what he was told is saved is remembered."""
    before, known = node.value("SELECT max(lseq) FROM sync_log") or 0, _known(node)
    try:
        WORK[name][1](node, rng)
    except AppError as error:
        _agree(error.code not in {"store", "busy", "no_unit_of_work"}, f"{name}: {error.code} {error}")
    remember(world, node, before, known)


def _known(node: Installation) -> dict[Origin, int]:
    return {(node_no, epoch): have for node_no, epoch, have in node.rows("SELECT node_no, epoch, have_oseq FROM sync_origin")}


def remember(world: World, node: Installation, before: int, known: dict[Origin, int]) -> None:
    """Note every value that the step has saved."""
    rows = node.rows(
        """SELECT l.tbl, l.op, l.pk, l.diff, o.node_no, o.epoch, t.first_oseq + l.lseq - t.first_lseq FROM sync_log l
           JOIN sync_tx t ON t.tx = l.tx JOIN sync_origin o ON o.origin = t.origin WHERE l.lseq > ? ORDER BY l.lseq""",
        before,
    )
    world.busy += bool(rows)
    touched: dict[str, Change] = {}
    for table, op, pk, diff, node_no, epoch, number in rows:
        entity = entity_by_no(table)
        assert entity is not None
        if entity.key == "sales_order":
            touched[pk.hex()] = (node_no, epoch, number)
        if op == UPDATE:
            for column, (_old, new) in parse_diff(entity, diff).items():
                world.writes.append(Write((node_no, epoch, number), entity.key, pk, column, new, known))
    for identity, row in _documents(node).items():
        if identity in touched and (identity not in world.posted or world.posted_by[identity] in world.gone):
            world.posted[identity], world.posted_by[identity] = row, touched[identity]


def _documents(node: Installation) -> dict[str, tuple[Any, ...]]:
    """Posted orders with everything printed on them."""
    found = {}
    for row in node.rows("SELECT * FROM sales_order WHERE status = 'posted' ORDER BY id"):
        lines = node.rows(
            "SELECT id, product_id, quantity, price, net, tax, gross FROM sales_order_line WHERE order_id = ? ORDER BY id", row[1]
        )
        found[row[1].hex()] = (row[1:-1], tuple(lines))  # without the local row number and version
    return found


def come_together(world: World) -> None:
    """Everybody exchanges until a whole round brings nothing new; what branches hold is everything again."""
    for _round in range(6):
        moved = 0
        for code in world.company.branches:  # in each round, as what a branch holds may come back too
            node_sync.set_holds(world.company.hq.store, world.company.hq.actor, code, BranchHolds.ALL)
        for branch in world.company.branches.values():
            for write, target in ((write_up, world.company.hq), (write_down, branch)):
                try:
                    done = node_sync.unpack(target.store, target.keys, write(world, branch))
                except ExchangeError as error:  # either side must hear first that the other one was restored
                    expected = "office_restored" if write is write_up else "before_restore"
                    is_told = (error.code == expected and world.restored_offices > 0) or _person_says(world, error)
                    _agree(is_told, f"{error.code} {error}")
                    moved += 1
                    continue
                _agree(not done["quarantined"] or _held(target) <= world.gone, "honest work was held back")
                moved += done["applied"]
        if not moved:
            return
    raise Broken("six rounds of exchange did not suffice")


def _agree(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


# what must hold --------------------------------------------------------------------------------------------------------------


def check_all(world: World) -> None:
    """Every promise."""
    nodes = world.company.nodes
    arrived = _changes(world.company.hq)
    lost = world.gone - (arrived - _held(world.company.hq))
    world.writes = [write for write in world.writes if write.change not in lost]
    missing = {write.change for write in world.writes} - arrived
    _agree(not missing, f"work that was on a disk is not at head office: {sorted(missing)[:5]}")
    world.posted = {identity: row for identity, row in world.posted.items() if world.posted_by[identity] not in lost}
    digests = {node.code: node_sync.digest(node.store)["tables"] for node in nodes}
    different = sorted({table for of in digests.values() for table in of if of[table] != digests["HQ"][table]})
    _agree(not different, f"tables differ: {', '.join(different)} {_difference(world, different)}")
    for node in nodes:
        _agree(_held(node) <= world.gone, f"{node.code}: honest work was held back")
        _agree(_log(node) == _log(world.company.hq), f"{node.code}: the log is not that of head office")
        _check_totals(node)
        _agree(_documents(node) == world.posted, f"{node.code}: posted orders have changed")
    _check_stamps(world)
    _check_numbers(world.company.hq)
    _check_writes(world)
    holes = _holes(arrived)
    _agree(holes <= lost, f"the log of head office lacks what is on a disk: {sorted(holes - lost)[:5]}")
    problems = [(node.code, problem.code, problem.message) for node in nodes for problem in _problems(node)]
    told = [problem for problem in problems if not (holes and problem[1] == "sequence_hole")]  # where work is gone, the check says so
    _agree(not told, f"check finds {told}")


def _holes(changes: set[Change]) -> set[Change]:
    """The numbers below the highest of each origin that are not there."""
    highest: dict[tuple[int, bytes], int] = {}
    for node_no, epoch, number in changes:
        highest[node_no, epoch] = max(number, highest.get((node_no, epoch), 0))
    return {(*origin, number) for origin, most in highest.items() for number in range(1, most)} - changes


def _problems(node: Installation) -> list[check.Problem]:
    with node.store.read() as connection:
        return check.find_problems(connection)


def _difference(world: World, tables: list[str]) -> str:
    for table in tables:
        base = {row[1]: row[2:-1] for row in world.company.hq.rows(f'SELECT * FROM "{table}"')}
        for node in world.company.branches.values():
            for row in node.rows(f'SELECT * FROM "{table}"'):
                if base.get(row[1]) != row[2:-1]:
                    return f"{table} {row[1].hex()}: HQ {base.get(row[1])} {node.code} {row[2:-1]}"
    return ""


def _log(node: Installation) -> dict[Change, tuple[Any, ...]]:
    """Every change by its identity, as this node has it."""
    nodes = _origins(node)
    with node.store.read() as connection:
        # What was kept out, and what was forgotten, are empty places.
        changes = [change for change in all_changes(connection) if change.op != VOID]
    names = {change.lseq: (*nodes[change.tx.origin], change.oseq) for change in changes}
    return {
        names[c.lseq]: (c.table, c.op, c.pk, _plain(c.table, c.op, c.diff), names.get(c.prev or 0), c.tx.hlc, c.tx.eff_hlc, c.tx.actor)
        for c in changes
    }


def _origins(node: Installation) -> dict[int, tuple[int, bytes]]:
    return {origin: (node_no, epoch) for origin, node_no, epoch in node.rows("SELECT origin, node_no, epoch FROM sync_origin")}


def _plain(table: int, op: int, diff: str | None) -> Any:
    entity = entity_by_no(table)
    if diff is None or entity is None:
        return None
    if op == UPDATE:
        return parse_diff(entity, diff)
    import json

    return {no: value for no, value in json.loads(diff).items() if value is not None}


def _check_totals(node: Installation) -> None:
    for entity in entities():
        for total in entity.totals:
            columns = ", ".join(f'"{key}"' for key in (*total.by, "total"))
            kept = set(node.rows(f'SELECT {columns} FROM "{total.name}" WHERE total <> 0'))
            _agree(kept == {row for row in node.rows(total_select(entity, total)) if row[-1]}, f"{node.code}: {total.name} is not the sum")


def _check_stamps(world: World) -> None:
    hq = world.company.hq
    newest = max(order[0] for order in _total_order(hq).values())
    limit = hq.clock.now_ms() + ADMISSION_TOLERANCE_MS + 1000
    _agree(newest >> 16 <= limit, "head office admitted a stamp from the future")


def _check_numbers(node: Installation) -> None:
    series: dict[str, list[int]] = defaultdict(list)
    for table in ("sales_order", "receipt", "customer"):
        for (number,) in node.rows(f'SELECT number FROM "{table}" WHERE number IS NOT NULL'):
            head, _dash, tail = number.rpartition("-")
            series[head].append(int(tail))
    for head, numbers in series.items():
        _agree(sorted(numbers) == list(range(1, len(numbers) + 1)), f"{head}: {sorted(numbers)}")


def _check_writes(world: World) -> None:
    """No value is lost: it is live, or was replaced by somebody who had seen it, or a conflict shows it."""
    hq = world.company.hq
    order = _total_order(hq)
    shown: dict[tuple[str, str, str], set[str | None]] = defaultdict(set)
    for row in hq.rows("SELECT entity, record, field, kept, lost FROM conflict WHERE kind = 'overwritten'"):
        shown[row[:3]].update(row[3:])
    noted = {row[:2] for row in hq.rows("SELECT entity, record FROM conflict WHERE kind = 'deleted_edited'")}
    cells: dict[tuple[str, bytes, int], list[Write]] = defaultdict(list)
    for write in world.writes:
        cells[write.entity, write.pk, write.column].append(write)
    for (key, pk, column), writes in cells.items():
        entity = next(e for e in entities() if e.key == key)
        if entity.kind is Kind.LINE or key == "conflict":
            continue
        name = "deleted" if column == DELETED_NO else entity.by_no[column].key
        live = hq.value(f'SELECT "{name}" FROM "{key}" WHERE id = ?', pk)
        newest = max(writes, key=lambda write: order[write.change])
        _agree(live == newest.value, f"{key}.{name}: the newest value {newest.value!r} is not live, {live!r} is")
        if column == DELETED_NO or world.restored_offices:  # what comes back is not judged a second time: row 6
            continue
        for write in writes:
            replaced = any(other.had_seen(write) for other in writes if other is not write)
            text = _as_text(entity, column, write.value)
            _agree(
                write.value == live or replaced or text in shown[key, pk.hex(), name],
                f"{key}.{name}: the value {write.value!r} of {write.change} is lost without a trace",
            )
    if not world.restored_offices:
        _check_deletions(world, cells, noted, order)


def _check_deletions(
    world: World, cells: dict[tuple[str, bytes, int], list[Write]], noted: set[tuple[str, str]], order: dict[Change, Any]
) -> None:
    """Work on a record that somebody else deleted meanwhile is pointed out."""
    deleted = {
        (key, pk): max(writes, key=lambda write: order[write.change]) for (key, pk, column), writes in cells.items() if column == DELETED_NO
    }
    for (key, pk, column), writes in cells.items():
        deletion = deleted.get((key, pk))
        if column == DELETED_NO or deletion is None or not deletion.value or key in {"conflict", "sales_order"}:
            continue
        for write in writes:
            apart = not deletion.had_seen(write) and not write.had_seen(deletion)
            _agree(not apart or (key, pk.hex()) in noted, f"{key} {pk.hex()}: edited apart from its deletion, and nobody is told")


def _as_text(entity: Any, column: int, value: Any) -> str | None:
    from localcrm.sync.conflicts import as_text

    return as_text(entity.by_no[column], value)


def _total_order(hq: Installation) -> dict[Change, tuple[Any, ...]]:
    nodes = _origins(hq)
    with hq.store.read() as connection:
        return {
            (*nodes[change.tx.origin], change.oseq): (change.tx.eff_hlc, *nodes[change.tx.origin], change.oseq)
            for change in all_changes(connection)
        }


# making a failing run small ---------------------------------------------------------------------------------------------------


def shrink(seed: int, events: list[Event], *, tries: int = 150) -> list[Event]:
    """Drop events as long as it still breaks."""
    size = max(1, len(events) // 2)
    while size and tries:
        start = 0
        while start < len(events) and tries:
            tries -= 1
            fewer = events[:start] + events[start + size :]
            if _breaks(seed, fewer):
                events = fewer
            else:
                start += size
        size //= 2
    return events


def _breaks(seed: int, events: list[Event]) -> bool:
    try:
        run(seed, events)
    except Exception:  # noqa: BLE001 -- whatever it is, a smaller run that still shows it is what we look for
        return True
    return False
