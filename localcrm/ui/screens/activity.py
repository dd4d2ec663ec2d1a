"""The page of one activity record, where a reminder leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.entities import Activity
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.ui.customer.record import ActivityView
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.form import load_typed
from localcrm.ui.operations import run_service
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ACTIVITY = Activity.entity_type


async def activity(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen of the record that the address names."""
    wanted = parameters["id"]
    with page_frame(session, title=ACTIVITY.label, active="customers"):
        outcome = await run_service(session, lambda: load_typed(session, ACTIVITY, parse_id(wanted)), on_error=_untold)
        with page_head(ACTIVITY.label):
            ui.space()
            if outcome.ok:
                customer = outcome.value["customer_id"]
                ui.button(_("To the customer"), on_click=lambda: ui.navigate.to(f"/customers?open={customer}")).props(
                    "unelevated no-caps"
                ).classes("lc-btn").mark("to-customer")
        if not outcome.ok:
            ui.label(_("This record does not exist, or you may not see it.")).classes("lc-empty")
            return
        with ui.element("div").classes("lc-card lc-fill lc-activity-page"):
            view = ActivityView(session, outcome.value["id"])
    await view.draw()


def _untold(_error: AppError) -> bool:
    return True


register(Screen("activity_record", "/activities/{id}", N_("Activity record"), "forum", "activity.read", activity, None))
