"""The sheet: one order or quote as the form shows it, and a new one that nobody has saved yet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.admin.entities import LegalEntity
from localcrm.domain.admin.organisation import company_of_branch
from localcrm.domain.catalog.entities import Warehouse
from localcrm.domain.crm.contacts import main_contact
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.records import blank_record, records_json
from localcrm.domain.sales.entities import OrderStatus
from localcrm.domain.sales.order_money import order_money
from localcrm.kernel.errors import Forbidden, NotFound, Refused
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.kernel.money import ZERO_AMOUNTS, capital_amount
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, ref_titles, select, titles
from localcrm.ui.kit.columns import DELIVERY, ORDER_STATES, PAYMENT
from localcrm.ui.kit.qr import qr_address
from localcrm.ui.kit.values import TONES, in_chinese, show
from localcrm.ui.order_form.approving import approval_of
from localcrm.ui.order_form.deliveries import sent_with
from localcrm.ui.order_form.from_deal import deal_head, deal_lines
from localcrm.ui.order_form.from_piece import of_piece
from localcrm.ui.order_form.grid import LINE, line_texts, lines_of, money, priced, products_of, shown_amounts, totals
from localcrm.ui.order_form.head import CUSTOMER, ORDER
from localcrm.ui.order_form.own import own_fields, own_inputs, own_names, own_values, without_fixed
from localcrm.ui.order_form.papers import ORDERS, QUOTES, Paper
from localcrm.ui.order_form.quoted import fresh_chips, mark_changed, of_quote

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

PROGRESS_WORDS = {"delivered": DELIVERY, "paid": PAYMENT}

Sheet = dict[str, Any]


def load_sheet(session: Session, identity: str, paper: Paper = ORDERS) -> Sheet:
    """An order or a quote with its lines, totals and what became of it; raises NotFound."""
    with session.store.read() as connection:
        record = _record(connection, session, paper, identity)
        lines = lines_of(connection, session, paper, identity)
        fields = own_fields(session, paper.line)
        named = own_names(connection, fields, lines)
        names = {key: found.get(record.get(key) or "", "") for key, found in ref_titles(connection, paper.kind, [record]).items()}
        products = products_of(connection, session, [line["product_id"] for line in lines])
        rows = [line_texts(line, products, fields, named) for line in lines]
        own = record.get("branch_id") == session.store.node.branch_id
        more = (_of_order if paper is ORDERS else of_quote)(connection, session, record)
        if paper is QUOTES or record.get("status") == OrderStatus.DRAFT:
            mark_changed(rows, lines, priced(connection, session, products, record.get("customer_id")))
    draft = more["state"]["key"] == "draft" and not record["deleted"]
    rest = json.loads(session.setting(rest_key(identity)) or "[]") if draft else []
    editable = draft and own and not more.pop("waiting", False) and _enterable(session, paper) and _may_change(session, paper, identity)
    return {
        "id": identity,
        "version": record["version"],
        "editable": editable,
        "submit": False,
        "foreign": "" if own else names.get("branch_id", ""),
        "deleted": record["deleted"],
        "number": record.get("number") or "",
        "code": qr_address(record["number"]) if record.get("number") else "",
        "header": {
            **{key: paper.kind.fields[key].to_json(record.get(key)) for key in paper.head},
            **own_values(session, paper.kind, record),
        },
        "lines": _with_rest(rows, rest),
        "totals": _shown_totals(paper, record),
        "titles": names,
        **more,
    }


def _of_order(connection: Connection, session: Session, order: Record) -> Sheet:
    """What only orders have: progress, receipts, approval, reversal."""
    progress = records_json(connection, session.actor, ORDER, [order])[0]
    others = _other_numbers(connection, [order.get("reverses_id"), progress.get("reversed_by")])
    approval = approval_of(connection, ORDER, order["id"])
    state = str(progress.get("state") or "")
    draft, is_sale = state == "draft" and not order["deleted"], state == "posted" and not order.get("opening")
    names = {key: found.get(order.get(key) or "", "") for key, found in ref_titles(connection, ORDER, [order]).items()}
    return {
        "waiting": approval["waiting"],
        "submit": draft and approval["needed"],
        "state": {"key": state, "label": gettext(ORDER_STATES[state]) if state in ORDER_STATES else state, "tone": TONES.get(state, "")},
        "titles": {**names, **_names_when_posted(order)},
        "progress": ([{"label": gettext(N_("Opening balance")), "tone": "acc"}] if order.get("opening") else [])
        + [
            {"label": gettext(words[progress[key]]), "tone": TONES.get(str(progress[key]), "")}
            for key, words in PROGRESS_WORDS.items()
            if state == "posted" and progress.get(key) in words
        ]
        + ([*approval["chips"], *fresh_chips(connection, session)] if draft else []),
        "received": money(Decimal(progress.get("received") or 0)) if "received" in progress else "—",
        "open": money(Decimal(progress.get("open") or 0)) if "open" in progress else "—",
        "open_plain": progress.get("open") or "0.00",
        "receipts": _receipts(connection, session, order["id"]),
        "margin": _margin(connection, session, order) if is_sale else None,
        "deliveries": sent_with(connection, session, order["id"]),
        "deeds": [{"id": "deliver", "label": _("New delivery"), "look": ""}] if is_sale and session.may("delivery.create") else [],
        "reverses": others.get(order.get("reverses_id") or ""),
        "reversed_by": others.get(progress.get("reversed_by") or ""),
    }


def _margin(connection: Connection, session: Session, order: Record) -> dict[str, str] | None:
    """What the goods cost, what was spent, and what is left; None for whoever may not see that."""
    found = order_money(connection, session.actor, order)
    if found is None:
        return None
    share = f" · {found.percent}%" if found.percent is not None else ""
    return {
        "goods": money(found.goods),
        "expenses": money(found.expenses) if found.expenses else "",
        "left": "—" if found.margin is None else f"{money(found.margin)}{share}",
        "unknown": _("Of {count} products no cost is known.").format(count=found.unknown) if found.unknown else "",
    }


def new_sheet(
    session: Session,
    paper: Paper = ORDERS,
    *,
    customer_id: str | None = None,
    copy_of: str | None = None,
    opportunity_id: str | None = None,
    piece: str | None = None,
    consumable: str | None = None,
) -> Sheet:
    """An order or quote nobody has saved yet: of today, by whoever enters it, from the branch's first warehouse; of a deal, for a
    product in use (``piece``) or its consumable, or like another order.
    """
    node, actor = session.store.node, session.actor
    header: dict[str, Any] = dict.fromkeys(paper.head)
    header |= {"date": date.today().isoformat(), "owner_id": actor.user_id}
    names = {"owner_id": actor.name}
    lines: list[dict[str, Any]] = []
    with session.store.read() as connection:
        header["tax_included"] = blank_record(connection, node, paper.kind)["tax_included"]
        header |= own_values(session, paper.kind, {field.key: field.initial for field in own_fields(session, paper.kind)})
        if paper is ORDERS:
            _from_here(connection, session, header, names)
        if customer_id and policy.visible(connection, actor, CUSTOMER, parse_id(customer_id)):
            header["customer_id"] = parse_id(customer_id)
            names["customer_id"] = titles(connection, CUSTOMER, [parse_id(customer_id)])[parse_id(customer_id)]
        if opportunity_id:
            head, named = deal_head(connection, session, parse_id(opportunity_id))
            header, names = header | {key: head[key] for key in head if key in paper.head}, names | named
            lines = deal_lines(connection, session, paper, parse_id(opportunity_id), header) if head else []
        if piece:
            header, named, lines = of_piece(connection, session, paper, parse_id(piece), header, consumable=bool(consumable))
            names |= named
        if paper is QUOTES and header["customer_id"] and not header["contact_id"]:
            main = main_contact(connection, actor, header["customer_id"])
            header["contact_id"], names["contact_id"] = (main["id"], main["name"]) if main else (None, "")
    if copy_of:
        other = load_sheet(session, parse_id(copy_of))
        for key in ("customer_id", "warehouse_id", "legal_entity_id", "tax_included"):
            header[key] = other["header"][key]
            names[key] = other["titles"].get(key, "")
        lines = [
            {**without_fixed(session, LINE, line), "id": None, "below_reason": "", "quantity": line["quantity"].removeprefix("-")}
            for line in other["lines"]
        ]
    return {
        "id": None,
        "version": None,
        "editable": session.may(f"{paper.kind.key}.create") and _enterable(session, paper),
        "number": "",
        "state": {"key": "draft", "label": gettext(ORDER_STATES["draft"]), "tone": TONES["draft"]},
        "header": header,
        "titles": names,
        "lines": lines,
        "totals": totals(ZERO_AMOUNTS),
        "receipts": [],
    }


def _from_here(connection: Connection, session: Session, header: dict[str, Any], names: dict[str, str]) -> None:
    """Of an order: the branch's first warehouse, and the company it belongs to."""
    node, actor, house = session.store.node, session.actor, Warehouse.entity_type
    view = policy.seen(actor, house)
    in_use = (Condition("active", "=", True),) if view is not None and view.shows("active") else ()
    pages = (
        select(connection, ListQuery(house, where=where, limit=1, restrict=view))
        for where in ((Condition("branch_id", "=", node.branch_id), *in_use), in_use)
        if view is not None
    )
    warehouse = next((page.rows[0] for page in pages if page.rows), None)
    if warehouse:
        header["warehouse_id"], names["warehouse_id"] = warehouse["id"], warehouse["name"]
    company = company_of_branch(connection, node.branch_id)
    if company:
        header["legal_entity_id"] = company
        names["legal_entity_id"] = titles(connection, LegalEntity.entity_type, [company])[company]


