"""Pure rules of rebates."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localcrm.kernel.money import MONEY_SCALE, round_to

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_PERIOD = re.compile(r"(\d{4})(?:-?[Qq]([1-4]))?", re.ASCII)
_NOTHING = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Rebate:
    """``percent`` as a share of one, ``amount`` in money."""

    percent: Decimal
    amount: Decimal


def month_of(day: dt.date) -> str:
    """2026-11."""
    return f"{day:%Y-%m}"


def first_day(month: str) -> dt.date | None:
    """The first day of a month written 2026-11; None for anything else."""
    found = _MONTH.fullmatch(month)
    return dt.date(int(found[1]), int(found[2]), 1) if found and int(found[1]) else None


def months_until(day: dt.date, count: int) -> list[str]:
    """So many months, the newest first; the first of them is that of the day."""
    newest = day.year * 12 + day.month - 1
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(newest, newest - count, -1)]


def period_of(text: str) -> str | None:
    """A year (2026) or a quarter (2026-Q3) in one way of writing; None for anything else."""
    found = _PERIOD.fullmatch(text.strip())
    if found is None or not int(found[1]):
        return None
    return f"{found[1]}-Q{found[2]}" if found[2] else found[1]


def months_of(period: str) -> list[str]:
    """The months of a year or a quarter, the first first; none for anything else."""
    year, _, quarter = (period_of(period) or "").partition("-Q")
    first, count = (3 * int(quarter) - 2, 3) if quarter else (1, 12)
    return [f"{year}-{month:02d}" for month in range(first, first + count)] if year else []


def periods_at(day: dt.date) -> tuple[str, str]:
    """The quarter and the year of a day."""
    return f"{day:%Y}-Q{(day.month + 2) // 3}", f"{day:%Y}"


def percent_of(reached: Decimal, target: Decimal) -> Decimal:
    """What was reached in percent of a target, with one place."""
    return round_to(reached * 100 / target, 1) if target else Decimal("0.0")


def tiers_of(tiers: Iterable[Mapping[str, Any]], partner: Mapping[str, Any], month: dt.date) -> list[Mapping[str, Any]]:
    """Those that count for a partner in a month: his own, and where he has none those of his level."""
    valid = [
        tier
        for tier in tiers
        if (tier["starts_on"] is None or tier["starts_on"] <= month) and (tier["ends_on"] is None or tier["ends_on"] >= month)
    ]
    own = [tier for tier in valid if tier["partner_id"] == partner["id"]]
    return own or [tier for tier in valid if tier["partner_id"] is None and tier["level"] and tier["level"] == partner["level"]]


def rebate(tiers: Iterable[Mapping[str, Any]], basis: Decimal) -> Rebate:
    """The highest tier that is reached gives its share of the whole amount; of two from the same amount the higher one counts.

    A month that came to nothing, or to less, gives nothing.
    """
    reached = [tier for tier in tiers if tier["from_amount"] <= basis]
    if basis <= 0 or not reached:
        return Rebate(Decimal("0.0000"), _NOTHING)
    percent: Decimal = max((tier["from_amount"], tier["percent"]) for tier in reached)[1]
    return Rebate(percent, round_to(basis * percent, MONEY_SCALE))
