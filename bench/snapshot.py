"""What it costs a branch to take all of head office's data as one file, against opening the same bundle and copying the file, and against the log.

Head office has a log of mixed changes with their history. Its exchange file for the branch is read by the production code: signature,
decryption, examination, digests, tables, indexes, one transaction, and the search index that follows. The floor opens the same bundle, writes the file that is in
it and copies it once. The log is the same data told change by change.

    python bench/snapshot.py [CHANGES]
"""

from __future__ import annotations

import shutil
import sys
import time
from functools import partial
from pathlib import Path

from _company import history, work
from _measure import Figure, folder, office, rotated, show

from localcrm.domain.admin.services import set_up_office
from localcrm.store import search_follows
from localcrm.store.node import Node, save_node
from localcrm.store.store import create_store, open_store
from localcrm.sync import messages, node_sync, snapshot
from localcrm.sync.identity import NodeKeys


def measure(changes: int = 100_000, *, rounds: int = 3) -> list[Figure]:
    """Ratios of CPU time, and what the file weighs."""
    with folder() as place:
        keys = _company(place)
        hub = open_store(place / "HQ")
        work(hub, list(history(changes)))
        spent = {}
        for way, least in (("snapshot", 1), ("log", sys.maxsize)):
            snapshot.LEAST_CHANGES, snapshot.LEAST_PART = least, 0
            start = time.process_time()
            node_sync.pack(hub, keys[0], place / way, for_code="BR01")
            spent[way] = time.process_time() - start
        hub.close()
        best = rotated(
            {
                "floor": partial(_floor, place, keys[1]),
                "snapshot": partial(_take, place, keys[1], "snapshot"),
                "log": partial(_take, place, keys[1], "log"),
                "before": partial(_without_index, place, keys[1]),
            },
            rounds=rounds,
        )
        sizes = {way: (place / way).stat().st_size for way in spent}
    return [
        Figure("snapshot taken / its bundle opened and the file copied", best["snapshot"] / best["floor"], goal=1.5),
        Figure("the same until the data are there, before the search index follows", best["before"] / best["floor"]),
        Figure("snapshot taken / the same told by the log", best["snapshot"] / best["log"], goal=0.5),
        Figure("snapshot written / the same written from the log", spent["snapshot"] / spent["log"]),
        Figure("snapshot, bytes a change", sizes["snapshot"] / changes, "B"),
        Figure("log, bytes a change", sizes["log"] / changes, "B"),
    ]


def _company(place: Path) -> tuple[NodeKeys, NodeKeys]:
    """Head office and a branch that has joined it, before anything was done; their keys."""
    keys = NodeKeys.generate(), NodeKeys.generate()
    hub = office(place / "HQ")
    actor = set_up_office(hub, login="admin", name="admin", password="Haus-und-Hof-42")
    branch = create_store(place / "BR01")
    with branch.housekeeping() as connection:
        save_node(connection, Node(bytes(16), "BR01", "BR01", "branch", 0, bytes(8), 0))
    request = node_sync.join(branch, keys[1], node_sync.invite(hub, keys[0], actor, code="BR01"))
    node_sync.join(branch, keys[1], node_sync.approve(hub, keys[0], actor, request or b""))
    hub.close()
    branch.close()
    return keys


def _take(place: Path, keys: NodeKeys, way: str) -> float:
    """A branch reads head office's file; only that is timed."""
    branch = place / "taking"
    shutil.rmtree(branch, ignore_errors=True)
    shutil.copytree(place / "BR01", branch)
    store = open_store(branch)
    start = time.process_time()
    outcome = node_sync.unpack(store, keys, place / way)
    spent = time.process_time() - start
    assert outcome["digest"] == "equal"
    assert store.meta("digest.differs") == ""
    store.close()
    return spent


def _floor(place: Path, keys: NodeKeys) -> float:
    store = open_store(place / "BR01")
    start = time.process_time()
    with node_sync._open(store, keys, place / "snapshot") as opened, (place / "data").open("wb") as file:  # noqa: SLF001 -- the same opening
        for message in map(messages.decode, opened):
            if isinstance(message, messages.SnapshotPart):
                file.write(message.data)
    shutil.copyfile(place / "data", place / "copy")
    spent = time.process_time() - start
    store.close()
    return spent


def _without_index(place: Path, keys: NodeKeys) -> float:
    """The same, but the search index does not follow."""
    usual, search_follows.follow = search_follows.follow, lambda _store: None
    try:
        return _take(place, keys, "snapshot")
    finally:
        search_follows.follow = usual


if __name__ == "__main__":
    show(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
