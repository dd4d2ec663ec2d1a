"""A batch in portions that are merged one after the other, so that people who save meanwhile get their turn (``store.turns``)."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from localcrm.sync.codec import Batch, Changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localcrm.store.turns import Pace
    from localcrm.sync.codec import Tx


def portions(batch: Batch, pace: Pace) -> Iterator[tuple[Batch, bool]]:
    """Parts of about the size that ``pace`` has when they are asked for, and of each whether it is the last one; at least one part.

    What somebody did at once stays together, however much it is: a document without its lines is nobody's work. Of this program's own doing
    that is some hundred changes (an import writes 500 rows at a time); of anybody's, ``codec.MAX_CHANGES``.
    """
    txs, changes = batch.txs, Changes.of(batch.changes)
    first_tx = first = 0
    while True:
        left = len(changes) - first
        wanted = ceil(left / max(1, ceil(left / pace.size)))  # parts of one size, rather than a small one at the end
        after_tx, after = first_tx, first
        while after_tx < len(txs) and (after - first < wanted or _is_one(txs, after_tx)):
            after += txs[after_tx].count
            after_tx += 1
        is_last = after_tx == len(txs)
        yield Batch(batch.origins, txs[first_tx:after_tx], changes.part(first, after)), is_last
        if is_last:
            return
        first_tx, first = after_tx, after


def _is_one(txs: Sequence[Tx], place: int) -> bool:
    """Whether a transaction goes on with the one before it: where something is hidden from the receiver, it is told in pieces."""
    before, tx = txs[place - 1], txs[place]
    return (before.origin, before.hlc) == (tx.origin, tx.hlc)
