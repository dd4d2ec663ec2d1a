"""The customer workbench: groupings at left, the list at upper right, tabs of the chosen customer at lower right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain import policy
from localcrm.domain.crm.entities import Activity, Contact, Customer
from localcrm.domain.sales.entities import SalesOrder
from localcrm.domain.sales.glance import customer_glances
from localcrm.kernel.i18n import N_, current_language, gettext, gettext as _
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.query import TOTAL_CAP, Condition, ListQuery, Record, group_counts, ref_titles, select, titles
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.asof import as_of_dialog
from localcrm.ui.kit.columns import row_json
from localcrm.ui.kit.detail import facts, ref_names
from localcrm.ui.kit.form import Form, edit_dialog, load_typed
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.history import history_lines, history_table, take_back
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, action_button
from localcrm.ui.kit.sharing import share_dialog
from localcrm.ui.kit.undoing import undo_dialog
from localcrm.ui.kit.values import show_kind
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import copy_title, delete_with_undo, history_dialog, who_sees_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER, CONTACT, ACTIVITY = Customer.entity_type, Contact.entity_type, Activity.entity_type
ORDER = SalesOrder.entity_type
TAB_ROWS = 200


@dataclass(frozen=True, slots=True)
class Grouping:
    """One block at the left: a field, its heading, and how many values are shown."""

    field: str
    heading: str
    most: int = 12


GROUPINGS = (Grouping("level", N_("By level")), Grouping("owner_id", N_("By salesperson")), Grouping("branch_id", N_("By branch")))


def _own_groupings() -> list[Grouping]:
    """Lists of the company that are columns too."""
    return [Grouping(field.key, "") for field in CUSTOMER.columns if field.custom and field.kind == "choice"]


async def customers(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen."""
    bench = Workbench(session, parameters)
    await bench.build()


@dataclass(slots=True)
class _Tabs:
    """The tabs of the chosen customer as they stand on the page.

    They stay while what is in them is drawn anew: the browser hears of new ones a moment later, and a click on one that is gone is lost.
    """

    bar: ui.tabs
    title: ui.label
    counts: Mapping[str, ui.label]
    box: ui.element
    panels: Mapping[str, ui.tab_panel]
    customer: str = ""


