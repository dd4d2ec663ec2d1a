"""What people type, read as they mean it: labels of choices in any language, yes and no, dates in the forms they write.

One reading for forms, imports and commands, so that "成交客户" in a file and "Deal customer" on a form are one value.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from typing import Any

from localcrm.domain.areas import canonical
from localcrm.kernel.attachments import names
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import LANGUAGES, N_, gettext, use_language
from localcrm.kernel.ids import parse_id
from localcrm.kernel.places import read_place
from localcrm.kernel.schema import Field, split_choices

#: Year, month, day with anything between them, in any language, or with nothing; a time may follow.
_DATE = re.compile(r"(\d{4})(?:\D{1,2}(\d{1,2})\D{1,2}(\d{1,2})\D?|(\d{2})(\d{2}))")
_DATE_AND_TIME = re.compile(rf"{_DATE.pattern}[\sT]*(\d{{1,2}}):(\d{{2}})(?::(\d{{2}})(?:\.\d+)?)?")
_YES, _NO = N_("Yes"), N_("No")
_NOT_A_DATE = N_("{label}: “{value}” is not a date (write 2026-11-23).")


def read_text(field: Field, text: str) -> Any:
    """What a cell stands for in a field, as far as the declaration does not read it itself; raises InvalidInput("bad_date", "bad_place")."""
    if field.kind == "choices":
        return "\n".join(_labels(field).get(part.casefold(), part) for part in split_choices(text))
    if field.options:
        return _labels(field).get(text.casefold(), text)
    if field.f.widget == "area":
        return canonical(text)
    if field.f.widget == "place":
        return read_place(text) if text else text
    match field.kind:
        case "boolean":
            return _truths().get(text.casefold(), text)
        case "date":
            return _read_date(field, text)
        case "datetime":
            return _read_moment(field, text)
        case "ref":
            return _read_id(field, text)
    return text


def in_words(field: Field, value: str) -> str:
    """Labels of what was chosen from a list, in the language of the moment; of files their names."""
    if field.kind == "files":
        return gettext(N_(", ")).join(names(value))
    chosen = split_choices(value) if field.kind == "choices" else [value]
    return gettext(N_(", ")).join(gettext(field.options.get(one, one)) for one in chosen)


@cache
def _labels(field: Field) -> dict[str, str]:
    return {
        **{label.casefold(): value for value, msgid in field.options.items() for label in in_every_language(msgid)},
        **{value.casefold(): value for value in field.options},
    }


@cache
def _truths() -> dict[str, bool]:
    words = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False, "y": True, "n": False}
    for msgid, value in ((_YES, True), (_NO, False)):
        words.update({label.casefold(): value for label in in_every_language(msgid)})
    return words


def in_every_language(msgid: str) -> list[str]:
    """A msgid and its translations."""
    texts = [msgid]
    for language in LANGUAGES:
        with use_language(language):
            texts.append(gettext(msgid))
    return texts


def _read_date(field: Field, text: str) -> dt.date:
    found = _DATE.fullmatch(text)
    if found:
        return _date(field, text, found)
    found = _DATE_AND_TIME.fullmatch(text)  # a spreadsheet's date may carry midnight
    if found and not any(int(part or 0) for part in found.groups()[5:]):
        return _date(field, text, found)
    raise _not_a_date(field, text)


def _read_moment(field: Field, text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        day_only, found = _DATE.fullmatch(text), _DATE_AND_TIME.fullmatch(text)
        if day_only:
            moment = dt.datetime.combine(_date(field, text, day_only), dt.time())
        elif found:
            moment = _moment(field, text, found)
        else:
            raise _not_a_date(field, text) from None
    try:
        return moment.astimezone(dt.UTC)  # one without an offset is on the clock on the wall
    except (ValueError, OverflowError, OSError):
        raise _not_a_date(field, text) from None


def _read_id(field: Field, text: str) -> str:
    try:
        return parse_id(text)
    except InvalidInput as error:
        raise InvalidInput(
            error.code, N_("{label}: “{value}” is not a record id."), label=field.label, value=text[:60], field=field.key
        ) from None


def _moment(field: Field, text: str, found: re.Match[str]) -> dt.datetime:
    hour, minute, second = (int(part or 0) for part in found.groups()[5:])
    try:
        return dt.datetime.combine(_date(field, text, found), dt.time(hour, minute, second))
    except ValueError:
        raise _not_a_date(field, text) from None


def _date(field: Field, text: str, found: re.Match[str]) -> dt.date:
    year, month, day, short_month, short_day = found.groups()[:5]
    try:
        return dt.date(int(year), int(month or short_month), int(day or short_day))
    except ValueError:
        raise _not_a_date(field, text) from None


def _not_a_date(field: Field, text: str) -> InvalidInput:
    return InvalidInput("bad_date", _NOT_A_DATE, label=field.label, value=text[:60], field=field.key)
