"""What the order form in the browser asks for over HTTP. Every number it shows is computed here, by the rules of the house.

The form sends what was typed as text; rows that cannot be saved yet (an unknown code, a quantity that is no number) are kept beside
the draft as a setting of their user until they are mended, so that nothing typed or pasted is lost.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcrm.channels.tables import guess_mapping
from localcrm.domain import policy, verbs
from localcrm.domain.admin.entities import LegalEntity
from localcrm.domain.admin.organisation import company_of_branch
from localcrm.domain.approvals.documents import standing
from localcrm.domain.approvals.rules import State
from localcrm.domain.catalog.entities import ListEntry, Product, Warehouse
from localcrm.domain.catalog.rules import check_decimals
from localcrm.domain.catalog.services import offered_tax_rates, unit_decimals
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.importing import spellings
from localcrm.domain.records import records_json
from localcrm.domain.sales import offers, rules
from localcrm.domain.sales.entities import SalesOrder, SalesOrderLine
from localcrm.domain.sales.services import begin_order
from localcrm.domain.typed import read_text
from localcrm.kernel.errors import AppError, Forbidden, InvalidInput, NotFound, Refused, StaleRecord
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.kernel.money import ZERO_AMOUNTS, LineAmounts, capital_amount, parse_decimal
from localcrm.kernel.schema import EntityType, Field, plain_decimal
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, every, records_by_id, ref_titles, select, titles
from localcrm.store.view import Masked
from localcrm.ui.endpoints import session_of
from localcrm.ui.kit.approval import TONES as APPROVAL_TONES
from localcrm.ui.kit.columns import DELIVERY, ORDER_STATES, PAYMENT
from localcrm.ui.kit.form import editing_text
from localcrm.ui.kit.values import TONES, grouped, in_chinese, show

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ORDER, LINE = SalesOrder.entity_type, SalesOrderLine.entity_type
CUSTOMER, PRODUCT = Customer.entity_type, Product.entity_type
HEADER = ("customer_id", "warehouse_id", "owner_id", "legal_entity_id", "date", "delivery_date", "tax_included", "remark")
#: Kinds of own fields that are not simply typed, as the script in the browser knows them.
_INPUTS = {"ref": "ref", "boolean": "boolean"}
TYPED = ("quantity", "price", "discount", "tax_rate", "remark")
MAX_ROWS = 5000
PROGRESS_WORDS = {"delivered": DELIVERY, "paid": PAYMENT}
#: Stands for the order while one line is checked.
_SOME_ID = "0" * 32

Sheet = dict[str, Any]


# what a company adds to the head of an order ----------------------------------------------------------------------------


def own_fields() -> list[Field]:
    """Fields of the company that are in use."""
    return [field for field in ORDER.fields.values() if field.custom and field.is_used]


def header_keys() -> list[str]:
    """Everything in the head of an order."""
    return [*HEADER, *(field.key for field in own_fields())]


def own_inputs() -> list[dict[str, Any]]:
    """What the browser needs to draw them."""
    return [
        {
            "key": field.key,
            "kind": _INPUTS.get(field.kind, "list" if field.kind == "choice" else "text"),
            "entity": field.f.ref,
            "options": [gettext(label) for label in field.offered.values()],
            "hint": field.custom.hint if field.custom else "",
            "required": field.custom is not None and field.custom.to_post,
            "fixed": not field.f.editable,
        }
        for field in own_fields()
    ]


def _own_values(record: Mapping[str, Any]) -> dict[str, Any]:
    """Their values as the form takes them: ids, yes or no, else text as one types it."""
    return {
        field.key: value
        if value is None or field.kind in _INPUTS
        else (show(field, value) if field.options else editing_text(field, value))
        for field in own_fields()
        for value in (record.get(field.key),)
    }


# the sheet: one order as the form shows it ---------------------------------------------------------------------------


def load_sheet(session: Session, order_id: str) -> Sheet:
    """An order with its lines, totals, progress and receipts; raises NotFound."""
    with session.store.read() as connection:
        order = _order(connection, session, order_id)
        lines = _lines(connection, session, order_id)
        progress = records_json(connection, session.actor, ORDER, [order])[0]
        names = {key: found.get(order.get(key) or "", "") for key, found in ref_titles(connection, ORDER, [order]).items()}
        products = _products(connection, session, [line["product_id"] for line in lines])
        receipts = _receipts(connection, session, order_id)
        others = _other_numbers(connection, [order.get("reverses_id"), progress.get("reversed_by")])
        approval = _approval(connection, order)
    own = order.get("branch_id") == session.store.node.branch_id
    state = str(progress.get("state") or "")
    draft = state == "draft" and not order["deleted"]
    rest = json.loads(session.setting(rest_key(order_id)) or "[]") if draft else []
    return {
        "id": order_id,
        "version": order["version"],
        "editable": draft and own and not approval["waiting"] and _enterable(session) and _may_change(session, order_id),
        "submit": draft and approval["needed"],
        "foreign": "" if own else names.get("branch_id", ""),
        "deleted": order["deleted"],
        "number": order.get("number") or "",
        "state": {"key": state, "label": gettext(ORDER_STATES[state]) if state in ORDER_STATES else state, "tone": TONES.get(state, "")},
        "header": {**{key: ORDER.fields[key].to_json(order.get(key)) for key in HEADER}, **_own_values(order)},
        "titles": {**names, **_names_when_posted(order)},
        "lines": _with_rest([_line_texts(line, products) for line in lines], rest),
        "totals": _shown_totals(order),
        "progress": [
            {"label": gettext(words[progress[key]]), "tone": TONES.get(str(progress[key]), "")}
            for key, words in PROGRESS_WORDS.items()
            if state == "posted" and progress.get(key) in words
        ]
        + (approval["chips"] if draft else []),
        "received": _money(Decimal(progress.get("received") or 0)) if "received" in progress else "—",
        "open": _money(Decimal(progress.get("open") or 0)) if "open" in progress else "—",
        "open_plain": progress.get("open") or "0.00",
        "receipts": receipts,
        "reverses": others.get(order.get("reverses_id") or ""),
        "reversed_by": others.get(progress.get("reversed_by") or ""),
    }


def new_sheet(session: Session, *, customer_id: str | None = None, copy_of: str | None = None) -> Sheet:
    """An order nobody has saved yet: of today, by whoever enters it, from the branch's first warehouse; or like another order."""
    node, actor = session.store.node, session.actor
    header: dict[str, Any] = dict.fromkeys(HEADER)
    header |= {"date": date.today().isoformat(), "owner_id": actor.user_id}
    names = {"owner_id": actor.name}
    lines: list[dict[str, Any]] = []
    with session.store.read() as connection:
        header |= begin_order(connection, node) | _own_values({field.key: field.initial for field in own_fields()})
        house = Warehouse.entity_type
        pages = (
            select(connection, ListQuery(house, where=where, limit=1, restrict=view))
            for where in ((Condition("branch_id", "=", node.branch_id),), ())
            if (view := policy.seen(actor, house)) is not None
        )
        warehouse = next((page.rows[0] for page in pages if page.rows), None)
        if warehouse:
            header["warehouse_id"], names["warehouse_id"] = warehouse["id"], warehouse["name"]
        company = company_of_branch(connection, node.branch_id)
        if company:
            header["legal_entity_id"] = company
            names["legal_entity_id"] = titles(connection, LegalEntity.entity_type, [company])[company]
        if customer_id and policy.visible(connection, actor, CUSTOMER, parse_id(customer_id)):
            header["customer_id"] = parse_id(customer_id)
            names["customer_id"] = titles(connection, CUSTOMER, [parse_id(customer_id)])[parse_id(customer_id)]
    if copy_of:
        other = load_sheet(session, parse_id(copy_of))
        for key in ("customer_id", "warehouse_id", "legal_entity_id", "tax_included"):
            header[key] = other["header"][key]
            names[key] = other["titles"].get(key, "")
        lines = [{**line, "id": None, "quantity": line["quantity"].removeprefix("-")} for line in other["lines"]]
    return {
        "id": None,
        "version": None,
        "editable": session.may("sales_order.create") and _enterable(session),
        "number": "",
        "state": {"key": "draft", "label": gettext(ORDER_STATES["draft"]), "tone": TONES["draft"]},
        "header": header,
        "titles": names,
        "lines": lines,
        "totals": _totals(ZERO_AMOUNTS),
        "receipts": [],
    }


