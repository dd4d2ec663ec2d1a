"""Sharing one record: with whom, how far, until when; and ending it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.people.entities import Share
from localcrm.domain.roles import ShareLevel
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.kernel.ids import made_at
from localcrm.kernel.schema import EntityType
from localcrm.store.query import Condition, ListQuery, Record, ref_titles, select
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.moments import moment_input
from localcrm.ui.kit.picker import Picker, picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.values import near_moment
from localcrm.ui.operations import run_service, run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

SHARE = Share.entity_type
TARGETS = ("user_id", "department_id", "branch_id")


async def share_dialog(session: Session, entity: EntityType, identity: str) -> None:
    """The shares of a record, and a new one."""
    await _Sharing(session, entity, identity).open()


def shared_words(by: str, since: datetime) -> str:
    """By whom something was shared, and from when on."""
    day = near_moment(since)
    return _("by {name}, since {when}").format(name=by, when=day) if by else _("since {when}").format(when=day)


class _Sharing:
    def __init__(self, session: Session, entity: EntityType, identity: str) -> None:
        self.session, self.entity, self.identity = session, entity, identity
        self.target = "user_id"

    async def open(self) -> None:
        """Until it is closed."""
        with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("share-dialog"):
            ui.label(_("Share")).classes("lc-dialog-title")
            ui.label(
                _("Whoever may look at “{entity}” at all sees this one too, with what belongs to it.").format(entity=self.entity.label)
            ).classes("lc-muted")
            self.list = ui.element("div")
            with ui.element("div").classes("lc-form lc-two"):
                with ui.element("div").classes("lc-field"):
                    ui.label(_("Share with")).classes("lc-label")
                    kinds = {key: SHARE.fields[key].label for key in TARGETS}
                    box = ui.select(kinds, value=self.target, on_change=self._retarget)
                    box.props(f'outlined dense options-dense hide-bottom-space aria-label="{_("Share with")}"')
                with ui.element("div").classes("lc-field"):
                    ui.label(_("Name")).classes("lc-label lc-required")
                    self.place = ui.element("div")
                with ui.element("div").classes("lc-field"):
                    ui.label(_("May")).classes("lc-label")
                    levels = {level.value: gettext(level.label) for level in ShareLevel}
                    self.level = ui.select(levels, value=ShareLevel.READ.value)
                    self.level.props(f'outlined dense options-dense hide-bottom-space aria-label="{_("May")}"')
                with ui.element("div").classes("lc-field"):
                    ui.label(_("Until (empty: always)")).classes("lc-label")
                    self.until = moment_input(_("Until (empty: always)"), with_time=False, on_change=lambda _event: None)
                self._along()
                with ui.element("div").classes("lc-field lc-whole"):
                    ui.label(_("Reason")).classes("lc-label")
                    self.reason = ui.input().props(f'outlined dense hide-bottom-space aria-label="{_("Reason")}"').mark("share-reason")
            self.problem = Problem()
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Close"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                ui.button(_("Share"), on_click=self._share).props("unelevated no-caps data-commit").classes("lc-pri").mark("share")
        self._picker()
        await self._draw()
        await answer_of(dialog)

    def _along(self) -> None:
        """What is shared along, all of it at first."""
        self.along = dict[str, ui.checkbox]()
        kinds = [kind for kind in policy.goes_with(self.entity) if self.session.may(f"{kind.key}.read")]
        if kinds:
            with ui.element("div").classes("lc-field lc-whole"):
                ui.label(_("Shared along")).classes("lc-label")
                with ui.element("div").classes("lc-row").style("flex-wrap:wrap;gap:4px 14px"):
                    for kind in kinds:
                        self.along[kind.key] = ui.checkbox(kind.label, value=True).props(f"dense data-act=share-{kind.key}")

    def _retarget(self, event: Any) -> None:
        self.target = str(event.value)
        self._picker()

    def _picker(self) -> None:
        field = SHARE.fields[self.target]
        self.place.clear()
        with self.place:
            self.picker: Picker = picker(self.session, field.f.ref or "", None, lambda _id: None, create=False, label=_("Name"))

    def _read(self) -> list[tuple[Record, str, str]]:
        view = policy.seen(self.session.actor, SHARE)
        if view is None:
            return []
        where = (Condition("record", "=", self.identity), Condition("entity", "=", self.entity.key))
        with self.session.store.read() as connection:
            rows = select(connection, ListQuery(SHARE, where=where, limit=200, restrict=view)).rows
            names = ref_titles(connection, SHARE, rows)
        return [
            (
                row,
                next((names[key].get(row[key], "…") for key in TARGETS if row[key]), "…"),
                shared_words(names["shared_by"].get(row.get("shared_by") or "", ""), made_at(row["id"])),
            )
            for row in rows
        ]

    async def _draw(self) -> None:
        outcome = await run_service(self.session, self._read, on_error=self.problem.refuse)
        if not outcome.ok:
            return
        self.list.clear()
        with self.list:
            for row, name, told in outcome.value:
                with ui.element("div").classes("lc-line"):
                    with ui.element("div").classes("grow").style("min-width:0"):
                        ui.label(name).classes("lc-cut")
                        ui.label(told).classes("lc-muted lc-small-text lc-cut")
                    if row["reason"]:
                        ui.label(row["reason"]).classes("lc-muted lc-cut").tooltip(row["reason"])
                    ui.label(gettext(ShareLevel(row["level"]).label)).classes("lc-chip")
                    ui.label(_("until {day}").format(day=row["until"]) if row["until"] else _("always")).classes("lc-muted")
                    ui.button(_("End"), on_click=lambda identity=row["id"]: self._end(identity)).props("flat dense no-caps")
            if not outcome.value:
                ui.label(_("Not shared with anybody yet.")).classes("lc-muted")

    async def _share(self) -> None:
        self.problem.hide()
        parameters = {
            "entity": self.entity.key,
            "id": self.identity,
            "level": self.level.value,
            "until": str(self.until.value or "").strip() or None,
            "without": [key for key, tick in self.along.items() if not tick.value],
            "reason": self.reason.value or None,
            **({self.target: self.picker.value} if self.picker.value else {}),
        }
        if (await run_verb(self.session, "people.share_record", parameters, on_error=self.problem.refuse)).ok:
            self.picker.set_value(None, "")
            await self._draw()

    async def _end(self, identity: str) -> None:
        self.problem.hide()
        if (await run_verb(self.session, "people.unshare", {"share_id": identity}, on_error=self.problem.refuse)).ok:
            await self._draw()
