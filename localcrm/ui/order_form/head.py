"""The head of an order: its fields, those of the company among them, as the form takes and sends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.admin.entities import LegalEntity
from localcrm.domain.crm.entities import Customer
from localcrm.domain.sales.entities import SalesOrder
from localcrm.domain.typed import read_text
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.kernel.schema import Field
from localcrm.store.query import ListQuery, select
from localcrm.ui.kit.form import editing_text
from localcrm.ui.kit.values import show

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ORDER, CUSTOMER = SalesOrder.entity_type, Customer.entity_type
HEADER = ("customer_id", "warehouse_id", "owner_id", "legal_entity_id", "date", "delivery_date", "tax_included", "remark")
#: Kinds of own fields that are not simply typed, as the script in the browser knows them.
_INPUTS = {"ref": "ref", "boolean": "boolean"}


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


def own_values(record: Mapping[str, Any]) -> dict[str, Any]:
    """Their values as the form takes them: ids, yes or no, else text as one types it."""
    return {
        field.key: value
        if value is None or field.kind in _INPUTS
        else (show(field, value) if field.options else editing_text(field, value))
        for field in own_fields()
        for value in (record.get(field.key),)
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
    if field.kind == "boolean" and value is not None:
        return _("Yes") if value else _("No")
    return (names.get(key) if field.f.ref else str(value)) or "—" if value else "—"
