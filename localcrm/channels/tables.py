"""Tables that people bring: csv, xlsx and vCard files, written by every program there is and some that mean harm.

The kind is told by the content, never by the suffix. Nothing is held whole but an xlsx file's list of texts; rows
stream, and every pass over a ``Table`` reads the file afresh, so a preview and the import see the same rows.

Cells are texts as a person sees them and keep leading zeros and blanks. One rule undoes what an export did: of an
apostrophe before ``=``, ``+``, ``-``, ``@``, a tab or a line end, one is taken away (``reports.export`` puts one there, so
that a spreadsheet program does not run the cell).
"""

from __future__ import annotations

import codecs
import csv
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO

from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import N_, gettext

Row = tuple[int, list[str]]
Kind = Literal["csv", "xlsx", "vcf"]

MEBIBYTE = 1024 * 1024
MAX_BYTES = 200 * MEBIBYTE
MAX_COLUMNS = 200
#: Characters of one csv record; a quote that is never closed is noticed here instead of swallowing the file.
MAX_RECORD = 2 * MEBIBYTE
#: After so many rows that cannot be read, the file as a whole is not what it seems to be.
MAX_ERRORS = 1000
#: Warnings kept; a file can earn one in every cell.
MAX_WARNINGS = 1000
#: What makes a spreadsheet program take a text for a formula; the full-width forms do in East Asian editions.
FORMULA_STARTS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"

