"""Settling many conflicts at once, ticked or by a rule: first what it would change, then the verb, then the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.admin.conflicts import Item, Rule, Step, plan
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.ui.conflict_words import Told, step_texts
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.operations import run_service, run_verb, show_failure, toast

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Lines of a preview.
LINES = 50


@dataclass(frozen=True, slots=True)
class Scope:
    """Which conflicts a rule is for; ``branch`` is the one that "the branch's value" means, "" for whichever it is."""

    label: str
    items: list[Item]
    branch: str


class _Left(AppError):
    """What was refused of many, with the first reason."""

    def __init__(self, text: str, left: Sequence[Mapping[str, str]]) -> None:
        super().__init__(left[0]["code"], text, count=len(left), reason=left[0]["message"])


async def ask(session: Session, shown: Sequence[Told], title: str, steps: list[Step]) -> bool:
    """Show what settling would change, and whether to do it."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("preview-dialog"):
        ui.label(title).classes("lc-dialog-title")
        preview = _Preview(session, shown, dialog)
        await preview.show(steps)
    return bool(await answer_of(dialog))


async def ask_rule(session: Session, shown: Sequence[Told], *, current: Told | None, branch: str) -> list[Step]:
    """Ask which ones and whose value, and show what that would change; the steps to take, none when cancelled.

    ``current`` is offered as a record and as a field of its kind, ``branch`` is what the page is narrowed to.
    """
    offered = scopes(shown, current=current, branch=branch)
    steps: list[Step] = []
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("rule-dialog"):
        ui.label(_("Settle by a rule")).classes("lc-dialog-title")
        ui.label(_("Which ones")).classes("lc-label")
        which = ui.select({key: scope.label for key, scope in offered.items()}, value=next(iter(offered)))
        which.props(f'outlined dense options-dense hide-bottom-space data-act=scope aria-label="{_("Which ones")}"').mark("scope")
        ui.label(_("What counts")).classes("lc-label")
        rule = ui.toggle({one.value: gettext(one.label) for one in Rule}, value=Rule.OFFICE.value)
        rule.props("no-caps unelevated dense").classes("lc-choices lc-rule").mark("rule")
        hint = ui.label(_("Where two branches disagree, choose above which of them is meant.")).classes("lc-muted")
        preview = _Preview(session, shown, dialog)

        async def look() -> None:
            scope, chosen = offered[str(which.value)], Rule(str(rule.value))
            hint.set_visibility(chosen is Rule.BRANCH and not scope.branch)

            def planned() -> list[Step]:
                with session.store.read() as connection:
                    return plan(connection, scope.items, chosen, branch=scope.branch)

            outcome = await run_service(session, planned)
            if outcome.ok:
                steps[:] = outcome.value
                await preview.show(steps)

        which.on_value_change(look)
        rule.on_value_change(look)
        await look()
    return steps if await answer_of(dialog) else []


def scopes(shown: Sequence[Told], *, current: Told | None, branch: str) -> dict[str, Scope]:
    """What a rule may be for: the record and the field of the chosen conflict, every branch concerned, all that are shown."""
    found: dict[str, Scope] = {}
    if current is not None:
        same = [one.item for one in shown if (one.path, one.title) == (current.path, current.title)]
        found["record"] = Scope(_("All of “{title}” ({count})").format(title=current.title, count=len(same)), same, branch)
        if current.label and current.kind:
            alike = [one.item for one in shown if (one.kind, one.label) == (current.kind, current.label)]
            label = _("All of {kind}: {field} ({count})").format(kind=current.kind.label, field=current.label, count=len(alike))
            found["field"] = Scope(label, alike, branch)
    for code in sorted({code for one in shown for code in one.places}):
        there = [one.item for one in shown if code in one.places]
        found[f"branch-{code}"] = Scope(_("All that {branch} is concerned by ({count})").format(branch=code, count=len(there)), there, code)
    every = [one.item for one in shown]
    return {**found, "all": Scope(_("All that are shown ({count})").format(count=len(every)), every, branch)}


