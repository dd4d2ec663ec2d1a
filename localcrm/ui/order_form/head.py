"""The head of an order: its fields as the form takes and sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.admin.entities import LegalEntity
from localcrm.domain.crm.entities import Customer, Opportunity
from localcrm.domain.sales.entities import Contract, SalesOrder
from localcrm.domain.typed import read_text
from localcrm.kernel.i18n import gettext as _
from localcrm.store.query import ListQuery, select
from localcrm.ui.order_form.own import entered_fields, own_fields

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ORDER, CUSTOMER = SalesOrder.entity_type, Customer.entity_type
HEADER = (
    "customer_id",
    "warehouse_id",
    "owner_id",
    "legal_entity_id",
    "contract_id",
    "opportunity_id",
    "date",
    "delivery_date",
    "tax_included",
    "remark",
)


def header_keys(session: Session, *, entered: bool = False) -> list[str]:
    """Everything in the head of an order that the user sees, or may fill in."""
    return [*HEADER, *(field.key for field in (entered_fields if entered else own_fields)(session, ORDER))]


def pickers(session: Session) -> list[tuple[str, str]]:
    """What is chosen in the header: (field, kind of record); our own company only where there are several, contract and deal only where there are any."""
    found = [(key, ORDER.fields[key].f.ref or "") for key in ("customer_id", "warehouse_id", "owner_id")]
    view = policy.seen(session.actor, LegalEntity.entity_type)
    if view is not None:
        with session.store.read() as connection:
            if select(connection, ListQuery(LegalEntity.entity_type, limit=1, restrict=view)).total > 1:
                found.append(("legal_entity_id", LegalEntity.entity_type.key))
    for key, kind in (("contract_id", Contract.entity_type), ("opportunity_id", Opportunity.entity_type)):
        seen = policy.seen(session.actor, kind)
        if seen is not None:
            with session.store.read() as connection:
                if select(connection, ListQuery(kind, limit=1, restrict=seen), count=False).rows:
                    found.append((key, kind.key))
    return found


def header_value(key: str, value: Any) -> Any:
    """A value of the header as verbs take it; days as people type them."""
    field = ORDER.fields[key]
    return read_text(field, value.strip()) if field.kind == "date" and isinstance(value, str) and value.strip() else blank(value)


def blank(value: Any) -> Any:
    """A value as it compares: nothing is an empty text."""
    return "" if value is None else value


def header_text(key: str, values: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """A value of the head in words, or a dash."""
    value, field = values.get(key), ORDER.fields[key]
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    return (names.get(key) if field.f.ref else str(value)) or "—" if value else "—"
