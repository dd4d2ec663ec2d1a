"""Doing what takes long, or what the program otherwise does by itself, while somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.jobs import scheduler
from localcrm.kernel.errors import AppError, InvalidInput, NotFound
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.operations import forget_failures, run_service, show_failure, toast

if TYPE_CHECKING:
    from localcrm.jobs.work import Job
    from localcrm.sync.identity import NodeKeys
    from localcrm.ui.sessions import Session


@contextmanager
def working(place: ui.element, text: str) -> Iterator[None]:
    """A moving sign with a word while something long is done."""
    with place, ui.element("div").classes("lc-notice lc-info").mark("working").props('role="status"') as box:
        ui.spinner(size="18px")
        ui.label(text)
    try:
        yield
    finally:
        box.delete()


def node_keys(session: Session) -> NodeKeys:
    """The keys of this node."""
    keys = session.program.keys
    if keys is None:
        raise NotFound("no_node_keys", N_("This folder has no keys to speak with. Restore the folder “keys” from a backup."))
    return keys()


async def do_job(session: Session, job: Job, place: ui.element, text: str = "", said: Callable[[], str] | None = None) -> None:
    """Do a job now and say how it went; ``place`` outlives it, even when the table with the button is drawn anew meanwhile.

    ``said`` tells in a worker thread what came of it, where there is more to say than that it is done.
    """

    def refused(error: AppError) -> bool:
        show_failure(error, about=job.name)
        return True

    with place:
        forget_failures(job.name)
        with working(place, text or job.label):
            outcome = await run_service(
                session, lambda: scheduler.run_now(session.store, lambda: node_keys(session), session.actor, job), on_error=refused
            )
        if outcome.ok and outcome.value.error:
            refused(InvalidInput("job_failed", N_("{reason}"), reason=outcome.value.error))
        elif outcome.ok:
            told = await run_service(session, said) if said else None
            toast(told.value if told and told.ok else _("{task}: done").format(task=job.label))
