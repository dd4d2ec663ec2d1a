"""The rules of the merge stated once more, in plain dictionaries: fast enough for two hundred thousand histories.

Nothing of the program is used here. Where the program derives from ``prev`` links what an author had seen, the model knows it: every
change carries how far its author had heard of everybody. A history is a list of events that mean the same whatever else happens, so
events can be dropped to make a failing one small, and the same list can be lived through by real data files
(``test_model.py`` compares). A red run names its seed; to look at it: ``python -c "from tests.sync import model as m; m.live(SEED)"``.

Kinds of row: "card" (columns and the register of deletion, the later stamp wins), "move" (ledger), "paper" (document of one branch:
draft, then posted for ever), "conflict" (written by head office, settled by anybody, never opened again).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

BRANCHES = 3
COLUMNS = ("phone", "address", "remark")
NOON = 1_795_176_000_000
BUILD = 1_793_491_200_000
DAY = 86_400_000
TOLERANCE = 600_000
MAX_JUMP = 366 * DAY
SKEWS = (0, 0, 0, -40_000, 35_000, 500_000, -3_600_000, 3_600_000, 300 * DAY, -8_000 * DAY, 30 * 365 * DAY)

Event = tuple[Any, ...]
Origin = tuple[int, int]  # node, epoch
Identity = tuple[int, int, int]  # node, epoch, number
Row = tuple[str, Any]


@dataclass(frozen=True)
class Rules:
    """What may be broken on purpose, to see that the checks notice."""

    later_wins: bool = True
    lowers_the_future: bool = True
    restored_is_new: bool = True
    notes_conflicts: bool = True
    refuses_gaps: bool = True
    knows_duplicates: bool = True
    tells_lowered_stamps: bool = True
    posted_stays: bool = True
    tells_copies_apart: bool = True
    catches_up_after_restore: bool = True
    refuses_files_for_its_former_self: bool = True


class Broken(AssertionError):
    """A promise that did not hold."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change as its author made it."""

    origin: Origin
    number: int
    row: Row
    values: tuple[tuple[str, Any], ...]
    hlc: int
    known: dict[Origin, int]
    """How much of everybody's work the author had."""
    is_new: bool = False

    @property
    def identity(self) -> Identity:
        return (*self.origin, self.number)

    def had_seen(self, other: Change) -> bool:
        """Whether the author knew another change."""
        return self.known.get(other.origin, 0) >= other.number or (self.origin == other.origin and self.number > other.number)


@dataclass
class Node:
    """One data folder."""

    number: int
    epoch: int = 0
    hlc: int = 0
    cursor: int = 0
    behind: bool = False
    """Restored, and not heard head office since."""
    log: list[Change] = field(default_factory=list)
    stamps: dict[Identity, int] = field(default_factory=dict)
    """Of every change here: the stamp that counts."""
    have: dict[Origin, int] = field(default_factory=dict)
    acked: dict[Origin, int] = field(default_factory=dict)
    touching: dict[tuple[Row, str], list[Change]] = field(default_factory=dict)
    rows: dict[Row, dict[str, Any]] = field(default_factory=dict)

    def copy(self) -> Node:
        """The folder as it is now."""
        made = copy(self)
        made.log, made.stamps, made.have, made.acked = list(self.log), dict(self.stamps), dict(self.have), dict(self.acked)
        made.touching = {cell: list(changes) for cell, changes in self.touching.items()}
        made.rows = {row: dict(values) for row, values in self.rows.items()}
        return made

    @property
    def origin(self) -> Origin:
        """As whom this node writes."""
        return (self.number, self.epoch)

    def total(self, change: Change) -> tuple[int, Identity]:
        """Place in the order that decides."""
        return (self.stamps[change.identity], change.identity)

    def winner(self, row: Row, column: str) -> Change | None:
        """Whose value is live."""
        return max(self.touching.get((row, column), ()), key=self.total, default=None)

    def take(self, change: Change, stamp: int, *, later_wins: bool = True) -> None:
        """Put a change at the end of the log, and its values where they win."""
        self.log.append(change)
        self.stamps[change.identity] = stamp
        self.have[change.origin] = max(self.have.get(change.origin, 0), change.number)
        self.hlc = max(self.hlc, stamp)
        live = self.rows.setdefault(change.row, {})
        for column, value in change.values:
            self.touching.setdefault((change.row, column), []).append(change)
            if not later_wins or self.winner(change.row, column) is change:
                live[column] = value


