"""The lines of an order or a quote: what was typed into a row, and every number that the form shows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field as dataclass_field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import ListEntry, Product
from localcrm.domain.catalog.rules import check_decimals
from localcrm.domain.catalog.services import offered_tax_rates, unit_decimals
from localcrm.domain.own_fields import check_offered
from localcrm.domain.sales import floors, rules
from localcrm.domain.sales.level_prices import level_prices, terms_of
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.kernel.money import MONEY_SCALE, ZERO_AMOUNTS, LineAmounts, capital_amount, parse_decimal, to_scaled
from localcrm.kernel.schema import EntityType, Field, plain_decimal
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, every, select
from localcrm.store.view import Masked
from localcrm.ui.kit.values import grouped, in_chinese, show
from localcrm.ui.order_form.own import entered_fields, own_fields, own_names, own_texts, read_own
from localcrm.ui.order_form.papers import ORDERS, Paper, paper_of

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

LINE, PRODUCT = ORDERS.line, Product.entity_type
TYPED = ("quantity", "price", "discount", "tax_rate", "remark")
MAX_ROWS = 5000
#: Stands for the order while one line is checked.
_SOME_ID = "0" * 32


def tax_rates(session: Session) -> list[str]:
    """Tax rates offered in a line, as they are typed."""
    if policy.seen(session.actor, ListEntry.entity_type) is None:
        return []
    with session.store.read() as connection:
        return [percent(rate) for rate in offered_tax_rates(connection)]


def products_of(connection: Connection, session: Session, ids: Sequence[str]) -> dict[str, Record]:
    """The products of some rows by id, as far as the user sees them; those in the recycle bin too."""
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


def priced(connection: Connection, session: Session, products: dict[str, Record], customer_id: str | None) -> dict[str, Record]:
    """Products at the prices of a customer's level, where they have one, and with the ``discount`` that is agreed with him elsewhere."""
    customer = parse_id(customer_id) if customer_id else None
    levels = level_prices(connection, session.actor, list(products), customer)
    share = terms_of(connection, session.actor, customer).discount if products else None
    return {
        key: {**product, **({"price": levels[key], "discount": Decimal(1)} if key in levels else {"discount": share or Decimal(1)})}
        for key, product in products.items()
    }


