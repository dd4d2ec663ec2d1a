"""Tab: files of the customer, wherever they hang; new ones are added to the customer himself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nicegui import background_tasks, context, ui

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.files import Attached, customer_files
from localcrm.kernel.attachments import read_attachments
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.blobs import file_fields
from localcrm.store.connection import Connection
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.endpoints import Ways
from localcrm.ui.kit.files import FilesInput, file_links, files_path
from localcrm.ui.kit.form import load_typed
from localcrm.ui.kit.lines import heads
from localcrm.ui.kit.values import show
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type
FILES_FIELD = CUSTOMER.fields["files"]


@dataclass(frozen=True, slots=True)
class _Found:
    """own: what the customer's own field holds, None where it may not be seen · others: with where each opens."""

    own: str | None
    others: Sequence[tuple[Attached, str]]


def _read(session: Session, connection: Connection, identity: str) -> _Found:
    record, ways = load_typed(session, CUSTOMER, identity), Ways(session, connection)
    found = customer_files(connection, session.actor, identity)
    others = [(one, ways.to(one.kind, one.record["id"])) for one in found if one.kind is not CUSTOMER or one.field.key != FILES_FIELD.key]
    return _Found((record["files"] or "") if "files" in record else None, others)


def _count(session: Session, connection: Connection, identity: str) -> int:
    return sum(len(read_attachments(one.files)) for one in customer_files(connection, session.actor, identity))


def _draw(bench: Workbench, found: _Found) -> None:
    identity = str(bench.customer)
    may_add = bench.may_change and policy.may_write(bench.session.actor, CUSTOMER, FILES_FIELD)
    if found.own is not None and (found.own or may_add):
        with ui.element("div").style("padding:12px 14px"):
            ui.label(_("Of the customer")).classes("lc-label")
            if may_add:
                _adding(bench, identity, found.own)
            else:
                file_links(CUSTOMER, identity, FILES_FIELD, found.own)
    if found.others:
        _table(found.others)
    elif not found.own:
        ui.label(
            _("No files yet. Those of activity records, quotes, contracts, deliveries, tickets and expenses are shown here too.")
        ).classes("lc-empty lc-muted")


def _adding(bench: Workbench, identity: str, own: str | None) -> None:
    page = context.client.content  # what was clicked is gone once the tab is drawn anew

    known = (own or "").split("\n")

    async def save(add: str, remove: str) -> None:
        with page:
            given = {"customer": identity, "add": add, "remove": remove}
            await run_verb(bench.session, "crm.change_files", given, done=_("Changes saved"))

    def changed() -> None:
        nonlocal known
        now = (entry.value or "").split("\n")
        add, remove = ("\n".join(one for one in some if one not in others) for some, others in ((now, known), (known, now)))
        known = now
        background_tasks.create(save(add, remove), name="save files")

    entry = FilesInput(FILES_FIELD.label, on_change=changed)
    entry.set_value(own, files_path(CUSTOMER, identity, FILES_FIELD))


def _table(others: Sequence[tuple[Attached, str]]) -> None:
    with ui.element("table").classes("lc-table").mark("table-files"):
        heads(_("Files"), _("Hangs on"))
        for one, path in others:
            with ui.element("tr"):
                with ui.element("td"):
                    file_links(one.kind, one.record["id"], one.field, one.files)
                with ui.element("td"):
                    title = show(one.kind.fields[one.kind.title_field], one.record.get(one.kind.title_field))
                    words = [one.kind.label, title] + ([one.field.label] if len(file_fields(one.kind)) > 1 else [])
                    text = " · ".join(filter(None, words))
                    if path:
                        ui.link(text, path)
                    else:
                        ui.label(text)


FILES = Tab(
    id="files",
    label_msgid=N_("Files"),
    read=_read,
    draw=_draw,
    count=_count,
    shows=frozenset({"activity", "opportunity", "quote", "contract", "delivery", "expense", "ticket"}),
)