@dataclass(frozen=True)
class Up:
    """What a branch sends: who it is, which of its own epochs it knows, how far it has come, its own changes in portions."""

    branch: int
    epoch: int
    knows: set[Origin]
    cursor: int
    portions: list[list[Change]]


@dataclass(frozen=True)
class Down:
    """What head office sends, made for one epoch of the branch: what it has of it, stamps it lowered, portions (after number, up to number,
    changes with stamps).
    """

    made_for: int
    have: dict[Origin, int]
    newest: dict[Origin, int]
    lowered: dict[Identity, int]
    portions: list[tuple[int, int, list[tuple[Change, int]]]]


@dataclass
class Peer:
    """A branch as head office knows it."""

    epoch: int = -1
    knows: set[Origin] = field(default_factory=set)
    """Epochs that the present one comes after: it has heard of them."""
    cursor: int = 0


class World:
    """A company, its clocks, its post."""

    def __init__(self, skews: list[int], rules: Rules = Rules(), *, begun: int = NOON << 16) -> None:
        self.rules = rules
        self.clocks = [NOON + skew for skew in skews]
        self.nodes = [Node(number, hlc=begun) for number in range(1, BRANCHES + 2)]
        self.peers = [Peer() for _node in self.nodes]
        self.drawers: list[list[Up | Down]] = [[] for _node in self.nodes]
        self.copies: list[Node | None] = [None for _node in self.nodes]
        self.epochs = [0 for _node in self.nodes]
        self.all: dict[Identity, Change] = {}
        """Everything somebody was told is saved."""
        self.gone: set[Identity] = set()
        """Work that was on one disk only when that disk was lost."""
        self.last_admitted: dict[Origin, int] = {}

    @property
    def office(self) -> Node:
        return self.nodes[0]

    # time ------------------------------------------------------------------------------------------------------------

    def tick(self, node: Node, step: int) -> int:
        """The next stamp of a node."""
        wall = self.clocks[node.number - 1]
        last = node.hlc >> 16
        if wall < BUILD or (last >= BUILD and wall - last > MAX_JUMP):
            return max(node.hlc, BUILD << 16) + step
        return max(node.hlc + step, wall << 16)

    # work ------------------------------------------------------------------------------------------------------------

    def write(self, node: Node, row: Row, *, step: int | None = None, stamp: int | None = None, new: bool = False, **values: Any) -> None:
        """One change of one row; what is so already is no change."""
        now = node.rows.get(row, {})
        values = {column: value for column, value in values.items() if new or now.get(column) != value}
        if not values:
            return
        made = stamp if stamp is not None else self.tick(node, step or step_of(node.number))
        known = dict(node.have)
        change = Change(node.origin, known.get(node.origin, 0) + 1, row, tuple(values.items()), made, known, new)
        node.take(change, made)
        self.all[change.identity] = change

    def add(self, at: int, name: int) -> None:
        """A card."""
        self.write(self.nodes[at], ("card", name), new=True, deleted=False)

    def edit(self, at: int, name: int, column: str, value: str) -> None:
        """One column of a card that lies open."""
        row = ("card", name)
        if self.nodes[at].rows.get(row, {}).get("deleted") is False:
            self.write(self.nodes[at], row, **{column: value})

    def bin(self, at: int, name: int, deleted: bool) -> None:
        """Into the bin, or out of it."""
        if self.nodes[at].rows.get(("card", name), {}).get("deleted") is not None:
            self.write(self.nodes[at], ("card", name), deleted=deleted)

    def move(self, at: int, name: int, quantity: int) -> None:
        """A movement of stock."""
        self.write(self.nodes[at], ("move", name), new=True, quantity=quantity)

    def draft(self, at: int, name: int) -> None:
        """A document of this branch."""
        self.write(self.nodes[at], ("paper", name), new=True, owner=at, posted=False, text="")

    def text(self, at: int, name: int, value: str) -> None:
        """Its owner writes into a draft."""
        now = self.nodes[at].rows.get(("paper", name), {})
        if now.get("owner") == at and not (now["posted"] and self.rules.posted_stays) and not self.nodes[at].behind:
            self.write(self.nodes[at], ("paper", name), text=value)

    def post(self, at: int, name: int) -> None:
        """Its owner posts it; after a restore only once its own lost work is back."""
        now = self.nodes[at].rows.get(("paper", name), {})
        if now.get("owner") == at and not now["posted"] and not self.nodes[at].behind:
            self.write(self.nodes[at], ("paper", name), posted=True, print=now["text"])

    def settle(self, at: int, place: int) -> None:
        """Somebody settles one of the conflicts he sees."""
        seen = sorted(row for row in self.nodes[at].rows if row[0] == "conflict")
        if seen:
            self.write(self.nodes[at], seen[place % len(seen)], state="resolved")

    def jump(self, at: int, by_ms: int) -> None:
        """Somebody sets a clock."""
        self.clocks[at] += by_ms

    # the exchange ----------------------------------------------------------------------------------------------------

    def send(self, at: int, size: int, arrive_up: int, arrive_down: int) -> None:
        """A branch exchanges; of what is said either way, ``arrived`` tells what comes."""
        up = self.say_up(self.nodes[at], size)
        self.drawers[at].append(up)
        if self.hear_up(up, arrive_up):
            down = self.say_down(at, size)
            self.drawers[at].append(down)
            self.hear_down(self.nodes[at], down, arrive_down)
        del self.drawers[at][:-8]

    def replay(self, at: int, place: int) -> None:
        """An old file is read once more, or too early."""
        drawer = self.drawers[at]
        if drawer:
            file = drawer[place % len(drawer)]
            if isinstance(file, Up):
                self.hear_up(file, 99)
            else:
                self.hear_down(self.nodes[at], file, 99)

    def say_up(self, branch: Node, size: int) -> Up:
        """Everything own that is not acknowledged, the oldest epoch first."""
        own = [c for c in branch.log if c.origin[0] == branch.number and c.number > branch.acked.get(c.origin, 0)]
        own.sort(key=lambda change: (change.origin, change.number))
        portions = [
            own_of[start : start + size]
            for origin in sorted({change.origin for change in own})
            for own_of in ([change for change in own if change.origin == origin],)
            for start in range(0, len(own_of), size)
        ]
        knows = {origin for origin in branch.have if origin[0] == branch.number}
        return Up(branch.number - 1, branch.epoch, knows, branch.cursor, portions)

    def hear_up(self, up: Up, arrive: int) -> bool:
        """Head office takes in what a branch says; False where it refuses it, or nothing came."""
        if not arrive:
            return False
        self.meet(up)
        for portion in arrived(up.portions, arrive):
            fresh = []
            for change in portion:
                have = self.office.have.get(change.origin, 0)
                if self.rules.refuses_gaps and change.number > have + 1 and not fresh:
                    return False
                if self.rules.knows_duplicates and change.number <= have:
                    if self.rules.tells_copies_apart and self.all_known(change) != change.hlc:
                        return False
                    continue
                fresh.append(change)
            self.admit(fresh)
        return True

    def all_known(self, change: Change) -> int:
        """The stamp under which this number is known."""
        return next(known.hlc for known in reversed(self.office.log) if known.identity == change.identity)

    def meet(self, up: Up) -> None:
        """Another epoch starts where it says it is; one that today's knows says nothing. Two that do not know of each other take turns."""
        peer = self.peers[up.branch]
        is_other = up.epoch != peer.epoch
        if is_other and (up.branch + 1, up.epoch) in peer.knows:
            return
        starts_over = is_other and self.rules.catches_up_after_restore
        peer.knows = up.knows if is_other else peer.knows | up.knows
        peer.epoch, peer.cursor = up.epoch, up.cursor if starts_over else max(peer.cursor, up.cursor)

    def admit(self, fresh: list[Change]) -> None:
        """Stamps from the future are lowered, what was done apart is noted."""
        found: list[tuple[Any, ...]] = []
        office = self.office
        for change in fresh:
            wall, last = self.clocks[0], self.last_admitted.get(change.origin, 0)
            fits = (change.hlc >> 16) <= wall + TOLERANCE and change.hlc > last
            stamp = change.hlc if fits or not self.rules.lowers_the_future else self.tick(office, 1)
            self.last_admitted[change.origin] = stamp
            if change.row[0] == "paper" and office.rows.get(change.row, {}).get("posted") and self.rules.posted_stays:
                change = replace(change, values=())  # kept out; its number stays taken
            before = {column: list(office.touching.get((change.row, column), ())) for column, _value in change.values}
            office.take(change, stamp, later_wins=self.rules.later_wins)
            if change.row[0] == "card" and not change.is_new and self.rules.notes_conflicts:
                found += self.overwritten(change, before)
                found += self.deleted_edited(change)
        stamp = self.tick(office, step_of(1))
        for told in found:
            self.write(office, ("conflict", len(self.all)), stamp=stamp, new=True, told=told, state="open")

    def overwritten(self, change: Change, before: dict[str, list[Change]]) -> Iterator[tuple[Any, ...]]:
        """Another value that its author had not seen."""
        for column, value in change.values:
            unseen = [other for other in before[column] if not change.had_seen(other)]
            if column == "deleted" or not unseen:
                continue
            other = max(unseen, key=self.office.total)
            if dict(other.values)[column] != value:
                winner = self.office.winner(change.row, column)
                assert winner is not None
                lost = other if winner is change else change
                yield ("overwritten", change.row, column, dict(winner.values)[column], dict(lost.values)[column])

    def deleted_edited(self, change: Change) -> Iterator[tuple[Any, ...]]:
        """Deleted at one place, edited at the other."""
        office, row = self.office, change.row
        if not office.rows[row]["deleted"]:
            return
        others = {
            other.identity: other
            for column in (*COLUMNS, "deleted")
            for other in office.touching.get((row, column), ())
            if not other.is_new and other is not change and not change.had_seen(other)
        }.values()
        if dict(change.values).get("deleted"):
            told = any(set(dict(other.values)) - {"deleted"} for other in others)
        else:
            told = bool(set(dict(change.values)) - {"deleted"}) and any(dict(other.values).get("deleted") for other in others)
        if told:
            yield ("deleted_edited", row)

    def say_down(self, at: int, size: int) -> Down:
        """Everything after the branch's cursor but what it made in its present epoch."""
        office, peer = self.office, self.peers[at]
        own = {origin: have for origin, have in office.have.items() if origin[0] == at + 1}
        lowered = {
            c.identity: office.stamps[c.identity]
            for c in office.log[peer.cursor :]
            if c.origin[0] == at + 1 and office.stamps[c.identity] != c.hlc
        }
        portions, upto = [], peer.cursor
        while upto < len(office.log):
            changes, start = [], upto
            while upto < len(office.log) and len(changes) < size:
                change = office.log[upto]
                upto += 1
                if change.origin != (at + 1, peer.epoch):
                    changes.append((change, office.stamps[change.identity]))
            portions.append((start, upto, changes))
        newest = {
            origin: next(c.hlc for c in reversed(office.log) if c.origin == origin and c.number == have) for origin, have in own.items()
        }
        return Down(peer.epoch, own, newest, lowered if self.rules.tells_lowered_stamps else {}, portions)

    def hear_down(self, branch: Node, down: Down, arrive: int) -> bool:
        """A branch takes in what head office says; False where it refuses it, or nothing came."""
        if not arrive:
            return False
        mine = {change.identity: change.hlc for change in branch.log if change.origin[0] == branch.number}
        for origin, have in down.have.items():
            if mine.get((*origin, have), down.newest[origin]) != down.newest[origin] and self.rules.tells_copies_apart:
                return False
            branch.acked[origin] = max(branch.acked.get(origin, 0), min(have, branch.have.get(origin, 0)))
        for identity, stamp in down.lowered.items():
            if identity in branch.stamps:
                branch.stamps[identity] = stamp
        if down.lowered:
            branch.hlc = max(branch.stamps.values(), default=0)  # what was read from a wrong clock counts no more
        if branch.epoch != down.made_for and self.rules.refuses_files_for_its_former_self:
            return False
        for start, upto, changes in arrived(down.portions, arrive):
            if start > branch.cursor and self.rules.refuses_gaps:
                return False
            for change, stamp in changes:
                if change.identity not in branch.stamps or not self.rules.knows_duplicates:
                    branch.take(change, stamp, later_wins=self.rules.later_wins)
            branch.cursor = max(branch.cursor, upto)
        branch.behind = branch.behind and 0 < arrive <= len(down.portions)
        return True

    # copies and backups ----------------------------------------------------------------------------------------------

    def keep(self, at: int) -> None:
        """A backup of a branch."""
        self.copies[at] = self.nodes[at].copy()

    def restore(self, at: int) -> None:
        """A branch's disk is lost, its backup goes on under a new epoch."""
        kept, lost = self.copies[at], self.nodes[at]
        if kept is None:
            return
        again = self.nodes[at] = kept.copy()
        again.behind = True
        if self.rules.restored_is_new:
            self.epochs[at] += 1
            again.epoch = self.epochs[at]
            again.have[again.origin] = 0
        elsewhere = {identity for node in self.nodes for identity in node.stamps}
        self.gone |= lost.stamps.keys() - elsewhere

    def clone(self, at: int, name: int) -> None:
        """A copied folder comes second: refused, and none of its work is taken for work that arrived."""
        branch = self.nodes[at]
        second = branch.copy()
        self.write(branch, ("card", name), new=True, deleted=False)
        self.hear_up(self.say_up(branch, 99), 99)
        known = dict(self.all)
        self.clocks[at] += 50
        self.write(second, ("card", -name), step=step_of(at + 1) + 1, new=True, deleted=False)
        self.all = known
        if self.hear_up(self.say_up(second, 99), 99):
            raise Broken("a copied folder was not recognised")


