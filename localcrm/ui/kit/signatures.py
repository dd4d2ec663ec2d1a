"""Whether a handler wants an argument is asked of each method once.

NiceGUI asks it for three parts of every element that is made, of the same few methods, and ``inspect`` takes its time to answer: it was a
third of what making a page costs.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any
from weakref import WeakKeyDictionary

from nicegui import helpers

_ask = helpers.expects_arguments
_known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def _expects_arguments(func: Callable[..., Any]) -> bool:
    if not isinstance(func, MethodType):
        return _ask(func)
    found = _known.get(func.__func__)
    if found is None:
        found = _known[func.__func__] = _ask(func)
    return found


def ask_once() -> None:
    """Call once, before any page is made."""
    helpers.expects_arguments = _expects_arguments
