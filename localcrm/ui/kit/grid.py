"""A list of any length: rows come by HTTP in blocks, only what is seen; cards instead of rows on a phone.

The same tools for every list: search, filters as removable chips, columns of one's own choice, export of what is shown,
and every action by right-click, menu and key.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import context, events, ui

from localcrm.domain import policy
from localcrm.domain.options.services import PERMISSION, named_roles
from localcrm.domain.options.table import FREE
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import EntityType, Kind
from localcrm.store.query import TOTAL_CAP
from localcrm.store.search import is_behind
from localcrm.ui.endpoints import BLOCK
from localcrm.ui.kit.columns import Column, columns
from localcrm.ui.kit.dialogs import answer_of, page_dialog, ticked_in
from localcrm.ui.kit.look import not_yet_found, records_in_words, text_width
from localcrm.ui.kit.menu import Action, action_keys, context_menu
from localcrm.ui.kit.theme import row_height, script_value
from localcrm.ui.operations import apart, run_verb, show_failure, toast

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

WIDTHS = {
    "money": 108,
    "quantity": 110,
    "price": 110,
    "rate": 90,
    "integer": 90,
    "date": 110,
    "datetime": 125,
    "boolean": 90,
    "ref": 90,
    "chip": 100,
    "clock": 140,
    "short": 80,
    "phone": 128,
    "number": 135,
    "dated number": 195,
    "named": 170,
}
#: Kinds of records whose names are long.
NAMED = frozenset({"customer", "supplier", "partner", "product", "opportunity", "branch"})
#: What a heading and a chip need beside their text, in pixels.
HEAD_ROOM, CHIP_ROOM = 42, 44
#: Columns that show on a phone card, in the places (chip, number, second line, day).
CARDS: Mapping[str, tuple[str, str, str, str]] = {
    "ticket": ("left", "number", "customer_id", "state"),
    "customer": ("level", "unpaid", "contact", "next_contact"),
    "opportunity": ("state", "amount", "customer_id", "expected_on"),
    "sales_order": ("state", "gross", "customer_id", "date"),
    "product": ("unit", "on_hand", "code", "spec"),
    "contact": ("is_main", "phone", "customer_id", "title"),
    "activity": ("type", "at", "customer_id", "next_at"),
    "receipt": ("method", "amount", "customer_id", "date"),
    "stock_move": ("type", "quantity", "product_id", "date"),
    "user": ("role", "phone", "department_id", "login"),
    "call": ("state", "seconds", "party", "rang_at"),
    "partner": ("level", "phone", "contact", "ends_on"),
    "partner_registration": ("standing", "phone", "partner_id", "protected_until"),
    "quote": ("status", "amount", "customer_id", "valid_until"),
    "contract": ("status", "amount", "customer_id", "ends_on"),
    "delivery": ("status", "tracking_no", "customer_id", "date"),
    "expense": ("type", "amount", "customer_id", "date"),
    "installed_product": ("", "warranty_until", "customer_id", "product_id"),
    "supplier": ("rating", "owed", "contact", "phone"),
    "supplier_entry": ("kind", "amount", "supplier_id", "date"),
    "partner_target": ("", "amount", "partner_id", "period"),
    "partner_deposit": ("kind", "amount", "partner_id", "date"),
    "partner_stock": ("", "quantity", "partner_id", "product_id"),
    "partner_sale": ("", "amount", "partner_id", "product_id"),
    "level_price": ("", "price", "product_id", "remark"),
    "warehouse": ("", "code", "address", "branch_id"),
    "account": ("type", "number", "bank", "branch_id"),
    "branch": ("", "code", "", ""),
    "opportunity_line": ("", "quantity", "product_id", "opportunity_id"),
    "project_task": ("milestone", "due_on", "opportunity_id", "user_id"),
    "service_plan": ("", "next_on", "opportunity_id", "user_id"),
    "canned_answer": ("type", "", "text", ""),
    "rebate_tier": ("level", "percent", "from_amount", "starts_on"),
    "rebate_settlement": ("way", "amount", "partner_id", "date"),
}


#: Kinds of records that can be taken along as address cards.
HAVE_CARDS = frozenset({"contact", "customer"})


class RecordGrid:
    """The list of one entity. ``chosen`` is the id of the row under the cursor."""

    def __init__(
        self,
        session: Session,
        entity: EntityType,
        *,
        name: str = "",
        actions: Sequence[Action] = (),
        on_choose: Callable[[str | None], Awaitable[None] | None] | None = None,
        on_open: Callable[[str], Awaitable[None] | None] | None = None,
        where: Sequence[tuple[str, str, Any]] = (),
        tree: Mapping[str, Any] | None = None,
        empty: Callable[[], None] | None = None,
        pick_first: bool = False,
        wish: str | None = None,
    ) -> None:
        self.session, self.entity, self.name = session, entity, name or entity.key
        self.chosen: str | None = None
        self.search = ""
        self.block = int(session.setting("rows", str(BLOCK)))
        self.where: list[tuple[str, str, Any]] = list(where)
        self.tree = tree
        self.on_choose, self.on_open = on_choose, on_open
        self.total_label: ui.label | None = None
        self._columns = columns(policy.view(session.actor, entity))
        with ui.element("div").classes("lc-grid lc-card").mark(f"grid-{self.name}") as self.box:
            config = self._config(pick_first, wish)
            self.grid = ui.aggrid(self._options(config), theme="quartz", auto_size_columns=False)
            ui.element("div").classes("lc-cards")
            with ui.element("div").classes("lc-grid-empty lc-empty"):
                ui.label(_("Nothing matches what is looked for.")).classes("lc-nothing-found")
                if empty:
                    empty()
                else:
                    ui.label(_("Nothing here."))
            if actions:
                context_menu(actions)
        if actions:
            action_keys(actions)
        if not context.client.has_socket_connection:  # the page is being made
            ui.add_head_html(f"<script>localcrm.ahead({script_value(self.name)}, {script_value(config)})</script>")
        ui.on(f"grid-{self.name}", self._heard)
        session.subscribe({entity.key, *_related(entity)}, self._changed)

    # tools ---------------------------------------------------------------------------------------------------------

    def search_box(self, placeholder: str = "") -> ui.input:
        """The search field of this list; "/" goes there."""

        def changed(event: events.ValueChangeEventArguments[Any]) -> None:
            self.search = str(event.value or "")
            self.requery()

        box = ui.input(placeholder=placeholder or _("Search in this list"), on_change=changed).classes("lc-find").mark("list-search")
        box.props("outlined dense clearable debounce=200 data-find")
        with box.add_slot("prepend"):
            ui.icon("search").props("size=18px")
        return box

    def total(self) -> ui.label:
        """How many rows there are."""
        self.total_label = ui.label().classes("lc-total").mark("total")
        return self.total_label

    def tools(self) -> None:
        """Columns and export."""
        columns_button = (
            ui.button(_("Columns"), on_click=self.choose_columns).props("unelevated no-caps").classes("lc-btn lc-wide-only").mark("columns")
        )
        columns_button.tooltip(_("Choose columns"))
        if self.session.may(f"{self.entity.key}.export"):
            with (
                ui.button(_("Export")).props("unelevated no-caps").classes("lc-btn lc-wide-only").mark("export"),
                ui.menu().classes("lc-menu"),
            ):
                formats = {"xlsx": _("Excel workbook (.xlsx)"), "csv": _("Text table (.csv)")}
                if self.entity.key in HAVE_CARDS:
                    formats["vcf"] = _("Address cards (.vcf)")
                for suffix, label in formats.items():
                    item = ui.menu_item(label).mark(f"export-{suffix}")
                    item.on("click", js_handler=f"() => localcrm.grid({json.dumps(self.name)}, 'exportAs', {json.dumps(suffix)})")

    # what is shown ---------------------------------------------------------------------------------------------------

    @property
    def query(self) -> dict[str, Any]:
        """What the list asks the server for, besides sort and column filters."""
        return {"search": self.search, "where": self.where, "tree": self.tree}

    def requery(self) -> None:
        """Show what matches now, from the top."""
        self._call("setQuery", self.query, True)

    def refresh(self, wish: str | None = None) -> None:
        """Look again, keeping the row under the cursor; ``wish`` moves the cursor there if it is shown."""
        self._call("refresh", wish)

    def narrow(self, field: str, condition: tuple[str, str, Any] | None) -> None:
        """Set or take away the filter on one field."""
        self.where = [part for part in self.where if part[0] != field] + ([condition] if condition else [])
        self.requery()

    def select(self, identity: str) -> None:
        """Put the cursor on a row that is shown."""
        self._call("select", identity)

    async def shown_columns(self) -> list[str]:
        """Keys of the columns that are shown now, in their order."""
        states = await ui.run_javascript(f"localcrm.grid({json.dumps(self.name)}, 'columnStates')")
        return [key for key, shown in states or [] if shown]

    def show_columns(self, keys: Sequence[str], *, own: bool) -> None:
        """Show these columns and no others; unless they are his ``own`` the user's choice stays what it is."""
        self._call("showColumns", list(keys), own)

    async def asked(self) -> dict[str, Any]:
        """What the list asks the server for, the filters of its columns too."""
        found: dict[str, Any] = await ui.run_javascript(f"localcrm.grid({json.dumps(self.name)}, 'asked')")
        return found or dict(self.query)

    async def choose_columns(self) -> None:
        """The columns of this list, as the user likes them."""
        states = await ui.run_javascript(f"localcrm.grid({json.dumps(self.name)}, 'columnStates')")
        labels = {column.key: column.label for column in self._columns}
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("columns-dialog"):
            ui.label(_("Columns")).classes("lc-dialog-title")
            ui.label(_("Drag a heading to move it, its edge to widen it; the list remembers.")).classes("lc-muted")
            boxes = {
                key: ui.checkbox(labels.get(key, key), value=shown).props("dense").mark(f"column-{key}") for key, shown in states or []
            }
            with ui.element("div").classes("lc-dialog-buttons"):
                if self.session.may(PERMISSION) and self.session.store.node.is_office and self.session.setting(self._setting):
                    ui.button(_("For a role…"), on_click=lambda: dialog.submit("role")).props("flat no-caps").classes("lc-btn").mark(
                        "columns-for-role"
                    ).tooltip(_("Whoever has the role and has not arranged this list sees it as you do"))
                ui.button(_("Standard columns"), on_click=lambda: dialog.submit("reset")).props("flat no-caps").classes("lc-btn")
                ui.button(_("Show these"), on_click=lambda: dialog.submit("set")).props("unelevated no-caps").classes("lc-pri").mark(
                    "set-columns"
                )
        answer = await answer_of(dialog)
        if answer == "reset":
            self._call("resetColumns")
        elif answer == "set":
            self._call("setColumns", [key for key, box in boxes.items() if box.value])
        elif answer == "role":
            await self._columns_for_roles()

    @property
    def _setting(self) -> str:
        """Where the columns are kept."""
        return f"{FREE}{self.name}"

    async def _columns_for_roles(self) -> None:
        """The columns as they are become those of some roles."""

        def names() -> dict[str, str]:
            with self.session.store.read() as connection:
                return named_roles(connection)

        roles = await apart(names)
        chosen = await ticked_in("role", _("Columns like these for"), roles, none=_("There are no roles yet."))
        for role in chosen or []:
            given = {"role_id": role, "key": self._setting, "value": self.session.setting(self._setting)}
            outcome = await run_verb(self.session, "options.set_role_option", given)
            if outcome.ok:
                toast(_("“{role}” has these columns where nobody has arranged his own").format(role=roles[role]))

    # events ------------------------------------------------------------------------------------------------------------

    async def _heard(self, event: events.GenericEventArguments) -> None:
        kind, value = event.args.get("kind"), event.args.get("value")
        result: Any = None
        match kind:
            case "chosen" | "tapped":
                self.chosen = str(value) if value else None
                if kind == "tapped" and self.on_open and self.on_choose is None:
                    result = self.on_open(str(value))
                elif self.on_choose:
                    result = self.on_choose(self.chosen)
            case "open" if self.on_open:
                self.chosen = str(value)
                result = self.on_open(str(value))
            case "total" if self.total_label is not None:
                count = f"{TOTAL_CAP:,}+" if value < 0 else f"{value:,}"
                said = [records_in_words(count)]
                if self.search != "" and await apart(self._is_index_behind):
                    said.append(not_yet_found())
                self.total_label.set_text(" · ".join(said))
            case "state":
                await apart(self.session.save_setting, self._setting, str(value) or None)
                if not value:
                    self._call("arrange", self.session.setting(self._setting))
            case "failed":
                show_failure(AppError("list", str(value)))
        if result is not None:
            await result

    def _is_index_behind(self) -> bool:
        with self.session.store.read() as connection:
            return is_behind(connection)

    def _changed(self, changes: Changes) -> None:  # noqa: ARG002 -- any change may move rows
        self.refresh()

    def _call(self, method: str, *args: Any) -> None:
        parameters = "".join(f", {json.dumps(arg, ensure_ascii=True, default=str)}" for arg in args)
        ui.run_javascript(f"localcrm.grid({json.dumps(self.name)}, {json.dumps(method)}{parameters})")

    def _config(self, pick_first: bool, wish: str | None) -> dict[str, Any]:
        card = CARDS.get(self.entity.key, ("", "", "", ""))
        flag = next((column for column in self._columns if column.key == card[0] and column.kind == "boolean"), None)
        return {
            "entity": self.entity.key,
            "host": f"c{self.box.id}",
            "query": self.query,
            "state": self.session.setting(self._setting),
            "card": card,
            "flag": flag.label if flag else "",
            "yes": _("Yes"),
            "pickFirst": pick_first,
            "block": self.block,
            "wish": wish,
        }

    def _options(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "columnDefs": [self._column(column) for column in self._columns],
            "defaultColDef": {"resizable": True, "suppressHeaderMenuButton": False, "minWidth": 60},
            "rowModelType": "infinite",
            "cacheBlockSize": self.block,
            "maxBlocksInCache": 30,
            "maxConcurrentDatasourceRequests": 2,
            "infiniteInitialRowCount": 20,
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
            "suppressMultiSort": True,
            "rowHeight": row_height(self.session),
            "headerHeight": 32,
            "tooltipShowDelay": 500,
            "localeText": grid_words(),
            ":getRowId": "params => params.data.id",
            ":onGridReady": f"params => localcrm.gridReady(params, {json.dumps(self.name)}, {json.dumps(config)})",
        }

    def _column(self, column: Column) -> dict[str, Any]:
        title = column.key == self.entity.title_field
        classes = " ".join(
            name for name, on in (("lc-cell-num", column.number), ("lc-main-cell", title), ("lc-cell-muted", column.kind == "muted")) if on
        )
        head = text_width(column.label) + HEAD_ROOM
        definition: dict[str, Any] = {
            "field": column.key,
            "colId": column.key,
            "headerName": column.label,
            "hide": not column.shown,
            "sortable": column.sortable,
            "cellClass": classes,
            "headerClass": "lc-right" if column.number else "",
            "width": max(200 if title else _width(column, self.entity), head),
            ":tooltipValueGetter": "localcrm.tip",
            ":valueFormatter": "localcrm.textCell",
        }
        if column.chip or column.links or column.kind in {"due", "clock"}:
            definition[":cellRenderer"] = "localcrm.chipCell"
        if column.kind in {"muted", "longtext"} or (title and not any(c.kind == "muted" for c in self._columns)):
            definition |= {"flex": 1, "minWidth": max(head, 200 if self.entity.series and title else 150)}
        if self.entity.kind is Kind.DOCUMENT and column.key == "customer_id":  # a document is known by whom it is for
            definition |= {"flex": 1, "minWidth": max(head, 160)}
        if column.filter:
            definition |= {
                "filter": {"text": "agTextColumnFilter", "number": "agNumberColumnFilter", "date": "agDateColumnFilter"}[column.filter]
            }
            definition["filterParams"] = {"maxNumConditions": 1, "buttons": ["reset"], "filterOptions": FILTERS[column.filter]}
        else:
            definition["suppressHeaderMenuButton"] = True
        return definition


