"""The customer workbench: groupings at left, the list at upper right, tabs of the chosen customer at lower right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain.crm.entities import Activity, Contact, Customer
from localcrm.kernel.i18n import N_, current_language, gettext as _
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import EntityType
from localcrm.ui.customer.actions import ACTIONS, menu_of
from localcrm.ui.customer.activities import ACTIVITIES
from localcrm.ui.customer.calls import CALLS
from localcrm.ui.customer.conflicts import CONFLICTS
from localcrm.ui.customer.contacts import CONTACTS
from localcrm.ui.customer.custody import ACTIONS as CUSTODY, OWNERS
from localcrm.ui.customer.expenses import EXPENSES
from localcrm.ui.customer.files import FILES
from localcrm.ui.customer.history import HISTORY
from localcrm.ui.customer.left import SHOWN_IN_GROUPS, Left, preset_of
from localcrm.ui.customer.mass import mass_button
from localcrm.ui.customer.merge import living
from localcrm.ui.customer.opening import OPENING
from localcrm.ui.customer.opportunities import OPPORTUNITIES
from localcrm.ui.customer.orders import ORDERS
from localcrm.ui.customer.overview import OVERVIEW
from localcrm.ui.customer.products import PRODUCTS
from localcrm.ui.customer.sales_papers import CONTRACTS, DELIVERIES, QUOTES
from localcrm.ui.customer.sharing import SHARING
from localcrm.ui.customer.tabs import Found, Tab, look
from localcrm.ui.customer.tickets import ACTIONS as SERVICE, TICKETS
from localcrm.ui.customer.timeline import TIMELINE
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import action_button
from localcrm.ui.operations import quick_or_later, run_service
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER, CONTACT, ACTIVITY = Customer.entity_type, Contact.entity_type, Activity.entity_type


#: The tabs in their order; the first is there only while it has something to say.
TABS = (
    *(
        CONFLICTS,
        OVERVIEW,
        CONTACTS,
        ACTIVITIES,
        CALLS,
        OPPORTUNITIES,
        QUOTES,
        CONTRACTS,
        ORDERS,
        DELIVERIES,
        PRODUCTS,
        TICKETS,
        EXPENSES,
        FILES,
    ),
    *(OWNERS, SHARING, TIMELINE, HISTORY),
)


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
    shown: Found | None = None
    """What fills the open panel; the others are read when somebody opens them."""


class Workbench:
    """The state of one open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.wish = living(session, parameters.get("open"))
        self.query = preset_of(session, parameters.get("query", ""), mine=bool(parameters.get("mine")))
        self.customer: str | None = None
        self.told = parameters.get("tab", "")
        self.tab = self.told or session.setting("customers:tab", "overview")
        self.may_change = session.may("customer.update")
        self.turn = 0
        self.tabs: _Tabs | None = None
        self.offered = [tab for tab in TABS if session.may(tab.permission)]

    async def build(self) -> None:
        """Skeleton first; lists and tabs fill themselves."""
        session = self.session
        title = CUSTOMER.shape.names.get(current_language()) or _("Customers")
        with page_frame(session, title=title, active="customers"):
            actions = menu_of(self, (*ACTIONS, *OPENING, *SERVICE, *CUSTODY))
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
                            tree=self.query.tree if self.query else None,
                        )
                    second = ui.element("div").classes("lc-split-h").props('role="separator"')
                    with ui.element("div").classes("lc-lower lc-card"):
                        self.lower = ui.element("div").classes("lc-col lc-fill").style("gap:0;overflow:hidden").mark("detail")
            self.left = Left(session, self.grid, self.groups, self.chips, self.query)
            with tools:
                self.grid.search_box(_("Name, phone, number, pinyin"))
                self.grid.total()
            with right:
                action_button(actions)
                self.grid.tools()
                mass_button(session, self.grid)
        self._splitters((first, self.groups, "x"), (second, upper, "y"))
        self._nobody()
        await quick_or_later(self.left.draw())
        session.subscribe(SHOWN_IN_GROUPS, lambda _changes: self.left.draw())
        session.subscribe({"customer"}.union(*(tab.shows for tab in self.offered)), self._changed)
        if self.wish:
            await self.choose(self.wish)
            if self.told:  # who follows a link to something of a customer sees that, on a phone too
                ui.run_javascript("document.body.classList.add('lc-detail-open')")

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
        """Load the counts of all tabs and what the open one shows, then draw; a newer choice wins."""
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

    def _load(self, identity: str) -> Found:
        session = self.session
        with session.store.read() as connection:
            title = str(load_typed(session, CUSTOMER, identity)["name"])
            return look(session, connection, self.offered, identity, title, self.tab)

    def _draw(self, found: Found) -> None:
        """What stands there already is left alone: a click on what is drawn anew just then would be lost, and so would what is being typed."""
        if self.tabs is not None and self.tabs.shown == found:
            return
        names = [tab.id for tab in found.tabs]
        if self.tabs is None or list(self.tabs.panels) != names:
            self.tabs = self._draw_tabs(found.tabs, found.open.id)
        before, self.tabs.shown = self.tabs.shown, found
        self.tabs.bar.set_value(found.open.id)
        self.tabs.title.set_text(found.title)
        if before is None or before.customer != found.customer:
            ui.run_javascript(f"getHtmlElement({self.tabs.box.id})?.scrollTo(0, 0)")
        for tab in found.tabs:
            count = found.counts.get(tab.id)
            self.tabs.counts[tab.id].set_text(f"{count:,}" if count else "")
            self.tabs.counts[tab.id].set_visibility(bool(count))
            self.tabs.panels[tab.id].clear()
        with self.tabs.panels[found.open.id]:
            found.open.draw(self, found.content)

    def _draw_tabs(self, tabs: Sequence[Tab], chosen: str) -> _Tabs:
        """The bar and an empty panel for each tab."""
        counts: dict[str, ui.label] = {}
        self.lower.clear()
        with self.lower:
            with ui.element("div").classes("lc-row").style("flex:none;padding-right:10px;border-bottom:1px solid var(--line)"):
                back = (
                    ui.button(icon="arrow_back").props(f'flat dense round aria-label="{_("Back")}"').classes("lc-phone-only").mark("back")
                )
                back.on("click", js_handler="() => document.body.classList.remove('lc-detail-open')")
                with _tab_bar(chosen, self._keep_tab) as bar:
                    for tab in tabs:
                        with (
                            ui.tab(tab.id, label="").props(f"data-tab={tab.id}").mark(f"tab-{tab.id}"),
                            ui.element("div").classes("q-tab__label"),
                        ):
                            ui.label(tab.label).style("display:inline")
                            counts[tab.id] = ui.label().classes("lc-count").style("display:inline")
                title = ui.label().classes("lc-cut lc-muted lc-wide-only").style("max-width:260px").mark("detail-title")
            ui.label().bind_text_from(title).classes("lc-phone-only lc-sub lc-cut").style("flex:none;padding:9px 14px 0")
            with ui.tab_panels(bar, value=chosen).props("animated=false").classes("w-full lc-fill").style("overflow:auto") as box:
                panels = {tab.id: ui.tab_panel(tab.id) for tab in tabs}
        return _Tabs(bar, title, counts, box, panels)

    async def _keep_tab(self, event: events.ValueChangeEventArguments[Any]) -> None:
        if event.value != self.tab:  # the person chose it, not the program to show what was just added
            self.tab = self.session.preferences["customers:tab"] = str(event.value)
        if self.tabs is not None and self.tabs.shown is not None and self.tabs.shown.open.id != event.value:
            await self._draw_detail()

    def opening(self, kind: EntityType) -> Callable[[str], Awaitable[None]]:
        """Opens a record of a kind that stands in a tab."""

        async def open_record(identity: str) -> None:
            await edit_dialog(self.session, kind, identity=identity)

        return open_record

    def adding(self, kind: EntityType) -> Callable[[], Awaitable[None]]:
        """Adds a record of such a kind to the chosen customer."""

        async def add() -> None:
            await edit_dialog(self.session, kind, preset={"customer_id": self.customer})

        return add

    # what can be done (see ui/customer/actions.py) ----------------------------------------------------------------------------

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

    # what happens elsewhere ------------------------------------------------------------------------------------------------

    async def _changed(self, changes: Changes) -> None:
        """Somebody saved something: draw the tabs anew if they show this customer."""
        if self.customer and (changes.touches("customer", self.customer) or not set(changes.ids) <= {"customer"}):
            await self._draw_detail()

    async def look_again(self) -> None:
        """Draw the tabs anew after something was done of which this user hears nothing by himself."""
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


def _tab_bar(chosen: str, on_change: Callable[[events.ValueChangeEventArguments[Any]], Awaitable[None]]) -> ui.tabs:
    bar = ui.tabs(value=chosen, on_change=on_change)  # type: ignore[arg-type]
    return bar.props("no-caps dense inline-label outside-arrows mobile-arrows align=left").classes("grow").style("border:0")


register(Screen("customers", "/customers", N_("Customers"), "groups", "customer.read", customers, "customers", 10, lists="customer"))
