"""Areas as people type them."""

from __future__ import annotations

import pytest

from localcrm.domain.area_finder import find_areas
from localcrm.domain.areas import areas, canonical


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("绍兴", "浙江省/绍兴市"),
        ("柯桥", "浙江省/绍兴市/柯桥区"),
        ("上海浦东", "上海市/浦东新区"),
        ("zjsx", "浙江省/绍兴市"),
        ("kq", "浙江省/绍兴市/柯桥区"),
        ("shaoxing", "浙江省/绍兴市"),
        ("浙江省/绍兴市", "浙江省/绍兴市"),
    ],
)
def test_an_area_is_found_by_name_first_letters_and_pinyin(typed, first):
    assert find_areas(typed)[0] == first


def test_nothing_typed_offers_provinces_and_nonsense_nothing():
    assert all("/" not in area for area in find_areas(""))
    assert find_areas("没有这个地方") == find_areas("1234") == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("浙江绍兴柯桥", "浙江省/绍兴市/柯桥区"),
        ("浙江省绍兴市柯桥区", "浙江省/绍兴市/柯桥区"),
        ("绍兴市 柯桥区", "浙江省/绍兴市/柯桥区"),
        ("绍兴", "浙江省/绍兴市"),
        ("广西", "广西壮族自治区"),
        ("北京朝阳", "北京市/朝阳区"),
        ("吉林市", "吉林省/吉林市"),
        ("吉林省", "吉林省"),
        ("朝阳区", "朝阳区"),  # several are called so
        ("吉林", "吉林"),
        (" Vietnam / Hanoi ", "Vietnam/Hanoi"),
        ("", ""),
    ],
)
def test_what_means_one_area_becomes_it_and_the_rest_stays(typed, meant):
    assert canonical(typed) == meant


def test_every_area_means_itself():
    assert [area for area in areas() if canonical(area) != area] == []
    assert len(areas()) == len(set(areas())) > 3000
