"""Deeds: each asks what it needs to know, runs one verb and says what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.domain import policy
from localcrm.domain.service.parts import PART
from localcrm.domain.service.rules import UNDONE, is_covered
from localcrm.domain.service.tickets import TICKET
from localcrm.kernel.i18n import gettext as _
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.picker import Picker, picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.operations import Undo, run_service, run_verb
from localcrm.ui.service import serials  # noqa: F401 -- the form of a ticket knows serial numbers

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


async def new_ticket(session: Session, **preset: Any) -> str | None:
    """Enter a ticket of one's own; returns its id."""
    with context.client.content:
        saved = await edit_dialog(session, TICKET, preset={"assignee_id": session.actor.user_id, **preset})
    return str(saved["id"]) if saved else None


async def step(session: Session, verb: str, identity: str, *, done: str, undo: Undo | None = None, **parameters: Any) -> bool:
    """One verb of a ticket that asks nothing more."""
    with context.client.content:
        return (await run_verb(session, f"service.{verb}", {"ticket_id": identity, **parameters}, done=done, undo=undo)).ok


async def close(session: Session, ticket: Record) -> bool:
    """Ask for the solution and close it."""

    def fields() -> dict[str, Any]:
        solution = _text(TICKET.fields["solution"].label, ticket.get("solution") or "", mark="solution")
        return {"solution": solution, "satisfaction": _stars()}

    back = Undo("service.reopen_ticket", {"ticket_id": ticket["id"]}, _("Taken up again"))
    return await _ask(
        session, "close_ticket", ticket["id"], _("Close the ticket"), fields, yes=_("Close the ticket"), done=_("Ticket closed"), undo=back
    )


async def wait(session: Session, ticket: Record) -> bool:
    """Ask what the customer was asked, and let the clock stand."""

    def fields() -> dict[str, Any]:
        return {"text": _text(_("What the customer was asked"), "", mark="asked")}

    back = Undo("service.resume", {"ticket_id": ticket["id"]}, _("The clock runs again"))
    title = _("Wait for the customer")
    return await _ask(
        session, "answer", ticket["id"], title, fields, yes=title, done=_("The clock stands still"), undo=back, fixed={"wait": True}
    )


async def revisit(session: Session, ticket: Record) -> bool:
    """Ask what the customer said when he was asked again."""

    def fields() -> dict[str, Any]:
        result = _text(TICKET.fields["revisit_result"].label, "", mark="result")
        return {
            "result": result,
            "satisfaction": _stars(),
            "reopen": ui.checkbox(_("Not solved after all: take it up again")).props("dense").mark("again"),
        }

    return await _ask(session, "record_revisit", ticket["id"], _("Ask the customer again"), fields, yes=_("Save"), done=_("Saved"))


async def hand_over(session: Session, ticket: Record) -> bool:
    """Ask who goes on with it."""

    def fields() -> dict[str, Any]:
        with ui.element("div").classes("lc-field"):
            ui.label(TICKET.fields["assignee_id"].label).classes("lc-label lc-required")
            who = picker(session, "user", None, lambda _id: None, create=False)
        ui.timer(0.2, who.focus, once=True)
        return {"user_id": who, "text": _text(_("A word about it"), "", mark="word", rows=2, focus=False)}

    return await _ask(session, "assign", ticket["id"], _("Pass on"), fields, yes=_("Pass on"), done=_("Passed on"))


async def merge(session: Session, ticket: Record) -> bool:
    """Ask which other ticket of the customer is about the same."""

    def read() -> list[Record]:
        where = (
            Condition("customer_id", "=", ticket["customer_id"]),
            Condition("state", "in", [*(state.value for state in UNDONE), "closed"]),
        )
        with session.store.read() as connection:
            found = select(
                connection, ListQuery(TICKET, where=where, limit=30, restrict=policy.view(session.actor, TICKET)), count=False
            ).rows
        return [row for row in found if row["id"] != ticket["id"]]

    with context.client.content:
        outcome = await run_service(session, read)
    if not outcome.ok:
        return False
    others = {row["id"]: " · ".join(filter(None, (row.get("number"), str(row.get("title") or "")))) for row in outcome.value}

    def fields() -> dict[str, Any]:
        if not others:
            ui.label(_("There is no other ticket of this customer.")).classes("lc-muted")
            return {}
        ui.label(_("The other one keeps its number; what happened to it is shown here from now on.")).classes("lc-muted")
        return {"other_id": ui.radio(others, value=next(iter(others))).props("dense").mark("others")}

    return await _ask(
        session,
        "merge_tickets",
        ticket["id"],
        _("Merge with another ticket"),
        fields,
        yes=_("Merge") if others else "",
        done=_("Tickets merged"),
    )


