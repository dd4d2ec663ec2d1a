"""What can be done with the chosen customer: by right-click, in the visible menu and by key. ``ACTIONS`` is the table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.entities import Customer, Opportunity
from localcrm.domain.finance.entities import Expense
from localcrm.domain.sales.entities import Contract, Delivery
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType
from localcrm.ui.customer.merge import delete_customer, merge_with_dialog
from localcrm.ui.customer.sales_papers import new_quote
from localcrm.ui.kit.menu import Action
from localcrm.ui.kit.reaching import EMAIL, PHONE, reach
from localcrm.ui.kit.reminders import remind_dialog
from localcrm.ui.kit.sharing import share_dialog
from localcrm.ui.screens.records import copy_title, history_dialog, who_sees_dialog

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type


class Part(IntEnum):
    """Parts of the menu from top to bottom; a line stands between two."""

    OPEN = 1
    REACH = 2
    ADD = 3
    PASS_ON = 4
    CARE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerAction:
    """One of them: ``run`` acts on ``bench.customer``, which is there. ``shown`` says whether the user is offered it at all."""

    id: str
    label_msgid: str
    run: Callable[[Workbench], Awaitable[None]]
    shown: Callable[[Session], bool] = lambda _session: True
    key: str = ""
    danger: bool = False
    part: Part = Part.OPEN
    listed: bool = True

    def bound(self, bench: Workbench, *, divided: bool) -> Action:
        """For the menus of one open page; nothing happens while no customer is chosen."""

        async def run() -> None:
            if bench.customer:
                await self.run(bench)

        return Action(self.id, gettext(self.label_msgid), run, self.key, self.danger, divided, self.listed)


def menu_of(bench: Workbench, offered: Iterable[CustomerAction]) -> list[Action]:
    """Those that the user is offered, part by part."""
    found: list[Action] = []
    before: Part | None = None
    for one in sorted((one for one in offered if one.shown(bench.session)), key=lambda one: (one.part, one.danger)):
        found.append(one.bound(bench, divided=before is not None and one.part is not before))
        before = one.part
    return found


def may(permission: str) -> Callable[[Session], bool]:
    """Shown to whoever has the permission."""
    return lambda session: session.may(permission)


async def _page(bench: Workbench) -> None:
    ui.navigate.to(f"/customers/{bench.customer}")


def adding(kind: EntityType) -> Callable[[Workbench], Awaitable[None]]:
    """Enters a record of a kind that belongs to the chosen customer."""

    async def add(bench: Workbench) -> None:
        await bench.adding(kind)()

    return add


async def _share(bench: Workbench) -> None:
    await share_dialog(bench.session, CUSTOMER, str(bench.customer))


async def _who_sees(bench: Workbench) -> None:
    await who_sees_dialog(bench.session, CUSTOMER, str(bench.customer))


async def _remind(bench: Workbench) -> None:
    await remind_dialog(bench.session, customer=bench.customer)


async def _call(bench: Workbench) -> None:
    await reach(bench.session, CUSTOMER, str(bench.customer), PHONE)


async def _write(bench: Workbench) -> None:
    await reach(bench.session, CUSTOMER, str(bench.customer), EMAIL)


async def _history(bench: Workbench) -> None:
    await history_dialog(bench.session, CUSTOMER, str(bench.customer))


async def _copy(bench: Workbench) -> None:
    await copy_title(bench.session, CUSTOMER, str(bench.customer))


async def _delete(bench: Workbench) -> None:
    if await delete_customer(bench.session, str(bench.customer)):
        bench.customer = None


async def _merge(bench: Workbench) -> None:
    if kept := await merge_with_dialog(bench.session, str(bench.customer)):
        await bench.choose(kept)


ACTIONS = (
    CustomerAction(id="open", label_msgid=N_("Open record"), run=lambda bench: bench.edit(), key="enter"),
    CustomerAction(id="edit", label_msgid=N_("Edit"), run=lambda bench: bench.edit(), key="e", shown=may("customer.update"), listed=False),
    CustomerAction(id="page", label_msgid=N_("Everything on one page"), run=_page, key="p"),
    CustomerAction(id="call", label_msgid=N_("Call…"), run=_call, part=Part.REACH),
    CustomerAction(id="write", label_msgid=N_("Write an e-mail…"), run=_write, shown=may("contact.read"), part=Part.REACH),
    CustomerAction(
        id="activity",
        label_msgid=N_("New activity"),
        run=lambda bench: bench.new_activity(),
        key="a",
        shown=may("activity.create"),
        part=Part.ADD,
    ),
    CustomerAction(
        id="contact", label_msgid=N_("New contact"), run=lambda bench: bench.new_contact(), shown=may("contact.create"), part=Part.ADD
    ),
    CustomerAction(id="remind", label_msgid=N_("Remind me…"), run=_remind, part=Part.ADD),
    CustomerAction(
        id="opportunity",
        label_msgid=N_("New opportunity"),
        run=adding(Opportunity.entity_type),
        shown=may("opportunity.create"),
        part=Part.ADD,
    ),
    CustomerAction(id="quote", label_msgid=N_("New quote"), run=new_quote, shown=may("quote.create"), part=Part.ADD),
    CustomerAction(
        id="contract", label_msgid=N_("New contract"), run=adding(Contract.entity_type), shown=may("contract.create"), part=Part.ADD
    ),
    CustomerAction(
        id="order", label_msgid=N_("New sales order"), run=lambda bench: bench.new_order(), shown=may("sales_order.create"), part=Part.ADD
    ),
    CustomerAction(
        id="delivery", label_msgid=N_("New delivery"), run=adding(Delivery.entity_type), shown=may("delivery.create"), part=Part.ADD
    ),
    CustomerAction(
        id="expense", label_msgid=N_("New expense"), run=adding(Expense.entity_type), shown=may("expense.create"), part=Part.ADD
    ),
    CustomerAction(id="share", label_msgid=N_("Share…"), run=_share, shown=may("customer.share"), part=Part.PASS_ON),
    CustomerAction(id="history", label_msgid=N_("History"), run=_history, key="h", part=Part.CARE),
    CustomerAction(id="copy", label_msgid=N_("Copy name"), run=_copy, key="c", part=Part.CARE),
    CustomerAction(
        id="who-sees", label_msgid=N_("Who sees this?"), run=_who_sees, shown=lambda session: session.actor.is_admin, part=Part.CARE
    ),
    CustomerAction(id="merge", label_msgid=N_("Merge with…"), run=_merge, shown=may("customer.merge"), part=Part.CARE),
    CustomerAction(
        id="delete", label_msgid=N_("Delete"), run=_delete, key="delete", danger=True, shown=may("customer.delete"), part=Part.CARE
    ),
)
