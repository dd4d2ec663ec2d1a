"""Customer satisfaction with service, and what broke again: by product, by engineer, by month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.service.satisfaction import AGAIN_DAYS
from localcrm.domain.service.tickets import TICKET
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.operations import run_verb
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.tickets import PATH, head_assets, view_links

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


async def satisfaction(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""

    async def look(_changes: object = None) -> None:
        outcome = await run_verb(session, "service.satisfaction", {"by": by.value, "days": int(days.value)})
        if outcome.ok:
            found.clear()
            with found:
                _draw(str(by.value), outcome.value["rows"], outcome.value["all"])

    with page_frame(session, title=_("Customer satisfaction"), active="tickets"):
        head_assets()
        with page_head(_("Customer satisfaction")):
            kinds = {"product": _("By product"), "engineer": _("By engineer"), "month": _("By month")}
            by = ui.select(kinds, value="product", on_change=look).props(f'outlined dense options-dense aria-label="{_("Grouped by")}"')
            by.mark("by").props("data-act=by")
            spans = {count: _("in {count} days").format(count=count) for count in (30, 90, 180, 365, 730)}
            days = ui.select(spans, value=365, on_change=look).props(f'outlined dense options-dense aria-label="{_("Days")}"').mark("days")
            ui.space()
            view_links("satisfaction")
        found = ui.element("div").classes("lc-card lc-scroll").style("flex:0 1 auto").mark("found").props("data-act=found")
        note = _("Closed tickets of these days. “Broke again”: the same serial number came back within {days} days.").format(
            days=AGAIN_DAYS
        )
        ui.label(note).classes("lc-muted lc-small-text").style("flex:none")
        session.subscribe({TICKET.key}, look)
    await look()


def _draw(by: str, rows: list[dict[str, Any]], everything: dict[str, Any]) -> None:
    if not rows:
        ui.label(_("No ticket was closed in these days.")).classes("lc-empty lc-muted")
        return
    first = {"product": TICKET.fields["product_id"].label, "engineer": _("Engineer"), "month": _("Month")}[by]
    with ui.element("table").classes("lc-table").mark("satisfaction").props("data-act=satisfaction"):
        heads(
            first,
            (_("Closed tickets"), "lc-num lc-hide-phone"),
            (_("Answered"), "lc-num"),
            (_("Stars"), "lc-num"),
            (_("Discontented"), "lc-num lc-hide-phone"),
            (_("Faults"), "lc-num lc-hide-phone"),
            (_("Broke again"), "lc-num"),
        )
        for row in rows:
            _line(row["name"] or (_("(none)") if row["key"] is None else "…"), row)
        if len(rows) > 1:
            _line(_("All together"), everything, strong=True)


def _line(name: str, row: dict[str, Any], *, strong: bool = False) -> None:
    with ui.element("tr").props("data-group"):
        cell(name, "lc-strong" if strong else "")
        cell(f"{row['closed']:,}", "lc-num lc-hide-phone")
        cell(_share(row["asked"], row["closed"]), "lc-num", tip=f"{row['asked']:,} / {row['closed']:,}")
        cell("—" if row["stars"] is None else f"{row['stars']:.1f} ★", "lc-num lc-strong")
        with ui.element("td").classes("lc-num lc-hide-phone"):
            low = ui.label(f"{row['low']:,}")
            if row["low"]:
                low.classes("lc-chip").props("data-tone=bad").style("width:fit-content;margin-left:auto")
        cell(f"{row['faults']:,}", "lc-num lc-hide-phone")
        cell(f"{row['again']:,}" if not row["again"] else f"{row['again']:,} · {_share(row['again'], row['faults'])}", "lc-num")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "—"


register(Screen("satisfaction", f"{PATH}/satisfaction", N_("Customer satisfaction"), "star", "ticket.read", satisfaction, None))