async def settle_many(session: Session, steps: Sequence[Step]) -> None:
    """Settle what was looked at; what is refused stays open and says why."""
    wanted = [one for one in steps if one.keep is not None]
    if not wanted:
        return
    outcome = await run_verb(session, "admin.settle_conflicts", {"choices": [one.choice for one in wanted]})
    if not outcome.ok:
        return
    settled, left = set(outcome.value["settled"]), outcome.value["left"]
    back = [one.way_back for one in wanted if one.item.id in settled and not (one.changes and one.item.is_ours)]

    async def take_back() -> None:
        undone = await run_verb(session, "admin.reopen_conflicts", {"choices": back})
        if undone.ok and undone.value["reopened"]:
            toast(_("{count} wait again, with the values before").format(count=len(undone.value["reopened"])))
        if undone.ok and undone.value["left"]:
            show_failure(_Left(N_("{count} stay settled. The first reason: {reason}"), undone.value["left"]))

    if settled:
        toast(_("{count} settled").format(count=len(settled)), undo=(_("Undo"), take_back) if back else None)
    if left:
        show_failure(_Left(N_("{count} stay open. The first reason: {reason}"), left))


class _Preview:
    """What would be changed, what only be ticked off, what is left alone; and the button that says how many are settled."""

    def __init__(self, session: Session, shown: Sequence[Told], dialog: ui.dialog) -> None:
        self.session = session
        self.told = {one.item.id: one for one in shown}
        self.place = ui.element("div").classes("lc-col").mark("preview")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=lambda: dialog.submit(None)).props("flat no-caps").classes("lc-btn")
            self.yes = ui.button(_("Settle"), on_click=lambda: dialog.submit(True)).props("unelevated no-caps data-commit")
            self.yes.props("data-act=dialog-yes").classes("lc-pri").mark("dialog-yes")

    async def show(self, steps: Sequence[Step]) -> None:
        """Draw it for these steps."""
        changing = [one for one in steps if one.changes]
        left = sum(one.keep is None for one in steps)

        def words() -> list[tuple[str, str, str, str]]:
            with self.session.store.read() as connection:
                return step_texts(connection, self.told, changing[:LINES])

        outcome = await run_service(self.session, words)
        if not outcome.ok or self.place.is_deleted:
            return
        self.place.clear()
        with self.place:
            if changing:
                _table(outcome.value)
            parts = [_("{count} values are changed").format(count=len(changing))]
            if untouched := len(steps) - len(changing) - left:
                parts.append(_("{count} settled without a change").format(count=untouched))
            if left:
                parts.append(_("{count} stay open: this says nothing about them").format(count=left))
            ui.label(" · ".join(parts)).classes("lc-muted").mark("preview-sum")
            if reversing := sum(one.item.is_ours for one in changing):
                text = _(
                    "Documents reversed: {count}. For each a new posted document with the opposite amount is made; that cannot be undone."
                )
                ui.label(text.format(count=reversing)).classes("lc-bad-text").mark("preview-reversed")
        self.yes.set_text(_("Settle {count}").format(count=len(steps) - left))
        self.yes.set_enabled(len(steps) > left)


def _table(rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Each record once, its fields below it."""
    with ui.element("div").classes("lc-scroll").style("max-height:46vh"), ui.element("table").classes("lc-table lc-steps-table"):
        heads(_("Field"), _("Now"), _("Afterwards"))
        above = ""
        for number, (title, label, now, after) in enumerate(rows):
            if title != above:
                with ui.element("tr").classes("lc-step-head"), ui.element("td").props("colspan=3"):
                    ui.label(title)
            above = title
            with ui.element("tr").mark(f"step-{number}"):
                cell(label)
                cell(now, "lc-muted lc-wrap")
                cell(after, "lc-wrap")
