"""Forms from declarations: one widget per kind of field, errors beside the field, nothing typed is lost.

``field_input`` makes one widget, so that hand-written screens use the same ones; ``Form`` is a grid of them; ``edit_dialog``
is the form of one record from opening to saving, with drafts and the difference of a stale save.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from nicegui import background_tasks, ui
from nicegui.element import Element

from localcrm.domain import policy
from localcrm.domain.catalog.services import unit_decimals
from localcrm.domain.crm.birthdays import lunar_in_words
from localcrm.domain.crm.tags import tags_in_use
from localcrm.domain.records import blank_record
from localcrm.domain.roles import FieldRule
from localcrm.kernel.errors import AppError, InvalidInput, NotFound, Refused, StaleRecord
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.ids import is_id
from localcrm.kernel.schema import EntityType, Field, entity as entity_type, plain_decimal, split_choices
from localcrm.store.query import Condition, ListQuery, Record, select, titles
from localcrm.store.view import Masked
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.files import FilesInput, files_path
from localcrm.ui.kit.look import in_a_sentence
from localcrm.ui.kit.moments import moment_input, parse_day, parse_moment
from localcrm.ui.kit.picker import AreaPicker, Picker, picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import NUMBERS, show
from localcrm.ui.operations import run_service, run_verb, show_failure, toast, way_back

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: What a telephone's own keyboard offers for a field.
_KEYBOARDS = {"phone": "tel", "email": "email"}
#: Records that a field of several offers at a time.
_OFFERED = 100
#: A draft is written at most this often.
DRAFT_SECONDS = 1.5


class Adviser(Protocol):
    """Tells what there is to know while a record is typed, and asks before it is saved."""

    async def may_save(self) -> bool:
        """Whether to go on with saving."""


#: Who advises on the form of a kind of record, by its key: gets session, form, and the id of a record that is there already.
ADVISERS: dict[str, Callable[[Session, Form, str | None], Adviser | None]] = {}


class FieldInput:
    """One field on the screen: label, widget, and the place of its error."""

    def __init__(self, session: Session, field: Field, *, where: Mapping[str, str] | None = None, compact: bool = False) -> None:
        self.session, self.field, self.compact = session, field, compact
        self.changed: list[Callable[[], Any]] = []
        whole = " lc-whole" if field.kind in {"longtext", "files"} and not compact else ""
        number = " lc-number" if field.kind in NUMBERS else ""
        self.box = ui.element("div").classes(f"lc-field{whole}{number}").props(f"data-field={field.key}").mark(f"field-{field.key}")
        with self.box:
            if field.kind != "boolean":
                ui.label(field.label).classes("lc-label" + (" lc-required" if field.required else ""))
            else:
                ui.label(" ").classes("lc-label")
            self.widget = self._make(where or {})
            if field.custom and field.custom.hint:
                ui.label(field.custom.hint).classes("lc-hint")
            self.error_label = ui.label().classes("lc-field-error").props('role="alert"')
            self.error_label.set_visibility(False)

    # what is in it -----------------------------------------------------------------------------------------------

    @property
    def value(self) -> Any:
        """What was typed, in the form that verbs take; None for an empty field."""
        raw = self.widget.value if isinstance(self.widget, Picker | FilesInput) else getattr(self.widget, "value", None)
        if self.field.kind == "choices" or self.field.f.refs:
            raw = self.field.between.join(raw or ())
        if isinstance(raw, str):
            raw = raw.strip() if self.field.kind != "longtext" else raw
        if raw is None or raw == "":
            return None
        if self.field.kind == "datetime":
            moment = parse_moment(raw, datetime.now().astimezone())
            return moment.isoformat() if moment else raw
        if self.field.kind == "date":
            day = parse_day(raw, datetime.now().astimezone().date())
            return day.isoformat() if day else raw
        if self.field.f.widget == "percent" and not str(raw).rstrip().endswith(("%", "％")):
            return f"{raw}%"
        return raw

    def set_value(self, value: Any, title: str | None = None) -> None:
        """Show a typed value of a record (or text of a draft)."""
        widget: Any = self.widget
        if isinstance(widget, Picker):
            widget.set_value(value or None, title)
        elif isinstance(widget, FilesInput):
            widget.set_value(str(value) if value else None)
        elif self.field.kind == "boolean":
            widget.set_value(value in {True, "true", "1"})
        elif self.field.f.refs:
            named = str(value or "").split()
            self._know(self._named([one for one in named if one not in widget.options]))
            widget.set_value(named)
        elif isinstance(widget, ui.select):
            chosen = split_choices(str(value or "")) if self.field.kind == "choices" else [str(value)] if value not in {None, ""} else []
            more = {one: gettext(self.field.options.get(one, one)) for one in chosen if one not in widget.options}
            if more:  # what is no longer offered stays where it was chosen
                widget.set_options([*widget.options, *more] if isinstance(widget.options, list) else {**dict(widget.options), **more})
            text: Any = chosen if self.field.kind == "choices" else next(iter(chosen), None)
            widget.set_value(text)
        else:
            widget.set_value(editing_text(self.field, value))

    def set_error(self, message: str) -> None:
        """Say what is wrong, beside the field; "" takes it away."""
        self.error_label.set_text(message)
        self.error_label.set_visibility(bool(message))
        if isinstance(self.widget, Picker):
            self.widget.set_error(message)
        elif message:
            self.widget.props("error hide-bottom-space")
        else:
            self.widget.props(remove="error")

    def protect(self) -> None:
        """It may be read, not changed."""
        if isinstance(self.widget, Picker):
            self.widget.set_enabled(False)
        elif isinstance(self.widget, FilesInput):
            self.widget.protect()
        else:
            self.widget.props("disable")

    def autofocus(self) -> None:
        """It has the cursor when its dialog appears: the browser sees to that, so that no late word of ours takes the cursor out of another field."""
        self.widget.props("autofocus")

    def focus(self) -> None:
        """Put the cursor into it; nothing where the form was closed before its turn came."""
        if not self.widget.is_deleted:
            self.widget.run_method("focus")

    # the widget --------------------------------------------------------------------------------------------------

    def _make(self, where: Mapping[str, str]) -> Element:
        field = self.field
        if field.kind == "ref":
            return picker(
                self.session,
                field.f.ref or "",
                None,
                lambda _id: self._notify(),
                where=where,
                label=field.label,
                clearable=not field.required,
            )
        if field.f.refs:
            return self._several()
        if field.f.widget == "area":
            area = AreaPicker(self.session, label=field.label, clearable=not field.required)
            return area.on_change(lambda _area: self._notify())
        if field.kind == "files":
            return FilesInput(field.label, on_change=self._notify)
        if field.kind == "boolean":
            return ui.checkbox(field.label, on_change=self._notify).props("dense")
        if field.options:
            return self._choice({value: gettext(msgid) for value, msgid in field.offered.items()})
        if field.f.widget == "tags":
            return self._tags()
        if field.f.widget == "unit" and (units := _units(self.session)):
            return self._choice(units)
        if field.kind == "longtext" and not self.compact:
            return ui.textarea(on_change=self._notify).props(
                f"outlined dense autogrow debounce=150 hide-bottom-space aria-label={quoted(field.label)}"
            )
        if field.kind in {"date", "datetime"}:
            return moment_input(field.label, with_time=field.kind == "datetime", on_change=self._notify)
        secret = field.secret
        widget = ui.input(on_change=self._notify, password=secret, password_toggle_button=secret)
        widget.props(f"outlined dense hide-bottom-space aria-label={quoted(field.label)}")
        if secret:
            widget.props("autocomplete=new-password")
        if field.f.widget == "lunar":
            widget.props(f'placeholder="{_("8-15 or leap 4-8")}"')
        if field.f.widget == "place":
            widget.props('placeholder="31.23, 121.47"')
        if mode := _KEYBOARDS.get(field.f.widget or ""):
            widget.props(f"inputmode={mode}")
        if field.kind in NUMBERS:
            widget.props("inputmode=decimal input-class=lc-num")
        return widget

    def _choice(self, labels: dict[str, str]) -> Element:
        props = f"outlined dense options-dense hide-bottom-space aria-label={quoted(self.field.label)}"
        if self.field.kind == "choices":
            return ui.select(labels, multiple=True, clearable=True, on_change=self._notify).props(f"{props} use-chips")
        if self.field.choices:
            return ui.select(labels, clearable=self.field.custom is not None, on_change=self._notify).props(props)
        widget = ui.select(
            labels, with_input=True, clearable=True, new_value_mode="add-unique", key_generator=lambda text: text, on_change=self._notify
        )
        return widget.props(props)

    def _tags(self) -> Element:
        """Those in use, and whatever else is typed."""
        with self.session.store.read() as connection:
            known = tags_in_use(connection, self.session.actor)
        widget = ui.select(known, multiple=True, clearable=True, with_input=True, new_value_mode="add-unique", on_change=self._notify)
        return widget.props(
            f"outlined dense options-dense hide-bottom-space use-chips hide-dropdown-icon aria-label={quoted(self.field.label)}"
        )

    def _several(self) -> Element:
        """Records of a kind by name, several of them: some are offered, others as their names are typed."""
        widget = ui.select({}, multiple=True, clearable=True, with_input=True, on_change=self._notify)
        widget.on("input-value", lambda event: self._offer(str(event.args or "")), throttle=0.2, leading_events=False)
        ui.timer(0, self._offer, once=True)
        return widget.props(f"outlined dense options-dense hide-bottom-space use-chips aria-label={quoted(self.field.label)}")

    async def _offer(self, text: str = "") -> None:
        outcome = await run_service(self.session, lambda: offered(self.session, entity_type(self.field.f.refs or ""), text))
        if outcome.ok and not self.widget.is_deleted:
            self._know(outcome.value)

    def _know(self, names: Mapping[str, str]) -> None:
        """Offer these too. The browser tells a choice by its place, so what is offered keeps the one it has."""
        widget: Any = self.widget
        if names.keys() - widget.options.keys():
            widget.set_options({**widget.options, **names})

    def _named(self, ids: Sequence[str]) -> dict[str, str]:
        """What records are called that are named already, though they are not offered."""
        with self.session.store.read() as connection:
            found = titles(connection, entity_type(self.field.f.refs or ""), list(ids)) if ids else {}
        return {one: found.get(one, "…") for one in ids}

    def _notify(self, _event: Any = None) -> None:
        for callback in self.changed:
            callback()


def offered(session: Session, kind: EntityType, text: str) -> dict[str, str]:
    """Names by id of some records that somebody sees, in use, whose name holds what was typed."""
    seen, title = policy.seen(session.actor, kind), kind.title_field
    if seen is None or not seen.shows(title):
        return {}
    where = [Condition("active", "=", True)] if "active" in kind.fields and seen.shows("active") else []
    where += [Condition(title, "contains", text[:100])] if text else []
    with session.store.read() as connection:
        rows = select(connection, ListQuery(kind, where=tuple(where), sort=title, limit=_OFFERED, restrict=seen), count=False).rows
    return {row["id"]: str(row[title] or "") for row in rows}


def _units(session: Session) -> dict[str, str]:
    """Units that head office lists; others may still be typed."""
    if not session.may("list_entry.read"):
        return {}
    with session.store.read() as connection:
        return {name: name for name in unit_decimals(connection)}


def editing_text(field: Field, value: Any) -> str:
    """A value as one types it."""
    if value is None or value == "":
        return ""
    if isinstance(value, Masked):
        return str(value)
    if isinstance(value, Decimal):
        if field.f.widget == "percent":
            return f"{plain_decimal(value * 100)}%"
        return plain_decimal(value, minimum=2 if field.kind in {"money", "price"} else 0)
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M}"
    if field.f.widget == "lunar":
        return lunar_in_words(str(value))
    if field.kind == "datetime" and _is_moment(str(value)):
        return f"{datetime.fromisoformat(str(value)).astimezone():%Y-%m-%d %H:%M}"
    return str(value)


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def form_fields(session: Session, entity: EntityType, *, new: bool, quick: bool = False) -> list[Field]:
    """Fields a person may fill in, or at least read; the quick form has the required ones and the default columns only."""
    rules = policy.field_rules(session.actor, entity)
    fields = [field for field in entity.fields.values() if field.f.editable and field.is_used and rules.get(field.key) != FieldRule.HIDDEN]
    if new:
        fields = [field for field in fields if field.key not in rules]
    if new and entity.series and "number" in entity.fields:
        fields = [field for field in fields if field.key != "number"]  # given by the program
    if quick:
        fields = [
            field for field in fields if field.required or field.key == entity.title_field or (field.f.column and field.kind != "longtext")
        ][:6]
    return fields


def _place(field: Field) -> int:
    """What takes a whole line stands below what shares one, in each section."""
    return {"boolean": 1, "longtext": 2, "files": 3}.get(field.kind, 0)


class Form:
    """A grid of fields of one entity."""

    def __init__(
        self,
        session: Session,
        entity: EntityType,
        *,
        fields: Sequence[Field] | None = None,
        record: Mapping[str, Any] | None = None,
        preset: Mapping[str, Any] | None = None,
        two: bool = False,
        compact: bool = False,
    ) -> None:
        self.session, self.entity = session, entity
        self.changed: list[Callable[[], Any]] = []
        self.inputs: dict[str, FieldInput] = {}
        self.fixed = {key: value for key, value in (preset or {}).items() if fields is not None and key not in {f.key for f in fields}}
        with ui.element("div").classes("lc-form" + (" lc-two" if two else "")) as self.box:
            wanted = fields if fields is not None else form_fields(session, entity, new=record is None)
            for section, members in [("", wanted)] if compact else _sections(wanted):
                if section:
                    ui.label(gettext(section)).classes("lc-section")
                for field in members if compact else sorted(members, key=_place):
                    self.inputs[field.key] = FieldInput(session, field, where=_where(field, preset, record), compact=compact)
                    if not policy.may_write(session.actor, entity, field):
                        self.inputs[field.key].protect()
        self._link_customer()
        if record is None:
            with session.store.read() as connection:
                self.load(blank_record(connection, session.store.node, entity) | dict(preset or {}))
        else:
            self.load(dict(record))
        for one in self.inputs.values():
            one.changed.append(self._changed)

    def load(self, values: Mapping[str, Any]) -> None:
        """Show these values and take them as what was there before anybody typed."""
        names = _ref_names(self.session, self.entity, values)
        for key, one in self.inputs.items():
            if key in values and not one.field.secret:
                one.set_value(values[key], names.get(key))
            if isinstance(one.widget, FilesInput) and values.get("id"):
                one.widget.set_value(values.get(key), files_path(self.entity, values["id"], one.field))
            one.set_error("")
        self.loaded = self.values()

    def values(self) -> dict[str, Any]:
        """Everything typed, by field."""
        return {**self.fixed, **{key: one.value for key, one in self.inputs.items()}}

    def changes(self) -> dict[str, Any]:
        """What differs from what was loaded; an empty password means no change."""
        return {key: value for key, value in self.values().items() if value != self.loaded.get(key)}

    @property
    def dirty(self) -> bool:
        """Whether something would be lost."""
        return bool(self.changes())

    def clear_errors(self) -> None:
        """Before the next try."""
        for one in self.inputs.values():
            one.set_error("")

    def show_error(self, error: AppError) -> bool:
        """Put an error beside its field, together with every other fault of the form; False when it belongs to no field."""
        faults: dict[str, InvalidInput] = {}
        if isinstance(error, InvalidInput):
            typed = {key: value for key, value in self.values().items() if value is not None}
            faults = {key: fault for key, fault in self.entity.faults(typed).items() if key in self.inputs}
        key = getattr(error, "field", None)
        if key in self.inputs and isinstance(error, InvalidInput):
            faults[str(key)] = error
        for name, fault in faults.items():
            self.inputs[name].set_error(fault.message)
        first = next((name for name in self.inputs if name in faults), None)
        if first:
            self.inputs[first].focus()
        return key in self.inputs

    def focus_first_empty(self) -> None:
        """The next field to fill in has the cursor when the dialog appears."""
        rules = policy.field_rules(self.session.actor, self.entity)
        passed_over = {*rules, *(key for key, one in self.inputs.items() if one.field.kind == "boolean" or one.field.secret)}
        empty = [one for key, one in self.inputs.items() if one.value is None and key not in passed_over]
        required = [one for one in empty if one.field.required]
        for one in (required or empty or list(self.inputs.values()))[:1]:
            one.autofocus()

    def _changed(self) -> None:
        for callback in self.changed:
            callback()

    def _link_customer(self) -> None:
        """What belongs to a customer is chosen among what is of the customer chosen in the same form."""
        customer = self.inputs.get("customer_id")
        widgets = [one.widget for one in self.inputs.values() if _of_customer(one.field) and isinstance(one.widget, Picker)]
        if customer:
            customer.changed += [partial(_narrow, widget, customer) for widget in widgets]


def _sections(fields: Sequence[Field]) -> Iterator[tuple[str, list[Field]]]:
    names = list(dict.fromkeys(field.f.section or "" for field in fields))
    for name in sorted(names, key=lambda name: name != ""):
        yield name, sorted((f for f in fields if (f.f.section or "") == name), key=lambda f: f.kind in {"longtext", "boolean"})


def _narrow(widget: Picker, customer: FieldInput) -> None:
    widget.set_where({"customer_id": customer.value} if customer.value else {})


def _of_customer(field: Field) -> bool:
    """Whether a reference names a record that belongs to a customer."""
    return bool(field.f.ref and "customer_id" in entity_type(field.f.ref).fields)


def _where(field: Field, *sources: Mapping[str, Any] | None) -> dict[str, str]:
    if not _of_customer(field):
        return {}
    customer = next((source["customer_id"] for source in sources if source and source.get("customer_id")), None)
    return {"customer_id": customer} if customer else {}


def _ref_names(session: Session, entity: EntityType, values: Mapping[str, Any]) -> dict[str, str]:
    names = {}
    with session.store.read() as connection:
        for field in entity.refs:
            if identity := values.get(field.key):
                names[field.key] = titles(connection, entity_type(field.f.ref or ""), [identity]).get(identity, "")
    return names


def load_typed(session: Session, entity: EntityType, identity: str) -> Record:
    """A record with typed values and its version, as far as the user may see it. Raises NotFound, also for what is no id (addresses are typed)."""
    if not is_id(identity):
        raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=entity.label)
    with session.store.read() as connection:
        for deleted in (False, True):
            where = (Condition("id", "=", identity),)
            query = ListQuery(entity, where=where, limit=1, deleted=deleted, restrict=policy.view(session.actor, entity))
            if (page := select(connection, query)).rows:
                return page.rows[0]
    raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=entity.label)


# one record from opening to saving ---------------------------------------------------------------------------------------


async def edit_dialog(
    session: Session, entity: EntityType, *, identity: str | None = None, preset: Mapping[str, Any] | None = None, quick: bool = False
) -> dict[str, Any] | None:
    """Open the form of a record, or of a new one; returns the saved record in JSON form, None when it was left."""
    record: Record | None = None
    if identity:
        outcome = await run_service(session, lambda: load_typed(session, entity, identity))
        if not outcome.ok:
            return None
        record = outcome.value
        if record.get("deleted"):
            title = str(record.get(entity.title_field) or entity.label)
            show_failure(Refused("in_the_bin", N_("“{title}” is in the recycle bin. Restore it first."), title=title))
            return None
    editor = _Editor(session, entity, record, preset or {}, quick=quick)
    saved: dict[str, Any] | None = await answer_of(editor.dialog)
    ui.run_javascript(f"localcrm.setDirty({json.dumps(editor.draft_key)}, false)")
    return saved


class _Editor:
    """The dialog around a form."""

    def __init__(self, session: Session, entity: EntityType, record: Record | None, preset: Mapping[str, Any], *, quick: bool) -> None:
        self.session, self.entity, self.record = session, entity, record
        self.draft_key = f"draft:{entity.key}:{record['id'] if record else 'quick' if quick else 'new'}"
        self._saving: asyncio.Task[None] | None = None
        self.closed = False
        fields = form_fields(session, entity, new=record is None, quick=quick)
        size = "lc-wide" if len(fields) > 8 else ""
        with (
            page_dialog().props("persistent no-route-dismiss") as self.dialog,
            ui.card().classes(f"lc-dialog {size}").mark(f"edit-{entity.key}") as card,
        ):
            with ui.element("div").classes("lc-row"):
                ui.label(self._title()).classes("lc-dialog-title grow lc-cut")
                ui.button(icon="close", on_click=self.leave).props(f'flat dense round size=sm aria-label="{_("Close")}"')
            self.problem = Problem()
            self.form = Form(session, entity, fields=fields, record=record, preset=preset, two=len(fields) <= 8)
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=self.leave).props("flat no-caps").classes("lc-btn").mark("cancel")
                with ui.button(on_click=self.save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save"):
                    ui.label(_("Save"))
                    ui.label("Ctrl ⏎").classes("lc-kbd")
        card.on("keydown.esc.stop", self.leave)  # a persistent dialog does not tell of the key itself
        self._restore_draft()
        self.form.changed.append(self._typed)
        advise = ADVISERS.get(entity.key)
        with self.dialog:
            self.adviser = advise(session, self.form, record["id"] if record else None) if advise else None
        self.dialog.open()
        self.form.focus_first_empty()

    def _title(self) -> str:
        if self.record is None:
            return _("New {entity}").format(entity=in_a_sentence(self.entity.label))
        return str(self.record[self.entity.title_field] or self.entity.label)

    # saving ------------------------------------------------------------------------------------------------------

    async def save(self) -> None:
        """Write what was typed; the dialog stays open until it is done."""
        self.form.clear_errors()
        self.problem.hide()
        if self.record is None:
            presets = {key for key, one in self.form.inputs.items() if one.field.custom and one.field.custom.preset is not None}
            values = {
                key: "" if value is None else value for key, value in self.form.values().items() if value is not None or key in presets
            }
            verb, params = "records.create_record", {"entity": self.entity.key, "values": values}
            done = _("{entity} saved").format(entity=self.entity.label)
        else:
            changes = {key: "" if value is None else value for key, value in self.form.changes().items()}
            if not changes:
                self._close(None)
                return
            verb = "records.update_record"
            params = {"entity": self.entity.key, "id": self.record["id"], "values": changes, "version": self.record["version"]}
            done = _("Changes saved")
        with self.dialog:
            if self.adviser and not await self.adviser.may_save():
                return
        outcome = await run_verb(self.session, verb, params, on_error=self._failed)
        if outcome.ok:
            self._close(outcome.value)
            toast(done, undo=way_back(self.session, outcome))

    def _failed(self, error: AppError) -> bool:
        if isinstance(error, StaleRecord):
            background_tasks.create(self._compare(), name="compare")
            return True
        if not self.form.show_error(error):
            self.problem.tell(error.message)
        return True

    async def _compare(self) -> None:
        """Somebody saved first: show both, let the person decide; nothing is lost either way."""
        assert self.record is not None
        identity = self.record["id"]
        with self.dialog:
            outcome = await run_service(self.session, lambda: load_typed(self.session, self.entity, identity))
            if not outcome.ok:
                return
            theirs: Record = outcome.value
            choice = await difference_dialog(self.session, self.entity, base=self.record, mine=self.form.changes(), theirs=theirs)
            if choice == "theirs":
                self.record = theirs
                self.form.load(theirs)
            elif choice == "mine":
                mine = self.form.changes()
                self.record = theirs
                self.form.load(theirs)
                names = _ref_names(self.session, self.entity, mine)
                for key, value in mine.items():
                    self.form.inputs[key].set_value(value, names.get(key))
                await self.save()

    # leaving -----------------------------------------------------------------------------------------------------

    async def leave(self) -> None:
        """Close without saving; asks when something would be lost."""
        with self.dialog:
            if self.form.dirty and not await confirm(
                _("Leave without saving?"), detail=_("What you typed will be dropped."), yes=_("Drop it"), danger=True
            ):
                return
        self._close(None)

    def _close(self, result: Any) -> None:
        self.closed = True
        background_tasks.create(self._forget_draft(), name="forget draft")
        self.dialog.submit(result)

    # drafts ------------------------------------------------------------------------------------------------------

    def _typed(self) -> None:
        ui.run_javascript(f"localcrm.setDirty({json.dumps(self.draft_key)}, {json.dumps(self.form.dirty)})")
        if self._saving is None or self._saving.done():
            self._saving = background_tasks.create(self._save_draft(), name="save draft")

    async def _save_draft(self) -> None:
        await asyncio.sleep(DRAFT_SECONDS)
        if self.closed:
            return
        typed = {key: value for key, value in self.form.changes().items() if not self.entity.fields[key].secret}
        text = json.dumps({"version": self.record["version"] if self.record else 0, "values": typed}, ensure_ascii=False)
        if len(text) < 40_000:
            await asyncio.to_thread(self.session.save_setting, self.draft_key, text if typed else None)

    async def _forget_draft(self) -> None:
        if self._saving is not None:
            self._saving.cancel()
        if self.session.setting(self.draft_key):
            await asyncio.to_thread(self.session.save_setting, self.draft_key, None)

    def _restore_draft(self) -> None:
        text = self.session.setting(self.draft_key)
        if not text:
            return
        draft = json.loads(text)
        if self.record is not None and draft["version"] != self.record["version"]:
            return
        names = _ref_names(self.session, self.entity, draft["values"])
        for key, value in draft["values"].items():
            if key in self.form.inputs:
                self.form.inputs[key].set_value(value, names.get(key))
        self.problem.classes("lc-info")
        self.problem.tell(_("What you typed last time and did not save is here again."))


async def difference_dialog(session: Session, entity: EntityType, *, base: Record, mine: Mapping[str, Any], theirs: Record) -> str:
    """A stale save side by side; returns "mine", "theirs" or "" (go on editing)."""
    yours = _checked(entity, base, mine)
    keys = [key for key in theirs if key in entity.fields and (yours[key] != theirs[key] or base[key] != theirs[key])]
    names: dict[str, dict[str, str]] = {}
    with session.store.read() as connection:
        for field in entity.refs:
            ids = [record[field.key] for record in (base, yours, theirs) if record.get(field.key)]
            names[field.key] = titles(connection, entity_type(field.f.ref or ""), ids)
        for field in (field for field in entity.fields.values() if field.f.refs):
            ids = [one for record in (base, yours, theirs) for one in str(record.get(field.key) or "").split()]
            names[field.key] = titles(connection, entity_type(field.f.refs or ""), ids)
    with page_dialog().props("persistent") as dialog, ui.card().classes("lc-dialog").mark("difference"):
        ui.label(_("Somebody else saved this record first")).classes("lc-dialog-title")
        ui.label(
            _(
                "Nothing of theirs was overwritten, and nothing of yours is lost. “Keep mine” writes only what you changed; what else they changed stays."
            )
        ).classes("lc-muted")
        with ui.element("div").classes("lc-scroll"), ui.element("table").classes("lc-table"):
            with ui.element("tr"):
                for head in (_("Field"), _("Before"), _("Yours"), _("Theirs")):
                    with ui.element("th"):
                        ui.label(head)
            for key in keys:
                field = entity.fields[key]
                both = base[key] not in {yours[key], theirs[key]} if _hashable(base[key]) else True
                with ui.element("tr"):
                    for column, record in (("", None), ("base", base), ("yours", yours), ("theirs", theirs)):
                        with ui.element("td"):
                            if record is None:
                                ui.label(field.label).classes("lc-label")
                            else:
                                text = show(field, record[key], names.get(key)) or "—"
                                changed = column != "base" and record[key] != base[key]
                                ui.label(text).classes(
                                    "lc-chip lc-bad" if changed and both else "lc-chip lc-acc" if changed else "lc-muted"
                                )
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Go on editing"), on_click=lambda: dialog.submit("")).props("flat no-caps").classes("lc-btn")
            ui.button(_("Take theirs"), on_click=lambda: dialog.submit("theirs")).props("unelevated no-caps").classes("lc-btn").mark(
                "take-theirs"
            )
            ui.button(_("Keep mine and save"), on_click=lambda: dialog.submit("mine")).props("unelevated no-caps").classes("lc-pri").mark(
                "keep-mine"
            )
    choice = await answer_of(dialog)
    return str(choice or "")


def _hashable(value: Any) -> bool:
    return value is None or isinstance(value, str | int | Decimal | datetime) or hasattr(value, "isoformat")


def _checked(entity: EntityType, base: Record, mine: Mapping[str, Any]) -> Record:
    """What the record would be with what was typed, typed where it can be."""
    plain = {key: base[key] for key in entity.fields if key in base and not isinstance(base[key], Masked)}
    try:
        given = {key: entity.fields[key].default if value is None else value for key, value in mine.items()}
        return {**base, **entity.validate({**plain, **given})}
    except InvalidInput:
        return {**base, **mine}
