"""Columns of lists: those of the declaration, and what is derived beside them. One place says both to the grid and to the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcrm.domain.crm.reclaim import Due, dues_told
from localcrm.domain.policy import Actor
from localcrm.domain.records import BEHAVIOURS
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.sales.goods import Goods
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, Field, plain_decimal
from localcrm.store.connection import Connection
from localcrm.store.query import Record
from localcrm.store.view import View
from localcrm.ui.kit.links import Piece, leads, pieces
from localcrm.ui.kit.values import NUMBERS, TONES, exact, show, show_kind, tags_of, tone


@dataclass(frozen=True, slots=True)
class Derived:
    """A column that no field stores. ``kind`` as for fields, "chip" with the labels of its values, "named" for a long name, or "clock", which comes as text and colour."""

    key: str
    label_msgid: str
    kind: str = "text"
    words: Mapping[str, str] | None = None
    after: str = ""  # the column it stands behind
    folded: bool = False  # one of those that are one click away


#: What a state derived from movements and receipts is called.
ORDER_STATES = {"draft": N_("Draft"), "posted": N_("Posted"), "reversed": N_("Reversed"), "reversal": N_("Reversal")}
DELIVERY = {"none": N_("Not delivered"), "part": N_("Partly delivered"), "all": N_("Delivered in full")}
REGISTERED = {
    "protected": N_("Protected"),
    "outrun": N_("Another partner was first"),
    "expired": N_("Run out"),
    "released": N_("Given up"),
    "won": N_("Became our customer"),
}
APPROVAL = {"needed": N_("Needs an approval"), "waiting": N_("Waits for approval"), "approved": N_("Approved"), "rejected": N_("Rejected")}
PAYMENT = {"none": N_("Not paid"), "part": N_("Partly paid"), "all": N_("Paid in full"), "more": N_("Paid more than its total")}

DERIVED: Mapping[str, tuple[Derived, ...]] = {
    "ticket": (Derived("left", N_("Time left"), "clock", after="state"),),
    "activity": (Derived("comments", N_("Comments"), "integer", after="result"),),
    "supplier": (Derived("owed", N_("We owe"), "money", after="rating"), Derived("overdue", N_("Overdue"), "money", after="owed")),
    "product": (Derived("on_hand", N_("On hand"), "quantity", after="unit"),),
    "sales_order": (
        Derived("state", N_("State"), "chip", ORDER_STATES, after="customer_id"),
        Derived("goods", N_("Goods"), after="state", folded=True),
        Derived("delivered", N_("Delivered"), "chip", DELIVERY, after="gross"),
        Derived("paid", N_("Paid"), "chip", PAYMENT, after="delivered"),
        Derived("open", N_("Unpaid"), "money", after="paid"),
    ),
    "expense": (
        Derived("approval", N_("Approval"), "chip", APPROVAL, after="amount"),
        Derived("decided", N_("Decided by"), after="user_id", folded=True),
    ),
    "contract": (
        Derived("ordered", N_("Ordered"), "money", after="amount", folded=True),
        Derived("received", N_("Received"), "money", after="ordered", folded=True),
        Derived("unreceived", N_("Still to come in"), "money", after="received"),
        Derived("ordered_percent", N_("Ordered, %"), "integer", after="unreceived"),
        Derived("received_percent", N_("Received, %"), "integer", after="ordered_percent"),
    ),
    "partner": (
        Derived("target", N_("Target"), "money", after="level"),
        Derived("reached_percent", N_("Reached, %"), "integer", after="target"),
    ),
    "partner_registration": (Derived("standing", N_("State"), "chip", REGISTERED, after="partner_id"),),
    "call": (Derived("party", N_("Customer or supplier"), "named", after="number"),),
    "customer": (
        Derived("contact", N_("Contact"), "short", after="level"),
        Derived("next_contact", N_("Next contact"), "due", after="phone"),
        Derived("unpaid", N_("Unpaid"), "money", after="next_contact"),
        Derived("latest", N_("Latest"), "muted", after="owner_id"),
        Derived("reclaimed_in", N_("Reclaimed in"), "clock", after="latest", folded=True),
    ),
}


#: Default columns that make room for derived ones; they are one click away.
FOLDED: Mapping[str, frozenset[str]] = {
    "customer": frozenset({"address", "credit_limit", "branch_id", "number"}),
    "sales_order": frozenset({"status", "net", "tax"}),
}


def _glances(connection: Connection, actor: Actor, records: Sequence[Record]) -> list[dict[str, Any]]:
    from localcrm.domain.crm.entities import ActivityType

    ids = [record["id"] for record in records]
    found = customer_glances(connection, actor, ids)
    dues = dues_told(connection, actor, now_utc(), ids)
    rows = []
    for record in records:
        glance = found[record["id"]]
        way = gettext(ActivityType(glance.last_type).label) if glance.last_type else ""
        latest = " ".join(part for part in (show_kind("datetime", glance.last_at), way, (glance.last_content or "").split("\n")[0]) if part)
        row = {"contact": glance.contact, "next_contact": glance.next_contact, "unpaid": glance.unpaid, "latest": latest or None}
        rows.append(row | ({} if dues is None else {"reclaimed_in": _countdown(dues.get(record["id"]))}))
    return rows


def _countdown(due: Due | None) -> tuple[str, str]:
    """In how many days a customer goes to a pool; nothing where no rule takes it."""
    if due is None:
        return "", ""
    text = gettext(N_("{days} days")).format(days=due.days) if due.days > 0 else gettext(N_("due now"))
    return text, "bad" if due.days <= 0 else "warn" if due.is_near else ""


def _clocks(connection: Connection, actor: Actor, records: Sequence[Record]) -> list[dict[str, Any]]:
    from localcrm.domain.service.desk import clocks_seen
    from localcrm.ui.service.words import glance

    found = clocks_seen(connection, actor, records)
    return [{"left": glance(found.get(record["id"]), str(record.get("state")))} for record in records]


def _orders(connection: Connection, actor: Actor, records: Sequence[Record]) -> list[dict[str, Any]]:
    from localcrm.domain.sales.goods import goods_of
    from localcrm.domain.sales.services import derive_order

    found = goods_of(connection, actor, [record["id"] for record in records])
    told = {order: goods_text(goods) for order, goods in found.items()}
    return [
        {**more, "goods": gettext(N_("Opening balance")) if record.get("opening") else told.get(record["id"])}
        for record, more in zip(records, derive_order(connection, actor, list(records)), strict=True)
    ]


def goods_text(goods: Goods) -> str:
    """Products, quantities, prices and discounts of an order in one line."""
    parts = []
    for one in goods.first:
        quantity = f"{show_kind('quantity', one.quantity)} {one.unit}".strip()
        price = f" × {show_kind('price', one.price)}" if one.price is not None else ""
        discount = f" · {plain_decimal(one.discount * 100)}%" if one.discount not in (None, 1) else ""
        parts.append(f"{one.product} {quantity}{price}{discount}")
    if goods.more:
        parts.append(gettext(N_("and {count} more")).format(count=goods.more))
    return gettext(N_(", ")).join(parts)


DERIVE: Mapping[str, Callable[[Connection, Actor, list[Record]], list[dict[str, Any]]]] = {
    "customer": _glances,
    "ticket": _clocks,
    "sales_order": _orders,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the grid sees it."""

    key: str
    label: str
    kind: str
    number: bool
    sortable: bool
    shown: bool
    filter: str = ""  # text, number, date; "" for none
    chip: bool = False
    words: tuple[str, ...] = ()  # every text of a chip
    ref: str = ""  # the kind of record it points to
    links: bool = False


