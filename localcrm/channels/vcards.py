"""Address cards from telephones and mail programs: vCard 2.1, 3.0 and 4.0 as one table, one row per card.

The stream is cut into cards here and read line by line here, not by a library: a file of a million lines then needs the
memory of one card, one broken card is one bad row, pictures are skipped before they are decoded, and bytes are decoded
by the character set that each line names (GBK in one line, UTF-8 in the next). Writing uses ``vobject`` (``reports.export``).
"""

from __future__ import annotations

import binascii
import codecs
import io
import quopri
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from localcrm.channels.tables import MAX_BYTES, Row, Table, open_file
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext

HEADERS = ["name", "phone", "email", "company", "title", "address", "remark"]
HEADERS += ["second_phone", "other_phones", "birthday", "lunar_birthday", "gender", "wechat"]
#: What goes into another column where a kind of record has no field for it.
ELSEWHERE = {"second_phone": "remark", "other_phones": "remark"}
MAX_CARDS = 200_000
#: Bytes of the lines of one card that are kept; pictures do not count.
MAX_CARD_BYTES = 256 * 1024
MAX_LINE = 64 * 1024

_KEPT = {"VERSION", "FN", "N", "ORG", "TITLE", "TEL", "EMAIL", "ADR", "NOTE", "BDAY", "GENDER", "X-GENDER", "X-WECHAT", "X-LUNAR-BIRTHDAY"}
_GENDERS = {"m": "male", "male": "male", "f": "female", "female": "female"}
_CHARSETS = {"utf-8", "gbk", "gb2312", "gb18030", "big5", "ascii", "iso8859-1", "utf-16", "utf-16-le", "utf-16-be"}
_WIDE_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_EAST_ASIAN = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(slots=True)
class _Card:
    """The lines of one card that are kept, unfolded; ``fault`` is the code of what is wrong with it."""

    line: int
    properties: list[bytes] = field(default_factory=list)
    size: int = 0
    fault: str | None = None

    def keep(self, text: bytes) -> None:
        self.size += len(text)
        if self.size > MAX_CARD_BYTES:
            self.fault = "card_too_large"
            self.properties.clear()
        else:
            self.properties.append(text)


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    types: frozenset[str]
    value: str


def read_vcards(path: Path, *, limit_rows: int | None = None, max_bytes: int = MAX_BYTES) -> Table:
    """The cards of a file as a table with HEADERS.

    Of several numbers the preferred or else the mobile one is the phone, the next the second, the others stand together; of several mail
    addresses the first counts and the others are lines of the remark. Pictures, links and private properties are not read.
    """
    with open_file(path, max_bytes=max_bytes) as file:
        wide = file.read(2) in _WIDE_BOMS

    def read(table: Table) -> Iterator[Row]:
        with open_file(path, max_bytes=max_bytes) as file:
            for count, card in enumerate(_cards(file, wide=wide), start=1):
                if count > MAX_CARDS:
                    raise InvalidInput("too_many_rows", N_("The file has more than {limit} cards. Please split it."), limit=MAX_CARDS)
                row = _row(card)
                if card.fault:
                    table.fail(card.line, card.fault, gettext(_FAULTS[card.fault]), row)
                else:
                    yield card.line, row

    return Table(list(HEADERS), "vcf", "utf-16" if wide else "utf-8", None, read, limit_rows=limit_rows, elsewhere=ELSEWHERE)


_FAULTS = {
    "card_too_large": N_("The card is too large to be one person's card."),
    "card_not_ended": N_("The card has no end (END:VCARD is missing)."),
    "card_encoding": N_("The card holds signs that cannot be read. Please export it again as UTF-8."),
    "card_without_name": N_("The card has no name."),
}


# --- from lines to cards -------------------------------------------------------------------------------------------


def _cards(file: BinaryIO, *, wide: bool) -> Iterator[_Card]:
    """Cut the stream; lines outside cards are passed over."""
    card: _Card | None = None
    for number, text in _logical_lines(file, wide=wide):
        mark = re.sub(rb"\s", b"", text[:40]).upper()
        if mark == b"BEGIN:VCARD":
            if card:
                card.fault = "card_not_ended"
                yield card
            card = _Card(number)
        elif card and mark == b"END:VCARD":
            yield card
            card = None
        elif card and not card.fault:
            card.keep(text)
    if card:
        card.fault = "card_not_ended"
        yield card


def _logical_lines(file: BinaryIO, *, wide: bool) -> Iterator[tuple[int, bytes]]:
    """(number of the first line, unfolded bytes) of the properties that are kept; each at most a little over a card."""
    start, parts, size = 0, list[bytes](), 0
    wanted = quoted = goes_on = False
    for number, text, is_rest in _physical_lines(file, wide=wide):
        if number > 1 and (is_rest or goes_on or text[:1] in {b" ", b"\t"}):
            # A fold takes one blank away; what quoted-printable continues, and the rest of a long line, begins as it stands.
            piece = text if is_rest or goes_on else text[1:]
        else:
            if wanted:
                yield start, b"".join(parts)
            start, parts, size, piece = number, [], 0, text
            wanted = _wanted(text)
            quoted = wanted and b"QUOTED-PRINTABLE" in text.partition(b":")[0].upper()
        goes_on = quoted and piece.endswith(b"=")
        if wanted and size <= MAX_CARD_BYTES:
            parts.append(piece[:-1] if goes_on else piece)
            size += len(piece)
    if wanted:
        yield start, b"".join(parts)


