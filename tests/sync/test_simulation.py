"""A hundred seeded histories of five nodes; each ends with everybody holding the same, and nothing lost.

A red run names its seed and the shortest list of events found that still breaks. To look at it:
``python -c "from tests.sync import simulation as s; s.run(SEED, EVENTS)"``.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback

import pytest

from tests.sync import simulation

SEEDS, STEPS = 100, 150
SOAK_SEEDS = 2000


def live(seeds: range, steps: int, *, with_lost_disks: bool = False) -> str | None:
    """Run seeds until one breaks; returns what to print about it."""
    for seed in seeds:
        events = simulation.plan(seed, steps, with_lost_disks=with_lost_disks)
        try:
            simulation.run(seed, events)
        except Exception:  # noqa: BLE001 -- whatever it is belongs into the report
            first = traceback.format_exc()
            fewer = simulation.shrink(seed, events)
            return f"seed {seed} breaks, with these {len(fewer)} events too:\n{fewer}\n\n{first}"
    return None


def live_apart(seeds: int, steps: int) -> None:
    """Divide the seeds among two processes; fails with the report of the first that broke."""
    workers = int(os.environ.get("SIMULATION_WORKERS") or min(2, os.cpu_count() or 1))
    portions = [range(start, seeds, workers) for start in range(workers)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        reports = pool.starmap(live, [(portion, steps) for portion in portions])
        pool.close()
        pool.join()
    broken = [report for report in reports if report]
    if broken:
        pytest.fail("\n\n".join(broken), pytrace=False)


@pytest.mark.slow
def test_a_hundred_histories():
    live_apart(SEEDS, STEPS)


@pytest.mark.soak
def test_two_thousand_histories():
    live_apart(SOAK_SEEDS, STEPS)


@pytest.mark.soak
def test_histories_with_lost_disks():
    assert live(range(200), STEPS, with_lost_disks=True) is None


@pytest.mark.parametrize("seed", [45, 46, 68, 88])
def test_histories_with_lost_disks_that_broke_once(seed):
    """What each showed stands in ADR 0036."""
    assert live(range(seed, seed + 1), STEPS, with_lost_disks=True) is None


@pytest.mark.parametrize(
    ("seed", "events"),
    [
        pytest.param(
            352,
            [
                ("draft", 0, 493659037), ("edit", 4, 2149943616), ("by_file", 3, 3477510396), ("move_goods", 4, 464642431),
                ("edit", 4, 661792239), ("edit", 4, 801925329), ("narrow", 3, 3494978560), ("by_wire", 3, 2751951728),
                ("from_drawer", 3, 212805086), ("by_file", 3, 4193067032),
            ],
            id="an old file was compared with what a branch holds since",
        ),
        pytest.param(
            501,
            [
                ("narrow", 3, 2098877678), ("draft", 4, 2297004134), ("draft", 1, 2085402305), ("by_wire", 0, 1772690319),
                ("by_file", 3, 1218445303), ("post", 4, 4068390685), ("by_file", 3, 1828595418), ("by_wire", 3, 1502736236),
                ("from_drawer", 3, 2079670960),
            ],
            id="an old file was compared with work that had reached head office after it",
        ),
    ],
)  # fmt: skip
def test_histories_that_broke_once(seed, events):
    simulation.run(seed, events)


def test_a_few_histories_in_this_process():
    assert live(range(10_000, 10_003), 60) is None


def test_a_history_says_the_same_again():
    """Otherwise a seed would be worth nothing."""
    first, again = (simulation.run(7, simulation.plan(7, 60)) for _n in range(2))
    assert [(write.entity, write.column, write.known) for write in first.writes] == [
        (write.entity, write.column, write.known) for write in again.writes
    ]


def test_a_broken_merge_is_noticed_and_made_small(monkeypatch):
    """The oracle earns its keep: without the rule of the later stamp it finds a difference, and few events show it."""
    from localcrm.sync.conflicts import Conflicts

    monkeypatch.setattr(Conflicts, "decide", lambda _self, _entity, _pk, mine: mine.diff)
    seed, events = next((seed, simulation.plan(seed, 80)) for seed in range(20) if simulation._breaks(seed, simulation.plan(seed, 80)))
    fewer = simulation.shrink(seed, events, tries=60)
    with pytest.raises(simulation.Broken):
        simulation.run(seed, fewer)
    assert len(fewer) < len(events)
