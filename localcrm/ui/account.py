"""The signed-in user's own menu: language, light or dark, password, sessions, signing out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.people.sessions import close_session, close_sessions_of, sessions_of
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import LANGUAGES, gettext as _
from localcrm.ui.calls.deeds import extension_dialog
from localcrm.ui.finding import OPTIONS_PATH
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.menu import afterwards
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.shortcuts import show_sheet
from localcrm.ui.kit.values import near_moment
from localcrm.ui.operations import apart, run_verb, toast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from localcrm.domain.people.arrival import Arrival
    from localcrm.ui.sessions import Session


def menu(session: Session) -> None:
    """Language and light or dark beside the avatar; the rest behind it."""
    other = ui.button("EN" if session.language == "zh_CN" else LANGUAGES["zh_CN"], on_click=lambda: _switch_language(session))
    other.props(f'flat dense no-caps aria-label="{_("Language")}"').classes("lc-bar-button lc-language").mark("language")
    dark = ui.button(icon="light_mode" if session.dark else "dark_mode").props(
        f'flat dense round size=sm aria-label="{_("Light or dark")}"'
    )
    dark.classes("lc-bar-button lc-dark").mark("dark").on("click", lambda: _switch_dark(session))
    actor = session.actor
    with ui.button().props(f"flat dense round aria-label={quoted(actor.name)}").classes("lc-avatar").mark("user-menu"):
        ui.label(short_name(actor.name))
        with ui.menu().classes("lc-menu").props("anchor='bottom right' self='top right'"):
            afterwards(partial(_menu, session))


def _menu(session: Session) -> None:
    actor = session.actor
    ui.label(f"{actor.name} · {actor.login}").classes("lc-menu-head")
    ui.separator()
    for code, name in LANGUAGES.items():
        chosen = " ✓" if code == session.language else ""
        ui.menu_item(f"{name}{chosen}", lambda code=code: _set_language(session, code)).mark(f"language-{code}")
    ui.separator()
    ui.menu_item(_("Options…"), lambda: ui.navigate.to(OPTIONS_PATH)).mark("options")
    ui.menu_item(_("Keys…"), show_sheet).mark("keys")
    if session.may("call.read"):
        ui.menu_item(_("My extension…"), lambda: extension_dialog(session)).mark("extension")
    ui.menu_item(_("Change password…"), lambda: _change_password(session)).mark("change-password")
    ui.menu_item(_("Signed-in browsers…"), lambda: _show_sessions(session)).mark("sessions")
    if actor.is_admin and session.store.node.is_office:
        ui.menu_item(_("New recovery code…"), lambda: ui.navigate.to("/recovery-code")).mark("recovery-code")
        ui.menu_item(_("Answer a password reset…"), lambda: ui.navigate.to("/answer-reset")).mark("answer-reset")
    ui.separator()
    ui.menu_item(_("Lock when not used…"), lambda: ui.navigate.to(f"{OPTIONS_PATH}?at=idle_minutes")).mark("idle")
    ui.menu_item(_("Lock now")).mark("lock").on("click", js_handler="() => localcrm.lockNow()")
    ui.menu_item(_("Sign out")).mark("sign-out").on("click", js_handler="() => localcrm.signOut()")


def welcome(session: Session, place: ui.element) -> None:
    """What the user should hear after signing in, on the first page of the session; what is alarming stays until it is closed."""
    arrival = session.take_arrival()
    if arrival is None:
        return

    async def close() -> None:
        box.delete()
        await apart(session.note_told)

    look = "lc-notice" if arrival.failed or arrival.resets else "lc-notice lc-warn" if arrival.given else "lc-welcome"
    with place, ui.element("div").classes(look) as box:
        box.mark("welcome").props('role="status"')
        ui.icon("history" if not arrival.is_alarming else "error_outline")
        ui.label(" ".join(_welcome_words(arrival))).classes("grow")
        if arrival.given:
            change = ui.button(_("Change password…"), on_click=lambda: _change_password(session, then=close))
            change.props("unelevated no-caps").classes("lc-btn").mark("choose-password")
        ui.button(icon="close", on_click=close).props(f'flat dense round size=sm aria-label="{_("Close")}"').mark("welcome-close")


def _welcome_words(arrival: Arrival) -> Iterator[str]:
    for reset in arrival.resets:
        when = near_moment(datetime.fromtimestamp(reset.at / 1000, tz=UTC))
        if reset.by:
            yield _("Your password was reset {when} with an answer by {name}. If that was not you, tell an administrator.").format(
                when=when, name=reset.by
            )
        else:
            yield _("Your password was reset {when} with the recovery code. If that was not you, change it now.").format(when=when)
    if arrival.given:
        when = near_moment(datetime.fromtimestamp(arrival.given.at / 1000, tz=UTC))
        yield _("{name} set your password {when}. Choose one that only you know.").format(name=arrival.given.by, when=when)
    if arrival.last is not None:
        yield _("Last sign-in {when}.").format(when=near_moment(datetime.fromtimestamp(arrival.last / 1000, tz=UTC)))
    if arrival.failed:
        yield _("{count} failed tries since.").format(count=arrival.failed)


def short_name(name: str) -> str:
    """One or two signs that stand for a person."""
    name = name.strip()
    return name[-2:] if name and not name.isascii() else "".join(part[0] for part in name.split()[:2]).upper() or "?"


async def _switch_language(session: Session) -> None:
    await _set_language(session, "en" if session.language == "zh_CN" else "zh_CN")


async def _set_language(session: Session, code: str) -> None:
    await apart(session.save_setting, "language", code)
    ui.navigate.reload()


async def _switch_dark(session: Session) -> None:
    await apart(session.save_setting, "theme", "light" if session.dark else "dark")
    ui.navigate.reload()


async def _change_password(session: Session, *, then: Callable[[], Awaitable[None]] | None = None) -> None:
    """Ask for the old password and a new one; ``then`` is called once it is set."""
    actor = session.actor
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow"):
        ui.label(_("Change password")).classes("lc-dialog-title")
        fields = {
            "old_password": ui.input(_("Old password"), password=True)
            .props("outlined dense autofocus autocomplete=current-password")
            .mark("old-password"),
            "password": ui.input(_("New password"), password=True).props("outlined dense autocomplete=new-password").mark("new-password"),
        }
        again = (
            ui.input(_("New password again"), password=True).props("outlined dense autocomplete=new-password").mark("new-password-again")
        )

        def show(error: AppError) -> bool:
            field = fields.get(getattr(error, "field", None) or "")
            if field:
                field.props("error").props["error-message"] = error.message
            return field is not None

        async def save() -> None:
            for field in (*fields.values(), again):
                field.props(remove="error")
            if again.value != fields["password"].value:
                again.props("error").props["error-message"] = _("The two passwords differ.")
                return
            values = {key: field.value for key, field in fields.items()}
            outcome = await run_verb(session, "people.set_password", {"login": actor.login, **values}, on_error=show)
            if outcome.ok:
                ended = await apart(close_sessions_of, session.store, session.user_id, keep=session.key)
                session.program.end_sessions(ended)
                if session.arrival:
                    session.arrival = replace(session.arrival, given=None)
                dialog.close()
                toast(_("Password changed. Other browsers of yours were signed out."))
                if then:
                    await then()

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps")
            ui.button(_("Change password"), on_click=save).props("unelevated no-caps").mark("save-password")
    await answer_of(dialog)


async def _show_sessions(session: Session) -> None:
    found = await apart(sessions_of, session.store, session.user_id)
    with page_dialog() as dialog, ui.card().classes("lc-dialog"):
        ui.label(_("Signed-in browsers")).classes("lc-dialog-title")
        for entry in found:
            with ui.element("div").classes("lc-line") as line:
                seen = near_moment(datetime.fromtimestamp(entry.seen / 1000, tz=UTC))
                ui.label(entry.client or _("Unknown browser")).classes("grow lc-cut")
                ui.label(_("last used {when}").format(when=seen)).classes("lc-muted")
                if entry.key == session.key:
                    ui.label(_("this one")).classes("lc-chip lc-acc")
                else:

                    async def end(key: str = entry.key, line: ui.element = line) -> None:
                        await apart(close_session, session.store, key)
                        session.program.end_sessions([key])
                        line.delete()

                    ui.button(_("Sign out"), on_click=end).props("flat dense no-caps")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Close"), on_click=dialog.close).props("flat no-caps")
    await answer_of(dialog)
