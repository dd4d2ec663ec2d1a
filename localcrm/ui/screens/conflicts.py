"""What the merges found that a person should see: both values, who, where and when; settled one by one, ticked, or by a rule."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.admin.conflicts import CONFLICT, Step, concerned_field, count_open, find_items, step
from localcrm.domain.admin.entities import ConflictKind
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.schema import entities
from localcrm.store.query import Condition, stored_value
from localcrm.ui.conflict_rules import ask, ask_rule, settle_many
from localcrm.ui.conflict_words import Card, Side, Teller, Told, cards
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.form import FieldInput
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, action_button, action_keys
from localcrm.ui.kit.places import place_of
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service, run_verb, toast
from localcrm.ui.registry import Badge, Screen, register
from localcrm.ui.screens.records import history_dialog

if TYPE_CHECKING:
    from localcrm.kernel.ports import Changes
    from localcrm.ui.sessions import Session

TABS = {"open": N_("To look at"), "resolved": N_("Settled")}
EMPTY = {
    "open": N_("Nothing to look at: every value that was overwritten has been settled."),
    "resolved": N_("Nothing has been settled yet."),
}
#: For so long after one was dealt with no other is: what has just come under the pointer nobody has read.
PAUSE_SECONDS = 0.7
#: Records that are shown at once.
CARDS = 30
_SELECT = "outlined dense options-dense hide-bottom-space"


async def conflicts(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; ?branch=, ?record= and ?mine= narrow it."""
    await Inbox(session, parameters).build()


