"""One field of every customer that the list shows: chosen, counted, done in one action that can be taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.domain.crm.custody import MOST
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.queries import MOST_CHANGED, changeable_fields, count_found, found_query
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import gettext as _
from localcrm.store.query import Condition, select
from localcrm.ui.customer.custody import hand_over_dialog, release_dialog
from localcrm.ui.endpoints import list_query, read_request
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.form import FieldInput
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.problem import Problem
from localcrm.ui.operations import run_service, run_verb, toast, way_back

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

_CUSTOMER = Customer.entity_type
#: Names that a preview tells.
MOST_TOLD = 8
#: Among the fields: whose they are, and that they go to a pool, which are matters of their own (what goes along, a reason, the chain);
#: with the action that it is, and who is offered it.
_MOVES: Mapping[str, tuple[str, Callable[[Session, Sequence[str], str], Awaitable[None]]]] = {
    "owner_id": ("transfer", hand_over_dialog),
    "pool_id": ("release", release_dialog),
}


def mass_button(session: Session, grid: RecordGrid) -> None:
    """The button above the list, for whoever may change anything of many, hand over, or release."""
    if changeable_fields(session.actor) or _moves(session):
        button = ui.button(_("Change all shown…"), on_click=partial(mass_dialog, session, grid))
        button.props("unelevated no-caps data-act=mass").classes("lc-btn lc-wide-only").mark("mass")


async def mass_dialog(session: Session, grid: RecordGrid) -> None:
    """Choose a field and a value, see for how many, do it."""
    asked = await grid.asked()
    outcome = await run_service(session, lambda: _found(session, asked))
    if outcome.ok:
        await _Mass(session, *outcome.value).open()


def _moves(session: Session) -> list[str]:
    """What may be done with many beyond their fields."""
    return [key for key, (action, _dialog) in _MOVES.items() if session.may(f"customer.{action}")]


def _movable(session: Session, given: dict[str, Any], action: str) -> list[str]:
    """Ids of the customers shown that the user may hand over, or release; one more than can be moved at once where there are more."""
    with session.store.read() as connection:
        query = found_query(session.actor, given["tree"], given["search"], given["where"], action)
        return [row["id"] for row in select(connection, replace(query, limit=MOST + 1), count=False).rows]


def _found(session: Session, asked: dict[str, Any]) -> tuple[dict[str, Any], int, list[str]]:
    """What the list shows, as parameters of the verb; how many the user may change; the first of their names."""
    request = read_request(asked)
    conditions: tuple[Condition, ...] = list_query(session, _CUSTOMER, request).where
    where = [[one.field, one.op, repr(one.value) if isinstance(one.value, float) else one.value] for one in conditions]
    given: dict[str, Any] = {"tree": request.tree, "search": request.search, "where": where}
    with session.store.read() as connection:
        count = count_found(connection, session.actor, **given)
        query = found_query(session.actor, request.tree, request.search, where, "update")
        names = [row["name"] for row in select(connection, query, count=False).rows[:MOST_TOLD]]
    return given, count, names


class _Mass:
    def __init__(self, session: Session, given: dict[str, Any], count: int, names: list[str]) -> None:
        self.session, self.given, self.count, self.names = session, given, count, names
        self.fields = {field.key: field for field in changeable_fields(session.actor)}
        self.entry: FieldInput | None = None
        self.move = ""
        self.how = "set"

    async def open(self) -> None:
        """Until it is closed."""
        with page_dialog() as self.dialog, ui.card().classes("lc-dialog lc-narrow").mark("mass-dialog"):
            ui.label(_("Change a field of all customers shown")).classes("lc-dialog-title")
            with ui.element("div").classes("lc-field"):
                ui.label(_("Field")).classes("lc-label")
                labels = {key: field.label for key, field in self.fields.items()}
                labels |= {key: _CUSTOMER.fields[key].label for key in _moves(self.session)}
                box = ui.select(labels, value=next(iter(labels)), on_change=lambda event: self._choose(str(event.value)))
                box.props(f'outlined dense options-dense hide-bottom-space aria-label="{_("Field")}"').mark("mass-field")
            self.place = ui.element("div")
            ui.label(self._told()).classes("lc-muted").mark("mass-count")
            self.problem = Problem()
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=self.dialog.close).props("flat no-caps").classes("lc-btn")
                change = ui.button(_("Change {count}").format(count=f"{self.count:,}"), on_click=self._change)
                change.props("unelevated no-caps data-commit data-act=mass-change").classes("lc-pri").mark("mass-change")
                change.set_enabled(0 < self.count <= MOST_CHANGED)
        self._choose(next(iter(labels)))
        await answer_of(self.dialog)

    def _told(self) -> str:
        if self.count > MOST_CHANGED:
            words = _("{count} customers are shown that you may change; at most {most} are changed at once. Narrow the list first.")
            return words.format(count=f"{self.count:,}", most=f"{MOST_CHANGED:,}")
        if not self.count:
            return _("No customer is shown that you may change.")
        names = _(", ").join(self.names) + ("…" if self.count > len(self.names) else "")
        return _("{count} customers will be changed: {names}").format(count=f"{self.count:,}", names=names)

    def _choose(self, key: str) -> None:
        self.place.clear()
        self.how = "set"
        with self.place:
            self.move = key
            if key in _MOVES:
                self.entry = None
                words = {
                    "owner_id": _("Who gets them, and what the former salesperson keeps, is asked next."),
                    "pool_id": _("Into which pool, and why, is asked next."),
                }
                ui.label(words[key]).classes("lc-muted")
            else:
                if self.fields[key].f.widget == "tags":
                    self._ask_how()
                self.entry = FieldInput(self.session, self.fields[key], compact=True)

    def _ask_how(self) -> None:
        self.how = "add"
        ways = {"add": _("Add these"), "remove": _("Take away"), "set": _("Replace all")}
        way = ui.toggle(ways, value=self.how, on_change=lambda event: setattr(self, "how", event.value))
        way.props("no-caps unelevated dense padding='2px 14px'").classes("lc-choices q-mb-sm").mark("mass-how")

    async def _move(self) -> None:
        action, dialog = _MOVES[self.move]
        outcome = await run_service(self.session, lambda: _movable(self.session, self.given, action))
        if not outcome.ok:
            return
        if not 0 < len(outcome.value) <= MOST:
            few, many = _("No customer is shown that you may move."), _("At most {most} are moved at once. Narrow the list first.")
            self.problem.tell(many.format(most=f"{MOST:,}") if outcome.value else few)
            return
        self.dialog.submit(True)
        name = _("{count} customers").format(count=f"{len(outcome.value):,}")
        with context.client.content:
            await dialog(self.session, outcome.value, name)

    async def _change(self) -> None:
        if self.entry is None:
            await self._move()
            return
        value, label = self.entry.value, self.entry.field.label
        if value is None and self.how != "set":
            self.entry.focus()
            return
        if value is None:
            with self.dialog:
                question = _("Empty “{label}” of {count} customers?").format(label=label, count=f"{self.count:,}")
                if not await confirm(question, yes=_("Empty it"), danger=True):
                    return
        given = {
            **self.given,
            "field": self.entry.field.key,
            "value": None if value is None else str(value),
            "count": self.count,
            "how": self.how,
        }
        outcome = await run_verb(self.session, "crm.change_found", given, on_error=self.problem.refuse)
        if outcome.ok:
            self.dialog.submit(True)
            done = _("{count} customers changed").format(count=f"{outcome.value['changed']:,}")
            toast(done, undo=way_back(self.session, outcome))

    def _failed(self, error: AppError) -> bool:
        self.problem.tell(error.message)
        return True

    def _tell(self, text: str) -> None:
        self.problem.tell(text)