_ESCAPED = re.compile(f"'+[{FORMULA_STARTS}]")
_SCIENTIFIC = re.compile(r"[+-]?\d(?:\.\d+)?E\+\d{1,3}", re.IGNORECASE)
_WIDE = re.compile("[\u0800-\U0010ffff]")
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARKUP = re.compile(rb"\s*<(?:!doctype|\?xml|html|head|meta|table|style|body)", re.IGNORECASE)
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True, slots=True)
class RowNote:
    """Something a person should know about a row (0: about the file); the row is read all the same."""

    row: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RowError(RowNote):
    """A row that cannot be read, with its cells as they are, so that it can be mended and brought again."""

    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A file seen as a table: unique headers, and rows as (row number in the file, one text per header).

    The number of a csv row is the line its record begins on, of an xlsx row the one in its margin, of a vCard the line of
    its BEGIN. Blank rows are left out. ``errors`` and the warnings of single rows fill while rows are read.
    """

    headers: list[str]
    kind: Kind
    encoding: str | None
    delimiter: str | None
    read: Callable[[Table], Iterator[Row]]
    file_warnings: tuple[RowNote, ...] = ()
    limit_rows: int | None = None
    #: Column → the column its text is added to where nobody wants it by itself.
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    warnings: list[RowNote] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.warnings.extend(self.file_warnings)

    def __iter__(self) -> Iterator[Row]:
        """One pass from the top; raises InvalidInput where the file turns out to be damaged."""
        self.errors.clear()
        self.warnings[:] = self.file_warnings
        return islice(self.read(self), self.limit_rows)

    @property
    def rows(self) -> Iterator[Row]:
        """A new pass over the rows."""
        return iter(self)

    def wanted(self, cells: Sequence[str], fields: Mapping[int, str]) -> dict[str, str]:
        """The cells of a row by the fields (column index → field key) they go into."""
        found = {key: cells[index] for index, key in fields.items()}
        for column, other in self.elsewhere.items():
            index, into = self.headers.index(column), fields.get(self.headers.index(other))
            if index not in fields and into is not None and cells[index]:
                found[into] = "\n".join(filter(None, (found[into], cells[index])))
        return found

    def warn(self, row: int, code: str, message: str) -> None:
        """Keep a warning, unless there are plenty already."""
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(RowNote(row, code, message))

    def fail(self, row: int, code: str, message: str, cells: Sequence[str] = ()) -> None:
        """Set a row aside; raises InvalidInput("too_many_bad_rows") when it is one too many."""
        self.errors.append(RowError(row, code, message, tuple(cells)))
        if len(self.errors) > MAX_ERRORS:
            raise InvalidInput(
                "too_many_bad_rows",
                N_(
                    "More than {limit} rows cannot be read; the last one, row {row}, says: {reason} Nothing was imported. Please check the file."
                ),
                limit=MAX_ERRORS,
                row=row,
                reason=message,
            )

    def fit(self, row: int, cells: list[str]) -> list[str] | None:
        """The cells of a row, one per header; None when the row is blank or was set aside because it has too many."""
        width = len(self.headers)
        while cells and not cells[-1].strip():
            cells.pop()
        if not cells:
            return None
        if len(cells) > width:
            message = gettext(N_("The row has {cells} cells, the header only {headers}.")).format(cells=len(cells), headers=width)
            self.fail(row, "too_many_cells", message, cells)
            return None
        return cells + [""] * (width - len(cells))


def read_table(path: Path, *, limit_rows: int | None = None, max_bytes: int = MAX_BYTES) -> Table:
    """The table in a file; ``limit_rows`` ends every pass early, for a preview.

    Raises NotFound("no_such_file") and InvalidInput with the codes file_locked, file_too_large, empty_file, old_excel,
    protected_excel, web_page, binary_file, unknown_encoding, and those of the single formats.
    """
    with open_file(path, max_bytes=max_bytes) as file:
        kind = _kind(file, path)
    if kind == "xlsx":
        from localcrm.channels.workbooks import read_workbook

        return read_workbook(path, limit_rows=limit_rows, max_bytes=max_bytes)
    if kind == "vcf":
        from localcrm.channels.vcards import read_vcards

        return read_vcards(path, limit_rows=limit_rows, max_bytes=max_bytes)
    return _read_csv(path, limit_rows=limit_rows, max_bytes=max_bytes)


def open_file(path: Path, *, max_bytes: int = MAX_BYTES) -> BinaryIO:
    """The file opened for reading, once its size is known to be bearable."""
    name = path.name
    if not path.exists():
        raise NotFound("no_such_file", N_("There is no file “{name}”."), name=name)
    if not path.is_file():
        raise InvalidInput("not_a_file", N_("“{name}” is not a file."), name=name)
    size = path.stat().st_size
    if not size:
        raise InvalidInput("empty_file", N_("“{name}” is empty. Nothing was imported."), name=name)
    if size > max_bytes:
        raise InvalidInput(
            "file_too_large",
            N_("“{name}” has {size} MB; at most {limit} MB can be imported at once. Please split it."),
            name=name,
            size=-(-size // MEBIBYTE),
            limit=max_bytes // MEBIBYTE,
        )
    try:
        return path.open("rb")
    except PermissionError:
        raise InvalidInput(
            "file_locked",
            N_("“{name}” cannot be opened. If it is open in Excel or another program, please close it there and try again."),
            name=name,
        ) from None


def _kind(file: BinaryIO, path: Path) -> Kind:
    head = file.read(4096)
    if head.startswith(_OLE_MAGIC):
        _refuse_old_excel(file, path)
    if head.startswith(b"PK"):
        return "xlsx"
    text = head.decode(_BOMS.get(head[:3], _BOMS.get(head[:2], "latin-1")), "replace").lstrip("\ufeff").lstrip()
    if text[:11].upper() == "BEGIN:VCARD":
        return "vcf"
    if _MARKUP.match(head.removeprefix(codecs.BOM_UTF8)):
        raise InvalidInput(
            "web_page", N_("“{name}” is a web page, whatever its name says. Please open it in Excel and save it as .xlsx."), name=path.name
        )
    return "csv"


def _refuse_old_excel(file: BinaryIO, path: Path) -> None:
    file.seek(0)
    mark, tail = "EncryptedPackage".encode("utf-16-le"), b""
    while block := file.read(MEBIBYTE):
        if mark in tail + block:
            raise InvalidInput(
                "protected_excel",
                N_("“{name}” is protected by a password. Please save it without the password and try again."),
                name=path.name,
            )
        tail = block[-len(mark) :]
    raise InvalidInput(
        "old_excel", N_("“{name}” is in the old Excel format. Please open it in Excel and save it as .xlsx."), name=path.name
    )


# --- csv -----------------------------------------------------------------------------------------------------------


def _read_csv(path: Path, *, limit_rows: int | None, max_bytes: int) -> Table:
    encoding = detect_encoding(path, max_bytes=max_bytes)
    # The limit belongs to the process; it only ever grows.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD))
    with path.open(encoding=encoding, newline="") as file:
        delimiter, skip = _delimiter(file)
    with path.open(encoding=encoding, newline="") as file:
        found = next(_records(file, delimiter, skip=skip), None)
    if found is None:
        raise InvalidInput("empty_file", N_("“{name}” is empty. Nothing was imported."), name=path.name)
    header_line, cells = found

    def read(table: Table) -> Iterator[Row]:
        with path.open(encoding=encoding, newline="") as file:
            for number, cells in _records(file, delimiter, skip=skip):
                if number == header_line:
                    continue
                fitted = table.fit(number, [unescape(cell) for cell in cells])
                if fitted is not None:
                    _mark_scientific(table, number, fitted)
                    yield number, fitted

    return Table(unique_headers(cells), "csv", encoding, delimiter, read, limit_rows=limit_rows)


def detect_encoding(path: Path, *, max_bytes: int = MAX_BYTES) -> str:
    """Name of the encoding in which the whole file can be read: utf-8, utf-8-sig, utf-16 or gb18030 (which holds GBK)."""
    with open_file(path, max_bytes=max_bytes) as file:
        head = file.read(3)
        marked = _BOMS.get(head, _BOMS.get(head[:2]))
        if marked:
            bad = _first_bad_line(file, marked)
            if bad is None:
                return marked
            raise _unknown_encoding(path, bad[0])
        bad = _first_bad_line(file, "utf-8")
        if bad is None:
            return "utf-8"
        # GBK is not taken for UTF-8 for long: two good characters of three bytes say that this is UTF-8 with a damage,
        # which read as GBK would give signs without sense.
        if bad[1] < 2 and _first_bad_line(file, "gb18030") is None:
            return "gb18030"
    raise _unknown_encoding(path, bad[0])


def _first_bad_line(file: BinaryIO, encoding: str) -> tuple[int, int] | None:
    """Line of the first byte that does not belong there, and how many wide characters came before it; None: all is well."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    line, wide = 1, 0
    while True:
        block = file.read(MEBIBYTE)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(encoding, "replace")
            return line + good.count("\n"), wide + _count_wide(good)
        if "\x00" in text:
            raise InvalidInput(
                "binary_file",
                N_("“{name}” is not a text file. Files that can be imported are .csv, .xlsx and .vcf."),
                name=Path(file.name).name,
            )
        line += text.count("\n")
        wide += _count_wide(text) if wide < 2 else 0
        if not block:
            return None


