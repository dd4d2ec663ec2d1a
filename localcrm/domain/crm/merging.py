"""Two customers that are one: merged with a choice per field, undone, and brought to one where it was done apart.

The one that goes lies in the recycle bin and says into which one it went (``merged_into_id``). Whatever may be written names the other one
from then on (``domain.naming``); what is never written again is found through that reference (``store.merged``). ADR 0038.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.admin.entities import Conflict, ConflictKind
from localcrm.domain.crm.alike import decisions
from localcrm.domain.crm.entities import Contact, Customer, CustomerDistinct
from localcrm.domain.naming import named_by_drafts, rename
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.attachments import read_attachments, write_attachments
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.likeness import plain_phones
from localcrm.kernel.schema import Field
from localcrm.store.changelog import history
from localcrm.store.connection import Connection
from localcrm.store.merged import ids_of, survivor
from localcrm.store.node import CATCHING_UP
from localcrm.store.query import Record, record_json, records_by_id, stored_value
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

CUSTOMER, CONTACT, CONFLICT = Customer.entity_type, Contact.entity_type, Conflict.entity_type
DISTINCT = CustomerDistinct.entity_type
#: What the kept customer is still found by.
ALIASES = ("former_numbers", "former_names")
KEPT, MERGED, BOTH = "kept", "merged", "both"


# what stays of which ---------------------------------------------------------------------------------------------------


def choices_for(actor: Actor) -> list[Field]:
    """Fields that a person may choose between when customers are merged; each keeps the number it has."""
    return [
        field
        for field in CUSTOMER.fields.values()
        if field.f.editable and field.is_used and not field.secret and field.key != "number" and policy.may_write(actor, CUSTOMER, field)
    ]


def can_join(field: Field) -> bool:
    """Whether a field can hold what both say."""
    return field.kind in {"longtext", "files", "choices"} or field.f.widget == "phone"


def usual_choice(field: Field, kept: Any, merged: Any) -> str:
    """What is chosen where nobody chooses: nothing is lost that one field can hold, else the kept customer's own."""
    if merged is None or merged == kept:
        return KEPT
    if kept is None:
        return MERGED
    return BOTH if can_join(field) and joined(field, kept, merged) != kept else KEPT


def joined(field: Field, kept: Any, merged: Any) -> Any:
    """What both say, the kept customer's first, nothing twice."""
    if kept is None or merged is None:
        return kept if merged is None else merged
    if field.kind == "files":
        return write_attachments([*read_attachments(kept), *read_attachments(merged)])
    if field.f.widget == "phone":
        known = plain_phones(kept)
        return kept if known and set(plain_phones(merged)) <= set(known) else f"{kept}; {merged}"
    if field.kind == "choices":
        return "\n".join(dict.fromkeys([*kept.split("\n"), *merged.split("\n")]))
    return kept if merged in kept else f"{kept}\n{merged}"


def chosen(field: Field, choice: str, kept: Any, merged: Any) -> Any:
    """The value that a choice stands for; raises InvalidInput for one that is none."""
    if choice == BOTH and can_join(field):
        return joined(field, kept, merged)
    if choice not in {KEPT, MERGED}:
        raise InvalidInput("bad_choice", N_("{label}: “{value}” is not one of the choices."), label=field.label, value=choice[:60])
    return kept if choice == KEPT else merged


# merging ---------------------------------------------------------------------------------------------------------------


def merge_customers(
    uow: UnitOfWork, actor: Actor, *, kept: RecordId, merged: RecordId, choices: dict[str, str] | None = None
) -> dict[str, Any]:
    """Make one customer of two: ``merged`` goes into the recycle bin, what named it names ``kept``.

    ``choices``: field → "kept", "merged" or "both" where the field can hold both; what is not chosen is as ``usual_choice`` says.
    Returns {"customer": the kept one, "moved": how many records name it now instead}.
    """
    if kept == merged:
        raise InvalidInput("same_customer", N_("These are not two customers but one."))
    for identity in (kept, merged):
        policy.require_record(uow.connection, actor, CUSTOMER, identity, "merge")
    policy.require_record(uow.connection, actor, CUSTOMER, kept, "update")
    policy.require_record(uow.connection, actor, CUSTOMER, merged, "delete")
    one, other = uow.get(CUSTOMER, kept), uow.get(CUSTOMER, merged)
    values = _values(actor, one, other, choices or {})
    _keep_one_main_contact(uow, kept, merged)
    moved = rename(uow, CUSTOMER, merged, kept)
    # The kept one last: an undo goes the other way, and what may not repeat must be free again before the other one has it back.
    given_up = {key: None for key in values if (custom := CUSTOMER.fields[key].custom) and custom.unique}
    uow.update(CUSTOMER, merged, {**given_up, "merged_into_id": kept})
    uow.set_deleted(CUSTOMER, merged, deleted=True)
    for decision in decisions(uow.connection, kept, merged):  # whoever merges them has found otherwise
        uow.set_deleted(DISTINCT, decision, deleted=True)
    if values:
        records.update_record(uow, actor, entity="customer", id=kept, values=values)
    write_aliases(uow, kept)
    return {"customer": record_json(CUSTOMER, policy.shown(actor, CUSTOMER, uow.get(CUSTOMER, kept))), "moved": moved}


