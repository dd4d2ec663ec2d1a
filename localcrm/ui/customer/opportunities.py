"""Tab: the opportunities of the customer; a double click opens one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from nicegui import ui

from localcrm.domain.crm.opportunities import OPPORTUNITY
from localcrm.kernel.i18n import N_
from localcrm.ui.customer import main_contact  # noqa: F401 -- the form of a new one begins with whom it is spoken of
from localcrm.ui.customer.tables import record_tab
from localcrm.ui.deals.sheet import DealSheet
from localcrm.ui.kit.theme import asset

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench

#: The sheet of each open workbench, made when it is first wanted.
_sheets: WeakKeyDictionary[Workbench, DealSheet] = WeakKeyDictionary()


async def _open(bench: Workbench, identity: str) -> None:
    if bench not in _sheets:
        ui.add_head_html(f'<link rel="stylesheet" href="{asset("board.css")}">')
        _sheets[bench] = DealSheet(bench.session)
    await _sheets[bench].open(identity)


OPPORTUNITIES = record_tab(
    OPPORTUNITY,
    ("title", "amount", "phase", "stage_id", "state", "expected_on", "next_step", "owner_id"),
    id="opportunities",
    label=N_("Opportunities"),
    new=N_("＋ New opportunity"),
    empty=N_("No opportunities yet."),
    shows=frozenset({"stage"}),
    open_row=_open,
)
