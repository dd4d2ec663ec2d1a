"""Files attached to records: how a field names them. Contents lie beside the data file, by their hash (see ``store.blobs``).

A field of this kind holds one line per file: hash of the content, size in bytes, name. So it merges, has a history and
obeys rights like any other text; the content, which never changes under its hash, travels later and by itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

#: Largest file in bytes, and how many a field holds.
MAX_SIZE = 50 * 1024 * 1024
MOST = 50
_LINE = re.compile(r"([0-9a-f]{64}) (\d{1,10}) (.{1,200})", re.ASCII)
#: What no system takes in the name of a file, and what a name could be led astray with.
_UNFIT = re.compile(r'[\\/:*?"<>|]')


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file: SHA-256 of its content as 64 hex digits, size in bytes, name."""

    hash: str
    size: int
    name: str

    @property
    def line(self) -> str:
        """How a field holds it."""
        return f"{self.hash} {self.size} {self.name}"


def clean_name(name: str) -> str:
    """A name that every system takes: the last part of a path, without control signs, at most 200 characters; the suffix stays."""
    last = re.split(r"[\\/]", name)[-1]
    plain = "".join(" " if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp", "Co"} else sign for sign in last)
    fit = " ".join(_UNFIT.sub("_", plain).split()).lstrip(". ") or "file"
    stem, dot, suffix = fit.rpartition(".")
    if len(fit) > 200:
        fit = f"{stem[: 199 - len(suffix)]}.{suffix}" if dot and len(suffix) <= 20 else fit[:200]
    return fit


#: What a browser shows of a file, by the suffix of its name.
_SHOWN = {
    "picture": ("png", "jpg", "jpeg", "jfif", "webp", "gif"),
    "sound": ("mp3", "m4a", "aac", "wav", "ogg", "oga", "opus", "flac"),
    "paper": ("pdf",),
}


def shown_as(name: str) -> str:
    """How a file of this name is shown in the program: picture, sound, paper; "" for one that is only handed out."""
    suffix = name.rpartition(".")[2].lower()
    return next((kind for kind, suffixes in _SHOWN.items() if suffix in suffixes), "")


def media_type(begin: bytes) -> str | None:
    """What a content that may be shown is, told by its first bytes, never by its name; None for all else. What can carry scripts for
    a page (HTML, SVG, XML) is not among them.
    """
    if begin[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(begin[8:12])
    if begin[4:8] == b"ftyp":
        return "audio/mp4" if begin[8:11] in {b"M4A", b"M4B", b"mp4", b"iso", b"3gp"} else None
    if begin[:2] in {b"\xff\xf1", b"\xff\xf9"}:
        return "audio/aac"
    if begin[:2] in {b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"}:
        return "audio/mpeg"
    return next((type_ for sign, type_ in _SIGNS if begin.startswith(sign)), None)


_SIGNS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"%PDF-", "application/pdf"),
)


def read_attachments(text: str | None) -> list[Attachment]:
    """The files that a field names; lines that name none are passed over, for a text may come from anywhere."""
    found = (_LINE.fullmatch(line) for line in (text or "").split("\n"))
    return [Attachment(one[1], int(one[2]), one[3]) for one in found if one and int(one[2]) <= MAX_SIZE and one[3] == clean_name(one[3])]


def names(text: str | None) -> list[str]:
    """What people call the files that a field names."""
    return [file.name for file in read_attachments(text)]


def write_attachments(files: Iterable[Attachment]) -> str | None:
    """The text of a field; None for no file. A file that is there twice stays once."""
    return "\n".join(dict.fromkeys(file.line for file in files)) or None


def check_attachments(text: str) -> str:
    """Refuse (ValueError) what does not name files, or more than a field holds."""
    files = read_attachments(text)
    if len(files) != len(text.split("\n")):
        raise ValueError("app:bad_attachment")
    if len(files) > MOST:
        raise ValueError("app:too_many_files")
    return write_attachments(files) or ""
