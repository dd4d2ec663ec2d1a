"""One screen for every kind of record that needs no screen of its own: list, form, detail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import (
    policy,
    subjects,  # noqa: F401 -- makes every entity known
)
from localcrm.domain.people.grants import who_sees
from localcrm.domain.verbs import try_out
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType, Kind, entity as entity_type
from localcrm.store.query import Record
from localcrm.sync.grants import Holder, holders
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.asof import as_of_dialog
from localcrm.ui.kit.detail import facts, ref_names
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.history import Line, history_lines, history_table, take_back
from localcrm.ui.kit.lines import heads
from localcrm.ui.kit.look import in_a_sentence, own_key
from localcrm.ui.kit.menu import Action, action_button
from localcrm.ui.kit.presets import Presets
from localcrm.ui.kit.undoing import undo_dialog
from localcrm.ui.operations import Outcome, Undo, run_service, run_verb, toast
from localcrm.ui.registry import Builder, Screen, register, screens

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


#: Kinds of which a record has a page of its own.
_PAGES = {"sales_order": "/orders", "quote": "/quotes", "delivery": "/deliveries"}


@dataclass(frozen=True, slots=True)
class Further:
    """Something more that can be done with a record of a list: ``run`` returns the id of the record to choose then, or None."""

    id: str
    label_msgid: str
    permission: str
    run: Callable[[Session, str], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Entry:
    """How a record of a kind that only verbs write is entered: ``run`` returns its id, or None."""

    label_msgid: str
    permission: str
    run: Callable[[Session], Awaitable[str | None]]


def list_screen(
    entity_key: str, screen_id: str, further: Sequence[Further] = (), *, entry: Entry | None = None, office: bool = False
) -> Builder:
    """The builder of a generic list of one entity. ``office``: it is head office's own, and entered there in this list."""

    def build(session: Session, parameters: Mapping[str, str]) -> None:
        _Records(session, entity_type(entity_key), screen_id, parameters, further, entry, office).build()

    return build


def _title(entity: EntityType) -> str:
    """Name of the list, as the navigation calls it."""
    return next((one.label for one in screens() if one.path == f"/records/{entity.key}"), entity.label)


class _Records:
    def __init__(
        self,
        session: Session,
        entity: EntityType,
        screen_id: str,
        parameters: Mapping[str, str],
        further: Sequence[Further],
        entry: Entry | None,
        office: bool,
    ) -> None:
        self.session, self.entity, self.screen_id, self.parameters = session, entity, screen_id, parameters
        self.further = [one for one in further if session.may(one.permission)]
        self.entry = entry
        self.presets = Presets(session, entity, parameters)
        by_hand = policy.written_by_hand(entity) and (session.store.node.is_office or not office)
        written = entity.kind is Kind.MASTER or office
        self.can_create = session.may(entry.permission) if entry else by_hand and session.may(f"{entity.key}.create")
        self.can_change = by_hand and written and session.may(f"{entity.key}.update")
        self.can_delete = by_hand and written and session.may(f"{entity.key}.delete")

    def build(self) -> None:
        entity, title = self.entity, _title(self.entity)
        with page_frame(self.session, title=title, active=self.screen_id):
            actions = self._actions()
            with page_head(title):
                tools = ui.element("div").classes("lc-row")
                if self.presets.trees:
                    with ui.element("div").classes("lc-quick").mark("filters"):
                        self.presets.draw(self._narrow)
                ui.space()
                with ui.element("div").classes("lc-row"):
                    right = ui.element("div").classes("lc-row")
                    if self.can_create:
                        with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
                            ui.label(self._new_label())
                            ui.label(own_key("n")).classes("lc-kbd")
            self.grid = RecordGrid(self.session, entity, actions=actions, on_open=self.open, empty=self._empty, tree=self.presets.tree)
            with tools:
                self.grid.search_box()
                self.grid.total()
            with right:
                action_button(actions)
                self.grid.tools()
        if identity := self.parameters.get("open"):
            ui.timer(0.2, lambda: self.open(identity), once=True)

    def _narrow(self) -> None:
        self.grid.tree = self.presets.tree
        self.grid.requery()

    def _empty(self) -> None:
        ui.label(_("There are no records here yet."))
        if self.can_create:
            ui.button(self._new_label(), on_click=self.new).props("unelevated no-caps").classes("lc-btn")

    def _new_label(self) -> str:
        return gettext(self.entry.label_msgid) if self.entry else _("＋ New {entity}").format(entity=in_a_sentence(self.entity.label))

    def _actions(self) -> list[Action]:
        actions = [Action("open", _("Open record"), self._with_row(self.open), "enter")]
        if self.can_change:
            actions.append(Action("edit", _("Edit"), self._with_row(self.edit), "e"))
        actions += [
            Action(one.id, gettext(one.label_msgid), self._with_row(partial(self._do, one)), divided=not place)
            for place, one in enumerate(self.further)
        ]
        actions.append(Action("history", _("History"), self._with_row(self.show_history), "h", divided=bool(self.further)))
        actions.append(Action("copy", _("Copy name"), self._with_row(self.copy), "c"))
        if self.session.actor.is_admin:
            actions.append(Action("who-sees", _("Who sees this?"), self._with_row(self.who_sees)))
        if self.can_delete:
            actions.append(Action("delete", _("Delete"), self._with_row(self.delete), "delete", danger=True, divided=True))
        return actions

    def _with_row(self, handler: Any) -> Any:
        async def run() -> None:
            if self.grid.chosen:
                await handler(self.grid.chosen)

        return run

    # actions -------------------------------------------------------------------------------------------------------

    async def _do(self, further: Further, identity: str) -> None:
        if chosen := await further.run(self.session, identity):
            self.grid.refresh(chosen)

    async def new(self) -> None:
        """Enter a new record."""
        if self.entry:
            if made := await self.entry.run(self.session):
                self.grid.refresh(made)
            return
        saved = await edit_dialog(self.session, self.entity)
        if saved:
            self.grid.refresh(saved["id"])

    async def edit(self, identity: str) -> None:
        """Change the record."""
        await edit_dialog(self.session, self.entity, identity=identity)

    async def open(self, identity: str) -> None:
        """Read the record, with its history behind a tab."""
        if self.entity.key in _PAGES:
            ui.navigate.to(f"{_PAGES[self.entity.key]}/{identity}")
            return
        if self.can_change:
            await edit_dialog(self.session, self.entity, identity=identity)
        else:
            await read_dialog(self.session, self.entity, identity)

    async def show_history(self, identity: str) -> None:
        """What happened to the record."""
        await history_dialog(self.session, self.entity, identity)

    async def who_sees(self, identity: str) -> None:
        """Who may see the record, and why not."""
        await who_sees_dialog(self.session, self.entity, identity)

    async def copy(self, identity: str) -> None:
        """The record's name to the clipboard."""
        await copy_title(self.session, self.entity, identity)

    async def delete(self, identity: str) -> None:
        """Put it into the recycle bin, with the way back."""
        await delete_with_undo(self.session, self.entity, identity)


