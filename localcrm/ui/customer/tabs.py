"""A tab of the chosen customer: it says what it counts, reads and draws; the workbench shows those that its user may see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcrm.kernel.i18n import gettext
from localcrm.store.connection import Connection

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One tab.

    read: what it shows of a customer (by id), in a worker thread, with the rights of the session · draw: puts that on the page ·
    count: the number beside its name · shows: kinds of records whose changes draw it anew · only_if_any: hidden while it counts nothing.
    """

    id: str
    label_msgid: str
    read: Callable[[Session, Connection, str], Any]
    draw: Callable[[Workbench, Any], None]
    permission: str = "customer.read"
    count: Callable[[Session, Connection, str], int] | None = None
    shows: frozenset[str] = frozenset()
    only_if_any: bool = False

    @property
    def label(self) -> str:
        """Name in the language of the moment."""
        return gettext(self.label_msgid)


@dataclass(frozen=True, slots=True)
class Found:
    """Of one customer: the tabs to show, their counts, the one that is open and what it reads."""

    customer: str
    title: str
    tabs: Sequence[Tab]
    counts: dict[str, int]
    open: Tab
    content: Any


def look(session: Session, connection: Connection, tabs: Sequence[Tab], identity: str, title: str, wanted: str) -> Found:
    """What the workbench shows of a customer: every count, and what the wanted tab reads, or the first where there is no such tab."""
    counts = {tab.id: tab.count(session, connection, identity) for tab in tabs if tab.count}
    shown = [tab for tab in tabs if not tab.only_if_any or counts[tab.id]]
    chosen = next((tab for tab in shown if tab.id == wanted), shown[0])
    return Found(identity, title, shown, counts, chosen, chosen.read(session, connection, identity))
