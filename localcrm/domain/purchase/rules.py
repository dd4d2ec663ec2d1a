"""Pure rules of buying."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any


def price_for(scale: Iterable[Mapping[str, Any]], quantity: Decimal, today: date) -> Mapping[str, Any] | None:
    """The step of a scale of prices (``from_quantity``, ``price``, ``until``) that counts for a quantity today; None where none does."""
    steps = [step for step in scale if step["from_quantity"] <= quantity and _is_valid(step, today)]
    return max(steps, key=lambda step: (step["from_quantity"], -step["price"]), default=None)


def smallest(scale: Iterable[Mapping[str, Any]], today: date) -> Mapping[str, Any] | None:
    """The step of a scale with the smallest quantity that is sold at all today; None where there is none."""
    return min((step for step in scale if _is_valid(step, today)), key=lambda step: (step["from_quantity"], step["price"]), default=None)


def _is_valid(step: Mapping[str, Any], today: date) -> bool:
    return step["until"] is None or bool(step["until"] >= today)
