"""Pure rules of buying."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any


def price_for(scale: Iterable[Mapping[str, Any]], quantity: Decimal, today: date) -> Mapping[str, Any] | None:
    """The step of a scale of prices (``from_quantity``, ``price``, ``until``) that counts for a quantity today; None where none does."""
    steps = [step for step in scale if step["from_quantity"] <= quantity and (step["until"] is None or step["until"] >= today)]
    return max(steps, key=lambda step: (step["from_quantity"], -step["price"]), default=None)