def pickers(session: Session) -> list[tuple[str, str]]:
    """What is chosen in the header: (field, kind of record); our own company only where there are several."""
    found = [(key, ORDER.fields[key].f.ref or "") for key in ("customer_id", "warehouse_id", "owner_id")]
    view = policy.seen(session.actor, LegalEntity.entity_type)
    if view is not None:
        with session.store.read() as connection:
            if select(connection, ListQuery(LegalEntity.entity_type, limit=1, restrict=view)).total > 1:
                found.append(("legal_entity_id", LegalEntity.entity_type.key))
    return found


def tax_rates(session: Session) -> list[str]:
    """Tax rates offered in a line, as they are typed."""
    if policy.seen(session.actor, ListEntry.entity_type) is None:
        return []
    with session.store.read() as connection:
        return [_percent(rate) for rate in offered_tax_rates(connection)]


def _names_when_posted(order: Mapping[str, Any]) -> dict[str, str]:
    """What a posted order says stays, whatever its customer or our own company is called since."""
    kept = {"customer_id": order.get("customer_name"), "legal_entity_id": order.get("legal_entity_name")}
    return {key: name for key, name in kept.items() if name}


def _approval(connection: Connection, order: Record) -> dict[str, Any]:
    """Whether the order waits for an approval or needs one before it is posted, and the chip that says so."""
    now = standing(connection, ORDER, records_by_id(connection, ORDER, [order["id"]])[0])
    chips = []
    if now.request is not None and now.request.state != State.WITHDRAWN and not (now.request.state == State.APPROVED and now.changed):
        chips = [{"label": gettext(now.request.state.label), "tone": APPROVAL_TONES[now.request.state]}]
    return {"waiting": now.is_waiting, "needed": now.flow is not None, "chips": chips}


