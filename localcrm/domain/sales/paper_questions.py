"""What lists of quotes and contracts are narrowed to: those without an answer or running, those about to run out, those that have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from localcrm.domain.conditions import Asking, Parameter, Preset, Question, mine_by
from localcrm.domain.sales.entities import ContractStatus, QuoteStatus
from localcrm.kernel.i18n import N_
from localcrm.store.query import Condition
from localcrm.store.tree import All, Node

#: Days ahead in which a quote, or a contract, is called about to run out.
QUOTE_DAYS, CONTRACT_DAYS = 7, 30


def _questions(status: str, until: str, days: int) -> tuple[Question, ...]:
    """Of papers in a state that hold until a day: that it comes soon, that it has passed."""
    holds = Condition("status", "=", status)

    def ending(asking: Asking, given: Mapping[str, Any]) -> Node:
        last = asking.today + dt.timedelta(days=given["days"])
        return All((holds, Condition(until, ">=", asking.today), Condition(until, "<=", last)))

    def ended(asking: Asking, _given: Mapping[str, Any]) -> Node:
        return All((holds, Condition(until, "<", asking.today)))

    return (
        mine_by("owner_id"),
        Question("ending", N_("Ends within {days} days"), ending, (Parameter("days", "days", days),)),
        Question("ended", N_("Has ended"), ended),
    )


UNANSWERED: Mapping[str, Any] = {"field": "status", "op": "=", "value": QuoteStatus.SENT.value}
RUNNING: Mapping[str, Any] = {"all": [{"field": "status", "op": "=", "value": ContractStatus.SIGNED.value}, {"not": {"ask": "ended"}}]}

QUOTE_QUESTIONS = _questions(QuoteStatus.SENT.value, "valid_until", QUOTE_DAYS)
QUOTE_PRESETS = (
    Preset("unanswered", N_("Unanswered"), UNANSWERED),
    Preset("ending", N_("Expires within 7 days"), {"ask": "ending", "days": QUOTE_DAYS}),
    Preset("ended", N_("Expired unanswered"), {"ask": "ended"}),
)
CONTRACT_QUESTIONS = _questions(ContractStatus.SIGNED.value, "ends_on", CONTRACT_DAYS)
CONTRACT_PRESETS = (
    Preset("running", N_("Running"), RUNNING),
    Preset("ending", N_("Ends within 30 days"), {"ask": "ending", "days": CONTRACT_DAYS}),
    Preset("ended", N_("Run out unfulfilled"), {"ask": "ended"}),
)
