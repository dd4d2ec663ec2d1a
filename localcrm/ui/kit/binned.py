"""A record in the recycle bin: its page says so, by whom and when, and offers the way back instead of anything else."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.people.entities import User
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.store.changelog import history
from localcrm.store.connection import Connection
from localcrm.store.query import Record, titles
from localcrm.ui.kit.values import near_moment
from localcrm.ui.operations import run_verb

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


def bin_notice(session: Session, kind: EntityType, identity: str, title: str, who: str) -> None:
    """At the top of the page of a deleted record; nothing where ``who`` is empty."""
    if not who:
        return
    params = {"entity": kind.key, "id": identity}
    with ui.element("div").classes("lc-notice lc-warn").mark("binned").props('role="status"'):
        ui.icon("delete")
        ui.label(_("Deleted: it lies in the recycle bin ({who}).").format(who=who)).classes("grow")
        if session.may(f"{kind.key}.delete"):
            ui.button(
                _("Restore it"),
                on_click=lambda: run_verb(session, "records.undelete_record", params, done=_("Restored: {title}").format(title=title)),
            ).props("unelevated no-caps data-act=restore").classes("lc-btn")
