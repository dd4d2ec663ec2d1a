"""A block from a spreadsheet's clipboard becomes rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localcrm.channels.tables import guess_mapping
from localcrm.domain.import_columns import spellings
from localcrm.domain.sales import offers
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import parse_decimal
from localcrm.kernel.schema import Field
from localcrm.ui.order_form.grid import LINE, MAX_ROWS, PRODUCT
from localcrm.ui.order_form.lookups import offer_texts
from localcrm.ui.order_form.own import entered_fields
from localcrm.ui.order_form.papers import paper_of

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


def pasted(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Rows from a spreadsheet's clipboard; a code nobody knows becomes a row all the same."""
    cells = [line.split("\t") for line in str(body.get("text") or "").splitlines() if line.strip()]
    rows = read_pasted(cells, entered_fields(session, paper_of(body).line))
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
    texts = {row["id"]: offer_texts(row) for row in priced}
    result = []
    for row in rows:
        product = texts[known[row["code"]]["id"]] if row["code"] in known else None
        filled = {key: value for key, value in row.items() if value}
        if product:
            result.append(
                {
                    **product,
                    "price": product["first_price"],
                    "discount": product["discount"] or "",
                    **filled,
                    "code": product["code"],
                    "name": product["name"],
                }
            )
        else:
            result.append(filled)
    return {"lines": result}


#: Columns of a pasted block without a header, after the product.
_NUMBERS = ("quantity", "price", "discount")


def read_pasted(cells: Sequence[Sequence[str]], own: Sequence[Field] = ()) -> list[dict[str, str]]:
    """Rows of a pasted block: by its header where it has one, else code, then (whatever stands between), quantity, price, discount, remark.

    Fields of the company (``own``) are recognised by the header only: without one nothing tells a colour from a remark.
    """
    trimmed = [[cell.strip() for cell in row] for row in cells]
    mapping = _header(trimmed[0], own) if trimmed else {}
    if mapping:
        return [{"code": "", **{key: row[index] for index, key in mapping.items() if index < len(row)}} for row in trimmed[1:] if any(row)]
    return [_pasted_row(row) for row in trimmed if any(row)]


def _header(row: Sequence[str], own: Sequence[Field]) -> dict[int, str]:
    """Column number → key, when the row is a header: it names the product and holds no number."""
    fields = [
        ("code", spellings(PRODUCT.fields["code"])),
        *((key, spellings(LINE.fields[key])) for key in ("quantity", "price", "discount", "tax_rate", "remark")),
        *((field.key, spellings(field)) for field in own),
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
