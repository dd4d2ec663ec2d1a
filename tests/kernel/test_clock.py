"""The hybrid clock: never back, never stuck, whatever the wall clock says."""

from datetime import UTC, datetime

from hypothesis import given, strategies as st

from localcrm.kernel.clock import ADMISSION_TOLERANCE_MS, BUILD_DATE_MS, is_from_future, next_stamp, stamp_time, to_iso

YEAR_MS = 365 * 24 * 3600 * 1000
NOW = BUILD_DATE_MS + 30 * 24 * 3600 * 1000


@given(st.integers(min_value=0, max_value=(NOW + YEAR_MS) << 16), st.integers(min_value=0, max_value=NOW + 60 * YEAR_MS))
def test_stamps_only_grow(last: int, wall: int) -> None:
    assert next_stamp(last, wall).stamp > last


def test_follows_the_wall_clock() -> None:
    tick = next_stamp((NOW - 1000) << 16, NOW)
    assert tick.stamp == NOW << 16
    assert not tick.suspect


def test_a_clock_that_stands_still_or_goes_back_only_ticks() -> None:
    last = NOW << 16
    assert next_stamp(last, NOW - 5000).stamp == last + 1
    assert next_stamp(last + 1, NOW).stamp == last + 2


def test_a_clock_before_the_program_existed_is_ignored() -> None:
    tick = next_stamp(NOW << 16, 0)
    assert (tick.stamp, tick.suspect) == ((NOW << 16) + 1, True)


def test_a_jump_of_years_ahead_is_ignored() -> None:
    tick = next_stamp(NOW << 16, NOW + 30 * YEAR_MS)
    assert (tick.stamp, tick.suspect) == ((NOW << 16) + 1, True)


def test_only_what_is_far_ahead_is_from_the_future() -> None:
    assert not is_from_future((NOW + ADMISSION_TOLERANCE_MS) << 16, NOW)
    assert is_from_future((NOW + ADMISSION_TOLERANCE_MS + 1) << 16, NOW)


def test_times_are_written_in_utc() -> None:
    assert to_iso(stamp_time(int(datetime(2026, 11, 18, 8, 30, tzinfo=UTC).timestamp() * 1000) << 16)) == "2026-11-18T08:30:00.000Z"
