"""What a click on a phone or an address leads to, and that nothing else gets into a link."""

from __future__ import annotations

import pytest

from localcrm.kernel.schema import entity
from localcrm.store.view import Masked
from localcrm.ui.kit.links import pieces

PHONE, EMAIL, NAME = (entity("contact").fields[key] for key in ("other_phones", "email", "name"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0575-8412 3367 转 8801", [("0575-8412 3367 转 8801", "tel:057584123367;ext=8801")]),
        ("+86 139 0575 1234；021-62345678", [("+86 139 0575 1234", "tel:13905751234"), ("021-62345678", "tel:02162345678")]),
        ("+44 20 7946 0958", [("+44 20 7946 0958", "tel:+442079460958")]),
        ("总机, 95588", [("总机", ""), ("95588", "tel:95588")]),
        ("待补", []),
        ("12", []),
    ],
)
def test_phones_are_dialled_one_by_one(value: str, expected: list[tuple[str, str]]) -> None:
    assert pieces(PHONE, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("wang@hengyuan.cn", [("wang@hengyuan.cn", "mailto:wang@hengyuan.cn")]),
        (
            "a+b@x.cn;王@例子.中国",
            [("a+b@x.cn", "mailto:a+b@x.cn"), ("王@例子.中国", "mailto:%E7%8E%8B@%E4%BE%8B%E5%AD%90.%E4%B8%AD%E5%9B%BD")],
        ),
        ("wang@x.cn?bcc=all@y.cn", []),
        ("javascript:alert(1)@x.cn", []),
        ("wang at x.cn", []),
    ],
)
def test_addresses_are_written_to(value: str, expected: list[tuple[str, str]]) -> None:
    assert pieces(EMAIL, value) == expected


def test_what_is_covered_or_no_such_value_leads_nowhere() -> None:
    assert pieces(PHONE, Masked("139****1234")) == []
    assert pieces(EMAIL, None) == []
    assert pieces(NAME, "13905751234") == []
