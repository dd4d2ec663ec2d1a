"""What lists of customers can be asked beyond their fields: whose they are, contact made and planned, birthdays.

Each is answered from what whoever asks may see; "mine" is what he owns and what was shared with him.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from localcrm.domain.conditions import Asking, Parameter, Preset, Question, within
from localcrm.domain.crm.birthdays import kept_within
from localcrm.domain.crm.entities import Activity, Contact, Customer
from localcrm.domain.crm.reclaim import near
from localcrm.domain.people.shared_with import shared_by
from localcrm.domain.spans import bounds, day_starts
from localcrm.kernel.i18n import N_
from localcrm.store.query import Condition
from localcrm.store.tree import All, Either, Figure, Listed, Made, Node, Not, Planned, Related, Term

_CUSTOMER, _CONTACT, _ACTIVITY = Customer.entity_type, Contact.entity_type, Activity.entity_type
_CALLED = "customer_id"
#: Without any contact for so long a customer is called dormant.
DORMANT_DAYS = 30
#: Birthdays are told so many days ahead.
BIRTHDAY_DAYS = 7
NEW_DAYS = 7
#: Of so many days the activity records are few among those of years.
FEW_DAYS = 7


def _days(preset: int) -> Parameter:
    return Parameter("days", "days", preset)


def _mine(asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Either((Condition("owner_id", "=", asking.actor.user_id), Condition("id", "in", sorted(asking.shared(_CUSTOMER)))))


def _shared_to_me(asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Condition("id", "in", sorted(asking.shared(_CUSTOMER)))


def _shared_by_me(asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Listed(lambda connection: shared_by(connection, asking.actor, _CUSTOMER, asking.today))


def _near_pool(asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Listed(lambda connection: near(connection, asking.now, asking.actor.user_id) if asking.actor.user_id else [])


def _contacted(asking: Asking, given: Mapping[str, Any]) -> Node:
    return Related(_ACTIVITY, _CALLED, within("at", False, "last", given["days"], asking), few=given["days"] <= FEW_DAYS)


def _not_contacted(asking: Asking, given: Mapping[str, Any]) -> Node:
    return Not(_contacted(asking, given))


def _never_contacted(_asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Not(Related(_ACTIVITY, _CALLED))


def _planned(asking: Asking, span: str, days: int) -> Node:
    return Planned(_ACTIVITY, _CALLED, "at", "next_at", within("next_at", False, span, days, asking), asking.offset_ms)


def _to_contact(asking: Asking, given: Mapping[str, Any]) -> Node:
    return _planned(asking, "until", given["days"])


def _overdue(asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Planned(_ACTIVITY, _CALLED, "at", "next_at", Condition("next_at", "<", day_starts(asking.today)), asking.offset_ms)


def _due_today(asking: Asking, _given: Mapping[str, Any]) -> Node:
    today, tomorrow = (day_starts(asking.today + timedelta(days=ahead)) for ahead in (0, 1))
    due = All((Condition("next_at", ">=", today), Condition("next_at", "<", tomorrow)))
    return Planned(_ACTIVITY, _CALLED, "at", "next_at", due, asking.offset_ms)


def _new(asking: Asking, given: Mapping[str, Any]) -> Node:
    first, _after = bounds("last", given["days"], asking.today)
    return Made(day_starts(first or date.min))


def _birthday(asking: Asking, given: Mapping[str, Any]) -> Node:
    return Related(_CONTACT, _CALLED, kept_within(asking.today, min(given["days"], 366)))


def _contacts(_asking: Asking, given: Mapping[str, Any]) -> Node:
    return Figure((Term(_CONTACT, _CALLED),), given["op"], given["number"])


QUESTIONS = (
    Question("mine", N_("Mine: owned by me or shared with me"), _mine),
    Question("shared_to_me", N_("Shared with me"), _shared_to_me),
    Question("shared_by_me", N_("Shared by me"), _shared_by_me),
    Question("near_pool", N_("Mine, soon back to a pool"), _near_pool),
    Question("contacted", N_("Contacted in the last {days} days"), _contacted, (_days(7),)),
    Question("no_activity", N_("No contact in the last {days} days"), _not_contacted, (_days(DORMANT_DAYS),)),
    Question("never_contacted", N_("Never contacted"), _never_contacted),
    Question("to_contact", N_("Planned contact due within {days} days, or overdue"), _to_contact, (_days(1),)),
    Question("due_today", N_("Planned contact due today"), _due_today),
    Question("overdue", N_("Planned contact overdue"), _overdue),
    Question("new", N_("Entered in the last {days} days"), _new, (_days(NEW_DAYS),)),
    Question("birthday", N_("A contact's birthday within {days} days"), _birthday, (_days(BIRTHDAY_DAYS),)),
    Question("contacts", N_("Contacts: {op} {number}"), _contacts, (Parameter("op", "op", "="), Parameter("number", "number", 0))),
)


PRESETS = (
    Preset("mine", N_("My customers"), {"ask": "mine"}),
    Preset("near_pool", N_("Soon back to a pool"), {"ask": "near_pool"}),
    Preset("shared_to_me", N_("Shared with me"), {"ask": "shared_to_me"}),
    Preset("shared_by_me", N_("Shared by me"), {"ask": "shared_by_me"}),
    Preset("nobodys", N_("Nobody's, in no pool"), {"all": [{"field": "owner_id", "op": "blank"}, {"field": "pool_id", "op": "blank"}]}),
    Preset("to_contact", N_("To contact"), {"ask": "to_contact", "days": 1}),
    Preset("due_today", N_("To contact today"), {"ask": "due_today"}),
    Preset("overdue", N_("Contact overdue"), {"ask": "overdue"}),
    Preset("contacted_today", N_("Contacted today"), {"ask": "contacted", "days": 1}),
    Preset("contacted_3", N_("Contacted in 3 days"), {"ask": "contacted", "days": 3}),
    Preset("contacted_7", N_("Contacted in 7 days"), {"ask": "contacted", "days": 7}),
    Preset("contacted_30", N_("Contacted in 30 days"), {"ask": "contacted", "days": 30}),
    Preset("new", N_("New customers"), {"ask": "new", "days": NEW_DAYS}),
    Preset("never_contacted", N_("Never contacted"), {"ask": "never_contacted"}),
    Preset("birthday", N_("Birthday soon"), {"ask": "birthday", "days": BIRTHDAY_DAYS}),
    Preset(
        "dormant", N_("Dormant"), {"all": [{"ask": "no_activity", "days": DORMANT_DAYS}, {"not": {"ask": "new", "days": DORMANT_DAYS}}]}
    ),
)
#: Sums are known to the subjects above.
MEASURES = ()
