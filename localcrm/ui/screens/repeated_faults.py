"""What keeps coming back: serial numbers and products with many repairs, complaints and returns in a short time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.service.tickets import TICKET
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.values import near_moment
from localcrm.ui.operations import run_verb
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.tickets import PATH, head_assets, view_links

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Ticket numbers that a line names.
_NAMED = 6


async def repeated_faults(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""

    async def look(_changes: object = None) -> None:
        wish = {"days": int(days.value), "least": int(least.value)}
        outcome = await run_verb(session, "service.repeated_faults", wish)
        if outcome.ok:
            found.clear()
            with found:
                _draw(outcome.value["rows"])

    with page_frame(session, title=_("What keeps coming back"), active="tickets"):
        head_assets()
        with page_head(_("What keeps coming back")):
            spans = {count: _("in {count} days").format(count=count) for count in (30, 90, 180, 365)}
            days = ui.select(spans, value=90, on_change=look).props(f'outlined dense options-dense aria-label="{_("Days")}"').mark("days")
            counts = {count: _("at least {count} tickets").format(count=count) for count in (2, 3, 5, 10)}
            least = (
                ui.select(counts, value=3, on_change=look).props(f'outlined dense options-dense aria-label="{_("Tickets")}"').mark("least")
            )
            ui.space()
            view_links("faults")
        found = ui.element("div").classes("lc-card lc-scroll").style("flex:0 1 auto").mark("found")
        session.subscribe({TICKET.key}, look)
    await look()


def _draw(rows: list[dict[str, Any]]) -> None:
    if not rows:
        ui.label(_("Nothing came back so often.")).classes("lc-empty lc-muted")
        return
    with ui.element("table").classes("lc-table"):
        heads(
            TICKET.fields["product_id"].label,
            TICKET.fields["serial"].label,
            (_("Tickets"), "lc-num"),
            (_("The last one"), "lc-hide-phone"),
            _("Ticket numbers"),
        )
        for row in rows:
            with ui.element("tr").props("data-fault"):
                cell(row["product"] or "—")
                cell(row["serial"] or _("the product as a whole"), "" if row["serial"] else "lc-muted")
                cell(str(row["tickets"]), "lc-num lc-strong")
                cell(near_moment(datetime.fromisoformat(row["last"])), "lc-hide-phone")
                numbers = row["numbers"]
                cell(" ".join(numbers[-_NAMED:]) + (" …" if len(numbers) > _NAMED else ""), "lc-muted lc-small-text", tip=" ".join(numbers))


register(Screen("repeated_faults", f"{PATH}/faults", N_("What keeps coming back"), "repeat", "ticket.read", repeated_faults, None))