def _with_rest(lines: list[dict[str, Any]], rest: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The saved lines with the rows that wait to be mended, each where it stood."""
    for row in sorted(rest, key=lambda row: int(row["position"])):
        lines.insert(row["position"] - 1, row)
    return lines


def rest_key(order_id: str) -> str:
    """The user's setting that keeps rows which cannot be saved yet."""
    return f"order-rest:{order_id}"


def _order(connection: Connection, session: Session, order_id: str) -> Record:
    where, restrict = (Condition("id", "=", parse_id(order_id)),), policy.view(session.actor, ORDER)
    for deleted in (False, True):
        page = select(connection, ListQuery(ORDER, where=where, limit=1, deleted=deleted, restrict=restrict))
        if page.rows:
            return page.rows[0]
    raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=ORDER.label)


def _lines(connection: Connection, session: Session, order_id: str) -> list[Record]:
    query = ListQuery(LINE, where=(Condition("order_id", "=", order_id),), sort="position", restrict=policy.view(session.actor, LINE))
    return [line for page in every(connection, query) for line in page.rows]


def _products(connection: Connection, session: Session, ids: Sequence[str]) -> dict[str, Record]:
    found: dict[str, Record] = {}
    view = policy.seen(session.actor, PRODUCT)
    if view is None:
        return found
    decimals = unit_decimals(connection)
    for identity in dict.fromkeys(ids):
        for deleted in (False, True):
            page = select(connection, ListQuery(PRODUCT, where=(Condition("id", "=", identity),), limit=1, deleted=deleted, restrict=view))
            if page.rows:
                found[identity] = page.rows[0] | {"decimals": decimals}
                break
    return found


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


