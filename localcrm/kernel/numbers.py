"""How the numbers on documents and cards are built: text, branch code, date, and a counter that starts anew or never does.

A format is written as people read it: ``SO-{branch}-{yyyyMMdd}-{0000}``. Its counter is kept per ``key`` (all that stands
in it besides date and counter) and ``period``; formats that share both count on together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice

BRANCH = "{branch}"
#: Dates a number may show, with how Python writes them and how many digits they have.
DATES = {"{yyyyMMdd}": ("%Y%m%d", 8), "{yyyyMM}": ("%Y%m", 6), "{yyyy}": ("%Y", 4), "{yy}": ("%y", 2)}
#: Longest number that still fits the printed forms.
LONGEST = 40
_LONGEST_CODE = 16  # a branch code of 12 and the letters of a later epoch
_PART = re.compile(r"\{branch\}|\{yyyyMMdd\}|\{yyyyMM\}|\{yyyy\}|\{yy\}|\{0{1,9}\}|[^{}\s]+")
_CODE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_DIGITS = frozenset("0123456789")


class Reset(Choice):
    """When a counter starts anew, the finest first."""

    DAY = "day", N_("Every day")
    MONTH = "month", N_("Every month")
    YEAR = "year", N_("Every year")
    NEVER = "never", N_("Never")


_PERIODS = {Reset.DAY: ("%Y%m%d", 8), Reset.MONTH: ("%Y%m", 6), Reset.YEAR: ("%Y", 4), Reset.NEVER: ("", 0)}
#: The finest cycle that each date tells apart.
_FINEST = {"{yyyyMMdd}": Reset.DAY, "{yyyyMM}": Reset.MONTH, "{yyyy}": Reset.YEAR, "{yy}": Reset.YEAR, "": Reset.NEVER}


@dataclass(frozen=True, slots=True)
class Given:
    """What a number says of itself: the branch code on it, the counter's key and period, and where the counter stood."""

    branch: str
    key: str
    period: str
    counter: int


