"""A query put together by a clerk: rows of "field – operator – value", groups of them, and how many customers that finds.

What is being put together is the plain data of ``domain.conditions`` itself; the dialog changes it in place.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.conditions import COMPARISONS, OPERATORS, QUESTIONS, Asking, Parameter, Question, is_askable, tree_query
from localcrm.domain.crm.entities import Customer, ShownTo
from localcrm.domain.crm.queries import Kept
from localcrm.domain.crm.tags import tags_in_use
from localcrm.domain.spans import SPANS, takes_days
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import Field
from localcrm.store.query import TOTAL_CAP, select
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.form import FieldInput
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.operations import run_service, run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

_CUSTOMER = Customer.entity_type
_SELECT = "outlined dense options-dense hide-bottom-space"
#: Counting waits until nothing was changed for so many seconds.
PAUSE = 0.4
OPERATOR_WORDS: Mapping[str, str] = {
    "=": N_("is"),
    "!=": N_("is not"),
    "in": N_("is one of"),
    "any": N_("has one of"),
    "contains": N_("contains"),
    "starts": N_("begins with"),
    ">": N_("more than"),
    ">=": N_("at least"),
    "<=": N_("at most"),
    "<": N_("less than"),
    "within": N_("lies"),
    "filled": N_("is filled"),
    "blank": N_("is empty"),
    "me": N_("is me"),
}
#: The same for days.
DAY_WORDS: Mapping[str, str] = {">=": N_("from"), "<=": N_("until")}


@dataclass(frozen=True, slots=True)
class Built:
    """What the dialog was closed with: ``tree`` None for a saved query that was thrown away; ``id`` and ``name`` "" where it was not saved."""

    tree: Mapping[str, Any] | None
    id: str = ""
    name: str = ""
    columns: tuple[str, ...] = ()


async def query_dialog(session: Session, kept: Kept | None, tree: Mapping[str, Any] | None, *, columns: list[str]) -> Built | None:
    """Put a query together, beginning with a saved one or with conditions; None when it was left."""
    return await _Builder(session, kept, tree, columns).open()


class _Builder:
    def __init__(self, session: Session, kept: Kept | None, tree: Mapping[str, Any] | None, columns: list[str]) -> None:
        self.session, self.kept, self.columns = session, kept, columns
        self.tree = _as_rows(kept.tree if kept else tree)
        self.turn = 0
        asking = Asking(session.actor)
        seen = policy.view(session.actor, _CUSTOMER)
        self.fields = {f.key: f for f in _CUSTOMER.readable if f.is_used and seen.shows(f.key) and f.kind in OPERATORS}
        self.questions = {key: one for key, one in QUESTIONS[_CUSTOMER.key].items() if is_askable(_CUSTOMER, {"ask": key}, asking)}

    async def open(self) -> Built | None:
        """Until it is closed."""
        with page_dialog() as self.dialog, ui.card().classes("lc-dialog lc-wide").mark("query-dialog"):
            ui.label(_("Change the query") if self.kept else _("New query")).classes("lc-dialog-title")
            self.rows = ui.element("div").classes("lc-conds")
            self.found = ui.label().classes("lc-muted").mark("query-count").props('role="status"')
            self._keeping()
            self.problem = Problem()
            with ui.element("div").classes("lc-dialog-buttons"):
                if self.kept:
                    ui.button(_("Delete"), on_click=self._delete).props("flat no-caps color=negative").mark("delete-query")
                    ui.space()
                ui.button(_("Cancel"), on_click=self.dialog.close).props("flat no-caps").classes("lc-btn")
                ui.button(_("Show only"), on_click=self._show).props("unelevated no-caps data-act=show-query").classes("lc-btn").mark(
                    "show-query"
                )
                ui.button(_("Save and show"), on_click=self._save).props("unelevated no-caps data-commit data-act=save-query").classes(
                    "lc-pri"
                ).mark("save-query")
        self._draw()
        answer: Built | None = await answer_of(self.dialog)
        return answer

    def _keeping(self) -> None:
        kept = self.kept
        choices = {one.value: gettext(one.label) for one in ShownTo if one is not ShownTo.TEMPLATE or self._may_make_templates()}
        with ui.element("div").classes("lc-form"):
            with ui.element("div").classes("lc-field"):
                ui.label(_("Name")).classes("lc-label")
                self.name = ui.input(value=kept.name if kept else "").props(
                    f'outlined dense hide-bottom-space maxlength=200 aria-label="{_("Name")}"'
                )
                self.name.mark("query-name")
            with ui.element("div").classes("lc-field"):
                ui.label(_("Shown to")).classes("lc-label")
                self.shown_to = ui.select(choices, value=kept.shown_to if kept else ShownTo.PRIVATE.value)
                self.shown_to.props(f'{_SELECT} aria-label="{_("Shown to")}"').mark("query-shown-to")
            with ui.element("div").classes("lc-field"):
                ui.label(" ").classes("lc-label")
                self.pinned = (
                    ui.checkbox(_("Keep it at hand at the left"), value=kept.pinned if kept else True).props("dense").mark("query-pinned")
                )
                self.with_columns = (
                    ui.checkbox(_("With the columns shown now"), value=bool(kept and kept.columns)).props("dense").mark("query-columns")
                )

    def _may_make_templates(self) -> bool:
        return self.session.actor.is_admin and self.session.store.node.is_office

    # rows ------------------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        self.rows.clear()
        with self.rows:
            self._group(self.tree)
        self._count()

    def _group(self, group: dict[str, Any], *, remove: Callable[[], None] | None = None) -> None:
        """A group of conditions; one in another can be removed."""
        nested = remove is not None
        mode, parts = next((key, value) for key, value in group.items() if key in {"all", "any"})
        modes = {"all": _("All of these apply"), "any": _("Any of these applies")}
        with ui.element("div").classes("lc-row"):
            ui.select(modes, value=mode, on_change=lambda event: self._switch(group, str(event.value))).props(
                f'{_SELECT} aria-label="{_("All or one")}"'
            ).mark("mode-nested" if nested else "mode")
        for place, part in enumerate(parts):
            if "all" in part or "any" in part:
                with ui.element("div").classes("lc-cond-group"):
                    self._group(part, remove=partial(self._remove, parts, place))
            else:
                self._row(parts, place)
        with ui.element("div").classes("lc-row"):
            ui.button(_("＋ Condition"), on_click=partial(self._add, parts, {"ask": "no_activity", "days": 30})).props(
                f"flat dense no-caps data-act={'add-nested' if nested else 'add-condition'}"
            ).mark("add-nested" if nested else "add-condition")
            if remove is None:
                group_button = ui.button(_("＋ Group"), on_click=partial(self._add, parts, {"any": [_first(self.fields)]}))
                group_button.props("flat dense no-caps data-act=add-group").mark("add-group")
            else:
                ui.button(_("Remove the group"), on_click=remove).props("flat dense no-caps color=negative")

    def _row(self, parts: list[Any], place: int) -> None:
        part = parts[place]
        inner = part.get("not", part)
        what = f"field:{inner['field']}" if "field" in inner else f"ask:{inner['ask']}"
        subjects = {f"ask:{key}": _blank(one) for key, one in self.questions.items()}
        subjects |= {f"field:{key}": one.label for key, one in self.fields.items()}
        subjects.setdefault(what, what)
        with ui.element("div").classes("lc-cond").mark("condition"):
            box = ui.select(subjects, value=what, with_input=True, on_change=lambda event: self._replace(parts, place, event.value))
            box.props(f'{_SELECT} aria-label="{_("Field or question")}"').mark("what")
            if "field" in inner:
                self._field(parts, place, self.fields.get(inner["field"]))
            else:
                self._question(parts, place, self.questions.get(inner["ask"]), inner)
            ui.button(icon="close", on_click=partial(self._remove, parts, place)).props(
                f'flat dense round size=sm aria-label="{_("Remove")}"'
            ).mark("remove")

    def _question(self, parts: list[Any], place: int, question: Question | None, node: dict[str, Any]) -> None:
        def negate(event: Any) -> None:
            parts[place] = {"not": node} if event.value == "not" else node
            self._count()

        chosen = "not" if "not" in parts[place] else "is"
        ui.select({"is": _("applies"), "not": _("does not apply")}, value=chosen, on_change=negate).props(
            f'{_SELECT} aria-label="{_("Holds or not")}"'
        ).mark("holds")
        with ui.element("div").classes("lc-cond-values"):
            for parameter in question.parameters if question else ():
                self._parameter(node, parameter)

    def _parameter(self, node: dict[str, Any], parameter: Parameter) -> None:
        key = parameter.key
        node.setdefault(key, parameter.preset)
        if parameter.kind == "op":
            words = {op: gettext(word) for op, word in COMPARISONS.items()}
            choice = ui.select(words, value=node[key], on_change=lambda event: self._set(node, key, event.value))
            choice.props(f'{_SELECT} aria-label="{_("Comparison")}"').mark("value-op")
            return
        read = _number if parameter.kind in {"days", "number"} else str
        entry = ui.input(value=str(node[key]), on_change=lambda event: self._set(node, key, read(event.value)))
        entry.props("outlined dense hide-bottom-space inputmode=decimal input-class=lc-num debounce=150").mark(f"value-{key}")
        if parameter.kind == "days":
            with entry.add_slot("append"):
                ui.label(_("days")).classes("lc-small-text lc-muted")

    def _field(self, parts: list[Any], place: int, field: Field | None) -> None:
        node = parts[place]["not"] if "not" in parts[place] else parts[place]
        if field is None:
            ui.label(_("You may not see this field.")).classes("lc-muted")
            ui.label()
            return
        words = DAY_WORDS if field.kind in {"date", "datetime"} else {}
        operators = {op: gettext(words.get(op) or OPERATOR_WORDS[op]) for op in _operators(field)}
        chosen = "me" if node.get("value") == "me" and field.f.ref == "user" else node["op"]
        operators.setdefault(chosen, chosen)
        box = ui.select(operators, value=chosen, on_change=lambda event: self._operate(node, field, str(event.value)))
        box.props(f'{_SELECT} aria-label="{_("Comparison")}"').mark("op")
        with ui.element("div").classes("lc-cond-values"):
            self._value(node, field, chosen)

    def _value(self, node: dict[str, Any], field: Field, op: str) -> None:
        if op in {"filled", "blank", "me"}:
            return
        if op == "within":
            self._span(node)
        elif op in {"in", "any"}:
            options = {value: gettext(label) for value, label in field.options.items()} or {
                value: value for value in (*self._tags(), *(node.get("value") or ()))
            }
            box = ui.select(
                options, value=list(node.get("value") or []), multiple=True, on_change=lambda event: self._set(node, "value", event.value)
            )
            box.props(f"{_SELECT} use-chips aria-label={quoted(field.label)}").mark("value")
        elif field.kind == "boolean":
            answers = {True: _("Yes"), False: _("No")}
            box = ui.select(answers, value=node.get("value", True), on_change=lambda event: self._set(node, "value", event.value))
            box.props(f"{_SELECT} aria-label={quoted(field.label)}").mark("value")
        else:
            entry = FieldInput(self.session, field, compact=True)
            entry.set_value(node.get("value"))
            entry.changed.append(lambda: self._set(node, "value", entry.value or ""))

    def _tags(self) -> list[str]:
        with self.session.store.read() as connection:
            return tags_in_use(connection, self.session.actor)

    def _span(self, node: dict[str, Any]) -> None:
        spans = {key: gettext(label).format(days=_("N")) for key, (label, _bounds) in SPANS.items()}
        box = ui.select(spans, value=node.get("span", "last"), on_change=lambda event: self._respan(node, str(event.value)))
        box.props(f'{_SELECT} aria-label="{_("Time span")}"').mark("span")
        if takes_days(node.get("span", "last")):
            days = ui.input(value=str(node.get("days", 7)), on_change=lambda event: self._set(node, "days", _number(event.value)))
            days.props(f'outlined dense hide-bottom-space inputmode=numeric input-class=lc-num debounce=150 aria-label="{_("days")}"').mark(
                "value-days"
            )

    # changes ---------------------------------------------------------------------------------------------------------------

    def _set(self, node: dict[str, Any], key: str, value: Any) -> None:
        node[key] = value
        self._count()

    def _respan(self, node: dict[str, Any], span: str) -> None:
        node["span"], node["days"] = span, node.get("days", 7)
        self._draw()

    def _operate(self, node: dict[str, Any], field: Field, op: str) -> None:
        fresh = _new(field, "=" if op == "me" else op)
        keeps = op not in {"in", "any", "within", "filled", "blank"} and isinstance(node.get("value"), str) and node["value"] != "me"
        node.clear()
        node.update(fresh, **({"value": "me"} if op == "me" else {}))
        if keeps and op != "me":
            node["value"] = fresh.get("value", "")
        self._draw()

    def _replace(self, parts: list[Any], place: int, what: str | None) -> None:
        kind, _colon, key = str(what or "").partition(":")
        if kind == "ask":
            parts[place] = {"ask": key, **{one.key: one.preset for one in self.questions[key].parameters}}
        elif key in self.fields:
            parts[place] = _new(self.fields[key], _operators(self.fields[key])[0])
        self._draw()

    def _switch(self, group: dict[str, Any], mode: str) -> None:
        parts = next(iter(group.values()))
        group.clear()
        group[mode] = parts
        self._count()

    def _add(self, parts: list[Any], part: Any) -> None:
        parts.append(copy.deepcopy(part))
        self._draw()

    def _remove(self, parts: list[Any], place: int) -> None:
        del parts[place]
        self._draw()

    # how many --------------------------------------------------------------------------------------------------------------

    def _count(self) -> None:
        self.turn += 1
        turn = self.turn
        with self.dialog:
            ui.timer(PAUSE, lambda: self._counted(turn), once=True)

    async def _counted(self, turn: int) -> None:
        if turn != self.turn or self.dialog.is_deleted:
            return
        tree, asking = copy.deepcopy(self.tree), Asking(self.session.actor)

        def read() -> str:
            with self.session.store.read() as connection:
                page = select(connection, tree_query(_CUSTOMER, tree, asking, limit=0))
            return f"{TOTAL_CAP:,}+" if page.capped else f"{page.total:,}"

        outcome = await run_service(self.session, read, on_error=lambda error: self._say(error.message))
        if outcome.ok and turn == self.turn:
            self._say(_("Found now: {count}").format(count=outcome.value))

    def _say(self, text: str) -> bool:
        self.found.set_text(text)
        return True

    # leaving ---------------------------------------------------------------------------------------------------------------

    def _chosen_columns(self) -> tuple[str, ...]:
        return tuple(self.columns) if self.with_columns.value else ()

    async def _show(self) -> None:
        tree, asking = self.tree, Asking(self.session.actor)
        outcome = await run_service(self.session, lambda: tree_query(_CUSTOMER, tree, asking), on_error=self.problem.refuse)
        if outcome.ok:
            self.dialog.submit(Built(tree, columns=self._chosen_columns()))

    async def _save(self) -> None:
        name, columns = str(self.name.value or "").strip(), self._chosen_columns()
        given = {
            "name": name,
            "tree": self.tree,
            "columns": list(columns),
            "pinned": bool(self.pinned.value),
            "shown_to": self.shown_to.value,
            "query_id": self.kept.id if self.kept else None,
        }
        outcome = await run_verb(self.session, "crm.save_query", given, done=_("Query saved"), on_error=self.problem.refuse)
        if outcome.ok:
            self.dialog.submit(Built(self.tree, outcome.value["id"], name, columns))

    async def _delete(self) -> None:
        if self.kept is None:
            return
        with self.dialog:
            sure = await confirm(_("Delete the query “{name}”?").format(name=self.kept.name), yes=_("Delete"), danger=True)
        if (
            sure
            and (
                await run_verb(
                    self.session, "crm.delete_query", {"query_id": self.kept.id}, done=_("Query deleted"), on_error=self.problem.refuse
                )
            ).ok
        ):
            self.dialog.submit(Built(None))


def _as_rows(tree: Any) -> dict[str, Any]:
    """Conditions as the dialog shows them: a group of conditions, and groups in it."""
    if not isinstance(tree, Mapping):
        return {"all": [{"ask": "no_activity", "days": 30}]}
    whole: dict[str, Any] = copy.deepcopy(dict(tree))
    return whole if "all" in whole or "any" in whole else {"all": [whole]}


def _operators(field: Field) -> tuple[str, ...]:
    if field.options and field.kind != "choices":
        return ("=", "in", "!=", "filled", "blank")
    return ("me", *OPERATORS[field.kind]) if field.f.ref == "user" else OPERATORS[field.kind]


def _first(fields: Mapping[str, Field]) -> dict[str, Any]:
    field = fields.get("level") or next(iter(fields.values()))
    return _new(field, _operators(field)[0])


def _new(field: Field, op: str) -> dict[str, Any]:
    """A condition on a field before anything was entered."""
    if op == "me":
        return {"field": field.key, "op": "=", "value": "me"}
    more: dict[str, Callable[[], dict[str, Any]]] = {
        "within": lambda: {"span": "last", "days": 7},
        "in": lambda: {"value": []},
        "any": lambda: {"value": []},
        "filled": dict,
        "blank": dict,
    }
    value = True if field.kind == "boolean" else next(iter(field.offered), "") if field.options else ""
    return {"field": field.key, "op": op, **more.get(op, lambda: {"value": value})()}


def _blank(question: Question) -> str:
    """A question with gaps for what it is asked with."""
    return gettext(question.label).format(**{one.key: "…" for one in question.parameters})


def _number(text: Any) -> Any:
    """A whole number where one was typed."""
    plain = str(text or "").strip()
    return int(plain) if plain.isdecimal() and len(plain) < 6 else plain
