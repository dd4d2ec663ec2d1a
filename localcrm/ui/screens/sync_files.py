"""Exchange files on the page of the exchange: made whole or in parts for e-mail, read several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.sync import node_sync
from localcrm.ui.import_job import upload_place, uploaded
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.jobs import node_keys
from localcrm.ui.kit.values import file_size
from localcrm.ui.operations import forget_failures, run_service, show_failure, toast

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: A larger file may be split: many mail boxes take 10 to 25 MB, and mail makes of three bytes four.
OFFER_FROM = 5_000_000
PART_SIZES_MB = (5, 7, 10, 15, 20)
#: Seconds between downloads: a browser drops those that come at once.
BETWEEN_DOWNLOADS = 0.5
#: What is said about files that were read.
FILES = "files"
Working = Callable[[], AbstractContextManager[Any]]


async def make_file(session: Session, code: str | None, working: Working) -> None:
    """The exchange file for a branch, or for head office; a large one is offered in parts too."""
    store, node = session.store, session.store.node
    name = f"{node.code}-{code or 'HQ'}-{now_utc().astimezone():%Y%m%d-%H%M}"

    def make() -> tuple[Path, dict[str, int]]:
        policy.require(session.actor, "sync.manage")
        _token, path = upload_place(store, name)
        return path, node_sync.pack(store, node_keys(session), path, for_code=code)

    with working():
        outcome = await run_service(session, make)
    if not outcome.ok:
        return
    path, counts = outcome.value
    if counts["bytes"] > OFFER_FROM and (part_mb := await _asked_for_parts(counts["bytes"])):
        with working():
            split = await run_service(
                session, lambda: node_sync.split(store, node_keys(session), path, for_code=code, part_bytes=part_mb * 1_000_000)
            )
        if split.ok:
            await _show_parts(name, split.value)
        return
    ui.download.file(path, f"{name}.localcrm-exchange")
    toast(_("Exchange file with {count} changes; carry it to the other side.").format(count=f"{counts['changes']:,}"))


async def _asked_for_parts(size: int) -> int:
    """How large the parts may be, in MB; 0 for the file as a whole."""
    with page_dialog().props("persistent") as dialog, ui.card().classes("lc-dialog lc-narrow").mark("split-dialog"):
        ui.label(_("The exchange file has {size}").format(size=file_size(size))).classes("lc-dialog-title")
        ui.label(
            _(
                "A stick takes it as it is. For e-mail split it into parts: each is sealed, they may be sent in any order, and the other side reads them together or one by one."
            )
        ).classes("lc-muted")
        sizes = {mb: _("Parts of at most {size} MB").format(size=mb) for mb in PART_SIZES_MB if mb * 1_000_000 < size}
        chosen = ui.select(sizes, value=next(iter(sizes), None)).props("outlined dense data-act=part-size").mark("part-size")
        with ui.element("div").classes("lc-dialog-buttons"):
            whole = ui.button(_("As one file"), on_click=lambda: dialog.submit(0)).props("flat no-caps data-act=whole-file")
            whole.classes("lc-btn").mark("whole-file")
            split = ui.button(_("Split"), on_click=lambda: dialog.submit(chosen.value)).props("unelevated no-caps data-act=split-file")
            split.classes("lc-pri").mark("split-file")
    return int(await answer_of(dialog) or 0)


async def _show_parts(name: str, paths: list[Path]) -> None:
    """Every part with a button, and all of them; a browser asks its user once whether this page may save several files."""
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("parts-dialog"):
        ui.label(_("{count} parts").format(count=len(paths))).classes("lc-dialog-title")
        ui.label(_("Send all of them, one in each e-mail, in any order.")).classes("lc-muted")
        buttons: list[ui.button] = []

        def save(number: int) -> None:
            ui.download.file(paths[number], f"{name}.{number + 1}-{len(paths)}.localcrm-exchange")
            buttons[number].props("icon=check")

        async def save_all() -> None:
            for number in range(len(paths)):
                save(number)
                await asyncio.sleep(BETWEEN_DOWNLOADS)

        with ui.element("div").classes("lc-parts").style("display:flex;flex-wrap:wrap;gap:6px;max-height:40vh;overflow:auto"):
            for number in range(len(paths)):
                button = ui.button(f"{number + 1} / {len(paths)}", icon="download", on_click=partial(save, number))
                button.props(f"unelevated no-caps data-act=part-{number + 1}").classes("lc-btn").mark(f"part-{number + 1}")
                buttons.append(button)
        with ui.element("div").classes("lc-dialog-buttons"):
            every = ui.button(_("Save all"), icon="download", on_click=save_all).props("flat no-caps data-act=all-parts")
            every.classes("lc-btn").mark("all-parts")
            ui.button(_("Done"), on_click=dialog.close).props("unelevated no-caps data-act=parts-done").classes("lc-pri").mark("parts-done")
    await answer_of(dialog)


def came(*, applied: int, conflicts: int, left: int) -> str:
    """What an exchange did here."""
    said = [_("Merged: {applied} changes applied, {conflicts} to look at.").format(applied=f"{applied:,}", conflicts=f"{conflicts:,}")]
    if left:
        said.append(_("Customers that only head office keeps from now on: {count}.").format(count=f"{left:,}"))
    return " ".join(said)


async def read_files(session: Session, tokens: list[str], working: Working) -> None:
    """Read files that were uploaded together, and say what came of it."""
    store = session.store

    def read() -> dict[str, Any]:
        policy.require(session.actor, "sync.manage")
        paths = [uploaded(store, token) for token in tokens]
        try:
            return node_sync.unpack_all(store, node_keys(session), paths)
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    forget_failures(FILES)
    with working():
        outcome = await run_service(session, read, on_error=_refused)
    if not outcome.ok:
        return
    result = outcome.value
    if result["applied"] or result["conflicts"] or result["left"]:
        toast(came(**{key: result[key] for key in ("applied", "conflicts", "left")}))
    else:
        toast(_("The file holds nothing new; everything was here already."))
    for entry in result.get("refused", []):
        _refused(InvalidInput(entry["code"], N_("{reason}"), reason=entry["message"]))


def _refused(error: AppError) -> bool:
    """Of a file in parts some are missing at first; that is no failure."""
    show_failure(error, about=FILES, waits=error.code == "parts_missing")
    return True
