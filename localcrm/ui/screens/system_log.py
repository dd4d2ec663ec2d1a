"""The system log: who signed in, set a password, took data out or in, and whether anybody has tampered with these rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain import policy
from localcrm.domain.admin.services import KEPT_AT_LEAST
from localcrm.domain.people.entities import User
from localcrm.domain.people.signing import FAULTS
from localcrm.jobs.work import JOBS
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import entities
from localcrm.store import eventlog
from localcrm.store.check import Problem, log_blind_spot, log_problems
from localcrm.store.eventlog import Event, Wanted
from localcrm.store.query import titles
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.import_job import upload_place
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.lines import heads
from localcrm.ui.kit.moments import moment_input, parse_day
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service, run_verb, toast
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

PERMISSION = "settings.manage"
ROWS = 200
#: Rows that an export reads at a time.
PORTION = 1000
#: What happened, in words; a kind that is not named here is shown as it is written.
KINDS: Mapping[str, str] = {
    "sign_in": N_("Signed in"),
    "sign_in_failed": N_("Sign-in refused"),
    "sign_out": N_("Signed out"),
    "password_set": N_("Password set"),
    "reset_asked": N_("Password reset asked for"),
    "reset_answered": N_("Password reset answered"),
    "reset_failed": N_("Password reset refused"),
    "password_reset": N_("Password reset by an answer of head office"),
    "password_recovered": N_("Password reset by the recovery code"),
    "recovery_code": N_("New recovery code made"),
    "look_as": N_("Looked as another user"),
    "import": N_("Imported"),
    "export": N_("Exported"),
    "exchange": N_("Exchanged"),
    "digest_differs": N_("Data differ from head office"),
    "data_altered": N_("Data were changed outside the program"),
    "data_mended": N_("Record mended"),
    "books_mended": N_("Booked record mended"),
    "not_mended": N_("Record differs and cannot be mended"),
    "backup": N_("Backup made"),
    "backup_tested": N_("Backup tried out"),
    "moved_away": N_("Branch moved to another computer"),
    "move_taken_back": N_("Move to another computer taken back"),
    "restore": N_("Restored from a backup"),
    "office_restored": N_("Head office was restored; agreed with it"),
    "bootstrap": N_("Took over head office's data as a whole"),
    "bootstrap_refused": N_("Head office's data as a whole were refused"),
    "taking_back": N_("Taking back what the backup lacks"),
    "setting": N_("Setting changed"),
    "person_export": N_("Took out a person's data"),
    "hidden_alike": N_("Was told that a customer of somebody else exists"),
    "hidden_alike_refused": N_("Asked for more customers of others than one is told of"),
    "pool_looked": N_("Looked into a customer pool"),
    "erased": N_("Erased a person's data"),
    "rights_refused": N_("Rights refused that head office did not sign"),
    "rights_fit": N_("Rights fit the signature again"),
    "log_shorter": N_("System log became shorter"),
    "branch_closed": N_("Branch closed"),
    "branch_reopened": N_("Branch opened again"),
    "held_applied": N_("Changes kept aside were applied"),
    "join_asked": N_("A branch asked to join"),
    "keys_changed": N_("New keys made"),
    "peer_keys_changed": N_("Followed to new keys"),
    "branch_keys_asked": N_("New keys of a branch wait to be compared"),
    "branch_keys_revoked": N_("Keys of a branch revoked"),
    "brake": N_("A great many deletions held back"),
    "brake_released": N_("A great many deletions allowed"),
    "log_shortened": N_("Old rows of the log removed"),
    "job_failed": N_("Scheduled task failed"),
    "job_done": N_("Scheduled task done"),
}
#: Of these, what somebody should look into.
_BAD = frozenset(
    {
        "sign_in_failed",
        "job_failed",
        "digest_differs",
        "rights_refused",
        "log_shorter",
        "brake",
        "branch_keys_asked",
        "data_altered",
        "data_mended",
        "books_mended",
        "not_mended",
    }
)
#: Counts in a detail, written as name=number.
_COUNTS: Mapping[str, str] = {
    "created": N_("{count} new"),
    "updated": N_("{count} changed"),
    "skipped": N_("{count} unchanged"),
    "failed": N_("{count} refused"),
    "sent": N_("{count} sent"),
    "received": N_("{count} received"),
    "applied": N_("{count} applied"),
}
#: What may be removed is at least so many years old.
_YEARS = (1, 2, 3, 5, 10)
#: Days that a clock can turn into a number everywhere.
_FIRST_DAY, _LAST_DAY = date(1970, 1, 2), date(9000, 1, 1)


@dataclass(frozen=True, slots=True)
class Line:
    """A row as people read it."""

    id: int
    at: datetime
    who: str
    what: str
    detail: str
    is_bad: bool


async def system_log(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _SystemLog(session).build()


class _SystemLog:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.wanted = Wanted()
        self.oldest: int | None = None

    async def build(self) -> None:
        """Filters above, then whether the log is whole, then its rows."""
        with page_frame(self.session, title=_("System log"), active="system_log"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            users = await run_service(self.session, self._users)
            with page_head(_("System log")):
                self._filters(users.value or {})
                ui.space()
                with ui.button(_("Export")).props("unelevated no-caps").classes("lc-btn").mark("export"), ui.menu().classes("lc-menu"):
                    for suffix, label in (("xlsx", _("Excel workbook (.xlsx)")), ("csv", _("Text table (.csv)"))):
                        ui.menu_item(label, on_click=lambda suffix=suffix: self._export(suffix)).mark(f"export-{suffix}")
                ui.button(_("Shorten…"), on_click=self._shorten).props("unelevated no-caps").classes("lc-btn").mark("shorten")
            self.proof = ui.element("div").classes("lc-notices").mark("log-proof")
            with self.proof:
                ui.label(_("Checking whether the log is whole…")).classes("lc-muted")
            with ui.element("div").classes("lc-card lc-scroll"):
                self.place = ui.element("div").mark("system-log")
                self.more = ui.button(_("Older rows"), on_click=self._older).props("flat no-caps").mark("older")
        await self._draw()
        ui.timer(0.1, self._prove, once=True)  # a long log takes a while: the page is there before

    def _filters(self, users: Mapping[str, str]) -> None:
        kinds = {"": _("Every kind"), **{kind: gettext(label) for kind, label in KINDS.items()}}
        for options, wish, label in ((kinds, "kind", _("What")), ({"": _("Everybody"), **users}, "user_id", _("Done by"))):
            box = ui.select(options, value="", on_change=lambda event, wish=wish: self._narrow(**{wish: event.value or None}))
            box.props(f"outlined dense options-dense aria-label={quoted(label)}").classes("lc-log-filter").mark(f"log-{wish}")
        for label, wish in ((_("From day"), "since"), (_("To day"), "until")):
            day = moment_input(label, with_time=False, on_change=lambda event, wish=wish: self._day(wish, event))
            day.props(f"debounce=300 placeholder={quoted(label)}").classes("lc-log-filter").mark(f"log-{wish}")
        find = ui.input(placeholder=_("Find in the detail"), on_change=lambda event: self._narrow(text=str(event.value or "")))
        find.props("outlined dense clearable debounce=200 data-find").classes("lc-log-filter").mark("log-text")

    async def _day(self, wish: str, event: events.ValueChangeEventArguments[Any]) -> None:
        text = str(event.value or "")
        day = parse_day(text, date.today())
        if day is not None or not text.strip():
            await self._narrow(**{wish: None if day is None else _midnight(day, later=int(wish == "until"))})

    async def _narrow(self, **wish: Any) -> None:
        self.wanted = replace(self.wanted, **wish)
        await self._draw()

    # reading and drawing -----------------------------------------------------------------------------------------------

    def _users(self) -> dict[str, str]:
        with self.session.store.read() as connection:
            named = titles(connection, User.entity_type, eventlog.users(connection))
        return dict(sorted(named.items(), key=lambda pair: pair[1]))

    def _read(self, wanted: Wanted, before: int | None, limit: int) -> list[Line]:
        policy.require(self.session.actor, PERMISSION)  # it may be taken away while the page is open
        with self.session.store.read() as connection:
            found = eventlog.rows(connection, wanted, before=before, limit=limit)
            names = titles(connection, User.entity_type, [event.user_id for event in found if event.user_id])
        return [_line(event, names) for event in found]

    async def _draw(self) -> None:
        wanted = self.wanted
        outcome = await run_service(self.session, lambda: self._read(wanted, None, ROWS + 1))
        if not outcome.ok or wanted is not self.wanted:  # a later wish is being answered already
            return
        self.place.clear()
        with self.place:
            if not outcome.value:
                with ui.element("div").classes("lc-empty"):
                    ui.label(_("Nothing happened yet.") if wanted == Wanted() else _("No row of the log matches."))
            else:
                self.table = ui.element("table").classes("lc-table lc-log")
                with self.table:
                    heads(_("Time"), _("Done by"), _("What"), _("Detail"))
        self._append(outcome.value)

    async def _older(self) -> None:
        wanted, oldest = self.wanted, self.oldest
        outcome = await run_service(self.session, lambda: self._read(wanted, oldest, ROWS + 1))
        if outcome.ok and (wanted, oldest) == (self.wanted, self.oldest):
            self._append(outcome.value)

    def _append(self, lines: Sequence[Line]) -> None:
        shown = lines[:ROWS]
        self.more.set_visibility(len(lines) > ROWS)
        if not shown:
            return
        self.oldest = shown[-1].id
        with self.table:
            for line in shown:
                cells = (
                    (f"{line.at:%Y-%m-%d %H:%M:%S}", ""),
                    (line.who, ""),
                    (line.what, "lc-bad-text" if line.is_bad else ""),
                    (line.detail, "lc-muted"),
                )
                with ui.element("tr").classes("lc-hover").mark(f"event-{line.id}"):
                    for text, classes in cells:
                        with ui.element("td"):
                            ui.label(text).classes(classes)

    # whether it is whole -------------------------------------------------------------------------------------------------

    def _check(self) -> tuple[list[Problem], bool, str]:
        key = self.session.program.log_key  # without it the rows can be followed, not whose they are
        with self.session.store.read() as connection:
            return list(log_problems(connection, key)), key is not None, log_blind_spot(connection)

    async def _prove(self) -> None:
        outcome = await run_service(self.session, self._check)
        self.proof.clear()
        if not outcome.ok:
            return
        problems, is_signed, blind_spot = outcome.value
        if problems:
            text = problems[0].message
            if len(problems) > 1:
                text = _("{first} And {count} more; “localcrm check” names them.").format(first=text, count=f"{len(problems) - 1:,}")
        elif is_signed:
            text = _("The log is whole: nothing was altered, removed or cut off.")
        else:
            text = _("No row was altered or removed. The keys of this installation are missing, so whose log this is cannot be told.")
        tone = "" if problems else "lc-info" if is_signed else "lc-warn"
        with self.proof, ui.element("div").classes(f"lc-notice {tone}").props('role="status"'):
            ui.icon("error_outline" if problems else "verified_user")
            ui.label(text).classes("grow")
            ui.tooltip(blind_spot).classes("lc-log-tip")

    # making it shorter ----------------------------------------------------------------------------------------------------

    async def _shorten(self) -> None:
        """Remove what is older than some years, after a look at how much that is and an offer to export it."""
        years = {
            number: _("older than {count} years").format(count=number) if number > 1 else _("older than one year") for number in _YEARS
        }
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("shorten-dialog"):
            ui.label(_("Remove old rows of the log")).classes("lc-dialog-title")
            ui.label(
                _("A signed note of where the log begins stays, so that the rest can still be proven. Removed rows do not come back.")
            ).classes("lc-muted")
            choice = (
                ui.select(years, value=_YEARS[1]).props(f'outlined dense options-dense aria-label="{_("Rows to remove")}"').mark("years")
            )
            told = ui.label().mark("shorten-count")
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                ui.space()
                take = ui.button(_("Export these rows"), on_click=lambda: self._export("xlsx", _before(choice.value)))
                take.props("unelevated no-caps").classes("lc-btn").mark("export-old")
                remove = ui.button(_("Remove rows"), on_click=lambda: dialog.submit(True)).props(
                    "unelevated no-caps data-commit color=negative"
                )
                remove.mark("remove-old")

            async def count() -> None:
                outcome = await run_service(self.session, lambda: self._count(_before(choice.value)))
                found = outcome.value or 0
                told.set_text(_("{count} rows").format(count=f"{found:,}") if found else _("No row is that old."))
                for button in (take, remove):
                    button.set_enabled(bool(found))

            choice.on_value_change(count)
        await count()
        if not await answer_of(dialog):
            return
        outcome = await run_verb(self.session, "admin.shorten_log", {"before": _before(choice.value).isoformat()})
        if outcome.ok:
            toast(_("{count} rows removed").format(count=f"{outcome.value['removed']:,}"))
            await self._draw()
            await self._prove()

    def _count(self, before: date) -> int:
        policy.require(self.session.actor, PERMISSION)
        with self.session.store.read() as connection:
            return eventlog.count_before(connection, _midnight(before))

    # taking it away ------------------------------------------------------------------------------------------------------

    async def _export(self, suffix: str, before: date | None = None) -> None:
        wanted = self.wanted if before is None else Wanted(until=_midnight(before))
        name = f"{_('System log')} {now_utc().astimezone():%Y-%m-%d}.{suffix}"
        outcome = await run_service(self.session, lambda: self._write(wanted, name))
        if outcome.ok:
            ui.download.file(outcome.value, name)

    def _write(self, wanted: Wanted, name: str) -> Path:
        from localcrm.reports.export import write_table

        store = self.session.store
        _token, path = upload_place(store, name)
        names = [_("Number"), _("Time"), _("Done by"), _("What"), _("Detail")]
        count = write_table(path, names, _rows(lambda before: self._read(wanted, before, PORTION)), kinds=_EXPORT_KINDS)
        store.log("export", user_id=self.session.user_id, detail=f"event_log {path.suffix} {count}")
        return path


_EXPORT_KINDS = ("integer", "datetime", "text", "text", "text")


def _rows(read: Callable[[int | None], Sequence[Line]]) -> Iterator[list[Any]]:
    before = None
    while lines := read(before):
        for line in lines:
            yield [line.id, line.at, line.who, line.what, line.detail]
        before = lines[-1].id


def _before(years: int) -> date:
    """The day that many years ago."""
    return date.today() - years * KEPT_AT_LEAST


def _midnight(day: date, *, later: int = 0) -> int:
    """Where a day, or one some days later, begins on the clock on the wall, in Unix milliseconds."""
    begun = min(max(day, _FIRST_DAY), _LAST_DAY) + timedelta(days=later)
    return int(datetime.combine(begun, time()).astimezone().timestamp() * 1000)


# in words ------------------------------------------------------------------------------------------------------------


def _line(event: Event, names: Mapping[str, str]) -> Line:
    at = datetime.fromtimestamp(min(max(event.at, 0), 2**47) / 1000, tz=UTC).astimezone()
    who = (
        names.get(event.user_id, event.user_id) if event.user_id else _("not signed in") if event.kind == "sign_in_failed" else _("Program")
    )
    what = gettext(KINDS[event.kind]) if event.kind in KINDS else event.kind
    return Line(event.id, at, who, what, _detail(event), event.kind in _BAD)


def _detail(event: Event) -> str:
    match event.kind:
        case "import" | "export" | "exchange" | "bootstrap" | "person_export" | "erased" | "held_applied":
            return " · ".join(_word(part) for part in event.detail.split())
        case "digest_differs" | "data_altered":
            return ", ".join(_word(part) for part in event.detail.split(","))
        case "rights_refused":
            code, _blank, number = event.detail.partition(" ")
            return gettext(FAULTS[code]).format(number=number) if code in FAULTS else event.detail
        case "log_shorter":
            code, _blank, count = event.detail.partition(" ")
            return _("{code} · {count} rows are missing").format(code=code, count=count)
        case "data_mended" | "books_mended" | "not_mended":
            return _row(event.detail)
        case "brake" | "brake_released":
            return " ".join(_word(part) for part in event.detail.split())
        case "log_shortened":
            first, _blank, last = event.detail.partition(" ")
            return _("Rows {first} to {last}").format(first=first, last=last)
        case "job_failed" | "job_done":
            job, colon, reason = event.detail.partition(": ")
            return f"{next((known.label for known in JOBS if known.name == job), job)}{colon}{reason}"
    return event.detail


def _row(detail: str) -> str:
    """A row and perhaps its fields, perhaps behind the code of a branch: each by its label."""
    parts = detail.split()
    place = next((place for place, part in enumerate(parts) if len(part) == 32), 0)
    kind = next((kind for kind in entities() if place and kind.key == parts[place - 1]), None)
    if kind is None:
        return detail
    fields = [kind.fields[key].label if key in kind.fields else _("Recycle bin") for key in ",".join(parts[place + 1 :]).split(",") if key]
    return " · ".join(filter(None, [*parts[: place - 1], kind.label, parts[place], ", ".join(fields)]))


def _word(part: str) -> str:
    """A kind of record by its label, a count in words, anything else as it is."""
    name, equals, count = part.partition("=")
    if equals and name in _COUNTS:
        return gettext(_COUNTS[name]).format(count=count)
    return _("System log") if part == "event_log" else next((kind.label for kind in entities() if kind.key == part), part)


register(Screen("system_log", "/log", N_("System log"), "receipt_long", PERMISSION, system_log, "settings", 80))
