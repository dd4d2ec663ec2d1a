"""Telephone numbers as people write them and lines announce them: what a number says, and whether two say the same.

One number is written with or without the country's code, the zero before an area code, the area code itself, an extension, spaces, dashes and
full-width digits; a line announces it in yet another way. So numbers are read into their parts and compared by these, and an index by the last
digits (``tail``) finds those that could be the same among any number of them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from enum import IntEnum

#: Between several numbers in one field.
BETWEEN = re.compile(r"[,;/|\n\u3001\uff0c\uff1b\uff0f]+")
#: Shorter ones, such as extensions, name nobody outside.
SHORTEST = 7
#: No number is longer than this (E.164), and nobody writes more around it.
_LONGEST, _LONGEST_TEXT = 15, 60
#: Words and signs before an extension; the last ones mean "extension" in Chinese.
_EXTENSION = re.compile(r"(?:ext\.?|x|#|\*|\u8f6c|\u8f49|\u5206\u673a|\u5206\u6a5f)[^0-9]*([0-9]{1,6})[^0-9]*$", re.IGNORECASE)
_GROUP = re.compile(r"[0-9]+")
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_SERVICE = re.compile(r"[48]00[0-9]{7}")
_WITH_AREA = re.compile(r"(?![48]00)(10|2[0-9]|[3-9][0-9]{2})([2-9][0-9]{6,7})")
_LOCAL = re.compile(r"[2-9][0-9]{6,7}")
_SHORT_AREA = re.compile(r"10|2[0-9]")
_COUNTRY = "86"


@dataclass(frozen=True, slots=True)
class Phone:
    """A number in its parts.

    digits: without country code, the zero before an area code and extension; "+44…" in another country · area: area code without its zero ·
    local: what is dialled within the town, "" for mobile and service numbers · extension: behind the number · is_whole: one number of the country,
    wherever it is dialled.
    """

    digits: str
    area: str = ""
    local: str = ""
    extension: str = ""
    is_whole: bool = False

    @property
    def dialled(self) -> str:
        """As it is dialled from anywhere in the country, without the extension."""
        return f"0{self.digits}" if self.area else self.digits

    @property
    def shown(self) -> str:
        """As people write it."""
        text = f"0{self.area}-{self.local}" if self.area else self.digits
        return f"{text}-{self.extension}" if self.extension else text


class Likeness(IntEnum):
    """How far two numbers say the same."""

    NONE = 0
    ENDS_ALIKE = 1
    SAME = 2


def read_phone(text: str) -> Phone | None:
    """The number that a text says; None where it says none."""
    plain = unicodedata.normalize("NFKC", text[:_LONGEST_TEXT]).strip()
    extension = ""
    if found := _EXTENSION.search(plain):
        extension, plain = found[1], plain[: found.start()]
    groups = _GROUP.findall(plain)
    if not groups or len("".join(groups)) > _LONGEST + 8:
        return None
    with_plus = plain.lstrip(" (").startswith("+")
    phone = _in_groups(groups, with_plus=with_plus)
    return replace(phone, extension=extension) if extension else phone


def read_phones(text: str) -> list[Phone]:
    """Every number of a field that names somebody outside: at least SHORTEST digits."""
    found = (read_phone(part) for part in BETWEEN.split(text))
    return [phone for phone in found if phone is not None and len(phone.digits) >= SHORTEST]


def tail(phone: Phone) -> str:
    """The last digits of a number, alike for all that could be the same."""
    return phone.digits[-SHORTEST:]


def tails(text: str) -> list[str]:
    """The same for every number of a field."""
    return list(dict.fromkeys(map(tail, read_phones(text))))


def likeness(one: Phone, other: Phone, *, area: str = "") -> Likeness:
    """Whether two numbers say the same; ``area``: the area code of this place, for numbers without one."""
    one, other = in_town(one, area), in_town(other, area)
    if one.digits == other.digits:
        return Likeness.SAME
    if one.is_whole and other.is_whole:
        return Likeness.NONE
    if one.local and other.local:  # one of them lacks the area code
        is_same = one.local == other.local and not (one.area and other.area)
        return Likeness.ENDS_ALIKE if is_same else Likeness.NONE
    if one.local or other.local:
        odd, town = (other, one) if one.local else (one, other)
        return Likeness.ENDS_ALIKE if not odd.is_whole and _ends(odd.digits, town.digits) else Likeness.NONE
    return Likeness.ENDS_ALIKE if _ends(one.digits, other.digits) else Likeness.NONE


def in_town(phone: Phone, area: str) -> Phone:
    """A number as it is dialled within a town, with the town's area code."""
    area = area.lstrip("0")
    if not area or phone.is_whole or not phone.local or phone.area:
        return phone
    return replace(phone, digits=area + phone.local, area=area, is_whole=True)


def _ends(one: str, other: str) -> bool:
    """Whether the longer ends with the shorter, or both with the same eight: switchboards put digits before a number."""
    short, long = sorted((one, other), key=len)
    return len(short) >= SHORTEST and (long.endswith(short) or (len(short) > SHORTEST and short[-8:] == long[-8:]))


def _in_groups(groups: list[str], *, with_plus: bool) -> Phone:
    extended = len(groups) > 1 and len(groups[-1]) <= 6 and _known("".join(groups[:-1]), with_plus=with_plus)
    if extended and len(groups[-2]) >= SHORTEST:  # nobody breaks a number so late
        return replace(extended, extension=groups[-1])
    digits = "".join(groups)
    if phone := _known(digits, with_plus=with_plus):
        return phone
    if extended:
        return replace(extended, extension=groups[-1])
    if with_plus and not digits.startswith(_COUNTRY):
        return Phone(f"+{digits}", is_whole=True)
    return Phone(digits.lstrip("0") or digits)


def _known(digits: str, *, with_plus: bool) -> Phone | None:
    """A number whose form is one of this country's, or that says that it is another's."""
    if with_plus:
        return _within_the_country(digits[2:]) if digits.startswith(_COUNTRY) else None
    if digits.startswith(f"00{_COUNTRY}"):
        return _within_the_country(digits[4:])
    if digits.startswith("00"):
        return Phone(f"+{digits[2:]}", is_whole=True) if len(digits) >= 10 else None
    if digits.startswith(_COUNTRY) and len(digits) >= 12 and (phone := _within_the_country(digits[2:])):
        return phone
    return _within_the_country(digits)


def _within_the_country(digits: str) -> Phone | None:
    bare = digits.removeprefix("0")
    if _MOBILE.fullmatch(bare) or _SERVICE.fullmatch(bare):
        return Phone(bare, is_whole=True)
    found = _WITH_AREA.fullmatch(bare)
    if found and len(found[2]) == (8 if _SHORT_AREA.fullmatch(found[1]) else len(found[2])):
        return Phone(bare, area=found[1], local=found[2], is_whole=True)
    if bare == digits and _LOCAL.fullmatch(digits):
        return Phone(digits, local=digits)
    return None
