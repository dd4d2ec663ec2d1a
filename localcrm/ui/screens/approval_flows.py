"""Approval flows in plain words: which documents need an approval, and whose. Head office sets them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.approvals.documents import DOCUMENTS
from localcrm.domain.approvals.entities import AfterRejection, ApprovalFlow
from localcrm.domain.approvals.inbox import preview_flow
from localcrm.domain.approvals.rules import Comparison, Fact, Rule, Seat, Who
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import entity as entity_type, plain_decimal
from localcrm.store.query import ListQuery, Record, select
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.approval import joined
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.look import in_a_sentence
from localcrm.ui.kit.menu import Action, context_menu, menu_items
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import show_kind
from localcrm.ui.operations import Undo, run_service, run_verb, toast
from localcrm.ui.order_form import read_share
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import history_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

FLOW = ApprovalFlow.entity_type
#: What most flows are about.
_USUAL = "sales_order"
#: People, roles and branches offered at most.
_MOST = 1000
_SELECT = "outlined dense options-dense hide-bottom-space"


@dataclass(frozen=True)
class Offered:
    """What conditions and steps can name: id → name of people, roles, and records that facts refer to."""

    users: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    example: str | None = None
    """Somebody with a superior, to try a flow with."""


async def approval_flows(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await Flows(session).build()


class Flows:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.office = session.store.node.is_office
        self.flows: list[Record] = []
        self.offered = Offered()

    async def build(self) -> None:
        """The flows in the order in which they are tried."""
        with page_frame(self.session, title=_("Approval flows"), active="approval_flows"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(_("Approval flows")):
                ui.label(
                    _("The first flow that fits a document is the one that counts.") if self.office else _("Flows are set by head office.")
                ).classes("lc-muted lc-wide-only")
                ui.space()
                if self.office:
                    for key in DOCUMENTS:
                        if key != _USUAL:
                            label = _("＋ New flow: {entity}").format(entity=in_a_sentence(entity_type(key).label))
                            ui.button(label, on_click=partial(self.new, key)).props("unelevated no-caps").classes("lc-btn").mark(
                                f"new-{key}"
                            )
                    with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new-flow"):
                        ui.label(_("＋ New flow"))
                        ui.label("N").classes("lc-kbd")
            self.card = ui.element("div").classes("lc-card lc-scroll lc-fill").mark("flows")
        await self.draw()
        self.session.subscribe({FLOW.key}, lambda _changes: self.draw())

    def _read(self) -> tuple[list[Record], Offered]:
        view = partial(policy.view, self.session.actor)
        refs = {fact.ref for document in DOCUMENTS.values() for fact in document.facts if fact.ref}
        with self.session.store.read() as connection:

            def rows(key: str) -> list[Record]:
                kind = entity_type(key)
                return select(connection, ListQuery(kind, sort=kind.title_field, limit=_MOST, restrict=view(kind))).rows

            users = [row for row in rows("user") if row["active"]]

            flows = select(connection, ListQuery(FLOW, limit=_MOST, restrict=view(FLOW))).rows
            records = {ref: _named(ref, rows(ref)) for ref in refs}
            roles = [row for row in rows("role") if not row["user_id"]]
            # Not somebody right below the administrator who looks at it, if there is another: two steps show more than one.
            below = [row for row in users if row["superior_id"]]
            example = min(below, key=lambda row: row["superior_id"] == self.session.actor.user_id, default={"id": None})["id"]
            return flows, Offered(_named("user", users), _named("role", roles), records, example)

    async def draw(self) -> None:
        """Read and show."""
        outcome = await run_service(self.session, self._read)
        if not outcome.ok:
            return
        self.flows, self.offered = outcome.value
        self.card.clear()
        with self.card:
            if not self.flows:
                with ui.element("div").classes("lc-empty"):
                    ui.label(_("There are no flows: every document is posted without asking anybody."))
                    if self.office:
                        ui.button(_("＋ New flow"), on_click=self.new).props("unelevated no-caps").classes("lc-btn")
                return
            with ui.element("table").classes("lc-table"):
                heads(("", "lc-hide-phone"), _("Name"), _("When"), _("Who is asked"), "")
                for place, flow in enumerate(self.flows):
                    self._draw_row(place, flow)

    def _draw_row(self, place: int, flow: Record) -> None:
        actions = self._actions(place, flow)
        row = ui.element("tr").mark(f"flow-{place}").classes("" if flow["active"] else "lc-faint")
        with row:
            cell(str(place + 1), "lc-hide-phone lc-muted")
            with ui.element("td"):
                ui.label(flow["name"]).classes("lc-strong")
                if flow["entity"] != _USUAL and flow["entity"] in DOCUMENTS:
                    ui.label(entity_type(flow["entity"]).label).classes("lc-chip").props("data-tone=plain")
                if not flow["active"]:
                    ui.label(_("switched off")).classes("lc-chip")
            cell(when_text(flow, self.offered))
            cell(" → ".join(step_text(step, self.offered) for step in _loaded(flow["steps"])))
            with ui.element("td").classes("lc-num"):
                button = ui.button(icon="more_horiz").props(f'flat dense round size=sm aria-label="{_("Actions")}"').mark(f"more-{place}")
                with button, ui.menu().classes("lc-menu").props("auto-close"):
                    menu_items(actions, mark="action")
            context_menu(actions)
        if self.office:
            row.on("dblclick", partial(self.edit, flow))

    def _actions(self, place: int, flow: Record) -> list[Action]:
        history = Action("history", _("History"), partial(history_dialog, self.session, FLOW, flow["id"]), divided=self.office)
        if not self.office:
            return [history]
        switch = _("Switch off") if flow["active"] else _("Switch on")
        return [
            Action("edit", _("Edit"), partial(self.edit, flow)),
            Action("up", _("Move up"), partial(self.move, place, -1)),
            Action("down", _("Move down"), partial(self.move, place, 1)),
            Action("switch", switch, partial(self._write, flow, active=not flow["active"])),
            history,
            Action("delete", _("Delete"), partial(self.delete, flow), danger=True, divided=True),
        ]

    # what is done ----------------------------------------------------------------------------------------------------

    async def new(self, entity: str = _USUAL) -> None:
        """A flow after all others."""
        blank: Record = {"id": None, "name": "", "entity": entity, "after_rejection": AfterRejection.START, "active": True}
        blank |= {"position": max((flow["position"] for flow in self.flows), default=0) + 1, "conditions": None}
        await FlowDialog(self.session, {**blank, "steps": '[{"who": "superior"}]'}, self.offered).ask()

    async def edit(self, flow: Record, _event: Any = None) -> None:
        """Change one; what waits already keeps its steps."""
        await FlowDialog(self.session, flow, self.offered).ask()

    async def move(self, place: int, way: int) -> None:
        """Earlier or later in the order in which flows are tried."""
        order = list(self.flows)
        if not 0 <= place + way < len(order):
            return
        order[place], order[place + way] = order[place + way], order[place]
        for position, flow in enumerate(order, start=1):
            if flow["position"] != position:
                await self._write(flow, position=position)

    async def _write(self, flow: Record, **values: Any) -> None:
        await run_verb(self.session, "records.update_record", {"entity": FLOW.key, "id": flow["id"], "values": values})

    async def delete(self, flow: Record) -> None:
        """Put it into the recycle bin; refused once documents were submitted by it."""
        parameters = {"entity": FLOW.key, "id": flow["id"]}
        undo = Undo("records.undelete_record", parameters, _("“{title}” is back").format(title=flow["name"]))
        await run_verb(self.session, "records.delete_record", parameters, done=_("“{title}” deleted").format(title=flow["name"]), undo=undo)


def _named(key: str, rows: Sequence[Record]) -> dict[str, str]:
    return {row["id"]: row[entity_type(key).title_field] for row in rows}


# in words ----------------------------------------------------------------------------------------------------------------


def _loaded(text: str | None) -> list[dict[str, Any]]:
    return list(json.loads(text or "[]"))


def when_text(flow: Record, offered: Offered) -> str:
    """The conditions of a flow in words."""
    facts = {fact.key: fact for fact in DOCUMENTS[flow["entity"]].facts} if flow["entity"] in DOCUMENTS else {}
    parts = [condition_text(facts[one["fact"]], one, offered) for one in _loaded(flow["conditions"]) if one["fact"] in facts]
    return _(", and ").join(parts) or _("always")


def condition_text(fact: Fact, condition: Mapping[str, Any], offered: Offered) -> str:
    """One condition in words."""
    if fact.kind == "boolean":
        return gettext(fact.label) if condition["value"] else _("not: {fact}").format(fact=gettext(fact.label))
    return f"{gettext(fact.label)} {gettext(Comparison(condition['op']).label)} {_value_text(fact, condition['value'], offered)}"


def _value_text(fact: Fact, value: Any, offered: Offered) -> str:
    if fact.kind == "ref":
        return offered.records.get(fact.ref, {}).get(value, "…")
    if fact.kind == "choice":
        return gettext(fact.options[value]) if value in fact.options else str(value)
    if not value:
        return ""
    return show_kind("percent" if fact.kind == "rate" else fact.kind, Decimal(str(value))) or ""


def step_text(step: Mapping[str, Any], offered: Offered) -> str:
    """One step in words."""
    match step["who"]:
        case Who.USER:
            return offered.users.get(step["id"]) or _("somebody who has left")
        case Who.ROLE:
            role = offered.roles.get(step["id"]) or _("a role that is gone")
            return (_("everybody who is “{role}”") if step.get("rule") == Rule.ALL else _("one who is “{role}”")).format(role=role)
        case Who.SUPERIOR:
            level = step.get("level", 1)
            return _("superior") if level == 1 else _("superior, level {level}").format(level=level)
    return _("department manager")


# the dialog --------------------------------------------------------------------------------------------------------------


class FlowDialog:
    """One flow, with a look at whom it would ask."""

    def __init__(self, session: Session, flow: Record, offered: Offered) -> None:
        self.session, self.flow, self.offered = session, flow, offered
        self.facts = {fact.key: fact for fact in DOCUMENTS[flow["entity"]].facts}
        self.conditions = [
            {**one, "text": _value_text(self.facts[one["fact"]], one["value"], offered)}
            for one in _loaded(flow["conditions"])
            if one["fact"] in self.facts
        ]
        self.steps = [{"id": "", "level": 1, "rule": Rule.ONE.value, **one} for one in _loaded(flow["steps"])]
        self.author = offered.example
        with page_dialog().props("persistent") as self.dialog, ui.card().classes("lc-dialog").mark("flow-dialog") as card:
            ui.label(_("Edit “{label}”").format(label=flow["name"]) if flow["id"] else _("New flow")).classes("lc-dialog-title")
            self.problem = Problem()
            with ui.element("div").classes("lc-field"):
                ui.label(_("Name")).classes("lc-label lc-required")
                self.name = ui.input(value=flow["name"]).props(f'outlined dense autofocus hide-bottom-space aria-label="{_("Name")}"')
                self.name.mark("flow-name")
            needs = _("A sales order needs an approval when all of this holds")
            if flow["entity"] != _USUAL:
                needs = _("{entity}: an approval is needed when all of this holds").format(entity=entity_type(flow["entity"]).label)
            ui.label(needs).classes("lc-label")
            self.condition_box = ui.element("div").classes("lc-col").mark("conditions")
            ui.button(_("＋ Condition"), on_click=self._add_condition).props("flat dense no-caps").style("align-self:flex-start").mark(
                "add-condition"
            )
            ui.label(_("These are asked, one after the other")).classes("lc-label")
            self.step_box = ui.element("div").classes("lc-col").mark("steps")
            ui.button(_("＋ Step"), on_click=self._add_step).props("flat dense no-caps").style("align-self:flex-start").mark("add-step")
            self._draw_rest(flow)
        card.on("keydown.esc.stop", self.dialog.close)
        self._draw_conditions()
        self._draw_steps()

    def _draw_rest(self, flow: Record) -> None:
        with ui.element("div").classes("lc-form lc-two"):
            with ui.element("div").classes("lc-field"):
                ui.label(_("After a rejection")).classes("lc-label")
                self.after = ui.select({one.value: gettext(one.label) for one in AfterRejection}, value=str(flow["after_rejection"]))
                self.after.props(_SELECT).mark("after-rejection")
            with ui.element("div").classes("lc-field"):
                ui.label(_("Try it: a document submitted by")).classes("lc-label")
                ui.select(dict(self.offered.users), value=self.author, on_change=self._try_with).props(_SELECT).mark("preview-author")
        self.preview = ui.label().classes("lc-notice lc-info").props('role="status"').mark("preview")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=self.dialog.close).props("flat no-caps").classes("lc-btn").mark("cancel")
            ui.button(_("Save"), on_click=self.save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")

    async def ask(self) -> None:
        """Open, and wait until it is closed."""
        self.dialog.open()
        await self._show_preview()
        await answer_of(self.dialog)

    # conditions ------------------------------------------------------------------------------------------------------

    def _draw_conditions(self) -> None:
        self.condition_box.clear()
        with self.condition_box:
            if not self.conditions:
                usual = self.flow["entity"] == _USUAL
                ui.label(_("No conditions: every order needs it.") if usual else _("No conditions: every one needs it.")).classes(
                    "lc-muted"
                )
            for place, one in enumerate(self.conditions):
                with ui.element("div").classes("lc-row lc-flow-line").mark(f"condition-{place}"):
                    self._draw_condition(one, self.facts[one["fact"]])
                    _icon("close", _("Remove"), partial(self._remove, self.conditions, place, self._draw_conditions))

    def _draw_condition(self, one: dict[str, Any], fact: Fact) -> None:
        _choice(
            {key: gettext(fact.label) for key, fact in self.facts.items()}, one["fact"], partial(self._set_fact, one), _("What"), "fact"
        )
        if fact.kind == "boolean":
            words = {"yes": _("Yes"), "no": _("No")}
            _choice(words, "yes" if one["value"] else "no", lambda value: one.update(value=value == "yes"), _("Value"), "value")
            return
        operators = {op: gettext(Comparison(op).label) for op in fact.operators}
        _choice(operators, one["op"], lambda value: one.update(op=value), _("Comparison"), "op")
        if fact.kind in {"money", "rate"}:
            hint = _("90% is a tenth off") if fact.kind == "rate" else ""
            box = ui.input(value=one["text"], on_change=lambda event: one.update(text=event.value))
            box.props(f'outlined dense hide-bottom-space aria-label="{_("Value")}" placeholder={quoted(hint)}').mark("value")
            return
        words = dict(self.offered.records[fact.ref]) if fact.ref else {key: gettext(label) for key, label in fact.options.items()}
        if fact.kind == "choice" and one["value"] and one["value"] not in words:
            words[one["value"]] = one["value"]  # a level of the company's own
        _choice(words, one["value"] if one["value"] in words else None, lambda value: one.update(value=value), _("Value"), "value")

    def _set_fact(self, one: dict[str, Any], key: str) -> None:
        fact = self.facts[key]
        one.update(fact=key, op=fact.operators[0], value=True if fact.kind == "boolean" else "", text="")
        self._draw_conditions()

    def _add_condition(self) -> None:
        first = next(iter(self.facts.values()))
        self.conditions.append({"fact": first.key, "op": first.operators[0], "value": "", "text": ""})
        self._draw_conditions()

    # steps -----------------------------------------------------------------------------------------------------------

    def _draw_steps(self) -> None:
        self.step_box.clear()
        with self.step_box:
            for place, one in enumerate(self.steps):
                with ui.element("div").classes("lc-row lc-flow-line").mark(f"step-{place}"):
                    ui.label(str(place + 1)).classes("lc-approval-no")
                    self._draw_step(one)
                    with ui.element("div").classes("lc-flow-tools"):
                        _icon("arrow_upward", _("Move up"), partial(self._swap, place, -1))
                        _icon("arrow_downward", _("Move down"), partial(self._swap, place, 1))
                        _icon("close", _("Remove"), partial(self._remove, self.steps, place, self._steps_changed))

    def _draw_step(self, one: dict[str, Any]) -> None:
        _choice({who.value: gettext(who.label) for who in Who}, str(one["who"]), partial(self._set_who, one), _("Whom"), "who")
        if one["who"] == Who.SUPERIOR:
            levels = {level: _("the next one") if level == 1 else _("level {level}").format(level=level) for level in range(1, 6)}
            _choice(levels, one["level"], partial(self._set, one, "level"), _("Level"), "level")
        elif one["who"] in {Who.USER, Who.ROLE}:
            words = dict(self.offered.users if one["who"] == Who.USER else self.offered.roles)
            _choice(words, one["id"] if one["id"] in words else None, partial(self._set, one, "id"), _("Who"), "id")
        if one["who"] == Who.ROLE:
            _choice({rule.value: gettext(rule.label) for rule in Rule}, one["rule"], partial(self._set, one, "rule"), _("How many"), "rule")

    async def _set_who(self, one: dict[str, Any], who: str) -> None:
        one.update(who=who, id="", level=1, rule=Rule.ONE.value)
        await self._steps_changed()

    async def _set(self, one: dict[str, Any], key: str, value: Any) -> None:
        one[key] = value
        await self._show_preview()

    async def _add_step(self) -> None:
        self.steps.append({"who": Who.USER.value, "id": "", "level": 1, "rule": Rule.ONE.value})
        await self._steps_changed()

    async def _swap(self, place: int, way: int) -> None:
        if 0 <= place + way < len(self.steps):
            self.steps[place], self.steps[place + way] = self.steps[place + way], self.steps[place]
            await self._steps_changed()

    async def _steps_changed(self) -> None:
        self._draw_steps()
        await self._show_preview()

    async def _remove(self, parts: list[dict[str, Any]], place: int, redraw: Callable[[], Any]) -> None:
        del parts[place]
        answer = redraw()
        if answer is not None:
            await answer

    # trying and saving -----------------------------------------------------------------------------------------------

    async def _try_with(self, event: Any) -> None:
        self.author = event.value
        await self._show_preview()

    async def _show_preview(self) -> None:
        author = self.author
        if author is None:
            self.preview.set_text(_("Choose somebody to see whom the flow would ask."))
            return
        store = self.session.store

        def read() -> list[tuple[Seat, list[str]]] | str:
            with store.read() as connection:
                try:
                    return preview_flow(
                        store, connection, self.session.actor, entity=self.flow["entity"], steps=json.dumps(self.steps), author=author
                    )
                except InvalidInput as error:  # a step is not filled in yet
                    return error.message

        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return
        if isinstance(outcome.value, str):
            self.preview.set_text(outcome.value)
            return
        self.preview.set_text(_("This flow would ask: {names}").format(names=preview_text(outcome.value)))

    async def save(self) -> None:
        """Write the flow; stays open where it is refused."""
        try:
            conditions = [{"fact": one["fact"], "op": one["op"], "value": self._typed(one)} for one in self.conditions]
        except InvalidInput as error:
            self.problem.refuse(error)
            return
        values = {"name": self.name.value or "", "conditions": json.dumps(conditions), "steps": json.dumps(self.steps)}
        values |= {"after_rejection": self.after.value}
        if self.flow["id"]:
            verb, parameters = "records.update_record", {"entity": FLOW.key, "id": self.flow["id"], "values": values}
        else:
            more = {"position": self.flow["position"], "entity": self.flow["entity"]}
            verb, parameters = "records.create_record", {"entity": FLOW.key, "values": values | more}
        outcome = await run_verb(self.session, verb, parameters, on_error=self.problem.refuse)
        if outcome.ok:
            self.dialog.submit(True)
            toast(_("“{label}” saved").format(label=values["name"]))

    def _typed(self, one: Mapping[str, Any]) -> Any:
        """The value of a condition; a discount as people write it."""
        fact = self.facts[one["fact"]]
        if fact.kind == "rate":
            share = read_share(one["text"], percent_from=Decimal("1.0001"))
            return None if share is None else plain_decimal(share)
        return one["text"] if fact.kind == "money" else one["value"]


def preview_text(plan: Sequence[tuple[Seat, Sequence[str]]]) -> str:
    """A plan in one line: 张三 → 王芳 or 李四 → …"""
    steps: dict[int, list[str]] = {}
    for seat, names in plan:
        steps.setdefault(seat.step, []).append(_(" or ").join(names) or _("nobody!"))
    return " → ".join(joined(seats) for seats in steps.values())


def _choice(words: Mapping[Any, str], value: Any, changed: Callable[[Any], Any], label: str, mark: str) -> None:
    async def heard(event: Any) -> None:
        answer = changed(event.value)
        if hasattr(answer, "__await__"):
            await answer

    ui.select(dict(words), value=value, on_change=heard).props(f"{_SELECT} aria-label={quoted(label)}").mark(mark)


def _icon(icon: str, word: str, act: Callable[[], Any]) -> None:
    ui.button(icon=icon, on_click=act).props(f"flat dense round size=sm aria-label={quoted(word)}").mark(icon)


register(Screen("approval_flows", "/approval-flows", N_("Approval flows"), "rule", "approval_flow.update", approval_flows, "settings", 55))
