"""Who comes in and how: colleagues on this network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nicegui import events, ui

from localcrm.domain.admin.network import lan_is_on
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.qr import qr_address
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.lan import Lan
    from localcrm.ui.sessions import Session

PERMISSION = "settings.manage"
REFRESH_SECONDS = 3.0


async def access_settings(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Access(session).build()


class _Access:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.drawn: tuple[object, ...] | None = None

    async def build(self) -> None:
        """The network."""
        title = _("Access & network")
        with page_frame(self.session, title=title, active="access"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                pass
            self.lan = ui.element("div").classes("lc-card lc-pad lc-reset").mark("lan")
        await self._draw_lan()
        ui.timer(REFRESH_SECONDS, self._draw_lan)

    # the network ------------------------------------------------------------------------------------------------------

    async def _draw_lan(self) -> None:
        """The switch and, while it is on, how colleagues get in; drawn anew only when something is different."""
        lan, session = self.session.program.lan, self.session
        outcome = await run_service(session, lambda: lan_is_on(session.store))
        state = (outcome.value, lan.is_open, lan.problem, tuple(lan.addresses), lan.certificate)
        if not outcome.ok or state == self.drawn:
            return
        self.drawn = state
        self.lan.clear()
        with self.lan:
            switch = ui.switch(_("Let colleagues on this network in"), value=outcome.value or lan.host is not None)
            switch.props("dense").classes("lc-strong").mark("lan-switch")
            ui.label(
                _("Off: only this computer opens the screens. On: others in the same office do too, encrypted, each with an own login.")
            ).classes("lc-muted")
            if lan.host is not None:
                switch.disable()
                ui.label(_("Switched on by --host, until the program ends.")).classes("lc-muted")
            switch.on_value_change(self._switch_lan)
            if lan.problem is not None:
                ui.label(lan.problem.message).classes("lc-notice").props('role="alert"')
            elif lan.is_open:
                _draw_ways_in(lan)

    async def _switch_lan(self, event: events.ValueChangeEventArguments[bool | None]) -> None:
        done = _("Colleagues on this network can come in") if event.value else _("Only this computer opens the screens now")
        outcome = await run_verb(self.session, "admin.switch_lan", {"on": bool(event.value)}, done=done)
        if outcome.ok:
            await self.session.program.lan.settle()
        self.drawn = None
        await self._draw_lan()


def _draw_ways_in(lan: Lan) -> None:
    """Addresses, the first also as a picture, and what to compare."""
    assert lan.certificate is not None
    first, *others = lan.addresses
    ui.label(_("Open this address on the other computer or telephone:")).classes("lc-muted")
    ui.label(first).classes("lc-code-block lc-answer-code lc-address").mark("lan-address")
    if others:
        ui.label(_("Also: {addresses}").format(addresses="  ".join(others))).classes("lc-muted lc-small-text lc-wrap")
    ui.element("img").classes("lc-qr lc-qr-left").props(f'src={quoted(qr_address(first))} alt="{_("The address as a picture")}"')
    ui.label(
        _(
            "The browser there warns once, because the certificate was made on this computer. Look at the certificate, compare its SHA-256 fingerprint, then go on:"
        )
    ).classes("lc-muted")
    ui.label("\n".join(lan.certificate.fingerprint[start : start + 24] for start in range(0, 96, 24))).classes(
        "lc-code-block lc-fingerprint"
    ).mark("fingerprint")
    ui.label(_("If the address does not open, allow localcrm in the firewall of this computer.")).classes("lc-muted lc-small-text")


register(Screen("access", "/access", N_("Access & network"), "lock_open", PERMISSION, access_settings, "settings", 60))
