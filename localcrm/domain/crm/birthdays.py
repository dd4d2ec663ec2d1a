"""Birthdays by the sun or by the moon: how a lunar one is typed and said, and on which day a birthday is kept next.

A lunar birthday is kept as one text ("08-15", "leap 04-08"), so that it merges as one value. Where a contact has both, the lunar one
is the one that is kept, as is the custom; the other still tells the age.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from localcrm.domain.typed import in_every_language
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.lunar import LunarDay, kept_on
from localcrm.store.query import Condition
from localcrm.store.tree import All, Either, Node

#: What the months and days of the lunar calendar are called, in their order.
_MONTHS = N_("1|2|3|4|5|6|7|8|9|10|11|12")
_DAYS = N_("1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26|27|28|29|30")
#: Other words for some of them: m and the number of a month, d and that of a day, = and the word.
_ALSO = N_("m1=1|d1=1")
_LEAP, _LUNAR, _MONTH, _DAY = N_("leap"), N_("lunar"), N_("month"), N_("day")
_KEPT = re.compile(r"(leap )?(\d\d)-(\d\d)", re.ASCII)
#: As far ahead as a birthday is looked for: a leap month's last day included, there is one in every lunar year.
_AHEAD = 420


def read_lunar(text: str) -> str:
    """A lunar day as it is typed ("八月十五", "闰四月初八", "8-15", "leap 4-8") in its one spelling. Raises InvalidInput("bad_lunar_day")."""
    plain = "".join(unicodedata.normalize("NFKC", text).casefold().split())
    for word in _words(_LUNAR):
        plain = plain.removeprefix(word)
    leap = next((word for word in _words(_LEAP) if plain.startswith(word)), "")
    month, day = _parts(plain.removeprefix(leap))
    if not (1 <= month <= 12 and 1 <= day <= 30):
        raise InvalidInput(
            "bad_lunar_day",
            N_("“{value}” is not a day of the lunar calendar (write 8-15, or leap 4-8)."),
            value=text[:40],
            field="lunar_birthday",
        )
    return write_lunar(LunarDay(month, day, bool(leap)))


def write_lunar(day: LunarDay) -> str:
    """The spelling that is kept."""
    return f"{'leap ' if day.leap else ''}{day.month:02}-{day.day:02}"


def kept_lunar(text: str | None) -> LunarDay | None:
    """What is kept, as a lunar day; None for nothing and for what another program version wrote otherwise."""
    found = _KEPT.fullmatch(text or "")
    return LunarDay(int(found[2]), int(found[3]), bool(found[1])) if found else None


def lunar_in_words(text: str) -> str:
    """What is kept, as people say it: "农历闰四月初八"."""
    day = kept_lunar(text)
    if day is None or not (1 <= day.month <= 12 and 1 <= day.day <= 30):
        return text
    words = N_("lunar leap {month}-{day}") if day.leap else N_("lunar {month}-{day}")
    return gettext(words).format(month=gettext(_MONTHS).split("|")[day.month - 1], day=gettext(_DAYS).split("|")[day.day - 1])


def is_kept(birthday: dt.date | None, lunar: str | None, day: dt.date) -> bool:
    """Whether somebody's birthday is kept on a date; that of 29 February on the 28th in years without one."""
    by_moon = kept_lunar(lunar)
    if by_moon is not None:
        return by_moon in kept_on(day)
    return birthday is not None and birthday < day and f"{birthday:%m-%d}" in solar_keys([day])


def next_birthday(birthday: dt.date | None, lunar: str | None, today: dt.date) -> dt.date | None:
    """The first day from today on on which a birthday is kept; None without one, or beyond the table of the lunar calendar."""
    if birthday is None and kept_lunar(lunar) is None:
        return None
    return next((day for ahead in range(_AHEAD) if is_kept(birthday, lunar, day := today + dt.timedelta(ahead))), None)


def solar_keys(days: Iterable[dt.date]) -> list[str]:
    """The month and day ("08-15") of the solar birthdays that are kept on these dates."""
    keys = []
    for day in days:
        keys.append(f"{day:%m-%d}")
        if (day.month, day.day) == (2, 28) and (day + dt.timedelta(1)).day == 1:
            keys.append("02-29")
    return keys


def lunar_keys(days: Iterable[dt.date]) -> list[str]:
    """The lunar birthdays that are kept on these dates, as they are kept."""
    return sorted({write_lunar(one) for day in days for one in kept_on(day)})


def kept_within(today: dt.date, days: int) -> Node:
    """That a contact still there keeps his birthday today or on one of the days after it, ``days`` in all: ``is_kept`` for lists."""
    ahead = [today + dt.timedelta(n) for n in range(days)]
    by_sun = (Condition("lunar_birthday", "blank"), Condition("birthday", "yearly", solar_keys(ahead)), Condition("birthday", "<", today))
    return All((Condition("has_left", "=", False), Either((Condition("lunar_birthday", "in", lunar_keys(ahead)), All(by_sun)))))


def _parts(text: str) -> tuple[int, int]:
    """Month and day of what is left of a text; (0, 0) where it says neither."""
    numbers = re.fullmatch(r"(\d{1,2})\D{1,6}(\d{1,2})\D{0,3}", text, re.ASCII) or re.fullmatch(r"(\d\d)(\d\d)", text, re.ASCII)
    if numbers:
        return int(numbers[1]), int(numbers[2])
    for month_word in _words(_MONTH):
        month, found, day = text.partition(month_word)
        if found:
            day = next((day.removesuffix(word) for word in _words(_DAY) if day.endswith(word)), day)
            return _numbers(_MONTHS, "m").get(month, 0), _numbers(_DAYS, "d").get(day, 0)
    return 0, 0


@cache
def _numbers(names: str, mark: str) -> dict[str, int]:
    """Numbers by their names in every language."""
    found = {word: place for text in in_every_language(names) for place, word in enumerate(text.split("|"), start=1)}
    also = [part.partition("=") for text in in_every_language(_ALSO) for part in text.split("|")]
    return found | {word: int(number[1:]) for number, _is, word in also if number[0] == mark}


def _words(msgid: str) -> list[str]:
    """A word in every language; of several for one thing the longest first."""
    found = {word.casefold() for text in in_every_language(msgid) for word in text.split("|")}
    return sorted(found, key=len, reverse=True)
