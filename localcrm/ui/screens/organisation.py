"""Our own companies as they stand on letterheads, and the branches that work for them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import events, ui
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcrm.domain import policy, records, verbs
from localcrm.domain.admin.entities import BankAccount, Branch, LegalEntity
from localcrm.domain.admin.pictures import MAX_BYTES, read_picture
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, InvalidInput, NotFound
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.store.node import OFFICE_NO
from localcrm.store.query import ListQuery, Record, every
from localcrm.ui.endpoints import session_of
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import ago, exact
from localcrm.ui.operations import run_service, run_verb, show_failure, toast
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import delete_with_undo, history_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

COMPANY, ACCOUNT, BRANCH = LegalEntity.entity_type, BankAccount.entity_type, Branch.entity_type
PICTURES = {"logo": N_("Logo"), "seal": N_("Seal")}


@dataclass(frozen=True, slots=True)
class State:
    """Everything the screen shows, read at once."""

    companies: Sequence[Record]
    accounts: Sequence[Record]
    branches: Sequence[Record]
    peers: Mapping[int, tuple[str, int | None]]


async def organisation(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Organisation(session).build()


class _Organisation:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        here = session.store.node.is_office
        self.may = {key: here and session.may(f"{key}.update") for key in ("legal_entity", "bank_account", "branch")}

    async def build(self) -> None:
        """Companies as letterheads, then the branches."""
        title = _("Own company")
        with page_frame(self.session, title=title, active="organisation"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}"><script src="{asset("upload.js")}"></script>')
            with page_head(title):
                ui.label(_("As it stands on documents. Posted documents keep the name they were posted with.")).classes(
                    "lc-muted lc-wide-only"
                )
                ui.space()
                if self.may["legal_entity"]:
                    ui.button(_("＋ New company"), on_click=self._new).props("unelevated no-caps data-act=new data-key=n").classes(
                        "lc-pri"
                    ).mark("new")
            self.companies = ui.element("div").classes("lc-col").style("flex:none").mark("companies")
            ui.label(_("Head office and branches")).classes("lc-sub").style("flex:none")
            self.branches = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("branches")
        ui.on("picture", self._uploaded)
        await self._draw()
        self.session.subscribe({"legal_entity", "bank_account", "branch"}, lambda _changes: self._draw())

    # reading and drawing -----------------------------------------------------------------------------------------------

    def _read(self) -> State:
        session = self.session
        with session.store.read() as connection:

            def rows(kind: EntityType) -> list[Record]:
                view = policy.seen(session.actor, kind)
                query = ListQuery(kind, sort=kind.order_by or "", restrict=view)
                return [row for page in every(connection, query) for row in page.rows] if view else []

            peers = {no: (state, last_ok) for no, state, last_ok in connection.all("SELECT node_no, state, last_ok FROM sync_peer")}
            return State(rows(COMPANY), rows(ACCOUNT), rows(BRANCH), peers)

    async def _draw(self) -> None:
        outcome = await run_service(self.session, self._read)
        if not outcome.ok:
            return
        state: State = outcome.value
        self.companies.clear()
        with self.companies:
            for company in state.companies:
                self._draw_company(company, [one for one in state.accounts if one["legal_entity_id"] == company["id"]])
            if not state.companies:
                with ui.element("div").classes("lc-card lc-empty"):
                    ui.label(_("Nothing is known of your own company yet. Orders, quotes and invoices print its name."))
                    if self.may["legal_entity"]:
                        ui.button(_("＋ New company"), on_click=self._new).props("unelevated no-caps").classes("lc-btn")
        self.branches.clear()
        with self.branches:
            self._draw_branches(state)
        ui.run_javascript("localcrm.uploads()")

    def _draw_company(self, company: Record, accounts: Sequence[Record]) -> None:
        with ui.element("div").classes("lc-card lc-pad").props(f"data-company={quoted(company['id'])}").mark("company"):
            with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
                ui.label(str(company["short_name"] or company["name"])).classes("lc-sub grow")
                if self.may["legal_entity"]:
                    self._buttons(company)
            with ui.element("div").classes("lc-letter").mark("letterhead"):
                _letterhead(company, accounts)
            self._draw_accounts(company, accounts)

    def _buttons(self, company: Record) -> None:
        identity = company["id"]
        ui.button(_("Edit"), on_click=partial(self._edit, COMPANY, identity)).props("unelevated no-caps data-act=edit").classes("lc-btn")
        for use, label in PICTURES.items():
            place = (
                ui.element("label").classes("lc-file").props(f"data-upload=/api/picture/{identity}/{use} data-event=picture data-act={use}")
            )
            with place.props("tabindex=0"):
                ui.label(_("{picture}…").format(picture=_(label)))
                ui.element("input").props('type=file accept=".png,.jpg,.jpeg,.webp"').style("display:none")
        with ui.button(icon="more_horiz").props(f'flat dense round aria-label="{_("More")}" data-act=more'), ui.menu().classes("lc-menu"):
            for use, label in PICTURES.items():
                if company[use]:
                    ui.menu_item(_("Remove: {picture}").format(picture=_(label)), on_click=partial(self._no_picture, identity, use))
            ui.menu_item(_("History"), on_click=lambda: history_dialog(self.session, COMPANY, identity))
            ui.menu_item(_("Delete"), on_click=lambda: delete_with_undo(self.session, COMPANY, identity)).classes("lc-bad-text")

    def _draw_accounts(self, company: Record, accounts: Sequence[Record]) -> None:
        with ui.element("div").classes("lc-row"):
            ui.label(_("Bank accounts")).classes("lc-label grow")
            if self.may["bank_account"]:
                add = ui.button(_("＋ Account"), on_click=partial(self._edit, ACCOUNT, None, {"legal_entity_id": company["id"]}))
                add.props("flat dense no-caps data-act=add-account").mark("add-account")
        with ui.element("div"):
            for account in accounts:
                self._draw_account(account)

    def _draw_account(self, account: Record) -> None:
        with ui.element("div").classes("lc-line").props("data-account"):
            ui.label(f"{account['bank']}　{account['account']}").classes("grow").style("overflow-wrap:anywhere")
            if account["is_default"]:
                ui.label(_("Default")).classes("lc-chip lc-acc")
            if self.may["bank_account"]:
                for icon, label, run in (
                    ("edit", _("Edit"), partial(self._edit, ACCOUNT, account["id"])),
                    ("delete", _("Delete"), partial(delete_with_undo, self.session, ACCOUNT, account["id"])),
                ):
                    ui.button(icon=icon, on_click=run).props(f"flat dense round size=sm aria-label={quoted(label)}")

    def _draw_branches(self, state: State) -> None:
        names = {company["id"]: company["short_name"] or company["name"] for company in state.companies}
        with ui.element("table").classes("lc-table"):
            heads(
                _("Code"), _("Name"), (_("No."), "lc-num lc-hide-phone"), (_("Own company"), "lc-hide-phone"),
                (_("Address"), "lc-hide-phone"), (_("Phone"), "lc-hide-phone"), _("State"), _("Last exchange"), "",
            )  # fmt: skip
            for branch in sorted(state.branches, key=lambda one: one["node_no"]):
                office = branch["node_no"] == OFFICE_NO
                with ui.element("tr").props(f"data-branch={quoted(branch['code'])}"):
                    with ui.element("td").style("" if office else "padding-left:26px"):
                        ui.label(branch["code"]).classes("lc-strong" if office else "")
                    cell(branch["name"])
                    cell(str(branch["node_no"]), "lc-num lc-hide-phone lc-muted")
                    cell(names.get(branch["legal_entity_id"], "—"), "lc-hide-phone")
                    cell(branch["address"] or "—", "lc-hide-phone")
                    cell(branch["phone"] or "—", "lc-hide-phone")
                    self._draw_contact(branch["node_no"], state.peers)
                    with ui.element("td").classes("lc-num"):
                        if self.may["branch"]:
                            edit = ui.button(icon="edit", on_click=partial(self._edit, BRANCH, branch["id"]))
                            edit.props(f'flat dense round size=sm aria-label="{_("Edit")}" data-act=edit-branch')

    def _draw_contact(self, node_no: int, peers: Mapping[int, tuple[str, int | None]]) -> None:
        """State and last exchange: head office knows them of every branch, a branch of head office."""
        if node_no == self.session.store.node.node_no:
            word, tone, when = _("this computer"), "acc", None
        elif node_no in peers:
            state, last_ok = peers[node_no]
            word, tone = (_("in use"), "good") if state == "active" else (_("closed"), "bad")
            when = datetime.fromtimestamp(last_ok / 1000, tz=UTC) if last_ok else None
        else:
            word, tone, when = "—", "plain", None
        with ui.element("td"):
            ui.label(word).classes("lc-chip").props(f"data-tone={tone}")
        cell(ago(when, now_utc()) if when else "—", "lc-muted", tip=exact(when))

    # actions -----------------------------------------------------------------------------------------------------------

    async def _new(self) -> None:
        await edit_dialog(self.session, COMPANY)

    async def _edit(self, kind: EntityType, identity: str | None, preset: Mapping[str, Any] | None = None) -> None:
        await edit_dialog(self.session, kind, identity=identity, preset=preset)

    async def _no_picture(self, identity: str, use: str) -> None:
        parameters = {"legal_entity_id": identity, "use": use, "data": None}
        await run_verb(self.session, "admin.set_picture", parameters, done=_("Picture removed"))

    def _uploaded(self, event: events.GenericEventArguments) -> None:
        if event.args.get("error"):
            show_failure(InvalidInput("picture_refused", N_("{reason}"), reason=str(event.args["error"])))
        else:
            toast(_("Picture saved"))


def _letterhead(company: Record, accounts: Sequence[Record]) -> None:
    """What a document begins with."""
    if company["logo"]:
        _picture(company, "logo")
    with ui.element("div").style("flex:1 1 280px;min-width:0"):
        ui.label(company["name"]).classes("lc-letter-name")
        for label, text in (
            (_("Address"), company["address"]),
            (_("Phones"), company["phone"]),
            (_("Tax no."), company["tax_no"]),
            (_("Legal person"), company["legal_person"]),
            (_("Invoice title"), company["invoice_title"]),
        ):
            if text:
                _fact(label, str(text))
        account = next((one for one in accounts if one["is_default"]), next(iter(accounts), None))
        if account:
            _fact(_("Bank"), f"{account['bank']} {account['account']}")
    if company["seal"]:
        _picture(company, "seal")


def _fact(label: str, text: str) -> None:
    with ui.element("div").classes("lc-row").style("gap:8px;align-items:baseline"):
        ui.label(label).classes("lc-label").style("flex:none;min-width:84px")
        ui.label(text).style("overflow-wrap:anywhere")


def _picture(company: Record, use: str) -> None:
    image = (
        ui.element("img")
        .classes(f"lc-letter-{use}")
        .props(f'src="/api/picture/{company["id"]}/{use}?v={company["version"]}" data-picture={use}')
    )
    image.props(f"alt={quoted(_(PICTURES[use]))}")


# pictures over HTTP --------------------------------------------------------------------------------------------------


async def show_picture(request: Request) -> Response:
    """GET /api/picture/{id}/{use}: the bytes under the type that they themselves show, never as a page."""
    identity, use = request.path_params["id"], request.path_params["use"]

    def read() -> tuple[bytes, str]:
        session = session_of(request)
        if use not in PICTURES:
            raise NotFound("no_picture", N_("There is no such picture."))
        with session.store.read() as connection:
            kept = records.read_record(connection, session.actor, entity=COMPANY.key, id=identity).get(use)
        if not kept:
            raise NotFound("no_picture", N_("There is no such picture."))
        picture = read_picture(str(kept))
        return picture.data, picture.media_type

    try:
        data, media_type = await asyncio.to_thread(read)
    except AppError as error:
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)
    return Response(data, media_type=media_type, headers={"Cache-Control": "private, max-age=3600", "Content-Disposition": "inline"})


async def keep_picture(request: Request) -> Response:
    """POST /api/picture/{id}/{use}: the body is the file."""
    data = bytearray()
    async for block in request.stream():
        data += block
        if len(data) > MAX_BYTES:  # the verb says so; the rest need not be read
            break
    parameters = {"legal_entity_id": request.path_params["id"], "use": request.path_params["use"], "data": base64.b64encode(data).decode()}
    session = session_of(request)
    try:
        await asyncio.to_thread(verbs.run, session.store, session.actor, "admin.set_picture", parameters)
    except AppError as error:
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)
    return JSONResponse({})


ROUTES = [Route("/api/picture/{id}/{use}", show_picture, methods=["GET"]), Route("/api/picture/{id}/{use}", keep_picture, methods=["POST"])]
register(Screen("organisation", "/settings/organisation", N_("Own company"), "apartment", "legal_entity.read", organisation, "company", 20))
