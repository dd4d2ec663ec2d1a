"""Deeds: each asks what it needs to know, runs one verb and says what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.domain.crm.deal_sheet import PLAN, deal_sheet
from localcrm.domain.crm.entities import LOST_REASONS, WON_REASONS
from localcrm.domain.crm.opportunities import OPPORTUNITY
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.form import Form, load_typed
from localcrm.ui.operations import Outcome, Undo, run_service, run_verb

if TYPE_CHECKING:
    from localcrm.store.query import Record
    from localcrm.ui.sessions import Session

#: Fields that a first maintenance plan is asked for.
_PLAN_FIELDS = ("title", "every", "unit", "starts_on", "user_id", "branch_id")


async def move(session: Session, identity: str, stage_id: str) -> bool:
    """Put it into another stage; where items of the checklist are open, ask for them or for a reason first. Returns whether it was moved."""
    asked = False

    def is_open(error: AppError) -> bool:
        nonlocal asked
        asked = error.code == "checklist_open"
        return asked

    with context.client.content:  # what was clicked may be drawn anew meanwhile
        before = await run_service(session, lambda: load_typed(session, OPPORTUNITY, identity))
        if not before.ok:
            return False
        outcome = await _move(session, before.value, stage_id, on_error=is_open)
        if not asked:
            return outcome.ok
        remark = await _checklist_dialog(session, identity)
        return remark is not None and (await _move(session, before.value, stage_id, remark=remark)).ok


async def _move(session: Session, record: Record, stage_id: str, *, remark: str = "", on_error: Any = None) -> Outcome:
    params = {"opportunity_id": record["id"], "stage_id": stage_id, "remark": remark}
    back = None
    if record.get("stage_id"):
        back = Undo("crm.move_opportunity", {**params, "stage_id": record["stage_id"], "remark": _("Taken back")}, _("Taken back"))
    return await run_verb(session, "crm.move_opportunity", params, done=_("Moved"), undo=back, on_error=on_error)


async def _checklist_dialog(session: Session, identity: str) -> str | None:
    """The open items, to be ticked, and why it goes on without them; the reason at last ("" where all are ticked), None if cancelled."""

    def read() -> dict[str, bool]:
        with session.store.read() as connection:
            return deal_sheet(connection, session.actor, identity, now_utc()).items

    outcome = await run_service(session, read)
    if not outcome.ok:
        return None
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("checklist"):
        ui.label(_("Before it goes on")).classes("lc-dialog-title")
        ui.label(_("Tick what is done, or say why it goes on without.")).classes("lc-muted")
        boxes = {item: ui.checkbox(item, value=done).props("dense").mark("check-item") for item, done in outcome.value.items()}
        reason = ui.input(_("Why without")).props("outlined dense maxlength=200").classes("w-full").mark("why")
        _buttons(dialog, _("Go on"))
    if not await answer_of(dialog):
        return None
    for item, box in boxes.items():
        if box.value != outcome.value[item]:
            params = {"opportunity_id": identity, "item": item, "done": bool(box.value)}
            if not (await run_verb(session, "crm.tick_item", params)).ok:
                return None
    return str(reason.value or "")


async def decide(session: Session, identity: str, *, won: bool) -> bool:
    """Won or lost: ask for the reason and do it; returns whether it was done."""
    reasons = WON_REASONS if won else LOST_REASONS
    own = {key: label for key, label in OPPORTUNITY.fields["reason"].offered.items() if key not in {**WON_REASONS, **LOST_REASONS}}
    names = {key: gettext(label) for key, label in {**reasons, **own}.items()}
    with context.client.content:
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("decide"):
            ui.label(_("Won: what made the difference?") if won else _("Lost: why?")).classes("lc-dialog-title")
            reason = ui.select(names, label=OPPORTUNITY.fields["reason"].label).props("outlined dense options-dense")
            reason.classes("w-full").mark("reason")
            remark = ui.input(OPPORTUNITY.fields["remark"].label).props("outlined dense maxlength=200").classes("w-full").mark("remark")
            problem = ui.label().classes("lc-field-error").props('role="alert"')

            async def save() -> None:
                params = {"opportunity_id": identity, "reason": reason.value or "", "remark": remark.value or ""}

                def refused(error: AppError) -> bool:
                    problem.set_text(error.message)
                    return True

                verb = "crm.win" if won else "crm.lose"
                back = Undo("crm.reopen", {"opportunity_id": identity}, _("Taken back"))
                done = _("Won. Congratulations!") if won else _("Noted as lost")
                if (await run_verb(session, verb, params, done=done, undo=back, on_error=refused)).ok:
                    dialog.submit(True)

            _buttons(dialog, _("Won") if won else _("Lost"), save)
        return bool(await answer_of(dialog))


async def reopen(session: Session, identity: str) -> bool:
    """Go on with what was decided."""
    return (await run_verb(session, "crm.reopen", {"opportunity_id": identity}, done=_("Reopened"))).ok


async def start_project(session: Session, identity: str) -> bool:
    """Carry out what was won."""
    return (await run_verb(session, "crm.start_project", {"opportunity_id": identity}, done=_("It goes on as a project"))).ok


async def start_aftercare(session: Session, identity: str) -> bool:
    """Look after it, with a first maintenance plan where one is wanted."""
    with context.client.content:
        with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("aftercare"):
            ui.label(_("Start the aftercare")).classes("lc-dialog-title")
            planned = ui.checkbox(_("Visits come round by a maintenance plan"), value=True).props("dense").mark("with-plan")
            form = Form(
                session, PLAN, fields=[PLAN.fields[key] for key in _PLAN_FIELDS], preset={"title": _("Maintenance visit")}, two=True
            )
            form.box.bind_visibility_from(planned, "value")

            async def save() -> None:
                form.clear_errors()
                plan: Mapping[str, Any] | None = None
                if planned.value:
                    plan = {key: value for key, value in form.values().items() if value is not None}
                params = {"opportunity_id": identity, "plan": plan}
                if (await run_verb(session, "crm.start_aftercare", params, done=_("It goes on in aftercare"), on_error=form.show_error)).ok:
                    dialog.submit(True)

            _buttons(dialog, _("Start"), save)
        return bool(await answer_of(dialog))


async def close_aftercare(session: Session, identity: str) -> bool:
    """End it; asks first."""
    with context.client.content:
        if not await confirm(_("Close the aftercare?"), detail=_("No more visits come of its plans. It can be reopened.")):
            return False
        return (await run_verb(session, "crm.close_aftercare", {"opportunity_id": identity}, done=_("Aftercare closed"))).ok


async def task_done(session: Session, task: str) -> bool:
    """A task of a project is done, today; returns whether that was written."""
    values = {"entity": "project_task", "id": task, "values": {"done_on": now_utc().astimezone().date().isoformat()}}
    return (await run_verb(session, "records.update_record", values, done=_("Done"))).ok


def _buttons(dialog: ui.dialog, yes: str, save: Any = None) -> None:
    with ui.element("div").classes("lc-dialog-buttons"):
        ui.button(_("Cancel"), on_click=lambda: dialog.submit(False)).props("flat no-caps").classes("lc-btn")
        ui.button(yes, on_click=save or (lambda: dialog.submit(True))).props("unelevated no-caps data-commit").classes("lc-pri").mark("yes")
