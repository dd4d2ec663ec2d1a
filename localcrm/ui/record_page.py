"""One record on a page of its own: read beside the event loop, drawn, and drawn anew when somebody changes what it shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from nicegui import ui

from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.schema import entity
from localcrm.store.node import may_lack
from localcrm.ui.frame import page_frame
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service
from localcrm.ui.registry import screens_for

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

Found = TypeVar("Found")


class RecordPage(ABC, Generic[Found]):
    """The state of one open page."""

    active: ClassVar[str]  # where it stands in the navigation
    kind: ClassVar[str]  # of record
    title_msgid: ClassVar[str]
    missing_msgid: ClassVar[str]  # what is said where there is none, or none to see
    shows: ClassVar[Collection[str]]  # kinds of records whose changes draw it anew
    looks: ClassVar[str] = "lc-customer-page"
    mark: ClassVar[str]

    def __init__(self, session: Session, identity: str) -> None:
        self.session, self.identity = session, identity

    @abstractmethod
    def read(self) -> Found:
        """Everything on the page, as its user may see it; raises NotFound."""

    @abstractmethod
    def draw_head(self, found: Found) -> None:
        """Title and buttons."""

    @abstractmethod
    def draw_body(self, found: Found) -> None:
        """The cards."""

    async def build(self) -> None:
        """Draw the page for the first time."""
        outcome = await run_service(self.session, self.read, on_error=lambda _error: True)
        with page_frame(self.session, title=_(self.title_msgid), active=self.active):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            self.head = ui.element("div").classes("lc-record-head")
            self.body = ui.element("div").classes(self.looks).mark(self.mark)
            self.aside = ui.element("div")  # a question stands while the page behind it is drawn anew
        if not outcome.ok:
            elsewhere = await run_service(self.session, self._may_be_elsewhere)
            with self.body, ui.element("div").classes("lc-empty lc-muted"):
                self._draw_missing(may_be_elsewhere=elsewhere.ok and elsewhere.value)
            return
        self._draw(outcome.value)
        self.session.subscribe(set(self.shows), lambda _changes: self.again())

    def _may_be_elsewhere(self) -> bool:
        with self.session.store.read() as connection:
            return may_lack(connection)(entity(self.kind))

    def _draw_missing(self, *, may_be_elsewhere: bool) -> None:
        """Why there may be nothing to see, and the way back."""
        ui.label(_(self.missing_msgid))
        if may_be_elsewhere:
            ui.label(_("This branch keeps only its own records; head office can look up the others.")).mark("kept-elsewhere")
        if path := next((screen.path for screen in screens_for(self.session) if screen.lists == self.kind), ""):
            ui.link(_("Back to the list"), path).mark("back-to-list")

    async def again(self) -> None:
        """Draw it anew; what is gone meanwhile stays as it was last seen."""
        outcome = await run_service(self.session, self.read, on_error=lambda _error: True)
        if outcome.ok:
            self._draw(outcome.value)

    def _draw(self, found: Found) -> None:
        self.head.clear()
        with self.head:
            self.draw_head(found)
        self.body.clear()
        with self.body:
            self.draw_body(found)


@contextmanager
def card(title: str, button: Callable[[], None] | None = None) -> Iterator[None]:
    """One card of a page; ``button`` draws one in its head."""
    with ui.element("div").classes("lc-card"):
        with ui.element("div").classes("lc-row lc-card-title"):
            ui.label(title).classes("lc-sub grow")
            if button:
                button()
        yield
