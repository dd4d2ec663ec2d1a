"""Backups of this node and what the program does by itself: how things stand, what is set, and doing it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.people.services import check_password_strength
from localcrm.jobs import backups, scheduler, settings, work
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.node import MOVED
from localcrm.sync import moving
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.import_job import upload_place
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.jobs import do_job, working
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import ago, exact, file_size, near_moment
from localcrm.ui.operations import run_service, toast
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from localcrm.store.rehearsal import Rehearsal
    from localcrm.ui.sessions import Session

BACKUP = next(job for job in work.JOBS if job.name == work.BACKUP)
REFRESH_SECONDS = 30.0
#: A backup older than two of its turns is worth a warning.
STALE = 2 * BACKUP.every
#: Kinds of records that a tried restore names; they are enough to know one's own data again.
NAMED = 6


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as the list shows it; ``due`` None: not wanted on this node."""

    job: work.Job
    run: scheduler.JobRun
    due: datetime | None


@dataclass(frozen=True, slots=True)
class State:
    """Everything the screen shows, read at once."""

    now: datetime
    folder: Path
    files: Sequence[backups.BackupFile]
    chosen: settings.BackupSettings
    is_reachable: bool
    jobs: Sequence[JobState]


async def backups_and_schedule(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Backups(session).build()


class _Backups:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def build(self) -> None:
        """Backups, what is set for them, then every job."""
        title = _("Backups & tasks")
        with page_frame(self.session, title=title, active="backups"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                ui.space()
                self.button = ui.button(_("Back up now"), on_click=self._back_up).props("unelevated no-caps data-act=back-up")
                self.button.classes("lc-pri").mark("back-up")
            self.progress = ui.element("div").classes("lc-notices")
            self.state = ui.element("div").classes("lc-card").style("flex:none").mark("backup-state")
            self.files = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("backup-files")
            _how_to_restore()
            if not self.session.store.node.is_office:
                self._draw_move()
            ui.label(_("Settings of this computer")).classes("lc-sub")
            self.form = ui.element("div").classes("lc-card lc-pad").style("flex:none").mark("backup-settings")
            ui.label(_("What the program does by itself")).classes("lc-sub")
            self.jobs = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("jobs")
        state = await self._draw()
        if state:
            with self.form:
                self._draw_form(state.chosen)
        ui.timer(REFRESH_SECONDS, self._draw)

    # how things stand ------------------------------------------------------------------------------------------------

    def _read(self) -> State | None:
        store = self.session.store
        if not self.session.may(settings.PERMISSION):  # taken away while the page was open
            return None
        chosen = settings.backup_settings(store)
        jobs = [
            JobState(job, scheduler.last_run(store, job.name), scheduler.upcoming(store, job) if job.wanted(store) else None)
            for job in work.JOBS
        ]
        return State(now_utc(), backups.home(store), backups.all_backups(store), chosen, backups.is_reachable(store, chosen), jobs)

    async def _draw(self) -> State | None:
        outcome = await run_service(self.session, self._read)
        state: State | None = outcome.value
        if state is None:
            return None
        self.state.clear()
        with self.state:
            _draw_state(state)
        self.files.clear()
        with self.files:
            self._draw_files(state)
        self.jobs.clear()
        with self.jobs:
            self._draw_jobs(state)
        return state

    def _draw_files(self, state: State) -> None:
        if not state.files:
            with ui.element("div").classes("lc-empty"):
                ui.label(_("There is no backup yet. “Back up now” makes the first one."))
            return
        with ui.element("table").classes("lc-table lc-lines"):
            heads(_("Made"), (_("Size"), "lc-num lc-hide-phone"), _("Verified"), _("Place"), "")
            for file in state.files:
                with ui.element("tr").mark("backup-file"):
                    cell(near_moment(file.made), tip=exact(file.made))
                    cell(file_size(file.bytes), "lc-num lc-hide-phone")
                    with ui.element("td"):
                        _chip(_("verified") if file.sound else _("damaged"), "good" if file.sound else "bad")
                    cell(_("second place") if file.is_copy else _("data folder"), tip=str(file.path))
                    with ui.element("td").classes("lc-num"):
                        ui.button(_("Test restore"), on_click=partial(self._try, file)).props("flat dense no-caps data-act=try").mark("try")

    def _draw_jobs(self, state: State) -> None:
        with ui.element("table").classes("lc-table"):
            heads(_("Task"), _("Next run"), _("Last run"), _("How it ended"), "")
            for each in state.jobs:
                with ui.element("tr").mark(f"job-{each.job.name}").props(f"data-job={each.job.name}"):
                    cell(each.job.label)
                    cell(_next_words(each.due, state.now), tip=exact(each.due))
                    cell(near_moment(each.run.last_start) if each.run.last_start else _("never"), tip=exact(each.run.last_start))
                    with ui.element("td"):
                        _draw_ending(each.run)
                    with ui.element("td").classes("lc-num"):
                        if each.due is not None and self.session.may(each.job.permission):
                            ui.button(_("Run now"), on_click=partial(self._run, each.job)).props(
                                f"flat dense no-caps data-act=run-{each.job.name}"
                            ).mark(f"run-{each.job.name}")

    # actions ---------------------------------------------------------------------------------------------------------

    def _draw_move(self) -> None:
        """That the branch can move to a new computer."""
        if self.session.store.meta(MOVED):  # which the page says above
            return
        self.move = ui.element("div").classes("lc-row").style("flex:none").mark("move")
        with self.move:
            ui.label(_("A new computer for this branch?")).classes("lc-muted")
            ui.button(_("Move to a new computer…"), on_click=self._move).props("unelevated no-caps data-act=move").classes("lc-btn").mark(
                "move-button"
            )

    async def _move(self) -> None:
        """Ask for a passphrase, write the file, and say that it is over here."""
        passphrase = await _ask_passphrase()
        if passphrase is None:
            return
        session, store = self.session, self.session.store
        target = f"{store.node.code}-{now_utc().astimezone():%Y%m%d-%H%M}.localcrm-move"

        def write() -> Path:
            policy.require(session.actor, settings.PERMISSION)
            _token, path = upload_place(store, target)
            moving.move(store, session.actor, path, passphrase)
            return path

        with self.progress:
            with working(self.progress, _("Writing everything of this branch into one file; nothing can be saved meanwhile.")):
                outcome = await run_service(session, write)
            if outcome.ok:
                ui.download.file(outcome.value, target)
                self.move.delete()
                with self.progress, ui.element("div").classes("lc-notice lc-warn").mark("moved").props('role="status"'):
                    ui.icon("local_shipping")
                    ui.label(
                        _(
                            "Branch {code} is in the file {file}. Carry it to the new computer, start the program there, and on its first page choose “A branch moves to this computer”. Here nothing can be saved or exchanged any more; close the program."
                        ).format(code=store.node.code, file=target)
                    ).classes("grow")

    async def _back_up(self) -> None:
        self.button.disable()
        await self._run(BACKUP)
        self.button.enable()

    async def _run(self, job: work.Job) -> None:
        words = _("Backing up: the data are copied, then the copy is read back. You can go on working.") if job is BACKUP else ""
        await do_job(self.session, job, self.progress, words)
        with self.progress:  # the table with the button is drawn anew
            await self._draw()

    async def _try(self, file: backups.BackupFile) -> None:
        with self.progress:
            with working(self.progress, _("Restoring into a temporary folder and checking it; your data are not touched.")):
                outcome = await run_service(self.session, lambda: backups.try_restore(self.session.store, self.session.actor, file.path))
            if outcome.ok:
                await _show_rehearsal(file, outcome.value)

    # settings --------------------------------------------------------------------------------------------------------

    def _draw_form(self, chosen: settings.BackupSettings) -> None:
        with ui.element("div").classes("lc-form"):
            fields = {
                "at": _field(_("Time of day"), _("Empty: as soon as a day has passed since the last backup.")),
                "keep": _field(_("How many to keep"), _("The oldest go when a new one is there.")),
                "second": _field(_("Second place"), _("A folder on another disk or stick; every backup is copied there too. Empty: none.")),
            }
        fields["at"].props("type=time").set_value(chosen.at.isoformat("minutes") if chosen.at else "")
        fields["keep"].props(f"inputmode=numeric min={settings.FEWEST} max={settings.MOST}").set_value(str(chosen.keep))
        fields["second"].set_value(str(chosen.second or ""))
        for key, field in fields.items():
            field.props(f"data-act={key}").mark(key)

        def show(error: AppError) -> bool:
            wrong = fields.get(error.field or "") if isinstance(error, InvalidInput) else None
            if wrong is None:
                return False
            wrong.props("error").props["error-message"] = error.message
            wrong.update()
            return True

        async def save() -> None:
            for field in fields.values():
                field.props(remove="error")
            typed = {key: str(field.value or "") for key, field in fields.items()}
            session = self.session
            outcome = await run_service(
                session, lambda: settings.change_backup_settings(session.store, session.actor, **typed), on_error=show
            )
            if outcome.ok:
                fields["second"].set_value(str(outcome.value.second or ""))
                toast(_("Settings saved"))
                await self._draw()

        with ui.element("div").classes("lc-row"):
            ui.button(_("Save"), on_click=save).props("unelevated no-caps data-act=save-settings data-commit").classes("lc-pri").mark(
                "save-settings"
            )


# pieces ------------------------------------------------------------------------------------------------------------------


def _draw_state(state: State) -> None:
    here = [file for file in state.files if not file.is_copy]
    newest = here[0] if here else None
    with ui.element("div").classes("lc-facts"):
        with _fact(_("Newest backup")):
            if newest is None:
                _chip(_("none yet"), "bad")
            else:
                _chip(ago(newest.made, state.now), "good" if newest.sound and state.now - newest.made < STALE else "bad")
        with _fact(_("Place")):
            ui.label(str(state.folder))
        with _fact(_("Second place")):
            ui.label(str(state.chosen.second or _("none")))
    second = state.chosen.second
    if second is not None and not state.is_reachable:
        _warn(
            _("“{place}” cannot be reached now. Backups are made here all the same; the copies follow once the disk is back.").format(
                place=second
            ),
            "away",
        )
    elif second is not None and not state.chosen.apart:
        _warn(_("The second place is on the same disk as the data: it does not help when that disk fails."), "same-disk")


def _how_to_restore() -> None:
    with ui.element("div").classes("lc-muted").mark("how-to-restore"):
        ui.label(
            _("To restore for real, close the program and unpack a backup into a new folder, then start the program with that folder:")
        )
        for line in (f"localcrm restore {_('BACKUP-FILE')} --into {_('NEW-FOLDER')}", f"localcrm --data {_('NEW-FOLDER')}"):
            ui.label(line).style("font-family:ui-monospace,monospace;overflow-wrap:anywhere")


async def _ask_passphrase() -> str | None:
    """A passphrase for the file of a branch that moves, chosen twice alike; None when it was thought better of."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("move-dialog"):
        ui.label(_("Move this branch to a new computer?")).classes("lc-dialog-title")
        ui.label(
            _(
                "Everything this branch is and has goes into one file: data, keys, attached files, and what was not sent yet. From then on nothing can be saved or exchanged on this computer. Choose a passphrase for the file; without it nobody can open it."
            )
        ).classes("lc-muted")
        first = (
            _field(_("Passphrase for the file"), _("At least 8 characters.")).props("type=password data-act=passphrase").mark("passphrase")
        )
        again = _field(_("Passphrase again"), "").props("type=password data-act=again").mark("again")

        def choose() -> None:
            for field in (first, again):
                field.props(remove="error")
            try:
                check_password_strength(str(first.value or ""))
                if first.value != again.value:
                    raise InvalidInput("passwords_differ", N_("The two passwords differ."), field="again")
            except InvalidInput as error:
                wrong = again if error.field == "again" else first
                wrong.props("error").props["error-message"] = error.message
                wrong.update()
                return
            dialog.submit(str(first.value))

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Write the file"), on_click=choose).props("unelevated no-caps data-commit data-act=write-move").classes(
                "lc-pri"
            ).mark("write-move")
    answer = await answer_of(dialog)
    return answer if isinstance(answer, str) else None


def _draw_ending(run: scheduler.JobRun) -> None:
    """In one word, with the sentence behind it where something was wrong."""
    if run.last_start is None:
        ui.label("—").classes("lc-muted")
    elif run.ended_well:
        _chip(_("done, with a remark") if run.error else _("done"), "warn" if run.error else "good")
    else:
        _chip(_("failed") if run.error else _("not finished"), "bad" if run.error else "warn")
    if run.error:
        ui.label(run.error).classes("lc-small-text").style("overflow-wrap:anywhere").mark("job-error")


def _next_words(due: datetime | None, now: datetime) -> str:
    if due is None:
        return _("not used here")
    return near_moment(due) if due > now else _("within a minute")


async def _show_rehearsal(file: backups.BackupFile, found: Rehearsal) -> None:
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("rehearsal"):
        ui.label(_("Test restore of the backup of {when}").format(when=near_moment(file.made))).classes("lc-dialog-title")
        if found.problems:
            _chip(_("{count} problems; use another backup").format(count=f"{len(found.problems):,}"), "bad")
            for problem in found.problems[:NAMED]:
                ui.label(problem).classes("lc-small-text")
        else:
            _chip(_("This backup can be restored"), "good")
        ui.label(
            _("{count} records were read and checked in a temporary folder, which is gone again.").format(
                count=f"{sum(found.rows.values()):,}"
            )
        )
        most = sorted(((count, key) for key, count in found.rows.items() if count), reverse=True)[:NAMED]
        ui.label(" · ".join(f"{entity_type(key).label} {count:,}" for count, key in most)).classes("lc-muted")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Close"), on_click=dialog.close).props("unelevated no-caps autofocus").classes("lc-pri").mark("close")
    await answer_of(dialog)


def _fact(label: str) -> ui.element:
    box = ui.element("div").classes("lc-fact")
    with box:
        ui.label(label).classes("lc-label")
    return box


def _field(label: str, hint: str) -> ui.input:
    with ui.element("div").classes("lc-field"):
        ui.label(label).classes("lc-label")
        field = ui.input().props(f"outlined dense hide-bottom-space autocomplete=off aria-label={quoted(label)}")
        ui.label(hint).classes("lc-muted lc-small-text")
    return field


def _chip(text: str, tone: str) -> None:
    ui.label(text).classes("lc-chip").props(f"data-tone={tone}").style("width:fit-content")


def _warn(text: str, mark: str) -> None:
    with ui.element("div").classes("lc-notice lc-warn").style("margin:0 14px 14px").mark(mark):
        ui.icon("warning_amber")
        ui.label(text)


register(Screen("backups", "/settings/backups", N_("Backups & tasks"), "backup", settings.PERMISSION, backups_and_schedule, "settings", 70))
