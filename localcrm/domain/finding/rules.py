"""What a user looked for lately, newest first, as one text; and how far back "changed lately" reaches."""

from __future__ import annotations

import json
from collections.abc import Mapping

from localcrm.kernel.i18n import N_

#: Searches that are remembered, and how long one may be.
MOST_RECENT, LONGEST = 10, 100
#: Spans of time by the days they reach back; 0: whenever.
PERIODS: Mapping[int, str] = {
    0: N_("Changed at any time"),
    1: N_("Changed in 24 hours"),
    7: N_("Changed in 7 days"),
    30: N_("Changed in 30 days"),
    365: N_("Changed in a year"),
}


def read_recent(kept: str) -> list[str]:
    """Searches as they were kept; what this program did not write is none."""
    try:
        found = json.loads(kept) if kept else []
    except ValueError:
        return []
    texts = [one for one in found if isinstance(one, str) and one.strip()] if isinstance(found, list) else []
    return [one[:LONGEST] for one in texts[:MOST_RECENT]]


def with_recent(kept: str, text: str) -> str:
    """The same with one more search in front; one that was there moves up, and what it was typed on from goes."""
    text = " ".join(text.split())[:LONGEST]
    older = read_recent(kept)
    if text:
        older = [text, *(one for one in older if one.casefold() != text.casefold())]
    return json.dumps(older[:MOST_RECENT], ensure_ascii=False)
