"""Phones, e-mail addresses and places on the map that a click dials, writes to or shows: the system's own program for it opens.

Only digits and checked addresses get into a link, whatever the field holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from nicegui import ui

from localcrm.kernel.phones import BETWEEN, read_phone
from localcrm.kernel.places import geo
from localcrm.kernel.schema import Field
from localcrm.store.view import Masked

#: A piece of a value as it is shown, and what it leads to ("" for nothing).
Piece = tuple[str, str]
_ADDRESS = re.compile(r"[^\s@<>\"'(),:;\\]{1,64}@[^\s@<>\"'(),:;\\]{1,250}\.[^\s@<>\"'(),:;\\]{2,}")
#: Shorter numbers are rooms, not telephones.
_SHORTEST = 3


def leads(field: Field) -> bool:
    """Whether its values may lead somewhere."""
    return field.f.widget in _LEAD


def pieces(field: Field, value: Any) -> list[Piece]:
    """The numbers or addresses of a value one by one; [] where a click would lead nowhere."""
    lead = _LEAD.get(field.f.widget or "")
    if lead is None or not isinstance(value, str) or isinstance(value, Masked):
        return []
    parts = [value] if field.f.widget == "place" else BETWEEN.split(value)
    found = [(text, lead(text)) for part in parts if (text := part.strip())]
    return found if any(path for _text, path in found) else []


def link_pieces(found: Sequence[Piece]) -> None:
    """Draw them, one beside the other."""
    with ui.element("span").classes("lc-links"):
        for text, path in found:
            if path:
                ui.link(text, path).on("dblclick.stop", js_handler="() => {}")
            else:
                ui.label(text)


def _dial(text: str) -> str:
    phone = read_phone(text)
    if phone is None or len(phone.digits) < _SHORTEST:
        return ""
    return f"tel:{phone.dialled}{f';ext={phone.extension}' if phone.extension else ''}"


def _write(text: str) -> str:
    return f"mailto:{quote(text, safe='@.+-_')}" if _ADDRESS.fullmatch(text) else ""


_LEAD = {"phone": _dial, "email": _write, "place": geo}
