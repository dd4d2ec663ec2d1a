"""What a user is reminded of, and when.

Nothing is made for the future and nothing runs to make it: what is due follows from the records as they stand, at every node alike, so
no reminder comes twice from two nodes, is late after a night without power, or outlives what it was about. What is kept is only what a
user did about one (``ReminderMark``), by the key of its occasion, and the reminders that he wrote himself.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.birthdays import is_kept, lunar_keys, solar_keys
from localcrm.domain.crm.entities import Activity, Comment, Contact, Customer, Reminder, ReminderMark
from localcrm.domain.options.company import company_days, company_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import no_such_record
from localcrm.domain.typed import read_text
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import record_json
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import View

_CUSTOMER, _CONTACT, _ACTIVITY = Customer.entity_type, Contact.entity_type, Activity.entity_type
_COMMENT, _REMINDER, _MARK = Comment.entity_type, Reminder.entity_type, ReminderMark.entity_type
#: Kinds of records that a reminder may follow from, or that say what was done about one.
_SOURCES = frozenset({"customer", "contact", "activity", "comment", "reminder", "reminder_mark", "company_option", "branch_option"}) | {
    *("opportunity", "sales_order")  # while one is open its customer goes to no pool
}
#: What is older was missed and belongs into a list, not on the screen.
_PAST, _PAST_MENTION, _PAST_DAY = dt.timedelta(days=30), dt.timedelta(days=180), dt.timedelta(days=7)
#: What is due on a day is due at this hour, on the clock on the wall.
_MORNING = dt.time(9)
#: Of one kind no more are told.
MOST = 500
#: What there is to be reminded of; how each looks says ``ui/kit/reminders``.
KINDS = (
    "next birthday dormant reclaim warranty consumable quote contract certificate task step registration outrun mention own ticket revisit claim hands "
    "overpaid limit stopped recalled short locks"
).split()
_KEY = re.compile(rf"({'|'.join(KINDS)}):[0-9a-f]{{32}}(:[0-9-]{{1,20}})?", re.ASCII)
#: The longest a reminder may be put off.
_LONGEST = dt.timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminding:
    """One occasion. key: the same at every node · kind: one of KINDS · due: when it is to be told · at: the time it is about ·
    title: whom or what it is about, "" where that may not be seen · text: what more there is to say ·
    record: kind and id of what it is about where that is none of the others.
    """

    key: str
    kind: str
    due: dt.datetime
    at: dt.datetime
    title: str = ""
    text: str = ""
    customer: str | None = None
    activity: str | None = None
    ticket: str | None = None
    record: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """For whom is looked, and for what falls due after ``since`` and until ``until``."""

    connection: Connection
    node: Node
    actor: Actor
    user: bytes
    now: dt.datetime
    until: dt.datetime

    def view(self, kind: EntityType, *needs: str) -> View | None:
        """What the user may see of a kind; None where he may not read all the fields that the occasion follows from."""
        seen = policy.seen(self.actor, kind)
        return seen if seen is not None and all(map(seen.shows, needs)) else None


#: Further occasions, many of subjects above this one, by the kind of record they follow from.
FURTHER: dict[str, Callable[[Ask], Iterator[Reminding]]] = {}


def sources() -> frozenset[str]:
    """Kinds of records whose changes may change what somebody is reminded of."""
    return _SOURCES | FURTHER.keys()


def reminders(
    connection: Connection, node: Node, actor: Actor, *, now: dt.datetime, ahead: dt.timedelta = dt.timedelta()
) -> list[Reminding]:
    """What a user is to be reminded of until ``now + ahead`` and has not settled, by when it is due."""
    if actor.user_id is None:
        return []
    ask = Ask(connection, node, actor, bytes.fromhex(actor.user_id), now, now + ahead)
    found = [one for source in (_next_contacts, _birthdays, _dormant, _mentions, _own, *FURTHER.values()) for one in source(ask)]
    marks = _marks(connection, ask.user, [one.key for one in found])
    open_ones = []
    for one in found:
        if one.key not in marks:
            open_ones.append(one)
        elif (later := marks[one.key]) is not None and later <= ask.until:
            open_ones.append(replace(one, due=max(one.due, later)))
    return sorted(open_ones, key=lambda one: (one.due, one.key))


def _next_contacts(ask: Ask) -> Iterator[Reminding]:
    """What was planned with customers of the user's own, unless they were spoken to since; without an owner for whoever planned it."""
    customers, activities = ask.view(_CUSTOMER, "owner_id"), ask.view(_ACTIVITY, "at", "next_at", "customer_id")
    if customers is None or activities is None:
        return
    rows = _latest(
        ask,
        activities,
        "next_at",
        "activity.next_at > ? AND activity.next_at <= ? AND coalesce(customer.owner_id, activity.user_id) = ?",
        [_ms(ask.now - _PAST), _ms(ask.until), ask.user],
    )
    for activity, _at, next_at, plan, customer, name in rows:
        due = _from_ms(next_at)
        yield Reminding(
            key=f"next:{activity.hex()}:{next_at}",
            kind="next",
            due=due,
            at=due,
            title=name if customers.shows("name") else "",
            text=plan or "" if activities.shows("next_plan") else "",
            customer=customer.hex(),
        )