def _values(actor: Actor, kept: Record, merged: Record, choices: Mapping[str, str]) -> dict[str, Any]:
    """What of the kept customer changes, typed."""
    fields = {field.key: field for field in choices_for(actor)}
    for key in choices.keys() - fields.keys():
        CUSTOMER.field(key)
        raise Refused("not_chosen", N_("{label} is not chosen when customers are merged."), label=CUSTOMER.fields[key].label, field=key)
    found = {}
    for key, field in fields.items():
        choice = choices.get(key) or usual_choice(field, kept[key], merged[key])
        value = chosen(field, choice, kept[key], merged[key])
        if value != kept[key]:
            found[key] = "" if value is None else value
    return found


def put_into(uow: UnitOfWork, actor: Actor, kept: str, values: Mapping[str, Any]) -> None:
    """Put what was changed of a customer that had been merged away, values in JSON form, into the one that is left, beside what it says
    where one field can hold both.
    """
    record, given = uow.get(CUSTOMER, kept), {}
    for field in choices_for(actor):
        if field.key in values:
            value = field.load(stored_value(field, values[field.key]))
            value = joined(field, record[field.key], value) if can_join(field) else value
            given[field.key] = "" if value is None else field.to_json(value)
    if given:
        records.update_record(uow, actor, entity=CUSTOMER.key, id=kept, values=given)


def _keep_one_main_contact(uow: UnitOfWork, kept: str, merged: str) -> None:
    """Two customers had a main contact each; one has one."""
    if uow.where(CONTACT, customer_id=kept, is_main=True):
        for contact in uow.where(CONTACT, customer_id=merged, is_main=True):
            uow.update(CONTACT, contact["id"], {"is_main": False})


def write_aliases(uow: UnitOfWork, kept: str) -> bool:
    """Let a customer be found by the numbers and names of all that were merged into it; returns whether that is something new."""
    if uow.find(CUSTOMER, kept, deleted=True) is None:  # somebody names one that nobody has
        return False
    ids = ids_of(uow.connection, CUSTOMER, kept)
    record, *others = sorted(records_by_id(uow.connection, CUSTOMER, ids), key=lambda one: (one["id"] != kept, one["id"]))
    numbers = dict.fromkeys(one["number"] for one in others if one["number"])
    names = dict.fromkeys(one["name"] for one in others if one["name"] != record["name"])
    return uow.update(CUSTOMER, kept, dict(zip(ALIASES, ("\n".join(numbers) or None, "\n".join(names) or None), strict=True)))


def take_apart(uow: UnitOfWork, actor: Actor, record: Record) -> None:  # noqa: ARG001
    """A merged customer that comes back from the recycle bin is one of its own again; what was moved meanwhile stays where it is."""
    into = record["merged_into_id"]
    if into is not None:
        uow.update(CUSTOMER, record["id"], {"merged_into_id": None})
        write_aliases(uow, into)


# what was done apart ---------------------------------------------------------------------------------------------------


def settle(uow: UnitOfWork, ids: Collection[str]) -> None:
    """At head office, after a merge of data: let everything name the one customer that is left of each of these.

    Two places may have merged the same two in opposite directions, or have gone on where another one merged: of customers that went into
    each other in a circle the one that was entered first stays, and people are told. The same everywhere, whoever comes first.
    """
    left: dict[str, None] = {}
    for identity in sorted(ids):
        record = uow.find(CUSTOMER, identity, deleted=True)
        if record is None or record["merged_into_id"] is None:
            continue
        if not record["deleted"]:
            left[_let_live(uow, record)] = None
            continue
        if circle := _circle(uow.connection, identity):
            _break(uow, circle)
        kept = survivor(uow.connection, CUSTOMER, identity)
        if uow.find(CUSTOMER, kept, deleted=True) is None:
            continue
        for one in ids_of(uow.connection, CUSTOMER, kept)[1:]:
            _keep_one_main_contact(uow, kept, one)
            rename(uow, CUSTOMER, one, kept)
            _tell_told_apart(uow, kept, one)
        # Whom another place merged it into as well is not found by its number any more.
        claims = [str(row.new) for row in history(uow.connection, CUSTOMER, identity) if row.field == "merged_into_id" and row.new]
        left.update(dict.fromkeys([kept, *claims]))
    for kept in left:
        write_aliases(uow, kept)


