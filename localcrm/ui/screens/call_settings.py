"""Where this computer hears of calls: the HTTP hook, SIP, a modem; each off until it is switched on, and each says how it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.channels import lines, modem
from localcrm.channels.heard import SourceState
from localcrm.domain.calls.entities import Source
from localcrm.domain.calls.services import last_heard
from localcrm.domain.calls.settings import PERMISSION, RATES, SECRET, call_settings, label, told
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.hosts import url_host
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.hook import PATH
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import ago
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

REFRESH_SECONDS = 2.0
#: Where SIP listens: on this computer alone, or on every address it has.
HOSTS = {"127.0.0.1": N_("This computer only"), "0.0.0.0": N_("Every network of this computer")}  # noqa: S104 -- an offer, off by default


@dataclass(frozen=True, slots=True)
class _State:
    """What the page shows: settings without secrets, how the sources stand, when each was last heard."""

    settings: Mapping[str, Any]
    sources: Mapping[Source, SourceState]
    heard: Mapping[str, datetime]
    ports: tuple[tuple[str, str], ...] = ()


async def call_sources(session: Session, _parameters: Mapping[str, str]) -> None:
    """Build the screen."""
    await _Sources(session).build()


class _Sources:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.fields: dict[str, Any] = {}
        self.errors: dict[str, ui.label] = {}
        self.states: dict[Source, ui.element] = {}

    async def build(self) -> None:
        """Numbers of this place, then a card for each source."""
        title = _("Incoming calls")
        with page_frame(self.session, title=title, active="call-sources"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                pass
            self.place = ui.element("div").classes("lc-col lc-scroll lc-fill").style("gap:14px")
        outcome = await run_service(self.session, lambda: self._read(ports=True))
        if not outcome.ok:
            return
        with self.place:
            self._draw(outcome.value)
        self._draw_states(outcome.value)
        ui.timer(REFRESH_SECONDS, self._look)

    def _read(self, *, ports: bool = False) -> _State:
        store = self.session.store
        with store.read() as connection:
            settings, heard = told(call_settings(connection)), last_heard(connection, store.node)
        return _State(settings, lines.states(store), heard, tuple(modem.ports()) if ports else ())

    def _draw(self, state: _State) -> None:
        ui.label(
            _(
                "Nothing listens that is not switched on here. These are settings of this computer; every user sets his own extension in his menu."
            )
        ).classes("lc-muted").style("flex:none")
        with self._card("place", _("Numbers of this place")):
            with ui.element("div").classes("lc-form"):
                self._text(state, "own", _("Telephone numbers and extensions of this office; calls between them are not looked up."))
                self._text(state, "area", _("Such as 0575: completes numbers that come without one."))
            self._save("place", ("own", "area"))
        with self._card("hook", _("Telephone system (HTTP)"), Source.HOOK, state):
            self._draw_hook()
        with self._card("sip", _("SIP"), Source.SIP, state):
            ui.label(
                _("The program rings like a telephone and is never picked up. It hears only of calls that the telephone system sends it.")
            ).classes("lc-muted")
            with ui.element("div").classes("lc-form"):
                self._choice(state, "sip_host", {host: _(words) for host, words in HOSTS.items()})
                self._text(state, "sip_port", "UDP")
                self._text(
                    state,
                    "sip_from",
                    _("Addresses or networks such as 192.168.1.10 or 192.168.1.0/24. Empty: this computer and the telephone system."),
                )
                self._text(state, "registrar", _("Address, to sign in there as a telephone. Empty: only listen."))
                self._text(state, "sip_user", _("Usually an extension."))
                self._text(
                    state, "sip_password", _("There is one; empty leaves it.") if state.settings["sip_password"] else "", password=True
                )
            self._save("sip", ("sip", "sip_host", "sip_port", "sip_from", "registrar", "sip_user", "sip_password"))
        with self._card("modem", _("Modem"), Source.MODEM, state):
            with ui.element("div").classes("lc-form"):
                found = (
                    _("Found: {ports}").format(ports=_(", ").join(f"{name} ({words})" for name, words in state.ports))
                    if state.ports
                    else ""
                )
                self._text(state, "modem_port", found or _("Such as COM3 or /dev/ttyUSB0; none was found just now."))
                self._choice(state, "modem_rate", {str(rate): str(rate) for rate in RATES})
            self._save("modem", ("modem", "modem_port", "modem_rate"))

    def _card(self, name: str, title: str, source: Source | None = None, state: _State | None = None) -> ui.element:
        """A card with its name and, for a source, its switch and how it stands."""
        card = ui.element("section").classes("lc-card lc-pad lc-col").style("flex:none;gap:10px").props(f"data-source={name}")
        with card, ui.element("div").classes("lc-row"):
            ui.label(title).classes("lc-sub grow")
            if source is not None and state is not None:
                self.fields[source.value] = ui.switch(value=state.settings[source.value], on_change=lambda: self._keep(source.value))
                self.fields[source.value].props(f"dense aria-label={quoted(title)} data-act=switch-{name}")
        if source is not None:
            with card:
                self.states[source] = ui.element("div").classes("lc-row").props(f"data-act=state-{name}")
        return card

    def _draw_hook(self) -> None:
        port, lan = self.session.program.port, self.session.program.lan
        addresses = [
            f"http://{url_host(self.session.program.host)}:{port}{PATH}",
            *(f"{each.rstrip('/')}{PATH}" for each in lan.addresses[:2]),
        ]
        ui.label(_("The telephone system, or a program beside it, sends each event as JSON:")).classes("lc-muted")
        example = json.dumps({"event": "ring", "id": "4711", "caller": "013905751234", "called": "801"})
        for text in (*(f"POST {address}" for address in addresses), _("Authorization: Bearer KEY"), example):
            ui.label(text).style("font-family:ui-monospace,monospace;overflow-wrap:anywhere;font-size:12.5px")
        ui.label(_("event is ring, answer or end; id is the same for all events of one call.")).classes("lc-muted lc-small-text")
        with ui.element("div").classes("lc-row"):
            ui.button(_("Make a new key…"), on_click=self._new_key).props("unelevated no-caps data-act=new-key").classes("lc-btn")

    def _text(self, state: _State, name: str, hint: str = "", *, password: bool = False) -> None:
        with self._labelled(name, hint):
            value = "" if name in SECRET else str(state.settings[name])
            field = ui.input(value=value).props(f"outlined dense hide-bottom-space autocomplete=off aria-label={quoted(label(name))}")
            self.fields[name] = field.props(f"data-act={name}" + (" type=password autocomplete=new-password" if password else ""))

    def _choice(self, state: _State, name: str, options: dict[str, str]) -> None:
        with self._labelled(name, ""):
            value = str(state.settings[name])
            field = ui.select({**options, value: options.get(value, value)}, value=value).props(
                f"outlined dense options-dense aria-label={quoted(label(name))}"
            )
            self.fields[name] = field.props(f"data-act={name}")

    def _labelled(self, name: str, hint: str) -> ui.element:
        box = ui.element("div").classes("lc-field")
        with box:
            ui.label(label(name)).classes("lc-label")
            inside = ui.element("div")
            if hint:
                ui.label(hint).classes("lc-hint")
            self.errors[name] = ui.label().classes("lc-field-error").props('role="alert"')
            self.errors[name].set_visibility(False)
        return inside

    def _save(self, card: str, names: tuple[str, ...]) -> None:
        with ui.element("div").classes("lc-row"):
            ui.button(_("Save"), on_click=lambda: self._keep(*names, done=_("Settings saved"))).props(
                f"unelevated no-caps data-act=save-{card}"
            ).classes("lc-btn")

    async def _keep(self, *names: str, done: str = "") -> None:
        """Set these as they stand on the page; a switch goes with what stands beside it."""
        together = {
            "sip": ("sip_host", "sip_port", "sip_from", "registrar", "sip_user", "sip_password"),
            "modem": ("modem_port", "modem_rate"),
        }
        wanted = [*names, *(together.get(names[0], ()) if len(names) == 1 else ())]
        for name in wanted:
            if name in self.errors:
                self.errors[name].set_visibility(False)
        values = {name: self.fields[name].value for name in wanted}
        outcome = await run_verb(self.session, "calls.change_settings", {"values": values}, done=done, on_error=self._show_error)
        if not outcome.ok and len(names) == 1:  # it stays off
            self.fields[names[0]].set_value(False)
        if outcome.ok and "sip_password" in wanted:
            self.fields["sip_password"].set_value("")
        await self._look()

    def _show_error(self, error: AppError) -> bool:
        place = self.errors.get(error.field or "") if isinstance(error, InvalidInput) else None
        if place is None:
            return False
        place.set_text(error.message)
        place.set_visibility(True)
        return True

    async def _new_key(self) -> None:
        outcome = await run_verb(self.session, "calls.make_hook_key", {})
        if not outcome.ok:
            return
        with page_dialog().props("persistent no-route-dismiss") as dialog, ui.card().classes("lc-dialog lc-narrow").mark("new-key-dialog"):
            ui.label(_("The key of the telephone system")).classes("lc-dialog-title")
            ui.label(_("It is shown this once. A key that was made before opens nothing any more.")).classes("lc-muted")
            ui.label(outcome.value["key"]).style("font-family:ui-monospace,monospace;overflow-wrap:anywhere").props("data-act=key")
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Close"), on_click=dialog.close).props("unelevated no-caps data-commit").classes("lc-pri")
        await answer_of(dialog)

    # how they stand --------------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        outcome = await run_service(self.session, self._read)
        if outcome.ok:
            self._draw_states(outcome.value)

    def _draw_states(self, state: _State) -> None:
        for source, place in self.states.items():
            tone, words = _standing(source, state)
            heard = state.heard.get(source.value)
            last = _("last call heard {ago}").format(ago=ago(heard, now_utc())) if heard else _("no call heard so far")
            place.clear()
            with place:
                ui.label(words).classes("lc-chip").props(f"data-tone={tone}").style("white-space:normal;height:auto")
                ui.label(last).classes("lc-muted")


def _standing(source: Source, state: _State) -> tuple[str, str]:
    """How a source stands, and its colour."""
    if not state.settings[source.value]:
        return "plain", _("Switched off")
    if source is Source.HOOK:
        return ("good", _("Switched on")) if state.settings["hook_key"] else ("warn", _("No key was made yet"))
    found = state.sources.get(source)
    if found is None:
        return "warn", _("Starts…")
    if found.problem:
        return "bad", _(found.problem)
    if found.signed_in is False:
        return "warn", _("Signing in…")
    words = _("Listens on {place}, signed in") if found.signed_in else _("Listens on {place}")
    return "good", words.format(place=found.place)


register(Screen("call-sources", "/settings/calls", N_("Incoming calls"), "ring_volume", PERMISSION, call_sources, "settings", 65))