# texts -----------------------------------------------------------------------------------------------------------------


def _line_texts(line: Mapping[str, Any], products: Mapping[str, Record]) -> dict[str, Any]:
    product = products.get(line["product_id"], {})
    return {
        "id": line["id"],
        "product_id": line["product_id"],
        "code": product.get("code") or "",
        "name": line.get("description") or product.get("name") or "",
        "spec": product.get("spec") or "",
        "unit": line.get("unit") or product.get("unit") or "",
        "remark": line.get("remark") or "",
        **_number_texts(line),
        **_shown_amounts(LINE, line),
    }


def _number_texts(line: Mapping[str, Any]) -> dict[str, str]:
    return {
        "quantity": _number(line, "quantity", grouped),
        "price": _number(line, "price", lambda price: grouped(price, "price")),
        "discount": "" if line.get("discount") == 1 else _number(line, "discount", _percent),
        "tax_rate": _number(line, "tax_rate", _percent),
    }


def _number(line: Mapping[str, Any], key: str, text: Callable[[Decimal], str]) -> str:
    """A number of a line in words; nothing for one that is not there, or not to be seen."""
    value = line.get(key)
    return text(value) if isinstance(value, Decimal) else str(value or "")


def _shown_amounts(kind: EntityType, record: Mapping[str, Any]) -> dict[str, str]:
    return {key: show(kind.fields[key], record.get(key)) or "—" for key in ("net", "tax", "gross")}


def _shown_totals(order: Mapping[str, Any]) -> dict[str, str]:
    gross = order.get("gross")
    capital = capital_amount(gross) if isinstance(gross, Decimal) and in_chinese() else ""
    return {**_shown_amounts(ORDER, order), "capital": capital}


def _enterable(session: Session) -> bool:
    """Whether the user sees enough of an order to enter one: amounts that must not be seen cannot be worked out on the screen."""
    return not policy.field_rules(session.actor, ORDER) and not policy.field_rules(session.actor, LINE)


def _may_change(session: Session, order_id: str) -> bool:
    if not session.may("sales_order.update"):
        return False
    with session.store.read() as connection:
        try:
            policy.require_record(connection, session.actor, ORDER, order_id, "update")
        except (Forbidden, Refused):
            return False
    return True


def _amount_texts(amounts: LineAmounts) -> dict[str, str]:
    return {"net": _money(amounts.net), "tax": _money(amounts.tax), "gross": _money(amounts.gross)}


def _totals(amounts: LineAmounts) -> dict[str, str]:
    return {**_amount_texts(amounts), "capital": capital_amount(amounts.gross) if in_chinese() else ""}


def _money(value: Decimal) -> str:
    return f"{value:,.2f}"


def _percent(value: Decimal) -> str:
    return f"{plain_decimal(value * 100)}%"


# what was typed --------------------------------------------------------------------------------------------------------


def read_share(text: str, *, percent_from: Decimal) -> Decimal | None:
    """A rate as people type it: 95%, 0.95 and 95 are the same. A bare number from ``percent_from`` on is percent; None for nothing."""
    if not text.strip():
        return None
    number = parse_decimal(text)
    if not text.rstrip().endswith(("%", "％")) and number >= percent_from:
        number /= 100
    return number