def arrived(portions: list[Any], arrive: int) -> list[Any]:
    """What comes of portions when so much is heard before the line breaks, the greeting counted; below zero, all but that one."""
    return portions[: arrive - 1] if arrive > 0 else [*portions[: -arrive - 1], *portions[-arrive:]]


def step_of(number: int) -> int:
    """How far the stamps of a node go ahead where its clock does not decide."""
    return 1 + 7 * number


# histories ------------------------------------------------------------------------------------------------------------

_WEIGHTS = {
    "add": 5, "edit": 22, "bin": 7, "move": 4, "draft": 3, "text": 4, "post": 3, "settle": 3,
    "jump": 5, "send": 26, "replay": 8, "keep": 3, "restore": 3, "clone": 1,
}  # fmt: skip
#: What real files can be asked to do with nothing around it.
COMPARED = {"add", "edit", "bin", "move", "jump", "send", "replay", "keep", "restore"}


def plan(seed: int, steps: int = 70, *, only: set[str] | None = None) -> tuple[list[int], list[Event]]:
    """Clocks and events of a seed."""
    rng = Random(seed)
    names = [name for name in _WEIGHTS if only is None or name in only]
    chosen = rng.choices(names, weights=[_WEIGHTS[name] for name in names], k=steps)
    skews = [rng.choice((0, 0, -90_000, 240_000)), *(rng.choice(SKEWS) for _branch in range(BRANCHES))]
    return skews, [("add", 0, 0), ("add", 0, 1), *(_event(name, number, rng) for number, name in enumerate(chosen, 2))]


