"""The page of a quote: its lines are entered as those of an order are (``order_entry``), and what became of it is said there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui import order_form
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens import order_entry
from localcrm.ui.screens.sales_papers import QUOTE_ACTIONS

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


async def quote_entry(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the page: /quotes/new (with ?customer=, ?opportunity= or ?piece=, perhaps &consumable=1) or /quotes/{id}."""
    await QuotePage(session).build(parameters)


class QuotePage(order_entry.OrderPage):
    """One open page of a quote."""

    paper = order_form.QUOTES
    title = N_("Quote")
    list_id, list_path = "quote", "/records/quote"
    shows = frozenset({"quote", "quote_line", "sales_order", "product", "approval_request", "approval_step"})

    def words(self) -> dict[str, Any]:
        """The words of orders, but for what only those have."""
        own = {
            "title": _("Quote"),
            "newTitle": _("New quote"),
            "foreign": _("This quote belongs to {branch}. Write a new version to go on with it."),
            "ordered": _("Sales order"),
            "staleTitle": _("Somebody else saved this quote first"),
            "mayPost": False,
            "mayReverse": False,
            "mayReceive": False,
            "copy": "",
        }
        return order_entry.words(self.session, self.paper) | own

    async def do(self, deed: str) -> None:
        """What can be done with a quote in the list too."""
        if deed == "edit" and self.order_id:
            await edit_dialog(self.session, self.paper.kind, identity=self.order_id)  # a change is drawn when it is heard of
            return
        action = next((one for one in QUOTE_ACTIONS if one.id == deed and self.session.may(one.permission)), None)
        if action is not None and self.order_id and await action.run(self.session, self.order_id):
            ui.run_javascript("localcrm.order && localcrm.order.reload()")


register(Screen("quote_page", "/quotes/{id}", N_("Quote"), "request_page", "quote.read", quote_entry, None))
