"""Fields, option lists and names of a company: kinds of records at left, their fields at right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.kernel.custom import (
    BECOMES,
    LISTS,
    NUMBERED,
    SEARCHABLE,
    WITHOUT_PRESET,
    WITHOUT_UNIQUE,
    WRITTEN,
    FieldType,
    is_extensible,
    lists_options,
    types_for,
)
from localcrm.kernel.i18n import LANGUAGES, N_, gettext, gettext as _, use_language
from localcrm.kernel.schema import EntityType, Field, Kind, entities, entity as entity_type
from localcrm.store.query import Condition, ListQuery, Record, select, titles
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, context_menu, menu_items
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service, run_verb, toast
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import history_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Most fields of one kind of record that are read.
_MOST = 1000
#: What declared fields are, where no type of the company's says it.
_DECLARED_KINDS = {
    "quantity": N_("Number with decimals"),
    "price": N_("Number with decimals"),
    "rate": N_("Number with decimals"),
    "ref": N_("Other record"),
    "files": N_("Attached files"),
}


@dataclass(frozen=True, slots=True)
class _Row:
    """One field as the table shows it; ``definition`` is None for a declared one."""

    field: Field
    definition: Record | None
    branch: str
    names: Mapping[str, str]


async def fields_and_names(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen."""
    await _Fields(session, parameters).build()


