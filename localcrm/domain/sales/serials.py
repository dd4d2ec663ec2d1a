"""Serial numbers as people write them down."""

from __future__ import annotations

import re

_BETWEEN = re.compile(r"[\s,;\uff0c\uff1b\u3001]+")


def read_serials(text: str | None) -> list[str]:
    """Serial numbers as they are typed or scanned: one a line, or with commas or spaces between."""
    return list(filter(None, _BETWEEN.split(text or "")))