def columns(view: View) -> list[Column]:
    """Columns of a list in their order, as far as they may be seen: the default ones shown, the others to be chosen."""
    entity = view.entity
    readable = [field for field in entity.readable if field.key not in view.hidden]
    chosen = [field for field in entity.columns if field in readable and field.key not in FOLDED.get(entity.key, ())]
    others = [field for field in readable if field not in chosen and field.is_used and field.kind != "longtext"]
    result = [_column(field, view, shown=True) for field in chosen]
    for derived in DERIVED.get(entity.key, ()):
        place = next((n + 1 for n, column in enumerate(result) if column.key == derived.after), len(result))
        number = derived.kind in NUMBERS
        result.insert(
            place,
            Column(
                derived.key,
                gettext(derived.label_msgid),
                derived.kind,
                number,
                sortable=False,
                shown=not derived.folded,
                chip=derived.kind == "chip",
                words=tuple(gettext(word) for word in (derived.words or {}).values()),
            ),
        )
    return result + [_column(field, view, shown=False) for field in others]


def _column(field: Field, view: View, *, shown: bool) -> Column:
    number = field.kind in NUMBERS
    filters = {"text": "text", "longtext": "text", "choice": "text", "choices": "text", "date": "date"}
    kind = "number" if number else filters.get(field.kind, "")
    plain = view.shows(field.key)
    return Column(
        field.key,
        field.label,
        field.kind,
        number,
        sortable=plain and field.kind not in {"ref", "files"},
        shown=shown,
        filter=kind if plain else "",
        chip=plain and (bool(field.options) or field.f.widget == "tags"),
        words=tuple(gettext(word) for word in field.options.values()),
        ref=field.f.ref or "",
        links=plain and leads(field),
    )


