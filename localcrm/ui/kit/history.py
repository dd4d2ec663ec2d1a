"""Every change of a record in words: when, who, where, what was there, what came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.admin.undo import is_offered
from localcrm.domain.records import can_take_back, read_history
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import EntityType, Field, entity as entity_type
from localcrm.store.changelog import Action, action_of
from localcrm.store.query import titles
from localcrm.store.view import Masked
from localcrm.ui.kit.values import near_moment, show
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.ui.sessions import Session

MOST = 300


@dataclass(frozen=True, slots=True)
class Line:
    """One value that changed, in words."""

    at: str
    exact: str
    who: str
    node: str
    field: str
    old: str
    new: str
    key: str = ""  # of the field, where its old value may be put back
    change: int = 0
    action: int = 0  # first change of what was done in one go; 0 where that is no longer known
    may_undo: bool = False


def history_lines(session: Session, entity: EntityType, identity: str) -> list[Line]:
    """The history of a record, newest first, as far as the user may see it; raises NotFound."""
    with session.store.read() as connection:
        rows = read_history(connection, session.actor, entity=entity.key, id=identity)[:MOST]
        users = titles(connection, entity_type("user"), [row.user_id for row in rows if row.user_id])
        result = []
        actions = _Actions(session, connection)
        for row in rows:
            action, may_undo = actions.of(row.lseq)
            field = entity.fields.get(row.field)
            moment = datetime.fromisoformat(row.at)
            if row.field == "deleted":
                name, old, new = _("Recycle bin"), _state(row.old), _state(row.new)
            elif field is None:
                name, old, new = row.field, str(row.old or ""), str(row.new or "")
            else:
                name, old, new = field.label, word(connection, field, row.old), word(connection, field, row.new)
            who = users.get(row.user_id or "", "") or _("the program")
            key = row.field if can_take_back(session.actor, entity, row) and session.may(f"{entity.key}.update") else ""
            result.append(
                Line(
                    *(near_moment(moment), f"{moment.astimezone():%Y-%m-%d %H:%M:%S}", who, row.node, name, old, new),
                    *(key, row.lseq, action, may_undo),
                )
            )
    return result


class _Actions:
    """Actions of a history that is read from the newest change on: each is asked for once."""

    def __init__(self, session: Session, connection: Connection) -> None:
        self._session, self._connection = session, connection
        self._last: tuple[Action, bool] | None = None

    def of(self, change: int) -> tuple[int, bool]:
        """What names the action of a change, 0 for one that is not known any more, and whether this user may undo it."""
        if self._last is None or not self._last[0].first <= change < self._last[0].first + self._last[0].count:
            action = action_of(self._connection, change)
            if action is None:
                return 0, False
            self._last = action, is_offered(self._session.store, self._connection, self._session.actor, change)
        return self._last[0].first, self._last[1]


def _state(deleted: Any) -> str:
    return _("deleted") if deleted else _("in use")


def word(connection: Connection, field: Field, value: Any) -> str:
    """A value of the log, which is in JSON form, as a list would show it."""
    if value is None or value == "":
        return "—"
    if isinstance(value, Masked):
        return str(value)
    if target := field.f.ref or field.f.refs:
        return show(field, value, titles(connection, entity_type(target), str(value).split())) or "—"
    from localcrm.store.query import stored_value

    try:
        return show(field, field.load(stored_value(field, value))) or "—"
    except InvalidInput:
        return str(value)


async def take_back(session: Session, entity: EntityType, identity: str, line: Line) -> None:
    """Put the value before a change back; the way back from that is offered in turn."""
    done = _("{field}: “{value}” is back").format(field=line.field, value=line.old)
    await run_verb(
        session, "records.take_back", {"entity": entity.key, "id": identity, "field": line.key, "change": line.change}, done=done
    )


def history_table(
    lines: list[Line], *, restore: Callable[[Line], Awaitable[None]] | None = None, undo: Callable[[int], Awaitable[Any]] | None = None
) -> None:
    """The table of a history; rows of one action share their first cells.

    ``restore`` is offered where a value may be put back, ``undo`` where a whole action may.
    """
    if not lines:
        ui.label(_("No changes are known here.")).classes("lc-empty")
        return
    with ui.element("div").classes("lc-scroll"), ui.element("table").classes("lc-table lc-history").mark("history"):
        with ui.element("tr"):
            for head in (_("Time"), _("Who"), _("Where"), _("Field"), _("Before"), _("After"), *([""] if restore else [])):
                with ui.element("th"):
                    ui.label(head)
        before: tuple[str, str, int] | None = None
        for line in lines:
            same = before == (line.exact, line.who, line.action)
            before = (line.exact, line.who, line.action)
            with ui.element("tr"):
                with ui.element("td"):
                    if not same:
                        ui.label(line.at).tooltip(line.exact)
                        if undo and line.may_undo:
                            ui.button(_("Undo this action"), on_click=partial(undo, line.action)).props(
                                "flat dense no-caps no-wrap data-act=undo-action"
                            )
                for text, style in (
                    ("" if same else line.who, "lc-keep-all"),
                    ("" if same else line.node, "lc-muted"),
                    (line.field, "lc-keep-all"),
                    (line.old, "lc-muted"),
                    (line.new, ""),
                ):
                    with ui.element("td"):
                        ui.label(text).classes(style)
                if restore:
                    with ui.element("td").classes("lc-num"):
                        if line.key:
                            button = ui.button(icon="undo", on_click=partial(restore, line)).props("flat dense round size=sm")
                            button.props(f'aria-label="{_("Put it back")}"').tooltip(_("Put “{value}” back").format(value=line.old))
