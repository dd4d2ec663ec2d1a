"""Options: one's own and the company's, each saved as soon as it is changed, with the way back; found by any word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.options.company import office_row, today, usable
from localcrm.domain.options.entities import RoleOption
from localcrm.domain.options.personal import Default, defaults, own_choices
from localcrm.domain.options.services import PERMISSION, OptionState, Said, deviations, named_roles, records_of, said_by_role, state_of
from localcrm.domain.options.shortcuts import SHORTCUTS, key_name, read_shortcuts
from localcrm.domain.options.table import FREE, NO, SECTIONS, YES, Level, Option, OptionKind, option, options
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType, Kind, entities
from localcrm.ui.finding import OPTIONS_PATH, find_options, find_settings
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit import theme
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.history import Line, history_lines, history_table
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.moments import moment_input, parse_day
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import exact, near_moment
from localcrm.ui.navigation import redraw_navigation
from localcrm.ui.operations import apart, run_service, run_verb, toast
from localcrm.ui.registry import PINNED, Screen, navigation, register, screens_for

if TYPE_CHECKING:
    from nicegui import events

    from localcrm.kernel.ports import Changes
    from localcrm.ui.sessions import Session

_OF_ROLE = RoleOption.entity_type
#: Up to so many choices stand side by side; more fold into a list.
SIDE_BY_SIDE = 3
#: What the screen shows, by the words of its tabs.
VIEWS = {"personal": N_("Mine"), "role": N_("Roles"), "company": N_("Company")}
#: Why a company option cannot be changed here.
LOCKED = {
    "fixed_by_office": N_("Fixed by head office for all branches"),
    "locked_by_posting": N_("Locked, because documents have been posted"),
}


@dataclass(frozen=True, slots=True)
class State:
    """What is set. own: one's own choices by key · default: what holds for the user without them, by key · general: what head
    office has set for those without a choice, by key · roles: names by id, at head office · said: by the role shown, by key ·
    company: by key, empty without the right · differing: see ``deviations``.
    """

    own: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Default] = field(default_factory=dict)
    general: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, Said] = field(default_factory=dict)
    company: Mapping[str, OptionState] = field(default_factory=dict)
    differing: Sequence[Mapping[str, Any]] = ()


async def all_options(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; in the address ``at`` is the key of the option to show, ``role`` the id of a role whose defaults are wanted."""
    await _Options(session, parameters.get("at", ""), parameters.get("role", "")).build()


