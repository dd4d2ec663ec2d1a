"""Who writes next: in the order of asking, also against somebody who asks again and again."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from localcrm.store.turns import BUDGET, Pace, Turns

if TYPE_CHECKING:
    from collections.abc import Callable


def _waiting(turns: Turns, work: Callable[[], None]) -> threading.Thread:
    """A thread that waits for its turn to do something."""
    before = len(turns._waiting)

    def wait() -> None:
        with turns:
            work()

    thread = threading.Thread(target=wait)
    thread.start()
    until = time.monotonic() + 5
    while len(turns._waiting) == before and time.monotonic() < until:
        time.sleep(0.001)
    assert len(turns._waiting) == before + 1
    return thread


def test_who_lets_go_and_asks_again_at_once_does_not_overtake_who_waits():
    turns, order = Turns(), list[str]()
    with turns:
        saver = _waiting(turns, lambda: order.append("save"))
    with turns:
        order.append("next portion")
    saver.join(5)
    assert order == ["save", "next portion"]


def test_turns_come_in_the_order_of_asking():
    turns, order = Turns(), list[int]()
    with turns:
        threads = [_waiting(turns, lambda number=number: order.append(number)) for number in range(6)]
    for thread in threads:
        thread.join(5)
    assert order == list(range(6))


def test_who_has_the_turn_may_take_it_again_and_gives_it_up_once():
    turns, done = Turns(), threading.Event()
    with turns:
        with turns:
            thread = _waiting(turns, done.set)
        assert not done.is_set()
    thread.join(5)
    assert done.is_set()


def test_a_turn_is_given_up_when_its_work_fails():
    turns = Turns()
    with pytest.raises(ValueError), turns:
        raise ValueError
    done = threading.Event()
    thread = threading.Thread(target=lambda: [turns.__enter__(), done.set(), turns.__exit__()])
    thread.start()
    thread.join(5)
    assert done.is_set()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers of that kind here")
def test_nobody_waits_for_one_who_was_interrupted_while_waiting():
    turns, leave, done = Turns(), threading.Event(), threading.Event()
    entered = threading.Event()

    def hold() -> None:
        with turns:
            entered.set()
            leave.wait(5)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(5)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            turns.__enter__()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    behind = _waiting(turns, done.set)
    leave.set()
    for thread in (holder, behind):
        thread.join(5)
    assert done.is_set()


def test_portions_become_as_large_as_their_time_allows():
    pace = Pace()
    for _ in range(10):
        pace.took(pace.size, pace.size * BUDGET / 800)  # a machine that does 800 in the time
    assert pace.size == 800


def test_one_hiccup_does_not_make_portions_tiny_and_nothing_makes_them_huge():
    pace = Pace()
    pace.size = 1000
    pace.took(1000, 60.0)
    assert pace.size == 500
    for _ in range(10):
        pace.took(pace.size, 60.0)
    assert pace.size == 250
    for _ in range(10):
        pace.took(pace.size, 0.0)
    assert pace.size == 2000


def test_what_little_is_left_over_or_was_here_already_says_nothing():
    pace = Pace()
    size = pace.size
    pace.took(3, 1.0)
    pace.took(0, 0.0)
    assert pace.size == size
