"""What a telephone number says, however it is written, and when two say the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from localcrm.kernel.phones import Likeness, likeness, read_phone, read_phones, tail, tails

FULL_WIDTH = str.maketrans("0123456789-+", "０１２３４５６７８９－＋")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("+86 138 1234 5678", "13812345678"),
        ("0086-13812345678", "13812345678"),
        ("8613812345678", "13812345678"),
        ("013812345678", "13812345678"),
        ("１３８－１２３４－５６７８", "13812345678"),
        ("021-8765 4321", "021-87654321"),
        ("+86 (0)21 8765 4321", "021-87654321"),
        ("862187654321", "021-87654321"),
        ("(0575)8412 3367", "0575-84123367"),
        ("0575-84123367-801", "0575-84123367-801"),
        ("0571-8765432 转 12", "0571-8765432-12"),
        ("057184123367分机5", "0571-84123367-5"),
        ("021-87654321 ext. 8", "021-87654321-8"),
        ("84123367", "84123367"),
        ("84123367-801", "84123367-801"),
        ("400-820-8820", "4008208820"),
        ("400 820 8820-1", "4008208820-1"),
        ("800-8208820", "8008208820"),
        ("+44 20 7946 0958", "+442079460958"),
        ("0044 20 7946 0958", "+442079460958"),
        ("10086", "10086"),
    ],
)
def test_a_number_is_read_however_it_is_written(written: str, shown: str) -> None:
    phone = read_phone(written)
    assert phone is not None
    assert phone.shown == shown


@pytest.mark.parametrize("text", ["", "—", "无", "anonymous", "1" * 40, "\x00"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert read_phone(text) is None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("13812345678", "+86 138-1234-5678", Likeness.SAME),
        ("021-87654321-801", "02187654321", Likeness.SAME),
        ("87654321", "021-87654321", Likeness.ENDS_ALIKE),
        ("87654321", "0571-87654321", Likeness.ENDS_ALIKE),
        ("021-87654321", "0571-87654321", Likeness.NONE),  # two towns
        ("13887654321", "021-87654321", Likeness.NONE),  # a mobile ends alike by chance
        ("13887654321", "87654321", Likeness.NONE),
        ("913812345678", "13812345678", Likeness.ENDS_ALIKE),  # a switchboard puts a 9 before
        ("7654321", "87654321", Likeness.NONE),
        ("+44 20 8765 4321", "020-87654321", Likeness.NONE),
    ],
)
def test_two_numbers_are_compared_by_their_parts(one: str, other: str, expected: Likeness) -> None:
    first, second = read_phone(one), read_phone(other)
    assert first is not None
    assert second is not None
    assert likeness(first, second) is likeness(second, first) is expected


def test_the_area_code_of_the_place_completes_what_is_dialled_within_the_town() -> None:
    town, whole, elsewhere = (read_phone(text) for text in ("87654321", "021-87654321", "0571-87654321"))
    assert town
    assert whole
    assert elsewhere
    assert likeness(town, whole, area="021") is Likeness.SAME
    assert likeness(town, elsewhere, area="021") is Likeness.NONE


def test_a_field_holds_several_numbers() -> None:
    assert [phone.shown for phone in read_phones("021-87654321-801、13812345678；801")] == ["021-87654321-801", "13812345678"]
    assert tails("021-87654321, +86 138 1234 5678") == ["7654321", "2345678"]


MOBILES = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
LANDLINES = st.tuples(st.sampled_from(["10", "21", "25", "571", "575", "755", "898"]), st.from_regex(r"[2-9][0-9]{7}", fullmatch=True))
BREAKS = st.sampled_from(["", " ", "-"])
COUNTRY = st.sampled_from(["", "+86", "0086", "+86 ", "+86-"])
EXTENSIONS = st.sampled_from(["", "-8", "-801", "转801", " ext 12", "#3", "分机 8001"])


@given(MOBILES, COUNTRY, BREAKS, BREAKS, st.booleans())
def test_every_way_to_write_a_mobile_number_says_it(number: str, country: str, one: str, two: str, wide: bool) -> None:
    written = f"{country}{number[:3]}{one}{number[3:7]}{two}{number[7:]}"
    phone = read_phone(written.translate(FULL_WIDTH) if wide else written)
    assert phone is not None
    assert (phone.digits, phone.is_whole, phone.extension) == (number, True, "")


@given(LANDLINES, COUNTRY, BREAKS, EXTENSIONS, st.booleans())
def test_every_way_to_write_a_landline_says_it_and_ends_alike(
    parts: tuple[str, str], country: str, gap: str, extension: str, wide: bool
) -> None:
    area, local = parts
    if not gap:
        extension = extension.replace("-", "#")  # without any break nobody could tell where the number ends
    written = f"{country}{'' if country else '0'}{area}{gap}{local}{extension}"
    phone = read_phone(written.translate(FULL_WIDTH) if wide else written)
    assert phone is not None
    assert (phone.area, phone.local) == (area, local)
    inside = read_phone(local)
    assert inside is not None
    assert likeness(phone, inside) is Likeness.ENDS_ALIKE
    assert tail(phone) == tail(inside)
    assert likeness(phone, inside, area=area) is Likeness.SAME


@given(st.text(max_size=80))
def test_any_text_is_read_without_failing_and_alike_in_both_widths(text: str) -> None:
    assert read_phone(text) == read_phone(unicodedata.normalize("NFKC", text)[:60] if len(text) <= 60 else text)
    for phone in read_phones(text):
        again = read_phone(phone.dialled)
        assert again is not None
        assert likeness(phone, again) is Likeness.SAME
