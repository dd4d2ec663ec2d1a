"""Import: a file or a pasted table, what its columns mean, a look at the first rows, then the run and what became of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import events, ui
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcrm.channels.tables import MAX_BYTES, MEBIBYTE, RowNote
from localcrm.domain.import_columns import column_of
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.ui.endpoints import session_of
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.import_job import ImportJob, PreviewRow, importable, upload_place, uploaded
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service, show_failure
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

POLL_SECONDS = 0.4
#: What is to be known of a file is said so often at most.
MOST_NOTES = 4
KINDS = {"csv": N_("text table (csv)"), "xlsx": N_("Excel workbook"), "vcf": N_("address cards (vCard)")}
DELIMITERS = {",": N_("comma"), "\t": N_("tab"), ";": N_("semicolon")}
ENCODINGS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "gb18030": "GBK"}


def import_wizard(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the page; ``?entity=`` chooses the kind of record."""
    ImportPage(session, parameters.get("entity", "customer")).build()


class ImportPage:
    """One open wizard."""

    def __init__(self, session: Session, entity: str) -> None:
        self.session = session
        self.kinds = importable(session.actor)
        self.kind: EntityType = next((kind for kind in self.kinds if kind.key == entity), self.kinds[0])
        self.job: ImportJob | None = None

    def build(self) -> None:
        """Everything on one page, from top to bottom."""
        with page_frame(self.session, title=_("Import"), active="import"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(_("Import")):
                ui.label(_("From a spreadsheet, a csv file or address cards")).classes("lc-muted lc-wide-only")
            self.place = ui.element("div").classes("lc-col").style("max-width:1180px;width:100%")
            self._choose_file()
        ui.on("uploaded", self._uploaded)
        self.client = ui.context.client
        self.client.on_delete(self._leave)

    def _leave(self) -> None:
        if self.job:
            self.job.cancel()
            self.job.forget()

    # 1: what and from where ------------------------------------------------------------------------------------------

    def _choose_file(self) -> None:
        self.place.clear()
        with self.place, ui.element("div").classes("lc-card").style("padding:16px;display:flex;flex-direction:column;gap:14px"):
            ui.label(_("What do you want to import?")).classes("lc-sub")
            with ui.element("div").classes("lc-quick").mark("kinds"):
                for kind in self.kinds:
                    chip = ui.button(kind.label, on_click=lambda kind=kind: self._set_kind(kind)).props("flat dense no-caps")
                    chip.classes("lc-chip" + (" lc-acc" if kind is self.kind else "")).mark(f"kind-{kind.key}")
            with ui.element("label").classes("lc-drop").props("data-upload=/api/upload/import").mark("drop"):
                ui.icon("upload_file").classes("lc-drop-icon")
                ui.label(_("Choose a file or drop it here")).classes("lc-sub")
                limit = MAX_BYTES // MEBIBYTE
                ui.label(_(".xlsx, .csv (UTF-8 or GBK) or .vcf, at most {limit} MB").format(limit=limit)).classes("lc-muted")
                ui.element("input").props('type=file accept=".csv,.xlsx,.vcf,.txt"').mark("file").style("display:none")
                ui.element("progress").props("max=100 value=0").style("display:none;width:260px")
            with ui.expansion(_("Or paste a table from a spreadsheet")).props("dense").classes("w-full").mark("paste"):
                area = (
                    ui.textarea(placeholder=_("With the headings in the first line"))
                    .props("outlined dense rows=6")
                    .classes("w-full")
                    .mark("pasted")
                )
                ui.button(_("Take this table"), on_click=lambda: self._pasted(str(area.value or ""))).props("unelevated no-caps").classes(
                    "lc-btn"
                ).props("data-act=take-pasted").mark("take-pasted")
            ui.timer(0.05, lambda: ui.run_javascript("localcrm.uploads()"), once=True)

    def _set_kind(self, kind: EntityType) -> None:
        self.kind = kind
        self._choose_file()

    async def _uploaded(self, event: events.GenericEventArguments) -> None:
        if event.args.get("error"):
            show_failure(InvalidInput("upload_failed", N_("{reason}"), reason=str(event.args["error"])[:300]))
            return
        await self._open(str(event.args["token"]), str(event.args["name"]))

    async def _pasted(self, text: str) -> None:
        if not text.strip():
            return

        def keep() -> str:
            token, path = upload_place(self.session.store, "pasted.csv")
            path.write_text(text, encoding="utf-8")
            return token

        with self.place:  # the button that was pressed is about to go
            outcome = await run_service(self.session, keep)
            if outcome.ok:
                await self._open(outcome.value, _("pasted table"))

    async def _open(self, token: str, name: str) -> None:
        session, kind = self.session, self.kind
        outcome = await run_service(session, lambda: ImportJob(session.store, session.actor, kind, uploaded(session.store, token), name))
        if outcome.ok:
            self.job = outcome.value
            self._map_columns()
            await self._look()

    # 2: columns and preview --------------------------------------------------------------------------------------------

    def _map_columns(self) -> None:
        job = self._job
        self.place.clear()
        with self.place:
            with ui.element("div").classes("lc-card").style("padding:14px 16px;display:flex;flex-direction:column;gap:12px"):
                with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
                    ui.label(job.name).classes("lc-sub lc-cut").mark("file-name")
                    for text in self._facts():
                        ui.label(text).classes("lc-chip")
                    self.count_label = ui.label().classes("lc-chip").mark("row-count")
                    self.count_label.set_visibility(False)
                    ui.space()
                    ui.button(_("Another file"), on_click=self._again).props("unelevated no-caps").classes("lc-btn").props(
                        "data-act=another"
                    ).mark("another")
                self.notes = ui.element("div").classes("lc-col").style("gap:4px").mark("file-notes")
                ui.label(_("What is in which column?")).classes("lc-label")
                with ui.element("div").classes("lc-mapping").mark("mapping"):
                    for index, header in enumerate(job.table.headers):
                        self._column(index, header)
                self.missing_label = ui.label().classes("lc-field-error").mark("missing")
                keys = ui.element("div").classes("lc-row").style("flex-wrap:wrap")
                with keys:
                    ui.label(_("A row that is already there")).classes("lc-label")
                    self.match = (
                        ui.select({}, on_change=self._matched)
                        .props("outlined dense options-dense")
                        .style("min-width:260px")
                        .props("data-act=update-on")
                        .mark("update-on")
                    )
                    ui.checkbox(_("Only if every row is valid"), value=job.only_whole, on_change=self._set_whole).props(
                        "dense data-act=only-whole"
                    ).mark("only-whole")
            self.preview_card = ui.element("div").classes("lc-card lc-scroll").style("max-height:44vh;min-height:170px").mark("preview")
            self.result_place = ui.element("div").classes("lc-col")
            self.buttons = ui.element("div").classes("lc-row").style("justify-content:flex-end;flex-wrap:wrap")
            with self.buttons:
                self.try_button = ui.button(_("Try without saving"), on_click=lambda: self._run(dry_run=True)).props("unelevated no-caps")
                self.try_button.classes("lc-btn").props("data-act=dry-run").mark("dry-run")
                with ui.button(on_click=lambda: self._run(dry_run=False)).props("unelevated no-caps data-commit").classes("lc-pri") as go:
                    self.go_label = ui.label(_("Import"))
                    ui.label("Ctrl ⏎").classes("lc-kbd")
                self.go_button = go.props("data-act=import").mark("import")
        self._show_matches()

    @property
    def _job(self) -> ImportJob:
        assert self.job is not None
        return self.job

    def _facts(self) -> list[str]:
        table = self._job.table
        facts = [_(KINDS[table.kind])]
        if table.encoding and table.kind != "xlsx":
            facts.append(ENCODINGS.get(table.encoding, table.encoding))
        if table.delimiter and table.kind == "csv":
            facts.append(_("separated by {sign}").format(sign=_(DELIMITERS.get(table.delimiter, table.delimiter))))
        return facts

    def _column(self, index: int, header: str) -> None:
        job = self._job
        options = {"": _("— leave out —"), **{column.key: column.label + (" *" if column.required else "") for column in job.columns}}

        async def changed(event: events.ValueChangeEventArguments[Any]) -> None:
            if (event.value or None) == job.mapping.get(index):
                return
            job.map_column(index, event.value or None)
            for other, select in self.selects.items():
                select.set_value(job.mapping.get(other, ""))
            self._show_matches()
            await self._look()

        if index == 0:
            self.selects: dict[int, ui.select] = {}
        with ui.element("div").classes("lc-field"):
            ui.label(header).classes("lc-label lc-cut").tooltip(header)
            select = ui.select(options, value=job.mapping.get(index, ""), on_change=changed).props("outlined dense options-dense")
            self.selects[index] = select.mark(f"column-{index}")

    def _show_matches(self) -> None:
        job = self._job
        options = {"": _("is added once more")}
        options |= {field.key: _("is updated, recognised by {field}").format(field=field.label) for field in job.keys_to_match}
        self.match.set_options(options, value=job.update_on or "")
        missing = job.missing()
        text = _("No column gives: {fields}").format(fields=_(", ").join(column.label for column in missing)) if missing else ""
        self.missing_label.set_text(text)
        self.missing_label.set_visibility(bool(text))

    def _set_whole(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._job.only_whole = bool(event.value)

    async def _matched(self, event: events.ValueChangeEventArguments[Any]) -> None:
        wish = event.value or None
        if wish != self._job.update_on:
            self._job.update_on = wish
            await self._look()

    async def _look(self) -> None:
        """Preview and number of rows."""
        job = self._job
        outcome = await run_service(self.session, job.preview)
        if outcome.ok:
            self._draw_preview(outcome.value)
        counted = await run_service(self.session, lambda: job.total or job.count())
        self._draw_notes(job.table.warnings)
        if counted.ok:
            self.count_label.set_text(_("{count} rows").format(count=f"{counted.value:,}"))
            self.count_label.set_visibility(True)
        usable = outcome.ok and counted.ok and bool(job.mapping)
        self.go_button.set_enabled(usable)
        self.try_button.set_enabled(usable)

    def _draw_notes(self, notes: Sequence[RowNote]) -> None:
        """What of the file was read otherwise than it looks in the program it comes from."""
        self.notes.clear()
        with self.notes:
            for note in notes[:MOST_NOTES]:
                with ui.element("div").classes("lc-notice lc-warn").props('role="status"'):
                    ui.icon("info")
                    ui.label(_("Row {row}: {message}").format(row=note.row, message=note.message) if note.row else note.message).classes(
                        "grow"
                    )
            if len(notes) > MOST_NOTES:
                ui.label(_("and {count} more").format(count=len(notes) - MOST_NOTES)).classes("lc-muted lc-small-text")

    def _draw_preview(self, rows: list[PreviewRow]) -> None:
        job = self._job
        self.preview_card.clear()
        used = sorted(job.mapping)
        with self.preview_card, ui.element("table").classes("lc-table lc-cells"):
            with ui.element("tr"):
                for text in ("#", *(column_of(job.kind, job.mapping[index]).label for index in used)):
                    with ui.element("th"):
                        ui.label(text)
            for row in rows:
                with ui.element("tr"):
                    with ui.element("td").classes("lc-muted"):
                        ui.label(str(row.number))
                    for index in used:
                        fault = row.faults.get(index)
                        with ui.element("td").classes("lc-bad-cell" if fault else ""):
                            ui.label(row.cells[index][:80] or "—").classes("" if row.cells[index] else "lc-muted")
                            if fault:
                                ui.label(fault).classes("lc-field-error")
                if -1 in row.faults:
                    with ui.element("tr"), ui.element("td").props(f"colspan={len(used) + 1}").classes("lc-bad-cell"):
                        ui.label(row.faults[-1]).classes("lc-field-error")

    # 3: the run and its result -------------------------------------------------------------------------------------------

    async def _run(self, *, dry_run: bool) -> None:
        job = self._job
        self.buttons.set_visibility(False)
        self.result_place.clear()
        with self.result_place, ui.element("div").classes("lc-card lc-row").style("padding:12px 16px").mark("running"):
            bar = ui.linear_progress(value=0, show_value=False).props("rounded size=8px").classes("grow")
            said = ui.label().classes("lc-muted")
            ui.button(_("Stop"), on_click=job.cancel).props("unelevated no-caps").classes("lc-btn").props("data-act=stop").mark("stop")

            def show() -> None:
                progress = job.progress
                bar.set_value(progress.done / max(progress.total, 1))
                said.set_text(_("{done} of {total} rows").format(done=f"{progress.done:,}", total=f"{progress.total:,}"))

            timer = ui.timer(POLL_SECONDS, show)
        outcome = await run_service(self.session, lambda: job.run(dry_run=dry_run))
        timer.cancel()
        self.result_place.clear()
        self.buttons.set_visibility(True)
        if outcome.ok:
            with self.result_place:
                self._show_result(dry_run=dry_run)

    def _show_result(self, *, dry_run: bool) -> None:
        progress = self._job.progress
        result = progress.result
        kept_out = self._job.only_whole and result.failed and not result.created + result.updated + result.skipped
        with ui.element("div").classes("lc-card").style("padding:14px 16px;display:flex;flex-direction:column;gap:10px").mark("result"):
            if progress.cancelled:
                title = _("Stopped. What was imported so far stays; import the file again with “is updated” to go on.")
            elif dry_run:
                title = _("Tried; nothing was saved. This is what would happen:")
            elif kept_out:
                title = _("Nothing was imported, because rows were refused:")
            else:
                title = _("Import finished")
            ui.label(title).classes("lc-sub")
            with ui.element("div").classes("lc-quick"):
                words = (
                    (_("added"), result.created, "good"),
                    (_("updated"), result.updated, "acc"),
                    (_("unchanged"), result.skipped, ""),
                    (_("refused"), result.failed, "bad"),
                )
                for word, count, tone in words:
                    ui.label(f"{word} {count:,}").classes("lc-chip").props(f"data-tone={(count and tone) or 'plain'}").mark(
                        f"result-{tone or 'same'}"
                    )
            for error in result.errors[:5]:
                ui.label(_("Row {row}: {message}").format(row=error["row"], message=error["message"])).classes("lc-field-error")
            if len(result.errors) > 5:
                ui.label(_("… and {count} more").format(count=len(result.errors) - 5)).classes("lc-muted")
            with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
                if result.errors:
                    ui.button(_("Download the refused rows"), on_click=self._download).props("unelevated no-caps").classes("lc-btn").props(
                        "data-act=failed-rows"
                    ).mark("failed-rows")
                    ui.label(_("Mend them in the spreadsheet and import that file.")).classes("lc-muted")
                if not dry_run and not kept_out:
                    path = "/customers" if self.kind.key == "customer" else f"/records/{self.kind.key}"
                    ui.button(_("Show the records"), on_click=lambda: ui.navigate.to(path)).props("unelevated no-caps").classes("lc-btn")
        if not dry_run and not kept_out:
            self.buttons.set_visibility(False)
            with self.result_place, ui.element("div").classes("lc-row").style("justify-content:flex-end"):
                ui.button(_("Import another file"), on_click=self._again).props("unelevated no-caps").classes("lc-pri").props(
                    "data-act=next-file"
                ).mark("next-file")

    async def _download(self) -> None:
        outcome = await run_service(self.session, self._job.write_failed_rows)
        if outcome.ok:
            name = f"{Path(self._job.name).stem[:60]} - {_('refused rows')}.xlsx"
            ui.download.file(Path(outcome.value), name)

    def _again(self) -> None:
        if self.job:
            self.job.forget()
        self.job = None
        self._choose_file()


# the upload itself: a plain request, so that a large file does not travel through the page's socket -----------------------


async def upload(request: Request) -> Response:
    """POST /api/upload/import?name=…: the body is the file; answers {"token"}."""
    session = session_of(request)
    try:
        token, path = await asyncio.to_thread(upload_place, session.store, request.query_params.get("name", ""))
        size = 0
        with path.open("wb") as file:
            async for block in request.stream():
                size += len(block)
                if size > MAX_BYTES:
                    break
                await asyncio.to_thread(file.write, block)
        if size > MAX_BYTES:
            path.unlink(missing_ok=True)
            raise InvalidInput(
                "file_too_large",
                N_("“{name}” has {size} MB; at most {limit} MB can be imported at once. Please split it."),
                name=request.query_params.get("name", "")[:100],
                size=f"> {MAX_BYTES // MEBIBYTE}",
                limit=MAX_BYTES // MEBIBYTE,
            )
    except AppError as error:
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)
    return Response(json.dumps({"token": token}), media_type="application/json")


ROUTES = [Route("/api/upload/import", upload, methods=["POST"])]
register(Screen("import", "/import", N_("Import"), "upload_file", "customer.import", import_wizard, "company"))