def inputs_of(session: Session, paper: Paper = ORDERS) -> dict[str, list[dict[str, Any]]]:
    """Fields of the company in the head (``own``) and in the lines (``ownColumns``), as the browser needs them to draw them."""
    with session.store.read() as connection:
        return {"own": own_inputs(session, paper.kind, connection), "ownColumns": own_inputs(session, paper.line, connection)}


def _names_when_posted(order: Mapping[str, Any]) -> dict[str, str]:
    """What a posted order says stays, whatever its customer or our own company is called since."""
    kept = {"customer_id": order.get("customer_name"), "legal_entity_id": order.get("legal_entity_name")}
    return {key: name for key, name in kept.items() if name}


def _with_rest(lines: list[dict[str, Any]], rest: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The saved lines with the rows that wait to be mended: in the place of their line, or where they stood."""
    for row in sorted(rest, key=lambda row: int(row["position"])):
        place = next((place for place, line in enumerate(lines) if row.get("id") and line.get("id") == row["id"]), None)
        if place is None:
            lines.insert(row["position"] - 1, {**row, "id": None})
        else:
            lines[place] = {**lines[place], **row}
    return lines


def rest_key(order_id: str) -> str:
    """The user's setting that keeps rows which cannot be saved yet."""
    return f"order-rest:{order_id}"


def _record(connection: Connection, session: Session, paper: Paper, identity: str) -> Record:
    where, restrict = (Condition("id", "=", parse_id(identity)),), policy.view(session.actor, paper.kind)
    for deleted in (False, True):
        page = select(connection, ListQuery(paper.kind, where=where, limit=1, deleted=deleted, restrict=restrict))
        if page.rows:
            return page.rows[0]
    raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=paper.kind.label)


