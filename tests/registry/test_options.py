"""Every option, walked: also the one written tomorrow is explained, translated, checked, and obeyed by something."""

from __future__ import annotations

from pathlib import Path

import pytest

import localcrm
from localcrm.domain.options.shortcuts import FIXED, SHORTCUTS
from localcrm.domain.options.table import OPTIONS, SECTIONS, Level, Option, OptionKind, option, options
from localcrm.kernel.i18n import use_language
from localcrm.kernel.schema import clean_text
from tests.architecture.source import ROOT

EACH = [pytest.param(one, id=one.key) for one in OPTIONS]
PACKAGE = Path(localcrm.__file__).parent


def test_keys_are_unique_and_every_option_is_on_the_screen() -> None:
    keys = [one.key for one in OPTIONS]
    assert len(set(keys)) == len(keys)
    assert sorted(one.key for level in Level for one in options(level)) == sorted(keys)


@pytest.mark.parametrize("one", EACH)
def test_an_option_is_declared_completely(one: Option) -> None:
    assert option(one.key) is one
    assert one.key.isidentifier()
    assert one.section in SECTIONS
    assert one.label_msgid.strip()
    assert one.effect_msgid.endswith("."), "one sentence on what it does"
    assert one.clean(one.default) == one.default
    assert one.show(one.default) == clean_text(one.show(one.default))
    assert bool(one.choices) is (one.kind is OptionKind.CHOICE)
    assert (one.low < one.high) is (one.kind is OptionKind.NUMBER)
    assert not (one.arithmetic and one.level is Level.PERSONAL)


@pytest.mark.parametrize("one", EACH)
def test_an_option_speaks_both_languages(one: Option) -> None:
    with use_language("zh_CN"):
        chinese = (one.label, one.effect, *(one.show(value) for value in one.choices))
    with use_language("en"):
        english = (one.label, one.effect, *(one.show(value) for value in one.choices))
    assert chinese[:2] != english[:2]
    assert all(chinese)
    assert all(english)


@pytest.mark.parametrize("one", EACH)
def test_something_obeys_it(one: Option) -> None:
    """Nobody sets what changes nothing: its key is read somewhere else in the program."""
    declared = PACKAGE / "domain" / "options" / "table.py"
    readers = [path for path in PACKAGE.rglob("*.py") if path != declared and f'"{one.key}"' in path.read_text(encoding="utf-8")]
    assert readers, one.key


def test_the_sheet_of_keys_says_what_each_is_for() -> None:
    assert all(label.strip() for label in (*SHORTCUTS.values(), *FIXED.values()))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_guide_names_every_option(language: str) -> None:
    text = (ROOT / "docs" / "guide" / language / "options.md").read_text(encoding="utf-8")
    with use_language({"zh": "zh_CN"}.get(language, language)):
        assert [one.label for one in OPTIONS if one.label not in text] == []
