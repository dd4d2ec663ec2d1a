"""Where something stands on the map: a latitude and a longitude, however they were typed or pasted, in one spelling."""

from __future__ import annotations

import re
from unicodedata import normalize

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_

#: Of a number of degrees so many places are kept: a tenth of a metre.
_PLACES = 6
_PART = r"([NSEW]?)\s*([+-]?\d{1,3}(?:\.\d{1,15})?)\s*°?\s*([NSEW]?)"
_PAIR = re.compile(rf"(?:GEO:)?\s*{_PART}\s*[,;\u3001\s]\s*{_PART}", re.ASCII)


def read_place(text: str) -> str:
    """A pasted place as "31.230416, 121.473701", latitude first; raises InvalidInput("bad_place").

    Read are full-width marks, degree signs, N S E W and addresses that begin with ``geo:``. Some maps copy the longitude first: where it can only
    be one, it is taken as one.
    """
    match = _PAIR.fullmatch(normalize("NFKC", text).strip().upper())
    if match is None:
        raise _bad(text)
    before, first, after, before_2, second, after_2 = match.groups()
    one, other = _signed(first, before or after), _signed(second, before_2 or after_2)
    letters = (before or after, before_2 or after_2)
    if letters[0] in {"E", "W"} or (not any(letters) and abs(one) > 90):  # longitude first
        one, other, letters = other, one, (letters[1], letters[0])
    if abs(one) > 90 or abs(other) > 180 or letters[0] in {"E", "W"} or letters[1] in {"N", "S"}:
        raise _bad(text)
    return f"{_plain(one)}, {_plain(other)}"


def geo(text: str) -> str:
    """The address that opens a place in the map program of the system; "" for what is no place."""
    try:
        return f"geo:{read_place(text).replace(' ', '')}"
    except InvalidInput:
        return ""


def _signed(number: str, letter: str) -> float:
    return -float(number) if letter in {"S", "W"} else float(number)


def _plain(degrees: float) -> str:
    text = f"{degrees:.{_PLACES}f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _bad(text: str) -> InvalidInput:
    return InvalidInput(
        "bad_place", N_("“{value}” is no place on the map. Write latitude and longitude, such as 31.23, 121.47."), value=text.strip()[:60]
    )
