"""What an exchange costs those who wait for it: with nothing to say, as data grow, and for people who work at head office meanwhile.

Nothing new: round trips and bytes of the bundles both ways. As data grow: branches come in turn, ten times each, with a tenth of their
work; merging the last tenth against merging the first. Meanwhile: a branch's work is merged by one thread, while the loop that serves
screens ticks every millisecond in another, and a third saves a record every 20 milliseconds: from asking for its turn to its commit.

    python bench/exchange.py [BRANCHES [CHANGES [CHANGES MERGED WHILE OTHERS WAIT]]]
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import threading
import time
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from _company import CUSTOMER, People, history, work
from _measure import Figure, folder, office, show

from localcrm.domain.admin.services import set_up_office
from localcrm.store import search_follows
from localcrm.store.turns import Pace
from localcrm.sync import codec, http, node_sync
from localcrm.sync.extract import own_changes
from localcrm.sync.identity import NodeKeys
from localcrm.sync.merge import admit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

ROUNDS = 10


def measure(branches: int = 10, changes: int = 3_000, waiting: int = 60_000) -> list[Figure]:
    """Round trips and bytes; the ratio; the waits. ``changes`` are those of one branch, ``waiting`` those that somebody waits for."""
    with folder() as place:
        trips, size = quiet(place / "quiet")
        spent = growing(place / "growing", branches, changes)
        loop, saves, step = meanwhile(place / "meanwhile", waiting)
    return [
        Figure("an exchange with nothing new, round trips", trips, "", goal=2),
        Figure("an exchange with nothing new, both ways", size, "B", goal=4096),
        Figure(f"{branches} branches × {changes:,} changes: merging the last tenth / the first", spent[-1] / spent[0], goal=1.3),
        Figure("merging the last tenth, changes a second", branches * changes / ROUNDS / spent[-1], "/s"),
        Figure("the loop that serves screens, longest stall during a merge", loop * 1000, "ms", goal=50),
        Figure("the longest step of a merge, during which nobody else saves, CPU", step * 1000, "ms", goal=50),
        Figure("a save at head office during a merge, median", statistics.median(saves) * 1000, "ms", goal=50),
        Figure("a save at head office during a merge, 99 of 100 within", saves[len(saves) * 99 // 100] * 1000, "ms", goal=50),
        Figure("a save at head office during a merge, longest", saves[-1] * 1000, "ms"),
    ]


def quiet(place: Path) -> tuple[int, int]:
    """Requests, and bytes both ways, of an exchange after which nobody knows more than before."""
    place.mkdir()
    head, head_keys = office(place / "hq"), NodeKeys.generate()
    admin = set_up_office(head, login="admin", name="admin", password="bench-secret-1")
    branch, keys = office(place / "br01", code="BR01", role="branch"), NodeKeys.generate()
    request = node_sync.join(branch, keys, node_sync.invite(head, head_keys, admin, code="BR01"))
    assert request is not None
    node_sync.join(branch, keys, node_sync.approve(head, head_keys, admin, request))
    work(branch, history(200), actor=admin.user_id)
    sizes: list[int] = []

    def post(_url: str, said: Path, answer: Path) -> None:
        node_sync.answer_bundle(head, head_keys, said, answer)
        sizes.append(said.stat().st_size + answer.stat().st_size)

    usual, http.post_bundle = http.post_bundle, post
    try:
        node_sync.run(branch, keys, url="http://office")
        sizes.clear()
        done = node_sync.run(branch, keys, url="http://office")
    finally:
        http.post_bundle = usual
    assert (done["sent"], done["received"], done["digest"]) == (0, 0, "equal")
    for store in (head, branch):
        store.close()
    return len(sizes), sum(sizes)


def growing(place: Path, branches: int, changes: int) -> list[float]:
    """CPU seconds of each round in which every branch brings a tenth of its work."""
    place.mkdir()
    brought = [_work_of(place / f"br{number}", changes, number) for number in range(branches)]
    head = office(place / "hq")
    spent = []
    for turn in range(ROUNDS):
        begun = time.process_time()
        for number, portions in enumerate(brought, 2):
            for data in portions[turn]:
                _admit(head, data, number)
            search_follows.follow(head)
        spent.append(time.process_time() - begun)
    with head.read() as connection:
        assert connection.value("SELECT count(*) FROM sync_quarantine") == 0
    head.close()
    return spent


def _work_of(place: Path, changes: int, seed: int, turns: int = ROUNDS) -> list[list[bytes]]:
    """What a branch sends when it comes so often with its work; in portions."""
    store = office(place)
    everything = list(history(changes, seed=seed))
    position, sent = 0, []
    for turn in range(turns):
        work(store, everything[turn * len(everything) // turns : (turn + 1) * len(everything) // turns])
        portions, more = [], True
        while more:
            with store.read() as connection:
                portion = own_changes(connection, 1, position)
            portions.append(codec.encode_batch(portion.batch))
            position, more = portion.upto, portion.more
        sent.append(portions)
    store.close()
    shutil.rmtree(place)  # 300 of them would not fit beside head office's file
    return sent


def _admit(head: Store, data: bytes, number: int) -> None:
    batch = codec.decode_batch(data)
    batch.origins[0] = (number, batch.origins[0][1])
    admit(head, batch, sender_no=number, sender_code=f"BR{number:02d}")


class _Watched(Pace):
    """Remembers the longest step: from the beginning of the last portion of a transaction, after which somebody may have been found
    waiting, until it was committed; CPU seconds.
    """

    longest = begun = 0.0

    def took(self, changes: int, seconds: float) -> None:
        """Learn as usual."""
        self.begun = self.now() - seconds
        super().took(changes, seconds)

    def until_committed(
        self, merging: Callable[[], AbstractContextManager[Connection]]
    ) -> Callable[[], AbstractContextManager[Connection]]:
        """The same transaction, watched."""

        @contextmanager
        def watched() -> Iterator[Connection]:
            with merging() as connection:
                yield connection
            self.longest = max(self.longest, self.now() - self.begun)

        return watched

    def throughout(self, writing: Callable[[], AbstractContextManager[Connection]]) -> Callable[[], AbstractContextManager[Connection]]:
        """A transaction of which all is watched."""

        @contextmanager
        def watched() -> Iterator[Connection]:
            begun = self.now()
            with writing() as connection:
                yield connection
            self.longest = max(self.longest, self.now() - begun)

        return watched


def meanwhile(place: Path, changes: int) -> tuple[float, list[float], float]:
    """While work was merged: for how long at most the loop of the screens stood still, what each save took, the shortest first, and the CPU
    time of the longest step.

    Seconds. The first two are wall time and grow on a busy machine; the third does not, and nobody writes during it.
    """
    place.mkdir()
    (brought,) = _work_of(place / "branch", changes, 1, turns=1)
    head = office(place / "hq")
    people = People(seed=7)
    identity = people.identity()
    with head.unit_of_work(None) as uow:
        uow.insert(CUSTOMER, people.customer(), identity=identity)
    head.pace = pace = _Watched()
    head.merging = pace.until_committed(head.merging)  # type: ignore[method-assign]
    head.housekeeping = pace.throughout(head.housekeeping)  # type: ignore[method-assign]
    finished, waits = threading.Event(), list[float]()

    def merge() -> None:
        for data in brought:
            _admit(head, data, 2)
        search_follows.follow(head)
        finished.set()

    def save() -> None:
        number = 0
        while not finished.is_set():
            begun, number = time.perf_counter(), number + 1
            with head.unit_of_work(None) as uow:
                uow.update(CUSTOMER, identity, {"phone": f"1{number:010d}"})
            waits.append(time.perf_counter() - begun)
            time.sleep(0.02)

    async def tick() -> float:
        longest, last = 0.0, time.perf_counter()
        while not finished.is_set():
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        return longest

    with _threads(merge, save):
        stall = asyncio.run(tick())
    head.close()
    return stall, sorted(waits), pace.longest


@contextmanager
def _threads(*works: Callable[[], None]) -> Iterator[None]:
    threads = [threading.Thread(target=each) for each in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
