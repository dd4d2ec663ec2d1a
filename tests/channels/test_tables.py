"""What people bring to import: every encoding and habit of spreadsheet programs, and files made to do harm."""

from __future__ import annotations

import codecs
import os
import tracemalloc
import zipfile
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from openpyxl import Workbook

from localcrm.channels import tables, workbooks
from localcrm.channels.tables import (
    RowError,
    RowNote,
    Table,
    column_letter,
    detect_encoding,
    guess_mapping,
    read_table,
    unescape,
    unique_headers,
)
from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import use_language


@pytest.fixture(autouse=True)
def english():
    with use_language("en"):
        yield


def csv_file(folder: Path, text: str, encoding: str = "utf-8", name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def refusal(path: Path, **options: int) -> str:
    with pytest.raises(InvalidInput) as caught:
        list(read_table(path, **options))
    assert caught.value.message
    return caught.value.code


# --- csv -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "told"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("gbk", "gb18030"), ("gb18030", "gb18030"), ("utf-16", "utf-16")]
)
def test_encoding_is_found_from_the_whole_file(tmp_path, encoding, told):
    table = read_table(csv_file(tmp_path, "客户名称,电话\r\n宁波远帆贸易,057487654321\r\n", encoding))
    assert (table.kind, table.encoding, table.delimiter) == ("csv", told, ",")
    assert table.headers == ["客户名称", "电话"]
    assert list(table) == [(2, ["宁波远帆贸易", "057487654321"])]


def test_big_endian_utf_16(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(codecs.BOM_UTF16_BE + "名称\t电话\n远帆\t1\n".encode("utf-16-be"))
    assert (read_table(path).headers, list(read_table(path))) == (["名称", "电话"], [(2, ["远帆", "1"])])


def test_gbk_beyond_the_first_block_of_ascii(tmp_path):
    path = csv_file(tmp_path, "name\n" + "a\n" * 1_000_000 + "远帆贸易\n", "gbk")
    assert detect_encoding(path) == "gb18030"


def test_rare_characters_survive_gb18030(tmp_path):
    assert list(read_table(csv_file(tmp_path, "姓名\n𠮷田\n", "gb18030"))) == [(2, ["𠮷田"])]


def test_neither_utf8_nor_gbk_names_the_first_bad_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"name\na\n\xff\xff\n")
    with pytest.raises(InvalidInput) as caught:
        read_table(path)
    assert (caught.value.code, caught.value.params["line"]) == ("unknown_encoding", 3)


