"""What can be done with the chosen customer: by right-click, in the visible menu and by key. ``ACTIONS`` is the table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.entities import Customer
from localcrm.kernel.i18n import N_, gettext
from localcrm.ui.kit.menu import Action
from localcrm.ui.kit.sharing import share_dialog
from localcrm.ui.screens.records import copy_title, delete_with_undo, history_dialog, who_sees_dialog

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerAction:
    """One of them: ``run`` acts on ``bench.customer``, which is there. ``shown`` says whether the user is offered it at all."""

    id: str
    label_msgid: str
    run: Callable[[Workbench], Awaitable[None]]
    shown: Callable[[Session], bool] = lambda _session: True
    key: str = ""
    danger: bool = False
    divided: bool = False
    listed: bool = True

    def bound(self, bench: Workbench) -> Action:
        """For the menus of one open page; nothing happens while no customer is chosen."""

        async def run() -> None:
            if bench.customer:
                await self.run(bench)

        return Action(self.id, gettext(self.label_msgid), run, self.key, self.danger, self.divided, self.listed)


def may(permission: str) -> Callable[[Session], bool]:
    """Shown to whoever has the permission."""
    return lambda session: session.may(permission)


async def _page(bench: Workbench) -> None:
    ui.navigate.to(f"/customers/{bench.customer}")


async def _share(bench: Workbench) -> None:
    await share_dialog(bench.session, CUSTOMER, str(bench.customer))


async def _who_sees(bench: Workbench) -> None:
    await who_sees_dialog(bench.session, CUSTOMER, str(bench.customer))


async def _history(bench: Workbench) -> None:
    await history_dialog(bench.session, CUSTOMER, str(bench.customer))


async def _copy(bench: Workbench) -> None:
    await copy_title(bench.session, CUSTOMER, str(bench.customer))


async def _delete(bench: Workbench) -> None:
    if await delete_with_undo(bench.session, CUSTOMER, str(bench.customer)):
        bench.customer = None


ACTIONS = (
    CustomerAction(id="open", label_msgid=N_("Open record"), run=lambda bench: bench.edit(), key="enter"),
    CustomerAction(id="edit", label_msgid=N_("Edit"), run=lambda bench: bench.edit(), key="e", shown=may("customer.update"), listed=False),
    CustomerAction(
        id="activity", label_msgid=N_("New activity"), run=lambda bench: bench.new_activity(), key="a", shown=may("activity.create")
    ),
    CustomerAction(id="contact", label_msgid=N_("New contact"), run=lambda bench: bench.new_contact(), shown=may("contact.create")),
    CustomerAction(id="order", label_msgid=N_("New sales order"), run=lambda bench: bench.new_order(), shown=may("sales_order.create")),
    CustomerAction(id="page", label_msgid=N_("Everything on one page"), run=_page, key="p"),
    CustomerAction(id="history", label_msgid=N_("History"), run=_history, key="h", divided=True),
    CustomerAction(id="copy", label_msgid=N_("Copy name"), run=_copy, key="c"),
    CustomerAction(id="share", label_msgid=N_("Share…"), run=_share, shown=may("customer.share")),
    CustomerAction(id="who-sees", label_msgid=N_("Who sees this?"), run=_who_sees, shown=lambda session: session.actor.is_admin),
    CustomerAction(id="delete", label_msgid=N_("Delete"), run=_delete, key="delete", danger=True, shown=may("customer.delete")),
)
