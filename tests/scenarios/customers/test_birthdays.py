"""Whose birthday is near: the list, the page of today and the bell say the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcrm.domain.conditions import PRESETS, Asking, tree_query
from localcrm.domain.crm.birthdays import write_lunar
from localcrm.kernel.clock import now_utc
from localcrm.kernel.lunar import lunar_day
from localcrm.kernel.schema import entity
from localcrm.store.query import select
from tests.factories import HandClock, Installation, copy_company

CUSTOMER = entity("customer")


@pytest.fixture
def hq(tmp_path: Path) -> Iterator[Installation]:
    company = copy_company(tmp_path, branches=1)
    assert isinstance(company.hq.clock, HandClock)
    company.hq.clock.ms = int(now_utc().timestamp() * 1000)
    yield company.hq
    company.close()


def listed(hq: Installation, today: dt.date) -> set[str]:
    asking = Asking(hq.actor, dt.datetime.combine(today, dt.time(12)).astimezone())
    with hq.store.read() as connection:
        return {row["name"] for row in select(connection, tree_query(CUSTOMER, PRESETS["customer"]["birthday"].tree, asking)).rows}


def test_the_list_keeps_birthdays_by_the_moon_and_leaves_out_who_left(hq: Installation) -> None:
    near = dt.date(2026, 11, 24)  # the sixteenth of the tenth month
    people = {
        "按公历": {"birthday": "1968-11-24"},
        "按农历": {"lunar_birthday": "十月十六"},
        "公历近但过农历": {"birthday": "1990-11-24", "lunar_birthday": "八月十五"},
        "农历近公历不近": {"birthday": "1990-03-01", "lunar_birthday": "十月十六"},
        "已离职": {"birthday": "1970-11-24", "has_left": "是"},
        "农历已离职": {"lunar_birthday": "十月十六", "has_left": "是"},
        "闰月": {"lunar_birthday": "闰十月十六"},  # 2026 doubles no month: kept in the plain one
    }
    for name, values in people.items():
        hq.new("contact", customer_id=hq.new("customer", name=name), name="张建国", **values)
    expected = {"按公历", "按农历", "农历近公历不近", "闰月"}
    assert listed(hq, near) == listed(hq, near - dt.timedelta(6)) == expected
    assert listed(hq, near - dt.timedelta(7)) == listed(hq, near + dt.timedelta(1)) == set()


def test_the_bell_and_the_list_name_the_same_people(hq: Installation) -> None:
    soon = now_utc().astimezone().date() + dt.timedelta(2)
    by_moon = lunar_day(soon)
    assert by_moon is not None
    people = {
        "王阳历": {"birthday": f"1980-{soon:%m-%d}" if (soon.month, soon.day) != (2, 29) else "1980-02-29"},
        "李农历": {"lunar_birthday": write_lunar(by_moon._replace(leap=False))},
        "赵离职": {"birthday": f"1980-{soon:%m-%d}", "lunar_birthday": write_lunar(by_moon), "has_left": "是"},
    }
    for name, values in people.items():
        hq.new("contact", customer_id=hq.new("customer", name=f"{name}的公司"), name=name, **values)
    told = {(row["title"], row["text"]) for row in hq.run("crm.list_reminders", days=7)["rows"] if row["kind"] == "birthday"}
    assert told == {("王阳历", "王阳历的公司"), ("李农历", "李农历的公司")}
    assert listed(hq, soon - dt.timedelta(2)) == {company for _name, company in told}