def line_texts(
    line: Mapping[str, Any], products: Mapping[str, Record], own: Sequence[Field], names: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """A line as a row of the form, with the company's ``own`` fields; ``names`` of what it refers to by field and id."""
    product = products.get(line["product_id"], {})
    return {
        "id": line["id"],
        "product_id": line["product_id"],
        "code": product.get("code") or "",
        "name": line.get("description") or product.get("name") or "",
        "spec": product.get("spec") or "",
        "unit": line.get("unit") or product.get("unit") or "",
        "remark": line.get("remark") or "",
        "below_reason": _reason(line),
        **number_texts(line),
        **own_texts(own, line, names),
        **shown_amounts(LINE, line),  # the same in every kind of line
    }


def _reason(line: Mapping[str, Any]) -> str:
    return str(line.get("below_reason") or "")


def number_texts(line: Mapping[str, Any]) -> dict[str, str]:
    """The numbers of a line as people write them."""
    return {
        "quantity": number_text(line, "quantity", grouped),
        "price": number_text(line, "price", lambda price: grouped(price, "price")),
        "discount": "" if line.get("discount") == 1 else number_text(line, "discount", percent),
        "tax_rate": number_text(line, "tax_rate", percent),
    }


def number_text(line: Mapping[str, Any], key: str, text: Callable[[Decimal], str]) -> str:
    """A number of a line in words; nothing for one that is not there, or not to be seen."""
    value = line.get(key)
    return text(value) if isinstance(value, Decimal) else str(value or "")


def shown_amounts(kind: EntityType, record: Mapping[str, Any]) -> dict[str, str]:
    """Net, tax and total of a saved record, as far as they may be seen."""
    return {key: show(kind.fields[key], record.get(key)) or "—" for key in ("net", "tax", "gross")}


def _amount_texts(amounts: LineAmounts) -> dict[str, str]:
    return {"net": money(amounts.net), "tax": money(amounts.tax), "gross": money(amounts.gross)}


def totals(amounts: LineAmounts) -> dict[str, str]:
    """Net, tax and total of what is being entered."""
    return {**_amount_texts(amounts), "capital": capital_amount(amounts.gross) if in_chinese() else ""}


def money(value: Decimal) -> str:
    """An amount with two places."""
    return f"{value:,.2f}"


def percent(value: Decimal) -> str:
    """A rate as people write it: 0.13 is 13%."""
    return f"{plain_decimal(value * 100)}%"


def read_share(text: str, *, percent_from: Decimal) -> Decimal | None:
    """A rate as people type it: 95%, 0.95 and 95 are the same. A bare number from ``percent_from`` on is percent; None for nothing."""
    if not text.strip():
        return None
    number = parse_decimal(text)
    if not text.rstrip().endswith(("%", "％")) and number >= percent_from:
        number /= 100
    return number


def checked_line(
    paper: Paper, row: Mapping[str, Any], products: Mapping[str, Record], own: Mapping[str, Any], saved: Record | None
) -> dict[str, Any]:
    """A row of the form as typed values of a line, the company's ``own`` fields among them; raises InvalidInput that names the cell."""
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
        **own,
    }
    if row.get("below_reason") or (saved and saved.get("below_reason")):
        given["below_reason"] = str(row.get("below_reason") or "").strip() or None
    for key in ("price", "tax_rate"):
        if given[key] is None or isinstance(given[key], Masked):  # the product's own may not be seen
            raise InvalidInput("required", N_("{label} is required."), label=paper.line.fields[key].label, field=key)
    whole = _amount_typed(typed["price"])
    checked = paper.line.validate({**given, paper.parent: _SOME_ID} | ({"price": 0} if whole is not None else {}))
    if whole is not None:
        checked["price"] = rules.price_for(whole, quantity=checked["quantity"], discount=checked["discount"])
    check_decimals(checked["quantity"], product.get("unit"), product["decimals"])
    check_offered(paper.line, checked, saved)
    return {key: checked[key] for key in given}


def _amount_typed(price: str) -> Decimal | None:
    """What the line is to come to, where "=100" stands in place of a unit price."""
    if not price.startswith(("=", "\uff1d")):
        return None
    try:
        amount = parse_decimal(price[1:])
        to_scaled(amount, MONEY_SCALE)
    except InvalidInput as error:
        raise InvalidInput(error.code, error.text, **{**error.params, "field": "price"}) from None
    return amount


#: From where on a bare number is percent: a discount of 1 is the whole price, a tax rate of 1 is one percent.
_PERCENT_FROM = {"discount": Decimal("1.0001"), "tax_rate": Decimal(1)}


def _share(key: str, text: str, default: Decimal | None) -> Decimal | None:
    try:
        found = read_share(text, percent_from=_PERCENT_FROM[key])
    except InvalidInput as error:
        raise InvalidInput(error.code, error.text, **{**error.params, "field": key}) from None
    return default if found is None else found


@dataclass(frozen=True, slots=True)
class Checked:
    """A row that the browser sent: ``line`` its typed values and ``texts`` the same as people write them, or ``fault``; ``saved``: the line it was."""

    row: dict[str, Any]
    saved: Record | None = None
    line: Record = dataclass_field(default_factory=dict)
    texts: dict[str, Any] = dataclass_field(default_factory=dict)
    fault: InvalidInput | None = None

    @property
    def told(self) -> dict[str, Any] | None:
        """What the form says of the fault; ``why``: a reason would do."""
        fault = self.fault
        return None if fault is None else {"field": fault.field or "product_id", "message": fault.message, "why": fault.code == "why_below"}