async def load(session: Session, entity: EntityType, identity: str) -> Outcome:
    """A record with the titles of what it points to: (record, names)."""

    def read() -> tuple[Record, dict[str, dict[str, str]]]:
        record = load_typed(session, entity, identity)
        return record, ref_names(session, entity, record)

    return await run_service(session, read)


async def read_dialog(session: Session, entity: EntityType, identity: str) -> None:
    """A record nobody changes, to read."""
    outcome = await load(session, entity, identity)
    if not outcome.ok:
        return
    record, names = outcome.value
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("read"):
        ui.label(str(record[entity.title_field] or entity.label)).classes("lc-dialog-title")
        facts(entity, record, names, entity.readable)
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Close"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
    await answer_of(dialog)


async def history_dialog(session: Session, entity: EntityType, identity: str) -> None:
    """Every change of a record."""

    def read() -> tuple[str, list[Line]]:
        return str(load_typed(session, entity, identity).get(entity.title_field) or entity.label), history_lines(session, entity, identity)

    outcome = await run_service(session, read)
    if not outcome.ok:
        return
    title, lines = outcome.value
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-wide").mark("history-dialog"):
        ui.label(_("History: {title}").format(title=title)).classes("lc-dialog-title")

        async def restore(line: Line) -> None:
            await take_back(session, entity, identity, line)
            dialog.close()

        async def undo(action: int) -> None:
            if await undo_dialog(session, action):
                dialog.close()

        async def look_back() -> None:
            if await as_of_dialog(session, entity, identity):
                dialog.close()

        history_table(lines, restore=restore, undo=undo)
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("As of…"), on_click=look_back).props("flat no-caps icon=history data-act=as-of").classes("lc-btn")
            ui.space()
            ui.button(_("Close"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
    await answer_of(dialog)


async def who_sees_dialog(session: Session, entity: EntityType, identity: str) -> None:
    """Who may see a record and change it, and why somebody may not; for administrators."""

    def ask() -> tuple[list[dict[str, Any]], list[Holder]]:
        told = who_sees(session.store, session.actor, entity=entity.key, id=identity)
        return told, holders(session.store, entity, identity)

    outcome = await run_service(session, ask)
    if not outcome.ok:
        return
    told, branches = outcome.value
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("who-sees"):
        ui.label(_("Who sees this?")).classes("lc-dialog-title")
        with ui.element("div").classes("lc-scroll"), ui.element("table").classes("lc-table"):
            heads(_("User"), _("Sees it"), _("May change it"), _("Why"))
            for row in told:
                with ui.element("tr"):
                    for text, style in (
                        (f"{row['name']} · {row['login']}", ""),
                        (_("Yes") if row["sees"] else _("No"), "lc-chip lc-good" if row["sees"] else "lc-chip"),
                        (_("Yes") if row["changes"] else _("No"), "lc-chip lc-good" if row["changes"] else "lc-chip"),
                        (row["because"], "lc-muted"),
                    ):
                        with ui.element("td"):
                            ui.label(text).classes(style)
        if branches:
            ui.label(_("At branches that hold only their own customers")).classes("lc-label")
            with ui.element("div").mark("holders"):
                for branch in branches:
                    with ui.element("div").classes("lc-line"):
                        ui.label(f"{branch.code} {branch.name}".strip()).classes("grow")
                        if branch.because:
                            ui.label(gettext(branch.because.label)).classes("lc-muted")
                        ui.label(_("Holds it") if branch.holds else _("Does not hold it")).classes(
                            "lc-chip lc-good" if branch.holds else "lc-chip"
                        )
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Close"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
    await answer_of(dialog)


async def copy_title(session: Session, entity: EntityType, identity: str) -> None:
    """The record's name to the clipboard."""
    outcome = await run_service(session, lambda: load_typed(session, entity, identity))
    if outcome.ok:
        title = str(outcome.value[entity.title_field] or "")
        ui.run_javascript(f"navigator.clipboard && navigator.clipboard.writeText({json.dumps(title)})")
        toast(_("Copied: {title}").format(title=title[:60]))


async def delete_with_undo(
    session: Session, entity: EntityType, identity: str, *, on_error: Callable[[AppError], bool] | None = None
) -> bool:
    """Ask, delete, say so with the way back; returns whether it was deleted. ``on_error`` as in ``run_verb``.

    What cannot be deleted because it is used somewhere may be put out of use instead, where its kind knows that.
    """
    used: list[AppError] = []

    def note(error: AppError) -> bool:
        if error.code == "referenced" and _may_put_out_of_use(session, entity):
            used.append(error)
            return True
        return on_error(error) if on_error else False

    if await _delete_with_undo(session, entity, identity, on_error=note):
        return True
    if used and await confirm(
        used[0].message,
        detail=_("It can be put out of use instead: it stays in everything that names it, and no new order or quote is begun with it."),
        yes=_("Put out of use"),
    ):
        wish = {"entity": entity.key, "id": identity, "values": {"active": False}}
        undo = Undo("records.update_record", {**wish, "values": {"active": True}}, _("Taken back"))
        await run_verb(session, "records.update_record", wish, done=_("Put out of use"), undo=undo)
    return False


def _may_put_out_of_use(session: Session, entity: EntityType) -> bool:
    field = entity.fields.get("active")
    return field is not None and session.may(f"{entity.key}.update") and policy.may_write(session.actor, entity, field)


async def _delete_with_undo(session: Session, entity: EntityType, identity: str, *, on_error: Callable[[AppError], bool]) -> bool:
    params = {"entity": entity.key, "id": identity}

    def ready() -> Record:
        """Nobody is asked about what cannot be."""
        record = load_typed(session, entity, identity)
        try_out(session.store, session.actor, "records.delete_record", params)
        return record

    outcome = await run_service(session, ready, on_error=on_error)
    if not outcome.ok:
        return False
    title = str(outcome.value[entity.title_field] or entity.label)[:80]
    if not await confirm(
        _("Delete “{title}”?").format(title=title),
        detail=_("It goes to the recycle bin and can be restored."),
        yes=_("Delete"),
        danger=True,
    ):
        return False
    await asyncio.sleep(0)
    undo = Undo("records.undelete_record", params, _("Restored: {title}").format(title=title))
    done = _("Deleted; it can be restored from the recycle bin")
    return (await run_verb(session, "records.delete_record", params, done=done, undo=undo, on_error=on_error)).ok


def _screen(entity_key: str, label: str, icon: str, section: str | None, place: int = 50, *, office: bool = False) -> Screen:
    path, build = f"/records/{entity_key}", list_screen(entity_key, entity_key, office=office)
    return Screen(entity_key, path, label, icon, f"{entity_key}.read", build, section, place, lists=entity_key)


register(
    _screen("activity", N_("Activity records"), "forum", "customers", 30),
    _screen("product", N_("Products"), "inventory_2", "trade"),
    _screen("level_price", N_("Prices by level"), "sell", "trade", office=True),
    _screen("warehouse", N_("Warehouses"), "warehouse", "trade"),
    _screen("stock_move", N_("Stock movements"), "swap_vert", "trade"),
    _screen("receipt", N_("Receipts"), "payments", "trade"),
    _screen("supplier_entry", N_("Suppliers' accounts"), "account_balance", "partners", 45),
    _screen("account", N_("Money accounts"), "account_balance_wallet", "trade"),
    _screen("branch", N_("Branches"), "store", None),
)