def test_damaged_utf8_is_not_taken_for_gbk(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("名称\n远帆贸易\n".encode() + b"\xd6\xd0\n")
    with pytest.raises(InvalidInput) as caught:
        read_table(path)
    assert (caught.value.code, caught.value.params["line"]) == ("unknown_encoding", 3)


@pytest.mark.parametrize(("delimiter", "told"), [(",", ","), ("\t", "\t"), (";", ";")])
def test_delimiter_is_what_the_header_has_most_of(tmp_path, delimiter, told):
    text = f'name{delimiter}"note, with commas, and; more"{delimiter}phone\na{delimiter}b{delimiter}c\n'
    table = read_table(csv_file(tmp_path, text))
    assert table.delimiter == told
    assert table.headers == ["name", "note, with commas, and; more", "phone"]


def test_excels_own_delimiter_line(tmp_path):
    assert list(read_table(csv_file(tmp_path, "sep=|\nname|phone\na|1\n"))) == [(3, ["a", "1"])]


def test_leading_zeros_phones_and_blanks_stay_as_they_are(tmp_path):
    table = read_table(csv_file(tmp_path, "code,phone,text\n007,+8613800138000, a \n"))
    assert list(table) == [(2, ["007", "+8613800138000", " a "])]
    assert table.warnings == []


def test_a_shortened_number_is_marked(tmp_path):
    table = read_table(csv_file(tmp_path, "name,phone\na,1.38E+10\nb,13800138000\n"))
    assert list(table) == [(2, ["a", "1.38E+10"]), (3, ["b", "13800138000"])]
    assert [(note.row, note.code) for note in table.warnings] == [(2, "scientific_number")]
    assert table.warnings[0].message.startswith("“1.38E+10” in column “phone” has lost digits")


def test_short_rows_are_padded_and_long_ones_set_aside_with_their_cells(tmp_path):
    table = read_table(csv_file(tmp_path, "a,b\n1\n1,2,3\n1,2,,\n,,\n\n5,6\n"))
    assert list(table) == [(2, ["1", ""]), (4, ["1", "2"]), (7, ["5", "6"])]
    assert table.errors == [RowError(3, "too_many_cells", "The row has 3 cells, the header only 2.", ("1", "2", "3"))]


def test_each_pass_starts_anew(tmp_path):
    table = read_table(csv_file(tmp_path, "a\n1,2\n3\n"))
    assert list(table.rows) == list(table.rows) == [(3, ["3"])]
    assert len(table.errors) == 1


def test_a_file_of_bad_rows_is_given_up(tmp_path):
    assert refusal(csv_file(tmp_path, "a\n" + "1,2\n" * 1001)) == "too_many_bad_rows"


def test_rows_are_numbered_by_the_line_they_begin_on(tmp_path):
    table = read_table(csv_file(tmp_path, '\n\nname,remark\n\na,"two\nlines"\nb,x\n'))
    assert list(table) == [(5, ["a", "two\nlines"]), (7, ["b", "x"])]


def test_headers_are_unique_and_never_blank(tmp_path):
    table = read_table(csv_file(tmp_path, "name,name, ,name (2),\tname\n1,2,3,4,5\n"))
    assert table.headers == ["name", "name (2)", "C", "name (2) (2)", "name (3)"]


def test_header_only_has_no_rows(tmp_path):
    assert list(read_table(csv_file(tmp_path, "name,phone"))) == []


@pytest.mark.parametrize("text", ["", "\r\n \r\n", ",,,\n"])
def test_an_empty_file_is_refused(tmp_path, text):
    assert refusal(csv_file(tmp_path, text)) == "empty_file"


def test_limit_rows_ends_a_preview(tmp_path):
    assert list(read_table(csv_file(tmp_path, "a\n1\n2\n3\n"), limit_rows=2)) == [(2, ["1"]), (3, ["2"])]


@pytest.mark.parametrize("text", ['a,b\n1,2\n"3,4\n5,6\n', 'a,b\n1,2\n"3,4' + "\n5,6" * 1_000_000])
def test_a_quote_that_is_not_closed_is_named_by_its_line(tmp_path, text):
    with pytest.raises(InvalidInput) as caught:
        list(read_table(csv_file(tmp_path, text)))
    assert (caught.value.code, caught.value.params["line"]) == ("endless_record", 3)


def test_quotes_inside_a_cell_are_forgiven(tmp_path):
    assert list(read_table(csv_file(tmp_path, 'a,b\n5" pipe,x\n'))) == [(2, ['5" pipe', "x"])]


def test_nul_bytes_are_no_text(tmp_path):
    assert refusal(csv_file(tmp_path, "a,b\n1,\x002\n")) == "binary_file"


def test_too_many_columns(tmp_path):
    assert refusal(csv_file(tmp_path, "a," * 200 + "b\n")) == "too_many_columns"


def test_two_gigabytes_are_refused_by_size_alone(tmp_path):
    path = tmp_path / "big.csv"
    path.touch()
    os.truncate(path, 2 * 1024**3)
    with pytest.raises(InvalidInput) as caught:
        read_table(path)
    assert (caught.value.code, caught.value.params["size"], caught.value.params["limit"]) == ("file_too_large", 2048, 200)


def test_the_size_limit_can_be_set(tmp_path):
    path = csv_file(tmp_path, "a\n" + "x" * tables.MEBIBYTE)
    assert refusal(path, max_bytes=tables.MEBIBYTE) == "file_too_large"
    assert len(list(read_table(path, max_bytes=2 * tables.MEBIBYTE))) == 1


@pytest.mark.slow
def test_a_large_csv_streams(tmp_path):
    path = csv_file(tmp_path, "name,remark\n" + ("Ningbo Yuanfan Trading," + "x" * 1000 + "\n") * 60_000)
    tracemalloc.start()
    count = sum(1 for _ in read_table(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 8 * 1024 * 1024 < path.stat().st_size // 7


# --- what the file is ----------------------------------------------------------------------------------------------


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(NotFound) as caught:
        read_table(tmp_path / "none.csv")
    assert caught.value.code == "no_such_file"
    assert refusal(tmp_path) == "not_a_file"


def test_a_locked_file(tmp_path, monkeypatch):
    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "locked")

    path = csv_file(tmp_path, "a\n1\n")
    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(path) == "file_locked"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "old_excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600 + "EncryptedPackage".encode("utf-16-le"), "protected_excel"),
        (b"<html><table><tr><td>a</td></tr></table>", "web_page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook/>', "web_page"),
        (b"PK\x03\x04rubbish", "damaged_excel"),
        (b"%PDF-1.7\n\x00\x01", "binary_file"),
    ],
)
def test_the_content_tells_the_kind(tmp_path, content, code):
    path = tmp_path / "table.xls"
    path.write_bytes(content)
    assert refusal(path) == code


def test_another_archive_is_no_workbook(tmp_path):
    path = tmp_path / "letter.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<document/>")
    assert refusal(path) == "not_excel"


