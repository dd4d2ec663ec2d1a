"""How opportunities come through: the funnel of the stages, why they were won and lost, what is expected in which month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.opportunities import OPPORTUNITY
from localcrm.domain.crm.pipeline import WON, Ended, Filter, Overview, overview
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import show, show_kind
from localcrm.ui.operations import run_service
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.opportunities import PATH, chosen_set, filters, set_choice, view_links

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Days that are looked at, with what they are called.
PERIODS = {30: N_("30 days"), 90: N_("90 days"), 365: N_("A year")}


async def funnel(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; ?stages= says whose."""
    await _Funnel(session, parameters.get("stages")).build()


class _Funnel:
    """One open page."""

    def __init__(self, session: Session, asked: str | None) -> None:
        self.session, self.asked = session, asked
        self.days = 90
        self.wanted = Filter()
        self.chips: dict[int, ui.button] = {}

    async def build(self) -> None:
        """Filters, then what is counted."""
        title = _("Opportunities")
        outcome = await run_service(self.session, self._read_set)
        sets: dict[str, str] = {}
        if outcome.ok:
            sets, department = outcome.value
            self.wanted = replace(self.wanted, department_id=department)
        with page_frame(self.session, title=title, active="opportunities"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}"><link rel="stylesheet" href="{asset("board.css")}">')
            with page_head(title):
                with ui.element("div").classes("lc-quick").mark("periods"):
                    for days, label in PERIODS.items():
                        chip = ui.button(gettext(label), on_click=lambda days=days: self._of(days)).props("flat dense no-caps")
                        self.chips[days] = chip.classes("lc-chip").mark(f"period-{days}")
                set_choice(sets, self.wanted.department_id, lambda chosen: f"{PATH}/funnel?stages={chosen}")
                filters(self.session, self._by_owner, self._by_branch)
                ui.space()
                view_links("funnel")
            self.page = ui.element("div").classes("lc-funnel-page").mark("funnel")
        await self._draw()
        self.session.subscribe({"opportunity", "opportunity_stage_change", "stage"}, lambda _changes: self._draw())

    def _read_set(self) -> tuple[dict[str, str], str | None]:
        with self.session.store.read() as connection:
            return chosen_set(self.session, connection, self.wanted.phase, self.asked)

    async def _of(self, days: int) -> None:
        self.days = days
        await self._draw()

    async def _by_owner(self, identity: str | None) -> None:
        self.wanted = replace(self.wanted, owner_id=identity)
        await self._draw()

    async def _by_branch(self, identity: str | None) -> None:
        self.wanted = replace(self.wanted, branch_id=identity)
        await self._draw()

    async def _draw(self) -> None:
        since = now_utc().astimezone().date() - timedelta(days=self.days)

        def read() -> Overview:
            with self.session.store.read() as connection:
                return overview(connection, self.session.actor, self.wanted, since=since)

        for days, chip in self.chips.items():
            chip.classes(add="lc-acc" if days == self.days else "", remove="" if days == self.days else "lc-acc")
        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return
        self.page.clear()
        with self.page:
            with ui.element("div").classes("lc-col"):
                self._steps(outcome.value)
                self._months(outcome.value)
            with ui.element("div").classes("lc-col"):
                self._reasons(_("Why deals were won"), [one for one in outcome.value.ended if one.won], "won")
                self._reasons(_("Why deals were lost"), [one for one in outcome.value.ended if not one.won], "lost")

    def _steps(self, found: Overview) -> None:
        with ui.element("div").classes("lc-card lc-pad").mark("steps"):
            ui.label(_("How far they came")).classes("lc-sub")
            ui.label(_("Of all opportunities that moved in this time. A stage counts those that came at least so far.")).classes("lc-muted")
            if not found.steps or not found.steps[0].count:
                ui.label(_("Nothing moved in this time.")).classes("lc-empty")
                return
            with ui.element("div").classes("lc-funnel"):
                for step in found.steps:
                    with ui.element("div").classes("lc-funnel-step"):
                        ui.label(_("Won") if step.stage == WON else found.stages.get(step.stage, "")).classes("lc-cut")
                        with ui.element("div"):
                            width = max(step.of_all, 1)
                            ui.label(f"{step.count:,}").classes("lc-funnel-bar").style(f"width:{width}%")
                        with ui.element("div").classes("lc-muted lc-small-text"):
                            ui.label(_("{percent}% of the step before").format(percent=step.of_previous))
                            if (days := found.days.get(step.stage)) is not None:
                                ui.label(_("{days} days on average").format(days=f"{days:g}"))

    def _months(self, found: Overview) -> None:
        with ui.element("div").classes("lc-card lc-pad").mark("months"):
            ui.label(_("What is expected")).classes("lc-sub")
            if not found.months:
                ui.label(_("Nothing is being negotiated.")).classes("lc-muted")
                return
            with ui.element("table").classes("lc-table"):
                heads(_("Month"), (_("How many"), "lc-num"), (_("Amount"), "lc-num"), (_("Weighted amount"), "lc-num"))
                for month in found.months:
                    with ui.element("tr"):
                        cell(month.month or _("no date"))
                        cell(f"{month.count:,}", "lc-num")
                        cell(show_kind("money", month.amount) or "—", "lc-num")
                        cell(show_kind("money", month.weighted) or "—", "lc-num")

    def _reasons(self, title: str, rows: Sequence[Ended], mark: str) -> None:
        with ui.element("div").classes("lc-card lc-pad").mark(f"reasons-{mark}"):
            ui.label(title).classes("lc-sub")
            if not rows:
                ui.label(_("None in this time.")).classes("lc-muted")
                return
            total = sum(row.count for row in rows)
            with ui.element("table").classes("lc-table"):
                heads(OPPORTUNITY.fields["reason"].label, (_("How many"), "lc-num"), ("%", "lc-num"), (_("Amount"), "lc-num"))
                for row in rows:
                    with ui.element("tr"):
                        cell(show(OPPORTUNITY.fields["reason"], row.reason) or "—")
                        cell(f"{row.count:,}", "lc-num")
                        cell(f"{row.count * 100 // total}%", "lc-num")
                        cell(show_kind("money", row.amount) or "—", "lc-num")


register(Screen("opportunity_funnel", f"{PATH}/funnel", N_("Funnel of opportunities"), "filter_alt", "opportunity.read", funnel, None))
