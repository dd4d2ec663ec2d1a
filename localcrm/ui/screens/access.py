"""Who comes in and how: how long an unused screen stays open, and colleagues on this network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nicegui import events, ui

from localcrm.domain.people import access
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.account import idle_words
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

PERMISSION = "settings.manage"


async def access_settings(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Access(session).build()


class _Access:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def build(self) -> None:
        """The lock of all screens."""
        title = _("Access & network")
        with page_frame(self.session, title=title, active="access"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                pass
            self.idle = ui.element("div").classes("lc-card lc-pad lc-reset").mark("idle-policy")
        await self._draw_idle()

    # locking ----------------------------------------------------------------------------------------------------------

    async def _draw_idle(self) -> None:
        outcome = await run_service(self.session, lambda: access.longest_idle(self.session.store))
        if not outcome.ok:
            return
        self.idle.clear()
        with self.idle:
            ui.label(_("Unused screens lock")).classes("lc-sub")
            ui.label(
                _("Everybody chooses how soon, in the menu behind the initials. This is the longest that is allowed, at every branch.")
            ).classes("lc-muted")
            choices = {minutes: _longest_words(minutes) for minutes in access.CHOICES}
            if self.session.store.node.is_office:
                box = ui.select(choices, value=outcome.value, on_change=self._set_idle)
                box.props(f'outlined dense options-dense aria-label="{_("Longest time")}"').style("max-width:260px").mark("longest-idle")
            else:
                ui.label(_("Set by head office: {words}").format(words=_longest_words(outcome.value)))

    async def _set_idle(self, event: events.ValueChangeEventArguments[int]) -> None:
        await run_verb(self.session, "people.set_access_policy", {"longest_idle": event.value}, done=_("Saved"))


def _longest_words(minutes: int) -> str:
    return _("as each user likes, also never") if minutes == access.OFF else idle_words(minutes)


register(Screen("access", "/access", N_("Access & network"), "lock_open", PERMISSION, access_settings, "company", 90))
