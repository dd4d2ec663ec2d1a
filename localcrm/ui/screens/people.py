"""Departments at left, the people who work in them at right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.people.entities import Department, Role, User, UserRole
from localcrm.domain.people.sessions import close_sessions_of
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.query import Condition, ListQuery, Record, every, group_counts, select
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog, ticked_in
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, action_button, context_menu
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.operations import apart, run_service, run_verb, toast, way_back
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import delete_with_undo, history_dialog, read_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

USER, DEPARTMENT, ROLE, USER_ROLE = User.entity_type, Department.entity_type, Role.entity_type, UserRole.entity_type


async def people(session: Session, parameters: Mapping[str, str]) -> None:
    """The screen."""
    await _People(session, parameters).build()


class _People:
    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session, self.wish = session, parameters.get("open")
        self.department: str | None = None
        self.is_admin = session.actor.is_admin
        self.shapes_company = self.is_admin and session.store.node.is_office

    async def build(self) -> None:
        """Tree and list."""
        session = self.session
        with page_frame(session, title=_("People"), active="user"):
            actions = self._actions()
            with page_head(_("People")):
                tools = ui.element("div").classes("lc-row")
                ui.space()
                right = ui.element("div").classes("lc-row")
                if session.may("user.create"):
                    with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
                        ui.label(_("＋ New user"))
                        ui.label(own_key("n")).classes("lc-kbd")
            with ui.element("div").classes("lc-workbench"):
                self.tree = ui.element("div").classes("lc-groups lc-card lc-tree").mark("departments")
                with ui.element("div").classes("lc-right-side lc-beside"):
                    self.grid = RecordGrid(session, USER, actions=actions, on_open=self.open, wish=self.wish)
            with tools:
                self.grid.search_box(_("Name, login, phone, pinyin"))
                self.grid.total()
            with right:
                action_button(actions)
                self.grid.tools()
        await self._draw_tree()
        session.subscribe({"department", "user"}, lambda _changes: self._draw_tree())
        if self.wish:
            await self.open(self.wish)

    def _actions(self) -> list[Action]:
        may = self.session.may
        found = [Action("open", _("Open record"), self._with_user(self.open), "enter")]
        if may("user.update"):
            found.append(Action("edit", _("Edit"), self._with_user(self.edit), "e"))
        if self.shapes_company:
            found.append(Action("roles", _("Roles…"), self._with_user(self.roles), "r", divided=True))
            found.append(Action("departments", _("Further departments…"), self._with_user(self.departments)))
            found.append(Action("rights", _("Own rights…"), self._with_user(self.rights)))
        if self.is_admin:
            found.append(Action("look", _("See as this user"), self._with_user(self.look)))
            found.append(Action("password", _("Set a password…"), self._with_user(self.password)))
            found.append(Action("handover", _("Hand over…"), self._with_user(self.hand_over)))
        found.append(Action("history", _("History"), self._with_user(self.show_history), "h", divided=True))
        if may("user.delete"):
            found.append(Action("delete", _("Delete"), self._with_user(self.delete), "delete", danger=True, divided=True))
        return found

    def _with_user(self, handler: Any) -> Any:
        async def run() -> None:
            if self.grid.chosen:
                await handler(self.grid.chosen)

        return run

    # the tree ----------------------------------------------------------------------------------------------------------

    async def _draw_tree(self) -> None:
        def read() -> tuple[list[Record], dict[str | None, int], int]:
            with self.session.store.read() as connection:
                seen = policy.seen(self.session.actor, DEPARTMENT)
                pages = every(connection, ListQuery(DEPARTMENT, sort="position", restrict=seen)) if seen else ()
                departments = [row for page in pages for row in page.rows]
                view = policy.view(self.session.actor, USER)
                counts = dict(group_counts(connection, view, "department_id"))
                everybody = sum(counts.values())
                if view.shows("departments"):
                    query = ListQuery(USER, where=(Condition("departments", "filled"),), restrict=view)
                    further = (one for page in every(connection, query) for row in page.rows for one in row["departments"].split())
                    for one in further:
                        counts[one] = counts.get(one, 0) + 1
            return departments, counts, everybody

        outcome = await run_service(self.session, read)
        if not outcome.ok or self.tree.is_deleted:
            return
        departments, counts, everybody = outcome.value
        self.tree.clear()
        with self.tree:
            with ui.element("div").classes("lc-row").style("flex:none"):
                ui.label(_("Departments")).classes("lc-group-head grow")
                if self.shapes_company:
                    ui.button(icon="add", on_click=lambda: self._new_department(None)).props(
                        f'flat dense round size=sm aria-label="{_("New department")}"'
                    ).mark("new-department")
            self._row(_("Everybody"), everybody, None, 0)
            below: dict[str | None, list[Record]] = defaultdict(list)
            known = {row["id"] for row in departments}
            for row in departments:
                below[row.get("parent_id") if row.get("parent_id") in known else None].append(row)
            self._branch(None, below, counts, 0, set())
            if not departments and self.shapes_company:
                ui.label(_("Right-click or ＋ adds the first department.")).classes("lc-muted lc-small-text").style("padding:4px 8px")

    def _branch(
        self,
        parent: str | None,
        below: Mapping[str | None, Sequence[Record]],
        counts: Mapping[str | None, int],
        depth: int,
        drawn: set[str],
    ) -> None:
        for row in below.get(parent, ()):
            if row["id"] in drawn:
                continue  # a circle that work done apart has closed
            drawn.add(row["id"])
            self._row(str(row["name"]), counts.get(row["id"], 0), row, depth)
            self._branch(row["id"], below, counts, depth + 1, drawn)

    def _row(self, word: str, count: int, department: Record | None, depth: int) -> None:
        identity = department["id"] if department else None
        on = "lc-group lc-on" if identity == self.department else "lc-group"
        row = ui.element("button").classes(on).props('type="button"').style(f"padding-left:{8 + depth * 16}px")
        with row.mark(f"department-{word}"):
            ui.label(word)
            ui.label(f"{count:,}" if count else "")
            if self.shapes_company:
                context_menu(self._tree_actions(department))
        row.on("click", lambda: self._choose(identity))

    def _tree_actions(self, department: Record | None) -> list[Action]:
        if department is None:
            return [Action("new-department", _("New department"), lambda: self._new_department(None))]
        identity = department["id"]
        return [
            Action("new-below", _("New department below it"), lambda: self._new_department(identity)),
            Action("edit-department", _("Edit"), lambda: edit_dialog(self.session, DEPARTMENT, identity=identity)),
            Action("history-department", _("History"), lambda: history_dialog(self.session, DEPARTMENT, identity), divided=True),
            Action(
                "delete-department", _("Delete"), lambda: delete_with_undo(self.session, DEPARTMENT, identity), danger=True, divided=True
            ),
        ]

    async def _choose(self, department: str | None) -> None:
        self.department = department
        self.grid.narrow("department_id", ("department_id", "among", department) if department else None)
        await self._draw_tree()

    async def _new_department(self, parent: str | None) -> None:
        await edit_dialog(self.session, DEPARTMENT, preset={"parent_id": parent} if parent else None)

    # people ------------------------------------------------------------------------------------------------------------

    async def new(self) -> None:
        """Somebody new, in the department of the moment."""
        saved = await edit_dialog(self.session, USER, preset={"department_id": self.department} if self.department else None)
        if saved:
            self.grid.refresh(saved["id"])

    async def open(self, identity: str) -> None:
        """The user's record, to edit where that is allowed."""
        if self.session.may("user.update"):
            await self.edit(identity)
        else:
            await read_dialog(self.session, USER, identity)

    async def edit(self, identity: str) -> None:
        """Change the user."""
        await edit_dialog(self.session, USER, identity=identity)

    async def show_history(self, identity: str) -> None:
        """What happened to the user's record."""
        await history_dialog(self.session, USER, identity)

    async def delete(self, identity: str) -> None:
        """Into the recycle bin; refused while anything refers to the user."""
        await delete_with_undo(self.session, USER, identity)

    async def rights(self, identity: str) -> None:
        """The user's own rights, in the three windows."""
        ui.navigate.to(f"/roles?user={identity}")

    async def look(self, identity: str) -> None:
        """The program as this user sees it."""
        if (await run_service(self.session, lambda: self.session.look_as(identity))).ok:
            ui.navigate.to("/")

    async def roles(self, identity: str) -> None:
        """Which roles the user has."""

        def read() -> tuple[Record, list[Record], set[str]]:
            actor = self.session.actor
            user = load_typed(self.session, USER, identity)
            with self.session.store.read() as connection:
                where = (Condition("user_id", "blank"),)
                roles = [
                    row for page in every(connection, ListQuery(ROLE, where=where, restrict=policy.view(actor, ROLE))) for row in page.rows
                ]
                own = (Condition("user_id", "=", identity),)
                held = select(connection, ListQuery(USER_ROLE, where=own, limit=1000, restrict=policy.view(actor, USER_ROLE))).rows
            return user, roles, {row["role_id"] for row in held}

        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return
        user, roles, held = outcome.value
        ticked = await ticked_in(
            "role",
            _("Roles of {name}").format(name=user["name"]),
            {role["id"]: str(role["name"]) for role in roles},
            held,
            none=_("There are no roles yet. Make one on the page “Roles and rights”."),
        )
        if ticked is None:
            return
        done = _("Roles of {name} saved").format(name=user["name"])
        await run_verb(self.session, "people.set_roles", {"login": user["login"], "roles": ticked}, done=done)

    async def departments(self, identity: str) -> None:
        """Which departments the user works in besides his own."""

        def read() -> tuple[Record, list[Record]]:
            with self.session.store.read() as connection:
                query = ListQuery(DEPARTMENT, sort="position", restrict=policy.view(self.session.actor, DEPARTMENT))
                known = [row for page in every(connection, query) for row in page.rows]
            return load_typed(self.session, USER, identity), known

        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return
        user, known = outcome.value
        held = set((user["departments"] or "").split())
        wanted = await ticked_in(
            "further",
            _("Further departments of {name}").format(name=user["name"]),
            {row["id"]: str(row["name"]) for row in known if row["id"] != user["department_id"]},
            held,
            none=_("There is no other department."),
            hint=_("Besides the own one: rights that reach a department reach these too, in both directions."),
        )
        if wanted is None:
            return
        if (await run_verb(self.session, "people.set_departments", {"login": user["login"], "departments": wanted})).ok:
            toast(_("Departments of {name} saved").format(name=user["name"]))

    async def password(self, identity: str) -> None:
        """A new password for somebody who forgot his; his browsers are signed out."""
        outcome = await run_service(self.session, lambda: load_typed(self.session, USER, identity))
        if not outcome.ok:
            return
        user = outcome.value
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("password-dialog"):
            ui.label(_("New password for {name}").format(name=user["name"])).classes("lc-dialog-title")
            ui.label(_("Tell it to them in person; every browser of theirs is signed out.")).classes("lc-muted")
            field = ui.input(_("New password"), password=True, password_toggle_button=True)
            field.props("outlined dense autofocus autocomplete=new-password").mark("new-password")

            def show(error: AppError) -> bool:
                field.props("error").props["error-message"] = error.message
                return True

            async def save() -> None:
                field.props(remove="error")
                parameters = {"login": user["login"], "password": field.value or ""}
                if (await run_verb(self.session, "people.set_password", parameters, on_error=show)).ok:
                    dialog.submit(True)

            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                ui.button(_("Set the password"), on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
        if await answer_of(dialog):
            ended = await apart(close_sessions_of, self.session.store, identity)
            self.session.program.end_sessions(ended)
            toast(_("{name} has a new password").format(name=user["name"]))

    async def hand_over(self, identity: str) -> None:
        """Everything alive goes to somebody else, when a person leaves or changes places."""
        outcome = await run_service(self.session, lambda: load_typed(self.session, USER, identity))
        if not outcome.ok:
            return
        user = outcome.value
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("handover-dialog"):
            ui.label(_("Hand over what {name} looks after").format(name=user["name"])).classes("lc-dialog-title")
            ui.label(_("Customers and unfinished documents go to somebody else. Posted documents keep the name of who sold them.")).classes(
                "lc-muted"
            )
            with ui.element("div").classes("lc-field"):
                ui.label(_("To")).classes("lc-label lc-required")
                target = picker(self.session, "user", None, lambda _id: None, create=False, label=_("To"))
            disable = ui.checkbox(_("{name} leaves: no longer signs in").format(name=user["name"])).props("dense").mark("disable")
            problem = Problem()

            async def save() -> None:
                if target.value is None:
                    problem.tell(_("Choose who takes over."))
                    return
                taker = await apart(load_typed, self.session, USER, target.value)
                parameters = {"login": user["login"], "to": taker["login"], "disable": bool(disable.value)}
                result = await run_verb(self.session, "people.hand_over", parameters, on_error=problem.refuse)
                if result.ok:
                    dialog.submit(result)

            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                ui.button(_("Hand everything over"), on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
        outcome = await answer_of(dialog)
        if outcome:
            result = outcome.value
            count = sum(result["moved"].values())
            toast(_("Handed over {count} records").format(count=f"{count:,}"), undo=way_back(self.session, outcome))
            if left := sum(result["left"].values()):
                toast(_("{count} drafts of other branches stay; only those branches can hand them over").format(count=left))


register(Screen("user", "/people", N_("People"), "badge", "user.read", people, "company", 10))
