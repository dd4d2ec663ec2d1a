"""How values and keys are drawn for the user of the moment: whole dates or near ones, decimals, keys of his own.

The object belongs to the session and is changed in place, so that open pages draw with what holds now.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from localcrm.domain.options.shortcuts import key_name, read_shortcuts
from localcrm.domain.options.table import option
from localcrm.kernel.i18n import gettext as _

#: Kind of number → the option that says how many decimals always show.
PLACES = {"quantity": "quantity_places", "price": "price_places"}


def _places() -> dict[str, int]:
    return {kind: int(option(key).default) for kind, key in PLACES.items()}


@dataclass(slots=True)
class Look:
    """dates: as the option says · places: decimals that always show, by kind of number · keys: by standard key the user's own."""

    dates: str = option("dates").default
    places: Mapping[str, int] = field(default_factory=_places)
    keys: Mapping[str, str] = field(default_factory=lambda: read_shortcuts(""))


_look: ContextVar[Look] = ContextVar("look")
_standard = Look()


def look() -> Look:
    """How to draw for whoever looks; the standard where nobody is signed in."""
    return _look.get(_standard)


def set_look(wanted: Look) -> None:
    """Draw like this for the rest of this context."""
    _look.set(wanted)


def own_key(standard: str) -> str:
    """How the key is printed that this user presses for a standard one."""
    return key_name(look().keys.get(standard, standard))


def in_a_sentence(label: str) -> str:
    """A label that does not begin the sentence, where its language has capitals."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def records_in_words(count: str) -> str:
    """How many records a list shows."""
    return _("1 record") if count == "1" else _("{count} records").format(count=count)


def not_yet_found() -> str:
    """Beside what a search finds while the index follows an exchange."""
    return _("what has just come is not found yet")


def text_width(text: str, size: int = 12) -> int:
    """About how wide a text is drawn with letters of this size, in pixels; Chinese letters are as wide as high."""
    return round(sum(size if ord(letter) > 0x2E80 else size * 0.56 for letter in text))
