"""Tab: the fields of the customer and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.entities import Customer
from localcrm.domain.sales.glance import Glance, customer_glances
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.connection import Connection
from localcrm.store.query import Record
from localcrm.ui.conflict_words import Told
from localcrm.ui.customer.conflicts import deleted_notice, disputed_fields, open_conflicts
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.kit.binned import binned
from localcrm.ui.kit.detail import facts, ref_names
from localcrm.ui.kit.form import load_typed
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.values import show_kind

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type


@dataclass(frozen=True, slots=True)
class _Overview:
    customer: Record
    names: dict[str, dict[str, str]]
    glance: Glance
    binned: str
    conflicts: Sequence[Told]


def _read(session: Session, connection: Connection, identity: str) -> _Overview:
    customer = load_typed(session, CUSTOMER, identity)
    glance = customer_glances(connection, session.actor, [identity])[identity]
    names = ref_names(session, CUSTOMER, customer)
    return _Overview(
        customer, names, glance, binned(connection, session.actor, CUSTOMER, customer), open_conflicts(session, connection, identity)
    )


def _draw(bench: Workbench, found: _Overview) -> None:
    glance = found.glance
    extra = [(_("Next contact"), show_kind("datetime", glance.next_contact) or "")]
    if glance.unpaid is not None:
        extra.insert(0, (_("Unpaid"), show_kind("money", glance.unpaid) or ""))
    if found.binned:
        with ui.element("div").classes("lc-overview-head"):
            deleted_notice(bench.session, found.customer, found.binned, found.conflicts)
    with ui.element("div").classes("lc-row lc-overview-head"):
        ui.label(str(found.customer["name"])).classes("lc-sub grow lc-cut lc-hide-phone")  # a phone shows it above the tabs' content
        if bench.may_change and not found.binned:
            with ui.button(on_click=bench.edit).props("unelevated no-caps").classes("lc-btn").mark("edit"):
                ui.label(_("Edit"))
                ui.label(own_key("e")).classes("lc-kbd q-ml-sm lc-hide-phone")
    told = [f for f in CUSTOMER.readable if f.key != "name" and (f.f.editable or found.customer.get(f.key) is not None)]
    facts(CUSTOMER, found.customer, found.names, told, extra, disputed=disputed_fields(found.conflicts, str(found.customer["id"])))


OVERVIEW = Tab(
    id="overview",
    label_msgid=N_("Overview"),
    read=_read,
    draw=_draw,
    shows=frozenset({"contact", "activity", "sales_order", "receipt", "conflict"}),
)