def checked_line(row: Mapping[str, Any], products: Mapping[str, Record]) -> dict[str, Any]:
    """A row of the form as typed values of an order line; raises InvalidInput that names the cell."""
    product = products.get(row.get("product_id") or "")
    if product is None:
        wanted = str(row.get("code") or row.get("name") or "").strip()
        if wanted:
            raise InvalidInput(
                "unknown_product",
                N_("There is no product “{text}”. Choose one from the list, or press Alt+N to add it."),
                text=wanted[:60],
                field="product_id",
            )
        raise InvalidInput("no_product", N_("Choose a product."), field="product_id")
    typed: dict[str, str] = {key: str(row.get(key) or "").strip() for key in TYPED}
    given = {
        "product_id": product["id"],
        "quantity": typed["quantity"] or None,
        "price": typed["price"] or product.get("price"),
        "discount": _share("discount", typed["discount"], Decimal(1)),
        "tax_rate": _share("tax_rate", typed["tax_rate"], product.get("tax_rate")),
        "remark": typed["remark"] or None,
    }
    for key in ("price", "tax_rate"):
        if given[key] is None or isinstance(given[key], Masked):  # the product's own may not be seen
            raise InvalidInput("required", N_("{label} is required."), label=LINE.fields[key].label, field=key)
    checked = LINE.validate({**given, "order_id": _SOME_ID})
    check_decimals(checked["quantity"], product.get("unit"), product["decimals"])
    return {key: checked[key] for key in given}


#: From where on a bare number is percent: a discount of 1 is the whole price, a tax rate of 1 is one percent.
_PERCENT_FROM = {"discount": Decimal("1.0001"), "tax_rate": Decimal(1)}


def _share(key: str, text: str, default: Decimal | None) -> Decimal | None:
    try:
        found = read_share(text, percent_from=_PERCENT_FROM[key])
    except InvalidInput as error:
        raise InvalidInput(error.code, error.text, **{**error.params, "field": key}) from None
    return default if found is None else found


