"""What numbers can be made of, and that none is ever made twice."""

from datetime import date

import pytest
from hypothesis import given, strategies as st

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.numbers import DATES, Given, NumberFormat, Reset, number_format

DAY = date(2026, 11, 18)


@pytest.mark.parametrize(
    ("text", "reset", "number", "key", "period"),
    [
        ("SO-{branch}-{yyyyMMdd}-{0000}", "day", "SO-BR01-20261118-0007", "SO-BR01", "20261118"),
        ("C-{branch}-{000000}", "never", "C-BR01-000007", "C-BR01", ""),
        ("XS{branch}-{yyyyMM}{000}", "month", "XSBR01-202611007", "XSBR01", "202611"),
        ("{yy}/{branch}/{0}", "year", "26/BR01/7", "/BR01/", "2026"),
        ("{branch}-{yyyyMMdd}-{00}号", "year", "BR01-20261118-07号", "BR01--号", "2026"),
    ],
)
def test_a_number_and_back(text: str, reset: str, number: str, key: str, period: str) -> None:
    form = number_format(text, Reset(reset))
    assert form.render("BR01", DAY, 7) == number
    assert form.read(number) == Given("BR01", key, period, 7)
    assert (form.key("BR01"), form.period(DAY)) == (key, period)


@pytest.mark.parametrize(
    ("text", "reset", "code"),
    [
        ("SO-{branch}-{yyyyMM}-{0000}", "day", "would_repeat"),
        ("SO-{branch}-{yyyy}-{0000}", "month", "would_repeat"),
        ("SO-{branch}-{0000}", "year", "would_repeat"),
        ("SO-{branch}-{yyyyMMdd}", "day", "one_counter"),
        ("SO-{branch}-{000}-{000}", "never", "one_counter"),
        ("SO-{yyyyMMdd}-{0000}", "day", "one_branch_code"),
        ("SO-{branch}-{yyyy}-{yyyyMM}-{0}", "month", "one_date"),
        ("SO-{branch}{0000}", "never", "no_separator"),
        ("SO-{branch}A-{0000}", "never", "no_separator"),
        ("{0000}{branch}", "never", "no_separator"),
        ("SO {branch}-{0000}", "never", "bad_number_format"),
        ("SO-{branch}-{yyyy-MM}-{0000}", "never", "bad_number_format"),
        ("SO-{branch}-{0000", "never", "bad_number_format"),
        ("", "never", "bad_number_format"),
        ("S\u202eO-{branch}-{0000}", "never", "bad_number_format"),
        ("销售订单编号销售订单编号-{branch}-{yyyyMMdd}-{000000}", "day", "number_too_long"),
    ],
)
def test_a_format_that_would_repeat_or_cannot_be_read_is_refused(text: str, reset: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        number_format(text, Reset(reset))
    assert refused.value.code == code
    assert refused.value.message


def test_a_counter_beyond_its_digits_grows_and_has_no_leading_zero() -> None:
    form = number_format("SO-{branch}-{00}", Reset.NEVER)
    assert form.render("HQ", DAY, 123) == "SO-HQ-123"
    assert [form.read(number) and form.read(number).counter for number in ("SO-HQ-123", "SO-HQ-05", "SO-HQ-005", "SO-HQ-5")] == [  # type: ignore[union-attr]
        123, 5, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("SO-{branch}-{0000}", "RC-{branch}-{0000}", False),
        ("SO-{branch}-{0000}", "SO-{branch}-{00}", True),
        ("S-{branch}-{yyyyMM}{000}", "S-{branch}-{yyyy}{00000}", True),
        ("{branch}-{0000}", "A-{0000}", True),  # a branch may be called A
        ("SO-{branch}-{yyyyMMdd}-{0000}", "SO-{branch}-{yyyyMM}-{0000}", False),
    ],
)
def test_whether_two_formats_can_give_one_number(one: str, other: str, meet: bool) -> None:
    first, second = NumberFormat(one, Reset.NEVER), NumberFormat(other, Reset.NEVER)
    assert (first.meets(second), second.meets(first)) == (meet, meet)


PARTS = st.sampled_from(["{branch}", *DATES, "{00}", "{0000}", "-", "/", "S", "SO", "1"])
FORMATS = st.lists(PARTS, min_size=2, max_size=6).map("".join)
NUMBERS = st.tuples(st.sampled_from(["A", "A1", "1", "B10"]), st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 12_000))


@given(FORMATS, st.sampled_from(list(Reset)), NUMBERS, NUMBERS)
def test_an_accepted_format_never_gives_one_number_twice(
    text: str, reset: Reset, one: tuple[str, date, int], other: tuple[str, date, int]
) -> None:
    try:
        form = number_format(text, reset)
    except InvalidInput:
        return
    counted = [(form.key(code), form.period(day), counter) for code, day, counter in (one, other)]
    if counted[0] != counted[1]:
        assert form.render(*one) != form.render(*other)
    assert form.read(form.render(*one)) == Given(one[0], *counted[0])
