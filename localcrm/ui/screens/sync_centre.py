"""The merging centre: who exchanged when and how each branch stands, invites, join requests and exchange files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain import policy
from localcrm.domain.admin.conflicts import count_open, open_by_branch
from localcrm.domain.admin.entities import BranchHolds
from localcrm.jobs import scheduler, work
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import InvalidInput, NotFound, StoreError
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.schema import entities, entity
from localcrm.kernel.spoken import write_words
from localcrm.store import changelog
from localcrm.store.migrate import SCHEMA_VERSION
from localcrm.sync import enrol, node_sync
from localcrm.sync.identity import NodeKeys
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.import_job import upload_place, uploaded
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.jobs import do_job, node_keys, working
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.menu import Action, context_menu, menu_items
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import ago, near_moment
from localcrm.ui.operations import apart, run_service, show_failure, toast
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.sync_files import FILES, came, make_file, read_files
from localcrm.ui.screens.sync_invites import invite_branch, let_branch_in
from localcrm.ui.screens.sync_keys import OwnKeys, branch_keys, compare_digits, let_keys_in, revoke_keys, what_is_compared

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

REFRESH_SECONDS = 30.0
#: A clock that is off by more is pointed out: stamps that far ahead are lowered when head office takes them in.
CLOCK_OFF = timedelta(minutes=10)


async def sync_centre(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await Centre(session).build()


class Centre:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.office = session.store.node.is_office
        self.may = session.may("sync.manage")
        self.arrived: list[str] = []
        """Tokens of files that were uploaded together and are read together."""
        self.url = ""
        """Where head office answers, as far as a branch knows."""
        self.said: Any = None
        """What the page says at present."""

    async def build(self) -> None:
        """State above, what the program does by itself below."""
        session = self.session
        with page_frame(session, title=_("Merging"), active="sync"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(_("Merging")):
                self.state_chip = ui.label().classes("lc-chip").mark("digest")
                ui.space()
                if self.may:
                    self._buttons()
            self.problem = ui.element("div").classes("lc-notices")
            self.restored = ui.element("div")
            self.peers = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("peers")
            self.own_keys = OwnKeys(session, self.problem, self._draw)
            self.to_look_at = ui.element("div").classes("lc-row").style("flex:none").mark("to-look-at")
            if self.may:
                ui.label(_("What the program does by itself")).classes("lc-sub")
                self.jobs = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("jobs")
        ui.on("sync-file", self._file_came)
        ui.on("sync-request", self._request_came)
        ui.timer(0.05, lambda: ui.run_javascript("localcrm.uploads()"), once=True)
        await self._draw()
        ui.timer(REFRESH_SECONDS, self._draw)
        session.subscribe({kind.key for kind in entities()}, lambda _changes: self._draw())

    def _buttons(self) -> None:
        if self.office:
            ui.button(_("Invite a branch…"), on_click=self._invite).props("unelevated no-caps").classes("lc-btn").props(
                "data-act=invite"
            ).mark("invite")
            _file_button(_("Read a join request…"), "sync-request", mark="request")
            _file_button(_("Read an exchange file"), "sync-file", mark="read-file", several=True)
            return
        ui.button(_("Address of head office…"), on_click=self._set_address).props("unelevated no-caps").classes("lc-btn").props(
            "data-act=address"
        ).mark("address")
        _file_button(_("Read an exchange file"), "sync-file", mark="read-file", several=True)
        ui.button(_("Make an exchange file"), on_click=self._make_file).props("unelevated no-caps").classes("lc-btn").props(
            "data-act=make-file"
        ).mark("make-file")
        ui.button(_("Exchange now"), on_click=self._exchange).props("unelevated no-caps data-act=exchange").classes("lc-pri").mark(
            "exchange"
        )

    @property
    def keys(self) -> NodeKeys:
        """The keys of this node."""
        return node_keys(self.session)

    # how things stand ------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[dict[str, Any], int, dict[str, int], tuple[str, str]]:
        store, actor, own = self.session.store, self.session.actor, ("", "")
        with suppress(NotFound, StoreError):  # a folder without its keys can still be looked at
            own = write_words(self.keys.public.spoken_fingerprint), self.keys.public.fingerprint
        status = node_sync.status(store)
        with store.read() as connection:
            return status, count_open(connection, actor), open_by_branch(connection, actor), own

    async def _draw(self) -> None:
        outcome = await run_service(self.session, self._read)
        if not outcome.ok or self.peers.is_deleted:
            return
        status, waiting, self.conflicts, own = outcome.value
        self.url = status["url"] or ""
        if self.may:
            self._draw_jobs()
        # What says the same stays: a menu that is open in it would close, and a click in this moment would be lost.
        said = (outcome.value, [_ago(moment["last_ok"]) for moment in (status, *status["branches"])])
        if said == self.said:
            return
        self.said = said
        text, tone = {
            "equal": (_("All data are equal"), "good"),
            "differs": (_("Data differ: exchange once more"), "bad"),
            "unknown": (_("Not compared yet"), ""),
        }[status["digest"]]
        if status["digest"] == "equal" and status["waiting"]:
            text, tone = _("Equal at the last exchange"), ""
        self.state_chip.set_text(text)
        self.state_chip.props(f"data-tone={tone or 'plain'}")
        self.state_chip.set_visibility(not self.office or (bool(status["branches"]) and status["digest"] != "unknown"))
        self._draw_restored(status["restored"])
        self.peers.clear()
        with self.peers:
            if self.office:
                self._draw_branches(status["branches"], status["invites"])
            else:
                self._draw_office(status)
        self._draw_to_look_at(waiting)
        self.own_keys.draw(status, *own)

    def _draw_restored(self, undecided: bool) -> None:
        """That this head office comes from a backup, and branches have what it lacks."""
        self.restored.clear()
        if not undecided:
            return
        with self.restored, ui.element("div").classes("lc-notice lc-warn").mark("restored").props('role="status"'):
            ui.icon("settings_backup_restore")
            ui.label(
                _(
                    "This head office was restored from a backup. The branches still have what was done after it, here and at their places. Until you take it back nothing is exchanged with them; nothing is lost."
                )
            ).classes("grow")
            if self.may:
                ui.button(_("Take it back…"), on_click=self._take_back).props("unelevated no-caps data-act=take-back").classes(
                    "lc-btn"
                ).mark("take-back")

    async def _take_back(self) -> None:
        """From now on branches give back what the backup lacks."""
        detail = _(
            "With its next exchange each branch gives back what it has and this backup lacks: its own work, what head office had done, and what others had sent. It is taken as it was, so do this for branches you trust. It goes on for 60 days. Branches that exchange by file read a file from here first, then bring theirs."
        )
        if await confirm(_("Take back what was done after the backup?"), detail=detail, yes=_("Take it back")):
            await self._change(lambda: node_sync.take_back(self.session.store, self.session.actor))

    def _draw_to_look_at(self, waiting: int) -> None:
        """How many conflicts wait, and the way to them."""
        self.to_look_at.clear()
        with self.to_look_at:
            if not waiting:
                ui.label(_("No conflicts to look at")).classes("lc-chip").props("data-tone=good").mark("conflict-count")
                return
            text = _("1 conflict to look at") if waiting == 1 else _("{count} conflicts to look at").format(count=f"{waiting:,}")
            with ui.element("a").props('href="/conflicts" data-act=to-conflicts').classes("lc-chip").mark("to-conflicts") as link:
                ui.label(text).mark("conflict-count")
                ui.icon("arrow_forward")
            link.props("data-tone=bad")

    def _draw_branches(self, branches: list[dict[str, Any]], invites: list[dict[str, Any]]) -> None:
        if not branches and not invites:
            with ui.element("div").classes("lc-empty"):
                ui.label(_("There are no branches yet. Invite one: it asks to join, you compare a few words by telephone and let it in."))
            return
        with ui.element("table").classes("lc-table lc-lines lc-rows lc-branches").mark("branches"):
            heads(
                _("Branch"),
                _("Last contact"),
                (_("By"), "lc-roomy"),
                (_("Waiting for it"), "lc-num"),
                (_("Conflicts"), "lc-num"),
                (_("Clock"), "lc-roomy"),
                (_("Program"), "lc-roomy"),
                _("State"),
                "",
            )
            for branch in branches:
                with ui.element("tr").mark(f"branch-{branch['code']}"):
                    self._draw_branch(branch)
            for invite in invites:
                with ui.element("tr").mark(f"invited-{invite['code']}"):
                    cell(invite["code"], "lc-strong")
                    cell("—", "lc-muted lc-none-cell")
                    for classes in ("lc-roomy", "lc-none-cell", "lc-none-cell", "lc-roomy", "lc-roomy"):
                        cell("", classes)
                    with ui.element("td"):
                        until = near_moment(datetime.fromisoformat(invite["until"]))
                        text = _("asks to join") if invite["asked"] else _("invited; may ask until {moment}").format(moment=until)
                        _chip(text, "warn" if invite["asked"] else "acc")
                    with ui.element("td").classes("lc-num"):
                        if invite["asked"] and self.may:
                            compare = ui.button(_("Compare…"), on_click=partial(self._let_in, invite["code"])).props("flat dense no-caps")
                            compare.props(f"data-act=let-in-{invite['code']}").mark(f"let-in-{invite['code']}")

    def _draw_branch(self, branch: Mapping[str, Any]) -> None:
        code = branch["code"]
        with ui.element("td"), ui.element("div").classes("lc-row lc-wrap-row"):
            ui.label(code).classes("lc-strong")
            ui.label(branch["name"])
            if branch["holds"] != BranchHolds.ALL:
                _chip(_("holds its own"), "")
            if branch["fingerprint"]:
                shown = partial(_show_fingerprint, f"{code} {branch['name']}", branch["fingerprint_words"], branch["fingerprint"])
                button = ui.button(icon="fingerprint", on_click=shown).props(f'flat dense round size=sm aria-label="{_("Fingerprint")}"')
                button.mark(f"fingerprint-{code}").props(f"data-act=fingerprint-{code}")
        cell(_ago(branch["last_ok"]), label=_("Last contact"))
        cell({None: "—", True: _("file"), False: _("network")}[branch["by_file"]], "lc-roomy lc-muted")
        with ui.element("td").classes("lc-num").props(f"data-label={quoted(_('Waiting for it'))}"):
            if branch["waiting"]:
                count = ui.button(f"{branch['waiting']:,}", on_click=partial(self._show_waiting, branch)).props("flat dense no-caps")
                count.mark(f"waiting-{code}").props(f"data-act=waiting-{code}")
            else:
                ui.label("0")
        with ui.element("td").classes("lc-num").props(f"data-label={quoted(_('Conflicts'))}").mark(f"conflicts-{code}"):
            if count := self.conflicts.get(code, 0):
                with ui.element("a").props(f'href="/conflicts?branch={code}"'):
                    ui.label(f"{count:,}").tooltip(
                        _("Conflicts that wait and concern a value of this branch. One between two branches is counted with both.")
                    )
            else:
                ui.label("0")
        worth = [
            (_("Clock"), "clock", *_clock(branch["clock_ms"])),
            (_("Program"), "program", *_program(branch["program"], branch["schema_ver"])),
        ]
        for _label, key, text, tone in worth:
            with ui.element("td").classes("lc-roomy").mark(f"{key}-{code}"):
                _chip(text, tone) if tone else ui.label(text).classes("lc-muted")
        with ui.element("td"):
            _chip(*_branch_state(branch))
            for label, _key, text, tone in worth:  # what is wrong is seen without room for its column, too
                if tone:
                    ui.label(_("{label}: {value}").format(label=label, value=text)).classes("lc-bad-text lc-small-text lc-no-room")
            if missing := branch["log_missing"]:
                text = _("Its system log lacks {count} rows").format(count=f"{missing:,}")
                ui.label(text).classes("lc-bad-text lc-small-text").mark(f"log-missing-{code}")
                if self.may:
                    seen = ui.button(_("Noted"), on_click=partial(self._acknowledge, code))
                    seen.props("flat dense no-caps size=sm").mark(f"noted-{code}")
            for text, act, ask in branch_keys(branch):
                ui.label(text).classes("lc-bad-text lc-small-text" if ask else "lc-muted lc-small-text").mark(f"keys-{code}")
                if self.may and act:
                    compare = ui.button(act, on_click=partial(let_keys_in, self.session, branch, self._change))
                    compare.props(f"flat dense no-caps size=sm data-act=compare-keys-{code}").mark(f"compare-keys-{code}")
            if held := branch["held_back"]:
                text = _("Deletes {count} × {entity} at once; not taken in").format(
                    count=f"{held['count']:,}", entity=entity(held["entity"]).label
                )
                ui.label(text).classes("lc-bad-text lc-small-text").mark(f"held-back-{code}")
                if self.may:
                    allow = ui.button(_("Allow…"), on_click=partial(self._allow_deletions, code, text))
                    allow.props(f"flat dense no-caps size=sm data-act=allow-{code}").mark(f"allow-{code}")
        with ui.element("td").classes("lc-num"):
            if self.may:
                with ui.element("div").classes("lc-row").style("justify-content:flex-end;flex-wrap:nowrap"):
                    if branch["state"] == "active":
                        make = ui.button(_("Make exchange file"), on_click=partial(self._make_file, code))
                        make.props(f"flat dense no-caps data-act=make-file-{code}").mark(f"make-file-{code}")
                    more = ui.button(icon="more_horiz").props(f'flat dense round size=sm aria-label="{_("Actions")}" data-act=more-{code}')
                    with more.mark(f"more-{code}"), ui.menu().classes("lc-menu").props("auto-close"):
                        menu_items(self._branch_actions(branch), mark="action")
        if self.may:
            context_menu(self._branch_actions(branch))

    def _branch_actions(self, branch: Mapping[str, Any]) -> list[Action]:
        code = branch["code"]
        if branch["state"] != "active":
            return [Action("reopen", _("Open again"), partial(self._reopen, code))]
        return [
            Action("make", _("Make exchange file"), partial(self._make_file, code)),
            Action("holds", _("What it holds…"), partial(self._choose_holds, code, branch["holds"])),
            Action("revoke", _("Its keys were stolen or lost…"), partial(revoke_keys, self.session, code, self._change), divided=True),
            Action("close", _("Close this branch…"), partial(self._close_branch, code), danger=True),
        ]

    async def _choose_holds(self, code: str, held: str) -> None:
        """Everything, or only its own of some kinds."""
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("holds-dialog"):
            ui.label(_("What branch {code} holds").format(code=code)).classes("lc-dialog-title")
            chosen = ui.radio({str(holds): _(holds.label) for holds in BranchHolds}, value=held).mark("holds")
            ui.label(
                _(
                    "Products and prices are everybody's in any case, and so are customers of no branch or in a pool. A branch also holds customers that something of its own is about, that are shared with it or that it worked on. What it no longer holds leaves its computer with its next exchange and stays at head office; what it wrote itself it keeps. Chosen the other way, everything comes back."
                )
            ).classes("lc-muted")
            _dialog_buttons(dialog, _("Save"), lambda: dialog.submit(chosen.value))
        answer = await answer_of(dialog)
        if answer and answer != held:
            await self._change(lambda: node_sync.set_holds(self.session.store, self.session.actor, code, BranchHolds(answer)))

    async def _close_branch(self, code: str) -> None:
        """Hear it no more."""
        detail = _(
            "Its files and its requests are refused from now on, and nothing is made for it any more. What it has, it keeps: data that are on its computer cannot be taken back. Do this when a computer was stolen, or after its last exchange when a branch is given up."
        )
        if await confirm(_("Close branch {code}?").format(code=code), detail=detail, yes=_("Close the branch"), danger=True):
            await self._change(lambda: node_sync.close_branch(self.session.store, self.session.actor, code))

    async def _reopen(self, code: str) -> None:
        """It was closed by mistake."""
        await self._change(lambda: node_sync.reopen_branch(self.session.store, self.session.actor, code))

    async def _allow_deletions(self, code: str, what: str) -> None:
        """Take in what it deletes."""
        detail = _(
            "{what}. What is taken in goes into everybody's recycle bin and can be restored. Ask the branch first whether it means it."
        )
        if await confirm(
            _("Allow branch {code} to delete so much?").format(code=code),
            detail=detail.format(what=what),
            yes=_("Allow for a day"),
            danger=True,
        ):
            await self._change(lambda: node_sync.allow_deletions(self.session.store, self.session.actor, code))

    async def _change(self, change: Callable[[], Any]) -> None:
        with self.problem:
            await run_service(self.session, change)
        await self._draw()

    async def _show_waiting(self, branch: Mapping[str, Any]) -> None:
        """What the changes are that wait for a branch."""
        outcome = await run_service(self.session, lambda: node_sync.waiting_kinds(self.session.store, branch["code"]))
        if not outcome.ok:
            return
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("waiting-dialog"):
            ui.label(_("Waiting for {branch}").format(branch=f"{branch['code']} {branch['name']}")).classes("lc-dialog-title")
            with ui.element("table").classes("lc-table"):
                heads(_("Kind of record"), (_("Changes"), "lc-num"))
                for key, count in outcome.value.items():
                    with ui.element("tr"):
                        cell(entity(key).label)
                        cell(f"{count:,}", "lc-num")
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Close"), on_click=dialog.close).props("unelevated no-caps autofocus").classes("lc-pri")
        await answer_of(dialog)

    def _draw_office(self, status: Mapping[str, Any]) -> None:
        rows = [
            (_("Last exchange"), _ago(status["last_ok"])),
            (_("Changes waiting to be sent"), f"{status['waiting']:,}"),
            (_("Address of head office"), status["url"] or _("not known; exchange by file")),
            (_("Kept here"), " · ".join(kept_here(status))),
        ]
        with ui.element("div").classes("lc-facts"):
            for label, text in rows:
                if text:
                    with ui.element("div").classes("lc-fact"):
                        ui.label(label).classes("lc-label")
                        ui.label(text)

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
        said = None
        if job.name == "exchange":
            before = await run_service(self.session, self._standing)
            said = partial(self._came, before.value) if before.ok else None
        await do_job(self.session, job, self.problem, said=said)
        with self.problem:  # the table with the button is drawn anew
            await self._draw()

    def _standing(self) -> tuple[int, int, dict[str, Any] | None]:
        """How much has been written here, how much is to be looked at, and what left last."""
        left = node_sync.status(self.session.store)["left"]
        with self.session.store.read() as connection:
            return changelog.head(connection), count_open(connection, self.session.actor), left

    def _came(self, before: tuple[int, int, dict[str, Any] | None]) -> str:
        head, conflicts, left = self._standing()
        if (head, conflicts, left) == before:
            return _("Exchanged with head office; nothing new came.")
        gone = left["count"] if left is not None and left != before[2] else 0
        return came(applied=head - before[0], conflicts=max(0, conflicts - before[1]), left=gone)

    async def _exchange(self) -> None:
        """With head office; where its address is not known, that is asked for first."""
        if not self.url and not await self._set_address():
            return
        await self._do_job(next(job for job in work.JOBS if job.name == "exchange"))

    def _working(self, text: str) -> Any:
        return working(self.problem, text)

    async def _make_file(self, code: str | None = None) -> None:
        with self.problem:  # the table with the button may be drawn anew meanwhile
            await make_file(self.session, code, lambda: self._working(_("Writing the exchange file…")))

    async def _acknowledge(self, code: str) -> None:
        """Somebody has looked into a system log that became shorter."""
        await self._change(lambda: node_sync.acknowledge_log(self.session.store, self.session.actor, code))

    async def _file_came(self, event: events.GenericEventArguments) -> None:
        if _arrived(event):
            self.arrived.append(str(event.args["token"]))
        if event.args.get("left") or not self.arrived:
            return
        tokens, self.arrived = self.arrived, []
        with self.problem:
            await read_files(self.session, tokens, lambda: self._working(_("Reading the exchange file…")))
        await self._draw()  # also of a refused one something may have been taken down

    async def _set_address(self) -> bool:
        """Ask where head office answers; whether that is known now."""
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("address-dialog"):
            ui.label(_("Address of head office")).classes("lc-dialog-title")
            ui.label(
                _("Where head office's program answers, for example https://hq.example.com. Leave it empty to exchange by file.")
            ).classes("lc-muted")
            box = ui.input(value=self.url).props('outlined dense autofocus placeholder="https://"').props("data-act=url").mark("url")
            _dialog_buttons(dialog, _("Save"), lambda: dialog.submit(box.value or ""))
        answer = await answer_of(dialog)
        if answer is None:
            return False
        outcome = await run_service(self.session, lambda: node_sync.set_office_url(self.session.store, self.session.actor, answer))
        if outcome.ok:
            await self._draw()
        return outcome.ok and bool(self.url)

    async def _invite(self) -> None:
        await invite_branch(self.session)
        await self._draw()

    async def _let_in(self, code: str) -> None:
        """A branch asks over the network."""
        with self.problem:
            await let_branch_in(self.session, code)
        await self._draw()

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
        question, public = _("Let {code} {name} in?").format(code=request.code, name=request.name), request.keys
        if not await compare_digits(question, write_words(public.spoken_fingerprint), public.fingerprint):
            return
        with self._working(_("Writing the reply…")):
            approved = await run_service(self.session, lambda: node_sync.approve(store, self.keys, self.session.actor, data))
        if approved.ok:
            _token, path = await apart(upload_place, store, "reply")
            await apart(path.write_bytes, approved.value)
            ui.download.file(path, f"{request.code}.localcrm-reply")
            toast(_("{code} is a branch now. Send it the reply.").format(code=request.code))
            await self._draw()


# texts -------------------------------------------------------------------------------------------------------------------


def _clock(off_ms: int | None) -> tuple[str, str]:
    """How far a clock is off, and the colour where that is too much."""
    if off_ms is None:
        return "—", ""
    off = timedelta(milliseconds=abs(off_ms))
    if off < timedelta(seconds=2):
        return _("right"), ""
    days, minutes, seconds = off.days, off.seconds // 60, off.seconds % 60
    if days:
        amount = _("{count} days").format(count=f"{days:,}")
    elif minutes >= 120:
        amount = _("{count} hours").format(count=minutes // 60)
    else:
        amount = _("{count} min").format(count=minutes) if minutes else _("{count} s").format(count=seconds)
    text = _("{amount} fast") if off_ms > 0 else _("{amount} slow")
    return text.format(amount=amount), "bad" if off > CLOCK_OFF else ""


def _program(version: str | None, schema: int | None) -> tuple[str, str]:
    """Which program a branch has, and whether it knows other kinds of records than this one."""
    if schema is None:
        return "—", ""
    text = version or "—"
    if schema == SCHEMA_VERSION:
        return text, ""
    return (_("{version}, older") if schema < SCHEMA_VERSION else _("{version}, newer")).format(version=text), "warn"


def _branch_state(branch: Mapping[str, Any]) -> tuple[str, str]:
    if branch["state"] != "active":
        return _("closed"), "bad"
    if branch["last_ok"] is None:
        return _("not heard of yet"), "warn"
    if branch["stale"]:
        return _("silent for very long"), "warn"
    return (_("changes wait for it"), "warn") if branch["waiting"] else (_("up to date"), "good")


def kept_here(status: Mapping[str, Any]) -> list[str]:
    """What a branch holds, where it is not everything, and what left it last; what came back since is not told of any more."""
    said = [_(BranchHolds(status["holds"]).label)] if status["holds"] != BranchHolds.ALL else []
    if (left := status["left"]) and status["holds"] == BranchHolds.CUSTOMERS:
        text = _("{count} customers are kept at head office only, {when}")
        said.append(text.format(count=f"{left['count']:,}", when=_ago(left["at"])))
    return said


def _ago(moment: str | None) -> str:
    return ago(datetime.fromisoformat(moment), now_utc()) if moment else _("never")


# pieces ------------------------------------------------------------------------------------------------------------------


def _file_button(text: str, event: str, *, mark: str, several: bool = False) -> None:
    """A button that sends a chosen file, or ``several``, and raises ``event`` for each."""
    with (
        ui.element("label")
        .classes("lc-file")
        .props(f"data-upload=/api/upload/import data-event={event} data-act={mark} tabindex=0{' data-several' if several else ''}")
        .mark(mark)
    ):
        ui.label(text)
        ui.element("input").props(f"type=file{' multiple' if several else ''}").style("display:none")


def _arrived(event: events.GenericEventArguments) -> bool:
    if event.args.get("error"):
        show_failure(InvalidInput("upload_failed", N_("{reason}"), reason=str(event.args["error"])[:300]), about=FILES)
        return False
    return True


def _dialog_buttons(dialog: ui.dialog, yes: str, submit: Callable[[], Any]) -> None:
    with ui.element("div").classes("lc-dialog-buttons"):
        ui.button(_("Cancel"), on_click=lambda: dialog.submit(None)).props("flat no-caps").classes("lc-btn")
        ui.button(yes, on_click=submit).props("unelevated no-caps data-commit").classes("lc-pri").props("data-act=dialog-yes").mark(
            "dialog-yes"
        )


def _chip(text: str, tone: str) -> None:
    ui.label(text).classes("lc-chip").props(f"data-tone={tone}").style("width:fit-content")


async def _show_fingerprint(title: str, words: str, fingerprint: str) -> None:
    """The words and digits of a branch, for whoever is asked for them by telephone."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("fingerprint-dialog"):
        ui.label(title).classes("lc-dialog-title")
        what_is_compared(words, fingerprint)
        ui.label(_("The branch sees the same words and digits on its page “Merging”.")).classes("lc-muted")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Close"), on_click=dialog.close).props("unelevated no-caps autofocus").classes("lc-pri")
    await answer_of(dialog)


register(Screen("sync", "/sync", N_("Merging"), "sync_alt", "conflict.read", sync_centre, "merging"))