def _width(column: Column, entity: EntityType) -> int:
    if column.chip:
        return min(max(map(text_width, column.words), default=0) + CHIP_ROOM, 180)
    if column.key == "number" and entity.series:
        return WIDTHS["dated number" if "date" in entity.fields else "number"]
    if column.kind == "due":
        return text_width(_("{days} days overdue").format(days=99)) + CHIP_ROOM
    if column.key == "phone":
        return WIDTHS["phone"]
    return WIDTHS["named"] if column.ref in NAMED else WIDTHS.get(column.kind, 140)


FILTERS = {
    "text": ["contains", "equals", "startsWith", "blank", "notBlank"],
    "number": ["equals", "greaterThan", "lessThan", "inRange"],
    "date": ["equals", "greaterThan", "lessThan", "inRange", "blank", "notBlank"],
}


def _related(entity: EntityType) -> set[str]:
    """Entities whose changes show in derived columns of a list."""
    related = {
        "customer": {"contact", "activity", "sales_order", "receipt"},
        "product": {"stock_move"},
        "supplier": {"supplier_entry"},
        "expense": {"approval_flow", "approval_request", "approval_step"},
        "partner": {"partner_target", "sales_order", "receipt"},
        "sales_order": {"receipt", "stock_move", "sales_order_line"},
    }
    return related.get(entity.key, set())


def grid_words() -> dict[str, str]:
    """The words of the grid's own parts."""
    return {
        "contains": _("contains"),
        "equals": _("equals"),
        "startsWith": _("begins with"),
        "blank": _("is empty"),
        "notBlank": _("is filled"),
        "greaterThan": _("greater than"),
        "lessThan": _("less than"),
        "inRange": _("between"),
        "inRangeStart": _("from"),
        "inRangeEnd": _("to"),
        "filterOoo": _("Filter…"),
        "applyFilter": _("Apply"),
        "resetFilter": _("Reset"),
        "clearFilter": _("Clear"),
        "loadingOoo": _("Loading…"),
        "noRowsToShow": _("Nothing here."),
        "pinColumn": _("Pin column"),
        "dateFormatOoo": "yyyy-mm-dd",
    }
