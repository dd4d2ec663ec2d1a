"""What people take away: exact, safe to open in a spreadsheet program, whole or not there, and good to bring back."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings, strategies as st

from localcrm.channels import tables
from localcrm.channels.tables import read_table
from localcrm.kernel.errors import InvalidInput, NotFound, StoreError
from localcrm.kernel.i18n import use_language
from localcrm.reports import export
from localcrm.reports.export import atomic_file, write_error_rows, write_table


@pytest.fixture(autouse=True)
def english_in_shanghai(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    with use_language("en"):
        yield
    monkeypatch.undo()
    time.tzset()


class Status(StrEnum):
    DRAFT = "draft"


HEADERS = ["名称", "数量", "金额", "日期", "时间", "有效", "状态", "电话"]
KINDS = ["text", "quantity", "money", "date", "datetime", "boolean", "choice", "text"]
KEYS = ["name", "quantity", "net", "date", "at", "active", "status", "phone"]
MOMENT = datetime(2026, 11, 18, 1, 30, tzinfo=UTC)
ROW = ["宁波远帆 𠮷😀", Decimal("1.5000"), Decimal("1234567.80"), date(2026, 11, 18), MOMENT, True, Status.DRAFT, "057487654321"]
BLANK = [None, None, None, None, None, None, None, ""]


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig")


# --- csv -----------------------------------------------------------------------------------------------------------


def test_csv_opens_in_excel_as_chinese(tmp_path):
    path = tmp_path / "out.csv"
    assert write_table(path, HEADERS, [ROW, BLANK], kinds=KINDS) == 2
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert text_of(path) == (
        "名称,数量,金额,日期,时间,有效,状态,电话\r\n"
        "宁波远帆 𠮷😀,1.5000,1234567.80,2026-11-18,2026-11-18 09:30:00+08:00,TRUE,draft,057487654321\r\n"
        ",,,,,,,\r\n"
    )


def test_records_may_come_as_their_json_texts(tmp_path):
    path = tmp_path / "out.csv"
    write_table(path, ["at", "net"], [["2026-11-18T01:30:00.000Z", "-5.00"]], kinds=["datetime", "money"])
    assert text_of(path) == "at,net\r\n2026-11-18 09:30:00+08:00,-5.00\r\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+86 138", "'+86 138"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("+8613800138000", "+8613800138000"),
        ("-5.20", "-5.20"),
        ("'=x", "''=x"),
        ("it's", "it's"),
        ("'tis", "'tis"),
        ("a=b", "a=b"),
        (["=a", "b"], "'=a, b"),
        (Decimal("-0.5"), "-0.5"),
        (Decimal("1E+3"), "1000"),
        ("nul\x00bell\x07", "nulbell"),
    ],
)
def test_no_text_runs_as_a_formula(tmp_path, value, written):
    path = tmp_path / "out.csv"
    write_table(path, ["a"], [[value]], kinds=["text"])
    assert text_of(path).split("\r\n")[1].removeprefix('"').removesuffix('"') == written


def test_headers_are_escaped_too(tmp_path):
    path = tmp_path / "out.csv"
    write_table(path, ["=1+1"], [], kinds=["text"])
    assert text_of(path) == "'=1+1\r\n"
    assert read_table(path).headers == ["=1+1"]


def test_both_sides_know_the_same_signs():
    assert export.FORMULA_STARTS == tables.FORMULA_STARTS


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=20)
HOSTILE = st.builds(
    lambda head, tail: head + tail, st.text("'=+-@\t\n\uff1d\uff20\"", max_size=4), TEXTS | st.text("_x005FDd", max_size=30)
)


@settings(max_examples=60)
@given(st.lists(st.lists(st.one_of(TEXTS, HOSTILE), min_size=2, max_size=2).filter(lambda row: any(c.strip() for c in row)), max_size=5))
@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_texts_come_back_as_they_were(tmp_path_factory, suffix, rows):
    path = tmp_path_factory.getbasetemp() / f"round.{suffix}"
    write_table(path, ["a", "b"], rows, kinds=["text", "text"])
    assert [cells for _, cells in read_table(path)] == [[a, b if b.strip() else ""] for a, b in rows]


@pytest.mark.parametrize("text", ["_x0041_", "a_x000D_b", "_x005F_", "_x005F_x0041_", "a\n b", "\n=x"])
def test_what_looks_like_a_code_of_excel_comes_back(tmp_path, text):
    path = tmp_path / "out.xlsx"
    write_table(path, ["a"], [[text]], kinds=["text"])
    assert list(read_table(path)) == [(2, [text])]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_a_whole_record_comes_back(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    write_table(path, HEADERS, [ROW], kinds=KINDS)
    table = read_table(path)
    assert (table.headers, table.warnings) == (HEADERS, [])
    moment, number = {
        "csv": ("2026-11-18 09:30:00+08:00", ["1.5000", "1234567.80"]),
        "xlsx": ("2026-11-18T09:30:00", ["1.5", "1234567.8"]),
    }[suffix]
    assert list(table) == [(2, ["宁波远帆 𠮷😀", *number, "2026-11-18", moment, "TRUE", "draft", "057487654321"])]


# --- xlsx ----------------------------------------------------------------------------------------------------------


def test_xlsx_has_types_formats_and_a_fixed_header(tmp_path):
    path = tmp_path / "out.xlsx"
    assert write_table(path, HEADERS, [ROW, BLANK], kinds=KINDS) == 2
    sheet = openpyxl.load_workbook(path).active
    cells = [(cell.value, cell.data_type, cell.number_format) for cell in sheet[2]]
    assert cells == [
        ("宁波远帆 𠮷😀", "s", "@"),
        (1.5, "n", "#,##0.####"),
        (1234567.8, "n", "#,##0.00"),
        (datetime(2026, 11, 18), "d", "yyyy-mm-dd"),
        (datetime(2026, 11, 18, 9, 30), "d", "yyyy-mm-dd hh:mm:ss"),
        (True, "b", "General"),
        ("draft", "s", "@"),
        ("057487654321", "s", "@"),
    ]
    assert [cell.value for cell in sheet[3]] == [None] * 8
    assert sheet["A1"].font.b is True
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:H3")
    assert (sheet.column_dimensions["A"].width > 14) is True


@pytest.mark.parametrize("text", ["=1+1", "http://example.com", "007", "mailto:a@b.c", "{=SUM(A1)}", "1e5"])
def test_xlsx_texts_stay_texts(tmp_path, text):
    path = tmp_path / "out.xlsx"
    write_table(path, ["a"], [[text]], kinds=["text"])
    cell = openpyxl.load_workbook(path).active["A2"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)
    assert "<f>" not in zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml").decode()


def test_numbers_that_excel_would_round_are_texts(tmp_path):
    path = tmp_path / "out.xlsx"
    write_table(path, ["a", "b"], [[Decimal("12345678901234.56"), 10**17]], kinds=["money", "integer"])
    assert [cell.value for cell in openpyxl.load_workbook(path).active[2]] == ["12345678901234.56", "100000000000000000"]


def test_signs_that_xml_cannot_hold_are_left_out(tmp_path):
    path = tmp_path / "out.xlsx"
    write_table(path, ["a"], [["a\x00b\x0bc\x1fd\ufffee\r\nf"]], kinds=["text"])
    assert openpyxl.load_workbook(path).active["A2"].value == "abcde\nf"


def test_days_before_excel_are_texts(tmp_path):
    path = tmp_path / "out.xlsx"
    write_table(path, ["a"], [[date(1899, 12, 31)]], kinds=["date"])
    assert openpyxl.load_workbook(path).active["A2"].value == "1899-12-31"


def test_a_text_too_long_for_excel_is_not_cut_in_silence(tmp_path):
    path = tmp_path / "out.xlsx"
    with pytest.raises(InvalidInput) as caught:
        write_table(path, ["a"], [["x" * 32_768]], kinds=["longtext"])
    assert (caught.value.code, caught.value.params["row"]) == ("text_too_long_for_excel", 2)
    assert list(tmp_path.iterdir()) == []


def test_too_many_rows_for_excel(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "XLSX_ROWS", 3)
    assert write_table(tmp_path / "two.xlsx", ["a"], [["x"]] * 2, kinds=["text"]) == 2
    with pytest.raises(InvalidInput) as caught:
        write_table(tmp_path / "three.xlsx", ["a"], [["x"]] * 3, kinds=["text"])
    assert caught.value.code == "too_many_rows_for_excel"
    assert [path.name for path in tmp_path.iterdir()] == ["two.xlsx"]


# --- jsonl and vCard -----------------------------------------------------------------------------------------------


def test_jsonl_is_exact_and_unescaped(tmp_path):
    path = tmp_path / "out.jsonl"
    rows = [[*ROW[:-1], "=1+1"], [*BLANK[:-1], ["a", "b"]]]
    assert write_table(path, HEADERS, rows, kinds=KINDS, keys=KEYS) == 2
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == [
        {
            "name": "宁波远帆 𠮷😀",
            "quantity": "1.5000",
            "net": "1234567.80",
            "date": "2026-11-18",
            "at": "2026-11-18T01:30:00.000Z",
            "active": True,
            "status": "draft",
            "phone": "=1+1",
        },
        dict.fromkeys(KEYS[:-1]) | {"phone": ["a", "b"]},
    ]


def test_vcards_come_back(tmp_path):
    path = tmp_path / "out.vcf"
    keys = ["name", "phone", "email", "company", "title", "address", "remark"]
    keys += ["second_phone", "other_phones", "birthday", "lunar_birthday", "gender", "wechat"]
    rows = [
        [
            *(
                "王小明",
                "13800138000",
                "a@b.example",
                "远帆, 贸易; 公司",
                "经理\\总监",
                "浙江省宁波市中山路1号",
                "一\n二; 三, 四 " + "长" * 60,
            ),
            *("0574-87654321", "0574-1, 0574-2", "1990-01-01", "leap 04-08", "female", "wxm_1990"),
        ],
        ["Ann Lee", "", "", None, *[""] * 9],
        ["", "1", *[""] * 11],
    ]
    assert write_table(path, keys, rows, kinds=["text"] * 13) == 2
    assert [cells for _, cells in read_table(path)] == [rows[0], ["Ann Lee", *[""] * 12]]


def test_a_customer_is_a_card_too(tmp_path):
    path = tmp_path / "out.vcf"
    write_table(path, ["编号", "客户名称", "电话"], [["C-1", "远帆贸易", "0574"]], kinds=["text"] * 3, keys=["number", "name", "phone"])
    assert path.read_bytes().decode().splitlines() == [
        "BEGIN:VCARD",
        "VERSION:3.0",
        "FN:远帆贸易",
        "N:远帆贸易;;;;",
        "TEL:0574",
        "END:VCARD",
    ]


# --- whole or not at all -------------------------------------------------------------------------------------------


def interrupted(row: list[object]):
    yield row
    raise ValueError("power cut")


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "jsonl", "vcf"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    path.write_text("old")
    with pytest.raises(ValueError, match="power cut"):
        write_table(path, ["name"], interrupted(["a"]), kinds=["text"])
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [(f"out.{suffix}", "old")]


def test_a_new_file_takes_the_old_ones_place(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    write_table(path, ["a"], [["b"]], kinds=["text"])
    assert (text_of(path), [found.name for found in tmp_path.iterdir()]) == ("a\r\nb\r\n", ["out.csv"])


def test_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        write_table(tmp_path / "out.docx", ["a"], [], kinds=["text"])
    assert (caught.value.code, caught.value.params["allowed"]) == ("unknown_format", ".csv, .xlsx, .jsonl, .vcf")
    assert list(tmp_path.iterdir()) == []


def test_suffixes_in_capitals(tmp_path):
    write_table(tmp_path / "OUT.CSV", ["a"], [["b"]], kinds=["text"])
    assert read_table(tmp_path / "OUT.CSV").kind == "csv"


def test_a_missing_folder_and_a_place_that_is_taken(tmp_path):
    with pytest.raises(NotFound) as missing:
        write_table(tmp_path / "none" / "out.csv", ["a"], [], kinds=["text"])
    assert missing.value.code == "no_such_folder"
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(StoreError) as taken:
        write_table(tmp_path / "taken.csv", ["a"], [], kinds=["text"])
    assert taken.value.code == "cannot_write_file"
    assert [path.name for path in tmp_path.iterdir()] == ["taken.csv"]


def test_an_atomic_file_is_not_there_before_its_end(tmp_path):
    path = tmp_path / "out.bin"
    with atomic_file(path) as file:
        file.write(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_many_rows_need_little_memory(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    write_table(path, ["a"], [["warm"]], kinds=["text"])
    tracemalloc.start()
    count = write_table(path, ["a", "b"], (["x" * 1000, index] for index in range(10_000)), kinds=["text", "integer"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 3 * 1024 * 1024


# --- rows that failed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_failed_rows_can_be_mended_and_brought_again(tmp_path, suffix):
    path = tmp_path / f"errors.{suffix}"
    failed = [(2, ["", "007"], "The name is missing."), (5, ["=x", "1", "3"], "The row has 3 cells, the header only 2.")]
    assert write_error_rows(path, ["name", "code"], failed) == 2
    table = read_table(path)
    assert table.headers == ["Reason for refusal", "name", "code"]
    assert list(table) == [(2, ["Row 2: The name is missing.", "", "007"])]
    assert table.errors[0].cells == ("Row 5: The row has 3 cells, the header only 2.", "=x", "1", "3")


def test_the_reason_of_an_earlier_round_is_replaced(tmp_path):
    path = tmp_path / "errors.csv"
    write_error_rows(path, ["Reason for refusal", "name"], [(2, ["Row 9: old", "a"], "new")])
    assert text_of(path) == "Reason for refusal,name\r\nRow 2: new,a\r\n"


def test_failed_rows_are_for_people(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        write_error_rows(tmp_path / "errors.jsonl", ["a"], [])
    assert caught.value.params["allowed"] == ".csv, .xlsx"