async def use_part(session: Session, ticket: Record) -> bool:
    """Ask which part was used; the warranty says who bears it unless somebody knows better."""
    opened, until = ticket.get("opened_at"), ticket.get("warranty_until")  # either may be covered
    covered = isinstance(opened, datetime) and isinstance(until, date) and is_covered(until, opened.astimezone().date())

    def fields() -> dict[str, Any]:
        with ui.element("div").classes("lc-form lc-two"):
            chosen: dict[str, Any] = {}
            for key, entity in (("product_id", "product"), ("warehouse_id", "warehouse")):
                with ui.element("div").classes("lc-field"):
                    ui.label(PART.fields[key].label).classes("lc-label" + (" lc-required" if key == "product_id" else ""))
                    chosen[key] = picker(session, entity, None, lambda _id: None, create=False)
            for key, value in (("quantity", "1"), ("price", ""), ("cost", "")):
                with ui.element("div").classes("lc-field"):
                    label = _("Cost of one") if key == "cost" else PART.fields[key].label
                    ui.label(label).classes("lc-label")
                    hint = {"price": _("as in the price list"), "cost": _("as the cheapest supplier asks")}.get(key, "")
                    chosen[key] = (
                        ui.input(value=value, placeholder=hint)
                        .props(f"outlined dense hide-bottom-space inputmode=decimal aria-label={quoted(label)}")
                        .mark(key)
                    )
        whose = {True: _("We bear it (warranty)"), False: _("The customer pays")}
        chosen["covered"] = (
            ui.toggle(whose, value=covered)
            .props("no-caps unelevated dense")
            .classes("lc-choices")
            .style("align-self:flex-start")
            .mark("covered")
        )
        chosen["price"].bind_enabled_from(chosen["covered"], "value", backward=lambda value: not value)
        ui.timer(0.2, chosen["product_id"].focus, once=True)
        return chosen

    return await _ask(session, "use_part", ticket["id"], _("Use a part"), fields, yes=_("Use it"), done=_("Taken from stock"))


async def bill(session: Session, ticket: Record) -> None:
    """Ask what the service is called in the order, make its draft and go there."""

    def fields() -> dict[str, Any]:
        ui.label(
            _("A draft of a sales order over the fee and the parts that the customer pays. The parts have left stock already.")
        ).classes("lc-muted")
        with ui.element("div").classes("lc-field"):
            ui.label(_("Service in the order")).classes("lc-label lc-required")
            what = picker(session, "product", None, lambda _id: None, create=False, where={"stocked": "0"})
        ui.timer(0.2, what.focus, once=True)
        return {"product_id": what}

    found: list[Any] = []
    if await _ask(
        session,
        "bill_ticket",
        ticket["id"],
        _("Bill the ticket"),
        fields,
        yes=_("Make the order"),
        done=_("The draft is made"),
        answer=found,
    ):
        ui.navigate.to(f"/orders/{found[0]['id']}")


# the dialog they share ---------------------------------------------------------------------------------------------------


async def _ask(
    session: Session,
    verb: str,
    identity: str,
    title: str,
    fields: Callable[[], Mapping[str, Any]],
    *,
    yes: str,
    done: str,
    undo: Undo | None = None,
    answer: list[Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> bool:
    """A dialog of some widgets, whose values are the verb's parameters; what is refused stands in it. Returns whether it was done."""
    with context.client.content:
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark(f"ask-{verb}") as card:
            ui.label(title).classes("lc-dialog-title")
            widgets = fields()
            problem = Problem()

            async def save() -> None:
                parameters = {
                    "ticket_id": identity,
                    **(fixed or {}),
                    **{key: value for key, widget in widgets.items() if (value := _value(widget)) is not None},
                }
                with dialog:
                    outcome = await run_verb(session, f"service.{verb}", parameters, done=done, undo=undo, on_error=problem.refuse)
                if outcome.ok:
                    if answer is not None:
                        answer.append(outcome.value)
                    dialog.submit(True)

            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                if yes:
                    ui.button(yes, on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("yes")
        card.on("keydown.esc.stop", dialog.close)
        return bool(await answer_of(dialog))


def _value(widget: Any) -> Any:
    value = widget.value
    if isinstance(widget, Picker | ui.rating):  # no star is no answer
        return value or None
    return value if isinstance(value, bool | int) or value is None else str(value)


def _text(label: str, value: str, *, mark: str, rows: int = 4, focus: bool = True) -> ui.textarea:
    with ui.element("div").classes("lc-field"):
        ui.label(label).classes("lc-label" + (" lc-required" if focus else ""))
        box = ui.textarea(value=value).props(f"outlined dense autogrow rows={rows} hide-bottom-space aria-label={quoted(label)}").mark(mark)
    if focus:
        box.props("autofocus")
    return box


def _stars() -> ui.rating:
    """One to five, or nothing said."""
    with ui.element("div").classes("lc-field"):
        ui.label(TICKET.fields["satisfaction"].label).classes("lc-label")
        return ui.rating(max=5, icon="star_border", icon_selected="star", size="24px").mark("stars")
