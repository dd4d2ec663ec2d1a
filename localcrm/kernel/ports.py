"""What lower rooms need from higher ones, as protocols that ``app`` binds.

Nobody below ``sync`` imports it: a service that has to know about the exchange asks through a port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Changes:
    """What one transaction changed; raised after commit, never before.

    ids: entity key → ids of the rows (None: too many to name, assume all) · fields: entity key → fields touched ·
    remote: the rows came by a merge or from another program on the same file.
    """

    ids: Mapping[str, frozenset[str] | None]
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    remote: bool = False

    def touches(self, entity: str, identity: str | None = None) -> bool:
        """Whether a screen that shows this entity (or this one record) must look again."""
        if entity not in self.ids:
            return False
        ids = self.ids[entity]
        return identity is None or ids is None or identity in ids


Listener = Callable[[Changes], None]
