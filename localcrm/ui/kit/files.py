"""Attached files on the screen: a field that takes and shows them, and links that hand them out (see ``ui.attachments``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.kernel.attachments import Attachment, read_attachments, write_attachments
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.kit.values import file_size
from localcrm.ui.operations import show_failure

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType, Field


def files_path(entity: EntityType, identity: str, field: Field) -> str:
    """Below it the files of a record's field are handed out, each by its hash."""
    return f"/api/file/{entity.key}/{identity}/{field.key}"


def file_links(entity: EntityType, identity: str, field: Field, value: str) -> None:
    """The files of a record, each a link that saves it."""
    with ui.element("div").classes("lc-files"):
        for file in read_attachments(value):
            _shown(file, files_path(entity, identity, field))


def _shown(file: Attachment, path: str | None) -> None:
    """Name and size; a link where the file can be had."""
    link = f'href="{path}/{file.hash}" download' if path else ""
    with ui.element("a" if path else "div").classes("lc-file").props(link).mark("file"):
        ui.icon("attach_file")
        ui.label(file.name).classes("lc-file-name")
        ui.label(file_size(file.size)).classes("lc-muted lc-small-text")


class FilesInput(ui.element):
    """Files of one field: those that are there, each with a cross, and a place to choose or drop more."""

    def __init__(self, label: str, *, on_change: Callable[[], Any]) -> None:
        super().__init__("div")
        self.classes("lc-files-input")
        self._files: list[Attachment] = []
        self._changed = on_change
        self._saved: dict[Attachment, str] = {}
        self._locked = False
        with self:
            self._list = ui.element("div").classes("lc-files")
            with (
                ui.element("label").classes("lc-add-file").props("data-upload=/api/upload/attachment data-local tabindex=0") as self._place
            ):
                ui.icon("attach_file")
                ui.label(_("Add a file, or drop it here"))
                ui.element("input").props(f'type=file multiple aria-label="{label}"').mark("file-chooser").style("display:none")
                ui.element("progress").props("max=100 value=0").style("display:none;width:120px")
            self._place.on("uploaded", self._arrived, args=["detail"])
        ui.timer(0.05, lambda: ui.run_javascript("localcrm.uploads()"), once=True)

    @property
    def value(self) -> str | None:
        """What the field holds (see ``kernel.attachments``)."""
        return write_attachments(self._files)

    def set_value(self, value: str | None, path: str | None = None) -> None:
        """Show files; those of a saved record are handed out below ``path``."""
        self._files = read_attachments(value)
        if path:
            self._saved = dict.fromkeys(self._files, path)
        self._draw()

    def protect(self) -> None:
        """They may be read, not changed."""
        self._locked = True
        self._place.set_visibility(False)
        self._draw()

    def _draw(self) -> None:
        self._list.clear()
        with self._list:
            for file in self._files:
                with ui.element("div").classes("lc-file-row"):
                    _shown(file, self._saved.get(file))
                    if not self._locked:
                        ui.button(icon="close", on_click=lambda file=file: self._remove(file)).props(
                            f'flat dense round size=xs aria-label="{_("Remove")}"'
                        ).mark("remove-file")

    def _remove(self, file: Attachment) -> None:
        self._files.remove(file)
        self._changed()  # before the button that was pressed is gone
        self._draw()

    def _arrived(self, event: events.GenericEventArguments) -> None:
        answer = event.args.get("detail") or {}
        if "error" in answer:
            show_failure(InvalidInput("upload_failed", N_("{reason}"), reason=str(answer["error"])[:300]))
            return
        for file in read_attachments(str(answer.get("line", ""))):
            if file not in self._files:
                self._files.append(file)
        self._draw()
        self._changed()
