"""What an exported list says of itself: by which query it was made, and as of when. It stands where an import does not read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from localcrm.domain import conditions
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.queries import kept_queries
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.ui.search_centre.coverage import coverage, in_short

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Bytes of a file's name that every system takes, without its suffix; and what none takes in it.
_LONGEST = 200
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')


@dataclass(frozen=True, slots=True)
class Note:
    """``query``: its name, "" for a whole list · ``at``: when it was made · ``text``: all of it, with as of when others' work is known."""

    kind: EntityType
    query: str
    at: datetime
    text: str

    def file_name(self, suffix: str) -> str:
        """A name that says the same in short."""
        name = " ".join(part for part in (self.kind.label[:30], self.query[:30], f"{self.at.astimezone():%Y-%m-%d %H%M}") if part)
        return f"{_NOT_IN_NAMES.sub(' ', name).strip().encode()[:_LONGEST].decode(errors='ignore')}.{suffix}"


def note_of(session: Session, kind: EntityType, tree: Mapping[str, Any] | None, *, search: str = "", narrowed: bool = False) -> Note:
    """What a list says that was narrowed by a query, a text that was searched for, or filters of its columns (``narrowed``)."""
    now = now_utc()
    query = _query_name(session, kind, tree) if tree else ""
    found = [_("Query: {name}").format(name=query)] if query else []
    found += [_("Searched for: {text}").format(text=search.strip())] if search.strip() else []
    found += [_("narrowed by filters of the list")] if narrowed else []
    text = " · ".join([kind.label, *(found or [_("the whole list")]), in_short(coverage(session.store), now)])
    return Note(kind, query, now, text)


def _query_name(session: Session, kind: EntityType, tree: Mapping[str, Any]) -> str:
    """What a query is called: one that the program brings along, or one that this user has; others are conditions of his own."""
    for preset in conditions.PRESETS.get(kind.key, {}).values():
        if preset.tree == tree:
            return _(preset.label)
    if kind is Customer.entity_type:
        with session.store.read() as connection:
            kept = kept_queries(connection, session.actor, session.store.node)
        if name := next((one.name for one in kept if one.tree == tree), ""):
            return name
    return _("own conditions")
