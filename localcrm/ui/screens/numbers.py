"""Numbers of documents and cards: how each series is built, and whether any are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import verbs
from localcrm.domain.admin.numbers import PERMISSION, numbered_kinds
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.numbers import BRANCH, DATES, Reset, split
from localcrm.kernel.schema import entity as entity_type
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import ago, exact
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Periods listed at once; those with gaps come first where there are more.
MOST_RUNS = 200
MOST_DIGITS = 9
DATE_LABELS = {"{yyyyMMdd}": N_("Year, month, day"), "{yyyyMM}": N_("Year, month"), "{yyyy}": N_("Year"), "{yy}": N_("Year, two digits")}
REASONS = {"kept_out": N_("not accepted at the merge"), "changed": N_("changed by hand"), "": N_("reason not known")}


async def numbers(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Numbers(session).build()


class _Numbers:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.only_gaps = False

    async def build(self) -> None:
        """Formats above, the gap report below."""
        title = _("Numbering")
        with page_frame(self.session, title=title, active="numbers"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                if not self.session.store.node.is_office:
                    ui.label(_("Head office sets how numbers look.")).classes("lc-muted")
            self.formats = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("formats")
            with ui.element("div").classes("lc-row lc-quick").style("flex:none"):
                ui.label(_("Missing numbers")).classes("lc-sub")
                ui.space()
                self.chip = ui.button(_("Only with gaps"), on_click=self._toggle).props("flat dense no-caps data-act=only-gaps")
                self.chip.classes("lc-chip").mark("only-gaps")
            self.runs = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("runs")
        await self._draw()
        self.session.subscribe({"number_rule"}, lambda _changes: self._draw())

    async def _draw(self) -> None:
        def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
            session = self.session
            previews = [
                {"series": kind.key, **verbs.run(session.store, session.actor, "admin.preview_number", {"series": kind.key})}
                for kind in numbered_kinds()
            ]
            return previews, verbs.run(session.store, session.actor, "admin.number_gaps", {})["rows"]

        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return
        previews, self.known = outcome.value
        self.formats.clear()
        with self.formats:
            self._draw_formats(previews)
        self._draw_runs()

    def _draw_formats(self, previews: Sequence[Mapping[str, Any]]) -> None:
        with ui.element("table").classes("lc-table lc-lines"):
            heads(
                _("Kind of record"), (_("Made of"), "lc-hide-phone"), (_("Counter starts anew"), "lc-hide-phone"), _("Next number here"), ""
            )
            for row in previews:
                with ui.element("tr").props(f"data-series={row['series']}"):
                    cell(entity_type(row["series"]).label)
                    with ui.element("td").classes("lc-hide-phone"), ui.element("div").classes("lc-row").style("gap:4px"):
                        for part in split(row["format"]):
                            ui.label(_part_words(part)).classes("lc-chip" + (" lc-acc" if part[0] == "{" else ""))
                    cell(gettext(Reset(row["reset"]).label), "lc-hide-phone")
                    cell(row["number"], "lc-strong")
                    with ui.element("td").classes("lc-num"):
                        if self.session.store.node.is_office:
                            ui.button(_("Change…"), on_click=partial(self._edit, row)).props("flat dense no-caps data-act=edit").mark(
                                "edit"
                            )

    async def _edit(self, row: Mapping[str, Any]) -> None:
        with self.formats:
            await _FormatDialog(self.session, row).show()

    # what is missing ---------------------------------------------------------------------------------------------------

    def _toggle(self) -> None:
        self.only_gaps = not self.only_gaps
        self.chip.classes(add="lc-acc" if self.only_gaps else "", remove="" if self.only_gaps else "lc-acc")
        self._draw_runs()

    def _draw_runs(self) -> None:
        rows = [row for row in self.known if row["gaps"] or not self.only_gaps]
        if len(rows) > MOST_RUNS:
            rows = sorted(rows, key=lambda row: not row["gaps"])[:MOST_RUNS]
        self.runs.clear()
        with self.runs:
            if not rows:
                with ui.element("div").classes("lc-empty"):
                    ui.label(_("No number is missing.") if self.only_gaps else _("No numbers have been given yet."))
                return
            with ui.element("table").classes("lc-table lc-lines"):
                kind, branch, period, missing = _("Kind of record"), _("Branch"), _("Period"), _("Missing")
                aside = ((_("From"), "lc-hide-phone"), (_("Up to"), "lc-hide-phone"), (_("How many"), "lc-num lc-hide-phone"))
                heads(kind, branch, period, *aside, missing, (_("As of"), "lc-hide-phone"))
                for row in rows:
                    _draw_run(row)


def _draw_run(row: Mapping[str, Any]) -> None:
    with ui.element("tr").props("data-run"):
        cell(entity_type(row["series"]).label)
        cell(row["branch"])
        cell(_period_words(row["period"]))
        cell(row["first"], "lc-hide-phone")
        cell(row["last"], "lc-hide-phone")
        cell(f"{row['count']:,}", "lc-num lc-hide-phone")
        with ui.element("td"):
            if not row["gaps"]:
                ui.label(_("none")).classes("lc-chip").props("data-tone=good")
            for gap in row["gaps"]:
                span = f"{gap['first']}" if gap["first"] == gap["last"] else f"{gap['first']}–{gap['last']}"
                tone = "warn" if gap["reason"] else "bad"
                ui.label(f"{span} · {gettext(REASONS[gap['reason']])}").classes("lc-chip").props(f"data-tone={tone}").style("margin:2px")
        moment = datetime.fromisoformat(row["as_of"]) if row["as_of"] else None
        cell(_("now") if moment is None else ago(moment, now_utc()), "lc-hide-phone lc-muted", tip=exact(moment))


def _period_words(period: str) -> str:
    """20261118 as a date, 202611 as a month; "" is a counter that never starts anew."""
    return "-".join(filter(None, (period[:4], period[4:6], period[6:]))) or _("without end")


def _part_words(part: str) -> str:
    if part == BRANCH:
        return _("branch code")
    if part in DATES:
        return gettext(DATE_LABELS[part])
    return _("counter, {digits} digits").format(digits=len(part) - 2) if part[0] == "{" else part


class _FormatDialog:
    """A format as a row of segments, with the number that comes of it."""

    def __init__(self, session: Session, row: Mapping[str, Any]) -> None:
        self.session, self.series = session, row["series"]
        self.parts = list(split(row["format"]))
        self.reset = row["reset"]

    async def show(self) -> None:
        """Ask; what is refused says why while it is being put together."""
        with page_dialog() as self.dialog, ui.card().classes("lc-dialog").mark("format-dialog"):
            ui.label(_("Numbers of {kind}").format(kind=entity_type(self.series).label)).classes("lc-dialog-title")
            ui.label(_("What was given stays as it is; the next number is of the new format.")).classes("lc-muted")
            self.segments = ui.element("div").classes("lc-col").style("gap:6px")
            with ui.element("div").classes("lc-row"):
                for label, part, act in ((_("＋ Text"), "-", "add-text"), (_("＋ Date"), "{yyyyMM}", "add-date")):
                    ui.button(label, on_click=partial(self._add, part)).props(f"unelevated no-caps data-act={act}").classes("lc-btn")
            with ui.element("div").classes("lc-field").style("max-width:240px"):
                ui.label(_("Counter starts anew")).classes("lc-label")
                options = {str(one.value): gettext(one.label) for one in Reset}
                ui.select(options, value=self.reset, on_change=self._set_reset).props("outlined dense options-dense data-act=reset").mark(
                    "reset"
                )
            with ui.element("div").classes("lc-field").mark("preview").props("data-preview"):
                ui.label(_("Next number here")).classes("lc-label")
                self.number = ui.label().classes("lc-strong")
                self.problem = ui.label().classes("lc-field-error").props('role="alert"')
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=self.dialog.close).props("flat no-caps").classes("lc-btn")
                self.save = ui.button(_("Save"), on_click=self._save).props("unelevated no-caps data-commit data-act=save-format")
                self.save.classes("lc-pri").mark("save")
        self._draw()
        await self._preview()
        await answer_of(self.dialog)

    def _draw(self) -> None:
        self.segments.clear()
        with self.segments:
            for place, part in enumerate(self.parts):
                with ui.element("div").classes("lc-row").props("data-segment"):
                    self._segment(place, part)
                    ui.space()
                    for icon, label, step in (("arrow_upward", _("Up"), -1), ("arrow_downward", _("Down"), 1)):
                        button = ui.button(icon=icon, on_click=partial(self._move, place, step))
                        button.props(f"flat dense round size=sm aria-label={quoted(label)}")
                        button.set_enabled(0 <= place + step < len(self.parts))
                    fixed = part == BRANCH or part.startswith("{0")  # without them numbers would repeat
                    button = ui.button(icon="close", on_click=partial(self._remove, place))
                    button.props(f'flat dense round size=sm aria-label="{_("Remove")}"').set_enabled(not fixed)

    def _segment(self, place: int, part: str) -> None:
        label, options = _("Text"), dict[str, str]()
        if part == BRANCH:
            label = _("Branch code")
        elif part in DATES:
            label, options = _("Date"), {key: gettext(word) for key, word in DATE_LABELS.items()}
        elif part[0] == "{":
            label = _("Counter")
            options = {f"{{{'0' * n}}}": _("{digits} digits").format(digits=n) for n in range(1, MOST_DIGITS + 1)}
        ui.label(label).classes("lc-label").style("width:76px;flex:none")
        if part == BRANCH:
            ui.label(self.session.store.node.number_code).classes("lc-chip lc-acc")
        elif options:
            box = ui.select(options, value=part, on_change=lambda event: self._set(place, str(event.value)))
            box.props(f"outlined dense options-dense aria-label={quoted(label)}").style("flex:0 1 220px;min-width:0")
        else:
            field = ui.input(value=part, on_change=lambda event: self._set(place, str(event.value or "")))
            field.props(f"outlined dense debounce=200 maxlength=20 aria-label={quoted(label)} data-text").style(
                "flex:0 1 220px;min-width:0"
            )

    async def _add(self, part: str) -> None:
        self.parts.insert(len(self.parts) - 1, part)
        self._draw()
        await self._preview()

    async def _move(self, place: int, step: int) -> None:
        self.parts[place], self.parts[place + step] = self.parts[place + step], self.parts[place]
        self._draw()
        await self._preview()

    async def _remove(self, place: int) -> None:
        del self.parts[place]
        self._draw()
        await self._preview()

    async def _set(self, place: int, part: str) -> None:
        self.parts[place] = part
        await self._preview()

    async def _set_reset(self, event: Any) -> None:
        self.reset = str(event.value)
        await self._preview()

    def _wish(self) -> dict[str, str]:
        return {"series": self.series, "format": "".join(self.parts), "reset": self.reset}

    async def _preview(self) -> None:
        outcome = await run_verb(self.session, "admin.preview_number", self._wish(), on_error=self._refused)
        if outcome.ok:
            self.number.set_text(outcome.value["number"])
            self.problem.set_text("")
            self.save.enable()

    def _refused(self, error: AppError) -> bool:
        self.number.set_text("—")
        self.problem.set_text(error.message)
        self.save.disable()
        return True

    async def _save(self) -> None:
        done = _("Number format saved")
        if (await run_verb(self.session, "admin.set_number_format", self._wish(), done=done, on_error=self._refused)).ok:
            self.dialog.close()


register(Screen("numbers", "/settings/numbers", N_("Numbering"), "tag", PERMISSION, numbers, "settings", 50))
