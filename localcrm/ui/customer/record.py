"""One activity record as a whole: what was said, what comes next, its files, and what colleagues say about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.crm.entities import Activity, Comment
from localcrm.kernel.i18n import gettext as _
from localcrm.store.query import Condition, ListQuery, Record, ref_titles, select
from localcrm.ui.kit.detail import facts, ref_names
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.values import exact, near_moment
from localcrm.ui.operations import run_service, run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ACTIVITY, COMMENT = Activity.entity_type, Comment.entity_type
#: Comments that are shown of one record.
_MOST = 200


async def activity_dialog(session: Session, identity: str) -> None:
    """Show a record until it is closed; a tab that is drawn anew, for a comment among others, leaves it there."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-wide").mark("activity-record"):
        with ui.element("div").classes("lc-row"):
            ui.label(ACTIVITY.label).classes("lc-dialog-title grow")
            ui.button(icon="close", on_click=dialog.close).props(f'flat dense round size=sm aria-label="{_("Close")}"')
        view = ActivityView(session, identity)
    await view.draw()
    await answer_of(dialog)


class ActivityView:
    """A record with its comments, drawn into the element of the moment; it looks again when one of them changes."""

    def __init__(self, session: Session, identity: str) -> None:
        self.session, self.identity = session, identity
        self.box = ui.element("div").classes("lc-col").style("flex:none")
        with ui.element("div").classes("lc-comment-entry"):
            self.entry = ui.textarea(placeholder=_("Write a comment; @ and a name reminds a colleague")).props(
                f'outlined dense autogrow hide-bottom-space aria-label="{_("Comment text")}"'
            )
            self.entry.classes("grow")
            ui.button(_("Add comment"), on_click=self._say).props("unelevated no-caps data-commit").classes("lc-btn")
        # Not everybody who sees the record may see every comment, so that there was a change is all that is told.
        session.program.subscribe({"activity", "comment"}, lambda _changes: self.draw(), held=lambda: session.locked)

    def _read(self) -> dict[str, Any]:
        session = self.session
        record = load_typed(session, ACTIVITY, self.identity)
        found: dict[str, Any] = {"record": record, "names": ref_names(session, ACTIVITY, record), "comments": [], "authors": {}}
        view = policy.seen(session.actor, COMMENT)
        if view is not None:
            with session.store.read() as connection:
                query = ListQuery(COMMENT, where=(Condition("activity_id", "=", self.identity),), limit=_MOST, restrict=view)
                found["comments"] = select(connection, query, count=False).rows
                found["authors"] = ref_titles(connection, COMMENT, found["comments"])
        return found

    async def draw(self) -> None:
        """Read and show."""
        if self.box.is_deleted:
            return
        outcome = await run_service(self.session, self._read)
        if not outcome.ok or self.box.is_deleted:
            return
        record: Record = outcome.value["record"]
        self.box.clear()
        with self.box:
            with ui.element("div").classes("lc-row"):
                ui.label(
                    str(record.get("subject") or outcome.value["names"].get("customer_id", {}).get(record["customer_id"], ""))
                ).classes("lc-sub grow lc-cut")
                if record.get("late"):
                    ui.label(_("Entered later")).classes("lc-chip").props("data-tone=warn")
                if self.session.may("activity.update"):
                    ui.button(_("Edit"), on_click=self._edit).props("unelevated no-caps").classes("lc-btn")
            shown = [field for field in ACTIVITY.readable if field.key not in {"subject", "late"}]
            facts(ACTIVITY, record, outcome.value["names"], shown)
            comments = outcome.value["comments"]
            ui.label(_("Comments") + (f" {len(comments)}" if comments else "")).classes("lc-section")
            if not comments:
                ui.label(_("Nobody has commented yet.")).classes("lc-muted")
            for one in comments:
                with ui.element("div").classes("lc-comment"):
                    author = outcome.value["authors"].get("user_id", {}).get(one["user_id"], "")
                    ui.label(f"{author} · {near_moment(one['at'])}").classes("lc-small-text lc-muted").tooltip(exact(one["at"]) or "")
                    ui.label(one["text"]).style("white-space:pre-wrap")

    async def _edit(self) -> None:
        await edit_dialog(self.session, ACTIVITY, identity=self.identity)

    async def _say(self) -> None:
        text = str(self.entry.value or "").strip()
        if not text:
            self.entry.run_method("focus")
            return
        outcome = await run_verb(self.session, "crm.comment", {"activity": self.identity, "text": text}, done=_("Comment saved"))
        if outcome.ok:
            self.entry.set_value("")