def row_json(
    connection: Connection, actor: Actor, entity: EntityType, records: Sequence[Record], titles: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Rows as a list shows them: texts by column, ``_tip`` exact values behind short ones, ``_tone`` colours of chips, ``_links`` pieces to click,
    ``_tags`` with the hue of each.
    """
    derive = DERIVE.get(entity.key) or getattr(BEHAVIOURS.get(entity.key), "derive", None)
    extra: list[dict[str, Any]] = derive(connection, actor, list(records)) if derive else [{} for _record in records]
    return [_row(entity, record, more, titles) for record, more in zip(records, extra, strict=True)]


def _row(entity: EntityType, record: Record, extra: Mapping[str, Any], titles: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    row: dict[str, Any] = {"id": record["id"], "version": record["version"], "deleted": record["deleted"]}
    tips: dict[str, str] = {}
    tones: dict[str, str] = {}
    links: dict[str, list[Piece]] = {}
    tags: dict[str, list[tuple[str, int]]] = {}
    for field in entity.readable:
        if field.key not in record:
            continue
        value = record[field.key]
        row[field.key] = show(field, value, titles.get(field.key))
        if tip := exact(value):
            tips[field.key] = tip
        if colour := tone(field, value):
            tones[field.key] = colour
        if found := pieces(field, value):
            links[field.key] = found
        if held := tags_of(field, value):
            tags[field.key] = held
    for derived in DERIVED.get(entity.key, ()):
        if derived.key not in extra:
            continue
        value = extra[derived.key]
        if derived.kind == "chip":
            row[derived.key] = gettext((derived.words or {}).get(str(value), str(value or "")))
            tones[derived.key] = TONES.get(str(value), "plain")
        elif derived.kind == "due":
            row[derived.key], tones[derived.key] = _due(value)
        elif derived.kind == "clock":
            row[derived.key], tones[derived.key] = value  # as text and colour
            continue
        else:
            row[derived.key] = show_kind(derived.kind, value)
        if tip := exact(value):
            tips[derived.key] = tip
    row["_title"] = show(entity.fields[entity.title_field], record[entity.title_field], titles.get(entity.title_field)) or ""
    return {**row, "_tip": tips, "_tone": tones, "_links": links, "_tags": tags}


def _due(value: Any) -> tuple[str | None, str]:
    """A planned moment, and whether it has passed."""
    from localcrm.kernel.clock import now_utc
    from localcrm.kernel.i18n import gettext as _

    if value is None:
        return None, ""
    late = (now_utc().astimezone().date() - value.astimezone().date()).days
    if late > 0:
        return _("{days} days overdue").format(days=late), "bad"
    return show_kind("datetime", value), ""
