"""What was said and done with customers: when it was entered, how long it can be corrected, and what colleagues say about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from localcrm.domain import policy, sets
from localcrm.domain.crm.checks import check_same_customer, checked_list, filled_from
from localcrm.domain.crm.entities import Activity, Comment
from localcrm.domain.options.company import company_number
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, record_json
from localcrm.store.uow import UnitOfWork

_ACTIVITY, _COMMENT = Activity.entity_type, Comment.entity_type
#: What is entered later than this after it happened is marked as entered later.
SOON = timedelta(hours=24)
#: Clocks of two computers may differ so much.
_CLOCKS = timedelta(hours=1)
_BEFORE_NAME = re.compile(r"[A-Za-z0-9._%+-]", re.ASCII)


def prepare_activity(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new record is of now and by the one who enters it, of the customer of the deal or contract it is about; that it was entered later than it happened is noted."""
    filled = dict(values)
    if isinstance(filled.get("participants"), str) and (old is None or filled["participants"] != old["participants"]):
        filled["participants"] = checked_list(uow, "user", filled["participants"]) or None
    if old is None:
        filled = filled_from(uow, actor, _ACTIVITY, filled, "contract_id", "customer_id", "opportunity_id")
        filled = filled_from(uow, actor, _ACTIVITY, filled, "opportunity_id", "customer_id")
        filled["written_at"] = moment(uow.store.clock)
        filled["at"] = filled.get("at") or filled["written_at"]
        if not filled.get("author"):
            filled["user_id"] = filled.get("user_id") or actor.user_id
    elif filled.get("at") is None:
        return filled
    written = filled.get("written_at") or (old and old["written_at"])
    if isinstance(filled["at"], datetime) and written:
        filled["late"] = _aware(filled["at"]) < written - SOON
    return filled


