"""How a field names files."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from localcrm.kernel.attachments import (
    MOST,
    Attachment,
    check_attachments,
    clean_name,
    media_type,
    read_attachments,
    shown_as,
    write_attachments,
)

HASH = "a" * 64


def test_a_field_holds_one_line_per_file_and_gives_them_back():
    files = [Attachment(HASH, 1, "合同 第二版.pdf"), Attachment("b" * 64, 2_000, "价格.xlsx")]
    text = write_attachments(files)
    assert text is not None
    assert read_attachments(text) == files
    assert write_attachments([*files, files[0]]) == text
    assert write_attachments([]) is None
    assert read_attachments(None) == []


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("C:\\Users\\mei\\报价.xlsx", "报价.xlsx"),
        ("../../etc/passwd", "passwd"),
        (".bashrc", "bashrc"),
        ("a\nb\tc.txt", "a b c.txt"),
        ("invoice\u202efdp.exe", "invoice fdp.exe"),
        ('so "was"?.doc', "so _was__.doc"),
        ("", "file"),
        ("...", "file"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_names_are_ones_that_every_system_takes(given_name, kept):
    assert clean_name(given_name) == kept


@given(st.text(max_size=400))
def test_any_name_becomes_one_that_stays_as_it_is(name):
    kept = clean_name(name)
    assert clean_name(kept) == kept
    assert 0 < len(kept) <= 200
    assert read_attachments(Attachment(HASH, 5, kept).line) == [Attachment(HASH, 5, kept)]


@pytest.mark.parametrize(
    "text",
    ["x", f"{HASH} 5", f"{HASH.upper()} 5 a", f"{HASH} -5 a", f"{HASH} 5 ../a", f"{HASH} {51 << 20} film.mp4", f"{HASH} 5 a\n\n{HASH} 6 b"],
)
def test_what_names_no_files_is_refused(text):
    with pytest.raises(ValueError, match="bad_attachment"):
        check_attachments(text)


def test_a_field_holds_so_many_files_and_no_more():
    lines = [Attachment(f"{n:064x}", 1, f"{n}.txt").line for n in range(MOST + 1)]
    assert check_attachments("\n".join(lines[:MOST])) == "\n".join(lines[:MOST])
    with pytest.raises(ValueError, match="too_many_files"):
        check_attachments("\n".join(lines))


def test_what_a_file_is_follows_from_its_bytes_and_how_it_is_offered_from_its_name():
    assert [shown_as(name) for name in ("厂房.JPG", "通话.m4a", "合同.pdf", "图.svg", "pdf", "")] == [
        "picture",
        "sound",
        "paper",
        "",
        "paper",
        "",
    ]
    begins = {
        b"\xff\xd8\xff\xe0": "image/jpeg",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp",
        b"RIFF\x00\x00\x00\x00AVI LIST": None,
        b"\x00\x00\x00\x18ftypM4A ": "audio/mp4",
        b"\x00\x00\x00\x18ftypheic": None,
        b"\xff\xfb\x90\x44": "audio/mpeg",
        b"<!doctype html>": None,
        b"<svg": None,
        b" %PDF-1.7": None,
        b"": None,
    }
    assert {begin: media_type(begin) for begin in begins} == begins