def _event(name: str, number: int, rng: Random) -> Event:
    at, some = rng.randrange(BRANCHES + 1), rng.choice((0, 0, 0, 1, 1, rng.randrange(number)))
    away = rng.randrange(1, BRANCHES + 1)
    whole = rng.random() < 0.6
    details: dict[str, Callable[[], Event]] = {
        "add": lambda: (at, number),
        "edit": lambda: (at, some, rng.choice(COLUMNS), f"{rng.randrange(4)}"),
        "bin": lambda: (at, some, rng.random() < 0.6),
        "move": lambda: (at, number, rng.randrange(1, 9)),
        "draft": lambda: (at, number % 6),
        "text": lambda: (at, rng.randrange(6), f"{rng.randrange(9)}"),
        "post": lambda: (at, rng.randrange(6)),
        "settle": lambda: (at, rng.randrange(9)),
        "jump": lambda: (at, rng.choice((1000, 90_000, 700_000) if at == 0 else (5_000, -5_000, 900_000, -900_000, 40 * DAY, -40 * DAY))),
        "send": lambda: (away, rng.choice((1, 2, 5, 99)), 99 if whole else rng.randrange(-3, 5), 99 if whole else rng.randrange(-3, 5)),
        "replay": lambda: (away, rng.randrange(8)),
        "keep": lambda: (away,),
        "restore": lambda: (away,),
        "clone": lambda: (away, number),
    }
    return (name, *details[name]())