# --- xlsx ----------------------------------------------------------------------------------------------------------


def save(book: Workbook, folder: Path, name: str = "book.xlsx") -> Path:
    book.save(folder / name)
    return folder / name


def sheet_of(*rows: list[object]) -> Workbook:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    return book


def test_cells_read_as_a_person_sees_them(tmp_path):
    book = sheet_of(
        ["text", "phone", "float", "zip", "date", "moment", "flag", "none"],
        ["007", 13812345678.0, 0.1 + 0.2, 1234, date(2026, 11, 18), datetime(2026, 11, 18, 9, 30), True, None],
        [" 'a ", 13812345678, 1e20, 1234.0, date(2024, 2, 29), datetime(2026, 11, 18), False, "x"],
    )
    for row in (2, 3):
        book.active.cell(row, 4).number_format = "000000"
        book.active.cell(row, 6).number_format = "yyyy-mm-dd hh:mm"
    table = read_table(save(book, tmp_path, "not-what-it-says.csv"))
    assert (table.kind, table.encoding, table.delimiter) == ("xlsx", None, None)
    assert list(table) == [
        (2, ["007", "13812345678", "0.3", "001234", "2026-11-18", "2026-11-18T09:30:00", "TRUE", ""]),
        (3, [" 'a ", "13812345678", "100000000000000000000", "001234", "2024-02-29", "2026-11-18T00:00:00", "FALSE", "x"]),
    ]
    assert [(note.row, note.code) for note in table.warnings] == [(3, "long_number")]


def test_formulas_without_a_value_are_blank_and_warned(tmp_path):
    table = read_table(save(sheet_of(["a", "b"], ["x", "=1+1"], ["y", "=A1"]), tmp_path))
    assert list(table) == [(2, ["x", ""]), (3, ["y", ""])]
    assert table.warnings == [
        RowNote(2, "formulas", "2 cells hold formulas; the values that Excel last computed are read (the first is in row 2)."),
        RowNote(
            2,
            "formulas_without_value",
            "2 formulas have no computed value and are read as blank. Please open the file in Excel and save it.",
        ),
    ]


def test_formulas_count_with_their_last_value(tmp_path):
    import xlsxwriter

    path = tmp_path / "f.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["a", "b"])
        sheet.write_string(1, 0, "x")
        sheet.write_formula(1, 1, "=1+1", None, 2)
    table = read_table(path)
    assert list(table) == [(2, ["x", "2"])]
    assert [note.code for note in table.warnings] == ["formulas"]


def test_hidden_rows_merged_cells_and_other_sheets_are_told(tmp_path):
    book = sheet_of(["a", "b"], ["1", "2"], ["3", "4"])
    book.active.row_dimensions[3].hidden = True
    book.active.merge_cells("A2:B2")
    hidden = book.create_sheet("secret", 0)
    hidden.sheet_state = "hidden"
    hidden.append(["not", "this"])
    table = read_table(save(book, tmp_path))
    assert list(table) == [(2, ["1", ""]), (3, ["3", "4"])]
    assert table.warnings == [
        RowNote(0, "other_sheets", "Only the sheet “Sheet” is read; not read: secret."),
        RowNote(3, "hidden_rows", "1 hidden rows are read like all others (the first is row 3)."),
        RowNote(2, "merged_cells", "1 ranges of cells are merged; only the first cell of each has a value (the first is in row 2)."),
    ]


def test_error_cells_are_blank_and_warned(tmp_path):
    book = sheet_of(["a", "b"], ["x", "#N/A"])
    book.active["B2"].data_type = "e"
    table = read_table(save(book, tmp_path))
    assert list(table) == [(2, ["x", ""])]
    assert table.warnings == [RowNote(2, "excel_error", "Column “b” holds the error #N/A; it is read as blank.")]


