"""Files that people take away: csv, xlsx, jsonl and vCard by the suffix, streamed, whole or not at all.

csv and xlsx are for people and spreadsheet programs: times in local time, text never taken for a formula. A text that
begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end gets an apostrophe in front in a csv file unless it is a plain
number; xlsx says by type that a cell is text, so there only a text that already looks so escaped gets one more. The
import takes one apostrophe away again, so both formats bring back the same text. jsonl is for programs: exact, unescaped.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import IO, Any

from localcrm.kernel.clock import to_iso
from localcrm.kernel.errors import InvalidInput, NotFound, StoreError
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.files import open_atomically

#: The same signs as in ``channels.tables``, which undoes the escape (neighbours do not import each other; a test compares).
FORMULA_STARTS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
XLSX_ROWS = 1_048_576
XLSX_TEXT = 32_767
#: Characters of a note at the foot of a page; Excel takes 255, with signs that stand for two.
_FOOT = 120

_RISKY = re.compile(f"'*[{FORMULA_STARTS}]")
_LOOKS_ESCAPED = re.compile(f"'+[{FORMULA_STARTS}]")
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_NUMBER_FORMATS = {
    "integer": "0",
    "money": "#,##0.00",
    "price": "#,##0.00####",
    "quantity": "#,##0.####",
    "rate": "0.00%",
    "decimal": "General",
}
_DAY, _MOMENT, _TEXT = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "@"


def write_table(
    path: Path,
    headers: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    kinds: Sequence[str],
    keys: Sequence[str] | None = None,
    note: str = "",
) -> int:
    """Write a table in the format that the suffix names; returns the number of rows.

    ``kinds`` are those of ``kernel.schema.Field``, one per column; ``keys`` are the field keys that jsonl and vCard go by
    (default: the headers). ``note`` says what the table is: an xlsx file has it among its properties and at the foot of each printed page,
    where no import reads it; the other formats have no place for it. A failure leaves no new file, and an old one as it was. Raises InvalidInput with the codes
    unknown_format, too_many_rows_for_excel, text_too_long_for_excel, and what ``atomic_file`` raises.
    """
    write = _writer(path)
    with atomic_file(path) as file:
        return write(file, _Sheet(headers, rows, kinds, keys or headers, note))


def write_error_rows(path: Path, headers: Sequence[str], error_rows: Iterable[tuple[int, Sequence[str], str]]) -> int:
    """Write the failed rows of an import, (row number, cells, reason) each, as csv or xlsx; returns their number.

    The reason comes first, so that a row with too many cells keeps them all; no field is called like it, so that the mended
    file can be imported as it is. A reason from an earlier round is replaced.
    """
    reason = gettext(N_("Reason for refusal"))
    old = next((index for index, header in enumerate(headers) if header == reason), None)

    def without_old(cells: Sequence[str]) -> list[str]:
        return [cell for index, cell in enumerate(cells) if index != old]

    place = gettext(N_("Row {row}: {reason}"))
    rows = ([place.format(row=number, reason=text), *without_old(cells)] for number, cells, text in error_rows)
    if path.suffix.lower() not in {".csv", ".xlsx"}:
        raise _unknown_format(path, ("csv", "xlsx"))
    return write_table(path, [reason, *without_old(headers)], rows, kinds=["text"] * (len(headers) + 1))


# --- whole or not at all -------------------------------------------------------------------------------------------


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of ``path`` when the block ends well and vanishes when it does not.

    Raises NotFound("no_such_folder"), StoreError("cannot_write_file").
    """
    if not path.parent.is_dir():
        raise NotFound("no_such_folder", N_("There is no folder “{name}”."), name=str(path.parent))
    try:
        with open_atomically(path) as file:
            yield file
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(
        "cannot_write_file",
        N_("“{name}” could not be written ({reason}). If it is open in another program, please close it there. An older file was kept."),
        name=path.name,
        reason=error.strerror or type(error).__name__,
    )


