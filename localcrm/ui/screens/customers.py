"""The customer workbench."""

from __future__ import annotations

from collections.abc import Mapping

from nicegui import ui

from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.registry import Screen, register
from localcrm.ui.sessions import Session


async def customers(session: Session, parameters: Mapping[str, str]) -> None:
    """Groupings at left, list upper right, tabs of the chosen customer lower right."""
    with page_frame(session, title=_("Customers"), active="customers"):
        with page_head(_("Customers")):
            ui.space()


register(Screen("customers", "/customers", N_("Customers"), "groups", "customer.read", customers, "customers"))
