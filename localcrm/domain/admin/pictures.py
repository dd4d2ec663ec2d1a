"""Small pictures for letterheads: what they are is told by their bytes, never by a name or what a browser claims."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_

#: As base64 this still fits the longest text that a field takes and an exchange carries.
MAX_BYTES = 72 * 1024
#: Larger pictures are small files that fill the memory of whoever shows them.
MAX_PIXELS = 4_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was checked: its media type, width and height in pixels."""

    media_type: str
    width: int
    height: int
    data: bytes

    @property
    def text(self) -> str:
        """How a field keeps it."""
        return base64.b64encode(self.data).decode()


def read_picture(text: str) -> Picture:
    """The picture that a field keeps; raises InvalidInput for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise _not_a_picture() from None
    return check_picture(data)


def check_picture(data: bytes) -> Picture:
    """A PNG, JPEG or WebP picture small enough to travel; raises InvalidInput("not_a_picture", "picture_too_large")."""
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            "picture_too_large",
            N_("The picture has {size} KB, at most {limit} KB travel to every branch. 600 pixels wide are enough for a letterhead."),
            size=-(-len(data) // 1024),
            limit=MAX_BYTES // 1024,
        )
    for media_type, size_of in (("image/png", _png), ("image/jpeg", _jpeg), ("image/webp", _webp)):
        size = size_of(data)
        if size is not None and min(size) > 0:
            if size[0] * size[1] > MAX_PIXELS:
                raise InvalidInput(
                    "picture_too_large",
                    N_("The picture has {width} × {height} pixels. 600 pixels wide are enough for a letterhead."),
                    width=size[0],
                    height=size[1],
                )
            return Picture(media_type, *size, data)
    raise _not_a_picture()


def _not_a_picture() -> InvalidInput:
    return InvalidInput("not_a_picture", N_("This is no picture that can be printed. Choose a PNG, JPEG or WebP file."))


def _png(data: bytes) -> tuple[int, int] | None:
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """The size stands in the first frame header; segments before it say how long they are."""
    if data[:3] != b"\xff\xd8\xff":
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return int.from_bytes(data[place + 7 : place + 9]), int.from_bytes(data[place + 5 : place + 7])
        place += 2 + length
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None