def _dormant(ask: Ask) -> Iterator[Reminding]:
    """Customers of the user's own with whom nothing has happened for so many days, and nothing is planned.

    The days are counted from the last record, or from the day the customer was entered or handed over to him where that is later. Of several
    numbers of days that have passed the greatest is told.
    """
    customers, activities = ask.view(_CUSTOMER, "owner_id", "owner_since"), ask.view(_ACTIVITY, "at", "next_at", "customer_id")
    if customers is None or activities is None:
        return
    told: dict[bytes, Reminding] = {}
    for days in company_days(ask.connection, ask.node, "dormant_days"):
        span = _ms(ask.now - _PAST_DAY - dt.timedelta(days=days + 1)), _ms(ask.until - dt.timedelta(days=days - 1))
        for key, at, customer, name in (*_quiet(ask, activities, span), *_untouched(ask, customers, span)):
            due = morning(_from_ms(at).astimezone().date() + dt.timedelta(days=days))
            known = told.get(customer)
            if not ask.now - _PAST_DAY < due <= ask.until or (known and due > ask.now):  # what has come counts before what is to come
                continue
            title = name if customers.shows("name") else ""
            told[customer] = Reminding(
                key=f"dormant:{key}{days}", kind="dormant", due=due, at=_from_ms(at), title=title, customer=customer.hex()
            )
    yield from told.values()


def _quiet(ask: Ask, activities: View, span: tuple[int, int]) -> Iterator[tuple[str, int, bytes, str]]:
    """Of customers with whom nothing happened since a moment in a span: how the occasion is called, that moment, the customer, its name."""
    rows = _latest(
        ask,
        activities,
        "at",
        """activity.at > ? AND activity.at <= ? AND activity.next_at IS NULL AND customer.owner_id = ? AND customer.inactive = 0
           AND activity.at >= coalesce(customer.owner_since, 0)""",
        [*span, ask.user],
    )
    for activity, at, _next_at, _plan, customer, name in rows:
        yield f"{activity.hex()}:", at, customer, name


def _untouched(ask: Ask, customers: View, span: tuple[int, int]) -> Iterator[tuple[str, int, bytes, str]]:
    """The same of customers with whom nothing has happened since they came to the user."""
    condition, params = customers.condition("customer")
    rows = ask.connection.all(
        f"""SELECT customer.id, customer.owner_since, customer.name FROM customer INDEXED BY customer__owner_id__owner_since
            WHERE customer.deleted = 0 AND customer.owner_id = ? AND customer.owner_since > ? AND customer.owner_since <= ?
            AND customer.inactive = 0 AND {condition}
            AND NOT EXISTS (SELECT 1 FROM activity WHERE activity.customer_id = customer.id AND activity.deleted = 0
                            AND (activity.at >= customer.owner_since OR activity.next_at >= customer.owner_since))
            ORDER BY customer.owner_since DESC LIMIT {MOST}""",
        [ask.user, *span, *params],
    )
    for customer, since, name in rows:
        yield f"{customer.hex()}:{since}-", since, customer, name


