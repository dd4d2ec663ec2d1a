"""Texts: English msgids in the code, one catalogue per language, chosen per request or per command.

The language of the moment is a context variable, so two users of one running program may read different languages.
"""

from __future__ import annotations

import gettext as _gettext
import os
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCALE_DIR = Path(__file__).parent.parent / "locale"
LANGUAGES = {"zh_CN": "中文", "en": "English"}
DEFAULT_LANGUAGE = "zh_CN"

_language: ContextVar[str] = ContextVar("language", default=DEFAULT_LANGUAGE)


def N_(text: str) -> str:
    """Mark a msgid that is translated later, when it is shown."""
    return text


@cache
def _catalogue(language: str) -> _gettext.NullTranslations:
    folder = LOCALE_DIR / language / "LC_MESSAGES"
    compiled, source = folder / "localcrm.mo", folder / "localcrm.po"
    if compiled.exists() and (not source.exists() or compiled.stat().st_mtime >= source.stat().st_mtime):
        with compiled.open("rb") as file:
            return _gettext.GNUTranslations(file)
    if source.exists():
        return _read_source(source)
    return _gettext.NullTranslations()


def _read_source(source: Path) -> _gettext.NullTranslations:
    """Read a catalogue that nobody compiled yet; costs some tens of milliseconds, so set-up compiles it."""
    import io

    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with source.open("rb") as file:
        catalogue = read_po(file)
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    buffer.seek(0)
    return _gettext.GNUTranslations(buffer)


def gettext(text: str) -> str:
    """Translate a msgid into the language of the moment; an unknown msgid comes back as it is."""
    if not text:
        return ""
    return _catalogue(_language.get()).gettext(text)


_ = gettext


def current_language() -> str:
    """Code of the language of the moment, one of LANGUAGES."""
    return _language.get()


def set_language(language: str) -> None:
    """Set the language for the rest of this context; an unknown code falls back to the default."""
    _language.set(language if language in LANGUAGES else DEFAULT_LANGUAGE)


@contextmanager
def use_language(language: str) -> Iterator[None]:
    """Set the language for one block."""
    token = _language.set(language if language in LANGUAGES else DEFAULT_LANGUAGE)
    try:
        yield
    finally:
        _language.reset(token)


def language_from_environment() -> str:
    """Language a command starts in: LOCALCRM_LANG, else the system's, else Chinese."""
    wish = os.environ.get("LOCALCRM_LANG") or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    if wish.lower().startswith("en"):
        return "en"
    return DEFAULT_LANGUAGE