def _count_wide(text: str) -> int:
    """The characters of three bytes and more in UTF-8; two are as good as all."""
    return sum(1 for _ in islice(_WIDE.finditer(text), 2))


def _unknown_encoding(path: Path, line: int) -> InvalidInput:
    return InvalidInput(
        "unknown_encoding",
        N_(
            "Line {line} of “{name}” holds signs that are neither UTF-8 nor GBK. Nothing was imported. Please save the file as UTF-8 or GBK and try again."
        ),
        name=path.name,
        line=line,
    )


def _delimiter(file: TextIO) -> tuple[str, int]:
    """What separates the cells, judged by the header; and how many lines to skip (Excel's own ``sep=;``)."""
    first = file.readline(MAX_RECORD)
    if told := re.fullmatch(r"sep=(.)\s*", first.lstrip("\ufeff"), re.IGNORECASE):
        return told[1], 1
    while first and not first.strip(" \r\n"):
        first = file.readline(MAX_RECORD)
    bare = re.sub(r'"[^"]*"', "", first)
    return max(",\t;", key=bare.count), 0


def _records(file: TextIO, delimiter: str, *, skip: int) -> Iterator[Row]:
    """(line the record begins on, its cells) of every record that holds anything."""
    start, size, at_end = skip + 1, 0, False

    def lines() -> Iterator[str]:
        nonlocal size, at_end
        while line := file.readline(MAX_RECORD):
            size += len(line)
            if size >= MAX_RECORD:
                raise _endless_record(start)
            yield line
        at_end = True

    for _skipped in range(skip):
        file.readline(MAX_RECORD)
    reader = csv.reader(lines(), delimiter=delimiter)
    try:
        for cells in reader:
            if at_end:  # the reader asks for a line more only within quotes
                raise _endless_record(start)
            if any(cell.strip() for cell in cells):
                yield start, cells
            start, size = skip + reader.line_num + 1, 0
    except csv.Error:
        raise _endless_record(start) from None


def _endless_record(line: int) -> InvalidInput:
    return InvalidInput(
        "endless_record",
        N_("The row that begins on line {line} has no end: probably a quotation mark is not closed. Please mend that line."),
        line=line,
    )