class _Fields:
    """One open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.is_office = session.store.node.is_office
        self.kinds = [kind for kind in entities() if is_extensible(kind)]
        wish = parameters.get("kind")
        self.kind = next((kind for kind in self.kinds if kind.key == wish), entity_type("customer"))

    async def build(self) -> None:
        """Kinds and fields."""
        with page_frame(self.session, title=_("Fields & names"), active="fields"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(_("Fields & names")):
                ui.label(
                    _("What head office adds is there for everybody.") if self.is_office else _("What you add here is your branch's own.")
                ).classes("lc-muted lc-wide-only")
                ui.space()
                ui.button(_("Rename these records…"), on_click=lambda: self.rename(None)).props("unelevated no-caps").classes(
                    "lc-btn"
                ).mark("rename-kind")
                with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new-field"):
                    ui.label(_("＋ New field"))
                    ui.label(own_key("n")).classes("lc-kbd")
            with ui.element("div").classes("lc-workbench"):
                self.left = ui.element("div").classes("lc-groups lc-card").mark("kinds")
                with ui.element("div").classes("lc-right-side lc-beside"):
                    self.table = ui.element("div").classes("lc-card lc-scroll lc-fill").mark("fields")
        await self.draw()
        self.session.subscribe({"custom_field", "field_option", "field_name"}, lambda _changes: self.draw())

    # what is shown -------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[list[_Row], dict[str, int]]:
        definition = entity_type("custom_field")
        with self.session.store.read() as connection:
            found = select(connection, ListQuery(definition, sort="position", limit=_MOST)).rows
            branches = titles(connection, entity_type("branch"), [row["branch_id"] for row in found if row["branch_id"]])
        own = {f"x{row['number']}": row for row in found if row["entity"] == self.kind.key}
        counts: dict[str, int] = {}
        for row in found:
            counts[row["entity"]] = counts.get(row["entity"], 0) + (not row["retired"])
        rows = [
            _Row(field, own.get(field.key), branches.get((own.get(field.key) or {}).get("branch_id") or "", ""), field.names)
            for field in self.kind.fields.values()
            if not field.secret
        ]
        return rows, counts

    async def draw(self) -> None:
        """Read and show."""
        outcome = await run_service(self.session, self._read)
        if not outcome.ok:
            return
        rows, counts = outcome.value
        self.left.clear()
        with self.left:
            ui.label(_("Kinds of records")).classes("lc-group-head")
            for kind in self.kinds:
                on = "lc-group lc-on" if kind is self.kind else "lc-group"
                with ui.element("button").classes(on).props('type="button"').mark(f"kind-{kind.key}") as one:
                    ui.label(kind.label)
                    ui.label(f"+{counts[kind.key]}" if counts.get(kind.key) else "")
                one.on("click", partial(self._choose, kind))
        self.table.clear()
        with self.table, ui.element("table").classes("lc-table lc-lines"):
            heads(_("Name"), _("Type"), (_("Rules"), "lc-hide-phone"), (_("Whose"), "lc-hide-phone"), "")
            for row in rows:
                self._draw_row(row)

    async def _choose(self, kind: EntityType) -> None:
        self.kind = kind
        await self.draw()

    def _draw_row(self, row: _Row) -> None:
        field, actions = row.field, self._actions(row)
        line = ui.element("tr").mark(f"field-{field.key}").classes("" if field.is_used else "lc-faint")
        with line:
            with ui.element("td"):
                ui.label(field.label)
                if row.names:
                    ui.label(_("declared as “{label}”").format(label=gettext(field.f.label))).classes("lc-muted lc-small-text")
            cell(_type_label(field, row.definition))
            with ui.element("td").classes("lc-hide-phone"), ui.element("div").classes("lc-row lc-wrap"):
                for word in _rules_of(field, row.definition):
                    ui.label(word).classes("lc-chip")
            with ui.element("td").classes("lc-hide-phone"):
                if row.definition is None:
                    ui.label(_("built in")).classes("lc-muted")
                elif row.definition["retired"]:
                    ui.label(_("no longer used")).classes("lc-chip")
                else:
                    ui.label(row.branch or _("company")).classes("lc-chip lc-acc")
            with ui.element("td").classes("lc-num"):
                button = (
                    ui.button(icon="more_horiz").props(f'flat dense round size=sm aria-label="{_("Actions")}"').mark(f"more-{field.key}")
                )
                with button, ui.menu().classes("lc-menu").props("auto-close"):
                    menu_items(actions, mark="action")
            context_menu(actions)
        if row.definition is not None and self._may_change(row):
            line.on("dblclick", partial(self.edit, row))

    def _may_change(self, row: _Row) -> bool:
        return self.is_office or (row.definition is not None and row.definition["branch_id"] == self.session.store.node.branch_id)

    def _actions(self, row: _Row) -> list[Action]:
        found = [Action("rename", _("Call it otherwise…"), partial(self.rename, row.field))]
        may = self._may_change(row)
        if lists_options(row.field) and may:
            found.append(Action("options", _("Options…"), partial(self.options, row.field)))
        if row.definition is None:
            return found
        definition = row.definition
        if may:
            found.insert(0, Action("edit", _("Edit"), partial(self.edit, row)))
            found.append(Action("up", _("Move up"), partial(self.move, row, -1), divided=True))
            found.append(Action("down", _("Move down"), partial(self.move, row, 1)))
        if self.is_office and definition["branch_id"]:
            found.append(Action("promote", _("Make it one of the company"), partial(self.promote, row), divided=True))
        if self.is_office:
            found.append(Action("merge", _("Take over the values of another field…"), partial(self.merge, row)))
        found.append(Action("history", _("History"), partial(self.show_history, row), divided=True))
        if may and definition["retired"]:
            found.append(Action("use", _("Use it again"), partial(self.retire, row, retired=False)))
        elif may:
            found.append(Action("retire", _("No longer use it"), partial(self.retire, row, retired=True), danger=True))
        return found

    # what is done --------------------------------------------------------------------------------------------------

    async def new(self) -> None:
        """Add a field to the kind of the moment."""
        await _FieldDialog(self.session, self.kind, None).ask()

    async def edit(self, row: _Row) -> None:
        """Change one."""
        await _FieldDialog(self.session, self.kind, row.definition).ask()

    async def options(self, field: Field) -> None:
        """The list that a field offers."""
        await _options_dialog(self.session, self.kind, field)

    async def rename(self, field: Field | None) -> None:
        """What the company calls a field or the records themselves, by language."""
        await _rename_dialog(self.session, self.kind, field)

    async def move(self, row: _Row, step: int) -> None:
        """One place up or down among the company's fields."""
        outcome = await run_service(self.session, self._read)
        if not outcome.ok or row.definition is None:
            return
        own = [one.definition for one in outcome.value[0] if one.definition is not None]
        place = next((n for n, one in enumerate(own) if one["id"] == row.definition["id"]), None)
        if place is None or not 0 <= place + step < len(own):
            return
        own[place], own[place + step] = own[place + step], own[place]
        for position, one in enumerate(own, start=1):
            if one["position"] != position:
                await run_verb(self.session, "admin.change_field", {"id": one["id"], "position": position})

    async def retire(self, row: _Row, *, retired: bool) -> None:
        """Out of the forms, or back."""
        assert row.definition is not None
        done = _("“{label}” is no longer in forms and lists; its values stay") if retired else _("“{label}” is used again")
        await run_verb(
            self.session, "admin.change_field", {"id": row.definition["id"], "retired": retired}, done=done.format(label=row.field.label)
        )

    async def promote(self, row: _Row) -> None:
        """A branch's field becomes everybody's."""
        assert row.definition is not None
        done = _("“{label}” is now a field of the whole company").format(label=row.field.label)
        await run_verb(self.session, "admin.promote_field", {"id": row.definition["id"]}, done=done)

    async def show_history(self, row: _Row) -> None:
        """Who changed the definition, and when."""
        assert row.definition is not None
        await history_dialog(self.session, entity_type("custom_field"), row.definition["id"])

    async def merge(self, row: _Row) -> None:
        """Two fields that mean the same become this one."""
        assert row.definition is not None
        keep = row.definition
        query = ListQuery(entity_type("custom_field"), where=(Condition("entity", "=", self.kind.key),), limit=_MOST)

        def read() -> list[Record]:
            with self.session.store.read() as connection:
                return select(connection, query).rows

        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return
        others = {one["id"]: one["label"] for one in outcome.value if one["id"] != keep["id"] and not one["retired"]}
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("merge-dialog"):
            ui.label(_("Take over values into “{label}”").format(label=row.field.label)).classes("lc-dialog-title")
            ui.label(
                _("Where this field is empty it gets the other's value; the other is then no longer used. Both keep their history.")
            ).classes("lc-muted")
            choice = ui.select(others, label=_("The other field")).props("outlined dense options-dense").mark("other-field")
            if not others:
                ui.label(_("There is no other field of your own on these records.")).classes("lc-muted")
            _buttons(dialog, lambda: dialog.submit(choice.value), _("Take over"))
        drop = await answer_of(dialog)
        if not drop:
            return
        done = await run_verb(self.session, "admin.merge_fields", {"keep": keep["id"], "drop": drop})
        if done.ok:
            text = _("{copied} values taken over; {different} records say something else in both and keep both")
            toast(text.format(**done.value))


