"""Keys that press buttons: which there are, and which others a user may put in their place.

A user's own keys are kept as "n=m h=j": the standard key, then his. What is standard is not written down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext

#: Standard key → what it presses. The same key may stand for two things on two screens.
SHORTCUTS: Mapping[str, str] = {
    "n": N_("New"),
    "enter": N_("Open record"),
    "e": N_("Edit"),
    "h": N_("History"),
    "c": N_("Copy"),
    "a": N_("New activity"),
    "p": N_("Post"),
    "r": N_("Receive payment, roles"),
    "k": N_("Keep the value (conflicts)"),
    "t": N_("Take the other value (conflicts)"),
    "d": N_("Done with the reminder that came up"),
    "z": N_("Put it off by 10 minutes"),
    "f2": N_("Take the call that came up"),
    "f4": N_("Note to the call that came up"),
    "f8": N_("New customer from the call that came up"),
    "f9": N_("New activity record of the call that came up"),
    "insert": N_("New ticket of whoever calls"),
    "delete": N_("Delete"),
    "/": N_("Search in this list"),
    "?": N_("Show all keys"),
}
#: Keys that always do the same, shown beside the others.
FIXED: Mapping[str, str] = {
    "Ctrl K": N_("Find anything, go anywhere"),
    "Ctrl ⏎": N_("Save, post, confirm"),
    "Ctrl Z": N_("Undo what was just done, while it is offered"),
    "Ctrl S": N_("Save the draft of an order"),
    "↑ ↓": N_("The row above, the row below"),
    "Esc": N_("Close"),
}
#: What browsers and the program keep for themselves.
_RESERVED = frozenset({"f1", "f3", "f5", "f6", "f7", "f10", "f11", "f12", "tab", "escape", "space", "backspace"})
_SINGLE = re.compile(r"[!-~]|f(?:2|4|8|9)|delete|insert|enter", re.ASCII)
NAMES = {"delete": "Del", "enter": "⏎", "insert": "Ins"}


def key_name(key: str) -> str:
    """How a key is printed."""
    return NAMES.get(key, key.upper())


def read_shortcuts(text: str) -> dict[str, str]:
    """Every standard key with the one a user presses instead, from the kept text."""
    own = dict(part.split("=", 1) for part in text.split() if "=" in part)
    return {standard: own.get(standard, standard) for standard in SHORTCUTS}


def write_shortcuts(text: str) -> str:
    """Checked and without what is standard anyway; raises InvalidInput for a reserved key and for two things on one key."""
    chosen: dict[str, str] = {standard: standard for standard in SHORTCUTS}
    for part in text.lower().split():
        standard, _equals, key = part.partition("=")
        if standard not in chosen:
            raise ValueError(part)
        chosen[standard] = _checked(key)
    taken: dict[str, str] = {}
    for standard, key in sorted(chosen.items(), key=lambda pair: pair[0] != pair[1]):  # who moved is told, not who was there
        if key in taken:
            raise InvalidInput(
                "key_taken",
                N_("“{key}” already stands for “{other}”. Choose another key for “{label}”; nothing was changed."),
                key=key_name(key),
                other=gettext(SHORTCUTS[taken[key]]),
                label=gettext(SHORTCUTS[standard]),
                field="keys",
            )
        taken[key] = standard
    return " ".join(f"{standard}={key}" for standard, key in chosen.items() if key != standard)


def _checked(key: str) -> str:
    if key in _RESERVED or "+" in key[:-1]:
        raise InvalidInput(
            "key_reserved",
            N_("“{key}” belongs to the browser or the program. Choose a letter, a digit, a sign, F2, F4, F8, F9, Ins or Del."),
            key=key[:20],
            field="keys",
        )
    if not _SINGLE.fullmatch(key):
        raise InvalidInput("bad_key", N_("“{key}” is no key that can be used here. Nothing was changed."), key=key[:20], field="keys")
    return key
