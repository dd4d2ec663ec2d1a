"""Address cards as telephones and mail programs write them, one row per card."""

from __future__ import annotations

import quopri
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from localcrm.channels import vcards
from localcrm.channels.tables import RowError, read_table
from localcrm.channels.vcards import HEADERS
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import use_language


@pytest.fixture(autouse=True)
def english():
    with use_language("en"):
        yield


def cards_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "cards.vcf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def only(folder: Path, lines: str | bytes) -> dict[str, str]:
    """The filled fields of a file's only card."""
    body = lines if isinstance(lines, bytes) else lines.encode()
    ((_, row),) = read_table(cards_file(folder, b"BEGIN:VCARD\r\n" + body + b"\r\nEND:VCARD\r\n"))
    return {header: cell for header, cell in zip(HEADERS, row, strict=True) if cell}


def test_version_3_with_everything(tmp_path):
    card = """BEGIN:VCARD
VERSION:3.0
N:王;小明;;;
FN:王小明
ORG:宁波远帆贸易有限公司;采购部
TITLE:采购经理
TEL;TYPE=WORK,VOICE:0574-87654321
TEL;TYPE=CELL:13800138000
item1.EMAIL;TYPE=INTERNET:xm@yuanfan.example
ADR;TYPE=WORK:;;中山路1号;宁波;浙江;315000;中国
NOTE:第一行\\n第二行\\, 逗号\\; 分号
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQ
 SkZJRg==
BDAY:1990-01-01
END:VCARD
"""
    table = read_table(cards_file(tmp_path, card))
    assert (table.kind, table.headers) == ("vcf", HEADERS)
    assert list(table) == [
        (
            1,
            [
                "王小明",
                "13800138000",
                "xm@yuanfan.example",
                "宁波远帆贸易有限公司",
                "采购经理",
                "中国浙江宁波中山路1号 315000",
                "第一行\n第二行, 逗号; 分号\n采购部",
                *("0574-87654321", "", "1990-01-01", "", "", ""),
            ],
        )
    ]


def test_version_2_1_quoted_printable_with_soft_line_ends(tmp_path):
    encoded = quopri.encodestring("宁波远帆贸易有限公司北京第一分公司".encode()).replace(b"\n", b"\r\n")
    assert b"=\r\n" in encoded
    lines = b"VERSION:2.1\r\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:" + encoded + b"\r\nTEL;CELL;PREF:138"
    assert only(tmp_path, lines) == {"name": "宁波远帆贸易有限公司北京第一分公司", "phone": "138"}


def test_quoted_printable_gbk_and_raw_gbk(tmp_path):
    name = quopri.encodestring("李雷".encode("gbk"))
    lines = b"VERSION:2.1\nN;CHARSET=GBK;ENCODING=QUOTED-PRINTABLE:" + name + b";;;;\nTITLE;CHARSET=GB2312:" + "经理".encode("gbk")
    assert only(tmp_path, lines + b"\nNOTE:" + "备注".encode("gbk")) == {"name": "李雷", "title": "经理", "remark": "备注"}


def test_version_4_addresses_of_telephone_and_mail(tmp_path):
    lines = (
        'VERSION:4.0\nFN:Ann Lee\nTEL;VALUE=uri;TYPE="voice,home":tel:+86-10-1\nTEL;VALUE=uri;PREF=1:tel:+86-138\nEMAIL:mailto:a@b.example'
    )
    assert only(tmp_path, lines) == {"name": "Ann Lee", "phone": "+86-138", "email": "a@b.example", "second_phone": "+86-10-1"}


def test_folded_lines_are_joined_even_within_a_character(tmp_path):
    text = "备注很长".encode()
    lines = b"VERSION:3.0\r\nFN:Ann\r\nNOTE:" + text[:4] + b"\r\n " + text[4:] + b"\r\n\t!"
    assert only(tmp_path, lines) == {"name": "Ann", "remark": "备注很长!"}


def test_a_comma_in_a_name_cuts_nothing(tmp_path):
    assert only(tmp_path, "FN:Lee, Ann") == {"name": "Lee, Ann"}


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("N:王;小明;;;", "王小明"),
        ("N:Lee;Ann;B.;Dr.;", "Dr. Ann B. Lee"),
        ("N:欧阳", "欧阳"),
        ("ORG:Acme", "Acme"),
        ("FN:\nN:Lee;;;;", "Lee"),
    ],
)
def test_a_name_is_found_where_there_is_one(tmp_path, lines, name):
    assert only(tmp_path, lines)["name"] == name


def test_foreign_addresses_go_from_small_to_large(tmp_path):
    assert only(tmp_path, "FN:A\nADR:;;1 Main St;Springfield;IL;62701;USA")["address"] == "1 Main St, Springfield, IL 62701, USA"


def test_a_broken_card_is_one_bad_row(tmp_path):
    path = cards_file(
        tmp_path,
        b"BEGIN:VCARD\nFN:One\nEND:VCARD\n"
        b"BEGIN:VCARD\nTEL:1\nEND:VCARD\n"
        b"junk\n"
        b"BEGIN:VCARD\nFN:Three\n"
        b"begin:vcard\nFN:\xff\xff\nend:vcard\n"
        b"BEGIN:VCARD\nFN:Five\nEND:VCARD\n"
        b"BEGIN:VCARD\nFN:Six",
    )
    table = read_table(path)
    assert [(number, row[0]) for number, row in table] == [(1, "One"), (13, "Five")]
    assert table.errors == [
        RowError(4, "card_without_name", "The card has no name.", ("", "1", *[""] * 11)),
        RowError(8, "card_not_ended", "The card has no end (END:VCARD is missing).", ("Three", *[""] * 12)),
        RowError(10, "card_encoding", "The card holds signs that cannot be read. Please export it again as UTF-8.", ()),
        RowError(16, "card_not_ended", "The card has no end (END:VCARD is missing).", ("Six", *[""] * 12)),
    ]