def _latest(ask: Ask, activities: View, index: str, where: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Activity records that fit, found by the index of a field, and are the last of their customer: (id, at, next_at, next_plan, customer, its name)."""
    condition, more = activities.condition('"activity"')
    return ask.connection.all(
        f"""SELECT activity.id, activity.at, activity.next_at, activity.next_plan, customer.id, customer.name
            FROM activity INDEXED BY "activity__{index}" CROSS JOIN customer ON customer.id = activity.customer_id
            WHERE activity.deleted = 0 AND customer.deleted = 0 AND {where} AND {condition}
            AND NOT EXISTS (SELECT 1 FROM activity newer WHERE newer.customer_id = activity.customer_id AND newer.deleted = 0
                            AND (newer.at, newer.id) > (activity.at, activity.id))
            ORDER BY +activity.at DESC LIMIT {MOST}""",
        [*params, *more],
    )


def _birthdays(ask: Ask) -> Iterator[Reminding]:
    """Birthdays of people at customers of the user's own, some days ahead and a week after."""
    customers, contacts = (
        ask.view(_CUSTOMER, "owner_id"),
        ask.view(_CONTACT, "name", "birthday", "lunar_birthday", "has_left", "customer_id"),
    )
    if customers is None or contacts is None:
        return
    before = dt.timedelta(days=company_number(ask.connection, ask.node, "birthday_days"))
    first, last = (ask.now - _PAST_DAY).astimezone().date(), (ask.until + before).astimezone().date()
    days = [first + dt.timedelta(n) for n in range((last - first).days + 1)]
    condition, params = contacts.condition('"contact"')
    rows = ask.connection.all(
        f"""WITH kept(rid) AS (
                SELECT rid FROM contact INDEXED BY contact__lunar_birthday
                WHERE deleted = 0 AND lunar_birthday IN (SELECT value FROM json_each(?))
                UNION
                SELECT rid FROM contact INDEXED BY contact__birthday
                WHERE deleted = 0 AND birthday IS NOT NULL AND substr(birthday, 6) IN (SELECT value FROM json_each(?)))
            SELECT contact.id, contact.name, contact.birthday, contact.lunar_birthday, customer.id, customer.name
            FROM kept CROSS JOIN contact ON contact.rid = kept.rid CROSS JOIN customer ON customer.id = contact.customer_id
            WHERE contact.has_left = 0 AND customer.deleted = 0 AND customer.owner_id = ? AND {condition} LIMIT {MOST}""",
        [json.dumps(lunar_keys(days)), json.dumps(solar_keys(days)), ask.user, *params],
    )
    for contact, name, born, lunar, customer, company in rows:
        day = next((day for day in days if is_kept(dt.date.fromisoformat(born) if born else None, lunar, day)), None)
        if day is not None and (due := morning(day - before)) <= ask.until:
            yield Reminding(
                key=f"birthday:{contact.hex()}:{day.isoformat()}",
                kind="birthday",
                due=due,
                at=morning(day),
                title=name,
                text=company if customers.shows("name") else "",
                customer=customer.hex(),
            )


def _mentions(ask: Ask) -> Iterator[Reminding]:
    """Comments in which the user is named."""
    comments = ask.view(_COMMENT, "at", "mentions", "text")
    if comments is None:
        return
    condition, params = comments.condition('"comment"')
    rows = ask.connection.all(
        f"""SELECT comment.id, comment.at, comment.text, comment.activity_id, activity.customer_id, u.name
            FROM comment JOIN activity ON activity.id = comment.activity_id LEFT JOIN "user" u ON u.id = comment.user_id
            WHERE comment.deleted = 0 AND activity.deleted = 0 AND comment.at > ? AND comment.at <= ? AND instr(comment.mentions, ?)
            AND {condition} ORDER BY comment.at DESC LIMIT {MOST}""",
        [_ms(ask.now - _PAST_MENTION), _ms(ask.until), ask.user.hex(), *params],
    )
    for identity, at, text, activity, customer, author in rows:
        due = _from_ms(at)
        yield Reminding(
            key=f"mention:{identity.hex()}",
            kind="mention",
            due=due,
            at=due,
            title=author or "",
            text=text[:200],
            customer=customer.hex(),
            activity=activity.hex(),
        )


def _own(ask: Ask) -> Iterator[Reminding]:
    """What the user wrote down himself; however long ago."""
    customers = policy.seen(ask.actor, _CUSTOMER)
    condition, params = customers.condition("customer") if customers is not None and customers.shows("name") else ("0", [])
    rows = ask.connection.all(
        f"""SELECT r.id, r.at, r.text, customer.id, customer.name FROM reminder r
            LEFT JOIN customer ON customer.id = r.customer_id AND customer.deleted = 0 AND {condition}
            WHERE r.deleted = 0 AND r.user_id = ? AND r.at <= ? ORDER BY r.at DESC LIMIT {MOST}""",
        [*params, ask.user, _ms(ask.until)],
    )
    for identity, at, text, customer, name in rows:
        due = _from_ms(at)
        yield Reminding(
            key=f"own:{identity.hex()}:{at}", kind="own", due=due, at=due, title=text, text=name or "", customer=customer and customer.hex()
        )


def _marks(connection: Connection, user: bytes, keys: Sequence[str]) -> dict[str, dt.datetime | None]:
    """What the user did about occasions: until when it is put off, None where it is settled."""
    rows = connection.all(
        """SELECT key, until FROM reminder_mark WHERE deleted = 0 AND key IN (SELECT value FROM json_each(?)) AND user_id = ?
           ORDER BY set_at, id""",
        (json.dumps(list(keys)), user),
    )
    return {key: None if until is None else _from_ms(until) for key, until in rows}


# what a user does about them ---------------------------------------------------------------------------------------------


def list_reminders(uow: UnitOfWork, actor: Actor, *, days: int = 7) -> dict[str, Any]:
    """What is due, and what falls due within some days: {"rows": [{"key", "kind", "due", "at", "title", "text", "customer", "activity", "ticket", "record"}]}."""
    ahead = dt.timedelta(days=min(max(days, 0), 60))
    found = reminders(uow.connection, uow.node, actor, now=moment(uow.store.clock), ahead=ahead)
    return {"rows": [{name: getattr(one, name) for name in Reminding.__slots__} for one in found]}


def set_reminder(uow: UnitOfWork, actor: Actor, *, at: str, text: str, customer: RecordId | None = None) -> dict[str, Any]:
    """Be reminded of something at a time, perhaps about a customer. Returns the reminder. Raises InvalidInput("reminder_passed")."""
    user = _user(actor)
    when = read_text(_REMINDER.fields["at"], at.strip()) if at.strip() else None
    values = _REMINDER.validate({"user_id": user, "at": when, "text": text, "customer_id": customer})
    if values["at"] <= moment(uow.store.clock):
        raise InvalidInput("reminder_passed", N_("This time has passed already. Choose a later one."), field="at")
    if customer is not None and not policy.visible(uow.connection, actor, _CUSTOMER, customer):
        raise no_such_record(_CUSTOMER)
    return record_json(_REMINDER, uow.get(_REMINDER, uow.insert(_REMINDER, values)))


def settle_reminders(uow: UnitOfWork, actor: Actor, *, keys: list[str]) -> dict[str, int]:
    """Be done with some reminders, on every node. Returns {"settled"}."""
    user = _user(actor)
    for key in _checked(keys):
        _mark(uow, user, key, None)
        kind, identity = key.split(":")[:2]
        own = uow.find(_REMINDER, identity) if kind == "own" else None
        if own is not None and own["user_id"] == user:  # it need not keep a customer from being deleted any more
            uow.set_deleted(_REMINDER, identity, deleted=True)
    return {"settled": len(set(keys))}


def put_off_reminders(uow: UnitOfWork, actor: Actor, *, keys: list[str], minutes: int) -> dict[str, int]:
    """Be reminded again after some minutes. Returns {"put_off"}."""
    user = _user(actor)
    wait = dt.timedelta(minutes=minutes) if 0 < minutes < 10**6 else dt.timedelta()
    if not dt.timedelta() < wait <= _LONGEST:
        raise InvalidInput("bad_wait", N_("A reminder can be put off by a minute to a year."), field="minutes")
    for key in _checked(keys):
        _mark(uow, user, key, moment(uow.store.clock) + wait)
    return {"put_off": len(set(keys))}


def _mark(uow: UnitOfWork, user: str, key: str, until: dt.datetime | None) -> None:
    values = {"user_id": user, "key": key, "until": until, "set_at": moment(uow.store.clock), "branch_id": uow.node.branch_id}
    uow.insert(_MARK, _MARK.validate(values))


def _user(actor: Actor) -> str:
    if actor.user_id is None:
        raise Refused("needs_user", N_("Reminders belong to a user. Sign in, or name one."))
    return actor.user_id


def _checked(keys: Sequence[str]) -> list[str]:
    for key in keys:
        if not _KEY.fullmatch(key):
            raise InvalidInput("bad_reminder", N_("“{key}” does not name a reminder."), key=key[:60], field="keys")
    return list(dict.fromkeys(keys))[: MOST * 5]


def morning(day: dt.date) -> dt.datetime:
    """When something that is due on a day is told."""
    return dt.datetime.combine(day, _MORNING).astimezone()


def before(ask: Ask, day: dt.date, numbers: Sequence[int]) -> tuple[dt.datetime, str] | None:
    """When something that ends on a day is told, of several numbers of days before it, and what tells that occasion from the others; None: not yet.

    What has come last counts, and what is to come only where nothing has. The first of them has no mark of its own, as where there is but one.
    """
    told = [(morning(day - dt.timedelta(days=number)), number) for number in sorted(numbers, reverse=True)]
    come = [one for one in told if one[0] <= ask.now]
    due, number = come[-1] if come else told[0]
    return None if due > ask.until else (due, "" if number == max(numbers) else f"-{number}")


def _ms(at: dt.datetime) -> int:
    return round(at.timestamp() * 1000)


def _from_ms(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, tz=dt.UTC)


VERBS = (
    Verb(list_reminders, N_("What I am reminded of")),
    Verb(set_reminder, N_("Set a reminder")),
    Verb(settle_reminders, N_("Done with reminders")),
    Verb(put_off_reminders, N_("Put reminders off")),
)
