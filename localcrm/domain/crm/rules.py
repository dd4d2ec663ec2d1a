"""When two customers look like one."""

from __future__ import annotations

import re
import unicodedata

from localcrm.domain.typed import in_every_language
from localcrm.kernel.i18n import N_

#: Words at the end of a company's name that do not tell it from another.
_LEGAL_FORMS = N_("company limited|limited company|co|ltd|limited|inc|llc|corp|company")
#: Shorter numbers, such as extensions, do not name anybody.
MIN_PHONE = 7
_RUN = re.compile(r"[^\W_]+")
_BETWEEN_PHONES = re.compile(r"[,;/|\u3001\uff0c\uff1b\uff0f]+")


def plain_name(name: str) -> str:
    """A company's name without what people write in different ways: width, case, spaces, brackets, legal form."""
    runs = _RUN.findall(unicodedata.normalize("NFKC", name).casefold())
    forms = [form for words in in_every_language(_LEGAL_FORMS) for form in sorted(words.split("|"), key=len, reverse=True)]
    while len(runs) > 1 and runs[-1] in forms:
        runs.pop()
    whole = plain = "".join(runs)
    while ending := next((form for form in forms if not form.isascii() and plain.endswith(form)), ""):
        plain = plain.removesuffix(ending)
    return plain or whole


def plain_phones(text: str) -> list[str]:
    """The numbers in a field, digits only, without the country's own code."""
    digits = ("".join(filter(str.isdecimal, part)) for part in _BETWEEN_PHONES.split(unicodedata.normalize("NFKC", text)))
    return [number.removeprefix("86") if len(number) > 11 else number for number in digits if len(number) >= MIN_PHONE]


def plain_code(text: str) -> str:
    """A tax number without spaces, in capitals."""
    return "".join(_RUN.findall(unicodedata.normalize("NFKC", text))).upper()
