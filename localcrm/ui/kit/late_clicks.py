"""A click on what has just been drawn anew counts.

While a part of a page is drawn anew the browser shows the part before for a moment. A click in that moment names an element that is gone, and
NiceGUI drops it: who clicked sees nothing happen. So what was taken away is remembered for a moment, and a click on it does what it would have
done; once, for whoever clicks the same thing twice means it once. It happens in the nearest place that still stands. Only clicks: what was typed
or ticked in a field that is gone is gone with it. The framework offers no such thing, so two of its steps are wrapped here.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui.client import Client

if TYPE_CHECKING:
    from nicegui.element import Element
    from nicegui.event_listener import EventListener
    from nicegui.slot import Slot

#: Seconds that a click may be late.
GRACE_SECONDS = 3.0
_CLICKS = frozenset({"click", "dblclick"})


@dataclass(frozen=True, slots=True)
class _Gone:
    """An element that was taken away: what listened to clicks on it, and the places it stood in, innermost first."""

    at: float
    element: Element
    listeners: Mapping[str, EventListener]
    places: tuple[tuple[Element, Slot], ...]


_remove, _handle = Client.remove_elements, Client.handle_event


# Kept with the page itself: what listens may name the page, which a table of all pages would then hold for good.
def _gone(client: Client) -> dict[int, _Gone]:
    found: dict[int, _Gone] = vars(client).setdefault("lc_gone", {})
    return found


def _used(client: Client) -> set[int]:
    found: set[int] = vars(client).setdefault("lc_used", set())
    return found


def _keep(self: Client, elements: Iterable[Element]) -> None:
    removed, now = list(elements), time.monotonic()
    kept, used = _gone(self), _used(self)
    for identity in [identity for identity, one in kept.items() if now - one.at > GRACE_SECONDS]:
        del kept[identity]
    for element in removed:
        listeners = {key: one for key, one in element._event_listeners.items() if one.type.split(".")[0] in _CLICKS}  # noqa: SLF001 -- see above
        if listeners and element.id not in used:
            kept[element.id] = _Gone(now, element, listeners, tuple(_places(element)))
        used.discard(element.id)
    _remove(self, removed)


def _places(element: Element) -> Iterable[tuple[Element, Slot]]:
    slot = element.parent_slot
    while slot is not None:
        yield slot.parent, slot
        slot = slot.parent.parent_slot


def _hear(self: Client, msg: dict[str, Any]) -> None:
    identity, listener = msg.get("id"), msg.get("listener_id")
    element = self.elements.get(identity) if isinstance(identity, int) else None
    if element is not None:
        heard = element._event_listeners.get(str(listener))  # noqa: SLF001 -- see above
        if heard is not None and heard.type.split(".")[0] in _CLICKS:
            _used(self).add(element.id)
        _handle(self, msg)
        return
    late = _gone(self).pop(identity, None) if isinstance(identity, int) else None
    if late is None or listener not in late.listeners or time.monotonic() - late.at > GRACE_SECONDS:
        return
    place = next((slot for parent, slot in late.places if not parent.is_deleted), self.layout.default_slot)
    element = late.element
    element._parent_slot = weakref.ref(place)  # noqa: SLF001 -- see above
    element._event_listeners.update(late.listeners)  # noqa: SLF001 -- see above
    self.elements[element.id] = element
    try:
        _handle(self, msg)
    finally:
        self.elements.pop(element.id, None)
        element._event_listeners.clear()  # noqa: SLF001 -- see above


def hear_late_clicks() -> None:
    """Call once, before any page is made."""
    Client.remove_elements, Client.handle_event = _keep, _hear  # type: ignore[method-assign]