def run(skews: list[int], events: list[Event], rules: Rules = Rules(), *, begun: int = NOON << 16) -> World:
    """Live through the events, let everybody meet, check; raises Broken."""
    world = World(skews, rules, begun=begun)
    for name, *details in events:
        world.clocks = [clock + 7 for clock in world.clocks]
        if name == "draft" and ("paper", details[1]) in {row for change in world.all.values() for row in (change.row,)}:
            continue  # a name is given once
        getattr(world, name)(*details)
    come_together(world)
    check(world)
    return world


def come_together(world: World) -> None:
    """Everybody exchanges until nothing is missing."""
    for _round in range(2):
        for at in range(1, BRANCHES + 1):
            world.send(at, 99, 99, 99)


def check(world: World) -> None:
    """Every promise."""
    office = world.office
    lost = world.gone - office.stamps.keys()
    made = {identity: change for identity, change in world.all.items() if identity not in lost}
    _agree(set(made) == set(office.stamps), "work that was saved did not arrive, or what nobody did is there")
    for node in world.nodes:
        _agree(len(node.log) == len(node.stamps), f"{node.number}: a change is there twice")
        _agree(node.stamps == office.stamps, f"{node.number}: other changes, or other stamps")
        _agree(node.rows == office.rows, f"{node.number}: other rows")
        _agree(sum(row["quantity"] for (kind, _n), row in node.rows.items() if kind == "move") == _moved(made), "sums differ")
    _agree(
        max(office.stamps.values(), default=0) >> 16 <= max(world.clocks[0], NOON + 240_000) + TOLERANCE + 1000,
        "a stamp from the future stayed",
    )
    papers = [row for (kind, _name), row in office.rows.items() if kind == "paper"]
    _agree(all(row["print"] == row["text"] for row in papers if row["posted"]), "a posted document was changed")
    _check_writes(office, made)