def bring_together(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """Colleagues who were named apart all stay."""
    sets.bring_together(uow, _ACTIVITY, ids)


def check_activity(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """What has happened is not of tomorrow, what is planned comes after it, and after some hours the record is locked."""
    if old is not None:
        require_open(uow, actor, old)
    if new is old:  # it is deleted
        return
    if not new["content"]:
        label = _ACTIVITY.fields["content"].label
        raise InvalidInput("required", N_("{label} is required."), label=label, field="content")
    links = ("customer_id", "opportunity_id", "contract_id")
    if old is None or any(old[key] != new[key] for key in links):
        check_same_customer(uow, _ACTIVITY, new, *links[1:])
    at, then = new["at"], new["next_at"]
    if at and (old is None or old["at"] != at) and at > moment(uow.store.clock) + _CLOCKS:
        raise InvalidInput(
            "activity_ahead", N_("This lies in the future. Write what is planned under “next contact”; nothing was saved."), field="at"
        )
    if then and (old is None or (old["at"], old["next_at"]) != (at, then)) and at and then <= at:
        raise InvalidInput(
            "next_before",
            N_("The next contact must be later than this one ({at})."),
            at=f"{at.astimezone():%Y-%m-%d %H:%M}",
            field="next_at",
        )
    author_changed = new["user_id"] != (actor.user_id if old is None else old["user_id"])
    if author_changed and new["user_id"] and not policy.may(actor, "activity.import"):
        raise InvalidInput("foreign_record", N_("Only those who may import activity records enter one in another's name."), field="user_id")


def require_open(uow: UnitOfWork, actor: Actor, record: Mapping[str, Any]) -> None:
    """Raise Refused once the time in which a record can be corrected is over, except for those who may change what is locked."""
    hours = company_number(uow.connection, uow.node, "activity_hours")
    written = record["written_at"] or record["at"]
    if hours and written and moment(uow.store.clock) > written + timedelta(hours=hours) and not policy.may(actor, "activity.amend"):
        raise Refused(
            "activity_locked",
            N_("This record was entered more than {hours} hours ago and is locked. Add a comment or a new record; nothing was changed."),
            hours=hours,
        )


def comment(uow: UnitOfWork, actor: Actor, *, activity: RecordId, text: str, mentions: list[RecordId] | None = None) -> dict[str, Any]:
    """Say something about an activity record; who is named in it ("@林晓") or in ``mentions`` is reminded of it. Returns the comment.

    Raises InvalidInput("ambiguous_mention"), Refused("mention_unseen") where somebody named may not see the record.
    """
    policy.require(actor, "comment.read")
    uow.get(_ACTIVITY, activity)
    named = [user for user in dict.fromkeys([*(mentions or ()), *_named(uow, text)]) if user != actor.user_id]
    for user in named:
        _require_sees(uow, user, activity)
    values = {
        "activity_id": activity,
        "user_id": actor.user_id,
        "at": moment(uow.store.clock),
        "text": text.strip() or None,
        "mentions": " ".join(named) or None,
        "branch_id": uow.node.branch_id,
    }
    return record_json(_COMMENT, uow.get(_COMMENT, uow.insert(_COMMENT, _COMMENT.validate(values))))


def _named(uow: UnitOfWork, text: str) -> list[str]:
    """Users whom a text names by "@" and name or login, the longest that fits; an e-mail address names nobody."""
    if "@" not in text and "\uff20" not in text:
        return []
    users = uow.connection.all('SELECT id, login, name FROM "user" WHERE deleted = 0 AND active = 1')
    known: dict[str, set[str]] = {}
    for identity, *names in users:
        for name in filter(None, names):
            known.setdefault(name.casefold(), set()).add(identity.hex())
    found: list[str] = []
    for sign in re.finditer("[@\uff20]", text):
        if sign.start() and _BEFORE_NAME.fullmatch(text[sign.start() - 1]):
            continue
        rest = text[sign.end() :].casefold()
        name = max((name for name in known if _begins_with(rest, name)), key=len, default=None)
        if name is None:
            continue
        if len(known[name]) > 1:
            raise InvalidInput(
                "ambiguous_mention", N_("Several users are called “{name}”. Write the login instead."), name=name, field="text"
            )
        found += known[name]
    return found


def _begins_with(text: str, name: str) -> bool:
    """Whether a text begins with a name, and not with a longer word: a name in Chinese may be followed by anything."""
    after = text[len(name) : len(name) + 1]
    return text.startswith(name) and not (name[-1].isascii() and after.isascii() and after.isalnum())


def _require_sees(uow: UnitOfWork, user: str, activity: str) -> None:
    other = actor_by_id(uow.store, user)
    if other is None or not policy.may(other, "comment.read") or not policy.visible(uow.connection, other, _ACTIVITY, activity):
        name = uow.connection.value('SELECT name FROM "user" WHERE id = ?', (bytes.fromhex(user),))
        raise Refused(
            "mention_unseen", N_("{name} may not see this record and cannot be named here. Share the customer first."), name=name or "?"
        )


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def derive_activities(connection: Connection, actor: Actor, records: list[Record]) -> list[dict[str, Any]]:
    """Of each: how many comments the actor sees of it; nothing where there is none."""
    seen = policy.seen(actor, _COMMENT)
    if seen is None or not records:
        return [{} for _record in records]
    condition, params = seen.condition("comment")
    ids = [bytes.fromhex(record["id"]) for record in records]
    rows = connection.all(
        f"""SELECT activity_id, count(*) FROM comment WHERE activity_id IN ({",".join("?" * len(ids))}) AND deleted = 0 AND {condition}
            GROUP BY activity_id""",
        [*ids, *params],
    )
    counts = {identity.hex(): count for identity, count in rows}
    return [{"comments": counts[record["id"]]} if record["id"] in counts else {} for record in records]


BEHAVIOURS = {"activity": Behaviour(prepare=prepare_activity, check=check_activity, derive=derive_activities)}
VERBS = (Verb(comment, N_("Comment on an activity record"), "activity.read", record="activity"),)
