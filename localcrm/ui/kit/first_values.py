"""What a text field begins with comes with the field, and is not sent once more behind it.

NiceGUI sends the value of a text field again whenever the server sets it, also in the moment in which the field is made. The message comes after
the field: whoever has typed something by then, which a quick hand does, has it taken back. ``Input`` offers no way to say that a value is its first one,
so its own step is replaced here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from nicegui.client import Client
from nicegui.elements.input import Input

#: Pages whose answer has not left: all that is set goes with it.
_built: WeakSet[Client] = WeakSet()
_make, _changed = Input.__init__, Input._handle_value_change  # noqa: SLF001 -- see above


@contextmanager
def being_built(client: Client) -> Iterator[None]:
    """While a page is made that nobody sees yet."""
    _built.add(client)
    try:
        yield
    finally:
        _built.discard(client)


def _begin(self: Any, *args: Any, **options: Any) -> None:
    _make(self, *args, **options)
    self.lc_drawn = False  # it leaves with the next turn of the loop at the earliest
    try:
        asyncio.get_running_loop().call_soon(setattr, self, "lc_drawn", True)
    except RuntimeError:
        self.lc_drawn = True


def _change(self: Any, value: Any) -> None:
    if getattr(self, "lc_drawn", False) and self.client not in _built:
        _changed(self, value)
    else:
        super(Input, self)._handle_value_change(value)


def send_values_once() -> None:
    """Call once, before any page is made."""
    Input.__init__, Input._handle_value_change = _begin, _change  # type: ignore[method-assign] # noqa: SLF001 -- see above