def test_a_cell_in_the_last_corner_neither_hangs_nor_is_cut(tmp_path):
    book = sheet_of(["a", "b"], ["1", "2"])
    book.active["XFD1048576"] = "far away"
    table = read_table(save(book, tmp_path))
    assert list(table) == [(2, ["1", "2"])]
    assert [(error.row, error.code, len(error.cells)) for error in table.errors] == [(1_048_576, "too_many_cells", 16_384)]


def test_an_empty_sheet(tmp_path):
    assert refusal(save(Workbook(), tmp_path)) == "empty_file"


def test_too_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(workbooks, "MAX_ROWS", 2)
    assert refusal(save(sheet_of(["a"], ["1"], ["2"], ["3"]), tmp_path)) == "too_many_rows"


# --- xlsx made to do harm ------------------------------------------------------------------------------------------


def rewrite(path: Path, part: str, content: bytes) -> Path:
    """The same workbook with one part replaced (or added)."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()} | {part: content}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)
    return path


SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
BILLION_LAUGHS = b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]><sst><si><t>&b;</t></si></sst>'


@pytest.mark.slow
def test_zip_bomb(tmp_path):
    """A gigabyte of zeros, packed to a megabyte."""
    path = save(sheet_of(["a"], ["1"]), tmp_path)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist() if name != SHEET}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in parts.items():
            new.writestr(name, data)
        with new.open(SHEET, "w") as part:
            for _ in range(1024):
                part.write(b"0" * 1024 * 1024)
    assert path.stat().st_size < 2 * 1024 * 1024
    tracemalloc.start()
    code = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == "unsafe_excel"
    assert peak < 32 * 1024 * 1024


def test_a_part_longer_than_it_declares(tmp_path):
    path = rewrite(save(sheet_of(["a"], ["1"]), tmp_path), SHEET, b"<worksheet " + NAMESPACE + b">" + b" " * 10_000_000 + b"</worksheet>")
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(SHEET).file_size
    path.write_bytes(data.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little")))
    assert refusal(path) == "damaged_excel"


@pytest.mark.parametrize("part", ["xl/sharedStrings.xml", SHEET, "xl/styles.xml", "docProps/core.xml"])
@pytest.mark.parametrize(
    "content", [BILLION_LAUGHS, BILLION_LAUGHS.decode().encode("utf-16"), b"<sst>" + b" " * 2_000_000 + b"<!DOCTYPE x></sst>"]
)
def test_entities_are_refused_in_every_part(tmp_path, part, content):
    assert refusal(rewrite(save(sheet_of(["a"], ["1"]), tmp_path), part, content)) == "unsafe_excel"


def test_the_parser_refuses_entities_too():
    import openpyxl

    assert openpyxl.DEFUSEDXML is True


def test_millions_of_empty_elements(tmp_path):
    bomb = b"<sst " + NAMESPACE + b">" + b"<si/>" * 5_000_000 + b"</sst>"
    assert refusal(rewrite(save(sheet_of(["a"], ["1"]), tmp_path), "xl/sharedStrings.xml", bomb)) == "unsafe_excel"


def test_one_endless_row(tmp_path):
    bomb = b"<worksheet " + NAMESPACE + b'><sheetData><row r="1">' + b"<c/>" * 1_500_000 + b"</row></sheetData></worksheet>"
    assert refusal(rewrite(save(sheet_of(["a"], ["1"]), tmp_path), SHEET, bomb)) == "unsafe_excel"


def inline_sheet(dimension: bytes, rows: bytes) -> bytes:
    return b"<worksheet " + NAMESPACE + b'><dimension ref="' + dimension + b'"/><sheetData>' + rows + b"</sheetData></worksheet>"


def test_a_made_up_dimension_is_not_believed(tmp_path):
    rows = b'<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row><row r="2"><c r="A2"><v>1</v></c></row>'
    path = rewrite(save(sheet_of(["a"], ["1"]), tmp_path), SHEET, inline_sheet(b"A1:XFD1048576", rows))
    table = read_table(path)
    assert (table.headers, list(table)) == (["a"], [(2, ["1"])])


def test_a_made_up_row_number_does_not_hang(tmp_path):
    rows = b'<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row><row r="999999999999"><c t="n"><v>1</v></c></row>'
    assert refusal(rewrite(save(sheet_of(["a"], ["1"]), tmp_path), SHEET, inline_sheet(b"A1:A2", rows))) == "damaged_excel"


@pytest.mark.parametrize(
    "cell",
    [
        b'<c r="A2" t="s"><v>999</v></c>',
        b'<c r="A2"><v>one</v></c>',
        b'<c r="!!"><v>1</v></c>',
        b'<c r="A2"><v>' + b"9" * 5000 + b"</v></c>",
        b"<c",
    ],
)
def test_cells_that_make_no_sense_are_one_clear_error(tmp_path, cell):
    rows = b'<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row><row r="2">' + cell + b"</row>"
    assert refusal(rewrite(save(sheet_of(["a"], ["1"]), tmp_path), SHEET, inline_sheet(b"A1:A2", rows))) == "damaged_excel"


@pytest.mark.parametrize("text", [b"<c " * 300_000, b"</f>" + b" " * 900_000, b"<c r='A1'>" + b" " * 900_000, b"<f" + b" x" * 400_000])
def test_the_scan_is_not_slowed_down_by_what_it_looks_for(tmp_path, text):
    path = rewrite(save(sheet_of(["a"], ["1"]), tmp_path), SHEET, b"<worksheet " + NAMESPACE + b">" + text)
    assert refusal(path) == "damaged_excel"


@given(st.binary(max_size=200))
def test_no_rubbish_gets_past_as_anything_but_our_errors(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "rubbish"
    for head in (b"", b"PK\x03\x04", b"BEGIN:VCARD\n", b"a,b\n"):
        path.write_bytes(head + content)
        with suppress(InvalidInput):
            list(read_table(path))


# --- headers and fields --------------------------------------------------------------------------------------------

FIELDS = [
    ("number", ["Customer no.", "客户编号"]),
    ("name", ["Name", "客户名称"]),
    ("short_name", ["Short name", "简称"]),
    ("level", ["Level", "客户等级"]),
    ("phone", ["Phone", "电话"]),
    ("email", ["E-mail", "邮箱"]),
    ("address", ["Address", "地址"]),
    ("remark", ["Remark", "备注"]),
]


def test_labels_in_any_language_and_keys_are_found():
    assert guess_mapping(["客户名称", "Phone", "remark", "生肖"], FIELDS) == {"客户名称": "name", "Phone": "phone", "remark": "remark"}


def test_spelling_width_filler_words_and_brackets_do_not_matter():
    headers = ["＊客户 的 名称", "ＰＨＯＮＥ", "E-Mail:", "备注（选填）", "short_name"]
    assert guess_mapping(headers, FIELDS) == dict(zip(headers, ["name", "phone", "email", "remark", "short_name"], strict=True))


@pytest.mark.parametrize(
    ("header", "key"),
    [("公司名称", "name"), ("单位名称", "name"), ("联系电话", "phone"), ("手机", "phone"), ("Tel.", "phone"), ("Mobile", "phone"), ("company", "name"),
     ("联系地址", "address"), ("电子邮件", "email"), ("Notes", "remark"), ("等级", "level")],
)  # fmt: skip
def test_synonyms(header, key):
    assert guess_mapping([header], FIELDS) == {header: key}


def test_each_field_is_given_once_and_the_better_word_wins():
    assert guess_mapping(["手机", "电话", "电话 (2)"], FIELDS) == {"电话": "phone"}
    contact = [("name", ["Name", "姓名"]), ("customer_id", ["Customer", "客户"])]
    assert guess_mapping(["公司", "联系人姓名"], contact) == {"公司": "customer_id", "联系人姓名": "name"}


def test_no_labels_no_mapping():
    assert guess_mapping(["", "C", "("], FIELDS) == {}


@pytest.mark.parametrize(("index", "letter"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")])
def test_column_letters(index, letter):
    assert column_letter(index) == letter


@given(st.lists(st.sampled_from(["a", "a (2)", "", "B", " a "]), max_size=12))
def test_headers_are_always_unique(cells):
    headers = unique_headers(cells)
    assert len(headers) == len(set(headers)) == len(cells)
    assert all(headers)


@pytest.mark.parametrize(
    ("cell", "text"), [("'=1+1", "=1+1"), ("'+86", "+86"), ("''=x", "'=x"), ("'s", "'s"), ("'", "'"), ("=x", "=x"), ("it's -1", "it's -1")]
)
def test_one_apostrophe_is_taken_away_before_what_looks_like_a_formula(cell, text):
    assert unescape(cell) == text


def test_a_table_shows_its_shape(tmp_path):
    table = read_table(csv_file(tmp_path, "a;b\n"))
    assert isinstance(table, Table)
    assert (table.headers, table.delimiter, table.warnings, table.errors) == (["a", "b"], ";", [], [])
