"""Data tools: whether the data are whole, customers entered twice, one person's data out or erased, and what a demo company is for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from localcrm.domain import policy, verbs
from localcrm.domain.admin import doctor
from localcrm.domain.admin.persons import ERASABLE, PERSONS
from localcrm.domain.crm.entities import Customer
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.schema import entity as entity_type
from localcrm.reports.person import write_person
from localcrm.store.check import REPAIRABLE
from localcrm.store.query import titles
from localcrm.ui.endpoints import record_path, session_of
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.jobs import working
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service, run_verb, show_failure
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

PERMISSION = "settings.manage"
CUSTOMER = Customer.entity_type


async def data_tools(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _DataTools(session).build()


class _DataTools:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.person: dict[str, str | None] = dict.fromkeys(PERSONS)
        self.kind = PERSONS[0]

    async def build(self) -> None:
        """One card per tool."""
        title = _("Data tools")
        with page_frame(self.session, title=title, active="data_tools"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                pass
            demo = await run_service(self.session, lambda: self.session.store.meta("demo"))
            if demo.value:
                _demo_notice()
            with _tool(
                _("Integrity check"), _("Whether the data file, its history and its figures are whole. Takes a moment with many records.")
            ):
                with ui.element("div").classes("lc-row"):
                    self.check_button = ui.button(_("Check now"), on_click=self._check).props("unelevated no-caps data-act=check")
                    self.check_button.classes("lc-pri").mark("check")
                self.findings = ui.element("div").classes("lc-col").props("data-findings").mark("findings")
            if self.session.may("customer.read"):
                with _tool(
                    _("Customers entered twice"), _("The same name but for brackets, spaces and legal form, the same phone or tax number.")
                ):
                    with ui.element("div").classes("lc-row"):
                        ui.button(_("Look for them"), on_click=self._duplicates).props("unelevated no-caps data-act=duplicates").classes(
                            "lc-btn"
                        )
                    self.twins = ui.element("div").classes("lc-col").props("data-twins").mark("twins")
            if self.session.actor.is_admin:
                with _tool(_("One person's data"), _("When somebody asks what is known of them, or wants it erased.")):
                    self.chooser = ui.element("div").classes("lc-col").mark("person")
                self._draw_person()

    # is it whole -------------------------------------------------------------------------------------------------------

    async def _check(self) -> None:
        await self._examine(repair=False)

    async def _repair(self) -> None:
        await self._examine(repair=True)

    async def _examine(self, *, repair: bool) -> None:
        def examine() -> dict[str, Any]:
            policy.require(self.session.actor, PERMISSION)
            return doctor.examine(self.session.store, self.session.program.log_key, repair=repair)

        self.check_button.disable()
        self.findings.clear()
        with working(self.findings, _("Checking every record; you can go on working.")):
            outcome = await run_service(self.session, examine)
        self.check_button.enable()
        if not outcome.ok:
            return
        with self.findings:
            for problem in outcome.value["problems"]:
                with ui.element("div").classes("lc-notice").props("data-problem"):
                    ui.icon("error_outline")
                    ui.label(problem["message"]).classes("grow")
                    ui.label(problem["code"]).classes("lc-code")
            if outcome.value["ok"]:
                with ui.element("div").classes("lc-notice lc-info").props('role="status"'):
                    ui.icon("verified_user")
                    ui.label(_("Repaired. Everything is in order.") if repair else _("Everything is in order."))
            elif REPAIRABLE & {problem["code"] for problem in outcome.value["problems"]}:
                ui.label(_("Figures, indexes and rules of the file can be made anew from the records; no record is changed.")).classes(
                    "lc-muted"
                )
                ui.button(_("Repair"), on_click=self._repair).props("unelevated no-caps data-act=repair").classes("lc-btn")
            else:
                ui.label(
                    _("This cannot be put right by itself. Keep this file, and restore the last good backup into a new folder.")
                ).classes("lc-muted")

    # entered twice -----------------------------------------------------------------------------------------------------

    async def _duplicates(self) -> None:
        outcome = await run_verb(self.session, "crm.find_duplicates", {})
        if not outcome.ok:
            return
        self.twins.clear()
        with self.twins:
            if not outcome.value["rows"]:
                ui.label(_("No two customers look like one.")).classes("lc-muted")
            for group in outcome.value["rows"]:
                with ui.element("div").classes("lc-twins").props("data-twin"):
                    with ui.element("div").classes("lc-row").style("flex-wrap:wrap;gap:4px"):
                        for field in group["reasons"]:
                            ui.label(_("same: {field}").format(field=CUSTOMER.fields[field].label)).classes("lc-chip").props(
                                "data-tone=warn"
                            )
                    for customer in group["customers"]:
                        parts = (customer.get(key) for key in ("number", "name", "phone", "address"))
                        text = " · ".join(str(part) for part in parts if part)
                        ui.link(text, record_path(CUSTOMER.key, customer["id"])).style("overflow-wrap:anywhere")

    # one person --------------------------------------------------------------------------------------------------------

    def _draw_person(self) -> None:
        self.chooser.clear()
        with self.chooser:
            with ui.element("div").classes("lc-row lc-quick"):
                for key in PERSONS:
                    chip = ui.button(entity_type(key).label, on_click=partial(self._set_kind, key)).props(
                        f"flat dense no-caps data-act=kind-{key}"
                    )
                    chip.classes("lc-chip" + (" lc-acc" if key == self.kind else ""))
            with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
                with ui.element("div").style("flex:1 1 240px;max-width:380px").props("data-person"):
                    picker(self.session, self.kind, self.person[self.kind], self._set_person, create=False)
                ui.button(_("Take out as a file"), on_click=self._take_out).props("unelevated no-caps data-act=take-out").classes("lc-btn")
                if self.kind in ERASABLE and self.session.store.node.is_office:
                    erase = ui.button(_("Erase…"), on_click=self._erase).props("flat no-caps color=negative data-act=erase")
                    erase.classes("lc-btn")
            if self.kind in ERASABLE and not self.session.store.node.is_office:
                ui.label(_("Only head office erases; the order reaches every branch with the next exchange.")).classes("lc-muted")

    def _set_kind(self, kind: str) -> None:
        self.kind = kind
        self._draw_person()

    def _set_person(self, identity: str | None) -> None:
        self.person[self.kind] = identity

    def _chosen(self) -> str | None:
        identity = self.person[self.kind]
        if identity is None:
            show_failure(InvalidInput("no_person_chosen", N_("Choose a person first.")))
        return identity

    def _take_out(self) -> None:
        identity = self._chosen()
        if identity:
            ui.download.from_url(f"/api/person/{self.kind}/{identity}")

    async def _erase(self) -> None:
        identity = self._chosen()
        if not identity:
            return
        kind = entity_type(self.kind)

        def read() -> str:
            with self.session.store.read() as connection:
                return titles(connection, kind, [identity]).get(identity, "")

        outcome = await run_service(self.session, read)
        if outcome.ok and await _erase_dialog(self.session, self.kind, identity, str(outcome.value)):
            self.person[self.kind] = None
            self._draw_person()


async def _erase_dialog(session: Session, kind: str, identity: str, name: str) -> bool:
    """Say what goes and what stays; the name typed is the second yes."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("erase-dialog"):
        ui.label(_("Erase what is known of {name}?").format(name=name)).classes("lc-dialog-title")
        ui.label(
            _("Name, phone, mail, birthday and remarks are overwritten here, in the history and in the search, and at every branch with its next exchange. This cannot be undone.")
        )  # fmt: skip
        ui.label(
            _("Activity records keep their text, and backups made before keep everything until they are replaced: look through both.")
        ).classes("lc-muted")
        with ui.element("div").classes("lc-field"):
            ui.label(_("Type the name to confirm")).classes("lc-label")
            field = ui.input().props("outlined dense autofocus autocomplete=off hide-bottom-space data-act=erase-name").mark("erase-name")

        def show(error: AppError) -> bool:
            field.props("error").props["error-message"] = error.message
            field.update()
            return True

        async def erase() -> None:
            field.props(remove="error")
            wish = {"entity": kind, "id": identity, "name": str(field.value or "")}
            if (
                await run_verb(
                    session, "admin.erase_person", wish, done=_("Erased here; the branches follow with their next exchange"), on_error=show
                )
            ).ok:
                dialog.submit(True)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Erase"), on_click=erase).props("unelevated no-caps color=negative data-act=erase-now").mark("erase-now")
    return bool(await answer_of(dialog))


