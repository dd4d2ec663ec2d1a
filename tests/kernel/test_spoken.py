"""Words for bytes: every list whole, nothing alike, and every slip of the tongue noticed."""

from __future__ import annotations

import random

import pytest
from pypinyin import lazy_pinyin

from localcrm.kernel import spoken
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import LANGUAGES, use_language


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_256_words_that_nobody_confuses(language: str) -> None:
    words = spoken._words()[language]
    assert len(words) == 256
    assert len({"".join(lazy_pinyin(word)) for word in words}) == 256
    assert len({word[:4] for word in words}) == 256


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_come_back_however_they_are_typed(language: str) -> None:
    data = random.Random(1).randbytes(10)
    with use_language(language):
        text = spoken.write_checked(data)
    assert len(text.split()) == 11
    for typed in (text, text.upper(), text.replace(" ", "、"), f"  1. {text.replace(' ', ',  2) ')}\n"):
        assert spoken.read_checked(typed, 10) == data
    if language == "zh_CN":
        assert spoken.read_checked(text.replace(" ", ""), 10) == data
    else:
        assert spoken.read_checked(" ".join(word[:4] for word in text.split()), 10) == data


def test_a_wrong_word_is_noticed() -> None:
    with use_language("en"):
        words = spoken.write_checked(bytes(range(10))).split()
        for text, code in (
            (" ".join(words[:-1]), "words_missing"),
            (" ".join([*words, "apple"]), "words_missing"),
            ("", "words_missing"),
            (" ".join([*words[:-1], "xylophone"]), "word_unknown"),
            (" ".join([words[1], words[0], *words[2:]]), "words_mistyped"),
        ):
            with pytest.raises(InvalidInput) as refused:
                spoken.read_checked(text, 10)
            assert refused.value.code == code
        slips = sum(accepted([*words[:3], other, *words[4:]]) for other in spoken._words()["en"] if other != words[3])
        assert slips <= 5  # one in 256


def accepted(words: list[str]) -> bool:
    try:
        spoken.read_checked(" ".join(words), 10)
    except InvalidInput:
        return False
    return True