# --- formats -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What is to be written; every writer takes of it what its format needs."""

    headers: Sequence[str]
    rows: Iterable[Sequence[Any]]
    kinds: Sequence[str]
    keys: Sequence[str]
    note: str = ""

    def typed(self, row: Sequence[Any]) -> list[Any]:
        """The values of a row as what they are; beyond the header only texts can be."""
        return [_typed(value, kind) for value, kind in zip_longest(row, self.kinds[: len(row)], fillvalue="text")]

    def record(self, row: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(self.keys, row, strict=True))


_Writer = Callable[[IO[bytes], _Sheet], int]


def _writer(path: Path) -> _Writer:
    writers: Mapping[str, _Writer] = {"csv": _write_csv, "xlsx": _write_xlsx, "jsonl": _write_jsonl, "vcf": _write_vcf}
    writer = writers.get(path.suffix.lower().removeprefix("."))
    if writer is None:
        raise _unknown_format(path, tuple(writers))
    return writer


def _unknown_format(path: Path, allowed: Sequence[str]) -> InvalidInput:
    return InvalidInput(
        "unknown_format",
        N_("“{name}” does not say in which format to write; its name must end in one of: {allowed}."),
        name=path.name,
        allowed=", ".join(f".{suffix}" for suffix in allowed),
    )


def _write_csv(file: IO[bytes], sheet: _Sheet) -> int:
    # Excel takes a csv file for Chinese only when it begins with a byte-order mark.
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_escape(header) for header in sheet.headers])
    count = 0
    for row in sheet.rows:
        writer.writerow([_escape(_as_text(value)) for value in sheet.typed(row)])
        count += 1
    text.flush()
    text.detach()
    return count


def _escape(text: str) -> str:
    return f"'{text}" if _RISKY.match(text) and not _PLAIN_NUMBER.fullmatch(text) else text


def _write_jsonl(file: IO[bytes], sheet: _Sheet) -> int:
    count = 0
    for row in sheet.rows:
        record = {key: _as_json(value) for key, value in sheet.record(row).items()}
        file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        count += 1
    return count


def _write_vcf(file: IO[bytes], sheet: _Sheet) -> int:
    """One card per row that has a name; the row's keys name phone, email, company, title, address, remark."""
    count = 0
    for row in sheet.rows:
        card = _card({key: _as_text(value).strip() for key, value in sheet.record(row).items()})
        if card:
            file.write(card.encode())
            count += 1
    return count


#: Field and the line of a card that says it; what the standard has no line for goes by names of our own.
_CARD_LINES = (
    *(("phone", "tel"), ("second_phone", "tel"), ("other_phones", "tel"), ("email", "email"), ("title", "title"), ("remark", "note")),
    *(("birthday", "bday"), ("lunar_birthday", "x-lunar-birthday"), ("gender", "x-gender"), ("wechat", "x-wechat")),
)


def _card(record: Mapping[str, str]) -> str:
    import vobject

    name = record.get("name") or record.get("company") or ""
    if not name:
        return ""
    card = vobject.vCard()
    card.add("fn").value = name
    card.add("n").value = vobject.vcard.Name(family=name)
    for key, line in _CARD_LINES:
        if record.get(key):
            card.add(line).value = record[key]
    if record.get("company"):
        card.add("org").value = [record["company"]]
    if record.get("address"):
        card.add("adr").value = vobject.vcard.Address(street=record["address"])
    return str(card.serialize())


# --- xlsx ----------------------------------------------------------------------------------------------------------


def _write_xlsx(file: IO[bytes], sheet: _Sheet) -> int:
    import xlsxwriter

    # The folder holds the rows until the archive is made and takes them along when something fails.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = {
            "constant_memory": True,
            "tmpdir": folder,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        book = xlsxwriter.Workbook(file, options)
        book.use_zip64()
        page = book.add_worksheet()
        if note := _CONTROL.sub(" ", sheet.note):
            book.set_properties({"comments": note})
            page.set_footer(f"&L{note[:_FOOT].replace('&', '&&')}&R&P / &N")
        formats = {code: book.add_format({"num_format": code}) for code in (*_NUMBER_FORMATS.values(), _DAY, _MOMENT, _TEXT)}
        rows = iter(sheet.rows)
        first = list(islice(rows, 100))
        _write_header(page, sheet, first, bold=book.add_format({"bold": True}))
        count = 0
        for row in chain(first, rows):
            count += 1
            if count >= XLSX_ROWS:
                raise InvalidInput(
                    "too_many_rows_for_excel", N_("An Excel sheet holds {limit} rows at most. Please export as .csv."), limit=XLSX_ROWS
                )
            for column, (value, kind) in enumerate(zip_longest(sheet.typed(row), sheet.kinds[: len(row)], fillvalue="text")):
                _write_cell(page, (count, column), value, kind=kind, formats=formats)
        page.autofilter(0, 0, max(count, 1), max(len(sheet.headers) - 1, 0))
        book.close()
    return count