def _physical_lines(file: BinaryIO, *, wide: bool) -> Iterator[tuple[int, bytes, bool]]:
    """(number, bytes without the line end, whether it continues a line longer than MAX_LINE)."""
    number, is_rest = 1, False
    readline: Callable[[], bytes] = partial(file.readline, MAX_LINE)
    if wide:
        stream = io.TextIOWrapper(file, "utf-16", errors="replace", newline="\n")
        readline = lambda: stream.readline(MAX_LINE).encode()  # noqa: E731 -- a name and a body say no more
    while text := readline():
        ended = text.endswith(b"\n")
        yield number, text.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n") if ended or number == 1 else text, is_rest
        number, is_rest = number + ended, not ended


def _wanted(text: bytes) -> bool:
    """Whether a line begins or ends a card or tells something that is kept; ``item1.TEL`` is a TEL in a group."""
    name = re.split(rb"[:;]", text[:80].lstrip(), maxsplit=1)[0].upper().strip()
    return name in {b"BEGIN", b"END"} or name.rpartition(b".")[2].decode("latin-1") in _KEPT


# --- from a card to a row ------------------------------------------------------------------------------------------


def _row(card: _Card) -> list[str]:
    try:
        properties = [_property(text) for text in card.properties]
    except (UnicodeDecodeError, binascii.Error):
        card.fault = card.fault or "card_encoding"
        return []
    found: dict[str, list[_Property]] = {}
    for entry in properties:
        if _unescape(entry.value).strip(" ;"):
            found.setdefault(entry.name, []).append(entry)
    company, *departments = _first_parts(found.get("ORG")) or [""]
    phones = [_unescape(entry.value).removeprefix("tel:") for entry in sorted(found.get("TEL", []), key=_by_preference)]
    emails = [_unescape(entry.value).removeprefix("mailto:") for entry in found.get("EMAIL", [])]
    name = _text(found.get("FN")) or _full_name(_first_parts(found.get("N"))) or company
    if not name:
        card.fault = card.fault or "card_without_name"
    notes = [*(_unescape(entry.value) for entry in found.get("NOTE", [])), *departments, *emails[1:]]
    notes += [_address(_parts(entry.value)) for entry in found.get("ADR", [])[1:]]
    address = _address(_first_parts(found.get("ADR")))
    gender = _text(found.get("GENDER") or found.get("X-GENDER")).partition(";")[0]
    return [
        *(name, _first(phones), _first(emails), company, _text(found.get("TITLE")), address, "\n".join(filter(None, notes))),
        *(_first(phones[1:]), ", ".join(phones[2:])),
        *(_birthday(_text(found.get("BDAY"))), _text(found.get("X-LUNAR-BIRTHDAY"))),
        *(_GENDERS.get(gender.casefold(), ""), _text(found.get("X-WECHAT"))),
    ]


def _birthday(text: str) -> str:
    """A day with its year; telephones also write days without one, which are no dates of birth."""
    day = re.match(r"(\d{4}-\d\d-\d\d|\d{8})(?!\d)", text, re.ASCII)
    return day[1] if day else ""


def _first(values: list[str]) -> str:
    return values[0] if values else ""


def _property(text: bytes) -> _Property:
    """Raises UnicodeDecodeError or binascii.Error."""
    head, value = _split_at_colon(text)
    name, *params = head.decode("latin-1").upper().split(";")
    charset, types = "", set[str]()
    for param in params:
        key, _, told = param.rpartition("=")
        if key == "CHARSET":
            charset = told.strip('"')
        else:
            types |= set(told.strip('"').split(","))
    if "QUOTED-PRINTABLE" in types:
        value = quopri.decodestring(value)
    elif types & {"B", "BASE64"}:
        value = binascii.a2b_base64(value)
    return _Property(name.rpartition(".")[2].strip(), frozenset(types), _decode(value, charset))


def _split_at_colon(text: bytes) -> tuple[bytes, bytes]:
    """Cut at the first colon outside quotes."""
    found = re.match(rb'(?:[^":]|"[^"]*")*:', text)
    end = found.end() - 1 if found else text.find(b":")
    return (text[:end], text[end + 1 :]) if end >= 0 else (text, b"")


def _decode(value: bytes, charset: str) -> str:
    try:
        codec = codecs.lookup(charset).name if charset else ""
    except LookupError:
        codec = ""
    if codec in _CHARSETS:
        return value.decode("gb18030" if codec in {"gbk", "gb2312"} else codec)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("gb18030")


def _by_preference(phone: _Property) -> int:
    if "PREF" in phone.types or "1" in phone.types:  # TYPE=pref, or PREF=1 as in 4.0
        return 0
    return 1 if "CELL" in phone.types else 2


def _unescape(value: str) -> str:
    return re.sub(r"\\([\\;,:nN])", lambda found: "\n" if found[1] in "nN" else found[1], value).strip()


def _text(entries: list[_Property] | None) -> str:
    return _unescape(entries[0].value) if entries else ""


def _first_parts(entries: list[_Property] | None) -> list[str]:
    return _parts(entries[0].value) if entries else []


def _parts(value: str) -> list[str]:
    """The parts of a structured value, cut at semicolons that are not escaped."""
    return [_unescape(part) for part in re.findall(r"((?:\\.|[^\\;]|\\$)*)(?:;|$)", value, re.DOTALL)]


def _full_name(parts: list[str]) -> str:
    family, given, additional, prefix, suffix = (parts + [""] * 5)[:5]
    if _EAST_ASIAN.search(family + given):
        return family + additional + given
    return " ".join(filter(None, (prefix, given, additional, family, suffix)))


def _address(parts: list[str]) -> str:
    """From the large to the small in East Asia, from the small to the large elsewhere."""
    box, extended, street, city, region, code, country = (parts + [""] * 7)[:7]
    if _EAST_ASIAN.search("".join(parts)):
        return f"{country}{region}{city}{street}{extended}{box} {code}".strip()
    return ", ".join(filter(None, (box, extended, street, city, f"{region} {code}".strip(), country)))
