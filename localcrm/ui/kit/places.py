"""Which line of a list is chosen, when the list is read anew."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def place_of(keys: Sequence[Hashable], chosen: Hashable | None, at: int) -> int:
    """Where the chosen one stands now; was it taken away, the line nearest to where it stood; 0 in an empty list.

    Ask for ``chosen`` after the list was read, not before: keys are pressed while it is read, and the next one
    must meet the line that the screen shows as chosen.
    """
    if chosen is not None and chosen in keys:
        return keys.index(chosen)
    return max(0, min(at, len(keys) - 1))