@dataclass(frozen=True)
class NumberFormat:
    """A format that was checked (see ``number_format``)."""

    text: str
    reset: Reset

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The segments: literal text, or one in braces."""
        return split(self.text)

    def key(self, code: str) -> str:
        """Name of the counter of a branch: all that stands in the number besides date and counter."""
        return "".join(code if part == BRANCH else part for part in self.parts if part == BRANCH or part[0] != "{").strip("-")

    def period(self, day: date) -> str:
        """The period that a day falls into."""
        return day.strftime(_PERIODS[self.reset][0])

    def render(self, code: str, day: date, counter: int) -> str:
        """The number."""
        return "".join(self._rendered(code, day, counter))

    def _rendered(self, code: str, day: date, counter: int) -> Iterator[str]:
        for part in self.parts:
            if part == BRANCH:
                yield code
            elif part in DATES:
                yield day.strftime(DATES[part][0])
            else:
                yield f"{counter:0{len(part) - 2}d}" if part[0] == "{" else part

    def read(self, number: str) -> Given | None:
        """What a number of this format says; None for any other text."""
        found = self._pattern.fullmatch(number)
        if found is None:
            return None
        texts = found.groupdict()
        shown = texts.get("date") or ""
        whole = f"20{shown}" if len(shown) == DATES["{yy}"][1] else shown
        return Given(texts["branch"], self.key(texts["branch"]), whole[: _PERIODS[self.reset][1]], int(texts["counter"]))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("".join(map(_expression, self.parts)), re.ASCII)

    def meets(self, other: NumberFormat) -> bool:
        """Whether some number could be of both formats, whatever the branch codes: one walk through both at once."""
        mine, theirs = (tuple(_characters(one.parts)) for one in (self, other))
        seen: set[tuple[int, int]] = set()
        todo = [(0, 0)]
        while todo:
            place = todo.pop()
            if place in seen:
                continue
            seen.add(place)
            i, j = place
            if i == len(mine) and j == len(theirs):
                return True
            if i < len(mine) and mine[i][1]:
                todo.append((i + 1, j))
            if j < len(theirs) and theirs[j][1]:
                todo.append((i, j + 1))
            if i < len(mine) and j < len(theirs) and mine[i][0] & theirs[j][0]:
                todo.append((i if mine[i][1] else i + 1, j if theirs[j][1] else j + 1))
        return False


def split(text: str) -> tuple[str, ...]:
    """The segments of a format as written; raises InvalidInput for one that is none."""
    parts = tuple(_PART.findall(text))
    if "".join(parts) != text or not text or not text.isprintable():
        raise InvalidInput(
            "bad_number_format",
            N_("“{text}” is no number format. Text takes no spaces and no braces, for example SO-{{branch}}-{{yyyyMMdd}}-{{0000}}."),
            text=text[:80],
            field="format",
        )
    return parts


def number_format(text: str, reset: Reset) -> NumberFormat:
    """A format whose numbers never repeat; raises InvalidInput that says why they would."""
    parts = split(text)
    counters, dates = [part for part in parts if part.startswith("{0")], [part for part in parts if part in DATES]
    for found, code, sentence in (
        (counters, "one_counter", N_("A number needs one counter, otherwise it would repeat at once.")),
        (
            [part for part in parts if part == BRANCH],
            "one_branch_code",
            N_("A number needs the branch code once, otherwise two branches would give the same one."),
        ),
    ):
        if len(found) != 1:
            raise InvalidInput(code, sentence, field="format")
    if len(dates) > 1:
        raise InvalidInput("one_date", N_("A number shows one date at most."), field="format")
    _check_neighbours(parts)
    finest = _FINEST["".join(dates)]
    if list(Reset).index(reset) < list(Reset).index(finest):
        raise InvalidInput(
            "would_repeat",
            N_(
                "The counter would start anew more often than the number shows: the same numbers would come again. Show a finer date, or start anew less often."
            ),
            field="reset",
        )
    longest = sum(_LONGEST_CODE if part == BRANCH else DATES[part][1] if part in DATES else len(part.strip("{}")) for part in parts)
    if longest > LONGEST:
        raise InvalidInput(
            "number_too_long",
            N_("Numbers of this format can get {longest} characters long; at most {limit} can be printed."),
            longest=longest,
            limit=LONGEST,
            field="format",
        )
    return NumberFormat(text, reset)


def _check_neighbours(parts: tuple[str, ...]) -> None:
    """Where the branch code ends must be seen: B1 with 11, and B11 with 1, would be the same."""
    place = parts.index(BRANCH)
    before, after = (parts[n] if 0 <= n < len(parts) else "-" for n in (place - 1, place + 1))
    if before[0] == "{" or after[0] == "{" or after[0].isalnum():
        raise InvalidInput(
            "no_separator",
            N_(
                "Put a separator such as “-” behind the branch code, and text or nothing before it; otherwise two branches could give the same number."
            ),
            field="format",
        )


def _expression(part: str) -> str:
    if part == BRANCH:
        return f"(?P<branch>[A-Z0-9]{{1,{_LONGEST_CODE}}})"
    if part in DATES:
        return rf"(?P<date>\d{{{DATES[part][1]}}})"
    if part[0] == "{":  # beyond its digits a counter has no leading zero
        digits = len(part) - 2
        return rf"(?P<counter>\d{{{digits}}}|[1-9]\d{{{digits},14}})"
    return re.escape(part)


def _characters(parts: tuple[str, ...]) -> Iterator[tuple[frozenset[str], bool]]:
    """What may stand at each place, and whether it may stand there again or not at all."""
    for part in parts:
        if part == BRANCH:
            yield from ((_CODE, False), (_CODE, True))
        elif part[0] == "{":
            yield from [(_DIGITS, False)] * (DATES[part][1] if part in DATES else len(part) - 2)
            if part not in DATES:
                yield _DIGITS, True
        else:
            yield from ((frozenset(character), False) for character in part)
