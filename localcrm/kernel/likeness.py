"""What a name, a telephone number or a code says, whoever wrote it in whichever way: values with one plain form mean the same.

``store.marks`` keeps plain forms; raise VERSION whenever one changes, so that they are made anew.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from localcrm.kernel.i18n import LANGUAGES, N_, gettext, use_language
from localcrm.kernel.phones import BETWEEN, SHORTEST, tails

if TYPE_CHECKING:
    from localcrm.kernel.schema import Mark

#: Of the rules below.
VERSION = 2
#: Words at the end of a company's name that do not tell it from another.
_LEGAL_FORMS = N_("company limited|limited company|co|ltd|limited|inc|llc|corp|company")
#: What a record is known by beside its marks: the last digits of its telephone numbers, by which a caller is looked for.
TAIL = "tail"
_RUN = re.compile(r"[^\W_]+")


@cache
def legal_forms() -> tuple[str, ...]:
    """The words in every language, of each language the longest first."""
    found = [_LEGAL_FORMS]
    for language in LANGUAGES:
        with use_language(language):
            found.append(gettext(_LEGAL_FORMS))
    return tuple(form for words in dict.fromkeys(found) for form in sorted(words.split("|"), key=len, reverse=True))


@cache
def _endings() -> re.Pattern[str]:
    """Those that are written without a space before them, at the end of a name, as many as there are."""
    return re.compile(f"(?:{'|'.join(map(re.escape, (form for form in legal_forms() if not form.isascii()))) or '(?!)'})+$")


def plain_name(name: str) -> str:
    """A company's name without what people write in different ways: width, case, spaces, brackets, legal form."""
    runs = _RUN.findall(unicodedata.normalize("NFKC", name).casefold())
    forms = legal_forms()
    while len(runs) > 1 and runs[-1] in forms:
        runs.pop()
    whole = "".join(runs)
    return _endings().sub("", whole) or whole


def plain_phones(text: str) -> list[str]:
    """The numbers in a field, digits only, without the country's own code and the zero before an area code."""
    digits = ("".join(filter(str.isdecimal, part)) for part in BETWEEN.split(unicodedata.normalize("NFKC", text)))
    return [_within_the_country(number) for number in digits if len(number) >= SHORTEST]


def _within_the_country(number: str) -> str:
    bare = number.lstrip("0")
    return bare.removeprefix("86").lstrip("0") if len(bare) > 11 else bare or number


def plain_code(text: str) -> str:
    """A tax number without spaces, in capitals."""
    return "".join(_RUN.findall(unicodedata.normalize("NFKC", text))).upper()


def plain_forms(mark: Mark, text: str) -> list[str]:
    """The plain forms of what a field with this mark says; none of one that says nothing."""
    if mark == "phone":
        return list(dict.fromkeys(plain_phones(text)))
    plain = plain_name if mark == "name" else plain_code
    return list(dict.fromkeys(value for line in text.splitlines() if (value := plain(line))))


def kept_forms(mark: Mark, text: str) -> list[tuple[str, str]]:
    """What is kept of a field with this mark: kind and plain form, those by the last digits included."""
    forms: list[tuple[str, str]] = [(mark, plain) for plain in plain_forms(mark, text)]
    return [*forms, *((TAIL, end) for end in tails(text))] if mark == "phone" else forms