class Workbench:
    """The state of one open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.wish = parameters.get("open")
        self.customer: str | None = None
        self.tab = session.setting("customers:tab", "overview")
        self.may_change = session.may("customer.update")
        self.turn = 0
        self.tabs: _Tabs | None = None

    async def build(self) -> None:
        """Skeleton first; lists and tabs fill themselves."""
        session = self.session
        title = CUSTOMER.shape.names.get(current_language()) or _("Customers")
        with page_frame(session, title=title, active="customers"):
            actions = self._actions()
            with page_head(title):
                tools = ui.element("div").classes("lc-row")
                self.chips = ui.element("div").classes("lc-quick").mark("filters")
                ui.space()
                right = ui.element("div").classes("lc-row")
                if session.may("customer.create"):
                    with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
                        ui.label(_("＋ New customer"))
                        ui.label(own_key("n")).classes("lc-kbd")
            with ui.element("div").classes("lc-workbench"):
                self.groups = ui.element("div").classes("lc-groups lc-card").mark("groups")
                first = ui.element("div").classes("lc-split-v").props('role="separator"')
                with ui.element("div").classes("lc-right-side"):
                    with ui.element("div").classes("lc-upper lc-col") as upper:
                        self.grid = RecordGrid(
                            session,
                            CUSTOMER,
                            actions=actions,
                            on_choose=self.choose,
                            on_open=self.open,
                            empty=self._empty,
                            pick_first=not self.wish,
                            wish=self.wish,
                        )
                    second = ui.element("div").classes("lc-split-h").props('role="separator"')
                    with ui.element("div").classes("lc-lower lc-card"):
                        self.lower = ui.element("div").classes("lc-col lc-fill").style("gap:0;overflow:hidden").mark("detail")
            with tools:
                self.grid.search_box(_("Name, phone, number, pinyin"))
                self.grid.total()
            with right:
                action_button(actions)
                self.grid.tools()
        self._splitters((first, self.groups, "x"), (second, upper, "y"))
        await self.draw_groups()
        self._nobody()
        session.subscribe({"customer"}, lambda _changes: self.draw_groups())
        session.subscribe({"customer", "contact", "activity", "sales_order", "receipt", "conflict"}, self._changed)
        if self.wish:
            await self.choose(self.wish)

    # groupings -----------------------------------------------------------------------------------------------------

    async def draw_groups(self) -> None:
        """Counts from the maintained tables."""

        def read() -> tuple[str, list[tuple[Grouping, list[tuple[Any, str, int]]]]]:
            view = policy.view(self.session.actor, CUSTOMER)
            with self.session.store.read() as connection:
                blocks = []
                for grouping in (*GROUPINGS, *_own_groupings()):
                    counts = group_counts(connection, view, grouping.field)
                    field = CUSTOMER.fields[grouping.field]
                    names = (
                        titles(connection, entity_type(field.f.ref), [value for value, _count in counts if value]) if field.f.ref else {}
                    )
                    words = {value: gettext(label) for value, label in field.options.items()} | names
                    rows = [(value, words.get(value, str(value)) if value else _("(none)"), count) for value, count in counts]
                    blocks.append((grouping, rows[: grouping.most]))
                page = select(connection, ListQuery(CUSTOMER, limit=0, restrict=view))
            return f"{TOTAL_CAP:,}+" if page.capped else f"{page.total:,}", blocks

        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return
        total, blocks = outcome.value
        self.groups.clear()
        with self.groups:
            self._group_row(_("All"), total, None, None)
            for grouping, rows in blocks:
                if len(rows) > 1 or grouping.field == "level":
                    ui.label(gettext(grouping.heading) or CUSTOMER.fields[grouping.field].label).classes("lc-group-head")
                    for value, word, count in rows:
                        self._group_row(word, f"{count:,}", grouping.field, value)

    def _group_row(self, word: str, count: str, field: str | None, value: Any) -> None:
        condition = (field, "=", value) if field else None
        on = condition in self.grid.where if field else not self.grid.where
        row = (
            ui.element("button")
            .classes("lc-group lc-on" if on else "lc-group")
            .props('type="button"')
            .mark(f"group-{field or 'all'}-{value or ''}")
        )
        with row:
            ui.label(word)
            ui.label(count)
        row.on("click", lambda: self._filter(field, value, word))

    async def _filter(self, field: str | None, value: Any, word: str) -> None:
        if field is None:
            self.grid.where = []
            self.chips.clear()
            self.grid.requery()
        else:
            self.grid.narrow(field, None if (field, "=", value) in self.grid.where else (field, "=", value))
            self._draw_chips({**getattr(self, "_words", {}), (field, value): word})
        await self.draw_groups()

    def _draw_chips(self, words: dict[tuple[str, Any], str]) -> None:
        self._words = words
        self.chips.clear()
        with self.chips:
            for field, _operator, value in self.grid.where:
                text = _("{field} = {value}").format(field=CUSTOMER.fields[field].label, value=words.get((field, value), ""))
                chip = ui.element("button").classes("lc-chip lc-acc").props('type="button"').mark(f"chip-{field}")
                with chip:
                    ui.label(f"{text} ✕")
                chip.on("click", lambda field=field, value=value: self._filter(field, value, ""))

    # the chosen customer -----------------------------------------------------------------------------------------------

    async def choose(self, identity: str | None) -> None:
        """Show the tabs of a customer; None when the list is empty."""
        self.customer = identity
        self.grid.chosen = identity
        await self._draw_detail()

    async def open(self, identity: str) -> None:
        """Edit the customer."""
        await self.choose(identity)
        await self.edit()

    def _nobody(self) -> None:
        self.tabs = None
        self.lower.clear()
        with self.lower:
            ui.label(_("Choose a customer above to see everything about it here.")).classes("lc-empty lc-muted")

    async def _draw_detail(self) -> None:
        """Load what all tabs need at once, then draw; a newer choice wins."""
        self.turn += 1
        turn, identity = self.turn, self.customer
        if identity is None:
            self._nobody()
            return
        outcome = await run_service(self.session, lambda: self._load(identity), on_error=lambda _error: True)
        if turn != self.turn:
            return
        if not outcome.ok:
            self._nobody()
            return
        self._draw(outcome.value)

    def _load(self, identity: str) -> dict[str, Any]:
        session = self.session
        customer = load_typed(session, CUSTOMER, identity)
        found: dict[str, Any] = {"customer": customer, "names": ref_names(session, CUSTOMER, customer)}
        with session.store.read() as connection:
            found["glance"] = customer_glances(connection, session.actor, [identity])[identity]
            for entity in (CONTACT, ACTIVITY, ORDER):
                view = policy.seen(session.actor, entity)
                if view is None:
                    continue
                page = select(
                    connection, ListQuery(entity, where=(Condition("customer_id", "=", identity),), limit=TAB_ROWS, restrict=view)
                )
                found[entity.key] = row_json(connection, session.actor, entity, page.rows, ref_titles(connection, entity, page.rows))
                found[f"{entity.key}_total"] = page.total
            conflict = entity_type("conflict")
            where = (Condition("record", "=", identity), Condition("state", "=", "open"))
            view = policy.seen(session.actor, conflict)
            found["conflicts"] = select(connection, ListQuery(conflict, where=where, limit=50, restrict=view)).rows if view else []
        return found

    def _draw(self, found: dict[str, Any]) -> None:
        customer: Record = found["customer"]
        tabs = [
            ("overview", _("Overview"), None, self._overview),
            ("contact", _("Contacts"), found.get("contact_total"), self._contacts),
            ("activity", _("Activity records"), found.get("activity_total"), self._activities),
            ("orders", _("Orders"), found.get("sales_order_total"), self._orders),
            ("history", _("History"), None, self._history),
        ]
        unseen = {"contact": "contact", "activity": "activity", "orders": "sales_order"}
        tabs = [tab for tab in tabs if unseen.get(tab[0], "customer") in found]
        if found["conflicts"]:
            tabs.append(("conflicts", _("Conflicts"), len(found["conflicts"]), self._conflicts))
        names = [tab[0] for tab in tabs]
        chosen = self.tab if self.tab in names else names[0]
        if self.tabs is None or list(self.tabs.panels) != names:
            self.tabs = self._draw_tabs([(key, label) for key, label, _count, _draw in tabs], chosen)
        elif self.tabs.bar.value != chosen:
            self.tabs.bar.set_value(chosen)
        self.tabs.title.set_text(str(customer["name"]))
        if self.tabs.customer != customer["id"]:
            ui.run_javascript(f"getHtmlElement({self.tabs.box.id}).scrollTop = 0")
            self.tabs.customer = customer["id"]
        for key, _label, count, draw in tabs:
            self.tabs.counts[key].set_text(f"{count:,}" if count else "")
            self.tabs.counts[key].set_visibility(bool(count))
            panel = self.tabs.panels[key]
            panel.clear()
            with panel:
                draw(found)

    def _draw_tabs(self, names: Sequence[tuple[str, str]], chosen: str) -> _Tabs:
        """The bar and an empty panel for each tab (key, label)."""
        counts: dict[str, ui.label] = {}
        self.lower.clear()
        with self.lower:
            with ui.element("div").classes("lc-row").style("flex:none;padding-right:10px;border-bottom:1px solid var(--line)"):
                back = (
                    ui.button(icon="arrow_back").props(f'flat dense round aria-label="{_("Back")}"').classes("lc-phone-only").mark("back")
                )
                back.on("click", js_handler="() => document.body.classList.remove('lc-detail-open')")
                with _tab_bar(chosen, self._keep_tab) as bar:
                    for key, label in names:
                        with ui.tab(key, label="").mark(f"tab-{key}"), ui.element("div").classes("q-tab__label"):
                            ui.label(label).style("display:inline")
                            counts[key] = ui.label().classes("lc-count").style("display:inline")
                title = ui.label().classes("lc-cut lc-muted lc-wide-only").style("max-width:260px").mark("detail-title")
            with ui.tab_panels(bar, value=chosen).props("animated=false").classes("w-full lc-fill").style("overflow:auto") as box:
                panels = {key: ui.tab_panel(key) for key, _label in names}
        return _Tabs(bar, title, counts, box, panels)

    def _keep_tab(self, event: events.ValueChangeEventArguments[Any]) -> None:
        if event.value != self.tab:  # the person chose it, not the program to show what was just added
            self.tab = self.session.preferences["customers:tab"] = str(event.value)

    def _overview(self, found: dict[str, Any]) -> None:
        glance = found["glance"]
        extra = [(_("Next contact"), show_kind("datetime", glance.next_contact) or "")]
        if glance.unpaid is not None:
            extra.insert(0, (_("Unpaid"), show_kind("money", glance.unpaid) or ""))
        with ui.element("div").classes("lc-row").style("flex:none;padding:10px 14px 0"):
            ui.label(str(found["customer"]["name"])).classes("lc-sub grow lc-cut")
            if self.may_change:
                with ui.button(on_click=self.edit).props("unelevated no-caps").classes("lc-btn").mark("edit"):
                    ui.label(_("Edit"))
                    ui.label(own_key("e")).classes("lc-kbd q-ml-sm")
        facts(CUSTOMER, found["customer"], found["names"], [f for f in CUSTOMER.readable if f.key != "name"], extra)

    def _contacts(self, found: dict[str, Any]) -> None:
        keys = ("name", "title", "phone", "email", "wechat", "is_main")
        self._table(CONTACT, keys, found["contact"], self.new_contact, _("＋ New contact"), _("No contact person yet."))

    def _activities(self, found: dict[str, Any]) -> None:
        if self.session.may("activity.create"):
            self._quick_activity(found["customer"]["id"])
        keys = ("at", "type", "content", "contact_id", "next_at", "user_id")
        self._table(ACTIVITY, keys, found["activity"], self.new_activity, _("＋ New activity"), _("Nothing was recorded yet."))

    def _quick_activity(self, identity: str) -> None:
        """One line for what just happened; Enter goes on, Ctrl Enter saves."""
        fields = [ACTIVITY.fields[key] for key in ("type", "content", "contact_id", "next_at")]
        with ui.element("div").style("padding:10px 14px;border-bottom:1px solid var(--line)").mark("quick-activity"):
            form = Form(self.session, ACTIVITY, fields=fields, preset={"customer_id": identity}, compact=True)
            form.box.classes(add="lc-quick-form")
            with form.box, ui.element("div").classes("lc-field"):
                ui.label(" ").classes("lc-label")

                async def save() -> None:
                    form.clear_errors()
                    values = {key: value for key, value in form.values().items() if value is not None}
                    done = _("Activity recorded")
                    await run_verb(
                        self.session, "records.create_record", {"entity": "activity", "values": values}, done=done, on_error=form.show_error
                    )

                ui.button(_("Record"), on_click=save).props("unelevated no-caps data-commit").classes("lc-btn").mark("quick-save")

    def _orders(self, found: dict[str, Any]) -> None:
        keys = ("number", "state", "date", "gross", "delivered", "paid", "open", "owner_id")
        self._table(ORDER, keys, found["sales_order"], self.new_order, _("＋ New order"), _("No orders yet."))

    def _history(self, found: dict[str, Any]) -> None:
        identity = found["customer"]["id"]
        place = ui.element("div").classes("w-full")

        async def fill() -> None:
            outcome = await run_service(self.session, lambda: history_lines(self.session, CUSTOMER, identity))
            if outcome.ok and not place.is_deleted:
                with place:
                    ui.button(_("As of…"), on_click=partial(as_of_dialog, self.session, CUSTOMER, identity)).props(
                        "flat dense no-caps icon=history data-act=as-of"
                    )
                    history_table(
                        outcome.value, restore=partial(take_back, self.session, CUSTOMER, identity), undo=partial(undo_dialog, self.session)
                    )

        ui.timer(0.05, fill, once=True)

    def _conflicts(self, found: dict[str, Any]) -> None:
        with ui.element("table").classes("lc-table"):
            with ui.element("tr"):
                for head in (_("Field"), _("Value kept"), _("Value overwritten"), _("Kept value from"), _("Overwritten value from")):
                    with ui.element("th"):
                        ui.label(head)
            for row in found["conflicts"]:
                field = CUSTOMER.fields.get(row["field"] or "")
                with ui.element("tr"):
                    for text in (field.label if field else row["field"], row["kept"], row["lost"], row["kept_node"], row["lost_node"]):
                        with ui.element("td"):
                            ui.label(str(text or "—"))
        with ui.element("a").props(f'href="/conflicts?record={found["customer"]["id"]}"').mark("to-conflicts"):
            ui.label(_("Settle under Conflicts"))

    def _table(
        self,
        entity: EntityType,
        keys: Sequence[str],
        rows: list[dict[str, Any]],
        new: Callable[[], Awaitable[None]],
        label: str,
        empty: str,
    ) -> None:
        """A short list inside a tab; a double click opens the row."""
        from localcrm.ui.kit.columns import columns

        known = {column.key: column for column in columns(policy.view(self.session.actor, entity))}
        if not rows:
            with ui.element("div").classes("lc-empty"):
                ui.label(empty)
                if self.session.may(f"{entity.key}.create"):
                    ui.button(label, on_click=new).props("unelevated no-caps").classes("lc-btn").mark(f"new-{entity.key}")
            return
        with ui.element("table").classes("lc-table").mark(f"table-{entity.key}"):
            with ui.element("tr"):
                for key in keys:
                    with ui.element("th").classes("lc-num" if known[key].number else ""):
                        ui.label(known[key].label)
                with ui.element("th").classes("lc-num"):
                    if self.session.may(f"{entity.key}.create"):
                        ui.button(label, on_click=new).props("flat dense no-caps size=sm").mark(f"new-{entity.key}")
            for row in rows:
                line = ui.element("tr").on("dblclick", lambda identity=row["id"]: self._open_row(entity, identity)).style("cursor:default")
                with line:
                    for key in keys:
                        with (
                            ui.element("td").classes("lc-num" if known[key].number else "").props(f"colspan={2 if key == keys[-1] else 1}")
                        ):
                            text = row.get(key)
                            cell = ui.label(text if text not in {None, ""} else "—").classes("" if text else "lc-muted")
                            if text and key in row["_tone"]:
                                cell.classes("lc-chip").props(f"data-tone={row['_tone'][key]}").style("width:fit-content")
                            if key in row["_tip"]:
                                cell.tooltip(row["_tip"][key])

    async def _open_row(self, entity: EntityType, identity: str) -> None:
        if entity is ORDER:
            ui.navigate.to(f"/orders/{identity}")
        else:
            await edit_dialog(self.session, entity, identity=identity)

    # actions -------------------------------------------------------------------------------------------------------------

    def _actions(self) -> list[Action]:
        session = self.session
        wanted: list[tuple[bool, Action]] = [
            (True, Action("open", _("Open record"), self._chosen(self.edit), "enter")),
            (self.may_change, Action("edit", _("Edit"), self._chosen(self.edit), "e", listed=False)),
            (session.may("activity.create"), Action("activity", _("New activity"), self._chosen(self.new_activity), "a")),
            (session.may("contact.create"), Action("contact", _("New contact"), self._chosen(self.new_contact))),
            (session.may("sales_order.create"), Action("order", _("New sales order"), self._chosen(self.new_order))),
            (True, Action("history", _("History"), self._chosen(self.show_history), "h", divided=True)),
            (True, Action("copy", _("Copy name"), self._chosen(self.copy), "c")),
            (session.may("customer.share"), Action("share", _("Share…"), self._chosen(self.share))),
            (session.actor.is_admin, Action("who-sees", _("Who sees this?"), self._chosen(self.who_sees))),
            (session.may("customer.delete"), Action("delete", _("Delete"), self._chosen(self.delete), "delete", danger=True)),
        ]
        return [action for shown, action in wanted if shown]

    def _chosen(self, handler: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if self.customer:
                await handler()

        return run

    async def share(self) -> None:
        """Let somebody else see the customer."""
        await share_dialog(self.session, CUSTOMER, str(self.customer))

    async def who_sees(self) -> None:
        """Who may see the customer, and why not."""
        await who_sees_dialog(self.session, CUSTOMER, str(self.customer))

    def _empty(self) -> None:
        ui.label(_("No customers match."))
        if self.session.may("customer.create"):
            ui.button(_("＋ New customer"), on_click=self.new).props("unelevated no-caps").classes("lc-btn")

    async def new(self) -> None:
        """Enter a customer."""
        saved = await edit_dialog(self.session, CUSTOMER)
        if saved:
            self.grid.refresh(saved["id"])

    async def edit(self) -> None:
        """Change the chosen customer."""
        if self.customer and self.may_change:
            await edit_dialog(self.session, CUSTOMER, identity=self.customer)

    async def new_activity(self) -> None:
        """Record what happened with the chosen customer."""
        self.tab = "activity"
        await edit_dialog(self.session, ACTIVITY, preset={"customer_id": self.customer})

    async def new_contact(self) -> None:
        """Add a person to the chosen customer."""
        self.tab = "contact"
        await edit_dialog(self.session, CONTACT, preset={"customer_id": self.customer})

    async def new_order(self) -> None:
        """Start an order of the chosen customer."""
        ui.navigate.to(f"/orders/new?customer={self.customer}")

    async def show_history(self) -> None:
        """Every change of the chosen customer."""
        if self.customer:
            await history_dialog(self.session, CUSTOMER, self.customer)

    async def copy(self) -> None:
        """Its name to the clipboard."""
        if self.customer:
            await copy_title(self.session, CUSTOMER, self.customer)

    async def delete(self) -> None:
        """Put it into the recycle bin."""
        if self.customer and await delete_with_undo(self.session, CUSTOMER, self.customer):
            self.customer = None

    # what happens elsewhere ------------------------------------------------------------------------------------------------

    async def _changed(self, changes: Changes) -> None:
        """Somebody saved something: draw the tabs anew if they show this customer."""
        if self.customer and (changes.touches("customer", self.customer) or not set(changes.ids) <= {"customer"}):
            await self._draw_detail()

    def _splitters(self, *bars: tuple[ui.element, ui.element, str]) -> None:
        for bar, pane, axis in bars:
            key = f"split:customers:{axis}"
            size = self.session.setting(key) or "0"
            arguments = ", ".join([f"getHtmlElement({bar.id})", f"getHtmlElement({pane.id})", json.dumps(axis), json.dumps(key), size])
            ui.timer(0.05, lambda code=f"localcrm.splitter({arguments})": ui.run_javascript(code), once=True)

        async def remember(event: events.GenericEventArguments) -> None:
            key, size = str(event.args["key"]), int(event.args["size"])
            if key.startswith("split:"):
                await asyncio.to_thread(self.session.save_setting, key, str(size))

        ui.on("splitter", remember)


def _tab_bar(chosen: str, on_change: Callable[[events.ValueChangeEventArguments[Any]], None]) -> ui.tabs:
    bar = ui.tabs(value=chosen, on_change=on_change)  # type: ignore[arg-type]
    return bar.props("no-caps dense inline-label outside-arrows mobile-arrows align=left").classes("grow").style("border:0")


register(Screen("customers", "/customers", N_("Customers"), "groups", "customer.read", customers, "customers", 10, lists="customer"))