def checked_rows(session: Session, body: Mapping[str, Any]) -> list[Checked]:
    """Every row that the browser sent, tried one by one; raises InvalidInput or Refused where they are no rows or too many."""
    paper = paper_of(body)
    rows, fields = rows_of(body), entered_fields(session, paper.line)
    with session.store.read() as connection:
        products = products_of(connection, session, [row["product_id"] for row in rows if row.get("product_id")])
        products = priced(connection, session, products, (body.get("header") or {}).get("customer_id"))
        limits = floors.floors_of(connection, session.store.node, products)
        saved = {line["id"]: line for line in lines_of(connection, session, paper, str(body["id"]))} if body.get("id") else {}

        def tried(row: dict[str, Any]) -> Checked:
            was = saved.get(row.get("id") or "")
            try:
                own = {field.key: read_own(connection, session, field, row) for field in fields if field.key in row}
                line = checked_line(paper, row, products, own, was)
                _check_price(session, line, was, limits.get(line["product_id"]), tax_included=bool(body.get("tax_included")))
            except InvalidInput as fault:
                return Checked(row, was, fault=fault)
            return Checked(row, was, line, number_texts(line) | ({"below_reason": reason} if (reason := _reason(line)) else {}))

        found = [tried(row) for row in rows]
        names = own_names(connection, fields, [one.line for one in found])
    return [replace(one, texts={**one.texts, **own_texts(fields, one.line, names)}) if not one.fault else one for one in found]


def _check_price(session: Session, line: dict[str, Any], saved: Record | None, floor: floors.Floor | None, *, tax_included: bool) -> None:
    """Refuse a price that is too low, as saving would; a reason that is not needed any more goes."""
    rules.amounts_of_line(line, tax_included=tax_included)
    found = floors.below(floor, line, tax_included=tax_included)
    if found is None and "below_reason" in line:
        line["below_reason"] = None
    if saved is None or any(line.get(key) != saved.get(key) for key in (*floors.DECIDES, "below_reason")):
        floors.require_allowed(session.actor, found, line.get("below_reason"))


def rows_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows that the browser sent; raises InvalidInput, or Refused when there are more than an order takes."""
    rows = body.get("lines") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidInput("bad_request", N_("The request cannot be understood."))
    if len(rows) > MAX_ROWS:
        raise Refused("too_many_rows", N_("An order takes at most {limit} rows. Nothing was saved; please split it."), limit=MAX_ROWS)
    return rows


def lines_of(connection: Connection, session: Session, paper: Paper, identity: str) -> list[Record]:
    """The lines of a document in their order, as far as the user sees them."""
    restrict = policy.view(session.actor, paper.line)
    query = ListQuery(paper.line, where=(Condition(paper.parent, "=", identity),), sort="position", restrict=restrict)
    return [line for page in every(connection, query) for line in page.rows]


def preview(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Amounts of every row and their totals by the rules; a row that cannot be computed has a ``fault`` {field, message} and counts nothing."""
    shown: dict[str, Any] = {}
    total = ZERO_AMOUNTS
    for one in checked_rows(session, body):
        if one.fault:
            shown[str(one.row.get("key"))] = {"fault": one.told}
            continue
        amounts = rules.amounts_of_line(one.line, tax_included=bool(body.get("tax_included")))
        total += amounts
        shown[str(one.row.get("key"))] = {**one.texts, **_amount_texts(amounts)}
    return {"lines": shown, "totals": totals(rules.fitting(total))}


def line_summary(session: Session, paper: Paper, row: Mapping[str, Any]) -> str:
    """A row in one line of text."""
    parts = [f"{row.get('code') or ''} {row.get('name') or ''}".strip(), f"{row.get('quantity') or '—'} × {row.get('price') or '—'}"]
    parts += [str(row[key]) for key in ("discount", "tax_rate") if row.get(key)]
    parts += [f"{field.label} {row[field.key]}" for field in own_fields(session, paper.line) if row.get(field.key)]
    parts += [str(row["remark"])] if row.get("remark") else []
    return " · ".join(parts)