class Inbox:
    """One open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.may = session.may("conflict.resolve")
        self.tab = "open"
        self.filters: dict[str, str] = {"kind": "", "branch": parameters.get("branch", ""), "entity": ""}
        self.record = parameters.get("record", "")
        self.mine = bool(parameters.get("mine"))
        self.tabs: dict[str, ui.button] = {}
        self.waiting = 0
        self.told: list[Told] = []
        self.about: Told | None = None
        """One of the record that the page is narrowed to."""
        self.shown: list[Told] = []
        self.blocks: list[ui.element] = []
        self.ticked: set[str] = set()
        self.drawn: tuple[Any, ...] = ()
        self.at = 0
        self.most = CARDS
        self.settled: set[str] = set()
        """Settled on this page: a second click on one of these is none."""
        self.calm_at = 0.0
        """When the next one may be settled."""

    async def build(self) -> None:
        """Tabs and filters above, one card for each record below."""
        with page_frame(self.session, title=_("Conflicts"), active="conflicts"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(_("Conflicts")):
                with ui.element("div").classes("lc-quick lc-row").mark("tabs"):
                    for key in TABS:
                        self.tabs[key] = ui.button(on_click=partial(self._turn, key)).props("flat dense no-caps").classes("lc-chip")
                        self.tabs[key].mark(f"tab-{key}").props(f"data-act=tab-{key}")
                ui.space()
                if self.may:
                    self.rule = ui.button(_("Settle by a rule…"), on_click=self.by_rule).props("unelevated no-caps data-act=by-rule")
                    self.rule.classes("lc-btn").mark("by-rule")
                    action_button(self._actions())
            self.narrow = ui.element("div").classes("lc-row lc-wrap-row").style("flex:none").mark("filters")
            self.list = ui.element("div").classes("lc-col").style("flex:none").mark("conflicts")
            self._build_bar()
            self._draw_bar()
            action_keys([*self._actions(), *self._moves()])
        await self.draw()
        self.session.subscribe({kind.key for kind in entities()}, self._changed)

    async def _changed(self, changes: Changes) -> None:
        concerned = {one.item.conflict.get("entity") for one in self.told}
        if changes.touches("conflict") or not concerned.isdisjoint(changes.ids):
            await self.draw()

    # reading ---------------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[int, int, list[Told], Told | None]:
        of_record = [Condition("record", "=", self.record)] if self.record else []
        where = [Condition("state", "=", self.tab), *of_record]
        settled = self.tab == "resolved"
        with self.session.store.read() as connection:
            actor = self.session.actor
            total, items = find_items(connection, actor, where, sort="-resolved_at" if settled else "")
            told = list(Teller(connection, actor, items))
            waiting = count_open(connection, actor) if settled or self.record else total
            about = next(iter(told), None) if self.record else None
            if self.record and about is None:  # its name is known from what was settled
                about = next(iter(Teller(connection, actor, find_items(connection, actor, of_record, limit=1)[1])), None)
        return waiting, total, told, about

    async def draw(self) -> None:
        """Read and show; the chosen one stays chosen."""
        outcome = await run_service(self.session, self._read)
        if not outcome.ok or self.list.is_deleted:
            return
        chosen = self.current.item.id if self.current else None
        self.waiting, total, self.told, self.about = outcome.value
        self.shown = [one for one in self.told if self._fits(one)]
        self.ticked &= {one.item.id for one in self.shown}
        shown = cards(self.shown)
        self.shown = [one for card in shown for one in card.told]  # as they stand on the page
        self.at = place_of([one.item.id for one in self.shown], chosen, self.at)
        now = (self.waiting, total, self.tab, self.about, self.mine, dict(self.filters), self.told, self.most, set(self.ticked))
        if now == self.drawn:  # nothing jumps while somebody reads
            return
        self.drawn = now
        self._draw_tabs(self.waiting)
        self._draw_filters(self.about.title if self.about else "")
        self._draw_cards(shown, total - len(self.told))
        self._draw_bar()

    def _fits(self, one: Told) -> bool:
        kind, branch, entity = (self.filters[key] for key in ("kind", "branch", "entity"))
        conflict = one.item.conflict
        if self.mine and not one.item.mine:
            return False
        return (not kind or one.item.kind == kind) and (not branch or branch in one.places) and entity in {"", conflict.get("entity")}

    def _draw_tabs(self, waiting: int) -> None:
        if self.may:
            self.rule.set_enabled(self.tab == "open" and bool(self.shown))
        for key, label in TABS.items():
            chip = self.tabs[key]
            chip.classes(add="lc-acc" if key == self.tab else "", remove="" if key == self.tab else "lc-acc")
            chip.clear()
            with chip:
                ui.label(_(label))
                if key == "open" and waiting:
                    ui.label(f"{waiting:,}").classes("lc-count").mark("conflict-count")

    def _draw_filters(self, record: str) -> None:
        offered = {
            "kind": {one.item.kind: one.reason for one in self.told if one.item.kind},
            "branch": {code: code for code in sorted({code for one in self.told for code in one.places})},
            "entity": {one.kind.key: one.kind.label for one in self.told if one.kind},
        }
        every = {"kind": _("Every reason"), "branch": _("Every branch"), "entity": _("Every kind of record")}
        self.narrow.clear()
        self.narrow.set_visibility(bool(self.told) or bool(self.record) or self.mine)
        with self.narrow:
            if self.mine:
                button = ui.button(_("About me or my customers"), on_click=self._everybodys).props("flat dense no-caps icon-right=close")
                button.classes("lc-chip lc-acc").mark("mine").props("data-act=mine")
            if self.record:
                button = ui.button(record or _("One record"), on_click=self._every_record).props("flat dense no-caps icon-right=close")
                button.classes("lc-chip lc-acc").mark("one-record").props("data-act=one-record")
            for key, labels in offered.items():
                chosen = self.filters[key]
                if len(labels) < 2 and not chosen:
                    continue
                options = {"": every[key], **labels, **({chosen: labels.get(chosen, chosen)} if chosen else {})}
                box = ui.select(options, value=chosen, on_change=partial(self._filter, key))
                box.props(f"{_SELECT} aria-label={quoted(every[key])}").classes("lc-log-filter").mark(f"filter-{key}").props(
                    f"data-act=filter-{key}"
                )
            if self.may and self.tab == "open":
                ui.space()
                ui.label(_("What you choose goes to every branch.")).classes("lc-muted lc-small-text lc-wide-only")

    # cards -----------------------------------------------------------------------------------------------------------

    def _draw_cards(self, shown: Sequence[Card], beyond: int) -> None:
        self.list.clear()
        self.blocks = []
        with self.list:
            if not shown:
                self._draw_none()
                return
            for card in shown[: self.most]:
                self._card(card)
            hidden = len(shown) - self.most
            if hidden > 0:
                more = ui.button(_("Show {count} more records").format(count=f"{min(hidden, CARDS):,}"), on_click=self._more)
                more.props("flat no-caps").mark("more")
            elif beyond > 0:
                ui.label(_("… and {count} more").format(count=f"{beyond:,}")).classes("lc-muted")
        self._mark(self.at, follow=False)

    def _draw_none(self) -> None:
        """Why there is nothing, and where to go on."""
        of_record = self.about if self.tab == "open" and not self.told else None
        text = _("All conflicts of “{title}” are settled.").format(title=of_record.title) if of_record else _(EMPTY[self.tab])
        with ui.element("div").classes("lc-card lc-empty").mark("none"):
            ui.label(_("Nothing fits these filters.") if self.told else text)
            if not self.record or self.told:
                return
            with ui.element("div").classes("lc-row lc-wrap-row"):
                if of_record and of_record.kind and of_record.path:
                    back = ui.button(
                        _("Back to {kind}").format(kind=of_record.kind.label), on_click=partial(ui.navigate.to, of_record.path)
                    )
                    back.props("unelevated no-caps data-act=back-to-record").classes("lc-btn").mark("back-to-record")
                if self.tab == "open" and self.waiting:
                    rest = ui.button(_("See the other {count}").format(count=f"{self.waiting:,}"), on_click=self._every_record)
                    rest.props("unelevated no-caps data-act=see-others").classes("lc-btn").mark("see-others")

    def _card(self, card: Card) -> None:
        with ui.element("div").classes("lc-card lc-conflict-card").mark("conflict-card"):
            with ui.element("div").classes("lc-row lc-conflict-head"):
                if card.path:
                    with ui.element("a").props(f"href={quoted(card.path)}").classes("lc-strong lc-wrap"):
                        ui.label(card.title)
                else:
                    ui.label(card.title).classes("lc-strong lc-wrap")
                if card.kind and card.kind.label != card.title:
                    ui.label(card.kind.label).classes("lc-chip")
                ui.space()
                if card.kind and card.path:
                    ui.button(_("History"), on_click=partial(self._history, card)).props("flat dense no-caps size=sm icon=history").mark(
                        "history"
                    )
            for one in card.told:
                self._block(one)

    def _block(self, one: Told) -> None:
        place = len(self.blocks)
        block = ui.element("div").classes("lc-conflict").mark("conflict").props(f"data-conflict={one.item.id} tabindex=-1")
        block.on("click", partial(self._mark, place, follow=False))
        self.blocks.append(block)
        with block:
            with ui.element("div").classes("lc-row lc-wrap-row"):
                if self.may and one.item.is_open:
                    box = ui.checkbox(value=one.item.id in self.ticked, on_change=partial(self._tick, one.item.id)).props("dense")
                    box.props(f'data-act=tick aria-label="{_("Tick")}"').mark("tick")
                if one.label:
                    ui.label(one.label).classes("lc-chip")
                ui.label(one.reason).classes("lc-muted")
                ui.space()
                if "base" in one.item.conflict and one.item.kind == ConflictKind.OVERWRITTEN:
                    before = _("before: {value}").format(value=one.base if one.base is not None else _("(empty)"))
                    ui.label(before).classes("lc-muted lc-wrap").mark("base")
            self._content(one)
            self._buttons(one)

    def _content(self, one: Told) -> None:
        if one.happened:
            ui.label(one.happened).classes("lc-wrap").mark("happened")
        else:
            with ui.element("div").classes("lc-values"):
                self._sides(one)
        if one.next_step and one.item.is_open:
            ui.label(one.next_step).classes("lc-muted lc-wrap").mark("next-step")
        if one.item.is_open and one.item.changed_since and one.has_values and one.item.kind != ConflictKind.DUPLICATE:
            with ui.element("div").classes("lc-notice lc-warn").mark("changed-since"):
                ui.icon("update")
                ui.label(_("Changed again since then; now it is {value}.").format(value=one.now or _("(empty)"))).classes("grow")
        if one.settled:
            with ui.element("div").classes("lc-row lc-wrap-row").mark("settled"):
                ui.icon("check_circle").classes("lc-good-text")
                ui.label(one.settled)

    def _sides(self, one: Told) -> None:
        conflict, deleted = one.item.conflict, one.item.conflict.get("field") == "deleted"
        if one.item.kind == ConflictKind.DUPLICATE:
            _value_box(Side(one.other[0], one.kept.who, one.kept.at, one.kept.exact), one.kept.text or "", mark="kept", path=one.other[1])
            _value_box(Side(one.title, one.lost.who, one.lost.at, one.lost.exact), one.lost.text or "", mark="lost", path=one.path)
            return
        live = one.item.now
        other = _("value before") if one.item.kind == ConflictKind.WATCHED else _("not used")
        tags = {"kept": _("overwritten since"), "lost": other}
        for side, text, told in (("kept", one.kept_text, one.kept), ("lost", one.lost_text, one.lost)):
            is_live = live == conflict.get(side)
            tag = (_("Now") if deleted else _("in use now")) if is_live else "" if deleted else tags[side]
            _value_box(Side(text, told.who, told.at, told.exact), tag, mark=side, live=is_live)

    def _buttons(self, one: Told) -> None:
        if not self.may or one.item.is_elsewhere:
            return
        again = not one.item.is_open
        if again and not (one.item.can_take or one.item.can_edit or one.item.can_reopen):
            return
        with ui.element("div").classes("lc-row lc-wrap-row"):
            if not again and one.keep_label:
                _button(one.keep_label, "k", "keep", partial(self._on, one, self.keep), first=True)
            elif one.item.changed_since and one.item.kind != ConflictKind.PARENT_DELETED and "kept" in one.item.conflict:
                _button(_kept_label(one), "k", "keep", partial(self._on, one, self.keep))
            if one.take_label:
                _button(one.take_label, "t", "take", partial(self._on, one, self.take))
            if one.both and one.item.can_edit:
                _button(_("Keep both"), "", "both", partial(self._on, one, self.both))
            if one.item.can_edit and not (again and one.item.kind == ConflictKind.DUPLICATE):
                label = _("Change one of them…") if one.item.kind == ConflictKind.DUPLICATE else _("Another value…")
                _button(label, "e", "edit", partial(self._on, one, self.edit))
            if one.item.can_reopen:
                _button(_("Decide it again later"), "", "reopen", partial(self._on, one, self.reopen))

    def _build_bar(self) -> None:
        """Made once: each tick changes its count, and a button that is about to be clicked stays."""
        self.bar = ui.element("div").classes("lc-chosen").mark("chosen")
        with self.bar:
            self.count = ui.label().classes("lc-strong").mark("ticked-count")
            if not self.may:
                return
            _button(_("Leave as they are…"), "", "keep-ticked", partial(self._settle_ticked, "kept"))
            _button(_("Use the other values…"), "", "take-ticked", partial(self._settle_ticked, "lost"))
            ui.space()
            ui.button(_("Tick none"), on_click=self._untick).props("flat dense no-caps").mark("untick")

    def _draw_bar(self) -> None:
        self.bar.set_visibility(bool(self.ticked))
        self.count.set_text(_("{count} ticked").format(count=len(self.ticked)))

    # which one -------------------------------------------------------------------------------------------------------

    @property
    def current(self) -> Told | None:
        """The chosen conflict."""
        return self.shown[self.at] if 0 <= self.at < len(self.shown) else None

    def _mark(self, place: int, *, follow: bool = True) -> None:
        self.at = place
        for number, block in enumerate(self.blocks):
            block.classes(add="lc-on" if number == place else "", remove="" if number == place else "lc-on")
        if follow and 0 <= place < len(self.blocks):
            ui.run_javascript(f"getHtmlElement({self.blocks[place].id})?.scrollIntoView({{block: 'nearest'}})")

    def _step(self, way: int) -> None:
        if self.blocks:
            self._mark((self.at + way) % len(self.blocks))

    def _moves(self) -> list[Action]:
        return [
            Action("down", "", lambda: self._step(1), "arrowdown", listed=False),
            Action("up", "", lambda: self._step(-1), "arrowup", listed=False),
        ]

    async def _on(self, one: Told, act: Callable[[Told], Awaitable[None]]) -> None:
        self.at = next((n for n, other in enumerate(self.shown) if other.item.id == one.item.id), self.at)
        with self.list:
            await act(one)

    def _with_current(self, act: Callable[[Told], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if self.current:
                await act(self.current)

        return run

    async def _turn(self, tab: str) -> None:
        self.tab, self.at, self.most = tab, 0, CARDS
        self.ticked.clear()
        await self.draw()

    async def _filter(self, key: str, event: Any) -> None:
        self.filters[key], self.at = event.value or "", 0
        with self.list:  # the box itself is drawn anew
            await self.draw()

    async def _everybodys(self) -> None:
        self.mine = False
        with self.list:
            await self.draw()

    async def _every_record(self) -> None:
        self.record = ""
        with self.list:
            await self.draw()

    async def _more(self) -> None:
        self.most += CARDS
        with self.bar:
            await self.draw()

    def _tick(self, identity: str, event: Any) -> None:
        (self.ticked.add if event.value else self.ticked.discard)(identity)
        self.drawn = (*self.drawn[:-1], set(self.ticked))
        self._draw_bar()

    async def _untick(self) -> None:
        self.ticked.clear()
        with self.list:
            await self.draw()

    # what is done ----------------------------------------------------------------------------------------------------

    def _actions(self) -> list[Action]:
        return [
            Action("open", _("Open record"), self.open, "enter"),
            Action("history", _("History"), self.history, "h"),
            Action("keep", _("Keep"), self._with_current(self.keep), "k", divided=True),
            Action("take", _("Take the other"), self._with_current(self.take), "t"),
            Action("edit", _("Another value…"), self._with_current(self.edit), "e"),
            Action("tick", _("Tick"), self.tick, "x", divided=True),
            Action("rule", _("Settle by a rule…"), self.by_rule, "r"),
        ]

    def open(self) -> None:
        """Go to the record."""
        if self.current and self.current.path:
            ui.navigate.to(self.current.path)

    async def history(self) -> None:
        """Show what was changed of the record."""
        if self.current and self.current.kind and self.current.path:
            await self._history(Card(self.current.kind, self.current.title, self.current.path, [self.current]))

    async def _history(self, card: Card) -> None:
        assert card.kind is not None
        await history_dialog(self.session, card.kind, str(card.told[0].item.conflict.get("record")))

    async def tick(self) -> None:
        """Tick the chosen one, or not."""
        one = self.current
        if one is None or not (self.may and one.item.is_open):
            return
        self.ticked ^= {one.item.id}
        await self.draw()

    async def keep(self, one: Told) -> None:
        """What is live stays; of a settled one what was live when it was found comes back."""
        if self.may and one.keep_label and (one.item.is_open or one.item.changed_since):
            await self._settle(one, "kept")

    async def take(self, one: Told) -> None:
        """The other value; where that is neither of the two any more, only after a question."""
        if not (self.may and one.take_label):
            return
        if one.item.is_ours:
            detail = _("A new posted document with the opposite amount is made. It cannot be undone; what was wrong is entered again.")
            if not await confirm(_("{deed}?").format(deed=one.take_label), detail=detail, yes=one.take_label, danger=True):
                return
        elif one.item.is_open and one.item.changed_since and one.has_values:
            now, other = one.now or _("(empty)"), one.lost.text or _("(empty)")
            question = _("Use {value} although it was changed again?").format(value=other)
            detail = _("{title}: since these two, somebody has entered {now}. That is what is live, and it would be replaced.")
            if not await confirm(question, detail=detail.format(title=one.title, now=now), yes=one.take_label):
                return
        await self._settle(one, "value=false" if one.item.kind == ConflictKind.PARENT_DELETED else "lost")

    async def both(self, one: Told) -> None:
        """Two long texts, one below the other."""
        if self.may and one.both:
            await self._settle(one, f"value={one.both}")

    async def edit(self, one: Told) -> None:
        """A third value."""
        if not (self.may and one.item.can_edit) or (not one.item.is_open and one.item.kind == ConflictKind.DUPLICATE):
            return
        _kind, field = concerned_field(one.item.conflict)
        assert field is not None
        value = field.load(stored_value(field, one.item.now))
        record = str(one.item.conflict["record"])
        size = "lc-dialog" if field.kind == "longtext" else "lc-dialog lc-narrow"
        with page_dialog() as dialog, ui.card().classes(size).mark("value-dialog"):
            ui.label(one.title).classes("lc-dialog-title")
            which: Any = None
            if one.item.kind == ConflictKind.DUPLICATE:
                records = {record: one.title, str(one.item.conflict["other"]): one.other[0]}
                which = ui.select(records, value=record, label=_("Which of the two gets another value")).props(_SELECT).mark("which")
            box = FieldInput(self.session, field)
            box.set_value(value, one.now)
            box.autofocus()
            for side, text in one.others:
                _other_value(box, side, field.load(stored_value(field, text)))

            async def save() -> None:
                def shown(error: AppError) -> bool:
                    box.set_error(error.message)
                    return True

                if await self._settle(one, f"value={_typed(box.value)}", record=which.value if which else None, on_error=shown):
                    dialog.submit(True)

            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                button = ui.button(_("Save"), on_click=save).props("unelevated no-caps data-commit data-act=save-value")
                button.classes("lc-pri").mark("save-value")
        await answer_of(dialog)

    async def _settle(self, one: Told, keep: str, *, record: str | None = None, on_error: Callable[[AppError], bool] | None = None) -> bool:
        """Settle one, or decide a settled one otherwise, and offer the way back."""
        item = one.item
        verb = "admin.resolve_conflict" if item.is_open else "admin.decide_again"
        params: dict[str, Any] = {"id": item.id, "keep": keep}
        writes = (keep != "kept" or not item.is_open) and item.is_there
        if writes:
            params["present"] = item.now or ""
        if record:
            params["record"] = record

        def refused(error: AppError) -> bool:
            if error.code == "already_settled" and item.id in self.settled:  # clicked twice
                return True
            return on_error is not None and on_error(error)

        if not await self._do(verb, params, on_error=refused):
            return False
        self.settled.add(item.id)
        await self._say(one, is_written=bool(writes and item.conflict.get("field")))
        return True

    async def _do(
        self, verb: str, params: Mapping[str, Any], *, done: str = "", on_error: Callable[[AppError], bool] | None = None
    ) -> bool:
        """Do it to one conflict, unless one was dealt with a moment ago; whether it was done."""
        if time.monotonic() < self.calm_at:
            return False
        self.calm_at, pause = math.inf, 0.0
        try:
            outcome = await run_verb(self.session, verb, params, done=done, on_error=on_error)
            if outcome.ok:
                await self.draw()
                pause = PAUSE_SECONDS
        finally:
            self.calm_at = time.monotonic() + pause
        return outcome.ok

    async def _say(self, one: Told, *, is_written: bool) -> None:
        """How it was settled, and the way back: who had settled none lets it wait again, who decided otherwise gets the value before."""
        item, now = one.item, await self._as_it_is(one.item.id)
        if now is None:  # whoever may not see it any more
            toast(_("Settled: {title}").format(title=one.title))
            return
        verb, params = "admin.reopen_conflict", {"id": item.id}
        if is_written:
            params |= {"put_back": item.now or "", "present": now.item.now or ""}
        if not item.is_open:
            verb, params = "admin.decide_again", {"id": item.id, "keep": f"value={item.now or ''}", "present": now.item.now or ""}
        told = (
            _("Waits again: {what}").format(what=one.what) if item.is_open else _("Put back: {value}").format(value=one.now or _("(empty)"))
        )

        async def take_back() -> None:
            self.settled.discard(item.id)
            await run_verb(self.session, verb, params, done=told)

        # A reversal stays, what is in use is not deleted again, and of what went into another record nobody knows what that said before.
        for_good = is_written and (item.kind in {ConflictKind.DUPLICATE, ConflictKind.PARENT_DELETED} or bool(item.into))
        toast(
            _("{label}: {value}").format(label=one.what, value=now.decision),
            undo=None if for_good or not (item.is_open or is_written) else (_("Undo"), take_back),
        )

    async def _as_it_is(self, identity: str) -> Told | None:
        """A conflict as the program would tell it now."""

        def read() -> Told | None:
            with self.session.store.read() as connection:
                _total, items = find_items(connection, self.session.actor, [Condition("id", "=", identity)])
                return next(iter(Teller(connection, self.session.actor, items)), None)

        outcome = await run_service(self.session, read)
        return outcome.value if outcome.ok else None

    async def reopen(self, one: Told) -> None:
        """Let a settled one wait again; its record stays as it is."""
        if not (self.may and one.item.can_reopen):
            return
        if await self._do("admin.reopen_conflict", {"id": one.item.id}, done=_("Waits again: {what}").format(what=one.what)):
            self.settled.discard(one.item.id)

    # many at once ----------------------------------------------------------------------------------------------------

    async def _settle_ticked(self, keep: str) -> None:
        steps = [step(one.item, keep) for one in self.shown if one.item.id in self.ticked]
        title = _("Leave as they are") if keep == "kept" else _("Use the other values")
        with self.list:
            if await ask(self.session, self.shown, title, steps):
                await self._settle_many(steps)

    async def by_rule(self) -> None:
        """Which ones, whose value, and what that would change."""
        if not self.may or self.tab != "open" or not self.shown:
            return
        await self._settle_many(await ask_rule(self.session, self.shown, current=self.current, branch=self.filters["branch"]))

    async def _settle_many(self, steps: list[Step]) -> None:
        await settle_many(self.session, steps)
        self.ticked.clear()
        await self.draw()


# pieces ------------------------------------------------------------------------------------------------------------------


def _button(text: str, key: str, act: str, run: Callable[[], Any], *, first: bool = False) -> None:
    with ui.button(on_click=run).props(f"unelevated no-caps data-act={act}").classes("lc-btn lc-choice").mark(act) as button:
        ui.label(text)
        if key:
            ui.label(own_key(key)).classes("lc-kbd lc-wide-only")
    if first:
        button.classes("lc-first")


def _kept_label(one: Told) -> str:
    if one.item.conflict.get("field") == "deleted":
        return _("Delete it") if one.item.conflict.get("kept") == "true" else _("Restore it")
    return _("Use {value} instead").format(value=one.kept.text or _("(empty)"))


def _value_box(side: Side, tag: str, *, mark: str, live: bool = False, path: str = "") -> None:
    with ui.element("div").classes("lc-value lc-kept" if live else "lc-value").mark(mark):
        with ui.element("div").classes("lc-value-head"):
            if path:
                with ui.element("a").props(f"href={quoted(path)}").classes("lc-what"):
                    ui.label(side.text or "—")
            else:
                ui.label(side.text or "—").classes("lc-what")
            if tag:
                ui.label(tag).classes("lc-tag" if live else "lc-tag lc-muted")
        where = ui.label(" · ".join(filter(None, [side.who, side.at]))).classes("lc-muted")
        if side.exact:
            where.tooltip(side.exact)


def _other_value(box: FieldInput, side: Side, value: Any) -> None:
    """A value that is not in use, to be put into the box: below what stands there where that is a long text, else in its place."""
    is_long = box.field.kind == "longtext"

    def put() -> None:
        typed = str(box.value or "").rstrip()
        box.set_value(f"{typed}\n{value}" if is_long and typed else value, side.text)

    with ui.element("div").classes("lc-row").style("align-items:flex-start").mark("other-value"):
        with ui.element("div").classes("grow").style("min-width:0"):
            ui.label(" · ".join(filter(None, [side.who, side.at]))).classes("lc-muted lc-small-text")
            ui.label(side.text or "—").classes("lc-wrap").style("white-space:pre-line")
        ui.button(_("Add it") if is_long else _("Put it in"), on_click=put).props("flat dense no-caps data-act=put-other").mark("put-other")


def _typed(value: Any) -> str:
    """What was typed, as the verb takes it."""
    return json.dumps(value) if isinstance(value, bool) else str(value if value is not None else "")


def waiting(session: Session) -> int:
    """How many open conflicts the user may see, for the navigation."""
    with session.store.read() as connection:
        return count_open(connection, session.actor)


register(
    Screen(
        "conflicts",
        "/conflicts",
        N_("Conflicts"),
        "call_split",
        "conflict.read",
        conflicts,
        "merging",
        badge=Badge(waiting, frozenset({CONFLICT.key}), N_("{count} conflicts wait for a decision")),
    )
)