# dialogs -----------------------------------------------------------------------------------------------------------------


class _FieldDialog:
    """What a field is: asked for a new one, changed for one that is there."""

    def __init__(self, session: Session, kind: EntityType, definition: Record | None) -> None:
        self.session, self.kind, self.definition = session, kind, definition
        now: Mapping[str, Any] = definition or {}
        with page_dialog().props("persistent") as self.dialog, ui.card().classes("lc-dialog").mark("field-dialog") as card:
            title = _("Edit “{label}”").format(label=now["label"]) if definition else _("New field of “{entity}”").format(entity=kind.label)
            ui.label(title).classes("lc-dialog-title")
            self.problem = Problem()
            with ui.element("div").classes("lc-form lc-two"):
                self.label = _text(_("Name"), now.get("label"), "field-label", required=True)
                self.label.props("autofocus")
                current = FieldType(now["type"]) if definition else FieldType.TEXT
                types = [current, *BECOMES.get(current, ())] if definition else types_for(kind)
                with _labelled(_("Type")):
                    self.type = ui.select({one.value: gettext(one.label) for one in types}, value=current.value, on_change=self._fit)
                    self.type.props("outlined dense options-dense").mark("field-type")
                self.options = self._options_box()
                self.preset = _text(_("Value of a new record"), now.get("preset"), "field-preset")
                self.least = _text(_("Smallest value"), now.get("least"), "field-least")
                self.most = _text(_("Largest value"), now.get("most"), "field-most")
                sections = list(dict.fromkeys(gettext(field.f.section) for field in kind.fields.values() if field.f.section))
                with _labelled(_("Section of the form")):
                    here = gettext(now.get("section") or "")
                    self.section = ui.select(
                        list(dict.fromkeys([*sections, *([here] if here else [])])),
                        value=here or None,
                        with_input=True,
                        clearable=True,
                        new_value_mode="add-unique",
                    )
                    self.section.props("outlined dense options-dense").mark("field-section")
                where = _("Explanation at the head of the column") if kind.kind is Kind.LINE else _("Explanation under the field")
                self.hint = _text(where, now.get("hint"), "field-hint")
            with ui.element("div").classes("lc-row lc-wrap"):
                self.flags = {
                    key: ui.checkbox(word, value=bool(now.get(key))).props("dense").mark(f"field-{key}")
                    for key, word in (
                        ("required", _("Required")),
                        ("unique", _("No two records alike")),
                        ("listed", _("Column of the list")),
                        ("searched", _("Found by the search")),
                    )
                }
            _buttons(self.dialog, self.save, _("Save"))
        card.on("keydown.esc.stop", self.dialog.close)
        self._fit()

    def _options_box(self) -> ui.textarea | None:
        if self.definition is not None:  # they have a dialog of their own
            return None
        with ui.element("div").classes("lc-field lc-whole") as self.options_box:
            ui.label(_("Options, one a line")).classes("lc-label lc-required")
            return ui.textarea().props("outlined dense autogrow hide-bottom-space").mark("field-options")

    def _fit(self, _event: Any = None) -> None:
        """Only what means something for the type is asked."""
        chosen = FieldType(self.type.value)
        if self.options is not None:
            self.options_box.set_visibility(chosen in LISTS)
        _show(self.preset, chosen not in WITHOUT_PRESET)
        _show(self.least, chosen in NUMBERED)
        _show(self.most, chosen in NUMBERED or chosen in WRITTEN, _("Largest value") if chosen in NUMBERED else _("Greatest length"))
        alone = self.kind.kind is not Kind.LINE  # a line has no list, no form and no search of its own, and lines repeat
        _show(self.section, alone)
        self.flags["listed"].set_visibility(alone)
        self.flags["searched"].set_visibility(alone and chosen in SEARCHABLE)
        self.flags["unique"].set_visibility(alone and chosen not in WITHOUT_UNIQUE)
        self.flags["required"].set_visibility(chosen != FieldType.SERIAL)

    async def ask(self) -> None:
        """Open, and wait until it is closed."""
        self.dialog.open()
        await answer_of(self.dialog)

    async def save(self) -> None:
        """Write the definition; stays open where it is refused."""
        values = {
            "label": self.label.value or "",
            "type": self.type.value,
            "preset": self.preset.value or "",
            "least": self.least.value or "",
            "most": self.most.value or "",
            "section": self.section.value or "",
            "hint": self.hint.value or "",
            **{key: bool(box.value) and box.visible for key, box in self.flags.items()},
        }
        if self.definition is not None:
            verb, parameters = "admin.change_field", {**values, "id": self.definition["id"]}
        else:
            lines = (self.options.value or "").splitlines() if self.options is not None and values["type"] in LISTS else []
            options = [line.strip() for line in lines if line.strip()]
            verb, parameters = "admin.add_field", {**values, "entity": self.kind.key, "options": options}
        outcome = await run_verb(self.session, verb, parameters, on_error=self.problem.refuse)
        if outcome.ok:
            self.dialog.submit(True)
            toast(_("“{label}” saved").format(label=values["label"]))


