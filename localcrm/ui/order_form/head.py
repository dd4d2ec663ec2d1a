"""The head of an order or a quote: its fields as the form takes and sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.typed import read_text
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.query import ListQuery, select
from localcrm.ui.order_form.own import entered_fields, own_fields
from localcrm.ui.order_form.papers import ORDERS, Paper

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ORDER, CUSTOMER = ORDERS.kind, Customer.entity_type


def header_keys(session: Session, paper: Paper = ORDERS, *, entered: bool = False) -> list[str]:
    """Everything in the head that the user sees, or may fill in."""
    return [*paper.head, *(field.key for field in (entered_fields if entered else own_fields)(session, paper.kind))]


def pickers(session: Session, paper: Paper = ORDERS) -> list[tuple[str, str]]:
    """What is chosen in the header: (field, kind of record); our own company only where there are several, contract, contact and deal only where there are any."""
    found = [(key, paper.kind.fields[key].f.ref or "") for key in paper.picked]
    wanted = [("legal_entity_id", 2)] if "legal_entity_id" in paper.head else []
    for key, least in [*wanted, *((key, 1) for key in paper.picked_if_any)]:
        kind = entity_type(paper.kind.fields[key].f.ref or "")
        seen = policy.seen(session.actor, kind)
        if seen is not None:
            with session.store.read() as connection:
                if len(select(connection, ListQuery(kind, limit=least, restrict=seen), count=False).rows) >= least:
                    found.append((key, kind.key))
    return found


def header_value(paper: Paper, key: str, value: Any) -> Any:
    """A value of the header as verbs take it; days as people type them."""
    field = paper.kind.fields[key]
    return read_text(field, value.strip()) if field.kind == "date" and isinstance(value, str) and value.strip() else blank(value)


def blank(value: Any) -> Any:
    """A value as it compares: nothing is an empty text."""
    return "" if value is None else value


def header_text(paper: Paper, key: str, values: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """A value of the head in words, or a dash."""
    value, field = values.get(key), paper.kind.fields[key]
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    return (names.get(key) if field.f.ref else str(value)) or "—" if value else "—"