def _let_live(uow: UnitOfWork, record: Record) -> str:
    """One place merged a customer away while another took it out of the recycle bin later: it is one of its own, and people are told. Returns
    the customer that is left without it.
    """
    identity, into = record["id"], survivor(uow.connection, CUSTOMER, str(record["merged_into_id"]))
    told: dict[str, Any] = {
        "kind": ConflictKind.MERGED,
        "entity": CUSTOMER.key,
        "record": identity,
        "field": "merged_into_id",
        "lost": into,
    }
    back = next((row for row in history(uow.connection, CUSTOMER, identity) if row.field == "deleted" and not row.new), None)
    told |= {**_author("kept", (back.user_id, back.at, back.node) if back else None), **_author("lost", _merges(uow, identity))}
    uow.update(CUSTOMER, identity, {"merged_into_id": None})
    uow.insert(CONFLICT, CONFLICT.validate(told))
    return into


def _tell_told_apart(uow: UnitOfWork, kept: str, merged: str) -> None:
    """One place merged two while another one found that they are two: the merge stands, and people are told of it once."""
    found = [uow.get(DISTINCT, one) for one in decisions(uow.connection, kept, merged)]
    if not found or any(
        one["kept"] == kept and one["lost"] is None for one in uow.where(CONFLICT, record=merged, kind=ConflictKind.MERGED)
    ):
        return
    told: dict[str, Any] = {"kind": ConflictKind.MERGED, "entity": CUSTOMER.key, "record": merged, "field": "merged_into_id"}
    told |= {"kept": kept, "base": found[0]["note"], **_author("kept", _merges(uow, merged))}
    row = next(iter(history(uow.connection, DISTINCT, found[0]["id"])), None)
    uow.insert(CONFLICT, CONFLICT.validate(told | _author("lost", (row.user_id, row.at, row.node) if row else None)))


def _circle(connection: Connection, identity: str) -> list[str]:
    """Customers that were merged into each other in a circle, as seen from one that was merged into one of them; none for a chain that ends."""
    seen: list[str] = []
    one: str | None = identity
    while one is not None and one not in seen:
        seen.append(one)
        into = connection.value("SELECT merged_into_id FROM customer WHERE id = ?", (bytes.fromhex(one),))
        one = into.hex() if into else None
    return seen[seen.index(one) :] if one is not None else []


def _break(uow: UnitOfWork, circle: list[str]) -> None:
    """The one entered first stays; the last merge that took it away is told of."""
    kept = min(circle)
    into = str(uow.get(CUSTOMER, kept, deleted=True)["merged_into_id"])
    away = _merges(uow, kept)
    uow.update(CUSTOMER, kept, {"merged_into_id": None})
    uow.set_deleted(CUSTOMER, kept, deleted=False)
    told: dict[str, Any] = {"kind": ConflictKind.MERGED, "entity": CUSTOMER.key, "record": kept, "other": into, "field": "merged_into_id"}
    told |= {"lost": into, **_author("kept", _merges(uow, into)), **_author("lost", away)}
    uow.insert(CONFLICT, CONFLICT.validate(told))


def _merges(uow: UnitOfWork, identity: str) -> tuple[str | None, Any, str] | None:
    """Who merged a customer away last, when, where."""
    row = next((row for row in history(uow.connection, CUSTOMER, identity) if row.field == "merged_into_id" and row.new), None)
    return (row.user_id, row.at, row.node) if row else None


def _author(side: str, made: tuple[str | None, Any, str] | None) -> dict[str, Any]:
    return {f"{side}_by": made[0], f"{side}_at": made[1], f"{side}_node": made[2]} if made else {}


def follow_drafts(store: Store) -> None:
    """At a branch, after an exchange: its own drafts, which nobody else writes, name the customers that are left after merges elsewhere."""
    if store.meta(CATCHING_UP):  # a restored branch may have posted them since its backup
        return
    with store.read() as connection:
        if not named_by_drafts(connection, store.node, CUSTOMER):
            return
    with store.unit_of_work(None) as uow:
        for merged in sorted(named_by_drafts(uow.connection, uow.node, CUSTOMER)):
            rename(uow, CUSTOMER, merged, survivor(uow.connection, CUSTOMER, merged))


VERBS = (Verb(merge_customers, N_("Merge two customers")),)
