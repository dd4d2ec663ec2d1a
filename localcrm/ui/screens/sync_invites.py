"""Head office invites a branch, as words, picture or file, and lets it in when it asks over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.spoken import write_checked, write_words
from localcrm.store.migrate import set_meta
from localcrm.store.node import LONGEST_CODE
from localcrm.sync import enrol, http, joining
from localcrm.sync.identity import INVITE_HOURS
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.jobs import node_keys
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.qr import qr_address
from localcrm.ui.operations import run_service, toast
from localcrm.ui.screens.sync_keys import compare_digits

if TYPE_CHECKING:
    from localcrm.sync.enrol import Invitation
    from localcrm.ui.sessions import Session

#: Meta key: the address under which branches were last told to find us.
_TOLD = "office.told_url"


async def invite_branch(session: Session) -> None:
    """Ask for the code and our address, make the invite, show it."""
    outcome = await run_service(session, lambda: str(session.store.meta(_TOLD) or ""))
    if not outcome.ok:
        return
    made = await _ask(session, outcome.value)
    if made is not None:
        await _show(*made)


async def _ask(session: Session, told: str) -> tuple[str, Invitation, str] | None:
    """The code, the invite for it and our address; what was typed stays where one of them does not do."""
    here = next((address.rstrip("/") for address in session.program.lan.addresses), "")
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("invite-dialog"):
        ui.label(_("Invite a branch")).classes("lc-dialog-title")
        box = _field(_("Code of the branch"), "branch-code", placeholder="BR01").props(f"autofocus maxlength={LONGEST_CODE}")
        url = _field(_("Address of this head office, as the branch reaches it"), "branch-url", placeholder="https://", value=told or here)
        url.props("maxlength=200")
        ui.label(
            _(
                "With an address the branch asks to join over the network, and you let it in here. Leave it empty where there is no way to it; then files are sent to and fro."
            )
        ).classes("lc-muted")
        problem = Problem()

        def make() -> tuple[str, Invitation, str]:
            address = http.check_url(url.value or "")
            made = enrol.invite(session.store, node_keys(session), session.actor, code=box.value or "")
            with session.store.housekeeping() as connection:
                set_meta(connection, _TOLD, address)
            return str(box.value).strip().upper(), made, address

        async def invite() -> None:
            outcome = await run_service(session, make, on_error=problem.refuse)
            if outcome.ok:
                dialog.submit(outcome.value)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=lambda: dialog.submit(None)).props("flat no-caps").classes("lc-btn")
            button = ui.button(_("Make the invite"), on_click=invite)
            button.props("unelevated no-caps data-commit data-act=dialog-yes").classes("lc-pri").mark("dialog-yes")
    made: tuple[str, Invitation, str] | None = await answer_of(dialog)
    return made


def _field(label: str, name: str, *, placeholder: str, value: str = "") -> ui.input:
    with ui.element("div").classes("lc-field"):
        ui.label(label).classes("lc-label")
        box = ui.input(value=value, placeholder=placeholder).mark(name)
        return box.props(f"outlined dense hide-bottom-space data-act={name} aria-label={quoted(label)}")


async def _show(code: str, made: Invitation, url: str) -> None:
    """The invite in its three forms, this once."""
    picture = joining.picture_text(made, url)
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("invitation"):
        ui.label(_("Invite for {code}").format(code=code)).classes("lc-dialog-title")
        told = _("It is good once, for {hours} hours, and shown this once. At the branch it is entered on the first page.")
        if not url:
            told = _(
                "It is good once, for {hours} hours, and shown this once. Send the branch the file; it is chosen there on the first page."
            )
        ui.label(told.format(hours=INVITE_HOURS)).classes("lc-muted")
        if url:
            ui.label(_("Tell the branch this address and these words:")).classes("lc-label")
            ui.label(url).classes("lc-code-block lc-address lc-wrap").mark("invite-url")
            ui.label(write_checked(made.spoken)).classes("lc-code-block lc-spoken").props("data-act=invite-words").mark("invite-words")
        ui.label(_("Or send it the picture, the text of the picture, or the file:")).classes("lc-label")
        ui.element("img").classes("lc-qr").style("width:290px").props(
            f'src={quoted(qr_address(picture))} alt="{_("The invite as a picture")}"'
        )
        with ui.element("div").classes("lc-row lc-wrap-row").style("justify-content:center"):
            copy = ui.button(_("Copy the text"), on_click=lambda: _copy(picture)).props("unelevated no-caps").classes("lc-btn")
            copy.props("data-act=copy-invite").mark("copy-invite")
            save = ui.button(_("Save the invite file"), on_click=lambda: ui.download.content(made.file, f"{code}.localcrm-invite"))
            save.props("unelevated no-caps data-act=save-invite").classes("lc-btn").mark("save-invite")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Done"), on_click=dialog.close).props("unelevated no-caps data-act=invite-done").classes("lc-pri").mark(
                "invite-done"
            )
    await answer_of(dialog)


def _copy(text: str) -> None:
    ui.clipboard.write(text)
    toast(_("Copied"))


async def let_branch_in(session: Session, code: str) -> None:
    """Compare the words of a request that waits, and let the branch in."""
    outcome = await run_service(session, lambda: joining.waiting_request(session.store, session.actor, code))
    if not outcome.ok:
        return
    request, public = outcome.value, outcome.value.keys
    question = _("Let {code} {name} in?").format(code=request.code, name=request.name)
    if not await compare_digits(question, write_words(public.spoken_fingerprint), public.fingerprint):
        return
    approved = await run_service(
        session, lambda: joining.approve_waiting(session.store, node_keys(session), session.actor, code, fingerprint=public.fingerprint)
    )
    if approved.ok:
        toast(_("{code} is a branch now; it goes on by itself.").format(code=request.code))
