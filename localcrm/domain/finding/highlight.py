"""Where in a text the answer to a question stands, so that it can be marked: by its letters, by pinyin, as last digits.

Places are numbers of characters, never markup: whoever shows them writes the text as text.
"""

from __future__ import annotations

from localcrm.store import pinyin, search

#: A place in a text: first character, and the one behind its last.
Span = tuple[int, int]
#: Characters of a text that are looked at, and how many places of it are marked.
_LONGEST, _MOST = 2000, 20
#: Characters before and after the first place that an excerpt shows.
_BEFORE, _AFTER = 24, 90


def spans(text: str, wanted: str) -> list[Span]:
    """Places of a text that answer a question, in their order; none overlap."""
    text = text[:_LONGEST]
    plain, place = _plain(text)
    found: list[Span] = []
    for run in search.runs(wanted)[:8]:
        here = _everywhere(plain, run)
        if not here and run.isascii():
            here = _sounding(plain, run)
        found += [(place[start], place[end - 1] + 1) for start, end in here]
    if not found:
        found = _last_digits(text, wanted)
    return _joined(found)[:_MOST]


def excerpt(text: str, places: list[Span]) -> tuple[str, list[Span]]:
    """A long text around its first place, in one line, with its places there."""
    first = places[0][0] if places else 0
    start = 0 if first <= _BEFORE + 8 else first - _BEFORE
    end = min(len(text), first + _AFTER)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    moved = [(max(low, start), min(high, end)) for low, high in places if low < end and high > start]
    cut = text[start:end].replace("\n", " ").replace("\r", " ").replace("\t", " ")
    return f"{before}{cut}{after}", [(low - start + len(before), high - start + len(before)) for low, high in moved]


def _plain(text: str) -> tuple[str, list[int]]:
    """The text as it is compared, and of each of its characters where it stood: ㎡ is two of them."""
    parts = [search.normalise(sign) for sign in text]
    return "".join(parts), [number for number, part in enumerate(parts) for _sign in part]


def _everywhere(plain: str, run: str) -> list[Span]:
    found: list[Span] = []
    start = plain.find(run)
    while start >= 0 and len(found) < _MOST:
        found.append((start, start + len(run)))
        start = plain.find(run, start + len(run))
    return found


def _sounding(plain: str, letters: str) -> list[Span]:
    """Chinese that is written by these initials, or read like this, the last syllable perhaps in part."""
    for way in (_by_initials, _read):
        for start, sign in enumerate(plain):
            if pinyin.is_chinese(sign):
                end = way(plain, start, letters)
                if end:
                    return [(start, end)]
    return []


def _by_initials(plain: str, start: int, letters: str) -> int | None:
    end = start + len(letters)
    if end > len(plain):
        return None
    return end if all(letter in pinyin.initials(sign) for letter, sign in zip(letters, plain[start:end], strict=True)) else None


def _read(plain: str, start: int, letters: str) -> int | None:
    if start >= len(plain):
        return None
    for reading in pinyin.syllables(plain[start]) or (plain[start],):
        if reading.startswith(letters):
            return start + 1
        if letters.startswith(reading):
            end = _read(plain, start + 1, letters[len(reading) :])
            if end:
                return end
    return None


def _last_digits(text: str, wanted: str) -> list[Span]:
    """Digits that are written with signs in between, the last ones that fit."""
    typed = [sign for sign in search.normalise(wanted) if sign.isdecimal()]
    places = [number for number, sign in enumerate(text) if sign.isdecimal()]
    if not search.MIN_TAIL <= len(typed) <= len(places) or any(sign.isalpha() for sign in wanted):
        return []
    digits = [search.normalise(text[number]) for number in places]
    for end in range(len(places), len(typed) - 1, -1):
        if digits[end - len(typed) : end] == typed:
            return [(places[end - len(typed)], places[end - 1] + 1)]
    return []


def _joined(found: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
