"""Short secrets and fingerprints as words that people say and type: one byte is one of 256 words, in any language of the program.

Words stand for numbers, so what is said in one language is understood in the other. No two begin with the same four letters, and no two
sound alike when typed by sound.
"""

from __future__ import annotations

import json
import re
from functools import cache
from hashlib import sha256
from pathlib import Path

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import DEFAULT_LANGUAGE, N_, current_language

_LATIN = re.compile(r"[a-z]+")
#: Of a word in Latin letters so many decide.
_SIGNIFICANT = 4


def write_words(data: bytes) -> str:
    """The words of some bytes in the language of the moment, with spaces between."""
    words = _words().get(current_language()) or _words()[DEFAULT_LANGUAGE]
    return " ".join(words[byte] for byte in data)


def write_checked(data: bytes) -> str:
    """The same with one more word, by which ``read_checked`` notices a wrong one."""
    return write_words(data + _check(data))


def read_checked(text: str, size: int) -> bytes:
    """The ``size`` bytes that ``write_checked`` was given, in whatever language and with whatever between the words.

    Raises InvalidInput: word_unknown, words_missing, words_mistyped.
    """
    data = bytes(_number(word) for word in _split(text[:2_000]))
    if len(data) != size + 1:
        raise InvalidInput(
            "words_missing", N_("These are {count} words, but there must be {wanted}."), count=len(data), wanted=size + 1, field="text"
        )
    if _check(data[:-1]) != data[-1:]:
        raise InvalidInput("words_mistyped", N_("One of the words is wrong, or two have changed places. Compare them."), field="text")
    return data[:-1]


def _check(data: bytes) -> bytes:
    return sha256(b"localcrm words\0" + data).digest()[:1]


def _split(text: str) -> list[str]:
    """Words in Latin letters as they stand; others have two signs each, whether there is anything between them or not."""
    words: list[str] = []
    for part in re.findall(r"[A-Za-z]+|[^\W\d_A-Za-z]+", text):
        lower = part.lower()
        words += [lower] if _LATIN.fullmatch(lower) else [lower[start : start + 2] for start in range(0, len(lower), 2)]
    return words


def _number(word: str) -> int:
    found = _numbers().get(word[:_SIGNIFICANT])
    if found is None:
        raise InvalidInput(
            "word_unknown", N_("“{word}” is none of the words. Compare it with what you were given."), word=word[:20], field="text"
        )
    return found


@cache
def _words() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((Path(__file__).parent / "spoken.json").read_text(encoding="utf-8"))
    return found


@cache
def _numbers() -> dict[str, int]:
    return {word[:_SIGNIFICANT]: number for words in _words().values() for number, word in enumerate(words)}
