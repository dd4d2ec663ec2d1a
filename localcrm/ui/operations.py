"""What a screen does to the data: one verb, in a worker thread, with an answer the user sees.

A refusal stands beside its field when a form takes it, else in a notice at the top of the page that stays until it is
closed, or until the same thing is tried again. A success says so in the user's words, with the way back where there is one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from nicegui import background_tasks, context, ui

from localcrm.domain import verbs
from localcrm.domain.admin.undo import is_offered
from localcrm.kernel.errors import AppError, SessionLocked, SignInNeeded
from localcrm.kernel.i18n import gettext as _

if TYPE_CHECKING:
    from nicegui.client import Client

    from localcrm.ui.sessions import Session

T = TypeVar("T")
TOAST_SECONDS = 7.0
#: How long a page waits for a part of it.
QUICK_SECONDS = 0.03
#: The verb that takes a whole action back.
UNDO = "admin.undo_action"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended: ``value`` is what the verb returned, ``error`` what was refused (and already shown)."""

    value: Any = None
    error: AppError | None = None
    change: int | None = None
    """Names the action, where this user may undo it as a whole."""

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class Undo:
    """The verb that takes an operation back, offered beside the message of success."""

    name: str
    params: Mapping[str, Any]
    done: str


async def run_verb(
    session: Session,
    name: str,
    params: Mapping[str, Any],
    *,
    done: str = "",
    undo: Undo | None = None,
    on_error: Callable[[AppError], bool] | None = None,
) -> Outcome:
    """Run one verb as the signed-in user. ``done`` is said on success, with the way back: ``undo``, else that of the whole action where it has one.

    ``on_error`` returns True when it showed the error itself.
    """
    outcome = await run_service(session, lambda: _act(session, name, params), on_error=on_error)
    if not outcome.ok:
        return outcome
    did: verbs.Done = outcome.value
    outcome = Outcome(did.value, change=did.change)
    if done:
        back = (_("Undo"), lambda: run_verb(session, undo.name, undo.params, done=undo.done)) if undo else way_back(session, outcome)
        # What was taken back can be done again, but not by pressing the keys once more: they would be meant for the action before.
        again = name == UNDO and back is not None
        toast(done, undo=(_("Redo"), back[1]) if again and back else back, by_key=not again)
    return outcome


def _act(session: Session, name: str, params: Mapping[str, Any]) -> verbs.Done:
    """Run a verb; its change stays only where the user may take back what was done."""
    done = verbs.act(session.store, session.actor, name, params)
    if done.change is None:
        return done
    with session.store.read() as connection:
        offered = is_offered(session.store, connection, session.actor, done.change)
    return done if offered else verbs.Done(done.value, None)


def way_back(session: Session, outcome: Outcome) -> tuple[str, Callable[[], Awaitable[Any]]] | None:
    """What a toast offers to take back everything that an operation did; None where it cannot be taken back so."""
    if outcome.change is None:
        return None
    return _("Undo"), lambda: run_verb(session, UNDO, {"change": outcome.change}, done=_("Taken back"))


async def apart(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Run what reads or writes files in a worker thread. Was the page closed meanwhile, nobody is there to show anything to, and what
    would follow is given up.
    """
    client = context.client
    value = await asyncio.to_thread(function, *arguments, **named)
    if client.is_deleted:
        raise asyncio.CancelledError
    return value


async def run_service(session: Session, function: Callable[[], Any], *, on_error: Callable[[AppError], bool] | None = None) -> Outcome:
    """Run anything that reads or writes files in a worker thread; errors of ours are shown, others are faults and go on."""
    if session.locked:  # a page that looks again by itself
        return Outcome(error=SessionLocked())
    try:
        return Outcome(await apart(function))
    except SignInNeeded as error:
        session.send_to_login()
        return Outcome(error=error)
    except SessionLocked as error:  # what was under way when the screen locked; it is neither done nor told
        return Outcome(error=error)
    except AppError as error:
        if on_error is None or not on_error(error):
            show_failure(error)
        return Outcome(error=error)


# what the user sees ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Places:
    notices: ui.element
    toasts: ui.element
    about: dict[str, list[ui.element]] = field(default_factory=dict)
    """Notices by what they are about."""


_places: WeakKeyDictionary[Client, _Places] = WeakKeyDictionary()


async def quick_or_later(work: Coroutine[Any, Any, None]) -> None:
    """Do what fills a part of a page that is being made: what is quick comes with the page, the rest follows it."""
    task = background_tasks.create(work, name="part of a page")
    await asyncio.wait({task}, timeout=QUICK_SECONDS)


def set_places(notices: ui.element, toasts: ui.element) -> None:
    """Where notices and toasts of the page of the moment appear; the frame calls this."""
    _places[context.client] = _Places(notices, toasts)


def show_failure(error: AppError, *, about: str = "", waits: bool = False) -> None:
    """A sentence that stays until it is closed, or until what it is ``about`` is tried again (``forget_failures``); its code is for
    whoever asks for it. ``waits``: nothing went wrong, something is still to come.
    """
    places = _places.get(context.client)
    if places is None:
        ui.notify(error.message, type="warning" if waits else "negative", timeout=0, close_button=_("Close"))
        return
    tone, icon, role = ("lc-warn", "hourglass_top", "status") if waits else ("", "error_outline", "alert")
    with places.notices, ui.element("div").classes(f"lc-notice {tone}").mark("notice").props(f"role={role} data-code={error.code}") as box:
        with ui.icon(icon):
            ui.tooltip(" · ".join(filter(None, [error.code, error.detail])))
        ui.label(error.message).classes("grow")
        ui.button(icon="close", on_click=box.delete).props(f'flat dense round size=sm aria-label="{_("Close")}"')
    if about:
        places.about.setdefault(about, []).append(box)


def forget_failures(about: str) -> None:
    """What was said about something that is being tried again."""
    places = _places.get(context.client)
    for box in places.about.pop(about, []) if places else ():
        if not box.is_deleted:
            box.delete()


def toast(text: str, *, undo: tuple[str, Callable[[], Awaitable[Any]]] | None = None, by_key: bool = True) -> None:
    """Say what happened, for a few seconds, with the way back when there is one, by click and by Ctrl Z."""
    places = _places.get(context.client)
    if places is None:
        ui.notify(text)
        return
    with places.toasts, ui.element("div").classes("lc-toast").mark("toast").props('role="status"') as box:
        ui.label(text)
        if undo:
            label, action = undo

            async def take_back() -> None:
                box.delete()
                with places.toasts:
                    await action()

            ui.button(label, on_click=take_back).props(f"flat dense no-caps {'data-undo' if by_key else ''}").mark("undo")

    client = context.client

    async def fade() -> None:
        await asyncio.sleep(TOAST_SECONDS)
        if not box.is_deleted and not client.is_deleted:
            box.delete()

    background_tasks.create(fade(), name="toast")