async def _options_dialog(session: Session, kind: EntityType, field: Field) -> None:
    entries = [{"value": value, "label": gettext(label), "retired": value in field.withdrawn} for value, label in field.options.items()]
    with page_dialog().props("persistent") as dialog, ui.card().classes("lc-dialog lc-narrow").mark("options-dialog") as card:
        ui.label(_("Options of “{label}”").format(label=field.label)).classes("lc-dialog-title")
        ui.label(_("A retired option stays on the records that have it and is no longer offered.")).classes("lc-muted")
        problem = Problem()
        box = ui.element("div").classes("lc-col")

        def draw() -> None:
            box.clear()
            with box:
                for place, entry in enumerate(entries):
                    with ui.element("div").classes("lc-row"):
                        name = ui.input(value=str(entry["label"]), on_change=partial(_keep, entry, "label"))
                        name.props(f'outlined dense hide-bottom-space aria-label="{_("Name")}"').classes("grow").mark(f"option-{place}")
                        retired = ui.checkbox(_("retired"), value=bool(entry["retired"]), on_change=partial(_keep, entry, "retired"))
                        retired.props("dense").mark(f"option-retired-{place}")
                        for icon, step, word in (("arrow_upward", -1, _("Move up")), ("arrow_downward", 1, _("Move down"))):
                            ui.button(icon=icon, on_click=partial(swap, place, step)).props(
                                f"flat dense round size=sm aria-label={quoted(word)}"
                            )
                        ui.button(icon="close", on_click=partial(take_out, place)).props(
                            f'flat dense round size=sm aria-label="{_("Remove")}"'
                        )

        def swap(place: int, step: int) -> None:
            if 0 <= place + step < len(entries):
                entries[place], entries[place + step] = entries[place + step], entries[place]
                draw()

        def take_out(place: int) -> None:
            del entries[place]
            draw()

        def add() -> None:
            entries.append({"value": None, "label": "", "retired": False})
            draw()

        async def save() -> None:
            given = [entry for entry in entries if str(entry["label"]).strip()]
            parameters = {"entity": kind.key, "field": field.key, "options": given}
            if (await run_verb(session, "admin.set_options", parameters, on_error=problem.refuse)).ok:
                dialog.submit(True)
                toast(_("Options of “{label}” saved").format(label=field.label))

        draw()
        ui.button(_("＋ Option"), on_click=add).props("flat no-caps").classes("lc-btn").mark("add-option")
        _buttons(dialog, save, _("Save"))
    card.on("keydown.esc.stop", dialog.close)
    dialog.open()
    await answer_of(dialog)


