"""Keys on the page of the exchange: our own with the button for new ones, and those of branches that people compare."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from nicegui import ui

from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import gettext as _
from localcrm.sync import keyring, rotation
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.jobs import node_keys
from localcrm.ui.kit.values import in_two_lines
from localcrm.ui.operations import run_service, toast

if TYPE_CHECKING:
    from localcrm.sync.identity import NodeKeys
    from localcrm.ui.sessions import Session

Change = Callable[[Callable[[], Any]], Awaitable[None]]


class OwnKeys:
    """What people compare of this installation, whether the others know it, and the way to new keys."""

    def __init__(self, session: Session, problem: ui.element, redraw: Callable[[], Awaitable[None]]) -> None:
        self.session, self._problem, self._redraw = session, problem, redraw
        self._may = session.may("sync.manage")
        self._card = ui.element("div").classes("lc-card").style("flex:none").mark("own-keys")

    def draw(self, status: Mapping[str, Any], words: str, digits: str) -> None:
        """``words``, ``digits``: our fingerprint, "" where the keys are missing."""
        is_office = status["role"] == "office"
        self._card.clear()
        with self._card, ui.element("div").classes("lc-facts"):
            with ui.element("div").classes("lc-fact"):
                ui.label(_("Fingerprint of head office") if is_office else _("Fingerprint of this branch")).classes("lc-label")
                shown = ui.label(digits or _("The keys are missing")).classes("" if digits else "lc-bad-text")
                shown.props("data-act=own-fingerprint").mark("own-fingerprint")
                ui.label(words).classes("lc-muted").props("data-act=own-words").mark("own-words")
            if not status["knows_keys"]:
                with ui.element("div").classes("lc-fact"):
                    ui.label(_("New keys")).classes("lc-label")
                    ui.label(_("Head office has not confirmed them yet; it does so at the next exchange.")).mark("keys-pending")
            if self._may and status["enrolled"]:
                new = ui.button(_("New keys…"), on_click=lambda: self._change(is_lost=not digits, is_office=is_office))
                new.props("unelevated no-caps data-act=new-keys").classes("lc-btn").style("justify-self:start;align-self:center").mark(
                    "new-keys"
                )

    async def _change(self, *, is_lost: bool, is_office: bool) -> None:
        if is_lost:
            detail = _(
                "The folder “keys” of this installation is missing. If a backup has it, restore that instead. Else make new keys; head office must then choose “Its keys were stolen or lost…” at this branch's line, exchange, and compare the digits by telephone."
            )
        elif is_office:
            detail = _(
                "Head office signs with new keys from now on. Branches follow by themselves with their next exchange, also those that come late; files that are in the post stay good. Do this once a year, or when somebody who could copy the data folder has left. Browsers on the local network warn of the certificate once more. Make a backup afterwards: older ones hold only the old keys."
            )
        else:
            detail = _(
                "This branch signs with new keys from now on, and head office confirms them at the next exchange. Files that are in the post stay good. Do this once a year, or when somebody who could copy the data folder has left. If the keys were stolen, call head office first: it revokes the old ones. Make a backup afterwards."
            )
        if not await confirm(_("Make new keys?"), detail=detail, yes=_("Make new keys")):
            return

        def make() -> dict[str, Any]:
            keys: NodeKeys | None = None
            try:
                keys = node_keys(self.session)
            except StoreError:
                if not is_lost:
                    raise
            return rotation.change_keys(self.session.store, keys, self.session.actor)

        with self._problem:
            outcome = await run_service(self.session, make)
            if outcome.ok:
                toast(_("New keys made. Make a backup now."))
            await self._redraw()


class Note(NamedTuple):
    """A line about the keys of a branch: the text, what can be done about it, whether somebody should."""

    text: str
    act: str
    ask: bool


def branch_keys(branch: Mapping[str, Any]) -> Iterator[Note]:
    """What there is to say about the keys of a branch, as ``node_sync.status`` tells of it."""
    if branch["asked_fingerprint"]:
        yield Note(_("Its new keys wait to be compared"), _("Compare…"), True)
    elif branch["renew_keys"]:
        yield Note(_("Its keys are revoked; it must make new ones"), "", True)
    elif not branch["knows_keys"]:
        yield Note(_("has not heard of the new keys here yet"), "", False)


async def let_keys_in(session: Session, branch: Mapping[str, Any], change: Change) -> None:
    """Compare the digits of new keys, then let them in."""
    code, digits = branch["code"], branch["asked_fingerprint"]
    question = _("Are these the new keys of {code} {name}?").format(code=code, name=branch["name"])
    if await compare_digits(question, branch["asked_words"], digits):
        await change(lambda: rotation.let_keys_in(session.store, keyring.read_keys(session.store), session.actor, code, fingerprint=digits))


async def revoke_keys(session: Session, code: str, change: Change) -> None:
    """Whoever stole the keys is heard no more from now on, nor is the branch until it has new ones."""
    detail = _(
        "Use this when somebody may have copied the keys of this branch, or it has lost them. Its present keys count no more from now on, and nothing is made for it. Let the branch choose “New keys…” on its page Merging and exchange; then its new keys wait here, and you compare the digits by telephone. Its data and its unsent work are kept."
    )
    question = _("Revoke the keys of branch {code}?").format(code=code)
    if await confirm(question, detail=detail, yes=_("Revoke the keys"), danger=True):
        await change(lambda: rotation.demand_keys(session.store, session.actor, code))


def what_is_compared(words: str, fingerprint: str) -> None:
    """The words of a fingerprint and the same as digits, as the other side has them on its screen."""
    ui.label(words).classes("lc-code-block lc-spoken").mark("words")
    ui.label(in_two_lines(fingerprint)).classes("lc-code-block lc-digits").mark("fingerprint")


async def compare_digits(question: str, words: str, fingerprint: str) -> bool:
    """Whether the words or digits that a branch reads out are those that came here."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("compare-dialog"):
        ui.label(question).classes("lc-dialog-title")
        what_is_compared(words, fingerprint)
        ui.label(
            _("Call the branch and let somebody there read out the words or the digits on its screen. If one differs, do not approve.")
        ).classes("lc-muted")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=lambda: dialog.submit(None)).props("flat no-caps").classes("lc-btn")
            agree = ui.button(_("They agree, approve"), on_click=lambda: dialog.submit(True))
            agree.props("unelevated no-caps data-commit data-act=dialog-yes").classes("lc-pri").mark("dialog-yes")
    return bool(await answer_of(dialog))
