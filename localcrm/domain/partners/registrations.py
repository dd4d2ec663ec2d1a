"""Companies that partners register: who is protected, for how long, and what two branches took down for two partners apart.

Nothing says of a registration that it is protected: that follows from the registrations as they stand. Of those that name one company by
name, telephone or tax number, the earliest that has not run out is protected, so every node names the same one as soon as it knows of both.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from localcrm.domain import policy
from localcrm.domain.areas import canonical
from localcrm.domain.crm.alike import find_alike, may_be_told
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.reminders import MOST, Ask, Reminding, morning
from localcrm.domain.options.company import company_number
from localcrm.domain.partners import territories
from localcrm.domain.partners.entities import Partner, PartnerRegistration, RegistrationState
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour, create_record, update_record
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entity as entity_type
from localcrm.store import marks
from localcrm.store.connection import Connection
from localcrm.store.ddl import ROW_BITS, doc_id
from localcrm.store.query import Record, load_record, record_columns, titles
from localcrm.store.uow import UnitOfWork

PARTNER, REGISTRATION, _CUSTOMER = Partner.entity_type, PartnerRegistration.entity_type, Customer.entity_type
#: How a registration stands, beside what was done about it.
PROTECTED, OUTRUN, EXPIRED = "protected", "outrun", "expired"
#: Registrations that share one mark and are looked at, and those told of at once.
_MOST_ALIKE, _MOST_TOLD = 200, 8
_DAY = REGISTRATION.fields["protected_until"]


# how they stand --------------------------------------------------------------------------------------------------------


def outrun(connection: Connection, ids: Sequence[str], day: dt.date) -> dict[str, str]:
    """Of these registrations those that still run but name a company that another partner had registered before: id → the earlier one."""
    if not ids:
        return {}
    rows = connection.all(
        f"""SELECT r.id, o.id FROM partner_registration r JOIN mark m ON m.doc = {doc_id(REGISTRATION, 0)} + r.rid
            JOIN mark n ON n.kind = m.kind AND n.value = m.value AND n.doc >> {ROW_BITS} = {REGISTRATION.no}
            JOIN partner_registration o ON o.id = n.of
            WHERE r.id IN ({",".join("?" * len(ids))}) AND r.deleted = 0 AND r.state = 'live' AND r.protected_until >= ?
            AND o.deleted = 0 AND o.state IN ('live', 'won') AND o.protected_until >= ? AND o.partner_id <> r.partner_id
            AND (o.since, o.id) < (r.since, r.id) ORDER BY o.since DESC, o.id DESC""",
        [*(bytes.fromhex(one) for one in ids), day.isoformat(), day.isoformat()],
    )
    return {one.hex(): other.hex() for one, other in rows}  # the earliest comes last


def standing(record: Mapping[str, Any], day: dt.date, *, first: bool) -> str:
    """How a registration stands; ``first``: no other partner had registered the company before."""
    if record["state"] != RegistrationState.LIVE:
        return str(record["state"])
    if record["protected_until"] is None or record["protected_until"] < day:
        return EXPIRED
    return PROTECTED if first else OUTRUN


def derive_registration(connection: Connection, actor: Actor, records: list[Record]) -> list[dict[str, Any]]:
    """Of each how it stands, where the actor may see what that follows from."""
    seen, day = policy.view(actor, REGISTRATION), connection.today
    if not all(map(seen.shows, ("state", "protected_until"))):
        return [{} for _record in records]
    before = outrun(connection, [record["id"] for record in records], day)
    return [{"standing": standing(record, day, first=record["id"] not in before)} for record in records]


# registering -----------------------------------------------------------------------------------------------------------


def register_customer(
    uow: UnitOfWork,
    actor: Actor,
    *,
    partner_id: RecordId,
    name: str,
    phone: str | None = None,
    tax_no: str | None = None,
    contact: str | None = None,
    area: str | None = None,
    remark: str | None = None,
    although: bool = False,
) -> dict[str, Any]:
    """Register a company for a partner. Returns {"id", "registrations", "customers", "territory", "braked"}; without id nothing was registered.

    registrations: those that run for the same company, which refuse it: {"partner", "name", "until", "owner", "branch", "reasons"}, of one beyond
    his rights {"masked": true} and no names of partner or company · customers: of ours that look like it, as ``crm.find_alike`` tells of
    them · territory: whose area it lies in, where that is not this partner's (see ``territories``). Both refuse it unless ``although``.
    """
    policy.require(actor, "partner_registration.create")
    policy.require_record(uow.connection, actor, PARTNER, partner_id, "read")
    partner = uow.get(PARTNER, partner_id)
    if partner["ends_on"] is not None and partner["ends_on"] < uow.today:
        raise Refused(
            "agreement_over", N_("The agreement with “{partner}” ended on {day}."), partner=partner["name"], day=partner["ends_on"]
        )
    typed: dict[str, str | None] = {"name": name, "phone": phone, "tax_no": tax_no}
    given = {**typed, "partner_id": partner_id, "contact": contact, "area": area and canonical(area), "remark": remark}
    policy.require_fields(actor, REGISTRATION, {key: value for key, value in given.items() if value}, dict.fromkeys(REGISTRATION.fields))
    values = REGISTRATION.validate({**given, **_begins(uow, company_number(uow.connection, uow.node, "registration_days"))})
    values |= {"owner_id": partner["owner_id"] or actor.user_id, "branch_id": uow.node.branch_id}
    found = _running(uow, typed)
    told, braked = _tell(uow, actor, found)
    alike = find_alike(uow, actor, values=typed)
    against = territories.conflicts(uow, actor, partner_id, area)
    result = {"id": None, "registrations": told, "customers": alike["rows"], "territory": against, "braked": braked or alike["braked"]}
    if found or ((alike["rows"] or alike["braked"] or against) and not although):
        return result
    return {**result, "id": uow.insert(REGISTRATION, values)}


def extend_registration(uow: UnitOfWork, actor: Actor, *, registration_id: RecordId, days: int | None = None) -> Record:
    """Let a registration run for so many days from today, as many as usual where none are named; one that had run out begins anew.

    Returns it. Raises Refused where another partner has registered the company meanwhile.
    """
    record = _live(uow, registration_id)
    usual = company_number(uow.connection, uow.node, "registration_days")
    days = usual if days is None else days
    if not 1 <= days <= 3650:
        raise InvalidInput("bad_days", N_("A registration runs for 1 to 3650 days."), field="days")
    begins = _begins(uow, days)
    if standing(record, uow.today, first=True) == EXPIRED:
        if any(other["id"] != registration_id for other in _running(uow, record)):
            raise Refused("registered_meanwhile", N_("“{name}” is registered for another partner now."), name=record["name"])
    else:
        _require_first(uow, record)
        begins = {"protected_until": max(begins["protected_until"], record["protected_until"])}
    uow.update(REGISTRATION, registration_id, begins)
    return policy.shown(actor, REGISTRATION, uow.get(REGISTRATION, registration_id))


def release_registration(uow: UnitOfWork, actor: Actor, *, registration_id: RecordId) -> Record:
    """The partner gives a company up: others may register it. Returns the registration."""
    _live(uow, registration_id)
    uow.update(REGISTRATION, registration_id, {"state": RegistrationState.RELEASED})
    return policy.shown(actor, REGISTRATION, uow.get(REGISTRATION, registration_id))


def turn_into_customer(uow: UnitOfWork, actor: Actor, *, registration_id: RecordId, customer_id: RecordId | None = None) -> dict[str, str]:
    """The company has become our customer through the partner: this one, or a new one made of the registration. Returns {"id": the customer's}."""
    policy.require_record(uow.connection, actor, REGISTRATION, registration_id, "update")
    record = _live(uow, registration_id)
    _require_first(uow, record)
    if customer_id is None:
        values = {key: record[key] for key in ("name", "phone", "tax_no", "area", "partner_id") if record[key]}
        if record["owner_id"]:
            values["owner_id"] = record["owner_id"]
        customer_id = str(create_record(uow, actor, entity=_CUSTOMER.key, values=values)["id"])
    else:
        policy.require_record(uow.connection, actor, _CUSTOMER, customer_id, "update")
        named = uow.get(_CUSTOMER, customer_id)["partner_id"]
        if named is not None and named != record["partner_id"]:
            raise Refused("partner_named", N_("This customer came through another partner. Nothing was changed."))
        if named is None:
            update_record(uow, actor, entity=_CUSTOMER.key, id=customer_id, values={"partner_id": record["partner_id"]})
    uow.update(REGISTRATION, registration_id, {"state": RegistrationState.WON, "customer_id": customer_id})
    return {"id": customer_id}


def _begins(uow: UnitOfWork, days: int) -> dict[str, Any]:
    return {"since": moment(uow.store.clock), "protected_until": uow.today + dt.timedelta(days=days)}


def _live(uow: UnitOfWork, identity: str) -> Record:
    record = uow.get(REGISTRATION, identity)
    if record["state"] != RegistrationState.LIVE:
        raise Refused("registration_closed", N_("The registration of “{name}” is closed already."), name=record["name"])
    return record


def _require_first(uow: UnitOfWork, record: Record) -> None:
    if record["id"] in outrun(uow.connection, [record["id"]], uow.today):
        raise Refused("outrun", N_("Another partner had registered “{name}” before; that one is protected."), name=record["name"])


def _running(uow: UnitOfWork, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Registrations that run and name the same company as these values, the earliest first; with "reasons", the fields that say so."""
    reasons: dict[str, set[str]] = defaultdict(set)
    typed = {key: str(values[key] or "")[:1000] for key in ("name", "phone", "tax_no")}
    for field, mark, plain in marks.marks_of(marks.marked(REGISTRATION), typed):
        for known in marks.known_by(uow.connection, mark, plain, limit=_MOST_ALIKE):
            if known.by == REGISTRATION.no:
                reasons[known.id].add(field.key)
    day = uow.today.isoformat()
    rows = _rows(uow.connection, reasons, "state IN ('live', 'won') AND protected_until >= ? ORDER BY since, id", day)
    return [{**row, "reasons": sorted(reasons[row["id"]])} for row in rows]


def _rows(connection: Connection, ids: Iterable[str], rest: str, *params: Any) -> list[Record]:
    keys = [bytes.fromhex(one) for one in ids]
    sql = f"SELECT {record_columns(REGISTRATION)} FROM partner_registration WHERE id IN ({','.join('?' * len(keys))}) AND deleted = 0 AND {rest}"
    return [load_record(REGISTRATION, row) for row in connection.all(sql, [*keys, *params])]


def registered_already(uow: UnitOfWork, actor: Actor, values: Mapping[str, str | None]) -> tuple[list[dict[str, Any]], bool]:
    """What somebody who enters such a company as a customer is told of partners who have it registered; whether there are others."""
    typed = {key: values.get(key) for key in ("name", "phone", "tax_no")}
    return _tell(uow, actor, [row for row in _running(uow, typed) if row["state"] == RegistrationState.LIVE])


def _tell(uow: UnitOfWork, actor: Actor, found: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """What an actor is told of registrations that run; of those beyond his rights only whom to ask, and of few of them within an hour."""
    first = found[:_MOST_TOLD]
    partners = {row["id"]: row["partner_id"] for row in first}
    open_ones = {row["id"] for row in first if policy.visible(uow.connection, actor, REGISTRATION, row["id"])}
    allowed, braked = may_be_told(uow, actor, [(row["id"], row["id"]) for row in first if row["id"] not in open_ones])
    names = {
        key: titles(uow.connection, entity_type(kind), [row[key] for row in first if row[key]])
        for key, kind in (("owner_id", "user"), ("branch_id", "branch"), ("partner_id", "partner"))
    }
    told = []
    for row in first:
        if row["id"] not in open_ones and row["id"] not in allowed:
            continue
        hit: dict[str, Any] = {
            "owner": names["owner_id"].get(row["owner_id"] or ""),
            "branch": names["branch_id"].get(row["branch_id"] or ""),
        }
        hit |= {"until": _DAY.to_json(row["protected_until"]), "reasons": row["reasons"]}
        if row["id"] in open_ones:
            shown = policy.shown(actor, REGISTRATION, row)
            partner = partners[row["id"]]
            known = policy.visible(uow.connection, actor, PARTNER, partner)
            hit |= {"id": row["id"], "name": shown.get("name"), "partner": names["partner_id"].get(partner, "") if known else ""}
        else:
            hit["masked"] = True
        told.append(hit)
    return told, braked


# reminders -------------------------------------------------------------------------------------------------------------


def remind(ask: Ask) -> Iterator[Reminding]:
    """Registrations of the user's own partners that run out within some days, and those that come after another partner's."""
    days = company_number(ask.connection, ask.node, "registration_ahead")
    seen = ask.view(REGISTRATION, "name", "protected_until", "since", "state", "owner_id", "partner_id")
    if seen is None:
        return
    condition, params = seen.condition("r")
    first, last = ask.now.astimezone().date(), ask.until.astimezone().date() + dt.timedelta(days=days)
    rows = ask.connection.all(
        f"""SELECT r.id, r.name, r.since, r.protected_until, p.name FROM partner_registration r INDEXED BY partner_registration__owner_id
            JOIN partner p ON p.id = r.partner_id
            WHERE r.deleted = 0 AND r.owner_id = ? AND r.state = 'live' AND r.protected_until >= ? AND {condition}
            ORDER BY r.protected_until LIMIT {MOST}""",
        [ask.user, first.isoformat(), *params],
    )
    partners = ask.view(PARTNER, "name")
    before = outrun(ask.connection, [row[0].hex() for row in rows], first)
    for identity, name, since, until_text, partner in rows:
        until, about = dt.date.fromisoformat(until_text), (REGISTRATION.key, identity.hex())
        text = partner if partners is not None else ""
        if identity.hex() in before:
            at = dt.datetime.fromtimestamp(since / 1000, tz=dt.UTC)
            yield Reminding(key=f"outrun:{identity.hex()}", kind="outrun", due=at, at=at, title=name, text=text, record=about)
        elif days and until <= last and (due := morning(until - dt.timedelta(days=days))) <= ask.until:
            key = f"registration:{identity.hex()}:{until_text}"
            yield Reminding(key=key, kind="registration", due=due, at=morning(until), title=name, text=text, record=about)


BEHAVIOURS = {"partner_registration": Behaviour(derive=derive_registration)}
VERBS = (
    Verb(register_customer, N_("Register a company for a partner")),
    Verb(extend_registration, N_("Extend a registration"), "partner_registration.update", record="registration_id"),
    Verb(release_registration, N_("Give a registration up"), "partner_registration.update", record="registration_id"),
    Verb(turn_into_customer, N_("Turn a registration into a customer")),
)
