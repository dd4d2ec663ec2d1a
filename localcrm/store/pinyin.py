"""Pinyin of Chinese text for finding things by initials or syllables, every reading of a polyphone included."""

from __future__ import annotations

import itertools
import unicodedata
from functools import cache, lru_cache

#: A name with many polyphones is indexed with at most this many spellings, commonest readings first.
MAX_SPELLINGS = 8


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
    code = ord(character)
    return 0x3400 <= code <= 0x9FFF or 0x20000 <= code <= 0x3FFFF or 0xF900 <= code <= 0xFAFF


def _plain(reading: str) -> str:
    letters = unicodedata.normalize("NFD", reading.replace("ü", "v").replace("ê", "e"))
    return "".join(c for c in letters if "a" <= c <= "z")


def initial_spellings(run: str) -> list[str]:
    """Every way to write a run by initials: 重庆A → ["zqa", "cqa"]."""
    return ["".join(letters) for letters in itertools.islice(itertools.product(*map(initials, run)), MAX_SPELLINGS)]


def syllable_spellings(run: str) -> list[list[str]]:
    """Every way to read a run aloud: 重庆A → [["zhong", "qing", "a"], ["chong", "qing", "a"]]."""
    readings = [syllables(character) or (character,) for character in run]
    return [list(way) for way in itertools.islice(itertools.product(*readings), MAX_SPELLINGS)]


@cache
def _all_syllables() -> frozenset[str]:
    return frozenset(_plain(reading) for readings in _dictionary().values() for reading in readings.split(",") if reading)


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