def _moved(made: dict[Identity, Change]) -> int:
    return sum(dict(change.values)["quantity"] for change in made.values() if change.row[0] == "move")


def _check_writes(office: Node, made: dict[Identity, Change]) -> None:
    told = [row["told"] for (kind, _n), row in office.rows.items() if kind == "conflict"]
    shown = {(row, column, value) for kind, row, *rest in told if kind == "overwritten" for column, *both in (rest,) for value in both}
    noted = {row for kind, row, *_rest in told if kind == "deleted_edited"}
    cards = [change for change in made.values() if change.row[0] == "card" and not change.is_new]
    for change in cards:
        row = office.rows[change.row]
        for column, value in change.values:
            rivals = [other for other in cards if other.row == change.row and other is not change and column in dict(other.values)]
            if column == "deleted":
                newest = max((change, *rivals), key=office.total)
                _agree(row["deleted"] == dict(newest.values)["deleted"], "the newest word about a deletion does not stand")
                continue
            fine = row[column] == value or any(other.had_seen(change) for other in rivals) or (change.row, column, value) in shown
            _agree(fine, f"{change.row} {column}: {value} of {change.identity} is lost without a trace")
            deletion = max((c for c in cards if c.row == change.row and "deleted" in dict(c.values)), key=office.total, default=None)
            if deletion is not None and dict(deletion.values)["deleted"]:
                apart = not deletion.had_seen(change) and not change.had_seen(deletion)
                _agree(not apart or change.row in noted, f"{change.row}: edited apart from its deletion, and nobody is told")


def _agree(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


# looking for one that fails, and making it small --------------------------------------------------------------------------


def live(seed: int, rules: Rules = Rules(), *, steps: int = 70) -> None:
    """One seed; raises Broken with the shortest history found that still breaks."""
    skews, events = plan(seed, steps)
    error = breaks(skews, events, rules)
    if error is not None:
        fewer = shrink(events, lambda some: breaks(skews, some, rules) is not None)
        raise Broken(f"seed {seed}: {error}\nclocks {skews}\nthese {len(fewer)} events break too ({breaks(skews, fewer, rules)}):\n{fewer}")


def breaks(skews: list[int], events: list[Event], rules: Rules = Rules()) -> Exception | None:
    """What goes wrong, if anything does."""
    try:
        run(skews, events, rules)
    except Exception as error:  # noqa: BLE001 -- whatever it is belongs into the report
        return error
    return None


def shrink(events: list[Event], still_breaks: Callable[[list[Event]], bool], *, tries: int = 2000) -> list[Event]:
    """Drop events, many at once and then one by one, as long as it still breaks."""
    size = max(1, len(events) // 2)
    while size and tries > 0:
        start, dropped = 0, False
        while start < len(events) and tries > 0:
            tries -= 1
            fewer = events[:start] + events[start + size :]
            if still_breaks(fewer):
                events, dropped = fewer, True
            else:
                start += size
        if not (dropped and size == 1):
            size //= 2
    return events
