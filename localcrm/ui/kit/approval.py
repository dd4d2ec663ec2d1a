"""The approval of a document on its page: who is asked, who said what, and the buttons of the moment; the same small dialogs for the inbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.approvals.documents import DOCUMENTS
from localcrm.domain.approvals.entities import Decision
from localcrm.domain.approvals.inbox import Place, Progress, progress
from localcrm.domain.approvals.rules import State
from localcrm.kernel.errors import NotFound
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.kernel.schema import entity as entity_type
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import exact, near_moment
from localcrm.ui.operations import run_service, run_verb, toast

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Colour of a state or decision.
TONES = {State.WAITING: "warn", State.APPROVED: "good", State.REJECTED: "bad", State.WITHDRAWN: ""}


def joined(names: Sequence[str]) -> str:
    """Names in a row."""
    return _(", ").join(names)


def asked_text(names: Sequence[str]) -> str:
    """What is said once somebody is asked; with nobody left it is settled."""
    return _("Submitted to {names}").format(names=joined(names))


# dialogs ---------------------------------------------------------------------------------------------------------------


async def approve_dialog(session: Session, request_id: str) -> bool:
    """Approve, with a comment or without; says what comes next. Returns whether it was done."""
    return await _decide(session, "approvals.approve", request_id, _("Approve this?"), _("Approve"), label=_("Comment"))


async def reject_dialog(session: Session, request_id: str) -> bool:
    """Reject, and say why; returns whether it was done."""
    return await _decide(session, "approvals.reject", request_id, _("Reject this?"), _("Reject"), label=_("Reason"), danger=True)


async def withdraw_dialog(session: Session, request_id: str) -> bool:
    """Take it back; returns whether it was done."""
    detail = _("Nobody is asked any more, and it can be changed again. What was approved so far does not count.")
    if not await confirm(_("Withdraw this?"), detail=detail, yes=_("Withdraw")):
        return False
    return (await run_verb(session, "approvals.withdraw", {"request_id": request_id}, done=_("Withdrawn"))).ok


async def _decide(session: Session, verb: str, request_id: str, question: str, yes: str, *, label: str, danger: bool = False) -> bool:
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("decide"):
        ui.label(question).classes("lc-dialog-title")
        problem = Problem()
        with ui.element("div").classes("lc-field"):
            ui.label(label).classes("lc-label lc-required" if danger else "lc-label")
            comment = ui.textarea().props(f"outlined dense autogrow autofocus hide-bottom-space aria-label={quoted(label)}").mark("comment")

        async def save() -> None:
            outcome = await run_verb(session, verb, {"request_id": request_id, "comment": comment.value or ""}, on_error=problem.refuse)
            if outcome.ok:
                dialog.submit(outcome.value)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=lambda: dialog.submit(None)).props("flat no-caps").classes("lc-btn")
            with ui.button(on_click=save).props("unelevated no-caps data-commit").mark("decide-yes") as sure:
                ui.label(yes)
                ui.label("Ctrl ⏎").classes("lc-kbd").style("margin-left:6px")
            sure.props("color=negative") if danger else sure.classes("lc-pri")
    done = await answer_of(dialog)
    if done is None:
        return False
    toast(_decided_text(done))
    return True


def _decided_text(done: dict[str, Any]) -> str:
    if done["state"] == State.WAITING:
        return _("Approved; now it waits for {names}").format(names=joined(done["asked"]))
    return gettext(State(done["state"]).label)


# the strip -----------------------------------------------------------------------------------------------------------------


class ApprovalStrip:
    """The approval of one document. ``decided`` is called after one of the buttons did something, with whether the document is still seen."""

    def __init__(self, session: Session, entity: str, decided: Callable[[bool], Awaitable[None] | None]) -> None:
        self.session, self.entity, self.decided = session, entity, decided
        self.identity: str | None = None
        self.host = ui.element("div").classes("lc-card lc-approval").mark("approval")
        self.host.set_visibility(False)

    async def show(self, identity: str | None) -> None:
        """Read how the document stands, and show it."""
        self.identity = identity
        found = await run_service(self.session, self._read) if identity else None
        now: Progress | None = found.value if found and found.ok else None
        self.host.clear()
        self.host.set_visibility(now is not None)
        if now is not None:
            with self.host:
                self._draw(now)

    def _read(self) -> Progress | None:
        session, identity = self.session, self.identity
        if identity is None:
            return None
        with session.store.read() as connection:
            try:
                return progress(connection, session.store.node, session.actor, entity=self.entity, id=identity)
            except NotFound:  # he was asked, and no longer is
                return None

    def _draw(self, shown: Progress) -> None:
        now = shown.standing
        state = now.request.state if now.request else None
        with ui.element("div").classes("lc-row lc-approval-head"):
            ui.label(_("Approval")).classes("lc-sub")
            name = now.request.record["flow"] if now.request else (now.flow or {}).get("name", "")
            ui.label(name).classes("lc-muted")
            if state is not None:
                ui.label(gettext(state.label)).classes("lc-chip").props(f"data-tone={TONES[state] or 'plain'}").mark("approval-state")
            if now.request is not None:
                moment = now.request.record["submitted_at"]
                told = _("{name}, {time}").format(name=shown.author, time=near_moment(moment))
                ui.label(told).classes("lc-label").tooltip(exact(moment) or "")
            ui.space()
            self._buttons(shown)
        if now.changed and state == State.APPROVED:
            ui.label(
                _("Changed after it was approved: {parts}. The approval no longer counts; submit it again.").format(
                    parts=joined(now.changed)
                )
            ).classes("lc-bad-text")
        elif now.request is None:
            ui.label(gettext(DOCUMENTS[self.entity].words.needed)).classes("lc-muted")
        with ui.element("ol").classes("lc-approval-steps"):
            for place in shown.places:
                _draw_place(place, waiting=now.is_waiting)
        withdrawn = [one for one in (now.request.decisions if now.request else ()) if one["decision"] == Decision.WITHDRAWN]
        if withdrawn and state == State.WITHDRAWN:
            ui.label(_("Withdrawn {time}").format(time=near_moment(withdrawn[-1]["decided_at"]))).classes("lc-label")

    def _buttons(self, shown: Progress) -> None:
        request = shown.standing.request
        if request is None:
            return
        identity = request.record["id"]
        if shown.may_withdraw:
            ui.button(_("Withdraw"), on_click=lambda: self._do(withdraw_dialog, identity)).props("unelevated no-caps").classes(
                "lc-btn"
            ).mark("withdraw")
        if shown.may_decide:
            ui.button(_("Reject…"), on_click=lambda: self._do(reject_dialog, identity)).props("unelevated no-caps data-key=x").classes(
                "lc-btn lc-bad-text"
            ).mark("reject")
            with ui.button(on_click=lambda: self._do(approve_dialog, identity)).props("unelevated no-caps data-key=a") as button:
                ui.label(_("Approve…"))
                ui.label("A").classes("lc-kbd")
            button.classes("lc-pri").mark("approve")

    async def _do(self, dialog: Callable[[Session, str], Awaitable[bool]], request_id: str) -> None:
        if not await dialog(self.session, request_id):
            await self.show(self.identity)  # somebody else may have been quicker
            return
        seen = await run_service(self.session, self._is_seen)
        answer = self.decided(bool(seen.value))
        if answer is not None:
            await answer

    def _is_seen(self) -> bool:
        self.session.check()  # what he sees because it waited for him ends with that
        with self.session.store.read() as connection:
            return policy.visible(connection, self.session.actor, entity_type(self.entity), self.identity or "")


def _draw_place(place: Place, *, waiting: bool) -> None:
    decision = place.decision
    tone = TONES[State(decision["decision"])] if decision else ("warn" if place.is_open else "")
    with ui.element("li").classes("lc-approval-step").props(f"data-tone={tone or 'plain'}"):
        ui.label(str(place.step)).classes("lc-approval-no")
        with ui.element("div"):
            ui.label(place.decided_by if decision else joined(place.names) or _("nobody")).classes("lc-approval-who")
            if decision:
                told = f"{gettext(Decision(decision['decision']).label)} · {near_moment(decision['decided_at'])}"
                ui.label(told).classes("lc-label").tooltip(exact(decision["decided_at"]) or "")
                if decision["comment"]:
                    ui.label(f"“{decision['comment']}”").classes("lc-label")
            else:
                ui.label(_("has to decide") if place.is_open else _("comes after") if waiting else _("was not asked any more")).classes(
                    "lc-label"
                )