@pytest.mark.parametrize("note", ["x" * 300_000, "\n ".join(["x" * 70] * 5000)])
def test_a_card_that_is_too_large_is_one_bad_row(tmp_path, note):
    text = f"BEGIN:VCARD\nFN:A\nNOTE:{note}\nEND:VCARD\nBEGIN:VCARD\nFN:B\nEND:VCARD\n"
    table = read_table(cards_file(tmp_path, text))
    assert [row[0] for _, row in table] == ["B"]
    assert [(error.row, error.code) for error in table.errors] == [(1, "card_too_large")]


def test_too_many_cards(tmp_path, monkeypatch):
    monkeypatch.setattr(vcards, "MAX_CARDS", 2)
    with pytest.raises(InvalidInput) as caught:
        list(read_table(cards_file(tmp_path, "BEGIN:VCARD\nFN:A\nEND:VCARD\n" * 3)))
    assert caught.value.code == "too_many_rows"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path, encoding):
    path = cards_file(tmp_path, "BEGIN:VCARD\r\nFN:王小明\r\nEND:VCARD\r\n".encode(encoding))
    assert list(read_table(path)) == [(1, ["王小明", *[""] * 12])]


@pytest.mark.slow
def test_a_million_lines_stream(tmp_path):
    """Two hundred cards with pictures of five thousand lines each."""
    card = "BEGIN:VCARD\r\nFN:Ann\r\nTEL:1\r\nPHOTO;ENCODING=b:/9j/\r\n" + (" " + "A" * 40 + "\r\n") * 4995 + "END:VCARD\r\n"
    path = cards_file(tmp_path, card * 200)
    assert card.count("\n") * 200 == 1_000_000
    tracemalloc.start()
    count = sum(1 for _ in read_table(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200
    assert peak < 2 * 1024 * 1024 < path.stat().st_size // 10


def test_one_line_of_many_megabytes(tmp_path):
    path = cards_file(tmp_path, "BEGIN:VCARD\nFN:Ann\nPHOTO;ENCODING=b:" + "A" * 20_000_000 + "\nTEL:1\nEND:VCARD\n")
    tracemalloc.start()
    rows = list(read_table(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == [(1, ["Ann", "1", *[""] * 11])]
    assert peak < 2 * 1024 * 1024


@given(st.binary(max_size=300))
def test_rubbish_in_a_card_raises_nothing(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "rubbish.vcf"
    path.write_bytes(b"BEGIN:VCARD\nFN:A\n" + content + b"\nEND:VCARD\n")
    assert all(len(row) == len(HEADERS) for _, row in read_table(path))


@example(values={"FN": "0", "NOTE": "0", "TITLE": ";"})  # written with a backslash before it
@given(st.dictionaries(st.sampled_from(["FN", "NOTE", "TITLE"]), st.text(st.characters(exclude_categories=["C"]), min_size=1), min_size=3))
def test_what_the_library_writes_is_read_back(tmp_path_factory, values):
    import vobject

    card = vobject.vCard()
    for name, value in values.items():
        card.add(name.lower()).value = value
    path = tmp_path_factory.getbasetemp() / "library.vcf"
    path.write_bytes(card.serialize().encode())
    ((_, row),) = read_table(path) if values["FN"].strip(" ;") else ((0, [""] * 13),)
    if row[0]:
        assert row == [values["FN"].strip(), "", "", "", kept(values["TITLE"]), "", kept(values["NOTE"]), *[""] * 6]


def kept(value: str) -> str:
    """Blanks around a value, and values of nothing but separators, say nothing."""
    return value.strip() if value.strip(" ;") else ""


def test_what_telephones_know_of_a_person(tmp_path):
    lines = (
        "FN:沈丽华\nTEL;TYPE=CELL:139\nTEL:0571-1\nTEL:0571-2\nTEL:0571-3\nBDAY;VALUE=date:19850404\n"
        "GENDER:F;she\nX-WECHAT:shenlh\nX-LUNAR-BIRTHDAY:leap 04-08"
    )
    assert only(tmp_path, lines) == {
        "name": "沈丽华",
        "phone": "139",
        "second_phone": "0571-1",
        "other_phones": "0571-2, 0571-3",
        "birthday": "19850404",
        "lunar_birthday": "leap 04-08",
        "gender": "female",
        "wechat": "shenlh",
    }
    assert only(tmp_path, "FN:Ann\nBDAY:--0404\nGENDER:N") == {"name": "Ann"}


def test_numbers_that_a_record_has_no_field_for_stay_in_the_remark(tmp_path):
    table = read_table(cards_file(tmp_path, "BEGIN:VCARD\nFN:远帆\nTEL:1\nTEL:2\nTEL:3\nNOTE:老客户\nEND:VCARD"))
    ((_, row),) = table
    place = table.headers.index
    assert table.wanted(row, {place("name"): "name", place("phone"): "phone", place("remark"): "remark"}) == {
        "name": "远帆",
        "phone": "1",
        "remark": "老客户\n2\n3",
    }
    assert table.wanted(row, {place("second_phone"): "second_phone", place("remark"): "remark"}) == {
        "second_phone": "2",
        "remark": "老客户\n3",
    }
