"""Places on the map as people paste them."""

from __future__ import annotations

import pytest

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.places import geo, read_place


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("31.23, 121.47", "31.23, 121.47"),
        (" 31.2304161234，121.47370 ", "31.230416, 121.4737"),
        ("３１．２３ １２１．４７", "31.23, 121.47"),
        ("geo:31.23,121.47", "31.23, 121.47"),
        ("31.23°N, 121.47°E", "31.23, 121.47"),
        ("S 33.86; E 151.2", "-33.86, 151.2"),
        ("E121.47 N31.23", "31.23, 121.47"),
        ("121.47,31.23", "31.23, 121.47"),  # a map that copies the longitude first
        ("-0.0, 0", "0, 0"),
        ("90, 180", "90, 180"),
    ],
)
def test_a_place_is_read_however_it_was_pasted(typed: str, place: str) -> None:
    assert read_place(typed) == place
    assert geo(place) == f"geo:{place.replace(' ', '')}"


@pytest.mark.parametrize(
    "typed",
    ["", "绍兴市柯桥区", "31.23", "31.23, 121.47, 5", "91, 181", "31.23N, 29.1N", "1e3, 4", "31.23, 121.47?q=x", "31.٢, 121.4", "N31E"],
)
def test_what_is_no_place_is_refused_and_leads_nowhere(typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_place(typed)
    assert refused.value.code == "bad_place"
    assert geo(typed) == ""
