"""Head office answers a forgotten password of a branch: the code that was read out, who asks in words, the signed answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.sync import resets
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.jobs import node_keys
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.qr import qr_address
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import near_moment
from localcrm.ui.operations import run_service
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

PERMISSION = "settings.manage"


async def answer_reset(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; a question in the address is looked at at once."""
    await _AnswerReset(session).build(parameters.get("question", ""))


class _AnswerReset:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.code = ""

    async def build(self, question: str) -> None:
        """The field for the code, below it who asks, then the answer."""
        title = _("Answer a password reset")
        with page_frame(self.session, title=title, active=""):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                pass
            if not self.session.store.node.is_office:
                ui.label(_("Only head office answers; sign in there.")).classes("lc-empty")
                return
            with ui.element("div").classes("lc-card lc-pad lc-reset"):
                ui.label(
                    _(
                        "Somebody at a branch who forgot the password reads out a code of five groups. Enter it; you see who asks, then sign."
                    )
                ).classes("lc-muted")
                label = _("Code read out by the branch")
                with ui.element("div").classes("lc-field"):
                    ui.label(label).classes("lc-label")
                    self.field = ui.input(value=question).props(f"outlined dense autofocus spellcheck=false aria-label={quoted(label)}")
                    self.field.classes("lc-mono").mark("question").on("keydown.enter", self._look)
                with ui.element("div").classes("lc-row"):
                    ui.button(_("Who asks?"), on_click=self._look).props("unelevated no-caps").classes("lc-pri").mark("look")
            self.place = ui.element("div")
        if question:
            await self._look()

    async def _look(self) -> None:
        self.field.props(remove="error")
        self.place.clear()
        self.code = self.field.value or ""
        look = await run_service(
            self.session, lambda: resets.look_at_question(self.session.store, self.session.actor, self.code), on_error=self._show
        )
        if look.ok:
            with self.place:
                self._draw_asker(look.value)

    def _show(self, error: AppError) -> bool:
        """The reason beside the field."""
        self.field.props("error").props["error-message"] = error.message
        return True

    def _draw_asker(self, asker: resets.Question) -> None:
        with ui.element("div").classes("lc-card lc-pad lc-reset").mark("asker"):
            ui.label(
                _("{name} ({login}) at {branch} asks for a new password.").format(
                    name=asker.name, login=asker.login, branch=f"{asker.branch_name} {asker.branch}"
                )
            ).classes("lc-sub")
            ui.label(
                _("Is it really this person? Call back on a number you know. Whoever gets the answer signs in as {name}.").format(
                    name=asker.name
                )
            ).classes("lc-warn-text")
            with ui.element("div").classes("lc-row"):
                ui.button(_("Sign the answer"), on_click=self._sign).props("unelevated no-caps").classes("lc-btn").mark("sign")

    async def _sign(self) -> None:
        session = self.session
        outcome = await run_service(
            session, lambda: resets.answer(session.store, node_keys(session), session.actor, code=self.code), on_error=self._show
        )
        if outcome.ok:
            self.place.clear()
            with self.place:
                self._draw_answer(outcome.value)

    def _draw_answer(self, answer: resets.Answer) -> None:
        until = near_moment(datetime.fromtimestamp(answer.expires / 1000, tz=UTC))
        with ui.element("div").classes("lc-card lc-pad lc-reset").mark("answer"):
            ui.label(_("The answer, good once, at that branch, until {until}").format(until=until)).classes("lc-sub")
            ui.label(
                _("It carries a signature, so it is long: send it as a message, a file or a photo of the picture. It can be typed too.")
            ).classes("lc-muted")
            ui.label(answer.code).classes("lc-code-block lc-answer-code").mark("answer-code")
            with ui.element("div").classes("lc-row"):
                ui.button(_("Copy"), on_click=lambda: ui.clipboard.write(answer.code)).props("unelevated no-caps").classes("lc-btn").mark(
                    "copy"
                )
                ui.button(_("Save as a file"), on_click=lambda: ui.download.content(answer.code, "localcrm-answer.txt")).props(
                    "unelevated no-caps"
                ).classes("lc-btn").mark("save-file")
            ui.element("img").classes("lc-qr lc-qr-left").props(
                f'src={quoted(qr_address(answer.code))} alt="{_("The answer as a picture")}"'
            )


register(Screen("answer_reset", "/answer-reset", N_("Answer a password reset"), "key", PERMISSION, answer_reset, section=None))
