"""Finding areas while they are typed."""

from __future__ import annotations

from localcrm.domain.areas import BETWEEN, areas, in_order, short_name
from localcrm.store import pinyin

_MOST = 12


def find_areas(text: str, limit: int = _MOST) -> list[str]:
    """Areas for what was typed, by characters in their order, first letters or pinyin; those whose own name begins so first."""
    wanted = BETWEEN.sub("", text).casefold()
    if not wanted:
        return [area for area in areas() if "/" not in area][:limit]
    fits = _spelled if wanted.isascii() else in_order

    def rank(area: str) -> tuple[bool, bool, int]:
        name = short_name(area.rpartition("/")[2])
        return not fits(name[: len(wanted)], wanted), not fits(name, wanted), area.count("/")

    return sorted((area for area in areas() if fits(short_name(area), wanted) or fits(area.replace("/", ""), wanted)), key=rank)[:limit]


def _spelled(area: str, wanted: str) -> bool:
    return wanted.isalpha() and (pinyin.written_by_initials(area, wanted) or pinyin.read_aloud(area, wanted))
