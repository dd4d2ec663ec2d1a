"""Pinyin of Chinese text for finding things by initials or syllables, every reading of a polyphone included."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@cache
def _dictionary() -> dict[int, str]:
    from pypinyin.pinyin_dict import pinyin_dict  # 0.25 s, hence only where something is indexed

    return pinyin_dict


@lru_cache(maxsize=16384)
def syllables(character: str) -> tuple[str, ...]:
    """Readings of one character without tones, commonest first; empty for anything that is not Chinese."""
    readings = _dictionary().get(ord(character), "") if is_chinese(character) else ""
    return tuple(dict.fromkeys(_plain(reading) for reading in readings.split(",") if reading))


@lru_cache(maxsize=16384)
def initials(character: str) -> tuple[str, ...]:
    """First letters of the readings; a letter or digit stands for itself."""
    found = tuple(dict.fromkeys(reading[0] for reading in syllables(character)))
    return found or (character,)


def is_chinese(character: str) -> bool:
    """Whether a character is a Chinese ideograph."""
    return _CHINESE.match(character) is not None


def holds_chinese(text: str) -> bool:
    """Whether there is a Chinese ideograph in a text."""
    return _CHINESE.search(text) is not None


def _plain(reading: str) -> str:
    letters = unicodedata.normalize("NFD", reading.replace("ü", "v").replace("ê", "e"))
    return "".join(c for c in letters if "a" <= c <= "z")


class _Remembered(dict[str, str]):
    """What a function makes of short texts, remembered: asked a hundred times a record, and without the upkeep of an ``lru_cache``."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> str:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        made = self[text] = self._make(text)
        return made


_MOST_REMEMBERED = 65536
#: One or two characters: every way to write them by initials, as words: 重庆 → "zq cq".
WRITTEN = _Remembered(lambda characters: " ".join(map("".join, itertools.product(*map(initials, characters)))))
#: One character: every reading, as words: 重 → "zhong chong tong".
READ = _Remembered(lambda character: " ".join(syllables(character)) or character)


def written_by_initials(run: str, letters: str) -> bool:
    """Whether neighbouring characters of a run can be written with these initials: 重庆分公司 by "qfg"."""
    ways = [*map(initials, run)]
    for start in range(len(ways) - len(letters) + 1):
        if letters[0] in ways[start] and all(letter in way for letter, way in zip(letters, ways[start:], strict=False)):
            return True
    return False


def read_aloud(run: str, letters: str) -> bool:
    """Whether neighbouring characters of a run can be read like this, the last one perhaps in part: 重庆分公司 as "qingfeng"."""

    def goes_on(place: int, rest: str) -> bool:
        return place < len(run) and any(
            reading.startswith(rest) or (rest.startswith(reading) and goes_on(place + 1, rest[len(reading) :]))
            for reading in syllables(run[place]) or (run[place],)
        )

    first = letters[0]
    return any(first in way and goes_on(start, letters) for start, way in enumerate(map(initials, run)))


@cache
def _all_syllables() -> frozenset[str]:
    return frozenset(_plain(reading) for readings in _dictionary().values() for reading in readings.split(",") if reading)


def syllables_with(beginning: str) -> list[str]:
    """Every syllable that begins like this: "xia" → ["xia", "xian", "xiang", "xiao"]."""
    return sorted(syllable for syllable in _all_syllables() if syllable.startswith(beginning))


@lru_cache(maxsize=256)
def split_syllables(letters: str) -> list[list[str]]:
    """Ways to read typed letters as syllables, the last one perhaps unfinished: "xian" → [["xian"], ["xi", "an"]]."""
    known = _all_syllables()
    ways: list[list[str]] = []

    def walk(rest: str, taken: list[str]) -> None:
        if len(ways) >= 4:
            return
        if not rest:
            ways.append(taken)
            return
        for length in range(min(6, len(rest)), 0, -1):
            part = rest[:length]
            unfinished = length == len(rest) and any(s.startswith(part) for s in known)
            if part in known or unfinished:
                walk(rest[length:], [*taken, part])

    walk(letters, [])
    return ways
