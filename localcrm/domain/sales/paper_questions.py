"""What lists of quotes, contracts and products in use are narrowed to: those that still run, those about to run out, those that have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from localcrm.domain.conditions import Asking, Parameter, Preset, Question, mine_by
from localcrm.domain.sales.entities import ContractStatus, QuoteStatus
from localcrm.kernel.i18n import N_
from localcrm.store.query import Condition
from localcrm.store.tree import All, Node

#: Days ahead in which a quote, a contract or a warranty is called about to run out.
QUOTE_DAYS, CONTRACT_DAYS, WARRANTY_DAYS = 7, 30, 30


def _questions(holds: Condition, until: str, days: int) -> tuple[Question, ...]:
    """Of what holds until a day: that it comes soon, that it has passed."""

    def ending(asking: Asking, given: Mapping[str, Any]) -> Node:
        last = asking.today + dt.timedelta(days=given["days"])
        return All((holds, Condition(until, ">=", asking.today), Condition(until, "<=", last)))

    def ended(asking: Asking, _given: Mapping[str, Any]) -> Node:
        return All((holds, Condition(until, "<", asking.today)))

    return (
        Question("ending", N_("Ends within {days} days"), ending, (Parameter("days", "days", days),)),
        Question("ended", N_("Has ended"), ended),
    )


UNANSWERED: Mapping[str, Any] = {"field": "status", "op": "=", "value": QuoteStatus.SENT.value}
RUNNING: Mapping[str, Any] = {"all": [{"field": "status", "op": "=", "value": ContractStatus.SIGNED.value}, {"not": {"ask": "ended"}}]}

QUOTE_QUESTIONS = (mine_by("owner_id"), *_questions(Condition("status", "=", QuoteStatus.SENT.value), "valid_until", QUOTE_DAYS))
QUOTE_PRESETS = (
    Preset("unanswered", N_("Unanswered"), UNANSWERED),
    Preset("ending", N_("Expires within 7 days"), {"ask": "ending", "days": QUOTE_DAYS}),
    Preset("ended", N_("Expired unanswered"), {"ask": "ended"}),
)
CONTRACT_QUESTIONS = (mine_by("owner_id"), *_questions(Condition("status", "=", ContractStatus.SIGNED.value), "ends_on", CONTRACT_DAYS))
CONTRACT_PRESETS = (
    Preset("running", N_("Running"), RUNNING),
    Preset("ending", N_("Ends within 30 days"), {"ask": "ending", "days": CONTRACT_DAYS}),
    Preset("ended", N_("Run out unfulfilled"), {"ask": "ended"}),
)
WARRANTY_QUESTIONS = _questions(Condition("returned_on", "blank"), "warranty_until", WARRANTY_DAYS)
WARRANTY_PRESETS = (
    Preset("ending", N_("Warranty ends within 30 days"), {"ask": "ending", "days": WARRANTY_DAYS}),
    Preset("ended", N_("Out of warranty"), {"ask": "ended"}),
)
