"""Tab: what was said and done, with one line to record what just happened."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.crm.entities import Activity
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.customer.record import activity_dialog
from localcrm.ui.customer.tables import counting, reading, record_table
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.kit.form import Form
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench

ACTIVITY = Activity.entity_type
_COLUMNS = ("at", "type", "content", "comments", "result", "contact_id", "next_at", "user_id")
_QUICK = ("type", "content", "contact_id", "next_at")


def _draw(bench: Workbench, rows: list[dict[str, Any]]) -> None:
    if bench.session.may("activity.create"):
        _quick_line(bench)
    record_table(
        bench,
        ACTIVITY,
        _COLUMNS,
        rows,
        new=bench.new_activity,
        new_label=_("＋ New activity"),
        empty=_("Nothing was recorded yet."),
        open_row=partial(activity_dialog, bench.session),
    )


def _quick_line(bench: Workbench) -> None:
    """One line for what just happened; Enter goes on, Ctrl Enter saves."""
    fields = [ACTIVITY.fields[key] for key in _QUICK]
    with ui.element("div").style("padding:10px 14px;border-bottom:1px solid var(--line)").mark("quick-activity"):
        form = Form(bench.session, ACTIVITY, fields=fields, preset={"customer_id": bench.customer}, compact=True)
        form.box.classes(add="lc-quick-form")
        with form.box, ui.element("div").classes("lc-field"):
            ui.label(" ").classes("lc-label")

            async def save() -> None:
                form.clear_errors()
                values = {key: value for key, value in form.values().items() if value is not None}
                done = _("Activity recorded")
                await run_verb(
                    bench.session, "records.create_record", {"entity": "activity", "values": values}, done=done, on_error=form.show_error
                )

            ui.button(_("Record"), on_click=save).props("unelevated no-caps data-commit").classes("lc-btn").mark("quick-save")


ACTIVITIES = Tab(
    id="activity",
    label_msgid=N_("Activity records"),
    permission="activity.read",
    count=counting(ACTIVITY),
    read=reading(ACTIVITY),
    draw=_draw,
    shows=frozenset({"activity", "contact", "comment"}),
)
