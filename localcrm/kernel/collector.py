"""Python's collector of cycles, where it would only be in the way."""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Between asking whether it is at work and putting it to rest nobody may wake it: it would never be woken again.
_turn = threading.Lock()


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep the collector from looking again and again at what work makes by ten thousands and gives back as a whole.

    For work that makes no cycles, also as a decorator. What other threads leave behind meanwhile is collected afterwards; where two such
    works of one process overlap, the collector is at work again as soon as the one that put it to rest ends.
    """
    with _turn:
        was_at_work = gc.isenabled()
        gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            with _turn:
                gc.enable()