def _tool(title: str, text: str) -> ui.element:
    """A card for one tool; what follows goes into it."""
    box = ui.element("div").classes("lc-card lc-pad").style("flex:none")
    with box, ui.element("div"):
        ui.label(title).classes("lc-sub")
        ui.label(text).classes("lc-muted")
    return box


def _demo_notice() -> None:
    """Nothing is cleared: what was entered here may have been exchanged. An empty company is a new folder."""
    with ui.element("div").classes("lc-card lc-pad").style("flex:none").props("data-demo").mark("demo"):
        with ui.element("div"):
            ui.label(_("This is a demo company")).classes("lc-sub")
            ui.label(
                _("Its customers and orders are made up. Start your own company in a new, empty folder; this one stays as it is.")
            ).classes("lc-muted")
        ui.label(f"localcrm --data {_('NEW-FOLDER')}").style("font-family:ui-monospace,monospace;overflow-wrap:anywhere")
        ui.label(
            _("The browser then asks for the name of your company and your password. The demo can be deleted with its folder.")
        ).classes("lc-muted")


# the file --------------------------------------------------------------------------------------------------------------


async def take_out(request: Request) -> Response:
    """GET /api/person/{entity}/{id}: everything known of a person as a zip."""
    session = session_of(request)
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory)
    path = Path(folder.name) / "person.zip"
    wish = {"entity": request.path_params["entity"], "id": request.path_params["id"]}

    def write() -> str:
        data = verbs.run(session.store, session.actor, "admin.person_data", wish)
        write_person(path, data)
        return str(data["record"].get(entity_type(data["entity"]).title_field) or "")

    try:
        name = await asyncio.to_thread(write)
    except AppError as error:
        await asyncio.to_thread(folder.cleanup)
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)
    disposition = f"attachment; filename*=UTF-8''{quote(name[:60] or 'person')}.zip"
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return FileResponse(path, media_type="application/zip", headers=headers, background=BackgroundTask(folder.cleanup))


ROUTES = [Route("/api/person/{entity}/{id}", take_out, methods=["GET"])]
register(Screen("data_tools", "/settings/data", N_("Data tools"), "build", PERMISSION, data_tools, "settings", 90))
