"""What a unit asks of a quantity."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_


def check_decimals(quantity: Decimal, unit: str | None, decimals: Mapping[str, int]) -> None:
    """Raise InvalidInput("too_fine") for a part of a unit that comes whole, or finer than it is counted (rule R11)."""
    places = decimals.get(unit or "")
    if places is None or quantity == round(quantity, places):
        return
    text = N_("“{unit}” is counted in whole numbers.") if places == 0 else N_("“{unit}” takes {places} decimals at most.")
    raise InvalidInput("too_fine", text, unit=unit, places=places, field="quantity")
