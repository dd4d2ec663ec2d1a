"""Finding screens and settings by what they are called in any language: in Chinese, by pinyin, in English."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from localcrm.domain.options.services import PERMISSION
from localcrm.domain.options.table import SECTIONS, Level, Option, options
from localcrm.kernel.i18n import LANGUAGES, gettext, use_language
from localcrm.store import pinyin, search
from localcrm.ui.registry import FOOT, Screen, screens_for

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: The options screen; an address with ``at`` shows one option.
OPTIONS_PATH = "/settings/options"
#: The search centre; ``q`` is what to look for.
SEARCH_PATH = "/search"
#: Screens of these sections are settings too.
SETTINGS_SECTIONS = frozenset({"company", "settings", FOOT})


def is_called(wanted: str, *msgids: str) -> bool:
    """Whether every word that was typed stands in one of the texts, in any language, or is how Chinese of it is spelt."""
    return all(
        any(_spells(word, text) for msgid in msgids for text in _in_every_language(msgid)) for word in search.normalise(wanted).split()
    )


@cache
def _in_every_language(msgid: str) -> tuple[str, ...]:
    found = [msgid]
    for language in LANGUAGES:
        with use_language(language):
            found.append(gettext(msgid))
    return tuple(dict.fromkeys(search.normalise(text) for text in found))


def _spells(word: str, text: str) -> bool:
    if word in text:
        return True
    if not (word.isascii() and word.isalpha() and pinyin.holds_chinese(text)):
        return False
    return any(pinyin.written_by_initials(run, word) or pinyin.read_aloud(run, word) for run in search.runs(text))


def find_screens(session: Session, wanted: str) -> list[Screen]:
    """Screens of the navigation that are called like this; all of them for nothing."""
    return [
        screen
        for screen in screens_for(session)
        if screen.section is not None and is_called(wanted, screen.label, screen.label_msgid, screen.id)
    ]


def find_settings(session: Session, wanted: str) -> list[Screen]:
    """Other screens where something is set, called like this."""
    return [screen for screen in find_screens(session, wanted) if screen.section in SETTINGS_SECTIONS and screen.path != OPTIONS_PATH]


def find_options(session: Session, wanted: str, *, level: Level | None = None, wide: bool = False) -> list[Option]:
    """Options the user may set, by label, key and choices; ``wide``: by section and explanation too."""
    levels = [Level.PERSONAL, *([Level.COMPANY] if session.may(PERMISSION) else [])]
    return [
        one
        for each in levels
        if level in {None, each}
        for one in options(each)
        if is_called(wanted, one.label_msgid, one.key, *one.choices.values(), *((SECTIONS[one.section], one.effect_msgid) if wide else ()))
    ]
