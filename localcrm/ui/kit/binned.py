"""A record in the recycle bin: its page says so, by whom and when, and offers the way back instead of anything else."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.admin.conflicts import settled_by_restoring
from localcrm.domain.people.entities import User
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.store.changelog import history
from localcrm.store.connection import Connection
from localcrm.store.query import Record, titles
from localcrm.ui.kit.values import near_moment
from localcrm.ui.operations import run_service, run_verb

if TYPE_CHECKING:
    from localcrm.domain.policy import Actor
    from localcrm.ui.sessions import Session


_USER = User.entity_type


def deleted_by(connection: Connection, actor: Actor, kind: EntityType, record: str) -> str:
    """Who put a record into the recycle bin, as far as the actor may see that, where and when."""
    row = next((row for row in history(connection, kind, record) if row.field == "deleted" and row.new), None)
    if row is None:
        return "—"
    seen = policy.seen(actor, _USER)
    named = titles(connection, _USER, [row.user_id]) if row.user_id and seen is not None and seen.shows(_USER.title_field) else {}
    user = named.get(row.user_id or "")
    return " · ".join([" ".join(filter(None, [row.node, user])), near_moment(datetime.fromisoformat(row.at))])


def binned(connection: Connection, actor: Actor, kind: EntityType, record: Record) -> str:
    """The same of a record that was read; "" where it is in use."""
    return deleted_by(connection, actor, kind, str(record["id"])) if record.get("deleted") else ""


def bin_notice(session: Session, kind: EntityType, identity: str, title: str, who: str, *, also: str = "", settle: str = "") -> None:
    """At the top of a deleted record; nothing where ``who`` is empty.

    also: what an open conflict tells of the deletion · settle: address of that conflict.
    """
    if not who:
        return
    text = _("Deleted, in the recycle bin ({who}).").format(who=who)
    with ui.element("div").classes("lc-notice lc-warn lc-no-print").mark("binned").props('role="status"'):
        ui.icon("delete")
        ui.label(" ".join(filter(None, [text, also]))).classes("grow")
        if settle:
            ui.button(_("Settle…"), on_click=lambda: ui.navigate.to(settle)).props("flat no-caps data-act=to-conflicts").classes("lc-btn")
        if session.may(f"{kind.key}.delete"):
            ui.button(_("Restore it"), on_click=lambda: _restore(session, kind, identity, title)).props(
                "unelevated no-caps data-act=restore"
            ).classes("lc-btn")


async def _restore(session: Session, kind: EntityType, identity: str, title: str) -> None:
    """Bring it back. What is open about its deletion is settled by that, where this user may settle it."""

    def find() -> list[str]:
        with session.store.read() as connection:
            return settled_by_restoring(connection, session.actor, kind, identity)

    done = _("Restored: {title}").format(title=title)
    found = await run_service(session, find)
    if not found.ok:
        return
    if not found.value:
        await run_verb(session, "records.undelete_record", {"entity": kind.key, "id": identity}, done=done)
        return
    for conflict in found.value:
        is_last = conflict is found.value[-1]
        wish = {"id": conflict, "keep": "value=false"}
        if not (await run_verb(session, "admin.resolve_conflict", wish, done=done if is_last else "")).ok:
            return
