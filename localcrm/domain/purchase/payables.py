"""What we owe suppliers: bills and payments are only ever added, a wrong one is reversed; balance, overdue sum and statement follow from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.conditions import Asking, Preset, Question, mine_by
from localcrm.domain.crm.alike import Reader, seen_customers
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finance.services import accounts_here, check_moves_money
from localcrm.domain.in_use import check_in_use
from localcrm.domain.ledgers import add_opposite
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.purchase.entities import EntryKind, Supplier, SupplierEntry
from localcrm.domain.records import Behaviour
from localcrm.domain.typed import read_text
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entity
from localcrm.store import marks
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, record_json, records_by_id, select, titles
from localcrm.store.tree import Figure, Node, Term
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import View

SUPPLIER, ENTRY = Supplier.entity_type, SupplierEntry.entity_type
_CUSTOMER = Customer.entity_type
_OWED, _DATE = ENTRY.fields["owed"], ENTRY.fields["date"]
_NOTHING = Decimal("0.00")
#: What adds to what we owe; everything else takes off it.
OWING = frozenset({EntryKind.OPENING, EntryKind.BILL})
#: What a balance is made of: whoever may not see one of these learns nothing of it.
_NEEDS = ("supplier_id", "date", "kind", "amount", "owed", "due_on")
#: Entries of a statement that are told one by one, the newest.
MOST = 200
_MOST_ALIKE = 20
#: An entry that counts: not reversed, and no reversal.
_STANDS = "e.reverses_id IS NULL AND NOT EXISTS (SELECT 1 FROM supplier_entry r WHERE r.reverses_id = e.id AND r.deleted = 0)"


# entering ----------------------------------------------------------------------------------------------------------------


def prepare_entry(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """An entry is of today; a bill falls due after the supplier's days of credit, a payment comes from the branch's account where it has but one."""
    kind = values.get("kind") or EntryKind.BILL
    day = ENTRY.fields["date"].load(str(values["date"])) if values.get("date") else uow.today
    filled = {**values, "kind": kind, "date": day, "branch_id": uow.node.branch_id}
    if kind in OWING:
        filled |= {"method": None, "account_id": None, "due_on": values.get("due_on") or day + _credit(uow, values.get("supplier_id"))}
    else:
        filled["due_on"] = None
        if kind == EntryKind.PAYMENT and "account_id" not in values and len(own := accounts_here(uow, actor)) == 1:
            filled["account_id"] = own[0]["id"]
    return {**filled, "owed": adds(kind, ENTRY.validate(filled)["amount"]), "number": next_number(uow, ENTRY, day)}


def _credit(uow: UnitOfWork, supplier_id: Any) -> dt.timedelta:
    supplier = uow.find(SUPPLIER, supplier_id) if isinstance(supplier_id, str) else None
    return dt.timedelta(days=(supplier["payment_days"] if supplier else None) or 0)


def adds(kind: str, amount: Decimal) -> Decimal:
    """What an entry adds to what we owe."""
    return amount if kind in OWING else -amount


def check_entry(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """It is over something, and one invoice of a supplier is entered once."""
    if new["kind"] == EntryKind.SET_OFF:
        raise InvalidInput(
            "set_off_at_supplier", N_("What is set off is entered on the supplier's page, on both sides at once."), field="kind"
        )
    if new["amount"] == 0:
        raise InvalidInput("no_amount", N_("The amount must not be zero."), field="amount")
    check_moves_money(new["method"])
    check_in_use(uow, actor, ENTRY, new, old, "account_id")
    if new["kind"] == EntryKind.BILL and new["invoice_no"]:
        same = uow.where(ENTRY, supplier_id=new["supplier_id"], invoice_no=new["invoice_no"], kind=EntryKind.BILL)
        standing = {one["id"] for one in same} - {one["reverses_id"] for one in same}
        if found := next((one for one in same if one["id"] in standing and one["reverses_id"] is None), None):
            raise InvalidInput(
                "invoice_there_already",
                N_("Invoice {invoice} of this supplier was entered already ({number})."),
                invoice=new["invoice_no"],
                number=found["number"],
                field="invoice_no",
            )


def reverse_entry(uow: UnitOfWork, actor: Actor, *, entry_id: RecordId, remark: str | None = None) -> dict[str, Any]:
    """Reverse an entry of a supplier's account by another one of today; returns that."""
    entry = uow.get(ENTRY, entry_id)
    if entry["kind"] == EntryKind.SET_OFF:
        raise Refused("set_off_both_sides", N_("What was set off is taken back on both sides at once: “Take back what was set off”."))
    return record_json(ENTRY, policy.shown(actor, ENTRY, uow.get(ENTRY, insert_reversal(uow, actor, entry, remark))))


