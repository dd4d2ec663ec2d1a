"""What is due of deals: tasks given to somebody, and next steps. Lists are narrowed to them, and people are reminded of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from localcrm.domain.conditions import Preset, mine_by
from localcrm.domain.crm.entities import Customer, DealState, Opportunity, Phase, ProjectTask
from localcrm.domain.crm.reminders import MOST, Ask, Reminding, morning
from localcrm.kernel.i18n import N_

_TASK, _OPPORTUNITY, _CUSTOMER = ProjectTask.entity_type, Opportunity.entity_type, Customer.entity_type
#: Deals that are worked on; what is left to do in others is not asked for any more.
_WORKED_ON = (DealState.OPEN.value, DealState.WON.value)
#: What was due longer ago is in the list, not on the screen.
_PAST = dt.timedelta(days=30)


def _by_today(field: str) -> Mapping[str, Any]:
    return {"field": field, "op": "within", "span": "until", "days": 1}


TASK_QUESTIONS, DEAL_QUESTIONS = (mine_by("user_id"),), (mine_by("owner_id"),)
TASK_PRESETS = (Preset("due", N_("Due or overdue"), {"all": [{"field": "done_on", "op": "blank"}, _by_today("due_on")]}),)
#: Deals that are negotiated or carried out; aftercare goes on for years.
UNDER_WAY: Mapping[str, Any] = {
    "all": [
        {"field": "state", "op": "in", "value": list(_WORKED_ON)},
        {"field": "phase", "op": "in", "value": [Phase.OPPORTUNITY.value, Phase.PROJECT.value]},
    ]
}
DEAL_PRESETS = (
    Preset("step_due", N_("Next step due"), {"all": [{"field": "state", "op": "in", "value": list(_WORKED_ON)}, _by_today("next_on")]}),
)


def tasks(ask: Ask) -> Iterator[Reminding]:
    """Tasks given to the user that are not done, from the morning of their day on."""
    deals, seen = ask.view(_OPPORTUNITY, "title"), ask.view(_TASK, "due_on", "done_on", "user_id", "title", "opportunity_id")
    if seen is None:
        return
    condition, params = seen.condition("t")
    rows = ask.connection.all(
        f"""SELECT t.id, t.due_on, t.title, o.id, o.title FROM project_task t INDEXED BY project_task__due_on
            CROSS JOIN opportunity o ON o.id = t.opportunity_id
            WHERE t.deleted = 0 AND o.deleted = 0 AND t.due_on >= ? AND t.due_on <= ? AND t.done_on IS NULL AND t.user_id = ?
            AND o.state IN (?, ?) AND {condition} ORDER BY +t.due_on LIMIT {MOST}""",
        [*_days(ask), ask.user, *_WORKED_ON, *params],
    )
    for identity, day, title, deal, named in rows:
        yield from _told(ask, "task", identity, day, title, named if deals is not None else "", deal)


def steps(ask: Ask) -> Iterator[Reminding]:
    """Next steps of deals of the user's own, from the morning of their day on."""
    customers, seen = ask.view(_CUSTOMER, "name"), ask.view(_OPPORTUNITY, "next_on", "owner_id", "state", "title", "next_step")
    if seen is None:
        return
    condition, params = seen.condition("o")
    rows = ask.connection.all(
        f"""SELECT o.id, o.next_on, o.title, o.next_step, c.name FROM opportunity o INDEXED BY opportunity__next_on
            CROSS JOIN customer c ON c.id = o.customer_id
            WHERE o.deleted = 0 AND o.next_on >= ? AND o.next_on <= ? AND o.owner_id = ? AND o.state IN (?, ?)
            AND {condition} ORDER BY +o.next_on LIMIT {MOST}""",
        [*_days(ask), ask.user, *_WORKED_ON, *params],
    )
    for identity, day, title, step, customer in rows:
        about = f"{customer} · {title}" if customers is not None else title
        yield from _told(ask, "step", identity, day, step or title, about if step else customer if customers is not None else "", identity)


def _days(ask: Ask) -> tuple[str, str]:
    first, last = (ask.now - _PAST).astimezone().date(), ask.until.astimezone().date()
    return first.isoformat(), last.isoformat()


def _told(ask: Ask, kind: str, identity: bytes, day: str, title: str, text: str, deal: bytes) -> Iterator[Reminding]:
    due = morning(dt.date.fromisoformat(day))
    if due <= ask.until:
        yield Reminding(
            key=f"{kind}:{identity.hex()}:{day}", kind=kind, due=due, at=due, title=title, text=text, record=(_OPPORTUNITY.key, deal.hex())
        )
