"""Excel workbooks from strangers: what the archive claims is checked against what it holds before a parser sees it.

openpyxl keeps the texts of a workbook and the elements of one row in memory, and fills every gap between two rows; so
sizes, numbers of elements and row numbers are bounded here first. Entities are refused here and again by the parser.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

from localcrm.channels.tables import MAX_BYTES, MEBIBYTE, Row, RowNote, Table, open_file, unescape, unique_headers
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext

MAX_ROWS = 200_000
#: Rows a sheet can have at all; what claims a higher number is made up.
LAST_ROW = 1_048_576
MAX_MEMBERS = 2000
MAX_UNPACKED = 512 * MEBIBYTE
#: Real sheets pack 5 to 100 times; only archives that unpack to more than this are judged by it.
MAX_RATIO = 200
RATIO_FREE = 16 * MEBIBYTE
MAX_SHEET_TAGS = 40_000_000
MAX_OTHER_TAGS = 4_000_000
#: Between two rows of a sheet: the parser holds that much as elements.
MAX_ROW_BYTES = 4 * MEBIBYTE

_BLOCK = MEBIBYTE
_TAIL = 4096
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_WIDE_XML = (b"\xff\xfe<\x00", b"\xfe\xff\x00<", b"<\x00", b"\x00<")
_ROOT = re.compile(rb"<(?:\w+:)?worksheet\b")
# Every repetition below ends at the next "<" or after a few blanks, so that no text can make them slow.
_ROW = re.compile(rb"<(?:\w+:)?row\b([^<>]*)>")
_HIDDEN = re.compile(rb"\bhidden=[\"'](?:1|true)[\"']")
_NUMBER = re.compile(rb"\br=[\"'](\d{1,9})[\"']")
_FORMULA = re.compile(rb"<(?:\w+:)?c\b[^<>]*?\br=[\"']([A-Z]{1,3})(\d{1,9})[\"'][^<>]*>\s{0,9}<(?:\w+:)?f[\s/>]")
_NO_VALUE = re.compile(
    rb"(?:</(?:\w+:)?f>|<(?:\w+:)?f(?:\s[^<>]*)?/>)\s{0,9}(?:<(?:\w+:)?v\s?/>|<(?:\w+:)?v></(?:\w+:)?v>)?\s{0,9}</(?:\w+:)?c>"
)
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^<>]*?\bref=[\"']([A-Z]+)(\d{1,9})")


_CODE = re.compile(r"_x(005F)_|_x000D_\n?", re.IGNORECASE)


@dataclass(slots=True)
class _Findings:
    """What one part of the archive holds besides values: rows of each kind, first ones first."""

    hidden: list[int] = field(default_factory=list)
    formulas: list[int] = field(default_factory=list)
    without_value: int = 0
    merged: list[int] = field(default_factory=list)


def read_workbook(path: Path, *, limit_rows: int | None = None, max_bytes: int = MAX_BYTES) -> Table:
    """The first visible sheet of an xlsx file as a table; formulas count with the value that Excel last computed.

    Raises InvalidInput with the codes unsafe_excel, not_excel, damaged_excel, too_many_rows, too_many_columns, empty_file.
    """
    with open_file(path, max_bytes=max_bytes) as file, _border(path):
        findings = _inspect(ZipFile(file), path)
        file.seek(0)
        book = _open(file)
        visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
        if not visible:
            raise _not_excel(path)
        title = visible[0].title
        header = next(_sheet_rows(visible[0]), None)
        # The part's name is not public; without it there are no warnings, and nothing else is lost.
        found = findings.get(str(getattr(visible[0], "_worksheet_path", "")).lstrip("/"), _Findings())
        notes = [*_sheet_notes(book.worksheets, title), *_notes(found)]
    if header is None:
        raise InvalidInput("empty_file", N_("“{name}” is empty. Nothing was imported."), name=path.name)
    header_row, cells = header
    labels = [_plain(cell)[0] for cell in cells]
    while labels and not labels[-1].strip():
        labels.pop()

    def read(table: Table) -> Iterator[Row]:
        with open_file(path, max_bytes=max_bytes) as file, _border(path):
            sheet = _open(file)[title]
            kept = 0
            for number, row in _sheet_rows(sheet):
                if number == header_row:
                    continue
                kept += 1
                if kept > MAX_ROWS:
                    raise InvalidInput(
                        "too_many_rows", N_("The sheet has more than {limit} rows. Please split it, or save it as .csv."), limit=MAX_ROWS
                    )
                fitted = table.fit(number, _texts(table, number, row))
                if fitted is not None:
                    yield number, fitted

    return Table(unique_headers(labels), "xlsx", None, None, read, tuple(notes), limit_rows)


# --- before the parser ---------------------------------------------------------------------------------------------


def _inspect(archive: ZipFile, path: Path) -> dict[str, _Findings]:
    members = archive.infolist()
    names = {member.filename.lstrip("/") for member in members}
    if "[Content_Types].xml" not in names or not any(name.startswith("xl/") for name in names) or "xl/workbook.bin" in names:
        raise _not_excel(path)
    unpacked = sum(member.file_size for member in members)
    packed = max(1, path.stat().st_size)
    if len(members) > MAX_MEMBERS or unpacked > MAX_UNPACKED or (unpacked > RATIO_FREE and unpacked > MAX_RATIO * packed):
        raise _unsafe(path)
    return {member.filename.lstrip("/"): _scan(archive, member, path) for member in members}


def _scan(archive: ZipFile, member: ZipInfo, path: Path) -> _Findings:
    """Read one part in blocks: the archive module refuses a part that is longer than declared or damaged."""
    findings = _Findings()
    with archive.open(member) as part:
        head = part.read(_BLOCK)
        if head.startswith(_WIDE_XML):
            raise _unsafe(path)
        if not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
            while part.read(_BLOCK):
                pass
            return findings
        is_sheet = _ROOT.search(head[:_TAIL]) is not None
        tags = since_row = 0
        tail, block = b"", head
        while block:
            tags += block.count(b"<")
            text, old = tail + block, len(tail)
            last = _scan_block(text, old, findings) if is_sheet else -1
            since_row = len(text) - last if last >= 0 else since_row + len(block)
            if _DOCTYPE.search(text) or tags > (MAX_SHEET_TAGS if is_sheet else MAX_OTHER_TAGS) or (is_sheet and since_row > MAX_ROW_BYTES):
                raise _unsafe(path)
            tail, block = text[-_TAIL:], part.read(_BLOCK)
    return findings


def _scan_block(text: bytes, old: int, findings: _Findings) -> int:
    """Note what ends in the new part of ``text`` (from ``old`` on); returns where the last row begins, or −1."""
    last = -1
    for match in _ROW.finditer(text):
        last = match.start()
        if match.end() > old and _HIDDEN.search(match[1]) and (number := _NUMBER.search(match[1])):
            findings.hidden.append(int(number[1]))
    findings.formulas += [int(match[2]) for match in _FORMULA.finditer(text) if match.end() > old]
    findings.merged += [int(match[2]) for match in _MERGED.finditer(text) if match.end() > old]
    findings.without_value += sum(match.end() > old for match in _NO_VALUE.finditer(text))
    return last


def _notes(found: _Findings) -> Iterator[RowNote]:
    for code, rows, message in (
        ("hidden_rows", found.hidden, N_("{count} hidden rows are read like all others (the first is row {row}).")),
        (
            "formulas",
            found.formulas,
            N_("{count} cells hold formulas; the values that Excel last computed are read (the first is in row {row})."),
        ),
        (
            "merged_cells",
            found.merged,
            N_("{count} ranges of cells are merged; only the first cell of each has a value (the first is in row {row})."),
        ),
    ):
        if rows:
            yield RowNote(rows[0], code, gettext(message).format(count=len(rows), row=rows[0]))
    if found.without_value:
        message = gettext(N_("{count} formulas have no computed value and are read as blank. Please open the file in Excel and save it."))
        yield RowNote(found.formulas[0] if found.formulas else 0, "formulas_without_value", message.format(count=found.without_value))


def _sheet_notes(sheets: Sequence[Any], title: str) -> Iterator[RowNote]:
    others = [sheet.title for sheet in sheets if sheet.title != title]
    if others:
        message = gettext(N_("Only the sheet “{sheet}” is read; not read: {others}."))
        yield RowNote(0, "other_sheets", message.format(sheet=title, others=", ".join(others[:5]) + (" …" if len(others) > 5 else "")))


# --- the parser ----------------------------------------------------------------------------------------------------


def _open(file: Any) -> Any:
    import openpyxl

    # It warns on stderr about styles and extensions that do not matter here.
    warnings.filterwarnings("ignore", module="openpyxl")
    return openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)


def _sheet_rows(sheet: Any) -> Iterator[tuple[int, Sequence[Any]]]:
    """(number, cells) of the rows that hold a value."""
    sheet.reset_dimensions()  # files lie about their size, and the library believes them
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if number > LAST_ROW:  # the library fills the gap before a made-up row number, however wide
            raise ValueError(number)
        if any(cell.value is not None for cell in cells):
            yield number, cells


def _texts(table: Table, row: int, cells: Sequence[Any]) -> list[str]:
    texts = []
    for index, cell in enumerate(cells):
        text, fault = _plain(cell)
        if fault:
            column = table.headers[index] if index < len(table.headers) else ""
            table.warn(row, fault, gettext(_FAULTS[fault]).format(value=cell.value, column=column))
        texts.append(text)
    return texts


_FAULTS = {
    "excel_error": N_("Column “{column}” holds the error {value}; it is read as blank."),
    "long_number": N_(
        "“{value}” in column “{column}” is a number of more than 15 digits; Excel keeps only 15, so the last ones may be wrong. "
        "Please format the column as text and enter it again."
    ),
}


def _plain(cell: Any) -> tuple[str, str | None]:
    """The text that a person sees in a cell, and the code of what is wrong with it."""
    value = cell.value
    if value is None:
        return "", None
    if isinstance(value, str):
        return ("", "excel_error") if cell.data_type == "e" else (_text(value), None)
    if isinstance(value, bool):
        return str(value).upper(), None
    if isinstance(value, int | float):
        text = _number(value, str(cell.number_format))
        return text, "long_number" if len(text.lstrip("-")) > 15 and "." not in text else None
    return _moment(value, str(cell.number_format)), None


def _text(value: str) -> str:
    """Excel writes the carriage return of a line end as a code, and an underscore that would look like one as another."""
    plain = _CODE.sub(lambda found: "_" if found[1] else "\n", value) if "_x" in value else value
    return unescape(plain)


def _number(value: float, number_format: str) -> str:
    """Excel keeps 15 digits and shows no more; zeros in front come from a format of zeros (postal codes)."""
    if isinstance(value, int):
        return str(value).zfill(len(number_format)) if number_format.strip("0") == "" else str(value)
    text = f"{Decimal(format(value, '.15g')):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    if number_format.strip("0") == "" and text.isdigit():
        return text.zfill(len(number_format))
    return "0" if text == "-0" else text


def _moment(value: Any, number_format: str) -> str:
    if isinstance(value, datetime):
        shows_time = re.search(r"[hHsS]", re.sub(r'"[^"]*"|\[[^\]]*\]', "", number_format)) is not None
        return value.isoformat(timespec="seconds") if shows_time else value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.isoformat(timespec="seconds")
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(value)


# --- errors --------------------------------------------------------------------------------------------------------


@contextmanager
def _border(path: Path) -> Iterator[None]:
    """Whatever a damaged or hostile workbook makes the libraries raise becomes one clear sentence."""
    try:
        yield
    except (AppError, GeneratorExit):
        raise
    except Exception as error:
        # openpyxl raises nearly anything on parts that are not what they should be, and lists none of it.
        raise _damaged(path) from error


def _damaged(path: Path) -> InvalidInput:
    return InvalidInput(
        "damaged_excel",
        N_(
            "“{name}” is damaged or not a complete Excel file. Nothing was imported. Please open it in Excel, save it as .xlsx and try again."
        ),
        name=path.name,
    )


def _not_excel(path: Path) -> InvalidInput:
    return InvalidInput(
        "not_excel", N_("“{name}” is not an Excel file of the kind .xlsx. Please open it in Excel and save it as .xlsx."), name=path.name
    )


def _unsafe(path: Path) -> InvalidInput:
    return InvalidInput(
        "unsafe_excel",
        N_(
            "“{name}” is built in a way that would fill the memory of this machine; it was not opened. Please save the table as .csv and try again."
        ),
        name=path.name,
    )