def insert_reversal(uow: UnitOfWork, actor: Actor, entry: Record, remark: str | None) -> str:
    """Add the opposite of an entry; returns its id."""
    return add_opposite(uow, actor, ENTRY, entry, "amount", "owed", remark=remark)


# what follows from it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owed:
    """What we owe a supplier, and how much of it is overdue; a balance below nothing is in our favour."""

    balance: Decimal = _NOTHING
    overdue: Decimal = _NOTHING


def sees_account(actor: Actor) -> View | None:
    """What the actor sees of suppliers' accounts; None where he may not see what a balance is made of."""
    seen = policy.seen(actor, ENTRY)
    return seen if seen is not None and all(map(seen.shows, _NEEDS)) else None


def owed(connection: Connection, actor: Actor, ids: Sequence[str], today: dt.date) -> dict[str, Owed]:
    """Balances of some suppliers by id; of none where the actor may not see what they are made of.

    What was paid settles what fell due first: overdue is what is left of the balance without the bills that are not due yet.
    """
    seen = sees_account(actor)
    if seen is None:
        return {}
    keys = [bytes.fromhex(one) for one in ids]
    marked = ",".join("?" * len(keys))
    condition, params = seen.condition("e")
    source, given = f"SELECT supplier_id, total FROM supplier_owed WHERE supplier_id IN ({marked})", keys
    if seen.rows is not None:
        source = f"SELECT supplier_id, sum(owed) FROM supplier_entry e WHERE supplier_id IN ({marked}) AND deleted = 0 AND {condition} GROUP BY 1"
        given = [*keys, *params]
    balances = {key.hex(): _OWED.load(total) for key, total in connection.all(source, given)}
    later = f"""SELECT supplier_id, sum(owed) FROM supplier_entry e WHERE supplier_id IN ({marked}) AND deleted = 0 AND +due_on >= ? AND {condition}
        GROUP BY 1"""
    not_due = {key.hex(): _OWED.load(total) for key, total in connection.all(later, [*keys, today.isoformat(), *params])}
    found = {one: balances.get(one, _NOTHING) for one in ids}
    return {one: Owed(balance, max(_NOTHING, balance - max(_NOTHING, not_due.get(one, _NOTHING)))) for one, balance in found.items()}


def derive_supplier(connection: Connection, actor: Actor, records: list[Record]) -> list[dict[str, Any]]:
    """Beside suppliers in a list: what we owe, and how much of it is overdue."""
    found = owed(connection, actor, [record["id"] for record in records], connection.today)
    return [
        {"owed": _OWED.to_json(one.balance), "overdue": _OWED.to_json(one.overdue)} if (one := found.get(record["id"])) else {}
        for record in records
    ]


