"""Who writes next, and for how long: people who save wait for one short portion of a merge, never for the whole of it."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a portion works, as a rule; its commit comes on top.
BUDGET = 0.015
#: Changes of the first portion, of the smallest, and of the largest one.
_FIRST, _LEAST, _MOST = 500, 250, 2000


class Turns:
    """A lock that goes to whoever has waited longest; the thread that has it may take it again.

    With a lock of Python's, who lets go and asks again at once, as a merge does between portions, nearly always gets it back first.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[tuple[int, threading.Lock]] = deque()
        self._owner: int | None = None
        self._depth = 0

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for who has the turn to give it up."""
        return bool(self._waiting)

    def __enter__(self) -> None:
        me, gate = threading.get_ident(), threading.Lock()
        with self._guard:
            if self._owner in {None, me}:
                self._owner, self._depth = me, self._depth + 1
                return
            gate.acquire()
            self._waiting.append((me, gate))
        try:
            gate.acquire()
        except BaseException:  # interrupted: whoever waits behind must not wait for somebody who went away
            with self._guard:
                has_turn = (me, gate) not in self._waiting
                if not has_turn:
                    self._waiting.remove((me, gate))
            if has_turn:
                self.__exit__()
            raise

    def __exit__(self, *_error: object) -> None:
        with self._guard:
            self._depth -= 1
            if self._depth == 0:
                self._owner = None
                if self._waiting:
                    self._owner, gate = self._waiting.popleft()
                    self._depth = 1
                    gate.release()


class Pace:
    """How many changes a portion of a merge has: as many as the time for one allows, judged by those before it.

    It is the thread's own time: on a machine that has much else to do, smaller portions would only give it more to do.
    """

    def __init__(self, timer: Callable[[], float] = time.thread_time) -> None:
        self.size = _FIRST
        self.now = timer

    def took(self, changes: int, seconds: float) -> None:
        """Learn from a portion that wrote so many changes in that time; one hiccup at most halves the next portion."""
        if changes * 2 >= self.size:  # what little is left over at an end says nothing about the rest
            fitting = int(changes * BUDGET / max(seconds, 1e-9))
            self.size = min(max(fitting, self.size // 2, _LEAST), self.size * 2, _MOST)
