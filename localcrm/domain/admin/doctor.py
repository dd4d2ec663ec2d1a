"""The whole examination of a data folder, the same for the command and the screen: the file, the system log, and rights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from localcrm.domain.people import signing
from localcrm.store import search_follows
from localcrm.store.check import check

if TYPE_CHECKING:
    from localcrm.store.store import Store


def examine(store: Store, log_key: bytes | None, *, repair: bool = False) -> dict[str, Any]:
    """What is wrong, as ``store.check`` answers; ``repair`` first puts back rights that somebody changed past head office."""
    if repair:
        with store.merging() as connection:
            signing.put_back(store, connection)
    signing.examine(store)
    search_follows.follow(store)  # what it has yet to follow could not be told from damage
    return check(store, repair=repair, log_key=log_key, others=(partial(signing.problems, store),))
