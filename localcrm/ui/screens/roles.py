"""Roles and rights in three windows: what may be done, whose records it reaches, and what becomes of single fields."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain import policy
from localcrm.domain.people.entities import Department, Role, RoleField, RoleFilter, RoleRight, User, UserRole
from localcrm.domain.roles import FieldRule, Scope
from localcrm.kernel.errors import NotFound
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import EntityType, entities, entity as entity_type
from localcrm.store.query import Condition, ListQuery, Record, every, titles
from localcrm.ui.finding import OPTIONS_PATH
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import confirm, ticked_in
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.lines import heads
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, context_menu
from localcrm.ui.kit.props import quoted
from localcrm.ui.operations import run_service, run_verb, toast
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.ui.sessions import Session

ROLE, USER, DEPARTMENT = Role.entity_type, User.entity_type, Department.entity_type
NONE = "none"


async def roles(session: Session, parameters: Mapping[str, str]) -> None:
    """The screen; ``role`` or ``user`` in the address says whose rights are shown."""
    await _Roles(session, parameters).build()


@dataclass(slots=True)
class _Shown:
    """What the windows show: the role, its rights by (kind, action), its field rules by (kind, field), who has it."""

    role: Record | None
    user: Record | None = None
    rights: dict[tuple[str, str], Record] = field(default_factory=dict)
    rules: dict[tuple[str, str], Record] = field(default_factory=dict)
    holders: list[str] = field(default_factory=list)
    departments: dict[str, str] = field(default_factory=dict)
    limits: dict[str, list[str]] = field(default_factory=dict)  # by kind, such as warehouses, the ids the role is limited to
    limiting: dict[str, dict[str, str]] = field(default_factory=dict)  # by kind what there is: id → title

    @property
    def name(self) -> str:
        """Whose rights these are."""
        if self.user is not None:
            return _("Own rights of {name}").format(name=self.user["name"])
        return str(self.role["name"]) if self.role else ""


class _Roles:
    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.role_id, self.user_id = parameters.get("role"), parameters.get("user")
        self.tab, self.kind = "functions", "customer"
        self.editable = session.actor.is_admin and session.store.node.is_office
        self.named: list[Record] = []
        self.shown = _Shown(None)
        self.writing = asyncio.Lock()

    async def build(self) -> None:
        """Roles at left, windows at right."""
        with page_frame(self.session, title=_("Roles and rights"), active="roles"):
            with page_head(_("Roles and rights")):
                ui.space()
                if self.editable:
                    with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
                        ui.label(_("＋ New role"))
                        ui.label(own_key("n")).classes("lc-kbd")
            if not self.editable:
                ui.label(_("Rights are set at head office; here they can be read.")).classes("lc-notice lc-info")
            with ui.element("div").classes("lc-workbench"):
                self.list = ui.element("div").classes("lc-groups lc-card").mark("roles")
                self.right = ui.element("div").classes("lc-right-side lc-beside lc-card").mark("windows")
        await self._draw()
        self.session.subscribe({"role", "role_right", "role_field", "role_filter", "user_role"}, lambda _changes: self._heard())

    # reading -----------------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[list[Record], _Shown]:
        with self.session.store.read() as connection:
            named = self._rows(connection, ROLE, Condition("user_id", "blank"))
            if self.user_id:
                found = self._rows(connection, USER, Condition("id", "=", parse_id(self.user_id)))
                if not found:
                    raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=USER.label)
                own = self._rows(connection, ROLE, Condition("user_id", "=", self.user_id))
                shown = _Shown(own[0] if own else None, found[0])
            else:
                chosen = next((row for row in named if row["id"] == self.role_id), named[0] if named else None)
                shown = _Shown(chosen)
            self.role_id = shown.role["id"] if shown.role else None
            if shown.role:
                mine = Condition("role_id", "=", shown.role["id"])
                shown.rights = {(row["entity"], row["action"]): row for row in self._rows(connection, RoleRight.entity_type, mine)}
                shown.rules = {(row["entity"], row["field"]): row for row in self._rows(connection, RoleField.entity_type, mine)}
                for row in self._rows(connection, RoleFilter.entity_type, mine):
                    shown.limits.setdefault(row["entity"], []).append(row["allowed"])
                holders = [row["user_id"] for row in self._rows(connection, UserRole.entity_type, mine)]
                shown.holders = sorted(titles(connection, USER, holders).values())
            shown.departments = {row["id"]: str(row["name"]) for row in self._rows(connection, DEPARTMENT)}
            for kind in map(entity_type, policy.LIMITING):
                shown.limiting[kind.key] = {row["id"]: str(row[kind.title_field]) for row in self._rows(connection, kind)}
        return named, shown

    def _rows(self, connection: Connection, kind: EntityType, *where: Condition) -> list[Record]:
        query = ListQuery(kind, where=where, restrict=policy.view(self.session.actor, kind))
        return [row for page in every(connection, query) for row in page.rows]

    # drawing -----------------------------------------------------------------------------------------------------------

    async def _draw(self) -> None:
        if await self._load():
            self._draw_all()

    async def _heard(self) -> None:
        """Draw what others changed; what was done here stands on the screen already, with the cursor where it was."""
        async with self.writing:
            before = self.named, self.shown
            differs = await self._load() and (self.named, self.shown) != before
        if differs and not self.list.is_deleted:  # the page may have been left meanwhile
            self._draw_all()

    async def _load(self) -> bool:
        outcome = await run_service(self.session, self._read)
        if outcome.ok:
            self.named, self.shown = outcome.value
        return outcome.ok

    def _draw_all(self) -> None:
        named = self.named
        self.list.clear()
        with self.list:
            ui.label(_("Roles")).classes("lc-group-head")
            for row in named:
                self._role_row(row)
            if not named:
                ui.label(_("No roles yet: a role says once what many users may do.")).classes("lc-muted lc-small-text").style(
                    "padding:4px 8px"
                )
        self.right.clear()
        with self.right:
            self._windows()

    def _role_row(self, row: Record) -> None:
        on = "lc-group lc-on" if row["id"] == self.role_id and not self.user_id else "lc-group"
        button = ui.element("button").classes(on).props('type="button"').mark(f"role-{row['name']}")
        with button:
            ui.label(str(row["name"]))
            if self.editable:
                context_menu(
                    [
                        Action("rename", _("Edit"), lambda: edit_dialog(self.session, ROLE, identity=row["id"])),
                        Action("copy", _("Copy role…"), lambda: self.copy(row)),
                        Action("options", _("Defaults of options…"), lambda: ui.navigate.to(f"{OPTIONS_PATH}?role={row['id']}")),
                        Action("delete", _("Delete"), lambda: self.delete(row), danger=True, divided=True),
                    ]
                )
        button.on("click", lambda: self._choose(row["id"]))

    async def _choose(self, role_id: str) -> None:
        self.role_id, self.user_id = role_id, None
        ui.navigate.history.replace(f"/roles?role={role_id}")
        await self._draw()

    def _windows(self) -> None:
        if self.shown.role is None and self.shown.user is None:
            with ui.element("div").classes("lc-empty"):
                ui.label(_("Make a role such as “Sales” or “Warehouse”, tick what it may do, and give it to people."))
                if self.editable:
                    ui.button(_("＋ New role"), on_click=self.new).props("unelevated no-caps").classes("lc-btn")
            return
        windows = {"functions": _("Functions"), "scope": _("Data scope"), "fields": _("Fields")}
        with ui.element("div").classes("lc-row").style("flex:none;padding:0 10px;border-bottom:1px solid var(--line)"):
            bar = ui.tabs(value=self.tab, on_change=self._keep_tab)  # type: ignore[arg-type]
            with bar.props("no-caps dense inline-label align=left").classes("grow").style("border:0"):
                for key, label in windows.items():
                    ui.tab(key, label=label).mark(f"tab-{key}")
            ui.label(self.shown.name).classes("lc-cut lc-sub lc-wide-only").mark("whose")
        self._explain()
        self.panel = ui.element("div").classes("lc-scroll")
        self._draw_panel()

    def _draw_panel(self) -> None:
        if self.panel.is_deleted:
            return
        self.panel.clear()
        with self.panel:
            {"functions": self._functions, "scope": self._scopes, "fields": self._fields}[self.tab]()

    def _explain(self) -> None:
        user = self.shown.user
        if user is not None:
            text = _(
                "Basic role “{role}”: it counts for kinds of records about which neither these rights nor a role says anything."
            ).format(role=gettext(User.entity_type.fields["role"].options[str(user["role"])]))
        elif self.shown.holders:
            text = _("Users with this role ({count}): {names}").format(
                count=len(self.shown.holders), names=_(", ").join(self.shown.holders[:8])
            )
        else:
            text = _("Nobody has this role yet. Give it to people on the page “People”: right-click, Roles…")
        ui.label(text).classes("lc-muted lc-small-text").style("padding:8px 14px 4px").mark("explain")

    def _keep_tab(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self.tab = str(event.value)
        self._draw_panel()

    # window 1: functions -------------------------------------------------------------------------------------------------

    def _functions(self) -> None:
        with ui.element("table").classes("lc-table lc-rights").mark("functions"):
            heads(_("Kind of record"), *((gettext(label), "lc-center") for label in policy.ACTIONS.values()))
            for kind in policy.granted_kinds():
                possible = policy.actions_of(kind)
                with ui.element("tr").classes("lc-hover"):
                    with ui.element("td"):
                        ui.label(kind.label)
                    for action in policy.ACTIONS:
                        with ui.element("td").classes("lc-center"):
                            if action in possible:
                                self._function(kind, action)

    def _function(self, kind: EntityType, action: str) -> None:
        box = ui.checkbox(value=(kind.key, action) in self.shown.rights).props("dense").mark(f"right-{kind.key}-{action}")
        box.props(f"aria-label={quoted(kind.label + ': ' + gettext(policy.ACTIONS[action]))}")
        box.set_enabled(self.editable)
        box.on_value_change(lambda event: self._grant(kind, action, bool(event.value)))

    async def _grant(self, kind: EntityType, action: str, granted: bool) -> None:
        read = self.shown.rights.get((kind.key, "read"))
        scope = str(read["scope"]) if read else Scope.ALL.value
        departments = str(read["departments"] or "").split() if read else []
        await self._set_right(kind, action, scope if granted else NONE, departments)
        if granted and action != "read" and read is None:
            await self._set_right(kind, "read", Scope.ALL.value, [])  # what may not be seen cannot be changed either
            self._draw_panel()
        elif self.tab != "functions":  # somebody was quicker than the write
            self._draw_panel()

    async def _set_right(self, kind: EntityType, action: str, scope: str, departments: Sequence[str]) -> None:
        wish = {"entity": kind.key, "action": action, "scope": scope, "departments": list(departments)}
        if not await self._write("people.set_role_right", wish):
            self._draw_panel()

    async def _write(self, verb: str, wish: dict[str, Any]) -> bool:
        """Write to the role shown and look again before the event of it is heard; returns whether it was done."""
        async with self.writing:
            with self.list:  # what was clicked may be drawn anew meanwhile
                role_id = await self._role()
                if role_id is None:
                    return False
                done = await run_verb(self.session, verb, {"role_id": role_id, **wish})
                await self._load()
        return done.ok

    async def _role(self) -> str | None:
        """The role the windows write to; a user's own one is made with the first right."""
        if self.shown.role is None and self.shown.user is not None:
            outcome = await run_verb(self.session, "people.own_rights", {"login": self.shown.user["login"]})
            if not outcome.ok:
                return None
            self.shown.role = outcome.value
        return self.shown.role["id"] if self.shown.role else None

    # window 2: whose records ---------------------------------------------------------------------------------------------

    def _scopes(self) -> None:
        for kind in map(entity_type, policy.LIMITING):
            self._limit(kind)
        kinds = [kind for kind in policy.granted_kinds() if any(key == kind.key for key, _action in self.shown.rights)]
        if not kinds:
            ui.label(_("Tick what may be done in the window “Functions” first.")).classes("lc-empty lc-muted")
            return
        with ui.element("table").classes("lc-table lc-rights").mark("scopes"):
            heads(_("Kind of record"), *((gettext(label), "lc-center") for label in policy.ACTIONS.values()))
            for kind in kinds:
                with ui.element("tr").classes("lc-hover"):
                    with ui.element("td"):
                        ui.label(kind.label)
                    for action in policy.ACTIONS:
                        with ui.element("td").classes("lc-center"):
                            if (kind.key, action) in self.shown.rights:
                                self._scope(kind, action)

    def _limit(self, kind: EntityType) -> None:
        """The records of a kind, such as warehouses, that the role is limited to."""
        known, chosen = self.shown.limiting[kind.key], self.shown.limits.get(kind.key, [])
        options = {**dict.fromkeys(chosen, "…"), **known}
        label = _("{entity}: only these").format(entity=kind.label)
        with ui.element("div").classes("lc-row lc-limit").mark(f"limit-{kind.key}"):
            ui.label(label)
            box = ui.select(options, value=list(chosen), multiple=True, clearable=True)
            box.props(f"outlined dense options-dense use-chips hide-bottom-space aria-label={quoted(label)}")
            ui.label(_("None chosen: all of them.")).classes("lc-muted lc-small-text")
            box.mark(f"limit-choice-{kind.key}").set_enabled(self.editable)
            box.on_value_change(lambda event: self._set_limit(kind, list(event.value or [])))

    async def _set_limit(self, kind: EntityType, allowed: list[str]) -> None:
        if not await self._write("people.set_role_limits", {"entity": kind.key, "allowed": allowed}):
            self._draw_panel()

    def _scope(self, kind: EntityType, action: str) -> None:
        right = self.shown.rights[kind.key, action]
        possible = policy.scopes_of(kind)
        if kind.under:
            ui.label(_("with {parent}").format(parent=kind.fields[kind.under].label)).classes("lc-muted lc-small-text").style(
                "white-space:nowrap"
            )
        elif len(possible) == 1:
            ui.label(gettext(Scope.ALL.label)).classes("lc-muted lc-small-text")
        else:
            options = {scope.value: gettext(scope.label) for scope in possible}
            box = ui.select(options, value=str(right["scope"])).props(
                f"outlined dense options-dense hide-bottom-space aria-label={quoted(kind.label + ': ' + gettext(policy.ACTIONS[action]))}"
            )
            box.mark(f"scope-{kind.key}-{action}").style("min-width:128px").set_enabled(self.editable)
            box.on_value_change(lambda event: self._rescope(kind, action, str(event.value)))
            if right["scope"] == Scope.DEPARTMENTS:
                names = _(", ").join(self.shown.departments.get(one, "…") for one in str(right["departments"] or "").split())
                again = ui.button(names, on_click=lambda: self._rescope(kind, action, Scope.DEPARTMENTS)).props("flat dense no-caps")
                again.classes("lc-btn lc-small-text").mark(f"departments-{kind.key}-{action}").set_enabled(self.editable)

    async def _rescope(self, kind: EntityType, action: str, scope: str) -> None:
        departments: list[str] = []
        if scope == Scope.DEPARTMENTS:
            held = str(self.shown.rights[kind.key, action]["departments"] or "").split()
            departments = await self._choose_departments(held)
        if departments or scope != Scope.DEPARTMENTS:
            await self._set_right(kind, action, scope, departments)
        self._draw_panel()

    async def _choose_departments(self, held: Sequence[str]) -> list[str]:
        none = _("There are no departments yet; add them on the page “People”.")
        return await ticked_in("department", _("Chosen departments"), self.shown.departments, held, none=none) or []

    # window 3: fields ------------------------------------------------------------------------------------------------------

    def _fields(self) -> None:
        names = {kind.key: kind.label for kind in entities() if kind.key not in policy.NOT_GRANTED}
        if self.kind not in names:
            self.kind = next(iter(names))
        with ui.element("div").classes("lc-row").style("padding:8px 14px"):
            box = ui.select(names, value=self.kind, on_change=self._choose_kind).props("outlined dense options-dense hide-bottom-space")
            box.props(f'aria-label="{_("Kind of record")}"').mark("field-kind").style("min-width:180px")
            ui.label(_("Hidden and masked fields are left out of lists, search, export, history and sorting too.")).classes(
                "lc-muted lc-small-text lc-wide-only"
            )
        kind = entity_type(self.kind)
        with ui.element("table").classes("lc-table lc-rights").style("max-width:720px").mark("fields"):
            heads(_("Field"), _("Rule"), _("No other role lifts it"))
            for column in kind.readable:
                rule = self.shown.rules.get((kind.key, column.key))
                with ui.element("tr").classes("lc-hover"):
                    with ui.element("td"):
                        ui.label(column.label)
                    with ui.element("td"):
                        options = {one.value: gettext(one.label) for one in FieldRule}
                        if column.key == kind.title_field:
                            options = {one.value: gettext(one.label) for one in (FieldRule.EDITABLE, FieldRule.READ_ONLY)}
                        choice = ui.select(options, value=str(rule["rule"]) if rule else FieldRule.EDITABLE.value)
                        choice.props(f"outlined dense options-dense hide-bottom-space aria-label={quoted(column.label)}").style(
                            "width:140px"
                        )
                        choice.mark(f"field-{column.key}").set_enabled(self.editable)
                        choice.on_value_change(lambda event, key=column.key: self._set_rule(key, str(event.value), None))
                    with ui.element("td"):
                        if rule and self.shown.user is None:
                            strict = ui.checkbox(value=bool(rule["strict"])).props("dense").mark(f"strict-{column.key}")
                            strict.set_enabled(self.editable)
                            strict.on_value_change(
                                lambda event, key=column.key, now=str(rule["rule"]): self._set_rule(key, now, bool(event.value))
                            )

    def _choose_kind(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self.kind = str(event.value)
        self._draw_panel()

    async def _set_rule(self, key: str, rule: str, strict: bool | None) -> None:
        known = self.shown.rules.get((self.kind, key))
        holds = bool(known["strict"]) if strict is None and known else bool(strict)
        await self._write("people.set_role_field", {"entity": self.kind, "field": key, "rule": rule, "strict": holds})
        self._draw_panel()

    # roles -------------------------------------------------------------------------------------------------------------------

    async def new(self) -> None:
        """A new role."""
        saved = await edit_dialog(self.session, ROLE)
        if saved:
            await self._choose(saved["id"])

    async def copy(self, row: Record) -> None:
        """A role like another one."""
        name = _("{name} (copy)").format(name=row["name"])
        outcome = await run_verb(self.session, "people.copy_role", {"role_id": row["id"], "name": name})
        if outcome.ok:
            toast(_("Copied: {title}").format(title=row["name"]))
            await self._choose(outcome.value["id"])

    async def delete(self, row: Record) -> None:
        """A role nobody has."""
        question = _("Delete “{title}”?").format(title=row["name"])
        if await confirm(question, detail=_("Its rights go with it."), yes=_("Delete"), danger=True):
            outcome = await run_verb(self.session, "people.delete_role", {"role_id": row["id"]}, done=_("Role deleted"))
            if outcome.ok and self.role_id == row["id"]:
                self.role_id = None
                await self._draw()


register(Screen("roles", "/roles", N_("Roles and rights"), "admin_panel_settings", "role.read", roles, "settings", 20))