def _receipts(connection: Connection, session: Session, order_id: str) -> list[dict[str, str]]:
    receipt = Receipt.entity_type
    view = policy.seen(session.actor, receipt)
    if view is None:
        return []
    page = select(connection, ListQuery(receipt, where=(Condition("order_id", "=", order_id),), limit=100, restrict=view))
    return [
        {
            "number": row.get("number") or "",
            "date": show(receipt.fields["date"], row.get("date")) or "",
            "amount": show(receipt.fields["amount"], row.get("amount")) or "—",
            "method": show(receipt.fields["method"], row.get("method")) or "",
        }
        for row in page.rows
    ]


def _other_numbers(connection: Connection, ids: Sequence[str | None]) -> dict[str, dict[str, str]]:
    found = titles(connection, ORDER, [identity for identity in ids if identity])
    return {identity: {"id": identity, "number": number} for identity, number in found.items()}


def _shown_totals(paper: Paper, record: Mapping[str, Any]) -> dict[str, str]:
    gross = record.get(paper.total)
    capital = capital_amount(gross) if isinstance(gross, Decimal) and in_chinese() else ""
    return {**shown_amounts(paper.line, {**record, "gross": gross}), "capital": capital}


def _enterable(session: Session, paper: Paper) -> bool:
    """Whether the user sees enough of a document to enter one: amounts that must not be seen cannot be worked out on the screen.

    Rules about fields of the company only fix or hide these.
    """
    return not any(
        kind.fields[key].custom is None
        for kind in (paper.kind, paper.line)
        for key in policy.field_rules(session.actor, kind).keys() & kind.fields
    )


def _may_change(session: Session, paper: Paper, identity: str) -> bool:
    if not session.may(f"{paper.kind.key}.update"):
        return False
    with session.store.read() as connection:
        try:
            policy.require_record(connection, session.actor, paper.kind, identity, "update")
        except (Forbidden, Refused):
            return False
    return True