def _mark_scientific(table: Table, row: int, cells: list[str]) -> None:
    for header, cell in zip(table.headers, cells, strict=True):
        if "+" in cell and _SCIENTIFIC.fullmatch(cell.strip()):
            table.warn(
                row,
                "scientific_number",
                gettext(
                    N_(
                        "“{value}” in column “{column}” has lost digits: a spreadsheet program shortened the number when it saved the file. "
                        "Please format the column as text, enter the number again and save."
                    )
                ).format(value=cell.strip(), column=header),
            )


# --- cells and headers, whatever the file --------------------------------------------------------------------------


def unescape(cell: str) -> str:
    """The text of a cell without the apostrophe that an export put before what would run as a formula."""
    return cell[1:] if cell[:1] == "'" and _ESCAPED.match(cell) else cell


def column_letter(index: int) -> str:
    """Name of a column as spreadsheet programs show it: 0 → A, 26 → AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def unique_headers(cells: Sequence[str]) -> list[str]:
    """Headers on one line each, blanks named by their column letter, a second “name” called “name (2)”.

    Raises InvalidInput("too_many_columns").
    """
    if len(cells) > MAX_COLUMNS:
        raise InvalidInput(
            "too_many_columns",
            N_("The file has {columns} columns; at most {limit} can be imported."),
            columns=len(cells),
            limit=MAX_COLUMNS,
        )
    headers: list[str] = []
    for index, cell in enumerate(cells):
        name = " ".join(unescape(cell).split()) or column_letter(index)
        unique, count = name, 1
        while unique in headers:
            count += 1
            unique = f"{name} ({count})"
        headers.append(unique)
    return headers


# --- which column is which field -----------------------------------------------------------------------------------


def guess_mapping(headers: Sequence[str], fields: Iterable[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """Header → field key, for the headers that can only mean one thing; every field is given to one header at most.

    ``fields`` is (key, labels in every language). A label as it is goes before a label spelt otherwise (case, width,
    blanks, punctuation), that before a synonym, a synonym the nearer the front of its list the better, and all of them
    before a header with something in brackets behind it.
    """
    known = [(key, [key, *labels]) for key, labels in fields]
    mapping: dict[str, str] = {}
    taken: set[str] = set()
    for spellings in (_labels(known), _normal_labels(known), _synonyms_of(known)):
        for shorten in (False, True):
            _assign(headers, spellings, shorten=shorten, mapping=mapping, taken=taken)
    return {header: mapping[header] for header in headers if header in mapping}


#: (spelling, key), best first; the spelling is compared with the header as it is, or normalised.
_Spellings = list[tuple[str, str]]


def _labels(known: list[tuple[str, list[str]]]) -> _Spellings:
    return [(label, key) for key, labels in known for label in labels]


def _normal_labels(known: list[tuple[str, list[str]]]) -> _Spellings:
    return [(_normal(label), key) for key, labels in known for label in labels]


def _synonyms_of(known: list[tuple[str, list[str]]]) -> _Spellings:
    ranked = [(rank, _normal(word), key) for key, _ in known for rank, word in enumerate(_synonyms().get(key, ()))]
    return [(word, key) for _, word, key in sorted(ranked, key=lambda entry: entry[0])]


def _assign(headers: Sequence[str], spellings: _Spellings, *, shorten: bool, mapping: dict[str, str], taken: set[str]) -> None:
    by_spelling: dict[str, str] = {}
    for header in reversed(headers):  # the leftmost wins
        if header not in mapping:
            text = re.sub(r"[(\uff08\[\u3010].*$", "", header).strip() if shorten else header
            by_spelling[text] = by_spelling[_normal(text)] = header
    for spelling, key in spellings:
        found = by_spelling.get(spelling) if spelling else None
        if found and key not in taken and found not in mapping:
            mapping[found] = key
            taken.add(key)


def is_personal(header: str) -> bool:
    """Whether a column is a person's rather than a company's, where a table has both."""
    return _normal(header) in _header_words()["personal"]


def _normal(text: str) -> str:
    """What is left of a header without case, width, blanks, punctuation and filler words."""
    plain = "".join(char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum())
    for word in _header_words()["ignore"]:
        plain = plain.replace(word, "")
    return plain


def _synonyms() -> dict[str, list[str]]:
    synonyms: dict[str, list[str]] = _header_words()["synonyms"]
    return synonyms


@cache
def _header_words() -> dict[str, Any]:
    words: dict[str, Any] = json.loads(Path(__file__).with_name("header_synonyms.json").read_text(encoding="utf-8"))
    return words