def statement(
    uow: UnitOfWork, actor: Actor, *, supplier_id: RecordId, since: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """The account of a supplier over some days, both included; see ``account``."""
    first, last = (_DATE.load(str(read_text(_DATE, day))) if day else None for day in (since, until))
    return account(uow.connection, actor, supplier_id, first, last)


def account(
    connection: Connection, actor: Actor, supplier_id: str, first: dt.date | None = None, last: dt.date | None = None
) -> dict[str, Any]:
    """The account of a supplier the actor sees over some days, both included: opening + billed − paid = closing.

    Returns {"opening", "billed", "paid", "closing", "rows", "more", "branches"}. rows, the newest first and at most MOST ("more": whether
    there are others): fields of the entry and {"balance" after it, "reversed", "twice": another branch entered the same invoice,
    "branch"}. branches: [{"branch", "billed", "paid", "owed"}] of those days.
    """
    seen = sees_account(actor)
    if seen is None:
        return {**dict.fromkeys(("opening", "billed", "paid", "closing"), _NOTHING), "rows": [], "more": False, "branches": []}
    sums, branches = _sums(connection, seen, supplier_id, first, last)
    bounds = [("supplier_id", "=", supplier_id), ("date", ">=", first), ("date", "<=", last)]
    where = tuple(Condition(key, op, value) for key, op, value in bounds if value is not None)  # type: ignore[arg-type]
    found = select(connection, ListQuery(ENTRY, where=where, sort="-date", limit=MOST + 1, restrict=seen), count=False).rows
    reversals, doubled = _reversals(connection, supplier_id), _doubled(connection, supplier_id)
    names = titles(connection, entity("branch"), [one for one in {*branches, *(row.get("branch_id") for row in found)} if one])
    rows, balance = [], sums["closing"]
    for record in found[:MOST]:
        gone = record["id"] in reversals
        twice = record.get("invoice_no") in doubled and record["kind"] == EntryKind.BILL and not gone and not record.get("reverses_id")
        told = {"balance": balance, "reversed": gone, "twice": twice, "branch": names.get(record.get("branch_id") or "", "")}
        rows.append({**record, **told})
        balance -= record["owed"]
    by_branch = sorted(({"branch": names.get(one or "", ""), **of} for one, of in branches.items()), key=lambda of: str(of["branch"]))
    return {**sums, "rows": rows, "more": len(found) > MOST, "branches": by_branch}


def _sums(
    connection: Connection, seen: View, supplier_id: str, first: dt.date | None, last: dt.date | None
) -> tuple[dict[str, Decimal], dict[str | None, dict[str, Decimal]]]:
    """Opening, billed, paid and closing over some days; billed, paid and owed of them by branch."""
    condition, params = seen.condition("e")
    rows = connection.all(
        f"""SELECT coalesce(e.date, '') < ?, e.kind, e.branch_id, sum(e.owed) FROM supplier_entry e
            WHERE e.supplier_id = ? AND e.deleted = 0 AND coalesce(e.date, '') <= ? AND {condition} GROUP BY 1, 2, 3""",
        [first.isoformat() if first else "", bytes.fromhex(supplier_id), last.isoformat() if last else "9999", *params],
    )
    sums = dict.fromkeys(("opening", "billed", "paid", "closing"), _NOTHING)
    branches: dict[str | None, dict[str, Decimal]] = {}
    for earlier, kind, branch, total in rows:
        amount = _OWED.load(total)
        sums["closing"] += amount
        if earlier or kind == EntryKind.OPENING:
            sums["opening"] += amount
            continue
        part, value = ("billed", amount) if kind in OWING else ("paid", -amount)
        of = branches.setdefault(branch.hex() if branch else None, dict.fromkeys(("billed", "paid", "owed"), _NOTHING))
        sums[part] += value
        of[part] += value
        of["owed"] += amount
    return sums, branches


def _reversals(connection: Connection, supplier_id: str) -> set[str]:
    """Entries that were reversed."""
    sql = "SELECT reverses_id FROM supplier_entry WHERE supplier_id = ? AND deleted = 0 AND +reverses_id IS NOT NULL"
    return {row[0].hex() for row in connection.all(sql, (bytes.fromhex(supplier_id),))}


def _doubled(connection: Connection, supplier_id: str) -> set[str]:
    """Invoices that stand twice, as two places entered one apart."""
    sql = f"""SELECT e.invoice_no FROM supplier_entry e WHERE e.supplier_id = ? AND e.deleted = 0 AND +e.kind = ? AND +e.invoice_no IS NOT NULL
        AND {_STANDS} GROUP BY 1 HAVING count(*) > 1"""
    return {row[0] for row in connection.all(sql, (bytes.fromhex(supplier_id), EntryKind.BILL.value))}


# the same company as customer --------------------------------------------------------------------------------------------------


def alike_customers(uow: UnitOfWork, actor: Actor, *, supplier_id: RecordId) -> dict[str, Any]:
    """Customers the actor sees that look like a supplier, by name, phone or tax number: {"rows": [{"id", "number", "name", "reasons"}]}."""
    return {"rows": alike(uow.connection, actor, supplier_id)}


def alike(connection: Connection, actor: Actor, supplier_id: str) -> list[dict[str, Any]]:
    """The same, most reasons first."""
    supplier, reader = policy.shown(actor, SUPPLIER, records_by_id(connection, SUPPLIER, [supplier_id])[0]), Reader(actor)
    values = {key: str(supplier.get(key) or "") for key in ("name", "phone", "tax_no")}
    reasons: dict[str, set[str]] = {}
    for field, mark, plain in marks.marks_of(marks.marked(_CUSTOMER), values):
        for known in marks.known_by(connection, mark, plain, limit=_MOST_ALIKE):
            if reader.reads(mark, known.by):
                reasons.setdefault(known.id, set()).add(field.key)
    seen = seen_customers(connection, actor, reasons)
    told = [{**{key: one.get(key) for key in ("id", "number", "name")}, "reasons": sorted(reasons[key])} for key, one in seen.items()]
    return sorted(told, key=lambda one: (-len(one["reasons"]), one["id"]))


def suppliers_of(connection: Connection, actor: Actor, customer_id: str) -> list[tuple[Record, Owed | None]]:
    """Suppliers the actor sees that are a customer too, each with what we owe it; None where he may not see that."""
    seen = policy.seen(actor, SUPPLIER)
    if seen is None or not all(map(seen.shows, ("customer_id", "name"))):
        return []
    found = select(
        connection, ListQuery(SUPPLIER, where=(Condition("customer_id", "=", customer_id),), limit=5, restrict=seen), count=False
    ).rows
    balances = owed(connection, actor, [one["id"] for one in found], connection.today) if found else {}
    return [(one, balances.get(one["id"])) for one in found]


# what lists of suppliers can be asked ---------------------------------------------------------------------------------------------


def _owing(_asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Figure((Term(ENTRY, "supplier_id", "owed"),), ">", 0)


def _overdue(asking: Asking, _given: Mapping[str, Any]) -> Node:
    later = Term(ENTRY, "supplier_id", "owed", Condition("due_on", ">=", asking.today.isoformat()), times=-1)
    return Figure((Term(ENTRY, "supplier_id", "owed"), later), ">", 0)


def _in_credit(_asking: Asking, _given: Mapping[str, Any]) -> Node:
    return Figure((Term(ENTRY, "supplier_id", "owed"),), "<", 0)


QUESTIONS = (
    mine_by("buyer_id"),
    Question("owing", N_("We owe the supplier something"), _owing),
    Question("overdue", N_("We owe the supplier something that is overdue"), _overdue),
    Question("in_credit", N_("The supplier owes us something"), _in_credit),
)
PRESETS = (
    Preset("owing", N_("We owe"), {"ask": "owing"}),
    Preset("overdue", N_("Overdue"), {"ask": "overdue"}),
    Preset("in_credit", N_("Prepaid"), {"ask": "in_credit"}),
)
BEHAVIOURS = {"supplier_entry": Behaviour(prepare=prepare_entry, check=check_entry, distinct=("invoice_no",))}
VERBS = (
    Verb(statement, N_("Show the account of a supplier"), "supplier.read", record="supplier_id"),
    Verb(alike_customers, N_("Find customers that look like a supplier"), "supplier.read", record="supplier_id"),
    Verb(reverse_entry, N_("Reverse an entry of a supplier's account"), "supplier_entry.create", record="entry_id"),
)
