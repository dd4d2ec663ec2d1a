"""Head office invites a branch, as words, picture or file, and lets it in when it asks over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nicegui import ui

from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.spoken import write_checked, write_words
from localcrm.store.migrate import set_meta
from localcrm.sync import enrol, joining
from localcrm.sync.identity import INVITE_HOURS
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.jobs import node_keys
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.qr import qr_address
from localcrm.ui.operations import run_service, toast
from localcrm.ui.screens.sync_keys import compare_digits

if TYPE_CHECKING:
    from localcrm.sync.enrol import Invitation
    from localcrm.ui.sessions import Session

#: Meta key: the address under which branches were last told to find us.
_TOLD = "office.told_url"


class _Wanted(NamedTuple):
    code: str
    url: str


async def invite_branch(session: Session) -> None:
    """Ask for the code and our address, make the invite, show it."""
    outcome = await run_service(session, lambda: str(session.store.meta(_TOLD) or ""))
    if not outcome.ok:
        return
    wanted = await _ask(session, outcome.value)
    if wanted is None or not wanted.code.strip():
        return

    def make() -> tuple[Invitation, str]:
        url = joining.check_url(wanted.url)
        made = enrol.invite(session.store, node_keys(session), session.actor, code=wanted.code)
        with session.store.housekeeping() as connection:
            set_meta(connection, _TOLD, url)
        return made, url

    outcome = await run_service(session, make)
    if outcome.ok:
        await _show(wanted.code.strip().upper(), *outcome.value)


async def _ask(session: Session, told: str) -> _Wanted | None:
    here = next((address.rstrip("/") for address in session.program.lan.addresses), "")
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("invite-dialog"):
        ui.label(_("Invite a branch")).classes("lc-dialog-title")
        box = ui.input(_("Code of the branch"), placeholder="BR01").props("outlined dense autofocus maxlength=12")
        box.props("data-act=branch-code").mark("branch-code")
        url = ui.input(_("Address of this head office, as the branch reaches it"), value=told or here, placeholder="https://")
        url.props("outlined dense maxlength=200 data-act=branch-url").mark("branch-url")
        ui.label(
            _(
                "With an address the branch asks to join over the network, and you let it in here. Leave it empty where there is no way to it; then files are sent to and fro."
            )
        ).classes("lc-muted")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=lambda: dialog.submit(None)).props("flat no-caps").classes("lc-btn")
            make = ui.button(_("Make the invite"), on_click=lambda: dialog.submit(_Wanted(box.value or "", url.value or "")))
            make.props("unelevated no-caps data-commit data-act=dialog-yes").classes("lc-pri").mark("dialog-yes")
    found: _Wanted | None = await answer_of(dialog)
    return found


async def _show(code: str, made: Invitation, url: str) -> None:
    """The invite in its three forms, this once."""
    picture = joining.picture_text(made, url)
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("invitation"):
        ui.label(_("Invite for {code}").format(code=code)).classes("lc-dialog-title")
        ui.label(
            _("It is good once, for {hours} hours, and shown this once. At the branch it is entered on the first page.").format(
                hours=INVITE_HOURS
            )
        ).classes("lc-muted")
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
