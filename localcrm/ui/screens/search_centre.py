"""The search centre: one box over everything the user may see, narrowed by kind, owner, branch and time, with a look at what is chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.admin.entities import Branch
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finding.narrowing import Whose
from localcrm.domain.finding.rules import LONGEST, PERIODS
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.store.query import MAX_LIMIT, ListQuery, select
from localcrm.ui.finding import SEARCH_PATH
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service
from localcrm.ui.registry import Screen, register
from localcrm.ui.search_centre import routes
from localcrm.ui.search_centre.coverage import coverage, words

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ROUTES = routes.ROUTES
_WHOSE = {Whose.ANYBODY: N_("Anybody's"), Whose.MINE: N_("My own"), Whose.DEPARTMENT: N_("My department's")}


async def search_centre(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; its script fills it."""
    with page_frame(session, title=_("Search centre"), active="search"):
        ui.add_head_html(f'<link rel="stylesheet" href="{asset("search_centre.css")}">')
        ui.add_head_html(f'<script src="{asset("search_centre.js")}" defer></script>')
        with page_head(_("Search centre")):
            pass
        box = ui.element("div").classes("lc-find").mark("search-centre")
    outcome = await run_service(session, lambda: _config(session, parameters))
    if not outcome.ok:
        return
    config = json.dumps(outcome.value, ensure_ascii=False)

    def start() -> None:
        ui.run_javascript(f'localcrm.centre.show("{box.html_id}", {config})')

    async def changed(_changes: object) -> None:
        known = await run_service(session, lambda: words(coverage(session.store)))
        if known.ok:
            ui.run_javascript(f"localcrm.centre.changed({json.dumps(known.value, ensure_ascii=False)})")

    ui.timer(0.02, start, once=True)
    session.subscribe({view.entity.key for view in policy.views(session.actor) if view.entity.searched}, changed)


def _config(session: Session, parameters: Mapping[str, str]) -> dict[str, Any]:
    """What the script needs to know; it writes all of it as text."""
    choices = _choices(session)
    asked = {key: parameters.get(key, "") for key in choices}
    return {
        "q": parameters.get("q", "")[:LONGEST],
        "kind": parameters.get("kind", "")[:60],
        **{key: value if value in {one for one, _label in choices[key]} else "" for key, value in asked.items()},
        "choices": choices,
        "recent": routes.recent_of(session),
        "coverage": words(coverage(session.store)),
        "words": _texts(),
    }


def _choices(session: Session) -> dict[str, list[tuple[str, str]]]:
    branches = []
    if session.may("branch.read"):
        query = ListQuery(Branch.entity_type, limit=MAX_LIMIT, restrict=policy.view(session.actor, Branch.entity_type))
        with session.store.read() as connection:
            branches = select(connection, query, count=False).rows
    named = [(row["id"], str(row.get("name") or row.get("code") or "…")) for row in branches]
    return {
        "whose": [(whose.value, gettext(label)) for whose, label in _WHOSE.items()],
        "branch": [("", _("All branches")), *named] if len(named) > 1 else [],
        "days": [(str(days or ""), gettext(label)) for days, label in PERIODS.items()],
    }


def _texts() -> dict[str, Any]:
    return {
        "placeholder": _("Name, pinyin, initials, last 4 digits of a phone, number, serial, file…"),
        "found": _("What was found"),
        "preview": _("Preview"),
        "whose": _("Whose"),
        "branch": Branch.entity_type.label,
        "days": _("Changed"),
        "all": _("All"),
        "showAll": _("Show all {count}"),
        "choose": _("What you choose at the left is shown here."),
        "nothing": _("Nothing found. Fewer or other characters may help; so may a wider filter."),
        "capped": _("There are more: of each kind the newest hits are shown. Type more to narrow them down."),
        "braked": _("You were told of many customers of others within an hour; no more are shown. Ask an administrator."),
        "existsWith": _("Exists already, with {whose}"),
        "exists": _("Exists already"),
        "alikeBy": _("A customer beyond your rights, by {field}"),
        "recent": _("Searched lately"),
        "forget": _("Forget"),
        "files": Customer.entity_type.fields["files"].label,
        "open": _("Open record"),
        "back": _("Back"),
        "offline": _("The program does not answer. What you typed is still here."),
        "colon": _(": "),
        "between": _("; "),
        "help": [
            _("Chinese, whole pinyin (hengyuan) or initials (hy)."),
            _("The last 4 or more digits of any telephone number of a customer or contact."),
            _("A number or serial: Enter opens the record at once when only one fits."),
            _("Two words find what has both. ↑ ↓ choose, Enter opens, Esc goes back."),
        ],
    }


register(Screen("search", SEARCH_PATH, N_("Search centre"), "manage_search", None, search_centre, "", 5))
