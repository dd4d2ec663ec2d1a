"""Working time, by hand for the cases people argue about and by laws that hold for all of them."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from localcrm.domain.service.entities import EventKind, TicketState, Told
from localcrm.domain.service.holidays import BY_LAW_ALONE, HOLIDAYS, days_of
from localcrm.domain.service.rules import USUAL_WEEK, Promise, clock, clocks, fill_answer, is_covered, pauses, read_hours, write_hours
from localcrm.domain.service.worktime import Pause, WorkCalendar, deadline, merged_spans, worked
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.lunar import lunar_day

CHINA = dt.timezone(dt.timedelta(hours=8))
DAYS = {day: is_worked for year in HOLIDAYS for day, is_worked, _name in days_of(year)}
OFFICE = WorkCalendar(USUAL_WEEK, DAYS, CHINA)  # 9 to 12 and 13:30 to 18: 7½ hours
NINE_TO_FIVE = WorkCalendar(dict.fromkeys(range(5), ((540, 1020),)), {}, CHINA)
HOUR = dt.timedelta(hours=1)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-{text}").replace(tzinfo=CHINA)


def hours(text: str, until: str, calendar: WorkCalendar = OFFICE) -> float:
    return worked(calendar, at(text), at(until)) / HOUR


def due(text: str, allowed: float, stood: list[Pause] | None = None, calendar: WorkCalendar = OFFICE) -> str:
    found = deadline(calendar, at(text), allowed * HOUR, stood or [])
    return f"{found.astimezone(CHINA):%m-%d %H:%M}" if found else "never"


# by hand -------------------------------------------------------------------------------------------------------------


def test_a_day_has_its_hours_and_the_night_and_the_lunch_have_none():
    assert hours("11-23 09:00", "11-23 18:00") == 7.5
    assert hours("11-23 12:00", "11-23 13:30") == 0
    assert hours("11-23 18:00", "11-24 09:00") == 0
    assert hours("11-23 11:00", "11-23 14:00") == 1.5


def test_the_weekend_does_not_count_but_a_saturday_worked_for_a_holiday_does():
    assert hours("11-20 17:00", "11-23 10:00") == 2  # Friday to Monday
    assert hours("02-14 09:00", "02-14 18:00") == 7.5  # Saturday before Spring Festival
    assert hours("02-14 17:00", "02-24 10:00") == 2  # nine days of Spring Festival between


@pytest.mark.parametrize(
    ("start", "allowed", "expected"),
    [
        ("11-23 09:00", 3, "11-23 12:00"),
        ("11-23 09:00", 7.5, "11-23 18:00"),  # at closing time, not the next morning
        ("11-23 11:30", 1, "11-23 14:00"),
        ("11-20 17:30", 1, "11-23 09:30"),  # over the weekend
        ("11-21 03:00", 1, "11-23 10:00"),  # entered on a Saturday night
        ("09-30 17:00", 2, "10-08 10:00"),  # over National Day
        ("10-09 17:00", 2, "10-10 10:00"),  # the Saturday that is worked for it
    ],
)
def test_a_deadline_falls_into_working_hours(start: str, allowed: float, expected: str):
    assert due(start, allowed) == expected


def test_waiting_for_the_customer_stops_the_clock():
    stood = [(at("11-23 10:00"), at("11-24 10:00"))]
    assert due("11-23 09:00", 2, stood) == "11-24 11:00"
    assert due("11-23 09:00", 1, stood) == "11-23 10:00"  # it had run out just then
    assert due("11-23 09:00", 2, [(at("11-23 10:00"), None)]) == "never"
    assert due("11-23 09:00", 0.5, [(at("11-23 10:00"), None)]) == "11-23 09:30"


def test_a_company_that_never_works_is_never_late():
    assert due("11-23 09:00", 1, calendar=WorkCalendar({}, {}, CHINA)) == "never"
    assert hours("11-01 09:00", "11-23 09:00", WorkCalendar({}, {}, CHINA)) == 0


def test_a_worked_sunday_has_its_own_hours_where_it_has_some():
    calendar = WorkCalendar({0: ((540, 1080),), 6: ((600, 660),)}, {dt.date(2026, 11, 22): True, dt.date(2026, 11, 21): True}, CHINA)
    assert hours("11-22 00:00", "11-23 00:00", calendar) == 1
    assert hours("11-21 00:00", "11-22 00:00", calendar) == 9  # Saturday has none: those of Monday


def test_hours_are_read_however_they_are_typed_and_refused_where_they_are_none():
    assert read_hours("09:00-12:00 13:30-18:00") == ((540, 720), (810, 1080))
    assert read_hours("9:00 - 12:00") == ((540, 720),)
    assert read_hours("９：００－１２：００，１３：３０～１８：００") == ((540, 720), (810, 1080))
    assert read_hours("00:00-24:00") == ((0, 1440),)
    assert read_hours("") == () == read_hours(None)
    assert write_hours(read_hours("13:30-18:00,9:00-12:00,11:00-12:30")) == "09:00-12:30 13:30-18:00"
    for wrong in ("9-12", "18:00-09:00", "09:00-25:00", "09:70-10:00", "09:00-09:00", "always"):
        with pytest.raises(InvalidInput, match=r"."):
            read_hours(wrong)


# what is shipped -------------------------------------------------------------------------------------------------------


def test_the_holidays_of_2026_are_those_that_were_announced():
    free = [day for day, is_worked, _name in days_of(2026) if not is_worked]
    swapped = [day for day, is_worked, _name in days_of(2026) if is_worked]
    assert len(free) == 3 + 9 + 3 + 5 + 3 + 3 + 7
    assert [f"{day:%m-%d}" for day in swapped] == ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"]
    assert all(day.weekday() >= 5 for day in swapped), "only weekends are worked for holidays"
    assert not set(free) & set(swapped)


def test_of_2027_only_the_days_by_law_are_shipped_and_the_lunar_ones_agree_with_the_calendar():
    assert {2027} == BY_LAW_ALONE
    days = {day: name for day, is_worked, name in days_of(2027) if not is_worked}
    assert len(days) == 1 + 4 + 1 + 2 + 1 + 1 + 3 == 13  # the Regulation on Public Holidays since 2025
    assert not [day for day, is_worked, _name in days_of(2027) if is_worked]
    lunar = {(found.month, found.day) for day in days if (found := lunar_day(day)) and not found.leap}
    assert {(1, 1), (1, 2), (1, 3), (5, 5), (8, 15)} <= lunar
    assert list(days_of(2031)) == []


# laws ------------------------------------------------------------------------------------------------------------------

spans = st.lists(st.tuples(st.integers(0, 1440), st.integers(0, 1440)), max_size=3).map(merged_spans)
calendars = st.builds(
    WorkCalendar,
    st.dictionaries(st.integers(0, 6), spans, max_size=7),
    st.dictionaries(st.dates(dt.date(2026, 1, 1), dt.date(2026, 2, 10)), st.booleans(), max_size=6),
    st.just(CHINA),
)
moments = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 2, 10), timezones=st.just(CHINA)).map(
    lambda at: at.replace(microsecond=0)
)
allowances = st.integers(1, 6000).map(lambda minutes: dt.timedelta(minutes=minutes))


@st.composite
def standing(draw: st.DrawFn) -> list[Pause]:
    """Pauses in order; the last may have no end."""
    points = sorted(draw(st.sets(moments, max_size=6)))
    found: list[Pause] = list(zip(points[::2], points[1::2], strict=False))
    return [*found, (points[-1], None)] if len(points) % 2 else found


@given(calendars, moments, moments, moments, standing())
def test_working_time_adds_up(calendar: WorkCalendar, a: dt.datetime, b: dt.datetime, c: dt.datetime, stood: list[Pause]):
    first, between, last = sorted((a, b, c))
    parts = worked(calendar, first, between, stood) + worked(calendar, between, last, stood)
    assert worked(calendar, first, last, stood) == parts
    assert dt.timedelta() <= parts <= last - first
    assert parts <= worked(calendar, first, last)  # a pause never adds


@given(calendars, moments, allowances, standing())
def test_until_the_deadline_exactly_what_was_allowed_has_been_worked(
    calendar: WorkCalendar, start: dt.datetime, allowed: dt.timedelta, stood: list[Pause]
):
    found = deadline(calendar, start, allowed, stood)
    if found is None:
        stands = bool(stood) and stood[-1][1] is None
        assert stands or not any(calendar.spans(dt.date(2027, 1, 4) + dt.timedelta(n)) for n in range(7))
        return
    assert found > start
    assert worked(calendar, start, found, stood) == allowed
    assert worked(calendar, start, found - dt.timedelta(seconds=1), stood) < allowed  # not a second sooner


@given(calendars, moments, allowances, allowances)
def test_who_is_given_more_time_has_it(calendar: WorkCalendar, start: dt.datetime, one: dt.timedelta, more: dt.timedelta):
    sooner, later = deadline(calendar, start, one), deadline(calendar, start, one + more)
    assert (sooner is None) == (later is None)
    assert sooner is None or later is None or sooner < later


@given(st.lists(st.tuples(st.integers(-100, 2000), st.integers(-100, 2000)), max_size=6))
def test_merged_spans_are_in_order_and_apart_and_cover_the_same_minutes(given_spans: list[tuple[int, int]]):
    found = merged_spans(given_spans)
    minutes = {minute for begin, end in given_spans for minute in range(max(begin, 0), min(end, 1440))}
    assert {minute for begin, end in found for minute in range(begin, end)} == minutes
    assert all(end < begin for (_, end), (begin, _) in pairwise(found))


# the clocks of a ticket --------------------------------------------------------------------------------------------------

PROMISE = Promise(answer=60, solve=240, warn=60, superior=Told.LATE)


def event(text: str, kind: EventKind, state: TicketState) -> dict[str, object]:
    return {"at": at(text), "kind": kind, "state": state}


def stand(state: TicketState, now: str, *events: dict[str, object]):
    ticket = {"opened_at": at("11-23 09:00"), "state": state}
    return clocks(NINE_TO_FIVE, PROMISE, ticket, [event("11-23 09:00", EventKind.OPENED, TicketState.OPEN), *events], at(now))


def test_the_colour_follows_what_runs_out_first():
    assert stand(TicketState.OPEN, "11-23 09:00").colour == "warn"  # 60 minutes left of 60: within the warning
    assert stand(TicketState.OPEN, "11-23 10:01").colour == "bad"
    answered = event("11-23 09:30", EventKind.ANSWER, TicketState.WORKING)
    assert stand(TicketState.WORKING, "11-23 10:01", answered).colour == "good"
    assert stand(TicketState.WORKING, "11-23 12:10", answered).colour == "warn"
    assert stand(TicketState.WORKING, "11-23 13:01", answered).colour == "bad"
    waiting = event("11-23 09:30", EventKind.WAITING, TicketState.WAITING)
    assert stand(TicketState.WAITING, "11-25 13:01", waiting).colour == ""
    assert stand(TicketState.WAITING, "11-25 13:01", waiting).solve.left == dt.timedelta(minutes=210)


def test_a_late_answer_does_not_become_timely_because_the_ticket_was_solved_in_time():
    closed = event("11-23 10:30", EventKind.CLOSED, TicketState.CLOSED)
    found = stand(TicketState.CLOSED, "11-30 09:00", closed)
    assert (found.answer.kept, found.solve.kept, found.colour) == (False, True, "")


def test_a_reopened_ticket_runs_on_from_where_it_stood():
    way = [
        event("11-23 09:30", EventKind.ANSWER, TicketState.WORKING),
        event("11-23 12:00", EventKind.CLOSED, TicketState.CLOSED),
        event("11-26 09:00", EventKind.REOPENED, TicketState.WORKING),
    ]
    found = stand(TicketState.WORKING, "11-26 09:30", *way)
    assert found.solve.left == dt.timedelta(minutes=30)
    assert found.solve.due == at("11-26 10:00")
    assert found.answer.kept is True


def test_where_events_and_the_settled_state_differ_the_state_of_the_ticket_counts():
    closed = event("11-23 12:00", EventKind.CLOSED, TicketState.CLOSED)
    waits = event("11-23 13:00", EventKind.WAITING, TicketState.WAITING)
    assert pauses([closed, waits], TicketState.CLOSED) == [(at("11-23 12:00"), None)]
    assert pauses([closed], TicketState.WORKING) == []  # a person has settled that it goes on
    taken = event("11-23 13:00", EventKind.TAKEN, TicketState.WORKING)
    assert pauses([taken], TicketState.CLOSED) == [(at("11-23 13:00"), None)]


def test_a_clock_says_when_it_is_kept():
    found = clock(NINE_TO_FIVE, at("11-23 09:00"), 60, [], at("11-24 09:00"), at("11-23 09:59"))
    assert (found.kept, found.left) == (True, dt.timedelta(minutes=1))


def test_a_warranty_covers_its_last_day_and_one_that_nobody_knows_of_covers_nothing():
    day = dt.date(2026, 11, 23)
    assert is_covered(day, day)
    assert not is_covered(day - dt.timedelta(1), day)
    assert not is_covered(None, day)


def test_a_ready_answer_is_filled_in_and_other_braces_stay():
    assert fill_answer("{customer}: {number} {what}", {"customer": "恒远", "number": "TK-1"}) == "恒远: TK-1 {what}"