class _Options:
    """One open page."""

    def __init__(self, session: Session, wish: str, role: str) -> None:
        self.session, self.state = session, State()
        self.wish = next((one.key for level in Level for one in options(level) if one.key == wish), "")
        self.view = option(self.wish).level.value if self.wish and self._may_company() else "personal"
        self.role = ""
        if role and self._may_roles():
            self.view, self.role = "role", role
        self.text = ""
        self.rows: dict[str, ui.element] = {}
        self.whose_shown: tuple[Mapping[str, str], str] | None = None

    def _may_company(self) -> bool:
        return self.session.may(PERMISSION)

    def _may_roles(self) -> bool:
        return self._may_company() and self.session.store.node.is_office

    @property
    def level(self) -> Level:
        """Whose options are shown; those of a role are the personal ones."""
        return Level.COMPANY if self.view == "company" else Level.PERSONAL

    async def build(self) -> None:
        """Tabs and search above, then a card per section."""
        with page_frame(self.session, title=_("Options"), active="options"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(_("Options")):
                if self._may_company():
                    views = {view: _(label) for view, label in VIEWS.items() if view != "role" or self._may_roles()}
                    tabs = ui.toggle(views, value=self.view)
                    tabs.props("no-caps unelevated dense").classes("lc-choices").mark("levels").on_value_change(self._turn)
                find = ui.input(placeholder=_("Search all settings"), on_change=self._search).classes("lc-find").mark("find-option")
                find.props(f'outlined dense clearable debounce=200 data-find aria-label="{_("Search all settings")}"')
                with find.add_slot("prepend"):
                    ui.icon("search").props("size=18px")
                ui.space()
                self.reset_button = ui.button(_("Reset all of mine"), on_click=self._reset_all).props("unelevated no-caps")
                self.reset_button.classes("lc-btn").mark("reset-all")
            self.whose = ui.element("div").style("display:contents")
            self.place = ui.element("div").classes("lc-options").mark("options")
        await self._draw()
        self.session.subscribe({"company_option", "branch_option", "role_option", "role"}, self._changed)
        if self.wish:
            ui.run_javascript(f"document.querySelector('[data-option=\"{self.wish}\"]')?.scrollIntoView({{block: 'center'}})")

    def _read(self) -> State:
        session = self.session
        with session.store.read() as connection:
            own, default = own_choices(connection, session.user_id), defaults(connection, session.user_id)
            if not self._may_company():
                return State(own, default)
            node = session.store.node
            general = {
                one.key: value
                for one in options(Level.PERSONAL)
                if (row := office_row(connection, one.key)) and (value := row.value) is not None
            }
            company = {one.key: state_of(connection, node, one) for one in options(Level.COMPANY)}
            if not node.is_office:
                return State(own, default, general, company=company)
            roles = named_roles(connection)
            if self.role not in roles:
                self.role = next(iter(roles), "")
            said = said_by_role(connection, self.role) if self.role else {}
            return State(own, default, general, roles, said, company, deviations(connection))

    async def _changed(self, changes: Changes) -> None:
        """Somebody else set something. Only what differs is drawn anew: a box that is open just then would close."""
        before = self.state
        if changes.remote and await self._look() and self.state != before:
            await self._draw()

    async def _draw(self) -> None:
        """Everything that is asked for."""
        if not await self._look():
            return
        of_role = self.view == "role"
        level = self.level if of_role or not self.text else None
        found = await apart(find_options, self.session, self.text, level=level, wide=bool(self.text))
        others = await apart(find_settings, self.session, self.text) if self.text and not of_role else []
        self.reset_button.set_visibility(self.view == "personal" or (bool(self.text) and not of_role))
        self._draw_role(shown=of_role)
        self.place.clear()
        self.rows.clear()
        with self.place:
            if of_role and not self.role:
                return
            if not found and not others:
                with ui.element("div").classes("lc-empty"):
                    ui.label(_("No setting is called “{text}”.").format(text=self.text))
            for each in Level:
                self._draw_level([one for one in found if one.level is each], each)
            if of_role and not self.text:
                self._draw_columns()
            if others:
                _draw_others(others)
            self.differing = ui.element("div").classes("lc-options")
        self._draw_differing()

    def _draw_role(self, *, shown: bool) -> None:
        """Whose defaults are shown; it stands apart, so that the box stays open while what is below it is drawn anew."""
        wanted = (dict(self.state.roles), self.role) if shown else None
        if wanted == self.whose_shown:
            return
        self.whose_shown = wanted
        self.whose.clear()
        with self.whose:
            if shown and not self.role:
                with ui.element("div").classes("lc-empty"):
                    ui.label(_("There are no roles yet."))
                    ui.button(_("Roles and rights"), on_click=lambda: ui.navigate.to("/roles")).props("unelevated no-caps").classes(
                        "lc-btn"
                    )
            elif shown:
                with ui.element("div").classes("lc-row lc-option-role"):
                    box = ui.select(dict(self.state.roles), value=self.role, on_change=self._choose_role)
                    box.props(f'outlined dense options-dense hide-bottom-space aria-label="{_("Role")}"').classes("lc-option-box")
                    ui.label(
                        _(
                            "This holds for whoever has the role and has chosen nothing himself. Of several roles the first in this list counts."
                        )
                    ).classes("lc-muted lc-small-text grow")

    def _draw_columns(self) -> None:
        """The lists whose columns the role arranges; they are set where the list is."""
        lists = [key for key in self.state.said if key.startswith(FREE)]
        ui.label(_("Columns of lists")).classes("lc-sub")
        with ui.element("div").classes("lc-card lc-option-card").mark("role-columns"):
            if not lists:
                ui.label(_("Arrange a list as the role should see it, then: Columns → For a role…")).classes("lc-muted lc-option")
            for key in lists:
                name = key.removeprefix(FREE)
                with ui.element("div").classes("lc-option"):
                    with ui.element("div").classes("lc-option-text"):
                        ui.label(_list_name(name)).classes("lc-option-name")
                        with ui.element("div").classes("lc-row lc-option-standing"):
                            _draw_set_by(self.state.said[key].by, self.state.said[key].at)
                    drop = ui.button(_("No default any more"), on_click=partial(self._drop_columns, key)).props("flat dense no-caps")
                    drop.mark(f"drop-{key}")

    async def _draw_again(self, one: Option) -> None:
        """What changes with an option; other rows stay, somebody may be about to press a button there."""
        if not await self._look():
            return
        wanted = [key for key in self.rows if key == one.key or (key == "menu_order" and one.key.startswith("menu_"))]
        for key in wanted:
            self.rows[key].clear()
            with self.rows[key]:
                self._fill(option(key))
        self._draw_differing()
        ui.run_javascript("localcrm.refocus()")

    async def _look(self) -> bool:
        outcome = await run_service(self.session, self._read)
        if outcome.ok:
            self.state = outcome.value
        return outcome.ok

    def _draw_differing(self) -> None:
        self.differing.clear()
        if self.state.differing and self.level is Level.COMPANY and not self.text:
            with self.differing:
                _draw_deviations(self.state.differing)

    def _draw_level(self, found: Sequence[Option], level: Level) -> None:
        for section in SECTIONS:
            members = [one for one in found if one.section == section]
            if members:
                name = _(SECTIONS[section])
                ui.label(f"{_(VIEWS[level.value])} · {name}" if self.text and self.view != "role" else name).classes("lc-sub")
                with ui.element("div").classes("lc-card lc-option-card"):
                    for one in members:
                        self._draw_option(one)

    # one option ----------------------------------------------------------------------------------------------------------

    def _draw_option(self, one: Option) -> None:
        wide = one.key in {"keys", "menu_order"}
        row = ui.element("div").classes("lc-option" + (" lc-on" if one.key == self.wish else "") + (" lc-option-wide" if wide else ""))
        self.rows[one.key] = row.props(f"data-option={one.key}").mark(f"option-{one.key}")
        with row:
            self._fill(one)

    def _fill(self, one: Option) -> None:
        state = self.state.company.get(one.key)
        with ui.element("div").classes("lc-option-text"):
            ui.label(one.label).classes("lc-option-name")
            ui.label(one.effect).classes("lc-muted lc-small-text")
            if state is not None:
                _draw_standing(state)
                if state.next_value is not None:
                    self._draw_planned(one, state, state.next_value)
            else:
                self._draw_origin(one)
        with ui.element("div").classes("lc-option-control"):
            editor = EDITORS.get(one.key, _EDITORS[one.kind])
            editor(self, one, self.value(one), bool(state and state.locked))
            if state is not None and self.session.store.node.is_office:
                self._draw_fixed(one, state)
        self._draw_menu(one, state)

    def _draw_planned(self, one: Option, state: OptionState, value: str) -> None:
        """What holds from a later day on, who planned it, and the way to withdraw it."""
        with ui.element("div").classes("lc-row lc-option-standing").mark(f"planned-{one.key}"):
            with ui.element("div").classes("lc-chip lc-acc"):
                ui.icon("event").props("size=14px")
                ui.label(_("from {day}: {value}").format(day=state.next_from, value=one.show(value)))
            _draw_set_by(state.next_by, state.next_at)
            if state.may_withdraw:
                ui.button(_("Withdraw"), on_click=partial(self._withdraw, one)).props("flat dense no-caps").mark(f"withdraw-{one.key}")

    def _draw_origin(self, one: Option) -> None:
        """Where a value comes from that was not chosen."""
        said, default = self.state.said.get(one.key), self.state.default.get(one.key)
        with ui.element("div").classes("lc-row lc-option-standing"):
            if self.view == "role":
                if said is not None:
                    ui.label(_("default of this role")).classes("lc-chip lc-acc").mark(f"said-{one.key}")
                    _draw_set_by(said.by, said.at)
            elif default is not None and default.role and one.key not in self.state.own:
                ui.label(_("from your role “{role}”").format(role=default.role)).classes("lc-chip lc-acc").mark(f"from-{one.key}")
            elif one.key in self.state.general:
                ui.label(_("Set by head office for everybody who has chosen nothing")).classes("lc-muted lc-small-text")

    def value(self, one: Option) -> str:
        """What is set as the screen shows it."""
        state = self.state.company.get(one.key)
        if state is not None:
            return state.value
        if self.view == "role":
            said = self.state.said.get(one.key)
            return said.value if said is not None else usable(one, self.state.general.get(one.key)) or one.default
        return self.session.setting(one.key, one.default)

    def _draw_fixed(self, one: Option, state: OptionState) -> None:
        box = ui.checkbox(_("Same for all branches"), value=state.fixed).props("dense").mark(f"fixed-{one.key}")
        box.on_value_change(lambda event: self.set(one, state.value, fixed=bool(event.value)))

    def _draw_menu(self, one: Option, state: OptionState | None) -> None:
        """The way back to the default, and for head office the way to set it for everybody."""
        of_role = self.view == "role" and state is None
        said = self.state.said.get(one.key) if of_role else None
        own = one.key in (self.state.said if of_role else self.state.own)
        changed = own if state is None else _is_changed_here(self.session, state)
        for_all = state is None and not of_role and self._may_roles()
        with ui.element("div").classes("lc-option-menu"):
            kind = state.kept_in if state is not None else None
            may_plan = state is not None and not state.locked and not one.arithmetic
            if not changed and not for_all and kind is None and not may_plan:
                return
            more = ui.button(icon="more_vert").props("flat dense round size=sm").classes("lc-bar-button").mark(f"more-{one.key}")
            more.props(f"aria-label={quoted(_('More about “{label}”').format(label=one.label))}")
            with more, ui.menu().classes("lc-menu").props("auto-close"):
                if may_plan:
                    ui.menu_item(_("From a later day…"), partial(self._plan, one)).mark(f"plan-{one.key}")
                if changed:
                    text = _("No default any more") if of_role else _("Reset to default")
                    ui.menu_item(text, partial(self._reset, one)).mark(f"reset-{one.key}")
                if for_all:
                    ui.menu_item(_("Use for everybody who has chosen nothing"), partial(self._set_for_all, one)).mark(f"for-all-{one.key}")
                if for_all and one.key in self.state.general:
                    ui.menu_item(_("No longer set it for everybody"), partial(self._unset_for_all, one)).mark(f"not-for-all-{one.key}")
                if kind is not None:
                    ui.menu_item(_("History"), partial(self._history, one, kind)).mark(f"history-{one.key}")
                if said is not None:
                    ui.menu_item(_("History"), partial(self._history, one, _OF_ROLE, said.record)).mark(f"history-{one.key}")

    # handlers ------------------------------------------------------------------------------------------------------------

    async def _turn(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self.view = str(event.value)
        await self._draw()

    async def _choose_role(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self.role = str(event.value)
        self.whose_shown = (dict(self.state.roles), self.role)  # the box shows it already
        await self._draw()

    async def _drop_columns(self, key: str) -> None:
        with self.place:
            outcome = await run_verb(self.session, "options.reset_role_option", {"role_id": self.role, "key": key})
        if outcome.ok:
            await self._draw()

    async def _search(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self.text = str(event.value or "").strip()[:100]
        await self._draw()

    async def set(self, one: Option, value: str, *, fixed: bool | None = None, on_error: OnError | None = None) -> None:
        """Save what an editor says; with the company's options also whether branches may differ."""
        given: dict[str, Any] = {"key": one.key, "value": value} | ({} if fixed is None else {"fixed": fixed})
        await self._run(one, "set", given, _("“{label}” is set").format(label=one.label), on_error)

    async def _reset(self, one: Option) -> None:
        await self._run(one, "reset", {"key": one.key}, _("“{label}” is as it was at first").format(label=one.label))

    async def _run(self, one: Option, verb: str, given: Mapping[str, Any], done: str, on_error: OnError | None = None) -> None:
        """Change an option and draw what follows from it; where the change began is drawn anew, hence not there."""
        undo = self._before(one)
        of_role = self.view == "role" and one.level is Level.PERSONAL
        whose = "role_option" if of_role else "option" if one.level is Level.PERSONAL else "company_option"
        with self.place:
            outcome = await run_verb(
                self.session, f"options.{verb}_{whose}", {**given, **({"role_id": self.role} if of_role else {})}, on_error=on_error
            )
            if outcome.ok:
                await apart(self.session.take_options)
                if one.key == "language" and not of_role:
                    ui.navigate.reload()
                    return
                theme.restyle(self.session)
                redraw_navigation()
            if outcome.ok or on_error is None:
                await self._draw_again(one)
            if outcome.ok:
                toast(done, undo=(_("Undo"), undo))

    def _before(self, one: Option) -> Callable[[], Awaitable[Any]]:
        """What brings back how an option stands now."""
        state = self.state.company.get(one.key)
        if state is None and self.view == "role":
            said = self.state.said.get(one.key)
            return partial(self.set, one, said.value) if said is not None else partial(self._reset, one)
        if state is None:
            own = self.state.own.get(one.key)
            return partial(self.set, one, own) if own is not None else partial(self._reset, one)
        if not _is_changed_here(self.session, state):
            return partial(self._reset, one)
        return partial(self.set, one, state.value, fixed=state.fixed if self.session.store.node.is_office else None)

    async def _set_for_all(self, one: Option) -> None:
        given = {"key": one.key, "value": self.value(one)}
        label = _("Everybody who has chosen nothing now has “{label}” like this").format(label=one.label)
        await self._for_all(one, "options.set_company_option", given, label)

    async def _unset_for_all(self, one: Option) -> None:
        label = _("“{label}” is as it was at first for everybody who has chosen nothing").format(label=one.label)
        await self._for_all(one, "options.reset_company_option", {"key": one.key}, label)

    async def _plan(self, one: Option) -> None:
        """Ask for a value and the day from which it is to hold."""
        with self.place:
            await _Plan(self, one).ask()
            await self._draw_again(one)

    async def _withdraw(self, one: Option) -> None:
        with self.place:
            outcome = await run_verb(self.session, "options.withdraw_company_option", {"key": one.key})
            await self._draw_again(one)
            if outcome.ok:
                toast(_("What was planned for “{label}” is withdrawn").format(label=one.label))

    async def _for_all(self, one: Option, verb: str, given: Mapping[str, Any], done: str) -> None:
        with self.place:
            outcome = await run_verb(self.session, verb, given)
            if outcome.ok:
                await apart(self.session.take_options)
                theme.restyle(self.session)
                redraw_navigation()
                await self._draw_again(one)
                toast(done)

    async def _history(self, one: Option, kind: EntityType, record: str | None = None) -> None:
        outcome = await run_service(self.session, lambda: _lines_of(self.session, one, kind, record))
        if not outcome.ok:
            return
        with self.place, page_dialog() as dialog, ui.card().classes("lc-dialog").mark("option-history"):
            ui.label(one.label).classes("lc-dialog-title")
            history_table(outcome.value)
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Close"), on_click=dialog.close).props("unelevated no-caps autofocus").classes("lc-pri")
        await answer_of(dialog)

    async def _reset_all(self) -> None:
        if not await confirm(
            _("Reset all your own options?"),
            detail=_("Columns of lists, favourites and keys go back to the default too."),
            yes=_("Reset all"),
        ):
            return
        outcome = await run_verb(self.session, "options.reset_options", {})
        if outcome.ok:
            await apart(self.session.take_options)
            ui.navigate.reload()


class _Plan:
    """A value for a later day, chosen with the same editors; nothing is saved before the day is there too."""

    def __init__(self, page: _Options, one: Option) -> None:
        self.page, self.session, self.one = page, page.session, one
        state = page.state.company[one.key]
        self.chosen = self.typed = state.next_value or state.value
        self.day = state.next_from or ""

    def value(self, one: Option) -> str:  # noqa: ARG002 -- there is only this one
        """What is chosen so far, in its spelling."""
        return self.chosen

    async def set(self, one: Option, value: str, *, fixed: bool | None = None, on_error: OnError | None = None) -> None:  # noqa: ARG002
        """Keep what an editor says for the moment; what does not fit is said at once and refused when it is saved."""
        self.typed = value
        try:
            self.chosen = one.clean(value)
        except InvalidInput as error:
            (on_error or self._failed)(error)

    async def ask(self) -> None:
        """Show the dialog until it is saved or left."""
        with page_dialog() as self.dialog, ui.card().classes("lc-dialog lc-narrow").mark("plan"):
            ui.label(_("“{label}” from a later day").format(label=self.one.label)).classes("lc-dialog-title")
            ui.label(_("Until then everything stays as it is, also at branches without a network.")).classes("lc-muted")
            with ui.element("div").classes("lc-field"):
                ui.label(_("Later value")).classes("lc-label")
                EDITORS.get(self.one.key, _EDITORS[self.one.kind])(self, self.one, self.chosen, False)
            with ui.element("div").classes("lc-field"):
                ui.label(_("From the day")).classes("lc-label")
                self.box = moment_input(_("From the day"), with_time=False, on_change=lambda _event: None)
                self.box.set_value(self.day)
            self.problem = ui.label().classes("lc-field-error").props('role="alert"').mark("plan-problem")
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=self.dialog.close).props("flat no-caps").classes("lc-btn")
                ui.button(_("Save"), on_click=self._save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save-plan")
        await answer_of(self.dialog)

    async def _save(self) -> None:
        typed = str(self.box.value or "")
        day = parse_day(typed, today())
        given = {"key": self.one.key, "value": self.typed, "from_day": day.isoformat() if day else typed}
        if (await run_verb(self.session, "options.set_company_option", given, on_error=self._failed)).ok:
            self.dialog.close()

    def _failed(self, error: AppError) -> bool:
        self.problem.set_text(error.message)
        return isinstance(error, InvalidInput)


# editors: one per kind of value, and some of their own -----------------------------------------------------------------------

OnError = Callable[[AppError], bool]
Editor = Callable[["_Options | _Plan", Option, str, bool], None]


def _switch(page: _Options | _Plan, one: Option, value: str, locked: bool) -> None:
    box = (
        ui.switch(value=value == YES).props(f"dense aria-label={quoted(one.label)}" + (" disable" if locked else "")).mark(f"set-{one.key}")
    )
    box.on_value_change(lambda event: page.set(one, YES if event.value else NO))


def _choices(page: _Options | _Plan, one: Option, value: str, locked: bool) -> None:
    labels = {key: gettext(label) for key, label in one.choices.items()}
    if len(labels) > SIDE_BY_SIDE:
        _list(page, one, labels, value, locked)
        return
    box = ui.toggle(labels, value=value).props("no-caps unelevated dense" + (" disable" if locked else "")).classes("lc-choices")
    box.mark(f"set-{one.key}").on_value_change(lambda event: page.set(one, str(event.value)))


def _list(page: _Options | _Plan, one: Option, labels: Mapping[str, str], value: str, locked: bool) -> None:
    box = ui.select(dict(labels), value=value if value in labels else None)
    box.props(f"outlined dense options-dense aria-label={quoted(one.label)}" + (" disable" if locked else "")).classes("lc-option-box")
    box.mark(f"set-{one.key}").on_value_change(lambda event: page.set(one, str(event.value or "")))


def _typed(page: _Options | _Plan, one: Option, value: str, locked: bool) -> None:
    """Saved when the field is left, or by Enter."""
    box = ui.input(value=one.show(value)).classes("lc-option-number").mark(f"set-{one.key}")
    box.props(
        f"outlined dense hide-bottom-space autocomplete=off aria-label={quoted(one.label)}"
        + (" inputmode=decimal" if one.kind is not OptionKind.TEXT else "")
        + (" disable" if locked else "")
    )

    def show(error: AppError) -> bool:
        if isinstance(error, InvalidInput):
            box.props("error").props["error-message"] = error.message
            box.update()
        return isinstance(error, InvalidInput)

    async def save() -> None:
        typed = str(box.value or "").strip()
        if typed != one.show(page.value(one)):
            await page.set(one, typed, on_error=show)

    box.on("blur", save).on("keydown.enter", js_handler="(event) => event.target.blur()")


def _page_of_first(page: _Options | _Plan, one: Option, value: str, locked: bool) -> None:
    shown = [screen for screen in screens_for(page.session) if screen.section is not None]
    _list(page, one, {"": _("The first of the navigation"), **{screen.id: screen.label for screen in shown}}, value, locked)


def _pages(page: _Options | _Plan, one: Option, value: str, locked: bool) -> None:  # noqa: ARG001 -- nobody locks a personal option
    """Several pages, saved once the list is folded up again."""
    shown = {screen.id: screen.label for screen in screens_for(page.session) if screen.section is not None}
    before = [key for key in value.split() if key in shown]
    box = (
        ui.select(shown, value=before, multiple=True, label=None if before else _("Choose pages…"))
        .classes("lc-option-box lc-option-pages")
        .mark(f"set-{one.key}")
    )
    box.props(f"outlined dense options-dense use-chips aria-label={quoted(one.label)}")

    async def save() -> None:
        if box.value != before:
            await page.set(one, " ".join(box.value or []))

    box.on("popup-hide", save)


def _order(page: _Options | _Plan, one: Option, value: str, locked: bool) -> None:  # noqa: ARG001
    """The pages of each group with arrows."""
    groups = [
        (label, members)
        for label, members in navigation(page.session, lambda key: page.value(option(key)))
        if label != PINNED and len(members) > 1
    ]
    every = [screen.id for _label, members in groups for screen in members]

    def move(identity: str, beside: str) -> Awaitable[None]:
        order = list(every)
        at, to = order.index(identity), order.index(beside)
        order[at], order[to] = order[to], order[at]
        return page.set(one, " ".join(order))

    with ui.element("div").classes("lc-option-groups"):
        for label, members in groups:
            with ui.element("div"):
                ui.label(_(label) if label else _("At the top")).classes("lc-section")
                for place, screen in enumerate(members):
                    with ui.element("div").classes("lc-line"):
                        ui.icon(screen.icon).classes("lc-muted")
                        ui.label(screen.label).classes("grow lc-cut")
                        for icon, other, text in (
                            ("arrow_upward", place - 1, _("{page} up")),
                            ("arrow_downward", place + 1, _("{page} down")),
                        ):
                            beside = members[other].id if 0 <= other < len(members) else ""
                            button = ui.button(icon=icon, on_click=partial(move, screen.id, beside)).props("flat dense round size=sm")
                            button.props(f"aria-label={quoted(text.format(page=screen.label))}" + ("" if beside else " disable"))
                            button.mark(f"{icon}-{screen.id}")


def _keys(page: _Options | _Plan, one: Option, value: str, locked: bool) -> None:  # noqa: ARG001
    """A field per key: press another one in it."""
    own = read_shortcuts(value)

    async def pressed(standard: str, event: events.GenericEventArguments) -> None:
        key = str(event.args["key"]).lower().replace(" ", "space")
        if event.args["control"]:
            key = f"ctrl+{key}"
        wanted = {**own, standard: key}
        await page.set(one, " ".join(f"{known}={used}" for known, used in wanted.items() if known != used), on_error=show)

    def show(error: AppError) -> bool:
        problem.set_text(error.message)
        return isinstance(error, InvalidInput)

    with ui.element("div").classes("lc-option-groups"):
        for standard, label in SHORTCUTS.items():
            with ui.element("div").classes("lc-line"):
                ui.label(_(label)).classes("grow")
                box = ui.input(value=key_name(own[standard])).classes("lc-option-key").mark(f"key-for-{standard}")
                box.props(f"outlined dense readonly data-key-for={quoted(standard)} aria-label={quoted(_(label))}")
                box.on("keydown", partial(pressed, standard), js_handler=_PRESSED)
    problem = ui.label().classes("lc-field-error").props('role="alert"').mark("key-problem")


#: Tab goes on to the next field and the keys that hold others down say nothing by themselves.
_PRESSED = """(event) => {
  if (["Tab", "Shift", "Control", "Alt", "Meta"].includes(event.key) || event.isComposing) return;
  event.preventDefault();
  event.stopPropagation();
  emit({ key: event.key, control: event.ctrlKey || event.altKey || event.metaKey });
}"""
_EDITORS: Mapping[OptionKind, Editor] = {
    OptionKind.YES_NO: _switch,
    OptionKind.CHOICE: _choices,
    OptionKind.NUMBER: _typed,
    OptionKind.PERCENT: _typed,
    OptionKind.TEXT: _typed,
}
#: Options whose values are not simply typed or chosen.
EDITORS: Mapping[str, Editor] = {
    "landing": _page_of_first,
    "menu_pinned": _pages,
    "menu_hidden": _pages,
    "menu_order": _order,
    "keys": _keys,
}


# pieces ------------------------------------------------------------------------------------------------------------------


def _is_changed_here(session: Session, state: OptionState) -> bool:
    """Whether this node has set it, and so can take it back."""
    return not state.locked and state.source == ("office" if session.store.node.is_office else "branch")


def _lines_of(session: Session, one: Option, kind: EntityType, record: str | None) -> list[Line]:
    """What was set when by whom, newest first, values in words; of all records that say something of the option, or of one."""
    values = {kind.fields[key].label for key in ("value", "next_value") if key in kind.fields}
    told = values | {kind.fields[key].label for key in ("fixed", "next_from") if key in kind.fields}
    with session.store.read() as connection:
        ids = [record] if record else records_of(connection, session.store.node, one, kind)
    lines = [line for identity in ids for line in history_lines(session, kind, identity) if line.field in told]
    if kind.kind is Kind.LEDGER:  # a row says what it brings; what was there is in the row before
        lines = [
            replace(line, old=next((before.new for before in lines[n + 1 :] if before.field == line.field), line.old))
            for n, line in enumerate(lines)
        ]

    def shown(text: str) -> str:
        kept = usable(one, text)
        return text if kept is None else one.show(kept)

    return [replace(line, old=shown(line.old), new=shown(line.new)) if line.field in values else line for line in lines]


def _draw_standing(state: OptionState) -> None:
    """Why it is so: who set it, or what keeps it."""
    with ui.element("div").classes("lc-row lc-option-standing"):
        if state.locked:
            with ui.element("div").classes("lc-chip").props("data-tone=warn").mark("locked"):
                ui.icon("lock").props("size=14px")
                ui.label(_(LOCKED[state.locked]))
        if state.source == "branch":
            ui.label(_("differs from head office: {value}").format(value=state.option.show(state.office))).classes("lc-chip lc-acc")
        _draw_set_by(state.by, state.at)


def _draw_set_by(by: str | None, at: str | None) -> None:
    """Who set it when; nothing for what was never set."""
    if at is not None:
        moment = datetime.fromisoformat(at)
        text = _("set by {who}, {when}").format(who=by or _("the program"), when=near_moment(moment))
        ui.label(text).classes("lc-muted lc-small-text").mark("set-by").tooltip(exact(moment) or "")


def _list_name(name: str) -> str:
    """What a list is called: mostly it is that of a kind of record."""
    kind = next((kind for kind in entities() if kind.key == name), None)
    return kind.label if kind else name


def _draw_others(found: Sequence[Screen]) -> None:
    ui.label(_("Other settings")).classes("lc-sub")
    with ui.element("div").classes("lc-card lc-option-card"):
        for screen in found:
            with ui.element("a").classes("lc-option lc-option-link").props(f"href={quoted(screen.path)}").mark(f"settings-{screen.id}"):
                ui.icon(screen.icon)
                ui.label(screen.label).classes("grow lc-option-name")
                ui.icon("chevron_right").classes("lc-muted")


def _draw_deviations(differing: Sequence[Mapping[str, Any]]) -> None:
    ui.label(_("Where branches differ")).classes("lc-sub")
    with (
        ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("deviations"),
        ui.element("table").classes("lc-table"),
    ):
        heads(_("Branch"), _("Option"), _("There"), _("Head office"), _("Set by"), "")
        for each in differing:
            one, moment = option(each["key"]), datetime.fromisoformat(each["at"]) if each["at"] else None
            with ui.element("tr"):
                cell(f"{each['code']} {each['branch']}")
                cell(one.label)
                cell(one.show(each["value"]))
                cell(one.show(each["office"]))
                cell(" · ".join(filter(None, [each["by"], near_moment(moment) if moment else ""])), tip=exact(moment))
                cell("" if each["in_force"] else _("not in force: fixed by head office"), "lc-muted")


register(Screen("options", OPTIONS_PATH, N_("Options"), "tune", None, all_options, "settings", 10))