def preview(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Amounts of every row and their totals by the rules; a row that cannot be computed has a ``fault`` {field, message} and counts nothing."""
    tax_included = bool(body.get("tax_included"))
    rows = _rows(body)
    with session.store.read() as connection:
        products = _products(connection, session, [row["product_id"] for row in rows if row.get("product_id")])
    shown: dict[str, Any] = {}
    total = ZERO_AMOUNTS
    for row in rows:
        try:
            line = checked_line(row, products)
        except InvalidInput as error:
            shown[str(row.get("key"))] = {"fault": {"field": error.field or "product_id", "message": error.message}}
            continue
        amounts = rules.amounts_of_line(line, tax_included=tax_included)
        total += amounts
        shown[str(row.get("key"))] = {**_number_texts(line), **_amount_texts(amounts)}
    return {"lines": shown, "totals": _totals(total)}


def _rows(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = body.get("lines") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidInput("bad_request", N_("The request cannot be understood."))
    if len(rows) > MAX_ROWS:
        raise Refused("too_many_rows", N_("An order takes at most {limit} rows. Nothing was saved; please split it."), limit=MAX_ROWS)
    return rows


# saving and posting ----------------------------------------------------------------------------------------------------


def save(session: Session, body: Mapping[str, Any]) -> Sheet:
    """Save the draft as it stands on the form; rows that cannot be saved yet are kept aside. With ``post`` it is posted too, with ``submit`` submitted.

    Answers with the sheet and, for a draft, ``ids``: key of a row on the form → id of its line.
    """
    rows = _rows(body)
    order_id = body.get("id") or None
    with session.store.read() as connection:
        products = _products(connection, session, [row["product_id"] for row in rows if row.get("product_id")])
        known = {line["id"] for line in _lines(connection, session, order_id)} if order_id else set()
    good: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    keys = []
    for position, row in enumerate(rows, start=1):
        try:
            line = checked_line(row, products)
        except InvalidInput:
            rest.append({**{key: row.get(key) for key in ("product_id", "code", "name", "spec", "unit", *TYPED)}, "position": position})
        else:
            # A line that somebody else removed meanwhile comes back as a new one.
            keys.append(str(row.get("key")))
            good.append(line | ({"id": row["id"]} if row.get("id") in known else {}))
    header = {key: _header_value(key, value) for key, value in (body.get("header") or {}).items() if key in header_keys()}
    parameters = {"header": header, "lines": good, "order_id": order_id, "version": body.get("version") if order_id else None}
    saved = verbs.run(session.store, session.actor, "sales.save_order", parameters)
    _keep_rest(session, saved["id"], rest)
    if body.get("post"):
        return _post(session, saved["id"], rest)
    if body.get("submit"):
        return _submit(session, saved["id"], rest)
    ids = [line["id"] for line in sorted(saved["lines"], key=lambda line: line["position"])]
    return {**load_sheet(session, saved["id"]), "ids": dict(zip(keys, ids, strict=True))}


def _post(session: Session, order_id: str, rest: Sequence[Any]) -> Sheet:
    posted = _finish(session, order_id, rest, "sales.post_order", {"order_id": order_id})
    _keep_rest(session, order_id, [])
    warnings = [
        _("Only {on_hand} of {product} would be left: the stock is short.").format(on_hand=row["on_hand"], product=row["product"])
        for row in posted.get("warnings", [])
    ]
    return {**load_sheet(session, order_id), "warnings": warnings}


def _submit(session: Session, order_id: str, rest: Sequence[Any]) -> Sheet:
    asked = _finish(session, order_id, rest, "approvals.submit", {"entity": ORDER.key, "id": order_id})["asked"]
    return {**load_sheet(session, order_id), "asked": asked}


def _finish(session: Session, order_id: str, rest: Sequence[Any], verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Post or submit a draft that was saved whole; an error tells that it is saved."""
    if rest:
        raise Refused(
            "faulty_rows",
            N_("Rows marked in red cannot be posted yet ({count}). Everything is saved as a draft; mend or remove them and post again."),
            count=len(rest),
            saved=order_id,
        )
    try:
        done: dict[str, Any] = verbs.run(session.store, session.actor, verb, parameters)
    except AppError as error:
        error.params["saved"] = order_id
        raise
    return done


def _keep_rest(session: Session, order_id: str, rest: Sequence[Any]) -> None:
    text = json.dumps(rest, ensure_ascii=False) if rest else None
    if (text or "") != session.setting(rest_key(order_id)):
        session.save_setting(rest_key(order_id), text)


def _header_value(key: str, value: Any) -> Any:
    """A value of the header as verbs take it; days as people type them."""
    field = ORDER.fields[key]
    return read_text(field, value.strip()) if field.kind == "date" and isinstance(value, str) and value.strip() else _blank(value)


def _blank(value: Any) -> Any:
    return "" if value is None else value


def compare(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """What differs between the form and what somebody else saved: {"rows": [{label, yours, theirs}], "sheet": theirs}."""
    theirs = load_sheet(session, str(body.get("id")))
    mine, names = body.get("header") or {}, body.get("titles") or {}
    rows = []
    for key in header_keys():
        field = ORDER.fields[key]
        if _blank(mine.get(key)) != _blank(theirs["header"][key]):
            texts = [_header_text(key, side, titles_) for side, titles_ in ((mine, names), (theirs["header"], theirs["titles"]))]
            rows.append({"label": field.label, "yours": texts[0], "theirs": texts[1]})
    with session.store.read() as connection:
        products = _products(connection, session, [row["product_id"] for row in _rows(body) if row.get("product_id")])
    own, other = [_line_summary(_as_shown(row, products)) for row in _rows(body)], [_line_summary(row) for row in theirs["lines"]]
    for number in range(max(len(own), len(other))):
        yours, others = (side[number] if number < len(side) else "—" for side in (own, other))
        if yours != others:
            rows.append({"label": _("Row {number}").format(number=number + 1), "yours": yours, "theirs": others})
    return {"rows": rows, "sheet": theirs}


def _as_shown(row: Mapping[str, Any], products: Mapping[str, Record]) -> dict[str, Any]:
    try:
        return {**row, **_number_texts(checked_line(row, products))}
    except InvalidInput:
        return dict(row)


def _header_text(key: str, values: Mapping[str, Any], names: Mapping[str, str]) -> str:
    value, field = values.get(key), ORDER.fields[key]
    if field.kind == "boolean" and value is not None:
        return _("Yes") if value else _("No")
    return (names.get(key) if field.f.ref else str(value)) or "—" if value else "—"


def _line_summary(row: Mapping[str, Any]) -> str:
    parts = [f"{row.get('code') or ''} {row.get('name') or ''}".strip(), f"{row.get('quantity') or '—'} × {row.get('price') or '—'}"]
    parts += [str(row[key]) for key in ("discount", "tax_rate", "remark") if row.get(key)]
    return " · ".join(parts)


# looking things up -----------------------------------------------------------------------------------------------------


def products(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Products for what was typed into a row, with stock and last price."""
    with session.store.read() as connection:
        found = offers.find_products(
            connection,
            session.actor,
            text=str(body.get("text") or "")[:100],
            customer_id=body.get("customer_id") or None,
            warehouse_id=body.get("warehouse_id") or None,
        )
    return {"rows": [_offer_texts(row) for row in found]}


def _offer_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "product_id": row["id"],
        "code": row.get("code") or "",
        "name": row["name"],
        "spec": row.get("spec") or "",
        "unit": row.get("unit") or "",
        "price": _number(row, "price", lambda price: grouped(price, "price")),
        "last_price": grouped(row["last_price"], "price") if row["last_price"] is not None else "",
        "tax_rate": _number(row, "tax_rate", _percent),
        "stocked": row.get("stocked", True),
        "available": grouped(row["available"]),
        "short": row.get("stocked", True) and row["available"] <= 0,
        "elsewhere": " · ".join(f"{name} {grouped(quantity)}" for name, quantity in row["elsewhere"][:2]),
    }


def pasted(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Rows from a spreadsheet's clipboard; a code nobody knows becomes a row all the same."""
    cells = [line.split("\t") for line in str(body.get("text") or "").splitlines() if line.strip()]
    rows = read_pasted(cells)
    if len(rows) > MAX_ROWS:
        raise Refused("too_many_rows", N_("An order takes at most {limit} rows. Nothing was saved; please split it."), limit=MAX_ROWS)
    with session.store.read() as connection:
        known = offers.exact_products(connection, session.actor, [row["code"] for row in rows])
        priced = offers.offers(
            connection,
            session.actor,
            list(known.values()),
            customer_id=body.get("customer_id") or None,
            warehouse_id=body.get("warehouse_id") or None,
        )
    texts = {row["id"]: _offer_texts(row) for row in priced}
    result = []
    for row in rows:
        product = texts[known[row["code"]]["id"]] if row["code"] in known else None
        filled = {key: value for key, value in row.items() if value}
        if product:
            result.append(
                {**product, "price": product["last_price"] or product["price"], **filled, "code": product["code"], "name": product["name"]}
            )
        else:
            result.append(filled)
    return {"lines": result}


#: Columns of a pasted block without a header, after the product.
_NUMBERS = ("quantity", "price", "discount")


def read_pasted(cells: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Rows of a pasted block: by its header where it has one, else code, then (whatever stands between), quantity, price, discount, remark."""
    trimmed = [[cell.strip() for cell in row] for row in cells]
    mapping = _header(trimmed[0]) if trimmed else {}
    if mapping:
        return [{"code": "", **{key: row[index] for index, key in mapping.items() if index < len(row)}} for row in trimmed[1:] if any(row)]
    return [_pasted_row(row) for row in trimmed if any(row)]


def _header(row: Sequence[str]) -> dict[int, str]:
    """Column number → key, when the row is a header: it names the product and holds no number."""
    fields = [
        ("code", spellings(PRODUCT.fields["code"])),
        *((key, spellings(LINE.fields[key])) for key in ("quantity", "price", "discount", "tax_rate", "remark")),
    ]
    found = guess_mapping(row, fields)
    if "code" not in found.values() or any(_is_number(cell) for cell in row):
        return {}
    return {index: found[cell] for index, cell in enumerate(row) if cell in found}


def _pasted_row(row: Sequence[str]) -> dict[str, str]:
    code, rest = row[0], list(row[1:])
    between = []
    while rest and not _is_number(rest[0]):
        between.append(rest.pop(0))
    if not rest:  # no number at all: nothing tells what the texts are
        return {"code": code, "name": "", "remark": " ".join(filter(None, between))}
    numbers = dict.fromkeys(_NUMBERS, "")
    for key in _NUMBERS:
        if rest and (_is_number(rest[0]) or not rest[0]):
            numbers[key] = rest.pop(0)
    return {"code": code, "name": " ".join(filter(None, between)), **numbers, "remark": " ".join(filter(None, rest))}


def _is_number(text: str) -> bool:
    try:
        parse_decimal(text)
    except InvalidInput:
        return False
    return True


def deals(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """What this customer last paid for a product."""
    policy.require(session.actor, "sales_order.read")
    customer, product = body.get("customer_id"), body.get("product_id")
    if not customer or not product:
        return {"rows": []}
    with session.store.read() as connection:
        found = offers.last_deals(connection, session.actor, parse_id(customer), parse_id(product))
    return {
        "rows": [
            {
                "date": f"{row['date']:%Y-%m-%d}" if row["date"] else "",
                "text": f"{grouped(row['price'], 'price')} × {grouped(row['quantity'])} {row['unit'] or ''}".strip(),
            }
            for row in found
        ]
    }


def account(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Chips about the customer: what is open against the limit, level, how long ago the last order was."""
    identity = body.get("customer_id")
    with session.store.read() as connection:
        found = offers.customer_account(connection, session.actor, customer_id=parse_id(identity)) if identity else None
    if not found:
        return {"chips": []}
    unpaid, limit = found["unpaid"], found["credit_limit"]
    chips = []
    if unpaid is None:
        pass  # what is owed may not be seen
    elif isinstance(limit, Decimal) and limit:
        text = _("Unpaid {unpaid} / credit limit {limit}").format(unpaid=_money(unpaid), limit=_money(limit))
        chips.append({"text": text, "tone": "bad" if unpaid > limit else "warn" if unpaid * 5 > limit * 3 else ""})
    else:
        chips.append({"text": _("Unpaid {unpaid}").format(unpaid=_money(unpaid)), "tone": "warn" if unpaid else ""})
    if found["level"]:
        chips.append({"text": _("Level: {level}").format(level=show(CUSTOMER.fields["level"], found["level"])), "tone": ""})
    if found["last_order"]:
        days = (date.today() - found["last_order"]).days
        text = _("Last order today") if days <= 0 else _("Last order {days} days ago").format(days=days)
        chips.append({"text": text, "tone": ""})
    else:
        chips.append({"text": _("No orders yet"), "tone": ""})
    return {"chips": chips}


def sheet(session: Session, body: Mapping[str, Any]) -> Sheet:
    """The order as it stands."""
    return load_sheet(session, str(body.get("id")))


# routes ----------------------------------------------------------------------------------------------------------------


def _route(function: Callable[[Session, Mapping[str, Any]], dict[str, Any]]) -> Route:
    """POST /api/order/<name>: a plain function (session, body) in a worker thread; an error names its field and what was saved."""

    async def endpoint(request: Request) -> Response:
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None
        try:
            if not isinstance(body, dict):
                raise InvalidInput("bad_request", N_("The request cannot be understood."))
            return JSONResponse(await asyncio.to_thread(function, session_of(request), body))
        except AppError as error:
            told = {"code": error.code, "message": error.message, "stale": isinstance(error, StaleRecord)}
            told |= {key: str(error.params[key]) for key in ("field", "saved") if error.params.get(key)}
            return JSONResponse(told, status_code=error.http_status)

    return Route(f"/api/order/{function.__name__}", endpoint, methods=["POST"])


ROUTES = [_route(function) for function in (preview, save, compare, products, pasted, deals, account, sheet)]
