"""Tab: the opportunities of the customer; a double click opens one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nicegui import ui

from localcrm.domain.crm.opportunities import OPPORTUNITY
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.customer.actions import new_opportunity
from localcrm.ui.customer.tables import counting, reading, record_table
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.deals.sheet import DealSheet
from localcrm.ui.kit.theme import asset

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench

_COLUMNS = ("title", "amount", "phase", "stage_id", "state", "expected_on", "next_step", "owner_id")
#: The sheet of each open workbench, made when it is first wanted.
_sheets: WeakKeyDictionary[Workbench, DealSheet] = WeakKeyDictionary()


async def _open(bench: Workbench, identity: str) -> None:
    if bench not in _sheets:
        ui.add_head_html(f'<link rel="stylesheet" href="{asset("board.css")}">')
        _sheets[bench] = DealSheet(bench.session)
    await _sheets[bench].open(identity)


def _draw(bench: Workbench, rows: list[dict[str, Any]]) -> None:
    new = partial(new_opportunity, bench)
    empty = _("No opportunities yet.")
    record_table(
        bench, OPPORTUNITY, _COLUMNS, rows, new=new, new_label=_("＋ New opportunity"), empty=empty, open_row=partial(_open, bench)
    )


OPPORTUNITIES = Tab(
    id="opportunities",
    label_msgid=N_("Opportunities"),
    permission="opportunity.read",
    count=counting(OPPORTUNITY),
    read=reading(OPPORTUNITY),
    draw=_draw,
    shows=frozenset({"opportunity", "stage"}),
)
