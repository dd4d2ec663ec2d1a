"""Python's collector of cycles, where it would only be in the way."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep the collector from looking again and again at what work makes by ten thousands and gives back as a whole.

    For work that makes no cycles, also as a decorator. What other threads leave behind meanwhile is collected afterwards; where two such
    works of one process overlap, the collector is at work again as soon as the one that put it to rest ends.
    """
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()
