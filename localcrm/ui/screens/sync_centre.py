"""The merging centre: who exchanged when, invites and exchange files, and what the merges want a person to look at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain import policy
from localcrm.domain.admin.entities import Conflict, ConflictKind
from localcrm.jobs import scheduler, work
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType, entities, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select, stored_value, titles
from localcrm.sync import enrol, node_sync
from localcrm.sync.identity import NodeKeys
from localcrm.ui.endpoints import record_path
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.import_job import upload_place, uploaded
from localcrm.ui.kit.dialogs import confirm
from localcrm.ui.kit.jobs import do_job, node_keys, working
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import ago, near_moment, show
from localcrm.ui.operations import run_service, run_verb, show_failure, toast
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CONFLICT = Conflict.entity_type
CARDS = 30
REFRESH_SECONDS = 30.0


async def sync_centre(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await Centre(session).build()


class Centre:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.office = session.store.node.is_office
        self.may = session.may("sync.manage")
        self.may_resolve = session.may("conflict.resolve")

    async def build(self) -> None:
        """State above, conflicts below."""
        session = self.session
        with page_frame(session, title=_("Merging"), active="sync"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(_("Merging")):
                self.state_chip = ui.label().classes("lc-chip").mark("digest")
                ui.space()
                if self.may:
                    self._buttons()
            self.problem = ui.element("div").classes("lc-notices")
            self.peers = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("peers")
            with ui.element("div").classes("lc-head"):
                ui.label(_("For you to look at")).classes("lc-sub")
                self.count_chip = ui.label().classes("lc-chip").mark("conflict-count")
            self.list = ui.element("div").classes("lc-col").style("flex:none").mark("conflicts")
            if self.may:
                ui.label(_("What the program does by itself")).classes("lc-sub")
                self.jobs = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("jobs")
        ui.on("sync-file", self._file_came)
        ui.on("sync-request", self._request_came)
        ui.timer(0.05, lambda: ui.run_javascript("localcrm.uploads()"), once=True)
        await self._draw()
        ui.timer(REFRESH_SECONDS, self._draw_state)
        session.subscribe({kind.key for kind in entities()}, lambda changes: self._draw(conflicts=changes.touches("conflict")))

    def _buttons(self) -> None:
        if self.office:
            ui.button(_("Invite a branch…"), on_click=self._invite).props("unelevated no-caps").classes("lc-btn").props(
                "data-act=invite"
            ).mark("invite")
            _file_button(_("Read a join request…"), "sync-request", mark="request")
            _file_button(_("Read an exchange file"), "sync-file", mark="read-file")
            return
        ui.button(_("Address of head office…"), on_click=self._set_address).props("unelevated no-caps").classes("lc-btn").props(
            "data-act=address"
        ).mark("address")
        _file_button(_("Read an exchange file"), "sync-file", mark="read-file")
        ui.button(_("Make an exchange file"), on_click=self._make_file).props("unelevated no-caps").classes("lc-btn").props(
            "data-act=make-file"
        ).mark("make-file")
        with (
            ui.button(on_click=self._exchange)
            .props("unelevated no-caps")
            .classes("lc-pri")
            .props("data-act=exchange")
            .mark("exchange") as button
        ):
            ui.label(_("Exchange now"))
        self.exchange_button = button

    @property
    def keys(self) -> NodeKeys:
        """The keys of this node."""
        return node_keys(self.session)

    # how things stand ------------------------------------------------------------------------------------------------

    async def _draw(self, *, conflicts: bool = True) -> None:
        await self._draw_state()
        if conflicts:
            await self._draw_conflicts()

    async def _draw_state(self) -> None:
        outcome = await run_service(self.session, lambda: node_sync.status(self.session.store))
        if not outcome.ok:
            return
        status = outcome.value
        text, tone = {
            "equal": (_("All data are equal"), "good"),
            "differs": (_("Data differ: exchange once more"), "bad"),
            "unknown": (_("Not compared yet"), ""),
        }[status["digest"]]
        self.state_chip.set_text(text)
        self.state_chip.props(f"data-tone={tone or 'plain'}")
        self.state_chip.set_visibility(bool(status["branches"]) or not self.office)
        self.peers.clear()
        with self.peers:
            if self.office:
                self._draw_branches(status["branches"])
            else:
                self._draw_office(status)
        if self.may:
            self._draw_jobs()

    def _draw_branches(self, branches: list[dict[str, Any]]) -> None:
        if not branches:
            with ui.element("div").classes("lc-empty"):
                ui.label(_("There are no branches yet. Invite one: it gets a file, sends a request back, and you approve it."))
            return
        with ui.element("table").classes("lc-table lc-lines").mark("branches"):
            heads(_("Branch"), _("Last contact"), (_("Waiting for it"), "lc-num"), _("State"), "")
            for branch in branches:
                with ui.element("tr").mark(f"branch-{branch['code']}"):
                    with ui.element("td"), ui.element("div").classes("lc-row"):
                        ui.label(branch["code"]).style("font-weight:650")
                        ui.label(branch["name"])
                    cell(_ago(branch["last_ok"]))
                    cell(f"{branch['waiting']:,}", "lc-num")
                    with ui.element("td"):
                        text, tone = _branch_state(branch)
                        ui.label(text).classes("lc-chip").props(f"data-tone={tone}").style("width:fit-content")
                        if missing := branch["log_missing"]:
                            text = _("Its system log lacks {count} rows").format(count=f"{missing:,}")
                            ui.label(text).classes("lc-bad-text lc-small-text").mark(f"log-missing-{branch['code']}")
                            if self.may:
                                seen = ui.button(_("Noted"), on_click=lambda code=branch["code"]: self._acknowledge(code))
                                seen.props("flat dense no-caps size=sm").mark(f"noted-{branch['code']}")
                    with ui.element("td").classes("lc-num"):
                        if self.may:
                            make = ui.button(_("Make exchange file"), on_click=lambda code=branch["code"]: self._make_file(code))
                            make.props(f"flat dense no-caps data-act=make-file-{branch['code']}").mark(f"make-file-{branch['code']}")

    def _draw_office(self, status: Mapping[str, Any]) -> None:
        rows = [
            (_("Last exchange"), _ago(status["last_ok"])),
            (_("Changes waiting to be sent"), f"{status['waiting']:,}"),
            (_("Address of head office"), status["url"] or _("not known; exchange by file")),
        ]
        with ui.element("div").classes("lc-facts"):
            for label, text in rows:
                with ui.element("div").classes("lc-fact"):
                    ui.label(label).classes("lc-label")
                    ui.label(text)
        if self.may:
            self.exchange_button.set_enabled(bool(status["url"]))

    def _draw_jobs(self) -> None:
        store = self.session.store
        self.jobs.clear()
        with self.jobs, ui.element("table").classes("lc-table"):
            heads(_("Task"), _("Last done"), _("Last failure"), "")
            for job in work.JOBS:
                if not job.wanted(store) or not self.session.may(job.permission):
                    continue
                run = scheduler.last_run(store, job.name)
                with ui.element("tr").mark(f"job-{job.name}"):
                    cell(job.label)
                    cell(ago(run.last_ok, now_utc()) if run.last_ok else _("never"))
                    cell(run.error or "—", "" if run.error else "lc-muted")
                    with ui.element("td").classes("lc-num"):
                        ui.button(_("Do it now"), on_click=lambda job=job: self._do_job(job)).props("flat dense no-caps size=sm").mark(
                            f"do-{job.name}"
                        )

    # actions -----------------------------------------------------------------------------------------------------------

    async def _do_job(self, job: work.Job) -> None:
        await do_job(self.session, job, self.problem)
        with self.problem:  # the table with the button is drawn anew
            await self._draw()

    async def _exchange(self) -> None:
        await self._do_job(next(job for job in work.JOBS if job.name == "exchange"))

    def _working(self, text: str) -> Any:
        return working(self.problem, text)

    async def _make_file(self, code: str | None = None) -> None:
        store, node = self.session.store, self.session.store.node
        target = f"{node.code}-{code or 'HQ'}-{now_utc().astimezone():%Y%m%d-%H%M}.localcrm-exchange"

        def make() -> tuple[Path, dict[str, int]]:
            policy.require(self.session.actor, "sync.manage")
            _token, path = upload_place(store, target)
            return path, node_sync.pack(store, self.keys, path, for_code=code)

        with self.problem:  # the table with the button may be drawn anew meanwhile
            with self._working(_("Writing the exchange file…")):
                outcome = await run_service(self.session, make)
            if outcome.ok:
                path, counts = outcome.value
                ui.download.file(path, target)
                toast(_("Exchange file with {count} changes; carry it to the other side.").format(count=f"{counts['changes']:,}"))

    async def _acknowledge(self, code: str) -> None:
        """Somebody has looked into a system log that became shorter."""
        with self.problem:
            await run_service(self.session, lambda: node_sync.acknowledge_log(self.session.store, self.session.actor, code))
        await self._draw_state()

    async def _file_came(self, event: events.GenericEventArguments) -> None:
        if not _arrived(event):
            return
        store = self.session.store

        def read() -> dict[str, Any]:
            policy.require(self.session.actor, "sync.manage")
            path = uploaded(store, str(event.args["token"]))
            try:
                return node_sync.unpack(store, self.keys, path)
            finally:
                path.unlink(missing_ok=True)

        with self._working(_("Reading the exchange file…")):
            outcome = await run_service(self.session, read)
        if outcome.ok:
            result = outcome.value
            if result["applied"] or result["conflicts"]:
                text = _("Merged: {applied} changes applied, {conflicts} to look at.")
            else:
                text = _("The file holds nothing new; everything was here already.")
            toast(text.format(applied=f"{result['applied']:,}", conflicts=f"{result['conflicts']:,}"))
            await self._draw()

    async def _set_address(self) -> None:
        status = node_sync.status(self.session.store)
        with ui.dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("address-dialog"):
            ui.label(_("Address of head office")).classes("lc-dialog-title")
            ui.label(
                _("Where head office's program answers, for example https://hq.example.com. Leave it empty to exchange by file.")
            ).classes("lc-muted")
            box = (
                ui.input(value=status["url"] or "")
                .props('outlined dense autofocus placeholder="https://"')
                .props("data-act=url")
                .mark("url")
            )
            _dialog_buttons(dialog, _("Save"), lambda: dialog.submit(box.value or ""))
        answer = await dialog
        dialog.delete()
        if answer is None:
            return
        outcome = await run_service(self.session, lambda: node_sync.set_office_url(self.session.store, self.session.actor, answer))
        if outcome.ok:
            await self._draw_state()

    async def _invite(self) -> None:
        with ui.dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("invite-dialog"):
            ui.label(_("Invite a branch")).classes("lc-dialog-title")
            box = (
                ui.input(_("Code of the branch"), placeholder="BR01")
                .props("outlined dense autofocus maxlength=12")
                .props("data-act=branch-code")
                .mark("branch-code")
            )
            with ui.element("ol").classes("lc-steps"):
                for text in (
                    _("Send the invite file to the branch."),
                    _("The branch reads it and sends its request back."),
                    _("Read the request here, compare the fingerprint by telephone, approve."),
                    _("Send the reply to the branch; it holds everything the branch should know."),
                ):
                    with ui.element("li"):
                        ui.label(text)
            _dialog_buttons(dialog, _("Make the invite"), lambda: dialog.submit(box.value or ""))
        code = await dialog
        dialog.delete()
        if not code:
            return
        outcome = await run_service(self.session, lambda: enrol.invite(self.session.store, self.keys, self.session.actor, code=code))
        if outcome.ok:
            ui.download.content(outcome.value, f"{code.upper()}.localcrm-invite")
            toast(_("Send the invite file to the branch."))

    async def _request_came(self, event: events.GenericEventArguments) -> None:
        if not _arrived(event):
            return
        store = self.session.store

        def look() -> tuple[bytes, Any]:
            policy.require(self.session.actor, "sync.manage")
            path = uploaded(store, str(event.args["token"]))
            data = path.read_bytes()
            path.unlink()
            return data, enrol.look_at_request(store, data)

        outcome = await run_service(self.session, look)
        if not outcome.ok:
            return
        data, request = outcome.value
        question = _("Let {code} {name} in?").format(code=request.code, name=request.name)
        detail = _("Compare by telephone: {fingerprint}. The branch sees the same digits.").format(fingerprint=request.keys.fingerprint)
        if not await confirm(question, detail=detail, yes=_("The digits agree, approve")):
            return
        with self._working(_("Writing the reply…")):
            approved = await run_service(self.session, lambda: node_sync.approve(store, self.keys, self.session.actor, data))
        if approved.ok:
            _token, path = await asyncio.to_thread(upload_place, store, "reply")
            await asyncio.to_thread(path.write_bytes, approved.value)
            ui.download.file(path, f"{request.code}.localcrm-reply")
            toast(_("{code} is a branch now. Send it the reply.").format(code=request.code))
            await self._draw()

    # conflicts ---------------------------------------------------------------------------------------------------------

    async def _draw_conflicts(self) -> None:
        outcome = await run_service(self.session, self._load_conflicts)
        if not outcome.ok:
            return
        total, rows = outcome.value
        self.count_chip.set_text(f"{total:,}")
        self.count_chip.props(f"data-tone={'bad' if total else 'good'}")
        self.list.clear()
        with self.list:
            if not rows:
                with ui.element("div").classes("lc-card lc-empty"):
                    ui.label(_("Nothing to look at: every value that was overwritten has been settled."))
            for row in rows:
                self._card(row)
            if total > len(rows):
                ui.label(_("… and {count} more").format(count=f"{total - len(rows):,}")).classes("lc-muted")

    def _load_conflicts(self) -> tuple[int, list[dict[str, Any]]]:
        session = self.session
        with session.store.read() as connection:
            query = ListQuery(
                CONFLICT, where=(Condition("state", "=", "open"),), limit=CARDS, restrict=policy.view(session.actor, CONFLICT)
            )
            page = select(connection, query)
            users = titles(connection, entity_type("user"), [row[key] for row in page.rows for key in ("kept_by", "lost_by") if row[key]])
            return page.total, [_conflict_texts(connection, row, users) for row in page.rows]

    def _card(self, row: Mapping[str, Any]) -> None:
        with ui.element("div").classes("lc-card lc-pad").mark("conflict"):
            with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
                link = ui.element("a").props(f'href="{row["path"]}"').style("font-weight:650")
                with link:
                    ui.label(row["title"])
                if row["field"]:
                    ui.label(row["field"]).classes("lc-chip")
                ui.label(row["reason"]).classes("lc-muted")
                ui.space()
                if row["base"] is not None:
                    ui.label(_("before: {value}").format(value=row["base"])).classes("lc-muted").mark("base")
            if row["kept"] is None and row["lost"] is None:
                self._settle_buttons(row)
                return
            with ui.element("div").classes("lc-values"):
                _value_box(row["kept"], row["kept_where"], _("current value"), kept=True)
                _value_box(row["lost"], row["lost_where"], _("overwritten, kept here"), kept=False)
            self._settle_buttons(row)

    def _settle_buttons(self, row: Mapping[str, Any]) -> None:
        if not self.may_resolve:
            return
        with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
            keep, take = _choices(row)
            ui.button(keep, on_click=lambda: self._resolve(row, "kept")).props("unelevated no-caps").classes("lc-btn").props(
                "data-act=keep"
            ).mark("keep")
            if row["lost"] is not None and row["kind"] in {ConflictKind.OVERWRITTEN, ConflictKind.DELETED_EDITED, ConflictKind.WATCHED}:
                ui.button(take, on_click=lambda: self._resolve(row, "lost")).props("unelevated no-caps").classes("lc-btn").props(
                    "data-act=take"
                ).mark("take")
            ui.space()
            ui.label(_("What you choose goes to every branch.")).classes("lc-muted lc-small-text lc-wide-only")

    async def _resolve(self, row: Mapping[str, Any], keep: str) -> None:
        done = _("Settled: {title}").format(title=row["title"])
        with self.problem:  # the card goes as soon as it is settled
            await run_verb(self.session, "admin.resolve_conflict", {"id": row["id"], "keep": keep}, done=done)


# texts -------------------------------------------------------------------------------------------------------------------


def _conflict_texts(connection: Connection, row: Record, users: Mapping[str, str]) -> dict[str, Any]:
    kind = next((one for one in entities() if one.key == row["entity"]), None)
    key = row["field"] or ""
    field = kind.fields.get(key) if kind else None
    found = titles(connection, kind, [row["record"]]) if kind and len(row["record"]) == 32 else {}
    label = field.label if field else "" if key == "deleted" else key
    return {
        "id": row["id"],
        "kind": row["kind"],
        "title": found.get(row["record"]) or (kind.label if kind else row["entity"]),
        "path": record_path(row["entity"], row["record"]),
        "field": label,
        "deleted": row["kept"] == "true" if key == "deleted" else None,
        "reason": gettext(CONFLICT.fields["kind"].options[row["kind"]]),
        **{side: value_text(connection, kind, key, row[side]) for side in ("base", "kept", "lost")},
        "kept_where": _where(row["kept_node"], users.get(row["kept_by"] or ""), row["kept_at"]),
        "lost_where": _where(row["lost_node"], users.get(row["lost_by"] or ""), row["lost_at"]),
    }


def _choices(row: Mapping[str, Any]) -> tuple[str, str]:
    """What the two buttons of a conflict say."""
    if row["deleted"] is not None:
        return (_("Keep it deleted"), _("Restore it")) if row["deleted"] else (_("Keep it"), _("Delete it"))
    if not row["kept"]:
        return _("Seen, leave it as it is"), _("Use {value} instead").format(value=_short(row["lost"]))
    return _("Keep {value}").format(value=_short(row["kept"])), _("Use {value} instead").format(value=_short(row["lost"]))


def value_text(connection: Connection, kind: EntityType | None, key: str, text: str | None) -> str | None:
    """A value of a conflict in words; conflicts hold it as text, because they outlive declarations."""
    if text is None:
        return None
    if key == "deleted":
        return _("deleted") if text == "true" else _("not deleted")
    field = kind.fields.get(key) if kind else None
    if field is None:
        return text
    try:
        value = field.load(stored_value(field, text))
    except InvalidInput:
        return text
    names = titles(connection, entity_type(field.f.ref), [value]) if field.f.ref and value else {}
    return show(field, value, names) or _("(empty)")


def _where(node: str | None, user: str | None, at: datetime | None) -> str:
    return " · ".join(filter(None, [" ".join(filter(None, [node, user])), near_moment(at) if at else ""]))


def _branch_state(branch: Mapping[str, Any]) -> tuple[str, str]:
    if branch["state"] != "active":
        return _("closed"), "bad"
    if branch["last_ok"] is None:
        return _("not heard of yet"), "warn"
    return (_("changes wait for it"), "warn") if branch["waiting"] else (_("up to date"), "good")


def _ago(moment: str | None) -> str:
    return ago(datetime.fromisoformat(moment), now_utc()) if moment else _("never")


def _short(text: str | None) -> str:
    text = (text or "").replace("\n", " ")
    return text if len(text) <= 24 else f"{text[:23]}…"


# pieces ------------------------------------------------------------------------------------------------------------------


def _file_button(text: str, event: str, *, mark: str) -> None:
    """A button that sends a chosen file and raises ``event``."""
    with (
        ui.element("label")
        .classes("lc-file")
        .props(f"data-upload=/api/upload/import data-event={event} data-act={mark} tabindex=0")
        .mark(mark)
    ):
        ui.label(text)
        ui.element("input").props("type=file").style("display:none")


def _arrived(event: events.GenericEventArguments) -> bool:
    if event.args.get("error"):
        show_failure(InvalidInput("upload_failed", N_("{reason}"), reason=str(event.args["error"])[:300]))
        return False
    return True


def _dialog_buttons(dialog: ui.dialog, yes: str, submit: Callable[[], Any]) -> None:
    with ui.element("div").classes("lc-dialog-buttons"):
        ui.button(_("Cancel"), on_click=lambda: dialog.submit(None)).props("flat no-caps").classes("lc-btn")
        ui.button(yes, on_click=submit).props("unelevated no-caps data-commit").classes("lc-pri").props("data-act=dialog-yes").mark(
            "dialog-yes"
        )


def _value_box(text: str | None, where: str, tag: str, *, kept: bool) -> None:
    with ui.element("div").classes("lc-value lc-kept" if kept else "lc-value").mark("kept" if kept else "lost"):
        ui.label(text if text is not None else "—").classes("lc-what")
        ui.label(where or "—").classes("lc-muted")
        ui.label(tag).classes("lc-tag" if kept else "lc-tag lc-chip")


register(Screen("sync", "/sync", N_("Merging"), "sync_alt", "conflict.read", sync_centre, "company"))