def _write_header(page: Any, sheet: _Sheet, first: Sequence[Sequence[Any]], *, bold: Any) -> None:
    for column, header in enumerate(sheet.headers):
        page.set_column(column, column, _column_width(header, [row[column] for row in first if column < len(row)]))
        page.write_string(0, column, _xlsx_text(header), bold)
    page.freeze_panes(1, 0)


def _write_cell(page: Any, place: tuple[int, int], value: Any, *, kind: str, formats: Mapping[str, Any]) -> None:
    if value is None or value == "":
        return
    if isinstance(value, bool):
        page.write_boolean(*place, value)
    elif isinstance(value, int | Decimal) and _fits_float(value):
        page.write_number(*place, value, formats[_NUMBER_FORMATS.get(kind, "General")])
    elif isinstance(value, datetime) and value.year >= 1900:
        page.write_datetime(*place, _local(value).replace(tzinfo=None), formats[_MOMENT])
    elif isinstance(value, date) and not isinstance(value, datetime) and value.year >= 1900:
        page.write_datetime(*place, value, formats[_DAY])
    else:
        text = _xlsx_text(_as_text(value))
        if len(text) > XLSX_TEXT:
            raise InvalidInput(
                "text_too_long_for_excel",
                N_("Row {row} has a text of {size} characters; a cell in Excel holds {limit}. Please export as .csv."),
                row=place[0] + 1,
                size=len(text),
                limit=XLSX_TEXT,
            )
        page.write_string(*place, text, formats[_TEXT])


def _typed(value: Any, kind: str) -> Any:
    """What a text stands for in a column of numbers or dates; records come with either."""
    if isinstance(value, str) and not isinstance(value, Enum):
        with suppress(ValueError, ArithmeticError):
            if kind == "date":
                return date.fromisoformat(value)
            if kind == "datetime":
                return datetime.fromisoformat(value)
            if kind in _NUMBER_FORMATS and _PLAIN_NUMBER.fullmatch(value):
                return Decimal(value)
    return value


def _fits_float(value: int | Decimal) -> bool:
    """Whether Excel, which keeps 15 digits, keeps this number; others are written as text and lose nothing."""
    number = Decimal(value)
    return number.is_finite() and len(number.as_tuple().digits) <= 15 and -15 <= number.adjusted() <= 15


def _xlsx_text(text: str) -> str:
    clean = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{clean}" if _LOOKS_ESCAPED.match(clean) else clean


def _column_width(header: str, values: Sequence[Any]) -> int:
    longest = max((_width(_as_text(value)[:80]) for value in values), default=0)
    return min(60, max(8, longest + 2, _width(header) + 4))  # room for the filter's arrow


def _width(text: str) -> int:
    return max((sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line) for line in text.splitlines()), default=0)


# --- values --------------------------------------------------------------------------------------------------------


def _as_text(value: Any) -> str:
    """A value for people: no exponent, local time with its offset, TRUE and FALSE as Excel has them."""
    if value is None:
        return ""
    if isinstance(value, Enum):
        return _as_text(value.value)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return _local(value).isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_as_text(entry) for entry in value)
    return _CONTROL.sub("", str(value))


def _as_json(value: Any) -> Any:
    if isinstance(value, Enum):
        return _as_json(value.value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return to_iso(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(entry) for entry in value]
    return value


def _local(moment: datetime) -> datetime:
    """The moment on the clock on the wall; one without a zone is on it already."""
    return moment.astimezone() if moment.tzinfo else moment