def _keep(entry: dict[str, Any], key: str, event: Any) -> None:
    entry[key] = event.value


async def _rename_dialog(session: Session, kind: EntityType, field: Field | None) -> None:
    names = kind.shape.names if field is None else field.names
    msgid = kind.label_msgid if field is None else field.f.label
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("rename-dialog"):
        ui.label(_("What do you call “{label}”?").format(label=gettext(msgid))).classes("lc-dialog-title")
        ui.label(_("Leave it empty for the usual name. Lists, forms, imports and exports follow.")).classes("lc-muted")
        problem = Problem()
        inputs = {}
        for code, language in LANGUAGES.items():
            with use_language(code):
                usual = gettext(msgid)
            inputs[code] = _text(language, names.get(code), f"name-{code}")
            inputs[code].props["placeholder"] = usual

        async def save() -> None:
            for code, one in inputs.items():
                if (one.value or "").strip() == names.get(code, ""):
                    continue
                parameters = {"entity": kind.key, "field": field.key if field else "", "language": code, "text": one.value or ""}
                if not (await run_verb(session, "admin.rename", parameters, on_error=problem.refuse)).ok:
                    return
            dialog.submit(True)

        _buttons(dialog, save, _("Save"))
    await answer_of(dialog)


# pieces ------------------------------------------------------------------------------------------------------------------


def _labelled(label: str, *, required: bool = False) -> ui.element:
    box = ui.element("div").classes("lc-field")
    with box:
        ui.label(label).classes("lc-label lc-required" if required else "lc-label")
    return box


def _text(label: str, value: str | None, mark: str, *, required: bool = False) -> ui.input:
    with _labelled(label, required=required):
        return ui.input(value=value or "").props(f"outlined dense hide-bottom-space aria-label={quoted(label)}").mark(mark)


def _show(one: ui.element, visible: bool, label: str | None = None) -> None:
    """Show or hide an input with its label."""
    box = one.parent_slot.parent if one.parent_slot else one
    box.set_visibility(visible)
    if label is not None:
        next(child for child in box if isinstance(child, ui.label)).set_text(label)


def _buttons(dialog: ui.dialog, act: Callable[[], Any], word: str) -> None:
    with ui.element("div").classes("lc-dialog-buttons"):
        ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn").mark("cancel")
        ui.button(word, on_click=act).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")


def _type_label(field: Field, definition: Record | None) -> str:
    if definition is not None:
        return gettext(FieldType(definition["type"]).label)
    if field.f.ref:
        return entity_type(field.f.ref).label
    if field.kind in _DECLARED_KINDS:
        return gettext(_DECLARED_KINDS[field.kind])
    return gettext(FieldType("choice" if field.options else field.kind).label)


def _rules_of(field: Field, definition: Record | None) -> Sequence[str]:
    words = [_("required")] if field.required or (field.custom and field.custom.to_post) else []
    if definition is not None:
        words += [_("no two alike")] if definition["unique"] else []
        bounds = (definition["least"] or "", definition["most"] or "")
        words += [" … ".join(bounds)] if any(bounds) else []
    words += [_("in the list")] if field.f.column else []
    words += [_("searched")] if field.f.search else []
    return words


register(Screen("fields", "/fields", N_("Fields & names"), "tune", "settings.manage", fields_and_names, "settings", 30))
